/* SPDX-License-Identifier: Apache-2.0
 *
 * image_format: what the first bytes of an image say about it. Nothing is guessed and no other program is asked.
 */
#ifndef GLANCE_IMAGE_FORMAT_H
#define GLANCE_IMAGE_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { IMAGE_FORMAT_HEAD = 40 * 1024 }; /* so many bytes are looked at: an ISO 9660 descriptor lies at 32 KiB */

struct image_format {
    const char *name;       /* "qcow2", "iso", or NULL: none of those known (raw for all that we can tell) */
    int64_t virtual_size;   /* qcow2: what the guest sees; else 0 */
    const char *danger;     /* NULL, or why such an image must not come in: it would reach for other files of a host */
};

/* `head` holds the first `length` bytes: IMAGE_FORMAT_HEAD of them, or all when the image is shorter. */
void image_format_inspect(const void *head, size_t length, struct image_format *ret);

#endif
