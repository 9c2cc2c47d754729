/* SPDX-License-Identifier: Apache-2.0
 *
 * image_list: GET /v2/images: filters, sorting and paging. API reference: List images.
 *
 * The statement is put together from texts of this file; what a client says is only ever bound.
 */
#include "base/clock.h"
#include "base/text.h"
#include "glance/images.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_SORT = 10, MAX_BINDS = 400 };

static const struct {
    const char *name;
    const char *sql; /* never null, so that pages can go on after it */
} sort_keys[] = {
    { "name", "COALESCE(i.name, '')" }, { "status", "i.status" },
    { "container_format", "COALESCE(i.container_format, '')" }, { "disk_format", "COALESCE(i.disk_format, '')" },
    { "size", "COALESCE(i.size, 0)" }, { "id", "i.id" }, { "created_at", "i.created_at" },
    { "updated_at", "i.updated_at" },
};
enum { SORT_KEYS = sizeof(sort_keys) / sizeof(sort_keys[0]), SORT_ID = 5, SORT_CREATED = 6 };

struct list {
    struct request *rq;
    struct buf where;
    struct sql_value binds[MAX_BINDS];
    size_t bind_count;
    int keys[MAX_SORT + 2];
    bool descending[MAX_SORT + 2];
    size_t key_count;
    int64_t limit;
    const char *marker, *member_status;
};

static struct fault *bad(struct list *list, const char *format, const char *value)
{
    return FAULT(RQ(list->rq), 400, NULL, format, value);
}

static void bind(struct list *list, struct sql_value value)
{
    if (list->bind_count < MAX_BINDS)
        list->binds[list->bind_count++] = value;
}

static void condition(struct list *list, const char *sql)
{
    buf_printf(&list->where, "%s(%s)", list->where.length == 0 ? "" : " AND ", sql);
}

/* "op:value", where a bare value means "eq". A time holds colons of its own. */
static const char *split_operator(struct arena *arena, const char *text, const char **ret_value)
{
    int64_t us;
    const char *colon = strchr(text, ':');
    *ret_value = text;
    if (colon == NULL || clock_parse(text, &us))
        return "eq";
    *ret_value = colon + 1;
    return arena_strndup(arena, text, (size_t)(colon - text));
}

/* "a,\"b,c\",d" after "in:". */
static struct fault *filter_in(struct list *list, const char *column, const char *text)
{
    struct buf marks BUF_CLEANUP = { 0 };
    while (true) {
        bool quoted = *text == '"';
        size_t length = quoted ? strcspn(text + 1, "\"") : strcspn(text, ",");
        bind(list, TEXT(arena_strndup(list->rq->cx.arena, text + quoted, length)));
        buf_puts(&marks, marks.length == 0 ? "?" : ",?");
        text += length + (quoted ? 1 : 0);
        if (quoted && *text == '"')
            text++;
        if (*text != ',')
            break;
        text++;
    }
    condition(list, arena_printf(list->rq->cx.arena, "%s IN (%s)", column, buf_text(&marks)));
    return NULL;
}

static struct fault *filter_word(struct list *list, const char *column, const char *text)
{
    const char *value, *operator = split_operator(list->rq->cx.arena, text, &value);
    if (strcmp(operator, "in") == 0)
        return filter_in(list, column, value);
    if (strcmp(operator, "eq") != 0)
        return bad(list, "Unable to filter by unknown operator '%s'.", operator);
    condition(list, arena_printf(list->rq->cx.arena, "%s = ?", column));
    bind(list, TEXT(value));
    return NULL;
}

