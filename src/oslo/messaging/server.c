/* SPDX-License-Identifier: Apache-2.0
 * server: the servers of this process: one queue each, handlers on the cloud's message pool, at most `parallel` at a time.
 *
 * A message that came over a wire stays there until it was handled: whoever takes the process away loses nothing. One that
 * comes again meanwhile (its connection was cut) takes the first one's place on the wire and is not handled twice. */
#include "base/clock.h"
#include "base/log.h"
#include "base/work.h"
#include "oslo/app.h"
#include "oslo/json.h"
#include "oslo/messaging/private.h"
#include "oslo/trace.h"

#include <stdlib.h>
#include <string.h>

enum { SEEN_SETS = 1024, SEEN_WAYS = 8, ID_SIZE = 33, TRIES = 4, RETRY_PAUSE_MS = 500 };

struct message {
    struct message *next;
    char *body; /* the envelope; NULL: from this process, in the members below */
    size_t length;
    char *method, *version, *arguments, *request_id, *global_id;
    struct caller *caller;
    uint64_t span;
    struct delivery delivery;
    char unique_id[ID_SIZE]; /* "" until it is read */
};

/* The last messages that were handled, by a digest of their ids: some thousand, since a hub that is gone is noticed late. */
struct seen {
    uint64_t ids[SEEN_SETS][SEEN_WAYS];
    uint8_t next[SEEN_SETS];
};

