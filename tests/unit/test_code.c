/*
 * code: instructions of both machines as steps. Bytes are those that an assembler and a
 * disassembler of that machine agree on; each stands with its source.
 */
#include "check.h"

#include <elf.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "attach/code.h"
#include "attach/elf.h"
#include "attach/site.h"
#include "attach/track.h"

#define AT 0x1000ULL		/* where the code stands in the file and in memory */

static struct elf *open_code(uint16_t machine, const char *code, size_t len)
{
	Elf64_Ehdr h = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB },
		.e_type = ET_DYN, .e_machine = machine, .e_phoff = sizeof(h),
		.e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 1,
	};
	Elf64_Phdr p = { .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_offset = AT, .p_vaddr = AT,
			 .p_filesz = len, .p_memsz = len };
	int fd = memfd_create("code", MFD_CLOEXEC);
	struct elf *e = NULL;

	check_eq(pwrite(fd, &h, sizeof(h), 0), sizeof(h), "header");
	check_eq(pwrite(fd, &p, sizeof(p), sizeof(h)), sizeof(p), "segment");
	check_eq(pwrite(fd, code, len, AT), len, "code");
	check_eq(elf_open(&e, fd), 0, "open");
	return e;		/* the descriptor ends with the test */
}

static int keep_last(void *ctx, const struct code_step *s)
{
	*(struct code_step *)ctx = *s;
	return 0;
}

#define NONE CODE_NO_REGISTER

static const struct step_case {
	const char *name, *code;
	size_t len;
	uint16_t machine;
	enum code_op op;
	uint8_t reg, base;
	int64_t value, constant;
	uint64_t target;
} steps[] = {
	{ "call", "\xe8\x0b\x00\x00\x00", 5, EM_X86_64, CODE_CALL, NONE, NONE, 0, 0, AT + 16 },
	{ "jmp rel8", "\xeb\x02", 2, EM_X86_64, CODE_JUMP, NONE, NONE, 0, 0, AT + 4 },
	{ "je", "\x74\x02", 2, EM_X86_64, CODE_BRANCH, NONE, NONE, 0, 0, AT + 4 },
	{ "mov 0x130(%rdi),%rax", "\x48\x8b\x87\x30\x01\x00\x00", 7, EM_X86_64, CODE_LOAD, 6, 0,
	  0x130, 0, 0 },
	{ "mov %rdi,%rbx", "\x48\x89\xfb", 3, EM_X86_64, CODE_MOVE, 9, 0, 0, 0, 0 },
	{ "lea 0x78(%rdi),%rbp", "\x48\x8d\x6f\x78", 4, EM_X86_64, CODE_ADDRESS, 10, 0, 0x78, 0,
	  0 },
	{ "lea 0x10(%rip),%rsi", "\x48\x8d\x35\x10\x00\x00\x00", 7, EM_X86_64, CODE_ADDRESS, 1,
	  NONE, 0, 0, AT + 7 + 16 },
	{ "cmp $0xffffff51,%ebp", "\x81\xfd\x51\xff\xff\xff", 6, EM_X86_64, CODE_COMPARE, 10, NONE,
	  0, -175, 0 },
	{ "test %rax,%rax", "\x48\x85\xc0", 3, EM_X86_64, CODE_COMPARE, 6, NONE, 0, 0, 0 },
	{ "cmpq $0,0xa30(%rbx)", "\x48\x83\xbb\x30\x0a\x00\x00\x00", 8, EM_X86_64, CODE_COMPARE,
	  NONE, 9, 0xa30, 0, 0 },
	{ "mov %rax,(%r12)", "\x49\x89\x04\x24", 4, EM_X86_64, CODE_STORE, 6, 11, 0, 0, 0 },
	{ "xor %eax,%eax", "\x31\xc0", 2, EM_X86_64, CODE_CONSTANT, 6, NONE, 0, 0, 0 },
	{ "bl .+8", "\x02\x00\x00\x94", 4, EM_AARCH64, CODE_CALL, NONE, NONE, 0, 0, AT + 8 },
	{ "b .-4", "\xff\xff\xff\x17", 4, EM_AARCH64, CODE_JUMP, NONE, NONE, 0, 0, AT - 4 },
	{ "b.eq .+16", "\x80\x00\x00\x54", 4, EM_AARCH64, CODE_BRANCH, NONE, NONE, 0, 0, AT + 16 },
	{ "cbz x1,.+8", "\x41\x00\x00\xb4", 4, EM_AARCH64, CODE_BRANCH, 1, NONE, 0, 0, AT + 8 },
	{ "ldr x1,[x0,#304]", "\x01\x98\x40\xf9", 4, EM_AARCH64, CODE_LOAD, 1, 0, 304, 0, 0 },
	{ "movz w0,#0xff; movk w0,#0x20f,lsl 16", "\xe0\x1f\x80\x52\xe0\x41\xa0\x72", 8,
	  EM_AARCH64, CODE_CONSTANT, 0, NONE, 0, 0x20f00ff, 0 },
	{ "adrp x2,this page; add x3,x2,#0x20", "\x02\x00\x00\x90\x43\x80\x00\x91", 8, EM_AARCH64,
	  CODE_ADDRESS, 3, NONE, 0x20, 0, AT + 0x20 },
	{ "cmn w1,#175", "\x3f\xbc\x02\x31", 4, EM_AARCH64, CODE_COMPARE, 1, NONE, 0, -175, 0 },
	{ "mov x19,x0", "\xf3\x03\x00\xaa", 4, EM_AARCH64, CODE_MOVE, 19, 0, 0, 0, 0 },
	{ "add x1,x0,#120", "\x01\xe0\x01\x91", 4, EM_AARCH64, CODE_ADDRESS, 1, 0, 120, 0, 0 },
	{ "str x3,[x20]", "\x83\x02\x00\xf9", 4, EM_AARCH64, CODE_STORE, 3, 20, 0, 0, 0 },
	{ "ret", "\xc0\x03\x5f\xd6", 4, EM_AARCH64, CODE_RETURN, NONE, NONE, 0, 0, 0 },
};

