/* SPDX-License-Identifier: Apache-2.0
 *
 * The operators of extra specs.
 */
#include "nova/scheduler/scheduler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *value, *wanted;
    bool matches;
} cases[] = {
    { "12", "12", true },          { "12", "12.0", false },       { "12", "", false },           { "", "", true },
    { "12", "= 11", true },        { "12", "= 13", false },       { "12", ">= 12", true },       { "12", ">= 12.5", false },
    { "12", "<= 12", true },       { "12", "<= 2", false },       { "12", "== 12.0", true },     { "12", "== 1", false },
    { "12", "!= 12", false },      { "12", "!= 1", true },        { "12", "== abc", false },     { "abc", "!= 12", false },
    { "12", "==", false },         { "12", ">=12", false },       { "==", "==", false },         { "12", "  >=   12  ", true },
    { "abc", "s== abc", true },    { "abc", "s== abd", false },   { "abc", "s!= abd", true },    { "abc", "s!= abc", false },
    { "abc", "s< abd", true },     { "abc", "s< abc", false },    { "abc", "s<= abc", true },    { "abc", "s> abb", true },
    { "abc", "s> abc", false },    { "abc", "s>= abc", true },    { "abc", "s>= abd", false },   { "2", "s> 12", true },
    { "fpu sse", "<in> sse", true },            { "fpu sse", "<in> avx", false },        { "abc", "<in>", false },
    { "fpu sse", "<all-in> sse fpu", true },    { "fpu sse", "<all-in> sse avx", false },
    { "b", "<or> a <or> b", true },             { "c", "<or> a <or> b", false },         { "<or>", "<or> a <or> b", false },
    { "a", "<or> a", true },                    { "a", "<or>", false },
    { "abc", NULL, false },
};

static void test_operators(void **state)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (extra_spec_matches(cases[i].value, cases[i].wanted) != cases[i].matches)
            fail_msg("'%s' and '%s'", cases[i].value, cases[i].wanted != NULL ? cases[i].wanted : "NULL");
}

static void test_long_texts(void **state)
{
    static char words[4000];
    for (size_t length = 1000; length < sizeof(words); length += 7) {
        memset(words, ' ', length);
        for (size_t i = 0; i < length; i += 2)
            words[i] = 'a';
        words[length] = '\0';
        assert_false(extra_spec_matches("b", words));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_operators), cmocka_unit_test(test_long_texts) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
