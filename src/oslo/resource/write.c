/* SPDX-License-Identifier: Apache-2.0
 *
 * resource/write: rows into the database, with the hooks around them, in one transaction that may run again.
 */
#include "base/log.h"
#include "base/random.h"
#include "oslo/resource/private.h"

#include <string.h>

static struct sql_value value_sql(struct op *op, const struct field *field, struct value *value)
{
    if (value->state != VALUE_SET)
        return SQL_NULL;
    switch (field->type) {
    case INT:
    case BOOL:
        return INT(value->integer);
    case LIST:
    case OBJECT:
    case ANY:
        return TEXT(value->json != NULL ? json_dump(op->cx->arena, value->json) : value->text);
    default:
        return TEXT(value->text);
    }
}

static bool value_equal(struct op *op, const struct field *field, struct value *a, struct value *b)
{
    bool a_set = a->state == VALUE_SET, b_set = b->state == VALUE_SET;
    if (!a_set || !b_set)
        return a_set == b_set;
    switch (field->type) {
    case INT:
    case BOOL:
        return a->integer == b->integer;
    case LIST:
    case OBJECT:
    case ANY:
        return json_equal(value_json(op, a), value_json(op, b));
    default:
        return a->text == b->text || (a->text != NULL && b->text != NULL && strcmp(a->text, b->text) == 0);
    }
}

bool row_changed(const struct row *row, size_t field)
{
    const struct value *a = &row->values[field], *b = &row->before[field];
    if (a->state != b->state)
        return a->state == VALUE_SET || b->state == VALUE_SET;
    if (a->state != VALUE_SET)
        return false;
    if (a->json != NULL || b->json != NULL)
        return a->json == NULL || b->json == NULL ? a != b : !json_equal(a->json, b->json);
    return a->integer != b->integer || (a->text != b->text && (a->text == NULL || b->text == NULL || strcmp(a->text,
        b->text) != 0));
}

static void automatic_create(struct op *op, const struct field *field, struct value *value)
{
    struct arena *arena = op->cx->arena;
    switch (field->automatic) {
    case NOT_AUTOMATIC:
        return;
    case NEW_UUID:
        if (value->state != VALUE_SET)
            *value = VALUE_STR(uuid_new(arena));
        return;
    case NEW_HEX:
        if (value->state != VALUE_SET)
            *value = VALUE_STR(uuid_new_hex(arena));
        return;
    case UPDATED_AT:
        if (field->fresh_null) {
            *value = VALUE_NONE;
            return;
        }
        __attribute__((fallthrough));
    case CREATED_AT:
        *value = VALUE_STR(clock_text(arena, clock_now_us(), CLOCK_SQL_US));
        return;
    case REVISION_COUNTER:
        if (value->state != VALUE_SET)
            *value = VALUE_INT(field->first);
        return;
    }
}

static struct fault *duplicate(struct op *op, struct row *row)
{
    struct fault *said = op->resource->duplicate != NULL ? op->resource->duplicate(op, row) : NULL;
    return said != NULL ? said : FAULT(op->cx, 409, "Conflict", "The %s conflicts with one that exists.", op->resource->name);
}

struct fault *resource_insert(struct op *op, struct row *row)
{
    const struct resource *resource = op->resource;
    struct sql_value *values = ARENA_ARRAY(op->cx->arena, struct sql_value, resource->count + 1);
    BUF_CLEANUP struct buf sql = { 0 };
    size_t used = 0;

    buf_printf(&sql, "INSERT INTO `%s` (", resource->table);
    for (size_t i = 0; i < resource->count; i++) {
        const struct field *field = &resource->fields[i];
        automatic_create(op, field, &row->values[i]);
        if (field->from.column == NULL)
            continue;
        buf_printf(&sql, "%s`%s`", used > 0 ? "," : "", field->from.column);
        values[used++] = value_sql(op, field, &row->values[i]);
    }
    buf_printf(&sql, ") VALUES (%s)", sql_marks(op->cx->arena, used));
    return sql_exec_unique(op->tx, duplicate(op, row), buf_text(&sql), values, used);
}

