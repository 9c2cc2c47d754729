/* SPDX-License-Identifier: Apache-2.0 */
#include "keystone/identity/directories.h"

#include "base/clock.h"
#include "base/map.h"
#include "base/module.h"
#include "keystone/identity/shadow_users.h"
#include "keystone/model.h"
#include "keystone/resource/domain_config.h"
#include "oslo/options.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { USER_AGE_US = 1000000, REMEMBERED = 10000 };

struct directory_of_domain {
    char *domain_id;
    char *source;                 /* what it was made from; another text makes another */
    const struct directory_driver *driver;
    void *handle;
    struct config *config;        /* of the domain; NULL: the service's own */
    const struct config *settings;
};

struct known_user {
    struct arena *arena;
    struct directory_state state;
};

struct directories {
    pthread_mutex_t lock;
    struct map domains;           /* id to struct directory_of_domain */
    struct directory_of_domain **old; /* replaced ones: somebody may still be in them */
    size_t old_count;
    struct map users;             /* id to struct known_user */
    bool specific, from_database, by_default;
    const char *folder, *default_domain;
};

struct directories *directories_create(const struct app *app)
{
    const struct config *config = app->config;
    bool by_default = strcmp(config_str(config, "identity", "driver"), "ldap") == 0;
    bool specific = config_bool(config, "identity", "domain_specific_drivers_enabled");
    struct directories *directories;

    if (!by_default && !specific)
        return NULL;
    directories = calloc(1, sizeof(*directories));
    if (directories == NULL)
        abort();
    pthread_mutex_init(&directories->lock, NULL);
    directories->specific = specific;
    directories->by_default = by_default;
    directories->from_database = config_bool(config, "identity", "domain_configurations_from_database");
    directories->folder = config_str(config, "identity", "domain_config_dir");
    directories->default_domain = config_str(config, "identity", "default_domain_id");
    return directories;
}

static void directory_destroy(struct directory_of_domain *directory)
{
    if (directory->driver != NULL)
        directory->driver->close(directory->handle);
    config_destroy(directory->config);
    free(directory->domain_id);
    free(directory->source);
    free(directory);
}

static void known_user_destroy(struct known_user *user)
{
    arena_destroy(user->arena);
    free(user);
}

void directories_destroy(struct directories *directories)
{
    struct map_entry *entry;

    if (directories == NULL)
        return;
    for (size_t at = 0; (entry = map_next(&directories->domains, &at)) != NULL;)
        directory_destroy(entry->value);
    for (size_t at = 0; (entry = map_next(&directories->users, &at)) != NULL;)
        known_user_destroy(entry->value);
    for (size_t i = 0; i < directories->old_count; i++)
        directory_destroy(directories->old[i]);
    free(directories->old);
    map_release(&directories->domains);
    map_release(&directories->users);
    pthread_mutex_destroy(&directories->lock);
    free(directories);
}

/* ---- Which domain has one ---- */

/* Sets what the stored configuration says over the defaults. */
static struct fault *override_all(struct context *cx, struct config *config, const json_t *stored)
{
    const char *group, *name;
    json_t *options, *value;

    json_object_foreach((json_t *)stored, group, options) {
        json_object_foreach(options, name, value) {
            BUF_CLEANUP struct buf text = { 0 };
            if (json_is_null(value) || !config_has(config, group, name))
                continue;
            for (size_t i = 0; i < json_array_size(value); i++)
                buf_printf(&text, "%s%s", i > 0 ? "," : "", json_string_value(json_array_get(value, i)));
            TRY(config_set_override(cx->arena, config, group, name, json_is_array(value) ? buf_text(&text) :
                json_is_string(value) ? json_string_value(value) : json_dump(cx->arena, value)));
        }
    }
    return NULL;
}

