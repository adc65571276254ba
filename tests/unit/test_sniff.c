/* sniff: the kernel half's judgement of first bytes, built natively. */
#include "check.h"

#include <linux/types.h>
#include <stdbool.h>

#include "../../bpf/sniff.h"

static const struct sniff_case {
	const char *name, *bytes;
	size_t len;
	enum sniff want;
} cases[] = {
	{ "origin form", "GET / HTTP/1.1\r\n", 16, SNIFF_REQUEST },
	{ "long method", "OPTIONS * HTTP/1", 16, SNIFF_REQUEST },
	{ "absolute form", "POST http://a/ H", 16, SNIFF_REQUEST },
	{ "authority form", "CONNECT a.b:443 ", 16, SNIFF_REQUEST },
	{ "authority with digits", "CONNECT 10.0.0.1", 16, SNIFF_REQUEST },
	{ "authority IPv6", "CONNECT [::1]:80", 16, SNIFF_REQUEST },
	{ "put", "PUT /x HTTP/1.1\r", 16, SNIFF_REQUEST },
	{ "head", "HEAD /x HTTP/1.1", 16, SNIFF_REQUEST },
	{ "patch", "PATCH /x HTTP/1.", 16, SNIFF_REQUEST },
	{ "trace", "TRACE /x HTTP/1.", 16, SNIFF_REQUEST },
	{ "query", "QUERY /x HTTP/1.", 16, SNIFF_REQUEST },
	{ "delete", "DELETE /x HTTP/1", 16, SNIFF_REQUEST },
	{ "cut after the space", "DELETE ", 7, SNIFF_REQUEST },
	{ "cut after the space, longest", "OPTIONS ", 8, SNIFF_REQUEST },
	{ "method cut", "GE", 2, SNIFF_NONE },
	{ "method without space", "GET", 3, SNIFF_NONE },
	{ "response", "HTTP/1.1 200 OK\r", 16, SNIFF_RESPONSE },
	{ "response 1.0", "HTTP/1.0 200 OK\r", 16, SNIFF_RESPONSE },
	{ "response cut early", "HTTP/1", 6, SNIFF_NONE },
	{ "HTTP/2 preface", "PRI * HTTP/2.0\r\n", 16, SNIFF_NONE },
	{ "HTTP/2 status", "HTTP/2 200\r\n", 12, SNIFF_NONE },
	{ "redis inline", "GET key\r\n", 9, SNIFF_NONE },
	{ "memcached", "get key\r\n", 9, SNIFF_NONE },
	{ "lower case", "get / HTTP/1.1\r\n", 16, SNIFF_NONE },
	{ "longer word", "GETX / HTTP/1.1\r", 16, SNIFF_NONE },
	{ "TLS hello", "\x16\x03\x01\x02\x00\x01", 6, SNIFF_NONE },
	{ "mail", "MAIL FROM:<a@b>\r", 16, SNIFF_NONE },
	{ "sip", "OPTIONS sip:a@b ", 16, SNIFF_NONE },
	{ "empty", "", 0, SNIFF_NONE },
};

TEST(first_bytes_tell_http)
{
	const struct sniff_case *c;

	for_each(c, cases) {
		__u8 first[SNIFF_BYTES] = { 0 };

		memcpy(first, c->bytes, c->len);
		check_eq(sniff_http(first), c->want, c->name);
	}
}

RUN_TESTS(cmocka_unit_test(first_bytes_tell_http))
