/*
 * librdkafka: Debian's library is resolved, and its copy with one changed byte is refused.
 *
 * What is expected of Debian 12's 2.0.2 was read with a disassembler by hand: the prologue
 * bytes at each offset, and struct offsets from the library's own accessors.
 */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "attach/elf.h"
#include "attach/librdkafka.h"
#include "attach/load.h"
#include "attach/reason.h"

#define LIBRARY "/usr/lib/x86_64-linux-gnu/librdkafka.so.1"
#define DEBIAN_12 0x020002ffU		/* 2.0.2 */

static int open_copy(void)
{
	int from = open(LIBRARY, O_RDONLY | O_CLOEXEC), to;
	char buf[65536];
	ssize_t n;

	if (from < 0) {
		print_message("no %s: install librdkafka1\n", LIBRARY);
		skip();
	}
	to = memfd_create("copy", MFD_CLOEXEC);
	while ((n = read(from, buf, sizeof(buf))) > 0)
		check_eq(write(to, buf, (size_t)n), n, "copy");
	close(from);
	return to;
}

static int find_in(int fd, struct librdkafka *ret, struct reason *why)
{
	struct elf *e;
	int err;

	check_eq(elf_open(&e, fd), 0, "open");
	err = librdkafka_find(e, ret, why);
	elf_close(e);
	return err;
}

TEST(the_packaged_library_is_resolved)
{
	struct librdkafka k;
	struct reason why = { "" };
	int fd = open_copy(), polls = 0;
	size_t i;

	check_eq(find_in(fd, &k, &why), 0, why.text);
	check_eq(k.knobs.topic_off, 88, "topic");
	for (i = 0; i < k.count; i++) {
		uint8_t b[2];

		check_eq(pread(fd, b, 2, (off_t)k.points[i].site.offset), 2, k.points[i].name);
		check_eq(k.points[i].site.kind, k.points[i].role == KAFKA_REFUSED ?
			 SITE_SINGLE_STEP : SITE_EMULATED, k.points[i].name);
		check(!k.points[i].is_left_out, k.points[i].name);
		polls += k.points[i].role == KAFKA_POLL;
	}
	check(polls >= 4, "poll functions");
	close(fd);
}

TEST(debian_12_has_the_offsets_that_a_disassembler_shows)
{
	static const uint64_t polls[] = { 0x254b0, 0x57020, 0x1c320, 0x1c510, 0x1c8b0,
					  0x1c9b0 };
	struct load_kafka_sites sites;
	struct librdkafka k;
	struct reason why = { "" };
	int fd = open_copy();
	size_t i, j;

	check_eq(find_in(fd, &k, &why), 0, why.text);
	close(fd);
	if (k.version != DEBIAN_12) {
		print_message("librdkafka is %08x, the table is for 2.0.2\n", k.version);
		skip();
	}
	librdkafka_sites(&k, &sites);
	check_eq(sites.knobs.cluster_off, 0xbd0, "clusterid: lock; mov 0xbd0(%rbx),%rbp; test");
	check_eq(sites.knobs.group_off, 0x130, "memberid: mov 0x130(%rdi),%rax; test");
	check_eq(sites.knobs.high_off, 0x228, "watermarks: the second of its two stores");
	check_eq(sites.knobs.toppar_off, 56 - 120, "rko_rktp, seen from the message in it");
	check_eq(sites.response, 0xba2c0, "on_response_received");
	check_eq(sites.committed, 0xba120, "on_commit");
	check_eq(sites.commit_count, 2, "commits");
	check_eq(sites.commits[0], 0x4ef30, "commit");
	check_eq(sites.commits[1], 0x4f110, "commit_queue");
	check_eq(sites.commit_messages, 0, "commit_message calls commit");
	check_eq(sites.txn_begin, 0xfeaf0, "begin_transaction");
	check_eq(sites.txn_commit, 0xfed50, "commit_transaction");
	check_eq(sites.txn_abort, 0xff100, "abort_transaction");
	check_eq(sites.refused, 0x3e741, "msg_new0: movl $-184,(%r10)");
	check_eq(sites.refused_topic, KAFKA_RBX, "mov %rdi,%rbx");
	check_eq(sites.refused_client_off, 0xf0, "rkt_rk: on_send's first argument");
	check_eq(sites.rebalance_count, 2, "rebalances");
	check_eq(sites.rebalances[0], 0x7e520, "rebalance_op");
	check_eq(sites.rebalances[1], 0x7f060, "rebalance_op_incr");
	check(!sites.no_return_probes, "no Go program");
	check_str(k.found_by, "string", "the library is stripped");
	check_eq(sites.knobs.topic_off, 88, "rkt_topic");
	check_eq(sites.knobs.name_off, 2336, "rk_name: lea 0x920(%rdi)");
	check_eq(sites.send, 0xb9d20, "on_send");
	check_eq(sites.ack_queue, 0xb9fa0, "on_acknowledgement_queue");
	check_eq(sites.consume, 0xb9fe0, "on_consume");
	check_eq(sites.poll_count, ARRAY_COUNT(polls), "polls");
	for (i = 0; i < sites.poll_count; i++) {
		for (j = 0; j < ARRAY_COUNT(polls) && polls[j] != sites.polls[i]; j++)
			;
		check(j < ARRAY_COUNT(polls), "a poll function's site");
	}
}

