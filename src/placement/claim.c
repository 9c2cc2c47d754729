/* SPDX-License-Identifier: Apache-2.0
 *
 * claim: the transaction that allocates.
 */
#include "placement/allocations.h"

#include <string.h>

enum {
    ROWS_AT_ONCE = 8,   /* allocations in one statement */
    ASKED_AT_ONCE = 16, /* consumers, and providers, asked for together: each keeps a prepared statement of its own */
};

struct held { /* one row of allocations that is */
    int64_t provider_id, class_id, used;
};

struct consumer {
    const struct consumer_input *input;
    int64_t id;         /* 0: there is none yet */
    int64_t generation;
    int64_t project, user, type;                    /* its owner and type; type 0: none */
    int64_t given_project, given_user, given_type;  /* those of the input; 0: there is no such row yet */
    struct held *held;
    size_t held_count;
    struct provider_row *holds; /* the providers that it has allocations of, each once */
    size_t holds_count;
    bool uses; /* it has allocations afterwards */
};

struct stock { /* a provider that is allocated from */
    const char *given;       /* its UUID in the input */
    struct provider_row row; /* id 0: there is none; id, uuid and generation */
    struct inventory *inventories;
    const char **class_names;
    size_t count;
};

struct use { /* one row of allocations to be */
    const struct consumer_input *owner;
    const struct stock *stock;
    const char *class_name;
    int64_t class_id;
    int64_t amount;
};

struct state {
    struct tx *tx;
    const struct claim *claim;
    struct consumer *consumers;
    struct stock *stocks; /* each once */
    size_t stock_count;
    struct provider_row **touched; /* providers whose generations are raised, each once */
    size_t touched_count;
    struct use *uses;
    size_t use_count;
};

/* ---- what is there: one round trip, for the lock of placement_change_begin() and all questions together */

static struct fault *ask_consumer(struct tx *tx, const struct consumer_input *input, struct rows **ret)
{
    return sql_query_later(tx, ret,
        "SELECT c.id, c.generation, c.project_id, c.user_id, c.consumer_type_id,"
        " (SELECT id FROM projects WHERE external_id = ?), (SELECT id FROM users WHERE external_id = ?),"
        " (SELECT id FROM consumer_types WHERE name = ?), a.resource_provider_id, a.resource_class_id, a.used, p.uuid,"
        " p.generation FROM nubo_placement_order o LEFT JOIN consumers c ON c.uuid = ? LEFT JOIN allocations a"
        " ON a.consumer_id = ? LEFT JOIN resource_providers p ON p.id = a.resource_provider_id WHERE o.id = 1",
        BIND(TEXT(input->project_id), TEXT(input->user_id), TEXT(input->type), TEXT(input->uuid), TEXT(input->uuid)));
}

static void note_held(struct arena *arena, struct consumer *consumer, struct rows *rows)
{
    consumer->held = ARENA_GROW(arena, consumer->held, consumer->held_count);
    consumer->held[consumer->held_count++] = (struct held){ rows_int(rows, 8), rows_int(rows, 9), rows_int(rows, 10) };
    for (size_t i = 0; i < consumer->holds_count; i++)
        if (consumer->holds[i].id == rows_int(rows, 8))
            return;
    if (rows_null(rows, 11))
        return;
    consumer->holds = ARENA_GROW(arena, consumer->holds, consumer->holds_count);
    consumer->holds[consumer->holds_count++] =
        (struct provider_row){ .id = rows_int(rows, 8), .uuid = rows_text(rows, 11), .generation = rows_int(rows, 12) };
}

static struct fault *read_consumer(struct tx *tx, struct consumer *consumer, struct rows *rows)
{
    while (rows_next(rows)) {
        consumer->id = rows_int(rows, 0);
        consumer->generation = rows_int(rows, 1);
        consumer->project = rows_int(rows, 2);
        consumer->user = rows_int(rows, 3);
        consumer->type = rows_int(rows, 4);
        consumer->given_project = rows_int(rows, 5);
        consumer->given_user = rows_int(rows, 6);
        consumer->given_type = rows_int(rows, 7);
        if (!rows_null(rows, 8))
            note_held(tx_arena(tx), consumer, rows);
    }
    return rows_fault(rows);
}

