/* SPDX-License-Identifier: Apache-2.0
 *
 * migrations: neutron's tables. `fixed_ips`, `security_groups` and `tags` of a port are kept twice: as rows, which are
 * unique and can be searched, and as the JSON that a list shows, so that a list is one query. Both are written in the
 * same transaction, always.
 */
#include "neutron/private.h"

const struct migration neutron_migrations[NEUTRON_MIGRATIONS] = {
    { 1, "networks",
      "CREATE TABLE networks (id VARCHAR(36) NOT NULL PRIMARY KEY, project_id VARCHAR(255), name VARCHAR(255), "
      "description VARCHAR(255), admin_state_up INTEGER, status VARCHAR(16), mtu INTEGER, shared INTEGER, "
      "external INTEGER, is_default INTEGER, port_security_enabled INTEGER, availability_zone_hints TEXT, "
      "network_type VARCHAR(32), physical_network VARCHAR(64), segmentation_id INTEGER, tags TEXT, "
      "created_at VARCHAR(32), updated_at VARCHAR(32), revision INTEGER NOT NULL);\n"
      "CREATE INDEX networks_project ON networks (project_id);\n"
      "CREATE TABLE segment_allocations (network_type VARCHAR(32) NOT NULL, physical_network VARCHAR(64) NOT NULL, "
      "segmentation_id INTEGER NOT NULL, network_id VARCHAR(36) NOT NULL, "
      "PRIMARY KEY (network_type, physical_network, segmentation_id));\n"
      "CREATE INDEX segment_allocations_network ON segment_allocations (network_id)" },
    { 2, "subnets",
      "CREATE TABLE subnets (id VARCHAR(36) NOT NULL PRIMARY KEY, project_id VARCHAR(255), network_id VARCHAR(36) NOT NULL, "
      "name VARCHAR(255), description VARCHAR(255), ip_version INTEGER, cidr VARCHAR(64), gateway_ip VARCHAR(64), "
      "enable_dhcp INTEGER, ipv6_ra_mode VARCHAR(32), ipv6_address_mode VARCHAR(32), allocation_pools TEXT, "
      "dns_nameservers TEXT, host_routes TEXT, service_types TEXT, tags TEXT, created_at VARCHAR(32), "
      "updated_at VARCHAR(32), revision INTEGER NOT NULL);\n"
      "CREATE INDEX subnets_network ON subnets (network_id);\n"
      "CREATE INDEX subnets_project ON subnets (project_id);\n"
      "CREATE TABLE ip_allocations (subnet_id VARCHAR(36) NOT NULL, address VARCHAR(32) NOT NULL, port_id VARCHAR(36) NOT NULL, "
      "network_id VARCHAR(36) NOT NULL, PRIMARY KEY (subnet_id, address));\n"
      "CREATE INDEX ip_allocations_port ON ip_allocations (port_id)" },
    { 3, "ports",
      "CREATE TABLE ports (id VARCHAR(36) NOT NULL PRIMARY KEY, project_id VARCHAR(255), network_id VARCHAR(36) NOT NULL, "
      "name VARCHAR(255), description VARCHAR(255), mac_address VARCHAR(32) NOT NULL, admin_state_up INTEGER, "
      "status VARCHAR(16), device_id VARCHAR(255), device_owner VARCHAR(255), fixed_ips TEXT, allowed_address_pairs TEXT, "
      "extra_dhcp_opts TEXT, security_groups TEXT, port_security_enabled INTEGER, host_id VARCHAR(255), "
      "vnic_type VARCHAR(64), profile TEXT, vif_type VARCHAR(64), vif_details TEXT, tags TEXT, created_at VARCHAR(32), "
      "updated_at VARCHAR(32), revision INTEGER NOT NULL, UNIQUE (network_id, mac_address));\n"
      "CREATE INDEX ports_project ON ports (project_id);\n"
      "CREATE INDEX ports_device ON ports (device_id);\n"
      "CREATE INDEX ports_host ON ports (host_id);\n"
      "CREATE TABLE port_security_groups (port_id VARCHAR(36) NOT NULL, security_group_id VARCHAR(36) NOT NULL, "
      "PRIMARY KEY (port_id, security_group_id));\n"
      "CREATE INDEX port_security_groups_group ON port_security_groups (security_group_id)" },
    { 4, "security groups",
      "CREATE TABLE security_groups (id VARCHAR(36) NOT NULL PRIMARY KEY, project_id VARCHAR(255), name VARCHAR(255), "
      "description VARCHAR(255), stateful INTEGER, tags TEXT, created_at VARCHAR(32), updated_at VARCHAR(32), "
      "revision INTEGER NOT NULL);\n"
      "CREATE INDEX security_groups_project ON security_groups (project_id);\n"
      "CREATE TABLE default_security_groups (project_id VARCHAR(255) NOT NULL PRIMARY KEY, "
      "security_group_id VARCHAR(36) NOT NULL);\n"
      "CREATE TABLE security_group_rules (id VARCHAR(36) NOT NULL PRIMARY KEY, project_id VARCHAR(255), "
      "security_group_id VARCHAR(36) NOT NULL, direction VARCHAR(16), ethertype VARCHAR(8), protocol VARCHAR(40), "
      "port_range_min INTEGER, port_range_max INTEGER, remote_ip_prefix VARCHAR(64), remote_group_id VARCHAR(36), "
      "normalized_cidr VARCHAR(64), description VARCHAR(255), created_at VARCHAR(32), updated_at VARCHAR(32), "
      "revision INTEGER NOT NULL);\n"
      "CREATE INDEX security_group_rules_group ON security_group_rules (security_group_id);\n"
      "CREATE INDEX security_group_rules_remote ON security_group_rules (remote_group_id);\n"
      "CREATE INDEX security_group_rules_project ON security_group_rules (project_id)" },
    { 5, "agents and quotas",
      "CREATE TABLE agents (id VARCHAR(36) NOT NULL PRIMARY KEY, agent_type VARCHAR(64) NOT NULL, `binary` VARCHAR(64), "
      "topic VARCHAR(255), host VARCHAR(255) NOT NULL, admin_state_up INTEGER, availability_zone VARCHAR(255), "
      "configurations TEXT, description VARCHAR(255), created_at VARCHAR(32), started_at VARCHAR(32), "
      "heartbeat_timestamp VARCHAR(32), UNIQUE (agent_type, host));\n"
      "CREATE TABLE network_dhcp_agents (network_id VARCHAR(36) NOT NULL, agent_id VARCHAR(36) NOT NULL, "
      "PRIMARY KEY (network_id, agent_id));\n"
      "CREATE TABLE quotas (project_id VARCHAR(255) NOT NULL, resource VARCHAR(64) NOT NULL, `limit` INTEGER NOT NULL, "
      "PRIMARY KEY (project_id, resource))" },
    { 6, "networks taken off DHCP agents",
      "ALTER TABLE network_dhcp_agents ADD COLUMN removed INTEGER NOT NULL DEFAULT 0" },
};
