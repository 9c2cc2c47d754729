/* SPDX-License-Identifier: Apache-2.0
 *
 * url: a connection string as SQLAlchemy reads it, see db_settings in oslo/sql.h.
 */
#ifndef OSLO_SQL_MARIADB_URL_H
#define OSLO_SQL_MARIADB_URL_H

#include "base/fault.h"

enum { MARIADB_HOSTS = 16 };

struct mariadb_url {
    const char *user, *password, *schema; /* unescaped; NULL: not given */
    struct {
        const char *name; /* "[::1]" without its brackets */
        unsigned port;
    } hosts[MARIADB_HOSTS];
    size_t host_count;
    const char *unix_socket, *ssl_ca, *ssl_capath, *ssl_cert, *ssl_key, *ssl_key_password, *ssl_cipher;
    bool tls;          /* a ssl_ parameter asks for it: plain connections are refused then */
    bool verify_chain; /* ssl_verify_cert; when it is not said: a CA is named */
    bool verify_host;  /* ssl_check_hostname or ssl_verify_identity; when neither is said, or no CA: as verify_chain */
    unsigned connect_timeout_s, read_timeout_s; /* read_timeout 0: none */
};

/* Everything lives in the arena. Fault 500 that names what is wrong, never the password. */
struct fault *mariadb_url_parse(struct arena *arena, const char *text, struct mariadb_url *ret);

#endif
