/* SPDX-License-Identifier: Apache-2.0
 * files: what dnsmasq reads: hosts, names, options, leases. See dnsmasq.h.
 *
 * Every value ends at its first control character: a name or an option value from the API must not begin a line of its
 * own. */
#include "base/clock.h"
#include "neutron/dhcp/dnsmasq.h"

#include <ctype.h>
#include <string.h>

static const char metadata_cidr[] = "169.254.169.254/32";
static const char any_ipv4[] = "0.0.0.0/0";

static const char *line_safe(struct arena *arena, const char *text)
{
    size_t n = 0;
    while ((unsigned char)text[n] >= ' ' && text[n] != 0x7f)
        n++;
    return arena_strndup(arena, text, n);
}

static const struct dhcp_subnet *find_subnet(const struct dhcp_network *network, const char *id)
{
    for (size_t i = 0; i < network->subnet_count; i++)
        if (strcmp(network->subnets[i].id, id) == 0)
            return &network->subnets[i];
    return NULL;
}

static bool has_mode(const struct dhcp_subnet *subnet, const char *mode)
{
    return subnet->ip_version == 6 && subnet->ipv6_address_mode != NULL && strcmp(subnet->ipv6_address_mode, mode) == 0;
}

/* The address is not handed out by DHCP: the guest makes it itself. */
static bool makes_its_own(const struct dhcp_subnet *subnet)
{
    return has_mode(subnet, "slaac") || has_mode(subnet, "dhcpv6-stateless");
}

static bool is_client_id(const struct dhcp_option *option)
{
    return strcmp(option->name, "client-id") == 0 || strcmp(option->name, "61") == 0;
}

static const char *client_id(const struct dhcp_port *port)
{
    for (size_t i = 0; i < port->option_count; i++)
        if (is_client_id(&port->options[i]))
            return port->options[i].value;
    return NULL;
}

static void names_of(struct arena *arena, const struct dhcp_config *config, const struct dhcp_fixed_ip *ip,
    const char **ret_host, const char **ret_full)
{
    if (ip->hostname != NULL && ip->hostname[0] != '\0') {
        *ret_host = line_safe(arena, ip->hostname);
        *ret_full = ip->fqdn != NULL ? line_safe(arena, ip->fqdn) : *ret_host;
        return;
    }
    char *host = arena_printf(arena, "host-%s", ip->ip_address);
    for (char *at = host; *at != '\0'; at++)
        if (*at == '.' || *at == ':')
            *at = '-';
    bool domain = config->dns_domain != NULL && config->dns_domain[0] != '\0';
    *ret_host = host;
    *ret_full = domain ? arena_printf(arena, "%s.%s", host, config->dns_domain) : host;
}

static void put_host(struct arena *arena, const struct dhcp_config *config, const struct dhcp_port *port,
    const struct dhcp_fixed_ip *ip, const struct dhcp_subnet *subnet, struct buf *text)
{
    const char *host, *full, *id = client_id(port);
    const char *tag = subnet->ip_version == 6 ? "tag:dhcpv6," : ""; /* else it could be taken for the IPv4 entry */
    if (makes_its_own(subnet)) {
        if (!has_mode(subnet, "slaac") && port->option_count > 0)
            buf_printf(text, "%s,%sset:port-%s\n", port->mac, tag, port->id);
        return;
    }
    if (!subnet->enable_dhcp)
        return;
    names_of(arena, config, ip, &host, &full);
    buf_printf(text, "%s,%s", port->mac, tag);
    if (id != NULL)
        buf_printf(text, "id:%s,", line_safe(arena, id));
    buf_printf(text, subnet->ip_version == 6 ? "%s,[%s]" : "%s,%s", full, ip->ip_address);
    if (port->option_count > (id != NULL ? 1u : 0u))
        buf_printf(text, ",set:port-%s", port->id);
    buf_putc(text, '\n');
}

