/* SPDX-License-Identifier: Apache-2.0
 *
 * reference: what tokens are made of and what seldom changes: roles, their implications, and the catalog. One immutable
 * snapshot in memory, built anew when anything was written since.
 */
#ifndef KEYSTONE_REFERENCE_H
#define KEYSTONE_REFERENCE_H

#include "keystone/catalog/endpoint_filter.h"
#include "keystone/state.h"
#include "oslo/json.h"

struct identity_role {
    const char *id, *name;
    const char *domain_id; /* NULL: a global role */
};

struct implication {
    size_t prior, implied; /* indexes into roles */
};

struct catalog_endpoint {
    const char *id, *interface, *region_id, *url;
};

struct catalog_service {
    const char *id, *type, *name;
    size_t first, count; /* its enabled endpoints */
};

/* One endpoint, or one endpoint group's, that a project's catalog is to have. */
struct endpoint_choice {
    const char *project_id;
    const char *endpoint_id;               /* NULL: those of the filter */
    struct endpoint_filter filter;
};

struct reference {
    const struct identity_role *roles;
    size_t role_count;
    const struct implication *implications;
    size_t implication_count;
    const struct catalog_service *services; /* enabled ones */
    size_t service_count;
    const struct catalog_endpoint *endpoints;
    const struct endpoint_choice *choices; /* of existing endpoints, sorted by project */
    size_t choice_count;
    const char *service_providers;         /* JSON: those that are enabled; NULL: none */
    int64_t read_us;                       /* monotonic: it knows what was committed until then */
    _Atomic bool *missed;                  /* see reference_missed() */
    bool nothing_unless_chosen;            /* [endpoint_filter] return_all_endpoints_if_no_filter is off */
};

struct reference_cache *reference_cache_create(void);
void reference_cache_destroy(struct reference_cache *cache);

/* The present snapshot; it stays valid as long as the context's arena. Must not be called inside db_write(). */
struct fault *reference_get(struct context *cx, const struct reference **ret);

/* A role that an assignment names is not in the snapshot: another process has just made it. Where others write, such a snapshot is
 * stale, and the next reference_get() reads anew. */
void reference_missed(const struct reference *reference);
bool reference_is_stale(const struct context *cx, const struct reference *reference);

/* The index of a role; role_count when there is none. */
size_t reference_role(const struct reference *reference, const char *role_id);

/* Marks in `marks` (role_count booleans) every role that the marked ones imply, directly or not. */
void reference_expand(const struct reference *reference, bool *marks);

/* Writes the catalog as the member `name`: v3 form, with $(project_id)s and its like filled in. Endpoints that need a
 * project are left out when project_id is NULL, as are malformed ones, and those that the project's filters do not choose. */
void catalog_write(struct json_writer *w, const char *name, const struct reference *reference, const char *user_id,
    const char *project_id);

/* Fills in a URL: false when it is malformed or lacks what it needs. With `out` NULL only checks. */
bool catalog_url(struct buf *out, const char *url, const char *user_id, const char *project_id);

#endif
