/* SPDX-License-Identifier: Apache-2.0
 * entity: reading, writing and merging. Lists are in entity_list.c. */
#include "keystone/entity.h"

#include "base/clock.h"
#include "base/random.h"
#include "base/text.h"
#include "keystone/entity_private.h"

#include <string.h>

const char *entity_select(struct arena *arena, const struct entity *entity)
{
    struct buf sql = { 0 };

    buf_puts(&sql, "SELECT ");
    buf_puts(&sql, entity->extra_column != NULL ? entity->extra_column : "NULL");
    for (size_t i = 0; i < entity->count; i++)
        if (!(entity->attributes[i].flags & ATTRIBUTE_EXTRA))
            buf_printf(&sql, ", %s", entity->attributes[i].column);
    buf_printf(&sql, " FROM %s", entity->from);
    const char *text = arena_strdup(arena, buf_text(&sql));
    buf_release(&sql);
    return text;
}

bool entity_column_null(const struct attribute *attribute, const char *text)
{
    return text == NULL || (attribute->null_as != NULL && strcmp(text, attribute->null_as) == 0);
}

const char *entity_option_name(const struct entity *entity, const char *id)
{
    for (const struct entity_option *option = entity->options; option->name != NULL; option++)
        if (strcmp(option->id, id) == 0)
            return option->name;
    return NULL;
}

const char *entity_json_inner(struct arena *arena, const char *text)
{
    const json_t *outer = json_parse_own(arena, arena_printf(arena, "[%s]", text));
    const char *inner = json_string_value(json_array_get(outer, 0));

    return inner != NULL ? inner : text;
}

static json_t *attribute_value(struct tx *tx, const struct attribute *attribute, struct rows *rows, int column)
{
    const char *text = rows_text(rows, column);

    if (attribute->flags & ATTRIBUTE_BOOL)
        return json_boolean(rows_int(rows, column) != 0);
    if (attribute->flags & ATTRIBUTE_MOMENT)
        return rows_int(rows, column) == 0 ? json_null() :
            json_string(clock_text(tx_arena(tx), rows_int(rows, column), CLOCK_ISO_US));
    if (entity_column_null(attribute, text))
        return json_null();
    if (attribute->flags & ATTRIBUTE_INT)
        return json_integer(rows_int(rows, column));
    if (attribute->flags & ATTRIBUTE_JSON_TWICE)
        text = entity_json_inner(tx_arena(tx), text);
    if (attribute->flags & (ATTRIBUTE_JSON | ATTRIBUTE_JSON_TWICE)) {
        json_t *value = json_parse_own(tx_arena(tx), text);
        return value != NULL ? json_incref(value) : json_null();
    }
    return json_string(text);
}

static struct fault *load_options(struct tx *tx, const struct entity *entity, const char *id, json_t *document)
{
    json_t *options = json_object();
    struct rows *rows;

    json_object_set_new(document, "options", options);
    TRY(sql_query(tx, &rows, arena_printf(tx_arena(tx), "SELECT option_id, option_value FROM %s WHERE %s = ?",
        entity->options_table, entity->options_key), BIND(TEXT(id))));
    while (rows_next(rows)) {
        const char *name = entity_option_name(entity, rows_text(rows, 0));
        json_t *value = json_parse_own(tx_arena(tx), rows_text(rows, 1));
        if (name != NULL && value != NULL)
            json_object_set(options, name, value);
    }
    return rows_fault(rows);
}

static struct fault *load_tags(struct tx *tx, const char *id, json_t *document)
{
    json_t *tags = json_array();
    struct rows *rows;

    json_object_set_new(document, "tags", tags);
    TRY(sql_query(tx, &rows, "SELECT name FROM project_tag WHERE project_id = ? ORDER BY name", BIND(TEXT(id))));
    while (rows_next(rows))
        json_array_append_new(tags, json_string(rows_text(rows, 0)));
    return rows_fault(rows);
}

struct fault *entity_load(struct tx *tx, const struct entity *entity, const char *id, json_t **ret)
{
    struct arena *arena = tx_arena(tx);
    json_t *document = json_keep(arena, json_object());
    struct rows *rows;
    int column = 1;

