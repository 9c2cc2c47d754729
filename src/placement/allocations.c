/* SPDX-License-Identifier: Apache-2.0
 *
 * allocations: /allocations, and those of a provider. API reference: Allocations.
 */
#include "placement/allocations.h"

#include "base/random.h"

#include <string.h>

/* Schemas, from the smallest part up; each microversion that changed something has its own whole. */
#define OBJECT     .types = SCHEMA_OBJECT, .closed = true
#define UUID_CHARS "^[0-9a-fA-F-]{36}$"

static const struct schema amount = { .types = SCHEMA_INTEGER, .minimum = 1, .maximum = INT64_MAX };
static const struct schema resources = { OBJECT, .min_properties = 1,
    .patterns = SCHEMA_PROPERTIES({ "^[A-Z0-9_]+$", &amount }) };
static const struct schema id_text = { .types = SCHEMA_STRING, .min_length = 1, .max_length = 255 };
static const struct schema integer = { .types = SCHEMA_INTEGER };
static const struct schema integer_or_null = { .types = SCHEMA_INTEGER | SCHEMA_NULL };
static const struct schema type_text = { .types = SCHEMA_STRING, .min_length = 1, .max_length = 255,
    .pattern = "^[A-Z0-9_]+$" };

static const struct schema provider_uuid = { OBJECT, .required = SCHEMA_WORDS("uuid"),
    .properties = SCHEMA_PROPERTIES({ "uuid", &placement_schema_uuid }) };
static const struct schema list_item = { OBJECT, .required = SCHEMA_WORDS("resource_provider", "resources"),
    .properties = SCHEMA_PROPERTIES({ "resource_provider", &provider_uuid }, { "resources", &resources }) };
static const struct schema list = { .types = SCHEMA_ARRAY, .min_items = 1, .items = &list_item };

static const struct schema map_item = { OBJECT, .required = SCHEMA_WORDS("resources"),
    .properties = SCHEMA_PROPERTIES({ "generation", &integer }, { "resources", &resources }) };
static const struct schema map_full = { OBJECT, .min_properties = 1,
    .patterns = SCHEMA_PROPERTIES({ UUID_CHARS, &map_item }) };
static const struct schema map_any = { OBJECT, .patterns = SCHEMA_PROPERTIES({ UUID_CHARS, &map_item }) };
static const struct schema mapping = { .types = SCHEMA_ARRAY, .min_items = 1, .items = &placement_schema_uuid };
static const struct schema mappings = { .types = SCHEMA_OBJECT, .min_properties = 1,
    .patterns = SCHEMA_PROPERTIES({ "[a-zA-Z0-9_-]{1,64}", &mapping }) };

#define OWNER { "project_id", &id_text }, { "user_id", &id_text }
static const struct schema put_1_0 = { OBJECT, .required = SCHEMA_WORDS("allocations"),
    .properties = SCHEMA_PROPERTIES({ "allocations", &list }) };
static const struct schema put_1_8 = { OBJECT, .required = SCHEMA_WORDS("allocations", "project_id", "user_id"),
    .properties = SCHEMA_PROPERTIES({ "allocations", &list }, OWNER) };
static const struct schema put_1_12 = { OBJECT, .required = SCHEMA_WORDS("allocations", "project_id", "user_id"),
    .properties = SCHEMA_PROPERTIES({ "allocations", &map_full }, OWNER) };
static const struct schema item_1_13 = { OBJECT, .required = SCHEMA_WORDS("allocations", "project_id", "user_id"),
    .properties = SCHEMA_PROPERTIES({ "allocations", &map_any }, OWNER) };
static const struct schema item_1_28 = { OBJECT,
    .required = SCHEMA_WORDS("allocations", "project_id", "user_id", "consumer_generation"),
    .properties = SCHEMA_PROPERTIES({ "allocations", &map_any }, OWNER, { "consumer_generation", &integer_or_null }) };
static const struct schema item_1_34 = { OBJECT,
    .required = SCHEMA_WORDS("allocations", "project_id", "user_id", "consumer_generation"),
    .properties = SCHEMA_PROPERTIES({ "allocations", &map_any }, OWNER, { "consumer_generation", &integer_or_null },
        { "mappings", &mappings }) };
