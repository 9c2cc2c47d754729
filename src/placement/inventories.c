/* SPDX-License-Identifier: Apache-2.0
 *
 * inventories: /resource_providers/{uuid}/inventories. API reference: Resource provider inventories.
 */
#include "placement/inventories.h"

#include <stdlib.h>
#include <string.h>

static const struct schema generation = { .types = SCHEMA_INTEGER };
static const struct schema from_0 = { .types = SCHEMA_INTEGER, .minimum = 0, .maximum = DB_MAX_INT };
static const struct schema from_1 = { .types = SCHEMA_INTEGER, .minimum = 1, .maximum = DB_MAX_INT };
static const struct schema ratio = { .types = SCHEMA_NUMBER, .maximum_real = 3.40282e+38 };
static const struct schema class_text = { .types = SCHEMA_STRING, .pattern = "^[A-Z0-9_]+$" };

#define RECORD                                                                                                         \
    { "resource_provider_generation", &generation }, { "total", &from_1 }, { "reserved", &from_0 },                    \
        { "min_unit", &from_1 }, { "max_unit", &from_1 }, { "step_size", &from_1 }, { "allocation_ratio", &ratio }

static const struct schema put_one = { .types = SCHEMA_OBJECT, .closed = true,
    .required = SCHEMA_WORDS("total", "resource_provider_generation"), .properties = SCHEMA_PROPERTIES(RECORD) };
static const struct schema post_one = { .types = SCHEMA_OBJECT, .closed = true,
    .required = SCHEMA_WORDS("total", "resource_class"),
    .properties = SCHEMA_PROPERTIES(RECORD, { "resource_class", &class_text }) };
static const struct schema put_record = { .types = SCHEMA_OBJECT, .closed = true, .required = SCHEMA_WORDS("total"),
    .properties = SCHEMA_PROPERTIES(RECORD) };
static const struct schema records = { .types = SCHEMA_OBJECT,
    .patterns = SCHEMA_PROPERTIES({ "^[A-Z0-9_]+$", &put_record }) };
const struct schema placement_schema_inventories_put = { .types = SCHEMA_OBJECT, .closed = true,
    .required = SCHEMA_WORDS("resource_provider_generation", "inventories"),
    .properties =
        SCHEMA_PROPERTIES({ "resource_provider_generation", &generation }, { "inventories", &records }) };

/* The record of a request, checked by the schema, with the defaults for what is absent. */
static struct inventory inventory_read(const json_t *record)
{
    const json_t *allocation_ratio = json_object_get(record, "allocation_ratio");
    return (struct inventory){
        .total = json_int_at(record, "total", 0),
        .reserved = json_int_at(record, "reserved", 0),
        .min_unit = json_int_at(record, "min_unit", 1),
        .max_unit = json_int_at(record, "max_unit", DB_MAX_INT),
        .step_size = json_int_at(record, "step_size", 1),
        .allocation_ratio = allocation_ratio == NULL ? 1.0 : json_number_value(allocation_ratio),
    };
}

struct inventory_input *inventories_read(struct arena *arena, const json_t *inventories, size_t *ret_count)
{
    struct inventory_input *inputs = ARENA_ARRAY(arena, struct inventory_input, json_object_size(inventories) + 1);
    const char *name;
    json_t *record;
    *ret_count = 0;
    json_object_foreach((json_t *)inventories, name, record)
        inputs[(*ret_count)++] = (struct inventory_input){ name, inventory_read(record) };
    return inputs;
}

/* 400 when `reserved` leaves nothing (below 1.26), or is more than there is: the sentence without its beginning. */
static struct fault *inventory_check(struct request *rq, const struct provider_row *provider,
    const struct inventory_input *input, const char *verb)
{
    int64_t capacity = inventory_capacity(&input->values);
    if (rq->version >= 26 ? capacity >= 0 : capacity > 0)
        return NULL;
    return FAULT(RQ(rq), 400, NULL,
        "Unable to %s inventory for resource provider %s: Invalid inventory for '%s' on resource provider '%s'. The"
        " reserved value is greater than %stotal.",
        verb, provider->uuid, input->class_name, provider->uuid, rq->version >= 26 ? "" : "or equal to ");
}

