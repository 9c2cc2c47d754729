/* SPDX-License-Identifier: Apache-2.0
 *
 * start: what an end in the middle left behind on this host (nova: init_host, _init_instance).
 *
 * Flows go on by themselves; here are the instances of which a message was lost, the guests that do not run though they
 * should, and the guests that nobody knows any more.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "nova/compute/compute.h"

#include <dirent.h>
#include <string.h>

static bool is(const char *a, const char *b)
{
    return a != NULL && strcmp(a, b) == 0;
}

/* The guest is gone from memory with a simulated hypervisor's process, or off with its host. */
static struct fault *bring_back(struct context *cx, struct compute_host *host, const struct instance *instance)
{
    const struct virt_driver *driver = host->compute->driver;
    struct virt_instance_info info;
    struct virt_spawn spawn;
    struct fault *fault = driver->info(host->virt, cx->arena, instance->uuid, &info);
    bool off = fault != NULL || info.state == VIRT_SHUTDOWN || info.state == VIRT_CRASHED;
    if (!off)
        return NULL;
    guest_describe(cx, host, instance, &spawn);
    if (host->compute->fake) {
        TRY(driver->prepare(host->virt, cx->arena, &spawn));
        if (is(instance->vm_state, VM_ACTIVE))
            return driver->start(host->virt, cx->arena, instance->uuid);
        return is(instance->vm_state, VM_PAUSED) ? NULL : driver->power_off(host->virt, cx->arena, instance->uuid, 0,
            0);
    }
    if (!is(instance->vm_state, VM_ACTIVE))
        return NULL;
    if (config_bool(cx->app->config, "DEFAULT", "resume_guests_state_on_host_boot")) {
        log_info("nova.compute", "Rebooting instance %s after nova-compute restart.", instance->uuid);
        return driver->power_on(host->virt, cx->arena, &spawn);
    }
    log_warning("nova.compute", "Instance %s does not run any more: it is stopped.", instance->uuid);
    return instance_tell(cx, host, instance->uuid, &(struct instance_note){ .changes = json_pack("{s:s, s:i}",
        "vm_state", VM_STOPPED, "power_state", (int)VIRT_SHUTDOWN), .expected = STATES("") });
}

static struct fault *recover_one(struct context *cx, struct compute_host *host, const struct instance *instance)
{
    bool building, ending;
    const char *uuid = instance->uuid;
    TRY(flow_exists(cx, host->compute->db, nova_build_and_run_flow.name, uuid, &building));
    TRY(flow_exists(cx, host->compute->db, nova_terminate_flow.name, uuid, &ending));
    if (ending)
        return NULL;
    if (is(instance->task_state, TASK_DELETING)) {
        log_info("nova.compute",
            "Service started deleting the instance %s during the previous run, but did not finish.", uuid);
        return terminate_start(cx, host, uuid);
    }
    if (building)
        return NULL;
    if (is(instance->vm_state, VM_BUILDING)) { /* the conductor's message was lost */
        json_t *arguments = json_keep(cx->arena, json_pack("{s:s}", "instance_uuid", uuid));
        return build_start(cx, host, uuid, arguments);
    }
    if (instance->vm_state == NULL || is(instance->vm_state, VM_ERROR))
        return NULL;
    if (instance->task_state == NULL)
        return bring_back(cx, host, instance);
    const char *method = power_method_of(instance->task_state);
    if (host->compute->fake)
        TRY(bring_back(cx, host, instance));
    if (method != NULL) {
        log_info("nova.compute", "Instance %s in transitional state %s at start-up: it is done again.", uuid,
            instance->task_state);
        return power_message(cx, host, method, uuid, NULL);
    }
    log_warning("nova.compute", "Instance %s in transitional state %s at start-up cleared.", uuid,
        instance->task_state);
    return instance_tell(cx, host, uuid, &(struct instance_note){ .changes = json_pack("{s:n}", "task_state") });
}

/* ---- messages that never came, while the process goes on ---- */

static struct fault *remind_one(struct context *cx, struct compute_host *host, const struct instance *instance)
{
    const char *uuid = instance->uuid, *method = power_method_of(instance->task_state);
    bool under_way = power_is_busy(host, uuid);
    if (is(instance->task_state, TASK_DELETING)) {
        TRY(flow_exists(cx, host->compute->db, nova_terminate_flow.name, uuid, &under_way));
        return under_way ? NULL : terminate_start(cx, host, uuid);
    }
    if (is(instance->vm_state, VM_BUILDING)) {
        TRY(flow_exists(cx, host->compute->db, nova_build_and_run_flow.name, uuid, &under_way));
        return under_way ? NULL : build_start(cx, host, uuid, json_keep(cx->arena, json_pack("{s:s}", "instance_uuid", uuid)));
    }
    return method == NULL || under_way ? NULL : power_message(cx, host, method, uuid, NULL);
}

