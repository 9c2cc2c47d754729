/* SPDX-License-Identifier: Apache-2.0
 *
 * dialect: how placement speaks: microversions, content types, and errors in the form that webob gives to the
 * reference.
 */
#include "base/clock.h"
#include "base/random.h"
#include "placement/api.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char version_header[] = "OpenStack-API-Version";

struct placement *placement_of(const struct request *rq)
{
    return rq->cx.app->private;
}

void placement_cache_headers(struct request *rq, int64_t modified_us)
{
    if (rq->version < 15)
        return;
    response_header(rq, "Cache-Control", "no-cache");
    response_header(rq, "Last-Modified",
        clock_text(rq->cx.arena, modified_us == 0 ? clock_now_us() : modified_us, CLOCK_HTTP));
}

struct fault *placement_answer_empty(struct request *rq, int status)
{
    rq->status = status;
    rq->content_type = NULL;
    return NULL;
}

int64_t placement_moment(const char *created_at, const char *updated_at)
{
    int64_t us;
    const char *text = updated_at != NULL ? updated_at : created_at;
    return text != NULL && clock_parse(text, &us) ? us : 0;
}

const char *placement_timestamp_now(struct arena *arena)
{
    return clock_text(arena, clock_now_us(), CLOCK_SQL_US);
}

const char *placement_uuid_canonical(struct arena *arena, const char *text)
{
    char *canonical = arena_alloc(arena, UUID_TEXT), *to = canonical;
    for (; *text != '\0' && to < canonical + UUID_TEXT - 1; text++) {
        if (!isxdigit((unsigned char)*text))
            continue;
        *to++ = (char)tolower((unsigned char)*text);
        if (to - canonical == 8 || to - canonical == 13 || to - canonical == 18 || to - canonical == 23)
            *to++ = '-';
    }
    return canonical;
}

const char *placement_query_last(const struct request *rq, const char *name)
{
    const char *value = NULL;
    for (const struct header *at = rq->query; at != NULL; at = at->next)
        if (strcmp(at->name, name) == 0)
            value = at->value;
    return value;
}

struct fault *placement_query_validate(struct request *rq, const struct schema *schema)
{
    json_t *query = json_keep(rq->cx.arena, json_object());
    for (const struct header *at = rq->query; at != NULL; at = at->next)
        json_object_set_new(query, at->name, json_string(at->value));
    struct violation violation;
    if (schema_check(rq->cx.arena, schema, query, SCHEMA_BEST, &violation))
        return NULL;
    return FAULT(RQ(rq), 400, NULL, "Invalid query string parameters: %s",
        violation_text_long(rq->cx.arena, &violation));
}

/* The version that a header asks for: its last "placement X" item. NULL: none. */
static const char *version_wanted(struct request *rq)
{
    const char *header = request_header(rq, version_header);
    if (header == NULL)
        return NULL;
    const char *found = NULL;
    char *rest = arena_strdup(rq->cx.arena, header), *item;
    while ((item = strsep(&rest, ",")) != NULL) {
        item += strspn(item, " \t");
        if (strncasecmp(item, "placement", 9) != 0 || !isspace((unsigned char)item[9]))
            continue;
        item += 9 + strspn(item + 9, " \t");
        item[strcspn(item, " \t")] = '\0';
        found = item;
    }
    return found;
}

static struct fault *version_unacceptable(struct request *rq, const char *text)
{
    struct fault *fault = FAULT(RQ(rq), 406, NULL, "Invalid microversion: Unacceptable version header: %s", text);
    fault->extra_json = arena_printf(rq->cx.arena, "{\"max_version\": \"1.%d\", \"min_version\": \"1.0\"}",
        PLACEMENT_MAX_MINOR);
    rq->version = -1;
    return fault;
}

