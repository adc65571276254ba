/*
 * kafka_client: what is known of a probed librdkafka file and of its client handles, and what
 * clients do beside messages: commits, rebalances, transactions.
 *
 * Owner of the maps of files and clients.
 */
#include "compat.bpf.h"
#include "kafka.bpf.h"

#define CLIENTS_MAX 4096
#define CHECK_NS 1000000000ULL	/* between looks at a client whether more is known of it */
#define TELL_NS 5000000000ULL	/* between records of one client: a lost one comes again */
#define POSITIONS_MAX 16	/* partitions of one commit that are told */
#define NAME_BYTES 128		/* of rk_name; a longer cluster or group id is cut */
#define TXNS_MAX 4096		/* threads that end a transaction at one time */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, KAFKA_FILES_MAX);
	__type(key, __u32);
	__type(value, struct kafka_knobs);
} kafka_files SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, KAFKA_FILES_MAX);
	__type(key, __u32);
	__type(value, __u64);			/* messages produced */
} kafka_rates SEC(".maps");

struct client_key {
	__u64 tgid, rk;
};

struct client {
	__u64 checked_ns, told_ns;
	__u64 name;				/* a sum of its name */
	__u64 cluster, group;			/* as its fields were then */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, CLIENTS_MAX);
	__type(key, struct client_key);
	__type(value, struct client);
} kafka_clients SEC(".maps");

struct txn {
	__u64 rk;
	__u32 op, pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, TXNS_MAX);
	__type(key, __u64);			/* tgid, tid */
	__type(value, struct txn);
} kafka_txns SEC(".maps");

__hidden const struct kafka_knobs *kafka_file(__u64 cookie)
{
	__u32 slot = (__u32)cookie;

	return bpf_map_lookup_elem(&kafka_files, &slot);
}

__hidden void kafka_seen(__u64 cookie, __u64 messages)
{
	__u32 slot = (__u32)cookie;
	__u64 *n = bpf_map_lookup_elem(&kafka_rates, &slot);

	if (n)
		__sync_fetch_and_add(n, messages);
}

/* Appends a C string of the program at @off of the tail; its length without the NUL. */
static __always_inline __u32 append_name(__u8 *tail, __u32 off, __u64 address)
{
	__s64 n;

	if (!address || off > 2 * NAME_BYTES)
		return 0;
	n = bpf_probe_read_user_str(tail + off, NAME_BYTES, (const void *)address);
	if (n < 0)
		count(FAIL_READ_FAULT);
	return n > 1 ? (n - 1) & (NAME_BYTES - 1) : 0;
}

static void client_emit(const struct kafka_knobs *k, __u64 rk, __u64 ts_ns, const struct client *c)
{
	struct wire_kafka_client *r = ring_reserve(RING_768);
	__u64 group;
	__u8 *tail;
	__u32 off;

	if (!r)
		return;
	tail = (__u8 *)(r + 1);
	head_fill(&r->head, WIRE_KAFKA_CLIENT, ts_ns, 0);
	r->client = rk;
	r->group_handle = c->group;
	r->pad = 0;
	off = r->name_len = append_name(tail, 0, k->name_off ? rk + k->name_off : 0);
	off += r->cluster_len = append_name(tail, off, c->cluster);
	/* rkcg_group_id stands first; a string object is its length, then its address */
	group = user_word(c->group);
	off += r->group_len = append_name(tail, off, group ? user_word(group + 8) : 0);
	r->head.len = sizeof(*r) + off;
	ring_submit(r);
}
_Static_assert(RING_768 >= sizeof(struct wire_kafka_client) + 3 * NAME_BYTES, "room");
_Static_assert(RING_640 >= sizeof(struct wire_kafka_refused) + 3 * NAME_BYTES, "room");

/*
 * librdkafka numbers the clients of a process in their names, so that one at the address of an
 * earlier one is told apart. Of longer names the first 64 bytes count.
 */
static __u64 name_sum(__u64 address)
{
	__u64 words[8], sum = 0;
	int i;

	if (!address || bpf_probe_read_user(words, sizeof(words), (const void *)address))
		return 0;
	for (i = 0; i < 8; i++)
		sum = (sum ^ words[i]) * 0x9e3779b97f4a7c15ULL;
	return sum;
}

