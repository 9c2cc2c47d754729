/* SPDX-License-Identifier: Apache-2.0
 * files: see files.h. */
#include "nova/virt/files.h"

#include "base/random.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct fault *cannot(struct arena *arena, const char *what, const char *path)
{
    return fault_new(arena, 500, NULL, "%s %s: %s.", what, path, strerror(errno));
}

struct fault *files_make_folder(struct arena *arena, const char *path, mode_t mode)
{
    char *copy = arena_strdup(arena, path);
    for (char *slash = strchr(copy + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(copy, 0711) != 0 && errno != EEXIST)
            return cannot(arena, "Cannot make the folder", copy);
        *slash = '/';
    }
    if (mkdir(path, mode) == 0)
        return chmod(path, mode) == 0 ? NULL : cannot(arena, "Cannot set the mode of", path); /* whatever the umask is */
    return errno == EEXIST ? NULL : cannot(arena, "Cannot make the folder", path);
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

struct fault *files_remove_tree(struct arena *arena, const char *path)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? NULL : cannot(arena, "Cannot open the folder", path);
    if (fstat(fd, &status) != 0) {
        close(fd);
        return cannot(arena, "Cannot read the folder", path);
    }
    if (!remove_contents(fd, status.st_dev, 32) || (rmdir(path) != 0 && errno != ENOENT))
        return cannot(arena, "Cannot remove", path);
    return NULL;
}

const char *files_part_name(struct arena *arena, const char *path)
{
    return arena_printf(arena, "%s.%.8s.part", path, uuid_new_hex(arena));
}

struct fault *files_commit(struct arena *arena, const char *part, const char *path)
{
    int fd = open(part, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        struct fault *fault = cannot(arena, "Cannot finish", part);
        if (fd >= 0)
            close(fd);
        return fault;
    }
    close(fd);
    return rename(part, path) == 0 ? NULL : cannot(arena, "Cannot put in place", path);
}

struct fault *files_write(struct arena *arena, const char *path, const void *data, size_t length, mode_t mode)
{
    const char *part = files_part_name(arena, path);
    int fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return cannot(arena, "Cannot write", path);
    const char *at = data;
    ssize_t n = 0;
    while (length > 0 && ((n = write(fd, at, length)) > 0 || errno == EINTR)) {
        at += n > 0 ? n : 0;
        length -= n > 0 ? (size_t)n : 0;
    }
    if (length > 0 || fchmod(fd, mode) != 0 || rename(part, path) != 0) {
        struct fault *fault = cannot(arena, "Cannot write", path);
        close(fd);
        unlink(part);
        return fault;
    }
    close(fd);
    return NULL;
}

static bool read_from(struct arena *arena, const char *path, size_t limit, bool tail, char **ret_data, size_t *ret_length)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    off_t size = tail ? lseek(fd, 0, SEEK_END) : 0;
    off_t at = size > (off_t)limit ? size - (off_t)limit : 0;
    char *data = arena_alloc(arena, limit + 1);
    size_t length = 0;
    for (ssize_t n = 1; length < limit && n > 0; length += n > 0 ? (size_t)n : 0)
        n = pread(fd, data + length, limit - length, at + (off_t)length);
    close(fd);
    data[length] = '\0';
    *ret_data = data;
    *ret_length = length;
    return true;
}

char *files_read(struct arena *arena, const char *path, size_t limit)
{
    char *data;
    size_t length;
    if (!read_from(arena, path, limit, false, &data, &length))
        return NULL;
    if (length > 0 && data[length - 1] == '\n')
        data[length - 1] = '\0';
    return data;
}

bool files_tail(struct arena *arena, const char *path, size_t limit, char **ret_data, size_t *ret_length)
{
    return read_from(arena, path, limit, true, ret_data, ret_length);
}

bool files_exists(const char *path)
{
    return access(path, F_OK) == 0;
}
