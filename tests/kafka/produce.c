/* produce: every way to send a message, and every way in which sending ends. */
#include "producer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MANY 1200
#define COMMIT "commit_transaction"
#define ABORT "abort_transaction"
/* 26 EndTxn, once; 49 INVALID_PRODUCER_ID_MAPPING: never again, but an abort is possible */
#define REFUSE_END "errors 26 1 49"
#define REFUSAL_SINCE 0x01060000	/* releases that tell it to who commits */

static unsigned int scenarios;		/* so far */

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
	(void)rk, (void)m, (void)opaque;
}

static rd_kafka_resp_err_t code_of(rd_kafka_error_t *error)
{
	rd_kafka_resp_err_t code;

	if (!error)
		return RD_KAFKA_RESP_ERR_NO_ERROR;
	code = k.rd_kafka_error_code(error);
	k.rd_kafka_error_destroy(error);
	return code;
}

/* --- the five functions ----------------------------------------------------------------------- */

rd_kafka_resp_err_t send_produce(struct producer *p, const struct message *m)
{
	if (k.rd_kafka_produce(p->rkt, p->partition, RD_KAFKA_MSG_F_COPY, (void *)m->value, m->len,
			       m->key, m->key_len, NULL))
		return k.rd_kafka_last_error();
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

#define BASICS(p, m) RD_KAFKA_V_RKT((p)->rkt), RD_KAFKA_V_PARTITION((p)->partition), \
	RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_VALUE((void *)(m)->value, (m)->len), \
	RD_KAFKA_V_KEY((m)->key, (m)->key_len)
#define INLINE(h) RD_KAFKA_V_HEADER((h).name, (h).value, (h).len)

rd_kafka_resp_err_t send_inline(struct producer *p, const struct message *m)
{
	const struct header *h = m->headers;

	switch (m->headers_n) {
	case 0:
		return k.rd_kafka_producev(p->rk, BASICS(p, m), RD_KAFKA_V_END);
	case 1:
		return k.rd_kafka_producev(p->rk, BASICS(p, m), INLINE(h[0]), RD_KAFKA_V_END);
	case 2:
		return k.rd_kafka_producev(p->rk, BASICS(p, m), INLINE(h[0]), INLINE(h[1]),
					   RD_KAFKA_V_END);
	default:
		return k.rd_kafka_producev(p->rk, BASICS(p, m), INLINE(h[0]), INLINE(h[1]),
					   INLINE(h[2]), RD_KAFKA_V_END);
	}
}

static rd_kafka_resp_err_t send_list(struct producer *p, const struct message *m)
{
	rd_kafka_headers_t *list = k.rd_kafka_headers_new(4);
	rd_kafka_resp_err_t err;
	int i;

	for (i = 0; i < m->headers_n; i++)
		k.rd_kafka_header_add(list, m->headers[i].name, -1, m->headers[i].value,
				      m->headers[i].len);
	err = k.rd_kafka_producev(p->rk, BASICS(p, m), RD_KAFKA_V_HEADERS(list), RD_KAFKA_V_END);
	if (err)
		k.rd_kafka_headers_destroy(list);	/* else the message's */
	return err;
}

static rd_kafka_resp_err_t send_array(struct producer *p, const struct message *m)
{
	rd_kafka_vu_t args[5 + HEADERS_MAX] = {
		{ .vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = p->rkt },
		{ .vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = p->partition },
		{ .vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY },
		{ .vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = { (void *)m->value, m->len } },
		{ .vtype = RD_KAFKA_VTYPE_KEY, .u.mem = { (void *)m->key, m->key_len } },
	};
	int i;

	for (i = 0; i < m->headers_n; i++)
		args[5 + i] = (rd_kafka_vu_t){
			.vtype = RD_KAFKA_VTYPE_HEADER,
			.u.header = { m->headers[i].name, m->headers[i].value, m->headers[i].len },
		};
	return code_of(k.rd_kafka_produceva(p->rk, args, (size_t)(5 + m->headers_n)));
}

rd_kafka_resp_err_t send_batch(struct producer *p, const struct message *m)
{
	rd_kafka_message_t two[2] = {
		{ .payload = (void *)m->value, .len = m->len,
		  .key = (void *)m->key, .key_len = m->key_len },
		{ .payload = (void *)m->value, .len = m->len ? m->len - 1 : 0,
		  .key = (void *)m->key, .key_len = m->key_len },
	};

	k.rd_kafka_produce_batch(p->rkt, p->partition, RD_KAFKA_MSG_F_COPY, two, 2);
	return two[0].err ? two[0].err : two[1].err;
}

static const struct way {
	const char *name;
	send_fn send;
} ways[] = {
	{ "produce",     send_produce },
	{ "producev",    send_inline },
	{ "producevlist", send_list },
	{ "produceva",   send_array },
	{ "batch",       send_batch },
};

/* --- one client's life ------------------------------------------------------------------------ */

bool producer_new(struct producer *ret, const struct exercise *ex, const char *name,
			 enum delivery delivery, const char *const *pairs)
{
	rd_kafka_conf_t *conf = configure(ex, name, pairs);

	if (!conf) {
		told(name, "impossible", 0);
		return false;
	}
	if (delivery == DELIVERY_CALLBACK)
		k.rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	if (delivery == DELIVERY_EVENT)
		k.rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR);
	*ret = (struct producer){
		.name = name, .number = scenarios++, .partition = RD_KAFKA_PARTITION_UA,
	};
	ret->rk = client_new(RD_KAFKA_PRODUCER, conf, name);
	ret->rkt = k.rd_kafka_topic_new(ret->rk, name, NULL);
	if (delivery == DELIVERY_EVENT)
		ret->queue = k.rd_kafka_queue_get_main(ret->rk);
	return true;
}

