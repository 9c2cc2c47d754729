/* SPDX-License-Identifier: Apache-2.0
 *
 * token_payload: what a keystone token holds, in the formats of upstream's fernet provider, 2023.1. A payload is a
 * msgpack array: the version, then the fields of that version (the table in token_payload.c).
 */
#ifndef KEYSTONE_TOKEN_PAYLOAD_H
#define KEYSTONE_TOKEN_PAYLOAD_H

#include "base/arena.h"
#include "base/fault.h"
#include "keystone/token/fernet.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum token_version {
    TOKEN_UNSCOPED               = 0,
    TOKEN_DOMAIN                 = 1,
    TOKEN_PROJECT                = 2,
    TOKEN_TRUST                  = 3,
    TOKEN_FEDERATED              = 4,
    TOKEN_FEDERATED_PROJECT      = 5,
    TOKEN_FEDERATED_DOMAIN       = 6,
    TOKEN_OAUTH                  = 7,
    TOKEN_SYSTEM                 = 8,
    TOKEN_APPLICATION_CREDENTIAL = 9,
    TOKEN_OAUTH2_CREDENTIAL      = 10,
    TOKEN_VERSIONS,
};

/* Texts that the version does not have are NULL. Packing reads only those that it has. */
struct token_payload {
    enum token_version version;
    unsigned methods;              /* bit i: the i-th of [auth] methods */
    const char *user_id;
    const char *project_id;
    const char *domain_id;
    const char *system;            /* "all" */
    const char *trust_id;          /* must be 32 hexadecimal digits */
    const char *const *group_ids;  /* federated; NULL-terminated */
    const char *identity_provider_id;
    const char *protocol_id;
    const char *access_token_id;
    const char *app_cred_id;
    const char *thumbprint;
    const char *const *audit_ids;  /* base64url; NULL-terminated */
    int64_t expires_us;
};

/* Packs into the arena. Fault (500): an id that cannot be packed. Ids of 32 lower-case hexadecimal digits
 * take 16 bytes, others stay as they are. */
struct fault *token_pack(struct arena *arena, const struct token_payload *payload, const void **ret,
    size_t *ret_length);

/* Unpacks; texts are in the arena. Fault (404, as upstream's ValidationError): not a payload, or an unknown version.
 * Reads what keystone packed with msgpack before and since 1.0. */
struct fault *token_unpack(struct arena *arena, const void *data, size_t length, struct token_payload *ret);

/* The whole token: packed and sealed, without padding; and back. ret_issued_us may be NULL. Expiry is the caller's. */
struct fault *token_encode(struct arena *arena, struct fernet_keys *keys, const struct token_payload *payload,
    const char **ret);
struct fault *token_decode(struct arena *arena, struct fernet_keys *keys, const char *token,
    struct token_payload *ret, int64_t *ret_issued_us);

/* An auth receipt: [user, methods, expiry], sealed as a token is. The other members of the payload are not used. False: the
 * text is no receipt. */
struct fault *receipt_encode(struct arena *arena, struct fernet_keys *keys, const struct token_payload *payload,
    const char **ret);
bool receipt_unpack(struct arena *arena, const void *data, size_t length, struct token_payload *ret);
bool receipt_decode(struct arena *arena, struct fernet_keys *keys, const char *receipt, struct token_payload *ret,
    int64_t *ret_issued_us);

/* Method names to bits and back, by [auth] methods (`configured`, NULL-terminated). Names come highest bit first, as
 * upstream lists them. */
unsigned token_methods_bits(const char *const *configured, const char *const *methods);
const char *const *token_methods_names(struct arena *arena, const char *const *configured, unsigned methods);

/* A new audit id: 16 random bytes in base64url. */
const char *token_audit_id(struct arena *arena);

#endif
