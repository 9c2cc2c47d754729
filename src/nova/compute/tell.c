/* SPDX-License-Identifier: Apache-2.0
 *
 * tell: what a compute host says of an instance: to the conductor, which writes it down, and to whoever listens.
 */
#include "nova/compute/compute.h"

#include "base/clock.h"

static json_t *texts(const char *const *list)
{
    json_t *array = json_array();
    for (; *list != NULL; list++)
        json_array_append_new(array, json_string(*list));
    return array;
}

struct fault *instance_tell(struct context *cx, const struct compute_host *host, const char *uuid,
    const struct instance_note *note)
{
    json_t *changes = note->changes != NULL ? note->changes : json_object();
    json_t *arguments = json_keep(cx->arena, json_pack("{s:s, s:o}", "instance_uuid", uuid, "changes", changes));
    const struct fault *fault = note->fault;
    const char *details = fault == NULL ? NULL : fault->detail != NULL ? fault->detail : fault->message;
    if (note->expected != NULL)
        json_object_set_new(arguments, "expected_task_states", texts(note->expected));
    if (note->expected_vm != NULL)
        json_object_set_new(arguments, "expected_vm_states", texts(note->expected_vm));
    if (note->event_start != NULL)
        json_object_set_new(arguments, "event_start", json_pack("{s:s, s:s}", "event", note->event_start, "host",
            host->name));
    if (note->event_progress != NULL)
        json_object_set_new(arguments, "event_progress", json_pack("{s:s, s:s}", "event", note->event_progress, "details",
            note->progress));
    if (note->event_finish != NULL)
        json_object_set_new(arguments, "event_finish", json_pack("{s:s, s:s, s:s?, s:s?}",
            "event", note->event_finish, "result", fault == NULL ? "Success" : "Error",
            "details", fault != NULL ? fault->message : NULL, "traceback", details));
    if (note->record_fault && fault != NULL)
        json_object_set_new(changes, "fault", json_pack("{s:i, s:s, s:s, s:I, s:s}", "code", fault->status, "message",
            fault->message, "details", details, "created", (json_int_t)clock_now_us(), "host", host->name));
    TRY(conductor_call(cx, note->destroy ? RPC_INSTANCE_DESTROY : RPC_INSTANCE_UPDATE, arguments, NULL));
    instance_notify(cx, host, uuid, note->event_start, true, NULL);
    instance_notify(cx, host, uuid, note->event_finish, false, fault);
    return NULL;
}
