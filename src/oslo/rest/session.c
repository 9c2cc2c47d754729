/* SPDX-License-Identifier: Apache-2.0
 * session: see session.h. One entry a section, in app->identity; each has its own lock, so that one log-in at a time runs and
 * the others wait for its token. */
#include "oslo/rest/session.h"

#include "base/clock.h"
#include "oslo/app.h"
#include "oslo/catalog.h"
#include "oslo/rest.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { RENEW_BEFORE_S = 300, CATALOG_AGE_S = 10 };
#define SECOND_US 1000000

static const char own_group[] = "keystone_authtoken";

struct session {
    struct session *next;
    char *group;
    pthread_mutex_t lock;
    char *token;
    json_t *token_body; /* "token" of the answer */
    int64_t expires_us, made_us;
    int64_t failed_us; /* when the last log-in failed */
};

/* ---- options ---- */

/* NULL when the section has no such option, or it is not set. */
static const char *text_of(const struct config *config, const char *group, const char *name)
{
    const char *text = config_has(config, group, name) ? config_str(config, group, name) : NULL;
    return text != NULL && *text != '\0' ? text : NULL;
}

/* The section that says how to log in for a group: its own, the one that auth_section names, else the service's. */
static const char *auth_group(const struct config *config, const char *group)
{
    static const char *const signs[] = { "auth_type", "username", "user_id", "token", "application_credential_id" };
    const char *section = text_of(config, group, "auth_section");
    if (section != NULL && config_has(config, section, "auth_url"))
        group = section;
    for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++)
        if (text_of(config, group, signs[i]) != NULL && text_of(config, group, "auth_url") != NULL)
            return group;
    return own_group;
}

static struct session *session_of(struct app *app, const char *group)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    group = auth_group(app->config, group);
    pthread_mutex_lock(&lock);
    struct session *session = app->identity;
    while (session != NULL && strcmp(session->group, group) != 0)
        session = session->next;
    if (session == NULL) {
        session = calloc(1, sizeof(*session));
        char *name = strdup(group);
        if (session == NULL || name == NULL)
            abort();
        session->group = name;
        pthread_mutex_init(&session->lock, NULL);
        session->next = app->identity;
        app->identity = session;
    }
    pthread_mutex_unlock(&lock);
    return session;
}

/* ---- logging in ---- */

static void set_text(json_t *object, const char *name, const char *text)
{
    if (text != NULL)
        json_object_set_new(object, name, json_string(text));
}

/* {"id": ...} or {"name": ...} of a domain; NULL where none is named at all. */
static json_t *domain_of(const struct config *config, const char *group, const char *id_option, const char *name_option)
{
    const char *id = text_of(config, group, id_option), *name = text_of(config, group, name_option);
    if (id == NULL && name == NULL) {
        id = text_of(config, group, "default_domain_id");
        name = text_of(config, group, "default_domain_name");
    }
    json_t *domain = json_object();
    if (id != NULL)
        set_text(domain, "id", id);
    else
        set_text(domain, "name", name != NULL ? name : "Default");
    return domain;
}

static json_t *user_of(const struct config *config, const char *group)
{
    json_t *user = json_object();
    const char *id = text_of(config, group, "user_id");
    set_text(user, "id", id);
    if (id == NULL) {
        set_text(user, "name", text_of(config, group, "username"));
        json_object_set_new(user, "domain", domain_of(config, group, "user_domain_id", "user_domain_name"));
    }
    return user;
}

static json_t *scope_of(const struct config *config, const char *group)
{
    const char *id = text_of(config, group, "project_id"), *name = text_of(config, group, "project_name");
    if (text_of(config, group, "trust_id") != NULL)
        return json_pack("{s:{s:s}}", "OS-TRUST:trust", "id", text_of(config, group, "trust_id"));
    if (text_of(config, group, "system_scope") != NULL)
        return json_pack("{s:{s:b}}", "system", "all", true);
    if (id != NULL)
        return json_pack("{s:{s:s}}", "project", "id", id);
    if (name != NULL)
        return json_pack("{s:{s:s,s:o}}", "project", "name", name, "domain",
            domain_of(config, group, "project_domain_id", "project_domain_name"));
    if (text_of(config, group, "domain_id") != NULL)
        return json_pack("{s:{s:s}}", "domain", "id", text_of(config, group, "domain_id"));
    if (text_of(config, group, "domain_name") != NULL)
        return json_pack("{s:{s:s}}", "domain", "name", text_of(config, group, "domain_name"));
    return NULL;
}

