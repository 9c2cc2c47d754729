/* SPDX-License-Identifier: Apache-2.0 */
#include "keystone/model.h"

#include "base/clock.h"
#include "oslo/json.h"
#include "oslo/options.h"

#include <string.h>

/* Of a user who is known elsewhere: what his provider calls him. */
#define DISPLAY_NAME "(SELECT f.display_name FROM federated_user f WHERE f.user_id = u.id ORDER BY f.id LIMIT 1)"
#define USER_COLUMNS                                                                                                   \
    "SELECT u.id, COALESCE(l.name, n.name, " DISPLAY_NAME "), u.domain_id, u.default_project_id, u.enabled, l.id,"     \
    " p.password_hash, p.expires_at_int, p.expires_at, u.last_active_at, u.created_at FROM `user` u"                   \
    " LEFT JOIN local_user l ON l.user_id = u.id LEFT JOIN nonlocal_user n ON n.user_id = u.id"                        \
    " LEFT JOIN password p ON p.local_user_id = l.id "

static struct fault *user_one(struct tx *tx, struct user **ret, const char *sql, const struct sql_value *values, size_t count)
{
    struct rows *rows;

    *ret = NULL;
    TRY(sql_query(tx, &rows, sql, values, count));
    if (rows_next(rows)) {
        struct user *user = ARENA_NEW(tx_arena(tx), struct user);
        *user = (struct user){
            .id = rows_text(rows, 0), .name = rows_text(rows, 1), .domain_id = rows_text(rows, 2),
            .default_project_id = rows_text(rows, 3), .enabled = rows_int(rows, 4) != 0, .local_id = rows_int(rows, 5),
            .password_hash = rows_text(rows, 6), .password_expires_us = rows_int(rows, 7),
        };
        /* rows that were written before the reference had expires_at_int */
        if (user->password_expires_us == 0 && rows_text(rows, 8) != NULL)
            clock_parse(rows_text(rows, 8), &user->password_expires_us);
        if (user->name == NULL)
            user->name = "";
        user->seen = rows_text(rows, 9) != NULL;
        const char *day = rows_text(rows, user->seen ? 9 : 10);
        user->active_day = day != NULL ? arena_strndup(tx_arena(tx), day, strnlen(day, 10)) : NULL;
        *ret = user;
        rows_end(rows);
        return NULL;
    }
    return rows_fault(rows);
}

/* The domain and local id of a user or group of a directory who is known only by his public id so far. */
static struct fault *find_mapped(struct tx *tx, const char *id, const char *kind, const char **ret_domain_id,
    const char **ret_local_id)
{
    struct rows *rows;

    *ret_domain_id = NULL;
    TRY(sql_query(tx, &rows, "SELECT domain_id, local_id FROM id_mapping WHERE public_id = ? AND entity_type = ?",
        BIND(TEXT(id), TEXT(kind))));
    if (rows_next(rows)) {
        *ret_domain_id = rows_text(rows, 0);
        *ret_local_id = rows_text(rows, 1);
        rows_end(rows);
        return NULL;
    }
    return rows_fault(rows);
}

struct fault *user_find(struct tx *tx, const char *id, struct user **ret)
{
    const char *domain_id, *local_id;

    TRY(user_one(tx, ret, USER_COLUMNS "WHERE u.id = ? ORDER BY p.created_at_int DESC, p.id DESC LIMIT 1", BIND(TEXT(id))));
    if (*ret != NULL)
        return NULL;
    TRY(find_mapped(tx, id, "user", &domain_id, &local_id));
    if (domain_id == NULL)
        return NULL;
    *ret = ARENA_NEW(tx_arena(tx), struct user);
    **ret = (struct user){ .id = arena_strdup(tx_arena(tx), id), .name = local_id, .domain_id = domain_id, .enabled = true };
    return NULL;
}

struct fault *user_find_name(struct tx *tx, const char *domain_id, const char *name, struct user **ret)
{
    TRY(user_one(tx, ret,
        USER_COLUMNS "WHERE l.domain_id = ? AND l.name = ? ORDER BY p.created_at_int DESC, p.id DESC LIMIT 1",
        BIND(TEXT(domain_id), TEXT(name))));
    if (*ret != NULL)
        return NULL;
    return user_one(tx, ret, USER_COLUMNS "WHERE n.domain_id = ? AND n.name = ? LIMIT 1",
        BIND(TEXT(domain_id), TEXT(name)));
}

