/* SPDX-License-Identifier: Apache-2.0
 *
 * OS-EP-FILTER: endpoint groups, and which endpoints a project's catalog has: those that are associated with the project,
 * and those that its endpoint groups choose. API reference: OS-EP-FILTER, identity v3 extensions.
 */
#include "keystone/catalog/endpoint_filter.h"
#include "keystone/catalog/endpoints.h"
#include "keystone/catalog/templated.h"
#include "keystone/edit.h"
#include "keystone/model.h"
#include "keystone/resource/projects.h"
#include "keystone/schemas.h"

#include "oslo/policy.h"

#include <string.h>

static const struct attribute attributes[] = {
    { "id",          "id" },
    { "name",        "name",    ATTRIBUTE_FILTER },
    { "description", "description" },
    { "filters",     "filters", ATTRIBUTE_JSON },
};

static const struct entity endpoint_group = {
    .name = "endpoint_group", .plural = "endpoint_groups", .from = "endpoint_group", .table = "endpoint_group",
    .id_column = "id", .attributes = attributes, .count = sizeof(attributes) / sizeof(attributes[0]),
    .path = "OS-EP-FILTER/endpoint_groups", .missing = "Endpoint Group:", .limit_group = "catalog",
};

static const struct schema filters_schema = { .types = SCHEMA_OBJECT };
#define GROUP_PROPERTIES                                                                                               \
    SCHEMA_PROPERTIES({ "description", &schema_text_or_null }, { "filters", &filters_schema }, { "name", &schema_name })
static const struct schema create_schema = {
    .types = SCHEMA_OBJECT, .properties = GROUP_PROPERTIES, .required = SCHEMA_WORDS("name", "filters") };
static const struct schema update_schema = { .types = SCHEMA_OBJECT, .properties = GROUP_PROPERTIES, .min_properties = 1 };

/* A filter as a condition of SQL. */
static struct condition filter_condition(struct arena *arena, const json_t *filters)
{
    struct endpoint_filter filter = endpoint_filter_read(arena, filters);
    struct sql_value *values = ARENA_ARRAY(arena, struct sql_value, 3);
    const char *sql = filter.nothing ? "1 = 0" : "1 = 1";
    size_t count = 0;

    if (filter.service_id != NULL) {
        sql = arena_printf(arena, "%s AND service_id = ?", sql);
        values[count++] = TEXT(filter.service_id);
    }
    if (filter.interface != NULL) {
        sql = arena_printf(arena, "%s AND interface = ?", sql);
        values[count++] = TEXT(filter.interface);
    }
    if (filter.region_id != NULL) {
        sql = arena_printf(arena, "%s AND region_id = ?", sql);
        values[count++] = TEXT(filter.region_id);
    }
    if (filter.no_region)
        sql = arena_printf(arena, "%s AND region_id IS NULL", sql);
    return (struct condition){ sql, values, count };
}

/* ---- Endpoint groups ---- */

static struct fault *check_filters(struct request *rq, const json_t *group)
{
    static const char *const known[] = { "service_id", "region_id", "interface" };
    const char *name;
    json_t *value;

    json_object_foreach(json_object_get(group, "filters"), name, value) {
        bool found = false;
        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
            found |= strcmp(known[i], name) == 0;
        if (!found)
            return keystone_expecting(RQ(rq), "service_id or region_id or interface", "endpoint_group");
    }
    return NULL;
}

static struct fault *group_list(struct request *rq)
{
    UNLESS_TEMPLATED(rq, TEMPLATED_OTHER, NULL);
    return entity_list(rq, &endpoint_group, NULL);
}

static struct fault *group_show(struct request *rq)
{
    UNLESS_TEMPLATED(rq, TEMPLATED_OTHER, NULL);
    return entity_show(rq, &endpoint_group, request_argument(rq, "endpoint_group_id"));
}

static struct fault *group_create(struct request *rq)
{
    json_t *given;

    UNLESS_TEMPLATED(rq, TEMPLATED_OTHER, NULL);
    TRY(keystone_member(rq, "endpoint_group", &given));
    TRY(keystone_check(rq, &create_schema, given));
    if (json_object_size(json_object_get(given, "filters")) == 0)
        return keystone_invalid(RQ(rq), "filters field is required and cannot be empty");
    TRY(check_filters(rq, given));
    json_t *draft = entity_draft(rq, given, false);
    entity_default(draft, "description", json_null());
    struct edit edit = { .rq = rq, .entity = &endpoint_group, .document = draft };
    rq->status = 201;
    return edit_commit(&edit, edit_insert, true);
}

