/* SPDX-License-Identifier: Apache-2.0
 *
 * Access rules: the requests that an application credential may be used for. API reference: Application Credentials,
 * identity v3. They are made with the credentials (application_credentials.c).
 */
#include "keystone/entity.h"
#include "keystone/model.h"

#include "oslo/policy.h"

#include <string.h>

/* A user that is not there is no target. */
static struct fault *enforce(struct request *rq)
{
    struct user *user;
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(user_find(tx, request_argument(rq, "user_id"), &user));
    tx_end(tx);
    if (user == NULL)
        return request_enforce(rq, rq->route->policy, POLICY_TARGET({ "user_id", request_argument(rq, "user_id") }));
    return request_enforce(rq, rq->route->policy, POLICY_TARGET({ "user_id", user->id }, { "target.user.id", user->id },
        { "target.user.domain_id", user->domain_id }));
}

static void write_rule(struct request *rq, const char *name, struct rows *rows)
{
    struct json_writer *w = &rq->json;

    json_begin(w, name);
    json_text(w, "id", rows_text(rows, 0));
    json_text(w, "service", rows_text(rows, 1));
    json_text(w, "path", rows_text(rows, 2));
    json_text(w, "method", rows_text(rows, 3));
    json_begin(w, "links");
    json_text(w, "self", keystone_url(rq, arena_printf(rq->cx.arena, "/access_rules/%s", rows_text(rows, 0))));
    json_end(w);
    json_end(w);
}

static bool wanted(struct request *rq, struct rows *rows)
{
    static const char *const filters[] = { "service", "path", "method" };

    for (int i = 0; i < 3; i++) {
        const char *value = request_query(rq, filters[i]);
        if (value != NULL && (rows_text(rows, i + 1) == NULL || strcmp(value, rows_text(rows, i + 1)) != 0))
            return false;
    }
    return true;
}

static struct fault *rule_list(struct request *rq)
{
    struct rows *rows;
    struct tx *tx;

    TRY(enforce(rq));
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(sql_query(tx, &rows, "SELECT external_id, service, path, method FROM access_rule WHERE user_id = ? ORDER BY id",
        BIND(TEXT(request_argument(rq, "user_id")))));
    json_begin(&rq->json, NULL);
    json_begin_array(&rq->json, "access_rules");
    while (rows_next(rows))
        if (wanted(rq, rows))
            write_rule(rq, NULL, rows);
    TRY(rows_fault(rows));
    tx_end(tx);
    keystone_collection_end(rq);
    return NULL;
}

/* A rule belongs to the user of the path: somebody else's is not found. */
static struct fault *rule_show(struct request *rq)
{
    const char *id = request_argument(rq, "access_rule_id");
    struct rows *rows;
    struct tx *tx;

    TRY(enforce(rq));
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(sql_query(tx, &rows, "SELECT external_id, service, path, method FROM access_rule WHERE external_id = ?"
        " AND user_id = ?", BIND(TEXT(id), TEXT(request_argument(rq, "user_id")))));
    if (!rows_next(rows))
        return keystone_not_found(RQ(rq), "Access Rule", id);
    json_begin(&rq->json, NULL);
    write_rule(rq, "access_rule", rows);
    json_end(&rq->json);
    rows_end(rows);
    tx_end(tx);
    return NULL;
}

static struct fault *delete_run(struct tx *tx, void *argument)
{
    struct request *rq = argument;
    const char *id = request_argument(rq, "access_rule_id");
    int64_t key, used;

    TRY(tx_serialize_on(tx, "credentials", request_argument(rq, "user_id"))); /* as who makes one that names it */
    TRY(sql_int_of(tx, &key, 0, "SELECT id FROM access_rule WHERE external_id = ? AND user_id = ?",
        BIND(TEXT(id), TEXT(request_argument(rq, "user_id")))));
    if (key == 0)
        return keystone_not_found(RQ(rq), "Access Rule", id);
    TRY(sql_int_of(tx, &used, 0, "SELECT COUNT(*) FROM application_credential_access_rule WHERE access_rule_id = ?",
        BIND(INT(key))));
    if (used > 0)
        return keystone_refused(RQ(rq), "May not delete access rule in use");
    return sql_exec(tx, "DELETE FROM access_rule WHERE id = ?", BIND(INT(key)));
}

static struct fault *rule_delete(struct request *rq)
{
    TRY(enforce(rq));
    TRY(db_write(rq->cx.arena, rq->cx.app->db, delete_run, rq));
    keystone_changed(RQ(rq));
    return NULL;
}

#define LIST "/v3/users/{user_id}/access_rules"
#define ONE LIST "/{access_rule_id}"

static const struct route rows[] = {
    ROUTE(GET,    LIST, "identity:list_access_rules",  rule_list,   HANDLER_POLICY),
    ROUTE(GET,    ONE,  "identity:get_access_rule",    rule_show,   HANDLER_POLICY),
    ROUTE(DELETE, ONE,  "identity:delete_access_rule", rule_delete, HANDLER_POLICY, .status = 204),
};

const struct route_table access_rule_routes = ROUTES(rows);
