/* site: the probe goes to the first cheap instruction, and nowhere that it would change. */
#include "check.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "attach/elf.h"
#include "attach/site.h"

/* bytes as the assembler makes them; the comment-like name holds the source */
static const struct site_case {
	const char *name, *code;
	size_t len;
	int err;
	unsigned int skip;
	enum site_kind kind;
} cases[] = {
	{ "push %rbx", "\x53\xc3", 2, 0, 0, SITE_EMULATED },
	{ "push %r15", "\x41\x57\xc3", 3, 0, 0, SITE_EMULATED },
	{ "endbr64; push %rbx", "\xf3\x0f\x1e\xfa\x53", 5, 0, 4, SITE_EMULATED },
	{ "nopl 0(%rax,%rax,1) first", "\x0f\x1f\x44\x00\x00\x53", 6, 0, 0, SITE_NOP5 },
	{ "endbr64; nop5; push: never the nop5",
	  "\xf3\x0f\x1e\xfa\x0f\x1f\x44\x00\x00\x53", 10, 0, 9, SITE_EMULATED },
	{ "endbr64; nop5; ret: never the nop5", "\xf3\x0f\x1e\xfa\x0f\x1f\x44\x00\x00\xc3", 10, 0,
	  0, SITE_SINGLE_STEP },
	{ "nop first", "\x90\x53", 2, 0, 0, SITE_EMULATED },
	{ "endbr64; nop; push", "\xf3\x0f\x1e\xfa\x90\x53", 6, 0, 5, SITE_EMULATED },
	{ "mov 0x130(%rdi),%rax; test %rax,%rax; je",
	  "\x48\x8b\x87\x30\x01\x00\x00\x48\x85\xc0\x74\x01\x90\xc3", 14, 0, 10, SITE_EMULATED },
	{ "mov %fs:0x28,%rax; push %rbx", "\x64\x48\x8b\x04\x25\x28\x00\x00\x00\x53", 10, 0, 9,
	  SITE_EMULATED },
	{ "cmpl $1,0x10(%rdi); jne near", "\x83\x7f\x10\x01\x0f\x85\x00\x01\x00\x00", 10, 0, 4,
	  SITE_EMULATED },
	{ "call", "\xe8\x00\x01\x00\x00", 5, 0, 0, SITE_EMULATED },
	{ "jmp far away", "\xe9\x00\x01\x00\x00", 5, 0, 0, SITE_EMULATED },
	{ "jmp *%rax is stepped", "\xff\xe0", 2, 0, 0, SITE_SINGLE_STEP },
	{ "mov %esi,%edx changes an argument", "\x89\xf2\xe9\x00\x01\x00\x00", 7, 0, 0,
	  SITE_SINGLE_STEP },
	{ "mov $1,%dil changes part of one", "\x40\xb7\x01\x53", 4, 0, 0, SITE_SINGLE_STEP },
	{ "lea 8(%rdi),%r9 changes the sixth", "\x4c\x8d\x4f\x08\x53", 5, 0, 0, SITE_SINGLE_STEP },
	{ "mov %rax,%rsp changes the stack pointer", "\x48\x89\xc4\x53", 4, 0, 0,
	  SITE_SINGLE_STEP },
	{ "sub $8,%rsp; call", "\x48\x83\xec\x08\xe8\x00\x01\x00\x00", 9, 0, 0, SITE_SINGLE_STEP },
	{ "mov %rax,(%rdi) writes memory", "\x48\x89\x07\x53", 4, 0, 0, SITE_SINGLE_STEP },
	{ "mov %rdi,%rbx; push %rbx", "\x48\x89\xfb\x53", 4, 0, 3, SITE_EMULATED },
	{ "test; je over; jmp to the je: a loop", "\x48\x85\xc0\x74\x02\xeb\xfc\xc3", 8, 0, 0,
	  SITE_SINGLE_STEP },
	{ "test; je over; jmp to the first byte", "\x48\x85\xc0\x74\x02\xeb\xf9\xc3", 8, 0, 3,
	  SITE_EMULATED },
	{ "ret", "\xc3", 1, 0, 0, SITE_SINGLE_STEP },
	{ "int3: somebody's breakpoint", "\xcc\x53", 2, -EINVAL, 0, 0 },
	{ "no instruction of 64-bit mode", "\x06\x53", 2, -EINVAL, 0, 0 },
	{ "cut within the first instruction", "\x48\x8b", 2, -EINVAL, 0, 0 },
	{ "cut within the second: endbr64; mov", "\xf3\x0f\x1e\xfa\x48\x8b", 6, 0, 0,
	  SITE_SINGLE_STEP },
	{ "nothing", "", 0, -EINVAL, 0, 0 },
};

TEST(the_cheapest_equivalent_site_is_chosen)
{
	const struct site_case *c;

	for_each(c, cases) {
		struct site s = { 0 };

		check_eq(site_choose((const uint8_t *)c->code, c->len, &s), c->err, c->name);
		if (c->err)
			continue;
		check_eq(s.skip, c->skip, c->name);
		check_eq(s.kind, c->kind, c->name);
	}
}

TEST(the_search_ends_after_its_limit)
{
	uint8_t code[SITE_LOOK_BYTES + 8];
	struct site s = { 0 };
	size_t i;

	for (i = 0; i < sizeof(code); i += 4)
		memcpy(code + i, "\xf3\x0f\x1e\xfa", 4);	/* endbr64 */
	code[SITE_LOOK_BYTES] = 0x53;
	check_eq(site_choose(code, sizeof(code), &s), 0, "decoded");
	check_eq(s.kind, SITE_SINGLE_STEP, "the push is out of reach");
	code[SITE_LOOK_BYTES - 4] = 0x53;
	check_eq(site_choose(code, sizeof(code), &s), 0, "decoded");
	check_eq(s.skip, SITE_LOOK_BYTES - 4, "the push is within reach");
}

__attribute__((naked, used, noinline)) static void with_push(void)
{
	__asm__("endbr64; push %rbx; pop %rbx; ret");
}

TEST(a_site_names_its_place_in_the_file)
{
	struct elf_symbol want = { .name = "with_push", .type = ELF_FUNCTION };
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct site s;
	struct elf *e;
	uint8_t byte;

	check_eq(elf_open(&e, fd), 0, "open");
	check_eq(elf_symbols(e, &want, 1), 0, "symbols");
	check(want.addr, "the function is found");
	check_eq(site_find(e, want.addr, want.size, &s), 0, "site");
	check_eq(s.skip, 4, "after endbr64");
	check_eq(s.addr, want.addr + 4, "address");
	check_eq(pread(fd, &byte, 1, (off_t)s.offset), 1, "read");
	check_eq(byte, 0x53, "the push stands at the offset");
	check_eq(site_find(e, want.addr + (1UL << 40), 0, &s), -EINVAL, "an address outside");
	elf_close(e);
	close(fd);
}

RUN_TESTS(cmocka_unit_test(the_cheapest_equivalent_site_is_chosen),
	  cmocka_unit_test(the_search_ends_after_its_limit),
	  cmocka_unit_test(a_site_names_its_place_in_the_file))
