/* SPDX-License-Identifier: Apache-2.0
 *
 * image_header, image_cache, disk, config_drive and files, with files that mean harm.
 */
#include "base/buf.h"
#include "base/file.h"
#include "base/process.h"
#include "nova/virt/config_drive.h"
#include "nova/virt/disk.h"
#include "nova/virt/driver.h"
#include "nova/virt/image_cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { HEAD = 40000 };

static char root[64];

static const struct config_drive_file drive_files[] = {
    { "openstack/latest/meta_data.json", "{\"a\": 1}", 8 },
    { "openstack/content/0000", "x\0y", 3 },
};

static int make_root(void **state)
{
    snprintf(root, sizeof(root), "/tmp/test-virt-XXXXXX");
    return mkdtemp(root) != NULL ? 0 : -1;
}

static int remove_root(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    return folder_remove(arena, root) == NULL ? 0 : -1;
}

static void put(unsigned char *at, size_t bytes, uint64_t value)
{
    for (size_t i = 0; i < bytes; i++)
        at[i] = (unsigned char)(value >> (8 * (bytes - 1 - i)));
}

/* A sound qcow2 header, version 3, of 1 GiB. */
static void good_qcow2(unsigned char *head)
{
    memset(head, 0, HEAD);
    memcpy(head, "QFI\xfb", 4);
    put(head + 4, 4, 3);
    put(head + 20, 4, 12);
    put(head + 24, 8, 1 << 30);
    put(head + 36, 4, 1);
    put(head + 40, 8, 8192);
    put(head + 48, 8, 4096);
    put(head + 56, 4, 1);
    put(head + 96, 4, 4);
    put(head + 100, 4, 104);
}

static const char *verdict(struct arena *arena, const unsigned char *head, size_t length, const char *declared)
{
    struct image_header header;
    image_header_parse(arena, head, length, (int64_t)length, &header);
    struct fault *fault = image_header_check(arena, "id", declared, &header);
    if (fault == NULL)
        return "fine";
    assert_int_equal(fault->status, 400);
    assert_string_equal(fault->code, "ImageUnacceptable");
    return fault->message;
}

static void headers(void **state)
{
    static const struct {
        size_t at, bytes;
        uint64_t value;
    } hostile[] = {
        { 4, 4, 1 },            { 4, 4, 99 },          { 20, 4, 8 },                   { 20, 4, 63 },
        { 24, 8, UINT64_MAX },  { 24, 8, UINT64_C(1) << 47 }, { 24, 8, 0 },            { 32, 4, 1 },
        { 36, 4, UINT32_MAX },  { 40, 8, 1 },          { 40, 8, UINT64_MAX - 4095 },   { 48, 8, 0 },
        { 48, 8, UINT64_C(1) << 62 }, { 60, 4, UINT32_MAX }, { 72, 8, UINT64_C(1) << 40 }, { 72, 8, 2 },
        { 96, 4, 7 },           { 100, 4, 0 },         { 100, 4, UINT32_MAX },
    };
    ARENA_CLEANUP struct arena *arena = arena_create();
    unsigned char head[HEAD];
    good_qcow2(head);
    assert_string_equal(verdict(arena, head, HEAD, "qcow2"), "fine");
    assert_string_equal(verdict(arena, head, HEAD, "raw"), "Image id is unacceptable: Image content does not match disk_format");
    for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
        good_qcow2(head);
        put(head + hostile[i].at, hostile[i].bytes, hostile[i].value);
        assert_string_equal(verdict(arena, head, HEAD, "qcow2"), "Image id is unacceptable: Image does not pass safety check");
    }
    for (size_t length = 4; length < 104; length++) { /* cut anywhere */
        good_qcow2(head);
        assert_string_not_equal(verdict(arena, head, length, "qcow2"), "fine");
    }
}

static void reaching_outside(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    unsigned char head[HEAD];
    good_qcow2(head);
    put(head + 8, 8, 512);
    put(head + 16, 4, 11);
    memcpy(head + 512, "/etc/shadow", 11);
    assert_string_equal(verdict(arena, head, HEAD, "qcow2"), "Image id is unacceptable: fmt=qcow2 backed by: /etc/shadow");
    put(head + 8, 8, UINT64_MAX);
    assert_string_equal(verdict(arena, head, HEAD, "qcow2"), "Image id is unacceptable: fmt=qcow2 backed by: ");
    good_qcow2(head);
    put(head + 72, 8, 4);
    assert_string_equal(verdict(arena, head, HEAD, "qcow2"), "Image id is unacceptable: fmt=qcow2 has data-file");
}

