/* SPDX-License-Identifier: Apache-2.0
 *
 * image_header: reads the head of a disk image itself, so that qemu-img and QEMU are always told the format and never
 * guess it, and refuses what could reach outside of the image: backing files and external data files.
 *
 * Trusts nothing in the file: every offset and count is checked against the file's size, and nothing is allocated by a
 * number from the file.
 */
#ifndef NOVA_VIRT_IMAGE_HEADER_H
#define NOVA_VIRT_IMAGE_HEADER_H

#include "base/arena.h"
#include "base/fault.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* OTHER: a format that QEMU knows and we do not run (vmdk, vdi, vhd, vhdx, qed, luks, cow, parallels). */
enum image_format { IMAGE_RAW, IMAGE_QCOW2, IMAGE_ISO, IMAGE_OTHER };

/* No guest of ours is larger; beyond it a size is taken for an attack. */
#define IMAGE_SIZE_LIMIT (INT64_C(64) << 40)

struct image_header {
    enum image_format format;
    const char *name;         /* glance's disk_format: "raw", "qcow2", "iso", "vmdk", ... */
    const char *qemu_format;  /* for -f: "raw" (also for iso) or "qcow2"; NULL for OTHER */
    int64_t virtual_size;     /* bytes; of raw and iso the file's own size */
    int64_t file_size;
    const char *backing_file; /* qcow2, else NULL; may be cut at 1023 bytes */
    bool data_file;           /* qcow2 with its data in another file */
    bool encrypted;
    const char *broken;       /* what is wrong with the header, or NULL */
};

/* Reads the head of a file. A fault (500) only when the file itself cannot be read; everything strange in it is told in
 * the members. */
struct fault *image_header_read(struct arena *arena, const char *path, struct image_header *ret);

/* The same for a head in memory, of a file of `file_size` bytes. 64 KiB of it are enough. */
void image_header_parse(struct arena *arena, const void *data, size_t length, int64_t file_size, struct image_header *ret);

/* 400 ImageUnacceptable, in nova's words, unless an image that was declared to be `disk_format` by glance may be run: content as
 * declared, no backing file, no data file, not encrypted, of a sane size. aki, ari and ami are taken as raw. */
struct fault *image_header_check(struct arena *arena, const char *image_id, const char *disk_format,
    const struct image_header *header);

#endif
