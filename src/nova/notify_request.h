/* SPDX-License-Identifier: Apache-2.0
 *
 * notify_request: what is told of servers that are to be placed: scheduler.select_destinations and compute_task.build_instances,
 * in both forms of notify.h. Both hold the whole request (RequestSpecPayload): flavor, image, server group, hints.
 */
#ifndef NOVA_NOTIFY_REQUEST_H
#define NOVA_NOTIFY_REQUEST_H

#include "nova/notify.h"

struct notify_request {
    const char *instance_uuid; /* of the first server */
    int64_t count;             /* of servers */
    const json_t *spec;        /* as nova's messages have it: flavor, image, scheduler_hints, ... */
    const json_t *retry;       /* {"num_attempts", "hosts"} of earlier attempts, or NULL */
};

/* scheduler.select_destinations.PHASE. Nothing is told of a server that is gone. */
void notify_select_destinations(struct context *cx, const struct notify_request *request, const char *phase);

/* compute_task.build_instances.error: this server is set to ERROR. */
void notify_build_error(struct context *cx, const struct notify_request *request, const struct fault *why);

#endif
