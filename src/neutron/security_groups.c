/* SPDX-License-Identifier: Apache-2.0
 *
 * security_groups: groups, and the default group of each project. API reference: Security groups. Rules are in
 * security_group_rules.c.
 */
#include "base/random.h"
#include "neutron/security_groups.h"

#include <string.h>

enum {
    ID, NAME, STATEFUL, TENANT, DESCRIPTION, RULES, TAGS, TAGS_ANY, NOT_TAGS, NOT_TAGS_ANY, CREATED, UPDATED, REVISION, FIELDS
};

static struct fault *load_rules(struct op *op, struct page *page, size_t field)
{
    struct op *rules = op_create(op->cx, NULL, &security_group_rule_resource, OP_INTERNAL);
    struct where *where = ARENA_NEW(op->cx->arena, struct where);
    const char **ids = ARENA_ARRAY(op->cx->arena, const char *, page->count);
    for (size_t i = 0; i < page->count; i++)
        ids[i] = row_text(&page->rows[i], ID);
    where_init(where, op->cx->arena);
    where_in(where, "security_group_id", ids, page->count);
    rules->tx = op->tx;
    TRY(resource_select(rules, where));
    for (size_t i = 0; i < page->count; i++) {
        BUF_CLEANUP struct buf text = { 0 };
        struct json_writer w = { .out = &text };
        json_begin_array(&w, NULL);
        for (size_t k = 0; k < rules->page.count; k++)
            if (strcmp(row_text(&rules->page.rows[k], RULE_GROUP_ID), ids[i]) == 0)
                resource_write(rules, &rules->page.rows[k], &w, NULL);
        json_end_array(&w);
        page->rows[i].values[field] = VALUE_RAW(arena_strdup(op->cx->arena, buf_text(&text)));
    }
    return NULL;
}

static const struct field group_fields[FIELDS] = {
    [ID]          = { "id",                   UUID, COLUMN("id"),          FILTER | SORT, .automatic = NEW_UUID },
    [NAME]        = { "name",                 STR,  COLUMN("name"),        CREATE | UPDATE | FILTER | SORT, .def = STR_DEF("") },
    [STATEFUL]    = { "stateful",             BOOL, COLUMN("stateful"),    CREATE | UPDATE | FILTER, .def = TRUE_DEF },
    [TENANT]      = { "project_id",           STR,  COLUMN("project_id"),  CREATE | FILTER | SORT, .alias = "tenant_id", .check = check_project, .def = CALLER_PROJECT },
    [DESCRIPTION] = { "description",          STR,  COLUMN("description"), CREATE | UPDATE | FILTER | SORT, .def = STR_DEF("") },
    [RULES]       = { "security_group_rules", LIST, LOADER(load_rules),    0 },
    [TAGS]        = { "tags",                 LIST, COLUMN("tags"),        FILTER, .def = JSON_DEF("[]"), .filter = tags_filter },
    [TAGS_ANY]    = { "tags-any",             LIST, NOWHERE,               FILTER | HIDDEN, .filter = tags_filter },
    [NOT_TAGS]    = { "not-tags",             LIST, NOWHERE,               FILTER | HIDDEN, .filter = tags_filter },
    [NOT_TAGS_ANY]= { "not-tags-any",         LIST, NOWHERE,               FILTER | HIDDEN, .filter = tags_filter },
    [CREATED]     = { "created_at",           TIME, COLUMN("created_at"),  FILTER | SORT, .automatic = CREATED_AT, .format = CLOCK_ISO },
    [UPDATED]     = { "updated_at",           TIME, COLUMN("updated_at"),  FILTER | SORT, .automatic = UPDATED_AT, .format = CLOCK_ISO },
    [REVISION]    = { "revision_number",      INT,  COLUMN("revision"),    FILTER | SORT, .automatic = REVISION_COUNTER, .first = 1 },
};

/* ---- The rules that a group is born with ---- */

