/*
 * kafka_commit: a commit of offsets is a span from the application's call to its result. The
 * results of one client come in the order of the calls; one that nobody asked for is of
 * librdkafka's own, automatic commit.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "join/kafka.h"

#define COMMITS_MAX 64		/* of one client, without a result yet */
#define ERR_NO_OFFSET (-168)	/* rd_kafka_resp_err_t: there was nothing to commit */

struct commit {
	struct commit *prev, *next;
	struct node *node;		/* counted */
	XXH64_hash_t positions;		/* sum of the hashes of what was told of it */
	unsigned int count;		/* positions that were told */
	unsigned int total;		/* in all; 0: what is stored */
	bool is_complete;		/* all its messages have come */
};

struct position {
	char *topic;			/* NULL: not known */
	int32_t partition;
	int64_t offset;
	int err;
};

/* The result that is coming in, message by message. */
struct commit_result {
	struct position *list;
	XXH64_hash_t positions;		/* this and the next as struct commit's */
	unsigned int count, total;
};

static XXH64_hash_t hash_position(const struct msg_commit *mc)
{
	XXH64_hash_t topic = mc->topic ? XXH3_64bits(mc->topic, strlen(mc->topic)) : 0;
	int64_t where[2] = { mc->partition, mc->offset };

	return XXH3_64bits_withSeed(where, sizeof(where), topic);
}

static void commit_free(struct core *c, struct client *cl, struct commit *k)
{
	DL_DELETE(cl->commits, k);
	cl->commit_count--;
	node_put(c->as, k->node);
	free(k);
}

static void commit_give_up(struct core *c, struct client *cl, struct commit *k)
{
	if (k->node->span)
		client_describe(cl, k->node->span);
	node_end_unseen(c->as, k->node, c->now_ns);
	commit_free(c, cl, k);
}

void commits_free(struct core *c, struct client *cl)
{
	while (cl->commits)
		commit_give_up(c, cl, cl->commits);
}

static struct node *commit_node(struct core *c, const struct msg *m)
{
	struct span_facts own = { .ts_ns = m->ts_ns, .object = m->commit.client };
	struct node *n = kafka_node(c, m, SPAN_CLIENT, own);

	if (n)
		kafka_set_operation(n->span, "commit", "settle", m->commit.topic);
	return n;
}

/* --- asked ------------------------------------------------------------------------------------ */

static struct commit *commit_new(struct core *c, struct client *cl, const struct msg *m)
{
	struct commit *k = calloc(1, sizeof(*k));
	struct node *activity;

	if (!k)
		return NULL;
	k->node = commit_node(c, m);
	if (!k->node) {
		free(k);
		return NULL;
	}
	if (cl->commit_count == COMMITS_MAX) {
		c->given_up++;
		commit_give_up(c, cl, cl->commits);
	}
	DL_APPEND(cl->commits, k);
	cl->commit_count++;
	activity = core_find_activity(c, k->node, m);
	if (activity)
		assembly_merge(c->as, activity, k->node);
	node_touch(c->as, k->node, m->ts_ns);
	return k;
}

static void ask(struct core *c, struct client *cl, const struct msg *m)
{
	struct commit *k = cl->commits ? cl->commits->prev : NULL;

	if (!m->commit.index)
		k = commit_new(c, cl, m);
	if (!k || k->is_complete)
		return;
	k->total = m->commit.total;
	if (m->commit.count) {
		k->positions += hash_position(&m->commit);
		k->count++;
		consume_committed(c, cl, m);
	}
	k->is_complete = m->commit.index + 1 >= m->commit.count;
}

/* --- the result ------------------------------------------------------------------------------- */

static void result_clear(struct commit_result *r)
{
	while (r->count)
		free(r->list[--r->count].topic);
	free(r->list);
	*r = (struct commit_result){ 0 };
}

static void result_add(struct commit_result *r, const struct msg_commit *mc)
{
	struct position *list = realloc(r->list, (r->count + 1) * sizeof(*list));

	if (!list)
		return;
	r->list = list;
	r->positions += hash_position(mc);
	list[r->count++] = (struct position){
		mc->topic ? strdup(mc->topic) : NULL, mc->partition, mc->offset,
		mc->partition_err,
	};
}

