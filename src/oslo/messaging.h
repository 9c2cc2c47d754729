/* SPDX-License-Identifier: Apache-2.0
 *
 * messaging: RPC between the programs of a service, as oslo.messaging has it: topics, servers, call, cast, fanout.
 *
 * The database is the truth; a message only wakes somebody. Sending twice, late or never must be survivable: handlers are
 * safe to run twice.
 */
#ifndef OSLO_MESSAGING_H
#define OSLO_MESSAGING_H

#include "oslo/context.h"

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

/* Serves a topic as `server`. Handlers run on the cloud's message pool, at most `parallel` at a time for this server; a
 * method table ends with a NULL name. Served until the app stops. */
struct fault *rpc_serve(struct context *cx, const char *topic, const char *server, const struct rpc_method *methods,
    void *owner, unsigned parallel);

/* Ends one server (a fake host that goes away). */
void rpc_unserve(struct app *app, const char *topic, const char *server);

/* Sends and waits for the answer. The handler's fault comes back as it was (status, code, message). No server or no answer
 * by the deadline is a fault 504 with code "MessagingTimeout". `arguments` is borrowed; *ret_result lives in cx->arena. */
struct fault *rpc_call(struct context *cx, const struct rpc_target *target, const char *method, const json_t *arguments,
    int timeout_ms, json_t **ret_result);

/* Sends and goes on. A fault only when the message could not be handed over. */
struct fault *rpc_cast(struct context *cx, const struct rpc_target *target, const char *method, const json_t *arguments);

/* Sends to every server of the topic. */
struct fault *rpc_fanout(struct context *cx, const char *topic, const char *method, const json_t *arguments);

void messaging_stop(struct app *app);

#endif
