/* SPDX-License-Identifier: Apache-2.0
 * hub: queues, sessions and who takes what. See hub.h. */
#include "oslo/messaging/http/hub.h"

#include "base/clock.h"
#include "base/map.h"
#include "base/random.h"
#include "oslo/json.h"
#include "oslo/messaging/wire.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { AT_ONCE = 64, UNHANDLED = 256, QUEUED = 100000, SEEN = 4096, LOST_S = 12, FORGET_S = 3600, SETTLING_S = 5, WAIT_MS = 30000 };

struct item {
    struct item *next;
    uint64_t tag;
    int64_t expires_us; /* 0: never */
    char *body;
};

struct queue {
    struct item *first, **last;
    size_t count;
};

/* A message that a session has taken and not handled yet. */
struct taken {
    struct taken *next;
    struct item *item;
    struct queue *from;
};

struct session {
    struct session *next;
    char *id;
    int64_t seen_us;
    json_t *serves;
    struct queue own;       /* answers, fanout: "index body" pairs are made when they are taken */
    struct taken *taken;
    size_t taken_count;
    bool waiting, changed;  /* changed: a wait is to end, so that it begins anew */
    json_t *answer;         /* the last one with messages: told again until the next request says that it was heard */
    int64_t number;         /* of that answer */
};

struct hub {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct map queues;      /* "exchange/topic" and "exchange/topic.server" -> struct queue */
    struct session *sessions;
    uint64_t last_tag;
    int64_t start_us;
    char seen[SEEN][UUID_HEX]; /* ids of the last messages: a sender that got no answer sends again */
    size_t seen_at;
    bool stopping;
};

static void *zeroed(size_t size)
{
    void *memory = calloc(1, size);
    if (memory == NULL)
        abort();
    return memory;
}

static char *copy(const char *text)
{
    char *to = strdup(text);
    if (to == NULL)
        abort();
    return to;
}

/* ---- queues ---- */

static void item_free(struct item *item)
{
    free(item->body);
    free(item);
}

static void put(struct queue *q, struct item *item)
{
    item->next = NULL;
    if (q->last == NULL)
        q->last = &q->first;
    *q->last = item;
    q->last = &item->next;
    q->count++;
}

static void put_back(struct queue *q, struct item *item)
{
    item->next = q->first;
    q->first = item;
    if (item->next == NULL)
        q->last = &item->next;
    q->count++;
}

static struct item *get(struct queue *q, int64_t now)
{
    struct item *item;
    while ((item = q->first) != NULL) {
        q->first = item->next;
        if (q->first == NULL)
            q->last = &q->first;
        q->count--;
        if (item->expires_us == 0 || item->expires_us > now)
            return item;
        item_free(item);
    }
    return NULL;
}

static void queue_clear(struct queue *q)
{
    struct item *item;
    while ((item = get(q, 0)) != NULL)
        item_free(item);
}

static struct queue *queue_of(struct hub *hub, const char *exchange, const char *topic, const char *server, bool make)
{
    char name[512];
    snprintf(name, sizeof(name), "%s/%s%s%s", exchange, topic, server != NULL ? "." : "", server != NULL ? server : "");
    struct queue *q = map_get(&hub->queues, name);
    if (q == NULL && make) {
        q = zeroed(sizeof(*q));
        map_set(&hub->queues, name, q);
    }
    return q;
}

static struct item *item_create(struct hub *hub, const json_t *request)
{
    struct item *item = zeroed(sizeof(*item));
    int64_t ttl_ms = json_int_at(request, "ttl_ms", 0);
    item->tag = ++hub->last_tag;
    item->expires_us = ttl_ms > 0 && ttl_ms < 86400000 ? clock_monotonic_us() + ttl_ms * 1000 : 0;
    item->body = copy(json_text_at(request, "body"));
    return item;
}

/* ---- sessions ---- */

static struct session *find_session(struct hub *hub, const char *id)
{
    struct session *s = hub->sessions;
    while (s != NULL && strcmp(s->id, id) != 0)
        s = s->next;
    return s;
}

