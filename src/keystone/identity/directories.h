/* SPDX-License-Identifier: Apache-2.0
 *
 * directories: which domains have their users and groups in a directory (directory_driver.h), and the public ids of these.
 *
 * [identity] driver = ldap gives the default domain one; with domain_specific_drivers_enabled each domain may have one, by
 * its file keystone.NAME.conf or, with domain_configurations_from_database, by its stored configuration. A public id stands
 * in the table id_mapping, as upstream writes it; a user who logs in gets a row of its own (nonlocal_user), so that tokens
 * have rows to stand on. Whether he is still there and enabled, and which groups he is in, is asked of the directory whenever
 * a token is read, and remembered for a second.
 *
 * None of these may be called while a transaction is open: they wait for the directory.
 */
#ifndef KEYSTONE_DIRECTORIES_H
#define KEYSTONE_DIRECTORIES_H

#include "keystone/identity/directory_driver.h"
#include "keystone/state.h"
#include "oslo/json.h"

struct directories;
struct directory_of_domain;

/* NULL: no domain can have one. */
struct directories *directories_create(const struct app *app);
void directories_destroy(struct directories *directories);

/* The directory of a domain; *ret NULL when it has none. */
struct fault *directory_of(struct context *cx, const char *domain_id, struct directory_of_domain **ret);

/* The directory and local id behind a public id of a user or group; *ret NULL when it is of none. */
struct fault *directory_behind(struct context *cx, enum directory_kind kind, const char *id, struct directory_of_domain **ret,
    const char **ret_local_id);

/* As the driver's find(). */
struct fault *directory_find(struct context *cx, struct directory_of_domain *directory, enum directory_kind kind,
    enum directory_by by, const char *value, struct directory_entry **ret, size_t *ret_count);

/* Puts public ids in place of the entries' own, making those that are new. */
struct fault *directory_publish(struct context *cx, struct directory_of_domain *directory, enum directory_kind kind,
    struct directory_entry *entries, size_t count);

const char *directory_domain(const struct directory_of_domain *directory);
/* The domain's list_limit; 0: none. */
int64_t directory_list_limit(const struct context *cx, const struct directory_of_domain *directory);

/* A login: *ret_id is the public id of the user, with a row in the database, or NULL when name (or, with by_id, public id)
 * and password are not right or the user is disabled. */
struct fault *directory_login(struct context *cx, struct directory_of_domain *directory, bool by_id, const char *user,
    const char *password, const char **ret_id);
/* The same for somebody, by his name, whom a front web server has authenticated. */
struct fault *directory_admit(struct context *cx, struct directory_of_domain *directory, const char *name, const char **ret_id);

/* What a directory says of a user. */
struct directory_state {
    bool known;                   /* he is of a directory; else nothing below is said */
    bool there, enabled;
    int64_t read_us;              /* monotonic: when it said so */
    const char *const *group_ids; /* public ids of the groups that he is in, NULL-terminated, never NULL */
};
struct fault *directory_state(struct context *cx, const char *user_id, struct directory_state *ret);

#endif
