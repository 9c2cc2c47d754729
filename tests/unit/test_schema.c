/* SPDX-License-Identifier: Apache-2.0
 *
 * schema: every keyword, the words of Python's jsonschema, the sentences of the services.
 */
#include "oslo/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct schema name = { .types = SCHEMA_STRING, .min_length = 1, .max_length = 5, .format = "name" };
static const struct schema uuid = { .types = SCHEMA_STRING, .format = "uuid" };
static const struct schema count = { .types = SCHEMA_STRING | SCHEMA_INTEGER, .pattern = "^[0-9]*$", .minimum = 1,
    .maximum = 10 };
static const struct schema flag = { .types = SCHEMA_STRING | SCHEMA_BOOLEAN,
    .values = SCHEMA_WORDS("=true", "True", "=false") };
static const struct schema ratio = { .types = SCHEMA_NUMBER, .maximum_real = 3.4e+38 };
static const struct schema tag = { .types = SCHEMA_STRING | SCHEMA_NULL, .max_length = 3 };
static const struct schema tags = { .types = SCHEMA_ARRAY, .items = &tag, .max_items = 2, .unique_items = true };
static const struct schema metadata = { .types = SCHEMA_OBJECT, .patterns = SCHEMA_PROPERTIES({ "^[a-z]{1,3}$", &tag }),
    .closed = true, .max_properties = 2 };
static const struct schema words = { .types = SCHEMA_STRING, .values = SCHEMA_WORDS("auto", "none") };
static const struct schema networks = { .one_of = SCHEMA_ANY(&tags, &words) };
static const struct schema server = { .types = SCHEMA_OBJECT,
    .properties = SCHEMA_PROPERTIES({ "name", &name }, { "uuid", &uuid }, { "count", &count }, { "flag", &flag },
        { "ratio", &ratio }, { "tags", &tags }, { "metadata", &metadata }, { "networks", &networks }),
    .required = SCHEMA_WORDS("name"), .closed = true };
static const struct schema body = { .types = SCHEMA_OBJECT, .properties = SCHEMA_PROPERTIES({ "server", &server }),
    .required = SCHEMA_WORDS("server"), .closed = true };

