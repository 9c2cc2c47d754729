/* SPDX-License-Identifier: Apache-2.0
 *
 * jws: texts signed with ES256 in the compact form of RFC 7515, and the repositories of their keys as keystone keeps them: one
 * directory with private.pem, which signs, and one whose every file is a public key that may have signed. Interchangeable
 * with upstream in both directions.
 */
#ifndef KEYSTONE_JWS_H
#define KEYSTONE_JWS_H

#include "base/arena.h"
#include "base/fault.h"

#include <jansson.h>
#include <stdbool.h>

enum { JWS_TEXT_LIMIT = 16 << 10 }; /* characters of a text that we look at */

struct jws_keys;

/* Opens the repositories for signing and checking, shared by all threads. They are read again when they change. Fault (500):
 * no private key, no public key, or one that is none. */
struct fault *jws_keys_open(struct arena *arena, const char *public_directory, const char *private_directory,
    struct jws_keys **ret);

/* NULL is allowed. */
void jws_keys_close(struct jws_keys *keys);

/* Signs a payload. */
struct fault *jws_sign(struct arena *arena, struct jws_keys *keys, const json_t *payload, const char **ret);

/* The payload of a text that one of the public keys fits; NULL when there is none. Claims of time are the caller's. */
json_t *jws_open(struct arena *arena, struct jws_keys *keys, const char *text);

/* The parser alone: three parts of base64url, a header that says ES256, an object, a signature of 64 bytes. False when it is
 * not that. *ret_signed is how many characters were signed. */
bool jws_parse(struct arena *arena, const char *text, size_t *ret_signed, unsigned char *ret_signature, json_t **ret_payload);

#endif
