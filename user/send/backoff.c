/* backoff: see backoff.h. */
#include "send/backoff.h"

#include "send/reply.h"

uint64_t backoff_wait_ms(struct backoff *b, uint64_t retry_after_s, uint32_t random)
{
	uint64_t base;

	base = b->next_ms ? b->next_ms : BACKOFF_FIRST_MS;
	b->next_ms = base * 2 < BACKOFF_MAX_MS ? base * 2 : BACKOFF_MAX_MS;
	if (retry_after_s > REPLY_RETRY_MAX_S)
		retry_after_s = REPLY_RETRY_MAX_S;
	if (retry_after_s)
		return retry_after_s * 1000 + random % 250;	/* not all in the same moment */
	return base + random % (base / 2);
}
