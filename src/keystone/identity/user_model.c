/* SPDX-License-Identifier: Apache-2.0
 *
 * A user's rows: what they are made of, and what goes with him. His passwords: passwords.c.
 */
#include "keystone/application_credential/application_credentials.h"
#include "keystone/credential/credentials.h"
#include "keystone/identity/users.h"
#include "keystone/notifications.h"
#include "keystone/token/revocation.h"
#include "keystone/trust/trusts.h"

#include "base/clock.h"
#include "oslo/options.h"

#include <string.h>

static const struct entity_option options[] = {
    { "ignore_change_password_upon_first_use", "1000" },
    { "ignore_password_expiry",                "1001" },
    { "ignore_lockout_failure_attempts",       "1002" },
    { "lock_password",                         "1003" },
    { "ignore_user_inactivity",                "1004" },
    { "multi_factor_auth_rules",               "MFAR" },
    { "multi_factor_auth_enabled",             "MFAE" },
    { NULL, NULL },
};

/* As the reference: a filter by name finds local users alone. */
#define USER_NAME                                                                                                      \
    "COALESCE(l.name, (SELECT n.name FROM nonlocal_user n WHERE n.user_id = u.id), (SELECT f.display_name FROM"        \
    " federated_user f WHERE f.user_id = u.id ORDER BY f.id LIMIT 1))"

static const struct attribute attributes[] = {
    { "id",                  "u.id" },
    { "name",                USER_NAME,              ATTRIBUTE_FILTER | ATTRIBUTE_READ, .filter = "l.name" },
    { "domain_id",           "u.domain_id",          ATTRIBUTE_FILTER },
    { "enabled",             "u.enabled",            ATTRIBUTE_BOOL | ATTRIBUTE_FILTER },
    { "default_project_id",  "u.default_project_id", ATTRIBUTE_OPTIONAL },
    { "password_expires_at", "p.expires_at_int",     ATTRIBUTE_MOMENT | ATTRIBUTE_READ },
    { "federated",           "NULL",                 ATTRIBUTE_OPTIONAL | ATTRIBUTE_READ }, /* see federated_objects.c */
};

const struct entity user_entity = {
    .name = "user", .plural = "users", .table = "`user`", .id_column = "u.id", .extra_column = "u.extra",
    .from = "`user` u LEFT JOIN local_user l ON l.user_id = u.id LEFT JOIN password p ON p.id = (SELECT q.id FROM password q"
            " WHERE q.local_user_id = l.id ORDER BY q.created_at_int DESC, q.id DESC LIMIT 1)",
    .attributes = attributes, .count = sizeof(attributes) / sizeof(attributes[0]),
    .options_table = "user_option", .options_key = "user_id", .options = options,
    .limit_group = "identity",
};

const struct entity *user_entity_shown(const struct context *cx)
{
    const int64_t day_us = 86400LL * 1000000;
    int64_t days = config_int(cx->app->config, "security_compliance", "disable_user_account_days_inactive");

    if (days == 0)
        return &user_entity;
    struct entity *entity = ARENA_NEW(cx->arena, struct entity);
    struct attribute *columns = ARENA_ARRAY(cx->arena, struct attribute, user_entity.count);
    *entity = user_entity;
    memcpy(columns, attributes, sizeof(attributes));
    for (size_t i = 0; i < user_entity.count; i++)
        if (strcmp(columns[i].name, "enabled") == 0) {
            columns[i].filter = columns[i].column; /* as the reference: it filters by what is stored */
            columns[i].column = arena_printf(cx->arena, "CASE WHEN COALESCE(DATE(u.last_active_at), DATE(u.created_at)) <= '%.10s'"
                " AND NOT EXISTS (SELECT 1 FROM user_option o WHERE o.user_id = u.id AND o.option_id = '1004' AND"
                " o.option_value = 'true') THEN 0 ELSE u.enabled END",
                clock_text(cx->arena, clock_now_us() - days * day_us, CLOCK_SQL));
        }
    entity->attributes = columns;
    return entity;
}

struct fault *user_delete(struct tx *tx, struct context *cx, const char *id)
{
    static const char *const statements[] = {
        "DELETE FROM password WHERE local_user_id IN (SELECT id FROM local_user WHERE user_id = ?)",
        "DELETE FROM local_user WHERE user_id = ?",
        "DELETE FROM nonlocal_user WHERE user_id = ?",
        "DELETE FROM federated_user WHERE user_id = ?",
        "DELETE FROM expiring_user_group_membership WHERE user_id = ?",
        "DELETE FROM user_group_membership WHERE user_id = ?",
        "DELETE FROM assignment WHERE actor_id = ?",
        "DELETE FROM system_assignment WHERE actor_id = ?",
    };

    for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++)
        TRY(sql_exec(tx, statements[i], BIND(TEXT(id))));
    TRY(keystone_note_all_deleted(tx, cx, "application_credential", "SELECT id FROM application_credential WHERE user_id = ?", id));
    TRY(keystone_note_all_deleted(tx, cx, "access_rule", "SELECT external_id FROM access_rule WHERE user_id = ?", id));
    TRY(app_creds_end_of_user(tx, id));
    TRY(credentials_end_of_user(tx, id));
    TRY(trusts_end_of_user(tx, cx, id));
    keystone_note_deleted(cx, "user", id);
    TRY(entity_erase(tx, &user_entity, id));
    return revocation_write(tx, cx->app->config, &(struct revocation){ .user_id = id });
}
