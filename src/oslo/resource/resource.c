/* SPDX-License-Identifier: Apache-2.0
 *
 * resource: the handlers, policy down to single fields, page loaders, and the JSON.
 */
#include "base/log.h"
#include "oslo/resource/private.h"

#include <string.h>

/* ---- Policy ---- */

static bool scalar(const struct field *field)
{
    return field->type != LIST && field->type != OBJECT && field->type != ANY;
}

/* Fields that rules name and that a loader brings. */
static struct fault *load_targets(struct op *op, struct row *row)
{
    const struct resource *resource = op->resource;
    struct page page = { row, 1 };
    bool own = false;
    struct fault *fault = NULL;

    for (size_t i = 0; i < resource->count && fault == NULL && op->kind != OP_CREATE; i++) {
        const struct field *field = &resource->fields[i];
        if (!(field->flags & IN_TARGET) || field->from.load == NULL || row->values[i].state != VALUE_ABSENT)
            continue;
        if (op->tx == NULL) {
            TRY(db_read(op->cx->arena, op->cx->app->db, &op->tx));
            own = true;
        }
        fault = field->from.load(op, &page, i);
    }
    if (own) {
        tx_end(op->tx);
        op->tx = NULL;
    }
    return fault;
}

static void target_add(struct policy_target **at, const char *key, const char *value)
{
    (*at)->key = key;
    (*at)->value = value;
    (*at)++;
}

static const char *value_target(struct op *op, const struct field *field, const struct value *value)
{
    if (value->state != VALUE_SET)
        return NULL;
    if (field->type == BOOL)
        return value->integer ? "True" : "False";
    return field->type == INT ? arena_printf(op->cx->arena, "%lld", (long long)value->integer) : value->text;
}

static void target_fields(struct op *op, struct row *row, struct policy_target **at)
{
    const char *prefix = op->resource->target_prefix;
    for (size_t i = 0; i < op->resource->count; i++) {
        const struct field *field = &op->resource->fields[i];
        if (field->name == NULL || !scalar(field) || row->values[i].state == VALUE_ABSENT)
            continue;
        const char *value = value_target(op, field, &row->values[i]);
        target_add(at, prefix != NULL ? arena_printf(op->cx->arena, "%s%s", prefix, field->name) : field->name, value);
        if (field->alias != NULL)
            target_add(at, prefix != NULL ? arena_printf(op->cx->arena, "%s%s", prefix, field->alias) : field->alias, value);
    }
}

/* *ret stays NULL, the caller's own project, when there is nothing to say. */
static struct fault *target_make(struct op *op, struct row *row, const struct policy_target **ret)
{
    const struct resource *resource = op->resource;
    size_t names = 0;
    while (resource->target_names != NULL && resource->target_names[names] != NULL)
        names++;
    if (row == NULL && names == 0)
        return NULL;
    struct policy_target *target = ARENA_ARRAY(op->cx->arena, struct policy_target, resource->count * 2 + names + 3), *at = target;
    for (size_t i = 0; i < names; i++) {
        const char *value = NULL;
        TRY(resource->target(op, row, resource->target_names[i], &value));
        if (value != NULL)
            target_add(&at, resource->target_names[i], value);
    }
    if (row != NULL) {
        TRY(load_targets(op, row));
        target_fields(op, row, &at);
    } else if (op->cx->caller != NULL) {
        target_add(&at, "project_id", op->cx->caller->project_id);
        target_add(&at, "tenant_id", op->cx->caller->project_id);
    }
    *ret = target;
    return NULL;
}

bool op_allowed(struct op *op, const char *rule, struct row *row)
{
    const struct policy_target *target = NULL;
    if (op->rq == NULL)
        return true;
    return target_make(op, row, &target) == NULL && request_allowed(op->rq, rule, target);
}

struct fault *resource_enforce_rule(struct op *op, const char *rule, struct row *row)
{
    const struct policy_target *target = NULL;
    if (op->rq == NULL)
        return NULL;
    TRY(target_make(op, row, &target));
    return request_enforce(op->rq, rule, target);
}

