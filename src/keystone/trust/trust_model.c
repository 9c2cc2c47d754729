/* SPDX-License-Identifier: Apache-2.0
 *
 * Trusts as they are read and ended; their API is in trusts.c.
 */
#include "keystone/trust/trusts.h"

#include "base/clock.h"
#include "keystone/notifications.h"
#include "keystone/token/revocation.h"
#include "keystone/token/token_roles.h"
#include "oslo/options.h"

#include <string.h>

enum { CHAIN_LIMIT = 64 }; /* a loop in the table must not be one here */

static struct fault *read_roles(struct tx *tx, struct trust *trust)
{
    const char **ids = NULL;
    size_t count = 0, capacity = 0;
    struct rows *rows;

    TRY(sql_query(tx, &rows, "SELECT role_id FROM trust_role WHERE trust_id = ? ORDER BY role_id", BIND(TEXT(trust->id))));
    while (rows_next(rows)) {
        if (count + 1 >= capacity) {
            const char **larger = ARENA_ARRAY(tx_arena(tx), const char *, capacity * 2 + 8);
            if (count > 0)
                memcpy(larger, ids, count * sizeof(*ids));
            ids = larger;
            capacity = capacity * 2 + 8;
        }
        ids[count++] = rows_text(rows, 0);
    }
    trust->role_ids = ids != NULL ? ids : ARENA_ARRAY(tx_arena(tx), const char *, 1);
    return rows_fault(rows);
}

/* One trust without regard to those it comes from. */
static struct fault *read_one(struct tx *tx, const char *id, struct trust **ret)
{
    struct rows *rows;

    *ret = NULL;
    TRY(sql_query(tx, &rows, "SELECT id, trustor_user_id, trustee_user_id, project_id, impersonation, expires_at_int,"
        " expires_at, remaining_uses, redelegated_trust_id, redelegation_count, extra FROM trust WHERE id = ?"
        " AND deleted_at IS NULL", BIND(TEXT(id))));
    if (!rows_next(rows))
        return rows_fault(rows);
    struct trust *trust = ARENA_NEW(tx_arena(tx), struct trust);
    *trust = (struct trust){
        .id = rows_text(rows, 0), .trustor_id = rows_text(rows, 1), .trustee_id = rows_text(rows, 2),
        .project_id = rows_text(rows, 3), .impersonation = rows_int(rows, 4) != 0, .expires_us = rows_int(rows, 5),
        .remaining_uses = rows_null(rows, 7) ? -1 : rows_int(rows, 7), .parent_id = rows_text(rows, 8),
        .redelegation_count = rows_int(rows, 9), .extra = rows_text(rows, 10),
    };
    if (trust->expires_us == 0 && rows_text(rows, 6) != NULL)
        clock_parse(rows_text(rows, 6), &trust->expires_us);
    rows_end(rows);
    TRY(read_roles(tx, trust));
    *ret = trust;
    return NULL;
}

static bool has_role(const struct trust *trust, const char *role_id)
{
    for (size_t i = 0; trust->role_ids[i] != NULL; i++)
        if (strcmp(trust->role_ids[i], role_id) == 0)
            return true;
    return false;
}

struct fault *trust_may_pass(struct context *cx, const struct trust *parent, const struct trust *trust)
{
    int64_t most = config_int(cx->app->config, "trust", "max_redelegation_count");

    if (parent->redelegation_count <= 0 || parent->redelegation_count > most)
        return keystone_forbidden(cx, "Remaining redelegation depth of %lld out of allowed range of [0..%lld]",
            (long long)parent->redelegation_count, (long long)most);
    if (trust->remaining_uses >= 0)
        return keystone_forbidden(cx, "Field \"remaining_uses\" is set to %lld while it must not be set in order to redelegate "
            "a trust", (long long)trust->remaining_uses);
    if (parent->expires_us != 0 && trust->expires_us > parent->expires_us)
        return keystone_forbidden(cx, "Requested expiration time is more than redelegated trust can provide");
    for (size_t i = 0; trust->role_ids[i] != NULL; i++)
        if (!has_role(parent, trust->role_ids[i]))
            return keystone_forbidden(cx, "Some of requested roles are not in redelegated trust");
    if (!parent->impersonation && trust->impersonation)
        return keystone_forbidden(cx, "Impersonation is not allowed because redelegated trust does not specify impersonation. "
            "Redelegated trust id: %s", parent->id);
    return NULL;
}

struct fault *trust_parent(struct tx *tx, struct context *cx, const struct trust *trust, struct trust **ret)
{
    *ret = NULL;
    if (trust->parent_id == NULL)
        return NULL;
    TRY(read_one(tx, trust->parent_id, ret));
    if (*ret == NULL || ((*ret)->expires_us != 0 && (*ret)->expires_us < clock_now_us()))
        return keystone_not_found(cx, "trust", trust->parent_id);
    return NULL;
}

static struct fault *check_chain(struct tx *tx, struct context *cx, const struct trust *trust)
{
    struct project *domain;
    struct trust *parent;
    struct user *agent;

