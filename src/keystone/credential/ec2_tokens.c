/* SPDX-License-Identifier: Apache-2.0
 *
 * /v3/ec2tokens and /v3/s3tokens: a service that got a request signed with an EC2 credential asks for its owner's token.
 */
#include "keystone/application_credential/application_credentials.h"
#include "keystone/credential/credentials.h"
#include "keystone/credential/ec2_signature.h"
#include "keystone/oauth/oauth1.h"
#include "keystone/token/fernet.h"
#include "keystone/token/token.h"
#include "keystone/token/token_payload.h"
#include "keystone/trust/trusts.h"

#include "base/base64url.h"
#include "base/clock.h"
#include "oslo/json.h"
#include "oslo/options.h"
#include "oslo/policy.h"

#include <stdio.h>
#include <string.h>

typedef bool check_signature(struct arena *arena, const char *secret, const json_t *credentials);

static const json_t *signed_request(const json_t *body)
{
    static const char *const names[] = { "credentials", "credential", "ec2Credentials" };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const json_t *member = json_object_get(body, names[i]);
        if (json_is_object(member) && json_object_size(member) > 0)
            return member;
    }
    return NULL;
}

/* "20261122T195550Z" as the dates of version 4 are written, or what clock_parse() reads. */
static bool parse_moment(const char *text, int64_t *ret_us)
{
    char spread[32];
    int day, time;

    if (clock_parse(text, ret_us))
        return true;
    if (strlen(text) != 16 || text[8] != 'T' || text[15] != 'Z' || sscanf(text, "%8dT%6d", &day, &time) != 2 || day < 0 ||
        time < 0)
        return false;
    snprintf(spread, sizeof(spread), "%04d-%02d-%02dT%02d:%02d:%02dZ", day / 10000, day / 100 % 100, day % 100, time / 10000,
        time / 100 % 100, time % 100);
    return clock_parse(spread, ret_us);
}

/* A request that says when it was signed must be young. */
static struct fault *check_age(struct context *cx, const json_t *credentials)
{
    const json_t *params = json_object_get(credentials, "params"), *headers = json_object_get(credentials, "headers");
    const char *text = json_text_at(params, "Timestamp");
    int64_t ttl_us = config_int(cx->app->config, "credential", "auth_ttl") * 60 * 1000000, us;

    if (text == NULL)
        text = json_string_value(json_object_get(headers, "X-Amz-Date"));
    if (text == NULL)
        text = json_string_value(json_object_get(params, "X-Amz-Date"));
    if (text == NULL)
        return NULL;
    if (!parse_moment(text, &us))
        return keystone_unauthorized(cx, "Credential timestamp is invalid: %s", text);
    return clock_now_us() <= us + ttl_us ? NULL : keystone_unauthorized(cx, "Credential is expired");
}

static struct fault *check_owner(struct context *cx, struct tx *tx, const struct credential *credential)
{
    struct project *project, *domain;
    struct user *user;

    TRY(project_find(tx, credential->project_id, &project));
    if (project == NULL)
        return keystone_not_found(cx, "project", credential->project_id != NULL ? credential->project_id : "None");
    TRY(user_find(tx, credential->user_id, &user));
    if (user == NULL)
        return keystone_not_found(cx, "user", credential->user_id);
    TRY(domain_find(tx, user->domain_id, &domain));
    if (!user->enabled || domain == NULL || !domain->enabled || !project->enabled)
        return keystone_unauthorized(cx, "User, domain or project is disabled");
    return NULL;
}

