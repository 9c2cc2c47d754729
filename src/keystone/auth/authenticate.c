/* SPDX-License-Identifier: Apache-2.0 */
#include "keystone/auth/authenticate.h"

#include "base/clock.h"
#include "keystone/auth/auth_methods.h"
#include "keystone/notifications.h"
#include "keystone/token/token_payload.h"
#include "oslo/json.h"
#include "oslo/options.h"

#include <string.h>

static const struct {
    const char *name;
    prove_method *prove;
} known_methods[] = {
    { "password",               prove_by_password },
    { "token",                  prove_by_token },
    { "application_credential", prove_by_application_credential },
    { "totp",                   prove_by_totp },
    { "oauth1",                 prove_by_oauth1 },
    { "external",               prove_by_external },
    { "kerberos",               prove_by_kerberos },
    { "mapped",                 prove_by_mapped },
    { "openid",                 prove_by_mapped },
    { "saml2",                  prove_by_mapped },
    { "x509",                   prove_by_mapped },
};

static prove_method *find_method(const char *name)
{
    for (size_t i = 0; i < sizeof(known_methods) / sizeof(known_methods[0]); i++)
        if (strcmp(known_methods[i].name, name) == 0)
            return known_methods[i].prove;
    return NULL;
}

static struct fault *unsupported(struct context *cx)
{
    const char *const *methods = config_list(cx->app->config, "auth", "methods", NULL);
    json_t *list = json_keep(cx->arena, json_array());
    struct fault *fault = FAULT(cx, 401, NULL, "Attempted to authenticate with an unsupported method.");

    for (size_t i = 0; methods[i] != NULL; i++)
        json_array_append_new(list, json_string(methods[i]));
    fault->extra_json = arena_printf(cx->arena, "{\"methods\": %s}", json_dump(cx->arena, list));
    return fault;
}

static struct fault *check_methods(struct context *cx, const json_t *identity, const json_t *methods)
{
    const char *const *allowed = config_list(cx->app->config, "auth", "methods", NULL);

    for (size_t i = 0; i < json_array_size(methods); i++) {
        const char *method = json_string_value(json_array_get(methods, i));
        if (json_object_get(identity, method) == NULL)
            return keystone_expecting(cx, method, "identity");
    }
    for (size_t i = 0; i < json_array_size(methods); i++) {
        const char *method = json_string_value(json_array_get(methods, i));
        bool here = find_method(method) != NULL, found = false;
        for (size_t k = 0; allowed[k] != NULL; k++)
            found = found || strcmp(allowed[k], method) == 0;
        if (!here || !found)
            return unsupported(cx);
    }
    return NULL;
}

static bool named_before(const json_t *methods, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (json_equal(json_array_get(methods, i), json_array_get(methods, at)))
            return true;
    return false;
}

static struct fault *prove(struct request *rq, const json_t *auth, struct proof *proof)
{
    const json_t *identity = json_object_get(auth, "identity"), *methods = json_object_get(identity, "methods");

    proof->methods = ARENA_ARRAY(rq->cx.arena, const char *, json_array_size(methods) + 80); /* a token or receipt adds 32 */
    TRY(external_try(rq, proof));
    for (size_t i = 0; i < json_array_size(methods); i++) {
        const char *method = json_string_value(json_array_get(methods, i));
        const json_t *data = json_object_get(identity, method);
        if (named_before(methods, i)) /* or one request could have a password hashed a thousand times */
            continue;
        if (!json_is_object(data))
            return keystone_expecting(RQ(rq), method, "identity");
        proof_add_method(proof, method);
        TRY(find_method(method)(rq, auth, data, proof));
    }
    if (proof->user_id == NULL)
        return keystone_unauthorized(RQ(rq), "User not found by auth plugin; authentication failed");
    return NULL;
}

static bool uses(const json_t *auth, const char *method)
{
    const json_t *methods = json_at(auth, "identity.methods");

    for (size_t i = 0; i < json_array_size(methods); i++)
        if (strcmp(json_string_value(json_array_get(methods, i)), method) == 0)
            return true;
    return false;
}

static struct fault *scope_refused(struct context *cx)
{
    struct fault *fault = FAULT(cx, 401, NULL, "Error authenticating with application credential: Application credentials "
        "cannot request a scope.");

    fault->extra_json = "{}";
    return fault;
}

struct fault *authenticate(struct request *rq, const json_t *auth, struct token_claims *ret, bool *ret_enough)
{
    struct context *cx = RQ(rq);
    struct proof proof = { 0 };
    bool explicit_scope;
    struct tx *tx;

    if (auth == NULL || json_is_null(auth))
        return keystone_expecting(cx, "auth", "request body");
    TRY(auth_check_body(rq, auth));
    TRY(check_methods(cx, json_object_get(auth, "identity"), json_at(auth, "identity.methods")));
    if (uses(auth, "application_credential") && json_object_get(auth, "scope") != NULL)
        return scope_refused(cx);
    *ret = (struct token_claims){ 0 };
    TRY(db_read(cx->arena, cx->app->db, &tx));
    struct fault *wrong_scope = auth_read_scope(cx, tx, auth, ret, &explicit_scope);
    tx_end(tx);
    if (wrong_scope != NULL && wrong_scope->status != 401)
        return wrong_scope;
    /* Only who proved himself learns that his scope is wrong. */
    TRY(prove(rq, auth, &proof));
    if (wrong_scope != NULL)
        return wrong_scope;
    TRY(receipt_read(rq, &proof));
    TRY(auth_check_rules(cx, &proof, ret_enough));
    if (!*ret_enough)
        return receipt_respond(rq, &proof);
    ret->user_id = proof.user_id;
    ret->methods = proof.methods;
    ret->audit_id = token_audit_id(cx->arena);
    ret->parent_audit_id = proof.parent_audit_id;
    ret->expires_us = (clock_now_us() / 1000000 + config_int(cx->app->config, "token", "expiration")) * 1000000;
    if (proof.expires_us != 0 && proof.expires_us < ret->expires_us)
        ret->expires_us = proof.expires_us;
    ret->app_cred_id = proof.app_cred_id;
    ret->access_token_id = proof.access_token_id;
    ret->idp_id = proof.idp_id;
    ret->protocol_id = proof.protocol_id;
    ret->group_ids = proof.group_ids;
    if (proof.project_id != NULL) { /* what was delegated says where */
        ret->scope = PROJECT_SCOPED;
        ret->scope_id = proof.project_id;
        return NULL;
    }
    return explicit_scope || proof.idp_id != NULL ? NULL : auth_default_scope(cx, ret);
}