static void other_formats(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    unsigned char head[HEAD] = "KDMV";
    assert_string_equal(verdict(arena, head, HEAD, "raw"), "Image id is unacceptable: Image content does not match disk_format");
    assert_string_equal(verdict(arena, head, HEAD, "vmdk"), "Image id is unacceptable: Image not in a supported format");
    memset(head, 0, HEAD);
    assert_string_equal(verdict(arena, head, HEAD, "raw"), "fine");
    assert_string_equal(verdict(arena, head, HEAD, "ami"), "fine");
    assert_string_equal(verdict(arena, head, HEAD, "iso"), "Image id is unacceptable: Image content does not match disk_format");
    memcpy(head + 32769, "CD001", 5);
    assert_string_equal(verdict(arena, head, HEAD, "iso"), "fine");
    assert_string_equal(verdict(arena, head, HEAD, "raw"), "fine");
    assert_string_equal(verdict(arena, head, 0, "raw"), "Image id is unacceptable: Image does not pass safety check");
}

static bool installed(const char *path)
{
    if (file_exists(path))
        return true;
    print_message("skipped: %s is not installed\n", path);
    return false;
}

static const char *cached_qcow2(struct arena *arena, const char *id)
{
    const char *part;
    struct image_cache_entry entry;
    assert_null(image_cache_part(arena, root, id, &part));
    assert_null(process_run(arena, &(struct process){ .argv = ARGV("qemu-img", "create", "-q", "-f", "qcow2", part, "2G") }, NULL));
    assert_null(image_cache_add(arena, root, id, "qcow2", part, &entry));
    assert_false(file_exists(part));
    assert_int_equal(entry.header.virtual_size, INT64_C(2) << 30);
    return entry.path;
}

static void a_disk(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct image_header header;
    const char *folder;
    if (!installed("/usr/bin/qemu-img"))
        skip();
    const char *base = cached_qcow2(arena, "one");
    assert_string_equal(strrchr(base, '/'), "/fe05bcdcdc4928012781a5f1a2a77cbb5398e106"); /* sha1("one"), as nova names it */
    assert_null(virt_instance_folder(arena, root, "c3b3a2f4-6d39-4d7c-9c0a-0a5d1c6a4b11", &folder));
    const char *disk = arena_printf(arena, "%s/disk", folder);
    struct fault *fault = disk_create_root(arena, disk, base, 1);
    assert_string_equal(fault->code, "FlavorDiskSmallerThanImage");
    assert_string_equal(fault->message, "Flavor's disk is too small for requested image. Flavor disk is 1073741824 bytes, image is "
                                        "2147483648 bytes.");
    assert_false(file_exists(disk));
    assert_null(disk_create_root(arena, disk, base, 5));
    assert_null(disk_create_root(arena, disk, base, 5));
    assert_null(image_header_read(arena, disk, &header));
    assert_int_equal(header.virtual_size, INT64_C(5) << 30);
    assert_string_equal(header.backing_file, base);
    fault = disk_create_root(arena, arena_printf(arena, "%s/x", folder), disk, 9); /* an overlay is not a base */
    assert_string_equal(fault->code, "InvalidDiskInfo");
    assert_true(disk_overcommitted(arena, root) > INT64_C(4) << 30);
}

static void empty_disks(void **state)
{
    enum { EXT_MAGIC_AT = 1080, LABEL_AT = 1144, SWAP_MAGIC_AT = 4086 };
    ARENA_CLEANUP struct arena *arena = arena_create();
    const char *ephemeral = arena_printf(arena, "%s/disk.eph0", root), *swap = arena_printf(arena, "%s/disk.swap", root);
    char head[SWAP_MAGIC_AT + 10];
    if (!installed("/sbin/mkfs.ext4") || !installed("/sbin/mkswap"))
        skip();
    for (int i = 0; i < 2; i++) { /* what is there stays */
        assert_null(disk_create_ephemeral(arena, ephemeral, 1));
        assert_null(disk_create_swap(arena, swap, 16));
    }
    FILE *file = fopen(ephemeral, "r");
    assert_int_equal(fread(head, 1, sizeof(head), file), sizeof(head));
    assert_memory_equal(head + EXT_MAGIC_AT, "\x53\xef", 2);
    assert_string_equal(head + LABEL_AT, "ephemeral0");
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    assert_int_equal(ftell(file), 1 << 30);
    fclose(file);
    file = fopen(swap, "r");
    assert_int_equal(fread(head, 1, sizeof(head), file), sizeof(head));
    assert_memory_equal(head + SWAP_MAGIC_AT, "SWAPSPACE2", 10);
    fclose(file);
    assert_non_null(disk_create_swap(arena, arena_printf(arena, "%s/no/folder", root), 16));
}

