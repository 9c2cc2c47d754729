/* SPDX-License-Identifier: Apache-2.0 */
#include "keystone/authenticate.h"

#include "base/clock.h"
#include "keystone/login.h"
#include "keystone/token_payload.h"
#include "oslo/options.h"
#include "oslo/schema.h"

#include <string.h>

/* ---- What the body must look like (keystone/auth/schema.py) ---- */

static const struct schema text = { .types = SCHEMA_STRING };
static const struct schema truth = { .types = SCHEMA_BOOLEAN, .values = SCHEMA_WORDS("=true", "=false") };
static const struct schema domain_schema = {
    .types = SCHEMA_OBJECT, .properties = SCHEMA_PROPERTIES({ "id", &text }, { "name", &text }) };
static const struct schema user_schema = {
    .types = SCHEMA_OBJECT,
    .properties = SCHEMA_PROPERTIES({ "id", &text }, { "name", &text }, { "password", &text }, { "domain", &domain_schema }) };
static const struct schema password_schema = {
    .types = SCHEMA_OBJECT, .properties = SCHEMA_PROPERTIES({ "user", &user_schema }) };
static const struct schema token_schema = {
    .types = SCHEMA_OBJECT, .properties = SCHEMA_PROPERTIES({ "id", &text }), .required = SCHEMA_WORDS("id") };
static const struct schema methods_schema = { .types = SCHEMA_ARRAY, .items = &text };
static const struct schema identity_schema = {
    .types = SCHEMA_OBJECT,
    .properties = SCHEMA_PROPERTIES({ "methods", &methods_schema }, { "password", &password_schema }, { "token", &token_schema }),
    .required = SCHEMA_WORDS("methods") };
static const struct schema project_schema = {
    .types = SCHEMA_OBJECT,
    .properties = SCHEMA_PROPERTIES({ "name", &text }, { "id", &text }, { "domain", &domain_schema }) };
static const struct schema trust_schema = { .types = SCHEMA_OBJECT, .properties = SCHEMA_PROPERTIES({ "id", &text }) };
static const struct schema system_schema = { .types = SCHEMA_OBJECT, .properties = SCHEMA_PROPERTIES({ "all", &truth }) };
static const struct schema scope_schema = {
    .types = SCHEMA_OBJECT | SCHEMA_STRING,
    .properties = SCHEMA_PROPERTIES({ "project", &project_schema }, { "domain", &domain_schema },
        { "OS-TRUST:trust", &trust_schema }, { "system", &system_schema }) };
static const struct schema auth_schema = {
    .types = SCHEMA_OBJECT, .properties = SCHEMA_PROPERTIES({ "identity", &identity_schema }, { "scope", &scope_schema }),
    .required = SCHEMA_WORDS("identity") };

/* An object at `path` that has neither an id nor a name. */
static struct fault *check_named(struct context *cx, const json_t *auth, const char *path, const char *shown)
{
    const json_t *object = json_at(auth, path);

    if (object == NULL || json_object_get(object, "id") != NULL || json_object_get(object, "name") != NULL)
        return NULL;
    return keystone_invalid(cx, "Invalid input for field %s: id or name must be present.", shown);
}

static struct fault *check_auth(struct request *rq, const json_t *auth)
{
    TRY(keystone_check(rq, &auth_schema, auth));
    TRY(check_named(RQ(rq), auth, "identity.password.user", "identity/password/user"));
    TRY(check_named(RQ(rq), auth, "identity.password.user.domain", "identity/password/user/domain"));
    TRY(check_named(RQ(rq), auth, "scope.project", "scope/project"));
    TRY(check_named(RQ(rq), auth, "scope.project.domain", "scope/project/domain"));
    return check_named(RQ(rq), auth, "scope.domain", "scope/domain");
}

/* ---- Scope ---- */

static bool given(const char *value)
{
    return value != NULL && value[0] != '\0';
}

static struct fault *scope_domain(struct context *cx, struct tx *tx, const json_t *info, struct project **ret)
{
    const char *name = json_text_at(info, "name"), *id = json_text_at(info, "id");

    if (given(name))
        TRY(domain_find_name(tx, name, ret));
    else
        TRY(domain_find(tx, id, ret));
    if (*ret == NULL)
        return keystone_unauthorized(cx, "Could not find domain: %s.", given(name) ? name : id);
    if (!(*ret)->enabled)
        return keystone_unauthorized(cx, "Domain is disabled: %s", (*ret)->id);
    return NULL;
}

