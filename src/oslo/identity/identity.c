/* SPDX-License-Identifier: Apache-2.0
 * identity: see identity.h. Validated tokens are kept in a few locked tables by their SHA-256. */
#include "oslo/identity.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/text.h"
#include "oslo/app.h"
#include "oslo/identity/access_rules.h"
#include "oslo/identity/token_cache.h"
#include "oslo/rest.h"
#include "oslo/rest/session.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { SHARDS = 16, SHARD_ENTRIES = 2048, TOKEN_LIMIT = 16384 };
#define SECOND_US 1000000

struct entry {
    struct caller *caller;
    int64_t until_us;
    uint64_t generation;
};

static struct shard {
    pthread_mutex_t lock;
    struct map entries; /* hex digest -> struct entry * */
    struct flight *flights;
    pthread_cond_t landed;
} shards[SHARDS] = { [0 ... SHARDS - 1] = { .lock = PTHREAD_MUTEX_INITIALIZER, .landed = PTHREAD_COND_INITIALIZER } };

/* A validation under way, on the stack of the one who makes it; who wants the same waits for it. */
struct flight {
    struct flight *next;
    const char *digest;
    bool allow_expired, done;
    unsigned waiting;
    struct caller *caller; /* the result; NULL: not a token */
    bool failed;
};

static _Atomic uint64_t generation;

void identity_revoked(struct app *app)
{
    identity_forget();
    token_cache_revoked(app);
}

struct fault *identity_start(struct context *cx)
{
    return token_cache_start(cx);
}

void identity_forget(void)
{
    atomic_fetch_add(&generation, 1);
}

uint64_t identity_generation(void)
{
    return atomic_load(&generation);
}

/* ---- the cache ---- */

static bool digest_of(const char *token, char hex[65])
{
    unsigned char raw[32];
    if (EVP_Q_digest(NULL, "SHA256", NULL, token, strlen(token), raw, NULL) != 1)
        return false;
    text_hex_write(hex, raw, sizeof(raw));
    return true;
}

static struct shard *shard_of(const char *digest)
{
    return &shards[(unsigned char)digest[0] % SHARDS];
}

static void entry_free(struct entry *entry)
{
    if (entry != NULL)
        caller_unref(entry->caller);
    free(entry);
}

static struct caller *cached(const char *digest)
{
    struct shard *shard = shard_of(digest);
    struct caller *caller = NULL;
    pthread_mutex_lock(&shard->lock);
    struct entry *entry = map_get(&shard->entries, digest);
    if (entry != NULL && entry->generation == identity_generation() && clock_now_us() < entry->until_us)
        caller = caller_ref(entry->caller);
    else if (entry != NULL)
        entry_free(map_remove(&shard->entries, digest));
    pthread_mutex_unlock(&shard->lock);
    return caller;
}

static void empty(struct shard *shard)
{
    struct map_entry *at;
    for (size_t i = 0; (at = map_next(&shard->entries, &i)) != NULL;)
        entry_free(at->value);
    map_release(&shard->entries);
}

/* `seen`: the generation before keystone was asked: a revocation in between must not be missed. */
static void remember(const struct app *app, const char *digest, struct caller *caller, uint64_t seen)
{
    int64_t keep_us = config_int(app->config, "keystone_authtoken", "token_cache_time") * SECOND_US;
    if (keep_us <= 0)
        return;
    struct entry *entry = calloc(1, sizeof(*entry));
    if (entry == NULL)
        abort();
    int64_t until_us = clock_now_us() + keep_us;
    *entry = (struct entry){ caller_ref(caller), until_us < caller->expires_us ? until_us : caller->expires_us, seen };
    struct shard *shard = shard_of(digest);
    pthread_mutex_lock(&shard->lock);
    if (shard->entries.count >= SHARD_ENTRIES)
        empty(shard);
    entry_free(map_set(&shard->entries, digest, entry));
    pthread_mutex_unlock(&shard->lock);
}

static bool is_cached(const char *token)
{
    char digest[65];
    struct caller *caller = strlen(token) <= TOKEN_LIMIT && digest_of(token, digest) ? cached(digest) : NULL;
    caller_unref(caller);
    return caller != NULL;
}

/* ---- keystone's answer ---- */