static void write_values(struct json_writer *w, const struct inventory *inventory)
{
    json_int(w, "total", inventory->total);
    json_int(w, "reserved", inventory->reserved);
    json_int(w, "min_unit", inventory->min_unit);
    json_int(w, "max_unit", inventory->max_unit);
    json_int(w, "step_size", inventory->step_size);
    json_double(w, "allocation_ratio", inventory->allocation_ratio);
}

static void write_inventory(struct request *rq, const struct inventory *inventory, int64_t provider_generation)
{
    json_begin(&rq->json, NULL);
    write_values(&rq->json, inventory);
    if (provider_generation != 0) /* the reference leaves a zero out */
        json_int(&rq->json, "resource_provider_generation", provider_generation);
    json_end(&rq->json);
}

static struct fault *insert(struct tx *tx, const struct provider_row *provider, const struct inventory *values)
{
    return sql_exec_later(tx,
        "INSERT INTO inventories (created_at, resource_provider_id, resource_class_id, total, reserved, min_unit,"
        " max_unit, step_size, allocation_ratio) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        BIND(TEXT(placement_timestamp_now(tx_arena(tx))), INT(provider->id), INT(values->class_id), INT(values->total),
            INT(values->reserved), INT(values->min_unit), INT(values->max_unit), INT(values->step_size),
            REAL(values->allocation_ratio)));
}

static struct fault *update(struct tx *tx, const struct provider_row *provider, const struct inventory *values,
    int64_t *ret_changed)
{
    return sql_exec_changed(tx,
        "UPDATE inventories SET updated_at = ?, total = ?, reserved = ?, min_unit = ?, max_unit = ?, step_size = ?,"
        " allocation_ratio = ? WHERE resource_provider_id = ? AND resource_class_id = ?",
        BIND(TEXT(placement_timestamp_now(tx_arena(tx))), INT(values->total), INT(values->reserved),
            INT(values->min_unit), INT(values->max_unit), INT(values->step_size), REAL(values->allocation_ratio),
            INT(provider->id), INT(values->class_id)),
        ret_changed);
}

static const struct inventory_input *input_of(const struct inventory_input *inputs, size_t count, int64_t id)
{
    for (size_t i = 0; i < count; i++)
        if (inputs[i].values.class_id == id)
            return &inputs[i];
    return NULL;
}

/* The inventories that are not among the inputs go, unless something is allocated from them. */
static struct fault *remove_others(struct tx *tx, const struct provider_row *provider,
    const struct inventory_input *inputs, size_t count)
{
    struct rows *rows;
    struct buf used BUF_CLEANUP = { 0 };
    int64_t *gone = NULL;
    size_t gone_count = 0, total = 0;
    TRY(sql_query(tx, &rows,
        "SELECT i.resource_class_id, c.name, EXISTS (SELECT 1 FROM allocations a WHERE a.resource_provider_id ="
        " i.resource_provider_id AND a.resource_class_id = i.resource_class_id), (SELECT COUNT(*) FROM inventories n"
        " WHERE n.resource_provider_id = i.resource_provider_id) FROM inventories i JOIN resource_classes c ON"
        " c.id = i.resource_class_id WHERE i.resource_provider_id = ? ORDER BY i.resource_class_id",
        BIND(INT(provider->id))));
    while (rows_next(rows)) {
        if (gone == NULL) {
            total = (size_t)rows_int(rows, 3);
            gone = ARENA_ARRAY(tx_arena(tx), int64_t, total);
        }
        if (input_of(inputs, count, rows_int(rows, 0)) != NULL || gone_count == total)
            continue;
        if (rows_int(rows, 2) != 0)
            buf_printf(&used, "%s%s", used.length == 0 ? "" : ", ", rows_text(rows, 1));
        gone[gone_count++] = rows_int(rows, 0);
    }
    TRY(rows_fault(rows));
    if (used.length > 0)
        return fault_new(tx_arena(tx), 409, CODE_INVENTORY_INUSE,
            "update conflict: Inventory for '%s' on resource provider '%s' in use.", buf_text(&used), provider->uuid);
    for (size_t i = 0; i < gone_count; i++)
        TRY(sql_exec_later(tx, "DELETE FROM inventories WHERE resource_provider_id = ? AND resource_class_id = ?",
            BIND(INT(provider->id), INT(gone[i]))));
    return NULL;
}

