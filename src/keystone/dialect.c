/* SPDX-License-Identifier: Apache-2.0
 *
 * How keystone speaks: its error envelope, its headers, and the sentences of keystone/exception.py.
 */
#include "keystone/state.h"

#include "base/clock.h"
#include "keystone/notifications.h"
#include "oslo/json.h"
#include "oslo/options.h"
#include "oslo/schema.h"

#include <string.h>
#include <strings.h>

static const char requires_authentication[] = "The request you have made requires authentication.";

struct keystone *keystone_of(const struct context *cx)
{
    return cx->app->private;
}

/* ---- Faults ---- */

struct fault *keystone_unauthorized(struct context *cx, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    const char *reason = arena_vprintf(cx->arena, format, args);
    va_end(args);
    return fault_detail(cx->arena, FAULT(cx, 401, NULL, "%s", requires_authentication), "%s", reason);
}

struct fault *keystone_expecting(struct context *cx, const char *attribute, const char *target)
{
    return FAULT(cx, 400, NULL, "Expecting to find %s in %s. The server could not comply with the request since it is "
        "either malformed or otherwise incorrect. The client is assumed to be in error.", attribute, target);
}

struct fault *keystone_invalid(struct context *cx, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    const char *text = arena_vprintf(cx->arena, format, args);
    va_end(args);
    return FAULT(cx, 400, NULL, "%s", text);
}

struct fault *keystone_malformed(struct context *cx, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    const char *text = arena_vprintf(cx->arena, format, args);
    va_end(args);
    return FAULT(cx, 400, NULL, "%s The server could not comply with the request since it is either malformed or otherwise "
        "incorrect. The client is assumed to be in error.", text);
}

struct fault *keystone_forbidden_action(struct context *cx, const char *action)
{
    return FAULT(cx, 403, NULL, "You are not authorized to perform the requested action: %s.", action);
}

struct fault *keystone_forbidden(struct context *cx, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    const char *reason = arena_vprintf(cx->arena, format, args);
    va_end(args);
    return fault_detail(cx->arena, FAULT(cx, 403, NULL, "You are not authorized to perform the requested action."), "%s",
        reason);
}

struct fault *keystone_refused(struct context *cx, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    const char *text = arena_vprintf(cx->arena, format, args);
    va_end(args);
    return FAULT(cx, 403, NULL, "%s", text);
}

struct fault *keystone_not_found(struct context *cx, const char *kind, const char *id)
{
    return FAULT(cx, 404, NULL, "Could not find %s: %s.", kind, id);
}

struct fault *keystone_conflict(struct context *cx, const char *kind, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    const char *details = arena_vprintf(cx->arena, format, args);
    va_end(args);
    return FAULT(cx, 409, NULL, "Conflict occurred attempting to store %s - %s.", kind, details);
}

/* ---- Requests ---- */

struct fault *keystone_member(struct request *rq, const char *name, json_t **ret)
{
    if (rq->body != NULL && !json_is_object(rq->body))
        return keystone_expecting(RQ(rq), "valid JSON", "request body");
    json_t *member = json_object_get(rq->body, name);
    *ret = member != NULL ? member : json_keep(rq->cx.arena, json_object());
    return NULL;
}

struct fault *keystone_check_id(struct context *cx, const char *id)
{
    enum { ID_LIMIT = 64 };
    size_t count = 0;

    for (const char *c = id; *c != '\0'; c++)
        count += (*c & 0xc0) != 0x80;
    if (count <= ID_LIMIT)
        return NULL;
    return keystone_invalid(cx, "String length exceeded. The length of string '%s' exceeds the limit of column id(CHAR(%d)).", id,
        ID_LIMIT);
}

struct fault *keystone_check(struct request *rq, const struct schema *schema, const json_t *document)
{
    struct violation violation;

    if (schema_check(rq->cx.arena, schema, document, SCHEMA_FIRST, &violation))
        return NULL;
    return keystone_invalid(RQ(rq), "%s", violation_text_keystone(rq->cx.arena, &violation));
}

struct fault *keystone_future(struct request *rq, const json_t *document, const char *name, int64_t *ret_us)
{
    const char *text = json_text_at(document, name);

    *ret_us = 0;
    if (text == NULL)
        return NULL;
    if (!clock_parse(text, ret_us))
        return keystone_malformed(RQ(rq), "Timestamp not in expected format.");
    if (*ret_us < clock_now_us())
        return keystone_malformed(RQ(rq), "The 'expires_at' must not be before now.");
    return NULL;
}

void keystone_collection_links(struct request *rq)
{
    json_begin(&rq->json, "links");
    json_text(&rq->json, "next", NULL);
    json_text(&rq->json, "self", keystone_self_url(rq));
    json_text(&rq->json, "previous", NULL);
    json_end(&rq->json);
}

void keystone_collection_end(struct request *rq)
{
    json_end_array(&rq->json);
    keystone_collection_links(rq);
    json_end(&rq->json);
}

struct fault *keystone_role_named(struct tx *tx, struct context *cx, const char *name, const char **ret_id)
{
    struct rows *rows;
    bool more = false;

