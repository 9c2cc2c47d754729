/* SPDX-License-Identifier: Apache-2.0
 *
 * server_groups: which servers are to be together and which apart. API reference: Server groups.
 */
#include "nova/api/api.h"
#include "nova/notify.h"
#include "nova/quota.h"

#include "base/clock.h"
#include "base/random.h"

#include <string.h>

enum { WITH_OWNER = 13, WITH_SOFT = 15, WITH_RULES = 64, STRICT_QUERY = 75 };

struct group {
    const char *uuid, *user_id, *project_id, *name, *policy, *rules;
};

#define COLUMNS "g.uuid,g.user_id,g.project_id,g.name,g.policy,g.rules"

static void read_group(struct rows *rows, struct group *ret)
{
    *ret = (struct group){ rows_text(rows, 0), rows_text(rows, 1), rows_text(rows, 2), rows_text(rows, 3),
        rows_text(rows, 4), rows_text(rows, 5) };
}

/* A group without its members; the caller writes them and ends it. */
static void begin_group(struct request *rq, const char *name, const struct group *group)
{
    struct json_writer *w = &rq->json;

    json_begin(w, name);
    json_text(w, "id", group->uuid);
    json_text(w, "name", group->name);
    if (rq->version >= WITH_RULES) {
        json_text(w, "policy", group->policy);
        json_raw(w, "rules", group->rules);
    } else {
        json_begin_array(w, "policies");
        json_text(w, NULL, group->policy);
        json_end_array(w);
        json_begin(w, "metadata");
        json_end(w);
    }
    if (rq->version >= WITH_OWNER) {
        json_text(w, "project_id", group->project_id);
        json_text(w, "user_id", group->user_id);
    }
    json_begin_array(w, "members");
}

static void end_group(struct request *rq)
{
    json_end_array(&rq->json);
    json_end(&rq->json);
}

/* Groups with their members that are not deleted, a row each; groups follow one another. */
#define WITH_MEMBERS                                                                                                   \
    "SELECT " COLUMNS ",i.uuid FROM (SELECT * FROM server_groups %s) g LEFT JOIN server_group_members m "              \
    "ON m.group_uuid=g.uuid LEFT JOIN instances i ON i.uuid=m.instance_uuid AND i.deleted=0 ORDER BY g.id, i.id"

static struct fault *write_groups(struct request *rq, struct rows *rows, const char *name)
{
    struct group group;
    const char *open = NULL;

    while (rows_next(rows)) {
        read_group(rows, &group);
        if (open == NULL || strcmp(open, group.uuid) != 0) {
            if (open != NULL)
                end_group(rq);
            begin_group(rq, name, &group);
            open = group.uuid;
        }
        if (!rows_null(rows, 6))
            json_text(&rq->json, NULL, rows_text(rows, 6));
    }
    if (open != NULL)
        end_group(rq);
    return rows_fault(rows);
}

static struct fault *groups_index(struct request *rq)
{
    static const char *const allowed[] = { "all_projects", "limit", "offset", NULL };
    int64_t limit = 0, offset = 0, most = config_int(rq->cx.app->config, "api", "max_limit");
    bool all = request_query(rq, "all_projects") != NULL && api_is_admin(rq);
    struct tx *tx;
    struct rows *rows;

    TRY(api_query_check(rq, allowed, rq->version >= STRICT_QUERY));
    TRY(api_query_int(rq, "limit", 0, &limit));
    TRY(api_query_int(rq, "offset", 0, &offset));
    if (all)
        TRY(request_enforce(rq, "os_compute_api:os-server-groups:index:all_projects", NULL));
    if (limit == 0 || limit > most)
        limit = most;
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(sql_query(tx, &rows,
        arena_printf(rq->cx.arena, WITH_MEMBERS, "WHERE ?=1 OR project_id=? ORDER BY id LIMIT ? OFFSET ?"),
        BIND(INT(all), TEXT(rq->cx.caller->project_id), INT(limit), INT(offset))));
    json_begin(&rq->json, NULL);
    json_begin_array(&rq->json, "server_groups");
    struct fault *fault = write_groups(rq, rows, NULL);
    json_end_array(&rq->json);
    json_end(&rq->json);
    tx_end(tx);
    return fault;
}

