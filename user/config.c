/* config: see config.h. The tables below are the file's keys; libcyaml does the rest. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cyaml/cyaml.h>

#include "util/log.h"

#define REMEDY "docs/configuration.md lists the keys and what each takes"

static const cyaml_strval_t froms[] = {
	{ "http.request.header", FROM_HTTP_REQUEST_HEADER },
	{ "http.request.json", FROM_HTTP_REQUEST_JSON },
	{ "http.response.json", FROM_HTTP_RESPONSE_JSON },
	{ "http.path", FROM_HTTP_PATH },
	{ "kafka.header", FROM_KAFKA_HEADER },
	{ "kafka.key", FROM_KAFKA_KEY },
};

static const cyaml_strval_t identifies[] = {
	{ "link", IDENTIFY_LINK },
	{ "parent", IDENTIFY_PARENT },
};

static const cyaml_strval_t kafka_modes[] = {
	{ "auto", KAFKA_MODE_AUTO },
	{ "full", KAFKA_MODE_FULL },
	{ "light", KAFKA_MODE_LIGHT },
};

static const cyaml_strval_t trace_modes[] = {
	{ "parent", false },
	{ "link", true },
};

static const cyaml_strval_t poll_spans[] = {
	{ "batch", POLL_SPANS_BATCH },
	{ "all", POLL_SPANS_ALL },
	{ "none", POLL_SPANS_NONE },
};

/* libcyaml's own reading of booleans takes any word that it does not know for true */
static const cyaml_strval_t booleans[] = {
	{ "false", false },
	{ "true", true },
};

#define OPTIONAL (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)
#define RULE_STRING(name, flags) \
	CYAML_FIELD_STRING_PTR(#name, flags, struct rule, name, 1, CYAML_UNLIMITED)

static const cyaml_schema_field_t rule_fields[] = {
	RULE_STRING(attribute, CYAML_FLAG_POINTER),
	CYAML_FIELD_ENUM("from", CYAML_FLAG_STRICT, struct rule, from, froms,
			 CYAML_ARRAY_LEN(froms)),
	CYAML_FIELD_ENUM("identifies", CYAML_FLAG_STRICT | CYAML_FLAG_OPTIONAL, struct rule,
			 identifies, identifies, CYAML_ARRAY_LEN(identifies)),
	RULE_STRING(header, OPTIONAL),
	RULE_STRING(field, OPTIONAL),
	RULE_STRING(param, OPTIONAL),
	RULE_STRING(method, OPTIONAL),
	RULE_STRING(route, OPTIONAL),
	RULE_STRING(topic, OPTIONAL),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t rule_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct rule, rule_fields),
};

static const cyaml_schema_value_t string_schema = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, CYAML_UNLIMITED),
};

#define KAFKA_ENUM(name, field, values) \
	CYAML_FIELD_ENUM(name, CYAML_FLAG_STRICT | CYAML_FLAG_OPTIONAL, struct config_kafka, \
			 field, values, CYAML_ARRAY_LEN(values))

static const cyaml_schema_field_t kafka_fields[] = {
	KAFKA_ENUM("mode", mode, kafka_modes),
	CYAML_FIELD_UINT("light_above", CYAML_FLAG_OPTIONAL, struct config_kafka, light_above),
	KAFKA_ENUM("trace_mode", join.link_only, trace_modes),
	KAFKA_ENUM("message_key", join.message_key, booleans),
	KAFKA_ENUM("poll_spans", join.poll_spans, poll_spans),
	CYAML_FIELD_END,
};

#define RULES_LIST(name, schema) \
	CYAML_FIELD_SEQUENCE_COUNT(#name, OPTIONAL, struct config, rules.name, \
				   rules.name##_count, schema, 0, CYAML_UNLIMITED)

static const cyaml_schema_field_t config_fields[] = {
	RULES_LIST(trace_headers, &string_schema),
	RULES_LIST(routes, &string_schema),
	RULES_LIST(capture, &rule_schema),
	CYAML_FIELD_MAPPING("kafka", CYAML_FLAG_OPTIONAL, struct config, kafka, kafka_fields),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t config_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct config, config_fields),
};

/* What libcyaml says of an error: first what is wrong, then where, innermost first. */
struct complaint {
	char what[256];
	char where[128];
};

static void complain(cyaml_log_t level, void *ctx, const char *format, va_list args)
{
	struct complaint *c = ctx;
	char line[256];
	size_t len;

	(void)level;
	vsnprintf(line, sizeof(line), format, args);
	len = strcspn(line, "\n");
	line[len] = '\0';
	if (!strncmp(line, "Load: ", 6) && !c->what[0])
		snprintf(c->what, sizeof(c->what), "%s", line + 6);
	else if (!strncmp(line, "  in ", 5) && !c->where[0])
		snprintf(c->where, sizeof(c->where), "%.100s", line + 2);
}