    *ret_id = NULL;
    TRY(sql_query(tx, &rows, "SELECT id FROM role WHERE name = ?", BIND(TEXT(name))));
    if (rows_next(rows)) {
        *ret_id = rows_text(rows, 0);
        more = rows_next(rows);
    }
    rows_end(rows);
    TRY(rows_fault(rows));
    if (more)
        return keystone_invalid(cx, "There are multiple role entities named '%s'. Please use ID instead of names to resolve "
            "the ambiguity.", name);
    return *ret_id != NULL ? NULL : FAULT(cx, 404, NULL, "Role %s is not defined", name);
}

bool keystone_query_flag(const struct request *rq, const char *name)
{
    const char *value = request_query(rq, name);

    return value != NULL && strcmp(value, "0") != 0;
}

bool keystone_text_matches(const char *text, const char *comparator, const char *wanted)
{
    size_t length = strlen(text), size = strlen(wanted);
    bool any_case = comparator[0] == 'i';

    comparator += any_case;
    if (strcmp(comparator, "contains") == 0)
        return (any_case ? strcasestr(text, wanted) : strstr(text, wanted)) != NULL;
    if (strcmp(comparator, "startswith") == 0)
        return (any_case ? strncasecmp : strncmp)(text, wanted, size) == 0;
    if (strcmp(comparator, "endswith") == 0)
        return length >= size && (any_case ? strcasecmp : strcmp)(text + length - size, wanted) == 0;
    return true;
}

bool keystone_truth(const char *text)
{
    static const char *const no[] = { "0", "f", "false", "off", "n", "no" };

    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
        if (strcasecmp(text, no[i]) == 0)
            return false;
    return true;
}

const char *keystone_url(struct request *rq, const char *path)
{
    const char *base = config_str(rq->cx.app->config, "DEFAULT", "public_endpoint");
    size_t length;

    if (base == NULL)
        base = rq->base_url;
    length = strlen(base);
    while (length > 0 && base[length - 1] == '/')
        length--;
    return arena_printf(rq->cx.arena, "%.*s/v3%s", (int)length, base, path);
}

const char *keystone_self_url(struct request *rq)
{
    const char *path = strncmp(rq->raw_path, "/v3", 3) == 0 ? rq->raw_path + 3 : rq->raw_path;
    const char *query = strchr(path, '?');
    size_t length = query != NULL ? (size_t)(query - path) : strlen(path);

    while (length > 0 && path[length - 1] == '/')
        length--;
    return arena_printf(rq->cx.arena, "%s%s", keystone_url(rq, arena_strndup(rq->cx.arena, path, length)),
        query != NULL ? query : "");
}

/* ---- The dialect ---- */

static struct fault *malformed(struct request *rq, const char *why)
{
    return fault_detail(rq->cx.arena, keystone_expecting(RQ(rq), "valid JSON", "request body"), "%s", why);
}

static struct fault *invalid(struct request *rq, const struct violation *violation)
{
    return keystone_invalid(RQ(rq), "%s", violation_text_keystone(rq->cx.arena, violation));
}

static struct fault *forbidden(struct request *rq, const char *rule)
{
    return keystone_forbidden_action(RQ(rq), rule);
}

static struct fault *unauthorized(struct request *rq)
{
    return FAULT(RQ(rq), 401, NULL, "%s", requires_authentication);
}

static struct fault *not_found(struct request *rq)
{
    return FAULT(RQ(rq), 404, NULL, "The requested URL was not found on the server. If you entered the URL manually "
        "please check your spelling and try again.");
}

static struct fault *bad_method(struct request *rq)
{
    return FAULT(RQ(rq), 405, NULL, "The method is not allowed for the requested URL.");
}

static void render(struct request *rq, const struct fault *fault)
{
    const char *message = fault->message;

    /* what nobody planned for is not for clients */
    if (fault->status == 500)
        message = "An unexpected error prevented the server from fulfilling your request.";
    rq->status = fault->status;
    json_begin(&rq->json, NULL);
    json_begin(&rq->json, "error");
    json_int(&rq->json, "code", fault->status);
    json_text(&rq->json, "message", message);
    json_text(&rq->json, "title", http_reason(fault->status));
    if (fault->extra_json != NULL)
        json_raw(&rq->json, "identity", fault->extra_json);
    json_end(&rq->json);
    json_end(&rq->json);
    if (fault->status == 401)
        response_headerf(rq, "WWW-Authenticate", "Keystone uri=\"%s\"", keystone_url(rq, ""));
}

static void finish(struct request *rq)
{
    response_header(rq, "Vary", "X-Auth-Token");
    keystone_notify(rq);
}

/* As keystone's middleware that normalizes URLs: trailing slashes, all of them, are no part of the path. */
static const char *without_trailing_slashes(struct request *rq)
{
    size_t length = strlen(rq->path);
    while (length > 1 && rq->path[length - 1] == '/')
        length--;
    return rq->path[length] == '\0' ? rq->path : arena_strndup(rq->cx.arena, rq->path, length);
}

const struct dialect keystone_dialect = {
    .rewrite = without_trailing_slashes,
    .invalid = invalid,
    .malformed = malformed,
    .forbidden = forbidden,
    .not_found = not_found,
    .bad_method = bad_method,
    .unauthorized = unauthorized,
    .render = render,
    .finish = finish,
};
