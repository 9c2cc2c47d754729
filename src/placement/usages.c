/* SPDX-License-Identifier: Apache-2.0
 *
 * usages: what is used of a provider, and by a project. API reference: Usages.
 */
#include "placement/api.h"
#include "placement/store.h"

#include <string.h>

static const struct schema id_text = { .types = SCHEMA_STRING, .min_length = 1, .max_length = 255 };
static const struct schema type_text = { .types = SCHEMA_STRING, .min_length = 1, .max_length = 255,
    .pattern = "^[A-Z0-9_]+$|^all|^unknown$" };
static const struct schema query_1_9 = { .types = SCHEMA_OBJECT, .closed = true,
    .required = SCHEMA_WORDS("project_id"),
    .properties = SCHEMA_PROPERTIES({ "project_id", &id_text }, { "user_id", &id_text }) };
static const struct schema query_1_38 = { .types = SCHEMA_OBJECT, .closed = true,
    .required = SCHEMA_WORDS("project_id"),
    .properties = SCHEMA_PROPERTIES({ "project_id", &id_text }, { "user_id", &id_text },
        { "consumer_type", &type_text }) };

static struct fault *provider_usages(struct request *rq)
{
    struct tx *tx;
    struct provider_row provider;
    struct rows *rows;
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(provider_load_twice(tx, request_argument(rq, "uuid"), &provider));
    TRY(sql_query(tx, &rows,
        "SELECT c.name, (SELECT COALESCE(SUM(a.used), 0) FROM allocations a WHERE a.resource_provider_id ="
        " i.resource_provider_id AND a.resource_class_id = i.resource_class_id) FROM inventories i"
        " JOIN resource_classes c ON c.id = i.resource_class_id WHERE i.resource_provider_id = ?"
        " ORDER BY i.resource_class_id",
        BIND(INT(provider.id))));
    json_begin(&rq->json, NULL);
    json_int(&rq->json, "resource_provider_generation", provider.generation);
    json_begin(&rq->json, "usages");
    while (rows_next(rows))
        json_int(&rq->json, rows_text(rows, 0), rows_int(rows, 1));
    json_end(&rq->json);
    json_end(&rq->json);
    placement_cache_headers(rq, 0);
    return rows_fault(rows);
}

/* The allocations of a project (?1), and of one of its users (?2, or NULL twice). */
#define OF_PROJECT                                                                                                     \
    " FROM allocations a JOIN consumers c ON c.uuid = a.consumer_id JOIN projects p ON p.id = c.project_id"            \
    " JOIN users u ON u.id = c.user_id LEFT JOIN consumer_types t ON t.id = c.consumer_type_id"                        \
    " JOIN resource_classes r ON r.id = a.resource_class_id"                                                           \
    " WHERE p.external_id = ? AND (? IS NULL OR u.external_id = ?)"

static struct fault *flat_usages(struct request *rq, struct tx *tx, const char *project, const char *user)
{
    struct rows *rows;
    TRY(sql_query(tx, &rows,
        "SELECT r.name, SUM(a.used)" OF_PROJECT " GROUP BY r.id, r.name ORDER BY r.id",
        BIND(TEXT(project), TEXT(user), TEXT(user))));
    while (rows_next(rows))
        json_int(&rq->json, rows_text(rows, 0), rows_int(rows, 1));
    return rows_fault(rows);
}

/* One group of consumers: all of them, those without a type, or those of each type. */
static struct fault *typed_usages(struct request *rq, struct tx *tx, const char *project, const char *user,
    const char *type)
{
    static const char all[] = "SELECT 'all', r.name, SUM(a.used), (SELECT COUNT(DISTINCT a.consumer_id)" OF_PROJECT
                              ")" OF_PROJECT " GROUP BY r.id, r.name ORDER BY r.id";
    static const char each[] =
        "SELECT COALESCE(t.name, 'unknown'), r.name, SUM(a.used), (SELECT COUNT(DISTINCT a2.consumer_id)"
        " FROM allocations a2 JOIN consumers c2 ON c2.uuid = a2.consumer_id JOIN projects p2 ON p2.id = c2.project_id"
        " JOIN users u2 ON u2.id = c2.user_id WHERE p2.external_id = ? AND (? IS NULL OR u2.external_id = ?)"
        " AND COALESCE(c2.consumer_type_id, 0) = COALESCE(c.consumer_type_id, 0))" OF_PROJECT
        " AND (? IS NULL OR COALESCE(t.name, 'unknown') = ?)"
        " GROUP BY c.consumer_type_id, t.name, r.id, r.name ORDER BY COALESCE(c.consumer_type_id, 0), r.id";
    struct rows *rows;
    const char *group = NULL;
    if (type != NULL && strcmp(type, "all") == 0)
        TRY(sql_query(tx, &rows, all, BIND(TEXT(project), TEXT(user), TEXT(user), TEXT(project), TEXT(user),
            TEXT(user))));
    else
        TRY(sql_query(tx, &rows, each, BIND(TEXT(project), TEXT(user), TEXT(user), TEXT(project), TEXT(user),
            TEXT(user), TEXT(type), TEXT(type))));
    while (rows_next(rows)) {
        const char *name = rows_text(rows, 0);
        if (group == NULL || strcmp(group, name) != 0) {
            if (group != NULL)
                json_end(&rq->json);
            json_begin(&rq->json, name);
            json_int(&rq->json, "consumer_count", rows_int(rows, 3));
            group = name;
        }
        json_int(&rq->json, rows_text(rows, 1), rows_int(rows, 2));
    }
    if (group != NULL)
        json_end(&rq->json);
    return rows_fault(rows);
}

static struct fault *total_usages(struct request *rq)
{
    bool typed = rq->version >= 38;
    const char *project = placement_query_last(rq, "project_id"), *user = placement_query_last(rq, "user_id");
    struct tx *tx;
    TRY(request_enforce(rq, "placement:usages", POLICY_TARGET({ "project_id", project })));
    TRY(placement_query_validate(rq, typed ? &query_1_38 : &query_1_9));
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    json_begin(&rq->json, NULL);
    json_begin(&rq->json, "usages");
    if (typed)
        TRY(typed_usages(rq, tx, project, user, placement_query_last(rq, "consumer_type")));
    else
        TRY(flat_usages(rq, tx, project, user));
    json_end(&rq->json);
    json_end(&rq->json);
    placement_cache_headers(rq, 0);
    return NULL;
}

static const struct route rows_of_usages[] = {
    ROUTE(GET, "/resource_providers/{uuid}/usages", "placement:resource_providers:usages", provider_usages),
    ROUTE(GET, "/usages", "placement:usages", total_usages, .min_version = 9, HANDLER_POLICY),
};
const struct route_table placement_usage_routes = ROUTES(rows_of_usages);
