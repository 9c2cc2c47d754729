/* SPDX-License-Identifier: Apache-2.0
 *
 * Application credentials. API reference: Application Credentials, identity v3.
 */
#include "keystone/application_credential/application_credentials.h"

#include "keystone/assignment/roles.h"
#include "keystone/auth/login.h"
#include "keystone/identity/password.h"
#include "keystone/schemas.h"
#include "keystone/token/fernet.h"

#include "base/base64url.h"
#include "base/clock.h"
#include "base/random.h"
#include "oslo/options.h"
#include "oslo/policy.h"

#include <openssl/crypto.h>
#include <string.h>

/* ---- Bodies (keystone/application_credential/schema.py) ---- */

static const struct schema rule_path = { .types = SCHEMA_STRING, .max_length = 225, .pattern = "^\\/.*" };
static const struct schema rule_method = { .types = SCHEMA_STRING, .pattern = "^(POST|GET|HEAD|PATCH|PUT|DELETE)$" };
static const struct schema rule_schema = {
    .types = SCHEMA_OBJECT,
    .properties = SCHEMA_PROPERTIES({ "path", &rule_path }, { "method", &rule_method }, { "service", &schema_id },
        { "id", &schema_id }),
    .closed = true };
static const struct schema rules_schema = { .types = SCHEMA_ARRAY, .items = &rule_schema };
static const struct schema create_schema = {
    .types = SCHEMA_OBJECT,
    .properties = SCHEMA_PROPERTIES({ "name", &schema_name }, { "description", &schema_text_or_null },
        { "secret", &schema_text_or_null }, { "expires_at", &schema_text_or_null }, { "roles", &schema_role_list },
        { "unrestricted", &schema_boolean }, { "access_rules", &rules_schema }),
    .required = SCHEMA_WORDS("name") };

static struct fault *invalid(struct context *cx, const char *detail)
{
    return keystone_invalid(cx, "Invalid application credential: %s", detail);
}

struct fault *application_credential_may(struct request *rq, const char *action)
{
    const struct token *token = token_details(rq->cx.caller)->token;

    if (token->app_cred == NULL || token->app_cred->unrestricted)
        return NULL;
    return keystone_forbidden_action(RQ(rq), action);
}

static struct fault *may_manage(struct request *rq)
{
    return application_credential_may(rq, "Using method 'application_credential' is not allowed for managing additional "
        "application credentials.");
}

/* ---- Showing ---- */

static struct fault *write_role(struct request *rq, struct tx *tx, const char *role_id)
{
    const char *name;
    json_t *role, *value;

    TRY(entity_load(tx, &role_entity, role_id, &role));
    if (role == NULL)
        return NULL;
    json_begin(&rq->json, NULL);
    json_object_foreach(role, name, value) {
        json_value(&rq->json, name, value);
    }
    json_end(&rq->json);
    return NULL;
}

static struct fault *write_one(struct request *rq, struct tx *tx, const char *name, const struct app_cred *credential,
    const char *secret)
{
    struct json_writer *w = &rq->json;

    json_begin(w, name);
    json_text(w, "id", credential->id);
    json_text(w, "name", credential->name);
    json_text(w, "description", credential->description);
    json_text(w, "user_id", credential->user_id);
    json_text(w, "project_id", credential->project_id);
    json_text(w, "system", credential->system);
    json_text(w, "expires_at", credential->expires_us == 0 ? NULL :
        clock_text(rq->cx.arena, credential->expires_us, CLOCK_ISO_US));
    if (credential->unrestricted_null)
        json_null_member(w, "unrestricted");
    else
        json_bool(w, "unrestricted", credential->unrestricted);
    json_begin_array(w, "roles");
    for (size_t i = 0; credential->role_ids[i] != NULL; i++)
        TRY(write_role(rq, tx, credential->role_ids[i]));
    json_end_array(w);
    if (credential->access_rules != NULL)
        json_raw(w, "access_rules", credential->access_rules);
    if (secret != NULL)
        json_text(w, "secret", secret);
    json_begin(w, "links");
    json_text(w, "self", keystone_url(rq, arena_printf(rq->cx.arena, "/application_credentials/%s", credential->id)));
    json_end(w);
    json_end(w);
    return NULL;
}

static struct fault *respond(struct request *rq, const char *id, const char *secret)
{
    struct app_cred *credential;
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(app_cred_find(tx, id, &credential));
    if (credential == NULL)
        return keystone_not_found(RQ(rq), "Application Credential", id);
    json_begin(&rq->json, NULL);
    TRY(write_one(rq, tx, "application_credential", credential, secret));
    json_end(&rq->json);
    tx_end(tx);
    return NULL;
}

/* The credential's own user is whom the rule is about, whatever the path says. */
static struct fault *enforce(struct request *rq)
{
    const char *user_id = request_argument(rq, "user_id");
    struct app_cred *credential;
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(app_cred_find(tx, request_argument(rq, "application_credential_id"), &credential));
    tx_end(tx);
    if (credential != NULL)
        user_id = credential->user_id;
    TRY(request_enforce(rq, rq->route->policy, POLICY_TARGET({ "user_id", user_id })));
    return credential != NULL ? NULL :
        keystone_not_found(RQ(rq), "Application Credential", request_argument(rq, "application_credential_id"));
}

