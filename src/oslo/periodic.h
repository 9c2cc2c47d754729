/* SPDX-License-Identifier: Apache-2.0
 *
 * periodic: tasks that run every so often, on a pool of their own. One task never overlaps itself.
 */
#ifndef OSLO_PERIODIC_H
#define OSLO_PERIODIC_H

#include "oslo/context.h"

struct periodic;

/* Runs run(cx, owner) first after `first_ms`, then `every_ms` after each end. A fault is logged, and the task goes on. */
struct periodic *periodic_start(struct app *app, const char *name, int64_t first_ms, int64_t every_ms,
    struct fault *(*run)(struct context *cx, void *owner), void *owner);

/* Runs it soon (an event came); a call during a run makes one more run after it. */
void periodic_wake(struct periodic *periodic);

/* Waits for a run under way and frees it. NULL is allowed. */
void periodic_stop(struct periodic *periodic);

#endif
