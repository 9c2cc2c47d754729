/* SPDX-License-Identifier: Apache-2.0
 *
 * registered limits: what a resource of a service, perhaps of one region, is limited to unless a project has a limit of its
 * own. API reference: Unified limits, identity v3.
 */
#include "keystone/edit.h"
#include "keystone/limit/limits.h"
#include "keystone/schemas.h"

#include "oslo/policy.h"

static const struct attribute attributes[] = {
    { "id",            "id" },
    { "service_id",    "service_id",    ATTRIBUTE_FILTER },
    { "region_id",     "region_id",     ATTRIBUTE_FILTER },
    { "resource_name", "resource_name", ATTRIBUTE_FILTER },
    { "default_limit", "default_limit", ATTRIBUTE_INT },
    { "description",   "description" },
};

const struct entity registered_limit_entity = {
    .name = "registered_limit", .plural = "registered_limits", .from = "registered_limit", .table = "registered_limit",
    .id_column = "id", .attributes = attributes, .count = sizeof(attributes) / sizeof(attributes[0]),
    .missing = "registered limit for", .limit_group = "unified_limit",
};

static const struct schema name_schema = { .types = SCHEMA_STRING, .min_length = 1, .max_length = 255 };
static const struct schema number_schema = { .types = SCHEMA_INTEGER, .minimum = -1, .maximum = 0x7FFFFFFF };
#define LIMIT_PROPERTIES                                                                                               \
    SCHEMA_PROPERTIES({ "service_id", &schema_id }, { "region_id", &schema_text_or_null },                             \
        { "resource_name", &name_schema }, { "default_limit", &number_schema }, { "description", &schema_text_or_null })
static const struct schema item_schema = {
    .types = SCHEMA_OBJECT, .properties = LIMIT_PROPERTIES, .closed = true,
    .required = SCHEMA_WORDS("service_id", "resource_name", "default_limit") };
static const struct schema create_schema = { .types = SCHEMA_ARRAY, .items = &item_schema, .min_items = 1 };
static const struct schema update_schema = { .types = SCHEMA_OBJECT, .properties = LIMIT_PROPERTIES, .closed = true };

static struct fault *limit_list(struct request *rq)
{
    return entity_list(rq, &registered_limit_entity, NULL);
}

static struct fault *limit_show(struct request *rq)
{
    return entity_show(rq, &registered_limit_entity, request_argument(rq, "registered_limit_id"));
}

/* No two for the same resource; an absent region is a region of its own. */
static struct fault *check_unique(struct tx *tx, struct context *cx, const json_t *document)
{
    const char *region_id = json_text_at(document, "region_id");
    int64_t count;

    TRY(sql_int_of(tx, &count, 0, "SELECT COUNT(*) FROM registered_limit WHERE service_id = ? AND resource_name = ? AND"
        " (region_id = ? OR (region_id IS NULL AND ? = 1))",
        BIND(TEXT(json_text_at(document, "service_id")), TEXT(json_text_at(document, "resource_name")), TEXT(region_id),
            INT(region_id == NULL))));
    return count == 0 ? NULL : keystone_conflict(cx, "registered_limit", "Duplicate entry");
}

static struct fault *create_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;

    for (size_t i = 0; i < json_array_size(edit->document); i++) {
        json_t *document = json_array_get(edit->document, i);
        TRY(limits_check_names(tx, RQ(edit->rq), document, "registered_limit"));
        TRY(check_unique(tx, RQ(edit->rq), document));
        TRY(entity_insert(tx, &registered_limit_entity, document));
    }
    return NULL;
}

static struct fault *limit_create(struct request *rq)
{
    json_t *given, *drafts = json_keep(rq->cx.arena, json_array());

    TRY(keystone_member(rq, "registered_limits", &given));
    TRY(keystone_check(rq, &create_schema, given));
    for (size_t i = 0; i < json_array_size(given); i++) {
        json_t *draft = entity_draft(rq, json_array_get(given, i), false);
        entity_default(draft, "region_id", json_null());
        entity_default(draft, "description", json_null());
        json_array_append(drafts, draft);
    }
    struct edit edit = { .rq = rq, .entity = &registered_limit_entity, .document = drafts };
    TRY(edit_commit(&edit, create_run, false));
    entity_respond_all(rq, &registered_limit_entity, drafts);
    rq->status = 201;
    return NULL;
}

/* A registered limit that limits refer to stays as it is. */
static struct fault *check_unused(struct tx *tx, struct context *cx, const char *id)
{
    int64_t count;

    TRY(sql_int_of(tx, &count, 0, "SELECT COUNT(*) FROM `limit` WHERE registered_limit_id = ?", BIND(TEXT(id))));
    if (count == 0)
        return NULL;
    return keystone_refused(cx, "Unable to update or delete registered limit %s because there are project limits associated "
        "with it.", id);
}

static struct fault *update_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;
    const char *service_id = json_text_at(edit->given, "service_id"), *name = json_text_at(edit->given, "resource_name");
    json_t *old;

    TRY(limits_check_names(tx, RQ(edit->rq), (json_t *)edit->given, "registered_limit"));
    TRY(edit_merge(tx, edit, &old));
    TRY(check_unused(tx, RQ(edit->rq), edit->id));
    if ((service_id != NULL && service_id[0] != '\0') || (name != NULL && name[0] != '\0') ||
        json_object_get(edit->given, "region_id") != NULL)
        TRY(check_unique(tx, RQ(edit->rq), edit->document));
    return entity_store(tx, &registered_limit_entity, edit->id, edit->document);
}

static struct fault *limit_update(struct request *rq)
{
    const char *id = request_argument(rq, "registered_limit_id");
    json_t *given;

    TRY(edit_given(rq, "registered_limit", &update_schema, id, &given));
    return edit_commit(&(struct edit){ .rq = rq, .entity = &registered_limit_entity, .id = id, .given = given }, update_run,
        true);
}

static struct fault *delete_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;
    json_t *old;

    TRY(edit_find(tx, edit, &old));
    TRY(check_unused(tx, RQ(edit->rq), edit->id));
    return entity_erase(tx, &registered_limit_entity, edit->id);
}

static struct fault *limit_delete(struct request *rq)
{
    return edit_commit(&(struct edit){ .rq = rq, .entity = &registered_limit_entity,
        .id = request_argument(rq, "registered_limit_id") }, delete_run, false);
}

#define ONE "/v3/registered_limits/{registered_limit_id}"

static const struct route rows[] = {
    ROUTE(GET,    "/v3/registered_limits", "identity:list_registered_limits",   limit_list),
    ROUTE(POST,   "/v3/registered_limits", "identity:create_registered_limits", limit_create, .status = 201),
    ROUTE(GET,    ONE,                     "identity:get_registered_limit",     limit_show),
    ROUTE(PATCH,  ONE,                     "identity:update_registered_limit",  limit_update),
    ROUTE(DELETE, ONE,                     "identity:delete_registered_limit",  limit_delete, .status = 204),
};

const struct route_table registered_limit_routes = ROUTES(rows);
