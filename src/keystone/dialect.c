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

static const char requires_authentication[] = "The request you have made requires authentication.";

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
