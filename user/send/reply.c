/* reply: see reply.h. */
#include "send/reply.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <cjson/cJSON.h>

#define STATUS_MESSAGE_KEY 0x12	/* google.rpc.Status: field 2, a string */
#define STATUS_CODE_KEY 0x08	/* field 1, a number */

static bool is_type(const struct reply *r, const char *type)
{
	size_t len = strlen(type);

	return !strncasecmp(r->type, type, len) && (!r->type[len] || strchr("; \t", r->type[len]));
}

/* Which form the answer is in: what it says, else that of the request. */
static bool form_of(const struct reply *r, enum otlp_form request, enum otlp_form *ret)
{
	enum otlp_form form;

	*ret = request;
	for (form = 0; form < OTLP_FORM_MAX; form++)
		if (is_type(r, otlp_content_type(form))) {
			*ret = form;
			return true;
		}
	return !*r->type;
}

/* The message of a google.rpc.Status; @ret stays as it is where there is none. */
static void proto_message(char *ret, size_t room, const struct reply *r)
{
	const unsigned char *p = (const unsigned char *)r->body, *end = p + r->body_len;
	size_t len;

	if (p < end && *p == STATUS_CODE_KEY) {
		for (p++; p < end && (*p & 0x80); p++)
			;
		p += p < end;
	}
	if (end - p < 2 || *p++ != STATUS_MESSAGE_KEY)
		return;
	len = *p & 0x7f;
	if (*p++ & 0x80) {
		if (p == end || *p & 0x80)
			return;
		len |= (size_t)*p++ << 7;
	}
	if (len <= (size_t)(end - p))
		snprintf(ret, room, "%.*s", (int)len, (const char *)p);
}

static void json_message(char *ret, size_t room, const struct reply *r)
{
	cJSON *root = cJSON_ParseWithLength(r->body, r->body_len);
	const cJSON *message = cJSON_GetObjectItemCaseSensitive(root, "message");

	if (cJSON_IsString(message))
		snprintf(ret, room, "%s", message->valuestring);
	cJSON_Delete(root);
}

/* Why the back end says no, in its own words; the user's log escapes what is not text. */
static void message_of(char *ret, size_t room, const struct reply *r)
{
	*ret = '\0';
	if (is_type(r, otlp_content_type(OTLP_JSON)))
		json_message(ret, room, r);
	else if (is_type(r, otlp_content_type(OTLP_PROTO)))
		proto_message(ret, room, r);
	else if (is_type(r, "text/plain"))
		snprintf(ret, room, "%.*s", (int)strcspn(r->body, "\r\n"), r->body);
}

static void judge_success(struct judgement *j, const struct reply *r, enum otlp_form request,
			  size_t spans)
{
	struct otlp_answer answer = { .message = "" };
	enum otlp_form form;
	bool is_known = form_of(r, request, &form);

	j->verdict = VERDICT_DELIVERED;
	if (!r->body_len)
		return;
	if (!is_known || otlp_decode_answer(&answer, form, r->body, r->body_len)) {
		j->verdict = VERDICT_REFUSED;
		snprintf(j->text, sizeof(j->text),
			 "answered %ld, but not as an OTLP back end does: is this its address?",
			 r->status);
		return;
	}
	if (answer.rejected > 0)
		j->rejected = (uint64_t)answer.rejected < spans ? (uint64_t)answer.rejected : spans;
	if (j->rejected)
		snprintf(j->text, sizeof(j->text), "refused %llu of %zu spans: %s",
			 (unsigned long long)j->rejected, spans, answer.message);
	else if (*answer.message)
		snprintf(j->text, sizeof(j->text), "took all, but says: %s", answer.message);
}

void reply_judge(struct judgement *ret, const struct reply *r, enum otlp_form form, size_t spans)
{
	char message[OTLP_MESSAGE_MAX];

	*ret = (struct judgement){ .verdict = VERDICT_RETRY };
	if (r->is_too_long) {
		ret->verdict = VERDICT_REFUSED;
		snprintf(ret->text, sizeof(ret->text), "answered more than %d KiB",
			 REPLY_BODY_MAX / 1024);
		return;
	}
	if (r->is_garbled) {
		ret->verdict = VERDICT_REFUSED;
		snprintf(ret->text, sizeof(ret->text), "does not speak HTTP: is this its port?");
		return;
	}
	if (!r->is_answered) {
		snprintf(ret->text, sizeof(ret->text), "%s", r->error);
		return;
	}
	if (r->status >= 200 && r->status < 300) {
		judge_success(ret, r, form, spans);
		return;
	}
	message_of(message, sizeof(message), r);
	snprintf(ret->text, sizeof(ret->text), "answered %ld%s%s", r->status, *message ? ": " : "",
		 message);
	if (r->status == 413)
		ret->verdict = VERDICT_TOO_LARGE;
	else if (r->status != 429 && r->status != 502 && r->status != 503 && r->status != 504)
		ret->verdict = VERDICT_REFUSED;
}
