/* SPDX-License-Identifier: Apache-2.0 */
#include "keystone/identity/directory_api.h"

#include "keystone/identity/directories.h"

#include "oslo/options.h"

#include <string.h>

static void write_entry(struct request *rq, const char *member, const struct directory_of_domain *directory,
    enum directory_kind kind, const struct directory_entry *entry)
{
    struct json_writer *w = &rq->json;
    bool user = kind == DIRECTORY_USERS;
    const char *name;
    json_t *value;

    json_begin(w, member);
    json_text(w, "id", entry->id);
    json_text(w, "name", entry->name);
    json_text(w, "domain_id", directory_domain(directory));
    if (entry->description != NULL)
        json_text(w, "description", entry->description);
    if (user) {
        json_bool(w, "enabled", entry->enabled);
        if (entry->email != NULL)
            json_text(w, "email", entry->email);
        if (entry->default_project_id != NULL)
            json_text(w, "default_project_id", entry->default_project_id);
        json_text(w, "password_expires_at", NULL);
        json_raw(w, "options", "{}");
    }
    json_object_foreach(entry->more, name, value)
        json_value(w, name, value);
    json_begin(w, "links");
    json_text(w, "self", keystone_url(rq, arena_printf(rq->cx.arena, "/%s/%s", user ? "users" : "groups", entry->id)));
    json_end(w);
    json_end(w);
}

/* ---- Filters ---- */

static bool matches(const struct request *rq, enum directory_kind kind, const struct directory_entry *entry)
{
    for (const struct header *query = rq->query; query != NULL; query = query->next) {
        if (strcmp(query->name, "name") == 0 && strcmp(entry->name, query->value) != 0)
            return false;
        if (strncmp(query->name, "name__", 6) == 0 && !keystone_text_matches(entry->name, query->name + 6, query->value))
            return false;
        if (kind == DIRECTORY_USERS && strcmp(query->name, "enabled") == 0 && keystone_truth(query->value) != entry->enabled)
            return false;
    }
    return true;
}

static struct fault *write_list(struct request *rq, struct directory_of_domain *directory, enum directory_kind kind,
    struct directory_entry *entries, size_t count)
{
    int64_t limit = directory_list_limit(RQ(rq), directory), written = 0;
    struct json_writer *w = &rq->json;
    size_t kept = 0;
    bool truncated = false;

    for (size_t i = 0; i < count; i++)
        if (matches(rq, kind, &entries[i]))
            entries[kept++] = entries[i];
    TRY(directory_publish(RQ(rq), directory, kind, entries, kept));
    json_begin(w, NULL);
    json_begin_array(w, kind == DIRECTORY_USERS ? "users" : "groups");
    for (size_t i = 0; i < kept && !truncated; i++) {
        truncated = limit > 0 && written == limit;
        if (!truncated)
            write_entry(rq, NULL, directory, kind, &entries[i]);
        written++;
    }
    json_end_array(w);
    keystone_collection_links(rq);
    if (truncated)
        json_bool(w, "truncated", true);
    json_end(w);
    return NULL;
}

/* ---- Requests ---- */

/* The domain that a list is of, where domains may differ. */
static struct fault *listed_domain(struct request *rq, const char **ret)
{
    const struct caller *caller = rq->cx.caller;
    const struct config *config = rq->cx.app->config;
    const char *asked = request_query(rq, "domain_id");

    *ret = asked != NULL && asked[0] != '\0' ? asked : NULL;
    if (*ret != NULL)
        return NULL;
    if (!config_bool(config, "identity", "domain_specific_drivers_enabled")) {
        *ret = config_str(config, "identity", "default_domain_id");
        return NULL;
    }
    *ret = caller->domain_id != NULL ? caller->domain_id : caller->project_domain_id;
    if (*ret == NULL && caller->system_scope == NULL)
        return keystone_unauthorized(RQ(rq), "No domain information specified as part of list request");
    return NULL;
}

struct fault *directory_list_respond(struct request *rq, enum directory_kind kind, bool *ret_done)
{
    struct directory_of_domain *directory;
    struct directory_entry *entries;
    const char *domain_id, *name = request_query(rq, "name");
    size_t count;