static void the_sweep(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct image_cache_entry entry;
    const char *part;
    size_t removed;
    if (!installed("/usr/bin/qemu-img"))
        skip();
    const char *unused = cached_qcow2(arena, "two");
    assert_null(image_cache_part(arena, root, "three", &part));
    assert_null(file_write(arena, part, "cut off", 7, 0600, FILE_NO_SYNC));
    const char *kernel = cached_qcow2(arena, "kernel of an instance");
    const struct timespec old[2] = { 0 };
    assert_int_equal(utimensat(AT_FDCWD, kernel, old, 0), 0);
    struct image_cache_rules rules = { .image_ids = (const char *const[]){ "kernel of an instance" }, .count = 1,
        .remove_unused = true, .age_s = 3600 };
    assert_null(image_cache_sweep(arena, root, &rules, &removed)); /* nothing is old but what is in use */
    assert_int_equal(removed, 0);
    rules.count = 0;
    assert_null(image_cache_sweep(arena, root, &rules, &removed)); /* its last use was just now, not long ago */
    assert_int_equal(removed, 0);
    rules = (struct image_cache_rules){ 0 };
    assert_int_equal(utimensat(AT_FDCWD, part, old, 0), 0);
    assert_null(image_cache_sweep(arena, root, &rules, &removed));
    assert_int_equal(removed, 1);
    assert_false(file_exists(part)); /* cut off long ago */
    assert_true(file_exists(unused));
    rules.remove_unused = true;
    assert_null(image_cache_sweep(arena, root, &rules, &removed));
    assert_int_equal(removed, 2);
    assert_false(file_exists(unused) || file_exists(kernel));
    assert_true(image_cache_find(arena, root, "one", "qcow2", &entry)); /* a_disk's disk stands on it */
    assert_false(image_cache_find(arena, root, "one", "raw", &entry));
    assert_null(image_cache_part(arena, root, "four", &part));
    assert_null(file_write(arena, part, "KDMV", 4, 0600, FILE_NO_SYNC));
    assert_non_null(image_cache_add(arena, root, "four", "vmdk", part, &entry));
    assert_false(file_exists(part));
}

static void iso_drives(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct process_result result;
    struct stat status;
    const char *iso = arena_printf(arena, "%s/disk.config", root);
    if (!installed("/usr/bin/genisoimage"))
        skip();
    assert_null(config_drive_create(arena, iso, "iso9660", "nubo", drive_files, 2));
    assert_null(config_drive_create(arena, iso, "iso9660", "nubo", drive_files, 2));
    const char *const *argv = ARGV("isoinfo", "-R", "-x", "/openstack/latest/meta_data.json", "-i", iso);
    assert_null(process_run(arena, &(struct process){ .argv = argv }, &result));
    assert_string_equal(result.output, "{\"a\": 1}");
    assert_null(process_run(arena, &(struct process){ .argv = ARGV("isoinfo", "-d", "-i", iso) }, &result));
    assert_non_null(strstr(result.output, "Volume id: config-2"));
    assert_int_equal(stat(iso, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_null(process_run(arena, &(struct process){ .argv = ARGV("ls", "-A", root) }, &result));
    assert_null(strstr(result.output, ".part"));
}

static void vfat_drives(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct process_result result;
    const char *vfat = arena_printf(arena, "%s/vfat", root);
    if (!installed("/usr/bin/mcopy") || !installed("/usr/sbin/mkfs.vfat"))
        skip();
    assert_null(config_drive_create(arena, vfat, "vfat", "nubo", drive_files, 2));
    const char *const *argv = ARGV("mtype", "-i", vfat, "::/openstack/latest/meta_data.json");
    assert_null(process_run(arena, &(struct process){ .argv = argv }, &result));
    assert_string_equal(result.output, "{\"a\": 1}");
    assert_null(process_run(arena, &(struct process){ .argv = ARGV("mlabel", "-s", "-i", vfat, "::") }, &result));
    assert_non_null(strstr(result.output, "config-2"));
}

static void config_drive_paths(void **state)
{
    static const char *const paths[] = { "", "/etc/x", "../x", "a/../../x", "a//b", "a/", "./x", "..", "a/." };
    ARENA_CLEANUP struct arena *arena = arena_create();
    const char *drive = arena_printf(arena, "%s/never", root);
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        const struct config_drive_file file = { paths[i], "x", 1 };
        struct fault *fault = config_drive_create(arena, drive, "iso9660", "nubo", &file, 1);
        assert_non_null(fault);
        assert_int_equal(fault->status, 400);
    }
    struct fault *fault = config_drive_create(arena, drive, "ext4", "nubo", NULL, 0);
    assert_string_equal(fault->message, "Unknown config drive format ext4. Select one of iso9660 or vfat.");
    assert_false(file_exists(drive));
}

static void instance_folders_stay_in_their_place(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    const char *folder;
    assert_non_null(virt_instance_folder(arena, root, "../../etc", &folder));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers),       cmocka_unit_test(reaching_outside),   cmocka_unit_test(other_formats),
        cmocka_unit_test(a_disk),        cmocka_unit_test(empty_disks),        cmocka_unit_test(the_sweep),
        cmocka_unit_test(iso_drives),    cmocka_unit_test(vfat_drives),
        cmocka_unit_test(config_drive_paths), cmocka_unit_test(instance_folders_stay_in_their_place),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
