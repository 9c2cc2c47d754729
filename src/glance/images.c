/* SPDX-License-Identifier: Apache-2.0
 *
 * images: POST /v2/images, and GET and DELETE of one. API reference: Images.
 */
#include "glance/images.h"

#include "base/random.h"

#include <stdlib.h>
#include <string.h>

const char *const image_disk_formats[] = { "=null", "ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi",
    "iso", "ploop", NULL };
const char *const image_container_formats[] = { "=null", "ami", "ari", "aki", "bare", "ovf", "ova", "docker",
    "compressed", NULL };

static const struct schema text = { .types = SCHEMA_STRING };
static const struct schema text_or_null = { .types = SCHEMA_NULL | SCHEMA_STRING, .max_length = 255 };
static const struct schema boolean = { .types = SCHEMA_BOOLEAN };
static const struct schema integer = { .types = SCHEMA_INTEGER };
static const struct schema integer_or_null = { .types = SCHEMA_NULL | SCHEMA_INTEGER };
static const struct schema image_id = { .types = SCHEMA_STRING,
    .pattern = "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$" };
static const struct schema status = { .types = SCHEMA_STRING,
    .values = SCHEMA_WORDS("queued", "saving", "active", "killed", "deleted", "uploading", "importing",
        "pending_delete", "deactivated") };
static const struct schema visibility = { .types = SCHEMA_STRING,
    .values = SCHEMA_WORDS("community", "public", "private", "shared") };
static const struct schema checksum = { .types = SCHEMA_NULL | SCHEMA_STRING, .max_length = 32 };
static const struct schema hash_algo = { .types = SCHEMA_NULL | SCHEMA_STRING, .max_length = 64 };
static const struct schema hash_value = { .types = SCHEMA_NULL | SCHEMA_STRING, .max_length = 128 };
static const struct schema container_format = { .types = SCHEMA_NULL | SCHEMA_STRING,
    .values = image_container_formats };
static const struct schema disk_format = { .types = SCHEMA_NULL | SCHEMA_STRING, .values = image_disk_formats };
static const struct schema tag = { .types = SCHEMA_STRING, .max_length = 255 };
static const struct schema tags = { .types = SCHEMA_ARRAY, .items = &tag };
static const struct schema locations = { .types = SCHEMA_ARRAY };

static const struct schema image_schema = { .types = SCHEMA_OBJECT, .additional = &text,
    .properties = SCHEMA_PROPERTIES({ "id", &image_id }, { "name", &text_or_null }, { "status", &status },
        { "visibility", &visibility }, { "protected", &boolean }, { "os_hidden", &boolean }, { "checksum", &checksum },
        { "os_hash_algo", &hash_algo }, { "os_hash_value", &hash_value }, { "owner", &text_or_null },
        { "size", &integer_or_null }, { "virtual_size", &integer_or_null }, { "container_format", &container_format },
        { "disk_format", &disk_format }, { "created_at", &text }, { "updated_at", &text }, { "tags", &tags },
        { "direct_url", &text }, { "min_ram", &integer }, { "min_disk", &integer }, { "self", &text },
        { "file", &text }, { "stores", &text }, { "schema", &text }, { "locations", &locations }) };

struct fault *image_validate(struct request *rq, const json_t *image)
{
    struct violation violation;
    if (schema_check(rq->cx.arena, &image_schema, image, SCHEMA_BEST, &violation))
        return NULL;
    return FAULT(RQ(rq), 400, NULL, "%s", violation_text_glance(rq->cx.arena, &violation, "image"));
}

