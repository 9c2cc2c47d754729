/* SPDX-License-Identifier: Apache-2.0
 *
 * What a user may scope to: the projects and domains that he has a role on, by himself or through a group, there or
 * handed down from above (auth/projects, auth/domains, users/{user_id}/projects).
 */
#include "keystone/model.h"
#include "keystone/projects.h"

#define ACTORS "(actor_id = ? OR actor_id IN (SELECT group_id FROM user_group_membership WHERE user_id = ?))"
/* Domain-specific roles count only for what they imply. */
#define COUNTED                                                                                                        \
    "role_id IN (SELECT id FROM role WHERE domain_id = '" ROLE_NO_DOMAIN "' UNION SELECT prior_role_id FROM implied_role)"
#define TARGETS(types, inherited)                                                                                      \
    "SELECT target_id FROM assignment WHERE " ACTORS " AND " COUNTED " AND type IN (" types ") AND inherited = " inherited

static const char my_domains[] = "id IN (" TARGETS("'UserDomain', 'GroupDomain'", "0") ")";
static const char my_projects[] =
    "id IN (" TARGETS("'UserProject', 'GroupProject'", "0") ")"
    " OR (is_domain = 0 AND domain_id IN (" TARGETS("'UserDomain', 'GroupDomain'", "1") "))"
    " OR id IN (WITH RECURSIVE below(id) AS (SELECT c.id FROM project c WHERE c.parent_id IN ("
    TARGETS("'UserProject', 'GroupProject'", "1")
    ") UNION SELECT c.id FROM project c JOIN below b ON c.parent_id = b.id) SELECT id FROM below)";

struct fault *projects_of_user_respond(struct request *rq, const char *user_id, bool domains)
{
    const struct sql_value user[] = { TEXT(user_id), TEXT(user_id), TEXT(user_id), TEXT(user_id), TEXT(user_id),
        TEXT(user_id) };
    const struct condition of_domains[] = { { my_domains, user, 2 }, { 0 } };
    const struct condition of_projects[] = { { my_projects, user, 6 }, { 0 } };

    return domains ? entity_list(rq, &domain_entity, of_domains) : entity_list(rq, &project_entity, of_projects);
}

struct fault *project_is_mine(struct tx *tx, const char *user_id, const char *project_id, bool *ret)
{
    const char *sql = arena_printf(tx_arena(tx), "SELECT COUNT(*) FROM project WHERE id = ? AND (%s)", my_projects);
    struct sql_value values[] = { TEXT(project_id), TEXT(user_id), TEXT(user_id), TEXT(user_id), TEXT(user_id),
        TEXT(user_id), TEXT(user_id) };
    int64_t count;

    TRY(sql_int_of(tx, &count, 0, sql, values, 7));
    *ret = count > 0;
    return NULL;
}