static json_t *application_credential(const struct config *config, const char *group)
{
    json_t *credential = json_pack("{s:s?}", "secret", text_of(config, group, "application_credential_secret"));
    const char *id = text_of(config, group, "application_credential_id");
    set_text(credential, "id", id);
    if (id == NULL) {
        set_text(credential, "name", text_of(config, group, "application_credential_name"));
        json_object_set_new(credential, "user", user_of(config, group));
    }
    return credential;
}

static json_t *login_body(const struct config *config, const char *group)
{
    const char *type = text_of(config, group, "auth_type");
    json_t *identity, *scope = NULL;
    if (type != NULL && strcmp(type, "v3applicationcredential") == 0) {
        identity = json_pack("{s:[s],s:o}", "methods", "application_credential", "application_credential",
            application_credential(config, group));
    } else if (type != NULL && strstr(type, "token") != NULL) {
        identity = json_pack("{s:[s],s:{s:s?}}", "methods", "token", "token", "id", text_of(config, group, "token"));
        scope = scope_of(config, group);
    } else {
        json_t *user = user_of(config, group);
        set_text(user, "password", text_of(config, group, "password"));
        identity = json_pack("{s:[s],s:{s:o}}", "methods", "password", "password", "user", user);
        scope = scope_of(config, group);
    }
    json_t *auth = json_pack("{s:o}", "identity", identity);
    if (scope != NULL)
        json_object_set_new(auth, "scope", scope);
    return json_pack("{s:o}", "auth", auth);
}

static void session_clear(struct session *session)
{
    if (session->token != NULL)
        OPENSSL_cleanse(session->token, strlen(session->token));
    free(session->token);
    json_decref(session->token_body);
    session->token = NULL;
    session->token_body = NULL;
}

static struct fault *log_in(struct context *cx, struct session *session)
{
    struct rest_response answer;
    struct context nobody = *cx;
    nobody.caller = NULL;
    const char *name = cx->app->service->name;
    json_t *body = json_keep(cx->arena, login_body(cx->app->config, session->group));
    struct fault *fault = rest_call(&nobody, &(struct rest){ .service = "identity", .group = session->group, .method = POST,
        .path = "/v3/auth/tokens", .body = body, .as = AS_NOBODY }, &answer);
    if (fault != NULL)
        return fault_because(FAULT(cx, 503, NULL, "The service %s cannot log in to keystone.", name), fault);
    const char *token = rest_header(&answer, "X-Subject-Token");
    const char *expires = json_text_at(answer.body, "token.expires_at");
    int64_t expires_us;
    if (token == NULL || expires == NULL || !clock_parse(expires, &expires_us))
        return FAULT(cx, 503, NULL, "Keystone gave %s no token.", name);
    session_clear(session);
    session->token = strdup(token);
    session->token_body = json_deep_copy(json_object_get(answer.body, "token"));
    session->expires_us = expires_us;
    session->made_us = clock_monotonic_us();
    return NULL;
}

/* With the session's lock. Who waited for it while another's log-in failed does not try again: when keystone is away, a queue of
 * callers would take turns in waiting for it. `began_us`: when the caller began to wait. */
static struct fault *ensure(struct context *cx, struct session *session, int64_t began_us)
{
    bool fresh = session->token != NULL && session->expires_us - clock_now_us() > (int64_t)RENEW_BEFORE_S * SECOND_US;
    if (fresh)
        return NULL;
    if (session->failed_us > began_us)
        return FAULT(cx, 503, NULL, "The service %s cannot log in to keystone.", cx->app->service->name);
    struct fault *fault = log_in(cx, session);
    if (fault != NULL)
        session->failed_us = clock_monotonic_us();
    return fault;
}

struct fault *session_token(struct context *cx, const char *group, const char **ret)
{
    struct session *session = session_of(cx->app, group);
    int64_t began_us = clock_monotonic_us();
    pthread_mutex_lock(&session->lock);
    struct fault *fault = ensure(cx, session, began_us);
    if (fault == NULL)
        *ret = arena_strdup(cx->arena, session->token);
    pthread_mutex_unlock(&session->lock);
    return fault;
}

void session_reject(struct app *app, const char *group, const char *token)
{
    struct session *session = session_of(app, group);
    pthread_mutex_lock(&session->lock);
    if (session->token != NULL && strcmp(session->token, token) == 0)
        session_clear(session);
    pthread_mutex_unlock(&session->lock);
}

/* ---- where others are ---- */

const char *session_auth_base(struct context *cx, const char *group)
{
    const char *url = text_of(cx->app->config, auth_group(cx->app->config, group), "auth_url");
    return url != NULL ? catalog_base(cx->arena, url) : NULL;
}

