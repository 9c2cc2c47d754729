/* SPDX-License-Identifier: Apache-2.0
 * trace/print: the tree of one request, from spans of any number of hosts. See trace.h. */
#include "oslo/json.h"
#include "oslo/trace.h"

#include "base/map.h"

#include <stdlib.h>
#include <string.h>

enum { DEPTH = 64 };

struct tree {
    const json_t **spans; /* by start */
    size_t count;
    struct map by_id;
    int64_t begin_us;
    FILE *out;
};

static const char *text(const json_t *span, const char *name)
{
    const char *value = json_text_at(span, name);
    return value != NULL ? value : "";
}

static int by_start(const void *a, const void *b)
{
    const json_t *x = *(const json_t *const *)a, *y = *(const json_t *const *)b;
    int64_t one = json_int_at(x, "start_us", 0), other = json_int_at(y, "start_us", 0);
    return one != other ? (one < other ? -1 : 1) : strcmp(text(x, "id"), text(y, "id"));
}

static void print_span(const struct tree *tree, const json_t *span, int depth)
{
    int64_t duration = json_int_at(span, "duration_us", -1), start = json_int_at(span, "start_us", 0);
    const char *outcome = text(span, "outcome");
    char took[32] = "not ended";
    if (duration >= 0)
        snprintf(took, sizeof(took), "%.3f ms", (double)duration / 1000);
    fprintf(tree->out, "%+11.3f ms %12s  %*s%s: %s [%s] %s\n", (double)(start - tree->begin_us) / 1000, took, depth * 2, "",
        text(span, "service"), text(span, "step"), text(span, "host"), outcome[0] != '\0' ? outcome : duration >= 0 ? "ok" : "");
}

static void print_children(const struct tree *tree, const char *parent, int depth)
{
    for (size_t i = 0; i < tree->count && depth < DEPTH; i++)
        if (strcmp(text(tree->spans[i], "parent"), parent) == 0) {
            print_span(tree, tree->spans[i], depth);
            print_children(tree, text(tree->spans[i], "id"), depth + 1);
        }
}

/* Hosts' clocks differ a little: only the order of sisters and the numbers show it, who called whom does not depend on it. */
static void take_spans(struct tree *tree, const json_t *spans)
{
    size_t i;
    json_t *span;
    json_array_foreach(spans, i, span) {
        if (text(span, "id")[0] == '\0' || map_has(&tree->by_id, text(span, "id")))
            continue;
        map_set(&tree->by_id, text(span, "id"), span);
        tree->spans[tree->count++] = span;
    }
    qsort(tree->spans, tree->count, sizeof(*tree->spans), by_start);
}

bool trace_print(const json_t *spans, FILE *out)
{
    size_t size = json_array_size(spans);
    struct tree tree = { .out = out, .spans = calloc(size + 1, sizeof(*tree.spans)) };
    if (tree.spans == NULL)
        abort();
    take_spans(&tree, spans);
    if (tree.count > 0)
        tree.begin_us = json_int_at(tree.spans[0], "start_us", 0);
    for (size_t i = 0; i < tree.count; i++) /* a parent may have been overwritten, or its host be away */
        if (!map_has(&tree.by_id, text(tree.spans[i], "parent"))) {
            print_span(&tree, tree.spans[i], 0);
            print_children(&tree, text(tree.spans[i], "id"), 1);
        }
    bool found = tree.count > 0;
    map_release(&tree.by_id);
    free(tree.spans);
    return found;
}
