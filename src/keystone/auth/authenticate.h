/* SPDX-License-Identifier: Apache-2.0
 *
 * authenticate: from the "auth" of a request to the claims of a token.
 */
#ifndef KEYSTONE_AUTHENTICATE_H
#define KEYSTONE_AUTHENTICATE_H

#include "keystone/token/token.h"

/* Who proved to be whom by POST /v3/auth/tokens; the claims lack what token_issue() sets. *ret_enough false: the user's rules
 * ask for more methods, and the request was answered with a receipt. */
struct fault *authenticate(struct request *rq, const json_t *auth, struct token_claims *ret, bool *ret_enough);

/* The user of an id and password, enabled and not locked: 401 otherwise. `expired_is_fine`: for the change of an expired
 * password. */
struct fault *authenticate_password(struct context *cx, const char *user_id, const char *password, bool expired_is_fine,
    struct user **ret);

#endif
