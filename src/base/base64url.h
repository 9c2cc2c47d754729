/* SPDX-License-Identifier: Apache-2.0
 *
 * base64url: bytes as text that URLs and file names take (RFC 4648, section 5).
 */
#ifndef BASE_BASE64URL_H
#define BASE_BASE64URL_H

#include "base/arena.h"

#include <stdbool.h>
#include <stddef.h>

/* In the arena, without padding. */
const char *base64url_encode(struct arena *arena, const void *data, size_t length);

/* The way back, padded or not: into the arena. False for what is no base64url, and where bits that mean nothing are set: one value
 * has one text. */
bool base64url_decode(struct arena *arena, const char *text, size_t length, unsigned char **ret, size_t *ret_length);

#endif
