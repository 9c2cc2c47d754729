/* SPDX-License-Identifier: Apache-2.0 */
#include "keystone/token/token_roles.h"

bool *roles_none(struct arena *arena, const struct reference *reference)
{
    return ARENA_ARRAY(arena, bool, reference->role_count + 1);
}

/* Marks the roles that a query's first column names. */
static struct fault *roles_marked(struct tx *tx, const struct reference *reference, const char *sql, const struct sql_value *values,
    size_t count, bool *marks)
{
    struct rows *rows;

    TRY(sql_query(tx, &rows, sql, values, count));
    while (rows_next(rows)) {
        size_t role = reference_role(reference, rows_text(rows, 0));
        if (role < reference->role_count)
            marks[role] = true;
        else
            reference_missed(reference);
    }
    TRY(rows_fault(rows));
    rows_end(rows);
    return NULL;
}

/* A query for one actor: his condition, and the values bound to it, with room for `more`. */
struct question {
    const char *condition;
    struct sql_value *values;
    size_t count;
};

static struct question ask_for(struct tx *tx, const struct actor *actor, size_t more)
{
    struct arena *arena = tx_arena(tx);
    struct question question = { .condition =
        "(actor_id = ? OR actor_id IN (SELECT group_id FROM user_group_membership WHERE user_id = ?))" };
    size_t groups = 0;

    while (actor->group_ids != NULL && actor->group_ids[groups] != NULL)
        groups++;
    question.values = ARENA_ARRAY(arena, struct sql_value, groups + more + 2);
    question.values[question.count++] = TEXT(actor->user_id);
    question.values[question.count++] = TEXT(actor->user_id);
    if (groups > 0)
        question.condition = arena_printf(arena, "(actor_id = ? OR actor_id IN (SELECT group_id FROM user_group_membership"
            " WHERE user_id = ?) OR actor_id IN (%s))", sql_marks(arena, groups));
    for (size_t i = 0; i < groups; i++)
        question.values[question.count++] = TEXT(actor->group_ids[i]);
    return question;
}

static struct fault *mark(struct tx *tx, const struct reference *reference, const struct question *question,
    const char *table, const char *rest, bool *marks)
{
    const char *sql = arena_printf(tx_arena(tx), "SELECT DISTINCT role_id FROM %s WHERE %s AND %s", table,
        question->condition, rest);

    return roles_marked(tx, reference, sql, question->values, question->count, marks);
}

struct fault *roles_on_project(struct tx *tx, const struct reference *reference, const struct actor *actor,
    const struct project *project, bool *marks)
{
    const struct project **parents;
    size_t parent_count;

    struct question direct = ask_for(tx, actor, 1);
    direct.values[direct.count++] = TEXT(project->id);
    TRY(mark(tx, reference, &direct, "assignment",
        "inherited = 0 AND target_id = ? AND type IN ('UserProject', 'GroupProject')", marks));
    /* What its domain and the projects above it hand down. */
    TRY(project_parents(tx, project, &parents, &parent_count));
    struct question inherited = ask_for(tx, actor, parent_count + 1);
    inherited.values[inherited.count++] = TEXT(project->domain_id);
    for (size_t i = 0; i < parent_count; i++)
        inherited.values[inherited.count++] = TEXT(parents[i]->id);
    TRY(mark(tx, reference, &inherited, "assignment", arena_printf(tx_arena(tx), "inherited = 1 AND target_id IN (%s)",
        sql_marks(tx_arena(tx), parent_count + 1)), marks));
    reference_expand(reference, marks);
    return NULL;
}

struct fault *roles_on_domain(struct tx *tx, const struct reference *reference, const struct actor *actor,
    const char *domain_id, bool *marks)
{
    struct question question = ask_for(tx, actor, 1);

    question.values[question.count++] = TEXT(domain_id);
    TRY(mark(tx, reference, &question, "assignment",
        "inherited = 0 AND target_id = ? AND type IN ('UserDomain', 'GroupDomain')", marks));
    reference_expand(reference, marks);
    return NULL;
}

struct fault *roles_on_system(struct tx *tx, const struct reference *reference, const struct actor *actor, bool *marks)
{
    struct question question = ask_for(tx, actor, 0);

    TRY(mark(tx, reference, &question, "system_assignment", "target_id = 'system'", marks));
    reference_expand(reference, marks);
    return NULL;
}

void roles_listed(struct arena *arena, const struct reference *reference, const bool *marks, bool domain_roles,
    const struct identity_role **ret, size_t *ret_count)
{
    struct identity_role *roles = ARENA_ARRAY(arena, struct identity_role, reference->role_count + 1);
    size_t count = 0;

    for (size_t i = 0; i < reference->role_count; i++)
        if (marks[i] && (domain_roles || reference->roles[i].domain_id == NULL))
            roles[count++] = (struct identity_role){ arena_strdup(arena, reference->roles[i].id),
                arena_strdup(arena, reference->roles[i].name), arena_strdup(arena, reference->roles[i].domain_id) };
    *ret = roles;
    *ret_count = count;
}
