/* SPDX-License-Identifier: Apache-2.0
 *
 * users. API reference: Users, identity v3. Passwords are hashed before the transaction, on the slow pool.
 */
#include "keystone/application_credential/application_credentials.h"
#include "keystone/auth/authenticate.h"
#include "keystone/auth/login.h"
#include "keystone/credential/credentials.h"
#include "keystone/edit.h"
#include "keystone/identity/directory_api.h"
#include "keystone/identity/groups.h"
#include "keystone/identity/password.h"
#include "keystone/identity/shadow_users.h"
#include "keystone/identity/users.h"
#include "keystone/notifications.h"
#include "keystone/resource/projects.h"
#include "keystone/schemas.h"
#include "keystone/token/revocation.h"
#include "keystone/trust/trusts.h"

#include "base/clock.h"
#include "oslo/options.h"
#include "oslo/policy.h"

#include <string.h>

/* ---- Bodies ---- */

static const struct schema boolean_or_null = { .types = SCHEMA_BOOLEAN | SCHEMA_NULL };
static const struct schema rule_schema = { .types = SCHEMA_ARRAY, .items = &schema_text, .min_items = 1, .unique_items = true };
static const struct schema rules_schema = { .types = SCHEMA_ARRAY | SCHEMA_NULL, .items = &rule_schema, .unique_items = true };
static const struct schema options_schema = {
    .types = SCHEMA_OBJECT,
    .properties = SCHEMA_PROPERTIES({ "ignore_change_password_upon_first_use", &boolean_or_null },
        { "ignore_password_expiry", &boolean_or_null }, { "ignore_lockout_failure_attempts", &boolean_or_null },
        { "lock_password", &boolean_or_null }, { "ignore_user_inactivity", &boolean_or_null },
        { "multi_factor_auth_rules", &rules_schema }, { "multi_factor_auth_enabled", &boolean_or_null }),
    .closed = true };

static const struct schema protocol_schema = {
    .types = SCHEMA_OBJECT, .properties = SCHEMA_PROPERTIES({ "protocol_id", &schema_text }, { "unique_id", &schema_text }),
    .required = SCHEMA_WORDS("protocol_id", "unique_id") };
static const struct schema protocols_schema = { .types = SCHEMA_ARRAY, .items = &protocol_schema, .min_items = 1 };
static const struct schema known_schema = {
    .types = SCHEMA_OBJECT, .properties = SCHEMA_PROPERTIES({ "idp_id", &schema_text }, { "protocols", &protocols_schema }),
    .required = SCHEMA_WORDS("idp_id", "protocols") };
static const struct schema federated_schema = { .types = SCHEMA_ARRAY, .items = &known_schema };

#define USER_PROPERTIES                                                                                                \
    SCHEMA_PROPERTIES({ "default_project_id", &schema_id_or_null }, { "description", &schema_text_or_null },           \
        { "domain_id", &schema_id }, { "enabled", &schema_boolean }, { "name", &schema_name },                         \
        { "password", &schema_text_or_null }, { "options", &options_schema }, { "federated", &federated_schema })
static const struct schema create_schema = {
    .types = SCHEMA_OBJECT, .properties = USER_PROPERTIES, .required = SCHEMA_WORDS("name") };
static const struct schema update_schema = { .types = SCHEMA_OBJECT, .properties = USER_PROPERTIES, .min_properties = 1 };
static const struct schema password_schema = {
    .types = SCHEMA_OBJECT,
    .properties = SCHEMA_PROPERTIES({ "original_password", &schema_text }, { "password", &schema_text }),
    .required = SCHEMA_WORDS("original_password", "password"), .closed = true };

/* The user of the path as the policy's target; nothing when he is not there. */
static struct fault *enforce(struct request *rq, struct user **ret)
{
    const char *id = request_argument(rq, "user_id");
    struct user *user;
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(user_find(tx, id, &user));
    tx_end(tx);
    if (ret != NULL)
        *ret = user;
    if (user == NULL)
        return request_enforce(rq, rq->route->policy, POLICY_TARGET({ "user_id", id }));
    return request_enforce(rq, rq->route->policy, POLICY_TARGET({ "user_id", id }, { "target.user.id", user->id },
        { "target.user.domain_id", user->domain_id }));
}

