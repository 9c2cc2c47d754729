/* SPDX-License-Identifier: Apache-2.0
 *
 * Authentication by application credential: its id, or its name and user, and its secret.
 */
#include "keystone/auth/auth_methods.h"

#include "base/clock.h"
#include "keystone/application_credential/application_credentials.h"
#include "keystone/auth/login.h"
#include "oslo/json.h"

static struct fault *find(struct request *rq, const json_t *data, struct app_cred **ret)
{
    struct context *cx = RQ(rq);
    const char *id = json_text_at(data, "id"), *name = json_text_at(data, "name");
    struct user *user;
    struct tx *tx;

    if (!auth_given(id) && !auth_given(name))
        return keystone_expecting(cx, "name or ID", "application credential");
    if (!auth_given(id))
        TRY(auth_user(rq, data, "application credential", &user));
    TRY(db_read(cx->arena, cx->app->db, &tx));
    if (auth_given(id))
        TRY(app_cred_find(tx, id, ret));
    else
        TRY(app_cred_find_name(tx, user->id, name, ret));
    tx_end(tx);
    if (*ret != NULL)
        return NULL;
    if (auth_given(id))
        return keystone_not_found(cx, "Application Credential", id);
    return keystone_unauthorized(cx, "Could not find application credential: %s", name);
}

/* Its user must be able to log in, whatever the request says of him. */
static struct fault *check_user(struct request *rq, const char *user_id)
{
    json_t *data = json_keep(rq->cx.arena, json_pack("{s:{s:s}}", "user", "id", user_id));
    struct user *user;

    return auth_user(rq, data, "application credential", &user);
}

struct fault *prove_by_application_credential(struct request *rq, const json_t *auth, const json_t *data,
    struct proof *proof)
{
    const char *secret = json_text_at(data, "secret");
    struct context *cx = RQ(rq);
    struct app_cred *credential;

    TRY(find(rq, data, &credential));
    TRY(check_user(rq, credential->user_id));
    const struct user kept = { .id = credential->id, .password_hash = credential->secret_hash };
    if (secret == NULL || !login_password_right(cx, &kept, secret) ||
        (credential->expires_us != 0 && credential->expires_us <= clock_now_us()))
        return keystone_unauthorized(cx, "Invalid application credential ID or secret");
    proof->app_cred_id = credential->id;
    proof->project_id = credential->project_id;
    /* a token must not outlive what it was made with */
    int64_t ends = credential->expires_us;
    if (ends != 0 && (proof->expires_us == 0 || ends < proof->expires_us))
        proof->expires_us = ends;
    return proof_of_user(cx, proof, credential->user_id);
}
