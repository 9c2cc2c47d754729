/* SPDX-License-Identifier: Apache-2.0
 *
 * schema: see schema.h. The walk over document and schema. Formats and patterns are in schema/format.c, texts in
 * schema/text.c.
 */
#include "oslo/schema.h"

#include "base/map.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One step down from the root, in document and schema. Lives on the stack of the walk. */
struct frame {
    const struct frame *up;
    const char *member;        /* the document's step: a member, else an element, else none */
    size_t element;
    bool is_element;
    const char *keyword;       /* the schema's step: ['properties']['name'], ['anyOf'][1], ['items'] */
    const char *keyword_member;
    size_t keyword_element;
    bool is_keyword_element;
};

/* How much an error says; compared member by member (jsonschema's by_relevance). */
struct relevance {
    long depth;
    int strong, mismatch;
};

struct found {
    struct violation violation;
    struct relevance relevance;
    struct found *inner; /* the best error of the alternatives, when one is better than the others */
    struct found *before; /* every: the one found before it */
};

struct walk {
    struct arena *arena;
    unsigned options;
    bool quiet;          /* only whether it fits matters */
    bool every;          /* keep them all, not the first or best */
    bool deepest;        /* keep the least relevant error: inside of alternatives */
    bool failed;
    bool tie;            /* deepest: another one is as deep */
    struct found *kept;
};

static void check(struct walk *walk, const struct frame *frame, const struct schema *schema, const json_t *value);

/* ---- errors ---- */

static bool type_fits(unsigned types, const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_STRING:
        return (types & SCHEMA_STRING) != 0;
    case JSON_INTEGER:
        return (types & (SCHEMA_INTEGER | SCHEMA_NUMBER)) != 0;
    case JSON_REAL:
        return (types & SCHEMA_NUMBER) != 0;
    case JSON_TRUE:
    case JSON_FALSE:
        return (types & SCHEMA_BOOLEAN) != 0;
    case JSON_NULL:
        return (types & SCHEMA_NULL) != 0;
    case JSON_OBJECT:
        return (types & SCHEMA_OBJECT) != 0;
    case JSON_ARRAY:
        return (types & SCHEMA_ARRAY) != 0;
    }
    return false;
}

static int compare(const struct relevance *a, const struct relevance *b)
{
    if (a->depth != b->depth)
        return a->depth < b->depth ? -1 : 1;
    if (a->strong != b->strong)
        return a->strong - b->strong;
    return a->mismatch - b->mismatch;
}

static bool over(const struct walk *walk)
{
    return walk->failed && (walk->quiet || (!walk->every && (walk->options & SCHEMA_BEST) == 0));
}

/* Notes a failure. True when its words are wanted: then the caller fills walk->kept. */
static bool failed(struct walk *walk, const struct frame *frame, const struct schema *schema, const json_t *value,
    const char *keyword)
{
    bool first = !walk->failed;
    struct relevance relevance = { .strong = strcmp(keyword, "anyOf") != 0 && strcmp(keyword, "oneOf") != 0,
        .mismatch = schema->types == 0 || !type_fits(schema->types, value) };
    struct found *found;
    int order;

    walk->failed = true;
    if (walk->quiet)
        return false;
    for (const struct frame *at = frame; at != NULL; at = at->up)
        relevance.depth -= at->member != NULL || at->is_element;
    if (!first && !walk->every) {
        order = compare(&relevance, &walk->kept->relevance);
        walk->tie = order == 0 || (walk->tie && order > 0);
        if (walk->deepest ? order >= 0 : order <= 0)
            return false;
    }
    found = ARENA_NEW(walk->arena, struct found);
    found->relevance = relevance;
    found->violation = (struct violation){ .keyword = keyword, .schema = schema, .value = value };
    found->before = walk->kept;
    walk->kept = found;
    return true;
}