/* ---- Showing ---- */

/* ?password_expires_at=[lt|lte|gt|gte|eq|neq:]moment */
static struct fault *expiry_condition(struct request *rq, struct condition *ret)
{
    static const struct {
        const char *name, *sql;
    } operators[] = { { "lt", "<" }, { "lte", "<=" }, { "gt", ">" }, { "gte", ">=" }, { "eq", "=" }, { "neq", "<>" } };
    const char *text = request_query(rq, "password_expires_at"), *sql = "=";
    struct sql_value *moment = ARENA_NEW(rq->cx.arena, struct sql_value);
    int64_t us;

    if (text == NULL)
        return NULL;
    const char *colon = strchr(text, ':');
    if (colon != NULL && colon - text >= 2 && colon - text < 4) {
        const char *name = arena_strndup(rq->cx.arena, text, (size_t)(colon - text));
        sql = NULL;
        for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++)
            if (strcmp(operators[i].name, name) == 0)
                sql = operators[i].sql;
        if (sql == NULL)
            return keystone_invalid(RQ(rq), "The given operator %s is not valid. It must be one of the following: 'eq', "
                "'neq', 'lt', 'lte', 'gt', or 'gte'.", name);
        text = colon + 1;
    }
    if (!clock_parse(text, &us))
        return keystone_invalid(RQ(rq), "Timestamp not in expected format. The server could not comply with the request "
            "since it is either malformed or otherwise incorrect. The client is assumed to be in error.");
    *moment = INT(us);
    *ret = (struct condition){ arena_printf(rq->cx.arena, "p.expires_at_int %s ?", sql), moment, 1 };
    return NULL;
}

static struct fault *user_list(struct request *rq)
{
    const char *domain_id = rq->cx.caller->domain_id;
    const struct sql_value domain[] = { TEXT(domain_id) };
    struct condition conditions[4] = { { 0 } };
    size_t count = 0;
    bool done;

    TRY(request_enforce(rq, rq->route->policy, POLICY_TARGET({ "target.domain_id", domain_id })));
    TRY(directory_list_respond(rq, DIRECTORY_USERS, &done));
    if (done)
        return NULL;
    TRY(expiry_condition(rq, &conditions[0]));
    count += conditions[0].sql != NULL;
    conditions[count] = federated_condition(rq);
    count += conditions[count].sql != NULL;
    if (domain_id != NULL)
        conditions[count] = (struct condition){ "u.domain_id = ?", domain, 1 };
    return entity_list(rq, user_entity_shown(RQ(rq)), conditions);
}

static struct fault *user_show(struct request *rq)
{
    const char *id = request_argument(rq, "user_id");
    json_t *document;
    struct tx *tx;
    bool done;

    TRY(enforce(rq, NULL));
    TRY(directory_show_respond(rq, DIRECTORY_USERS, id, &done));
    if (done)
        return NULL;
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(entity_load(tx, user_entity_shown(RQ(rq)), id, &document));
    if (document != NULL)
        TRY(federated_objects_add(tx, id, document));
    tx_end(tx);
    if (document == NULL)
        return entity_missing(RQ(rq), &user_entity, id);
    entity_respond(rq, &user_entity, document);
    return NULL;
}

static struct fault *user_groups(struct request *rq)
{
    const char *id = request_argument(rq, "user_id");
    struct user *user;
    bool done;

    TRY(enforce(rq, &user));
    if (user == NULL)
        return keystone_not_found(RQ(rq), "user", id);
    TRY(directory_members_respond(rq, DIRECTORY_GROUPS, id, &done));
    return done ? NULL : groups_of_user_respond(rq, id, rq->cx.caller->domain_id);
}

static struct fault *user_projects(struct request *rq)
{
    const char *id = request_argument(rq, "user_id");

    TRY(enforce(rq, NULL));
    return projects_of_user_respond(rq, id, false);
}

/* ---- Changing ---- */

