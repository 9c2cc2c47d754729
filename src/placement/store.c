/* SPDX-License-Identifier: Apache-2.0 */
#include "placement/store.h"

#include "base/random.h"
#include "placement/api.h"

#include <string.h>

enum {
    KEPT_CHANGES = 20000, /* a process that lags more than that reads everything */
    PRUNE_EVERY = 1000,
    MOST_ATTEMPTS = 5,
    NAMES_AT_ONCE = 64,
};

struct fault *placement_write(struct request *rq, struct fault *(*run)(struct tx *tx, void *argument), void *argument)
{
    for (int attempt = 1;; attempt++) {
        struct fault *fault = db_write(rq->cx.arena, rq->cx.app->db, run, argument);
        if (fault == NULL || fault->code == NULL || strcmp(fault->code, SQL_DUPLICATE) != 0)
            return fault;
        if (attempt == MOST_ATTEMPTS)
            return fault_because(FAULT(RQ(rq), 409, CODE_CONCURRENT_UPDATE, WORDS_CONCURRENT_UPDATE), fault);
    }
}

struct fault *placement_change_begin(struct tx *tx)
{
    return sql_exec_later(tx, "UPDATE nubo_placement_order SET serial = serial + 1 WHERE id = 1", NO_BIND);
}

struct fault *placement_change_provider(struct tx *tx, int64_t provider_id)
{
    /* Not the engine's own serial number: of those a Galera node leaves out what belongs to the others, and a number is
     * taken before its commit. This one follows the last that was committed, because the transactions stand in a row. */
    TRY(sql_exec_later(tx, "INSERT INTO nubo_placement_changes (id, provider_id) SELECT COALESCE(MAX(id), 0) + 1, ? FROM"
        " nubo_placement_changes", BIND(INT(provider_id))));
    if (random_below(PRUNE_EVERY) > 0)
        return NULL;
    int64_t last;
    TRY(sql_int_of(tx, &last, 0, "SELECT MAX(id) FROM nubo_placement_changes", NO_BIND));
    return sql_exec(tx, "DELETE FROM nubo_placement_changes WHERE id < ?", BIND(INT(last - KEPT_CHANGES)));
}

struct fault *provider_look(struct tx *tx, const char *uuid, struct provider_row *ret, bool *ret_found)
{
    struct rows *rows;
    TRY(sql_query(tx, &rows,
        "SELECT p.id, p.uuid, p.name, p.generation, p.parent_provider_id, p.root_provider_id, q.uuid, r.uuid,"
        " p.created_at, p.updated_at FROM resource_providers p"
        " LEFT JOIN resource_providers q ON q.id = p.parent_provider_id"
        " LEFT JOIN resource_providers r ON r.id = p.root_provider_id WHERE p.uuid = ?",
        BIND(TEXT(uuid))));
    *ret_found = rows_next(rows);
    if (*ret_found) {
        *ret = (struct provider_row){
            .id = rows_int(rows, 0),
            .uuid = rows_text(rows, 1),
            .name = rows_text(rows, 2),
            .generation = rows_int(rows, 3),
            .parent_id = rows_int(rows, 4),
            .root_id = rows_null(rows, 5) ? rows_int(rows, 0) : rows_int(rows, 5),
            .parent_uuid = rows_text(rows, 6),
            .root_uuid = rows_null(rows, 7) ? rows_text(rows, 1) : rows_text(rows, 7),
            .modified_us = placement_moment(rows_text(rows, 8), rows_text(rows, 9)),
        };
    }
    rows_end(rows);
    return rows_fault(rows);
}

struct fault *provider_load(struct tx *tx, const char *uuid, struct provider_row *ret)
{
    bool found;
    TRY(provider_look(tx, uuid, ret, &found));
    if (!found)
        return fault_new(tx_arena(tx), 404, NULL, "No resource provider with uuid %s found", uuid);
    return NULL;
}

struct fault *provider_load_twice(struct tx *tx, const char *uuid, struct provider_row *ret)
{
    struct fault *fault = provider_load(tx, uuid, ret);
    if (fault != NULL && fault->status == 404)
        fault->message = arena_printf(tx_arena(tx), "%s: %s", fault->message, fault->message);
    return fault;
}

struct fault *provider_touch(struct tx *tx, struct provider_row *provider)
{
    struct arena *arena = tx_arena(tx);
    struct fault *changed = fault_new(arena, 409, CODE_CONCURRENT_UPDATE, WORDS_CONCURRENT_UPDATE);
    TRY(sql_exec_expect(tx, 1, changed,
        "UPDATE resource_providers SET generation = ?, updated_at = ? WHERE id = ? AND generation = ?",
        BIND(INT(provider->generation + 1), TEXT(placement_timestamp_now(arena)), INT(provider->id),
            INT(provider->generation))));
    provider->generation++;
    return placement_change_provider(tx, provider->id);
}

/* At most NAMES_AT_ONCE names; the last one is repeated up to a power of two, so that few texts are prepared. */
static struct fault *some_ids(struct tx *tx, const char *table, const char *const *names, size_t count, int64_t *ids)
{
    struct sql_value values[NAMES_AT_ONCE];
    struct rows *rows;
    size_t asked = 1;
    while (asked < count)
        asked *= 2;
    for (size_t i = 0; i < asked; i++)
        values[i] = TEXT(names[i < count ? i : count - 1]);
    for (size_t i = 0; i < count; i++)
        ids[i] = -1;
    TRY(sql_query(tx, &rows, arena_printf(tx_arena(tx), "SELECT id, name FROM %s WHERE name IN (%s)", table,
        sql_marks(tx_arena(tx), asked)), values, asked));
    while (rows_next(rows)) {
        const char *name = rows_text(rows, 1);
        for (size_t i = 0; i < count; i++)
            if (strcmp(names[i], name) == 0)
                ids[i] = rows_int(rows, 0);
    }
    return rows_fault(rows);
}

struct fault *placement_ids(struct tx *tx, const char *table, const char *const *names, size_t count, int64_t *ids)
{
    for (size_t i = 0; i < count; i += NAMES_AT_ONCE)
        TRY(some_ids(tx, table, names + i, count - i < NAMES_AT_ONCE ? count - i : NAMES_AT_ONCE, ids + i));
    return NULL;
}

struct fault *placement_class_id(struct tx *tx, const char *name, int64_t *ret)
{
    return sql_int_of(tx, ret, -1, "SELECT id FROM resource_classes WHERE name = ?", BIND(TEXT(name)));
}

struct fault *placement_trait_id(struct tx *tx, const char *name, int64_t *ret)
{
    return sql_int_of(tx, ret, -1, "SELECT id FROM traits WHERE name = ?", BIND(TEXT(name)));
}

struct fault *placement_class_unknown(struct tx *tx, const char *name)
{
    return fault_new(tx_arena(tx), 404, NULL, "No such resource class %s.", name);
}

struct fault *placement_validate_for_provider(struct request *rq, const struct schema *schema)
{
    struct fault *fault = request_validate(rq, schema);
    if (fault == NULL)
        return NULL;
    struct tx *tx;
    struct provider_row provider;
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(provider_load(tx, request_argument(rq, "uuid"), &provider));
    return fault;
}