/* valid_interfaces, else what older sections say (neutron's endpoint_type, auth_token's interface). */
static const char *const *interfaces_of(struct arena *arena, const struct config *config, const char *group)
{
    const char *one = text_of(config, group, "endpoint_type");
    one = one != NULL ? one : text_of(config, group, "interface");
    if (config_has(config, group, "valid_interfaces") && (one == NULL || config_is_set(config, group, "valid_interfaces")))
        return config_list(config, group, "valid_interfaces", NULL);
    const char **list = ARENA_ARRAY(arena, const char *, 2);
    list[0] = one != NULL ? one : "public";
    return list;
}

static const char *from_catalog(struct context *cx, const struct rest_target *target, const struct session *session)
{
    const struct config *config = cx->app->config;
    bool identity = strcmp(target->type, "identity") == 0; /* [keystone_authtoken] service_type means the caller's own */
    const char *type = identity ? NULL : text_of(config, target->group, "service_type");
    const struct catalog_query query = { .type = type != NULL ? type : target->type,
        .name = text_of(config, target->group, "service_name"), .region = text_of(config, target->group, "region_name"),
        .interfaces = interfaces_of(cx->arena, config, target->group) };
    return catalog_endpoint(json_object_get(session->token_body, "catalog"), &query);
}

static struct fault *look_up(struct context *cx, const struct rest_target *target, struct session *session, int64_t began_us,
    const char **ret)
{
    TRY(ensure(cx, session, began_us));
    const char *url = from_catalog(cx, target, session);
    /* A service that came after our login: look again, but not with every call. */
    if (url == NULL && clock_monotonic_us() - session->made_us > (int64_t)CATALOG_AGE_S * SECOND_US) {
        TRY(log_in(cx, session));
        url = from_catalog(cx, target, session);
    }
    *ret = url != NULL ? catalog_base(cx->arena, url) : NULL;
    return NULL;
}

struct fault *session_endpoint(struct context *cx, const struct rest_target *target, const char **ret)
{
    struct session *session = session_of(cx->app, target->group);
    const char *override = text_of(cx->app->config, target->group, "endpoint_override");
    struct fault *fault = NULL;
    int64_t began_us = clock_monotonic_us();
    if (override == NULL && config_has(cx->app->config, target->group, "api_servers"))
        override = config_list(cx->app->config, target->group, "api_servers", NULL)[0]; /* nova's [glance] */
    *ret = NULL;
    pthread_mutex_lock(&session->lock);
    if (override == NULL)
        fault = look_up(cx, target, session, began_us, ret);
    else if (strstr(override, "_id)s") == NULL)
        *ret = catalog_base(cx->arena, override);
    else if ((fault = ensure(cx, session, began_us)) == NULL)
        *ret = catalog_base(cx->arena, catalog_fill(cx->arena, override, json_text_at(session->token_body, "project.id"),
            json_text_at(session->token_body, "user.id")));
    pthread_mutex_unlock(&session->lock);
    if (fault == NULL && *ret == NULL && strcmp(target->type, "identity") == 0)
        *ret = session_auth_base(cx, target->group);
    if (fault == NULL && *ret == NULL)
        fault = FAULT(cx, 503, NULL, "The catalog has no %s service.", target->type);
    return fault;
}

static int number_of(const struct config *config, const char *group, const char *name, int absent)
{
    return config_has(config, group, name) && config_str(config, group, name) != NULL ? (int)config_int(config, group, name)
                                                                                      : absent;
}

void session_limits(const struct app *app, const char *group, struct http_exchange *exchange)
{
    const struct config *config = app->config;
    int timeout_s = number_of(config, group, "timeout", 0);
    if (timeout_s > 0 && timeout_s * 1000 < exchange->timeout_ms && exchange->sink == NULL)
        exchange->timeout_ms = timeout_s * 1000;
    exchange->connect_timeout_ms = number_of(config, group, "http_connect_timeout", 0) * 1000;
    exchange->connect_retries = number_of(config, group, "connect_retries",
        number_of(config, group, "http_request_max_retries", 3));
    exchange->status_retries = number_of(config, group, "status_code_retries", 1);
    exchange->tls = (struct http_tls){ .cafile = text_of(config, group, "cafile"), .certfile = text_of(config, group, "certfile"),
        .keyfile = text_of(config, group, "keyfile"),
        .insecure = config_has(config, group, "insecure") && config_bool(config, group, "insecure") };
}

void session_stop(struct app *app)
{
    while (app->identity != NULL) {
        struct session *session = app->identity;
        app->identity = session->next;
        session_clear(session);
        pthread_mutex_destroy(&session->lock);
        free(session->group);
        free(session);
    }
}