static struct fault *filter_time(struct list *list, const char *name, const char *text)
{
    static const char *const operators[][2] = { { "eq", "=" }, { "neq", "<>" }, { "gt", ">" }, { "gte", ">=" },
        { "lt", "<" }, { "lte", "<=" } };
    const char *value, *operator = split_operator(list->rq->cx.arena, text, &value), *sql = NULL;
    int64_t us;
    if (!clock_parse(value, &us))
        return bad(list, "Bad \"%s\" query filter format. Use ISO 8601 DateTime notation.", name);
    for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++)
        if (strcmp(operator, operators[i][0]) == 0)
            sql = operators[i][1];
    if (sql == NULL)
        return bad(list, "Unable to filter by unknown operator '%s'.", operator);
    /* Stored times have fractions; a time without them means the whole second, as the API shows it. */
    condition(list, arena_printf(list->rq->cx.arena, "SUBSTR(i.%s, 1, 19) %s ?", name, sql));
    bind(list, TEXT(clock_text(list->rq->cx.arena, us, CLOCK_SQL)));
    return NULL;
}

static struct fault *filter_number(struct list *list, const char *sql, const char *text)
{
    char *end;
    long long value = strtoll(text, &end, 10);
    if (*text == '\0' || *end != '\0')
        return bad(list, "%s", "Unable to filter on a range with a non-numeric value.");
    condition(list, sql);
    bind(list, INT(value));
    return NULL;
}

static struct fault *filter_boolean(struct list *list, const char *name, const char *text)
{
    /* os_hidden in any case, as the reference */
    int (*compare)(const char *, const char *) = strcmp(name, "os_hidden") == 0 ? strcasecmp : strcmp;
    if (compare(text, "true") != 0 && compare(text, "false") != 0)
        return FAULT(RQ(list->rq), 400, NULL,
            "Invalid value '%s' for '%s' filter. Valid values are 'true' or 'false'.", text, name);
    condition(list, arena_printf(list->rq->cx.arena, "i.%s = %d", name, compare(text, "true") == 0));
    return NULL;
}

static struct fault *filter_property(struct list *list, const char *name, const char *value)
{
    condition(list, "EXISTS (SELECT 1 FROM image_properties p WHERE p.image_id = i.id AND p.deleted = 0 AND p.name = ?"
                    " AND p.value = ?)");
    bind(list, TEXT(name));
    bind(list, TEXT(value));
    return NULL;
}

static struct fault *filter_visibility(struct list *list, const char *value)
{
    static const char *const known[] = { "community", "public", "private", "shared", "all" };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(value, known[i]) == 0)
            return NULL;
    return bad(list, "Invalid visibility value: %s", value);
}

/* What each parameter that is a column means; the rest are properties. */
static struct fault *filter(struct list *list, const char *name, const char *value)
{
    static const char *const words[] = { "name", "id", "status", "container_format", "disk_format" };
    static const char *const exact[] = { "owner", "checksum", "os_hash_value", "os_hash_algo" };
    static const char *const numbers[] = { "size", "min_ram", "min_disk", "virtual_size" };
    struct arena *arena = list->rq->cx.arena;
    for (size_t i = 0; i < 5; i++)
        if (strcmp(name, words[i]) == 0)
            return filter_word(list, arena_printf(arena, "i.%s", words[i]), value);
    for (size_t i = 0; i < 4; i++) {
        if (strcmp(name, exact[i]) == 0) {
            condition(list, arena_printf(arena, "i.%s = ?", exact[i]));
            bind(list, TEXT(value));
            return NULL;
        }
        size_t length = strlen(numbers[i]);
        if (strncmp(name, numbers[i], length) != 0)
            continue;
        const char *rest = name + length;
        if (*rest == '\0' || strcmp(rest, "_min") == 0 || strcmp(rest, "_max") == 0)
            return filter_number(list, arena_printf(arena, "i.%s %s ?", numbers[i],
                *rest == '\0' ? "=" : strcmp(rest, "_min") == 0 ? ">=" : "<="), value);
    }
    if (strcmp(name, "created_at") == 0 || strcmp(name, "updated_at") == 0)
        return filter_time(list, name, value);
    if (strcmp(name, "protected") == 0 || strcmp(name, "os_hidden") == 0)
        return filter_boolean(list, name, value);
    if (strcmp(name, "visibility") == 0)
        return filter_visibility(list, value);
    if (strcmp(name, "changes-since") == 0)
        return bad(list, "%s", "The \"changes-since\" filter is no longer available on v2.");
    if (strcmp(name, "tag") == 0) {
        condition(list,
            "EXISTS (SELECT 1 FROM image_tags t WHERE t.image_id = i.id AND t.deleted = 0 AND t.value = ?)");
        bind(list, TEXT(value));
        return NULL;
    }
    return filter_property(list, name, value);
}

