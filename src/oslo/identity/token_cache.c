/* SPDX-License-Identifier: Apache-2.0
 * token_cache: see token_cache.h. */
#include "oslo/identity/token_cache.h"

#include "base/clock.h"
#include "base/log.h"
#include "oslo/app.h"
#include "oslo/cache.h"
#include "oslo/identity.h"
#include "oslo/identity/token_crypt.h"
#include "oslo/json.h"
#include "oslo/periodic.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { LOOK_MS = 1000, BUMP_LATE_MS = 1200, BUMP_AGAIN_MS = 500, BUMP_TRIES = 120, GENERATION_TTL_S = 7 * 86400 };

static const char generation_key[] = "nubo/tokens/generation";
static const char generation_member[] = "nubo_generation";

struct token_cache {
    struct cache *cache;
    enum token_strategy strategy;
    struct periodic *watch;
    pthread_mutex_t lock;
    char generation[32]; /* last seen; "": none */
    atomic_bool bump_waits; /* one that has not begun */
    atomic_bool late_waits;
    _Atomic int64_t late_us; /* when it may */
    atomic_int bumps;       /* handed out and not ended */
    struct work_pool *pool;
    atomic_int tries;       /* since the last revocation */
    atomic_bool ends;
};

/* ---- options ---- */

static struct fault *strategy_of(struct arena *arena, const struct config *config, enum token_strategy *ret)
{
    const char *text = config_str(config, "keystone_authtoken", "memcache_security_strategy");
    const char *secret = config_str(config, "keystone_authtoken", "memcache_secret_key");
    *ret = text == NULL ? TOKEN_PLAIN
        : strcasecmp(text, "ENCRYPT") == 0 ? TOKEN_ENCRYPT
        : strcasecmp(text, "MAC") == 0     ? TOKEN_MAC
                                           : TOKEN_PLAIN;
    if (*ret != TOKEN_PLAIN && (secret == NULL || *secret == '\0'))
        return fault_new(arena, 500, NULL, "memcache_secret_key must be defined when a memcache_security_strategy is defined");
    return NULL;
}

static struct cache_settings middleware_settings(const struct config *config)
{
    static const char g[] = "keystone_authtoken";
    return (struct cache_settings){ .servers = config_list(config, g, "memcached_servers", NULL),
        .timeout_ms = (int)config_int(config, g, "memcache_pool_socket_timeout") * 1000,
        .dead_retry_s = (int)config_int(config, g, "memcache_pool_dead_retry"),
        .connections = (int)config_int(config, g, "memcache_pool_maxsize"),
        .wait_ms = (int)config_int(config, g, "memcache_pool_conn_get_timeout") * 1000,
        .idle_s = (int)config_int(config, g, "memcache_pool_unused_timeout") };
}

/* keystone's own section; only backends that are memcached are shared with anybody. */
static struct cache_settings keystone_settings(const struct config *config)
{
    static const char g[] = "cache";
    const char *backend = config_str(config, g, "backend");
    if (!config_bool(config, g, "enabled") || backend == NULL || strcasestr(backend, "memcache") == NULL)
        return (struct cache_settings){ .servers = NULL };
    return (struct cache_settings){ .servers = config_list(config, g, "memcache_servers", NULL),
        .timeout_ms = (int)(config_float(config, g, "memcache_socket_timeout") * 1000),
        .dead_retry_s = (int)config_int(config, g, "memcache_dead_retry"),
        .connections = (int)config_int(config, g, "memcache_pool_maxsize"),
        .wait_ms = (int)config_int(config, g, "memcache_pool_connection_get_timeout") * 1000,
        .idle_s = (int)config_int(config, g, "memcache_pool_unused_timeout") };
}

/* ---- generations ---- */

/* A change that came from elsewhere ends what this process remembers. */
static void note_generation(struct token_cache *tokens, const char *now)
{
    pthread_mutex_lock(&tokens->lock);
    bool changed = strcmp(tokens->generation, now) != 0;
    snprintf(tokens->generation, sizeof(tokens->generation), "%s", now);
    pthread_mutex_unlock(&tokens->lock);
    if (changed)
        identity_forget();
}

