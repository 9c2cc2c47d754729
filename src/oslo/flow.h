/* SPDX-License-Identifier: Apache-2.0
 *
 * flow: long work as a table of steps with `run` and `undo`, that survives being killed anywhere.
 *
 * A flow's record (type, key, next step, state, caller) is in the database before its first step runs, and is written
 * again, with the state, after each step. When the process comes back, flow_resume() runs the step that was under way
 * again: every step must be safe to run twice. A step that faults is retried when the fault says so, else the steps done
 * so far are undone, last first, and `failed` is told. The record ends with the flow; what it did stays in the trace.
 *
 * A record belongs to one process. Processes of one machine see whether its owner lives. On a database that several
 * machines share, the owner renews its claim every third of FLOW_LEASE_MS; flows without a host whose claim has run out are
 * taken over, by compare-and-swap, by any process that has resumed flows of the type. Who finds that his flow was taken
 * leaves it before the next step and records nothing more. (A process that stood still in the middle of a step for longer
 * than the lease ends that step late: a step is safe to run twice.)
 */
#ifndef OSLO_FLOW_H
#define OSLO_FLOW_H

#include "oslo/context.h"
#include "oslo/sql.h"

struct flow {
    struct context cx;             /* caller and request of who started it; the arena lives for one step */
    const struct flow_type *type;
    const char *id;
    const char *key;               /* what it is about: an instance's UUID */
    const char *host;              /* the host it runs for; "" when any */
    void *owner;                   /* what flow_resume/flow_start were given: the role's state */
    json_t *state;                 /* an object that the steps read and change; saved after each step */
};

struct flow_step {
    const char *name;                             /* shown in the trace: "claim allocation" */
    struct fault *(*run)(struct flow *flow);
    struct fault *(*undo)(struct flow *flow);     /* NULL: nothing to undo. Also called for the step that faulted:
                                                   * it must bear that the step did only a part, or nothing */
    unsigned retries;                             /* more tries for faults that say retry */
};

struct flow_type {
    const char *name;                             /* permanent: it is in the database */
    const char *service;                          /* for the trace: "nova-conductor" */
    const struct flow_step *steps;
    size_t count;
    void (*done)(struct flow *flow);              /* after the last step's record; may be NULL */
    void (*failed)(struct flow *flow, struct fault *fault); /* after the undo of all; must leave no waiting state */
};

/* The table that every database with flows has; services include it in their migrations. */
extern const char flow_migration[], flow_owner_migration[];

enum { FLOW_LEASE_MS = 30000 }; /* NUBO_FLOW_LEASE_MS in the environment is another, for tests */

/* Writes the record and queues the flow. `state` is borrowed and copied. `db` is the app's or the host's own. When a flow of
 * the same type and key is under way already, nothing is started and *ret_started (may be NULL) is false. */
struct fault *flow_start(struct context *cx, struct db *db, const struct flow_type *type, const char *key,
    const char *host, void *owner, const json_t *state, bool *ret_started);

/* A step returns this when it waits for something that somebody will report (a port that gets wired): the flow leaves its
 * thread and the step runs again after flow_wake() or after timeout_ms, whichever comes first. The step itself keeps, in
 * flow->state, since when it waits, and gives up in its own words. */
struct fault *flow_wait(struct flow *flow, int64_t timeout_ms);

/* Runs the waiting flow of this type and key again, soon. A wake that comes before the wait is not lost. */
void flow_wake(const struct flow_type *type, const char *key);

/* Start-up: queues every flow of these types and this host that the database holds and no living process owns. Without a
 * host and on a shared database it also keeps looking for flows whose owner is gone, until flow_release(). *ret_count may
 * be NULL. */
struct fault *flow_resume(struct context *cx, struct db *db, const struct flow_type *const *types, const char *host,
    void *owner, size_t *ret_count);

/* Whether a flow of the type and key is recorded. */
struct fault *flow_exists(struct context *cx, struct db *db, const char *type, const char *key, bool *ret);

/* Ends the look-out; what waits here may be taken over at once. Before the database is closed. */
void flow_release(struct app *app);

/* Waits until no flow of the app runs in a thread; parked and queued ones stay recorded for the next start. */
void flow_stop(struct app *app);

/* For tests: NUBO_FLOW_KILL="type:step:before" (or after) in the environment kills the process by SIGKILL right before
 * the step runs, or right after it ran and before that is recorded; undo-before and undo-after mean its undo.
 * NUBO_FLOW_FAIL="type:step" makes the step fail after it did its work, so that the flow turns back there. */

#endif
