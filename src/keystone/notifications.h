/* SPDX-License-Identifier: Apache-2.0
 *
 * notifications: what was done to identity's resources, told to whoever listens (oslo/notification.h): identity.TYPE.created,
 * updated and deleted, identity.role_assignment.created and deleted, identity.authenticate. The form is [DEFAULT]
 * notification_format's: CADF (DMTF DSP0262, as pycadf writes it), or basic. Role assignments and authentication are always
 * CADF, as the reference's. [DEFAULT] notification_opt_out names what is not sent.
 *
 * What a request did follows from its route and its answer: a table in notifications.c says which routes are whose.
 */
#ifndef KEYSTONE_NOTIFICATIONS_H
#define KEYSTONE_NOTIFICATIONS_H

#include "keystone/state.h"

/* To be called with the answer of every request. */
void keystone_notify(struct request *rq);

/* What was done beside what the request is about (a user's trusts ended with him): told before it, when the request succeeds.
 * For transactions: what is noted again when one runs again is told once. */
void keystone_note_created(struct context *cx, const char *type, const char *id);
void keystone_note_deleted(struct context *cx, const char *type, const char *id);
/* The same for each id that a query gives; nothing is asked when nobody listens. */
struct fault *keystone_note_all_deleted(struct tx *tx, struct context *cx, const char *type, const char *sql, const char *value);
/* A role given on a project. */
void keystone_note_grant(struct context *cx, const char *user_id, const char *project_id, const char *role_id);

/* identity.user.updated with the reason for which a user's own new password was refused. */
void keystone_notify_refused_password(struct request *rq, const char *user_id, const struct fault *fault);

/* identity.authenticate: somebody whom nobody knows, by name or id (NULL: by the other). */
void keystone_notify_stranger(struct request *rq, const char *name, const char *id, const char *domain_id,
    const char *domain_name);

/* identity.authenticate: an identity provider's word for somebody; members that are not known are NULL. */
struct vouched {
    const char *user_id, *idp_id, *audit_id;
    const char *const *group_ids;
};
void keystone_notify_vouched(struct request *rq, const struct vouched *who, const struct fault *fault);

/* identity.authenticate: a password was looked at. `user_id` NULL (nobody known) tells nothing; `fault` NULL: it was right. */
void keystone_notify_authenticated(struct request *rq, const char *user_id, const char *user_name, const struct fault *fault);

#endif
