/* SPDX-License-Identifier: Apache-2.0
 *
 * limits: what a project or domain is limited to, instead of the registered limit. Two models say how limits of a tree
 * stand to each other: flat (they do not), strict_two_level (a project's is not above its domain's). API reference: Unified
 * limits, identity v3.
 */
#include "keystone/edit.h"
#include "keystone/limit/limits.h"
#include "keystone/model.h"
#include "keystone/schemas.h"

#include "oslo/options.h"
#include "oslo/policy.h"

#include <inttypes.h>
#include <string.h>

static const struct attribute attributes[] = {
    { "id",                  "l.id" },
    { "project_id",          "l.project_id",          ATTRIBUTE_FILTER },
    { "domain_id",           "l.domain_id",           ATTRIBUTE_FILTER },
    { "service_id",          "r.service_id",          ATTRIBUTE_FILTER | ATTRIBUTE_READ },
    { "region_id",           "r.region_id",           ATTRIBUTE_FILTER | ATTRIBUTE_READ },
    { "resource_name",       "r.resource_name",       ATTRIBUTE_FILTER | ATTRIBUTE_READ },
    { "resource_limit",      "l.resource_limit",      ATTRIBUTE_INT },
    { "description",         "l.description" },
    { "registered_limit_id", "l.registered_limit_id", ATTRIBUTE_HIDDEN },
};

const struct entity limit_entity = {
    .name = "limit", .plural = "limits", .from = "`limit` l LEFT JOIN registered_limit r ON r.id = l.registered_limit_id",
    .table = "`limit`", .id_column = "l.id", .attributes = attributes, .count = sizeof(attributes) / sizeof(attributes[0]),
    .missing = "limit for", .limit_group = "unified_limit",
};

/* ---- Bodies ---- */

static const struct schema name_schema = { .types = SCHEMA_STRING, .min_length = 1, .max_length = 255 };
static const struct schema number_schema = { .types = SCHEMA_INTEGER, .minimum = -1, .maximum = 0x7FFFFFFF };
#define OF(owner)                                                                                                      \
    SCHEMA_PROPERTIES({ owner, &schema_id }, { "service_id", &schema_id }, { "region_id", &schema_text },               \
        { "resource_name", &name_schema }, { "resource_limit", &number_schema }, { "description", &schema_text_or_null })
static const struct schema project_schema = {
    .properties = OF("project_id"), .closed = true,
    .required = SCHEMA_WORDS("project_id", "service_id", "resource_name", "resource_limit") };
static const struct schema domain_schema = {
    .properties = OF("domain_id"), .closed = true,
    .required = SCHEMA_WORDS("domain_id", "service_id", "resource_name", "resource_limit") };
static const struct schema item_schema = { .types = SCHEMA_OBJECT, .one_of = SCHEMA_ANY(&project_schema, &domain_schema) };
static const struct schema create_schema = { .types = SCHEMA_ARRAY, .items = &item_schema, .min_items = 1 };
static const struct schema update_schema = {
    .types = SCHEMA_OBJECT, .closed = true,
    .properties = SCHEMA_PROPERTIES({ "resource_limit", &number_schema }, { "description", &schema_text_or_null }) };

struct fault *limits_check_names(struct tx *tx, struct context *cx, json_t *document, const char *target)
{
    const char *service_id = json_text_at(document, "service_id"), *region_id = json_text_at(document, "region_id");
    const char *project_id = json_text_at(document, "project_id"), *domain_id, *found;
    struct project *project;

    if (service_id != NULL) {
        TRY(sql_text_of(tx, &found, "SELECT id FROM service WHERE id = ?", BIND(TEXT(service_id))));
        if (found == NULL)
            return keystone_expecting(cx, "service_id", target);
    }
    if (region_id != NULL) {
        TRY(sql_text_of(tx, &found, "SELECT id FROM region WHERE id = ?", BIND(TEXT(region_id))));
        if (found == NULL)
            return keystone_expecting(cx, "region_id", target);
    }
    if (project_id != NULL) {
        TRY(project_find(tx, project_id, &project));
        if (project == NULL)
            return keystone_expecting(cx, "project_id", target);
        if (project->is_domain) {
            json_object_set_new(document, "domain_id", json_string(project_id));
            json_object_set_new(document, "project_id", json_null());
        }
    }
    domain_id = json_text_at(document, "domain_id");
    if (domain_id == NULL)
        return NULL;
    TRY(domain_find(tx, domain_id, &project));
    return project != NULL ? NULL : keystone_expecting(cx, "domain_id", target);
}

