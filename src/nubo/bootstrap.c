/* SPDX-License-Identifier: Apache-2.0
 * bootstrap: see bootstrap.h. */
#include "nubo/bootstrap.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/random.h"
#include "keystone/keystone.h"
#include "keystone/token/fernet.h"
#include "nubo/services.h"

#include <string.h>

enum { PASSWORD_LENGTH = 24, FERNET_KEYS = 3 }; /* 3: [fernet_tokens] max_active_keys */

static const struct directory {
    const char *name;
    mode_t mode;
} directories[] = {
    { "etc",       0700 },
    { "db",        0700 },
    { "keys",      0700 },
    { "run",       0755 },
    { "log",       0750 },
    { "images",    0750 },
    { "instances", 0755 },
};

static const char *config_path(struct arena *arena, const char *state_dir, const char *service)
{
    return arena_printf(arena, "%s/etc/%s.conf", state_dir, service);
}

const struct config_source *bootstrap_config(struct arena *arena, const char *state_dir, const char *service)
{
    struct config_source *source = ARENA_NEW(arena, struct config_source);
    source->path = config_path(arena, state_dir, service);
    return source;
}

/* Two services share the secret that signs guests' metadata requests; each reads it from an option of its own. */
static const struct secret_option {
    const char *service, *group;
} metadata_secret[] = {
    { "neutron", "DEFAULT" },
    { "nova",    "neutron" },
};

static struct fault *write_metadata_secret(struct arena *arena, const struct settings *settings, const char *service,
    struct buf *text)
{
    const char *path = arena_printf(arena, "%s/keys/metadata_proxy_shared_secret", settings->state_dir), *secret;
    for (size_t i = 0; i < sizeof(metadata_secret) / sizeof(metadata_secret[0]); i++) {
        if (strcmp(metadata_secret[i].service, service) != 0)
            continue;
        if (!file_exists(path))
            TRY(file_write(arena, path, random_password(arena, PASSWORD_LENGTH), PASSWORD_LENGTH, 0600, FILE_SYNC));
        TRY(file_load(arena, path, STATE_FILE_LIMIT, &secret));
        buf_printf(text, "\n[%s]\nmetadata_proxy_shared_secret = %s\n", metadata_secret[i].group, secret);
    }
    return NULL;
}

/* What an operator would write by hand. The password is made here and is nowhere else. */
static struct fault *write_config(struct arena *arena, const struct settings *settings, const char *service)
{
    const char *path = config_path(arena, settings->state_dir, service);
    if (file_exists(path))
        return NULL;
    BUF_CLEANUP struct buf text = { 0 };
    int identity_port = services[0]->port + settings->port_offset;
    buf_printf(&text, "# %s, written by nubo up. Every option is in: nubo config sample %s\n", service, service);
    buf_printf(&text, "[DEFAULT]\n\n[database]\nconnection = sqlite:///%s/db/%s.db\n", settings->state_dir, service);
    if (strcmp(service, services[0]->name) == 0) {
        buf_printf(&text, "\n[fernet_tokens]\nkey_repository = %s/keys/fernet-keys\n", settings->state_dir);
        buf_printf(&text, "\n[credential]\nkey_repository = %s/keys/credential-keys\n", settings->state_dir);
    } else {
        buf_printf(&text, "\n[keystone_authtoken]\nwww_authenticate_uri = http://%s:%d\nauth_url = http://%s:%d\n",
            settings->bind, identity_port, settings->bind, identity_port);
        buf_printf(&text, "auth_type = password\nproject_domain_name = Default\nuser_domain_name = Default\n"
                          "project_name = service\nusername = %s\npassword = %s\n", service,
            random_password(arena, PASSWORD_LENGTH));
    }
    TRY(write_metadata_secret(arena, settings, service, &text));
    return file_write(arena, path, text.data, text.length, 0600, FILE_SYNC);
}

struct fault *bootstrap_files(struct arena *arena, const struct settings *settings)
{
    TRY(folder_make(arena, settings->state_dir, 0755, 0755));
    for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++)
        TRY(folder_make(arena, arena_printf(arena, "%s/%s", settings->state_dir, directories[i].name), 0755, directories[i].mode));
    for (int i = 0; services[i] != NULL; i++)
        TRY(write_config(arena, settings, services[i]->name));
    /* What keystone-manage fernet_setup and credential_setup do; keys that are there stay. */
    TRY(fernet_setup(arena, arena_printf(arena, "%s/keys/fernet-keys", settings->state_dir), FERNET_KEYS));
    TRY(fernet_setup(arena, arena_printf(arena, "%s/keys/credential-keys", settings->state_dir), FERNET_KEYS));
    return settings_save(arena, settings);
}

