/* SPDX-License-Identifier: Apache-2.0
 *
 * ovs/agent: neutron-openvswitch-agent. One turn makes bridges, wires every port of br-int that the server knows, writes the
 * flows, and tells the server which ports came up or went away. A turn with nothing to change changes nothing. What the
 * flows shall be is put together in ovs/wanted.c.
 *
 * Turns are started by the server's notifications, by the switch's database (a port was plugged), and every
 * report_interval as the agent's heartbeat.
 */
#include "neutron/ovs/agent.h"
#include "neutron/ovs/conntrack.h"

#include "base/log.h"
#include "base/map.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { POLL_MS = 1000, RETRY_MS = 500 };

struct ovs_agent {
    struct agent_waker waker;
    struct ovsdb *db, *monitor;
    struct switch_vlans *vlans;
    struct map up; /* port id -> its OpenFlow number: what the server was told is up */
    uintptr_t thread;
    atomic_bool stopping;
    bool started, unsettled;
};

static struct ovs_agent *agent;

/* ---- Bridges ---- */

/* One physical network: its bridge, and the patch between it and br-int. */
static struct fault *add_physical(struct arena *arena, struct ovs_switch *sw, struct ovs_stage *stage, const char *name,
    const char *bridge)
{
    struct flows_physical *physical = &stage->physicals[stage->physical_count];
    physical->name = name;
    TRY(switch_ensure_bridge(arena, sw, &(struct switch_bridge){ .name = bridge }));
    TRY(switch_ensure_patch(arena, sw, "br-int", arena_printf(arena, "int-%.11s", bridge), bridge,
        arena_printf(arena, "phy-%.11s", bridge), &physical->int_ofport, &physical->bridge_ofport));
    stage->bridges[stage->physical_count++] = bridge;
    return NULL;
}

static struct fault *split_mapping(struct arena *arena, const char *option, const char *mapping, const char **ret_name,
    const char **ret_value)
{
    const char *colon = strchr(mapping, ':');
    if (colon == NULL)
        return fault_new(arena, 500, NULL, "[ovs] %s: '%s' is not physical_network:%s", option, mapping,
            strcmp(option, "bridge_mappings") == 0 ? "bridge" : "interface");
    *ret_name = arena_strndup(arena, mapping, (size_t)(colon - mapping));
    *ret_value = colon + 1;
    return NULL;
}

static struct fault *ensure_physical(struct arena *arena, struct context *cx, struct ovs_switch *sw, struct ovs_stage *stage)
{
    size_t count, more;
    const char *const *mappings = config_list(cx->app->config, "ovs", "bridge_mappings", &count), *name, *value;
    const char *const *interfaces = config_list(cx->app->config, "ovs", "physical_interface_mappings", &more);
    stage->physicals = ARENA_ARRAY(arena, struct flows_physical, count + more + 1);
    stage->bridges = ARENA_ARRAY(arena, const char *, count + more + 1);
    for (size_t i = 0; i < more; i++) {
        TRY(split_mapping(arena, "physical_interface_mappings", interfaces[i], &name, &value));
        const char *bridge = arena_printf(arena, "br-%.12s", name); /* an interface's name has at most 15 characters */
        TRY(add_physical(arena, sw, stage, name, bridge));
        TRY(switch_ensure_port(arena, sw, &(struct switch_port){ .bridge = bridge, .name = value, .type = "", .tag = -1 }, NULL));
    }
    for (size_t i = 0; i < count; i++) {
        bool done = false;
        TRY(split_mapping(arena, "bridge_mappings", mappings[i], &name, &value));
        for (size_t k = 0; k < more; k++)
            done |= strcmp(stage->physicals[k].name, name) == 0; /* the default must not be in the way of an interface */
        if (!done)
            TRY(add_physical(arena, sw, stage, name, value));
    }
    if (cx->app->cloud->provider_interface == NULL || stage->physical_count == 0)
        return NULL;
    return switch_ensure_port(arena, sw, &(struct switch_port){ .bridge = stage->bridges[0],
        .name = cx->app->cloud->provider_interface, .type = "", .tag = -1 }, NULL);
}