/* ---- The models ---- */

static bool is_strict(const struct config *config)
{
    return strcmp(config_str(config, "unified_limit", "enforcement_model"), "strict_two_level") == 0;
}

int limits_tree_depth(const struct config *config)
{
    return is_strict(config) ? 2 : 0;
}

/* The limit of a project or domain on the resource of `limit`; for a domain without one the registered limit. *ret 0: none,
 * as the reference, which takes a limit of 0 for none. */
static struct fault *limit_of(struct tx *tx, const json_t *limit, const char *column, const char *owner_id, int64_t *ret)
{
    const char *region_id = json_text_at(limit, "region_id");
    struct sql_value values[] = { TEXT(json_text_at(limit, "service_id")), TEXT(json_text_at(limit, "resource_name")),
        TEXT(region_id), INT(region_id == NULL), TEXT(owner_id) };
    static const char resource[] = "r.service_id = ? AND r.resource_name = ? AND (r.region_id = ? OR"
        " (r.region_id IS NULL AND ? = 1))";
    enum { NOT_THERE = -2 };

    TRY(sql_int_of(tx, ret, NOT_THERE, arena_printf(tx_arena(tx), "SELECT l.resource_limit FROM `limit` l JOIN registered_limit r"
        " ON r.id = l.registered_limit_id WHERE %s AND l.%s = ?", resource, column), values, 5));
    if (*ret == NOT_THERE && strcmp(column, "domain_id") == 0)
        TRY(sql_int_of(tx, ret, 0, arena_printf(tx_arena(tx), "SELECT r.default_limit FROM registered_limit r WHERE %s",
            resource), values, 4));
    if (*ret == NOT_THERE)
        *ret = 0;
    return NULL;
}

static bool same(const json_t *a, const json_t *b, const char *name)
{
    const char *left = json_text_at(a, name), *right = json_text_at(b, name);

    return left == right || (left != NULL && right != NULL && strcmp(left, right) == 0);
}

/* The limit of the domain on the same resource in the same request, or NULL. */
static const json_t *beside(const json_t *limits, const json_t *limit, const char *domain_id)
{
    for (size_t i = 0; i < json_array_size(limits); i++) {
        const json_t *other = json_array_get(limits, i);
        const char *its = json_text_at(other, "domain_id");
        if (its != NULL && strcmp(its, domain_id) == 0 && same(other, limit, "service_id") &&
            same(other, limit, "region_id") && same(other, limit, "resource_name"))
            return other;
    }
    return NULL;
}

/* *ret: whether the limit fits the tree that it is in. */
static struct fault *fits(struct tx *tx, const json_t *limits, const json_t *limit, bool *ret)
{
    const char *project_id = json_text_at(limit, "project_id"), *domain_id = json_text_at(limit, "domain_id");
    int64_t wanted = json_int_at(limit, "resource_limit", 0), other;
    const struct project **below;
    struct project *project;
    size_t count;

    *ret = true;
    if (project_id != NULL) {
        TRY(project_find(tx, project_id, &project));
        if (project == NULL || project->parent_id == NULL)
            return NULL;
        const json_t *parent = beside(limits, limit, project->parent_id);
        if (parent != NULL) {
            *ret = wanted <= json_int_at(parent, "resource_limit", 0);
            return NULL;
        }
        TRY(limit_of(tx, limit, "domain_id", project->parent_id, &other));
        *ret = other == 0 || wanted <= other;
        return NULL;
    }
    TRY(project_subtree(tx, domain_id, &below, &count));
    for (size_t i = 0; i < count && *ret; i++) {
        TRY(limit_of(tx, limit, "project_id", below[i]->id, &other));
        *ret = other == 0 || wanted >= other;
    }
    return NULL;
}

/* Checks new or changed limits (an array of complete documents) against [unified_limit] enforcement_model. */
static struct fault *limits_check_model(struct tx *tx, struct context *cx, const json_t *limits)
{
    if (!is_strict(cx->app->config))
        return NULL;
    for (size_t i = 0; i < json_array_size(limits); i++) {
        const json_t *limit = json_array_get(limits, i);
        const char *project_id = json_text_at(limit, "project_id"), *region_id = json_text_at(limit, "region_id");
        bool fine;
        TRY(fits(tx, limits, limit, &fine));
        if (!fine)
            return keystone_refused(cx, "Invalid resource limit: The resource limit (%s: %s, resource_name: %s, "
                "resource_limit: %" PRId64 ", service_id: %s, region_id: %s) doesn't satisfy current hierarchy model..",
                project_id != NULL ? "project_id" : "domain_id",
                project_id != NULL ? project_id : json_text_at(limit, "domain_id"), json_text_at(limit, "resource_name"),
                json_int_at(limit, "resource_limit", 0), json_text_at(limit, "service_id"),
                region_id != NULL ? region_id : "None");
    }
    return NULL;
}

