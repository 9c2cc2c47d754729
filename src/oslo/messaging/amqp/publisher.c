/* SPDX-License-Identifier: Apache-2.0
 * publisher: the half that sends. Its thread publishes whatever has gathered and reads the broker's confirms in bulk; a
 * sender waits for the confirm of its own message, and with it all others that were under way.
 *
 * A message belongs to the thread from the moment it is queued; a sender that gives up only marks it. Until it is confirmed
 * it is sent again after every reconnection: receivers know it by its _unique_id. */
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/work.h"
#include "oslo/messaging/amqp/driver.h"

#include <amqp_framing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IDLE_MS = 1000, AGAIN_MS = 250, SETTLING_S = 10, IN_FLIGHT = 2048, NAMES = 64, ENDING_MS = 2000, LOOK_MS = 250 };

enum outcome { UNDER_WAY, TAKEN, UNROUTABLE };

struct outgoing {
    struct outgoing *next;
    enum wire_kind kind;
    char *exchange, *key, *queue, *body; /* queue: to be declared, of a notification */
    size_t length;
    char id[UUID_HEX], expiration[24];
    int64_t deadline_us, not_before_us;
    uint64_t tag;
    enum outcome outcome;
    bool mandatory, returned, waited_for, abandoned;
    struct delivery delivery; /* of an answer */
};

struct list {
    struct outgoing *first, **last;
};

struct publisher {
    struct amqp_wire *wire;
    struct link link;
    uintptr_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct list queue;   /* to be sent; under the lock */
    struct list sent;    /* not confirmed yet; the thread's own */
    size_t in_flight;
    uint64_t next_tag;
    int64_t connected_us;
    bool connected_before;
    char *names[NAMES];  /* exchanges and queues declared on this connection */
    size_t name_count;
    char trouble[ERROR_TEXT + 340]; /* why nothing goes out at the moment; under the lock */
};

static void append(struct list *list, struct outgoing *o)
{
    o->next = NULL;
    *list->last = o;
    list->last = &o->next;
}

static struct outgoing *take_first(struct list *list)
{
    struct outgoing *o = list->first;
    list->first = o->next;
    if (list->first == NULL)
        list->last = &list->first;
    return o;
}

static void outgoing_free(struct outgoing *o)
{
    free(o->exchange);
    free(o->key);
    free(o->queue);
    free(o->body);
    free(o);
}

/* The message is through, or nobody wants it any more. */
static void complete(struct publisher *p, struct outgoing *o, enum outcome outcome)
{
    if (!o->waited_for) {
        if (o->kind == WIRE_REPLY)
            consumer_done(p->wire->consumer, o->delivery, true);
        outgoing_free(o);
        return;
    }
    pthread_mutex_lock(&p->lock);
    bool abandoned = o->abandoned;
    o->outcome = outcome;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    if (abandoned)
        outgoing_free(o);
}

static void send_again(struct publisher *p, struct outgoing *o, int delay_ms)
{
    o->returned = false;
    o->not_before_us = delay_ms > 0 ? clock_monotonic_us() + delay_ms * 1000LL : 0;
    pthread_mutex_lock(&p->lock);
    append(&p->queue, o);
    pthread_mutex_unlock(&p->lock);
}

static void set_trouble(struct publisher *p, const char *text)
{
    pthread_mutex_lock(&p->lock);
    snprintf(p->trouble, sizeof(p->trouble), "%s", text);
    pthread_mutex_unlock(&p->lock);
}

/* ---- with the connection ---- */

static bool known(struct publisher *p, const char *name)
{
    for (size_t i = 0; i < p->name_count; i++)
        if (strcmp(p->names[i], name) == 0)
            return true;
    return false;
}

static void forget_names(struct publisher *p)
{
    while (p->name_count > 0)
        free(p->names[--p->name_count]);
}

static void remember(struct publisher *p, const char *name)
{
    if (p->name_count == NAMES)
        forget_names(p);
    if ((p->names[p->name_count++] = strdup(name)) == NULL)
        abort();
}

