/*
 * librdkafka_refused: where a message finds the producer's queue full. No interceptor is called
 * then: the only trace of it is the instruction that stores the error, within the function that
 * makes messages, the one that also calls on_send. It is reached by decoding from the function's
 * start, and runs for refused messages only, so that it may be single-stepped.
 */
#include "attach/librdkafka_search.h"

#include <elf.h>

#include "attach/track.h"

#define QUEUE_FULL (-184)	/* RD_KAFKA_RESP_ERR__QUEUE_FULL */
#define FIRST_PRESERVED 9	/* %rbx; see code_x86.c */
#define PRESERVED 6
#define STORE_BYTES_MIN 5	/* mov $imm32,reg */

struct look {
	struct track track;
	struct search *s;
	struct callee on_send;
	uint64_t store;			/* 0: not seen yet */
	uint8_t topic;			/* enum kafka_register */
	int64_t client_off;
	bool is_twice, calls_on_send;
};

/*
 * The preserved register that the first argument, the topic, is moved to. Nobody proves that it
 * is still there at the store: the kernel half looks whether the object is a topic.
 */
static void see_topic(struct look *l, const struct code_step *s)
{
	if (l->topic == KAFKA_NO_REGISTER && s->op == CODE_MOVE && s->reg >= FIRST_PRESERVED &&
	    s->reg < FIRST_PRESERVED + PRESERVED && track_is_arg(&l->track, s->base, 0, 0))
		l->topic = KAFKA_RBX + (s->reg - FIRST_PRESERVED);
}

/* Stored to the caller's word, or kept in a register for it (before 1.6). */
static bool is_error(const struct code_step *s)
{
	return (int32_t)s->constant == QUEUE_FULL && s->size >= STORE_BYTES_MIN &&
	       (s->op == CODE_CONSTANT ||
		(s->op == CODE_STORE && s->reg == CODE_NO_REGISTER && s->width == 4));
}

static int see(void *ctx, const struct code_step *s)
{
	struct look *l = ctx;
	struct track_value v;

	see_topic(l, s);
	if (is_error(s)) {
		l->is_twice |= l->store != 0;
		l->store = s->addr;
	}
	if ((s->op == CODE_CALL || s->op == CODE_JUMP) &&
	    (s->target == l->on_send.addr || (l->on_send.stub && s->target == l->on_send.stub))) {
		l->calls_on_send = true;
		v = track_get(&l->track, 0);
		if (v.kind == TRACK_FIELD && v.arg == 0 && v.width == 8)
			l->client_off = v.value;
	}
	track_step(&l->track, s);
	return 0;
}

static bool look_at(struct search *s, const struct elf_range *r, struct look *l)
{
	*l = (struct look){ .s = s, .on_send = search_callee(s, NAME_ON_SEND) };
	track_begin(&l->track);
	return !code_steps(s->e, r, see, l) && l->store && !l->is_twice && l->calls_on_send;
}

static void add(struct search *s, const struct look *l)
{
	struct librdkafka_point *p;
	uint64_t offset;

	if (s->k->count == LIBRDKAFKA_POINTS_MAX || elf_offset(s->e, l->store, &offset))
		return;
	p = &s->k->points[s->k->count++];
	*p = (struct librdkafka_point){
		.role = KAFKA_REFUSED, .name = librdkafka_names[NAME_MESSAGE_NEW],
		.site = { .addr = l->store, .offset = offset, .kind = SITE_SINGLE_STEP },
		.topic_register = l->topic,
		.client_off = l->client_off > 0 && l->client_off < UINT16_MAX ?
			      (uint16_t)l->client_off : 0,
	};
}

void librdkafka_find_refused(struct search *s)
{
	struct callee on_send = search_callee(s, NAME_ON_SEND);
	uint64_t calls[LIBRDKAFKA_REFERENCES_MAX];
	struct elf_range r;
	struct look l;
	int i, n;

	if (elf_machine(s->e) != EM_X86_64)
		return;
	n = search_calls_of(s, &on_send, calls, LIBRDKAFKA_REFERENCES_MAX);
	for (i = 0; i < n; i++) {
		if (elf_function(s->e, calls[i], &r) || !look_at(s, &r, &l))
			continue;
		add(s, &l);
		return;
	}
}
