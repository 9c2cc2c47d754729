/* SPDX-License-Identifier: Apache-2.0 */
#include "keystone/federation/mapping.h"

#include "base/buf.h"
#include "oslo/json.h"
#include "oslo/regex.h"
#include "oslo/schema.h"

#include <stdlib.h>
#include <string.h>

enum { LONGEST_TEXT = 64 << 10 }; /* of a filled-in template */

/* ---- The form of a mapping ---- */

static const struct schema text = { .types = SCHEMA_STRING };
static const struct schema truth = { .types = SCHEMA_BOOLEAN };
static const struct schema list = { .types = SCHEMA_ARRAY };
static const struct schema domain = {
    .types = SCHEMA_OBJECT, .properties = SCHEMA_PROPERTIES({ "id", &text }, { "name", &text }), .closed = true };
static const struct schema user_type = { .types = SCHEMA_STRING, .values = SCHEMA_WORDS("ephemeral", "local") };
static const struct schema user = {
    .types = SCHEMA_OBJECT, .closed = true,
    .properties = SCHEMA_PROPERTIES({ "id", &text }, { "name", &text }, { "email", &text }, { "domain", &domain },
        { "type", &user_type }) };
static const struct schema role = {
    .types = SCHEMA_OBJECT, .properties = SCHEMA_PROPERTIES({ "name", &text }), .required = SCHEMA_WORDS("name") };
static const struct schema roles = { .types = SCHEMA_ARRAY, .items = &role };
static const struct schema project = {
    .types = SCHEMA_OBJECT, .closed = true, .required = SCHEMA_WORDS("name", "roles"),
    .properties = SCHEMA_PROPERTIES({ "name", &text }, { "roles", &roles }) };
static const struct schema projects = { .types = SCHEMA_ARRAY, .items = &project };
static const struct schema group_by_id = {
    .types = SCHEMA_OBJECT, .closed = true, .required = SCHEMA_WORDS("id"), .properties = SCHEMA_PROPERTIES({ "id", &text }) };
static const struct schema group_by_name = {
    .types = SCHEMA_OBJECT, .closed = true, .required = SCHEMA_WORDS("name", "domain"),
    .properties = SCHEMA_PROPERTIES({ "name", &text }, { "domain", &domain }) };
static const struct schema group = { .types = SCHEMA_OBJECT, .one_of = SCHEMA_ANY(&group_by_id, &group_by_name) };
static const struct schema local = {
    .types = SCHEMA_OBJECT, .closed = true,
    .properties = SCHEMA_PROPERTIES({ "user", &user }, { "projects", &projects }, { "group", &group }, { "groups", &text },
        { "group_ids", &text }, { "domain", &domain }) };
static const struct schema locals = { .types = SCHEMA_ARRAY, .items = &local };
static const struct schema plain = {
    .types = SCHEMA_OBJECT, .closed = true, .required = SCHEMA_WORDS("type"),
    .properties = SCHEMA_PROPERTIES({ "type", &text }) };
#define REQUIREMENT(name)                                                                                              \
    { .types = SCHEMA_OBJECT, .closed = true, .required = SCHEMA_WORDS("type", name),                                  \
        .properties = SCHEMA_PROPERTIES({ "type", &text }, { name, &list }, { "regex", &truth }) }
static const struct schema any_one_of = REQUIREMENT("any_one_of");
static const struct schema not_any_of = REQUIREMENT("not_any_of");
static const struct schema blacklist = REQUIREMENT("blacklist");
static const struct schema whitelist = REQUIREMENT("whitelist");
static const struct schema remote = {
    .types = SCHEMA_OBJECT, .one_of = SCHEMA_ANY(&plain, &any_one_of, &not_any_of, &blacklist, &whitelist) };
static const struct schema remotes = { .types = SCHEMA_ARRAY, .items = &remote, .min_items = 1 };
static const struct schema rule = {
    .types = SCHEMA_OBJECT, .closed = true, .required = SCHEMA_WORDS("local", "remote"),
    .properties = SCHEMA_PROPERTIES({ "local", &locals }, { "remote", &remotes }) };
static const struct schema rules_schema = { .types = SCHEMA_ARRAY, .items = &rule, .min_items = 1 };
static const struct schema mapping_schema = {
    .types = SCHEMA_OBJECT, .required = SCHEMA_WORDS("rules"), .properties = SCHEMA_PROPERTIES({ "rules", &rules_schema }) };

