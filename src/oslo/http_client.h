/* SPDX-License-Identifier: Apache-2.0
 *
 * http_client: one HTTP request to another process, over libcurl. What every call that leaves this process goes through:
 * calls to other services (rest.h), logins (session.h), the metadata proxy, nubo's own commands.
 *
 * Connections are kept alive in a pool of handles per scheme, host, port and TLS settings. Environment variables about
 * proxies are not looked at. A redirect is followed at most five times and only to the same host: a token is never sent to
 * a host that the operator did not name. What is kept of an answer in memory is bounded; a body that goes to a file is not.
 *
 * Thread safe. Blocks; never called where a connection of our own server is served (routes that call are SLOW).
 */
#ifndef OSLO_HTTP_CLIENT_H
#define OSLO_HTTP_CLIENT_H

#include "oslo/context.h"
#include "oslo/http.h"

#include <sys/types.h>

struct rest_response;

enum { HTTP_CLIENT_ANSWER_LIMIT = 64 << 20 }; /* bytes of an answer kept in memory */

/* Where the body of an answer below 300 goes as it arrives. `progress` (may be NULL) is called now and then with the bytes so
 * far and all of them (-1: unknown). The descriptor stays the caller's. */
struct http_sink {
    int fd;
    void (*progress)(void *owner, off_t done, off_t total);
    void *owner;
};

/* A request body that is read from a file as it is sent, from the descriptor's present position. `progress` as a sink's. */
struct http_source {
    int fd;
    off_t length;
    void (*progress)(void *owner, off_t done, off_t total);
    void *owner;
};

struct http_tls {
    const char *cafile, *certfile, *keyfile; /* NULL: the system's authorities; no certificate of our own */
    bool insecure;                           /* the server's certificate is not looked at */
};

struct http_exchange {
    const char *method;                 /* "GET" */
    const char *url;                    /* whole, escaped; http or https */
    const char *const *headers;         /* "Name", "value", ..., NULL; or NULL. A value with a line break is refused */
    const char *data;                   /* body, or NULL */
    size_t data_length;
    const struct http_source *source;   /* instead of data */
    const struct http_sink *sink;       /* NULL: the body is kept in memory */
    struct http_tls tls;
    int timeout_ms;                     /* of the whole exchange, retries included; must be > 0 */
    int connect_timeout_ms;             /* 0: 10 s */
    int connect_retries;                /* when no connection comes about; waits 0.1 s, doubled each time */
    int status_retries;                 /* when the answer is 503 and the method idempotent; waits Retry-After, at most 2 s */
    const char *interface;              /* the CURLOPT_INTERFACE to leave by, or NULL */
    size_t answer_limit;                /* 0: HTTP_CLIENT_ANSWER_LIMIT */
};

/* Any HTTP status is an answer: ret->status, headers and body (parsed when it is JSON) are in cx->arena. Faults: 503 nobody
 * answered (refused, unreachable, cut off, too late), 502 the answer is none (too large, malformed, a redirect loop), 500 the
 * local file could not be written, with code HTTP_CLIENT_LOCAL and errno's own words as the message. */
struct fault *http_client_call(struct context *cx, const struct http_exchange *exchange, struct rest_response *ret);
extern const char HTTP_CLIENT_LOCAL[];

/* Closes idle connections; for the end of the process. */
void http_client_stop(void);

#endif
