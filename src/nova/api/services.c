/* SPDX-License-Identifier: Apache-2.0
 *
 * services: nova's own programs: which report, which are disabled. API reference: Compute services.
 */
#include "nova/api/api.h"
#include "nova/cells.h"
#include "nova/notify.h"

#include "base/clock.h"
#include "base/log.h"
#include "oslo/rest.h"

#include <string.h>

/* The API's own programs report, too, but are not listed (as nova). */
#define API_BINARY "nova-osapi_compute"

struct view {
    struct service_row *services;
    size_t count;
    struct aggregate *aggregates;
    size_t aggregate_count;
    const char *default_zone, *internal_zone;
    int64_t down_time;
};

static struct fault *load(struct request *rq, const char *host, const char *binary, struct view *ret)
{
    const struct config *config = rq->cx.app->config;
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    struct fault *fault = service_list(tx, host, binary, &ret->services, &ret->count);
    if (fault == NULL)
        fault = aggregate_list(tx, &ret->aggregates, &ret->aggregate_count);
    tx_end(tx);
    ret->default_zone = config_str(config, "DEFAULT", "default_availability_zone");
    ret->internal_zone = config_str(config, "DEFAULT", "internal_service_availability_zone");
    ret->down_time = config_int(config, "DEFAULT", "service_down_time");
    return fault;
}

static const char *zone_of(const struct view *view, const struct service_row *service)
{
    if (strcmp(service->topic, "compute") != 0)
        return view->internal_zone;
    return host_zone(view->aggregates, view->aggregate_count, service->host, view->default_zone);
}

static void write_service(struct request *rq, const struct view *view, const struct service_row *service, const char *name)
{
    struct json_writer *w = &rq->json;

    json_begin(w, name);
    if (rq->version >= 53)
        json_text(w, "id", service->uuid);
    else
        json_int(w, "id", service->id);
    json_text(w, "binary", service->binary);
    json_text(w, "host", service->host);
    json_text(w, "zone", zone_of(view, service));
    json_text(w, "status", service->disabled ? "disabled" : "enabled");
    json_text(w, "state", service_is_up(service, view->down_time) ? "up" : "down");
    json_text(w, "updated_at", api_time_us(rq, service->last_seen_up));
    json_text(w, "disabled_reason", service->disabled_reason);
    if (rq->version >= 11)
        json_bool(w, "forced_down", service->forced_down);
    json_end(w);
}

static struct fault *services_index(struct request *rq)
{
    static const char *const allowed[] = { "host", "binary", NULL };
    struct view view;

    TRY(api_query_check(rq, allowed, rq->version >= 75));
    TRY(load(rq, request_query(rq, "host"), request_query(rq, "binary"), &view));
    json_begin(&rq->json, NULL);
    json_begin_array(&rq->json, "services");
    for (size_t i = 0; i < view.count; i++)
        if (strcmp(view.services[i].binary, API_BINARY) != 0)
            write_service(rq, &view, &view.services[i], NULL);
    json_end_array(&rq->json);
    json_end(&rq->json);
    return NULL;
}

static struct fault *find_service(struct request *rq, struct view *view, const char *host, const char *binary, const char *id,
    struct service_row **ret)
{
    TRY(load(rq, host, binary, view));
    for (size_t i = 0; i < view->count; i++)
        if (id == NULL || strcmp(id, view->services[i].uuid) == 0 || (rq->version < 53 && atoll(id) == view->services[i].id)) {
            *ret = &view->services[i];
            return NULL;
        }
    if (id != NULL)
        return NOT_FOUND(rq, "Service %s could not be found.", id);
    return NOT_FOUND(rq, "Could not find binary %s on host %s.", binary, host);
}

/* As nova: told in the service's own name. */
static void tell(struct request *rq, const struct service_row *s, const char *action)
{
    struct context *cx = &rq->cx;

    if (!notify_wanted(cx))
        return;
    json_t *data = json_pack("{s:s, s:s, s:s, s:s?, s:b, s:s?, s:b, s:I, s:n, s:I, s:s?}", "uuid", s->uuid, "host", s->host,
        "binary", s->binary, "topic", s->topic, "disabled", (int)s->disabled, "disabled_reason", s->disabled_reason, "forced_down",
        (int)s->forced_down, "version", (json_int_t)s->version, "availability_zone", "report_count", (json_int_t)s->report_count,
        "last_seen_up", s->last_seen_up != 0 ? clock_text(cx->arena, s->last_seen_up, CLOCK_ISO) : NULL);
    notify_versioned(cx, s->binary, s->host, arena_printf(cx->arena, "service.%s", action), NOTIFY_INFO,
        notify_object("ServiceStatusPayload", "1.1", data));
}

