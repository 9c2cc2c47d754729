/* SPDX-License-Identifier: Apache-2.0
 * consumer: the half that receives: the queues of this process's servers, and its reply queue.
 *
 * Its thread alone uses the connection. Others leave what they want (a server more or less, a message to take off the wire)
 * in lists and wake it. After a reconnection everything is declared again; the broker then delivers again what was not
 * taken off, under a new generation. */
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/work.h"
#include "oslo/messaging/amqp/driver.h"

#include <amqp_framing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DECLARE_PATIENCE_MS = 10000, READY_PATIENCE_MS = 1000, IDLE_MS = 1000, QUEUES = 3, SICK_QUEUE_S = 60 };

/* One server: its queues topic, topic.server and topic_fanout_UUID. */
struct binding {
    struct binding *next;
    struct server *server;
    unsigned long id; /* consumer tags are "ID.0" to "ID.2" */
    char *exchange, *topic, *queues[QUEUES];
    bool consumed[QUEUES];
    int64_t sick_until_us[QUEUES]; /* the broker does not answer for this queue: the others go on without it until then */
    bool declared, closing;
};

struct settled {
    struct settled *next;
    struct delivery delivery;
    bool handled;
};

struct consumer {
    struct amqp_wire *wire;
    struct link link;
    uintptr_t thread;
    pthread_mutex_t lock; /* bindings; held while a message is handed to its server */
    pthread_cond_t declared;
    struct binding *bindings;
    unsigned long last_id;
    pthread_mutex_t settle_lock; /* servers call consumer_done() under a lock of theirs */
    struct settled *settled, **settled_end;
    uint32_t generation;
    bool ready; /* the reply queue is consumed */
};

static void binding_free(struct binding *b)
{
    for (int i = 0; i < QUEUES; i++)
        free(b->queues[i]);
    free(b->exchange);
    free(b->topic);
    free(b);
}

/* ---- with the connection ---- */

static bool consume(struct consumer *c, const char *queue, const char *tag)
{
    amqp_table_entry_t entry = { .key = amqp_cstring_bytes("x-cancel-on-ha-failover"),
        .value = { .kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = 1 } };
    const amqp_table_t arguments = { c->link.broker->cancel_on_failover ? 1 : 0, &entry };
    amqp_basic_consume(c->link.state, CHANNEL_WORK, amqp_cstring_bytes(queue), amqp_cstring_bytes(tag), 0, 0, 0, arguments);
    return link_ok(&c->link, amqp_get_rpc_reply(c->link.state), "basic.consume");
}

static bool consume_queue(struct consumer *c, struct binding *b, int i, const char *fanout)
{
    bool own = i == QUEUES - 1;
    char tag[32];
    snprintf(tag, sizeof(tag), "%lu.%d", b->id, i);
    int64_t begin_us = clock_monotonic_us();
    b->consumed[i] = link_declare_queue(&c->link, b->queues[i], own) &&
        link_bind(&c->link, b->queues[i], own ? fanout : b->exchange, own ? b->topic : b->queues[i]) && consume(c,
            b->queues[i], tag);
    int64_t now = clock_monotonic_us();
    if (!b->consumed[i] && now - begin_us >= LINK_RPC_S * 1000000LL) {
        log_error("oslo.messaging", "RabbitMQ does not answer for the queue %s: it is left out for %d s", b->queues[i],
            SICK_QUEUE_S);
        b->sick_until_us[i] = now + SICK_QUEUE_S * 1000000LL;
    }
    return b->consumed[i];
}

static bool declare_binding(struct consumer *c, struct binding *b)
{
    const struct broker *broker = c->link.broker;
    char fanout[300];
    snprintf(fanout, sizeof(fanout), "%s_fanout", b->topic);
    if (!link_declare_exchange(&c->link, b->exchange, "topic", broker->durable, broker->auto_delete) ||
        !link_declare_exchange(&c->link, fanout, "fanout", false, true))
        return false;
    for (int i = 0; i < QUEUES; i++)
        if (!b->consumed[i] && b->sick_until_us[i] <= clock_monotonic_us() && !consume_queue(c, b, i, fanout))
            return false;
    return true;
}

