/* SPDX-License-Identifier: Apache-2.0
 *
 * resource/query: rows out of the database: visibility, filters, order, pages.
 *
 * Every SQL text is made of the tables' own names; what a caller says is bound.
 */
#include "oslo/resource/private.h"

#include <stdlib.h>
#include <string.h>

enum { SORT_KEYS = 8, FILTER_VALUES = 1000, PAGE_MAX = 1000000000 };

/* ---- Conditions ---- */

static void where_release(void *object)
{
    buf_release(&((struct where *)object)->sql);
}

void where_init(struct where *where, struct arena *arena)
{
    memset(where, 0, sizeof(*where));
    where->arena = arena;
    arena_defer(arena, where_release, where);
}

static void where_bind(struct where *where, const struct sql_value *values, size_t count)
{
    if (where->count + count > where->capacity) {
        size_t capacity = (where->count + count) * 2 + 8;
        struct sql_value *grown = ARENA_ARRAY(where->arena, struct sql_value, capacity);
        if (where->count > 0)
            memcpy(grown, where->values, where->count * sizeof(*grown));
        where->values = grown;
        where->capacity = capacity;
    }
    if (count > 0)
        memcpy(where->values + where->count, values, count * sizeof(*values));
    where->count += count;
}

static void where_join(struct where *where, const char *word, const char *sql, const struct sql_value *values, size_t count)
{
    if (where->sql.length > 0)
        buf_puts(&where->sql, word);
    buf_printf(&where->sql, "(%s)", sql);
    where_bind(where, values, count);
}

void where_and(struct where *where, const char *sql, const struct sql_value *values, size_t count)
{
    where_join(where, " AND ", sql, values, count);
}

void where_or(struct where *where, const char *sql, const struct sql_value *values, size_t count)
{
    where_join(where, " OR ", sql, values, count);
}

void where_in(struct where *where, const char *column, const char *const *texts, size_t count)
{
    if (count == 0) {
        where_and(where, "1 = 0", NO_BIND);
        return;
    }
    struct sql_value *values = ARENA_ARRAY(where->arena, struct sql_value, count);
    for (size_t i = 0; i < count; i++)
        values[i] = TEXT(texts[i]);
    if (count == 1)
        where_and(where, arena_printf(where->arena, "`%s` = ?", column), values, 1);
    else
        where_and(where, arena_printf(where->arena, "`%s` IN (%s)", column, sql_marks(where->arena, count)), values, count);
}

/* Appends the condition of visibility and of the fixed rows. */
static struct fault *where_visible(struct op *op, struct where *where)
{
    const struct resource *resource = op->resource;
    if (resource->fixed != NULL)
        where_and(where, resource->fixed, NO_BIND);
    if (op->sees_all || resource->owner == 0)
        return NULL;
    struct where *mine = ARENA_NEW(op->cx->arena, struct where);
    where_init(mine, op->cx->arena);
    const char *project = op->cx->caller != NULL ? op->cx->caller->project_id : NULL;
    where_or(mine, arena_printf(op->cx->arena, "`%s` = ?", resource->fields[resource->owner].from.column),
        BIND(TEXT(project)));
    if (resource->visible != NULL)
        TRY(resource->visible(op, mine));
    where_and(where, buf_text(&mine->sql), mine->values, mine->count);
    return NULL;
}

/* ---- Filters ---- */

static bool reserved_parameter(const struct op *op, const char *name)
{
    static const char *const words[] = { "sort_key", "sort_dir", "limit", "marker", "page_reverse" };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcmp(name, words[i]) == 0)
            return true;
    return op->resource->dialect->fields && strcmp(name, "fields") == 0;
}

static struct fault *filter_typed(struct op *op, const struct field *field, const char *const *texts, size_t count,
    struct where *where)
{
    struct arena *arena = op->cx->arena;
    struct sql_value *values = ARENA_ARRAY(arena, struct sql_value, count);
    bool empty = false;
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        bool truth = false;
        int64_t number = 0;
        if (field->type == BOOL ? bool_parse(texts[i], &truth) : field->type == INT ? int_parse(texts[i], &number) : true)
            values[used++] = field->type == BOOL ? INT(truth) : field->type == INT ? INT(number) : TEXT(texts[i]);
        else
            TRY(op_invalid(op, field, INVALID_FILTER_VALUE, field->name, json_keep(arena, json_string(texts[i]))));
        empty |= texts[i][0] == '\0';
    }
    if (used == 0) {
        where_and(where, "1 = 0", NO_BIND);
        return NULL;
    }
    const char *null = empty && (field->flags & NULLABLE) ? arena_printf(arena, " OR `%s` IS NULL", field->from.column) : "";
    where_and(where, arena_printf(arena, "`%s` IN (%s)%s", field->from.column, sql_marks(arena, used), null), values, used);
    return NULL;
}

