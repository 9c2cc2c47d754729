/* SPDX-License-Identifier: Apache-2.0
 * map: see map.h. Hashes are keyed per process, so that a client cannot choose keys that collide. */
#include "base/map.h"

#include "base/random.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { SLOT_FREE = 0 };
#define SLOT_REMOVED UINT32_MAX

static uint64_t hash_seed;

static void seed_once(void)
{
    random_bytes(&hash_seed, sizeof(hash_seed));
}

/* FNV-1a from a secret start, with a final mix; the secret is what denies chosen collisions. */
static uint64_t hash_key(const char *key)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, seed_once);
    uint64_t h = hash_seed ^ 14695981039346656037u;
    for (const unsigned char *p = (const unsigned char *)key; *p != '\0'; p++)
        h = (h ^ *p) * 1099511628211u;
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93u;
    return h ^ (h >> 32);
}

void map_release(struct map *map)
{
    for (size_t i = 0; i < map->used; i++)
        free(map->entries[i].key);
    free(map->entries);
    free(map->slots);
    *map = (struct map){ 0 };
}

/* The slot that holds the key, or NULL. */
static uint32_t *find_slot(const struct map *map, const char *key, uint64_t hash)
{
    if (map->slot_count == 0)
        return NULL;
    for (size_t i = hash & (map->slot_count - 1);; i = (i + 1) & (map->slot_count - 1)) {
        uint32_t slot = map->slots[i];
        if (slot == SLOT_FREE)
            return NULL;
        if (slot == SLOT_REMOVED)
            continue;
        const struct map_entry *entry = &map->entries[slot - 1];
        if (entry->hash == hash && strcmp(entry->key, key) == 0)
            return &map->slots[i];
    }
}

static void place(struct map *map, uint64_t hash, uint32_t value)
{
    size_t i = hash & (map->slot_count - 1);
    while (map->slots[i] != SLOT_FREE)
        i = (i + 1) & (map->slot_count - 1);
    map->slots[i] = value;
}

/* Drops the holes and rebuilds the slots for twice the live keys. */
static void rebuild(struct map *map)
{
    size_t kept = 0;
    for (size_t i = 0; i < map->used; i++)
        if (map->entries[i].key != NULL)
            map->entries[kept++] = map->entries[i];
    map->used = kept;
    size_t want = 16;
    while (want < (map->count + 1) * 3)
        want *= 2;
    free(map->slots);
    map->slots = calloc(want, sizeof(*map->slots));
    map->slot_count = want;
    map->entry_capacity = want / 2;
    map->entries = realloc(map->entries, map->entry_capacity * sizeof(*map->entries));
    if (map->slots == NULL || map->entries == NULL)
        abort();
    for (size_t i = 0; i < map->used; i++)
        place(map, map->entries[i].hash, (uint32_t)i + 1);
}

void *map_get(const struct map *map, const char *key)
{
    const uint32_t *slot = find_slot(map, key, hash_key(key));
    return slot == NULL ? NULL : map->entries[*slot - 1].value;
}

bool map_has(const struct map *map, const char *key)
{
    return find_slot(map, key, hash_key(key)) != NULL;
}

void *map_set(struct map *map, const char *key, void *value)
{
    uint64_t hash = hash_key(key);
    const uint32_t *slot = find_slot(map, key, hash);
    if (slot != NULL) {
        void *before = map->entries[*slot - 1].value;
        map->entries[*slot - 1].value = value;
        return before;
    }
    if (map->used == map->entry_capacity)
        rebuild(map);
    char *copy = strdup(key);
    if (copy == NULL)
        abort();
    map->entries[map->used++] = (struct map_entry){ copy, value, hash };
    map->count++;
    place(map, hash, (uint32_t)map->used);
    return NULL;
}

void *map_remove(struct map *map, const char *key)
{
    uint32_t *slot = find_slot(map, key, hash_key(key));
    if (slot == NULL)
        return NULL;
    struct map_entry *entry = &map->entries[*slot - 1];
    void *value = entry->value;
    free(entry->key);
    entry->key = NULL;
    *slot = SLOT_REMOVED;
    map->count--;
    return value;
}

struct map_entry *map_next(const struct map *map, size_t *at)
{
    while (*at < map->used) {
        struct map_entry *entry = &map->entries[(*at)++];
        if (entry->key != NULL)
            return entry;
    }
    return NULL;
}
