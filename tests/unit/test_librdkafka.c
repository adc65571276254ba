/*
 * librdkafka: Debian's library is resolved, and its copy with one changed byte is refused.
 *
 * What is expected of Debian 12's 2.0.2 was read with a disassembler by hand: the prologue
 * bytes at each offset, and struct offsets from the library's own accessors.
 */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
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
		check_eq(k.points[i].site.kind, SITE_EMULATED, k.points[i].name);
		check(!k.points[i].is_left_out, k.points[i].name);
		polls += k.points[i].role == KAFKA_POLL;
	}
	check(polls >= 4, "poll functions");
	close(fd);
}

TEST(debian_12_has_the_offsets_that_a_disassembler_shows)
{
	static const uint64_t polls[] = { 0x254b0, 0x57020, 0x1c320, 0x1c510, 0x1c8b0 };
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
	  cmocka_unit_test(another_layout_is_refused_with_its_reason),
	  cmocka_unit_test(interceptors_that_cannot_be_told_apart_are_refused),
	  cmocka_unit_test(another_program_is_no_librdkafka))
