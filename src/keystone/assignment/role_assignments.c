/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /v3/role_assignments, with its filters, `effective`, `include_names` and `include_subtree`. API reference: Roles,
 * identity v3.
 */
#include "keystone/assignment/assignments.h"

#include "base/map.h"
#include "oslo/policy.h"

#include <string.h>

/* Names are looked up once for each id. */
struct names {
    struct request *rq;
    struct tx *tx;
    const struct reference *reference;
    struct map users, groups, projects;
    bool wanted;
};

static void release_map(void *map)
{
    map_release(map);
}

static struct fault *project_of(struct names *names, const char *id, struct project **ret)
{
    *ret = map_get(&names->projects, id);
    if (*ret != NULL)
        return NULL;
    TRY(project_find(names->tx, id, ret));
    if (*ret == NULL) { /* deleted meanwhile */
        *ret = ARENA_NEW(names->rq->cx.arena, struct project);
        **ret = (struct project){ .id = id, .name = "", .domain_id = "" };
    }
    map_set(&names->projects, id, *ret);
    return NULL;
}

static struct fault *write_domain(struct names *names, const char *domain_id)
{
    struct json_writer *w = &names->rq->json;
    struct project *domain;

    TRY(project_of(names, domain_id, &domain));
    json_begin(w, "domain");
    json_text(w, "id", domain_id);
    json_text(w, "name", domain->name);
    json_end(w);
    return NULL;
}

/* "member": {"id": ..., and with names, "name": ..., "domain": {...}} */
static struct fault *write_named(struct names *names, const char *member, const char *id, const char *name,
    const char *domain_id)
{
    struct json_writer *w = &names->rq->json;

    json_begin(w, member);
    json_text(w, "id", id);
    if (names->wanted) {
        json_text(w, "name", name);
        if (domain_id != NULL)
            TRY(write_domain(names, domain_id));
    }
    json_end(w);
    return NULL;
}

static struct fault *write_actor(struct names *names, const struct assignment *item)
{
    struct user *user = NULL;
    struct group *group = NULL;

    if (!names->wanted)
        return write_named(names, item->user_id != NULL ? "user" : "group",
            item->user_id != NULL ? item->user_id : item->group_id, NULL, NULL);
    if (item->user_id != NULL) {
        user = map_get(&names->users, item->user_id);
        if (user == NULL) {
            TRY(user_find(names->tx, item->user_id, &user));
            if (user != NULL)
                map_set(&names->users, item->user_id, user);
        }
        return write_named(names, "user", item->user_id, user != NULL ? user->name : "", user != NULL ? user->domain_id : "");
    }
    group = map_get(&names->groups, item->group_id);
    if (group == NULL) {
        TRY(group_find(names->tx, item->group_id, &group));
        if (group != NULL)
            map_set(&names->groups, item->group_id, group);
    }
    return write_named(names, "group", item->group_id, group != NULL ? group->name : "", group != NULL ? group->domain_id : "");
}

static struct fault *write_scope(struct names *names, const struct assignment *item)
{
    struct json_writer *w = &names->rq->json;
    struct project *target = NULL;

    json_begin(w, "scope");
    if (names->wanted && (item->project_id != NULL || item->domain_id != NULL))
        TRY(project_of(names, item->project_id != NULL ? item->project_id : item->domain_id, &target));
    if (item->project_id != NULL) {
        const char *domain_id = target == NULL ? NULL : target->is_domain ? target->id : target->domain_id;
        TRY(write_named(names, "project", item->project_id, target != NULL ? target->name : NULL, domain_id));
    } else if (item->domain_id != NULL) {
        TRY(write_named(names, "domain", item->domain_id, target != NULL ? target->name : NULL, NULL));
    } else {
        json_begin(w, "system");
        json_bool(w, "all", true);
        json_end(w);
    }
    if (item->inherited || item->from_project != NULL || item->from_domain != NULL)
        json_text(w, "OS-INHERIT:inherited_to", "projects");
    json_end(w);
    return NULL;
}

