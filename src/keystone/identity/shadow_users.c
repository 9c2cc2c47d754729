/* SPDX-License-Identifier: Apache-2.0 */
#include "keystone/identity/shadow_users.h"

#include "base/clock.h"
#include "base/random.h"
#include "base/text.h"
#include "keystone/model.h"
#include "keystone/notifications.h"
#include "keystone/resource/projects.h"
#include "oslo/options.h"

#include <openssl/evp.h>
#include <string.h>

const char *public_id(struct arena *arena, const char *domain_id, const char *kind, const char *local_id)
{
    const char *text = arena_printf(arena, "%s%s%s", domain_id, kind, local_id);
    unsigned char digest[32];

    EVP_Digest(text, strlen(text), digest, NULL, EVP_sha256(), NULL);
    return text_hex(arena, digest, sizeof(digest));
}

static const char *now_text(struct tx *tx, enum clock_format format)
{
    return clock_text(tx_arena(tx), clock_now_us(), format);
}

/* ---- The user ---- */

static struct fault *store_email(struct tx *tx, const char *id, const char *email)
{
    struct arena *arena = tx_arena(tx);
    const char *extra;

    if (email == NULL || email[0] == '\0')
        return NULL;
    TRY(sql_text_of(tx, &extra, "SELECT extra FROM `user` WHERE id = ?", BIND(TEXT(id))));
    json_t *old = json_parse_own(arena, extra);
    json_t *merged = json_keep(arena, json_is_object(old) ? json_deep_copy(old) : json_object());
    json_object_set_new(merged, "email", json_string(email));
    return sql_exec(tx, "UPDATE `user` SET extra = ? WHERE id = ?", BIND(TEXT(json_dump(arena, merged)), TEXT(id)));
}

static struct fault *find_or_make(struct tx *tx, const struct federated_login *login, const char **ret_id)
{
    struct user *present;

    TRY(tx_serialize_on(tx, "keystone:federated_user", login->idp_id));
    TRY(sql_text_of(tx, ret_id, "SELECT user_id FROM federated_user WHERE idp_id = ? AND protocol_id = ? AND unique_id = ?",
        BIND(TEXT(login->idp_id), TEXT(login->protocol_id), TEXT(login->unique_id))));
    if (*ret_id != NULL)
        return sql_exec(tx, "UPDATE federated_user SET display_name = ? WHERE idp_id = ? AND protocol_id = ? AND unique_id = ?"
            " AND (display_name IS NULL OR display_name <> ?)",
            BIND(TEXT(login->display_name), TEXT(login->idp_id), TEXT(login->protocol_id), TEXT(login->unique_id),
                TEXT(login->display_name)));
    *ret_id = public_id(tx_arena(tx), login->idp_domain_id, "user", login->unique_id);
    TRY(user_find(tx, *ret_id, &present));
    if (present == NULL)
        TRY(sql_exec(tx, "INSERT INTO `user` (id, extra, enabled, created_at, domain_id) VALUES (?, '{}', 1, ?, ?)",
            BIND(TEXT(*ret_id), TEXT(now_text(tx, CLOCK_SQL)), TEXT(login->idp_domain_id))));
    return sql_exec(tx, "INSERT INTO federated_user (user_id, idp_id, protocol_id, unique_id, display_name) VALUES"
        " (?, ?, ?, ?, ?)", BIND(TEXT(*ret_id), TEXT(login->idp_id), TEXT(login->protocol_id), TEXT(login->unique_id),
            TEXT(login->display_name)));
}

/* ---- Groups ---- */

static struct fault *verify_membership(struct tx *tx, const struct federated_login *login, const char *user_id,
    const char *group_id)
{
    const char *now = now_text(tx, CLOCK_SQL);
    int64_t changed;

    TRY(sql_exec_changed(tx, "UPDATE expiring_user_group_membership SET last_verified = ? WHERE user_id = ? AND group_id = ?"
        " AND idp_id = ?", BIND(TEXT(now), TEXT(user_id), TEXT(group_id), TEXT(login->idp_id)), &changed));
    if (changed > 0)
        return NULL;
    TRY(sql_exec(tx, "DELETE FROM expiring_user_group_membership WHERE user_id = ? AND group_id = ? AND idp_id = ?",
        BIND(TEXT(user_id), TEXT(group_id), TEXT(login->idp_id))));
    return sql_exec(tx, "INSERT INTO expiring_user_group_membership (user_id, group_id, idp_id, last_verified) VALUES"
        " (?, ?, ?, ?)", BIND(TEXT(user_id), TEXT(group_id), TEXT(login->idp_id), TEXT(now)));
}

struct fault *expiring_memberships(struct tx *tx, const struct config *config, const char *user_id,
    struct expiring_membership **ret, size_t *ret_count)
{
    int64_t minutes = config_int(config, "federation", "default_authorization_ttl"), now = clock_now_us(), count;
    struct rows *rows;

