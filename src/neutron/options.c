/* SPDX-License-Identifier: Apache-2.0
 *
 * options: what neutron.conf, ml2_conf.ini and the agents' files may say.
 */
#include "neutron/private.h"

static const struct option rows[] = {
    { "DEFAULT", "bind_host", OPTION_HOST, "0.0.0.0", "The host IP to bind to." },
    { "DEFAULT", "bind_port", OPTION_PORT, "9696", "The port to bind to." },
    { "DEFAULT", "state_path", OPTION_STR, "/var/lib/neutron", "Where to store Neutron state files." },
    { "DEFAULT", "pagination_max_limit", OPTION_STR, "-1", "Largest page of a list; -1 or infinite: no limit." },
    { "DEFAULT", "global_physnet_mtu", OPTION_INT, "1500", "MTU of the underlying physical network.", .min = 68, .max = 65535 },
    { "DEFAULT", "base_mac", OPTION_STR, "fa:16:3e:00:00:00", "The first three bytes of MAC addresses; the fourth too unless 00." },
    { "DEFAULT", "max_dns_nameservers", OPTION_INT, "5", "Name servers a subnet may have." },
    { "DEFAULT", "max_subnet_host_routes", OPTION_INT, "20", "Host routes a subnet may have." },
    { "DEFAULT", "max_allowed_address_pair", OPTION_INT, "10", "Allowed address pairs a port may have." },
    { "DEFAULT", "agent_down_time", OPTION_INT, "75", "Seconds after which an agent that does not report is down." },
    { "DEFAULT", "dhcp_agents_per_network", OPTION_INT, "1", "DHCP agents that serve one network." },
    { "DEFAULT", "notify_nova_on_port_status_changes", OPTION_BOOL, "true", "Tell nova when a port is wired." },
    { "DEFAULT", "dns_domain", OPTION_STR, "openstacklocal", "Domain of the guests' names." },
    { "DEFAULT", "default_availability_zones", OPTION_LIST, "", "Availability zones of resources that name none." },
    { "AGENT", "report_interval", OPTION_INT, "30", "Seconds between two reports of an agent." },
    { "AGENT", "availability_zone", OPTION_STR, "nova", "Availability zone of this agent." },
    { "ml2", "type_drivers", OPTION_LIST, "flat,vlan,vxlan", "Network types that can be used." },
    { "ml2", "tenant_network_types", OPTION_LIST, "vxlan", "Types tried, in this order, for networks that name none." },
    { "ml2", "mechanism_drivers", OPTION_LIST, "openvswitch", "Mechanisms that wire ports." },
    { "ml2", "extension_drivers", OPTION_LIST, "port_security", "Extension drivers." },
    { "ml2", "path_mtu", OPTION_INT, "0", "Largest packet that the tunnels' underlay passes; 0: global_physnet_mtu." },
    { "ml2_type_flat", "flat_networks", OPTION_LIST, "*", "Physical networks that flat networks may use; *: any." },
    { "ml2_type_vlan", "network_vlan_ranges", OPTION_LIST, "provider:1:4094", "physical_network[:min:max], ..." },
    { "ml2_type_vxlan", "vni_ranges", OPTION_LIST, "1:16777215", "min:max, ..." },
    { "ovs", "bridge_mappings", OPTION_LIST, "provider:br-provider", "physical_network:bridge, ..." },
    { "ovs", "local_ip", OPTION_STR, NULL, "Address of this host's end of tunnels; none: no tunnels to other hosts." },
    { "ovs", "datapath_type", OPTION_STR, NULL, "system, netdev, or none: what this machine has." },
    { "DEFAULT", "dhcp_lease_duration", OPTION_INT, "86400", "Seconds; -1: infinite." },
    { "DEFAULT", "dnsmasq_lease_max", OPTION_INT, "16777216", "Leases of one DHCP server." },
    { "DEFAULT", "dnsmasq_dns_servers", OPTION_LIST, "", "Name servers that DHCP servers forward to." },
    { "DEFAULT", "force_metadata", OPTION_BOOL, "true", "Serve metadata on every network with DHCP." },
    { "DEFAULT", "enable_isolated_metadata", OPTION_BOOL, "true", "Serve metadata on networks without a router." },
    { "DEFAULT", "nova_metadata_host", OPTION_STR, NULL, "Where nova's metadata API is; none: this cloud's." },
    { "DEFAULT", "nova_metadata_port", OPTION_PORT, "8775", "Its port." },
    { "DEFAULT", "metadata_proxy_shared_secret", OPTION_STR, "", "Signs requests to nova's metadata API.", .secret = true },
    { "DEFAULT", "metadata_workers", OPTION_INT, "4", "Metadata requests served at the same time.", .min = 1, .max = 64 },
    { "QUOTAS", "quota_network", OPTION_INT, "100", "Networks of a project; -1: unlimited." },
    { "QUOTAS", "quota_subnet", OPTION_INT, "100", "Subnets of a project." },
    { "QUOTAS", "quota_port", OPTION_INT, "500", "Ports of a project." },
    { "QUOTAS", "quota_security_group", OPTION_INT, "10", "Security groups of a project." },
    { "QUOTAS", "quota_security_group_rule", OPTION_INT, "100", "Security group rules of a project." },
};

const struct option_table neutron_options = OPTION_TABLE(rows);