static void take_events(struct producer *p, int timeout_ms)
{
	rd_kafka_event_t *event = k.rd_kafka_queue_poll(p->queue, timeout_ms);

	if (!event)
		return;
	while (k.rd_kafka_event_message_next(event))
		;
	k.rd_kafka_event_destroy(event);
}

static void serve(struct producer *p)
{
	/* rd_kafka_poll() of a client that has events makes 1.0 call a callback that is none. */
	if (p->queue)
		take_events(p, 0);
	else
		k.rd_kafka_poll(p->rk, 0);
}

void producer_drain(struct producer *p)
{
	uint64_t begin = now_ns();

	if (p->queue) {
		while (k.rd_kafka_outq_len(p->rk) &&
		       now_ns() - begin < WAIT_MS * 1000000ull)
			take_events(p, 100);
	} else {
		k.rd_kafka_flush(p->rk, WAIT_MS);
	}
	must(!k.rd_kafka_outq_len(p->rk), p->name, "all messages are delivered");
}

void producer_end(struct producer *p)
{
	k.rd_kafka_topic_destroy(p->rkt);
	if (p->queue)
		k.rd_kafka_queue_destroy(p->queue);
	k.rd_kafka_destroy(p->rk);
}

void send_some(struct producer *p, send_fn send, int n)
{
	struct message m;
	int i;

	for (i = 0; i < n; i++) {
		message_make(&m, p->number, p->sent++);
		must(!send(p, &m), p->name, "a message is accepted");
		serve(p);
	}
}

/* --- scenarios -------------------------------------------------------------------------------- */

static void run_plain(const struct exercise *ex, const char *name, const struct way *way,
		      enum delivery delivery, const char *const *pairs)
{
	struct producer p;

	if (!is_wanted(ex, name))
		return;
	if (way->send == send_array && !k.rd_kafka_produceva) {
		told(name, "impossible", 0);
		return;
	}
	if (!producer_new(&p, ex, name, delivery, pairs))
		return;
	send_some(&p, way->send, ex->messages);
	producer_drain(&p);
	producer_end(&p);
	told(name, "sent", ex->messages);
}

static void every_way(const struct exercise *ex)
{
	static const char *const no_acks[] = { "acks", "0", NULL };
	static const struct mode {
		const char *name;
		enum delivery delivery;
		const char *const *pairs;
	} modes[] = {
		{ "none",  DELIVERY_NONE,     NULL },
		{ "cb",    DELIVERY_CALLBACK, NULL },
		{ "event", DELIVERY_EVENT,    NULL },
		{ "acks0", DELIVERY_CALLBACK, no_acks },
	};
	char name[64];
	size_t w, m;

	for (w = 0; w < sizeof(ways) / sizeof(*ways); w++) {
		for (m = 0; m < sizeof(modes) / sizeof(*modes); m++) {
			snprintf(name, sizeof(name), "%s-%s", ways[w].name, modes[m].name);
			run_plain(ex, name, &ways[w], modes[m].delivery, modes[m].pairs);
		}
	}
}