struct fault *resource_filter(struct op *op, const char *name, const char *const *texts, size_t count, struct where *where)
{
    const struct field *field = &op->resource->fields[field_find(op->resource, name)];
    if (field->filter != NULL)
        return field->filter(op, field, texts, count, where);
    return field->from.column != NULL ? filter_typed(op, field, texts, count, where) : NULL;
}

/* name__contains=x and its kind. False when it is none. */
static bool filter_inexact(struct op *op, const char *name, const char *text, struct where *where)
{
    static const struct {
        const char *suffix, *sql;
        bool length;
    } kinds[] = {
        { "__equals",      "`%s` = ?",                                false },
        { "__contains",    "INSTR(`%s`, ?) > 0",                      false },
        { "__startswith",  "SUBSTR(`%s`, 1, ?) = ?",                  true  },
        { "__endswith",    "SUBSTR(`%s`, -?) = ?",                    true  },
        { "__iequals",     "LOWER(`%s`) = LOWER(?)",                  false },
        { "__icontains",   "INSTR(LOWER(`%s`), LOWER(?)) > 0",        false },
        { "__istartswith", "LOWER(SUBSTR(`%s`, 1, ?)) = LOWER(?)",    true  },
        { "__iendswith",   "LOWER(SUBSTR(`%s`, -?)) = LOWER(?)",      true  },
    };
    const char *suffix = strstr(name, "__");
    if (!op->resource->dialect->inexact_filters || suffix == NULL)
        return false;
    size_t at = field_find(op->resource, arena_strndup(op->cx->arena, name, (size_t)(suffix - name)));
    if (at == op->resource->count || op->resource->fields[at].from.column == NULL || !(op->resource->fields[at].flags & FILTER))
        return false;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(suffix, kinds[i].suffix) != 0)
            continue;
        const char *sql = arena_printf(op->cx->arena, kinds[i].sql, op->resource->fields[at].from.column);
        int64_t characters = 0;
        for (const char *c = text; *c != '\0'; c++)
            characters += ((unsigned char)*c & 0xc0) != 0x80;
        if (kinds[i].length)
            where_and(where, sql, BIND(INT(characters), TEXT(text)));
        else
            where_and(where, sql, BIND(TEXT(text)));
        return true;
    }
    return false;
}

static bool named_before(const struct header *first, const struct header *stop, const char *name)
{
    for (const struct header *h = first; h != stop; h = h->next)
        if (strcmp(h->name, name) == 0)
            return true;
    return false;
}

static struct fault *filter_add(struct op *op, const struct header *query, struct where *where)
{
    const struct resource *resource = op->resource;
    size_t at = field_find(resource, query->name);
    const struct field *field = at < resource->count ? &resource->fields[at] : NULL;

    if (field == NULL || !(field->flags & FILTER)) {
        if (filter_inexact(op, query->name, query->value, where) || !resource->dialect->refuse_unknown_filters)
            return NULL;
        return op_invalid(op, field, INVALID_FILTER, query->name, NULL);
    }
    size_t count = 0;
    for (const struct header *h = query; h != NULL; h = h->next)
        count += strcmp(h->name, query->name) == 0;
    if (count > FILTER_VALUES)
        return op_invalid(op, field, INVALID_FILTER_VALUE, query->name, NULL);
    const char **texts = ARENA_ARRAY(op->cx->arena, const char *, count);
    size_t used = 0;
    for (const struct header *h = query; h != NULL; h = h->next)
        if (strcmp(h->name, query->name) == 0)
            texts[used++] = h->value;
    return resource_filter(op, query->name, texts, used, where);
}

void fields_read(struct op *op)
{
    if (!op->resource->dialect->fields)
        return;
    for (const struct header *h = op->rq->query; h != NULL; h = h->next) {
        if (strcmp(h->name, "fields") != 0 || h->value[0] == '\0')
            continue;
        size_t at = field_find(op->resource, h->value);
        if (op->wanted == NULL)
            op->wanted = ARENA_ARRAY(op->cx->arena, uint8_t, op->resource->count);
        if (at < op->resource->count)
            op->wanted[at] |= strcmp(op->resource->fields[at].name, h->value) == 0 ? WANT_NAME : WANT_ALIAS;
    }
}