static void write_links(struct names *names, const struct assignment *item)
{
    struct json_writer *w = &names->rq->json;
    struct arena *arena = names->rq->cx.arena;
    bool inherited = item->inherited || item->from_project != NULL || item->from_domain != NULL;
    const char *target = item->from_domain != NULL ? item->from_domain : item->from_project != NULL ? item->from_project :
        item->project_id != NULL ? item->project_id : item->domain_id;
    bool domain = item->from_domain != NULL || (item->from_project == NULL && item->domain_id != NULL);
    const char *group = item->from_group != NULL ? item->from_group : item->group_id;
    const char *place = target == NULL ? "/system" :
        arena_printf(arena, "/%s/%s", domain ? "domains" : "projects", target);
    const char *path = arena_printf(arena, "%s%s/%s/%s/roles/%s%s", inherited ? "/OS-INHERIT" : "", place,
        group != NULL ? "groups" : "users", group != NULL ? group : item->user_id,
        item->from_role != NULL ? item->from_role : item->role_id, inherited ? "/inherited_to_projects" : "");

    json_begin(w, "links");
    json_text(w, "assignment", keystone_url(names->rq, path));
    if (item->from_group != NULL)
        json_text(w, "membership", keystone_url(names->rq, arena_printf(arena, "/groups/%s/users/%s", item->from_group,
            item->user_id)));
    if (item->from_role != NULL)
        json_text(w, "prior_role", keystone_url(names->rq, arena_printf(arena, "/prior_role/%s/implies/%s", item->role_id,
            item->from_role)));
    json_end(w);
}

static struct fault *write_item(struct names *names, const struct assignment *item)
{
    const struct reference *reference = names->reference;
    size_t role = reference_role(reference, item->role_id);
    const struct identity_role *known = role < reference->role_count ? &reference->roles[role] : NULL;

    json_begin(&names->rq->json, NULL);
    write_links(names, item);
    TRY(write_scope(names, item));
    TRY(write_actor(names, item));
    TRY(write_named(names, "role", item->role_id, known != NULL ? known->name : "", known != NULL ? known->domain_id : NULL));
    json_end(&names->rq->json);
    return NULL;
}

/* What a domain's own people see of it. */
static struct fault *in_domain(struct names *names, const struct assignment *item, const char *domain_id, bool *ret)
{
    struct project *project;

    *ret = item->domain_id != NULL && strcmp(item->domain_id, domain_id) == 0;
    if (item->project_id == NULL)
        return NULL;
    TRY(project_of(names, item->project_id, &project));
    *ret = strcmp(project->domain_id, domain_id) == 0;
    return NULL;
}

static struct fault *write_list(struct names *names, const struct assignments *list, const char *only_domain)
{
    struct json_writer *w = &names->rq->json;

    json_begin(w, NULL);
    json_begin_array(w, "role_assignments");
    for (size_t i = 0; i < list->count; i++) {
        bool seen = true;
        if (only_domain != NULL)
            TRY(in_domain(names, &list->items[i], only_domain, &seen));
        if (seen)
            TRY(write_item(names, &list->items[i]));
    }
    json_end_array(w);
    json_begin(w, "links");
    json_text(w, "next", NULL);
    json_text(w, "self", keystone_self_url(names->rq));
    json_text(w, "previous", NULL);
    json_end(w);
    json_end(w);
    return NULL;
}

/* ---- The request ---- */

static const char *parameter(struct request *rq, const char *name)
{
    const char *value = request_query(rq, name);

    return value != NULL && value[0] != '\0' ? value : NULL;
}

static struct fault *read_filter(struct request *rq, bool effective, struct assignment_filter *ret)
{
    const char *system = parameter(rq, "scope.system"), *inherited = request_query(rq, "scope.OS-INHERIT:inherited_to");

