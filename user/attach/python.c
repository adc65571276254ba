/* python: see python.h */
#include "attach/python.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <capstone/capstone.h>

#include "attach/code.h"
#include "attach/elf.h"
#include "attach/reason.h"
#include "knobs.h"

#define WALK_MAX 64		/* instructions of a function that are followed */
#define CALL_DEPTH_MAX 2	/* helpers of a helper */
#define CONTEXT_OFF_MAX 4096	/* PyThreadState is some 300 bytes */

/*
 * glibc x86-64: struct pthread holds the first block of thread-specific data, 32 pairs of
 * {sequence, value}, at 0x310: `add $0x31; shl $4` in pthread_getspecific() of 2.36 and 2.41.
 */
#define TSS_BLOCK 0x310
#define TSS_KEYS 32
#define TSS_PAIR 16
#define TSS_VALUE 8

/* what a register holds, as far as the walk knows */
enum value {
	VALUE_UNKNOWN,
	VALUE_RUNTIME,		/* an address within _PyRuntime */
	VALUE_STATE,		/* a PyThreadState */
	VALUE_CONTEXT,		/* what stands at a place of a PyThreadState */
	VALUE_TLS,		/* the module's thread-local block */
};

struct value_of {
	enum value kind;
	int64_t num;		/* RUNTIME: offset in it; CONTEXT: offset in the state */
};

struct walk {
	struct elf *e;
	uint64_t runtime, runtime_size;
	struct value_of regs[X86_REG_ENDING];
	bool is_for_key;	/* looks for the key, not for the context */
	int depth, looked;
	struct value_of found;	/* RUNTIME: the key's place; CONTEXT; STATE: its TLS offset */
};

static int walk_step(void *ctx, const cs_insn *in);

/* the 64-bit register that @reg is part of; only the ones that compilers hold pointers in */
static unsigned int whole(unsigned int reg)
{
	static const uint16_t names[][2] = {
		{ X86_REG_EAX, X86_REG_RAX }, { X86_REG_EBX, X86_REG_RBX },
		{ X86_REG_ECX, X86_REG_RCX }, { X86_REG_EDX, X86_REG_RDX },
		{ X86_REG_ESI, X86_REG_RSI }, { X86_REG_EDI, X86_REG_RDI },
		{ X86_REG_EBP, X86_REG_RBP }, { X86_REG_R8D, X86_REG_R8 },
		{ X86_REG_R9D, X86_REG_R9 }, { X86_REG_R10D, X86_REG_R10 },
		{ X86_REG_R11D, X86_REG_R11 }, { X86_REG_R12D, X86_REG_R12 },
		{ X86_REG_R13D, X86_REG_R13 }, { X86_REG_R14D, X86_REG_R14 },
		{ X86_REG_R15D, X86_REG_R15 },
	};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i][0] == reg)
			return names[i][1];
	return reg;
}

static bool is_in_runtime(const struct walk *w, uint64_t addr, int64_t *ret)
{
	if (addr < w->runtime || addr - w->runtime >= w->runtime_size)
		return false;
	*ret = (int64_t)(addr - w->runtime);
	return true;
}

/* What a load from memory brings, by where it reads. */
static struct value_of loaded(struct walk *w, const cs_insn *in, const x86_op_mem *m)
{
	struct value_of v = { VALUE_UNKNOWN, 0 }, base;