static const struct schema item_1_38 = { OBJECT,
    .required = SCHEMA_WORDS("allocations", "project_id", "user_id", "consumer_generation", "consumer_type"),
    .properties = SCHEMA_PROPERTIES({ "allocations", &map_any }, OWNER, { "consumer_generation", &integer_or_null },
        { "mappings", &mappings }, { "consumer_type", &type_text }) };

#define CONSUMERS(item, least)                                                                                         \
    { OBJECT, .min_properties = (least), .patterns = SCHEMA_PROPERTIES({ UUID_CHARS, &item }) }
static const struct schema post_1_13 = CONSUMERS(item_1_13, 1);
static const struct schema post_1_28 = CONSUMERS(item_1_28, 1);
static const struct schema post_1_34 = CONSUMERS(item_1_34, 1);
static const struct schema post_1_38 = CONSUMERS(item_1_38, 1);
static const struct schema reshape_1_30 = CONSUMERS(item_1_28, 0);
static const struct schema reshape_1_34 = CONSUMERS(item_1_34, 0);
static const struct schema reshape_1_38 = CONSUMERS(item_1_38, 0);

const struct schema *placement_allocations_schema(const struct request *rq, bool may_be_empty)
{
    if (rq->version >= 38)
        return may_be_empty ? &reshape_1_38 : &post_1_38;
    if (rq->version >= 34)
        return may_be_empty ? &reshape_1_34 : &post_1_34;
    if (rq->version >= 28)
        return may_be_empty ? &reshape_1_30 : &post_1_28;
    return &post_1_13;
}

static const struct schema *put_schema(const struct request *rq)
{
    if (rq->version >= 38)
        return &item_1_38;
    if (rq->version >= 34)
        return &item_1_34;
    if (rq->version >= 28)
        return &item_1_28;
    if (rq->version >= 12)
        return &put_1_12;
    return rq->version >= 8 ? &put_1_8 : &put_1_0;
}

static struct consumer_input consumer_read(struct request *rq, const char *uuid, const json_t *body)
{
    struct placement *placement = placement_of(rq);
    const char *project = json_text_at(body, "project_id"), *user = json_text_at(body, "user_id");
    return (struct consumer_input){
        .uuid = uuid,
        .project_id = project == NULL ? placement->missing_project : project,
        .user_id = project == NULL ? placement->missing_user : user,
        .generation = json_object_get(body, "consumer_generation"),
        .type = json_text_at(body, "consumer_type"),
        .allocations = json_object_get(body, "allocations"),
    };
}

struct consumer_input *placement_consumers_read(struct request *rq, const json_t *body)
{
    struct consumer_input *inputs = ARENA_ARRAY(rq->cx.arena, struct consumer_input, json_object_size(body) + 1);
    const char *uuid;
    json_t *consumer;
    size_t count = 0;
    json_object_foreach((json_t *)body, uuid, consumer)
        inputs[count++] = consumer_read(rq, uuid, consumer);
    return inputs;
}

static struct fault *run(struct tx *tx, void *argument)
{
    TRY(placement_change_begin(tx));
    return claim_run(tx, argument);
}

/* Below 1.12 allocations are a list of providers. */
static json_t *as_map(struct request *rq, const json_t *items)
{
    json_t *map = json_keep(rq->cx.arena, json_object());
    size_t at;
    json_t *item;
    json_array_foreach(items, at, item)
        json_object_set_new(map, json_text_at(item, "resource_provider.uuid"),
            json_pack("{s:O}", "resources", json_object_get(item, "resources")));
    return map;
}