static struct fault *ask_stock(struct tx *tx, const struct stock *stock, struct rows **ret)
{
    return sql_query_later(tx, ret,
        "SELECT p.id, p.uuid, p.generation, c.name, i.resource_class_id, i.total, i.reserved, i.min_unit, i.max_unit,"
        " i.step_size, i.allocation_ratio, (SELECT COALESCE(SUM(a.used), 0) FROM allocations a"
        " WHERE a.resource_provider_id = i.resource_provider_id AND a.resource_class_id = i.resource_class_id)"
        " FROM resource_providers p LEFT JOIN inventories i ON i.resource_provider_id = p.id"
        " LEFT JOIN resource_classes c ON c.id = i.resource_class_id WHERE p.uuid = ?",
        BIND(TEXT(stock->given)));
}

static struct fault *read_stock(struct tx *tx, struct stock *stock, struct rows *rows)
{
    struct arena *arena = tx_arena(tx);
    while (rows_next(rows)) {
        stock->row = (struct provider_row){ .id = rows_int(rows, 0), .uuid = rows_text(rows, 1), .generation = rows_int(rows, 2) };
        const char *class_name = rows_text(rows, 3);
        if (class_name == NULL)
            continue;
        stock->class_names = ARENA_GROW(arena, stock->class_names, stock->count);
        stock->inventories = ARENA_GROW(arena, stock->inventories, stock->count);
        stock->class_names[stock->count] = class_name;
        stock->inventories[stock->count++] = (struct inventory){ rows_int(rows, 4), rows_int(rows, 5), rows_int(rows, 6),
            rows_int(rows, 7), rows_int(rows, 8), rows_int(rows, 9), rows_real(rows, 10), rows_int(rows, 11) };
    }
    return rows_fault(rows);
}

static struct stock *stock_of(const struct state *state, const char *uuid)
{
    for (size_t i = 0; i < state->stock_count; i++)
        if (strcmp(state->stocks[i].given, uuid) == 0)
            return &state->stocks[i];
    return NULL;
}

static struct inventory *inventory_of(const struct stock *stock, int64_t class_id)
{
    for (size_t i = 0; i < stock->count; i++)
        if (stock->inventories[i].class_id == class_id)
            return &stock->inventories[i];
    return NULL;
}

/* What the consumers have now is free for them. */
static void discount(struct state *state)
{
    for (size_t i = 0; i < state->claim->count; i++) {
        const struct consumer *consumer = &state->consumers[i];
        for (size_t k = 0; k < consumer->held_count * state->stock_count; k++) {
            const struct held *held = &consumer->held[k / state->stock_count];
            const struct stock *stock = &state->stocks[k % state->stock_count];
            struct inventory *inventory = stock->row.id == held->provider_id ? inventory_of(stock, held->class_id) : NULL;
            if (inventory != NULL)
                inventory->used -= held->used;
        }
    }
}

/* From the `first` consumer and stock on, as many as are asked together. */
static struct fault *read_some(struct state *state, size_t first)
{
    struct rows *of_consumers[ASKED_AT_ONCE], *of_stocks[ASKED_AT_ONCE];
    for (size_t i = 0; i < ASKED_AT_ONCE && first + i < state->claim->count; i++)
        TRY(ask_consumer(state->tx, state->consumers[first + i].input, &of_consumers[i]));
    for (size_t i = 0; i < ASKED_AT_ONCE && first + i < state->stock_count; i++)
        TRY(ask_stock(state->tx, &state->stocks[first + i], &of_stocks[i]));
    for (size_t i = 0; i < ASKED_AT_ONCE && first + i < state->claim->count; i++)
        TRY(read_consumer(state->tx, &state->consumers[first + i], of_consumers[i]));
    for (size_t i = 0; i < ASKED_AT_ONCE && first + i < state->stock_count; i++)
        TRY(read_stock(state->tx, &state->stocks[first + i], of_stocks[i]));
    return NULL;
}

