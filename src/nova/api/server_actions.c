/* SPDX-License-Identifier: Apache-2.0
 *
 * server_actions: POST /servers/{id}/action. The state machine is one table; every change of state and the action's record are one
 * transaction, after which the compute host is told.
 */
#include "nova/api/server_actions.h"

#include "base/log.h"
#include "nova/action.h"
#include "nova/notify.h"
#include "nova/rpcapi.h"
#include "oslo/messaging.h"
#include "oslo/rest.h"

#include <string.h>
#include <strings.h>

/* Actions that change the power state: from which states (NULL task_states: none may be under way), by which message. */
struct power_action {
    const char *name;               /* in the body */
    const char *policy;
    const char *method;             /* in the words of a refusal */
    const char *const *vm_states;
    const char *const *task_states;
    const char *task;               /* task_state from now on */
    const char *action;
    const char *rpc;
};

#define RULE(name_) "os_compute_api:" name_
static const char *const idle[] = { "", NULL };
static const char *const hard_reboot_tasks[] = { "", TASK_REBOOTING, TASK_REBOOT_PENDING, TASK_REBOOT_STARTED, TASK_RESUMING,
    TASK_REBOOTING_HARD, TASK_UNPAUSING, TASK_PAUSING, TASK_SUSPENDING, NULL };
static const char *const active[] = { VM_ACTIVE, NULL };
static const char *const active_or_error[] = { VM_ACTIVE, VM_ERROR, NULL };
static const char *const stopped[] = { VM_STOPPED, NULL };
static const char *const paused[] = { VM_PAUSED, NULL };
static const char *const suspended[] = { VM_SUSPENDED, NULL };
static const char *const hard_reboot[] = { VM_ACTIVE, VM_STOPPED, VM_PAUSED, VM_SUSPENDED, VM_ERROR, NULL };

static const struct power_action power_actions[] = {
    { "os-start", RULE("servers:start"), "start", stopped, idle, TASK_POWERING_ON, ACTION_START, RPC_START_INSTANCE },
    { "os-stop", RULE("servers:stop"), "stop", active_or_error, idle, TASK_POWERING_OFF, ACTION_STOP, RPC_STOP_INSTANCE },
    { "pause", RULE("os-pause-server:pause"), "pause", active, idle, TASK_PAUSING, ACTION_PAUSE, RPC_PAUSE_INSTANCE },
    { "unpause", RULE("os-pause-server:unpause"), "unpause", paused, idle, TASK_UNPAUSING, ACTION_UNPAUSE, RPC_UNPAUSE_INSTANCE },
    { "suspend", RULE("os-suspend-server:suspend"), "suspend", active, idle, TASK_SUSPENDING, ACTION_SUSPEND, RPC_SUSPEND_INSTANCE },
    { "resume", RULE("os-suspend-server:resume"), "resume", suspended, idle, TASK_RESUMING, ACTION_RESUME, RPC_RESUME_INSTANCE },
};
static const struct power_action soft_reboot_action = { "reboot", RULE("servers:reboot"), "reboot", active, idle, TASK_REBOOTING,
    ACTION_REBOOT, RPC_REBOOT_INSTANCE };
static const struct power_action hard_reboot_action = { "reboot", RULE("servers:reboot"), "reboot", hard_reboot,
    hard_reboot_tasks, TASK_REBOOTING_HARD, ACTION_REBOOT, RPC_REBOOT_INSTANCE };

static bool contains(const char *const *list, const char *text)
{
    for (; *list != NULL; list++)
        if (strcmp(*list, text) == 0)
            return true;
    return false;
}

struct fault *server_wrong_state(struct request *rq, const struct instance *instance, const char *method, const char *attribute,
    const char *state)
{
    return CONFLICT(rq, "Cannot '%s' instance %s while it is in %s %s", method, instance->uuid, attribute, state);
}

struct fault *server_check_lock(struct request *rq, const struct instance *instance)
{
    if (instance->locked_by == NULL || api_is_admin(rq))
        return NULL;
    return CONFLICT(rq, "Instance %s is locked", instance->uuid);
}

static struct fault *check_states(struct request *rq, const struct instance *instance, const struct power_action *action)
{
    const char *task = instance->task_state != NULL ? instance->task_state : "";

