/* SPDX-License-Identifier: Apache-2.0
 *
 * tags: words on networks, subnets, ports and security groups. API reference: Standard attributes tag extension.
 */
#include "neutron/security_groups.h"

#include <string.h>

enum { TAG_MAX = 255, TAGS_MAX = 50 };

struct tag_work {
    struct op *op;
    const char *tag;       /* add, remove and ask for one */
    json_t *replace;       /* all of them; NULL otherwise */
    bool remove;
};

/* Those of the object that was loaded; NULL: none. */
static json_t *tags_of(struct op *op)
{
    size_t field = 0;
    while (strcmp(op->resource->fields[field].name, "tags") != 0)
        field++;
    return value_json(op, &op->page.rows[0].values[field]);
}

static struct fault *tag_find(struct op *op, const char *tag, const json_t *tags, size_t *ret)
{
    for (*ret = 0; *ret < json_array_size(tags); (*ret)++)
        if (strcmp(json_string_value(json_array_get(tags, *ret)), tag) == 0)
            return NULL;
    return FAULT(op->cx, 404, "TagNotFound", "Tag %s could not be found.", tag);
}

static struct fault *tag_run(struct tx *tx, void *argument)
{
    struct tag_work *work = argument;
    struct op *op = work->op;
    size_t at;
    TRY(tx_serialize_on(tx, op->resource->table, op->id));
    op->tx = tx;
    struct fault *fault = resource_find(op, op->id);
    op->tx = NULL;
    TRY(fault);
    json_t *tags = json_keep(op->cx->arena, json_deep_copy(tags_of(op)));
    if (tags == NULL)
        tags = json_keep(op->cx->arena, json_array());
    if (work->replace != NULL) {
        tags = work->replace;
    } else {
        fault = tag_find(op, work->tag, tags, &at);
        if (work->remove) {
            TRY(fault);
            json_array_remove(tags, at);
        } else if (fault != NULL) {
            json_array_append_new(tags, json_string(work->tag));
        }
    }
    if (json_array_size(tags) > TAGS_MAX)
        return FAULT(op->cx, 400, "HTTPBadRequest", "The number of tags exceed the per-resource limit of %d", TAGS_MAX);
    TRY(sql_exec_later(tx, arena_printf(op->cx->arena, "UPDATE %s SET tags = ? WHERE id = ?", op->resource->table),
        BIND(TEXT(json_dump(op->cx->arena, tags)), TEXT(op->id))));
    return revise(tx, op->resource->table, op->id);
}

/* Whoever may update the object may tag it. */
static struct fault *tag_op(struct request *rq, struct op **ret)
{
    struct op *op = op_create(RQ(rq), rq, rq->route->resource, rq->method == GET ? OP_SHOW : OP_INTERNAL);
    TRY(resource_fetch(op, op->id));
    TRY(resource_enforce_rule(op, op->rule, &op->page.rows[0]));
    *ret = op;
    return NULL;
}

static struct fault *tag_checked(struct request *rq, const char *tag)
{
    if (tag[0] == '\0' || strlen(tag) > TAG_MAX)
        return invalid_input(RQ(rq), "'%s' exceeds maximum length of %d", tag, TAG_MAX);
    return strchr(tag, ',') != NULL ? invalid_input(RQ(rq), "'%s' contains a comma", tag) : NULL;
}

static struct fault *tags_show(struct request *rq)
{
    struct op *op;
    TRY(tag_op(rq, &op));
    json_begin(&rq->json, NULL);
    json_value(&rq->json, "tags", tags_of(op));
    json_end(&rq->json);
    return NULL;
}

static struct fault *tags_replace(struct request *rq)
{
    struct tag_work work = { .replace = json_object_get(rq->body, "tags") };
    if (!json_is_array(work.replace))
        return FAULT(RQ(rq), 400, "HTTPBadRequest", "Invalid tags body");
    for (size_t i = 0; i < json_array_size(work.replace); i++) {
        const char *tag = json_string_value(json_array_get(work.replace, i));
        if (tag == NULL)
            return invalid_input(RQ(rq), "'%s' is not a valid string", json_shown(rq->cx.arena, json_array_get(work.replace, i)));
        TRY(tag_checked(rq, tag));
    }
    TRY(tag_op(rq, &work.op));
    TRY(db_write(rq->cx.arena, rq->cx.app->db, tag_run, &work));
    json_begin(&rq->json, NULL);
    json_value(&rq->json, "tags", work.replace);
    json_end(&rq->json);
    return NULL;
}

static struct fault *tags_clear(struct request *rq)
{
    struct tag_work work = { .replace = json_keep(rq->cx.arena, json_array()) };
    TRY(tag_op(rq, &work.op));
    return db_write(rq->cx.arena, rq->cx.app->db, tag_run, &work);
}

static struct fault *tag_add(struct request *rq)
{
    struct tag_work work = { .tag = request_argument(rq, "tag") };
    TRY(tag_checked(rq, work.tag));
    TRY(tag_op(rq, &work.op));
    return db_write(rq->cx.arena, rq->cx.app->db, tag_run, &work);
}

static struct fault *tag_remove(struct request *rq)
{
    struct tag_work work = { .tag = request_argument(rq, "tag"), .remove = true };
    TRY(tag_op(rq, &work.op));
    return db_write(rq->cx.arena, rq->cx.app->db, tag_run, &work);
}

static struct fault *tag_show(struct request *rq)
{
    struct op *op;
    size_t at;
    TRY(tag_op(rq, &op));
    return tag_find(op, request_argument(rq, "tag"), tags_of(op), &at);
}

#define TAG_ROUTES(path, name, resource_)                                                                                        \
    ROUTE(GET,    path "/{id}/tags",       "get_" name,    tags_show,    HANDLER_POLICY, .resource = &resource_),                \
    ROUTE(PUT,    path "/{id}/tags",       "update_" name, tags_replace, HANDLER_POLICY, .resource = &resource_),                \
    ROUTE(DELETE, path "/{id}/tags",       "update_" name, tags_clear,   HANDLER_POLICY, .resource = &resource_, .status = 204), \
    ROUTE(GET,    path "/{id}/tags/{tag}", "get_" name,    tag_show,     HANDLER_POLICY, .resource = &resource_, .status = 204), \
    ROUTE(PUT,    path "/{id}/tags/{tag}", "update_" name, tag_add,      HANDLER_POLICY, .resource = &resource_, .status = 201), \
    ROUTE(DELETE, path "/{id}/tags/{tag}", "update_" name, tag_remove,   HANDLER_POLICY, .resource = &resource_, .status = 204)

static const struct route rows[] = {
    TAG_ROUTES("/v2.0/networks",        "network",        network_resource),
    TAG_ROUTES("/v2.0/subnets",         "subnet",         subnet_resource),
    TAG_ROUTES("/v2.0/ports",           "port",           port_resource),
    TAG_ROUTES("/v2.0/security-groups", "security_group", security_group_resource),
};
const struct route_table tag_routes = ROUTES(rows);