static struct fault *save_service(struct request *rq, const struct service_row *s)
{
    TRY(db_exec(rq->cx.arena, rq->cx.app->db,
        "UPDATE services SET disabled=?,disabled_reason=?,forced_down=?,updated_at=? WHERE id=?",
        BIND(INT(s->disabled), TEXT(s->disabled_reason), INT(s->forced_down), INT(clock_now_us()), INT(s->id)), NULL));
    tell(rq, s, "update");
    return NULL;
}

static const struct schema reason = { .types = SCHEMA_STRING, .min_length = 1, .max_length = 255 };
static const struct schema status = { .types = SCHEMA_STRING, .values = SCHEMA_WORDS("enabled", "disabled") };
static const struct schema update_53 = SCHEMA_CLOSED({ "status", &status }, { "disabled_reason", &reason },
    { "forced_down", &nova_schema_boolean });
static const struct schema by_name = { .types = SCHEMA_OBJECT, .closed = true, .required = SCHEMA_WORDS("host", "binary"),
    .properties = SCHEMA_PROPERTIES({ "host", &nova_schema_text255 }, { "binary", &nova_schema_text255 },
        { "disabled_reason", &reason }, { "forced_down", &nova_schema_boolean }) };

static struct fault *services_update(struct request *rq)
{
    struct view view;
    struct service_row *service;

    TRY(request_validate(rq, &update_53));
    if (json_object_size(rq->body) == 0)
        return BAD_REQUEST(rq, "No updates were requested. Fields 'status' or 'forced_down' should be specified.");
    const char *wanted = json_text_at(rq->body, "status"), *why = json_text_at(rq->body, "disabled_reason");
    const json_t *down = json_object_get(rq->body, "forced_down");
    if (why != NULL && (wanted == NULL || strcmp(wanted, "disabled") != 0))
        return BAD_REQUEST(rq, "Specifying disabled_reason requires that status is 'disabled'.");
    TRY(find_service(rq, &view, NULL, NULL, request_argument(rq, "id"), &service));
    if (strcmp(service->binary, "nova-compute") != 0)
        return BAD_REQUEST(rq, "Updating a %s service is not supported. Only nova-compute services can be updated.",
            service->binary);
    if (wanted != NULL) {
        service->disabled = strcmp(wanted, "disabled") == 0;
        service->disabled_reason = why;
    }
    if (down != NULL)
        service->forced_down = json_truth(down);
    TRY(save_service(rq, service));
    json_begin(&rq->json, NULL);
    write_service(rq, &view, service, "service");
    json_end(&rq->json);
    return NULL;
}

/* PUT /os-services/enable and its sisters, up to 2.52. */
static struct fault *services_act(struct request *rq)
{
    const char *act = request_argument(rq, "id");
    struct view view;
    struct service_row *service;

    bool enable = strcmp(act, "enable") == 0, disable = strcmp(act, "disable") == 0, log = strcmp(act, "disable-log-reason") == 0,
         force = strcmp(act, "force-down") == 0 && rq->version >= 11;
    if (!enable && !disable && !log && !force)
        return NOT_FOUND(rq, "Unknown action");
    TRY(request_validate(rq, &by_name));
    TRY(find_service(rq, &view, json_text_at(rq->body, "host"), json_text_at(rq->body, "binary"), NULL, &service));
    if (log && json_text_at(rq->body, "disabled_reason") == NULL)
        return BAD_REQUEST(rq, "Missing disabled reason field");
    if (force) {
        service->forced_down = json_truth(json_object_get(rq->body, "forced_down"));
    } else {
        service->disabled = !enable;
        service->disabled_reason = log ? json_text_at(rq->body, "disabled_reason") : NULL;
    }
    TRY(save_service(rq, service));
    json_begin(&rq->json, NULL);
    json_begin(&rq->json, "service");
    json_text(&rq->json, "host", service->host);
    json_text(&rq->json, "binary", service->binary);
    if (force)
        json_bool(&rq->json, "forced_down", service->forced_down);
    else
        json_text(&rq->json, "status", enable ? "enabled" : "disabled");
    if (log)
        json_text(&rq->json, "disabled_reason", service->disabled_reason);
    json_end(&rq->json);
    json_end(&rq->json);
    return NULL;
}

