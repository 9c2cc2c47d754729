/* SPDX-License-Identifier: Apache-2.0
 *
 * api: what every handler of placement shares: error codes, version checks, cache headers, query checks.
 */
#ifndef PLACEMENT_API_H
#define PLACEMENT_API_H

#include "oslo/app.h"
#include "oslo/http.h"
#include "oslo/schema.h"
#include "placement/model.h"

enum { PLACEMENT_MAX_MINOR = 39 };
enum { DB_MAX_INT = 0x7fffffff };

/* Permanent error codes (errors.py of the reference). A fault without one gets placement.undefined_code. */
#define CODE_INVENTORY_INUSE      "placement.inventory.inuse"
#define CODE_CONCURRENT_UPDATE    "placement.concurrent_update"
#define CODE_DUPLICATE_NAME       "placement.duplicate_name"
#define CODE_PROVIDER_INUSE       "placement.resource_provider.inuse"
#define CODE_CANNOT_DELETE_PARENT "placement.resource_provider.cannot_delete_parent"
#define CODE_PROVIDER_NOT_FOUND   "placement.resource_provider.not_found"
#define CODE_DUPLICATE_KEY        "placement.query.duplicate_key"
#define CODE_BAD_VALUE            "placement.query.bad_value"
#define CODE_MISSING_VALUE        "placement.query.missing_value"

#define WORDS_CONCURRENT_UPDATE                                                                                        \
    "Another thread concurrently updated the resource provider data. Please retry your update"

extern const struct dialect placement_dialect;

/* What the service keeps in memory: app->private. */
struct placement {
    struct model *model;
    bool randomize;              /* [placement] randomize_allocation_candidates */
    const char *missing_project; /* [placement] incomplete_consumer_project_id and _user_id */
    const char *missing_user;
    bool noauth;                 /* [api] auth_strategy = noauth2 */
};
struct placement *placement_of(const struct request *rq);

/* auth_strategy = noauth2: everybody is who they say (auth.c). *ret NULL: the strategy is another. */
struct fault *placement_unproven(struct request *rq, struct caller **ret);

/* From 1.15 on: Cache-Control, and Last-Modified with `modified_us` (0: now). */
void placement_cache_headers(struct request *rq, int64_t modified_us);

/* An answer without a body. Returns NULL for convenience. */
struct fault *placement_answer_empty(struct request *rq, int status);

/* Checks the query, as an object of strings, against a schema. */
struct fault *placement_query_validate(struct request *rq, const struct schema *schema);

/* The last value of a query parameter, as webob's GET gives it; NULL: absent. */
const char *placement_query_last(const struct request *rq, const char *name);

/* Lower case with dashes, as Python's uuid.UUID() prints it. The text must be uuid_like(). */
const char *placement_uuid_canonical(struct arena *arena, const char *text);

/* A moment of a timestamp column; 0: none. */
int64_t placement_moment(const char *created_at, const char *updated_at);

/* Text for a timestamp column: now. */
const char *placement_timestamp_now(struct arena *arena);

/* The handlers' files: one table of routes each. */
extern const struct route_table placement_root_routes, placement_provider_routes, placement_inventory_routes,
    placement_aggregate_routes, placement_trait_routes, placement_class_routes, placement_usage_routes,
    placement_allocation_routes, placement_candidate_routes, placement_reshaper_routes;

extern const struct schema placement_schema_uuid, placement_schema_inventories_put;

#endif
