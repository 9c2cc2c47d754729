/* SPDX-License-Identifier: Apache-2.0
 * context: callers, their counting and their JSON form. See context.h. */
#include "oslo/context.h"

#include "base/log.h"
#include "base/random.h"
#include "oslo/json.h"

#include <stdatomic.h>
#include <stddef.h>

struct counted_caller {
    struct caller caller; /* first */
    atomic_uint references;
    struct arena *owned;
};

struct caller *caller_create(struct arena *owned)
{
    static const char *const none[] = { NULL };
    struct counted_caller *counted = ARENA_NEW(owned, struct counted_caller);
    counted->owned = owned;
    atomic_init(&counted->references, 1);
    counted->caller.roles = counted->caller.role_ids = counted->caller.service_roles = none;
    return &counted->caller;
}

struct caller *caller_ref(struct caller *caller)
{
    if (caller != NULL)
        atomic_fetch_add_explicit(&((struct counted_caller *)caller)->references, 1, memory_order_relaxed);
    return caller;
}

void caller_unref(struct caller *caller)
{
    struct counted_caller *counted = (struct counted_caller *)caller;
    if (counted != NULL && atomic_fetch_sub_explicit(&counted->references, 1, memory_order_acq_rel) == 1)
        arena_destroy(counted->owned);
}

/* One row a text member: both directions of the JSON form walk the same table. */
static const struct text_member {
    const char *name;
    size_t offset;
} text_members[] = {
    { "user_id",             offsetof(struct caller, user_id) },
    { "user_name",           offsetof(struct caller, user_name) },
    { "user_domain",         offsetof(struct caller, user_domain_id) },
    { "user_domain_name",    offsetof(struct caller, user_domain_name) },
    { "project_id",          offsetof(struct caller, project_id) },
    { "project_name",        offsetof(struct caller, project_name) },
    { "project_domain",      offsetof(struct caller, project_domain_id) },
    { "project_domain_name", offsetof(struct caller, project_domain_name) },
    { "domain",              offsetof(struct caller, domain_id) },
    { "domain_name",         offsetof(struct caller, domain_name) },
    { "system_scope",        offsetof(struct caller, system_scope) },
    { "trust_id",            offsetof(struct caller, trust_id) },
    { "auth_token",          offsetof(struct caller, token) },
};
enum { TEXT_MEMBERS = sizeof(text_members) / sizeof(text_members[0]) };

static const struct list_member {
    const char *name;
    size_t offset;
} list_members[] = {
    { "roles",         offsetof(struct caller, roles) },
    { "role_ids",      offsetof(struct caller, role_ids) },
    { "service_roles", offsetof(struct caller, service_roles) },
};
enum { LIST_MEMBERS = sizeof(list_members) / sizeof(list_members[0]) };

json_t *caller_to_json(const struct caller *caller)
{
    if (caller == NULL)
        return json_null();
    json_t *json = json_object();
    for (size_t i = 0; i < TEXT_MEMBERS; i++) {
        const char *text = *(const char *const *)((const char *)caller + text_members[i].offset);
        if (text != NULL)
            json_object_set_new(json, text_members[i].name, json_string(text));
    }
    for (size_t i = 0; i < LIST_MEMBERS; i++) {
        const char *const *list = *(const char *const *const *)((const char *)caller + list_members[i].offset);
        json_t *array = json_array();
        for (; list != NULL && *list != NULL; list++)
            json_array_append_new(array, json_string(*list));
        json_object_set_new(json, list_members[i].name, array);
    }
    json_object_set_new(json, "expires_us", json_integer(caller->expires_us));
    json_object_set_new(json, "is_admin_project", json_boolean(caller->is_admin_project));
    return json;
}

static void release_caller(void *caller)
{
    caller_unref(caller);
}

static const char *const *texts_of(struct arena *arena, const json_t *array)
{
    size_t count = json_array_size(array);
    const char **list = ARENA_ARRAY(arena, const char *, count + 1);
    for (size_t i = 0; i < count; i++) {
        const char *text = json_string_value(json_array_get(array, i));
        list[i] = arena_strdup(arena, text != NULL ? text : "");
    }
    return list;
}

struct caller *caller_from_json(struct arena *arena, const json_t *json)
{
    if (!json_is_object(json))
        return NULL;
    struct arena *owned = arena_create();
    struct caller *caller = caller_create(owned);
    for (size_t i = 0; i < TEXT_MEMBERS; i++)
        *(const char **)((char *)caller + text_members[i].offset) =
            arena_strdup(owned, json_string_value(json_object_get(json, text_members[i].name)));
    for (size_t i = 0; i < LIST_MEMBERS; i++)
        *(const char *const **)((char *)caller + list_members[i].offset) =
            texts_of(owned, json_object_get(json, list_members[i].name));
    caller->expires_us = json_integer_value(json_object_get(json, "expires_us"));
    caller->is_admin_project = json_is_true(json_object_get(json, "is_admin_project"));
    arena_defer(arena, release_caller, caller);
    return caller;
}

struct context context_service(struct arena *arena, struct app *app)
{
    return (struct context){ .arena = arena, .app = app, .request_id = arena_printf(arena, "req-%s", uuid_new(arena)) };
}

struct context context_child(const struct context *parent, struct arena *arena)
{
    struct context child = *parent;
    child.arena = arena;
    return child;
}

const struct log_identity *context_log_identity(const struct context *cx)
{
    const struct caller *c = cx->caller;
    struct log_identity *who = ARENA_NEW(cx->arena, struct log_identity);
    who->global_request_id = cx->global_id;
    if (c != NULL)
        *who = (struct log_identity){ cx->global_id, c->user_id, c->user_name, c->project_id, c->project_name, c->domain_id,
            c->system_scope, c->user_domain_id, c->project_domain_id };
    return who;
}
