/* SPDX-License-Identifier: Apache-2.0 */
#include "keystone/token.h"

#include "base/clock.h"
#include "keystone/revocation.h"

#include <string.h>

/* ---- What the claims mean ---- */

static struct fault *marked_roles(struct tx *tx, const struct reference *reference, const char *sql,
    const struct sql_value *values, size_t count, bool *marks)
{
    struct rows *rows;

    TRY(sql_query(tx, &rows, sql, values, count));
    while (rows_next(rows)) {
        size_t role = reference_role(reference, rows_text(rows, 0));
        if (role < reference->role_count)
            marks[role] = true;
    }
    TRY(rows_fault(rows));
    rows_end(rows);
    return NULL;
}

#define ACTORS "(actor_id = ? OR actor_id IN (SELECT group_id FROM user_group_membership WHERE user_id = ?))"

static struct fault *project_roles(struct tx *tx, const struct reference *reference, const struct token *token, bool *marks)
{
    const char *user = token->claims.user_id;
    const struct project **parents;
    size_t parent_count;

    TRY(marked_roles(tx, reference, "SELECT DISTINCT role_id FROM assignment WHERE " ACTORS " AND inherited = 0"
        " AND target_id = ? AND type IN ('UserProject', 'GroupProject')",
        BIND(TEXT(user), TEXT(user), TEXT(token->project->id)), marks));
    /* What its domain and the projects above it hand down. */
    TRY(project_parents(tx, token->project, &parents, &parent_count));
    struct sql_value *values = ARENA_ARRAY(tx_arena(tx), struct sql_value, parent_count + 3);
    values[0] = values[1] = TEXT(user);
    values[2] = TEXT(token->project->domain_id);
    for (size_t i = 0; i < parent_count; i++)
        values[3 + i] = TEXT(parents[i]->id);
    const char *sql = arena_printf(tx_arena(tx), "SELECT DISTINCT role_id FROM assignment WHERE " ACTORS
        " AND inherited = 1 AND target_id IN (%s)", sql_marks(tx_arena(tx), parent_count + 1));
    return marked_roles(tx, reference, sql, values, parent_count + 3, marks);
}

struct fault *token_roles(struct tx *tx, const struct reference *reference, const struct token *token,
    const struct identity_role **ret, size_t *ret_count)
{
    struct arena *arena = tx_arena(tx);
    bool *marks = ARENA_ARRAY(arena, bool, reference->role_count + 1);
    struct identity_role *roles = ARENA_ARRAY(arena, struct identity_role, reference->role_count + 1);
    const char *user = token->claims.user_id;
    size_t count = 0;

    if (token->claims.scope == PROJECT_SCOPED)
        TRY(project_roles(tx, reference, token, marks));
    else if (token->claims.scope == DOMAIN_SCOPED)
        TRY(marked_roles(tx, reference, "SELECT DISTINCT role_id FROM assignment WHERE " ACTORS " AND inherited = 0"
            " AND target_id = ? AND type IN ('UserDomain', 'GroupDomain')",
            BIND(TEXT(user), TEXT(user), TEXT(token->domain->id)), marks));
    else if (token->claims.scope == SYSTEM_SCOPED)
        TRY(marked_roles(tx, reference, "SELECT DISTINCT role_id FROM system_assignment WHERE " ACTORS
            " AND target_id = 'system'", BIND(TEXT(user), TEXT(user)), marks));
    reference_expand(reference, marks);
    for (size_t i = 0; i < reference->role_count; i++)
        if (marks[i] && reference->roles[i].domain_id == NULL)
            roles[count++] = (struct identity_role){ arena_strdup(arena, reference->roles[i].id),
                arena_strdup(arena, reference->roles[i].name), NULL };
    *ret = roles;
    *ret_count = count;
    return NULL;
}

static struct fault *scope_read(struct context *cx, struct tx *tx, struct token *token)
{
    const struct token_claims *claims = &token->claims;
    struct project *project, *domain;

    if (claims->scope == PROJECT_SCOPED) {
        TRY(project_find(tx, claims->scope_id, &project));
        if (project == NULL)
            return keystone_not_found(cx, "project", claims->scope_id);
        /* a project that is a domain belongs to itself here */
        TRY(domain_find(tx, project->is_domain ? project->id : project->domain_id, &domain));
        if (domain == NULL)
            return keystone_not_found(cx, "domain", project->domain_id);
        if (!project->enabled)
            return FAULT(cx, 404, NULL, "Unable to validate token because project %s is disabled", project->id);
        if (!domain->enabled)
            return FAULT(cx, 404, NULL, "Unable to validate token because domain %s is disabled", domain->id);
        token->project = project;
        token->project_domain = domain;
    } else if (claims->scope == DOMAIN_SCOPED) {
        TRY(domain_find(tx, claims->scope_id, &domain));
        if (domain == NULL)
            return keystone_not_found(cx, "domain", claims->scope_id);
        if (!domain->enabled)
            return FAULT(cx, 404, NULL, "Unable to validate token because domain %s is disabled", domain->id);
        token->domain = domain;
    }
    return NULL;
}

