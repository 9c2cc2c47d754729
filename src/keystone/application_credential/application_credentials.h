/* SPDX-License-Identifier: Apache-2.0
 *
 * application_credentials: what tokens and users need of them: a secret of a user's that gives some of his roles on one
 * project, for requests that its access rules name.
 */
#ifndef KEYSTONE_APPLICATION_CREDENTIALS_H
#define KEYSTONE_APPLICATION_CREDENTIALS_H

#include "keystone/token/token.h"

struct app_cred {
    int64_t internal_id;
    const char *id, *name, *description, *secret_hash;
    const char *user_id, *project_id, *system; /* project_id and system may be NULL */
    int64_t expires_us;                        /* 0: never */
    bool unrestricted, unrestricted_null;
    const char *const *role_ids;               /* NULL-terminated */
    const char *access_rules;                  /* a JSON list of its rules; NULL: none */
};

/* NULL when there is none; *ret lives in the transaction's arena. */
struct fault *app_cred_find(struct tx *tx, const char *id, struct app_cred **ret);
struct fault *app_cred_find_name(struct tx *tx, const char *user_id, const char *name, struct app_cred **ret);

/* Ends one. */
struct fault *app_cred_end(struct tx *tx, const char *id);
/* Ends those of a user who goes or is disabled, with his access rules; those of a user on a project where he lost a role. */
struct fault *app_creds_end_of_user(struct tx *tx, const char *user_id);
struct fault *app_creds_end_on_project(struct tx *tx, const char *user_id, const char *project_id);
struct fault *app_creds_end_of_project(struct tx *tx, const char *project_id);
/* Those of every user who had the role on a project. */
struct fault *app_creds_end_of_role(struct tx *tx, const char *role_id);

/* 403 with this action when the caller's token came from an application credential that is not unrestricted. */
struct fault *application_credential_may(struct request *rq, const char *action);

#endif
