/* SPDX-License-Identifier: Apache-2.0
 *
 * directory_driver: users and groups that live in a directory of others (LDAP) and are only read here. A driver is a module
 * (ldap/), so that its library enters only processes whose configuration asks for it.
 *
 * Ids are the directory's own. All calls may wait for the directory, and are safe from many threads. What they return lives
 * in the caller's arena.
 */
#ifndef KEYSTONE_DIRECTORY_DRIVER_H
#define KEYSTONE_DIRECTORY_DRIVER_H

#include "base/arena.h"
#include "base/fault.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct config;

enum directory_kind { DIRECTORY_USERS, DIRECTORY_GROUPS };

/* Which of them: all, the one of an id, those of a name, the users of a group's id, the groups of a user's id. */
enum directory_by { DIRECTORY_ALL, DIRECTORY_BY_ID, DIRECTORY_BY_NAME, DIRECTORY_OF_GROUP, DIRECTORY_OF_USER };

struct directory_entry {
    const char *id, *name;
    const char *description, *email, *default_project_id; /* NULL: none */
    bool enabled;                                         /* users */
    json_t *more;                                         /* additional members, or NULL */
};

struct directory_driver {
    /* The configuration's [ldap]; it must outlive what is opened. Does not connect. */
    struct fault *(*open)(struct arena *arena, const struct config *config, void **ret);
    void (*close)(void *directory);
    /* `value` is the id or name; `limit` 0: no limit. Faults: 500, the directory cannot be reached or refuses us. */
    struct fault *(*find)(void *directory, struct arena *arena, enum directory_kind kind, enum directory_by by, const char *value,
        size_t limit, struct directory_entry **ret, size_t *ret_count);
    /* Whether the password is the user's; an empty one never is. */
    struct fault *(*authenticate)(void *directory, struct arena *arena, const char *user_id, const char *password, bool *ret);
};

#define DIRECTORY_LDAP_SYMBOL "keystone_ldap_driver"

#endif
