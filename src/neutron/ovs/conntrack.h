/* SPDX-License-Identifier: Apache-2.0
 *
 * conntrack: the switch's tracked connections, and which of them the rules do not allow any more.
 *
 * The flows mark a connection without a rule at the next packet that its opener sends (flows.h). That leaves those whose
 * opener is silent, and a marked one stays dead when its rule comes back. So whenever the flows of br-int changed, every
 * connection of the networks here is held against the rules as they are now, and those that no rule allows end at once. A
 * connection that a rule allows is never touched: what is left of it would be taken for a new one from the wrong side.
 */
#ifndef NEUTRON_OVS_CONNTRACK_H
#define NEUTRON_OVS_CONNTRACK_H

#include "neutron/address.h"
#include "neutron/ovs/flows.h"

struct conntrack_entry { /* as it was opened */
    int protocol;
    struct address from, to;
    char from_text[48], to_text[48];
    unsigned from_port, to_port;  /* TCP, UDP, SCTP */
    unsigned icmp_type, icmp_code, icmp_id;
    unsigned zone;                /* the network's local VLAN */
    bool marked;                  /* it was without a rule once */
};

/* A line of `ovs-appctl dpctl/dump-conntrack`. False: it is none that could be ours. */
bool conntrack_parse(const char *line, struct conntrack_entry *ret);

/* Whether the security groups of every port here that it begins or ends at allow it. False also when there is no such port: it is
 * gone. */
bool conntrack_allowed(const struct flows_wanted *wanted, const struct conntrack_entry *entry);

/* Ends what is not allowed. *ret_more: that were too many for one call. */
struct fault *conntrack_settle(struct arena *arena, const char *rundir, const struct flows_wanted *wanted, bool *ret_more);

/* Ends all connections of a network, whose local VLAN will be another's. */
struct fault *conntrack_flush(struct arena *arena, const char *rundir, unsigned vlan);

#endif
