/* SPDX-License-Identifier: Apache-2.0
 *
 * credentials: secrets that keystone keeps for users, encrypted (EC2 keys, TOTP seeds, certificates, anything): what
 * authentication and users need of them.
 */
#ifndef KEYSTONE_CREDENTIALS_H
#define KEYSTONE_CREDENTIALS_H

#include "keystone/model.h"

struct credential {
    const char *id, *user_id, *type;
    const char *project_id;       /* NULL: none */
    const char *blob;             /* opened; of EC2 credentials: a JSON object */
    const char *extra;            /* a JSON object, or NULL */
};

/* NULL when there is none. Fault (500): one that no key opens. */
struct fault *credential_find(struct tx *tx, struct context *cx, const char *id, struct credential **ret);

/* Those of a user (NULL: any) and a type (NULL: any), oldest id first. */
struct fault *credentials_of(struct tx *tx, struct context *cx, const char *user_id, const char *type,
    struct credential **ret, size_t *ret_count);

/* A blob as the columns keep it: sealed, with the hash of the key that sealed it. */
struct fault *credential_seal(struct context *cx, const char *type, const char *blob, const char **ret_sealed,
    const char **ret_hash);

/* Writes a new row. Faults: 403 when the user has as many as he may, 409. */
struct fault *credential_insert(struct tx *tx, struct context *cx, const struct credential *credential, const char *sealed,
    const char *hash);

/* In a transaction of its own; one that is gone already is no fault. */
struct fault *credential_erase(struct context *cx, const char *id);

/* SHA-256 of an access key, in hexadecimal digits: the id of an EC2 credential. */
const char *credential_access_id(struct arena *arena, const char *access);

struct fault *credentials_end_of_user(struct tx *tx, const char *user_id);
struct fault *credentials_end_of_project(struct tx *tx, const char *project_id);

#endif