struct deletion {
    const struct service_row *service;
    struct compute_node *nodes; /* that went with it */
    size_t node_count;
};

/* As nova: a host that is gone is in no aggregate. */
static struct fault *leave_aggregates(struct tx *tx, const char *host)
{
    struct aggregate *aggregates;
    size_t count, at;
    json_t *name;

    TRY(aggregate_list(tx, &aggregates, &count));
    for (size_t i = 0; i < count; i++)
        json_array_foreach(aggregates[i].hosts, at, name)
            if (strcmp(json_string_value(name), host) == 0) {
                json_array_remove(aggregates[i].hosts, at);
                TRY(sql_exec(tx, "UPDATE aggregates SET hosts=?,updated_at=? WHERE id=?",
                    BIND(TEXT(json_dump(tx_arena(tx), aggregates[i].hosts)), INT(clock_now_us()), INT(aggregates[i].id))));
                break;
            }
    return NULL;
}

static struct fault *run_delete(struct tx *tx, void *argument)
{
    struct deletion *deletion = argument;
    const struct service_row *service = deletion->service;
    int64_t left;

    deletion->node_count = 0;
    if (strcmp(service->binary, "nova-compute") != 0)
        return sql_exec(tx, "DELETE FROM services WHERE id=?", BIND(INT(service->id)));
    TRY(sql_int_of(tx, &left, 0, "SELECT COUNT(*) FROM instances WHERE host=? AND deleted=0", BIND(TEXT(service->host))));
    if (left > 0)
        return fault_new(tx_arena(tx), 409, NULL, "Unable to delete compute service that is hosting instances. Migrate or delete "
            "the instances first.");
    TRY(compute_node_list(tx, service->host, &deletion->nodes, &deletion->node_count));
    TRY(leave_aggregates(tx, service->host));
    TRY(sql_exec(tx, "DELETE FROM compute_nodes WHERE host=?", BIND(TEXT(service->host))));
    return sql_exec(tx, "DELETE FROM services WHERE id=?", BIND(INT(service->id)));
}

/* As nova: what placement does not let go is told in the log, and the service is deleted all the same. */
static void delete_provider(struct request *rq, const struct compute_node *node)
{
    struct rest_response answer;
    struct fault *fault = rest_call(RQ(rq), &(struct rest){ .service = "placement", .method = DELETE, .as = AS_SERVICE,
        .accept_status = 404, .path = arena_printf(rq->cx.arena, "/resource_providers/%s", node->uuid) }, &answer);

    if (fault != NULL)
        log_error("nova.api.openstack.compute.services", "Failed to delete compute node resource provider for compute node %s: %s",
            node->uuid, fault_text(rq->cx.arena, fault));
}

static struct fault *services_delete(struct request *rq)
{
    struct view view;
    struct service_row *service;

    TRY(find_service(rq, &view, NULL, NULL, request_argument(rq, "id"), &service));
    struct deletion deletion = { .service = service };
    TRY(db_write(rq->cx.arena, rq->cx.app->db, run_delete, &deletion));
    tell(rq, service, "delete");
    for (size_t i = 0; i < deletion.node_count; i++)
        delete_provider(rq, &deletion.nodes[i]);
    if (strcmp(service->binary, "nova-compute") == 0)
        TRY(cells_unmap_host(rq->cx.arena, cells_db(rq->cx.app), service->host));
    return api_empty(rq, 204);
}

static const struct route service_rows[] = {
    ROUTE(GET,    "/v2.1/os-services",      "os_compute_api:os-services:list",   services_index),
    ROUTE(PUT,    "/v2.1/os-services/{id}", "os_compute_api:os-services:update", services_act,    .max_version = 52),
    ROUTE(PUT,    "/v2.1/os-services/{id}", "os_compute_api:os-services:update", services_update, .min_version = 53),
    ROUTE(DELETE, "/v2.1/os-services/{id}", "os_compute_api:os-services:delete", services_delete),
};
const struct route_table nova_service_routes = ROUTES(service_rows);
