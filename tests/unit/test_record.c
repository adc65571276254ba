/* record, replay: what is written is read back; a foreign file is refused with a clear code. */
#include "check.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "collect/record.h"
#include "collect/replay.h"
#include "util/count.h"

struct seen {
	unsigned char bytes[65536];
	size_t size;
	unsigned int count;
};

static void on_record(void *ctx, const struct wire_head *rec)
{
	struct seen *s = ctx;

	check(s->size + rec->len <= sizeof(s->bytes), "fits the test");
	memcpy(s->bytes + s->size, rec, rec->len);
	s->size += rec->len;
	s->count++;
}

/* a recording in memory: a good head, then room for the test's own bytes */
struct file {
	struct record_head head;
	unsigned char body[2 * WIRE_RECORD_MAX];
};

static struct file file_make(void)
{
	struct file f = { .head = { .magic = RECORD_MAGIC,
				    .version = WIRE_VERSION,
				    .size = sizeof(struct record_head) } };

	return f;
}

static int open_file(const struct file *f, size_t body, struct replay **ret)
{
	static struct counters unused;

	return replay_new_memory(ret, f, sizeof(f->head) + body, &unused);
}

static void path_make(char *ret, size_t size)
{
	int fd;

	snprintf(ret, size, "/tmp/test_record.XXXXXX");
	fd = mkstemp(ret);
	check(fd >= 0, "temporary file");
	close(fd);
}

TEST(records_come_back_as_they_were)
{
	struct record_info info = { .wall_offset_ns = -5, .key = { 1, 2, 3 }, .host = "here" };
	struct counters c = { 0 };
	struct seen want = { 0 }, got = { 0 };
	struct record *w = NULL;
	struct replay *r = NULL;
	union {
		struct wire_head head;
		unsigned char bytes[WIRE_RECORD_MAX];
	} rec;
	char path[64];
	uint32_t i;

	path_make(path, sizeof(path));
	check_eq(record_new(&w, path, &info), 0, "new");
	for (i = 0; i < 20; i++) {	/* odd lengths too, and the longest */
		memset(&rec, (int)i, sizeof(rec));
		rec.head.len = i == 19 ? WIRE_RECORD_MAX : sizeof(rec.head) + i * 7;
		rec.head.kind = WIRE_NONE + 1 + i % (WIRE_KIND_MAX - 1);
		check_eq(record_feed(w, &rec.head), 0, "feed");
		on_record(&want, &rec.head);
	}
	check_eq(record_flush(w), 0, "flush");
	record_free(w);

	check_eq(replay_new(&r, path, &c, on_record, &got), 0, "replay");
	check_eq(replay_info(r)->wall_offset_ns, -5, "offset");
	check(!memcmp(replay_info(r)->key, info.key, sizeof(info.key)), "key");
	check_str(replay_info(r)->host, "here", "host");
	while (replay_step(r) == 1)
		;
	check_eq(replay_step(r), 0, "the end stays the end");
	check_eq(got.count, 20, "records");
	check_eq(got.size, want.size, "bytes");
	check(!memcmp(got.bytes, want.bytes, want.size), "same bytes");
	check_eq(c.value[RECORDS_SEEN], 20, "counted");
	check_eq(c.value[RECORDS_REJECTED], 0, "rejected");
	replay_free(r);
	unlink(path);
}

TEST(a_recording_is_for_its_owner_only)
{
	struct record_info info;
	struct record *w = NULL;
	struct stat st;
	char path[64];

	path_make(path, sizeof(path));
	unlink(path);
	check_eq(record_info_make(&info), 0, "info");
	check_eq(record_new(&w, path, &info), 0, "new");
	check_eq(stat(path, &st), 0, "stat");
	check_eq(st.st_mode & 0777, 0600, "mode");
	record_free(w);
	unlink(path);
}

TEST(info_names_this_machine_and_run)
{
	struct record_info a, b;
	char host[256] = "";
	int64_t wall = (int64_t)time(NULL) * 1000000000;
	struct timespec mono;

	gethostname(host, sizeof(host) - 1);
	clock_gettime(CLOCK_MONOTONIC, &mono);
	check_eq(record_info_make(&a), 0, "info");
	check_eq(record_info_make(&b), 0, "again");
	check_str(a.host, host, "host");
	check(memcmp(a.key, b.key, sizeof(a.key)), "keys differ");
	check(llabs(a.wall_offset_ns + mono.tv_sec * 1000000000LL - wall) < 3000000000LL, "offset");
}

