/* SPDX-License-Identifier: Apache-2.0
 *
 * private: what the parts of the message engine share: servers and their work (server.c), calls over a wire (call.c), the
 * transports of the apps (messaging.c).
 */
#ifndef OSLO_MESSAGING_PRIVATE_H
#define OSLO_MESSAGING_PRIVATE_H

#include "base/map.h"
#include "oslo/messaging.h"
#include "oslo/messaging/envelope.h"
#include "oslo/messaging/wire.h"

#include <pthread.h>

/* An app's way to the others. `driver` NULL: memory, all servers are in this process. */
struct transport {
    struct app *app;
    const struct wire_driver *driver;
    void *wire;
    char *exchange;
    pthread_mutex_t lock;
    struct map waiting; /* msg_id -> struct waiter */
    _Atomic int64_t give_up_us; /* the program ends: calls are waited for until then, whatever their deadline; 0: it runs */
};

/* The app's transport, opened at its first use. Fault 500: the URL is wrong or its driver cannot be loaded. */
struct fault *transport_of(struct context *cx, struct transport **ret);

/* Opens a transport of its own (notifications may have another URL than messages). */
struct fault *transport_open(struct context *cx, const char *url, struct transport **ret);
/* The driver that would be taken for a URL (NULL: the app's transport_url), without opening it; *ret NULL: memory. */
struct fault *transport_driver(struct context *cx, const char *url, const struct wire_driver **ret);
void transport_close(struct transport *transport);

/* ---- server.c ---- */

/* Serves a topic under a name, at most `parallel` messages at a time; the names are copied, the methods kept. */
struct server *server_add(struct app *app, struct transport *transport, const char *topic, const char *name,
    const struct rpc_method *methods, void *owner, unsigned parallel);
/* Ends the servers of an app (topic NULL: all), after what they work on. */
void server_remove(struct app *app, const char *topic, const char *name);
/* A server of this process that may take the message, held until server_release(), or NULL. `app` NULL: any app's. */
struct server *server_find(const struct app *app, const char *topic, const char *name);
void server_release(struct server *server);
/* Runs a call in this thread. */
struct fault *server_call(struct context *cx, struct server *server, const struct rpc_message *message, int64_t deadline_us,
    json_t **ret_result);
/* Queues a message for a server of this process; false: none is there. */
bool server_cast(struct context *cx, const char *topic, const char *name, const struct rpc_message *message);
void server_fanout(struct context *cx, const char *topic, const struct rpc_message *message);

/* ---- call.c: over a wire ---- */

/* As rpc_call(), rpc_cast() and rpc_fanout() of messaging.h, to whoever is on the other end of the transport. */
struct fault *wire_call(struct context *cx, struct transport *transport, const struct rpc_target *target,
    const struct rpc_message *message, int timeout_ms, json_t **ret_result);
struct fault *wire_cast(struct context *cx, struct transport *transport, const struct rpc_target *target,
    const struct rpc_message *message);
struct fault *wire_fanout(struct context *cx, struct transport *transport, const char *topic, const struct rpc_message *message);

/* "compute on host-1": a target as a person knows it. */
const char *target_text(struct arena *arena, const struct rpc_target *target);

#endif
