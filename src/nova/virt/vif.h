/* SPDX-License-Identifier: Apache-2.0
 *
 * vif: plugs a guest's NIC: a persistent tap device in the guests' network namespace, added to the integration bridge with
 * the external_ids by which neutron's Open vSwitch agent knows the port (what os-vif's ovs plugin does).
 */
#ifndef NOVA_VIRT_VIF_H
#define NOVA_VIRT_VIF_H

#include "nova/virt/driver.h"

struct vif_place {
    const char *netns;  /* or NULL */
    const char *ovs_db; /* ovs-vsctl --db, or NULL: the tap is not added to a bridge */
};

/* Makes the tap (up, with its MTU) and adds it to its bridge. What is already so stays so. */
struct fault *vif_plug(struct arena *arena, const struct vif_place *place, const struct virt_nic *nic, const char *instance_uuid);

/* Takes the port off its bridge and removes the tap. Nothing there is fine. */
struct fault *vif_unplug(struct arena *arena, const struct vif_place *place, const char *tap);

/* "tap" and the first 11 characters of the port's id, as neutron and nova name it. */
const char *vif_tap_name(struct arena *arena, const char *port_id);

#endif
