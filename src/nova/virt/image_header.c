/* SPDX-License-Identifier: Apache-2.0
 * image_header: see image_header.h. The layout of qcow2 is QEMU's docs/interop/qcow2.txt; of ISO 9660, ECMA-119. */
#include "nova/virt/image_header.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    HEAD_SIZE = 64 * 1024,
    QCOW2_V2_LENGTH = 72,
    QCOW2_V3_LENGTH = 104,
    QCOW2_INCOMPATIBLE_DIRTY = 1,
    QCOW2_INCOMPATIBLE_CORRUPT = 2,
    QCOW2_INCOMPATIBLE_DATA_FILE = 4,
    QCOW2_INCOMPATIBLE_COMPRESSION = 8,
    QCOW2_INCOMPATIBLE_EXTENDED_L2 = 16,
    ISO_MAGIC_AT = 16 * 2048 + 1,
};

struct head {
    const unsigned char *data;
    size_t length;
    int64_t file_size;
};

static uint64_t read_be(const unsigned char *at, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | at[i];
    return value;
}

static const char *qcow2_v3_problem(const struct head *head, uint64_t incompatible, uint64_t cluster)
{
    uint64_t known = QCOW2_INCOMPATIBLE_DIRTY | QCOW2_INCOMPATIBLE_CORRUPT | QCOW2_INCOMPATIBLE_DATA_FILE |
        QCOW2_INCOMPATIBLE_COMPRESSION | QCOW2_INCOMPATIBLE_EXTENDED_L2;
    uint64_t header_length = read_be(head->data + 100, 4);
    if ((incompatible & ~known) != 0)
        return "unknown incompatible features";
    if ((incompatible & QCOW2_INCOMPATIBLE_CORRUPT) != 0)
        return "marked corrupt";
    if (header_length < QCOW2_V3_LENGTH || header_length > cluster)
        return "header length out of range";
    return read_be(head->data + 96, 4) > 6 ? "refcount order out of range" : NULL;
}

/* The fixed part of a qcow2 header against the limits that QEMU itself keeps. */
static const char *qcow2_problem(const struct head *head, uint32_t version)
{
    uint64_t cluster_bits = read_be(head->data + 20, 4);
    uint64_t size = read_be(head->data + 24, 8);
    uint64_t l1_size = read_be(head->data + 36, 4);
    uint64_t l1_offset = read_be(head->data + 40, 8);
    uint64_t refcount_offset = read_be(head->data + 48, 8);
    if (cluster_bits < 9 || cluster_bits > 21)
        return "cluster size out of range";
    uint64_t cluster = UINT64_C(1) << cluster_bits;
    if (size > (uint64_t)IMAGE_SIZE_LIMIT)
        return "virtual size out of range";
    uint64_t file_size = (uint64_t)head->file_size;
    if (l1_size > 32 * 1024 * 1024 / 8 || l1_offset % cluster != 0 || l1_offset > file_size ||
        l1_size * 8 > file_size - l1_offset)
        return "L1 table outside of the file";
    if (refcount_offset == 0 || refcount_offset % cluster != 0 || refcount_offset > file_size)
        return "refcount table outside of the file";
    if (read_be(head->data + 60, 4) > 65536)
        return "too many snapshots";
    return version == 3 ? qcow2_v3_problem(head, read_be(head->data + 72, 8), cluster) : NULL;
}

static void read_qcow2(struct arena *arena, const struct head *head, struct image_header *header)
{
    header->format = IMAGE_QCOW2;
    header->name = header->qemu_format = "qcow2";
    uint32_t version = head->length >= 8 ? (uint32_t)read_be(head->data + 4, 4) : 0;
    if ((version != 2 && version != 3) || head->length < (version == 2 ? QCOW2_V2_LENGTH : QCOW2_V3_LENGTH)) {
        header->broken = "unknown version or short header";
        return;
    }
    uint64_t size = read_be(head->data + 24, 8);
    header->virtual_size = size > INT64_MAX ? INT64_MAX : (int64_t)size;
    header->encrypted = read_be(head->data + 32, 4) != 0;
    header->data_file = version == 3 && (read_be(head->data + 72, 8) & QCOW2_INCOMPATIBLE_DATA_FILE) != 0;
    header->broken = qcow2_problem(head, version);
    uint64_t offset = read_be(head->data + 8, 8);
    uint64_t length = read_be(head->data + 16, 4);
    if (offset == 0)
        return;
    header->backing_file = "";
    if (length > 1023)
        length = 1023;
    if (offset < head->length && length <= head->length - offset)
        header->backing_file = arena_strndup(arena, (const char *)head->data + offset, length);
}

