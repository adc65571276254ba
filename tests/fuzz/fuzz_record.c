/* fuzz_record: a recording is a foreign file: replay says what is wrong, and stays within it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "collect/record.h"
#include "collect/replay.h"
#include "util/count.h"

/* What replay promises of each record that it hands on: its bytes are there, its head is sane. */
static void on_record(void *ctx, const struct wire_head *rec)
{
	unsigned char copy[WIRE_RECORD_MAX];
	uint64_t *handed = ctx;

	if (!record_is_sane(rec, sizeof(copy)))
		abort();
	memcpy(copy, rec, rec->len);
	(*handed)++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct counters c = { 0 };
	struct replay *r;
	uint64_t handed = 0, steps = 0;

	if (replay_new_memory(&r, data, size, &c))
		return 0;
	if (!memchr(replay_info(r)->host, '\0', RECORD_HOST_BYTES))
		abort();
	replay_set_next(r, on_record, &handed);
	while (replay_step(r) == 1)
		steps++;
	if (steps != c.value[RECORDS_SEEN] || handed + c.value[RECORDS_REJECTED] != steps ||
	    steps > size / sizeof(struct wire_head))
		abort();
	replay_free(r);
	return 0;
}