    for (int i = 0; i < CHAIN_LIMIT && trust->parent_id != NULL; i++, trust = parent) {
        TRY(trust_parent(tx, cx, trust, &parent));
        TRY(trust_may_pass(cx, parent, trust));
        TRY(user_find(tx, parent->trustee_id, &agent));
        TRY(domain_find(tx, agent != NULL ? agent->domain_id : NULL, &domain));
        if (agent == NULL || !agent->enabled || domain == NULL || !domain->enabled)
            return keystone_forbidden(cx, "One of the trust agents is disabled or deleted");
    }
    return NULL;
}

struct fault *trust_find(struct tx *tx, struct context *cx, const char *id, struct trust **ret)
{
    struct trust *trust;

    *ret = NULL;
    TRY(read_one(tx, id, &trust));
    if (trust == NULL || (trust->expires_us != 0 && trust->expires_us < clock_now_us()))
        return NULL;
    TRY(check_chain(tx, cx, trust));
    *ret = trust;
    return NULL;
}

/* What the user has on the project; nothing on no project. */
static struct fault *roles_of(struct tx *tx, const struct reference *reference, const char *user_id,
    const struct project *project, bool **ret)
{
    *ret = roles_none(tx_arena(tx), reference);
    return roles_on_project(tx, reference, &(struct actor){ .user_id = user_id }, project, *ret);
}

struct fault *trust_roles(struct tx *tx, struct context *cx, const struct reference *reference, const struct trust *trust,
    const struct project *project, bool *marks)
{
    const struct trust *first = trust;
    bool *trustors, *firsts;
    struct trust *parent;

    for (int i = 0; i < CHAIN_LIMIT && first->parent_id != NULL; i++, first = parent)
        TRY(trust_parent(tx, cx, first, &parent));
    TRY(roles_of(tx, reference, trust->trustor_id, project, &trustors));
    firsts = trustors;
    if (first != trust)
        TRY(roles_of(tx, reference, first->trustor_id, project, &firsts));
    for (size_t i = 0; trust->role_ids[i] != NULL; i++) {
        size_t role = reference_role(reference, trust->role_ids[i]);
        if (role == reference->role_count)
            return keystone_forbidden(cx, "Trustee has no delegated roles.");
        marks[role] = true;
    }
    reference_expand(reference, marks);
    for (size_t i = 0; i < reference->role_count; i++)
        if (marks[i] && (!trustors[i] || !firsts[i]))
            return keystone_forbidden(cx, "Trustee has no delegated roles.");
    return NULL;
}

struct fault *trust_consume(struct context *cx, const struct trust *trust)
{
    int64_t taken;

    if (trust->remaining_uses < 0)
        return NULL;
    TRY(db_exec(cx->arena, cx->app->db, "UPDATE trust SET remaining_uses = remaining_uses - 1 WHERE id = ?"
        " AND deleted_at IS NULL AND remaining_uses > 0", BIND(TEXT(trust->id)), &taken));
    return taken > 0 ? NULL : keystone_refused(cx, "No remaining uses for trust: %s.", trust->id);
}

struct fault *trust_end(struct tx *tx, struct context *cx, const char *id, const char *trustor_id)
{
    const char *now = clock_text(tx_arena(tx), clock_now_us(), CLOCK_SQL);
    const char *next = id;

    /* First what it was passed on to by the same trustor: one after the other, since each may have more below it. */
    while (next != NULL && trustor_id != NULL) {
        struct rows *rows;
        TRY(sql_query(tx, &rows, "SELECT id FROM trust WHERE redelegated_trust_id = ? AND trustor_user_id = ?"
            " AND deleted_at IS NULL AND id <> ?", BIND(TEXT(id), TEXT(trustor_id), TEXT(id))));
        next = rows_next(rows) ? rows_text(rows, 0) : NULL;
        rows_end(rows);
        if (next != NULL) {
            TRY(sql_exec(tx, "UPDATE trust SET deleted_at = ? WHERE id = ?", BIND(TEXT(now), TEXT(next))));
            TRY(trust_end(tx, cx, next, trustor_id));
        }
    }
    TRY(sql_exec(tx, "UPDATE trust SET deleted_at = ? WHERE id = ?", BIND(TEXT(now), TEXT(id))));
    keystone_note_deleted(cx, "OS-TRUST:trust", id);
    return revocation_write(tx, cx->app->config, &(struct revocation){ .trust_id = id });
}

struct fault *trusts_end_of_user(struct tx *tx, struct context *cx, const char *user_id)
{
    const char *next = user_id;

    while (next != NULL) {
        struct rows *rows;
        TRY(sql_query(tx, &rows, "SELECT id FROM trust WHERE (trustor_user_id = ? OR trustee_user_id = ?)"
            " AND deleted_at IS NULL LIMIT 1", BIND(TEXT(user_id), TEXT(user_id))));
        next = rows_next(rows) ? rows_text(rows, 0) : NULL;
        rows_end(rows);
        if (next != NULL)
            TRY(trust_end(tx, cx, next, NULL));
    }
    return NULL;
}

struct fault *trusts_end_of_project(struct tx *tx, const char *project_id)
{
    return sql_exec(tx, "UPDATE trust SET deleted_at = ? WHERE project_id = ? AND deleted_at IS NULL",
        BIND(TEXT(clock_text(tx_arena(tx), clock_now_us(), CLOCK_SQL)), TEXT(project_id)));
}
