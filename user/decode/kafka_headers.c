/* kafka_headers: the walk over a header block; see kafka.h. */
#include "decode/kafka.h"

#include <errno.h>

#include "wire.h"

#define VARINT_BYTES_MAX 5	/* 32 bits, 7 a byte */

/* Zigzag: 0, -1, 1, -2, ... as 0, 1, 2, 3, ... */
static int varint_take(struct slice *s, int32_t *ret)
{
	uint64_t value = 0;
	size_t i;

	for (i = 0; i < VARINT_BYTES_MAX && i < s->len; i++) {
		unsigned char byte = s->at[i];

		value |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (byte & 0x80)
			continue;
		if (value > UINT32_MAX)
			return -EINVAL;
		*ret = (int32_t)((uint32_t)value >> 1) ^ -(int32_t)(value & 1);
		*s = slice_from(*s, i + 1);
		return 0;
	}
	return -EINVAL;
}

static int bytes_take(struct slice *s, uint32_t len, struct slice *ret)
{
	if (len > s->len)
		return -EINVAL;
	*ret = slice_of(s->at, len);
	*s = slice_from(*s, len);
	return 0;
}

int kafka_headers_init(struct kafka_headers *h, struct slice block, uint32_t flags)
{
	int32_t count;

	*h = (struct kafka_headers){
		.left = block,
		.is_raw = flags & WIRE_KAFKA_RAW_HEADERS,
		.is_cut = flags & WIRE_KAFKA_CUT_HEADERS,
	};
	if (!(flags & (WIRE_KAFKA_RAW_HEADERS | WIRE_KAFKA_LIST_HEADERS)))
		h->left.len = 0;
	if (!h->is_raw || !h->left.len)
		return 0;
	if (varint_take(&h->left, &count) || count < 0) {
		h->left.len = 0;
		return h->is_cut ? 0 : -EINVAL;
	}
	h->count = count;
	return 0;
}

static int raw_take(struct slice *s, struct slice *ret_name, struct slice *ret_value)
{
	int32_t len;

	if (varint_take(s, &len) || len < 0 || bytes_take(s, len, ret_name))
		return -EINVAL;
	if (varint_take(s, &len) || len < -1)
		return -EINVAL;
	if (len == -1) {
		*ret_value = slice_of(NULL, 0);
		return 0;
	}
	return bytes_take(s, len, ret_value);
}

static int list_take(struct slice *s, struct slice *ret_name, struct slice *ret_value)
{
	struct wire_kafka_header head;
	struct slice bytes;

	if (bytes_take(s, sizeof(head), &bytes))
		return -EINVAL;
	memcpy(&head, bytes.at, sizeof(head));
	if (bytes_take(s, head.name_len, ret_name))
		return -EINVAL;
	if (head.value_len == WIRE_NULL_VALUE) {
		*ret_value = slice_of(NULL, 0);
		return 0;
	}
	return bytes_take(s, head.value_len, ret_value);
}

static int stop(struct kafka_headers *h, int err)
{
	h->left.len = 0;
	h->count = 0;
	return err;
}

int kafka_headers_next(struct kafka_headers *h, struct slice *ret_name, struct slice *ret_value)
{
	struct slice name, value;
	int err;

	if (h->is_raw ? !h->count : !h->left.len)
		/* bytes after the last header: the count lies */
		return h->left.len ? stop(h, -EINVAL) : 0;
	if (h->done == KAFKA_HEADERS_MAX)
		return stop(h, -E2BIG);
	err = h->is_raw ? raw_take(&h->left, &name, &value) : list_take(&h->left, &name, &value);
	if (err)
		return stop(h, h->is_cut ? 0 : err);
	h->done++;
	if (h->is_raw)
		h->count--;
	*ret_name = name;
	*ret_value = value;
	return 1;
}