/* NULL: several, or not all are known */
static const char *only_topic(const struct commit_result *r)
{
	unsigned int i;

	if (r->count < r->total)
		return NULL;
	for (i = 0; i < r->count; i++)
		if (!r->list[i].topic || strcmp(r->list[i].topic, r->list[0].topic))
			return NULL;
	return r->count ? r->list[0].topic : NULL;
}

static void add_event(struct span *s, const struct position *p)
{
	struct span_event *e;
	char room[16];

	if (span_add_event(s, s->end_ns, "commit.partition", &e))
		return;
	if (p->topic)
		attrs_set_str(&e->attrs, "messaging.destination.name", p->topic);
	kafka_set_partition(&e->attrs, p->partition);
	kafka_set_offset(&e->attrs, p->offset);
	if (p->err)
		attrs_set_str(&e->attrs, "error.type", kafka_error_text(p->err, room));
}

static void end_commit(struct core *c, struct node *n, const struct client *cl,
		       const struct msg *m)
{
	const struct commit_result *r = c->commit_result;
	struct span *s = n->span;
	int err = m->commit.err;
	unsigned int i;

	if (!s)
		return;			/* handed on as unfinished meanwhile */
	node_end(c->as, n, m->ts_ns);
	kafka_set_operation(s, "commit", "settle", only_topic(r));
	client_describe(cl, s);
	for (i = 0; i < r->count; i++) {
		if (!err)
			err = r->list[i].err;
		if (r->total > 1)
			add_event(s, &r->list[i]);
	}
	if (r->total > 1)
		attrs_set_int(&s->attrs, "spanstitch.kafka.partitions", r->total);
	if (r->total == 1 && r->count) {
		kafka_set_partition(&s->attrs, r->list[0].partition);
		kafka_set_offset(&s->attrs, r->list[0].offset);
	}
	if (err)
		kafka_set_failure(s, err);
}

/* Of as many; which, is told of both in part at most: a result is in another order. */
static bool may_be(const struct commit *k, const struct commit_result *r)
{
	return k->total == r->total && (k->count < k->total || r->count < r->total);
}

/*
 * The first that asked for just these positions, as far as they are told; else the first that
 * may have; else the first that asked for what is stored. A result without any is of the first.
 */
static struct commit *find_asked(const struct client *cl, const struct commit_result *r)
{
	struct commit *k;

	DL_FOREACH(cl->commits, k)
		if (!r->total || (k->total == r->total && k->count == r->count &&
				  k->positions == r->positions))
			return k;
	DL_FOREACH(cl->commits, k)
		if (may_be(k, r))
			return k;
	DL_FOREACH(cl->commits, k)
		if (!k->total)
			return k;
	return NULL;
}

/* librdkafka also tells when there was nothing to commit. */
static bool is_of_something(const struct commit_result *r, int err)
{
	unsigned int i;

	if (r->count < r->total)
		return err != ERR_NO_OFFSET;
	for (i = 0; i < r->count; i++)
		if (r->list[i].offset >= 0)
			return true;
	return false;
}

static void settle(struct core *c, struct client *cl, const struct msg *m)
{
	struct commit *k = find_asked(cl, c->commit_result);
	struct node *n;

	if (k) {
		end_commit(c, k->node, cl, m);
		commit_free(c, cl, k);
		return;
	}
	if (!is_of_something(c->commit_result, m->commit.err))
		return;
	n = commit_node(c, m);
	if (!n)
		return;
	n->root_reason = "an automatic commit";
	end_commit(c, n, cl, m);
	node_put(c->as, n);
}

void core_kafka_commit(struct core *c, const struct msg *m)
{
	struct client *cl = client_find(c, m->tgid, m->commit.client, NULL);

	if (!cl)
		return;
	if (m->commit.phase == ASKED) {
		ask(c, cl, m);
		return;
	}
	if (!m->commit.index)
		result_clear(c->commit_result);
	c->commit_result->total = m->commit.total;
	if (m->commit.count) {
		result_add(c->commit_result, &m->commit);
		consume_committed(c, cl, m);
	}
	if (m->commit.index + 1 >= m->commit.count)
		settle(c, cl, m);
}

int commit_init(struct core *c)
{
	c->commit_result = calloc(1, sizeof(*c->commit_result));
	return c->commit_result ? 0 : -ENOMEM;
}

void commit_done(struct core *c)
{
	if (c->commit_result)
		result_clear(c->commit_result);
	free(c->commit_result);
}