__hidden void kafka_client_tell(const struct kafka_knobs *k, __u64 rk, __u64 ts_ns)
{
	struct client_key key = { bpf_get_current_pid_tgid() >> 32, rk };
	struct client *old = bpf_map_lookup_elem(&kafka_clients, &key), c;

	c.name = name_sum(k->name_off ? rk + k->name_off : 0);
	if (old && old->name == c.name && ts_ns - old->checked_ns < CHECK_NS)
		return;
	c.checked_ns = c.told_ns = ts_ns;
	c.cluster = k->cluster_off ? user_word(rk + k->cluster_off) : 0;
	c.group = k->group_off ? user_word(rk + k->group_off) : 0;
	if (old && old->name == c.name && old->cluster == c.cluster && old->group == c.group &&
	    ts_ns - old->told_ns < TELL_NS) {
		old->checked_ns = ts_ns;
		return;
	}
	bpf_map_update_elem(&kafka_clients, &key, &c, BPF_ANY);
	client_emit(k, rk, ts_ns, &c);
}

/* --- commits ----------------------------------------------------------------------------- */

struct partition {		/* rd_kafka_topic_partition_t, a public structure */
	__u64 topic;
	__s32 partition, pad0;
	__s64 offset;
	__u64 metadata, metadata_size, opaque;
	__s32 err, pad1;
	__u64 private_data;
};

struct partition_list {		/* rd_kafka_topic_partition_list_t */
	__s32 count, size;
	__u64 elements;
};

#define POSITION_ROOM (sizeof(struct wire_kafka_position) + WIRE_NAME_MAX)
#define COMMIT_TAIL (RING_2560 - sizeof(struct wire_kafka_commit))
#define COMMIT_OFF_MAX (COMMIT_TAIL - POSITION_ROOM - 8)

struct commit_walk {
	__u8 *tail;
	__u64 elements;
	__u32 off, done;
};

static __always_inline int position_put(struct commit_walk *w, const struct partition *p)
{
	struct wire_kafka_position *out;
	__u32 off = w->off;
	__s64 n;

	barrier_var(off);
	if (off > COMMIT_OFF_MAX)
		return 1;
	out = (void *)w->tail + off;
	out->offset = p->offset;
	out->partition = p->partition;
	out->err = p->err;
	out->pad = 0;
	n = bpf_probe_read_user_str(out + 1, WIRE_NAME_MAX, (const void *)p->topic);
	n = n > 1 ? (n - 1) & (WIRE_NAME_MAX - 1) : 0;
	out->topic_len = n;
	w->off = (off + sizeof(*out) + n + 7) & ~7U;
	w->done++;
	return 0;
}

static long commit_step(__u32 i, struct commit_walk *w)
{
	struct partition p;

	if (bpf_probe_read_user(&p, sizeof(p), (const void *)(w->elements + i * sizeof(p)))) {
		count(FAIL_READ_FAULT);
		return 1;
	}
	return position_put(w, &p);
}

static __always_inline struct wire_kafka_commit *commit_begin(enum wire_phase phase, __u64 rk,
							      __s32 err)
{
	struct wire_kafka_commit *r = ring_reserve(RING_2560);
	__u64 ts_ns = bpf_ktime_get_ns();
	__u32 flags = 0;

	if (!r)
		return NULL;
	if (phase == PHASE_ASKED)
		flags = label_resolve(&r->labels, NULL);
	else
		__builtin_memset(&r->labels, 0, sizeof(r->labels));
	head_fill(&r->head, WIRE_KAFKA_COMMIT, ts_ns, flags);
	r->client = rk;
	r->err = err;
	r->phase = phase;
	return r;
}

static void commit_emit(enum wire_phase phase, __u64 rk, __u64 list_address, __s32 err)
{
	struct partition_list list = { 0 };
	struct commit_walk w = { 0 };
	struct wire_kafka_commit *r = commit_begin(phase, rk, err);
	__u32 n;

	if (!r)
		return;
	if (list_address && bpf_probe_read_user(&list, sizeof(list), (const void *)list_address))
		count(FAIL_READ_FAULT);
	n = list.count < 0 ? 0 : list.count;
	w.tail = (__u8 *)(r + 1);
	w.elements = list.elements;
	bpf_loop(n < POSITIONS_MAX ? n : POSITIONS_MAX, commit_step, &w, 0);
	r->count = n;
	r->captured = w.done;
	r->head.len = sizeof(*r) + w.off;
	ring_submit(r);
}

/* rd_kafka_commit(rk, offsets, ...), rd_kafka_commit_queue(rk, offsets, ...) */
SEC("?uprobe.multi")
int kafka_commit(struct pt_regs *ctx)
{
	const struct kafka_knobs *k = kafka_file(bpf_get_attach_cookie(ctx));

	if (!k || !target_is_traced())
		return 0;
	kafka_client_tell(k, CALL_ARG0(ctx), bpf_ktime_get_ns());
	commit_emit(PHASE_ASKED, CALL_ARG0(ctx), CALL_ARG1(ctx), 0);
	return 0;
}