bool mapping_check(struct arena *arena, const json_t *mapping, const char **ret_why)
{
    BUF_CLEANUP struct buf all = { 0 };
    struct violation *violations;
    size_t count = schema_check_every(arena, &mapping_schema, mapping, &violations);

    for (size_t i = 0; i < count; i++)
        buf_printf(&all, "%s\n", violations[i].message);
    *ret_why = arena_strdup(arena, buf_text(&all));
    return count == 0;
}

/* ---- Requirements ---- */

/* One evaluation. An expression that is none, or that runs away, decides nothing: the evaluation has failed then. */
struct walk {
    struct arena *arena;
    bool failed;
};

static bool is_found(struct walk *walk, const char *expression, const char *value)
{
    struct regex *regex = regex_compile_exact(walk->arena, expression);
    enum regex_result result = regex != NULL ? regex_search(regex, value) : REGEX_GAVE_UP;

    walk->failed |= result == REGEX_GAVE_UP;
    return result == REGEX_FOUND;
}

static bool is_listed(struct walk *walk, const json_t *listed, const char *value, bool regex)
{
    for (size_t i = 0; i < json_array_size(listed); i++) {
        const char *candidate = json_string_value(json_array_get(listed, i));
        if (candidate == NULL)
            continue;
        if (regex ? is_found(walk, candidate, value) : strcmp(candidate, value) == 0)
            return true;
    }
    return false;
}

static bool has_text(const json_t *array, const char *value)
{
    for (size_t i = 0; i < json_array_size(array); i++)
        if (json_is_string(json_array_get(array, i)) && strcmp(json_string_value(json_array_get(array, i)), value) == 0)
            return true;
    return false;
}

static void add_once(json_t *array, const char *value)
{
    if (!has_text(array, value))
        json_array_append_new(array, json_string(value));
}

/* "a;b" as an array. */
static json_t *split(struct arena *arena, const char *value)
{
    json_t *values = json_keep(arena, json_array());

    while (true) {
        size_t length = strcspn(value, ";");
        json_array_append_new(values, json_stringn(value, length));
        if (value[length] == '\0')
            return values;
        value += length + 1;
    }
}

/* Those that are listed, or those that are not. */
static json_t *cut(struct walk *walk, const json_t *values, const json_t *listed, bool regex, bool keep_listed)
{
    json_t *kept = json_keep(walk->arena, json_array());

    for (size_t i = 0; i < json_array_size(values); i++) {
        const char *value = json_string_value(json_array_get(values, i));
        if (is_listed(walk, listed, value, regex) == keep_listed)
            add_once(kept, value);
    }
    return kept;
}

static bool any_listed(struct walk *walk, const json_t *values, const json_t *listed, bool regex)
{
    for (size_t i = 0; i < json_array_size(values); i++)
        if (is_listed(walk, listed, json_string_value(json_array_get(values, i)), regex))
            return true;
    return false;
}

/* Whether all requirements are met; appends the values of those that hand them on. */
static bool requirements_met(struct walk *walk, const json_t *requirements, const json_t *assertion, json_t *handed)
{
    for (size_t i = 0; i < json_array_size(requirements); i++) {
        const json_t *requirement = json_array_get(requirements, i), *listed;
        const char *value = json_string_value(json_object_get(assertion, json_text_at(requirement, "type")));
        bool regex = json_is_true(json_object_get(requirement, "regex"));
        if (value == NULL)
            return false;
        json_t *values = split(walk->arena, value);
        if ((listed = json_object_get(requirement, "any_one_of")) != NULL) {
            if (!any_listed(walk, values, listed, regex))
                return false;
            continue;
        }
        if ((listed = json_object_get(requirement, "not_any_of")) != NULL) {
            if (any_listed(walk, values, listed, regex))
                return false;
            continue;
        }
        if ((listed = json_object_get(requirement, "blacklist")) != NULL)
            values = cut(walk, values, listed, regex, false);
        else if ((listed = json_object_get(requirement, "whitelist")) != NULL)
            values = cut(walk, values, listed, regex, true);
        json_array_append(handed, values);
    }
    return true;
}

/* ---- Templates ---- */

/* One value as it is, others as Python shows a list. */
static void put_values(struct buf *out, const json_t *values)
{
    if (json_array_size(values) == 1)
        buf_puts(out, json_string_value(json_array_get(values, 0)));
    else
        python_repr(out, values);
}

/* Python's text.format(*handed), of fields that are numbers or empty. */
static bool fill(struct buf *out, const char *template, const json_t *handed)
{
    size_t next = 0;

    for (const char *c = template; *c != '\0' && out->length < LONGEST_TEXT; c++) {
        if ((*c == '{' || *c == '}') && c[1] == *c) {
            buf_putc(out, *c++);
        } else if (*c == '}') {
            return false;
        } else if (*c == '{') {
            size_t digits = strspn(c + 1, "0123456789");
            size_t index = digits == 0 ? next++ : digits < 6 ? (size_t)strtoul(c + 1, NULL, 10) : SIZE_MAX;
            if (c[1 + digits] != '}' || index >= json_array_size(handed))
                return false;
            put_values(out, json_array_get(handed, index));
            c += 1 + digits;
        } else {
            buf_putc(out, *c);
        }
    }
    return out->length < LONGEST_TEXT;
}

