/* SPDX-License-Identifier: Apache-2.0
 *
 * availability: how many addresses networks have and use. API reference: Network IP availability.
 */
#include "neutron/private.h"

#include <string.h>

struct named_network {
    const char *id, *name, *project_id;
};

/* 128-bit numbers as decimal text: an IPv6 pool holds more than any JSON integer of ours. */
static const char *number_text(struct arena *arena, address_number number)
{
    char digits[48];
    size_t at = sizeof(digits);
    digits[--at] = '\0';
    do {
        digits[--at] = (char)('0' + (int)(number % 10));
        number /= 10;
    } while (number > 0);
    return arena_strdup(arena, digits + at);
}

static address_number pool_size(const struct subnet_info *subnet)
{
    address_number total = 0;
    for (size_t i = 0; i < subnet->pool_count; i++)
        total += subnet->pools[i].last.number - subnet->pools[i].first.number + 1;
    return total;
}

static struct fault *write_subnets(struct request *rq, struct tx *tx, const char *network_id,
    address_number *ret_total, int64_t *ret_used)
{
    struct json_writer *w = &rq->json;
    struct subnet_info *subnets;
    size_t count;
    TRY(subnets_of_network(tx, network_id, &subnets, &count));
    json_begin_array(w, "subnet_ip_availability");
    for (size_t i = 0; i < count; i++) {
        const char *name;
        int64_t used;
        TRY(sql_text_of(tx, &name, "SELECT name FROM subnets WHERE id = ?", BIND(TEXT(subnets[i].id))));
        TRY(sql_int_of(tx, &used, 0, "SELECT COUNT(*) FROM ip_allocations WHERE subnet_id = ?", BIND(TEXT(subnets[i].id))));
        json_begin(w, NULL);
        json_text(w, "subnet_id", subnets[i].id);
        json_int(w, "ip_version", subnets[i].prefix.first.version);
        json_text(w, "cidr", subnets[i].cidr);
        json_text(w, "subnet_name", name);
        json_int(w, "used_ips", used);
        json_raw(w, "total_ips", number_text(rq->cx.arena, pool_size(&subnets[i])));
        json_end(w);
        *ret_total += pool_size(&subnets[i]);
        *ret_used += used;
    }
    json_end_array(w);
    return NULL;
}

static struct fault *write_network(struct request *rq, struct tx *tx, const char *name, const struct named_network *network)
{
    struct json_writer *w = &rq->json;
    address_number total = 0;
    int64_t used = 0;
    json_begin(w, name);
    json_text(w, "network_id", network->id);
    json_text(w, "network_name", network->name);
    json_text(w, "tenant_id", network->project_id);
    json_text(w, "project_id", network->project_id);
    TRY(write_subnets(rq, tx, network->id, &total, &used));
    json_int(w, "used_ips", used);
    json_raw(w, "total_ips", number_text(rq->cx.arena, total));
    json_end(w);
    return NULL;
}

static struct fault *list_run(struct request *rq, struct tx *tx, const struct where *where)
{
    struct rows *rows;
    TRY(sql_query(tx, &rows, arena_printf(rq->cx.arena, "SELECT id, name, project_id FROM networks%s%s ORDER BY id",
        where->count > 0 ? " WHERE " : "", buf_text(&where->sql)), where->values, where->count));
    json_begin_array(&rq->json, "network_ip_availabilities");
    while (rows_next(rows)) {
        struct named_network network = { rows_text(rows, 0), rows_text(rows, 1), rows_text(rows, 2) };
        TRY(write_network(rq, tx, NULL, &network));
    }
    json_end_array(&rq->json);
    return rows_fault(rows);
}

static struct fault *filters(struct request *rq, struct where *where)
{
    static const char *const columns[][2] = {
        { "network_id", "id" }, { "network_name", "name" }, { "tenant_id", "project_id" }, { "project_id", "project_id" },
    };
    for (const struct header *q = rq->query; q != NULL; q = q->next)
        for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
            if (strcmp(q->name, columns[i][0]) == 0)
                where_in(where, columns[i][1], &q->value, 1);
    return NULL;
}

static struct fault *availability_list(struct request *rq)
{
    struct where *where = ARENA_NEW(rq->cx.arena, struct where);
    struct tx *tx;
    where_init(where, rq->cx.arena);
    TRY(filters(rq, where));
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    json_begin(&rq->json, NULL);
    struct fault *fault = list_run(rq, tx, where);
    json_end(&rq->json);
    tx_end(tx);
    return fault;
}

static struct fault *show_run(struct request *rq, struct tx *tx, const char *id)
{
    struct named_network network = { .id = id };
    struct rows *rows;
    TRY(sql_query(tx, &rows, "SELECT name, project_id FROM networks WHERE id = ?", BIND(TEXT(id))));
    if (!rows_next(rows)) {
        TRY(rows_fault(rows));
        return FAULT(RQ(rq), 404, "NetworkNotFound", "Network %s could not be found.", id);
    }
    network.name = rows_text(rows, 0);
    network.project_id = rows_text(rows, 1);
    rows_end(rows);
    json_begin(&rq->json, NULL);
    TRY(write_network(rq, tx, "network_ip_availability", &network));
    json_end(&rq->json);
    return NULL;
}

static struct fault *availability_show(struct request *rq)
{
    struct tx *tx;
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    struct fault *fault = show_run(rq, tx, request_argument(rq, "id"));
    tx_end(tx);
    return fault;
}

static const struct route rows[] = {
    ROUTE(GET, "/v2.0/network-ip-availabilities",      "get_network_ip_availability", availability_list),
    ROUTE(GET, "/v2.0/network-ip-availabilities/{id}", "get_network_ip_availability", availability_show),
};
const struct route_table availability_routes = ROUTES(rows);