static struct fault *class_ids(struct tx *tx, struct inventory_input *inputs, size_t count)
{
    const char **names = ARENA_ARRAY(tx_arena(tx), const char *, count + 1);
    int64_t *ids = ARENA_ARRAY(tx_arena(tx), int64_t, count + 1);
    for (size_t i = 0; i < count; i++)
        names[i] = inputs[i].class_name;
    TRY(placement_ids(tx, "resource_classes", names, count, ids));
    for (size_t i = 0; i < count; i++) {
        if (ids[i] < 0)
            return placement_class_unknown(tx, names[i]);
        inputs[i].values.class_id = ids[i];
    }
    return NULL;
}

struct fault *inventories_replace(struct tx *tx, const struct provider_row *provider, struct inventory_input *inputs,
    size_t count, bool keep)
{
    TRY(class_ids(tx, inputs, count));
    if (!keep)
        TRY(remove_others(tx, provider, inputs, count));
    for (size_t i = 0; i < count; i++) {
        int64_t changed;
        TRY(update(tx, provider, &inputs[i].values, &changed));
        if (changed == 0)
            TRY(insert(tx, provider, &inputs[i].values));
    }
    return NULL;
}

/* A change of inventories, on its way through a transaction. */
struct change {
    struct request *rq;
    struct inventory_input *inputs;
    size_t count;
    int64_t generation;
    const char *class_name;
    struct provider_row provider;
};

static struct fault *begin(struct tx *tx, struct change *change)
{
    TRY(placement_change_begin(tx));
    return provider_load(tx, request_argument(change->rq, "uuid"), &change->provider);
}

static struct fault *generation_conflict(struct change *change)
{
    if (change->generation == change->provider.generation)
        return NULL;
    return FAULT(RQ(change->rq), 409, CODE_CONCURRENT_UPDATE, "resource provider generation conflict");
}

static struct fault *create_run(struct tx *tx, void *argument)
{
    struct change *change = argument;
    struct inventory_input *input = change->inputs;
    int64_t known;
    TRY(begin(tx, change));
    TRY(inventory_check(change->rq, &change->provider, input, "create"));
    TRY(placement_class_id(tx, input->class_name, &input->values.class_id));
    if (input->values.class_id < 0)
        return FAULT(RQ(change->rq), 400, NULL,
            "Unable to create inventory for resource provider %s: No such resource class %s.", change->provider.uuid,
            input->class_name);
    TRY(sql_int_of(tx, &known, 0,
        "SELECT COUNT(*) FROM inventories WHERE resource_provider_id = ? AND resource_class_id = ?",
        BIND(INT(change->provider.id), INT(input->values.class_id))));
    if (known > 0)
        return FAULT(RQ(change->rq), 409, CODE_CONCURRENT_UPDATE,
            "Update conflict: Inventory of class %s already exists on resource provider %s.", input->class_name,
            change->provider.uuid);
    TRY(insert(tx, &change->provider, &input->values));
    return provider_touch(tx, &change->provider);
}

static struct fault *create_inventory(struct request *rq)
{
    TRY(placement_validate_for_provider(rq, &post_one));
    struct inventory_input input = { json_text_at(rq->body, "resource_class"), inventory_read(rq->body) };
    struct change change = { .rq = rq, .inputs = &input, .count = 1 };
    TRY(placement_write(rq, create_run, &change));
    response_headerf(rq, "Location", "%s/resource_providers/%s/inventories/%s", rq->base_url,
        change.provider.uuid, input.class_name);
    write_inventory(rq, &input.values, change.provider.generation);
    placement_cache_headers(rq, 0);
    rq->status = 201;
    return NULL;
}

static struct fault *set_run(struct tx *tx, void *argument)
{
    struct change *change = argument;
    TRY(begin(tx, change));
    TRY(generation_conflict(change));
    for (size_t i = 0; i < change->count; i++)
        TRY(inventory_check(change->rq, &change->provider, &change->inputs[i], "update"));
    struct fault *fault = inventories_replace(tx, &change->provider, change->inputs, change->count, false);
    if (fault != NULL && fault->status == 404)
        return FAULT(RQ(change->rq), 400, NULL, "Unknown resource class in inventory for resource provider %s: %s",
            change->provider.uuid, fault->message);
    TRY(fault);
    return provider_touch(tx, &change->provider);
}

