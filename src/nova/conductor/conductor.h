/* SPDX-License-Identifier: Apache-2.0
 *
 * conductor: what its files share. The conductor is the only one that compute hosts reach nova's database through, and
 * the owner of a build until a compute host has taken it over.
 */
#ifndef NOVA_CONDUCTOR_CONDUCTOR_H
#define NOVA_CONDUCTOR_CONDUCTOR_H

#include "nova/instance.h"
#include "nova/nova.h"
#include "nova/roles.h"
#include "nova/rpcapi.h"
#include "oslo/messaging.h"

#define EVENT_SCHEDULE "conductor_schedule_and_build_instances"

/* RPC handlers of build.c. */
struct fault *build_instances(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result);
struct fault *reschedule_instance(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result);

/* RPC handler of cache_images.c. */
struct fault *cache_images(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result);

/* Start-up: builds of which the message was lost begin again. */
struct fault *build_resume(struct context *cx);

/* Periodic: the same for builds that have waited too long. */
struct fault *build_remind(struct context *cx, void *owner);

/* A change with the action's event in one transaction; what is made of RPC_INSTANCE_UPDATE. */
struct instance_report {
    const char *uuid;
    const struct instance_change *changes;
    size_t count;
    struct instance_expect expect;
    const json_t *event_start, *event_progress, *event_finish; /* as in rpcapi.h, or NULL */
    bool destroy;                             /* the row ends, after the changes */
};
struct fault *instance_report(struct context *cx, const struct instance_report *report);

/* A fault as the row keeps it: {"code", "message", "details", "created", "host"}. `details` and `host` may be NULL. */
json_t *instance_fault_object(const char *message, const char *details, int64_t code, const char *host);

/* The row becomes ERROR with this fault; EVENT_SCHEDULE ends as Error. A row that is gone is fine. */
struct fault *instance_fail(struct context *cx, const char *uuid, const struct fault *why);

#endif
