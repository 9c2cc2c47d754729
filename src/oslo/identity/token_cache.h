/* SPDX-License-Identifier: Apache-2.0
 *
 * token_cache: what keystone said of tokens, shared by processes through memcached, with keystonemiddleware's keys and values
 * (token_crypt.h): {"token": {...}}, the body of GET /v3/auth/tokens. Private to oslo: identity.c asks here after its own memory.
 *
 * Revocations. keystone writes a new generation into memcached after each (when its [cache] section names the same servers),
 * and another 1.2 s later, when no other keystone believes in what was revoked any more. An entry of ours carries the
 * generation of its time, read in the same round trip: an older one is none. Every process looks once a second whether there
 * was a new one, and then forgets what it keeps in memory. So a revoked token lives for about a second, with several
 * keystones for two; without memcached, or when a middleware in Python wrote the entry, for token_cache_time, as upstream.
 *
 * Without memcache_security_strategy whoever reaches memcached can make tokens valid: it must be reachable by services alone.
 */
#ifndef OSLO_TOKEN_CACHE_H
#define OSLO_TOKEN_CACHE_H

#include "oslo/context.h"

/* Opens it when the configuration names servers: [keystone_authtoken] memcached_servers, for keystone [cache] memcache_servers.
 * Faults 500: a strategy without memcache_secret_key, a malformed server, no such backend. */
struct fault *token_cache_start(struct context *cx);
void token_cache_stop(struct app *app);

/* The body that keystone answered for the token, or NULL. In the arena. */
json_t *token_cache_get(struct context *cx, const char *token);
void token_cache_put(struct context *cx, const char *token, const json_t *body);

/* Whether the body must have the catalog, [keystone_authtoken] include_service_catalog: the services in Python that share the
 * entry take it from there. Nobody here reads it. */
bool token_cache_wants_catalog(const struct app *app);

/* keystone: something was revoked. Returns at once; the others are told within milliseconds. */
void token_cache_revoked(struct app *app);

#endif
