/* SPDX-License-Identifier: Apache-2.0
 *
 * url: transport_url, as oslo.messaging reads it:
 *
 *     driver://[user:password@]host[:port][,[user:password@]host[:port]...]/[virtual_host][?name=value&...]
 *
 * Percent escapes are taken out of users, passwords, the virtual host and the query. IPv6 addresses stand in brackets. A host
 * without a user has that of the host before it.
 */
#ifndef OSLO_MESSAGING_URL_H
#define OSLO_MESSAGING_URL_H

#include "base/fault.h"

#include <stddef.h>

struct messaging_host {
    const char *user, *password; /* NULL: none */
    const char *host;
    int port; /* 0: the driver's own */
};

struct messaging_url {
    const char *scheme;
    const struct messaging_host *hosts;
    size_t host_count;
    const char *virtual_host; /* "" when none */
    const char *const *query; /* name, value, ..., NULL */
};

/* All texts live in the arena. Fault 500 InvalidTransportURL, in words without the password. */
struct fault *messaging_url_parse(struct arena *arena, const char *text, struct messaging_url *ret);

/* A value of the query, or NULL. */
const char *messaging_url_query(const struct messaging_url *url, const char *name);

#endif
