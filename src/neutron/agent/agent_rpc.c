/* SPDX-License-Identifier: Apache-2.0
 *
 * agent_rpc: what the agents ask the server, on the topic q-plugin, with neutron's method names. DHCP is in dhcp_rpc.c.
 */
#include "base/log.h"
#include "neutron/agent/agent_rpc.h"
#include "neutron/security_groups.h"
#include "oslo/periodic.h"

#include <string.h>

/* ---- Reports ---- */

struct report_work {
    struct context *cx;
    struct agent_report report;
};

static struct fault *report_run(struct tx *tx, void *argument)
{
    struct report_work *work = argument;
    struct fault *fault = agent_report(work->cx, tx, &work->report);
    if (fault != NULL && fault->code == SQL_DUPLICATE)
        fault->retry = true; /* another server heard the agent first */
    return fault;
}

static struct fault *report_state(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result)
{
    const json_t *state = json_object_get(arguments, "agent_state");
    const json_t *configurations = json_object_get(state, "configurations");
    struct report_work work = { cx, {
        .type = json_text_at(state, "agent_type"), .binary = json_text_at(state, "binary"), .topic = json_text_at(state, "topic"),
        .host = json_text_at(state, "host"), .zone = json_text_at(state, "availability_zone"),
        .configurations = configurations != NULL ? json_dump(cx->arena, configurations) : "{}",
        .started = json_bool_at(state, "start_flag", false) } };
    if (work.report.type == NULL || work.report.host == NULL)
        return FAULT(cx, 400, "BadRequest", "The report names no agent type or host");
    return db_write(cx->arena, cx->app->db, report_run, &work);
}

/* ---- Ports' status ---- */

static struct fault *device_status(struct context *cx, const json_t *arguments, const char *status)
{
    const char *device = json_text_at(arguments, "device");
    return device != NULL ? port_set_status(cx, device, json_text_at(arguments, "host"), status) : NULL;
}

static struct fault *update_device_up(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result)
{
    return device_status(cx, arguments, "ACTIVE");
}

static struct fault *update_device_down(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result)
{
    return device_status(cx, arguments, "DOWN");
}

/* ---- Details of devices, security groups resolved ---- */

static struct fault *add_rules(struct context *cx, struct tx *tx, json_t *groups, const char *group_id, json_t *remotes)
{
    struct rows *rows;
    json_t *rules = json_array();
    if (json_object_get(groups, group_id) != NULL) {
        json_decref(rules);
        return NULL;
    }
    json_object_set_new(groups, group_id, rules);
    TRY(sql_query(tx, &rows, "SELECT direction, ethertype, protocol, port_range_min, port_range_max, normalized_cidr, "
        "remote_group_id "
        "FROM security_group_rules WHERE security_group_id = ? ORDER BY id", BIND(TEXT(group_id))));
    while (rows_next(rows)) {
        const char *remote = rows_text(rows, 6);
        json_t *rule = json_pack("{s:s, s:s, s:s?, s:s?, s:s?}", "direction", rows_text(rows, 0), "ethertype", rows_text(rows, 1),
            "protocol", rows_text(rows, 2), "remote_ip_prefix", rows_text(rows, 5), "remote_group_id", remote);
        if (!rows_null(rows, 2))
            json_object_set_new(rule, "protocol_number", json_integer(protocol_number(rows_text(rows, 2))));
        if (!rows_null(rows, 3))
            json_object_set_new(rule, "port_range_min", json_integer(rows_int(rows, 3)));
        if (!rows_null(rows, 4))
            json_object_set_new(rule, "port_range_max", json_integer(rows_int(rows, 4)));
        json_array_append_new(rules, rule);
        if (remote != NULL)
            json_object_set_new(remotes, remote, json_true());
    }
    return rows_fault(rows);
}

static void add_member(json_t *members, const char *address, const char *mac)
{
    if (address != NULL)
        json_array_append_new(members, json_pack("{s:s, s:s?}", "address", address, "mac", mac));
}

