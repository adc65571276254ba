/*
 * sniff: first bytes of an operation -> is this the start of an HTTP/1 message?
 *
 * Pure C, no helpers: the kernel half and the unit tests compile the same text. Judges bytes
 * alone; a method must be followed by what a request target may begin with, so that commands
 * of other line protocols ("GET key" of Redis) are not taken for HTTP.
 */
#ifndef SNIFF_H
#define SNIFF_H

#define SNIFF_BYTES 16		/* what sniff_http() looks at; shorter input is zero-filled */

enum sniff { SNIFF_NONE, SNIFF_REQUEST, SNIFF_RESPONSE };

static inline __u64 sniff_word(const char *text, unsigned int len)
{
	__u64 word = 0;
	unsigned int i;

	for (i = 0; i < 8 && i < len; i++)
		word |= (__u64)(__u8)text[i] << (8 * i);
	return word;
}

/* @first: what follows "METHOD ": origin form, asterisk, absolute form, authority, or cut off */
static inline bool sniff_is_target(__u8 first, bool is_connect)
{
	if (first == '/' || first == '*' || first == 'h' || first == 'H' || first == 0)
		return true;
	return is_connect && (first == '[' || (first >= '0' && first <= '9') ||
			      ((first | 0x20) >= 'a' && (first | 0x20) <= 'z'));
}

/* @word: the first eight bytes, little endian; @name: a method and its space */
static inline bool sniff_is_method(__u64 word, const char *name, unsigned int len)
{
	__u64 mask = len >= 8 ? ~0ULL : (1ULL << (8 * len)) - 1;

	return (word & mask) == sniff_word(name, len);
}

/* @p: SNIFF_BYTES bytes, zero from the end of the input on */
static inline enum sniff sniff_http(const __u8 *p)
{
	__u64 word = sniff_word((const char *)p, 8);

	if (sniff_is_method(word, "HTTP/1.", 7))
		return SNIFF_RESPONSE;
	if (sniff_is_method(word, "GET ", 4) || sniff_is_method(word, "PUT ", 4))
		return sniff_is_target(p[4], false) ? SNIFF_REQUEST : SNIFF_NONE;
	if (sniff_is_method(word, "POST ", 5) || sniff_is_method(word, "HEAD ", 5))
		return sniff_is_target(p[5], false) ? SNIFF_REQUEST : SNIFF_NONE;
	if (sniff_is_method(word, "PATCH ", 6) || sniff_is_method(word, "TRACE ", 6) ||
	    sniff_is_method(word, "QUERY ", 6))
		return sniff_is_target(p[6], false) ? SNIFF_REQUEST : SNIFF_NONE;
	if (sniff_is_method(word, "DELETE ", 7))
		return sniff_is_target(p[7], false) ? SNIFF_REQUEST : SNIFF_NONE;
	if (sniff_is_method(word, "OPTIONS ", 8))
		return sniff_is_target(p[8], false) ? SNIFF_REQUEST : SNIFF_NONE;
	if (sniff_is_method(word, "CONNECT ", 8))
		return sniff_is_target(p[8], true) ? SNIFF_REQUEST : SNIFF_NONE;
	return SNIFF_NONE;
}

#endif