    TRY(server_check_lock(rq, instance));
    if (!contains(action->vm_states, instance->vm_state))
        return server_wrong_state(rq, instance, action->method, "vm_state", instance->vm_state);
    if (!contains(action->task_states, task))
        return server_wrong_state(rq, instance, action->method, "task_state", task);
    if (instance->launched_at == 0)
        return CONFLICT(rq, "Cannot '%s' instance %s while it has never been active", action->method, instance->uuid);
    if (instance->host == NULL)
        return CONFLICT(rq, "Instance %s is not ready", instance->uuid);
    return NULL;
}

struct change {
    struct request *rq;
    struct instance instance;
    const struct power_action *power;
};

static struct fault *run_power(struct tx *tx, void *argument)
{
    struct change *change = argument;

    TRY(instance_load(tx, change->instance.uuid, false, &change->instance));
    TRY(check_states(change->rq, &change->instance, change->power));
    TRY(instance_update(tx, change->instance.uuid, CHANGES(CHANGE(TASK_STATE, TEXT(change->power->task))),
        &(struct instance_expect){ .generation = change->instance.generation }));
    return action_start(tx, RQ(change->rq), change->instance.uuid, change->power->action);
}

/* The host was not told: the row says again what it said before, and the action failed. A message that leaves after all
 * finds another task, and comes too late. */
struct untold {
    struct request *rq;
    const struct instance *instance; /* as it was before */
    const char *task;
    const struct fault *why;
};

static struct fault *run_take_back(struct tx *tx, void *argument)
{
    const struct untold *untold = argument;
    const struct instance *before = untold->instance;
    const char *const now[] = { untold->task, NULL };
    struct fault *fault = instance_update(tx, before->uuid, CHANGES(CHANGE(TASK_STATE,
        before->task_state != NULL ? TEXT(before->task_state) : SQL_NULL)), &(struct instance_expect){ .task_states = now });
    if (fault != NULL)
        return fault->status == 404 || fault->status == 409 ? NULL : fault;
    return action_finish(tx, RQ(untold->rq), before->uuid, untold->why);
}

static struct fault *take_back(struct request *rq, const struct instance *before, const char *task, struct fault *why)
{
    if (why == NULL)
        return NULL;
    struct untold untold = { rq, before, task, why };
    struct fault *fault = db_write(rq->cx.arena, rq->cx.app->db, run_take_back, &untold);
    if (fault != NULL) /* the host looks for such rows now and then */
        log_error("nova.api", "instance %s stays in task %s: %s", before->uuid, task, fault_text(rq->cx.arena, fault));
    return why;
}

static struct fault *tell_host(struct request *rq, const struct instance *instance, const char *method, json_t *arguments)
{
    json_t *message = json_keep(rq->cx.arena, arguments != NULL ? arguments : json_object());

    json_object_set_new(message, "instance_uuid", json_string(instance->uuid));
    return rpc_cast(RQ(rq), &(struct rpc_target){ TOPIC_COMPUTE, instance->host, COMPUTE_VERSION }, method, message);
}

static struct fault *power(struct request *rq, const struct power_action *action, json_t *arguments)
{
    struct change change = { .rq = rq, .power = action };

    if (arguments != NULL)
        json_keep(rq->cx.arena, json_incref(arguments));
    TRY(api_server(rq, action->policy, &change.instance));
    TRY(db_write(rq->cx.arena, rq->cx.app->db, run_power, &change));
    const struct instance_before before = notify_before(&rq->cx, &change.instance);
    notify_changed(&rq->cx, &before, "nova-compute");
    return take_back(rq, &change.instance, action->task, tell_host(rq, &change.instance, action->rpc, arguments));
}

static const struct schema reboot_type = { .types = SCHEMA_STRING, .values = SCHEMA_WORDS("HARD", "Hard", "hard", "SOFT", "Soft",
    "soft") };
static const struct schema reboot_schema = { .types = SCHEMA_OBJECT, .closed = true, .required = SCHEMA_WORDS("type"),
    .properties = SCHEMA_PROPERTIES({ "type", &reboot_type }) };
static const struct schema reboot_body = { .types = SCHEMA_OBJECT, .closed = true, .required = SCHEMA_WORDS("reboot"),
    .properties = SCHEMA_PROPERTIES({ "reboot", &reboot_schema }) };