static void give_back(struct hub *hub, struct session *s)
{
    if (s->taken != NULL)
        pthread_cond_broadcast(&hub->wake);
    json_decref(s->answer);
    s->answer = NULL;
    while (s->taken != NULL) {
        struct taken *t = s->taken;
        s->taken = t->next;
        put_back(t->from, t->item);
        free(t);
    }
    s->taken_count = 0;
}

static void session_end(struct hub *hub, struct session *s)
{
    struct session **at = &hub->sessions;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    give_back(hub, s);
    queue_clear(&s->own);
    json_decref(s->serves);
    free(s->id);
    free(s);
}

/* Who was not heard of for a while has lost what it took; who was not for long is forgotten. */
static void look_after(struct hub *hub)
{
    int64_t now = clock_monotonic_us();
    for (struct session *s = hub->sessions; s != NULL;) {
        struct session *next = s->next;
        if (!s->waiting && s->seen_us < now - LOST_S * 1000000LL)
            give_back(hub, s);
        if (!s->waiting && s->seen_us < now - FORGET_S * 1000000LL)
            session_end(hub, s);
        s = next;
    }
}

static bool valid_serves(const json_t *serves)
{
    if (!json_is_array(serves))
        return false;
    for (size_t i = 0; i < json_array_size(serves); i++)
        for (size_t k = 0; k < 3; k++)
            if (!json_is_string(json_array_get(json_array_get(serves, i), k)))
                return false;
    return true;
}

static const char *served(const struct session *s, size_t i, size_t part)
{
    return json_string_value(json_array_get(json_array_get(s->serves, i), part));
}

/* What the process itself calls that server, in its row's fourth member. */
static int place(const struct session *s, size_t i)
{
    return (int)json_integer_value(json_array_get(json_array_get(s->serves, i), 3));
}

static struct session *enter(struct hub *hub, const json_t *request)
{
    const char *id = json_text_at(request, "session");
    struct session *s = find_session(hub, id);
    if (s == NULL) {
        s = zeroed(sizeof(*s));
        s->id = copy(id);
        s->next = hub->sessions;
        hub->sessions = s;
    }
    s->seen_us = clock_monotonic_us();
    json_decref(s->serves);
    s->serves = json_incref(json_object_get(request, "serves"));
    for (size_t i = 0; i < json_array_size(s->serves); i++) {
        queue_of(hub, served(s, i, 0), served(s, i, 1), NULL, true);
        queue_of(hub, served(s, i, 0), served(s, i, 1), served(s, i, 2), true);
    }
    return s;
}

/* ---- requests ---- */

static void take(struct session *s, struct queue *q, int index, json_t *to)
{
    struct item *item;
    int64_t now = clock_monotonic_us();
    while (json_array_size(to) < AT_ONCE && s->taken_count < UNHANDLED && (item = get(q, now)) != NULL) {
        json_array_append_new(to, json_pack("[I, i, s]", (json_int_t)item->tag, index, item->body));
        if (index < 0) {
            item_free(item); /* an answer is not asked for again */
            continue;
        }
        struct taken *t = zeroed(sizeof(*t));
        *t = (struct taken){ s->taken, item, q };
        s->taken = t;
        s->taken_count++;
    }
}

/* Fanout messages lie in the session's own queue too: "INDEX body", since they name a server. */
static void take_own(struct session *s, json_t *to)
{
    struct item *item;
    while (json_array_size(to) < AT_ONCE && (item = get(&s->own, clock_monotonic_us())) != NULL) {
        char *body;
        long index = strtol(item->body, &body, 10);
        json_array_append_new(to, json_pack("[I, i, s]", (json_int_t)item->tag, (int)index, body + 1));
        item_free(item);
    }
}

static void take_all(struct hub *hub, struct session *s, json_t *to)
{
    take_own(s, to);
    for (size_t i = 0; i < json_array_size(s->serves); i++) {
        take(s, queue_of(hub, served(s, i, 0), served(s, i, 1), served(s, i, 2), true), place(s, i), to);
        take(s, queue_of(hub, served(s, i, 0), served(s, i, 1), NULL, true), place(s, i), to);
    }
}

