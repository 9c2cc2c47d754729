/* SPDX-License-Identifier: Apache-2.0
 *
 * services: what the catalog offers. Names and descriptions live in extra. API reference: Service catalog and endpoints,
 * identity v3.
 */
#include "keystone/catalog/templated.h"
#include "keystone/edit.h"
#include "keystone/schemas.h"

static const struct attribute attributes[] = {
    { "id",      "id" },
    { "type",    "type",    ATTRIBUTE_FILTER },
    { "enabled", "enabled", ATTRIBUTE_BOOL },
    { "name",    NULL,      ATTRIBUTE_FILTER | ATTRIBUTE_EXTRA },
};

static const struct entity service = {
    .name = "service", .plural = "services", .from = "service", .table = "service", .id_column = "id",
    .extra_column = "extra", .attributes = attributes, .count = sizeof(attributes) / sizeof(attributes[0]),
    .limit_group = "catalog",
};

static const struct schema type_schema = { .types = SCHEMA_STRING, .min_length = 1, .max_length = 255 };
#define SERVICE_PROPERTIES SCHEMA_PROPERTIES({ "enabled", &schema_boolean }, { "name", &schema_name }, { "type", &type_schema })
static const struct schema create_schema = {
    .types = SCHEMA_OBJECT, .properties = SERVICE_PROPERTIES, .required = SCHEMA_WORDS("type") };
static const struct schema update_schema = { .types = SCHEMA_OBJECT, .properties = SERVICE_PROPERTIES, .min_properties = 1 };

static struct fault *service_list(struct request *rq)
{
    UNLESS_TEMPLATED(rq, TEMPLATED_SERVICE, NULL);
    return entity_list(rq, &service, NULL);
}

static struct fault *service_show(struct request *rq)
{
    UNLESS_TEMPLATED(rq, TEMPLATED_SERVICE, request_argument(rq, "service_id"));
    return entity_show(rq, &service, request_argument(rq, "service_id"));
}

static struct fault *service_create(struct request *rq)
{
    json_t *given;

    UNLESS_TEMPLATED(rq, TEMPLATED_SERVICE, NULL);
    TRY(keystone_member(rq, "service", &given));
    TRY(keystone_check(rq, &create_schema, given));
    json_t *draft = entity_draft(rq, given, false);
    entity_default(draft, "enabled", json_true());
    entity_default(draft, "name", json_string(""));
    struct edit edit = { .rq = rq, .entity = &service, .document = draft };
    rq->status = 201;
    return edit_commit(&edit, edit_insert, true);
}

static struct fault *service_update(struct request *rq)
{
    const char *id = request_argument(rq, "service_id");
    json_t *given;

    UNLESS_TEMPLATED(rq, TEMPLATED_SERVICE, request_argument(rq, "service_id"));
    TRY(edit_given(rq, "service", &update_schema, id, &given));
    return edit_commit(&(struct edit){ .rq = rq, .entity = &service, .id = id, .given = given }, edit_update, true);
}

static struct fault *delete_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;
    json_t *old;

    TRY(edit_find(tx, edit, &old));
    TRY(sql_exec(tx, "DELETE FROM project_endpoint WHERE endpoint_id IN (SELECT id FROM endpoint WHERE service_id = ?)",
        BIND(TEXT(edit->id))));
    TRY(sql_exec(tx, "DELETE FROM policy_association WHERE service_id = ? OR endpoint_id IN (SELECT id FROM endpoint WHERE"
        " service_id = ?)", BIND(TEXT(edit->id), TEXT(edit->id))));
    TRY(sql_exec(tx, "DELETE FROM endpoint WHERE service_id = ?", BIND(TEXT(edit->id))));
    return entity_erase(tx, &service, edit->id);
}

static struct fault *service_delete(struct request *rq)
{
    UNLESS_TEMPLATED(rq, TEMPLATED_SERVICE, request_argument(rq, "service_id"));
    return edit_commit(&(struct edit){ .rq = rq, .entity = &service, .id = request_argument(rq, "service_id") },
        delete_run, false);
}

static const struct route rows[] = {
    ROUTE(GET,    "/v3/services",              "identity:list_services",  service_list),
    ROUTE(POST,   "/v3/services",              "identity:create_service", service_create, .status = 201),
    ROUTE(GET,    "/v3/services/{service_id}", "identity:get_service",    service_show),
    ROUTE(PATCH,  "/v3/services/{service_id}", "identity:update_service", service_update),
    ROUTE(DELETE, "/v3/services/{service_id}", "identity:delete_service", service_delete, .status = 204),
};

const struct route_table service_routes = ROUTES(rows);