/* ---- Showing ---- */

static struct fault *model_show(struct request *rq)
{
    struct json_writer *w = &rq->json;
    bool strict = is_strict(rq->cx.app->config);

    json_begin(w, NULL);
    json_begin(w, "model");
    json_text(w, "name", strict ? "strict_two_level" : "flat");
    json_text(w, "description", strict ? "This model requires project hierarchy never exceeds a depth of two" :
        "Limit enforcement and validation does not take project hierarchy into consideration.");
    json_end(w);
    json_end(w);
    return NULL;
}

/* Of the system all, of a domain its own and its projects', of a project its own. */
static struct fault *limit_list(struct request *rq)
{
    const struct caller *caller = rq->cx.caller;
    const struct sql_value domain[] = { TEXT(caller->domain_id), TEXT(caller->domain_id) };
    const struct sql_value project[] = { TEXT(caller->project_id) };
    const struct condition of_domain[] = { { "l.domain_id = ? OR l.project_id IN (SELECT id FROM project WHERE domain_id = ?"
        " AND is_domain = 0)", domain, 2 }, { 0 } };
    const struct condition of_project[] = { { "l.project_id = ?", project, 1 }, { 0 } };
    static const struct condition of_nobody[] = { { "1 = 0" }, { 0 } };

    if (caller->system_scope != NULL)
        return entity_list(rq, &limit_entity, NULL);
    return entity_list(rq, &limit_entity,
        caller->domain_id != NULL ? of_domain : caller->project_id != NULL ? of_project : of_nobody);
}

static struct fault *limit_show(struct request *rq)
{
    const char *id = request_argument(rq, "limit_id");
    struct project *project = NULL;
    json_t *limit;
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(entity_load(tx, &limit_entity, id, &limit));
    const char *project_id = json_text_at(limit, "project_id");
    if (project_id != NULL)
        TRY(project_find(tx, project_id, &project));
    tx_end(tx);
    if (limit == NULL) {
        TRY(request_enforce(rq, rq->route->policy, POLICY_TARGET({ "limit_id", id })));
        return entity_missing(RQ(rq), &limit_entity, id);
    }
    TRY(request_enforce(rq, rq->route->policy, POLICY_TARGET({ "target.limit.project_id", project_id },
        { "target.limit.domain.id", json_text_at(limit, "domain_id") },
        { "target.limit.project.domain_id", project != NULL ? project->domain_id : NULL })));
    entity_respond(rq, &limit_entity, limit);
    return NULL;
}

struct fault *limits_of_project_write(struct request *rq, struct tx *tx, const char *project_id)
{
    struct rows *rows;
    json_t *ids = json_keep(rq->cx.arena, json_array()), *limit;

    TRY(sql_query(tx, &rows, "SELECT id FROM `limit` WHERE project_id = ? ORDER BY id", BIND(TEXT(project_id))));
    while (rows_next(rows))
        json_array_append_new(ids, json_string(rows_text(rows, 0)));
    TRY(rows_fault(rows));
    json_begin_array(&rq->json, "limits");
    for (size_t i = 0; i < json_array_size(ids); i++) {
        TRY(entity_load(tx, &limit_entity, json_string_value(json_array_get(ids, i)), &limit));
        json_object_del(limit, "registered_limit_id");
        json_value(&rq->json, NULL, limit);
    }
    json_end_array(&rq->json);
    return NULL;
}

/* ---- Changing ---- */

/* Every limit stands for a registered one. */
static struct fault *refer(struct tx *tx, struct context *cx, json_t *limit)
{
    const char *region_id = json_text_at(limit, "region_id"), *id;

    TRY(sql_text_of(tx, &id, "SELECT id FROM registered_limit WHERE service_id = ? AND resource_name = ? AND"
        " (region_id = ? OR (region_id IS NULL AND ? = 1))",
        BIND(TEXT(json_text_at(limit, "service_id")), TEXT(json_text_at(limit, "resource_name")), TEXT(region_id),
            INT(region_id == NULL))));
    if (id == NULL)
        return keystone_refused(cx, "Unable to create a limit that has no corresponding registered limit.");
    json_object_set_new(limit, "registered_limit_id", json_string(id));
    return NULL;
}

