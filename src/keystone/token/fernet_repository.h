/* SPDX-License-Identifier: Apache-2.0
 *
 * fernet_repository: the files of a key repository, for fernet.c alone.
 */
#ifndef KEYSTONE_FERNET_REPOSITORY_H
#define KEYSTONE_FERNET_REPOSITORY_H

#include "keystone/token/fernet.h"

enum { FERNET_KEY_SIZE = 32, FERNET_KEYS_LIMIT = 256 };

/* Reads the keys, the highest number first. Files that are not named by a number, and empty ones, do not count. An
 * absent directory has none. Fault (500): a key that is none. */
struct fault *fernet_read_keys(struct arena *arena, const char *directory,
    unsigned char (*ret_keys)[FERNET_KEY_SIZE], size_t *ret_count);

#endif