/* A copy of the template with all texts filled in; NULL when a value is not there. */
static json_t *fill_all(struct arena *arena, const json_t *template, const json_t *handed)
{
    const char *name;
    json_t *value, *filled;

    if (json_is_string(template)) {
        BUF_CLEANUP struct buf out = { 0 };
        return fill(&out, json_string_value(template), handed) ? json_keep(arena, json_string(buf_text(&out))) : NULL;
    }
    if (json_is_array(template)) {
        json_t *array = json_keep(arena, json_array());
        for (size_t i = 0; i < json_array_size(template); i++) {
            filled = fill_all(arena, json_array_get(template, i), handed);
            if (filled == NULL)
                return NULL;
            json_array_append(array, filled);
        }
        return array;
    }
    if (!json_is_object(template))
        return json_keep(arena, json_deep_copy(template));
    json_t *object = json_keep(arena, json_object());
    json_object_foreach((json_t *)template, name, value) {
        filled = fill_all(arena, value, handed);
        if (filled == NULL)
            return NULL;
        json_object_set(object, name, filled);
    }
    return object;
}

/* ---- Lists as text ---- */

static void put_utf8(struct buf *out, unsigned long code)
{
    if (code < 0x80) {
        buf_putc(out, (char)code);
    } else if (code < 0x800) {
        buf_putc(out, (char)(0xc0 | code >> 6));
        buf_putc(out, (char)(0x80 | (code & 0x3f)));
    } else {
        buf_putc(out, (char)(0xe0 | (code >> 12 & 0xf)));
        buf_putc(out, (char)(0x80 | (code >> 6 & 0x3f)));
        buf_putc(out, (char)(0x80 | (code & 0x3f)));
    }
}

/* `\xNN` and `\uNNNN`; *at is behind the letter. */
static bool read_code(struct buf *out, const char **at, size_t digits)
{
    char hex[8] = "";

    if (strspn(*at, "0123456789abcdefABCDEF") < digits)
        return false;
    memcpy(hex, *at, digits);
    unsigned long code = strtoul(hex, NULL, 16);
    if (code == 0 || (code >= 0xd800 && code < 0xe000))
        return false;
    put_utf8(out, code);
    *at += digits;
    return true;
}

/* A quoted text of Python; *at is on the quote before and behind the other after. */
static bool read_quoted(struct buf *out, const char **at)
{
    static const char letters[] = "\\'\"nrt", meanings[] = "\\'\"\n\r\t";
    char quote = *(*at)++;

    while (**at != quote) {
        char c = *(*at)++;
        if (c == '\0')
            return false;
        if (c != '\\') {
            buf_putc(out, c);
            continue;
        }
        c = *(*at)++;
        const char *letter = c != '\0' ? strchr(letters, c) : NULL;
        if (letter != NULL)
            buf_putc(out, meanings[letter - letters]);
        else if (c == '\0' || (c != 'x' && c != 'u') || !read_code(out, at, c == 'x' ? 2 : 4))
            return false;
    }
    (*at)++;
    return true;
}

static void skip_blanks(const char **at)
{
    *at += strspn(*at, " \t\n\r");
}

/* The elements of a list; false when it is none. */
static bool read_list(const char *at, json_t *ret)
{
    skip_blanks(&at);
    if (*at++ != '[')
        return false;
    skip_blanks(&at);
    while (*at != ']') {
        BUF_CLEANUP struct buf element = { 0 };
        size_t digits = strspn(at, "-0123456789");
        if (*at == '\'' || *at == '"') {
            if (!read_quoted(&element, &at))
                return false;
        } else if (digits > 0) {
            buf_append(&element, at, digits);
            at += digits;
        } else {
            return false;
        }
        json_array_append_new(ret, json_string(buf_text(&element)));
        skip_blanks(&at);
        if (*at == ',')
            at++;
        else if (*at != ']')
            return false;
        skip_blanks(&at);
    }
    at++;
    skip_blanks(&at);
    return *at == '\0';
}

json_t *mapping_list(struct arena *arena, const char *value)
{
    json_t *elements = json_keep(arena, json_array());

    if (read_list(value, elements))
        return elements;
    json_array_clear(elements);
    json_array_append_new(elements, json_string(value));
    return elements;
}

