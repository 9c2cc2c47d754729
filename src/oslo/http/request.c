/* SPDX-License-Identifier: Apache-2.0
 * request: what a handler reads of a request and writes of its answer. See http.h. */
#include "base/text.h"
#include "oslo/app.h"
#include "oslo/http.h"
#include "oslo/http/transport.h"

#include <string.h>
#include <strings.h>

static const struct {
    int status;
    const char *reason;
} reasons[] = {
    { 200, "OK" }, { 201, "Created" }, { 202, "Accepted" }, { 203, "Non-Authoritative Information" },
    { 204, "No Content" }, { 206, "Partial Content" }, { 300, "Multiple Choices" }, { 302, "Found" },
    { 304, "Not Modified" }, { 400, "Bad Request" }, { 401, "Unauthorized" }, { 403, "Forbidden" },
    { 404, "Not Found" }, { 405, "Method Not Allowed" }, { 406, "Not Acceptable" }, { 408, "Request Timeout" },
    { 409, "Conflict" }, { 410, "Gone" }, { 411, "Length Required" }, { 412, "Precondition Failed" },
    { 413, "Request Entity Too Large" }, { 414, "Request URI Too Long" }, { 415, "Unsupported Media Type" },
    { 416, "Requested Range Not Satisfiable" }, { 429, "Too Many Requests" }, { 500, "Internal Server Error" },
    { 501, "Not Implemented" }, { 502, "Bad Gateway" }, { 503, "Service Unavailable" }, { 504, "Gateway Timeout" },
};

const char *http_reason(int status)
{
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Unknown";
}

/* ---- what a handler reads ---- */

const char *request_header(const struct request *rq, const char *name)
{
    const struct carrier *carrier = rq->transport;
    return carrier == NULL ? NULL : carrier->transport->header(rq, name);
}

void request_headers(const struct request *rq, void (*take)(void *argument, const char *name, const char *value),
    void *argument)
{
    const struct carrier *carrier = rq->transport;
    if (carrier != NULL && carrier->transport->headers != NULL)
        carrier->transport->headers(rq, take, argument);
}

const char *request_peer(const struct request *rq)
{
    const struct carrier *carrier = rq->transport;
    return carrier != NULL && carrier->transport->peer != NULL ? carrier->transport->peer(rq) : NULL;
}

ssize_t request_read(struct request *rq, void *to, size_t size)
{
    const struct carrier *carrier = rq->transport;
    return carrier->transport->read(rq, to, size);
}

const char *request_query(const struct request *rq, const char *name)
{
    for (const struct header *q = rq->query; q != NULL; q = q->next)
        if (strcmp(q->name, name) == 0)
            return q->value;
    return NULL;
}

bool request_query_bool(const struct request *rq, const char *name, bool absent)
{
    static const char *const yes[] = { "1", "t", "true", "on", "y", "yes" };
    const char *value = request_query(rq, name);
    if (value == NULL)
        return absent;
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
        if (strcasecmp(value, yes[i]) == 0)
            return true;
    return false;
}

/* ---- what a handler writes ---- */

void response_header_add(struct request *rq, const char *name, const char *value)
{
    struct header **last = &rq->headers;
    while (*last != NULL)
        last = &(*last)->next;
    *last = ARENA_NEW(rq->cx.arena, struct header);
    char *clean = arena_strdup(rq->cx.arena, value); /* no caller's text may end the header early */
    for (char *c = clean; *c != '\0'; c++)
        if (*c == '\r' || *c == '\n')
            *c = ' ';
    **last = (struct header){ arena_strdup(rq->cx.arena, name), clean, NULL };
}

void response_header(struct request *rq, const char *name, const char *value)
{
    struct header **at = &rq->headers;
    while (*at != NULL) {
        if (strcasecmp((*at)->name, name) == 0)
            *at = (*at)->next;
        else
            at = &(*at)->next;
    }
    response_header_add(rq, name, value);
}

void response_headerf(struct request *rq, const char *name, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    response_header(rq, name, arena_vprintf(rq->cx.arena, format, args));
    va_end(args);
}

/* ---- making a request ---- */

static void release_output(void *argument)
{
    struct request *rq = argument;
    buf_release(&rq->out);
}

struct request *request_create(struct arena *arena, struct app *app)
{
    struct request *rq = ARENA_NEW(arena, struct request);
    rq->cx = (struct context){ .arena = arena, .app = app };
    rq->file.fd = -1;
    rq->data = "";
    rq->content_type = "application/json";
    rq->json.out = &rq->out;
    arena_defer(arena, release_output, rq);
    return rq;
}

static bool is_utf8(const char *text)
{
    json_t *string = json_string(text); /* jansson refuses what is not UTF-8 */
    json_decref(string);
    return string != NULL;
}

static bool add_query(struct request *rq, const char *text, size_t length, struct header **last)
{
    const char *equals = memchr(text, '=', length);
    size_t name_length = equals != NULL ? (size_t)(equals - text) : length;
    struct header *q = ARENA_NEW(rq->cx.arena, struct header);
    q->name = text_unescape(rq->cx.arena, text, name_length, TEXT_PLUS | TEXT_STRICT);
    q->value = equals == NULL ? "" : text_unescape(rq->cx.arena, equals + 1, length - name_length - 1, TEXT_PLUS | TEXT_STRICT);
    *last = q;
    return q->name != NULL && q->value != NULL && is_utf8(q->name) && is_utf8(q->value);
}

bool request_set_target(struct request *rq, const char *target)
{
    rq->raw_path = arena_strdup(rq->cx.arena, target);
    size_t length = strcspn(target, "?#");
    rq->path = text_unescape(rq->cx.arena, target, length, TEXT_STRICT);
    if (rq->path == NULL || rq->path[0] != '/' || !is_utf8(rq->path))
        return false;
    struct header **last = &rq->query;
    const char *at = target[length] == '?' ? target + length + 1 : "";
    while (*at != '\0' && *at != '#') {
        size_t n = strcspn(at, "&#");
        if (n > 0) {
            if (!add_query(rq, at, n, last))
                return false;
            last = &(*last)->next;
        }
        at += n + (at[n] == '&');
    }
    return true;
}