/* A produce call that fails calls this for its message: call rel32, checked by hand. */
TEST(failed_sends_are_probed_where_they_are_told)
{
	static const uint64_t on_ack = 0xb9e60;
	struct load_kafka_sites sites;
	struct librdkafka k;
	struct reason why = { "" };
	int fd = open_copy();
	size_t i;

	check_eq(find_in(fd, &k, &why), 0, why.text);
	if (k.version != DEBIAN_12)
		skip();
	librdkafka_sites(&k, &sites);
	check_eq(sites.ack_call_count, 4, "msg_new, produceva, producev, produce_batch");
	for (i = 0; i < sites.ack_call_count; i++) {
		uint8_t b[5];
		int32_t rel;

		check_eq(pread(fd, b, 5, (off_t)sites.ack_calls[i]), 5, "read");
		memcpy(&rel, b + 1, sizeof(rel));
		check_eq(b[0], 0xe8, "a call");
		check_eq(sites.ack_calls[i] + 5 + (uint64_t)(int64_t)rel, on_ack, "its target");
	}
	close(fd);
}

TEST(poll_functions_say_what_they_return)
{
	static const struct { const char *name; uint8_t kind; } kinds[] = {
		{ "rd_kafka_consume_queue", KAFKA_POLL_ONE },
		{ "rd_kafka_consumer_poll", KAFKA_POLL_ONE },
		{ "rd_kafka_queue_poll", KAFKA_POLL_ONE },
		{ "rd_kafka_consume_batch", KAFKA_POLL_BATCH },
		{ "rd_kafka_consume_batch_queue", KAFKA_POLL_BATCH },
		{ "rd_kafka_consume_callback", KAFKA_POLL_CALLBACK },
		{ "rd_kafka_consume_callback_queue", KAFKA_POLL_CALLBACK },
	};
	struct librdkafka k;
	struct reason why = { "" };
	int fd = open_copy(), seen = 0;
	size_t i, j;

	check_eq(find_in(fd, &k, &why), 0, why.text);
	for (i = 0; i < k.count; i++)
		for (j = 0; j < ARRAY_COUNT(kinds); j++) {
			if (k.points[i].role != KAFKA_POLL ||
			    strcmp(k.points[i].name, kinds[j].name))
				continue;
			check_eq(k.points[i].poll_kind, kinds[j].kind, kinds[j].name);
			seen |= 1 << kinds[j].kind;
		}
	check_eq(seen, 7, "one of each kind");
	close(fd);
}

/* --- a static program: what its symbols tell is found when they are gone ---*/

#define ARCHIVE "/usr/lib/x86_64-linux-gnu/librdkafka.a"

static const char program[] =
	"char *rd_kafka_version_str(void); void *rd_kafka_new(int, void *, char *, long);\n"
	"int main(void) { return rd_kafka_new(0, 0, 0, 0) != rd_kafka_version_str(); }\n";

/* Links Debian's archive; its own dependencies by the names that run, not those for linking. */
static int link_program(const char *dir, const char *how)
{
	char text[1024];
	FILE *f;

	snprintf(text, sizeof(text), "%s/main.c", dir);
	f = fopen(text, "w");
	check(f && fputs(program, f) >= 0 && !fclose(f), "write the program");
	snprintf(text, sizeof(text), "cd %s && cc %s -o named main.c " ARCHIVE " -lm -lpthread "
		 "-lz -lssl -lcrypto -l:liblz4.so.1 -l:libzstd.so.1 -l:libsasl2.so.2 >log 2>&1 && "
		 "strip -s -o bare named && rm main.c log", dir, how);
	return system(text);
}

static int find_file(const char *dir, const char *name, struct librdkafka *ret, struct reason *why)
{
	char path[256];
	int fd, err;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	check(fd >= 0, path);
	unlink(path);
	err = find_in(fd, ret, why);
	close(fd);
	return err;
}