static struct fault *scope_project(struct context *cx, struct tx *tx, const json_t *info, struct project **ret)
{
    const char *name = json_text_at(info, "name"), *id = json_text_at(info, "id");
    const json_t *domain_info = json_object_get(info, "domain");
    struct project *domain;

    if (given(name)) {
        if (domain_info == NULL)
            return keystone_expecting(cx, "domain", "project");
        TRY(scope_domain(cx, tx, domain_info, &domain));
        TRY(project_find_name(tx, domain->id, name, ret));
    } else {
        TRY(project_find(tx, id, ret));
    }
    if (*ret == NULL)
        return keystone_unauthorized(cx, "Could not find project: %s.", given(name) ? name : id);
    if (!(*ret)->enabled)
        return keystone_unauthorized(cx, "Project is disabled: %s", (*ret)->id);
    TRY(domain_find(tx, (*ret)->is_domain ? (*ret)->id : (*ret)->domain_id, &domain));
    if (domain == NULL || !domain->enabled)
        return keystone_unauthorized(cx, "Domain is disabled: %s", (*ret)->domain_id);
    return NULL;
}

/* Reads "scope" into the claims. `ret_explicit`: the request named one, unscoped included. */
static struct fault *read_scope(struct context *cx, struct tx *tx, const json_t *auth, struct token_claims *claims,
    bool *ret_explicit)
{
    static const char *const kinds[] = { "project", "domain", "unscoped", "system", "OS-TRUST:trust" };
    const json_t *scope = json_object_get(auth, "scope");
    const char *kind = NULL;
    struct project *found;
    int count = 0;

    *ret_explicit = scope != NULL;
    if (scope == NULL)
        return NULL;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (json_object_get(scope, kinds[i]) != NULL ||
            (json_is_string(scope) && strcmp(json_string_value(scope), kinds[i]) == 0)) {
            kind = kinds[i];
            count++;
        }
    }
    if (count != 1 || (json_is_string(scope) && strcmp(kind, "unscoped") != 0))
        return keystone_expecting(cx, "system, project, domain, OS-TRUST:trust or unscoped", "scope");
    if (strcmp(kind, "system") == 0) {
        claims->scope = SYSTEM_SCOPED;
    } else if (strcmp(kind, "project") == 0) {
        TRY(scope_project(cx, tx, json_object_get(scope, kind), &found));
        claims->scope = PROJECT_SCOPED;
        claims->scope_id = arena_strdup(cx->arena, found->id);
    } else if (strcmp(kind, "domain") == 0) {
        TRY(scope_domain(cx, tx, json_object_get(scope, kind), &found));
        claims->scope = DOMAIN_SCOPED;
        claims->scope_id = arena_strdup(cx->arena, found->id);
    } else if (strcmp(kind, "OS-TRUST:trust") == 0) {
        const char *id = json_text_at(json_object_get(scope, kind), "id");
        if (!given(id))
            return keystone_expecting(cx, "trust_id", "trust");
        return keystone_unauthorized(cx, "Could not find trust: %s.", id);
    }
    return NULL;
}

/* The user's default project, when he has a role there and it is enabled; otherwise the token stays unscoped. */
static struct fault *default_scope(struct context *cx, struct token_claims *claims)
{
    struct token_claims wish = *claims;
    struct token *token;
    struct user *user;
    struct tx *tx;

    TRY(db_read(cx->arena, cx->app->db, &tx));
    struct fault *fault = user_find(tx, claims->user_id, &user);
    tx_end(tx);
    if (fault != NULL || user == NULL || !given(user->default_project_id))
        return fault;
    wish.scope = PROJECT_SCOPED;
    wish.scope_id = user->default_project_id;
    fault = token_build(cx, cx->arena, &wish, &token, NULL);
    if (fault == NULL)
        *claims = wish;
    return fault != NULL && fault->status >= 500 ? fault : NULL;
}

/* ---- Methods ---- */

/* Takes one of the attempts that [security_compliance] lockout_failure_attempts leaves, in one statement and before the
 * password is looked at, so that parallel attempts cannot have more of them. A right password gives all back. */
