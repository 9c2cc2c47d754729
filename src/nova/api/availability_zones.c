/* SPDX-License-Identifier: Apache-2.0
 *
 * availability_zones: the zones that aggregates and the internal services make, with their hosts for
 * administrators. API reference: Availability zones.
 */
#include "nova/api/api.h"

#include <stdlib.h>
#include <string.h>

/* What is read once: services by id, each with its zone, and the names of the zones. */
struct zones {
    const struct service_row *services;
    size_t service_count;
    const char **zone_of; /* by service */
    const char **names;   /* sorted, each once */
    size_t count;
};

/* As nova: programs other than nova-compute are in the internal zone. */
static const char *zone_of(struct request *rq, const struct service_row *service, const struct aggregate *aggregates,
    size_t count)
{
    const struct config *config = rq->cx.app->config;

    if (strcmp(service->topic, "compute") != 0)
        return config_str(config, "DEFAULT", "internal_service_availability_zone");
    return host_zone(aggregates, count, service->host, config_str(config, "DEFAULT", "default_availability_zone"));
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static struct fault *load_zones(struct request *rq, struct zones *ret)
{
    struct arena *arena = rq->cx.arena;
    struct tx *tx;
    struct service_row *services;
    struct aggregate *aggregates;
    size_t aggregate_count;

    TRY(db_read(arena, rq->cx.app->db, &tx));
    TRY(service_list(tx, NULL, NULL, &services, &ret->service_count));
    TRY(aggregate_list(tx, &aggregates, &aggregate_count));
    tx_end(tx);
    ret->services = services;
    ret->zone_of = ARENA_ARRAY(arena, const char *, ret->service_count + 1);
    ret->names = ARENA_ARRAY(arena, const char *, ret->service_count + 1);
    for (size_t i = 0; i < ret->service_count; i++)
        ret->zone_of[i] = ret->names[i] = zone_of(rq, &services[i], aggregates, aggregate_count);
    qsort(ret->names, ret->service_count, sizeof(*ret->names), by_name);
    ret->count = 0;
    for (size_t i = 0; i < ret->service_count; i++)
        if (ret->count == 0 || strcmp(ret->names[ret->count - 1], ret->names[i]) != 0)
            ret->names[ret->count++] = ret->names[i];
    return NULL;
}

/* A zone is available when one of its services is enabled. */
static bool zone_available(const struct zones *zones, const char *zone)
{
    for (size_t i = 0; i < zones->service_count; i++)
        if (!zones->services[i].disabled && strcmp(zones->zone_of[i], zone) == 0)
            return true;
    return false;
}

static bool is_api(const struct service_row *service)
{
    return strcmp(service->binary, "nova-osapi_compute") == 0 || strcmp(service->binary, "nova-metadata") == 0;
}

/* Whether the service is shown below this zone's hosts: API programs do not report as the others do. */
static bool shown(const struct zones *zones, size_t index, const char *zone)
{
    const struct service_row *service = &zones->services[index];

    return !service->disabled && !is_api(service) && strcmp(zones->zone_of[index], zone) == 0;
}

static void write_host(struct request *rq, const struct zones *zones, const char *zone, const char *host)
{
    struct json_writer *w = &rq->json;
    int64_t down_time = config_int(rq->cx.app->config, "DEFAULT", "service_down_time");

    json_begin(w, host);
    for (size_t i = 0; i < zones->service_count; i++) {
        const struct service_row *service = &zones->services[i];

        if (!shown(zones, i, zone) || strcmp(service->host, host) != 0)
            continue;
        json_begin(w, service->binary);
        json_bool(w, "available", service_is_up(service, down_time));
        json_bool(w, "active", true);
        json_text(w, "updated_at", api_time_us(rq, service->updated_at));
        json_end(w);
    }
    json_end(w);
}

static int by_host(const void *a, const void *b)
{
    return strcmp((*(const struct service_row *const *)a)->host, (*(const struct service_row *const *)b)->host);
}

static void write_hosts(struct request *rq, const struct zones *zones, const char *zone)
{
    const struct service_row **list = ARENA_ARRAY(rq->cx.arena, const struct service_row *, zones->service_count + 1);
    size_t count = 0;

    for (size_t i = 0; i < zones->service_count; i++)
        if (shown(zones, i, zone))
            list[count++] = &zones->services[i];
    qsort(list, count, sizeof(*list), by_host);
    json_begin(&rq->json, "hosts");
    for (size_t i = 0; i < count; i++)
        if (i == 0 || strcmp(list[i - 1]->host, list[i]->host) != 0)
            write_host(rq, zones, zone, list[i]->host);
    json_end(&rq->json);
}

static void write_zone(struct request *rq, const struct zones *zones, const char *zone, bool available, bool detail)
{
    struct json_writer *w = &rq->json;

    json_begin(w, NULL);
    json_text(w, "zoneName", zone);
    json_begin(w, "zoneState");
    json_bool(w, "available", available);
    json_end(w);
    if (detail && available)
        write_hosts(rq, zones, zone);
    else
        json_null_member(w, "hosts");
    json_end(w);
}

static struct fault *answer(struct request *rq, bool detail)
{
    const char *internal = config_str(rq->cx.app->config, "DEFAULT", "internal_service_availability_zone");
    struct zones zones;

    TRY(load_zones(rq, &zones));
    json_begin(&rq->json, NULL);
    json_begin_array(&rq->json, "availabilityZoneInfo");
    for (int available = 1; available >= 0; available--)
        for (size_t i = 0; i < zones.count; i++)
            if (zone_available(&zones, zones.names[i]) == available &&
                (detail || strcmp(zones.names[i], internal) != 0))
                write_zone(rq, &zones, zones.names[i], available, detail);
    json_end_array(&rq->json);
    json_end(&rq->json);
    return NULL;
}

static struct fault *zones_index(struct request *rq)
{
    return answer(rq, false);
}

static struct fault *zones_detail(struct request *rq)
{
    return answer(rq, true);
}

static const struct route rows[] = {
    ROUTE(GET, "/v2.1/os-availability-zone",        "os_compute_api:os-availability-zone:list",   zones_index),
    ROUTE(GET, "/v2.1/os-availability-zone/detail", "os_compute_api:os-availability-zone:detail", zones_detail),
};
const struct route_table nova_zone_routes = ROUTES(rows);
