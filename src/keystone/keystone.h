/* SPDX-License-Identifier: Apache-2.0
 *
 * keystone: the identity service, as of release 2023.1, API v3.
 *
 * What the all-in-one start needs to fill an empty database lies here; all of it finds what is there and leaves it.
 */
#ifndef KEYSTONE_KEYSTONE_H
#define KEYSTONE_KEYSTONE_H

#include "oslo/app.h"

extern const struct service keystone_service;

/* keystone-manage bootstrap: the default domain, the admin project, user and role, the roles member and reader, what they
 * imply, the admin's roles on the project and on the system, the region, the service and its endpoints. A user that is
 * there is enabled again, and gets the password if it is another. NULL members take the reference's names ("admin");
 * without URLs no service is made. Hashes a password: takes a fraction of a second. */
struct keystone_bootstrap {
    const char *username, *password;   /* the password is required */
    const char *project_name, *role_name;
    const char *region;                /* NULL: none */
    const char *service_name;          /* NULL: "keystone" */
    const char *public_url, *internal_url, *admin_url;
    bool mutable_roles;                /* admin, member and reader without the option immutable */
};
struct fault *keystone_bootstrap(struct context *cx, const struct keystone_bootstrap *bootstrap);

/* keystone-manage project_setup and user_setup, in the default domain; `id` NULL: a new one. A user that is there is
 * enabled and gets the password; 409 when he has another id. */
struct fault *keystone_setup_project(struct context *cx, const char *name, const char *id);
struct fault *keystone_setup_user(struct context *cx, const char *name, const char *password, const char *id);

/* A service's own user in the project "service" of the default domain, with the roles admin and service there. Its
 * password must be random and at least 24 characters long: it is hashed at the lowest cost, so that logging in is quick.
 * One that differs from the stored one replaces it. */
struct fault *keystone_ensure_service_user(struct context *cx, const char *name, const char *password);

/* A catalog entry of the type with its public, internal and admin endpoints at `url` in the region. The URL of endpoints
 * that are there is brought up to date. */
struct fault *keystone_ensure_service(struct context *cx, const char *type, const char *name, const char *description,
    const char *region, const char *url);

#endif