/* The claims that the credential stands for: its owner's, or those of what it was made with. */
static struct fault *read_claims(struct context *cx, struct tx *tx, const struct credential *credential,
    const json_t *blob, struct token_claims *ret)
{
    static const char *const methods[] = { "ec2credential", NULL };
    struct trust *trust;

    *ret = (struct token_claims){
        .user_id = credential->user_id, .methods = methods, .audit_id = token_audit_id(cx->arena),
        .expires_us = (clock_now_us() / 1000000 + config_int(cx->app->config, "token", "expiration")) * 1000000,
        .scope = PROJECT_SCOPED, .scope_id = credential->project_id };
    ret->trust_id = json_text_at(blob, "trust_id");
    if (ret->trust_id != NULL) {
        TRY(trust_find(tx, cx, ret->trust_id, &trust));
        if (trust == NULL)
            return keystone_not_found(cx, "trust", ret->trust_id);
        if (trust->impersonation) /* the credential is the trustor's, its token is issued to the trustee */
            ret->user_id = trust->trustee_id;
        ret->scope_id = trust->project_id;
        return NULL;
    }
    ret->app_cred_id = json_text_at(blob, "app_cred_id");
    if (ret->app_cred_id == NULL)
        ret->access_token_id = json_text_at(blob, "access_token_id");
    if (ret->app_cred_id != NULL) {
        struct app_cred *made_with;
        TRY(app_cred_find(tx, ret->app_cred_id, &made_with));
        if (made_with != NULL && made_with->expires_us != 0 && made_with->expires_us < ret->expires_us)
            ret->expires_us = made_with->expires_us;
    }
    return NULL;
}

static struct fault *prove(struct request *rq, check_signature *right, struct token_claims *ret)
{
    const json_t *credentials = signed_request(rq->body);
    struct context *cx = RQ(rq);
    struct credential *credential;
    struct tx *tx;

    if (!json_is_object(rq->body) || json_object_size(rq->body) == 0)
        return keystone_invalid(cx, "request must include a request body");
    const char *access = json_text_at(credentials, "access");
    if (access == NULL)
        return keystone_unauthorized(cx, "EC2 Signature not supplied");
    const char *id = credential_access_id(cx->arena, access);
    TRY(db_read(cx->arena, cx->app->db, &tx));
    TRY(credential_find(tx, cx, id, &credential));
    if (credential == NULL)
        return keystone_not_found(cx, "credential", id);
    const json_t *blob = json_parse_own(cx->arena, credential->blob);
    const char *secret = json_text_at(blob, "secret");
    if (strcmp(credential->type, "ec2") != 0 || secret == NULL)
        return keystone_unauthorized(cx, "EC2 access key not found.");
    if (!right(cx->arena, secret, credentials))
        return keystone_unauthorized(cx, "Invalid EC2 signature.");
    TRY(check_owner(cx, tx, credential));
    TRY(check_age(cx, credentials));
    TRY(read_claims(cx, tx, credential, blob, ret));
    tx_end(tx);
    return NULL;
}

static struct fault *issue(struct request *rq, check_signature *right, const char **ret_text)
{
    const struct reference *reference;
    struct token_claims claims;
    struct token *token;

    TRY(request_enforce(rq, rq->route->policy, NULL));
    TRY(prove(rq, right, &claims));
    TRY(token_issue(RQ(rq), &claims, &token, ret_text));
    TRY(reference_get(RQ(rq), &reference));
    token_write(&rq->json, token, reference);
    return NULL;
}

static struct fault *ec2_issue(struct request *rq)
{
    const char *text;

    TRY(issue(rq, ec2_signature_right, &text));
    response_header(rq, "X-Subject-Token", text);
    return NULL;
}

/* S3 clients send the very text that they signed, in base64. */
static bool s3_signature_right(struct arena *arena, const char *secret, const json_t *credentials)
{
    const char *token = json_text_at(credentials, "token"), *given = json_text_at(credentials, "signature"), *wanted;
    unsigned char *text;
    size_t length;

    if (token == NULL || given == NULL || !base64url_decode(arena, token, strlen(token), &text, &length))
        return false;
    wanted = s3_sign(arena, secret, (const char *)text, length);
    return wanted != NULL && ec2_same_text(given, wanted);
}

static struct fault *s3_issue(struct request *rq)
{
    const char *unused;

    return issue(rq, s3_signature_right, &unused);
}

static const struct route rows[] = {
    ROUTE(POST, "/v3/ec2tokens", "identity:ec2tokens_validate", ec2_issue, HANDLER_POLICY),
    ROUTE(POST, "/v3/s3tokens",  "identity:s3tokens_validate",  s3_issue,  HANDLER_POLICY),
};

const struct route_table ec2_token_routes = ROUTES(rows);
