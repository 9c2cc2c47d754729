/* SPDX-License-Identifier: Apache-2.0
 *
 * rest: calls to other services, in one process as across a continent.
 *
 * When the service runs in this process the call is a function call into its router, with token, policy and all; else it
 * is HTTP through libcurl to the endpoint that the catalog names. Callers cannot tell.
 */
#ifndef OSLO_REST_H
#define OSLO_REST_H

#include "oslo/context.h"
#include "oslo/http.h"

enum rest_as {
    AS_CALLER,  /* with the caller's token */
    AS_SERVICE, /* with this service's own token, from [keystone_authtoken] */
    AS_NOBODY,
};

struct rest {
    const char *service;       /* catalog type: "network" */
    enum http_method method;
    const char *path;          /* below the endpoint's host: "/v2.0/ports/..."; already escaped, may have a query */
    json_t *body;              /* or NULL */
    const char *data;          /* raw body instead, or NULL */
    size_t data_length;
    enum rest_as as;
    const char *version;       /* "compute 2.95" / "placement 1.39" for OpenStack-API-Version, or NULL */
    const char *const *headers; /* "Name", "value", ..., NULL; or NULL */
    int timeout_ms;            /* 0: what is left of the context's deadline, at most 60 s */
    int accept_status;         /* a status >= 400 that is an answer, not a fault; -1: all */
};

struct rest_response {
    int status;
    json_t *body;              /* NULL when it was not JSON */
    const char *data;
    size_t data_length;
    struct header *headers;
    int fd;                    /* the body when it is a file (images): positioned at its begin; -1: none. Closed with the arena */
    off_t length;
};

/* A status >= 400 is a fault with that status and the other service's own message, unless accept_status names it. A service
 * that does not answer is a fault 503. Spans are written on both sides. */
struct fault *rest_call(struct context *cx, const struct rest *call, struct rest_response *ret);

const char *rest_header(const struct rest_response *response, const char *name);

/* Escapes one path segment or query value (RFC 3986 unreserved stay). */
const char *rest_escape(struct arena *arena, const char *text);

#endif
