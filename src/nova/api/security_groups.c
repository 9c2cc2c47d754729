/* SPDX-License-Identifier: Apache-2.0
 *
 * security_groups: the groups of one server's ports, put on all of them or taken off by name; and, to microversion 2.35, those of
 * the project, which the openstack command looks a name up in. API reference: Servers security groups, the actions addSecurityGroup
 * and removeSecurityGroup, os-security-groups. The network service is asked as the caller.
 */
#include "base/random.h"
#include "nova/api/server_actions.h"
#include "oslo/json.h"
#include "oslo/rest.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* One request line stays below what a server takes. */
enum { IDS_A_CALL = 150 };

static struct fault *list(struct request *rq, const char *path, const char *plural, json_t **ret)
{
    struct rest_response answer = { .fd = -1 };
    TRY(rest_call(RQ(rq), &(struct rest){ .service = "network", .method = GET, .path = path, .as = AS_CALLER }, &answer));
    *ret = json_object_get(answer.body, plural);
    return NULL;
}

static struct fault *ports_of(struct request *rq, const struct instance *instance, json_t **ret)
{
    return list(rq, arena_printf(rq->cx.arena, "/v2.0/ports?device_id=%s", instance->uuid), "ports", ret);
}

/* The groups of these ids (an object's keys) that the caller sees, by id. */
static struct fault *groups_of(struct request *rq, const json_t *ids, const char *fields, json_t *ret)
{
    void *at = json_object_iter((json_t *)ids);
    while (at != NULL) {
        BUF_CLEANUP struct buf path = { 0 };
        size_t i;
        json_t *found, *group;
        buf_printf(&path, "/v2.0/security-groups?%s", fields);
        for (i = 0; at != NULL && i < IDS_A_CALL; i++, at = json_object_iter_next((json_t *)ids, at))
            buf_printf(&path, "&id=%s", rest_escape(rq->cx.arena, json_object_iter_key(at)));
        TRY(list(rq, buf_text(&path), "security_groups", &found));
        json_array_foreach(found, i, group)
            if (json_text_at(group, "id") != NULL)
                json_object_set(ret, json_text_at(group, "id"), group);
    }
    return NULL;
}

static void add_key(json_t *keys, const char *key)
{
    if (key != NULL)
        json_object_set_new(keys, key, json_true());
}

/* ---- GET /servers/{server_id}/os-security-groups ---- */

static const json_t *port_of_rule(const json_t *rule, const char *name, int of_tcp, json_t *any)
{
    const char *protocol = json_text_at(rule, "protocol");
    bool whole = json_is_null(json_object_get(rule, "port_range_min")) && json_is_null(json_object_get(rule, "port_range_max"));
    if (protocol == NULL || !whole)
        return json_object_get(rule, name);
    json_integer_set(any, strcasecmp(protocol, "tcp") == 0 || strcasecmp(protocol, "udp") == 0 ? of_tcp : -1);
    return any;
}

/* A rule that names a group which the caller does not see is left out, as nova. */
static void write_rule(struct request *rq, const json_t *rule, const json_t *sources)
{
    const char *remote = json_text_at(rule, "remote_group_id"), *prefix = json_text_at(rule, "remote_ip_prefix");
    const json_t *source = remote != NULL ? json_object_get(sources, remote) : NULL;
    json_t *number = json_keep(rq->cx.arena, json_integer(0));
    struct json_writer *w = &rq->json;
    if (remote != NULL && source == NULL)
        return;
    json_begin(w, NULL);
    json_text(w, "id", json_text_at(rule, "id"));
    json_text(w, "parent_group_id", json_text_at(rule, "security_group_id"));
    json_text(w, "ip_protocol", json_text_at(rule, "protocol"));
    json_value(w, "from_port", port_of_rule(rule, "port_range_min", 1, number));
    json_value(w, "to_port", port_of_rule(rule, "port_range_max", 65535, number));
    json_begin(w, "group");
    if (source != NULL) {
        json_text(w, "name", json_text_at(source, "name"));
        json_text(w, "tenant_id", json_text_at(source, "tenant_id"));
    }
    json_end(w);
    json_begin(w, "ip_range");
    if (source == NULL)
        json_text(w, "cidr", prefix != NULL && *prefix != '\0' ? prefix : "0.0.0.0/0");
    json_end(w);
    json_end(w);
}

