/* SPDX-License-Identifier: Apache-2.0
 *
 * build: from the API's rows to a message in the queue of the chosen compute host.
 *
 * One flow builds all servers of one request, keyed by the first of them: the scheduler is asked once and claims once.
 * It holds the instances until each row names its host; from there on a lost message is found by that host's start-up.
 * A build that failed on its host comes back here, alone, with the list of hosts that were tried.
 */
#include "nova/conductor/conductor.h"
#include "nova/notify_request.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "oslo/rest.h"
#include "oslo/trace.h"

#include <string.h>

enum { PLACEMENT_RETRIES = 3 };

static const char SERVICE[] = "nova-conductor";

static const char *uuid_at(const struct flow *flow, size_t i)
{
    return json_string_value(json_array_get(json_object_get(flow->state, "instance_uuids"), i));
}

static size_t uuid_count(const struct flow *flow)
{
    return json_array_size(json_object_get(flow->state, "instance_uuids"));
}

static struct fault *remove_allocation(struct context *cx, const char *uuid)
{
    struct rest_response answer;
    return rest_call(cx, &(struct rest){ .service = "placement", .method = DELETE, .as = AS_SERVICE,
        .version = "placement 1.36",
        .path = arena_printf(cx->arena, "/allocations/%s", uuid), .accept_status = 404 }, &answer);
}

/* ---- select destinations ---- */

static struct fault *select_run(struct flow *flow)
{
    struct context *cx = &flow->cx;
    const json_t *retry = json_object_get(flow->state, "retry");
    struct instance first;
    json_t *result;
    TRY(instance_get(cx->arena, cx->app->db, uuid_at(flow, 0), false, &first));
    if (retry != NULL) /* what the host that failed was given */
        TRY(remove_allocation(cx, uuid_at(flow, 0)));
    json_t *arguments = json_keep(cx->arena, json_pack("{s:O, s:O, s:s, s:s, s:O?}", "request_spec",
        json_object_get(flow->state, "request_spec"), "instance_uuids", json_object_get(flow->state, "instance_uuids"),
        "project_id", first.project_id, "user_id", first.user_id, "retry", retry));
    TRY(rpc_call(cx, &(struct rpc_target){ TOPIC_SCHEDULER, NULL, SCHEDULER_VERSION }, RPC_SELECT_DESTINATIONS,
        arguments, 0, &result));
    json_object_set(flow->state, "destinations", result);
    return NULL;
}

static struct fault *select_undo(struct flow *flow)
{
    for (size_t i = 0; i < uuid_count(flow); i++)
        TRY(remove_allocation(&flow->cx, uuid_at(flow, i)));
    return NULL;
}

/* ---- assign hosts ---- */

struct assign {
    struct flow *flow;
    bool *gone; /* by instance: deleted meanwhile */
};

static struct fault *run_assign(struct tx *tx, void *argument)
{
    const struct assign *assign = argument;
    const json_t *destinations = json_object_get(assign->flow->state, "destinations");
    for (size_t i = 0; i < json_array_size(destinations); i++) {
        const json_t *to = json_array_get(destinations, i);
        const char *host = json_text_at(to, "host");
        const struct instance_expect expect = { .vm_states = STATES(VM_BUILDING),
            .task_states = STATES(TASK_SCHEDULING, "") };
        struct fault *fault = instance_update(tx, json_text_at(to, "instance_uuid"), CHANGES(CHANGE(HOST, TEXT(host)),
            CHANGE(NODE, TEXT(json_text_at(to, "node"))), CHANGE(LAUNCHED_ON, TEXT(host)),
            CHANGE(AVAILABILITY_ZONE, TEXT(json_text_at(to, "availability_zone")))), &expect);
        assign->gone[i] = fault != NULL && !fault->retry && (fault->status == 404 || fault->status == 409);
        if (fault != NULL && !assign->gone[i])
            return fault;
    }
    return NULL;
}

