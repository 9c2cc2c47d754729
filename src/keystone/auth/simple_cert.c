/* SPDX-License-Identifier: Apache-2.0
 *
 * OS-SIMPLE-CERT: what PKI tokens were checked with. They are gone, and so are their certificates.
 */
#include "keystone/state.h"

static struct fault *gone(struct request *rq)
{
    return FAULT(RQ(rq), 410, NULL, "This API is no longer available due to the removal of support for PKI tokens.");
}

static const struct route rows[] = {
    ROUTE(GET, "/v3/OS-SIMPLE-CERT/ca",           NULL, gone, .flags = NO_TOKEN),
    ROUTE(GET, "/v3/OS-SIMPLE-CERT/certificates", NULL, gone, .flags = NO_TOKEN),
};

const struct route_table simple_cert_routes = ROUTES(rows);
