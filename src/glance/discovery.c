/* SPDX-License-Identifier: Apache-2.0
 *
 * discovery: what the service tells about itself: versions, schemas, stores, import methods.
 */
#include "glance/images.h"

struct property {
    const char *name;
    const char *type; /* JSON */
    const char *description;
    const char *more; /* further members, JSON with a leading comma, or "" */
    bool read_only;
};

#define ID_PATTERN "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$"
static const struct property image_properties[] = {
    { "id", "\"string\"", "An identifier for the image", ", \"pattern\": \"" ID_PATTERN "\"", false },
    { "name", "[\"null\", \"string\"]", "Descriptive name for the image", ", \"maxLength\": 255", false },
    { "status", "\"string\"", "Status of the image",
        ", \"enum\": [\"queued\", \"saving\", \"active\", \"killed\", \"deleted\", \"uploading\", \"importing\","
        " \"pending_delete\", \"deactivated\"]", true },
    { "visibility", "\"string\"", "Scope of image accessibility",
        ", \"enum\": [\"community\", \"public\", \"private\", \"shared\"]", false },
    { "protected", "\"boolean\"", "If true, image will not be deletable.", "", false },
    { "os_hidden", "\"boolean\"", "If true, image will not appear in default image list response.", "", false },
    { "checksum", "[\"null\", \"string\"]", "md5 hash of image contents.", ", \"maxLength\": 32", true },
    { "os_hash_algo", "[\"null\", \"string\"]", "Algorithm to calculate the os_hash_value", ", \"maxLength\": 64",
        true },
    { "os_hash_value", "[\"null\", \"string\"]",
        "Hexdigest of the image contents using the algorithm specified by the os_hash_algo", ", \"maxLength\": 128",
        true },
    { "owner", "[\"null\", \"string\"]", "Owner of the image", ", \"maxLength\": 255", false },
    { "size", "[\"null\", \"integer\"]", "Size of image file in bytes", "", true },
    { "virtual_size", "[\"null\", \"integer\"]", "Virtual size of image in bytes", "", true },
    { "container_format", "[\"null\", \"string\"]", "Format of the container",
        ", \"enum\": [null, \"ami\", \"ari\", \"aki\", \"bare\", \"ovf\", \"ova\", \"docker\","
        " \"compressed\"]", false },
    { "disk_format", "[\"null\", \"string\"]", "Format of the disk",
        ", \"enum\": [null, \"ami\", \"ari\", \"aki\", \"vhd\", \"vhdx\", \"vmdk\", \"raw\", \"qcow2\", \"vdi\","
        " \"iso\", \"ploop\"]", false },
    { "created_at", "\"string\"", "Date and time of image registration", "", true },
    { "updated_at", "\"string\"", "Date and time of the last image modification", "", true },
    { "tags", "\"array\"", "List of strings related to the image",
        ", \"items\": {\"type\": \"string\", \"maxLength\": 255}", false },
    { "direct_url", "\"string\"", "URL to access the image file kept in external store", "", true },
    { "min_ram", "\"integer\"", "Amount of ram (in MB) required to boot image.", "", false },
    { "min_disk", "\"integer\"", "Amount of disk space (in GB) required to boot image.", "", false },
    { "self", "\"string\"", "An image self url", "", true },
    { "file", "\"string\"", "An image file url", "", true },
    { "stores", "\"string\"", "Store in which image data resides.  Only present when the operator has enabled multiple"
        " stores.  May be a comma-separated list of store identifiers.", "", true },
    { "schema", "\"string\"", "An image schema url", "", true },
    { NULL },
};
static const struct property member_properties[] = {
    { "member_id", "\"string\"", "An identifier for the image member (tenantId)", "", false },
    { "image_id", "\"string\"", "An identifier for the image", ", \"pattern\": \"" ID_PATTERN "\"", false },
    { "created_at", "\"string\"", "Date and time of image member creation", "", false },
    { "updated_at", "\"string\"", "Date and time of last modification of image member", "", false },
    { "status", "\"string\"", "The status of this image member",
        ", \"enum\": [\"pending\", \"accepted\", \"rejected\"]", false },
    { "schema", "\"string\"", NULL, "", true },
    { NULL },
};

static void write_properties(struct json_writer *w, struct arena *arena, const struct property *rows)
{
    json_begin(w, "properties");
    for (; rows->name != NULL; rows++) {
        struct buf text BUF_CLEANUP = { 0 };
        buf_printf(&text, "{\"type\": %s", rows->type);
        if (rows->description != NULL)
            buf_printf(&text, ", \"description\": \"%s\"", rows->description);
        buf_printf(&text, "%s%s}", rows->more, rows->read_only ? ", \"readOnly\": true" : "");
        json_raw(w, rows->name, arena_strdup(arena, buf_text(&text)));
    }
    json_end(w);
}