static bool is_ingress(const json_t *rule)
{
    const char *direction = json_text_at(rule, "direction");
    return direction != NULL && strcmp(direction, "ingress") == 0;
}

static void write_group(struct request *rq, const char *name, const json_t *group, const json_t *sources)
{
    struct json_writer *w = &rq->json;
    size_t i;
    json_t *rule;
    json_begin(w, name);
    json_text(w, "id", json_text_at(group, "id"));
    json_text(w, "description", json_text_at(group, "description"));
    json_text(w, "name", json_text_at(group, "name"));
    json_text(w, "tenant_id", json_text_at(group, "tenant_id"));
    json_begin_array(w, "rules");
    json_array_foreach(json_object_get(group, "security_group_rules"), i, rule)
        if (is_ingress(rule))
            write_rule(rq, rule, sources);
    json_end_array(w);
    json_end(w);
}

static int by_project_and_name(const void *one, const void *other)
{
    static const char *const keys[] = { "tenant_id", "name" };
    int order = 0;
    for (size_t i = 0; i < 2 && order == 0; i++) {
        const char *a = json_text_at(*(json_t *const *)one, keys[i]), *b = json_text_at(*(json_t *const *)other, keys[i]);
        order = strcmp(a != NULL ? a : "", b != NULL ? b : "");
    }
    return order;
}

/* What the groups' rules name as their source: the groups themselves, and others that are asked for. */
static struct fault *sources_of(struct request *rq, const json_t *groups, json_t *ret)
{
    json_t *missing = json_keep(rq->cx.arena, json_object()), *group, *rule;
    const char *id;
    size_t i;
    json_object_update(ret, (json_t *)groups);
    json_object_foreach((json_t *)groups, id, group)
        json_array_foreach(json_object_get(group, "security_group_rules"), i, rule)
            if (is_ingress(rule) && json_text_at(rule, "remote_group_id") != NULL &&
                json_object_get(ret, json_text_at(rule, "remote_group_id")) == NULL)
                add_key(missing, json_text_at(rule, "remote_group_id"));
    return groups_of(rq, missing, "fields=id&fields=name&fields=tenant_id", ret);
}

static void write_groups(struct request *rq, json_t **groups, size_t count, const json_t *sources)
{
    qsort(groups, count, sizeof(json_t *), by_project_and_name);
    json_begin(&rq->json, NULL);
    json_begin_array(&rq->json, "security_groups");
    for (size_t i = 0; i < count; i++)
        write_group(rq, NULL, groups[i], sources);
    json_end_array(&rq->json);
    json_end(&rq->json);
}

static struct fault *groups_index(struct request *rq)
{
    json_t *ids = json_keep(rq->cx.arena, json_object()), *groups = json_keep(rq->cx.arena, json_object());
    json_t *sources = json_keep(rq->cx.arena, json_object()), *ports, *port, *id;
    struct instance instance;
    size_t p, g, count = 0, room = 0;
    TRY(api_server(rq, "os_compute_api:os-security-groups:list", &instance));
    TRY(ports_of(rq, &instance, &ports));
    json_array_foreach(ports, p, port)
        json_array_foreach(json_object_get(port, "security_groups"), g, id)
        {
            add_key(ids, json_string_value(id));
            room++;
        }
    TRY(groups_of(rq, ids, "", groups));
    TRY(sources_of(rq, groups, sources));
    json_t **sorted = ARENA_ARRAY(rq->cx.arena, json_t *, room + 1);
    /* as nova: a group that two ports have is there twice */
    json_array_foreach(ports, p, port)
        json_array_foreach(json_object_get(port, "security_groups"), g, id)
            if (json_is_string(id) && json_object_get(groups, json_string_value(id)) != NULL)
                sorted[count++] = json_object_get(groups, json_string_value(id));
    write_groups(rq, sorted, count, sources);
    return NULL;
}

