/* SPDX-License-Identifier: Apache-2.0
 *
 * terminate: the end of a server: the flow terminate_instance. It has no way back: each step is tried until it
 * succeeds, and leaves nothing.
 */
#include "base/log.h"
#include "nova/compute/compute.h"
#include "oslo/trace.h"

#include <string.h>

enum { BUILD_POLL_MS = 200, TRY_AGAIN_MS = 5000, TRIES = 60 };

/* A step of a deletion is tried again later, off the thread; after TRIES of them the instance becomes ERROR. */
static struct fault *again_later(struct flow *flow, struct fault *fault)
{
    int64_t tries = json_int_at(flow->state, "tries", 0);
    if (fault == NULL || (fault->code != NULL && strcmp(fault->code, "flow.waiting") == 0))
        return fault;
    if (tries >= TRIES)
        return fault;
    log_warning("nova.compute", "deletion of instance %s: %s", flow->key, fault_text(flow->cx.arena, fault));
    json_object_set_new(flow->state, "tries", json_integer(tries + 1));
    return flow_wait(flow, tries < 3 ? 200 : TRY_AGAIN_MS);
}

static struct fault *fetch(struct flow *flow, struct instance *ret)
{
    struct fault *fault = instance_fetch(&flow->cx, flow->key, ret);
    if (fault != NULL && fault->status == 404) { /* an earlier run got this far */
        *ret = (struct instance){ .uuid = flow->key };
        return NULL;
    }
    return fault;
}

static struct fault *begin_run(struct flow *flow)
{
    struct compute_host *host = flow->owner;
    bool building;
    if (!atomic_load(&host->compute->begun))
        return flow_wait(flow, BUILD_POLL_MS);
    TRY(flow_exists(&flow->cx, host->compute->db, nova_build_and_run_flow.name, flow->key, &building));
    if (building) {
        flow_wake(&nova_build_and_run_flow, flow->key);
        return flow_wait(flow, BUILD_POLL_MS);
    }
    struct fault *fault = instance_tell(&flow->cx, host, flow->key,
        &(struct instance_note){ .event_start = EVENT_TERMINATE });
    return fault != NULL && fault->status == 404 ? NULL : again_later(flow, fault);
}

static struct fault *destroy_run(struct flow *flow)
{
    struct compute_host *host = flow->owner;
    if (host->virt == NULL)
        return again_later(flow, FAULT(&flow->cx, 503, "HypervisorUnavailable",
            "Connection to the hypervisor is broken on host: %s",
            host->name));
    return again_later(flow, host->compute->driver->destroy(host->virt, flow->cx.arena, flow->key));
}

static struct fault *network_run(struct flow *flow)
{
    struct instance instance;
    struct fault *fault = fetch(flow, &instance);
    if (fault == NULL)
        fault = network_release(&flow->cx, &instance);
    return again_later(flow, fault);
}

static struct fault *volumes_run(struct flow *flow)
{
    trace_note(&flow->cx, COMPUTE_SERVICE, "cinder: no volumes");
    return NULL;
}

static struct fault *files_run(struct flow *flow)
{
    struct compute_host *host = flow->owner;
    return again_later(flow, host->compute->driver->cleanup(host->virt, flow->cx.arena, flow->key));
}

static struct fault *allocation_run(struct flow *flow)
{
    return again_later(flow, allocation_remove(&flow->cx, flow->key));
}

static struct fault *record_run(struct flow *flow)
{
    return again_later(flow, instance_tell(&flow->cx, flow->owner, flow->key,
        &(struct instance_note){ .destroy = true, .event_finish = EVENT_TERMINATE }));
}

static const struct flow_step steps[] = {
    { "wait for the build to end", begin_run,      NULL, 0 },
    { "destroy guest",             destroy_run,    NULL, 0 },
    { "release network",           network_run,    NULL, 0 },
    { "release volumes",           volumes_run,    NULL, 0 },
    { "remove files",              files_run,      NULL, 0 },
    { "remove allocation",         allocation_run, NULL, 0 },
    { "end the record",            record_run,     NULL, 0 },
};

static void terminate_failed(struct flow *flow, struct fault *why)
{
    struct fault *fault = instance_tell(&flow->cx, flow->owner, flow->key,
        &(struct instance_note){ .event_finish = EVENT_TERMINATE,
        .fault = why, .record_fault = true, .changes = json_pack("{s:s, s:n}", "vm_state", VM_ERROR, "task_state") });
    log_error("nova.compute", "instance %s cannot be deleted: %s", flow->key, fault_text(flow->cx.arena, why));
    if (fault != NULL)
        log_error("nova.compute", "instance %s: the failure cannot be reported: %s", flow->key,
            fault_text(flow->cx.arena, fault));
}

const struct flow_type nova_terminate_flow = {
    .name = "terminate_instance", .service = "nova-compute", .steps = steps, .count = sizeof(steps) / sizeof(steps[0]),
    .failed = terminate_failed,
};

struct fault *terminate_start(struct context *cx, struct compute_host *host, const char *uuid)
{
    return flow_start(cx, host->compute->db, &nova_terminate_flow, uuid, host->name, host, NULL, NULL);
}

struct fault *terminate_instance(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result)
{
    const char *uuid = json_text_at(arguments, "instance_uuid");
    if (uuid == NULL)
        return FAULT(cx, 400, "badRequest", "An instance is needed.");
    return terminate_start(cx, owner, uuid);
}
