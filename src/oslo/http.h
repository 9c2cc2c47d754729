/* SPDX-License-Identifier: Apache-2.0
 *
 * http: requests, routes, and the one path that every request goes:
 *
 *     route -> authenticate -> microversion -> parse -> (handler: validate -> policy -> load -> sql/rest/rpc) -> render
 *
 * It is the same path for a request from a socket and for a call from another service in the same process
 * (oslo/rest.h). Handlers are straight-line, blocking code. A route that only touches memory or the database runs where
 * its request arrived; a route marked SLOW (password hashing, image data, calls to other services or to a hypervisor)
 * runs on the cloud's slow pool, so that it never delays a fast one; a full pool answers 503 with Retry-After.
 */
#ifndef OSLO_HTTP_H
#define OSLO_HTTP_H

#include "base/buf.h"
#include "oslo/context.h"
#include "oslo/json.h"
#include "oslo/policy.h"

#include <stdbool.h>
#include <sys/types.h>

enum http_method { GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, HTTP_METHODS };

struct request;
struct resource;
struct violation;

enum route_flags {
    SLOW        = 1 << 0, /* runs on the slow pool */
    STREAM      = 1 << 1, /* body is read by the handler with request_read(); implies SLOW */
    NO_TOKEN    = 1 << 2, /* public: version documents, password authentication */
    ANY_BODY    = 1 << 3, /* the handler parses request->data itself (JSON patch, forms) */
    OPTIONAL_TOKEN = 1 << 4, /* a token is checked when there is one */
};

/* One row of an API. `policy` names a rule of the service's policy table: it is enforced before the handler with the
 * caller's own project as target ({project_id, user_id}); HANDLER_POLICY says that the handler enforces it (it needs
 * the loaded object as target): request_enforce(). A route without it does not compile: the macro asks for it. */
struct route {
    enum http_method method;
    const char *path;      /* "/v2.1/servers/{id}/action"; {name} takes one segment, a final {name*} the rest */
    const char *policy;    /* rule name, or NULL with NO_TOKEN */
    struct fault *(*handler)(struct request *rq);
    unsigned flags;
    bool handler_policy;   /* the handler enforces `policy` itself */
    int min_version;       /* microversions from/to, minor number; 0: always. Outside: 404 */
    int max_version;
    int status;            /* of success: 0 means 200 */
    const struct resource *resource; /* what resource.h's handlers work on */
};
struct route_table {
    const struct route *rows;
    size_t count;
};
#define ROUTE(method_, path_, policy_, handler_, ...) { .method = (method_), .path = (path_), .policy = (policy_), .handler = (handler_), ##__VA_ARGS__ }
#define HANDLER_POLICY .handler_policy = true
#define ROUTES(array) { (array), sizeof(array) / sizeof((array)[0]) }

struct header {
    const char *name, *value;
    struct header *next;
};

enum { PATH_ARGUMENTS = 8 };

/* The body of a response that is not in memory: a file. */
struct response_file {
    int fd; /* -1: none; owned by the response */
    off_t offset, length;
};

struct request {
    struct context cx;             /* first: a request is a context; &rq->cx or RQ(rq) */
    enum http_method method;
    const char *method_name;       /* as sent */
    const char *path;              /* decoded, without query */
    const char *raw_path;          /* as sent, with query */
    const struct route *route;
    const char *arguments[PATH_ARGUMENTS]; /* values of {name}s, in path order */
    struct header *query;          /* decoded, in order; value "" when absent */
    const char *data;              /* body, NUL-terminated; "" when none. Not for STREAM */
    size_t data_length;
    json_t *body;                  /* parsed when the content is JSON and the route has not ANY_BODY; else NULL */
    int version;                   /* microversion's minor number; the dialect sets it */
    bool internal;                 /* came from a service in this process */
    const char *base_url;          /* "http://host:port" for links: X-Forwarded-*, else Host */
    /* The response. */
    int status;
    struct buf out;
    struct json_writer json;       /* writes to out */
    const char *content_type;      /* default application/json */
    struct header *headers;
    struct response_file file;
    void *transport;               /* http.c's or rest.c's */
};

#define RQ(rq) (&(rq)->cx)

const char *request_header(const struct request *rq, const char *name);      /* NULL: absent */
/* Calls take() for each header of a request that came from a socket. */
void request_headers(const struct request *rq, void (*take)(void *argument, const char *name, const char *value),
    void *argument);
