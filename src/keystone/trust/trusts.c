/* SPDX-License-Identifier: Apache-2.0
 *
 * OS-TRUST: trusts. API reference: OS-TRUST, identity v3. How they are read and ended is in trust_model.c.
 */
#include "keystone/trust/trusts.h"

#include "keystone/application_credential/application_credentials.h"
#include "keystone/assignment/roles.h"
#include "keystone/edit.h"
#include "keystone/schemas.h"
#include "keystone/token/token_roles.h"

#include "base/clock.h"
#include "base/random.h"
#include "oslo/options.h"
#include "oslo/policy.h"

#include <string.h>

/* ---- Bodies ---- */

static const struct schema whole_from_1 = { .types = SCHEMA_INTEGER | SCHEMA_NULL, .minimum = 1, .maximum = INT64_MAX };
static const struct schema whole_from_0 = { .types = SCHEMA_INTEGER | SCHEMA_NULL, .minimum = 0, .maximum = INT64_MAX };
static const struct schema boolean_or_null = { .types = SCHEMA_BOOLEAN | SCHEMA_NULL };
static const struct schema create_schema = {
    .types = SCHEMA_OBJECT,
    .properties = SCHEMA_PROPERTIES({ "trustor_user_id", &schema_external_id }, { "trustee_user_id", &schema_external_id },
        { "impersonation", &schema_boolean }, { "project_id", &schema_id_or_null }, { "remaining_uses", &whole_from_1 },
        { "expires_at", &schema_text_or_null }, { "allow_redelegation", &boolean_or_null },
        { "redelegation_count", &whole_from_0 }, { "roles", &schema_role_list }),
    .required = SCHEMA_WORDS("trustor_user_id", "trustee_user_id", "impersonation") };

/* ---- Showing ---- */

static const char trust_columns[] = "SELECT id, trustor_user_id, trustee_user_id, project_id, impersonation, expires_at_int,"
    " remaining_uses, deleted_at, redelegated_trust_id, redelegation_count, extra, expires_at FROM trust";

static void write_number(struct json_writer *w, const char *name, struct rows *rows, int column)
{
    if (rows_null(rows, column))
        json_null_member(w, name);
    else
        json_int(w, name, rows_int(rows, column));
}

/* The members of a row that are shown in lists, too; the object stays open. */
static void begin_trust(struct request *rq, struct rows *rows, const char *name)
{
    struct json_writer *w = &rq->json;
    const char *extra_name;
    int64_t expires_us = rows_int(rows, 5);
    json_t *extra = json_parse_own(rq->cx.arena, rows_text(rows, 10)), *value;

    if (expires_us == 0 && rows_text(rows, 11) != NULL)
        clock_parse(rows_text(rows, 11), &expires_us);
    json_begin(w, name);
    json_text(w, "id", rows_text(rows, 0));
    json_text(w, "trustor_user_id", rows_text(rows, 1));
    json_text(w, "trustee_user_id", rows_text(rows, 2));
    json_text(w, "project_id", rows_text(rows, 3));
    json_bool(w, "impersonation", rows_int(rows, 4) != 0);
    json_text(w, "expires_at", expires_us == 0 ? NULL : clock_text(rq->cx.arena, expires_us, CLOCK_ISO_USZ));
    write_number(w, "remaining_uses", rows, 6);
    json_text(w, "deleted_at", rows_text(rows, 7));
    json_text(w, "redelegated_trust_id", rows_text(rows, 8));
    write_number(w, "redelegation_count", rows, 9);
    json_object_foreach(extra, extra_name, value) {
        if (strcmp(extra_name, "roles") != 0)
            json_value(w, extra_name, value);
    }
    json_begin(w, "links");
    json_text(w, "self", keystone_url(rq, arena_printf(rq->cx.arena, "/OS-TRUST/trusts/%s", rows_text(rows, 0))));
    json_end(w);
}

