/* SPDX-License-Identifier: Apache-2.0
 * random: getrandom(2). See random.h. */
#include "base/random.h"

#include "base/text.h"

#include <ctype.h>
#include <string.h>
#include <sys/random.h>

void random_bytes(void *ret_bytes, size_t size)
{
    unsigned char *to = ret_bytes;
    while (size > 0) {
        ssize_t n = getrandom(to, size, 0);
        if (n < 0)
            continue; /* EINTR only: the call has no other failure with flags 0 */
        to += n;
        size -= (size_t)n;
    }
}

uint64_t random_below(uint64_t limit)
{
    uint64_t bound = UINT64_MAX - UINT64_MAX % limit;
    uint64_t value;
    do
        random_bytes(&value, sizeof(value));
    while (value >= bound);
    return value % limit;
}

static char *uuid_format(struct arena *arena, bool dashes)
{
    unsigned char raw[16];
    random_bytes(raw, sizeof(raw));
    raw[6] = (raw[6] & 0x0f) | 0x40;
    raw[8] = (raw[8] & 0x3f) | 0x80;
    char *text = arena_alloc(arena, UUID_TEXT);
    char *to = text;
    for (int i = 0; i < 16; i++) {
        if (dashes && (i == 4 || i == 6 || i == 8 || i == 10))
            *to++ = '-';
        text_hex_write(to, &raw[i], 1);
        to += 2;
    }
    return text;
}

const char *uuid_new(struct arena *arena)
{
    return uuid_format(arena, true);
}

const char *uuid_new_hex(struct arena *arena)
{
    return uuid_format(arena, false);
}

bool uuid_valid(const char *text)
{
    for (int i = 0; i < UUID_TEXT - 1; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text[i] != '-' : !isxdigit((unsigned char)text[i]))
            return false;
    }
    return text[UUID_TEXT - 1] == '\0';
}

bool uuid_like(const char *text)
{
    if (uuid_valid(text))
        return true;
    return strlen(text) == UUID_HEX - 1 && strspn(text, "0123456789abcdefABCDEF") == UUID_HEX - 1;
}

const char *random_password(struct arena *arena, size_t length)
{
    static const char letters[] = "23456789abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ";
    char *text = arena_alloc(arena, length + 1);
    for (size_t i = 0; i < length; i++)
        text[i] = letters[random_below(sizeof(letters) - 1)];
    return text;
}
