/* SPDX-License-Identifier: Apache-2.0
 * image_cache: see image_cache.h. */
#include "nova/virt/image_cache.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/map.h"
#include "base/text.h"
#include "nova/virt/driver.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PART_AGE_S = 3600 }; /* a download is given up after half of that without a byte */

static const char *cache_folder(struct arena *arena, const char *state_dir)
{
    return arena_printf(arena, "%s/_base", virt_instances(arena, state_dir));
}

static const char *cache_path(struct arena *arena, const char *state_dir, const char *image_id)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    EVP_Digest(image_id, strlen(image_id), digest, &length, EVP_sha1(), NULL);
    return arena_printf(arena, "%s/%s", cache_folder(arena, state_dir), text_hex(arena, digest, length));
}

bool image_cache_find(struct arena *arena, const char *state_dir, const char *image_id, const char *disk_format,
    struct image_cache_entry *ret)
{
    struct image_cache_entry entry = { .path = cache_path(arena, state_dir, image_id) };
    if (!file_exists(entry.path) || image_header_read(arena, entry.path, &entry.header) != NULL)
        return false;
    struct fault *fault = image_header_check(arena, image_id, disk_format, &entry.header);
    if (fault != NULL) {
        log_warning("nova.virt.image_cache", "%s is not used: %s", entry.path, fault_text(arena, fault));
        return false;
    }
    utimensat(AT_FDCWD, entry.path, NULL, 0); /* used now: the sweep counts from here */
    *ret = entry;
    return true;
}

struct fault *image_cache_part(struct arena *arena, const char *state_dir, const char *image_id, const char **ret_path)
{
    TRY(folder_make(arena, cache_folder(arena, state_dir), 0711, 0711));
    *ret_path = file_part_name(arena, cache_path(arena, state_dir, image_id));
    return NULL;
}

struct fault *image_cache_add(struct arena *arena, const char *state_dir, const char *image_id, const char *disk_format,
    const char *part, struct image_cache_entry *ret)
{
    struct image_cache_entry entry = { .path = cache_path(arena, state_dir, image_id) };
    struct fault *fault = image_header_read(arena, part, &entry.header);
    if (fault == NULL)
        fault = image_header_check(arena, image_id, disk_format, &entry.header);
    if (fault == NULL)
        fault = file_commit(arena, part, entry.path);
    if (fault != NULL) {
        unlink(part);
        return fault;
    }
    *ret = entry;
    return NULL;
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

/* Notes the file name of every base that some guest's disk stands on. */
static struct fault *collect_used(struct arena *arena, const char *instances, struct map *used)
{
    DIR *folder = opendir(instances);
    if (folder == NULL)
        return errno == ENOENT ? NULL : fault_new(arena, 500, NULL, "Cannot read %s: %s.", instances, strerror(errno));
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        struct image_header header;
        const char *disk = arena_printf(arena, "%s/%s/disk", instances, entry->d_name);
        if (entry->d_name[0] == '.' || !file_exists(disk) || image_header_read(arena, disk, &header) != NULL ||
            header.backing_file == NULL)
            continue;
        const char *slash = strrchr(header.backing_file, '/');
        map_set(used, slash != NULL ? slash + 1 : header.backing_file, (void *)1);
    }
    closedir(folder);
    return NULL;
}

static void note_named(struct arena *arena, const struct image_cache_rules *rules, struct map *used)
{
    for (size_t i = 0; i < rules->count; i++)
        map_set(used, strrchr(cache_path(arena, "", rules->image_ids[i]), '/') + 1, (void *)1);
}

/* Whether the file is to go; one in use is touched. */
static bool is_leftover(int folder, const char *name, const struct image_cache_rules *rules, const struct map *used)
{
    struct stat status;
    if (name[0] == '.' || fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(status.st_mode))
        return false;
    int64_t age_s = clock_now_us() / 1000000 - status.st_mtime;
    if (ends_with(name, ".part"))
        return age_s >= PART_AGE_S;
    if (map_has(used, name)) {
        utimensat(folder, name, NULL, AT_SYMLINK_NOFOLLOW);
        return false;
    }
    return rules->remove_unused && age_s >= rules->age_s;
}

struct fault *image_cache_sweep(struct arena *arena, const char *state_dir, const struct image_cache_rules *rules,
    size_t *ret_removed)
{
    struct map used = { 0 };
    size_t removed = 0;
    const char *base = cache_folder(arena, state_dir);
    struct fault *fault = collect_used(arena, virt_instances(arena, state_dir), &used);
    note_named(arena, rules, &used);
    DIR *folder = fault == NULL ? opendir(base) : NULL;
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        if (!is_leftover(dirfd(folder), entry->d_name, rules, &used))
            continue;
        log_info("nova.virt.image_cache", "Removing base, swap or ephemeral file: %s/%s", base, entry->d_name);
        removed += unlinkat(dirfd(folder), entry->d_name, 0) == 0;
    }
    if (folder != NULL)
        closedir(folder);
    map_release(&used);
    if (fault == NULL)
        *ret_removed = removed;
    return fault;
}