/* Loads the path's group and asks the policy with its project, as nova: another project's is 403, not 404. */
static struct fault *find_group(struct request *rq, const char *rule, struct group *ret)
{
    const char *id = request_argument(rq, "id");
    struct tx *tx;
    struct rows *rows;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(sql_query(tx, &rows, "SELECT " COLUMNS " FROM server_groups g WHERE g.uuid=?", BIND(TEXT(id))));
    if (!rows_next(rows)) {
        TRY(rows_fault(rows));
        return NOT_FOUND(rq, "Instance group %s could not be found.", id);
    }
    read_group(rows, ret);
    tx_end(tx);
    return request_enforce(rq, rule, POLICY_TARGET({ "project_id", ret->project_id }));
}

static struct fault *groups_show(struct request *rq)
{
    struct group group;
    struct tx *tx;
    struct rows *rows;

    TRY(find_group(rq, "os_compute_api:os-server-groups:show", &group));
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(sql_query(tx, &rows, arena_printf(rq->cx.arena, WITH_MEMBERS, "WHERE uuid=?"), BIND(TEXT(group.uuid))));
    json_begin(&rq->json, NULL);
    struct fault *fault = write_groups(rq, rows, "server_group");
    json_end(&rq->json);
    tx_end(tx);
    return fault;
}

static struct fault *run_delete(struct tx *tx, void *argument)
{
    const struct group *group = argument;
    int64_t changed;

    TRY(tx_serialize_on(tx, "project", group->project_id)); /* servers join a group of their project */
    TRY(sql_exec_changed(tx, "DELETE FROM server_groups WHERE uuid=?", BIND(TEXT(group->uuid)), &changed));
    if (changed == 0)
        return fault_new(tx_arena(tx), 404, NULL, "Instance group %s could not be found.", group->uuid);
    TRY(sql_exec(tx, "UPDATE instances SET server_group=NULL WHERE server_group=? AND uuid IN "
        "(SELECT instance_uuid FROM server_group_members WHERE group_uuid=?)",
        BIND(TEXT(group->uuid), TEXT(group->uuid))));
    return sql_exec(tx, "DELETE FROM server_group_members WHERE group_uuid=?", BIND(TEXT(group->uuid)));
}

/* server_group.ACTION in the form of now. `members` is released. */
static void tell_members(struct request *rq, const struct group *g, const char *action, json_t *members)
{
    struct context *cx = &rq->cx;
    const struct notify_group group = { g->uuid, g->name, g->project_id, g->user_id, g->policy, g->rules, members, NULL };
    notify_api(cx, arena_printf(cx->arena, "server_group.%s", action), notify_group(cx->arena, &group));
}

static struct fault *members_of(struct tx *tx, const char *group, json_t *to)
{
    struct rows *rows;

    TRY(sql_query(tx, &rows, "SELECT instance_uuid FROM server_group_members WHERE group_uuid=?", BIND(TEXT(group))));
    while (rows_next(rows))
        json_array_append_new(to, json_string(rows_text(rows, 0)));
    return rows_fault(rows);
}

struct fault *server_group_tell_member(struct request *rq, const char *id, const char *server)
{
    struct context *cx = &rq->cx;
    struct tx *tx;
    struct rows *rows;
    struct group group;

    if (!notify_wanted(cx))
        return NULL;
    json_t *members = json_keep(cx->arena, json_array());
    TRY(db_read(cx->arena, cx->app->db, &tx));
    TRY(sql_query(tx, &rows, "SELECT " COLUMNS " FROM server_groups g WHERE g.uuid=?", BIND(TEXT(id))));
    bool found = rows_next(rows);
    if (found)
        read_group(rows, &group);
    rows_end(rows);
    struct fault *fault = rows_fault(rows) != NULL ? rows_fault(rows) : members_of(tx, id, members);
    tx_end(tx);
    TRY(fault);
    if (!found) /* it went meanwhile */
        return NULL;
    notify_unversioned(cx, "servergroup", NULL, "servergroup.addmember", NOTIFY_INFO, json_pack("{s:s, s:[s]}",
        "server_group_id", id, "instance_uuids", server));
    tell_members(rq, &group, "add_member", json_incref(members));
    return NULL;
}

