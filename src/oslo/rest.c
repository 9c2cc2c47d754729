/* SPDX-License-Identifier: Apache-2.0
 * rest: calls between services of this process, through the other's router, with token, policy and all. See rest.h. */
#include "oslo/rest.h"

#include "base/clock.h"
#include "oslo/app.h"
#include "oslo/identity.h"
#include "oslo/trace.h"
#include "oslo/transport.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct call {
    struct carrier carrier; /* first */
    struct header *headers;
    const char *data; /* what a STREAM route has not read yet */
    size_t left;
};

static const char *call_header(const struct request *rq, const char *name)
{
    const struct call *call = rq->transport;
    return header_find(call->headers, name);
}

static ssize_t call_read(struct request *rq, void *to, size_t size)
{
    struct call *call = rq->transport;
    size_t n = call->left < size ? call->left : size;
    memcpy(to, call->data, n);
    call->data += n;
    call->left -= n;
    return (ssize_t)n;
}

static const struct transport call_transport = { call_header, call_read };

static void add_header(struct arena *arena, struct call *call, const char *name, const char *value)
{
    struct header *h = ARENA_NEW(arena, struct header);
    *h = (struct header){ name, value, call->headers };
    call->headers = h;
}

static struct fault *add_headers(struct context *cx, const struct rest *rest, struct call *call)
{
    if (rest->as == AS_SERVICE) {
        const char *token;
        TRY(identity_service_token(cx, &token));
        add_header(cx->arena, call, "X-Auth-Token", token);
    } else if (rest->as == AS_CALLER) {
        if (cx->caller == NULL || cx->caller->token == NULL)
            return FAULT(cx, 401, NULL, "There is no user on whose behalf %s could be called.", rest->service);
        add_header(cx->arena, call, "X-Auth-Token", cx->caller->token);
    }
    if (rest->body != NULL || rest->data != NULL)
        add_header(cx->arena, call, "Content-Type", rest->body != NULL ? "application/json" : "application/octet-stream");
    if (rest->version != NULL)
        add_header(cx->arena, call, "OpenStack-API-Version", rest->version);
    add_header(cx->arena, call, "Accept", "application/json");
    for (const char *const *h = rest->headers; h != NULL && h[0] != NULL; h += 2)
        add_header(cx->arena, call, h[0], h[1]);
    return NULL;
}

/* The other service's own words, whatever its envelope: the first "message" or "detail" of the body. */
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

static struct fault *judge(struct context *cx, const struct rest *rest, const struct rest_response *answer)
{
    if (answer->status < 400 || rest->accept_status == -1 || rest->accept_status == answer->status)
        return NULL;
    const char *text = message_of(answer->body, 2);
    struct fault *fault = FAULT(cx, answer->status, NULL, "%s", text != NULL ? text : http_reason(answer->status));
    return fault_detail(cx->arena, fault, "%s %s answered %d", rest->service, rest->path, answer->status);
}

static void close_file(void *fd)
{
    close((int)(intptr_t)fd);
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

static struct fault *call_app(struct context *cx, const struct rest *rest, struct app *app, struct rest_response *ret)
{
    static const char *const names[HTTP_METHODS] = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS" };
    struct call *call = ARENA_NEW(cx->arena, struct call);
    call->carrier.transport = &call_transport;
    TRY(add_headers(cx, rest, call));
    struct request *rq = request_create(cx->arena, app);
    rq->transport = call;
    rq->internal = true;
    rq->method = rest->method;
    rq->method_name = names[rest->method];
    rq->cx.global_id = cx->global_id != NULL ? cx->global_id : cx->request_id;
    rq->cx.deadline_us = cx->deadline_us;
    rq->cx.span = cx->span;
    rq->base_url = arena_printf(cx->arena, "http://%s:%d", app->bind, app->port);
    if (!request_set_target(rq, rest->path))
        return FAULT(cx, 500, NULL, "The path %s is malformed.", rest->path);
    rq->data = rest->body != NULL ? json_dump(cx->arena, rest->body) : rest->data != NULL ? rest->data : "";
    rq->data_length = rest->body != NULL || rest->data_length == 0 ? strlen(rq->data) : rest->data_length;
    call->data = rq->data;
    call->left = rq->data_length;
    request_run(rq, app->router);
    take_response(cx, rq, ret);
    return NULL;
}

struct fault *rest_call(struct context *cx, const struct rest *rest, struct rest_response *ret)
{
    struct app *app = cloud_app(cx->app->cloud, rest->service);
    if (app == NULL || !app->serves_api)
        return FAULT(cx, 503, NULL, "No %s service runs in this process.", rest->service);
    TRY(call_app(cx, rest, app, ret));
    return judge(cx, rest, ret);
}

const char *rest_header(const struct rest_response *response, const char *name)
{
    return header_find(response->headers, name);
}

const char *rest_escape(struct arena *arena, const char *text)
{
    char *out = arena_alloc(arena, strlen(text) * 3 + 1);
    char *to = out;
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        if (isalnum(*at) || strchr("-._~", *at) != NULL)
            *to++ = (char)*at;
        else
            to += sprintf(to, "%%%02X", *at);
    }
    return out;
}
