/* SPDX-License-Identifier: Apache-2.0
 *
 * catalog: where a service is, by keystone's service catalog.
 */
#ifndef OSLO_CATALOG_H
#define OSLO_CATALOG_H

#include "base/arena.h"

#include <jansson.h>

struct catalog_query {
    const char *type;                /* "block-storage", or one of its other names ("volumev3") */
    const char *name;                /* of the service, or NULL: any */
    const char *region;              /* or NULL: any */
    const char *const *interfaces;   /* NULL-terminated, wanted first; "internalURL" is "internal" */
};

/* The URL of the first endpoint that fits, or NULL. Lives as long as the catalog (the "catalog" member of a token). */
const char *catalog_endpoint(const json_t *catalog, const struct catalog_query *query);

/* What a path of a whole API ("/v2.1/servers") is appended to: the endpoint's URL up to its version segment, without a slash
 * at its end. "http://h:8774/v2.1" is "http://h:8774", "https://h/volume/v3/PROJECT" is "https://h/volume". */
const char *catalog_base(struct arena *arena, const char *url);

/* Fills %(project_id)s, $(project_id)s, %(tenant_id)s, $(tenant_id)s, %(user_id)s and $(user_id)s, as endpoint_override may
 * have them. A value that is NULL leaves its words as they are. */
const char *catalog_fill(struct arena *arena, const char *url, const char *project_id, const char *user_id);

#endif
