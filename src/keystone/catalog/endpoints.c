/* SPDX-License-Identifier: Apache-2.0
 *
 * endpoints: where services answer. API reference: Service catalog and endpoints, identity v3.
 */
#include "keystone/catalog/endpoints.h"
#include "keystone/catalog/templated.h"
#include "keystone/edit.h"
#include "keystone/notifications.h"
#include "keystone/reference.h"
#include "keystone/schemas.h"

static const struct attribute attributes[] = {
    { "id",         "id" },
    { "interface",  "interface",  ATTRIBUTE_FILTER },
    { "region_id",  "region_id",  ATTRIBUTE_FILTER },
    { "service_id", "service_id", ATTRIBUTE_FILTER },
    { "url",        "url" },
    { "enabled",    "enabled",    ATTRIBUTE_BOOL },
    { "region",     "region_id",  ATTRIBUTE_READ },
};

const struct entity endpoint_entity = {
    .name = "endpoint", .plural = "endpoints", .from = "endpoint", .table = "endpoint", .id_column = "id",
    .extra_column = "extra", .attributes = attributes, .count = sizeof(attributes) / sizeof(attributes[0]),
    .limit_group = "catalog",
};

static const struct schema interface_schema = { .types = SCHEMA_STRING, .values = SCHEMA_WORDS("admin", "internal", "public") };
static const struct schema url_schema = { .types = SCHEMA_STRING, .max_length = 225, .pattern = "^[a-zA-Z0-9+.-]+:.+" };
#define ENDPOINT_PROPERTIES                                                                                            \
    SCHEMA_PROPERTIES({ "enabled", &schema_boolean }, { "interface", &interface_schema }, { "region_id", &schema_text },  \
        { "region", &schema_text }, { "service_id", &schema_text }, { "url", &url_schema })
static const struct schema create_schema = {
    .types = SCHEMA_OBJECT, .properties = ENDPOINT_PROPERTIES, .required = SCHEMA_WORDS("interface", "service_id", "url") };
static const struct schema update_schema = { .types = SCHEMA_OBJECT, .properties = ENDPOINT_PROPERTIES, .min_properties = 1 };

static struct fault *endpoint_list(struct request *rq)
{
    UNLESS_TEMPLATED(rq, TEMPLATED_ENDPOINT, NULL);
    return entity_list(rq, &endpoint_entity, NULL);
}

static struct fault *endpoint_show(struct request *rq)
{
    UNLESS_TEMPLATED(rq, TEMPLATED_ENDPOINT, request_argument(rq, "endpoint_id"));
    TRY(entity_enforce(rq, &endpoint_entity, request_argument(rq, "endpoint_id")));
    return entity_show(rq, &endpoint_entity, request_argument(rq, "endpoint_id"));
}

/* The old way to name a region makes it; the new one must find it. */
static struct fault *settle_region(struct tx *tx, struct context *cx, json_t *document, const json_t *given)
{
    const char *region = json_text_at(given, "region"), *region_id = json_text_at(given, "region_id"), *found;

    if (region_id == NULL && region != NULL) {
        json_object_set_new(document, "region_id", json_string(region));
        TRY(sql_text_of(tx, &found, "SELECT id FROM region WHERE id = ?", BIND(TEXT(region))));
        if (found == NULL) {
            TRY(sql_exec(tx, "INSERT INTO region (id, description, extra) VALUES (?, '', '{}')", BIND(TEXT(region))));
            keystone_note_created(cx, "region", region);
        }
    } else if (region_id != NULL) {
        TRY(sql_text_of(tx, &found, "SELECT id FROM region WHERE id = ?", BIND(TEXT(region_id))));
        if (found == NULL)
            return keystone_expecting(cx, "endpoint region_id", "region table");
    }
    entity_default(document, "region_id", json_null());
    json_object_set(document, "region", json_object_get(document, "region_id"));
    const char *service_id = json_text_at(given, "service_id");
    if (service_id == NULL)
        return NULL;
    TRY(sql_text_of(tx, &found, "SELECT id FROM service WHERE id = ?", BIND(TEXT(service_id))));
    return found != NULL ? NULL : keystone_expecting(cx, "endpoint service_id", "service table");
}

