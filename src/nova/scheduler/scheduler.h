/* SPDX-License-Identifier: Apache-2.0
 *
 * scheduler: what its files share: a request as it is asked, a host as it is now, the filters and the weighers.
 *
 * Private to nova/scheduler. The truth about free resources is placement's; nova's own database says which hosts are
 * up, where they belong and what runs there. Nothing is kept between two requests.
 */
#ifndef NOVA_SCHEDULER_SCHEDULER_H
#define NOVA_SCHEDULER_SCHEDULER_H

#include "nova/hosts.h"
#include "oslo/context.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One resource class and how much of it one instance asks for. */
struct amount {
    const char *name; /* "VCPU" */
    int64_t count;
};

/* What placement says of one class on one host, with what this request has taken already. */
struct room {
    const char *name;
    int64_t capacity, used;
};

struct selection {
    struct context *cx;
    size_t count;                      /* instances */
    const char *const *instance_uuids;
    const char *project_id, *user_id;  /* the consumers' owner */
    const json_t *spec;                /* the request spec, as the message has it */
    const json_t *extra_specs, *image_properties, *hints; /* objects, or NULL */
    const struct amount *amounts;
    size_t amount_count;
    const char *required;              /* placement's `required`: "A,!B", or NULL */
    const char *zone;                  /* availability zone that is asked for, or NULL */
    const json_t *tried;               /* ["host"]: where the build failed before; or NULL */
    const char *group_policy;          /* of the server group, or NULL */
    int64_t max_server_per_host;
    struct map *group_hosts;           /* host -> count of members there, as intptr_t; with group_policy */
    size_t unmapped_count;             /* hosts that placement offered and that no cell has yet */
    const char *unmapped;              /* one of them */
};

struct host {
    const struct compute_node *node;
    const struct service_row *service; /* NULL: it never reported */
    bool up;
    const char *zone;
    const struct aggregate *aggregates;
    size_t aggregate_count;
    const json_t *allocations;         /* placement's allocation request: what to claim */
    const json_t *mappings;
    struct room *rooms;
    size_t room_count;
    int64_t instances, io_ops;
    int64_t group_members;             /* of the request's server group */
    double weight;
    const char *removed_by;            /* filter, or NULL */
};

/* A filter keeps a host (NULL) or removes it and says why, with the numbers. */
struct filter {
    const char *name;
    const char *(*removes)(const struct selection *selection, const struct host *host);
};
extern const struct filter scheduler_filters[];  /* ends with a NULL name */

/* Extra specs' operators (nova.scheduler.filters.extra_specs_ops): ">= 4", "<in> sse", "<or> a <or> b", "s== x". */
bool extra_spec_matches(const char *value, const char *wanted);

/* Sets host->weight of those that are not removed and returns the best one, or NULL. */
struct host *weigh_hosts(const struct selection *selection, struct host *hosts, size_t count);

const struct room *host_room(const struct host *host, const char *name);

/* Reads hosts of candidates from nova's database (hosts.c). `candidates` is the body of GET /allocation_candidates. */
struct fault *load_hosts(struct selection *selection, const json_t *candidates, struct host **ret, size_t *ret_count);

/* Why placement offers nothing: each class and trait asked for alone, with the numbers of one host. */
const char *explain_placement(struct selection *selection);

/* The chosen hosts of all instances become allocations. *ret_again: something changed meanwhile, choose anew. */
struct fault *claim_allocations(const struct selection *selection, struct host *const *chosen, bool *ret_again);

#define PLACEMENT_VERSION "placement 1.36"

#endif
