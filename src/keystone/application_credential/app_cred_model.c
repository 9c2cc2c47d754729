/* SPDX-License-Identifier: Apache-2.0
 *
 * Application credentials as they are read and ended; their API is in application_credentials.c.
 */
#include "keystone/application_credential/application_credentials.h"

#include "oslo/json.h"

static struct fault *read_roles(struct tx *tx, struct app_cred *credential)
{
    const char **ids;
    int64_t count, at = 0;
    struct rows *rows;

    TRY(sql_int_of(tx, &count, 0, "SELECT COUNT(*) FROM application_credential_role WHERE application_credential_id = ?",
        BIND(INT(credential->internal_id))));
    ids = ARENA_ARRAY(tx_arena(tx), const char *, (size_t)count + 1);
    TRY(sql_query(tx, &rows, "SELECT role_id FROM application_credential_role WHERE application_credential_id = ?"
        " ORDER BY role_id", BIND(INT(credential->internal_id))));
    while (rows_next(rows) && at < count)
        ids[at++] = rows_text(rows, 0);
    credential->role_ids = ids;
    TRY(rows_fault(rows));
    rows_end(rows);
    return NULL;
}

static struct fault *read_rules(struct tx *tx, struct app_cred *credential)
{
    json_t *rules = json_keep(tx_arena(tx), json_array());
    struct rows *rows;

    TRY(sql_query(tx, &rows, "SELECT r.external_id, r.service, r.path, r.method FROM access_rule r"
        " JOIN application_credential_access_rule a ON a.access_rule_id = r.id WHERE a.application_credential_id = ?"
        " ORDER BY r.id", BIND(INT(credential->internal_id))));
    while (rows_next(rows))
        json_array_append_new(rules, json_pack("{s:s?, s:s?, s:s?, s:s?}", "id", rows_text(rows, 0), "service",
            rows_text(rows, 1), "path", rows_text(rows, 2), "method", rows_text(rows, 3)));
    TRY(rows_fault(rows));
    if (json_array_size(rules) > 0)
        credential->access_rules = json_dump(tx_arena(tx), rules);
    return NULL;
}

static struct fault *read_one(struct tx *tx, struct app_cred **ret, const char *where, const struct sql_value *values,
    size_t count)
{
    struct rows *rows;

    *ret = NULL;
    TRY(sql_query(tx, &rows, arena_printf(tx_arena(tx), "SELECT internal_id, id, name, description, secret_hash, user_id,"
        " project_id, `system`, expires_at, unrestricted FROM application_credential WHERE %s", where), values, count));
    if (!rows_next(rows))
        return rows_fault(rows);
    struct app_cred *credential = ARENA_NEW(tx_arena(tx), struct app_cred);
    *credential = (struct app_cred){
        .internal_id = rows_int(rows, 0), .id = rows_text(rows, 1), .name = rows_text(rows, 2),
        .description = rows_text(rows, 3), .secret_hash = rows_text(rows, 4), .user_id = rows_text(rows, 5),
        .project_id = rows_text(rows, 6), .system = rows_text(rows, 7), .expires_us = rows_int(rows, 8),
        .unrestricted = rows_int(rows, 9) != 0, .unrestricted_null = rows_null(rows, 9),
    };
    rows_end(rows);
    TRY(read_roles(tx, credential));
    TRY(read_rules(tx, credential));
    *ret = credential;
    return NULL;
}

struct fault *app_cred_find(struct tx *tx, const char *id, struct app_cred **ret)
{
    return read_one(tx, ret, "id = ?", BIND(TEXT(id)));
}

struct fault *app_cred_find_name(struct tx *tx, const char *user_id, const char *name, struct app_cred **ret)
{
    return read_one(tx, ret, "user_id = ? AND name = ?", BIND(TEXT(user_id), TEXT(name)));
}

/* Deletes those that a condition names, with their roles and their ties to access rules. */
static struct fault *end_where(struct tx *tx, const char *where, const struct sql_value *values, size_t count)
{
    struct arena *arena = tx_arena(tx);
    const char *keys = arena_printf(arena, "(SELECT internal_id FROM application_credential WHERE %s)", where);

    TRY(sql_exec(tx, arena_printf(arena, "DELETE FROM application_credential_role WHERE application_credential_id IN %s", keys),
        values, count));
    TRY(sql_exec(tx, arena_printf(arena, "DELETE FROM application_credential_access_rule WHERE application_credential_id IN %s",
        keys), values, count));
    return sql_exec(tx, arena_printf(arena, "DELETE FROM application_credential WHERE %s", where), values, count);
}

struct fault *app_cred_end(struct tx *tx, const char *id)
{
    return end_where(tx, "id = ?", BIND(TEXT(id)));
}

struct fault *app_creds_end_of_user(struct tx *tx, const char *user_id)
{
    TRY(end_where(tx, "user_id = ?", BIND(TEXT(user_id))));
    return sql_exec(tx, "DELETE FROM access_rule WHERE user_id = ?", BIND(TEXT(user_id)));
}

struct fault *app_creds_end_on_project(struct tx *tx, const char *user_id, const char *project_id)
{
    return end_where(tx, "user_id = ? AND project_id = ?", BIND(TEXT(user_id), TEXT(project_id)));
}

struct fault *app_creds_end_of_project(struct tx *tx, const char *project_id)
{
    return end_where(tx, "project_id = ?", BIND(TEXT(project_id)));
}

struct fault *app_creds_end_of_role(struct tx *tx, const char *role_id)
{
    return end_where(tx, "EXISTS (SELECT 1 FROM assignment WHERE assignment.role_id = ? AND type = 'UserProject'"
        " AND actor_id = user_id AND target_id = project_id)", BIND(TEXT(role_id)));
}
