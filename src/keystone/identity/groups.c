/* SPDX-License-Identifier: Apache-2.0
 *
 * groups: users who have roles together. API reference: Groups, identity v3.
 */
#include "keystone/edit.h"
#include "keystone/identity/directory_api.h"
#include "keystone/identity/groups.h"
#include "keystone/identity/shadow_users.h"
#include "keystone/identity/users.h"
#include "keystone/model.h"
#include "keystone/notifications.h"
#include "keystone/resource/projects.h"
#include "keystone/schemas.h"
#include "keystone/token/revocation.h"

#include "base/clock.h"
#include "oslo/policy.h"

#include <string.h>

#define GROUP_PROPERTIES                                                                                               \
    SCHEMA_PROPERTIES({ "description", &schema_text_or_null }, { "domain_id", &schema_id }, { "name", &schema_name })
static const struct schema create_schema = {
    .types = SCHEMA_OBJECT, .properties = GROUP_PROPERTIES, .required = SCHEMA_WORDS("name") };
static const struct schema update_schema = { .types = SCHEMA_OBJECT, .properties = GROUP_PROPERTIES, .min_properties = 1 };

/* The group and the user of the path as the policy's target; what is not there is not in it. */
static struct fault *enforce(struct request *rq, struct group **ret_group, struct user **ret_user)
{
    const char *user_id = request_argument(rq, "user_id");
    struct group *group;
    struct user *user = NULL;
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(group_find(tx, request_argument(rq, "group_id"), &group));
    if (user_id != NULL)
        TRY(user_find(tx, user_id, &user));
    tx_end(tx);
    if (ret_group != NULL)
        *ret_group = group;
    if (ret_user != NULL)
        *ret_user = user;
    return request_enforce(rq, rq->route->policy, POLICY_TARGET({ "user_id", user_id },
        { "target.group.domain_id", group != NULL ? group->domain_id : NULL },
        { "target.user.domain_id", user != NULL ? user->domain_id : NULL }));
}

static struct fault *group_list(struct request *rq)
{
    const char *domain_id = rq->cx.caller->domain_id;
    const struct sql_value domain[] = { TEXT(domain_id) };
    const struct condition own[] = { { "domain_id = ?", domain, 1 }, { 0 } };

    bool done;

    TRY(request_enforce(rq, rq->route->policy, POLICY_TARGET({ "target.group.domain_id", domain_id })));
    TRY(directory_list_respond(rq, DIRECTORY_GROUPS, &done));
    return done ? NULL : entity_list(rq, &group_entity, domain_id != NULL ? own : NULL);
}

static struct fault *group_show(struct request *rq)
{
    bool done;

    TRY(enforce(rq, NULL, NULL));
    TRY(directory_show_respond(rq, DIRECTORY_GROUPS, request_argument(rq, "group_id"), &done));
    return done ? NULL : entity_show(rq, &group_entity, request_argument(rq, "group_id"));
}

static struct fault *create_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;
    const char *domain_id = json_text_at(edit->document, "domain_id");

    TRY(domain_need(tx, RQ(edit->rq), domain_id));
    return edit_insert(tx, edit);
}

/* group.name has 64 characters, the schema allows 255: the database's own words. */
static struct fault *check_length(struct request *rq, const json_t *document)
{
    const char *name = json_text_at(document, "name");
    size_t characters = 0;

    for (const char *c = name; c != NULL && *c != '\0'; c++)
        characters += (*c & 0xc0) != 0x80;
    if (characters <= 64)
        return NULL;
    return keystone_invalid(RQ(rq), "String length exceeded. The length of string '%s' exceeds the limit of column "
        "name(CHAR(64)).", name);
}

static struct fault *group_create(struct request *rq)
{
    json_t *given;

    TRY(keystone_member(rq, "group", &given));
    TRY(request_enforce(rq, rq->route->policy, POLICY_TARGET({ "target.group.domain_id", json_text_at(given, "domain_id") })));
    TRY(keystone_check(rq, &create_schema, given));
    json_t *draft = entity_draft(rq, given, false);
    entity_default(draft, "domain_id", json_string(keystone_default_domain(rq)));
    entity_default(draft, "description", json_string(""));
    entity_strip_name(draft);
    TRY(check_length(rq, draft));
    TRY(directory_refuse_change(rq, DIRECTORY_GROUPS, NULL, json_text_at(draft, "domain_id")));
    struct edit edit = { .rq = rq, .entity = &group_entity, .document = draft };
    rq->status = 201;
    return edit_commit(&edit, create_run, true);
}

