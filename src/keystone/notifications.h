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

/* identity.authenticate: a password was looked at. `user_id` NULL (nobody known) tells nothing; `fault` NULL: it was right. */
void keystone_notify_authenticated(struct request *rq, const char *user_id, const char *user_name, const struct fault *fault);

#endif
