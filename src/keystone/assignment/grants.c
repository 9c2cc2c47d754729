/* SPDX-License-Identifier: Apache-2.0
 *
 * grants: a role of a user or group on a project, a domain, or the system; on projects and domains also handed down to
 * the projects below (OS-INHERIT). API reference: Roles, System role assignments, OS-INHERIT, identity v3.
 */
#include "keystone/application_credential/application_credentials.h"
#include "keystone/assignment/roles.h"
#include "keystone/model.h"

#include "oslo/policy.h"

#include <string.h>

/* What a path names. */
struct grant {
    json_t *role;                 /* NULL: the path has none */
    const struct user *user;      /* one of both */
    const struct group *group;
    const struct project *project, *domain; /* one of both, or none: the system */
    bool system, inherited;
    const char *actor_id, *target_id, *table, *type;
};

/* Deletions also clear what is left of users and groups that are gone. */
static struct fault *read_grant(struct request *rq, struct tx *tx, bool lenient, struct grant *ret)
{
    const char *user_id = request_argument(rq, "user_id"), *group_id = request_argument(rq, "group_id");
    const char *project_id = request_argument(rq, "project_id"), *domain_id = request_argument(rq, "domain_id");
    const char *role_id = request_argument(rq, "role_id");
    struct context *cx = RQ(rq);

    *ret = (struct grant){ .actor_id = user_id != NULL ? user_id : group_id };
    if (role_id != NULL) {
        TRY(entity_load(tx, &role_entity, role_id, &ret->role));
        if (ret->role == NULL)
            return keystone_not_found(cx, "role", role_id);
    }
    if (user_id != NULL)
        TRY(user_find(tx, user_id, (struct user **)&ret->user));
    else
        TRY(group_find(tx, group_id, (struct group **)&ret->group));
    if (ret->user == NULL && ret->group == NULL && !lenient)
        return keystone_not_found(cx, user_id != NULL ? "user" : "group", ret->actor_id);
    if (domain_id != NULL) {
        TRY(domain_find(tx, domain_id, (struct project **)&ret->domain));
        if (ret->domain == NULL)
            return keystone_not_found(cx, "domain", domain_id);
    } else if (project_id != NULL) {
        TRY(project_find(tx, project_id, (struct project **)&ret->project));
        if (ret->project == NULL)
            return keystone_not_found(cx, "project", project_id);
    }
    ret->system = domain_id == NULL && project_id == NULL;
    ret->target_id = ret->system ? "system" : domain_id != NULL ? domain_id : project_id;
    ret->table = ret->system ? "system_assignment" : "assignment";
    ret->type = ret->system ? (user_id != NULL ? "UserSystem" : "GroupSystem") :
        domain_id != NULL ? (user_id != NULL ? "UserDomain" : "GroupDomain") :
        user_id != NULL ? "UserProject" : "GroupProject";
    ret->inherited = strstr(rq->route->path, "/inherited_to_projects") != NULL;
    return NULL;
}

/* Reads what the path names and enforces the route's rule with it. */
static struct fault *begin(struct request *rq, struct grant *ret)
{
    struct policy_target target[8];
    size_t count = 0;
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    struct fault *fault = read_grant(rq, tx, rq->method == DELETE, ret);
    tx_end(tx);
    if (fault != NULL) {
        /* who may not ask does not learn what is missing */
        TRY(request_enforce(rq, rq->route->policy, NULL));
        return fault;
    }
    if (ret->user != NULL)
        target[count++] = (struct policy_target){ "target.user.domain_id", ret->user->domain_id };
    if (ret->group != NULL)
        target[count++] = (struct policy_target){ "target.group.domain_id", ret->group->domain_id };
    if (ret->project != NULL)
        target[count++] = (struct policy_target){ "target.project.domain_id", ret->project->domain_id };
    if (ret->domain != NULL)
        target[count++] = (struct policy_target){ "target.domain.id", ret->domain->id };
    if (ret->role != NULL)
        target[count++] = (struct policy_target){ "target.role.domain_id", json_text_at(ret->role, "domain_id") };
    target[count] = (struct policy_target){ NULL, NULL };
    return request_enforce(rq, rq->route->policy, target);
}

