/* SPDX-License-Identifier: Apache-2.0
 *
 * cache: values that processes share and that may be lost at any moment. Losing them, or the servers that hold them, costs time
 * only: a get that fails is a miss, a set that fails is forgotten, and neither is a fault. Keys are the caller's to make safe:
 * at most 250 bytes, no blank and no control character (asserted). Values are bytes, at most CACHE_VALUE_LIMIT.
 *
 * Drivers: "memcached" (cache/memcached.c, a module on libmemcached; keys go to servers as python-memcached sends them there, so
 * that programs in Python share the same servers) and "memory" (this process only).
 */
#ifndef OSLO_CACHE_H
#define OSLO_CACHE_H

#include "base/arena.h"
#include "base/fault.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CACHE_KEY_LIMIT = 250, CACHE_VALUE_LIMIT = 1000 << 10, CACHE_KEYS = 8 };

struct cache;

struct cache_settings {
    const char *const *servers; /* NULL-terminated: "host:port", "host", "[v6]:port", "unix:/path"; memory needs none */
    int timeout_ms;             /* of one operation on one server */
    int dead_retry_s;           /* a server that failed is left alone for so long */
    int connections;            /* at most, all servers of one connection together */
    int wait_ms;                /* for a free connection, then it is a miss */
    int idle_s;                 /* an unused connection is closed after */
};

struct cache_value {
    const char *data; /* NULL: not there. NUL-terminated, in the arena */
    size_t length;
};

/* Opens a driver. Fault 500: there is no such driver, or a server's name is malformed. That a server runs is not looked at. */
struct fault *cache_open(struct arena *arena, const char *driver, const struct cache_settings *settings, struct cache **ret);
void cache_close(struct cache *cache); /* NULL is allowed */

/* Looks up `count` keys, at most CACHE_KEYS, at once (one round trip a server). */
void cache_get(struct cache *cache, struct arena *arena, const char *const *keys, size_t count, struct cache_value *ret);

/* Whether it was kept; most callers do not mind. */
bool cache_set(struct cache *cache, const char *key, const char *data, size_t length, int ttl_s);

/* What a driver is made of. `symbol` of a module. */
struct cache_driver {
    const char *name;
    struct fault *(*open)(struct arena *arena, const struct cache_settings *settings, void **ret);
    void (*close)(void *state);
    void (*get)(void *state, struct arena *arena, const char *const *keys, size_t count, struct cache_value *ret);
    bool (*set)(void *state, const char *key, const char *data, size_t length, int ttl_s);
};
#define CACHE_DRIVER_SYMBOL "cache_driver"

#endif