static struct fault *ensure_tunnels(struct arena *arena, struct context *cx, struct ovs_switch *sw, struct ovs_stage *stage)
{
    const char *local = config_str(cx->app->config, "ovs", "local_ip");
    json_t *answer;
    if (local == NULL || local[0] == '\0')
        return NULL;
    TRY(agent_ask(cx, "tunnel_sync", json_pack("{s:s}", "host", cx->app->cloud->host), &answer));
    const json_t *tunnels = json_object_get(answer, "tunnels");
    unsigned *ofports = ARENA_ARRAY(arena, unsigned, json_array_size(tunnels) + 1);
    for (size_t i = 0; i < json_array_size(tunnels); i++) {
        const char *remote = json_text_at(json_array_get(tunnels, i), "ip_address");
        TRY(switch_ensure_tunnel(arena, sw, "br-tun", local, remote, &ofports[stage->tunnel_count]));
        stage->tunnel_count++;
    }
    stage->tunnels = ofports;
    return NULL;
}

static struct fault *ensure_bridges(struct arena *arena, struct context *cx, struct ovs_switch *sw, struct ovs_stage *stage)
{
    unsigned patch_tun;
    TRY(switch_ensure_bridge(arena, sw, &(struct switch_bridge){ .name = "br-int" }));
    TRY(switch_ensure_bridge(arena, sw, &(struct switch_bridge){ .name = "br-tun" }));
    TRY(switch_ensure_patch(arena, sw, "br-int", "patch-tun", "br-tun", "patch-int", &patch_tun, &stage->patch_int));
    TRY(ensure_physical(arena, cx, sw, stage));
    return ensure_tunnels(arena, cx, sw, stage);
}

/* ---- Ports ---- */

static bool wireable(const struct switch_port_state *port)
{
    return port->iface_id != NULL && port->iface_id[0] != '\0' && port->ofport > 0;
}

static struct fault *ask_details(struct context *cx, struct ovs_stage *stage)
{
    json_t *devices = json_array();
    for (size_t i = 0; i < stage->port_count; i++)
        if (wireable(&stage->ports[i]))
            json_array_append_new(devices, json_string(stage->ports[i].iface_id));
    return agent_ask(cx, "get_devices_details_list_and_failed_devices",
        json_pack("{s:o, s:s}", "devices", devices, "host", cx->app->cloud->host), &stage->details);
}

static struct fault *wire(struct arena *arena, struct ovs_switch *sw, struct ovs_stage *stage)
{
    const json_t *devices = json_object_get(stage->details, "devices");
    stage->wired = ARENA_ARRAY(arena, struct ovs_wired, json_array_size(devices) + 1);
    for (size_t i = 0; i < json_array_size(devices); i++) {
        const json_t *device = json_array_get(devices, i);
        const char *id = json_text_at(device, "device"), *network_id = json_text_at(device, "network_id");
        const struct switch_port_state *port = NULL;
        unsigned vlan;
        for (size_t k = 0; k < stage->port_count && port == NULL; k++)
            if (wireable(&stage->ports[k]) && strcmp(stage->ports[k].iface_id, id) == 0)
                port = &stage->ports[k];
        if (port == NULL)
            continue;
        TRY(switch_vlans_get(arena, agent->vlans, network_id, &vlan));
        if (!json_bool_at(device, "admin_state_up", true))
            vlan = SWITCH_DEAD_VLAN;
        if (port->vlan != vlan || port->network_id == NULL || strcmp(port->network_id, network_id) != 0)
            TRY(switch_set_network(arena, sw, port->name, &(struct switch_network){ .id = network_id,
                .type = json_text_at(device, "network_type"), .physical_network = json_text_at(device, "physical_network"),
                .segmentation_id = (int)json_int_at(device, "segmentation_id", 0), .vlan = vlan }));
        if (vlan != SWITCH_DEAD_VLAN)
            stage->wired[stage->wired_count++] = (struct ovs_wired){ device, port, vlan };
    }
    return NULL;
}

/* What was allowed until now is held against the rules again when any flow has changed; and a rest from the last turn. */
static struct fault *settle(struct arena *arena, const struct ovs_daemon *daemon, const struct flows_wanted *wanted, size_t changed)
{
    if (changed == 0 && !agent->unsettled)
        return NULL;
    agent->unsettled = true; /* until it is done */
    return conntrack_settle(arena, daemon->dir, wanted, &agent->unsettled);
}

