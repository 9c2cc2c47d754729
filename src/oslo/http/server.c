/* SPDX-License-Identifier: Apache-2.0
 * http/server: libmicrohttpd's epoll pools carry requests to request_run(). See http.h.
 *
 * An exchange is one request on one connection. Fast routes run in the epoll thread. Slow ones: the connection is
 * suspended, a worker runs the request and resumes it. STREAM routes: the worker starts as soon as the headers are
 * there; body chunks are handed over one at a time through `slot`, and the connection is suspended while the worker is
 * behind, so that memory does not grow with the body. */
#include "base/clock.h"

#include "base/log.h"
#include "oslo/app.h"
#include "oslo/http/tls.h"
#include "oslo/http/transport.h"
#include "oslo/middleware.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    THREADS = 4,              /* epoll threads a port */
    CONNECTION_MEMORY = 32768, /* request line and headers; MHD answers 431 above */
    CONNECTIONS = 4096,
    QUIET_US = 50000,         /* without a request, before the end */
    IDLE_SECONDS = 75,
    SLOT = 256 * 1024,
};

struct port {
    struct port *next;
    struct http_server *server;
    struct MHD_Daemon *daemon;
    struct app *app;
    const struct router *router;
    char authority[80]; /* "127.0.0.1:5000", for links when the client sent no usable Host */
};

struct http_server {
    struct cloud *cloud;
    struct port *ports;
    atomic_bool closing;  /* no new connections; those that are there end with their present request */
    atomic_bool stopping;
    atomic_uint active;   /* exchanges under way */
    atomic_uint working; /* exchanges that a worker has */
    pthread_mutex_t lock;
    struct exchange *streams; /* to be woken when the server stops */
};

enum stage {
    STAGE_NEW,      /* headers not looked at yet */
    STAGE_BODY,     /* body goes to `data` */
    STAGE_WORKING,  /* a worker has it, the connection is suspended */
    STAGE_STREAM,   /* a worker has it and wants the body */
    STAGE_READY,    /* the response can be queued */
};

struct exchange {
    struct carrier carrier; /* first */
    struct port *port;
    struct MHD_Connection *connection;
    struct header *kept; /* STREAM: copies of the headers: a client that goes takes the connection's own with it */
    struct arena *arena;
    struct request *rq;
    struct buf data;
    enum stage stage;
    bool early_answer; /* the body was not read: the connection closes */
    bool body_begun;   /* STREAM: the call after the first resume was seen */
    /* STREAM: under `lock`. */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    char *slot;
    size_t slot_used, slot_read;
    bool end, gone, suspended;
    unsigned holders; /* connection and worker */
    struct exchange *next, **link;
};

static const char *socket_header(const struct request *rq, const char *name)
{
    const struct exchange *x = rq->transport;
    if (x->slot != NULL) {
        for (const struct header *h = x->kept; h != NULL; h = h->next)
            if (strcasecmp(h->name, name) == 0)
                return h->value;
        return NULL;
    }
    return MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, name);
}

/* ---- streams ---- */

static void resume_if_suspended(struct exchange *x)
{
    if (x->suspended) {
        x->suspended = false;
        MHD_resume_connection(x->connection);
    }
}

static ssize_t socket_read(struct request *rq, void *to, size_t size)
{
    struct exchange *x = rq->transport;
    pthread_mutex_lock(&x->lock);
    if (x->stage == STAGE_WORKING) { /* the first read: let the body come */
        x->stage = STAGE_STREAM;
        resume_if_suspended(x);
    }
    while (x->slot_used == x->slot_read && !x->end && !x->gone && !atomic_load(&x->port->server->stopping))
        pthread_cond_wait(&x->wake, &x->lock);
    size_t have = x->slot_used - x->slot_read;
    ssize_t n = have < size ? (ssize_t)have : (ssize_t)size;
    if (have > 0) {
        memcpy(to, x->slot + x->slot_read, (size_t)n);
        x->slot_read += (size_t)n;
        if (x->slot_read == x->slot_used) {
            x->slot_read = x->slot_used = 0;
            resume_if_suspended(x);
        }
    } else if (!x->end) {
        n = -1;
    }
    pthread_mutex_unlock(&x->lock);
    return n;
}

