/* SPDX-License-Identifier: Apache-2.0
 *
 * claim: the transaction that allocates.
 */
#include "placement/allocations.h"

#include <string.h>

struct consumer {
    int64_t id;
    int64_t generation;
    bool touched; /* it had or gets allocations */
    bool uses;    /* it has allocations afterwards */
};

struct use { /* one row of allocations to be */
    const struct consumer_input *owner;
    struct provider_row *provider;
    const char *class_name;
    int64_t class_id;
    int64_t amount;
};

struct state {
    struct tx *tx;
    const struct claim *claim;
    struct consumer *consumers;
    struct provider_row **providers; /* each once */
    size_t provider_count;
    struct use *uses;
    size_t use_count;
};

static struct fault *external_id(struct tx *tx, const char *select, const char *insert, const char *text,
    int64_t *ret)
{
    TRY(sql_int_of(tx, ret, 0, select, BIND(TEXT(text))));
    if (*ret != 0)
        return NULL;
    return sql_insert(tx, insert, BIND(TEXT(placement_timestamp_now(tx_arena(tx))), TEXT(text)), ret);
}

static struct fault *owner_ids(struct tx *tx, const struct consumer_input *input, int64_t *ret_project,
    int64_t *ret_user, int64_t *ret_type)
{
    TRY(external_id(tx, "SELECT id FROM projects WHERE external_id = ?",
        "INSERT INTO projects (created_at, external_id) VALUES (?, ?)", input->project_id, ret_project));
    TRY(external_id(tx, "SELECT id FROM users WHERE external_id = ?",
        "INSERT INTO users (created_at, external_id) VALUES (?, ?)", input->user_id, ret_user));
    if (input->type == NULL)
        return NULL;
    return external_id(tx, "SELECT id FROM consumer_types WHERE name = ?",
        "INSERT INTO consumer_types (created_at, name) VALUES (?, ?)", input->type, ret_type);
}

static struct fault *generation_conflict(const struct state *state, const struct consumer_input *input, bool found,
    int64_t generation)
{
    if (state->claim->rq->version < 28)
        return NULL;
    const json_t *given = input->generation;
    struct arena *arena = tx_arena(state->tx);
    if (json_is_integer(given) ? found && json_integer_value(given) == generation : !found)
        return NULL;
    const char *got = json_is_integer(given) ? json_dump(arena, given) : "None";
    return fault_new(arena, 409, CODE_CONCURRENT_UPDATE, "consumer generation conflict - expected %s but got %s",
        found ? arena_printf(arena, "%lld", (long long)generation) : "null", got);
}

/* Finds or makes the consumer, with its present owner and type. */
static struct fault *ensure_consumer(struct state *state, const struct consumer_input *input,
    struct consumer *consumer)
{
    struct tx *tx = state->tx;
    struct rows *rows;
    int64_t project, user, type = 0;
    TRY(sql_query(tx, &rows, "SELECT id, generation, project_id, user_id, consumer_type_id FROM consumers"
        " WHERE uuid = ?", BIND(TEXT(input->uuid))));
    bool found = rows_next(rows);
    int64_t old_project = 0, old_user = 0, old_type = 0;
    if (found) {
        *consumer = (struct consumer){ .id = rows_int(rows, 0), .generation = rows_int(rows, 1) };
        old_project = rows_int(rows, 2);
        old_user = rows_int(rows, 3);
        old_type = rows_int(rows, 4);
    }
    rows_end(rows);
    TRY(rows_fault(rows));
    TRY(generation_conflict(state, input, found, consumer->generation));
    TRY(owner_ids(tx, input, &project, &user, &type));
    const char *now = placement_timestamp_now(tx_arena(tx));
    if (!found)
        return sql_insert(tx,
            "INSERT INTO consumers (created_at, uuid, project_id, user_id, generation, consumer_type_id)"
            " VALUES (?, ?, ?, ?, 0, ?)",
            BIND(TEXT(now), TEXT(input->uuid), INT(project), INT(user), type == 0 ? SQL_NULL : INT(type)),
            &consumer->id);
    if (type == 0)
        type = old_type;
    if (project == old_project && user == old_user && type == old_type)
        return NULL;
    return sql_exec(tx,
        "UPDATE consumers SET updated_at = ?, project_id = ?, user_id = ?, consumer_type_id = ? WHERE id = ?",
        BIND(TEXT(now), INT(project), INT(user), type == 0 ? SQL_NULL : INT(type), INT(consumer->id)));
}

