/* SPDX-License-Identifier: Apache-2.0
 * app: from a service's tables to a running service. See app.h. */
#include "oslo/app.h"

#include "oslo/flow.h"
#include "oslo/identity.h"
#include "oslo/identity/token_cache.h"
#include "oslo/log/options.h"
#include "oslo/messaging.h"
#include "oslo/middleware.h"
#include "oslo/notification.h"
#include "oslo/policy/remote.h"
#include "oslo/rest.h"
#include "oslo/trace.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

size_t app_option_tables(const struct service *service, const struct option_table *to[static APP_OPTION_TABLES])
{
    enum { COMMON = 9 };
    size_t count = 0;
    for (const struct option_table *const *t = service->options; t != NULL && *t != NULL; t++) {
        assert(count + COMMON < APP_OPTION_TABLES);
        to[count++] = *t;
    }
    for (const struct rest_target *t = service->targets; t != NULL && t->type != NULL; t++) {
        assert(count + COMMON + 2 < APP_OPTION_TABLES);
        to[count++] = &t->auth;
        to[count++] = &t->adapter;
    }
    to[count++] = &trace_options;
    to[count++] = &common_options;
    to[count++] = &middleware_options;
    to[count++] = &database_options;
    to[count++] = &log_options;
    to[count++] = &messaging_options;
    for (size_t i = 0; identity_option_tables[i] != NULL; i++)
        to[count++] = identity_option_tables[i];
    return count;
}

/* "nova-scheduler"; "nova" for a process with several of its programs. */
static const char *program_name(const struct app *app)
{
    return app->roles != NULL && app->roles[0] != NULL && app->roles[1] == NULL ? app->roles[0] : app->service->name;
}

struct fault *app_reload(struct arena *arena, struct app *app)
{
    TRY(config_reload(arena, app->config));
    if (app->cloud->logging == app)
        TRY(log_setup(arena, app->config, program_name(app)));
    return app->policy != NULL ? policy_reload(arena, app->policy) : NULL;
}

static struct fault *read_config(struct arena *arena, struct app *app, const struct app_form *form)
{
    const struct option_table *tables[APP_OPTION_TABLES];
    size_t count = app_option_tables(app->service, tables);
    TRY(config_create(arena, tables, count, form->sources, form->source_count, &app->config));
    for (const char *const *o = form->overrides; o != NULL && *o != NULL; o += 3)
        TRY(config_set_override(arena, app->config, o[0], o[1], o[2]));
    if (app->cloud->logging == NULL) {
        TRY(log_setup(arena, app->config, program_name(app)));
        app->cloud->logging = app;
    }
    config_warn_unknown(app->config);
    if (config_bool(app->config, "DEFAULT", "log_options"))
        config_log_values(app->config);
    return NULL;
}

static const char *option_or(const struct app *app, const char *option, const char *otherwise)
{
    return option != NULL && config_is_set(app->config, "DEFAULT", option) ? config_str(app->config, "DEFAULT", option) : otherwise;
}

/* The address that others on this host reach a listener by. */
static const char *reachable(const char *bind)
{
    return strcmp(bind, "0.0.0.0") == 0 || strcmp(bind, "::") == 0 ? "127.0.0.1" : bind;
}

void app_listens_on(const struct app *app, const char *host_option, const char *port_option, int port, const char **ret_host,
    int *ret_port)
{
    *ret_host = option_or(app, host_option, app->cloud->bind);
    *ret_port = option_or(app, port_option, NULL) != NULL ? (int)config_int(app->config, "DEFAULT", port_option)
                                                          : port + app->cloud->port_offset;
}

static void find_places(struct app *app)
{
    const struct service *service = app->service;
    const char *host;
    app->state_path = config_has(app->config, "DEFAULT", "state_path") && (app->cloud->state_dir == NULL ||
        config_is_set(app->config, "DEFAULT", "state_path")) ? config_str(app->config, "DEFAULT", "state_path") : NULL;
    if (app->state_path == NULL)
        app->state_path = app->cloud->state_dir;
    app_listens_on(app, service->host_option, service->port_option, service->port, &host, &app->port);
    app->bind = reachable(host);
    app->serves_api = app_serves(app, service->api_name != NULL ? service->api_name : API_LISTENER);
}

