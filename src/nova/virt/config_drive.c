/* SPDX-License-Identifier: Apache-2.0
 * config_drive: see config_drive.h. */
#include "nova/virt/config_drive.h"

#include "base/file.h"
#include "base/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { VFAT_SIZE = 64 * 1024 * 1024, FILES_MAX = 1000 };

static bool safe_path(const char *path)
{
    if (path[0] == '\0' || path[0] == '/')
        return false;
    for (const char *part = path; part != NULL; part = strchr(part, '/') != NULL ? strchr(part, '/') + 1 : NULL) {
        size_t length = strcspn(part, "/");
        if (length == 0 || (length <= 2 && strncmp(part, "..", length) == 0))
            return false;
    }
    return true;
}

static struct fault *write_files(struct arena *arena, const char *folder, const struct config_drive_file *files, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!safe_path(files[i].path))
            return fault_new(arena, 400, "InvalidInput", "Invalid input received: %s is not a path inside of a config drive",
                files[i].path);
        char *path = arena_printf(arena, "%s/%s", folder, files[i].path);
        char *slash = strrchr(path, '/');
        *slash = '\0';
        TRY(folder_make(arena, path, 0711, 0700));
        *slash = '/';
        TRY(file_write(arena, path, files[i].content, files[i].length, 0600, FILE_NO_SYNC));
    }
    return NULL;
}

static struct fault *make_iso(struct arena *arena, const char *part, const char *publisher, const char *folder)
{
    const char *const *argv = ARGV("genisoimage", "-o", part, "-ldots", "-allow-lowercase", "-allow-multidot", "-l", "-publisher",
        publisher, "-quiet", "-J", "-r", "-V", "config-2", folder);
    return process_run(arena, &(struct process){ .argv = argv }, NULL);
}

/* mcopy -s takes the folder's entries, not the folder. */
static struct fault *make_vfat(struct arena *arena, const char *part, const char *folder)
{
    if (truncate(part, VFAT_SIZE) != 0)
        return fault_new(arena, 500, NULL, "Cannot make %s: %s.", part, strerror(errno));
    TRY(process_run(arena, &(struct process){ .argv = ARGV("mkfs.vfat", "-n", "config-2", part) }, NULL));
    const char *argv[FILES_MAX] = { "mcopy", "-s", "-Q", "-i", part };
    size_t used = 5;
    DIR *entries = opendir(folder);
    for (struct dirent *entry; entries != NULL && (entry = readdir(entries)) != NULL && used < FILES_MAX - 2;)
        if (entry->d_name[0] != '.')
            argv[used++] = arena_printf(arena, "%s/%s", folder, entry->d_name);
    if (entries != NULL)
        closedir(entries);
    if (used == 5)
        return NULL;
    argv[used++] = "::/";
    return process_run(arena, &(struct process){ .argv = argv, .env = ARGV("MTOOLS_SKIP_CHECK=1") }, NULL);
}

static struct fault *make(struct arena *arena, const char *part, const char *format, const char *publisher, const char *folder,
    const struct config_drive_file *files, size_t count)
{
    TRY(folder_make(arena, folder, 0711, 0700));
    TRY(write_files(arena, folder, files, count));
    int fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600); /* before the tool would make it with its umask */
    if (fd < 0)
        return fault_new(arena, 500, NULL, "Cannot make %s: %s.", part, strerror(errno));
    close(fd);
    return strcmp(format, "vfat") == 0 ? make_vfat(arena, part, folder) : make_iso(arena, part, publisher, folder);
}

struct fault *config_drive_create(struct arena *arena, const char *path, const char *format, const char *publisher,
    const struct config_drive_file *files, size_t count)
{
    if (strcmp(format, "iso9660") != 0 && strcmp(format, "vfat") != 0)
        return fault_new(arena, 500, "ConfigDriveUnknownFormat",
            "Unknown config drive format %s. Select one of iso9660 or vfat.", format);
    const char *part = file_part_name(arena, path);
    const char *folder = arena_printf(arena, "%s.files", part);
    struct fault *fault = make(arena, part, format, publisher, folder, files, count);
    struct fault *left = folder_remove(arena, folder);
    if (fault == NULL)
        fault = left;
    if (fault == NULL && rename(part, path) != 0)
        fault = fault_new(arena, 500, NULL, "Cannot put in place %s: %s.", path, strerror(errno));
    if (fault != NULL)
        unlink(part);
    return fault;
}
