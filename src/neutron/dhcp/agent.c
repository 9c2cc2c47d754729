/* SPDX-License-Identifier: Apache-2.0
 *
 * dhcp/agent: neutron-dhcp-agent. One turn asks for the networks of this host and makes each one's DHCP server so; what
 * runs here for other networks is ended. On simulated hosts it only reports itself.
 */
#include "neutron/agent/agent.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

struct dhcp_agent {
    struct agent_waker waker;
    struct ovsdb *db;
    bool started;
};

static struct dhcp_agent *agent;

/* ---- From the server's document to the driver's structs ---- */

static const char *const *texts(struct arena *arena, const json_t *list)
{
    const char **found = ARENA_ARRAY(arena, const char *, json_array_size(list) + 1);
    for (size_t i = 0; i < json_array_size(list); i++)
        found[i] = json_string_value(json_array_get(list, i));
    return found;
}

static struct dhcp_subnet subnet_of(struct arena *arena, const json_t *document)
{
    const json_t *routes = json_object_get(document, "host_routes");
    struct dhcp_route *wanted = ARENA_ARRAY(arena, struct dhcp_route, json_array_size(routes) + 1);
    for (size_t i = 0; i < json_array_size(routes); i++)
        wanted[i] = (struct dhcp_route){ json_text_at(json_array_get(routes, i), "destination"),
            json_text_at(json_array_get(routes, i), "nexthop") };
    return (struct dhcp_subnet){
        .id = json_text_at(document, "id"), .cidr = json_text_at(document, "cidr"),
            .gateway_ip = json_text_at(document, "gateway_ip"),
        .ip_version = (int)json_int_at(document, "ip_version", 4), .enable_dhcp = json_bool_at(document, "enable_dhcp", false),
        .ipv6_address_mode = json_text_at(document, "ipv6_address_mode"), .ipv6_ra_mode = json_text_at(document, "ipv6_ra_mode"),
        .dns_nameservers = texts(arena, json_object_get(document, "dns_nameservers")), .host_routes = wanted,
        .host_route_count = json_array_size(routes),
    };
}

static struct dhcp_port port_of(struct arena *arena, const json_t *document)
{
    const json_t *ips = json_object_get(document, "fixed_ips"), *options = json_object_get(document, "extra_dhcp_opts");
    struct dhcp_fixed_ip *addresses = ARENA_ARRAY(arena, struct dhcp_fixed_ip, json_array_size(ips) + 1);
    struct dhcp_option *extra = ARENA_ARRAY(arena, struct dhcp_option, json_array_size(options) + 1);
    for (size_t i = 0; i < json_array_size(ips); i++)
        addresses[i] = (struct dhcp_fixed_ip){ .subnet_id = json_text_at(json_array_get(ips, i), "subnet_id"),
            .ip_address = json_text_at(json_array_get(ips, i), "ip_address") };
    for (size_t i = 0; i < json_array_size(options); i++)
        extra[i] = (struct dhcp_option){ json_text_at(json_array_get(options, i), "opt_name"),
            json_text_at(json_array_get(options, i), "opt_value"), (int)json_int_at(json_array_get(options, i), "ip_version", 4) };
    return (struct dhcp_port){
        .id = json_text_at(document, "id"), .mac = json_text_at(document, "mac_address"),
            .device_owner = json_text_at(document, "device_owner"),
        .fixed_ips = addresses, .fixed_ip_count = json_array_size(ips), .options = extra, .option_count = json_array_size(options),
    };
}

static struct dhcp_network network_of(struct arena *arena, const json_t *document)
{
    const json_t *subnets = json_object_get(document, "subnets"), *ports = json_object_get(document, "ports");
    const char *own = json_text_at(document, "own_port");
    struct dhcp_subnet *wanted = ARENA_ARRAY(arena, struct dhcp_subnet, json_array_size(subnets) + 1);
    struct dhcp_port *all = ARENA_ARRAY(arena, struct dhcp_port, json_array_size(ports) + 1);
    struct dhcp_network network = { .id = json_text_at(document, "id"), .mtu = (int)json_int_at(document, "mtu", 0),
        .subnets = wanted,
        .subnet_count = json_array_size(subnets), .ports = all, .port_count = json_array_size(ports) };
    for (size_t i = 0; i < network.subnet_count; i++)
        wanted[i] = subnet_of(arena, json_array_get(subnets, i));
    for (size_t i = 0; i < network.port_count; i++) {
        all[i] = port_of(arena, json_array_get(ports, i));
        if (own != NULL && strcmp(all[i].id, own) == 0)
            network.own = &all[i];
    }
    return network;
}