static void migrated(const struct migration *migration)
{
    log_info("oslo.db", "migration %d: %s", migration->number, migration->name);
}

static bool needs_database(const struct app *app)
{
    if (app->service->migrations == NULL)
        return false;
    for (const struct role *role = app->service->roles; role != NULL && role->name != NULL; role++)
        if (role->database && app_has_role(app, role->name))
            return true;
    return false;
}

const char *app_database_url(const struct service *service, const struct config *config)
{
    const char *own = service->database_section != NULL ? config_str(config, service->database_section, "connection") : NULL;
    return own != NULL ? own : config_str(config, "database", "connection");
}

static struct fault *check_schema(struct arena *arena, const struct app *app)
{
    const struct service *service = app->service;
    int present, wanted = service->migrations[service->migration_count - 1].number;
    struct tx *tx;
    TRY(db_read(arena, app->db, &tx)); /* what fails from here on is the schema, not the connection */
    tx_end(tx);
    if (db_version(arena, app->db, &present) != NULL)
        present = 0;
    if (present >= wanted)
        return NULL;
    bool upstream = false;
    if (present == 0)
        TRY(db_upstream_made(arena, app->db, service->migrations, service->migration_count, &upstream));
    if (upstream) { /* who stops that program and starts this one need do nothing else */
        log_info("oslo.db", "the database is one that upstream's program made: what this one keeps beside it is added");
        return db_sync(arena, app->db, service->migrations, service->migration_count, migrated);
    }
    return fault_new(arena, 500, NULL, "The database of %s is at version %d, this program needs %d: run %s first.",
        service->name, present, wanted, service->sync_command);
}

static struct fault *open_database(struct arena *arena, struct app *app, const struct app_form *form)
{
    if (!needs_database(app))
        return NULL;
    struct db_settings settings = db_settings_read(app->config);
    settings.connection = app_database_url(app->service, app->config);
    if (settings.connection == NULL && app->cloud->state_dir != NULL)
        settings.connection = arena_printf(arena, "sqlite:///%s/db/%s.db", app->cloud->state_dir, app->service->name);
    if (settings.connection == NULL)
        return fault_new(arena, 500, NULL, "%s has no database: [database] connection is not set.", app->service->name);
    TRY(db_open_settings(arena, &settings, &app->db));
    if (!form->migrate)
        return check_schema(arena, app);
    return db_sync(arena, app->db, app->service->migrations, app->service->migration_count, migrated);
}

/* Relative names are relative to the folder of the first configuration file, as oslo.policy finds them. */
static const char *policy_file(struct arena *arena, const char *name, const struct app_form *form)
{
    if (name == NULL || name[0] == '/' || form->source_count == 0)
        return name != NULL && name[0] == '/' ? name : NULL;
    const char *first = form->sources[0].path, *slash = strrchr(first, '/');
    if (form->sources[0].directory)
        return arena_printf(arena, "%s/%s", first, name);
    if (slash == NULL)
        return name;
    return arena_printf(arena, "%.*s/%s", (int)(slash - first), first, name);
}

static const char *const *policy_folders(struct arena *arena, const struct app *app, const struct app_form *form)
{
    size_t count, found = 0;
    const char *const *names = config_list(app->config, "oslo_policy", "policy_dirs", &count);
    const char **folders = ARENA_ARRAY(arena, const char *, count + 1);
    for (size_t i = 0; i < count; i++) {
        const char *path = policy_file(arena, names[i], form);
        if (path != NULL && access(path, F_OK) == 0)
            folders[found++] = path;
    }
    return folders;
}

