/* SPDX-License-Identifier: Apache-2.0
 *
 * resource/parse: bodies to values, checked against the field table.
 */
#include "base/random.h"
#include "oslo/resource/private.h"
#include "oslo/schema.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { STR_MAX = 255, LIST_MAX = 1024 };

struct op *op_create(struct context *cx, struct request *rq, const struct resource *resource, enum op_kind kind)
{
    struct op *op = ARENA_NEW(cx->arena, struct op);
    op->cx = cx;
    op->rq = rq;
    op->resource = resource;
    op->kind = kind;
    op->engine = ARENA_NEW(cx->arena, struct op_engine);
    op->sees_all = true;
    if (rq != NULL) {
        op->rule = rq->route->policy;
        op->id = strstr(rq->route->path, "{id}") != NULL ? request_argument(rq, "id") : NULL;
        if (resource->dialect->admin_rule != NULL)
            op->sees_all = op_allowed(op, resource->dialect->admin_rule, NULL);
    }
    return op;
}

static void row_init(struct op *op, struct row *row)
{
    row->values = ARENA_ARRAY(op->cx->arena, struct value, op->resource->count);
    row->given = ARENA_ARRAY(op->cx->arena, struct value, op->resource->count);
}

void page_create(struct op *op, size_t count)
{
    op->page.rows = ARENA_ARRAY(op->cx->arena, struct row, count > 0 ? count : 1);
    op->page.count = count;
    for (size_t i = 0; i < count; i++)
        row_init(op, &op->page.rows[i]);
}

size_t field_find(const struct resource *resource, const char *name)
{
    for (size_t i = 0; i < resource->count; i++) {
        const struct field *field = &resource->fields[i];
        if (field->name != NULL && (strcmp(field->name, name) == 0 || (field->alias != NULL && strcmp(field->alias, name) == 0)))
            return i;
    }
    return resource->count;
}

struct fault *op_invalid(struct op *op, const struct field *field, enum invalid_kind kind, const char *name,
    const json_t *value)
{
    return op->resource->dialect->invalid(op, field, kind, name, value);
}

const char *row_text(const struct row *row, size_t field)
{
    return row->values[field].state == VALUE_SET ? row->values[field].text : NULL;
}

int64_t row_int(const struct row *row, size_t field)
{
    return row->values[field].state == VALUE_SET ? row->values[field].integer : 0;
}

bool row_given(const struct row *row, size_t field)
{
    return row->given[field].state != VALUE_ABSENT;
}

json_t *value_json(struct op *op, struct value *value)
{
    if (value->state != VALUE_SET)
        return NULL;
    if (value->json == NULL && value->text != NULL)
        value->json = json_parse_own(op->cx->arena, value->text);
    return value->json;
}

bool bool_parse(const char *text, bool *ret)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {
        { "true", true },   { "1", true },  { "t", true },  { "on", true },   { "yes", true }, { "y", true },
        { "false", false }, { "0", false }, { "f", false }, { "off", false }, { "no", false }, { "n", false },
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcasecmp(text, words[i].word) == 0) {
            *ret = words[i].value;
            return true;
        }
    return false;
}

bool int_parse(const char *text, int64_t *ret)
{
    char *end;
    if (!isdigit((unsigned char)*text) && *text != '-' && *text != '+')
        return false;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (*end != '\0' || end == text || errno != 0)
        return false;
    *ret = number;
    return true;
}

/* Characters of UTF-8 text that the JSON parser has checked. */
static int64_t text_characters(const char *text)
{
    int64_t count = 0;
    for (; *text != '\0'; text++)
        count += ((unsigned char)*text & 0xc0) != 0x80;
    return count;
}

static bool text_blank(const char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    return *text == '\0';
}

static bool name_listed(const char *const *names, const char *text)
{
    for (; *names != NULL; names++)
        if (strcmp(*names, text) == 0)
            return true;
    return false;
}

