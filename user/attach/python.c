/* python: see python.h. */
#include "attach/python.h"

#include <capstone/capstone.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "attach/code.h"
#include "attach/elf.h"
#include "attach/reason.h"

/*
 * glibc x86-64: struct pthread holds the first block of thread-specific data, 32 pairs of
 * {sequence, value}, at 0x310 (2.31 to 2.41; seen in Debian's builds).
 */
#define TSS_BLOCK 0x310
#define TSS_KEYS 32
#define TSS_PAIR 16
#define TSS_VALUE 8

/* PyThreadState.context and _PyRuntime.gilstate.autoTSSkey, CPython's structs by version */
static const struct layout {
	unsigned int minor;
	uint64_t context_off, key_off;	/* key_off 0: the thread state stands in TLS */
} layouts[] = {
	{ 11, 0xe0, 0x250 },
	{ 13, 0xd0, 0 },
	{ 14, 0xd0, 0 },
};

struct evidence_seen {
	uint64_t context_off;
	bool has_context_off;
	int64_t tls;
	uint64_t called;		/* the first call's target */
};

static int look(void *ctx, const struct cs_insn *in)
{
	struct evidence_seen *seen = ctx;
	const uint8_t *b = in->bytes;
	int32_t disp;
	int i;

	/* mov %fs:disp32, %reg: 64 REX.W 8b modrm(00 reg 100) sib(25) disp32 */
	if (in->size == 9 && b[0] == 0x64 && (b[1] & 0xf8) == 0x48 && b[2] == 0x8b &&
	    (b[3] & 0xc7) == 0x04 && b[4] == 0x25) {
		memcpy(&disp, b + 5, 4);
		seen->tls = disp;
	}
	/* call rel32 */
	if (in->size == 5 && b[0] == 0xe8 && !seen->called) {
		memcpy(&disp, b + 1, 4);
		seen->called = in->address + 5 + (uint64_t)(int64_t)disp;
	}
	for (i = 1; i + 4 <= in->size; i++) {
		memcpy(&disp, b + i, 4);
		if ((uint64_t)disp == seen->context_off)
			seen->has_context_off = true;
	}
	return 0;
}

static int find_symbols(struct elf *e, struct python *p, uint64_t *ret_version)
{
	struct elf_symbol s[] = {
		{ .name = "PyContext_CopyCurrent", .type = ELF_FUNCTION },
		{ .name = "PyContext_Type", .type = ELF_OBJECT },
		{ .name = "_PyRuntime", .type = ELF_OBJECT },
		{ .name = "Py_Version", .type = ELF_OBJECT },
	};
	int err = elf_symbols(e, s, 4);

	if (err)
		return err;
	if (!s[0].addr || !s[1].addr)
		return -ENOENT;
	p->copy.addr = s[0].addr;
	p->copy.offset = s[0].size;	/* kept for the walk; site_find() overwrites it */
	p->context_type = s[1].addr;
	p->runtime = s[2].addr;
	*ret_version = 0;
	if (s[3].addr)
		elf_read(e, s[3].addr, ret_version, sizeof(*ret_version));
	return 0;
}

static const struct layout *find_layout(unsigned int minor)
{
	size_t i;

	for (i = 0; i < sizeof(layouts) / sizeof(*layouts); i++)
		if (layouts[i].minor == minor)
			return &layouts[i];
	return NULL;
}

/* The code must use the offsets that we are about to use. */
static int check_code(struct elf *e, struct python *p, uint64_t size, struct reason *why)
{
	struct evidence_seen seen = { .context_off = p->context_off };
	struct elf_range range = code_range(e, p->copy.addr, size);

	code_walk(e, &range, look, &seen);
	if (!seen.has_context_off && seen.called) {
		/* 3.11 takes the thread state in a helper of its own */
		range = code_range(e, seen.called, 0);
		code_walk(e, &range, look, &seen);
	}
	if (!seen.has_context_off)
		return reason_set(why, -ENOTSUP,
				  "CPython 3.%u: its code does not use the context's offset 0x%llx",
				  p->minor, (unsigned long long)p->context_off);
	if (!p->key_off && !seen.tls)
		return reason_set(why, -ENOTSUP,
				  "CPython 3.%u: no thread state in TLS (a shared libpython?)",
				  p->minor);
	p->tls = p->key_off ? 0 : seen.tls;
	return 0;
}

int python_find(struct elf *e, struct python *ret, struct reason *why)
{
	struct python p = { 0 };
	const struct layout *l;
	uint64_t version, size;
	int err = find_symbols(e, &p, &version);

	if (err)
		return err;
	if (version >> 24 != 3)
		return reason_set(why, -ENOTSUP, "CPython older than 3.11: no Py_Version");
	p.minor = (version >> 16) & 0xff;
	l = find_layout(p.minor);
	if (!l)
		return reason_set(why, -ENOTSUP, "CPython 3.%u: offsets not known", p.minor);
	if (l->key_off && !p.runtime)
		return reason_set(why, -ENOTSUP, "CPython 3.%u: no _PyRuntime", p.minor);
	p.context_off = l->context_off;
	p.key_off = l->key_off;
	size = p.copy.offset;
	err = check_code(e, &p, size, why);
	if (err)
		return err;
	err = site_find(e, p.copy.addr, size, &p.copy);
	if (err)
		return reason_set(why, err, "PyContext_CopyCurrent: cannot be decoded");
	if (p.copy.kind == SITE_SINGLE_STEP)
		return reason_set(why, -ENOTSUP, "PyContext_CopyCurrent: only a dear probe site");
	*ret = p;
	return 0;
}

static int read_memory(pid_t pid, uint64_t addr, void *buf, size_t len)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -ESRCH;
	n = pread(fd, buf, len, (off_t)addr);
	close(fd);
	return n == (ssize_t)len ? 0 : -ESRCH;
}

int python_knobs(const struct python *p, pid_t pid, uint64_t bias, struct target_knobs *ret)
{
	struct { int32_t is_initialized; uint32_t key; } tss;	/* Py_tss_t, pthreads */
	struct target_knobs k = {
		.py_tls = p->tls,
		.py_context_off = p->context_off,
		.py_context_type = p->context_type + bias,
	};
	int err;

	if (p->key_off) {
		err = read_memory(pid, p->runtime + bias + p->key_off, &tss, sizeof(tss));
		if (err)
			return err;
		if (!tss.is_initialized)
			return -EAGAIN;
		if (tss.key >= TSS_KEYS)
			return -ERANGE;
		k.py_tss_slot = TSS_BLOCK + TSS_PAIR * (uint64_t)tss.key + TSS_VALUE;
	}
	*ret = k;
	return 0;
}
