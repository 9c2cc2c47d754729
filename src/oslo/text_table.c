/* SPDX-License-Identifier: Apache-2.0
 * text_table: see text_table.h. */
#include "oslo/text_table.h"

#include <string.h>

struct row {
    const char **cells;
    struct row *next;
};

struct text_table {
    struct arena *arena;
    size_t columns;
    bool left, rules;
    struct row header;
    struct row *first, **last;
};

static const char **copy_cells(struct arena *arena, const char *const *cells, size_t columns)
{
    const char **copy = ARENA_ARRAY(arena, const char *, columns);
    for (size_t i = 0; i < columns; i++)
        copy[i] = cells[i] != NULL ? cells[i] : "None";
    return copy;
}

struct text_table *text_table_create(struct arena *arena, const char *const *headers, size_t columns, bool left,
    bool rules)
{
    struct text_table *table = ARENA_NEW(arena, struct text_table);
    *table = (struct text_table){ .arena = arena, .columns = columns, .left = left, .rules = rules };
    table->header.cells = copy_cells(arena, headers, columns);
    table->last = &table->first;
    return table;
}

void text_table_add(struct text_table *table, const char *const *cells)
{
    struct row *row = ARENA_NEW(table->arena, struct row);
    row->cells = copy_cells(table->arena, cells, table->columns);
    *table->last = row;
    table->last = &row->next;
}

/* Characters of a line: bytes that do not continue a UTF-8 sequence. */
static size_t characters(const char *text, size_t length)
{
    size_t count = 0;
    for (size_t i = 0; i < length; i++)
        count += ((unsigned char)text[i] & 0xc0) != 0x80;
    return count;
}

/* The n-th line of a cell, pointer and length; "" behind the last one. */
static const char *line_of(const char *cell, size_t n, size_t *ret_length)
{
    for (; n > 0; n--) {
        const char *end = strchr(cell, '\n');
        cell = end != NULL ? end + 1 : cell + strlen(cell);
    }
    *ret_length = strcspn(cell, "\n");
    return cell;
}

static size_t line_count(const char *cell)
{
    size_t lines = 1;
    for (; *cell != '\0'; cell++)
        lines += *cell == '\n';
    return lines;
}

static void widen(size_t *widths, const struct row *row, size_t columns)
{
    for (size_t c = 0; c < columns; c++)
        for (size_t n = 0; n < line_count(row->cells[c]); n++) {
            size_t length;
            const char *line = line_of(row->cells[c], n, &length);
            size_t width = characters(line, length);
            widths[c] = width > widths[c] ? width : widths[c];
        }
}

static void put_repeated(struct buf *out, char c, size_t count)
{
    for (; count > 0; count--)
        buf_putc(out, c);
}

static void write_rule(struct buf *out, const size_t *widths, size_t columns)
{
    for (size_t c = 0; c < columns; c++) {
        buf_putc(out, '+');
        put_repeated(out, '-', widths[c] + 2);
    }
    buf_puts(out, "+\n");
}

/* In the middle; of an odd rest the greater part goes left of a text of odd length, else right of it. */
static void write_cell(struct buf *out, const char *text, size_t length, size_t width, bool left)
{
    size_t size = characters(text, length), rest = width - size;
    size_t before = left ? 0 : rest % 2 == 1 && size % 2 == 1 ? rest / 2 + 1 : rest / 2;
    put_repeated(out, ' ', before + 1);
    buf_append(out, text, length);
    put_repeated(out, ' ', rest - before + 1);
}

static void write_row(struct buf *out, const struct text_table *table, const struct row *row, const size_t *widths)
{
    size_t lines = 1;
    for (size_t c = 0; c < table->columns; c++)
        lines = line_count(row->cells[c]) > lines ? line_count(row->cells[c]) : lines;
    for (size_t n = 0; n < lines; n++) {
        for (size_t c = 0; c < table->columns; c++) {
            size_t length;
            const char *line = line_of(row->cells[c], n, &length);
            buf_putc(out, '|');
            write_cell(out, line, length, widths[c], table->left);
        }
        buf_puts(out, "|\n");
    }
}

void text_table_write(struct buf *out, const struct text_table *table)
{
    size_t *widths = ARENA_ARRAY(table->arena, size_t, table->columns);
    widen(widths, &table->header, table->columns);
    for (const struct row *row = table->first; row != NULL; row = row->next)
        widen(widths, row, table->columns);
    write_rule(out, widths, table->columns);
    write_row(out, table, &table->header, widths);
    write_rule(out, widths, table->columns);
    for (const struct row *row = table->first; row != NULL; row = row->next) {
        write_row(out, table, row, widths);
        if (table->rules || row->next == NULL)
            write_rule(out, widths, table->columns);
    }
    /* PrettyTable draws the lower edge of an empty table too, as one line with the header's. */
    if (table->first == NULL)
        write_rule(out, widths, table->columns);
}
