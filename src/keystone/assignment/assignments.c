/* SPDX-License-Identifier: Apache-2.0 */
#include "keystone/assignment/assignments.h"

#include <string.h>

/* A query that is put together from our own texts and bound values. */
struct query {
    struct arena *arena;
    const char *sql;
    struct sql_value *values;
    size_t count, capacity;
};

static void bind(struct query *query, struct sql_value value)
{
    if (query->count == query->capacity) {
        struct sql_value *larger = ARENA_ARRAY(query->arena, struct sql_value, query->capacity * 2 + 16);
        if (query->count > 0)
            memcpy(larger, query->values, query->count * sizeof(*larger));
        query->values = larger;
        query->capacity = query->capacity * 2 + 16;
    }
    query->values[query->count++] = value;
}

static void also(struct query *query, const char *sql)
{
    query->sql = arena_printf(query->arena, "%s%s", query->sql, sql);
}

/* " AND column IN (...)" of project ids. */
static void also_in(struct query *query, const char *column, const char *const *ids, size_t count)
{
    also(query, arena_printf(query->arena, "%s IN (%s)", column, sql_marks(query->arena, count)));
    for (size_t i = 0; i < count; i++)
        bind(query, TEXT(ids[i]));
}

static struct assignment *append(struct arena *arena, struct assignments *list, const struct assignment *item)
{
    if (list->count == list->capacity) {
        struct assignment *larger = ARENA_ARRAY(arena, struct assignment, list->capacity * 2 + 64);
        if (list->count > 0)
            memcpy(larger, list->items, list->count * sizeof(*larger));
        list->items = larger;
        list->capacity = list->capacity * 2 + 64;
    }
    list->items[list->count] = *item;
    return &list->items[list->count++];
}

#define COLUMNS "SELECT type, actor_id, target_id, role_id, inherited FROM "

static struct fault *fetch(struct tx *tx, const struct query *query, struct assignments *ret)
{
    struct rows *rows;

    TRY(sql_query(tx, &rows, query->sql, query->values, query->count));
    while (rows_next(rows)) {
        const char *type = rows_text(rows, 0), *actor = rows_text(rows, 1), *target = rows_text(rows, 2);
        struct assignment item = { .role_id = rows_text(rows, 3), .inherited = rows_int(rows, 4) != 0 };
        *(strncmp(type, "User", 4) == 0 ? &item.user_id : &item.group_id) = actor;
        if (strstr(type, "Project") != NULL)
            item.project_id = target;
        else if (strstr(type, "Domain") != NULL)
            item.domain_id = target;
        append(tx_arena(tx), ret, &item);
    }
    return rows_fault(rows);
}

/* The project of the filter, and with `subtree` those below it. */
static struct fault *project_ids(struct tx *tx, const struct assignment_filter *filter, const char ***ret, size_t *ret_count)
{
    const struct project **below = NULL;
    size_t count = 0;

    if (filter->subtree)
        TRY(project_subtree(tx, filter->project_id, &below, &count));
    *ret = ARENA_ARRAY(tx_arena(tx), const char *, count + 1);
    (*ret)[0] = filter->project_id;
    for (size_t i = 0; i < count; i++)
        (*ret)[i + 1] = below[i]->id;
    *ret_count = count + 1;
    return NULL;
}

/* ---- As they were made ---- */

static void actor_conditions(struct query *query, const struct assignment_filter *filter)
{
    if (filter->user_id != NULL || filter->group_id != NULL) {
        also(query, filter->user_id != NULL ? " AND type LIKE 'User%'" : " AND type LIKE 'Group%'");
        also(query, " AND actor_id = ?");
        bind(query, TEXT(filter->user_id != NULL ? filter->user_id : filter->group_id));
    }
    if (filter->role_id != NULL) {
        also(query, " AND role_id = ?");
        bind(query, TEXT(filter->role_id));
    }
}

struct fault *assignments_direct(struct tx *tx, const struct assignment_filter *filter, struct assignments *ret)
{
    struct query query = { .arena = tx_arena(tx), .sql = COLUMNS "assignment WHERE 1 = 1" };

