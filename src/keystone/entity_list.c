/* SPDX-License-Identifier: Apache-2.0
 * entity: lists, from the rows straight to the response. */
#include "keystone/entity.h"

#include "base/clock.h"
#include "base/map.h"
#include "keystone/entity_private.h"
#include "oslo/options.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

enum { MAX_FILTERS = 32 };

/* A filter that is decided here and not in SQL, where the case of letters and JSON columns differ between databases. */
struct inexact {
    size_t attribute;
    const char *value;
    enum { EQUALS, CONTAINS, STARTS, ENDS } kind;
    bool any_case;
};

struct list {
    struct request *rq;
    const struct entity *entity;
    struct tx *tx;
    const char *where;
    struct sql_value *values;
    size_t count, capacity;
    struct inexact inexact[MAX_FILTERS];
    size_t inexact_count, exact_count;
    struct map options, tags; /* id to a document of them; arena's */
    bool has_extra_filter;
    const char *url;          /* of the collection: what links begin with */
    int64_t limit, written;   /* limit 0: none */
};

static struct fault *add_condition(struct list *list, const char *sql, const struct sql_value *values, size_t count)
{
    if (list->count + count > list->capacity) {
        struct sql_value *larger = ARENA_ARRAY(list->rq->cx.arena, struct sql_value, (list->count + count) * 2);
        if (list->count > 0)
            memcpy(larger, list->values, list->count * sizeof(*larger));
        list->values = larger;
        list->capacity = (list->count + count) * 2;
    }
    list->where = arena_printf(list->rq->cx.arena, "%s%s(%s)", list->where, list->where[0] != '\0' ? " AND " : "", sql);
    if (count > 0)
        memcpy(list->values + list->count, values, count * sizeof(*values));
    list->count += count;
    return NULL;
}

static struct fault *add_inexact(struct list *list, size_t attribute, const char *comparator, const char *value)
{
    struct inexact filter = { .attribute = attribute, .value = value };
    static const char *const names[] = { "", "contains", "startswith", "endswith" };

    if (list->inexact_count == MAX_FILTERS)
        return keystone_invalid(RQ(list->rq), "Too many filters.");
    filter.any_case = comparator[0] == 'i';
    if (filter.any_case)
        comparator++;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i], comparator) == 0) {
            filter.kind = (int)i;
            list->inexact[list->inexact_count++] = filter;
            if (list->entity->attributes[attribute].flags & ATTRIBUTE_EXTRA)
                list->has_extra_filter = true;
            return NULL;
        }
    }
    return NULL; /* an unknown comparator filters nothing, as in the reference */
}

static struct fault *add_filter(struct list *list, const struct header *query)
{
    for (size_t i = 0; i < list->entity->count; i++) {
        const struct attribute *attribute = &list->entity->attributes[i];
        size_t length = strlen(attribute->name);
        if (!(attribute->flags & ATTRIBUTE_FILTER) || strncmp(query->name, attribute->name, length) != 0)
            continue;
        if (strncmp(query->name + length, "__", 2) == 0)
            return add_inexact(list, i, query->name + length + 2, query->value);
        if (query->name[length] != '\0')
            continue;
        if (attribute->flags & ATTRIBUTE_EXTRA)
            return add_inexact(list, i, "", query->value);
        if (++list->exact_count > MAX_FILTERS)
            return keystone_invalid(RQ(list->rq), "Too many filters.");
        const char *sql = arena_printf(list->rq->cx.arena, "%s = ?",
            attribute->filter != NULL ? attribute->filter : attribute->column);
        if (attribute->flags & ATTRIBUTE_BOOL)
            return add_condition(list, sql, BIND(INT(keystone_truth(query->value))));
        return add_condition(list, sql, BIND(TEXT(query->value)));
    }
    return NULL;
}

/* ---- Options and tags of all rows, in one query each ---- */

static json_t *of_row(struct list *list, struct map *map, const char *id, json_t *(*create)(void))
{
    json_t *value = map_get(map, id);

    if (value == NULL) {
        value = json_keep(list->rq->cx.arena, create());
        map_set(map, id, value);
    }
    return value;
}

static json_t *new_object(void)
{
    return json_object();
}

static json_t *new_array(void)
{
    return json_array();
}

/* " WHERE key IN (...)": of the rows that the list's conditions name; with none, all of them are wanted. */
static const char *only_listed(struct list *list, const char *key)
{
    const struct entity *entity = list->entity;
    if (list->where[0] == '\0')
        return "";
    return arena_printf(list->rq->cx.arena, " WHERE %s IN (SELECT %s FROM %s WHERE %s)", key, entity->id_column, entity->from,
        list->where);
}