static struct fault *update_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;
    const json_t *domain_id = json_object_get(edit->given, "domain_id");
    json_t *old;

    TRY(edit_merge(tx, edit, &old));
    if (domain_id != NULL && !json_equal(domain_id, json_object_get(old, "domain_id")))
        return keystone_invalid(RQ(edit->rq), "Cannot change Domain ID");
    entity_strip_name((json_t *)edit->document);
    return entity_store(tx, &group_entity, edit->id, edit->document);
}

static struct fault *group_update(struct request *rq)
{
    const char *id = request_argument(rq, "group_id");
    json_t *given;

    TRY(enforce(rq, NULL, NULL));
    TRY(edit_given(rq, "group", &update_schema, id, &given));
    TRY(check_length(rq, given));
    TRY(directory_refuse_change(rq, DIRECTORY_GROUPS, id, NULL));
    return edit_commit(&(struct edit){ .rq = rq, .entity = &group_entity, .id = id, .given = given }, update_run, true);
}

static struct fault *delete_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;
    struct group *group;

    TRY(group_find(tx, edit->id, &group));
    if (group == NULL)
        return keystone_not_found(RQ(edit->rq), "group", edit->id);
    return group_erase(tx, RQ(edit->rq), edit->id);
}

static struct fault *group_delete(struct request *rq)
{
    TRY(directory_refuse_change(rq, DIRECTORY_GROUPS, request_argument(rq, "group_id"), NULL));
    TRY(entity_enforce(rq, &group_entity, request_argument(rq, "group_id")));
    return edit_commit(&(struct edit){ .rq = rq, .entity = &group_entity, .id = request_argument(rq, "group_id") },
        delete_run, false);
}

/* ---- Members ---- */

static struct fault *members_list(struct request *rq)
{
    const char *id = request_argument(rq, "group_id"), *domain_id = rq->cx.caller->domain_id;
    const struct sql_value values[] = { TEXT(id) }, domain[] = { TEXT(domain_id) };
    const struct condition members[] = {
        { "u.id IN (SELECT user_id FROM user_group_membership WHERE group_id = ?)", values, 1 },
        { domain_id != NULL ? "u.domain_id = ?" : NULL, domain, 1 }, { 0 } };
    struct group *group;
    bool done;

    TRY(enforce(rq, &group, NULL));
    if (group == NULL)
        return keystone_not_found(RQ(rq), "group", id);
    TRY(directory_members_respond(rq, DIRECTORY_USERS, id, &done));
    return done ? NULL : entity_list(rq, user_entity_shown(RQ(rq)), members);
}

/* ---- The groups of a user ---- */

struct memberships {
    struct arena *arena;
    struct expiring_membership *rows; /* end_us 0: he is a member for good besides */
    size_t count;
};

static void write_end(struct json_writer *w, const char *id, const void *argument)
{
    const struct memberships *given = argument;
    int64_t end_us = 0;

    for (size_t i = 0; i < given->count; i++)
        if (strcmp(given->rows[i].group_id, id) == 0 && given->rows[i].end_us > end_us)
            end_us = given->rows[i].end_us;
    json_text(w, "membership_expires_at", end_us > 0 ? clock_text(given->arena, end_us, CLOCK_ISO_US) : NULL);
}

static struct fault *read_memberships(struct tx *tx, const struct config *config, const char *user_id, struct memberships *ret)
{
    struct rows *rows;

    TRY(expiring_memberships(tx, config, user_id, &ret->rows, &ret->count));
    if (ret->count == 0)
        return NULL;
    TRY(sql_query(tx, &rows, "SELECT group_id FROM user_group_membership WHERE user_id = ?", BIND(TEXT(user_id))));
    while (rows_next(rows))
        for (size_t i = 0; i < ret->count; i++)
            if (strcmp(ret->rows[i].group_id, rows_text(rows, 0)) == 0)
                ret->rows[i].end_us = 0;
    return rows_fault(rows);
}

struct fault *groups_of_user_respond(struct request *rq, const char *user_id, const char *domain_id)
{
    struct memberships given = { .arena = rq->cx.arena };
    struct entity entity = group_entity;
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    struct fault *fault = read_memberships(tx, rq->cx.app->config, user_id, &given);
    tx_end(tx);
    if (fault != NULL)
        return fault;
    struct sql_value *values = ARENA_ARRAY(rq->cx.arena, struct sql_value, given.count + 1);
    const struct sql_value domain[] = { TEXT(domain_id) };
    values[0] = TEXT(user_id);
    for (size_t i = 0; i < given.count; i++)
        values[i + 1] = TEXT(given.rows[i].group_id);
    const char *sql = "id IN (SELECT group_id FROM user_group_membership WHERE user_id = ?)";
    if (given.count > 0)
        sql = arena_printf(rq->cx.arena, "%s OR id IN (%s)", sql, sql_marks(rq->cx.arena, given.count));
    const struct condition his[] = { { sql, values, given.count + 1 }, { domain_id != NULL ? "domain_id = ?" : NULL, domain, 1 },
        { 0 } };
    entity.write_more = write_end;
    entity.more_argument = &given;
    return entity_list(rq, &entity, his);
}

