/* SPDX-License-Identifier: Apache-2.0
 *
 * trusts: what tokens, users and projects need of OS-TRUST: a user (the trustor) lets another (the trustee) act with some of
 * his roles on one project, as himself (impersonation) or not.
 */
#ifndef KEYSTONE_TRUSTS_H
#define KEYSTONE_TRUSTS_H

#include "keystone/model.h"
#include "keystone/reference.h"

struct trust {
    const char *id, *trustor_id, *trustee_id;
    const char *project_id;            /* NULL: none */
    bool impersonation;
    int64_t expires_us;                /* 0: never */
    int64_t remaining_uses;            /* -1: without limit */
    const char *parent_id;             /* the trust that was passed on; NULL: none */
    int64_t redelegation_count;
    const char *const *role_ids;       /* NULL-terminated */
    const char *extra;
};

/* A trust that was not deleted and has not expired, with its roles; NULL when there is none. One that was passed on must
 * still be allowed by those it comes from: 403 or 404 in the reference's words. A used-up trust is found, too: tokens that
 * were made of it live on. */
struct fault *trust_find(struct tx *tx, struct context *cx, const char *id, struct trust **ret);

/* The roles of a trust and what they imply, as far as global: 403 when the trustor lost one of them. */
struct fault *trust_roles(struct tx *tx, struct context *cx, const struct reference *reference, const struct trust *trust,
    const struct project *project, bool *marks);

/* Takes one of the remaining uses; 403 when none is left. */
struct fault *trust_consume(struct context *cx, const struct trust *trust);

/* The trust that one was passed on from (404 when it is gone); NULL: none. */
struct fault *trust_parent(struct tx *tx, struct context *cx, const struct trust *trust, struct trust **ret);
/* Whether `parent` allows `trust` to be passed on from it: 403. */
struct fault *trust_may_pass(struct context *cx, const struct trust *parent, const struct trust *trust);

/* Ends a trust and, with its trustor's id given, those that he passed on from it; revokes their tokens. */
struct fault *trust_end(struct tx *tx, struct context *cx, const char *id, const char *trustor_id);

/* Ends the trusts of a user who goes, and those on a project that goes. */
struct fault *trusts_end_of_user(struct tx *tx, struct context *cx, const char *user_id);
struct fault *trusts_end_of_project(struct tx *tx, const char *project_id);

#endif
