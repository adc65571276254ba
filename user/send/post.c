/* post: see post.h. */
#include "send/post.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <curl/curl.h>

#include "send/fault.h"
#include "send/otlp.h"
#include "send/reply.h"
#include "send/settings.h"

#define POLL_MS 1000		/* how long libcurl may sleep without looking at its timers */

struct post {
	CURL *easy;
	CURLM *multi;
	struct curl_slist *headers;
	char *address;
	atomic_bool is_stopped;
	char error[CURL_ERROR_SIZE];
};

static size_t on_body(char *bytes, size_t size, size_t count, void *ctx)
{
	struct reply *r = ctx;
	size_t len = size * count;

	if (len >= sizeof(r->body) - r->body_len) {	/* one byte stays for the NUL */
		r->is_too_long = true;
		return 0;	/* ends the transfer */
	}
	memcpy(r->body + r->body_len, bytes, len);
	r->body_len += len;
	return len;
}

static size_t on_head(char *bytes, size_t size, size_t count, void *ctx)
{
	struct reply *r = ctx;
	size_t len = size * count;

	(void)bytes;
	r->head_len += len;
	if (r->head_len > REPLY_HEAD_MAX) {
		r->is_too_long = true;
		return 0;
	}
	return len;
}

static int add_header(struct post *p, const char *line)
{
	struct curl_slist *list = curl_slist_append(p->headers, line);

	if (!list)
		return -ENOMEM;
	p->headers = list;
	return 0;
}

static int add_headers(struct post *p, const struct settings *s)
{
	char type[64];
	size_t i;
	int err;

	snprintf(type, sizeof(type), "Content-Type: %s", otlp_content_type(s->form));
	err = add_header(p, type);
	if (!err)
		err = add_header(p, "Expect:");	/* no wait for a 100 that few servers send */
	if (!err && s->is_gzip)
		err = add_header(p, "Content-Encoding: gzip");
	for (i = 0; i < s->header_count && !err; i++)
		err = add_header(p, s->headers[i]);
	return err;
}

static int check_file(const char *path, const char *what, struct fault *why)
{
	int err;

	if (!path || !access(path, R_OK))
		return 0;
	err = -errno;
	fault_set(why, "cannot read the %s %s: %s", what, path, strerror(-err));
	return err;
}

static int check_files(const struct settings *s, struct fault *why)
{
	int err = check_file(s->ca_file, "CA certificate", why);

	if (!err)
		err = check_file(s->key_file, "client key", why);
	if (!err)
		err = check_file(s->cert_file, "client certificate", why);
	return err;
}

static void set_options(struct post *p, const struct settings *s)
{
	CURL *c = p->easy;

	curl_easy_setopt(c, CURLOPT_URL, s->url);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_QUICK_EXIT, 1L);	/* a name look-up does not hold us up */
	curl_easy_setopt(c, CURLOPT_POST, 1L);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, p->headers);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "spanstitch/" VERSION);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, p->error);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_head);
	if (s->ca_file)
		curl_easy_setopt(c, CURLOPT_CAINFO, s->ca_file);
	if (s->key_file)
		curl_easy_setopt(c, CURLOPT_SSLKEY, s->key_file);
	if (s->cert_file)
		curl_easy_setopt(c, CURLOPT_SSLCERT, s->cert_file);
}

static char *address_of(const char *url)
{
	CURLU *u = curl_url();
	char *text = NULL, *copy = NULL;

	if (u && !curl_url_set(u, CURLUPART_URL, url, 0) &&
	    !curl_url_set(u, CURLUPART_USER, NULL, 0) &&
	    !curl_url_set(u, CURLUPART_PASSWORD, NULL, 0) &&
	    !curl_url_set(u, CURLUPART_QUERY, NULL, 0) &&
	    !curl_url_get(u, CURLUPART_URL, &text, 0))
		copy = strdup(text);
	curl_free(text);
	curl_url_cleanup(u);
	return copy;
}

