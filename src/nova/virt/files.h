/* SPDX-License-Identifier: Apache-2.0
 *
 * files: the few file operations that the drivers need, each safe to repeat.
 */
#ifndef NOVA_VIRT_FILES_H
#define NOVA_VIRT_FILES_H

#include "base/arena.h"
#include "base/fault.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Makes a folder and its missing parents (parents as 0711). An existing folder is left as it is. */
struct fault *files_make_folder(struct arena *arena, const char *path, mode_t mode);

/* Removes a folder and all that is in it, following no link and leaving no file system. Absent is fine. */
struct fault *files_remove_tree(struct arena *arena, const char *path);

/* Writes a whole file by a temporary name and a rename, so that a reader sees the old or the new one. */
struct fault *files_write(struct arena *arena, const char *path, const void *data, size_t length, mode_t mode);

/* A small text file without its last newline, at most `limit` bytes; NULL when it cannot be read. */
char *files_read(struct arena *arena, const char *path, size_t limit);

/* The last `limit` bytes of a file; fewer when it is shorter. False, with errno, when it cannot be read. */
bool files_tail(struct arena *arena, const char *path, size_t limit, char **ret_data, size_t *ret_length);

bool files_exists(const char *path);

/* A name beside `path` that no one else uses: "<path>.<8 hex>.part". What a crash leaves is found by its ending. */
const char *files_part_name(struct arena *arena, const char *path);

/* Puts a finished part in its place: fsync, then rename. */
struct fault *files_commit(struct arena *arena, const char *part, const char *path);

#endif
