/*
 * text: foreign strings on a terminal: measured in cells, cut, and harmless. Control bytes,
 * C1 controls and bidirectional overrides are shown as escapes, never sent.
 */
#ifndef SEND_TEXT_H
#define SEND_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/*
 * Writes @s in at most @cells cells; a longer one is cut and ends in an ellipsis. Outside
 * UTF-8 other characters than ASCII become '?'. Returns the cells that were used.
 */
size_t text_put(FILE *to, const char *s, size_t cells, bool is_utf8);

/* As text_put(), then spaces up to @cells. */
void text_put_padded(FILE *to, const char *s, size_t cells, bool is_utf8);

/* Cells that @s would take; counting stops beyond @limit. */
size_t text_cells(const char *s, size_t limit, bool is_utf8);

#endif