static struct fault *apply(struct arena *arena, const struct ovs_daemon *daemon, struct ovs_stage *stage)
{
    BUF_CLEANUP struct buf integration = { 0 }, tunnel = { 0 };
    struct flows_wanted wanted;
    size_t changed;
    TRY(ovs_wanted(arena, stage, &wanted));
    TRY(flows_integration(arena, &wanted, &integration));
    TRY(flows_tunnel(arena, &wanted, &tunnel));
    TRY(flows_apply(arena, daemon->dir, "br-int", &integration, &changed));
    TRY(flows_apply(arena, daemon->dir, "br-tun", &tunnel, NULL));
    for (size_t i = 0; i < stage->physical_count; i++) {
        BUF_CLEANUP struct buf physical = { 0 };
        TRY(flows_physical(arena, &wanted, &stage->physicals[i], &physical));
        TRY(flows_apply(arena, daemon->dir, stage->bridges[i], &physical, NULL));
    }
    return settle(arena, daemon, &wanted, changed);
}

/* The local VLANs of networks that have no port here any more, neither in the switch nor among what the server told. Their flows
 * are gone already; their connections would be the next network's. */
static struct fault *give_back(struct arena *arena, const struct ovs_daemon *daemon, const struct ovs_stage *stage)
{
    const json_t *devices = json_object_get(stage->details, "devices");
    struct map used = { 0 };
    size_t count;
    for (size_t i = 0; i < stage->port_count; i++)
        if (stage->ports[i].network_id != NULL)
            map_set(&used, stage->ports[i].network_id, agent);
    for (size_t i = 0; i < json_array_size(devices); i++)
        map_set(&used, json_text_at(json_array_get(devices, i), "network_id"), agent);
    const unsigned *vlans = switch_vlans_give_back(arena, agent->vlans, &used, &count);
    map_release(&used);
    for (size_t i = 0; i < count; i++)
        TRY(conntrack_flush(arena, daemon->dir, vlans[i]));
    return NULL;
}

/* Tells the server what came up since the last turn (or is another device by the same id), and what is gone. */
static struct fault *tell(struct context *cx, struct ovs_stage *stage)
{
    const char *host = cx->app->cloud->host;
    for (size_t i = 0; i < stage->wired_count; i++) {
        const char *id = json_text_at(stage->wired[i].device, "device"), *status = json_text_at(stage->wired[i].device, "status");
        intptr_t ofport = stage->wired[i].port->ofport;
        intptr_t known = (intptr_t)map_get(&agent->up, id);
        /* After a restart of the agent nothing is known, and what the server has as ACTIVE is left so. */
        if (known != ofport && !(known == 0 && strcmp(status, "ACTIVE") == 0))
            TRY(agent_ask(cx, "update_device_up", json_pack("{s:s, s:s}", "device", id, "host", host), NULL));
        else if (strcmp(status, "ACTIVE") != 0)
            TRY(agent_ask(cx, "update_device_up", json_pack("{s:s, s:s}", "device", id, "host", host), NULL));
        map_set(&agent->up, id, (void *)ofport);
    }
    struct map_entry *entry;
    for (size_t at = 0; (entry = map_next(&agent->up, &at)) != NULL;) {
        bool wired = false;
        for (size_t i = 0; i < stage->wired_count && !wired; i++)
            wired = strcmp(json_text_at(stage->wired[i].device, "device"), entry->key) == 0;
        if (wired)
            continue;
        TRY(agent_ask(cx, "update_device_down", json_pack("{s:s, s:s}", "device", entry->key, "host", host), NULL));
        map_remove(&agent->up, entry->key);
    }
    return NULL;
}

static json_t *configurations(struct context *cx, struct arena *arena, const char *datapath, const struct ovs_stage *stage)
{
    const char *local = config_str(cx->app->config, "ovs", "local_ip");
    json_t *mappings = json_object(), *configuration;
    for (size_t i = 0; i < stage->physical_count; i++)
        json_object_set_new(mappings, stage->physicals[i].name, json_string(stage->bridges[i]));
    configuration = json_pack("{s:[s], s:o, s:s, s:s, s:I}", "tunnel_types", "vxlan", "bridge_mappings", mappings, "datapath_type",
        datapath, "integration_bridge", "br-int", "devices", (json_int_t)stage->wired_count);
    if (local != NULL && local[0] != '\0')
        json_object_set_new(configuration, "tunneling_ip", json_string(local));
    return configuration;
}

static struct fault *turn(struct context *cx, void *owner)
{
    struct arena *arena = cx->arena;
    struct ovs_daemon daemon = agent_switch(arena, cx->app);
    const char *datapath = config_str(cx->app->config, "ovs", "datapath_type");
    struct ovs_daemon_state state;
    struct ovs_stage stage = { 0 };