const char *request_peer(const struct request *rq); /* the address that the connection comes from; NULL: no socket */
const char *request_query(const struct request *rq, const char *name);       /* first value, NULL: absent */
bool request_query_bool(const struct request *rq, const char *name, bool absent); /* oslo strutils: 1 t true on y yes */
const char *request_argument(const struct request *rq, const char *name);    /* by its {name} in the path */
void response_header(struct request *rq, const char *name, const char *value); /* replaces one of the same name */
void response_header_add(struct request *rq, const char *name, const char *value);
void response_headerf(struct request *rq, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* STREAM routes: reads up to `size` bytes of the body; 0 at its end, -1 when the client went away. */
ssize_t request_read(struct request *rq, void *to, size_t size);

/* Enforces a policy rule with a target; faults 403 in the dialect's words. `target` NULL: the caller's own project. */
struct fault *request_enforce(struct request *rq, const char *rule, const struct policy_target *target);
/* Whether the rule would pass. */
bool request_allowed(struct request *rq, const char *rule, const struct policy_target *target);

struct schema;
/* Checks rq->body against a schema; the dialect words the fault. A missing or non-JSON body is a fault too. */
struct fault *request_validate(struct request *rq, const struct schema *schema);

/* How a service speaks. All functions may be NULL where a default is right. */
struct dialect {
    const char *request_id_header;                                    /* also sent beside X-Openstack-Request-Id; may be NULL */
    size_t body_limit;                                                /* bytes; 0: 114688, oslo's default */
    unsigned schema_options;                                          /* of request_validate(): enum schema_options */
    bool merge_slashes;                                               /* "//" of a path is "/", as paste's urlmap has it */
    const char *(*rewrite)(struct request *rq);                       /* path to route instead of rq->path */
    struct fault *(*negotiate)(struct request *rq);                   /* microversion from the headers into rq->version */
    struct fault *(*invalid)(struct request *rq, const struct violation *violation);
    struct fault *(*malformed)(struct request *rq, const char *why);  /* the body is not JSON */
    struct fault *(*forbidden)(struct request *rq, const char *rule);
    struct fault *(*not_found)(struct request *rq);                   /* no such path */
    struct fault *(*bad_method)(struct request *rq);                  /* 405; Allow is set by the engine */
    struct fault *(*unauthorized)(struct request *rq);                /* 401; default: keystonemiddleware's */
    void (*render)(struct request *rq, const struct fault *fault);    /* writes status, body and headers of a fault */
    void (*finish)(struct request *rq);                               /* last look at the headers of any response */
};

/* The standard title of a status: 404 "Not Found". */
const char *http_reason(int status);

/* Routers are made from tables once. A clash (same method and path, overlapping versions) is a programming error. */
struct router;
struct router *router_create(const struct route_table *const *tables);
void router_destroy(struct router *router);
/* Finds the route and fills rq->route and rq->arguments. *ret_allow: methods that the path has ("GET, POST"), or NULL. */
const struct route *router_find(const struct router *router, struct request *rq, const char **ret_allow);

/* Runs a request on its way through one app; the response is in rq afterwards. Never fails: faults are rendered. */
void request_run(struct request *rq, const struct router *router);
/* Whether the route wants the slow pool. */
bool request_is_slow(const struct request *rq, const struct router *router);

/* A bare request with buffers ready; the fields of the request line and the headers are the caller's to fill. */
struct request *request_create(struct arena *arena, struct app *app);
enum http_method http_method_parse(const char *name); /* HTTP_METHODS: unknown */
/* Fills path, raw_path and query from the request target. False: bad escapes, NUL, or not UTF-8. */
bool request_set_target(struct request *rq, const char *target);

/* The listening side. */
struct http_server;
struct cloud;
struct http_server *http_server_create(struct cloud *cloud);
/* `listener` NULL: the app's API. What it speaks is app_tls()'s. */
struct fault *http_server_listen(struct arena *arena, struct http_server *server, const char *address, int port,
    struct app *app, const char *listener, const struct router *router);
/* Takes no new connections, lets requests under way end for so many seconds (0: as long as they take), then ends. */
void http_server_destroy(struct http_server *server, int grace_s);

#endif
