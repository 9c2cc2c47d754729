/* SPDX-License-Identifier: Apache-2.0
 *
 * server_security_groups: which security groups the ports of an answer's servers have now, in two calls to the network
 * service for all of them, as nova.
 */
#include "base/map.h"
#include "nova/api/server_view.h"
#include "oslo/json.h"
#include "oslo/rest.h"

#include <string.h>

/* One request line stays below what a server takes. */
enum { DEVICES_A_CALL = 250 };

struct server_security_groups {
    struct map names;   /* group id: name */
    struct map servers; /* server id: struct held */
};

struct held {
    const char *name;
    struct held *next;
};

static void release(void *argument)
{
    struct server_security_groups *groups = argument;
    map_release(&groups->names);
    map_release(&groups->servers);
}

static struct fault *list(struct request *rq, const char *path, const char *plural, json_t **ret)
{
    struct rest_response answer = { .fd = -1 };
    TRY(rest_call(RQ(rq), &(struct rest){ .service = "network", .method = GET, .path = path, .as = AS_CALLER }, &answer));
    *ret = json_object_get(answer.body, plural);
    return NULL;
}

static bool has_ports(const struct instance *instance)
{
    return instance->network_info != NULL && strcmp(instance->network_info, "[]") != 0;
}

static struct fault *ports_of(struct request *rq, const struct instance *instances, size_t count, size_t *at, json_t **ret)
{
    BUF_CLEANUP struct buf path = { 0 };
    size_t asked = 0;
    *ret = NULL;
    buf_puts(&path, "/v2.0/ports?fields=device_id&fields=security_groups");
    for (; *at < count && asked < DEVICES_A_CALL; ++*at)
        if (has_ports(&instances[*at])) {
            buf_printf(&path, "&device_id=%s", instances[*at].uuid);
            asked++;
        }
    return asked > 0 ? list(rq, buf_text(&path), "ports", ret) : NULL;
}

/* Names of the groups that any of the ports has. A group that the caller may not see has none. */
static struct fault *name_groups(struct request *rq, struct server_security_groups *groups, const json_t *ports)
{
    BUF_CLEANUP struct buf path = { 0 };
    size_t p, g, asked = 0;
    json_t *port, *group, *found;
    buf_puts(&path, "/v2.0/security-groups?fields=id&fields=name");
    json_array_foreach((json_t *)ports, p, port)
        json_array_foreach(json_object_get(port, "security_groups"), g, group)
        {
            const char *id = json_string_value(group);
            if (id == NULL || map_has(&groups->names, id))
                continue;
            map_set(&groups->names, id, NULL);
            buf_printf(&path, "&id=%s", rest_escape(rq->cx.arena, id));
            asked++;
        }
    if (asked == 0)
        return NULL;
    TRY(list(rq, buf_text(&path), "security_groups", &found));
    json_array_foreach(found, g, group)
    {
        const char *id = json_text_at(group, "id"), *name = json_text_at(group, "name");
        if (id != NULL)
            map_set(&groups->names, id, (void *)(name != NULL && *name != '\0' ? name : id));
    }
    return NULL;
}

/* As nova: a group that two ports of a server have is there twice. */
static void hold(struct request *rq, struct server_security_groups *groups, const json_t *port)
{
    const char *server = json_text_at(port, "device_id");
    size_t g;
    json_t *group;
    if (server == NULL)
        return;
    struct held *first = map_get(&groups->servers, server), *last = first;
    while (last != NULL && last->next != NULL)
        last = last->next;
    json_array_foreach(json_object_get(port, "security_groups"), g, group)
    {
        const char *name = json_is_string(group) ? map_get(&groups->names, json_string_value(group)) : NULL;
        if (name == NULL)
            continue;
        struct held *held = ARENA_NEW(rq->cx.arena, struct held);
        *held = (struct held){ name, NULL };
        if (last == NULL)
            map_set(&groups->servers, server, held);
        else
            last->next = held;
        last = held;
    }
}

struct fault *server_view_security_groups(struct server_view *view, const struct instance *instances, size_t count)
{
    struct request *rq = view->rq;
    struct server_security_groups *groups = ARENA_NEW(rq->cx.arena, struct server_security_groups);
    size_t at = 0, p;
    json_t *ports, *port;
    arena_defer(rq->cx.arena, release, groups);
    view->security_groups = groups;
    while (at < count) {
        TRY(ports_of(rq, instances, count, &at, &ports));
        TRY(name_groups(rq, groups, ports));
        json_array_foreach(ports, p, port)
            hold(rq, groups, port);
    }
    return NULL;
}

void server_view_write_security_groups(const struct server_view *view, const struct instance *instance)
{
    struct json_writer *w = &view->rq->json;
    const struct held *held = view->security_groups != NULL ? map_get(&view->security_groups->servers, instance->uuid) : NULL;
    if (held == NULL)
        return;
    json_begin_array(w, "security_groups");
    for (; held != NULL; held = held->next) {
        json_begin(w, NULL);
        json_text(w, "name", held->name);
        json_end(w);
    }
    json_end_array(w);
}