static const char *get_rule(struct op *op)
{
    return op->resource->get_rule != NULL ? op->resource->get_rule : arena_printf(op->cx->arena, "get_%s", op->resource->name);
}

static bool is_default(struct op *op, const struct field *field, struct value *value)
{
    switch (field->def.kind) {
    case DEFAULT_TEXT:
        return value->state == VALUE_SET && value->text != NULL && strcmp(value->text, field->def.text) == 0;
    case DEFAULT_INT:
        return value->state == VALUE_SET && value->integer == field->def.integer;
    case DEFAULT_NULL:
        return value->state == VALUE_NULL;
    case DEFAULT_JSON:
        return value->state == VALUE_SET && json_equal(value_json(op, value), json_parse_own(op->cx->arena, field->def.text));
    default:
        return false;
    }
}

struct fault *resource_enforce(struct op *op, const char *rule, struct row *row)
{
    const struct resource *resource = op->resource;
    TRY(resource_enforce_rule(op, rule, row));
    for (size_t i = 0; i < resource->count && op->rq != NULL && row->given != NULL; i++) {
        const struct field *field = &resource->fields[i];
        if (!(field->flags & PER_FIELD) || row->given[i].state == VALUE_ABSENT)
            continue;
        if (op->kind == OP_CREATE && is_default(op, field, &row->given[i]))
            continue;
        const char *own = arena_printf(op->cx->arena, "%s:%s", rule, field->name);
        if (policy_known(op->cx->app->policy, own))
            TRY(resource_enforce_rule(op, own, row));
    }
    return NULL;
}

/* Who may not see an object does not learn that it is there. */
static struct fault *enforce_object(struct op *op, const char *rule, struct row *row)
{
    struct fault *fault = resource_enforce(op, rule, row);
    if (fault == NULL || fault->status != 403)
        return fault;
    return op_allowed(op, get_rule(op), row) ? fault : resource_not_found(op, op->id);
}

/* Which fields the caller may see of rows of this owner. */
static const bool *fields_shown(struct op *op, struct row *row)
{
    const struct resource *resource = op->resource;
    struct op_engine *engine = op->engine;
    const char *owner = resource->owner > 0 ? row_text(row, resource->owner) : NULL;
    if (owner == NULL)
        owner = "";
    for (size_t i = 0; i < OWNER_CACHE; i++)
        if (engine->shown[i].owner != NULL && strcmp(engine->shown[i].owner, owner) == 0)
            return engine->shown[i].fields;
    bool *fields = ARENA_ARRAY(op->cx->arena, bool, resource->count);
    const char *rule = get_rule(op);
    for (size_t i = 0; i < resource->count; i++) {
        const struct field *field = &resource->fields[i];
        fields[i] = field->name != NULL && !(field->flags & HIDDEN);
        if (!fields[i] || !(field->flags & PER_FIELD) || op->rq == NULL)
            continue;
        const char *own = arena_printf(op->cx->arena, "%s:%s", rule, field->name);
        if (policy_known(op->cx->app->policy, own))
            fields[i] = op_allowed(op, own, row);
    }
    engine->shown[engine->shown_next] = (struct shown){ owner, fields };
    engine->shown_next = (engine->shown_next + 1) % OWNER_CACHE;
    return fields;
}

/* ---- Rendering ---- */

static struct fault *run_loaders(struct op *op)
{
    const struct resource *resource = op->resource;
    for (size_t i = 0; i < resource->count && op->page.count > 0; i++) {
        const struct field *field = &resource->fields[i];
        if (field->from.load == NULL || (field->flags & HIDDEN) || (op->wanted != NULL && op->wanted[i] == 0))
            continue;
        bool absent = false;
        for (size_t r = 0; r < op->page.count && !absent; r++)
            absent = op->page.rows[r].values[i].state == VALUE_ABSENT;
        if (absent)
            TRY(field->from.load(op, &op->page, i));
    }
    return NULL;
}