static const char *socket_peer(const struct request *rq)
{
    const struct exchange *x = rq->transport;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    char text[INET6_ADDRSTRLEN] = "";
    if (info == NULL || info->client_addr == NULL)
        return NULL;
    if (info->client_addr->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)info->client_addr)->sin_addr, text, sizeof(text));
    else if (info->client_addr->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)info->client_addr)->sin6_addr, text, sizeof(text));
    return text[0] != '\0' ? arena_strdup(x->arena, text) : NULL;
}

struct header_walk {
    void (*take)(void *argument, const char *name, const char *value);
    void *argument;
};

static enum MHD_Result walk_header(void *walk, enum MHD_ValueKind kind, const char *name, const char *value)
{
    const struct header_walk *w = walk;
    w->take(w->argument, name, value != NULL ? value : "");
    return MHD_YES;
}

static void socket_headers(const struct request *rq, void (*take)(void *argument, const char *name, const char *value),
    void *argument)
{
    const struct exchange *x = rq->transport;
    struct header_walk walk = { take, argument };
    if (x->slot == NULL) /* a stream's client may be gone, and its headers with it */
        MHD_get_connection_values(x->connection, MHD_HEADER_KIND, walk_header, &walk);
    else
        for (const struct header *h = x->kept; h != NULL; h = h->next)
            take(argument, h->name, h->value);
}

static const struct transport socket_transport = {
    .header = socket_header, .read = socket_read, .peer = socket_peer, .headers = socket_headers };

/* A chunk came from the client. Suspends the connection when the worker still has the one before. */
static void take_chunk(struct exchange *x, const char *data, size_t *size)
{
    pthread_mutex_lock(&x->lock);
    if (x->stage == STAGE_READY) { /* answered already: what still comes is dropped */
        *size = 0;
    } else if (x->slot_used > 0) {
        x->suspended = true;
        MHD_suspend_connection(x->connection);
    } else {
        size_t n = *size < SLOT ? *size : SLOT;
        memcpy(x->slot, data, n);
        x->slot_used = n;
        *size -= n;
        pthread_cond_signal(&x->wake);
    }
    pthread_mutex_unlock(&x->lock);
}

static void link_stream(struct http_server *server, struct exchange *x)
{
    pthread_mutex_lock(&server->lock);
    x->next = server->streams;
    x->link = &server->streams;
    if (x->next != NULL)
        x->next->link = &x->next;
    server->streams = x;
    pthread_mutex_unlock(&server->lock);
}

static void unlink_stream(struct http_server *server, struct exchange *x)
{
    pthread_mutex_lock(&server->lock);
    if (x->link != NULL) {
        *x->link = x->next;
        if (x->next != NULL)
            x->next->link = x->link;
        x->link = NULL;
    }
    pthread_mutex_unlock(&server->lock);
}

/* ---- exchanges ---- */

static void exchange_drop(struct exchange *x)
{
    pthread_mutex_lock(&x->lock);
    bool last = --x->holders == 0;
    pthread_mutex_unlock(&x->lock);
    if (!last)
        return;
    unlink_stream(x->port->server, x);
    if (x->rq->file.fd >= 0)
        close(x->rq->file.fd);
    buf_release(&x->data);
    pthread_cond_destroy(&x->wake);
    pthread_mutex_destroy(&x->lock);
    arena_destroy(x->arena);
    free(x->slot);
    free(x);
}

/* Called with the request target as it was sent, before anything else. */
static void *begin_exchange(void *port, const char *target, struct MHD_Connection *connection)
{
    struct exchange *x = calloc(1, sizeof(*x));
    if (x == NULL)
        abort();
    x->carrier.transport = &socket_transport;
    x->port = port;
    atomic_fetch_add(&x->port->server->active, 1);
    x->connection = connection;
    x->arena = arena_create();
    x->holders = 1;
    pthread_mutex_init(&x->lock, NULL);
    pthread_cond_init(&x->wake, NULL);
    x->rq = request_create(x->arena, x->port->app);
    x->rq->transport = x;
    if (!request_set_target(x->rq, target))
        x->rq->path = NULL;
    return x;
}

