/* SPDX-License-Identifier: Apache-2.0
 * messaging: the in-memory transport: one queue a server, handlers on the cloud's message pool. See messaging.h.
 *
 * A call runs its handler in the caller's thread: workers that wait for each other could otherwise fill the pool. What
 * crosses is text, as with a broker, so that nothing can come to depend on shared memory. */
#include "oslo/messaging.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/work.h"
#include "oslo/app.h"
#include "oslo/json.h"
#include "oslo/trace.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct message {
    struct message *next;
    char *method, *arguments, *request_id, *global_id;
    struct caller *caller;
    uint64_t span;
};

struct server {
    struct server *next; /* of the same topic */
    struct app *app;
    char *topic, *name;
    const struct rpc_method *methods;
    void *owner;
    unsigned parallel, running, holders; /* holders: the registry and whoever works for it now */
    struct message *first, **last;
    bool closed;
};

struct topic {
    struct server *servers;
    size_t turn; /* round robin of messages to any server */
    size_t count;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t idle = PTHREAD_COND_INITIALIZER;
static struct map topics; /* name -> struct topic * */

static void message_free(struct message *m)
{
    free(m->method);
    free(m->arguments);
    free(m->request_id);
    free(m->global_id);
    caller_unref(m->caller);
    free(m);
}

static char *copy(const char *text)
{
    char *to = text == NULL ? NULL : strdup(text);
    if (text != NULL && to == NULL)
        abort();
    return to;
}

static struct message *message_create(struct context *cx, const char *method, const json_t *arguments)
{
    struct message *m = calloc(1, sizeof(*m));
    if (m == NULL)
        abort();
    m->method = copy(method);
    m->arguments = arguments == NULL ? copy("{}") : json_dumps(arguments, JSON_COMPACT);
    m->request_id = copy(cx->request_id);
    m->global_id = copy(cx->global_id);
    m->caller = caller_ref(cx->caller);
    m->span = trace_id(cx);
    return m;
}

/* ---- the registry; all with the lock held ---- */

static void server_release(struct server *s)
{
    if (--s->holders > 0)
        return;
    free(s->topic);
    free(s->name);
    free(s);
}

static struct server *find_server(const char *topic, const char *name)
{
    struct topic *t = map_get(&topics, topic);
    if (t == NULL || t->servers == NULL)
        return NULL;
    struct server *s = t->servers;
    if (name == NULL) {
        for (size_t skip = t->turn++ % t->count; skip > 0; skip--)
            s = s->next;
        return s;
    }
    while (s != NULL && strcmp(s->name, name) != 0)
        s = s->next;
    return s;
}

static void close_server(struct server *s)
{
    struct topic *t = map_get(&topics, s->topic);
    struct server **at = &t->servers;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    t->count--;
    s->closed = true;
    while (s->first != NULL) { /* the database is the truth: who needs them finds out at the next start */
        struct message *m = s->first;
        s->first = m->next;
        message_free(m);
    }
    while (s->running > 0)
        pthread_cond_wait(&idle, &lock);
    server_release(s);
}

struct fault *rpc_serve(struct context *cx, const char *topic, const char *name, const struct rpc_method *methods,
    void *owner, unsigned parallel)
{
    struct server *s = calloc(1, sizeof(*s));
    if (s == NULL)
        abort();
    *s = (struct server){ .app = cx->app, .topic = copy(topic), .name = copy(name), .methods = methods, .owner = owner,
        .parallel = parallel, .holders = 1 };
    s->last = &s->first;
    pthread_mutex_lock(&lock);
    struct topic *t = map_get(&topics, topic);
    if (t == NULL) {
        t = calloc(1, sizeof(*t));
        if (t == NULL)
            abort();
        map_set(&topics, topic, t);
    }
    struct server **at = &t->servers;
    while (*at != NULL)
        at = &(*at)->next;
    *at = s;
    t->count++;
    pthread_mutex_unlock(&lock);
    return NULL;
}

void rpc_unserve(struct app *app, const char *topic, const char *name)
{
    pthread_mutex_lock(&lock);
    struct server *s = find_server(topic, name);
    if (s != NULL && s->app == app)
        close_server(s);
    pthread_mutex_unlock(&lock);
}

void messaging_stop(struct app *app)
{
    struct map_entry *entry;
    pthread_mutex_lock(&lock);
    for (size_t at = 0; (entry = map_next(&topics, &at)) != NULL;) {
        struct topic *t = entry->value;
        for (struct server *s = t->servers; s != NULL;) {
            struct server *next = s->next;
            if (s->app == app) {
                close_server(s);
                next = t->servers; /* the list may have changed while close_server() waited */
            }
            s = next;
        }
    }
    pthread_mutex_unlock(&lock);
}

/* ---- handling ---- */

static const struct rpc_method *find_method(const struct server *s, const char *name)
{
    for (const struct rpc_method *m = s->methods; m->name != NULL; m++)
        if (strcmp(m->name, name) == 0)
            return m;
    return NULL;
}

static struct fault *handle(const struct server *s, struct context *cx, const struct message *m, json_t **ret_result)
{
    const struct rpc_method *method = find_method(s, m->method);
    if (method == NULL)
        return FAULT(cx, 500, "UnsupportedMethod", "%s on %s has no method %s.", s->topic, s->name, m->method);
    json_t *arguments = json_parse_own(cx->arena, m->arguments);
    struct span *span = trace_begin(cx, s->topic, s->name, "rpc %s", m->method);
    return trace_end(cx, span, method->handler(cx, s->owner, arguments, ret_result));
}

static struct context message_context(struct arena *arena, const struct server *s, const struct message *m)
{
    struct context cx = { .arena = arena, .app = s->app, .caller = m->caller, .request_id = m->request_id,
        .global_id = m->global_id };
    trace_set_parent(&cx, m->span);
    return cx;
}

static void handle_cast(struct server *s, struct message *m)
{
    struct arena *arena = arena_create();
    struct context cx = message_context(arena, s, m);
    const char *before = log_set_context(cx.request_id);
    json_t *result = NULL;
    struct fault *fault = handle(s, &cx, m, &result);
    if (fault != NULL)
        log_error(s->app->service->name, "message %s to %s.%s failed: %s", m->method, s->topic, s->name,
            fault_text(arena, fault));
    json_decref(result);
    log_set_context(before);
    arena_destroy(arena);
    message_free(m);
}

static void work_for(void *argument)
{
    struct server *s = argument;
    pthread_mutex_lock(&lock);
    while (s->first != NULL && !s->closed) {
        struct message *m = s->first;
        s->first = m->next;
        if (s->first == NULL)
            s->last = &s->first;
        pthread_mutex_unlock(&lock);
        handle_cast(s, m);
        pthread_mutex_lock(&lock);
    }
    s->running--;
    pthread_cond_broadcast(&idle);
    server_release(s);
    pthread_mutex_unlock(&lock);
}

/* Lock held. */
static bool enqueue(struct server *s, struct message *m)
{
    *s->last = m;
    s->last = &m->next;
    if (s->running == s->parallel)
        return true;
    s->running++;
    s->holders++;
    if (work_submit(s->app->cloud->messages, work_for, s))
        return true;
    s->running--;
    s->holders--;
    return s->running > 0; /* somebody is at work and will take it */
}

static struct fault *nobody(struct context *cx, const struct rpc_target *target, const char *method)
{
    return FAULT(cx, 504, "MessagingTimeout", "Timed out waiting for a reply to message %s: nobody serves %s%s%s.", method,
        target->topic, target->server != NULL ? " on " : "", target->server != NULL ? target->server : "");
}

struct fault *rpc_cast(struct context *cx, const struct rpc_target *target, const char *method, const json_t *arguments)
{
    struct message *m = message_create(cx, method, arguments);
    pthread_mutex_lock(&lock);
    struct server *s = find_server(target->topic, target->server);
    bool sent = s != NULL && enqueue(s, m);
    pthread_mutex_unlock(&lock);
    if (!sent && s == NULL) {
        message_free(m);
        return nobody(cx, target, method);
    }
    return NULL;
}

struct fault *rpc_fanout(struct context *cx, const char *topic, const char *method, const json_t *arguments)
{
    pthread_mutex_lock(&lock);
    struct topic *t = map_get(&topics, topic);
    for (struct server *s = t != NULL ? t->servers : NULL; s != NULL; s = s->next)
        enqueue(s, message_create(cx, method, arguments));
    pthread_mutex_unlock(&lock);
    return NULL;
}

struct fault *rpc_call(struct context *cx, const struct rpc_target *target, const char *method, const json_t *arguments,
    int timeout_ms, json_t **ret_result)
{
    pthread_mutex_lock(&lock);
    struct server *s = find_server(target->topic, target->server);
    if (s != NULL) {
        s->running++;
        s->holders++;
    }
    pthread_mutex_unlock(&lock);
    if (s == NULL)
        return nobody(cx, target, method);
    struct message *m = message_create(cx, method, arguments);
    struct arena *arena = arena_create();
    struct context handler = message_context(arena, s, m);
    handler.deadline_us = clock_monotonic_us() + (int64_t)timeout_ms * 1000;
    json_t *result = NULL;
    struct fault *fault = fault_copy(cx->arena, handle(s, &handler, m, &result));
    if (fault == NULL && ret_result != NULL)
        *ret_result = json_keep(cx->arena, result);
    else
        json_decref(result);
    arena_destroy(arena);
    message_free(m);
    pthread_mutex_lock(&lock);
    s->running--;
    pthread_cond_broadcast(&idle);
    server_release(s);
    pthread_mutex_unlock(&lock);
    return fault;
}
