/* SPDX-License-Identifier: Apache-2.0
 * switch: see switch.h. */
#include "neutron/ovs/switch.h"

#include "base/map.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

enum { COMMIT_TIMEOUT_MS = 10000 };

static const char root[] = "Open_vSwitch";

/* Asks the kernel for the generic netlink family of its datapath. */
const char *switch_datapath_type(void)
{
    char data[4096];
    struct nlmsghdr *request = mnl_nlmsg_put_header(data);
    request->nlmsg_type = GENL_ID_CTRL;
    request->nlmsg_flags = NLM_F_REQUEST;
    struct genlmsghdr *control = mnl_nlmsg_put_extra_header(request, sizeof(*control));
    *control = (struct genlmsghdr){ .cmd = CTRL_CMD_GETFAMILY, .version = 1 };
    mnl_attr_put_strz(request, CTRL_ATTR_FAMILY_NAME, "ovs_datapath");
    struct mnl_socket *socket = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC);
    bool found = false;
    if (socket != NULL && mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) == 0 &&
        mnl_socket_sendto(socket, request, request->nlmsg_len) > 0 &&
        mnl_socket_recvfrom(socket, data, sizeof(data)) > (ssize_t)sizeof(struct nlmsghdr))
        found = ((struct nlmsghdr *)data)->nlmsg_type != NLMSG_ERROR;
    if (socket != NULL)
        mnl_socket_close(socket);
    return found ? "system" : "netdev";
}

static struct fault *commit(struct arena *arena, struct ovs_switch *sw, json_t *operations)
{
    return ovsdb_commit(arena, sw->db, operations, COMMIT_TIMEOUT_MS);
}

static struct fault *ask(struct arena *arena, struct ovs_switch *sw, json_t *operations, json_t **ret)
{
    return ovsdb_transact(arena, sw->db, operations, COMMIT_TIMEOUT_MS, ret);
}

static json_t *bridge_row(const struct ovs_switch *sw, const struct switch_bridge *bridge)
{
    /* what neutron sets on its bridges; a controller never comes, so no in-band rules are wanted */
    json_t *config = bridge->mac != NULL
        ? ovsdb_map((const char *const[]){ "disable-in-band", "true", "mac-table-size", "50000", "hwaddr", bridge->mac, NULL })
        : ovsdb_map((const char *const[]){ "disable-in-band", "true", "mac-table-size", "50000", NULL });
    return json_pack("{s:s,s:s,s:o,s:[s,[s,s,s,s,s]]}", "datapath_type", sw->datapath_type, "fail_mode",
        bridge->standalone ? "standalone" : "secure", "other_config", config, "protocols", "set", "OpenFlow10",
        "OpenFlow12", "OpenFlow13", "OpenFlow14", "OpenFlow15");
}

static struct fault *create_bridge(struct arena *arena, struct ovs_switch *sw, const struct switch_bridge *bridge)
{
    json_t *row = bridge_row(sw, bridge);
    json_object_set_new(row, "name", json_string(bridge->name));
    json_object_set_new(row, "ports", json_pack("[s,s]", "named-uuid", "port"));
    json_t *port = json_pack("{s:s,s:[s,s]}", "name", bridge->name, "interfaces", "named-uuid", "interface");
    return commit(arena, sw, json_pack("[o,o,o,o]",
        ovsdb_insert("Interface", json_pack("{s:s,s:s}", "name", bridge->name, "type", "internal"), "interface"),
        ovsdb_insert("Port", port, "port"), ovsdb_insert("Bridge", row, "bridge"),
        ovsdb_mutate(root, NULL, NULL, "bridges", "insert", json_pack("[s,[[s,s]]]", "set", "named-uuid", "bridge"))));
}

