/* SPDX-License-Identifier: Apache-2.0
 *
 * power: start, stop, reboot, pause, unpause, suspend, resume: one table, one way.
 *
 * The message is taken from the queue at once and done on the compute pool, since a guest may need a minute to shut
 * down. A message that is lost with the process is found again by the instance's task state (start.c).
 */
#include "base/log.h"
#include "nova/compute/compute.h"

#include <string.h>

enum { NOT_YET_MS = 500 };

struct action {
    const char *method;                /* RPC name */
    const char *event;                 /* of the instance action */
    const char *const *from;           /* task states in which it may begin, NULL-terminated */
    const char *vm_state;              /* afterwards; NULL: as it was */
    struct fault *(*act)(struct context *cx, const struct compute_host *host, const struct instance *instance,
        const struct virt_spawn *spawn, const json_t *arguments);
    bool error_on_fault;               /* the instance becomes ERROR, as nova's wrap */
};

static struct fault *act_start(struct context *cx, const struct compute_host *host, const struct instance *instance,
    const struct virt_spawn *spawn, const json_t *arguments)
{
    return host->compute->driver->power_on(host->virt, cx->arena, spawn);
}

static unsigned shutdown_timeout(struct context *cx, const struct instance *instance)
{
    const char *text = json_text_at(json_parse_own(cx->arena, instance->system_metadata), "image_os_shutdown_timeout");
    return text != NULL ? (unsigned)strtoul(text, NULL, 10) : (unsigned)config_int(cx->app->config, "DEFAULT",
        "shutdown_timeout");
}

static struct fault *act_stop(struct context *cx, const struct compute_host *host, const struct instance *instance,
    const struct virt_spawn *spawn, const json_t *arguments)
{
    bool clean = json_bool_at(arguments, "clean_shutdown", true);
    struct fault *fault = host->compute->driver->power_off(host->virt, cx->arena, instance->uuid,
        clean ? shutdown_timeout(cx, instance) : 0, 0);
    return fault != NULL && fault->status == 404 ? NULL : fault; /* what is not there does not run */
}

static struct fault *act_reboot(struct context *cx, const struct compute_host *host, const struct instance *instance,
    const struct virt_spawn *spawn, const json_t *arguments)
{
    const char *type = json_text_at(arguments, "reboot_type");
    bool hard = type != NULL ? strcmp(type, "HARD") == 0
                             : instance->task_state != NULL && strstr(instance->task_state, "hard") != NULL;
    hard = hard || instance->power_state != VIRT_RUNNING; /* nova: a soft reboot needs a running guest */
    return host->compute->driver->reboot(host->virt, cx->arena, spawn, hard,
        (unsigned)config_int(cx->app->config, "libvirt", "wait_soft_reboot_seconds"));
}

static struct fault *act_pause(struct context *cx, const struct compute_host *host, const struct instance *instance,
    const struct virt_spawn *spawn, const json_t *arguments)
{
    return host->compute->driver->pause(host->virt, cx->arena, instance->uuid);
}

static struct fault *act_unpause(struct context *cx, const struct compute_host *host, const struct instance *instance,
    const struct virt_spawn *spawn, const json_t *arguments)
{
    return host->compute->driver->unpause(host->virt, cx->arena, instance->uuid);
}

static struct fault *act_suspend(struct context *cx, const struct compute_host *host, const struct instance *instance,
    const struct virt_spawn *spawn, const json_t *arguments)
{
    return host->compute->driver->suspend(host->virt, cx->arena, instance->uuid);
}

static struct fault *act_resume(struct context *cx, const struct compute_host *host, const struct instance *instance,
    const struct virt_spawn *spawn, const json_t *arguments)
{
    return host->compute->driver->resume(host->virt, cx->arena, spawn);
}

#define FROM(...) OPTION_WORDS(__VA_ARGS__)
#define REBOOTS   FROM(TASK_REBOOTING, TASK_REBOOT_PENDING, TASK_REBOOT_STARTED, TASK_REBOOTING_HARD, TASK_REBOOT_PENDING_HARD, \
    TASK_REBOOT_STARTED_HARD)
