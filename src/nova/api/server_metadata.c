/* SPDX-License-Identifier: Apache-2.0
 *
 * server_metadata: the metadata of a server. API reference: Server metadata.
 */
#include "nova/api/server_actions.h"
#include "nova/notify.h"
#include "nova/quota.h"

#include <string.h>

static const struct schema body_all = { .types = SCHEMA_OBJECT, .closed = true, .required = SCHEMA_WORDS("metadata"),
    .properties = SCHEMA_PROPERTIES({ "metadata", &nova_schema_metadata }) };
static const struct schema value = { .types = SCHEMA_STRING, .max_length = 255 };
static const struct schema one = { .types = SCHEMA_OBJECT, .closed = true, .min_properties = 1, .max_properties = 1,
    .patterns = SCHEMA_PROPERTIES({ "^[a-zA-Z0-9-_:. ]{1,255}$", &value }) };
static const struct schema body_one = { .types = SCHEMA_OBJECT, .closed = true, .required = SCHEMA_WORDS("meta"),
    .properties = SCHEMA_PROPERTIES({ "meta", &one }) };

struct change {
    struct request *rq;
    const char *uuid;
    const json_t *set;
    const char *remove;
    bool replace;
    json_t *result;
};

static struct fault *run_change(struct tx *tx, void *argument)
{
    struct change *change = argument;
    struct request *rq = change->rq;
    struct arena *arena = tx_arena(tx);
    struct instance now;
    int64_t limits[QUOTA_RESOURCES];

    TRY(instance_load(tx, change->uuid, false, &now));
    TRY(server_check_lock(rq, &now));
    if (strcmp(now.vm_state, VM_BUILDING) == 0)
        return server_wrong_state(rq, &now, change->remove != NULL ? "delete metadata" : "update metadata", "vm_state",
            now.vm_state);
    json_t *metadata = change->replace ? json_keep(arena, json_object()) : json_parse_own(arena, now.metadata);
    if (change->remove != NULL && json_object_del(metadata, change->remove) != 0)
        return fault_new(arena, 404, NULL, "Metadata item was not found");
    if (change->set != NULL)
        json_object_update(metadata, (json_t *)change->set);
    TRY(quota_limits(tx, rq->cx.app->config, now.project_id, now.user_id, limits, NULL));
    if (change->remove == NULL && limits[QUOTA_METADATA_ITEMS] >= 0 &&
        (int64_t)json_object_size(metadata) > limits[QUOTA_METADATA_ITEMS])
        return fault_new(arena, 403, NULL, "Maximum number of metadata items exceeds %lld",
            (long long)limits[QUOTA_METADATA_ITEMS]);
    change->result = metadata;
    return instance_update(tx, change->uuid, CHANGES(CHANGE(METADATA, TEXT(json_dump(arena, metadata)))),
        &(struct instance_expect){ .generation = now.generation });
}

static struct fault *change_metadata(struct request *rq, const char *rule, const json_t *set, const char *remove, bool replace,
    json_t **ret)
{
    struct instance instance;
    struct change change = { .rq = rq, .set = set, .remove = remove, .replace = replace };

    TRY(api_server(rq, rule, &instance));
    change.uuid = instance.uuid;
    const struct instance_before before = notify_before(&rq->cx, &instance);
    TRY(db_write(rq->cx.arena, rq->cx.app->db, run_change, &change));
    notify_changed(&rq->cx, &before, "nova-compute");
    if (ret != NULL)
        *ret = change.result;
    return NULL;
}

static struct fault *answer(struct request *rq, const json_t *metadata)
{
    json_begin(&rq->json, NULL);
    json_value(&rq->json, "metadata", metadata);
    json_end(&rq->json);
    return NULL;
}

static struct fault *metadata_index(struct request *rq)
{
    struct instance instance;

    TRY(api_server(rq, "os_compute_api:server-metadata:index", &instance));
    return answer(rq, json_parse_own(rq->cx.arena, instance.metadata));
}

static struct fault *metadata_create(struct request *rq)
{
    json_t *result;

    TRY(request_validate(rq, &body_all));
    TRY(change_metadata(rq, "os_compute_api:server-metadata:create", json_object_get(rq->body, "metadata"), NULL, false, &result));
    return answer(rq, result);
}

static struct fault *metadata_update_all(struct request *rq)
{
    json_t *result;

    TRY(request_validate(rq, &body_all));
    TRY(change_metadata(rq, "os_compute_api:server-metadata:update_all", json_object_get(rq->body, "metadata"), NULL,
        true, &result));
    return answer(rq, result);
}

static struct fault *metadata_show(struct request *rq)
{
    struct instance instance;
    const char *key = request_argument(rq, "key");

    TRY(api_server(rq, "os_compute_api:server-metadata:show", &instance));
    const json_t *found = json_object_get(json_parse_own(rq->cx.arena, instance.metadata), key);
    if (found == NULL)
        return NOT_FOUND(rq, "Metadata item was not found");
    json_begin(&rq->json, NULL);
    json_begin(&rq->json, "meta");
    json_value(&rq->json, key, found);
    json_end(&rq->json);
    json_end(&rq->json);
    return NULL;
}

static struct fault *metadata_update(struct request *rq)
{
    TRY(request_validate(rq, &body_one));
    const json_t *meta = json_object_get(rq->body, "meta");
    if (json_object_get(meta, request_argument(rq, "key")) == NULL)
        return BAD_REQUEST(rq, "Request body and URI mismatch");
    TRY(change_metadata(rq, "os_compute_api:server-metadata:update", meta, NULL, false, NULL));
    json_value(&rq->json, NULL, rq->body);
    return NULL;
}

static struct fault *metadata_delete(struct request *rq)
{
    TRY(change_metadata(rq, "os_compute_api:server-metadata:delete", NULL, request_argument(rq, "key"), false, NULL));
    return api_empty(rq, 204);
}

#define M "os_compute_api:server-metadata:"
#define PATH "/v2.1/servers/{server_id}/metadata"
static const struct route rows[] = {
    ROUTE(GET,    PATH,          M "index",      metadata_index,      HANDLER_POLICY),
    ROUTE(POST,   PATH,          M "create",     metadata_create,     HANDLER_POLICY),
    ROUTE(PUT,    PATH,          M "update_all", metadata_update_all, HANDLER_POLICY),
    ROUTE(GET,    PATH "/{key}", M "show",       metadata_show,       HANDLER_POLICY),
    ROUTE(PUT,    PATH "/{key}", M "update",     metadata_update,     HANDLER_POLICY),
    ROUTE(DELETE, PATH "/{key}", M "delete",     metadata_delete,     HANDLER_POLICY),
};
const struct route_table nova_server_metadata_routes = ROUTES(rows);
