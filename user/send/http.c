/*
 * http: see http.h. The lock guards the queue and the counts; the thread gives it up while it
 * talks to the back end or waits to try again.
 */
#include "send/http.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "join/span.h"
#include "send/backoff.h"
#include "send/gzip.h"
#include "send/otlp.h"
#include "send/post.h"
#include "send/queue.h"
#include "send/reply.h"
#include "send/request.h"
#include "send/settings.h"

/* What happens now, as the user reads it; each is a kind of trouble. */
static const char waits[] = "wait for the next try";
static const char *const ends[VERDICT_MAX] = {
	[VERDICT_DELIVERED] = "were sent",
	[VERDICT_RETRY] = "are dropped: it took too long",
	[VERDICT_TOO_LARGE] = "are dropped",
	[VERDICT_REFUSED] = "are dropped",
};

struct batch {
	struct otlp_piece pieces[QUEUE_BATCH_PIECES];
	bool is_counted[QUEUE_BATCH_PIECES];
	size_t count, spans, bytes;
};

struct http {
	const struct settings *settings;
	bool is_patient;
	struct post *post;
	pthread_t thread;
	bool has_thread;
	/* the thread's own */
	struct batch batch;
	struct reply reply;
	const char *told;		/* the last trouble that was told, NULL: none; and when */
	uint64_t told_ms;
	/* under the lock */
	pthread_mutex_t lock;
	pthread_cond_t wake, changed;	/* for the thread; for http_feed() and http_flush() */
	struct queue queue;
	uint64_t waiting;
	struct http_counts counts;
	struct fault note;
	uint64_t flush_until_ms;	/* 0: no flush */
	bool is_busy;			/* a batch is in the thread's hands */
	bool is_down;			/* the last batch was given up */
	bool is_giving_up;		/* a flush's time is over */
	bool is_ending;			/* the thread is to end */
};

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ull + ts.tv_nsec / 1000000;
}

/* Waits on @cond until it is signaled or the clock says @until_ms. */
static void wait_until(struct http *h, pthread_cond_t *cond, uint64_t until_ms)
{
	struct timespec ts = { until_ms / 1000, until_ms % 1000 * 1000000 };

	pthread_cond_timedwait(cond, &h->lock, &ts);
}

/* The end of @spans, under the lock. */
static void decide(struct http *h, uint64_t *count, size_t spans, bool is_counted)
{
	if (is_counted)
		return;
	*count += spans;
	h->waiting -= spans;
}

/* The thread's side. */

static bool is_due(const struct http *h, uint64_t now)
{
	const struct queued *first = queue_first(&h->queue);

	return first && (h->flush_until_ms || h->queue.spans >= h->settings->batch_spans ||
			 now >= first->at_ms + h->settings->delay_ms);
}

/* As many pieces as one request takes; at least one. */
static void take_batch(struct http *h)
{
	struct batch *b = &h->batch;
	const struct queued *first;
	struct queued item;

	b->count = b->spans = b->bytes = 0;
	while ((first = queue_first(&h->queue)) && b->count < QUEUE_BATCH_PIECES) {
		if (b->count && (b->spans + first->piece.spans > h->settings->batch_spans ||
				 b->bytes + first->piece.len > OTLP_PIECE_BYTES))
			break;
		queue_take(&h->queue, &item);
		b->pieces[b->count] = item.piece;
		b->is_counted[b->count++] = item.is_counted;
		b->spans += item.piece.spans;
		b->bytes += item.piece.len;
	}
}

/* Tells the user, though not of the same trouble again and again; @what_now: one of the above. */
static void tell(struct http *h, const struct judgement *j, size_t spans, const char *what_now)
{
	uint64_t now = now_ms();

	if (!*j->text || (h->told == what_now && now < h->told_ms + HTTP_NOTE_EVERY_MS))
		return;
	h->told = what_now;
	h->told_ms = now;
	pthread_mutex_lock(&h->lock);
	fault_set(&h->note, "%s: %s: %zu spans %s", post_address(h->post), j->text, spans,
		  what_now);
	pthread_mutex_unlock(&h->lock);
}

static int make_body(char **ret, size_t *ret_len, struct http *h, size_t from, size_t count)
{
	size_t len = 0, i;
	char *plain;
	int err = 0;

	for (i = from; i < from + count; i++)
		len += h->batch.pieces[i].len;
	plain = malloc(len + 1);
	if (!plain)
		return -ENOMEM;
	len = otlp_join(plain, h->settings->form, h->batch.pieces + from, count);
	if (h->settings->is_gzip) {
		err = gzip_encode(ret, ret_len, plain, len);
		free(plain);
	} else {
		*ret = plain;
		*ret_len = len;
	}
	return err;
}

/*
 * False: there is no time for it, or everything is to be given up. A flush that begins
 * meanwhile cuts the wait short, unless the back end asked for it: it may be back.
 */
