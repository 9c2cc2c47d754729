/* SPDX-License-Identifier: Apache-2.0
 *
 * conductor: the role nova-conductor: its messages. Builds are in build.c.
 */
#include "nova/conductor/conductor.h"

#include "base/clock.h"
#include "nova/action.h"
#include "nova/cells.h"
#include "nova/hosts.h"
#include "nova/notify.h"
#include "oslo/periodic.h"

enum { PARALLEL = 16 };

/* ---- instances ---- */

static struct fault *get_instance(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result)
{
    struct instance instance;
    TRY(instance_get(cx->arena, cx->app->db, json_text_at(arguments, "instance_uuid"),
        json_bool_at(arguments, "deleted", false), &instance));
    *ret_result = instance_to_json(cx->arena, &instance);
    return NULL;
}

static struct fault *get_by_host(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result)
{
    struct instance *instances;
    struct tx *tx;
    size_t count;
    const char *host = json_text_at(arguments, "host");
    if (host == NULL)
        return FAULT(cx, 400, "badRequest", "A host is needed.");
    TRY(db_read(cx->arena, cx->app->db, &tx));
    struct fault *fault = instance_list_host(tx, host, &instances, &count);
    tx_end(tx);
    if (fault != NULL)
        return fault;
    *ret_result = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(*ret_result, instance_to_json(cx->arena, &instances[i]));
    return NULL;
}

static const char *const *states_of(struct arena *arena, const json_t *list)
{
    if (!json_is_array(list))
        return NULL;
    const char **states = ARENA_ARRAY(arena, const char *, json_array_size(list) + 1);
    for (size_t i = 0; i < json_array_size(list); i++)
        states[i] = json_string_value(json_array_get(list, i));
    return states;
}

static struct fault *update(struct context *cx, const json_t *arguments, bool destroy)
{
    struct instance_change *changes;
    struct instance_report report = { .uuid = json_text_at(arguments, "instance_uuid"), .destroy = destroy,
        .event_start = json_object_get(arguments, "event_start"),
        .event_progress = json_object_get(arguments, "event_progress"),
        .event_finish = json_object_get(arguments, "event_finish") };
    if (report.uuid == NULL)
        return FAULT(cx, 400, "badRequest", "An instance is needed.");
    report.expect.task_states = states_of(cx->arena, json_object_get(arguments, "expected_task_states"));
    report.expect.vm_states = states_of(cx->arena, json_object_get(arguments, "expected_vm_states"));
    TRY(instance_changes_from_json(cx->arena, json_object_get(arguments, "changes"), &changes, &report.count));
    report.changes = changes;
    return instance_report(cx, &report);
}

static struct fault *update_instance(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result)
{
    return update(cx, arguments, false);
}

static struct fault *destroy_instance(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result)
{
    return update(cx, arguments, true);
}

static struct fault *create_fault(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result)
{
    const char *message = json_text_at(arguments, "message");
    json_t *object = json_keep(cx->arena, instance_fault_object(message != NULL ? message : "",
        json_text_at(arguments, "details"), json_int_at(arguments, "code", 500), json_text_at(arguments, "host")));
    return instance_save(cx->arena, cx->app->db, json_text_at(arguments, "instance_uuid"),
        CHANGES(CHANGE(FAULT, TEXT(json_dump(cx->arena, object)))), NULL);
}

/* ---- actions ---- */

struct event_run {
    struct context *cx;
    const json_t *arguments;
};

static struct fault *run_event_start(struct tx *tx, void *argument)
{
    const struct event_run *run = argument;
    return action_event_start(tx, run->cx, json_text_at(run->arguments, "instance_uuid"), json_text_at(run->arguments,
        "event"), json_text_at(run->arguments, "host"));
}

static struct fault *run_event_finish(struct tx *tx, void *argument)
{
    const struct event_run *run = argument;
    return action_event_finish(tx, run->cx, json_text_at(run->arguments, "instance_uuid"),
        json_text_at(run->arguments, "event"), json_text_at(run->arguments, "result"), json_text_at(run->arguments,
        "details"), json_text_at(run->arguments, "traceback"));
}

static struct fault *event_start(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result)
{
    return db_write(cx->arena, cx->app->db, run_event_start, &(struct event_run){ cx, arguments });
}

static struct fault *event_finish(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result)
{
    return db_write(cx->arena, cx->app->db, run_event_finish, &(struct event_run){ cx, arguments });
}

/* ---- hosts ---- */

static struct fault *report_services(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result)
{
    const json_t *hosts = json_object_get(arguments, "hosts");
    const char *binary = json_text_at(arguments, "binary"), *topic = json_text_at(arguments, "topic");
    if (binary == NULL || topic == NULL)
        return FAULT(cx, 400, "badRequest", "A report names its program.");
    return service_report_many(cx->arena, cx->app->db, states_of(cx->arena, hosts), json_array_size(hosts), binary,
        topic);
}

static struct fault *update_nodes(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result)
{
    const json_t *list = json_object_get(arguments, "nodes");
    size_t count = json_array_size(list);
    struct compute_node *nodes = ARENA_ARRAY(cx->arena, struct compute_node, count + 1);
    for (size_t i = 0; i < count; i++)
        compute_node_from_json(cx->arena, json_array_get(list, i), &nodes[i]);
    TRY(compute_nodes_save(cx->arena, cx->app->db, nodes, count));
    TRY(cells_map_new(cx, nodes, count));
    *ret_result = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(*ret_result, json_string(nodes[i].uuid));
    return NULL;
}

/* ---- the role ---- */

static const struct rpc_method methods[] = {
    { RPC_BUILD_INSTANCES,     "3.0", build_instances },
    { RPC_RESCHEDULE,          "3.0", reschedule_instance },
    { RPC_CACHE_IMAGES,        "3.0", cache_images },
    { RPC_INSTANCE_GET,        "3.0", get_instance },
    { RPC_INSTANCE_LIST_HOST,  "3.0", get_by_host },
    { RPC_INSTANCE_UPDATE,     "3.0", update_instance },
    { RPC_INSTANCE_DESTROY,    "3.0", destroy_instance },
    { RPC_INSTANCE_FAULT,      "3.0", create_fault },
    { RPC_ACTION_EVENT_START,  "3.0", event_start },
    { RPC_ACTION_EVENT_FINISH, "3.0", event_finish },
    { RPC_SERVICE_REPORT,      "3.0", report_services },
    { RPC_COMPUTE_NODE_UPDATE, "3.0", update_nodes },
    { NULL, NULL, NULL },
};

static struct fault *report(struct context *cx, void *owner)
{
    struct service_row row;
    return service_report(cx->arena, cx->app->db, cx->app->cloud->host, "nova-conductor", TOPIC_CONDUCTOR, &row);
}

static struct periodic *reporting, *reminding;

void nova_conductor_stop(struct app *app)
{
    periodic_stop(reporting);
    periodic_stop(reminding);
    reporting = reminding = NULL;
}

struct fault *nova_conductor_start(struct context *cx)
{
    TRY(rpc_serve(cx, TOPIC_CONDUCTOR, cx->app->cloud->host, methods, NULL, PARALLEL));
    reporting = periodic_start(cx->app, "nova-conductor report", 0,
        config_int(cx->app->config, "DEFAULT", "report_interval") * 1000, report, NULL);
    int64_t remind_ms = config_int(cx->app->config, "DEFAULT", "lost_message_interval") * 1000;
    reminding = periodic_start(cx->app, "builds without a message", remind_ms, remind_ms, build_remind, NULL);
    return NULL;
}

struct fault *nova_conductor_ready(struct context *cx)
{
    return build_resume(cx);
}
