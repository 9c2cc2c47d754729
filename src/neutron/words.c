/* SPDX-License-Identifier: Apache-2.0
 *
 * words: how neutron speaks: faults, refusals of values, paging links.
 */
#include "base/log.h"
#include "neutron/private.h"
#include "oslo/schema.h"

#include <string.h>

struct fault *invalid_input(struct context *cx, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *reason = arena_vprintf(cx->arena, format, args);
    va_end(args);
    return FAULT(cx, 400, "InvalidInput", "Invalid input for operation: %s.", reason);
}

struct fault *invalid_value(struct context *cx, const char *name, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *reason = arena_vprintf(cx->arena, format, args);
    va_end(args);
    return FAULT(cx, 400, "HTTPBadRequest", "Invalid input for %s. Reason: %s.", name, reason);
}

const char *json_shown(struct arena *arena, const json_t *value)
{
    BUF_CLEANUP struct buf out = { 0 };
    if (value == NULL)
        return "None";
    python_str(&out, value);
    return arena_strdup(arena, buf_text(&out));
}

const char *texts_repr(struct arena *arena, const char *const *texts, size_t count)
{
    BUF_CLEANUP struct buf out = { 0 };
    buf_putc(&out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_puts(&out, ", ");
        python_repr_text(&out, texts[i], strlen(texts[i]));
    }
    buf_putc(&out, ']');
    return arena_strdup(arena, buf_text(&out));
}

struct fault *check_project(struct op *op, const struct field *field, struct value *value)
{
    const struct caller *caller = op->cx->caller;
    if (op->sees_all || caller == NULL || (caller->project_id != NULL && strcmp(caller->project_id, value->text) == 0))
        return NULL;
    return FAULT(op->cx, 400, "HTTPBadRequest", "Specifying 'project_id' or 'tenant_id' other than the authenticated "
        "project in request requires admin privileges");
}

/* ---- Refusals ---- */

static const char *type_reason(struct op *op, const struct field *field, const char *shown)
{
    struct arena *arena = op->cx->arena;
    switch (field->type) {
    case INT:
        return arena_printf(arena, "'%s' is not an integer", shown);
    case UUID:
        return arena_printf(arena, "'%s' is not a valid UUID", shown);
    case LIST:
        return arena_printf(arena, "'%s' is not a list", shown);
    case OBJECT:
        return arena_printf(arena, "'%s' is not a dictionary", shown);
    default:
        return arena_printf(arena, "'%s' is not a valid string", shown);
    }
}

static struct fault *value_refused(struct op *op, const struct field *field, enum invalid_kind kind, const char *name,
    const json_t *value)
{
    const char *shown = json_shown(op->cx->arena, value);
    size_t names = 0;
    switch (kind) {
    case INVALID_TOO_LONG:
        if (field->type == LIST)
            return invalid_value(op->cx, name, "'%s' has too many items", shown);
        return invalid_value(op->cx, name, "'%s' exceeds maximum length of %lld", shown,
            (long long)(field->max > 0 ? field->max : 255));
    case INVALID_TOO_SMALL:
        return invalid_value(op->cx, name, "'%s' is too small - must be at least '%lld'", shown, (long long)field->min);
    case INVALID_TOO_BIG:
        return invalid_value(op->cx, name, "'%s' is too large - must be no larger than '%lld'", shown, (long long)field->max);
    case INVALID_CHOICE:
        while (field->names[names] != NULL)
            names++;
        return invalid_value(op->cx, name, "'%s' is not in %s", shown, texts_repr(op->cx->arena, field->names, names));
    case INVALID_BLANK:
    case INVALID_TOO_SHORT:
        return invalid_value(op->cx, name, "'%s' Blank strings are not permitted", shown);
    default:
        if (field->type == BOOL)
            return invalid_input(op->cx, "'%s' cannot be converted to boolean", shown);
        return invalid_value(op->cx, name, "%s", type_reason(op, field, shown));
    }
}

static struct fault *words_invalid(struct op *op, const struct field *field, enum invalid_kind kind, const char *name,
    const json_t *value)
{
    struct context *cx = op->cx;
    const char *list = texts_repr(cx->arena, &name, 1);
    switch (kind) {
    case INVALID_BODY:
        if (op->rq->body == NULL)
            return FAULT(cx, 400, "HTTPBadRequest", "Resource body required");
        return FAULT(cx, 400, "HTTPBadRequest", "Unable to find '%s' in request body", name);
    case INVALID_REQUIRED:
        return FAULT(cx, 400, "HTTPBadRequest", "Failed to parse request. Required attribute '%s' not specified", name);
    case INVALID_ALIAS:
        return FAULT(cx, 400, "HTTPBadRequest", "'%s' and '%s' do not match", field->name, field->alias);
    case INVALID_UNKNOWN:
        return FAULT(cx, 400, "HTTPBadRequest", "Unrecognized attribute(s) '%s'", name);
    case INVALID_READ_ONLY:
        if (op->kind == OP_UPDATE)
            return FAULT(cx, 400, "HTTPBadRequest", "Cannot update read-only attribute %s", name);
        return FAULT(cx, 400, "HTTPBadRequest", "Attribute '%s' not allowed in POST", name);
    case INVALID_FILTER:
        return FAULT(cx, 400, "HTTPBadRequest", "%s is invalid attribute for filtering", list);
    case INVALID_FILTER_VALUE:
        return field->type == BOOL ? invalid_input(cx, "'%s' cannot be converted to boolean", json_shown(cx->arena, value))
                                   : invalid_value(cx, name, "%s", type_reason(op, field, json_shown(cx->arena, value)));
    case INVALID_SORT:
        return FAULT(cx, 400, "HTTPBadRequest", "%s is invalid attribute for sort_keys", list);
    case INVALID_SORT_DIR:
        return FAULT(cx, 400, "HTTPBadRequest", "%s is invalid value for sort_dirs, valid value is 'asc' and 'desc'", list);
    case INVALID_LIMIT:
        return FAULT(cx, 400, "BadRequest", "Bad limit request: Limit must be an integer 0 or greater and not '%s'.",
            json_shown(cx->arena, value));
    case INVALID_MARKER:
        return resource_not_found(op, json_string_value(value));
    default:
        return value_refused(op, field, kind, name, value);
    }
}

