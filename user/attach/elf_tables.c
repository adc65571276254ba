/* elf_tables: symbols, relocations, unwind table and notes of an opened ELF file; see elf.h */
#include "attach/elf_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NOTES_MAX 4096			/* bytes of notes searched for the build id */
#define UNWIND_HEAD_MAX 16		/* four bytes, a pointer of 8 at most, a count of 4 */
#define EH_TABLE_ENTRY 8		/* two sdata4: function, its description */

/* DWARF pointer encodings of .eh_frame_hdr; the only ones that linkers write */
#define ENC_UDATA4 0x03
#define ENC_DATAREL_SDATA4 0x3b

static int load_table(struct elf *e, struct elf_table *t, uint32_t type)
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
	err = elf_pread_new(e, s->sh_offset, s->sh_size, &t->symbols);
	if (err)
		return err;
	err = elf_pread_new(e, names->sh_offset, names->sh_size, &t->names);
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

static void match_table(struct elf *e, const struct elf_table *t, struct elf_symbol *wanted,
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

/* Relocation sections are gathered once; what passes the limit is left out. */
static int load_relocations(struct elf *e)
{
	size_t i, room = ELF_TABLE_MAX / sizeof(Elf64_Rela);

	if (e->is_relocation_loaded)
		return 0;
	e->is_relocation_loaded = true;
	for (i = 0; i < e->section_count; i++) {
		const Elf64_Shdr *s = &e->sections[i];
		size_t count = s->sh_size / sizeof(Elf64_Rela);
		Elf64_Rela *grown;
		int err;

		if (s->sh_type != SHT_RELA || s->sh_entsize != sizeof(Elf64_Rela) || !count)
			continue;
		if (count > room - e->relocation_count)
			return -EFBIG;
		grown = realloc(e->relocations, (e->relocation_count + count) * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		e->relocations = grown;
		err = elf_pread(e, s->sh_offset, grown + e->relocation_count,
				count * sizeof(*grown));
		if (err)
			return err;
		e->relocation_count += count;
	}
	return 0;
}

/* Reads .eh_frame_hdr and sees that its table is sorted, since it is searched by halves. */
static int load_unwind(struct elf *e)
{
	const struct elf_segment *s = NULL;
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
	err = elf_pread_new(e, s->offset, s->file_size, &e->unwind);
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

bool elf_is_relocated_to(struct elf *e, uint64_t addr, const char *name)
{
	size_t i;

	if (load_table(e, &e->dynsym, SHT_DYNSYM) || load_relocations(e))
		return false;
	for (i = 0; i < e->relocation_count; i++) {
		const Elf64_Rela *r = &e->relocations[i];
		size_t symbol = ELF64_R_SYM(r->r_info);
		uint32_t at;

		if (r->r_offset != addr || !symbol || symbol >= e->dynsym.count)
			continue;
		at = e->dynsym.symbols[symbol].st_name;
		return at < e->dynsym.names_len && !strcmp(e->dynsym.names + at, name);
	}
	return false;
}

int elf_slot(struct elf *e, const char *name, uint64_t *ret)
{
	uint32_t wanted = e->machine == EM_AARCH64 ? R_AARCH64_JUMP_SLOT : R_X86_64_JUMP_SLOT;
	size_t i;
	int err;

	err = load_table(e, &e->dynsym, SHT_DYNSYM);
	if (!err)
		err = load_relocations(e);
	if (err)
		return err;
	for (i = 0; i < e->relocation_count; i++) {
		const Elf64_Rela *r = &e->relocations[i];
		size_t symbol = ELF64_R_SYM(r->r_info);
		uint32_t at;

		if (ELF64_R_TYPE(r->r_info) != wanted || !symbol || symbol >= e->dynsym.count)
			continue;
		at = e->dynsym.symbols[symbol].st_name;
		if (at >= e->dynsym.names_len || strcmp(e->dynsym.names + at, name))
			continue;
		*ret = r->r_offset;
		return 0;
	}
	return -ENOENT;
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
		const struct elf_segment *s = &e->segments[i];
		size_t len = s->file_size < NOTES_MAX ? s->file_size : NOTES_MAX, at = 0;

		if (s->type != PT_NOTE || elf_pread(e, s->offset, notes, len))
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
