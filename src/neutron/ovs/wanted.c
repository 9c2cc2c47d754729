/* SPDX-License-Identifier: Apache-2.0
 *
 * ovs/wanted: from the server's details to what the flows shall be.
 */
#include "neutron/ovs/agent.h"

#include <string.h>

static const char **texts(struct arena *arena, const json_t *list, const char *member, size_t *ret_count)
{
    const char **found = ARENA_ARRAY(arena, const char *, json_array_size(list) + 1);
    *ret_count = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        const char *text = member != NULL ? json_text_at(item, member) : json_string_value(item);
        if (text != NULL)
            found[(*ret_count)++] = text;
    }
    return found;
}

static void want_port(struct arena *arena, const struct ovs_wired *wired, struct flows_port *port)
{
    const json_t *device = wired->device, *pairs = json_object_get(device, "allowed_address_pairs");
    struct flows_pair *wanted = ARENA_ARRAY(arena, struct flows_pair, json_array_size(pairs) + 1);
    const char *owner = json_text_at(device, "device_owner");
    *port = (struct flows_port){ .id = json_text_at(device, "device"), .ofport = (unsigned)wired->port->ofport, .vlan = wired->vlan,
        .mac = json_text_at(device, "mac_address"), .pairs = wanted, .pair_count = json_array_size(pairs) };
    port->fixed_ips = texts(arena, json_object_get(device, "fixed_ips"), "ip_address", &port->fixed_ip_count);
    port->group_ids = texts(arena, json_object_get(device, "security_groups"), NULL, &port->group_count);
    port->port_security = json_bool_at(device, "port_security_enabled", true) && strncmp(owner != NULL ? owner : "",
        "network:", 8) != 0;
    for (size_t i = 0; i < json_array_size(pairs); i++) {
        const char *mac = json_text_at(json_array_get(pairs, i), "mac_address");
        wanted[i] = (struct flows_pair){ mac != NULL ? mac : port->mac, json_text_at(json_array_get(pairs, i), "ip_address") };
    }
}

static enum flows_segment segment_of(const char *type)
{
    if (strcmp(type, "vxlan") == 0)
        return FLOWS_VXLAN;
    return strcmp(type, "flat") == 0 ? FLOWS_FLAT : FLOWS_VLAN;
}

static void want_networks(struct arena *arena, const struct ovs_stage *stage, struct flows_wanted *ret)
{
    struct flows_network *networks = ARENA_ARRAY(arena, struct flows_network, stage->wired_count + 1);
    for (size_t i = 0; i < stage->wired_count; i++) {
        const json_t *device = stage->wired[i].device;
        const char *id = json_text_at(device, "network_id");
        bool known = false;
        for (size_t k = 0; k < ret->network_count && !known; k++)
            known = strcmp(networks[k].id, id) == 0;
        if (known)
            continue;
        networks[ret->network_count++] = (struct flows_network){ .id = id, .vlan = stage->wired[i].vlan,
            .segment = segment_of(json_text_at(device, "network_type")),
            .segmentation_id = (unsigned)json_int_at(device, "segmentation_id", 0),
            .physical_network = json_text_at(device, "physical_network"), .tunnels = stage->tunnels,
                .tunnel_count = stage->tunnel_count };
    }
    ret->networks = networks;
}

static struct flows_rule rule_of(const json_t *rule)
{
    bool six = strcmp(json_text_at(rule, "ethertype"), "IPv6") == 0;
    return (struct flows_rule){
        .direction = strcmp(json_text_at(rule, "direction"), "ingress") == 0 ? FLOWS_INGRESS : FLOWS_EGRESS,
        .ip_version = six ? 6 : 4,
        .protocol = (int)json_int_at(rule, "protocol_number", FLOWS_ANY),
        .port_min = (int)json_int_at(rule, "port_range_min", FLOWS_ANY),
        .port_max = (int)json_int_at(rule, "port_range_max", FLOWS_ANY),
        .remote_prefix = json_text_at(rule, "remote_ip_prefix"),
        .remote_group_id = json_text_at(rule, "remote_group_id"),
    };
}

static void want_groups(struct arena *arena, const struct ovs_stage *stage, struct flows_wanted *ret)
{
    json_t *groups = json_object_get(stage->details, "security_groups"), *members = json_object_get(stage->details,
        "members"), *list;
    struct flows_group *wanted = ARENA_ARRAY(arena, struct flows_group, json_object_size(groups) + 1);
    struct flows_members *remote = ARENA_ARRAY(arena, struct flows_members, json_object_size(members) + 1);
    const char *id;
    json_object_foreach(groups, id, list) {
        struct flows_rule *rules = ARENA_ARRAY(arena, struct flows_rule, json_array_size(list) + 1);
        for (size_t i = 0; i < json_array_size(list); i++)
            rules[i] = rule_of(json_array_get(list, i));
        wanted[ret->group_count++] = (struct flows_group){ id, rules, json_array_size(list) };
    }
    json_object_foreach(members, id, list) {
        struct flows_member *all = ARENA_ARRAY(arena, struct flows_member, json_array_size(list) + 1);
        for (size_t i = 0; i < json_array_size(list); i++)
            all[i] = (struct flows_member){ json_text_at(json_array_get(list, i), "address"),
                json_text_at(json_array_get(list, i), "mac") };
        remote[ret->members_count++] = (struct flows_members){ id, all, json_array_size(list) };
    }
    ret->groups = wanted;
    ret->members = remote;
}

struct fault *ovs_wanted(struct arena *arena, const struct ovs_stage *stage, struct flows_wanted *ret)
{
    struct flows_port *ports = ARENA_ARRAY(arena, struct flows_port, stage->wired_count + 1);
    *ret = (struct flows_wanted){ .ports = ports, .port_count = stage->wired_count, .physicals = stage->physicals,
        .physical_count = stage->physical_count, .patch_int = stage->patch_int, .tunnels = stage->tunnels,
        .tunnel_count = stage->tunnel_count, .arp_responder = true };
    for (size_t i = 0; i < stage->wired_count; i++)
        want_port(arena, &stage->wired[i], &ports[i]);
    want_networks(arena, stage, ret);
    want_groups(arena, stage, ret);
    return NULL;
}