static void end_exchange(void *port, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode why)
{
    struct exchange *x = *state;
    *state = NULL;
    if (x == NULL)
        return;
    pthread_mutex_lock(&x->lock);
    x->gone = true;
    pthread_cond_broadcast(&x->wake);
    pthread_mutex_unlock(&x->lock);
    atomic_fetch_sub(&x->port->server->active, 1);
    exchange_drop(x);
}

static enum MHD_Result respond(struct exchange *x)
{
    struct request *rq = x->rq;
    struct MHD_Response *response;
    if (rq->file.fd >= 0) {
        response = MHD_create_response_from_fd_at_offset64((uint64_t)rq->file.length, rq->file.fd, (uint64_t)rq->file.offset);
        rq->file.fd = -1;
    } else {
        size_t length = rq->out.length;
        char *data = buf_detach(&rq->out);
        response = MHD_create_response_from_buffer(length, data != NULL ? data : "",
            data != NULL ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    }
    if (response == NULL)
        return MHD_NO;
    if (rq->content_type != NULL && rq->status != 204 && rq->status != 304)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, rq->content_type);
    for (const struct header *h = rq->headers; h != NULL; h = h->next)
        MHD_add_response_header(response, h->name, h->value);
    if (x->early_answer || atomic_load(&x->port->server->closing))
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    enum MHD_Result queued = MHD_queue_response(x->connection, (unsigned)rq->status, response);
    MHD_destroy_response(response);
    return queued;
}

static void run_slow(void *argument)
{
    struct exchange *x = argument;
    struct http_server *server = x->port->server;
    request_run(x->rq, x->port->router);
    pthread_mutex_lock(&x->lock);
    x->stage = STAGE_READY;
    if (!x->gone)
        resume_if_suspended(x);
    pthread_mutex_unlock(&x->lock);
    exchange_drop(x);
    atomic_fetch_sub(&server->working, 1);
}

/* A response that no handler wrote: too large, too busy. */
static enum MHD_Result refuse(struct exchange *x, int status, const char *text)
{
    struct request *rq = x->rq;
    rq->status = status;
    json_begin(&rq->json, NULL);
    json_begin(&rq->json, "error");
    json_int(&rq->json, "code", status);
    json_text(&rq->json, "title", http_reason(status));
    json_text(&rq->json, "message", text);
    json_end(&rq->json);
    json_end(&rq->json);
    if (status == 503)
        response_header(rq, "Retry-After", "1");
    x->stage = STAGE_READY;
    return respond(x);
}

static enum MHD_Result give_to_worker(struct exchange *x)
{
    struct http_server *server = x->port->server;
    pthread_mutex_lock(&x->lock);
    x->stage = STAGE_WORKING;
    x->suspended = true;
    x->holders++;
    MHD_suspend_connection(x->connection);
    pthread_mutex_unlock(&x->lock);
    atomic_fetch_add(&server->working, 1);
    if (work_submit(server->cloud->slow, run_slow, x))
        return MHD_YES;
    atomic_fetch_sub(&server->working, 1);
    pthread_mutex_lock(&x->lock);
    x->holders--;
    resume_if_suspended(x);
    pthread_mutex_unlock(&x->lock);
    x->early_answer = true;
    return refuse(x, 503, "The server is busy. Please try again.");
}

static size_t body_limit(const struct exchange *x)
{
    size_t limit = x->port->app->service->dialect->body_limit;
    return limit != 0 ? limit : middleware_body_limit(x->port->app);
}

static enum MHD_Result keep_header(void *argument, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct exchange *x = argument;
    struct header *h = ARENA_NEW(x->arena, struct header), **end = &x->kept;
    *h = (struct header){ arena_strdup(x->arena, name), arena_strdup(x->arena, value != NULL ? value : ""), NULL };
    while (*end != NULL)
        end = &(*end)->next;
    *end = h;
    return MHD_YES;
}