/* Fills the automatic fields of an update; *ret_revision is the counter's field when there is one. */
static void automatic_update(struct op *op, struct row *row, const struct field **ret_revision)
{
    *ret_revision = NULL;
    for (size_t i = 0; i < op->resource->count; i++) {
        const struct field *field = &op->resource->fields[i];
        if (field->automatic == UPDATED_AT)
            row->values[i] = VALUE_STR(clock_text(op->cx->arena, clock_now_us(), CLOCK_SQL_US));
        else if (field->automatic == REVISION_COUNTER) {
            row->values[i] = VALUE_INT(row->before[i].integer + 1);
            *ret_revision = field;
        }
    }
}

struct fault *resource_store(struct op *op, struct row *row)
{
    const struct resource *resource = op->resource;
    struct sql_value *values = ARENA_ARRAY(op->cx->arena, struct sql_value, resource->count + 3);
    const struct field *revision, *id = &resource->fields[resource->id];
    BUF_CLEANUP struct buf sql = { 0 };
    bool changed = false;
    size_t used = 0;

    for (size_t i = 0; i < resource->count && !changed; i++)
        changed = !value_equal(op, &resource->fields[i], &row->values[i], &row->before[i]);
    if (!changed)
        return NULL;
    automatic_update(op, row, &revision);
    buf_printf(&sql, "UPDATE `%s` SET ", resource->table);
    for (size_t i = 0; i < resource->count; i++) {
        const struct field *field = &resource->fields[i];
        if (field->from.column == NULL || value_equal(op, field, &row->values[i], &row->before[i]))
            continue;
        buf_printf(&sql, "%s`%s` = ?", used > 0 ? ", " : "", field->from.column);
        values[used++] = value_sql(op, field, &row->values[i]);
    }
    if (used == 0) /* only members of other tables changed */
        return NULL;
    buf_printf(&sql, " WHERE `%s` = ?", id->from.column);
    values[used++] = value_sql(op, id, &row->before[resource->id]);
    if (revision != NULL) {
        buf_printf(&sql, " AND `%s` = ?", revision->from.column);
        values[used++] = INT(row->before[revision - resource->fields].integer);
    }
    int64_t count;
    TRY(sql_exec_changed(op->tx, buf_text(&sql), values, used, &count));
    if (count == 0 && revision != NULL) {
        struct fault *fault = FAULT(op->cx, 409, NULL, "The %s was changed meanwhile.", resource->name);
        fault->retry = true;
        return fault;
    }
    return NULL;
}

struct fault *resource_erase(struct op *op, struct row *row)
{
    const struct field *id = &op->resource->fields[op->resource->id];
    const char *sql = arena_printf(op->cx->arena, "DELETE FROM `%s` WHERE `%s` = ?", op->resource->table, id->from.column);
    return sql_exec_later(op->tx, sql, BIND(value_sql(op, id, &row->values[op->resource->id])));
}

/* ---- The transaction ---- */

static struct fault *say_duplicate(struct op *op, struct row *row, struct fault *fault)
{
    if (fault == NULL || fault->code == NULL || strcmp(fault->code, SQL_DUPLICATE) != 0)
        return fault;
    return fault_because(duplicate(op, row), fault);
}

static struct fault *create_row(struct op *op, struct row *row)
{
    const struct resource *resource = op->resource;
    if (resource->create != NULL)
        TRY(resource->create(op, row));
    TRY(resource_insert(op, row));
    return resource->created != NULL ? resource->created(op, row) : NULL;
}

