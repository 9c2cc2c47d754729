/* SPDX-License-Identifier: Apache-2.0
 * cache/options: [cache], as oslo.cache has it. What keystone needs of it is where memcached is, so that other processes hear of
 * revocations (token_cache.h); its own answers come from memory and the database. */
#include "oslo/identity.h"
#include "oslo/options.h"

#define G "cache"

static const struct option rows[] = {
    { G, "enabled",                   OPTION_BOOL,  "false",                "Whether memcached is told of revocations." },
    { G, "backend",                   OPTION_STR,   "dogpile.cache.null",   "dogpile.cache.memcached, oslo_cache.memcache_pool and their like: memcached." },
    { G, "memcache_servers",          OPTION_LIST,  "localhost:11211",      "host:port of memcached servers." },
    { G, "memcache_dead_retry",       OPTION_INT,   "300",                  "Seconds for which a server that did not answer is left alone.", .min = 1, .max = 86400 },
    { G, "memcache_socket_timeout",   OPTION_FLOAT, "1.0",                  "Seconds after which a server is given up." },
    { G, "memcache_pool_maxsize",     OPTION_INT,   "10",                   "Connections to every server.", .min = 1, .max = 1000 },
    { G, "memcache_pool_unused_timeout", OPTION_INT, "60",                  "Seconds after which an unused connection is closed." },
    { G, "memcache_pool_connection_get_timeout", OPTION_INT, "10",          "Seconds to wait for a free connection." },
    { G, "tls_enabled",               OPTION_BOOL,  "false",                "memcached is not spoken to over TLS: setting this stops the start." },
    { G, "tls_cafile",                OPTION_STR,   NULL,                   "As tls_enabled." },
    { G, "tls_certfile",              OPTION_STR,   NULL,                   "As tls_enabled." },
    { G, "tls_keyfile",               OPTION_STR,   NULL,                   "As tls_enabled." },
    { G, "tls_allowed_ciphers",       OPTION_STR,   NULL,                   "As tls_enabled." },
    { G, "memcache_sasl_enabled",     OPTION_BOOL,  "false",                "As tls_enabled: there is no SASL." },
    { G, "expiration_time",           OPTION_INT,   "600",                  "Known for existing files: answers in memory end with every change." },
    { G, "config_prefix",             OPTION_STR,   "cache.oslo",           "Known for existing files." },
    { G, "backend_argument",          OPTION_MULTI, "",                     "Known for existing files: memcache_servers says where memcached is.", .secret = true },
    { G, "proxies",                   OPTION_LIST,  "",                     "Known for existing files." },
    { G, "debug_cache_backend",       OPTION_BOOL,  "false",                "Known for existing files." },
};
const struct option_table cache_options = OPTION_TABLE(rows);
