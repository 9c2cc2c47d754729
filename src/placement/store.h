/* SPDX-License-Identifier: Apache-2.0
 *
 * store: what placement's transactions have in common.
 *
 * Every function that changes something starts with placement_change_begin(), which puts the transactions in a row (on
 * MariaDB by the lock of one row, on SQLite there is one writer anyway), and names the providers it touched with
 * placement_change_provider(). So the capacity that a claim read is still free when it commits, and the keys of
 * nubo_placement_changes grow in the order of the commits, which model.h stands on. Generations are compared and
 * swapped as in the reference, for the clients, and for a reference that writes to the same database.
 */
#ifndef PLACEMENT_STORE_H
#define PLACEMENT_STORE_H

#include "oslo/http.h"
#include "oslo/sql.h"

enum { CHANGED_NAMES = 0 }; /* as a provider id: traits or resource classes changed */
enum { CUSTOM_CLASS_ID = 10000 }; /* ids of custom resource classes begin here */

/* Upstream's newest migration, in Zed and in 2023.1. */
#define PLACEMENT_REVISION "422ece571366"
enum { PLACEMENT_MIGRATIONS = 2 };
extern const struct migration placement_migrations[PLACEMENT_MIGRATIONS];

struct provider_row {
    int64_t id;
    const char *uuid, *name;
    int64_t generation;
    int64_t parent_id, root_id; /* parent_id 0: none */
    const char *parent_uuid, *root_uuid; /* parent_uuid NULL: none */
    int64_t modified_us;
};

/* db_write() for handlers. Our own transactions never cross, but another program's may (the reference on the same database):
 * when it made the same row first, the function runs again and finds it. */
struct fault *placement_write(struct request *rq, struct fault *(*run)(struct tx *tx, void *argument), void *argument);

/* See above; a provider is named after its change and before the commit. */
struct fault *placement_change_begin(struct tx *tx);
struct fault *placement_change_provider(struct tx *tx, int64_t provider_id);

/* 404 "No resource provider with uuid X found". */
struct fault *provider_load(struct tx *tx, const char *uuid, struct provider_row *ret);
/* The same, for the lists of traits and usages: the reference says its 404 twice there. */
struct fault *provider_load_twice(struct tx *tx, const char *uuid, struct provider_row *ret);
/* As load; *ret_found is false instead of a fault. */
struct fault *provider_look(struct tx *tx, const char *uuid, struct provider_row *ret, bool *ret_found);
/* Raises the generation in the row and in `provider`, and notes the change. 409 when somebody else did: at the latest as the
 * fault of the whole transaction. */
struct fault *provider_touch(struct tx *tx, struct provider_row *provider);

/* The ids of many names of `table` (traits or resource_classes), in few queries; -1: no such name. */
struct fault *placement_ids(struct tx *tx, const char *table, const char *const *names, size_t count, int64_t *ids);
/* Ids of classes and traits; -1: no such name. */
struct fault *placement_class_id(struct tx *tx, const char *name, int64_t *ret);
struct fault *placement_trait_id(struct tx *tx, const char *name, int64_t *ret);

/* 404 "No such resource class X.". */
struct fault *placement_class_unknown(struct tx *tx, const char *name);

/* As request_validate() where the path names a provider: one that does not exist is told (404) before the body's
 * faults. */
struct fault *placement_validate_for_provider(struct request *rq, const struct schema *schema);

#endif
