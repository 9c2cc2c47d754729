/* SPDX-License-Identifier: Apache-2.0
 *
 * model_load: reads what changed since the model last looked, in one snapshot of the database.
 */
#include "base/clock.h"
#include "base/log.h"
#include "placement/api.h"
#include "placement/model.h"
#include "placement/store.h"

#include <string.h>

/* What one refresh read; applied under the write lock when the model has not gone past it meanwhile. */
struct load {
    struct tx *tx;
    struct arena *arena;
    bool everything;
    int64_t position;
    int64_t *ids; /* sorted; not for everything */
    size_t id_count;
    struct provider_data *providers; /* sorted by id */
    size_t count;
    bool names;
    struct name *classes, *traits;
    size_t class_count, trait_count;
    bool summed;
    struct model_sums sums;
};

enum {
    FEW = 200,     /* more changed providers than that are read as everything */
    READ_TRIES = 5,
};

struct growing {
    void *items;
    size_t count, capacity;
};

static void *push(struct arena *arena, struct growing *list, size_t size)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 16 : list->capacity * 2;
        void *items = arena_alloc(arena, capacity * size);
        if (list->count > 0)
            memcpy(items, list->items, list->count * size);
        list->items = items;
        list->capacity = capacity;
    }
    return (char *)list->items + list->count++ * size;
}

/* Asks with the changed ids in place of %s, or for everything. The last id is repeated up to the next power of two, so that
 * few texts are prepared. */
static struct fault *ask(struct load *load, struct rows **ret, const char *all, const char *some)
{
    size_t count = 1;
    if (load->everything)
        return sql_query_later(load->tx, ret, all, NO_BIND);
    while (count < load->id_count)
        count *= 2;
    struct sql_value *values = ARENA_ARRAY(load->arena, struct sql_value, count);
    for (size_t i = 0; i < count; i++)
        values[i] = INT(load->ids[i < load->id_count ? i : load->id_count - 1]);
    const char *sql = arena_printf(load->arena, some, sql_marks(load->arena, count));
    return sql_query_later(load->tx, ret, sql, values, count);
}