static struct fault *read_options(struct list *list)
{
    const struct entity *entity = list->entity;
    struct arena *arena = list->rq->cx.arena;
    struct rows *rows;

    TRY(sql_query(list->tx, &rows, arena_printf(arena, "SELECT %s, option_id, option_value FROM %s%s", entity->options_key,
        entity->options_table, only_listed(list, entity->options_key)), list->values, list->count));
    while (rows_next(rows)) {
        const char *name = entity_option_name(entity, rows_text(rows, 1));
        json_t *value = json_parse_own(arena, rows_text(rows, 2));
        if (name != NULL && value != NULL)
            json_object_set(of_row(list, &list->options, rows_text(rows, 0), new_object), name, value);
    }
    return rows_fault(rows);
}

static struct fault *read_tags(struct list *list)
{
    struct rows *rows;

    TRY(sql_query(list->tx, &rows, arena_printf(list->rq->cx.arena, "SELECT project_id, name FROM project_tag%s"
        " ORDER BY project_id, name", only_listed(list, "project_id")), list->values, list->count));
    while (rows_next(rows))
        json_array_append_new(of_row(list, &list->tags, rows_text(rows, 0), new_array), json_string(rows_text(rows, 1)));
    return rows_fault(rows);
}

/* ---- Rows ---- */

static bool text_matches(const struct inexact *filter, const char *text)
{
    size_t length = strlen(text), wanted = strlen(filter->value);

    switch (filter->kind) {
    case EQUALS:
        return strcmp(text, filter->value) == 0;
    case CONTAINS:
        return (filter->any_case ? strcasestr(text, filter->value) : strstr(text, filter->value)) != NULL;
    case STARTS:
        return (filter->any_case ? strncasecmp : strncmp)(text, filter->value, wanted) == 0;
    case ENDS:
        return length >= wanted &&
            (filter->any_case ? strcasecmp : strcmp)(text + length - wanted, filter->value) == 0;
    }
    return false;
}

static bool row_matches(struct list *list, struct rows *rows)
{
    json_t *extra = list->has_extra_filter ? json_parse_own(list->rq->cx.arena, rows_text(rows, 0)) : NULL;

    for (size_t i = 0; i < list->inexact_count; i++) {
        const struct inexact *filter = &list->inexact[i];
        const struct attribute *attribute = &list->entity->attributes[filter->attribute];
        const char *text;
        if (attribute->flags & ATTRIBUTE_EXTRA) {
            text = json_text_at(extra, attribute->name);
        } else {
            int column = 1;
            for (size_t k = 0; k < filter->attribute; k++)
                column += !(list->entity->attributes[k].flags & ATTRIBUTE_EXTRA);
            text = rows_text(rows, column);
        }
        if (text == NULL || !text_matches(filter, text))
            return false;
    }
    return true;
}

/* The members of a stored object, without its braces: they were checked when they were written. */
static void write_extra(struct json_writer *w, const char *extra)
{
    size_t begin = 1, end = extra != NULL ? strlen(extra) : 0;

    while (end > 0 && extra[end - 1] != '}')
        end--;
    if (end == 0 || extra[0] != '{')
        return;
    end--;
    while (begin < end && (extra[begin] == ' ' || extra[begin] == '\n'))
        begin++;
    if (begin >= end)
        return;
    if (w->comma)
        buf_puts(w->out, ", ");
    buf_append(w->out, extra + begin, end - begin);
    w->comma = true;
}

static void write_attribute(struct list *list, const struct attribute *attribute, struct rows *rows, int column)
{
    struct json_writer *w = &list->rq->json;

    if (attribute->flags & ATTRIBUTE_BOOL) {
        json_bool(w, attribute->name, rows_int(rows, column) != 0);
    } else if (attribute->flags & ATTRIBUTE_MOMENT) {
        int64_t us = rows_int(rows, column);
        json_text(w, attribute->name, us == 0 ? NULL : clock_text(list->rq->cx.arena, us, CLOCK_ISO_US));
    } else {
        const char *text = rows_text(rows, column);
        bool null = entity_column_null(attribute, text);
        if (null && (attribute->flags & ATTRIBUTE_OPTIONAL))
            return;
        if (!null && (attribute->flags & ATTRIBUTE_JSON_TWICE))
            json_raw(w, attribute->name, entity_json_inner(list->rq->cx.arena, text));
        else if (!null && (attribute->flags & (ATTRIBUTE_INT | ATTRIBUTE_JSON)))
            json_raw(w, attribute->name, text); /* we wrote it: JSON as it stands */
        else
            json_text(w, attribute->name, null ? NULL : text);
    }
}

