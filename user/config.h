/*
 * config: the configuration file, YAML, read into what the stages take. One section so far:
 * the rules of decode (trace_headers, routes, capture), at the top level of the file.
 * Unknown keys are errors, so that a misspelt one is not silently without effect.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include <stddef.h>

#include "decode/rules.h"
#include "decode/slice.h"

#define CONFIG_BYTES_MAX (1UL << 20)	/* of a file */
#define CONFIG_WHY_MAX 512		/* bytes of an error's text are enough */

struct config {
	struct rules rules;
};

extern const char config_default[];	/* the text of deploy/spanstitch.yaml */

/*
 * The file at @path, or the default for NULL. On success *ret is the caller's, to be ended
 * with config_free(). On failure: -errno, and one line that names file, place and remedy has
 * been logged.
 */
int config_load(const char *path, struct config **ret);

/* The same of a text that @name names in errors; the error's line goes to @why. */
int config_parse(const char *name, struct slice text, struct config **ret, char *why,
		 size_t why_size);

void config_free(struct config *c);	/* NULL is fine */

#endif
