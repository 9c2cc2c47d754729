/* SPDX-License-Identifier: Apache-2.0
 * disk: see disk.h. */
#include "nova/virt/disk.h"

#include "base/file.h"
#include "base/process.h"
#include "nova/virt/driver.h"
#include "nova/virt/image_header.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { GIB = 1 << 30, MIB = 1 << 20 };

static struct fault *check_base(struct arena *arena, const struct image_header *header, uint64_t size)
{
    if (header->backing_file != NULL || header->data_file || header->broken != NULL || header->qemu_format == NULL)
        return fault_new(arena, 400, "InvalidDiskInfo", "Disk info file is invalid: Base image failed safety check");
    if (size != 0 && size < (uint64_t)header->virtual_size)
        return fault_new(arena, 400, "FlavorDiskSmallerThanImage",
            "Flavor's disk is too small for requested image. Flavor disk is %" PRIu64 " bytes, image is %" PRId64 " bytes.",
            size, header->virtual_size);
    return NULL;
}

/* The part goes away whatever happened to it; after a rename there is none. */
static struct fault *finish(struct arena *arena, struct fault *fault, const char *part, const char *path)
{
    if (fault == NULL && rename(part, path) != 0)
        fault = fault_new(arena, 500, NULL, "Cannot put in place %s: %s.", path, strerror(errno));
    if (fault != NULL)
        unlink(part);
    return fault;
}

struct fault *disk_create_root(struct arena *arena, const char *path, const char *base, uint64_t root_gb)
{
    struct image_header header;
    if (file_exists(path))
        return NULL;
    TRY(image_header_read(arena, base, &header));
    TRY(check_base(arena, &header, root_gb * GIB));
    const char *part = file_part_name(arena, path);
    int64_t size = root_gb != 0 ? (int64_t)(root_gb * GIB) : (header.virtual_size + 511) / 512 * 512;
    const char *const *argv = ARGV("qemu-img", "create", "-q", "-f", "qcow2", "-F", header.qemu_format, "-b", base, part,
        arena_printf(arena, "%" PRId64, size));
    return finish(arena, process_run(arena, &(struct process){ .argv = argv }, NULL), part, path);
}

static struct fault *create_formatted(struct arena *arena, const char *path, uint64_t size, const char *const *format,
    const char *part)
{
    int fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    struct fault *fault = NULL;
    if (fd < 0 || ftruncate(fd, (off_t)size) != 0)
        fault = fault_new(arena, 500, NULL, "Cannot make the disk %s: %s.", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    if (fault == NULL)
        fault = process_run(arena, &(struct process){ .argv = format, .timeout_ms = 120000 }, NULL);
    return finish(arena, fault, part, path);
}

struct fault *disk_create_ephemeral(struct arena *arena, const char *path, uint64_t size_gb)
{
    const char *part = file_part_name(arena, path);
    if (file_exists(path))
        return NULL;
    return create_formatted(arena, path, size_gb * GIB,
        ARGV("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1,nodiscard", "-L", "ephemeral0", part), part);
}

struct fault *disk_create_swap(struct arena *arena, const char *path, uint64_t size_mb)
{
    const char *part = file_part_name(arena, path);
    if (file_exists(path))
        return NULL;
    return create_formatted(arena, path, size_mb * MIB, ARGV("mkswap", "-q", part), part);
}

static int64_t may_grow(struct arena *arena, const char *path)
{
    struct image_header header;
    struct stat status;
    if (stat(path, &status) != 0 || image_header_read(arena, path, &header) != NULL)
        return 0;
    int64_t used = (int64_t)status.st_blocks * 512;
    return header.virtual_size > used ? header.virtual_size - used : 0;
}

int64_t disk_overcommitted(struct arena *arena, const char *state_dir)
{
    static const char *const names[] = { "disk", "disk.eph0", "disk.swap" };
    const char *instances = virt_instances(arena, state_dir);
    int64_t sum = 0;
    DIR *folder = opendir(instances);
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;)
        for (size_t i = 0; entry->d_name[0] != '.' && i < sizeof(names) / sizeof(names[0]); i++)
            sum += may_grow(arena, arena_printf(arena, "%s/%s/%s", instances, entry->d_name, names[i]));
    if (folder != NULL)
        closedir(folder);
    return sum;
}