/* What a domain's directory is made from, and its configuration: *ret_source NULL when it has none of its own. */
static struct fault *find_source(struct context *cx, const struct directories *directories, const char *domain_id,
    const char **ret_source, json_t **ret_stored)
{
    struct project *domain;
    struct tx *tx;

    *ret_source = NULL;
    *ret_stored = NULL;
    if (!directories->specific)
        return NULL;
    TRY(db_read(cx->arena, cx->app->db, &tx));
    if (directories->from_database) {
        TRY(domain_config_load(tx, domain_id, ret_stored));
        tx_end(tx);
        if (json_object_size(*ret_stored) > 0)
            *ret_source = json_dump(cx->arena, *ret_stored);
        return NULL;
    }
    TRY(domain_find(tx, domain_id, &domain));
    tx_end(tx);
    const char *path = domain == NULL || strchr(domain->name, '/') != NULL ? NULL :
        arena_printf(cx->arena, "%s/keystone.%s.conf", directories->folder, domain->name);
    if (path != NULL && access(path, R_OK) == 0)
        *ret_source = path;
    return NULL;
}

static struct fault *make(struct context *cx, const struct directories *directories, const char *domain_id, const char *source,
    const json_t *stored, struct directory_of_domain **ret)
{
    const struct option_table *const tables[] = { &keystone_resource_options, &keystone_ldap_options };
    const struct config_source file = { .path = source };
    struct directory_of_domain *directory = calloc(1, sizeof(*directory));
    struct fault *fault = NULL;

    if (directory == NULL)
        abort();
    directory->domain_id = strdup(domain_id);
    directory->source = strdup(source);
    directory->settings = cx->app->config;
    if (source[0] != '\0') {
        fault = config_create(cx->arena, tables, 2, &file, stored != NULL ? 0 : 1, &directory->config);
        if (fault == NULL && stored != NULL)
            fault = override_all(cx, directory->config, stored);
        directory->settings = directory->config;
    }
    if (fault == NULL && strcmp(config_str(directory->settings, "identity", "driver"), "ldap") == 0) {
        const void *driver;
        fault = module_load(cx->arena, "keystone/ldap", "keystone_ldap.so", DIRECTORY_LDAP_SYMBOL, &driver);
        if (fault == NULL)
            fault = ((const struct directory_driver *)driver)->open(cx->arena, directory->settings, &directory->handle);
        if (fault == NULL)
            directory->driver = driver;
    }
    if (fault != NULL) {
        directory_destroy(directory);
        return fault;
    }
    *ret = directory;
    return NULL;
}

/* Puts a new one in the place of the one before; the first of several threads wins. */
static struct directory_of_domain *install(struct directories *directories, struct directory_of_domain *made)
{
    pthread_mutex_lock(&directories->lock);
    struct directory_of_domain *present = map_get(&directories->domains, made->domain_id), *kept = made;
    if (present != NULL && strcmp(present->source, made->source) == 0) {
        kept = present;
    } else {
        if (present != NULL) {
            directories->old = realloc(directories->old, (directories->old_count + 1) * sizeof(void *));
            if (directories->old == NULL)
                abort();
            directories->old[directories->old_count++] = present;
        }
        map_set(&directories->domains, made->domain_id, made);
    }
    pthread_mutex_unlock(&directories->lock);
    if (kept != made)
        directory_destroy(made);
    return kept;
}

struct fault *directory_of(struct context *cx, const char *domain_id, struct directory_of_domain **ret)
{
    struct directories *directories = keystone_of(cx)->directories;
    struct directory_of_domain *found;
    const char *source;
    json_t *stored;

    *ret = NULL;
    if (directories == NULL || domain_id == NULL)
        return NULL;
    TRY(find_source(cx, directories, domain_id, &source, &stored));
    if (source == NULL && !(directories->by_default && strcmp(domain_id, directories->default_domain) == 0))
        return NULL;
    if (source == NULL)
        source = ""; /* the service's own configuration */
    pthread_mutex_lock(&directories->lock);
    found = map_get(&directories->domains, domain_id);
    pthread_mutex_unlock(&directories->lock);
    if (found == NULL || strcmp(found->source, source) != 0) {
        TRY(make(cx, directories, domain_id, source, stored, &found));
        found = install(directories, found);
    }
    *ret = found->driver != NULL ? found : NULL;
    return NULL;
}

const char *directory_domain(const struct directory_of_domain *directory)
{
    return directory->domain_id;
}

