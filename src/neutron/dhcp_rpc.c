/* SPDX-License-Identifier: Apache-2.0
 *
 * dhcp_rpc: which networks a host's DHCP agent serves, and the ports that it serves them from.
 */
#include "base/log.h"
#include "neutron/agent/agent_rpc.h"

#include <string.h>

/* ---- Scheduling: a network with DHCP that has too few agents gets this one ---- */

struct schedule_work {
    struct context *cx;
    const char *host;
};

static struct fault *schedule_run(struct tx *tx, void *argument)
{
    const struct schedule_work *work = argument;
    int64_t most = config_int(work->cx->app->config, "DEFAULT", "dhcp_agents_per_network");
    const char *agent_id;
    TRY(tx_serialize(tx, "dhcp agents"));
    TRY(sql_text_of(tx, &agent_id, "SELECT id FROM agents WHERE agent_type = 'DHCP agent' AND host = ? AND admin_state_up = 1",
        BIND(TEXT(work->host))));
    if (agent_id == NULL)
        return NULL;
    return sql_exec(tx, "INSERT INTO network_dhcp_agents (network_id, agent_id, removed) SELECT n.id, ?, 0 FROM networks n WHERE "
        "EXISTS (SELECT 1 FROM subnets s WHERE s.network_id = n.id AND s.enable_dhcp = 1) AND "
        "(SELECT COUNT(*) FROM network_dhcp_agents d WHERE d.network_id = n.id AND d.removed = 0) < ? AND "
        "NOT EXISTS (SELECT 1 FROM network_dhcp_agents d WHERE d.network_id = n.id AND d.agent_id = ?)",
        BIND(TEXT(agent_id), INT(most), TEXT(agent_id)));
}

/* ---- The DHCP port ---- */

/* As neutron: "dhcp" + UUID of the host + network, so that a port is found again. The host's name stands for its UUID. */
const char *dhcp_device_id(struct context *cx, const char *host, const char *network_id)
{
    return arena_printf(cx->arena, "dhcp-%s-%s", host, network_id);
}

static json_t *wanted_addresses(struct context *cx, const json_t *subnets)
{
    json_t *wanted = json_keep(cx->arena, json_array());
    for (size_t i = 0; i < json_array_size(subnets); i++)
        if (json_bool_at(json_array_get(subnets, i), "enable_dhcp", false))
            json_array_append_new(wanted, json_pack("{s:s}", "subnet_id", json_text_at(json_array_get(subnets, i), "id")));
    return wanted;
}

static bool addresses_fit(const json_t *wanted, const json_t *present)
{
    if (json_array_size(wanted) != json_array_size(present))
        return false;
    for (size_t i = 0; i < json_array_size(wanted); i++) {
        bool found = false;
        for (size_t k = 0; k < json_array_size(present) && !found; k++)
            found = strcmp(json_text_at(json_array_get(wanted, i), "subnet_id"), json_text_at(json_array_get(present,
                k), "subnet_id")) == 0;
        if (!found)
            return false;
    }
    return true;
}

static struct fault *port_make(struct context *cx, const char *host, const char *network_id, const char *project_id, json_t *wanted)
{
    struct op *op = op_create(cx, NULL, &port_resource, OP_CREATE);
    json_t *body = json_keep(cx->arena, json_pack("{s:s, s:s, s:s, s:s, s:O, s:s, s:b}", "network_id", network_id, "project_id",
        project_id, "device_owner", "network:dhcp", "device_id", dhcp_device_id(cx, host, network_id), "fixed_ips", wanted,
        "binding:host_id", host, "port_security_enabled", 0));
    page_create(op, 1);
    TRY(resource_parse_object(op, body, &op->page.rows[0]));
    TRY(port_resource.validate(op, &op->page.rows[0]));
    return resource_commit(op);
}

/* Naming the host again binds a port that no living OVS agent could bind when it was made; one that was reserved is ours now. */
static struct fault *port_amend(struct context *cx, const char *host, const char *network_id, const char *port_id, json_t *wanted)
{
    struct op *op = op_create(cx, NULL, &port_resource, OP_UPDATE);
    page_create(op, 1);
    TRY(resource_parse_object(op, json_keep(cx->arena, json_pack("{s:O, s:s, s:s}", "fixed_ips", wanted, "binding:host_id", host,
        "device_id", dhcp_device_id(cx, host, network_id))), &op->page.rows[0]));
    op->page.rows[0].values[PORT_ID] = VALUE_STR(port_id);
    return resource_commit(op);
}

/* ---- What a network is ---- */

static json_t *document(struct context *cx, struct rows *rows, int column)
{
    json_t *value = json_parse_own(cx->arena, rows_text(rows, column));
    return value != NULL ? json_incref(value) : json_array();
}