static struct fault *check_unique(struct tx *tx, struct context *cx, const json_t *limit)
{
    const char *project_id = json_text_at(limit, "project_id");
    int64_t count;

    TRY(sql_int_of(tx, &count, 0, arena_printf(tx_arena(tx), "SELECT COUNT(*) FROM `limit` WHERE registered_limit_id = ? AND"
        " %s = ?", project_id != NULL ? "project_id" : "domain_id"),
        BIND(TEXT(json_text_at(limit, "registered_limit_id")),
            TEXT(project_id != NULL ? project_id : json_text_at(limit, "domain_id")))));
    return count == 0 ? NULL : keystone_conflict(cx, "limit", "Duplicate entry");
}

static struct fault *create_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;
    struct context *cx = RQ(edit->rq);

    for (size_t i = 0; i < json_array_size(edit->document); i++)
        TRY(limits_check_names(tx, cx, json_array_get(edit->document, i), "limit"));
    TRY(limits_check_model(tx, cx, edit->document));
    for (size_t i = 0; i < json_array_size(edit->document); i++) {
        json_t *limit = json_array_get(edit->document, i);
        TRY(refer(tx, cx, limit));
        TRY(check_unique(tx, cx, limit));
        TRY(entity_insert(tx, &limit_entity, limit));
    }
    return NULL;
}

static struct fault *limit_create(struct request *rq)
{
    static const char *const members[] = { "project_id", "domain_id", "region_id", "description" };
    json_t *given, *drafts = json_keep(rq->cx.arena, json_array());

    TRY(keystone_member(rq, "limits", &given));
    TRY(keystone_check(rq, &create_schema, given));
    for (size_t i = 0; i < json_array_size(given); i++) {
        json_t *draft = entity_draft(rq, json_array_get(given, i), false);
        for (size_t k = 0; k < sizeof(members) / sizeof(members[0]); k++)
            if (json_object_get(draft, members[k]) == NULL)
                json_object_set_new(draft, members[k], json_null());
        json_array_append(drafts, draft);
    }
    struct edit edit = { .rq = rq, .entity = &limit_entity, .document = drafts };
    TRY(edit_commit(&edit, create_run, false));
    entity_respond_all(rq, &limit_entity, drafts);
    rq->status = 201;
    return NULL;
}

static struct fault *update_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;
    json_t *old, *one = json_keep(tx_arena(tx), json_array());

    TRY(edit_merge(tx, edit, &old));
    json_array_append(one, (json_t *)edit->document);
    TRY(limits_check_model(tx, RQ(edit->rq), one));
    /* as the reference: a limit of 0 and an empty description change nothing */
    if (json_int_at(edit->given, "resource_limit", 0) == 0)
        json_object_set((json_t *)edit->document, "resource_limit", json_object_get(old, "resource_limit"));
    if (json_string_length(json_object_get(edit->given, "description")) == 0)
        json_object_set((json_t *)edit->document, "description", json_object_get(old, "description"));
    return entity_store(tx, &limit_entity, edit->id, edit->document);
}

static struct fault *limit_update(struct request *rq)
{
    const char *id = request_argument(rq, "limit_id");
    json_t *given;

    TRY(edit_given(rq, "limit", &update_schema, id, &given));
    return edit_commit(&(struct edit){ .rq = rq, .entity = &limit_entity, .id = id, .given = given }, update_run, true);
}

static struct fault *delete_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;
    json_t *old;

    TRY(edit_find(tx, edit, &old));
    return entity_erase(tx, &limit_entity, edit->id);
}

static struct fault *limit_delete(struct request *rq)
{
    return edit_commit(&(struct edit){ .rq = rq, .entity = &limit_entity, .id = request_argument(rq, "limit_id") },
        delete_run, false);
}

static const struct route rows[] = {
    ROUTE(GET,    "/v3/limits/model",      "identity:get_limit_model", model_show),
    ROUTE(GET,    "/v3/limits",            "identity:list_limits",     limit_list),
    ROUTE(POST,   "/v3/limits",            "identity:create_limits",   limit_create, .status = 201),
    ROUTE(GET,    "/v3/limits/{limit_id}", "identity:get_limit",       limit_show, HANDLER_POLICY),
    ROUTE(PATCH,  "/v3/limits/{limit_id}", "identity:update_limit",    limit_update),
    ROUTE(DELETE, "/v3/limits/{limit_id}", "identity:delete_limit",    limit_delete, .status = 204),
};

const struct route_table limit_routes = ROUTES(rows);