/* ---- Links of a page ---- */

/* `row`: where the page goes on; NULL: at the collection's end. */
static void link_write(struct op *op, struct json_writer *w, const char *rel, const struct row *row, bool reverse)
{
    BUF_CLEANUP struct buf href = { 0 };
    buf_printf(&href, "%s%s?", op->rq->base_url, op->rq->path);
    for (const struct header *q = op->rq->query; q != NULL; q = q->next)
        if (strcmp(q->name, "marker") != 0 && strcmp(q->name, "page_reverse") != 0)
            buf_printf(&href, "%s=%s&", rest_escape(op->cx->arena, q->name), rest_escape(op->cx->arena, q->value));
    if (row != NULL)
        buf_printf(&href, "marker=%s%s", row_text(row, op->resource->id), reverse ? "&" : "");
    buf_puts(&href, reverse ? "page_reverse=True" : "");
    json_begin(w, NULL);
    json_text(w, "rel", rel);
    json_text(w, "href", buf_text(&href));
    json_end(w);
}

/* As neutron: a page that is not full ends the way in its own direction; the way back is always there. */
static void words_list_links(struct op *op, struct json_writer *w, bool more)
{
    bool full = op->page.count == (size_t)op->limit;
    const struct row *rows = op->page.count > 0 ? op->page.rows : NULL;
    if (op->limit == 0)
        return;
    json_begin_array(w, arena_printf(op->cx->arena, "%s_links", op->resource->plural));
    if (full || op->reverse)
        link_write(op, w, "next", rows != NULL ? &rows[op->page.count - 1] : NULL, false);
    if (full || !op->reverse)
        link_write(op, w, "previous", rows, true);
    json_end_array(w);
}

const struct resource_dialect neutron_resources = {
    .invalid = words_invalid,
    .lenient = true,
    .refuse_unknown_filters = true,
    .fields = true,
    .notifies = "network",
    .refused_list_is_empty = true,
    .admin_rule = "context_is_admin",
    .limit_group = "DEFAULT",
    .limit_option = "pagination_max_limit",
    .list_links = words_list_links,
};

/* ---- Faults ---- */

static const char *fault_type(const struct fault *fault)
{
    if (fault->code != NULL)
        return fault->code;
    switch (fault->status) {
    case 400: return "HTTPBadRequest";
    case 401: return "HTTPUnauthorized";
    case 403: return "HTTPForbidden";
    case 404: return "HTTPNotFound";
    case 405: return "HTTPMethodNotAllowed";
    case 409: return "HTTPConflict";
    case 412: return "HTTPPreconditionFailed";
    case 413: return "HTTPRequestEntityTooLarge";
    case 503: return "HTTPServiceUnavailable";
    default:  return "HTTPInternalServerError";
    }
}

static void words_render(struct request *rq, const struct fault *fault)
{
    struct json_writer *w = &rq->json;
    bool server = fault->status >= 500 && fault->status != 503 && fault->status != 504;
    rq->status = fault->status;
    json_begin(w, NULL);
    json_begin(w, "NeutronError");
    json_text(w, "type", fault_type(fault));
    json_text(w, "message", server ? "Request Failed: internal server error while processing your request."
                                   : fault->message);
    json_text(w, "detail", "");
    json_end(w);
    json_end(w);
}

static struct fault *words_forbidden(struct request *rq, const char *rule)
{
    const char *colon = strchr(rule, ':');
    if (colon == NULL)
        return FAULT(RQ(rq), 403, "PolicyNotAuthorized", "rule:%s is disallowed by policy", rule);
    return FAULT(RQ(rq), 403, "PolicyNotAuthorized", "(rule:%.*s and rule:%s) is disallowed by policy",
        (int)(colon - rule), rule, rule);
}

static struct fault *words_malformed(struct request *rq, const char *why)
{
    struct fault *fault = FAULT(RQ(rq), 400, "HTTPBadRequest", "Request body is not valid JSON.");
    return fault_detail(rq->cx.arena, fault, "%s", why);
}

static struct fault *words_not_found(struct request *rq)
{
    return FAULT(RQ(rq), 404, "HTTPNotFound", "The resource could not be found.");
}

static struct fault *words_bad_method(struct request *rq)
{
    return FAULT(RQ(rq), 405, "HTTPMethodNotAllowed", "The server could not comply with the request since it is either "
        "malformed or otherwise incorrect.");
}

/* Neutron takes "/v2.0/networks.json" for "/v2.0/networks". */
static const char *words_rewrite(struct request *rq)
{
    size_t length = strlen(rq->path);
    if (length > 5 && strcmp(rq->path + length - 5, ".json") == 0)
        return arena_strndup(rq->cx.arena, rq->path, length - 5);
    return rq->path;
}

const struct dialect neutron_dialect = {
    .body_limit = 1024 * 1024,
    .merge_slashes = true,
    .rewrite = words_rewrite,
    .malformed = words_malformed,
    .forbidden = words_forbidden,
    .not_found = words_not_found,
    .bad_method = words_bad_method,
    .render = words_render,
};
