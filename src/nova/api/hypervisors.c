/* SPDX-License-Identifier: Apache-2.0
 *
 * hypervisors: the compute nodes, for administrators. API reference: Hypervisors.
 */
#include "nova/api/api.h"
#include "nova/rpcapi.h"
#include "oslo/messaging.h"

#include <string.h>

struct nodes {
    struct compute_node *list;
    size_t count;
    struct service_row *services;
    size_t service_count;
    struct tx *tx;
};

static struct fault *load_nodes(struct request *rq, struct nodes *ret)
{
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &ret->tx));
    TRY(compute_node_list(ret->tx, NULL, &ret->list, &ret->count));
    return service_list(ret->tx, NULL, "nova-compute", &ret->services, &ret->service_count);
}

static const struct service_row *service_of(const struct nodes *nodes, const struct compute_node *node)
{
    for (size_t i = 0; i < nodes->service_count; i++)
        if (strcmp(nodes->services[i].host, node->host) == 0)
            return &nodes->services[i];
    return NULL;
}

static const char *node_id(struct request *rq, const struct compute_node *node)
{
    return rq->version >= 53 ? node->uuid : arena_printf(rq->cx.arena, "%lld", (long long)node->id);
}

static void write_numbers(struct json_writer *w, const struct compute_node *node)
{
    json_int(w, "vcpus", node->vcpus);
    json_int(w, "memory_mb", node->memory_mb);
    json_int(w, "local_gb", node->local_gb);
    json_int(w, "vcpus_used", node->vcpus_used);
    json_int(w, "memory_mb_used", node->memory_mb_used);
    json_int(w, "local_gb_used", node->local_gb_used);
    json_int(w, "free_ram_mb", node->free_ram_mb);
    json_int(w, "free_disk_gb", node->free_disk_gb);
    json_int(w, "current_workload", node->current_workload);
    json_int(w, "running_vms", node->running_vms);
    json_int(w, "disk_available_least", node->disk_available_least);
}

static void write_details(struct request *rq, const struct compute_node *node, const struct service_row *service)
{
    struct json_writer *w = &rq->json;

    json_text(w, "hypervisor_type", node->hypervisor_type);
    json_int(w, "hypervisor_version", node->hypervisor_version);
    json_text(w, "host_ip", node->host_ip);
    if (rq->version < 88) {
        write_numbers(w, node);
        if (rq->version >= 28)
            json_raw(w, "cpu_info", node->cpu_info != NULL ? node->cpu_info : "{}");
        else
            json_text(w, "cpu_info", node->cpu_info != NULL ? node->cpu_info : "");
    } else {
        const json_t *details = json_parse_own(rq->cx.arena, node->details);

        json_text(w, "uptime", json_text_at(details, "uptime"));
    }
    json_begin(w, "service");
    if (rq->version >= 53)
        json_text(w, "id", service->uuid);
    else
        json_int(w, "id", service->id);
    json_text(w, "host", node->host);
    json_text(w, "disabled_reason", service->disabled_reason);
    json_end(w);
}

static struct fault *write_servers(struct request *rq, struct tx *tx, const struct compute_node *node)
{
    struct json_writer *w = &rq->json;
    struct rows *rows;
    bool any = false;

    TRY(sql_query(tx, &rows, "SELECT id,uuid FROM instances WHERE host=? AND deleted=0 ORDER BY id", BIND(TEXT(node->host))));
    while (rows_next(rows)) {
        if (!any)
            json_begin_array(w, "servers");
        any = true;
        json_begin(w, NULL);
        json_textf(w, "name", "instance-%08llx", (unsigned long long)rows_int(rows, 0));
        json_text(w, "uuid", rows_text(rows, 1));
        json_end(w);
    }
    if (any)
        json_end_array(w);
    else if (rq->version >= 75)
        json_raw(w, "servers", "[]");
    return rows_fault(rows);
}