/* rd_kafka_commit_message(rk, message, ...): the next offset is to be read */
SEC("?uprobe.multi")
int kafka_commit_message(struct pt_regs *ctx)
{
	const struct kafka_knobs *k = kafka_file(bpf_get_attach_cookie(ctx));
	struct wire_kafka_commit *r;
	struct commit_walk w = { 0 };
	struct partition p = { 0 };
	struct message m;

	if (!k || !target_is_traced() || !message_read(&m, CALL_ARG1(ctx)))
		return 0;
	r = commit_begin(PHASE_ASKED, CALL_ARG0(ctx), 0);
	if (!r)
		return 0;
	p.topic = message_topic(m.topic, k->topic_off);
	p.partition = m.partition;
	p.offset = m.offset + 1;
	w.tail = (__u8 *)(r + 1);
	position_put(&w, &p);
	r->count = r->captured = 1;
	r->head.len = sizeof(*r) + w.off;
	ring_submit(r);
	return 0;
}

/* rd_kafka_interceptors_on_commit(rk, offsets, err): the result, of automatic commits too */
SEC("?uprobe.multi")
int kafka_committed(struct pt_regs *ctx)
{
	const struct kafka_knobs *k = kafka_file(bpf_get_attach_cookie(ctx));

	if (!k || !target_is_traced())
		return 0;
	kafka_client_tell(k, CALL_ARG0(ctx), bpf_ktime_get_ns());
	commit_emit(PHASE_ENDED, CALL_ARG0(ctx), CALL_ARG1(ctx), (__s32)CALL_ARG2(ctx));
	return 0;
}

/* --- refused messages ------------------------------------------------------------------ */

#define QUEUE_FULL (-184)	/* RD_KAFKA_RESP_ERR__QUEUE_FULL */
#define TOPIC_FULL 0x544b5249	/* "IRKT": a whole topic object, since 1.5 */
#define TOPIC_OFF_OLD 80	/* kafka_knobs.topic_off before it */
#define STRING_TEXT 18		/* from an rd_kafkap_str_t to its text: 16 and a length of 2 */
#define REFUSALS_NS 100000000ULL
#define REFUSALS_MAX 100	/* told of one thread in that time */

struct refusals {
	__u64 since_ns;
	__u32 count, pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, TXNS_MAX);
	__type(key, __u64);			/* tgid, tid */
	__type(value, struct refusals);
} kafka_refusals SEC(".maps");

/* May another one of this thread be told? */
static bool refusal_is_told(__u64 ts_ns)
{
	struct refusals *r, first = { .since_ns = ts_ns, .count = 1 };
	__u64 key = bpf_get_current_pid_tgid();

	r = bpf_map_lookup_elem(&kafka_refusals, &key);
	if (!r || ts_ns - r->since_ns >= REFUSALS_NS) {
		bpf_map_update_elem(&kafka_refusals, &key, &first, BPF_ANY);
		return true;
	}
	if (++r->count <= REFUSALS_MAX)
		return true;
	count(FAIL_REFUSED_UNTOLD);
	return false;
}

/* A preserved register; all are read, since the verifier wants no address that is chosen. */
static __u64 preserved(struct pt_regs *ctx, __u32 which)
{
	__u64 bx = ctx->bx, bp = ctx->bp, r12 = ctx->r12, r13 = ctx->r13, r14 = ctx->r14,
	      r15 = ctx->r15;

	barrier_var(bx);
	barrier_var(bp);
	barrier_var(r12);
	barrier_var(r13);
	barrier_var(r14);
	barrier_var(r15);
	switch (which) {
	case KAFKA_RBX:
		return bx;
	case KAFKA_RBP:
		return bp;
	case KAFKA_R12:
		return r12;
	case KAFKA_R13:
		return r13;
	case KAFKA_R14:
		return r14;
	case KAFKA_R15:
		return r15;
	}
	return 0;
}

/* A word of what may be no address at all: failing is an answer. */
static __u64 try_word(__u64 address)
{
	__u64 value = 0;

	return bpf_probe_read_user(&value, sizeof(value), (const void *)address) ? 0 : value;
}

