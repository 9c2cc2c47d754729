/* SPDX-License-Identifier: Apache-2.0
 *
 * auth_mapped: what else asks for identity providers.
 */
#ifndef KEYSTONE_AUTH_MAPPED_H
#define KEYSTONE_AUTH_MAPPED_H

#include "keystone/state.h"

/* The variable that says which provider asserts by this protocol; NULL: none. */
const char *remote_id_parameter(struct request *rq, const json_t *protocol);

#endif
