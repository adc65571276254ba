/* message: the kinds of messages that the exerciser sends, one after another. */
#include "exerciser.h"

#include <stdio.h>
#include <string.h>

#define LARGE_BYTES (1 << 20)
#define MANY_HEADERS 64

static char large[LARGE_BYTES];
static const char value[] =
	"a value whose length tells the messages of a scenario apart, up to some length at least, "
	"and which is a little longer than what is usual, so that a codec has something to do too";
static const char binary[] = "\x00\x01\xfe\xff\x80\r\n\"\\";

static void add_header(struct message *m, const char *name, const char *text, ptrdiff_t len)
{
	m->headers[m->headers_n++] = (struct header){ name, text, len };
}

/* The ids are of @scenario, @i and @nth alone, so that a run can be repeated. */
static void add_context(struct message *m, unsigned int scenario, int i, int nth)
{
	char *text = m->context[nth];
	int n = snprintf(text, sizeof(m->context[0]), "00-%08x%08xfeedfacecafe%04x-%08x%04x%04x-01",
			 scenario + 1, (unsigned int)i, nth, scenario + 1, i & 0xffff, nth + 1);

	add_header(m, "traceparent", text, n);
}

static void kind_plain(struct message *m, unsigned int scenario, int i)
{
	add_context(m, scenario, i, 0);
}

static void kind_null_key(struct message *m, unsigned int scenario, int i)
{
	m->key = NULL;
	m->key_len = 0;
	add_context(m, scenario, i, 0);
}

static void kind_null_value(struct message *m, unsigned int scenario, int i)
{
	m->value = NULL;
	m->len = 0;
	add_context(m, scenario, i, 0);
}

static void kind_empty(struct message *m, unsigned int scenario, int i)
{
	m->key_len = 0;
	m->len = 0;
	add_header(m, "empty", "", 0);
	add_context(m, scenario, i, 0);
	add_header(m, "null", NULL, 0);
}

static void kind_binary(struct message *m, unsigned int scenario, int i)
{
	m->key = binary;
	m->key_len = sizeof(binary) - 1;
	add_header(m, "binary", binary, sizeof(binary) - 1);
	add_context(m, scenario, i, 0);
}

/* The last one counts. */
static void kind_twice(struct message *m, unsigned int scenario, int i)
{
	add_context(m, scenario, i, 0);
	add_header(m, "between", "x", 1);
	add_context(m, scenario, i, 1);
}

static void kind_many(struct message *m, unsigned int scenario, int i)
{
	int h;

	for (h = 1; h < MANY_HEADERS; h++)
		add_header(m, "one-of-many", "0123456789", h % 10);
	add_context(m, scenario, i, 0);
}

static void kind_bare(struct message *m, unsigned int scenario, int i)
{
	(void)m, (void)scenario, (void)i;
}

static void kind_malformed(struct message *m, unsigned int scenario, int i)
{
	add_context(m, scenario, i, 0);
	m->context[0][2] = '_';
}

static void kind_capitals(struct message *m, unsigned int scenario, int i)
{
	add_context(m, scenario, i, 0);
	m->headers[0].name = "TraceParent";
}

static void (*const kinds[])(struct message *, unsigned int, int) = {
	kind_plain, kind_bare, kind_null_key, kind_null_value, kind_empty, kind_binary,
	kind_twice, kind_many, kind_bare, kind_malformed, kind_capitals,
};

void message_make(struct message *ret, unsigned int scenario, int i)
{
	*ret = (struct message){
		.key = ret->key_room, .value = value,
		.len = (size_t)i % (sizeof(value) - 1) + 1,
	};
	ret->key_len = (size_t)snprintf(ret->key_room, sizeof(ret->key_room), "key-%d", i);
	kinds[(size_t)i % (sizeof(kinds) / sizeof(*kinds))](ret, scenario, i);
}

void message_make_large(struct message *ret, unsigned int scenario, int i)
{
	message_make(ret, scenario, i);
	memset(large, 'x', sizeof(large));
	ret->value = large;
	ret->len = sizeof(large);
}
