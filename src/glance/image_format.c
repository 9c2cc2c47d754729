/* SPDX-License-Identifier: Apache-2.0 */
#include "glance/image_format.h"

#include <endian.h>
#include <string.h>

/* Offsets of the qcow2 header (docs/interop/qcow2.txt of QEMU). */
enum {
    QCOW2_VERSION = 4,
    QCOW2_BACKING_OFFSET = 8,
    QCOW2_SIZE = 24,
    QCOW2_FEATURES = 72,
    QCOW2_V2_LENGTH = 72,
    QCOW2_V3_LENGTH = 104,
};
enum { QCOW2_EXTERNAL_DATA = 1 << 2, QCOW2_KNOWN_FEATURES = 0x1f };

static uint64_t read_be64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return be64toh(value);
}

static uint32_t read_be32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return be32toh(value);
}

static void inspect_qcow2(const uint8_t *head, size_t length, struct image_format *ret)
{
    ret->name = "qcow2";
    if (length < QCOW2_V2_LENGTH) {
        ret->danger = "its qcow2 header is cut off";
        return;
    }
    uint32_t version = read_be32(head + QCOW2_VERSION);
    uint64_t size = read_be64(head + QCOW2_SIZE);
    ret->virtual_size = size > INT64_MAX ? 0 : (int64_t)size;
    if (read_be64(head + QCOW2_BACKING_OFFSET) != 0)
        ret->danger = "it names a backing file";
    if (version < 3)
        return;
    if (length < QCOW2_V3_LENGTH) {
        ret->danger = "its qcow2 header is cut off";
        return;
    }
    uint64_t features = read_be64(head + QCOW2_FEATURES);
    if ((features & QCOW2_EXTERNAL_DATA) != 0)
        ret->danger = "it names a data file";
    else if ((features & ~(uint64_t)QCOW2_KNOWN_FEATURES) != 0)
        ret->danger = "it has qcow2 features that are not known";
}

void image_format_inspect(const void *head, size_t length, struct image_format *ret)
{
    const uint8_t *bytes = head;
    *ret = (struct image_format){ 0 };
    if (length >= 8 && memcmp(bytes, "QFI\xfb", 4) == 0)
        inspect_qcow2(bytes, length, ret);
    else if (length >= 32768 + 6 && (memcmp(bytes + 32769, "CD001", 5) == 0 || memcmp(bytes + 32769, "NSR0", 4) == 0))
        ret->name = "iso";
}
