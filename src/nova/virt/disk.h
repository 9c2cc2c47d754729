/* SPDX-License-Identifier: Apache-2.0
 *
 * disk: the disks of a guest, files in its folder named as nova names them: "disk", "disk.eph0", "disk.swap".
 *
 * Each is made by a temporary name and a rename, and left alone when it is already there.
 */
#ifndef NOVA_VIRT_DISK_H
#define NOVA_VIRT_DISK_H

#include "base/arena.h"
#include "base/fault.h"

#include <stdint.h>

/* A qcow2 overlay on the cached image `base` of `root_gb` GiB (0: as large as the image). 400 FlavorDiskSmallerThanImage
 * when the image is larger; InvalidDiskInfo when the base itself stands on something. */
struct fault *disk_create_root(struct arena *arena, const char *path, const char *base, uint64_t root_gb);

/* A sparse raw file with an ext4 file system labelled "ephemeral0"; a sparse raw file with a swap area. */
struct fault *disk_create_ephemeral(struct arena *arena, const char *path, uint64_t size_gb);
struct fault *disk_create_swap(struct arena *arena, const char *path, uint64_t size_mb);

/* What all disks of all guests may still grow by: the sum of virtual sizes minus bytes in use, in bytes. */
int64_t disk_overcommitted(struct arena *arena, const char *state_dir);

#endif
