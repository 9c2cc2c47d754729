/* SPDX-License-Identifier: Apache-2.0
 *
 * The sentences of keystone/exception.py.
 */
#include "keystone/state.h"

#include <stdarg.h>

struct fault *keystone_unauthorized(struct context *cx, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    const char *reason = arena_vprintf(cx->arena, format, args);
    va_end(args);
    return fault_detail(cx->arena, FAULT(cx, 401, NULL, "The request you have made requires authentication."), "%s", reason);
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
