/* SPDX-License-Identifier: Apache-2.0
 * call: sending over a wire, and waiting for answers. All answers to a process come to its one reply address; who waits for
 * one is found by the message's id. */
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "oslo/app.h"
#include "oslo/json.h"
#include "oslo/messaging/private.h"
#include "oslo/trace.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { CAST_PATIENCE_MS = 30000, LOOK_MS = 500 };

struct waiter {
    pthread_cond_t wake;
    struct arena *arena; /* of the answer, NULL until it is there */
    json_t *result;
    const char *failure;
    bool ended;
};

const char *target_text(struct arena *arena, const struct rpc_target *target)
{
    return target->server == NULL ? target->topic : arena_printf(arena, "%s on %s", target->topic, target->server);
}

static void keep_answer(struct waiter *waiter, struct arena *arena, const struct rpc_reply *reply)
{
    if (reply->result != NULL || reply->failure != NULL) {
        arena_destroy(waiter->arena);
        waiter->arena = arena;
        waiter->result = reply->result;
        waiter->failure = reply->failure;
    } else {
        arena_destroy(arena); /* an end without a result, or a sign of life */
    }
    waiter->ended = waiter->ended || reply->ending;
    if (waiter->ended)
        pthread_cond_signal(&waiter->wake);
}

void transport_answer(struct transport *transport, const char *body, size_t length)
{
    struct arena *arena = arena_create();
    struct rpc_reply reply;
    struct fault *fault = envelope_parse_reply(arena, body, length, &reply);
    if (fault != NULL) {
        log_warning("oslo.messaging", "an answer cannot be read: %s", fault_text(arena, fault));
        arena_destroy(arena);
        return;
    }
    pthread_mutex_lock(&transport->lock);
    struct waiter *waiter = map_get(&transport->waiting, reply.msg_id);
    if (waiter != NULL && !waiter->ended)
        keep_answer(waiter, arena, &reply);
    else
        arena_destroy(arena); /* nobody waits any more, or it came twice */
    pthread_mutex_unlock(&transport->lock);
}

static void wait_for_answer(struct transport *transport, struct waiter *waiter, const char *msg_id, int64_t deadline_us)
{
    pthread_mutex_lock(&transport->lock);
    for (int64_t now_us; !waiter->ended && (now_us = clock_monotonic_us()) < deadline_us;) {
        int64_t give_up_us = atomic_load(&transport->give_up_us);
        if (give_up_us != 0 && now_us > give_up_us)
            break;
        int64_t look_us = now_us + LOOK_MS * 1000;
        clock_wait(&waiter->wake, &transport->lock, look_us < deadline_us ? look_us : deadline_us);
    }
    map_remove(&transport->waiting, msg_id);
    pthread_mutex_unlock(&transport->lock);
}

static struct fault *timed_out(struct context *cx, const struct rpc_target *target, const char *method, const char *msg_id)
{
    struct fault *fault = FAULT(cx, 504, "MessagingTimeout", "Timed out waiting for a reply to message ID %s", msg_id);
    return fault_detail(cx->arena, fault, "%s, sent to %s, was not answered in time", method, target_text(cx->arena, target));
}

/* What a driver's fault means to a caller of rpc_call(): nobody there, or not taken over in time. */
static struct fault *not_sent(struct context *cx, const struct rpc_target *target, const char *method, const struct fault *why)
{
    struct fault *fault = FAULT(cx, why->status == 404 ? 504 : why->status, "MessagingTimeout",
        "Timed out waiting for a reply to message %s: %s", method,
        why->status == 404 ? arena_printf(cx->arena, "nobody serves %s.", target_text(cx->arena, target)) : why->message);
    if (why->status == 404 || why->status == 503)
        fault->status = 504;
    return fault_because(fault, why);
}

