/* SPDX-License-Identifier: Apache-2.0
 *
 * hosts: the candidates of placement as hosts that filters and weighers understand.
 */
#include "base/map.h"
#include "nova/cells.h"
#include "nova/nova.h"
#include "nova/scheduler/scheduler.h"

#include <string.h>

/* What nova's database says of all hosts, by name. */
struct facts {
    struct compute_node *nodes;
    size_t node_count;
    struct map services;  /* host -> struct service_row * */
    struct map instances; /* host -> struct busy * */
    struct aggregate *aggregates;
    size_t aggregate_count;
};

struct busy {
    int64_t instances, io_ops;
};

static void release_map(void *map)
{
    map_release(map);
}

static struct fault *read_busy(struct tx *tx, struct facts *facts)
{
    struct rows *rows;
    TRY(sql_query(tx, &rows,
        "SELECT host, COUNT(*), SUM(CASE WHEN vm_state = '" VM_BUILDING "' THEN 1 ELSE 0 END) FROM instances"
        " WHERE deleted = 0 AND host IS NOT NULL GROUP BY host", NO_BIND));
    while (rows_next(rows)) {
        struct busy *busy = ARENA_NEW(tx_arena(tx), struct busy);
        *busy = (struct busy){ rows_int(rows, 1), rows_int(rows, 2) };
        map_set(&facts->instances, rows_text(rows, 0), busy);
    }
    return rows_fault(rows);
}

/* The server group of the first instance: all of a request are in the same one. */
static struct fault *read_group(struct tx *tx, struct selection *selection)
{
    struct rows *rows;
    const char *uuid = NULL, *rules = NULL;
    TRY(sql_query(tx, &rows,
        "SELECT g.uuid, g.policy, g.rules FROM server_groups g JOIN instances i ON i.server_group = g.uuid"
        " WHERE i.uuid = ?", BIND(TEXT(selection->instance_uuids[0]))));
    if (rows_next(rows)) {
        uuid = rows_text(rows, 0);
        selection->group_policy = arena_strdup(selection->cx->arena, rows_text(rows, 1));
        rules = rows_text(rows, 2);
        rows_end(rows);
    }
    TRY(rows_fault(rows));
    if (uuid == NULL)
        return NULL;
    const json_t *limit = json_object_get(json_parse_own(tx_arena(tx), rules), "max_server_per_host");
    selection->max_server_per_host = json_is_integer(limit) ? json_integer_value(limit)
        : json_is_string(limit) ? strtoll(json_string_value(limit), NULL, 10) : 1;
    struct map *hosts = ARENA_NEW(selection->cx->arena, struct map);
    arena_defer(selection->cx->arena, release_map, hosts);
    TRY(sql_query(tx, &rows,
        "SELECT host, COUNT(*) FROM instances WHERE server_group = ? AND deleted = 0 AND host IS NOT NULL"
        " GROUP BY host", BIND(TEXT(uuid))));
    while (rows_next(rows))
        map_set(hosts, rows_text(rows, 0), (void *)(intptr_t)rows_int(rows, 1));
    selection->group_hosts = hosts;
    return rows_fault(rows);
}

/* same_host and different_host name servers; the filters want their hosts. */
static struct fault *read_hint(struct tx *tx, struct selection *selection, const char *hint, const char *result)
{
    const json_t *servers = json_object_get(selection->hints, hint);
    if (servers == NULL)
        return NULL;
    json_t *hosts = json_array();
    json_object_set_new((json_t *)selection->hints, result, hosts);
    size_t count = json_is_array(servers) ? json_array_size(servers) : 1;
    for (size_t i = 0; i < count; i++) {
        const json_t *server = json_is_array(servers) ? json_array_get(servers, i) : servers;
        const char *host;
        TRY(sql_text_of(tx, &host, "SELECT host FROM instances WHERE uuid = ? AND deleted = 0",
            BIND(TEXT(json_string_value(server)))));
        if (host != NULL)
            json_array_append_new(hosts, json_string(host));
    }
    return NULL;
}