	if (m->segment == X86_REG_FS && m->base == X86_REG_INVALID && m->disp < 0)
		return (struct value_of){ VALUE_STATE, m->disp };
	if (m->segment != X86_REG_INVALID || m->index != X86_REG_INVALID)
		return v;
	if (m->base == X86_REG_RIP || m->base == X86_REG_INVALID) {
		uint64_t addr = (uint64_t)m->disp;

		if (m->base == X86_REG_RIP)
			addr += in->address + in->size;
		if (is_in_runtime(w, addr, &v.num))
			v.kind = VALUE_STATE;
		else if (elf_is_relocated_to(w->e, addr, "_PyRuntime"))
			v.kind = VALUE_RUNTIME;
		return v;
	}
	base = w->regs[whole(m->base)];
	if (base.kind == VALUE_RUNTIME || base.kind == VALUE_TLS)
		v = (struct value_of){ VALUE_STATE, base.num + m->disp };
	else if (base.kind == VALUE_STATE && m->disp > 0 && m->disp < CONTEXT_OFF_MAX)
		v = (struct value_of){ VALUE_CONTEXT, m->disp };
	return v;
}

/* The address that a lea makes, if it lies in the runtime. */
static struct value_of addressed(struct walk *w, const cs_insn *in, const x86_op_mem *m)
{
	struct value_of v = { VALUE_UNKNOWN, 0 };

	if (m->index != X86_REG_INVALID)
		return v;
	if (m->base == X86_REG_RIP) {
		if (is_in_runtime(w, in->address + in->size + (uint64_t)m->disp, &v.num))
			v.kind = VALUE_RUNTIME;
	} else if (m->base != X86_REG_INVALID && w->regs[whole(m->base)].kind == VALUE_RUNTIME) {
		v = w->regs[whole(m->base)];
		v.num += m->disp;
	}
	return v;
}

/*
 * In the search for the key, a 32-bit load from the runtime into edi is Py_tss_t's second word,
 * the key itself, on its way to pthread_getspecific(): the compiler has inlined the rest.
 */
static bool is_key_load(const struct walk *w, const cs_x86 *x, const cs_insn *in, int64_t *ret)
{
	const x86_op_mem *m = &x->operands[1].mem;

	if (!w->is_for_key || x->operands[0].reg != X86_REG_EDI ||
	    m->segment != X86_REG_INVALID || m->index != X86_REG_INVALID)
		return false;
	if (m->base == X86_REG_RIP)
		return is_in_runtime(w, in->address + in->size + (uint64_t)m->disp - 4, ret);
	if (m->base == X86_REG_INVALID || w->regs[whole(m->base)].kind != VALUE_RUNTIME)
		return false;
	*ret = w->regs[whole(m->base)].num + m->disp - 4;
	return true;
}

static int step_mov(struct walk *w, const cs_insn *in)
{
	const cs_x86 *x = &in->detail->x86;
	struct value_of v = { VALUE_UNKNOWN, 0 };
	const cs_x86_op *from = &x->operands[1];

	if (x->op_count != 2 || x->operands[0].type != X86_OP_REG)
		return 0;
	if (from->type == X86_OP_MEM && in->id == X86_INS_MOV) {
		if (is_key_load(w, x, in, &v.num)) {
			w->found = (struct value_of){ VALUE_RUNTIME, v.num };
			return 1;
		}
		v = loaded(w, in, &from->mem);
		if (w->is_for_key && v.kind == VALUE_STATE && from->mem.segment == X86_REG_FS) {
			w->found = v;
			return 1;
		}
	} else if (from->type == X86_OP_MEM) {
		v = addressed(w, in, &from->mem);
	} else if (from->type == X86_OP_REG) {
		v = w->regs[whole(from->reg)];
	} else if (from->type == X86_OP_IMM) {
		if (is_in_runtime(w, (uint64_t)from->imm, &v.num))
			v.kind = VALUE_RUNTIME;
	}
	w->regs[whole(x->operands[0].reg)] = v;
	return 0;
}

/* A stub of the PLT jumps by a GOT word that is relocated to the function's name. */
static int is_tls_stub(void *ctx, const cs_insn *in)
{
	struct walk *w = ctx;
	const cs_x86 *x = &in->detail->x86;

	if (in->id == X86_INS_ENDBR64)
		return 0;
	if (in->id != X86_INS_JMP || x->operands[0].type != X86_OP_MEM ||
	    x->operands[0].mem.base != X86_REG_RIP)
		return -EINVAL;
	return elf_is_relocated_to(w->e, in->address + in->size +
				   (uint64_t)x->operands[0].mem.disp, "__tls_get_addr") ?
		       1 : -EINVAL;
}