static const struct {
    const char *document, *text; /* text NULL: it fits */
} cases[] = {
    { "{'server': {'name': 'a'}}", NULL },
    { "{'server': {'name': 'a', 'count': '10', 'flag': true, 'ratio': 1, 'tags': ['x', null], 'networks': 'auto'}}", NULL },
    { "{}", "'server' is a required property" },
    { "[]", "[] is not of type 'object'" },
    { "{'server': {}}", "Invalid input for field/attribute server. Value: {}. 'name' is a required property" },
    { "{'server': {'name': ''}}", "Invalid input for field/attribute name. Value: . '' is too short" },
    { "{'server': {'name': 'abcdef'}}", "Invalid input for field/attribute name. Value: abcdef. 'abcdef' is too long" },
    { "{'server': {'name': 'äöüß€'}}", NULL },
    { "{'server': {'name': null}}", "Invalid input for field/attribute name. Value: None. None is not of type 'string'" },
    { "{'server': {'name': 'a '}}", "An invalid 'name' value was provided. The name must be: printable characters. Can not start or end with whitespace." },
    { "{'server': {'name': 'a', 'x': 1}}", "Invalid input for field/attribute server. Value: {'name': 'a', 'x': 1}. Additional properties are not allowed ('x' was unexpected)" },
    { "{'server': {'name': 'a'}, 'z': 1, 'b': 2}", "Additional properties are not allowed ('b', 'z' were unexpected)" },
    { "{'server': {'name': 'a', 'uuid': 'x'}}", "Invalid input for field/attribute uuid. Value: x. 'x' is not a 'uuid'" },
    { "{'server': {'name': 'a', 'count': -1}}", "Invalid input for field/attribute count. Value: -1. -1 is less than the minimum of 1" },
    { "{'server': {'name': 'a', 'count': '11'}}", "Invalid input for field/attribute count. Value: 11. 11 is greater than the maximum of 10" },
    { "{'server': {'name': 'a', 'count': 'x1'}}", "Invalid input for field/attribute count. Value: x1. 'x1' does not match '^[0-9]*$'" },
    { "{'server': {'name': 'a', 'count': 1.5}}", "Invalid input for field/attribute count. Value: 1.5. 1.5 is not of type 'string', 'integer'" },
    { "{'server': {'name': 'a', 'flag': 'y'}}", "Invalid input for field/attribute flag. Value: y. 'y' is not one of [True, 'True', False]" },
    { "{'server': {'name': 'a', 'ratio': 1e39}}", "Invalid input for field/attribute ratio. Value: 1e+39. 1e+39 is greater than the maximum of 3.4e+38" },
    { "{'server': {'name': 'a', 'ratio': true}}", "Invalid input for field/attribute ratio. Value: True. True is not of type 'number'" },
    { "{'server': {'name': 'a', 'tags': ['abcd']}}", "Invalid input for field/attribute 0. Value: abcd. 'abcd' is too long" },
    { "{'server': {'name': 'a', 'tags': ['a', 'a']}}", "Invalid input for field/attribute tags. Value: ['a', 'a']. ['a', 'a'] has non-unique elements" },
    { "{'server': {'name': 'a', 'tags': ['a', 'b', 'c']}}", "Invalid input for field/attribute tags. Value: ['a', 'b', 'c']. ['a', 'b', 'c'] is too long" },
    { "{'server': {'name': 'a', 'metadata': {'A': 'x'}}}", "Invalid input for field/attribute metadata. Value: {'A': 'x'}. 'A' does not match any of the regexes: '^[a-z]{1,3}$'" },
    { "{'server': {'name': 'a', 'metadata': {'a': 1}}}", "Invalid input for field/attribute a. Value: 1. 1 is not of type 'string', 'null'" },
    { "{'server': {'name': 'a', 'networks': 1}}", "Invalid input for field/attribute networks. Value: 1. 1 is not valid under any of the given schemas" },
};

/* Cases are written with single quotes. */
static json_t *parse(const char *text)
{
    char copy[512];
    json_t *document;

    snprintf(copy, sizeof(copy), "%s", text);
    for (char *at = copy; *at != '\0'; at++)
        *at = *at == '\'' ? '"' : *at;
    document = json_loads(copy, 0, NULL);
    assert_non_null(document);
    return document;
}

static void says_what_nova_says(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *document = parse(cases[i].document);
        struct violation violation = { 0 };
        bool fits = schema_check(arena, &body, document, SCHEMA_TEXT_NUMBER, &violation);

        if (fits != (cases[i].text == NULL))
            fail_msg("%s: %s", cases[i].document, fits ? "fits" : violation.message);
        if (!fits)
            assert_string_equal(violation_text_nova(arena, &violation, false), cases[i].text);
        json_decref(document);
    }
}

static void prints_the_long_text(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    json_t *document = parse("{'server': {'name': 'a', 'tags': [1]}}");
    struct violation violation = { 0 };

    assert_false(schema_check(arena, &body, document, 0, &violation));
    assert_string_equal(violation.path, "server/tags/0");
    assert_string_equal(violation_text_placement(arena, &violation),
        "JSON does not validate: 1 is not of type 'string', 'null'\n\nFailed validating 'type' in "
        "schema['properties']['server']['properties']['tags']['items']:\n"
        "    {'maxLength': 3, 'type': ['string', 'null']}\n\nOn instance['server']['tags'][0]:\n    1");
    assert_memory_equal(violation_text_keystone(arena, &violation), "Invalid input for field 'server/tags/0': 1 is", 45);
    json_decref(document);
}

static void keeps_the_best_match(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    json_t *document = parse("{'server': {'name': ''}, 'x': 1}");
    struct violation violation = { 0 };

    assert_false(schema_check(arena, &body, document, SCHEMA_FIRST, &violation));
    assert_string_equal(violation.message, "'' is too short");
    assert_false(schema_check(arena, &body, document, SCHEMA_BEST, &violation));
    assert_string_equal(violation.message, "Additional properties are not allowed ('x' was unexpected)");
    json_decref(document);
    document = parse("{'server': {'name': 'a', 'networks': ['abcd']}}");
    assert_false(schema_check(arena, &body, document, SCHEMA_BEST, &violation));
    assert_string_equal(violation.message, "'abcd' is too long");
    assert_string_equal(violation.schema_index, "[0]['items']");
    json_decref(document);
}

