/* SPDX-License-Identifier: Apache-2.0
 *
 * quotas: how many of each resource a project may have. API reference: Quotas extension.
 */
#include "neutron/private.h"

#include <stdlib.h>
#include <string.h>

static const struct quota {
    const char *resource, *table;
} quotas[] = {
    { "network",             "networks"             },
    { "subnet",              "subnets"              },
    { "port",                "ports"                },
    { "security_group",      "security_groups"      },
    { "security_group_rule", "security_group_rules" },
};
enum { QUOTAS = sizeof(quotas) / sizeof(quotas[0]) };

static int64_t quota_default(struct context *cx, const char *resource)
{
    return config_int(cx->app->config, "QUOTAS", arena_printf(cx->arena, "quota_%s", resource));
}

static struct fault *quota_limit(struct context *cx, struct tx *tx, const char *project_id, const char *resource, int64_t *ret)
{
    return sql_int_of(tx, ret, quota_default(cx, resource), "SELECT `limit` FROM quotas WHERE project_id = ? AND resource = ?",
        BIND(TEXT(project_id), TEXT(resource)));
}

static struct fault *quota_used(struct context *cx, struct tx *tx, const char *project_id, const char *table, int64_t *ret)
{
    return sql_int_of(tx, ret, 0, arena_printf(cx->arena, "SELECT COUNT(*) FROM %s WHERE project_id = ?", table),
        BIND(TEXT(project_id)));
}

struct fault *quota_check_project(struct context *cx, struct tx *tx, const char *project_id, const char *resource,
    const char *table, size_t more)
{
    int64_t limit, used;
    TRY(quota_limit(cx, tx, project_id, resource, &limit));
    if (limit < 0)
        return NULL;
    TRY(quota_used(cx, tx, project_id, table, &used));
    if (used + (int64_t)more > limit)
        return FAULT(cx, 409, "OverQuota", "Quota exceeded for resources: ['%s'].", resource);
    return NULL;
}

struct fault *quota_check(struct op *op, const char *resource, const char *table, size_t project_field, size_t each)
{
    /* The rows of a bulk request may belong to several projects: each is counted once. */
    for (size_t i = 0; i < op->page.count; i++) {
        const char *project = row_text(&op->page.rows[i], project_field);
        size_t wanted = 0;
        bool counted = project == NULL || project[0] == '\0';
        for (size_t k = 0; k < i && !counted; k++)
            counted = row_text(&op->page.rows[k], project_field) != NULL && strcmp(row_text(&op->page.rows[k],
                project_field), project) == 0;
        if (counted)
            continue;
        for (size_t k = i; k < op->page.count; k++)
            wanted += row_text(&op->page.rows[k], project_field) != NULL && strcmp(row_text(&op->page.rows[k],
                project_field), project) == 0;
        TRY(quota_check_project(op->cx, op->tx, project, resource, table, wanted * each));
    }
    return NULL;
}

struct fault *serialize_rows(struct op *op, const char *prefix, size_t field)
{
    for (size_t i = 0; i < op->page.count; i++) {
        const char *id = row_text(&op->page.rows[i], field);
        bool done = id == NULL;
        for (size_t k = 0; k < i && !done; k++)
            done = row_text(&op->page.rows[k], field) != NULL && strcmp(row_text(&op->page.rows[k], field), id) == 0;
        if (!done)
            TRY(tx_serialize_on(op->tx, prefix, id));
    }
    return NULL;
}

/* ---- API ---- */

/* A project may see its own quotas; the rest is for admins. */
static struct fault *own_or(struct request *rq, const char *project_id, const char *rule)
{
    const struct caller *caller = rq->cx.caller;
    if (caller->project_id != NULL && strcmp(caller->project_id, project_id) == 0)
        return NULL;
    return request_enforce(rq, rule, NULL);
}

static struct fault *write_quota(struct request *rq, struct tx *tx, const char *project_id, bool details)
{
    struct json_writer *w = &rq->json;
    for (size_t i = 0; i < QUOTAS; i++) {
        int64_t limit, used;
        TRY(quota_limit(RQ(rq), tx, project_id, quotas[i].resource, &limit));
        if (!details) {
            json_int(w, quotas[i].resource, limit);
            continue;
        }
        TRY(quota_used(RQ(rq), tx, project_id, quotas[i].table, &used));
        json_begin(w, quotas[i].resource);
        json_int(w, "limit", limit);
        json_int(w, "used", used);
        json_int(w, "reserved", 0);
        json_end(w);
    }
    return NULL;
}

static struct fault *respond(struct request *rq, const char *project_id, bool details)
{
    struct json_writer *w = &rq->json;
    struct tx *tx;
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    json_begin(w, NULL);
    json_begin(w, "quota");
    struct fault *fault = write_quota(rq, tx, project_id, details);
    json_end(w);
    json_end(w);
    tx_end(tx);
    return fault;
}

static struct fault *quota_show(struct request *rq)
{
    const char *project_id = request_argument(rq, "id");
    TRY(own_or(rq, project_id, "get_quota"));
    return respond(rq, project_id, false);
}

