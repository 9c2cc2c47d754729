/* SPDX-License-Identifier: Apache-2.0
 * random: getrandom(2) in batches per thread, or a seeded generator. See random.h. */
#include "base/random.h"

#include <ctype.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static atomic_bool seeded;
static pthread_mutex_t seed_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t seed_state;

/* splitmix64 (public domain by its author): every seed gives a good sequence. */
static uint64_t seeded_next(void)
{
    uint64_t z = (seed_state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void random_seed(uint64_t seed)
{
    pthread_mutex_lock(&seed_lock);
    seed_state = seed;
    pthread_mutex_unlock(&seed_lock);
    atomic_store(&seeded, true);
}

static void seeded_bytes(unsigned char *to, size_t size)
{
    pthread_mutex_lock(&seed_lock);
    for (size_t i = 0; i < size; i++)
        to[i] = (unsigned char)seeded_next();
    pthread_mutex_unlock(&seed_lock);
}

static void kernel_bytes(unsigned char *to, size_t size)
{
    while (size > 0) {
        ssize_t n = getrandom(to, size, 0);
        if (n < 0)
            continue; /* EINTR only: the call has no other failure with flags 0 */
        to += n;
        size -= (size_t)n;
    }
}

void random_bytes(void *to, size_t size)
{
    if (atomic_load_explicit(&seeded, memory_order_relaxed))
        seeded_bytes(to, size);
    else
        kernel_bytes(to, size);
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
        *to++ = "0123456789abcdef"[raw[i] >> 4];
        *to++ = "0123456789abcdef"[raw[i] & 15];
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