static const char *const *names_of(struct arena *arena, const json_t *roles, const char *member)
{
    size_t count = json_array_size(roles);
    const char **list = ARENA_ARRAY(arena, const char *, count + 1);
    for (size_t i = 0; i < count; i++) {
        const char *text = json_text_at(json_array_get(roles, i), member);
        list[i] = arena_strdup(arena, text != NULL ? text : "");
    }
    return list;
}

/* NULL: the document is not one of keystone's (it may come from memcached, where others write too). */
static struct caller *caller_from_token(const json_t *token, const char *text)
{
    if (!json_is_object(token))
        return NULL;
    struct arena *owned = arena_create();
    struct caller *c = caller_create(owned);
    const struct {
        const char **to;
        const char *path;
    } members[] = {
        { &c->user_id, "user.id" },
        { &c->user_name, "user.name" },
        { &c->user_domain_id, "user.domain.id" },
        { &c->user_domain_name, "user.domain.name" },
        { &c->project_id, "project.id" },
        { &c->project_name, "project.name" },
        { &c->project_domain_id, "project.domain.id" },
        { &c->project_domain_name, "project.domain.name" },
        { &c->domain_id, "domain.id" },
        { &c->domain_name, "domain.name" },
        { &c->trust_id, "OS-TRUST:trust.id" },
    };
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
        *members[i].to = arena_strdup(owned, json_text_at(token, members[i].path));
    c->system_scope = json_bool_at(token, "system.all", false) ? "all" : NULL;
    c->roles = names_of(owned, json_object_get(token, "roles"), "name");
    c->role_ids = names_of(owned, json_object_get(token, "roles"), "id");
    c->is_admin_project = json_bool_at(token, "is_admin_project", true);
    c->token = arena_strdup(owned, text);
    const json_t *rules = json_at(token, "application_credential.access_rules");
    if (rules != NULL)
        c->access_rules = json_dump(owned, rules);
    const char *expires = json_text_at(token, "expires_at");
    bool whole = c->user_id != NULL && c->user_name != NULL && c->user_domain_id != NULL && c->user_domain_name != NULL &&
        (c->project_id == NULL || (c->project_name != NULL && c->project_domain_id != NULL && c->project_domain_name != NULL)) &&
        (c->domain_id == NULL || c->domain_name != NULL);
    if (expires == NULL || !clock_parse(expires, &c->expires_us) || !whole) {
        caller_unref(c);
        return NULL;
    }
    return c;
}

static bool is_fresh(const struct caller *caller, bool allow_expired)
{
    return caller != NULL && (allow_expired || caller->expires_us > clock_now_us());
}

static struct fault *ask_keystone(struct context *cx, const char *token, bool allow_expired, struct caller **ret)
{
    const char *const headers[] = { "X-Subject-Token", token, "OpenStack-Identity-Access-Rules", "1.0", NULL };
    struct rest_response answer;
    /* No user may be current while we ask as ourselves. */
    struct context own = *cx;
    own.caller = NULL;
    *ret = caller_from_token(json_object_get(token_cache_get(cx, token), "token"), token);
    if (is_fresh(*ret, allow_expired))
        return NULL;
    caller_unref(*ret);
    *ret = NULL;
    TRY(rest_call(&own, &(struct rest){ .service = "identity", .method = GET,
        .path = arena_printf(cx->arena, "/v3/auth/tokens?%s%s", token_cache_wants_catalog(cx->app) ? "" : "nocatalog&",
            allow_expired ? "allow_expired=1" : ""),
        .as = AS_SERVICE, .headers = headers, .accept_status = -1 }, &answer));
    if (answer.status == 404 || answer.status == 401)
        return NULL;
    if (answer.status != 200) {
        struct fault *fault = FAULT(cx, 503, NULL, "The Keystone service is temporarily unavailable.");
        return fault_detail(cx->arena, fault, "token validation answered %d", answer.status);
    }
    *ret = caller_from_token(json_object_get(answer.body, "token"), token);
    if (*ret != NULL)
        token_cache_put(cx, token, answer.body);
    return NULL;
}

static struct fault *unavailable(struct context *cx, struct fault *fault)
{
    if (fault == NULL)
        return NULL;
    log_error("keystonemiddleware.auth_token", "keystone cannot be asked: %s", fault_text(cx->arena, fault));
    return fault_because(FAULT(cx, 503, NULL, "The Keystone service is temporarily unavailable."), fault);
}

