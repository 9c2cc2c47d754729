/* SPDX-License-Identifier: Apache-2.0
 *
 * What becomes of an instance is written with its action's event, and told.
 */
#include "nova/conductor/conductor.h"

#include "base/clock.h"
#include "nova/action.h"
#include "nova/notify.h"

struct report_run {
    struct context *cx;
    const struct instance_report *report;
};

static struct fault *run_report(struct tx *tx, void *argument)
{
    const struct report_run *run = argument;
    const struct instance_report *report = run->report;
    const json_t *start = report->event_start, *progress = report->event_progress, *finish = report->event_finish;
    if (report->count > 0)
        TRY(instance_update(tx, report->uuid, report->changes, report->count, &report->expect));
    if (report->destroy)
        TRY(instance_destroy(tx, report->uuid));
    if (json_is_object(start))
        TRY(action_event_start(tx, run->cx, report->uuid, json_text_at(start, "event"), json_text_at(start, "host")));
    if (json_is_object(progress))
        TRY(action_event_progress(tx, run->cx, report->uuid, json_text_at(progress, "event"), json_text_at(progress, "details")));
    if (json_is_object(finish))
        TRY(action_event_finish(tx, run->cx, report->uuid, json_text_at(finish, "event"), json_text_at(finish,
            "result"), json_text_at(finish, "details"), json_text_at(finish, "traceback")));
    return NULL;
}

struct fault *instance_report(struct context *cx, const struct instance_report *report)
{
    const struct instance_before before = notify_before_read(cx, report->count > 0 ? report->uuid : NULL);
    TRY(db_write(cx->arena, cx->app->db, run_report, &(struct report_run){ cx, report }));
    notify_changed(cx, &before, "nova-compute");
    return NULL;
}

json_t *instance_fault_object(const char *message, const char *details, int64_t code, const char *host)
{
    return json_pack("{s:I, s:s, s:s?, s:I, s:s?}", "code", (json_int_t)code, "message", message, "details", details,
        "created", (json_int_t)clock_now_us(), "host", host);
}

struct fault *instance_fail(struct context *cx, const char *uuid, const struct fault *why)
{
    const char *details = why->detail != NULL ? why->detail : why->message;
    json_t *object = json_keep(cx->arena, instance_fault_object(why->message, details, why->status, cx->app->cloud->host));
    json_t *finish = json_keep(cx->arena, json_pack("{s:s, s:s, s:s, s:s}", "event", EVENT_SCHEDULE, "result",
        "Error", "details", why->message, "traceback", details));
    json_t *start = json_keep(cx->arena, json_pack("{s:s, s:s}", "event", EVENT_SCHEDULE, "host",
        cx->app->cloud->host));
    const struct instance_change changes[] = { CHANGE(VM_STATE, TEXT(VM_ERROR)), CHANGE(TASK_STATE, SQL_NULL),
        CHANGE(HOST, SQL_NULL), CHANGE(NODE, SQL_NULL), CHANGE(FAULT, TEXT(json_dump(cx->arena, object))) };
    struct fault *fault = instance_report(cx, &(struct instance_report){ .uuid = uuid, .changes = changes,
        .count = sizeof(changes) / sizeof(changes[0]), .event_start = start, .event_finish = finish });
    return fault != NULL && fault->status == 404 ? NULL : fault;
}
