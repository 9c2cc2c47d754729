/* SPDX-License-Identifier: Apache-2.0
 *
 * oauth2: the parsers of OAuth2 clients' requests.
 */
#ifndef KEYSTONE_OAUTH2_H
#define KEYSTONE_OAUTH2_H

#include "base/arena.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* The first value of a name in "a=1&b=2" (application/x-www-form-urlencoded), decoded; NULL: absent. */
const char *oauth2_form_value(struct arena *arena, const char *form, size_t length, const char *name);

/* Name and password of "Authorization: Basic ...". False: it is none. */
bool oauth2_basic(struct arena *arena, const char *header, const char **ret_name, const char **ret_password);

/* The names in a certificate (PEM) as the variables of a web server: {"SSL_CLIENT_SUBJECT_DN_CN": "...",
 * "SSL_CLIENT_ISSUER_DN_O": "..."}. NULL: it is none. */
json_t *oauth2_certificate_names(struct arena *arena, const char *pem);

#endif