/* ---- What the templates say together ---- */

static struct fault *invalid_groups(struct arena *arena, const json_t *value)
{
    BUF_CLEANUP struct buf shown = { 0 };

    python_repr(&shown, value);
    return fault_new(arena, 400, NULL, "Invalid rule: %s. Both 'groups' and 'domain' keywords must be specified.",
        buf_text(&shown));
}

/* "groups": names, whose domain stands beside, or "JSON:{...}" objects that have their own. */
static struct fault *add_groups(struct arena *arena, const json_t *value, struct mapped *ret)
{
    const char *groups = json_text_at(value, "groups"), *why;
    const json_t *domain_info = json_object_get(value, "domain");
    json_t *names = mapping_list(arena, groups);
    bool objects = strstr(groups, "name") != NULL;

    if (!objects && domain_info == NULL)
        return invalid_groups(arena, value);
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        json_t *one;
        if (objects) {
            one = strncmp(name, "JSON:", 5) == 0 ? json_parse(arena, name + 5, strlen(name + 5), &why) : NULL;
            if (!json_is_string(json_object_get(one, "name")) || !json_is_object(json_object_get(one, "domain")))
                return invalid_groups(arena, value);
        } else {
            one = json_keep(arena, json_object());
            json_object_set_new(one, "name", json_string(name));
            json_object_set(one, "domain", (json_t *)domain_info);
        }
        json_array_append(ret->group_names, one);
    }
    return NULL;
}

/* Adds one filled-in template. The first user is the user. */
static struct fault *add_value(struct arena *arena, const json_t *value, struct mapped *ret)
{
    const json_t *member;

    if ((member = json_object_get(value, "user")) != NULL && json_object_size(ret->user) == 0)
        ret->user = member;
    if ((member = json_object_get(value, "group")) != NULL) {
        if (json_text_at(member, "id") != NULL)
            add_once(ret->group_ids, json_text_at(member, "id"));
        else if (json_text_at(member, "name") != NULL)
            json_array_append(ret->group_names, (json_t *)member);
    }
    if (json_text_at(value, "groups") != NULL)
        TRY(add_groups(arena, value, ret));
    if (json_text_at(value, "group_ids") != NULL) {
        const json_t *ids = mapping_list(arena, json_text_at(value, "group_ids"));
        for (size_t i = 0; i < json_array_size(ids); i++)
            add_once(ret->group_ids, json_string_value(json_array_get(ids, i)));
    }
    if ((member = json_object_get(value, "projects")) != NULL)
        ret->projects = member;
    return NULL;
}

/* The user with his type, ephemeral unless it says otherwise. */
static struct fault *settle_user(struct arena *arena, struct mapped *ret)
{
    json_t *copy = json_keep(arena, ret->user != NULL ? json_copy((json_t *)ret->user) : json_object());
    const char *type = json_text_at(copy, "type");

    if (type == NULL || type[0] == '\0')
        json_object_set_new(copy, "type", json_string("ephemeral"));
    else if (strcmp(type, "ephemeral") != 0 && strcmp(type, "local") != 0)
        return fault_new(arena, 400, NULL, "User type %s not supported", type);
    ret->user = copy;
    return NULL;
}

struct fault *mapping_apply(struct arena *arena, const char *mapping_id, const json_t *rules, const json_t *assertion,
    struct mapped *ret)
{
    struct walk walk = { arena, false };
    size_t values = 0;

    *ret = (struct mapped){ .group_ids = json_keep(arena, json_array()), .group_names = json_keep(arena, json_array()) };
    for (size_t i = 0; i < json_array_size(rules); i++) {
        const json_t *one = json_array_get(rules, i), *templates = json_object_get(one, "local");
        json_t *handed = json_keep(arena, json_array());
        bool met = requirements_met(&walk, json_object_get(one, "remote"), assertion, handed);
        if (walk.failed)
            return fault_new(arena, 400, NULL, "An expression in mapping %s cannot be evaluated.", mapping_id);
        if (!met)
            continue;
        for (size_t k = 0; k < json_array_size(templates); k++) {
            json_t *filled = fill_all(arena, json_array_get(templates, k), handed);
            if (filled == NULL)
                return fault_new(arena, 400, NULL, "Local section in mapping %s refers to a remote match that doesn't exist "
                    "(e.g. {0} in a local section).", mapping_id);
            TRY(add_value(arena, filled, ret));
            values++;
        }
    }
    if (values == 0)
        return fault_new(arena, 400, NULL, "Could not map any federated user properties to identity values. Check debug logs or "
            "the mapping used for additional details.");
    return settle_user(arena, ret);
}
