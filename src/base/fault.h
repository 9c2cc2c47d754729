/* SPDX-License-Identifier: Apache-2.0
 *
 * fault: a failure, said once, where it is known.
 *
 * Functions that can fail return `struct fault *`; NULL is success and callers pass a fault up with TRY(). A fault
 * lives in the arena that it was made in. It is logged once, where the request ends, and rendered by the service's
 * dialect. (The idea is Open vSwitch's ovsdb_error: an error is an object.)
 */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include "base/arena.h"

#include <stdbool.h>

struct fault {
    int status;             /* HTTP status that a client sees; 500 when nobody planned for it */
    const char *code;       /* permanent word of the service: "itemNotFound", "NetworkNotFound", "placement.duplicate_name" */
    const char *message;    /* one sentence for the user, in the words of the reference */
    const char *detail;     /* for the operator's log only, or NULL */
    const char *extra_json; /* members that the dialect adds to its envelope, as JSON object text, or NULL */
    int retry_after_s;      /* > 0: Retry-After; a retry may help */
    bool retry;             /* the transaction or call may be run again as it is (deadlock, lost connection) */
    const struct fault *cause;
};

/* Makes a fault. `code` may be NULL: the dialect then names it after the status. */
struct fault *fault_new(struct arena *arena, int status, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5), returns_nonnull));

/* Adds the operator's detail, or the cause, and returns the same fault. */
struct fault *fault_detail(struct arena *arena, struct fault *fault, const char *format, ...)
    __attribute__((format(printf, 3, 4), returns_nonnull));
struct fault *fault_because(struct fault *fault, const struct fault *cause) __attribute__((returns_nonnull));

/* Copies a fault (message, code, detail, causes) into another arena. */
struct fault *fault_copy(struct arena *arena, const struct fault *fault);

/* "message (detail): because ..." on one line, for the log. */
const char *fault_text(struct arena *arena, const struct fault *fault);

#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        struct fault *try_fault_ = (call);                                                                             \
        if (try_fault_ != NULL)                                                                                        \
            return try_fault_;                                                                                         \
    } while (0)

#endif