struct fault *user_is_enabled(struct tx *tx, const struct config *config, const struct user *user, bool *ret)
{
    const int64_t day_us = 86400LL * 1000000;
    int64_t days = config_int(config, "security_compliance", "disable_user_account_days_inactive"), since;
    json_t *exempt;

    *ret = user->enabled;
    if (!user->enabled || days == 0 || user->active_day == NULL || !clock_parse(user->active_day, &since) ||
        clock_now_us() / day_us - since / day_us < days)
        return NULL;
    TRY(user_option(tx, user->id, "1004", &exempt));
    *ret = json_is_true(exempt);
    return NULL;
}

struct fault *group_find(struct tx *tx, const char *id, struct group **ret)
{
    const char *domain_id, *local_id;
    struct rows *rows;

    *ret = NULL;
    TRY(sql_query(tx, &rows, "SELECT id, name, domain_id FROM `group` WHERE id = ?", BIND(TEXT(id))));
    if (rows_next(rows)) {
        struct group *group = ARENA_NEW(tx_arena(tx), struct group);
        *group = (struct group){ rows_text(rows, 0), rows_text(rows, 1), rows_text(rows, 2) };
        *ret = group;
        rows_end(rows);
        return NULL;
    }
    TRY(rows_fault(rows));
    TRY(find_mapped(tx, id, "group", &domain_id, &local_id));
    if (domain_id == NULL)
        return NULL;
    *ret = ARENA_NEW(tx_arena(tx), struct group);
    **ret = (struct group){ arena_strdup(tx_arena(tx), id), local_id, domain_id };
    return NULL;
}

#define PROJECT_COLUMNS "SELECT id, name, domain_id, parent_id, enabled, is_domain FROM project "

static struct project *project_read(struct tx *tx, struct rows *rows)
{
    struct project *project = ARENA_NEW(tx_arena(tx), struct project);

    *project = (struct project){
        .id = rows_text(rows, 0), .name = rows_text(rows, 1), .domain_id = rows_text(rows, 2),
        .parent_id = rows_text(rows, 3), .enabled = rows_int(rows, 4) != 0, .is_domain = rows_int(rows, 5) != 0,
    };
    return project;
}

static struct fault *project_one(struct tx *tx, struct project **ret, const char *sql, const struct sql_value *values,
    size_t count)
{
    struct rows *rows;

    *ret = NULL;
    TRY(sql_query(tx, &rows, sql, values, count));
    if (rows_next(rows)) {
        *ret = project_read(tx, rows);
        rows_end(rows);
        return NULL;
    }
    return rows_fault(rows);
}

/* A copy of what this transaction has read under the key already. */
static bool recall_project(struct tx *tx, const char *key, struct project **ret)
{
    const struct project *known = tx_recall(tx, key);

    if (known == NULL)
        return false;
    *ret = ARENA_NEW(tx_arena(tx), struct project);
    **ret = *known;
    return true;
}

static void remember_project(struct tx *tx, const char *key, const struct project *project)
{
    struct project *kept;

    if (project == NULL)
        return;
    kept = ARENA_NEW(tx_arena(tx), struct project);
    *kept = *project;
    tx_remember(tx, key, kept);
    tx_remember(tx, arena_printf(tx_arena(tx), "project:%s", project->id), kept);
}

/* A token's way asks for the same few rows again and again: the domain of a user, of a project, a project and its parents. */
struct fault *project_find(struct tx *tx, const char *id, struct project **ret)
{
    const char *key = arena_printf(tx_arena(tx), "project:%s", id);

    if (recall_project(tx, key, ret))
        return NULL;
    TRY(project_one(tx, ret, PROJECT_COLUMNS "WHERE id = ? AND id <> '" DOMAIN_ROOT "'", BIND(TEXT(id))));
    remember_project(tx, key, *ret);
    return NULL;
}

struct fault *project_find_name(struct tx *tx, const char *domain_id, const char *name, struct project **ret)
{
    const char *key = arena_printf(tx_arena(tx), "project of %s:%s", domain_id, name);

