/* SPDX-License-Identifier: Apache-2.0
 *
 * files: small files of the state directory, written whole: a reader sees the old one or the new one.
 */
#ifndef NUBO_FILES_H
#define NUBO_FILES_H

#include "base/arena.h"
#include "base/fault.h"

#include <stdbool.h>
#include <sys/types.h>

/* Reads at most 1 MiB; *ret NULL when there is no such file. */
struct fault *file_read(struct arena *arena, const char *path, const char **ret);

/* Writes through a temporary name, fsync and rename; the mode holds from the first byte on. */
struct fault *file_write(struct arena *arena, const char *path, mode_t mode, const char *text);

bool file_exists(const char *path);

/* Makes a directory and its parents (0755), the last one with this mode. An existing one is fine and left as it is. */
struct fault *directory_make(struct arena *arena, const char *path, mode_t mode);

#endif