/* ---- os-security-groups, to 2.35 ---- */

static struct fault *project_groups(struct request *rq)
{
    json_t *found, *group, *groups = json_keep(rq->cx.arena, json_object()), *sources = json_keep(rq->cx.arena, json_object());
    const char *project = rq->cx.caller->project_id;
    size_t i, count = 0;
    TRY(list(rq, arena_printf(rq->cx.arena, "/v2.0/security-groups?tenant_id=%s", rest_escape(rq->cx.arena,
        project != NULL ? project : "")), "security_groups", &found));
    json_t **sorted = ARENA_ARRAY(rq->cx.arena, json_t *, json_array_size(found) + 1);
    json_array_foreach(found, i, group)
        if (json_text_at(group, "id") != NULL) {
            json_object_set(groups, json_text_at(group, "id"), group);
            sorted[count++] = group;
        }
    TRY(sources_of(rq, groups, sources));
    write_groups(rq, sorted, count, sources);
    return NULL;
}

static struct fault *project_group(struct request *rq)
{
    json_t *groups = json_keep(rq->cx.arena, json_object()), *sources = json_keep(rq->cx.arena, json_object());
    json_t *ids = json_keep(rq->cx.arena, json_object());
    const char *id = request_argument(rq, "id");
    if (!uuid_like(id))
        return BAD_REQUEST(rq, "Security group id should be uuid");
    add_key(ids, id);
    TRY(groups_of(rq, ids, "", groups));
    if (json_object_get(groups, id) == NULL)
        return NOT_FOUND(rq, "Security group %s not found.", id);
    TRY(sources_of(rq, groups, sources));
    json_begin(&rq->json, NULL);
    write_group(rq, "security_group", json_object_get(groups, id), sources);
    json_end(&rq->json);
    return NULL;
}

/* Neutron's word for a change, in nova's statuses. *ret NULL: it has no body. */
static struct fault *ask_change(struct request *rq, enum http_method method, const char *path, json_t *body, json_t **ret)
{
    struct rest_response answer = { .fd = -1 };
    TRY(rest_call(RQ(rq), &(struct rest){ .service = "network", .method = method, .path = path, .as = AS_CALLER, .body = body,
        .accept_status = -1 }, &answer));
    const char *said = rest_message(&answer);
    *ret = json_object_get(answer.body, "security_group");
    if (answer.status < 300)
        return NULL;
    if (answer.status == 404)
        return NOT_FOUND(rq, "Security group %s not found.", request_argument(rq, "id"));
    if (answer.status == 403 || (answer.status == 409 && method == POST)) /* over the quota */
        return FORBIDDEN(rq, "%s", said != NULL ? said : "Forbidden");
    if (answer.status < 500)
        return BAD_REQUEST(rq, "%s", said != NULL ? said : "Bad Request");
    return FAULT(RQ(rq), 503, NULL, "The network service cannot change security groups now.");
}

/* A text of at most 255 characters; `absent` stands for one that is not there. */
static struct fault *text_of(struct request *rq, const json_t *given, const char *name, const char *absent, json_t *to)
{
    enum { LONGEST = 255 };
    const json_t *value = json_object_get(given, name);
    const char *text = value == NULL || json_is_null(value) ? absent : json_string_value(value);
    if (text == NULL)
        return BAD_REQUEST(rq, "Security group %s is not a string or unicode", name);
    if (json_string_length(value) > LONGEST)
        return BAD_REQUEST(rq, "Security group %s should not be greater than %d characters.", name, LONGEST);
    json_object_set_new(to, name, json_string(text));
    return NULL;
}

static struct fault *given_group(struct request *rq, json_t **ret)
{
    const json_t *given = json_object_get(rq->body, "security_group");
    json_t *group = json_object();
    *ret = json_keep(rq->cx.arena, json_pack("{s:o}", "security_group", group));
    if (!json_is_object(given))
        return BAD_REQUEST(rq, "Missing parameter security_group");
    TRY(text_of(rq, given, "name", NULL, group));
    return text_of(rq, given, "description", "", group);
}

