/* SPDX-License-Identifier: Apache-2.0
 *
 * schema/text: how Python prints values, and the sentences that the services make of a violation (schema.h).
 */
#include "oslo/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    REPR_LIMIT = 64 << 10,
    PPRINT_WIDTH = 72,
    SCHEMA_DEPTH = 12,   /* a schema that refers to itself is shown so far */
    SCHEMA_NODES = 2000,
};

/* ---- repr ---- */

/* Reads one character of valid UTF-8; returns its length. */
static size_t next_character(const unsigned char *text, size_t length, unsigned *ret_code)
{
    size_t size = *text < 0x80 ? 1 : *text < 0xe0 ? 2 : *text < 0xf0 ? 3 : 4;

    *ret_code = size == 1 ? *text : *text & (0xffu >> (size + 1));
    for (size_t i = 1; i < size && i < length; i++)
        *ret_code = *ret_code << 6 | (text[i] & 0x3f);
    return size < length ? size : length;
}

static void repr_character(struct buf *out, const char *text, size_t size, unsigned code, char quote)
{
    if (code == (unsigned char)quote || code == '\\')
        buf_printf(out, "\\%c", (char)code);
    else if (code == '\n')
        buf_puts(out, "\\n");
    else if (code == '\r')
        buf_puts(out, "\\r");
    else if (code == '\t')
        buf_puts(out, "\\t");
    else if (code < 0x20 || code == 0x7f)
        buf_printf(out, "\\x%02x", code);
    else if (code < 0x7f || !schema_pattern_found("[\\p{C}\\p{Z}]", text, size))
        buf_append(out, text, size);
    else if (code < 0x100)
        buf_printf(out, "\\x%02x", code);
    else
        buf_printf(out, code < 0x10000 ? "\\u%04x" : "\\U%08x", code);
}

void python_repr_text(struct buf *out, const char *text, size_t length)
{
    bool single = memchr(text, '\'', length) != NULL;
    char quote = single && memchr(text, '"', length) == NULL ? '"' : '\'';

    buf_putc(out, quote);
    while (length > 0 && out->length < REPR_LIMIT) {
        unsigned code;
        size_t size = next_character((const unsigned char *)text, length, &code);

        repr_character(out, text, size, code, quote);
        text += size;
        length -= size;
    }
    buf_putc(out, quote);
}

/* The shortest digits that read back as the same number; an exponent below 1e-4 and from 1e16 on. */
void python_repr_real(struct buf *out, double number)
{
    char text[64];
    int precision = 0;
    int exponent;

    do {
        snprintf(text, sizeof(text), "%.*e", precision, number);
    } while (strtod(text, NULL) != number && ++precision < 17);
    exponent = atoi(strchr(text, 'e') + 1);
    if (exponent >= -4 && exponent < 16) {
        int decimals = precision - exponent;

        buf_printf(out, "%.*f", decimals > 0 ? decimals : 1, number);
    } else {
        buf_puts(out, text);
    }
}

static void repr_array(struct buf *out, const json_t *value)
{
    size_t index;
    json_t *child;

    buf_putc(out, '[');
    json_array_foreach((json_t *)value, index, child) {
        if (out->length > REPR_LIMIT)
            break;
        buf_puts(out, index == 0 ? "" : ", ");
        python_repr(out, child);
    }
    buf_putc(out, ']');
}

static void repr_object(struct buf *out, const json_t *value)
{
    const char *member, *separator = "";
    json_t *child;

    buf_putc(out, '{');
    json_object_foreach((json_t *)value, member, child) {
        if (out->length > REPR_LIMIT)
            break;
        buf_puts(out, separator);
        separator = ", ";
        python_repr_text(out, member, strlen(member));
        buf_puts(out, ": ");
        python_repr(out, child);
    }
    buf_putc(out, '}');
}

void python_repr(struct buf *out, const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        repr_object(out, value);
        break;
    case JSON_ARRAY:
        repr_array(out, value);
        break;
    case JSON_STRING:
        python_repr_text(out, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        buf_printf(out, "%lld", (long long)json_integer_value(value));
        break;
    case JSON_REAL:
        python_repr_real(out, json_real_value(value));
        break;
    case JSON_TRUE:
        buf_puts(out, "True");
        break;
    case JSON_FALSE:
        buf_puts(out, "False");
        break;
    case JSON_NULL:
        buf_puts(out, "None");
        break;
    }
}

void python_str(struct buf *out, const json_t *value)
{
    size_t length = json_string_length(value);

    if (!json_is_string(value)) {
        python_repr(out, value);
        return;
    }
    if (length > REPR_LIMIT) {
        length = REPR_LIMIT;
        while (((unsigned char)json_string_value(value)[length] & 0xc0) == 0x80)
            length--;
    }
    buf_append(out, json_string_value(value), length);
}