static struct fault *write_node(struct request *rq, const struct nodes *nodes, const struct compute_node *node, bool details,
    bool servers, const char *name)
{
    struct json_writer *w = &rq->json;
    static const struct service_row none = { .host = "" };
    const struct service_row *service = service_of(nodes, node);
    int64_t down_time = config_int(rq->cx.app->config, "DEFAULT", "service_down_time");

    if (service == NULL)
        service = &none;
    json_begin(w, name);
    if (rq->version >= 53)
        json_text(w, "id", node->uuid);
    else
        json_int(w, "id", node->id);
    json_text(w, "hypervisor_hostname", node->hypervisor_hostname);
    json_text(w, "state", service_is_up(service, down_time) ? "up" : "down");
    json_text(w, "status", service->disabled ? "disabled" : "enabled");
    if (details)
        write_details(rq, node, service);
    if (servers)
        TRY(write_servers(rq, nodes->tx, node));
    json_end(w);
    return NULL;
}

/* Hosts whose names contain the pattern; a compute host that no service is of is not shown. */
static struct fault *list(struct request *rq, bool details, const char *pattern, bool servers)
{
    struct nodes nodes;
    int64_t limit = INT32_MAX, shown = 0;
    const char *marker = NULL, *last = NULL;

    if (rq->version >= 33)
        TRY(api_paging(rq, &limit, &marker));
    if (pattern != NULL && rq->version >= 53 && (request_query(rq, "limit") != NULL || marker != NULL))
        return BAD_REQUEST(rq, "Paging over hypervisors with the hypervisor_hostname_pattern query parameter is not supported.");
    TRY(load_nodes(rq, &nodes));
    bool skip = marker != NULL, any = false;
    for (size_t i = 0; i < nodes.count && marker != NULL; i++)
        any = any || strcmp(node_id(rq, &nodes.list[i]), marker) == 0;
    if (marker != NULL && !any)
        return BAD_REQUEST(rq, "Marker %s could not be found.", marker);
    json_begin(&rq->json, NULL);
    json_begin_array(&rq->json, "hypervisors");
    for (size_t i = 0; i < nodes.count && shown < limit; i++) {
        const struct compute_node *node = &nodes.list[i];

        if (skip) {
            skip = strcmp(node_id(rq, node), marker) != 0;
            continue;
        }
        if (service_of(&nodes, node) == NULL || (pattern != NULL && strstr(node->hypervisor_hostname, pattern) == NULL))
            continue;
        TRY(write_node(rq, &nodes, node, details, servers, NULL));
        last = node_id(rq, node);
        shown++;
    }
    json_end_array(&rq->json);
    if (rq->version >= 33 && shown > 0 && shown == limit)
        api_next_link(rq, "hypervisors_links", details ? "os-hypervisors/detail" : "os-hypervisors", last);
    json_end(&rq->json);
    tx_end(nodes.tx);
    if (shown == 0 && pattern != NULL)
        return NOT_FOUND(rq, "No hypervisor matching '%s' could be found.", pattern);
    return NULL;
}

static struct fault *hypervisors_index(struct request *rq)
{
    bool later = rq->version >= 53;

    return list(rq, false, later ? request_query(rq, "hypervisor_hostname_pattern") : NULL,
        later && request_query_bool(rq, "with_servers", false));
}

static struct fault *hypervisors_detail(struct request *rq)
{
    bool later = rq->version >= 53;

    return list(rq, true, later ? request_query(rq, "hypervisor_hostname_pattern") : NULL,
        later && request_query_bool(rq, "with_servers", false));
}

static struct fault *hypervisors_search(struct request *rq)
{
    return list(rq, false, request_argument(rq, "id"), false);
}

static struct fault *hypervisors_servers(struct request *rq)
{
    return list(rq, false, request_argument(rq, "id"), true);
}

static struct fault *find_node(struct request *rq, const struct nodes *nodes, const struct compute_node **ret)
{
    const char *id = request_argument(rq, "id");