static bool close_binding(struct consumer *c, struct binding *b)
{
    char tag[32];
    for (int i = 0; i < QUEUES && b->declared; i++) {
        if (!b->consumed[i])
            continue;
        snprintf(tag, sizeof(tag), "%lu.%d", b->id, i);
        amqp_basic_cancel(c->link.state, CHANNEL_WORK, amqp_cstring_bytes(tag));
        if (!link_ok(&c->link, amqp_get_rpc_reply(c->link.state), "basic.cancel"))
            return false;
    }
    if (b->declared) {
        amqp_queue_delete(c->link.state, c->link.declare_channel, amqp_cstring_bytes(b->queues[QUEUES - 1]), 0, 0);
        return link_ok(&c->link, amqp_get_rpc_reply(c->link.state), "queue.delete");
    }
    return true;
}

static bool is_complete(const struct binding *b, int64_t now)
{
    bool complete = b->declared;
    for (int i = 0; i < QUEUES; i++)
        complete = complete && (b->consumed[i] || b->sick_until_us[i] > now);
    return complete;
}

/* The next binding that has something to do, taken out of the list when it goes. Only this thread removes bindings. */
static struct binding *next_change(struct consumer *c)
{
    int64_t now = clock_monotonic_us();
    pthread_mutex_lock(&c->lock);
    struct binding **at = &c->bindings;
    while (*at != NULL && is_complete(*at, now) && !(*at)->closing)
        at = &(*at)->next;
    struct binding *b = *at;
    if (b != NULL && b->closing)
        *at = b->next;
    pthread_mutex_unlock(&c->lock);
    return b;
}

static bool follow_changes(struct consumer *c)
{
    struct binding *b;
    while ((b = next_change(c)) != NULL) {
        bool going = b->closing, ok = going ? close_binding(c, b) : declare_binding(c, b);
        if (going) {
            binding_free(b);
        } else if (ok) {
            pthread_mutex_lock(&c->lock);
            b->declared = true;
            pthread_cond_broadcast(&c->declared);
            pthread_mutex_unlock(&c->lock);
        }
        if (!ok)
            return false;
    }
    return true;
}

static bool settle(struct consumer *c)
{
    pthread_mutex_lock(&c->settle_lock);
    struct settled *list = c->settled;
    c->settled = NULL;
    c->settled_end = &c->settled;
    pthread_mutex_unlock(&c->settle_lock);
    int status = AMQP_STATUS_OK;
    while (list != NULL) {
        struct settled *s = list;
        list = s->next;
        if (status == AMQP_STATUS_OK && s->delivery.generation == c->generation)
            status = s->handled ? amqp_basic_ack(c->link.state, CHANNEL_WORK, s->delivery.tag, 0)
                : amqp_basic_nack(c->link.state, CHANNEL_WORK, s->delivery.tag, 0, 1);
        free(s);
    }
    if (status != AMQP_STATUS_OK)
        snprintf(c->link.error, sizeof(c->link.error), "basic.ack: %s", amqp_error_string2(status));
    return status == AMQP_STATUS_OK;
}

static bool deliver(struct consumer *c, const amqp_envelope_t *envelope)
{
    const amqp_bytes_t *body = &envelope->message.body;
    struct delivery delivery = { envelope->delivery_tag, c->generation };
    if (envelope->consumer_tag.len == 5 && memcmp(envelope->consumer_tag.bytes, "reply", 5) == 0) {
        transport_answer(c->wire->transport, body->bytes, body->len);
        return amqp_basic_ack(c->link.state, CHANNEL_WORK, envelope->delivery_tag, 0) == AMQP_STATUS_OK;
    }
    char tag[32];
    snprintf(tag, sizeof(tag), "%.*s", (int)envelope->consumer_tag.len, (char *)envelope->consumer_tag.bytes);
    unsigned long id = strtoul(tag, NULL, 10);
    pthread_mutex_lock(&c->lock);
    struct binding *b = c->bindings;
    while (b != NULL && b->id != id)
        b = b->next;
    bool there = b != NULL && !b->closing;
    if (there)
        server_deliver(b->server, body->bytes, body->len, delivery);
    pthread_mutex_unlock(&c->lock);
    return there || amqp_basic_nack(c->link.state, CHANNEL_WORK, envelope->delivery_tag, 0, 1) == AMQP_STATUS_OK;
}

