/*
 * http: HTTP exchanges become server and client spans; a client's and a server's end of the
 * same request are joined by the TCP sequence number of its first byte.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>

#include <utlist.h>
#include <xxhash.h>

#include "join/core.h"
#include "join/limits.h"
#include "join/span_make.h"

#define SEQUENCES_MAX 65536	/* requests that wait for their other end */

struct exchange_key {
	uint64_t conn;
	uint32_t tgid;
	uint32_t number;
};

struct exchange {
	UT_hash_handle hh;
	struct exchange_key key;
	struct node *node;		/* counted */
	struct node *activity;		/* client: whose work it is; counted; may be NULL */
	uint64_t target;		/* client: hash of method, peer and path */
	uint32_t first_op;
	enum http_role role;
	int status;			/* 0: no response yet */
	struct exchange *prev, *next;	/* server: others open on the connection */
};

struct served_key {
	uint64_t conn;
	uint64_t tgid;
};

struct served {
	UT_hash_handle hh;
	struct served_key key;
	struct exchange *open;		/* in the order of arrival */
};

/* addresses as the client sees them; equal at both ends of a connection on one node */
struct sequence_key {
	uint8_t client_addr[16], server_addr[16];
	uint16_t client_port, server_port;
	uint32_t tcp_seq;
};

struct sequence {
	struct fifo_entry entry;
	struct node *node;		/* counted */
	enum http_role role;
};

_Static_assert(sizeof(struct sequence_key) <= FIFO_KEY_BYTES, "the key fits");

static void sequence_drop(void *ctx, struct fifo_entry *e)
{
	struct core *c = ctx;

	node_put(c->as, ((struct sequence *)e)->node);
	free(e);
}

void core_http_init(struct core *c)
{
	fifo_init(&c->sequences, SEQUENCES_MAX, sequence_drop, c);
}

/* --- tables ----------------------------------------------------------------------------------- */

static struct exchange *exchange_find(struct core *c, const struct msg *m)
{
	struct exchange_key key = { m->http.conn, m->tgid, m->http.exchange };
	struct exchange *x;

	HASH_FIND(hh, c->exchanges, &key, sizeof(key), x);
	return x;
}

static struct served *served_find(struct core *c, uint32_t tgid, uint64_t conn)
{
	struct served_key key = { conn, tgid };
	struct served *s;

	HASH_FIND(hh, c->served, &key, sizeof(key), s);
	return s;
}

static void served_add(struct core *c, struct exchange *x)
{
	struct served *s = served_find(c, x->key.tgid, x->key.conn);

	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s)
			return;
		s->key = (struct served_key){ x->key.conn, x->key.tgid };
		HASH_ADD(hh, c->served, key, sizeof(s->key), s);
	}
	DL_APPEND(s->open, x);
}

static void served_remove(struct core *c, struct exchange *x)
{
	struct served *s = served_find(c, x->key.tgid, x->key.conn);

	if (!s || !x->prev)
		return;
	DL_DELETE(s->open, x);
	if (!s->open) {
		HASH_DELETE(hh, c->served, s);
		free(s);
	}
}

static void exchange_free(struct core *c, struct exchange *x)
{
	HASH_DELETE(hh, c->exchanges, x);
	served_remove(c, x);
	node_put(c->as, x->node);
	node_put(c->as, x->activity);
	free(x);
}

void core_http_done(struct core *c)
{
	struct exchange *x, *tmp;

	HASH_ITER(hh, c->exchanges, x, tmp)
		exchange_free(c, x);
	fifo_done(&c->sequences);
}

struct node *core_http_active(struct core *c, uint32_t tgid, const struct msg_label *l,
			      const char **ret_reason)
{
	struct served *s = served_find(c, tgid, l->id);
	struct exchange *x, *found = NULL;

	if (!s)
		return NULL;
	/* The request that was being received at the labeled read: the last begun until then. */
	DL_FOREACH(s->open, x)
		if (x->first_op <= l->op)
			found = x;
	if (!found)
		return NULL;
	/* Two requests that began in one read cannot be told apart. */
	DL_FOREACH(s->open, x)
		if (x != found && x->first_op == found->first_op) {
			*ret_reason = "several requests came in one read";
			return NULL;
		}
	return found->node;
}

