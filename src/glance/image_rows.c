/* SPDX-License-Identifier: Apache-2.0
 *
 * image_rows: images between the database and the handlers. The tables are upstream's; a deleted image is really
 * deleted, and rows that upstream's own soft deletion left are not seen.
 */
#include "base/clock.h"
#include "glance/images.h"

#include <string.h>

const char *glance_timestamp_now(struct arena *arena)
{
    return clock_text(arena, clock_now_us(), CLOCK_SQL_US);
}

const char *glance_iso_time(struct arena *arena, const char *stored)
{
    int64_t us;
    return stored != NULL && clock_parse(stored, &us) ? clock_text(arena, us, CLOCK_ISO) : stored;
}

/* 404, in glance's words. */
static struct fault *image_not_found(struct request *rq, const char *id)
{
    return FAULT(RQ(rq), 404, NULL, "No image found with ID %s", id);
}

bool glance_caller_is_admin(struct request *rq)
{
    return request_allowed(rq, "context_is_admin", NULL);
}

void image_read(struct rows *rows, struct arena *arena, struct image *ret)
{
    *ret = (struct image){
        .id = rows_text(rows, 0),
        .name = rows_text(rows, 1),
        .disk_format = rows_text(rows, 2),
        .container_format = rows_text(rows, 3),
        .status = rows_text(rows, 4),
        .visibility = rows_text(rows, 5),
        .checksum = rows_text(rows, 6),
        .os_hash_algo = rows_text(rows, 7),
        .os_hash_value = rows_text(rows, 8),
        .owner = rows_text(rows, 9),
        .size = rows_null(rows, 10) ? -1 : rows_int(rows, 10),
        .virtual_size = rows_null(rows, 11) ? -1 : rows_int(rows, 11),
        .min_disk = rows_int(rows, 12),
        .min_ram = rows_int(rows, 13),
        .protected = rows_int(rows, 14) != 0,
        .os_hidden = rows_int(rows, 15) != 0,
        .created_at = rows_text(rows, 16),
        .updated_at = rows_text(rows, 17),
        .properties = json_keep(arena, json_object()),
        .tags = json_keep(arena, json_array()),
    };
}

static struct image *image_of(struct image *images, size_t count, const char *id)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(images[i].id, id) == 0)
            return &images[i];
    return NULL;
}

struct fault *images_load_details(struct tx *tx, struct image *images, size_t count)
{
    if (count == 0)
        return NULL;
    struct arena *arena = tx_arena(tx);
    struct sql_value *ids = ARENA_ARRAY(arena, struct sql_value, count);
    const char *marks = sql_marks(arena, count);
    struct rows *rows;
    for (size_t i = 0; i < count; i++)
        ids[i] = TEXT(images[i].id);
    TRY(sql_query(tx, &rows,
        arena_printf(arena, "SELECT image_id, name, value FROM image_properties WHERE deleted = 0 AND image_id IN (%s)"
                            " ORDER BY id", marks), ids, count));
    while (rows_next(rows)) {
        struct image *image = image_of(images, count, rows_text(rows, 0));
        const char *value = rows_text(rows, 2);
        json_object_set_new(image->properties, rows_text(rows, 1), json_string(value == NULL ? "" : value));
    }
    TRY(rows_fault(rows));
    TRY(sql_query(tx, &rows,
        arena_printf(arena, "SELECT image_id, value FROM image_tags WHERE deleted = 0 AND image_id IN (%s)"
                            " ORDER BY value", marks), ids, count));
    while (rows_next(rows))
        json_array_append_new(image_of(images, count, rows_text(rows, 0))->tags, json_string(rows_text(rows, 1)));
    return rows_fault(rows);
}

/* Shared images are seen by the projects that they are shared with, whatever those said to it. */
static struct fault *look_for_member(struct request *rq, struct tx *tx, struct image *image)
{
    const char *project = rq->cx.caller->project_id;
    if (project == NULL || strcmp(image->visibility, "shared") != 0)
        return NULL;
    return sql_text_of(tx, &image->member,
        "SELECT member FROM image_members WHERE image_id = ? AND member = ? AND deleted = 0",
        BIND(TEXT(image->id), TEXT(project)));
}

static bool visible(struct request *rq, const struct image *image)
{
    const char *project = rq->cx.caller->project_id;
    return strcmp(image->visibility, "public") == 0 || strcmp(image->visibility, "community") == 0 ||
        (project != NULL && image->owner != NULL && strcmp(image->owner, project) == 0) || image->member != NULL ||
        image->owner == NULL || glance_caller_is_admin(rq);
}

struct fault *image_load(struct request *rq, struct tx *tx, const char *id, struct image *ret)
{
    struct rows *rows;
    TRY(sql_query(tx, &rows, "SELECT " IMAGE_COLUMNS " FROM images i WHERE i.id = ? AND i.deleted = 0",
        BIND(TEXT(id))));
    if (!rows_next(rows)) {
        TRY(rows_fault(rows));
        return image_not_found(rq, id);
    }
    image_read(rows, tx_arena(tx), ret);
    rows_end(rows);
    TRY(look_for_member(rq, tx, ret));
    if (!visible(rq, ret))
        return image_not_found(rq, id);
    return images_load_details(tx, ret, 1);
}

