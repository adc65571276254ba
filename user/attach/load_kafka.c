/* load_kafka: the probes of one librdkafka file, and its mode. See load.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "attach/load_state.h"
#include "spanstitch.skel.h"
#include "util/log.h"
#include "wire.h"

#define COOKIE_UPPER 32		/* bits: kind of a poll, operation of a transaction */
#define COOKIE_CLIENT 40	/* where a topic that is refused a message names its client */

struct places {
	unsigned long offsets[LOAD_KAFKA_POLLS_MAX];
	__u64 cookies[LOAD_KAFKA_POLLS_MAX];
	size_t count;
};

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void add_place(struct places *p, uint64_t offset, uint64_t cookie)
{
	if (!offset || p->count == LOAD_KAFKA_POLLS_MAX)
		return;
	p->offsets[p->count] = offset;
	p->cookies[p->count++] = cookie;
}

static int attach_places(struct load *l, struct bpf_program *prog, const char *path,
			 const struct places *p)
{
	LIBBPF_OPTS(bpf_uprobe_multi_opts, opts, .offsets = p->offsets, .cookies = p->cookies,
		    .cnt = p->count);

	return p->count ? load_attach_sites(l, prog, path, &opts) : 0;
}

static int attach_one(struct load *l, struct bpf_program *prog, const char *path, uint64_t offset,
		      uint64_t cookie)
{
	struct places p = { .count = 0 };

	add_place(&p, offset, cookie);
	return attach_places(l, prog, path, &p);
}

static int attach_list(struct load *l, struct bpf_program *prog, const char *path,
		       const uint64_t offsets[LOAD_KAFKA_CALLS_MAX], uint64_t cookie)
{
	struct places p = { .count = 0 };
	size_t i;

	for (i = 0; i < LOAD_KAFKA_CALLS_MAX; i++)
		add_place(&p, offsets[i], cookie);
	return attach_places(l, prog, path, &p);
}

static int attach_polls(struct load *l, const char *path, const struct load_kafka_sites *s,
			uint64_t slot)
{
	struct places p = { .count = 0 };
	size_t i;

	for (i = 0; i < s->poll_count; i++)
		add_place(&p, s->polls[i], slot | (uint64_t)s->poll_kinds[i] << COOKIE_UPPER);
	return attach_places(l, l->skel->progs.kafka_poll, path, &p);
}

/* Returns tell a transaction's outcome; without them only that its end was asked for. */
static void attach_txns(struct load *l, const char *path, const struct load_kafka_sites *s,
			uint64_t slot)
{
	struct places entries = { .count = 0 }, returns = { .count = 0 };
	LIBBPF_OPTS(bpf_uprobe_multi_opts, opts, .offsets = returns.offsets,
		    .cookies = returns.cookies, .retprobe = true);

	add_place(&entries, s->txn_begin, slot | (uint64_t)TXN_BEGIN << COOKIE_UPPER);
	add_place(&entries, s->txn_commit, slot | (uint64_t)TXN_COMMIT << COOKIE_UPPER);
	add_place(&entries, s->txn_abort, slot | (uint64_t)TXN_ABORT << COOKIE_UPPER);
	if (attach_places(l, l->skel->progs.kafka_txn, path, &entries) || s->no_return_probes)
		return;
	add_place(&returns, s->txn_commit, slot);
	add_place(&returns, s->txn_abort, slot);
	opts.cnt = returns.count;
	if (returns.count && !load_allow_returns(l))
		load_attach_sites(l, l->skel->progs.kafka_txn_return, path, &opts);
}

/*
 * What tells more of messages than that they came and went. Where the kernel refuses one, that
 * was logged, and the rest is probed all the same.
 */
static void attach_more(struct load *l, const char *path, const struct load_kafka_sites *s,
			uint64_t slot)
{
	attach_list(l, l->skel->progs.kafka_ack_one, path, s->ack_calls, slot);
	attach_one(l, l->skel->progs.kafka_response, path, s->response, slot);
	attach_list(l, l->skel->progs.kafka_commit, path, s->commits, slot);
	attach_one(l, l->skel->progs.kafka_commit_message, path, s->commit_messages, slot);
	attach_one(l, l->skel->progs.kafka_committed, path, s->committed, slot);
	attach_list(l, l->skel->progs.kafka_rebalance, path, s->rebalances, slot);
	attach_one(l, l->skel->progs.kafka_refused, path, s->refused,
		   slot | (uint64_t)s->refused_topic << COOKIE_UPPER |
		   (uint64_t)s->refused_client_off << COOKIE_CLIENT);
	attach_txns(l, path, s, slot);
}

static int knobs_write(struct load *l, uint32_t slot)
{
	return bpf_map__update_elem(l->skel->maps.kafka_files, &slot, sizeof(slot),
				    &l->kafka[slot].knobs, sizeof(struct kafka_knobs), BPF_ANY);
}

/* A link of its own, since it comes and goes with the mode. */
static int attach_send(struct load *l, uint32_t slot)
{
	struct kafka_slot *k = &l->kafka[slot];
	unsigned long at = k->send;
	__u64 cookie = slot;
	LIBBPF_OPTS(bpf_uprobe_multi_opts, opts, .offsets = &at, .cookies = &cookie, .cnt = 1);
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", k->fd);
	k->send_link = bpf_program__attach_uprobe_multi(l->skel->progs.kafka_send, -1, path, NULL,
							&opts);
	return k->send_link ? 0 : -errno;
}