static bool declare_for(struct publisher *p, const struct outgoing *o)
{
    const struct broker *b = p->link.broker;
    bool fanout = o->kind == WIRE_FANOUT;
    if (o->exchange[0] != '\0' && !known(p, o->exchange)) {
        if (!link_declare_exchange(&p->link, o->exchange, fanout ? "fanout" : "topic", !fanout && b->durable,
            fanout || b->auto_delete))
            return false;
        remember(p, o->exchange);
    }
    if (o->queue != NULL && !known(p, o->queue)) {
        if (!link_declare_queue(&p->link, o->queue, false) || !link_bind(&p->link, o->queue, o->exchange, o->key))
            return false;
        remember(p, o->queue);
    }
    return true;
}

static bool publish(struct publisher *p, struct outgoing *o)
{
    amqp_basic_properties_t properties = { ._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_CONTENT_ENCODING_FLAG |
        AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_PRIORITY_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG,
        .content_type = amqp_cstring_bytes("application/json"), .content_encoding = amqp_cstring_bytes("utf-8"),
        .delivery_mode = AMQP_DELIVERY_PERSISTENT, .priority = 0, .message_id = amqp_cstring_bytes(o->id) };
    if (o->expiration[0] != '\0') {
        properties._flags |= AMQP_BASIC_EXPIRATION_FLAG;
        properties.expiration = amqp_cstring_bytes(o->expiration);
    }
    if (!declare_for(p, o))
        return false;
    int status = amqp_basic_publish(p->link.state, CHANNEL_WORK, amqp_cstring_bytes(o->exchange), amqp_cstring_bytes(o->key),
        o->mandatory, 0, &properties, (amqp_bytes_t){ o->length, o->body });
    if (status != AMQP_STATUS_OK)
        snprintf(p->link.error, sizeof(p->link.error), "basic.publish: %s", amqp_error_string2(status));
    return status == AMQP_STATUS_OK;
}

/* Takes out of the queue what may go now, at most as much as fits in flight. *ret_next_us: when the next may. */
static struct outgoing *take_batch(struct publisher *p, int64_t *ret_next_us)
{
    struct list batch = { NULL, &batch.first }, stay = { NULL, &stay.first };
    int64_t now = clock_monotonic_us();
    size_t room = IN_FLIGHT - p->in_flight;
    *ret_next_us = INT64_MAX;
    pthread_mutex_lock(&p->lock);
    while (p->queue.first != NULL) {
        struct outgoing *o = take_first(&p->queue);
        bool dead = o->abandoned || (!o->waited_for && o->deadline_us <= now);
        if (dead || (room > 0 && o->not_before_us <= now)) {
            append(&batch, o);
            room -= !dead;
            continue;
        }
        if (o->not_before_us < *ret_next_us)
            *ret_next_us = o->not_before_us;
        append(&stay, o);
    }
    p->queue = stay;
    if (stay.first == NULL)
        p->queue.last = &p->queue.first;
    pthread_mutex_unlock(&p->lock);
    return batch.first;
}

static void drop_dead(struct publisher *p, struct outgoing *o)
{
    if (!o->waited_for)
        log_warning("oslo.messaging", "a message to %s%s%s could not be sent in time: it is dropped", o->exchange,
            o->exchange[0] != '\0' ? " " : "", o->key);
    complete(p, o, UNROUTABLE);
}

/* Publishes a batch; what could not be published goes back to the queue. */
static bool publish_batch(struct publisher *p, struct outgoing *batch)
{
    int64_t now = clock_monotonic_us();
    bool ok = true;
    while (batch != NULL) {
        struct outgoing *o = batch;
        batch = o->next;
        if (o->abandoned || (!o->waited_for && o->deadline_us <= now)) {
            drop_dead(p, o);
        } else if (ok && publish(p, o)) {
            o->tag = p->next_tag++;
            append(&p->sent, o);
            p->in_flight++;
        } else {
            ok = false;
            send_again(p, o, 0);
        }
    }
    return ok;
}

/* Nobody is bound there. Right after a reconnection its queue may not have been declared again yet; an asker's reply queue
 * gets a while of its own. */
static void unroutable(struct publisher *p, struct outgoing *o)
{
    int64_t now = clock_monotonic_us();
    bool settling = p->connected_before && now - p->connected_us < SETTLING_S * 1000000LL;
    if (o->deadline_us > now && (o->kind == WIRE_REPLY || settling)) {
        send_again(p, o, AGAIN_MS);
        return;
    }
    complete(p, o, UNROUTABLE);
}