static struct fault *quota_details(struct request *rq)
{
    const char *project_id = request_argument(rq, "id");
    TRY(own_or(rq, project_id, "get_quota"));
    return respond(rq, project_id, true);
}

static struct fault *quota_show_default(struct request *rq)
{
    struct json_writer *w = &rq->json;
    TRY(own_or(rq, request_argument(rq, "id"), "get_quota"));
    json_begin(w, NULL);
    json_begin(w, "quota");
    for (size_t i = 0; i < QUOTAS; i++)
        json_int(w, quotas[i].resource, quota_default(RQ(rq), quotas[i].resource));
    json_end(w);
    json_end(w);
    return NULL;
}

static struct fault *quota_list(struct request *rq)
{
    struct json_writer *w = &rq->json;
    struct rows *projects;
    struct tx *tx;
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(sql_query(tx, &projects, "SELECT DISTINCT project_id FROM quotas ORDER BY project_id", NO_BIND));
    json_begin(w, NULL);
    json_begin_array(w, "quotas");
    while (rows_next(projects)) {
        json_begin(w, NULL);
        json_text(w, "tenant_id", rows_text(projects, 0));
        json_text(w, "project_id", rows_text(projects, 0));
        TRY(write_quota(rq, tx, rows_text(projects, 0), false));
        json_end(w);
    }
    json_end_array(w);
    json_end(w);
    TRY(rows_fault(projects));
    tx_end(tx);
    return NULL;
}

struct quota_change {
    const char *project_id;
    json_t *limits; /* NULL: back to the defaults */
};

static struct fault *change_run(struct tx *tx, void *argument)
{
    const struct quota_change *change = argument;
    const char *name;
    json_t *limit;
    TRY(tx_serialize_on(tx, "project", change->project_id));
    if (change->limits == NULL)
        return sql_exec(tx, "DELETE FROM quotas WHERE project_id = ?", BIND(TEXT(change->project_id)));
    json_object_foreach(change->limits, name, limit) {
        TRY(sql_exec(tx, "DELETE FROM quotas WHERE project_id = ? AND resource = ?", BIND(TEXT(change->project_id), TEXT(name))));
        TRY(sql_exec(tx, "INSERT INTO quotas (project_id, resource, `limit`) VALUES (?, ?, ?)",
            BIND(TEXT(change->project_id), TEXT(name), INT(json_integer_value(limit)))));
    }
    return NULL;
}

static bool quota_known(const char *name)
{
    for (size_t i = 0; i < QUOTAS; i++)
        if (strcmp(quotas[i].resource, name) == 0)
            return true;
    return false;
}

static struct fault *quota_set(struct request *rq)
{
    struct quota_change change = { request_argument(rq, "id"), NULL };
    json_t *body = json_object_get(rq->body, "quota"), *limit;
    const char *name;
    if (!json_is_object(body))
        return FAULT(RQ(rq), 400, "HTTPBadRequest", rq->body == NULL ? "Resource body required"
            : "Unable to find 'quota' in request body");
    change.limits = json_keep(rq->cx.arena, json_object());
    json_object_foreach(body, name, limit) {
        int64_t number = json_integer_value(limit);
        if (strcmp(name, "tenant_id") == 0 || strcmp(name, "project_id") == 0)
            continue;
        if (!quota_known(name))
            return FAULT(RQ(rq), 400, "HTTPBadRequest", "Unrecognized attribute(s) '%s'", name);
        if (json_is_string(limit) && strspn(json_string_value(limit), "-0123456789") == json_string_length(limit))
            number = strtoll(json_string_value(limit), NULL, 10);
        else if (!json_is_integer(limit))
            return invalid_value(RQ(rq), name, "'%s' is not an integer", json_shown(rq->cx.arena, limit));
        if (number < -1 || number > INT32_MAX)
            return invalid_value(RQ(rq), name, "'%lld' is not in range -1 through 2147483647", (long long)number);
        json_object_set_new(change.limits, name, json_integer(number));
    }
    TRY(db_write(rq->cx.arena, rq->cx.app->db, change_run, &change));
    return respond(rq, change.project_id, false);
}

static struct fault *quota_reset(struct request *rq)
{
    struct quota_change change = { request_argument(rq, "id"), NULL };
    return db_write(rq->cx.arena, rq->cx.app->db, change_run, &change);
}

static const struct route rows[] = {
    ROUTE(GET,    "/v2.0/quotas",                   "get_quota",    quota_list),
    ROUTE(GET,    "/v2.0/quotas/{id}",              "get_quota",    quota_show,         HANDLER_POLICY),
    ROUTE(GET,    "/v2.0/quotas/{id}/default",      "get_quota",    quota_show_default, HANDLER_POLICY),
    ROUTE(GET,    "/v2.0/quotas/{id}/details",      "get_quota",    quota_details,      HANDLER_POLICY),
    ROUTE(PUT,    "/v2.0/quotas/{id}",              "update_quota", quota_set),
    ROUTE(DELETE, "/v2.0/quotas/{id}",              "delete_quota", quota_reset,        .status = 204),
};
const struct route_table quota_routes = ROUTES(rows);