int64_t directory_list_limit(const struct context *cx, const struct directory_of_domain *directory)
{
    int64_t limit = config_int(directory->settings, "identity", "list_limit");

    return limit > 0 ? limit : config_int(cx->app->config, "DEFAULT", "list_limit");
}

struct fault *directory_find(struct context *cx, struct directory_of_domain *directory, enum directory_kind kind,
    enum directory_by by, const char *value, struct directory_entry **ret, size_t *ret_count)
{
    int64_t limit = by == DIRECTORY_ALL ? directory_list_limit(cx, directory) : 0;

    return directory->driver->find(directory->handle, cx->arena, kind, by, value, limit > 0 ? (size_t)limit + 1 : 0, ret,
        ret_count);
}

/* ---- Public ids ---- */

static const char *kind_name(enum directory_kind kind)
{
    return kind == DIRECTORY_USERS ? "user" : "group";
}

struct fault *directory_behind(struct context *cx, enum directory_kind kind, const char *id, struct directory_of_domain **ret,
    const char **ret_local_id)
{
    const char *domain_id = NULL;
    struct rows *rows;
    struct tx *tx;

    *ret = NULL;
    *ret_local_id = NULL;
    if (keystone_of(cx)->directories == NULL || id == NULL)
        return NULL;
    TRY(db_read(cx->arena, cx->app->db, &tx));
    TRY(sql_query(tx, &rows, "SELECT domain_id, local_id FROM id_mapping WHERE public_id = ? AND entity_type = ?",
        BIND(TEXT(id), TEXT(kind_name(kind)))));
    if (rows_next(rows)) {
        domain_id = arena_strdup(cx->arena, rows_text(rows, 0));
        *ret_local_id = arena_strdup(cx->arena, rows_text(rows, 1));
        rows_end(rows);
    }
    tx_end(tx);
    return domain_id != NULL ? directory_of(cx, domain_id, ret) : NULL;
}

struct publishing {
    struct directory_of_domain *directory;
    enum directory_kind kind;
    struct directory_entry *entries;
    size_t count;
    bool plain; /* the default driver's ids stay as they are */
};

static struct fault *publish_run(struct tx *tx, void *argument)
{
    struct publishing *all = argument;
    const char *domain_id = all->directory->domain_id, *kind = kind_name(all->kind), *found;
    const char **ids = ARENA_ARRAY(tx_arena(tx), const char *, all->count + 1);

    for (size_t i = 0; i < all->count; i++) {
        const char *local_id = all->entries[i].id;
        TRY(sql_text_of(tx, &found, "SELECT public_id FROM id_mapping WHERE domain_id = ? AND local_id = ? AND entity_type = ?",
            BIND(TEXT(domain_id), TEXT(local_id), TEXT(kind))));
        ids[i] = found != NULL ? found : all->plain ? local_id : public_id(tx_arena(tx), domain_id, kind, local_id);
        if (found != NULL)
            continue;
        TRY(sql_text_of(tx, &found, "SELECT local_id FROM id_mapping WHERE public_id = ?", BIND(TEXT(ids[i]))));
        if (found == NULL)
            TRY(sql_exec(tx, "INSERT INTO id_mapping (public_id, domain_id, local_id, entity_type) VALUES (?, ?, ?, ?)",
                BIND(TEXT(ids[i]), TEXT(domain_id), TEXT(local_id), TEXT(kind))));
    }
    for (size_t i = 0; i < all->count; i++)
        all->entries[i].id = ids[i];
    return NULL;
}

/* Those that are known need no writing: one look first. */
static struct fault *publish_known(struct tx *tx, const struct publishing *all, const char **ids, bool *ret_all)
{
    struct map known = { 0 };
    struct rows *rows;

    *ret_all = true;
    struct fault *fault = sql_query(tx, &rows, "SELECT local_id, public_id FROM id_mapping WHERE domain_id = ? AND entity_type = ?",
        BIND(TEXT(all->directory->domain_id), TEXT(kind_name(all->kind))));
    while (fault == NULL && rows_next(rows))
        map_set(&known, rows_text(rows, 0), (void *)rows_text(rows, 1));
    for (size_t i = 0; i < all->count && fault == NULL; i++) {
        ids[i] = map_get(&known, all->entries[i].id);
        *ret_all = *ret_all && ids[i] != NULL;
    }
    map_release(&known);
    return fault;
}