static struct fault *negotiate_version(struct request *rq)
{
    const char *text = version_wanted(rq);
    rq->version = 0;
    if (text == NULL)
        return NULL;
    if (strcmp(text, "latest") == 0) {
        rq->version = PLACEMENT_MAX_MINOR;
        return NULL;
    }
    char *end;
    size_t whole = strspn(text, "0123456789");
    size_t part = text[whole] == '.' ? strspn(text + whole + 1, "0123456789") : 0;
    if (whole == 0 || whole > 9 || part == 0 || part > 9 || text[whole + 1 + part] != '\0') {
        rq->version = -1;
        return FAULT(RQ(rq), 400, NULL, "Invalid microversion: invalid version string: %s", text);
    }
    long major = strtol(text, &end, 10), minor = strtol(end + 1, NULL, 10);
    if (major != 1 || minor > PLACEMENT_MAX_MINOR)
        return version_unacceptable(rq, text);
    rq->version = (int)minor;
    return NULL;
}

/* Whether one Accept header takes application/json. */
static bool accepts_json(const char *accept)
{
    if (accept == NULL || *accept == '\0')
        return true;
    return strstr(accept, "application/json") != NULL || strstr(accept, "*/*") != NULL ||
        strstr(accept, "application/*") != NULL;
}

/* Types are checked once the route is known, and before anything is looked up, as the reference's decorators do. */
static struct fault *negotiate_types(struct request *rq)
{
    const struct route *route = rq->route;
    if (route == NULL || rq->version < route->min_version ||
        (route->max_version != 0 && rq->version > route->max_version))
        return NULL; /* another row of the path, or 404, which comes before 415 */
    const char *type = request_header(rq, "Content-Type");
    if (rq->data_length > 0 && (type == NULL || *type == '\0'))
        return FAULT(RQ(rq), 400, NULL, "content-type header required when content-length > 0");
    bool body = (rq->method == POST || rq->method == PUT) && (route->flags & ANY_BODY) == 0;
    if (body) {
        const char *bare = type == NULL ? "" : arena_strndup(rq->cx.arena, type, strcspn(type, "; "));
        if (strcasecmp(bare, "application/json") != 0)
            return FAULT(RQ(rq), 415, NULL, "The media type %s is not supported, use application/json",
                *bare == '\0' ? "None" : bare);
    }
    if (rq->method == GET && strcmp(route->path, "/") != 0 && route->status != 204 &&
        !accepts_json(request_header(rq, "Accept")))
        return FAULT(RQ(rq), 406, NULL, "Only application/json is provided");
    return NULL;
}

static struct fault *negotiate(struct request *rq)
{
    TRY(negotiate_version(rq));
    return negotiate_types(rq);
}

static struct fault *invalid(struct request *rq, const struct violation *violation)
{
    return FAULT(RQ(rq), 400, NULL, "%s", violation_text_placement(rq->cx.arena, violation));
}

static struct fault *malformed(struct request *rq, const char *why)
{
    return FAULT(RQ(rq), 400, NULL, "Malformed JSON: %s", why);
}

static struct fault *forbidden(struct request *rq, const char *rule)
{
    return FAULT(RQ(rq), 403, NULL, "Policy does not allow %s to be performed.", rule);
}

static struct fault *not_found(struct request *rq)
{
    TRY(negotiate_version(rq)); /* the reference negotiates before it routes */
    return FAULT(RQ(rq), 404, NULL, "%s", "");
}

static struct fault *bad_method(struct request *rq)
{
    TRY(negotiate_version(rq));
    return FAULT(RQ(rq), 405, NULL, "The method specified is not allowed for this resource.");
}

/* What webob says about a status before it comes to our sentence. */
static const char *explanation(struct request *rq, int status)
{
    switch (status) {
    case 400:
        return "The server could not comply with the request since it is either malformed or otherwise incorrect.\n\n ";
    case 401:
        return "This server could not verify that you are authorized to access the document you requested.  Either you"
               " supplied the wrong credentials (e.g., bad password), or your browser does not understand how to supply"
               " the credentials required.\n\n ";
    case 403:
        return "Access was denied to this resource.\n\n ";
    case 404:
        return "The resource could not be found.\n\n ";
    case 405:
        return arena_printf(rq->cx.arena, "The method %s is not allowed for this resource. \n\n ", rq->method_name);
    case 406: {
        const char *accept = request_header(rq, "Accept");
        if (accept == NULL || strcmp(accept, "*/*") == 0)
            accept = "application/json";
        return arena_printf(rq->cx.arena,
            "The resource could not be generated that was acceptable to your browser (content of type %s). \n\n ",
            accept);
    }
    case 409:
        return "There was a conflict when trying to complete your request.\n\n ";
    case 413:
        return "The body of your request was too large for this server.\n\n ";
    case 415:
        return "The request media type is not supported by this server.\n\n ";
    case 503:
        return "The server is currently unavailable. Please try again at a later time.\n\n ";
    default:
        return "The server has either erred or is incapable of performing the requested operation.\n\n ";
    }
}