static bool loaders_needed(const struct op *op)
{
    for (size_t i = 0; i < op->resource->count; i++) {
        if (op->resource->fields[i].from.load == NULL || (op->resource->fields[i].flags & HIDDEN))
            continue;
        for (size_t r = 0; r < op->page.count; r++)
            if (op->page.rows[r].values[i].state == VALUE_ABSENT)
                return true;
    }
    return false;
}

struct fault *resource_load(struct op *op)
{
    if (op->tx != NULL)
        return run_loaders(op);
    if (!loaders_needed(op))
        return NULL;
    TRY(db_read(op->cx->arena, op->cx->app->db, &op->tx));
    struct fault *fault = run_loaders(op);
    tx_end(op->tx);
    op->tx = NULL;
    return fault;
}

/* Our own columns hold "YYYY-MM-DD HH:MM:SS.ffffff": two of the formats are cut out of it, without a calendar. */
static bool time_cut(enum clock_format format, const char *text, char cut[24])
{
    if ((format != CLOCK_ISO && format != CLOCK_SQL) || strlen(text) != 26 || text[10] != ' ' || text[19] != '.')
        return false;
    memcpy(cut, text, 19);
    cut[19] = '\0';
    if (format == CLOCK_ISO) {
        cut[10] = 'T';
        memcpy(cut + 19, "Z", 2);
    }
    return true;
}

static void write_time(struct op *op, const struct field *field, const char *name, const char *text, struct json_writer *w)
{
    char cut[24];
    int64_t moment;
    if (text != NULL && time_cut(field->format, text, cut))
        text = cut;
    else if (text != NULL && clock_parse(text, &moment))
        text = clock_text(op->cx->arena, moment, field->format);
    json_text(w, name, text);
}

static void write_value(struct op *op, const struct field *field, const char *name, const struct value *value,
    struct json_writer *w)
{
    if (value->state != VALUE_SET) {
        json_null_member(w, name);
        return;
    }
    switch (field->type) {
    case STR:
    case UUID:
    case ENUM:
        json_text(w, name, value->text);
        return;
    case INT:
        json_int(w, name, value->integer);
        return;
    case BOOL:
        json_bool(w, name, value->integer != 0);
        return;
    case TIME:
        write_time(op, field, name, value->text, w);
        return;
    case LIST:
    case OBJECT:
    case ANY:
        if (value->json != NULL)
            json_value(w, name, value->json);
        else
            json_raw(w, name, value->text);
        return;
    }
}

void resource_write(struct op *op, struct row *row, struct json_writer *w, const char *name)
{
    const struct resource *resource = op->resource;
    const bool *shown = fields_shown(op, row);

    json_begin(w, name);
    for (size_t i = 0; i < resource->count; i++) {
        const struct field *field = &resource->fields[i];
        const struct value *value = &row->values[i];
        if (!shown[i] || (op->wanted != NULL && op->wanted[i] == 0))
            continue;
        if ((field->flags & OPTIONAL) && value->state != VALUE_SET)
            continue;
        if (field->from.column == NULL && field->from.load == NULL && value->state == VALUE_ABSENT)
            continue; /* a member of requests only */
        if (op->wanted == NULL || (op->wanted[i] & WANT_NAME))
            write_value(op, field, field->name, value, w);
        if (field->alias != NULL && (op->wanted == NULL || (op->wanted[i] & WANT_ALIAS)))
            write_value(op, field, field->alias, value, w);
    }
    if (resource->render_row != NULL)
        resource->render_row(op, row, w);
    if (resource->dialect->row_links != NULL)
        resource->dialect->row_links(op, row, w);
    json_end(w);
}

struct fault *resource_respond(struct op *op)
{
    struct json_writer *w = &op->rq->json;
    TRY(resource_load(op));
    json_begin(w, NULL);
    if (op->kind != OP_LIST && !op->bulk) {
        resource_write(op, &op->page.rows[0], w, op->resource->name);
    } else {
        json_begin_array(w, op->resource->plural);
        for (size_t i = 0; i < op->page.count; i++)
            resource_write(op, &op->page.rows[i], w, NULL);
        json_end_array(w);
        if (op->kind == OP_LIST && op->resource->dialect->list_links != NULL)
            op->resource->dialect->list_links(op, w, op->more);
    }
    json_end(w);
    return NULL;
}