    for (size_t i = 0; i < nodes->count; i++)
        if (strcmp(node_id(rq, &nodes->list[i]), id) == 0) {
            *ret = &nodes->list[i];
            return NULL;
        }
    return NOT_FOUND(rq, "Hypervisor with ID '%s' could not be found.", id);
}

static struct fault *hypervisors_show(struct request *rq)
{
    struct nodes nodes;
    const struct compute_node *node;

    TRY(load_nodes(rq, &nodes));
    TRY(find_node(rq, &nodes, &node));
    json_begin(&rq->json, NULL);
    TRY(write_node(rq, &nodes, node, true, rq->version >= 53 && request_query_bool(rq, "with_servers", false), "hypervisor"));
    json_end(&rq->json);
    tx_end(nodes.tx);
    return NULL;
}

static struct fault *hypervisors_uptime(struct request *rq)
{
    struct nodes nodes;
    const struct compute_node *node;
    json_t *result = NULL;

    TRY(load_nodes(rq, &nodes));
    TRY(find_node(rq, &nodes, &node));
    tx_end(nodes.tx);
    TRY(rpc_call(RQ(rq), &(struct rpc_target){ TOPIC_COMPUTE, node->host, COMPUTE_VERSION }, RPC_GET_HOST_UPTIME,
        json_keep(rq->cx.arena, json_object()), 0, &result));
    json_begin(&rq->json, NULL);
    json_begin(&rq->json, "hypervisor");
    json_text(&rq->json, "id", node_id(rq, node));
    json_text(&rq->json, "hypervisor_hostname", node->hypervisor_hostname);
    json_text(&rq->json, "state", "up");
    json_text(&rq->json, "status", "enabled");
    json_text(&rq->json, "uptime", json_string_value(result));
    json_end(&rq->json);
    json_end(&rq->json);
    return NULL;
}

static struct fault *hypervisors_statistics(struct request *rq)
{
    struct nodes nodes;
    struct compute_node sum = { 0 };

    TRY(load_nodes(rq, &nodes));
    tx_end(nodes.tx);
    for (size_t i = 0; i < nodes.count; i++) {
        const struct compute_node *node = &nodes.list[i];

        sum.vcpus += node->vcpus;
        sum.memory_mb += node->memory_mb;
        sum.local_gb += node->local_gb;
        sum.vcpus_used += node->vcpus_used;
        sum.memory_mb_used += node->memory_mb_used;
        sum.local_gb_used += node->local_gb_used;
        sum.free_ram_mb += node->free_ram_mb;
        sum.free_disk_gb += node->free_disk_gb;
        sum.current_workload += node->current_workload;
        sum.running_vms += node->running_vms;
        sum.disk_available_least += node->disk_available_least;
    }
    json_begin(&rq->json, NULL);
    json_begin(&rq->json, "hypervisor_statistics");
    json_int(&rq->json, "count", (int64_t)nodes.count);
    write_numbers(&rq->json, &sum);
    json_end(&rq->json);
    json_end(&rq->json);
    return NULL;
}

#define H "os_compute_api:os-hypervisors:"
#define PATH "/v2.1/os-hypervisors"
static const struct route rows[] = {
    ROUTE(GET, PATH,               H "list",        hypervisors_index),
    ROUTE(GET, PATH "/detail",     H "list-detail", hypervisors_detail),
    ROUTE(GET, PATH "/statistics", H "statistics",  hypervisors_statistics, .max_version = 87),
    ROUTE(GET, PATH "/{id}",       H "show",        hypervisors_show),
    ROUTE(GET, PATH "/{id}/uptime",  H "uptime",    hypervisors_uptime,  .max_version = 87, .flags = SLOW),
    ROUTE(GET, PATH "/{id}/search",  H "search",    hypervisors_search,  .max_version = 52),
    ROUTE(GET, PATH "/{id}/servers", H "servers",   hypervisors_servers, .max_version = 52),
};
const struct route_table nova_hypervisor_routes = ROUTES(rows);
