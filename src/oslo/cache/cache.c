/* SPDX-License-Identifier: Apache-2.0
 * cache: drivers by name, and the one in memory. See cache.h. */
#include "oslo/cache.h"

#include "base/clock.h"
#include "base/map.h"
#include "base/module.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MEMORY_ENTRIES = 4096 };

struct cache {
    const struct cache_driver *driver;
    void *state;
};

/* ---- memory ---- */

struct memory {
    pthread_mutex_t lock;
    struct map entries; /* key -> struct memory_entry * */
};

struct memory_entry {
    int64_t until_us;
    size_t length;
    char data[];
};

static struct fault *memory_open(struct arena *arena, const struct cache_settings *settings, void **ret)
{
    struct memory *memory = calloc(1, sizeof(*memory));
    if (memory == NULL)
        abort();
    pthread_mutex_init(&memory->lock, NULL);
    *ret = memory;
    return NULL;
}

static void memory_empty(struct memory *memory)
{
    struct map_entry *at;
    for (size_t i = 0; (at = map_next(&memory->entries, &i)) != NULL;)
        free(at->value);
    map_release(&memory->entries);
}

static void memory_close(void *state)
{
    struct memory *memory = state;
    memory_empty(memory);
    pthread_mutex_destroy(&memory->lock);
    free(memory);
}

static void memory_get(void *state, struct arena *arena, const char *const *keys, size_t count, struct cache_value *ret)
{
    struct memory *memory = state;
    int64_t now = clock_now_us();
    pthread_mutex_lock(&memory->lock);
    for (size_t i = 0; i < count; i++) {
        const struct memory_entry *entry = map_get(&memory->entries, keys[i]);
        if (entry != NULL && now < entry->until_us)
            ret[i] = (struct cache_value){ arena_strndup(arena, entry->data, entry->length), entry->length };
    }
    pthread_mutex_unlock(&memory->lock);
}

static bool memory_set(void *state, const char *key, const char *data, size_t length, int ttl_s)
{
    struct memory *memory = state;
    struct memory_entry *entry = malloc(sizeof(*entry) + length + 1);
    if (entry == NULL)
        abort();
    entry->until_us = clock_now_us() + (int64_t)ttl_s * 1000000;
    entry->length = length;
    memcpy(entry->data, data, length);
    entry->data[length] = '\0';
    pthread_mutex_lock(&memory->lock);
    if (memory->entries.count >= MEMORY_ENTRIES)
        memory_empty(memory);
    free(map_set(&memory->entries, key, entry));
    pthread_mutex_unlock(&memory->lock);
    return true;
}

static const struct cache_driver memory_driver = { "memory", memory_open, memory_close, memory_get, memory_set };

/* ---- any driver ---- */

static bool key_is_safe(const char *key)
{
    size_t length = strlen(key);
    for (const unsigned char *at = (const unsigned char *)key; *at != '\0'; at++)
        if (*at <= ' ' || *at == 127)
            return false;
    return length > 0 && length <= CACHE_KEY_LIMIT;
}

struct fault *cache_open(struct arena *arena, const char *driver, const struct cache_settings *settings, struct cache **ret)
{
    const void *found = NULL;
    if (strcmp(driver, "memory") == 0)
        found = &memory_driver;
    else if (strcmp(driver, "memcached") == 0)
        TRY(module_load(arena, "oslo/cache", "cache_memcached.so", CACHE_DRIVER_SYMBOL, &found));
    if (found == NULL)
        return fault_new(arena, 500, NULL, "There is no cache driver %s.", driver);
    struct cache *cache = calloc(1, sizeof(*cache));
    if (cache == NULL)
        abort();
    cache->driver = found;
    struct fault *fault = cache->driver->open(arena, settings, &cache->state);
    if (fault != NULL) {
        free(cache);
        return fault;
    }
    *ret = cache;
    return NULL;
}

void cache_close(struct cache *cache)
{
    if (cache == NULL)
        return;
    cache->driver->close(cache->state);
    free(cache);
}

void cache_get(struct cache *cache, struct arena *arena, const char *const *keys, size_t count, struct cache_value *ret)
{
    assert(count <= CACHE_KEYS);
    for (size_t i = 0; i < count; i++) {
        assert(key_is_safe(keys[i]));
        ret[i] = (struct cache_value){ NULL, 0 };
    }
    cache->driver->get(cache->state, arena, keys, count, ret);
}

bool cache_set(struct cache *cache, const char *key, const char *data, size_t length, int ttl_s)
{
    assert(key_is_safe(key));
    return length <= CACHE_VALUE_LIMIT && ttl_s > 0 && cache->driver->set(cache->state, key, data, length, ttl_s);
}
