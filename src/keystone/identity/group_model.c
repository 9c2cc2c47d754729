/* SPDX-License-Identifier: Apache-2.0
 *
 * A group's rows: what they are made of, and what goes with it.
 */
#include "keystone/identity/groups.h"
#include "keystone/notifications.h"
#include "keystone/token/revocation.h"

static const struct attribute attributes[] = {
    { "id",          "id" },
    { "name",        "name",        ATTRIBUTE_FILTER },
    { "domain_id",   "domain_id",   ATTRIBUTE_FILTER },
    { "description", "description" },
};

const struct entity group_entity = {
    .name = "group", .plural = "groups", .from = "`group`", .table = "`group`", .id_column = "id", .extra_column = "extra",
    .attributes = attributes, .count = sizeof(attributes) / sizeof(attributes[0]),
    .limit_group = "identity",
};

struct fault *group_erase(struct tx *tx, struct context *cx, const char *id)
{
    int64_t roles;
    struct rows *rows;

    TRY(sql_int_of(tx, &roles, 0, "SELECT COUNT(*) FROM assignment WHERE actor_id = ?", BIND(TEXT(id))));
    if (roles > 0) {
        TRY(sql_query(tx, &rows, "SELECT user_id FROM user_group_membership WHERE group_id = ?", BIND(TEXT(id))));
        while (rows_next(rows))
            TRY(revocation_write(tx, cx->app->config, &(struct revocation){ .user_id = rows_text(rows, 0) }));
        TRY(rows_fault(rows));
    }
    TRY(sql_exec(tx, "DELETE FROM user_group_membership WHERE group_id = ?", BIND(TEXT(id))));
    TRY(sql_exec(tx, "DELETE FROM expiring_user_group_membership WHERE group_id = ?", BIND(TEXT(id))));
    TRY(sql_exec(tx, "DELETE FROM assignment WHERE actor_id = ?", BIND(TEXT(id))));
    TRY(sql_exec(tx, "DELETE FROM system_assignment WHERE actor_id = ?", BIND(TEXT(id))));
    keystone_note_deleted(cx, "group", id);
    return entity_erase(tx, &group_entity, id);
}