/* ---- openrc and clouds.yaml ---- */

static struct fault *write_openrc(struct arena *arena, const struct cloud *cloud, const char *password)
{
    BUF_CLEANUP struct buf text = { 0 };
    const char *url = app_url(arena, cloud->apps[0]);
    buf_puts(&text, "# source this file, then use the openstack command\n");
    const char *const lines[][2] = {
        { "OS_AUTH_URL", url }, { "OS_IDENTITY_API_VERSION", "3" }, { "OS_USERNAME", "admin" }, { "OS_PASSWORD", password },
        { "OS_PROJECT_NAME", "admin" }, { "OS_USER_DOMAIN_NAME", "Default" }, { "OS_PROJECT_DOMAIN_NAME", "Default" },
        { "OS_REGION_NAME", cloud->region }, { "OS_IMAGE_API_VERSION", "2" }, { "OS_VOLUME_API_VERSION", "3" },
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        buf_printf(&text, "export %s=%s\n", lines[i][0], lines[i][1]);
    return file_write(arena, arena_printf(arena, "%s/openrc", cloud->state_dir), text.data, text.length, 0600, FILE_SYNC);
}

static struct fault *write_clouds_yaml(struct arena *arena, const struct cloud *cloud, const char *password)
{
    const char *text = arena_printf(arena,
        "clouds:\n  nubo:\n    region_name: %s\n    identity_api_version: 3\n    auth:\n      auth_url: %s\n"
        "      username: admin\n      password: %s\n      project_name: admin\n      user_domain_name: Default\n"
        "      project_domain_name: Default\n",
        cloud->region, app_url(arena, cloud->apps[0]), password);
    return file_write(arena, arena_printf(arena, "%s/clouds.yaml", cloud->state_dir), text, strlen(text), 0600, FILE_SYNC);
}

/* The password that openrc holds, or a new one. */
static struct fault *admin_password(struct arena *arena, const char *state_dir, const char **ret)
{
    static const char marker[] = "OS_PASSWORD=";
    const char *text;
    TRY(file_load(arena, arena_printf(arena, "%s/openrc", state_dir), STATE_FILE_LIMIT, &text));
    const char *at = text != NULL ? strstr(text, marker) : NULL;
    *ret = at == NULL ? random_password(arena, PASSWORD_LENGTH)
                      : arena_strndup(arena, at + strlen(marker), strcspn(at + strlen(marker), "\n"));
    return NULL;
}

/* ---- users and catalog ---- */

static struct fault *register_service(struct context *cx, struct app *app)
{
    const struct service *service = app->service;
    const char *password = config_str(app->config, "keystone_authtoken", "password");
    const char *user = config_str(app->config, "keystone_authtoken", "username");
    if (user != NULL && password != NULL)
        TRY(keystone_ensure_service_user(cx, user, password));
    return keystone_ensure_service(cx, service->type, service->name, service->description, app->cloud->region,
        app_url(cx->arena, app));
}

/* What the catalog was made from: when it is unchanged there is nothing to do at this start. */
static const char *fingerprint(struct arena *arena, const struct cloud *cloud)
{
    BUF_CLEANUP struct buf text = { 0 };
    for (struct app **app = cloud->apps; *app != NULL; app++)
        buf_printf(&text, "%s %s\n", (*app)->service->name, app_url(arena, *app));
    return arena_strdup(arena, buf_text(&text));
}

struct fault *bootstrap_identity(struct arena *arena, struct cloud *cloud)
{
    const char *done_path = arena_printf(arena, "%s/run/bootstrapped", cloud->state_dir);
    const char *done;
    const char *now = fingerprint(arena, cloud);
    TRY(file_load(arena, done_path, STATE_FILE_LIMIT, &done));
    if (done != NULL && strcmp(done, now) == 0)
        return NULL;
    const char *password;
    TRY(admin_password(arena, cloud->state_dir, &password));
    struct context cx = context_service(arena, cloud->apps[0]);
    /* openrc first: after a kill in between, the next start takes the password from it. */
    TRY(write_openrc(arena, cloud, password));
    TRY(write_clouds_yaml(arena, cloud, password));
    const char *url = app_url(arena, cloud->apps[0]);
    TRY(keystone_bootstrap(&cx, &(struct keystone_bootstrap){ .username = "admin", .password = password,
        .project_name = "admin", .role_name = "admin", .service_name = "keystone", .region = cloud->region,
        .admin_url = url, .public_url = url, .internal_url = url }));
    for (struct app **app = cloud->apps + 1; *app != NULL; app++)
        TRY(register_service(&cx, *app));
    return file_write(arena, done_path, now, strlen(now), 0600, FILE_SYNC);
}
