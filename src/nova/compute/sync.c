/* SPDX-License-Identifier: Apache-2.0
 *
 * sync: the power states of guests and of rows are made to agree (nova: _sync_instance_power_state).
 *
 * The hypervisor's events are hints: shortly after one, the guest is looked at. Whatever has a task is left to it.
 */
#include "base/log.h"
#include "nova/compute/compute.h"

#include <stdlib.h>
#include <string.h>

enum { SETTLE_MS = 500 };

struct look {
    struct compute_host *host;
    char uuid[40];
};

static bool runs(enum virt_power_state state)
{
    return state == VIRT_RUNNING || state == VIRT_PAUSED;
}

/* The vm_state that follows from what the guest is, or NULL when the row's may stay. */
static const char *corrected(const struct instance *instance, enum virt_power_state state)
{
    if (strcmp(instance->vm_state, VM_ACTIVE) == 0 && (state == VIRT_SHUTDOWN || state == VIRT_CRASHED ||
        state == VIRT_NOSTATE))
        return VM_STOPPED;
    if (strcmp(instance->vm_state, VM_PAUSED) == 0 && (state == VIRT_SHUTDOWN || state == VIRT_CRASHED))
        return VM_STOPPED;
    return NULL;
}

static struct fault *sync_one(struct context *cx, struct compute_host *host, const struct instance *instance)
{
    struct virt_instance_info info = { .state = VIRT_NOSTATE };
    if (instance->task_state != NULL || strcmp(instance->vm_state, VM_BUILDING) == 0 || host->virt == NULL ||
        instance->host == NULL || strcmp(instance->host, host->name) != 0)
        return NULL;
    struct fault *fault = host->compute->driver->info(host->virt, cx->arena, instance->uuid, &info);
    if (fault != NULL && fault->status != 404)
        return fault;
    if (strcmp(instance->vm_state, VM_STOPPED) == 0 && fault == NULL && runs(info.state)) {
        log_warning("nova.compute", "Instance %s is not stopped: it runs. It is stopped again.", instance->uuid);
        return host->compute->driver->power_off(host->virt, cx->arena, instance->uuid, 0, 0);
    }
    const char *vm_state = corrected(instance, info.state);
    if (vm_state == NULL && (int64_t)info.state == instance->power_state)
        return NULL;
    json_t *changes = json_pack("{s:i}", "power_state", (int)info.state);
    if (vm_state != NULL) {
        json_object_set_new(changes, "vm_state", json_string(vm_state));
        log_warning("nova.compute", "Instance %s shutdown by itself: power state %s, row %s.", instance->uuid,
            virt_power_state_name(info.state), instance->vm_state);
    }
    return instance_tell(cx, host, instance->uuid, &(struct instance_note){ .changes = changes,
        .expected = STATES("") });
}

static void settle(void *argument)
{
    struct look *look = argument;
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct context cx = context_service(arena, look->host->compute->app);
    struct instance instance;
    struct fault *fault = instance_fetch(&cx, look->uuid, &instance);
    if (fault == NULL)
        fault = sync_one(&cx, look->host, &instance);
    if (fault != NULL && fault->status != 404 && fault->status != 409)
        log_warning("nova.compute", "instance %s: %s", look->uuid, fault_text(arena, fault));
    free(look);
}

void guest_event(void *argument, enum virt_event event, const char *uuid)
{
    struct compute_host *host = argument;
    if (uuid == NULL || (event != VIRT_EVENT_STOPPED && event != VIRT_EVENT_PAUSED && event != VIRT_EVENT_RESUMED))
        return;
    struct look *look = calloc(1, sizeof(*look));
    if (look == NULL)
        abort();
    look->host = host;
    snprintf(look->uuid, sizeof(look->uuid), "%s", uuid);
    work_submit_later(host->compute->pool, SETTLE_MS, settle, free, look);
}

static struct fault *sync_host(struct context *cx, struct compute_host *host)
{
    struct instance *instances;
    size_t count;
    TRY(instances_fetch(cx, host, &instances, &count));
    for (size_t i = 0; i < count; i++) {
        struct instance *instance = &instances[i];
        struct fault *fault = sync_one(cx, host, instance);
        if (fault != NULL && fault->status != 404 && fault->status != 409)
            log_warning("nova.compute", "instance %s: %s", instance->uuid, fault_text(cx->arena, fault));
    }
    return NULL;
}

struct fault *sync_power_states(struct context *cx, void *owner)
{
    struct compute *compute = owner;
    for (size_t i = 0; i < compute->host_count; i++) {
        ARENA_CLEANUP struct arena *arena = arena_create();
        struct context child = context_child(cx, arena);
        struct fault *fault = sync_host(&child, &compute->hosts[i]);
        if (fault != NULL)
            return fault_copy(cx->arena, fault);
    }
    return NULL;
}
