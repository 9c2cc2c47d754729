/* SPDX-License-Identifier: Apache-2.0
 *
 * build: a server comes to life on this host: the flow build_and_run_instance, in the order of the product's promise.
 *
 * The steps before the guest exists only prepare; what they made is undone when a later one fails, and the conductor
 * tries another host. Once the guest runs nothing can fail but the report. An instance that is being deleted meanwhile
 * ends the flow: the deletion waits for it and cleans up.
 */
#include "base/clock.h"
#include "base/log.h"
#include "nova/compute/compute.h"
#include "oslo/trace.h"

#include <string.h>

enum { POLL_MS = 2000, STEP_RETRIES = 3, OTHER_HOST_TRIES = 200, OTHER_HOST_PAUSE_MS = 10 };


static struct fault *fetch(struct flow *flow, struct instance *ret)
{
    struct context *cx = &flow->cx;
    TRY(instance_fetch(cx, flow->key, ret));
    if (ret->task_state != NULL && strcmp(ret->task_state, TASK_DELETING) == 0)
        return FAULT(cx, 409, "UnexpectedDeletingTaskStateError", "Instance %s is being deleted.", flow->key);
    return NULL;
}

static struct fault *tell_task(struct flow *flow, json_t *changes, const char *const *expected)
{
    return instance_tell(&flow->cx, flow->owner, flow->key, &(struct instance_note){ .changes = changes,
        .expected = expected });
}

/* ---- the steps ---- */

static struct fault *claim_run(struct flow *flow)
{
    struct compute_host *host = flow->owner;
    struct instance instance;
    if (!atomic_load(&host->compute->begun))
        return flow_wait(flow, POLL_MS / 4);
    TRY(fetch(flow, &instance));
    if (instance.host == NULL || strcmp(instance.host, host->name) != 0)
        return FAULT(&flow->cx, 409, "InstanceNotHere", "Instance %s belongs to another host.", flow->key);
    if (host->virt == NULL)
        return FAULT(&flow->cx, 503, "HypervisorUnavailable", "Connection to the hypervisor is broken on host: %s",
            host->name);
    return instance_tell(&flow->cx, host, flow->key, &(struct instance_note){ .event_start = EVENT_BUILD,
        .expected_vm = STATES(VM_BUILDING),
        .expected = STATES(TASK_SCHEDULING, "", TASK_NETWORKING, TASK_BLOCK_DEVICE_MAPPING, TASK_SPAWNING),
        .changes = json_pack("{s:s, s:s}", "vm_state", VM_BUILDING, "task_state", TASK_NETWORKING) });
}

static struct fault *image_run(struct flow *flow)
{
    struct instance instance;
    TRY(fetch(flow, &instance));
    return image_ensure(&flow->cx, flow->owner, &instance);
}

static struct fault *network_run(struct flow *flow)
{
    struct compute_host *host = flow->owner;
    struct instance instance;
    json_t *info;
    TRY(fetch(flow, &instance));
    vif_expect(host, flow->key);
    TRY(network_allocate(&flow->cx, host, &instance, &info));
    json_object_set(flow->state, "network_info", info);
    return tell_task(flow, json_pack("{s:O, s:s}", "network_info", info, "task_state", TASK_BLOCK_DEVICE_MAPPING),
        STATES(TASK_NETWORKING, TASK_BLOCK_DEVICE_MAPPING, TASK_SPAWNING));
}

static struct fault *network_undo(struct flow *flow)
{
    struct instance instance;
    struct fault *fault = instance_fetch(&flow->cx, flow->key, &instance);
    if (fault != NULL && fault->status == 404) /* the row is gone; whatever still names it is ours */
        instance = (struct instance){ .uuid = flow->key };
    else if (fault != NULL)
        return fault;
    vif_forget(flow->owner, flow->key);
    return network_release(&flow->cx, &instance);
}

static struct fault *volumes_run(struct flow *flow)
{
    trace_note(&flow->cx, COMPUTE_SERVICE, "cinder: no volumes");
    return NULL;
}

static struct fault *config_drive_run(struct flow *flow)
{
    struct instance instance;
    TRY(fetch(flow, &instance));
    return guest_config_drive(&flow->cx, flow->owner, &instance, json_text_at(flow->state, "admin_password"));
}

static struct fault *prepare_run(struct flow *flow)
{
    struct compute_host *host = flow->owner;
    struct instance instance;
    struct virt_spawn spawn;
    TRY(fetch(flow, &instance));
    guest_describe(&flow->cx, host, &instance, &spawn);
    const char *root = instance.root_device_name != NULL ? instance.root_device_name :
        host->compute->driver->root_device(host->virt, flow->cx.arena, &spawn);
    TRY(tell_task(flow, json_pack("{s:s, s:s?}", "task_state", TASK_SPAWNING, "root_device_name", root),
        STATES(TASK_BLOCK_DEVICE_MAPPING, TASK_SPAWNING)));
    return host->compute->driver->prepare(host->virt, flow->cx.arena, &spawn);
}