static void put_index(struct buf *out, const struct frame *frame)
{
    if (frame == NULL)
        return;
    put_index(out, frame->up);
    if (frame->is_element)
        buf_printf(out, "[%zu]", frame->element);
    else if (frame->member != NULL) {
        buf_putc(out, '[');
        python_repr_text(out, frame->member, strlen(frame->member));
        buf_putc(out, ']');
    }
}

static void put_schema_index(struct buf *out, const struct frame *frame)
{
    if (frame == NULL)
        return;
    put_schema_index(out, frame->up);
    if (frame->keyword != NULL)
        buf_printf(out, "['%s']", frame->keyword);
    if (frame->is_keyword_element)
        buf_printf(out, "[%zu]", frame->keyword_element);
    else if (frame->keyword_member != NULL) {
        buf_putc(out, '[');
        python_repr_text(out, frame->keyword_member, strlen(frame->keyword_member));
        buf_putc(out, ']');
    }
}

static void put_path(struct buf *out, const struct frame *frame)
{
    if (frame == NULL)
        return;
    put_path(out, frame->up);
    if (out->length > 0 && (frame->is_element || frame->member != NULL))
        buf_putc(out, '/');
    if (frame->is_element)
        buf_printf(out, "%zu", frame->element);
    else if (frame->member != NULL)
        buf_puts(out, frame->member);
}

static const char *step_text(struct arena *arena, const struct frame *frame)
{
    return frame->is_element ? arena_printf(arena, "%zu", frame->element) : arena_strdup(arena, frame->member);
}

/* Gives the violation just noted its message (taken from `text`) and its place. */
static void say(struct walk *walk, const struct frame *frame, struct buf *text)
{
    struct violation *violation = &walk->kept->violation;
    BUF_CLEANUP struct buf part = { 0 };

    violation->message = arena_strndup(walk->arena, buf_text(text), text->length);
    put_path(&part, frame);
    violation->path = arena_strdup(walk->arena, buf_text(&part));
    buf_clear(&part);
    put_index(&part, frame);
    violation->path_index = arena_strdup(walk->arena, buf_text(&part));
    buf_clear(&part);
    put_schema_index(&part, frame);
    violation->schema_index = arena_strdup(walk->arena, buf_text(&part));
    violation->path_first = violation->path_last = "";
    for (const struct frame *at = frame; at != NULL; at = at->up)
        if (at->is_element || at->member != NULL) {
            violation->path_first = step_text(walk->arena, at);
            if (*violation->path_last == '\0')
                violation->path_last = violation->path_first;
        }
}

/* "VALUE words" */
static void fail_value(struct walk *walk, const struct frame *frame, const struct schema *schema, const json_t *value,
    const char *keyword, const char *words)
{
    BUF_CLEANUP struct buf text = { 0 };

    if (!failed(walk, frame, schema, value, keyword))
        return;
    python_repr(&text, value);
    buf_puts(&text, words);
    say(walk, frame, &text);
}

/* ---- scalars ---- */

static void check_type(struct walk *walk, const struct frame *frame, const struct schema *schema, const json_t *value)
{
    static const char *const names[] = { "string", "integer", "number", "boolean", "object", "array", "null" };
    BUF_CLEANUP struct buf text = { 0 };
    const char *separator = "";

    if (schema->types == 0 || type_fits(schema->types, value) || !failed(walk, frame, schema, value, "type"))
        return;
    python_repr(&text, value);
    buf_puts(&text, " is not of type ");
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (schema->types & (1u << i)) {
            buf_printf(&text, "%s'%s'", separator, names[i]);
            separator = ", ";
        }
    say(walk, frame, &text);
}

static bool equals_word(const json_t *value, const char *word)
{
    json_t *literal;
    bool equal;

    if (*word != '=')
        return json_is_string(value) && strcmp(json_string_value(value), word) == 0;
    literal = json_loads(word + 1, JSON_DECODE_ANY, NULL);
    assert(literal != NULL);
    equal = json_equal(literal, value);
    json_decref(literal);
    return equal;
}

