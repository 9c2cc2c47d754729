/* SPDX-License-Identifier: Apache-2.0
 * hub: queues, sessions and who takes what. See hub.h. */
#include "oslo/messaging/http/hub.h"

#include "base/clock.h"
#include "base/map.h"
#include "base/random.h"
#include "oslo/json.h"
#include "oslo/messaging/wire.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { AT_ONCE = 64, UNHANDLED = 256, QUEUED = 100000, LOST_S = 12, HUNG_UP_S = 2, LOOK_MS = 1000, FORGET_S = 3600,
    SETTLING_S = 5, WAIT_MS = 30000, SEEN_SETS = 8192, SEEN_WAYS = 8, SETTLED_AT_ONCE = 256 };

/* What its sender keeps until every copy of it was handled. */
struct receipt {
    char *sender; /* its session; NULL: nobody keeps it */
    uint64_t tag;
    unsigned copies;
};

struct item {
    struct item *next;
    struct receipt *receipt;
    json_t *request;    /* as it was sent: a hub after this one gets it so */
    int64_t expires_us; /* 0: never */
    int place;          /* in a session's own queue: which of its servers it is for; -1: an answer */
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
    int64_t hung_up_us;     /* when the connection on which it waited was found closed; 0: it was heard of since */
    json_t *serves;
    json_int_t change;      /* the process's number of that */
    struct queue own;       /* answers, fanout */
    struct queue told;      /* those of them that are in the last answer */
    struct taken *taken;
    size_t taken_count;
    bool waiting, changed;  /* changed: a wait is to end, so that it begins anew */
    bool caught_up;         /* has what was fanned out before it was known here */
    json_t *settled;        /* tags of its own messages that were handled, to be told */
    json_t *answer;         /* the last one with something in it: told again until the next request says that it was heard */
    int64_t number;         /* of that answer */
};