static struct fault *assign_run(struct flow *flow)
{
    struct context *cx = &flow->cx;
    json_t *destinations = json_object_get(flow->state, "destinations");
    size_t count = json_array_size(destinations);
    struct assign assign = { flow, ARENA_ARRAY(cx->arena, bool, count + 1) };
    struct instance_before *before = ARENA_ARRAY(cx->arena, struct instance_before, count + 1);
    for (size_t i = 0; i < count; i++)
        before[i] = notify_before_read(cx, json_text_at(json_array_get(destinations, i), "instance_uuid"));
    TRY(db_write(cx->arena, cx->app->db, run_assign, &assign));
    for (size_t i = 0; i < count; i++)
        if (!assign.gone[i])
            notify_changed(cx, &before[i], "nova-compute");
    for (size_t i = count; i-- > 0;) {
        if (!assign.gone[i])
            continue;
        const char *uuid = json_text_at(json_array_get(destinations, i), "instance_uuid");
        log_info("nova.conductor", "instance %s was deleted while it was scheduled", uuid);
        TRY(remove_allocation(cx, uuid));
        json_array_remove(destinations, i);
    }
    return NULL;
}

/* ---- cast ---- */

static struct fault *cast_run(struct flow *flow)
{
    struct context *cx = &flow->cx;
    const json_t *destinations = json_object_get(flow->state, "destinations");
    for (size_t i = 0; i < json_array_size(destinations); i++) {
        const json_t *to = json_array_get(destinations, i);
        json_t *arguments = json_keep(cx->arena, json_pack("{s:O, s:O?, s:O?}", "instance_uuid", json_object_get(to,
            "instance_uuid"),
            "admin_password", json_object_get(flow->state, "admin_password"), "retry", json_object_get(flow->state,
            "retry")));
        struct fault *fault = rpc_cast(cx, &(struct rpc_target){ TOPIC_COMPUTE, json_text_at(to, "host"),
            COMPUTE_VERSION }, RPC_BUILD_AND_RUN_INSTANCE, arguments);
        if (fault != NULL) /* its host has the row, and builds when it is back */
            log_warning("nova.conductor", "%s is not told of instance %s: %s", json_text_at(to, "host"),
                json_text_at(to, "instance_uuid"), fault_text(cx->arena, fault));
    }
    return NULL;
}

/* No host is left after others have failed: what they said is the reason. */
static struct fault *with_reason(struct flow *flow, struct fault *fault)
{
    struct context *cx = &flow->cx;
    const char *reason = json_text_at(flow->state, "retry.exc_reason");
    if (reason == NULL || fault->code == NULL || strcmp(fault->code, "NoValidHost") != 0)
        return fault;
    struct fault *found = FAULT(cx, 500, "MaxRetriesExceeded", "Exceeded maximum number of retries. Exhausted all hosts"
        " available for retrying build failures for instance %s. Last exception: %s", flow->key, reason);
    return fault_detail(cx->arena, found, "%s\n%s", reason, fault->detail != NULL ? fault->detail : fault->message);
}

static void build_failed(struct flow *flow, struct fault *fault)
{
    fault = with_reason(flow, fault);
    for (size_t i = 0; i < uuid_count(flow); i++) {
        struct fault *also = instance_fail(&flow->cx, uuid_at(flow, i), fault);
        if (also != NULL)
            log_error("nova.conductor", "instance %s cannot be set to ERROR: %s", uuid_at(flow, i),
                fault_text(flow->cx.arena, also));
        notify_build_error(&flow->cx, &(struct notify_request){ uuid_at(flow, i), (int64_t)uuid_count(flow),
            json_object_get(flow->state, "request_spec"), json_object_get(flow->state, "retry") }, fault);
    }
    log_warning("nova.conductor", "build of %zu instances, first %s, failed: %s", uuid_count(flow), flow->key,
        fault_text(flow->cx.arena, fault));
}

static const struct flow_step steps[] = {
    { "select destinations", select_run, select_undo, PLACEMENT_RETRIES },
    { "assign hosts",        assign_run, NULL,        0 },
    { "cast to compute",     cast_run,   NULL,        0 },
};
const struct flow_type nova_build_instances_flow = {
    .name = "build_instance", .service = "nova-conductor", .steps = steps, .count = sizeof(steps) / sizeof(steps[0]),
    .failed = build_failed,
};

/* ---- messages ---- */

