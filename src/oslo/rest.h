/* SPDX-License-Identifier: Apache-2.0
 *
 * rest: calls to other services, in one process as across a continent.
 *
 * When the service's API is served by this process (app->serves_api) the call is a function call into its router, with
 * token, policy and all; else it is HTTP (http_client.h) to the endpoint that the catalog names. Callers cannot tell.
 *
 * How a service logs in and where another is, is said by a section of its configuration: the row of the service's `targets`
 * with the type called (nova: "placement" -> [placement]), else [keystone_authtoken]. See auth_options.h, session.h.
 *
 * A token that was refused (401) is renewed once. With [service_user] send_service_user_token, calls on behalf of a user carry
 * that user's token as X-Service-Token too. The context's request id goes along as X-OpenStack-Request-ID, the present span
 * as X-Nubo-Span, so that the other side's spans hang below it.
 */
#ifndef OSLO_REST_H
#define OSLO_REST_H

#include "oslo/context.h"
#include "oslo/http.h"
#include "oslo/http_client.h"
#include "oslo/rest/auth_options.h"

/* A row of a service's `targets`: which section is about services of a catalog type. The section gets keystoneauth's options;
 * where a service's default of one is another, its own option tables have a row of that name. */
struct rest_target {
    const char *type;  /* "placement"; NULL ends the list */
    const char *group; /* "placement" */
    struct option_table auth, adapter;
};
#define REST_TARGET(type_, group_) { (type_), (group_), AUTH_OPTIONS(group_), ADAPTER_OPTIONS(group_) }

#define REST_SPAN_HEADER "X-Nubo-Span" /* 16 hexadecimal digits */

enum rest_as {
    AS_CALLER,  /* with the caller's token */
    AS_SERVICE, /* with this service's own token, by the target's section */
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
    const char *group;         /* the section instead of the target's, or NULL. AS_NOBODY to identity: its auth_url */
    const struct http_sink *sink;     /* where the body of a success goes as it arrives, or NULL */
    const struct http_source *source; /* the request's body from a file, or NULL */
};

struct rest_response {
    int status;
    json_t *body;              /* NULL when it was not JSON */
    const char *data;
    size_t data_length;
    struct header *headers;
    int fd;                    /* the body when it is a file of this process's own: at its begin; -1: none. Closed with the arena */
    off_t length;              /* of that file, or what went to the sink */
};

/* A status >= 400 is a fault with that status and the other service's own message, unless accept_status names it. A service
 * that does not answer is a fault 503. Spans are written on both sides. */
struct fault *rest_call(struct context *cx, const struct rest *call, struct rest_response *ret);

/* A header of the answer by its name, in any case; NULL: it has none. Lives in the response. */
const char *rest_header(const struct rest_response *response, const char *name);

/* What the other service said of its refusal, whatever its envelope, or NULL. Lives in the response. */
const char *rest_message(const struct rest_response *response);

/* Escapes one path segment or query value (RFC 3986 unreserved stay). */
const char *rest_escape(struct arena *arena, const char *text);

#endif