/* ---- The turn ---- */

static bool served(const json_t *networks, const char *id)
{
    for (size_t i = 0; i < json_array_size(networks); i++)
        if (strcmp(json_text_at(json_array_get(networks, i), "id"), id) == 0)
            return json_text_at(json_array_get(networks, i), "own_port") != NULL;
    return false;
}

static struct fault *report(struct context *cx, size_t networks)
{
    bool started = !agent->started;
    agent->started = true;
    return agent_state_report(cx, "DHCP agent", "neutron-dhcp-agent", json_pack("{s:s, s:I, s:I}", "dhcp_driver",
        "neutron.agent.linux.dhcp.Dnsmasq", "dhcp_lease_duration",
        (json_int_t)config_int(cx->app->config, "DEFAULT", "dhcp_lease_duration"), "networks", (json_int_t)networks), started);
}

static struct fault *turn(struct context *cx, void *owner)
{
    struct arena *arena = cx->arena;
    json_t *answer;
    if (cx->app->cloud->fake_compute > 0)
        return report(cx, 0);
    if (!agent->started)
        TRY(report(cx, 0));
    TRY(agent_ask(cx, "get_active_networks_info", json_pack("{s:s}", "host", cx->app->cloud->host), &answer));
    const json_t *networks = json_object_get(answer, "networks");
    struct dhcp_config config = agent_dhcp_config(arena, cx->app);
    const char *datapath = config_str(cx->app->config, "ovs", "datapath_type");
    struct ovs_switch sw = { .db = agent->db, .datapath_type = datapath != NULL && datapath[0] != '\0' ? datapath
        : switch_datapath_type() };
    for (size_t i = 0; i < json_array_size(networks); i++) {
        struct dhcp_network network = network_of(arena, json_array_get(networks, i));
        if (network.own == NULL)
            continue;
        struct fault *fault = dhcp_ensure(arena, &config, &sw, &network, NULL);
        if (fault != NULL) /* one network that fails leaves the others served */
            log_warning("neutron.dhcp", "network %s: %s", network.id, fault_text(arena, fault));
    }
    for (const char *const *id = dhcp_networks(arena, &config); *id != NULL; id++)
        if (!served(networks, *id))
            TRY(dhcp_disable(arena, &config, &sw, *id));
    metadata_agent_wake();
    return report(cx, json_array_size(networks));
}

struct fault *dhcp_agent_start(struct context *cx)
{
    struct ovs_daemon daemon = agent_switch(cx->arena, cx->app);
    struct ovs_daemon_state state;
    agent = calloc(1, sizeof(*agent));
    if (agent == NULL)
        abort();
    if (cx->app->cloud->fake_compute <= 0) {
        TRY(ovs_daemon_ensure(cx->arena, &daemon, &state));
        agent->db = ovsdb_create(ovs_daemon_socket(cx->arena, &daemon));
        TRY(agent_listen(cx, "dhcp", &agent->waker));
    }
    agent->waker.periodic = periodic_start(cx->app, "dhcp agent", 0, config_int(cx->app->config, "AGENT", "report_interval") * 1000,
        turn, NULL);
    return NULL;
}

void dhcp_agent_stop(struct app *app)
{
    if (agent == NULL)
        return;
    agent_unlisten(app, "dhcp");
    struct periodic *periodic = agent->waker.periodic;
    agent->waker.periodic = NULL;
    periodic_stop(periodic);
    ovsdb_destroy(agent->db);
    free(agent);
    agent = NULL;
}