static struct fault *put_allocations(struct request *rq)
{
    const char *given = request_argument(rq, "consumer_uuid");
    if (!uuid_like(given))
        return FAULT(RQ(rq), 400, NULL, "Malformed consumer_uuid: %s", given);
    TRY(request_validate(rq, put_schema(rq)));
    struct consumer_input input = consumer_read(rq, placement_uuid_canonical(rq->cx.arena, given), rq->body);
    if (rq->version < 12)
        input.allocations = as_map(rq, input.allocations);
    struct claim claim = { .rq = rq, .consumers = &input, .count = 1 };
    struct fault *fault = claim_write(rq, run, &claim, "Inventory and/or allocations changed while attempting to allocate");
    if (fault != NULL && fault->status == 404)
        return FAULT(RQ(rq), 400, NULL, "Unable to allocate inventory for consumer %s: %s", input.uuid,
            fault->message);
    TRY(fault);
    return placement_answer_empty(rq, 204);
}

static struct fault *post_allocations(struct request *rq)
{
    TRY(request_validate(rq, placement_allocations_schema(rq, false)));
    struct claim claim = { .rq = rq, .consumers = placement_consumers_read(rq, rq->body),
        .count = json_object_size(rq->body) };
    struct fault *fault = claim_write(rq, run, &claim, "Inventory and/or allocations changed while attempting to allocate");
    if (fault != NULL && fault->status == 404)
        return FAULT(RQ(rq), 400, NULL, "Unable to allocate inventory %s", fault->message);
    TRY(fault);
    return placement_answer_empty(rq, 204);
}

static struct fault *delete_run(struct tx *tx, void *argument)
{
    struct request *rq = argument;
    const char *uuid = request_argument(rq, "consumer_uuid");
    struct rows *rows;
    int64_t *ids = NULL;
    size_t count = 0;
    TRY(placement_change_begin(tx));
    TRY(sql_query(tx, &rows, "SELECT DISTINCT resource_provider_id FROM allocations WHERE consumer_id = ?",
        BIND(TEXT(uuid))));
    while (rows_next(rows)) {
        ids = ARENA_GROW(tx_arena(tx), ids, count);
        ids[count++] = rows_int(rows, 0);
    }
    TRY(rows_fault(rows));
    if (count == 0)
        return FAULT(RQ(rq), 404, NULL, "No allocations for consumer '%s'", uuid);
    for (size_t i = 0; i < count; i++)
        TRY(placement_change_provider(tx, ids[i]));
    TRY(sql_exec_later(tx, "DELETE FROM allocations WHERE consumer_id = ?", BIND(TEXT(uuid))));
    return sql_exec_later(tx, "DELETE FROM consumers WHERE uuid = ?", BIND(TEXT(uuid)));
}

static struct fault *delete_allocations(struct request *rq)
{
    TRY(placement_write(rq, delete_run, rq));
    return placement_answer_empty(rq, 204);
}

static void later(int64_t *modified_us, struct rows *rows, int column)
{
    int64_t us = placement_moment(rows_text(rows, column), rows_text(rows, column + 1));
    *modified_us = us > *modified_us ? us : *modified_us;
}

/* What is known of the consumer follows its allocations. */
static void write_consumer(struct request *rq, const char *project, const char *user, int64_t generation,
    const char *type)
{
    if (rq->version < 12)
        return;
    json_text(&rq->json, "project_id", project);
    json_text(&rq->json, "user_id", user);
    if (rq->version >= 28)
        json_int(&rq->json, "consumer_generation", generation);
    if (rq->version >= 38)
        json_text(&rq->json, "consumer_type", type == NULL ? "unknown" : type);
}

