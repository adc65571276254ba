/* library: see library.h. */
#include "library.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct library k;

int library_open(const char *path)
{
	/* Not global: a plugin must find this copy by itself, as in a program with several. */
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	if (!handle) {
		fprintf(stderr, "exerciser: %s\n", dlerror());
		return -ENOENT;
	}
#define X(f) *(void **)&k.f = dlsym(handle, #f);
	LIBRARY_FUNCTIONS(X)
#undef X
	return 0;
}