static cyaml_config_t cyaml_options(struct complaint *c)
{
	return (cyaml_config_t){
		.log_fn = complain,
		.log_ctx = c,
		.mem_fn = cyaml_mem,
		.log_level = CYAML_LOG_ERROR,
		.flags = CYAML_CFG_NO_ALIAS,	/* a few of them can make a text of any size */
	};
}

static int parse_yaml(const char *name, struct slice text, struct config **ret, char *why,
		      size_t why_size)
{
	struct complaint c = { "", "" };
	cyaml_config_t options = cyaml_options(&c);
	struct config *config = NULL;
	cyaml_err_t err;

	err = cyaml_load_data((const uint8_t *)text.at, text.len, &options, &config_schema,
			      (cyaml_data_t **)&config, NULL);
	if (err != CYAML_OK) {
		/* libcyaml's place is that of the last part that it understood */
		snprintf(why, why_size, "%s: %s%s%s, or just after it; " REMEDY, name,
			 c.what[0] ? c.what : cyaml_strerror(err), c.where[0] ? " " : "",
			 c.where[0] ? c.where : " at its start");
		return err == CYAML_ERR_OOM ? -ENOMEM : -EINVAL;
	}
	if (!config) {		/* an empty text is a configuration without rules */
		config = cyaml_mem(NULL, NULL, sizeof(*config));
		if (!config)
			return -ENOMEM;
		memset(config, 0, sizeof(*config));
	}
	*ret = config;
	return 0;
}

int config_parse(const char *name, struct slice text, struct config **ret, char *why,
		 size_t why_size)
{
	struct rules_fault fault;
	struct config *config;
	int err;

	err = parse_yaml(name, text, &config, why, why_size);
	if (err)
		return err;
	err = rules_check(&config->rules, &fault);
	if (err) {
		snprintf(why, why_size,
			 "%s: entry %u of %s%s%s%s %s; docs/configuration.md tells more", name,
			 fault.index + 1, fault.section, fault.name ? " (" : "",
			 fault.name ? fault.name : "", fault.name ? ")" : "", fault.what);
		config_free(config);
		return err;
	}
	if (!config->kafka.light_above)
		config->kafka.light_above = KAFKA_LIGHT_ABOVE;
	*ret = config;
	return 0;
}

/* The whole file, NUL-ended; the caller frees. */
static int read_file(const char *path, char **ret_text, size_t *ret_len)
{
	FILE *f = fopen(path, "re");
	char *text;
	size_t len;
	int err;

	if (!f)
		return -errno;
	text = malloc(CONFIG_BYTES_MAX + 1);
	if (!text) {
		fclose(f);
		return -ENOMEM;
	}
	len = fread(text, 1, CONFIG_BYTES_MAX + 1, f);
	err = ferror(f) ? -EIO : len > CONFIG_BYTES_MAX ? -EFBIG : 0;
	fclose(f);
	if (err) {
		free(text);
		return err;
	}
	text[len] = '\0';
	*ret_text = text;
	*ret_len = len;
	return 0;
}

int config_load(const char *path, struct config **ret)
{
	char why[CONFIG_WHY_MAX] = "";
	char *text = NULL;
	size_t len = 0;
	int err;

	if (!path) {
		err = config_parse("built-in configuration", slice_str(config_default), ret, why,
				   sizeof(why));
	} else {
		err = read_file(path, &text, &len);
		if (err) {
			log_error("configuration %s: %s; give a readable file of at most 1 MiB",
				  path, strerror(-err));
			return err;
		}
		err = config_parse(path, slice_of(text, len), ret, why, sizeof(why));
		free(text);
	}
	if (err)
		log_error("%s", why[0] ? why : strerror(-err));
	return err;
}

int config_kafka_mode(enum config_kafka_mode *ret, const char *name)
{
	size_t i;

	for (i = 0; i < CYAML_ARRAY_LEN(kafka_modes); i++)
		if (!strcmp(kafka_modes[i].str, name)) {
			*ret = (enum config_kafka_mode)kafka_modes[i].val;
			return 0;
		}
	return -EINVAL;
}

void config_free(struct config *c)
{
	struct complaint ignored = { "", "" };
	cyaml_config_t options = cyaml_options(&ignored);

	cyaml_free(&options, &config_schema, c, 0);
}