/* If-Match: revision_number=N, as neutron has it for everything with a revision. */
static struct fault *check_revision(struct op *op, struct row *row)
{
    const char *match = op->rq != NULL ? request_header(op->rq, "If-Match") : NULL;
    int64_t expected;
    if (match == NULL)
        return NULL;
    for (size_t i = 0; i < op->resource->count; i++) {
        if (op->resource->fields[i].automatic != REVISION_COUNTER)
            continue;
        if (strncmp(match, "revision_number=", 16) != 0 || !int_parse(match + 16, &expected))
            return FAULT(op->cx, 400, "BadRequest", "Bad if-match request: Invalid value for header If-Match. Expected: "
                "revision_number=<int>");
        if (expected != row->values[i].integer)
            return FAULT(op->cx, 412, "RevisionNumberConstraintFailed", "Constrained to %lld, but current revision is %lld",
                (long long)expected, (long long)row->values[i].integer);
    }
    return NULL;
}

/* The row as it is stored now, with what the request gives laid over it. */
static struct fault *reload_row(struct op *op, struct row *row)
{
    const struct resource *resource = op->resource;
    struct page page = op->page;
    const char *id = arena_strdup(op->cx->arena, row->values[resource->id].text);
    TRY(resource_find(op, id));
    struct row now = op->page.rows[0];
    op->page = page;
    TRY(check_revision(op, &now));
    row->before = now.values;
    row->values = arena_memdup(op->cx->arena, now.values, sizeof(struct value) * resource->count);
    if (op->kind != OP_UPDATE)
        return NULL;
    for (size_t i = 0; i < resource->count; i++)
        if (row->given[i].state != VALUE_ABSENT)
            row->values[i] = row->given[i];
    return NULL;
}

static struct fault *update_row(struct op *op, struct row *row)
{
    const struct resource *resource = op->resource;
    TRY(reload_row(op, row));
    if (resource->update != NULL)
        TRY(resource->update(op, row));
    TRY(say_duplicate(op, row, resource_store(op, row)));
    return resource->updated != NULL ? resource->updated(op, row) : NULL;
}

static struct fault *delete_row(struct op *op, struct row *row)
{
    TRY(reload_row(op, row));
    if (op->resource->remove != NULL)
        TRY(op->resource->remove(op, row));
    return resource_erase(op, row);
}

static struct fault *run_rows(struct op *op)
{
    if (op->resource->serialize != NULL)
        TRY(op->resource->serialize(op));
    if (op->kind == OP_CREATE && op->resource->quota != NULL)
        TRY(op->resource->quota(op, op->page.count));
    for (size_t i = 0; i < op->page.count; i++) {
        struct row *row = &op->page.rows[i];
        if (op->kind == OP_CREATE)
            TRY(create_row(op, row));
        else if (op->kind == OP_UPDATE)
            TRY(update_row(op, row));
        else
            TRY(delete_row(op, row));
    }
    return NULL;
}

struct commit {
    struct op *op;
    struct row *saved; /* the rows as they were parsed: the transaction may run again */
};

static struct fault *commit_run(struct tx *tx, void *argument)
{
    struct commit *commit = argument;
    struct op *op = commit->op;
    for (size_t i = 0; i < op->page.count; i++) {
        struct row *row = &op->page.rows[i];
        *row = commit->saved[i];
        row->values = arena_memdup(op->cx->arena, row->values, sizeof(struct value) * op->resource->count);
    }
    op->tx = tx;
    struct fault *fault = run_rows(op);
    op->tx = NULL;
    return fault;
}

struct fault *resource_commit(struct op *op)
{
    struct commit commit = { .op = op };
    commit.saved = arena_memdup(op->cx->arena, op->page.rows, sizeof(struct row) * op->page.count);
    TRY(db_write(op->cx->arena, op->cx->app->db, commit_run, &commit));
    if (op->resource->after != NULL) {
        struct fault *fault = op->resource->after(op);
        if (fault != NULL)
            log_warning(op->cx->app->service->name, "after %s of a %s: %s", op->rule != NULL ? op->rule : "a change",
                op->resource->name, fault_text(op->cx->arena, fault));
    }
    return NULL;
}
