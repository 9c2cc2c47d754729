/* SPDX-License-Identifier: Apache-2.0
 *
 * policy: the language, defaults and files, deprecated checks, scopes, circles.
 */
#include "oslo/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const struct policy_rule rows[] = {
    { "admin_required", "role:admin or is_admin:1", 0, "Admin." },
    { "owner",          "user_id:%(user_id)s",      0, "Owner." },
    { "list",           "rule:admin_required or (role:reader and system_scope:all)", POLICY_SYSTEM | POLICY_PROJECT,
      "List things.", POLICY_OPERATIONS({ "GET", "/v3/things" }),
      POLICY_DEPRECATED(.name = "old_list", .check = "rule:owner", .since = "S", .reason = "Because.") },
};
static const struct policy_table table = POLICY_TABLE(rows);
static const struct policy_table *const tables[] = { &table };

static const char *lookup(const void *data, const char *key, size_t index)
{
    return strcmp(key, "token.project.domain.id") == 0 && index == 0 ? "d1" : NULL;
}

static const char *const roles[] = { "Member", "reader", NULL };
static const char *const admin_roles[] = { "admin", NULL };
static const struct policy_credentials member = { .user_id = "u1", .project_id = "p1", .roles = roles,
    .lookup = lookup };
static const struct policy_target target[] = { { "user_id", "u1" }, { "project_id", "p1" }, { "target.role.domain_id" },
    { "visibility", "public" }, { "target.domain.id", "d1" }, { "shared", "True" }, { "r", "MEMBER" }, { NULL, NULL } };

static void decides(void **state)
{
    static const struct {
        const char *check;
        bool allowed;
    } cases[] = {
        { "", true }, { "@", true }, { "!", false }, { "role:member", true }, { "role:READER", true },
        { "role:admin", false }, { "role:%(r)s", true }, { "not role:admin", true },
        { "role:admin or role:member", true }, { "role:admin and role:member", false },
        { "role:member or role:admin and role:nobody", true }, { "(role:member or role:admin) and role:nobody", false },
        { "role:nobody and role:admin or role:member", true }, { "NOT (role:member AND role:reader)", false },
        { "user_id:%(user_id)s", true }, { "user_id:%(project_id)s", false }, { "user_id:%(absent)s", false },
        { "project_id:p1", true }, { "tenant_id:%(project_id)s", true }, { "project_id:p", false },
        { "is_admin:True", false }, { "is_admin:False", true }, { "None:%(target.role.domain_id)s", true },
        { "'public':%(visibility)s", true }, { "\"private\":%(visibility)s", false }, { "True:%(shared)s", true },
        { "token.project.domain.id:%(target.domain.id)s", true }, { "token.absent:x", false },
        { "domain_id:%(target.role.domain_id)s", false }, { "domain_id:None", true },
        { "field:networks:shared=True", true },
        { "field:networks:shared=False", false }, { "http://h/%(user_id)s", false }, { "rule:owner", true },
        { "rule:absent", false }, { "(((role:member)))", true }, { "project_id:%(project_id)s%%", false },
        { "not not role:member", true }, { "roles:reader", true },
    };
    ARENA_CLEANUP struct arena *arena = arena_create();

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct policy_rule row = { "x", cases[i].check };
        struct policy_table one = { &row, 1 };
        const struct policy_table *const both[] = { &table, &one };
        struct policy *policy = NULL;

        assert_null(policy_create(arena, both, 2, &(struct policy_settings){ 0 }, &policy));
        if ((policy_decide(policy, "x", target, &member) == POLICY_ALLOWED) != cases[i].allowed)
            fail_msg("%s", cases[i].check);
        policy_destroy(policy);
    }
}

static void refuses_bad_checks(void **state)
{
    static const char *const cases[] = { "role", "(role:a", "role:a)", "role:a role:b", "and role:a", "role:a or",
        "not", "user_id:%(x", "user_id:%d", ":x", "()", "'text'", "rule:x", "field:x" };
    ARENA_CLEANUP struct arena *arena = arena_create();

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct policy_rule row = { "x", cases[i] };
        struct policy_table one = { &row, 1 };
        const struct policy_table *const only[] = { &one };
        struct policy *policy = NULL;

        if (policy_create(arena, only, 1, &(struct policy_settings){ 0 }, &policy) == NULL)
            fail_msg("%s", cases[i]);
    }
}