/* The headers are there. */
static enum MHD_Result look_at_headers(struct exchange *x, const char *method)
{
    struct request *rq = x->rq;
    const char *allow;
    rq->method_name = arena_strdup(x->arena, method);
    rq->method = http_method_parse(method);
    rq->base_url = middleware_base_url(rq, x->port->authority);
    rq->version = -1;
    const struct route *route = rq->path != NULL ? router_find(x->port->router, rq, &allow) : NULL;
    rq->route = NULL;
    if (route != NULL && (route->flags & STREAM)) {
        MHD_get_connection_values(x->connection, MHD_HEADER_KIND, keep_header, x);
        x->slot = malloc(SLOT);
        if (x->slot == NULL)
            abort();
        link_stream(x->port->server, x);
        return give_to_worker(x);
    }
    const char *length = socket_header(rq, MHD_HTTP_HEADER_CONTENT_LENGTH);
    if (length != NULL && strtoull(length, NULL, 10) > body_limit(x)) {
        x->early_answer = true;
        return refuse(x, 413, "Request is too large.");
    }
    x->stage = STAGE_BODY;
    return MHD_YES;
}

static enum MHD_Result body_is_complete(struct exchange *x)
{
    struct request *rq = x->rq;
    if (x->data.length > body_limit(x))
        return refuse(x, 413, "Request is too large.");
    rq->data = buf_text(&x->data);
    rq->data_length = x->data.length;
    if (request_is_slow(rq, x->port->router))
        return give_to_worker(x);
    request_run(rq, x->port->router);
    x->stage = STAGE_READY;
    return respond(x);
}

static enum MHD_Result stream_ended(struct exchange *x)
{
    pthread_mutex_lock(&x->lock);
    bool ready = x->stage == STAGE_READY;
    x->end = true;
    if (!ready) {
        x->suspended = true;
        MHD_suspend_connection(x->connection);
        pthread_cond_signal(&x->wake);
    }
    pthread_mutex_unlock(&x->lock);
    return ready ? respond(x) : MHD_YES;
}

/* MHD calls this again and again for one request: once with the headers, for each chunk, at the end, after a resume. */
static enum MHD_Result handle(void *port, struct MHD_Connection *connection, const char *url, const char *method,
    const char *version, const char *data, size_t *size, void **state)
{
    struct exchange *x = *state;
    pthread_mutex_lock(&x->lock);
    enum stage stage = x->stage;
    bool first_call_again = stage == STAGE_STREAM && !x->body_begun;
    pthread_mutex_unlock(&x->lock);
    if (stage == STAGE_NEW)
        return look_at_headers(x, method);
    if (first_call_again) { /* resumed by the first read: the body comes next */
        x->body_begun = true;
        return MHD_YES;
    }
    if (*size > 0) {
        if (stage == STAGE_BODY) {
            if (x->data.length <= body_limit(x))
                buf_append(&x->data, data, *size);
            *size = 0;
        } else {
            take_chunk(x, data, size);
        }
        return MHD_YES;
    }
    if (stage == STAGE_BODY)
        return body_is_complete(x);
    if (stage == STAGE_READY) {
        x->early_answer |= x->slot != NULL && !x->body_begun;
        return respond(x);
    }
    return stream_ended(x);
}

/* ---- the server ---- */

struct http_server *http_server_create(struct cloud *cloud)
{
    struct http_server *server = calloc(1, sizeof(*server));
    if (server == NULL)
        abort();
    server->cloud = cloud;
    pthread_mutex_init(&server->lock, NULL);
    return server;
}

/* MHD must not decode: request_set_target() does it, and refuses what MHD would let pass. */
static size_t keep_escapes(void *port, struct MHD_Connection *connection, char *text)
{
    return strlen(text);
}

static bool parse_address(const char *text, int port, struct sockaddr_storage *ret)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
    memset(ret, 0, sizeof(*ret));
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        return true;
    }
    if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        return true;
    }
    return false;
}

