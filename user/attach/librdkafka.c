/* librdkafka: see librdkafka.h */
#include "attach/librdkafka.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "attach/librdkafka_search.h"
#include "attach/load.h"
#include "target/runtime.h"

#define RUSTC "/rustc/"		/* in the paths that panics name */

#ifdef __aarch64__
#define RUSTC "/rustc/"
#define OWN_MACHINE EM_AARCH64
#else
#define OWN_MACHINE EM_X86_64
#endif

const char *const librdkafka_names[NAME_MAX] = {
	[NAME_VERSION] = "rd_kafka_version",
	[NAME_NAME] = "rd_kafka_name",
	[NAME_TOPIC] = "rd_kafka_topic_name",
	[NAME_STATUS] = "rd_kafka_message_status",
	[NAME_TIMESTAMP] = "rd_kafka_message_timestamp",
	[NAME_HEADERS] = "rd_kafka_message_headers",
	[NAME_CLUSTER] = "rd_kafka_clusterid",
	[NAME_MEMBER] = "rd_kafka_memberid",
	[NAME_WATERMARKS] = "rd_kafka_get_watermark_offsets",
	[NAME_ON_SEND] = "rd_kafka_interceptors_on_send",
	[NAME_ON_ACK_QUEUE] = "rd_kafka_interceptors_on_acknowledgement_queue",
	[NAME_ON_CONSUME] = "rd_kafka_interceptors_on_consume",
	[NAME_ON_ACK] = "rd_kafka_interceptors_on_acknowledgement",
	[NAME_ON_RESPONSE] = "rd_kafka_interceptors_on_response_received",
	[NAME_ON_COMMIT] = "rd_kafka_interceptors_on_commit",
	[NAME_COMMIT] = "rd_kafka_commit",
	[NAME_COMMIT_QUEUE] = "rd_kafka_commit_queue",
	[NAME_COMMIT_MESSAGE] = "rd_kafka_commit_message",
	[NAME_TXN_BEGIN] = "rd_kafka_begin_transaction",
	[NAME_TXN_COMMIT] = "rd_kafka_commit_transaction",
	[NAME_TXN_ABORT] = "rd_kafka_abort_transaction",
	[NAME_REBALANCE] = "rd_kafka_rebalance_op",
	[NAME_REBALANCE_INCR] = "rd_kafka_rebalance_op_incr",
	[NAME_MESSAGE_GET] = "rd_kafka_message_get",
	[NAME_MESSAGE_NEW] = "rd_kafka_msg_new0",
	[NAME_POLL_FIRST] = "rd_kafka_consumer_poll",
	"rd_kafka_consume",
	"rd_kafka_consume_queue",
	"rd_kafka_consume_batch",
	"rd_kafka_consume_batch_queue",
	"rd_kafka_consume_callback",
	"rd_kafka_consume_callback_queue",
	"rd_kafka_queue_poll",
	"rd_kafka_share_poll",
	"rd_kafka_queue_poll_callback",
};

/* what a missing role costs; in the order of enum librdkafka_role */
static const struct {
	const char *name, *costs;
	uint32_t since;		/* before it the library had no such thing */
} optional[KAFKA_ROLE_MAX] = {
	[KAFKA_POLL] = { "polls", "processing ends by a commit or with the process only", 0 },
	[KAFKA_ACK_CALL] = { "failed sends", "a produce call that fails leaves its span open", 0 },
	[KAFKA_RESPONSE] = { "broker answers", "no split of queue wait and broker time",
			     0x010601ff },
	[KAFKA_COMMITTED] = { "commit results", "no commit spans", 0 },
	[KAFKA_COMMIT] = { "commit calls", "commit spans have no start of their own", 0 },
	[KAFKA_REBALANCE] = { "rebalances", "no rebalance events", 0 },
	[KAFKA_TXN_BEGIN] = { "transactions", "no outcome of transactions", 0x010400ff },
	[KAFKA_REFUSED] = { "full queue", "no spans of messages that found it full", 0 },
};

/* A program without the symbol may hold the library and have been stripped. */
static bool may_be_stripped(struct elf *e)
{
	uint64_t addr;

	return !elf_string(e, "on_acknowledgement", &addr) && !elf_string(e, "on_send", &addr);
}

static int find_rustc(void *ctx, const struct elf_chunk *chunk)
{
	(void)ctx;
	return memmem(chunk->bytes, chunk->len, RUSTC, sizeof(RUSTC) - 1) != NULL;
}

/* A Rust program that lost its comments too still names the sources of the standard library. */
static const char *find_runtime(struct search *s)
{
	const char *runtime = runtime_of(elf_fd(s->e));

	if (*runtime || !s->is_stripped)
		return runtime;
	return elf_scan(s->e, ELF_CONSTANTS, sizeof(RUSTC), find_rustc, NULL) > 0 ? "rust" : "";
}