static void every_codec(const struct exercise *ex)
{
	static const char *const codecs[] = { "gzip", "snappy", "lz4", "zstd" };
	char name[64];
	size_t i;

	for (i = 0; i < sizeof(codecs) / sizeof(*codecs); i++) {
		const char *pairs[] = { "compression.codec", codecs[i], "linger.ms", "20", NULL };

		snprintf(name, sizeof(name), "codec-%s", codecs[i]);
		run_plain(ex, name, &ways[2], DELIVERY_CALLBACK, pairs);
	}
}

static void idempotent(const struct exercise *ex)
{
	static const char *const pairs[] = { "enable.idempotence", "true", NULL };

	run_plain(ex, "idempotent", &ways[1], DELIVERY_CALLBACK, pairs);
}

/* In one request more messages than librdkafka's lowest number for an offset that is not known. */
static void many_without_acks(const struct exercise *ex)
{
	static const char *const pairs[] = {
		"acks", "0", "linger.ms", "500", "queue.buffering.max.ms", "500", NULL,
	};
	static const char name[] = "acks0-many";
	struct producer p;

	if (!is_wanted(ex, name))
		return;
	must(producer_new(&p, ex, name, DELIVERY_CALLBACK, pairs), name, "a producer");
	p.partition = 0;
	send_some(&p, send_produce, MANY);
	producer_drain(&p);
	producer_end(&p);
	told(name, "sent", MANY);
}

static void begin_with_some(struct producer *p)
{
	must(!code_of(k.rd_kafka_begin_transaction(p->rk)), p->name, "a transaction");
	send_some(p, send_inline, FEW);
}

/* How it ends is for the judge to compare: what the function returned. */
static rd_kafka_resp_err_t end_noted(struct producer *p, const char *call)
{
	rd_kafka_error_t *(*end)(rd_kafka_t *, int) = *call == 'c' ?
		k.rd_kafka_commit_transaction : k.rd_kafka_abort_transaction;
	uint64_t begin = now_ns();
	rd_kafka_resp_err_t err = code_of(end(p->rk, WAIT_MS));

	note_ended(p->name, call, begin, err);
	return err;
}

/* Releases before REFUSAL_SINCE return no error, and the transaction is over for them. */
static void commit_refused(struct producer *p)
{
	rd_kafka_resp_err_t err;

	begin_with_some(p);
	ask(p->name, REFUSE_END);
	err = end_noted(p, COMMIT);
	if (!err && k.rd_kafka_version() < REFUSAL_SINCE)
		return;
	must(err == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING, p->name,
	     "a commit that the broker refuses");
	must(!end_noted(p, ABORT), p->name, "an abort of what was not committed");
}

/* One that commits, one that the broker does not let commit, so that it aborts, and one that
 * aborts by its own will; with messages in each. */
static void transactions(const struct exercise *ex)
{
	static const char *const pairs[] = { "transactional.id", "exerciser", NULL };
	static const char name[] = "txn";
	struct producer p;

	if (!is_wanted(ex, name))
		return;
	if (!k.rd_kafka_init_transactions) {
		told(name, "impossible", 0);
		return;
	}
	must(producer_new(&p, ex, name, DELIVERY_CALLBACK, pairs), name, "a producer");
	must(!code_of(k.rd_kafka_init_transactions(p.rk, WAIT_MS)), name,
	     "the transactions' begin");
	begin_with_some(&p);
	must(!end_noted(&p, COMMIT), name, "a commit");
	commit_refused(&p);
	begin_with_some(&p);
	producer_drain(&p);
	must(!end_noted(&p, ABORT), name, "an abort");
	producer_end(&p);
	told(name, "sent", 3 * FEW);
}

/* What the consumers read: all kinds of messages, and a large one. */
static void feed(const struct exercise *ex)
{
	static const char *const pairs[] = { "message.max.bytes", "4000000", NULL };
	struct producer p;
	struct message m;

	must(producer_new(&p, ex, FEED, DELIVERY_CALLBACK, pairs), FEED, "a producer");
	send_some(&p, send_list, ex->messages - 1);
	message_make_large(&m, p.number, ex->messages - 1);
	must(!send_list(&p, &m), FEED, "a large message is accepted");
	producer_drain(&p);
	producer_end(&p);
	told(FEED, "sent", ex->messages);
}

void produce_all(const struct exercise *ex)
{
	feed(ex);
	every_way(ex);
	every_codec(ex);
	idempotent(ex);
	many_without_acks(ex);
	transactions(ex);
	fail_all(ex);
}
