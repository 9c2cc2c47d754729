/* SPDX-License-Identifier: Apache-2.0
 *
 * aggregates: /resource_providers/{uuid}/aggregates. API reference: Resource provider aggregates.
 */
#include "placement/api.h"
#include "placement/store.h"

#include <string.h>

static const struct schema generation = { .types = SCHEMA_INTEGER };
static const struct schema uuids = { .types = SCHEMA_ARRAY, .items = &placement_schema_uuid, .unique_items = true };
static const struct schema put_1_19 = { .types = SCHEMA_OBJECT, .closed = true,
    .required = SCHEMA_WORDS("aggregates", "resource_provider_generation"),
    .properties = SCHEMA_PROPERTIES({ "aggregates", &uuids }, { "resource_provider_generation", &generation }) };

struct change {
    struct request *rq;
    const json_t *wanted;
    int64_t generation;
    struct provider_row provider;
};

static struct fault *aggregate_id(struct tx *tx, const char *uuid, int64_t *ret)
{
    TRY(sql_int_of(tx, ret, 0, "SELECT id FROM placement_aggregates WHERE uuid = ?", BIND(TEXT(uuid))));
    if (*ret != 0)
        return NULL;
    return sql_insert(tx, "INSERT INTO placement_aggregates (created_at, uuid) VALUES (?, ?)",
        BIND(TEXT(placement_timestamp_now(tx_arena(tx))), TEXT(uuid)), ret);
}

static struct fault *set_run(struct tx *tx, void *argument)
{
    struct change *change = argument;
    bool generations = change->rq->version >= 19;
    TRY(placement_change_begin(tx));
    TRY(provider_load(tx, request_argument(change->rq, "uuid"), &change->provider));
    if (generations && change->generation != change->provider.generation)
        return FAULT(RQ(change->rq), 409, CODE_CONCURRENT_UPDATE,
            "Resource provider's generation already changed. Please update the generation and try again.");
    TRY(sql_exec_later(tx, "DELETE FROM resource_provider_aggregates WHERE resource_provider_id = ?",
        BIND(INT(change->provider.id))));
    size_t at;
    json_t *uuid;
    json_array_foreach(change->wanted, at, uuid) {
        int64_t id;
        TRY(aggregate_id(tx, json_string_value(uuid), &id));
        TRY(sql_exec_later(tx,
            "INSERT INTO resource_provider_aggregates (created_at, resource_provider_id, aggregate_id)"
            " VALUES (?, ?, ?)",
            BIND(TEXT(placement_timestamp_now(tx_arena(tx))), INT(change->provider.id), INT(id))));
    }
    return generations ? provider_touch(tx, &change->provider) : placement_change_provider(tx, change->provider.id);
}

static struct fault *set_aggregates(struct request *rq)
{
    bool generations = rq->version >= 19;
    TRY(placement_validate_for_provider(rq, generations ? &put_1_19 : &uuids));
    struct change change = {
        .rq = rq,
        .wanted = generations ? json_object_get(rq->body, "aggregates") : rq->body,
        .generation = generations ? json_int_at(rq->body, "resource_provider_generation", -1) : 0,
    };
    TRY(placement_write(rq, set_run, &change));
    json_begin(&rq->json, NULL);
    json_value(&rq->json, "aggregates", change.wanted);
    if (generations)
        json_int(&rq->json, "resource_provider_generation", change.provider.generation);
    json_end(&rq->json);
    placement_cache_headers(rq, 0);
    return NULL;
}

static struct fault *list_aggregates(struct request *rq)
{
    struct tx *tx;
    struct provider_row provider;
    struct rows *rows;
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(provider_load(tx, request_argument(rq, "uuid"), &provider));
    TRY(sql_query(tx, &rows,
        "SELECT g.uuid FROM resource_provider_aggregates r JOIN placement_aggregates g ON g.id = r.aggregate_id"
        " WHERE r.resource_provider_id = ? ORDER BY g.id",
        BIND(INT(provider.id))));
    json_begin(&rq->json, NULL);
    json_begin_array(&rq->json, "aggregates");
    while (rows_next(rows))
        json_text(&rq->json, NULL, rows_text(rows, 0));
    json_end_array(&rq->json);
    if (rq->version >= 19)
        json_int(&rq->json, "resource_provider_generation", provider.generation);
    json_end(&rq->json);
    placement_cache_headers(rq, 0);
    return rows_fault(rows);
}

#define PATH "/resource_providers/{uuid}/aggregates"
static const struct route rows[] = {
    ROUTE(GET, PATH, "placement:resource_providers:aggregates:list",   list_aggregates, .min_version = 1),
    ROUTE(PUT, PATH, "placement:resource_providers:aggregates:update", set_aggregates,  .min_version = 1),
};
const struct route_table placement_aggregate_routes = ROUTES(rows);