struct fault *directory_publish(struct context *cx, struct directory_of_domain *directory, enum directory_kind kind,
    struct directory_entry *entries, size_t count)
{
    bool plain = directory->source[0] == '\0' && config_bool(cx->app->config, "identity_mapping", "backward_compatible_ids");
    struct publishing all = { directory, kind, entries, count, plain };
    const char **ids = ARENA_ARRAY(cx->arena, const char *, count + 1);
    struct tx *tx;
    bool known;

    if (count == 0)
        return NULL;
    TRY(db_read(cx->arena, cx->app->db, &tx));
    struct fault *fault = publish_known(tx, &all, ids, &known);
    tx_end(tx);
    if (fault != NULL)
        return fault;
    if (!known)
        return db_write(cx->arena, cx->app->db, publish_run, &all);
    for (size_t i = 0; i < count; i++)
        entries[i].id = ids[i];
    return NULL;
}

/* ---- Logins ---- */

struct shadowing {
    const struct directory_entry *entry;
    const char *domain_id;
};

/* The user's row: made at the first login, and kept in step with the directory. */
static struct fault *shadow_run(struct tx *tx, void *argument)
{
    const struct shadowing *shadowing = argument;
    const char *id = shadowing->entry->id, *name = shadowing->entry->name, *domain_id = shadowing->domain_id, *found;
    const char *now = clock_text(tx_arena(tx), clock_now_us(), CLOCK_SQL), *today = arena_strndup(tx_arena(tx), now, 10);

    TRY(sql_text_of(tx, &found, "SELECT id FROM `user` WHERE id = ?", BIND(TEXT(id))));
    if (found == NULL)
        TRY(sql_exec(tx, "INSERT INTO `user` (id, extra, enabled, created_at, last_active_at, domain_id) VALUES"
            " (?, '{}', 1, ?, ?, ?)", BIND(TEXT(id), TEXT(now), TEXT(today), TEXT(domain_id))));
    else
        TRY(sql_exec(tx, "UPDATE `user` SET last_active_at = ? WHERE id = ?", BIND(TEXT(today), TEXT(id))));
    TRY(sql_text_of(tx, &found, "SELECT name FROM nonlocal_user WHERE user_id = ?", BIND(TEXT(id))));
    if (found != NULL && strcmp(found, name) == 0)
        return NULL;
    TRY(sql_exec(tx, "DELETE FROM nonlocal_user WHERE user_id = ? OR (domain_id = ? AND name = ?)",
        BIND(TEXT(id), TEXT(domain_id), TEXT(name))));
    return sql_exec(tx, "INSERT INTO nonlocal_user (domain_id, name, user_id) VALUES (?, ?, ?)",
        BIND(TEXT(domain_id), TEXT(name), TEXT(id)));
}

/* Who was found and is who he says he is: with an id, and a row in the database. */
static struct fault *admit(struct context *cx, struct directory_of_domain *directory, struct directory_entry *entry,
    const char **ret_id)
{
    TRY(directory_publish(cx, directory, DIRECTORY_USERS, entry, 1));
    struct shadowing shadowing = { entry, directory->domain_id };
    TRY(db_write(cx->arena, cx->app->db, shadow_run, &shadowing));
    *ret_id = entry->id;
    return NULL;
}

struct fault *directory_admit(struct context *cx, struct directory_of_domain *directory, const char *name, const char **ret_id)
{
    struct directory_entry *entries;
    size_t count;

    *ret_id = NULL;
    TRY(directory_find(cx, directory, DIRECTORY_USERS, DIRECTORY_BY_NAME, name, &entries, &count));
    return count > 0 && entries[0].enabled ? admit(cx, directory, &entries[0], ret_id) : NULL;
}