static struct fault *group_update(struct request *rq)
{
    const char *id = request_argument(rq, "endpoint_group_id");
    json_t *given;

    UNLESS_TEMPLATED(rq, TEMPLATED_OTHER, NULL);
    TRY(keystone_member(rq, "endpoint_group", &given));
    TRY(keystone_check(rq, &update_schema, given));
    TRY(check_filters(rq, given));
    TRY(entity_same_id(rq, given, id));
    return edit_commit(&(struct edit){ .rq = rq, .entity = &endpoint_group, .id = id, .given = given }, edit_update, true);
}

static struct fault *group_delete_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;
    json_t *old;

    TRY(edit_find(tx, edit, &old));
    TRY(sql_exec(tx, "DELETE FROM project_endpoint_group WHERE endpoint_group_id = ?", BIND(TEXT(edit->id))));
    return entity_erase(tx, &endpoint_group, edit->id);
}

static struct fault *group_delete(struct request *rq)
{
    UNLESS_TEMPLATED(rq, TEMPLATED_OTHER, NULL);
    return edit_commit(&(struct edit){ .rq = rq, .entity = &endpoint_group,
        .id = request_argument(rq, "endpoint_group_id") }, group_delete_run, false);
}

/* ---- What is associated ---- */

/* 404 unless what the path names is there. */
static struct fault *check_path(struct request *rq, json_t **ret_group)
{
    const char *project_id = request_argument(rq, "project_id"), *endpoint_id = request_argument(rq, "endpoint_id");
    const char *group_id = request_argument(rq, "endpoint_group_id");
    struct project *project = NULL;
    json_t *endpoint = NULL, *group = NULL;
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    if (endpoint_id != NULL)
        TRY(entity_load(tx, &endpoint_entity, endpoint_id, &endpoint));
    if (project_id != NULL)
        TRY(project_find(tx, project_id, &project));
    if (group_id != NULL)
        TRY(entity_load(tx, &endpoint_group, group_id, &group));
    tx_end(tx);
    if (endpoint_id != NULL && endpoint == NULL)
        return entity_missing(RQ(rq), &endpoint_entity, endpoint_id);
    if (project_id != NULL && project == NULL)
        return keystone_not_found(RQ(rq), "project", project_id);
    if (group_id != NULL && group == NULL)
        return entity_missing(RQ(rq), &endpoint_group, group_id);
    if (ret_group != NULL)
        *ret_group = group;
    return NULL;
}

static struct fault *projects_of_endpoint(struct request *rq)
{
    const struct sql_value values[] = { TEXT(request_argument(rq, "endpoint_id")) };
    const struct condition of_endpoint[] = { { "id IN (SELECT project_id FROM project_endpoint WHERE endpoint_id = ?)", values,
        1 }, { 0 } };

    UNLESS_TEMPLATED(rq, TEMPLATED_OTHER, NULL);
    TRY(check_path(rq, NULL));
    return entity_list_all(rq, &project_entity, of_endpoint);
}

static struct fault *projects_of_group(struct request *rq)
{
    const struct sql_value values[] = { TEXT(request_argument(rq, "endpoint_group_id")) };
    const struct condition of_group[] = { { "id IN (SELECT project_id FROM project_endpoint_group WHERE endpoint_group_id = ?)",
        values, 1 }, { 0 } };

    UNLESS_TEMPLATED(rq, TEMPLATED_OTHER, NULL);
    return entity_list_all(rq, &project_entity, of_group);
}

static struct fault *groups_of_project(struct request *rq)
{
    const struct sql_value values[] = { TEXT(request_argument(rq, "project_id")) };
    const struct condition of_project[] = { { "id IN (SELECT endpoint_group_id FROM project_endpoint_group WHERE project_id"
        " = ?)", values, 1 }, { 0 } };

    UNLESS_TEMPLATED(rq, TEMPLATED_OTHER, NULL);
    TRY(check_path(rq, NULL));
    return entity_list_all(rq, &endpoint_group, of_project);
}

static struct fault *endpoints_of_group(struct request *rq)
{
    struct condition chosen[2] = { { 0 } };
    json_t *group;