int post_new(struct post **ret, const struct settings *s, struct fault *why)
{
	struct post *p;
	int err = check_files(s, why);

	if (err)
		return err;
	fault_set(why, "no memory for the export to %s", s->url);
	if (curl_global_init(CURL_GLOBAL_DEFAULT))
		return -ENOMEM;
	p = calloc(1, sizeof(*p));
	if (!p) {
		curl_global_cleanup();
		return -ENOMEM;
	}
	p->easy = curl_easy_init();
	p->multi = curl_multi_init();
	p->address = address_of(s->url);
	if (!p->easy || !p->multi || !p->address || add_headers(p, s)) {
		post_free(p);
		return -ENOMEM;
	}
	set_options(p, s);
	*why = (struct fault){ "" };
	*ret = p;
	return 0;
}

/* Drives the transfer to its end; the result, CURLE_ABORTED_BY_CALLBACK when stopped. */
static CURLcode transfer(struct post *p)
{
	int running = 1, left;
	CURLcode result = CURLE_ABORTED_BY_CALLBACK;
	CURLMsg *msg;

	if (curl_multi_add_handle(p->multi, p->easy))
		return CURLE_OUT_OF_MEMORY;
	while (running && !atomic_load(&p->is_stopped)) {
		if (curl_multi_perform(p->multi, &running))
			break;
		if (running)
			curl_multi_poll(p->multi, NULL, 0, POLL_MS, NULL);
	}
	while ((msg = curl_multi_info_read(p->multi, &left)))
		if (msg->msg == CURLMSG_DONE)
			result = msg->data.result;
	curl_multi_remove_handle(p->multi, p->easy);
	return result;
}

static void read_reply(struct post *p, CURLcode code, struct reply *r)
{
	curl_off_t retry_after = 0;
	char *type = NULL;

	curl_easy_getinfo(p->easy, CURLINFO_RESPONSE_CODE, &r->status);
	curl_easy_getinfo(p->easy, CURLINFO_CONTENT_TYPE, &type);
	curl_easy_getinfo(p->easy, CURLINFO_RETRY_AFTER, &retry_after);
	if (type)
		snprintf(r->type, sizeof(r->type), "%s", type);
	r->retry_after_s = retry_after > 0 ? retry_after : 0;
	r->is_answered = code == CURLE_OK;
	/* libcurl's words for a first line that is none of HTTP's */
	r->is_garbled = code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_WEIRD_SERVER_REPLY;
	r->is_aborted = code == CURLE_ABORTED_BY_CALLBACK;
	r->body[r->body_len] = '\0';
	snprintf(r->error, sizeof(r->error), "%s", *p->error ? p->error : curl_easy_strerror(code));
}

void post_run(struct post *p, const void *body, size_t len, uint64_t limit_ms, struct reply *ret)
{
	CURLcode code;

	ret->is_too_long = false;
	ret->body_len = ret->head_len = 0;
	ret->status = 0;
	*ret->type = '\0';
	*p->error = '\0';
	curl_easy_setopt(p->easy, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(p->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
	curl_easy_setopt(p->easy, CURLOPT_TIMEOUT_MS, (long)limit_ms);
	curl_easy_setopt(p->easy, CURLOPT_WRITEDATA, ret);
	curl_easy_setopt(p->easy, CURLOPT_HEADERDATA, ret);
	code = transfer(p);
	read_reply(p, code, ret);
}

void post_stop(struct post *p)
{
	atomic_store(&p->is_stopped, true);
	curl_multi_wakeup(p->multi);
}

void post_resume(struct post *p)
{
	atomic_store(&p->is_stopped, false);
}

const char *post_address(const struct post *p)
{
	return p->address;
}

void post_free(struct post *p)
{
	if (!p)
		return;
	curl_easy_cleanup(p->easy);
	curl_multi_cleanup(p->multi);
	curl_slist_free_all(p->headers);
	free(p->address);
	free(p);
	curl_global_cleanup();
}
