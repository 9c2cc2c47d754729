/* SPDX-License-Identifier: Apache-2.0
 *
 * image_notify: what happened to images and their members, told to whoever listens. Event types and members: the
 * reference's glance/notifier.py.
 */
#include "base/clock.h"
#include "glance/images.h"
#include "oslo/notification.h"
#include "oslo/options.h"

#include <string.h>

/* Not switched off by [DEFAULT] disabled_notifications: the event itself, or what stands before its first dot. */
static bool wanted(struct request *rq, const char *event)
{
    if (!notify_wanted(RQ(rq)))
        return false;
    const char *const *off = config_list(rq->cx.app->config, "DEFAULT", "disabled_notifications", NULL);
    for (; *off != NULL; off++)
        if (strcmp(*off, event) == 0 || (strlen(*off) == strcspn(event, ".") && strncmp(*off, event, strlen(*off)) == 0))
            return false;
    return true;
}

static void send(struct request *rq, const char *event, enum notify_priority priority, const json_t *payload)
{
    notify_anonymous(RQ(rq), config_str(rq->cx.app->config, "DEFAULT", "default_publisher_id"), event, priority, payload);
}

static json_t *number(int64_t value)
{
    return value < 0 ? json_null() : json_integer(value);
}

static void say_deleted(struct request *rq, const char *event, json_t *payload)
{
    size_t length = strlen(event);
    bool deleted = length > 7 && strcmp(event + length - 7, ".delete") == 0;
    json_object_set_new(payload, "deleted", json_boolean(deleted));
    json_object_set_new(payload, "deleted_at",
        deleted ? json_string(clock_text(rq->cx.arena, clock_now_us(), CLOCK_ISO)) : json_null());
}

static json_t *image_payload(struct request *rq, const char *event, const struct image *image)
{
    struct arena *arena = rq->cx.arena;
    json_t *payload = json_keep(arena, json_pack("{s:s, s:s?, s:s, s:s, s:s, s:I, s:I, s:b, s:s?, s:s?, s:s?, s:s?}",
        "id", image->id, "name", image->name, "status", image->status,
        "created_at", glance_iso_time(arena, image->created_at), "updated_at", glance_iso_time(arena, image->updated_at),
        "min_disk", (json_int_t)image->min_disk, "min_ram", (json_int_t)image->min_ram, "protected", (int)image->protected,
        "checksum", image->checksum, "owner", image->owner, "disk_format", image->disk_format,
        "container_format", image->container_format));
    json_object_set_new(payload, "size", number(image->size));
    json_object_set_new(payload, "virtual_size", number(image->virtual_size));
    json_object_set_new(payload, "is_public", json_boolean(strcmp(image->visibility, "public") == 0));
    json_object_set_new(payload, "visibility", json_string(image->visibility));
    json_object_set(payload, "properties", image->properties);
    json_object_set(payload, "tags", image->tags);
    say_deleted(rq, event, payload);
    return payload;
}

void image_notify(struct request *rq, const char *event, const struct image *image)
{
    if (wanted(rq, event))
        send(rq, event, NOTIFY_INFO, image_payload(rq, event, image));
}

void image_notify_data(struct request *rq, const char *event, const struct image *image)
{
    if (!wanted(rq, event))
        return;
    json_t *payload = image_payload(rq, event, image);
    json_object_set_new(payload, "os_glance_importing_to_stores", json_array()); /* images are uploaded, not imported */
    json_object_set_new(payload, "os_glance_failed_import", json_array());
    send(rq, event, NOTIFY_INFO, payload);
}

void image_notify_failed(struct request *rq, const char *event, const char *id, const struct fault *fault)
{
    if (!wanted(rq, event))
        return;
    bool said = fault->status == 410 || fault->status == 503 || strncmp(fault->message, "Image storage", 13) == 0;
    const char *text = said ? fault->message : arena_printf(rq->cx.arena, "Failed to upload image data for image %s due to %s "
        "error: %s", id, fault->status < 500 ? "HTTP" : "internal", fault->message);
    send(rq, event, NOTIFY_ERROR, json_keep(rq->cx.arena, json_string(text)));
}

void image_member_notify(struct request *rq, const char *event, const char *image_id, const struct image_member *member)
{
    struct arena *arena = rq->cx.arena;
    if (!wanted(rq, event))
        return;
    json_t *payload = json_keep(arena, json_pack("{s:s, s:s, s:s, s:s, s:s}", "image_id", image_id, "member_id",
        member->member_id, "status", member->status, "created_at", glance_iso_time(arena, member->created_at),
        "updated_at", glance_iso_time(arena, member->updated_at)));
    say_deleted(rq, event, payload);
    send(rq, event, NOTIFY_INFO, payload);
}
