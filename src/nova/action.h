/* SPDX-License-Identifier: Apache-2.0
 *
 * action: what was done to an instance, by which request, and its steps (os-instance-actions).
 *
 * The API starts an action with the state change; each program that works for it adds events. An action ends (finish_time)
 * when the last of its events does; as nova, it has no finish before 2.58 and its message is "Error" after a failure.
 */
#ifndef NOVA_ACTION_H
#define NOVA_ACTION_H

#include "oslo/context.h"
#include "oslo/sql.h"

struct action {
    int64_t id;
    const char *instance_uuid, *action, *request_id, *user_id, *project_id, *message;
    int64_t start_time, finish_time, updated_at; /* us */
};

struct action_event {
    int64_t id;
    const char *event, *result, *traceback, *details, *host; /* result: "Success", "Error" or NULL while it runs */
    int64_t start_time, finish_time;
};

/* Starts an action of the context's request and caller. */
struct fault *action_start(struct tx *tx, const struct context *cx, const char *instance_uuid, const char *action);

/* Ends the request's action: message "Error" when the fault is not NULL. For actions without events (lock). */
struct fault *action_finish(struct tx *tx, const struct context *cx, const char *instance_uuid,
    const struct fault *fault);

/* Events of the request's action. Without an action nothing is written (as nova logs and goes on). `event` is nova's:
 * "conductor_schedule_and_build_instances" "compute__do_build_and_run_instance" "compute_terminate_instance"
 * "compute_stop_instance". Starting one that is under way is no second one. Finishing also ends the action. */
struct fault *action_event_start(struct tx *tx, const struct context *cx, const char *instance_uuid, const char *event,
    const char *host);
struct fault *action_event_finish(struct tx *tx, const struct context *cx, const char *instance_uuid, const char *event,
    const char *result, const char *details, const char *traceback);

/* How far an event under way is, for whoever waits: its details until it ends. */
struct fault *action_event_progress(struct tx *tx, const struct context *cx, const char *instance_uuid, const char *event,
    const char *details);

/* For the API: actions of an instance, newest first; and the events of one, newest first. In the transaction's arena. */
struct action_query {
    const char *instance_uuid;
    int64_t limit;                          /* 0: no limit */
    const char *marker;                     /* request id of the last one seen, or NULL */
    int64_t changes_since, changes_before;  /* us; 0: none */
};
struct fault *action_list(struct tx *tx, const struct action_query *query, struct action **ret, size_t *ret_count);
/* The one of a request; *ret_found false when there is none. */
struct fault *action_load(struct tx *tx, const char *instance_uuid, const char *request_id, struct action *ret,
    bool *ret_found);
struct fault *action_events(struct tx *tx, int64_t action_id, struct action_event **ret, size_t *ret_count);

#endif
