/* SPDX-License-Identifier: Apache-2.0
 *
 * fernet_repository: setup, rotation and reading of the key files, in the steps of keystone, so that both may work on
 * one repository: a new key is written as 0.tmp, 0 is renamed to the new primary, 0.tmp to 0.
 */
#include "keystone/token/fernet_repository.h"

#include "base/base64url.h"
#include "base/log.h"
#include "base/random.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MODULE       "keystone.common.fernet_utils"
#define MODULE_UTILS "keystone.common.utils"

enum { NUMBER_LIMIT = 1000000000, KEY_TEXT = 44 };

static struct fault *failed(struct arena *arena, const char *what, const char *path)
{
    return fault_new(arena, 500, NULL, "Key repository: cannot %s %s: %s", what, path, strerror(errno));
}

static int descending(const void *a, const void *b)
{
    long left = *(const long *)a, right = *(const long *)b;

    return left < right ? 1 : left > right ? -1 : 0;
}

/* The number a file name is, or -1. */
static long number_of(const char *name)
{
    char *end;
    long number;

    if (*name < '0' || *name > '9' || strlen(name) > 10)
        return -1;
    number = strtol(name, &end, 10);
    return *end == '\0' && number < NUMBER_LIMIT ? number : -1;
}

/* The numbers of the key files, highest first. */
static struct fault *list_numbers(struct arena *arena, const char *directory, long *numbers, size_t *ret_count)
{
    DIR *stream = opendir(directory);
    struct dirent *entry;
    size_t count = 0;

    *ret_count = 0;
    if (stream == NULL && errno == ENOENT)
        return NULL;
    if (stream == NULL)
        return failed(arena, "read", directory);
    while ((entry = readdir(stream)) != NULL && count < FERNET_KEYS_LIMIT)
        if (number_of(entry->d_name) >= 0)
            numbers[count++] = number_of(entry->d_name);
    closedir(stream);
    qsort(numbers, count, sizeof(*numbers), descending);
    *ret_count = count;
    return NULL;
}

static const char *path_in(struct arena *arena, const char *directory, const char *name)
{
    size_t length = strlen(directory);

    while (length > 1 && directory[length - 1] == '/')
        length--;
    return arena_printf(arena, "%.*s/%s", (int)length, directory, name);
}

static const char *path_of(struct arena *arena, const char *directory, long number)
{
    return path_in(arena, directory, arena_printf(arena, "%ld", number));
}

/* False in *ret_found for an empty file (one that a failing disk left; as keystone). */
static struct fault *read_key(struct arena *arena, const char *path, unsigned char *ret_key, bool *ret_found)
{
    char text[KEY_TEXT + 16];
    unsigned char *key;
    size_t key_length;
    ssize_t length;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool good;

    *ret_found = false;
    if (fd < 0 && errno == ENOENT) /* purged by a rotation meanwhile */
        return NULL;
    if (fd < 0)
        return failed(arena, "open", path);
    length = read(fd, text, sizeof(text));
    close(fd);
    if (length < 0)
        return failed(arena, "read", path);
    while (length > 0 && strchr(" \t\r\n", text[length - 1]) != NULL)
        length--;
    if (length == 0) {
        log_warning(MODULE, "Ignoring empty key found in key repository: %s", path);
        return NULL;
    }
    good = base64url_decode(arena, text, (size_t)length, &key, &key_length) && key_length == FERNET_KEY_SIZE;
    OPENSSL_cleanse(text, sizeof(text));
    if (!good)
        return fault_new(arena, 500, NULL, "Key repository: %s is not a Fernet key: 32 bytes in base64url", path);
    memcpy(ret_key, key, FERNET_KEY_SIZE);
    OPENSSL_cleanse(key, key_length);
    *ret_found = true;
    return NULL;
}

struct fault *fernet_read_keys(struct arena *arena, const char *directory,
    unsigned char (*ret_keys)[FERNET_KEY_SIZE], size_t *ret_count)
{
    long numbers[FERNET_KEYS_LIMIT];
    size_t files, count = 0;

    TRY(list_numbers(arena, directory, numbers, &files));
    for (size_t i = 0; i < files; i++) {
        bool found;

        TRY(read_key(arena, path_of(arena, directory, numbers[i]), ret_keys[count], &found));
        count += found;
    }
    *ret_count = count;
    return NULL;
}

/* Both must be on the disk before a token depends on them. */
static struct fault *sync_directory(struct arena *arena, const char *directory)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = fd >= 0 && fsync(fd) == 0;

    if (fd >= 0)
        close(fd);
    return good ? NULL : failed(arena, "sync", directory);
}

static struct fault *write_temporary(struct arena *arena, const char *directory, const struct fernet_owner *owner)
{
    const char *path = path_in(arena, directory, "0.tmp");
    unsigned char key[FERNET_KEY_SIZE];
    char *text;
    int fd;
    bool good;

