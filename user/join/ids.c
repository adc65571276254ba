/* ids: see ids.h. XXH3 with a seed is not a MAC; it hides facts, it does not prove origin. */
#include "join/ids.h"

#include <string.h>

#include <xxhash.h>

_Static_assert(sizeof(struct span_facts) == 48, "no hidden padding: all of it is hashed");

static XXH128_hash_t hash(const struct ids *ids, char domain, const void *data, size_t len)
{
	uint8_t input[1 + IDS_KEY_BYTES + sizeof(struct span_facts)];

	input[0] = domain;
	memcpy(input + 1, ids->key, IDS_KEY_BYTES);
	memcpy(input + 1 + IDS_KEY_BYTES, data, len);
	return XXH3_128bits(input, 1 + IDS_KEY_BYTES + len);
}

void ids_make_span(const struct ids *ids, const struct span_facts *facts, uint8_t ret[8])
{
	XXH128_hash_t h = hash(ids, 's', facts, sizeof(*facts));

	if (!h.low64)
		h.low64 = 1;	/* an id of zeros means "none" */
	memcpy(ret, &h.low64, 8);
}

void ids_make_trace(const struct ids *ids, const uint8_t root_span_id[8], uint8_t ret[16])
{
	XXH128_hash_t h = hash(ids, 't', root_span_id, 8);

	if (!h.low64)
		h.low64 = 1;
	memcpy(ret, &h.high64, 8);
	memcpy(ret + 8, &h.low64, 8);
}