struct fault *switch_ensure_bridge(struct arena *arena, struct ovs_switch *sw, const struct switch_bridge *bridge)
{
    json_t *results;
    json_t *columns = json_pack("[s,s,s]", "datapath_type", "fail_mode", "other_config");
    TRY(ask(arena, sw, json_pack("[o]", ovsdb_select("Bridge", "name", bridge->name, columns)), &results));
    json_t *present = json_array_get(ovsdb_rows(results, 0), 0);
    if (present == NULL)
        return create_bridge(arena, sw, bridge);
    json_t *row = bridge_row(sw, bridge);
    bool same = strcmp(ovsdb_text(present, "datapath_type"), sw->datapath_type) == 0 &&
        strcmp(ovsdb_text(present, "fail_mode"), bridge->standalone ? "standalone" : "secure") == 0 &&
        ovsdb_map_equal(json_object_get(present, "other_config"), json_object_get(row, "other_config"));
    if (same) {
        json_decref(row);
        return NULL;
    }
    return commit(arena, sw, json_pack("[o]", ovsdb_update("Bridge", "name", bridge->name, row)));
}

/* What the database holds of one port, and on which bridge it is. */
struct found {
    json_t *port, *interface; /* NULL: there is none */
    const char *port_uuid, *bridge;
};

static struct fault *find_port(struct arena *arena, struct ovs_switch *sw, const char *name, struct found *ret)
{
    json_t *results, *bridge;
    size_t index;
    TRY(ask(arena, sw, json_pack("[o,o,o]",
        ovsdb_select("Port", "name", name, json_pack("[s,s,s]", "_uuid", "tag", "other_config")),
        ovsdb_select("Interface", "name", name,
            json_pack("[s,s,s,s,s]", "type", "options", "external_ids", "ofport", "error")),
        ovsdb_select("Bridge", NULL, NULL, json_pack("[s,s]", "name", "ports"))), &results));
    *ret = (struct found){ .port = json_array_get(ovsdb_rows(results, 0), 0),
        .interface = json_array_get(ovsdb_rows(results, 1), 0) };
    if (ret->port == NULL)
        return NULL;
    ret->port_uuid = ovsdb_uuid(ret->port);
    json_array_foreach(ovsdb_rows(results, 2), index, bridge) {
        if (ovsdb_set_has_uuid(json_object_get(bridge, "ports"), ret->port_uuid))
            ret->bridge = ovsdb_text(bridge, "name");
    }
    return NULL;
}

static json_t *tag_value(int tag)
{
    return tag == 0 ? json_pack("[s,[]]", "set") : json_integer(tag);
}

static struct fault *create_port(struct arena *arena, struct ovs_switch *sw, const struct switch_port *port)
{
    json_t *interface = json_pack("{s:s,s:s,s:o,s:o}", "name", port->name, "type", port->type, "options",
        ovsdb_map(port->options), "external_ids", ovsdb_map(port->external_ids));
    json_t *row = json_pack("{s:s,s:[s,s]}", "name", port->name, "interfaces", "named-uuid", "interface");
    if (port->tag > 0)
        json_object_set_new(row, "tag", json_integer(port->tag));
    json_t *member = json_pack("[s,[[s,s]]]", "set", "named-uuid", "port");
    return commit(arena, sw, json_pack("[o,o,o]", ovsdb_insert("Interface", interface, "interface"),
        ovsdb_insert("Port", row, "port"), ovsdb_mutate("Bridge", "name", port->bridge, "ports", "insert", member)));
}

static void set_if_different(json_t *row, json_t *present, const char *column, json_t *wanted)
{
    if (ovsdb_map_equal(json_object_get(present, column), wanted))
        json_decref(wanted);
    else
        json_object_set_new(row, column, wanted);
}

/* The operations that turn what is there into what is wanted; an empty array when nothing differs. */
static json_t *port_changes(const struct switch_port *port, const struct found *found)
{
    json_t *operations = json_array(), *row = json_object();
    if (strcmp(ovsdb_text(found->interface, "type"), port->type) != 0)
        json_object_set_new(row, "type", json_string(port->type));
    set_if_different(row, found->interface, "options", ovsdb_map(port->options));
    if (port->external_ids != NULL)
        set_if_different(row, found->interface, "external_ids", ovsdb_map(port->external_ids));
    if (json_object_size(row) > 0)
        json_array_append_new(operations, ovsdb_update("Interface", "name", port->name, row));
    else
        json_decref(row);
    long long tag = 0;
    ovsdb_integer(found->port, "tag", &tag);
    if (port->tag >= 0 && tag != port->tag)
        json_array_append_new(operations,
            ovsdb_update("Port", "name", port->name, json_pack("{s:o}", "tag", tag_value(port->tag))));
    return operations;
}

