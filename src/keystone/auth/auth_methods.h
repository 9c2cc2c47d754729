/* SPDX-License-Identifier: Apache-2.0
 *
 * auth_methods: what the files of authentication share: the proof that the methods of a request add to, and its scope.
 */
#ifndef KEYSTONE_AUTH_METHODS_H
#define KEYSTONE_AUTH_METHODS_H

#include "keystone/token/token.h"

/* What the methods proved together. */
struct proof {
    const char *user_id;
    const char *parent_audit_id;
    int64_t expires_us;             /* 0: a full lifetime */
    const char **methods;           /* NULL-terminated, without doubles */
    size_t method_count;
    const char *app_cred_id;        /* these two also say the project */
    const char *access_token_id;
    const char *project_id;
    const char *idp_id, *protocol_id;    /* federation, as in token_claims */
    const char *const *group_ids;
};

/* Adds a method's name, unless it is there. */
void proof_add_method(struct proof *proof, const char *method);
/* The method is about this user: 401 when another was about somebody else. */
struct fault *proof_of_user(struct context *cx, struct proof *proof, const char *user_id);

/* A method: its data is the member of "identity" with its name. The 401 says nothing to the client. */
typedef struct fault *prove_method(struct request *rq, const json_t *auth, const json_t *data, struct proof *proof);
prove_method prove_by_password, prove_by_totp, prove_by_application_credential, prove_by_token, prove_by_oauth1, prove_by_mapped,
    prove_by_external, prove_by_kerberos;

/* "external" for requests that do not name it: adds it to the proof when it is among [auth] methods and a front server says
 * who the user is; that he is none of ours is no fault. */
struct fault *external_try(struct request *rq, struct proof *proof);

/* The user that data's "user" names, enabled and in an enabled domain: 401 otherwise. For methods without a password. */
struct fault *auth_user(struct request *rq, const json_t *data, const char *method, struct user **ret);

/* 400 unless the body is what the reference's schema asks for. */
struct fault *auth_check_body(struct request *rq, const json_t *auth);

/* Reads "scope" into the claims (with trust_id). `ret_explicit`: the request named one, unscoped included. */
struct fault *auth_read_scope(struct context *cx, struct tx *tx, const json_t *auth, struct token_claims *claims,
    bool *ret_explicit);
/* The user's default project, when he has a role there and it is enabled; otherwise the claims stay unscoped. */
struct fault *auth_default_scope(struct context *cx, struct token_claims *claims);

/* Text that is there and not empty. */
bool auth_given(const char *value);

/* Whether the methods are enough for the user's rules (multi_factor_auth_rules). */
struct fault *auth_check_rules(struct context *cx, const struct proof *proof, bool *ret_enough);

/* Adds the methods of the request's receipt to the proof: 401 when it is not a valid one of this user. */
struct fault *receipt_read(struct request *rq, struct proof *proof);
/* Answers 401 with a new receipt for what was proved, and with the rules that it may still meet. */
struct fault *receipt_respond(struct request *rq, const struct proof *proof);

#endif
