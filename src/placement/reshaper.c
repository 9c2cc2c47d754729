/* SPDX-License-Identifier: Apache-2.0
 *
 * reshaper: moves inventories and what is allocated from them between providers, in one transaction. API reference:
 * Reshaper.
 */
#include "placement/allocations.h"
#include "placement/inventories.h"

static const struct schema inventories = { .types = SCHEMA_OBJECT, .closed = true, .min_properties = 1,
    .patterns = SCHEMA_PROPERTIES({ "^[0-9a-fA-F-]{36}$", &placement_schema_inventories_put }) };

struct reshape {
    struct request *rq;
    const json_t *inventories;
    struct claim claim;
};

static struct fault *check_provider(struct tx *tx, struct reshape *reshape, const char *uuid, const json_t *wanted)
{
    struct provider_row provider;
    bool found;
    int64_t given = json_int_at(wanted, "resource_provider_generation", -1);
    TRY(provider_look(tx, uuid, &provider, &found));
    if (!found)
        return FAULT(RQ(reshape->rq), 400, CODE_PROVIDER_NOT_FOUND,
            "Resource provider %s in inventories not found: No resource provider with uuid %s found", uuid, uuid);
    if (given != provider.generation)
        return FAULT(RQ(reshape->rq), 409, CODE_CONCURRENT_UPDATE,
            "resource provider generation conflict for provider %s: actual: %lld, given: %lld", uuid,
            (long long)provider.generation, (long long)given);
    return NULL;
}

/* First every provider gets what it is to have beside what it has, so that allocations can move; at the end what is not
 * wanted goes. */
static struct fault *set_inventories(struct tx *tx, struct reshape *reshape, bool keep)
{
    const char *uuid;
    json_t *wanted;
    json_object_foreach((json_t *)reshape->inventories, uuid, wanted) {
        struct provider_row provider;
        size_t count;
        struct inventory_input *inputs = inventories_read(tx_arena(tx), json_object_get(wanted, "inventories"), &count);
        if (keep && count == 0)
            continue;
        TRY(provider_load(tx, uuid, &provider));
        TRY(inventories_replace(tx, &provider, inputs, count, keep));
        TRY(provider_touch(tx, &provider));
    }
    return NULL;
}

static struct fault *run(struct tx *tx, void *argument)
{
    struct reshape *reshape = argument;
    const char *uuid;
    json_t *wanted;
    TRY(placement_change_begin(tx));
    json_object_foreach((json_t *)reshape->inventories, uuid, wanted)
        TRY(check_provider(tx, reshape, uuid, wanted));
    TRY(set_inventories(tx, reshape, true));
    TRY(claim_run(tx, &reshape->claim));
    return set_inventories(tx, reshape, false);
}

static struct fault *reshape_all(struct request *rq)
{
    const struct schema body = { .types = SCHEMA_OBJECT, .closed = true,
        .required = SCHEMA_WORDS("inventories", "allocations"),
        .properties = SCHEMA_PROPERTIES({ "inventories", &inventories },
            { "allocations", placement_allocations_schema(rq, true) }) };
    TRY(request_validate(rq, &body));
    const json_t *allocations = json_object_get(rq->body, "allocations");
    struct reshape reshape = {
        .rq = rq,
        .inventories = json_object_get(rq->body, "inventories"),
        .claim = { .rq = rq, .consumers = placement_consumers_read(rq, allocations),
            .count = json_object_size(allocations) },
    };
    struct fault *fault = claim_write(rq, run, &reshape, "update conflict");
    if (fault != NULL && fault->status == 404)
        return FAULT(RQ(rq), 400, NULL, "malformed reshaper data: %s", fault->message);
    TRY(fault);
    return placement_answer_empty(rq, 204);
}

static const struct route rows[] = {
    ROUTE(POST, "/reshaper", "placement:reshaper:reshape", reshape_all, .min_version = 30),
};
const struct route_table placement_reshaper_routes = ROUTES(rows);
