/* SPDX-License-Identifier: Apache-2.0
 * services: the programs that report. API reference: Compute services (os-services). */
#include "nova/api.h"

#include "base/random.h"
#include "oslo/rest.h"

#include <stdlib.h>
#include <string.h>

/* 11 forced_down, 53 UUIDs and PUT on one service. */
enum { V_FORCED_DOWN = 11, V_UUID = 53, V_STRICT = 75 };

static void write_service(struct request *rq, const struct service_row *s, const char *zone, const char *name)
{
    struct json_writer *w = &rq->json;
    json_begin(w, name);
    json_text(w, "binary", s->binary);
    json_text(w, "host", s->host);
    if (rq->version >= V_UUID)
        json_text(w, "id", s->uuid);
    else
        json_int(w, "id", s->id);
    json_text(w, "zone", zone);
    json_text(w, "status", s->disabled ? "disabled" : "enabled");
    json_text(w, "state", service_is_up(s, config_int(rq->cx.app->config, "DEFAULT", "service_down_time")) ? "up" : "down");
    json_text(w, "updated_at", api_time_us(rq, s->last_seen_up));
    json_text(w, "disabled_reason", s->disabled_reason);
    if (rq->version >= V_FORCED_DOWN)
        json_bool(w, "forced_down", s->forced_down);
    json_end(w);
}

static const char *zone_of(struct request *rq, const struct service_row *s, const struct aggregate *aggregates, size_t count)
{
    const struct config *config = rq->cx.app->config;
    if (strcmp(s->binary, "nova-compute") != 0)
        return config_str(config, "DEFAULT", "internal_service_availability_zone");
    return host_zone(aggregates, count, s->host, config_str(config, "DEFAULT", "default_availability_zone"));
}

static struct fault *list_in(struct request *rq, struct tx *tx)
{
    struct service_row *services;
    struct aggregate *aggregates;
    size_t count, aggregate_count;
    TRY(service_list(tx, request_query(rq, "host"), request_query(rq, "binary"), &services, &count));
    TRY(aggregate_list(tx, &aggregates, &aggregate_count));
    json_begin(&rq->json, NULL);
    json_begin_array(&rq->json, "services");
    for (size_t i = 0; i < count; i++)
        write_service(rq, &services[i], zone_of(rq, &services[i], aggregates, aggregate_count), NULL);
    json_end_array(&rq->json);
    json_end(&rq->json);
    return NULL;
}

static struct fault *services_index(struct request *rq)
{
    static const char *const allowed[] = { "host", "binary", NULL };
    struct tx *tx;
    TRY(api_query_check(rq, allowed, rq->version >= V_STRICT));
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    struct fault *fault = list_in(rq, tx);
    tx_end(tx);
    return fault;
}

/* ---- changes ---- */

struct service_change {
    const char *host, *binary, *uuid;
    const char *status; /* "enabled", "disabled", or NULL */
    const char *reason;
    int forced_down;    /* -1: as it is */
    struct service_row found;
};

/* By host and binary, or by UUID. */
static struct fault *find(struct tx *tx, struct service_change *c)
{
    struct service_row *services;
    size_t count;
    struct arena *arena = tx_arena(tx);
    TRY(service_list(tx, c->host, c->binary, &services, &count));
    for (size_t i = 0; i < count; i++)
        if (c->uuid == NULL || strcmp(services[i].uuid, c->uuid) == 0) {
            c->found = services[i];
            return NULL;
        }
    if (c->uuid != NULL)
        return fault_new(arena, 404, NULL, "Service %s could not be found.", c->uuid);
    return fault_new(arena, 404, NULL, "Could not find binary %s on host %s.", c->binary, c->host);
}

static struct fault *run_change(struct tx *tx, void *argument)
{
    struct service_change *c = argument;
    TRY(find(tx, c));
    struct service_row *s = &c->found;
    if (strcmp(s->binary, "nova-compute") != 0)
        return fault_new(tx_arena(tx), 400, NULL, "Updating a %s service is not supported. Only nova-compute services can be "
            "updated.", s->binary);
    if (c->status != NULL) {
        s->disabled = strcmp(c->status, "disabled") == 0;
        s->disabled_reason = s->disabled ? c->reason : NULL;
    }
    if (c->forced_down >= 0)
        s->forced_down = c->forced_down == 1;
    return sql_exec(tx, "UPDATE services SET disabled = ?, disabled_reason = ?, forced_down = ? WHERE id = ?",
        BIND(INT(s->disabled), TEXT(s->disabled_reason), INT(s->forced_down), INT(s->id)));
}