static struct fault *wait_for(struct context *cx, struct shard *shard, struct flight *flight, struct caller **ret)
{
    flight->waiting++;
    while (!flight->done)
        pthread_cond_wait(&shard->landed, &shard->lock);
    *ret = caller_ref(flight->caller);
    bool failed = flight->failed;
    flight->waiting--;
    pthread_cond_broadcast(&shard->landed);
    return failed ? FAULT(cx, 503, NULL, "The Keystone service is temporarily unavailable.") : NULL;
}

/* One asks, the others wait for what it hears. */
static struct fault *ask(struct context *cx, const char *token, const char *digest, bool allow_expired, struct caller **ret)
{
    struct shard *shard = shard_of(digest);
    struct fault *fault;
    pthread_mutex_lock(&shard->lock);
    for (struct flight *f = shard->flights; f != NULL; f = f->next)
        if (f->allow_expired == allow_expired && strcmp(f->digest, digest) == 0) {
            fault = wait_for(cx, shard, f, ret);
            pthread_mutex_unlock(&shard->lock);
            return fault;
        }
    struct flight own = { .next = shard->flights, .digest = digest, .allow_expired = allow_expired };
    shard->flights = &own;
    pthread_mutex_unlock(&shard->lock);
    fault = unavailable(cx, ask_keystone(cx, token, allow_expired, ret));
    pthread_mutex_lock(&shard->lock);
    struct flight **link = &shard->flights;
    while (*link != &own)
        link = &(*link)->next;
    *link = own.next;
    own.caller = fault == NULL ? *ret : NULL;
    own.failed = fault != NULL;
    own.done = true;
    pthread_cond_broadcast(&shard->landed);
    while (own.waiting > 0)
        pthread_cond_wait(&shard->landed, &shard->lock);
    pthread_mutex_unlock(&shard->lock);
    return fault;
}

/* *ret NULL: not a token. */
static struct fault *validate(struct context *cx, const char *token, bool allow_expired, struct caller **ret)
{
    struct app *app = cx->app;
    *ret = NULL;
    if (strlen(token) > TOKEN_LIMIT || strpbrk(token, "\r\n") != NULL)
        return NULL;
    if (app->service->authenticate != NULL)
        return app->service->authenticate(cx, token, ret);
    char digest[65];
    if (!digest_of(token, digest))
        return NULL;
    *ret = cached(digest);
    if (*ret != NULL)
        return NULL;
    uint64_t seen = identity_generation();
    TRY(ask(cx, token, digest, allow_expired, ret));
    if (*ret != NULL && (*ret)->expires_us > clock_now_us())
        remember(app, digest, *ret, seen);
    return NULL;
}

bool identity_waits(const struct request *rq)
{
    const struct app *app = rq->cx.app, *keystone = cloud_app(app->cloud, "identity");
    if (app->service->authenticate != NULL || (keystone != NULL && keystone->serves_api))
        return false;
    const char *token = request_header(rq, "X-Auth-Token"), *service_token = request_header(rq, "X-Service-Token");
    return (token != NULL && !is_cached(token)) || (service_token != NULL && !is_cached(service_token));
}

/* ---- requests ---- */

static void release_caller(void *caller)
{
    caller_unref(caller);
}

static struct fault *unauthorized(struct request *rq)
{
    const struct dialect *dialect = rq->cx.app->service->dialect;
    if (dialect->unauthorized != NULL)
        return dialect->unauthorized(rq);
    response_headerf(rq, "WWW-Authenticate", "Keystone uri=\"%s\"",
        config_str(rq->cx.app->config, "keystone_authtoken", "www_authenticate_uri"));
    return FAULT(RQ(rq), 401, IDENTITY_UNAUTHORIZED, "The request you have made requires authentication.");
}

const char IDENTITY_UNAUTHORIZED[] = "identity.unauthorized";

/* A caller with the roles of the service that passes the request on. */
static struct caller *with_service_roles(const struct caller *user, const struct caller *service)
{
    struct arena *owned = arena_create();
    json_t *json = caller_to_json(user);
    json_t *roles = json_array();
    for (const char *const *r = service->roles; *r != NULL; r++)
        json_array_append_new(roles, json_string(*r));
    json_object_set_new(json, "service_roles", roles);
    struct caller *both = caller_from_json(owned, json);
    json_decref(json);
    struct caller *kept = caller_ref(both);
    arena_destroy(owned);
    kept->details = user->details; /* both end with the request */
    kept->access_rules = user->access_rules;
    return kept;
}

