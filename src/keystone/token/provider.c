/* SPDX-License-Identifier: Apache-2.0 */
#include "keystone/token/provider.h"

#include "keystone/token/token_payload.h"
#include "oslo/options.h"

static const char *const *configured_methods(const struct context *cx)
{
    return config_list(cx->app->config, "auth", "methods", NULL);
}

static enum token_version version_of(const struct token_claims *claims)
{
    static const enum token_version plain[] = { [UNSCOPED] = TOKEN_UNSCOPED, [PROJECT_SCOPED] = TOKEN_PROJECT,
        [DOMAIN_SCOPED] = TOKEN_DOMAIN, [SYSTEM_SCOPED] = TOKEN_SYSTEM };
    static const enum token_version federated[] = { [UNSCOPED] = TOKEN_FEDERATED, [PROJECT_SCOPED] = TOKEN_FEDERATED_PROJECT,
        [DOMAIN_SCOPED] = TOKEN_FEDERATED_DOMAIN, [SYSTEM_SCOPED] = TOKEN_SYSTEM };

    if (claims->thumbprint != NULL)
        return TOKEN_OAUTH2_CREDENTIAL;
    if (claims->trust_id != NULL)
        return TOKEN_TRUST;
    if (claims->access_token_id != NULL)
        return TOKEN_OAUTH;
    if (claims->app_cred_id != NULL)
        return TOKEN_APPLICATION_CREDENTIAL;
    return (claims->idp_id != NULL ? federated : plain)[claims->scope];
}

struct fault *provider_seal(struct context *cx, const struct token_claims *claims, const char **ret_text,
    int64_t *ret_issued_us)
{
    const char *audit_ids[] = { claims->audit_id, claims->parent_audit_id, NULL };
    struct fernet_keys *keys = keystone_of(cx)->keys;
    struct token_payload payload = {
        .version = version_of(claims),
        .methods = token_methods_bits(configured_methods(cx), claims->methods),
        .user_id = claims->user_id,
        .project_id = claims->scope == PROJECT_SCOPED ? claims->scope_id : NULL,
        .domain_id = claims->scope == DOMAIN_SCOPED ? claims->scope_id : NULL,
        .system = "all",
        .trust_id = claims->trust_id,
        .group_ids = claims->group_ids,
        .identity_provider_id = claims->idp_id,
        .protocol_id = claims->protocol_id,
        .access_token_id = claims->access_token_id,
        .app_cred_id = claims->app_cred_id,
        .thumbprint = claims->thumbprint,
        .audit_ids = audit_ids,
        .expires_us = claims->expires_us,
    };

    if (keystone_of(cx)->jws != NULL) {
        *ret_issued_us = claims->issued_us;
        return provider_jws_seal(cx, claims, ret_text);
    }
    TRY(token_encode(cx->arena, keys, &payload, ret_text));
    return token_decode(cx->arena, keys, *ret_text, &payload, ret_issued_us);
}

bool provider_open(struct context *cx, struct arena *arena, const char *text, struct token_claims *ret)
{
    struct token_payload payload = { 0 };
    int64_t issued_us;

    if (keystone_of(cx)->jws != NULL)
        return provider_jws_open(cx, arena, text, ret);
    if (token_decode(arena, keystone_of(cx)->keys, text, &payload, &issued_us) != NULL)
        return false;
    *ret = (struct token_claims){
        .user_id = payload.user_id,
        .methods = token_methods_names(arena, configured_methods(cx), payload.methods),
        .audit_id = payload.audit_ids[0],
        .issued_us = issued_us,
        .expires_us = payload.expires_us,
        .trust_id = payload.trust_id,
        .app_cred_id = payload.app_cred_id,
        .access_token_id = payload.access_token_id,
        .thumbprint = payload.thumbprint,
        .idp_id = payload.identity_provider_id,
        .protocol_id = payload.protocol_id,
        .group_ids = payload.group_ids,
    };
    if (ret->audit_id != NULL)
        ret->parent_audit_id = payload.audit_ids[1];
    if (payload.version == TOKEN_SYSTEM) {
        ret->scope = SYSTEM_SCOPED;
    } else if (payload.project_id != NULL) {
        ret->scope = PROJECT_SCOPED;
        ret->scope_id = payload.project_id;
    } else if (payload.domain_id != NULL) {
        ret->scope = DOMAIN_SCOPED;
        ret->scope_id = payload.domain_id;
    }
    return ret->user_id != NULL && ret->audit_id != NULL;
}