/* Only one waits for a session: an earlier one, whose connection is gone, goes first. */
static void take_turn(struct hub *hub, struct session *s)
{
    int64_t until_us = clock_monotonic_us() + SETTLING_S * 1000000LL;
    s->changed = true;
    pthread_cond_broadcast(&hub->wake);
    while (s->waiting && !hub->stopping && clock_monotonic_us() < until_us)
        clock_wait(&hub->wake, &hub->lock, until_us);
}

static int receive(struct hub *hub, const json_t *request, json_t *answer)
{
    int64_t wait_ms = json_int_at(request, "wait_ms", 0);
    int64_t until_us = clock_monotonic_us() + (wait_ms < 0 ? 0 : wait_ms > WAIT_MS ? WAIT_MS : wait_ms) * 1000;
    struct session *s = enter(hub, request);
    take_turn(hub, s);
    if (s->waiting)
        return 409;
    if (s->answer != NULL && json_int_at(request, "last", -1) != s->number) {
        json_object_update(answer, s->answer);
        return 200;
    }
    json_decref(s->answer);
    s->answer = NULL;
    s->waiting = true;
    s->changed = false;
    look_after(hub);
    json_t *messages = json_array();
    for (;;) {
        take_all(hub, s, messages);
        if (json_array_size(messages) > 0 || s->changed || hub->stopping || clock_monotonic_us() >= until_us)
            break;
        clock_wait(&hub->wake, &hub->lock, until_us);
    }
    s->waiting = false;
    s->seen_us = clock_monotonic_us();
    json_object_set_new(answer, "messages", messages);
    json_object_set_new(answer, "number", json_integer(s->number + 1));
    if (json_array_size(messages) > 0) {
        s->number++;
        s->answer = json_copy(answer);
    }
    pthread_cond_broadcast(&hub->wake);
    return 200;
}

static int serve(struct hub *hub, const json_t *request)
{
    enter(hub, request)->changed = true;
    pthread_cond_broadcast(&hub->wake);
    return 200;
}

static int done(struct hub *hub, const json_t *request)
{
    struct session *s = find_session(hub, json_text_at(request, "session"));
    const json_t *list = json_object_get(request, "done");
    for (size_t i = 0; s != NULL && i < json_array_size(list); i++) {
        uint64_t tag = (uint64_t)json_integer_value(json_array_get(json_array_get(list, i), 0));
        struct taken **at = &s->taken;
        while (*at != NULL && (*at)->item->tag != tag)
            at = &(*at)->next;
        struct taken *t = *at;
        if (t == NULL)
            continue;
        *at = t->next;
        s->taken_count--;
        if (json_is_true(json_array_get(json_array_get(list, i), 1)))
            item_free(t->item);
        else
            put_back(t->from, t->item);
        free(t);
    }
    pthread_cond_broadcast(&hub->wake);
    return 200;
}

static int bye(struct hub *hub, const json_t *request)
{
    struct session *s = find_session(hub, json_text_at(request, "session"));
    if (s == NULL)
        return 200;
    give_back(hub, s);
    s->changed = true;
    json_decref(s->serves);
    s->serves = json_array();
    s->seen_us = s->waiting ? s->seen_us : 0;
    pthread_cond_broadcast(&hub->wake);
    return 200;
}

static bool is_known(struct hub *hub, const char *id)
{
    for (size_t i = 0; i < SEEN; i++)
        if (strcmp(hub->seen[i], id) == 0)
            return true;
    return false;
}

static void put_own(struct session *s, struct item *item, int index)
{
    char *body;
    if (asprintf(&body, "%d %s", index, item->body) < 0)
        abort();
    free(item->body);
    item->body = body;
    put(&s->own, item);
}