static struct fault *add_key(struct list *list, const char *name)
{
    for (int i = 0; i < SORT_KEYS; i++) {
        if (strcmp(sort_keys[i].name, name) != 0)
            continue;
        if (list->key_count < MAX_SORT)
            list->keys[list->key_count++] = i;
        return NULL;
    }
    return bad(list, "Invalid sort key: %s. It must be one of the following: name, status, container_format,"
                     " disk_format, size, id, created_at, updated_at.", name);
}

static struct fault *direction(struct list *list, const char *text, bool *ret_descending)
{
    if (strcmp(text, "asc") != 0 && strcmp(text, "desc") != 0)
        return bad(list, "Invalid sort direction: %s", text);
    *ret_descending = strcmp(text, "desc") == 0;
    return NULL;
}

static const char *trim(struct arena *arena, const char *text, size_t length)
{
    text_trim(&text, &length);
    return arena_strndup(arena, text, length);
}

/* sort=key:dir,key:dir */
static struct fault *parse_sort(struct list *list, const char *text)
{
    struct arena *arena = list->rq->cx.arena;
    for (;;) {
        size_t length = strcspn(text, ","), name = strcspn(text, ":,");
        size_t at = list->key_count;
        TRY(add_key(list, trim(arena, text, name)));
        list->descending[at] = true;
        if (name < length && name + 1 < length)
            TRY(direction(list, trim(arena, text + name + 1, length - name - 1), &list->descending[at]));
        if (text[length] == '\0')
            return NULL;
        text += length + 1;
    }
}

/* sort_key=...&sort_dir=..., each repeatable */
static struct fault *parse_sort_keys(struct list *list)
{
    bool directions[MAX_SORT] = { false };
    size_t count = 0;
    struct arena *arena = list->rq->cx.arena;
    for (const struct header *at = list->rq->query; at != NULL; at = at->next) {
        const char *value = trim(arena, at->value, strlen(at->value));
        if (strcmp(at->name, "sort_key") == 0)
            TRY(add_key(list, value));
        else if (strcmp(at->name, "sort_dir") == 0 && count < MAX_SORT)
            TRY(direction(list, value, &directions[count++]));
    }
    if (count > 1 && count != list->key_count)
        return bad(list, "%s", "Number of sort dirs does not match the number of sort keys");
    if (list->key_count == 0)
        list->keys[list->key_count++] = SORT_CREATED;
    for (size_t i = 0; i < list->key_count; i++)
        list->descending[i] = count == 0 ? true : directions[count == 1 ? 0 : i];
    return NULL;
}

static struct fault *parse_order(struct list *list)
{
    const char *sort = request_query(list->rq, "sort");
    if (sort != NULL && (request_query(list->rq, "sort_key") != NULL || request_query(list->rq, "sort_dir") != NULL))
        return bad(list, "%s", "Old and new sorting syntax cannot be combined");
    TRY(sort != NULL ? parse_sort(list, sort) : parse_sort_keys(list));
    static const int last[] = { SORT_CREATED, SORT_ID };
    bool rest = list->key_count == 1 ? list->descending[0] : true;
    for (size_t i = 0; i < 2; i++) {
        bool given = false;
        for (size_t j = 0; j < list->key_count; j++)
            given = given || list->keys[j] == last[i];
        if (!given) {
            list->keys[list->key_count] = last[i];
            list->descending[list->key_count++] = rest;
        }
    }
    return NULL;
}

static struct fault *parse_limit(struct list *list)
{
    const struct glance *glance = glance_of(list->rq);
    const char *text = request_query(list->rq, "limit");
    char *end;
    list->limit = glance->list_default;
    if (text == NULL)
        return NULL;
    long long value = strtoll(text, &end, 10);
    if (*text == '\0' || *end != '\0')
        return bad(list, "%s", "limit param must be an integer");
    if (value < 0)
        return bad(list, "%s", "limit param must be positive");
    list->limit = value > glance->list_max ? glance->list_max : value;
    return NULL;
}

