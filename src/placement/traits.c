/* SPDX-License-Identifier: Apache-2.0
 *
 * traits: /traits, and the traits of a provider. API reference: Traits, Resource provider traits.
 */
#include "placement/api.h"
#include "placement/store.h"

#include <string.h>
#include <strings.h>

static const struct schema text = { .types = SCHEMA_STRING };
static const struct schema generation = { .types = SCHEMA_INTEGER };
static const struct schema trait_name = { .types = SCHEMA_STRING, .min_length = 1, .max_length = 255 };
static const struct schema trait_names = { .types = SCHEMA_ARRAY, .items = &trait_name };
static const struct schema list_query = { .types = SCHEMA_OBJECT, .closed = true,
    .properties = SCHEMA_PROPERTIES({ "name", &text }, { "associated", &text }) };
static const struct schema put_traits = { .types = SCHEMA_OBJECT, .closed = true,
    .required = SCHEMA_WORDS("traits", "resource_provider_generation"),
    .properties = SCHEMA_PROPERTIES({ "traits", &trait_names }, { "resource_provider_generation", &generation }) };

struct trait_row {
    int64_t id; /* -1: none */
    int64_t modified_us;
};

static struct fault *look(struct tx *tx, const char *name, struct trait_row *ret)
{
    struct rows *rows;
    *ret = (struct trait_row){ .id = -1 };
    TRY(sql_query(tx, &rows, "SELECT id, created_at, updated_at FROM traits WHERE name = ?", BIND(TEXT(name))));
    if (rows_next(rows))
        *ret = (struct trait_row){ rows_int(rows, 0), placement_moment(rows_text(rows, 1), rows_text(rows, 2)) };
    rows_end(rows);
    return rows_fault(rows);
}

static bool custom_name(const char *name)
{
    return strncmp(name, "CUSTOM_", 7) == 0 && name[7] != '\0' && strlen(name) <= 255 &&
        strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == strlen(name);
}

struct change {
    struct request *rq;
    const char *name;
    bool created;
    struct trait_row trait;
    const json_t *wanted; /* names */
    bool check_generation;
    int64_t generation;
    struct provider_row provider;
};

static struct fault *put_run(struct tx *tx, void *argument)
{
    struct change *change = argument;
    change->created = false;
    TRY(placement_change_begin(tx));
    TRY(look(tx, change->name, &change->trait));
    if (change->trait.id >= 0)
        return NULL;
    int64_t id;
    TRY(sql_insert(tx, "INSERT INTO traits (created_at, name) VALUES (?, ?)",
        BIND(TEXT(placement_timestamp_now(tx_arena(tx))), TEXT(change->name)), &id));
    change->created = true;
    return placement_change_provider(tx, CHANGED_NAMES);
}

static struct fault *put_trait(struct request *rq)
{
    struct change change = { .rq = rq, .name = request_argument(rq, "name") };
    if (!custom_name(change.name))
        return FAULT(RQ(rq), 400, NULL,
            "The trait is invalid. A valid trait must be no longer than 255 characters, start with the prefix"
            " \"CUSTOM_\" and use following characters: \"A\"-\"Z\", \"0\"-\"9\" and \"_\"");
    TRY(placement_write(rq, put_run, &change));
    response_headerf(rq, "Location", "%s/traits/%s", rq->base_url, change.name);
    placement_cache_headers(rq, change.trait.modified_us);
    return placement_answer_empty(rq, change.created ? 201 : 204);
}

static struct fault *unknown(struct request *rq, const char *name)
{
    return FAULT(RQ(rq), 404, NULL, "No such trait(s): %s.", name);
}

static struct fault *show_trait(struct request *rq)
{
    struct tx *tx;
    struct trait_row trait;
    const char *name = request_argument(rq, "name");
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(look(tx, name, &trait));
    if (trait.id < 0)
        return unknown(rq, name);
    placement_cache_headers(rq, trait.modified_us);
    return placement_answer_empty(rq, 204);
}

static struct fault *delete_run(struct tx *tx, void *argument)
{
    struct change *change = argument;
    int64_t used;
    TRY(placement_change_begin(tx));
    TRY(look(tx, change->name, &change->trait));
    if (change->trait.id < 0)
        return unknown(change->rq, change->name);
    if (strncmp(change->name, "CUSTOM_", 7) != 0)
        return FAULT(RQ(change->rq), 400, NULL, "Cannot delete standard trait %s.", change->name);
    TRY(sql_int_of(tx, &used, 0, "SELECT COUNT(*) FROM resource_provider_traits WHERE trait_id = ?",
        BIND(INT(change->trait.id))));
    if (used > 0)
        return FAULT(RQ(change->rq), 409, NULL, "The trait %s is in use by a resource provider.", change->name);
    TRY(sql_exec_later(tx, "DELETE FROM traits WHERE id = ?", BIND(INT(change->trait.id))));
    return placement_change_provider(tx, CHANGED_NAMES);
}