void dhcp_text_hosts(struct arena *arena, const struct dhcp_config *config, const struct dhcp_network *network,
    struct buf *text)
{
    for (size_t i = 0; i < network->port_count; i++) {
        const struct dhcp_port *port = &network->ports[i];
        for (int stateless = 1; stateless >= 0; stateless--) { /* dnsmasq takes the last entry of a MAC first */
            for (size_t j = 0; j < port->fixed_ip_count; j++) {
                const struct dhcp_subnet *subnet = find_subnet(network, port->fixed_ips[j].subnet_id);
                if (subnet != NULL && has_mode(subnet, "dhcpv6-stateless") == (stateless == 1))
                    put_host(arena, config, port, &port->fixed_ips[j], subnet, text);
            }
        }
    }
}

void dhcp_text_addn_hosts(struct arena *arena, const struct dhcp_config *config, const struct dhcp_network *network,
    struct buf *text)
{
    for (size_t i = 0; i < network->port_count; i++)
        for (size_t j = 0; j < network->ports[i].fixed_ip_count; j++) {
            const struct dhcp_fixed_ip *ip = &network->ports[i].fixed_ips[j];
            const char *host, *full;
            names_of(arena, config, ip, &host, &full);
            buf_printf(text, "%s\t%s %s\n", ip->ip_address, full, host); /* the full name first: PTR answers use it */
        }
}

void dhcp_text_leases(struct arena *arena, const struct dhcp_config *config, const struct dhcp_network *network,
    struct buf *text)
{
    int64_t until = config->lease_duration_s < 0 ? 0 : clock_now_us() / 1000000 + config->lease_duration_s;
    for (size_t i = 0; i < network->port_count; i++)
        for (size_t j = 0; j < network->ports[i].fixed_ip_count; j++) {
            const struct dhcp_fixed_ip *ip = &network->ports[i].fixed_ips[j];
            const struct dhcp_subnet *subnet = find_subnet(network, ip->subnet_id);
            if (subnet != NULL && subnet->enable_dhcp && subnet->ip_version == 4)
                buf_printf(text, "%lld %s %s * *\n", (long long)until, network->ports[i].mac, ip->ip_address);
        }
}

/* "tag:subnet-ID,option:router" ... */
static void begin_option(struct buf *text, int ip_version, const char *tag_kind, const char *tag, const char *option)
{
    bool number = option[0] != '\0';
    for (const char *at = option; *at != '\0'; at++)
        number = number && isdigit((unsigned char)*at);
    const char *prefix = ip_version == 6 ? "option6:" : number ? "" : "option:";
    buf_printf(text, "tag:%s-%s,%s%s", tag_kind, tag, prefix, option);
}

static void put_nameservers(const struct dhcp_subnet *subnet, struct buf *text)
{
    const char *const *servers = subnet->dns_nameservers;
    if (servers == NULL || servers[0] == NULL)
        return;
    begin_option(text, subnet->ip_version, "subnet", subnet->id, "dns-server");
    bool nobody = strcmp(servers[0], subnet->ip_version == 4 ? "0.0.0.0" : "::") == 0; /* as neutron: announce none */
    for (size_t i = 0; !nobody && servers[i] != NULL; i++)
        buf_printf(text, subnet->ip_version == 6 ? ",[%s]" : ",%s", servers[i]);
    buf_putc(text, '\n');
}

/* A subnet is isolated while no router has its gateway address. */
static bool is_isolated(const struct dhcp_network *network, const struct dhcp_subnet *subnet)
{
    static const char *const owners[] = { "network:router_interface", "network:ha_router_replicated_interface",
        "network:router_interface_distributed" };
    for (size_t i = 0; i < network->port_count; i++)
        for (size_t j = 0; j < network->ports[i].fixed_ip_count; j++) {
            const struct dhcp_fixed_ip *ip = &network->ports[i].fixed_ips[j];
            const char *owner = network->ports[i].device_owner;
            if (owner == NULL || subnet->gateway_ip == NULL || strcmp(ip->subnet_id, subnet->id) != 0 ||
                strcmp(ip->ip_address, subnet->gateway_ip) != 0)
                continue;
            for (size_t k = 0; k < sizeof(owners) / sizeof(owners[0]); k++)
                if (strcmp(owner, owners[k]) == 0)
                    return false;
        }
    return true;
}

