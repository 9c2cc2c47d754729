/* SPDX-License-Identifier: Apache-2.0
 *
 * token_roles: which roles somebody has on a project, a domain or the system: directly, through groups, handed down by what
 * lies above, and all that these imply.
 *
 * Roles are marked in `marks` (reference->role_count booleans, zeroed by the caller); roles of domains are marked too.
 */
#ifndef KEYSTONE_TOKEN_ROLES_H
#define KEYSTONE_TOKEN_ROLES_H

#include "keystone/model.h"
#include "keystone/reference.h"

struct actor {
    const char *user_id;
    const char *const *group_ids; /* besides those that he is a member of; NULL-terminated, or NULL */
};

/* Each marks what the actor has there, with the roles that these imply. A project's are also those that the projects and the
 * domain above hand down. */
struct fault *roles_on_project(struct tx *tx, const struct reference *reference, const struct actor *actor,
    const struct project *project, bool *marks);
struct fault *roles_on_domain(struct tx *tx, const struct reference *reference, const struct actor *actor,
    const char *domain_id, bool *marks);
struct fault *roles_on_system(struct tx *tx, const struct reference *reference, const struct actor *actor, bool *marks);

/* All roles unmarked. In the arena. */
bool *roles_none(struct arena *arena, const struct reference *reference);

/* The marked roles, ids and names copied to the arena; `domain_roles`: those of domains too. */
void roles_listed(struct arena *arena, const struct reference *reference, const bool *marks, bool domain_roles,
    const struct identity_role **ret, size_t *ret_count);

#endif