static const struct action actions[] = {
    { RPC_START_INSTANCE,   "compute_start_instance",   FROM(TASK_POWERING_ON),  VM_ACTIVE,    act_start,   false },
    { RPC_STOP_INSTANCE,    "compute_stop_instance",    FROM(TASK_POWERING_OFF), VM_STOPPED,   act_stop,    false },
    { RPC_REBOOT_INSTANCE,  "compute_reboot_instance",  REBOOTS,                 VM_ACTIVE,    act_reboot,  false },
    { RPC_PAUSE_INSTANCE,   "compute_pause_instance",   FROM(TASK_PAUSING),      VM_PAUSED,    act_pause,   false },
    { RPC_UNPAUSE_INSTANCE, "compute_unpause_instance", FROM(TASK_UNPAUSING),    VM_ACTIVE,    act_unpause, false },
    { RPC_SUSPEND_INSTANCE, "compute_suspend_instance", FROM(TASK_SUSPENDING),   VM_SUSPENDED, act_suspend, true },
    { RPC_RESUME_INSTANCE,  "compute_resume_instance",  FROM(TASK_RESUMING),     VM_ACTIVE,    act_resume,  true },
};

static bool in_list(const char *const *list, const char *word)
{
    for (; *list != NULL; list++)
        if (word != NULL && strcmp(*list, word) == 0)
            return true;
    return false;
}

static enum virt_power_state state_now(struct context *cx, const struct compute_host *host, const char *uuid)
{
    struct virt_instance_info info;
    struct fault *fault = host->compute->driver->info(host->virt, cx->arena, uuid, &info);
    return fault == NULL ? info.state : VIRT_NOSTATE;
}

static struct fault *conclude(struct context *cx, struct compute_host *host, const struct action *action,
    const char *uuid,
    const struct fault *why)
{
    json_t *changes = json_pack("{s:n, s:i}", "task_state", "power_state", (int)state_now(cx, host, uuid));
    if (why == NULL && action->vm_state != NULL)
        json_object_set_new(changes, "vm_state", json_string(action->vm_state));
    if (why != NULL && action->error_on_fault)
        json_object_set_new(changes, "vm_state", json_string(VM_ERROR));
    return instance_tell(cx, host, uuid, &(struct instance_note){ .changes = changes, .event_finish = action->event,
        .fault = why, .record_fault = true, .expected = action->from });
}

static struct fault *perform(struct context *cx, struct compute_host *host, const struct action *action,
    const char *uuid,
    const json_t *arguments)
{
    struct instance instance;
    struct virt_spawn spawn;
    struct fault *fault = NULL;
    TRY(instance_fetch(cx, uuid, &instance));
    if (!in_list(action->from, instance.task_state)) {
        log_info("nova.compute", "%s of instance %s comes too late: its task is %s", action->method, uuid,
            instance.task_state != NULL ? instance.task_state : "none");
        return NULL;
    }
    TRY(instance_tell(cx, host, uuid, &(struct instance_note){ .event_start = action->event }));
    if (host->virt == NULL)
        fault = FAULT(cx, 503, "HypervisorUnavailable", "Connection to the hypervisor is broken on host: %s",
            host->name);
    guest_describe(cx, host, &instance, &spawn);
    if (fault == NULL)
        fault = action->act(cx, host, &instance, &spawn, arguments);
    if (fault != NULL)
        log_warning("nova.compute", "%s of instance %s failed: %s", action->method, uuid, fault_text(cx->arena, fault));
    return conclude(cx, host, action, uuid, fault);
}

static void occupy(struct compute_host *host, const char *uuid)
{
    pthread_mutex_lock(&host->lock);
    map_set(&host->busy, uuid, host);
    pthread_mutex_unlock(&host->lock);
}

static void vacate(struct compute_host *host, const char *uuid)
{
    pthread_mutex_lock(&host->lock);
    map_remove(&host->busy, uuid);
    pthread_mutex_unlock(&host->lock);
}

struct job {
    struct context cx;
    struct compute_host *host;
    const struct action *action;
    const char *uuid;
    json_t *arguments;
};

static void drop_job(void *argument)
{
    struct job *job = argument;
    vacate(job->host, job->uuid);
    arena_destroy(job->cx.arena);
}

static void run_job(void *argument)
{
    struct job *job = argument;
    struct arena *arena = job->cx.arena;
    if (!atomic_load(&job->host->compute->begun)) {
        work_submit_later(job->host->compute->pool, NOT_YET_MS, run_job, drop_job, job);
        return;
    }
    const char *before = log_set_context(job->cx.request_id);
    struct fault *fault = perform(&job->cx, job->host, job->action, job->uuid, job->arguments);
    if (fault != NULL && fault->status != 404)
        log_error("nova.compute", "%s of instance %s: %s", job->action->method, job->uuid, fault_text(arena, fault));
    vacate(job->host, job->uuid);
    log_set_context(before);
    arena_destroy(arena);
}

