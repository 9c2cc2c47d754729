/* SPDX-License-Identifier: Apache-2.0
 * network_data: see network_data.h. */
#include "nova/metadata/network_data.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

/* The network and the mask of "10.0.0.0/24" as texts. */
static void split_cidr(struct arena *arena, const char *cidr, const char **ret_network, const char **ret_mask)
{
    const char *slash = strchr(cidr, '/');
    bool six = strchr(cidr, ':') != NULL;
    unsigned bits = slash != NULL ? (unsigned)strtoul(slash + 1, NULL, 10) : six ? 128 : 32;
    unsigned char mask[16] = { 0 };
    char text[INET6_ADDRSTRLEN];
    for (unsigned i = 0; i < bits && i < 128; i++)
        mask[i / 8] |= (unsigned char)(0x80 >> i % 8);
    inet_ntop(six ? AF_INET6 : AF_INET, mask, text, sizeof(text));
    *ret_network = arena_strndup(arena, cidr, slash != NULL ? (size_t)(slash - cidr) : strlen(cidr));
    *ret_mask = arena_strdup(arena, text);
}

static json_t *dns_services(const json_t *subnet)
{
    const json_t *dns = json_object_get(subnet, "dns");
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(dns); i++)
        json_array_append_new(list, json_pack("{s:s, s:s?}", "type", "dns", "address",
            json_text_at(json_array_get(dns, i), "address")));
    return list;
}

static json_t *routes_of(struct arena *arena, const json_t *subnet, int version)
{
    const char *gateway = json_text_at(subnet, "gateway.address"), *network, *mask;
    const json_t *routes = json_object_get(subnet, "routes");
    const char *any = version == 4 ? "0.0.0.0" : "::";
    json_t *list = json_array();
    if (gateway != NULL)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "network", any, "netmask", any, "gateway", gateway));
    for (size_t i = 0; i < json_array_size(routes); i++) {
        const json_t *route = json_array_get(routes, i);
        const char *cidr = json_text_at(route, "cidr");
        if (cidr == NULL)
            continue;
        split_cidr(arena, cidr, &network, &mask);
        json_array_append_new(list, json_pack("{s:s, s:s, s:s?}", "network", network, "netmask", mask, "gateway",
            json_text_at(route, "gateway.address")));
    }
    return list;
}

static json_t *network_of(struct arena *arena, const json_t *vif, const json_t *subnet, int version, size_t number,
    const char *link)
{
    const char *mode = json_text_at(subnet, "meta.ipv6_address_mode"), *network, *mask;
    const char *id = arena_printf(arena, "network%zu", number), *network_id = json_text_at(vif, "network.id");
    const char *cidr = json_text_at(subnet, "cidr");
    if (mode == NULL && (json_bool_at(subnet, "meta.enable_dhcp", false) || json_at(subnet,
        "meta.dhcp_server") != NULL))
        return json_pack("{s:s, s:s, s:s, s:s?}", "id", id, "type", version == 4 ? "ipv4_dhcp" : "ipv6_dhcp", "link",
        link,
            "network_id", network_id);
    split_cidr(arena, cidr != NULL ? cidr : version == 4 ? "0.0.0.0/0" : "::/0", &network, &mask);
    return json_pack("{s:s, s:s, s:s, s:s?, s:s, s:o, s:s?, s:o}", "id", id, "type",
        mode != NULL ? arena_printf(arena, "ipv%d_%s", version, mode) : version == 4 ? "ipv4" : "ipv6", "link", link,
        "ip_address", json_text_at(json_array_get(json_object_get(subnet, "ips"), 0), "address"), "netmask", mask,
        "routes", routes_of(arena, subnet, version), "network_id", network_id, "services", dns_services(subnet));
}

static const json_t *first_subnet(const json_t *vif, int version)
{
    const json_t *subnets = json_at(vif, "network.subnets");
    for (size_t i = 0; i < json_array_size(subnets); i++)
        if (json_int_at(json_array_get(subnets, i), "version", 0) == version)
            return json_array_get(subnets, i);
    return NULL;
}

static void add_services(json_t *services, const json_t *subnet)
{
    json_t *more = dns_services(subnet);
    for (size_t i = 0; i < json_array_size(more); i++) {
        bool known = false;
        for (size_t k = 0; k < json_array_size(services) && !known; k++)
            known = json_equal(json_array_get(services, k), json_array_get(more, i));
        if (!known)
            json_array_append(services, json_array_get(more, i));
    }
    json_decref(more);
}

json_t *network_data(struct arena *arena, const json_t *network_info)
{
    json_t *links = json_array(), *networks = json_array(), *services = json_array();
    size_t number = 0;
    for (size_t i = 0; i < json_array_size(network_info); i++) {
        const json_t *vif = json_array_get(network_info, i);
        const char *device = json_text_at(vif, "devname"), *type = json_text_at(vif, "type");
        const char *link = device != NULL ? device : arena_printf(arena, "interface%zu", i);
        if (first_subnet(vif, 4) == NULL && first_subnet(vif, 6) == NULL)
            continue;
        json_array_append_new(links, json_pack("{s:s, s:s?, s:s, s:I, s:s?}", "id", link, "vif_id", json_text_at(vif,
            "id"), "type", type != NULL ? type : "phy", "mtu", (json_int_t)json_int_at(vif, "network.meta.mtu", 1500),
            "ethernet_mac_address", json_text_at(vif, "address")));
        for (int version = 4; version <= 6; version += 2) {
            const json_t *subnet = first_subnet(vif, version);
            if (subnet == NULL || json_array_size(json_object_get(subnet, "ips")) == 0)
                continue;
            json_array_append_new(networks, network_of(arena, vif, subnet, version, number++, link));
            add_services(services, subnet);
        }
    }
    return json_pack("{s:o, s:o, s:o}", "links", links, "networks", networks, "services", services);
}