    *ret = NULL;
    const char *sql = arena_printf(arena, "%s WHERE %s = ?%s%s", entity_select(arena, entity), entity->id_column,
        entity->fixed != NULL ? " AND " : "", entity->fixed != NULL ? entity->fixed : "");
    TRY(sql_query(tx, &rows, sql, BIND(TEXT(id))));
    if (!rows_next(rows))
        return rows_fault(rows);
    json_t *extra = json_parse_own(arena, rows_text(rows, 0));
    for (size_t i = 0; i < entity->count; i++) {
        const struct attribute *attribute = &entity->attributes[i];
        if (attribute->flags & ATTRIBUTE_EXTRA)
            continue;
        json_t *value = attribute_value(tx, attribute, rows, column++);
        if (json_is_null(value) && (attribute->flags & ATTRIBUTE_OPTIONAL))
            continue;
        json_object_set_new(document, attribute->name, value);
    }
    rows_end(rows);
    if (json_is_object(extra))
        json_object_update_missing(document, extra);
    if (entity->options_table != NULL)
        TRY(load_options(tx, entity, id, document));
    if (entity->tags)
        TRY(load_tags(tx, id, document));
    *ret = document;
    return NULL;
}

/* ---- Responses ---- */

static void write_links(struct request *rq, const struct entity *entity, struct json_writer *w, const char *id)
{
    json_begin(w, "links");
    json_text(w, "self", keystone_url(rq, arena_printf(rq->cx.arena, "/%s/%s",
        entity->path != NULL ? entity->path : entity->plural, id)));
    json_end(w);
}

static bool hidden(const struct entity *entity, const char *name)
{
    for (size_t i = 0; i < entity->count; i++)
        if ((entity->attributes[i].flags & ATTRIBUTE_HIDDEN) && strcmp(entity->attributes[i].name, name) == 0)
            return true;
    return false;
}

static void write_members(struct request *rq, const struct entity *entity, const json_t *document)
{
    struct json_writer *w = &rq->json;
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)document, name, value) {
        if (!hidden(entity, name) && strcmp(name, "links") != 0)
            json_value(w, name, value);
    }
    write_links(rq, entity, w, json_text_at(document, "id"));
}

void entity_respond_all(struct request *rq, const struct entity *entity, const json_t *documents)
{
    struct json_writer *w = &rq->json;

    json_begin(w, NULL);
    json_begin_array(w, entity->plural);
    for (size_t i = 0; i < json_array_size(documents); i++) {
        json_begin(w, NULL);
        write_members(rq, entity, json_array_get(documents, i));
        json_end(w);
    }
    json_end_array(w);
    json_end(w);
}

void entity_begin(struct request *rq, const struct entity *entity, const json_t *document)
{
    json_begin(&rq->json, NULL);
    json_begin(&rq->json, entity->name);
    write_members(rq, entity, document);
}

void entity_write(struct request *rq, const struct entity *entity, const char *name, const json_t *document)
{
    json_begin(&rq->json, name);
    write_members(rq, entity, document);
    json_end(&rq->json);
}

void entity_finish(struct request *rq)
{
    json_end(&rq->json);
    json_end(&rq->json);
}

void entity_respond(struct request *rq, const struct entity *entity, const json_t *document)
{
    entity_begin(rq, entity, document);
    entity_finish(rq);
}

struct fault *entity_enforce(struct request *rq, const struct entity *entity, const char *id)
{
    json_t *document;
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(entity_load(tx, entity, id, &document));
    tx_end(tx);
    return document != NULL ? request_enforce(rq, rq->route->policy, NULL) : keystone_not_found(RQ(rq), entity->name, id);
}

struct fault *entity_show(struct request *rq, const struct entity *entity, const char *id)
{
    json_t *document;
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(entity_load(tx, entity, id, &document));
    tx_end(tx);
    if (document == NULL)
        return entity_missing(RQ(rq), entity, id);
    entity_respond(rq, entity, document);
    return NULL;
}

struct fault *entity_missing(struct context *cx, const struct entity *entity, const char *id)
{
    if (entity->missing == NULL)
        return keystone_not_found(cx, entity->name, id);
    return FAULT(cx, 404, NULL, "Could not find %s %s.", entity->missing, id);
}

/* ---- Writing ---- */

static bool is_attribute(const struct entity *entity, const char *name)
{
    for (size_t i = 0; i < entity->count; i++)
        if (strcmp(entity->attributes[i].name, name) == 0 && !(entity->attributes[i].flags & ATTRIBUTE_EXTRA))
            return true;
    return strcmp(name, "links") == 0 || (entity->options_table != NULL && strcmp(name, "options") == 0) ||
        (entity->tags && strcmp(name, "tags") == 0);
}

