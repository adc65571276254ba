/*
 * fuzz_kafka_headers: a header block of a foreign program is walked within its bounds, and no
 * byte of it is handed out twice. Input: one byte of flags, then the block.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "decode/kafka.h"
#include "wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice name, value;
	struct kafka_headers h;
	unsigned int count = 0;
	const char *last;
	char *block;
	int err;

	if (!size)
		return 0;
	block = malloc(size);	/* its own size: a step too far is seen */
	memcpy(block, data + 1, size - 1);
	last = block;
	err = kafka_headers_init(&h, slice_of(block, size - 1), data[0]);
	while (!err) {
		err = kafka_headers_next(&h, &name, &value);
		if (err <= 0)
			break;
		err = 0;
		count++;
		if (name.at < last || name.at + name.len > block + size - 1)
			abort();
		last = name.at + name.len;
		if (value.at && (value.at < last || value.at + value.len > block + size - 1))
			abort();
		if (value.at)
			last = value.at + value.len;
	}
	/* after its end or an error there is no more */
	if (count > KAFKA_HEADERS_MAX || kafka_headers_next(&h, &name, &value) == 1)
		abort();
	free(block);
	return 0;
}