/* Follows a helper; it returns what its rax holds. */
static int step_call(struct walk *w, const cs_insn *in)
{
	const cs_x86 *x = &in->detail->x86;
	struct elf_range callee;
	int result = 0;

	if (w->is_for_key && w->regs[X86_REG_RDI].kind == VALUE_RUNTIME) {
		w->found = w->regs[X86_REG_RDI];	/* PyThread_tss_get(&key) */
		return 1;
	}
	if (x->op_count != 1 || x->operands[0].type != X86_OP_IMM)
		return -EINVAL;
	callee = code_range(w->e, (uint64_t)x->operands[0].imm, 0);
	if (code_walk(w->e, &callee, is_tls_stub, w) == 1) {
		w->regs[X86_REG_RAX] = (struct value_of){ VALUE_TLS, 0 };
		return 0;
	}
	if (w->depth == CALL_DEPTH_MAX || in->id == X86_INS_JMP)
		return -EINVAL;
	w->depth++;
	result = code_walk(w->e, &callee, walk_step, w);
	w->depth--;
	return result == 1 ? 1 : -EINVAL;
}

/* The context is what is tested for null right after it was loaded. */
static int step_test(struct walk *w, const cs_insn *in)
{
	const cs_x86 *x = &in->detail->x86;
	struct value_of v;

	if (w->is_for_key || x->op_count != 2 || x->operands[0].type != X86_OP_REG ||
	    x->operands[1].type != X86_OP_REG || x->operands[0].reg != x->operands[1].reg)
		return 0;
	v = w->regs[whole(x->operands[0].reg)];
	if (v.kind != VALUE_CONTEXT)
		return 0;
	w->found = v;
	return 1;
}

/* One instruction on the path that takes no conditional jump. 1: found, <0: given up. */
static int walk_step(void *ctx, const cs_insn *in)
{
	struct walk *w = ctx;
	const cs_x86 *x = &in->detail->x86;

	if (++w->looked > WALK_MAX)
		return -EINVAL;
	switch (in->id) {
	case X86_INS_MOV:
	case X86_INS_MOVABS:
	case X86_INS_LEA:
		return step_mov(w, in);
	case X86_INS_CALL:
	case X86_INS_JMP:
		return step_call(w, in);
	case X86_INS_TEST:
		return step_test(w, in);
	case X86_INS_CMP:
	case X86_INS_PUSH:
		return 0;
	case X86_INS_RET:
		return -EINVAL;
	default:
		if (x->op_count && x->operands[0].type == X86_OP_REG)
			w->regs[whole(x->operands[0].reg)].kind = VALUE_UNKNOWN;
		return 0;
	}
}

static int walk_function(struct elf *e, const struct elf_symbol *function,
			 const struct elf_symbol *runtime, bool is_for_key, struct value_of *ret)
{
	struct walk w = {
		.e = e,
		.runtime = runtime->addr,
		.runtime_size = runtime->size,
		.is_for_key = is_for_key,
	};
	struct elf_range r = code_range(e, function->addr, function->size);

	if (code_walk(e, &r, walk_step, &w) != 1)
		return -ENOTSUP;
	*ret = w.found;
	return 0;
}

static uint32_t read_version(struct elf *e, uint64_t addr)
{
	uint64_t version = 0;

	if (!addr || elf_read(e, addr, &version, sizeof(version)) != (long)sizeof(version))
		return 0;
	return (uint32_t)version;
}

enum { S_COPY, S_STATE, S_TYPE, S_RUNTIME, S_VERSION, S_FREE_THREADED, S_MAX };