static struct fault *limit_read(struct op *op)
{
    const struct resource_dialect *dialect = op->resource->dialect;
    const char *limit = request_query(op->rq, "limit");
    int64_t most = 0;

    if (dialect->limit_option != NULL) {
        const char *text = config_str(op->cx->app->config, dialect->limit_group, dialect->limit_option);
        if (text == NULL || !int_parse(text, &most) || most < 0) /* -1, "infinite" */
            most = 0;
    }
    if (limit != NULL && (!int_parse(limit, &op->limit) || op->limit < 0)) {
        op->limit = 0;
        TRY(op_invalid(op, NULL, INVALID_LIMIT, "limit", json_keep(op->cx->arena, json_string(limit))));
    }
    if (op->limit > PAGE_MAX)
        op->limit = PAGE_MAX;
    if (most > 0 && (op->limit == 0 || op->limit > most))
        op->limit = most;
    op->marker = request_query(op->rq, "marker");
    if (op->marker != NULL && op->marker[0] == '\0')
        op->marker = NULL;
    op->reverse = request_query_bool(op->rq, "page_reverse", false);
    return NULL;
}

/* Filters, sort keys, limit and marker of the query. */
static struct fault *op_read_query(struct op *op, struct where *where)
{
    if (op->rq == NULL)
        return NULL;
    fields_read(op);
    TRY(limit_read(op));
    for (const struct header *h = op->rq->query; h != NULL; h = h->next)
        if (!reserved_parameter(op, h->name) && !named_before(op->rq->query, h, h->name))
            TRY(filter_add(op, h, where));
    return NULL;
}

/* ---- Order ---- */

struct order {
    const char *columns[SORT_KEYS + 4];
    bool down[SORT_KEYS + 4];
    size_t count;
};

static void order_add(struct order *order, const char *column, bool down)
{
    for (size_t i = 0; i < order->count; i++)
        if (strcmp(order->columns[i], column) == 0)
            return;
    order->columns[order->count] = column;
    order->down[order->count++] = down;
}

/* sort_key=a&sort_key=b&sort_dir=desc&sort_dir=asc, else the resource's own order; the key always ends it. */
static struct fault *order_read(struct op *op, struct order *order)
{
    const struct resource *resource = op->resource;
    const struct header *dir = op->rq != NULL ? op->rq->query : NULL;

    for (const struct header *h = dir; h != NULL && order->count < SORT_KEYS; h = h->next) {
        if (strcmp(h->name, "sort_key") != 0)
            continue;
        while (dir != NULL && strcmp(dir->name, "sort_dir") != 0)
            dir = dir->next;
        const char *word = dir != NULL ? dir->value : "asc";
        if (strcmp(word, "asc") != 0 && strcmp(word, "desc") != 0)
            TRY(op_invalid(op, NULL, INVALID_SORT_DIR, word, NULL));
        dir = dir != NULL ? dir->next : NULL;
        size_t at = field_find(resource, h->value);
        if (at < resource->count && (resource->fields[at].flags & SORT) && resource->fields[at].from.column != NULL)
            order_add(order, resource->fields[at].from.column, strcmp(word, "desc") == 0);
        else
            TRY(op_invalid(op, NULL, INVALID_SORT, h->value, NULL));
    }
    if (order->count == 0 && resource->order != NULL) {
        char *save, *text = arena_strdup(op->cx->arena, resource->order);
        for (char *word = strtok_r(text, ", ", &save); word != NULL && order->count < SORT_KEYS; word = strtok_r(NULL, ", ", &save))
            order_add(order, word, false);
    }
    order_add(order, resource->fields[resource->id].from.column, false);
    for (size_t i = 0; op->reverse && i < order->count; i++)
        order->down[i] = !order->down[i];
    return NULL;
}

/* One key's part of "behind the marker": NULL sorts first in both databases. */
static void marker_beyond(struct buf *sql, const char *column, bool down, const struct sql_value *at, struct sql_value *bound,
    size_t *used)
{
    if (at->type == SQL_TYPE_NULL) {
        buf_printf(sql, down ? "1 = 0" : "`%s` IS NOT NULL", column);
        return;
    }
    if (down)
        buf_printf(sql, "(`%s` < ? OR `%s` IS NULL)", column, column);
    else
        buf_printf(sql, "`%s` > ?", column);
    bound[(*used)++] = *at;
}

static struct sql_value rows_value(struct rows *rows, struct arena *arena, int column)
{
    return rows_null(rows, column) ? SQL_NULL : TEXT(arena_strdup(arena, rows_text(rows, column)));
}

