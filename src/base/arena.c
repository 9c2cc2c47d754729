/* SPDX-License-Identifier: Apache-2.0
 * arena: bump allocation in chained blocks; large objects get a block of their own. See arena.h. */
#include "base/arena.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_BLOCK = 4096, LARGEST_BLOCK = 256 * 1024, ALIGNMENT = 16 };

struct block {
    struct block *next;
    size_t size; /* of data[] */
    size_t used;
    _Alignas(ALIGNMENT) unsigned char data[];
};

struct deferred {
    struct deferred *next;
    void (*release)(void *object);
    void *object;
};

struct arena {
    struct block *current; /* newest first; the last one in the chain is kept by reset */
    struct deferred *deferred;
};

static struct block *block_create(size_t size, struct block *next)
{
    struct block *block = malloc(sizeof(*block) + size);
    if (block == NULL)
        abort();
    block->next = next;
    block->size = size;
    block->used = 0;
    return block;
}

struct arena *arena_create(void)
{
    struct arena *arena = calloc(1, sizeof(*arena));
    if (arena == NULL)
        abort();
    arena->current = block_create(FIRST_BLOCK, NULL);
    return arena;
}

static void run_deferred(struct arena *arena)
{
    while (arena->deferred != NULL) {
        struct deferred *d = arena->deferred;
        arena->deferred = d->next; /* first unlink: a release may defer again */
        d->release(d->object);
    }
}

void arena_reset(struct arena *arena)
{
    run_deferred(arena);
    while (arena->current->next != NULL) {
        struct block *block = arena->current;
        arena->current = block->next;
        free(block);
    }
    arena->current->used = 0;
}

void arena_destroy(struct arena *arena)
{
    if (arena == NULL)
        return;
    arena_reset(arena);
    free(arena->current);
    free(arena);
}

void arena_cleanup(struct arena **arena)
{
    arena_destroy(*arena);
}

void *arena_alloc(struct arena *arena, size_t size)
{
    assert(size < SIZE_MAX / 2);
    size_t rounded = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    struct block *block = arena->current;
    if (block->size - block->used < rounded) {
        size_t next_size = block->size < LARGEST_BLOCK ? block->size * 2 : LARGEST_BLOCK;
        block = block_create(rounded > next_size ? rounded : next_size, block);
        arena->current = block;
    }
    void *result = block->data + block->used;
    block->used += rounded;
    return memset(result, 0, rounded);
}

char *arena_strndup(struct arena *arena, const char *text, size_t length)
{
    char *copy = arena_alloc(arena, length + 1);
    memcpy(copy, text, length);
    return copy;
}

char *arena_strdup(struct arena *arena, const char *text)
{
    return text == NULL ? NULL : arena_strndup(arena, text, strlen(text));
}

void *arena_memdup(struct arena *arena, const void *data, size_t size)
{
    void *copy = arena_alloc(arena, size);
    if (size > 0)
        memcpy(copy, data, size);
    return copy;
}

char *arena_vprintf(struct arena *arena, const char *format, va_list args)
{
    va_list again;
    assert(format != NULL);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    assert(length >= 0);
    char *text = arena_alloc(arena, (size_t)length + 1);
    vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = arena_vprintf(arena, format, args);
    va_end(args);
    return text;
}

void arena_defer(struct arena *arena, void (*release)(void *object), void *object)
{
    struct deferred *d = ARENA_NEW(arena, struct deferred);
    *d = (struct deferred){ arena->deferred, release, object };
    arena->deferred = d;
}

/* Capacities are powers of two: a count that is one, and not the first, is a full array. */
void *arena_grow(struct arena *arena, void *array, size_t count, size_t size)
{
    enum { FIRST = 16 };
    if (array == NULL || count == 0)
        return arena_alloc(arena, FIRST * size);
    if (count < FIRST || (count & (count - 1)) != 0)
        return array;
    return memcpy(arena_alloc(arena, 2 * count * size), array, count * size);
}
