/* SPDX-License-Identifier: Apache-2.0
 *
 * wire: what a transport between processes must do. The engine (call.c, server.c) makes and reads the envelopes; a driver
 * carries texts, keeps each until it was handled, and comes back by itself after every failure.
 */
#ifndef OSLO_MESSAGING_WIRE_H
#define OSLO_MESSAGING_WIRE_H

#include "oslo/context.h"
#include "oslo/messaging/url.h"

#include <stdbool.h>
#include <stddef.h>

struct server;
struct transport;

enum wire_kind {
    WIRE_TOPIC,  /* to any server of the topic */
    WIRE_SERVER, /* to the one named */
    WIRE_FANOUT, /* to every server of the topic */
    WIRE_REPLY,  /* `topic` is the asker's reply address */
    WIRE_NOTIFY, /* kept for whoever listens, now or later */
};

struct wire_send {
    enum wire_kind kind;
    const char *exchange, *topic, *server;
    const char *body;
    size_t length;
    int64_t deadline_us; /* on the monotonic clock: until then it is tried again */
    int64_t ttl_ms;      /* > 0: worthless after that; nobody needs to deliver it any more */
    const _Atomic int64_t *give_up_us; /* when not 0, an earlier deadline: the program ends. NULL: there is none */
};

/* A message on its way through a server: what the driver needs to take it off the wire. */
struct delivery {
    uint64_t tag;
    uint32_t generation; /* of the driver's connection: an older one's messages come again by themselves */
};

struct wire_driver {
    const char *name;
    bool notifies; /* WIRE_NOTIFY is kept for listeners */
    /* Starts its threads. That the other end is away is no fault: it is waited for. */
    struct fault *(*open)(struct context *cx, struct transport *transport, const struct messaging_url *url, void **ret);
    /* Ends its threads. What was not handled stays on the wire for others. */
    void (*close)(void *wire);
    /* From now on, and after every reconnection, messages for the server come by server_deliver(). */
    void (*serve)(void *wire, const char *exchange, const char *topic, const char *name, struct server *server);
    void (*unserve)(void *wire, const struct server *server);
    /* Where answers to this process go. */
    const char *(*reply_address)(void *wire);
    /* Returns when the other end has taken the message over (and keeps it), else a fault: 404 RoutingError when nobody ever
     * served that topic or server, 503 MessageDeliveryFailure when it was not taken over by the deadline. */
    struct fault *(*send)(void *wire, struct arena *arena, const struct wire_send *send);
    /* As send(), without waiting; when it is through, or given up, the delivery is taken off the wire. */
    void (*answer)(void *wire, const struct wire_send *send, struct delivery delivery);
    /* Takes a message off the wire; `handled` false: somebody must get it again. */
    void (*done)(void *wire, struct delivery delivery, bool handled);
};

/* What the module messaging_amqp.so exports. */
#define MESSAGING_AMQP_SYMBOL "messaging_amqp_driver"

extern const struct wire_driver messaging_http_driver;

/* An option of a driver: the URL's query first, then the configuration. */
const char *transport_option(struct transport *transport, const struct messaging_url *url, const char *group, const char *name);
bool transport_option_bool(struct transport *transport, const struct messaging_url *url, const char *group, const char *name);
int64_t transport_option_int(struct transport *transport, const struct messaging_url *url, const char *group, const char *name);

/* ---- What drivers call ---- */

/* A message for a server came. The text is copied. */
void server_deliver(struct server *server, const char *body, size_t length, struct delivery delivery);

/* An answer to a call of this process came. */
void transport_answer(struct transport *transport, const char *body, size_t length);

#endif
