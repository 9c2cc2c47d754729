/* SPDX-License-Identifier: Apache-2.0
 *
 * The identity service's row of the cloud, and its start.
 */
#include "keystone/auth/login.h"
#include "keystone/catalog/templated.h"
#include "keystone/command/commands.h"
#include "keystone/identity/directories.h"
#include "keystone/keystone.h"
#include "keystone/reference.h"
#include "keystone/token/fernet.h"
#include "keystone/token/jws.h"
#include "keystone/token/token.h"
#include "oslo/identity.h"
#include "oslo/options.h"

#include <stdlib.h>
#include <string.h>

static void keystone_stop(struct app *app)
{
    struct keystone *keystone = app->private;

    if (keystone == NULL)
        return;
    token_cache_destroy(keystone->tokens);
    reference_cache_destroy(keystone->reference);
    login_cache_destroy(keystone->logins);
    directories_destroy(keystone->directories);
    templated_destroy(keystone->templated);
    fernet_keys_close(keystone->keys);
    jws_keys_close(keystone->jws);
    fernet_keys_close(keystone->receipt_keys);
    fernet_keys_close(keystone->credential_keys);
    free(keystone);
    app->private = NULL;
}

/* A cloud of its own keeps its keys beside its database, unless told otherwise, and makes them. */
static struct fault *repository(struct context *cx, const char *group, const char *own, int keys, const char **ret)
{
    *ret = config_str(cx->app->config, group, "key_repository");
    if (config_is_set(cx->app->config, group, "key_repository") || cx->app->state_path == NULL)
        return NULL;
    *ret = arena_printf(cx->arena, "%s/keystone/%s", cx->app->state_path, own);
    return fernet_setup(cx->arena, *ret, keys);
}

static struct fault *open_keys(struct context *cx, struct keystone *keystone)
{
    enum { CREDENTIAL_KEYS = 3 }; /* as upstream: no option */
    const struct config *config = cx->app->config;
    bool jws = strcmp(config_str(config, "token", "provider"), "jws") == 0;
    const char *tokens, *credentials;

    TRY(repository(cx, "fernet_tokens", "fernet-keys", (int)config_int(config, "fernet_tokens", "max_active_keys"), &tokens));
    if (jws)
        TRY(jws_keys_open(cx->arena, config_str(config, "jwt_tokens", "jws_public_key_repository"),
            config_str(config, "jwt_tokens", "jws_private_key_repository"), &keystone->jws));
    else
        TRY(fernet_keys_open(cx->arena, tokens, false, &keystone->keys));
    TRY(repository(cx, "credential", "credential-keys", CREDENTIAL_KEYS, &credentials));
    TRY(fernet_keys_open(cx->arena, credentials, true, &keystone->credential_keys));
    if (config_is_set(config, "fernet_receipts", "key_repository"))
        tokens = config_str(config, "fernet_receipts", "key_repository");
    struct fault *fault = fernet_keys_open(cx->arena, tokens, false, &keystone->receipt_keys);
    return jws ? NULL : fault; /* who signs his tokens may have no keys for receipts */
}

static struct fault *keystone_start(struct context *cx)
{
    const struct config *config = cx->app->config;
    const char *connection = config_str(config, "database", "connection");
    struct keystone *keystone = calloc(1, sizeof(*keystone));

    if (keystone == NULL)
        abort();
    cx->app->private = keystone;
    keystone->tokens = token_cache_create();
    keystone->reference = reference_cache_create();
    keystone->logins = login_cache_create(config_int(config, "identity", "login_cache_time"));
    keystone->directories = directories_create(cx->app);
    TRY(templated_create(cx, &keystone->templated));
    keystone->shared = connection != NULL && strncmp(connection, "sqlite", 6) != 0;
    return open_keys(cx, keystone);
}

/* Where users are in a directory, whatever asks who somebody is waits for it; but not the validation of what was validated. */
static bool keystone_waits(const struct request *rq)
{
    struct keystone *keystone = keystone_of(RQ(rq));
    const char *token = request_header(rq, "X-Auth-Token"), *subject = request_header(rq, "X-Subject-Token");

    if (keystone->directories == NULL)
        return false;
    return strcmp(rq->path, "/v3/auth/tokens") != 0 || token == NULL || subject == NULL || !token_is_kept(keystone, token) ||
        !token_is_kept(keystone, subject);
}

static const struct route_table *const routes[] = {
    &version_routes, &auth_routes, &region_routes, &service_routes, &endpoint_routes, &domain_routes, &project_routes,
    &project_tag_routes, &user_routes, &group_routes, &role_routes, &implied_role_routes,
    &grant_routes, &role_assignment_routes, &revoke_event_routes,
    &registered_limit_routes, &limit_routes, &endpoint_filter_routes, &endpoint_policy_routes, &domain_config_routes,
    &identity_provider_routes, &federation_routes, &federation_auth_routes, &saml_routes,
    &trust_routes, &application_credential_routes, &access_rule_routes,
    &credential_routes, &ec2_credential_routes, &ec2_token_routes,
    &oauth1_consumer_routes, &oauth1_token_routes, &oauth1_access_routes, &oauth2_routes, &simple_cert_routes,
    NULL,
};
static const struct option_table *const options[] = {
    &keystone_options, &keystone_resource_options, &keystone_ldap_options, &keystone_auth_options,
    &cache_options, NULL,
};
static const struct policy_table *const policies[] = {
    &keystone_policies, &keystone_resource_policies, &keystone_auth_policies, NULL,
};
static const struct role roles[] = {
    { "keystone", .database = true, .serves = OPTION_WORDS(API_LISTENER) },
    { NULL },
};
static const struct program *const programs[] = { &keystone_manage, NULL };

const struct service keystone_service = {
    .name = "keystone",
    .type = "identity",
    .endpoint = "/v3",
    .port = 5000,
    .host_option = "bind_host",
    .port_option = "bind_port",
    .dialect = &keystone_dialect,
    .routes = routes,
    .options = options,
    .policies = policies,
    .sync_command = "keystone-manage db_sync",
    .migrations = keystone_migrations,
    .migration_count = KEYSTONE_MIGRATIONS,
    .roles = roles,
    .programs = programs,
    .start = keystone_start,
    .stop = keystone_stop,
    .authenticate = keystone_authenticate,
    .waits = keystone_waits,
};
