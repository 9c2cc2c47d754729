/* SPDX-License-Identifier: Apache-2.0
 * hypervisors: the compute nodes. API reference: Hypervisors (os-hypervisors). */
#include "nova/api.h"

#include "base/random.h"

#include <stdlib.h>
#include <string.h>

/* Microversions that changed it: 33 paging, 53 UUIDs and query parameters for search and servers, 88 no resources. */
enum { V_CPU_INFO_PARSED = 28, V_PAGING = 33, V_UUID = 53, V_STRICT = 75, V_NO_RESOURCES = 88 };

struct hypervisors {
    struct compute_node *nodes;
    size_t node_count;
    struct service_row *services;
    size_t service_count;
};

struct hypervisor_view {
    bool detail, with_servers;
};

static struct fault *load(struct tx *tx, struct hypervisors *ret)
{
    TRY(compute_node_list(tx, NULL, &ret->nodes, &ret->node_count));
    return service_list(tx, NULL, "nova-compute", &ret->services, &ret->service_count);
}

/* NULL: the service was deleted, and its node is not shown. */
static const struct service_row *service_of(const struct hypervisors *h, const char *host)
{
    for (size_t i = 0; i < h->service_count; i++)
        if (strcmp(h->services[i].host, host) == 0)
            return &h->services[i];
    return NULL;
}

static struct fault *write_servers(struct request *rq, struct tx *tx, const char *host)
{
    struct json_writer *w = &rq->json;
    struct instance *servers;
    size_t count;
    TRY(instance_list_host(tx, host, &servers, &count));
    if (count == 0 && rq->version < V_STRICT)
        return NULL;
    json_begin_array(w, "servers");
    for (size_t i = 0; i < count; i++) {
        json_begin(w, NULL);
        json_textf(w, "name", "instance-%08llx", (unsigned long long)servers[i].id);
        json_text(w, "uuid", servers[i].uuid);
        json_end(w);
    }
    json_end_array(w);
    return NULL;
}

static void write_resources(struct request *rq, const struct compute_node *n)
{
    struct json_writer *w = &rq->json;
    const struct {
        const char *name;
        int64_t value;
    } numbers[] = {
        { "vcpus", n->vcpus }, { "memory_mb", n->memory_mb }, { "local_gb", n->local_gb }, { "vcpus_used", n->vcpus_used },
        { "memory_mb_used", n->memory_mb_used }, { "local_gb_used", n->local_gb_used }, { "free_ram_mb", n->free_ram_mb },
        { "free_disk_gb", n->free_disk_gb }, { "current_workload", n->current_workload }, { "running_vms", n->running_vms },
        { "disk_available_least", n->disk_available_least },
    };
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        json_int(w, numbers[i].name, numbers[i].value);
    const char *cpu_info = n->cpu_info != NULL ? n->cpu_info : "{}";
    if (rq->version < V_CPU_INFO_PARSED)
        json_text(w, "cpu_info", cpu_info);
    else
        json_raw(w, "cpu_info", cpu_info);
}

static void write_details(struct request *rq, const struct compute_node *n, const struct service_row *s)
{
    struct json_writer *w = &rq->json;
    json_text(w, "hypervisor_type", n->hypervisor_type);
    json_int(w, "hypervisor_version", n->hypervisor_version);
    json_text(w, "host_ip", n->host_ip);
    json_begin(w, "service");
    if (rq->version >= V_UUID)
        json_text(w, "id", s->uuid);
    else
        json_int(w, "id", s->id);
    json_text(w, "host", n->host);
    json_text(w, "disabled_reason", s->disabled_reason);
    json_end(w);
    if (rq->version < V_NO_RESOURCES)
        write_resources(rq, n);
    else
        json_null_member(w, "uptime"); /* our drivers do not tell it, as nova's say for a driver that cannot */
}

static struct fault *write_node(struct request *rq, struct tx *tx, const struct compute_node *n, const struct service_row *s,
    const struct hypervisor_view *view, const char *name)
{
    struct json_writer *w = &rq->json;
    struct fault *fault = NULL;
    json_begin(w, name);
    if (rq->version >= V_UUID)
        json_text(w, "id", n->uuid);
    else
        json_int(w, "id", n->id);
    json_text(w, "hypervisor_hostname", n->hypervisor_hostname);
    json_text(w, "state", service_is_up(s, config_int(rq->cx.app->config, "DEFAULT", "service_down_time")) ? "up" : "down");
    json_text(w, "status", s->disabled ? "disabled" : "enabled");
    if (view->detail)
        write_details(rq, n, s);
    if (view->with_servers)
        fault = write_servers(rq, tx, n->host);
    json_end(w);
    return fault;
}

