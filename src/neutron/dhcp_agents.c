/* SPDX-License-Identifier: Apache-2.0
 *
 * dhcp_agents: which DHCP agents serve a network, as they took it (dhcp_rpc.c) or as an operator put it. API reference: DHCP agent
 * scheduler. What he took off an agent stays off it until he puts it back: the row stays, marked.
 */
#include "neutron/private.h"

#include <string.h>

static struct fault *no_agent(struct context *cx, const char *id)
{
    return FAULT(cx, 404, "AgentNotFound", "Agent %s could not be found.", id);
}

static struct fault *networks_of_agent(struct request *rq)
{
    const char *id = request_argument(rq, "id"), *found;
    struct op *op = op_create(RQ(rq), NULL, &network_resource, OP_LIST);
    struct where *where = ARENA_NEW(op->cx->arena, struct where);
    where_init(where, op->cx->arena);
    where_and(where, "id IN (SELECT network_id FROM network_dhcp_agents WHERE agent_id = ? AND removed = 0)", BIND(TEXT(id)));
    TRY(db_read(op->cx->arena, op->cx->app->db, &op->tx));
    TRY(sql_text_of(op->tx, &found, "SELECT id FROM agents WHERE id = ?", BIND(TEXT(id))));
    if (found == NULL)
        return no_agent(op->cx, id);
    TRY(resource_select(op, where));
    TRY(resource_load(op));
    tx_end(op->tx);
    op->tx = NULL;
    op->rq = rq;
    return resource_respond(op);
}

static struct fault *agents_of_network(struct request *rq)
{
    struct op *op = op_create(RQ(rq), rq, &agent_resource, OP_LIST);
    struct where *where = ARENA_NEW(op->cx->arena, struct where);
    where_init(where, op->cx->arena);
    where_and(where, "id IN (SELECT agent_id FROM network_dhcp_agents WHERE network_id = ? AND removed = 0)",
        BIND(TEXT(request_argument(rq, "id"))));
    return resource_respond_list(op, where);
}

struct placing {
    struct context *cx;
    const char *agent_id, *network_id;
};

static struct fault *add_run(struct tx *tx, void *argument)
{
    const struct placing *placing = argument;
    struct network_info *network;
    const char *usable;
    int64_t count;
    TRY(tx_serialize(tx, "dhcp agents"));
    TRY(network_info(tx, placing->network_id, &network));
    if (network == NULL)
        return FAULT(placing->cx, 404, "NetworkNotFound", "Network %s could not be found.", placing->network_id);
    TRY(sql_int_of(tx, &count, 0, "SELECT COUNT(*) FROM agents WHERE id = ?", BIND(TEXT(placing->agent_id))));
    if (count == 0)
        return no_agent(placing->cx, placing->agent_id);
    TRY(sql_text_of(tx, &usable, "SELECT host FROM agents WHERE id = ? AND agent_type = 'DHCP agent' AND admin_state_up = 1",
        BIND(TEXT(placing->agent_id))));
    if (usable == NULL)
        return FAULT(placing->cx, 404, "InvalidDHCPAgent", "Agent %s is not a valid DHCP Agent or has been disabled.",
            placing->agent_id);
    TRY(sql_int_of(tx, &count, 0, "SELECT COUNT(*) FROM network_dhcp_agents WHERE network_id = ? AND agent_id = ? AND removed = 0",
        BIND(TEXT(placing->network_id), TEXT(placing->agent_id))));
    if (count > 0)
        return FAULT(placing->cx, 409, "NetworkHostedByDHCPAgent", "The network %s has been already hosted by the DHCP Agent %s.",
            placing->network_id, placing->agent_id);
    TRY(sql_exec(tx, "DELETE FROM network_dhcp_agents WHERE network_id = ? AND agent_id = ?",
        BIND(TEXT(placing->network_id), TEXT(placing->agent_id))));
    return sql_exec(tx, "INSERT INTO network_dhcp_agents (network_id, agent_id, removed) VALUES (?, ?, 0)",
        BIND(TEXT(placing->network_id), TEXT(placing->agent_id)));
}

static struct fault *network_add(struct request *rq)
{
    const struct placing placing = { RQ(rq), request_argument(rq, "id"), json_text_at(rq->body, "network_id") };
    if (placing.network_id == NULL)
        return invalid_value(placing.cx, "network_id", "'%s' is not a valid UUID", json_shown(rq->cx.arena,
            json_object_get(rq->body, "network_id")));
    TRY(db_write(rq->cx.arena, rq->cx.app->db, add_run, (void *)&placing));
    notify_agents(placing.cx, "network_update", "network", placing.network_id);
    json_begin(&rq->json, NULL);
    json_end(&rq->json);
    return NULL;
}

/* As the reference: its port is kept for the agent that comes next, with its address. */
static struct fault *remove_run(struct tx *tx, void *argument)
{
    const struct placing *placing = argument;
    const char *host;
    int64_t changed;
    TRY(tx_serialize(tx, "dhcp agents"));
    TRY(sql_text_of(tx, &host, "SELECT host FROM agents WHERE id = ?", BIND(TEXT(placing->agent_id))));
    if (host == NULL)
        return no_agent(placing->cx, placing->agent_id);
    TRY(sql_exec_changed(tx, "UPDATE network_dhcp_agents SET removed = 1 WHERE network_id = ? AND agent_id = ? AND removed = 0",
        BIND(TEXT(placing->network_id), TEXT(placing->agent_id)), &changed));
    if (changed == 0)
        return FAULT(placing->cx, 409, "NetworkNotHostedByDhcpAgent", "The network %s is not hosted by the DHCP Agent %s.",
            placing->network_id, placing->agent_id);
    return sql_exec(tx, "UPDATE ports SET device_id = '" RESERVED_DHCP_PORT "', revision = revision + 1 WHERE network_id = ? AND"
        " device_id = ?", BIND(TEXT(placing->network_id), TEXT(dhcp_device_id(placing->cx, host, placing->network_id))));
}

static struct fault *network_remove(struct request *rq)
{
    const struct placing placing = { RQ(rq), request_argument(rq, "id"), request_argument(rq, "network_id") };
    TRY(db_write(rq->cx.arena, rq->cx.app->db, remove_run, (void *)&placing));
    notify_agents(placing.cx, "network_update", "network", placing.network_id);
    return NULL;
}

#define OF_AGENT "/v2.0/agents/{id}/dhcp-networks"
static const struct route rows[] = {
    ROUTE(GET,    OF_AGENT,                         "get_dhcp-networks",   networks_of_agent),
    ROUTE(POST,   OF_AGENT,                         "create_dhcp-network", network_add,    .status = 201),
    ROUTE(DELETE, OF_AGENT "/{network_id}",         "delete_dhcp-network", network_remove, .status = 204),
    ROUTE(GET,    "/v2.0/networks/{id}/dhcp-agents", "get_dhcp-agents",    agents_of_network),
};
const struct route_table dhcp_agent_routes = ROUTES(rows);
