/* formats: see formats.h. */
#include "decode/formats.h"

#include <errno.h>

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#define UBER_TEXT_MAX 128	/* longest useful value: 32 + 16 + 16 + 2 digits, escaped colons */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Right-aligned into @size bytes: 1 to 2 * size digits of any case, not all zero. */
static int id_parse(struct slice text, uint8_t *ret, size_t size)
{
	uint8_t id[16] = { 0 };
	bool is_zero = true;
	size_t i;

	if (!text.len || text.len > size * 2)
		return -EINVAL;
	for (i = 0; i < text.len; i++) {
		size_t place = size * 2 - text.len + i;
		int digit = hex_digit(text.at[i]);

		if (digit < 0)
			return -EINVAL;
		if (digit)
			is_zero = false;
		id[place / 2] |= place % 2 ? digit : digit << 4;
	}
	if (is_zero)
		return -EINVAL;
	memcpy(ret, id, size);
	return 0;
}

static int id_parse_exact(struct slice text, uint8_t *ret, size_t size)
{
	return text.len == size * 2 ? id_parse(text, ret, size) : -EINVAL;
}

/* 64 or 128 bits */
static int trace_id_parse(struct slice text, uint8_t *ret)
{
	return text.len == 16 || text.len == 32 ? id_parse(text, ret, 16) : -EINVAL;
}

static bool is_lower_hex(struct slice s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		if (hex_digit(s.at[i]) < 0 || (s.at[i] >= 'A' && s.at[i] <= 'F'))
			return false;
	return true;
}

static void id_hash(struct slice text, uint8_t *ret)
{
	XXH128_canonical_t canonical;

	XXH128_canonicalFromHash(&canonical, XXH3_128bits(text.at, text.len));
	memcpy(ret, canonical.digest, sizeof(canonical.digest));
}

/* --- W3C ----------------------------------------------------------------------------------- */

#define TRACEPARENT_LEN 55
#define TRACE_FLAGS_KNOWN 3	/* sampled, random */

int traceparent_parse(struct slice text, struct found *ret)
{
	struct slice version, trace, span, flags, rest;
	uint8_t bits;

	if (text.len < TRACEPARENT_LEN)
		return -EINVAL;
	version = slice_of(text.at, 2);
	trace = slice_of(text.at + 3, 32);
	span = slice_of(text.at + 36, 16);
	flags = slice_of(text.at + 53, 2);
	rest = slice_from(text, TRACEPARENT_LEN);
	if (text.at[2] != '-' || text.at[35] != '-' || text.at[52] != '-')
		return -EINVAL;
	if (!is_lower_hex(version) || !is_lower_hex(trace) || !is_lower_hex(span) ||
	    !is_lower_hex(flags) || slice_is(version, "ff"))
		return -EINVAL;
	/* later versions may add fields, this one may not */
	if (rest.len && (slice_is(version, "00") || rest.at[0] != '-'))
		return -EINVAL;
	if (id_parse_exact(trace, ret->trace_id, 16) || id_parse_exact(span, ret->span_id, 8))
		return -EINVAL;
	bits = hex_digit(flags.at[0]) << 4 | hex_digit(flags.at[1]);
	ret->flags = bits & TRACE_FLAGS_KNOWN;
	ret->has_span_id = true;
	return 0;
}

int format_traceparent(const struct context_reader *r, struct found *ret)
{
	if (!r->slots[SLOT_TRACEPARENT].count)
		return -ENOENT;
	return traceparent_parse(r->slots[SLOT_TRACEPARENT].value, ret);
}

/* --- B3 -------------------------------------------------------------------------------------- */

static int b3_state(struct slice state, uint8_t *ret_flags)
{
	if (slice_is(state, "1") || slice_is(state, "d") || slice_is_nocase(state, "true"))
		*ret_flags = 1;
	else if (!slice_is(state, "0") && !slice_is_nocase(state, "false"))
		return -EINVAL;
	return 0;
}

/* {trace}-{span}[-{state}[-{parent}]], or a decision alone, which names no trace */
static int b3_single(struct slice text, struct found *ret)
{
	struct slice trace, span, state, parent;
	uint8_t ignored[8];

	if (slice_is(text, "0") || slice_is(text, "1") || slice_is(text, "d"))
		return -ENOENT;
	slice_cut(&text, '-', &trace);
	if (!slice_cut(&text, '-', &span) || trace_id_parse(trace, ret->trace_id) ||
	    id_parse_exact(span, ret->span_id, 8))
		return -EINVAL;
	ret->has_span_id = true;
	if (!slice_cut(&text, '-', &state))
		return 0;
	if (state.len != 1 || b3_state(state, &ret->flags))
		return -EINVAL;
	if (slice_cut(&text, '-', &parent) && (text.at || id_parse_exact(parent, ignored, 8)))
		return -EINVAL;
	return 0;
}