static struct fault *prepare_undo(struct flow *flow)
{
    struct compute_host *host = flow->owner;
    if (host->virt == NULL)
        return NULL;
    TRY(host->compute->driver->destroy(host->virt, flow->cx.arena, flow->key));
    return host->compute->driver->cleanup(host->virt, flow->cx.arena, flow->key);
}

/* What the events say, or, when the wait was long or the process is another one now, what neutron says. */
static struct fault *plugged(struct flow *flow, bool ask, enum vif_event *ret)
{
    const json_t *info = json_object_get(flow->state, "network_info");
    size_t waiting = 0;
    bool failed = false;
    *ret = vif_state(flow->owner, flow->key, info);
    if (*ret != VIF_PENDING || !ask)
        return NULL;
    TRY(network_waiting(&flow->cx, flow->key, &waiting, &failed));
    *ret = failed ? VIF_FAILED : waiting > 0 ? VIF_PENDING : VIF_PLUGGED;
    return NULL;
}

/* flow->state "waits_since" is of this process's clock: a restart begins the wait anew. */
static struct fault *wait_run(struct flow *flow)
{
    struct context *cx = &flow->cx;
    const struct config *config = cx->app->config;
    int64_t timeout_ms = config_int(config, "DEFAULT", "vif_plugging_timeout") * 1000;
    int64_t since = json_int_at(flow->state, "waits_since", 0), now = clock_monotonic_us();
    struct instance instance;
    enum vif_event state;
    TRY(plugged(flow, since != 0, &state));
    if (state == VIF_PLUGGED || timeout_ms == 0)
        return NULL;
    if (since != 0)
        TRY(fetch(flow, &instance)); /* it may be deleted while it waits */
    bool late = since != 0 && now - since > timeout_ms * 1000;
    if ((state == VIF_FAILED || late) && config_bool(config, "DEFAULT", "vif_plugging_is_fatal"))
        return fault_detail(cx->arena, FAULT(cx, 500, "VirtualInterfaceCreateException",
            "Virtual Interface creation failed"),
            "%s", state == VIF_FAILED ? "neutron could not wire a port"
            : "neutron did not report all ports wired in time");
    if (state == VIF_FAILED || late)
        return NULL;
    if (since == 0)
        json_object_set_new(flow->state, "waits_since", json_integer(now));
    return flow_wait(flow, POLL_MS);
}

static struct fault *start_run(struct flow *flow)
{
    struct compute_host *host = flow->owner;
    struct virt_instance_info info;
    struct fault *fault = host->compute->driver->info(host->virt, flow->cx.arena, flow->key, &info);
    if (fault != NULL && fault->status == 404) /* simulated guests do not survive the process, nor do guests a reboot */
        TRY(prepare_run(flow));
    return host->compute->driver->start(host->virt, flow->cx.arena, flow->key);
}

static struct fault *report_run(struct flow *flow)
{
    struct compute_host *host = flow->owner;
    struct virt_instance_info info = { .state = VIRT_RUNNING };
    json_t *network_info = json_object_get(flow->state, "network_info");
    TRY(host->compute->driver->info(host->virt, flow->cx.arena, flow->key, &info));
    for (size_t i = 0; i < json_array_size(network_info); i++)
        json_object_set_new(json_array_get(network_info, i), "active", json_true());
    json_t *changes = json_pack("{s:s, s:n, s:i, s:I, s:i, s:O?}", "vm_state", VM_ACTIVE, "task_state", "power_state",
        (int)info.state, "launched_at", (json_int_t)clock_now_us(), "progress", 0, "network_info", network_info);
    TRY(instance_tell(&flow->cx, host, flow->key, &(struct instance_note){ .changes = changes,
        .event_finish = EVENT_BUILD,
        .expected = STATES(TASK_SPAWNING, "") }));
    vif_forget(host, flow->key);
    return NULL;
}

static const struct flow_step steps[] = {
    { "claim instance",               claim_run,        NULL,         STEP_RETRIES },
    { "get image from glance",        image_run,        NULL,         STEP_RETRIES },
    { "allocate network in neutron",  network_run,      network_undo, STEP_RETRIES },
    { "get volumes from cinder",      volumes_run,      NULL,         0 },
    { "make config drive",            config_drive_run, NULL,         0 },
    { "prepare guest",                prepare_run,      prepare_undo, STEP_RETRIES },
    { "wait for network-vif-plugged", wait_run,         NULL,         STEP_RETRIES },
    { "start guest",                  start_run,        NULL,         STEP_RETRIES },
    { "report active",                report_run,       NULL,         STEP_RETRIES },
};

/* ---- after a failure ---- */