/* ---- pformat ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const char **sorted_members(const json_t *value)
{
    const char **members = calloc(json_object_size(value) + 1, sizeof(*members));
    const char *member;
    json_t *child;
    size_t count = 0;

    if (members == NULL)
        abort();
    json_object_foreach((json_t *)value, member, child)
        members[count++] = member;
    qsort(members, count, sizeof(*members), by_text);
    return members;
}

/* repr with the members of objects in the order of their names, as pprint does. Stops soon after PPRINT_WIDTH characters:
 * it is asked for each part of a document, whether that fits on a line. */
static void repr_line(struct buf *out, const json_t *value)
{
    size_t index;
    json_t *child;
    const char **members;

    if (json_is_array(value)) {
        buf_putc(out, '[');
        json_array_foreach((json_t *)value, index, child) {
            if (out->length > PPRINT_WIDTH)
                break;
            buf_puts(out, index == 0 ? "" : ", ");
            repr_line(out, child);
        }
        buf_putc(out, ']');
    } else if (json_is_object(value) && json_object_size(value) <= PPRINT_WIDTH) {
        members = sorted_members(value);
        buf_putc(out, '{');
        for (index = 0; members[index] != NULL && out->length <= PPRINT_WIDTH; index++) {
            buf_puts(out, index == 0 ? "" : ", ");
            python_repr_text(out, members[index], strnlen(members[index], PPRINT_WIDTH + 1));
            buf_puts(out, ": ");
            repr_line(out, json_object_get(value, members[index]));
        }
        buf_putc(out, '}');
        free(members);
    } else if (json_is_object(value) || json_string_length(value) > 4 * PPRINT_WIDTH) {
        buf_printf(out, "%*s", PPRINT_WIDTH + 1, "");
    } else {
        python_repr(out, value);
    }
}

static void format_value(struct buf *out, const json_t *value, size_t prefix, size_t column, size_t allowance);

static void new_line(struct buf *out, size_t prefix, size_t column)
{
    buf_printf(out, ",\n%*s", (int)(prefix + column), "");
}

static void format_object(struct buf *out, const json_t *value, size_t prefix, size_t column, size_t allowance)
{
    const char **members = sorted_members(value);

    buf_putc(out, '{');
    column++;
    for (size_t i = 0; members[i] != NULL && out->length < REPR_LIMIT; i++) {
        size_t before;

        if (i > 0)
            new_line(out, prefix, column);
        before = out->length;
        python_repr_text(out, members[i], strlen(members[i]));
        buf_puts(out, ": ");
        format_value(out, json_object_get(value, members[i]), prefix, column + (out->length - before),
            members[i + 1] == NULL ? allowance + 1 : 1);
    }
    buf_putc(out, '}');
    free(members);
}

static void format_array(struct buf *out, const json_t *value, size_t prefix, size_t column, size_t allowance)
{
    size_t count = json_array_size(value);

    buf_putc(out, '[');
    column++;
    for (size_t i = 0; i < count && out->length < REPR_LIMIT; i++) {
        if (i > 0)
            new_line(out, prefix, column);
        format_value(out, json_array_get(value, i), prefix, column, i + 1 == count ? allowance + 1 : 1);
    }
    buf_putc(out, ']');
}

/* `column` is where the value starts, `allowance` the closing brackets that will follow it on its last line. A long
 * text stays on one line, where pprint would break it between words. */
static void format_value(struct buf *out, const json_t *value, size_t prefix, size_t column, size_t allowance)
{
    BUF_CLEANUP struct buf one_line = { 0 };

    if (!json_is_object(value) && !json_is_array(value)) {
        python_repr(out, value);
        return;
    }
    repr_line(&one_line, value);
    if (one_line.length + column + allowance <= PPRINT_WIDTH)
        buf_append(out, one_line.data, one_line.length);
    else if (json_is_object(value))
        format_object(out, value, prefix, column, allowance);
    else
        format_array(out, value, prefix, column, allowance);
}

void python_pformat(struct buf *out, const json_t *value, size_t indent)
{
    format_value(out, value, indent, 0, 0);
}

/* ---- a schema as the document that it stands for ---- */

struct bounds {
    int depth, nodes; /* still to come */
};

static json_t *schema_document(const struct schema *schema, struct bounds *bounds);

static json_t *types_document(unsigned types)
{
    static const char *const names[] = { "string", "integer", "number", "boolean", "object", "array", "null" };
    json_t *list = json_array();
    json_t *only;

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (types & (1u << i))
            json_array_append_new(list, json_string(names[i]));
    if (json_array_size(list) != 1)
        return list;
    only = json_incref(json_array_get(list, 0));
    json_decref(list);
    return only;
}

static json_t *words_document(const char *const *words, bool literals)
{
    json_t *list = json_array();

    for (; *words != NULL; words++)
        json_array_append_new(list,
            literals && **words == '=' ? json_loads(*words + 1, JSON_DECODE_ANY, NULL) : json_string(*words));
    return list;
}

static json_t *properties_document(const struct schema_property *row, struct bounds *bounds)
{
    json_t *object = json_object();

    for (; row->name != NULL; row++)
        json_object_set_new(object, row->name, schema_document(row->schema, bounds));
    return object;
}

