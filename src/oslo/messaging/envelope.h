/* SPDX-License-Identifier: Apache-2.0
 *
 * envelope: messages as oslo.messaging puts them on the wire: {"oslo.version": "2.0", "oslo.message": "{...}"}.
 *
 * Inside: method, args, version, namespace; _msg_id and _reply_q of a call; _unique_id, by which one that comes twice is
 * known; the context's members as _context_NAME. A reply holds result, failure, ending and _msg_id. What is read comes from
 * outside: everything is checked, nothing is believed to be there.
 */
#ifndef OSLO_MESSAGING_ENVELOPE_H
#define OSLO_MESSAGING_ENVELOPE_H

#include "oslo/context.h"

struct rpc_message {
    const char *method;
    const char *version;              /* NULL: none was given (oslo.messaging: 1.0) */
    const char *name_space;           /* NULL: none */
    const json_t *arguments;          /* an object */
    const char *msg_id, *reply_to;    /* both NULL: nobody waits for an answer */
    const char *unique_id;            /* NULL: none */
    double monitor_timeout_s;         /* > 0: the caller wants a sign of life at least so often */
    const char *request_id, *global_id;
    struct caller *caller;            /* NULL: the service itself */
    uint64_t span;
};

struct rpc_reply {
    const char *msg_id, *unique_id;
    json_t *result;      /* NULL: none */
    const char *failure; /* text of the failure document, or NULL */
    bool ending;
};

/* The whole message as text in the arena. The context's caller, ids and span go along. */
const char *envelope_request(struct context *cx, const struct rpc_message *message);

/* Reads a request. Everything in *ret lives in the arena. Fault 400: not such a message. */
struct fault *envelope_parse_request(struct arena *arena, const char *text, size_t length, struct rpc_message *ret);

/* A reply: `result` (NULL: null) or `fault`, which `service` met. `ending` false: a sign of life. */
const char *envelope_reply(struct arena *arena, const char *msg_id, const json_t *result, const struct fault *fault,
    const char *service, bool ending);
struct fault *envelope_parse_reply(struct arena *arena, const char *text, size_t length, struct rpc_reply *ret);

/* The fault that a failure document tells of: ours as it was, another program's exception as 500 with the exception's name as
 * its code. */
struct fault *envelope_failure(struct arena *arena, const char *failure);

/* Puts a document into the envelope; the context's members are added when cx is not NULL. */
const char *envelope_wrap(struct context *cx, struct arena *arena, json_t *document);

#endif
