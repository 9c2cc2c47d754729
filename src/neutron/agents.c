/* SPDX-License-Identifier: Apache-2.0
 *
 * agents: the programs on the hosts, as they report themselves. API reference: Agents.
 */
#include "base/random.h"
#include "neutron/private.h"

#include <string.h>
#include <strings.h>

enum {
    ID, TYPE, BINARY, TOPIC, HOST, ADMIN_STATE_UP, CREATED, STARTED, HEARTBEAT, ALIVE, CONFIGURATIONS, DESCRIPTION,
        ZONE, SYNCED, FIELDS
};

static bool is_alive(struct context *cx, const char *heartbeat)
{
    int64_t moment, down = config_int(cx->app->config, "DEFAULT", "agent_down_time");
    return heartbeat != NULL && clock_parse(heartbeat, &moment) && clock_now_us() - moment < down * 1000000;
}

static struct fault *load_alive(struct op *op, struct page *page, size_t field)
{
    for (size_t i = 0; i < page->count; i++)
        page->rows[i].values[field] = VALUE_BOOL(is_alive(op->cx, row_text(&page->rows[i], HEARTBEAT)));
    return NULL;
}

static struct fault *load_null(struct op *op, struct page *page, size_t field)
{
    for (size_t i = 0; i < page->count; i++)
        page->rows[i].values[field] = VALUE_NONE;
    return NULL;
}

static struct fault *alive_filter(struct op *op, const struct field *field, const char *const *values, size_t count,
    struct where *where)
{
    int64_t down = config_int(op->cx->app->config, "DEFAULT", "agent_down_time");
    const char *since = clock_text(op->cx->arena, clock_now_us() - down * 1000000, CLOCK_SQL_US);
    bool alive = strcasecmp(values[0], "true") == 0 || strcmp(values[0], "1") == 0;
    where_and(where, alive ? "heartbeat_timestamp > ?" : "heartbeat_timestamp <= ?", BIND(TEXT(since)));
    return NULL;
}

static const struct field agent_fields[FIELDS] = {
    [ID]             = { "id",                  UUID,   COLUMN("id"),                  FILTER | SORT },
    [TYPE]           = { "agent_type",          STR,    COLUMN("agent_type"),          FILTER | SORT },
    [BINARY]         = { "binary",              STR,    COLUMN("binary"),              FILTER | SORT },
    [TOPIC]          = { "topic",               STR,    COLUMN("topic"),               FILTER | SORT },
    [HOST]           = { "host",                STR,    COLUMN("host"),                FILTER | SORT },
    [ADMIN_STATE_UP] = { "admin_state_up",      BOOL,   COLUMN("admin_state_up"),      UPDATE | FILTER | SORT },
    [CREATED]        = { "created_at",          TIME,   COLUMN("created_at"),          SORT, .format = CLOCK_SQL },
    [STARTED]        = { "started_at",          TIME,   COLUMN("started_at"),          SORT, .format = CLOCK_SQL },
    [HEARTBEAT]      = { "heartbeat_timestamp", TIME,   COLUMN("heartbeat_timestamp"), SORT, .format = CLOCK_SQL },
    [ALIVE]          = { "alive",               BOOL,   LOADER(load_alive),            FILTER, .filter = alive_filter },
    [CONFIGURATIONS] = { "configurations",      OBJECT, COLUMN("configurations"),      0 },
    [DESCRIPTION]    = { "description",         STR,    COLUMN("description"),         UPDATE | FILTER | SORT | NULLABLE },
    [ZONE]           = { "availability_zone",   STR,    COLUMN("availability_zone"),   FILTER | SORT },
    [SYNCED]         = { "resources_synced",    BOOL,   LOADER(load_null),             0 },
};

static struct fault *agent_remove(struct op *op, struct row *row)
{
    return sql_exec(op->tx, "DELETE FROM network_dhcp_agents WHERE agent_id = ?", BIND(TEXT(row_text(row, ID))));
}

