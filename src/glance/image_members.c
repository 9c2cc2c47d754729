/* SPDX-License-Identifier: Apache-2.0
 *
 * image_members: the projects that an image is shared with. API reference: Image sharing.
 */
#include "glance/images.h"

#include <string.h>

struct change {
    struct request *rq;
    const char *image_id, *member_id, *status;
    struct image_member member;
};

static void write_member(struct request *rq, const char *image_id, const struct image_member *member)
{
    struct json_writer *w = &rq->json;
    json_begin(w, NULL);
    json_text(w, "member_id", member->member_id);
    json_text(w, "image_id", image_id);
    json_text(w, "status", member->status);
    json_text(w, "created_at", glance_iso_time(rq->cx.arena, member->created_at));
    json_text(w, "updated_at", glance_iso_time(rq->cx.arena, member->updated_at));
    json_text(w, "schema", "/v2/schemas/member");
    json_end(w);
}

/* The image, when it is shared; `words` begin the 403 of one that is not. */
static struct fault *load_shared(struct tx *tx, struct change *change, const char *words, struct image *ret)
{
    struct request *rq = change->rq;
    change->image_id = request_argument(rq, "image_id");
    struct fault *fault = image_load(rq, tx, change->image_id, ret);
    if (fault != NULL && fault->status == 404)
        return FAULT(RQ(rq), 404, NULL, "Image %s not found.", change->image_id);
    TRY(fault);
    if (strcmp(ret->visibility, "shared") != 0)
        return FAULT(RQ(rq), 403, NULL, words, change->image_id);
    return NULL;
}

static bool owns(struct request *rq, const struct image *image)
{
    const char *project = rq->cx.caller->project_id;
    return glance_caller_is_admin(rq) ||
        (image->owner != NULL && project != NULL && strcmp(image->owner, project) == 0);
}

static struct fault *look(struct tx *tx, struct change *change, bool *ret_found)
{
    struct rows *rows;
    TRY(sql_query(tx, &rows,
        "SELECT member, status, created_at, updated_at FROM image_members WHERE image_id = ? AND member = ?"
        " AND deleted = 0", BIND(TEXT(change->image_id), TEXT(change->member_id))));
    *ret_found = rows_next(rows);
    if (*ret_found)
        change->member = (struct image_member){ rows_text(rows, 0), rows_text(rows, 1), rows_text(rows, 2),
            rows_text(rows, 3) };
    rows_end(rows);
    return rows_fault(rows);
}

/* The owner sees every member; a member sees itself. */
static struct fault *look_for(struct tx *tx, struct change *change, const struct image *image)
{
    bool found;
    const char *project = change->rq->cx.caller->project_id;
    bool allowed = owns(change->rq, image) || (project != NULL && strcmp(project, change->member_id) == 0);
    TRY(look(tx, change, &found));
    if (!found || !allowed)
        return FAULT(RQ(change->rq), 404, NULL, "%s not found in the member list of the image %s.", change->member_id,
            change->image_id);
    return NULL;
}

static struct fault *create_run(struct tx *tx, void *argument)
{
    static const char words[] = "Not allowed to create members for image %s.";
    struct change *change = argument;
    struct image image;
    bool found;
    int64_t total;
    TRY(tx_serialize_on(tx, "image", request_argument(change->rq, "image_id")));
    TRY(load_shared(tx, change, words, &image));
    if (!owns(change->rq, &image))
        return FAULT(RQ(change->rq), 403, NULL, words, change->image_id);
    TRY(image_enforce(change->rq, "add_member", &image));
    TRY(look(tx, change, &found));
    if (found)
        return FAULT(RQ(change->rq), 409, NULL, "Member %s is duplicated for image %s", change->member_id,
            change->image_id);
    TRY(sql_int_of(tx, &total, 0, "SELECT COUNT(*) FROM image_members WHERE image_id = ? AND deleted = 0",
        BIND(TEXT(change->image_id))));
    if (total >= 128)
        return FAULT(RQ(change->rq), 413, NULL, "Image member limit exceeded for image %s: The limit has been exceeded"
            " on the number of allowed image members for this image. Attempted: %lld, Maximum: 128:",
            change->image_id, (long long)total + 1);
    const char *now = glance_timestamp_now(tx_arena(tx));
    change->member = (struct image_member){ change->member_id, "pending", now, now };
    return sql_exec(tx,
        "INSERT INTO image_members (image_id, member, can_share, status, created_at, updated_at, deleted)"
        " VALUES (?, ?, 0, 'pending', ?, ?, 0)",
        BIND(TEXT(change->image_id), TEXT(change->member_id), TEXT(now), TEXT(now)));
}

static struct fault *create_member(struct request *rq)
{
    if (rq->body == NULL)
        return glance_dialect.malformed(rq, "no body");
    const json_t *member = json_object_get(rq->body, "member");
    if (!json_is_object(rq->body))
        return FAULT(RQ(rq), 400, NULL, "Expected a member in the form: {\"member\": \"image_id\"}");
    if (member == NULL)
        return FAULT(RQ(rq), 400, NULL, "Member to be added not specified");
    if (!json_is_string(member) || json_string_length(member) == 0)
        return FAULT(RQ(rq), 400, NULL, "Member can't be empty");
    if (json_string_length(member) > 255)
        return FAULT(RQ(rq), 400, NULL, "Member is too long");
    struct change change = { .rq = rq, .member_id = json_string_value(member) };
    TRY(db_write(rq->cx.arena, rq->cx.app->db, create_run, &change));
    image_member_notify(rq, "image.member.create", change.image_id, &change.member);
    write_member(rq, change.image_id, &change.member);
    return NULL;
}