static const char *own_address(const struct dhcp_network *network, const struct dhcp_subnet *subnet)
{
    for (size_t i = 0; network->own != NULL && i < network->own->fixed_ip_count; i++)
        if (strcmp(network->own->fixed_ips[i].subnet_id, subnet->id) == 0)
            return network->own->fixed_ips[i].ip_address;
    return NULL;
}

static void put_routes(const struct dhcp_config *config, const struct dhcp_network *network,
    const struct dhcp_subnet *subnet, struct buf *text)
{
    BUF_CLEANUP struct buf routes = { 0 };
    const char *gateway = subnet->gateway_ip, *metadata = NULL;
    bool isolated = is_isolated(network, subnet);
    for (size_t i = network->subnet_count; i-- > 0;) /* other subnets of the network are on the link */
        if (network->subnets[i].ip_version == 4 && strcmp(network->subnets[i].cidr, subnet->cidr) != 0)
            buf_printf(&routes, ",%s,0.0.0.0", network->subnets[i].cidr);
    for (size_t i = 0; i < subnet->host_route_count; i++) {
        const struct dhcp_route *route = &subnet->host_routes[i];
        if (strcmp(route->destination, any_ipv4) != 0)
            buf_printf(&routes, ",%s,%s", route->destination, route->nexthop);
        else if (gateway == NULL)
            gateway = route->nexthop;
    }
    if (config->force_metadata || (isolated && config->enable_isolated_metadata))
        metadata = own_address(network, subnet);
    else if (!isolated)
        metadata = gateway;
    if (metadata != NULL)
        buf_printf(&routes, ",%s,%s", metadata_cidr, metadata);
    if (routes.length > 0 && gateway != NULL)
        buf_printf(&routes, ",%s,%s", any_ipv4, gateway);
    static const char *const names[] = { "classless-static-route", "249" }; /* 249: the same, as Windows 2003 asks for it */
    for (size_t i = 0; i < 2 && routes.length > 0; i++) {
        begin_option(text, 4, "subnet", subnet->id, names[i]);
        buf_printf(text, "%s\n", buf_text(&routes));
    }
    begin_option(text, 4, "subnet", subnet->id, "router");
    buf_printf(text, "%s%s\n", gateway != NULL ? "," : "", gateway != NULL ? gateway : "");
}

static void put_port_options(struct arena *arena, const struct dhcp_port *port, struct buf *text)
{
    for (size_t i = 0; i < port->option_count; i++) {
        const struct dhcp_option *option = &port->options[i];
        bool served = false;
        for (size_t j = 0; j < port->fixed_ip_count; j++)
            served |= (strchr(port->fixed_ips[j].ip_address, ':') != NULL) == (option->ip_version == 6);
        if (is_client_id(option) || !served)
            continue;
        begin_option(text, option->ip_version, "port", port->id, line_safe(arena, option->name));
        buf_printf(text, ",%s\n", line_safe(arena, option->value));
    }
}

void dhcp_text_options(struct arena *arena, const struct dhcp_config *config, const struct dhcp_network *network,
    struct buf *text)
{
    for (size_t i = 0; i < network->subnet_count; i++) {
        const struct dhcp_subnet *subnet = &network->subnets[i];
        if (!subnet->enable_dhcp || has_mode(subnet, "slaac"))
            continue;
        put_nameservers(subnet, text);
        if (subnet->ip_version == 6 && config->dns_domain != NULL && config->dns_domain[0] != '\0') {
            begin_option(text, 6, "subnet", subnet->id, "domain-search");
            buf_printf(text, ",%s\n", config->dns_domain);
        }
        if (subnet->ip_version == 4)
            put_routes(config, network, subnet, text);
    }
    for (size_t i = 0; i < network->port_count; i++)
        put_port_options(arena, &network->ports[i], text);
}