/* The hash of the body's password; NULL when it has none, or null. */
static struct fault *hash_given(struct request *rq, const json_t *given, const char **ret)
{
    const struct config *config = rq->cx.app->config;
    const char *pattern = config_str(config, "security_compliance", "password_regex");
    const char *description = config_str(config, "security_compliance", "password_regex_description");
    const char *password = json_text_at(given, "password");
    struct password_settings settings;

    *ret = NULL;
    if (password == NULL)
        return NULL;
    if (pattern != NULL && pattern[0] != '\0' &&
        !schema_pattern_found(arena_printf(rq->cx.arena, "^(?:%s)", pattern), password, strlen(password)))
        return keystone_invalid(RQ(rq), "The password does not match the requirements: %s.",
            description != NULL ? description : "");
    login_settings(RQ(rq), &settings);
    return password_hash(rq->cx.arena, &settings, password, ret);
}

static struct fault *check_default_project(struct tx *tx, struct context *cx, const json_t *document)
{
    const char *id = json_text_at(document, "default_project_id");
    struct project *project;

    if (id == NULL)
        return NULL;
    TRY(project_find(tx, id, &project));
    if (project != NULL && project->is_domain)
        return keystone_invalid(cx, "User's default project ID cannot be a domain ID: %s", id);
    return NULL;
}

static struct fault *create_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;
    const char *id = json_text_at(edit->given, "id"), *domain_id = json_text_at(edit->given, "domain_id");
    json_t *stored;

    edit->document = edit->given;
    TRY(domain_need(tx, RQ(edit->rq), domain_id));
    TRY(check_default_project(tx, RQ(edit->rq), edit->document));
    TRY(entity_insert(tx, &user_entity, edit->document));
    TRY(sql_exec(tx, "UPDATE `user` SET created_at = ? WHERE id = ?",
        BIND(TEXT(clock_text(tx_arena(tx), clock_now_us(), CLOCK_SQL)), TEXT(id))));
    TRY(sql_exec(tx, "INSERT INTO local_user (user_id, domain_id, name, failed_auth_count) VALUES (?, ?, ?, 0)",
        BIND(TEXT(id), TEXT(domain_id), TEXT(json_text_at(edit->document, "name")))));
    if (edit->more != NULL)
        TRY(user_set_password(tx, edit->rq->cx.app->config, id, edit->more, PASSWORD_RESET));
    TRY(federated_objects_store(tx, RQ(edit->rq), id, json_text_at(edit->document, "name"),
        json_object_get(edit->document, "federated")));
    TRY(entity_load(tx, &user_entity, id, &stored));
    TRY(federated_objects_add(tx, id, stored));
    edit->document = stored;
    return NULL;
}

static struct fault *user_create(struct request *rq)
{
    const char *hash;
    json_t *given;

    TRY(keystone_member(rq, "user", &given));
    TRY(request_enforce(rq, rq->route->policy, POLICY_TARGET({ "target.user.domain_id", json_text_at(given, "domain_id") })));
    TRY(keystone_check(rq, &create_schema, given));
    json_t *draft = entity_draft(rq, given, false);
    TRY(hash_given(rq, draft, &hash));
    json_object_del(draft, "password");
    entity_default(draft, "domain_id", json_string(keystone_default_domain(rq)));
    entity_default(draft, "enabled", json_true());
    entity_strip_name(draft);
    TRY(directory_refuse_change(rq, DIRECTORY_USERS, NULL, json_text_at(draft, "domain_id")));
    struct edit edit = { .rq = rq, .entity = &user_entity, .given = draft, .document = draft, .more = hash };
    rq->status = 201;
    return edit_commit(&edit, create_run, true);
}

