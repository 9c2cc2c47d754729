/* SPDX-License-Identifier: Apache-2.0
 *
 * token: what a token says, how it is built from the database, written as JSON, and kept once validated.
 */
#ifndef KEYSTONE_TOKEN_H
#define KEYSTONE_TOKEN_H

#include "keystone/identity/directories.h"
#include "keystone/model.h"
#include "keystone/reference.h"

enum token_scope { UNSCOPED, PROJECT_SCOPED, DOMAIN_SCOPED, SYSTEM_SCOPED };

struct trust;
struct app_cred;

/* What is sealed in a token: ids only. What a token has nothing to do with is NULL. */
struct token_claims {
    const char *user_id;
    const char *const *methods;     /* NULL-terminated */
    const char *audit_id, *parent_audit_id;
    int64_t issued_us, expires_us;  /* issued_us counts whole seconds */
    enum token_scope scope;
    const char *scope_id;           /* of the project or domain */
    const char *trust_id;           /* user_id is then the trustee's */
    const char *app_cred_id;
    const char *access_token_id;    /* OAuth1 */
    const char *thumbprint;         /* of the client's certificate: OAuth2 with mutual TLS */
    const char *idp_id, *protocol_id;    /* federation */
    const char *const *group_ids;        /* federation: groups beyond those that he is a member of; NULL-terminated */
};

/* What it means now. */
struct token {
    struct token_claims claims;
    const struct user *user;
    const struct project *user_domain;
    const struct project *project, *project_domain; /* PROJECT_SCOPED */
    enum { NO_ADMIN_PROJECT, OTHER_PROJECT, ADMIN_PROJECT } admin_project; /* by [resource] admin_project_name; said in the token */
    const struct project *domain;                   /* DOMAIN_SCOPED */
    const struct identity_role *roles;
    size_t role_count;
    const json_t *whole_roles;                      /* of a trust: its token shows all that a role is; else NULL */
    const struct trust *trust;
    const struct user *trustor, *trustee;           /* of the trust; `user` is the one whom it lets act */
    const struct app_cred *app_cred;
    struct directory_state directory;               /* of the user, when a directory has him */
    const char *consumer_id;                        /* of the OAuth1 access token */
};

/* A caller's details: the validated token with its rendered bodies, {"token": {...}}. */
struct validated {
    unsigned char digest[32];
    uint64_t generation;
    int64_t read_us;
    const struct token *token;
    bool brief;                     /* its user is of a directory, which tells nobody when it changes */
    const char *body, *body_without_catalog;
    size_t body_length, body_without_catalog_length;
};

/* Reads what the claims mean, in `arena`, in one read transaction, and checks that they still hold (scope enabled, roles
 * left): a fault with the reference's status and words (401 when nothing is left to be had). With `ret_revoked` it is also
 * asked whether a revocation event covers the token. */
struct fault *token_build(struct context *cx, struct arena *arena, const struct token_claims *claims, struct token **ret,
    bool *ret_revoked);

/* {"token": {...}}. `reference` NULL: no catalog. */
void token_write(struct json_writer *w, const struct token *token, const struct reference *reference);

/* Checks a token's text: 404 in the reference's words when it is none, expired (window_s: seconds that it may have been so)
 * or revoked. *ret is counted: the context's arena releases it. */
struct fault *token_validate(struct context *cx, const char *text, int64_t window_s, struct caller **ret);
const struct validated *token_details(const struct caller *caller);
/* Whether the text was validated a moment ago, so that validating it again waits for nothing. */
bool token_is_kept(struct keystone *keystone, const char *text);
/* Whether the caller acts by an OAuth1 access token. */
bool token_is_oauth(const struct caller *caller);
/* Whether what validates the token must understand access rules (and may not be told that it is valid otherwise). */
bool token_has_access_rules(const struct caller *caller);

/* A new token of these claims: issued_us is set here, and moved on by a second when a revocation in the present second
 * would cover it. *ret_text lives in the context's arena. */
struct fault *token_issue(struct context *cx, struct token_claims *claims, struct token **ret, const char **ret_text);

struct token_cache *token_cache_create(void);
void token_cache_destroy(struct token_cache *cache);

/* service.authenticate of keystone. */
struct fault *keystone_authenticate(struct context *cx, const char *token, struct caller **ret);

#endif