static struct fault *reboot(struct request *rq)
{
    TRY(request_validate(rq, &reboot_body));
    bool hard = strcasecmp(json_text_at(rq->body, "reboot.type"), "hard") == 0;
    return power(rq, hard ? &hard_reboot_action : &soft_reboot_action,
        json_pack("{s:s}", "reboot_type", hard ? "HARD" : "SOFT"));
}

static struct fault *run_deleting(struct tx *tx, void *argument)
{
    struct change *change = argument;

    TRY(instance_load(tx, change->instance.uuid, false, &change->instance));
    TRY(server_check_lock(change->rq, &change->instance));
    TRY(action_start(tx, RQ(change->rq), change->instance.uuid, ACTION_DELETE));
    if (change->instance.host == NULL)
        return instance_destroy(tx, change->instance.uuid);
    return instance_update(tx, change->instance.uuid, CHANGES(CHANGE(TASK_STATE, TEXT(TASK_DELETING)),
        CHANGE(PROGRESS, INT(0))), &(struct instance_expect){ .generation = change->instance.generation });
}

/* Without a compute host that could do it: gives back what other services hold for the server. */
static struct fault *release_resources(struct request *rq, const struct instance *instance)
{
    struct rest_response answer = { .fd = -1 };
    size_t i;
    json_t *port;

    TRY(rest_call(RQ(rq), &(struct rest){ .service = "placement", .method = DELETE, .as = AS_SERVICE, .accept_status = 404,
        .path = arena_printf(rq->cx.arena, "/allocations/%s", instance->uuid), .version = "placement 1.28" }, &answer));
    if (instance->host == NULL && instance->network_info == NULL)
        return NULL;
    TRY(rest_call(RQ(rq), &(struct rest){ .service = "network", .method = GET, .as = AS_SERVICE,
        .path = arena_printf(rq->cx.arena, "/v2.0/ports?device_id=%s", instance->uuid) }, &answer));
    const json_t *ports = json_object_get(answer.body, "ports");
    const json_t *requested = json_parse_own(rq->cx.arena, instance->requested_networks);
    json_array_foreach((json_t *)ports, i, port)
    {
        const char *id = json_text_at(port, "id");
        bool given = false;

        for (size_t k = 0; k < json_array_size(requested); k++) {
            const char *asked = json_text_at(json_array_get(requested, k), "port");
            given = given || (asked != NULL && strcmp(asked, id) == 0);
        }
        json_t *body = NULL;
        if (given)
            body = json_keep(rq->cx.arena, json_pack("{s:{s:s,s:s}}", "port", "device_id", "", "device_owner", ""));
        struct rest_response ignored = { .fd = -1 };
        TRY(rest_call(RQ(rq), &(struct rest){ .service = "network", .method = given ? PUT : DELETE, .as = AS_SERVICE, .body = body,
            .accept_status = 404, .path = arena_printf(rq->cx.arena, "/v2.0/ports/%s", id) }, &ignored));
    }
    return NULL;
}

static struct fault *run_destroy(struct tx *tx, void *argument)
{
    return instance_destroy(tx, argument);
}

static struct fault *host_is_up(struct request *rq, const char *host, bool *ret)
{
    struct service_row *services;
    size_t count;
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    struct fault *fault = service_list(tx, host, "nova-compute", &services, &count);
    tx_end(tx);
    TRY(fault);
    *ret = count > 0 && service_is_up(&services[0], config_int(rq->cx.app->config, "DEFAULT", "service_down_time"));
    return NULL;
}

static struct fault *tell_deleted(struct request *rq, const char *uuid)
{
    struct instance gone;

    if (!notify_wanted(&rq->cx))
        return NULL;
    TRY(instance_get(rq->cx.arena, rq->cx.app->db, uuid, true, &gone));
    notify_instance(&rq->cx, &gone, &(struct instance_event){ .source = "nova-api", .word = "delete", .phase = "end" });
    return NULL;
}

struct fault *server_delete(struct request *rq, const char *rule, const char *method)
{
    struct change change = { .rq = rq };
    bool up = false;

