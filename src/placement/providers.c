/* SPDX-License-Identifier: Apache-2.0
 *
 * providers: /resource_providers, and the version document.
 */
#include "base/random.h"
#include "placement/api.h"
#include "placement/candidates.h"
#include "placement/store.h"

#include <string.h>

const struct schema placement_schema_uuid = { .types = SCHEMA_STRING, .format = "uuid" };
static const struct schema any_string = { .types = SCHEMA_STRING };
static const struct schema null_value = { .types = SCHEMA_NULL };
static const struct schema provider_name = { .types = SCHEMA_STRING, .max_length = 200 };
static const struct schema uuid_or_null = { .any_of = SCHEMA_ANY(&placement_schema_uuid, &null_value) };

static const struct schema post_1_0 = { .types = SCHEMA_OBJECT, .required = SCHEMA_WORDS("name"), .closed = true,
    .properties = SCHEMA_PROPERTIES({ "name", &provider_name }, { "uuid", &placement_schema_uuid }) };
static const struct schema post_1_14 = { .types = SCHEMA_OBJECT, .required = SCHEMA_WORDS("name"), .closed = true,
    .properties = SCHEMA_PROPERTIES({ "name", &provider_name }, { "uuid", &placement_schema_uuid },
        { "parent_provider_uuid", &uuid_or_null }) };
static const struct schema put_1_0 = { .types = SCHEMA_OBJECT, .required = SCHEMA_WORDS("name"), .closed = true,
    .properties = SCHEMA_PROPERTIES({ "name", &provider_name }) };
static const struct schema put_1_14 = { .types = SCHEMA_OBJECT, .required = SCHEMA_WORDS("name"), .closed = true,
    .properties = SCHEMA_PROPERTIES({ "name", &provider_name }, { "parent_provider_uuid", &uuid_or_null }) };

static const struct schema list_1_0 = { .types = SCHEMA_OBJECT, .closed = true,
    .properties = SCHEMA_PROPERTIES({ "name", &any_string }, { "uuid", &placement_schema_uuid }) };
static const struct schema list_1_3 = { .types = SCHEMA_OBJECT, .closed = true,
    .properties = SCHEMA_PROPERTIES({ "name", &any_string }, { "uuid", &placement_schema_uuid },
        { "member_of", &any_string }) };
static const struct schema list_1_4 = { .types = SCHEMA_OBJECT, .closed = true,
    .properties = SCHEMA_PROPERTIES({ "name", &any_string }, { "uuid", &placement_schema_uuid },
        { "member_of", &any_string },
        { "resources", &any_string }) };
static const struct schema list_1_14 = { .types = SCHEMA_OBJECT, .closed = true,
    .properties = SCHEMA_PROPERTIES({ "name", &any_string }, { "uuid", &placement_schema_uuid },
        { "member_of", &any_string },
        { "resources", &any_string }, { "in_tree", &placement_schema_uuid }) };
static const struct schema list_1_18 = { .types = SCHEMA_OBJECT, .closed = true,
    .properties = SCHEMA_PROPERTIES({ "name", &any_string }, { "uuid", &placement_schema_uuid },
        { "member_of", &any_string },
        { "resources", &any_string }, { "in_tree", &placement_schema_uuid }, { "required", &any_string }) };

static struct fault *show_versions(struct request *rq)
{
    struct json_writer *w = &rq->json;
    json_begin(w, NULL);
    json_begin_array(w, "versions");
    json_begin(w, NULL);
    json_text(w, "id", "v1.0");
    json_textf(w, "max_version", "1.%d", PLACEMENT_MAX_MINOR);
    json_text(w, "min_version", "1.0");
    json_text(w, "status", "CURRENT");
    json_begin_array(w, "links");
    json_begin(w, NULL);
    json_text(w, "rel", "self");
    json_text(w, "href", "");
    json_end(w);
    json_end_array(w);
    json_end(w);
    json_end_array(w);
    json_end(w);
    placement_cache_headers(rq, 0);
    return NULL;
}

