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

/* Every record of an "inventories" member. In the arena. */
struct inventory_input *inventories_read(struct arena *arena, const json_t *inventories, size_t *ret_count);

/* Makes the provider's inventories these: 409 placement.inventory.inuse when one that has allocations would go. Unknown
 * classes are placement_class_unknown() faults. With `keep`, others stay. Does not touch the generation. */
struct fault *inventories_replace(struct tx *tx, const struct provider_row *provider, struct inventory_input *inputs,
    size_t count, bool keep);

#endif