static struct fault *read_subnets(struct context *cx, struct tx *tx, const char *network_id, json_t *network)
{
    json_t *list = json_array();
    struct rows *rows;
    json_object_set_new(network, "subnets", list);
    TRY(sql_query(tx, &rows, "SELECT id, cidr, gateway_ip, ip_version, enable_dhcp, ipv6_address_mode, ipv6_ra_mode, "
        "dns_nameservers, "
        "host_routes FROM subnets WHERE network_id = ? ORDER BY id", BIND(TEXT(network_id))));
    while (rows_next(rows))
        json_array_append_new(list, json_pack("{s:s, s:s, s:s?, s:I, s:b, s:s?, s:s?, s:o, s:o}", "id", rows_text(rows, 0), "cidr",
            rows_text(rows, 1), "gateway_ip", rows_text(rows, 2), "ip_version", (json_int_t)rows_int(rows, 3), "enable_dhcp",
            (int)rows_int(rows, 4), "ipv6_address_mode", rows_text(rows, 5), "ipv6_ra_mode", rows_text(rows, 6), "dns_nameservers",
            document(cx, rows, 7), "host_routes", document(cx, rows, 8)));
    return rows_fault(rows);
}

static struct fault *read_ports(struct context *cx, struct tx *tx, const char *network_id, const char *own_device, json_t *network)
{
    json_t *list = json_array();
    struct rows *rows;
    json_object_set_new(network, "ports", list);
    TRY(sql_query(tx, &rows, "SELECT id, mac_address, device_owner, fixed_ips, extra_dhcp_opts, device_id, vif_type "
        "FROM ports WHERE network_id = ? "
        "ORDER BY id", BIND(TEXT(network_id))));
    while (rows_next(rows)) {
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:o, s:o}", "id", rows_text(rows, 0), "mac_address",
            rows_text(rows, 1),
            "device_owner", rows_text(rows, 2), "fixed_ips", document(cx, rows, 3), "extra_dhcp_opts", document(cx, rows, 4)));
        bool of_agents = strcmp(rows_text(rows, 2), "network:dhcp") == 0, own = strcmp(rows_text(rows, 5), own_device) == 0;
        bool reserved = strcmp(rows_text(rows, 5), RESERVED_DHCP_PORT) == 0 && json_object_get(network, "own_port") == NULL;
        if (of_agents && (own || reserved)) {
            json_object_set_new(network, "own_is_reserved", json_boolean(!own));
            json_object_set_new(network, "own_port", json_string(rows_text(rows, 0)));
            json_object_set_new(network, "own_ips", document(cx, rows, 3));
            json_object_set_new(network, "own_vif", json_string(rows_text(rows, 6)));
        }
    }
    return rows_fault(rows);
}

static struct fault *read_network(struct context *cx, const char *host, json_t *network)
{
    const char *id = json_text_at(network, "id");
    struct tx *tx;
    json_object_del(network, "own_port");
    TRY(db_read(cx->arena, cx->app->db, &tx));
    struct fault *fault = read_subnets(cx, tx, id, network);
    if (fault == NULL)
        fault = read_ports(cx, tx, id, dhcp_device_id(cx, host, id), network);
    tx_end(tx);
    return fault;
}

static struct fault *complete_network(struct context *cx, const char *host, json_t *network)
{
    const char *own, *id = json_text_at(network, "id");
    TRY(read_network(cx, host, network));
    json_t *wanted = wanted_addresses(cx, json_object_get(network, "subnets"));
    own = json_text_at(network, "own_port");
    const char *vif = json_text_at(network, "own_vif");
    bool bound = vif != NULL && strcmp(vif, "binding_failed") != 0 && !json_bool_at(network, "own_is_reserved", false);
    if (json_array_size(wanted) == 0 || (own != NULL && bound && addresses_fit(wanted, json_object_get(network, "own_ips"))))
        return NULL;
    if (own == NULL)
        TRY(port_make(cx, host, id, json_text_at(network, "project_id"), wanted));
    else
        TRY(port_amend(cx, host, id, own, wanted));
    return read_network(cx, host, network);
}

struct fault *dhcp_networks_info(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result)
{
    struct schedule_work work = { cx, json_text_at(arguments, "host") };
    json_t *result = json_keep(cx->arena, json_pack("{s:[]}", "networks")), *networks = json_object_get(result, "networks");
    struct rows *rows;
    struct tx *tx;
    if (work.host == NULL)
        return FAULT(cx, 400, "BadRequest", "No host is named");
    TRY(db_write(cx->arena, cx->app->db, schedule_run, &work));
    TRY(db_read(cx->arena, cx->app->db, &tx));
    TRY(sql_query(tx, &rows, "SELECT n.id, n.project_id, n.mtu FROM networks n JOIN network_dhcp_agents d ON "
        "d.network_id = n.id AND d.removed = 0 JOIN agents a "
        "ON a.id = d.agent_id WHERE a.host = ? AND n.admin_state_up = 1 ORDER BY n.id", BIND(TEXT(work.host))));
    while (rows_next(rows))
        json_array_append_new(networks, json_pack("{s:s, s:s?, s:I}", "id", rows_text(rows, 0),
            "project_id", rows_text(rows, 1), "mtu", (json_int_t)rows_int(rows, 2)));
    struct fault *fault = rows_fault(rows);
    tx_end(tx);
    TRY(fault);
    for (size_t i = json_array_size(networks); i-- > 0;) {
        fault = complete_network(cx, work.host, json_array_get(networks, i));
        if (fault == NULL)
            continue;
        log_warning("neutron.dhcp", "network %s: %s", json_text_at(json_array_get(networks, i), "id"),
            fault_text(cx->arena, fault));
        json_array_remove(networks, i);
    }
    *ret_result = json_incref(result);
    return NULL;
}
