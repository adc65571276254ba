/*
 * kafka_offset: a consumer finds the producer of what it read by (cluster, topic, partition,
 * offset), checked against the message's key and size. Either may be seen first, and several
 * consumers may read one message. Where the cluster of one side is not known, the rest decides.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "join/kafka.h"

#define OFFSETS_MAX 262144	/* messages remembered for whoever comes later */
#define HIGHS_MAX 65536		/* partitions whose highest offset is remembered */
#define WRITERS_MAX 4		/* producers of one topic, partition and offset */
#define WAITING_MAX 64		/* readers of one message that wait for its producer */

/*
 * A message as both ends see it. Its key and size are a part: two clusters may have topics of
 * one name, and a topic that is made anew counts from 0 again.
 */
struct offset_key {
	XXH128_hash_t topic, match;
	int64_t offset, partition;
};

_Static_assert(sizeof(struct offset_key) <= FIFO_KEY_BYTES, "the key fits");

struct writer {
	struct writer *next;
	struct node *node;		/* counted */
	struct client *client;		/* counted; NULL: not known */
	int64_t timestamp_ms;
};

struct waiting {
	struct waiter waiter;		/* of the link */
	struct waiting *prev, *next;
	struct core *core;
	struct offset *offset;
	struct links *links;		/* they end the wait when they go */
	size_t index;			/* of its link in them */
	struct client *client;		/* counted; NULL: not known */
	int64_t timestamp_ms;
	uint64_t read_ns;
};

struct offset {
	struct fifo_entry entry;
	struct writer *writers;
	struct waiting *waiting;
	unsigned int writer_count, waiting_count;
};

struct high_key {
	XXH128_hash_t topic;
	uint64_t cluster;		/* 0: not known */
	int64_t partition;
};

struct high {
	struct fifo_entry entry;
	int64_t offset;			/* highest that was acknowledged */
};

static void writer_free(struct core *c, struct offset *o, struct writer *w)
{
	LL_DELETE(o->writers, w);
	o->writer_count--;
	node_put(c->as, w->node);
	client_put(w->client);
	free(w);
}

static void waiting_free(struct waiting *w)
{
	DL_DELETE(w->offset->waiting, w);
	w->offset->waiting_count--;
	w->links->list[w->index].waiter = NULL;
	client_put(w->client);
	free(w);
}

/* Its span has gone: a key that nobody wrote and nobody waits for makes room. */
static void waiting_forget(struct waiter *waiter)
{
	struct waiting *w = (struct waiting *)waiter;
	struct core *c = w->core;
	struct offset *o = w->offset;

	waiting_free(w);
	if (o->writers || o->waiting)
		return;
	fifo_remove(&c->offsets, &o->entry);
	free(o);
}

static void offset_drop(void *ctx, struct fifo_entry *e)
{
	struct offset *o = (struct offset *)e;

	while (o->writers)
		writer_free(ctx, o, o->writers);
	while (o->waiting)
		waiting_free(o->waiting);
	free(o);
}

static void high_drop(void *ctx, struct fifo_entry *e)
{
	(void)ctx;
	free(e);
}

void offset_init(struct core *c)
{
	fifo_init(&c->offsets, OFFSETS_MAX, offset_drop, c);
	fifo_init(&c->highs, HIGHS_MAX, high_drop, c);
}

struct offset_message offset_message(const struct msg_kafka *k)
{
	return (struct offset_message){
		.topic = XXH3_128bits(k->topic, strlen(k->topic)),
		.match = XXH3_128bits_withSeed(k->key, k->key ? k->key_captured : 0,
					       ((uint64_t)k->key_len << 32) | k->value_len),
		.offset = k->offset,
		.partition = k->partition,
		.timestamp_ms = k->timestamp_ms,
	};
}

static struct offset *offset_get(struct core *c, const struct offset_message *om)
{
	struct offset_key key = { om->topic, om->match, om->offset, om->partition };
	struct offset *o = fifo_find(&c->offsets, &key, sizeof(key));

	if (o)
		return o;
	o = calloc(1, sizeof(*o));
	if (o)
		fifo_add(&c->offsets, &key, sizeof(key), &o->entry);
	return o;
}

/* --- choosing --------------------------------------------------------------------------------- */

static uint64_t cluster_of(const struct client *cl)
{
	return cl ? cl->cluster_hash : 0;
}

#define SCORE_TIMESTAMP 1
#define SCORE_CLUSTER 2

/* How well @w fits what was read; -1: it cannot have been written by it. */
static int writer_score(const struct writer *w, const struct waiting *reader)
{
	uint64_t wrote = cluster_of(w->client), read = cluster_of(reader->client);
	int score = 0;

	/* Read before it was written: of another cluster, or of a topic that is gone. */
	if (reader->read_ns < w->node->start_ns)
		return -1;
	if (wrote && read && wrote != read)
		return -1;
	if (wrote && read)
		score += SCORE_CLUSTER;
	/* Equal where the topic keeps the producer's time, as topics do unless told otherwise. */
	if (w->timestamp_ms > 0 && w->timestamp_ms == reader->timestamp_ms)
		score += SCORE_TIMESTAMP;
	return score;
}

