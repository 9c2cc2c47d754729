/* SPDX-License-Identifier: Apache-2.0
 *
 * mappings (what an assertion makes of somebody, see mapping.h) and service providers (clouds whose users our users may
 * be). API reference: Mappings, Service providers, OS-FEDERATION, identity v3 extensions.
 */
#include "keystone/edit.h"
#include "keystone/federation/federation.h"
#include "keystone/federation/mapping.h"
#include "keystone/schemas.h"

#include "oslo/options.h"

/* ---- Mappings ---- */

static const struct attribute mapping_attributes[] = {
    { "id",    "id" },
    { "rules", "rules", ATTRIBUTE_JSON_TWICE },
};

const struct entity mapping_entity = {
    .name = "mapping", .plural = "mappings", .from = "mapping", .table = "mapping", .id_column = "id",
    .attributes = mapping_attributes, .count = sizeof(mapping_attributes) / sizeof(mapping_attributes[0]),
    .path = "OS-FEDERATION/mappings",
};

static struct fault *mapping_all(struct request *rq)
{
    return entity_list_all(rq, &mapping_entity, NULL);
}

static struct fault *mapping_show(struct request *rq)
{
    return entity_show(rq, &mapping_entity, request_argument(rq, "mapping_id"));
}

static struct fault *read_mapping(struct request *rq, json_t **ret)
{
    const char *why;
    json_t *given;

    TRY(keystone_member(rq, "mapping", &given));
    if (!mapping_check(rq->cx.arena, given, &why))
        return keystone_invalid(RQ(rq), "%s", why);
    *ret = json_keep(rq->cx.arena, json_object());
    json_object_set_new(*ret, "id", json_string(request_argument(rq, "mapping_id")));
    json_object_set(*ret, "rules", json_object_get(given, "rules"));
    return NULL;
}

static struct fault *insert_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;
    json_t *present;

    TRY(entity_load(tx, edit->entity, edit->id, &present));
    if (present != NULL) /* the reference lets a mapping's statement fail, and looks a provider up before */
        return edit->entity == &mapping_entity
            ? keystone_conflict(RQ(edit->rq), edit->entity->name, "Duplicate entry")
            : keystone_conflict(RQ(edit->rq), edit->entity->name, "Duplicate entry found with ID %s", edit->id);
    return edit_insert(tx, edit);
}

static struct fault *mapping_create(struct request *rq)
{
    json_t *mapping;

    TRY(read_mapping(rq, &mapping));
    TRY(keystone_check_id(RQ(rq), request_argument(rq, "mapping_id")));
    rq->status = 201;
    return edit_commit(&(struct edit){ .rq = rq, .entity = &mapping_entity, .id = request_argument(rq, "mapping_id"),
        .document = mapping }, insert_run, true);
}

static struct fault *mapping_update(struct request *rq)
{
    json_t *mapping;

    TRY(read_mapping(rq, &mapping));
    return edit_commit(&(struct edit){ .rq = rq, .entity = &mapping_entity, .id = request_argument(rq, "mapping_id"),
        .given = mapping }, edit_update, true);
}

static struct fault *delete_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;
    json_t *present;

    TRY(edit_find(tx, edit, &present));
    return entity_erase(tx, edit->entity, edit->id);
}

static struct fault *mapping_delete(struct request *rq)
{
    return edit_commit(&(struct edit){ .rq = rq, .entity = &mapping_entity, .id = request_argument(rq, "mapping_id") },
        delete_run, false);
}

/* ---- Service providers ---- */

static const struct attribute provider_attributes[] = {
    { "id",                 "id",      ATTRIBUTE_FILTER },
    { "auth_url",           "auth_url" },
    { "enabled",            "enabled", ATTRIBUTE_BOOL | ATTRIBUTE_FILTER },
    { "description",        "description" },
    { "relay_state_prefix", "relay_state_prefix" },
    { "sp_url",             "sp_url" },
};

static const struct entity service_provider = {
    .name = "service_provider", .plural = "service_providers", .from = "service_provider", .table = "service_provider",
    .id_column = "id", .attributes = provider_attributes, .count = sizeof(provider_attributes) / sizeof(provider_attributes[0]),
    .path = "OS-FEDERATION/service_providers", .missing = "Service Provider:",
};

static const struct schema url_schema = { .types = SCHEMA_STRING, .max_length = 225, .pattern = "^[a-zA-Z0-9+.-]+:.+" };
#define PROVIDER_PROPERTIES                                                                                            \
    SCHEMA_PROPERTIES({ "auth_url", &url_schema }, { "sp_url", &url_schema }, { "description", &schema_text_or_null }, \
        { "enabled", &schema_boolean }, { "relay_state_prefix", &schema_text_or_null })
