/*
 * ids: span and trace ids as a keyed hash of recorded facts, so that a replay of the same
 * recording makes the same ids and nobody without the key can guess them.
 */
#ifndef JOIN_IDS_H
#define JOIN_IDS_H

#include <stddef.h>
#include <stdint.h>

#define IDS_KEY_BYTES 16

struct ids {
	uint8_t key[IDS_KEY_BYTES];	/* random for each recording, kept in its header */
};

/* what makes a span unlike every other one; unused fields are 0 */
struct span_facts {
	uint64_t ts_ns;
	uint64_t start_ns;	/* of the process */
	uint64_t object;	/* connection, message address */
	uint64_t number;	/* exchange, offset */
	uint32_t tgid, tid;
	uint32_t kind;		/* enum span_kind */
	uint32_t pad;
};

/* Neither is ever all zero. */
void ids_make_span(const struct ids *ids, const struct span_facts *facts, uint8_t ret[8]);
void ids_make_trace(const struct ids *ids, const uint8_t root_span_id[8], uint8_t ret[16]);

#endif
