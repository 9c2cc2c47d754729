/* SPDX-License-Identifier: Apache-2.0
 *
 * model: users, projects, domains and groups as they are read for authentication, tokens and policy targets.
 *
 * Everything lives in the transaction's arena. An absent row gives NULL and no fault.
 */
#ifndef KEYSTONE_MODEL_H
#define KEYSTONE_MODEL_H

#include "keystone/state.h"

#define DOMAIN_ROOT    "<<keystone.domain.root>>" /* domain_id of domains */
#define ROLE_NO_DOMAIN "<<null>>"                 /* domain_id of global roles */

struct user {
    const char *id, *name, *domain_id;
    const char *default_project_id;  /* NULL: none */
    bool enabled;
    int64_t local_id;                /* local_user.id; 0: not a local user */
    const char *password_hash;       /* of the newest password; NULL: none */
    int64_t password_expires_us;     /* 0: never */
    const char *active_day;          /* "2026-11-22", when he last logged in, or was made; NULL: unknown */
    bool seen;                       /* active_day is a login's */
};

/* Whether a user may act: enabled, and not idle for longer than [security_compliance] disable_user_account_days_inactive. */
struct fault *user_is_enabled(struct tx *tx, const struct config *config, const struct user *user, bool *ret);

struct project {
    const char *id, *name, *domain_id, *parent_id; /* parent_id may be NULL */
    bool enabled, is_domain;
};

struct group {
    const char *id, *name, *domain_id;
};

struct fault *user_find(struct tx *tx, const char *id, struct user **ret);
struct fault *user_find_name(struct tx *tx, const char *domain_id, const char *name, struct user **ret);
struct fault *group_find(struct tx *tx, const char *id, struct group **ret);

/* A project, or a domain seen as a project. */
struct fault *project_find(struct tx *tx, const char *id, struct project **ret);
struct fault *project_find_name(struct tx *tx, const char *domain_id, const char *name, struct project **ret);
struct fault *domain_find(struct tx *tx, const char *id, struct project **ret);
/* 404 when there is no such domain. */
struct fault *domain_need(struct tx *tx, struct context *cx, const char *id);
/* The domain of this name; else the only one whose name differs in the size of letters alone, as "default" does in many a
 * clouds.yaml: MySQL's collation makes that one name in the reference. */
struct fault *domain_find_name(struct tx *tx, const char *name, struct project **ret);

/* The projects above one, nearest first, the domain last and left out. */
struct fault *project_parents(struct tx *tx, const struct project *project, const struct project ***ret, size_t *ret_count);
/* The projects below one, level by level. */
struct fault *project_subtree(struct tx *tx, const char *id, const struct project ***ret, size_t *ret_count);

/* A user's option out of user_option, parsed, or NULL. Options are named by their four characters ("1003", "MFAR"). */
struct fault *user_option(struct tx *tx, const char *user_id, const char *option_id, json_t **ret);

#endif