static const char *extra_text(struct arena *arena, const struct entity *entity, const json_t *document)
{
    json_t *extra = json_keep(arena, json_object());
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)document, name, value) {
        if (!is_attribute(entity, name))
            json_object_set(extra, name, value);
    }
    return json_dump(arena, extra);
}

static struct sql_value attribute_sql(struct arena *arena, const struct attribute *attribute, const json_t *document)
{
    const json_t *value = json_object_get(document, attribute->name);

    if (attribute->flags & ATTRIBUTE_BOOL)
        return INT(json_is_true(value));
    if ((attribute->flags & ATTRIBUTE_INT) && json_is_integer(value))
        return INT(json_integer_value(value));
    if ((attribute->flags & ATTRIBUTE_JSON) && value != NULL)
        return TEXT(json_dump(arena, value));
    if (attribute->flags & ATTRIBUTE_JSON_TWICE)
        return TEXT(json_dump(arena, json_keep(arena, json_string(json_dump(arena, value)))));
    if (json_is_string(value))
        return (struct sql_value){ .type = SQL_TYPE_TEXT, .text = { json_string_value(value), json_string_length(value) } };
    return TEXT(attribute->null_as);
}

static bool written(const struct attribute *attribute)
{
    return !(attribute->flags & (ATTRIBUTE_EXTRA | ATTRIBUTE_READ | ATTRIBUTE_MOMENT));
}

/* The bare name of "u.id". */
static const char *column_name(const struct attribute *attribute)
{
    const char *dot = strchr(attribute->column, '.');

    return dot != NULL ? dot + 1 : attribute->column;
}

/* `fresh`: there is nothing yet that would have to go first. */
static struct fault *store_options(struct tx *tx, const struct entity *entity, const char *id, const json_t *document, bool fresh)
{
    const json_t *options = json_object_get(document, "options");
    struct arena *arena = tx_arena(tx);

    if (entity->options_table == NULL)
        return NULL;
    if (!fresh)
        TRY(sql_exec(tx, arena_printf(arena, "DELETE FROM %s WHERE %s = ?", entity->options_table, entity->options_key),
            BIND(TEXT(id))));
    for (const struct entity_option *option = entity->options; option->name != NULL; option++) {
        const json_t *value = json_object_get(options, option->name);
        if (value == NULL || json_is_null(value))
            continue;
        TRY(sql_exec(tx, arena_printf(arena, "INSERT INTO %s (%s, option_id, option_value) VALUES (?, ?, ?)",
            entity->options_table, entity->options_key),
            BIND(TEXT(id), TEXT(option->id), TEXT(json_dump(arena, value)))));
    }
    return NULL;
}

static struct fault *store_tags(struct tx *tx, const struct entity *entity, const char *id, const json_t *document, bool fresh)
{
    const json_t *tags = json_object_get(document, "tags");

    if (!entity->tags)
        return NULL;
    if (!fresh)
        TRY(sql_exec(tx, "DELETE FROM project_tag WHERE project_id = ?", BIND(TEXT(id))));
    for (size_t i = 0; i < json_array_size(tags); i++)
        TRY(sql_exec(tx, "INSERT INTO project_tag (project_id, name) VALUES (?, ?)",
            BIND(TEXT(id), TEXT(json_string_value(json_array_get(tags, i))))));
    return NULL;
}

struct fault *entity_insert(struct tx *tx, const struct entity *entity, const json_t *document)
{
    struct arena *arena = tx_arena(tx);
    struct sql_value *values = ARENA_ARRAY(arena, struct sql_value, entity->count + 1);
    const char *id = json_text_at(document, "id");
    const char *names = "";
    size_t count = 0;

    if (entity->extra_column != NULL) {
        names = "extra";
        values[count++] = TEXT(extra_text(arena, entity, document));
    }
    for (size_t i = 0; i < entity->count; i++) {
        if (!written(&entity->attributes[i]))
            continue;
        names = arena_printf(arena, "%s%s%s", names, count > 0 ? ", " : "", column_name(&entity->attributes[i]));
        values[count++] = attribute_sql(arena, &entity->attributes[i], document);
    }
    TRY(sql_exec(tx, arena_printf(arena, "INSERT INTO %s (%s) VALUES (%s)", entity->table, names, sql_marks(arena, count)),
        values, count));
    TRY(store_options(tx, entity, id, document, true));
    return store_tags(tx, entity, id, document, true);
}

