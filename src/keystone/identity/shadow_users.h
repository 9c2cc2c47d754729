/* SPDX-License-Identifier: Apache-2.0
 *
 * shadow_users: the rows that stand for users whom an identity provider elsewhere knows, and what its mapping gives them:
 * memberships that end, projects and roles.
 */
#ifndef KEYSTONE_SHADOW_USERS_H
#define KEYSTONE_SHADOW_USERS_H

#include "keystone/entity.h"
#include "oslo/json.h"

struct federated_login {
    const char *idp_id, *idp_domain_id, *protocol_id;
    const char *unique_id, *display_name, *email; /* email NULL: not said */
    const char *const *group_ids;                 /* NULL-terminated */
    const json_t *projects;                       /* mapped projects with their roles, or NULL */
};

/* The id of the user, made or brought up to date in the transaction. Faults: 404 a role that is not there, 403 a role of
 * another domain. */
struct fault *shadow_user(struct tx *tx, struct context *cx, const struct federated_login *login, const char **ret_id);

/* The memberships that a mapping gave the user and that still hold; a group is there twice when two providers say so. */
struct expiring_membership {
    const char *group_id;
    int64_t end_us;
};
struct fault *expiring_memberships(struct tx *tx, const struct config *config, const char *user_id,
    struct expiring_membership **ret, size_t *ret_count);
/* Their groups alone, NULL-terminated. */
struct fault *expiring_groups(struct tx *tx, const struct config *config, const char *user_id, const char *const **ret);

/* The member "federated" of a user, [{"idp_id", "protocols": [{"protocol_id", "unique_id"}]}]: puts it in the place of what he
 * has (an empty one changes nothing; 400 when a provider or protocol is not there), and adds it to his document. */
struct fault *federated_objects_store(struct tx *tx, struct context *cx, const char *user_id, const char *name,
    const json_t *objects);
struct fault *federated_objects_add(struct tx *tx, const char *user_id, json_t *document);

/* The condition of ?idp_id=, protocol_id= and unique_id= on users; empty without them. */
struct condition federated_condition(struct request *rq);

/* Upstream's public id: SHA-256 over domain, kind ("user" or "group") and local id, in hexadecimal. */
const char *public_id(struct arena *arena, const char *domain_id, const char *kind, const char *local_id);

#endif