static struct fault *provider_of(struct state *state, const char *uuid, struct provider_row **ret)
{
    bool found;
    for (size_t i = 0; i < state->provider_count; i++) {
        if (strcmp(state->providers[i]->uuid, uuid) == 0) {
            *ret = state->providers[i];
            return NULL;
        }
    }
    *ret = ARENA_NEW(tx_arena(state->tx), struct provider_row);
    TRY(provider_look(state->tx, uuid, *ret, &found));
    if (!found)
        return fault_new(tx_arena(state->tx), 400, NULL,
            "Allocation for resource provider '%s' that does not exist.", uuid);
    state->providers[state->provider_count++] = *ret;
    return NULL;
}

/* The rows that one consumer is to have. */
static struct fault *gather(struct state *state, const struct consumer_input *input, struct consumer *consumer)
{
    const char *provider_uuid, *class_text;
    json_t *allocation, *amount;
    json_object_foreach((json_t *)input->allocations, provider_uuid, allocation) {
        struct provider_row *provider;
        TRY(provider_of(state, provider_uuid, &provider));
        json_object_foreach(json_object_get(allocation, "resources"), class_text, amount) {
            struct use *use = &state->uses[state->use_count++];
            *use = (struct use){ input, provider, class_text, -1, json_integer_value(amount) };
            TRY(placement_class_id(state->tx, class_text, &use->class_id));
            if (use->class_id < 0)
                return placement_class_unknown(state->tx, class_text);
            consumer->touched = consumer->uses = true;
        }
    }
    return NULL;
}

/* Takes away what the consumer has; the providers are noted, their generations are as the reference leaves them. */
static struct fault *release(struct state *state, const struct consumer_input *input, struct consumer *consumer)
{
    struct rows *rows;
    bool cleared = json_object_size(input->allocations) == 0;
    int64_t total;
    TRY(sql_int_of(state->tx, &total, 0, "SELECT COUNT(*) FROM allocations WHERE consumer_id = ?",
        BIND(TEXT(input->uuid))));
    if (total == 0)
        return NULL;
    consumer->touched = true;
    const char **uuids = ARENA_ARRAY(tx_arena(state->tx), const char *, (size_t)total);
    size_t count = 0;
    TRY(sql_query(state->tx, &rows,
        "SELECT DISTINCT p.uuid FROM allocations a JOIN resource_providers p ON p.id = a.resource_provider_id"
        " WHERE a.consumer_id = ?", BIND(TEXT(input->uuid))));
    while (rows_next(rows) && count < (size_t)total)
        uuids[count++] = rows_text(rows, 0);
    rows_end(rows);
    TRY(rows_fault(rows));
    for (size_t i = 0; i < count; i++) {
        struct provider_row *provider, alone;
        if (cleared) { /* its generation is raised, as for one that is allocated from */
            TRY(provider_of(state, uuids[i], &provider));
            continue;
        }
        TRY(provider_load(state->tx, uuids[i], &alone));
        TRY(placement_change_provider(state->tx, alone.id));
    }
    return sql_exec(state->tx, "DELETE FROM allocations WHERE consumer_id = ?", BIND(TEXT(input->uuid)));
}

static struct fault *invalid(const struct state *state, const struct use *use, const char *why)
{
    if (why == NULL)
        return fault_new(tx_arena(state->tx), 409, NULL,
            "Unable to allocate inventory: Inventory for '%s' on resource provider '%s' invalid.", use->class_name,
            use->provider->uuid);
    return fault_new(tx_arena(state->tx), 409, NULL,
        "Unable to allocate inventory: Unable to create allocation for '%s' on resource provider '%s'. The requested"
        " amount would %s.", use->class_name, use->provider->uuid, why);
}

/* What this and the uses before it take of the same inventory. */
static int64_t sum_until(const struct state *state, size_t at)
{
    int64_t sum = 0;
    for (size_t i = 0; i <= at; i++)
        if (state->uses[i].provider == state->uses[at].provider && state->uses[i].class_id == state->uses[at].class_id)
            if (__builtin_add_overflow(sum, state->uses[i].amount, &sum))
                return INT64_MAX;
    return sum;
}

static struct fault *check(struct state *state, size_t at)
{
    const struct use *use = &state->uses[at];
    struct rows *rows;
    TRY(sql_query(state->tx, &rows,
        "SELECT total, reserved, min_unit, max_unit, step_size, allocation_ratio, (SELECT COALESCE(SUM(a.used), 0)"
        " FROM allocations a WHERE a.resource_provider_id = i.resource_provider_id AND a.resource_class_id ="
        " i.resource_class_id) FROM inventories i WHERE i.resource_provider_id = ? AND i.resource_class_id = ?",
        BIND(INT(use->provider->id), INT(use->class_id))));
    if (!rows_next(rows)) {
        TRY(rows_fault(rows));
        return invalid(state, use, NULL);
    }
    const struct inventory inventory = { use->class_id, rows_int(rows, 0), rows_int(rows, 1), rows_int(rows, 2),
        rows_int(rows, 3), rows_int(rows, 4), rows_real(rows, 5), rows_int(rows, 6) };
    rows_end(rows);
    if (use->amount < inventory.min_unit || use->amount > inventory.max_unit || inventory.step_size < 1 ||
        use->amount % inventory.step_size != 0)
        return invalid(state, use, "violate inventory constraints");
    double capacity = (double)(inventory.total - inventory.reserved) * inventory.allocation_ratio;
    if (capacity < (double)inventory.used + (double)sum_until(state, at))
        return invalid(state, use, "exceed the capacity");
    return NULL;
}

