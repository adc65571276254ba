/* elf: see elf.h */
#include "attach/elf.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK_BYTES (1U << 20)		/* read at once by a scan */
#define NOTES_MAX 4096			/* bytes of notes searched for the build id */
#define UNWIND_HEAD_MAX 16		/* four bytes, a pointer of 8 at most, a count of 4 */
#define EH_TABLE_ENTRY 8		/* two sdata4: function, its description */

/* DWARF pointer encodings of .eh_frame_hdr; the only ones that linkers write */
#define ENC_UDATA4 0x03
#define ENC_DATAREL_SDATA4 0x3b

struct segment {
	uint32_t type, flags;
	uint64_t addr, offset, file_size;
};

struct table {			/* a symbol table and its strings */
	bool is_loaded;
	Elf64_Sym *symbols;
	size_t count;
	char *names;		/* ends with a NUL of our own */
	size_t names_len;
};

struct elf {
	int fd;
	uint16_t type;
	uint64_t size;
	struct segment segments[ELF_SEGMENTS_MAX];
	size_t segment_count;
	Elf64_Shdr *sections;
	size_t section_count;
	struct table symtab, dynsym;
	uint8_t *unwind;	/* bytes of .eh_frame_hdr */
	uint64_t unwind_addr;
	const uint8_t *unwind_table;
	size_t unwind_count;
};

static int read_at(const struct elf *e, uint64_t offset, void *buf, size_t len)
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

static int read_new(const struct elf *e, uint64_t offset, uint64_t len, void *ret)
{
	void *buf;
	int err;

	if (len > ELF_TABLE_MAX)
		return -EFBIG;
	buf = malloc(len + 1);		/* the NUL that ends a string table */
	if (!buf)
		return -ENOMEM;
	err = read_at(e, offset, buf, len);
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
		struct segment *s = &e->segments[e->segment_count];

		if (h->e_phoff > e->size)
			return -ENOEXEC;
		err = read_at(e, h->e_phoff + i * sizeof(p), &p, sizeof(p));
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
	err = read_new(e, h->e_shoff, (uint64_t)h->e_shnum * sizeof(Elf64_Shdr), &e->sections);
	if (err)
		return err == -ENOEXEC ? 0 : err;
	e->section_count = h->e_shnum;
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
	err = read_at(e, 0, &h, sizeof(h));
	if (err)
		return err;
	if (memcmp(h.e_ident, ELFMAG, SELFMAG) || h.e_ident[EI_CLASS] != ELFCLASS64 ||
	    h.e_ident[EI_DATA] != ELFDATA2LSB || h.e_machine != EM_X86_64 ||
	    (h.e_type != ET_EXEC && h.e_type != ET_DYN))
		return -ENOEXEC;
	e->type = h.e_type;
	err = load_segments(e, &h);
	if (err)
		return err;
	return load_sections(e, &h);
}

static const struct segment *segment_at(const struct elf *e, uint64_t addr)
{
	size_t i;

	for (i = 0; i < e->segment_count; i++) {
		const struct segment *s = &e->segments[i];

		if (s->type == PT_LOAD && addr >= s->addr && addr - s->addr < s->file_size)
			return s;
	}
	return NULL;
}

static int load_table(struct elf *e, struct table *t, uint32_t type)
{
	const Elf64_Shdr *s = NULL, *names;
	size_t i;
	int err;

	if (t->is_loaded)
		return 0;
	t->is_loaded = true;
	for (i = 0; i < e->section_count && !s; i++)
		if (e->sections[i].sh_type == type)
			s = &e->sections[i];
	if (!s)
		return 0;
	if (s->sh_entsize != sizeof(Elf64_Sym) || s->sh_link >= e->section_count)
		return -ENOEXEC;
	names = &e->sections[s->sh_link];
	if (names->sh_type != SHT_STRTAB)
		return -ENOEXEC;
	err = read_new(e, s->sh_offset, s->sh_size, &t->symbols);
	if (err)
		return err;
	err = read_new(e, names->sh_offset, names->sh_size, &t->names);
	if (err)
		return err;
	t->count = s->sh_size / sizeof(Elf64_Sym);
	t->names_len = names->sh_size;
	return 0;
}

