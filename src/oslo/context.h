/* SPDX-License-Identifier: Apache-2.0
 *
 * context: on whose behalf work is done. HTTP requests, RPC calls, flow steps and periodic tasks all carry one.
 *
 * A context belongs to one thread at a time and dies with its arena.
 */
#ifndef OSLO_CONTEXT_H
#define OSLO_CONTEXT_H

#include "base/arena.h"
#include "base/fault.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct app;
struct span;

/* Who calls, as keystone said it: immutable, counted, shared by all requests with the same token. Texts are never NULL
 * where the comment does not say so. */
struct caller {
    const char *user_id, *user_name, *user_domain_id, *user_domain_name;
    const char *project_id, *project_name;               /* NULL: not scoped to a project */
    const char *project_domain_id, *project_domain_name; /* NULL with project_id */
    const char *domain_id, *domain_name;                 /* NULL: not scoped to a domain */
    const char *system_scope;                            /* "all", or NULL */
    const char *const *roles;                            /* names, NULL-terminated; sorted as keystone gave them */
    const char *const *role_ids;                         /* in the same order */
    const char *const *service_roles;                    /* of the X-Service-Token, NULL-terminated; may be empty */
    const char *trust_id;                                /* NULL: none */
    const char *access_rules;                            /* what an application credential may be used for, as JSON; NULL: all */
    const char *token;                                   /* for calls on the caller's behalf; never logged */
    int64_t expires_us;
    bool is_admin_project;
    const void *details;                                 /* keystone's own, lives as long as the caller */
};

/* Counted ownership. caller_create() takes an arena whose memory the caller's texts live in; it is destroyed with the
 * last reference. */
struct caller *caller_create(struct arena *owned);
struct caller *caller_ref(struct caller *caller);
void caller_unref(struct caller *caller);

/* The caller as JSON for messages and flow records (oslo.context's member names; the token included), and back. The
 * caller made by from_json has one reference, released with `arena`. */
json_t *caller_to_json(const struct caller *caller);
struct caller *caller_from_json(struct arena *arena, const json_t *json);

struct context {
    struct arena *arena;
    struct app *app;            /* the service whose work this is */
    struct caller *caller;      /* NULL: nobody yet, or the service itself */
    const char *request_id;     /* "req-" + UUID */
    const char *global_id;      /* X-OpenStack-Request-ID of the first service, or NULL */
    int64_t deadline_us;        /* on the monotonic clock; 0: none */
    struct span *span;          /* the trace step that runs now, or NULL */
    void *notes;                /* the service's own: what a request has to tell when it is through */
};

/* A context for work that nobody asked for (periodic tasks, start-up). The arena is the caller's. */
struct context context_service(struct arena *arena, struct app *app);

/* A child context: same caller and request id, its own arena. */
struct context context_child(const struct context *parent, struct arena *arena);

/* Who a context's log lines are about, for log_set_identity(). In the arena. */
struct log_identity;
const struct log_identity *context_log_identity(const struct context *cx);

/* FAULT(cx, 404, "itemNotFound", "Instance %s could not be found.", id): a fault in the context's arena. */
#define FAULT(cx, status, code, ...) fault_new((cx)->arena, (status), (code), __VA_ARGS__)

#endif
