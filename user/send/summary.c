/* summary: see summary.h. The two sums are those of include/counters.h. */
#include "send/summary.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "send/write.h"
#include "util/count.h"

#define LOST "kernel.lost."
#define DROPPED "spans.dropped."

static bool is_of(enum counter id, const char *family)
{
	return !strncmp(counter_name(id), family, strlen(family));
}

static uint64_t sum_of(const struct counters *c, const char *family)
{
	uint64_t sum = 0;
	int id;

	for (id = 0; id < COUNTER_MAX; id++)
		if (is_of(id, family))
			sum += c->value[id];
	return sum;
}

static void put_row(FILE *to, const char *name, uint64_t value, const char *sentence)
{
	fprintf(to, "  %-30s %12" PRIu64 "  %s\n", name, value, sentence);
}

static void put(FILE *to, const struct counters *c, enum counter id)
{
	put_row(to, counter_name(id), c->value[id], counter_sentence(id));
}

/* The sum of a family, then each of its causes that is not zero. */
static void put_family(FILE *to, const struct counters *c, const char *family, const char *name,
		       const char *sentence)
{
	int id;

	put_row(to, name, sum_of(c, family), sentence);
	for (id = 0; id < COUNTER_MAX; id++)
		if (is_of(id, family) && c->value[id])
			put(to, c, id);
}

/* Rows that have their own place in the block. */
static bool is_placed(enum counter id)
{
	return id == RECORDS_SEEN || id == KERNEL_RECORDS || id == KERNEL_SUBMITTED ||
	       id == SPANS_MADE || id == SPANS_SENT || id == SPANS_HELD || is_of(id, LOST) ||
	       is_of(id, DROPPED);
}

static const char *agreement(uint64_t whole, uint64_t parts)
{
	return whole == parts ? "agrees" : "DOES NOT AGREE";
}

static void put_sums(FILE *to, const struct counters *c, uint64_t waiting)
{
	uint64_t lost = sum_of(c, LOST), dropped = sum_of(c, DROPPED);
	uint64_t records = c->value[KERNEL_RECORDS], submitted = c->value[KERNEL_SUBMITTED];
	uint64_t made = c->value[SPANS_MADE], sent = c->value[SPANS_SENT];
	uint64_t held = c->value[SPANS_HELD];

	fprintf(to, "  records %" PRIu64 " = submitted %" PRIu64 " + lost %" PRIu64 ": %s\n",
		records, submitted, lost, agreement(records, submitted + lost));
	fprintf(to, "  spans made %" PRIu64 " = sent %" PRIu64, made, sent);
	fprintf(to, " + held %" PRIu64, held);
	if (waiting)
		fprintf(to, " + waiting %" PRIu64, waiting);
	fprintf(to, " + dropped %" PRIu64 ": %s\n", dropped,
		agreement(made, sent + held + waiting + dropped));
}

int summary_text(char **ret, const struct counters *c, uint64_t waiting)
{
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);
	int id;

	if (!to)
		return -ENOMEM;
	fputs("spanstitch: counters\n", to);
	put(to, c, RECORDS_SEEN);
	put_family(to, c, LOST, "lost", "records lost in the kernel, in all");
	for (id = 0; id < COUNTER_MAX; id++)
		if (c->value[id] && !is_placed(id))
			put(to, c, id);
	put(to, c, SPANS_MADE);
	put(to, c, SPANS_SENT);
	if (c->value[SPANS_HELD])
		put(to, c, SPANS_HELD);
	if (waiting)
		put_row(to, "spans.waiting", waiting, "spans on their way to the back end");
	put_family(to, c, DROPPED, "dropped", "spans dropped, in all");
	put_sums(to, c, waiting);
	if (fclose(to)) {
		free(text);
		return -ENOMEM;
	}
	*ret = text;
	return 0;
}

int summary_write(int fd, const struct counters *c, uint64_t waiting)
{
	char *text;
	int err = summary_text(&text, c, waiting);

	if (err)
		return err;
	err = write_all(fd, text, strlen(text), NULL);
	free(text);
	return err;
}
