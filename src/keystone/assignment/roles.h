/* SPDX-License-Identifier: Apache-2.0
 *
 * roles: what grants and implied roles need of roles.
 */
#ifndef KEYSTONE_ROLES_H
#define KEYSTONE_ROLES_H

#include "keystone/entity.h"

extern const struct entity role_entity;

#endif