static struct fault *absent(struct request *rq, const struct grant *grant)
{
    return FAULT(RQ(rq), 404, NULL, "Could not find role assignment with role: %s, user or group: %s, project, domain, or "
        "system: %s.", request_argument(rq, "role_id"), grant->actor_id, grant->target_id);
}

static struct fault *is_granted(struct request *rq, const struct grant *grant, bool *ret)
{
    struct tx *tx;
    int64_t count;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(sql_int_of(tx, &count, 0, arena_printf(rq->cx.arena, "SELECT COUNT(*) FROM %s WHERE type = ? AND actor_id = ?"
        " AND target_id = ? AND role_id = ? AND inherited = ?", grant->table),
        BIND(TEXT(grant->type), TEXT(grant->actor_id), TEXT(grant->target_id), TEXT(request_argument(rq, "role_id")),
            INT(grant->inherited))));
    tx_end(tx);
    *ret = count > 0;
    return NULL;
}

static struct fault *grant_check(struct request *rq)
{
    struct grant grant;
    bool granted;

    TRY(begin(rq, &grant));
    TRY(is_granted(rq, &grant, &granted));
    return granted ? NULL : absent(rq, &grant);
}

static struct fault *grant_list(struct request *rq)
{
    struct grant grant;

    TRY(begin(rq, &grant));
    const struct sql_value values[] = { TEXT(grant.type), TEXT(grant.actor_id), TEXT(grant.target_id), INT(grant.inherited) };
    const struct condition granted[] = { { arena_printf(rq->cx.arena, "id IN (SELECT role_id FROM %s WHERE type = ?"
        " AND actor_id = ? AND target_id = ? AND inherited = ?)", grant.table), values, 4 }, { 0 } };
    return entity_list(rq, &role_entity, granted);
}

static struct fault *grant_create(struct request *rq)
{
    struct grant grant;
    bool granted;

    TRY(begin(rq, &grant));
    const char *role_id = json_text_at(grant.role, "id"), *role_domain = json_text_at(grant.role, "domain_id");
    if (grant.system && role_domain != NULL)
        return keystone_invalid(RQ(rq), "Role %s is a domain-specific role. Unable to use a domain-specific role in a "
            "system assignment.", role_id);
    if (grant.project != NULL && role_domain != NULL && strcmp(role_domain, grant.project->domain_id) != 0)
        return keystone_refused(RQ(rq), "You are not authorized to perform the requested action.");
    TRY(is_granted(rq, &grant, &granted));
    if (granted)
        return NULL;
    struct fault *fault = db_exec(rq->cx.arena, rq->cx.app->db, arena_printf(rq->cx.arena,
        "INSERT INTO %s (type, actor_id, target_id, role_id, inherited) VALUES (?, ?, ?, ?, ?)", grant.table),
        BIND(TEXT(grant.type), TEXT(grant.actor_id), TEXT(grant.target_id), TEXT(role_id), INT(grant.inherited)), NULL);
    if (fault != NULL && fault->status != 409)
        return fault;
    keystone_changed(RQ(rq));
    return NULL;
}

static struct fault *delete_run(struct tx *tx, void *argument)
{
    struct request *rq = ((void **)argument)[0];
    const struct grant *grant = ((void **)argument)[1];
    int64_t deleted;