/* "roles": [...]; a role that is gone is left out. */
static struct fault *write_roles(struct request *rq, struct tx *tx, const struct trust *trust)
{
    json_t *role;

    json_begin_array(&rq->json, "roles");
    for (size_t i = 0; trust->role_ids[i] != NULL; i++) {
        TRY(entity_load(tx, &role_entity, trust->role_ids[i], &role));
        if (role != NULL)
            entity_write(rq, &role_entity, NULL, role);
    }
    json_end_array(&rq->json);
    return NULL;
}

static void write_role_links(struct request *rq, const char *name, const char *id)
{
    json_begin(&rq->json, name);
    json_text(&rq->json, "self", keystone_url(rq, arena_printf(rq->cx.arena, "/%s/roles", id)));
    json_text(&rq->json, "next", NULL);
    json_text(&rq->json, "previous", NULL);
    json_end(&rq->json);
}

static struct fault *respond(struct request *rq, const struct trust *trust)
{
    struct rows *rows;
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(sql_query(tx, &rows, arena_printf(rq->cx.arena, "%s WHERE id = ?", trust_columns), BIND(TEXT(trust->id))));
    json_begin(&rq->json, NULL);
    if (!rows_next(rows))
        return keystone_not_found(RQ(rq), "trust", trust->id);
    begin_trust(rq, rows, "trust");
    rows_end(rows);
    TRY(write_roles(rq, tx, trust));
    tx_end(tx);
    write_role_links(rq, "roles_links", trust->id);
    json_end(&rq->json);
    json_end(&rq->json);
    return NULL;
}

/* The trust of the path (404 before anything else, as in the reference), the route's rule enforced with it. One that has no
 * uses left is not shown. */
static struct fault *trust_of_path(struct request *rq, struct trust **ret)
{
    const char *id = request_argument(rq, "trust_id");
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(trust_find(tx, RQ(rq), id, ret));
    tx_end(tx);
    if (*ret == NULL || (*ret)->remaining_uses == 0)
        return keystone_not_found(RQ(rq), "trust", id);
    return request_enforce(rq, rq->route->policy, POLICY_TARGET({ "target.trust.trustor_user_id", (*ret)->trustor_id },
        { "target.trust.trustee_user_id", (*ret)->trustee_id }));
}

static struct fault *trust_show(struct request *rq)
{
    struct trust *trust;

    TRY(trust_of_path(rq, &trust));
    return respond(rq, trust);
}

static struct fault *trust_list(struct request *rq)
{
    const char *trustor = request_query(rq, "trustor_user_id"), *trustee = request_query(rq, "trustee_user_id");
    const char *where = rq->query == NULL ? "" : " AND 1 = 0";
    const char *user_id = NULL;
    struct rows *rows;
    struct tx *tx;

    if (trustor != NULL && trustor[0] != '\0') {
        TRY(request_enforce(rq, "identity:list_trusts_for_trustor", POLICY_TARGET({ "target.trust.trustor_user_id", trustor })));
        where = " AND trustor_user_id = ?";
        user_id = trustor;
    } else if (trustee != NULL && trustee[0] != '\0') {
        TRY(request_enforce(rq, "identity:list_trusts_for_trustee", POLICY_TARGET({ "target.trust.trustee_user_id", trustee })));
        where = " AND trustee_user_id = ?";
        user_id = trustee;
    } else {
        TRY(request_enforce(rq, "identity:list_trusts", NULL));
    }
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(sql_query(tx, &rows, arena_printf(rq->cx.arena, "%s WHERE deleted_at IS NULL%s ORDER BY id", trust_columns, where),
        &(const struct sql_value){ .type = SQL_TYPE_TEXT, .text = { user_id, user_id != NULL ? strlen(user_id) : 0 } },
        user_id != NULL));
    json_begin(&rq->json, NULL);
    json_begin_array(&rq->json, "trusts");
    while (rows_next(rows)) {
        begin_trust(rq, rows, NULL);
        json_end(&rq->json);
    }
    TRY(rows_fault(rows));
    tx_end(tx);
    keystone_collection_end(rq);
    return NULL;
}

