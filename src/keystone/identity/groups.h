/* SPDX-License-Identifier: Apache-2.0
 *
 * groups: what users and domains need of groups.
 */
#ifndef KEYSTONE_GROUPS_H
#define KEYSTONE_GROUPS_H

#include "keystone/entity.h"

extern const struct entity group_entity;

/* Deletes a group with its members and roles; when it had roles, its members' tokens are revoked. */
struct fault *group_erase(struct tx *tx, struct context *cx, const char *id);

/* The list of a user's groups (domain_id NULL: of all domains); each says until when he is a member, if a mapping made him one. */
struct fault *groups_of_user_respond(struct request *rq, const char *user_id, const char *domain_id);

#endif