/* A frame that is no delivery: a cancelled consumer or a closed channel ends this connection; all else is passed over. */
static bool other_frame(struct consumer *c)
{
    amqp_frame_t frame;
    struct timeval now = { 0 };
    int status = amqp_simple_wait_frame_noblock(c->link.state, &frame, &now);
    if (status == AMQP_STATUS_TIMEOUT)
        return true;
    const char *why = status != AMQP_STATUS_OK ? amqp_error_string2(status) : NULL;
    if (status == AMQP_STATUS_OK && frame.frame_type == AMQP_FRAME_METHOD) {
        if (frame.payload.method.id == AMQP_BASIC_CANCEL_METHOD) {
            why = "a queue went away";
            clock_sleep_ms(c->link.broker->cancel_delay_ms);
        } else if (frame.payload.method.id == AMQP_CHANNEL_CLOSE_METHOD) {
            why = "the broker closed the channel";
        } else if (frame.payload.method.id == AMQP_CONNECTION_CLOSE_METHOD) {
            why = "the broker closed the connection";
        }
    }
    if (why != NULL)
        snprintf(c->link.error, sizeof(c->link.error), "%s", why);
    return why == NULL;
}

/* Reads all that has arrived. */
static bool receive(struct consumer *c)
{
    for (;;) {
        amqp_envelope_t envelope;
        struct timeval now = { 0 };
        amqp_maybe_release_buffers(c->link.state);
        amqp_rpc_reply_t reply = amqp_consume_message(c->link.state, &envelope, &now, 0);
        if (reply.reply_type == AMQP_RESPONSE_NORMAL) {
            bool ok = deliver(c, &envelope);
            amqp_destroy_envelope(&envelope);
            if (!ok) {
                snprintf(c->link.error, sizeof(c->link.error), "basic.ack: the connection is gone");
                return false;
            }
            continue;
        }
        if (link_status(&reply) == AMQP_STATUS_TIMEOUT)
            return true;
        if (link_status(&reply) != AMQP_STATUS_UNEXPECTED_STATE)
            return link_ok(&c->link, reply, "consume");
        if (!other_frame(c))
            return false;
    }
}

static bool connect_all(struct consumer *c)
{
    const char *queue = c->wire->reply_queue;
    if (!link_open(&c->link))
        return false;
    c->generation++;
    pthread_mutex_lock(&c->lock);
    for (struct binding *b = c->bindings; b != NULL; b = b->next) {
        b->declared = false;
        memset(b->consumed, 0, sizeof(b->consumed));
    }
    pthread_mutex_unlock(&c->lock);
    amqp_basic_qos(c->link.state, CHANNEL_WORK, 0, (uint16_t)c->link.broker->prefetch, 0);
    if (!link_ok(&c->link, amqp_get_rpc_reply(c->link.state), "basic.qos") || !link_declare_queue(&c->link, queue, true) ||
        !consume(c, queue, "reply"))
        return false;
    pthread_mutex_lock(&c->lock);
    c->ready = true;
    pthread_cond_broadcast(&c->declared);
    pthread_mutex_unlock(&c->lock);
    return true;
}