static struct fault *roles_list(struct request *rq)
{
    struct trust *trust;
    struct tx *tx;

    TRY(trust_of_path(rq, &trust));
    json_begin(&rq->json, NULL);
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(write_roles(rq, tx, trust));
    tx_end(tx);
    write_role_links(rq, "links", trust->id);
    json_end(&rq->json);
    return NULL;
}

static struct fault *role_show(struct request *rq)
{
    const char *role_id = request_argument(rq, "role_id");
    struct trust *trust;

    TRY(trust_of_path(rq, &trust));
    for (size_t i = 0; trust->role_ids[i] != NULL; i++)
        if (strcmp(trust->role_ids[i], role_id) == 0)
            return entity_show(rq, &role_entity, role_id);
    return keystone_not_found(RQ(rq), "role", role_id);
}

/* ---- Creating ---- */

struct creation {
    struct request *rq;
    const struct reference *reference;
    const json_t *given;
    struct trust trust;
    bool redelegable;
    int64_t requested_count;   /* 0: none was asked for */
    json_t *extra;
};

static bool named_before(const char *const *ids, size_t count, const char *id)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(ids[i], id) == 0)
            return true;
    return false;
}

static struct fault *read_roles(struct tx *tx, struct creation *creation)
{
    const json_t *given = json_object_get(creation->given, "roles");
    const char **ids = ARENA_ARRAY(creation->rq->cx.arena, const char *, json_array_size(given) + 1);
    size_t count = 0;

    for (size_t i = 0; i < json_array_size(given); i++) {
        const json_t *role = json_array_get(given, i);
        const char *id = json_text_at(role, "id");
        if (id == NULL || id[0] == '\0')
            TRY(keystone_role_named(tx, RQ(creation->rq), json_text_at(role, "name"), &id));
        if (!named_before(ids, count, id))
            ids[count++] = arena_strdup(creation->rq->cx.arena, id);
    }
    creation->trust.role_ids = ids;
    return NULL;
}

/* The trustor of the whole chain must have the roles on the project. */
static struct fault *check_roles(struct tx *tx, struct creation *creation)
{
    struct context *cx = RQ(creation->rq);
    bool *marks = roles_none(cx->arena, creation->reference);
    struct project *project;

    if (creation->trust.project_id != NULL) {
        TRY(project_find(tx, creation->trust.project_id, &project));
        if (project == NULL)
            return keystone_not_found(cx, "project", creation->trust.project_id);
        TRY(roles_on_project(tx, creation->reference, &(struct actor){ .user_id = creation->trust.trustor_id }, project, marks));
    }
    for (size_t i = 0; creation->trust.role_ids[i] != NULL; i++) {
        size_t role = reference_role(creation->reference, creation->trust.role_ids[i]);
        if (role == creation->reference->role_count || !marks[role])
            return keystone_not_found(cx, "role", creation->trust.role_ids[i]);
    }
    return NULL;
}

/* How often it may be passed on (keystone/trust/core.py). */
static struct fault *check_count(struct creation *creation)
{
    struct context *cx = RQ(creation->rq);
    int64_t most = config_int(cx->app->config, "trust", "max_redelegation_count");
    int64_t requested = json_int_at(creation->given, "redelegation_count", -1);

    creation->redelegable = json_bool_at(creation->given, "allow_redelegation", false) && requested != 0;
    creation->trust.redelegation_count = -1;
    if (!creation->redelegable) {
        creation->trust.redelegation_count = 0;
        return NULL;
    }
    if (requested > most)
        return keystone_forbidden(cx, "Requested redelegation depth of %lld is greater than allowed %lld",
            (long long)requested, (long long)most);
    if (creation->trust.remaining_uses >= 0)
        return keystone_invalid(cx, "remaining_uses must not be set if redelegation is allowed");
    creation->requested_count = requested > 0 ? requested : 0;
    creation->trust.redelegation_count = requested;
    return NULL;
}

