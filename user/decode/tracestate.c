/* tracestate: the W3C header beside traceparent; see formats.h. Level 2 rules. */
#include "decode/formats.h"

#include <ctype.h>

#define STATE_MEMBERS_MAX 32
#define STATE_KEY_MAX 256
#define STATE_VALUE_MAX 256
#define STATE_LONG_MEMBER 128	/* when cutting, longer members go first */

struct members {
	struct slice list[STATE_MEMBERS_MAX];
	unsigned int count;
	size_t bytes;		/* of all, with the commas between them */
};

static bool is_key(struct slice key)
{
	size_t i;

	if (!key.len || key.len > STATE_KEY_MAX)
		return false;
	for (i = 0; i < key.len; i++) {
		unsigned char c = key.at[i];

		if (islower(c) || isdigit(c))
			continue;
		if (!i || !c || !strchr("_-*/@", c))
			return false;
	}
	return true;
}

static bool is_value(struct slice value)
{
	size_t i;

	if (!value.len || value.len > STATE_VALUE_MAX || value.at[value.len - 1] == ' ')
		return false;
	for (i = 0; i < value.len; i++)
		if (value.at[i] < 0x20 || value.at[i] > 0x7e || value.at[i] == '=')
			return false;
	return true;
}

static bool has_key(const struct members *m, struct slice key)
{
	unsigned int i;

	for (i = 0; i < m->count; i++)
		if (m->list[i].len > key.len && m->list[i].at[key.len] == '=' &&
		    !memcmp(m->list[i].at, key.at, key.len))
			return true;
	return false;
}

/* false: the member makes the whole state invalid */
static bool add(struct members *m, struct slice member)
{
	struct slice rest, key;

	member = slice_trim(member);
	if (!member.len)
		return true;
	rest = member;
	slice_cut(&rest, '=', &key);
	if (!rest.at || !is_key(key) || !is_value(rest))
		return false;
	if (m->count == STATE_MEMBERS_MAX)
		return false;
	if (has_key(m, key))
		return true;	/* a repeated key: the first one stays */
	m->bytes += member.len + (m->count ? 1 : 0);
	m->list[m->count++] = member;
	return true;
}

static void drop(struct members *m, unsigned int index)
{
	m->bytes -= m->list[index].len + (m->count > 1 ? 1 : 0);
	m->count--;
	memmove(&m->list[index], &m->list[index + 1], (m->count - index) * sizeof(m->list[0]));
}

static void cut(struct members *m)
{
	unsigned int i;

	for (i = m->count; i > 0 && m->bytes > TRACESTATE_MAX; i--)
		if (m->list[i - 1].len > STATE_LONG_MEMBER)
			drop(m, i - 1);
	while (m->bytes > TRACESTATE_MAX)
		drop(m, m->count - 1);
}

char *tracestate_join(const struct slice *states, unsigned int count, struct strings *strings)
{
	struct members m = { .count = 0 };
	unsigned int i;
	char *text, *at;

	if (count > CONTEXT_STATE_MAX)
		return NULL;
	for (i = 0; i < count; i++) {
		struct slice state = states[i], member;

		while (slice_cut(&state, ',', &member))
			if (!add(&m, member))
				return NULL;
	}
	cut(&m);
	if (!m.count)
		return NULL;
	text = strings_take(strings, m.bytes);
	if (!text)
		return NULL;
	for (at = text, i = 0; i < m.count; i++) {
		if (i)
			*at++ = ',';
		memcpy(at, m.list[i].at, m.list[i].len);
		at += m.list[i].len;
	}
	*at = '\0';
	return text;
}