static struct fault *user_read(struct context *cx, struct tx *tx, struct token *token)
{
    struct user *user;
    struct project *domain;

    TRY(user_find(tx, token->claims.user_id, &user));
    if (user == NULL)
        return keystone_not_found(cx, "user", token->claims.user_id);
    TRY(domain_find(tx, user->domain_id, &domain));
    if (domain == NULL)
        return keystone_not_found(cx, "domain", user->domain_id);
    if (!domain->enabled)
        return FAULT(cx, 404, NULL, "Unable to validate token because domain %s is disabled", domain->id);
    if (!user->enabled)
        return keystone_unauthorized(cx, "user %s is disabled", user->id);
    token->user = user;
    token->user_domain = domain;
    return NULL;
}

static struct fault *token_read(struct context *cx, struct tx *tx, const struct reference *reference, struct token *token,
    bool *ret_revoked)
{
    static const char *const places[] = { "", "the project", "the domain", "the system" };

    TRY(user_read(cx, tx, token));
    TRY(scope_read(cx, tx, token));
    TRY(token_roles(tx, reference, token, &token->roles, &token->role_count));
    if (token->claims.scope != UNSCOPED && token->role_count == 0)
        return keystone_unauthorized(cx, "user %s has no access to %s %s", token->user->id, places[token->claims.scope],
            token->claims.scope_id != NULL ? token->claims.scope_id : "");
    if (ret_revoked != NULL)
        TRY(revocation_covers(tx, token, ret_revoked));
    return NULL;
}

struct fault *token_build(struct context *cx, struct arena *arena, const struct token_claims *claims, struct token **ret,
    bool *ret_revoked)
{
    struct token *token = ARENA_NEW(arena, struct token);
    const struct reference *reference;
    struct tx *tx;

    token->claims = *claims;
    TRY(reference_get(cx, &reference));
    struct fault *fault = db_read(arena, cx->app->db, &tx);
    if (fault == NULL) {
        fault = token_read(cx, tx, reference, token, ret_revoked);
        tx_end(tx);
    }
    if (fault != NULL)
        return arena == cx->arena ? fault : fault_copy(cx->arena, fault); /* the arena may go first */
    *ret = token;
    return NULL;
}

/* ---- JSON ---- */

static void write_named(struct json_writer *w, const char *name, const struct project *domain)
{
    json_begin(w, name);
    json_text(w, "id", domain->id);
    json_text(w, "name", domain->name);
    json_end(w);
}

static void write_user(struct json_writer *w, struct arena *arena, const struct token *token)
{
    json_begin(w, "user");
    write_named(w, "domain", token->user_domain);
    json_text(w, "id", token->user->id);
    json_text(w, "name", token->user->name);
    json_text(w, "password_expires_at", token->user->password_expires_us == 0 ? NULL :
        clock_text(arena, token->user->password_expires_us, CLOCK_ISO_US));
    json_end(w);
}

static void write_scope(struct json_writer *w, const struct token *token)
{
    if (token->project != NULL) {
        json_begin(w, "project");
        write_named(w, "domain", token->project_domain);
        json_text(w, "id", token->project->id);
        json_text(w, "name", token->project->name);
        json_end(w);
        json_bool(w, "is_domain", token->project->is_domain);
    } else if (token->domain != NULL) {
        write_named(w, "domain", token->domain);
    } else if (token->claims.scope == SYSTEM_SCOPED) {
        json_begin(w, "system");
        json_bool(w, "all", true);
        json_end(w);
    }
    if (token->claims.scope == UNSCOPED)
        return;
    json_begin_array(w, "roles");
    for (size_t i = 0; i < token->role_count; i++) {
        json_begin(w, NULL);
        json_text(w, "id", token->roles[i].id);
        json_text(w, "name", token->roles[i].name);
        json_end(w);
    }
    json_end_array(w);
}

void token_write(struct json_writer *w, const struct token *token, const struct reference *reference)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    const struct token_claims *claims = &token->claims;

    json_begin(w, NULL);
    json_begin(w, "token");
    json_begin_array(w, "methods");
    for (size_t i = 0; claims->methods[i] != NULL; i++)
        json_text(w, NULL, claims->methods[i]);
    json_end_array(w);
    write_user(w, arena, token);
    json_begin_array(w, "audit_ids");
    json_text(w, NULL, claims->audit_id);
    if (claims->parent_audit_id != NULL)
        json_text(w, NULL, claims->parent_audit_id);
    json_end_array(w);
    json_text(w, "expires_at", clock_text(arena, claims->expires_us, CLOCK_ISO_USZ));
    json_text(w, "issued_at", clock_text(arena, claims->issued_us, CLOCK_ISO_USZ));
    write_scope(w, token);
    if (reference != NULL && claims->scope != UNSCOPED)
        catalog_write(w, "catalog", reference, token->user->id, token->project != NULL ? token->project->id : NULL);
    json_end(w);
    json_end(w);
}
