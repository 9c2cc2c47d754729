/* SPDX-License-Identifier: Apache-2.0
 * periodic: see periodic.h. A run queues the next one when it ends, so that a task never overlaps itself. */
#include "oslo/periodic.h"

#include "base/log.h"
#include "base/work.h"
#include "oslo/app.h"

#include <pthread.h>
#include <stdlib.h>

struct periodic {
    struct app *app;
    const char *name;
    int64_t every_ms;
    struct fault *(*run)(struct context *cx, void *owner);
    void *owner;
    pthread_mutex_t lock;
    pthread_cond_t idle;
    bool running, wanted, stopping;
    unsigned queued; /* entries of ours in the pool */
};

static void queue(struct periodic *p, int64_t delay_ms);

static void run_once(struct periodic *p)
{
    struct arena *arena = arena_create();
    struct context cx = context_service(arena, p->app);
    const char *before = log_set_context(cx.request_id);
    struct fault *fault = p->run(&cx, p->owner);
    if (fault != NULL)
        log_warning(p->app->service->name, "periodic task %s: %s", p->name, fault_text(arena, fault));
    log_set_context(before);
    arena_destroy(arena);
}

static void tick(void *argument)
{
    struct periodic *p = argument;
    pthread_mutex_lock(&p->lock);
    p->queued--;
    if (p->running || p->stopping) {
        p->wanted |= p->running;
        pthread_cond_broadcast(&p->idle);
        pthread_mutex_unlock(&p->lock);
        return;
    }
    p->running = true;
    do {
        p->wanted = false;
        pthread_mutex_unlock(&p->lock);
        run_once(p);
        pthread_mutex_lock(&p->lock);
    } while (p->wanted && !p->stopping);
    p->running = false;
    if (!p->stopping && p->queued == 0)
        queue(p, p->every_ms);
    pthread_cond_broadcast(&p->idle);
    pthread_mutex_unlock(&p->lock);
}

static void dropped(void *argument)
{
    struct periodic *p = argument;
    pthread_mutex_lock(&p->lock);
    p->queued--;
    pthread_cond_broadcast(&p->idle);
    pthread_mutex_unlock(&p->lock);
}

/* Called with the lock held. */
static void queue(struct periodic *p, int64_t delay_ms)
{
    p->queued++;
    work_submit_later(p->app->cloud->periodic, delay_ms, tick, dropped, p);
}

struct periodic *periodic_start(struct app *app, const char *name, int64_t first_ms, int64_t every_ms,
    struct fault *(*run)(struct context *cx, void *owner), void *owner)
{
    struct periodic *p = calloc(1, sizeof(*p));
    if (p == NULL)
        abort();
    *p = (struct periodic){ .app = app, .name = name, .every_ms = every_ms, .run = run, .owner = owner };
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->idle, NULL);
    pthread_mutex_lock(&p->lock);
    queue(p, first_ms);
    pthread_mutex_unlock(&p->lock);
    return p;
}

void periodic_wake(struct periodic *p)
{
    pthread_mutex_lock(&p->lock);
    if (p->running)
        p->wanted = true;
    else if (!p->stopping)
        queue(p, 0);
    pthread_mutex_unlock(&p->lock);
}

/* Delayed entries stay in the pool until they are due: work_cancel() takes ours out at once. */
void periodic_stop(struct periodic *p)
{
    if (p == NULL)
        return;
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    pthread_mutex_unlock(&p->lock);
    work_cancel(p->app->cloud->periodic, p);
    pthread_mutex_lock(&p->lock);
    while (p->running || p->queued > 0)
        pthread_cond_wait(&p->idle, &p->lock);
    pthread_mutex_unlock(&p->lock);
    pthread_cond_destroy(&p->idle);
    pthread_mutex_destroy(&p->lock);
    free(p);
}