static struct fault *rule_insert(struct context *cx, struct tx *tx, const char *project_id, const char *group_id,
    const char *direction, const char *ethertype, const char *remote_group_id)
{
    const char *now = clock_text(cx->arena, clock_now_us(), CLOCK_SQL_US);
    return sql_exec_later(tx, "INSERT INTO security_group_rules (id, project_id, security_group_id, direction, ethertype, "
        "remote_group_id, "
        "description, created_at, updated_at, revision) VALUES (?, ?, ?, ?, ?, ?, NULL, ?, ?, 0)",
        BIND(TEXT(uuid_new(cx->arena)), TEXT(project_id), TEXT(group_id), TEXT(direction), TEXT(ethertype), TEXT(remote_group_id),
        TEXT(now), TEXT(now)));
}

enum { BORN_RULES = 2, DEFAULT_GROUP_RULES = 4 };

static struct fault *born_rules(struct context *cx, struct tx *tx, const char *project_id, const char *group_id, bool is_default)
{
    static const char *const ethertypes[] = { "IPv4", "IPv6" };
    for (size_t i = 0; i < 2; i++) {
        TRY(rule_insert(cx, tx, project_id, group_id, "egress", ethertypes[i], NULL));
        if (is_default)
            TRY(rule_insert(cx, tx, project_id, group_id, "ingress", ethertypes[i], group_id));
    }
    return NULL;
}

struct fault *default_group(struct context *cx, struct tx *tx, const char *project_id, const char **ret_id)
{
    const char *now = clock_text(cx->arena, clock_now_us(), CLOCK_SQL_US);
    TRY(sql_text_of(tx, ret_id, "SELECT security_group_id FROM default_security_groups WHERE project_id = ?",
        BIND(TEXT(project_id))));
    if (*ret_id != NULL)
        return NULL;
    *ret_id = uuid_new(cx->arena);
    TRY(quota_check_project(cx, tx, project_id, "security_group_rule", "security_group_rules", DEFAULT_GROUP_RULES));
    struct fault *fault = sql_exec(tx, "INSERT INTO default_security_groups (project_id, security_group_id) VALUES (?, ?)",
        BIND(TEXT(project_id), TEXT(*ret_id)));
    if (fault != NULL && fault->code != NULL && strcmp(fault->code, SQL_DUPLICATE) == 0)
        fault->retry = true; /* another server made it meanwhile */
    TRY(fault);
    TRY(sql_exec_later(tx, "INSERT INTO security_groups (id, project_id, name, description, stateful, tags, created_at, "
        "updated_at, revision) "
        "VALUES (?, ?, 'default', 'Default security group', 1, '[]', ?, ?, 1)",
        BIND(TEXT(*ret_id), TEXT(project_id), TEXT(now), TEXT(now))));
    return born_rules(cx, tx, project_id, *ret_id, true);
}

/* ---- Behaviour ---- */

static struct fault *group_validate(struct op *op, struct row *row)
{
    const char *name = row_text(row, NAME);
    if (row_given(row, NAME) && name != NULL && strcasecmp(name, "default") == 0)
        return FAULT(op->cx, 409, "SecurityGroupDefaultAlreadyExists", "Default security group already exists.");
    return NULL;
}

static struct fault *group_serialize(struct op *op)
{
    return serialize_rows(op, "project", TENANT);
}

static struct fault *group_quota(struct op *op, size_t more)
{
    TRY(quota_check(op, "security_group", "security_groups", TENANT, 1));
    return quota_check(op, "security_group_rule", "security_group_rules", TENANT, BORN_RULES);
}

static struct fault *group_create(struct op *op, struct row *row)
{
    const char *id;
    return row_text(row, TENANT) != NULL ? default_group(op->cx, op->tx, row_text(row, TENANT), &id) : NULL;
}

static struct fault *group_created(struct op *op, struct row *row)
{
    return born_rules(op->cx, op->tx, row_text(row, TENANT), row_text(row, ID), false);
}

static struct fault *is_default_group(struct op *op, struct row *row, bool *ret)
{
    int64_t found = 0;
    TRY(sql_int_of(op->tx, &found, 0, "SELECT COUNT(*) FROM default_security_groups WHERE security_group_id = ?",
        BIND(TEXT(row_text(row, ID)))));
    *ret = found > 0;
    return NULL;
}

static struct fault *ports_using(struct op *op, struct row *row, int64_t *ret)
{
    return sql_int_of(op->tx, ret, 0, "SELECT COUNT(*) FROM port_security_groups WHERE security_group_id = ?",
        BIND(TEXT(row_text(row, ID))));
}

