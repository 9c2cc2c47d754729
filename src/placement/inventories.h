/* SPDX-License-Identifier: Apache-2.0
 *
 * inventories: how much of a class a provider has.
 */
#ifndef PLACEMENT_INVENTORIES_H
#define PLACEMENT_INVENTORIES_H

#include "placement/api.h"
#include "placement/store.h"

struct inventory_input {
    const char *class_name;
    struct inventory values; /* class_id is set by inventories_replace() */
};

/* The record of a request, checked by the schema, with the defaults for what is absent. */
struct inventory inventory_read(const json_t *record);

/* Every record of an "inventories" member. In the arena. */
struct inventory_input *inventories_read(struct arena *arena, const json_t *inventories, size_t *ret_count);

/* Makes the provider's inventories these: 409 placement.inventory.inuse when one that has allocations would go. Unknown
 * classes are placement_class_unknown() faults. With `keep`, others stay. Does not touch the generation. */
struct fault *inventories_replace(struct tx *tx, const struct provider_row *provider, struct inventory_input *inputs,
    size_t count, bool keep);

/* 400 when `reserved` leaves nothing (below 1.26), or is more than there is: the sentence without its beginning. */
struct fault *inventory_check(struct request *rq, const struct provider_row *provider,
    const struct inventory_input *input, const char *verb);

#endif