static json_t *list_document(const struct schema *const *list, struct bounds *bounds)
{
    json_t *array = json_array();

    for (; *list != NULL; list++)
        json_array_append_new(array, schema_document(*list, bounds));
    return array;
}

static void put_size(json_t *object, const char *keyword, size_t size)
{
    if (size > 0)
        json_object_set_new(object, keyword, json_integer((json_int_t)size));
}

static void put_scalar_keywords(json_t *object, const struct schema *schema)
{
    bool limited = schema->minimum != 0 || schema->maximum != 0;

    if (schema->types != 0)
        json_object_set_new(object, "type", types_document(schema->types));
    if (schema->values != NULL)
        json_object_set_new(object, "enum", words_document(schema->values, true));
    put_size(object, "minLength", schema->min_length);
    put_size(object, "maxLength", schema->max_length);
    if (schema->pattern != NULL)
        json_object_set_new(object, "pattern", json_string(schema->pattern));
    if (limited && schema->minimum != INT64_MIN)
        json_object_set_new(object, "minimum", json_integer(schema->minimum));
    if (limited && schema->maximum != INT64_MAX)
        json_object_set_new(object, "maximum", json_integer(schema->maximum));
    if (schema->maximum_real != 0)
        json_object_set_new(object, "maximum", json_real(schema->maximum_real));
    if (schema->format != NULL)
        json_object_set_new(object, "format", json_string(schema->format));
}

static json_t *schema_document(const struct schema *schema, struct bounds *bounds)
{
    json_t *object = json_object();

    if (bounds->depth == 0 || bounds->nodes == 0)
        return object;
    bounds->depth--;
    bounds->nodes--;
    put_scalar_keywords(object, schema);
    put_size(object, "minProperties", schema->min_properties);
    put_size(object, "maxProperties", schema->max_properties);
    put_size(object, "minItems", schema->min_items);
    put_size(object, "maxItems", schema->max_items);
    if (schema->properties != NULL)
        json_object_set_new(object, "properties", properties_document(schema->properties, bounds));
    if (schema->patterns != NULL)
        json_object_set_new(object, "patternProperties", properties_document(schema->patterns, bounds));
    if (schema->required != NULL)
        json_object_set_new(object, "required", words_document(schema->required, false));
    if (schema->closed)
        json_object_set_new(object, "additionalProperties", json_false());
    if (schema->additional != NULL)
        json_object_set_new(object, "additionalProperties", schema_document(schema->additional, bounds));
    if (schema->items != NULL)
        json_object_set_new(object, "items", schema_document(schema->items, bounds));
    if (schema->unique_items)
        json_object_set_new(object, "uniqueItems", json_true());
    if (schema->all_of != NULL)
        json_object_set_new(object, "allOf", list_document(schema->all_of, bounds));
    if (schema->any_of != NULL)
        json_object_set_new(object, "anyOf", list_document(schema->any_of, bounds));
    if (schema->one_of != NULL)
        json_object_set_new(object, "oneOf", list_document(schema->one_of, bounds));
    bounds->depth++;
    return object;
}

/* ---- sentences ---- */

const char *violation_text_long(struct arena *arena, const struct violation *violation)
{
    BUF_CLEANUP struct buf out = { 0 };
    BUF_CLEANUP struct buf part = { 0 };
    struct bounds bounds = { .depth = SCHEMA_DEPTH, .nodes = SCHEMA_NODES };
    json_t *document = schema_document(violation->schema, &bounds);

    python_pformat(&part, document, 4);
    json_decref(document);
    buf_printf(&out, "%s\n\nFailed validating '%s' in schema%s:\n    %s\n\nOn instance%s:\n    ", violation->message,
        violation->keyword, violation->schema_index, buf_text(&part), violation->path_index);
    buf_clear(&part);
    python_pformat(&part, violation->value, 4);
    buf_append(&out, part.data, part.length);
    return arena_strndup(arena, out.data, out.length);
}

const char *violation_text_nova(struct arena *arena, const struct violation *violation, bool query)
{
    BUF_CLEANUP struct buf value = { 0 };

    if (violation->verbatim || *violation->path == '\0')
        return violation->message;
    python_str(&value, violation->value);
    return arena_printf(arena, "Invalid input for %s %s. Value: %s. %s",
        query ? "query parameters" : "field/attribute", query ? violation->path_first : violation->path_last,
        buf_text(&value), violation->message);
}

const char *violation_text_keystone(struct arena *arena, const struct violation *violation)
{
    const char *text = violation_text_long(arena, violation);

    return *violation->path == '\0' ? text
                                    : arena_printf(arena, "Invalid input for field '%s': %s", violation->path, text);
}

const char *violation_text_placement(struct arena *arena, const struct violation *violation)
{
    return arena_printf(arena, "JSON does not validate: %s", violation_text_long(arena, violation));
}

const char *violation_text_glance(struct arena *arena, const struct violation *violation, const char *schema_name)
{
    return arena_printf(arena, "Provided object does not match schema '%s': %s", schema_name,
        violation_text_long(arena, violation));
}
