/* SPDX-License-Identifier: Apache-2.0
 *
 * flavor: what a server may use, as the database has it.
 */
#ifndef NOVA_FLAVOR_H
#define NOVA_FLAVOR_H

#include "oslo/http.h"
#include "oslo/sql.h"

struct flavor {
    int64_t id;
    const char *flavorid, *name, *description;
    int64_t memory_mb, vcpus, root_gb, ephemeral_gb, swap;
    double rxtx_factor;
    bool is_public, disabled;
    const char *extra_specs; /* JSON object */
};

/* By the ID that users see. A private one of others is not found; `everything` sees all. 404 "Flavor X could not be found." */
struct fault *flavor_load(struct tx *tx, const char *flavorid, const char *project_id, bool everything,
    struct flavor *ret);

/* The copy that an instance keeps (struct instance, flavor). */
const char *flavor_json(struct arena *arena, const struct flavor *flavor);

/* flavor.create, flavor.update, flavor.delete for those who listen. Only an update tells who may use it. */
struct fault *flavor_tell(struct request *rq, const struct flavor *flavor, const char *action);

/* By the {flavor_id} of the path, with the caller's eyes. */
struct fault *flavor_of_request(struct request *rq, struct flavor *ret);

#endif
