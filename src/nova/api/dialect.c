/* SPDX-License-Identifier: Apache-2.0
 *
 * dialect: how nova speaks: microversions in two headers, faults in an envelope named after the status.
 */
#include "nova/api/api.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static const char version_header[] = "OpenStack-API-Version";
static const char legacy_header[] = "X-OpenStack-Nova-API-Version";

/* The project of "/v2.1/PROJECT/...": hexadecimal digits and dashes; its length, or 0. */
static size_t project_length(const char *path)
{
    size_t skip = strncmp(path, "/v2.1/", 6) == 0 ? 6 : strncmp(path, "/v2/", 4) == 0 ? 4 : 0;

    if (skip == 0)
        return 0;
    size_t length = strspn(path + skip, "0123456789abcdef-");
    return length > 0 && (path[skip + length] == '/' || path[skip + length] == '\0') ? length : 0;
}

static size_t version_length(const char *path)
{
    return strncmp(path, "/v2.1", 5) == 0 ? 5 : strncmp(path, "/v2", 3) == 0 ? 3 : 0;
}

const char *api_project_prefix(const struct request *rq)
{
    size_t length = project_length(rq->raw_path), skip = version_length(rq->raw_path);

    return length == 0 ? "" : arena_strndup(rq->cx.arena, rq->raw_path + skip, length + 1);
}

/* /v2/... is the same API (compatible mode); the project and a trailing slash go. */
static const char *rewrite(struct request *rq)
{
    size_t skip = version_length(rq->path), project = project_length(rq->path);

    if (skip == 0 || (rq->path[skip] != '/' && rq->path[skip] != '\0'))
        return rq->path;
    const char *rest = rq->path + skip + (project > 0 ? project + 1 : 0);
    size_t length = strlen(rest);
    if (length > 1 && rest[length - 1] == '/')
        length--;
    if (length <= 1 && project == 0)
        return skip == 5 ? "/v2.1/" : "/v2/";
    return arena_printf(rq->cx.arena, "/v2.1%.*s", (int)length, rest);
}

/* The last "compute X" of the header, else the legacy header's value. NULL: none. */
static const char *version_wanted(struct request *rq)
{
    const char *header = request_header(rq, version_header), *found = NULL;
    char *rest = header != NULL ? arena_strdup(rq->cx.arena, header) : NULL, *item;

    while (rest != NULL && (item = strsep(&rest, ",")) != NULL) {
        item += strspn(item, " \t");
        if (strncasecmp(item, "compute", 7) != 0 || !isspace((unsigned char)item[7]))
            continue;
        item += 7 + strspn(item + 7, " \t");
        item[strcspn(item, " \t")] = '\0';
        found = item;
    }
    return found != NULL ? found : request_header(rq, legacy_header);
}

static struct fault *negotiate(struct request *rq)
{
    const char *text = version_wanted(rq), *prefix = api_project_prefix(rq);

    rq->version = NOVA_MIN_MINOR;
    if (text != NULL && strncmp(rq->raw_path, "/v2.1", 5) == 0) {
        size_t whole = strspn(text, "0123456789"), part = text[whole] == '.' ? strspn(text + whole + 1, "0123456789") : 0;

        if (strcmp(text, "latest") == 0) {
            rq->version = NOVA_MAX_MINOR;
        } else if (whole == 0 || whole > 6 || part == 0 || part > 6 || text[whole + 1 + part] != '\0' ||
            text[0] == '0' || (text[whole + 1] == '0' && part > 1)) {
            return BAD_REQUEST(rq, "API Version String %s is of invalid format. Must be of format MajorNum.MinorNum.", text);
        } else if (atoi(text) != 2 || atoi(text + whole + 1) < NOVA_MIN_MINOR || atoi(text + whole + 1) > NOVA_MAX_MINOR) {
            return FAULT(RQ(rq), 406, NULL, "Version %s is not supported by the API. Minimum is 2.%d and maximum is 2.%d.",
                text, NOVA_MIN_MINOR, NOVA_MAX_MINOR);
        } else {
            rq->version = atoi(text + whole + 1);
        }
    }
    if (*prefix != '\0' && rq->cx.caller != NULL && rq->cx.caller->project_id != NULL &&
        strcmp(prefix + 1, rq->cx.caller->project_id) != 0)
        return BAD_REQUEST(rq, "Malformed request URL: URL's project_id '%s' doesn't match Context's project_id '%s'",
            prefix + 1, rq->cx.caller->project_id);
    return NULL;
}

static struct fault *invalid(struct request *rq, const struct violation *violation)
{
    return BAD_REQUEST(rq, "%s", violation_text_nova(rq->cx.arena, violation, false));
}

static struct fault *malformed(struct request *rq, const char *why)
{
    return fault_detail(rq->cx.arena, BAD_REQUEST(rq, "Malformed request body"), "%s", why);
}

static struct fault *forbidden(struct request *rq, const char *rule)
{
    return FORBIDDEN(rq, "Policy doesn't allow %s to be performed.", rule);
}

static struct fault *not_found(struct request *rq)
{
    if (rq->version > 0)
        return NOT_FOUND(rq, "API version 2.%d is not supported on this method.", rq->version);
    return NOT_FOUND(rq, "The resource could not be found.");
}

/* A path with a slash behind it is another one to nova, which nothing stands at: we take it for what it means, as far as we can. */
static struct fault *bad_method(struct request *rq)
{
    size_t length = strcspn(rq->raw_path, "?");
    if (length > 0 && rq->raw_path[length - 1] == '/')
        return NOT_FOUND(rq, "The resource could not be found.");
    return FAULT(RQ(rq), 405, NULL, "The method %s is not allowed for this resource.", rq->method_name);
}

static const char *fault_name(int status)
{
    static const struct {
        int status;
        const char *name;
    } names[] = {
        { 400, "badRequest" },     { 401, "unauthorized" }, { 403, "forbidden" },    { 404, "itemNotFound" },
        { 405, "badMethod" },      { 409, "conflictingRequest" }, { 413, "overLimit" }, { 415, "badMediaType" },
        { 429, "overLimit" },      { 501, "notImplemented" }, { 503, "serviceUnavailable" },
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i].status == status)
            return names[i].name;
    return "computeFault";
}

static void render(struct request *rq, const struct fault *fault)
{
    struct json_writer *w = &rq->json;

    json_begin(w, NULL);
    json_begin(w, fault_name(fault->status));
    json_int(w, "code", fault->status);
    json_text(w, "message", fault->message);
    if ((fault->status == 413 || fault->status == 429) && fault->retry_after_s > 0)
        json_textf(w, "retryAfter", "%d", fault->retry_after_s);
    json_end(w);
    json_end(w);
}

static void finish(struct request *rq)
{
    if (rq->version <= 0)
        return;
    response_headerf(rq, version_header, "compute 2.%d", rq->version);
    response_headerf(rq, legacy_header, "2.%d", rq->version);
    response_header_add(rq, "Vary", version_header);
    response_header_add(rq, "Vary", legacy_header);
}

const struct dialect nova_dialect = {
    .request_id_header = "x-compute-request-id",
    .schema_options = SCHEMA_TEXT_NUMBER,
    .merge_slashes = true,
    .rewrite = rewrite,
    .negotiate = negotiate,
    .invalid = invalid,
    .malformed = malformed,
    .forbidden = forbidden,
    .not_found = not_found,
    .bad_method = bad_method,
    .render = render,
    .finish = finish,
};
