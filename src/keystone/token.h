/* SPDX-License-Identifier: Apache-2.0
 *
 * token: what a token says, how it is built from the database, written as JSON, and kept once validated.
 */
#ifndef KEYSTONE_TOKEN_H
#define KEYSTONE_TOKEN_H

#include "keystone/model.h"
#include "keystone/reference.h"

enum token_scope { UNSCOPED, PROJECT_SCOPED, DOMAIN_SCOPED, SYSTEM_SCOPED };

/* What is sealed in a token: ids only. */
struct token_claims {
    const char *user_id;
    const char *const *methods;     /* NULL-terminated */
    const char *audit_id, *parent_audit_id;
    int64_t issued_us, expires_us;  /* issued_us counts whole seconds */
    enum token_scope scope;
    const char *scope_id;           /* of the project or domain */
};

/* What it means now. */
struct token {
    struct token_claims claims;
    const struct user *user;
    const struct project *user_domain;
    const struct project *project, *project_domain; /* PROJECT_SCOPED */
    const struct project *domain;                   /* DOMAIN_SCOPED */
    const struct identity_role *roles;
    size_t role_count;
};

/* A caller's details: the validated token with its rendered bodies, {"token": {...}}. */
struct validated {
    unsigned char digest[32];
    uint64_t generation;
    int64_t read_us;
    const struct token *token;
    const char *body, *body_without_catalog;
    size_t body_length, body_without_catalog_length;
};

/* Reads what the claims mean, in `arena`, in one read transaction, and checks that they still hold (scope enabled, roles
 * left): a fault with the reference's status and words (401 when nothing is left to be had). With `ret_revoked` it is also
 * asked whether a revocation event covers the token. */
struct fault *token_build(struct context *cx, struct arena *arena, const struct token_claims *claims, struct token **ret,
    bool *ret_revoked);

/* The roles that the user has on the claims' scope, implied ones included, global ones only. */
struct fault *token_roles(struct tx *tx, const struct reference *reference, const struct token *token,
    const struct identity_role **ret, size_t *ret_count);

/* {"token": {...}}. `reference` NULL: no catalog. */
void token_write(struct json_writer *w, const struct token *token, const struct reference *reference);

/* Checks a token's text: 404 in the reference's words when it is none, expired (window_s: seconds that it may have been so)
 * or revoked. *ret is counted: the context's arena releases it. */
struct fault *token_validate(struct context *cx, const char *text, int64_t window_s, struct caller **ret);
const struct validated *token_details(const struct caller *caller);

/* A new token of these claims: issued_us is set here, and moved on by a second when a revocation in the present second
 * would cover it. *ret_text lives in the context's arena. */
struct fault *token_issue(struct context *cx, struct token_claims *claims, struct token **ret, const char **ret_text);

struct token_cache *token_cache_create(void);
void token_cache_destroy(struct token_cache *cache);

/* service.authenticate of keystone. */
struct fault *keystone_authenticate(struct context *cx, const char *token, struct caller **ret);

#endif