static void write_link(struct json_writer *w, const char *relation, const char *format, const char *uuid)
{
    json_begin(w, NULL);
    json_text(w, "rel", relation);
    json_textf(w, "href", "/resource_providers/%s%s%s", uuid, *format == '\0' ? "" : "/", format);
    json_end(w);
}

static void write_provider(struct request *rq, const struct provider_row *provider)
{
    static const struct {
        int from;
        const char *name;
    } relations[] = { { 0, "inventories" }, { 0, "usages" }, { 1, "aggregates" }, { 6, "traits" },
        { 11, "allocations" } };
    struct json_writer *w = &rq->json;
    json_begin(w, NULL);
    json_text(w, "uuid", provider->uuid);
    json_text(w, "name", provider->name);
    json_int(w, "generation", provider->generation);
    json_begin_array(w, "links");
    write_link(w, "self", "", provider->uuid);
    for (size_t i = 0; i < sizeof(relations) / sizeof(relations[0]); i++)
        if (rq->version >= relations[i].from)
            write_link(w, relations[i].name, relations[i].name, provider->uuid);
    json_end_array(w);
    if (rq->version >= 14) {
        json_text(w, "parent_provider_uuid", provider->parent_uuid);
        json_text(w, "root_provider_uuid", provider->root_uuid);
    }
    json_end(w);
}

/* A change of one provider, on its way through a transaction. */
struct change {
    struct request *rq;
    const char *uuid;
    const char *name;
    bool parent_given;
    const char *parent_uuid; /* NULL: none */
    struct provider_row provider;
};

static struct fault *refuse(struct change *change, const char *action, const char *reason)
{
    if (strcmp(action, "POST") == 0)
        return FAULT(RQ(change->rq), 400, NULL,
            "Unable to create resource provider \"%s\", %s: Object action create failed because: %s", change->name,
            change->uuid, reason);
    return FAULT(RQ(change->rq), 400, NULL,
        "Unable to save resource provider %s: Object action %s failed because: %s", change->uuid, action, reason);
}

static struct fault *check_duplicate(struct tx *tx, struct change *change)
{
    int64_t same_uuid, same_name;
    TRY(sql_int_of(tx, &same_uuid, 0, "SELECT id FROM resource_providers WHERE uuid = ?", BIND(TEXT(change->uuid))));
    TRY(sql_int_of(tx, &same_name, 0, "SELECT id FROM resource_providers WHERE name = ?", BIND(TEXT(change->name))));
    if (same_uuid != 0)
        return FAULT(RQ(change->rq), 409, CODE_DUPLICATE_NAME,
            "Conflicting resource provider uuid: %s already exists.", change->uuid);
    if (same_name != 0)
        return FAULT(RQ(change->rq), 409, CODE_DUPLICATE_NAME,
            "Conflicting resource provider name: %s already exists.", change->name);
    return NULL;
}

static struct fault *create_run(struct tx *tx, void *argument)
{
    struct change *change = argument;
    struct provider_row parent = { 0 };
    TRY(placement_change_begin(tx));
    if (*change->name == '\0')
        return refuse(change, "POST", "name is required");
    if (change->parent_uuid != NULL) {
        bool found;
        if (strcasecmp(change->parent_uuid, change->uuid) == 0)
            return refuse(change, "POST", "parent provider UUID cannot be same as UUID. Please set parent provider UUID"
                                          " to None if there is no parent.");
        TRY(provider_look(tx, change->parent_uuid, &parent, &found));
        if (!found)
            return refuse(change, "POST", "parent provider UUID does not exist.");
    }
    TRY(check_duplicate(tx, change));
    int64_t id;
    TRY(sql_insert(tx,
        "INSERT INTO resource_providers (created_at, uuid, name, generation, root_provider_id, parent_provider_id)"
        " VALUES (?, ?, ?, 0, ?, ?)",
        BIND(TEXT(placement_timestamp_now(tx_arena(tx))), TEXT(change->uuid), TEXT(change->name),
            parent.id == 0 ? SQL_NULL : INT(parent.root_id), parent.id == 0 ? SQL_NULL : INT(parent.id)),
        &id));
    if (parent.id == 0)
        TRY(sql_exec_later(tx, "UPDATE resource_providers SET root_provider_id = id WHERE id = ?", BIND(INT(id))));
    TRY(placement_change_provider(tx, id));
    return provider_load(tx, change->uuid, &change->provider);
}