static struct fault *remind_host(struct context *cx, struct compute_host *host)
{
    struct instance *instances;
    size_t count;
    int64_t since_us = clock_now_us() - 2 * config_int(cx->app->config, "DEFAULT", "lost_message_interval") * 1000000;
    TRY(instances_fetch(cx, host, &instances, &count));
    for (size_t i = 0; i < count; i++) {
        struct instance *instance = &instances[i];
        bool waits = instance->task_state != NULL || is(instance->vm_state, VM_BUILDING);
        if (waits && instance->updated_at <= since_us)
            TRY(remind_one(cx, host, instance));
    }
    return NULL;
}

struct fault *hosts_remind(struct context *cx, void *owner)
{
    struct compute *compute = owner;
    for (size_t i = 0; i < compute->host_count; i++) {
        ARENA_CLEANUP struct arena *arena = arena_create();
        struct context child = context_child(cx, arena);
        struct fault *fault = remind_host(&child, &compute->hosts[i]);
        if (fault != NULL)
            return fault_copy(cx->arena, fault);
    }
    return NULL;
}

/* A guest of ours whose row is gone (deleted while this host was away) ends; one that belongs elsewhere is reported. */
static struct fault *check_guests(struct context *cx, struct compute_host *host)
{
    const struct virt_driver *driver = host->compute->driver;
    const struct virt_instance_info *guests;
    size_t count;
    TRY(driver->list(host->virt, cx->arena, &guests, &count));
    for (size_t i = 0; i < count; i++) {
        struct instance instance;
        bool ending;
        struct fault *fault = instance_fetch(cx, guests[i].uuid, &instance);
        if (fault == NULL && (instance.host == NULL || strcmp(instance.host, host->name) != 0))
            log_warning("nova.compute", "guest %s runs here, its instance belongs to %s", guests[i].uuid,
                instance.host != NULL ? instance.host : "no host");
        if (fault == NULL || fault->status != 404)
            continue;
        TRY(flow_exists(cx, host->compute->db, nova_terminate_flow.name, guests[i].uuid, &ending));
        if (ending)
            continue;
        log_warning("nova.compute", "guest %s has no instance any more: it is removed", guests[i].uuid);
        TRY(terminate_start(cx, host, guests[i].uuid));
    }
    return NULL;
}

/* What is left of an instance that was deleted ends by the flow that should have ended it; what is left of one that
 * nova has never had may be somebody else's, and is told. */
static struct fault *sweep(struct context *cx, struct compute_host *host, const char *uuid, const char *what)
{
    struct instance instance;
    bool deleted, ending;
    struct fault *fault = instance_fetch(cx, uuid, &instance);
    if (fault == NULL || fault->status != 404)
        return fault;
    TRY(instance_was_deleted(cx, uuid, &deleted));
    TRY(flow_exists(cx, host->compute->db, nova_terminate_flow.name, uuid, &ending));
    if (!deleted)
        log_warning("nova.compute", "%s of %s belong to no instance of this cloud", what, uuid);
    if (!deleted || ending)
        return NULL;
    log_warning("nova.compute", "%s of instance %s, which was deleted, are removed", what, uuid);
    return terminate_start(cx, host, uuid);
}

static struct fault *check_allocations(struct context *cx, struct compute_host *host)
{
    struct rest_response answer;
    const char *uuid;
    json_t *value;
    TRY(rest_call(cx, &(struct rest){ .service = "placement", .method = GET, .as = AS_SERVICE,
        .version = "placement 1.36",
        .path = arena_printf(cx->arena, "/resource_providers/%s/allocations", host->provider) }, &answer));
    json_object_foreach(json_object_get(answer.body, "allocations"), uuid, value)
        TRY(sweep(cx, host, uuid, "allocations"));
    return NULL;
}

static struct fault *check_files(struct context *cx, struct compute_host *host)
{
    DIR *dir = opendir(virt_instances(cx->arena, cx->app->state_path));
    struct fault *fault = NULL;
    if (dir == NULL)
        return NULL; /* no guest yet */
    for (struct dirent *entry; fault == NULL && (entry = readdir(dir)) != NULL;)
        if (uuid_valid(entry->d_name))
            fault = sweep(cx, host, entry->d_name, "files");
    closedir(dir);
    return fault;
}

struct fault *host_recover(struct context *cx, struct compute_host *host)
{
    struct instance *instances;
    size_t count;
    TRY(instances_fetch(cx, host, &instances, &count));
    for (size_t i = 0; i < count; i++) {
        struct instance *instance = &instances[i];
        struct fault *fault = recover_one(cx, host, instance);
        if (fault != NULL)
            log_error("nova.compute", "instance %s at start-up: %s", instance->uuid, fault_text(cx->arena, fault));
    }
    TRY(check_guests(cx, host));
    if (host->compute->fake) /* thousands of them, without files */
        return NULL;
    TRY(check_files(cx, host));
    return check_allocations(cx, host);
}