static struct fault *credential_show(struct request *rq)
{
    TRY(enforce(rq));
    return respond(rq, request_argument(rq, "application_credential_id"), NULL);
}

static struct fault *credential_list(struct request *rq)
{
    const char *user_id = request_argument(rq, "user_id"), *name = request_query(rq, "name");
    struct app_cred *credential;
    struct rows *rows;
    struct tx *tx;

    TRY(request_enforce(rq, rq->route->policy, POLICY_TARGET({ "user_id", user_id })));
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(sql_query(tx, &rows, "SELECT id, name FROM application_credential WHERE user_id = ? ORDER BY internal_id",
        BIND(TEXT(user_id))));
    json_begin(&rq->json, NULL);
    json_begin_array(&rq->json, "application_credentials");
    while (rows_next(rows)) {
        if (name != NULL && strcmp(name, rows_text(rows, 1)) != 0)
            continue;
        TRY(app_cred_find(tx, rows_text(rows, 0), &credential));
        if (credential != NULL)
            TRY(write_one(rq, tx, NULL, credential, NULL));
    }
    TRY(rows_fault(rows));
    tx_end(tx);
    keystone_collection_end(rq);
    return NULL;
}

/* ---- Creating ---- */

struct creation {
    struct request *rq;
    const json_t *given;
    const char *id, *hash;
    int64_t expires_us;
    const char **role_ids;
};

static bool in_token(const struct token *token, const char *role_id)
{
    for (size_t i = 0; i < token->role_count; i++)
        if (strcmp(token->roles[i].id, role_id) == 0)
            return true;
    return false;
}

/* The roles asked for, all of which the token must have; the token's when none are. */
static struct fault *read_roles(struct tx *tx, struct creation *creation)
{
    const struct token *token = token_details(creation->rq->cx.caller)->token;
    const json_t *given = json_object_get(creation->given, "roles");
    struct context *cx = RQ(creation->rq);
    size_t count = json_array_size(given), at = 0;

    creation->role_ids = ARENA_ARRAY(cx->arena, const char *, (count > token->role_count ? count : token->role_count) + 1);
    if (count == 0)
        for (; at < token->role_count; at++)
            creation->role_ids[at] = token->roles[at].id;
    for (size_t i = 0; i < count; i++) {
        const char *id = json_text_at(json_array_get(given, i), "id");
        bool twice = false;
        if (id == NULL || id[0] == '\0')
            TRY(keystone_role_named(tx, cx, json_text_at(json_array_get(given, i), "name"), &id));
        if (!in_token(token, id))
            return invalid(cx, "Cannot create an application credential with unassigned role");
        for (size_t k = 0; k < at; k++)
            twice = twice || strcmp(creation->role_ids[k], id) == 0;
        if (!twice)
            creation->role_ids[at++] = id;
    }
    return NULL;
}

/* A rule by its id, or by what it says: the same rule of a user is one row. */
static struct fault *rule_key(struct tx *tx, struct creation *creation, const json_t *rule, int64_t *ret)
{
    const char *id = json_text_at(rule, "id"), *service = json_text_at(rule, "service");
    const char *path = json_text_at(rule, "path"), *method = json_text_at(rule, "method");
    const char *user_id = creation->rq->cx.caller->user_id;

    if (id != NULL) {
        TRY(sql_int_of(tx, ret, 0, "SELECT id FROM access_rule WHERE external_id = ? AND user_id = ?",
            BIND(TEXT(id), TEXT(user_id))));
        if (*ret != 0)
            return NULL;
    }
    if (service == NULL || path == NULL || method == NULL)
        return id != NULL ? keystone_not_found(RQ(creation->rq), "Access Rule", id) :
            invalid(RQ(creation->rq), "an access rule needs a service, a path and a method");
    TRY(sql_int_of(tx, ret, 0, "SELECT id FROM access_rule WHERE user_id = ? AND service = ? AND path = ? AND method = ?",
        BIND(TEXT(user_id), TEXT(service), TEXT(path), TEXT(method))));
    if (*ret != 0)
        return NULL;
    return sql_insert(tx, "INSERT INTO access_rule (external_id, user_id, service, path, method) VALUES (?, ?, ?, ?, ?)",
        BIND(TEXT(id != NULL ? id : uuid_new_hex(tx_arena(tx))), TEXT(user_id), TEXT(service), TEXT(path), TEXT(method)), ret);
}

static struct fault *insert_rules(struct tx *tx, struct creation *creation, int64_t credential)
{
    const json_t *rules = json_object_get(creation->given, "access_rules");
    int64_t key, present;

    for (size_t i = 0; i < json_array_size(rules); i++) {
        TRY(rule_key(tx, creation, json_array_get(rules, i), &key));
        TRY(sql_int_of(tx, &present, 0, "SELECT COUNT(*) FROM application_credential_access_rule"
            " WHERE application_credential_id = ? AND access_rule_id = ?", BIND(INT(credential), INT(key))));
        if (present == 0)
            TRY(sql_exec(tx, "INSERT INTO application_credential_access_rule (application_credential_id, access_rule_id)"
                " VALUES (?, ?)", BIND(INT(credential), INT(key))));
    }
    return NULL;
}

