/* file: see file.h. */
#include "send/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "send/otlp.h"
#include "send/write.h"

#define FILE_MODE 0640		/* traces name users: not for everyone */

struct file {
	int fd;
	bool is_ours;		/* we opened it, and may cut it */
	bool is_torn;		/* the last line has no end */
	off_t size;		/* bytes of whole lines written */
};

struct lines {
	char *text;
	size_t len;
};

/* An otlp_next_fn: adds the piece as a line. */
static int add_line(void *ctx, struct otlp_piece *piece)
{
	struct lines *l = ctx;
	char *text = realloc(l->text, l->len + piece->len + 1);

	if (text) {
		memcpy(text + l->len, piece->body, piece->len);
		text[l->len + piece->len] = '\n';
		l->text = text;
		l->len += piece->len + 1;
	}
	free(piece->body);
	return text ? 0 : -ENOMEM;
}

/* A half-written trace is worse than a missing one: no reader can tell it from a whole one. */
static void take_back(struct file *f, size_t done)
{
	if (!done)
		return;
	f->is_torn = !f->is_ours || ftruncate(f->fd, f->size) ||
		     lseek(f->fd, f->size, SEEK_SET) < 0;
}

static int write_lines(struct file *f, const struct lines *l)
{
	size_t done;
	int err;

	if (f->is_torn) {
		err = write_all(f->fd, "\n", 1, NULL);
		if (err)
			return err;
		f->is_torn = false;
	}
	err = write_all(f->fd, l->text, l->len, &done);
	if (err)
		take_back(f, done);
	else
		f->size += l->len;
	return err;
}

int file_new(struct file **ret, const char *path)
{
	struct file *f = calloc(1, sizeof(*f));
	struct stat st;
	int err;

	if (!f)
		return -ENOMEM;
	f->fd = STDOUT_FILENO;
	if (path) {
		f->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, FILE_MODE);
		if (f->fd < 0) {
			err = -errno;
			free(f);
			return err;
		}
		f->is_ours = !fstat(f->fd, &st) && S_ISREG(st.st_mode);
	}
	*ret = f;
	return 0;
}

int file_feed(struct file *f, const struct trace *t, const struct request_opts *opts)
{
	struct lines l = { 0 };
	int err = otlp_encode(t, OTLP_JSON, opts, add_line, &l);

	if (!err)
		err = write_lines(f, &l);
	free(l.text);
	return err;
}

void file_free(struct file *f)
{
	if (!f)
		return;
	if (f->fd != STDOUT_FILENO)
		close(f->fd);
	free(f);
}
