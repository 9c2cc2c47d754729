/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: the heads of disk images.
 */
#include "nova/virt/image_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct image_header header;

    image_header_parse(arena, data, size, (int64_t)size, &header);
    (void)image_header_check(arena, "id", "qcow2", &header);
    (void)image_header_check(arena, "id", "raw", &header);
    return 0;
}
