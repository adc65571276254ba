/* reason: see reason.h */
#include "attach/reason.h"

#include <stdarg.h>
#include <stdio.h>

int reason_set(struct reason *r, int err, const char *format, ...)
{
	va_list args;

	if (!r)
		return err;
	va_start(args, format);
	vsnprintf(r->text, sizeof(r->text), format, args);
	va_end(args);
	return err;
}
