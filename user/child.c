/* child: see child.h. */
#include "child.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/log.h"

static void __attribute__((noreturn)) become(char **argv, int go_fd)
{
	char go;

	/* End of file: the tracer died before it was ready; then the command does not run. */
	if (read(go_fd, &go, 1) != 1)
		_exit(125);
	close(go_fd);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	execvp(argv[0], argv);
	log_error("%s: cannot be run: %s", argv[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

int child_start(struct child *c, char **argv)
{
	int fds[2];
	pid_t pid;

	if (pipe(fds))
		return -errno;
	pid = fork();
	if (pid < 0) {
		int err = -errno;

		close(fds[0]);
		close(fds[1]);
		return err;
	}
	if (!pid) {
		close(fds[1]);
		become(argv, fds[0]);
	}
	close(fds[0]);
	*c = (struct child){ .pid = pid, .go_fd = fds[1] };
	return 0;
}

void child_go(struct child *c)
{
	ssize_t ignored;

	if (!c->pid)
		return;
	ignored = write(c->go_fd, "", 1);
	(void)ignored;
	close(c->go_fd);
}

bool child_has_ended(struct child *c)
{
	int status;

	if (!c->pid || waitpid(c->pid, &status, WNOHANG) != c->pid)
		return false;
	c->exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	c->pid = 0;
	return true;
}
