/* exchange: see exchange.h. */
#include "decode/exchange.h"

#include <sys/socket.h>

#include "decode/context.h"
#include "decode/json.h"
#include "decode/stage.h"
#include "decode/url.h"

static const struct wire_head *head_of(const struct conn *c, const struct operation *op,
				       struct wire_head *buf)
{
	*buf = (struct wire_head){
		.ts_ns = op->ts_ns,
		.tgid = c->key.tgid,
		.tid = op->tid,
		.start_ns = c->key.start_ns,
	};
	return buf;
}

static void begin(struct conn *c, struct msg *m, enum msg_kind kind, const struct operation *op)
{
	struct wire_head head;

	stage_msg(c->d, m, kind, head_of(c, op, &head));
	m->labels = op->labels;
	m->http.conn = c->key.ino;
	m->http.role = c->requests == DIR_IN ? HTTP_SERVER : HTTP_CLIENT;
}

static void set_endpoint(struct msg_http *h, const struct wire_sock *sock)
{
	memcpy(h->endpoint.local_addr, sock->local_addr, sizeof(h->endpoint.local_addr));
	memcpy(h->endpoint.peer_addr, sock->peer_addr, sizeof(h->endpoint.peer_addr));
	h->endpoint.local_port = sock->local_port;
	h->endpoint.peer_port = sock->peer_port;
	h->endpoint.is_tcp = sock->family == AF_INET || sock->family == AF_INET6;
}

static const char *version_text(int minor)
{
	static const char *const texts[] = {
		"1.0", "1.1", "1.2", "1.3", "1.4", "1.5", "1.6", "1.7", "1.8", "1.9",
	};

	return minor < 0 ? NULL : texts[minor];
}

static void read_headers(struct decode *d, struct msg *m, const struct http_head *head,
			 uint64_t mask)
{
	struct rule_set set = { d->rules, mask };
	struct slice lines = head->lines, name, value;
	struct context_reader reader;
	unsigned int invalid;

	context_begin(&reader, CONTEXT_HTTP, d->rules->trace_headers,
		      d->rules->trace_headers_count);
	while (http1_header_next(&lines, &name, &value)) {
		context_header(&reader, name, value);
		if (!m->http.host && slice_is_nocase(name, "host"))
			m->http.host = strings_copy(&d->strings, value.at, value.len);
		else if (!m->http.user_agent && slice_is_nocase(name, "user-agent"))
			m->http.user_agent = strings_copy(&d->strings, value.at, value.len);
		capture_header(m, &set, FROM_HTTP_REQUEST_HEADER, name, value);
	}
	invalid = context_end(&reader, &d->strings, &m->http.context, &m->attrs);
	counter_add(d->counters, CONTEXT_INVALID, invalid);
}

static void capture_params(struct decode *d, struct msg *m, struct slice path, uint64_t mask)
{
	struct slice value;
	unsigned int i;
	size_t len;
	char *text;

	for (i = 0; i < d->rules->capture_count && i < RULES_MAX; i++) {
		const struct rule *rule = &d->rules->capture[i];

		if (!(mask >> i & 1) || rule->from != FROM_HTTP_PATH ||
		    !route_match(rule->route, path, rule->param, &value))
			continue;
		text = url_decode(&d->strings, value, &len);
		if (text)
			capture(m, rule, slice_of(text, len));
	}
}

static void read_target(struct decode *d, struct msg *m, const struct http_head *head,
			struct exchange *x)
{
	struct url url = url_split(head->target, x->is_connect);
	/* of a path that was cut off nobody knows the route */
	bool is_whole = !head->is_target_cut || url.query.at;

	m->http.path = strings_copy(&d->strings, url.path.at, url.path.len);
	if (url.query.at)
		m->http.query = url_redact_query(&d->strings, url.query);
	if (url.authority.at)
		m->http.host = strings_copy(&d->strings, url.authority.at, url.authority.len);
	if (!is_whole)
		return;
	m->http.route = rules_route(d->rules, url.path);
	x->rules = rules_for_http(d->rules, head->method, url.path);
	if (x->rules)
		capture_params(d, m, url.path, x->rules);
}

void exchange_request(struct direction *dir, const struct http_head *head, struct exchange *x)
{
	struct conn *c = dir->conn;
	struct msg m;

	begin(c, &m, MSG_HTTP_REQUEST, &dir->start);
	m.http.exchange = x->number;
	m.http.first_op = dir->start.number;
	m.http.has_seq = dir->start.has_seq;
	m.http.tcp_seq = dir->start_seq;
	set_endpoint(&m.http, &c->sock);
	x->is_head = slice_is(head->method, "HEAD");
	x->is_connect = slice_is(head->method, "CONNECT");
	m.http.method = strings_copy(&c->d->strings, head->method.at, head->method.len);
	m.http.version = version_text(head->minor);
	read_target(c->d, &m, head, x);
	read_headers(c->d, &m, head, x->rules);
	stage_send(c->d, &m);
}

void exchange_response(struct direction *dir, const struct http_head *head,
		       const struct exchange *x)
{
	struct msg m;

	begin(dir->conn, &m, MSG_HTTP_RESPONSE, &dir->start);
	m.http.exchange = x->number;
	m.http.status = head->status;
	stage_send(dir->conn->d, &m);
}

void exchange_end(struct conn *c, const struct exchange *x, const struct operation *op,
		  enum http_end how)
{
	struct msg m;

	begin(c, &m, MSG_HTTP_END, op);
	m.http.exchange = x->number;
	m.http.end = how;
	stage_send(c->d, &m);
}

/* --- bodies --------------------------------------------------------------------------------- */

static void on_field(void *ctx, unsigned int id, struct slice value)
{
	struct direction *dir = ctx;
	struct conn *c = dir->conn;
	struct msg m;

	begin(c, &m, MSG_HTTP_ATTRS, c->now);
	m.http.exchange = dir->body_exchange;
	capture(&m, &c->d->rules->capture[id], value);
	stage_send(c->d, &m);
}

void exchange_body_begin(struct direction *dir, const struct exchange *x, enum rule_from from)
{
	const struct rules *rules = dir->conn->d->rules;
	struct json_field fields[RULES_MAX];
	unsigned int i, count = 0;

	for (i = 0; i < RULES_MAX && x->rules >> i; i++)
		if (x->rules >> i & 1 && rules->capture[i].from == from)
			fields[count++] = (struct json_field){ rules->capture[i].field, i };
	dir->body_exchange = x->number;
	exchange_body_end(dir);
	/* without memory nothing is found, which a rule must expect anyway */
	if (count && json_new(&dir->json, fields, count, on_field, dir))
		dir->json = NULL;
}

void exchange_body(struct direction *dir, struct slice bytes)
{
	if (dir->json && (!bytes.at || !json_feed(dir->json, bytes)))
		exchange_body_end(dir);
}

void exchange_body_end(struct direction *dir)
{
	json_free(dir->json);
	dir->json = NULL;
}
