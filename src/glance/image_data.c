/* SPDX-License-Identifier: Apache-2.0
 *
 * image_data: PUT and GET /v2/images/{id}/file. API reference: Image data.
 *
 * An upload goes queued -> saving -> active. The bytes pass through one buffer: into the store, into both digests, and
 * their beginning into image_format. Whatever ends it early puts the image back to queued and leaves nothing in the
 * store; after a kill, glance.c's start does that.
 */
#include "base/text.h"
#include "glance/image_format.h"
#include "glance/images.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { CHUNK = 256 * 1024 };

struct upload {
    struct request *rq;
    struct glance *glance;
    const char *id;
    struct image image;
    struct image_writer *writer;
    EVP_MD_CTX *md5, *sha512;
    unsigned char *head;
    size_t head_length;
    int64_t size, virtual_size;
    const char *url, *checksum, *hash;
};

static struct fault *check_formats(const struct upload *upload)
{
    const char *disk = upload->image.disk_format, *container = upload->image.container_format;
    if (disk == NULL && container == NULL)
        return FAULT(RQ(upload->rq), 400, NULL,
            "Properties disk_format, container_format must be set prior to saving data.");
    if (disk == NULL || container == NULL)
        return FAULT(RQ(upload->rq), 400, NULL, "Property %s must be set prior to saving data.",
            disk == NULL ? "disk_format" : "container_format");
    return NULL;
}

static struct fault *begin_run(struct tx *tx, void *argument)
{
    struct upload *upload = argument;
    struct request *rq = upload->rq;
    int64_t changed;
    TRY(image_load(rq, tx, upload->id, &upload->image));
    struct fault *fault = image_enforce_mutable(rq, "upload_image", &upload->image);
    if (fault != NULL && fault->status == 403)
        return FAULT(RQ(rq), 403, NULL, "Not allowed to upload image data for image %s", upload->id);
    TRY(fault);
    if (strcmp(upload->image.status, "queued") == 0)
        TRY(check_formats(upload));
    TRY(sql_exec_changed(tx, "UPDATE images SET status = 'saving', updated_at = ? WHERE id = ? AND status = 'queued'",
        BIND(TEXT(glance_timestamp_now(tx_arena(tx))), TEXT(upload->id)), &changed));
    if (changed == 0)
        return FAULT(RQ(rq), 409, NULL, "Image status transition from %s to saving is not allowed",
            upload->image.status);
    upload->image.status = "saving";
    return NULL;
}

static struct fault *restore_run(struct tx *tx, void *argument)
{
    struct upload *upload = argument;
    return sql_exec_later(tx,
        "UPDATE images SET status = 'queued', size = NULL, virtual_size = NULL, updated_at = ?"
        " WHERE id = ? AND status = 'saving'",
        BIND(TEXT(glance_timestamp_now(tx_arena(tx))), TEXT(upload->id)));
}

static struct fault *finish_run(struct tx *tx, void *argument)
{
    struct upload *upload = argument;
    const char *now = glance_timestamp_now(tx_arena(tx));
    int64_t changed;
    TRY(sql_exec_changed(tx,
        "UPDATE images SET status = 'active', size = ?, virtual_size = ?, checksum = ?, os_hash_algo = 'sha512',"
        " os_hash_value = ?, updated_at = ? WHERE id = ? AND status = 'saving'",
        BIND(INT(upload->size), upload->virtual_size <= 0 ? SQL_NULL : INT(upload->virtual_size),
            TEXT(upload->checksum), TEXT(upload->hash), TEXT(now), TEXT(upload->id)),
        &changed));
    if (changed == 0)
        return FAULT(RQ(upload->rq), 410, NULL,
            "Image %s could not be found after upload. The image may have been deleted during the upload, cleaning up"
            " the chunks uploaded.", upload->id);
    upload->image.status = "active";
    upload->image.size = upload->size;
    upload->image.virtual_size = upload->virtual_size <= 0 ? -1 : upload->virtual_size;
    upload->image.checksum = upload->checksum;
    upload->image.updated_at = now;
    return sql_exec_later(tx,
        "INSERT INTO image_locations (image_id, value, meta_data, status, created_at, updated_at, deleted)"
        " VALUES (?, ?, '{}', 'active', ?, ?, 0)",
        BIND(TEXT(upload->id), TEXT(upload->url), TEXT(now), TEXT(now)));
}

