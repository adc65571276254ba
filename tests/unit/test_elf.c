/* elf: our own program is read as the linker and the loader see it; a liar is refused. */
#include "check.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "attach/elf.h"

#if __has_attribute(noipa)	/* gcc's; clang, which makes the sanitizers' build, has none */
#define WHOLE __attribute__((noinline, noipa))
#define BARE
#else
#define WHOLE __attribute__((noinline))
#define BARE __attribute__((no_sanitize("address")))	/* no red zone: it counts as its size */
#endif

const char unique_text[] = "\0text that stands here once";
const char twice_a[] = "\0text that stands here twice", twice_b[] = "\0text that stands here twice";
BARE int an_object = 4711;
int a_function(int n);
int a_neighbor(int n);

WHOLE int a_function(int n)
{
	return n * an_object + unique_text[1];
}

WHOLE int a_neighbor(int n)
{
	return n - twice_a[1] + twice_b[2];
}

static int first_base(struct dl_phdr_info *info, size_t size __attribute__((unused)), void *ctx)
{
	*(uint64_t *)ctx = info->dlpi_addr;
	return 1;
}

static uint64_t linked(const void *p)
{
	uint64_t base = 0;

	dl_iterate_phdr(first_base, &base);
	return (uint64_t)(uintptr_t)p - base;
}

static struct elf *open_self(int *ret_fd)
{
	struct elf *e = NULL;

	*ret_fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	check_eq(elf_open(&e, *ret_fd), 0, "open");
	return e;
}

TEST(symbols_have_the_addresses_that_run)
{
	struct elf_symbol s[] = {
		{ .name = "a_function", .type = ELF_FUNCTION },
		{ .name = "an_object", .type = ELF_OBJECT },
		{ .name = "an_object", .type = ELF_FUNCTION },
		{ .name = "open", .type = ELF_FUNCTION },	/* imported, not defined */
	};
	int fd, value = 0;
	struct elf *e = open_self(&fd);

	check_eq(elf_symbols(e, s, 4), 0, "symbols");
	check_eq(s[0].addr, linked(a_function), "function");
	check(s[0].size > 0, "function has a size");
	check_eq(s[1].addr, linked(&an_object), "object");
	check_eq(s[1].size, sizeof(an_object), "object's size");
	check_eq(s[2].addr, 0, "an object is no function");
	check_eq(s[3].addr, 0, "an import is no definition");
	check_eq(elf_read(e, s[1].addr, &value, sizeof(value)), sizeof(value), "read");
	check_eq(value, 4711, "initial value");
	check(elf_is_code(e, s[0].addr), "function is code");
	check(!elf_is_code(e, s[1].addr), "object is not");
	elf_close(e);
	close(fd);
}

TEST(offsets_and_addresses_are_inverse)
{
	uint64_t offset, addr, mine = linked(&an_object);
	int fd, value;
	struct elf *e = open_self(&fd);

	check_eq(elf_offset(e, mine, &offset), 0, "offset");
	check_eq(pread(fd, &value, sizeof(value), (off_t)offset), sizeof(value), "pread");
	check_eq(value, 4711, "the file holds it there");
	check_eq(elf_address(e, offset, &addr), 0, "address");
	check_eq(addr, mine, "and back");
	check_eq(elf_offset(e, 1UL << 46, &offset), -ENOENT, "an address of no segment");
	elf_close(e);
	close(fd);
}

TEST(a_string_is_found_where_it_is_alone)
{
	uint64_t addr;
	int fd;
	struct elf *e = open_self(&fd);

	check_eq(elf_string(e, unique_text + 1, &addr), 0, "alone");
	check_eq(addr, linked(unique_text + 1), "its address");
	check_eq(elf_string(e, twice_a + 1, &addr), -EEXIST, "twice");
	check_eq(elf_string(e, unique_text + 6, &addr), -ENOENT, "a tail is no match");
	elf_close(e);
	close(fd);
}

TEST(the_unwind_table_bounds_functions)
{
	struct elf_range r, next;
	int fd;
	struct elf *e = open_self(&fd);
	struct elf_symbol s = { .name = "a_function", .type = ELF_FUNCTION };

	check_eq(elf_symbols(e, &s, 1), 0, "symbols");
	check_eq(elf_function(e, s.addr + s.size / 2, &r), 0, "inside");
	check_eq(r.start, s.addr, "start");
	check_eq(r.end, s.addr + s.size, "end");
	check_eq(elf_function(e, s.addr, &r), 0, "first byte");
	check_eq(r.start, s.addr, "start");
	check_eq(elf_function_after(e, r.start, &next), 0, "after");
	check_eq(next.start, linked(a_neighbor), "the next function");
	check_eq(elf_function(e, 1, &r), -ENOENT, "before all code");
	elf_close(e);
	close(fd);
}

static int count_bytes(void *ctx, const struct elf_chunk *c)
{
	size_t *counts = ctx;

	counts[0] += c->own;
	counts[1] += 1;
	return c->len < c->own ? -EINVAL : 0;
}