static struct fault *update_run(struct tx *tx, void *argument)
{
    static const char words[] = "Not allowed to update members for image %s.";
    struct change *change = argument;
    struct image image;
    TRY(tx_serialize_on(tx, "image", request_argument(change->rq, "image_id")));
    TRY(load_shared(tx, change, words, &image));
    if (!glance_caller_is_admin(change->rq) && owns(change->rq, &image))
        return FAULT(RQ(change->rq), 403, NULL, words, change->image_id);
    TRY(look_for(tx, change, &image));
    TRY(image_enforce(change->rq, "modify_member", &image));
    change->member.status = change->status;
    change->member.updated_at = glance_timestamp_now(tx_arena(tx));
    return sql_exec(tx, "UPDATE image_members SET status = ?, updated_at = ? WHERE image_id = ? AND member = ?",
        BIND(TEXT(change->status), TEXT(change->member.updated_at), TEXT(change->image_id),
            TEXT(change->member_id)));
}

static struct fault *update_member(struct request *rq)
{
    if (rq->body == NULL)
        return glance_dialect.malformed(rq, "no body");
    if (!json_is_object(rq->body))
        return FAULT(RQ(rq), 400, NULL, "Expected a status in the form: {\"status\": \"status\"}");
    if (json_object_get(rq->body, "status") == NULL)
        return FAULT(RQ(rq), 400, NULL, "Status not specified");
    struct change change = { .rq = rq, .member_id = request_argument(rq, "member_id"),
        .status = json_text_at(rq->body, "status") };
    if (change.status == NULL || (strcmp(change.status, "pending") != 0 && strcmp(change.status, "accepted") != 0 &&
                                     strcmp(change.status, "rejected") != 0))
        return FAULT(RQ(rq), 400, NULL,
            "Incorrect request: Status must be \"pending\", \"accepted\" or \"rejected\".");
    TRY(db_write(rq->cx.arena, rq->cx.app->db, update_run, &change));
    image_member_notify(rq, "image.member.update", change.image_id, &change.member);
    write_member(rq, change.image_id, &change.member);
    return NULL;
}

static struct fault *delete_run(struct tx *tx, void *argument)
{
    static const char words[] = "Not allowed to delete members for image %s.";
    struct change *change = argument;
    struct image image;
    TRY(tx_serialize_on(tx, "image", request_argument(change->rq, "image_id")));
    TRY(load_shared(tx, change, words, &image));
    if (!owns(change->rq, &image))
        return FAULT(RQ(change->rq), 403, NULL, words, change->image_id);
    TRY(look_for(tx, change, &image));
    TRY(image_enforce(change->rq, "delete_member", &image));
    return sql_exec(tx, "DELETE FROM image_members WHERE image_id = ? AND member = ?",
        BIND(TEXT(change->image_id), TEXT(change->member_id)));
}

static struct fault *delete_member(struct request *rq)
{
    struct change change = { .rq = rq, .member_id = request_argument(rq, "member_id") };
    TRY(db_write(rq->cx.arena, rq->cx.app->db, delete_run, &change));
    image_member_notify(rq, "image.member.delete", change.image_id, &change.member);
    return glance_answer_empty(rq);
}

static struct fault *show_member(struct request *rq)
{
    struct change change = { .rq = rq, .member_id = request_argument(rq, "member_id") };
    struct tx *tx;
    struct image image;
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    struct fault *fault = load_shared(tx, &change, "Only shared images have members.", &image);
    if (fault != NULL && fault->status == 403)
        return FAULT(RQ(rq), 404, NULL, "Only shared images have members.");
    TRY(fault);
    TRY(look_for(tx, &change, &image));
    TRY(image_enforce(rq, "get_member", &image));
    write_member(rq, change.image_id, &change.member);
    return NULL;
}

static struct fault *list_members(struct request *rq)
{
    struct change change = { .rq = rq };
    struct tx *tx;
    struct rows *rows;
    struct image image;
    const char *project = rq->cx.caller->project_id;
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(load_shared(tx, &change, "Not allowed to list members for image %s: Only shared images have members.",
        &image));
    TRY(image_enforce(rq, "get_members", &image));
    TRY(sql_query(tx, &rows,
        "SELECT member, status, created_at, updated_at FROM image_members WHERE image_id = ? AND deleted = 0"
        " ORDER BY id", BIND(TEXT(image.id))));
    json_begin(&rq->json, NULL);
    json_begin_array(&rq->json, "members");
    while (rows_next(rows)) {
        const struct image_member member = { rows_text(rows, 0), rows_text(rows, 1), rows_text(rows, 2),
            rows_text(rows, 3) };
        if (owns(rq, &image) || (project != NULL && strcmp(project, member.member_id) == 0))
            write_member(rq, image.id, &member);
    }
    json_end_array(&rq->json);
    json_text(&rq->json, "schema", "/v2/schemas/members");
    json_end(&rq->json);
    return rows_fault(rows);
}

#define ALL "/v2/images/{image_id}/members"
#define ONE "/v2/images/{image_id}/members/{member_id}"
static const struct route rows_of_members[] = {
    ROUTE(GET,    ALL, "get_members",   list_members,  HANDLER_POLICY),
    ROUTE(POST,   ALL, "add_member",    create_member, HANDLER_POLICY),
    ROUTE(GET,    ONE, "get_member",    show_member,   HANDLER_POLICY),
    ROUTE(PUT,    ONE, "modify_member", update_member, HANDLER_POLICY),
    ROUTE(DELETE, ONE, "delete_member", delete_member, HANDLER_POLICY),
};
const struct route_table glance_image_member_routes = ROUTES(rows_of_members);