/* (a > ?) OR (a = ? AND b > ?) OR ... from the marker's own row. */
static struct fault *where_marker(struct op *op, const struct order *order, struct where *where)
{
    const struct resource *resource = op->resource;
    struct arena *arena = op->cx->arena;
    BUF_CLEANUP struct buf sql = { 0 };
    struct rows *rows;
    struct sql_value at[SORT_KEYS + 4], bound[(SORT_KEYS + 4) * (SORT_KEYS + 4)];
    size_t used = 0;

    buf_puts(&sql, "SELECT ");
    for (size_t i = 0; i < order->count; i++)
        buf_printf(&sql, "%s`%s`", i > 0 ? ", " : "", order->columns[i]);
    buf_printf(&sql, " FROM `%s` WHERE `%s` = ?", resource->table, resource->fields[resource->id].from.column);
    TRY(sql_query(op->tx, &rows, buf_text(&sql), BIND(TEXT(op->marker))));
    if (!rows_next(rows)) {
        TRY(rows_fault(rows));
        return op_invalid(op, NULL, INVALID_MARKER, "marker", json_keep(arena, json_string(op->marker)));
    }
    for (size_t i = 0; i < order->count; i++)
        at[i] = rows_value(rows, arena, (int)i);
    rows_end(rows);

    buf_clear(&sql);
    for (size_t i = 0; i < order->count; i++) {
        buf_puts(&sql, i > 0 ? " OR (" : "(");
        for (size_t k = 0; k < i; k++) {
            buf_printf(&sql, at[k].type == SQL_TYPE_NULL ? "`%s` IS NULL AND " : "`%s` = ? AND ", order->columns[k]);
            if (at[k].type != SQL_TYPE_NULL)
                bound[used++] = at[k];
        }
        marker_beyond(&sql, order->columns[i], order->down[i], &at[i], bound, &used);
        buf_putc(&sql, ')');
    }
    where_and(where, buf_text(&sql), bound, used);
    return NULL;
}

/* ---- Rows ---- */

static void value_read(struct rows *rows, int column, const struct field *field, struct value *value)
{
    if (field->type == INT || field->type == BOOL) {
        value->state = rows_null(rows, column) ? VALUE_NULL : VALUE_SET;
        value->integer = rows_int(rows, column);
        return;
    }
    value->text = rows_text(rows, column);
    value->state = value->text != NULL ? VALUE_SET : VALUE_NULL;
}

static void columns_write(const struct resource *resource, struct buf *sql)
{
    bool comma = false;
    for (size_t i = 0; i < resource->count; i++)
        if (resource->fields[i].from.column != NULL) {
            buf_printf(sql, "%s`%s`", comma ? "," : "", resource->fields[i].from.column);
            comma = true;
        }
}

static void row_read(struct op *op, struct rows *rows, struct row *row)
{
    const struct resource *resource = op->resource;
    int column = 0;
    row->values = ARENA_ARRAY(op->cx->arena, struct value, resource->count);
    for (size_t i = 0; i < resource->count; i++)
        if (resource->fields[i].from.column != NULL)
            value_read(rows, column++, &resource->fields[i], &row->values[i]);
}

/* Runs the query into op->page; `limit` > 0 reads one row more to know whether any follow. */
static struct fault *page_read(struct op *op, const char *sql, const struct where *where, int64_t limit)
{
    struct rows *rows;
    size_t capacity = 16;
    op->page.rows = ARENA_ARRAY(op->cx->arena, struct row, capacity);
    op->page.count = 0;
    op->more = false;
    TRY(sql_query(op->tx, &rows, sql, where->values, where->count));
    while (rows_next(rows)) {
        if (limit > 0 && op->page.count == (size_t)limit) {
            op->more = true;
            rows_end(rows);
            return NULL;
        }
        if (op->page.count == capacity) {
            struct row *grown = ARENA_ARRAY(op->cx->arena, struct row, capacity * 4);
            memcpy(grown, op->page.rows, capacity * sizeof(*grown));
            op->page.rows = grown;
            capacity *= 4;
        }
        row_read(op, rows, &op->page.rows[op->page.count++]);
    }
    return rows_fault(rows);
}

