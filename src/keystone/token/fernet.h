/* SPDX-License-Identifier: Apache-2.0
 *
 * fernet: sealed texts (the Fernet specification: AES-128-CBC, HMAC-SHA256) and the repository of their keys, as
 * keystone keeps it: a directory of files named by number, each a key in base64url. The highest number is the primary
 * key, which seals; all open; 0 is the staged key, the next primary. Interchangeable with upstream in both directions.
 */
#ifndef KEYSTONE_FERNET_H
#define KEYSTONE_FERNET_H

#include "base/arena.h"
#include "base/fault.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { FERNET_TOKEN_LIMIT = 32 << 10 }; /* characters of a token that we look at */

struct fernet_keys;

/* To whom a program that root runs gives what it makes. */
struct fernet_owner {
    uid_t user;
    gid_t group;
};

/* Makes the repository (mode 0700) with a staged and a primary key (mode 0600), as keystone-manage fernet_setup and
 * credential_setup. One that has a key 0 stays as it is. */
struct fault *fernet_setup(struct arena *arena, const char *directory, int max_active_keys);
struct fault *fernet_setup_for(struct arena *arena, const char *directory, int max_active_keys,
    const struct fernet_owner *owner); /* NULL: who runs this */

/* The staged key becomes the primary, a new one is staged, the oldest go until max_active_keys (>= 1) are left. */
struct fault *fernet_rotate(struct arena *arena, const char *directory, int max_active_keys);
struct fault *fernet_rotate_for(struct arena *arena, const char *directory, int max_active_keys,
    const struct fernet_owner *owner);

/* Opens a repository for sealing and opening, shared by all threads. It is read again when the directory changes.
 * null_key: a key of zeros opens too, and seals when there is no other (as keystone does for credentials). Fault (500):
 * KeysNotFound. */
struct fault *fernet_keys_open(struct arena *arena, const char *directory, bool null_key, struct fernet_keys **ret);

/* Wipes the keys. NULL is allowed. */
void fernet_keys_close(struct fernet_keys *keys);

/* Seals `length` bytes into base64url. With `padding` as Fernet has it, without as keystone's tokens are. */
struct fault *fernet_encrypt(struct arena *arena, struct fernet_keys *keys, const void *data, size_t length,
    bool padding, const char **ret);

/* Seals with padding and says by which key: what upstream keeps beside a credential, so that a rotation finds those that an
 * older key sealed. */
struct fault *fernet_encrypt_hashed(struct arena *arena, struct fernet_keys *keys, const void *data, size_t length,
    const char **ret, const char **ret_hash);
/* SHA-1 of a key's text (32 bytes of key), in hexadecimal digits. */
const char *fernet_key_hash(struct arena *arena, const unsigned char *bytes);

/* Opens a token, padded or not. False when no key fits it or it is not one. The data is in the arena, with a NUL behind
 * it; ret_issued_s (may be NULL) is when it was sealed, in seconds since 1970. */
bool fernet_decrypt(struct arena *arena, struct fernet_keys *keys, const char *token, void **ret_data,
    size_t *ret_length, int64_t *ret_issued_s);

#endif
