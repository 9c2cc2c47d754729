/* SPDX-License-Identifier: Apache-2.0
 *
 * trace: the way of every request through all services, as a tree of spans.
 *
 * Spans go to a ring of fixed-size records in one file that all processes of a host map: writing one costs no system
 * call, it survives kill -9, and the oldest are overwritten. `nubo trace REQUEST-ID` reads the file, and asks the APIs of the
 * catalog for what other hosts know. Span ids are random 64 bit numbers, so that spans of all hosts make one tree; the parent
 * travels as X-Nubo-Span in calls (rest.h) and as a member of the context in messages.
 */
#ifndef OSLO_TRACE_H
#define OSLO_TRACE_H

#include "base/fault.h"
#include "oslo/context.h"

#include <stdio.h>

struct route_table;
struct policy_table;
struct option_table;

/* Maps (and makes) the ring. Without it spans are dropped. */
struct fault *trace_open(struct arena *arena, const char *path);
bool trace_is_open(void);

/* Begins a step below the context's present span and makes it the present one. `service` and `host` as a person knows
 * them: "nova-conductor", "compute-1"; NULL host: this host. Never NULL; the span lives in the context's arena. */
struct span *trace_begin(struct context *cx, const char *service, const char *host, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Ends it with the outcome (NULL: ok) and makes its parent the present one again. Returns the fault for convenience. */
struct fault *trace_end(struct context *cx, struct span *span, struct fault *fault);

/* How far the present step is: its outcome until it ends. */
void trace_progress(struct context *cx, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A step that is known to take no time or to have nothing to do: "no volumes". */
void trace_note(struct context *cx, const char *service, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The present span's id for messages and REST headers, and a context's parent taken from one; 0: none. */
uint64_t trace_id(const struct context *cx);
void trace_set_parent(struct context *cx, uint64_t id);

/* All spans of the tree that a request id is part of, a new array: {"id", "parent" (16 hexadecimal digits, zeroes: none),
 * "start_us", "duration_us" (-1: has not ended), "service", "host", "step", "outcome" ("": ok)}. `path` NULL: of this process's
 * ring, else of that file. Empty when nothing is known. */
json_t *trace_spans(const char *path, const char *request_id);

/* Prints the tree that spans of any number of rings make; a span that came twice is printed once. False: there is none. */
bool trace_print(const json_t *spans, FILE *out);

/* ---- all hosts (trace/gather.c) ---- */

/* GET /nubo/trace/REQUEST-ID of every API: {"spans": [...]} of its own ring and of those that its service's other processes
 * answer by RPC within TRACE_GATHER_MS. For admins. */
extern const struct route_table trace_routes;
extern const struct policy_table trace_policies;
extern const struct option_table trace_options; /* [trace] file */
enum { TRACE_GATHER_MS = 700 };

/* Opens the ring that the options name when none is open yet, and answers other processes when messages travel. */
void trace_serve(struct context *cx);

#endif