struct fault *http_server_listen(struct arena *arena, struct http_server *server, const char *address, int port,
    struct app *app, const char *listener, const struct router *router)
{
    struct sockaddr_storage where;
    const struct app_tls speaks = app_tls(app, listener);
    if (!parse_address(address, port, &where))
        return fault_new(arena, 500, NULL, "%s is not an address to listen on.", address);
    struct MHD_OptionItem tls[TLS_ITEMS] = { { MHD_OPTION_END, 0, NULL } };
    if (speaks.on)
        TRY(tls_items(arena, speaks.cert_file, speaks.key_file, speaks.ca_file, tls));
    struct port *p = calloc(1, sizeof(*p));
    if (p == NULL)
        abort();
    *p = (struct port){ .next = server->ports, .server = server, .app = app, .router = router };
    bool v6 = where.ss_family == AF_INET6;
    snprintf(p->authority, sizeof(p->authority), v6 ? "[%s]:%d" : "%s:%d", address, port);
    p->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | (v6 ? MHD_USE_IPv6 : 0) |
            (speaks.on ? MHD_USE_TLS : 0), (uint16_t)port, NULL, NULL,
        handle, p, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&where, MHD_OPTION_THREAD_POOL_SIZE, (unsigned)THREADS,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS, MHD_OPTION_URI_LOG_CALLBACK, begin_exchange, p,
        MHD_OPTION_NOTIFY_COMPLETED, end_exchange, p, MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, p,
        MHD_OPTION_ARRAY, tls,
        MHD_OPTION_END);
    if (p->daemon == NULL) {
        struct fault *fault = fault_new(arena, 500, NULL, "%s cannot listen on %s: is another program there?",
            app->service->name, p->authority);
        free(p);
        return fault;
    }
    server->ports = p;
    return NULL;
}

/* Streams are told to end; then every worker comes back before the daemons stop. */
static void drain_workers(struct http_server *server)
{
    while (atomic_load(&server->working) > 0) {
        pthread_mutex_lock(&server->lock);
        for (struct exchange *x = server->streams; x != NULL; x = x->next) {
            pthread_mutex_lock(&x->lock);
            pthread_cond_broadcast(&x->wake);
            pthread_mutex_unlock(&x->lock);
        }
        pthread_mutex_unlock(&server->lock);
        usleep(1000);
    }
}

/* Requests under way come to their end, as oslo.service lets them, but not for ever. */
static void finish_requests(struct http_server *server, int grace_s)
{
    int64_t now_us = clock_monotonic_us(), end_us = now_us + (int64_t)grace_s * 1000000, quiet_us = now_us;
    /* Quiet for a moment: who was just accepted has not said its request yet. */
    while (now_us - quiet_us < QUIET_US && (grace_s == 0 || now_us < end_us)) {
        usleep(2000);
        now_us = clock_monotonic_us();
        if (atomic_load(&server->active) > 0)
            quiet_us = now_us;
    }
}

/* Clients whose connection stands, in the kernel's queue: closing the socket would reset them with their requests. */
static void take_waiting(const struct port *p, MHD_socket listening)
{
    for (;;) {
        struct sockaddr_storage from;
        socklen_t length = sizeof(from);
        int fd = accept4(listening, (struct sockaddr *)&from, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            return;
        MHD_add_connection(p->daemon, fd, (struct sockaddr *)&from, length); /* closes it when it cannot */
    }
}

void http_server_destroy(struct http_server *server, int grace_s)
{
    if (server == NULL)
        return;
    atomic_store(&server->closing, true);
    for (struct port *p = server->ports; p != NULL; p = p->next) {
        MHD_socket listening = MHD_quiesce_daemon(p->daemon);
        if (listening == MHD_INVALID_SOCKET)
            continue;
        if (fcntl(listening, F_SETFL, O_NONBLOCK) == 0)
            take_waiting(p, listening);
        close(listening);
    }
    finish_requests(server, grace_s);
    atomic_store(&server->stopping, true);
    drain_workers(server);
    while (server->ports != NULL) {
        struct port *p = server->ports;
        server->ports = p->next;
        MHD_stop_daemon(p->daemon);
        free(p);
    }
    pthread_mutex_destroy(&server->lock);
    free(server);
}
