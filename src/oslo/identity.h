/* SPDX-License-Identifier: Apache-2.0
 *
 * identity: who calls? The token check of every service, as keystonemiddleware's auth_token does it.
 *
 * A token is validated by GET /v3/auth/tokens of keystone with this service's own token, and what came back is kept in
 * memory under the token's SHA-256 until it expires, is pushed out, or any revocation happened: keystone calls
 * identity_revoked() after each, and every cached caller is then asked for again. With memcached_servers what came back is
 * shared with other processes, and so are revocations (token_cache.h). Requests that come at the same time with a token that
 * nobody knows make one validation. keystone is away: 503; it says no: 401 with WWW-Authenticate.
 */
#ifndef OSLO_IDENTITY_H
#define OSLO_IDENTITY_H

#include "oslo/http.h"

/* Fills rq->cx.caller from X-Auth-Token (and X-Service-Token), or faults 401. */
struct fault *identity_authenticate(struct request *rq);

/* Whether authenticating this request would wait for another process: then it belongs on the slow pool. */
bool identity_waits(const struct request *rq);

/* keystone: something was revoked. Every process hears of it, this one at once. */
void identity_revoked(struct app *app);
/* Forgets every validated token of this process. */
void identity_forget(void);
/* The number of identity_forget() calls so far; caches built on tokens compare it. */
uint64_t identity_generation(void);

/* The policy engine's view of a caller. */
struct policy_credentials;
void identity_credentials(const struct caller *caller, struct policy_credentials *ret);

/* Before the service's roles start; stops before its pools do. */
struct fault *identity_start(struct context *cx);
void identity_stop(struct app *app);

/* [keystone_authtoken], NULL-terminated: every service that checks tokens has them. */
extern const struct option_table *const identity_option_tables[];

/* [cache], for keystone. */
extern const struct option_table cache_options;

/* Code of the 401 that is rendered as auth_token renders it, whatever the service's dialect. */
extern const char IDENTITY_UNAUTHORIZED[];

#endif
