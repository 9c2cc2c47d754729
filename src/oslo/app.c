/* SPDX-License-Identifier: Apache-2.0
 * app: from a service's tables to a running service. See app.h. */
#include "oslo/app.h"

#include "base/log.h"
#include "oslo/identity.h"
#include "oslo/messaging.h"

#include <stdlib.h>
#include <string.h>

static const struct option common_rows[] = {
    { "DEFAULT", "debug", OPTION_BOOL, "false", "If set to true, the logging level will be DEBUG instead of INFO.",
        .reloadable = true },
    { "DEFAULT", "host", OPTION_STR, NULL, "Name of this host, as agents and compute services report it." },
    { "DEFAULT", "my_ip", OPTION_STR, "127.0.0.1", "The address that this host uses on the management network." },
    { "DEFAULT", "transport_url", OPTION_STR, "memory://", "The messaging back end: memory:// inside one process.",
        .secret = true },
    { "database", "connection", OPTION_STR, NULL, "The database to use: sqlite:////path/file.", .secret = true },
    { "keystone_authtoken", "www_authenticate_uri", OPTION_STR, "http://127.0.0.1:5000",
        "Public identity endpoint, told to clients without a valid token." },
    { "keystone_authtoken", "auth_url", OPTION_STR, "http://127.0.0.1:5000", "Identity endpoint of this service." },
    { "keystone_authtoken", "auth_type", OPTION_STR, "password", "How this service logs in." },
    { "keystone_authtoken", "username", OPTION_STR, NULL, "The service's user." },
    { "keystone_authtoken", "password", OPTION_STR, NULL, "Its password.", .secret = true },
    { "keystone_authtoken", "user_domain_name", OPTION_STR, "Default", "Domain of the service's user." },
    { "keystone_authtoken", "project_name", OPTION_STR, "service", "Project that the service logs in to." },
    { "keystone_authtoken", "project_domain_name", OPTION_STR, "Default", "Domain of that project." },
    { "keystone_authtoken", "token_cache_time", OPTION_INT, "300",
        "Seconds for which a validated token is trusted without asking again.", .min = 1, .max = 86400 },
    { "oslo_policy", "enforce_scope", OPTION_BOOL, "false", "Whether the scope of the token must be one of the policy's." },
    { "oslo_policy", "enforce_new_defaults", OPTION_BOOL, "false", "Whether deprecated policy defaults are ignored." },
    { "oslo_policy", "policy_file", OPTION_STR, "policy.yaml", "File of policy overrides, relative to the configuration." },
};
const struct option_table common_options = OPTION_TABLE(common_rows);

struct app *cloud_app(const struct cloud *cloud, const char *type_or_name)
{
    for (struct app **app = cloud->apps; app != NULL && *app != NULL; app++)
        if (strcmp((*app)->service->type, type_or_name) == 0 || strcmp((*app)->service->name, type_or_name) == 0)
            return *app;
    return NULL;
}

const char *app_url(struct arena *arena, const struct app *app)
{
    const struct service *service = app->service;
    return arena_printf(arena, "http://%s:%d%s", app->cloud->bind, service->port + app->cloud->port_offset,
        service->endpoint != NULL ? service->endpoint : "");
}

static struct fault *read_config(struct arena *arena, struct app *app, const char *const *files)
{
    const struct option_table *tables[32];
    size_t count = 0;
    /* A service's own rows come first: they hold where its default of a common option is another. */
    for (const struct option_table *const *t = app->service->options; t != NULL && *t != NULL && count < 31; t++)
        tables[count++] = *t;
    tables[count++] = &common_options;
    struct config_source sources[32] = { { NULL } };
    size_t source_count = 0;
    for (; files != NULL && *files != NULL && source_count < 32; files++)
        sources[source_count++] = (struct config_source){ .path = *files };
    TRY(config_create(arena, tables, count, sources, source_count, &app->config));
    if (config_bool(app->config, "DEFAULT", "debug"))
        log_set_level(LOG_LEVEL_DEBUG);
    config_warn_unknown(app->config);
    return NULL;
}

