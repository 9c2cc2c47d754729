/* SPDX-License-Identifier: Apache-2.0
 * text: see text.h. */
#include "base/text.h"

#include <ctype.h>
#include <string.h>

void text_trim(const char **text, size_t *length)
{
    while (*length > 0 && isspace((unsigned char)(*text)[0])) {
        (*text)++;
        (*length)--;
    }
    while (*length > 0 && isspace((unsigned char)(*text)[*length - 1]))
        (*length)--;
}

void text_hex_write(char *to, const void *bytes, size_t length)
{
    for (const unsigned char *at = bytes, *end = at + length; at < end; at++) {
        *to++ = "0123456789abcdef"[*at >> 4];
        *to++ = "0123456789abcdef"[*at & 15];
    }
    *to = '\0';
}

const char *text_hex(struct arena *arena, const void *bytes, size_t length)
{
    char *text = arena_alloc(arena, 2 * length + 1);
    text_hex_write(text, bytes, length);
    return text;
}

static bool is_plain(char c, const char *plain)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr(plain, c) != NULL;
}

const char *text_escape(struct arena *arena, const char *text, const char *plain)
{
    char *out = arena_alloc(arena, 3 * strlen(text) + 1), *to = out;
    for (; *text != '\0'; text++) {
        if (is_plain(*text, plain)) {
            *to++ = *text;
            continue;
        }
        *to++ = '%';
        *to++ = "0123456789ABCDEF"[(unsigned char)*text >> 4];
        *to++ = "0123456789ABCDEF"[(unsigned char)*text & 15];
    }
    return out;
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

char *text_unescape(struct arena *arena, const char *text, size_t length, unsigned flags)
{
    char *out = arena_alloc(arena, length + 1), *to = out;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        bool escape = c == '%' && i + 2 < length && hex_value(text[i + 1]) >= 0 && hex_value(text[i + 2]) >= 0;
        if (c == '%' && !escape && (flags & TEXT_STRICT))
            return NULL;
        if (escape) {
            c = (char)(hex_value(text[i + 1]) << 4 | hex_value(text[i + 2]));
            i += 2;
        } else if (c == '+' && (flags & TEXT_PLUS)) {
            c = ' ';
        }
        if (c == '\0')
            return NULL;
        *to++ = c;
    }
    return out;
}