static struct fault *port_number(struct arena *arena, struct ovs_switch *sw, const char *name, unsigned *ret)
{
    struct found found;
    long long number;
    TRY(find_port(arena, sw, name, &found));
    if (ovsdb_integer(found.interface, "ofport", &number) && number > 0) {
        if (ret != NULL)
            *ret = (unsigned)number;
        return NULL;
    }
    const char *error = ovsdb_text(found.interface, "error");
    return fault_new(arena, 500, NULL, "The switch cannot open port %s: %s", name, error[0] != '\0' ? error : "no reason");
}

struct fault *switch_ensure_port(struct arena *arena, struct ovs_switch *sw, const struct switch_port *port,
    unsigned *ret_ofport)
{
    struct found found;
    TRY(find_port(arena, sw, port->name, &found));
    if (found.port != NULL && (found.bridge == NULL || strcmp(found.bridge, port->bridge) != 0)) {
        TRY(switch_delete_port(arena, sw, port->name));
        found.port = NULL;
    }
    if (found.port == NULL) {
        TRY(create_port(arena, sw, port));
        return port_number(arena, sw, port->name, ret_ofport);
    }
    json_t *operations = port_changes(port, &found);
    long long number;
    bool opened = ovsdb_integer(found.interface, "ofport", &number) && number > 0;
    if (json_array_size(operations) > 0 || !opened)
        TRY(commit(arena, sw, operations)); /* also makes the switch try a port again that it could not open */
    else
        json_decref(operations);
    return port_number(arena, sw, port->name, ret_ofport);
}

struct fault *switch_delete_port(struct arena *arena, struct ovs_switch *sw, const char *name)
{
    struct found found;
    TRY(find_port(arena, sw, name, &found));
    if (found.port == NULL || found.bridge == NULL)
        return NULL;
    json_t *member = json_pack("[s,[[s,s]]]", "set", "uuid", found.port_uuid);
    return commit(arena, sw, json_pack("[o]", ovsdb_mutate("Bridge", "name", found.bridge, "ports", "delete", member)));
}

struct fault *switch_ensure_patch(struct arena *arena, struct ovs_switch *sw, const char *bridge, const char *name,
    const char *peer_bridge, const char *peer_name, unsigned *ret_ofport, unsigned *ret_peer_ofport)
{
    const char *const to_peer[] = { "peer", peer_name, NULL }, *const to_us[] = { "peer", name, NULL };
    struct switch_port port = { .bridge = bridge, .name = name, .type = "patch", .options = to_peer, .tag = -1 };
    struct switch_port peer = { .bridge = peer_bridge, .name = peer_name, .type = "patch", .options = to_us, .tag = -1 };
    TRY(switch_ensure_port(arena, sw, &port, ret_ofport));
    return switch_ensure_port(arena, sw, &peer, ret_peer_ofport);
}

const char *switch_tunnel_name(struct arena *arena, const char *remote_ip)
{
    struct in_addr address;
    if (inet_pton(AF_INET, remote_ip, &address) == 1)
        return arena_printf(arena, "vxlan-%08x", ntohl(address.s_addr));
    uint32_t hash = 2166136261u; /* FNV-1a: an IPv6 address does not fit into a port's name */
    for (const char *at = remote_ip; *at != '\0'; at++)
        hash = (hash ^ (unsigned char)*at) * 16777619u;
    return arena_printf(arena, "vxlan6%08x", hash);
}

struct fault *switch_ensure_tunnel(struct arena *arena, struct ovs_switch *sw, const char *bridge, const char *local_ip,
    const char *remote_ip, unsigned *ret_ofport)
{
    const char *const options[] = { "remote_ip", remote_ip, "local_ip", local_ip, "in_key", "flow", "out_key", "flow",
        "df_default", "true", NULL };
    struct switch_port port = { .bridge = bridge, .name = switch_tunnel_name(arena, remote_ip), .type = "vxlan",
        .options = options, .tag = -1 };
    return switch_ensure_port(arena, sw, &port, ret_ofport);
}