static void release_caller(void *caller)
{
    caller_unref(caller);
}

static struct fault *submit(struct context *cx, struct compute_host *host, const struct action *action,
    const char *uuid,
    const json_t *arguments)
{
    struct arena *arena = arena_create();
    struct job *job = ARENA_NEW(arena, struct job);
    *job = (struct job){ .cx = context_child(cx, arena), .host = host, .action = action, .uuid = arena_strdup(arena,
        uuid),
        .arguments = json_keep(arena, arguments != NULL ? json_deep_copy(arguments) : json_object()) };
    job->cx.request_id = arena_strdup(arena, cx->request_id);
    job->cx.global_id = arena_strdup(arena, cx->global_id);
    job->cx.span = NULL;
    job->cx.deadline_us = 0;
    trace_set_parent(&job->cx, trace_id(cx));
    if (cx->caller != NULL)
        arena_defer(arena, release_caller, caller_ref(cx->caller));
    occupy(host, uuid);
    if (work_submit(host->compute->pool, run_job, job))
        return NULL;
    vacate(host, uuid);
    arena_destroy(arena);
    return FAULT(cx, 503, NULL, "The compute host %s has too much to do.", host->name);
}

static const struct action *find_action(const char *method)
{
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
        if (strcmp(actions[i].method, method) == 0)
            return &actions[i];
    return NULL;
}

struct fault *power_message(struct context *cx, struct compute_host *host, const char *method, const char *uuid,
    const json_t *arguments)
{
    const struct action *action = find_action(method);
    if (uuid == NULL || action == NULL)
        return FAULT(cx, 400, "badRequest", "An instance is needed.");
    return submit(cx, host, action, uuid, arguments);
}

bool power_is_busy(struct compute_host *host, const char *uuid)
{
    pthread_mutex_lock(&host->lock);
    bool busy = map_has(&host->busy, uuid);
    pthread_mutex_unlock(&host->lock);
    return busy;
}

const char *power_method_of(const char *task_state)
{
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
        if (in_list(actions[i].from, task_state))
            return actions[i].method;
    return NULL;
}

#define HANDLER(name, method)                                                                                          \
    static struct fault *name(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result)           \
    {                                                                                                                  \
        return power_message(cx, owner, method, json_text_at(arguments, "instance_uuid"), arguments);                  \
    }
HANDLER(start_instance,   RPC_START_INSTANCE)
HANDLER(stop_instance,    RPC_STOP_INSTANCE)
HANDLER(reboot_instance,  RPC_REBOOT_INSTANCE)
HANDLER(pause_instance,   RPC_PAUSE_INSTANCE)
HANDLER(unpause_instance, RPC_UNPAUSE_INSTANCE)
HANDLER(suspend_instance, RPC_SUSPEND_INSTANCE)
HANDLER(resume_instance,  RPC_RESUME_INSTANCE)

const struct rpc_method compute_methods[] = {
    { RPC_BUILD_AND_RUN_INSTANCE,   "6.0", build_and_run_instance },
    { RPC_TERMINATE_INSTANCE,       "6.0", terminate_instance },
    { RPC_START_INSTANCE,           "6.0", start_instance },
    { RPC_STOP_INSTANCE,            "6.0", stop_instance },
    { RPC_REBOOT_INSTANCE,          "6.0", reboot_instance },
    { RPC_PAUSE_INSTANCE,           "6.0", pause_instance },
    { RPC_UNPAUSE_INSTANCE,         "6.0", unpause_instance },
    { RPC_SUSPEND_INSTANCE,         "6.0", suspend_instance },
    { RPC_RESUME_INSTANCE,          "6.0", resume_instance },
    { RPC_GET_CONSOLE_OUTPUT,       "6.0", get_console_output },
    { RPC_GET_DIAGNOSTICS,          "6.0", get_diagnostics },
    { RPC_GET_INSTANCE_DIAGNOSTICS, "6.0", get_instance_diagnostics },
    { RPC_EXTERNAL_INSTANCE_EVENT,  "6.0", external_instance_event },
    { RPC_ATTACH_INTERFACE,         "6.0", attach_interface },
    { RPC_DETACH_INTERFACE,         "6.0", detach_interface },
    { RPC_CACHE_IMAGES,             "6.0", cache_images_here },
    { RPC_GET_HOST_UPTIME,          "6.0", get_host_uptime },
    { NULL, NULL, NULL },
};