/* Faults of the instance itself: another host would say the same (nova's BuildAbortException). */
static bool is_final(const struct fault *fault)
{
    static const char *const codes[] = { "ImageUnacceptable", "ImageNotActive", "FlavorDiskSmallerThanImage",
        "InvalidDiskInfo",
        "NetworkAmbiguous", "SecurityGroupNotFound", "ConfigDriveUnknownFormat", "UnsupportedHardware",
        "VirtualInterfaceCreateException" };
    for (size_t i = 0; fault->code != NULL && i < sizeof(codes) / sizeof(codes[0]); i++)
        if (strcmp(fault->code, codes[i]) == 0)
            return true;
    return fault->status >= 400 && fault->status < 500;
}

static bool is_gone(const struct fault *fault)
{
    static const char *const codes[] = { "UnexpectedDeletingTaskStateError", "UnexpectedTaskStateError",
        "InstanceNotHere",
        "UnknownInstanceUpdateConflict" };
    for (size_t i = 0; fault->code != NULL && i < sizeof(codes) / sizeof(codes[0]); i++)
        if (strcmp(fault->code, codes[i]) == 0)
            return true;
    return false;
}

static struct fault *give_up(struct flow *flow, const struct fault *why)
{
    TRY(allocation_remove(&flow->cx, flow->key));
    return instance_tell(&flow->cx, flow->owner, flow->key, &(struct instance_note){ .event_finish = EVENT_BUILD,
        .fault = why,
        .record_fault = true, .changes = json_pack("{s:s, s:n, s:o}", "vm_state", VM_ERROR, "task_state",
        "network_info", json_array()) });
}

static struct fault *try_elsewhere(struct flow *flow, const struct fault *why)
{
    const struct compute_host *host = flow->owner;
    struct context *cx = &flow->cx;
    TRY(instance_tell(cx, host, flow->key, &(struct instance_note){ .event_finish = EVENT_BUILD, .fault = why,
        .record_fault = true,
        .changes = json_pack("{s:o}", "network_info", json_array()) }));
    json_t *arguments = json_keep(cx->arena, json_pack("{s:s, s:s, s:s, s:O?}", "instance_uuid", flow->key,
        "host", host->name, "reason", why->message, "retry", json_object_get(flow->state, "retry")));
    return rpc_call(cx, &(struct rpc_target){ TOPIC_CONDUCTOR, NULL, CONDUCTOR_VERSION }, RPC_RESCHEDULE, arguments,
        0, NULL);
}

static void build_failed(struct flow *flow, struct fault *why)
{
    struct context *cx = &flow->cx;
    struct instance instance;
    struct fault *fault = instance_fetch(cx, flow->key, &instance);
    if (fault != NULL && fault->status == 404)
        fault = allocation_remove(cx, flow->key);
    else if (is_gone(why)) /* the deletion, or the other host, goes on */
        fault = NULL;
    else if (is_final(why))
        fault = give_up(flow, why);
    else
        fault = try_elsewhere(flow, why);
    log_warning("nova.compute", "build of instance %s failed: %s", flow->key, fault_text(cx->arena, why));
    if (fault != NULL)
        log_error("nova.compute", "instance %s: the failure cannot be reported: %s", flow->key, fault_text(cx->arena,
            fault));
}

const struct flow_type nova_build_and_run_flow = {
    .name = "build_and_run_instance", .service = "nova-compute", .steps = steps,
        .count = sizeof(steps) / sizeof(steps[0]),
    .failed = build_failed,
};

/* The host whose build of the instance is recorded; NULL: none is. */
static struct fault *building_host(struct context *cx, const struct compute *compute, const char *uuid, const char **ret)
{
    struct tx *tx;
    TRY(db_read(cx->arena, compute->db, &tx));
    struct fault *fault = sql_text_of(tx, ret, "SELECT host FROM flows WHERE type = ? AND object_key = ?",
        BIND(TEXT(nova_build_and_run_flow.name), TEXT(uuid)));
    tx_end(tx);
    return fault;
}

/* A build that has failed on another host of this process may still be writing its end. */
struct fault *build_start(struct context *cx, struct compute_host *host, const char *uuid, const json_t *arguments)
{
    for (int tries = 0; tries < OTHER_HOST_TRIES; tries++) {
        bool started;
        const char *other;
        TRY(flow_start(cx, host->compute->db, &nova_build_and_run_flow, uuid, host->name, host, arguments, &started));
        if (started)
            return NULL;
        TRY(building_host(cx, host->compute, uuid, &other));
        if (other != NULL && strcmp(other, host->name) == 0)
            return NULL;
        clock_sleep_ms(OTHER_HOST_PAUSE_MS);
    }
    return FAULT(cx, 409, NULL, "Instance %s is being built on another host.", uuid);
}

struct fault *build_and_run_instance(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result)
{
    const char *uuid = json_text_at(arguments, "instance_uuid");
    if (uuid == NULL)
        return FAULT(cx, 400, "badRequest", "An instance is needed.");
    return build_start(cx, owner, uuid, arguments);
}
