/* SPDX-License-Identifier: Apache-2.0
 *
 * flows_private: what the files of flows share: table numbers and checked notation. Behaviour of each: flows.h.
 */
#ifndef NEUTRON_OVS_FLOWS_PRIVATE_H
#define NEUTRON_OVS_FLOWS_PRIVATE_H

#include "neutron/ovs/flows.h"

/* neutron's table numbers (neutron-lib, plugins/ml2/ovs_constants). */
enum {
    LOCAL_SWITCHING = 0,
    CANARY_TABLE = 23,
    PACKET_RATE_LIMIT = 59,
    TRANSIENT_TABLE = 60,
    BASE_EGRESS = 71,
    RULES_EGRESS = 72,
    ACCEPT_OR_INGRESS = 73,
    BASE_INGRESS = 81,
    RULES_INGRESS = 82,
    ACCEPTED_EGRESS = 91,
    ACCEPTED_INGRESS = 92,
    DROPPED = 93,
    ACCEPTED_EGRESS_NORMAL = 94,

    PATCH_LV_TO_TUN = 2,
    VXLAN_TUN_TO_LV = 4,
    LEARN_FROM_TUN = 10,
    UCAST_TO_TUN = 20,
    ARP_RESPONDER = 21,
    FLOOD_TO_TUN = 22,
};

/* Checked and written in one way only, so that equal addresses give equal flows. */
struct fault *flows_mac(struct arena *arena, const char *text, const char **ret);
/* "10.0.0.0/24" of "10.0.0.7/24"; without "/32", "/128". *ret_version 4 or 6; *ret_any: the prefix is /0. */
struct fault *flows_ip(struct arena *arena, const char *text, const char **ret, int *ret_version, bool *ret_any);
/* The link-local address that a guest makes of its MAC (EUI-64). */
const char *flows_link_local(struct arena *arena, const char *mac);

enum { FLOWS_MASK_TEXT = 24 }; /* room for a mask */

/* The matches that together are the range, "0x50/0xfff0": at most 30 for a 16 bit range. Returns how many. */
size_t flows_port_masks(unsigned min, unsigned max, char (*ret_masks)[FLOWS_MASK_TEXT], size_t limit);

/* The flows of security groups: tables 72 and 82. */
struct fault *flows_rules(struct arena *arena, const struct flows_wanted *wanted, struct buf *text);

#endif
