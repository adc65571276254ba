/*
 * msg_text: messages as one line of text each, so that a test's table can say what it wants
 * and two runs can be compared. Times, ids of processes and labels are left out unless asked.
 */
#ifndef TESTS_MSG_TEXT_H
#define TESTS_MSG_TEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decode/msg.h"

struct msg_text {		/* zero-initialized is empty; free(text) ends it */
	char *text;
	size_t len, room;
	bool with_times;	/* each line begins with ts_ns */
};

#define MSG_TEXT_LINE 32768

static inline void msg_text_add(struct msg_text *t, const char *line, size_t n)
{
	if (t->len + n + 1 > t->room) {
		t->room = (t->len + n + 1) * 2;
		t->text = realloc(t->text, t->room);
		if (!t->text)
			abort();
	}
	memcpy(t->text + t->len, line, n);
	t->len += n;
	t->text[t->len] = '\0';
}

static inline size_t msg_text_put(char *line, size_t n, const char *name, const char *value)
{
	int added;

	if (!value || n >= MSG_TEXT_LINE)
		return n;
	added = snprintf(line + n, MSG_TEXT_LINE - n, " %s=%s", name, value);
	return n + added < MSG_TEXT_LINE ? n + added : MSG_TEXT_LINE - 1;
}

static inline size_t msg_text_context(char *line, size_t n, const struct context *c)
{
	char id[40];
	int i;

	if (!c->has_trace_id)
		return n;
	n = msg_text_put(line, n, "format", c->format);
	for (i = 0; i < 16; i++)
		snprintf(id + 2 * i, 3, "%02x", c->trace_id[i]);
	n = msg_text_put(line, n, "trace", id);
	if (c->has_other)
		n = msg_text_put(line, n, "other", "yes");
	return msg_text_put(line, n, "state", c->tracestate);
}

static inline size_t msg_text_attrs(char *line, size_t n, const struct msg *m)
{
	static const char *const how[] = { "shown", "link", "parent" };
	unsigned int i;

	for (i = 0; i < m->attrs.count; i++)
		n = msg_text_put(line, n, m->attrs.list[i].key,
				 m->attrs.list[i].type == ATTR_STR ? m->attrs.list[i].str : "?");
	for (i = 0; i < m->identity_count; i++)
		n = msg_text_put(line, n, how[m->identities[i].how], m->identities[i].value);
	return n;
}

static inline size_t msg_text_http(char *line, size_t n, const struct msg *m)
{
	static const char *const ends[] = { "complete", "closed", "reset", "lost", "upgrade" };
	const struct msg_http *h = &m->http;

	n += sprintf(line + n, "#%u", h->exchange);
	if (m->kind == MSG_HTTP_REQUEST) {
		n = msg_text_put(line, n, "as", h->role == HTTP_SERVER ? "server" : "client");
		n = msg_text_put(line, n, "method", h->method);
		n = msg_text_put(line, n, "path", h->path);
		n = msg_text_put(line, n, "query", h->query);
		n = msg_text_put(line, n, "version", h->version);
		n = msg_text_put(line, n, "host", h->host);
		n = msg_text_put(line, n, "route", h->route);
		n = msg_text_put(line, n, "agent", h->user_agent);
		n = msg_text_context(line, n, &h->context);
	} else if (m->kind == MSG_HTTP_RESPONSE) {
		n += sprintf(line + n, " status=%d", h->status);
	} else if (m->kind == MSG_HTTP_END) {
		n = msg_text_put(line, n, "end", ends[h->end]);
	}
	return n;
}

static inline size_t msg_text_kafka(char *line, size_t n, const struct msg *m)
{
	const struct msg_kafka *k = &m->kafka;

	n = msg_text_put(line, n, "topic", k->topic);
	n = msg_text_put(line, n, "client", k->client_id);
	n += sprintf(line + n, " part=%d off=%lld err=%d", k->partition, (long long)k->offset,
		     k->err);
	if (k->key)
		n += sprintf(line + n, " key=%.*s/%u", (int)k->key_captured,
			     (const char *)k->key, k->key_len);
	if (m->kind == MSG_KAFKA_DELIVERED)
		n += sprintf(line + n, " size=%u status=%d retries=%u sent=%llu enqueued=%llu",
			     k->value_len, k->status, k->retries, (unsigned long long)k->sent_ns,
			     (unsigned long long)k->enqueued_ns);
	return msg_text_context(line, n, &k->context);
}

