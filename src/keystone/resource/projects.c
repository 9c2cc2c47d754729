/* SPDX-License-Identifier: Apache-2.0
 *
 * projects: the tree of projects below each domain. API reference: Projects and Project tags, identity v3.
 */
#include "keystone/resource/projects.h"

#include "keystone/edit.h"
#include "keystone/limit/limits.h"
#include "keystone/model.h"
#include "keystone/schemas.h"

#include "oslo/policy.h"

#include <string.h>

/* ---- Bodies ---- */

#define PROJECT_PROPERTIES                                                                                             \
    SCHEMA_PROPERTIES({ "description", &schema_text_or_null }, { "domain_id", &schema_id_or_null },                    \
        { "enabled", &schema_boolean }, { "is_domain", &schema_boolean }, { "parent_id", &schema_id_or_null },         \
        { "name", &schema_short_name }, { "tags", &schema_tags }, { "options", &schema_immutable })
static const struct schema create_schema = {
    .types = SCHEMA_OBJECT, .properties = PROJECT_PROPERTIES, .required = SCHEMA_WORDS("name") };
static const struct schema update_schema = { .types = SCHEMA_OBJECT, .properties = PROJECT_PROPERTIES, .min_properties = 1 };

/* The project of the path as the policy's target; nothing when it is not there. */
static struct fault *enforce(struct request *rq)
{
    const char *id = request_argument(rq, "project_id");
    struct project *project;
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(project_find(tx, id, &project));
    tx_end(tx);
    if (project == NULL)
        return request_enforce(rq, rq->route->policy, POLICY_TARGET({ "project_id", id }));
    return request_enforce(rq, rq->route->policy, POLICY_TARGET({ "project_id", id }, { "target.project.id", project->id },
        { "target.project.domain_id", project->is_domain ? NULL : project->domain_id }));
}

/* ---- Showing ---- */

static struct fault *project_list(struct request *rq)
{
    const char *domain_id = rq->cx.caller->domain_id, *is_domain = request_query(rq, "is_domain");
    const struct sql_value domain[] = { TEXT(domain_id) };
    struct condition conditions[8] = { { 0 } };
    size_t count = 0;

    TRY(request_enforce(rq, rq->route->policy, POLICY_TARGET({ "target.domain_id", domain_id })));
    if (is_domain == NULL)
        conditions[count++] = (struct condition){ "is_domain = 0" };
    if (domain_id != NULL)
        conditions[count++] = (struct condition){ "domain_id = ?", domain, 1 };
    TRY(tag_conditions(rq, conditions + count));
    return entity_list(rq, &project_entity, conditions);
}

static void write_ids(struct json_writer *w, const char *member, const struct project *const *projects, size_t count,
    const char *parent)
{
    bool any = false;

    for (size_t i = 0; i < count; i++) {
        if (projects[i]->parent_id == NULL || strcmp(projects[i]->parent_id, parent) != 0)
            continue;
        if (!any)
            json_begin(w, member);
        any = true;
        write_ids(w, projects[i]->id, projects, count, projects[i]->id);
    }
    if (any)
        json_end(w);
    else
        json_null_member(w, member);
}

/* {"B": {"A": null}}: the way up, to the domain. */
static void write_parent_ids(struct json_writer *w, const struct project *project, const struct project *const *parents,
    size_t count)
{
    const char *member = "parents", *next = project->is_domain ? NULL : project->parent_id;
    size_t depth = 0;

    for (size_t i = 0; next != NULL; i++, depth++) {
        json_begin(w, member);
        member = next;
        next = i < count ? parents[i]->parent_id : NULL;
    }
    json_null_member(w, member);
    while (depth-- > 0)
        json_end(w);
}

/* The projects that the caller has a role on, each as {"project": {...}}. */
static struct fault *write_mine(struct request *rq, struct tx *tx, const struct actor *actor, const char *member,
    const struct project *const *projects, size_t count)
{
    json_begin_array(&rq->json, member);
    for (size_t i = 0; i < count; i++) {
        json_t *document;
        bool mine;
        TRY(project_is_mine(tx, actor, projects[i]->id, &mine));
        if (!mine)
            continue;
        TRY(entity_load(tx, &project_entity, projects[i]->id, &document));
        entity_begin(rq, &project_entity, document);
        if (keystone_query_flag(rq, "include_limits"))
            TRY(limits_of_project_write(rq, tx, projects[i]->id));
        entity_finish(rq);
    }
    json_end_array(&rq->json);
    return NULL;
}

static struct fault *write_tree(struct request *rq, struct tx *tx, const struct actor *actor, const struct project *project)
{
    const struct project **list;
    size_t count;

