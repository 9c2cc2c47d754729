// SPDX-License-Identifier: Apache-2.0
/* growroot: make the mounted root, its partition and its file system, as large as the disk.
 *
 * Works on the running system, so that it needs neither resize2fs nor a second reboot:
 *   1. the kernel is told the partition's new length (BLKPG), then the MBR entry is rewritten;
 *   2. ext4 grows itself (EXT4_IOC_RESIZE_FS).
 * Killed between any two of these, it finds the rest to do when it is run again. A root that is a whole
 * disk, without a partition table, gets only the second. Prints one line: the size in MB, if it changed. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* The kernel's interface, spelled out: musl ships no linux/ headers. From linux/blkpg.h, ext4 and fs.h. */
struct blkpg_partition {
    long long start;
    long long length;
    int number;
    char names[128];
};
struct blkpg_argument {
    int operation;
    int flags;
    int length;
    void *data;
};
#define BLKPG _IO(0x12, 105)
#define BLKPG_RESIZE_PARTITION 3
#define EXT4_IOC_RESIZE_FS _IOW('f', 16, uint64_t)

enum { SECTOR = 512, MBR_TABLE = 446, MBR_ENTRY = 16, MBR_ENTRIES = 4, MBR_START = 8, MBR_LENGTH = 12, ALIGN = 8 };

struct root {
    char disk[64];       /* the name in /dev of the disk that holds it */
    int partition;       /* its number, 0 if root is the whole disk */
    int64_t start;       /* of the partition, in sectors */
    int64_t length;      /* of the device that the file system is on, in sectors */
    int64_t disk_length; /* in sectors */
};

static int complain(const char *what)
{
    fprintf(stderr, "growroot: %s: %s\n", what, strerror(errno));
    return -1;
}

static int64_t read_number(const char *folder, const char *file)
{
    char path[512];
    long long number = -1;
    snprintf(path, sizeof path, "%s/%s", folder, file);
    FILE *stream = fopen(path, "r");
    if (!stream)
        return -1;
    if (fscanf(stream, "%lld", &number) != 1)
        number = -1;
    fclose(stream);
    return number;
}

static int find_root(struct root *ret_root)
{
    struct stat status;
    char link[64], folder[400];
    struct root root = { .partition = 0 };

    if (stat("/", &status))
        return complain("/");
    snprintf(link, sizeof link, "/sys/dev/block/%u:%u", major(status.st_dev), minor(status.st_dev));
    char *real = realpath(link, NULL); /* .../block/vda/vda2, or .../block/vda */
    if (!real || strlen(real) >= sizeof folder)
        return complain(link);
    strcpy(folder, real);
    free(real);

    root.length = root.disk_length = read_number(folder, "size");
    int64_t partition = read_number(folder, "partition");
    if (partition > 0) {
        root.partition = (int)partition;
        root.start = read_number(folder, "start");
        *strrchr(folder, '/') = '\0';
        root.disk_length = read_number(folder, "size");
    }
    if (root.length <= 0 || root.disk_length <= 0 || root.start < 0)
        return complain(folder);
    snprintf(root.disk, sizeof root.disk, "/dev/%.50s", strrchr(folder, '/') + 1);
    *ret_root = root;
    return 0;
}

static uint32_t get_le32(const uint8_t *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static void put_le32(uint8_t *bytes, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
}

/* Sets root's partition to end with the disk, if no other starts behind it. */
static int grow_partition(struct root *root)
{
    uint8_t mbr[SECTOR];
    int64_t length = (root->disk_length - root->start) / ALIGN * ALIGN;
    if (length > UINT32_MAX / ALIGN * ALIGN) /* an MBR knows no more than 2 TiB */
        length = UINT32_MAX / ALIGN * ALIGN;

    int disk = open(root->disk, O_RDWR | O_CLOEXEC);
    if (disk < 0 || pread(disk, mbr, sizeof mbr, 0) != sizeof mbr)
        return complain(root->disk);
    uint8_t *own = NULL;
    bool last = true;
    for (int i = 0; i < MBR_ENTRIES; i++) {
        uint8_t *entry = mbr + MBR_TABLE + i * MBR_ENTRY;
        if (get_le32(entry + MBR_START) == root->start)
            own = entry;
        else if (get_le32(entry + MBR_LENGTH) && get_le32(entry + MBR_START) > root->start)
            last = false;
    }
    if (!own || !last) {
        close(disk);
        return 0; /* not our layout: leave it as it is */
    }

    int error = 0;
    if (length > root->length) {
        struct blkpg_partition partition = {
            .start = root->start * SECTOR, .length = length * SECTOR, .number = root->partition };
        struct blkpg_argument argument = { BLKPG_RESIZE_PARTITION, 0, sizeof partition, &partition };
        if (ioctl(disk, BLKPG, &argument))
            error = complain("resizing the partition");
        else
            root->length = length;
    }
    if (!error && get_le32(own + MBR_LENGTH) < (uint64_t)root->length) {
        put_le32(own + MBR_LENGTH, (uint32_t)root->length);
        if (pwrite(disk, mbr, sizeof mbr, 0) != sizeof mbr || fsync(disk))
            error = complain("writing the partition table");
    }
    close(disk);
    return error;
}

static int64_t root_size_mb(void)
{
    struct statvfs status;
    return statvfs("/", &status) ? 0 : (int64_t)(status.f_blocks * status.f_frsize >> 20);
}

int main(void)
{
    struct root root;
    struct statvfs status;

    if (find_root(&root) || statvfs("/", &status))
        return 1;
    int64_t before_mb = root_size_mb();
    if (root.partition && grow_partition(&root))
        return 1;

    int mount = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    uint64_t blocks = (uint64_t)root.length * SECTOR / status.f_bsize;
    if (mount < 0 || ioctl(mount, EXT4_IOC_RESIZE_FS, &blocks)) {
        complain("growing the file system");
        return 1;
    }
    if (root_size_mb() != before_mb)
        printf("%lld\n", (long long)root_size_mb());
    return 0;
}
