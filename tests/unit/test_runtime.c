/* runtime: an executable's own marks tell what it was compiled from, stripped or not. */
#include "check.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "target/runtime.h"

#define FILE_BYTES 1024
#define NOTE_AT 256
#define COMMENT_AT 512
#define NAMES_AT 768

/* a file with one segment of notes and, beside the names, one section */
struct image {
	Elf64_Ehdr e;
	Elf64_Phdr p;
	Elf64_Shdr s[2];
	Elf64_Nhdr note;
	char owner[4];
	Elf64_Nhdr next;
	char next_owner[4];
	const char *name, *comment;
};

static const struct image right = {
	.e = {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_phoff = sizeof(Elf64_Ehdr), .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 1,
		.e_shoff = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr),
		.e_shentsize = sizeof(Elf64_Shdr), .e_shnum = 2, .e_shstrndx = 1,
	},
	.p = { .p_type = PT_NOTE, .p_offset = NOTE_AT, .p_filesz = 64 },
	.s = {
		{ .sh_type = SHT_PROGBITS, .sh_name = 1, .sh_offset = COMMENT_AT, .sh_size = 64 },
		{ .sh_type = SHT_STRTAB, .sh_offset = NAMES_AT, .sh_size = 32 },
	},
	.note = { .n_namesz = 4, .n_descsz = 8, .n_type = 1 },
	.owner = "GNU",
	.name = ".comment",
	.comment = "GCC: (Debian 12.2.0-14) 12.2.0",
};

static const char *seen(const struct image *i, size_t len)
{
	char file[FILE_BYTES] = { 0 };
	const char *runtime;
	int fd;

	memcpy(file, &i->e, sizeof(i->e));
	memcpy(file + sizeof(i->e), &i->p, sizeof(i->p));
	memcpy(file + sizeof(i->e) + sizeof(i->p), i->s, sizeof(i->s));
	memcpy(file + NOTE_AT, &i->note, sizeof(i->note));
	memcpy(file + NOTE_AT + sizeof(i->note), i->owner, sizeof(i->owner));
	memcpy(file + NOTE_AT + 16, &i->next, sizeof(i->next));
	memcpy(file + NOTE_AT + 28, i->next_owner, sizeof(i->next_owner));
	strcpy(file + NAMES_AT + 1, i->name);
	strcpy(file + COMMENT_AT, i->comment);
	fd = memfd_create("image", MFD_CLOEXEC);
	check(fd >= 0 && write(fd, file, len) == (ssize_t)len, "the image");
	runtime = runtime_of(fd);
	close(fd);
	return runtime;
}

static struct image go_of(struct image i)
{
	i.note.n_type = 4;
	memcpy(i.owner, "Go\0", sizeof(i.owner));
	return i;
}

TEST(a_go_program_has_gos_note)
{
	struct image i = right, go = go_of(right);

	check_str(seen(&i, FILE_BYTES), "", "a C program");
	check_str(seen(&go, FILE_BYTES), "go", "a Go program");
	i = go;
	memset(i.s, 0, sizeof(i.s));
	i.e.e_shnum = i.e.e_shstrndx = 0;
	check_str(seen(&i, FILE_BYTES), "go", "without sections");
	i = go;
	i.note.n_type = 1;
	check_str(seen(&i, FILE_BYTES), "", "another note of Go's");
	i = go;
	i.p.p_type = PT_LOAD;
	check_str(seen(&i, FILE_BYTES), "", "not a segment of notes");
	i = go;
	i.note.n_namesz = UINT32_MAX;
	check_str(seen(&i, FILE_BYTES), "", "a name without end");
	i = go;
	i.p.p_offset = UINT64_MAX;
	check_str(seen(&i, FILE_BYTES), "", "notes beyond any file");
}

TEST(the_note_may_come_second)
{
	struct image i = right;

	i.next = (Elf64_Nhdr){ .n_namesz = 4, .n_type = 4 };
	memcpy(i.next_owner, "Go\0", sizeof(i.next_owner));
	i.note.n_descsz = 0;
	check_str(seen(&i, FILE_BYTES), "go", "behind a note of GNU's");
	i.note.n_descsz = 13;	/* and 3 bytes of padding: all of the second */
	check_str(seen(&i, FILE_BYTES), "", "what a note holds is no note");
}

TEST(a_rust_program_names_its_compiler)
{
	struct image i = right;

	i.comment = "rustc version 1.85.0 (4d91de4e4 2025-02-17)";
	check_str(seen(&i, FILE_BYTES), "rust", "a Rust program");
	check_str(seen(&i, COMMENT_AT), "", "the file ends before");
	i.name = ".commend";
	check_str(seen(&i, FILE_BYTES), "", "another section");
	i.name = ".comment";
	i.e.e_shstrndx = 2;
	check_str(seen(&i, FILE_BYTES), "", "no section of names");
	i.e.e_shstrndx = 1;
	i.s[0].sh_name = UINT32_MAX;
	check_str(seen(&i, FILE_BYTES), "", "a name beyond the names");
}

TEST(what_is_no_program_is_nothing)
{
	struct image i = go_of(right);

	check_str(seen(&i, 0), "", "empty");
	check_str(seen(&i, sizeof(Elf64_Ehdr) - 1), "", "cut");
	i.e.e_ident[EI_CLASS] = ELFCLASS32;
	check_str(seen(&i, FILE_BYTES), "", "of 32 bits");
	i = go_of(right);
	i.e.e_ident[0] = '#';
	check_str(seen(&i, FILE_BYTES), "", "a script");
	check_str(runtime_of(-1), "", "no file");
}

TEST(this_program_is_neither)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	check(fd >= 0, "itself");
	check_str(runtime_of(fd), "", "compiled from C");
	close(fd);
}

RUN_TESTS(cmocka_unit_test(a_go_program_has_gos_note),
	  cmocka_unit_test(the_note_may_come_second),
	  cmocka_unit_test(a_rust_program_names_its_compiler),
	  cmocka_unit_test(what_is_no_program_is_nothing),
	  cmocka_unit_test(this_program_is_neither))