static struct fault *respond_changed(struct request *rq, const json_t *group)
{
    json_t *groups = json_keep(rq->cx.arena, json_object()), *sources = json_keep(rq->cx.arena, json_object());
    json_object_set(groups, json_text_at(group, "id"), (json_t *)group);
    TRY(sources_of(rq, groups, sources));
    json_begin(&rq->json, NULL);
    write_group(rq, "security_group", group, sources);
    json_end(&rq->json);
    return NULL;
}

static struct fault *project_group_create(struct request *rq)
{
    json_t *body, *group;
    TRY(given_group(rq, &body));
    TRY(ask_change(rq, POST, "/v2.0/security-groups", body, &group));
    return respond_changed(rq, group);
}

static struct fault *path_of_group(struct request *rq, const char **ret)
{
    const char *id = request_argument(rq, "id");
    *ret = arena_printf(rq->cx.arena, "/v2.0/security-groups/%s", id);
    return uuid_like(id) ? NULL : BAD_REQUEST(rq, "Security group id should be uuid");
}

static struct fault *project_group_update(struct request *rq)
{
    const char *path;
    json_t *body, *group;
    TRY(path_of_group(rq, &path));
    TRY(given_group(rq, &body));
    TRY(ask_change(rq, PUT, path, body, &group));
    return respond_changed(rq, group);
}

static struct fault *project_group_delete(struct request *rq)
{
    const char *path;
    json_t *none;
    TRY(path_of_group(rq, &path));
    TRY(ask_change(rq, DELETE, path, NULL, &none));
    return api_empty(rq, 202);
}

#define G     "os_compute_api:os-security-groups:"
#define PROXY .flags = SLOW, .max_version = 35
static const struct route rows[] = {
    ROUTE(GET, "/v2.1/servers/{server_id}/os-security-groups", "os_compute_api:os-security-groups:list", groups_index,
        HANDLER_POLICY, .flags = SLOW),
    ROUTE(GET,    "/v2.1/os-security-groups",      G "get",    project_groups,       PROXY),
    ROUTE(POST,   "/v2.1/os-security-groups",      G "create", project_group_create, PROXY),
    ROUTE(GET,    "/v2.1/os-security-groups/{id}", G "show",   project_group,        PROXY),
    ROUTE(PUT,    "/v2.1/os-security-groups/{id}", G "update", project_group_update, PROXY),
    ROUTE(DELETE, "/v2.1/os-security-groups/{id}", G "delete", project_group_delete, PROXY),
};
const struct route_table nova_server_security_group_routes = ROUTES(rows);

/* ---- actions ---- */

static struct fault *name_of(struct request *rq, const char *action, const char **ret)
{
    const json_t *body = json_object_get(rq->body, action), *name = json_object_get(body, "name");
    if (!json_is_object(body))
        return BAD_REQUEST(rq, "Missing parameter dict");
    if (name == NULL)
        return BAD_REQUEST(rq, "Security group not specified");
    *ret = json_string_value(name);
    if (*ret == NULL || (*ret)[strspn(*ret, " \t\r\n\v\f")] == '\0')
        return BAD_REQUEST(rq, "Security group name cannot be empty");
    return NULL;
}

/* A group's id from its id or, in the caller's project, its name. */
static struct fault *find_group(struct request *rq, const char *name, const char **ret)
{
    const char *escaped = rest_escape(rq->cx.arena, name), *project = rq->cx.caller->project_id;
    json_t *found = NULL;
    if (uuid_like(name))
        TRY(list(rq, arena_printf(rq->cx.arena, "/v2.0/security-groups?fields=id&id=%s", escaped), "security_groups", &found));
    if (json_array_size(found) == 0)
        TRY(list(rq, arena_printf(rq->cx.arena, "/v2.0/security-groups?fields=id&name=%s&tenant_id=%s", escaped,
            rest_escape(rq->cx.arena, project != NULL ? project : "")), "security_groups", &found));
    if (json_array_size(found) > 1)
        return CONFLICT(rq, "Multiple security_group matches found for name '%s', use an ID to be more specific.", name);
    *ret = json_text_at(json_array_get(found, 0), "id");
    if (*ret == NULL)
        return NOT_FOUND(rq, "Security group %s is not found for project %s", name, project != NULL ? project : "None");
    return NULL;
}

