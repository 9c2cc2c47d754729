/* SPDX-License-Identifier: Apache-2.0
 *
 * work: the one place where work is handed to threads.
 *
 * A pool is a bounded queue and at most `threads` workers, started as they are needed. Each kind of work (slow API
 * routes, messages, periodic tasks) has its own pool, so that one kind cannot starve another.
 */
#ifndef BASE_WORK_H
#define BASE_WORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct work_pool;

/* `name` (at most 15 characters are shown in top) is kept. `threads` and `queue` are at least 1. */
struct work_pool *work_pool_create(const char *name, unsigned threads, size_t queue);

/* Runs what is queued to its end, joins the workers and frees the pool. NULL is allowed. */
void work_pool_destroy(struct work_pool *pool);

/* Queues run(argument). False when the queue is full or the pool is being destroyed: the caller answers 503. */
bool work_submit(struct work_pool *pool, void (*run)(void *argument), void *argument);

/* As submit, after a delay. A delayed entry does not count against the queue's bound, and is dropped unrun (its
 * argument is passed to drop, when not NULL) if the pool is destroyed first. */
void work_submit_later(struct work_pool *pool, int64_t delay_ms, void (*run)(void *argument),
    void (*drop)(void *argument), void *argument);

/* Drops the delayed entries with this argument, as a pool's end does. */
void work_cancel(struct work_pool *pool, const void *argument);

/* Makes the delayed entry with this argument due now. False when there is none. */
bool work_hurry(struct work_pool *pool, const void *argument);

/* Starts a thread that lives as long as the process part that owns it. Aborts when the system has no threads left. */
uintptr_t work_thread_start(const char *name, void (*run)(void *argument), void *argument);
void work_thread_join(uintptr_t thread);

#endif
