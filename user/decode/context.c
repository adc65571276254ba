/* context: see context.h. */
#include "decode/context.h"

#include <errno.h>

#include "decode/formats.h"

/* SLOT_CUSTOM and later have their names from the configuration */
static const struct {
	const char *name;
	size_t len;
} slot_names[SLOT_CUSTOM] = {
#define SLOT_NAME(slot, text) [slot] = { text, sizeof(text) - 1 }
	SLOT_NAME(SLOT_TRACEPARENT, "traceparent"),
	SLOT_NAME(SLOT_B3, "b3"),
	SLOT_NAME(SLOT_B3_TRACE, "x-b3-traceid"),
	SLOT_NAME(SLOT_B3_SPAN, "x-b3-spanid"),
	SLOT_NAME(SLOT_B3_SAMPLED, "x-b3-sampled"),
	SLOT_NAME(SLOT_B3_FLAGS, "x-b3-flags"),
	SLOT_NAME(SLOT_UBER, "uber-trace-id"),
	SLOT_NAME(SLOT_XRAY, "x-amzn-trace-id"),
	SLOT_NAME(SLOT_DATADOG_TRACE, "x-datadog-trace-id"),
	SLOT_NAME(SLOT_DATADOG_PARENT, "x-datadog-parent-id"),
	SLOT_NAME(SLOT_DATADOG_PRIORITY, "x-datadog-sampling-priority"),
	SLOT_NAME(SLOT_DATADOG_TAGS, "x-datadog-tags"),
	SLOT_NAME(SLOT_SW8, "sw8"),
#undef SLOT_NAME
};

/* in the order of trust; configured headers come after them */
static const struct {
	const char *name;
	int (*parse)(const struct context_reader *r, struct found *ret);
	unsigned int first, last;	/* its slots */
} formats[] = {
	{ "traceparent", format_traceparent, SLOT_TRACEPARENT, SLOT_TRACEPARENT },
	{ "b3", format_b3, SLOT_B3, SLOT_B3_FLAGS },
	{ "uber-trace-id", format_uber, SLOT_UBER, SLOT_UBER },
	{ "x-amzn-trace-id", format_xray, SLOT_XRAY, SLOT_XRAY },
	{ "datadog", format_datadog, SLOT_DATADOG_TRACE, SLOT_DATADOG_TAGS },
	{ "sw8", format_sw8, SLOT_SW8, SLOT_SW8 },
};

#define FORMAT_COUNT (sizeof(formats) / sizeof(formats[0]))

void context_begin(struct context_reader *r, enum context_source source, char *const *custom,
		   unsigned int custom_count)
{
	memset(r->slots, 0, sizeof(r->slots));
	r->source = source;
	r->custom = custom;
	r->custom_count = custom_count < CONTEXT_CUSTOM_MAX ? custom_count : CONTEXT_CUSTOM_MAX;
	r->state_count = 0;
	r->seen = 0;
}

_Static_assert(SLOT_MAX <= 32, "a bit for each slot in seen");

static void slot_put(struct context_reader *r, unsigned int slot, struct slice value)
{
	r->slots[slot].value = slice_trim(value);
	r->slots[slot].count++;
	r->seen |= 1U << slot;
}

void context_header(struct context_reader *r, struct slice name, struct slice value)
{
	unsigned int i;

	for (i = 0; i < SLOT_CUSTOM; i++)
		if (name.len == slot_names[i].len &&
		    !strncasecmp(name.at, slot_names[i].name, name.len)) {
			slot_put(r, i, value);
			break;
		}
	for (i = 0; i < r->custom_count; i++)
		if (slice_is_nocase(name, r->custom[i]))
			slot_put(r, SLOT_CUSTOM + i, value);
	if (!slice_is_nocase(name, "tracestate"))
		return;
	if (r->source == CONTEXT_KAFKA)
		r->state_count = 0;
	if (r->state_count < CONTEXT_STATE_MAX)
		r->states[r->state_count] = value;
	r->state_count++;
}

/* In HTTP nobody can say which of two headers the program believes. */
static bool is_repeated(const struct context_reader *r, unsigned int first, unsigned int last)
{
	unsigned int i;

	if (r->source != CONTEXT_HTTP)
		return false;
	for (i = first; i <= last; i++)
		if (r->slots[i].count > 1)
			return true;
	return false;
}

/* An id of 64 bits is the low half of the 128 bits that another format writes. */
static bool is_same_trace(const uint8_t *a, const uint8_t *b)
{
	static const uint8_t zero[8];

	if (memcmp(a + 8, b + 8, 8))
		return false;
	return !memcmp(a, b, 8) || !memcmp(a, zero, 8) || !memcmp(b, zero, 8);
}

static void take(struct context *ret, const char *format, const struct found *f)
{
	ret->has_trace_id = true;
	memcpy(ret->trace_id, f->trace_id, sizeof(ret->trace_id));
	ret->has_span_id = f->has_span_id;
	memcpy(ret->span_id, f->span_id, sizeof(ret->span_id));
	ret->flags = f->flags;
	ret->format = format;
}

static void take_found(struct context *ret, const char *format, const struct found *f,
		       struct attrs *attrs)
{
	if (!ret->has_trace_id) {
		take(ret, format, f);
		if (f->original.len)
			attrs_set_strn(attrs, CONTEXT_ORIGINAL_ATTR, f->original.at,
				       f->original.len);
		return;
	}
	if (ret->has_other || is_same_trace(ret->trace_id, f->trace_id))
		return;
	ret->has_other = true;
	memcpy(ret->other_trace_id, f->trace_id, sizeof(ret->other_trace_id));
	memcpy(ret->other_span_id, f->span_id, sizeof(ret->other_span_id));
}

/* 0, -ENOENT or -EINVAL; @index: into formats, then the configured headers */
static int parse_format(const struct context_reader *r, unsigned int index, struct found *ret)
{
	bool is_custom = index >= FORMAT_COUNT;
	unsigned int custom = index - FORMAT_COUNT;
	unsigned int first = is_custom ? SLOT_CUSTOM + custom : formats[index].first;
	unsigned int last = is_custom ? first : formats[index].last;

	/* mostly there is nothing */
	if (!(r->seen >> first & ((2U << (last - first)) - 1)))
		return -ENOENT;
	if (is_repeated(r, first, last))
		return -EINVAL;
	memset(ret, 0, sizeof(*ret));
	return is_custom ? format_custom(r, custom, ret) : formats[index].parse(r, ret);
}

unsigned int context_end(const struct context_reader *r, struct strings *strings,
			 struct context *ret, struct attrs *attrs)
{
	unsigned int i, invalid = 0;
	struct found f;
	int err;

	*ret = (struct context){ 0 };
	for (i = 0; r->seen && i < FORMAT_COUNT + r->custom_count; i++) {
		err = parse_format(r, i, &f);
		if (!err)
			take_found(ret, i < FORMAT_COUNT ? formats[i].name : "custom", &f, attrs);
		else if (err != -ENOENT)
			invalid++;
	}
	if (ret->has_trace_id && ret->format == formats[0].name)
		ret->tracestate = tracestate_join(r->states, r->state_count, strings);
	return invalid;
}

int context_from_traceparent(const char *text, size_t len, struct context *ret)
{
	struct found f = { 0 };
	int err;

	err = traceparent_parse(slice_trim(slice_of(text, len)), &f);
	if (err)
		return err;
	*ret = (struct context){ 0 };
	take(ret, formats[0].name, &f);
	return 0;
}