static void check_values(struct walk *walk, const struct frame *frame, const struct schema *schema,
    const json_t *value)
{
    BUF_CLEANUP struct buf text = { 0 };

    if (schema->values == NULL)
        return;
    for (const char *const *word = schema->values; *word != NULL; word++)
        if (equals_word(value, *word))
            return;
    if (!failed(walk, frame, schema, value, "enum"))
        return;
    python_repr(&text, value);
    buf_puts(&text, " is not one of [");
    for (const char *const *word = schema->values; *word != NULL; word++) {
        json_t *literal = **word == '=' ? json_loads(*word + 1, JSON_DECODE_ANY, NULL) : json_string(*word);

        buf_puts(&text, word == schema->values ? "" : ", ");
        python_repr(&text, literal);
        json_decref(literal);
    }
    buf_putc(&text, ']');
    say(walk, frame, &text);
}

static size_t characters(const json_t *value)
{
    const char *text = json_string_value(value);
    size_t length = json_string_length(value), count = 0;

    for (size_t i = 0; i < length; i++)
        count += ((unsigned char)text[i] & 0xc0) != 0x80;
    return count;
}

static void check_pattern(struct walk *walk, const struct frame *frame, const struct schema *schema,
    const json_t *value)
{
    BUF_CLEANUP struct buf text = { 0 };

    if (schema->pattern == NULL ||
        schema_pattern_found(schema->pattern, json_string_value(value), json_string_length(value)) ||
        !failed(walk, frame, schema, value, "pattern"))
        return;
    python_repr(&text, value);
    buf_puts(&text, " does not match ");
    python_repr_text(&text, schema->pattern, strlen(schema->pattern));
    say(walk, frame, &text);
}

static void check_format(struct walk *walk, const struct frame *frame, const struct schema *schema,
    const json_t *value)
{
    BUF_CLEANUP struct buf text = { 0 };
    const char *sentence = NULL;

    if (schema->format == NULL || schema_format_check(schema->format, json_string_value(value), &sentence) ||
        !failed(walk, frame, schema, value, "format"))
        return;
    if (sentence != NULL) {
        buf_puts(&text, sentence);
        walk->kept->violation.verbatim = true;
    } else {
        python_repr(&text, value);
        buf_printf(&text, " is not a '%s'", schema->format);
    }
    say(walk, frame, &text);
}

static void check_string(struct walk *walk, const struct frame *frame, const struct schema *schema,
    const json_t *value)
{
    if (schema->min_length > 0 && characters(value) < schema->min_length)
        fail_value(walk, frame, schema, value, "minLength", " is too short");
    if (schema->max_length > 0 && !over(walk) && characters(value) > schema->max_length)
        fail_value(walk, frame, schema, value, "maxLength", " is too long");
    if (!over(walk))
        check_pattern(walk, frame, schema, value);
    if (!over(walk))
        check_format(walk, frame, schema, value);
}

/* A number, or with SCHEMA_TEXT_NUMBER the number that a string holds. The caller drops the reference. */
static json_t *number_of(const struct walk *walk, const json_t *value)
{
    const char *text;
    char *end;
    long long integer;
    double real;

    if (json_is_number(value))
        return json_incref((json_t *)value);
    if (!json_is_string(value) || (walk->options & SCHEMA_TEXT_NUMBER) == 0)
        return NULL;
    text = json_string_value(value);
    errno = 0;
    integer = strtoll(text, &end, 10);
    if (end != text && *end == '\0' && errno == 0)
        return json_integer(integer);
    real = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(real) || strpbrk(text, "xX") != NULL)
        return NULL;
    return json_real(real);
}

