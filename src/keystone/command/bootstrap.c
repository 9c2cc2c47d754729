/* SPDX-License-Identifier: Apache-2.0
 *
 * What keystone-manage bootstrap makes (keystone/cmd/bootstrap.py), and the users and catalog entries of services. All
 * of it is there at most once, however often it is asked for.
 */
#include "keystone/auth/login.h"
#include "keystone/identity/password.h"
#include "keystone/identity/users.h"
#include "keystone/keystone.h"
#include "keystone/model.h"
#include "keystone/state.h"
#include "keystone/token/revocation.h"

#include "base/log.h"
#include "base/random.h"
#include "oslo/json.h"
#include "oslo/options.h"

#include <stdarg.h>
#include <string.h>

static const char *default_domain(const struct context *cx)
{
    return config_str(cx->app->config, "identity", "default_domain_id");
}

static const char *or_default(const char *value, const char *absent)
{
    return value != NULL ? value : absent;
}

/* What was done, to be logged once the transaction, which may run several times, has committed. */
enum { NOTES = 64 };
struct notes {
    const char *lines[NOTES];
    size_t count;
};

static void __attribute__((format(printf, 3, 4))) note(struct tx *tx, struct notes *notes, const char *format, ...)
{
    va_list args;

    if (notes == NULL || notes->count == NOTES)
        return;
    va_start(args, format);
    notes->lines[notes->count++] = arena_vprintf(tx_arena(tx), format, args);
    va_end(args);
}

static void log_notes(const struct notes *notes)
{
    for (size_t i = 0; i < notes->count; i++)
        log_info("keystone.cmd.bootstrap", "%s", notes->lines[i]);
}

/* ---- One thing each; `ret_id` gives the id of what is there then; `notes` may be NULL ---- */

static struct fault *ensure_domain(struct tx *tx, const struct context *cx, struct notes *notes)
{
    const char *id = default_domain(cx);
    struct project *domain;

    TRY(domain_find(tx, id, &domain));
    if (domain != NULL) {
        note(tx, notes, "Domain %s already exists, skipping creation.", id);
        return NULL;
    }
    note(tx, notes, "Created domain %s", id);
    return sql_exec(tx, "INSERT INTO project (id, name, extra, description, enabled, domain_id, parent_id, is_domain)"
        " VALUES (?, 'Default', '{}', 'The default domain', 1, '" DOMAIN_ROOT "', NULL, 1)", BIND(TEXT(id)));
}

/* *ret_id holds the id of a new one, or NULL for any. */
static struct fault *ensure_project(struct tx *tx, const struct context *cx, struct notes *notes, const char *name,
    const char *description, const char **ret_id)
{
    const char *domain_id = default_domain(cx);
    struct project *project;

    TRY(project_find_name(tx, domain_id, name, &project));
    if (project != NULL) {
        *ret_id = project->id;
        note(tx, notes, "Project %s already exists, skipping creation.", name);
        return NULL;
    }
    note(tx, notes, "Created project %s", name);
    if (*ret_id == NULL)
        *ret_id = uuid_new_hex(tx_arena(tx));
    return sql_exec(tx, "INSERT INTO project (id, name, extra, description, enabled, domain_id, parent_id, is_domain)"
        " VALUES (?, ?, '{}', ?, 1, ?, ?, 0)",
        BIND(TEXT(*ret_id), TEXT(name), TEXT(description), TEXT(domain_id), TEXT(domain_id)));
}

static struct fault *ensure_role(struct tx *tx, struct notes *notes, const char *name, bool immutable, const char **ret_id)
{
    TRY(sql_text_of(tx, ret_id, "SELECT id FROM role WHERE name = ? AND domain_id = '" ROLE_NO_DOMAIN "'", BIND(TEXT(name))));
    if (*ret_id != NULL) {
        note(tx, notes, "Role %s exists, skipping creation.", name);
        return NULL;
    }
    note(tx, notes, "Created role %s", name);
    *ret_id = uuid_new_hex(tx_arena(tx));
    TRY(sql_exec(tx, "INSERT INTO role (id, name, extra, domain_id, description) VALUES (?, ?, '{}', '" ROLE_NO_DOMAIN
        "', NULL)", BIND(TEXT(*ret_id), TEXT(name))));
    if (!immutable) {
        note(tx, notes, "Role %s is mutable; the option 'immutable' protects it from changes", name);
        return NULL;
    }
    return sql_exec(tx, "INSERT INTO role_option (role_id, option_id, option_value) VALUES (?, 'IMMU', 'true')",
        BIND(TEXT(*ret_id)));
}

static struct fault *ensure_implied(struct tx *tx, struct notes *notes, const char *prior, const char *implied)
{
    int64_t present;

