/* SPDX-License-Identifier: Apache-2.0
 *
 * server_list: the handlers of GET /servers and GET /servers/detail.
 */
#ifndef NOVA_SERVER_LIST_H
#define NOVA_SERVER_LIST_H

#include "oslo/http.h"

struct fault *servers_index(struct request *rq);
struct fault *servers_detail(struct request *rq);

#endif
