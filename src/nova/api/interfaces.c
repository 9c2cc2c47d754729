/* SPDX-License-Identifier: Apache-2.0
 *
 * interfaces: the ports of a server, its diagnostics. API reference: Port interfaces, Servers diagnostics.
 */
#include "nova/action.h"
#include "nova/api/server_actions.h"
#include "nova/api/server_check.h"
#include "nova/rpcapi.h"
#include "oslo/messaging.h"
#include "oslo/rest.h"

#include <string.h>

static void write_port(struct request *rq, const json_t *port, const char *name)
{
    struct json_writer *w = &rq->json;
    size_t i;
    json_t *ip;

    json_begin(w, name);
    json_text(w, "port_id", json_text_at(port, "id"));
    json_text(w, "net_id", json_text_at(port, "network_id"));
    json_text(w, "mac_addr", json_text_at(port, "mac_address"));
    json_text(w, "port_state", json_text_at(port, "status"));
    json_begin_array(w, "fixed_ips");
    json_array_foreach(json_object_get(port, "fixed_ips"), i, ip)
    {
        json_begin(w, NULL);
        json_text(w, "subnet_id", json_text_at(ip, "subnet_id"));
        json_text(w, "ip_address", json_text_at(ip, "ip_address"));
        json_end(w);
    }
    json_end_array(w);
    if (rq->version >= 70)
        json_null_member(w, "tag");
    json_end(w);
}

static struct fault *ports_of(struct request *rq, const struct instance *instance, const json_t **ret)
{
    struct rest_response answer = { .fd = -1 };

    TRY(rest_call(RQ(rq), &(struct rest){ .service = "network", .method = GET, .as = AS_SERVICE,
        .path = arena_printf(rq->cx.arena, "/v2.0/ports?device_id=%s", instance->uuid) }, &answer));
    *ret = json_object_get(answer.body, "ports");
    return NULL;
}

static struct fault *interfaces_index(struct request *rq)
{
    struct instance instance;
    const json_t *ports;
    size_t i;
    json_t *port;

    TRY(api_server(rq, "os_compute_api:os-attach-interfaces:list", &instance));
    TRY(ports_of(rq, &instance, &ports));
    json_begin(&rq->json, NULL);
    json_begin_array(&rq->json, "interfaceAttachments");
    json_array_foreach((json_t *)ports, i, port)
        write_port(rq, port, NULL);
    json_end_array(&rq->json);
    json_end(&rq->json);
    return NULL;
}

static struct fault *write_one(struct request *rq, const struct instance *instance, const char *id)
{
    const json_t *ports;
    size_t i;
    json_t *port;

    TRY(ports_of(rq, instance, &ports));
    json_array_foreach((json_t *)ports, i, port)
        if (strcmp(json_text_at(port, "id"), id) == 0) {
            json_begin(&rq->json, NULL);
            write_port(rq, port, "interfaceAttachment");
            json_end(&rq->json);
            return NULL;
        }
    return NOT_FOUND(rq, "Instance %s does not have a port with id %s", instance->uuid, id);
}

static struct fault *interfaces_show(struct request *rq)
{
    struct instance instance;

    TRY(api_server(rq, "os_compute_api:os-attach-interfaces:show", &instance));
    return write_one(rq, &instance, request_argument(rq, "port_id"));
}

static const struct schema fixed_ip = { .types = SCHEMA_OBJECT, .closed = true, .required = SCHEMA_WORDS("ip_address"),
    .properties = SCHEMA_PROPERTIES({ "ip_address", &nova_schema_ip }) };
static const struct schema fixed_ips = { .types = SCHEMA_ARRAY, .items = &fixed_ip, .min_items = 1 };
static const struct schema attach_1 = SCHEMA_CLOSED({ "net_id", &nova_schema_uuid }, { "port_id", &nova_schema_uuid },
    { "fixed_ips", &fixed_ips });
static const struct schema attach_49 = SCHEMA_CLOSED({ "net_id", &nova_schema_uuid }, { "port_id", &nova_schema_uuid },
    { "fixed_ips", &fixed_ips }, { "tag", &nova_schema_tag });
static const struct schema attach_body_1 = SCHEMA_CLOSED({ "interfaceAttachment", &attach_1 });
static const struct schema attach_body_49 = SCHEMA_CLOSED({ "interfaceAttachment", &attach_49 });

/* Attaching and detaching need a server that has been active and is on a host. */
static struct fault *check_state(struct request *rq, const struct instance *instance, const char *method)
{
    const char *vm = instance->vm_state;

    TRY(server_check_lock(rq, instance));
    if (strcmp(vm, VM_ACTIVE) != 0 && strcmp(vm, VM_PAUSED) != 0 && strcmp(vm, VM_STOPPED) != 0)
        return server_wrong_state(rq, instance, method, "vm_state", vm);
    if (instance->task_state != NULL)
        return server_wrong_state(rq, instance, method, "task_state", instance->task_state);
    return instance->host == NULL ? CONFLICT(rq, "Instance %s is not ready", instance->uuid) : NULL;
}

struct start {
    struct request *rq;
    const char *uuid, *action;
};

static struct fault *run_start(struct tx *tx, void *argument)
{
    const struct start *start = argument;

    return action_start(tx, RQ(start->rq), start->uuid, start->action);
}