    TRY(sql_int_of(tx, &present, 0, "SELECT COUNT(*) FROM implied_role WHERE prior_role_id = ? AND implied_role_id = ?",
        BIND(TEXT(prior), TEXT(implied))));
    if (present > 0) {
        note(tx, notes, "Implied role where %s implies %s exists, skipping creation.", prior, implied);
        return NULL;
    }
    note(tx, notes, "Created implied role where %s implies %s", prior, implied);
    return sql_exec(tx, "INSERT INTO implied_role (prior_role_id, implied_role_id) VALUES (?, ?)",
        BIND(TEXT(prior), TEXT(implied)));
}

static struct fault *ensure_assignment(struct tx *tx, const char *table, const char *type, const char *actor,
    const char *target, const char *role, bool *ret_made)
{
    int64_t present;

    *ret_made = false;

    TRY(sql_int_of(tx, &present, 0, arena_printf(tx_arena(tx), "SELECT COUNT(*) FROM %s WHERE type = ? AND actor_id = ?"
        " AND target_id = ? AND role_id = ? AND inherited = 0", table),
        BIND(TEXT(type), TEXT(actor), TEXT(target), TEXT(role))));
    if (present > 0)
        return NULL;
    *ret_made = true;
    return sql_exec(tx, arena_printf(tx_arena(tx), "INSERT INTO %s (type, actor_id, target_id, role_id, inherited)"
        " VALUES (?, ?, ?, ?, 0)", table), BIND(TEXT(type), TEXT(actor), TEXT(target), TEXT(role)));
}

static struct fault *ensure_region(struct tx *tx, struct notes *notes, const char *region)
{
    int64_t present;

    TRY(sql_int_of(tx, &present, 0, "SELECT COUNT(*) FROM region WHERE id = ?", BIND(TEXT(region))));
    if (present > 0) {
        note(tx, notes, "Region %s exists, skipping creation.", region);
        return NULL;
    }
    note(tx, notes, "Created region %s", region);
    return sql_exec(tx, "INSERT INTO region (id, description, parent_region_id, extra) VALUES (?, '', NULL, '{}')",
        BIND(TEXT(region)));
}

static struct fault *ensure_endpoint(struct tx *tx, struct notes *notes, const char *service, const char *interface,
    const char *region, const char *url)
{
    const char *id, *old;

    TRY(sql_text_of(tx, &id, "SELECT id FROM endpoint WHERE service_id = ? AND interface = ?"
        " AND (region_id = ? OR (region_id IS NULL AND ? IS NULL)) ORDER BY id LIMIT 1",
        BIND(TEXT(service), TEXT(interface), TEXT(region), TEXT(region))));
    if (id == NULL) {
        note(tx, notes, "Created %s endpoint %s", interface, url);
        return sql_exec(tx, "INSERT INTO endpoint (id, interface, service_id, url, extra, enabled, region_id)"
            " VALUES (?, ?, ?, ?, '{}', 1, ?)",
            BIND(TEXT(uuid_new_hex(tx_arena(tx))), TEXT(interface), TEXT(service), TEXT(url), TEXT(region)));
    }
    note(tx, notes, "%s endpoint updated", interface);
    TRY(sql_text_of(tx, &old, "SELECT url FROM endpoint WHERE id = ?", BIND(TEXT(id))));
    if (old != NULL && strcmp(old, url) == 0)
        return NULL;
    return sql_exec(tx, "UPDATE endpoint SET url = ? WHERE id = ?", BIND(TEXT(url), TEXT(id)));
}

struct catalog_entry {
    const char *type, *name, *description, *region;
    const char *urls[3]; /* public, internal, admin; NULL: none */
};

static struct fault *ensure_catalog(struct tx *tx, struct notes *notes, const struct catalog_entry *entry)
{
    static const char *const interfaces[] = { "public", "internal", "admin" };
    struct arena *arena = tx_arena(tx);
    const char *id;

    if (entry->region != NULL)
        TRY(ensure_region(tx, NULL, entry->region));
    TRY(sql_text_of(tx, &id, "SELECT id FROM service WHERE type = ? ORDER BY id LIMIT 1", BIND(TEXT(entry->type))));
    if (id == NULL) {
        json_t *extra = json_keep(arena, json_object());
        json_object_set_new(extra, "name", json_string(entry->name));
        if (entry->description != NULL)
            json_object_set_new(extra, "description", json_string(entry->description));
        id = uuid_new_hex(arena);
        TRY(sql_exec(tx, "INSERT INTO service (id, type, enabled, extra) VALUES (?, ?, 1, ?)",
            BIND(TEXT(id), TEXT(entry->type), TEXT(json_dump(arena, extra)))));
    }
    for (size_t i = 0; i < 3; i++)
        if (entry->urls[i] != NULL)
            TRY(ensure_endpoint(tx, notes, id, interfaces[i], entry->region, entry->urls[i]));
    return NULL;
}