/* ---- Handlers ---- */

static struct fault *list_in_transaction(struct op *op, const struct where *extra)
{
    TRY(resource_select_page(op, extra));
    return resource_respond(op);
}

struct fault *resource_respond_list(struct op *op, const struct where *extra)
{
    TRY(db_read(op->cx->arena, op->cx->app->db, &op->tx));
    struct fault *fault = list_in_transaction(op, extra);
    tx_end(op->tx);
    op->tx = NULL;
    return fault;
}

struct fault *resource_list(struct request *rq)
{
    struct op *op = op_create(RQ(rq), rq, rq->route->resource, OP_LIST);
    struct fault *fault = resource_enforce_rule(op, op->rule, NULL);
    if (fault == NULL)
        return resource_respond_list(op, NULL);
    if (fault->status != 403 || !op->resource->dialect->refused_list_is_empty)
        return fault;
    return resource_respond(op);
}

struct fault *resource_show(struct request *rq)
{
    struct op *op = op_create(RQ(rq), rq, rq->route->resource, OP_SHOW);
    TRY(db_read(op->cx->arena, op->cx->app->db, &op->tx));
    struct fault *fault = resource_find(op, op->id);
    if (fault == NULL)
        fault = resource_load(op);
    if (fault == NULL)
        fault = enforce_object(op, op->rule, &op->page.rows[0]);
    fields_read(op);
    tx_end(op->tx);
    op->tx = NULL;
    TRY(fault);
    return resource_respond(op);
}

struct fault *resource_create(struct request *rq)
{
    struct op *op = op_create(RQ(rq), rq, rq->route->resource, OP_CREATE);
    const struct resource *resource = op->resource;
    TRY(resource_parse(op));
    if (resource->prepare != NULL)
        TRY(resource->prepare(op));
    for (size_t i = 0; i < op->page.count; i++) {
        if (resource->validate != NULL)
            TRY(resource->validate(op, &op->page.rows[i]));
        TRY(resource_enforce(op, op->rule, &op->page.rows[i]));
    }
    resource_notify_start(op);
    TRY(resource_commit(op));
    TRY(resource_respond(op));
    resource_notify_end(op, NULL);
    return NULL;
}

/* Loads the stored row, and lays what the body gave over it. */
static struct fault *overlay(struct op *op)
{
    const struct resource *resource = op->resource;
    struct row given = op->page.count > 0 ? op->page.rows[0] : (struct row){ 0 };
    TRY(resource_fetch(op, op->id));
    struct row *row = &op->page.rows[0];
    row->before = row->values;
    row->values = arena_memdup(op->cx->arena, row->before, sizeof(struct value) * resource->count);
    row->given = given.given != NULL ? given.given : ARENA_ARRAY(op->cx->arena, struct value, resource->count);
    for (size_t i = 0; i < resource->count; i++)
        if (row->given[i].state != VALUE_ABSENT)
            row->values[i] = row->given[i];
    return NULL;
}

struct fault *resource_update(struct request *rq)
{
    struct op *op = op_create(RQ(rq), rq, rq->route->resource, OP_UPDATE);
    const struct resource *resource = op->resource;
    TRY(resource_parse(op));
    if (resource->prepare != NULL)
        TRY(resource->prepare(op));
    TRY(overlay(op));
    TRY(enforce_object(op, op->rule, &op->page.rows[0]));
    if (resource->validate != NULL)
        TRY(resource->validate(op, &op->page.rows[0]));
    resource_notify_start(op);
    TRY(resource_commit(op));
    TRY(resource_respond(op));
    resource_notify_end(op, NULL);
    return NULL;
}

struct fault *resource_delete(struct request *rq)
{
    struct op *op = op_create(RQ(rq), rq, rq->route->resource, OP_DELETE);
    TRY(overlay(op));
    TRY(enforce_object(op, op->rule, &op->page.rows[0]));
    resource_notify_start(op);
    const json_t *picture = resource_notify_picture(op);
    TRY(resource_commit(op));
    resource_notify_end(op, picture);
    return NULL;
}