static void send_fanout(struct hub *hub, const json_t *request, const char *exchange, const char *topic)
{
    for (struct session *s = hub->sessions; s != NULL; s = s->next)
        for (size_t i = 0; i < json_array_size(s->serves); i++)
            if (strcmp(served(s, i, 0), exchange) == 0 && strcmp(served(s, i, 1), topic) == 0 && s->own.count < QUEUED)
                put_own(s, item_create(hub, request), place(s, i));
}

static int send(struct hub *hub, const json_t *request)
{
    const char *id = json_text_at(request, "id"), *exchange = json_text_at(request, "exchange"), *topic = json_text_at(request,
        "topic");
    const char *server = json_text_at(request, "server");
    enum wire_kind kind = (enum wire_kind)json_int_at(request, "kind", -1);
    if (id == NULL || strlen(id) >= UUID_HEX || topic == NULL || json_text_at(request, "body") == NULL ||
        (exchange == NULL && kind != WIRE_REPLY) || (kind == WIRE_SERVER && server == NULL))
        return 400;
    if (is_known(hub, id))
        return 200;
    if (kind == WIRE_FANOUT) {
        send_fanout(hub, request, exchange, topic);
    } else if (kind == WIRE_REPLY) {
        struct session *s = find_session(hub, topic);
        if (s == NULL)
            return 404;
        put_own(s, item_create(hub, request), -1);
    } else if (kind == WIRE_TOPIC || kind == WIRE_SERVER) {
        struct queue *q = queue_of(hub, exchange, topic, kind == WIRE_SERVER ? server : NULL, false);
        if (q == NULL) /* who serves it may not have registered yet */
            return clock_monotonic_us() < hub->start_us + SETTLING_S * 1000000LL ? 503 : 404;
        if (q->count >= QUEUED)
            return 503;
        put(q, item_create(hub, request));
    } else {
        return 400;
    }
    strcpy(hub->seen[hub->seen_at++ % SEEN], id);
    pthread_cond_broadcast(&hub->wake);
    return 200;
}

int hub_handle(struct hub *hub, const char *what, const json_t *request, json_t **ret)
{
    bool is_receive = strcmp(what, "receive") == 0, is_serve = strcmp(what, "serve") == 0;
    int status = 404;
    *ret = json_object();
    if (!json_is_object(request) || (strcmp(what, "send") != 0 && json_text_at(request, "session") == NULL) ||
        ((is_receive || is_serve) && !valid_serves(json_object_get(request, "serves"))))
        return 400;
    pthread_mutex_lock(&hub->lock);
    if (is_receive)
        status = receive(hub, request, *ret);
    else if (is_serve)
        status = serve(hub, request);
    else if (strcmp(what, "send") == 0)
        status = send(hub, request);
    else if (strcmp(what, "done") == 0)
        status = done(hub, request);
    else if (strcmp(what, "bye") == 0)
        status = bye(hub, request);
    pthread_mutex_unlock(&hub->lock);
    return status;
}

/* ---- life ---- */

struct hub *hub_create(void)
{
    struct hub *hub = zeroed(sizeof(*hub));
    clock_condition_init(&hub->wake);
    pthread_mutex_init(&hub->lock, NULL);
    random_bytes(&hub->last_tag, sizeof(hub->last_tag));
    hub->last_tag >>= 16; /* tags of the hub before mean nothing here; JSON's integers have a sign */
    hub->start_us = clock_monotonic_us();
    return hub;
}

void hub_stop(struct hub *hub)
{
    pthread_mutex_lock(&hub->lock);
    hub->stopping = true;
    pthread_cond_broadcast(&hub->wake);
    pthread_mutex_unlock(&hub->lock);
}

void hub_destroy(struct hub *hub)
{
    struct map_entry *entry;
    while (hub->sessions != NULL)
        session_end(hub, hub->sessions);
    for (size_t at = 0; (entry = map_next(&hub->queues, &at)) != NULL;) {
        queue_clear(entry->value);
        free(entry->value);
    }
    map_release(&hub->queues);
    pthread_cond_destroy(&hub->wake);
    pthread_mutex_destroy(&hub->lock);
    free(hub);
}
