/* SPDX-License-Identifier: Apache-2.0
 * files: see files.h. */
#include "nubo/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_LIMIT = 1024 * 1024 };

static struct fault *failed(struct arena *arena, const char *verb, const char *path)
{
    return fault_new(arena, 500, NULL, "%s cannot be %s: %s.", path, verb, strerror(errno));
}

struct fault *file_read(struct arena *arena, const char *path, const char **ret)
{
    *ret = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? NULL : failed(arena, "opened", path);
    struct stat status;
    if (fstat(fd, &status) != 0 || status.st_size > FILE_LIMIT) {
        close(fd);
        return fault_new(arena, 500, NULL, "%s is too large.", path);
    }
    char *text = arena_alloc(arena, (size_t)status.st_size + 1);
    ssize_t n = read(fd, text, (size_t)status.st_size);
    close(fd);
    if (n < 0)
        return failed(arena, "read", path);
    text[n] = '\0';
    *ret = text;
    return NULL;
}

static bool write_all(int fd, const char *text)
{
    size_t left = strlen(text);
    while (left > 0) {
        ssize_t n = write(fd, text, left);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        text += n;
        left -= (size_t)n;
    }
    return fsync(fd) == 0;
}

struct fault *file_write(struct arena *arena, const char *path, mode_t mode, const char *text)
{
    const char *temporary = arena_printf(arena, "%s.new", path);
    unlink(temporary);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return failed(arena, "made", temporary);
    bool written = fchmod(fd, mode) == 0 && write_all(fd, text);
    close(fd);
    if (!written || rename(temporary, path) != 0) {
        struct fault *fault = failed(arena, "written", path);
        unlink(temporary);
        return fault;
    }
    return NULL;
}

bool file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

struct fault *directory_make(struct arena *arena, const char *path, mode_t mode)
{
    char *text = arena_strdup(arena, path);
    for (char *at = text + 1; *at != '\0'; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        if (mkdir(text, 0755) != 0 && errno != EEXIST)
            return failed(arena, "made", text);
        *at = '/';
    }
    if (mkdir(text, mode) != 0 && errno != EEXIST)
        return failed(arena, "made", path);
    return NULL;
}