static void migrated(const struct migration *migration)
{
    log_info("oslo.db", "migration %d: %s", migration->number, migration->name);
}

static struct fault *open_database(struct arena *arena, struct app *app)
{
    if (app->service->migrations == NULL)
        return NULL;
    const char *url = config_str(app->config, "database", "connection");
    if (url == NULL)
        url = arena_printf(arena, "sqlite:///%s/db/%s.db", app->cloud->state_dir, app->service->name);
    TRY(db_open(arena, url, &app->db));
    return db_sync(arena, app->db, app->service->migrations, app->service->migration_count, migrated);
}

/* Relative names are relative to the folder of the first configuration file, as oslo.policy finds them. */
static const char *policy_file(struct arena *arena, const struct app *app, const char *const *files)
{
    const char *name = config_str(app->config, "oslo_policy", "policy_file");
    if (name == NULL || name[0] == '/' || files == NULL || files[0] == NULL)
        return name != NULL && name[0] == '/' ? name : NULL;
    const char *slash = strrchr(files[0], '/');
    if (slash == NULL)
        return name;
    return arena_printf(arena, "%.*s/%s", (int)(slash - files[0]), files[0], name);
}

static struct fault *compile_policy(struct arena *arena, struct app *app, const char *const *files)
{
    if (app->service->policies == NULL)
        return NULL;
    size_t count = 0;
    while (app->service->policies[count] != NULL)
        count++;
    const struct policy_settings settings = {
        .file = policy_file(arena, app, files),
        .enforce_scope = config_bool(app->config, "oslo_policy", "enforce_scope"),
        .enforce_new_defaults = config_bool(app->config, "oslo_policy", "enforce_new_defaults"),
    };
    return policy_create(arena, app->service->policies, count, &settings, &app->policy);
}

struct fault *app_create(struct arena *arena, struct cloud *cloud, const struct service *service,
    const char *const *config_files, struct app **ret)
{
    struct app *app = calloc(1, sizeof(*app));
    if (app == NULL)
        abort();
    app->service = service;
    app->cloud = cloud;
    struct fault *fault = read_config(arena, app, config_files);
    if (fault == NULL)
        fault = open_database(arena, app);
    if (fault == NULL)
        fault = compile_policy(arena, app, config_files);
    if (fault != NULL) {
        app_destroy(app);
        return fault;
    }
    app->router = router_create(service->routes);
    *ret = app;
    return NULL;
}

void app_destroy(struct app *app)
{
    if (app == NULL)
        return;
    identity_stop(app);
    router_destroy(app->router);
    policy_destroy(app->policy);
    db_close(app->db);
    config_destroy(app->config);
    free(app);
}

static bool wanted(const char *const *roles, const char *name)
{
    if (roles == NULL)
        return true;
    for (; *roles != NULL; roles++)
        if (strcmp(*roles, name) == 0)
            return true;
    return false;
}

struct fault *app_start(struct arena *arena, struct app *app, const char *const *roles)
{
    struct context cx = context_service(arena, app);
    if (app->service->start != NULL)
        TRY(app->service->start(&cx));
    for (const struct role *role = app->service->roles; role != NULL && role->name != NULL; role++)
        if (role->start != NULL && wanted(roles, role->name))
            TRY(role->start(&cx));
    return NULL;
}

struct fault *app_ready(struct arena *arena, struct app *app, const char *const *roles)
{
    struct context cx = context_service(arena, app);
    for (const struct role *role = app->service->roles; role != NULL && role->name != NULL; role++)
        if (role->ready != NULL && wanted(roles, role->name))
            TRY(role->ready(&cx));
    return NULL;
}

void app_stop(struct app *app)
{
    messaging_stop(app);
    for (const struct role *role = app->service->roles; role != NULL && role->name != NULL; role++)
        if (role->stop != NULL)
            role->stop(app);
    if (app->service->stop != NULL)
        app->service->stop(app);
}