/* ---- Users ---- */

/* A user of the default domain: his password is compared, and hashed when it is new, before the transaction. */
struct wanted_user {
    struct context *cx;
    const char *name;
    const char *id;       /* NULL: to be made */
    const char *new_id;   /* of one to be made; NULL: any */
    const char *hash;     /* NULL: the password stays */
    bool enabled;
};

static struct fault *prepare_user(struct context *cx, const char *name, const char *password,
    const struct password_settings *settings, struct wanted_user *ret)
{
    struct user *user;
    struct tx *tx;

    *ret = (struct wanted_user){ .cx = cx, .name = name };
    TRY(db_read(cx->arena, cx->app->db, &tx));
    TRY(user_find_name(tx, default_domain(cx), name, &user));
    tx_end(tx);
    if (user != NULL) {
        ret->id = user->id;
        ret->enabled = user->enabled;
        if (login_password_right(cx, user, password))
            return NULL;
    }
    return password_hash(cx->arena, settings, password, &ret->hash);
}

static struct fault *ensure_user(struct tx *tx, struct notes *notes, const struct wanted_user *wanted, const char **ret_id)
{
    const struct config *config = wanted->cx->app->config;

    if (wanted->id == NULL) {
        note(tx, notes, "Created user %s", wanted->name);
        *ret_id = wanted->new_id != NULL ? wanted->new_id : uuid_new_hex(tx_arena(tx));
        return user_make(tx, config, *ret_id, default_domain(wanted->cx), wanted->name, wanted->hash);
    }
    note(tx, notes, "User %s already exists, skipping creation.", wanted->name);
    if (wanted->hash != NULL || !wanted->enabled)
        note(tx, notes, "Reset password for user %s.", wanted->name);
    if (!wanted->enabled)
        note(tx, notes, "Enabled user %s.", wanted->name);
    *ret_id = wanted->id;
    TRY(sql_exec(tx, "UPDATE `user` SET enabled = 1 WHERE id = ? AND enabled = 0", BIND(TEXT(wanted->id))));
    if (wanted->hash == NULL)
        return NULL;
    TRY(user_set_password(tx, config, wanted->id, wanted->hash, PASSWORD_SETUP));
    return revocation_write(tx, config, &(struct revocation){ .user_id = wanted->id });
}

/* ---- What the header promises ---- */

struct bootstrap_run {
    struct context *cx;
    struct notes notes;
    const struct keystone_bootstrap *bootstrap;
    struct wanted_user admin;
};

static struct fault *bootstrap_roles(struct tx *tx, struct bootstrap_run *run, const char **ret_admin)
{
    const struct keystone_bootstrap *bootstrap = run->bootstrap;
    struct notes *notes = &run->notes;
    const char *reader, *member;

    TRY(ensure_role(tx, notes, "reader", !bootstrap->mutable_roles, &reader));
    TRY(ensure_role(tx, notes, "member", !bootstrap->mutable_roles, &member));
    TRY(ensure_implied(tx, notes, member, reader));
    TRY(ensure_role(tx, notes, or_default(bootstrap->role_name, "admin"), !bootstrap->mutable_roles, ret_admin));
    return ensure_implied(tx, notes, *ret_admin, member);
}

static struct fault *bootstrap_grants(struct tx *tx, struct bootstrap_run *run, const char *user, const char *project,
    const char *role)
{
    const char *role_name = or_default(run->bootstrap->role_name, "admin");
    const char *project_name = or_default(run->bootstrap->project_name, "admin");
    bool made;

    TRY(ensure_assignment(tx, "assignment", "UserProject", user, project, role, &made));
    if (made)
        note(tx, &run->notes, "Granted role %s on project %s to user %s.", role_name, project_name, run->admin.name);
    else
        note(tx, &run->notes, "User %s already has role %s on project %s.", run->admin.name, role_name, project_name);
    TRY(ensure_assignment(tx, "system_assignment", "UserSystem", user, "system", role, &made));
    if (made)
        note(tx, &run->notes, "Granted role %s on the system to user %s.", role_name, run->admin.name);
    else
        note(tx, &run->notes, "User %s already has role %s on the system.", run->admin.name, role_name);
    return NULL;
}

static struct fault *bootstrap_run(struct tx *tx, void *argument)
{
    struct bootstrap_run *run = argument;
    const struct keystone_bootstrap *bootstrap = run->bootstrap;
    const char *project = NULL, *user, *admin;