static struct fault *look(struct context *cx, void *owner)
{
    struct token_cache *tokens = owner;
    const char *key = generation_key;
    struct cache_value value;
    cache_get(tokens->cache, cx->arena, &key, 1, &value);
    if (value.data != NULL) /* a server that is away says nothing about revocations */
        note_generation(tokens, value.data);
    return NULL;
}

static void bump_ended(void *argument)
{
    struct token_cache *tokens = argument;
    atomic_store(&tokens->bump_waits, false);
    atomic_fetch_sub(&tokens->bumps, 1);
}

static void late_ended(void *argument)
{
    struct token_cache *tokens = argument;
    atomic_store(&tokens->late_waits, false);
    atomic_fetch_sub(&tokens->bumps, 1);
}

static bool write_generation(struct token_cache *tokens)
{
    char text[32];
    int length = snprintf(text, sizeof(text), "%lld", (long long)clock_now_us());
    return cache_set(tokens->cache, generation_key, text, (size_t)length, GENERATION_TTL_S);
}

/* Another keystone on the same database may have said for a second after the revocation that the token is good, and a service
 * have kept that as of the new generation. One more generation, once all of them know, ends it. */
static void bump_late(void *argument)
{
    struct token_cache *tokens = argument;
    int64_t left_ms = (atomic_load(&tokens->late_us) - clock_monotonic_us()) / 1000;
    if (left_ms > 0) { /* there was a later revocation */
        work_submit_later(tokens->pool, left_ms + 1, bump_late, late_ended, tokens);
        return;
    }
    atomic_store(&tokens->late_waits, false);
    write_generation(tokens);
    atomic_fetch_sub(&tokens->bumps, 1);
}

/* A server that is away now is told when it is back: what it kept itself may have survived. */
static void bump(void *argument)
{
    struct token_cache *tokens = argument;
    atomic_store(&tokens->bump_waits, false); /* what is revoked from here on bumps again */
    if (!write_generation(tokens) && !atomic_load(&tokens->ends) &&
        atomic_fetch_add(&tokens->tries, 1) < BUMP_TRIES && !atomic_exchange(&tokens->bump_waits, true)) {
        work_submit_later(tokens->pool, BUMP_AGAIN_MS, bump, bump_ended, tokens);
        return;
    }
    atomic_fetch_sub(&tokens->bumps, 1);
}

void token_cache_revoked(struct app *app)
{
    struct token_cache *tokens = app->token_cache;
    if (tokens == NULL)
        return;
    atomic_store(&tokens->tries, 0);
    atomic_store(&tokens->late_us, clock_monotonic_us() + (int64_t)BUMP_LATE_MS * 1000);
    if (!atomic_exchange(&tokens->late_waits, true)) {
        atomic_fetch_add(&tokens->bumps, 1);
        work_submit_later(tokens->pool, BUMP_LATE_MS, bump_late, late_ended, tokens);
    }
    if (atomic_exchange(&tokens->bump_waits, true))
        return;
    atomic_fetch_add(&tokens->bumps, 1);
    if (!work_submit(tokens->pool, bump, tokens))
        bump(tokens);
}

/* ---- start and stop ---- */

