/* SPDX-License-Identifier: Apache-2.0
 *
 * resource/notify: notifications of a service whose dialect wants them: RESOURCE.create.start with the request's body,
 * RESOURCE.create.end with the answer's, and so on, as neutron's API sends them. Nothing is made when nobody listens.
 */
#include "oslo/notification.h"
#include "oslo/resource/private.h"

static bool resource_notifies(const struct op *op)
{
    return op->resource->dialect->notifies != NULL && op->rq != NULL && notify_wanted(op->cx);
}

static void send(struct op *op, const char *action, const char *phase, const json_t *payload)
{
    struct context *cx = op->cx;
    notify(cx, notify_publisher(cx, op->resource->dialect->notifies), arena_printf(cx->arena, "%s.%s.%s",
        op->resource->name, action, phase), NOTIFY_INFO, payload);
}

static const char *action_of(const struct op *op)
{
    return op->kind == OP_CREATE ? "create" : op->kind == OP_UPDATE ? "update" : "delete";
}

static json_t *with_id(struct op *op)
{
    json_t *payload = json_keep(op->cx->arena, json_object());
    json_object_set_new(payload, arena_printf(op->cx->arena, "%s_id", op->resource->name), json_string(op->id));
    return payload;
}

void resource_notify_start(struct op *op)
{
    if (!resource_notifies(op))
        return;
    json_t *payload = op->kind == OP_DELETE ? with_id(op) : json_keep(op->cx->arena, json_copy(op->rq->body));
    if (op->kind == OP_UPDATE)
        json_object_set_new(payload, "id", json_string(op->id));
    send(op, action_of(op), "start", payload);
}

json_t *resource_notify_picture(struct op *op)
{
    BUF_CLEANUP struct buf text = { 0 };
    struct json_writer w = { .out = &text };
    if (!resource_notifies(op) || resource_load(op) != NULL)
        return NULL;
    json_begin(&w, NULL);
    resource_write(op, &op->page.rows[0], &w, op->resource->name);
    json_end(&w);
    return json_parse_own(op->cx->arena, buf_text(&text));
}

void resource_notify_end(struct op *op, const json_t *picture)
{
    if (!resource_notifies(op))
        return;
    json_t *payload = op->kind == OP_DELETE ? with_id(op) : json_parse_own(op->cx->arena, buf_text(&op->rq->out));
    if (payload != NULL && picture != NULL)
        json_object_update(payload, (json_t *)picture);
    if (payload != NULL)
        send(op, action_of(op), "end", payload);
}
