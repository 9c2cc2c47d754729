/* SPDX-License-Identifier: Apache-2.0
 *
 * server_groups: servers that belong together or apart. API reference: Server groups.
 */
#include "nova/api.h"
#include "nova/quota.h"

#include "base/clock.h"
#include "base/random.h"

#include <string.h>

struct group {
    int64_t id;
    const char *uuid, *user_id, *project_id, *name, *policy, *rules;
};

#define COLUMNS "id,uuid,user_id,project_id,name,policy,rules"

static void read_group(struct rows *rows, struct group *ret)
{
    *ret = (struct group){ rows_int(rows, 0), rows_text(rows, 1), rows_text(rows, 2), rows_text(rows, 3), rows_text(rows, 4),
        rows_text(rows, 5), rows_text(rows, 6) };
}

static struct fault *write_group(struct request *rq, struct tx *tx, const struct group *group, const char *name)
{
    struct json_writer *w = &rq->json;
    struct rows *rows;

    json_begin(w, name);
    json_text(w, "id", group->uuid);
    json_text(w, "name", group->name);
    if (rq->version >= 64) {
        json_text(w, "policy", group->policy);
        json_raw(w, "rules", group->rules);
    } else {
        json_begin_array(w, "policies");
        json_text(w, NULL, group->policy);
        json_end_array(w);
        json_begin(w, "metadata");
        json_end(w);
    }
    json_begin_array(w, "members");
    TRY(sql_query(tx, &rows, "SELECT instance_uuid FROM server_group_members WHERE group_uuid=?", BIND(TEXT(group->uuid))));
    while (rows_next(rows))
        json_text(w, NULL, rows_text(rows, 0));
    json_end_array(w);
    if (rq->version >= 13) {
        json_text(w, "project_id", group->project_id);
        json_text(w, "user_id", group->user_id);
    }
    json_end(w);
    return rows_fault(rows);
}

static struct fault *groups_index(struct request *rq)
{
    static const char *const allowed[] = { "all_projects", "limit", "offset", NULL };
    int64_t limit, offset = 0;
    const char *marker;
    struct tx *tx;
    struct rows *rows;
    bool all = request_query(rq, "all_projects") != NULL && request_allowed(rq, "os_compute_api:os-server-groups:index:all_projects", NULL);

    TRY(api_query_check(rq, allowed, rq->version >= 75));
    TRY(api_paging(rq, &limit, &marker));
    TRY(api_query_int(rq, "offset", 0, &offset));
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(sql_query(tx, &rows, "SELECT " COLUMNS " FROM server_groups WHERE ?=1 OR project_id=? ORDER BY id LIMIT ? OFFSET ?",
        BIND(INT(all), TEXT(rq->cx.caller->project_id), INT(limit), INT(offset))));
    json_begin(&rq->json, NULL);
    json_begin_array(&rq->json, "server_groups");
    while (rows_next(rows)) {
        struct group group;

        read_group(rows, &group);
        TRY(write_group(rq, tx, &group, NULL));
    }
    json_end_array(&rq->json);
    json_end(&rq->json);
    struct fault *fault = rows_fault(rows);
    tx_end(tx);
    return fault;
}

static struct fault *load_group(struct request *rq, struct tx *tx, const char *rule, struct group *ret)
{
    const char *id = request_argument(rq, "id");
    struct rows *rows;

    TRY(sql_query(tx, &rows, "SELECT " COLUMNS " FROM server_groups WHERE uuid=?", BIND(TEXT(id))));
    bool found = rows_next(rows);
    if (found) {
        read_group(rows, ret);
        rows_end(rows);
    }
    TRY(rows_fault(rows));
    const char *project = rq->cx.caller->project_id;
    if (!found || (!api_is_admin(rq) && (project == NULL || strcmp(ret->project_id, project) != 0)))
        return NOT_FOUND(rq, "Instance group %s could not be found.", id);
    return request_enforce(rq, rule, POLICY_TARGET({ "project_id", ret->project_id }));
}

static struct fault *groups_show(struct request *rq)
{
    struct group group;
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(load_group(rq, tx, "os_compute_api:os-server-groups:show", &group));
    json_begin(&rq->json, NULL);
    TRY(write_group(rq, tx, &group, "server_group"));
    json_end(&rq->json);
    tx_end(tx);
    return NULL;
}

static const struct schema hard_policy = { .types = SCHEMA_STRING, .values = SCHEMA_WORDS("anti-affinity", "affinity") };
static const struct schema policy = { .types = SCHEMA_STRING,
    .values = SCHEMA_WORDS("anti-affinity", "affinity", "soft-anti-affinity", "soft-affinity") };