struct fault *image_save(struct tx *tx, struct image *image)
{
    image->updated_at = glance_timestamp_now(tx_arena(tx));
    return sql_exec_later(tx,
        "UPDATE images SET name = ?, disk_format = ?, container_format = ?, visibility = ?, owner = ?, min_disk = ?,"
        " min_ram = ?, protected = ?, os_hidden = ?, updated_at = ? WHERE id = ?",
        BIND(TEXT(image->name), TEXT(image->disk_format), TEXT(image->container_format), TEXT(image->visibility),
            TEXT(image->owner), INT(image->min_disk), INT(image->min_ram), INT(image->protected),
            INT(image->os_hidden), TEXT(image->updated_at), TEXT(image->id)));
}

struct fault *image_save_properties(struct tx *tx, const struct image *image)
{
    const char *name, *now = glance_timestamp_now(tx_arena(tx));
    json_t *value;
    TRY(sql_exec_later(tx, "DELETE FROM image_properties WHERE image_id = ?", BIND(TEXT(image->id))));
    json_object_foreach(image->properties, name, value)
        TRY(sql_exec_later(tx,
            "INSERT INTO image_properties (image_id, name, value, created_at, updated_at, deleted)"
            " VALUES (?, ?, ?, ?, ?, 0)",
            BIND(TEXT(image->id), TEXT(name), TEXT(json_string_value(value)), TEXT(now), TEXT(now))));
    return NULL;
}

struct fault *image_save_tags(struct tx *tx, const struct image *image)
{
    const char *now = glance_timestamp_now(tx_arena(tx));
    size_t at;
    json_t *tag;
    TRY(sql_exec_later(tx, "DELETE FROM image_tags WHERE image_id = ?", BIND(TEXT(image->id))));
    json_array_foreach(image->tags, at, tag)
        TRY(sql_exec_later(tx,
            "INSERT INTO image_tags (image_id, value, created_at, updated_at, deleted) VALUES (?, ?, ?, ?, 0)",
            BIND(TEXT(image->id), TEXT(json_string_value(tag)), TEXT(now), TEXT(now))));
    return NULL;
}

#define TARGET(image)                                                                                                  \
    POLICY_TARGET({ "project_id", (image)->owner }, { "owner", (image)->owner },                                       \
        { "visibility", (image)->visibility }, { "member_id", (image)->member }, { "image_id", (image)->id },          \
        { "id", (image)->id })

struct fault *image_enforce(struct request *rq, const char *rule, const struct image *image)
{
    if (!request_allowed(rq, "get_image", TARGET(image)))
        return FAULT(RQ(rq), 404, NULL, "The resource could not be found.");
    return request_enforce(rq, rule, TARGET(image));
}

struct fault *image_enforce_mutable(struct request *rq, const char *rule, const struct image *image)
{
    const char *project = rq->cx.caller->project_id;
    TRY(image_enforce(rq, rule, image));
    /* With the defaults of 2023.1 the rule itself asks for the owner; an operator's older rules may not. */
    if (glance_of(rq)->new_defaults || glance_caller_is_admin(rq))
        return NULL;
    if (image->owner == NULL || project == NULL || strcmp(image->owner, project) != 0)
        return FAULT(RQ(rq), 403, NULL, "You do not own this image");
    return NULL;
}

static void write_number(struct json_writer *w, const char *name, int64_t value)
{
    if (value < 0)
        json_null_member(w, name);
    else
        json_int(w, name, value);
}

void image_write(struct request *rq, const char *name, const struct image *image)
{
    struct json_writer *w = &rq->json;
    struct arena *arena = rq->cx.arena;
    const char *property;
    json_t *value;
    json_begin(w, name);
    json_object_foreach(image->properties, property, value)
        json_value(w, property, value);
    json_text(w, "name", image->name);
    json_text(w, "disk_format", image->disk_format);
    json_text(w, "container_format", image->container_format);
    json_text(w, "visibility", image->visibility);
    write_number(w, "size", image->size);
    write_number(w, "virtual_size", image->virtual_size);
    json_text(w, "status", image->status);
    json_text(w, "checksum", image->checksum);
    json_bool(w, "protected", image->protected);
    json_int(w, "min_ram", image->min_ram);
    json_int(w, "min_disk", image->min_disk);
    json_text(w, "owner", image->owner);
    json_bool(w, "os_hidden", image->os_hidden);
    json_text(w, "os_hash_algo", image->os_hash_algo);
    json_text(w, "os_hash_value", image->os_hash_value);
    json_text(w, "id", image->id);
    json_text(w, "created_at", glance_iso_time(arena, image->created_at));
    json_text(w, "updated_at", glance_iso_time(arena, image->updated_at));
    json_value(w, "tags", image->tags);
    json_textf(w, "self", "/v2/images/%s", image->id);
    json_textf(w, "file", "/v2/images/%s/file", image->id);
    json_text(w, "schema", "/v2/schemas/image");
    json_end(w);
}