TEST(a_scan_shows_each_byte_once_as_its_own)
{
	int fd = memfd_create("scan", MFD_CLOEXEC);
	size_t body = 3U << 20, counts[2] = { 0 };	/* three chunks and a bit */
	struct { Elf64_Ehdr h; Elf64_Phdr p; } f = { 0 };
	struct elf *e;

	memcpy(f.h.e_ident, ELFMAG "\2\1\1", 7);
	f.h.e_type = ET_DYN;
	f.h.e_machine = EM_X86_64;
	f.h.e_phoff = sizeof(f.h);
	f.h.e_phentsize = sizeof(f.p);
	f.h.e_phnum = 1;
	f.p.p_type = PT_LOAD;
	f.p.p_flags = PF_R | PF_X;
	f.p.p_filesz = f.p.p_memsz = body + 77;
	check_eq(pwrite(fd, &f, sizeof(f), 0), sizeof(f), "write");
	check_eq(ftruncate(fd, (off_t)(body + 77)), 0, "grow");
	check_eq(elf_open(&e, fd), 0, "open");
	check_eq(elf_scan(e, ELF_CODE, 8, count_bytes, counts), 0, "scan");
	check_eq(counts[0], body + 77, "bytes");
	check_eq(counts[1], 4, "chunks");
	check_eq(ftruncate(fd, 4096), 0, "shrink under the reader");
	check_eq(elf_scan(e, ELF_CODE, 8, count_bytes, counts), -ENOEXEC, "no crash, an error");
	elf_close(e);
	close(fd);
}

/* one bent 8, 4 or 2-byte field of our own header */
static const struct header_case {
	const char *name;
	size_t at, bytes;
	uint64_t value;
} bad_headers[] = {
	{ "magic", 0, 2, 0 },
	{ "32 bits", EI_CLASS, 1, ELFCLASS32 },
	{ "big endian", EI_DATA, 1, ELFDATA2MSB },
	{ "another machine", offsetof(Elf64_Ehdr, e_machine), 2, EM_S390 },
	{ "an object file", offsetof(Elf64_Ehdr, e_type), 2, ET_REL },
	{ "too many segments", offsetof(Elf64_Ehdr, e_phnum), 2, ELF_SEGMENTS_MAX + 1 },
	{ "odd segment size", offsetof(Elf64_Ehdr, e_phentsize), 2, 55 },
	{ "segments past the end", offsetof(Elf64_Ehdr, e_phoff), 8, 1UL << 40 },
	{ "segments wrap around", offsetof(Elf64_Ehdr, e_phoff), 8, UINT64_MAX - 8 },
};

static int copy_of_self(void)
{
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int to = memfd_create("copy", MFD_CLOEXEC);
	char buf[65536];
	ssize_t n;

	while ((n = read(from, buf, sizeof(buf))) > 0)
		check_eq(write(to, buf, (size_t)n), n, "copy");
	close(from);
	return to;
}

TEST(a_bent_header_is_refused)
{
	const struct header_case *c;

	for_each(c, bad_headers) {
		int fd = copy_of_self();
		struct elf *e = NULL;

		check_eq(pwrite(fd, &c->value, c->bytes, (off_t)c->at), c->bytes, "bend");
		check_eq(elf_open(&e, fd), -ENOEXEC, c->name);
		close(fd);
	}
}

/* Bends the section header of a symbol table: the lookup must fail or find nothing. */
TEST(a_bent_symbol_table_is_refused)
{
	static const struct { const char *name; size_t at; uint64_t value; int err; } bends[] = {
		{ "larger than any table", offsetof(Elf64_Shdr, sh_size), 1UL << 32, -EFBIG },
		{ "past the end", offsetof(Elf64_Shdr, sh_offset), 1UL << 40, -ENOEXEC },
		{ "entry size 0", offsetof(Elf64_Shdr, sh_entsize), 0, -ENOEXEC },
		{ "strings of no section", offsetof(Elf64_Shdr, sh_link), 0xffffffff, -ENOEXEC },
	};
	size_t i;

	for (i = 0; i < ARRAY_COUNT(bends); i++) {
		struct elf_symbol s = { .name = "a_function", .type = ELF_FUNCTION };
		size_t bytes = bends[i].at == offsetof(Elf64_Shdr, sh_link) ? 4 : 8, n;
		int fd = copy_of_self();
		struct elf *e = NULL;
		Elf64_Shdr sh;
		Elf64_Ehdr h;

		check_eq(pread(fd, &h, sizeof(h), 0), sizeof(h), "header");
		for (n = 0; n < h.e_shnum; n++) {
			off_t at = (off_t)(h.e_shoff + n * sizeof(sh));

			check_eq(pread(fd, &sh, sizeof(sh), at), sizeof(sh), "section");
			if (sh.sh_type == SHT_SYMTAB)
				check_eq(pwrite(fd, &bends[i].value, bytes,
						at + (off_t)bends[i].at), bytes, "bend");
		}
		check_eq(elf_open(&e, fd), 0, bends[i].name);
		check_eq(elf_symbols(e, &s, 1), bends[i].err, bends[i].name);
		check_eq(s.addr, 0, bends[i].name);
		elf_close(e);
		close(fd);
	}
}

TEST(what_is_no_regular_file_is_refused)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct elf *e = NULL;

	check_eq(elf_open(&e, fd), -ENOEXEC, "a device");
	close(fd);
	fd = memfd_create("empty", MFD_CLOEXEC);
	check_eq(elf_open(&e, fd), -ENOEXEC, "an empty file");
	close(fd);
}

RUN_TESTS(cmocka_unit_test(symbols_have_the_addresses_that_run),
	  cmocka_unit_test(offsets_and_addresses_are_inverse),
	  cmocka_unit_test(a_string_is_found_where_it_is_alone),
	  cmocka_unit_test(the_unwind_table_bounds_functions),
	  cmocka_unit_test(a_scan_shows_each_byte_once_as_its_own),
	  cmocka_unit_test(a_bent_header_is_refused),
	  cmocka_unit_test(a_bent_symbol_table_is_refused),
	  cmocka_unit_test(what_is_no_regular_file_is_refused))