static const struct schema hard_policies = { .types = SCHEMA_ARRAY, .items = &hard_policy, .min_items = 1, .max_items = 1 };
static const struct schema policies = { .types = SCHEMA_ARRAY, .items = &policy, .min_items = 1, .max_items = 1 };
static const struct schema rules = SCHEMA_CLOSED({ "max_server_per_host", &nova_schema_positive });
#define GROUP_BODY(version_, required_, ...)                                                                           \
    static const struct schema group_##version_ = { .types = SCHEMA_OBJECT, .closed = true, .required = required_,      \
        .properties = SCHEMA_PROPERTIES({ "name", &nova_schema_name }, __VA_ARGS__) };                                       \
    static const struct schema body_##version_ = { .types = SCHEMA_OBJECT, .closed = true,                              \
        .required = SCHEMA_WORDS("server_group"), .properties = SCHEMA_PROPERTIES({ "server_group", &group_##version_ }) }
GROUP_BODY(1,  SCHEMA_WORDS("name", "policies"), { "policies", &hard_policies });
GROUP_BODY(15, SCHEMA_WORDS("name", "policies"), { "policies", &policies });
GROUP_BODY(64, SCHEMA_WORDS("name", "policy"),   { "policy", &policy }, { "rules", &rules });

struct creation {
    struct request *rq;
    struct group group;
};

static struct fault *run_create(struct tx *tx, void *argument)
{
    const struct creation *c = argument;
    int64_t limits[QUOTA_RESOURCES];
    struct quota_usage usage;

    TRY(quota_limits(tx, c->rq->cx.app->config, c->group.project_id, c->group.user_id, limits, NULL));
    TRY(quota_usage(tx, c->group.project_id, &usage));
    if (limits[QUOTA_SERVER_GROUPS] >= 0 && usage.server_groups >= limits[QUOTA_SERVER_GROUPS])
        return fault_new(tx_arena(tx), 403, NULL, "Quota exceeded, too many server groups.");
    return sql_exec(tx, "INSERT INTO server_groups(uuid,user_id,project_id,name,policy,rules,created_at) VALUES(?,?,?,?,?,?,?)",
        BIND(TEXT(c->group.uuid), TEXT(c->group.user_id), TEXT(c->group.project_id), TEXT(c->group.name), TEXT(c->group.policy),
            TEXT(c->group.rules), INT(clock_now_us())));
}

static struct fault *groups_create(struct request *rq)
{
    struct creation c = { .rq = rq };
    struct tx *tx;

    TRY(request_validate(rq, rq->version >= 64 ? &body_64 : rq->version >= 15 ? &body_15 : &body_1));
    const json_t *body = json_object_get(rq->body, "server_group"), *given = json_object_get(body, "rules");
    c.group = (struct group){ .uuid = uuid_new(rq->cx.arena), .user_id = rq->cx.caller->user_id,
        .project_id = rq->cx.caller->project_id, .name = json_text_at(body, "name"), .policy = json_text_at(body, "policy"),
        .rules = "{}" };
    if (c.group.policy == NULL)
        c.group.policy = json_string_value(json_array_get(json_object_get(body, "policies"), 0));
    if (given != NULL && strcmp(c.group.policy, "anti-affinity") != 0)
        return BAD_REQUEST(rq, "Only anti-affinity policy supports rules.");
    const json_t *most = json_object_get(given, "max_server_per_host");
    if (most != NULL)
        c.group.rules = arena_printf(rq->cx.arena, "{\"max_server_per_host\":%lld}", (long long)json_number(most, 1));
    TRY(db_write(rq->cx.arena, rq->cx.app->db, run_create, &c));
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    json_begin(&rq->json, NULL);
    TRY(write_group(rq, tx, &c.group, "server_group"));
    json_end(&rq->json);
    tx_end(tx);
    return NULL;
}

static struct fault *run_delete(struct tx *tx, void *argument)
{
    const char *uuid = argument;

    TRY(sql_exec(tx, "DELETE FROM server_group_members WHERE group_uuid=?", BIND(TEXT(uuid))));
    return sql_exec(tx, "DELETE FROM server_groups WHERE uuid=?", BIND(TEXT(uuid)));
}

static struct fault *groups_delete(struct request *rq)
{
    struct group group;
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    struct fault *fault = load_group(rq, tx, "os_compute_api:os-server-groups:delete", &group);
    tx_end(tx);
    TRY(fault);
    TRY(db_write(rq->cx.arena, rq->cx.app->db, run_delete, (void *)group.uuid));
    return api_empty(rq, 204);
}

#define G "os_compute_api:os-server-groups:"
static const struct route rows[] = {
    ROUTE(GET,    "/v2.1/os-server-groups",      G "index",  groups_index),
    ROUTE(POST,   "/v2.1/os-server-groups",      G "create", groups_create),
    ROUTE(GET,    "/v2.1/os-server-groups/{id}", G "show",   groups_show,   HANDLER_POLICY),
    ROUTE(DELETE, "/v2.1/os-server-groups/{id}", G "delete", groups_delete, HANDLER_POLICY),
};
const struct route_table nova_server_group_routes = ROUTES(rows);
