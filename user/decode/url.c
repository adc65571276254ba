/* url: see url.h. */
#include "decode/url.h"

#include <ctype.h>

#define REDACTED "REDACTED"

/* what the OpenTelemetry conventions list now or listed before, and common names of secrets */
static const char *const secret_keys[] = {
	"x-amz-signature", "x-amz-credential", "x-amz-security-token", "awsaccesskeyid",
	"signature", "sig", "x-goog-signature",
	"token", "access_token", "refresh_token", "id_token", "code", "state", "api_key",
	"apikey", "key", "password", "passwd", "pwd", "secret", "client_secret", "auth",
	"session", "sid", "jwt", "otp",
};

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place of in == out too. */
static size_t decode(struct slice in, char *out)
{
	size_t i, n = 0;

	for (i = 0; i < in.len; i++) {
		int high = in.len - i > 2 ? hex_value(in.at[i + 1]) : -1;
		int low = in.len - i > 2 ? hex_value(in.at[i + 2]) : -1;

		if (in.at[i] == '%' && high >= 0 && low >= 0) {
			out[n++] = high << 4 | low;
			i += 2;
		} else {
			out[n++] = in.at[i];
		}
	}
	return n;
}

static bool is_secret(struct slice key)
{
	char text[URL_KEY_MAX * 3];
	struct slice name;
	size_t i;

	if (key.len > sizeof(text))
		return false;
	name = slice_of(text, decode(key, text));
	for (i = 0; i < sizeof(secret_keys) / sizeof(*secret_keys); i++)
		if (slice_is_nocase(name, secret_keys[i]))
			return true;
	return false;
}

struct url url_split(struct slice target, bool is_connect)
{
	struct url u = { .path = target };
	const char *slashes, *end;

	if (is_connect)
		return u;
	slashes = target.len > 3 && target.at[0] != '/' ?
			  memmem(target.at, target.len, "://", 3) : NULL;
	if (slashes) {
		u.authority = slice_from(target, slashes + 3 - target.at);
		for (end = u.authority.at; end < target.at + target.len; end++)
			if (strchr("/?#", *end) && *end)
				break;
		u.authority.len = end - u.authority.at;
		u.path = slice_of(end, target.at + target.len - end);
		end = memrchr(u.authority.at, '@', u.authority.len);
		if (end)
			u.authority = slice_from(u.authority, end + 1 - u.authority.at);
	}
	end = memchr(u.path.at, '#', u.path.len);
	if (end)
		u.path.len = end - u.path.at;
	end = memchr(u.path.at, '?', u.path.len);
	if (end) {
		u.query = slice_from(u.path, end + 1 - u.path.at);
		u.path.len = end - u.path.at;
	}
	if (slashes && !u.path.len)
		u.path = slice_str("/");
	return u;
}

struct out {
	char bytes[STRING_MAX];
	size_t len;
};

static void put(struct out *o, struct slice s)
{
	size_t n = s.len < sizeof(o->bytes) - o->len ? s.len : sizeof(o->bytes) - o->len;

	memcpy(o->bytes + o->len, s.at, n);
	o->len += n;
}

/* Length of the pair up to the next separator; both "&" and ";" are in use. */
static size_t pair_len(struct slice query)
{
	size_t i;

	for (i = 0; i < query.len; i++)
		if (query.at[i] == '&' || query.at[i] == ';')
			break;
	return i;
}

char *url_redact_query(struct strings *strings, struct slice query)
{
	struct out out;
	struct slice pair, key;

	out.len = 0;
	for (;;) {
		pair = slice_of(query.at, pair_len(query));
		query = slice_from(query, pair.len);
		key = pair;
		slice_cut(&pair, '=', &key);
		put(&out, key);
		if (pair.at) {
			put(&out, slice_str("="));
			put(&out, pair.len && is_secret(key) ? slice_str(REDACTED) : pair);
		}
		if (!query.len)
			break;
		put(&out, slice_of(query.at, 1));
		query = slice_from(query, 1);
	}
	return strings_copy(strings, out.bytes, out.len);
}

char *url_decode(struct strings *strings, struct slice text, size_t *ret_len)
{
	char *copy = strings_copy(strings, text.at, text.len);

	if (!copy)
		return NULL;
	*ret_len = decode(slice_str(copy), copy);
	copy[*ret_len] = '\0';
	return copy;
}