static void run(void *argument)
{
    struct consumer *c = argument;
    int heartbeat_ms = c->link.broker->heartbeat_s * 500;
    int idle_ms = heartbeat_ms > 0 && heartbeat_ms < IDLE_MS ? heartbeat_ms : IDLE_MS;
    while (!atomic_load(&c->link.stopping)) {
        bool ok = c->link.state != NULL || connect_all(c);
        ok = ok && follow_changes(c) && settle(c) && receive(c);
        if (ok) {
            link_wait(&c->link, idle_ms);
            continue;
        }
        int64_t until_us = clock_monotonic_us() + link_failed(&c->link) * 1000LL;
        while (!atomic_load(&c->link.stopping) && clock_monotonic_us() < until_us)
            link_wait(&c->link, (int)((until_us - clock_monotonic_us()) / 1000) + 1);
    }
    if (c->link.state != NULL && follow_changes(c))
        settle(c);
}

/* ---- from other threads ---- */

static void wait_declared(struct consumer *c, const bool *what, int patience_ms)
{
    int64_t until_us = clock_monotonic_us() + patience_ms * 1000LL;
    while (!*what && clock_wait(&c->declared, &c->lock, until_us))
        continue;
}

struct consumer *consumer_create(struct amqp_wire *wire)
{
    struct consumer *c = calloc(1, sizeof(*c));
    if (c == NULL)
        abort();
    c->wire = wire;
    c->settled_end = &c->settled;
    pthread_mutex_init(&c->lock, NULL);
    pthread_mutex_init(&c->settle_lock, NULL);
    clock_condition_init(&c->declared);
    link_init(&c->link, wire->broker, "consumer");
    c->thread = work_thread_start("amqp-consumer", run, c);
    pthread_mutex_lock(&c->lock); /* answers need their queue before the first call leaves */
    wait_declared(c, &c->ready, READY_PATIENCE_MS); /* a caller may be waiting, and replies are tried again */
    pthread_mutex_unlock(&c->lock);
    return c;
}

void consumer_destroy(struct consumer *c)
{
    atomic_store(&c->link.stopping, true);
    link_wake(&c->link);
    work_thread_join(c->thread);
    link_release(&c->link);
    while (c->bindings != NULL) {
        struct binding *b = c->bindings;
        c->bindings = b->next;
        binding_free(b);
    }
    while (c->settled != NULL) {
        struct settled *s = c->settled;
        c->settled = s->next;
        free(s);
    }
    free(c);
}

static char *join(const char *format, const char *a, const char *b)
{
    char *text;
    if (asprintf(&text, format, a, b) < 0)
        abort();
    return text;
}

void consumer_serve(struct consumer *c, const char *exchange, const char *topic, const char *name, struct server *server)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct binding *b = calloc(1, sizeof(*b));
    if (b == NULL)
        abort();
    b->server = server;
    b->exchange = strdup(exchange);
    b->topic = strdup(topic);
    b->queues[0] = strdup(topic);
    b->queues[1] = join("%s.%s", topic, name);
    b->queues[2] = join("%s_fanout_%s", topic, uuid_new_hex(arena));
    pthread_mutex_lock(&c->lock);
    b->id = ++c->last_id;
    b->next = c->bindings;
    c->bindings = b;
    link_wake(&c->link);
    wait_declared(c, &b->declared, DECLARE_PATIENCE_MS);
    bool declared = b->declared;
    pthread_mutex_unlock(&c->lock);
    if (!declared)
        log_warning("oslo.messaging", "%s on %s is served as soon as RabbitMQ is there", topic, name);
}

void consumer_unserve(struct consumer *c, const struct server *server)
{
    pthread_mutex_lock(&c->lock);
    for (struct binding *b = c->bindings; b != NULL; b = b->next)
        if (b->server == server)
            b->closing = true;
    pthread_mutex_unlock(&c->lock);
    link_wake(&c->link);
}

void consumer_done(struct consumer *c, struct delivery delivery, bool handled)
{
    struct settled *s = calloc(1, sizeof(*s));
    if (s == NULL)
        abort();
    s->delivery = delivery;
    s->handled = handled;
    pthread_mutex_lock(&c->settle_lock);
    bool first = c->settled == NULL;
    *c->settled_end = s;
    c->settled_end = &s->next;
    pthread_mutex_unlock(&c->settle_lock);
    if (first)
        link_wake(&c->link);
}
