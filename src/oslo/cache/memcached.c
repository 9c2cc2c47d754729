/* SPDX-License-Identifier: Apache-2.0
 * memcached: the cache's driver on libmemcached, with a pool of connections. See oslo/cache.h. */
#include "base/clock.h"
#include "base/log.h"
#include "oslo/cache.h"

#include <libmemcached/memcached.h>
#include <libmemcachedutil-1.0/pool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DEFAULT_PORT = 11211, COMPLAIN_US = 60 * 1000000 };

struct memcached {
    memcached_st *master;
    memcached_pool_st *pool;
    struct timespec wait;
    _Atomic int64_t complained_us;
};

static struct fault *bad_server(struct arena *arena, const char *text)
{
    return fault_new(arena, 500, NULL, "%s is not a memcached server: host:port is wanted.", text);
}

/* "host", "host:port", "[v6]:port", "inet6:[v6]:port", "inet:host:port", "unix:/path". */
static struct fault *add_server(struct arena *arena, memcached_st *memcached, const char *text)
{
    if (strncmp(text, "unix:", 5) == 0)
        return memcached_server_add_unix_socket(memcached, text + 5) == MEMCACHED_SUCCESS ? NULL : bad_server(arena, text);
    const char *at = strncmp(text, "inet6:", 6) == 0 ? text + 6 : strncmp(text, "inet:", 5) == 0 ? text + 5 : text;
    const char *end = *at == '[' ? strchr(at, ']') : at + strcspn(at, ":");
    if (end == NULL)
        return bad_server(arena, text);
    at += *at == '[';
    const char *host = arena_strndup(arena, at, (size_t)(end - at));
    end += *end == ']';
    char *stop = (char *)end;
    long port = *end == ':' ? strtol(end + 1, &stop, 10) : DEFAULT_PORT;
    if (*host == '\0' || *stop != '\0' || port <= 0 || port > 65535)
        return bad_server(arena, text);
    return memcached_server_add(memcached, host, (in_port_t)port) == MEMCACHED_SUCCESS ? NULL : bad_server(arena, text);
}

static void set_behaviour(memcached_st *memcached, const struct cache_settings *settings)
{
    const struct {
        memcached_behavior_t what;
        uint64_t value;
    } rows[] = {
        { MEMCACHED_BEHAVIOR_HASH,                 MEMCACHED_HASH_CRC }, /* python-memcached's choice of a server */
        { MEMCACHED_BEHAVIOR_DISTRIBUTION,         MEMCACHED_DISTRIBUTION_MODULA },
        { MEMCACHED_BEHAVIOR_TCP_NODELAY,          1 },
        { MEMCACHED_BEHAVIOR_NO_BLOCK,             1 }, /* the time limits below hold only so */
        { MEMCACHED_BEHAVIOR_CONNECT_TIMEOUT,      (uint64_t)settings->timeout_ms },
        { MEMCACHED_BEHAVIOR_POLL_TIMEOUT,         (uint64_t)settings->timeout_ms },
        { MEMCACHED_BEHAVIOR_SND_TIMEOUT,          (uint64_t)settings->timeout_ms * 1000 },
        { MEMCACHED_BEHAVIOR_RCV_TIMEOUT,          (uint64_t)settings->timeout_ms * 1000 },
        { MEMCACHED_BEHAVIOR_SERVER_FAILURE_LIMIT, 1 },
        { MEMCACHED_BEHAVIOR_RETRY_TIMEOUT,        (uint64_t)settings->dead_retry_s },
        { MEMCACHED_BEHAVIOR_DEAD_TIMEOUT,         (uint64_t)settings->dead_retry_s },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        memcached_behavior_set(memcached, rows[i].what, rows[i].value);
}

static void close_all(void *argument)
{
    struct memcached *state = argument;
    if (state->pool != NULL)
        memcached_pool_destroy(state->pool);
    memcached_free(state->master);
    free(state);
}

static struct fault *open_servers(struct arena *arena, const struct cache_settings *settings, void **ret)
{
    struct memcached *state = calloc(1, sizeof(*state));
    if (state == NULL || (state->master = memcached_create(NULL)) == NULL)
        abort();
    set_behaviour(state->master, settings);
    for (const char *const *server = settings->servers; server != NULL && *server != NULL; server++) {
        struct fault *fault = add_server(arena, state->master, *server);
        if (fault != NULL) {
            close_all(state);
            return fault;
        }
    }
    state->pool = memcached_pool_create(state->master, 1, (uint32_t)(settings->connections > 0 ? settings->connections : 1));
    if (state->pool == NULL) {
        close_all(state);
        return fault_new(arena, 500, NULL, "The connections to memcached cannot be made.");
    }
    state->wait = (struct timespec){ settings->wait_ms / 1000, settings->wait_ms % 1000 * 1000000L };
    *ret = state;
    return NULL;
}

static memcached_st *take(struct memcached *state)
{
    memcached_return_t code;
    struct timespec wait = state->wait;
    return memcached_pool_fetch(state->pool, &wait, &code);
}

/* Once a minute is enough: a dead server is seen by every request. */
static void complain(struct memcached *state, memcached_st *connection, memcached_return_t code)
{
    int64_t now = clock_monotonic_us(), before = state->complained_us;
    if (code == MEMCACHED_SUCCESS || code == MEMCACHED_NOTFOUND || code == MEMCACHED_END || code == MEMCACHED_BUFFERED ||
        (before != 0 && now - before < COMPLAIN_US))
        return;
    state->complained_us = now;
    log_warning("oslo.cache", "memcached: %s; what it would have said is asked for where it is kept",
        memcached_strerror(connection, code));
}

static void get(void *argument, struct arena *arena, const char *const *keys, size_t count, struct cache_value *ret)
{
    struct memcached *state = argument;
    memcached_st *connection = take(state);
    if (connection == NULL)
        return;
    size_t lengths[CACHE_KEYS];
    for (size_t i = 0; i < count; i++)
        lengths[i] = strlen(keys[i]);
    memcached_return_t code = memcached_mget(connection, keys, lengths, count);
    complain(state, connection, code);
    memcached_result_st *result;
    while ((result = memcached_fetch_result(connection, NULL, &code)) != NULL) {
        for (size_t i = 0; i < count; i++)
            if (memcached_result_key_length(result) == lengths[i] &&
                memcmp(memcached_result_key_value(result), keys[i], lengths[i]) == 0 &&
                memcached_result_length(result) <= CACHE_VALUE_LIMIT)
                ret[i] = (struct cache_value){ arena_strndup(arena, memcached_result_value(result),
                    memcached_result_length(result)), memcached_result_length(result) };
        memcached_result_free(result);
    }
    complain(state, connection, code);
    memcached_pool_release(state->pool, connection);
}

static bool set(void *argument, const char *key, const char *data, size_t length, int ttl_s)
{
    struct memcached *state = argument;
    memcached_st *connection = take(state);
    if (connection == NULL)
        return false;
    memcached_return_t code = memcached_set(connection, key, strlen(key), data, length, (time_t)ttl_s, 0);
    complain(state, connection, code);
    memcached_pool_release(state->pool, connection);
    return code == MEMCACHED_SUCCESS;
}

__attribute__((visibility("default"))) extern const struct cache_driver cache_driver;
const struct cache_driver cache_driver = { "memcached", open_servers, close_all, get, set };
