/*
 * next: what every part of collect hands on: one raw record of wire.h.
 *
 * Whoever hands a record on has checked its head: len is between a head's size and WIRE_RECORD_MAX,
 * that many bytes stand at @rec (8-byte aligned), and kind is known. The rest is still hostile.
 */
#ifndef COLLECT_NEXT_H
#define COLLECT_NEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "wire.h"

/* @rec is borrowed: valid until the callback returns. */
typedef void (*record_next_fn)(void *ctx, const struct wire_head *rec);

/* @room: bytes that stand at @rec, at least a head */
static inline bool record_is_sane(const struct wire_head *rec, size_t room)
{
	return rec->len >= sizeof(*rec) && rec->len <= WIRE_RECORD_MAX && rec->len <= room &&
	       rec->kind > WIRE_NONE && rec->kind < WIRE_KIND_MAX;
}

#endif
