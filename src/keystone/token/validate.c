/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokens that were validated are kept in memory as counted callers, under the SHA-256 of their text, until they expire,
 * are pushed out, or anything is written. A kept one is answered without the database and without cryptography.
 */
#include "keystone/token/token.h"

#include "base/clock.h"
#include "keystone/application_credential/application_credentials.h"
#include "keystone/token/provider.h"
#include "keystone/token/revocation.h"
#include "oslo/identity.h"
#include "oslo/options.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    SETS = 1024,                  /* 4,096 tokens, about 10 KB each with a catalog */
    WAYS = 4,
    LOCKS = 64,
    SHARED_MAX_AGE_US = 1000000,  /* how long another process's revocation may stay unseen */
    LONGEST_TOKEN = 8192,
};

struct token_cache {
    struct {
        struct caller *ways[WAYS];
        unsigned next;            /* the way to be pushed out */
    } sets[SETS];
    pthread_mutex_t locks[LOCKS];
};

struct token_cache *token_cache_create(void)
{
    struct token_cache *cache = calloc(1, sizeof(*cache));

    if (cache == NULL)
        abort();
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_init(&cache->locks[i], NULL);
    return cache;
}

void token_cache_destroy(struct token_cache *cache)
{
    if (cache == NULL)
        return;
    for (size_t set = 0; set < SETS; set++)
        for (size_t way = 0; way < WAYS; way++)
            if (cache->sets[set].ways[way] != NULL)
                caller_unref(cache->sets[set].ways[way]);
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_destroy(&cache->locks[i]);
    free(cache);
}

const struct validated *token_details(const struct caller *caller)
{
    return caller->details;
}

bool token_is_oauth(const struct caller *caller)
{
    return token_details(caller)->token->claims.access_token_id != NULL;
}

bool token_has_access_rules(const struct caller *caller)
{
    return caller->access_rules != NULL;
}

static size_t set_of(const unsigned char *digest)
{
    return (size_t)(digest[0] | digest[1] << 8) % SETS;
}

static bool current(const struct keystone *keystone, const struct validated *validated)
{
    return validated->generation == atomic_load(&keystone->generation) &&
        ((!keystone->shared && !validated->brief) || clock_monotonic_us() - validated->read_us < SHARED_MAX_AGE_US);
}

/* A counted caller, or NULL. */
static struct caller *cache_get(struct keystone *keystone, const unsigned char *digest)
{
    size_t set = set_of(digest);
    struct caller *found = NULL;

    pthread_mutex_lock(&keystone->tokens->locks[set % LOCKS]);
    for (size_t way = 0; way < WAYS && found == NULL; way++) {
        struct caller *caller = keystone->tokens->sets[set].ways[way];
        if (caller != NULL && memcmp(token_details(caller)->digest, digest, 32) == 0 &&
            current(keystone, token_details(caller)))
            found = caller_ref(caller);
    }
    pthread_mutex_unlock(&keystone->tokens->locks[set % LOCKS]);
    return found;
}

bool token_is_kept(struct keystone *keystone, const char *text)
{
    unsigned char digest[32];

    if (EVP_Digest(text, strlen(text), digest, NULL, EVP_sha256(), NULL) != 1)
        return false;
    struct caller *caller = cache_get(keystone, digest);
    if (caller != NULL)
        caller_unref(caller);
    return caller != NULL;
}

static void cache_put(struct keystone *keystone, struct caller *caller)
{
    const struct validated *validated = token_details(caller);
    size_t set = set_of(validated->digest), at = WAYS;
    struct caller *old;

    pthread_mutex_lock(&keystone->tokens->locks[set % LOCKS]);
    for (size_t way = 0; way < WAYS; way++) {
        struct caller *present = keystone->tokens->sets[set].ways[way];
        if (present == NULL || !current(keystone, token_details(present)) ||
            memcmp(token_details(present)->digest, validated->digest, 32) == 0)
            at = way;
    }
    if (at == WAYS)
        at = keystone->tokens->sets[set].next++ % WAYS;
    old = keystone->tokens->sets[set].ways[at];
    keystone->tokens->sets[set].ways[at] = caller_ref(caller);
    pthread_mutex_unlock(&keystone->tokens->locks[set % LOCKS]);
    if (old != NULL)
        caller_unref(old);
}

/* ---- From a token to a caller ---- */

static void render(struct arena *arena, const struct token *token, const struct reference *reference, const char **ret,
    size_t *ret_length)
{
    BUF_CLEANUP struct buf out = { 0 };
    struct json_writer w = { .out = &out };

    token_write(&w, token, reference);
    *ret = arena_strndup(arena, buf_text(&out), out.length);
    *ret_length = out.length;
}

static void fill_caller(struct caller *caller, struct arena *arena, const struct token *token, const char *text)
{
    const char **names = ARENA_ARRAY(arena, const char *, token->role_count + 1);
    const char **ids = ARENA_ARRAY(arena, const char *, token->role_count + 1);

    for (size_t i = 0; i < token->role_count; i++) {
        names[i] = token->roles[i].name;
        ids[i] = token->roles[i].id;
    }
    caller->user_id = token->user->id;
    caller->user_name = token->user->name;
    caller->user_domain_id = token->user_domain->id;
    caller->user_domain_name = token->user_domain->name;
    if (token->project != NULL) {
        caller->project_id = token->project->id;
        caller->project_name = token->project->name;
        caller->project_domain_id = token->project_domain->id;
        caller->project_domain_name = token->project_domain->name;
    }
    if (token->domain != NULL) {
        caller->domain_id = token->domain->id;
        caller->domain_name = token->domain->name;
    }
    caller->trust_id = token->claims.trust_id;
    if (token->app_cred != NULL)
        caller->access_rules = token->app_cred->access_rules;
    caller->system_scope = token->claims.scope == SYSTEM_SCOPED ? "all" : NULL;
    caller->roles = names;
    caller->role_ids = ids;
    caller->service_roles = ARENA_ARRAY(arena, const char *, 1);
    caller->token = arena_strdup(arena, text);
    caller->expires_us = token->claims.expires_us;
    caller->is_admin_project = token->admin_project != OTHER_PROJECT;
}

