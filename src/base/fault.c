/* SPDX-License-Identifier: Apache-2.0
 * fault: see fault.h. */
#include "base/fault.h"

#include <stdarg.h>

struct fault *fault_new(struct arena *arena, int status, const char *code, const char *format, ...)
{
    struct fault *fault = ARENA_NEW(arena, struct fault);
    va_list args;
    va_start(args, format);
    fault->status = status;
    fault->code = code;
    fault->message = arena_vprintf(arena, format, args);
    va_end(args);
    return fault;
}

struct fault *fault_detail(struct arena *arena, struct fault *fault, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fault->detail = arena_vprintf(arena, format, args);
    va_end(args);
    return fault;
}

struct fault *fault_because(struct fault *fault, const struct fault *cause)
{
    fault->cause = cause;
    return fault;
}

struct fault *fault_copy(struct arena *arena, const struct fault *fault)
{
    if (fault == NULL)
        return NULL;
    struct fault *copy = arena_memdup(arena, fault, sizeof(*fault));
    copy->code = arena_strdup(arena, fault->code);
    copy->message = arena_strdup(arena, fault->message);
    copy->detail = arena_strdup(arena, fault->detail);
    copy->extra_json = arena_strdup(arena, fault->extra_json);
    copy->cause = fault_copy(arena, fault->cause);
    return copy;
}

const char *fault_text(struct arena *arena, const struct fault *fault)
{
    const char *text = fault->detail == NULL ? fault->message
                                             : arena_printf(arena, "%s (%s)", fault->message, fault->detail);
    if (fault->cause == NULL)
        return text;
    return arena_printf(arena, "%s: because %s", text, fault_text(arena, fault->cause));
}
