/*
 * fuzz_config: a configuration file. It is read or refused with one line that says why, and
 * rules that were taken can be matched and name no secret.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"

static void use(const struct rules *r)
{
	static const char *const paths[] = { "/", "", "/a/b", "/execute", "//", "/executions/1" };
	unsigned int i;

	for (i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		rules_route(r, slice_str(paths[i]));
		rules_for_http(r, slice_str("POST"), slice_str(paths[i]));
	}
	rules_for_topic(r, "executions");
	for (i = 0; i < r->capture_count; i++)
		if (r->capture[i].header && rules_is_secret_header(r->capture[i].header))
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char why[CONFIG_WHY_MAX] = "";
	struct config *c = NULL;

	if (!config_parse("fuzz.yaml", slice_of(data, size), &c, why, sizeof(why)))
		use(&c->rules);
	else if (c || strncmp(why, "fuzz.yaml: ", 11))
		abort();
	config_free(c);
	return 0;
}
