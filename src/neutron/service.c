/* SPDX-License-Identifier: Apache-2.0
 *
 * service: neutron as tables.
 */
#include "neutron/agent.h"
#include "neutron/agent_rpc.h"
#include "neutron/security_groups.h"

static const struct route_table *const routes[] = { &network_routes, &subnet_routes, &port_routes, &security_group_routes,
    &security_group_rule_routes, &agent_routes, &quota_routes, &tag_routes,
    &availability_routes, &extension_routes, NULL };
static const struct option_table *const options[] = { &neutron_options, NULL };
static const struct policy_table *const policies[] = { &neutron_policies, NULL };

static const struct role roles[] = {
    { "neutron-server",            plugin_start,         NULL                },
    { "neutron-openvswitch-agent", ovs_agent_start,      ovs_agent_stop      },
    { "neutron-metadata-agent",    metadata_agent_start, metadata_agent_stop },
    { "neutron-dhcp-agent",        dhcp_agent_start,     dhcp_agent_stop     },
    { NULL, NULL, NULL },
};

const struct service neutron_service = {
    .name = "neutron",
    .type = "network",
    .endpoint = "",
    .port = 9696,
    .dialect = &neutron_dialect,
    .routes = routes,
    .options = options,
    .policies = policies,
    .migrations = neutron_migrations,
    .migration_count = NEUTRON_MIGRATIONS,
    .roles = roles,
};