static struct fault *select_ordered(struct op *op, struct where *where, const struct order *order, int64_t limit)
{
    BUF_CLEANUP struct buf sql = { 0 };
    buf_puts(&sql, "SELECT ");
    columns_write(op->resource, &sql);
    buf_printf(&sql, " FROM `%s`", op->resource->table);
    if (where->sql.length > 0)
        buf_printf(&sql, " WHERE %s", buf_text(&where->sql));
    buf_puts(&sql, " ORDER BY ");
    for (size_t i = 0; i < order->count; i++)
        buf_printf(&sql, "%s`%s`%s", i > 0 ? "," : "", order->columns[i], order->down[i] ? " DESC" : "");
    if (limit > 0) {
        buf_puts(&sql, " LIMIT ?");
        where_bind(where, BIND(INT(limit + 1)));
    }
    return page_read(op, buf_text(&sql), where, limit);
}

/* What the caller may see, and `extra`. */
static struct fault *where_begin(struct op *op, const struct where *extra, struct where **ret)
{
    struct where *where = ARENA_NEW(op->cx->arena, struct where);
    where_init(where, op->cx->arena);
    TRY(where_visible(op, where));
    if (extra != NULL && extra->sql.length > 0)
        where_and(where, extra->sql.data, extra->values, extra->count);
    *ret = where;
    return NULL;
}

struct fault *resource_select(struct op *op, const struct where *extra)
{
    struct where *where;
    struct order order = { .count = 0 };
    TRY(where_begin(op, extra, &where));
    if (op->resource->order != NULL) {
        char *save, *text = arena_strdup(op->cx->arena, op->resource->order);
        for (char *word = strtok_r(text, ", ", &save); word != NULL && order.count < SORT_KEYS; word = strtok_r(NULL, ", ", &save))
            order_add(&order, word, false);
    }
    order_add(&order, op->resource->fields[op->resource->id].from.column, false);
    return select_ordered(op, where, &order, 0);
}

struct fault *resource_select_page(struct op *op, const struct where *extra)
{
    struct where *where;
    struct order order = { .count = 0 };
    TRY(where_begin(op, extra, &where));
    TRY(op_read_query(op, where));
    TRY(order_read(op, &order));
    if (op->marker != NULL && op->limit > 0)
        TRY(where_marker(op, &order, where));
    TRY(select_ordered(op, where, &order, op->limit));
    for (size_t i = 0; op->reverse && i < op->page.count / 2; i++) {
        struct row swap = op->page.rows[i];
        op->page.rows[i] = op->page.rows[op->page.count - 1 - i];
        op->page.rows[op->page.count - 1 - i] = swap;
    }
    return NULL;
}

struct fault *resource_not_found(struct op *op, const char *id)
{
    const struct resource *resource = op->resource;
    struct fault *fault = FAULT(op->cx, 404, resource->not_found, "%s", "");
    fault->message = "The resource could not be found.";
    const char *mark = resource->not_found_text != NULL ? strstr(resource->not_found_text, "%s") : NULL;
    if (mark != NULL)
        fault->message = arena_printf(op->cx->arena, "%.*s%s%s", (int)(mark - resource->not_found_text),
            resource->not_found_text, id, mark + 2);
    else if (resource->not_found_text != NULL)
        fault->message = resource->not_found_text;
    return fault;
}

struct fault *resource_find(struct op *op, const char *id)
{
    struct where *where = ARENA_NEW(op->cx->arena, struct where);
    where_init(where, op->cx->arena);
    where_and(where, arena_printf(op->cx->arena, "`%s` = ?", op->resource->fields[op->resource->id].from.column),
        BIND(TEXT(id)));
    TRY(resource_select(op, where));
    return op->page.count == 1 ? NULL : resource_not_found(op, id);
}

struct fault *resource_fetch(struct op *op, const char *id)
{
    TRY(db_read(op->cx->arena, op->cx->app->db, &op->tx));
    struct fault *fault = resource_find(op, id);
    tx_end(op->tx);
    op->tx = NULL;
    return fault;
}

/* ---- Pages, for loaders ---- */

size_t page_ids(struct op *op, struct page *page, size_t field, struct sql_value **ret_values)
{
    struct sql_value *values = ARENA_ARRAY(op->cx->arena, struct sql_value, page->count + 1);
    size_t used = 0;
    for (size_t i = 0; i < page->count; i++)
        if (page->rows[i].values[field].state == VALUE_ABSENT)
            values[used++] = TEXT(page->rows[i].values[op->resource->id].text);
    *ret_values = values;
    return used;
}

struct row *page_find(struct op *op, struct page *page, const char *id, size_t *hint)
{
    for (size_t i = 0; i < page->count; i++) {
        size_t at = (*hint + i) % page->count;
        if (strcmp(page->rows[at].values[op->resource->id].text, id) == 0) {
            *hint = at;
            return &page->rows[at];
        }
    }
    return NULL;
}
