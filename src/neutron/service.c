/* SPDX-License-Identifier: Apache-2.0
 *
 * service: neutron as tables.
 */
#include "neutron/agent/agent.h"
#include "neutron/agent/agent_rpc.h"
#include "neutron/commands.h"
#include "neutron/security_groups.h"

static const struct route_table *const routes[] = { &network_routes, &subnet_routes, &port_routes, &security_group_routes,
    &security_group_rule_routes, &agent_routes, &dhcp_agent_routes, &quota_routes, &tag_routes,
    &availability_routes, &extension_routes, NULL };
static const struct option_table *const options[] = { &neutron_options, &ml2_options, &security_group_options, &ovs_agent_options,
    &dhcp_agent_options, &metadata_agent_options, &neutron_target_options, NULL };
static const struct policy_table *const policies[] = { &neutron_policies, NULL };

static const struct program *const programs[] = { &neutron_db_manage, NULL };

#define FILE_OF(...) ((const struct option_table *const[]){ __VA_ARGS__, NULL })

static const struct role roles[] = {
    { "neutron-server",            plugin_start,         plugin_stop, .database = true, .serves = OPTION_WORDS(API_LISTENER),
      .files = OPTION_WORDS("plugins/ml2/ml2_conf.ini"), .options = FILE_OF(&ml2_options, &security_group_options) },
    { "neutron-openvswitch-agent", ovs_agent_start,      ovs_agent_stop,
      .files = OPTION_WORDS("plugins/ml2/openvswitch_agent.ini"), .options = FILE_OF(&ovs_agent_options, &security_group_options) },
    { "neutron-metadata-agent",    metadata_agent_start, metadata_agent_stop, .files = OPTION_WORDS("metadata_agent.ini"),
      .options = FILE_OF(&metadata_agent_options) },
    { "neutron-dhcp-agent",        dhcp_agent_start,     dhcp_agent_stop,     .files = OPTION_WORDS("dhcp_agent.ini"),
      .options = FILE_OF(&dhcp_agent_options) },
    { NULL },
};

const struct service neutron_service = {
    .name = "neutron",
    .type = "network",
    .endpoint = "",
    .port = 9696,
    .host_option = "bind_host",
    .port_option = "bind_port",
    .dialect = &neutron_dialect,
    .routes = routes,
    .options = options,
    .policies = policies,
    .sync_command = "neutron-db-manage upgrade heads",
    .migrations = neutron_migrations,
    .migration_count = NEUTRON_MIGRATIONS,
    .roles = roles,
    .programs = programs,
    .targets = neutron_targets,
};