static void tell(struct request *rq, const struct group *g, const char *action)
{
    struct context *cx = &rq->cx;

    if (!notify_wanted(cx))
        return;
    json_t *older = json_pack("{s:s}", "server_group_id", g->uuid);
    if (strcmp(action, "create") == 0)
        json_object_update_new(older, json_pack("{s:s, s:s, s:s, s:s, s:[s], s:s}", "uuid", g->uuid, "name", g->name, "project_id",
            g->project_id, "user_id", g->user_id, "policies", g->policy, "policy", g->policy));
    notify_unversioned(cx, "servergroup", NULL, arena_printf(cx->arena, "servergroup.%s", action), NOTIFY_INFO, older);
    tell_members(rq, g, action, json_array());
}

static struct fault *groups_delete(struct request *rq)
{
    struct group group;

    TRY(find_group(rq, "os_compute_api:os-server-groups:delete", &group));
    TRY(db_write(rq->cx.arena, rq->cx.app->db, run_delete, &group));
    tell(rq, &group, "delete");
    return api_empty(rq, 204);
}

static const struct schema hard_policy = { .types = SCHEMA_STRING,
    .values = SCHEMA_WORDS("anti-affinity", "affinity") };
static const struct schema any_policy = { .types = SCHEMA_STRING,
    .values = SCHEMA_WORDS("anti-affinity", "affinity", "soft-anti-affinity", "soft-affinity") };
static const struct schema hard_policies = { .types = SCHEMA_ARRAY, .items = &hard_policy, .min_items = 1,
    .max_items = 1, .unique_items = true };
static const struct schema any_policies = { .types = SCHEMA_ARRAY, .items = &any_policy, .min_items = 1, .max_items = 1,
    .unique_items = true };
static const struct schema rules_schema = SCHEMA_CLOSED({ "max_server_per_host", &nova_schema_positive });

static const struct schema create_1 = { .types = SCHEMA_OBJECT, .closed = true,
    .properties = SCHEMA_PROPERTIES({ "name", &nova_schema_name }, { "policies", &hard_policies }),
    .required = SCHEMA_WORDS("name", "policies") };
static const struct schema create_15 = { .types = SCHEMA_OBJECT, .closed = true,
    .properties = SCHEMA_PROPERTIES({ "name", &nova_schema_name }, { "policies", &any_policies }),
    .required = SCHEMA_WORDS("name", "policies") };
static const struct schema create_64 = { .types = SCHEMA_OBJECT, .closed = true,
    .properties = SCHEMA_PROPERTIES({ "name", &nova_schema_name }, { "policy", &any_policy },
        { "rules", &rules_schema }),
    .required = SCHEMA_WORDS("name", "policy") };
static const struct schema body_1 = { .types = SCHEMA_OBJECT, .closed = true,
    .properties = SCHEMA_PROPERTIES({ "server_group", &create_1 }), .required = SCHEMA_WORDS("server_group") };
static const struct schema body_15 = { .types = SCHEMA_OBJECT, .closed = true,
    .properties = SCHEMA_PROPERTIES({ "server_group", &create_15 }), .required = SCHEMA_WORDS("server_group") };
static const struct schema body_64 = { .types = SCHEMA_OBJECT, .closed = true,
    .properties = SCHEMA_PROPERTIES({ "server_group", &create_64 }), .required = SCHEMA_WORDS("server_group") };

struct creation {
    struct request *rq;
    struct group group;
};

