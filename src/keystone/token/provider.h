/* SPDX-License-Identifier: Apache-2.0
 *
 * provider: token claims sealed into text and opened again: upstream's payloads in upstream's Fernet tokens, or in JWS tokens
 * when [token] provider says so.
 */
#ifndef KEYSTONE_PROVIDER_H
#define KEYSTONE_PROVIDER_H

#include "keystone/token/token.h"

/* The text of a token, and the moment in it. */
struct fault *provider_seal(struct context *cx, const struct token_claims *claims, const char **ret_text,
    int64_t *ret_issued_us);

/* False when the text is no token of ours. The claims live in the arena. Expiry is the caller's to check. */
bool provider_open(struct context *cx, struct arena *arena, const char *text, struct token_claims *ret);

/* The same by provider_jws.c. */
struct fault *provider_jws_seal(struct context *cx, const struct token_claims *claims, const char **ret_text);
bool provider_jws_open(struct context *cx, struct arena *arena, const char *text, struct token_claims *ret);

#endif