static bool wait_to_retry(struct http *h, uint64_t wait_ms, uint64_t end_ms)
{
	uint64_t until = now_ms() + wait_ms, flush;
	bool is_fine = true;

	if (end_ms && until >= end_ms)
		return false;
	pthread_mutex_lock(&h->lock);
	flush = h->flush_until_ms;
	while (is_fine && now_ms() < until) {
		if (!flush && h->flush_until_ms && !h->reply.retry_after_s)
			break;
		is_fine = !h->is_ending && !h->is_giving_up &&
			  !(h->flush_until_ms && until >= h->flush_until_ms);
		if (is_fine)
			wait_until(h, &h->wake, until);
	}
	pthread_mutex_unlock(&h->lock);
	return is_fine;
}

/* How long one request may take; 0: no limit. */
static uint64_t request_limit(const struct settings *s, uint64_t end_ms)
{
	uint64_t now = now_ms(), left;

	if (!end_ms)
		return s->timeout_ms;
	left = end_ms > now ? end_ms - now : 1;
	return s->timeout_ms && s->timeout_ms < left ? s->timeout_ms : left;
}

/* One request until it is decided; VERDICT_RETRY is then that the time was up. */
static void deliver(struct http *h, const char *body, size_t len, size_t spans,
		    struct judgement *ret)
{
	const struct settings *s = h->settings;
	uint64_t end = s->total_ms ? now_ms() + s->total_ms : 0;
	struct backoff backoff = { 0 };
	uint32_t random;

	for (;;) {
		post_run(h->post, body, len, request_limit(s, end), &h->reply);
		reply_judge(ret, &h->reply, s->form, spans);
		if (ret->verdict != VERDICT_RETRY || h->reply.is_aborted)
			return;
		tell(h, ret, spans, waits);
		if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
			random = now_ms();
		if (!wait_to_retry(h, backoff_wait_ms(&backoff, h->reply.retry_after_s, random),
				   end))
			return;
	}
}

/* Counts what became of the pieces from @from on, and frees them. */
static void settle(struct http *h, size_t from, size_t count, const struct judgement *j)
{
	uint64_t rejected = j->rejected, *count_all = &h->counts.rejected;
	size_t i, some;

	if (j->verdict == VERDICT_RETRY)
		count_all = &h->counts.unreachable;
	pthread_mutex_lock(&h->lock);
	for (i = from; i < from + count; i++) {
		struct otlp_piece *piece = &h->batch.pieces[i];
		bool is_counted = h->batch.is_counted[i];

		free(piece->body);
		if (j->verdict != VERDICT_DELIVERED) {
			decide(h, count_all, piece->spans, is_counted);
			continue;
		}
		/* which ones were refused is not said: only how many */
		some = is_counted ? 0 : rejected < piece->spans ? rejected : piece->spans;
		rejected -= some;
		decide(h, &h->counts.rejected, some, is_counted);
		decide(h, &h->counts.sent, piece->spans - some, is_counted);
	}
	h->is_down = j->verdict == VERDICT_RETRY;
	pthread_mutex_unlock(&h->lock);
}

static void send_pieces(struct http *h, size_t from, size_t count, bool may_split)
{
	struct judgement j = { .verdict = VERDICT_REFUSED, .text = "no memory for the request" };
	size_t len, spans = 0, i;
	char *body;

	for (i = from; i < from + count; i++)
		spans += h->batch.pieces[i].spans;
	if (!make_body(&body, &len, h, from, count)) {
		deliver(h, body, len, spans, &j);
		free(body);
	}
	if (j.verdict == VERDICT_TOO_LARGE && may_split && count > 1) {
		for (i = from; i < from + count; i++)
			send_pieces(h, i, 1, false);
		return;
	}
	if (j.verdict == VERDICT_DELIVERED && !*j.text)
		h->told = NULL;		/* new trouble is news again */
	tell(h, &j, spans, ends[j.verdict]);
	settle(h, from, count, &j);
}

/* What waits past a flush's deadline; under the lock. */
static void give_up_queue(struct http *h)
{
	struct queued item;

	while (queue_take(&h->queue, &item)) {
		free(item.piece.body);
		decide(h, &h->counts.unreachable, item.piece.spans, item.is_counted);
	}
}

static void *thread_main(void *ctx)
{
	struct http *h = ctx;
	uint64_t now;

	pthread_mutex_lock(&h->lock);
	while (!h->is_ending) {
		const struct queued *first = queue_first(&h->queue);

		now = now_ms();
		if (!is_due(h, now)) {
			if (first)
				wait_until(h, &h->wake, first->at_ms + h->settings->delay_ms);
			else
				pthread_cond_wait(&h->wake, &h->lock);
			continue;
		}
		take_batch(h);
		h->is_busy = true;
		pthread_cond_broadcast(&h->changed);	/* there is room again */
		pthread_mutex_unlock(&h->lock);
		send_pieces(h, 0, h->batch.count, true);
		pthread_mutex_lock(&h->lock);
		h->is_busy = false;
		pthread_cond_broadcast(&h->changed);
	}
	pthread_mutex_unlock(&h->lock);
	return NULL;
}

/* The agent's side. */

/* Signals are the agent's: its other thread handles them, and SIGPIPE becomes an error. */
static int start_thread(struct http *h)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&h->thread, NULL, thread_main, h);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err)
		return -err;
	h->has_thread = true;
	pthread_setname_np(h->thread, "export");
	return 0;
}