/*
 * Of two that fit equally well in one known cluster the later one: its topic was made anew,
 * and then nobody reads what the earlier one wrote. Else nobody can say: NULL, and counted.
 */
static struct node *choose_writer(struct core *c, const struct offset *o,
				  const struct waiting *reader)
{
	struct writer *w, *best = NULL;
	int best_score = -1, score;
	bool is_tie = false;

	LL_FOREACH(o->writers, w) {
		score = writer_score(w, reader);
		if (score < 0 || score < best_score)
			continue;
		is_tie = score == best_score && score < SCORE_CLUSTER;
		if (score > best_score || w->node->start_ns > best->node->start_ns)
			best = w;
		best_score = score;
	}
	if (!is_tie)
		return best ? best->node : NULL;
	counter_add(c->counters, JOIN_DISAGREE, 1);
	return NULL;
}

/* --- joining ---------------------------------------------------------------------------------- */

static void join_single(struct core *c, struct node *producer, struct node *consumer)
{
	assembly_merge(c->as, producer, consumer);
	node_add_candidate(consumer, EVIDENCE_KAFKA_OFFSET, producer);
}

static void join_link(struct core *c, struct links *l, size_t index, struct node *producer)
{
	l->list[index].node = node_get(producer);
	if (l->single)
		join_single(c, producer, l->single);
}

void offset_place_single(struct core *c, struct links *l, struct node *n)
{
	n->messages = links_get(l);
	if (c->kafka.link_only)
		return;
	l->single = n;
	if (l->list[0].node)
		join_single(c, l->list[0].node, n);
}

static void high_raise(struct core *c, const struct client *cl, const struct offset_message *om)
{
	struct high_key key = { om->topic, cluster_of(cl), om->partition };
	struct high *h = fifo_find(&c->highs, &key, sizeof(key));

	if (!h) {
		h = calloc(1, sizeof(*h));
		if (!h)
			return;
		fifo_add(&c->highs, &key, sizeof(key), &h->entry);
	}
	/* the first of a topic that was made anew */
	if (om->offset > h->offset || !om->offset)
		h->offset = om->offset;
}

static int writer_add(struct core *c, struct offset *o, struct node *producer, struct client *cl,
		      int64_t timestamp_ms)
{
	struct writer *w;

	if (o->writer_count == WRITERS_MAX) {
		writer_free(c, o, o->writers);
		c->given_up++;
	}
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->node = node_get(producer);
	w->client = cl ? client_get(cl) : NULL;
	w->timestamp_ms = timestamp_ms;
	LL_APPEND(o->writers, w);
	o->writer_count++;
	return 0;
}

void offset_acknowledged(struct core *c, struct node *producer, struct client *cl,
			 const struct offset_message *om)
{
	struct offset *o = offset_get(c, om);
	struct waiting *w, *tmp;
	struct node *found;

	high_raise(c, cl, om);
	if (!o || writer_add(c, o, producer, cl, om->timestamp_ms))
		return;
	DL_FOREACH_SAFE(o->waiting, w, tmp) {
		found = choose_writer(c, o, w);
		if (!found)
			continue;
		join_link(c, w->links, w->index, found);
		waiting_free(w);
	}
}

static void wait_for_writer(struct core *c, struct offset *o, const struct waiting *reader)
{
	struct waiting *w;

	if (o->waiting_count == WAITING_MAX) {
		waiting_free(o->waiting);
		c->given_up++;
	}
	w = malloc(sizeof(*w));
	if (!w)
		return;
	*w = *reader;
	w->waiter.forget = waiting_forget;
	w->core = c;
	w->offset = o;
	w->links->list[w->index].waiter = &w->waiter;
	if (w->client)
		client_get(w->client);
	DL_APPEND(o->waiting, w);
	o->waiting_count++;
}

void offset_consumed(struct core *c, struct links *l, struct client *cl,
		     const struct offset_message *om, uint64_t read_ns)
{
	struct offset *o = offset_get(c, om);
	struct waiting reader = {
		.links = l, .index = l->count - 1, .client = cl,
		.timestamp_ms = om->timestamp_ms, .read_ns = read_ns,
	};
	struct node *found;

	if (!o)
		return;
	found = choose_writer(c, o, &reader);
	/* None: read before its acknowledgement was seen, since the broker answers both at once. */
	if (found)
		join_link(c, l, reader.index, found);
	else
		wait_for_writer(c, o, &reader);
}

static int64_t high_of(struct core *c, const struct msg_kafka *k, uint64_t cluster)
{
	struct high_key key = {
		XXH3_128bits(k->topic, strlen(k->topic)), cluster, k->partition,
	};
	struct high *h = fifo_find(&c->highs, &key, sizeof(key));

	return h ? h->offset : -1;
}

int64_t offset_lag(struct core *c, const struct client *cl, const struct msg_kafka *k)
{
	uint64_t cluster = cluster_of(cl);
	int64_t high = k->high > k->offset ? k->high - 1 : -1;

	if (high < 0)
		high = high_of(c, k, cluster);
	if (high < 0 && cluster)
		high = high_of(c, k, 0);	/* the producer's cluster was not known */
	return high >= k->offset ? high - k->offset : -1;
}