static struct fault *add_members(struct context *cx, struct tx *tx, json_t *all, const char *group_id)
{
    struct rows *rows;
    json_t *members = json_array();
    json_object_set_new(all, group_id, members);
    TRY(sql_query(tx, &rows, "SELECT p.fixed_ips, p.allowed_address_pairs, p.mac_address FROM ports p JOIN port_security_groups g "
        "ON g.port_id = p.id WHERE g.security_group_id = ? ORDER BY p.id", BIND(TEXT(group_id))));
    while (rows_next(rows)) {
        const json_t *ips = json_parse_own(cx->arena, rows_text(rows, 0)), *pairs = json_parse_own(cx->arena, rows_text(rows, 1));
        for (size_t i = 0; i < json_array_size(ips); i++)
            add_member(members, json_text_at(json_array_get(ips, i), "ip_address"), rows_text(rows, 2));
        for (size_t i = 0; i < json_array_size(pairs); i++) {
            const char *mac = json_text_at(json_array_get(pairs, i), "mac_address");
            add_member(members, json_text_at(json_array_get(pairs, i), "ip_address"), mac != NULL ? mac : rows_text(rows, 2));
        }
    }
    return rows_fault(rows);
}

static json_t *member_of_row(struct context *cx, struct rows *rows, int column)
{
    json_t *value = json_parse_own(cx->arena, rows_text(rows, column));
    return value != NULL ? json_incref(value) : json_array();
}

static struct fault *add_device(struct context *cx, struct tx *tx, const char *device, const char *host,
    json_t *result, json_t *remotes)
{
    struct rows *rows;
    TRY(sql_query(tx, &rows, "SELECT p.id, p.network_id, p.mac_address, p.admin_state_up, p.device_owner, p.port_security_enabled, "
        "p.fixed_ips, p.allowed_address_pairs, p.security_groups, n.network_type, n.physical_network, n.segmentation_id, n.mtu, "
        "p.status, p.host_id FROM ports p JOIN networks n ON n.id = p.network_id WHERE p.id = ?", BIND(TEXT(device))));
    if (!rows_next(rows)) {
        TRY(rows_fault(rows));
        json_array_append_new(json_object_get(result, "failed_devices"), json_string(device));
        return NULL;
    }
    json_t *groups = member_of_row(cx, rows, 8);
    if (rows_text(rows, 14) != NULL && strcmp(rows_text(rows, 14), host) == 0)
        json_array_append_new(json_object_get(result, "devices"),
            json_pack("{s:s, s:s, s:s, s:b, s:s, s:b, s:o, s:o, s:O, s:s, s:s?, s:I, s:I, s:s}", "device", rows_text(rows, 0),
                "network_id", rows_text(rows, 1), "mac_address", rows_text(rows, 2), "admin_state_up", (int)rows_int(rows, 3),
                "device_owner", rows_text(rows, 4), "port_security_enabled", (int)rows_int(rows, 5), "fixed_ips",
                    member_of_row(cx, rows, 6),
                "allowed_address_pairs", member_of_row(cx, rows, 7), "security_groups", groups, "network_type", rows_text(rows, 9),
                "physical_network", rows_text(rows, 10), "segmentation_id", (json_int_t)rows_int(rows, 11), "mtu",
                (json_int_t)rows_int(rows, 12), "status", rows_text(rows, 13)));
    rows_end(rows);
    struct fault *fault = NULL;
    for (size_t i = 0; i < json_array_size(groups) && fault == NULL; i++)
        fault = add_rules(cx, tx, json_object_get(result, "security_groups"), json_string_value(json_array_get(groups,
            i)), remotes);
    json_decref(groups);
    return fault;
}

/* {"devices": [...], "failed_devices": [ids that are no ports], "security_groups": {id: [rule]}, "members": {id: [member]}} */
static struct fault *devices_details(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result)
{
    const json_t *devices = json_object_get(arguments, "devices");
    const char *host = json_text_at(arguments, "host"), *group_id;
    json_t *result = json_keep(cx->arena, json_pack("{s:[], s:[], s:{}, s:{}}", "devices", "failed_devices",
        "security_groups", "members"));
    json_t *remotes = json_keep(cx->arena, json_object()), *unused;
    struct tx *tx;

