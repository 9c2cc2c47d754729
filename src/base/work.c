/* SPDX-License-Identifier: Apache-2.0
 * work: see work.h. */
#include "base/work.h"

#include "base/clock.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    struct entry *next;
    int64_t due_us; /* delayed entries only */
    void (*run)(void *argument);
    void (*drop)(void *argument);
    void *argument;
};

struct work_pool {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct entry *first, **last;
    struct entry *delayed; /* by due time */
    size_t queued, queue_limit;
    unsigned idle, started, limit;
    bool ending;
    pthread_t *threads;
    char name[16];
};

enum { STACK_SIZE = 512 * 1024 };

static pthread_t start_thread(const char *name, void *(*run)(void *), void *argument)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
#if !defined(__SANITIZE_ADDRESS__)
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
#endif
    pthread_t thread;
    if (pthread_create(&thread, &attributes, run, argument) != 0)
        abort();
    pthread_attr_destroy(&attributes);
    char shown[16]; /* what the kernel keeps of a name */
    snprintf(shown, sizeof(shown), "%.15s", name);
    pthread_setname_np(thread, shown);
    return thread;
}

/* Moves what is due to the queue; returns the next due time or 0. */
static int64_t take_due(struct work_pool *pool)
{
    int64_t now = clock_monotonic_us();
    while (pool->delayed != NULL && pool->delayed->due_us <= now) {
        struct entry *e = pool->delayed;
        pool->delayed = e->next;
        e->next = NULL;
        *pool->last = e;
        pool->last = &e->next;
        pool->queued++;
    }
    return pool->delayed == NULL ? 0 : pool->delayed->due_us;
}

static void wait_for_work(struct work_pool *pool, int64_t due_us)
{
    pool->idle++;
    if (due_us == 0)
        pthread_cond_wait(&pool->wake, &pool->lock);
    else
        clock_wait(&pool->wake, &pool->lock, due_us);
    pool->idle--;
}

static void *worker(void *argument)
{
    struct work_pool *pool = argument;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        int64_t due_us = take_due(pool);
        struct entry *e = pool->first;
        if (e == NULL) {
            if (pool->ending)
                break;
            wait_for_work(pool, due_us);
            continue;
        }
        pool->first = e->next;
        if (pool->first == NULL)
            pool->last = &pool->first;
        pool->queued--;
        pthread_mutex_unlock(&pool->lock);
        e->run(e->argument);
        free(e);
        pthread_mutex_lock(&pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

struct work_pool *work_pool_create(const char *name, unsigned threads, size_t queue)
{
    struct work_pool *pool = calloc(1, sizeof(*pool));
    if (pool == NULL || (pool->threads = calloc(threads, sizeof(*pool->threads))) == NULL)
        abort();
    clock_condition_init(&pool->wake);
    pthread_mutex_init(&pool->lock, NULL);
    pool->last = &pool->first;
    pool->limit = threads;
    pool->queue_limit = queue;
    strncpy(pool->name, name, sizeof(pool->name) - 1);
    return pool;
}

/* Outside the lock: a drop may take locks of its own. */
static void drop_all(struct entry *e)
{
    while (e != NULL) {
        struct entry *next = e->next;
        if (e->drop != NULL)
            e->drop(e->argument);
        free(e);
        e = next;
    }
}

void work_pool_destroy(struct work_pool *pool)
{
    if (pool == NULL)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->ending = true;
    struct entry *delayed = pool->delayed;
    pool->delayed = NULL;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    drop_all(delayed);
    for (unsigned i = 0; i < pool->started; i++)
        pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->lock);
    free(pool->threads);
    free(pool);
}

/* Wakes a worker, or starts one while all are busy. Called with the lock held. */
static void call_worker(struct work_pool *pool)
{
    if (pool->idle < pool->queued + (pool->delayed != NULL) && pool->started < pool->limit) {
        pool->threads[pool->started] = start_thread(pool->name, worker, pool);
        pool->started++;
    }
    pthread_cond_signal(&pool->wake);
}

static struct entry *entry_create(void (*run)(void *), void (*drop)(void *), void *argument)
{
    struct entry *e = malloc(sizeof(*e));
    if (e == NULL)
        abort();
    *e = (struct entry){ .run = run, .drop = drop, .argument = argument };
    return e;
}

bool work_submit(struct work_pool *pool, void (*run)(void *argument), void *argument)
{
    pthread_mutex_lock(&pool->lock);
    bool accepted = !pool->ending && pool->queued < pool->queue_limit;
    if (accepted) {
        struct entry *e = entry_create(run, NULL, argument);
        *pool->last = e;
        pool->last = &e->next;
        pool->queued++;
        call_worker(pool);
    }
    pthread_mutex_unlock(&pool->lock);
    return accepted;
}

void work_submit_later(struct work_pool *pool, int64_t delay_ms, void (*run)(void *argument),
    void (*drop)(void *argument), void *argument)
{
    struct entry *e = entry_create(run, drop, argument);
    e->due_us = clock_monotonic_us() + delay_ms * 1000;
    pthread_mutex_lock(&pool->lock);
    if (pool->ending) {
        pthread_mutex_unlock(&pool->lock);
        if (drop != NULL)
            drop(argument);
        free(e);
        return;
    }
    struct entry **at = &pool->delayed;
    while (*at != NULL && (*at)->due_us <= e->due_us)
        at = &(*at)->next;
    e->next = *at;
    *at = e;
    call_worker(pool);
    pthread_mutex_unlock(&pool->lock);
}

void work_cancel(struct work_pool *pool, const void *argument)
{
    struct entry *dropped = NULL;
    pthread_mutex_lock(&pool->lock);
    for (struct entry **at = &pool->delayed; *at != NULL;) {
        struct entry *e = *at;
        if (e->argument != argument) {
            at = &e->next;
            continue;
        }
        *at = e->next;
        e->next = dropped;
        dropped = e;
    }
    pthread_mutex_unlock(&pool->lock);
    drop_all(dropped);
}

bool work_hurry(struct work_pool *pool, const void *argument)
{
    bool found = false;
    pthread_mutex_lock(&pool->lock);
    for (struct entry **at = &pool->delayed; *at != NULL && !found; at = &(*at)->next) {
        if ((*at)->argument != argument)
            continue;
        struct entry *e = *at;
        *at = e->next;
        e->next = NULL;
        *pool->last = e;
        pool->last = &e->next;
        pool->queued++;
        call_worker(pool);
        found = true;
        break;
    }
    pthread_mutex_unlock(&pool->lock);
    return found;
}

struct thread_start {
    void (*run)(void *argument);
    void *argument;
};

static void *thread_main(void *argument)
{
    struct thread_start start = *(struct thread_start *)argument;
    free(argument);
    start.run(start.argument);
    return NULL;
}

uintptr_t work_thread_start(const char *name, void (*run)(void *argument), void *argument)
{
    struct thread_start *start = malloc(sizeof(*start));
    if (start == NULL)
        abort();
    *start = (struct thread_start){ run, argument };
    return (uintptr_t)start_thread(name, thread_main, start);
}

void work_thread_join(uintptr_t thread)
{
    pthread_join((pthread_t)thread, NULL);
}
