/* SPDX-License-Identifier: Apache-2.0
 * buf: doubling growth, always NUL-terminated. See buf.h. */
#include "base/buf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_release(struct buf *buf)
{
    free(buf->data);
    *buf = (struct buf){ 0 };
}

void buf_clear(struct buf *buf)
{
    buf->length = 0;
    if (buf->data != NULL)
        buf->data[0] = '\0';
}

char *buf_reserve(struct buf *buf, size_t more)
{
    if (buf->capacity - buf->length <= more || buf->data == NULL) { /* <=: one byte stays for the NUL */
        size_t capacity = buf->capacity < 256 ? 256 : buf->capacity * 2;
        while (capacity - buf->length <= more)
            capacity *= 2;
        char *data = realloc(buf->data, capacity);
        if (data == NULL)
            abort();
        buf->data = data;
        buf->capacity = capacity;
    }
    return buf->data + buf->length;
}

void buf_append(struct buf *buf, const void *data, size_t length)
{
    char *to = buf_reserve(buf, length);
    if (length > 0)
        memcpy(to, data, length);
    buf->length += length;
    buf->data[buf->length] = '\0';
}

void buf_puts(struct buf *buf, const char *text)
{
    buf_append(buf, text, strlen(text));
}

void buf_putc(struct buf *buf, char c)
{
    buf_append(buf, &c, 1);
}

void buf_vprintf(struct buf *buf, const char *format, va_list args)
{
    va_list again;
    assert(format != NULL);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    assert(length >= 0);
    char *to = buf_reserve(buf, (size_t)length);
    vsnprintf(to, (size_t)length + 1, format, again);
    buf->length += (size_t)length;
    va_end(again);
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    buf_vprintf(buf, format, args);
    va_end(args);
}

const char *buf_text(const struct buf *buf)
{
    return buf->data != NULL ? buf->data : "";
}

char *buf_detach(struct buf *buf)
{
    char *data = buf->data;
    *buf = (struct buf){ 0 };
    return data;
}

void buf_comment(struct buf *buf, const char *text, size_t width)
{
    size_t column = 1;

    buf_putc(buf, '#');
    while (*text != '\0') {
        size_t length = strcspn(text, " \n");

        if (length > 0 && column > 1 && column + 1 + length > width) {
            buf_puts(buf, "\n#");
            column = 1;
        }
        if (length > 0) {
            buf_putc(buf, ' ');
            buf_append(buf, text, length);
            column += 1 + length;
        }
        text += length;
        if (*text == '\n') {
            buf_puts(buf, "\n#");
            column = 1;
        }
        text += *text != '\0';
    }
    buf_putc(buf, '\n');
}