static void write_inventories(struct request *rq, int64_t provider_generation, const struct inventory_input *inputs,
    size_t count)
{
    json_begin(&rq->json, NULL);
    json_int(&rq->json, "resource_provider_generation", provider_generation);
    json_begin(&rq->json, "inventories");
    for (size_t i = 0; i < count; i++) {
        json_begin(&rq->json, inputs[i].class_name);
        write_values(&rq->json, &inputs[i].values);
        json_end(&rq->json);
    }
    json_end(&rq->json);
    json_end(&rq->json);
}

static struct fault *set_inventories(struct request *rq)
{
    TRY(placement_validate_for_provider(rq, &placement_schema_inventories_put));
    struct change change = { .rq = rq, .generation = json_int_at(rq->body, "resource_provider_generation", -1) };
    change.inputs = inventories_read(rq->cx.arena, json_object_get(rq->body, "inventories"), &change.count);
    TRY(placement_write(rq, set_run, &change));
    write_inventories(rq, change.provider.generation, change.inputs, change.count);
    placement_cache_headers(rq, 0);
    return NULL;
}

static struct fault *update_run(struct tx *tx, void *argument)
{
    struct change *change = argument;
    struct inventory_input *input = change->inputs;
    int64_t changed = 0;
    TRY(begin(tx, change));
    TRY(generation_conflict(change));
    TRY(inventory_check(change->rq, &change->provider, input, "update"));
    TRY(placement_class_id(tx, input->class_name, &input->values.class_id));
    if (input->values.class_id < 0)
        return placement_class_unknown(tx, input->class_name);
    TRY(update(tx, &change->provider, &input->values, &changed));
    if (changed == 0)
        return FAULT(RQ(change->rq), 400, NULL,
            "No inventory record with resource class for resource provider %s: No inventory of class %s found.",
            change->provider.uuid, input->class_name);
    return provider_touch(tx, &change->provider);
}

static struct fault *update_inventory(struct request *rq)
{
    TRY(placement_validate_for_provider(rq, &put_one));
    struct inventory_input input = { request_argument(rq, "resource_class"), inventory_read(rq->body) };
    struct change change = { .rq = rq, .inputs = &input, .count = 1,
        .generation = json_int_at(rq->body, "resource_provider_generation", -1) };
    TRY(placement_write(rq, update_run, &change));
    write_inventory(rq, &input.values, change.provider.generation);
    placement_cache_headers(rq, 0);
    return NULL;
}

static struct fault *delete_run(struct tx *tx, void *argument)
{
    struct change *change = argument;
    int64_t id, used, changed;
    TRY(begin(tx, change));
    TRY(placement_class_id(tx, change->class_name, &id));
    if (id < 0)
        return FAULT(RQ(change->rq), 404, NULL, "No inventory of class %s found for delete: No such resource class %s.",
            change->class_name, change->class_name);
    TRY(sql_int_of(tx, &used, 0,
        "SELECT COUNT(*) FROM allocations WHERE resource_provider_id = ? AND resource_class_id = ?",
        BIND(INT(change->provider.id), INT(id))));
    if (used > 0)
        return FAULT(RQ(change->rq), 409, CODE_CONCURRENT_UPDATE,
            "Unable to delete inventory of class %s: Inventory for '%s' on resource provider '%s' in use.",
            change->class_name, change->class_name, change->provider.uuid);
    TRY(sql_exec_changed(tx, "DELETE FROM inventories WHERE resource_provider_id = ? AND resource_class_id = ?",
        BIND(INT(change->provider.id), INT(id)), &changed));
    if (changed == 0)
        return FAULT(RQ(change->rq), 404, NULL,
            "No inventory of class %s found for delete: No inventory of class %s found for delete",
            change->class_name, change->class_name);
    return provider_touch(tx, &change->provider);
}

static struct fault *delete_inventory(struct request *rq)
{
    struct change change = { .rq = rq, .class_name = request_argument(rq, "resource_class") };
    TRY(placement_write(rq, delete_run, &change));
    return placement_answer_empty(rq, 204);
}

