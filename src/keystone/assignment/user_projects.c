/* SPDX-License-Identifier: Apache-2.0
 *
 * What a user may scope to: the projects and domains that he has a role on, by himself or through a group, there or
 * handed down from above (auth/projects, auth/domains, users/{user_id}/projects).
 */
#include "base/buf.h"
#include "keystone/identity/directories.h"
#include "keystone/identity/shadow_users.h"
#include "keystone/model.h"
#include "keystone/resource/projects.h"
#include "keystone/token/token.h"

#include <string.h>

struct fault *actor_of(struct context *cx, const char *user_id, struct actor *ret)
{
    const char *const *lists[3] = { NULL };
    struct directory_state state;
    size_t count = 0;
    struct tx *tx;

    TRY(directory_state(cx, user_id, &state));
    lists[0] = state.group_ids;
    TRY(db_read(cx->arena, cx->app->db, &tx));
    struct fault *fault = expiring_groups(tx, cx->app->config, user_id, &lists[1]);
    tx_end(tx);
    if (fault != NULL)
        return fault;
    if (cx->caller != NULL && cx->caller->details != NULL && strcmp(cx->caller->user_id, user_id) == 0)
        lists[2] = token_details(cx->caller)->token->claims.group_ids;
    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; lists[i] != NULL && lists[i][k] != NULL; k++)
            count++;
    const char **all = ARENA_ARRAY(cx->arena, const char *, count + 1);
    count = 0;
    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; lists[i] != NULL && lists[i][k] != NULL; k++)
            all[count++] = lists[i][k];
    *ret = (struct actor){ user_id, all };
    return NULL;
}

/* A condition that is being made: its values come in the order of its text. */
struct making {
    struct arena *arena;
    const struct actor *actor;
    size_t groups;
    struct sql_value *values;
    size_t count;
};

/* The targets of the actor's roles. Domain-specific roles count only for what they imply. */
static const char *targets(struct making *making, const char *types, bool inherited)
{
    making->values[making->count++] = TEXT(making->actor->user_id);
    making->values[making->count++] = TEXT(making->actor->user_id);
    for (size_t i = 0; i < making->groups; i++)
        making->values[making->count++] = TEXT(making->actor->group_ids[i]);
    struct buf groups = { 0 };
    for (size_t i = 0; i < making->groups; i++)
        buf_puts(&groups, " UNION ALL SELECT ?");
    /* The actors as one list, so that the rows are found by type and actor. */
    const char *sql = arena_printf(making->arena, "SELECT target_id FROM assignment WHERE type IN (%s) AND actor_id IN (SELECT ?"
        " UNION ALL SELECT group_id FROM user_group_membership WHERE user_id = ?%s)"
        " AND role_id IN (SELECT id FROM role WHERE domain_id = '" ROLE_NO_DOMAIN "' UNION SELECT prior_role_id FROM implied_role)"
        " AND inherited = %d", types, buf_text(&groups), inherited);
    buf_release(&groups);
    return sql;
}

static struct condition mine(struct arena *arena, const struct actor *actor, bool domains)
{
    static const char of_projects[] = "'UserProject', 'GroupProject'", of_domains[] = "'UserDomain', 'GroupDomain'";
    struct making making = { .arena = arena, .actor = actor };

    while (actor->group_ids != NULL && actor->group_ids[making.groups] != NULL)
        making.groups++;
    making.values = ARENA_ARRAY(arena, struct sql_value, 3 * (making.groups + 2));
    if (domains) {
        const char *direct = targets(&making, of_domains, false);
        return (struct condition){ arena_printf(arena, "id IN (%s)", direct), making.values, making.count };
    }
    /* One subquery, so that the rows are found by their ids. */
    const char *above = targets(&making, of_projects, true);
    const char *direct = targets(&making, of_projects, false);
    const char *handed_down = targets(&making, of_domains, true);
    const char *sql = arena_printf(arena, "id IN (WITH RECURSIVE below(id) AS (SELECT c.id FROM project c WHERE c.parent_id IN (%s)"
        " UNION SELECT c.id FROM project c JOIN below b ON c.parent_id = b.id) SELECT id FROM below UNION %s UNION SELECT d.id FROM"
        " project d WHERE d.is_domain = 0 AND d.domain_id IN (%s))", above, direct, handed_down);
    return (struct condition){ sql, making.values, making.count };
}

struct fault *projects_of_user_respond(struct request *rq, const char *user_id, bool domains)
{
    struct condition conditions[2] = { { 0 } };
    struct actor actor;

    TRY(actor_of(RQ(rq), user_id, &actor));
    conditions[0] = mine(rq->cx.arena, &actor, domains);
    return entity_list(rq, domains ? &domain_entity : &project_entity, conditions);
}

struct fault *project_is_mine(struct tx *tx, const struct actor *actor, const char *project_id, bool *ret)
{
    struct condition condition = mine(tx_arena(tx), actor, false);
    struct sql_value *values = ARENA_ARRAY(tx_arena(tx), struct sql_value, condition.count + 1);
    int64_t count;

    values[0] = TEXT(project_id);
    memcpy(values + 1, condition.values, condition.count * sizeof(*values));
    TRY(sql_int_of(tx, &count, 0, arena_printf(tx_arena(tx), "SELECT COUNT(*) FROM project WHERE id = ? AND (%s)", condition.sql),
        values, condition.count + 1));
    *ret = count > 0;
    return NULL;
}