static void confirm(struct publisher *p, uint64_t tag, bool multiple, bool taken)
{
    for (struct outgoing **at = &p->sent.first; *at != NULL;) {
        struct outgoing *o = *at;
        if (o->tag != tag && !(multiple && o->tag < tag)) {
            if (o->tag > tag)
                break;
            at = &o->next;
            continue;
        }
        *at = o->next;
        if (*at == NULL)
            p->sent.last = at;
        p->in_flight--;
        if (!taken)
            send_again(p, o, AGAIN_MS); /* its queue is full */
        else if (o->returned)
            unroutable(p, o);
        else
            complete(p, o, TAKEN);
    }
    if (!taken)
        set_trouble(p, "the queue is full");
}

static bool read_return(struct publisher *p)
{
    amqp_message_t message;
    if (!link_ok(&p->link, amqp_read_message(p->link.state, CHANNEL_WORK, &message, 0), "basic.return"))
        return false;
    const amqp_bytes_t *id = &message.properties.message_id;
    for (struct outgoing *o = p->sent.first; o != NULL; o = o->next)
        if (id->len == strlen(o->id) && memcmp(id->bytes, o->id, id->len) == 0)
            o->returned = true;
    amqp_destroy_message(&message);
    return true;
}

static bool ended(struct publisher *p, const char *what, const amqp_bytes_t *text)
{
    snprintf(p->link.error, sizeof(p->link.error), "%s: %.*s", what, (int)text->len, (char *)text->bytes);
    return false;
}

static void set_blocked(struct publisher *p, bool blocked)
{
    p->link.blocked = blocked;
    log_warning("oslo.messaging", "RabbitMQ on %s %s", p->link.where, blocked ? "takes no messages now (memory or disk alarm)"
        : "takes messages again");
    set_trouble(p, blocked ? "the broker takes no messages now (memory or disk alarm)" : "");
}

static bool handle_method(struct publisher *p, const amqp_method_t *method)
{
    const amqp_basic_ack_t *ack = method->decoded;
    const amqp_basic_nack_t *nack = method->decoded;
    switch (method->id) {
    case AMQP_BASIC_ACK_METHOD:
        confirm(p, ack->delivery_tag, ack->multiple, true);
        return true;
    case AMQP_BASIC_NACK_METHOD:
        confirm(p, nack->delivery_tag, nack->multiple, false);
        return true;
    case AMQP_BASIC_RETURN_METHOD:
        return read_return(p);
    case AMQP_CONNECTION_BLOCKED_METHOD:
    case AMQP_CONNECTION_UNBLOCKED_METHOD:
        set_blocked(p, method->id == AMQP_CONNECTION_BLOCKED_METHOD);
        return true;
    case AMQP_CHANNEL_CLOSE_METHOD:
        return ended(p, "channel.close", &((const amqp_channel_close_t *)method->decoded)->reply_text);
    case AMQP_CONNECTION_CLOSE_METHOD:
        return ended(p, "connection.close", &((const amqp_connection_close_t *)method->decoded)->reply_text);
    default:
        return true;
    }
}

static bool receive(struct publisher *p)
{
    for (;;) {
        amqp_frame_t frame;
        struct timeval now = { 0 };
        amqp_maybe_release_buffers(p->link.state);
        int status = amqp_simple_wait_frame_noblock(p->link.state, &frame, &now);
        if (status == AMQP_STATUS_TIMEOUT)
            return true;
        if (status != AMQP_STATUS_OK) {
            snprintf(p->link.error, sizeof(p->link.error), "%s", amqp_error_string2(status));
            return false;
        }
        if (frame.frame_type == AMQP_FRAME_METHOD && !handle_method(p, &frame.payload.method))
            return false;
    }
}

static bool connect_publisher(struct publisher *p)
{
    if (!link_open(&p->link))
        return false;
    amqp_confirm_select(p->link.state, CHANNEL_WORK);
    if (!link_ok(&p->link, amqp_get_rpc_reply(p->link.state), "confirm.select"))
        return false;
    p->next_tag = 1;
    p->connected_us = clock_monotonic_us();
    forget_names(p);
    set_trouble(p, "");
    return true;
}

