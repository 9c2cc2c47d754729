/* SPDX-License-Identifier: Apache-2.0
 *
 * Filters of LDAP from texts of strangers: whatever they are, they stand for themselves.
 */
#include "keystone/identity/directory_filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void check(void (*write)(struct buf *out, const char *value), const char *value, const char *expected)
{
    BUF_CLEANUP struct buf out = { 0 };

    write(&out, value);
    assert_string_equal(buf_text(&out), expected);
}

static void test_filter_values(void **state)
{
    check(filter_value, "ann", "ann");
    check(filter_value, "*", "\\2a");
    check(filter_value, "a)(uid=*", "a\\29\\28uid=\\2a");
    check(filter_value, "back\\slash", "back\\5cslash");
    check(filter_value, "line\nend\x7f", "line\\0aend\\7f");
    check(filter_value, "\xc3\xa9", "\xc3\xa9");
    check(filter_value, "", "");
}

static void test_conditions(void **state)
{
    BUF_CLEANUP struct buf out = { 0 };

    filter_equals(&out, "uid", "x)(|(uid=*");
    assert_string_equal(buf_text(&out), "(uid=x\\29\\28|\\28uid=\\2a)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filter_values), cmocka_unit_test(test_conditions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