const struct resource agent_resource = {
    .name = "agent", .plural = "agents", .table = "agents", .fields = agent_fields, .count = FIELDS, .id = ID,
    .dialect = &neutron_resources, .order = "agent_type, host", .not_found = "AgentNotFound",
    .not_found_text = "Agent %s could not be found.", .remove = agent_remove,
};

/* ---- Reports ---- */

struct fault *agent_alive(struct context *cx, struct tx *tx, const char *type, const char *host, const char **ret_configurations)
{
    struct rows *rows;
    *ret_configurations = NULL;
    TRY(sql_query(tx, &rows, "SELECT configurations, heartbeat_timestamp, admin_state_up FROM agents WHERE agent_type "
        "= ? AND host = ?",
        BIND(TEXT(type), TEXT(host))));
    if (rows_next(rows)) {
        if (is_alive(cx, rows_text(rows, 1)))
            *ret_configurations = rows_text(rows, 0);
        rows_end(rows);
    }
    return rows_fault(rows);
}

static struct fault *agent_insert(struct context *cx, struct tx *tx, const struct agent_report *report)
{
    const char *now = clock_text(cx->arena, clock_now_us(), CLOCK_SQL_US);
    return sql_exec(tx, "INSERT INTO agents (id, agent_type, `binary`, topic, host, admin_state_up, availability_zone, "
        "configurations, "
        "created_at, started_at, heartbeat_timestamp) VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?)",
        BIND(TEXT(uuid_new(cx->arena)), TEXT(report->type), TEXT(report->binary), TEXT(report->topic), TEXT(report->host),
        TEXT(report->zone), TEXT(report->configurations), TEXT(now), TEXT(now), TEXT(now)));
}

struct fault *agent_report(struct context *cx, struct tx *tx, const struct agent_report *report)
{
    const char *now = clock_text(cx->arena, clock_now_us(), CLOCK_SQL_US);
    int64_t changed;
    TRY(sql_exec_changed(tx, "UPDATE agents SET `binary` = ?, topic = ?, availability_zone = ?, configurations = ?, "
        "heartbeat_timestamp = ? "
        "WHERE agent_type = ? AND host = ?", BIND(TEXT(report->binary), TEXT(report->topic), TEXT(report->zone),
        TEXT(report->configurations), TEXT(now), TEXT(report->type), TEXT(report->host)), &changed));
    if (changed > 0 && report->started)
        return sql_exec(tx, "UPDATE agents SET started_at = ? WHERE agent_type = ? AND host = ?",
            BIND(TEXT(now), TEXT(report->type), TEXT(report->host)));
    return changed > 0 ? NULL : agent_insert(cx, tx, report);
}

struct fault *agent_simulate(struct context *cx, struct tx *tx, const char *host)
{
    const char *found;
    TRY(agent_alive(cx, tx, "Open vSwitch agent", host, &found));
    if (found != NULL)
        return NULL;
    struct agent_report report = { .type = "Open vSwitch agent", .binary = "neutron-openvswitch-agent",
        .topic = "N/A", .host = host,
        .configurations = "{\"tunnel_types\":[\"vxlan\"],\"bridge_mappings\":{\"provider\":\"br-provider\"},"
                          "\"datapath_type\":\"netdev\"}" };
    return agent_report(cx, tx, &report);
}

static const struct route rows[] = {
    ROUTE(GET,    "/v2.0/agents",                    "get_agent",         resource_list,     HANDLER_POLICY, .resource = &agent_resource),
    ROUTE(GET,    "/v2.0/agents/{id}",               "get_agent",         resource_show,     HANDLER_POLICY, .resource = &agent_resource),
    ROUTE(PUT,    "/v2.0/agents/{id}",               "update_agent",      resource_update,   HANDLER_POLICY, .resource = &agent_resource),
    ROUTE(DELETE, "/v2.0/agents/{id}",               "delete_agent",      resource_delete,   HANDLER_POLICY, .resource = &agent_resource, .status = 204),
};
const struct route_table agent_routes = ROUTES(rows);
