/* SPDX-License-Identifier: Apache-2.0
 *
 * allocations: what consumers use of providers; the claim that PUT and POST /allocations and the reshaper share.
 */
#ifndef PLACEMENT_ALLOCATIONS_H
#define PLACEMENT_ALLOCATIONS_H

#include "placement/api.h"
#include "placement/store.h"

struct consumer_input {
    const char *uuid;
    const char *project_id, *user_id;
    const json_t *generation;  /* from 1.28: an integer or null */
    const char *type;          /* from 1.38; NULL: leave it */
    const json_t *allocations; /* {provider: {"resources": {class: amount}}}; empty: none from now on */
};

struct claim {
    struct request *rq;
    const struct consumer_input *consumers;
    size_t count;
};

/* Gives every consumer exactly its new allocations, within a transaction begun by placement_change_begin(). Faults: 404
 * for an unknown class (the sentence alone, for the caller to word), 400 for an unknown provider, 409 for a generation
 * that changed, an inventory that is not there, a unit rule or a capacity that does not allow it. */
struct fault *claim_run(struct tx *tx, const struct claim *claim);

/* placement_write() for what runs claims: again, as often as allocation_conflict_retry_count says, when another program changed a
 * provider meanwhile; then 409 with `words` before the reason. */
struct fault *claim_write(struct request *rq, struct fault *(*run)(struct tx *tx, void *argument), void *argument,
    const char *words);

/* The consumers of a POST body ({uuid: {...}}). In the arena. */
struct consumer_input *placement_consumers_read(struct request *rq, const json_t *body);

/* Schemas of {uuid: consumer} at the request's microversion; `may_be_empty` as in the reshaper. */
const struct schema *placement_allocations_schema(const struct request *rq, bool may_be_empty);

#endif