int librdkafka_find(struct elf *e, struct librdkafka *ret, struct reason *why)
{
	struct librdkafka k = { 0 };
	struct search s = { .e = e, .k = &k, .why = why };
	int i, err;

	for (i = 0; i < NAME_MAX; i++)
		s.symbols[i] = (struct elf_symbol){ .name = librdkafka_names[i],
						    .type = ELF_FUNCTION };
	err = elf_symbols(e, s.symbols, NAME_MAX);
	if (err)
		return -ENOENT;		/* odd tables: not a library that somebody loads */
	s.is_stripped = !s.symbols[NAME_VERSION].addr;
	if (s.is_stripped && !may_be_stripped(e))
		return -ENOENT;
	k.is_foreign = elf_machine(e) != OWN_MACHINE;
	k.runtime = find_runtime(&s);
	err = librdkafka_find_version(&s);
	if (err)
		return err;
	if (s.is_stripped)
		librdkafka_stripped_accessors(&s);
	librdkafka_find_message_get(&s);
	err = librdkafka_check_layout(&s);
	if (!err)
		err = librdkafka_find_interceptors(&s);
	if (err)
		return err;
	librdkafka_find_knobs(&s);
	librdkafka_find_polls(&s);
	librdkafka_find_points(&s);
	*ret = k;
	return 0;
}

static void push(uint64_t *list, size_t *count, size_t room, uint64_t offset)
{
	if (*count < room)
		list[(*count)++] = offset;
}

static void fill_poll(struct load_kafka_sites *sites, const struct librdkafka_point *p)
{
	if (sites->poll_count == LOAD_KAFKA_POLLS_MAX)
		return;
	sites->poll_kinds[sites->poll_count] = p->poll_kind;
	sites->polls[sites->poll_count++] = p->site.offset;
}

static void fill(struct load_kafka_sites *sites, const struct librdkafka_point *p)
{
	uint64_t *const single[KAFKA_ROLE_MAX] = {
		[KAFKA_SEND] = &sites->send,
		[KAFKA_ACK_QUEUE] = &sites->ack_queue,
		[KAFKA_CONSUME] = &sites->consume,
		[KAFKA_RESPONSE] = &sites->response,
		[KAFKA_COMMITTED] = &sites->committed,
		[KAFKA_COMMIT_MESSAGE] = &sites->commit_messages,
		[KAFKA_TXN_BEGIN] = &sites->txn_begin,
		[KAFKA_TXN_COMMIT] = &sites->txn_commit,
		[KAFKA_TXN_ABORT] = &sites->txn_abort,
	};

	if (single[p->role]) {
		*single[p->role] = p->site.offset;
		return;
	}
	switch (p->role) {
	case KAFKA_POLL:
		fill_poll(sites, p);
		break;
	case KAFKA_ACK_CALL:
		push(sites->ack_calls, &sites->ack_call_count, LOAD_KAFKA_CALLS_MAX,
		     p->site.offset);
		break;
	case KAFKA_REFUSED:
		sites->refused = p->site.offset;
		sites->refused_topic = p->topic_register;
		sites->refused_client_off = p->client_off;
		break;
	case KAFKA_COMMIT:
		push(sites->commits, &sites->commit_count, LOAD_KAFKA_CALLS_MAX, p->site.offset);
		break;
	case KAFKA_REBALANCE:
		push(sites->rebalances, &sites->rebalance_count, LOAD_KAFKA_CALLS_MAX,
		     p->site.offset);
		break;
	default:
		break;
	}
}

void librdkafka_sites(const struct librdkafka *k, struct load_kafka_sites *ret)
{
	struct load_kafka_sites sites = {
		.knobs = k->knobs, .no_return_probes = !strcmp(k->runtime, "go"),
	};
	size_t i;

	for (i = 0; i < k->count; i++)
		if (!k->points[i].is_left_out)
			fill(&sites, &k->points[i]);
	*ret = sites;
}

static void add_text(char *ret, size_t room, const char *what, const char *costs)
{
	size_t at = strlen(ret);

	if (at < room)
		snprintf(ret + at, room - at, "%sno %s: %s", at ? "; " : "", what, costs);
}

void librdkafka_missing(const struct librdkafka *k, char *ret, size_t room)
{
	uint32_t seen = 0;
	size_t i;

	*ret = '\0';
	for (i = 0; i < k->count; i++)
		if (!k->points[i].is_left_out)
			seen |= 1U << k->points[i].role;
	for (i = 0; i < KAFKA_ROLE_MAX; i++)
		if (optional[i].name && k->version >= optional[i].since && !(seen & 1U << i))
			add_text(ret, room, optional[i].name, optional[i].costs);
	if (!k->knobs.name_off)
		add_text(ret, room, "client name", "no messaging.client.id");
	if (!k->knobs.cluster_off)
		add_text(ret, room, "cluster id", "joins without headers take one cluster for all");
	if (!k->knobs.group_off)
		add_text(ret, room, "group", "no messaging.consumer.group.name");
	if (!k->knobs.high_off)
		add_text(ret, room, "high watermark", "no spanstitch.kafka.lag");
}

/* Each function once, though it may be probed at several calls, then what is missing. */
void librdkafka_describe(const struct librdkafka *k, char *ret, size_t room)
{
	size_t i, at = (size_t)snprintf(ret, room, "found by %s: ", k->found_by);

	for (i = 0; i < k->count && at < room; i++) {
		const struct librdkafka_point *p = &k->points[i];

		if (!i || p->name != p[-1].name)
			at += (size_t)snprintf(ret + at, room - at, "%s%s %s", i ? ", " : "",
					       p->name, p->is_left_out ? "left out: too dear" :
							site_kind_name(p->site.kind));
	}
	if (at + 2 >= room)
		return;
	librdkafka_missing(k, ret + at + 2, room - at - 2);
	if (ret[at + 2])
		memcpy(ret + at, "; ", 2);
}
