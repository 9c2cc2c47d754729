/* SPDX-License-Identifier: Apache-2.0
 *
 * image: from glance into this host's image cache, and out of it again.
 */
#include "base/clock.h"
#include "base/log.h"
#include "nova/compute/compute.h"
#include "nova/virt/image_cache.h"
#include "oslo/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { COPY_TIMEOUT_MS = 30 * 60 * 1000, TELL_MS = 1000 };

static struct fault *ask(struct context *cx, const char *path, int timeout_ms, struct rest_response *ret)
{
    return rest_call(cx, &(struct rest){ .service = "image", .method = GET, .path = path, .as = caller_or_service(cx),
        .timeout_ms = timeout_ms }, ret);
}

static struct fault *failed(struct context *cx, const char *what, const char *path)
{
    return FAULT(cx, 500, NULL, "The image file %s cannot be %s: %s", path, what, strerror(errno));
}

struct download {
    struct context *cx;
    const struct compute_host *host;
    const char *instance_uuid; /* NULL: no instance waits for it */
    int64_t told_us;
};

/* Whoever waits sees it in the trace, and as the details of the build's event. A message that does not arrive is no harm. */
static void tell_progress(void *owner, off_t done, off_t total)
{
    struct download *d = owner;
    int64_t now = clock_monotonic_us();
    if (d->instance_uuid == NULL || total <= 0 || now - d->told_us < (int64_t)TELL_MS * 1000)
        return;
    d->told_us = now;
    int percent = (int)(done * 100 / total);
    trace_progress(d->cx, "%d%%", percent);
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct context cx = context_child(d->cx, arena);
    struct fault *fault = instance_tell(&cx, d->host, d->instance_uuid, &(struct instance_note){ .event_progress = EVENT_BUILD,
        .progress = arena_printf(arena, "downloading image: %d%% of %lld MB", percent, (long long)(total >> 20)) });
    if (fault != NULL)
        log_debug(COMPUTE_SERVICE, "instance %s: progress: %s", d->instance_uuid, fault_text(arena, fault));
}

/* The descriptor's own file system may fill up: what came is then removed, and the fault says so. */
static struct fault *download(struct download *d, const char *id, const char *part)
{
    struct context *cx = d->cx;
    struct rest_response answer;
    int to = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (to < 0)
        return failed(cx, "made", part);
    const struct http_sink sink = { .fd = to, .progress = tell_progress, .owner = d };
    d->told_us = clock_monotonic_us();
    struct fault *fault = rest_call(cx, &(struct rest){ .service = "image", .method = GET, .as = caller_or_service(cx),
        .path = arena_printf(cx->arena, "/v2/images/%s/file", rest_escape(cx->arena, id)), .timeout_ms = COPY_TIMEOUT_MS,
        .sink = &sink }, &answer);
    if (fault != NULL && fault->code == HTTP_CLIENT_LOCAL)
        fault = FAULT(cx, 500, NULL, "The image file %s cannot be written: %s", part, fault->message);
    if (close(to) != 0 && fault == NULL)
        fault = failed(cx, "written", part);
    if (fault != NULL)
        unlink(part);
    return fault;
}

/* *ret_fetched (may be NULL): it was not there yet. */
static struct fault *ensure_one(struct context *cx, const struct compute_host *host, const char *instance_uuid, const char *id,
    const char *disk_format, bool *ret_fetched)
{
    const char *state_dir = host->compute->app->state_path, *part;
    struct image_cache_entry entry;
    bool present = image_cache_find(cx->arena, state_dir, id, disk_format, &entry);
    if (ret_fetched != NULL)
        *ret_fetched = !present;
    if (present) {
        trace_note(cx, COMPUTE_SERVICE, "image %s is in the cache", id);
        return NULL;
    }
    TRY(image_cache_part(cx->arena, state_dir, id, &part));
    struct span *span = trace_begin(cx, COMPUTE_SERVICE, host->name, "download image %s", id);
    struct download d = { .cx = cx, .host = host, .instance_uuid = instance_uuid };
    TRY(trace_end(cx, span, download(&d, id, part)));
    return image_cache_add(cx->arena, state_dir, id, disk_format, part, &entry);
}

static const char *format_of(struct context *cx, const struct instance *instance)
{
    const char *format = json_text_at(json_parse_own(cx->arena, instance->request_spec), "image.disk_format");
    return format != NULL ? format : "raw";
}