    *ret_count = 0;
    TRY(sql_int_of(tx, &count, 0, "SELECT COUNT(*) FROM expiring_user_group_membership WHERE user_id = ?",
        BIND(TEXT(user_id))));
    *ret = ARENA_ARRAY(tx_arena(tx), struct expiring_membership, (size_t)count + 1);
    if (count == 0)
        return NULL;
    TRY(sql_query(tx, &rows, "SELECT m.group_id, m.last_verified, p.authorization_ttl FROM expiring_user_group_membership m"
        " JOIN identity_provider p ON p.id = m.idp_id WHERE m.user_id = ?", BIND(TEXT(user_id))));
    while (*ret_count < (size_t)count && rows_next(rows)) {
        int64_t ttl = rows_int(rows, 2), verified; /* 0 and null: the default */
        if (!clock_parse(rows_text(rows, 1), &verified))
            continue;
        int64_t end = verified + (ttl != 0 ? ttl : minutes) * 60000000;
        if (end > now)
            (*ret)[(*ret_count)++] = (struct expiring_membership){ rows_text(rows, 0), end };
    }
    rows_end(rows);
    return NULL;
}

struct fault *expiring_groups(struct tx *tx, const struct config *config, const char *user_id, const char *const **ret)
{
    struct expiring_membership *memberships;
    size_t count;

    TRY(expiring_memberships(tx, config, user_id, &memberships, &count));
    const char **ids = ARENA_ARRAY(tx_arena(tx), const char *, count + 1);
    for (size_t i = 0; i < count; i++)
        ids[i] = memberships[i].group_id;
    *ret = ids;
    return NULL;
}

/* ---- Projects and roles ---- */

/* The id of a role by its name, of the provider's domain or of all. */
static struct fault *find_role(struct tx *tx, struct context *cx, const struct federated_login *login, const char *name,
    const char **ret)
{
    const char *domain_id;

    TRY(sql_text_of(tx, ret, "SELECT id FROM role WHERE name = ? AND domain_id IN ('" ROLE_NO_DOMAIN "', ?)"
        " ORDER BY domain_id LIMIT 1", BIND(TEXT(name), TEXT(login->idp_domain_id))));
    if (*ret != NULL)
        return NULL;
    TRY(sql_text_of(tx, &domain_id, "SELECT domain_id FROM role WHERE name = ?", BIND(TEXT(name))));
    if (domain_id != NULL)
        return keystone_refused(cx, "role: %s must be within the same domain as the identity provider: %s.", name, login->idp_id);
    return FAULT(cx, 404, NULL, "%s", name);
}

static struct fault *find_project(struct tx *tx, struct context *cx, const struct federated_login *login, const char *name,
    const char **ret_id)
{
    struct project *present;

    TRY(project_find_name(tx, login->idp_domain_id, name, &present));
    if (present != NULL) {
        *ret_id = present->id;
        return NULL;
    }
    json_t *made = json_keep(tx_arena(tx), json_object());
    *ret_id = uuid_new_hex(tx_arena(tx));
    json_object_set_new(made, "id", json_string(*ret_id));
    json_object_set_new(made, "name", json_string(name));
    json_object_set_new(made, "domain_id", json_string(login->idp_domain_id));
    json_object_set_new(made, "parent_id", json_string(login->idp_domain_id));
    project_defaults(made);
    keystone_note_created(cx, "project", *ret_id);
    return project_create(tx, cx, made);
}

static struct fault *give_projects(struct tx *tx, struct context *cx, const struct federated_login *login, const char *user_id)
{
    for (size_t i = 0; i < json_array_size(login->projects); i++) {
        const json_t *project = json_array_get(login->projects, i), *roles = json_object_get(project, "roles");
        const char *project_id, *role_id;
        TRY(find_project(tx, cx, login, json_text_at(project, "name"), &project_id));
        for (size_t k = 0; k < json_array_size(roles); k++) {
            int64_t present;
            TRY(find_role(tx, cx, login, json_text_at(json_array_get(roles, k), "name"), &role_id));
            TRY(sql_int_of(tx, &present, 0, "SELECT COUNT(*) FROM assignment WHERE type = 'UserProject' AND actor_id = ? AND"
                " target_id = ? AND role_id = ? AND inherited = 0", BIND(TEXT(user_id), TEXT(project_id), TEXT(role_id))));
            keystone_note_grant(cx, user_id, project_id, role_id);
            if (present == 0)
                TRY(sql_exec(tx, "INSERT INTO assignment (type, actor_id, target_id, role_id, inherited) VALUES"
                    " ('UserProject', ?, ?, ?, 0)", BIND(TEXT(user_id), TEXT(project_id), TEXT(role_id))));
        }
    }
    return NULL;
}

struct fault *shadow_user(struct tx *tx, struct context *cx, const struct federated_login *login, const char **ret_id)
{
    TRY(find_or_make(tx, login, ret_id));
    TRY(store_email(tx, *ret_id, login->email));
    TRY(sql_exec(tx, "UPDATE `user` SET last_active_at = ? WHERE id = ?",
        BIND(TEXT(arena_strndup(tx_arena(tx), now_text(tx, CLOCK_SQL), strlen("YYYY-MM-DD"))), TEXT(*ret_id))));
    for (const char *const *group = login->group_ids; group != NULL && *group != NULL; group++)
        TRY(verify_membership(tx, login, *ret_id, *group));
    return give_projects(tx, cx, login, *ret_id);
}
