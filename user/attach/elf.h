/*
 * elf: reads a 64-bit little-endian ELF file, x86-64 or arm64, that somebody else wrote.
 *
 * Every byte is hostile: nothing is mapped (the file may shrink under us), every table is
 * read with pread into a buffer of at most ELF_TABLE_MAX bytes, every count has a limit, and
 * what passes one is refused. Tables are read at first use and kept until elf_close().
 * Not thread-safe. Negative errno on failure; -ENOEXEC: malformed or not of this kind.
 */
#ifndef ATTACH_ELF_H
#define ATTACH_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ELF_TABLE_MAX (16U << 20)	/* bytes of one section that we read whole */
#define ELF_SCAN_MAX (256U << 20)	/* bytes of code or constants that one scan walks */
#define ELF_SEGMENTS_MAX 64
#define ELF_SECTIONS_MAX 4096
#define ELF_BUILD_ID_MAX 32

struct elf;

enum elf_symbol_type { ELF_FUNCTION, ELF_OBJECT };

/* one symbol that is looked for; addr 0 where it was not found */
struct elf_symbol {
	const char *name;
	enum elf_symbol_type type;
	uint64_t addr, size;
};

struct elf_range {		/* of virtual addresses as linked */
	uint64_t start, end;
};

enum elf_part {
	ELF_CODE,		/* executable segments */
	ELF_CONSTANTS,		/* segments that are never written, code among them */
};

/* a match may begin at the first @own of @len bytes only; the others come again */
struct elf_chunk {
	uint64_t addr;
	const uint8_t *bytes;
	size_t len, own;
};

/* Not 0 ends the scan, which returns it. @chunk is borrowed. */
typedef int (*elf_scan_fn)(void *ctx, const struct elf_chunk *chunk);

/* @fd is borrowed and must stay open until elf_close(). */
int  elf_open(struct elf **ret, int fd);
void elf_close(struct elf *e);		/* NULL is fine */

bool elf_is_shared(const struct elf *e);	/* ET_DYN: loaded at any address */
uint16_t elf_machine(const struct elf *e);	/* EM_X86_64 or EM_AARCH64 */
int  elf_fd(const struct elf *e);		/* as elf_open() was given it; borrowed */
/* between addresses as linked and file offsets; -ENOENT: in no loaded segment's file part */
int  elf_address(const struct elf *e, uint64_t offset, uint64_t *ret);
int  elf_offset(const struct elf *e, uint64_t addr, uint64_t *ret);
bool elf_is_code(const struct elf *e, uint64_t addr);

/* Up to @len bytes at @addr, as many as the segment's file part has: the count, or -errno. */
long elf_read(const struct elf *e, uint64_t addr, void *buf, size_t len);

/*
 * Fills addr and size of each of @wanted that .symtab or .dynsym define: functions with a
 * size, within code; objects within any segment. 0, or -errno where a table is malformed.
 */
int  elf_symbols(struct elf *e, struct elf_symbol *wanted, size_t count);

/* Does the loader put the address of the dynamic symbol @name into the word at @addr (GOT)? */
bool elf_is_relocated_to(struct elf *e, uint64_t addr, const char *name);

/* The word (GOT) into which the loader puts the address of the dynamic symbol @name; -ENOENT. */
int  elf_slot(struct elf *e, const char *name, uint64_t *ret);

/* Address of the only NUL-delimited @text among constants; -ENOENT none, -EEXIST several. */
int  elf_string(struct elf *e, const char *text, uint64_t *ret);
int  elf_scan(const struct elf *e, enum elf_part part, size_t overlap, elf_scan_fn fn, void *ctx);

/* From the sorted table of .eh_frame_hdr: the function around @addr, and the one after it. */
int  elf_function(struct elf *e, uint64_t addr, struct elf_range *ret);
int  elf_function_after(struct elf *e, uint64_t start, struct elf_range *ret);

/* Length of the build id, 0 where the file has none. */
size_t elf_build_id(const struct elf *e, uint8_t ret[ELF_BUILD_ID_MAX]);

#endif
