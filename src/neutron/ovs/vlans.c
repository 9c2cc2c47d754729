/* SPDX-License-Identifier: Apache-2.0
 * vlans: which local VLAN tag is whose. See switch.h. */
#include "neutron/ovs/switch.h"

#include <stdint.h>
#include <stdlib.h>

struct switch_vlans {
    struct map by_network; /* network id to tag, as a pointer's bits */
    bool used[SWITCH_DEAD_VLAN + 1];
};

struct switch_vlans *switch_vlans_create(void)
{
    struct switch_vlans *vlans = calloc(1, sizeof(*vlans));
    if (vlans == NULL)
        abort();
    return vlans;
}

void switch_vlans_destroy(struct switch_vlans *vlans)
{
    if (vlans == NULL)
        return;
    map_release(&vlans->by_network);
    free(vlans);
}

static void take(struct switch_vlans *vlans, const char *network_id, unsigned vlan)
{
    vlans->used[vlan] = true;
    map_set(&vlans->by_network, network_id, (void *)(uintptr_t)vlan);
}

void switch_vlans_fill(struct switch_vlans *vlans, const struct switch_port_state *ports, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct switch_port_state *port = &ports[i];
        if (port->network_id == NULL || port->vlan < SWITCH_VLAN_MIN || port->vlan > SWITCH_VLAN_MAX)
            continue;
        if (!map_has(&vlans->by_network, port->network_id) && !vlans->used[port->vlan])
            take(vlans, port->network_id, port->vlan);
    }
}

struct fault *switch_vlans_get(struct arena *arena, struct switch_vlans *vlans, const char *network_id,
    unsigned *ret_vlan)
{
    *ret_vlan = (unsigned)(uintptr_t)map_get(&vlans->by_network, network_id);
    if (*ret_vlan != 0)
        return NULL;
    for (unsigned vlan = SWITCH_VLAN_MIN; vlan <= SWITCH_VLAN_MAX; vlan++) {
        if (vlans->used[vlan])
            continue;
        take(vlans, network_id, vlan);
        *ret_vlan = vlan;
        return NULL;
    }
    return fault_new(arena, 500, NULL, "No local VLAN available for net-id=%s", network_id);
}

const unsigned *switch_vlans_give_back(struct arena *arena, struct switch_vlans *vlans, const struct map *used, size_t *ret_count)
{
    unsigned *free_again = ARENA_ARRAY(arena, unsigned, vlans->by_network.count + 1);
    struct map_entry *entry;
    *ret_count = 0;
    for (size_t at = 0; (entry = map_next(&vlans->by_network, &at)) != NULL;) {
        if (map_has(used, entry->key))
            continue;
        unsigned vlan = (unsigned)(uintptr_t)entry->value;
        vlans->used[vlan] = false;
        free_again[(*ret_count)++] = vlan;
        map_remove(&vlans->by_network, entry->key);
    }
    return free_again;
}