/* As nova: the project's limit holds for its groups, the user's own for those that this user made in it. */
static struct fault *check_quota(struct tx *tx, const struct creation *creation)
{
    const struct group *group = &creation->group;
    const struct config *config = creation->rq->cx.app->config;
    int64_t of_project[QUOTA_RESOURCES], of_user[QUOTA_RESOURCES], project_count, user_count;

    TRY(quota_limits(tx, config, group->project_id, NULL, of_project, NULL));
    TRY(quota_limits(tx, config, group->project_id, group->user_id, of_user, NULL));
    TRY(sql_int_of(tx, &project_count, 0, "SELECT COUNT(*) FROM server_groups WHERE project_id=?",
        BIND(TEXT(group->project_id))));
    TRY(sql_int_of(tx, &user_count, 0, "SELECT COUNT(*) FROM server_groups WHERE project_id=? AND user_id=?",
        BIND(TEXT(group->project_id), TEXT(group->user_id))));
    int64_t project_limit = of_project[QUOTA_SERVER_GROUPS], user_limit = of_user[QUOTA_SERVER_GROUPS];
    if ((project_limit >= 0 && project_count >= project_limit) || (user_limit >= 0 && user_count >= user_limit))
        return fault_new(tx_arena(tx), 403, NULL, "Quota exceeded, too many server groups.");
    return NULL;
}

static struct fault *run_create(struct tx *tx, void *argument)
{
    const struct creation *creation = argument;
    const struct group *group = &creation->group;

    TRY(tx_serialize_on(tx, "project", group->project_id));
    TRY(check_quota(tx, creation));
    return sql_exec(tx, "INSERT INTO server_groups(uuid,user_id,project_id,name,policy,rules,created_at) "
        "VALUES(?,?,?,?,?,?,?)",
        BIND(TEXT(group->uuid), TEXT(group->user_id), TEXT(group->project_id), TEXT(group->name), TEXT(group->policy),
            TEXT(group->rules), INT(clock_now_us())));
}

static struct fault *groups_create(struct request *rq)
{
    const struct caller *caller = rq->cx.caller;

    TRY(request_validate(rq, rq->version >= WITH_RULES ? &body_64 : rq->version >= WITH_SOFT ? &body_15 : &body_1));
    const json_t *body = json_object_get(rq->body, "server_group"), *rules = json_object_get(body, "rules"),
        *most = json_object_get(rules, "max_server_per_host");
    struct creation creation = { rq, { .uuid = uuid_new(rq->cx.arena), .user_id = caller->user_id,
        .project_id = caller->project_id, .name = json_text_at(body, "name"), .rules = "{}" } };
    struct group *group = &creation.group;
    group->policy = rq->version >= WITH_RULES ? json_text_at(body, "policy")
        : json_string_value(json_array_get(json_object_get(body, "policies"), 0));
    if (json_object_size(rules) > 0 && strcmp(group->policy, "anti-affinity") != 0)
        return BAD_REQUEST(rq, "Only anti-affinity policy supports rules.");
    if (most != NULL)
        group->rules = arena_printf(rq->cx.arena, "{\"max_server_per_host\":%lld}", (long long)json_number(most, 0));
    TRY(db_write(rq->cx.arena, rq->cx.app->db, run_create, &creation));
    tell(rq, group, "create");
    json_begin(&rq->json, NULL);
    begin_group(rq, "server_group", group);
    end_group(rq);
    json_end(&rq->json);
    return NULL;
}

static const struct route rows[] = {
    ROUTE(GET,    "/v2.1/os-server-groups",      "os_compute_api:os-server-groups:index",  groups_index),
    ROUTE(POST,   "/v2.1/os-server-groups",      "os_compute_api:os-server-groups:create", groups_create),
    ROUTE(GET,    "/v2.1/os-server-groups/{id}", "os_compute_api:os-server-groups:show",   groups_show,
        HANDLER_POLICY),
    ROUTE(DELETE, "/v2.1/os-server-groups/{id}", "os_compute_api:os-server-groups:delete", groups_delete,
        HANDLER_POLICY),
};
const struct route_table nova_server_group_routes = ROUTES(rows);