/* A trust made with a trust's token is passed on from it. */
static struct fault *check_parent(struct tx *tx, struct creation *creation)
{
    struct context *cx = RQ(creation->rq);
    struct trust *parent, *above;

    if (cx->caller->trust_id == NULL)
        return NULL;
    TRY(trust_find(tx, cx, cx->caller->trust_id, &parent));
    if (parent == NULL)
        return keystone_not_found(cx, "trust", cx->caller->trust_id);
    creation->trust.parent_id = parent->id;
    if (creation->redelegable && creation->requested_count != 0 &&
        creation->requested_count != parent->redelegation_count - 1)
        return keystone_forbidden(cx, "Modifying \"redelegation_count\" upon redelegation is forbidden. Omitting this "
            "parameter is advised.");
    if (creation->trust.redelegation_count < 0)
        creation->trust.redelegation_count = parent->redelegation_count - 1;
    for (above = parent; above != NULL; parent = above) {
        TRY(trust_may_pass(cx, above, &creation->trust));
        if (creation->trust.expires_us == 0)
            creation->trust.expires_us = above->expires_us;
        TRY(trust_parent(tx, cx, parent, &above));
    }
    return NULL;
}

static struct fault *create_run(struct tx *tx, void *argument)
{
    struct creation *creation = argument;
    const struct config *config = creation->rq->cx.app->config;
    struct trust *trust = &creation->trust;
    struct user *trustee;

    TRY(tx_serialize(tx, "entities"));
    TRY(user_find(tx, trust->trustee_id, &trustee));
    if (trustee == NULL)
        return keystone_not_found(RQ(creation->rq), "user", trust->trustee_id);
    TRY(read_roles(tx, creation));
    TRY(check_roles(tx, creation));
    TRY(check_count(creation));
    TRY(check_parent(tx, creation));
    if (trust->redelegation_count < 0)
        trust->redelegation_count = config_int(config, "trust", "max_redelegation_count");
    TRY(sql_exec(tx, "INSERT INTO trust (id, trustor_user_id, trustee_user_id, project_id, impersonation, expires_at,"
        " expires_at_int, remaining_uses, extra, redelegated_trust_id, redelegation_count) VALUES (?,?,?,?,?,?,?,?,?,?,?)",
        BIND(TEXT(trust->id), TEXT(trust->trustor_id), TEXT(trust->trustee_id), TEXT(trust->project_id),
            INT(trust->impersonation),
            trust->expires_us != 0 ? TEXT(clock_text(tx_arena(tx), trust->expires_us, CLOCK_SQL)) : SQL_NULL,
            trust->expires_us != 0 ? INT(trust->expires_us) : SQL_NULL,
            trust->remaining_uses >= 0 ? INT(trust->remaining_uses) : SQL_NULL,
            TEXT(json_dump(tx_arena(tx), creation->extra)), TEXT(trust->parent_id), INT(trust->redelegation_count))));
    for (size_t i = 0; trust->role_ids[i] != NULL; i++)
        TRY(sql_exec(tx, "INSERT INTO trust_role (trust_id, role_id) VALUES (?, ?)",
            BIND(TEXT(trust->id), TEXT(trust->role_ids[i]))));
    return NULL;
}

/* What a body has beyond the columns is kept. */
static json_t *extra_of(struct arena *arena, const json_t *given)
{
    static const char *const known[] = { "id", "trustor_user_id", "trustee_user_id", "impersonation", "project_id",
        "remaining_uses", "expires_at", "allow_redelegation", "redelegation_count", "roles", "links", "deleted_at",
        "redelegated_trust_id" };
    json_t *extra = json_keep(arena, json_deep_copy(given));

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        json_object_del(extra, known[i]);
    return extra;
}

static struct fault *check_body(struct request *rq, const json_t *given)
{
    const char *project_id = json_text_at(given, "project_id");