struct fault *token_cache_start(struct context *cx)
{
    struct app *app = cx->app;
    bool is_keystone = app->service->authenticate != NULL;
    const struct app *keystone = cloud_app(app->cloud, "identity");
    if (!is_keystone && keystone != NULL && keystone->serves_api)
        return NULL; /* it is a function call away, which is faster */
    struct cache_settings settings = is_keystone ? keystone_settings(app->config) : middleware_settings(app->config);
    enum token_strategy strategy;
    TRY(strategy_of(cx->arena, app->config, &strategy));
    if (settings.servers == NULL || settings.servers[0] == NULL)
        return NULL;
    if (is_keystone && (config_bool(app->config, "cache", "tls_enabled") ||
        config_bool(app->config, "cache", "memcache_sasl_enabled")))
        return FAULT(cx, 500, NULL, "[cache] tls_enabled and memcache_sasl_enabled: memcached is spoken to in plain only.");
    struct cache *cache;
    TRY(cache_open(cx->arena, "memcached", &settings, &cache));
    struct token_cache *tokens = calloc(1, sizeof(*tokens));
    if (tokens == NULL)
        abort();
    tokens->cache = cache;
    tokens->strategy = strategy;
    tokens->pool = app->cloud->periodic;
    pthread_mutex_init(&tokens->lock, NULL);
    app->token_cache = tokens;
    if (!is_keystone)
        tokens->watch = periodic_start(app, "token generation", 0, LOOK_MS, look, tokens);
    return NULL;
}

void token_cache_stop(struct app *app)
{
    struct token_cache *tokens = app->token_cache;
    if (tokens == NULL)
        return;
    app->token_cache = NULL;
    periodic_stop(tokens->watch);
    atomic_store(&tokens->ends, true);
    work_cancel(tokens->pool, tokens);
    while (atomic_load(&tokens->bumps) > 0) /* they end within the servers' time limit */
        clock_sleep_ms(1);
    cache_close(tokens->cache);
    pthread_mutex_destroy(&tokens->lock);
    free(tokens);
}

/* ---- tokens ---- */

static const char *secret_of(const struct app *app)
{
    const char *secret = config_str(app->config, "keystone_authtoken", "memcache_secret_key");
    return secret != NULL ? secret : "";
}

bool token_cache_wants_catalog(const struct app *app)
{
    return app->token_cache != NULL && config_bool(app->config, "keystone_authtoken", "include_service_catalog");
}

json_t *token_cache_get(struct context *cx, const char *token)
{
    struct token_cache *tokens = cx->app->token_cache;
    struct token_keys keys;
    if (tokens == NULL || !token_keys_derive(&keys, token, secret_of(cx->app), tokens->strategy))
        return NULL;
    const char *const names[] = { keys.name, generation_key };
    struct cache_value values[2];
    cache_get(tokens->cache, cx->arena, names, 2, values);
    if (values[1].data != NULL)
        note_generation(tokens, values[1].data);
    if (values[0].data == NULL)
        return NULL;
    size_t length;
    const char *text = token_unprotect(cx->arena, &keys, values[0].data, values[0].length, &length), *why;
    if (text == NULL) {
        log_warning("oslo.identity", "Failed to decrypt/verify cache data: a token in memcached was not written with our key");
        return NULL;
    }
    json_t *body = json_parse(cx->arena, text, length, &why);
    const char *generation = json_text_at(json_object_get(body, "token"), generation_member);
    bool old = generation != NULL && strcmp(generation, values[1].data != NULL ? values[1].data : "") != 0;
    return old ? NULL : body;
}

void token_cache_put(struct context *cx, const char *token, const json_t *body)
{
    struct token_cache *tokens = cx->app->token_cache;
    int64_t keep_s = config_int(cx->app->config, "keystone_authtoken", "token_cache_time");
    struct token_keys keys;
    if (tokens == NULL || keep_s <= 0 || !token_keys_derive(&keys, token, secret_of(cx->app), tokens->strategy))
        return;
    json_t *copy = json_keep(cx->arena, json_copy((json_t *)body));
    json_t *members = json_copy(json_object_get(body, "token"));
    json_object_set_new(copy, "token", members);
    pthread_mutex_lock(&tokens->lock);
    /* Within the token: a document of two members is, to keystonemiddleware, a pair of document and time. */
    json_object_set_new(members, generation_member, json_string(tokens->generation));
    pthread_mutex_unlock(&tokens->lock);
    const char *text = json_dump(cx->arena, copy);
    size_t length;
    const char *value = token_protect(cx->arena, &keys, text, strlen(text), &length);
    if (value != NULL)
        cache_set(tokens->cache, keys.name, value, length, (int)keep_s);
}
