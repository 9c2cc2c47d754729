/* SPDX-License-Identifier: Apache-2.0
 *
 * endpoint_filter: which endpoints an endpoint group chooses.
 */
#ifndef KEYSTONE_ENDPOINT_FILTER_H
#define KEYSTONE_ENDPOINT_FILTER_H

#include "base/arena.h"

#include <jansson.h>
#include <stdbool.h>

/* NULL members match every endpoint. */
struct endpoint_filter {
    const char *service_id, *region_id, *interface;
    bool no_region; /* only endpoints of no region */
    bool nothing;   /* a value that no endpoint has */
};

/* The "filters" of an endpoint group; texts are copied into the arena. */
struct endpoint_filter endpoint_filter_read(struct arena *arena, const json_t *filters);

bool endpoint_filter_matches(const struct endpoint_filter *filter, const char *service_id, const char *region_id,
    const char *interface);

#endif