/* STR, UUID, ENUM and TIME. *ret_kind is set when the text does not fit. */
static bool text_fits(const struct field *field, const json_t *json, struct value *value, enum invalid_kind *ret_kind)
{
    *ret_kind = INVALID_TYPE;
    if (!json_is_string(json))
        return false;
    const char *text = json_string_value(json);
    value->text = text;
    if (strlen(text) != json_string_length(json)) /* a NUL inside */
        return false;
    if (field->type == UUID)
        return uuid_valid(text);
    int64_t moment;
    if (field->type == TIME)
        return clock_parse(text, &moment);
    if (field->type == ENUM) {
        *ret_kind = INVALID_CHOICE;
        return name_listed(field->names, text);
    }
    int64_t length = text_characters(text);
    if (length > (field->max > 0 ? field->max : STR_MAX))
        *ret_kind = INVALID_TOO_LONG;
    else if ((field->flags & NOT_BLANK) && text_blank(text))
        *ret_kind = INVALID_BLANK;
    else if (length < field->min)
        *ret_kind = INVALID_TOO_SHORT;
    else if (field->pattern != NULL && !schema_pattern_found(field->pattern, text, strlen(text)))
        *ret_kind = INVALID_PATTERN;
    else
        return true;
    return false;
}

static bool int_fits(const struct field *field, bool lenient, const json_t *json, struct value *value,
    enum invalid_kind *ret_kind)
{
    *ret_kind = INVALID_TYPE;
    if (json_is_integer(json))
        value->integer = json_integer_value(json);
    else if (!lenient || !json_is_string(json) || !int_parse(json_string_value(json), &value->integer))
        return false;
    if (field->min == 0 && field->max == 0)
        return true;
    *ret_kind = value->integer < field->min ? INVALID_TOO_SMALL : INVALID_TOO_BIG;
    return value->integer >= field->min && value->integer <= field->max;
}

static bool bool_fits(bool lenient, const json_t *json, struct value *value)
{
    if (json_is_boolean(json)) {
        value->integer = json_is_true(json);
        return true;
    }
    if (lenient && json_is_integer(json) && (json_integer_value(json) == 0 || json_integer_value(json) == 1)) {
        value->integer = json_integer_value(json);
        return true;
    }
    if (lenient && json_is_string(json)) {
        const char *text = json_string_value(json);
        value->integer = strcasecmp(text, "true") == 0 || strcmp(text, "1") == 0;
        return value->integer != 0 || strcasecmp(text, "false") == 0 || strcmp(text, "0") == 0;
    }
    return false;
}

static bool value_fits(const struct field *field, bool lenient, json_t *json, struct value *value,
    enum invalid_kind *ret_kind)
{
    *ret_kind = INVALID_TYPE;
    value->json = json;
    switch (field->type) {
    case STR:
    case UUID:
    case ENUM:
    case TIME:
        value->json = NULL;
        return text_fits(field, json, value, ret_kind);
    case INT:
        value->json = NULL;
        return int_fits(field, lenient, json, value, ret_kind);
    case BOOL:
        value->json = NULL;
        return bool_fits(lenient, json, value);
    case LIST:
        if (!json_is_array(json))
            return false;
        *ret_kind = INVALID_TOO_LONG;
        return json_array_size(json) <= (size_t)(field->max > 0 ? field->max : LIST_MAX);
    case OBJECT:
        return json_is_object(json);
    case ANY:
        return true;
    }
    return false;
}

/* One given member. */
static struct fault *member_parse(struct op *op, const struct field *field, const char *name, json_t *json,
    struct value *ret)
{
    enum invalid_kind kind;
    unsigned verb = op->kind == OP_UPDATE ? UPDATE : CREATE;
    if (!(field->flags & verb))
        return op_invalid(op, field, INVALID_READ_ONLY, name, json);
    if (json_is_null(json)) {
        if (!(field->flags & NULLABLE))
            return op_invalid(op, field, INVALID_NULL, name, json);
        ret->state = VALUE_NULL;
        return NULL;
    }
    struct value value = { .state = VALUE_SET };
    if ((field->flags & NUMBERS) && json_is_integer(json))
        json = json_keep(op->cx->arena, json_string(arena_printf(op->cx->arena, "%lld", (long long)json_integer_value(json))));
    if (!value_fits(field, op->resource->dialect->lenient, json, &value, &kind))
        return op_invalid(op, field, kind, name, json);
    if (field->check != NULL)
        TRY(field->check(op, field, &value));
    *ret = value;
    return NULL;
}

