/* elf_file: what elf.c and elf_tables.c share of an opened file; for nobody else. */
#ifndef ATTACH_ELF_FILE_H
#define ATTACH_ELF_FILE_H

#include <elf.h>

#include "attach/elf.h"

struct elf_segment {
	uint32_t type, flags;
	uint64_t addr, offset, file_size;
};

struct elf_table {			/* a symbol table and its strings */
	bool is_loaded;
	Elf64_Sym *symbols;
	size_t count;
	char *names;		/* ends with a NUL of our own */
	size_t names_len;
};

struct elf {
	int fd;
	uint16_t type, machine;
	uint64_t size;
	struct elf_segment segments[ELF_SEGMENTS_MAX];
	size_t segment_count;
	Elf64_Shdr *sections;
	size_t section_count, names_section;
	struct elf_table symtab, dynsym;
	Elf64_Rela *relocations;	/* of all sections that have some */
	size_t relocation_count;
	bool is_relocation_loaded;
	uint8_t *unwind;	/* bytes of .eh_frame_hdr */
	uint64_t unwind_addr;
	const uint8_t *unwind_table;
	size_t unwind_count;
};

/* All of @len bytes or an error: -ENOEXEC where the file is shorter. */
int elf_pread(const struct elf *e, uint64_t offset, void *buf, size_t len);

/* The same into a new buffer, one NUL longer; *(void **)@ret is the caller's to free. */
int elf_pread_new(const struct elf *e, uint64_t offset, uint64_t len, void *ret);

#endif
