/* backoff: how long to wait before the next try: doubling, with jitter, or as was asked. */
#ifndef SEND_BACKOFF_H
#define SEND_BACKOFF_H

#include <stdint.h>

#define BACKOFF_FIRST_MS 1000	/* a back end that is down is asked once a second at most */
#define BACKOFF_MAX_MS 30000

struct backoff {
	uint32_t next_ms;	/* 0: no try has failed yet */
};

/*
 * The wait after one more failure, at least its base and less than half more: @random spreads
 * many agents that lost the same back end. @retry_after_s, where not 0, is obeyed, up to
 * REPLY_RETRY_MAX_S.
 */
uint64_t backoff_wait_ms(struct backoff *b, uint64_t retry_after_s, uint32_t random);

#endif