static struct fault *group_change(struct op *op, struct row *row)
{
    bool is_default;
    int64_t used = 0;
    TRY(is_default_group(op, row, &is_default));
    if (is_default && row_given(row, NAME) && row_changed(row, NAME))
        return FAULT(op->cx, 409, "SecurityGroupCannotUpdateDefault", "Updating default security group not allowed.");
    if (row_given(row, STATEFUL) && row_changed(row, STATEFUL)) {
        TRY(ports_using(op, row, &used));
        if (used > 0)
            return FAULT(op->cx, 409, "SecurityGroupInUse", "Security Group %s in use.", row_text(row, ID));
    }
    return NULL;
}

static struct fault *group_remove(struct op *op, struct row *row)
{
    const char *id = row_text(row, ID);
    bool is_default;
    int64_t used = 0;
    TRY(ports_using(op, row, &used));
    if (used > 0)
        return FAULT(op->cx, 409, "SecurityGroupInUse", "Security Group %s in use.", id);
    TRY(is_default_group(op, row, &is_default));
    if (is_default && !op->sees_all)
        return FAULT(op->cx, 409, "SecurityGroupCannotRemoveDefault", "Insufficient rights for removing default security group.");
    TRY(sql_exec_later(op->tx, "DELETE FROM security_group_rules WHERE security_group_id = ? OR remote_group_id = ?",
        BIND(TEXT(id), TEXT(id))));
    return sql_exec_later(op->tx, "DELETE FROM default_security_groups WHERE security_group_id = ?", BIND(TEXT(id)));
}

static struct fault *group_after(struct op *op)
{
    if (op->kind == OP_UPDATE)
        notify_agents(op->cx, "security_groups_rule_updated", "security_group", row_text(&op->page.rows[0], ID));
    return NULL;
}

const struct resource security_group_resource = {
    .name = "security_group", .plural = "security_groups", .table = "security_groups", .fields = group_fields, .count = FIELDS,
    .id = ID, .owner = TENANT, .dialect = &neutron_resources, .bulk = true,
    .not_found = "SecurityGroupNotFound", .not_found_text = "Security group %s does not exist",
    .validate = group_validate, .serialize = group_serialize,
    .quota = group_quota, .create = group_create, .created = group_created,
    .update = group_change, .remove = group_remove, .after = group_after,
};

static struct fault *ensure_run(struct tx *tx, void *argument)
{
    struct context *cx = argument;
    const char *id;
    TRY(tx_serialize_on(tx, "project", cx->caller->project_id));
    return default_group(cx, tx, cx->caller->project_id, &id);
}

/* A project sees its default group before anybody made it. */
static struct fault *group_list(struct request *rq)
{
    const struct caller *caller = rq->cx.caller;
    if (caller->project_id != NULL) {
        const char *id = NULL;
        struct tx *tx;
        TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
        struct fault *fault = sql_text_of(tx, &id, "SELECT security_group_id FROM default_security_groups WHERE project_id = ?",
            BIND(TEXT(caller->project_id)));
        tx_end(tx);
        TRY(fault);
        if (id == NULL)
            TRY(db_write(rq->cx.arena, rq->cx.app->db, ensure_run, RQ(rq)));
    }
    return resource_list(rq);
}

static const struct route rows[] = {
    ROUTE(GET,    "/v2.0/security-groups",      "get_security_group",    group_list,      HANDLER_POLICY, .resource = &security_group_resource),
    ROUTE(POST,   "/v2.0/security-groups",      "create_security_group", resource_create, HANDLER_POLICY, .resource = &security_group_resource, .status = 201),
    ROUTE(GET,    "/v2.0/security-groups/{id}", "get_security_group",    resource_show,   HANDLER_POLICY, .resource = &security_group_resource),
    ROUTE(PUT,    "/v2.0/security-groups/{id}", "update_security_group", resource_update, HANDLER_POLICY, .resource = &security_group_resource),
    ROUTE(DELETE, "/v2.0/security-groups/{id}", "delete_security_group", resource_delete, HANDLER_POLICY, .resource = &security_group_resource, .status = 204),
};
const struct route_table security_group_routes = ROUTES(rows);