/*
 * Messages that were enqueued while on_send was not probed come whole with their acknowledgement;
 * those that come both ways are made one by the join.
 */
static int go_full(struct load *l, uint32_t slot)
{
	struct kafka_slot *k = &l->kafka[slot];
	int err = k->send ? attach_send(l, slot) : 0;

	if (err)
		return err;
	k->knobs.full_since_us = now_us();
	k->knobs.is_light = 0;
	return knobs_write(l, slot);
}

static int go_light(struct load *l, uint32_t slot)
{
	struct kafka_slot *k = &l->kafka[slot];
	int err;

	k->knobs.is_light = 1;
	err = knobs_write(l, slot);
	if (err)
		return err;
	bpf_link__destroy(k->send_link);
	k->send_link = NULL;
	return 0;
}

static void slot_free(struct kafka_slot *k)
{
	bpf_link__destroy(k->send_link);
	close(k->fd);
	memset(k, 0, sizeof(*k));
}

static int slot_take(struct load *l, const char *path, const struct load_kafka_sites *sites)
{
	static const uint64_t none;
	struct kafka_slot *k;
	uint32_t slot;
	int fd, err;

	for (slot = 0; slot < KAFKA_FILES_MAX && l->kafka[slot].is_used; slot++)
		;
	if (slot == KAFKA_FILES_MAX) {
		log_error("%s: %d librdkafka files are probed already, left out", path,
			  KAFKA_FILES_MAX);
		return -E2BIG;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	k = &l->kafka[slot];
	*k = (struct kafka_slot){
		.is_used = true, .owner = l->owner, .fd = fd, .send = sites->send,
		.knobs = sites->knobs,
	};
	bpf_map__update_elem(l->skel->maps.kafka_rates, &slot, sizeof(slot), &none, sizeof(none),
			     BPF_ANY);
	k->knobs.is_light = 1;		/* until on_send is attached */
	err = knobs_write(l, slot);
	if (err)
		slot_free(k);
	return err ? err : (int)slot;
}

int load_attach_kafka(struct load *l, const char *path, const struct load_kafka_sites *sites)
{
	size_t before = l->link_count;
	int slot, err;

	if (sites->poll_count > LOAD_KAFKA_POLLS_MAX)
		return -E2BIG;
	slot = slot_take(l, path, sites);
	if (slot < 0)
		return slot;
	err = attach_one(l, l->skel->progs.kafka_ack_queue, path, sites->ack_queue,
			 (uint64_t)slot);
	if (!err)
		err = attach_one(l, l->skel->progs.kafka_consume, path, sites->consume,
				 (uint64_t)slot);
	if (!err)
		err = attach_polls(l, path, sites, (uint64_t)slot);
	if (!err)
		attach_more(l, path, sites, (uint64_t)slot);
	if (!err && !l->kafka_starts_light)
		err = go_full(l, (uint32_t)slot);
	if (err) {
		load_detach_from(l, before);	/* a file is probed whole or not at all */
		slot_free(&l->kafka[slot]);
	}
	return err;
}

void load_kafka_start_light(struct load *l)
{
	l->kafka_starts_light = true;
}

static void name_file(int fd, char ret[LOAD_PATH_MAX])
{
	char link[32], path[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path));
	if (n <= 0)
		return;
	if (n < LOAD_PATH_MAX)
		memcpy(ret, path, (size_t)n);
	else
		memcpy(ret, path + n - (LOAD_PATH_MAX - 1), LOAD_PATH_MAX - 1);
}

bool load_kafka_next(struct load *l, uint32_t *at, struct load_kafka_file *ret)
{
	for (; *at < KAFKA_FILES_MAX; (*at)++) {
		struct kafka_slot *k = &l->kafka[*at];

		if (!k->is_used)
			continue;
		*ret = (struct load_kafka_file){ .slot = *at, .is_light = !k->send_link };
		name_file(k->fd, ret->path);
		bpf_map__lookup_elem(l->skel->maps.kafka_rates, at, sizeof(*at), &ret->produced,
				     sizeof(ret->produced), 0);
		(*at)++;
		return true;
	}
	return false;
}

int load_kafka_set_light(struct load *l, uint32_t slot, bool is_light)
{
	struct kafka_slot *k = &l->kafka[slot];

	if (!k->is_used || is_light == !k->send_link)
		return 0;
	return is_light ? go_light(l, slot) : go_full(l, slot);
}

void load_kafka_forget(struct load *l, uint32_t owner)
{
	size_t i;

	for (i = 0; i < KAFKA_FILES_MAX; i++)
		if (l->kafka[i].is_used && l->kafka[i].owner == owner)
			slot_free(&l->kafka[i]);
}

void load_kafka_done(struct load *l)
{
	size_t i;

	for (i = 0; i < KAFKA_FILES_MAX; i++)
		if (l->kafka[i].is_used)
			slot_free(&l->kafka[i]);
}