    if (host == NULL)
        return FAULT(cx, 400, "BadRequest", "No host is named");
    TRY(db_read(cx->arena, cx->app->db, &tx));
    struct fault *fault = NULL;
    for (size_t i = 0; i < json_array_size(devices) && fault == NULL; i++)
        if (json_is_string(json_array_get(devices, i)))
            fault = add_device(cx, tx, json_string_value(json_array_get(devices, i)), host, result, remotes);
    json_object_foreach(remotes, group_id, unused)
        if (fault == NULL)
            fault = add_members(cx, tx, json_object_get(result, "members"), group_id);
    tx_end(tx);
    TRY(fault);
    *ret_result = json_incref(result);
    return NULL;
}

/* The tunnel addresses of the other hosts: {"tunnels": [{"host", "ip_address"}]}. */
static struct fault *tunnel_sync(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result)
{
    const char *host = json_text_at(arguments, "host");
    json_t *tunnels = json_array();
    struct rows *rows;
    struct tx *tx;
    *ret_result = json_pack("{s:o}", "tunnels", tunnels);
    TRY(db_read(cx->arena, cx->app->db, &tx));
    TRY(sql_query(tx, &rows, "SELECT host, configurations FROM agents WHERE agent_type = 'Open vSwitch agent' ORDER BY "
        "host", NO_BIND));
    while (rows_next(rows)) {
        const char *ip = json_text_at(json_parse_own(cx->arena, rows_text(rows, 1)), "tunneling_ip");
        if (ip != NULL && (host == NULL || strcmp(host, rows_text(rows, 0)) != 0))
            json_array_append_new(tunnels, json_pack("{s:s, s:s}", "host", rows_text(rows, 0), "ip_address", ip));
    }
    struct fault *fault = rows_fault(rows);
    tx_end(tx);
    return fault;
}

/* Which server a metadata request comes from: {"device_id", "project_id"} or null. */
static struct fault *port_by_address(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result)
{
    const char *network_id = json_text_at(arguments, "network_id"), *ip = json_text_at(arguments, "ip_address");
    struct address address;
    struct rows *rows;
    struct tx *tx;
    if (network_id == NULL || ip == NULL || !address_parse(ip, &address))
        return NULL;
    TRY(db_read(cx->arena, cx->app->db, &tx));
    TRY(sql_query(tx, &rows, "SELECT p.device_id, p.project_id FROM ip_allocations a JOIN ports p ON p.id = a.port_id WHERE "
        "a.network_id = ? AND a.address = ?", BIND(TEXT(network_id), TEXT(address_key(cx->arena, address)))));
    if (rows_next(rows)) {
        *ret_result = json_pack("{s:s, s:s}", "device_id", rows_text(rows, 0), "project_id", rows_text(rows, 1));
        rows_end(rows);
    }
    struct fault *fault = rows_fault(rows);
    tx_end(tx);
    return fault;
}

static const struct rpc_method methods[] = {
    { "report_state",                                  "1.0", report_state     },
    { "update_device_up",                              "1.0", update_device_up },
    { "update_device_down",                            "1.0", update_device_down },
    { "get_devices_details_list_and_failed_devices",   "1.5", devices_details  },
    { "tunnel_sync",                                   "1.0", tunnel_sync      },
    { "get_port_by_address",                           "1.0", port_by_address  },
    { "get_active_networks_info",                      "1.8", dhcp_networks_info },
    { NULL, NULL, NULL },
};

/* Simulated hosts: binding.c makes their agents when they are first needed; here they stay alive. */
static struct fault *beat(struct context *cx, void *owner)
{
    return db_exec(cx->arena, cx->app->db, "UPDATE agents SET heartbeat_timestamp = ? WHERE agent_type = 'Open vSwitch agent'",
        BIND(TEXT(clock_text(cx->arena, clock_now_us(), CLOCK_SQL_US))), NULL);
}

static struct periodic *heart;

struct fault *plugin_start(struct context *cx)
{
    if (cx->app->cloud->fake_compute > 0)
        heart = periodic_start(cx->app, "simulated agents", 0, config_int(cx->app->config, "AGENT", "report_interval") * 1000,
            beat, NULL);
    return rpc_serve(cx, "q-plugin", cx->app->cloud->host, methods, NULL, 4);
}

void plugin_stop(struct app *app)
{
    periodic_stop(heart);
    heart = NULL;
}