static const struct schema reason_schema = { .types = SCHEMA_STRING, .min_length = 1, .max_length = 255 };
static const struct schema binary_schema = { .types = SCHEMA_STRING, .min_length = 1, .max_length = 255 };
static const struct schema host_schema = { .types = SCHEMA_STRING, .min_length = 1, .max_length = 255,
    .pattern = "^[a-zA-Z0-9-._]*$" };
static const struct schema legacy_schema = { .types = SCHEMA_OBJECT, .closed = true,
    .properties = SCHEMA_PROPERTIES({ "host", &host_schema }, { "binary", &binary_schema }, { "disabled_reason", &reason_schema }),
    .required = SCHEMA_WORDS("host", "binary") };
static const struct schema force_down_schema = { .types = SCHEMA_OBJECT, .closed = true,
    .properties = SCHEMA_PROPERTIES({ "host", &host_schema }, { "binary", &binary_schema }, { "forced_down", &schema_boolean }),
    .required = SCHEMA_WORDS("host", "binary", "forced_down") };

static void write_legacy(struct request *rq, const struct service_change *c)
{
    struct json_writer *w = &rq->json;
    json_begin(w, NULL);
    json_begin(w, "service");
    json_text(w, "host", c->host);
    json_text(w, "binary", c->binary);
    if (c->status != NULL)
        json_text(w, "status", c->status);
    if (c->reason != NULL)
        json_text(w, "disabled_reason", c->reason);
    if (c->forced_down >= 0)
        json_bool(w, "forced_down", c->forced_down == 1);
    json_end(w);
    json_end(w);
}

/* Until 2.52: PUT /os-services/{enable,disable,disable-log-reason,force-down} with host and binary. */
static struct fault *services_action(struct request *rq)
{
    const char *action = request_argument(rq, "id");
    struct service_change c = { .forced_down = -1 };
    bool force = strcmp(action, "force-down") == 0 && rq->version >= V_FORCED_DOWN;
    if (strcmp(action, "enable") != 0 && strcmp(action, "disable") != 0 && strcmp(action, "disable-log-reason") != 0 && !force)
        return NOT_FOUND(rq, "Unknown action");
    TRY(request_validate(rq, force ? &force_down_schema : &legacy_schema));
    c.host = json_text_at(rq->body, "host");
    c.binary = json_text_at(rq->body, "binary");
    if (strcmp(action, "disable-log-reason") == 0) {
        c.reason = json_text_at(rq->body, "disabled_reason");
        if (c.reason == NULL)
            return BAD_REQUEST(rq, "Missing disabled reason field");
    }
    if (force)
        c.forced_down = json_truth(json_object_get(rq->body, "forced_down"));
    else
        c.status = strcmp(action, "enable") == 0 ? "enabled" : "disabled";
    TRY(db_write(rq->cx.arena, rq->cx.app->db, run_change, &c));
    write_legacy(rq, &c);
    return NULL;
}

static const struct schema status_schema = { .types = SCHEMA_STRING, .values = SCHEMA_WORDS("enabled", "disabled") };
static const struct schema update_schema = { .types = SCHEMA_OBJECT, .closed = true,
    .properties = SCHEMA_PROPERTIES({ "status", &status_schema }, { "disabled_reason", &reason_schema },
        { "forced_down", &schema_boolean }) };

static struct fault *check_update(struct request *rq)
{
    const char *status = json_text_at(rq->body, "status");
    const json_t *reason = json_object_get(rq->body, "disabled_reason");
    if (reason != NULL && (status == NULL || strcmp(status, "disabled") != 0))
        return BAD_REQUEST(rq, "Specifying disabled_reason when status is 'enabled' is invalid.");
    if (status == NULL && json_object_get(rq->body, "forced_down") == NULL)
        return BAD_REQUEST(rq, "No updates were requested. Fields 'status' or 'forced_down' should be specified.");
    return NULL;
}