static const char *parent_of(struct request *rq)
{
    const char *parent = json_string_value(json_object_get(rq->body, "parent_provider_uuid"));
    return parent == NULL ? NULL : placement_uuid_canonical(rq->cx.arena, parent);
}

static struct fault *create_provider(struct request *rq)
{
    TRY(request_validate(rq, rq->version >= 14 ? &post_1_14 : &post_1_0));
    const char *uuid = json_text_at(rq->body, "uuid");
    struct change change = {
        .rq = rq,
        .uuid = uuid == NULL ? uuid_new(rq->cx.arena) : placement_uuid_canonical(rq->cx.arena, uuid),
        .name = json_text_at(rq->body, "name"),
        .parent_uuid = parent_of(rq),
    };
    TRY(placement_write(rq, create_run, &change));
    response_headerf(rq, "Location", "%s/resource_providers/%s", rq->base_url, change.uuid);
    if (rq->version < 20)
        return placement_answer_empty(rq, 201);
    write_provider(rq, &change.provider);
    placement_cache_headers(rq, change.provider.modified_us);
    rq->status = 200;
    return NULL;
}

static struct fault *delete_run(struct tx *tx, void *argument)
{
    struct change *change = argument;
    bool found;
    int64_t count, gone;
    TRY(placement_change_begin(tx));
    TRY(provider_look(tx, change->uuid, &change->provider, &found));
    if (!found)
        return FAULT(RQ(change->rq), 404, NULL, "No resource provider with uuid %s found for delete", change->uuid);
    int64_t id = change->provider.id;
    TRY(sql_int_of(tx, &count, 0, "SELECT COUNT(*) FROM resource_providers WHERE parent_provider_id = ?",
        BIND(INT(id))));
    if (count > 0)
        return FAULT(RQ(change->rq), 409, CODE_CANNOT_DELETE_PARENT,
            "Unable to delete parent resource provider %s: It has child resource providers.", change->uuid);
    TRY(sql_int_of(tx, &count, 0, "SELECT COUNT(*) FROM allocations WHERE resource_provider_id = ?", BIND(INT(id))));
    if (count > 0)
        return FAULT(RQ(change->rq), 409, CODE_PROVIDER_INUSE,
            "Unable to delete resource provider %s: Resource provider has allocations.", change->uuid);
    TRY(sql_exec_later(tx, "DELETE FROM inventories WHERE resource_provider_id = ?", BIND(INT(id))));
    TRY(sql_exec_later(tx, "DELETE FROM resource_provider_aggregates WHERE resource_provider_id = ?", BIND(INT(id))));
    TRY(sql_exec_later(tx, "DELETE FROM resource_provider_traits WHERE resource_provider_id = ?", BIND(INT(id))));
    TRY(sql_exec_later(tx, "UPDATE resource_providers SET root_provider_id = NULL WHERE id = ? AND root_provider_id = ?",
        BIND(INT(id), INT(id))));
    TRY(sql_exec_changed(tx, "DELETE FROM resource_providers WHERE id = ? AND generation = ?",
        BIND(INT(id), INT(change->provider.generation)), &gone));
    if (gone == 0) /* the reference, on the same database, allocated from it meanwhile */
        return FAULT(RQ(change->rq), 409, CODE_CONCURRENT_UPDATE, WORDS_CONCURRENT_UPDATE);
    return placement_change_provider(tx, id);
}

static struct fault *delete_provider(struct request *rq)
{
    struct change change = { .rq = rq, .uuid = request_argument(rq, "uuid") };
    TRY(placement_write(rq, delete_run, &change));
    return placement_answer_empty(rq, 204);
}

