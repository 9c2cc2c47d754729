/* SPDX-License-Identifier: Apache-2.0
 *
 * config_drive: the small read-only disk labelled "config-2" that carries a guest's metadata, as ISO 9660 (genisoimage) or
 * VFAT of 64 MiB (mkfs.vfat, mtools). Nothing is mounted.
 */
#ifndef NOVA_VIRT_CONFIG_DRIVE_H
#define NOVA_VIRT_CONFIG_DRIVE_H

#include "base/arena.h"
#include "base/fault.h"

#include <stddef.h>

struct config_drive_file {
    const char *path;     /* "openstack/latest/meta_data.json": relative, without ".." */
    const void *content;
    size_t length;
};

/* Makes `path`, replacing what was there. `format`: "iso9660" or "vfat", else 500 ConfigDriveUnknownFormat. The publisher of
 * the ISO is `publisher`. The content holds secrets: files are 0600 and the working folder is removed on every way out. */
struct fault *config_drive_create(struct arena *arena, const char *path, const char *format, const char *publisher,
    const struct config_drive_file *files, size_t count);

#endif
