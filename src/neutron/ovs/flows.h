/* SPDX-License-Identifier: Apache-2.0
 *
 * flows: from what the network shall be to the text of all OpenFlow flows of a bridge, and that text into the switch.
 *
 * The agent fills a struct flows_wanted from the server's answers and from switch.h, computes each bridge's text and
 * applies it. The text is a pure function of the wanted state (same state, same text), and applying writes only the
 * difference, in one bundle: packets see the old tables or the new ones, never anything between. Running again with
 * nothing to change writes nothing.
 *
 * Tables are neutron's (its openvswitch_firewall and openvswitch agent documents; README.md here has the plan): reg5 is
 * the port's number, reg6 the network's local VLAN, which is also the conntrack zone. A removed rule's connections are
 * marked (ct_mark 1) by the first packet that no rule allows any more, and dropped; conntrack.h ends them at once.
 *
 * Addresses and names come from the API and are checked again here: what is no MAC or IP address is a fault, since the
 * text is a language.
 */
#ifndef NEUTRON_OVS_FLOWS_H
#define NEUTRON_OVS_FLOWS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/fault.h"

#include <stdbool.h>
#include <stddef.h>

enum flows_direction { FLOWS_INGRESS, FLOWS_EGRESS }; /* as the guest sees it */
enum flows_segment { FLOWS_LOCAL, FLOWS_VXLAN, FLOWS_FLAT, FLOWS_VLAN };
enum { FLOWS_ANY = -1 };

/* A security group rule, as the API has it. */
struct flows_rule {
    enum flows_direction direction;
    int ip_version;              /* 4 or 6: the ethertype */
    int protocol;                /* the number, or FLOWS_ANY; 1 in an IPv6 rule means ICMPv6 */
    int port_min, port_max;      /* or FLOWS_ANY. ICMP: type and code */
    const char *remote_prefix;   /* remote_ip_prefix, or NULL */
    const char *remote_group_id; /* remote_group_id or remote_address_group_id: names a struct flows_members; or NULL */
};

struct flows_group {
    const char *id;
    const struct flows_rule *rules;
    size_t rule_count;
};

/* Who is behind a remote group: the fixed addresses and allowed address pairs of its ports, or an address group. */
struct flows_member {
    const char *address; /* "10.0.0.5" or "10.0.0.0/24" */
    const char *mac;     /* needed when the address is everybody (a pair of 0.0.0.0/0); else may be NULL */
};
struct flows_members {
    const char *id;
    const struct flows_member *members;
    size_t count;
};

struct flows_pair {
    const char *mac, *address; /* an allowed address pair; the address may be a prefix */
};

struct flows_port {
    const char *id;
    unsigned ofport;
    unsigned vlan;               /* the network's local VLAN */
    const char *mac;
    const char *const *fixed_ips;
    size_t fixed_ip_count;
    const struct flows_pair *pairs;
    size_t pair_count;
    bool port_security;          /* false: trusted (DHCP and router ports, port_security_enabled=False) */
    const char *const *group_ids; /* security groups; an unknown one has no rules */
    size_t group_count;
};

struct flows_network {
    const char *id;
    unsigned vlan;
    enum flows_segment segment;
    unsigned segmentation_id;     /* VNI or VLAN; unused for flat and local */
    const char *physical_network; /* flat and VLAN */
    const unsigned *tunnels;      /* VXLAN: OpenFlow numbers on br-tun to flood to */
    size_t tunnel_count;
};

/* A known address behind a tunnel (L2 population): sent there without flooding, ARP answered here. */
struct flows_entry {
    unsigned vlan, tunnel;
    const char *mac, *ip; /* ip NULL or IPv6: no ARP answer */
};

/* A physical network's bridge and the patch between it and br-int. */
struct flows_physical {
    const char *name;                   /* the physical network */
    unsigned int_ofport, bridge_ofport; /* the patch port's number on br-int, on the bridge */
};

struct flows_wanted {
    const struct flows_network *networks;
    size_t network_count;
    const struct flows_port *ports;
    size_t port_count;
    const struct flows_group *groups;
    size_t group_count;
    const struct flows_members *members;
    size_t members_count;
    const struct flows_physical *physicals;
    size_t physical_count;
    unsigned patch_int;       /* br-tun's patch port to br-int; 0: there is no br-tun */
    const unsigned *tunnels;  /* all tunnel ports of br-tun */
    size_t tunnel_count;
    const struct flows_entry *entries;
    size_t entry_count;
    bool arp_responder;
};

/* The flows of br-int, of br-tun, of one physical network's bridge; appended to `text`, one a line. */
struct fault *flows_integration(struct arena *arena, const struct flows_wanted *wanted, struct buf *text);
struct fault *flows_tunnel(struct arena *arena, const struct flows_wanted *wanted, struct buf *text);
struct fault *flows_physical(struct arena *arena, const struct flows_wanted *wanted,
    const struct flows_physical *physical, struct buf *text);

/* Makes the bridge's flows exactly these, leaving what br-tun learned by itself. *ret_changed (may be NULL): how many
 * flows were added, changed or removed; 0: nothing was written. `rundir`: the switch's OVS_RUNDIR. */
struct fault *flows_apply(struct arena *arena, const char *rundir, const char *bridge, const struct buf *text,
    size_t *ret_changed);

#endif
