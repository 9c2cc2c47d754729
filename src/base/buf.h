/* SPDX-License-Identifier: Apache-2.0
 *
 * buf: a growable byte buffer. Responses, SQL texts and flow tables are written straight into one.
 *
 * `data` is NULL while nothing was written, else it holds `length` bytes and a NUL behind them. A zeroed struct is an
 * empty buffer. The holder ends it with buf_release(), or takes the memory out with buf_detach().
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stddef.h>

struct buf {
    char *data;
    size_t length;
    size_t capacity;
};

/* Frees its memory; it is empty then and may be used again. */
void buf_release(struct buf *buf);

/* Empties it, keeps the memory. */
void buf_clear(struct buf *buf);

/* Makes room for `more` bytes behind the present ones and returns where they go; the caller adds to length. */
char *buf_reserve(struct buf *buf, size_t more);

/* Append; a NUL stands behind the last byte, and is not counted. */
void buf_append(struct buf *buf, const void *data, size_t length);
void buf_puts(struct buf *buf, const char *text);
void buf_putc(struct buf *buf, char c);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *buf, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

/* Appends a text as comment lines: "#" before each, words wrapped so that no line of several is wider than `width`; the
 * text's own line ends are kept. */
void buf_comment(struct buf *buf, const char *text, size_t width);

/* The text as a C string: "" when empty. Valid until the next write. */
const char *buf_text(const struct buf *buf);

/* Hands the malloc'ed memory to the caller (NULL when empty) and leaves the buffer empty. */
char *buf_detach(struct buf *buf);

#define BUF_CLEANUP __attribute__((cleanup(buf_release)))

#endif
