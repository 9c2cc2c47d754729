/* SPDX-License-Identifier: Apache-2.0
 *
 * instance_actions: what was done to a server, and the events of each action. API reference: Servers actions history.
 */
#include "nova/action.h"
#include "nova/api/api.h"

#include "base/clock.h"
#include "nova/api/server_view.h"
#include "oslo/rest.h"

#include <string.h>

static void write_action(struct request *rq, const struct action *action, bool updated)
{
    struct json_writer *w = &rq->json;

    json_text(w, "action", action->action);
    json_text(w, "instance_uuid", action->instance_uuid);
    json_text(w, "request_id", action->request_id);
    json_text(w, "user_id", action->user_id);
    json_text(w, "project_id", action->project_id);
    json_text(w, "start_time", api_time_us(rq, action->start_time));
    json_text(w, "message", action->message);
    if (updated && rq->version >= 58)
        json_text(w, "updated_at", api_time_us(rq, action->updated_at));
}

static struct fault *query_time(struct request *rq, const char *name, int from, int64_t *ret)
{
    const char *text = rq->version >= from ? request_query(rq, name) : NULL;

    if (text != NULL && !clock_parse(text, ret))
        return BAD_REQUEST(rq, "Invalid input for query parameters %s. Value: %s. '%s' is not a 'date-time'", name, text, text);
    return NULL;
}

/* From 2.21 on, deleted servers' actions can be read by their own project, too. */
static struct fault *load_server(struct request *rq, const char *rule, struct instance *ret)
{
    const char *id = request_argument(rq, "server_id"), *project = rq->cx.caller->project_id;
    bool admin = api_is_admin(rq);

    TRY(instance_get(rq->cx.arena, rq->cx.app->db, id, rq->version >= 21, ret));
    if (!admin && (project == NULL || strcmp(project, ret->project_id) != 0))
        return instance_not_found(rq->cx.arena, id);
    return request_enforce(rq, rule, POLICY_TARGET({ "project_id", ret->project_id }, { "user_id", ret->user_id }));
}

static struct fault *actions_index(struct request *rq)
{
    static const char *const allowed[] = { "limit", "marker", "changes-since", "changes-before", NULL };
    struct instance instance;
    struct action_query query = { 0 };
    struct action *actions;
    size_t count;
    struct tx *tx;

    TRY(load_server(rq, "os_compute_api:os-instance-actions:list", &instance));
    query.instance_uuid = instance.uuid;
    if (rq->version >= 58) {
        TRY(api_query_check(rq, allowed, true));
        TRY(api_paging(rq, &query.limit, &query.marker));
        TRY(query_time(rq, "changes-since", 58, &query.changes_since));
        TRY(query_time(rq, "changes-before", 66, &query.changes_before));
        if (query.changes_before > 0 && query.changes_before < query.changes_since)
            return BAD_REQUEST(rq, "The value of changes-since must be less than or equal to changes-before.");
    }
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    struct fault *fault = action_list(tx, &query, &actions, &count);
    tx_end(tx);
    TRY(fault);
    json_begin(&rq->json, NULL);
    json_begin_array(&rq->json, "instanceActions");
    for (size_t i = 0; i < count; i++) {
        json_begin(&rq->json, NULL);
        write_action(rq, &actions[i], true);
        json_end(&rq->json);
    }
    json_end_array(&rq->json);
    if (rq->version >= 58 && count > 0 && (int64_t)count == query.limit)
        api_next_link(rq, "links", arena_printf(rq->cx.arena, "servers/%s/os-instance-actions", instance.uuid),
            actions[count - 1].request_id);
    json_end(&rq->json);
    return NULL;
}

/* Traces, hosts (2.62) and details (2.84) are for those that the policies name. */
static void write_events(struct request *rq, const struct action *action, const struct action_event *events, size_t count)
{
    struct json_writer *w = &rq->json;
    const struct policy_target *target = POLICY_TARGET({ "project_id", action->project_id });
    bool traces = request_allowed(rq, "os_compute_api:os-instance-actions:events", target);
    bool details = request_allowed(rq, "os_compute_api:os-instance-actions:events:details", target);

    json_begin_array(w, "events");
    for (size_t i = 0; i < count; i++) {
        json_begin(w, NULL);
        json_text(w, "event", events[i].event);
        json_text(w, "start_time", api_time_us(rq, events[i].start_time));
        json_text(w, "finish_time", api_time_us(rq, events[i].finish_time));
        json_text(w, "result", events[i].result);
        if (traces || rq->version < 51)
            json_text(w, "traceback", events[i].traceback);
        if (rq->version >= 62) {
            json_text(w, "hostId", server_view_host_id(rq->cx.arena, action->project_id, events[i].host));
            if (traces)
                json_text(w, "host", events[i].host);
        }
        if (rq->version >= 84 && details)
            json_text(w, "details", events[i].details);
        json_end(w);
    }
    json_end_array(w);
}

static struct fault *actions_show(struct request *rq)
{
    struct instance instance;
    struct action action;
    struct action_event *events = NULL;
    size_t count = 0;
    struct tx *tx;
    bool found;

    TRY(load_server(rq, "os_compute_api:os-instance-actions:show", &instance));
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(action_load(tx, instance.uuid, request_argument(rq, "request_id"), &action, &found));
    if (!found)
        return NOT_FOUND(rq, "Action %s not found", request_argument(rq, "request_id"));
    struct fault *fault = action_events(tx, action.id, &events, &count);
    tx_end(tx);
    TRY(fault);
    json_begin(&rq->json, NULL);
    json_begin(&rq->json, "instanceAction");
    write_action(rq, &action, true);
    if (rq->version >= 51 || request_allowed(rq, "os_compute_api:os-instance-actions:events",
            POLICY_TARGET({ "project_id", instance.project_id })))
        write_events(rq, &action, events, count);
    json_end(&rq->json);
    json_end(&rq->json);
    return NULL;
}

static const struct route rows[] = {
    ROUTE(GET, "/v2.1/servers/{server_id}/os-instance-actions", "os_compute_api:os-instance-actions:list", actions_index,
        HANDLER_POLICY),
    ROUTE(GET, "/v2.1/servers/{server_id}/os-instance-actions/{request_id}", "os_compute_api:os-instance-actions:show",
        actions_show, HANDLER_POLICY),
};
const struct route_table nova_instance_action_routes = ROUTES(rows);