static struct fault *ports_to_change(struct request *rq, const struct instance *instance, json_t **ret)
{
    TRY(ports_of(rq, instance, ret));
    if (json_array_size(*ret) == 0)
        return NOT_FOUND(rq, "instance_id %s could not be found as device id on any ports", instance->uuid);
    return NULL;
}

static struct fault *save(struct request *rq, const json_t *port, json_t *groups)
{
    struct rest_response answer = { .fd = -1 };
    json_t *body = json_keep(rq->cx.arena, json_pack("{s:{s:O}}", "port", "security_groups", groups));
    TRY(rest_call(RQ(rq), &(struct rest){ .service = "network", .method = PUT, .as = AS_CALLER, .body = body,
        .path = arena_printf(rq->cx.arena, "/v2.0/ports/%s", json_text_at(port, "id")), .accept_status = 400 }, &answer));
    if (answer.status == 400)
        return BAD_REQUEST(rq, "%s", rest_message(&answer) != NULL ? rest_message(&answer) : "Bad Request");
    return NULL;
}

static bool takes_groups(const json_t *port)
{
    const char *allocation = json_text_at(port, "ip_allocation");
    bool addressed = json_array_size(json_object_get(port, "fixed_ips")) > 0 ||
        (allocation != NULL && strcmp(allocation, "deferred") == 0);
    return addressed && json_bool_at(port, "port_security_enabled", true);
}

/* Where the group is in the port's list; its length: nowhere. */
static size_t place_of(const json_t *groups, const char *group)
{
    size_t at = 0;
    while (at < json_array_size(groups) && (!json_is_string(json_array_get(groups, at)) ||
        strcmp(json_string_value(json_array_get(groups, at)), group) != 0))
        at++;
    return at;
}

/* A port's groups with one more or one less; *ret_changed false: they are as they shall be. */
typedef struct fault *change_groups(struct request *rq, const json_t *port, json_t *groups, const char *group, bool *ret_changed);

static struct fault *add_group(struct request *rq, const json_t *port, json_t *groups, const char *group, bool *ret_changed)
{
    if (!takes_groups(port))
        return BAD_REQUEST(rq, "Network requires port_security_enabled and subnet associated in order to apply security "
            "groups.");
    json_array_append_new(groups, json_string(group));
    *ret_changed = true;
    return NULL;
}

static struct fault *take_group(struct request *rq, const json_t *port, json_t *groups, const char *group, bool *ret_changed)
{
    (void)rq;
    (void)port;
    *ret_changed = json_array_remove(groups, place_of(groups, group)) == 0;
    return NULL;
}

static struct fault *change_ports(struct request *rq, const char *action, const char *rule, change_groups *change)
{
    const char *name, *group;
    struct instance instance;
    json_t *ports, *port;
    bool found = false;
    size_t i;
    TRY(api_server(rq, rule, &instance));
    TRY(name_of(rq, action, &name));
    TRY(find_group(rq, name, &group));
    TRY(ports_to_change(rq, &instance, &ports));
    json_array_foreach(ports, i, port) {
        const json_t *has = json_object_get(port, "security_groups");
        json_t *groups = json_keep(rq->cx.arena, json_is_array(has) ? json_copy((json_t *)has) : json_array());
        bool changed;
        TRY(change(rq, port, groups, group, &changed));
        if (changed)
            TRY(save(rq, port, groups));
        found = found || changed;
    }
    return found ? api_empty(rq, 202)
                 : NOT_FOUND(rq, "Security group %s not associated with the instance %s", name, instance.uuid);
}

struct fault *server_add_security_group(struct request *rq)
{
    return change_ports(rq, "addSecurityGroup", "os_compute_api:os-security-groups:add", add_group);
}

struct fault *server_remove_security_group(struct request *rq)
{
    return change_ports(rq, "removeSecurityGroup", "os_compute_api:os-security-groups:remove", take_group);
}