/* Which of the instances still wait to be scheduled: a message that comes twice, or late, finds the others under way. */
static struct fault *still_waiting(struct context *cx, const json_t *uuids, json_t *ret)
{
    for (size_t i = 0; i < json_array_size(uuids); i++) {
        struct instance instance;
        const char *uuid = json_string_value(json_array_get(uuids, i));
        struct fault *fault = uuid != NULL ? instance_get(cx->arena, cx->app->db, uuid, false, &instance) : NULL;
        if (fault != NULL && fault->status != 404)
            return fault;
        if (uuid != NULL && fault == NULL && instance.host == NULL && strcmp(instance.vm_state, VM_BUILDING) == 0)
            json_array_append(ret, json_array_get(uuids, i));
    }
    return NULL;
}

struct fault *build_instances(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result)
{
    const json_t *uuids = json_object_get(arguments, "instance_uuids");
    if (json_array_size(uuids) == 0 || !json_is_object(json_object_get(arguments, "request_spec")))
        return FAULT(cx, 400, "badRequest", "A build needs instances and a request spec.");
    json_t *waiting = json_keep(cx->arena, json_array());
    TRY(still_waiting(cx, uuids, waiting));
    const char *first = json_string_value(json_array_get(waiting, 0));
    if (first == NULL) {
        log_info("nova.conductor", "a build of %zu instances comes too late", json_array_size(uuids));
        return NULL;
    }
    json_t *state = json_keep(cx->arena, json_copy((json_t *)arguments));
    json_object_set(state, "instance_uuids", waiting);
    return flow_start(cx, cx->app->db, &nova_build_instances_flow, first, NULL, NULL, state, NULL);
}

/* The request spec of a row, with its flavor, as the API had sent it. */
static json_t *spec_of(struct context *cx, const struct instance *instance)
{
    json_t *spec = json_parse_own(cx->arena, instance->request_spec);
    spec = spec != NULL ? json_copy(spec) : json_object();
    json_t *flavor = json_parse_own(cx->arena, instance->flavor);
    json_object_set(spec, "flavor", flavor != NULL ? flavor : json_keep(cx->arena, json_object()));
    return spec;
}

static struct fault *build_again(struct context *cx, const struct instance *instance, const json_t *retry)
{
    json_t *state = json_keep(cx->arena, json_pack("{s:[s], s:o, s:O?}", "instance_uuids", instance->uuid,
        "request_spec", spec_of(cx, instance), "retry", retry));
    return flow_start(cx, cx->app->db, &nova_build_instances_flow, instance->uuid, NULL, NULL, state, NULL);
}

static struct fault *exhausted(struct context *cx, const struct instance *instance, int64_t most, const char *reason,
    const json_t *retry)
{
    struct fault *fault = FAULT(cx, 500, "MaxRetriesExceeded",
        "Exceeded maximum number of retries. Exceeded max scheduling attempts "
        "%lld for instance %s. Last exception: %s", (long long)most, instance->uuid, reason);
    TRY(remove_allocation(cx, instance->uuid));
    TRY(instance_fail(cx, instance->uuid, fault));
    json_t *spec = json_keep(cx->arena, spec_of(cx, instance));
    notify_build_error(cx, &(struct notify_request){ instance->uuid, 1, spec, retry }, fault);
    return NULL;
}

struct fault *reschedule_instance(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result)
{
    const char *uuid = json_text_at(arguments, "instance_uuid"), *host = json_text_at(arguments, "host");
    const char *reason = json_text_at(arguments, "reason");
    int64_t most = config_int(cx->app->config, "scheduler", "max_attempts");
    int64_t attempts = json_int_at(arguments, "retry.num_attempts", 1);
    struct instance instance;
    TRY(instance_get(cx->arena, cx->app->db, uuid, false, &instance));
    if (attempts >= most)
        return exhausted(cx, &instance, most, reason != NULL ? reason : "None", json_object_get(arguments, "retry"));
    json_t *hosts = json_at(arguments, "retry.hosts");
    hosts = json_is_array(hosts) ? json_copy(hosts) : json_array();
    json_array_append_new(hosts, json_string(host));
    json_t *retry = json_keep(cx->arena, json_pack("{s:I, s:o, s:s?}", "num_attempts", (json_int_t)(attempts + 1),
        "hosts", hosts, "exc_reason", reason));
    const struct instance_expect expect = { .vm_states = STATES(VM_BUILDING) };
    const struct instance_before before = notify_before(cx, &instance);
    TRY(instance_save(cx->arena, cx->app->db, uuid, CHANGES(CHANGE(HOST, SQL_NULL), CHANGE(NODE, SQL_NULL),
        CHANGE(TASK_STATE, TEXT(TASK_SCHEDULING))), &expect));
    notify_changed(cx, &before, "nova-compute");
    trace_note(cx, SERVICE, "attempt %lld of %lld", (long long)attempts + 1, (long long)most);
    return build_again(cx, &instance, retry);
}