static bool is_defined(const struct elf *e, const Elf64_Sym *s, enum elf_symbol_type type)
{
	if (s->st_shndx == SHN_UNDEF)
		return false;
	if (type == ELF_OBJECT)
		return ELF64_ST_TYPE(s->st_info) == STT_OBJECT && s->st_value;
	return ELF64_ST_TYPE(s->st_info) == STT_FUNC && s->st_size && elf_is_code(e, s->st_value);
}

static void match_table(struct elf *e, const struct table *t, struct elf_symbol *wanted,
			size_t count)
{
	size_t i, j;

	for (i = 0; i < t->count; i++) {
		const Elf64_Sym *s = &t->symbols[i];
		const char *name;

		if (s->st_name >= t->names_len)
			continue;
		name = t->names + s->st_name;
		for (j = 0; j < count; j++) {
			if (wanted[j].addr || strcmp(name, wanted[j].name))
				continue;
			if (is_defined(e, s, wanted[j].type)) {
				wanted[j].addr = s->st_value;
				wanted[j].size = s->st_size;
			}
		}
	}
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

static int scan_segment(const struct elf *e, const struct segment *s, size_t overlap,
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
		err = read_at(e, s->offset + done, buf, c.len);
		if (!err)
			err = fn(ctx, &c);
		done += c.own;
	}
	free(buf);
	return err;
}

/* Reads .eh_frame_hdr and sees that its table is sorted, since it is searched by halves. */
static int load_unwind(struct elf *e)
{
	const struct segment *s = NULL;
	const uint8_t *b;
	size_t i, skip, room;
	uint32_t count;
	int err;

	if (e->unwind)
		return e->unwind_table ? 0 : -ENOEXEC;
	for (i = 0; i < e->segment_count && !s; i++)
		if (e->segments[i].type == PT_GNU_EH_FRAME)
			s = &e->segments[i];
	if (!s)
		return -ENOENT;
	if (s->file_size < UNWIND_HEAD_MAX)
		return -ENOEXEC;
	err = read_new(e, s->offset, s->file_size, &e->unwind);
	if (err)
		return err;
	b = e->unwind;
	skip = 4 + ((b[1] & 7) == 4 ? 8 : 4);	/* head, then a pointer of 8 or 4 bytes */
	if (b[0] != 1 || b[2] != ENC_UDATA4 || b[3] != ENC_DATAREL_SDATA4)
		return -ENOEXEC;
	memcpy(&count, b + skip, sizeof(count));
	room = (s->file_size - skip - 4) / EH_TABLE_ENTRY;
	if (!count || count > room)
		return -ENOEXEC;
	for (i = 1; i < count; i++) {
		int32_t before, here;

		memcpy(&before, b + skip + 4 + (i - 1) * EH_TABLE_ENTRY, sizeof(before));
		memcpy(&here, b + skip + 4 + i * EH_TABLE_ENTRY, sizeof(here));
		if (here < before)
			return -ENOEXEC;
	}
	e->unwind_table = b + skip + 4;
	e->unwind_count = count;
	e->unwind_addr = s->addr;
	return 0;
}

static uint64_t unwind_start(const struct elf *e, size_t i)
{
	int32_t at;

	memcpy(&at, e->unwind_table + i * EH_TABLE_ENTRY, sizeof(at));
	return e->unwind_addr + (uint64_t)(int64_t)at;
}

/* The end stands in the description (DWARF FDE); where it cannot be had, the next start. */
static uint64_t unwind_end(const struct elf *e, size_t i)
{
	uint64_t start = unwind_start(e, i), next = UINT64_MAX, at;
	struct { uint32_t len, cie; int32_t begin; uint32_t bytes; } fde;
	int32_t rel;

	if (i + 1 < e->unwind_count)
		next = unwind_start(e, i + 1);
	memcpy(&rel, e->unwind_table + i * EH_TABLE_ENTRY + 4, sizeof(rel));
	at = e->unwind_addr + (uint64_t)(int64_t)rel;
	if (elf_read(e, at, &fde, sizeof(fde)) == (long)sizeof(fde) &&
	    at + 8 + (uint64_t)(int64_t)fde.begin == start && fde.bytes &&
	    start + fde.bytes <= next)
		return start + fde.bytes;
	return next == UINT64_MAX ? start + 1 : next;
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
	free(e->unwind);
	free(e);
}

bool elf_is_shared(const struct elf *e)
{
	return e->type == ET_DYN;
}