static struct fault *image_format(struct context *cx, const char *id, const char **ret)
{
    struct rest_response answer;
    TRY(ask(cx, arena_printf(cx->arena, "/v2/images/%s", rest_escape(cx->arena, id)), 0, &answer));
    const char *status = json_text_at(answer.body, "status"), *format = json_text_at(answer.body, "disk_format");
    if (status == NULL || strcmp(status, "active") != 0)
        return FAULT(cx, 400, "ImageNotActive", "Image %s is not active.", id);
    *ret = format != NULL ? format : "raw";
    return NULL;
}

struct fault *image_ensure(struct context *cx, const struct compute_host *host, const struct instance *instance)
{
    const char *format;
    if (instance->image_ref == NULL || instance->image_ref[0] == '\0')
        return NULL;
    TRY(image_format(cx, instance->image_ref, &format));
    if (host->compute->fake)
        return NULL;
    TRY(ensure_one(cx, host, instance->uuid, instance->image_ref, format, NULL));
    if (instance->kernel_id != NULL && instance->kernel_id[0] != '\0')
        TRY(ensure_one(cx, host, instance->uuid, instance->kernel_id, "aki", NULL));
    if (instance->ramdisk_id != NULL && instance->ramdisk_id[0] != '\0')
        TRY(ensure_one(cx, host, instance->uuid, instance->ramdisk_id, "ari", NULL));
    return NULL;
}

void image_paths(struct context *cx, const struct compute_host *host, const struct instance *instance,
    struct virt_spawn *spawn)
{
    const char *state_dir = host->compute->app->state_path;
    struct image_cache_entry entry;
    if (host->compute->fake || instance->image_ref == NULL || instance->image_ref[0] == '\0')
        return;
    spawn->image_id = instance->image_ref;
    if (image_cache_find(cx->arena, state_dir, instance->image_ref, format_of(cx, instance), &entry)) {
        spawn->image_path = entry.path;
        spawn->image_format = entry.header.name;
    }
    if (instance->kernel_id != NULL && image_cache_find(cx->arena, state_dir, instance->kernel_id, "aki", &entry))
        spawn->kernel_path = entry.path;
    if (instance->ramdisk_id != NULL && image_cache_find(cx->arena, state_dir, instance->ramdisk_id, "ari", &entry))
        spawn->ramdisk_path = entry.path;
}

static bool is_named(const char *id)
{
    return id != NULL && id[0] != '\0';
}

struct fault *manage_image_cache(struct context *cx, void *owner)
{
    struct compute *compute = owner;
    size_t known = 0, count, removed = 0;
    const char **ids = NULL;
    for (size_t i = 0; i < compute->host_count; i++) {
        struct instance *instances;
        TRY(instances_fetch(cx, &compute->hosts[i], &instances, &count));
        const char **more = ARENA_ARRAY(cx->arena, const char *, known + 3 * count + 1);
        if (known > 0)
            memcpy(more, ids, known * sizeof(*ids));
        ids = more;
        for (size_t j = 0; j < count; j++) {
            const char *const own[] = { instances[j].image_ref, instances[j].kernel_id, instances[j].ramdisk_id };
            for (size_t k = 0; k < sizeof(own) / sizeof(own[0]); k++)
                if (is_named(own[k]))
                    ids[known++] = own[k];
        }
    }
    const struct image_cache_rules rules = {
        .image_ids = ids,
        .count = known,
        .remove_unused = config_bool(cx->app->config, "image_cache", "remove_unused_base_images"),
        .age_s = config_int(cx->app->config, "image_cache", "remove_unused_original_minimum_age_seconds"),
    };
    TRY(image_cache_sweep(cx->arena, compute->app->state_path, &rules, &removed));
    if (removed > 0)
        trace_note(cx, COMPUTE_SERVICE, "%zu files of the image cache were removed", removed);
    return NULL;
}

/* Simulated hosts have no files: they only ask glance, and what is there counts as fetched. */
struct fault *cache_images_here(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result)
{
    const struct compute_host *host = owner;
    const json_t *ids = json_object_get(arguments, "image_ids");
    *ret_result = json_object();
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const char *id = json_string_value(json_array_get(ids, i)), *format;
        bool fetched = true;
        if (id == NULL)
            continue;
        struct fault *fault = image_format(cx, id, &format);
        if (fault == NULL && !host->compute->fake)
            fault = ensure_one(cx, host, NULL, id, format, &fetched);
        if (fault != NULL)
            log_error(COMPUTE_SERVICE, "Failed to cache image %s: %s", id, fault_text(cx->arena, fault));
        json_object_set_new(*ret_result, id, json_string(fault != NULL ? "error" : fetched ? "cached" : "existing"));
    }
    return NULL;
}