/* ---- start-up ---- */

/* The instances that recorded flows hold. */
static struct fault *held_by_flows(struct context *cx, struct map *held)
{
    struct tx *tx;
    struct rows *rows;
    TRY(db_read(cx->arena, cx->app->db, &tx));
    TRY(sql_query(tx, &rows, "SELECT state FROM flows WHERE type = ?", BIND(TEXT(nova_build_instances_flow.name))));
    while (rows_next(rows)) {
        const json_t *uuids = json_object_get(json_parse_own(cx->arena, rows_text(rows, 0)), "instance_uuids");
        for (size_t i = 0; i < json_array_size(uuids); i++)
            map_set(held, json_string_value(json_array_get(uuids, i)), held);
    }
    struct fault *fault = rows_fault(rows);
    tx_end(tx);
    return fault;
}

static struct fault *unscheduled(struct context *cx, struct instance **ret, size_t *ret_count)
{
    struct tx *tx;
    struct rows *rows;
    struct instance *list = NULL;
    size_t count = 0, capacity = 0;
    TRY(db_read(cx->arena, cx->app->db, &tx));
    TRY(sql_query(tx, &rows, arena_printf(cx->arena,
        "%s WHERE i.deleted = 0 AND i.host IS NULL AND i.vm_state = '" VM_BUILDING
        "' AND i.task_state = '" TASK_SCHEDULING "'", instance_select()), NO_BIND));
    while (rows_next(rows)) {
        if (count == capacity) {
            struct instance *more = ARENA_ARRAY(cx->arena, struct instance, capacity * 2 + 16);
            if (count > 0)
                memcpy(more, list, count * sizeof(*list));
            list = more;
            capacity = capacity * 2 + 16;
        }
        instance_read(cx->arena, rows, &list[count++]);
    }
    struct fault *fault = rows_fault(rows);
    tx_end(tx);
    *ret = list;
    *ret_count = count;
    return fault;
}

/* Builds that wait to be scheduled since before `since_us` and that no flow holds begin (again). */
static struct fault *build_lost(struct context *cx, int64_t since_us, size_t *ret_begun)
{
    struct instance *lost;
    struct map held = { 0 };
    size_t count;
    *ret_begun = 0;
    TRY(unscheduled(cx, &lost, &count));
    struct fault *fault = count > 0 ? held_by_flows(cx, &held) : NULL;
    for (size_t i = 0; i < count && fault == NULL; i++)
        if (!map_has(&held, lost[i].uuid) && lost[i].updated_at <= since_us) {
            fault = build_again(cx, &lost[i], NULL);
            ++*ret_begun;
        }
    map_release(&held);
    return fault;
}

/* A message that lies with the broker still comes: what looks lost is left alone for a while. In memory nothing comes. */
struct fault *build_resume(struct context *cx)
{
    const struct flow_type *const types[] = { &nova_build_instances_flow, NULL };
    size_t count = 0, begun = 0;
    if (messaging_is_local(cx->app))
        TRY(build_lost(cx, INT64_MAX, &begun));
    TRY(flow_resume(cx, cx->app->db, types, NULL, NULL, &count));
    if (count > 0 || begun > 0)
        log_info("nova.conductor", "%zu builds go on, %zu begin again", count, begun);
    return NULL;
}

struct fault *build_remind(struct context *cx, void *owner)
{
    size_t begun = 0;
    int64_t wait_us = 2 * config_int(cx->app->config, "DEFAULT", "lost_message_interval") * 1000000;
    TRY(build_lost(cx, clock_now_us() - wait_us, &begun));
    if (begun > 0)
        log_warning("nova.conductor", "%zu builds of which no message came begin", begun);
    return NULL;
}
