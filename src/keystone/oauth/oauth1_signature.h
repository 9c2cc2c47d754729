/* SPDX-License-Identifier: Apache-2.0
 *
 * oauth1_signature: the header "Authorization: OAuth ..." of a request, and whether it is signed rightly (RFC 5849).
 */
#ifndef KEYSTONE_OAUTH1_SIGNATURE_H
#define KEYSTONE_OAUTH1_SIGNATURE_H

#include "base/arena.h"

#include <stdbool.h>
#include <stddef.h>

struct oauth1_pair {
    const char *name, *value; /* decoded */
};

struct oauth1_header {
    struct oauth1_pair *pairs;
    size_t count;
};

/* Reads a header. False when it is none, or has too many parameters. */
bool oauth1_parse(struct arena *arena, const char *header, struct oauth1_header *ret);

/* A parameter's value; NULL when it is absent. */
const char *oauth1_parameter(const struct oauth1_header *header, const char *name);

/* What is wrong with a request before anybody looks at its signature, in oauthlib's words; NULL: nothing. `error` is its word. */
const char *oauth1_problem(struct arena *arena, const struct oauth1_header *header, long long now_s, const char **ret_error);

/* Whether the signature is that of the method, the URL (without query), the query's parameters and the header's, under
 * both secrets (token_secret "" when there is no token yet). HMAC-SHA1, HMAC-SHA256, HMAC-SHA512,
 * PLAINTEXT. By RSA it never is: keystone keeps no key of a consumer (the reference asks oauthlib to check with an empty one,
 * and fails with a 500). */
bool oauth1_signature_right(struct arena *arena, const struct oauth1_header *header, const char *method, const char *url,
    const struct oauth1_pair *query, size_t query_count, const char *consumer_secret, const char *token_secret);

#endif