    TRY(api_server(rq, rule, &change.instance));
    if (change.instance.deleted)
        return instance_not_found(rq->cx.arena, change.instance.uuid);
    TRY(db_write(rq->cx.arena, rq->cx.app->db, run_deleting, &change));
    const struct instance *instance = &change.instance;
    const struct instance_before before = notify_before(&rq->cx, instance);
    notify_changed(&rq->cx, &before, "nova-compute");
    if (instance->host != NULL)
        TRY(host_is_up(rq, instance->host, &up));
    if (up)
        return take_back(rq, instance, TASK_DELETING, tell_host(rq, instance, RPC_TERMINATE_INSTANCE, NULL));
    notify_instance(&rq->cx, instance, &(struct instance_event){ .source = "nova-api", .word = "delete", .phase = "start" });
    TRY(release_resources(rq, instance));
    if (instance->host != NULL)
        TRY(db_write(rq->cx.arena, rq->cx.app->db, run_destroy, (void *)instance->uuid));
    return tell_deleted(rq, instance->uuid);
}

static struct fault *force_delete(struct request *rq)
{
    return server_delete(rq, RULE("os-deferred-delete:force"), "forceDelete");
}

static const struct schema reason = { .types = SCHEMA_STRING, .min_length = 1, .max_length = 255 };
static const struct schema reason_schema = { .types = SCHEMA_OBJECT | SCHEMA_NULL, .closed = true,
    .properties = SCHEMA_PROPERTIES({ "locked_reason", &reason }) };
static const struct schema lock_body = { .types = SCHEMA_OBJECT, .closed = true, .required = SCHEMA_WORDS("lock"),
    .properties = SCHEMA_PROPERTIES({ "lock", &reason_schema }) };

struct lock {
    struct request *rq;
    const char *uuid, *by, *reason, *action;
};

static struct fault *run_lock(struct tx *tx, void *argument)
{
    const struct lock *lock = argument;

    TRY(instance_update(tx, lock->uuid,
        CHANGES(CHANGE(LOCKED_BY, TEXT(lock->by)), CHANGE(LOCKED_REASON, TEXT(lock->reason))), NULL));
    TRY(action_start(tx, RQ(lock->rq), lock->uuid, lock->action));
    return action_finish(tx, RQ(lock->rq), lock->uuid, NULL);
}

static struct fault *change_lock(struct request *rq, struct instance *instance, struct lock *change)
{
    const struct instance_before before = notify_before(&rq->cx, instance);

    TRY(db_write(rq->cx.arena, rq->cx.app->db, run_lock, change));
    notify_changed(&rq->cx, &before, "nova-compute");
    instance->locked_by = change->by;
    instance->locked_reason = change->reason;
    const char *word = change->by != NULL ? "lock" : "unlock";
    notify_instance(&rq->cx, instance, &(struct instance_event){ .source = "nova-api", .word = word });
    return NULL;
}

static struct fault *lock(struct request *rq)
{
    struct instance instance;

    if (rq->version >= 73)
        TRY(request_validate(rq, &lock_body));
    TRY(api_server(rq, RULE("os-lock-server:lock"), &instance));
    const char *project = rq->cx.caller->project_id;
    bool owner = project != NULL && strcmp(project, instance.project_id) == 0;
    return change_lock(rq, &instance, &(struct lock){ rq, instance.uuid, owner ? "owner" : "admin",
        json_text_at(rq->body, "lock.locked_reason"), ACTION_LOCK });
}

static struct fault *unlock(struct request *rq)
{
    struct instance instance;

    TRY(api_server(rq, RULE("os-lock-server:unlock"), &instance));
    if (instance.locked_by != NULL && strcmp(instance.locked_by, "owner") != 0)
        TRY(request_enforce(rq, RULE("os-lock-server:unlock:unlock_override"),
            POLICY_TARGET({ "project_id", instance.project_id }, { "user_id", instance.user_id })));
    return change_lock(rq, &instance, &(struct lock){ rq, instance.uuid, NULL, NULL, ACTION_UNLOCK });
}

static const struct schema reset_state = { .types = SCHEMA_STRING, .values = SCHEMA_WORDS("active", "error") };
static const struct schema reset_schema = { .types = SCHEMA_OBJECT, .closed = true, .required = SCHEMA_WORDS("state"),
    .properties = SCHEMA_PROPERTIES({ "state", &reset_state }) };
