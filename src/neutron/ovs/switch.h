/* SPDX-License-Identifier: Apache-2.0
 *
 * switch: bridges and ports of Open vSwitch, through its database (ovsdb.h).
 *
 * "Ensure" functions compare with what is there and write only a difference, in one transaction, then wait until
 * ovs-vswitchd has taken it. Names and columns are neutron's, so its tools read them: a guest's port is found by
 * external_ids:iface-id on br-int, its network by the Port's other_config (net_uuid, network_type, segmentation_id,
 * physical_network, tag).
 *
 * A struct ovs_switch belongs to one thread at a time.
 */
#ifndef NEUTRON_OVS_SWITCH_H
#define NEUTRON_OVS_SWITCH_H

#include "base/arena.h"
#include "base/fault.h"
#include "base/map.h"
#include "neutron/ovs/ovsdb.h"

#include <stdbool.h>
#include <stddef.h>

/* Same numbers as neutron's: 4095 is the tag of ports that must not pass anything. */
enum { SWITCH_VLAN_MIN = 1, SWITCH_VLAN_MAX = 4094, SWITCH_DEAD_VLAN = 4095 };

struct ovs_switch {
    struct ovsdb *db;
    const char *datapath_type; /* "netdev" or "system" for bridges; see switch_datapath_type() */
};

/* "system" when the kernel has the openvswitch datapath, else "netdev" (userspace). For [ovs] datapath_type's automatic
 * default. */
const char *switch_datapath_type(void);

struct switch_bridge {
    const char *name;
    bool standalone;    /* fail_mode: a learning switch until flows say otherwise; false: "secure", passes nothing */
    const char *mac;    /* other_config:hwaddr, or NULL */
};
struct fault *switch_ensure_bridge(struct arena *arena, struct ovs_switch *sw, const struct switch_bridge *bridge);

struct switch_port {
    const char *bridge, *name;
    const char *type;                /* Interface.type: "" (an existing veth or tap), "internal", "patch", "vxlan" */
    const char *const *options;      /* key, value, ..., NULL; or NULL */
    const char *const *external_ids; /* the same. NULL: as they are */
    int tag;                         /* -1: as it is; 0: none */
};
/* *ret_ofport (may be NULL) is the OpenFlow number; a port that the switch cannot open (no such device) is a fault with its
 * words. A port of that name on another bridge is moved. */
struct fault *switch_ensure_port(struct arena *arena, struct ovs_switch *sw, const struct switch_port *port,
    unsigned *ret_ofport);
struct fault *switch_delete_port(struct arena *arena, struct ovs_switch *sw, const char *name);

/* Two patch ports that are each other's peer. */
struct fault *switch_ensure_patch(struct arena *arena, struct ovs_switch *sw, const char *bridge, const char *name,
    const char *peer_bridge, const char *peer_name, unsigned *ret_ofport, unsigned *ret_peer_ofport);

/* A VXLAN port to a remote host, named as neutron does ("vxlan-0a000002" for 10.0.0.2); the VNI comes from the flows. */
struct fault *switch_ensure_tunnel(struct arena *arena, struct ovs_switch *sw, const char *bridge, const char *local_ip,
    const char *remote_ip, unsigned *ret_ofport);
const char *switch_tunnel_name(struct arena *arena, const char *remote_ip);

/* The network that a port belongs to: sets its tag and other_config. vlan SWITCH_DEAD_VLAN cuts it off. */
struct switch_network {
    const char *id, *type, *physical_network; /* the last: NULL for none */
    int segmentation_id;                      /* 0: none */
    unsigned vlan;
};
struct fault *switch_set_network(struct arena *arena, struct ovs_switch *sw, const char *port,
    const struct switch_network *network);

struct switch_port_state {
    const char *name, *iface_id, *mac; /* iface_id, mac: external_ids iface-id and attached-mac; NULL when not set */
    const char *network_id;            /* other_config:net_uuid, or NULL */
    unsigned vlan;                     /* the tag; 0: none */
    int ofport;                        /* 0: not known yet, -1: the switch cannot open it */
};
/* The ports of a bridge, in no order. */
struct fault *switch_list_ports(struct arena *arena, struct ovs_switch *sw, const char *bridge,
    struct switch_port_state **ret, size_t *ret_count);

/* Local VLAN tags: one a network, unique on this host. The tags in the switch are the memory of them: fill a fresh set
 * from switch_list_ports() before the first allocation. One thread at a time. */
struct switch_vlans;
struct switch_vlans *switch_vlans_create(void);
void switch_vlans_destroy(struct switch_vlans *vlans);
void switch_vlans_fill(struct switch_vlans *vlans, const struct switch_port_state *ports, size_t count);
/* The network's tag, the lowest free one when it has none yet. A fault when all are taken. */
struct fault *switch_vlans_get(struct arena *arena, struct switch_vlans *vlans, const char *network_id,
    unsigned *ret_vlan);
/* Frees the tags of networks that are not keys of `used`; returns which. */
const unsigned *switch_vlans_give_back(struct arena *arena, struct switch_vlans *vlans, const struct map *used, size_t *ret_count);

#endif