static struct fault *take_attempt(struct context *cx, const struct user *user, bool *ret_counted)
{
    const struct config *config = cx->app->config;
    int64_t attempts = config_int(config, "security_compliance", "lockout_failure_attempts");
    int64_t now = clock_now_us(), duration_us = config_int(config, "security_compliance", "lockout_duration") * 1000000;
    const char *free_again = clock_text(cx->arena, now - duration_us, CLOCK_SQL);
    json_t *exempt = NULL;
    struct tx *tx;
    int64_t taken;

    *ret_counted = false;
    if (attempts == 0)
        return NULL;
    TRY(db_read(cx->arena, cx->app->db, &tx));
    struct fault *fault = user_option(tx, user->id, "1002", &exempt);
    tx_end(tx);
    if (fault != NULL || json_is_true(exempt))
        return fault;
    TRY(db_exec(cx->arena, cx->app->db, "UPDATE local_user SET failed_auth_count = CASE WHEN failed_auth_at <= ? THEN 1"
        " ELSE COALESCE(failed_auth_count, 0) + 1 END, failed_auth_at = ? WHERE id = ? AND (failed_auth_at IS NULL"
        " OR failed_auth_at <= ? OR COALESCE(failed_auth_count, 0) < ?)",
        BIND(TEXT(free_again), TEXT(clock_text(cx->arena, now, CLOCK_SQL)), INT(user->local_id), TEXT(free_again),
            INT(attempts)), &taken));
    if (taken == 0)
        return FAULT(cx, 401, NULL, "The account is locked for user: %s.", user->id);
    *ret_counted = true;
    return NULL;
}

static struct fault *give_attempts_back(struct context *cx, const struct user *user)
{
    return db_exec(cx->arena, cx->app->db, "UPDATE local_user SET failed_auth_count = 0, failed_auth_at = NULL WHERE id = ?",
        BIND(INT(user->local_id)), NULL);
}

/* The password of a user that was looked for (NULL: not found) in a domain (NULL: not found). */
static struct fault *check_password(struct context *cx, struct user *user, const struct project *domain,
    const char *password, bool expired_is_fine)
{
    bool usable = user != NULL && domain != NULL && domain->enabled && user->enabled;
    json_t *exempt = NULL;
    bool counted = false;
    struct tx *tx;

    if (usable)
        TRY(take_attempt(cx, user, &counted));
    bool right = login_password_right(cx, usable ? user : NULL, password != NULL ? password : "") && password != NULL;
    if (!right)
        return keystone_unauthorized(cx, "Invalid username or password");
    if (counted)
        TRY(give_attempts_back(cx, user));
    if (user->password_expires_us == 0 || user->password_expires_us > clock_now_us() || expired_is_fine)
        return NULL;
    TRY(db_read(cx->arena, cx->app->db, &tx));
    struct fault *fault = user_option(tx, user->id, "1001", &exempt);
    tx_end(tx);
    if (fault != NULL || json_is_true(exempt))
        return fault;
    return FAULT(cx, 401, NULL, "The password is expired and needs to be changed for user: %s.", user->id);
}

static struct fault *find_login(struct context *cx, const json_t *info, struct user **ret_user, struct project **ret_domain)
{
    const char *name = json_text_at(info, "name"), *id = json_text_at(info, "id");
    const json_t *domain_info = json_object_get(info, "domain");
    struct tx *tx;

    *ret_user = NULL;
    *ret_domain = NULL;
    if (!given(name) && !given(id))
        return keystone_expecting(cx, "id or name", "user");
    if (given(name) && domain_info == NULL)
        return keystone_expecting(cx, "domain", "user");
    TRY(db_read(cx->arena, cx->app->db, &tx));
    if (given(name)) {
        const char *domain_name = json_text_at(domain_info, "name"), *domain_id = json_text_at(domain_info, "id");
        TRY(given(domain_name) ? domain_find_name(tx, domain_name, ret_domain) : domain_find(tx, domain_id, ret_domain));
        if (*ret_domain != NULL)
            TRY(user_find_name(tx, (*ret_domain)->id, name, ret_user));
    } else {
        TRY(user_find(tx, id, ret_user));
        if (*ret_user != NULL)
            TRY(domain_find(tx, (*ret_user)->domain_id, ret_domain));
    }
    tx_end(tx);
    return NULL;
}