struct server {
    struct server *next; /* of the same topic */
    struct app *app;
    struct transport *transport;
    char *topic, *name;
    const struct rpc_method *methods;
    void *owner;
    unsigned parallel, running, holders; /* holders: the registry and whoever works for it now */
    struct message *first, **last;
    struct message *working;             /* being handled */
    struct seen *seen;                   /* NULL in memory */
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
    free(m->body);
    free(m->method);
    free(m->version);
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

static void *zeroed(size_t size)
{
    void *memory = calloc(1, size);
    if (memory == NULL)
        abort();
    return memory;
}

/* What crosses is text, as with a broker, so that nothing can come to depend on shared memory. */
static struct message *message_create(struct context *cx, const struct rpc_message *from)
{
    struct message *m = zeroed(sizeof(*m));
    m->method = copy(from->method);
    m->version = copy(from->version);
    m->arguments = from->arguments == NULL ? copy("{}") : json_dumps(from->arguments, JSON_COMPACT);
    m->request_id = copy(cx->request_id);
    m->global_id = copy(cx->global_id);
    m->caller = caller_ref(cx->caller);
    m->span = trace_id(cx);
    return m;
}

/* ---- the registry; all with the lock held ---- */

static void release(struct server *s)
{
    if (--s->holders > 0)
        return;
    free(s->seen);
    free(s->topic);
    free(s->name);
    free(s);
}

static struct server *find(const struct app *app, const char *topic, const char *name)
{
    struct topic *t = map_get(&topics, topic);
    if (t == NULL || t->servers == NULL)
        return NULL;
    struct server *s = t->servers;
    if (name == NULL)
        for (size_t skip = t->turn++ % t->count; skip > 0; skip--)
            s = s->next;
    for (size_t i = 0; i < t->count; i++, s = s->next != NULL ? s->next : t->servers)
        if ((app == NULL || s->app == app) && (name == NULL || strcmp(s->name, name) == 0))
            return s;
    return NULL;
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
    if (s->transport->driver != NULL) { /* no new ones from now on; the lock is not held over I/O */
        pthread_mutex_unlock(&lock);
        s->transport->driver->unserve(s->transport->wire, s);
        pthread_mutex_lock(&lock);
    }
    while (s->first != NULL) { /* those of a wire are delivered to others; for the rest the database is the truth */
        struct message *m = s->first;
        s->first = m->next;
        if (m->body != NULL)
            s->transport->driver->done(s->transport->wire, m->delivery, false);
        message_free(m);
    }
    while (s->running > 0)
        pthread_cond_wait(&idle, &lock);
    release(s);
}

struct server *server_add(struct app *app, struct transport *transport, const char *topic, const char *name,
    const struct rpc_method *methods, void *owner, unsigned parallel)
{
    struct server *s = zeroed(sizeof(*s));
    *s = (struct server){ .app = app, .transport = transport, .topic = copy(topic), .name = copy(name), .methods = methods,
        .owner = owner, .parallel = parallel, .holders = 1 };
    s->last = &s->first;
    if (transport->driver != NULL)
        s->seen = zeroed(sizeof(*s->seen));
    pthread_mutex_lock(&lock);
    struct topic *t = map_get(&topics, topic);
    if (t == NULL) {
        t = zeroed(sizeof(*t));
        map_set(&topics, topic, t);
    }
    struct server **at = &t->servers;
    while (*at != NULL)
        at = &(*at)->next;
    *at = s;
    t->count++;
    pthread_mutex_unlock(&lock);
    return s;
}

/* The next one to close, or NULL: the lists may change while close_server() waits, so they are walked anew each time. */
static struct server *find_own(const struct app *app, const char *topic, const char *name)
{
    struct map_entry *entry;
    if (topic != NULL)
        return find(app, topic, name);
    for (size_t at = 0; (entry = map_next(&topics, &at)) != NULL;)
        for (struct server *s = ((struct topic *)entry->value)->servers; s != NULL; s = s->next)
            if (s->app == app)
                return s;
    return NULL;
}

void server_remove(struct app *app, const char *topic, const char *name)
{
    struct server *s;
    pthread_mutex_lock(&lock);
    while ((s = find_own(app, topic, name)) != NULL) {
        close_server(s);
        if (topic != NULL)
            break;
    }
    pthread_mutex_unlock(&lock);
}

struct server *server_find(const struct app *app, const char *topic, const char *name)
{
    pthread_mutex_lock(&lock);
    struct server *s = find(app, topic, name);
    if (s != NULL) {
        s->running++;
        s->holders++;
    }
    pthread_mutex_unlock(&lock);
    return s;
}

static void finish(struct server *s)
{
    s->running--;
    pthread_cond_broadcast(&idle);
    release(s);
}

void server_release(struct server *s)
{
    pthread_mutex_lock(&lock);
    finish(s);
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

/* Same major, and a minor that has the method already. */
static bool compatible(const char *has, const char *asked)
{
    char *dot_has, *dot_asked;
    long major_has = strtol(has, &dot_has, 10), major_asked = strtol(asked, &dot_asked, 10);
    long minor_has = *dot_has == '.' ? strtol(dot_has + 1, NULL, 10) : 0;
    long minor_asked = *dot_asked == '.' ? strtol(dot_asked + 1, NULL, 10) : 0;
    return major_has == major_asked && minor_asked >= minor_has;
}

/* Asked by oslo.messaging's own tools, on any topic. */
static bool is_ping(const struct server *s, const struct rpc_message *m)
{
    return strcmp(m->method, "oslo_rpc_server_ping") == 0 && s->app->config != NULL &&
        config_has(s->app->config, "DEFAULT", "rpc_ping_enabled") && config_bool(s->app->config, "DEFAULT", "rpc_ping_enabled");
}

static struct fault *handle(const struct server *s, struct context *cx, const struct rpc_message *m, json_t **ret_result)
{
    const struct rpc_method *method = find_method(s, m->method);
    if (method == NULL && is_ping(s, m)) {
        *ret_result = json_string("pong");
        return NULL;
    }
    if (method == NULL)
        return FAULT(cx, 500, "NoSuchMethod", "Endpoint does not support RPC method %s", m->method);
    if (m->version != NULL && method->version != NULL && !compatible(method->version, m->version))
        return FAULT(cx, 500, "UnsupportedVersion", "Endpoint does not support RPC version %s. Attempted method: %s", m->version,
            m->method);
    struct span *span = trace_begin(cx, s->topic, s->name, "rpc %s", m->method);
    return trace_end(cx, span, method->handler(cx, s->owner, m->arguments, ret_result));
}

static struct context message_context(struct arena *arena, const struct server *s, const struct rpc_message *m)
{
    struct context cx = context_service(arena, s->app);
    cx.caller = m->caller;
    cx.global_id = m->global_id;
    if (m->request_id != NULL)
        cx.request_id = m->request_id;
    trace_set_parent(&cx, m->span);
    return cx;
}

/* Runs a handler; one whose fault says that a retry may help (the database was away) is run again before it is given up:
 * with a wire behind it there is no other who would. */
static struct fault *handle_patiently(struct server *s, struct context *cx, const struct rpc_message *m, json_t **ret_result)
{
    struct fault *fault = handle(s, cx, m, ret_result);
    for (int i = 1; i < TRIES && fault != NULL && fault->retry && !s->closed; i++) {
        json_decref(*ret_result);
        *ret_result = NULL;
        clock_sleep_ms(RETRY_PAUSE_MS << i);
        fault = handle(s, cx, m, ret_result);
    }
    return fault;
}

static void answer(struct server *s, struct arena *arena, const struct rpc_message *m, const json_t *result,
    const struct fault *fault, bool ending, struct delivery delivery)
{
    const char *body = envelope_reply(arena, m->msg_id, result, fault, s->app->service->name, ending);
    const struct wire_send send = { .kind = WIRE_REPLY, .topic = m->reply_to, .body = body, .length = strlen(body) };
    s->transport->driver->answer(s->transport->wire, &send, delivery);
}

/* ---- signs of life: a caller with a short watch on a long call (call_monitor_timeout) ---- */

struct sign {
    struct server *server;
    char msg_id[64], reply_to[128];
    int64_t every_ms;
    pthread_mutex_t lock;
    bool ended; /* the handler is through; the entry in the pool frees this */
};

static void sign_free(void *argument)
{
    struct sign *sign = argument;
    pthread_mutex_destroy(&sign->lock);
    free(sign);
}

static void sign_tick(void *argument)
{
    struct sign *sign = argument;
    const struct delivery none = { 0, UINT32_MAX };
    pthread_mutex_lock(&sign->lock);
    bool ended = sign->ended;
    if (!ended) {
        struct arena *arena = arena_create();
        const struct rpc_message to = { .msg_id = sign->msg_id, .reply_to = sign->reply_to };
        answer(sign->server, arena, &to, NULL, NULL, false, none);
        work_submit_later(sign->server->app->cloud->periodic, sign->every_ms, sign_tick, sign_free, sign);
        arena_destroy(arena);
    }
    pthread_mutex_unlock(&sign->lock);
    if (ended)
        sign_free(sign);
}

static struct sign *sign_begin(struct server *s, const struct rpc_message *m)
{
    if (m->monitor_timeout_s < 2 || m->monitor_timeout_s > 86400 || s->app->cloud->periodic == NULL)
        return NULL;
    struct sign *sign = zeroed(sizeof(*sign));
    sign->server = s;
    snprintf(sign->msg_id, sizeof(sign->msg_id), "%s", m->msg_id);
    snprintf(sign->reply_to, sizeof(sign->reply_to), "%s", m->reply_to);
    sign->every_ms = (int64_t)(m->monitor_timeout_s * 500);
    pthread_mutex_init(&sign->lock, NULL);
    work_submit_later(s->app->cloud->periodic, sign->every_ms, sign_tick, sign_free, sign);
    return sign;
}

static void sign_end(struct sign *sign)
{
    if (sign == NULL)
        return;
    pthread_mutex_lock(&sign->lock);
    sign->ended = true;
    pthread_mutex_unlock(&sign->lock);
}

/* ---- messages of a wire ---- */

/* FNV-1a; ids are random already. */
static uint64_t digest_of(const char *id)
{
    uint64_t digest = 0xcbf29ce484222325;
    for (; *id != '\0'; id++)
        digest = (digest ^ (unsigned char)*id) * 0x100000001b3;
    return digest;
}

static bool was_seen(const struct seen *seen, const char *id)
{
    uint64_t digest = digest_of(id);
    for (size_t i = 0; i < SEEN_WAYS; i++)
        if (seen->ids[digest % SEEN_SETS][i] == digest)
            return true;
    return false;
}

static void note_seen(struct seen *seen, const char *id)
{
    uint64_t digest = digest_of(id);
    seen->ids[digest % SEEN_SETS][seen->next[digest % SEEN_SETS]++ % SEEN_WAYS] = digest;
}

/* Reads the message and sees whether it was, or is being, handled. With the lock held. False: drop it. */
static bool is_new(struct server *s, struct message *m)
{
    for (struct message *w = s->working; w != NULL; w = w->next)
        if (strcmp(w->unique_id, m->unique_id) == 0) {
            w->delivery = m->delivery; /* this one is what lies on the wire now */
            return false;
        }
    if (!was_seen(s->seen, m->unique_id))
        return true;
    s->transport->driver->done(s->transport->wire, m->delivery, true);
    return false;
}

static bool begin_work(struct server *s, struct message *m, const struct rpc_message *read)
{
    if (read->unique_id != NULL && strlen(read->unique_id) < ID_SIZE)
        strcpy(m->unique_id, read->unique_id);
    pthread_mutex_lock(&lock);
    bool fresh = m->unique_id[0] == '\0' || is_new(s, m);
    if (fresh) {
        m->next = s->working;
        s->working = m;
    }
    pthread_mutex_unlock(&lock);
    return fresh;
}

/* Returns the delivery as it stands now. */
static struct delivery end_work(struct server *s, struct message *m)
{
    pthread_mutex_lock(&lock);
    struct message **at = &s->working;
    while (*at != m)
        at = &(*at)->next;
    *at = m->next;
    if (m->unique_id[0] != '\0')
        note_seen(s->seen, m->unique_id);
    struct delivery delivery = m->delivery;
    pthread_mutex_unlock(&lock);
    return delivery;
}

static void log_failure(const struct server *s, struct arena *arena, const char *method, const struct fault *fault)
{
    log_error(s->app->service->name, "message %s to %s.%s failed: %s", method, s->topic, s->name, fault_text(arena, fault));
}

static void handle_wire(struct server *s, struct message *m, struct arena *arena)
{
    struct rpc_message read;
    json_t *result = NULL;
    struct fault *fault = envelope_parse_request(arena, m->body, m->length, &read);
    if (fault != NULL) {
        log_failure(s, arena, "?", fault);
        s->transport->driver->done(s->transport->wire, m->delivery, true);
        return;
    }
    if (!begin_work(s, m, &read))
        return;
    if (read.version == NULL)
        read.version = "1.0";
    struct context cx = message_context(arena, s, &read);
    const char *before = log_set_context(cx.request_id);
    const struct log_identity *who = log_set_identity(context_log_identity(&cx));
    if (read.msg_id != NULL) {
        struct sign *sign = sign_begin(s, &read);
        fault = handle(s, &cx, &read, &result);
        sign_end(sign);
        answer(s, arena, &read, result, fault, true, end_work(s, m));
    } else {
        fault = handle_patiently(s, &cx, &read, &result);
        if (fault != NULL)
            log_failure(s, arena, read.method, fault);
        s->transport->driver->done(s->transport->wire, end_work(s, m), true);
    }
    json_decref(result);
    log_set_identity(who);
    log_set_context(before);
}

static struct rpc_message own_message(struct arena *arena, const struct message *m)
{
    return (struct rpc_message){ .method = m->method, .version = m->version, .arguments = json_parse_own(arena, m->arguments),
        .request_id = m->request_id, .global_id = m->global_id, .caller = m->caller, .span = m->span };
}

static void handle_own(struct server *s, struct message *m, struct arena *arena)
{
    struct rpc_message read = own_message(arena, m);
    struct context cx = message_context(arena, s, &read);
    const char *before = log_set_context(cx.request_id);
    const struct log_identity *who = log_set_identity(context_log_identity(&cx));
    json_t *result = NULL;
    struct fault *fault = handle(s, &cx, &read, &result);
    if (fault != NULL)
        log_failure(s, arena, m->method, fault);
    json_decref(result);
    log_set_identity(who);
    log_set_context(before);
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
        struct arena *arena = arena_create();
        (m->body != NULL ? handle_wire : handle_own)(s, m, arena);
        arena_destroy(arena);
        message_free(m);
        pthread_mutex_lock(&lock);
    }
    finish(s);
    pthread_mutex_unlock(&lock);
}

/* Lock held. */
static bool enqueue(struct server *s, struct message *m)
{
    *s->last = m;
    s->last = &m->next;
    if (s->running >= s->parallel)
        return true;
    s->running++;
    s->holders++;
    if (work_submit(s->app->cloud->messages, work_for, s))
        return true;
    s->running--;
    s->holders--;
    return s->running > 0; /* somebody is at work and will take it */
}

void server_deliver(struct server *s, const char *body, size_t length, struct delivery delivery)
{
    struct message *m = zeroed(sizeof(*m));
    m->body = malloc(length + 1);
    if (m->body == NULL)
        abort();
    memcpy(m->body, body, length);
    m->body[length] = '\0';
    m->length = length;
    m->delivery = delivery;
    pthread_mutex_lock(&lock);
    bool closed = s->closed;
    if (!closed)
        enqueue(s, m);
    pthread_mutex_unlock(&lock);
    if (closed) {
        s->transport->driver->done(s->transport->wire, delivery, false);
        message_free(m);
    }
}

bool server_cast(struct context *cx, const char *topic, const char *name, const struct rpc_message *message)
{
    struct message *m = message_create(cx, message);
    pthread_mutex_lock(&lock);
    struct server *s = find(NULL, topic, name);
    if (s != NULL)
        enqueue(s, m);
    pthread_mutex_unlock(&lock);
    if (s == NULL)
        message_free(m);
    return s != NULL;
}

void server_fanout(struct context *cx, const char *topic, const struct rpc_message *message)
{
    pthread_mutex_lock(&lock);
    struct topic *t = map_get(&topics, topic);
    for (struct server *s = t != NULL ? t->servers : NULL; s != NULL; s = s->next)
        enqueue(s, message_create(cx, message));
    pthread_mutex_unlock(&lock);
}

/* A call runs its handler in the caller's thread: workers that wait for each other could otherwise fill the pool. */
struct fault *server_call(struct context *cx, struct server *s, const struct rpc_message *message, int64_t deadline_us,
    json_t **ret_result)
{
    struct message *m = message_create(cx, message);
    struct arena *arena = arena_create();
    struct rpc_message read = own_message(arena, m);
    struct context handler = message_context(arena, s, &read);
    handler.deadline_us = deadline_us;
    json_t *result = NULL;
    struct fault *fault = fault_copy(cx->arena, handle(s, &handler, &read, &result));
    if (fault == NULL && ret_result != NULL)
        *ret_result = json_keep(cx->arena, result);
    else
        json_decref(result);
    arena_destroy(arena);
    message_free(m);
    return fault;
}