static struct fault *with_file_named(struct arena *arena, const char *suffix, const char *text,
    struct policy_settings settings, struct policy **ret)
{
    char *path = arena_printf(arena, "/tmp/test_policy_XXXXXX%s", suffix);
    int fd = mkstemps(path, (int)strlen(suffix));
    struct fault *fault;

    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    settings.file = path;
    fault = policy_create(arena, tables, 1, &settings, ret);
    unlink(path);
    return fault;
}

static struct fault *with_file(struct arena *arena, const char *text, struct policy_settings settings,
    struct policy **ret)
{
    return with_file_named(arena, ".yaml", text, settings, ret);
}

static void reads_files(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct policy_settings settings = { 0 };
    struct policy *policy = NULL;

    assert_null(with_file(arena, "# c\n\"owner\": \"!\"\nlists:\n - [\"role:x\", \"role:y\"]\n - \"role:reader\"\n",
        settings, &policy));
    assert_int_equal(policy_decide(policy, "owner", target, &member), POLICY_DENIED);
    assert_int_equal(policy_decide(policy, "lists", target, &member), POLICY_ALLOWED);
    assert_int_equal(policy_decide(policy, "nothing", target, &member), POLICY_DENIED);
    policy_destroy(policy);
    assert_null(with_file(arena, "default: role:reader\nold_list: role:member\n", settings, &policy));
    assert_int_equal(policy_decide(policy, "nothing", target, &member), POLICY_ALLOWED);
    assert_int_equal(policy_decide(policy, "list", NULL, &member), POLICY_ALLOWED);
    policy_destroy(policy);
    assert_null(with_file(arena, "", settings, &policy));
    policy_destroy(policy);
    assert_null(with_file(arena, "{\"owner\": \"!\"}", settings, &policy)); /* JSON is YAML; the name is what is refused */
    assert_int_equal(policy_decide(policy, "owner", target, &member), POLICY_DENIED);
    policy_destroy(policy);
    assert_non_null(strstr(with_file_named(arena, ".json", "{}", settings, &policy)->message, "oslopolicy-convert"));
    assert_non_null(strstr(with_file(arena, "a: rule:b\nb: not rule:a\n", settings, &policy)->message, "circle"));
    assert_non_null(with_file(arena, "a:\n", settings, &policy));
    assert_non_null(with_file(arena, "a: &x role:b\nc: *x\n", settings, &policy));
    assert_non_null(with_file(arena, "- a\n", settings, &policy));
    assert_non_null(with_file(arena, "a: {b: c}\n", settings, &policy));
    assert_non_null(with_file(arena, "a: [[[b]]]\n", settings, &policy));
    assert_non_null(with_file(arena, "a: \"unclosed\nb", settings, &policy));
}

static void deprecated_and_scopes(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct policy_credentials domain = { .user_id = "u9", .domain_id = "d1", .roles = admin_roles };
    struct policy *policy = NULL;

    assert_null(policy_create(arena, tables, 1, &(struct policy_settings){ 0 }, &policy));
    assert_int_equal(policy_decide(policy, "list", target, &member), POLICY_ALLOWED);
    assert_int_equal(policy_decide(policy, "list", target, &domain), POLICY_ALLOWED);
    policy_destroy(policy);
    assert_null(policy_create(arena, tables, 1,
        &(struct policy_settings){ .enforce_scope = true, .enforce_new_defaults = true }, &policy));
    assert_int_equal(policy_decide(policy, "list", target, &member), POLICY_DENIED);
    assert_int_equal(policy_decide(policy, "list", target, &domain), POLICY_WRONG_SCOPE);
    policy_destroy(policy);
}

static void writes_a_sample(void **state)
{
    BUF_CLEANUP struct buf out = { 0 };

    policy_sample(&out, tables, 1);
    assert_non_null(strstr(buf_text(&out), "# List things.\n# GET  /v3/things\n# Intended scope(s): system, project\n"
        "#\"list\": \"rule:admin_required or (role:reader and system_scope:all)\"\n"));
    assert_non_null(strstr(buf_text(&out), "# DEPRECATED\n# \"old_list\":\"rule:owner\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decides),     cmocka_unit_test(refuses_bad_checks),
        cmocka_unit_test(reads_files), cmocka_unit_test(deprecated_and_scopes),
        cmocka_unit_test(writes_a_sample),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
