/*
 * config: the configuration file, YAML, read into what the stages take: the rules of decode
 * (trace_headers, routes, capture) and how Kafka clients are watched and shown (kafka).
 * Unknown keys are errors, so that a misspelt one is not silently without effect.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include <stddef.h>

#include "decode/rules.h"
#include "decode/slice.h"
#include "join/join.h"

#define CONFIG_BYTES_MAX (1UL << 20)	/* of a file */
#define CONFIG_WHY_MAX 512		/* bytes of an error's text are enough */
#define KAFKA_LIGHT_ABOVE 20000		/* messages/s; kafka.light_above's default */

enum config_kafka_mode {
	KAFKA_MODE_AUTO,	/* full, and light for a file whose rate is above light_above */
	KAFKA_MODE_FULL,	/* a record for each produced message */
	KAFKA_MODE_LIGHT,	/* a record for each acknowledged batch */
};

struct config_kafka {
	enum config_kafka_mode mode;
	uint32_t light_above;	/* messages/s of one librdkafka file; never 0 */
	struct join_kafka_opts join;
};

struct config {
	struct rules rules;
	struct config_kafka kafka;
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

/* The mode of this name: 0, or -EINVAL. */
int config_kafka_mode(enum config_kafka_mode *ret, const char *name);

void config_free(struct config *c);	/* NULL is fine */

#endif