static struct fault *show_provider(struct request *rq)
{
    struct tx *tx;
    struct provider_row provider;
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(provider_load(tx, request_argument(rq, "uuid"), &provider));
    write_provider(rq, &provider);
    placement_cache_headers(rq, provider.modified_us);
    return NULL;
}

/* The ids of a provider's subtree, itself first; *ret_inside tells whether `wanted` is one of them. */
static struct fault *subtree(struct tx *tx, const struct provider_row *provider, int64_t wanted, int64_t **ret,
    size_t *ret_count, bool *ret_inside)
{
    int64_t total;
    TRY(sql_int_of(tx, &total, 0, "SELECT COUNT(*) FROM resource_providers WHERE root_provider_id = ?",
        BIND(INT(provider->root_id))));
    int64_t *ids = ARENA_ARRAY(tx_arena(tx), int64_t, (size_t)total + 1);
    size_t count = 0;
    ids[count++] = provider->id;
    for (size_t at = 0; at < count; at++) {
        struct rows *rows;
        *ret_inside = *ret_inside || ids[at] == wanted;
        TRY(sql_query(tx, &rows, "SELECT id FROM resource_providers WHERE parent_provider_id = ?",
            BIND(INT(ids[at]))));
        while (rows_next(rows) && count < (size_t)total)
            ids[count++] = rows_int(rows, 0);
        rows_end(rows);
        TRY(rows_fault(rows));
    }
    *ret = ids;
    *ret_count = count;
    return NULL;
}

/* Moves a provider with all below it under another parent (id 0: makes it a root). */
static struct fault *move(struct tx *tx, struct change *change, const struct provider_row *parent)
{
    int64_t *ids;
    size_t count;
    bool loop = false;
    TRY(subtree(tx, &change->provider, parent->id, &ids, &count, &loop));
    if (loop)
        return refuse(change, "update", "creating loop in the provider tree is not allowed.");
    int64_t root_id = parent->id == 0 ? change->provider.id : parent->root_id;
    for (size_t i = 0; i < count; i++) {
        TRY(sql_exec_later(tx, "UPDATE resource_providers SET root_provider_id = ? WHERE id = ?",
            BIND(INT(root_id), INT(ids[i]))));
        TRY(placement_change_provider(tx, ids[i]));
    }
    return sql_exec_later(tx, "UPDATE resource_providers SET parent_provider_id = ? WHERE id = ?",
        BIND(parent->id == 0 ? SQL_NULL : INT(parent->id), INT(change->provider.id)));
}

static struct fault *update_parent(struct tx *tx, struct change *change)
{
    bool may_move = change->rq->version >= 37, found;
    struct provider_row parent = { 0 };
    if (change->parent_uuid == NULL) {
        if (change->provider.parent_id == 0)
            return NULL;
        if (!may_move)
            return refuse(change, "update", "un-parenting a provider is not currently allowed.");
        return move(tx, change, &parent);
    }
    TRY(provider_look(tx, change->parent_uuid, &parent, &found));
    if (!found)
        return refuse(change, "create", "parent provider UUID does not exist.");
    if (change->provider.parent_id != 0 && change->provider.parent_id != parent.id && !may_move)
        return refuse(change, "update", "re-parenting a provider is not currently allowed.");
    return move(tx, change, &parent);
}

static struct fault *update_run(struct tx *tx, void *argument)
{
    struct change *change = argument;
    int64_t same;
    TRY(placement_change_begin(tx));
    TRY(provider_load(tx, change->uuid, &change->provider));
    /* A body without the member keeps the parent, which below 1.14 is the only way. */
    if (change->parent_given)
        TRY(update_parent(tx, change));
    TRY(sql_int_of(tx, &same, 0, "SELECT COUNT(*) FROM resource_providers WHERE name = ? AND id <> ?",
        BIND(TEXT(change->name), INT(change->provider.id))));
    if (same > 0)
        return FAULT(RQ(change->rq), 409, CODE_DUPLICATE_NAME, "Conflicting resource provider %s already exists.",
            change->name);
    TRY(sql_exec_later(tx, "UPDATE resource_providers SET name = ?, updated_at = ? WHERE id = ?",
        BIND(TEXT(change->name), TEXT(placement_timestamp_now(tx_arena(tx))), INT(change->provider.id))));
    TRY(placement_change_provider(tx, change->provider.id));
    return provider_load(tx, change->uuid, &change->provider);
}

