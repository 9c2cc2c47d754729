/* SPDX-License-Identifier: Apache-2.0
 *
 * token_crypt: how validated tokens are protected in memcached, byte for byte as keystonemiddleware's auth_token does it, so
 * that programs in Python and this one read each other's.
 *
 * Keys: HMAC-SHA384(memcache_secret_key, token + strategy), cut in three of 16 bytes: the key's name in memcached, the key of
 * the MAC, the key of the encryption. A value is base64(HMAC-SHA384(mac key, text)) + text, text = base64(data), and with
 * ENCRYPT data = IV + AES-128-CBC with PKCS#7 padding. Without a strategy the name is the SHA-256 of the token in hexadecimal
 * digits and the value is as it is. The token itself never leaves this process.
 */
#ifndef OSLO_TOKEN_CRYPT_H
#define OSLO_TOKEN_CRYPT_H

#include "base/arena.h"

#include <stdbool.h>
#include <stddef.h>

enum token_strategy { TOKEN_PLAIN, TOKEN_MAC, TOKEN_ENCRYPT };

struct token_keys {
    enum token_strategy strategy;
    char name[96]; /* the key in memcached: safe by its making */
    unsigned char mac[16], encryption[16];
};

/* False when OpenSSL fails. `secret` is not looked at with TOKEN_PLAIN. */
bool token_keys_derive(struct token_keys *keys, const char *token, const char *secret, enum token_strategy strategy);

/* NULL when OpenSSL fails. */
const char *token_protect(struct arena *arena, const struct token_keys *keys, const char *data, size_t length, size_t *ret_length);

/* The data, NUL-terminated, or NULL: too short, forged, torn, or wrongly padded. */
const char *token_unprotect(struct arena *arena, const struct token_keys *keys, const char *value, size_t length,
    size_t *ret_length);

#endif
