/* SPDX-License-Identifier: Apache-2.0
 *
 * session: a service's login with keystone, by the options of one section (auth_options.h), as keystoneauth's plugins and
 * sessions. The token and its catalog are kept, renewed before they expire and when they were refused. Sections without
 * options of their own log in as [keystone_authtoken] says. Private to oslo: services use rest.h.
 */
#ifndef OSLO_SESSION_H
#define OSLO_SESSION_H

#include "oslo/http_client.h"

struct rest_target;

/* The token of the section's user, in the arena. Faults 503 when keystone gives none. */
struct fault *session_token(struct context *cx, const char *group, const char **ret);

/* The token was refused: the next one is new, unless that happened already. */
void session_reject(struct app *app, const char *group, const char *token);

/* What the path of a call to this target is appended to: by endpoint_override, else by the catalog; identity falls back to
 * auth_url. Faults 503 when there is none. */
struct fault *session_endpoint(struct context *cx, const struct rest_target *target, const char **ret);

/* Time limits, retries and TLS of the section, into the exchange. */
void session_limits(const struct app *app, const char *group, struct http_exchange *exchange);

/* Where keystone is by [group] auth_url: as session_endpoint()'s. NULL: the section has none. */
const char *session_auth_base(struct context *cx, const char *group);

/* Forgets the tokens of an app that ends, and frees what they were kept in. */
void session_stop(struct app *app);

#endif