static void prints_as_python(void **state)
{
    static const struct {
        double number;
        const char *text;
    } reals[] = { { 1, "1.0" }, { 0.1, "0.1" }, { 1e16, "1e+16" }, { 123456789012345.0, "123456789012345.0" },
        { 0.0001, "0.0001" }, { 0.00001, "1e-05" }, { -2.5, "-2.5" }, { 100, "100.0" }, { 0, "0.0" } };
    BUF_CLEANUP struct buf out = { 0 };
    json_t *document;

    for (size_t i = 0; i < sizeof(reals) / sizeof(reals[0]); i++) {
        buf_clear(&out);
        python_repr_real(&out, reals[i].number);
        assert_string_equal(buf_text(&out), reals[i].text);
    }
    buf_clear(&out);
    document = json_loads("[\"it's\", \"a\\\"'\", \"\\u00e9\\u00a0\\u200b\\n\\u0001\\ud83d\\ude00\"]", 0, NULL);
    python_repr(&out, document);
    assert_string_equal(buf_text(&out), "[\"it's\", 'a\"\\'', '\xc3\xa9\\xa0\\u200b\\n\\x01\xf0\x9f\x98\x80']");
    json_decref(document);
    buf_clear(&out);
    document = json_loads("{\"b\": {\"type\": \"string\", \"maxLength\": 255, \"minLength\": 1, \"pattern\": \"^[a-z]+$\"},"
        " \"a\": [1, 2]}", 0, NULL);
    python_pformat(&out, document, 0);
    assert_string_equal(buf_text(&out), "{'a': [1, 2],\n 'b': {'maxLength': 255,\n       'minLength': 1,\n"
        "       'pattern': '^[a-z]+$',\n       'type': 'string'}}");
    json_decref(document);
}

static void knows_formats(void **state)
{
    static const struct {
        const char *format, *good, *bad;
    } rows[] = {
        { "uri",              "http://h:80/p?q#f",                    "http:/x" },
        { "ipv4",             "10.0.0.1",                             "10.0.0" },
        { "ipv6",             "fe80::1",                              "10.0.0.1" },
        { "cidr",             "10.0.0.0/24",                          "10.0.0.0/33" },
        { "cidr",             "fd00::/64",                            "10.0.0.0" },
        { "base64",           "aGVsbG8=",                             "aGVsbG8" },
        { "date-time",        "2026-11-22T19:55:50Z",                 "yesterday" },
        { "hostname",         "a-b.example",                          "-a" },
        { "uuid",             "6e4a4f2f-7a0a-4c2b-9a56-5a0f1c2d3e4f", "6e4a" },
        { "regex",            "^a.*$",                                "(" },
        { "az_name",          "zone 1",                               "a:b" },
        { "keypair_name_20",  "my key_1-2",                           "a@b" },
        { "keypair_name_292", "a@b.c",                                "a/b" },
        { "name_with_leading_trailing_spaces", " a b ",               "  " },
    };
    const char *sentence = NULL;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_true(schema_format_check(rows[i].format, rows[i].good, &sentence));
        assert_false(schema_format_check(rows[i].format, rows[i].bad, &sentence));
    }
}

static void survives_a_hostile_match(void **state)
{
    char text[4096];

    memset(text, 'a', sizeof(text));
    assert_false(schema_pattern_found("^(a+)+$", text, 40) && schema_pattern_found("^(a|a)*b$", text, sizeof(text)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_nova_says),  cmocka_unit_test(prints_the_long_text),
        cmocka_unit_test(keeps_the_best_match), cmocka_unit_test(prints_as_python),
        cmocka_unit_test(knows_formats),        cmocka_unit_test(survives_a_hostile_match),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
