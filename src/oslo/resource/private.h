/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the resource engine share: resource.c (handlers, policy, rendering), resource/parse.c (bodies to
 * values), resource/query.c (rows out of the database), resource/write.c (rows into it).
 */
#ifndef OSLO_RESOURCE_PRIVATE_H
#define OSLO_RESOURCE_PRIVATE_H

#include "oslo/resource.h"

enum { OWNER_CACHE = 4 };

/* Which fields a caller may see of rows of one owner: asked once per owner, not per row. */
struct shown {
    const char *owner;
    const bool *fields; /* by field index */
};

struct op_engine {
    struct shown shown[OWNER_CACHE];
    size_t shown_next;
};

/* The index of a field by its name or alias; resource->count when there is none. */
size_t field_find(const struct resource *resource, const char *name);

/* The dialect's fault for a bad value; NULL lets it pass. */
struct fault *op_invalid(struct op *op, const struct field *field, enum invalid_kind kind, const char *name,
    const json_t *value);

/* A boolean word as oslo.utils' strict strutils.bool_from_string knows it. */
bool bool_parse(const char *text, bool *ret);
bool int_parse(const char *text, int64_t *ret);

/* Where the policy engine looks a row's members up. `row` may be NULL. */
bool op_allowed(struct op *op, const char *rule, struct row *row);

/* `fields=` alone. */
void fields_read(struct op *op);
/* The whole of a list's SQL in op->tx: filters, visibility, order, page. */
struct fault *resource_select_page(struct op *op, const struct where *extra);

/* resource/notify.c: notifications around a request; nothing when nobody listens. A deletion tells of what there was: its
 * picture (NULL: none) is taken before. */
void resource_notify_start(struct op *op);
json_t *resource_notify_picture(struct op *op);
void resource_notify_end(struct op *op, const json_t *picture);

#endif
