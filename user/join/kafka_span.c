/* kafka_span: how what is known of Kafka messages is written into spans; docs/kafka.md. */
#include <stdio.h>
#include <string.h>

#include "join/kafka.h"
#include "join/kafka_error.h"
#include "util/utf8.h"

#define KEY_SHOWN_MAX 64	/* bytes of a key that is shown */

struct node *kafka_node(struct core *c, const struct msg *m, enum span_kind kind,
			struct span_facts own)
{
	struct node *n;

	own.start_ns = m->start_ns;
	own.tgid = m->tgid;
	own.tid = m->tid;
	own.kind = kind;
	n = node_new(c->as, &own, core_resource(c, m));
	if (!n)
		return NULL;
	n->span->scope = "kafka";
	attrs_set_str(&n->span->attrs, "messaging.system", "kafka");
	return n;
}

void kafka_set_operation(struct span *s, const char *operation, const char *type,
			 const char *topic)
{
	span_set_name(s, "%s%s%s", operation, topic ? " " : "", topic ? topic : "");
	attrs_set_str(&s->attrs, "messaging.operation.name", operation);
	attrs_set_str(&s->attrs, "messaging.operation.type", type);
	if (topic)
		attrs_set_str(&s->attrs, "messaging.destination.name", topic);
	else
		attrs_remove(&s->attrs, "messaging.destination.name");
}

void kafka_set_partition(struct attrs *a, int32_t partition)
{
	char text[16];

	if (partition < 0)
		return;
	snprintf(text, sizeof(text), "%d", partition);
	attrs_set_str(a, "messaging.destination.partition.id", text);
}

void kafka_set_offset(struct attrs *a, int64_t offset)
{
	if (offset >= 0)
		attrs_set_int(a, "messaging.kafka.offset", offset);
}

static bool is_utf8(const unsigned char *p, size_t left)
{
	int n;

	for (; left; p += n, left -= n) {
		n = utf8_sequence(p, left);
		if (n <= 0 || !*p)
			return false;
	}
	return true;
}

/* Keys that are no text are shown as lower-case hex. */
static void set_key(struct attrs *a, const struct msg_kafka *k)
{
	const unsigned char *key = k->key;
	char hex[2 * KEY_SHOWN_MAX + 1];
	uint32_t i;

	if (!key || k->key_captured != k->key_len || k->key_len > KEY_SHOWN_MAX)
		return;
	if (is_utf8(key, k->key_len)) {
		attrs_set_strn(a, "messaging.kafka.message.key", key, k->key_len);
		return;
	}
	for (i = 0; i < k->key_len; i++)
		snprintf(hex + 2 * i, 3, "%02x", key[i]);
	attrs_set_strn(a, "messaging.kafka.message.key", hex, 2 * k->key_len);
}

void kafka_set_message(struct core *c, struct span *s, const struct msg_kafka *k)
{
	if (k->null_value)
		attrs_set_bool(&s->attrs, "messaging.kafka.message.tombstone", true);
	else
		attrs_set_int(&s->attrs, "messaging.message.body.size", k->value_len);
	if (c->kafka.message_key)
		set_key(&s->attrs, k);
}

void kafka_unset_message(struct span *s)
{
	static const char *const keys[] = {
		"messaging.kafka.message.tombstone", "messaging.message.body.size",
		"messaging.kafka.message.key", "messaging.kafka.offset",
		"spanstitch.kafka.wait_ms", "spanstitch.kafka.lag",
	};
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		attrs_remove(&s->attrs, keys[i]);
}

const char *kafka_error_text(int err, char room[16])
{
	const char *name = kafka_error_name(err);

	if (name)
		return name;
	snprintf(room, 16, "%d", err);
	return room;
}

void kafka_set_failure(struct span *s, int err)
{
	char room[16];

	span_set_error(s, kafka_error_text(err, room));
}
