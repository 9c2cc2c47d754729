/* SPDX-License-Identifier: Apache-2.0
 *
 * image: from glance into this host's image cache.
 */
#include "base/log.h"
#include "nova/compute/compute.h"
#include "nova/virt/image_cache.h"
#include "oslo/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sendfile.h>
#include <unistd.h>

enum { COPY_CHUNK = 64 << 20, COPY_TIMEOUT_MS = 30 * 60 * 1000 };

static struct fault *ask(struct context *cx, const char *path, int timeout_ms, struct rest_response *ret)
{
    return rest_call(cx, &(struct rest){ .service = "image", .method = GET, .path = path, .as = caller_or_service(cx),
        .timeout_ms = timeout_ms }, ret);
}

static struct fault *failed(struct context *cx, const char *what, const char *path)
{
    return FAULT(cx, 500, NULL, "The image file %s cannot be %s: %s", path, what, strerror(errno));
}

static struct fault *copy_file(struct context *cx, const struct rest_response *answer, int to, const char *path)
{
    off_t left = answer->length;
    while (left > 0) {
        ssize_t n = sendfile(to, answer->fd, NULL, left < COPY_CHUNK ? (size_t)left : COPY_CHUNK);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return failed(cx, "written", path);
        left -= n;
    }
    return NULL;
}

static struct fault *copy_text(struct context *cx, const struct rest_response *answer, int to, const char *path)
{
    size_t done = 0;
    while (done < answer->data_length) {
        ssize_t n = write(to, answer->data + done, answer->data_length - done);
        if (n < 0 && errno != EINTR)
            return failed(cx, "written", path);
        done += n > 0 ? (size_t)n : 0;
    }
    return NULL;
}

static struct fault *download(struct context *cx, const char *id, const char *part)
{
    struct rest_response answer;
    TRY(ask(cx, arena_printf(cx->arena, "/v2/images/%s/file", rest_escape(cx->arena, id)), COPY_TIMEOUT_MS, &answer));
    int to = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (to < 0)
        return failed(cx, "made", part);
    struct fault *fault = answer.fd >= 0 ? copy_file(cx, &answer, to, part) : copy_text(cx, &answer, to, part);
    if (close(to) != 0 && fault == NULL)
        fault = failed(cx, "written", part);
    if (fault != NULL)
        unlink(part);
    return fault;
}

static struct fault *ensure_one(struct context *cx, const struct compute_host *host, const char *id,
    const char *disk_format)
{
    const char *state_dir = host->compute->app->state_path, *part;
    struct image_cache_entry entry;
    if (image_cache_find(cx->arena, state_dir, id, disk_format, &entry)) {
        trace_note(cx, COMPUTE_SERVICE, "image %s is in the cache", id);
        return NULL;
    }
    TRY(image_cache_part(cx->arena, state_dir, id, &part));
    struct span *span = trace_begin(cx, COMPUTE_SERVICE, host->name, "download image %s", id);
    TRY(trace_end(cx, span, download(cx, id, part)));
    return image_cache_add(cx->arena, state_dir, id, disk_format, part, &entry);
}

static const char *format_of(struct context *cx, const struct instance *instance)
{
    const char *format = json_text_at(json_parse_own(cx->arena, instance->request_spec), "image.disk_format");
    return format != NULL ? format : "raw";
}

struct fault *image_ensure(struct context *cx, const struct compute_host *host, const struct instance *instance)
{
    struct rest_response answer;
    if (instance->image_ref == NULL || instance->image_ref[0] == '\0')
        return NULL;
    TRY(ask(cx, arena_printf(cx->arena, "/v2/images/%s", rest_escape(cx->arena, instance->image_ref)), 0, &answer));
    const char *status = json_text_at(answer.body, "status"), *format = json_text_at(answer.body, "disk_format");
    if (status == NULL || strcmp(status, "active") != 0)
        return FAULT(cx, 400, "ImageNotActive", "Image %s is not active.", instance->image_ref);
    if (host->compute->fake)
        return NULL;
    TRY(ensure_one(cx, host, instance->image_ref, format != NULL ? format : "raw"));
    if (instance->kernel_id != NULL && instance->kernel_id[0] != '\0')
        TRY(ensure_one(cx, host, instance->kernel_id, "aki"));
    if (instance->ramdisk_id != NULL && instance->ramdisk_id[0] != '\0')
        TRY(ensure_one(cx, host, instance->ramdisk_id, "ari"));
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
