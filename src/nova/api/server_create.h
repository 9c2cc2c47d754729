/* SPDX-License-Identifier: Apache-2.0
 *
 * server_create: the handler of POST /servers.
 */
#ifndef NOVA_SERVER_CREATE_H
#define NOVA_SERVER_CREATE_H

#include "nova/api/api.h"

struct fault *servers_create(struct request *rq);

/* Bodies against the schema of the request's microversion. */
struct fault *server_create_validate(struct request *rq);
struct fault *server_update_validate(struct request *rq);

#endif