    if (!filter->system) {
        actor_conditions(&query, filter);
        if (filter->project_id != NULL) {
            const char **ids;
            size_t count;
            TRY(project_ids(tx, filter, &ids, &count));
            also(&query, " AND type IN ('UserProject', 'GroupProject') AND ");
            also_in(&query, "target_id", ids, count);
        } else if (filter->domain_id != NULL) {
            also(&query, " AND type IN ('UserDomain', 'GroupDomain') AND target_id = ?");
            bind(&query, TEXT(filter->domain_id));
        }
        if (filter->inherited_only || filter->direct_only)
            also(&query, filter->inherited_only ? " AND inherited = 1" : " AND inherited = 0");
        also(&query, " ORDER BY target_id, actor_id, role_id");
        TRY(fetch(tx, &query, ret));
    }
    if (filter->project_id != NULL || filter->domain_id != NULL)
        return NULL;
    struct query system = { .arena = tx_arena(tx), .sql = COLUMNS "system_assignment WHERE target_id = 'system'" };
    actor_conditions(&system, filter);
    return fetch(tx, &system, ret);
}

/* ---- As they take effect ---- */

static struct fault *sources(struct tx *tx, const struct assignment_filter *filter, struct assignments *ret)
{
    struct query query = { .arena = tx_arena(tx), .sql = COLUMNS "assignment WHERE 1 = 1" };
    const struct project **parents;
    struct project *project;
    const char **ids;
    size_t count, parent_count;

    if (filter->user_id != NULL) {
        also(&query, " AND (actor_id = ? OR actor_id IN (SELECT group_id FROM user_group_membership WHERE user_id = ?))");
        bind(&query, TEXT(filter->user_id));
        bind(&query, TEXT(filter->user_id));
    }
    if (filter->inherited_only || filter->direct_only)
        also(&query, filter->inherited_only ? " AND inherited = 1" : " AND inherited = 0");
    if (filter->domain_id != NULL) {
        also(&query, " AND inherited = 0 AND type IN ('UserDomain', 'GroupDomain') AND target_id = ?");
        bind(&query, TEXT(filter->domain_id));
    } else if (filter->project_id != NULL) {
        TRY(project_find(tx, filter->project_id, &project));
        if (project == NULL)
            return NULL;
        TRY(project_ids(tx, filter, &ids, &count));
        also(&query, " AND ((inherited = 0 AND type IN ('UserProject', 'GroupProject') AND ");
        also_in(&query, "target_id", ids, count);
        TRY(project_parents(tx, project, &parents, &parent_count));
        const char **above = ARENA_ARRAY(query.arena, const char *, parent_count + count + 1);
        above[0] = project->domain_id;
        for (size_t i = 0; i < parent_count; i++)
            above[1 + i] = parents[i]->id;
        /* with a subtree, what is handed down inside it counts too */
        for (size_t i = 0; filter->subtree && i < count; i++)
            above[1 + parent_count + i] = ids[i];
        also(&query, ") OR (inherited = 1 AND ");
        also_in(&query, "target_id", above, 1 + parent_count + (filter->subtree ? count : 0));
        also(&query, "))");
    }
    also(&query, " ORDER BY target_id, actor_id, role_id");
    return fetch(tx, &query, ret);
}

static bool is_among(const char *id, const char *const *ids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(ids[i], id) == 0)
            return true;
    return false;
}

/* The projects that an inherited assignment reaches, of those asked for. */
static struct fault *reached(struct tx *tx, const struct assignment_filter *filter, const struct assignment *item,
    const char ***ret, size_t *ret_count)
{
    struct arena *arena = tx_arena(tx);
    const struct project **below;
    const char **ids;
    size_t count;

    if (filter->project_id != NULL) {
        TRY(project_ids(tx, filter, &ids, &count));
        if (item->project_id == NULL || !is_among(item->project_id, ids, count)) {
            *ret = ids;
            *ret_count = count;
            return NULL;
        }
    }
    if (item->project_id != NULL) {
        TRY(project_subtree(tx, item->project_id, &below, &count));
        *ret = ARENA_ARRAY(arena, const char *, count + 1);
        for (size_t i = 0; i < count; i++)
            (*ret)[i] = below[i]->id;
        *ret_count = count;
        return NULL;
    }
    struct rows *rows;
    int64_t projects;
    TRY(sql_int_of(tx, &projects, 0, "SELECT COUNT(*) FROM project WHERE domain_id = ? AND is_domain = 0",
        BIND(TEXT(item->domain_id))));
    *ret = ARENA_ARRAY(arena, const char *, (size_t)projects + 1);
    *ret_count = 0;
    TRY(sql_query(tx, &rows, "SELECT id FROM project WHERE domain_id = ? AND is_domain = 0 ORDER BY id",
        BIND(TEXT(item->domain_id))));
    while (rows_next(rows) && *ret_count < (size_t)projects)
        (*ret)[(*ret_count)++] = rows_text(rows, 0);
    rows_end(rows);
    return NULL;
}

