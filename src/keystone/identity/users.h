/* SPDX-License-Identifier: Apache-2.0
 *
 * users: what bootstrap and the other families need of users. Hashing is done before the transaction.
 */
#ifndef KEYSTONE_USERS_H
#define KEYSTONE_USERS_H

#include "keystone/entity.h"

extern const struct entity user_entity;
/* The same for showing: who was idle for too long is not enabled. */
const struct entity *user_entity_shown(const struct context *cx);

/* An enabled local user without extra members. */
struct fault *user_make(struct tx *tx, const struct config *config, const char *id, const char *domain_id,
    const char *name, const char *hash);

/* The newest password from now on; those before end. One that somebody else set (PASSWORD_RESET) must be changed at once when
 * [security_compliance] change_password_upon_first_use says so. */
enum password_by { PASSWORD_OWN, PASSWORD_RESET, PASSWORD_SETUP };
struct fault *user_set_password(struct tx *tx, const struct config *config, const char *user_id, const char *hash,
    enum password_by by);

/* He was active today. */
struct fault *user_seen(struct tx *tx, const char *user_id);

/* Deletes a user with all that hangs on him, and revokes his tokens. */
struct fault *user_delete(struct tx *tx, struct context *cx, const char *id);

#endif