static void free_digest(void *digest)
{
    EVP_MD_CTX_free(digest);
}

static EVP_MD_CTX *digest_begin(struct arena *arena, const EVP_MD *kind)
{
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    if (digest == NULL || EVP_DigestInit_ex(digest, kind, NULL) != 1)
        abort();
    arena_defer(arena, free_digest, digest);
    return digest;
}

static const char *digest_text(struct arena *arena, EVP_MD_CTX *digest)
{
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    EVP_DigestFinal_ex(digest, raw, &length);
    return text_hex(arena, raw, length);
}

static struct fault *take(struct upload *upload, const unsigned char *data, size_t size)
{
    if (upload->head_length < IMAGE_FORMAT_HEAD) {
        size_t part = IMAGE_FORMAT_HEAD - upload->head_length < size ? IMAGE_FORMAT_HEAD - upload->head_length : size;
        memcpy(upload->head + upload->head_length, data, part);
        upload->head_length += part;
    }
    upload->size += (int64_t)size;
    if (upload->size > upload->glance->size_cap)
        return FAULT(RQ(upload->rq), 413, NULL,
            "The incoming image is too large: The provided image is too large.");
    EVP_DigestUpdate(upload->md5, data, size);
    EVP_DigestUpdate(upload->sha512, data, size);
    return upload->glance->driver->write(upload->rq->cx.arena, upload->writer, data, size);
}

/* What the bytes themselves say: an image that reaches for other files of a host does not come in, whatever it is
 * called (CVE-2024-32498). */
static struct fault *inspect(struct upload *upload)
{
    struct image_format format;
    const char *disk = upload->image.disk_format;
    image_format_inspect(upload->head, upload->head_length, &format);
    if (format.danger != NULL)
        return FAULT(RQ(upload->rq), 400, NULL, "Image data for %s is not acceptable: %s.", upload->id, format.danger);
    if (strcmp(upload->image.container_format, "bare") != 0)
        return NULL;
    if (strcmp(disk, "raw") == 0)
        upload->virtual_size = upload->size;
    else if (strcmp(disk, "qcow2") == 0 && format.name != NULL && strcmp(format.name, "qcow2") == 0)
        upload->virtual_size = format.virtual_size;
    return NULL;
}

/* Reads the body to its end. */
static struct fault *receive(struct upload *upload)
{
    struct arena *arena = upload->rq->cx.arena;
    unsigned char *buffer = arena_alloc(arena, CHUNK);
    upload->head = arena_alloc(arena, IMAGE_FORMAT_HEAD);
    upload->md5 = digest_begin(arena, EVP_md5());
    upload->sha512 = digest_begin(arena, EVP_sha512());
    for (;;) {
        ssize_t n = request_read(upload->rq, buffer, CHUNK);
        if (n < 0)
            return FAULT(RQ(upload->rq), 400, NULL, "The upload of image %s was cut off.", upload->id);
        if (n == 0)
            break;
        TRY(take(upload, buffer, (size_t)n));
    }
    const char *expected = request_header(upload->rq, "Content-Length");
    if (expected != NULL && strtoll(expected, NULL, 10) != upload->size)
        return FAULT(RQ(upload->rq), 400, NULL, "The upload of image %s was cut off.", upload->id);
    TRY(inspect(upload));
    upload->checksum = digest_text(arena, upload->md5);
    upload->hash = digest_text(arena, upload->sha512);
    return upload->glance->driver->keep(arena, upload->writer, &upload->url);
}

static struct fault *store_data(struct upload *upload)
{
    struct request *rq = upload->rq;
    struct glance *glance = upload->glance;
    TRY(glance->driver->begin(rq->cx.arena, glance->store, upload->id, &upload->writer));
    struct fault *fault = receive(upload);
    if (fault == NULL)
        fault = db_write(rq->cx.arena, rq->cx.app->db, finish_run, upload);
    if (fault != NULL && upload->url != NULL)
        glance->driver->remove(glance->store, upload->url);
    glance->driver->end(upload->writer);
    return fault;
}