static struct fault *read_facts(struct tx *tx, struct selection *selection, struct facts *facts)
{
    struct service_row *services;
    size_t count;
    TRY(compute_node_list(tx, NULL, &facts->nodes, &facts->node_count));
    TRY(service_list(tx, NULL, "nova-compute", &services, &count));
    for (size_t i = 0; i < count; i++)
        map_set(&facts->services, services[i].host, &services[i]);
    TRY(aggregate_list(tx, &facts->aggregates, &facts->aggregate_count));
    TRY(read_busy(tx, facts));
    TRY(read_group(tx, selection));
    TRY(read_hint(tx, selection, "same_host", "same_host_hosts"));
    return read_hint(tx, selection, "different_host", "different_host_hosts");
}

static void read_rooms(struct arena *arena, const json_t *summary, struct host *host)
{
    const char *name;
    json_t *value;
    json_t *resources = json_object_get(summary, "resources");
    host->rooms = ARENA_ARRAY(arena, struct room, json_object_size(resources) + 1);
    json_object_foreach(resources, name, value)
        host->rooms[host->room_count++] = (struct room){ name, json_int_at(value, "capacity", 0), json_int_at(value,
        "used", 0) };
}

static void fill(struct selection *selection, const struct facts *facts, const struct compute_node *node,
    const json_t *request, const json_t *summary, struct host *host)
{
    const struct config *config = selection->cx->app->config;
    const struct busy *busy = map_get(&facts->instances, node->host);
    *host = (struct host){ .node = node, .service = map_get(&facts->services, node->host),
        .aggregates = facts->aggregates, .aggregate_count = facts->aggregate_count,
        .allocations = json_object_get(request, "allocations"), .mappings = json_object_get(request, "mappings") };
    host->up = host->service != NULL && service_is_up(host->service, config_int(config, "DEFAULT",
        "service_down_time"));
    host->zone = host_zone(facts->aggregates, facts->aggregate_count, node->host,
        config_str(config, "DEFAULT", "default_availability_zone"));
    if (busy != NULL) {
        host->instances = busy->instances;
        host->io_ops = busy->io_ops;
    }
    if (selection->group_hosts != NULL)
        host->group_members = (intptr_t)map_get(selection->group_hosts, node->host);
    read_rooms(selection->cx->arena, summary, host);
}

/* A request may name several providers (a tree); the host is the one that is a compute node. */
static const struct compute_node *node_of(const struct map *nodes, const json_t *request)
{
    const char *uuid;
    json_t *value;
    json_object_foreach(json_object_get(request, "allocations"), uuid, value)
        if (map_has(nodes, uuid))
            return map_get(nodes, uuid);
    return NULL;
}

struct fault *load_hosts(struct selection *selection, const json_t *candidates, struct host **ret, size_t *ret_count)
{
    struct arena *arena = selection->cx->arena;
    const json_t *requests = json_object_get(candidates, "allocation_requests");
    const json_t *summaries = json_object_get(candidates, "provider_summaries");
    struct facts facts = { 0 };
    struct map nodes = { 0 }, *schedulable = ARENA_NEW(arena, struct map);
    struct tx *tx;
    bool all;
    size_t count = 0;
    struct host *hosts = ARENA_ARRAY(arena, struct host, json_array_size(requests) + 1);
    arena_defer(arena, release_map, schedulable);
    TRY(cells_schedulable(arena, selection->cx->app, schedulable, &all));
    TRY(db_read(arena, selection->cx->app->db, &tx));
    struct fault *fault = read_facts(tx, selection, &facts);
    for (size_t i = 0; fault == NULL && i < facts.node_count; i++)
        map_set(&nodes, facts.nodes[i].uuid, &facts.nodes[i]);
    for (size_t i = 0; fault == NULL && i < json_array_size(requests); i++) {
        const json_t *request = json_array_get(requests, i);
        const struct compute_node *node = node_of(&nodes, request);
        if (node == NULL)
            continue; /* a provider that is no host of ours */
        if (!all && !map_has(schedulable, node->host)) {
            selection->unmapped_count++;
            selection->unmapped = arena_strdup(arena, node->host);
            continue;
        }
        map_remove(&nodes, node->uuid); /* one way to allocate on each host is enough */
        fill(selection, &facts, node, request, json_object_get(summaries, node->uuid), &hosts[count++]);
    }
    tx_end(tx);
    map_release(&nodes);
    map_release(&facts.services);
    map_release(&facts.instances);
    *ret = hosts;
    *ret_count = count;
    return fault;
}
