/* SPDX-License-Identifier: Apache-2.0
 *
 * /v3/auth: issue, show, check and revoke tokens; what a token's owner may have. API reference: Authentication and token
 * management, identity v3.
 */
#include "keystone/auth/authenticate.h"
#include "keystone/resource/projects.h"
#include "keystone/token/revocation.h"
#include "keystone/token/token.h"
#include "keystone/trust/trusts.h"

#include "oslo/options.h"
#include "oslo/policy.h"

#include <stdlib.h>
#include <string.h>

static struct fault *auth_issue(struct request *rq)
{
    struct context *cx = RQ(rq);
    const struct reference *reference = NULL;
    struct token_claims claims;
    struct token *token;
    const char *text;
    bool enough;

    if (rq->body != NULL && !json_is_object(rq->body))
        return keystone_expecting(cx, "valid JSON", "request body");
    TRY(authenticate(rq, json_object_get(rq->body, "auth"), &claims, &enough));
    if (!enough)
        return NULL;
    TRY(token_issue(cx, &claims, &token, &text));
    if (token->trust != NULL)
        TRY(trust_consume(cx, token->trust));
    if (request_query(rq, "nocatalog") == NULL)
        TRY(reference_get(cx, &reference));
    token_write(&rq->json, token, reference);
    response_header(rq, "X-Subject-Token", text);
    rq->status = 201;
    return NULL;
}

/* Who asks must obey access rules to be told that a token with them is valid. */
static bool knows_access_rules(const struct request *rq)
{
    const char *version = request_header(rq, "OpenStack-Identity-Access-Rules");

    return version != NULL && strtod(version, NULL) >= 1.0;
}

/* The token that the request is about, enforced with it as the target. */
static struct fault *subject(struct request *rq, const char *rule, struct caller **ret)
{
    bool allow_expired = request_query_bool(rq, "allow_expired", false);
    int64_t window_s = allow_expired ? config_int(rq->cx.app->config, "token", "allow_expired_window") : 0;

    TRY(token_validate(RQ(rq), request_header(rq, "X-Subject-Token"), window_s, ret));
    if (token_has_access_rules(*ret) && !knows_access_rules(rq))
        return FAULT(RQ(rq), 404, NULL, "Failed to validate token");
    return request_enforce(rq, rule, POLICY_TARGET({ "target.token.user_id", (*ret)->user_id },
        { "target.token.user.domain.id", (*ret)->user_domain_id }));
}

static struct fault *auth_show(struct request *rq)
{
    struct caller *caller;

    TRY(subject(rq, rq->route->policy, &caller));
    const struct validated *validated = token_details(caller);
    if (request_query(rq, "nocatalog") == NULL)
        buf_append(&rq->out, validated->body, validated->body_length);
    else
        buf_append(&rq->out, validated->body_without_catalog, validated->body_without_catalog_length);
    response_header(rq, "X-Subject-Token", caller->token);
    return NULL;
}

static struct fault *revoke_run(struct tx *tx, void *argument)
{
    struct request *rq = ((void **)argument)[0];
    const char *audit_id = ((void **)argument)[1];

    return revocation_write(tx, rq->cx.app->config, &(struct revocation){ .audit_id = audit_id });
}

static struct fault *auth_revoke(struct request *rq)
{
    struct caller *caller;

    TRY(subject(rq, rq->route->policy, &caller));
    const void *arguments[] = { rq, token_details(caller)->token->claims.audit_id };
    TRY(db_write(rq->cx.arena, rq->cx.app->db, revoke_run, arguments));
    keystone_changed(RQ(rq));
    return NULL;
}

static struct fault *auth_catalog(struct request *rq)
{
    const struct caller *caller = rq->cx.caller;
    const struct reference *reference;

    if (caller->project_id == NULL)
        return FAULT(RQ(rq), 403, NULL, "You are not authorized to perform the requested action.");
    TRY(reference_get(RQ(rq), &reference));
    json_begin(&rq->json, NULL);
    catalog_write(&rq->json, "catalog", reference, caller->user_id, caller->project_id);
    json_begin(&rq->json, "links");
    json_text(&rq->json, "self", keystone_url(rq, "/auth/catalog"));
    json_end(&rq->json);
    json_end(&rq->json);
    return NULL;
}

static struct fault *auth_projects(struct request *rq)
{
    return projects_of_user_respond(rq, rq->cx.caller->user_id, false);
}

static struct fault *auth_domains(struct request *rq)
{
    return projects_of_user_respond(rq, rq->cx.caller->user_id, true);
}

static struct fault *auth_system(struct request *rq)
{
    int64_t grants;
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(sql_int_of(tx, &grants, 0, "SELECT COUNT(*) FROM system_assignment WHERE actor_id = ? AND target_id = 'system'",
        BIND(TEXT(rq->cx.caller->user_id))));
    tx_end(tx);
    json_begin(&rq->json, NULL);
    json_begin_array(&rq->json, "system");
    if (grants > 0) {
        json_begin(&rq->json, NULL);
        json_bool(&rq->json, "all", true);
        json_end(&rq->json);
    }
    json_end_array(&rq->json);
    json_begin(&rq->json, "links");
    json_text(&rq->json, "self", keystone_url(rq, "/auth/system"));
    json_end(&rq->json);
    json_end(&rq->json);
    return NULL;
}

static const struct route rows[] = {
    ROUTE(POST,   "/v3/auth/tokens",   NULL,                        auth_issue,    .flags = NO_TOKEN | SLOW, .status = 201),
    ROUTE(GET,    "/v3/auth/tokens",   "identity:validate_token",   auth_show,     HANDLER_POLICY),
    ROUTE(HEAD,   "/v3/auth/tokens",   "identity:check_token",      auth_show,     HANDLER_POLICY),
    ROUTE(DELETE, "/v3/auth/tokens",   "identity:revoke_token",     auth_revoke,   HANDLER_POLICY, .status = 204),
    ROUTE(GET,    "/v3/auth/catalog",  "identity:get_auth_catalog", auth_catalog),
    ROUTE(GET,    "/v3/auth/projects", "identity:get_auth_projects", auth_projects),
    ROUTE(GET,    "/v3/auth/domains",  "identity:get_auth_domains", auth_domains),
    ROUTE(GET,    "/v3/auth/system",   "identity:get_auth_system",  auth_system),
};

const struct route_table auth_routes = ROUTES(rows);