    if (keystone_query_flag(rq, "parents_as_list") || keystone_query_flag(rq, "parents_as_ids")) {
        TRY(project_parents(tx, project, &list, &count));
        if (keystone_query_flag(rq, "parents_as_list"))
            TRY(write_mine(rq, tx, actor, "parents", list, count));
        else
            write_parent_ids(&rq->json, project, list, count);
    }
    if (keystone_query_flag(rq, "subtree_as_list") || keystone_query_flag(rq, "subtree_as_ids")) {
        TRY(project_subtree(tx, project->id, &list, &count));
        if (keystone_query_flag(rq, "subtree_as_list"))
            TRY(write_mine(rq, tx, actor, "subtree", list, count));
        else
            write_ids(&rq->json, "subtree", list, count, project->id);
    }
    return NULL;
}

static struct fault *project_show(struct request *rq)
{
    const char *id = request_argument(rq, "project_id");
    struct actor actor = { 0 };
    struct project *project;
    json_t *document;
    struct tx *tx;

    TRY(enforce(rq));
    if (keystone_query_flag(rq, "parents_as_list") && keystone_query_flag(rq, "parents_as_ids"))
        return keystone_invalid(RQ(rq), "Cannot use parents_as_list and parents_as_ids query params at the same time.");
    if (keystone_query_flag(rq, "subtree_as_list") && keystone_query_flag(rq, "subtree_as_ids"))
        return keystone_invalid(RQ(rq), "Cannot use subtree_as_list and subtree_as_ids query params at the same time.");
    if (keystone_query_flag(rq, "parents_as_list") || keystone_query_flag(rq, "subtree_as_list"))
        TRY(actor_of(RQ(rq), rq->cx.caller->user_id, &actor));
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(entity_load(tx, &project_entity, id, &document));
    if (document == NULL)
        return keystone_not_found(RQ(rq), "project", id);
    TRY(project_find(tx, id, &project));
    entity_begin(rq, &project_entity, document);
    TRY(write_tree(rq, tx, &actor, project));
    entity_finish(rq);
    tx_end(tx);
    return NULL;
}

/* ---- Changing ---- */

static struct fault *create_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;

    return project_create(tx, RQ(edit->rq), edit->document);
}

static void set_default(json_t *document, const char *name, json_t *value)
{
    const json_t *present = json_object_get(document, name);

    if (present == NULL || json_is_null(present))
        json_object_set(document, name, value);
    json_decref(value);
}

/* An id that is not there is the caller's mistake here, not a missing page. */
static struct fault *as_invalid(struct fault *fault)
{
    if (fault != NULL && fault->status == 404)
        fault->status = 400;
    return fault;
}

static struct fault *project_post(struct request *rq)
{
    json_t *given;

    TRY(keystone_member(rq, "project", &given));
    TRY(request_enforce(rq, rq->route->policy, POLICY_TARGET({ "target.project.domain_id", json_text_at(given, "domain_id") })));
    TRY(keystone_check(rq, &create_schema, given));
    json_t *draft = entity_draft(rq, given, false);
    if (!json_is_true(json_object_get(draft, "is_domain")))
        set_default(draft, "domain_id", json_string(keystone_default_domain(rq)));
    set_default(draft, "parent_id", json_incref(json_object_get(draft, "domain_id") != NULL ?
        json_object_get(draft, "domain_id") : json_null()));
    project_defaults(draft);
    struct edit edit = { .rq = rq, .entity = &project_entity, .document = draft };
    rq->status = 201;
    return as_invalid(edit_commit(&edit, create_run, true));
}

static struct fault *update_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;
    json_t *old;

    TRY(edit_merge(tx, edit, &old));
    return project_change(tx, RQ(edit->rq), old, edit->document);
}

static struct fault *project_patch(struct request *rq)
{
    const char *id = request_argument(rq, "project_id");
    json_t *given;

    TRY(enforce(rq));
    TRY(edit_given(rq, "project", &update_schema, id, &given));
    return edit_commit(&(struct edit){ .rq = rq, .entity = &project_entity, .id = id, .given = given }, update_run, true);
}

static struct fault *delete_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;

    return project_delete(tx, RQ(edit->rq), edit->id);
}

static struct fault *project_remove(struct request *rq)
{
    TRY(enforce(rq));
    return edit_commit(&(struct edit){ .rq = rq, .entity = &project_entity, .id = request_argument(rq, "project_id") },
        delete_run, false);
}

static const struct route rows[] = {
    ROUTE(GET,    "/v3/projects",              "identity:list_projects",  project_list,   HANDLER_POLICY),
    ROUTE(POST,   "/v3/projects",              "identity:create_project", project_post,   HANDLER_POLICY, .status = 201),
    ROUTE(GET,    "/v3/projects/{project_id}", "identity:get_project",    project_show,   HANDLER_POLICY),
    ROUTE(PATCH,  "/v3/projects/{project_id}", "identity:update_project", project_patch,  HANDLER_POLICY),
    ROUTE(DELETE, "/v3/projects/{project_id}", "identity:delete_project", project_remove, HANDLER_POLICY, .status = 204),
};

const struct route_table project_routes = ROUTES(rows);
