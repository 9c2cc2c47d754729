/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base64url.h"

const char *base64url_encode(struct arena *arena, const void *data, size_t length)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const unsigned char *from = data;
    char *text = arena_alloc(arena, length / 3 * 4 + 5);
    char *to = text;

    for (; length >= 3; length -= 3, from += 3) {
        *to++ = digits[from[0] >> 2];
        *to++ = digits[(from[0] & 3) << 4 | from[1] >> 4];
        *to++ = digits[(from[1] & 15) << 2 | from[2] >> 6];
        *to++ = digits[from[2] & 63];
    }
    if (length > 0) {
        unsigned second = length == 2 ? from[1] : 0;

        *to++ = digits[from[0] >> 2];
        *to++ = digits[(from[0] & 3) << 4 | second >> 4];
        if (length == 2)
            *to++ = digits[(second & 15) << 2];
    }
    *to = '\0';
    return text;
}

static int digit_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

bool base64url_decode(struct arena *arena, const char *text, size_t length, unsigned char **ret, size_t *ret_length)
{
    unsigned char *data = arena_alloc(arena, length / 4 * 3 + 4);
    size_t padding = 0, at = 0;
    unsigned bits = 0;

    while (length > 0 && text[length - 1] == '=' && padding < 2) {
        length--;
        padding++;
    }
    if (length % 4 == 1 || (padding > 0 && (length + padding) % 4 != 0))
        return false;
    for (size_t i = 0; i < length; i++) {
        int digit = digit_of(text[i]);

        if (digit < 0)
            return false;
        bits = bits << 6 | (unsigned)digit;
        if (i % 4 != 0)
            data[at++] = (unsigned char)(bits >> (6 - 2 * (i % 4)));
    }
    /* One token has one text: bits left over must be zero. */
    if ((length % 4 == 2 && (bits & 15) != 0) || (length % 4 == 3 && (bits & 3) != 0))
        return false;
    *ret = data;
    *ret_length = at;
    return true;
}
