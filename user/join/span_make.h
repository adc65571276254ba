/* span_make: building and freeing of spans and resources; owned by join until handed on. */
#ifndef JOIN_SPAN_MAKE_H
#define JOIN_SPAN_MAKE_H

#include "join/span.h"

struct span *span_new(struct resource *resource);	/* NULL: no memory */
void span_free(struct span *s);

/*
 * 0, -ENOMEM or -E2BIG; what is not added is counted in the span. A link that is there already
 * is not added again. @ret may be NULL; else it is set when one was added, and borrowed until
 * the next call.
 */
int span_add_link(struct span *s, const uint8_t trace_id[16], const uint8_t span_id[8],
		  struct span_link **ret);
/* The same without a look at what is there: each message of a batch has its own. */
int span_append_link(struct span *s, const uint8_t trace_id[16], const uint8_t span_id[8],
		     struct span_link **ret);
int span_add_event(struct span *s, uint64_t ts_ns, const char *name, struct span_event **ret);
void span_set_name(struct span *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void span_set_error(struct span *s, const char *type);	/* status, and error.type when given */

struct resource *resource_new(const char *service);
struct resource *resource_get(struct resource *r);
void resource_put(struct resource *r);
int resource_set_service(struct resource *r, const char *service);

#endif