static struct fault *read_all(struct state *state)
{
    for (size_t i = 0; i < state->claim->count || i < state->stock_count; i += ASKED_AT_ONCE)
        TRY(read_some(state, i));
    discount(state);
    return NULL;
}

/* ---- whether it may be */

static struct fault *generation_conflict(const struct state *state, const struct consumer *consumer)
{
    if (state->claim->rq->version < 28)
        return NULL;
    const json_t *given = consumer->input->generation;
    struct arena *arena = tx_arena(state->tx);
    bool found = consumer->id != 0;
    if (json_is_integer(given) ? found && json_integer_value(given) == consumer->generation : !found)
        return NULL;
    const char *got = json_is_integer(given) ? json_dump(arena, given) : "None";
    return fault_new(arena, 409, CODE_CONCURRENT_UPDATE, "consumer generation conflict - expected %s but got %s",
        found ? arena_printf(arena, "%lld", (long long)consumer->generation) : "null", got);
}

/* Makes the row of an owner or a type unless it is there: another consumer of this claim may have made it. */
static struct fault *external_id(struct tx *tx, const char *select, const char *insert, const char *text, int64_t *id)
{
    if (*id != 0)
        return NULL;
    TRY(sql_int_of(tx, id, 0, select, BIND(TEXT(text))));
    if (*id != 0)
        return NULL;
    return sql_insert(tx, insert, BIND(TEXT(placement_timestamp_now(tx_arena(tx))), TEXT(text)), id);
}

static struct fault *ensure_owner(struct tx *tx, struct consumer *consumer)
{
    const struct consumer_input *input = consumer->input;
    TRY(external_id(tx, "SELECT id FROM projects WHERE external_id = ?",
        "INSERT INTO projects (created_at, external_id) VALUES (?, ?)", input->project_id, &consumer->given_project));
    TRY(external_id(tx, "SELECT id FROM users WHERE external_id = ?",
        "INSERT INTO users (created_at, external_id) VALUES (?, ?)", input->user_id, &consumer->given_user));
    if (input->type == NULL) {
        consumer->given_type = consumer->type;
        return NULL;
    }
    return external_id(tx, "SELECT id FROM consumer_types WHERE name = ?",
        "INSERT INTO consumer_types (created_at, name) VALUES (?, ?)", input->type, &consumer->given_type);
}

static bool is_touched(const struct state *state, int64_t provider_id)
{
    for (size_t i = 0; i < state->touched_count; i++)
        if (state->touched[i]->id == provider_id)
            return true;
    return false;
}

static void touch(struct state *state, struct provider_row *provider)
{
    if (is_touched(state, provider->id))
        return;
    state->touched = ARENA_GROW(tx_arena(state->tx), state->touched, state->touched_count);
    state->touched[state->touched_count++] = provider;
}

static struct fault *class_of(struct state *state, struct use *use)
{
    for (size_t i = 0; i < use->stock->count; i++) {
        if (strcmp(use->stock->class_names[i], use->class_name) == 0) {
            use->class_id = use->stock->inventories[i].class_id;
            return NULL;
        }
    }
    TRY(placement_class_id(state->tx, use->class_name, &use->class_id));
    return use->class_id < 0 ? placement_class_unknown(state->tx, use->class_name) : NULL;
}

/* The rows that one consumer is to have. */
static struct fault *gather(struct state *state, struct consumer *consumer)
{
    const char *provider_uuid, *class_text;
    json_t *allocation, *amount;
    json_object_foreach((json_t *)consumer->input->allocations, provider_uuid, allocation) {
        struct stock *stock = stock_of(state, provider_uuid);
        if (stock->row.id == 0)
            return fault_new(tx_arena(state->tx), 400, NULL,
                "Allocation for resource provider '%s' that does not exist.", provider_uuid);
        touch(state, &stock->row);
        json_object_foreach(json_object_get(allocation, "resources"), class_text, amount) {
            struct use *use = &state->uses[state->use_count++];
            *use = (struct use){ consumer->input, stock, class_text, -1, json_integer_value(amount) };
            TRY(class_of(state, use));
            consumer->uses = true;
        }
    }
    return NULL;
}

