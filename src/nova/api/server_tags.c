/* SPDX-License-Identifier: Apache-2.0
 *
 * server_tags: the tags of a server, from 2.26 on. API reference: Server tags.
 */
#include "nova/api/server_actions.h"
#include "nova/notify.h"

#include "oslo/rest.h"

#include <string.h>

enum { TAGS_MAX = 50, TAG_MAX = 60 };

static const struct schema list = { .types = SCHEMA_ARRAY, .items = &nova_schema_tag, .max_items = TAGS_MAX };
static const struct schema body = { .types = SCHEMA_OBJECT, .closed = true, .required = SCHEMA_WORDS("tags"),
    .properties = SCHEMA_PROPERTIES({ "tags", &list }) };

struct change {
    struct request *rq;
    const char *uuid, *add, *remove;
    const json_t *replace;
    bool existed;
    const char *const *result;
};

static struct fault *run_change(struct tx *tx, void *argument)
{
    struct change *change = argument;
    struct arena *arena = tx_arena(tx);
    struct instance now;
    size_t count, kept = 0, i;
    json_t *tag;

    TRY(instance_load(tx, change->uuid, false, &now));
    TRY(server_check_lock(change->rq, &now));
    if (strcmp(now.vm_state, VM_BUILDING) == 0 || strcmp(now.vm_state, VM_ERROR) == 0)
        return server_wrong_state(change->rq, &now, change->remove != NULL ? "delete_tag" : "update_tag", "vm_state", now.vm_state);
    const char *const *tags = instance_tags_list(arena, now.tags, &count);
    const char **next = ARENA_ARRAY(arena, const char *, count + TAGS_MAX + 2);
    change->existed = false;
    for (i = 0; i < count && change->replace == NULL; i++) {
        change->existed = change->existed || (change->add != NULL && strcmp(tags[i], change->add) == 0);
        if (change->remove != NULL && strcmp(tags[i], change->remove) == 0)
            change->existed = true;
        else
            next[kept++] = tags[i];
    }
    if (change->remove != NULL && !change->existed)
        return fault_new(arena, 404, NULL, "Server %s has no tag '%s'", change->uuid, change->remove);
    if (change->add != NULL && !change->existed) {
        if (count >= TAGS_MAX)
            return fault_new(arena, 400, NULL, "The number of tags exceeded the per-server limit %d", TAGS_MAX);
        next[kept++] = change->add;
    }
    json_array_foreach((json_t *)change->replace, i, tag)
    {
        size_t k = 0;

        while (k < kept && strcmp(next[k], json_string_value(tag)) != 0)
            k++;
        if (k == kept)
            next[kept++] = json_string_value(tag);
    }
    change->result = next;
    return instance_update(tx, change->uuid, CHANGES(CHANGE(TAGS, TEXT(instance_tags_text(arena, next, kept)))),
        &(struct instance_expect){ .generation = now.generation });
}

static struct fault *change_tags(struct request *rq, const char *rule, struct change *change)
{
    struct instance instance;

    TRY(api_server(rq, rule, &instance));
    change->rq = rq;
    change->uuid = instance.uuid;
    const struct instance_before before = notify_before(&rq->cx, &instance);
    TRY(db_write(rq->cx.arena, rq->cx.app->db, run_change, change));
    notify_changed(&rq->cx, &before, "nova-api");
    return NULL;
}

static struct fault *answer(struct request *rq, const char *const *tags)
{
    json_begin(&rq->json, NULL);
    json_begin_array(&rq->json, "tags");
    for (; *tags != NULL; tags++)
        json_text(&rq->json, NULL, *tags);
    json_end_array(&rq->json);
    json_end(&rq->json);
    return NULL;
}

static struct fault *tags_index(struct request *rq)
{
    struct instance instance;

    TRY(api_server(rq, "os_compute_api:os-server-tags:index", &instance));
    return answer(rq, instance_tags_list(rq->cx.arena, instance.tags, NULL));
}

static struct fault *tags_show(struct request *rq)
{
    struct instance instance;
    const char *tag = request_argument(rq, "tag");

    TRY(api_server(rq, "os_compute_api:os-server-tags:show", &instance));
    for (const char *const *t = instance_tags_list(rq->cx.arena, instance.tags, NULL); *t != NULL; t++)
        if (strcmp(*t, tag) == 0)
            return api_empty(rq, 204);
    return NOT_FOUND(rq, "Server %s has no tag '%s'", instance.uuid, tag);
}

static struct fault *tags_update(struct request *rq)
{
    const char *tag = request_argument(rq, "tag");
    struct change change = { .add = tag };

    if (strpbrk(tag, ",/") != NULL)
        return BAD_REQUEST(rq, "Invalid input for field/attribute tag. Value: %s. '%s' does not match '^[^,/]*$'", tag, tag);
    if (strlen(tag) > TAG_MAX)
        return BAD_REQUEST(rq, "Invalid input for field/attribute tag. Value: %s. '%s' is too long", tag, tag);
    TRY(change_tags(rq, "os_compute_api:os-server-tags:update", &change));
    if (!change.existed)
        response_headerf(rq, "Location", "%s/v2.1%s/servers/%s/tags/%s", rq->base_url, api_project_prefix(rq), change.uuid,
            rest_escape(rq->cx.arena, tag));
    return api_empty(rq, change.existed ? 204 : 201);
}

static struct fault *tags_update_all(struct request *rq)
{
    struct change change = { 0 };

    TRY(request_validate(rq, &body));
    change.replace = json_object_get(rq->body, "tags");
    TRY(change_tags(rq, "os_compute_api:os-server-tags:update_all", &change));
    return answer(rq, change.result);
}

static struct fault *tags_delete(struct request *rq)
{
    struct change change = { .remove = request_argument(rq, "tag") };

    TRY(change_tags(rq, "os_compute_api:os-server-tags:delete", &change));
    return api_empty(rq, 204);
}

static struct fault *tags_delete_all(struct request *rq)
{
    struct change change = { .replace = json_keep(rq->cx.arena, json_array()) };

    TRY(change_tags(rq, "os_compute_api:os-server-tags:delete_all", &change));
    return api_empty(rq, 204);
}

#define T "os_compute_api:os-server-tags:"
#define PATH "/v2.1/servers/{server_id}/tags"
#define SINCE .min_version = 26
static const struct route rows[] = {
    ROUTE(GET,    PATH,          T "index",      tags_index,      HANDLER_POLICY, SINCE),
    ROUTE(PUT,    PATH,          T "update_all", tags_update_all, HANDLER_POLICY, SINCE),
    ROUTE(DELETE, PATH,          T "delete_all", tags_delete_all, HANDLER_POLICY, SINCE),
    ROUTE(GET,    PATH "/{tag}", T "show",       tags_show,       HANDLER_POLICY, SINCE),
    ROUTE(PUT,    PATH "/{tag}", T "update",     tags_update,     HANDLER_POLICY, SINCE),
    ROUTE(DELETE, PATH "/{tag}", T "delete",     tags_delete,     HANDLER_POLICY, SINCE),
};
const struct route_table nova_server_tag_routes = ROUTES(rows);