/* What was under way goes first again, in its order. */
static void disconnected(struct publisher *p)
{
    char text[sizeof(p->trouble)];
    snprintf(text, sizeof(text), "no connection to RabbitMQ on %s: %s", p->link.where, p->link.error);
    set_trouble(p, text);
    p->connected_before = p->connected_before || p->connected_us != 0;
    pthread_mutex_lock(&p->lock);
    for (struct outgoing *o = p->sent.first; o != NULL; o = o->next)
        o->returned = false;
    if (p->sent.first != NULL) {
        *p->sent.last = p->queue.first;
        if (p->queue.first == NULL)
            p->queue.last = p->sent.last;
        p->queue.first = p->sent.first;
    }
    p->sent = (struct list){ NULL, &p->sent.first };
    p->in_flight = 0;
    pthread_mutex_unlock(&p->lock);
}

/* Away or blocked: only what nobody waits for any more leaves the queue. */
static void drop_abandoned(struct publisher *p)
{
    struct list stay = { NULL, &stay.first }, dead = { NULL, &dead.first };
    int64_t now = clock_monotonic_us();
    pthread_mutex_lock(&p->lock);
    while (p->queue.first != NULL) {
        struct outgoing *o = take_first(&p->queue);
        append(o->abandoned || (!o->waited_for && o->deadline_us <= now) ? &dead : &stay, o);
    }
    p->queue = stay;
    if (stay.first == NULL)
        p->queue.last = &p->queue.first;
    pthread_mutex_unlock(&p->lock);
    while (dead.first != NULL)
        drop_dead(p, take_first(&dead));
}

static bool work(struct publisher *p, int64_t *ret_next_us)
{
    *ret_next_us = INT64_MAX;
    if (p->link.state == NULL && !connect_publisher(p))
        return false;
    if (!receive(p))
        return false;
    if (!p->link.blocked)
        return publish_batch(p, take_batch(p, ret_next_us)) && receive(p);
    drop_abandoned(p);
    return true;
}

static int wait_ms(const struct publisher *p, int64_t next_us)
{
    int most = p->link.broker->heartbeat_s > 0 && p->link.broker->heartbeat_s * 500 < IDLE_MS ? p->link.broker->heartbeat_s * 500
        : IDLE_MS;
    if (next_us == INT64_MAX)
        return most;
    int64_t left = (next_us - clock_monotonic_us()) / 1000 + 1;
    return left < 0 ? 0 : left < most ? (int)left : most;
}

static bool busy(struct publisher *p)
{
    pthread_mutex_lock(&p->lock);
    bool any = p->queue.first != NULL || p->sent.first != NULL;
    pthread_mutex_unlock(&p->lock);
    return any;
}

static void wait_for_broker(struct publisher *p)
{
    int64_t until_us = clock_monotonic_us() + link_failed(&p->link) * 1000LL;
    disconnected(p);
    while (!atomic_load(&p->link.stopping) && clock_monotonic_us() < until_us) {
        link_wait(&p->link, (int)((until_us - clock_monotonic_us()) / 1000) + 1);
        drop_abandoned(p);
    }
}

static void run(void *argument)
{
    struct publisher *p = argument;
    int64_t end_us = INT64_MAX, next_us;
    while (clock_monotonic_us() < end_us) {
        if (atomic_load(&p->link.stopping) && end_us == INT64_MAX)
            end_us = clock_monotonic_us() + ENDING_MS * 1000LL;
        if (end_us != INT64_MAX && (!busy(p) || p->link.state == NULL))
            break;
        if (work(p, &next_us))
            link_wait(&p->link, end_us != INT64_MAX ? 10 : wait_ms(p, next_us));
        else
            wait_for_broker(p);
    }
}

/* ---- from other threads ---- */

struct publisher *publisher_create(struct amqp_wire *wire)
{
    struct publisher *p = calloc(1, sizeof(*p));
    if (p == NULL)
        abort();
    p->wire = wire;
    p->queue.last = &p->queue.first;
    p->sent.last = &p->sent.first;
    snprintf(p->trouble, sizeof(p->trouble), "no connection to RabbitMQ yet");
    pthread_mutex_init(&p->lock, NULL);
    clock_condition_init(&p->changed);
    link_init(&p->link, wire->broker, "publisher");
    p->thread = work_thread_start("amqp-publisher", run, p);
    return p;
}