    if (recall_project(tx, key, ret))
        return NULL;
    TRY(project_one(tx, ret, PROJECT_COLUMNS "WHERE domain_id = ? AND name = ? AND id <> '" DOMAIN_ROOT "'",
        BIND(TEXT(domain_id), TEXT(name))));
    remember_project(tx, key, *ret);
    return NULL;
}

struct fault *domain_find(struct tx *tx, const char *id, struct project **ret)
{
    TRY(project_find(tx, id, ret));
    if (*ret != NULL && !(*ret)->is_domain)
        *ret = NULL;
    return NULL;
}

struct fault *domain_need(struct tx *tx, struct context *cx, const char *id)
{
    struct project *domain;

    TRY(domain_find(tx, id, &domain));
    return domain != NULL ? NULL : keystone_not_found(cx, "domain", id);
}

struct fault *domain_find_name(struct tx *tx, const char *name, struct project **ret)
{
    TRY(project_find_name(tx, DOMAIN_ROOT, name, ret));
    if (*ret != NULL)
        return NULL;
    return project_one(tx, ret, PROJECT_COLUMNS "WHERE domain_id = '" DOMAIN_ROOT "' AND LOWER(name) = LOWER(?) AND"
        " (SELECT COUNT(*) FROM project p WHERE p.domain_id = '" DOMAIN_ROOT "' AND LOWER(p.name) = LOWER(?)) = 1",
        BIND(TEXT(name), TEXT(name)));
}

struct fault *project_parents(struct tx *tx, const struct project *project, const struct project ***ret, size_t *ret_count)
{
    enum { DEEPEST = 64 }; /* a loop in the table must not be one here */
    const struct project **parents = ARENA_ARRAY(tx_arena(tx), const struct project *, DEEPEST);
    size_t count = 0;

    while (count < DEEPEST && project->parent_id != NULL && !project->is_domain) {
        struct project *parent;
        TRY(project_find(tx, project->parent_id, &parent));
        if (parent == NULL || parent->is_domain)
            break;
        parents[count++] = parent;
        project = parent;
    }
    *ret = parents;
    *ret_count = count;
    return NULL;
}

struct fault *project_subtree(struct tx *tx, const char *id, const struct project ***ret, size_t *ret_count)
{
    struct arena *arena = tx_arena(tx);
    const struct project **found = NULL;
    size_t count = 0, capacity = 0, level = 0;

    /* `level` walks over what was found: each project's children are put behind. */
    for (const char *parent = id; parent != NULL; parent = level < count ? found[level++]->id : NULL) {
        struct rows *rows;
        TRY(sql_query(tx, &rows, PROJECT_COLUMNS "WHERE parent_id = ? AND is_domain = 0 ORDER BY id", BIND(TEXT(parent))));
        while (rows_next(rows)) {
            if (count == capacity) {
                const struct project **larger = ARENA_ARRAY(arena, const struct project *, capacity * 2 + 16);
                if (count > 0)
                    memcpy(larger, found, count * sizeof(*found));
                found = larger;
                capacity = capacity * 2 + 16;
            }
            found[count++] = project_read(tx, rows);
        }
        TRY(rows_fault(rows));
    }
    *ret = found;
    *ret_count = count;
    return NULL;
}

struct fault *user_option(struct tx *tx, const char *user_id, const char *option_id, json_t **ret)
{
    const char *key = arena_printf(tx_arena(tx), "options:%s", user_id);
    json_t *options = tx_recall(tx, key);
    struct rows *rows;

    if (options == NULL) { /* all at once: who asks for one asks for another */
        options = json_keep(tx_arena(tx), json_object());
        TRY(sql_query(tx, &rows, "SELECT option_id, option_value FROM user_option WHERE user_id = ?", BIND(TEXT(user_id))));
        while (rows_next(rows)) {
            json_t *value = json_parse_own(tx_arena(tx), rows_text(rows, 1));
            if (value != NULL)
                json_object_set(options, rows_text(rows, 0), value);
        }
        TRY(rows_fault(rows));
        tx_remember(tx, key, options);
    }
    *ret = json_object_get(options, option_id);
    return NULL;
}
