/* SPDX-License-Identifier: Apache-2.0
 *
 * password: hashes of passwords, as keystone stores them (passlib's formats), and their check.
 *
 * Hashing costs a quarter of a second by design: only on the slow pool. Copies of a password are wiped.
 */
#ifndef KEYSTONE_PASSWORD_H
#define KEYSTONE_PASSWORD_H

#include "base/arena.h"
#include "base/fault.h"

#include <stdbool.h>
#include <stddef.h>

/* [identity] password_hash_algorithm and its neighbours. Zero takes the default. */
struct password_settings {
    const char *algorithm;   /* NULL, "bcrypt", "scrypt", "pbkdf2_sha512" */
    int rounds;              /* bcrypt 4-31 (12); scrypt 1-31, a power of two (16); pbkdf2 (25000) */
    int salt_size;           /* bytes, of scrypt and pbkdf2 (16), at most 96 */
    int scrypt_block_size;   /* 8 */
    int scrypt_parallelism;  /* 1 */
    size_t max_length;       /* bytes of a password (4096); bcrypt never looks at more than 72 */
    bool strict;             /* [DEFAULT] strict_password_check: a longer one is a fault, not cut */
};

/* Hashes. Faults: 403 PasswordVerificationError, a password that is too long with `strict`; 500, settings that are
 * out of range. */
struct fault *password_hash(struct arena *arena, const struct password_settings *settings, const char *password,
    const char **ret);

/* Compares in constant time. Knows bcrypt ($2a$ $2b$ $2x$ $2y$), $bcrypt-sha256$ (both versions), $scrypt$,
 * $pbkdf2-sha512$ and $6$; false for all else, and when one of the texts is NULL. Fault: as password_hash()'s 403. */
struct fault *password_verify(struct arena *arena, const struct password_settings *settings, const char *password,
    const char *hash, bool *ret);

#endif