    *ret_done = false;
    if (keystone_of(RQ(rq))->directories == NULL)
        return NULL;
    TRY(listed_domain(rq, &domain_id));
    TRY(directory_of(RQ(rq), domain_id, &directory));
    if (directory == NULL)
        return NULL;
    *ret_done = true;
    TRY(directory_find(RQ(rq), directory, kind, name != NULL ? DIRECTORY_BY_NAME : DIRECTORY_ALL, name, &entries, &count));
    return write_list(rq, directory, kind, entries, count);
}

/* Sets *ret when the public id is of a directory; 404 when it is not there any more. */
static struct fault *load(struct request *rq, enum directory_kind kind, const char *id, struct directory_of_domain **ret_directory,
    struct directory_entry **ret)
{
    const char *local_id;
    size_t count;

    *ret = NULL;
    TRY(directory_behind(RQ(rq), kind, id, ret_directory, &local_id));
    if (*ret_directory == NULL)
        return NULL;
    TRY(directory_find(RQ(rq), *ret_directory, kind, DIRECTORY_BY_ID, local_id, ret, &count));
    if (count == 0)
        return keystone_not_found(RQ(rq), kind == DIRECTORY_USERS ? "user" : "group", id);
    return NULL;
}

struct fault *directory_show_respond(struct request *rq, enum directory_kind kind, const char *id, bool *ret_done)
{
    struct directory_of_domain *directory;
    struct directory_entry *entry;

    *ret_done = false;
    TRY(load(rq, kind, id, &directory, &entry));
    if (directory == NULL)
        return NULL;
    *ret_done = true;
    entry->id = id;
    json_begin(&rq->json, NULL);
    write_entry(rq, kind == DIRECTORY_USERS ? "user" : "group", directory, kind, entry);
    json_end(&rq->json);
    return NULL;
}

struct fault *directory_members_respond(struct request *rq, enum directory_kind kind, const char *of_id, bool *ret_done)
{
    enum directory_kind of = kind == DIRECTORY_USERS ? DIRECTORY_GROUPS : DIRECTORY_USERS;
    struct directory_of_domain *directory;
    struct directory_entry *entry, *entries;
    size_t count;

    *ret_done = false;
    TRY(load(rq, of, of_id, &directory, &entry));
    if (directory == NULL)
        return NULL;
    *ret_done = true;
    TRY(directory_find(RQ(rq), directory, kind, kind == DIRECTORY_USERS ? DIRECTORY_OF_GROUP : DIRECTORY_OF_USER, entry->id,
        &entries, &count));
    if (kind == DIRECTORY_GROUPS) /* a directory's memberships have no end */
        for (size_t i = 0; i < count; i++) {
            json_t *more = json_keep(rq->cx.arena, entries[i].more != NULL ? json_copy(entries[i].more) : json_object());
            json_object_set_new(more, "membership_expires_at", json_null());
            entries[i].more = more;
        }
    return write_list(rq, directory, kind, entries, count);
}

struct fault *directory_member(struct request *rq, const char *user_id, const char *group_id, bool *ret_done, bool *ret_member)
{
    struct directory_of_domain *directory, *of_group;
    struct directory_entry *user, *groups;
    const char *local_group;
    size_t count;

    *ret_done = *ret_member = false;
    TRY(load(rq, DIRECTORY_USERS, user_id, &directory, &user));
    TRY(directory_behind(RQ(rq), DIRECTORY_GROUPS, group_id, &of_group, &local_group));
    if (directory == NULL && of_group == NULL)
        return NULL;
    *ret_done = true;
    if (directory == NULL || directory != of_group)
        return NULL;
    TRY(directory_find(RQ(rq), directory, DIRECTORY_GROUPS, DIRECTORY_OF_USER, user->id, &groups, &count));
    for (size_t i = 0; i < count; i++)
        *ret_member = *ret_member || strcmp(groups[i].id, local_group) == 0;
    return NULL;
}

struct fault *directory_refuse_change(struct request *rq, enum directory_kind kind, const char *id, const char *domain_id)
{
    struct directory_of_domain *directory;
    const char *local_id;

    if (id != NULL)
        TRY(directory_behind(RQ(rq), kind, id, &directory, &local_id));
    else
        TRY(directory_of(RQ(rq), domain_id, &directory));
    if (directory == NULL)
        return NULL;
    return fault_detail(rq->cx.arena, FAULT(RQ(rq), 403, NULL, "You are not authorized to perform the requested action."),
        "LDAP does not support write operations");
}
