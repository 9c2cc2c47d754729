/* SPDX-License-Identifier: Apache-2.0
 *
 * ovs/agent: what one turn of the Open vSwitch agent knows.
 */
#ifndef NEUTRON_OVS_AGENT_H
#define NEUTRON_OVS_AGENT_H

#include "neutron/agent/agent.h"
#include "neutron/ovs/flows.h"
#include "neutron/ovs/switch.h"

struct ovs_wired {
    const json_t *device; /* the server's details */
    const struct switch_port_state *port;
    unsigned vlan;
};

struct ovs_stage {
    struct switch_port_state *ports; /* of br-int */
    size_t port_count;
    json_t *details;                 /* get_devices_details_list_and_failed_devices */
    struct ovs_wired *wired;
    size_t wired_count;
    struct flows_physical *physicals;
    const char **bridges;            /* of the physicals */
    size_t physical_count;
    const unsigned *tunnels;
    size_t tunnel_count;
    unsigned patch_int;
};

/* What the flows shall be. */
struct fault *ovs_wanted(struct arena *arena, const struct ovs_stage *stage, struct flows_wanted *ret);

#endif