static struct wire_send outgoing(const struct transport *transport, const struct rpc_target *target, const char *body,
    int64_t deadline_us)
{
    return (struct wire_send){ .kind = target->server != NULL ? WIRE_SERVER : WIRE_TOPIC, .exchange = transport->exchange,
        .topic = target->topic, .server = target->server, .body = body, .length = strlen(body), .deadline_us = deadline_us,
        .give_up_us = &transport->give_up_us };
}

static struct fault *take_answer(struct context *cx, struct waiter *waiter, json_t **ret_result)
{
    struct fault *fault = NULL;
    if (waiter->failure != NULL)
        fault = envelope_failure(cx->arena, waiter->failure);
    else if (ret_result != NULL)
        *ret_result = json_keep(cx->arena, json_incref(waiter->result));
    return fault;
}

static struct fault *ask(struct context *cx, struct transport *transport, const struct rpc_target *target,
    const struct rpc_message *message, int timeout_ms, json_t **ret_result)
{
    int64_t deadline_us = clock_monotonic_us() + (int64_t)timeout_ms * 1000;
    const char *msg_id = uuid_new_hex(cx->arena);
    struct rpc_message m = *message;
    struct waiter waiter = { .arena = NULL };
    m.msg_id = msg_id;
    m.reply_to = transport->driver->reply_address(transport->wire);
    const char *body = envelope_request(cx, &m);
    struct wire_send send = outgoing(transport, target, body, deadline_us);
    send.ttl_ms = timeout_ms;
    clock_condition_init(&waiter.wake);
    pthread_mutex_lock(&transport->lock);
    map_set(&transport->waiting, msg_id, &waiter);
    pthread_mutex_unlock(&transport->lock);
    struct fault *fault = transport->driver->send(transport->wire, cx->arena, &send);
    wait_for_answer(transport, &waiter, msg_id, fault != NULL ? 0 : deadline_us);
    if (waiter.ended) /* it was answered, whatever became of the confirmation */
        fault = take_answer(cx, &waiter, ret_result);
    else
        fault = fault != NULL ? not_sent(cx, target, message->method, fault) : timed_out(cx, target, message->method, msg_id);
    pthread_cond_destroy(&waiter.wake);
    arena_destroy(waiter.arena);
    return fault;
}

struct fault *wire_call(struct context *cx, struct transport *transport, const struct rpc_target *target,
    const struct rpc_message *message, int timeout_ms, json_t **ret_result)
{
    struct span *span = trace_begin(cx, cx->app->service->name, NULL, "call %s", message->method);
    if (ret_result != NULL)
        *ret_result = NULL;
    return trace_end(cx, span, ask(cx, transport, target, message, timeout_ms, ret_result));
}

/* Nobody waits longer for a message to leave than for its answer; a request's own deadline comes first. */
static int64_t cast_deadline(const struct context *cx)
{
    int64_t latest = clock_monotonic_us() + CAST_PATIENCE_MS * 1000LL;
    return cx->deadline_us > 0 && cx->deadline_us < latest ? cx->deadline_us : latest;
}

struct fault *wire_cast(struct context *cx, struct transport *transport, const struct rpc_target *target,
    const struct rpc_message *message)
{
    struct wire_send send = outgoing(transport, target, envelope_request(cx, message), cast_deadline(cx));
    struct fault *fault = transport->driver->send(transport->wire, cx->arena, &send);
    if (fault != NULL && fault->status == 404)
        return fault_because(FAULT(cx, 503, "MessageDeliveryFailure", "Message %s could not be sent: nobody serves %s.",
            message->method, target_text(cx->arena, target)), fault);
    return fault;
}

struct fault *wire_fanout(struct context *cx, struct transport *transport, const char *topic, const struct rpc_message *message)
{
    const char *body = envelope_request(cx, message);
    const struct wire_send send = { .kind = WIRE_FANOUT, .exchange = transport->exchange, .topic = topic, .body = body,
        .length = strlen(body), .deadline_us = cast_deadline(cx), .give_up_us = &transport->give_up_us };
    return transport->driver->send(transport->wire, cx->arena, &send);
}
