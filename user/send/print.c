/* print: see print.h. */
#include "send/print.h"

#include <errno.h>
#include <langinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "join/span.h"
#include "send/page.h"
#include "send/write.h"

struct print {
	struct print_opts opts;
	struct services services;
};

static size_t width_of(int fd)
{
	const char *columns = getenv("COLUMNS");
	unsigned long width = columns ? strtoul(columns, NULL, 10) : 0;
	struct winsize size;

	if (!width && !ioctl(fd, TIOCGWINSZ, &size))
		width = size.ws_col;
	if (!width || width > PRINT_WIDTH_MAX)
		return PRINT_WIDTH;
	return width > PRINT_WIDTH_MIN ? width : PRINT_WIDTH_MIN;
}

void print_opts_detect(struct print_opts *ret, int fd)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
	const char *force = getenv("CLICOLOR_FORCE");	/* through a pipe, to a terminal */

	*ret = (struct print_opts){
		.fd = fd,
		.width = width_of(fd),
		.is_utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8"),
		.has_color = (isatty(fd) || (force && *force && strcmp(force, "0"))) &&
			     !(no_color && *no_color) && !(term && !strcmp(term, "dumb")),
	};
}

int print_new(struct print **ret, const struct print_opts *opts)
{
	struct print *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->opts = *opts;
	*ret = p;
	return 0;
}

int print_text(struct print *p, const struct trace *t, char **ret, size_t *ret_len)
{
	char *text = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&text, &len);
	int err;

	if (!to)
		return -ENOMEM;
	err = page_put(to, &p->opts, &p->services, t);
	if (fclose(to) && !err)
		err = -ENOMEM;
	if (err) {
		free(text);
		return err;
	}
	*ret = text;
	*ret_len = len;
	return 0;
}

int print_feed(struct print *p, const struct trace *t)
{
	char *text;
	size_t len;
	int err;

	if (!t->count)
		return 0;
	err = print_text(p, t, &text, &len);
	if (err)
		return err;
	err = write_all(p->opts.fd, text, len, NULL);
	free(text);
	return err;
}

void print_free(struct print *p)
{
	if (!p)
		return;
	services_done(&p->services);
	free(p);
}
