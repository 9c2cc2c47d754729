/* SPDX-License-Identifier: Apache-2.0
 *
 * file: images as files named after their ids in one directory; on their way in as ".ID.part".
 */
#include "base/file.h"
#include "base/log.h"
#include "base/random.h"
#include "glance/store/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct image_store {
    char *directory;
    int fd; /* of the directory */
};

struct image_writer {
    struct image_store *store;
    int fd; /* locked */
    char id[UUID_TEXT];
    bool kept;
};

static struct fault *storage_fault(struct arena *arena, int error, const char *what)
{
    if (error == ENOSPC || error == EDQUOT || error == EFBIG)
        return fault_new(arena, 413, NULL,
            "Image storage media is full: There is not enough disk space on the image storage media.");
    if (error == EACCES || error == EROFS || error == EPERM)
        return fault_new(arena, 503, NULL,
            "Insufficient permissions on image storage media: Permission to write image storage media denied.");
    return fault_detail(arena, fault_new(arena, 500, NULL, "The image data could not be stored."), "%s: %s", what,
        strerror(error));
}

static void part_name(const char *id, char name[64])
{
    snprintf(name, 64, ".%s.part", id);
}

static struct fault *store_begin(struct arena *arena, struct image_store *store, const char *image_id,
    struct image_writer **ret)
{
    char name[64];
    part_name(image_id, name);
    int fd = openat(store->fd, name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0)
        return storage_fault(arena, errno, name);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        close(fd);
        return fault_new(arena, 409, NULL, "Image %s already exists!", image_id);
    }
    if (ftruncate(fd, 0) != 0) {
        int error = errno;
        close(fd);
        return storage_fault(arena, error, name);
    }
    struct image_writer *writer = calloc(1, sizeof(*writer));
    if (writer == NULL)
        abort();
    writer->store = store;
    writer->fd = fd;
    snprintf(writer->id, sizeof(writer->id), "%s", image_id);
    *ret = writer;
    return NULL;
}

static struct fault *store_write(struct arena *arena, struct image_writer *writer, const void *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = write(writer->fd, (const char *)data + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return storage_fault(arena, errno, writer->id);
        done += (size_t)n;
    }
    return NULL;
}

static struct fault *store_keep(struct arena *arena, struct image_writer *writer, const char **ret_url)
{
    char name[64];
    part_name(writer->id, name);
    if (fsync(writer->fd) != 0)
        return storage_fault(arena, errno, name);
    if (renameat(writer->store->fd, name, writer->store->fd, writer->id) != 0)
        return storage_fault(arena, errno, name);
    writer->kept = true;
    if (fsync(writer->store->fd) != 0)
        return storage_fault(arena, errno, writer->store->directory);
    *ret_url = arena_printf(arena, "file://%s/%s", writer->store->directory, writer->id);
    return NULL;
}

static void store_end(struct image_writer *writer)
{
    if (writer == NULL)
        return;
    if (!writer->kept) {
        char name[64];
        part_name(writer->id, name);
        unlinkat(writer->store->fd, name, 0);
    }
    close(writer->fd);
    free(writer);
}

/* The file's name below the directory, or NULL when the location is not one of this store. */
static const char *name_of(const struct image_store *store, const char *url)
{
    size_t length = strlen(store->directory);
    if (strncmp(url, "file://", 7) != 0 || strncmp(url + 7, store->directory, length) != 0 || url[7 + length] != '/')
        return NULL;
    const char *name = url + 7 + length + 1;
    return strchr(name, '/') == NULL && *name != '.' && *name != '\0' ? name : NULL;
}

static struct fault *store_open(struct arena *arena, struct image_store *store, const char *url, int *ret_fd,
    off_t *ret_size)
{
    struct stat status;
    const char *name = name_of(store, url);
    int fd = name == NULL ? -1 : openat(store->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &status) != 0) {
        if (fd >= 0)
            close(fd);
        return fault_new(arena, 404, NULL, "Image file %s not found", url);
    }
    *ret_fd = fd;
    *ret_size = status.st_size;
    return NULL;
}

static void store_remove(struct image_store *store, const char *url)
{
    const char *name = name_of(store, url);
    if (name != NULL && unlinkat(store->fd, name, 0) != 0 && errno != ENOENT)
        log_warning("glance.store", "cannot remove %s: %s", url, strerror(errno));
}

/* Removes a file unless somebody writes it now. */
static void remove_unlocked(struct image_store *store, const char *name)
{
    int fd = openat(store->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && unlinkat(store->fd, name, 0) == 0)
        log_info("glance.store", "removed %s, left by an upload that was cut off", name);
    close(fd);
}

static struct fault *store_sweep(struct arena *arena, struct image_store *store,
    bool (*known)(void *owner, const char *image_id), void *owner)
{
    int copy = openat(store->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = copy < 0 ? NULL : fdopendir(copy);
    if (directory == NULL)
        return storage_fault(arena, errno, store->directory);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        size_t length = strlen(entry->d_name);
        bool part = entry->d_name[0] == '.' && length > 6 && strcmp(entry->d_name + length - 5, ".part") == 0;
        if (part || (uuid_valid(entry->d_name) && !known(owner, entry->d_name)))
            remove_unlocked(store, entry->d_name);
    }
    closedir(directory);
    return NULL;
}

static bool store_busy(struct image_store *store, const char *image_id)
{
    char name[64];
    part_name(image_id, name);
    for (int i = 0; i < 2; i++) { /* on its way in, or in its place and not yet in the database */
        int fd = openat(store->fd, i == 0 ? name : image_id, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
            continue;
        bool locked = flock(fd, LOCK_EX | LOCK_NB) != 0;
        close(fd);
        if (locked)
            return true;
    }
    return false;
}

static void store_destroy(struct image_store *store)
{
    if (store == NULL)
        return;
    close(store->fd);
    free(store->directory);
    free(store);
}

struct fault *file_store_create(struct arena *arena, const char *directory, struct image_store **ret)
{
    TRY(folder_make(arena, directory, 0750, 0750));
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fault_new(arena, 500, NULL, "The image directory %s cannot be opened: %s", directory, strerror(errno));
    struct image_store *store = calloc(1, sizeof(*store));
    if (store == NULL)
        abort();
    store->directory = strdup(directory);
    store->fd = fd;
    *ret = store;
    return NULL;
}

const struct image_store_driver file_store_driver = {
    .scheme = "file",
    .begin = store_begin,
    .write = store_write,
    .keep = store_keep,
    .end = store_end,
    .open = store_open,
    .remove = store_remove,
    .sweep = store_sweep,
    .busy = store_busy,
    .destroy = store_destroy,
};