/* ---- lists ---- */

struct page {
    const char *pattern, *marker;
    int64_t limit; /* -1: all */
};

static bool node_is(const struct request *rq, const struct compute_node *n, const char *id)
{
    return rq->version >= V_UUID ? strcmp(n->uuid, id) == 0 : n->id == strtoll(id, NULL, 10);
}

static struct fault *write_list(struct request *rq, struct tx *tx, const struct page *page, const struct hypervisor_view *view)
{
    struct hypervisors h = { 0 };
    int64_t shown = 0, matched = 0;
    const char *last = NULL;
    bool skip = page->marker != NULL;
    TRY(load(tx, &h));
    json_begin(&rq->json, NULL);
    json_begin_array(&rq->json, "hypervisors");
    for (size_t i = 0; i < h.node_count && (page->limit < 0 || shown < page->limit); i++) {
        const struct compute_node *n = &h.nodes[i];
        const struct service_row *s = service_of(&h, n->host);
        bool is_marker = skip && node_is(rq, n, page->marker);
        if (page->pattern != NULL && strstr(n->hypervisor_hostname, page->pattern) == NULL)
            continue;
        matched++;
        if (!skip && s != NULL) {
            TRY(write_node(rq, tx, n, s, view, NULL));
            last = rq->version >= V_UUID ? n->uuid : arena_printf(rq->cx.arena, "%lld", (long long)n->id);
            shown++;
        }
        skip = skip && !is_marker;
    }
    if (skip)
        return BAD_REQUEST(rq, "marker [%s] not found", page->marker);
    if (page->pattern != NULL && matched == 0)
        return NOT_FOUND(rq, "No hypervisor matching '%s' could be found.", page->pattern);
    json_end_array(&rq->json);
    if (page->pattern == NULL && shown > 0 && shown == page->limit)
        api_next_link(rq, "hypervisors_links", view->detail ? "os-hypervisors/detail" : "os-hypervisors", last);
    json_end(&rq->json);
    return NULL;
}

static struct fault *answer_list(struct request *rq, const struct page *page, const struct hypervisor_view *view)
{
    struct tx *tx;
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    struct fault *fault = write_list(rq, tx, page, view);
    tx_end(tx);
    return fault;
}

static struct fault *list(struct request *rq, bool detail)
{
    static const char *const allowed_33[] = { "limit", "marker", NULL };
    static const char *const allowed_53[] = { "limit", "marker", "hypervisor_hostname_pattern", "with_servers", NULL };
    struct page page = { .limit = -1 };
    struct hypervisor_view view = { .detail = detail };
    if (rq->version >= V_PAGING) {
        TRY(api_query_check(rq, rq->version >= V_UUID ? allowed_53 : allowed_33, rq->version >= V_UUID));
        TRY(api_paging(rq, &page.limit, &page.marker));
    }
    if (rq->version >= V_UUID) {
        page.pattern = request_query(rq, "hypervisor_hostname_pattern");
        view.with_servers = request_query_bool(rq, "with_servers", false);
    }
    if (page.pattern != NULL && (request_query(rq, "limit") != NULL || page.marker != NULL))
        return BAD_REQUEST(rq, "Paging over hypervisors with the hypervisor_hostname_pattern query parameter is not supported.");
    return answer_list(rq, &page, &view);
}

static struct fault *hypervisors_index(struct request *rq)
{
    return list(rq, false);
}

static struct fault *hypervisors_detail(struct request *rq)
{
    return list(rq, true);
}

static struct fault *hypervisors_search(struct request *rq)
{
    struct page page = { .pattern = request_argument(rq, "id"), .limit = -1 };
    return answer_list(rq, &page, &(struct hypervisor_view){ 0 });
}

static struct fault *hypervisors_servers(struct request *rq)
{
    struct page page = { .pattern = request_argument(rq, "id"), .limit = -1 };
    return answer_list(rq, &page, &(struct hypervisor_view){ .with_servers = true });
}

