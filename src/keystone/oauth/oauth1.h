/* SPDX-License-Identifier: Apache-2.0
 *
 * oauth1: what tokens need of OS-OAUTH1: a user lets a consumer (a program with a secret) act with some of his roles on one
 * project, by an access token.
 */
#ifndef KEYSTONE_OAUTH1_H
#define KEYSTONE_OAUTH1_H

#include "keystone/model.h"

struct access_token {
    const char *id, *secret, *user_id, *project_id, *consumer_id;
    const json_t *role_ids;
    const char *expires_at; /* NULL: never */
};

/* NULL when there is none; *ret lives in the transaction's arena. */
struct fault *access_token_find(struct tx *tx, const char *id, struct access_token **ret);

#endif
