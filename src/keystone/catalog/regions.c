/* SPDX-License-Identifier: Apache-2.0
 *
 * regions: the tree of places that endpoints stand in. API reference: Regions, identity v3.
 */
#include "keystone/catalog/templated.h"
#include "keystone/edit.h"
#include "keystone/schemas.h"

#include "oslo/policy.h"

#include <string.h>

static const struct attribute attributes[] = {
    { "id",               "id" },
    { "description",      "description" },
    { "parent_region_id", "parent_region_id", ATTRIBUTE_FILTER },
};

static const struct entity region = {
    .name = "region", .plural = "regions", .from = "region", .table = "region", .id_column = "id", .extra_column = "extra",
    .attributes = attributes, .count = sizeof(attributes) / sizeof(attributes[0]),
    .limit_group = "catalog",
};

#define REGION_PROPERTIES                                                                                              \
    SCHEMA_PROPERTIES({ "description", &schema_text_or_null }, { "id", &schema_text }, { "parent_region_id", &schema_text_or_null })
static const struct schema create_schema = { .types = SCHEMA_OBJECT, .properties = REGION_PROPERTIES };
static const struct schema update_schema = { .types = SCHEMA_OBJECT, .properties = REGION_PROPERTIES, .min_properties = 1 };

static struct fault *region_list(struct request *rq)
{
    UNLESS_TEMPLATED(rq, TEMPLATED_REGION, NULL);
    return entity_list(rq, &region, NULL);
}

static struct fault *region_show(struct request *rq)
{
    UNLESS_TEMPLATED(rq, TEMPLATED_REGION, request_argument(rq, "region_id"));
    return entity_show(rq, &region, request_argument(rq, "region_id"));
}

/* The parent exists and is not below the region itself. */
static struct fault *check_parent(struct tx *tx, struct context *cx, const char *id, const json_t *document)
{
    const char *parent = json_text_at(document, "parent_region_id"), *first = parent;

    for (int depth = 0; parent != NULL && depth < 64; depth++) {
        const char *found;
        TRY(sql_text_of(tx, &found, "SELECT id FROM region WHERE id = ?", BIND(TEXT(parent))));
        if (found == NULL)
            return keystone_not_found(cx, "region", parent);
        if (strcmp(parent, id) == 0)
            return keystone_invalid(cx, "The specified parent region %s would create a circular region hierarchy.", first);
        TRY(sql_text_of(tx, &parent, "SELECT parent_region_id FROM region WHERE id = ?", BIND(TEXT(parent))));
    }
    return NULL;
}

static struct fault *create_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;
    const char *id = json_text_at(edit->document, "id"), *present;

    TRY(sql_text_of(tx, &present, "SELECT id FROM region WHERE id = ?", BIND(TEXT(id))));
    if (present != NULL)
        return keystone_conflict(RQ(edit->rq), "region", "Duplicate ID, %s.", id);
    const char *parent = json_text_at(edit->document, "parent_region_id");
    if (parent != NULL && strcmp(parent, id) == 0)
        return keystone_not_found(RQ(edit->rq), "region", parent);
    TRY(check_parent(tx, RQ(edit->rq), id, edit->document));
    return edit_insert(tx, edit);
}

static void describe(json_t *document)
{
    const json_t *description = json_object_get(document, "description");

    if (description == NULL || json_is_null(description))
        json_object_set_new(document, "description", json_string(""));
    entity_default(document, "parent_region_id", json_null());
}

static struct fault *region_create(struct request *rq)
{
    const char *path_id = request_argument(rq, "region_id"); /* NULL: POST */
    json_t *given;