/* 404 in the reference's words, with as much of the token as may stand in a log. */
static struct fault *no_such_token(struct context *cx, const char *text)
{
    enum { SHOWN = 16 };

    return keystone_not_found(cx, "token", strlen(text) <= SHOWN ? text : arena_printf(cx->arena, "%.8s***", text));
}

/* Opens and reads a token into an arena of its own, which becomes the caller's. */
static struct fault *read_token(struct context *cx, struct arena *arena, const char *text, const unsigned char *digest,
    struct caller **ret)
{
    struct keystone *keystone = keystone_of(cx);
    struct validated *validated = ARENA_NEW(arena, struct validated);
    const struct reference *reference;
    struct token_claims claims;
    struct token *token;
    bool revoked = false;

    memcpy(validated->digest, digest, sizeof(validated->digest));
    validated->generation = atomic_load(&keystone->generation);
    TRY(reference_get(cx, &reference));
    /* where others write, what is kept is no newer than the roles that it was built with */
    validated->read_us = keystone->shared ? reference->read_us : clock_monotonic_us();
    if (!provider_open(cx, arena, text, &claims))
        return keystone->jws != NULL ? no_such_token(cx, text) : FAULT(cx, 404, NULL, "Could not recognize Fernet token");
    struct fault *fault = token_build(cx, arena, &claims, &token, &revoked);
    if (fault != NULL && fault->status == 401)
        return fault_because(no_such_token(cx, text), fault);
    if (fault != NULL)
        return fault;
    if (revoked)
        return FAULT(cx, 404, NULL, "Failed to validate token");
    validated->token = token;
    validated->brief = token->directory.known;
    if (validated->brief && token->directory.read_us < validated->read_us)
        validated->read_us = token->directory.read_us;
    render(arena, token, reference, &validated->body, &validated->body_length);
    render(arena, token, NULL, &validated->body_without_catalog, &validated->body_without_catalog_length);
    struct caller *caller = caller_create(arena);
    fill_caller(caller, arena, token, text);
    caller->details = validated;
    *ret = caller;
    return NULL;
}

static void release_caller(void *caller)
{
    caller_unref(caller);
}

static struct fault *validate_counted(struct context *cx, const char *text, int64_t window_s, struct caller **ret)
{
    struct keystone *keystone = keystone_of(cx);
    size_t length = strlen(text);
    unsigned char digest[32];
    struct caller *caller;

    if (length > LONGEST_TOKEN || EVP_Digest(text, length, digest, NULL, EVP_sha256(), NULL) != 1)
        return no_such_token(cx, text);
    caller = cache_get(keystone, digest);
    if (caller == NULL) {
        struct arena *arena = arena_create();
        struct fault *fault = read_token(cx, arena, text, digest, &caller);
        if (fault != NULL) {
            arena_destroy(arena);
            return fault;
        }
        cache_put(keystone, caller);
    }
    if (clock_now_us() >= caller->expires_us + window_s * 1000000) {
        caller_unref(caller);
        return FAULT(cx, 404, NULL, "Failed to validate token");
    }
    *ret = caller;
    return NULL;
}

struct fault *token_validate(struct context *cx, const char *text, int64_t window_s, struct caller **ret)
{
    if (text == NULL || text[0] == '\0')
        return FAULT(cx, 404, NULL, "No token in the request");
    TRY(validate_counted(cx, text, window_s, ret));
    arena_defer(cx->arena, release_caller, *ret);
    return NULL;
}

struct fault *keystone_authenticate(struct context *cx, const char *token, struct caller **ret)
{
    struct fault *fault = validate_counted(cx, token, 0, ret);

    if (fault != NULL && fault->status == 404)
        return fault_because(keystone_unauthorized(cx, "the token is not valid"), fault);
    return fault;
}

/* ---- Issue ---- */

struct fault *token_issue(struct context *cx, struct token_claims *claims, struct token **ret, const char **ret_text)
{
    const int64_t second = 1000000;
    bool revoked = false;

    claims->issued_us = clock_now_us() / second * second;
    TRY(token_build(cx, cx->arena, claims, ret, &revoked));
    /* Events count whole seconds and cover their own: a token that follows one at once waits for the next second. */
    if (revoked) {
        clock_sleep_ms((claims->issued_us + second - clock_now_us()) / 1000 + 1);
        claims->issued_us = clock_now_us() / second * second;
        TRY(token_build(cx, cx->arena, claims, ret, &revoked));
        if (revoked)
            return keystone_unauthorized(cx, "what the token is made from was revoked");
    }
    TRY(provider_seal(cx, claims, ret_text, &claims->issued_us));
    (*ret)->claims.issued_us = claims->issued_us;
    return NULL;
}