/* Whose images: one's own, public ones, and shared ones that were accepted (or as member_status says). */
static struct fault *restrict_to_visible(struct list *list)
{
    struct request *rq = list->rq;
    const char *project = rq->cx.caller->project_id, *visibility = request_query(rq, "visibility");
    if (!glance_caller_is_admin(rq)) {
        bool any = strcmp(list->member_status, "all") == 0;
        condition(list, arena_printf(rq->cx.arena,
            "i.visibility IN ('public', 'community') OR i.owner = ? OR (i.visibility = 'shared' AND EXISTS (SELECT 1"
            " FROM image_members m WHERE m.image_id = i.id AND m.deleted = 0 AND m.member = ?%s))",
            any ? "" : " AND m.status = ?"));
        bind(list, TEXT(project == NULL ? "" : project));
        bind(list, TEXT(project == NULL ? "" : project));
        if (!any)
            bind(list, TEXT(list->member_status));
    }
    if (visibility != NULL && *visibility != '\0') {
        if (strcmp(visibility, "all") == 0)
            return NULL;
        condition(list, "i.visibility = ?");
        bind(list, TEXT(visibility));
        return NULL;
    }
    condition(list, "i.owner = ? OR i.visibility <> 'community'");
    bind(list, TEXT(project == NULL ? "" : project));
    return NULL;
}

static struct fault *parse_list(struct list *list)
{
    static const char *const others[] = { "limit", "marker", "member_status", "sort", "sort_key", "sort_dir" };
    struct request *rq = list->rq;
    condition(list, "i.deleted = 0");
    TRY(parse_limit(list));
    list->marker = request_query(rq, "marker");
    list->member_status = request_query(rq, "member_status");
    if (list->member_status == NULL)
        list->member_status = "accepted";
    if (strcmp(list->member_status, "pending") != 0 && strcmp(list->member_status, "accepted") != 0 &&
        strcmp(list->member_status, "rejected") != 0 && strcmp(list->member_status, "all") != 0)
        return bad(list, "Invalid status: %s", list->member_status);
    TRY(parse_order(list));
    if (request_query(rq, "os_hidden") == NULL)
        condition(list, "i.os_hidden = 0");
    for (const struct header *at = rq->query; at != NULL; at = at->next) {
        bool other = false;
        for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
            other = other || strcmp(at->name, others[i]) == 0;
        if (list->bind_count > MAX_BINDS - 64)
            return bad(list, "%s", "Too many filters.");
        if (!other)
            TRY(filter(list, at->name, at->value));
    }
    return restrict_to_visible(list);
}

/* Rows after the marker: above it by the first key, or equal and above it by the next, and so on. */
static struct fault *after_marker(struct list *list, struct tx *tx)
{
    struct arena *arena = list->rq->cx.arena;
    struct image marker;
    struct rows *rows;
    struct buf sql BUF_CLEANUP = { 0 }, columns BUF_CLEANUP = { 0 };
    if (list->marker == NULL)
        return NULL;
    struct fault *fault = image_load(list->rq, tx, list->marker, &marker);
    if (fault != NULL && fault->status == 404)
        return bad(list, "No image found with ID %s", list->marker); /* here the reference says 400 */
    TRY(fault);
    for (size_t i = 0; i < list->key_count; i++)
        buf_printf(&columns, "%s%s", i == 0 ? "" : ", ", sort_keys[list->keys[i]].sql);
    TRY(sql_query(tx, &rows, arena_printf(arena, "SELECT %s FROM images i WHERE i.id = ?", buf_text(&columns)),
        BIND(TEXT(list->marker))));
    if (!rows_next(rows))
        return rows_fault(rows);
    struct sql_value values[MAX_SORT + 2];
    for (size_t i = 0; i < list->key_count; i++)
        values[i] = strcmp(sort_keys[list->keys[i]].name, "size") == 0 ? INT(rows_int(rows, (int)i))
                                                                       : TEXT(rows_text(rows, (int)i));
    rows_end(rows);
    for (size_t i = 0; i < list->key_count; i++) {
        buf_puts(&sql, i == 0 ? "(" : " OR (");
        for (size_t j = 0; j <= i; j++) {
            buf_printf(&sql, "%s%s %s ?", j == 0 ? "" : " AND ", sort_keys[list->keys[j]].sql,
                j < i ? "=" : list->descending[j] ? "<" : ">");
            bind(list, values[j]);
        }
        buf_putc(&sql, ')');
    }
    condition(list, buf_text(&sql));
    return rows_fault(rows);
}

