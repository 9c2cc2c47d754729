/* SPDX-License-Identifier: Apache-2.0
 *
 * templated: the catalog as a file of `catalog.REGION.SERVICE.KEY = VALUE`, read once, where [catalog] driver = templated.
 * It can be looked at by the API, and not changed.
 */
#ifndef KEYSTONE_TEMPLATED_H
#define KEYSTONE_TEMPLATED_H

#include "keystone/state.h"

struct templated_entry {
    const char *region, *service, *key, *value; /* key: "publicURL", "name", ... */
};

struct templated {
    struct arena *arena;
    const struct templated_entry *entries;
    size_t count;
};

/* *ret NULL: the catalog is in the database. Fault 500: the file cannot be read. */
struct fault *templated_create(struct context *cx, struct templated **ret);
void templated_destroy(struct templated *templated);

enum templated_kind { TEMPLATED_REGION, TEMPLATED_SERVICE, TEMPLATED_ENDPOINT, TEMPLATED_OTHER };

/* "public" of the key "publicURL"; NULL: another key. In the arena. */
const char *templated_interface(struct arena *arena, const char *key);

/* Answers GET of a collection, or of one by `id`; 501 for all that would change something, and for what is no such thing.
 * *ret_done false: the catalog is in the database. */
struct fault *templated_respond(struct request *rq, enum templated_kind kind, const char *id, bool *ret_done);

/* For handlers: answers and returns when the catalog is a file. */
#define UNLESS_TEMPLATED(rq, kind, id)                                                                                 \
    do {                                                                                                               \
        bool templated_done_;                                                                                          \
        TRY(templated_respond((rq), (kind), (id), &templated_done_));                                                  \
        if (templated_done_)                                                                                           \
            return NULL;                                                                                               \
    } while (0)

#endif