static struct fault *create_run(struct tx *tx, void *argument)
{
    struct creation *creation = argument;
    const struct caller *caller = creation->rq->cx.caller;
    const json_t *unrestricted = json_object_get(creation->given, "unrestricted");
    int64_t limit = config_int(creation->rq->cx.app->config, "application_credential", "user_limit"), present, key;

    TRY(tx_serialize_on(tx, "credentials", caller->user_id));
    TRY(read_roles(tx, creation));
    TRY(sql_int_of(tx, &present, 0, "SELECT COUNT(*) FROM application_credential WHERE user_id = ?",
        BIND(TEXT(caller->user_id))));
    if (limit >= 0 && present >= limit)
        return keystone_refused(RQ(creation->rq), "Unable to create additional application credentials, maximum of %lld "
            "already exceeded for user.", (long long)limit);
    TRY(sql_insert(tx, "INSERT INTO application_credential (id, name, secret_hash, description, user_id, project_id,"
        " expires_at, unrestricted) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        BIND(TEXT(creation->id), TEXT(json_text_at(creation->given, "name")), TEXT(creation->hash),
            TEXT(json_text_at(creation->given, "description")), TEXT(caller->user_id), TEXT(caller->project_id),
            creation->expires_us != 0 ? INT(creation->expires_us) : SQL_NULL,
            unrestricted != NULL ? INT(json_is_true(unrestricted)) : SQL_NULL), &key));
    for (size_t i = 0; creation->role_ids[i] != NULL; i++)
        TRY(sql_exec(tx, "INSERT INTO application_credential_role (application_credential_id, role_id) VALUES (?, ?)",
            BIND(INT(key), TEXT(creation->role_ids[i]))));
    return insert_rules(tx, creation, key);
}

/* As good as upstream's: 64 random bytes in base64url. */
static const char *new_secret(struct arena *arena)
{
    unsigned char bytes[64];

    random_bytes(bytes, sizeof(bytes));
    const char *text = base64url_encode(arena, bytes, sizeof(bytes));
    OPENSSL_cleanse(bytes, sizeof(bytes));
    return text;
}

static struct fault *credential_create(struct request *rq)
{
    struct creation creation = { .rq = rq };
    struct password_settings settings;
    const char *secret;
    json_t *given;

    TRY(request_enforce(rq, rq->route->policy, POLICY_TARGET({ "user_id", request_argument(rq, "user_id") })));
    TRY(keystone_member(rq, "application_credential", &given));
    TRY(keystone_check(rq, &create_schema, given));
    TRY(may_manage(rq));
    if (strcmp(rq->cx.caller->user_id, request_argument(rq, "user_id")) != 0)
        return keystone_forbidden_action(RQ(rq), "Cannot create an application credential for another user.");
    if (rq->cx.caller->project_id == NULL)
        return invalid(RQ(rq), "a token with a project is needed");
    secret = json_text_at(given, "secret");
    if (secret == NULL || secret[0] == '\0')
        secret = new_secret(rq->cx.arena);
    TRY(keystone_future(rq, given, "expires_at", &creation.expires_us));
    login_settings(RQ(rq), &settings);
    TRY(password_hash(rq->cx.arena, &settings, secret, &creation.hash));
    creation.given = given;
    creation.id = uuid_new_hex(rq->cx.arena);
    struct fault *fault = db_write(rq->cx.arena, rq->cx.app->db, create_run, &creation);
    if (fault != NULL && fault->code == SQL_DUPLICATE)
        return fault_because(keystone_conflict(RQ(rq), "application_credential", "Duplicate entry found with name %s",
            json_text_at(given, "name")), fault);
    if (fault != NULL)
        return fault;
    rq->status = 201;
    return respond(rq, creation.id, secret);
}

/* ---- Deleting ---- */

static struct fault *delete_run(struct tx *tx, void *id)
{
    return app_cred_end(tx, id);
}

static struct fault *credential_delete(struct request *rq)
{
    TRY(enforce(rq));
    TRY(may_manage(rq));
    TRY(db_write(rq->cx.arena, rq->cx.app->db, delete_run, (char *)request_argument(rq, "application_credential_id")));
    keystone_changed(RQ(rq));
    return NULL;
}

#define LIST "/v3/users/{user_id}/application_credentials"
#define ONE LIST "/{application_credential_id}"

static const struct route rows[] = {
    ROUTE(GET,    LIST, "identity:list_application_credentials",  credential_list,   HANDLER_POLICY),
    ROUTE(POST,   LIST, "identity:create_application_credential", credential_create, HANDLER_POLICY, .flags = SLOW, .status = 201),
    ROUTE(GET,    ONE,  "identity:get_application_credential",    credential_show,   HANDLER_POLICY),
    ROUTE(DELETE, ONE,  "identity:delete_application_credential", credential_delete, HANDLER_POLICY, .status = 204),
};

const struct route_table application_credential_routes = ROUTES(rows);