static inline size_t msg_text_client(char *line, size_t n, const struct msg *m)
{
	n += sprintf(line + n, " handle=%llx/%llx", (unsigned long long)m->client.client,
		     (unsigned long long)m->client.group_handle);
	n = msg_text_put(line, n, "client", m->client.client_id);
	n = msg_text_put(line, n, "cluster", m->client.cluster_id);
	return msg_text_put(line, n, "group", m->client.group);
}

static inline size_t msg_text_commit(char *line, size_t n, const struct msg *m)
{
	const struct msg_commit *c = &m->commit;

	n += sprintf(line + n, " handle=%llx %s err=%d %u/%u of %u part=%d off=%lld/%d",
		     (unsigned long long)c->client, c->phase == ASKED ? "asked" : "ended", c->err,
		     c->index, c->count, c->total, c->partition, (long long)c->offset,
		     c->partition_err);
	return msg_text_put(line, n, "topic", c->topic);
}

static inline size_t msg_text_rebalance(char *line, size_t n, const struct msg *m)
{
	return n + sprintf(line + n, " handle=%llx %s %u",
			   (unsigned long long)m->rebalance.group_handle,
			   m->rebalance.is_assign ? "assign" : "revoke", m->rebalance.partitions);
}

static inline size_t msg_text_txn(char *line, size_t n, const struct msg *m)
{
	static const char *const ops[] = { "begin", "commit", "abort" };

	return n + sprintf(line + n, " handle=%llx %s %s err=%d",
			   (unsigned long long)m->txn.client, ops[m->txn.op],
			   m->txn.phase == ASKED ? "asked" : "ended", m->txn.err);
}

static inline size_t msg_text_process(char *line, size_t n, const struct msg *m)
{
	const struct msg_process *p = &m->process;

	n += sprintf(line + n, " child=%u parent=%u code=%d signal=%d", p->child_tgid,
		     p->parent_tgid, p->exit_code, p->exit_signal);
	n = msg_text_put(line, n, "exe", p->exe);
	n = msg_text_put(line, n, "pod", p->pod_uid);
	n = msg_text_put(line, n, "container", p->container_id);
	n = msg_text_put(line, n, "service", p->service);
	n = msg_text_put(line, n, "runtime", p->runtime);
	return msg_text_context(line, n, &p->context);
}

/* a decode_next_fn */
static inline void msg_text_next(void *ctx, const struct msg *m)
{
	static const char *const kinds[] = {
		"request", "attrs", "response", "end", "send", "ack", "consume", "poll",
		"delivered", "client", "commit", "rebalance", "txn", "refused", "fork", "exec",
		"exit", "target",
	};
	static size_t (*const parts[])(char *line, size_t n, const struct msg *m) = {
		msg_text_http, msg_text_http, msg_text_http, msg_text_http, msg_text_kafka,
		msg_text_kafka, msg_text_kafka, msg_text_kafka, msg_text_kafka, msg_text_client,
		msg_text_commit, msg_text_rebalance, msg_text_txn, msg_text_kafka,
		msg_text_process, msg_text_process, msg_text_process, msg_text_process,
	};
	struct msg_text *t = ctx;
	static char line[MSG_TEXT_LINE + 64];
	size_t n = 0;

	if (t->with_times)
		n = sprintf(line, "%llu ", (unsigned long long)m->ts_ns);
	n += sprintf(line + n, "%s", kinds[m->kind]);
	n = parts[m->kind](line, n, m);
	n = msg_text_attrs(line, n, m);
	line[n++] = '\n';
	msg_text_add(t, line, n);
}

#endif
