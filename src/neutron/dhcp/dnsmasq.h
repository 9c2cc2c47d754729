/* SPDX-License-Identifier: Apache-2.0
 *
 * dnsmasq: one DHCP server a network, in a namespace of its own on a port of br-int.
 *
 * Per network: namespace PREFIX"qdhcp-"NETWORK, a veth pair tapPORT (on br-int) and ns-PORT (in the
 * namespace; named by the first 11 characters of the DHCP port's id), a folder DIR/NETWORK with neutron's files (host,
 * addn_hosts, opts, leases, interface, pid), and dnsmasq in the foreground as our child. It outlives us: who starts next
 * adopts it by its pid file and command line.
 *
 * dhcp_ensure() is the only verb for "make it so": first start, restart after a crash, new ports, removed subnets. It
 * rewrites files only when they differ. dnsmasq is restarted only when its command line must differ or it holds a lease of
 * a port that is gone (it would refuse that address to the next port), gets SIGHUP when other files changed, and with
 * nothing to change is left alone.
 *
 * File contents are neutron's (agent/linux/dhcp.py of 2023.1): --dhcp-hostsfile with "MAC,NAME,IP[,set:port-ID]", options
 * by subnet tag: dns-server, classless-static-route (121) and 249 with the metadata route, router (3), and the mtu (26).
 */
#ifndef NEUTRON_DHCP_DNSMASQ_H
#define NEUTRON_DHCP_DNSMASQ_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/fault.h"
#include "neutron/ovs/switch.h"

#include <stdbool.h>
#include <stddef.h>

struct dhcp_config {
    const char *dir;             /* dhcp_confs: made with mode 0755 when missing */
    const char *netns_prefix;    /* "" or what tells this cloud's namespaces from another's */
    const char *root_netns;      /* where the switch lives; NULL: this process's namespace */
    const char *bridge;          /* "br-int" */
    int lease_duration_s;        /* dhcp_lease_duration; -1: infinite */
    unsigned lease_max;          /* dnsmasq_lease_max */
    const char *dns_domain;      /* "" or NULL: none */
    const char *const *dns_servers; /* dnsmasq_dns_servers: where it forwards to; NULL or NULL-terminated */
    bool force_metadata, enable_isolated_metadata;
};

struct dhcp_route {
    const char *destination, *nexthop;
};

struct dhcp_subnet {
    const char *id, *cidr, *gateway_ip; /* gateway_ip NULL: none */
    int ip_version;
    bool enable_dhcp;
    const char *ipv6_address_mode;      /* "dhcpv6-stateful", "dhcpv6-stateless", "slaac" or NULL */
    const char *ipv6_ra_mode;
    const char *const *dns_nameservers; /* NULL-terminated, or NULL */
    const struct dhcp_route *host_routes;
    size_t host_route_count;
};

struct dhcp_fixed_ip {
    const char *subnet_id, *ip_address;
    const char *hostname, *fqdn; /* the port's dns_assignment; NULL: host-10-0-0-5[.dns_domain] */
};

struct dhcp_option {
    const char *name, *value; /* extra_dhcp_opts */
    int ip_version;
};

struct dhcp_port {
    const char *id, *mac, *device_owner;
    const struct dhcp_fixed_ip *fixed_ips;
    size_t fixed_ip_count;
    const struct dhcp_option *options;
    size_t option_count;
};

struct dhcp_network {
    const char *id;
    int mtu;                         /* 0: not told to guests */
    const struct dhcp_port *own;     /* the DHCP port of this agent; also among `ports` */
    const struct dhcp_subnet *subnets;
    size_t subnet_count;
    const struct dhcp_port *ports;
    size_t port_count;
};

enum dhcp_change { DHCP_UNCHANGED, DHCP_RELOADED, DHCP_STARTED };

/* Makes it so. *ret_change (may be NULL) says what was needed. The switch port has no tag yet after the first call: the OVS
 * agent wires it like any other port (external_ids:iface-id is the DHCP port's id), as a trusted one. No subnet with DHCP: as
 * dhcp_disable. */
struct fault *dhcp_ensure(struct arena *arena, const struct dhcp_config *config, struct ovs_switch *sw,
    const struct dhcp_network *network, enum dhcp_change *ret_change);

/* Removes everything of the network: process, port, veth, namespace, files. Works also from what a crash left. */
struct fault *dhcp_disable(struct arena *arena, const struct dhcp_config *config, struct ovs_switch *sw,
    const char *network_id);

/* The networks that have a folder: what a restarted agent compares with the server's list. NULL-terminated. */
const char *const *dhcp_networks(struct arena *arena, const struct dhcp_config *config);

/* Names derived from ids. */
const char *dhcp_netns(struct arena *arena, const struct dhcp_config *config, const char *network_id);
const char *dhcp_inner_name(struct arena *arena, const char *port_id);  /* ns-... */
const char *dhcp_outer_name(struct arena *arena, const char *port_id);  /* tap... */

/* The files' texts, for dhcp_ensure() and tests. */
void dhcp_text_hosts(struct arena *arena, const struct dhcp_config *config, const struct dhcp_network *network,
    struct buf *text);
void dhcp_text_addn_hosts(struct arena *arena, const struct dhcp_config *config, const struct dhcp_network *network,
    struct buf *text);
void dhcp_text_options(struct arena *arena, const struct dhcp_config *config, const struct dhcp_network *network,
    struct buf *text);
void dhcp_text_leases(struct arena *arena, const struct dhcp_config *config, const struct dhcp_network *network,
    struct buf *text);

#endif