struct fault *authenticate_password(struct context *cx, const char *user_id, const char *password, bool expired_is_fine,
    struct user **ret)
{
    struct project *domain = NULL;
    struct user *user;
    struct tx *tx;

    TRY(db_read(cx->arena, cx->app->db, &tx));
    TRY(user_find(tx, user_id, &user));
    if (user != NULL)
        TRY(domain_find(tx, user->domain_id, &domain));
    tx_end(tx);
    TRY(check_password(cx, user, domain, password, expired_is_fine));
    *ret = user;
    return NULL;
}

/* What the methods proved together. */
struct proof {
    const char *user_id;
    const char *parent_audit_id;
    int64_t expires_us;          /* 0: a full lifetime */
    const char **methods;        /* NULL-terminated, without doubles */
    size_t method_count;
};

static void add_method(struct proof *proof, const char *method)
{
    for (size_t i = 0; i < proof->method_count; i++)
        if (strcmp(proof->methods[i], method) == 0)
            return;
    proof->methods[proof->method_count++] = method;
}

static struct fault *prove_user(struct context *cx, struct proof *proof, const char *user_id)
{
    if (proof->user_id != NULL && strcmp(proof->user_id, user_id) != 0)
        return keystone_unauthorized(cx, "the methods are about different users");
    proof->user_id = arena_strdup(cx->arena, user_id);
    return NULL;
}

static struct fault *by_password(struct request *rq, const json_t *data, struct proof *proof)
{
    const json_t *info = json_object_get(data, "user");
    struct project *domain;
    struct user *user;

    if (info == NULL)
        return keystone_expecting(RQ(rq), "user", "password");
    TRY(find_login(RQ(rq), info, &user, &domain));
    TRY(check_password(RQ(rq), user, domain, json_text_at(info, "password"), false));
    add_method(proof, "password");
    return prove_user(RQ(rq), proof, user->id);
}

static struct fault *by_token(struct request *rq, const json_t *data, const json_t *scope, struct proof *proof)
{
    struct context *cx = RQ(rq);
    struct caller *caller;

    TRY(token_validate(cx, json_text_at(data, "id"), 0, &caller));
    const struct token_claims *claims = &token_details(caller)->token->claims;
    if (claims->scope == SYSTEM_SCOPED &&
        (json_object_get(scope, "project") != NULL || json_object_get(scope, "domain") != NULL))
        return keystone_forbidden_action(cx, "Using a system-scoped token to create a project-scoped or domain-scoped "
            "token is not allowed.");
    if (!config_bool(cx->app->config, "token", "allow_rescope_scoped_token") &&
        (claims->scope == PROJECT_SCOPED || claims->scope == DOMAIN_SCOPED))
        return keystone_forbidden_action(cx, "rescope a scoped token");
    /* The chain's first audit id and its end are kept: nobody lives on by exchanging tokens. */
    proof->parent_audit_id = claims->parent_audit_id != NULL ? claims->parent_audit_id : claims->audit_id;
    if (proof->expires_us == 0 || claims->expires_us < proof->expires_us)
        proof->expires_us = claims->expires_us;
    add_method(proof, "token");
    for (size_t i = 0; claims->methods[i] != NULL; i++)
        add_method(proof, claims->methods[i]);
    return prove_user(cx, proof, claims->user_id);
}

static struct fault *unsupported(struct context *cx)
{
    const char *const *methods = config_list(cx->app->config, "auth", "methods", NULL);
    json_t *list = json_keep(cx->arena, json_array());
    struct fault *fault = FAULT(cx, 401, NULL, "Attempted to authenticate with an unsupported method.");

    for (size_t i = 0; methods[i] != NULL; i++)
        json_array_append_new(list, json_string(methods[i]));
    fault->extra_json = arena_printf(cx->arena, "{\"methods\": %s}", json_dump(cx->arena, list));
    return fault;
}

static struct fault *check_methods(struct context *cx, const json_t *identity, const json_t *methods)
{
    const char *const *allowed = config_list(cx->app->config, "auth", "methods", NULL);