/* --- attributes ------------------------------------------------------------------------------- */

static void set_address(struct attrs *a, const char *key, const uint8_t addr[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	char text[INET6_ADDRSTRLEN];

	if (!memcmp(addr, mapped, sizeof(mapped)))
		inet_ntop(AF_INET, addr + 12, text, sizeof(text));
	else
		inet_ntop(AF_INET6, addr, text, sizeof(text));
	attrs_set_str(a, key, text);
}

/* server.address and server.port from a Host header, which may end in ":port" */
static void set_server(struct attrs *a, const struct msg_http *h, uint16_t default_port)
{
	const char *host = h->host, *colon = host ? strrchr(host, ':') : NULL;
	long port = default_port;
	size_t len;

	if (!host)
		return;
	len = strlen(host);
	if (colon && !strchr(colon, ']')) {
		port = strtol(colon + 1, NULL, 10);
		len = colon - host;
	}
	attrs_set_strn(a, "server.address", host, len);
	if (port > 0 && port < 65536)
		attrs_set_int(a, "server.port", port);
}

static void set_server_attrs(struct attrs *a, const struct msg_http *h)
{
	attrs_set_str(a, "url.scheme", "http");
	attrs_set_str(a, "url.path", h->path);
	if (h->query)
		attrs_set_str(a, "url.query", h->query);
	if (h->route)
		attrs_set_str(a, "http.route", h->route);
	set_server(a, h, h->endpoint.local_port);
	if (h->user_agent)
		attrs_set_str(a, "user_agent.original", h->user_agent);
	if (h->endpoint.is_tcp)
		set_address(a, "client.address", h->endpoint.peer_addr);
}

static void set_client_attrs(struct attrs *a, const struct msg_http *h)
{
	char url[2048];

	snprintf(url, sizeof(url), "http://%s%s%s%s", h->host ? h->host : "", h->path,
		 h->query ? "?" : "", h->query ? h->query : "");
	attrs_set_str(a, "url.full", url);
	if (h->route)
		attrs_set_str(a, "url.template", h->route);
	set_server(a, h, h->endpoint.peer_port);
	if (!h->host && h->endpoint.is_tcp) {
		set_address(a, "server.address", h->endpoint.peer_addr);
		attrs_set_int(a, "server.port", h->endpoint.peer_port);
	}
}

static const char *const known_methods[] = {
	"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY",
};

static bool is_known_method(const char *method)
{
	size_t i;

	for (i = 0; i < sizeof(known_methods) / sizeof(*known_methods); i++)
		if (!strcmp(method, known_methods[i]))
			return true;
	return false;
}

static void set_request(struct span *s, const struct msg_http *h)
{
	const char *method = h->method;
	bool known = is_known_method(method);

	span_set_name(s, "%s%s%s", known ? method : "HTTP", h->route ? " " : "",
		      h->route ? h->route : "");
	attrs_set_str(&s->attrs, "http.request.method", known ? method : "_OTHER");
	if (!known)
		attrs_set_str(&s->attrs, "http.request.method_original", method);
	if (h->role == HTTP_SERVER)
		set_server_attrs(&s->attrs, h);
	else
		set_client_attrs(&s->attrs, h);
	if (h->endpoint.is_tcp) {
		set_address(&s->attrs, "network.peer.address", h->endpoint.peer_addr);
		attrs_set_int(&s->attrs, "network.peer.port", h->endpoint.peer_port);
	}
	if (h->version)
		attrs_set_str(&s->attrs, "network.protocol.version", h->version);
}

/* --- joining both ends ------------------------------------------------------------------------ */

static void make_sequence_key(struct sequence_key *key, const struct msg_http *h)
{
	const struct msg_endpoint *e = &h->endpoint;
	bool is_client = h->role == HTTP_CLIENT;

	memcpy(key->client_addr, is_client ? e->local_addr : e->peer_addr, 16);
	memcpy(key->server_addr, is_client ? e->peer_addr : e->local_addr, 16);
	key->client_port = is_client ? e->local_port : e->peer_port;
	key->server_port = is_client ? e->peer_port : e->local_port;
	key->tcp_seq = h->tcp_seq;
}

static void join_ends(struct core *c, struct node *client, struct node *server)
{
	/* Read before it was written: the ports and the number are used again. */
	if (server->start_ns < client->start_ns)
		return;
	/* Refused where the two carry different ids: the candidate then becomes a link. */
	assembly_merge(c->as, client, server);
	node_add_candidate(server, EVIDENCE_SOCKET_SEQUENCE, client);
}

static void join_by_sequence(struct core *c, const struct exchange *x, const struct msg_http *h)
{
	struct sequence_key key;
	struct sequence *other;
	bool is_met;

	if (!h->has_seq || !h->endpoint.is_tcp)
		return;
	make_sequence_key(&key, h);
	other = fifo_find(&c->sequences, &key, sizeof(key));
	if (other && other->role != x->role)
		join_ends(c, x->role == HTTP_SERVER ? other->node : x->node,
			  x->role == HTTP_SERVER ? x->node : other->node);
	if (other) {
		is_met = other->role != x->role;
		fifo_remove(&c->sequences, &other->entry);
		sequence_drop(c, &other->entry);
		if (is_met)
			return;
	}
	other = calloc(1, sizeof(*other));
	if (!other)
		return;
	other->node = node_get(x->node);
	other->role = x->role;
	fifo_add(&c->sequences, &key, sizeof(key), &other->entry);
}

/* --- repeated requests ------------------------------------------------------------------------ */

static uint64_t hash_target(const struct msg_http *h)
{
	char text[1024];
	int n = snprintf(text, sizeof(text), "%s %s %u %s", h->method, h->host ? h->host : "",
			 h->endpoint.peer_port, h->path);

	return XXH3_64bits(text, n < (int)sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

static struct attempt *attempt_find(struct node *activity, uint64_t target)
{
	unsigned int i;

	for (i = 0; i < NODE_ATTEMPTS_MAX; i++)
		if (activity->attempts[i].failures && activity->attempts[i].target == target)
			return &activity->attempts[i];
	return NULL;
}

static void count_resends(struct exchange *x)
{
	struct attempt *a = x->activity ? attempt_find(x->activity, x->target) : NULL;

	if (a)
		attrs_set_int(&x->node->span->attrs, "http.request.resend_count", a->failures);
}

/* Failures that make programs try again: 4xx as a rule are answers. */
static bool is_retried(const struct exchange *x)
{
	if (!x->status)
		return x->node->span->status == STATUS_ERROR;
	return x->status >= 500 || x->status == 408 || x->status == 429;
}

static void note_outcome(struct exchange *x)
{
	struct attempt *a;
	unsigned int i;

	if (!x->activity)
		return;
	a = attempt_find(x->activity, x->target);
	if (!is_retried(x)) {
		if (a)
			a->failures = 0;	/* what comes next is a request of its own */
		return;
	}
	for (i = 0; !a && i < NODE_ATTEMPTS_MAX; i++)
		if (!x->activity->attempts[i].failures)
			a = &x->activity->attempts[i];
	if (!a)
		return;
	a->target = x->target;
	a->failures++;
}

/* --- the exchange's life ---------------------------------------------------------------------- */

/* Makes room for one more: the oldest is the first of the table. */
static void exchanges_bound(struct core *c, uint64_t now_ns)
{
	if (HASH_COUNT(c->exchanges) < JOIN_EXCHANGES_MAX)
		return;
	c->given_up++;
	node_end_unseen(c->as, c->exchanges->node, now_ns);
	exchange_free(c, c->exchanges);
}

static struct exchange *exchange_new(struct core *c, const struct msg *m)
{
	struct span_facts facts = {
		.ts_ns = m->ts_ns, .start_ns = m->start_ns, .object = m->http.conn,
		.number = m->http.exchange, .tgid = m->tgid, .tid = m->tid,
		.kind = m->http.role == HTTP_SERVER ? SPAN_SERVER : SPAN_CLIENT,
	};
	struct exchange *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	x->node = node_new(c->as, &facts, core_resource(c, m));
	if (!x->node) {
		free(x);
		return NULL;
	}
	x->key = (struct exchange_key){ m->http.conn, m->tgid, m->http.exchange };
	x->role = m->http.role;
	x->first_op = m->http.first_op;
	x->node->span->scope = "http";
	exchanges_bound(c, m->ts_ns);
	HASH_ADD(hh, c->exchanges, key, sizeof(x->key), x);
	if (x->role == HTTP_SERVER)
		served_add(c, x);
	return x;
}

static void add_attrs(struct core *c, struct exchange *x, const struct msg *m)
{
	if (!x->node->span)
		return;		/* handed on as unfinished meanwhile */
	attrs_copy(&x->node->span->attrs, &m->attrs);
	node_spread(c->as, x->node, &m->attrs);
	identity_note(x->node, m);
	core_pod_named(c, x->node, &m->attrs);
}

void core_http_request(struct core *c, const struct msg *m)
{
	struct exchange *x = exchange_find(c, m);
	struct node *activity;

	if (x) {
		node_end_unseen(c->as, x->node, m->ts_ns);
		exchange_free(c, x);
	}
	x = exchange_new(c, m);
	if (!x)
		return;
	set_request(x->node->span, &m->http);
	if (x->role == HTTP_SERVER) {
		identity_place_inbound(c->identity, x->node, &m->http.context,
				       EVIDENCE_HEADER);
	} else {
		activity = core_find_activity(c, x->node, m);
		x->activity = activity ? node_get(activity) : NULL;
		x->target = hash_target(&m->http);
		identity_place_outgoing(c->identity, x->node, activity, &m->http.context);
		count_resends(x);
	}
	join_by_sequence(c, x, &m->http);
	add_attrs(c, x, m);
	node_touch(c->as, x->node, m->ts_ns);
}

void core_http_attrs(struct core *c, const struct msg *m)
{
	struct exchange *x = exchange_find(c, m);

	if (x)
		add_attrs(c, x, m);
}

void core_http_response(struct core *c, const struct msg *m)
{
	struct exchange *x = exchange_find(c, m);
	int status = m->http.status;
	char text[16];

	if (!x)
		return;
	x->status = status;
	if (!x->node->span)
		return;
	attrs_set_int(&x->node->span->attrs, "http.response.status_code", status);
	/* A server is not at fault for a 4xx that it answers; a client is failed by it. */
	if (status >= (x->role == HTTP_SERVER ? 500 : 400)) {
		snprintf(text, sizeof(text), "%d", status);
		span_set_error(x->node->span, text);
	}
	node_touch(c->as, x->node, m->ts_ns);
}

static const char *end_error(const struct exchange *x, enum http_end end)
{
	if (end == HTTP_END_RESET)
		return "connection_reset";
	/* Cut short: an answer that only ends with its connection is HTTP_END_COMPLETE. */
	if (end == HTTP_END_CLOSED)
		return x->role == HTTP_CLIENT && x->status ? NULL : "connection_closed";
	return NULL;
}

void core_http_end(struct core *c, const struct msg *m)
{
	struct exchange *x = exchange_find(c, m);
	const char *error;

	if (!x)
		return;
	if (x->node->span) {
		error = end_error(x, m->http.end);
		if (error)
			span_set_error(x->node->span, error);
		identity_settle(c->identity, x->node);
		if (m->http.end == HTTP_END_LOST)
			node_end_unseen(c->as, x->node, m->ts_ns);
		else
			node_end(c->as, x->node, m->ts_ns);
		if (x->role == HTTP_CLIENT)
			note_outcome(x);
	}
	exchange_free(c, x);
}
