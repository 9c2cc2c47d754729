/* SPDX-License-Identifier: Apache-2.0
 *
 * image_cache: images that guests of this host were made from, one file each under <state_dir>/instances/_base, named by the
 * SHA-1 of the image's id as nova does. Guests' disks are overlays on them.
 *
 *     if (!image_cache_find(...)) { part = image_cache_part(...); download into part; image_cache_add(... part ...); }
 *
 * Files come by rename only, so a cache file is always whole and was always checked. Two downloads of one image at once
 * are harmless: the later rename wins. A crash leaves a file that ends in ".part"; image_cache_sweep() removes it.
 */
#ifndef NOVA_VIRT_IMAGE_CACHE_H
#define NOVA_VIRT_IMAGE_CACHE_H

#include "nova/virt/image_header.h"

struct image_cache_entry {
    const char *path;
    struct image_header header; /* read just now */
};

/* True when the image is there and still passes the checks, which newer versions may have sharpened. */
bool image_cache_find(struct arena *arena, const char *state_dir, const char *image_id, const char *disk_format,
    struct image_cache_entry *ret);

/* Where to download to. The caller writes the file (mode 0600) and, when it gives up, unlinks it. */
struct fault *image_cache_part(struct arena *arena, const char *state_dir, const char *image_id, const char **ret_path);

/* Checks a finished download and takes it in. On a fault (ImageUnacceptable) the part is gone. */
struct fault *image_cache_add(struct arena *arena, const char *state_dir, const char *image_id, const char *disk_format,
    const char *part, struct image_cache_entry *ret);

/* What may go, and when. In use is what `image_ids` names (images, kernels and ramdisks of this host's instances) and what
 * some guest's disk stands on. */
struct image_cache_rules {
    const char *const *image_ids;
    size_t count;
    bool remove_unused; /* [image_cache] remove_unused_base_images; parts that nobody writes any more go in any case */
    int64_t age_s;      /* remove_unused_original_minimum_age_seconds, since it was last used */
};

/* Touches what is in use, so that its age counts from when the last guest went, and removes the rest as the rules say. Returns how
 * many files went. */
struct fault *image_cache_sweep(struct arena *arena, const char *state_dir, const struct image_cache_rules *rules,
    size_t *ret_removed);

#endif
