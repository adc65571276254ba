/* log: see log.h. */
#include "util/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LOG_LINE_MAX 1024	/* bytes; a longer message is cut */

static enum log_level threshold = LOG_WARN;

void log_set_level(enum log_level level)
{
	threshold = level;
}

void log_at(enum log_level level, const char *format, ...)
{
	char line[LOG_LINE_MAX] = "spanstitch: ";
	size_t len = strlen(line), i;
	va_list args;
	ssize_t ignored;

	if (level > threshold)
		return;
	va_start(args, format);
	vsnprintf(line + len, sizeof(line) - len - 1, format, args);
	va_end(args);
	for (i = 0; line[i]; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?';
	line[i++] = '\n';
	ignored = write(STDERR_FILENO, line, i);	/* one call: lines never mix */
	(void)ignored;
}
