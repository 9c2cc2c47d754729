/* SPDX-License-Identifier: Apache-2.0
 *
 * roles: global ones, and those of one domain, which only stand for the roles that they imply. API reference: Roles,
 * identity v3.
 */
#include "keystone/application_credential/application_credentials.h"
#include "keystone/assignment/roles.h"
#include "keystone/edit.h"
#include "keystone/model.h"
#include "keystone/schemas.h"

static const struct entity_option options[] = { { "immutable", "IMMU" }, { NULL, NULL } };

static const struct attribute attributes[] = {
    { "id",          "id" },
    { "name",        "name",        ATTRIBUTE_FILTER },
    { "domain_id",   "domain_id",   ATTRIBUTE_FILTER, ROLE_NO_DOMAIN },
    { "description", "description" },
};

const struct entity role_entity = {
    .name = "role", .plural = "roles", .from = "role", .table = "role", .id_column = "id", .extra_column = "extra",
    .attributes = attributes, .count = sizeof(attributes) / sizeof(attributes[0]), .options_table = "role_option",
    .options_key = "role_id", .options = options,
    .limit_group = "role",
};

#define ROLE_PROPERTIES                                                                                                \
    SCHEMA_PROPERTIES({ "name", &schema_name }, { "description", &schema_text }, { "options", &schema_immutable })
static const struct schema create_schema = {
    .types = SCHEMA_OBJECT, .properties = ROLE_PROPERTIES, .required = SCHEMA_WORDS("name") };
static const struct schema update_schema = { .types = SCHEMA_OBJECT, .properties = ROLE_PROPERTIES, .min_properties = 1 };

static bool of_domain(const json_t *role)
{
    const char *domain_id = json_text_at(role, "domain_id");

    return domain_id != NULL && domain_id[0] != '\0';
}

/* Loads the role of the path (404 before any rule, as in the reference) and enforces the rule for roles of its kind. */
static struct fault *role_of_path(struct request *rq, const char *rule, const char *domain_rule, json_t **ret)
{
    const char *id = request_argument(rq, "role_id");
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(entity_load(tx, &role_entity, id, ret));
    tx_end(tx);
    if (*ret == NULL)
        return keystone_not_found(RQ(rq), "role", id);
    return request_enforce(rq, of_domain(*ret) ? domain_rule : rule, NULL);
}

static struct fault *role_list(struct request *rq)
{
    const char *domain_id = request_query(rq, "domain_id");
    const struct condition global[] = { { "domain_id = '" ROLE_NO_DOMAIN "'" }, { 0 } };

    if (domain_id != NULL && domain_id[0] != '\0') {
        TRY(request_enforce(rq, "identity:list_domain_roles", NULL));
        return entity_list(rq, &role_entity, NULL);
    }
    TRY(request_enforce(rq, "identity:list_roles", NULL));
    return entity_list(rq, &role_entity, global);
}

static struct fault *role_show(struct request *rq)
{
    json_t *role;

    TRY(role_of_path(rq, "identity:get_role", "identity:get_domain_role", &role));
    entity_respond(rq, &role_entity, role);
    return NULL;
}

static struct fault *create_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;
    const char *domain_id = json_text_at(edit->document, "domain_id");

    if (domain_id != NULL) {
        TRY(domain_need(tx, RQ(edit->rq), domain_id));
    }
    return edit_insert(tx, edit);
}

static struct fault *role_create(struct request *rq)
{
    json_t *given;

    TRY(keystone_member(rq, "role", &given));
    TRY(request_enforce(rq, of_domain(given) ? "identity:create_domain_role" : "identity:create_role", NULL));
    TRY(keystone_check(rq, &create_schema, given));
    json_t *draft = entity_draft(rq, given, false);
    if (!of_domain(draft))
        json_object_set_new(draft, "domain_id", json_null());
    entity_default(draft, "description", json_null());
    entity_default(draft, "options", json_object());
    struct edit edit = { .rq = rq, .entity = &role_entity, .document = draft };
    rq->status = 201;
    return edit_commit(&edit, create_run, true);
}

static struct fault *update_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;
    const json_t *domain_id = json_object_get(edit->given, "domain_id");
    json_t *old;

    TRY(edit_merge(tx, edit, &old));
    if (domain_id != NULL && !json_equal(domain_id, json_object_get(old, "domain_id")))
        return keystone_invalid(RQ(edit->rq), "Update of `domain_id` is not allowed.");
    return entity_store(tx, &role_entity, edit->id, edit->document);
}

static struct fault *role_update(struct request *rq)
{
    const char *id = request_argument(rq, "role_id");
    json_t *given, *role;

    TRY(role_of_path(rq, "identity:update_role", "identity:update_domain_role", &role));
    TRY(edit_given(rq, "role", &update_schema, id, &given));
    return edit_commit(&(struct edit){ .rq = rq, .entity = &role_entity, .id = id, .given = given }, update_run, true);
}

static struct fault *delete_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;
    json_t *old;

    TRY(edit_find(tx, edit, &old));
    TRY(entity_mutable(RQ(edit->rq), &role_entity, old, NULL));
    TRY(app_creds_end_of_role(tx, edit->id));
    TRY(sql_exec(tx, "DELETE FROM assignment WHERE role_id = ?", BIND(TEXT(edit->id))));
    TRY(sql_exec(tx, "DELETE FROM system_assignment WHERE role_id = ?", BIND(TEXT(edit->id))));
    TRY(sql_exec(tx, "DELETE FROM implied_role WHERE prior_role_id = ? OR implied_role_id = ?",
        BIND(TEXT(edit->id), TEXT(edit->id))));
    return entity_erase(tx, &role_entity, edit->id);
}

static struct fault *role_delete(struct request *rq)
{
    json_t *role;

    TRY(role_of_path(rq, "identity:delete_role", "identity:delete_domain_role", &role));
    return edit_commit(&(struct edit){ .rq = rq, .entity = &role_entity, .id = request_argument(rq, "role_id") },
        delete_run, false);
}

static const struct route rows[] = {
    ROUTE(GET,    "/v3/roles",           "identity:list_roles",  role_list,   HANDLER_POLICY),
    ROUTE(POST,   "/v3/roles",           "identity:create_role", role_create, HANDLER_POLICY, .status = 201),
    ROUTE(GET,    "/v3/roles/{role_id}", "identity:get_role",    role_show,   HANDLER_POLICY),
    ROUTE(PATCH,  "/v3/roles/{role_id}", "identity:update_role", role_update, HANDLER_POLICY),
    ROUTE(DELETE, "/v3/roles/{role_id}", "identity:delete_role", role_delete, HANDLER_POLICY, .status = 204),
};

const struct route_table role_routes = ROUTES(rows);
