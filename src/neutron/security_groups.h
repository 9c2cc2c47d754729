/* SPDX-License-Identifier: Apache-2.0
 *
 * security_groups: what groups and rules know of each other.
 */
#ifndef NEUTRON_SECURITY_GROUPS_H
#define NEUTRON_SECURITY_GROUPS_H

#include "neutron/private.h"

enum security_group_rule_field {
    RULE_ID, RULE_TENANT, RULE_GROUP_ID, RULE_ETHERTYPE, RULE_DIRECTION, RULE_PROTOCOL, RULE_PORT_MIN, RULE_PORT_MAX, RULE_PREFIX,
    RULE_ADDRESS_GROUP, RULE_NORMALIZED, RULE_REMOTE_GROUP, RULE_DESCRIPTION, RULE_CREATED, RULE_UPDATED, RULE_REVISION, RULE_FIELDS
};

extern const struct resource security_group_resource;
extern const struct resource security_group_rule_resource;
extern const struct route_table security_group_rule_routes;
/* IANA's number of a rule's protocol (a name or a number). */
int protocol_number(const char *text);

#endif