static struct fault *upload_data(struct request *rq)
{
    const char *type = request_header(rq, "Content-Type");
    struct upload upload = { .rq = rq, .glance = glance_of(rq), .id = request_argument(rq, "image_id") };
    if (type == NULL || strncasecmp(type, "application/octet-stream", 24) != 0)
        return FAULT(RQ(rq), 415, NULL, "Invalid content type %s", type == NULL ? "None" : type);
    TRY(db_write(rq->cx.arena, rq->cx.app->db, begin_run, &upload));
    image_notify(rq, "image.update", &upload.image);
    image_notify_data(rq, "image.prepare", &upload.image);
    struct fault *fault = store_data(&upload);
    if (fault != NULL) {
        image_notify_failed(rq, "image.upload", upload.id, fault);
        struct fault *second = db_write(rq->cx.arena, rq->cx.app->db, restore_run, &upload);
        return second == NULL ? fault : fault_because(fault, second);
    }
    image_notify_data(rq, "image.upload", &upload.image);
    image_notify(rq, "image.activate", &upload.image);
    image_notify(rq, "image.update", &upload.image);
    return glance_answer_empty(rq);
}

static void close_file(void *argument)
{
    close((int)(intptr_t)argument);
}

/* One range of bytes ("bytes=a-b", "a-", "-n"), as much of it as there is. False: none was asked for. */
static struct fault *parse_range(struct request *rq, off_t size, off_t *ret_from, off_t *ret_length, bool *ret_given)
{
    const char *range = request_header(rq, "Range");
    *ret_given = range != NULL && strncasecmp(range, "bytes=", 6) == 0;
    *ret_from = 0;
    *ret_length = size;
    if (!*ret_given)
        return NULL;
    const char *text = range + 6;
    char *end;
    long long from, to = size - 1;
    if (*text == '-') {
        from = strtoll(text + 1, &end, 10);
        from = from >= size ? 0 : size - from;
    } else {
        from = strtoll(text, &end, 10);
        if (*end != '-')
            end = (char *)"?";
        else if (*++end != '\0')
            to = strtoll(end, &end, 10);
    }
    if (*end != '\0' || from < 0 || from >= size || to < from)
        return FAULT(RQ(rq), 416, NULL, "The range %s cannot be given.", range);
    if (to >= size)
        to = size - 1;
    *ret_from = (off_t)from;
    *ret_length = (off_t)(to - from + 1);
    return NULL;
}

static struct fault *serve(struct request *rq, const struct image *image, const char *url)
{
    struct glance *glance = glance_of(rq);
    off_t size, from, length;
    bool ranged;
    int fd;
    struct fault *fault = glance->driver->open(rq->cx.arena, glance->store, url, &fd, &size);
    if (fault != NULL && fault->status == 404)
        return glance_answer_empty(rq); /* as the reference: 204 when the store has lost it */
    TRY(fault);
    fault = parse_range(rq, size, &from, &length, &ranged);
    if (fault != NULL) {
        close_file((void *)(intptr_t)fd);
        return fault;
    }
    rq->file = (struct response_file){ .fd = fd, .offset = from, .length = length };
    rq->content_type = "application/octet-stream";
    if (ranged) {
        rq->status = 206;
        response_headerf(rq, "Content-Range", "bytes %lld-%lld/%lld", (long long)from,
            (long long)(from + length - 1), (long long)size);
    }
    if (image->checksum != NULL)
        response_header(rq, "Content-MD5", image->checksum);
    return NULL;
}

static struct fault *download_data(struct request *rq)
{
    struct tx *tx;
    struct image image;
    const char *url;
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(image_load(rq, tx, request_argument(rq, "image_id"), &image));
    if (strcmp(image.status, "deactivated") == 0 && !glance_caller_is_admin(rq))
        return FAULT(RQ(rq), 403, NULL,
            "The requested image has been deactivated. Image data download is forbidden.");
    TRY(image_enforce(rq, "download_image", &image));
    TRY(sql_text_of(tx, &url, "SELECT value FROM image_locations WHERE image_id = ? AND deleted = 0 ORDER BY id",
        BIND(TEXT(image.id))));
    url = arena_strdup(rq->cx.arena, url);
    tx_end(tx);
    if (url == NULL)
        return glance_answer_empty(rq);
    return serve(rq, &image, url);
}

static const struct route rows[] = {
    ROUTE(PUT, "/v2/images/{image_id}/file", "upload_image",   upload_data,   HANDLER_POLICY, .flags = STREAM),
    ROUTE(GET, "/v2/images/{image_id}/file", "download_image", download_data, HANDLER_POLICY),
};
const struct route_table glance_image_data_routes = ROUTES(rows);
