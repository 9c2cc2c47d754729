/* SPDX-License-Identifier: Apache-2.0
 *
 * binding: the mechanism driver openvswitch. A port is bound when the host that is named has a living agent that can carry
 * the port's network; it becomes ACTIVE when that agent says that it is wired.
 */
#include "base/log.h"
#include "neutron/private.h"

#include <string.h>

static const char agent_type[] = "Open vSwitch agent";

static bool text_listed(const json_t *list, const char *text)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (json_is_string(json_array_get(list, i)) && strcmp(json_string_value(json_array_get(list, i)), text) == 0)
            return true;
    return false;
}

/* Why the agent with these configurations cannot carry the network; NULL: it can. */
static const char *obstacle(struct context *cx, const json_t *configurations, const struct network_info *info)
{
    if (strcmp(info->type, "vxlan") == 0)
        return text_listed(json_object_get(configurations, "tunnel_types"), "vxlan") ? NULL : "the agent has no vxlan tunnels";
    if (json_object_get(json_object_get(configurations, "bridge_mappings"), info->physical_network) == NULL)
        return arena_printf(cx->arena, "the agent has no bridge for physical network %s", info->physical_network);
    return NULL;
}

static void unbind(struct row *row, const char *vif_type)
{
    row->values[PORT_VIF_TYPE] = VALUE_STR(vif_type);
    row->values[PORT_VIF_DETAILS] = VALUE_RAW("{}");
    row->values[PORT_STATUS] = VALUE_STR("DOWN");
}

struct fault *port_bind(struct op *op, struct row *row, const struct network_info *info)
{
    struct context *cx = op->cx;
    const char *host = row_text(row, PORT_HOST_ID), *text = NULL, *why = NULL;
    const char *bound = row_text(row, PORT_VIF_TYPE);

    if (host[0] == '\0') {
        unbind(row, "unbound");
        return NULL;
    }
    if (op->kind == OP_UPDATE && !row_changed(row, PORT_HOST_ID) && !row_changed(row, PORT_VNIC_TYPE) && bound != NULL &&
        strcmp(bound, "ovs") == 0)
        return NULL;
    if (cx->app->cloud->fake_compute > 0)
        TRY(agent_simulate(cx, op->tx, host));
    TRY(agent_alive(cx, op->tx, agent_type, host, &text));
    const json_t *configurations = json_parse_own(cx->arena, text);
    if (text == NULL)
        why = "there is no living Open vSwitch agent";
    else if (strcmp(row_text(row, PORT_VNIC_TYPE), "normal") != 0)
        why = "the openvswitch mechanism carries vnic_type normal only";
    else
        why = obstacle(cx, configurations, info);
    if (why != NULL) {
        log_warning("neutron.plugins.ml2", "Failed to bind port %s on host %s for vnic_type %s: %s", row_text(row, PORT_ID), host,
            row_text(row, PORT_VNIC_TYPE), why);
        unbind(row, "binding_failed");
        return NULL;
    }
    unbind(row, "ovs");
    const char *datapath = json_text_at(configurations, "datapath_type");
    row->values[PORT_VIF_DETAILS] = VALUE_RAW(arena_printf(cx->arena,
        "{\"port_filter\":true,\"connectivity\":\"l2\",\"ovs_hybrid_plug\":false,"
        "\"datapath_type\":\"%s\",\"bridge_name\":\"br-int\",\"bound_drivers\":{\"0\":\"openvswitch\"}}",
            datapath != NULL ? datapath : "system"));
    return NULL;
}

/* ---- Status ---- */

struct status_change {
    const char *port_id, *host, *status;
    const char *before, *device_id, *device_owner; /* found */
};

static struct fault *status_run(struct tx *tx, void *argument)
{
    struct status_change *change = argument;
    struct rows *rows;
    change->before = NULL;
    TRY(tx_serialize_on(tx, "port", change->port_id));
    TRY(sql_query(tx, &rows, "SELECT status, device_id, device_owner, host_id, admin_state_up FROM ports WHERE id = ?",
        BIND(TEXT(change->port_id))));
    if (!rows_next(rows))
        return rows_fault(rows);
    const char *host = rows_text(rows, 3);
    if (change->host == NULL || (host != NULL && strcmp(host, change->host) == 0)) {
        change->before = rows_text(rows, 0);
        change->device_id = rows_text(rows, 1);
        change->device_owner = rows_text(rows, 2);
        if (!rows_int(rows, 4) && strcmp(change->status, "ACTIVE") == 0)
            change->status = "DOWN";
    }
    rows_end(rows);
    if (change->before == NULL || strcmp(change->before, change->status) == 0)
        return NULL;
    return sql_exec_later(tx, "UPDATE ports SET status = ?, revision = revision + 1, updated_at = ? WHERE id = ?",
        BIND(TEXT(change->status), TEXT(clock_text(tx_arena(tx), clock_now_us(), CLOCK_SQL_US)), TEXT(change->port_id)));
}

struct fault *port_set_status(struct context *cx, const char *port_id, const char *host, const char *status)
{
    struct status_change change = { .port_id = port_id, .host = host, .status = status };
    TRY(db_write(cx->arena, cx->app->db, status_run, &change));
    if (change.before == NULL || change.device_id == NULL || change.device_id[0] == '\0' ||
        strncmp(change.device_owner, "compute:", 8) != 0)
        return NULL;
    /* A repeated "up" is told again: nova may have asked for the port anew (reboot), and a message may have been lost. */
    if (strcmp(change.status, "ACTIVE") == 0)
        notify_nova(cx, "network-vif-plugged", change.device_id, port_id, "completed");
    else if (strcmp(change.status, "DOWN") == 0 && strcmp(change.before, "ACTIVE") == 0)
        notify_nova(cx, "network-vif-unplugged", change.device_id, port_id, "completed");
    else if (strcmp(change.status, "ERROR") == 0)
        notify_nova(cx, "network-vif-plugged", change.device_id, port_id, "failed");
    return NULL;
}

/* ---- Simulated hosts ---- */

struct simulated {
    struct arena *arena;
    struct context cx;
    const char *port_id, *host;
};

static void simulated_run(void *argument)
{
    struct simulated *work = argument;
    struct arena *arena = work->arena;
    struct fault *fault = port_set_status(&work->cx, work->port_id, work->host, "ACTIVE");
    if (fault != NULL)
        log_warning("neutron.agent", "simulated port %s: %s", work->port_id, fault_text(arena, fault));
    arena_destroy(arena);
}

void port_simulate(struct op *op, struct row *row)
{
    const char *device = row_text(row, PORT_DEVICE_ID);
    if (op->cx->app->cloud->fake_compute <= 0 || strcmp(row_text(row, PORT_VIF_TYPE), "ovs") != 0 || device == NULL ||
        device[0] == '\0')
        return;
    if (op->kind == OP_UPDATE && !row_changed(row, PORT_HOST_ID) && !row_changed(row, PORT_DEVICE_ID))
        return;
    struct arena *arena = arena_create();
    struct simulated *work = ARENA_NEW(arena, struct simulated);
    work->arena = arena;
    work->cx = context_child(op->cx, arena);
    work->port_id = arena_strdup(arena, row_text(row, PORT_ID));
    work->host = arena_strdup(arena, row_text(row, PORT_HOST_ID));
    if (!work_submit(op->cx->app->cloud->messages, simulated_run, work)) {
        log_warning("neutron.agent", "simulated port %s: the message pool is full", work->port_id);
        arena_destroy(arena);
    }
}