static struct fault *services_update(struct request *rq)
{
    const char *uuid = request_argument(rq, "id");
    if (!uuid_like(uuid))
        return BAD_REQUEST(rq, "Invalid uuid %s", uuid);
    TRY(request_validate(rq, &update_schema));
    TRY(check_update(rq));
    const json_t *forced = json_object_get(rq->body, "forced_down");
    struct service_change c = { .uuid = uuid, .status = json_text_at(rq->body, "status"),
        .reason = json_text_at(rq->body, "disabled_reason"), .forced_down = forced == NULL ? -1 : json_truth(forced) };
    TRY(db_write(rq->cx.arena, rq->cx.app->db, run_change, &c));
    struct tx *tx;
    struct aggregate *aggregates;
    size_t count;
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(aggregate_list(tx, &aggregates, &count));
    tx_end(tx);
    json_begin(&rq->json, NULL);
    write_service(rq, &c.found, zone_of(rq, &c.found, aggregates, count), "service");
    json_end(&rq->json);
    return NULL;
}

/* ---- delete ---- */

struct removal {
    const char *id;
    bool by_uuid;
    struct service_row found;
    struct compute_node *nodes;
    size_t node_count;
};

static struct fault *run_remove(struct tx *tx, void *argument)
{
    struct removal *r = argument;
    struct service_row *services;
    struct instance *servers;
    size_t count, server_count, i = 0;
    TRY(service_list(tx, NULL, NULL, &services, &count));
    while (i < count && (r->by_uuid ? strcmp(services[i].uuid, r->id) != 0 : services[i].id != strtoll(r->id, NULL, 10)))
        i++;
    if (i == count)
        return fault_new(tx_arena(tx), 404, NULL, "Service %s not found.", r->id);
    r->found = services[i];
    if (strcmp(r->found.binary, "nova-compute") == 0) {
        TRY(instance_list_host(tx, r->found.host, &servers, &server_count));
        if (server_count > 0)
            return fault_new(tx_arena(tx), 409, NULL, "Unable to delete compute service that is hosting instances. Migrate or "
                "delete the instances first.");
        TRY(compute_node_list(tx, r->found.host, &r->nodes, &r->node_count));
        TRY(sql_exec(tx, "DELETE FROM compute_nodes WHERE host = ?", BIND(TEXT(r->found.host))));
    }
    return sql_exec(tx, "DELETE FROM services WHERE id = ?", BIND(INT(r->found.id)));
}

static struct fault *services_delete(struct request *rq)
{
    struct removal r = { .id = request_argument(rq, "id"), .by_uuid = rq->version >= V_UUID };
    if (r.by_uuid && !uuid_like(r.id))
        return BAD_REQUEST(rq, "Invalid uuid %s", r.id);
    if (!r.by_uuid && r.id[strspn(r.id, "0123456789")] != '\0')
        return BAD_REQUEST(rq, "Invalid id %s", r.id);
    TRY(db_write(rq->cx.arena, rq->cx.app->db, run_remove, &r));
    for (size_t i = 0; i < r.node_count; i++) { /* its provider has no inventory that anybody could use now */
        struct rest_response gone;
        TRY(rest_call(RQ(rq), &(struct rest){ .service = "placement", .method = DELETE, .as = AS_SERVICE, .accept_status = 404,
            .version = "placement 1.39", .path = arena_printf(rq->cx.arena, "/resource_providers/%s", r.nodes[i].uuid) }, &gone));
    }
    return api_empty(rq, 204);
}

static const struct route rows[] = {
    ROUTE(GET,    "/v2.1/os-services",      "os_compute_api:os-services:list",   services_index),
    ROUTE(PUT,    "/v2.1/os-services/{id}", "os_compute_api:os-services:update", services_action, .max_version = 52),
    ROUTE(PUT,    "/v2.1/os-services/{id}", "os_compute_api:os-services:update", services_update, .min_version = 53),
    ROUTE(DELETE, "/v2.1/os-services/{id}", "os_compute_api:os-services:delete", services_delete, SLOW),
};
const struct route_table service_routes = ROUTES(rows);
