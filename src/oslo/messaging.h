/* SPDX-License-Identifier: Apache-2.0
 *
 * messaging: RPC between the programs of a service, as oslo.messaging has it: topics, servers, call, cast, fanout.
 *
 * The database is the truth; a message only wakes somebody. Sending twice, late or never must be survivable: handlers are
 * safe to run twice.
 *
 * [DEFAULT] transport_url says how they travel: memory:// (inside this process), rabbit:// (oslo/messaging/amqp/), http://
 * and https:// (oslo/messaging/http/). Callers cannot tell. A message that travels stays with the broker until its handler is
 * through.
 */
#ifndef OSLO_MESSAGING_H
#define OSLO_MESSAGING_H

#include "oslo/context.h"

struct option_table;

/* transport_url, control_exchange, rpc_response_timeout, [oslo_messaging_rabbit], [oslo_messaging_notifications], ... */
extern const struct option_table messaging_options;

struct rpc_method {
    const char *name;
    const char *version; /* oslo.messaging's "5.0": major must match, minor must be at least */
    /* `cx` has the sender's caller, request id and trace; `owner` is what the server was made with. *ret_result (new
     * reference, may stay NULL) goes back to a call. */
    struct fault *(*handler)(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result);
};

struct rpc_target {
    const char *topic;  /* "compute" */
    const char *server; /* host, or NULL: any server of the topic */
    const char *version;
};

/* Serves a topic as `server`. Handlers run on the cloud's message pool, at most `parallel` at a time for this server
 * (unless [DEFAULT] executor_thread_pool_size says another number; 1 always holds); a method table ends with a NULL name.
 * Served until the app stops. */
struct fault *rpc_serve(struct context *cx, const char *topic, const char *server, const struct rpc_method *methods,
    void *owner, unsigned parallel);

/* Ends one server (a fake host that goes away). */
void rpc_unserve(struct app *app, const char *topic, const char *server);

/* Sends and waits for the answer. The handler's fault comes back as it was (status, code, message). No server or no answer
 * by the deadline is a fault 504 with code "MessagingTimeout". timeout_ms <= 0: rpc_response_timeout. `arguments` is borrowed;
 * *ret_result lives in cx->arena. A server of this process is called in this thread, whatever the transport. */
struct fault *rpc_call(struct context *cx, const struct rpc_target *target, const char *method, const json_t *arguments,
    int timeout_ms, json_t **ret_result);

/* Sends and goes on. A fault (503, 504) only when the message could not be handed over within 30 s, or nobody ever served
 * the topic or that server. A handler's fault that says `retry` is tried again for some seconds by the receiver. */
struct fault *rpc_cast(struct context *cx, const struct rpc_target *target, const char *method, const json_t *arguments);

/* Sends to every server of the topic. */
struct fault *rpc_fanout(struct context *cx, const char *topic, const char *method, const json_t *arguments);

/* Whether transport_url can be read and has a driver, so that a wrong one stops the start. The first use opens it: who never
 * sends needs no connection. Warns of notifications that nobody could hear. */
struct fault *messaging_check(struct context *cx);

/* Ends the app's servers, after what they work on; it can still send. */
void messaging_stop(struct app *app);

/* Ends the transport too. */
void messaging_close(struct app *app);

/* Whether messages stay in this process: then none is under way when it starts. */
bool messaging_is_local(const struct app *app);

#endif