static void default_set(struct op *op, const struct field *field, struct value *value)
{
    const struct caller *caller = op->cx->caller;
    const struct field_default *def = &field->def;
    const struct config *config = op->cx->app != NULL ? op->cx->app->config : NULL;

    switch (def->kind) {
    case NO_DEFAULT:
        return;
    case DEFAULT_TEXT:
        *value = VALUE_STR(def->text);
        return;
    case DEFAULT_INT:
        *value = VALUE_INT(def->integer);
        return;
    case DEFAULT_NULL:
        *value = VALUE_NONE;
        return;
    case DEFAULT_JSON:
        *value = VALUE_RAW(def->text);
        return;
    case DEFAULT_CALLER_PROJECT:
        *value = VALUE_STR(caller != NULL ? caller->project_id : NULL);
        return;
    case DEFAULT_CALLER_USER:
        *value = VALUE_STR(caller != NULL ? caller->user_id : NULL);
        return;
    case DEFAULT_CALLER_DOMAIN:
        *value = VALUE_STR(caller == NULL ? NULL : caller->domain_id != NULL ? caller->domain_id : caller->project_domain_id);
        return;
    case DEFAULT_OPTION:
        if (field->type == INT)
            *value = VALUE_INT(config_int(config, def->text, def->name));
        else if (field->type == BOOL)
            *value = VALUE_BOOL(config_bool(config, def->text, def->name));
        else
            *value = VALUE_STR(config_str(config, def->text, def->name));
        return;
    }
}

static struct fault *defaults_set(struct op *op, struct row *row)
{
    for (size_t i = 0; i < op->resource->count; i++) {
        const struct field *field = &op->resource->fields[i];
        if (field->name == NULL || row->values[i].state != VALUE_ABSENT)
            continue;
        if ((field->flags & REQUIRED) != 0)
            TRY(op_invalid(op, field, INVALID_REQUIRED, field->name, NULL));
        default_set(op, field, &row->values[i]);
    }
    return NULL;
}

struct fault *resource_parse_object(struct op *op, const json_t *object, struct row *row)
{
    const struct resource *resource = op->resource;
    struct arena *arena = op->cx->arena;
    const char *name, *unknown = NULL;
    json_t *member;

    if (!json_is_object(object))
        return op_invalid(op, NULL, INVALID_BODY, resource->name, object);
    json_object_foreach((json_t *)object, name, member) {
        size_t at = field_find(resource, name);
        if (at < resource->count) {
            const struct field *field = &resource->fields[at];
            json_t *other = field->alias != NULL ? json_object_get(object, strcmp(field->name, name) == 0 ? field->alias
                : field->name) : NULL;
            if (other != NULL && !json_equal(other, member))
                TRY(op_invalid(op, field, INVALID_ALIAS, name, member));
            TRY(member_parse(op, field, name, member, &row->given[at]));
        } else {
            unknown = unknown == NULL ? name : arena_printf(arena, "%s, %s", unknown, name);
        }
    }
    if (unknown != NULL)
        TRY(op_invalid(op, NULL, INVALID_UNKNOWN, unknown, NULL));
    memcpy(row->values, row->given, sizeof(struct value) * resource->count);
    if (op->kind == OP_CREATE)
        TRY(defaults_set(op, row));
    return NULL;
}

struct fault *resource_parse(struct op *op)
{
    const struct resource *resource = op->resource;
    const json_t *body = op->rq->body;
    const json_t *one = json_is_object(body) ? json_object_get(body, resource->name) : NULL;
    const json_t *many = json_is_object(body) && resource->bulk && op->kind == OP_CREATE ? json_object_get(body,
        resource->plural) : NULL;

    if (one == NULL && many != NULL) {
        if (!json_is_array(many) || json_array_size(many) == 0)
            return op_invalid(op, NULL, INVALID_BODY, resource->plural, many);
        op->bulk = true;
        page_create(op, json_array_size(many));
        for (size_t i = 0; i < op->page.count; i++) {
            const json_t *item = json_array_get(many, i);
            /* Neutron's clients may wrap each of them once more. */
            const json_t *inner = json_is_object(item) ? json_object_get(item, resource->name) : NULL;
            TRY(resource_parse_object(op, json_is_object(inner) ? inner : item, &op->page.rows[i]));
        }
        return NULL;
    }
    if (one == NULL)
        return op_invalid(op, NULL, INVALID_BODY, resource->name, NULL);
    page_create(op, 1);
    return resource_parse_object(op, one, &op->page.rows[0]);
}