    *ret = (struct assignment_filter){
        .role_id = parameter(rq, "role.id"), .user_id = parameter(rq, "user.id"), .group_id = parameter(rq, "group.id"),
        .project_id = parameter(rq, "scope.project.id"), .domain_id = parameter(rq, "scope.domain.id"),
        .system = system != NULL && strcmp(system, "all") == 0, .subtree = keystone_query_flag(rq, "include_subtree"),
        .inherited_only = inherited != NULL && strcmp(inherited, "projects") == 0,
        .direct_only = inherited != NULL && strcmp(inherited, "projects") != 0,
    };
    if (ret->domain_id != NULL && ret->project_id != NULL)
        return keystone_invalid(RQ(rq), "Specify a domain or project, not both");
    if (ret->domain_id != NULL && system != NULL)
        return keystone_invalid(RQ(rq), "Specify system or domain, not both");
    if (ret->project_id != NULL && system != NULL)
        return keystone_invalid(RQ(rq), "Specify system or project, not both");
    if (ret->user_id != NULL && ret->group_id != NULL)
        return keystone_invalid(RQ(rq), "Specify a user or group, not both");
    if (effective && ret->group_id != NULL)
        return keystone_invalid(RQ(rq), "Combining effective and group filter will always result in an empty list.");
    if (effective && ret->inherited_only && ret->domain_id != NULL)
        return keystone_invalid(RQ(rq), "Combining effective, domain and inherited filters will always result in an empty list.");
    return NULL;
}

static struct fault *enforce(struct request *rq)
{
    const char *project_id = parameter(rq, "scope.project.id");
    struct project *project = NULL;
    struct tx *tx;

    if (!keystone_query_flag(rq, "include_subtree"))
        return request_enforce(rq, "identity:list_role_assignments",
            POLICY_TARGET({ "target.domain_id", rq->cx.caller->domain_id }));
    if (project_id != NULL) {
        TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
        TRY(project_find(tx, project_id, &project));
        tx_end(tx);
    }
    TRY(request_enforce(rq, "identity:list_role_assignments_for_tree",
        POLICY_TARGET({ "target.domain_id", project != NULL ? project->domain_id : NULL })));
    if (project_id == NULL)
        return keystone_invalid(RQ(rq), "scope.project.id must be specified if include_subtree is also specified");
    return project != NULL ? NULL : keystone_not_found(RQ(rq), "project", project_id);
}

static struct fault *respond(struct request *rq, struct names *names, const struct assignment_filter *filter, bool effective)
{
    const char *only_domain = filter->subtree ? NULL : rq->cx.caller->domain_id;
    struct assignments list = { 0 };

    if (effective)
        TRY(assignments_effective(names->tx, names->reference, filter, &list));
    else
        TRY(assignments_direct(names->tx, filter, &list));
    return write_list(names, &list, only_domain);
}

static struct fault *role_assignments_list(struct request *rq)
{
    bool effective = keystone_query_flag(rq, "effective");
    struct names *names = ARENA_NEW(rq->cx.arena, struct names);
    struct assignment_filter filter;

    TRY(enforce(rq));
    TRY(read_filter(rq, effective, &filter));
    names->rq = rq;
    names->wanted = keystone_query_flag(rq, "include_names");
    arena_defer(rq->cx.arena, release_map, &names->users);
    arena_defer(rq->cx.arena, release_map, &names->groups);
    arena_defer(rq->cx.arena, release_map, &names->projects);
    TRY(reference_get(RQ(rq), &names->reference));
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &names->tx));
    struct fault *fault = respond(rq, names, &filter, effective);
    tx_end(names->tx);
    return fault;
}

static const struct route rows[] = {
    ROUTE(GET, "/v3/role_assignments", "identity:list_role_assignments", role_assignments_list, HANDLER_POLICY),
};

const struct route_table role_assignment_routes = ROUTES(rows);
