/* SPDX-License-Identifier: Apache-2.0
 *
 * ec2_signature: how requests to EC2 and S3 are signed, versions 0, 1, 2 and 4 (AWS General Reference, as
 * keystoneclient.contrib.ec2.utils reads it). Everything given comes from a client: what is missing or odd has no signature.
 */
#ifndef KEYSTONE_EC2_SIGNATURE_H
#define KEYSTONE_EC2_SIGNATURE_H

#include "base/arena.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* The signature of a request as the API describes it: {"params": {}, "verb", "host", "path", "headers": {}, "body_hash"}.
 * NULL: it cannot be signed. `host` replaces the request's when not NULL. */
const char *ec2_sign(struct arena *arena, const char *secret, const json_t *request, const char *host);

/* The signature of the text that an S3 client signed (version 1, or 4 when it begins with "AWS4"). NULL: it has none. */
const char *s3_sign(struct arena *arena, const char *secret, const char *text, size_t length);

/* The request's signature is its secret's; without the port of its host, too. Takes the same time for any wrong one. */
bool ec2_signature_right(struct arena *arena, const char *secret, const json_t *request);

/* Whether two texts are equal, in a time that says nothing about where they differ. */
bool ec2_same_text(const char *one, const char *other);

#endif