    TRY(ovs_daemon_ensure(arena, &daemon, &state));
    if (datapath == NULL || datapath[0] == '\0')
        datapath = switch_datapath_type();
    struct ovs_switch sw = { .db = agent->db, .datapath_type = datapath };
    TRY(ensure_bridges(arena, cx, &sw, &stage));
    TRY(switch_list_ports(arena, &sw, "br-int", &stage.ports, &stage.port_count));
    if (agent->vlans == NULL) {
        agent->vlans = switch_vlans_create();
        switch_vlans_fill(agent->vlans, stage.ports, stage.port_count);
    }
    if (!agent->started)
        TRY(agent_state_report(cx, "Open vSwitch agent", "neutron-openvswitch-agent", configurations(cx, arena,
            datapath, &stage), true));
    agent->started = true;
    TRY(ask_details(cx, &stage));
    TRY(wire(arena, &sw, &stage));
    TRY(apply(arena, &daemon, &stage));
    TRY(give_back(arena, &daemon, &stage));
    TRY(tell(cx, &stage));
    return agent_state_report(cx, "Open vSwitch agent", "neutron-openvswitch-agent", configurations(cx, arena,
        datapath, &stage), false);
}

/* ---- Watching the switch ---- */

static void interface_changed(void *context, const char *table, const char *uuid, json_t *before, json_t *after)
{
    periodic_wake(agent->waker.periodic);
}

/* Whether ovs-vswitchd, our child, has ended since the last look. `ended`: a descriptor that tells, -1: none yet. */
static bool switch_ended(const struct ovs_daemon *daemon, int *ended)
{
    if (daemon->external)
        return false;
    if (*ended < 0)
        *ended = ovs_daemon_watch(daemon);
    struct pollfd poller = { *ended, POLLIN, 0 };
    if (*ended < 0 || poll(&poller, 1, 0) != 1)
        return false;
    close(*ended);
    *ended = -1;
    return true;
}

static void watch(void *argument)
{
    ARENA_CLEANUP struct arena *life = arena_create();
    const struct ovs_daemon daemon = agent_switch(life, argument);
    bool monitoring = false;
    int ended = -1;
    while (!atomic_load(&agent->stopping)) {
        struct arena *arena = arena_create();
        struct fault *fault;
        if (switch_ended(&daemon, &ended))
            periodic_wake(agent->waker.periodic);
        if (!monitoring)
            fault = ovsdb_monitor(arena, agent->monitor, json_pack("{s:[s, s, s]}", "Interface", "name", "ofport", "external_ids"),
                interface_changed, NULL);
        else
            fault = ovsdb_poll(arena, agent->monitor, POLL_MS);
        monitoring |= fault == NULL;
        if (fault != NULL) {
            clock_sleep_ms(RETRY_MS);
            periodic_wake(agent->waker.periodic); /* the switch may have ended: a turn starts it again */
        }
        arena_destroy(arena);
    }
    if (ended >= 0)
        close(ended);
}

struct fault *ovs_agent_start(struct context *cx)
{
    struct arena *arena = cx->arena;
    if (cx->app->cloud->fake_compute > 0)
        return NULL; /* the server keeps the agents of simulated hosts alive */
    struct ovs_daemon daemon = agent_switch(arena, cx->app);
    struct ovs_daemon_state state;
    TRY(ovs_daemon_ensure(arena, &daemon, &state));
    agent = calloc(1, sizeof(*agent));
    if (agent == NULL)
        abort();
    agent->db = ovsdb_create(ovs_daemon_socket(arena, &daemon));
    agent->monitor = ovsdb_create(ovs_daemon_socket(arena, &daemon));
    TRY(agent_listen(cx, "openvswitch", &agent->waker));
    agent->waker.periodic = periodic_start(cx->app, "openvswitch agent", 0,
        config_int(cx->app->config, "AGENT", "report_interval") * 1000, turn, NULL);
    agent->thread = work_thread_start("ovs-watch", watch, cx->app);
    return NULL;
}

void ovs_agent_stop(struct app *app)
{
    if (agent == NULL)
        return;
    atomic_store(&agent->stopping, true);
    work_thread_join(agent->thread);
    agent_unlisten(app, "openvswitch");
    struct periodic *periodic = agent->waker.periodic;
    agent->waker.periodic = NULL;
    periodic_stop(periodic);
    ovsdb_destroy(agent->monitor);
    ovsdb_destroy(agent->db);
    switch_vlans_destroy(agent->vlans);
    map_release(&agent->up);
    free(agent);
    agent = NULL;
}
