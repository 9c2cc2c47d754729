/* SPDX-License-Identifier: Apache-2.0
 *
 * revocation: events that end tokens before their time, in upstream's table, so that either program obeys the other's.
 */
#ifndef KEYSTONE_REVOCATION_H
#define KEYSTONE_REVOCATION_H

#include "keystone/token/token.h"

/* NULL members match every token. */
struct revocation {
    const char *user_id, *project_id, *domain_id, *role_id, *audit_id, *audit_chain_id;
    const char *trust_id, *consumer_id, *access_token_id;
};

/* Writes an event that covers what was issued until now, and prunes those that no token can outlive. */
struct fault *revocation_write(struct tx *tx, const struct config *config, const struct revocation *revocation);

/* Whether an event covers the token. */
struct fault *revocation_covers(struct tx *tx, const struct token *token, bool *ret);

#endif
