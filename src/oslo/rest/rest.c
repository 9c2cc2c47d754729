/* SPDX-License-Identifier: Apache-2.0
 * rest: calls between services: through the other's router when it is in this process, else over HTTP. See rest.h. */
#include "oslo/rest.h"

#include "base/clock.h"
#include "base/text.h"
#include "oslo/app.h"
#include "oslo/http/transport.h"
#include "oslo/rest/session.h"
#include "oslo/trace.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/sendfile.h>
#include <unistd.h>

enum { TIMEOUT_MS = 60000, SINK_CHUNK = 16 << 20 };

struct call {
    struct carrier carrier; /* first */
    const char *const *headers; /* "Name", "value", ..., NULL */
    const char *data; /* what a STREAM route has not read yet */
    size_t left;
    const struct http_source *source;
};

static const char *call_header(const struct request *rq, const char *name)
{
    const struct call *call = rq->transport;
    for (const char *const *h = call->headers; h[0] != NULL; h += 2)
        if (strcasecmp(h[0], name) == 0)
            return h[1];
    return NULL;
}

static ssize_t call_read(struct request *rq, void *to, size_t size)
{
    struct call *call = rq->transport;
    size_t n = call->left < size ? call->left : size;
    if (call->source != NULL) {
        ssize_t got = read(call->source->fd, to, n);
        call->left -= got > 0 ? (size_t)got : 0;
        return got;
    }
    memcpy(to, call->data, n);
    call->data += n;
    call->left -= n;
    return (ssize_t)n;
}

static const struct transport call_transport = { .header = call_header, .read = call_read };

/* ---- headers ---- */

enum { OWN_HEADERS = 8 };

struct headers {
    const char **list;
    size_t count;
};

static void add_header(struct headers *headers, const char *name, const char *value)
{
    headers->list[headers->count++] = name;
    headers->list[headers->count++] = value;
}

static bool sends_service_token(const struct config *config)
{
    return config_has(config, "service_user", "send_service_user_token") &&
        config_bool(config, "service_user", "send_service_user_token");
}

static struct fault *add_tokens(struct context *cx, const struct rest *rest, const char *group, struct headers *headers,
    const char **ret_token)
{
    const char *token;
    *ret_token = NULL;
    if (rest->as == AS_SERVICE) {
        TRY(session_token(cx, group, ret_token));
        add_header(headers, "X-Auth-Token", *ret_token);
    } else if (rest->as == AS_CALLER) {
        if (cx->caller == NULL || cx->caller->token == NULL)
            return FAULT(cx, 401, NULL, "There is no user on whose behalf %s could be called.", rest->service);
        add_header(headers, "X-Auth-Token", cx->caller->token);
        if (sends_service_token(cx->app->config)) {
            TRY(session_token(cx, "service_user", &token));
            add_header(headers, "X-Service-Token", token);
        }
    }
    return NULL;
}

static struct fault *make_headers(struct context *cx, const struct rest *rest, const char *group, const char *const **ret,
    const char **ret_token)
{
    struct headers headers = { 0 };
    size_t own = 0;
    while (rest->headers != NULL && rest->headers[own] != NULL)
        own++;
    headers.list = ARENA_ARRAY(cx->arena, const char *, own + OWN_HEADERS * 2 + 1);
    TRY(add_tokens(cx, rest, group, &headers, ret_token));
    if (rest->body != NULL || rest->data != NULL || rest->source != NULL)
        add_header(&headers, "Content-Type", rest->body != NULL ? "application/json" : "application/octet-stream");
    if (rest->version != NULL)
        add_header(&headers, "OpenStack-API-Version", rest->version);
    add_header(&headers, "Accept", "application/json");
    if (cx->global_id != NULL || cx->request_id != NULL)
        add_header(&headers, "X-OpenStack-Request-ID", cx->global_id != NULL ? cx->global_id : cx->request_id);
    if (trace_id(cx) != 0)
        add_header(&headers, REST_SPAN_HEADER, arena_printf(cx->arena, "%016llx", (unsigned long long)trace_id(cx)));
    for (size_t i = 0; i + 1 < own; i += 2)
        add_header(&headers, rest->headers[i], rest->headers[i + 1]);
    *ret = headers.list;
    return NULL;
}