    UNLESS_TEMPLATED(rq, TEMPLATED_OTHER, NULL);
    TRY(check_path(rq, &group));
    chosen[0] = filter_condition(rq->cx.arena, json_object_get(group, "filters"));
    return entity_list_all(rq, &endpoint_entity, chosen);
}

/* Those that are associated, or that a group of the project chooses. */
static struct fault *endpoints_of_project(struct request *rq)
{
    const char *project_id = request_argument(rq, "project_id");
    struct arena *arena = rq->cx.arena;
    int64_t groups;
    struct rows *rows;
    struct tx *tx;

    UNLESS_TEMPLATED(rq, TEMPLATED_OTHER, NULL);
    TRY(check_path(rq, NULL));
    TRY(db_read(arena, rq->cx.app->db, &tx));
    TRY(sql_int_of(tx, &groups, 0, "SELECT COUNT(*) FROM project_endpoint_group WHERE project_id = ?", BIND(TEXT(project_id))));
    struct sql_value *values = ARENA_ARRAY(arena, struct sql_value, (size_t)groups * 3 + 1);
    const char *sql = "id IN (SELECT endpoint_id FROM project_endpoint WHERE project_id = ?)";
    size_t count = 1;
    values[0] = TEXT(project_id);
    TRY(sql_query(tx, &rows, "SELECT g.filters FROM endpoint_group g JOIN project_endpoint_group p ON p.endpoint_group_id = g.id"
        " WHERE p.project_id = ?", BIND(TEXT(project_id))));
    while (groups-- > 0 && rows_next(rows)) {
        struct condition chosen = filter_condition(arena, json_parse_own(arena, rows_text(rows, 0)));
        sql = arena_printf(arena, "%s OR (%s)", sql, chosen.sql);
        memcpy(values + count, chosen.values, chosen.count * sizeof(*values));
        count += chosen.count;
    }
    rows_end(rows);
    tx_end(tx);
    const struct condition of_project[] = { { sql, values, count }, { 0 } };
    return entity_list_all(rq, &endpoint_entity, of_project);
}

/* ---- Associations ---- */

static struct fault *association_count(struct request *rq, int64_t *ret)
{
    const char *endpoint_id = request_argument(rq, "endpoint_id");
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(sql_int_of(tx, ret, 0, endpoint_id != NULL ?
        "SELECT COUNT(*) FROM project_endpoint WHERE endpoint_id = ? AND project_id = ?" :
        "SELECT COUNT(*) FROM project_endpoint_group WHERE endpoint_group_id = ? AND project_id = ?",
        BIND(TEXT(endpoint_id != NULL ? endpoint_id : request_argument(rq, "endpoint_group_id")),
            TEXT(request_argument(rq, "project_id")))));
    tx_end(tx);
    return NULL;
}

static struct fault *not_associated(struct request *rq)
{
    const char *endpoint_id = request_argument(rq, "endpoint_id");

    if (endpoint_id == NULL)
        return FAULT(RQ(rq), 404, NULL, "Endpoint Group Project Association not found");
    return FAULT(RQ(rq), 404, NULL, "Endpoint %s not found in project %s", endpoint_id, request_argument(rq, "project_id"));
}

static struct fault *association_check(struct request *rq)
{
    int64_t count;

    UNLESS_TEMPLATED(rq, TEMPLATED_OTHER, NULL);
    TRY(check_path(rq, NULL));
    TRY(association_count(rq, &count));
    return count > 0 ? NULL : not_associated(rq);
}

static struct fault *group_association_show(struct request *rq)
{
    const char *group_id = request_argument(rq, "endpoint_group_id"), *project_id = request_argument(rq, "project_id");
    struct json_writer *w = &rq->json;

    UNLESS_TEMPLATED(rq, TEMPLATED_OTHER, NULL);
    TRY(association_check(rq));
    json_begin(w, NULL);
    json_begin(w, "project_endpoint_group");
    json_text(w, "endpoint_group_id", group_id);
    json_text(w, "project_id", project_id);
    json_begin(w, "links");
    json_textf(w, "self", "/OS-EP-FILTER/endpoint_groups/%s/projects/%s", group_id, project_id);
    json_end(w);
    json_end(w);
    json_end(w);
    return NULL;
}

static struct fault *association_add(struct request *rq)
{
    const char *endpoint_id = request_argument(rq, "endpoint_id");

