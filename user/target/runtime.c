/* runtime: see runtime.h */
#include "target/runtime.h"

#include <elf.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define SEGMENTS_MAX 64
#define SECTIONS_MAX 256
#define NOTES_BYTES 4096	/* of one segment of notes; Go's has 100 */
#define NAMES_BYTES 16384	/* of the sections' names */
#define COMMENT_BYTES 4096	/* a line a compiler */
#define NT_GO_BUILD_ID 4

static bool read_at(int fd, void *ret, size_t len, uint64_t offset)
{
	return offset <= INT64_MAX && pread(fd, ret, len, (off_t)offset) == (ssize_t)len;
}

/* What the file has of it, up to @max bytes. */
static size_t read_some(int fd, void *ret, uint64_t len, size_t max, uint64_t offset)
{
	ssize_t n;

	if (offset > INT64_MAX)
		return 0;
	n = pread(fd, ret, len < max ? (size_t)len : max, (off_t)offset);
	return n > 0 ? (size_t)n : 0;
}

static size_t padded(uint32_t size)
{
	return ((size_t)size + 3) & ~(size_t)3;
}

static bool has_go_note(const uint8_t *notes, size_t len)
{
	Elf64_Nhdr n;
	size_t at = 0;

	while (len - at >= sizeof(n)) {
		size_t body;

		memcpy(&n, notes + at, sizeof(n));
		at += sizeof(n);
		if (n.n_type == NT_GO_BUILD_ID && n.n_namesz == 4 && len - at >= 4 &&
		    !memcmp(notes + at, "Go\0", 4))
			return true;
		body = padded(n.n_namesz) + padded(n.n_descsz);
		if (body > len - at)
			return false;
		at += body;
	}
	return false;
}

static bool is_go(int fd, const Elf64_Ehdr *e)
{
	uint8_t notes[NOTES_BYTES];
	Elf64_Phdr p;
	size_t i, len;

	if (e->e_phentsize != sizeof(p))
		return false;
	for (i = 0; i < e->e_phnum && i < SEGMENTS_MAX; i++) {
		if (!read_at(fd, &p, sizeof(p), e->e_phoff + i * sizeof(p)))
			return false;
		if (p.p_type != PT_NOTE)
			continue;
		len = read_some(fd, notes, p.p_filesz, sizeof(notes), p.p_offset);
		if (has_go_note(notes, len))
			return true;
	}
	return false;
}

/* Linkers gather there what each compiler wrote of itself. */
static bool is_rust(int fd, const Elf64_Ehdr *e)
{
	static const char section[] = ".comment", mark[] = "rustc version ";
	char names[NAMES_BYTES], comment[COMMENT_BYTES];
	size_t i, len, names_len;
	Elf64_Shdr s;

	if (e->e_shentsize != sizeof(s) || e->e_shstrndx >= e->e_shnum ||
	    !read_at(fd, &s, sizeof(s), e->e_shoff + e->e_shstrndx * sizeof(s)))
		return false;
	names_len = read_some(fd, names, s.sh_size, sizeof(names), s.sh_offset);
	for (i = 0; i < e->e_shnum && i < SECTIONS_MAX; i++) {
		if (!read_at(fd, &s, sizeof(s), e->e_shoff + i * sizeof(s)))
			return false;
		if (s.sh_type != SHT_PROGBITS || s.sh_name >= names_len ||
		    names_len - s.sh_name < sizeof(section) ||
		    memcmp(names + s.sh_name, section, sizeof(section)) != 0)
			continue;
		len = read_some(fd, comment, s.sh_size, sizeof(comment), s.sh_offset);
		if (memmem(comment, len, mark, sizeof(mark) - 1))
			return true;
	}
	return false;
}

const char *runtime_of(int fd)
{
	Elf64_Ehdr e;

	if (!read_at(fd, &e, sizeof(e), 0) || memcmp(e.e_ident, ELFMAG, SELFMAG) != 0 ||
	    e.e_ident[EI_CLASS] != ELFCLASS64 || e.e_ident[EI_DATA] != ELFDATA2LSB)
		return "";
	if (is_go(fd, &e))
		return "go";
	return is_rust(fd, &e) ? "rust" : "";
}

bool runtime_is_threadless(const char *runtime)
{
	static const char *const runtimes[] = { "go", "nodejs", "rust" };
	size_t i;

	for (i = 0; i < sizeof(runtimes) / sizeof(*runtimes); i++)
		if (!strcmp(runtime, runtimes[i]))
			return true;
	return false;
}
