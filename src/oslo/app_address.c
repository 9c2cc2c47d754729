/* SPDX-License-Identifier: Apache-2.0
 * Where the apps of this process answer, and whether by TLS. See app.h. */
#include "oslo/app.h"

#include "oslo/options.h"

#include <string.h>

struct app *cloud_app(const struct cloud *cloud, const char *type_or_name)
{
    for (struct app **app = cloud->apps; app != NULL && *app != NULL; app++)
        if (strcmp((*app)->service->type, type_or_name) == 0 || strcmp((*app)->service->name, type_or_name) == 0)
            return *app;
    return NULL;
}

static const char *file_option(const struct app *app, const char *group, const char *name)
{
    const char *path = config_has(app->config, group, name) ? config_str(app->config, group, name) : NULL;
    return path != NULL && *path != '\0' ? path : NULL;
}

static bool listed(const char *const *list, const char *name)
{
    while (list != NULL && *list != NULL && strcmp(*list, name) != 0)
        list++;
    return list != NULL && *list != NULL;
}

struct app_tls app_tls(const struct app *app, const char *listener)
{
    const struct config *config = app->config;
    const char *name = listener != NULL ? listener : app->service->api_name;
    if (config_has(config, "DEFAULT", "enabled_ssl_apis") && listed(config_list(config, "DEFAULT", "enabled_ssl_apis", NULL), name))
        return (struct app_tls){ true, file_option(app, "wsgi", "ssl_cert_file"), file_option(app, "wsgi", "ssl_key_file"),
            file_option(app, "wsgi", "ssl_ca_file") };
    struct app_tls tls = { false, file_option(app, "ssl", "cert_file"), file_option(app, "ssl", "key_file"),
        file_option(app, "ssl", "ca_file") };
    tls.on = config_has(config, "DEFAULT", "use_ssl") ? config_bool(config, "DEFAULT", "use_ssl")
        : tls.cert_file != NULL && tls.key_file != NULL;
    return tls;
}

bool app_uses_tls(const struct app *app)
{
    return app_tls(app, NULL).on;
}

const char *app_url(struct arena *arena, const struct app *app)
{
    const struct service *service = app->service;
    return arena_printf(arena, "%s://%s:%d%s", app_uses_tls(app) ? "https" : "http", app->bind, app->port,
        service->endpoint != NULL ? service->endpoint : "");
}
