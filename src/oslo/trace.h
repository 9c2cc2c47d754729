/* SPDX-License-Identifier: Apache-2.0
 *
 * trace: the way of every request through all services, as a tree of spans.
 *
 * Spans go to a ring of fixed-size records in one file that all processes of a host map: writing one costs no system
 * call, it survives kill -9, and the oldest are overwritten. `nubo trace REQUEST-ID` reads the file.
 */
#ifndef OSLO_TRACE_H
#define OSLO_TRACE_H

#include "base/fault.h"
#include "oslo/context.h"

#include <stdio.h>

/* Maps (and makes) the ring. Without it spans are dropped. */
struct fault *trace_open(struct arena *arena, const char *path);

/* Begins a step below the context's present span and makes it the present one. `service` and `host` as a person knows
 * them: "nova-conductor", "compute-1"; NULL host: this host. Never NULL; the span lives in the context's arena. */
struct span *trace_begin(struct context *cx, const char *service, const char *host, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Ends it with the outcome (NULL: ok) and makes its parent the present one again. Returns the fault for convenience. */
struct fault *trace_end(struct context *cx, struct span *span, struct fault *fault);

/* A step that is known to take no time or to have nothing to do: "no volumes". */
void trace_note(struct context *cx, const char *service, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The present span's id for messages and REST headers, and a context's parent taken from one; 0: none. */
uint64_t trace_id(const struct context *cx);
void trace_set_parent(struct context *cx, uint64_t id);

/* Prints the tree of one request. False when the ring holds nothing of it. */
bool trace_print(const char *path, const char *request_id, FILE *out);

#endif
