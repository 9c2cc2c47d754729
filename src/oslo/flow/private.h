/* SPDX-License-Identifier: Apache-2.0
 *
 * flow/private: what flow.c and flow/owner.c share.
 */
#ifndef OSLO_FLOW_PRIVATE_H
#define OSLO_FLOW_PRIVATE_H

#include "oslo/flow.h"

/* This process as an owner of flows: "host|pid name space|pid|start time". */
const char *flow_process(struct arena *arena, const struct app *app);

/* Whether nobody runs a record with this owner any more. `shared`: other machines use the database. */
bool flow_owner_is_gone(struct arena *arena, const struct app *app, const char *process, int64_t beat, bool shared);

/* How long a claim holds that is not renewed. */
int64_t flow_lease_us(void);

/* When the claims of this process were last renewed, monotonic. */
int64_t flow_last_beat_us(void);

/* Claims the flows of the types and the host whose owner is gone, and queues them. */
struct fault *flow_take(struct context *cx, struct db *db, const struct flow_type *const *types, const char *host, void *owner,
    size_t *ret_count);

#endif