struct fault *switch_set_network(struct arena *arena, struct ovs_switch *sw, const char *name,
    const struct switch_network *network)
{
    struct found found;
    TRY(find_port(arena, sw, name, &found));
    if (found.port == NULL)
        return fault_new(arena, 500, NULL, "The switch has no port %s.", name);
    const char *pairs[11] = { "net_uuid", network->id, "network_type", network->type, "tag",
        arena_printf(arena, "%u", network->vlan) };
    size_t count = 6;
    if (network->segmentation_id > 0) {
        pairs[count++] = "segmentation_id";
        pairs[count++] = arena_printf(arena, "%d", network->segmentation_id);
    }
    if (network->physical_network != NULL) {
        pairs[count++] = "physical_network";
        pairs[count++] = network->physical_network;
    }
    json_t *config = ovsdb_map(pairs);
    long long tag = 0;
    ovsdb_integer(found.port, "tag", &tag);
    if (tag == network->vlan && ovsdb_map_equal(json_object_get(found.port, "other_config"), config)) {
        json_decref(config);
        return NULL;
    }
    json_t *row = json_pack("{s:i,s:o}", "tag", (int)network->vlan, "other_config", config);
    return commit(arena, sw, json_pack("[o]", ovsdb_update("Port", "name", name, row)));
}

static void fill_state(struct switch_port_state *state, json_t *port, json_t *interface)
{
    long long number = 0, tag = 0;
    ovsdb_integer(interface, "ofport", &number);
    ovsdb_integer(port, "tag", &tag);
    *state = (struct switch_port_state){
        .name = ovsdb_text(port, "name"),
        .iface_id = ovsdb_map_value(interface, "external_ids", "iface-id"),
        .mac = ovsdb_map_value(interface, "external_ids", "attached-mac"),
        .network_id = ovsdb_map_value(port, "other_config", "net_uuid"),
        .vlan = (unsigned)tag,
        .ofport = (int)number,
    };
}

struct fault *switch_list_ports(struct arena *arena, struct ovs_switch *sw, const char *bridge,
    struct switch_port_state **ret, size_t *ret_count)
{
    json_t *results, *row;
    size_t index;
    TRY(ask(arena, sw, json_pack("[o,o,o]", ovsdb_select("Bridge", "name", bridge, json_pack("[s]", "ports")),
        ovsdb_select("Port", NULL, NULL, json_pack("[s,s,s,s]", "_uuid", "name", "tag", "other_config")),
        ovsdb_select("Interface", NULL, NULL, json_pack("[s,s,s]", "name", "external_ids", "ofport"))), &results));
    json_t *members = json_object_get(json_array_get(ovsdb_rows(results, 0), 0), "ports");
    struct map interfaces = { 0 }, on_bridge = { 0 };
    json_array_foreach(ovsdb_rows(results, 2), index, row)
        map_set(&interfaces, ovsdb_text(row, "name"), row);
    json_t *list = json_is_array(json_array_get(members, 1)) ? json_array_get(members, 1) : NULL, *member;
    json_array_foreach(list, index, member) {
        const char *uuid = json_string_value(json_array_get(member, 1));
        if (uuid != NULL)
            map_set(&on_bridge, uuid, member);
    }
    if (json_is_string(json_array_get(members, 1))) /* a set of one is written without the word */
        map_set(&on_bridge, json_string_value(json_array_get(members, 1)), members);
    size_t count = 0;
    *ret = ARENA_ARRAY(arena, struct switch_port_state, json_array_size(ovsdb_rows(results, 1)) + 1);
    json_array_foreach(ovsdb_rows(results, 1), index, row) {
        if (map_has(&on_bridge, ovsdb_uuid(row)))
            fill_state(&(*ret)[count++], row, map_get(&interfaces, ovsdb_text(row, "name")));
    }
    map_release(&interfaces);
    map_release(&on_bridge);
    *ret_count = count;
    return NULL;
}