static struct fault *write_uses(struct state *state)
{
    for (size_t i = 0; i < state->use_count; i++)
        TRY(check(state, i));
    const char *now = placement_timestamp_now(tx_arena(state->tx));
    for (size_t i = 0; i < state->use_count; i++) {
        const struct use *use = &state->uses[i];
        TRY(sql_exec(state->tx,
            "INSERT INTO allocations (created_at, resource_provider_id, consumer_id, resource_class_id, used)"
            " VALUES (?, ?, ?, ?, ?)",
            BIND(TEXT(now), INT(use->provider->id), TEXT(use->owner->uuid), INT(use->class_id), INT(use->amount))));
    }
    for (size_t i = 0; i < state->provider_count; i++)
        TRY(provider_touch(state->tx, state->providers[i]));
    return NULL;
}

/* A consumer without allocations is forgotten; one with them is a generation older. */
static struct fault *settle(struct state *state, const struct consumer *consumer)
{
    int64_t changed;
    if (!consumer->uses)
        return sql_exec(state->tx, "DELETE FROM consumers WHERE id = ?", BIND(INT(consumer->id)));
    TRY(sql_exec_changed(state->tx,
        "UPDATE consumers SET generation = ?, updated_at = ? WHERE id = ? AND generation = ?",
        BIND(INT(consumer->generation + 1), TEXT(placement_timestamp_now(tx_arena(state->tx))), INT(consumer->id),
            INT(consumer->generation)),
        &changed));
    if (changed != 1)
        return fault_new(tx_arena(state->tx), 409, CODE_CONCURRENT_UPDATE,
            "Inventory and/or allocations changed while attempting to allocate: " WORDS_CONCURRENT_UPDATE);
    return NULL;
}

struct fault *claim_run(struct tx *tx, const struct claim *claim)
{
    struct state state = { .tx = tx, .claim = claim };
    struct arena *arena = tx_arena(tx);
    size_t uses = 0, providers = 0;
    for (size_t i = 0; i < claim->count; i++) {
        const char *uuid;
        json_t *allocation;
        int64_t present;
        json_object_foreach((json_t *)claim->consumers[i].allocations, uuid, allocation) {
            uses += json_object_size(json_object_get(allocation, "resources"));
            providers++;
        }
        TRY(sql_int_of(tx, &present, 0, "SELECT COUNT(*) FROM allocations WHERE consumer_id = ?",
            BIND(TEXT(claim->consumers[i].uuid))));
        providers += (size_t)present;
    }
    state.consumers = ARENA_ARRAY(arena, struct consumer, claim->count + 1);
    state.providers = ARENA_ARRAY(arena, struct provider_row *, providers + 1);
    state.uses = ARENA_ARRAY(arena, struct use, uses + 1);
    for (size_t i = 0; i < claim->count; i++)
        TRY(ensure_consumer(&state, &claim->consumers[i], &state.consumers[i]));
    for (size_t i = 0; i < claim->count; i++)
        TRY(gather(&state, &claim->consumers[i], &state.consumers[i]));
    for (size_t i = 0; i < claim->count; i++)
        TRY(release(&state, &claim->consumers[i], &state.consumers[i]));
    TRY(write_uses(&state));
    for (size_t i = 0; i < claim->count; i++)
        TRY(settle(&state, &state.consumers[i]));
    return NULL;
}

struct fault *claim_write(struct request *rq, struct fault *(*run)(struct tx *tx, void *argument), void *argument,
    const char *words)
{
    int64_t most = config_int(rq->cx.app->config, "placement", "allocation_conflict_retry_count");
    for (int64_t attempt = 1;; attempt++) {
        struct fault *fault = placement_write(rq, run, argument);
        if (fault == NULL || strcmp(fault->message, WORDS_CONCURRENT_UPDATE) != 0)
            return fault;
        if (attempt < most)
            continue;
        return fault_because(FAULT(RQ(rq), 409, CODE_CONCURRENT_UPDATE, "%s: %s", words, fault->message), fault);
    }
}
