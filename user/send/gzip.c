/* gzip: see gzip.h. */
#include "send/gzip.h"

#include <errno.h>
#include <stdlib.h>

#include <zlib.h>

#define LEVEL 3			/* spans shrink to a tenth; 6 gains little for twice the CPU */
#define WINDOW_BITS (15 + 16)	/* zlib's way to ask for gzip's frame */
#define MEMORY_LEVEL 8

int gzip_encode(char **ret, size_t *ret_len, const void *bytes, size_t len)
{
	z_stream z = { 0 };
	size_t room;
	char *out;
	int err;

	if (deflateInit2(&z, LEVEL, Z_DEFLATED, WINDOW_BITS, MEMORY_LEVEL, Z_DEFAULT_STRATEGY))
		return -ENOMEM;
	room = deflateBound(&z, len);
	out = malloc(room);
	if (!out) {
		deflateEnd(&z);
		return -ENOMEM;
	}
	z.next_in = (Bytef *)bytes;
	z.avail_in = len;
	z.next_out = (Bytef *)out;
	z.avail_out = room;
	err = deflate(&z, Z_FINISH);
	*ret_len = z.total_out;
	deflateEnd(&z);
	if (err != Z_STREAM_END) {
		free(out);
		return -ENOMEM;
	}
	*ret = out;
	return 0;
}
