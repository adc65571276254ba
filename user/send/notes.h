/* notes: what a waterfall says of a span beside its name and time: the few facts that tell. */
#ifndef SEND_NOTES_H
#define SEND_NOTES_H

#include <stddef.h>

#define NOTES_MAX 512		/* bytes; no terminal shows more of one span */

struct attr;
struct span;

/*
 * The name, followed by the URL's path where the name has none: "GET /executions/17". A path
 * loses its first parts, not its last, to fit into @cells: "GET .../pods/{name}/log".
 */
void notes_title(char ret[NOTES_MAX], const struct span *sp, size_t cells);

/* Status, topic and offset, exit, error, retries; "" where there is nothing to say. */
void notes_text(char ret[NOTES_MAX], const struct span *sp);

/* How the parent was found, where that was not by the usual way; NULL: it was. */
const char *notes_evidence(const struct span *sp);

/* Adds @at's value as text. */
void notes_value(char *ret, size_t len, const struct attr *at);

#endif