static struct fault *compile_policy(struct arena *arena, struct app *app, const struct app_form *form)
{
    if (app->service->policies == NULL)
        return NULL;
    size_t count = 0;
    while (app->service->policies[count] != NULL)
        count++;
    const struct policy_table **tables = ARENA_ARRAY(arena, const struct policy_table *, count + 1);
    memcpy(tables, app->service->policies, count * sizeof(*tables));
    tables[count++] = &trace_policies;
    const struct policy_settings settings = {
        .file = policy_file(arena, config_str(app->config, "oslo_policy", "policy_file"), form),
        .directories = policy_folders(arena, app, form),
        .enforce_scope = config_bool(app->config, "oslo_policy", "enforce_scope"),
        .enforce_new_defaults = config_bool(app->config, "oslo_policy", "enforce_new_defaults"),
        .http = policy_remote_check,
        .http_data = app,
    };
    return policy_create(arena, tables, count, &settings, &app->policy);
}

/* The service's routes, and those that every API has. */
static struct router *make_router(struct arena *arena, const struct service *service)
{
    size_t count = 0;
    while (service->routes != NULL && service->routes[count] != NULL)
        count++;
    const struct route_table **tables = ARENA_ARRAY(arena, const struct route_table *, count + 2);
    if (count > 0)
        memcpy(tables, service->routes, count * sizeof(*tables));
    tables[count] = &trace_routes;
    return router_create(tables);
}

struct fault *app_create(struct arena *arena, struct cloud *cloud, const struct service *service, const struct app_form *form,
    struct app **ret)
{
    struct app *app = calloc(1, sizeof(*app));
    if (app == NULL)
        abort();
    app->service = service;
    app->cloud = cloud;
    app->roles = form->roles;
    struct fault *fault = read_config(arena, app, form);
    if (fault == NULL) {
        find_places(app);
        fault = open_database(arena, app, form);
    }
    if (fault == NULL)
        fault = compile_policy(arena, app, form);
    if (fault != NULL) {
        app_destroy(app);
        return fault;
    }
    app->router = make_router(arena, service);
    *ret = app;
    return NULL;
}

void app_destroy(struct app *app)
{
    if (app == NULL)
        return;
    notification_stop(app);
    messaging_close(app);
    identity_stop(app);
    router_destroy(app->router);
    policy_destroy(app->policy);
    db_close(app->db);
    config_destroy(app->config);
    free(app);
}

static bool among(const char *const *names, const char *name)
{
    for (; names != NULL && *names != NULL; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

bool app_has_role(const struct app *app, const char *role)
{
    return app->roles == NULL || among(app->roles, role);
}

bool app_serves(const struct app *app, const char *listener)
{
    for (const struct role *role = app->service->roles; role != NULL && role->name != NULL; role++)
        if (app_has_role(app, role->name) && among(role->serves, listener) && (role->serves_option == NULL ||
            among(config_list(app->config, "DEFAULT", role->serves_option, NULL), listener)))
            return true;
    return false;
}

struct fault *app_start(struct arena *arena, struct app *app)
{
    struct context cx = context_service(arena, app);
    TRY(identity_start(&cx));
    TRY(messaging_check(&cx));
    TRY(notification_check(&cx));
    trace_serve(&cx);
    if (app->service->start != NULL)
        TRY(app->service->start(&cx));
    for (const struct role *role = app->service->roles; role != NULL && role->name != NULL; role++)
        if (role->start != NULL && app_has_role(app, role->name))
            TRY(role->start(&cx));
    return NULL;
}

struct fault *app_ready(struct arena *arena, struct app *app)
{
    struct context cx = context_service(arena, app);
    for (const struct role *role = app->service->roles; role != NULL && role->name != NULL; role++)
        if (role->ready != NULL && app_has_role(app, role->name))
            TRY(role->ready(&cx));
    return NULL;
}

void app_stop(struct app *app)
{
    messaging_stop(app);
    flow_release(app);
    for (const struct role *role = app->service->roles; role != NULL && role->name != NULL; role++)
        if (role->stop != NULL && app_has_role(app, role->name))
            role->stop(app);
    if (app->service->stop != NULL)
        app->service->stop(app);
    token_cache_stop(app);
}