/* Since 1.5 it begins with a magic word; before, its name is a string object as all are. */
static bool is_topic(const struct kafka_knobs *k, __u64 object)
{
	__u64 string;

	if (!object)
		return false;
	if (k->topic_off != TOPIC_OFF_OLD)
		return (__u32)try_word(object) == TOPIC_FULL;
	string = try_word(object + k->topic_off);
	return string && try_word(string + 8) == string + STRING_TEXT;
}

/*
 * Within the function that makes messages, where the queue is full. A program that asks again and
 * again is told of so often only: the rest is counted.
 */
SEC("?uprobe.multi")
int kafka_refused(struct pt_regs *ctx)
{
	__u64 cookie = bpf_get_attach_cookie(ctx), topic;
	const struct kafka_knobs *k = kafka_file(cookie);
	struct wire_kafka_refused *r;
	__u32 off, flags;
	__u64 ts_ns;
	__u8 *tail;

	if (!k || !target_is_traced())
		return 0;
	ts_ns = bpf_ktime_get_ns();
	if (!refusal_is_told(ts_ns))
		return 0;
	topic = preserved(ctx, cookie >> 32 & 0xff);
	if (!is_topic(k, topic))
		topic = 0;
	r = ring_reserve(RING_640);
	if (!r)
		return 0;
	tail = (__u8 *)(r + 1);
	flags = label_resolve(&r->labels, NULL);
	head_fill(&r->head, WIRE_KAFKA_REFUSED, ts_ns, flags);
	r->err = QUEUE_FULL;
	r->client = topic && cookie >> 40 ? user_word(topic + (cookie >> 40)) : 0;
	off = r->topic_captured = append_name(tail, 0, message_topic(topic, k->topic_off));
	off += r->client_captured = append_name(tail, off, r->client && k->name_off ?
						r->client + k->name_off : 0);
	r->head.len = sizeof(*r) + off;
	ring_submit(r);
	return 0;
}

/* --- rebalances, transactions ------------------------------------------------------------ */

/* rd_kafka_rebalance_op(group, err, partitions, ...) and its incremental sibling */
SEC("?uprobe.multi")
int kafka_rebalance(struct pt_regs *ctx)
{
	struct wire_kafka_rebalance *r;
	struct partition_list list = { 0 };

	if (!target_is_traced())
		return 0;
	r = ring_reserve(RING_96);
	if (!r)
		return 0;
	if (CALL_ARG2(ctx) &&
	    bpf_probe_read_user(&list, sizeof(list), (const void *)CALL_ARG2(ctx)))
		count(FAIL_READ_FAULT);
	head_fill(&r->head, WIRE_KAFKA_REBALANCE, bpf_ktime_get_ns(), 0);
	r->head.len = sizeof(*r);
	r->group_handle = CALL_ARG0(ctx);
	r->err = (__s32)CALL_ARG1(ctx);
	r->count = list.count < 0 ? 0 : list.count;
	ring_submit(r);
	return 0;
}

static void txn_emit(const struct txn *t, enum wire_phase phase, __s32 err)
{
	struct wire_kafka_txn *r = ring_reserve(RING_96);

	if (!r)
		return;
	head_fill(&r->head, WIRE_KAFKA_TXN, bpf_ktime_get_ns(), 0);
	r->head.len = sizeof(*r);
	r->client = t->rk;
	r->op = t->op;
	r->phase = phase;
	r->err = err;
	r->pad = 0;
	ring_submit(r);
}

/* rd_kafka_{begin,commit,abort}_transaction(rk, ...); the cookie's upper half: enum wire_txn */
SEC("?uprobe.multi")
int kafka_txn(struct pt_regs *ctx)
{
	__u64 key = bpf_get_current_pid_tgid();
	struct txn t = { .rk = CALL_ARG0(ctx), .op = bpf_get_attach_cookie(ctx) >> 32 };

	if (!target_is_traced())
		return 0;
	txn_emit(&t, PHASE_ASKED, 0);
	if (t.op != TXN_BEGIN)
		bpf_map_update_elem(&kafka_txns, &key, &t, BPF_ANY);
	return 0;
}

/* Their return: NULL, or an rd_kafka_error_t, whose first field is its code. */
SEC("?uprobe.multi")
int kafka_txn_return(struct pt_regs *ctx)
{
	__u64 key = bpf_get_current_pid_tgid();
	struct txn *t = bpf_map_lookup_elem(&kafka_txns, &key), copy;

	if (!t)
		return 0;
	copy = *t;
	bpf_map_delete_elem(&kafka_txns, &key);
	txn_emit(&copy, PHASE_ENDED, (__s32)user_word(CALL_RESULT(ctx)));
	return 0;
}
