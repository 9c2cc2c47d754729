/* SPDX-License-Identifier: Apache-2.0
 *
 * The mapping language of federation: one row a rule, an assertion, and what comes out of them.
 */
#include "keystone/federation/mapping.h"
#include "oslo/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define RULE(local, remote) "[{'local': [" local "], 'remote': [" remote "]}]"
#define NAME                "{'user': {'name': '{0}'}}"

static const struct {
    const char *rules, *assertion; /* with ' for " */
    int status;                    /* 0: it applies, and the rest holds */
    const char *name, *type, *group_ids, *group_names;
} rows[] = {
    { RULE(NAME, "{'type': 'U'}"), "{'U': 'bob'}", 0, "bob", "ephemeral", "[]", "[]" },
    { RULE("{'user': {'name': '{0} {1}', 'type': 'local'}}", "{'type': 'F'}, {'type': 'L'}"), "{'F': 'a', 'L': 'b'}", 0, "a b",
        "local", "[]", "[]" },
    { RULE("{'user': {'name': '{} {} {{x}}'}}", "{'type': 'F'}, {'type': 'L'}"), "{'F': 'a', 'L': 'b'}", 0, "a b {x}",
        "ephemeral", "[]", "[]" },
    /* the requirement is not met, or names what is not asserted */
    { RULE(NAME, "{'type': 'U'}"), "{'V': 'bob'}", 400, NULL, NULL, NULL, NULL },
    { RULE(NAME, "{'type': 'U'}, {'type': 'T', 'any_one_of': ['x']}"), "{'U': 'bob', 'T': 'y;z'}", 400, NULL, NULL, NULL, NULL },
    { RULE(NAME, "{'type': 'U'}, {'type': 'T', 'not_any_of': ['z']}"), "{'U': 'bob', 'T': 'y;z'}", 400, NULL, NULL, NULL, NULL },
    { RULE(NAME, "{'type': 'U'}, {'type': 'T', 'any_one_of': ['z']}"), "{'U': 'bob', 'T': 'y;z'}", 0, "bob", "ephemeral", "[]",
        "[]" },
    { RULE(NAME, "{'type': 'U'}, {'type': 'T', 'any_one_of': ['@x.org$'], 'regex': true}"), "{'U': 'bob', 'T': 'a@x.org'}", 0,
        "bob", "ephemeral", "[]", "[]" },
    /* case matters */
    { RULE(NAME, "{'type': 'U'}, {'type': 'T', 'any_one_of': ['^A'], 'regex': true}"), "{'U': 'bob', 'T': 'a'}", 400, NULL, NULL,
        NULL, NULL },
    /* an expression that is none lets nobody in, whichever way it is asked */
    { RULE(NAME, "{'type': 'U'}, {'type': 'T', 'not_any_of': ['('], 'regex': true}"), "{'U': 'bob', 'T': 'a'}", 400, NULL, NULL,
        NULL, NULL },
    { RULE("{'user': {'name': '{1}'}}", "{'type': 'U'}"), "{'U': 'bob'}", 400, NULL, NULL, NULL, NULL },
    { RULE("{'user': {'name': '{0'}}", "{'type': 'U'}"), "{'U': 'bob'}", 400, NULL, NULL, NULL, NULL },
    /* groups by list, cut */
    { RULE("{'user': {'name': 'x'}}, {'groups': '{0}', 'domain': {'id': 'd'}}", "{'type': 'G', 'blacklist': ['b']}"),
        "{'G': 'a;b;c;a'}", 0, "x", "ephemeral", "[]",
        "[{'name': 'a', 'domain': {'id': 'd'}}, {'name': 'c', 'domain': {'id': 'd'}}]" },
    { RULE("{'groups': '{0}', 'domain': {'id': 'd'}}", "{'type': 'G', 'whitelist': ['^b'], 'regex': true}"), "{'G': 'a;b1'}", 0,
        NULL, "ephemeral", "[]", "[{'name': 'b1', 'domain': {'id': 'd'}}]" },
    { RULE("{'groups': '{0}'}", "{'type': 'G'}"), "{'G': 'a;b'}", 400, NULL, NULL, NULL, NULL },
    { RULE("{'group_ids': '{0}'}, {'group': {'id': 'z'}}, {'group': {'id': 'a'}}", "{'type': 'G'}"), "{'G': 'a;b'}", 0, NULL,
        "ephemeral", "['a', 'b', 'z']", "[]" },
    { RULE("{'group': {'name': 'g', 'domain': {'name': 'D'}}}", "{'type': 'G'}"), "{'G': 'x'}", 0, NULL, "ephemeral", "[]",
        "[{'name': 'g', 'domain': {'name': 'D'}}]" },
    { RULE("{'groups': '{0}'}", "{'type': 'G'}"), "{'G': 'JSON:{\\'name\\': \\'g\\', \\'domain\\': {\\'name\\': \\'D\\'}}'}", 0, NULL,
        "ephemeral", "[]", "[{'name': 'g', 'domain': {'name': 'D'}}]" },
};

