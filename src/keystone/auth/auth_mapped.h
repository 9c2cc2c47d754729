/* SPDX-License-Identifier: Apache-2.0
 *
 * auth_mapped: what else asks for identity providers.
 */
#ifndef KEYSTONE_AUTH_MAPPED_H
#define KEYSTONE_AUTH_MAPPED_H

#include "keystone/token/token.h"

/* The variable that says which provider asserts by this protocol; NULL: none. */
const char *remote_id_parameter(struct request *rq, const json_t *protocol);

/* 404 or 403 when the provider of a federated token is gone or disabled: it is exchanged for no other then. */
struct fault *federated_token_holds(struct context *cx, const struct token_claims *claims);

#endif