/* The pair of the path: both are there, and *ret_member says whether the one is in the other. */
static struct fault *find_pair(struct request *rq, bool *ret_member)
{
    struct group *group;
    struct user *user;
    const char *const *expiring = NULL;
    struct tx *tx;
    int64_t count;
    bool done;

    *ret_member = false;
    TRY(enforce(rq, &group, &user));
    if (user == NULL)
        return keystone_not_found(RQ(rq), "user", request_argument(rq, "user_id"));
    if (group == NULL)
        return keystone_not_found(RQ(rq), "group", request_argument(rq, "group_id"));
    if (rq->method != GET && rq->method != HEAD)
        TRY(directory_refuse_change(rq, DIRECTORY_GROUPS, group->id, NULL));
    TRY(directory_member(rq, user->id, group->id, &done, ret_member));
    if (done)
        return NULL;
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(sql_int_of(tx, &count, 0, "SELECT COUNT(*) FROM user_group_membership WHERE user_id = ? AND group_id = ?",
        BIND(TEXT(user->id), TEXT(group->id))));
    *ret_member = count > 0;
    /* a mapping's membership shows, but it is not one that can be taken away here */
    if (count == 0 && (rq->method == GET || rq->method == HEAD))
        TRY(expiring_groups(tx, rq->cx.app->config, user->id, &expiring));
    tx_end(tx);
    for (; expiring != NULL && *expiring != NULL && !*ret_member; expiring++)
        *ret_member = strcmp(*expiring, group->id) == 0;
    return NULL;
}

static struct fault *not_member(struct request *rq)
{
    return FAULT(RQ(rq), 404, NULL, "User '%s' not found in group '%s'", request_argument(rq, "user_id"),
        request_argument(rq, "group_id"));
}

static struct fault *member_check(struct request *rq)
{
    bool member;

    TRY(find_pair(rq, &member));
    return member ? NULL : not_member(rq);
}

static struct fault *member_add(struct request *rq)
{
    bool member;

    TRY(find_pair(rq, &member));
    if (member)
        return NULL;
    struct fault *fault = db_exec(rq->cx.arena, rq->cx.app->db,
        "INSERT INTO user_group_membership (user_id, group_id) VALUES (?, ?)",
        BIND(TEXT(request_argument(rq, "user_id")), TEXT(request_argument(rq, "group_id"))), NULL);
    if (fault != NULL && fault->status != 409)
        return fault;
    keystone_changed(RQ(rq));
    return NULL;
}

static struct fault *remove_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;
    const char *user_id = request_argument(edit->rq, "user_id");

    TRY(sql_exec(tx, "DELETE FROM user_group_membership WHERE user_id = ? AND group_id = ?",
        BIND(TEXT(user_id), TEXT(edit->id))));
    return revocation_write(tx, edit->rq->cx.app->config, &(struct revocation){ .user_id = user_id });
}

static struct fault *member_remove(struct request *rq)
{
    bool member;

    TRY(find_pair(rq, &member));
    if (!member)
        return not_member(rq);
    return edit_commit(&(struct edit){ .rq = rq, .entity = &group_entity, .id = request_argument(rq, "group_id") },
        remove_run, false);
}

#define MEMBER "/v3/groups/{group_id}/users/{user_id}"

static const struct route rows[] = {
    ROUTE(GET,    "/v3/groups",                  "identity:list_groups",            group_list,    HANDLER_POLICY),
    ROUTE(POST,   "/v3/groups",                  "identity:create_group",           group_create,  HANDLER_POLICY, .status = 201),
    ROUTE(GET,    "/v3/groups/{group_id}",       "identity:get_group",              group_show,    HANDLER_POLICY),
    ROUTE(PATCH,  "/v3/groups/{group_id}",       "identity:update_group",           group_update,  HANDLER_POLICY),
    ROUTE(DELETE, "/v3/groups/{group_id}",       "identity:delete_group",           group_delete,  HANDLER_POLICY, .status = 204),
    ROUTE(GET,    "/v3/groups/{group_id}/users", "identity:list_users_in_group",    members_list,  HANDLER_POLICY),
    ROUTE(GET,    MEMBER,                        "identity:check_user_in_group",    member_check,  HANDLER_POLICY, .status = 204),
    ROUTE(PUT,    MEMBER,                        "identity:add_user_to_group",      member_add,    HANDLER_POLICY, .status = 204),
    ROUTE(DELETE, MEMBER,                        "identity:remove_user_from_group", member_remove, HANDLER_POLICY, .status = 204),
};

const struct route_table group_routes = ROUTES(rows);