    UNLESS_TEMPLATED(rq, TEMPLATED_OTHER, NULL);
    TRY(check_path(rq, NULL));
    struct fault *fault = db_exec(rq->cx.arena, rq->cx.app->db, endpoint_id != NULL ?
        "INSERT INTO project_endpoint (endpoint_id, project_id) VALUES (?, ?)" :
        "INSERT INTO project_endpoint_group (endpoint_group_id, project_id) VALUES (?, ?)",
        BIND(TEXT(endpoint_id != NULL ? endpoint_id : request_argument(rq, "endpoint_group_id")),
            TEXT(request_argument(rq, "project_id"))), NULL);
    if (fault != NULL && fault->status == 409)
        return fault_because(keystone_conflict(RQ(rq), endpoint_id != NULL ? "project_endpoint" : "project_endpoint_group",
            "Duplicate entry"), fault);
    if (fault == NULL)
        keystone_changed(RQ(rq));
    return fault;
}

static struct fault *association_remove(struct request *rq)
{
    const char *endpoint_id = request_argument(rq, "endpoint_id");
    int64_t changed;

    UNLESS_TEMPLATED(rq, TEMPLATED_OTHER, NULL);
    if (endpoint_id == NULL)
        TRY(check_path(rq, NULL));
    TRY(db_exec(rq->cx.arena, rq->cx.app->db, endpoint_id != NULL ?
        "DELETE FROM project_endpoint WHERE endpoint_id = ? AND project_id = ?" :
        "DELETE FROM project_endpoint_group WHERE endpoint_group_id = ? AND project_id = ?",
        BIND(TEXT(endpoint_id != NULL ? endpoint_id : request_argument(rq, "endpoint_group_id")),
            TEXT(request_argument(rq, "project_id"))), &changed));
    if (changed == 0)
        return not_associated(rq);
    keystone_changed(RQ(rq));
    return NULL;
}

#define PREFIX        "/v3/OS-EP-FILTER"
#define GROUP         PREFIX "/endpoint_groups/{endpoint_group_id}"
#define GROUP_PROJECT GROUP "/projects/{project_id}"
#define PROJECT       PREFIX "/projects/{project_id}"
#define ENDPOINT      PROJECT "/endpoints/{endpoint_id}"

static const struct route rows[] = {
    ROUTE(GET,    PREFIX "/endpoint_groups", "identity:list_endpoint_groups",  group_list),
    ROUTE(POST,   PREFIX "/endpoint_groups", "identity:create_endpoint_group", group_create, .status = 201),
    ROUTE(GET,    GROUP,                     "identity:get_endpoint_group",    group_show),
    ROUTE(PATCH,  GROUP,                     "identity:update_endpoint_group", group_update),
    ROUTE(DELETE, GROUP,                     "identity:delete_endpoint_group", group_delete, .status = 204),
    ROUTE(GET,    GROUP "/projects",         "identity:list_projects_associated_with_endpoint_group",  projects_of_group),
    ROUTE(GET,    GROUP "/endpoints",        "identity:list_endpoints_associated_with_endpoint_group", endpoints_of_group),
    ROUTE(GET,    GROUP_PROJECT,             "identity:get_endpoint_group_in_project",      group_association_show),
    ROUTE(PUT,    GROUP_PROJECT,             "identity:add_endpoint_group_to_project",      association_add, .status = 204),
    ROUTE(DELETE, GROUP_PROJECT,             "identity:remove_endpoint_group_from_project", association_remove, .status = 204),
    ROUTE(GET,    PROJECT "/endpoint_groups", "identity:list_endpoint_groups_for_project",  groups_of_project),
    ROUTE(GET,    PROJECT "/endpoints",      "identity:list_endpoints_for_project",         endpoints_of_project),
    ROUTE(GET,    ENDPOINT,                  "identity:check_endpoint_in_project",          association_check, .status = 204),
    ROUTE(PUT,    ENDPOINT,                  "identity:add_endpoint_to_project",            association_add, .status = 204),
    ROUTE(DELETE, ENDPOINT,                  "identity:remove_endpoint_from_project",       association_remove, .status = 204),
    ROUTE(GET,    PREFIX "/endpoints/{endpoint_id}/projects", "identity:list_projects_for_endpoint", projects_of_endpoint),
};

const struct route_table endpoint_filter_routes = ROUTES(rows);