struct fault *directory_login(struct context *cx, struct directory_of_domain *directory, bool by_id, const char *user,
    const char *password, const char **ret_id)
{
    struct directory_of_domain *same;
    struct directory_entry *entries;
    const char *local_id = user;
    size_t count;
    bool right;

    *ret_id = NULL;
    if (by_id)
        TRY(directory_behind(cx, DIRECTORY_USERS, user, &same, &local_id));
    if (local_id == NULL)
        return NULL;
    TRY(directory_find(cx, directory, DIRECTORY_USERS, by_id ? DIRECTORY_BY_ID : DIRECTORY_BY_NAME, local_id, &entries, &count));
    if (count == 0 || !entries[0].enabled)
        return NULL;
    TRY(directory->driver->authenticate(directory->handle, cx->arena, entries[0].id, password, &right));
    return right ? admit(cx, directory, &entries[0], ret_id) : NULL;
}

/* ---- What it says of a user now ---- */

static const char *const none[] = { NULL };

static const char *const *copy_ids(struct arena *arena, const char *const *ids)
{
    size_t count = 0;

    while (ids[count] != NULL)
        count++;
    const char **copy = ARENA_ARRAY(arena, const char *, count + 1);
    for (size_t i = 0; i < count; i++)
        copy[i] = arena_strdup(arena, ids[i]);
    return copy;
}

static bool remembered(struct context *cx, struct directories *directories, const char *user_id, struct directory_state *ret)
{
    bool found = false;

    pthread_mutex_lock(&directories->lock);
    const struct known_user *user = map_get(&directories->users, user_id);
    if (user != NULL && clock_monotonic_us() - user->state.read_us < USER_AGE_US) {
        *ret = user->state;
        ret->group_ids = copy_ids(cx->arena, user->state.group_ids);
        found = true;
    }
    pthread_mutex_unlock(&directories->lock);
    return found;
}

static void remember(struct directories *directories, const char *user_id, const struct directory_state *state)
{
    struct known_user *user = calloc(1, sizeof(*user));

    if (user == NULL)
        abort();
    user->arena = arena_create();
    user->state = *state;
    user->state.group_ids = copy_ids(user->arena, state->group_ids);
    pthread_mutex_lock(&directories->lock);
    if (directories->users.count >= REMEMBERED) {
        struct map_entry *entry;
        for (size_t at = 0; (entry = map_next(&directories->users, &at)) != NULL;)
            known_user_destroy(entry->value);
        map_release(&directories->users);
        directories->users = (struct map){ 0 };
    }
    struct known_user *before = map_set(&directories->users, user_id, user);
    pthread_mutex_unlock(&directories->lock);
    if (before != NULL)
        known_user_destroy(before);
}

static struct fault *ask(struct context *cx, const char *user_id, struct directory_state *ret)
{
    struct directory_of_domain *directory;
    struct directory_entry *entries;
    const char *local_id;
    size_t count;

    TRY(directory_behind(cx, DIRECTORY_USERS, user_id, &directory, &local_id));
    if (directory == NULL)
        return NULL;
    ret->known = true;
    ret->read_us = clock_monotonic_us();
    TRY(directory_find(cx, directory, DIRECTORY_USERS, DIRECTORY_BY_ID, local_id, &entries, &count));
    ret->there = count > 0;
    ret->enabled = count > 0 && entries[0].enabled;
    if (!ret->enabled)
        return NULL;
    TRY(directory_find(cx, directory, DIRECTORY_GROUPS, DIRECTORY_OF_USER, local_id, &entries, &count));
    TRY(directory_publish(cx, directory, DIRECTORY_GROUPS, entries, count));
    const char **ids = ARENA_ARRAY(cx->arena, const char *, count + 1);
    for (size_t i = 0; i < count; i++)
        ids[i] = entries[i].id;
    ret->group_ids = ids;
    return NULL;
}

struct fault *directory_state(struct context *cx, const char *user_id, struct directory_state *ret)
{
    struct directories *directories = keystone_of(cx)->directories;

    *ret = (struct directory_state){ .group_ids = none };
    if (directories == NULL || remembered(cx, directories, user_id, ret))
        return NULL;
    TRY(ask(cx, user_id, ret));
    if (ret->known)
        remember(directories, user_id, ret);
    return NULL;
}