    TRY(keystone_check(rq, &create_schema, given));
    TRY(application_credential_may(rq, "Using method 'application_credential' is not allowed for managing trusts."));
    if (project_id != NULL && json_array_size(json_object_get(given, "roles")) == 0)
        return keystone_forbidden_action(RQ(rq), "At least one role should be specified");
    if (strcmp(rq->cx.caller->user_id, json_text_at(given, "trustor_user_id")) != 0)
        return keystone_forbidden_action(RQ(rq), "The authenticated user should match the trustor");
    return NULL;
}

static struct fault *trust_create(struct request *rq)
{
    struct creation creation = { .rq = rq };
    json_t *given;

    TRY(keystone_member(rq, "trust", &given));
    TRY(request_enforce(rq, rq->route->policy, POLICY_TARGET({ "trust.trustor_user_id", json_text_at(given, "trustor_user_id") })));
    TRY(check_body(rq, given));
    if (token_is_oauth(rq->cx.caller))
        return keystone_forbidden_action(RQ(rq), "Redelegation allowed for delegated by trust only");
    creation.given = given;
    creation.extra = extra_of(rq->cx.arena, given);
    creation.trust = (struct trust){
        .id = uuid_new_hex(rq->cx.arena), .trustor_id = json_text_at(given, "trustor_user_id"),
        .trustee_id = json_text_at(given, "trustee_user_id"), .project_id = json_text_at(given, "project_id"),
        .impersonation = json_bool_at(given, "impersonation", false),
        .remaining_uses = json_int_at(given, "remaining_uses", -1) };
    TRY(keystone_future(rq, given, "expires_at", &creation.trust.expires_us));
    TRY(reference_get(RQ(rq), &creation.reference));
    struct fault *fault = db_write(rq->cx.arena, rq->cx.app->db, create_run, &creation);
    if (fault != NULL && fault->code == SQL_DUPLICATE)
        return fault_because(keystone_conflict(RQ(rq), "trust", "Duplicate entry found with ID %s", creation.trust.id), fault);
    if (fault != NULL)
        return fault;
    rq->status = 201;
    return respond(rq, &creation.trust);
}

/* ---- Deleting ---- */

static struct fault *delete_run(struct tx *tx, void *argument)
{
    struct request *rq = ((void **)argument)[0];
    const struct trust *trust = ((void **)argument)[1];

    TRY(tx_serialize(tx, "entities"));
    return trust_end(tx, RQ(rq), trust->id, trust->trustor_id);
}

static struct fault *trust_delete(struct request *rq)
{
    struct trust *trust;

    TRY(trust_of_path(rq, &trust));
    TRY(application_credential_may(rq, "Using method 'application_credential' is not allowed for managing trusts."));
    TRY(db_write(rq->cx.arena, rq->cx.app->db, delete_run, (void *[]){ rq, trust }));
    keystone_changed(RQ(rq));
    return NULL;
}

#define TRUST "/v3/OS-TRUST/trusts/{trust_id}"

static const struct route rows[] = {
    ROUTE(GET,    "/v3/OS-TRUST/trusts",    "identity:list_trusts",          trust_list,   HANDLER_POLICY),
    ROUTE(POST,   "/v3/OS-TRUST/trusts",    "identity:create_trust",         trust_create, HANDLER_POLICY, .status = 201),
    ROUTE(GET,    TRUST,                    "identity:get_trust",            trust_show,   HANDLER_POLICY),
    ROUTE(DELETE, TRUST,                    "identity:delete_trust",         trust_delete, HANDLER_POLICY, .status = 204),
    ROUTE(GET,    TRUST "/roles",           "identity:list_roles_for_trust", roles_list,   HANDLER_POLICY),
    ROUTE(GET,    TRUST "/roles/{role_id}", "identity:get_role_for_trust",   role_show,    HANDLER_POLICY),
};

const struct route_table trust_routes = ROUTES(rows);
