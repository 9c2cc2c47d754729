/* SPDX-License-Identifier: Apache-2.0 */
#include "keystone/token/revocation.h"

#include "base/clock.h"
#include "keystone/trust/trusts.h"
#include "oslo/options.h"

#include <string.h>

struct fault *revocation_write(struct tx *tx, const struct config *config, const struct revocation *revocation)
{
    const int64_t second = 1000000;
    int64_t now = clock_now_us() / second * second;
    int64_t kept = config_int(config, "token", "expiration") + config_int(config, "revoke", "expiration_buffer");
    const char *moment = clock_text(tx_arena(tx), now, CLOCK_SQL);

    TRY(sql_exec(tx, "INSERT INTO revocation_event (domain_id, project_id, user_id, role_id, audit_id, audit_chain_id,"
        " trust_id, consumer_id, access_token_id, issued_before, revoked_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        BIND(TEXT(revocation->domain_id), TEXT(revocation->project_id), TEXT(revocation->user_id),
            TEXT(revocation->role_id), TEXT(revocation->audit_id), TEXT(revocation->audit_chain_id),
            TEXT(revocation->trust_id), TEXT(revocation->consumer_id), TEXT(revocation->access_token_id), TEXT(moment),
            TEXT(moment))));
    return sql_exec(tx, "DELETE FROM revocation_event WHERE revoked_at < ?",
        BIND(TEXT(clock_text(tx_arena(tx), now - kept * second, CLOCK_SQL))));
}

static bool same(const char *wanted, const char *present)
{
    return wanted == NULL || (present != NULL && strcmp(wanted, present) == 0);
}

static bool has_role(const struct token *token, const char *role_id)
{
    for (size_t i = 0; i < token->role_count; i++)
        if (strcmp(token->roles[i].id, role_id) == 0)
            return true;
    return false;
}

struct fault *revocation_covers(struct tx *tx, const struct token *token, bool *ret)
{
    const struct token_claims *claims = &token->claims;
    const char *issued = clock_text(tx_arena(tx), claims->issued_us, CLOCK_SQL);
    const char *scope_domain = token->domain != NULL ? token->domain->id : NULL;
    const struct trust *trust = token->trust;
    struct rows *rows;
    bool covered = false;

    TRY(sql_query(tx, &rows, "SELECT domain_id, audit_chain_id, role_id, trust_id, consumer_id, access_token_id,"
        " expires_at FROM revocation_event WHERE issued_before >= ? AND (user_id IS NULL OR user_id IN (?, ?, ?))"
        " AND (project_id IS NULL OR project_id = ?) AND (audit_id IS NULL OR audit_id = ?)",
        BIND(TEXT(issued), TEXT(claims->user_id), TEXT(trust != NULL ? trust->trustor_id : claims->user_id),
            TEXT(trust != NULL ? trust->trustee_id : claims->user_id), TEXT(token->project != NULL ? token->project->id : NULL),
            TEXT(claims->audit_id))));
    while (!covered && rows_next(rows)) {
        const char *domain_id = rows_text(rows, 0), *role_id = rows_text(rows, 2), *expires = rows_text(rows, 6);
        int64_t expires_us = 0;
        if (!same(rows_text(rows, 3), claims->trust_id) || !same(rows_text(rows, 4), token->consumer_id) ||
            !same(rows_text(rows, 5), claims->access_token_id))
            continue;
        /* With an expiry the domain is the token's scope; without, also its user's. */
        if (domain_id != NULL && !same(domain_id, scope_domain) &&
            (expires != NULL || !same(domain_id, token->user->domain_id)))
            continue;
        if (expires != NULL && clock_parse(expires, &expires_us) && expires_us != claims->expires_us / 1000000 * 1000000)
            continue;
        if (!same(rows_text(rows, 1), claims->parent_audit_id) || (role_id != NULL && !has_role(token, role_id)))
            continue;
        covered = true;
    }
    TRY(rows_fault(rows));
    rows_end(rows);
    *ret = covered;
    return NULL;
}
