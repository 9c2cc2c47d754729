/* SPDX-License-Identifier: Apache-2.0
 *
 * model: the structures and their upkeep. model_load.c reads them from the database.
 */
#include "placement/model.h"

#include <stdlib.h>
#include <string.h>

static const struct provider_list empty_list;

static void *grow(void *items, size_t *capacity, size_t count, size_t size)
{
    if (count < *capacity)
        return items;
    *capacity = *capacity == 0 ? 4 : *capacity * 2;
    items = realloc(items, *capacity * size);
    if (items == NULL)
        abort();
    return items;
}

static void *copy_of(const void *data, size_t size)
{
    if (size == 0)
        return NULL;
    void *copy = malloc(size);
    if (copy == NULL)
        abort();
    return memcpy(copy, data, size);
}

int64_t inventory_capacity(const struct inventory *inventory)
{
    double capacity = (double)(inventory->total - inventory->reserved) * inventory->allocation_ratio;
    if (capacity >= (double)INT64_MAX)
        return INT64_MAX;
    return capacity <= (double)INT64_MIN ? INT64_MIN : (int64_t)capacity;
}

/* The place of the first provider whose id is not below `id`. */
static size_t list_place(const struct provider_list *list, int64_t id)
{
    size_t low = 0, high = list->count;
    if (high > 0 && list->items[high - 1]->id < id)
        return high; /* new providers come last */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (list->items[middle]->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void list_insert(struct provider_list *list, struct provider *provider)
{
    size_t at = list_place(list, provider->id);
    if (at < list->count && list->items[at] == provider)
        return;
    list->items = grow(list->items, &list->capacity, list->count, sizeof(*list->items));
    memmove(list->items + at + 1, list->items + at, (list->count - at) * sizeof(*list->items));
    list->items[at] = provider;
    list->count++;
}

static void list_remove(struct provider_list *list, const struct provider *provider)
{
    size_t at = list_place(list, provider->id);
    if (at == list->count || list->items[at] != provider)
        return;
    list->count--;
    memmove(list->items + at, list->items + at + 1, (list->count - at) * sizeof(*list->items));
}

static size_t index_place(const struct provider_index *index, int64_t key)
{
    size_t low = 0, high = index->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (index->rows[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct provider_list *index_list(struct provider_index *index, int64_t key)
{
    size_t at = index_place(index, key);
    if (at == index->count || index->rows[at].key != key) {
        index->rows = grow(index->rows, &index->capacity, index->count, sizeof(*index->rows));
        memmove(index->rows + at + 1, index->rows + at, (index->count - at) * sizeof(*index->rows));
        index->rows[at] = (struct provider_index_row){ .key = key };
        index->count++;
    }
    return &index->rows[at].list;
}

const struct provider_list *provider_index_find(const struct provider_index *index, int64_t key)
{
    size_t at = index_place(index, key);
    return at < index->count && index->rows[at].key == key ? &index->rows[at].list : &empty_list;
}

static void index_release(struct provider_index *index)
{
    for (size_t i = 0; i < index->count; i++)
        free(index->rows[i].list.items);
    free(index->rows);
}

static void names_release(struct names *names)
{
    map_release(&names->by_text);
    for (size_t i = 0; i < names->count; i++)
        free(names->by_id[i].text);
    free(names->by_id);
    *names = (struct names){ 0 };
}

static int compare_names(const void *a, const void *b)
{
    const struct name *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

void placement_names_replace(struct names *names, const struct name *rows, size_t count)
{
    names_release(names);
    names->by_id = copy_of(rows, count * sizeof(*rows));
    names->count = count;
    if (count > 0)
        qsort(names->by_id, count, sizeof(*rows), compare_names);
    for (size_t i = 0; i < count; i++) {
        names->by_id[i].text = copy_of(names->by_id[i].text, strlen(names->by_id[i].text) + 1);
        map_set(&names->by_text, names->by_id[i].text, &names->by_id[i]);
    }
}

const struct name *placement_names_by_text(const struct names *names, const char *text)
{
    return map_get(&names->by_text, text);
}

const char *placement_names_text(const struct names *names, int64_t id)
{
    const struct name wanted = { .id = id };
    const struct name *found =
        names->count == 0 ? NULL : bsearch(&wanted, names->by_id, names->count, sizeof(wanted), compare_names);
    return found == NULL ? "" : found->text;
}

struct model *model_create(void)
{
    struct model *model = calloc(1, sizeof(*model));
    if (model == NULL)
        abort();
    pthread_rwlock_init(&model->lock, NULL);
    model->position = -1;
    return model;
}

static void provider_free(struct provider *provider)
{
    free(provider->name);
    free(provider->inventories);
    free(provider->traits);
    free(provider->aggregates);
    free(provider->tree.items);
    free(provider);
}

void model_destroy(struct model *model)
{
    if (model == NULL)
        return;
    for (size_t i = 0; i < model->providers.count; i++)
        provider_free(model->providers.items[i]);
    size_t at = 0;
    for (const struct map_entry *entry; (entry = map_next(&model->aggregates, &at)) != NULL;) {
        struct aggregate *aggregate = entry->value;
        free(aggregate->uuid);
        free(aggregate->members.items);
        free(aggregate->sharing.items);
        free(aggregate);
    }
    free(model->providers.items);
    free(model->roots.items);
    free(model->sharing.items);
    map_release(&model->by_uuid);
    map_release(&model->aggregates);
    index_release(&model->by_class);
    index_release(&model->by_trait);
    names_release(&model->classes);
    names_release(&model->traits);
    pthread_rwlock_destroy(&model->lock);
    free(model);
}

void model_read_begin(struct model *model)
{
    pthread_rwlock_rdlock(&model->lock);
}

void model_read_end(struct model *model)
{
    pthread_rwlock_unlock(&model->lock);
}

static struct provider *find_id(const struct model *model, int64_t id)
{
    size_t at = list_place(&model->providers, id);
    return at < model->providers.count && model->providers.items[at]->id == id ? model->providers.items[at] : NULL;
}

const struct provider *model_find(const struct model *model, const char *uuid)
{
    return map_get(&model->by_uuid, uuid);
}

static struct aggregate *aggregate_of(struct model *model, const char *uuid)
{
    struct aggregate *aggregate = map_get(&model->aggregates, uuid);
    if (aggregate == NULL) {
        aggregate = calloc(1, sizeof(*aggregate));
        if (aggregate == NULL)
            abort();
        aggregate->uuid = copy_of(uuid, strlen(uuid) + 1);
        map_set(&model->aggregates, uuid, aggregate);
    }
    return aggregate;
}

/* Takes a provider out of every list that others reach it by, as it stood until now. */
static void detach(struct model *model, struct provider *provider)
{
    if (provider->root != NULL)
        list_remove(&provider->root->tree, provider);
    list_remove(&model->roots, provider);
    list_remove(&model->sharing, provider);
    if (provider->parent_id != 0)
        model->nested--;
    for (size_t i = 0; i < provider->inventory_count; i++)
        list_remove(index_list(&model->by_class, provider->inventories[i].class_id), provider);
    for (size_t i = 0; i < provider->trait_count; i++)
        list_remove(index_list(&model->by_trait, provider->traits[i]), provider);
    for (size_t i = 0; i < provider->aggregate_count; i++) {
        list_remove(&provider->aggregates[i]->members, provider);
        list_remove(&provider->aggregates[i]->sharing, provider);
    }
}

static void discard(struct model *model, int64_t id)
{
    struct provider *provider = find_id(model, id);
    if (provider == NULL)
        return;
    list_remove(&model->providers, provider);
    map_remove(&model->by_uuid, provider->uuid);
    provider_free(provider);
}

static int compare_inventories(const void *a, const void *b)
{
    const struct inventory *x = a, *y = b;
    return (x->class_id > y->class_id) - (x->class_id < y->class_id);
}

static int compare_ids(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void fill(struct model *model, const struct provider_data *data)
{
    struct provider *provider = find_id(model, data->id);
    if (provider == NULL) {
        provider = calloc(1, sizeof(*provider));
        if (provider == NULL)
            abort();
        provider->id = data->id;
        list_insert(&model->providers, provider);
    } else {
        map_remove(&model->by_uuid, provider->uuid);
    }
    strncpy(provider->uuid, data->uuid, sizeof(provider->uuid) - 1);
    map_set(&model->by_uuid, provider->uuid, provider);
    free(provider->name);
    provider->name = copy_of(data->name == NULL ? "" : data->name, data->name == NULL ? 1 : strlen(data->name) + 1);
    provider->generation = data->generation;
    provider->parent_id = data->parent_id;
    provider->root_id = data->root_id;
    provider->modified_us = data->modified_us;
    free(provider->inventories);
    provider->inventories = copy_of(data->inventories, data->inventory_count * sizeof(*data->inventories));
    provider->inventory_count = data->inventory_count;
    if (data->inventory_count > 0)
        qsort(provider->inventories, data->inventory_count, sizeof(*data->inventories), compare_inventories);
    free(provider->traits);
    provider->traits = copy_of(data->traits, data->trait_count * sizeof(*data->traits));
    provider->trait_count = data->trait_count;
    if (data->trait_count > 0)
        qsort(provider->traits, data->trait_count, sizeof(*data->traits), compare_ids);
    free(provider->aggregates);
    provider->aggregates = data->aggregate_count == 0 ? NULL : calloc(data->aggregate_count, sizeof(void *));
    provider->aggregate_count = data->aggregate_count;
    for (size_t i = 0; i < data->aggregate_count; i++)
        provider->aggregates[i] = aggregate_of(model, data->aggregates[i]);
    provider->mark = model_provider_mark(provider);
    provider->memberships_mark = model_memberships_mark(provider);
}

/* Puts a filled provider into the lists again. */
static void attach(struct model *model, struct provider *provider, int64_t sharing_trait)
{
    provider->parent = provider->parent_id == 0 ? NULL : find_id(model, provider->parent_id);
    provider->root = find_id(model, provider->root_id);
    if (provider->root == NULL)
        provider->root = provider;
    list_insert(&provider->root->tree, provider);
    if (provider->root == provider)
        list_insert(&model->roots, provider);
    if (provider->parent_id != 0)
        model->nested++;
    provider->sharing = provider_has_trait(provider, sharing_trait);
    if (provider->sharing)
        list_insert(&model->sharing, provider);
    for (size_t i = 0; i < provider->inventory_count; i++)
        list_insert(index_list(&model->by_class, provider->inventories[i].class_id), provider);
    for (size_t i = 0; i < provider->trait_count; i++)
        list_insert(index_list(&model->by_trait, provider->traits[i]), provider);
    for (size_t i = 0; i < provider->aggregate_count; i++) {
        list_insert(&provider->aggregates[i]->members, provider);
        if (provider->sharing)
            list_insert(&provider->aggregates[i]->sharing, provider);
    }
}

void model_apply(struct model *model, const struct provider_data *changed, size_t changed_count,
    const int64_t *removed, size_t removed_count)
{
    for (size_t i = 0; i < changed_count; i++) {
        struct provider *provider = find_id(model, changed[i].id);
        if (provider != NULL)
            detach(model, provider);
    }
    for (size_t i = 0; i < removed_count; i++) {
        struct provider *provider = find_id(model, removed[i]);
        if (provider != NULL)
            detach(model, provider);
    }
    for (size_t i = 0; i < removed_count; i++)
        discard(model, removed[i]);
    for (size_t i = 0; i < changed_count; i++)
        fill(model, &changed[i]);
    const struct name *shares = placement_names_by_text(&model->traits, "MISC_SHARES_VIA_AGGREGATE");
    for (size_t i = 0; i < changed_count; i++)
        attach(model, find_id(model, changed[i].id), shares == NULL ? -1 : shares->id);
}

const struct inventory *provider_inventory(const struct provider *provider, int64_t class_id)
{
    for (size_t i = 0; i < provider->inventory_count; i++)
        if (provider->inventories[i].class_id == class_id)
            return &provider->inventories[i];
    return NULL;
}

bool provider_has_trait(const struct provider *provider, int64_t trait_id)
{
    return provider->trait_count > 0 && bsearch(&trait_id, provider->traits, provider->trait_count,
                                            sizeof(trait_id), compare_ids) != NULL;
}

bool provider_in_aggregate(const struct provider *provider, const struct aggregate *aggregate)
{
    for (size_t i = 0; i < provider->aggregate_count; i++)
        if (provider->aggregates[i] == aggregate)
            return true;
    return false;
}