    random_bytes(key, sizeof(key));
    text = arena_printf(arena, "%s=", base64url_encode(arena, key, sizeof(key)));
    OPENSSL_cleanse(key, sizeof(key));
    (void)unlink(path);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    good = fd >= 0 && (owner == NULL || fchown(fd, owner->user, owner->group) == 0) &&
        write(fd, text, KEY_TEXT) == KEY_TEXT && fsync(fd) == 0;
    OPENSSL_cleanse(text, KEY_TEXT);
    if (fd >= 0)
        close(fd);
    if (good) {
        log_info(MODULE, "Created a new temporary key: %s", path);
        return NULL;
    }
    (void)unlink(path);
    return failed(arena, "write", path);
}

static struct fault *stage_temporary(struct arena *arena, const char *directory)
{
    if (rename(path_in(arena, directory, "0.tmp"), path_of(arena, directory, 0)) != 0)
        return failed(arena, "rename", path_in(arena, directory, "0.tmp"));
    log_info(MODULE, "Become a valid new key: %s", path_of(arena, directory, 0));
    return sync_directory(arena, directory);
}

static void log_rotation(struct arena *arena, const char *directory, const long *numbers, size_t count)
{
    const char *list = "";

    for (size_t i = count; i > 0; i--)
        list = arena_printf(arena, "%s%s'%s'", list, *list != '\0' ? ", " : "", path_of(arena, directory, numbers[i - 1]));
    log_info(MODULE, "Starting key rotation with %zu key files: [%s]", count, list);
}

struct fault *fernet_rotate_for(struct arena *arena, const char *directory, int max_active_keys,
    const struct fernet_owner *owner)
{
    long numbers[FERNET_KEYS_LIMIT];
    size_t count, kept;

    TRY(list_numbers(arena, directory, numbers, &count));
    if (count == 0 || numbers[count - 1] != 0)
        return fault_new(arena, 500, "KeysNotFound", "Key repository %s has no staged key 0; run keystone-manage "
            "fernet_setup to bootstrap one.", directory);
    log_rotation(arena, directory, numbers, count);
    TRY(write_temporary(arena, directory, owner));
    log_info(MODULE, "Current primary key is: %ld", numbers[0]);
    log_info(MODULE, "Next primary key will be: %ld", numbers[0] + 1);
    if (rename(path_of(arena, directory, 0), path_of(arena, directory, numbers[0] + 1)) != 0)
        return failed(arena, "rename", path_of(arena, directory, 0));
    log_info(MODULE, "Promoted key 0 to be the primary: %ld", numbers[0] + 1);
    TRY(stage_temporary(arena, directory));
    /* Active are the staged key, the new primary and the highest of the others. */
    kept = max_active_keys > 2 ? (size_t)max_active_keys - 2 : 0;
    for (size_t i = kept; i + 1 < count; i++) {
        log_info(MODULE, "Excess key to purge: %s", path_of(arena, directory, numbers[i]));
        if (unlink(path_of(arena, directory, numbers[i])) != 0 && errno != ENOENT)
            return failed(arena, "remove", path_of(arena, directory, numbers[i]));
    }
    return sync_directory(arena, directory);
}

struct fault *fernet_rotate(struct arena *arena, const char *directory, int max_active_keys)
{
    return fernet_rotate_for(arena, directory, max_active_keys, NULL);
}

/* The directory and its parents, private, as keystone makes them. */
static struct fault *make_directory(struct arena *arena, const char *directory, const struct fernet_owner *owner)
{
    char *path = arena_strdup(arena, directory);

    if (access(directory, F_OK) == 0)
        return NULL;
    log_info(MODULE_UTILS, "%s does not appear to exist; attempting to create it", path);
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST)
            return failed(arena, "create", path);
        *slash = '/';
    }
    if (mkdir(directory, 0700) != 0 && errno != EEXIST)
        return failed(arena, "create", directory);
    if (owner != NULL && chown(directory, owner->user, owner->group) != 0)
        return failed(arena, "give away", directory);
    return NULL;
}

struct fault *fernet_setup_for(struct arena *arena, const char *directory, int max_active_keys,
    const struct fernet_owner *owner)
{
    struct stat status;

    TRY(make_directory(arena, directory, owner));
    if (stat(directory, &status) == 0 && (status.st_mode & (S_IROTH | S_IXOTH)) != 0)
        log_warning(MODULE, "key_repository is world readable: %s", directory);
    if (access(path_of(arena, directory, 0), F_OK) == 0) {
        log_info(MODULE, "Key repository is already initialized; aborting.");
        return NULL;
    }
    TRY(write_temporary(arena, directory, owner));
    TRY(stage_temporary(arena, directory));
    return fernet_rotate_for(arena, directory, max_active_keys, owner);
}

struct fault *fernet_setup(struct arena *arena, const char *directory, int max_active_keys)
{
    if (access(path_of(arena, directory, 0), F_OK) == 0)
        return NULL;
    return fernet_setup_for(arena, directory, max_active_keys, NULL);
}
