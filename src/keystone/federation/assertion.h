/* SPDX-License-Identifier: Apache-2.0
 *
 * assertion: what a front web server asserts about whom it has authenticated, as variables like those of a WSGI server.
 *
 * Only a server that [federation] trusted_front_addresses names is believed, and only headers that begin with
 * [federation] trusted_header_prefix (which that server must take away from what its clients send; letters of any size, but '-'
 * is not '_'). "PREFIXOIDC-email: x" is the variable OIDC_email, and OIDC-email, and as WSGI names headers HTTP_OIDC_EMAIL and,
 * with the whole name, HTTP_PREFIX_OIDC_EMAIL: mappings that were made for a web server in the same process find theirs.
 * "PREFIXREMOTE-USER" is REMOTE_USER (as REMOTE_DOMAIN and AUTH_TYPE, in letters of any size). Of them those that begin with
 * [federation] assertion_prefix reach the mapping.
 */
#ifndef KEYSTONE_ASSERTION_H
#define KEYSTONE_ASSERTION_H

#include "keystone/state.h"
#include "oslo/json.h"

/* {"NAME": "value"}, empty when nobody trusted asserts anything. In the request's arena. */
json_t *assertion_read(struct request *rq);

/* One variable, whatever its prefix; NULL: absent. */
const char *assertion_variable(struct request *rq, const char *name);

#endif
