/* SPDX-License-Identifier: Apache-2.0
 *
 * The method "token": another token for who has one.
 */
#include "keystone/auth/auth_methods.h"
#include "keystone/federation/federation.h"
#include "keystone/notifications.h"

#include "oslo/json.h"
#include "oslo/options.h"

/* 404 or 403 when the provider of a federated token is gone or disabled: it is exchanged for no other then. */
static struct fault *federated_token_holds(struct context *cx, const struct token_claims *claims)
{
    json_t *idp;
    struct tx *tx;

    TRY(db_read(cx->arena, cx->app->db, &tx));
    struct fault *fault = idp_load_enabled(tx, cx, claims->idp_id, &idp);
    tx_end(tx);
    return fault;
}

struct fault *prove_by_token(struct request *rq, const json_t *auth, const json_t *data, struct proof *proof)
{
    const json_t *scope = json_object_get(auth, "scope");
    struct context *cx = RQ(rq);
    struct caller *caller;

    TRY(token_validate(cx, json_text_at(data, "id"), 0, &caller));
    if (token_has_access_rules(caller))
        return FAULT(cx, 404, NULL, "Failed to validate token");
    const struct token_claims *claims = &token_details(caller)->token->claims;
    if (claims->access_token_id != NULL)
        return keystone_forbidden_action(cx, "Using OAuth-scoped token to create another token. Create a new OAuth-scoped "
            "token instead");
    if (claims->trust_id != NULL)
        return keystone_forbidden_action(cx, "Using trust-scoped token to create another token. Create a new trust-scoped "
            "token instead");
    if (claims->scope == SYSTEM_SCOPED &&
        (json_object_get(scope, "project") != NULL || json_object_get(scope, "domain") != NULL))
        return keystone_forbidden_action(cx, "Using a system-scoped token to create a project-scoped or domain-scoped "
            "token is not allowed.");
    if (!config_bool(cx->app->config, "token", "allow_rescope_scoped_token") &&
        (claims->scope == PROJECT_SCOPED || claims->scope == DOMAIN_SCOPED))
        return keystone_forbidden_action(cx, "rescope a scoped token");
    if (claims->idp_id != NULL) {
        struct fault *fault = federated_token_holds(cx, claims);
        keystone_notify_vouched(rq, &(struct vouched){ claims->user_id, claims->idp_id, claims->audit_id, claims->group_ids },
            fault);
        TRY(fault);
        proof->idp_id = claims->idp_id;
        proof->protocol_id = claims->protocol_id;
        proof->group_ids = claims->group_ids;
    }
    /* The chain's first audit id and its end are kept: nobody lives on by exchanging tokens. */
    proof->parent_audit_id = claims->parent_audit_id != NULL ? claims->parent_audit_id : claims->audit_id;
    if (proof->expires_us == 0 || claims->expires_us < proof->expires_us)
        proof->expires_us = claims->expires_us;
    for (size_t i = 0; claims->methods[i] != NULL; i++)
        proof_add_method(proof, claims->methods[i]);
    return proof_of_user(cx, proof, claims->user_id);
}
