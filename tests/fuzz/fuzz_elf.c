/*
 * fuzz_elf: a hostile file as elf.h, librdkafka.h and python.h read it. Oracle beyond crashes:
 * what is found lies within the file's code, and a reason is given for each refusal.
 * Seeds library* and program* hold all that is looked for: elf_seeds.sh links them.
 */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "attach/elf.h"
#include "attach/librdkafka.h"
#include "attach/load.h"
#include "attach/python.h"
#include "attach/reason.h"

#define INPUT_MAX (256U << 10)

static void are_code(struct elf *e, const uint64_t *offsets, size_t count)
{
	uint64_t addr;
	size_t i;

	for (i = 0; i < count; i++)
		assert(!elf_address(e, offsets[i], &addr) && elf_is_code(e, addr));
}

static void look_for_kafka(struct elf *e)
{
	struct load_kafka_sites sites;
	char text[LIBRDKAFKA_TEXT_MAX];
	struct reason why = { "" };
	struct librdkafka k;
	uint64_t addr;
	int err = librdkafka_find(e, &k, &why);

	if (err) {
		assert(err == -ENOENT || err == -ENOEXEC || err == -ENOMEM || *why.text);
		return;
	}
	librdkafka_describe(&k, text, sizeof(text));
	assert(strlen(text) < sizeof(text));
	librdkafka_sites(&k, &sites);
	assert(sites.send && sites.ack_queue && sites.consume);
	are_code(e, &sites.send, 1);
	are_code(e, &sites.ack_queue, 1);
	are_code(e, &sites.consume, 1);
	are_code(e, sites.ack_calls, sites.ack_call_count);
	are_code(e, sites.polls, sites.poll_count);
	are_code(e, sites.commits, sites.commit_count);
	are_code(e, sites.rebalances, sites.rebalance_count);
	assert(!sites.response || elf_address(e, sites.response, &addr) == 0);
	assert(!sites.knobs.toppar_off == !sites.knobs.high_off);
}

static void look_for_python(struct elf *e)
{
	struct reason why = { "" };
	struct python p;
	int err = python_find(e, &p, &why);

	if (err)
		assert(err == -ENOENT || err == -ENOEXEC || err == -ENOMEM || *why.text);
	else
		assert(elf_is_code(e, p.copy.addr) && p.context_off && (p.key || p.tls));
}

static void look_at_tables(struct elf *e)
{
	struct elf_symbol s[] = {
		{ .name = "rd_kafka_version", .type = ELF_FUNCTION },
		{ .name = "PyContext_Type", .type = ELF_OBJECT },
	};
	uint8_t id[ELF_BUILD_ID_MAX];
	struct elf_range r;
	struct site site;
	uint64_t addr;

	assert(elf_build_id(e, id) <= ELF_BUILD_ID_MAX);
	if (!elf_symbols(e, s, 2) && s[0].addr)
		assert(elf_is_code(e, s[0].addr));
	if (s[0].addr && !site_find(e, s[0].addr, s[0].size, &site))
		assert(elf_is_code(e, site.addr) && site.skip <= SITE_LOOK_BYTES);
	if (!elf_string(e, "on_send", &addr))
		elf_function(e, addr, &r);
	if (s[0].addr && !elf_function(e, s[0].addr, &r))
		assert(r.start <= r.end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct elf *e;
	int fd;

	if (size > INPUT_MAX)
		return 0;
	fd = memfd_create("elf", MFD_CLOEXEC);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		return 0;
	if (!elf_open(&e, fd)) {
		look_at_tables(e);
		look_for_kafka(e);
		look_for_python(e);
		elf_close(e);
	}
	close(fd);
	return 0;
}