int format_b3(const struct context_reader *r, struct found *ret)
{
	const struct context_value *s = r->slots;

	if (s[SLOT_B3].count)
		return b3_single(s[SLOT_B3].value, ret);
	if (!s[SLOT_B3_TRACE].count && !s[SLOT_B3_SPAN].count)
		return -ENOENT;
	if (!s[SLOT_B3_TRACE].count || !s[SLOT_B3_SPAN].count ||
	    trace_id_parse(s[SLOT_B3_TRACE].value, ret->trace_id) ||
	    id_parse_exact(s[SLOT_B3_SPAN].value, ret->span_id, 8))
		return -EINVAL;
	ret->has_span_id = true;
	if (s[SLOT_B3_SAMPLED].count && b3_state(s[SLOT_B3_SAMPLED].value, &ret->flags))
		return -EINVAL;
	if (s[SLOT_B3_FLAGS].count && slice_is(s[SLOT_B3_FLAGS].value, "1"))
		ret->flags = 1;		/* debug means sampled */
	return 0;
}

/* --- Jaeger ---------------------------------------------------------------------------------- */

/* %3A for the colons is allowed; no other escape can stand in a valid value */
static int uber_unescape(struct slice in, char *buf, struct slice *ret)
{
	size_t i, out = 0;

	if (in.len > UBER_TEXT_MAX)
		return -EINVAL;
	for (i = 0; i < in.len; i++) {
		if (in.len - i >= 3 && !strncasecmp(in.at + i, "%3a", 3)) {
			buf[out++] = ':';
			i += 2;
		} else {
			buf[out++] = in.at[i];
		}
	}
	*ret = slice_of(buf, out);
	return 0;
}

/* {trace}:{span}:{parent}:{flags}; leading zeros may be missing; the parent is deprecated */
int format_uber(const struct context_reader *r, struct found *ret)
{
	struct slice text, part[4];
	char buf[UBER_TEXT_MAX];
	size_t i;
	int flags = 0;

	if (!r->slots[SLOT_UBER].count)
		return -ENOENT;
	if (uber_unescape(r->slots[SLOT_UBER].value, buf, &text))
		return -EINVAL;
	for (i = 0; i < 4; i++)
		if (!slice_cut(&text, ':', &part[i]))
			return -EINVAL;
	if (text.at || id_parse(part[0], ret->trace_id, 16) || id_parse(part[1], ret->span_id, 8))
		return -EINVAL;
	if (!part[3].len || part[3].len > 2)
		return -EINVAL;
	for (i = 0; i < part[3].len; i++) {
		int digit = hex_digit(part[3].at[i]);

		if (digit < 0)
			return -EINVAL;
		flags = flags << 4 | digit;
	}
	ret->has_span_id = true;
	ret->flags = flags & 3 ? 1 : 0;	/* 1 sampled, 2 debug */
	return 0;
}

/* --- X-Ray ----------------------------------------------------------------------------------- */

/* 1-{8 digits of time}-{24 digits} */
static int xray_root(struct slice text, uint8_t *ret)
{
	char digits[32];

	if (text.len != 35 || text.at[0] != '1' || text.at[1] != '-' || text.at[10] != '-')
		return -EINVAL;
	memcpy(digits, text.at + 2, 8);
	memcpy(digits + 8, text.at + 11, 24);
	return id_parse_exact(slice_of(digits, sizeof(digits)), ret, 16);
}

int format_xray(const struct context_reader *r, struct found *ret)
{
	struct slice text = r->slots[SLOT_XRAY].value, field, key;
	bool has_root = false;

	if (!r->slots[SLOT_XRAY].count)
		return -ENOENT;
	while (slice_cut(&text, ';', &field)) {
		field = slice_trim(field);
		if (!slice_cut(&field, '=', &key) || !field.at)
			continue;
		if (slice_is_nocase(key, "root")) {
			if (has_root || xray_root(field, ret->trace_id))
				return -EINVAL;
			has_root = true;
		} else if (slice_is_nocase(key, "parent")) {
			if (id_parse_exact(field, ret->span_id, 8))
				return -EINVAL;
			ret->has_span_id = true;
		} else if (slice_is_nocase(key, "sampled")) {
			ret->flags = slice_is(field, "1");
		}
	}
	return has_root ? 0 : -EINVAL;
}

/* --- Datadog --------------------------------------------------------------------------------- */

static int decimal_parse(struct slice text, uint64_t *ret)
{
	uint64_t value = 0;
	size_t i;

	if (!text.len || text.len > 20)
		return -EINVAL;
	for (i = 0; i < text.len; i++) {
		if (text.at[i] < '0' || text.at[i] > '9' ||
		    __builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, text.at[i] - '0', &value))
			return -EINVAL;
	}
	*ret = value;
	return 0;
}