    for (size_t i = 0; i < json_array_size(methods); i++) {
        const char *method = json_string_value(json_array_get(methods, i));
        if (json_object_get(identity, method) == NULL)
            return keystone_expecting(cx, method, "identity");
    }
    for (size_t i = 0; i < json_array_size(methods); i++) {
        const char *method = json_string_value(json_array_get(methods, i));
        bool here = strcmp(method, "password") == 0 || strcmp(method, "token") == 0, found = false;
        for (size_t k = 0; allowed[k] != NULL; k++)
            found = found || strcmp(allowed[k], method) == 0;
        if (!here || !found)
            return unsupported(cx);
    }
    return NULL;
}

static bool named_before(const json_t *methods, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (json_equal(json_array_get(methods, i), json_array_get(methods, at)))
            return true;
    return false;
}

static struct fault *prove(struct request *rq, const json_t *auth, struct proof *proof)
{
    const json_t *identity = json_object_get(auth, "identity"), *methods = json_object_get(identity, "methods");

    proof->methods = ARENA_ARRAY(rq->cx.arena, const char *, json_array_size(methods) + 16);
    for (size_t i = 0; i < json_array_size(methods); i++) {
        const char *method = json_string_value(json_array_get(methods, i));
        const json_t *data = json_object_get(identity, method);
        if (named_before(methods, i)) /* or one request could have a password hashed a thousand times */
            continue;
        if (!json_is_object(data))
            return keystone_expecting(RQ(rq), method, "identity");
        if (strcmp(method, "password") == 0)
            TRY(by_password(rq, data, proof));
        else
            TRY(by_token(rq, data, json_object_get(auth, "scope"), proof));
    }
    if (proof->user_id == NULL)
        return keystone_unauthorized(RQ(rq), "User not found by auth plugin; authentication failed");
    return NULL;
}

/* A user may ask for more than one method (options multi_factor_auth_rules and _enabled). */
static struct fault *check_factors(struct context *cx, const struct proof *proof)
{
    json_t *rules, *enabled;
    struct tx *tx;

    TRY(db_read(cx->arena, cx->app->db, &tx));
    TRY(user_option(tx, proof->user_id, "MFAR", &rules));
    TRY(user_option(tx, proof->user_id, "MFAE", &enabled));
    tx_end(tx);
    if (json_array_size(rules) == 0 || json_is_false(enabled))
        return NULL;
    for (size_t i = 0; i < json_array_size(rules); i++) {
        const json_t *rule = json_array_get(rules, i);
        bool all = json_array_size(rule) > 0;
        for (size_t k = 0; k < json_array_size(rule); k++) {
            const char *method = json_string_value(json_array_get(rule, k));
            bool used = false;
            for (size_t m = 0; m < proof->method_count; m++)
                used = used || (method != NULL && strcmp(proof->methods[m], method) == 0);
            all = all && used;
        }
        if (all)
            return NULL;
    }
    return FAULT(cx, 401, NULL, "Insufficient auth methods received for %s. Auth Methods Provided: [%s].", proof->user_id,
        proof->methods[0]);
}

struct fault *authenticate(struct request *rq, const json_t *auth, struct token_claims *ret)
{
    struct context *cx = RQ(rq);
    struct proof proof = { 0 };
    bool explicit_scope;
    struct tx *tx;

    if (auth == NULL || json_is_null(auth))
        return keystone_expecting(cx, "auth", "request body");
    TRY(check_auth(rq, auth));
    TRY(check_methods(cx, json_object_get(auth, "identity"), json_at(auth, "identity.methods")));
    *ret = (struct token_claims){ 0 };
    TRY(db_read(cx->arena, cx->app->db, &tx));
    struct fault *wrong_scope = read_scope(cx, tx, auth, ret, &explicit_scope);
    tx_end(tx);
    if (wrong_scope != NULL && wrong_scope->status != 401)
        return wrong_scope;
    /* Only who proved himself learns that his scope is wrong. */
    TRY(prove(rq, auth, &proof));
    if (wrong_scope != NULL)
        return wrong_scope;
    TRY(check_factors(cx, &proof));
    ret->user_id = proof.user_id;
    ret->methods = proof.methods;
    ret->audit_id = token_audit_id(cx->arena);
    ret->parent_audit_id = proof.parent_audit_id;
    ret->expires_us = proof.expires_us != 0 ? proof.expires_us :
        (clock_now_us() / 1000000 + config_int(cx->app->config, "token", "expiration")) * 1000000;
    if (!explicit_scope)
        return default_scope(cx, ret);
    return NULL;
}