int http_new(struct http **ret, const struct http_opts *opts, struct fault *why)
{
	struct http *h = calloc(1, sizeof(*h));
	pthread_condattr_t monotonic;
	int err;

	if (!h)
		return -ENOMEM;
	h->settings = opts->settings;
	h->is_patient = opts->is_patient;
	h->queue.spans_max = opts->settings->queue_spans;
	h->queue.bytes_max = QUEUE_BYTES;
	pthread_mutex_init(&h->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&h->wake, &monotonic);
	pthread_cond_init(&h->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	err = post_new(&h->post, opts->settings, why);
	if (!err) {
		err = start_thread(h);
		if (err)
			fault_set(why, "cannot start the export thread: %s", strerror(-err));
	}
	if (err) {
		http_free(h);
		return err;
	}
	*ret = h;
	return 0;
}

/* One trace on its way into the queue. */
struct feeding {
	struct http *http;
	bool is_counted;
	size_t queued;		/* spans that found their place */
};

/* Under the lock. A patient exporter waits while the back end takes what it is given. */
static void make_room(struct http *h, const struct otlp_piece *piece)
{
	struct queued item;

	while (!queue_has_room(&h->queue, piece) && h->is_patient && !h->is_down)
		pthread_cond_wait(&h->changed, &h->lock);
	while (!queue_has_room(&h->queue, piece)) {
		queue_take(&h->queue, &item);
		free(item.piece.body);
		decide(h, &h->counts.queue_full, item.piece.spans, item.is_counted);
	}
}

/* An otlp_next_fn. */
static int enqueue(void *ctx, struct otlp_piece *piece)
{
	struct feeding *f = ctx;
	struct http *h = f->http;
	struct queued item = { *piece, f->is_counted, now_ms() };
	int err;

	pthread_mutex_lock(&h->lock);
	make_room(h, piece);
	err = queue_put(&h->queue, &item);
	if (!err) {
		f->queued += piece->spans;
		h->waiting += f->is_counted ? 0 : piece->spans;
		if (h->queue.count == 1 || h->queue.spans >= h->settings->batch_spans)
			pthread_cond_signal(&h->wake);
	}
	pthread_mutex_unlock(&h->lock);
	if (err)
		free(piece->body);
	return err;
}

void http_feed(struct http *h, const struct trace *t, const struct request_opts *opts,
	       bool is_counted)
{
	struct feeding f = { .http = h, .is_counted = is_counted };
	struct request_opts bounded = *opts;

	bounded.spans_max = h->settings->batch_spans;
	if (!otlp_encode(t, h->settings->form, &bounded, enqueue, &f) || is_counted)
		return;
	/* no memory is no room */
	pthread_mutex_lock(&h->lock);
	h->counts.queue_full += t->count - f.queued;
	pthread_mutex_unlock(&h->lock);
}

void http_flush(struct http *h, uint64_t limit_ms)
{
	uint64_t until = now_ms() + limit_ms;

	pthread_mutex_lock(&h->lock);
	h->flush_until_ms = until;
	pthread_cond_signal(&h->wake);
	while ((h->queue.count || h->is_busy) && now_ms() < until)
		wait_until(h, &h->changed, until);
	if (h->queue.count || h->is_busy) {
		h->is_giving_up = true;
		give_up_queue(h);
		pthread_cond_signal(&h->wake);
		post_stop(h->post);
	}
	while (h->is_busy)
		pthread_cond_wait(&h->changed, &h->lock);
	post_resume(h->post);
	h->is_giving_up = false;
	h->flush_until_ms = 0;
	pthread_mutex_unlock(&h->lock);
}

struct http_counts http_take_counts(struct http *h)
{
	struct http_counts counts;

	pthread_mutex_lock(&h->lock);
	counts = h->counts;
	h->counts = (struct http_counts){ 0 };
	pthread_mutex_unlock(&h->lock);
	return counts;
}

uint64_t http_waiting(struct http *h)
{
	uint64_t waiting;

	pthread_mutex_lock(&h->lock);
	waiting = h->waiting;
	pthread_mutex_unlock(&h->lock);
	return waiting;
}

bool http_take_note(struct http *h, struct fault *ret)
{
	bool has_note;

	pthread_mutex_lock(&h->lock);
	has_note = *h->note.text;
	*ret = h->note;
	h->note = (struct fault){ "" };
	pthread_mutex_unlock(&h->lock);
	return has_note;
}

void http_free(struct http *h)
{
	if (!h)
		return;
	if (h->has_thread) {
		pthread_mutex_lock(&h->lock);
		h->is_ending = true;
		pthread_cond_signal(&h->wake);
		post_stop(h->post);
		pthread_mutex_unlock(&h->lock);
		pthread_join(h->thread, NULL);
	}
	queue_done(&h->queue);
	post_free(h->post);
	pthread_cond_destroy(&h->wake);
	pthread_cond_destroy(&h->changed);
	pthread_mutex_destroy(&h->lock);
	free(h);
}