/* The first "message" or "detail" of the body. */
static const char *message_of(const json_t *value, int depth)
{
    const char *key;
    json_t *member;
    static const char *const names[] = { "message", "detail" };
    for (size_t i = 0; i < 2; i++) {
        const char *text = json_string_value(json_object_get(value, names[i]));
        if (text != NULL && *text != '\0')
            return text;
    }
    if (depth == 0)
        return NULL;
    json_object_foreach((json_t *)value, key, member) {
        const char *text = message_of(json_is_array(member) ? json_array_get(member, 0) : member, depth - 1);
        if (text != NULL)
            return text;
    }
    return NULL;
}

const char *rest_message(const struct rest_response *response)
{
    return message_of(response->body, 2);
}

static struct fault *judge(struct context *cx, const struct rest *rest, const struct rest_response *answer)
{
    if (answer->status < 400 || rest->accept_status == -1 || rest->accept_status == answer->status)
        return NULL;
    const char *text = rest_message(answer);
    struct fault *fault = FAULT(cx, answer->status, NULL, "%s", text != NULL ? text : http_reason(answer->status));
    return fault_detail(cx->arena, fault, "%s %s answered %d", rest->service, rest->path, answer->status);
}

static void close_file(void *fd)
{
    close((int)(intptr_t)fd);
}

static struct fault *fill_sink(struct context *cx, const struct http_sink *sink, struct rest_response *ret)
{
    off_t total = ret->fd >= 0 ? ret->length : (off_t)ret->data_length, done = 0;
    while (done < total) {
        size_t left = (size_t)(total - done) < SINK_CHUNK ? (size_t)(total - done) : SINK_CHUNK;
        ssize_t n = ret->fd >= 0 ? sendfile(sink->fd, ret->fd, NULL, left) : write(sink->fd, ret->data + done, left);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return FAULT(cx, 500, HTTP_CLIENT_LOCAL, "%s", n < 0 ? strerror(errno) : "The file ended early.");
        done += n;
        if (sink->progress != NULL)
            sink->progress(sink->owner, done, total);
    }
    ret->length = done;
    ret->fd = -1;
    ret->data = "";
    ret->data_length = 0;
    return NULL;
}

static void take_response(struct context *cx, struct request *rq, struct rest_response *ret)
{
    *ret = (struct rest_response){ .status = rq->status, .headers = rq->headers, .fd = -1,
        .data = buf_text(&rq->out), .data_length = rq->out.length };
    if (rq->file.fd >= 0) {
        ret->fd = rq->file.fd;
        ret->length = rq->file.length;
        lseek(ret->fd, rq->file.offset, SEEK_SET);
        arena_defer(cx->arena, close_file, (void *)(intptr_t)ret->fd);
        rq->file.fd = -1;
    }
    const char *why;
    if (ret->data_length > 0 && rq->content_type != NULL && strstr(rq->content_type, "json") != NULL)
        ret->body = json_parse(cx->arena, ret->data, ret->data_length, &why);
}

static const char *const method_names[HTTP_METHODS] = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS" };

static struct fault *call_app(struct context *cx, const struct rest *rest, struct app *app, const char *const *headers,
    struct rest_response *ret)
{
    struct call *call = ARENA_NEW(cx->arena, struct call);
    call->carrier.transport = &call_transport;
    call->headers = headers;
    struct request *rq = request_create(cx->arena, app);
    rq->transport = call;
    rq->internal = true;
    rq->method = rest->method;
    rq->method_name = method_names[rest->method];
    rq->cx.global_id = cx->global_id != NULL ? cx->global_id : cx->request_id;
    rq->cx.deadline_us = cx->deadline_us;
    rq->cx.span = cx->span;
    rq->base_url = arena_printf(cx->arena, "%s://%s:%d", app_uses_tls(app) ? "https" : "http", app->bind, app->port);
    if (!request_set_target(rq, rest->path))
        return FAULT(cx, 500, NULL, "The path %s is malformed.", rest->path);
    rq->data = rest->body != NULL ? json_dump(cx->arena, rest->body) : rest->data != NULL ? rest->data : "";
    rq->data_length = rest->body != NULL || rest->data_length == 0 ? strlen(rq->data) : rest->data_length;
    call->data = rq->data;
    call->left = rest->source != NULL ? (size_t)rest->source->length : rq->data_length;
    call->source = rest->source;
    request_run(rq, app->router);
    take_response(cx, rq, ret);
    return rest->sink != NULL && ret->status < 300 ? fill_sink(cx, rest->sink, ret) : NULL;
}