/* Formats that QEMU would recognise by itself. A "raw" image that carries one of these marks is an attack on whoever
 * guesses. The mark of a fixed VHD is at its end: such a file is raw for everybody who is told so. */
static const char *foreign_format(const struct head *head)
{
    static const struct {
        size_t at, length;
        const char *mark, *name;
    } marks[] = {
        { 0,    4,  "KDMV",                 "vmdk" },
        { 0,    4,  "COWD",                 "vmdk" },
        { 0,    21, "# Disk DescriptorFile", "vmdk" },
        { 0,    8,  "conectix",             "vhd" },
        { 0,    8,  "vhdxfile",             "vhdx" },
        { 0,    4,  "QED\0",                "qed" },
        { 0,    6,  "LUKS\xba\xbe",         "luks" },
        { 0x40, 4,  "\x7f\x10\xda\xbe",     "vdi" },
        { 0,    16, "WithoutFreeSpace",     "ploop" },
        { 0,    16, "WithouFreSpacExt",     "ploop" },
        { 0,    4,  "OOOM",                 "cow" },
    };
    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
        if (head->length >= marks[i].at + marks[i].length &&
            memcmp(head->data + marks[i].at, marks[i].mark, marks[i].length) == 0)
            return marks[i].name;
    return NULL;
}

void image_header_parse(struct arena *arena, const void *data, size_t length, int64_t file_size, struct image_header *ret)
{
    struct head head = { data, length, file_size };
    const char *foreign = foreign_format(&head);
    *ret = (struct image_header){ .file_size = file_size, .virtual_size = file_size };
    if (length >= 4 && memcmp(data, "QFI\xfb", 4) == 0) {
        read_qcow2(arena, &head, ret);
    } else if (foreign != NULL) {
        ret->format = IMAGE_OTHER;
        ret->name = foreign;
    } else if (length >= ISO_MAGIC_AT + 5 && memcmp(head.data + ISO_MAGIC_AT, "CD001", 5) == 0) {
        ret->format = IMAGE_ISO;
        ret->name = "iso";
        ret->qemu_format = "raw";
    } else {
        ret->format = IMAGE_RAW;
        ret->name = ret->qemu_format = "raw";
    }
}

struct fault *image_header_read(struct arena *arena, const char *path, struct image_header *ret)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        struct fault *fault = fault_new(arena, 500, NULL, "The image file %s cannot be read: %s.", path,
            fd >= 0 && errno == 0 ? "not a file" : strerror(errno));
        if (fd >= 0)
            close(fd);
        return fault;
    }
    unsigned char *data = arena_alloc(arena, HEAD_SIZE);
    size_t length = 0;
    for (ssize_t n = 1; length < HEAD_SIZE && n > 0; length += n > 0 ? (size_t)n : 0)
        n = pread(fd, data + length, HEAD_SIZE - length, (off_t)length);
    close(fd);
    image_header_parse(arena, data, length, status.st_size, ret);
    return NULL;
}

static struct fault *unacceptable(struct arena *arena, const char *image_id, const char *reason)
{
    return fault_new(arena, 400, "ImageUnacceptable", "Image %s is unacceptable: %s", image_id, reason);
}

struct fault *image_header_check(struct arena *arena, const char *image_id, const char *disk_format,
    const struct image_header *header)
{
    bool machine_image = strcmp(disk_format, "ami") == 0 || strcmp(disk_format, "aki") == 0 || strcmp(disk_format, "ari") == 0;
    const char *declared = machine_image ? "raw" : disk_format;
    if (header->format == IMAGE_OTHER && strcmp(declared, header->name) == 0)
        return unacceptable(arena, image_id, "Image not in a supported format");
    if (strcmp(declared, header->name) != 0 && !(strcmp(declared, "raw") == 0 && header->format == IMAGE_ISO))
        return unacceptable(arena, image_id, "Image content does not match disk_format");
    if (header->backing_file != NULL)
        return unacceptable(arena, image_id, arena_printf(arena, "fmt=%s backed by: %s", header->name, header->backing_file));
    if (header->data_file)
        return unacceptable(arena, image_id, arena_printf(arena, "fmt=%s has data-file", header->name));
    if (header->broken != NULL || header->encrypted || header->virtual_size > IMAGE_SIZE_LIMIT || header->virtual_size <= 0)
        return fault_detail(arena, unacceptable(arena, image_id, "Image does not pass safety check"), "%s, virtual size %" PRId64,
            header->broken != NULL ? header->broken : header->encrypted ? "encrypted" : "size out of range",
            header->virtual_size);
    return NULL;
}