static void fail_number(struct walk *walk, const struct frame *frame, const struct schema *schema, const json_t *value,
    const json_t *number, bool below)
{
    BUF_CLEANUP struct buf text = { 0 };

    if (!failed(walk, frame, schema, value, below ? "minimum" : "maximum"))
        return;
    python_repr(&text, number);
    if (below) {
        buf_printf(&text, " is less than the minimum of %lld", (long long)schema->minimum);
    } else {
        buf_puts(&text, " is greater than the maximum of ");
        if (schema->maximum_real != 0)
            python_repr_real(&text, schema->maximum_real);
        else
            buf_printf(&text, "%lld", (long long)schema->maximum);
    }
    say(walk, frame, &text);
}

static void check_number(struct walk *walk, const struct frame *frame, const struct schema *schema,
    const json_t *value)
{
    bool limited = schema->minimum != 0 || schema->maximum != 0;
    json_t *number;
    bool below, above;

    if (!limited && schema->maximum_real == 0)
        return;
    number = number_of(walk, value);
    if (number == NULL)
        return;
    if (json_is_integer(number)) {
        below = json_integer_value(number) < schema->minimum;
        above = json_integer_value(number) > schema->maximum;
    } else {
        below = schema->minimum != INT64_MIN && json_real_value(number) < (double)schema->minimum;
        above = schema->maximum != INT64_MAX && json_real_value(number) > (double)schema->maximum;
    }
    if (limited && below)
        fail_number(walk, frame, schema, value, number, true);
    if (!over(walk) &&
        ((limited && above) || (schema->maximum_real != 0 && json_number_value(number) > schema->maximum_real)))
        fail_number(walk, frame, schema, value, number, false);
    json_decref(number);
}

/* ---- objects ---- */

