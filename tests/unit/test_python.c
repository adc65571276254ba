/*
 * python: what was decoded leads, in a running interpreter whose main thread waits without the
 * GIL, to the very object that the program itself calls its context.
 *
 * The truth is the program's: it prints id(context) and then blocks inside that context. The
 * test follows the decoded places with ptrace, which the tracer itself never uses.
 */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attach/elf.h"
#include "attach/files.h"
#include "attach/python.h"
#include "attach/reason.h"
#include "knobs.h"

static const char program[] =
	"import contextvars, sys, os\n"
	"c = contextvars.copy_context()\n"
	"def wait():\n"
	"    os.write(1, b'%d\\n' % id(c))\n"
	"    os.read(0, 1)\n"		/* blocks: the GIL is released */
	"c.run(wait)\n";

struct found {
	pid_t pid;
	struct python python;
	struct reason why;
	uint64_t bias;
	int err;
};

static void look(void *ctx, const struct mapping *m)
{
	struct found *f = ctx;
	struct python p;
	uint64_t addr;
	char path[96];
	struct elf *e;
	int fd, err;

	snprintf(path, sizeof(path), "/proc/%d/map_files/%lx-%lx", f->pid, m->start, m->end);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fd = open(m->path, O_RDONLY | O_CLOEXEC);	/* without privilege */
	if (fd < 0)
		return;
	if (elf_open(&e, fd)) {
		close(fd);
		return;
	}
	err = python_find(e, &p, &f->why);
	if (err != -ENOENT)
		f->err = err;
	if (!err && !elf_address(e, m->offset, &addr)) {
		f->python = p;
		f->bias = m->start - addr;
	}
	elf_close(e);
	close(fd);
}

static uint64_t peek(int mem, uint64_t addr, const char *what)
{
	uint64_t value;

	check_eq(pread(mem, &value, sizeof(value), (off_t)addr), sizeof(value), what);
	return value;
}

/* Follows the knobs as the kernel half does, from the thread's fs base. */
static uint64_t context_of(pid_t pid, const struct target_knobs *k)
{
	struct user_regs_struct regs;
	uint64_t state, context;
	char path[32];
	int mem, status;

	check_eq(ptrace(PTRACE_SEIZE, pid, NULL, NULL), 0, "seize our own child");
	check_eq(ptrace(PTRACE_INTERRUPT, pid, NULL, NULL), 0, "interrupt");
	check_eq(waitpid(pid, &status, 0), pid, "stopped");
	check_eq(ptrace(PTRACE_GETREGS, pid, NULL, &regs), 0, "registers");
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	mem = open(path, O_RDONLY | O_CLOEXEC);
	state = peek(mem, regs.fs_base + (k->py_tss_slot ? k->py_tss_slot : (uint64_t)k->py_tls),
		     "thread state");
	check(state, "thread state is set while the thread waits");
	context = peek(mem, state + k->py_context_off, "context");
	check(context, "context is set");
	check_eq(peek(mem, context + 8, "type"), k->py_context_type, "its type is PyContext_Type");
	close(mem);
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
	return context;
}

static pid_t start(const char *python, int *ret_in, int *ret_out)
{
	int in[2], out[2];
	pid_t child;

	check_eq(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC), 0, "pipes");
	child = fork();
	if (child == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		execl(python, python, "-I", "-c", program, NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	*ret_in = in[1];
	*ret_out = out[0];
	return child;
}

static void check_interpreter(const char *path)
{
	struct target_knobs k = { 0 };
	struct found f = { .err = -ENOENT };
	char line[64] = "";
	int to, from;

	f.pid = start(path, &to, &from);
	check(read(from, line, sizeof(line) - 1) > 0, path);
	files_each_mapping(f.pid, look, &f);
	if (f.err != 0)
		fail_msg("%s: %d %s", path, f.err, f.why.text);
	check(f.python.copy.kind == SITE_EMULATED || f.python.copy.kind == SITE_NOP5, path);
	check_eq(python_knobs(&f.python, f.pid, f.bias, &k), 0, path);
	check_eq(context_of(f.pid, &k), strtoull(line, NULL, 10), path);
	close(to);
	close(from);
	waitpid(f.pid, NULL, 0);
}

TEST(the_context_of_a_waiting_thread_is_reached)
{
	const char *more = getenv("TEST_PYTHONS");	/* more interpreters, parted by ':' */
	char *copy, *path, *rest = NULL;

	if (access("/usr/bin/python3", X_OK)) {
		print_message("no /usr/bin/python3: install python3\n");
		skip();
	}
	check_interpreter("/usr/bin/python3");
	copy = strdup(more ? more : "");
	for (path = strtok_r(copy, ":", &rest); path; path = strtok_r(NULL, ":", &rest))
		check_interpreter(path);
	free(copy);
}

TEST(knobs_wait_for_the_key_and_refuse_what_they_cannot_reach)
{
	/* a process of ours that is no interpreter, and a "key" in its memory */
	static struct { int32_t is_initialized; uint32_t key; } tss;
	struct python p = { .key = (uint64_t)(uintptr_t)&tss, .context_off = 0xe0 };
	struct target_knobs k = { 0 };

	check_eq(python_knobs(&p, getpid(), 0, &k), -EAGAIN, "not made yet");
	check_eq(k.py_context_off, 0, "untouched");
	tss.is_initialized = 1;
	tss.key = 3;
	check_eq(python_knobs(&p, getpid(), 0, &k), 0, "made");
	check_eq(k.py_tss_slot, 0x310 + 3 * 16 + 8, "slot of key 3");
	tss.key = 32;
	check_eq(python_knobs(&p, getpid(), 0, &k), -ERANGE, "a key of the second level");
	tss.key = 3;
	check_eq(python_knobs(&p, getpid(), 1UL << 46, &k), -ESRCH, "not mapped");
}

TEST(a_program_without_python_is_none)
{
	struct reason why = { "" };
	struct python p;
	struct elf *e;
	int fd = open("/bin/true", O_RDONLY | O_CLOEXEC);

	check_eq(elf_open(&e, fd), 0, "open");
	check_eq(python_find(e, &p, &why), -ENOENT, "true");
	elf_close(e);
	close(fd);
}

RUN_TESTS(cmocka_unit_test(the_context_of_a_waiting_thread_is_reached),
	  cmocka_unit_test(knobs_wait_for_the_key_and_refuse_what_they_cannot_reach),
	  cmocka_unit_test(a_program_without_python_is_none))
