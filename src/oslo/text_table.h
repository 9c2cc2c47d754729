/* SPDX-License-Identifier: Apache-2.0
 *
 * text_table: tables on a terminal, laid out as PrettyTable does for the administrative programs.
 *
 * Cells may have several lines. Widths count characters, not bytes (UTF-8).
 */
#ifndef OSLO_TEXT_TABLE_H
#define OSLO_TEXT_TABLE_H

#include "base/arena.h"
#include "base/buf.h"

#include <stdbool.h>

struct text_table;

/* `headers` has `columns` texts. Cells are centred, or begin at the left with `left`; `rules` draws a line below every
 * row. The table lives in the arena. */
struct text_table *text_table_create(struct arena *arena, const char *const *headers, size_t columns, bool left,
    bool rules);

/* Adds a row; the texts must live as long as the table. NULL is "None". */
void text_table_add(struct text_table *table, const char *const *cells);

/* Appends the table as text, a line break at the end. */
void text_table_write(struct buf *out, const struct text_table *table);

#endif