static bool named(const struct schema *schema, const char *member)
{
    for (const struct schema_property *row = schema->properties; row != NULL && row->name != NULL; row++)
        if (strcmp(row->name, member) == 0)
            return true;
    for (const struct schema_property *row = schema->patterns; row != NULL && row->name != NULL; row++)
        if (schema_pattern_found(row->name, member, strlen(member)))
            return true;
    return false;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void put_names(struct buf *out, const char **names, size_t count)
{
    qsort(names, count, sizeof(*names), by_text);
    for (size_t i = 0; i < count; i++) {
        buf_puts(out, i == 0 ? "" : ", ");
        python_repr_text(out, names[i], strlen(names[i]));
    }
}

static void fail_additional(struct walk *walk, const struct frame *frame, const struct schema *schema,
    const json_t *value, const char **extras, size_t count)
{
    BUF_CLEANUP struct buf text = { 0 };
    const char **patterns;
    size_t pattern_count = 0;

    if (!failed(walk, frame, schema, value, "additionalProperties"))
        return;
    if (schema->patterns == NULL) {
        buf_puts(&text, "Additional properties are not allowed (");
        put_names(&text, extras, count);
        buf_puts(&text, count == 1 ? " was unexpected)" : " were unexpected)");
    } else {
        while (schema->patterns[pattern_count].name != NULL)
            pattern_count++;
        patterns = ARENA_ARRAY(walk->arena, const char *, pattern_count + 1);
        for (size_t i = 0; i < pattern_count; i++)
            patterns[i] = schema->patterns[i].name;
        put_names(&text, extras, count);
        buf_printf(&text, " %s not match any of the regexes: ", count == 1 ? "does" : "do");
        put_names(&text, patterns, pattern_count);
    }
    say(walk, frame, &text);
}

static void check_additional(struct walk *walk, const struct frame *frame, const struct schema *schema,
    const json_t *value)
{
    const char **extras = NULL;
    size_t count = 0;
    const char *member;
    json_t *child;

    json_object_foreach((json_t *)value, member, child) {
        struct frame down = { .up = frame, .member = member, .keyword = "additionalProperties" };

        if (over(walk))
            return;
        if (named(schema, member))
            continue;
        if (schema->additional != NULL) {
            check(walk, &down, schema->additional, child);
            continue;
        }
        if (extras == NULL)
            extras = ARENA_ARRAY(walk->arena, const char *, json_object_size(value));
        extras[count++] = member;
    }
    if (count > 0)
        fail_additional(walk, frame, schema, value, extras, count);
}

static void check_required(struct walk *walk, const struct frame *frame, const struct schema *schema,
    const json_t *value)
{
    for (const char *const *name = schema->required; name != NULL && *name != NULL && !over(walk); name++) {
        BUF_CLEANUP struct buf text = { 0 };

        if (json_object_get(value, *name) != NULL || !failed(walk, frame, schema, value, "required"))
            continue;
        python_repr_text(&text, *name, strlen(*name));
        buf_puts(&text, " is a required property");
        say(walk, frame, &text);
    }
}

static void check_patterns(struct walk *walk, const struct frame *frame, const struct schema *schema,
    const json_t *value)
{
    const char *member;
    json_t *child;

    for (const struct schema_property *row = schema->patterns; row != NULL && row->name != NULL; row++)
        json_object_foreach((json_t *)value, member, child) {
            struct frame down = { .up = frame, .member = member, .keyword = "patternProperties",
                .keyword_member = row->name };

            if (over(walk))
                return;
            if (schema_pattern_found(row->name, member, strlen(member)))
                check(walk, &down, row->schema, child);
        }
}

static void check_object(struct walk *walk, const struct frame *frame, const struct schema *schema,
    const json_t *value)
{
    if (json_object_size(value) < schema->min_properties)
        fail_value(walk, frame, schema, value, "minProperties", " does not have enough properties");
    if (!over(walk) && schema->max_properties > 0 && json_object_size(value) > schema->max_properties)
        fail_value(walk, frame, schema, value, "maxProperties", " has too many properties");
    for (const struct schema_property *row = schema->properties; row != NULL && row->name != NULL; row++) {
        const json_t *child = json_object_get(value, row->name);
        struct frame down = { .up = frame, .member = row->name, .keyword = "properties", .keyword_member = row->name };

        if (child != NULL && !over(walk))
            check(walk, &down, row->schema, child);
    }
    if (!over(walk))
        check_patterns(walk, frame, schema, value);
    check_required(walk, frame, schema, value);
    if (!over(walk) && (schema->closed || schema->additional != NULL))
        check_additional(walk, frame, schema, value);
}

/* ---- arrays and alternatives ---- */

/* By their texts in a hash: a client decides how many elements there are. */
static bool elements_unique(const json_t *value)
{
    struct map seen = { 0 };
    bool unique = true;
    size_t index;
    json_t *child;

    json_array_foreach((json_t *)value, index, child) {
        char *text = json_dumps(child, JSON_ENCODE_ANY | JSON_SORT_KEYS | JSON_COMPACT);

        unique = unique && text != NULL && !map_has(&seen, text);
        if (unique)
            map_set(&seen, text, NULL);
        free(text);
        if (!unique)
            break;
    }
    map_release(&seen);
    return unique;
}

static void check_array(struct walk *walk, const struct frame *frame, const struct schema *schema, const json_t *value)
{
    size_t index;
    json_t *child;

    if (schema->items != NULL)
        json_array_foreach((json_t *)value, index, child) {
            struct frame down = { .up = frame, .is_element = true, .element = index, .keyword = "items" };

            if (over(walk))
                return;
            check(walk, &down, schema->items, child);
        }
    if (!over(walk) && json_array_size(value) < schema->min_items)
        fail_value(walk, frame, schema, value, "minItems", " is too short");
    if (!over(walk) && schema->max_items > 0 && json_array_size(value) > schema->max_items)
        fail_value(walk, frame, schema, value, "maxItems", " is too long");
    if (!over(walk) && schema->unique_items && !elements_unique(value))
        fail_value(walk, frame, schema, value, "uniqueItems", " has non-unique elements");
}

static size_t count_fitting(struct walk *walk, const struct schema *const *list, const json_t *value)
{
    size_t count = 0;

    for (; *list != NULL; list++) {
        struct walk inner = { .arena = walk->arena, .options = walk->options, .quiet = true };

        check(&inner, NULL, *list, value);
        count += !inner.failed;
    }
    return count;
}

/* None of the alternatives fits: which of their errors says most, for best_match. */
static struct found *inner_error(struct walk *walk, const char *keyword, const struct schema *const *list,
    const json_t *value)
{
    struct walk inner = { .arena = walk->arena, .options = walk->options, .deepest = true };

    if ((walk->options & SCHEMA_BEST) == 0)
        return NULL;
    for (size_t i = 0; list[i] != NULL; i++) {
        /* The error's own schema path starts with the alternative's number. */
        struct frame root = { .is_keyword_element = true, .keyword_element = i };

        check(&inner, &root, list[i], value);
    }
    return inner.tie ? NULL : inner.kept;
}

static void check_alternatives(struct walk *walk, const struct frame *frame, const struct schema *schema,
    const json_t *value, const char *keyword, const struct schema *const *list)
{
    size_t fitting = count_fitting(walk, list, value);

    if (fitting == 1 || (fitting > 1 && list == schema->any_of))
        return;
    if (fitting > 1) {
        fail_value(walk, frame, schema, value, keyword, " is valid under each of the given schemas");
        return;
    }
    if (!failed(walk, frame, schema, value, keyword))
        return;
    {
        BUF_CLEANUP struct buf text = { 0 };
        struct found *kept = walk->kept;

        python_repr(&text, value);
        buf_puts(&text, " is not valid under any of the given schemas");
        say(walk, frame, &text);
        kept->inner = inner_error(walk, keyword, list, value);
    }
}

static void check(struct walk *walk, const struct frame *frame, const struct schema *schema, const json_t *value)
{
    check_type(walk, frame, schema, value);
    if (!over(walk))
        check_values(walk, frame, schema, value);
    if (!over(walk) && json_is_string(value))
        check_string(walk, frame, schema, value);
    if (!over(walk))
        check_number(walk, frame, schema, value);
    if (!over(walk) && json_is_object(value))
        check_object(walk, frame, schema, value);
    if (!over(walk) && json_is_array(value))
        check_array(walk, frame, schema, value);
    for (size_t i = 0; schema->all_of != NULL && schema->all_of[i] != NULL && !over(walk); i++) {
        struct frame down = { .up = frame, .keyword = "allOf", .is_keyword_element = true, .keyword_element = i };

        check(walk, &down, schema->all_of[i], value);
    }
    if (!over(walk) && schema->any_of != NULL)
        check_alternatives(walk, frame, schema, value, "anyOf", schema->any_of);
    if (!over(walk) && schema->one_of != NULL)
        check_alternatives(walk, frame, schema, value, "oneOf", schema->one_of);
}

bool schema_check(struct arena *arena, const struct schema *schema, const json_t *document, unsigned options,
    struct violation *ret)
{
    struct walk walk = { .arena = arena, .options = options };
    const struct found *found;

    check(&walk, NULL, schema, document);
    if (!walk.failed)
        return true;
    for (found = walk.kept; found->inner != NULL; found = found->inner)
        ;
    *ret = found->violation;
    return false;
}

static int by_message(const void *a, const void *b)
{
    return strcmp(((const struct violation *)a)->message, ((const struct violation *)b)->message);
}

size_t schema_check_every(struct arena *arena, const struct schema *schema, const json_t *document, struct violation **ret)
{
    struct walk walk = { .arena = arena, .every = true };
    size_t count = 0, at = 0;

    check(&walk, NULL, schema, document);
    for (const struct found *found = walk.kept; found != NULL; found = found->before)
        count++;
    *ret = ARENA_ARRAY(arena, struct violation, count + 1);
    for (const struct found *found = walk.kept; found != NULL; found = found->before)
        (*ret)[at++] = found->violation;
    qsort(*ret, count, sizeof(**ret), by_message);
    return count;
}