static void write_row(struct list *list, struct rows *rows)
{
    const struct entity *entity = list->entity;
    struct json_writer *w = &list->rq->json;
    const char *id = rows_text(rows, 1);
    int column = 1;

    json_begin(w, NULL);
    for (size_t i = 0; i < entity->count; i++) {
        const struct attribute *attribute = &entity->attributes[i];
        if (attribute->flags & ATTRIBUTE_EXTRA)
            continue;
        if (!(attribute->flags & ATTRIBUTE_HIDDEN))
            write_attribute(list, attribute, rows, column);
        column++;
    }
    write_extra(w, rows_text(rows, 0));
    if (entity->write_more != NULL)
        entity->write_more(w, id, entity->more_argument);
    if (entity->options_table != NULL) {
        json_t *options = map_get(&list->options, id);
        if (options != NULL)
            json_value(w, "options", options);
        else
            json_raw(w, "options", "{}");
    }
    if (entity->tags) {
        json_t *tags = map_get(&list->tags, id);
        if (tags != NULL)
            json_value(w, "tags", tags);
        else
            json_raw(w, "tags", "[]");
    }
    json_begin(w, "links");
    json_textf(w, "self", "%s/%s", list->url, id);
    json_end(w);
    json_end(w);
}

/* [section] list_limit, else [DEFAULT] list_limit; none is 0. */
static int64_t limit_of(const struct config *config, const struct entity *entity)
{
    const char *group = entity->limit_group;
    int64_t limit = 0;

    if (group == NULL)
        return 0;
    if (config_has(config, group, "list_limit"))
        limit = config_int(config, group, "list_limit");
    return limit > 0 ? limit : config_int(config, "DEFAULT", "list_limit");
}

static struct fault *list_rows(struct list *list)
{
    const struct entity *entity = list->entity;
    struct arena *arena = list->rq->cx.arena;
    struct rows *rows;

    if (entity->options_table != NULL)
        TRY(read_options(list));
    if (entity->tags)
        TRY(read_tags(list));
    const char *sql = arena_printf(arena, "%s%s%s ORDER BY %s", entity_select(arena, entity),
        list->where[0] != '\0' ? " WHERE " : "", list->where, entity->id_column);
    if (list->limit > 0 && list->inexact_count == 0) /* one more than shown tells whether there are more */
        sql = arena_printf(arena, "%s LIMIT %" PRId64, sql, list->limit + 1);
    TRY(sql_query(list->tx, &rows, sql, list->values, list->count));
    json_begin(&list->rq->json, NULL);
    json_begin_array(&list->rq->json, entity->plural);
    bool truncated = false;
    while (!truncated && rows_next(rows)) {
        if (!row_matches(list, rows))
            continue;
        truncated = list->limit > 0 && list->written == list->limit;
        if (!truncated)
            write_row(list, rows);
        list->written++;
    }
    rows_end(rows);
    json_end_array(&list->rq->json);
    TRY(rows_fault(rows));
    keystone_collection_links(list->rq);
    if (truncated)
        json_bool(&list->rq->json, "truncated", true);
    json_end(&list->rq->json);
    return NULL;
}

static void release_map(void *map)
{
    map_release(map);
}

static struct fault *list_run(struct request *rq, const struct entity *entity, const struct condition *conditions, bool all)
{
    struct list *list = ARENA_NEW(rq->cx.arena, struct list);

    list->rq = rq;
    list->entity = entity;
    list->where = "";
    list->limit = all ? 0 : limit_of(rq->cx.app->config, entity);
    list->url = keystone_url(rq, arena_printf(rq->cx.arena, "/%s", entity->path != NULL ? entity->path : entity->plural));
    arena_defer(rq->cx.arena, release_map, &list->options);
    arena_defer(rq->cx.arena, release_map, &list->tags);
    if (entity->fixed != NULL)
        TRY(add_condition(list, entity->fixed, NO_BIND));
    for (const struct condition *c = conditions; c != NULL && c->sql != NULL; c++)
        TRY(add_condition(list, c->sql, c->values, c->count));
    for (const struct header *query = all ? NULL : rq->query; query != NULL; query = query->next)
        TRY(add_filter(list, query));
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &list->tx));
    struct fault *fault = list_rows(list);
    tx_end(list->tx);
    return fault;
}

struct fault *entity_list(struct request *rq, const struct entity *entity, const struct condition *conditions)
{
    return list_run(rq, entity, conditions, false);
}

struct fault *entity_list_all(struct request *rq, const struct entity *entity, const struct condition *conditions)
{
    return list_run(rq, entity, conditions, true);
}