static struct fault *clear_run(struct tx *tx, void *argument)
{
    struct change *change = argument;
    TRY(begin(tx, change));
    struct fault *fault = remove_others(tx, &change->provider, NULL, 0);
    if (fault != NULL && fault->status == 409) /* here the reference says it without a beginning */
        fault->message += strlen("update conflict: ");
    TRY(fault);
    return provider_touch(tx, &change->provider);
}

static struct fault *delete_inventories(struct request *rq)
{
    if (rq->version < 5)
        return placement_dialect.bad_method(rq);
    struct change change = { .rq = rq };
    TRY(placement_write(rq, clear_run, &change));
    return placement_answer_empty(rq, 204);
}

/* The stored inventories of the provider in the path; one class only when `wanted` is not NULL. */
static struct fault *load(struct request *rq, const char *wanted, struct change *change, int64_t *ret_modified_us)
{
    struct tx *tx;
    bool found;
    struct rows *rows;
    const char *uuid = request_argument(rq, "uuid");
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(provider_look(tx, uuid, &change->provider, &found));
    if (!found)
        return FAULT(RQ(rq), 404, NULL, "No resource provider with uuid %s found : No resource provider with uuid %s"
            " found", uuid, uuid);
    int64_t total;
    TRY(sql_int_of(tx, &total, 0, "SELECT COUNT(*) FROM inventories WHERE resource_provider_id = ?",
        BIND(INT(change->provider.id))));
    change->inputs = ARENA_ARRAY(rq->cx.arena, struct inventory_input, (size_t)total + 1);
    TRY(sql_query(tx, &rows,
        "SELECT c.name, i.total, i.reserved, i.min_unit, i.max_unit, i.step_size, i.allocation_ratio, i.created_at,"
        " i.updated_at FROM inventories i JOIN resource_classes c ON c.id = i.resource_class_id"
        " WHERE i.resource_provider_id = ? ORDER BY i.resource_class_id",
        BIND(INT(change->provider.id))));
    while (rows_next(rows)) {
        if (wanted != NULL && strcmp(rows_text(rows, 0), wanted) != 0)
            continue;
        change->inputs[change->count++] = (struct inventory_input){ rows_text(rows, 0),
            { 0, rows_int(rows, 1), rows_int(rows, 2), rows_int(rows, 3), rows_int(rows, 4), rows_int(rows, 5),
                rows_real(rows, 6), 0 } };
        int64_t modified_us = placement_moment(rows_text(rows, 7), rows_text(rows, 8));
        if (modified_us > *ret_modified_us)
            *ret_modified_us = modified_us;
    }
    return rows_fault(rows);
}

static struct fault *list_inventories(struct request *rq)
{
    struct change found = { .rq = rq };
    int64_t modified_us = 0;
    TRY(load(rq, NULL, &found, &modified_us));
    write_inventories(rq, found.provider.generation, found.inputs, found.count);
    placement_cache_headers(rq, modified_us);
    return NULL;
}

static struct fault *show_inventory(struct request *rq)
{
    struct change found = { .rq = rq };
    int64_t modified_us = 0;
    const char *name = request_argument(rq, "resource_class");
    TRY(load(rq, name, &found, &modified_us));
    if (found.count == 0)
        return FAULT(RQ(rq), 404, NULL, "No inventory of class %s for %s", name, request_argument(rq, "uuid"));
    write_inventory(rq, &found.inputs[0].values, found.provider.generation);
    placement_cache_headers(rq, modified_us);
    return NULL;
}

#define ALL       "/resource_providers/{uuid}/inventories"
#define ONE       "/resource_providers/{uuid}/inventories/{resource_class}"
#define RULE(name) "placement:resource_providers:inventories:" name
static const struct route rows_of_inventories[] = {
    ROUTE(GET,    ALL, RULE("list"),   list_inventories),
    ROUTE(POST,   ALL, RULE("create"), create_inventory),
    ROUTE(PUT,    ALL, RULE("update"), set_inventories),
    ROUTE(DELETE, ALL, RULE("delete"), delete_inventories),
    ROUTE(GET,    ONE, RULE("show"),   show_inventory),
    ROUTE(PUT,    ONE, RULE("update"), update_inventory),
    ROUTE(DELETE, ONE, RULE("delete"), delete_inventory),
};
const struct route_table placement_inventory_routes = ROUTES(rows_of_inventories);
