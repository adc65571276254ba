/* json_text: what is written is JSON, to the byte, and read back by another library as it was. */
#include "check.h"

#include <stdlib.h>

#include <cjson/cJSON.h>

#include "send/json_text.h"

static char *taken(struct json_text *j)
{
	char *text = NULL;
	size_t len = 0;

	check_eq(json_text_take(j, &text, &len), 0, "take");
	check_eq(strlen(text), len, "its length");
	return text;
}

TEST(members_and_elements_are_separated)
{
	static const uint8_t id[] = { 0x00, 0x9f, 0xff };
	struct json_text j = { 0 };
	char *text;

	json_text_open(&j, NULL, '{');
	json_text_open(&j, "list", '[');
	json_text_open(&j, NULL, '{');
	json_text_close(&j, '}');
	json_text_open(&j, NULL, '{');
	json_text_hex(&j, "id", id, sizeof(id));
	json_text_number(&j, "kind", 0);
	json_text_close(&j, '}');
	json_text_close(&j, ']');
	json_text_string(&j, "ends like a list", "[");
	json_text_i64(&j, "least", INT64_MIN);
	json_text_u64(&j, "most", UINT64_MAX);
	json_text_bool(&j, "yes", true);
	json_text_bool(&j, "no", false);
	json_text_string(&j, "none", NULL);
	json_text_close(&j, '}');
	text = taken(&j);
	check_str(text, "{\"list\":[{},{\"id\":\"009fff\",\"kind\":0}],\"ends like a list\":\"[\","
		  "\"least\":\"-9223372036854775808\",\"most\":\"18446744073709551615\","
		  "\"yes\":true,\"no\":false,\"none\":\"\"}", "text");
	free(text);
}

TEST(every_character_reads_back)
{
	struct json_text j = { 0 };
	char all[256], *text;
	cJSON *root;
	int i;

	for (i = 1; i < 0x80; i++)
		all[i - 1] = (char)i;
	strcpy(all + i - 1, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
	json_text_open(&j, NULL, '{');
	json_text_string(&j, "all", all);
	json_text_close(&j, '}');
	text = taken(&j);
	for (i = 0; text[i]; i++)
		check((unsigned char)text[i] >= ' ', "no control character stands in it");
	root = cJSON_Parse(text);
	check_str(cJSON_GetStringValue(cJSON_GetObjectItem(root, "all")), all, "read back");
	cJSON_Delete(root);
	free(text);
}

TEST(doubles_read_back)
{
	static const double values[] = {
		0, -0.5, 0.1, 1.0 / 3, 1e300, 5e-324, 123456789012345680.0,
	};
	const double *v;

	for_each(v, values) {
		struct json_text j = { 0 };
		char *text;

		json_text_double(&j, NULL, *v);
		text = taken(&j);
		check(strtod(text, NULL) == *v, text);
		free(text);
	}
}

TEST(long_texts_are_whole)
{
	size_t len = 1 << 20, i;
	char *value = malloc(len + 1), *text;
	struct json_text j = { 0 };

	memset(value, '\n', len);	/* each becomes two bytes */
	value[len] = '\0';
	json_text_string(&j, NULL, value);
	text = taken(&j);
	check_eq(strlen(text), 2 * len + 2, "length");
	for (i = 0; i < len; i++)
		check(text[1 + 2 * i] == '\\' && text[2 + 2 * i] == 'n', "escape");
	free(text);
	free(value);
}

RUN_TESTS(cmocka_unit_test(members_and_elements_are_separated),
	  cmocka_unit_test(every_character_reads_back), cmocka_unit_test(doubles_read_back),
	  cmocka_unit_test(long_texts_are_whole))