static struct fault *delete_trait(struct request *rq)
{
    struct change change = { .rq = rq, .name = request_argument(rq, "name") };
    TRY(placement_write(rq, delete_run, &change));
    return placement_answer_empty(rq, 204);
}

/* What GET /traits asks for. */
struct filter {
    const char *prefix; /* NULL: any */
    const char *list;   /* "A,B": NULL: any */
    int associated;     /* -1: either */
};

static struct fault *parse_filter(struct request *rq, struct filter *ret)
{
    const char *name = placement_query_last(rq, "name"), *associated = placement_query_last(rq, "associated");
    *ret = (struct filter){ .associated = -1 };
    if (name != NULL) {
        const char *colon = strchr(name, ':');
        if (colon == NULL)
            return FAULT(RQ(rq), 400, NULL,
                "Badly formatted name parameter. Expected name query string parameter in form:"
                " ?name=[in|startswith]:[name1,name2|prefix]. Got: \"%s\"", name);
        if (strncmp(name, "in:", 3) == 0)
            ret->list = colon + 1;
        else if (strncmp(name, "startswith:", 11) == 0)
            ret->prefix = colon + 1;
    }
    if (associated == NULL)
        return NULL;
    if (strcasecmp(associated, "true") != 0 && strcasecmp(associated, "false") != 0)
        return FAULT(RQ(rq), 400, NULL, "The query parameter \"associated\" only accepts \"true\" or \"false\"");
    ret->associated = strcasecmp(associated, "true") == 0;
    return NULL;
}

static bool in_list(const char *list, const char *name)
{
    for (size_t length = strlen(name);;) {
        size_t part = strcspn(list, ",");
        if (part == length && strncmp(list, name, length) == 0)
            return true;
        if (list[part] == '\0')
            return false;
        list += part + 1;
    }
}

static bool matches(const struct filter *filter, const char *name, bool associated)
{
    return (filter->prefix == NULL || strncmp(name, filter->prefix, strlen(filter->prefix)) == 0) &&
        (filter->list == NULL || in_list(filter->list, name)) &&
        (filter->associated < 0 || filter->associated == associated);
}

static struct fault *list_traits(struct request *rq)
{
    struct filter filter;
    struct tx *tx;
    struct rows *rows;
    int64_t modified_us = 0;
    TRY(placement_query_validate(rq, &list_query));
    TRY(parse_filter(rq, &filter));
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(sql_query(tx, &rows,
        "SELECT t.name, t.created_at, t.updated_at, EXISTS (SELECT 1 FROM resource_provider_traits r WHERE"
        " r.trait_id = t.id) FROM traits t ORDER BY t.id", NO_BIND));
    json_begin(&rq->json, NULL);
    json_begin_array(&rq->json, "traits");
    while (rows_next(rows)) {
        if (!matches(&filter, rows_text(rows, 0), rows_int(rows, 3) != 0))
            continue;
        json_text(&rq->json, NULL, rows_text(rows, 0));
        int64_t us = placement_moment(rows_text(rows, 1), rows_text(rows, 2));
        modified_us = us > modified_us ? us : modified_us;
    }
    json_end_array(&rq->json);
    json_end(&rq->json);
    placement_cache_headers(rq, modified_us);
    return rows_fault(rows);
}

static struct fault *write_provider_traits(struct request *rq, struct tx *tx, const struct provider_row *provider)
{
    struct rows *rows;
    int64_t modified_us = 0;
    TRY(sql_query(tx, &rows,
        "SELECT t.name, t.created_at, t.updated_at FROM resource_provider_traits r JOIN traits t ON t.id = r.trait_id"
        " WHERE r.resource_provider_id = ? ORDER BY t.id",
        BIND(INT(provider->id))));
    json_begin(&rq->json, NULL);
    json_begin_array(&rq->json, "traits");
    while (rows_next(rows)) {
        json_text(&rq->json, NULL, rows_text(rows, 0));
        int64_t us = placement_moment(rows_text(rows, 1), rows_text(rows, 2));
        modified_us = us > modified_us ? us : modified_us;
    }
    json_end_array(&rq->json);
    json_int(&rq->json, "resource_provider_generation", provider->generation);
    json_end(&rq->json);
    placement_cache_headers(rq, modified_us);
    return rows_fault(rows);
}

static struct fault *list_provider_traits(struct request *rq)
{
    struct tx *tx;
    struct provider_row provider;
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(provider_load_twice(tx, request_argument(rq, "uuid"), &provider));
    return write_provider_traits(rq, tx, &provider);
}

static bool is_among(const int64_t *ids, size_t count, int64_t id)
{
    for (size_t i = 0; i < count; i++)
        if (ids[i] == id)
            return true;
    return false;
}

