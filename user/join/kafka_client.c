/* kafka_client: client handles and what is known of them: name, cluster, consumer group. */
#include <stdlib.h>
#include <string.h>

#include "join/kafka.h"

#define CLIENTS_MAX 16384	/* handles remembered, of all processes */

struct client_key {
	uint64_t handle;
	uint64_t tgid;
};

struct client *client_get(struct client *cl)
{
	cl->refs++;
	return cl;
}

void client_put(struct client *cl)
{
	if (!cl || --cl->refs)
		return;
	free(cl->name);
	free(cl->cluster);
	free(cl->group);
	free(cl);
}

/* Nothing can find it any more: no result of a commit or transaction will reach it. */
static void client_drop(void *ctx, struct fifo_entry *e)
{
	struct core *c = ctx;
	struct client *cl = (struct client *)e;

	commits_free(c, cl);
	txn_free(c, cl);
	rebalance_leave(c, cl);
	client_put(cl);
}

void client_init(struct core *c)
{
	fifo_init(&c->clients, CLIENTS_MAX, client_drop, c);
}

static struct client *client_new(struct core *c, const struct client_key *key, const char *name)
{
	struct client *cl = calloc(1, sizeof(*cl));

	kafka_note_process(c, (uint32_t)key->tgid);
	if (!cl)
		return NULL;
	cl->refs = 1;
	cl->handle = key->handle;
	cl->tgid = (uint32_t)key->tgid;
	cl->name = name ? strdup(name) : NULL;
	fifo_add(&c->clients, key, sizeof(*key), &cl->entry);
	return cl;
}

static void client_remove(struct core *c, struct client *cl)
{
	fifo_remove(&c->clients, &cl->entry);
	client_drop(c, &cl->entry);
}

/*
 * The address is another client's now. A transaction is begun by address alone: one without a
 * message yet is of the new client, whose name its first message tells.
 */
static struct client *client_replace(struct core *c, const struct client_key *key,
				     struct client *old, const char *name)
{
	struct txn *begun = txn_take_empty(old);
	struct client *cl;

	client_remove(c, old);
	cl = client_new(c, key, name);
	if (cl)
		cl->txn = begun;
	else
		free(begun);
	return cl;
}

struct client *client_find(struct core *c, uint32_t tgid, uint64_t handle, const char *name)
{
	struct client_key key = { handle, tgid };
	struct client *cl = fifo_find(&c->clients, &key, sizeof(key));

	if (name && !*name)
		name = NULL;
	if (cl && name && cl->name && strcmp(cl->name, name))
		return client_replace(c, &key, cl, name);
	if (!cl)
		return client_new(c, &key, name);
	if (name && !cl->name)
		cl->name = strdup(name);
	return cl;
}

struct client *client_by_group(struct core *c, uint32_t tgid, uint64_t group_handle)
{
	struct fifo_entry *e, *tmp;

	HASH_ITER(hh, c->clients.table, e, tmp) {
		struct client *cl = (struct client *)e;

		if (cl->tgid == tgid && cl->group_handle == group_handle)
			return cl;
	}
	return NULL;
}

void client_exit(struct core *c, uint32_t tgid)
{
	struct fifo_entry *e, *tmp;

	HASH_ITER(hh, c->clients.table, e, tmp)
		if (((struct client *)e)->tgid == tgid)
			client_remove(c, (struct client *)e);
}

static void learn(char **to, const char *value)
{
	char *copy;

	if (!value || !*value || (*to && !strcmp(*to, value)))
		return;
	copy = strdup(value);
	if (!copy)
		return;
	free(*to);
	*to = copy;
}

/* Whoever had it before is gone, and this one's object lies where that one's did. */
static void take_group(struct core *c, struct client *cl, uint64_t group_handle)
{
	struct client *other;

	if (!group_handle || cl->group_handle == group_handle)
		return;
	other = client_by_group(c, cl->tgid, group_handle);
	if (other)
		rebalance_leave(c, other);
	cl->group_handle = group_handle;
}

void core_kafka_client(struct core *c, const struct msg *m)
{
	struct client *cl = client_find(c, m->tgid, m->client.client, m->client.client_id);

	if (!cl)
		return;
	take_group(c, cl, m->client.group_handle);
	learn(&cl->cluster, m->client.cluster_id);
	learn(&cl->group, m->client.group);
	if (cl->cluster)
		cl->cluster_hash = XXH3_64bits(cl->cluster, strlen(cl->cluster)) | 1;
}

void client_describe(const struct client *cl, struct span *s)
{
	const char *hash;

	if (!cl)
		return;
	/* librdkafka names a handle "<client.id>#producer-1"; the first part is anything */
	hash = cl->name ? strrchr(cl->name, '#') : NULL;
	if (cl->name)
		attrs_set_strn(&s->attrs, "messaging.client.id", cl->name,
			       hash ? (size_t)(hash - cl->name) : strlen(cl->name));
	if (cl->cluster)
		attrs_set_str(&s->attrs, "messaging.kafka.cluster.id", cl->cluster);
	if (cl->group && s->kind != SPAN_PRODUCER)
		attrs_set_str(&s->attrs, "messaging.consumer.group.name", cl->group);
}