static struct fault *update_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;
    const struct config *config = edit->rq->cx.app->config;
    const json_t *domain_id = json_object_get(edit->given, "domain_id");
    json_t *old, *stored;

    TRY(edit_merge(tx, edit, &old));
    if (domain_id != NULL && !json_equal(domain_id, json_object_get(old, "domain_id")))
        return keystone_invalid(RQ(edit->rq), "Cannot change Domain ID");
    TRY(check_default_project(tx, RQ(edit->rq), edit->given));
    entity_strip_name((json_t *)edit->document);
    json_object_del((json_t *)edit->document, "password");
    TRY(entity_store(tx, &user_entity, edit->id, edit->document));
    TRY(sql_exec(tx, "UPDATE local_user SET name = ? WHERE user_id = ?",
        BIND(TEXT(json_text_at(edit->document, "name")), TEXT(edit->id))));
    if (json_is_true(json_object_get(edit->given, "enabled")))
        TRY(user_seen(tx, edit->id));
    if (json_is_true(json_object_get(edit->given, "enabled")))
        TRY(sql_exec(tx, "UPDATE local_user SET failed_auth_count = 0, failed_auth_at = NULL WHERE user_id = ?",
            BIND(TEXT(edit->id))));
    if (json_object_get(edit->given, "password") != NULL)
        TRY(user_set_password(tx, config, edit->id, edit->more, PASSWORD_RESET));
    bool disabled = json_is_true(json_object_get(old, "enabled")) && !json_is_true(json_object_get(edit->document, "enabled"));
    if (edit->more != NULL || disabled)
        TRY(revocation_write(tx, config, &(struct revocation){ .user_id = edit->id }));
    TRY(federated_objects_store(tx, RQ(edit->rq), edit->id, json_text_at(edit->document, "name"),
        json_object_get(edit->given, "federated")));
    TRY(entity_load(tx, user_entity_shown(RQ(edit->rq)), edit->id, &stored));
    TRY(federated_objects_add(tx, edit->id, stored));
    edit->document = stored;
    return NULL;
}

static struct fault *user_update(struct request *rq)
{
    const char *id = request_argument(rq, "user_id"), *hash;
    struct user *user;
    json_t *given;

    TRY(enforce(rq, &user));
    if (user == NULL)
        return keystone_not_found(RQ(rq), "user", id);
    TRY(edit_given(rq, "user", &update_schema, id, &given));
    TRY(directory_refuse_change(rq, DIRECTORY_USERS, id, NULL));
    TRY(hash_given(rq, given, &hash));
    return edit_commit(&(struct edit){ .rq = rq, .entity = user_entity_shown(RQ(rq)), .id = id, .given = given,
        .more = hash }, update_run, true);
}

static struct fault *delete_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;
    struct user *user;

    TRY(user_find(tx, edit->id, &user));
    if (user == NULL)
        return keystone_not_found(RQ(edit->rq), "user", edit->id);
    return user_delete(tx, RQ(edit->rq), edit->id);
}

static struct fault *user_remove(struct request *rq)
{
    TRY(enforce(rq, NULL));
    TRY(directory_refuse_change(rq, DIRECTORY_USERS, request_argument(rq, "user_id"), NULL));
    return edit_commit(&(struct edit){ .rq = rq, .entity = &user_entity, .id = request_argument(rq, "user_id") }, delete_run,
        false);
}

/* ---- The user changes his password ---- */

struct password_change {
    const char *old, *hash; /* hashes */
};

static struct fault *change_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;
    const struct config *config = edit->rq->cx.app->config;

    const struct password_change *change = edit->more;
    struct user *user;

    TRY(user_find(tx, edit->id, &user));
    /* what was proved must still be so: of two changes at a time, one is too late */
    if (user == NULL || user->password_hash == NULL || strcmp(user->password_hash, change->old) != 0)
        return keystone_unauthorized(RQ(edit->rq), "the password was changed meanwhile");
    TRY(user_set_password(tx, config, edit->id, change->hash, PASSWORD_OWN));
    return revocation_write(tx, config, &(struct revocation){ .user_id = edit->id });
}