struct hub {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct map queues;      /* "exchange/topic" and "exchange/topic.server" -> struct queue */
    struct session *sessions;
    int64_t instance;       /* which hub this is: its senders notice another one */
    int64_t start_us;
    uint64_t seen[SEEN_SETS][SEEN_WAYS]; /* tags of the last messages, shifted left, and whether they were handled: a sender
                                          * that got no answer, or had another hub before, sends again */
    uint8_t seen_at[SEEN_SETS];
    json_t *early;          /* requests fanned out while not everybody may be known yet */
    bool stopping, draining;
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

/* ---- what was seen ---- */

/* A message is the same under every hub: its tag comes from its id. 0: that is no id. */
static uint64_t tag_of(const char *id)
{
    char digits[16];
    if (id == NULL || strlen(id) != UUID_HEX - 1 || strspn(id, "0123456789abcdef") != UUID_HEX - 1)
        return 0;
    memcpy(digits, id, sizeof(digits) - 1);
    digits[sizeof(digits) - 1] = '\0';
    return strtoull(digits, NULL, 16);
}

static uint64_t *find_seen(struct hub *hub, uint64_t tag)
{
    uint64_t *set = hub->seen[tag % SEEN_SETS];
    for (size_t i = 0; i < SEEN_WAYS; i++)
        if (set[i] >> 1 == tag)
            return &set[i];
    return NULL;
}

static void note_seen(struct hub *hub, uint64_t tag, bool handled)
{
    uint64_t *at = find_seen(hub, tag);
    if (at == NULL)
        at = &hub->seen[tag % SEEN_SETS][hub->seen_at[tag % SEEN_SETS]++ % SEEN_WAYS];
    *at = tag << 1 | handled;
}

/* ---- queues ---- */

static struct session *find_session(struct hub *hub, const char *id)
{
    struct session *s = hub->sessions;
    while (s != NULL && strcmp(s->id, id) != 0)
        s = s->next;
    return s;
}

static void tell_sender(struct hub *hub, const char *sender, uint64_t tag)
{
    struct session *s = sender != NULL ? find_session(hub, sender) : NULL;
    if (s == NULL)
        return;
    json_array_append_new(s->settled, json_integer((json_int_t)tag));
    if (json_array_size(s->settled) >= SETTLED_AT_ONCE)
        pthread_cond_broadcast(&hub->wake);
}

static void receipt_release(struct hub *hub, struct receipt *receipt)
{
    if (--receipt->copies > 0)
        return;
    note_seen(hub, receipt->tag, true);
    tell_sender(hub, receipt->sender, receipt->tag);
    free(receipt->sender);
    free(receipt);
}

static struct receipt *receipt_create(const json_t *request)
{
    struct receipt *receipt = zeroed(sizeof(*receipt));
    const char *sender = json_text_at(request, "session");
    receipt->sender = sender != NULL ? copy(sender) : NULL;
    receipt->tag = tag_of(json_text_at(request, "id"));
    receipt->copies = 1; /* whoever makes it */
    return receipt;
}

static struct item *item_create(struct receipt *receipt, json_t *request, int place)
{
    struct item *item = zeroed(sizeof(*item));
    int64_t ttl_ms = json_int_at(request, "ttl_ms", 0);
    item->receipt = receipt;
    receipt->copies++;
    item->request = json_incref(request);
    item->expires_us = ttl_ms > 0 && ttl_ms < 86400000 ? clock_monotonic_us() + ttl_ms * 1000 : 0;
    item->place = place;
    return item;
}

/* It was handled, or nobody needs it any more. */
static void item_free(struct hub *hub, struct item *item)
{
    receipt_release(hub, item->receipt);
    json_decref(item->request);
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

static struct item *pop(struct queue *q)
{
    struct item *item = q->first;
    if (item == NULL)
        return NULL;
    q->first = item->next;
    if (q->first == NULL)
        q->last = &q->first;
    q->count--;
    return item;
}

static struct item *get(struct hub *hub, struct queue *q, int64_t now)
{
    struct item *item;
    while ((item = pop(q)) != NULL) {
        if (item->expires_us == 0 || item->expires_us > now)
            return item;
        item_free(hub, item);
    }
    return NULL;
}

static void queue_clear(struct hub *hub, struct queue *q)
{
    struct item *item;
    while ((item = pop(q)) != NULL)
        item_free(hub, item);
}

/* Takes a message out of a queue, wherever in it; false: it is not there. */
static bool queue_drop(struct hub *hub, struct queue *q, uint64_t tag)
{
    struct queue rest = { 0 };
    struct item *item;
    bool found = false;
    while ((item = pop(q)) != NULL) {
        if (item->receipt->tag == tag) {
            item_free(hub, item);
            found = true;
        } else {
            put(&rest, item);
        }
    }
    *q = rest;
    if (q->first == NULL)
        q->last = &q->first;
    return found;
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

/* ---- sessions ---- */

static void give_back(struct hub *hub, struct session *s)
{
    struct item *item;
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
    while ((item = pop(&s->told)) != NULL)
        put_back(&s->own, item);
}

static void session_end(struct hub *hub, struct session *s)
{
    struct session **at = &hub->sessions;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    give_back(hub, s);
    queue_clear(hub, &s->own);
    json_decref(s->serves);
    json_decref(s->settled);
    free(s->id);
    free(s);
}

/* A process that was killed hangs up; one whose connection was cut comes back at once. */
static bool lost(const struct session *s, int64_t now)
{
    return !s->waiting && (s->seen_us < now - LOST_S * 1000000LL ||
        (s->hung_up_us != 0 && s->hung_up_us < now - HUNG_UP_S * 1000000LL));
}

/* Who was not heard of for a while has lost what it took; who was not for long is forgotten. */
static void look_after(struct hub *hub)
{
    int64_t now = clock_monotonic_us();
    for (struct session *s = hub->sessions; s != NULL;) {
        struct session *next = s->next;
        if (lost(s, now))
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

static struct session *session_of(struct hub *hub, const char *id)
{
    struct session *s = find_session(hub, id);
    if (s == NULL) {
        s = zeroed(sizeof(*s));
        s->id = copy(id);
        s->serves = json_array();
        s->settled = json_array();
        s->next = hub->sessions;
        hub->sessions = s;
    }
    s->seen_us = clock_monotonic_us();
    s->hung_up_us = 0;
    return s;
}

static void fan_out_to(struct session *s, struct receipt *receipt, json_t *request)
{
    const char *exchange = json_text_at(request, "exchange"), *topic = json_text_at(request, "topic");
    for (size_t i = 0; i < json_array_size(s->serves); i++)
        if (strcmp(served(s, i, 0), exchange) == 0 && strcmp(served(s, i, 1), topic) == 0 && s->own.count < QUEUED)
            put(&s->own, item_create(receipt, request, place(s, i)));
}

/* Who comes back to a hub that has just begun gets what was fanned out meanwhile. */
static void catch_up(struct hub *hub, struct session *s)
{
    if (s->caught_up || json_array_size(s->serves) == 0)
        return;
    s->caught_up = true;
    for (size_t i = 0; i < json_array_size(hub->early); i++) {
        struct receipt *receipt = receipt_create(json_array_get(hub->early, i));
        free(receipt->sender);
        receipt->sender = NULL;
        fan_out_to(s, receipt, json_array_get(hub->early, i));
        receipt_release(hub, receipt);
    }
}

static struct session *enter(struct hub *hub, const json_t *request)
{
    struct session *s = session_of(hub, json_text_at(request, "session"));
    json_int_t change = json_int_at(request, "change", 0);
    if (change >= s->change) { /* else a request that was under way while another one told of more */
        json_decref(s->serves);
        s->serves = json_incref(json_object_get(request, "serves"));
        s->change = change;
    }
    for (size_t i = 0; i < json_array_size(s->serves); i++) {
        queue_of(hub, served(s, i, 0), served(s, i, 1), NULL, true);
        queue_of(hub, served(s, i, 0), served(s, i, 1), served(s, i, 2), true);
    }
    catch_up(hub, s);
    return s;
}

/* ---- requests ---- */

static void hand_on(json_t *to, const struct item *item, int at, uint64_t tag)
{
    json_array_append_new(to, json_pack("[I, i, O]", (json_int_t)tag, at, json_object_get(item->request, "body")));
}

static void take(struct hub *hub, struct session *s, struct queue *q, int at, json_t *to)
{
    struct item *item;
    int64_t now = clock_monotonic_us();
    while (json_array_size(to) < AT_ONCE && s->taken_count < UNHANDLED && (item = get(hub, q, now)) != NULL) {
        hand_on(to, item, at, item->receipt->tag);
        struct taken *t = zeroed(sizeof(*t));
        *t = (struct taken){ s->taken, item, q };
        s->taken = t;
        s->taken_count++;
    }
}

/* Answers and fanout: nobody says of them that they were handled, only that they arrived. Another hub that heard of one of
 * those whom a message was for would keep it from the others. */
static void take_own(struct hub *hub, struct session *s, json_t *to)
{
    struct item *item;
    while (json_array_size(to) < AT_ONCE && (item = get(hub, &s->own, clock_monotonic_us())) != NULL) {
        hand_on(to, item, item->place, 0);
        put(&s->told, item);
    }
}

static void take_all(struct hub *hub, struct session *s, json_t *to)
{
    if (hub->draining)
        return;
    take_own(hub, s, to);
    for (size_t i = 0; i < json_array_size(s->serves); i++) {
        take(hub, s, queue_of(hub, served(s, i, 0), served(s, i, 1), served(s, i, 2), true), place(s, i), to);
        take(hub, s, queue_of(hub, served(s, i, 0), served(s, i, 1), NULL, true), place(s, i), to);
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

/* By the socket alone: with TLS its last bytes are not ours to read. */
static bool hung_up(int fd)
{
    struct pollfd at = { .fd = fd, .events = POLLRDHUP };
    return poll(&at, 1, 0) > 0;
}

/* Fills `messages` as soon as there are any; false: nobody is there any more to have them. */
static bool wait_for_messages(struct hub *hub, struct session *s, int fd, int64_t until_us, json_t *messages)
{
    for (;;) {
        if (hung_up(fd))
            return false;
        look_after(hub);
        take_all(hub, s, messages);
        int64_t now = clock_monotonic_us(), look_us = now + LOOK_MS * 1000LL;
        if (json_array_size(messages) > 0 || json_array_size(s->settled) >= SETTLED_AT_ONCE || s->changed || hub->stopping ||
            now >= until_us)
            return true;
        clock_wait(&hub->wake, &hub->lock, look_us < until_us ? look_us : until_us);
    }
}

static int receive(struct hub *hub, const json_t *request, int fd, json_t *answer)
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
    queue_clear(hub, &s->told);
    s->waiting = true;
    s->changed = false;
    json_t *messages = json_array();
    bool there = wait_for_messages(hub, s, fd, until_us, messages);
    s->waiting = false;
    s->seen_us = clock_monotonic_us();
    s->hung_up_us = there ? 0 : s->seen_us;
    json_object_set_new(answer, "messages", messages);
    json_object_set_new(answer, "settled", s->settled);
    s->settled = json_array();
    json_object_set_new(answer, "hub", json_integer(hub->instance));
    json_object_set_new(answer, "number", json_integer(s->number + 1));
    if (json_array_size(messages) > 0 || json_array_size(json_object_get(answer, "settled")) > 0) {
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

/* It was taken from a hub before this one, or from a session that was thought lost: it need not be handled again. */
static void handled_elsewhere(struct hub *hub, uint64_t tag)
{
    struct map_entry *entry;
    for (size_t at = 0; (entry = map_next(&hub->queues, &at)) != NULL;)
        if (queue_drop(hub, entry->value, tag))
            return;
    if (find_seen(hub, tag) == NULL)
        note_seen(hub, tag, true);
}

static void settle(struct hub *hub, struct session *s, uint64_t tag, bool handled)
{
    struct taken **at = &s->taken;
    while (*at != NULL && (*at)->item->receipt->tag != tag)
        at = &(*at)->next;
    struct taken *t = *at;
    if (t == NULL) {
        if (handled && tag != 0)
            handled_elsewhere(hub, tag);
        return;
    }
    *at = t->next;
    s->taken_count--;
    if (handled)
        item_free(hub, t->item);
    else
        put_back(t->from, t->item);
    free(t);
}

static int done(struct hub *hub, const json_t *request)
{
    struct session *s = session_of(hub, json_text_at(request, "session"));
    const json_t *list = json_object_get(request, "done");
    for (size_t i = 0; i < json_array_size(list); i++)
        settle(hub, s, (uint64_t)json_integer_value(json_array_get(json_array_get(list, i), 0)),
            json_is_true(json_array_get(json_array_get(list, i), 1)));
    pthread_cond_broadcast(&hub->wake);
    return 200;
}

static int bye(struct hub *hub, const json_t *request)
{
    struct session *s = find_session(hub, json_text_at(request, "session"));
    if (s == NULL)
        return 200;
    give_back(hub, s);
    queue_clear(hub, &s->own);
    s->changed = true;
    json_decref(s->serves);
    s->serves = json_array();
    s->seen_us = s->waiting ? s->seen_us : 0;
    pthread_cond_broadcast(&hub->wake);
    return 200;
}

static bool settling(const struct hub *hub)
{
    return clock_monotonic_us() < hub->start_us + SETTLING_S * 1000000LL;
}

static void send_fanout(struct hub *hub, struct receipt *receipt, json_t *request)
{
    for (struct session *s = hub->sessions; s != NULL; s = s->next)
        fan_out_to(s, receipt, request);
    if (settling(hub))
        json_array_append(hub->early, request);
    else
        json_array_clear(hub->early);
}

static int place_message(struct hub *hub, struct receipt *receipt, json_t *request)
{
    const char *topic = json_text_at(request, "topic"), *exchange = json_text_at(request, "exchange");
    enum wire_kind kind = (enum wire_kind)json_int_at(request, "kind", -1);
    if (kind == WIRE_FANOUT) {
        send_fanout(hub, receipt, request);
        return 200;
    }
    if (kind == WIRE_REPLY) {
        struct session *s = find_session(hub, topic);
        if (s == NULL)
            return settling(hub) ? 503 : 404;
        put(&s->own, item_create(receipt, request, -1));
        return 200;
    }
    const char *server = kind == WIRE_SERVER ? json_text_at(request, "server") : NULL;
    struct queue *q = queue_of(hub, exchange, topic, server, json_is_true(json_object_get(request, "again")));
    if (q == NULL) /* who serves it may not have registered yet */
        return settling(hub) ? 503 : 404;
    if (q->count >= QUEUED)
        return 503;
    put(q, item_create(receipt, request, 0));
    return 200;
}

static bool valid_message(const json_t *request)
{
    enum wire_kind kind = (enum wire_kind)json_int_at(request, "kind", -1);
    return tag_of(json_text_at(request, "id")) != 0 && json_text_at(request, "topic") != NULL &&
        json_text_at(request, "body") != NULL && (kind == WIRE_REPLY || json_text_at(request, "exchange") != NULL) &&
        (kind != WIRE_SERVER || json_text_at(request, "server") != NULL) &&
        (kind == WIRE_TOPIC || kind == WIRE_SERVER || kind == WIRE_FANOUT || kind == WIRE_REPLY);
}

static int take_in(struct hub *hub, json_t *request, json_t *answer)
{
    uint64_t tag = tag_of(json_text_at(request, "id"));
    const char *sender = json_text_at(request, "session");
    if (!valid_message(request))
        return 400;
    if (hub->draining)
        return 503;
    json_object_set_new(answer, "hub", json_integer(hub->instance));
    if (sender != NULL)
        session_of(hub, sender);
    const uint64_t *seen = find_seen(hub, tag);
    if (seen != NULL) {
        if (*seen & 1)
            tell_sender(hub, sender, tag);
        return 200;
    }
    struct receipt *receipt = receipt_create(request);
    int status = place_message(hub, receipt, request);
    if (status == 200) {
        note_seen(hub, tag, false);
        receipt_release(hub, receipt);
    } else {
        free(receipt->sender);
        free(receipt);
    }
    pthread_cond_broadcast(&hub->wake);
    return status;
}

int hub_handle(struct hub *hub, const char *what, json_t *request, int fd, json_t **ret)
{
    bool is_receive = strcmp(what, "receive") == 0, is_serve = strcmp(what, "serve") == 0;
    int status = 404;
    *ret = json_object();
    if (!json_is_object(request) || (strcmp(what, "send") != 0 && json_text_at(request, "session") == NULL) ||
        ((is_receive || is_serve) && !valid_serves(json_object_get(request, "serves"))))
        return 400;
    pthread_mutex_lock(&hub->lock);
    if (is_receive)
        status = receive(hub, request, fd, *ret);
    else if (is_serve)
        status = serve(hub, request);
    else if (strcmp(what, "send") == 0)
        status = take_in(hub, request, *ret);
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
    uint64_t instance;
    clock_condition_init(&hub->wake);
    pthread_mutex_init(&hub->lock, NULL);
    random_bytes(&instance, sizeof(instance));
    hub->instance = (int64_t)(instance >> 8) + 1; /* JSON's integers have a sign; 0 is none */
    hub->early = json_array();
    hub->start_us = clock_monotonic_us();
    return hub;
}

static bool any_taken(const struct hub *hub)
{
    for (const struct session *s = hub->sessions; s != NULL; s = s->next)
        if (s->taken != NULL)
            return true;
    return false;
}

void hub_drain(struct hub *hub, int timeout_ms)
{
    int64_t until_us = clock_monotonic_us() + (int64_t)timeout_ms * 1000;
    pthread_mutex_lock(&hub->lock);
    hub->draining = true;
    while (any_taken(hub) && clock_monotonic_us() < until_us)
        clock_wait(&hub->wake, &hub->lock, until_us);
    pthread_mutex_unlock(&hub->lock);
}

void hub_stop(struct hub *hub)
{
    pthread_mutex_lock(&hub->lock);
    hub->stopping = true;
    pthread_cond_broadcast(&hub->wake);
    pthread_mutex_unlock(&hub->lock);
}

static void leave(struct hub *hub, struct queue *q, json_t *to)
{
    struct item *item;
    int64_t now = clock_monotonic_us();
    while ((item = get(hub, q, now)) != NULL) {
        json_array_append(to, item->request);
        item_free(hub, item);
    }
}

json_t *hub_take_left(struct hub *hub)
{
    struct map_entry *entry;
    json_t *left = json_array();
    for (struct session *s = hub->sessions; s != NULL; s = s->next) {
        give_back(hub, s);
        leave(hub, &s->own, left);
    }
    for (size_t at = 0; (entry = map_next(&hub->queues, &at)) != NULL;)
        leave(hub, entry->value, left);
    return left;
}

void hub_destroy(struct hub *hub)
{
    struct map_entry *entry;
    while (hub->sessions != NULL)
        session_end(hub, hub->sessions);
    for (size_t at = 0; (entry = map_next(&hub->queues, &at)) != NULL;) {
        queue_clear(hub, entry->value);
        free(entry->value);
    }
    map_release(&hub->queues);
    json_decref(hub->early);
    pthread_cond_destroy(&hub->wake);
    pthread_mutex_destroy(&hub->lock);
    free(hub);
}