    TRY(tx_serialize(tx, "entities"));
    TRY(sql_exec_changed(tx, arena_printf(tx_arena(tx),
        "DELETE FROM %s WHERE type = ? AND actor_id = ? AND target_id = ? AND role_id = ? AND inherited = ?", grant->table),
        BIND(TEXT(grant->type), TEXT(grant->actor_id), TEXT(grant->target_id), TEXT(json_text_at(grant->role, "id")),
            INT(grant->inherited)), &deleted));
    if (deleted == 0)
        return absent(rq, grant);
    /* What a user gave of his roles on a project goes with any of them. */
    return grant->user != NULL && grant->project != NULL ?
        app_creds_end_on_project(tx, grant->actor_id, grant->target_id) : NULL;
}

static struct fault *grant_delete(struct request *rq)
{
    struct grant grant;

    TRY(begin(rq, &grant));
    TRY(db_write(rq->cx.arena, rq->cx.app->db, delete_run, (void *[]){ rq, &grant }));
    keystone_changed(RQ(rq));
    return NULL;
}

/* The four routes of one kind of actor on one kind of target, and the same for what is handed down. */
#define GRANTS(base)                                                                                                   \
    ROUTE(GET,    base "/roles",           "identity:list_grants",  grant_list,   HANDLER_POLICY),                     \
    ROUTE(GET,    base "/roles/{role_id}", "identity:check_grant",  grant_check,  HANDLER_POLICY, .status = 204),      \
    ROUTE(PUT,    base "/roles/{role_id}", "identity:create_grant", grant_create, HANDLER_POLICY, .status = 204),      \
    ROUTE(DELETE, base "/roles/{role_id}", "identity:revoke_grant", grant_delete, HANDLER_POLICY, .status = 204)
#define BELOW "/inherited_to_projects"
#define INHERITED(base)                                                                                                \
    ROUTE(GET,    base "/roles" BELOW,           "identity:list_grants",  grant_list,   HANDLER_POLICY),               \
    ROUTE(GET,    base "/roles/{role_id}" BELOW, "identity:check_grant",  grant_check,  HANDLER_POLICY, .status = 204), \
    ROUTE(PUT,    base "/roles/{role_id}" BELOW, "identity:create_grant", grant_create, HANDLER_POLICY, .status = 204), \
    ROUTE(DELETE, base "/roles/{role_id}" BELOW, "identity:revoke_grant", grant_delete, HANDLER_POLICY, .status = 204)
#define SYSTEM(base, actor)                                                                                            \
    ROUTE(GET,    base "/roles",           "identity:list_system_grants_for_" actor,  grant_list,   HANDLER_POLICY),   \
    ROUTE(GET,    base "/roles/{role_id}", "identity:check_system_grant_for_" actor,  grant_check,  HANDLER_POLICY,    \
        .status = 204),                                                                                                \
    ROUTE(PUT,    base "/roles/{role_id}", "identity:create_system_grant_for_" actor, grant_create, HANDLER_POLICY,    \
        .status = 204),                                                                                                \
    ROUTE(DELETE, base "/roles/{role_id}", "identity:revoke_system_grant_for_" actor, grant_delete, HANDLER_POLICY,    \
        .status = 204)

static const struct route rows[] = {
    GRANTS("/v3/projects/{project_id}/users/{user_id}"),
    GRANTS("/v3/projects/{project_id}/groups/{group_id}"),
    GRANTS("/v3/domains/{domain_id}/users/{user_id}"),
    GRANTS("/v3/domains/{domain_id}/groups/{group_id}"),
    INHERITED("/v3/OS-INHERIT/projects/{project_id}/users/{user_id}"),
    INHERITED("/v3/OS-INHERIT/projects/{project_id}/groups/{group_id}"),
    INHERITED("/v3/OS-INHERIT/domains/{domain_id}/users/{user_id}"),
    INHERITED("/v3/OS-INHERIT/domains/{domain_id}/groups/{group_id}"),
    SYSTEM("/v3/system/users/{user_id}", "user"),
    SYSTEM("/v3/system/groups/{group_id}", "group"),
};

const struct route_table grant_routes = ROUTES(rows);
