/* SPDX-License-Identifier: Apache-2.0
 *
 * Token claims as the payload of a JWS token, in upstream's words.
 */
#include "keystone/token/provider.h"

#include "keystone/token/jws.h"
#include "oslo/json.h"

static void set(json_t *payload, const char *name, const char *value)
{
    if (value != NULL)
        json_object_set_new(payload, name, json_string(value));
}

static json_t *list_of(const char *const *texts)
{
    json_t *list = json_array();

    for (; *texts != NULL; texts++)
        json_array_append_new(list, json_string(*texts));
    return list;
}

struct fault *provider_jws_seal(struct context *cx, const struct token_claims *claims, const char **ret_text)
{
    const char *audit_ids[] = { claims->audit_id, claims->parent_audit_id, NULL };
    json_t *payload = json_keep(cx->arena, json_object());

    set(payload, "sub", claims->user_id);
    json_object_set_new(payload, "iat", json_integer(claims->issued_us / 1000000));
    json_object_set_new(payload, "exp", json_integer(claims->expires_us / 1000000));
    json_object_set_new(payload, "openstack_methods", list_of(claims->methods));
    json_object_set_new(payload, "openstack_audit_ids", list_of(audit_ids));
    set(payload, "openstack_system", claims->scope == SYSTEM_SCOPED ? "all" : NULL);
    set(payload, "openstack_domain_id", claims->scope == DOMAIN_SCOPED ? claims->scope_id : NULL);
    set(payload, "openstack_project_id", claims->scope == PROJECT_SCOPED ? claims->scope_id : NULL);
    set(payload, "openstack_trust_id", claims->trust_id);
    if (claims->idp_id != NULL) {
        json_t *groups = json_array();
        for (size_t i = 0; claims->group_ids != NULL && claims->group_ids[i] != NULL; i++)
            json_array_append_new(groups, json_pack("{s:s}", "id", claims->group_ids[i]));
        json_object_set_new(payload, "openstack_group_ids", groups);
    }
    set(payload, "openstack_idp_id", claims->idp_id);
    set(payload, "openstack_protocol_id", claims->protocol_id);
    set(payload, "openstack_access_token_id", claims->access_token_id);
    set(payload, "openstack_app_cred_id", claims->app_cred_id);
    set(payload, "openstack_thumbprint", claims->thumbprint);
    return jws_sign(cx->arena, keystone_of(cx)->jws, payload, ret_text);
}

/* The texts of a list, or of its elements' members `member`. NULL: it is no such list. */
static const char *const *texts_of(struct arena *arena, const json_t *list, const char *member)
{
    const char **texts = ARENA_ARRAY(arena, const char *, json_array_size(list) + 1);

    if (!json_is_array(list))
        return NULL;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *element = json_array_get(list, i);
        if (json_is_object(element) && member != NULL)
            element = json_object_get(element, member);
        if (!json_is_string(element))
            return NULL;
        texts[i] = json_string_value(element);
    }
    return texts;
}

bool provider_jws_open(struct context *cx, struct arena *arena, const char *text, struct token_claims *ret)
{
    json_t *payload = jws_open(arena, keystone_of(cx)->jws, text);
    const json_t *issued = json_object_get(payload, "iat"), *expires = json_object_get(payload, "exp");
    const json_t *groups = json_object_get(payload, "openstack_group_ids");
    const char *const *audit_ids = texts_of(arena, json_object_get(payload, "openstack_audit_ids"), NULL);
    const int64_t latest_s = 253402300799;

    if (audit_ids == NULL || audit_ids[0] == NULL || !json_is_integer(issued) || !json_is_integer(expires) ||
        json_integer_value(issued) < 0 || json_integer_value(issued) > latest_s || json_integer_value(expires) < 0 ||
        json_integer_value(expires) > latest_s)
        return false;
    *ret = (struct token_claims){
        .user_id = json_text_at(payload, "sub"),
        .methods = texts_of(arena, json_object_get(payload, "openstack_methods"), NULL),
        .audit_id = audit_ids[0], .parent_audit_id = audit_ids[1],
        .issued_us = json_integer_value(issued) * 1000000, .expires_us = json_integer_value(expires) * 1000000,
        .trust_id = json_text_at(payload, "openstack_trust_id"),
        .app_cred_id = json_text_at(payload, "openstack_app_cred_id"),
        .access_token_id = json_text_at(payload, "openstack_access_token_id"),
        .thumbprint = json_text_at(payload, "openstack_thumbprint"),
        .idp_id = json_text_at(payload, "openstack_idp_id"), .protocol_id = json_text_at(payload, "openstack_protocol_id"),
        .group_ids = groups != NULL ? texts_of(arena, groups, "id") : NULL,
    };
    const char *project_id = json_text_at(payload, "openstack_project_id");
    const char *domain_id = json_text_at(payload, "openstack_domain_id");
    if (json_text_at(payload, "openstack_system") != NULL)
        ret->scope = SYSTEM_SCOPED;
    else if (project_id != NULL || domain_id != NULL)
        ret->scope = project_id != NULL ? PROJECT_SCOPED : DOMAIN_SCOPED;
    ret->scope_id = project_id != NULL ? project_id : domain_id;
    return ret->user_id != NULL && ret->methods != NULL;
}
