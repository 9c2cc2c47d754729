/* SPDX-License-Identifier: Apache-2.0
 *
 * arena: memory of one lifetime, given back in one call.
 *
 * Every request, flow run and periodic task owns an arena. Whatever it makes lives there and dies with it, so
 * handlers never free. An arena also carries deferred releases (a statement, a file, a reference count): they run,
 * last one first, when the arena is destroyed or reset.
 *
 * An arena belongs to one thread at a time; it has no lock. Allocation cannot fail: a process that is out of memory
 * aborts, because every size that a client controls was limited before it came here.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

struct arena;

/* Makes an empty arena. The caller ends it with arena_destroy(). */
struct arena *arena_create(void);

/* Runs the deferred releases, last first, and frees everything. NULL is allowed. */
void arena_destroy(struct arena *arena);

/* As destroy, but the arena stays usable and keeps its first block. */
void arena_reset(struct arena *arena);

/* Returns `size` zeroed bytes, aligned for any type. Never NULL. */
void *arena_alloc(struct arena *arena, size_t size) __attribute__((malloc, returns_nonnull, alloc_size(2)));

/* Copies a string; NULL gives NULL. */
char *arena_strdup(struct arena *arena, const char *text);

/* Copies `length` bytes and adds a NUL. */
char *arena_strndup(struct arena *arena, const char *text, size_t length);

/* Copies `size` bytes. */
void *arena_memdup(struct arena *arena, const void *data, size_t size);

/* Formats into the arena. */
char *arena_printf(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(struct arena *arena, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

/* Calls release(object) when the arena ends. */
void arena_defer(struct arena *arena, void (*release)(void *object), void *object);

void arena_cleanup(struct arena **arena);
#define ARENA_CLEANUP __attribute__((cleanup(arena_cleanup)))

/* Room for one more behind `count` elements of an array that only grows (NULL: none yet): returns where they are now. Whoever
 * reads rows needs no query for their number first. */
void *arena_grow(struct arena *arena, void *array, size_t count, size_t size);
#define ARENA_GROW(arena, array, count) arena_grow((arena), (array), (count), sizeof(*(array)))

#define ARENA_NEW(arena, type)          ((type *)arena_alloc((arena), sizeof(type)))
#define ARENA_ARRAY(arena, type, count) ((type *)arena_alloc((arena), sizeof(type) * (count)))

#endif