    TRY(tx_serialize(tx, "entities"));
    run->notes.count = 0;
    TRY(ensure_domain(tx, run->cx, &run->notes));
    TRY(ensure_project(tx, run->cx, &run->notes, or_default(bootstrap->project_name, "admin"),
        "Bootstrap project for initializing the cloud.", &project));
    TRY(ensure_user(tx, &run->notes, &run->admin, &user));
    TRY(bootstrap_roles(tx, run, &admin));
    TRY(bootstrap_grants(tx, run, user, project, admin));
    if (bootstrap->region != NULL)
        TRY(ensure_region(tx, &run->notes, bootstrap->region));
    if (bootstrap->public_url == NULL && bootstrap->internal_url == NULL && bootstrap->admin_url == NULL)
        return NULL;
    return ensure_catalog(tx, &run->notes, &(struct catalog_entry){ .type = "identity",
        .name = or_default(bootstrap->service_name, "keystone"), .region = bootstrap->region,
        .urls = { bootstrap->public_url, bootstrap->internal_url, bootstrap->admin_url } });
}

struct fault *keystone_bootstrap(struct context *cx, const struct keystone_bootstrap *bootstrap)
{
    struct bootstrap_run run = { .cx = cx, .bootstrap = bootstrap };
    struct password_settings settings;

    login_settings(cx, &settings);
    TRY(prepare_user(cx, or_default(bootstrap->username, "admin"), bootstrap->password, &settings, &run.admin));
    TRY(db_write(cx->arena, cx->app->db, bootstrap_run, &run));
    log_notes(&run.notes);
    keystone_changed(cx);
    return NULL;
}

struct setup_run {
    struct context *cx;
    struct notes notes;
    struct wanted_user user;
    const char *name, *id;
};

static struct fault *setup_project_run(struct tx *tx, void *argument)
{
    struct setup_run *run = argument;
    const char *id = run->id;

    run->notes.count = 0;
    return ensure_project(tx, run->cx, &run->notes, run->name, "Bootstrap project for initializing the cloud.", &id);
}

struct fault *keystone_setup_project(struct context *cx, const char *name, const char *id)
{
    struct setup_run run = { .cx = cx, .name = name, .id = id };

    TRY(db_write(cx->arena, cx->app->db, setup_project_run, &run));
    log_notes(&run.notes);
    return NULL;
}

static struct fault *setup_user_run(struct tx *tx, void *argument)
{
    struct setup_run *run = argument;
    const char *id;

    run->notes.count = 0;
    return ensure_user(tx, &run->notes, &run->user, &id);
}

struct fault *keystone_setup_user(struct context *cx, const char *name, const char *password, const char *id)
{
    struct setup_run run = { .cx = cx };
    struct password_settings settings;

    login_settings(cx, &settings);
    TRY(prepare_user(cx, name, password, &settings, &run.user));
    if (run.user.id != NULL && id != NULL && strcmp(run.user.id, id) != 0)
        return keystone_conflict(cx, "user_id", "user `%s` already exists with `%s`", name, run.user.id);
    run.user.new_id = id;
    TRY(db_write(cx->arena, cx->app->db, setup_user_run, &run));
    log_notes(&run.notes);
    return NULL;
}

static struct fault *service_user_run(struct tx *tx, void *argument)
{
    const struct wanted_user *wanted = argument;
    const char *project = NULL, *user, *admin, *service;
    bool made;

    TRY(tx_serialize(tx, "entities"));
    TRY(ensure_domain(tx, wanted->cx, NULL));
    TRY(ensure_project(tx, wanted->cx, NULL, "service", "The services of the cloud.", &project));
    TRY(ensure_user(tx, NULL, wanted, &user));
    TRY(ensure_role(tx, NULL, "admin", true, &admin));
    TRY(ensure_role(tx, NULL, "service", true, &service));
    TRY(ensure_assignment(tx, "assignment", "UserProject", user, project, admin, &made));
    return ensure_assignment(tx, "assignment", "UserProject", user, project, service, &made);
}

struct fault *keystone_ensure_service_user(struct context *cx, const char *name, const char *password)
{
    /* Stretching protects passwords that can be guessed; this one cannot. */
    const struct password_settings settings = { .algorithm = "bcrypt", .rounds = 4 };
    struct wanted_user wanted;

    if (strlen(password) < 24)
        return FAULT(cx, 500, NULL, "the password of the service user %s is too short", name);
    TRY(prepare_user(cx, name, password, &settings, &wanted));
    TRY(db_write(cx->arena, cx->app->db, service_user_run, &wanted));
    keystone_changed(cx);
    return NULL;
}

static struct fault *service_run(struct tx *tx, void *argument)
{
    TRY(tx_serialize(tx, "entities"));
    return ensure_catalog(tx, NULL, argument);
}

struct fault *keystone_ensure_service(struct context *cx, const char *type, const char *name, const char *description,
    const char *region, const char *url)
{
    struct catalog_entry entry = { type, name, description, region, { url, url, url } };

    TRY(db_write(cx->arena, cx->app->db, service_run, &entry));
    keystone_changed(cx);
    return NULL;
}