    UNLESS_TEMPLATED(rq, TEMPLATED_REGION, NULL);
    TRY(keystone_member(rq, "region", &given));
    TRY(keystone_check(rq, &create_schema, given));
    json_t *draft = entity_draft(rq, given, true);
    if (path_id != NULL) {
        const char *id = json_text_at(given, "id");
        if (id != NULL && strcmp(id, path_id) != 0)
            return keystone_invalid(RQ(rq), "Conflicting region IDs specified: \"%s\" != \"%s\"", path_id, id);
        json_object_set_new(draft, "id", json_string(path_id));
    }
    if (json_string_length(json_object_get(draft, "id")) > 255)
        return keystone_invalid(RQ(rq), "String length exceeded. The length of string '%s' exceeds the limit of column "
            "id(CHAR(255)).", json_text_at(draft, "id"));
    describe(draft);
    struct edit edit = { .rq = rq, .entity = &region, .document = draft };
    rq->status = 201;
    return edit_commit(&edit, create_run, true);
}

static struct fault *update_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;
    json_t *old;

    TRY(edit_merge(tx, edit, &old));
    describe((json_t *)edit->document);
    TRY(check_parent(tx, RQ(edit->rq), edit->id, edit->document));
    return entity_store(tx, &region, edit->id, edit->document);
}

static struct fault *region_update(struct request *rq)
{
    const char *id = request_argument(rq, "region_id");
    json_t *given;

    UNLESS_TEMPLATED(rq, TEMPLATED_REGION, request_argument(rq, "region_id"));
    TRY(edit_given(rq, "region", &update_schema, id, &given));
    return edit_commit(&(struct edit){ .rq = rq, .entity = &region, .id = id, .given = given }, update_run, true);
}

/* The region and those below it, unless endpoints stand there. */
static struct fault *delete_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;
    static const char below[] = "WITH RECURSIVE below(id) AS (SELECT id FROM region WHERE id = ? UNION SELECT r.id FROM"
        " region r JOIN below b ON r.parent_region_id = b.id) SELECT id FROM below";
    struct rows *rows;
    const char *ids[256];
    size_t count = 0;
    int64_t endpoints;

    TRY(sql_query(tx, &rows, below, BIND(TEXT(edit->id))));
    while (count < sizeof(ids) / sizeof(ids[0]) && rows_next(rows))
        ids[count++] = rows_text(rows, 0);
    rows_end(rows);
    if (count == 0)
        return keystone_not_found(RQ(edit->rq), "region", edit->id);
    for (size_t i = 0; i < count; i++) {
        TRY(sql_int_of(tx, &endpoints, 0, "SELECT COUNT(*) FROM endpoint WHERE region_id = ?", BIND(TEXT(ids[i]))));
        if (endpoints > 0)
            return keystone_refused(RQ(edit->rq), "Unable to delete region %s because it or its child regions have "
                "associated endpoints.", edit->id);
    }
    for (size_t i = count; i-- > 0;) {
        TRY(sql_exec(tx, "DELETE FROM policy_association WHERE region_id = ?", BIND(TEXT(ids[i]))));
        TRY(entity_erase(tx, &region, ids[i]));
    }
    return NULL;
}

static struct fault *region_delete(struct request *rq)
{
    UNLESS_TEMPLATED(rq, TEMPLATED_REGION, request_argument(rq, "region_id"));
    return edit_commit(&(struct edit){ .rq = rq, .entity = &region, .id = request_argument(rq, "region_id") }, delete_run,
        false);
}

static const struct route rows[] = {
    ROUTE(GET,    "/v3/regions",             "identity:list_regions",  region_list),
    ROUTE(POST,   "/v3/regions",             "identity:create_region", region_create, .status = 201),
    ROUTE(GET,    "/v3/regions/{region_id}", "identity:get_region",    region_show),
    ROUTE(PUT,    "/v3/regions/{region_id}", "identity:create_region", region_create, .status = 201),
    ROUTE(PATCH,  "/v3/regions/{region_id}", "identity:update_region", region_update),
    ROUTE(DELETE, "/v3/regions/{region_id}", "identity:delete_region", region_delete, .status = 204),
};

const struct route_table region_routes = ROUTES(rows);