void publisher_destroy(struct publisher *p)
{
    atomic_store(&p->link.stopping, true);
    link_wake(&p->link);
    work_thread_join(p->thread);
    link_release(&p->link);
    disconnected(p);
    while (p->queue.first != NULL)
        outgoing_free(take_first(&p->queue));
    forget_names(p);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

static char *text(const char *format, const char *a, const char *b)
{
    char *joined;
    if (asprintf(&joined, format, a, b) < 0)
        abort();
    return joined;
}

static struct outgoing *outgoing_create(const struct wire_send *send)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct outgoing *o = calloc(1, sizeof(*o));
    if (o == NULL || (o->body = malloc(send->length + 1)) == NULL)
        abort();
    o->kind = send->kind;
    o->exchange = send->kind == WIRE_FANOUT ? text("%s_fanout%s", send->topic, "") : text("%s%s",
        send->kind == WIRE_REPLY ? "" : send->exchange, "");
    o->key = send->kind == WIRE_FANOUT ? text("%s%s", "", "") : send->kind == WIRE_SERVER ? text("%s.%s", send->topic, send->server)
        : text("%s%s", send->topic, "");
    if (send->kind == WIRE_NOTIFY)
        o->queue = text("%s%s", send->topic, "");
    memcpy(o->body, send->body, send->length);
    o->length = send->length;
    strcpy(o->id, uuid_new_hex(arena));
    if (send->ttl_ms > 0)
        snprintf(o->expiration, sizeof(o->expiration), "%lld", (long long)send->ttl_ms);
    o->deadline_us = send->deadline_us;
    return o;
}

static void submit(struct publisher *p, struct outgoing *o)
{
    append(&p->queue, o);
    link_wake(&p->link);
}

/* The deadline, or an earlier one once the program ends. */
static int64_t patience_end(const struct wire_send *send)
{
    int64_t give_up_us = send->give_up_us != NULL ? atomic_load(send->give_up_us) : 0;
    return give_up_us != 0 && give_up_us < send->deadline_us ? give_up_us : send->deadline_us;
}

struct fault *publisher_send(struct publisher *p, struct arena *arena, const struct wire_send *send)
{
    struct outgoing *o = outgoing_create(send);
    struct fault *fault = NULL;
    o->waited_for = true;
    o->mandatory = send->kind == WIRE_TOPIC || send->kind == WIRE_SERVER;
    pthread_mutex_lock(&p->lock);
    submit(p, o);
    for (int64_t now_us = clock_monotonic_us(); o->outcome == UNDER_WAY && now_us < patience_end(send);
        now_us = clock_monotonic_us()) {
        int64_t look_us = now_us + LOOK_MS * 1000, end_us = patience_end(send);
        clock_wait(&p->changed, &p->lock, look_us < end_us ? look_us : end_us);
    }
    enum outcome outcome = o->outcome;
    o->abandoned = outcome == UNDER_WAY;
    if (outcome == UNDER_WAY)
        fault = fault_new(arena, 503, "MessageDeliveryFailure", "The message for %s was not taken over by the broker in time: %s.",
            o->key[0] != '\0' ? o->key : o->exchange, p->trouble[0] != '\0' ? p->trouble : "it was not confirmed");
    pthread_mutex_unlock(&p->lock);
    if (outcome == UNDER_WAY)
        return fault;
    if (outcome == UNROUTABLE)
        fault = fault_new(arena, 404, "MessageUndeliverable", "No queue takes messages for %s in the exchange %s.", o->key,
            o->exchange);
    outgoing_free(o);
    return fault;
}

void publisher_answer(struct publisher *p, const struct wire_send *send, struct delivery delivery)
{
    struct outgoing *o = outgoing_create(send);
    o->mandatory = p->link.broker->mandatory_replies;
    o->delivery = delivery;
    if (o->deadline_us == 0)
        o->deadline_us = clock_monotonic_us() + p->link.broker->missing_s * 1000000LL;
    pthread_mutex_lock(&p->lock);
    submit(p, o);
    pthread_mutex_unlock(&p->lock);
}
