/* SPDX-License-Identifier: Apache-2.0
 * file: see file.h. */
#include "base/file.h"

#include "base/buf.h"
#include "base/random.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH_LIMIT = 32, CHUNK = 65536 };

static struct fault *cannot(struct arena *arena, const char *what, const char *path)
{
    return fault_new(arena, 500, NULL, "Cannot %s %s: %s.", what, path, strerror(errno));
}

static void close_keeping_errno(int fd)
{
    int why = errno;
    close(fd);
    errno = why;
}

bool file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

/* ---- reading ---- */

/* Reads up to `limit` bytes to the file's end; false, with errno, when that fails. */
static bool read_up_to(int fd, size_t limit, struct buf *text)
{
    while (text->length < limit) {
        size_t chunk = limit - text->length < CHUNK ? limit - text->length : CHUNK;
        ssize_t n = read(fd, buf_reserve(text, chunk), chunk);
        if (n == 0)
            return true;
        if (n < 0 && errno != EINTR)
            return false;
        text->length += n > 0 ? (size_t)n : 0;
    }
    return true;
}

static char *read_from(struct arena *arena, const char *path, size_t limit, bool tail, size_t *ret_length)
{
    BUF_CLEANUP struct buf text = { 0 };
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    off_t size = tail ? lseek(fd, 0, SEEK_END) : 0;
    bool good = !tail || lseek(fd, size > (off_t)limit ? size - (off_t)limit : 0, SEEK_SET) >= 0;
    good = good && read_up_to(fd, limit + !tail, &text); /* a byte more tells whether it is longer */
    close_keeping_errno(fd);
    if (good && text.length > limit) {
        errno = EFBIG;
        good = false;
    }
    if (!good)
        return NULL;
    *ret_length = text.length;
    return arena_strndup(arena, text.length > 0 ? text.data : "", text.length);
}

char *file_read(struct arena *arena, const char *path, size_t limit, size_t *ret_length)
{
    size_t length;
    return read_from(arena, path, limit, false, ret_length != NULL ? ret_length : &length);
}

struct fault *file_load(struct arena *arena, const char *path, size_t limit, const char **ret)
{
    *ret = file_read(arena, path, limit, NULL);
    return *ret != NULL || errno == ENOENT ? NULL : cannot(arena, "read", path);
}

bool file_tail(struct arena *arena, const char *path, size_t limit, char **ret_data, size_t *ret_length)
{
    *ret_data = read_from(arena, path, limit, true, ret_length);
    return *ret_data != NULL;
}

ssize_t file_peek(const char *path, char *to, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t n = read(fd, to, size - 1);
    close_keeping_errno(fd);
    to[n > 0 ? n : 0] = '\0';
    return n;
}

/* ---- writing ---- */

static bool write_all(int fd, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, data, length);
        if (n < 0 && errno != EINTR)
            return false;
        data += n > 0 ? n : 0;
        length -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

struct fault *file_write(struct arena *arena, const char *path, const void *data, size_t length, mode_t mode,
    enum file_sync sync)
{
    const char *part = file_part_name(arena, path);
    int fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return cannot(arena, "write", path);
    bool good = fchmod(fd, mode) == 0 && write_all(fd, data, length) && (sync == FILE_NO_SYNC || fsync(fd) == 0);
    close_keeping_errno(fd);
    if (good && rename(part, path) == 0)
        return NULL;
    struct fault *fault = cannot(arena, "write", path);
    unlink(part);
    return fault;
}

const char *file_part_name(struct arena *arena, const char *path)
{
    return arena_printf(arena, "%s.%.8s.part", path, uuid_new_hex(arena));
}

struct fault *file_commit(struct arena *arena, const char *part, const char *path)
{
    int fd = open(part, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return cannot(arena, "finish", part);
    bool good = fsync(fd) == 0;
    close_keeping_errno(fd);
    if (!good)
        return cannot(arena, "finish", part);
    return rename(part, path) == 0 ? NULL : cannot(arena, "put in place", path);
}

/* ---- folders ---- */

struct fault *folder_make(struct arena *arena, const char *path, mode_t parents, mode_t mode)
{
    char *copy = arena_strdup(arena, path);
    for (char *slash = strchr(copy + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(copy, parents) != 0 && errno != EEXIST)
            return cannot(arena, "make the folder", copy);
        *slash = '/';
    }
    if (mkdir(path, mode) == 0)
        return chmod(path, mode) == 0 ? NULL : cannot(arena, "set the mode of", path);
    return errno == EEXIST ? NULL : cannot(arena, "make the folder", path);
}

/* Removes what is in the open folder; takes over `fd`. */
static bool remove_contents(int fd, dev_t device, int depth)
{
    DIR *folder = depth > 0 ? fdopendir(fd) : NULL;
    if (folder == NULL) {
        close(fd);
        return false;
    }
    bool done = true;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        struct stat status;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (fstatat(fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0 || status.st_dev != device) {
            done = false;
            continue;
        }
        if (S_ISDIR(status.st_mode)) {
            int below = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (below >= 0)
                done &= remove_contents(below, device, depth - 1);
        }
        done &= unlinkat(fd, entry->d_name, S_ISDIR(status.st_mode) ? AT_REMOVEDIR : 0) == 0 || errno == ENOENT;
    }
    int why = errno;
    closedir(folder);
    errno = why;
    return done;
}

struct fault *folder_remove(struct arena *arena, const char *path)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? NULL : cannot(arena, "open the folder", path);
    if (fstat(fd, &status) != 0) {
        close(fd);
        return cannot(arena, "read the folder", path);
    }
    if (!remove_contents(fd, status.st_dev, DEPTH_LIMIT) || (rmdir(path) != 0 && errno != ENOENT))
        return cannot(arena, "remove", path);
    return NULL;
}
