/* SPDX-License-Identifier: Apache-2.0
 *
 * file: whole small files and folders. Each function is safe to repeat after a crash.
 *
 * A path is relative to the working folder or absolute; links are followed unless it is said. Faults are of status 500
 * and say the path and the system's reason.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/arena.h"
#include "base/fault.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

bool file_exists(const char *path);

/* The whole of a file, with a NUL behind it that *ret_length (may be NULL) does not count. NULL, with errno, when it cannot be
 * read or is longer than `limit` bytes (EFBIG). The size is not asked for, so files of /proc work. */
char *file_read(struct arena *arena, const char *path, size_t limit, size_t *ret_length);

/* The same for those who have no words of their own: *ret is NULL when there is no such file; all else is a fault. */
struct fault *file_load(struct arena *arena, const char *path, size_t limit, const char **ret);

/* The last `limit` bytes of a file, all of a shorter one. False, with errno, when it cannot be read. */
bool file_tail(struct arena *arena, const char *path, size_t limit, char **ret_data, size_t *ret_length);

/* The first bytes of a file into `to` of `size` > 0 bytes, a NUL behind them. How many, or -1 with errno. For callers
 * without an arena. */
ssize_t file_peek(const char *path, char *to, size_t size);

/* Writes a whole file by a temporary name beside it and a rename: a reader sees the old or the new one. The mode holds from
 * the first byte on, whatever the umask is. With FILE_SYNC it also outlives a power cut. */
enum file_sync { FILE_NO_SYNC, FILE_SYNC };
struct fault *file_write(struct arena *arena, const char *path, const void *data, size_t length, mode_t mode,
    enum file_sync sync);

/* For files that others fill: a name beside `path` that no one else uses, "<path>.<8 hex>.part" (what a crash leaves is found
 * by its ending), and putting the finished part in its place: fsync, then rename. */
const char *file_part_name(struct arena *arena, const char *path);
struct fault *file_commit(struct arena *arena, const char *part, const char *path);

/* Makes a folder with this mode, whatever the umask is, and its missing parents with `parents` less the umask. What exists is
 * left as it is. */
struct fault *folder_make(struct arena *arena, const char *path, mode_t parents, mode_t mode);

/* Removes a folder and all that is in it, 32 levels deep at most, following no link and leaving no file system. Absent is
 * fine. */
struct fault *folder_remove(struct arena *arena, const char *path);

#endif