static struct fault *select_page(struct list *list, struct tx *tx, struct image *images, size_t *ret_count)
{
    struct arena *arena = list->rq->cx.arena;
    struct buf order BUF_CLEANUP = { 0 };
    struct rows *rows;
    for (size_t i = 0; i < list->key_count; i++)
        buf_printf(&order, "%s%s %s", i == 0 ? "" : ", ", sort_keys[list->keys[i]].sql,
            list->descending[i] ? "DESC" : "ASC");
    bind(list, INT(list->limit));
    TRY(sql_query(tx, &rows,
        arena_printf(arena, "SELECT " IMAGE_COLUMNS " FROM images i WHERE %s ORDER BY %s LIMIT ?",
            buf_text(&list->where), buf_text(&order)),
        list->binds, list->bind_count));
    *ret_count = 0;
    while (rows_next(rows))
        image_read(rows, arena, &images[(*ret_count)++]);
    TRY(rows_fault(rows));
    return images_load_details(tx, images, *ret_count);
}

/* As a form writes it: a blank is '+'. */
static const char *escape(struct arena *arena, const char *text)
{
    char *out = arena_strdup(arena, text_escape(arena, text, TEXT_UNRESERVED " "));
    for (char *at = out; (at = strchr(at, ' ')) != NULL;)
        *at = '+';
    return out;
}

/* "/v2/images?..." with the request's own parameters but the marker, and `marker` when given. */
static const char *page_link(struct list *list, const char *marker)
{
    struct arena *arena = list->rq->cx.arena;
    struct buf link BUF_CLEANUP = { 0 };
    buf_puts(&link, "/v2/images");
    char separator = '?';
    for (const struct header *at = list->rq->query; at != NULL; at = at->next) {
        if (strcmp(at->name, "marker") == 0)
            continue;
        buf_printf(&link, "%c%s=%s", separator, escape(arena, at->name), escape(arena, at->value));
        separator = '&';
    }
    if (marker != NULL)
        buf_printf(&link, "%cmarker=%s", separator, marker);
    return arena_strdup(arena, buf_text(&link));
}

static void release_list(void *argument)
{
    struct list *list = argument;
    buf_release(&list->where);
}

static struct fault *list_images(struct request *rq)
{
    struct list *list = ARENA_NEW(rq->cx.arena, struct list);
    struct tx *tx;
    size_t count;
    list->rq = rq;
    arena_defer(rq->cx.arena, release_list, list);
    TRY(parse_list(list));
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(after_marker(list, tx));
    struct image *images = ARENA_ARRAY(rq->cx.arena, struct image, (size_t)list->limit + 1);
    TRY(select_page(list, tx, images, &count));
    json_begin(&rq->json, NULL);
    json_begin_array(&rq->json, "images");
    for (size_t i = 0; i < count; i++)
        image_write(rq, NULL, &images[i]);
    json_end_array(&rq->json);
    json_text(&rq->json, "first", page_link(list, NULL));
    json_text(&rq->json, "schema", "/v2/schemas/images");
    if (count > 0 && (int64_t)count == list->limit)
        json_text(&rq->json, "next", page_link(list, images[count - 1].id));
    json_end(&rq->json);
    return NULL;
}

static const struct route rows_of_list[] = {
    ROUTE(GET, "/v2/images", "get_images", list_images),
};
const struct route_table glance_image_list_routes = ROUTES(rows_of_list);