/* The text as it stands between tags. */
static void put_escaped(struct buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '<')
            buf_puts(out, "&lt;");
        else if (*text == '>')
            buf_puts(out, "&gt;");
        else if (*text == '&')
            buf_puts(out, "&amp;");
        else if (*text == '"')
            buf_puts(out, "&quot;");
        else
            buf_putc(out, *text);
    }
}

/* For who accepts no JSON: a page, or plain text, as webob does. */
static void render_text(struct request *rq, int status, const char *detail)
{
    bool page = strstr(request_header(rq, "Accept"), "text/html") != NULL;
    const char *title = arena_printf(rq->cx.arena, "%d %s", status, http_reason(status));
    rq->content_type = page ? "text/html; charset=UTF-8" : "text/plain; charset=UTF-8";
    if (!page) {
        buf_printf(&rq->out, "%s\n\n%s", title, detail);
        return;
    }
    buf_printf(&rq->out, "<html>\n <head>\n  <title>%s</title>\n </head>\n <body>\n  <h1>%s</h1>\n  ", title, title);
    put_escaped(&rq->out, detail);
    buf_puts(&rq->out, "\n </body>\n</html>");
}

static void render_json(struct request *rq, const struct fault *fault, const char *detail)
{
    rq->content_type = "application/json";
    rq->json = (struct json_writer){ .out = &rq->out };
    struct json_writer *w = &rq->json;
    json_begin(w, NULL);
    json_begin_array(w, "errors");
    json_begin(w, NULL);
    json_int(w, "status", fault->status);
    json_text(w, "title", http_reason(fault->status));
    json_text(w, "detail", detail);
    if (rq->version >= 23)
        json_text(w, "code", fault->code != NULL && strncmp(fault->code, "placement.", 10) == 0
                ? fault->code : "placement.undefined_code");
    json_text(w, "request_id", rq->cx.request_id);
    json_t *extra = json_parse_own(rq->cx.arena, fault->extra_json);
    const char *name;
    json_t *value;
    json_object_foreach(extra, name, value)
        json_value(w, name, value);
    json_end(w);
    json_end_array(w);
    json_end(w);
}

static void render(struct request *rq, const struct fault *fault)
{
    bool special = fault->status == 405 || fault->status == 406;
    char *detail = arena_printf(rq->cx.arena, "%s%s%s", explanation(rq, fault->status),
        fault->message, special ? "" : "  ");
    /* webob makes blanks of the newlines of the sentence (the two after the explanation were breaks). */
    char *start = strstr(detail, "\n\n ");
    for (char *at = start == NULL ? detail : start + 2; *at != '\0'; at++)
        if (*at == '\n')
            *at = ' ';
    rq->status = fault->status;
    buf_clear(&rq->out);
    if (accepts_json(request_header(rq, "Accept")))
        render_json(rq, fault, detail);
    else
        render_text(rq, fault->status, detail);
    if (fault->retry_after_s > 0)
        response_headerf(rq, "Retry-After", "%d", fault->retry_after_s);
}

static void finish(struct request *rq)
{
    if (rq->version < 0)
        return;
    response_headerf(rq, version_header, "placement 1.%d", rq->version);
    response_header(rq, "Vary", "openstack-api-version");
}

const struct dialect placement_dialect = {
    .body_limit = 16 * 1024 * 1024, /* a reshaper body names every allocation of a host */
    .negotiate = negotiate,
    .invalid = invalid,
    .malformed = malformed,
    .forbidden = forbidden,
    .not_found = not_found,
    .bad_method = bad_method,
    .render = render,
    .finish = finish,
};