struct fault *entity_store(struct tx *tx, const struct entity *entity, const char *id, const json_t *document)
{
    struct arena *arena = tx_arena(tx);
    struct sql_value *values = ARENA_ARRAY(arena, struct sql_value, entity->count + 2);
    const char *sets = "";
    size_t count = 0;

    if (entity->extra_column != NULL) {
        sets = "extra = ?";
        values[count++] = TEXT(extra_text(arena, entity, document));
    }
    for (size_t i = 1; i < entity->count; i++) {
        if (!written(&entity->attributes[i]))
            continue;
        sets = arena_printf(arena, "%s%s%s = ?", sets, count > 0 ? ", " : "", column_name(&entity->attributes[i]));
        values[count++] = attribute_sql(arena, &entity->attributes[i], document);
    }
    values[count++] = TEXT(id);
    TRY(sql_exec(tx, arena_printf(arena, "UPDATE %s SET %s WHERE id = ?", entity->table, sets), values, count));
    TRY(store_options(tx, entity, id, document, false));
    return store_tags(tx, entity, id, document, false);
}

struct fault *entity_erase(struct tx *tx, const struct entity *entity, const char *id)
{
    struct arena *arena = tx_arena(tx);

    if (entity->options_table != NULL)
        TRY(sql_exec(tx, arena_printf(arena, "DELETE FROM %s WHERE %s = ?", entity->options_table, entity->options_key),
            BIND(TEXT(id))));
    if (entity->tags)
        TRY(sql_exec(tx, "DELETE FROM project_tag WHERE project_id = ?", BIND(TEXT(id))));
    return sql_exec(tx, arena_printf(arena, "DELETE FROM %s WHERE id = ?", entity->table), BIND(TEXT(id)));
}

/* ---- Documents ---- */

json_t *entity_merge(struct arena *arena, const struct entity *entity, const json_t *old, const json_t *patch)
{
    json_t *merged = json_keep(arena, json_deep_copy(old));
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)patch, name, value) {
        if (strcmp(name, "links") == 0 || strcmp(name, "id") == 0)
            continue;
        if (entity->options_table != NULL && strcmp(name, "options") == 0)
            json_object_update(json_object_get(merged, "options"), value);
        else
            json_object_set(merged, name, value);
    }
    /* an option that became null is gone */
    json_t *options = json_object_get(merged, "options");
    void *next;
    if (entity->options_table != NULL) {
        json_object_foreach_safe(options, next, name, value) {
            if (json_is_null(value))
                json_object_del(options, name);
        }
    }
    return merged;
}

json_t *entity_draft(struct request *rq, const json_t *given, bool keep_id)
{
    json_t *draft = json_keep(rq->cx.arena, json_deep_copy(given));
    const json_t *id = json_object_get(draft, "id");

    json_object_del(draft, "links");
    if (!keep_id || !json_is_string(id) || json_string_length(id) == 0)
        json_object_set_new(draft, "id", json_string(uuid_new_hex(rq->cx.arena)));
    return draft;
}

void entity_default(json_t *document, const char *name, json_t *value)
{
    if (json_object_get(document, name) == NULL)
        json_object_set(document, name, value);
    json_decref(value);
}

void entity_strip_name(json_t *document)
{
    const char *name = json_string_value(json_object_get(document, "name"));

    if (name == NULL)
        return;
    size_t length = strlen(name);
    text_trim(&name, &length);
    json_object_set_new(document, "name", json_stringn(name, length));
}

struct fault *entity_same_id(struct request *rq, const json_t *given, const char *id)
{
    const json_t *value = json_object_get(given, "id");

    if (value == NULL || json_is_null(value) || (json_is_string(value) && strcmp(json_string_value(value), id) == 0))
        return NULL;
    return keystone_invalid(RQ(rq), "Cannot change ID");
}

struct fault *entity_mutable(struct context *cx, const struct entity *entity, const json_t *document, const json_t *change)
{
    const json_t *wanted = json_at(change, "options.immutable");

    if (!json_is_true(json_at(document, "options.immutable")))
        return NULL;
    /* a patch that only takes the option away may pass, and so may others beside it */
    if (change != NULL && wanted != NULL && !json_is_true(wanted))
        return NULL;
    return keystone_refused(cx, "Unable to %s immutable %s resource: `%s. Set resource option \"immutable\" to false first.",
        change != NULL ? "update" : "delete", entity->name, json_text_at(document, "id"));
}
