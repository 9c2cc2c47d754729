/* SPDX-License-Identifier: Apache-2.0
 *
 * external_events: what other services tell about servers (a port was wired), handed to the compute hosts. API reference: Create
 * external events.
 */
#include "nova/api/api.h"
#include "nova/rpcapi.h"
#include "oslo/messaging.h"

#include <string.h>

static const struct schema event_name = { .types = SCHEMA_STRING, .values = SCHEMA_WORDS("network-changed", "network-vif-plugged",
    "network-vif-unplugged", "network-vif-deleted", "volume-extended", "power-update", "accelerator-request-bound",
    "volume-reimaged") };
static const struct schema event_status = { .types = SCHEMA_STRING, .values = SCHEMA_WORDS("failed", "completed", "in-progress") };
static const struct schema tag = { .types = SCHEMA_STRING, .max_length = 255 };
static const struct schema event = { .types = SCHEMA_OBJECT, .closed = true, .required = SCHEMA_WORDS("server_uuid", "name"),
    .properties = SCHEMA_PROPERTIES({ "server_uuid", &nova_schema_uuid }, { "name", &event_name }, { "status", &event_status },
        { "tag", &tag }) };
static const struct schema events = { .types = SCHEMA_ARRAY, .items = &event };
static const struct schema body = { .types = SCHEMA_OBJECT, .closed = true, .required = SCHEMA_WORDS("events"),
    .properties = SCHEMA_PROPERTIES({ "events", &events }) };

struct heard {
    const char *host;
    int code; /* 200; 404 no such server; 422 it is on no host */
    const json_t *event;
};

static struct fault *look_up(struct request *rq, struct heard *heard, size_t count)
{
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    for (size_t i = 0; i < count; i++) {
        struct instance instance;
        struct fault *fault = instance_load(tx, json_text_at(heard[i].event, "server_uuid"), false, &instance);

        if (fault != NULL && fault->status != 404)
            return fault;
        heard[i].host = fault == NULL ? instance.host : NULL;
        heard[i].code = fault != NULL ? 404 : instance.host == NULL ? 422 : 200;
    }
    tx_end(tx);
    return NULL;
}

/* One message a host. */
static struct fault *forward(struct request *rq, const struct heard *heard, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bool before = heard[i].code != 200;
        json_t *list = json_array();
        json_t *message = json_keep(rq->cx.arena, json_pack("{s:o}", "events", list));

        for (size_t k = 0; k < i && !before; k++)
            before = heard[k].code == 200 && strcmp(heard[k].host, heard[i].host) == 0;
        if (before)
            continue;
        for (size_t k = i; k < count; k++) {
            const char *status = json_text_at(heard[k].event, "status");

            if (heard[k].code != 200 || strcmp(heard[k].host, heard[i].host) != 0)
                continue;
            json_array_append_new(list, json_pack("{s:s,s:s?,s:s,s:s}", "name", json_text_at(heard[k].event, "name"), "tag",
                json_text_at(heard[k].event, "tag"), "status", status != NULL ? status : "completed", "instance_uuid",
                json_text_at(heard[k].event, "server_uuid")));
        }
        TRY(rpc_cast(RQ(rq), &(struct rpc_target){ TOPIC_COMPUTE, heard[i].host, COMPUTE_VERSION }, RPC_EXTERNAL_INSTANCE_EVENT,
            message));
    }
    return NULL;
}

static struct fault *events_create(struct request *rq)
{
    TRY(request_validate(rq, &body));
    const json_t *list = json_object_get(rq->body, "events");
    size_t count = json_array_size(list), accepted = 0, i;
    struct heard *heard = ARENA_ARRAY(rq->cx.arena, struct heard, count + 1);

    for (i = 0; i < count; i++)
        heard[i].event = json_array_get(list, i);
    TRY(look_up(rq, heard, count));
    for (i = 0; i < count; i++)
        accepted += heard[i].code == 200;
    if (accepted == 0)
        return NOT_FOUND(rq, "No instances found for any event");
    TRY(forward(rq, heard, count));
    rq->status = accepted == count ? 200 : 207;
    json_begin(&rq->json, NULL);
    json_begin_array(&rq->json, "events");
    for (i = 0; i < count; i++) {
        const char *status = json_text_at(heard[i].event, "status");

        json_begin(&rq->json, NULL);
        json_text(&rq->json, "name", json_text_at(heard[i].event, "name"));
        json_text(&rq->json, "server_uuid", json_text_at(heard[i].event, "server_uuid"));
        json_text(&rq->json, "status", heard[i].code == 200 ? status != NULL ? status : "completed" : "failed");
        if (json_text_at(heard[i].event, "tag") != NULL)
            json_text(&rq->json, "tag", json_text_at(heard[i].event, "tag"));
        json_int(&rq->json, "code", heard[i].code);
        json_end(&rq->json);
    }
    json_end_array(&rq->json);
    json_end(&rq->json);
    return NULL;
}

static const struct route rows[] = {
    ROUTE(POST, "/v2.1/os-server-external-events", "os_compute_api:os-server-external-events:create", events_create),
};
const struct route_table nova_external_event_routes = ROUTES(rows);
