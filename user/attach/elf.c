/* elf: see elf.h */
#include "attach/elf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attach/elf_file.h"

#define CHUNK_BYTES (1U << 20)		/* read at once by a scan */

int elf_pread(const struct elf *e, uint64_t offset, void *buf, size_t len)
{
	size_t done = 0;

	if (offset > e->size || len > e->size - offset)
		return -ENOEXEC;
	while (done < len) {
		ssize_t n = pread(e->fd, (char *)buf + done, len - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return -ENOEXEC;	/* it shrank since we looked */
		done += (size_t)n;
	}
	return 0;
}

int elf_pread_new(const struct elf *e, uint64_t offset, uint64_t len, void *ret)
{
	void *buf;
	int err;

	if (len > ELF_TABLE_MAX)
		return -EFBIG;
	buf = malloc(len + 1);		/* the NUL that ends a string table */
	if (!buf)
		return -ENOMEM;
	err = elf_pread(e, offset, buf, len);
	if (err) {
		free(buf);
		return err;
	}
	((char *)buf)[len] = '\0';
	memcpy(ret, &buf, sizeof(buf));
	return 0;
}

static int load_segments(struct elf *e, const Elf64_Ehdr *h)
{
	Elf64_Phdr p;
	size_t i;
	int err;

	if (h->e_phentsize != sizeof(p) || h->e_phnum > ELF_SEGMENTS_MAX)
		return -ENOEXEC;
	for (i = 0; i < h->e_phnum; i++) {
		struct elf_segment *s = &e->segments[e->segment_count];

		if (h->e_phoff > e->size)
			return -ENOEXEC;
		err = elf_pread(e, h->e_phoff + i * sizeof(p), &p, sizeof(p));
		if (err)
			return err;
		if (p.p_offset > e->size || p.p_filesz > e->size - p.p_offset ||
		    p.p_vaddr > UINT64_MAX / 2 || p.p_memsz > UINT64_MAX / 4)
			continue;	/* cannot be loaded; the rest may be fine */
		s->type = p.p_type;
		s->flags = p.p_flags;
		s->addr = p.p_vaddr;
		s->offset = p.p_offset;
		s->file_size = p.p_filesz < p.p_memsz ? p.p_filesz : p.p_memsz;
		e->segment_count++;
	}
	return 0;
}

/* A stripped or odd section table is no error: symbols are then simply not there. */
static int load_sections(struct elf *e, const Elf64_Ehdr *h)
{
	int err;

	if (!h->e_shoff || !h->e_shnum || h->e_shnum > ELF_SECTIONS_MAX ||
	    h->e_shentsize != sizeof(Elf64_Shdr))
		return 0;
	err = elf_pread_new(e, h->e_shoff, (uint64_t)h->e_shnum * sizeof(Elf64_Shdr), &e->sections);
	if (err)
		return err == -ENOEXEC ? 0 : err;
	e->section_count = h->e_shnum;
	e->names_section = h->e_shstrndx;
	return 0;
}

static int load_header(struct elf *e)
{
	Elf64_Ehdr h;
	struct stat st;
	int err;

	if (fstat(e->fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -ENOEXEC;
	e->size = (uint64_t)st.st_size;
	err = elf_pread(e, 0, &h, sizeof(h));
	if (err)
		return err;
	if (memcmp(h.e_ident, ELFMAG, SELFMAG) || h.e_ident[EI_CLASS] != ELFCLASS64 ||
	    h.e_ident[EI_DATA] != ELFDATA2LSB ||
	    (h.e_machine != EM_X86_64 && h.e_machine != EM_AARCH64) ||
	    (h.e_type != ET_EXEC && h.e_type != ET_DYN))
		return -ENOEXEC;
	e->type = h.e_type;
	e->machine = h.e_machine;
	err = load_segments(e, &h);
	if (err)
		return err;
	return load_sections(e, &h);
}

static const struct elf_segment *segment_at(const struct elf *e, uint64_t addr)
{
	size_t i;

	for (i = 0; i < e->segment_count; i++) {
		const struct elf_segment *s = &e->segments[i];

		if (s->type == PT_LOAD && addr >= s->addr && addr - s->addr < s->file_size)
			return s;
	}
	return NULL;
}

struct string_search {
	const char *text;
	size_t len;		/* with the NULs at both ends */
	uint64_t found;
	size_t count;
};

static int find_string(void *ctx, const struct elf_chunk *c)
{
	struct string_search *s = ctx;
	const uint8_t *at = c->bytes, *end = c->bytes + c->len;

	for (;;) {
		at = memmem(at, (size_t)(end - at), s->text, s->len);
		if (!at || (size_t)(at - c->bytes) >= c->own)
			return 0;
		s->found = c->addr + (uint64_t)(at - c->bytes) + 1;
		if (++s->count > 1)
			return -EEXIST;
		at++;
	}
}

static int scan_segment(const struct elf *e, const struct elf_segment *s, size_t overlap,
			elf_scan_fn fn, void *ctx)
{
	uint64_t done = 0;
	uint8_t *buf;
	int err = 0;

	buf = malloc(CHUNK_BYTES + overlap);
	if (!buf)
		return -ENOMEM;
	while (!err && done < s->file_size) {
		uint64_t left = s->file_size - done;
		struct elf_chunk c = { .addr = s->addr + done, .bytes = buf };

		c.len = left < CHUNK_BYTES + overlap ? left : CHUNK_BYTES + overlap;
		c.own = left <= CHUNK_BYTES + overlap ? c.len : CHUNK_BYTES;
		err = elf_pread(e, s->offset + done, buf, c.len);
		if (!err)
			err = fn(ctx, &c);
		done += c.own;
	}
	free(buf);
	return err;
}

int elf_open(struct elf **ret, int fd)
{
	struct elf *e;
	int err;

	e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	e->fd = fd;
	err = load_header(e);
	if (err) {
		elf_close(e);
		return err;
	}
	*ret = e;
	return 0;
}

void elf_close(struct elf *e)
{
	if (!e)
		return;
	free(e->sections);
	free(e->symtab.symbols);
	free(e->symtab.names);
	free(e->dynsym.symbols);
	free(e->dynsym.names);
	free(e->relocations);
	free(e->unwind);
	free(e);
}

bool elf_is_shared(const struct elf *e)
{
	return e->type == ET_DYN;
}

uint16_t elf_machine(const struct elf *e)
{
	return e->machine;
}

int elf_address(const struct elf *e, uint64_t offset, uint64_t *ret)
{
	size_t i;

	for (i = 0; i < e->segment_count; i++) {
		const struct elf_segment *s = &e->segments[i];

		if (s->type != PT_LOAD || offset < s->offset || offset - s->offset >= s->file_size)
			continue;
		*ret = s->addr + (offset - s->offset);
		return 0;
	}
	return -ENOENT;
}

int elf_offset(const struct elf *e, uint64_t addr, uint64_t *ret)
{
	const struct elf_segment *s = segment_at(e, addr);

	if (!s)
		return -ENOENT;
	*ret = s->offset + (addr - s->addr);
	return 0;
}

bool elf_is_code(const struct elf *e, uint64_t addr)
{
	const struct elf_segment *s = segment_at(e, addr);

	return s && (s->flags & PF_X);
}

long elf_read(const struct elf *e, uint64_t addr, void *buf, size_t len)
{
	const struct elf_segment *s = segment_at(e, addr);
	uint64_t left;
	int err;

	if (!s)
		return -ENOENT;
	left = s->file_size - (addr - s->addr);
	if (len > left)
		len = left;
	err = elf_pread(e, s->offset + (addr - s->addr), buf, len);
	return err ? err : (long)len;
}

int elf_string(struct elf *e, const char *text, uint64_t *ret)
{
	size_t len = strlen(text);
	struct string_search s = { .len = len + 2 };
	char *delimited;
	int err;

	delimited = calloc(1, len + 2);
	if (!delimited)
		return -ENOMEM;
	memcpy(delimited + 1, text, len);
	s.text = delimited;
	err = elf_scan(e, ELF_CONSTANTS, s.len, find_string, &s);
	free(delimited);
	if (err)
		return err;
	if (!s.count)
		return -ENOENT;
	*ret = s.found;
	return 0;
}

int elf_fd(const struct elf *e)
{
	return e->fd;
}

int elf_scan(const struct elf *e, enum elf_part part, size_t overlap, elf_scan_fn fn, void *ctx)
{
	uint64_t scanned = 0;
	size_t i;

	for (i = 0; i < e->segment_count; i++) {
		const struct elf_segment *s = &e->segments[i];
		int err;

		if (s->type != PT_LOAD || (part == ELF_CODE && !(s->flags & PF_X)) ||
		    (part == ELF_CONSTANTS && (s->flags & PF_W)))
			continue;
		if (s->file_size > ELF_SCAN_MAX - scanned)
			return -EFBIG;
		scanned += s->file_size;
		err = scan_segment(e, s, overlap, fn, ctx);
		if (err)
			return err;
	}
	return 0;
}