static const struct head_case {
	const char *name;
	size_t off;		/* of the byte that is changed, in struct record_head */
	unsigned char value;
	int want;
} head_cases[] = {
	{ "good", 0, 'S', 0 },
	{ "magic", 7, '2', -EBADMSG },
	{ "version", 8, WIRE_VERSION + 1, -EPROTONOSUPPORT },
	{ "head too short", 12, 8, -EBADMSG },
	{ "head beyond the limit", 14, 1, -EBADMSG },
	{ "longer head than the file", 13, 1, -EBADMSG },
};

TEST(a_wrong_head_is_refused)
{
	const struct head_case *c;

	for_each(c, head_cases) {
		struct file f = file_make();
		struct replay *r = NULL;

		((unsigned char *)&f.head)[c->off] = c->value;
		check_eq(open_file(&f, 0, &r), c->want, c->name);
		replay_free(r);
	}
}

TEST(a_host_without_end_is_refused)
{
	struct file f = file_make();
	struct replay *r = NULL;

	memset(f.head.info.host, 'x', sizeof(f.head.info.host));
	check_eq(open_file(&f, 0, &r), -EBADMSG, "no NUL");
}

TEST(a_file_shorter_than_its_head_is_refused)
{
	static struct counters unused;
	struct file f = file_make();
	struct replay *r = NULL;
	size_t n;

	for (n = 0; n < sizeof(f.head); n++)
		check_eq(replay_new_memory(&r, &f, n, &unused), -EBADMSG, "short");
	check_eq(replay_new(&r, "/nowhere/at/all", &unused, NULL, NULL), -ENOENT, "missing");
}

static const struct record_case {
	const char *name;
	uint32_t len;
	uint16_t kind;
	size_t body;		/* bytes in the file after the head */
	int want;
	unsigned int delivered, rejected;
} record_cases[] = {
	{ "smallest", 32, WIRE_MAP, 32, 1, 1, 0 },
	{ "largest", WIRE_RECORD_MAX, WIRE_IO, WIRE_RECORD_MAX, 1, 1, 0 },
	{ "nothing", 32, WIRE_MAP, 0, 0, 0, 0 },
	{ "cut in its head", 32, WIRE_MAP, 31, -ENODATA, 0, 0 },
	{ "cut in its tail", 100, WIRE_IO, 99, -ENODATA, 0, 0 },
	{ "no length", 0, WIRE_MAP, 32, -EBADMSG, 0, 0 },
	{ "shorter than a head", 31, WIRE_MAP, 32, -EBADMSG, 0, 0 },
	{ "too long", WIRE_RECORD_MAX + 1, WIRE_IO, 2 * WIRE_RECORD_MAX, -EBADMSG, 0, 0 },
	{ "huge", 0xffffffff, WIRE_IO, WIRE_RECORD_MAX, -EBADMSG, 0, 0 },
	{ "unknown kind", 40, WIRE_KIND_MAX, 40, 1, 0, 1 },
	{ "no kind", 40, WIRE_NONE, 40, 1, 0, 1 },
};

TEST(a_wrong_record_is_told_apart_from_the_end)
{
	const struct record_case *c;

	for_each(c, record_cases) {
		struct wire_head rec = { .len = c->len, .kind = c->kind };
		struct file f = file_make();
		struct counters counts = { 0 };
		struct seen got = { 0 };
		struct replay *r = NULL;

		memcpy(f.body, &rec, sizeof(rec));
		check_eq(replay_new_memory(&r, &f, sizeof(f.head) + c->body, &counts), 0, c->name);
		replay_set_next(r, on_record, &got);
		check_eq(replay_step(r), c->want, c->name);
		check_eq(got.count, c->delivered, c->name);
		check_eq(counts.value[RECORDS_REJECTED], c->rejected, c->name);
		replay_free(r);
	}
}

TEST(a_full_disk_is_told)
{
	struct record_info info = { .host = "here" };
	struct record *w = NULL;

	if (access("/dev/full", W_OK))
		skip();
	check_eq(record_new(&w, "/dev/full", &info), -ENOSPC, "the head already");
}

RUN_TESTS(cmocka_unit_test(records_come_back_as_they_were),
	  cmocka_unit_test(a_recording_is_for_its_owner_only),
	  cmocka_unit_test(info_names_this_machine_and_run),
	  cmocka_unit_test(a_wrong_head_is_refused),
	  cmocka_unit_test(a_host_without_end_is_refused),
	  cmocka_unit_test(a_file_shorter_than_its_head_is_refused),
	  cmocka_unit_test(a_wrong_record_is_told_apart_from_the_end),
	  cmocka_unit_test(a_full_disk_is_told))