TEST(an_instruction_is_told_as_a_step)
{
	const struct step_case *c;

	for_each(c, steps) {
		struct elf *e = open_code(c->machine, c->code, c->len);
		struct elf_range r = { AT, AT + c->len };
		struct code_step s = { 0 };

		check_eq(code_steps(e, &r, keep_last, &s), 0, c->name);
		check_eq(s.op, c->op, c->name);
		check_eq(s.reg, c->reg, c->name);
		check_eq(s.base, c->base, c->name);
		check_eq(s.value, c->value, c->name);
		check_eq(s.constant, c->constant, c->name);
		check_eq(s.target, c->target, c->name);
		elf_close(e);
	}
}

TEST(two_words_are_loaded_at_once)
{
	struct elf *e = open_code(EM_AARCH64, "\x83\x92\x5f\xa9", 4);	/* ldp x3,x4,[x20,#504] */
	struct elf_range r = { AT, AT + 4 };
	struct code_step s = { 0 };

	check_eq(code_steps(e, &r, keep_last, &s), 0, "decoded");
	check_eq(s.op, CODE_LOAD, "load");
	check_eq(s.reg, 3, "first");
	check_eq(s.value, 504, "first's place");
	check_eq(s.reg2, 4, "second");
	check_eq(s.pair, 512, "second's place");
	elf_close(e);
}