static void put_be64(uint8_t *at, uint64_t value)
{
	int i;

	for (i = 7; i >= 0; i--, value >>= 8)
		at[i] = value;
}

/* The high half of the id travels among the tags; a malformed one is left out, as theirs does. */
static void datadog_high(struct slice tags, uint8_t *ret)
{
	static const char key[] = "_dd.p.tid=";
	struct slice tag;

	while (slice_cut(&tags, ',', &tag))
		if (slice_starts(tag, key))
			id_parse_exact(slice_from(tag, sizeof(key) - 1), ret, 8);
}

int format_datadog(const struct context_reader *r, struct found *ret)
{
	const struct context_value *s = r->slots;
	uint64_t trace, parent = 0;

	if (!s[SLOT_DATADOG_TRACE].count)
		return -ENOENT;
	if (decimal_parse(s[SLOT_DATADOG_TRACE].value, &trace) || !trace)
		return -EINVAL;
	if (s[SLOT_DATADOG_PARENT].count && decimal_parse(s[SLOT_DATADOG_PARENT].value, &parent))
		return -EINVAL;
	put_be64(ret->trace_id + 8, trace);
	if (s[SLOT_DATADOG_TAGS].count)
		datadog_high(s[SLOT_DATADOG_TAGS].value, ret->trace_id);
	put_be64(ret->span_id, parent);
	ret->has_span_id = parent != 0;
	if (slice_is(s[SLOT_DATADOG_PRIORITY].value, "1") ||
	    slice_is(s[SLOT_DATADOG_PRIORITY].value, "2"))
		ret->flags = 1;
	return 0;
}

/* --- SkyWalking ------------------------------------------------------------------------------ */

static int base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* 0 or -EINVAL: not base64, or more than @room bytes; *ret_len is what was written */
static int base64_decode(struct slice in, char *out, size_t room, size_t *ret_len)
{
	unsigned int bits = 0, count = 0;
	size_t i, len = in.len, n = 0;

	while (len && in.len - len < 2 && in.at[len - 1] == '=')
		len--;
	if (!len || len % 4 == 1 || len * 3 / 4 > room)
		return -EINVAL;
	for (i = 0; i < len; i++) {
		int digit = base64_digit(in.at[i]);

		if (digit < 0)
			return -EINVAL;
		bits = bits << 6 | digit;
		count += 6;
		if (count >= 8) {
			count -= 8;
			out[n++] = bits >> count;
		}
	}
	*ret_len = n;
	return 0;
}

/*
 * Eight fields, the second is the trace id in base64. Its ids are text of the sender's own
 * making, so the trace id is a hash of it; no exported span can carry the parent's.
 */
int format_sw8(const struct context_reader *r, struct found *ret)
{
	struct slice text = r->slots[SLOT_SW8].value, field[8];
	size_t i, len;

	if (!r->slots[SLOT_SW8].count)
		return -ENOENT;
	for (i = 0; i < 8; i++)
		if (!slice_cut(&text, '-', &field[i]))
			return -EINVAL;
	if (text.at || base64_decode(field[1], ret->decoded, sizeof(ret->decoded), &len))
		return -EINVAL;
	if (!slice_is(field[0], "0") && !slice_is(field[0], "1"))
		return -EINVAL;
	ret->flags = slice_is(field[0], "1");
	ret->original = slice_of(ret->decoded, len);
	id_hash(ret->original, ret->trace_id);
	return 0;
}

/* --- configured headers ---------------------------------------------------------------------- */

static int uuid_parse(struct slice text, uint8_t *ret)
{
	static const size_t dashes[] = { 8, 13, 18, 23 };
	char digits[36];
	size_t i, out = 0, dash = 0;

	if (text.len != 36)
		return -EINVAL;
	for (i = 0; i < text.len; i++) {
		if (dash < 4 && i == dashes[dash]) {
			if (text.at[i] != '-')
				return -EINVAL;
			dash++;
		} else {
			digits[out++] = text.at[i];
		}
	}
	return id_parse_exact(slice_of(digits, out), ret, 16);
}

static bool is_zero_id(struct slice text)
{
	size_t i;

	for (i = 0; i < text.len; i++)
		if (text.at[i] != '0' && text.at[i] != '-')
			return false;
	return true;
}

int format_custom(const struct context_reader *r, unsigned int index, struct found *ret)
{
	struct slice text = r->slots[SLOT_CUSTOM + index].value;

	if (!r->slots[SLOT_CUSTOM + index].count)
		return -ENOENT;
	/* empty, or a nil id: a placeholder that many unrelated messages would share */
	if (is_zero_id(text))
		return -EINVAL;
	if (!uuid_parse(text, ret->trace_id) || !trace_id_parse(text, ret->trace_id))
		return 0;
	ret->original = text;
	id_hash(text, ret->trace_id);
	return 0;
}
