/* SPDX-License-Identifier: Apache-2.0
 *
 * servers: show, update, delete, addresses, and the routes of /servers. API reference: Servers.
 */
#include "nova/api/server_actions.h"
#include "nova/api/server_check.h"
#include "nova/api/server_create.h"
#include "nova/api/server_list.h"
#include "nova/api/server_view.h"

#include "nova/api/api.h"
#include "nova/notify.h"

#include <string.h>

static struct fault *answer(struct request *rq, const struct instance *instance, bool full, bool groups)
{
    struct server_view view;
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    struct fault *fault = server_view_init(&view, rq, tx, instance->project_id);
    tx_end(tx);
    TRY(fault);
    view.full = full;
    if (full)
        TRY(server_view_security_groups(&view, instance, 1));
    view.groups = groups;
    json_begin(&rq->json, NULL);
    server_view_write(&view, instance, "server");
    json_end(&rq->json);
    return NULL;
}

static struct fault *servers_show(struct request *rq)
{
    struct instance instance;

    TRY(api_server(rq, "os_compute_api:servers:show", &instance));
    return answer(rq, &instance, true, true);
}

static struct fault *servers_update(struct request *rq)
{
    static const struct {
        const char *name;
        enum instance_field field;
    } members[] = { { "name", INSTANCE_NAME }, { "description", INSTANCE_DESCRIPTION }, { "hostname", INSTANCE_HOSTNAME },
        { "accessIPv4", INSTANCE_ACCESS_IP_V4 } };
    struct instance instance;
    struct instance_change changes[8];
    size_t count = 0;

    TRY(server_update_validate(rq));
    TRY(api_server(rq, "os_compute_api:servers:update", &instance));
    const json_t *server = json_object_get(rq->body, "server"), *value;
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
        if ((value = json_object_get(server, members[i].name)) != NULL)
            changes[count++] = (struct instance_change){ members[i].field, TEXT(json_string_value(value)) };
    if ((value = json_object_get(server, "accessIPv6")) != NULL)
        changes[count++] = (struct instance_change){ INSTANCE_ACCESS_IP_V6,
            TEXT(server_short_ipv6(rq->cx.arena, json_string_value(value))) };
    if ((value = json_object_get(server, "OS-DCF:diskConfig")) != NULL)
        changes[count++] = (struct instance_change){ INSTANCE_AUTO_DISK_CONFIG,
            INT(strcmp(json_string_value(value), "AUTO") == 0) };
    const struct instance_before before = notify_before(&rq->cx, &instance);
    TRY(instance_save(rq->cx.arena, rq->cx.app->db, instance.uuid, changes, count, NULL));
    notify_changed(&rq->cx, &before, "nova-compute");
    TRY(instance_get(rq->cx.arena, rq->cx.app->db, instance.uuid, false, &instance));
    return answer(rq, &instance, rq->version >= 75, rq->version >= 75);
}

static struct fault *servers_delete(struct request *rq)
{
    TRY(server_delete(rq, "os_compute_api:servers:delete", "delete"));
    return api_empty(rq, 204);
}

static struct fault *ips_index(struct request *rq)
{
    struct instance instance;

    TRY(api_server(rq, "os_compute_api:ips:index", &instance));
    json_begin(&rq->json, NULL);
    json_begin(&rq->json, "addresses");
    server_view_addresses(rq, &instance, false, NULL);
    json_end(&rq->json);
    json_end(&rq->json);
    return NULL;
}

static struct fault *ips_show(struct request *rq)
{
    struct instance instance;

    TRY(api_server(rq, "os_compute_api:ips:show", &instance));
    json_begin(&rq->json, NULL);
    if (!server_view_addresses(rq, &instance, false, request_argument(rq, "network")))
        return NOT_FOUND(rq, "Instance is not a member of specified network");
    json_end(&rq->json);
    return NULL;
}

#define S "os_compute_api:servers:"
static const struct route rows[] = {
    ROUTE(GET,    "/v2.1/servers",                         S "index",  servers_index),
    ROUTE(GET,    "/v2.1/servers/detail",                  S "detail", servers_detail, .flags = SLOW),
    ROUTE(POST,   "/v2.1/servers",                         S "create", servers_create, .status = 202, .flags = SLOW),
    ROUTE(GET,    "/v2.1/servers/{server_id}",             S "show",   servers_show,   HANDLER_POLICY, .flags = SLOW),
    ROUTE(PUT,    "/v2.1/servers/{server_id}",             S "update", servers_update, HANDLER_POLICY, .flags = SLOW),
    ROUTE(DELETE, "/v2.1/servers/{server_id}",             S "delete", servers_delete, HANDLER_POLICY, .flags = SLOW),
    ROUTE(GET,    "/v2.1/servers/{server_id}/ips",         "os_compute_api:ips:index", ips_index, HANDLER_POLICY),
    ROUTE(GET,    "/v2.1/servers/{server_id}/ips/{network}", "os_compute_api:ips:show", ips_show, HANDLER_POLICY),
};
const struct route_table nova_server_routes = ROUTES(rows);