static struct fault *show_allocations(struct request *rq)
{
    struct tx *tx;
    struct rows *rows;
    int64_t modified_us = 0, last = 0, consumer_generation = 0, generation = 0;
    const char *project = NULL, *user = NULL, *type = NULL;
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(sql_query(tx, &rows,
        "SELECT a.created_at, a.updated_at, p.id, p.uuid, p.generation, r.name, a.used, j.external_id, u.external_id,"
        " c.generation, t.name FROM allocations a JOIN resource_providers p ON p.id = a.resource_provider_id"
        " JOIN resource_classes r ON r.id = a.resource_class_id JOIN consumers c ON c.uuid = a.consumer_id"
        " JOIN projects j ON j.id = c.project_id JOIN users u ON u.id = c.user_id"
        " LEFT JOIN consumer_types t ON t.id = c.consumer_type_id WHERE a.consumer_id = ? ORDER BY p.id, r.id",
        BIND(TEXT(request_argument(rq, "consumer_uuid")))));
    json_begin(&rq->json, NULL);
    json_begin(&rq->json, "allocations");
    while (rows_next(rows)) {
        later(&modified_us, rows, 0);
        if (rows_int(rows, 2) != last) {
            if (last != 0) {
                json_end(&rq->json);
                json_int(&rq->json, "generation", generation);
                json_end(&rq->json);
            }
            json_begin(&rq->json, rows_text(rows, 3));
            json_begin(&rq->json, "resources");
            last = rows_int(rows, 2);
            generation = rows_int(rows, 4);
        }
        json_int(&rq->json, rows_text(rows, 5), rows_int(rows, 6));
        project = rows_text(rows, 7);
        user = rows_text(rows, 8);
        consumer_generation = rows_int(rows, 9);
        type = rows_text(rows, 10);
    }
    if (last != 0) {
        json_end(&rq->json);
        json_int(&rq->json, "generation", generation);
        json_end(&rq->json);
    }
    json_end(&rq->json);
    if (last != 0)
        write_consumer(rq, project, user, consumer_generation, type);
    json_end(&rq->json);
    placement_cache_headers(rq, modified_us);
    return rows_fault(rows);
}

static struct fault *provider_allocations(struct request *rq)
{
    struct tx *tx;
    struct rows *rows;
    struct provider_row provider;
    bool found;
    int64_t modified_us = 0, generation = 0;
    const char *uuid = request_argument(rq, "uuid"), *last = NULL;
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(provider_look(tx, uuid, &provider, &found));
    if (!found)
        return FAULT(RQ(rq), 404, NULL, "Resource provider '%s' not found: No resource provider with uuid %s found",
            uuid, uuid);
    TRY(sql_query(tx, &rows,
        "SELECT a.created_at, a.updated_at, c.uuid, r.name, a.used, c.generation FROM allocations a"
        " JOIN resource_classes r ON r.id = a.resource_class_id JOIN consumers c ON c.uuid = a.consumer_id"
        " WHERE a.resource_provider_id = ? ORDER BY c.id, r.id",
        BIND(INT(provider.id))));
    json_begin(&rq->json, NULL);
    json_begin(&rq->json, "allocations");
    for (bool more = rows_next(rows);; more = rows_next(rows)) {
        const char *consumer = more ? rows_text(rows, 2) : NULL;
        if (last != NULL && (consumer == NULL || strcmp(consumer, last) != 0)) {
            json_end(&rq->json);
            if (rq->version >= 28)
                json_int(&rq->json, "consumer_generation", generation);
            json_end(&rq->json);
        }
        if (consumer == NULL)
            break;
        if (last == NULL || strcmp(consumer, last) != 0) {
            json_begin(&rq->json, consumer);
            json_begin(&rq->json, "resources");
            last = consumer;
        }
        later(&modified_us, rows, 0);
        generation = rows_int(rows, 5);
        json_int(&rq->json, rows_text(rows, 3), rows_int(rows, 4));
    }
    json_end(&rq->json);
    json_int(&rq->json, "resource_provider_generation", provider.generation);
    json_end(&rq->json);
    placement_cache_headers(rq, modified_us);
    return rows_fault(rows);
}

#define ONE       "/allocations/{consumer_uuid}"
#define RULE(name) "placement:allocations:" name
static const struct route rows_of_allocations[] = {
    ROUTE(POST,   "/allocations", RULE("manage"), post_allocations,   .min_version = 13),
    ROUTE(GET,    ONE,            RULE("list"),   show_allocations),
    ROUTE(PUT,    ONE,            RULE("update"), put_allocations),
    ROUTE(DELETE, ONE,            RULE("delete"), delete_allocations),
    ROUTE(GET,    "/resource_providers/{uuid}/allocations", "placement:resource_providers:allocations:list",
        provider_allocations),
};
const struct route_table placement_allocation_routes = ROUTES(rows_of_allocations);