static json_t *quoted(struct arena *arena, const char *text)
{
    char *copy = arena_strdup(arena, text);
    const char *why;

    for (char *c = copy; *c != '\0'; c++)
        if (*c == '\'')
            *c = '"';
    json_t *value = json_parse(arena, copy, strlen(copy), &why);
    assert_non_null(value);
    return value;
}

static void test_rules(void **state)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ARENA_CLEANUP struct arena *arena = arena_create();
        json_t *rules = quoted(arena, rows[i].rules), *mapping = json_keep(arena, json_object());
        struct mapped mapped;
        const char *why;
        json_object_set(mapping, "rules", rules);
        assert_true(mapping_check(arena, mapping, &why));
        struct fault *fault = mapping_apply(arena, "m", rules, quoted(arena, rows[i].assertion), &mapped);
        print_message("%zu: %s\n", i, fault != NULL ? fault->message : "applies");
        assert_int_equal(fault != NULL ? fault->status : 0, rows[i].status);
        if (fault != NULL)
            continue;
        if (rows[i].name != NULL)
            assert_string_equal(json_text_at(mapped.user, "name"), rows[i].name);
        assert_string_equal(json_text_at(mapped.user, "type"), rows[i].type);
        assert_true(json_equal(mapped.group_ids, quoted(arena, rows[i].group_ids)));
        assert_true(json_equal(mapped.group_names, quoted(arena, rows[i].group_names)));
    }
}

static void test_form(void **state)
{
    static const char *const wrong[] = {
        "{}", "{'rules': []}", "{'rules': [{'local': []}]}", "{'rules': [{'local': [], 'remote': []}]}",
        "{'rules': [{'local': [{'user': 'x'}], 'remote': [{'type': 'U'}]}]}",
        "{'rules': [{'local': [{'colour': 'x'}], 'remote': [{'type': 'U'}]}]}",
        "{'rules': [{'local': [], 'remote': [{'type': 'U', 'any_one_of': [], 'not_any_of': []}]}]}",
        "{'rules': [{'local': [{'group': {'name': 'no domain'}}], 'remote': [{'type': 'U'}]}]}",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        ARENA_CLEANUP struct arena *arena = arena_create();
        const char *why;
        assert_false(mapping_check(arena, quoted(arena, wrong[i]), &why));
    }
}

static void check_list(const char *text, const char *expected)
{
    ARENA_CLEANUP struct arena *arena = arena_create();

    assert_string_equal(json_dump(arena, mapping_list(arena, text)), expected);
}

static void test_lists(void **state)
{
    check_list("['a', \"it's\"]", "[\"a\",\"it's\"]");
    check_list("[]", "[]");
    check_list("[1, -2,]", "[\"1\",\"-2\"]");
    check_list("['\\x41\\u00e9\\n']", "[\"A\u00e9\\n\"]");
    check_list("plain", "[\"plain\"]");
    check_list("7", "[\"7\"]");
    check_list("['a'", "[\"['a'\"]");
    check_list("['a\\", "[\"['a\\\\\"]");
    check_list("['\\u12'", "[\"['\\\\u12'\"]");
    check_list("['a'] x", "[\"['a'] x\"]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules), cmocka_unit_test(test_form), cmocka_unit_test(test_lists),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