static bool among(const char *const *list, const char *word)
{
    for (; *list != NULL; list++)
        if (strcmp(*list, word) == 0)
            return true;
    return false;
}

static bool has_service_role(const struct app *app, const struct caller *service)
{
    const char *const *wanted = config_list(app->config, "keystone_authtoken", "service_token_roles", NULL);
    for (const char *const *role = service->roles; *role != NULL; role++)
        if (among(wanted, *role))
            return true;
    return false;
}

/* *ret NULL: there is no service token. Only one with a role of service_token_roles lets an expired user's token pass; without
 * service_token_roles_required any valid one is taken, as auth_token does. */
static struct fault *take_service_token(struct request *rq, struct caller **ret, bool *ret_allow_expired)
{
    const struct app *app = rq->cx.app;
    const char *text = request_header(rq, "X-Service-Token");
    *ret = NULL;
    *ret_allow_expired = false;
    if (text == NULL || *text == '\0')
        return NULL;
    TRY(validate(RQ(rq), text, false, ret));
    if (*ret == NULL)
        return unauthorized(rq);
    arena_defer(rq->cx.arena, release_caller, *ret);
    *ret_allow_expired = has_service_role(app, *ret);
    if (!*ret_allow_expired && config_bool(app->config, "keystone_authtoken", "service_token_roles_required"))
        return unauthorized(rq);
    return NULL;
}

struct fault *identity_authenticate(struct request *rq)
{
    const char *token = request_header(rq, "X-Auth-Token");
    struct caller *caller = NULL, *service;
    bool allow_expired;
    if (rq->cx.app->service->unproven != NULL)
        TRY(rq->cx.app->service->unproven(rq, &caller));
    if (caller != NULL) {
        arena_defer(rq->cx.arena, release_caller, caller);
        rq->cx.caller = caller;
        return NULL;
    }
    if (token == NULL || *token == '\0')
        return unauthorized(rq);
    TRY(take_service_token(rq, &service, &allow_expired));
    TRY(validate(RQ(rq), token, allow_expired, &caller));
    if (caller == NULL)
        return unauthorized(rq);
    if (service != NULL) {
        arena_defer(rq->cx.arena, release_caller, caller); /* its details are the copy's, too */
        caller = with_service_roles(caller, service);
    }
    arena_defer(rq->cx.arena, release_caller, caller);
    rq->cx.caller = caller;
    /* A request with a service's token goes on from one that was let through. */
    if (caller->access_rules != NULL && service == NULL &&
        !access_rules_allow(caller->access_rules, rq->cx.app->service->type, rq->method_name, rq->path))
        return unauthorized(rq);
    return NULL;
}

/* The token's own members, as keystone's rules name them. */
static const char *token_member(const void *data, const char *key, size_t index)
{
    const struct caller *caller = data;
    if (index > 0)
        return NULL;
    if (strcmp(key, "token.domain.id") == 0)
        return caller->domain_id;
    if (strcmp(key, "token.project.domain.id") == 0)
        return caller->project_domain_id;
    if (strcmp(key, "token.user.domain.id") == 0)
        return caller->user_domain_id;
    return NULL;
}

void identity_credentials(const struct caller *caller, struct policy_credentials *ret)
{
    *ret = (struct policy_credentials){
        .user_id = caller->user_id,
        .user_domain_id = caller->user_domain_id,
        .project_id = caller->project_id,
        .project_domain_id = caller->project_domain_id,
        .domain_id = caller->domain_id,
        .system_scope = caller->system_scope,
        .roles = caller->roles,
        .service_roles = caller->service_roles,
        .is_admin_project = caller->is_admin_project,
        .lookup = token_member,
        .data = caller,
    };
}

void identity_stop(struct app *app)
{
    session_stop(app);
    for (int i = 0; i < SHARDS; i++) {
        pthread_mutex_lock(&shards[i].lock);
        empty(&shards[i]);
        pthread_mutex_unlock(&shards[i].lock);
    }
}