/* ---- one ---- */

static struct fault *check_id(struct request *rq, const char *id)
{
    if (rq->version >= V_UUID)
        return uuid_like(id) ? NULL : BAD_REQUEST(rq, "Invalid uuid %s", id);
    return id[strspn(id, "0123456789")] == '\0' ? NULL : NOT_FOUND(rq, "Hypervisor with ID '%s' could not be found.", id);
}

static struct fault *show_in(struct request *rq, struct tx *tx, const char *id)
{
    struct hypervisors h = { 0 };
    struct hypervisor_view view = { .detail = true };
    TRY(load(tx, &h));
    if (rq->version >= V_UUID)
        view.with_servers = request_query_bool(rq, "with_servers", false);
    for (size_t i = 0; i < h.node_count; i++) {
        const struct service_row *s = service_of(&h, h.nodes[i].host);
        if (!node_is(rq, &h.nodes[i], id) || s == NULL)
            continue;
        json_begin(&rq->json, NULL);
        TRY(write_node(rq, tx, &h.nodes[i], s, &view, "hypervisor"));
        json_end(&rq->json);
        return NULL;
    }
    return NOT_FOUND(rq, "Hypervisor with ID '%s' could not be found.", id);
}

static struct fault *hypervisors_show(struct request *rq)
{
    const char *id = request_argument(rq, "id");
    struct tx *tx;
    TRY(check_id(rq, id));
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    struct fault *fault = show_in(rq, tx, id);
    tx_end(tx);
    return fault;
}

/* ---- statistics ---- */

static struct fault *hypervisors_statistics(struct request *rq)
{
    static const char *const names[] = { "count", "vcpus", "memory_mb", "local_gb", "vcpus_used", "memory_mb_used",
        "local_gb_used", "free_ram_mb", "free_disk_gb", "current_workload", "running_vms", "disk_available_least" };
    struct json_writer *w = &rq->json;
    struct tx *tx;
    struct rows *rows;
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(sql_query(tx, &rows, "SELECT COUNT(*), COALESCE(SUM(vcpus),0), COALESCE(SUM(memory_mb),0), COALESCE(SUM(local_gb),0),"
        " COALESCE(SUM(vcpus_used),0), COALESCE(SUM(memory_mb_used),0), COALESCE(SUM(local_gb_used),0),"
        " COALESCE(SUM(free_ram_mb),0), COALESCE(SUM(free_disk_gb),0), COALESCE(SUM(current_workload),0),"
        " COALESCE(SUM(running_vms),0), COALESCE(SUM(disk_available_least),0) FROM compute_nodes n WHERE EXISTS"
        " (SELECT 1 FROM services s WHERE s.host = n.host AND s.binary_name = 'nova-compute' AND s.disabled = 0)", NO_BIND));
    json_begin(w, NULL);
    json_begin(w, "hypervisor_statistics");
    if (rows_next(rows))
        for (int i = 0; i < (int)(sizeof(names) / sizeof(names[0])); i++)
            json_int(w, names[i], rows_int(rows, i));
    rows_end(rows);
    json_end(w);
    json_end(w);
    tx_end(tx);
    return rows_fault(rows);
}

static const struct route rows[] = {
    ROUTE(GET, "/v2.1/os-hypervisors",              "os_compute_api:os-hypervisors:list",        hypervisors_index),
    ROUTE(GET, "/v2.1/os-hypervisors/detail",       "os_compute_api:os-hypervisors:list-detail", hypervisors_detail),
    ROUTE(GET, "/v2.1/os-hypervisors/statistics",   "os_compute_api:os-hypervisors:statistics",  hypervisors_statistics, .max_version = 87),
    ROUTE(GET, "/v2.1/os-hypervisors/{id}",         "os_compute_api:os-hypervisors:show",        hypervisors_show),
    ROUTE(GET, "/v2.1/os-hypervisors/{id}/search",  "os_compute_api:os-hypervisors:search",      hypervisors_search,     .max_version = 52),
    ROUTE(GET, "/v2.1/os-hypervisors/{id}/servers", "os_compute_api:os-hypervisors:servers",     hypervisors_servers,    .max_version = 52),
};
const struct route_table hypervisor_routes = ROUTES(rows);
