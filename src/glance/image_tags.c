/* SPDX-License-Identifier: Apache-2.0
 *
 * image_tags: tags one by one, and the actions deactivate and reactivate. API reference: Image tags, Images.
 */
#include "glance/images.h"

#include <string.h>

struct change {
    struct request *rq;
    const char *tag;
    const char *from, *to, *verb, *rule; /* of an action */
    struct image image;
};

static struct fault *load(struct tx *tx, struct change *change, struct image *ret)
{
    const char *id = request_argument(change->rq, "image_id");
    struct fault *fault = image_load(change->rq, tx, id, ret);
    if (fault != NULL && fault->status == 404)
        return FAULT(RQ(change->rq), 404, NULL, "Image %s not found.", id);
    TRY(fault);
    return image_enforce_mutable(change->rq, "modify_image", ret);
}

static size_t place_of(const struct image *image, const char *tag)
{
    size_t at;
    json_t *value;
    json_array_foreach(image->tags, at, value)
        if (strcmp(json_string_value(value), tag) == 0)
            return at;
    return at;
}

static struct fault *add_run(struct tx *tx, void *argument)
{
    struct change *change = argument;
    struct image *image = &change->image;
    TRY(tx_serialize_on(tx, "image", request_argument(change->rq, "image_id")));
    TRY(load(tx, change, image));
    size_t count = json_array_size(image->tags);
    if (place_of(image, change->tag) < count)
        return NULL;
    if (count >= 128)
        return FAULT(RQ(change->rq), 413, NULL,
            "The limit has been exceeded on the number of allowed image tags. Attempted: %zu, Maximum: 128",
            count + 1);
    json_array_append_new(image->tags, json_string(change->tag));
    TRY(image_save(tx, image));
    return image_save_tags(tx, image);
}

static struct fault *remove_run(struct tx *tx, void *argument)
{
    struct change *change = argument;
    struct image *image = &change->image;
    TRY(tx_serialize_on(tx, "image", request_argument(change->rq, "image_id")));
    TRY(load(tx, change, image));
    size_t at = place_of(image, change->tag);
    if (at >= json_array_size(image->tags))
        return FAULT(RQ(change->rq), 404, NULL, "The resource could not be found.");
    json_array_remove(image->tags, at);
    TRY(image_save(tx, image));
    return image_save_tags(tx, image);
}

static struct fault *add_tag(struct request *rq)
{
    struct change change = { .rq = rq, .tag = request_argument(rq, "tag_value") };
    json_t *part = json_keep(rq->cx.arena, json_pack("{s:[s]}", "tags", change.tag));
    TRY(image_validate(rq, part));
    TRY(db_write(rq->cx.arena, rq->cx.app->db, add_run, &change));
    image_notify(rq, "image.update", &change.image);
    return glance_answer_empty(rq);
}

static struct fault *remove_tag(struct request *rq)
{
    struct change change = { .rq = rq, .tag = request_argument(rq, "tag_value") };
    TRY(db_write(rq->cx.arena, rq->cx.app->db, remove_run, &change));
    image_notify(rq, "image.update", &change.image);
    return glance_answer_empty(rq);
}

static struct fault *action_run(struct tx *tx, void *argument)
{
    struct change *change = argument;
    struct image *image = &change->image;
    TRY(tx_serialize_on(tx, "image", request_argument(change->rq, "image_id")));
    TRY(image_load(change->rq, tx, request_argument(change->rq, "image_id"), image));
    TRY(image_enforce_mutable(change->rq, change->rule, image));
    if (strcmp(image->status, change->to) == 0)
        return NULL;
    if (strcmp(image->status, change->from) != 0)
        return FAULT(RQ(change->rq), 403, NULL, "Not allowed to %s image in status '%s'", change->verb, image->status);
    image->status = change->to;
    image->updated_at = glance_timestamp_now(tx_arena(tx));
    return sql_exec(tx, "UPDATE images SET status = ?, updated_at = ? WHERE id = ?",
        BIND(TEXT(image->status), TEXT(image->updated_at), TEXT(image->id)));
}

static struct fault *deactivate(struct request *rq)
{
    struct change change = { .rq = rq, .from = "active", .to = "deactivated", .verb = "deactivate",
        .rule = "deactivate" };
    TRY(db_write(rq->cx.arena, rq->cx.app->db, action_run, &change));
    image_notify(rq, "image.update", &change.image);
    return glance_answer_empty(rq);
}

static struct fault *reactivate(struct request *rq)
{
    struct change change = { .rq = rq, .from = "deactivated", .to = "active", .verb = "reactivate",
        .rule = "reactivate" };
    TRY(db_write(rq->cx.arena, rq->cx.app->db, action_run, &change));
    image_notify(rq, "image.update", &change.image);
    return glance_answer_empty(rq);
}

#define TAG     "/v2/images/{image_id}/tags/{tag_value}"
#define ACTIONS "/v2/images/{image_id}/actions/"
static const struct route rows[] = {
    ROUTE(PUT,    TAG,                  "modify_image", add_tag,    HANDLER_POLICY, .flags = ANY_BODY),
    ROUTE(DELETE, TAG,                  "modify_image", remove_tag, HANDLER_POLICY),
    ROUTE(POST,   ACTIONS "deactivate", "deactivate",   deactivate, HANDLER_POLICY, .flags = ANY_BODY),
    ROUTE(POST,   ACTIONS "reactivate", "reactivate",   reactivate, HANDLER_POLICY, .flags = ANY_BODY),
};
const struct route_table glance_image_tag_routes = ROUTES(rows);