static bool one_of(const char *name, const char *const *names)
{
    for (; *names != NULL; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

struct fault *image_check_reserved(struct request *rq, const char *name)
{
    static const char *const reserved[] = { "location", "deleted", "deleted_at", NULL };
    if (one_of(name, reserved) || strncmp(name, "os_glance", 9) == 0)
        return FAULT(RQ(rq), 403, NULL, "Attribute '%s' is reserved.", name);
    return NULL;
}

/* Members of a new image that are the server's to say. */
static struct fault *check_members(struct request *rq)
{
    static const char *const disallowed[] = { "direct_url", "self", "file", "schema", "stores", NULL };
    static const char *const read_only[] = { "created_at", "updated_at", "status", "checksum", "os_hash_algo",
        "os_hash_value", "size", "virtual_size", NULL };
    const char *name;
    json_t *value;
    json_object_foreach(rq->body, name, value)
        if (one_of(name, disallowed))
            return FAULT(RQ(rq), 403, NULL, "Attribute '%s' is read-only.", name);
    TRY(image_validate(rq, rq->body));
    json_object_foreach(rq->body, name, value) {
        if (one_of(name, read_only))
            return FAULT(RQ(rq), 403, NULL, "Attribute '%s' is read-only.", name);
        if (strcmp(name, "locations") == 0)
            return FAULT(RQ(rq), 403, NULL, "Attribute '%s' is reserved.", name);
        if (strlen(name) > 255)
            return FAULT(RQ(rq), 400, NULL, "Custom property should not be greater than 255 characters.");
        TRY(image_check_reserved(rq, name));
    }
    return NULL;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(json_string_value(*(json_t *const *)a), json_string_value(*(json_t *const *)b));
}

/* Each tag once, sorted. */
static json_t *unique_tags(struct arena *arena, const json_t *given)
{
    size_t count = json_array_size(given);
    json_t **items = ARENA_ARRAY(arena, json_t *, count + 1);
    for (size_t i = 0; i < count; i++)
        items[i] = json_array_get(given, i);
    qsort(items, count, sizeof(*items), compare_texts);
    json_t *result = json_keep(arena, json_array());
    for (size_t i = 0; i < count; i++)
        if (i == 0 || compare_texts(&items[i], &items[i - 1]) != 0)
            json_array_append(result, items[i]);
    return result;
}

static json_t *own_properties(struct request *rq)
{
    static const char *const base[] = { "id", "name", "visibility", "protected", "os_hidden", "owner",
        "container_format", "disk_format", "tags", "min_ram", "min_disk", NULL };
    json_t *properties = json_keep(rq->cx.arena, json_object());
    const char *name;
    json_t *value;
    json_object_foreach(rq->body, name, value)
        if (!one_of(name, base))
            json_object_set(properties, name, value);
    return properties;
}

static struct fault *image_from_body(struct request *rq, struct image *ret)
{
    const json_t *body = rq->body;
    const char *id = json_text_at(body, "id"), *shown = json_text_at(body, "visibility");
    const json_t *owner = json_object_get(body, "owner");
    *ret = (struct image){
        .id = id == NULL ? uuid_new(rq->cx.arena) : id,
        .name = json_string_value(json_object_get(body, "name")),
        .disk_format = json_string_value(json_object_get(body, "disk_format")),
        .container_format = json_string_value(json_object_get(body, "container_format")),
        .status = "queued",
        .visibility = shown == NULL ? "shared" : shown,
        .owner = owner == NULL ? rq->cx.caller->project_id : json_string_value(owner),
        .size = -1,
        .virtual_size = -1,
        .min_disk = json_int_at(body, "min_disk", 0),
        .min_ram = json_int_at(body, "min_ram", 0),
        .protected = json_bool_at(body, "protected", false),
        .os_hidden = json_bool_at(body, "os_hidden", false),
        .properties = own_properties(rq),
        .tags = unique_tags(rq->cx.arena, json_object_get(body, "tags")),
    };
    if (ret->min_disk < 0 || ret->min_ram < 0)
        return FAULT(RQ(rq), 400, NULL, "Invalid value '%lld' for parameter '%s': Cannot be a negative value",
            (long long)(ret->min_disk < 0 ? ret->min_disk : ret->min_ram), ret->min_disk < 0 ? "min_disk" : "min_ram");
    if (ret->min_disk > INT32_MAX || ret->min_ram > INT32_MAX)
        return FAULT(RQ(rq), 400, NULL, "%s",
            ret->min_disk > INT32_MAX ? "'min_disk' value out of range, must not be greater than 2147483647."
                                      : "'min_ram' value out of range, must not be greater than 2147483647.");
    if (json_object_size(ret->properties) > 128 || json_array_size(ret->tags) > 128)
        return FAULT(RQ(rq), 413, NULL,
            "The limit has been exceeded on the number of allowed image %s. Attempted: %zu, Maximum: 128",
            json_object_size(ret->properties) > 128 ? "properties" : "tags",
            json_object_size(ret->properties) > 128 ? json_object_size(ret->properties) : json_array_size(ret->tags));
    return NULL;
}

static struct fault *enforce_create(struct request *rq, const struct image *image)
{
    const char *project = rq->cx.caller->project_id;
    const struct policy_target *target = POLICY_TARGET({ "project_id", image->owner }, { "owner", image->owner },
        { "visibility", image->visibility });
    bool own = image->owner != NULL && project != NULL && strcmp(image->owner, project) == 0;
    bool strange = !own && image->owner != NULL && !glance_of(rq)->new_defaults && !glance_caller_is_admin(rq);
    if (strange || !request_allowed(rq, "add_image", target)) {
        if (!own && image->owner != NULL)
            return FAULT(RQ(rq), 403, NULL, "You are not permitted to create images owned by '%s'.", image->owner);
        TRY(request_enforce(rq, "add_image", target));
    }
    if (strcmp(image->visibility, "public") == 0)
        return request_enforce(rq, "publicize_image", target);
    if (strcmp(image->visibility, "community") == 0)
        return request_enforce(rq, "communitize_image", target);
    return NULL;
}

struct change {
    struct request *rq;
    struct image image;
    const char **urls; /* of the deleted image's data */
    size_t url_count;
};

static struct fault *create_run(struct tx *tx, void *argument)
{
    struct change *change = argument;
    struct image *image = &change->image;
    int64_t known;
    TRY(tx_serialize_on(tx, "image", image->id));
    TRY(sql_int_of(tx, &known, 0, "SELECT COUNT(*) FROM images WHERE id = ?", BIND(TEXT(image->id))));
    if (known > 0)
        return FAULT(RQ(change->rq), 409, NULL, "Image ID %s already exists!", image->id);
    image->created_at = image->updated_at = glance_timestamp_now(tx_arena(tx));
    TRY(sql_exec_later(tx,
        "INSERT INTO images (id, name, status, visibility, created_at, updated_at, deleted, min_disk, min_ram,"
        " protected, os_hidden) VALUES (?, ?, 'queued', ?, ?, ?, 0, 0, 0, 0, 0)",
        BIND(TEXT(image->id), TEXT(image->name), TEXT(image->visibility), TEXT(image->created_at),
            TEXT(image->updated_at))));
    TRY(image_save(tx, image));
    image->updated_at = image->created_at;
    TRY(image_save_properties(tx, image));
    return image_save_tags(tx, image);
}

static struct fault *create_image(struct request *rq)
{
    if (!json_is_object(rq->body))
        return rq->body == NULL ? glance_dialect.malformed(rq, "no body") : image_validate(rq, rq->body);
    struct change change = { .rq = rq };
    TRY(check_members(rq));
    TRY(image_from_body(rq, &change.image));
    TRY(enforce_create(rq, &change.image));
    TRY(db_write(rq->cx.arena, rq->cx.app->db, create_run, &change));
    image_notify(rq, "image.create", &change.image);
    image_write(rq, NULL, &change.image);
    response_headerf(rq, "Location", "%s/v2/images/%s", rq->base_url, change.image.id);
    rq->status = 201;
    return NULL;
}

static struct fault *show_image(struct request *rq)
{
    struct tx *tx;
    struct image image;
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(image_load(rq, tx, request_argument(rq, "image_id"), &image));
    TRY(image_enforce(rq, "get_image", &image));
    image_write(rq, NULL, &image);
    return NULL;
}

static struct fault *collect_urls(struct tx *tx, struct change *change)
{
    struct rows *rows;
    int64_t total;
    TRY(sql_int_of(tx, &total, 0, "SELECT COUNT(*) FROM image_locations WHERE image_id = ?",
        BIND(TEXT(change->image.id))));
    change->urls = ARENA_ARRAY(tx_arena(tx), const char *, (size_t)total + 1);
    change->url_count = 0;
    TRY(sql_query(tx, &rows, "SELECT value FROM image_locations WHERE image_id = ? AND deleted = 0",
        BIND(TEXT(change->image.id))));
    while (rows_next(rows) && change->url_count < (size_t)total)
        change->urls[change->url_count++] = arena_strdup(change->rq->cx.arena, rows_text(rows, 0));
    rows_end(rows);
    return rows_fault(rows);
}

static struct fault *delete_run(struct tx *tx, void *argument)
{
    struct change *change = argument;
    struct request *rq = change->rq;
    const char *id = request_argument(rq, "image_id");
    TRY(tx_serialize_on(tx, "image", id));
    struct fault *fault = image_load(rq, tx, id, &change->image);
    if (fault != NULL && fault->status == 404)
        return FAULT(RQ(rq), 404, NULL, "Failed to find image %s to delete", id);
    TRY(fault);
    TRY(image_enforce_mutable(rq, "delete_image", &change->image));
    if (change->image.protected)
        return FAULT(RQ(rq), 403, NULL, "Image %s is protected and cannot be deleted.", id);
    TRY(collect_urls(tx, change));
    static const char *const tables[] = { "DELETE FROM image_properties WHERE image_id = ?",
        "DELETE FROM image_tags WHERE image_id = ?", "DELETE FROM image_members WHERE image_id = ?",
        "DELETE FROM image_locations WHERE image_id = ?", "DELETE FROM images WHERE id = ?" };
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
        TRY(sql_exec_later(tx, tables[i], BIND(TEXT(id))));
    return NULL;
}

static struct fault *delete_image(struct request *rq)
{
    struct change change = { .rq = rq };
    struct glance *glance = glance_of(rq);
    TRY(db_write(rq->cx.arena, rq->cx.app->db, delete_run, &change));
    for (size_t i = 0; i < change.url_count; i++)
        glance->driver->remove(glance->store, change.urls[i]);
    change.image.status = "deleted";
    image_notify(rq, "image.delete", &change.image);
    return glance_answer_empty(rq);
}

static const struct route rows_of_images[] = {
    ROUTE(POST,   "/v2/images",            "add_image",    create_image, HANDLER_POLICY),
    ROUTE(GET,    "/v2/images/{image_id}", "get_image",    show_image,   HANDLER_POLICY),
    ROUTE(DELETE, "/v2/images/{image_id}", "delete_image", delete_image, HANDLER_POLICY),
};
const struct route_table glance_image_routes = ROUTES(rows_of_images);
