/* SPDX-License-Identifier: Apache-2.0
 * identity/options: [keystone_authtoken], as keystonemiddleware's auth_token has it. See identity.h. */
#include "oslo/identity.h"
#include "oslo/rest/auth_options.h"

#define G "keystone_authtoken"

static const char *const strategies[] = { "None", "MAC", "ENCRYPT", "none", "mac", "encrypt", NULL };

static const struct option rows[] = {
    { G, "www_authenticate_uri",           OPTION_STR,  "http://127.0.0.1:5000",
        "Public identity endpoint, told to clients without a valid token.", .deprecated = OPTION_WORDS("auth_uri") },
    { G, "auth_url",                       OPTION_STR,  "http://127.0.0.1:5000", "Identity endpoint of this service." },
    { G, "auth_type",                      OPTION_STR,  "password", "How this service logs in." },
    { G, "user_domain_name",               OPTION_STR,  "Default",  "Domain of the service's user." },
    { G, "project_name",                   OPTION_STR,  "service",  "Project that the service logs in to." },
    { G, "project_domain_name",            OPTION_STR,  "Default",  "Domain of that project." },
    { G, "auth_version",                   OPTION_STR,  NULL,       "Version of the identity API: v3 is the only one." },
    { G, "interface",                      OPTION_STR,  "internal", "Interface of the identity endpoint: public, internal or admin." },
    { G, "region_name",                    OPTION_STR,  NULL,       "Region of the identity server." },
    { G, "delay_auth_decision",            OPTION_BOOL, "false",    "Known for existing files: routes say themselves whether they need a token." },
    { G, "http_connect_timeout",           OPTION_INT,  NULL,       "Seconds within which a connection to the identity server must come about.", .min = 1, .max = 3600 },
    { G, "http_request_max_retries",       OPTION_INT,  "3",        "How often a connection to the identity server is tried again.", .min = 0, .max = 100 },
    { G, "token_cache_time",               OPTION_INT,  "300",
        "Seconds for which a validated token is trusted without asking again; -1: none are kept.", .min = -1, .max = 86400 },
    { G, "memcached_servers",              OPTION_LIST, "",
        "host:port of memcached servers in which processes share tokens.", .deprecated = OPTION_WORDS("memcache_servers") },
    { G, "memcache_security_strategy",     OPTION_STR,  "None",
        "What is done to the tokens there: nothing, MAC (authenticated) or ENCRYPT (and encrypted).", .choices = strategies },
    { G, "memcache_secret_key",            OPTION_STR,  NULL,       "From which the keys of memcache_security_strategy are derived.", .secret = true },
    { G, "memcache_pool_dead_retry",       OPTION_INT,  "300",      "Seconds for which a server that did not answer is left alone.", .min = 1, .max = 86400 },
    { G, "memcache_pool_maxsize",          OPTION_INT,  "10",       "Connections to every server.", .min = 1, .max = 1000 },
    { G, "memcache_pool_socket_timeout",   OPTION_INT,  "3",        "Seconds after which a server is given up.", .min = 1, .max = 60 },
    { G, "memcache_pool_unused_timeout",   OPTION_INT,  "60",       "Seconds after which an unused connection is closed.", .min = 1, .max = 86400 },
    { G, "memcache_pool_conn_get_timeout", OPTION_INT,  "10",       "Seconds to wait for a free connection; then keystone is asked instead.", .min = 0, .max = 60 },
    { G, "memcache_use_advanced_pool",     OPTION_BOOL, "true",     "Known for existing files: connections are always pooled." },
    { G, "include_service_catalog",        OPTION_BOOL, "true",     "Whether tokens in memcached have the catalog, for services in Python that share them." },
    { G, "enforce_token_bind",             OPTION_STR,  "permissive", "Known for existing files: tokens are not bound." },
    { G, "service_token_roles",            OPTION_LIST, "service",  "Roles of which a service token needs one, so that an expired token is still taken." },
    { G, "service_token_roles_required",   OPTION_BOOL, "false",    "Whether a service token without such a role is refused." },
    { G, "service_type",                   OPTION_STR,  NULL,       "Type of this service, for tokens with access rules." },
    { G, "cache",                          OPTION_STR,  NULL,       "Known for existing files: a cache of Swift's that is not there." },
};
static const struct option_table table = OPTION_TABLE(rows);
static const struct option_table auth = AUTH_OPTIONS(G);

const struct option_table *const identity_option_tables[] = { &table, &auth, NULL };