/* ---- another process ---- */

static int timeout_of(const struct context *cx, const struct rest *rest)
{
    int64_t timeout_ms = rest->timeout_ms > 0 ? rest->timeout_ms : TIMEOUT_MS;
    int64_t left_ms = cx->deadline_us != 0 ? (cx->deadline_us - clock_monotonic_us()) / 1000 : timeout_ms;
    return (int)(left_ms < timeout_ms ? left_ms : timeout_ms);
}

static struct fault *call_away(struct context *cx, const struct rest *rest, const struct rest_target *target,
    const char *const *headers, struct rest_response *ret)
{
    const char *base;
    struct http_exchange x = { .method = method_names[rest->method], .headers = headers, .data = rest->data,
        .data_length = rest->data_length, .source = rest->source, .sink = rest->sink, .timeout_ms = timeout_of(cx, rest) };
    if (rest->as == AS_NOBODY && strcmp(rest->service, "identity") == 0)
        base = session_auth_base(cx, target->group);
    else
        TRY(session_endpoint(cx, target, &base));
    if (base == NULL)
        return FAULT(cx, 503, NULL, "[%s] auth_url is not set.", target->group);
    if (x.timeout_ms <= 0)
        return FAULT(cx, 503, NULL, "There is no time left to call %s.", rest->service);
    if (rest->body != NULL) {
        x.data = json_dump(cx->arena, rest->body);
        x.data_length = strlen(x.data);
    } else if (x.data != NULL && x.data_length == 0) {
        x.data_length = strlen(x.data);
    }
    x.url = arena_printf(cx->arena, "%s%s", base, rest->path);
    session_limits(cx->app, target->group, &x);
    struct fault *fault = http_client_call(cx, &x, ret);
    if (fault != NULL) /* the other side has no span of a call that never arrived */
        trace_end(cx, trace_begin(cx, cx->app->service->name, NULL, "%s %s %.*s", x.method, rest->service,
            (int)strcspn(rest->path, "?"), rest->path), fault);
    return fault;
}

static struct rest_target target_of(const struct app *app, const struct rest *rest)
{
    if (rest->group != NULL)
        return (struct rest_target){ .type = rest->service, .group = rest->group };
    for (const struct rest_target *t = app->service->targets; t != NULL && t->type != NULL; t++)
        if (strcmp(t->type, rest->service) == 0)
            return *t;
    return (struct rest_target){ .type = rest->service, .group = "keystone_authtoken" };
}

static struct fault *call_once(struct context *cx, const struct rest *rest, struct rest_response *ret, const char **ret_token)
{
    struct app *app = cloud_app(cx->app->cloud, rest->service);
    const struct rest_target target = target_of(cx->app, rest);
    const char *const *headers;
    TRY(make_headers(cx, rest, target.group, &headers, ret_token));
    if (app != NULL && app->serves_api)
        return call_app(cx, rest, app, headers, ret);
    return call_away(cx, rest, &target, headers, ret);
}

struct fault *rest_call(struct context *cx, const struct rest *rest, struct rest_response *ret)
{
    const char *token;
    TRY(call_once(cx, rest, ret, &token));
    if (ret->status == 401 && token != NULL) { /* it was revoked, or keystone's keys were changed */
        session_reject(cx->app, target_of(cx->app, rest).group, token);
        TRY(call_once(cx, rest, ret, &token));
    }
    return judge(cx, rest, ret);
}

const char *rest_header(const struct rest_response *response, const char *name)
{
    return header_find(response->headers, name);
}

const char *rest_escape(struct arena *arena, const char *text)
{
    return text_escape(arena, text, TEXT_UNRESERVED);
}
