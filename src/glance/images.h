/* SPDX-License-Identifier: Apache-2.0
 *
 * images: an image as the database has it, and what every handler of glance does with it.
 */
#ifndef GLANCE_IMAGES_H
#define GLANCE_IMAGES_H

#include "glance/store/store.h"
#include "oslo/app.h"
#include "oslo/http.h"
#include "oslo/schema.h"
#include "oslo/sql.h"

struct image { /* texts may be NULL: null */
    const char *id, *name, *disk_format, *container_format, *status, *visibility;
    const char *checksum, *os_hash_algo, *os_hash_value, *owner;
    int64_t size, virtual_size; /* -1: null */
    int64_t min_disk, min_ram;
    bool protected, os_hidden;
    const char *created_at, *updated_at; /* as stored */
    json_t *properties; /* name: text */
    json_t *tags;       /* sorted texts */
    const char *member; /* the caller's project, when the image is shared with it; else NULL */
};

/* What the service keeps in memory: app->private. */
struct glance {
    const struct image_store_driver *driver;
    struct image_store *store;
    int64_t size_cap;
    int64_t list_default, list_max;
    bool new_defaults; /* [oslo_policy] enforce_new_defaults or enforce_scope */
};
struct glance *glance_of(const struct request *rq);

extern const struct dialect glance_dialect;

/* The image, when the caller may see it: 404 "No image found with ID X" for one that does not exist, and for one of
 * others. */
struct fault *image_load(struct request *rq, struct tx *tx, const char *id, struct image *ret);

/* Reads the columns of a row selected with IMAGE_COLUMNS; properties and tags are empty. */
#define IMAGE_COLUMNS                                                                                                  \
    "i.id, i.name, i.disk_format, i.container_format, i.status, i.visibility, i.checksum, i.os_hash_algo,"             \
    " i.os_hash_value, i.owner, i.size, i.virtual_size, i.min_disk, i.min_ram, i.protected, i.os_hidden,"              \
    " i.created_at, i.updated_at"
void image_read(struct rows *rows, struct arena *arena, struct image *ret);

/* Fills properties and tags of a page of images: two queries, whatever their number. */
struct fault *images_load_details(struct tx *tx, struct image *images, size_t count);

/* Writes all columns but the status, the properties and the tags of an image that exists. */
struct fault *image_save(struct tx *tx, struct image *image);
struct fault *image_save_properties(struct tx *tx, const struct image *image);
struct fault *image_save_tags(struct tx *tx, const struct image *image);

/* Enforces a rule on the image; 404 for one that the caller may not see, else 403. */
struct fault *image_enforce(struct request *rq, const char *rule, const struct image *image);
/* The same for a rule that changes it, and the reference's own check: 403 "You do not own this image". */
struct fault *image_enforce_mutable(struct request *rq, const char *rule, const struct image *image);
bool glance_caller_is_admin(struct request *rq);

/* The image as the API shows it: as the member `name`, or as an element (NULL). */
void image_write(struct request *rq, const char *name, const struct image *image);

/* ---- image_notify.c: after the commit; nothing is made when nobody listens ---- */

struct image_member {
    const char *member_id, *status, *created_at, *updated_at; /* times as stored */
};
/* "image.create", ...; the payload of image.delete says when. */
void image_notify(struct request *rq, const char *event, const struct image *image);
/* image.prepare and image.upload, which also tell of imports. */
void image_notify_data(struct request *rq, const char *event, const struct image *image);
/* The same as an error, with a sentence for its payload. */
void image_notify_failed(struct request *rq, const char *event, const char *id, const struct fault *fault);
/* "image.member.create", ... */
void image_member_notify(struct request *rq, const char *event, const char *image_id, const struct image_member *member);

/* 204 and no body. */
struct fault *glance_answer_empty(struct request *rq);

/* "2026-11-22T20:00:00Z" of a stored time. */
const char *glance_iso_time(struct arena *arena, const char *stored);
const char *glance_timestamp_now(struct arena *arena);

/* What a body, or a part of one in a PATCH, must look like. 400 in glance's words. */
struct fault *image_validate(struct request *rq, const json_t *image);
extern const char *const image_disk_formats[], *const image_container_formats[];

/* Members that a client cannot set: 403 "Attribute 'X' is read-only." or "... is reserved.". */
struct fault *image_check_reserved(struct request *rq, const char *name);

extern const struct route_table glance_image_routes, glance_image_list_routes, glance_image_patch_routes,
    glance_image_data_routes, glance_image_member_routes, glance_image_tag_routes, glance_discovery_routes;

/* ---- options.c ---- */

extern const struct option_table glance_options;

#endif
