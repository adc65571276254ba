/* fuzz_runtime: a hostile executable as runtime.h reads it. Oracle: one of three answers. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "target/runtime.h"

#define INPUT_MAX (64U << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *runtime;
	int fd;

	if (size > INPUT_MAX)
		return 0;
	fd = memfd_create("input", MFD_CLOEXEC);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		return 0;
	runtime = runtime_of(fd);
	close(fd);
	assert(!strcmp(runtime, "go") || !strcmp(runtime, "rust") || !*runtime);
	return 0;
}