static struct fault *interfaces_create(struct request *rq)
{
    struct instance instance;
    json_t *result = NULL;

    TRY(request_validate(rq, rq->version >= 49 ? &attach_body_49 : &attach_body_1));
    TRY(api_server(rq, "os_compute_api:os-attach-interfaces:create", &instance));
    const json_t *wanted = json_object_get(rq->body, "interfaceAttachment");
    const char *net = json_text_at(wanted, "net_id"), *port = json_text_at(wanted, "port_id"),
               *tag = json_text_at(wanted, "tag"),
               *address = json_text_at(json_array_get(json_object_get(wanted, "fixed_ips"), 0), "ip_address");
    if (net != NULL && port != NULL)
        return BAD_REQUEST(rq, "Must not input both network_id and port_id");
    if (address != NULL && net == NULL)
        return BAD_REQUEST(rq, "Must input network_id when request IP address");
    TRY(check_state(rq, &instance, "attach_interface"));
    if (port != NULL)
        TRY(server_check_attached_port(rq, &instance, port));
    TRY(db_write(rq->cx.arena, rq->cx.app->db, run_start, &(struct start){ rq, instance.uuid, ACTION_ATTACH_INTERFACE }));
    json_t *arguments = json_keep(rq->cx.arena, json_pack("{s:s,s:s?,s:s?,s:s?,s:s?}", "instance_uuid", instance.uuid,
        "network_id", net, "port_id", port, "requested_ip", address, "tag", tag));
    TRY(rpc_call(RQ(rq), &(struct rpc_target){ TOPIC_COMPUTE, instance.host, COMPUTE_VERSION }, RPC_ATTACH_INTERFACE, arguments,
        0, &result));
    if (json_text_at(result, "id") == NULL)
        return FAULT(RQ(rq), 500, NULL, "Failed to attach network adapter device to %s", instance.uuid);
    return write_one(rq, &instance, json_text_at(result, "id"));
}

static struct fault *interfaces_delete(struct request *rq)
{
    struct instance instance;
    const char *port_id = request_argument(rq, "port_id");
    bool found = false;
    size_t i;
    json_t *vif;

    TRY(api_server(rq, "os_compute_api:os-attach-interfaces:delete", &instance));
    TRY(check_state(rq, &instance, "detach_interface"));
    json_array_foreach(json_parse_own(rq->cx.arena, instance.network_info), i, vif)
        found = found || (json_text_at(vif, "id") != NULL && strcmp(json_text_at(vif, "id"), port_id) == 0);
    if (!found)
        return NOT_FOUND(rq, "Port id %s could not be found.", port_id);
    TRY(db_write(rq->cx.arena, rq->cx.app->db, run_start, &(struct start){ rq, instance.uuid, ACTION_DETACH_INTERFACE }));
    json_t *arguments = json_keep(rq->cx.arena, json_pack("{s:s,s:s}", "instance_uuid", instance.uuid, "port_id", port_id));
    TRY(rpc_cast(RQ(rq), &(struct rpc_target){ TOPIC_COMPUTE, instance.host, COMPUTE_VERSION }, RPC_DETACH_INTERFACE, arguments));
    return api_empty(rq, 202);
}

static struct fault *diagnostics(struct request *rq)
{
    struct instance instance;
    json_t *result = NULL;

    TRY(api_server(rq, "os_compute_api:os-server-diagnostics", &instance));
    if (instance.host == NULL)
        return CONFLICT(rq, "Instance %s is not ready", instance.uuid);
    if (rq->version >= 48 && strcmp(instance.vm_state, VM_ACTIVE) != 0 && strcmp(instance.vm_state, VM_PAUSED) != 0 &&
        strcmp(instance.vm_state, VM_RESCUED) != 0)
        return server_wrong_state(rq, &instance, "get_diagnostics", "vm_state", instance.vm_state);
    TRY(rpc_call(RQ(rq), &(struct rpc_target){ TOPIC_COMPUTE, instance.host, COMPUTE_VERSION },
        rq->version >= 48 ? RPC_GET_INSTANCE_DIAGNOSTICS : RPC_GET_DIAGNOSTICS,
        json_keep(rq->cx.arena, json_pack("{s:s}", "instance_uuid", instance.uuid)), 0, &result));
    json_value(&rq->json, NULL, result);
    return NULL;
}

#define I "os_compute_api:os-attach-interfaces:"
#define PATH "/v2.1/servers/{server_id}/os-interface"
static const struct route rows[] = {
    ROUTE(GET,    PATH,              I "list",   interfaces_index,  HANDLER_POLICY, .flags = SLOW),
    ROUTE(POST,   PATH,              I "create", interfaces_create, HANDLER_POLICY, .flags = SLOW),
    ROUTE(GET,    PATH "/{port_id}", I "show",   interfaces_show,   HANDLER_POLICY, .flags = SLOW),
    ROUTE(DELETE, PATH "/{port_id}", I "delete", interfaces_delete, HANDLER_POLICY, .flags = SLOW),
    ROUTE(GET, "/v2.1/servers/{server_id}/diagnostics", "os_compute_api:os-server-diagnostics", diagnostics, HANDLER_POLICY,
        .flags = SLOW),
};
const struct route_table nova_interface_routes = ROUTES(rows);