static int find_places(struct elf *e, const struct elf_symbol *s, struct python *p,
		       struct reason *why)
{
	struct value_of v;

	if (walk_function(e, &s[S_COPY], &s[S_RUNTIME], false, &v) || v.kind != VALUE_CONTEXT)
		return reason_set(why, -ENOTSUP, "python: PyContext_CopyCurrent() is not in a "
				  "form we know");
	p->context_off = (uint32_t)v.num;
	if (walk_function(e, &s[S_STATE], &s[S_RUNTIME], true, &v) || v.num == 0)
		return reason_set(why, -ENOTSUP, "python: PyGILState_GetThisThreadState() is not "
				  "in a form we know");
	if (v.kind == VALUE_STATE)
		p->tls = v.num;
	else
		p->key = s[S_RUNTIME].addr + (uint64_t)v.num;
	if (site_find(e, s[S_COPY].addr, 0, &p->copy) || p->copy.kind == SITE_SINGLE_STEP)
		return reason_set(why, -ENOTSUP, "python: PyContext_CopyCurrent() has no cheap "
				  "site for a return probe");
	return 0;
}

int python_find(struct elf *e, struct python *ret, struct reason *why)
{
	struct elf_symbol s[S_MAX] = {
		[S_COPY] = { .name = "PyContext_CopyCurrent", .type = ELF_FUNCTION },
		[S_STATE] = { .name = "PyGILState_GetThisThreadState", .type = ELF_FUNCTION },
		[S_TYPE] = { .name = "PyContext_Type", .type = ELF_OBJECT },
		[S_RUNTIME] = { .name = "_PyRuntime", .type = ELF_OBJECT },
		[S_VERSION] = { .name = "Py_Version", .type = ELF_OBJECT },
		[S_FREE_THREADED] = { .name = "_Py_MergeZeroLocalRefcount",
				      .type = ELF_FUNCTION },
	};
	struct python p = { 0 };
	int err;

	if (elf_machine(e) != EM_X86_64)
		return -ENOENT;		/* what is decoded below is x86-64 */
	if (elf_symbols(e, s, S_MAX) || !s[S_COPY].addr)
		return -ENOENT;
	if (!s[S_STATE].addr || !s[S_TYPE].addr || !s[S_RUNTIME].addr)
		return reason_set(why, -ENOTSUP, "python: an exported name is missing");
	if (s[S_FREE_THREADED].addr)
		return reason_set(why, -ENOTSUP, "python: a free-threaded build, not tested");
	p.minor = read_version(e, s[S_VERSION].addr) >> 16 & 0xff;
	p.context_type = s[S_TYPE].addr;
	err = find_places(e, s, &p, why);
	if (err)
		return err;
	*ret = p;
	return 0;
}

static int read_key(const struct python *p, pid_t pid, uint64_t bias, uint32_t *ret)
{
	struct { int32_t is_initialized; uint32_t key; } tss;	/* Py_tss_t */
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -ESRCH;
	n = pread(fd, &tss, sizeof(tss), (off_t)(p->key + bias));
	close(fd);
	if (n != (ssize_t)sizeof(tss))
		return -ESRCH;
	if (!tss.is_initialized)
		return -EAGAIN;
	*ret = tss.key;
	return 0;
}

int python_knobs(const struct python *p, pid_t pid, uint64_t bias, struct target_knobs *ret)
{
	struct target_knobs k = {
		.py_tls = p->tls,
		.py_context_off = p->context_off,
		.py_context_type = p->context_type + bias,
	};
	uint32_t key = 0;
	int err;

	if (p->key) {
		err = read_key(p, pid, bias, &key);
		if (err)
			return err;
		if (key >= TSS_KEYS)
			return -ERANGE;
		k.py_tss_slot = TSS_BLOCK + TSS_PAIR * (uint64_t)key + TSS_VALUE;
	}
	*ret = k;
	return 0;
}