/* What speaks against a new password: a lock, one that is too young, one that was there before. */
static struct fault *check_change(struct request *rq, const struct user *user, const char *password)
{
    const struct config *config = rq->cx.app->config;
    int64_t count = config_int(config, "security_compliance", "unique_last_password_count");
    int64_t age_days = config_int(config, "security_compliance", "minimum_password_age");
    const int64_t day_us = 86400LL * 1000000;
    const char *hashes[64];
    struct password_settings settings;
    struct rows *rows;
    struct tx *tx;
    json_t *lock;
    size_t hash_count = 0;
    int64_t created = 0;
    bool same = false, own = false;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(user_option(tx, user->id, "1003", &lock));
    TRY(sql_query(tx, &rows, "SELECT password_hash, created_at_int, self_service FROM password WHERE local_user_id = ?"
        " ORDER BY created_at_int DESC, id DESC LIMIT ?", BIND(INT(user->local_id), INT(count > 1 && count < 64 ? count : 1))));
    while (rows_next(rows) && hash_count < 64) {
        if (hash_count == 0) {
            created = rows_int(rows, 1);
            own = rows_int(rows, 2) != 0;
        }
        hashes[hash_count++] = rows_text(rows, 0);
    }
    TRY(rows_fault(rows));
    tx_end(tx);
    if (json_is_true(lock))
        return keystone_invalid(RQ(rq), "You cannot change your password at this time due to password policy disallowing "
            "password changes. Please contact your administrator to reset your password.");
    int64_t left = created + age_days * day_us - clock_now_us();
    if (own && age_days > 0 && left > 0) /* one that somebody else set may be changed at once */
        return keystone_invalid(RQ(rq), "You cannot change your password at this time due to the minimum password age. Once "
            "you change your password, it must be used for %lld day(s) before it can be changed. Please try again in %lld "
            "day(s) or contact your administrator to reset your password.", (long long)age_days,
            (long long)(left / day_us));
    login_settings(RQ(rq), &settings);
    for (size_t i = 0; count > 0 && i < hash_count && !same; i++)
        TRY(password_verify(rq->cx.arena, &settings, password, hashes[i], &same));
    if (same)
        return keystone_invalid(RQ(rq), "The new password cannot be identical to a previous password. The total number which "
            "includes the new password must be unique is %lld.", (long long)count);
    return NULL;
}

static struct fault *password_change(struct request *rq)
{
    const char *id = request_argument(rq, "user_id");
    struct password_change change;
    struct user *user;
    json_t *given;

    TRY(keystone_member(rq, "user", &given));
    TRY(keystone_check(rq, &password_schema, given));
    struct fault *fault = authenticate_password(RQ(rq), id, json_text_at(given, "original_password"), true, &user);
    keystone_notify_authenticated(rq, id, fault == NULL ? user->name : NULL, fault);
    TRY(fault);
    fault = check_change(rq, user, json_text_at(given, "password"));
    if (fault == NULL)
        fault = hash_given(rq, given, &change.hash);
    if (fault != NULL && fault->status == 400)
        keystone_notify_refused_password(rq, id, fault);
    TRY(fault);
    change.old = user->password_hash;
    return edit_commit(&(struct edit){ .rq = rq, .entity = &user_entity, .id = id, .more = &change }, change_run, false);
}

#define USER "/v3/users/{user_id}"

static const struct route rows[] = {
    ROUTE(GET,    "/v3/users",      "identity:list_users",           user_list,       HANDLER_POLICY),
    ROUTE(POST,   "/v3/users",      "identity:create_user",          user_create,     HANDLER_POLICY, .flags = SLOW, .status = 201),
    ROUTE(GET,    USER,             "identity:get_user",             user_show,       HANDLER_POLICY),
    ROUTE(PATCH,  USER,             "identity:update_user",          user_update,     HANDLER_POLICY, .flags = SLOW),
    ROUTE(DELETE, USER,             "identity:delete_user",          user_remove,     HANDLER_POLICY, .status = 204),
    ROUTE(GET,    USER "/groups",   "identity:list_groups_for_user", user_groups,     HANDLER_POLICY),
    ROUTE(GET,    USER "/projects", "identity:list_user_projects",   user_projects,   HANDLER_POLICY),
    ROUTE(POST,   USER "/password", NULL,                            password_change, .flags = NO_TOKEN | SLOW, .status = 204),
};

const struct route_table user_routes = ROUTES(rows);