static struct provider_data *loaded(struct load *load, int64_t id)
{
    size_t low = 0, high = load->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (load->providers[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < load->count && load->providers[low].id == id ? &load->providers[low] : NULL;
}

#define PROVIDERS \
    "SELECT id, uuid, name, generation, parent_provider_id, root_provider_id, created_at, updated_at FROM resource_providers"
static struct fault *ask_providers(struct load *load, struct rows **ret)
{
    return ask(load, ret, PROVIDERS " ORDER BY id", PROVIDERS " WHERE id IN (%s) ORDER BY id");
}

static struct fault *read_providers(struct load *load, struct rows *rows)
{
    struct growing list = { 0 };
    while (rows_next(rows)) {
        struct provider_data *data = push(load->arena, &list, sizeof(*data));
        *data = (struct provider_data){
            .id = rows_int(rows, 0),
            .uuid = rows_text(rows, 1),
            .name = rows_text(rows, 2),
            .generation = rows_int(rows, 3),
            .parent_id = rows_int(rows, 4),
            .root_id = rows_null(rows, 5) ? rows_int(rows, 0) : rows_int(rows, 5),
            .modified_us = placement_moment(rows_text(rows, 6), rows_text(rows, 7)),
        };
    }
    load->providers = list.items;
    load->count = list.count;
    return rows_fault(rows);
}

/* The rows of a child table come sorted by provider: each provider gets its run of the one array. */
#define INVENTORIES                                                                                               \
    "SELECT i.resource_provider_id, i.resource_class_id, i.total, i.reserved, i.min_unit, i.max_unit, i.step_size," \
    " i.allocation_ratio, (SELECT COALESCE(SUM(a.used), 0) FROM allocations a WHERE a.resource_provider_id ="       \
    " i.resource_provider_id AND a.resource_class_id = i.resource_class_id) FROM inventories i"
#define INVENTORIES_ORDER " ORDER BY i.resource_provider_id, i.resource_class_id"
static struct fault *ask_inventories(struct load *load, struct rows **ret)
{
    return ask(load, ret, INVENTORIES INVENTORIES_ORDER, INVENTORIES " WHERE i.resource_provider_id IN (%s)" INVENTORIES_ORDER);
}

static struct fault *read_inventories(struct load *load, struct rows *rows)
{
    struct growing list = { 0 }, owners = { 0 };
    while (rows_next(rows)) {
        struct inventory *inventory = push(load->arena, &list, sizeof(*inventory));
        *inventory = (struct inventory){ rows_int(rows, 1), rows_int(rows, 2), rows_int(rows, 3), rows_int(rows, 4),
            rows_int(rows, 5), rows_int(rows, 6), rows_real(rows, 7), rows_int(rows, 8) };
        *(int64_t *)push(load->arena, &owners, sizeof(int64_t)) = rows_int(rows, 0);
    }
    for (size_t i = 0; i < list.count; i++) {
        struct provider_data *data = loaded(load, ((int64_t *)owners.items)[i]);
        if (data == NULL)
            continue;
        if (data->inventory_count++ == 0)
            data->inventories = (struct inventory *)list.items + i;
    }
    return rows_fault(rows);
}

static struct fault *ask_traits(struct load *load, struct rows **ret)
{
    return ask(load, ret,
        "SELECT resource_provider_id, trait_id FROM resource_provider_traits ORDER BY resource_provider_id",
        "SELECT resource_provider_id, trait_id FROM resource_provider_traits WHERE resource_provider_id IN (%s)"
        " ORDER BY resource_provider_id");
}

static struct fault *read_traits(struct load *load, struct rows *rows)
{
    struct growing list = { 0 }, owners = { 0 };
    while (rows_next(rows)) {
        *(int64_t *)push(load->arena, &owners, sizeof(int64_t)) = rows_int(rows, 0);
        *(int64_t *)push(load->arena, &list, sizeof(int64_t)) = rows_int(rows, 1);
    }
    for (size_t i = 0; i < list.count; i++) {
        struct provider_data *data = loaded(load, ((int64_t *)owners.items)[i]);
        if (data == NULL)
            continue;
        if (data->trait_count++ == 0)
            data->traits = (int64_t *)list.items + i;
    }
    return rows_fault(rows);
}

#define AGGREGATES \
    "SELECT r.resource_provider_id, g.uuid FROM resource_provider_aggregates r JOIN placement_aggregates g ON g.id = r.aggregate_id"
static struct fault *ask_aggregates(struct load *load, struct rows **ret)
{
    return ask(load, ret, AGGREGATES " ORDER BY r.resource_provider_id",
        AGGREGATES " WHERE r.resource_provider_id IN (%s) ORDER BY r.resource_provider_id");
}

static struct fault *read_aggregates(struct load *load, struct rows *rows)
{
    struct growing list = { 0 }, owners = { 0 };
    while (rows_next(rows)) {
        *(int64_t *)push(load->arena, &owners, sizeof(int64_t)) = rows_int(rows, 0);
        *(const char **)push(load->arena, &list, sizeof(char *)) = rows_text(rows, 1);
    }
    for (size_t i = 0; i < list.count; i++) {
        struct provider_data *data = loaded(load, ((int64_t *)owners.items)[i]);
        if (data == NULL)
            continue;
        if (data->aggregate_count++ == 0)
            data->aggregates = (const char *const *)list.items + i;
    }
    return rows_fault(rows);
}

static struct fault *read_names(struct load *load, struct rows *rows, struct name **ret, size_t *ret_count)
{
    struct growing list = { 0 };
    while (rows_next(rows)) {
        struct name *name = push(load->arena, &list, sizeof(*name));
        *name = (struct name){ rows_int(rows, 0), arena_strdup(load->arena, rows_text(rows, 1)) };
    }
    *ret = list.items;
    *ret_count = list.count;
    return rows_fault(rows);
}

static int compare_ids(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* What was touched after `position`. */
static struct fault *load_changes(struct load *load, int64_t position)
{
    int64_t first = 0;
    struct growing ids = { 0 };
    struct rows *rows;
    TRY(sql_int_of(load->tx, &load->position, 0, "SELECT MAX(id) FROM nubo_placement_changes", NO_BIND));
    if (position >= 0 && load->position == position)
        return NULL;
    load->everything = load->names = position < 0;
    if (load->everything)
        return NULL;
    TRY(sql_query(load->tx, &rows, "SELECT DISTINCT provider_id, (SELECT MIN(id) FROM nubo_placement_changes)"
        " FROM nubo_placement_changes WHERE id > ?", BIND(INT(position))));
    while (rows_next(rows)) {
        first = rows_int(rows, 1);
        if (rows_int(rows, 0) == CHANGED_NAMES)
            load->names = true;
        else
            *(int64_t *)push(load->arena, &ids, sizeof(int64_t)) = rows_int(rows, 0);
    }
    TRY(rows_fault(rows));
    load->ids = ids.items;
    load->id_count = ids.count;
    if (first > position + 1 || load->position < position || ids.count > FEW)
        load->everything = load->names = true;
    else if (ids.count > 0)
        qsort(load->ids, load->id_count, sizeof(int64_t), compare_ids);
    return NULL;
}

/* One round trip. */
static struct fault *load_all(struct load *load)
{
    struct rows *classes, *traits, *providers, *inventories, *of_traits, *of_aggregates;
    bool some = load->everything || load->id_count > 0;
    if (load->names) {
        TRY(sql_query_later(load->tx, &classes, "SELECT id, name FROM resource_classes", NO_BIND));
        TRY(sql_query_later(load->tx, &traits, "SELECT id, name FROM traits", NO_BIND));
    }
    if (some) {
        TRY(ask_providers(load, &providers));
        TRY(ask_inventories(load, &inventories));
        TRY(ask_traits(load, &of_traits));
        TRY(ask_aggregates(load, &of_aggregates));
    }
    if (load->names) {
        TRY(read_names(load, classes, &load->classes, &load->class_count));
        TRY(read_names(load, traits, &load->traits, &load->trait_count));
    }
    if (!some)
        return NULL;
    TRY(read_providers(load, providers));
    TRY(read_inventories(load, inventories));
    TRY(read_traits(load, of_traits));
    return read_aggregates(load, of_aggregates);
}

static void apply(struct model *model, struct load *load)
{
    if (load->names) {
        placement_names_replace(&model->classes, load->classes, load->class_count);
        placement_names_replace(&model->traits, load->traits, load->trait_count);
    }
    /* What was asked for, or was known, and is not there any more, is gone. */
    size_t candidates = load->everything ? model->providers.count : load->id_count;
    int64_t *removed = ARENA_ARRAY(load->arena, int64_t, candidates + 1);
    size_t count = 0;
    for (size_t i = 0; i < candidates; i++) {
        int64_t id = load->everything ? model->providers.items[i]->id : load->ids[i];
        if (loaded(load, id) == NULL)
            removed[count++] = id;
    }
    model_apply(model, load->providers, load->count, removed, count);
    model->position = load->position;
}

/* Puts the model and the sums of the snapshot side by side. True: the database holds what nobody told us. */
static bool differs(struct model *model, const struct load *load, bool applied)
{
    struct model_sums own;
    if (!load->summed || model->position != load->position)
        return false; /* of another moment: the next look will tell */
    model_sums_own(model, &own);
    struct model_sums excess = model_sums_less(&load->sums, &own);
    if (applied && load->everything) {
        model->excess = excess;
        return false;
    }
    return memcmp(&excess, &model->excess, sizeof(excess)) != 0;
}

static struct fault *read_parts(struct load *load, struct db *db, int64_t position, bool look)
{
    TRY(load_changes(load, position));
    if (load->everything || load->position != position)
        TRY(load_all(load));
    load->summed = look || (load->everything && db_is_shared(db));
    return load->summed ? model_sums_read(load->tx, &load->sums) : NULL;
}

/* One moment cannot be read over two connections: when one is lost in the middle, all of it is read again. */
static struct fault *read_load(struct load *load, struct db *db, int64_t position, bool look)
{
    for (int tries = 1;; tries++) {
        TRY(db_read(load->arena, db, &load->tx));
        tx_exact(load->tx);
        struct fault *fault = read_parts(load, db, position, look);
        tx_end(load->tx);
        if (fault == NULL || !fault->retry || tries == READ_TRIES)
            return fault;
        *load = (struct load){ .arena = load->arena };
    }
}

/* `everything`: whatever the changes say. *ret_foreign: the model is not what the database holds. */
static struct fault *refresh(struct arena *arena, struct model *model, struct db *db, bool look, bool everything, bool *ret_foreign)
{
    model_read_begin(model);
    int64_t position = everything ? -1 : model->position;
    model_read_end(model);
    struct arena *scratch ARENA_CLEANUP = arena_create();
    struct load load = { .arena = scratch };
    struct fault *fault = read_load(&load, db, position, look);
    if (fault != NULL)
        return fault_copy(arena, fault);
    if (load.position == position && !load.summed)
        return NULL;
    pthread_rwlock_wrlock(&model->lock);
    /* Another thread may have gone past us meanwhile: then its view is the newer one. Everything in between was read by
     * us when it has not, because we began from an older position. */
    bool newer = everything ? model->position <= load.position
                            : load.position != position && (model->position == position || model->position < load.position);
    if (newer)
        apply(model, &load);
    bool other = differs(model, &load, newer);
    *ret_foreign = everything ? !newer : other;
    pthread_rwlock_unlock(&model->lock);
    return NULL;
}

struct fault *model_refresh(struct arena *arena, struct model *model, struct db *db)
{
    bool look = db_is_shared(db) && model_look_begin(model), foreign = false;
    int64_t began_us = look ? clock_monotonic_us() : 0;
    struct fault *fault = refresh(arena, model, db, look, false, &foreign);
    if (fault == NULL && foreign) {
        log_info("placement", "another program wrote to the database: everything is read anew");
        fault = refresh(arena, model, db, false, true, &foreign);
    }
    if (look)
        model_look_end(model, began_us, foreign);
    return fault;
}