static void compare_stripped(const char *how)
{
	char dir[] = "/tmp/spanstitch-static-XXXXXX";
	struct librdkafka named, bare;
	struct load_kafka_sites a, b;
	struct reason why = { "" };
	size_t i, j;

	check(mkdtemp(dir), "directory");
	if (access(ARCHIVE, R_OK) || link_program(dir, how)) {
		print_message("no static librdkafka can be linked here\n");
		skip();
	}
	check_eq(find_file(dir, "named", &named, &why), 0, why.text);
	check_eq(find_file(dir, "bare", &bare, &why), 0, why.text);
	rmdir(dir);
	librdkafka_sites(&named, &a);
	librdkafka_sites(&bare, &b);
	check_str(named.found_by, "symbol", how);
	check_str(bare.found_by, "string", how);
	check_eq(bare.version, named.version, "version");
	check(b.poll_count >= 3, "consumer_poll, batches and events");
	for (i = 0; i < b.poll_count; i++) {
		for (j = 0; j < a.poll_count && a.polls[j] != b.polls[i]; j++)
			;
		check(j < a.poll_count, "a poll's site");
		check_eq(b.poll_kinds[i], a.poll_kinds[j], "a poll's kind");
	}
	/* beside the polls, of which callbacks have none, nothing may differ */
	memcpy(b.polls, a.polls, sizeof(a.polls));
	memcpy(b.poll_kinds, a.poll_kinds, sizeof(a.poll_kinds));
	b.poll_count = a.poll_count;
	check(!memcmp(&a, &b, sizeof(a)), "sites and knobs");
}

TEST(a_stripped_program_gives_the_sites_that_its_symbols_give)
{
	compare_stripped("-pie -fPIE");
}

TEST(a_stripped_program_at_a_fixed_address_too)
{
	compare_stripped("-no-pie -fno-pie");
}

static const struct bend {
	const char *name, *symbol, *bytes;
	size_t at, len;
	int err;
	const char *says;
} bends[] = {
	{ "message status elsewhere", "rd_kafka_message_status", "\x8b\x47\x68", 0, 3, -ENOTSUP,
	  "rd_kafka_message_status does not read offset 112" },
	{ "topic name elsewhere", "rd_kafka_topic_name", "\x48\x8b\x47\x60", 16, 4, -ENOTSUP,
	  "rd_kafka_topic_name does not read offset 88" },
	{ "version 0.11.6", "rd_kafka_version", "\xb8\xff\x06\x0b\x00", 0, 5, -ENOTSUP,
	  "librdkafka 0.11.6 is older than 1.0.0" },
	{ "version of unknown code", "rd_kafka_version", "\x90", 0, 1, -ENOTSUP,
	  "rd_kafka_version() is not the code we know" },
};

/* The bytes that are bent stand where Debian 12's build has them. */
static void skip_unless_debian_12(void)
{
	struct librdkafka k;
	struct reason why = { "" };
	int fd = open_copy();
	int err = find_in(fd, &k, &why);

	close(fd);
	if (!err && k.version == DEBIAN_12)
		return;
	print_message("librdkafka is not 2.0.2, whose code the table bends\n");
	skip();
}

TEST(another_layout_is_refused_with_its_reason)
{
	const struct bend *b;

	skip_unless_debian_12();
	for_each(b, bends) {
		struct elf_symbol s = { .name = b->symbol, .type = ELF_FUNCTION };
		struct librdkafka k;
		struct reason why = { "" };
		int fd = open_copy();
		struct elf *e;

		check_eq(elf_open(&e, fd), 0, "open");
		check_eq(elf_symbols(e, &s, 1), 0, "symbols");
		elf_close(e);
		/* in this library an address of code is its file offset */
		check_eq(pwrite(fd, b->bytes, b->len, (off_t)(s.addr + b->at)), b->len, "bend");
		check_eq(find_in(fd, &k, &why), b->err, b->name);
		check(strstr(why.text, b->says), why.text);
		close(fd);
	}
}

TEST(interceptors_that_cannot_be_told_apart_are_refused)
{
	static const char name[] = "\0on_consume";
	struct librdkafka k;
	struct reason why = { "" };
	int fd = open_copy();
	off_t size = lseek(fd, 0, SEEK_END);
	char *bytes, *at;

	bytes = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	check(bytes != MAP_FAILED, "map our copy");
	at = memmem(bytes, (size_t)size, name, sizeof(name));
	check(at, "the string is there");
	at[1] = 'x';
	munmap(bytes, (size_t)size);
	check_eq(find_in(fd, &k, &why), -ENOTSUP, "no such string");
	check(strstr(why.text, "cannot be told apart"), why.text);
	close(fd);
}

TEST(another_program_is_no_librdkafka)
{
	struct librdkafka k;
	struct reason why = { "" };
	int fd = open("/bin/true", O_RDONLY | O_CLOEXEC);

	check_eq(find_in(fd, &k, &why), -ENOENT, "true");
	check_str(why.text, "", "nothing to explain");
	close(fd);
}

RUN_TESTS(cmocka_unit_test(the_packaged_library_is_resolved),
	  cmocka_unit_test(debian_12_has_the_offsets_that_a_disassembler_shows),
	  cmocka_unit_test(failed_sends_are_probed_where_they_are_told),
	  cmocka_unit_test(poll_functions_say_what_they_return),
	  cmocka_unit_test(a_stripped_program_gives_the_sites_that_its_symbols_give),
	  cmocka_unit_test(a_stripped_program_at_a_fixed_address_too),
	  cmocka_unit_test(another_layout_is_refused_with_its_reason),
	  cmocka_unit_test(interceptors_that_cannot_be_told_apart_are_refused),
	  cmocka_unit_test(another_program_is_no_librdkafka))
