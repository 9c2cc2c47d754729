/* SPDX-License-Identifier: Apache-2.0
 *
 * map: string to pointer, open addressing, insertion order kept for walks. No lock of its own.
 *
 * Keys are copied; values are the caller's. A zeroed struct is an empty map; end it with map_release().
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_entry {
    char *key; /* NULL: removed */
    void *value;
    uint64_t hash;
};

struct map {
    struct map_entry *entries; /* in insertion order, with holes where keys were removed */
    uint32_t *slots;           /* index into entries + 1; 0: free; UINT32_MAX: removed */
    size_t used;               /* entries, holes included */
    size_t count;              /* live keys */
    size_t slot_count;         /* a power of two */
    size_t entry_capacity;
};

/* Frees its memory, not what its values point to; it is empty then. */
void map_release(struct map *map);

/* The value, or NULL. */
void *map_get(const struct map *map, const char *key);

/* Tells a NULL value from an absent key. */
bool map_has(const struct map *map, const char *key);

/* Sets and returns the value that was there before, or NULL. */
void *map_set(struct map *map, const char *key, void *value);

/* Removes and returns the value, or NULL. */
void *map_remove(struct map *map, const char *key);

/* Walk: for (size_t at = 0; (entry = map_next(map, &at)) != NULL;). Removing the entry just returned is allowed. */
struct map_entry *map_next(const struct map *map, size_t *at);

#endif