static const struct site_case {
	const char *name, *code;
	size_t len;
	uint32_t skip;
	enum site_kind kind;
} sites[] = {
	{ "stp x29,x30,[sp,#-32]!", "\xfd\x7b\xbe\xa9\xc0\x03\x5f\xd6", 8, 0, SITE_SINGLE_STEP },
	{ "bti c; stp", "\x5f\x24\x03\xd5\xfd\x7b\xbe\xa9", 8, 4, SITE_SINGLE_STEP },
	{ "paciasp signs where it returns to", "\x3f\x23\x03\xd5\x02\x00\x00\x94", 8, 0,
	  SITE_SINGLE_STEP },
	{ "bl", "\x02\x00\x00\x94", 4, 0, SITE_EMULATED },
	{ "cmn w1,#175; b.eq", "\x3f\xbc\x02\x31\x80\x00\x00\x54", 8, 4, SITE_EMULATED },
	{ "ldr x1 changes an argument; cbz", "\x01\x98\x40\xf9\x41\x00\x00\xb4", 8, 0,
	  SITE_SINGLE_STEP },
	{ "str x3,[x20] writes memory; bl", "\x83\x02\x00\xf9\x02\x00\x00\x94", 8, 0,
	  SITE_SINGLE_STEP },
	{ "cmn; b.eq; b to the b.eq: a loop",
	  "\x3f\xbc\x02\x31\x80\x00\x00\x54\xff\xff\xff\x17", 12, 0, SITE_SINGLE_STEP },
};

TEST(an_arm64_probe_stands_where_the_function_is_as_at_its_entry)
{
	const struct site_case *c;

	for_each(c, sites) {
		struct elf *e = open_code(EM_AARCH64, c->code, c->len);
		struct site s = { 0 };

		check_eq(site_find(e, AT, c->len, &s), 0, c->name);
		check_eq(s.skip, c->skip, c->name);
		check_eq(s.kind, c->kind, c->name);
		check_eq(s.offset, AT + c->skip, c->name);
		elf_close(e);
	}
}

struct tracked {
	struct track track;
	int64_t field;
	uint64_t test;
};

static int follow(void *ctx, const struct code_step *s)
{
	struct tracked *t = ctx;

	if (track_tests_field(&t->track, s, 0, &t->field)) {
		t->test = s->addr;
		return 1;
	}
	track_step(&t->track, s);
	return 0;
}

static const struct track_case {
	const char *name, *code;
	size_t len;
	int64_t field;		/* -1: none is told */
} tracks[] = {
	{ "mov 0x130(%rdi),%rax; test %rax,%rax",
	  "\x48\x8b\x87\x30\x01\x00\x00\x48\x85\xc0", 10, 0x130 },
	{ "mov %rdi,%rbx; call; mov 0xa30(%rbx),%rax; test",
	  "\x48\x89\xfb\xe8\x00\x01\x00\x00\x48\x8b\x83\x30\x0a\x00\x00\x48\x85\xc0", 18, 0xa30 },
	{ "call; mov 0xa30(%rdi),%rax; test: a call changes %rdi",
	  "\xe8\x00\x01\x00\x00\x48\x8b\x87\x30\x0a\x00\x00\x48\x85\xc0", 15, -1 },
	{ "je over; xor %edi,%edi; ret; over: cmpq $0,0x10(%rdi)",
	  "\x74\x03\x31\xff\xc3\x48\x83\x7f\x10\x00", 10, 0x10 },
	{ "xor %edi,%edi; cmpq $0,0x10(%rdi)", "\x31\xff\x48\x83\x7f\x10\x00", 7, -1 },
	{ "ret; cmpq $0,0x10(%rdi): nobody leads there", "\xc3\x48\x83\x7f\x10\x00", 6, -1 },
	{ "mov 0x10(%rsi),%rax; test: another argument", "\x48\x8b\x46\x10\x48\x85\xc0", 7, -1 },
};

TEST(registers_are_followed_from_the_entry)
{
	const struct track_case *c;

	for_each(c, tracks) {
		struct elf *e = open_code(EM_X86_64, c->code, c->len);
		struct elf_range r = { AT, AT + c->len };
		struct tracked t = { .field = -1 };

		track_begin(&t.track);
		code_steps(e, &r, follow, &t);
		check_eq(t.field, c->field, c->name);
		elf_close(e);
	}
}

RUN_TESTS(cmocka_unit_test(an_instruction_is_told_as_a_step),
	  cmocka_unit_test(two_words_are_loaded_at_once),
	  cmocka_unit_test(an_arm64_probe_stands_where_the_function_is_as_at_its_entry),
	  cmocka_unit_test(registers_are_followed_from_the_entry))