static struct fault *invalid(const struct state *state, const struct use *use, const char *why)
{
    if (why == NULL)
        return fault_new(tx_arena(state->tx), 409, NULL,
            "Unable to allocate inventory: Inventory for '%s' on resource provider '%s' invalid.", use->class_name,
            use->stock->row.uuid);
    return fault_new(tx_arena(state->tx), 409, NULL,
        "Unable to allocate inventory: Unable to create allocation for '%s' on resource provider '%s'. The requested"
        " amount would %s.", use->class_name, use->stock->row.uuid, why);
}

/* What this and the uses before it take of the same inventory. */
static int64_t sum_until(const struct state *state, size_t at)
{
    int64_t sum = 0;
    for (size_t i = 0; i <= at; i++)
        if (state->uses[i].stock == state->uses[at].stock && state->uses[i].class_id == state->uses[at].class_id)
            if (__builtin_add_overflow(sum, state->uses[i].amount, &sum))
                return INT64_MAX;
    return sum;
}

static struct fault *check(const struct state *state, size_t at)
{
    const struct use *use = &state->uses[at];
    const struct inventory *inventory = inventory_of(use->stock, use->class_id);
    if (inventory == NULL)
        return invalid(state, use, NULL);
    if (use->amount < inventory->min_unit || use->amount > inventory->max_unit || inventory->step_size < 1 ||
        use->amount % inventory->step_size != 0)
        return invalid(state, use, "violate inventory constraints");
    double capacity = (double)(inventory->total - inventory->reserved) * inventory->allocation_ratio;
    if (capacity < (double)inventory->used + (double)sum_until(state, at))
        return invalid(state, use, "exceed the capacity");
    return NULL;
}

/* ---- making it so: statements that travel together; the changes that they must make are their check */

/* Takes away what the consumer has. The generations of its providers are as the reference leaves them: raised when it is to
 * have nothing any more, as those that are allocated from. */
static struct fault *release(struct state *state, const struct consumer *consumer)
{
    if (consumer->held_count == 0)
        return NULL;
    for (size_t i = 0; i < consumer->holds_count; i++) {
        if (json_object_size(consumer->input->allocations) == 0)
            touch(state, &consumer->holds[i]);
        else if (!is_touched(state, consumer->holds[i].id))
            TRY(placement_change_provider(state->tx, consumer->holds[i].id));
    }
    return sql_exec_later(state->tx, "DELETE FROM allocations WHERE consumer_id = ?", BIND(TEXT(consumer->input->uuid)));
}

static struct fault *insert_uses(struct state *state, const struct use *uses, size_t count)
{
    static const char marks[] = "(?,?,?,?,?),(?,?,?,?,?),(?,?,?,?,?),(?,?,?,?,?),(?,?,?,?,?),(?,?,?,?,?),(?,?,?,?,?),(?,?,?,?,?)";
    _Static_assert(sizeof(marks) == ROWS_AT_ONCE * sizeof("(?,?,?,?,?)"), "as many marks as rows");
    struct sql_value values[ROWS_AT_ONCE * 5], *value = values;
    struct arena *arena = tx_arena(state->tx);
    const char *now = placement_timestamp_now(arena);
    for (size_t i = 0; i < count; i++) {
        *value++ = TEXT(now);
        *value++ = INT(uses[i].stock->row.id);
        *value++ = TEXT(uses[i].owner->uuid);
        *value++ = INT(uses[i].class_id);
        *value++ = INT(uses[i].amount);
    }
    const char *sql = arena_printf(arena,
        "INSERT INTO allocations (created_at, resource_provider_id, consumer_id, resource_class_id, used) VALUES %.*s",
        (int)(count * sizeof("(?,?,?,?,?)") - 1), marks);
    return sql_exec_later(state->tx, sql, values, count * 5);
}