int elf_address(const struct elf *e, uint64_t offset, uint64_t *ret)
{
	size_t i;

	for (i = 0; i < e->segment_count; i++) {
		const struct segment *s = &e->segments[i];

		if (s->type != PT_LOAD || offset < s->offset || offset - s->offset >= s->file_size)
			continue;
		*ret = s->addr + (offset - s->offset);
		return 0;
	}
	return -ENOENT;
}

int elf_offset(const struct elf *e, uint64_t addr, uint64_t *ret)
{
	const struct segment *s = segment_at(e, addr);

	if (!s)
		return -ENOENT;
	*ret = s->offset + (addr - s->addr);
	return 0;
}

bool elf_is_code(const struct elf *e, uint64_t addr)
{
	const struct segment *s = segment_at(e, addr);

	return s && (s->flags & PF_X);
}

long elf_read(const struct elf *e, uint64_t addr, void *buf, size_t len)
{
	const struct segment *s = segment_at(e, addr);
	uint64_t left;
	int err;

	if (!s)
		return -ENOENT;
	left = s->file_size - (addr - s->addr);
	if (len > left)
		len = left;
	err = read_at(e, s->offset + (addr - s->addr), buf, len);
	return err ? err : (long)len;
}

int elf_symbols(struct elf *e, struct elf_symbol *wanted, size_t count)
{
	int err, err_dynamic;
	size_t i;

	for (i = 0; i < count; i++)
		wanted[i].addr = wanted[i].size = 0;
	err = load_table(e, &e->symtab, SHT_SYMTAB);
	if (!err)
		match_table(e, &e->symtab, wanted, count);
	err_dynamic = load_table(e, &e->dynsym, SHT_DYNSYM);
	if (!err_dynamic)
		match_table(e, &e->dynsym, wanted, count);
	return err ? err : err_dynamic;
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

int elf_scan(const struct elf *e, enum elf_part part, size_t overlap, elf_scan_fn fn, void *ctx)
{
	uint64_t scanned = 0;
	size_t i;

	for (i = 0; i < e->segment_count; i++) {
		const struct segment *s = &e->segments[i];
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

int elf_function(struct elf *e, uint64_t addr, struct elf_range *ret)
{
	size_t low = 0, high;
	uint64_t end;
	int err;

	err = load_unwind(e);
	if (err)
		return err;
	high = e->unwind_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (unwind_start(e, middle) <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return -ENOENT;
	end = unwind_end(e, low - 1);
	if (addr >= end)
		return -ENOENT;
	ret->start = unwind_start(e, low - 1);
	ret->end = end;
	return 0;
}

int elf_function_after(struct elf *e, uint64_t start, struct elf_range *ret)
{
	size_t i;
	int err;

	err = load_unwind(e);
	if (err)
		return err;
	for (i = 0; i < e->unwind_count; i++) {
		if (unwind_start(e, i) <= start)
			continue;
		ret->start = unwind_start(e, i);
		ret->end = unwind_end(e, i);
		return 0;
	}
	return -ENOENT;
}

size_t elf_build_id(const struct elf *e, uint8_t ret[ELF_BUILD_ID_MAX])
{
	uint8_t notes[NOTES_MAX];
	size_t i;

	for (i = 0; i < e->segment_count; i++) {
		const struct segment *s = &e->segments[i];
		size_t len = s->file_size < NOTES_MAX ? s->file_size : NOTES_MAX, at = 0;

		if (s->type != PT_NOTE || read_at(e, s->offset, notes, len))
			continue;
		while (len - at >= sizeof(Elf64_Nhdr)) {
			Elf64_Nhdr n;
			size_t name, value;

			memcpy(&n, notes + at, sizeof(n));
			at += sizeof(n);
			name = ((size_t)n.n_namesz + 3) & ~(size_t)3;
			value = ((size_t)n.n_descsz + 3) & ~(size_t)3;
			if (name > len - at || value > len - at - name)
				break;
			if (n.n_type == NT_GNU_BUILD_ID && n.n_namesz == 4 && n.n_descsz &&
			    n.n_descsz <= ELF_BUILD_ID_MAX && !memcmp(notes + at, "GNU", 4)) {
				memcpy(ret, notes + at + name, n.n_descsz);
				return n.n_descsz;
			}
			at += name + value;
		}
	}
	return 0;
}
