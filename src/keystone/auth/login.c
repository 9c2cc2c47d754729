/* SPDX-License-Identifier: Apache-2.0 */
#include "keystone/auth/login.h"

#include "base/clock.h"
#include "base/random.h"
#include "keystone/identity/password.h"
#include "oslo/options.h"
#include "oslo/trace.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { ENTRIES = 4096, DIGEST = 32 };

struct login_cache {
    pthread_mutex_t lock;
    int64_t lifetime_us;
    unsigned char key[DIGEST];
    struct {
        unsigned char digest[DIGEST];
        int64_t until_us; /* monotonic; 0: free */
    } entries[ENTRIES];   /* by the digest's first bytes: a newcomer takes the place */
};

struct login_cache *login_cache_create(int64_t lifetime_s)
{
    if (lifetime_s <= 0)
        return NULL;
    struct login_cache *cache = calloc(1, sizeof(*cache));
    if (cache == NULL)
        abort();
    pthread_mutex_init(&cache->lock, NULL);
    cache->lifetime_us = lifetime_s * 1000000;
    random_bytes(cache->key, sizeof(cache->key));
    return cache;
}

void login_cache_destroy(struct login_cache *cache)
{
    if (cache == NULL)
        return;
    OPENSSL_cleanse(cache, sizeof(*cache));
    free(cache);
}

/* The parts are kept apart by their NULs. */
static void digest_login(const struct login_cache *cache, struct arena *arena, const struct user *user, const char *password,
    unsigned char *ret)
{
    size_t id = strlen(user->id) + 1, hash = strlen(user->password_hash) + 1, length = strlen(password);
    unsigned char *text = arena_alloc(arena, id + hash + length);

    memcpy(text, user->id, id);
    memcpy(text + id, user->password_hash, hash);
    memcpy(text + id + hash, password, length);
    HMAC(EVP_sha256(), cache->key, sizeof(cache->key), text, id + hash + length, ret, NULL);
    OPENSSL_cleanse(text, id + hash + length);
}

static size_t place_of(const unsigned char *digest)
{
    return (size_t)(digest[0] | digest[1] << 8) % ENTRIES;
}

static bool known(struct login_cache *cache, const unsigned char *digest)
{
    size_t at = place_of(digest);

    pthread_mutex_lock(&cache->lock);
    bool found = cache->entries[at].until_us > clock_monotonic_us() &&
        CRYPTO_memcmp(cache->entries[at].digest, digest, DIGEST) == 0;
    pthread_mutex_unlock(&cache->lock);
    return found;
}

static void remember(struct login_cache *cache, const unsigned char *digest)
{
    size_t at = place_of(digest);

    pthread_mutex_lock(&cache->lock);
    memcpy(cache->entries[at].digest, digest, DIGEST);
    cache->entries[at].until_us = clock_monotonic_us() + cache->lifetime_us;
    pthread_mutex_unlock(&cache->lock);
}

/* The slow part, the same for everybody: hashing costs what a comparison costs. A step of the trace, so that a test can count. */
static bool hash_and_compare(struct context *cx, const struct user *user, const char *password)
{
    struct span *span = trace_begin(cx, "keystone", NULL, "hash a password");
    struct password_settings settings;
    const char *unused;
    bool right = false;

    login_settings(cx, &settings);
    struct fault *fault = user == NULL || user->password_hash == NULL ?
        password_hash(cx->arena, &settings, password, &unused) :
        password_verify(cx->arena, &settings, password, user->password_hash, &right);
    trace_end(cx, span, NULL);
    return fault == NULL && right;
}

bool login_password_right(struct context *cx, const struct user *user, const char *password)
{
    struct login_cache *cache = keystone_of(cx)->logins;
    unsigned char digest[DIGEST];

    if (user == NULL || user->password_hash == NULL)
        return hash_and_compare(cx, NULL, password);
    if (cache != NULL) {
        digest_login(cache, cx->arena, user, password, digest);
        if (known(cache, digest))
            return true;
    }
    if (!hash_and_compare(cx, user, password))
        return false;
    if (cache != NULL)
        remember(cache, digest);
    return true;
}

void login_settings(const struct context *cx, struct password_settings *ret)
{
    const struct config *config = cx->app->config;

    *ret = (struct password_settings){
        .algorithm = config_str(config, "identity", "password_hash_algorithm"),
        .rounds = (int)config_int(config, "identity", "password_hash_rounds"),
        .salt_size = (int)config_int(config, "identity", "salt_bytesize"),
        .scrypt_block_size = (int)config_int(config, "identity", "scrypt_block_size"),
        .scrypt_parallelism = (int)config_int(config, "identity", "scrypt_parallelism"),
        .max_length = (size_t)config_int(config, "identity", "max_password_length"),
        .strict = config_bool(config, "DEFAULT", "strict_password_check"),
    };
}