static const struct schema create_schema = {
    .types = SCHEMA_OBJECT, .properties = PROVIDER_PROPERTIES, .required = SCHEMA_WORDS("auth_url", "sp_url"), .closed = true };
static const struct schema update_schema = {
    .types = SCHEMA_OBJECT, .properties = PROVIDER_PROPERTIES, .min_properties = 1, .closed = true };

/* null is allowed and has no place in the column: it is the default. */
static void settle_prefix(struct request *rq, json_t *given)
{
    if (json_is_null(json_object_get(given, "relay_state_prefix")))
        json_object_set_new(given, "relay_state_prefix",
            json_string(config_str(rq->cx.app->config, "saml", "relay_state_prefix")));
}

static struct fault *provider_list(struct request *rq)
{
    return entity_list(rq, &service_provider, NULL);
}

static struct fault *provider_show(struct request *rq)
{
    return entity_show(rq, &service_provider, request_argument(rq, "sp_id"));
}

static struct fault *provider_create(struct request *rq)
{
    const char *id = request_argument(rq, "sp_id");
    json_t *given;

    TRY(keystone_member(rq, "service_provider", &given));
    TRY(keystone_check(rq, &create_schema, given));
    TRY(keystone_check_id(RQ(rq), id));
    json_object_set_new(given, "id", json_string(id));
    entity_default(given, "enabled", json_false());
    entity_default(given, "description", json_null());
    entity_default(given, "relay_state_prefix", json_null());
    settle_prefix(rq, given);
    rq->status = 201;
    return edit_commit(&(struct edit){ .rq = rq, .entity = &service_provider, .id = id, .document = given }, insert_run, true);
}

static struct fault *provider_update(struct request *rq)
{
    json_t *given;

    TRY(keystone_member(rq, "service_provider", &given));
    TRY(keystone_check(rq, &update_schema, given));
    settle_prefix(rq, given);
    return edit_commit(&(struct edit){ .rq = rq, .entity = &service_provider, .id = request_argument(rq, "sp_id"),
        .given = given }, edit_update, true);
}

static struct fault *provider_delete(struct request *rq)
{
    return edit_commit(&(struct edit){ .rq = rq, .entity = &service_provider, .id = request_argument(rq, "sp_id") }, delete_run,
        false);
}

struct fault *service_providers_write(struct json_writer *w, const char *name, struct tx *tx)
{
    struct rows *rows;

    TRY(sql_query(tx, &rows, "SELECT auth_url, id, sp_url FROM service_provider WHERE enabled = 1 ORDER BY id", NO_BIND));
    json_begin_array(w, name);
    while (rows_next(rows)) {
        json_begin(w, NULL);
        json_text(w, "auth_url", rows_text(rows, 0));
        json_text(w, "id", rows_text(rows, 1));
        json_text(w, "sp_url", rows_text(rows, 2));
        json_end(w);
    }
    json_end_array(w);
    return rows_fault(rows);
}

#define MAPPINGS  "/v3/OS-FEDERATION/mappings"
#define PROVIDERS "/v3/OS-FEDERATION/service_providers"

static const struct route rows[] = {
    ROUTE(GET,    MAPPINGS,                 "identity:list_mappings",           mapping_all),
    ROUTE(GET,    MAPPINGS "/{mapping_id}", "identity:get_mapping",             mapping_show),
    ROUTE(PUT,    MAPPINGS "/{mapping_id}", "identity:create_mapping",          mapping_create, .status = 201),
    ROUTE(PATCH,  MAPPINGS "/{mapping_id}", "identity:update_mapping",          mapping_update),
    ROUTE(DELETE, MAPPINGS "/{mapping_id}", "identity:delete_mapping",          mapping_delete, .status = 204),
    ROUTE(GET,    PROVIDERS,                "identity:list_service_providers",  provider_list),
    ROUTE(GET,    PROVIDERS "/{sp_id}",     "identity:get_service_provider",    provider_show),
    ROUTE(PUT,    PROVIDERS "/{sp_id}",     "identity:create_service_provider", provider_create, .status = 201),
    ROUTE(PATCH,  PROVIDERS "/{sp_id}",     "identity:update_service_provider", provider_update),
    ROUTE(DELETE, PROVIDERS "/{sp_id}",     "identity:delete_service_provider", provider_delete, .status = 204),
};

const struct route_table federation_routes = ROUTES(rows);
