/* SPDX-License-Identifier: Apache-2.0 */
#include "keystone/provider.h"

#include "keystone/token_payload.h"
#include "oslo/options.h"

static const char *const *configured_methods(const struct context *cx)
{
    return config_list(cx->app->config, "auth", "methods", NULL);
}

struct fault *provider_seal(struct context *cx, const struct token_claims *claims, const char **ret_text,
    int64_t *ret_issued_us)
{
    static const enum token_version versions[] = { [UNSCOPED] = TOKEN_UNSCOPED, [PROJECT_SCOPED] = TOKEN_PROJECT,
        [DOMAIN_SCOPED] = TOKEN_DOMAIN, [SYSTEM_SCOPED] = TOKEN_SYSTEM };
    const char *audit_ids[] = { claims->audit_id, claims->parent_audit_id, NULL };
    struct fernet_keys *keys = keystone_of(cx)->keys;
    struct token_payload payload = {
        .version = versions[claims->scope],
        .methods = token_methods_bits(configured_methods(cx), claims->methods),
        .user_id = claims->user_id,
        .project_id = claims->scope_id,
        .domain_id = claims->scope_id,
        .system = "all",
        .audit_ids = audit_ids,
        .expires_us = claims->expires_us,
    };

    TRY(token_encode(cx->arena, keys, &payload, ret_text));
    return token_decode(cx->arena, keys, *ret_text, &payload, ret_issued_us);
}

bool provider_open(struct context *cx, struct arena *arena, const char *text, struct token_claims *ret)
{
    struct token_payload payload = { 0 };
    int64_t issued_us;

    if (token_decode(arena, keystone_of(cx)->keys, text, &payload, &issued_us) != NULL)
        return false;
    *ret = (struct token_claims){
        .user_id = payload.user_id,
        .methods = token_methods_names(arena, configured_methods(cx), payload.methods),
        .audit_id = payload.audit_ids[0],
        .issued_us = issued_us,
        .expires_us = payload.expires_us,
    };
    if (ret->audit_id != NULL)
        ret->parent_audit_id = payload.audit_ids[1];
    switch (payload.version) {
    case TOKEN_UNSCOPED:
        ret->scope = UNSCOPED;
        break;
    case TOKEN_PROJECT:
        ret->scope = PROJECT_SCOPED;
        ret->scope_id = payload.project_id;
        break;
    case TOKEN_DOMAIN:
        ret->scope = DOMAIN_SCOPED;
        ret->scope_id = payload.domain_id;
        break;
    case TOKEN_SYSTEM:
        ret->scope = SYSTEM_SCOPED;
        break;
    default: /* trusts, federation, OAuth, application credentials: not of this service yet */
        return false;
    }
    return ret->user_id != NULL && ret->audit_id != NULL;
}
