/* SPDX-License-Identifier: Apache-2.0
 *
 * edit: one change of one entity by a request: what a transaction's function needs, and the words for a name that is
 * taken.
 */
#ifndef KEYSTONE_EDIT_H
#define KEYSTONE_EDIT_H

#include "keystone/entity.h"

struct edit {
    struct request *rq;
    const struct entity *entity;
    const char *id;
    const json_t *given;      /* the body's object */
    const json_t *document;   /* create: what to store; after the transaction: what is stored */
    const void *more;         /* the family's own */
};

/* Runs `run(tx, edit)` in a write transaction, forgets what was cached, and with `respond` answers edit->document. A
 * violated unique key becomes the 409 "Duplicate entry found with name ...". */
struct fault *edit_commit(struct edit *edit, struct fault *(*run)(struct tx *tx, void *edit), bool respond);

/* The object of a PATCH: 400 unless it meets the schema and has no other id than the path's. */
struct fault *edit_given(struct request *rq, const char *name, const struct schema *schema, const char *id, json_t **ret);

/* For `run`: stores edit->document as a new row. */
struct fault *edit_insert(struct tx *tx, void *edit);
/* For `run`: loads the row (404), lets it be when it is immutable (403), merges edit->given, stores. */
struct fault *edit_update(struct tx *tx, void *edit);
/* For `run`: the row, 404 in the entity's words when there is none. */
struct fault *edit_find(struct tx *tx, const struct edit *edit, json_t **ret);
/* The first half of edit_update(): *ret_old is what was stored, edit->document what will be. */
struct fault *edit_merge(struct tx *tx, struct edit *edit, json_t **ret_old);

#endif