static struct fault *create_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;

    TRY(settle_region(tx, RQ(edit->rq), (json_t *)edit->document, edit->given));
    return edit_insert(tx, edit);
}

static struct fault *endpoint_create(struct request *rq)
{
    json_t *given;

    UNLESS_TEMPLATED(rq, TEMPLATED_ENDPOINT, NULL);
    TRY(keystone_member(rq, "endpoint", &given));
    TRY(keystone_check(rq, &create_schema, given));
    if (!catalog_url(NULL, json_text_at(given, "url"), NULL, NULL))
        return keystone_invalid(RQ(rq), "Cannot create an endpoint with an invalid URL: %s.", json_text_at(given, "url"));
    json_t *draft = entity_draft(rq, given, false);
    entity_default(draft, "enabled", json_true());
    struct edit edit = { .rq = rq, .entity = &endpoint_entity, .document = draft, .given = given };
    rq->status = 201;
    return edit_commit(&edit, create_run, true);
}

static struct fault *update_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;
    json_t *old;

    TRY(edit_merge(tx, edit, &old));
    TRY(settle_region(tx, RQ(edit->rq), (json_t *)edit->document, edit->given));
    return entity_store(tx, &endpoint_entity, edit->id, edit->document);
}

static struct fault *endpoint_update(struct request *rq)
{
    const char *id = request_argument(rq, "endpoint_id");
    json_t *given;

    UNLESS_TEMPLATED(rq, TEMPLATED_ENDPOINT, request_argument(rq, "endpoint_id"));
    TRY(entity_enforce(rq, &endpoint_entity, id));
    TRY(edit_given(rq, "endpoint", &update_schema, id, &given));
    return edit_commit(&(struct edit){ .rq = rq, .entity = &endpoint_entity, .id = id, .given = given }, update_run, true);
}

/* Deletes an endpoint with its associations; one that is not there is no fault. */
static struct fault *endpoint_erase(struct tx *tx, const char *id)
{
    TRY(sql_exec(tx, "DELETE FROM project_endpoint WHERE endpoint_id = ?", BIND(TEXT(id))));
    TRY(sql_exec(tx, "DELETE FROM policy_association WHERE endpoint_id = ?", BIND(TEXT(id))));
    return entity_erase(tx, &endpoint_entity, id);
}

static struct fault *delete_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;
    json_t *old;

    TRY(edit_find(tx, edit, &old));
    return endpoint_erase(tx, edit->id);
}

static struct fault *endpoint_delete(struct request *rq)
{
    UNLESS_TEMPLATED(rq, TEMPLATED_ENDPOINT, request_argument(rq, "endpoint_id"));
    TRY(entity_enforce(rq, &endpoint_entity, request_argument(rq, "endpoint_id")));
    return edit_commit(&(struct edit){ .rq = rq, .entity = &endpoint_entity, .id = request_argument(rq, "endpoint_id") },
        delete_run, false);
}

static const struct route rows[] = {
    ROUTE(GET,    "/v3/endpoints",               "identity:list_endpoints",  endpoint_list),
    ROUTE(POST,   "/v3/endpoints",               "identity:create_endpoint", endpoint_create, .status = 201),
    ROUTE(GET,    "/v3/endpoints/{endpoint_id}", "identity:get_endpoint",    endpoint_show,   HANDLER_POLICY),
    ROUTE(PATCH,  "/v3/endpoints/{endpoint_id}", "identity:update_endpoint", endpoint_update, HANDLER_POLICY),
    ROUTE(DELETE, "/v3/endpoints/{endpoint_id}", "identity:delete_endpoint", endpoint_delete, HANDLER_POLICY, .status = 204),
};

const struct route_table endpoint_routes = ROUTES(rows);