/* One assignment on each project that it reaches, or as it is. */
static struct fault *spread(struct tx *tx, const struct assignment_filter *filter, const struct assignment *item,
    struct assignments *ret)
{
    const char **ids;
    size_t count;

    if (!item->inherited) {
        append(tx_arena(tx), ret, item);
        return NULL;
    }
    TRY(reached(tx, filter, item, &ids, &count));
    for (size_t i = 0; i < count; i++) {
        struct assignment *there = append(tx_arena(tx), ret, item);
        there->inherited = false;
        there->from_project = item->project_id;
        there->from_domain = item->domain_id;
        there->project_id = ids[i];
        there->domain_id = NULL;
    }
    return NULL;
}

/* A group's assignment for each member, or the one that is asked for. */
static struct fault *members(struct tx *tx, const struct assignment_filter *filter, const struct assignment *item,
    struct assignments *ret)
{
    struct assignment one = *item;
    struct rows *rows;

    if (item->group_id == NULL)
        return spread(tx, filter, item, ret);
    one.from_group = item->group_id;
    one.group_id = NULL;
    if (filter->user_id != NULL) {
        one.user_id = filter->user_id;
        return spread(tx, filter, &one, ret);
    }
    struct assignments each = { 0 };
    TRY(sql_query(tx, &rows, "SELECT user_id FROM user_group_membership WHERE group_id = ? ORDER BY user_id",
        BIND(TEXT(item->group_id))));
    while (rows_next(rows)) {
        one.user_id = rows_text(rows, 0);
        append(tx_arena(tx), &each, &one);
    }
    TRY(rows_fault(rows));
    for (size_t i = 0; i < each.count; i++)
        TRY(spread(tx, filter, &each.items[i], ret));
    return NULL;
}

/* The assignment, and one for each role that its role implies, each naming the role that it follows from. */
static void imply(struct arena *arena, const struct reference *reference, const struct assignment_filter *filter,
    const struct assignment *item, struct assignments *ret)
{
    size_t *queue = ARENA_ARRAY(arena, size_t, reference->role_count + 1);
    const char **from = ARENA_ARRAY(arena, const char *, reference->role_count + 1);
    bool *seen = ARENA_ARRAY(arena, bool, reference->role_count + 1);
    size_t count = 0, role = reference_role(reference, item->role_id);

    if (role == reference->role_count)
        return;
    queue[count++] = role;
    seen[role] = true;
    for (size_t at = 0; at < count; at++) {
        const struct identity_role *present = &reference->roles[queue[at]];
        struct assignment effective = *item;
        effective.role_id = present->id;
        effective.from_role = from[at];
        if (present->domain_id == NULL && (filter->role_id == NULL || strcmp(filter->role_id, present->id) == 0))
            append(arena, ret, &effective);
        for (size_t i = 0; i < reference->implication_count; i++) {
            size_t implied = reference->implications[i].implied;
            if (reference->implications[i].prior != queue[at] || seen[implied])
                continue;
            seen[implied] = true;
            from[count] = present->id;
            queue[count++] = implied;
        }
    }
}

struct fault *assignments_effective(struct tx *tx, const struct reference *reference,
    const struct assignment_filter *filter, struct assignments *ret)
{
    struct assignments made = { 0 }, spread_out = { 0 };

    TRY(sources(tx, filter, &made));
    for (size_t i = 0; i < made.count; i++)
        TRY(members(tx, filter, &made.items[i], &spread_out));
    for (size_t i = 0; i < spread_out.count; i++)
        imply(tx_arena(tx), reference, filter, &spread_out.items[i], ret);
    return NULL;
}