/* A consumer without allocations is forgotten; one with them is a generation older. */
static struct fault *settle(struct state *state, const struct consumer *consumer)
{
    struct tx *tx = state->tx;
    const char *now = placement_timestamp_now(tx_arena(tx));
    const struct sql_value type = consumer->given_type == 0 ? SQL_NULL : INT(consumer->given_type);
    if (consumer->id == 0 && !consumer->uses)
        return NULL;
    if (consumer->id == 0)
        return sql_exec_later(tx,
            "INSERT INTO consumers (created_at, uuid, project_id, user_id, generation, consumer_type_id)"
            " VALUES (?, ?, ?, ?, 1, ?)",
            BIND(TEXT(now), TEXT(consumer->input->uuid), INT(consumer->given_project), INT(consumer->given_user), type));
    struct fault *changed = fault_new(tx_arena(tx), 409, CODE_CONCURRENT_UPDATE,
        "Inventory and/or allocations changed while attempting to allocate: " WORDS_CONCURRENT_UPDATE);
    if (!consumer->uses)
        return sql_exec_expect(tx, 1, changed, "DELETE FROM consumers WHERE id = ? AND generation = ?",
            BIND(INT(consumer->id), INT(consumer->generation)));
    return sql_exec_expect(tx, 1, changed,
        "UPDATE consumers SET generation = ?, updated_at = ?, project_id = ?, user_id = ?, consumer_type_id = ?"
        " WHERE id = ? AND generation = ?",
        BIND(INT(consumer->generation + 1), TEXT(now), INT(consumer->given_project), INT(consumer->given_user), type,
            INT(consumer->id), INT(consumer->generation)));
}

static struct fault *write_all(struct state *state)
{
    for (size_t i = 0; i < state->claim->count; i++)
        TRY(release(state, &state->consumers[i]));
    for (size_t i = 0; i < state->use_count; i += ROWS_AT_ONCE) {
        size_t left = state->use_count - i;
        TRY(insert_uses(state, &state->uses[i], left < ROWS_AT_ONCE ? left : ROWS_AT_ONCE));
    }
    for (size_t i = 0; i < state->touched_count; i++)
        TRY(provider_touch(state->tx, state->touched[i]));
    for (size_t i = 0; i < state->claim->count; i++)
        TRY(settle(state, &state->consumers[i]));
    return NULL;
}

struct fault *claim_run(struct tx *tx, const struct claim *claim)
{
    struct state state = { .tx = tx, .claim = claim };
    struct arena *arena = tx_arena(tx);
    size_t uses = 0;
    state.consumers = ARENA_ARRAY(arena, struct consumer, claim->count + 1);
    for (size_t i = 0; i < claim->count; i++) {
        const char *uuid;
        json_t *allocation;
        state.consumers[i].input = &claim->consumers[i];
        json_object_foreach((json_t *)claim->consumers[i].allocations, uuid, allocation) {
            uses += json_object_size(json_object_get(allocation, "resources"));
            if (stock_of(&state, uuid) != NULL)
                continue;
            state.stocks = ARENA_GROW(arena, state.stocks, state.stock_count);
            state.stocks[state.stock_count++] = (struct stock){ .given = uuid };
        }
    }
    state.uses = ARENA_ARRAY(arena, struct use, uses + 1);
    TRY(read_all(&state));
    for (size_t i = 0; i < claim->count; i++) {
        TRY(generation_conflict(&state, &state.consumers[i]));
        TRY(ensure_owner(tx, &state.consumers[i]));
    }
    for (size_t i = 0; i < claim->count; i++)
        TRY(gather(&state, &state.consumers[i]));
    for (size_t i = 0; i < state.use_count; i++)
        TRY(check(&state, i));
    return write_all(&state);
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
