/* SPDX-License-Identifier: Apache-2.0
 *
 * model: the providers of the cloud in memory, laid out for the question "which of them fit?".
 *
 * The database is the truth; this is a cache of it that may be dropped at any moment. Every write transaction notes the
 * providers that it touched in the table nubo_placement_changes, whose key grows in the order of the commits (the
 * transactions are serialised by store.h's placement_change_begin()). model_refresh() reads what came after the last
 * key it saw and loads those providers anew. So a process learns of the writes of all processes, its own included, in
 * the same way, before it answers. A program that is not ours and notes nothing is found out by sums (model_compare.c).
 *
 * Providers are read between model_read_begin() and model_read_end(); no I/O is done there.
 */
#ifndef PLACEMENT_MODEL_H
#define PLACEMENT_MODEL_H

#include "base/map.h"
#include "oslo/sql.h"

#include <pthread.h>
#include <stdatomic.h>

struct inventory {
    int64_t class_id;
    int64_t total, reserved, min_unit, max_unit, step_size;
    double allocation_ratio;
    int64_t used; /* by all allocations */
};

/* int((total - reserved) * allocation_ratio), as the reference rounds. */
int64_t inventory_capacity(const struct inventory *inventory);

struct provider;

struct provider_list { /* sorted by id */
    struct provider **items;
    size_t count, capacity;
};

struct aggregate {
    char *uuid;
    struct provider_list members;
    struct provider_list sharing; /* those members that share their inventory (MISC_SHARES_VIA_AGGREGATE) */
};

struct provider {
    int64_t id;
    char uuid[40];
    char *name;
    int64_t generation;
    int64_t parent_id, root_id; /* parent_id 0: none */
    int64_t modified_us;
    struct provider *parent, *root;
    struct provider_list tree; /* of a root: all providers of its tree, itself included */
    struct inventory *inventories; /* sorted by class_id */
    size_t inventory_count;
    int64_t *traits; /* sorted ids */
    size_t trait_count;
    struct aggregate **aggregates;
    size_t aggregate_count;
    bool sharing;
    uint32_t mark;            /* its part of the sums */
    int64_t memberships_mark;
};

struct provider_index { /* providers by the id of a class or of a trait */
    struct provider_index_row {
        int64_t key;
        struct provider_list list;
    } *rows; /* sorted by key */
    size_t count, capacity;
};

struct name {
    int64_t id;
    char *text;
};

struct names { /* traits, or resource classes: by id, and by name */
    struct name *by_id;
    size_t count;
    struct map by_text; /* to struct name */
};

/* What tells one state of the database from another. */
struct model_sums {
    int64_t providers, memberships, used, classes, traits;
};

struct model {
    pthread_rwlock_t lock;
    _Atomic int64_t look_us;  /* when to look next for what others wrote (monotonic); INT64_MAX: somebody does */
    struct model_sums excess; /* what the database's sums had more than ours when everything was read: rows that name nothing */
    int64_t position; /* key of the last change seen; -1: nothing was loaded yet */
    struct provider_list providers, roots, sharing;
    size_t nested; /* providers that have a parent */
    struct map by_uuid;
    struct map aggregates; /* by UUID */
    struct provider_index by_class, by_trait;
    struct names classes, traits;
};

/* A provider as the database has it; what put() takes. Everything is copied. */
struct provider_data {
    int64_t id;
    const char *uuid, *name;
    int64_t generation, parent_id, root_id, modified_us;
    const struct inventory *inventories;
    size_t inventory_count;
    const int64_t *traits;
    size_t trait_count;
    const char *const *aggregates;
    size_t aggregate_count;
};

struct model *model_create(void);
void model_destroy(struct model *model); /* NULL is allowed */

/* Brings the model to the database's present state. */
struct fault *model_refresh(struct arena *arena, struct model *model, struct db *db);

/* For model_refresh(): the model's sums (under its lock) and the database's (MariaDB), and their difference. */
void model_sums_own(const struct model *model, struct model_sums *ret);
struct fault *model_sums_read(struct tx *tx, struct model_sums *ret);
struct model_sums model_sums_less(const struct model_sums *a, const struct model_sums *b);
uint32_t model_provider_mark(const struct provider *provider);
int64_t model_memberships_mark(const struct provider *provider);
/* Whether this caller is to look now; then it ends it, with `again` when what it found could not be put right. */
bool model_look_begin(struct model *model);
void model_look_end(struct model *model, int64_t began_us, bool again);

/* Between them the model stays as it is; many may read at a time. */
void model_read_begin(struct model *model);
void model_read_end(struct model *model);

/* Changes, all at once; for the loader and for tests. The caller holds the write lock or is alone. */
void model_apply(struct model *model, const struct provider_data *changed, size_t changed_count,
    const int64_t *removed, size_t removed_count);
void placement_names_replace(struct names *names, const struct name *rows, size_t count);

const struct provider *model_find(const struct model *model, const char *uuid); /* NULL: none */
const struct inventory *provider_inventory(const struct provider *provider, int64_t class_id);
bool provider_has_trait(const struct provider *provider, int64_t trait_id);
bool provider_in_aggregate(const struct provider *provider, const struct aggregate *aggregate);
const struct provider_list *provider_index_find(const struct provider_index *index, int64_t key); /* never NULL */
const struct name *placement_names_by_text(const struct names *names, const char *text); /* NULL: none */
const char *placement_names_text(const struct names *names, int64_t id);

#endif