static const struct schema reset_body = { .types = SCHEMA_OBJECT, .closed = true, .required = SCHEMA_WORDS("os-resetState"),
    .properties = SCHEMA_PROPERTIES({ "os-resetState", &reset_schema }) };

static struct fault *reset(struct request *rq)
{
    struct instance instance;

    TRY(request_enforce(rq, RULE("os-admin-actions:reset_state"), NULL));
    TRY(request_validate(rq, &reset_body));
    TRY(api_server(rq, NULL, &instance));
    const struct instance_before before = notify_before(&rq->cx, &instance);
    TRY(instance_save(rq->cx.arena, rq->cx.app->db, instance.uuid, CHANGES(
        CHANGE(VM_STATE, TEXT(json_text_at(rq->body, "os-resetState.state"))), CHANGE(TASK_STATE, SQL_NULL)), NULL));
    notify_changed(&rq->cx, &before, "nova-compute");
    return NULL;
}

static const struct schema console_length = { .types = SCHEMA_INTEGER | SCHEMA_STRING | SCHEMA_NULL, .pattern = "^-?[0-9]+$",
    .minimum = -1, .maximum = INT64_MAX, .min_length = 1 };
static const struct schema console_schema = SCHEMA_CLOSED({ "length", &console_length });
static const struct schema console_body = { .types = SCHEMA_OBJECT, .closed = true,
    .required = SCHEMA_WORDS("os-getConsoleOutput"), .properties = SCHEMA_PROPERTIES({ "os-getConsoleOutput", &console_schema }) };

static struct fault *console_output(struct request *rq)
{
    struct instance instance;
    json_t *result = NULL;

    TRY(request_validate(rq, &console_body));
    TRY(api_server(rq, RULE("os-console-output"), &instance));
    if (instance.host == NULL)
        return CONFLICT(rq, "Instance %s is not ready", instance.uuid);
    const json_t *length = json_at(rq->body, "os-getConsoleOutput.length");
    json_t *arguments = json_keep(rq->cx.arena, json_pack("{s:s}", "instance_uuid", instance.uuid));
    json_object_set_new(arguments, "tail_length", length == NULL || json_is_null(length) || json_number(length, -1) < 0
        ? json_null() : json_integer(json_number(length, 0)));
    TRY(rpc_call(RQ(rq), &(struct rpc_target){ TOPIC_COMPUTE, instance.host, COMPUTE_VERSION }, RPC_GET_CONSOLE_OUTPUT, arguments,
        0, &result));
    json_begin(&rq->json, NULL);
    json_text(&rq->json, "output", json_string_value(result) != NULL ? json_string_value(result) : "");
    json_end(&rq->json);
    rq->status = 200;
    return NULL;
}

static const struct {
    const char *name;
    struct fault *(*run)(struct request *rq);
} actions[] = {
    { "reboot", reboot }, { "forceDelete", force_delete }, { "lock", lock }, { "unlock", unlock },
    { "os-resetState", reset }, { "os-getConsoleOutput", console_output },
    { "addSecurityGroup", server_add_security_group }, { "removeSecurityGroup", server_remove_security_group },
};

static struct fault *server_action(struct request *rq)
{
    const char *name = json_is_object(rq->body) ? json_object_iter_key(json_object_iter(rq->body)) : NULL;

    if (rq->body == NULL || !json_is_object(rq->body))
        return BAD_REQUEST(rq, "Malformed request body");
    for (size_t i = 0; name != NULL && i < sizeof(power_actions) / sizeof(power_actions[0]); i++)
        if (strcmp(power_actions[i].name, name) == 0)
            return power(rq, &power_actions[i], NULL);
    for (size_t i = 0; name != NULL && i < sizeof(actions) / sizeof(actions[0]); i++)
        if (strcmp(actions[i].name, name) == 0)
            return actions[i].run(rq);
    return BAD_REQUEST(rq, "There is no such action: %s", name != NULL ? name : "None");
}

static const struct route rows[] = {
    ROUTE(POST, "/v2.1/servers/{server_id}/action", "os_compute_api:servers:start", server_action, HANDLER_POLICY, .status = 202,
        .flags = SLOW),
};
const struct route_table nova_server_action_routes = ROUTES(rows);