/* The ids of the wanted names: 400 with all that do not exist. */
static struct fault *wanted_ids(struct tx *tx, struct change *change, int64_t *ids, size_t *ret_count)
{
    struct buf missing BUF_CLEANUP = { 0 };
    size_t wanted = json_array_size(change->wanted);
    const char **names = ARENA_ARRAY(tx_arena(tx), const char *, wanted + 1);
    int64_t *found = ARENA_ARRAY(tx_arena(tx), int64_t, wanted + 1);
    *ret_count = 0;
    for (size_t i = 0; i < wanted; i++)
        names[i] = json_string_value(json_array_get(change->wanted, i));
    TRY(placement_ids(tx, "traits", names, wanted, found));
    for (size_t i = 0; i < wanted; i++) {
        if (found[i] < 0)
            buf_printf(&missing, "%s%s", missing.length == 0 ? "" : ", ", names[i]);
        else if (!is_among(ids, *ret_count, found[i]))
            ids[(*ret_count)++] = found[i];
    }
    if (missing.length > 0)
        return FAULT(RQ(change->rq), 400, NULL, "No such trait %s", buf_text(&missing));
    return NULL;
}

static struct fault *set_run(struct tx *tx, void *argument)
{
    struct change *change = argument;
    TRY(placement_change_begin(tx));
    TRY(provider_load(tx, request_argument(change->rq, "uuid"), &change->provider));
    if (change->check_generation && change->generation != change->provider.generation)
        return FAULT(RQ(change->rq), 409, CODE_CONCURRENT_UPDATE,
            "Resource provider's generation already changed. Please update the generation and try again.");
    int64_t *ids = ARENA_ARRAY(tx_arena(tx), int64_t, json_array_size(change->wanted) + 1);
    size_t count;
    TRY(wanted_ids(tx, change, ids, &count));
    struct rows *rows;
    size_t present = 0, same = 0;
    TRY(sql_query(tx, &rows, "SELECT trait_id FROM resource_provider_traits WHERE resource_provider_id = ?",
        BIND(INT(change->provider.id))));
    for (; rows_next(rows); present++)
        same += is_among(ids, count, rows_int(rows, 0));
    TRY(rows_fault(rows));
    if (same == present && same == count) /* nothing to do leaves the generation alone, as the reference */
        return NULL;
    TRY(sql_exec_later(tx, "DELETE FROM resource_provider_traits WHERE resource_provider_id = ?",
        BIND(INT(change->provider.id))));
    for (size_t i = 0; i < count; i++)
        TRY(sql_exec_later(tx,
            "INSERT INTO resource_provider_traits (created_at, trait_id, resource_provider_id) VALUES (?, ?, ?)",
            BIND(TEXT(placement_timestamp_now(tx_arena(tx))), INT(ids[i]), INT(change->provider.id))));
    return provider_touch(tx, &change->provider);
}

static struct fault *set_provider_traits(struct request *rq)
{
    TRY(request_validate(rq, &put_traits));
    struct change change = {
        .rq = rq,
        .wanted = json_object_get(rq->body, "traits"),
        .check_generation = true,
        .generation = json_int_at(rq->body, "resource_provider_generation", -1),
    };
    struct tx *tx;
    TRY(placement_write(rq, set_run, &change));
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    return write_provider_traits(rq, tx, &change.provider);
}

static struct fault *clear_provider_traits(struct request *rq)
{
    struct change change = { .rq = rq, .wanted = json_keep(rq->cx.arena, json_array()) };
    TRY(placement_write(rq, set_run, &change));
    return placement_answer_empty(rq, 204);
}

#define ALL          "/traits"
#define ONE          "/traits/{name}"
#define OF           "/resource_providers/{uuid}/traits"
#define RULE(name)    "placement:traits:" name
#define OF_RULE(name) "placement:resource_providers:traits:" name
static const struct route rows_of_traits[] = {
    ROUTE(GET,    ALL, RULE("list"),      list_traits,           .min_version = 6),
    ROUTE(GET,    ONE, RULE("show"),      show_trait,            .min_version = 6, .status = 204),
    ROUTE(PUT,    ONE, RULE("update"),    put_trait,             .min_version = 6, .flags = ANY_BODY),
    ROUTE(DELETE, ONE, RULE("delete"),    delete_trait,          .min_version = 6),
    ROUTE(GET,    OF,  OF_RULE("list"),   list_provider_traits,  .min_version = 6),
    ROUTE(PUT,    OF,  OF_RULE("update"), set_provider_traits,   .min_version = 6),
    ROUTE(DELETE, OF,  OF_RULE("delete"), clear_provider_traits, .min_version = 6),
};
const struct route_table placement_trait_routes = ROUTES(rows_of_traits);