static struct fault *update_provider(struct request *rq)
{
    TRY(placement_validate_for_provider(rq, rq->version >= 14 ? &put_1_14 : &put_1_0));
    struct change change = {
        .rq = rq,
        .uuid = request_argument(rq, "uuid"),
        .name = json_text_at(rq->body, "name"),
        .parent_given = json_object_get(rq->body, "parent_provider_uuid") != NULL,
        .parent_uuid = parent_of(rq),
    };
    TRY(placement_write(rq, update_run, &change));
    write_provider(rq, &change.provider);
    placement_cache_headers(rq, change.provider.modified_us);
    return NULL;
}

static const struct schema *list_schema(const struct request *rq)
{
    if (rq->version >= 18)
        return &list_1_18;
    if (rq->version >= 14)
        return &list_1_14;
    if (rq->version >= 4)
        return &list_1_4;
    return rq->version >= 3 ? &list_1_3 : &list_1_0;
}

static bool listed(const struct request *rq, const struct candidate_group *filter, const struct provider *provider)
{
    const char *name = placement_query_last(rq, "name"), *uuid = placement_query_last(rq, "uuid");
    if (name != NULL && *name != '\0' && strcmp(provider->name, name) != 0)
        return false;
    if (uuid != NULL && *uuid != '\0' && strcmp(provider->uuid, uuid) != 0)
        return false;
    return placement_group_fits(filter, provider);
}

static void write_list(struct request *rq, const struct model *model, const struct candidate_group *filter)
{
    int64_t modified_us = 0;
    json_begin(&rq->json, NULL);
    json_begin_array(&rq->json, "resource_providers");
    const struct provider_list *all = &model->providers;
    for (size_t i = 0; i < all->count; i++) {
        const struct provider *provider = all->items[i];
        if (!listed(rq, filter, provider))
            continue;
        const struct provider_row row = {
            .uuid = provider->uuid,
            .name = provider->name,
            .generation = provider->generation,
            .parent_uuid = provider->parent == NULL ? NULL : provider->parent->uuid,
            .root_uuid = provider->root->uuid,
        };
        write_provider(rq, &row);
        if (provider->modified_us > modified_us)
            modified_us = provider->modified_us;
    }
    json_end_array(&rq->json);
    json_end(&rq->json);
    placement_cache_headers(rq, modified_us);
}

static struct fault *list_providers(struct request *rq)
{
    TRY(placement_query_validate(rq, list_schema(rq)));
    struct model *model = placement_of(rq)->model;
    struct candidate_group filter;
    TRY(model_refresh(rq->cx.arena, model, rq->cx.app->db));
    model_read_begin(model);
    struct fault *fault = provider_filter_parse(rq, model, &filter);
    if (fault == NULL)
        write_list(rq, model, &filter);
    model_read_end(model);
    return fault;
}

static const struct route root_rows[] = {
    ROUTE(GET, "/", NULL, show_versions, .flags = NO_TOKEN),
};
const struct route_table placement_root_routes = ROUTES(root_rows);

#define RULE(name) "placement:resource_providers:" name
static const struct route rows_of_providers[] = {
    ROUTE(GET,    "/resource_providers",        RULE("list"),   list_providers),
    ROUTE(POST,   "/resource_providers",        RULE("create"), create_provider),
    ROUTE(GET,    "/resource_providers/{uuid}", RULE("show"),   show_provider),
    ROUTE(PUT,    "/resource_providers/{uuid}", RULE("update"), update_provider),
    ROUTE(DELETE, "/resource_providers/{uuid}", RULE("delete"), delete_provider),
};
const struct route_table placement_provider_routes = ROUTES(rows_of_providers);