static void write_link(struct json_writer *w, const char *relation, const char *href)
{
    json_begin(w, NULL);
    json_text(w, "rel", relation);
    json_text(w, "href", href);
    json_end(w);
}

static void write_schema(struct request *rq, const char *member, bool image)
{
    struct json_writer *w = &rq->json;
    json_begin(w, member);
    json_text(w, "name", image ? "image" : "member");
    write_properties(w, rq->cx.arena, image ? image_properties : member_properties);
    if (image) {
        json_begin(w, "additionalProperties");
        json_text(w, "type", "string");
        json_end(w);
        json_begin_array(w, "links");
        write_link(w, "self", "{self}");
        write_link(w, "enclosure", "{file}");
        write_link(w, "describedby", "{schema}");
        json_end_array(w);
    }
    json_end(w);
}

static void write_collection(struct request *rq, const char *name, bool image)
{
    static const char *const texts[] = { "first", "next", "schema" };
    struct json_writer *w = &rq->json;
    json_begin(w, NULL);
    json_text(w, "name", name);
    json_begin(w, "properties");
    json_begin(w, name);
    json_text(w, "type", "array");
    write_schema(rq, "items", image);
    json_end(w);
    for (size_t i = image ? 0 : 2; i < 3; i++)
        json_raw(w, texts[i], "{\"type\": \"string\"}");
    json_end(w);
    json_begin_array(w, "links");
    if (image) {
        write_link(w, "first", "{first}");
        write_link(w, "next", "{next}");
    }
    write_link(w, "describedby", "{schema}");
    json_end_array(w);
    json_end(w);
}

static struct fault *schema_image(struct request *rq)
{
    write_schema(rq, NULL, true);
    return NULL;
}

static struct fault *schema_images(struct request *rq)
{
    write_collection(rq, "images", true);
    return NULL;
}

static struct fault *schema_member(struct request *rq)
{
    write_schema(rq, NULL, false);
    return NULL;
}

static struct fault *schema_members(struct request *rq)
{
    write_collection(rq, "members", false);
    return NULL;
}

static struct fault *write_versions(struct request *rq, int status)
{
    static const char *const versions[] = { "2.15", "2.9", "2.7", "2.6", "2.5", "2.4", "2.3", "2.2", "2.1", "2.0" };
    struct json_writer *w = &rq->json;
    json_begin(w, NULL);
    json_begin_array(w, "versions");
    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
        json_begin(w, NULL);
        json_textf(w, "id", "v%s", versions[i]);
        json_text(w, "status", i == 0 ? "CURRENT" : "SUPPORTED");
        json_begin_array(w, "links");
        write_link(w, "self", arena_printf(rq->cx.arena, "%s/v2/", rq->base_url));
        json_end_array(w);
        json_end(w);
    }
    json_end_array(w);
    json_end(w);
    rq->status = status;
    return NULL;
}

static struct fault *root(struct request *rq)
{
    return write_versions(rq, 300);
}

static struct fault *versions(struct request *rq)
{
    return write_versions(rq, 200);
}

/* No import method is offered: bytes come by PUT /file. */
static struct fault *info_import(struct request *rq)
{
    struct json_writer *w = &rq->json;
    json_begin(w, NULL);
    json_begin(w, "import-methods");
    json_text(w, "description", "Import methods available.");
    json_text(w, "type", "array");
    json_begin_array(w, "value");
    json_end_array(w);
    json_end(w);
    json_end(w);
    return NULL;
}

static struct fault *info_stores(struct request *rq)
{
    return FAULT(RQ(rq), 404, NULL, "Multi backend is not supported at this site.");
}

/* Any token does: the reference asks no policy here. */
#define ANYBODY "default"
static const struct route rows[] = {
    ROUTE(GET, "/",                   NULL,    root,           .flags = NO_TOKEN),
    ROUTE(GET, "/versions",           NULL,    versions,       .flags = NO_TOKEN),
    ROUTE(GET, "/v2",                 NULL,    root,           .flags = NO_TOKEN),
    ROUTE(GET, "/v2/schemas/image",   ANYBODY, schema_image),
    ROUTE(GET, "/v2/schemas/images",  ANYBODY, schema_images),
    ROUTE(GET, "/v2/schemas/member",  ANYBODY, schema_member),
    ROUTE(GET, "/v2/schemas/members", ANYBODY, schema_members),
    ROUTE(GET, "/v2/info/import",     ANYBODY, info_import),
    ROUTE(GET, "/v2/info/stores",     ANYBODY, info_stores),
};
const struct route_table glance_discovery_routes = ROUTES(rows);
