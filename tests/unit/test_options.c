/* SPDX-License-Identifier: Apache-2.0
 *
 * options: files, types, references, overrides, reload, warnings, sample.
 */
#include "oslo/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const struct option rows[] = {
    { "DEFAULT",  "debug",         OPTION_BOOL,  "false",      "Be chatty.", .reloadable = true },
    { "DEFAULT",  "state_path",    OPTION_STR,   "/var/lib/x", "Where state lies." },
    { "DEFAULT",  "workers",       OPTION_INT,   NULL,         "Processes.", .min = 1, .max = INT64_MAX },
    { "DEFAULT",  "ratio",         OPTION_FLOAT, "1.5",        "A ratio.", .min = 0, .max = 16 },
    { "DEFAULT",  "port",          OPTION_PORT,  "8774",       "A port." },
    { "DEFAULT",  "host",          OPTION_HOST,  "localhost",  "A host." },
    { "DEFAULT",  "my_ip",         OPTION_IP,    "10.0.0.1",   "An address." },
    { "DEFAULT",  "mode",          OPTION_STR,   "auto",       "A mode.", .choices = OPTION_WORDS("auto", "manual") },
    { "database", "connection",    OPTION_STR,   "sqlite:///$state_path/x.sqlite", "The database.", .secret = true },
    { "database", "max_pool_size", OPTION_INT,   "5",          "Pool.", .secret = false,
      .deprecated = OPTION_WORDS("DEFAULT/sql_max_pool_size", "pool_size") },
    { "api",      "filters",       OPTION_LIST,  "a, b",       "Filters." },
    { "api",      "aliases",       OPTION_MULTI, NULL,         "Aliases." },
    { "AGENT",    "report_interval", OPTION_INT, "30",       "In capitals, as neutron has it." },
    { "api",      "map",           OPTION_DICT,  "x:1",        "A map." },
    { "api",      "url",           OPTION_URI,   NULL,         "A URL." },
};
static const struct option_table table = OPTION_TABLE(rows);
static const struct option_table *const tables[] = { &table };

static char path[64];

static struct fault *load(struct arena *arena, const char *text, struct config **ret)
{
    FILE *file = fopen(path, "w");

    fputs(text, file);
    fclose(file);
    return config_create(arena, tables, 1, &(struct config_source){ .path = path }, 1, ret);
}

static int make_path(void **state)
{
    strcpy(path, "/tmp/test_options_XXXXXX");
    return close(mkstemp(path));
}

static int remove_path(void **state)
{
    return unlink(path);
}

static void reads_a_file(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct config *config = NULL;
    size_t count;

    assert_null(load(arena,
        "# a comment\n; another\n[DEFAULT]\ndebug = YES\nstate_path: /srv\nworkers=4\n"
        "mode = auto\nmode = 'manual'\n\n[DATABASE]\nconnection = mysql://u:p$$x@h/${DEFAULT.mode}$nothing\n"
        "pool-size = 9\n[api]\nfilters = one,\n    two ,\n\tthree\naliases = 1\naliases = 2\nmap = a:b:c, d : e\n",
        &config));
    assert_true(config_bool(config, "DEFAULT", "debug"));
    assert_string_equal(config_str(config, "DEFAULT", "state_path"), "/srv");
    assert_int_equal(config_int(config, "DEFAULT", "workers"), 4);
    assert_true(config_float(config, "DEFAULT", "ratio") == 1.5);
    assert_string_equal(config_str(config, "DEFAULT", "mode"), "manual");
    assert_string_equal(config_str(config, "database", "connection"), "mysql://u:p$x@h/manual$nothing");
    assert_int_equal(config_int(config, "database", "max_pool_size"), 9);
    assert_string_equal(config_list(config, "api", "filters", &count)[2], "three");
    assert_int_equal(count, 3);
    assert_string_equal(config_list(config, "api", "aliases", &count)[1], "2");
    assert_int_equal(count, 2);
    const char *const *map = config_list(config, "api", "map", NULL);
    assert_string_equal(map[1], "b:c");
    assert_string_equal(map[2], "d");
    assert_string_equal(map[3], "e");
    assert_null(config_str(config, "api", "url"));
    assert_false(config_is_set(config, "api", "url"));
    assert_string_equal(config_origin(arena, config, "DEFAULT", "workers"), arena_printf(arena, "%s:6", path));
    config_destroy(config);
}

static void references_a_default(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct config *config = NULL;

    assert_null(load(arena, "", &config));
    assert_string_equal(config_str(config, "database", "connection"), "sqlite:////var/lib/x/x.sqlite");
    config_destroy(config);
}

static void refuses_wrong_values(void **state)
{
    static const struct {
        const char *text, *reason;
    } cases[] = {
        { "[DEFAULT]\ndebug = maybe\n",         ":2: Value for option DEFAULT.debug is not valid: Unexpected boolean value (found 'maybe')" },
        { "[DEFAULT]\nworkers = 0\n",           "Should be greater than or equal to 1" },
        { "[DEFAULT]\nworkers = 4x\n",          "Not an integer" },
        { "[DEFAULT]\nworkers = 99999999999999999999\n", "Not an integer" },
        { "[DEFAULT]\nratio = 17\n",            "Should be less than or equal to 16" },
        { "[DEFAULT]\nport = 65536\n",          "Should be less than or equal to 65535" },
        { "[DEFAULT]\nhost = -bad-\n",          "Not a valid host address" },
        { "[DEFAULT]\nmy_ip = 1.2.3\n",         "Not IPv4 or IPv6 address" },
        { "[DEFAULT]\nmode = other\n",          "Valid values are [auto, manual] (found 'other')" },
        { "[api]\nmap = a\n",                   "Value should be NAME:VALUE pairs separated by \",\"" },
        { "[api]\nurl = nowhere\n",             "Invalid URI" },
        { "[DEFAULT]\nstate_path = $mode\nmode = $state_path\n", "references" },
        { "debug = 1\n",                        "Section must be started before assignment" },
        { "[DEFAULT\n",                         "Invalid section (must end with ])" },
        { "[]\n",                               "Empty section name" },
        { "[DEFAULT]\nnonsense\n",              "No ':' or '=' found in assignment" },
        { "[DEFAULT]\n= 1\n",                   "Key cannot be empty" },
        { "  x\n",                              "Unexpected continuation line" },
    };
    ARENA_CLEANUP struct arena *arena = arena_create();

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config *config = NULL;
        struct fault *fault = load(arena, cases[i].text, &config);

        assert_non_null(fault);
        if (strstr(fault->message, cases[i].reason) == NULL)
            fail_msg("%s: %s", cases[i].reason, fault->message);
        assert_null(config);
    }
}

static void keeps_secrets(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct config *config = NULL;
    struct fault *fault = load(arena, "[database]\nconnection = hunter2$connection\n", &config);

    assert_non_null(fault);
    assert_null(strstr(fault_text(arena, fault), "hunter2"));
    fault = load(arena, "[database]\nconnection hunter2\n", &config);
    assert_non_null(fault);
    assert_null(strstr(fault_text(arena, fault), "hunter2"));
}

static void overrides_and_environment(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct config *config = NULL;
    const char *before;

    setenv("OS_DATABASE__MAX_POOL_SIZE", "77", 1);
    assert_null(load(arena, "[DEFAULT]\nworkers = 2\n", &config));
    unsetenv("OS_DATABASE__MAX_POOL_SIZE");
    assert_int_equal(config_int(config, "database", "max_pool_size"), 77);
    before = config_str(config, "DEFAULT", "state_path");
    assert_null(config_set_override(arena, config, "DEFAULT", "state_path", "/over"));
    assert_string_equal(config_str(config, "database", "connection"), "sqlite:////over/x.sqlite");
    assert_string_equal(before, "/var/lib/x");
    assert_non_null(config_set_override(arena, config, "DEFAULT", "workers", "none"));
    assert_int_equal(config_int(config, "DEFAULT", "workers"), 2);
    assert_null(config_set_override(arena, config, "DEFAULT", "state_path", NULL));
    assert_string_equal(config_str(config, "DEFAULT", "state_path"), "/var/lib/x");
    config_destroy(config);
}

static void reloads(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct config *config = NULL;
    FILE *file;

    assert_null(load(arena, "[DEFAULT]\nworkers = 2\n", &config));
    file = fopen(path, "w");
    fputs("[DEFAULT]\nworkers = 3\ndebug = on\n", file);
    fclose(file);
    assert_null(config_reload(arena, config));
    assert_true(config_bool(config, "DEFAULT", "debug"));
    assert_int_equal(config_int(config, "DEFAULT", "workers"), 2);
    file = fopen(path, "w");
    fputs("[DEFAULT]\ndebug = broken\n", file);
    fclose(file);
    assert_non_null(config_reload(arena, config));
    assert_true(config_bool(config, "DEFAULT", "debug"));
    config_destroy(config);
}

static void warns_once(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct config *config = NULL;

    assert_null(load(arena, "[DEFAULT]\nworkerz = 2\nzzz_zzz_zzz = 1\n[elsewhere]\na_b_c_d_e = 1\nf_g_h_i_j = 2\n",
        &config));
    assert_int_equal(config_warn_unknown(config), 3);
    assert_int_equal(config_warn_unknown(config), 0);
    config_destroy(config);
}

/* [agent] in a file is the group AGENT of neutron's table. */
static void groups_without_regard_to_case(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct config *config = NULL;

    assert_null(load(arena, "[agent]\nreport_interval = 7\n", &config));
    assert_int_equal(config_int(config, "AGENT", "report_interval"), 7);
    assert_int_equal(config_warn_unknown(config), 0);
    config_destroy(config);
}

static void masks_passwords_in_urls(void **state)
{
    static const char *const urls[][2] = {
        { "mysql+pymysql://nova:pa@ss@host:3306/nova?charset=utf8", "mysql+pymysql://nova:***@host:3306/nova?charset=utf8" },
        { "rabbit://a:one@h1:5672,b:two@h2/v", "rabbit://a:***@h1:5672,b:***@h2/v" },
        { "http://secret@host:1", "http://***@host:1" },
        { "http://host:5000/v3", "http://host:5000/v3" },
        { "sqlite:////var/lib/nova.db", "sqlite:////var/lib/nova.db" },
        { "a,b@c", "a,b@c" },
        { "", "" },
    };
    ARENA_CLEANUP struct arena *arena = arena_create();

    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++)
        assert_string_equal(config_mask_url(arena, urls[i][0]), urls[i][1]);
}

static void missing_files(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct config *config = NULL;
    struct config_source gone = { .path = "/nonexistent/x.conf" };

    assert_string_equal(config_create(arena, tables, 1, &gone, 1, &config)->code, "ConfigFilesNotFoundError");
    gone.optional = true;
    assert_null(config_create(arena, tables, 1, &gone, 1, &config));
    config_destroy(config);
}

static void writes_a_sample(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    BUF_CLEANUP struct buf out = { 0 };
    struct config *config = NULL;

    config_sample(&out, tables, 1);
    assert_non_null(strstr(buf_text(&out), "[DEFAULT]\n\n# Be chatty. (boolean value)\n"
        "# Note: This option can be changed without restarting.\n#debug = false\n"));
    assert_non_null(strstr(buf_text(&out), "# Deprecated group/name - [DEFAULT]/sql_max_pool_size\n"
        "# Deprecated group/name - [database]/pool_size\n#max_pool_size = 5\n"));
    assert_non_null(strstr(buf_text(&out), "#workers = <None>\n"));
    assert_null(load(arena, buf_text(&out), &config));
    config_destroy(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_file),         cmocka_unit_test(references_a_default),
        cmocka_unit_test(refuses_wrong_values), cmocka_unit_test(keeps_secrets),
        cmocka_unit_test(overrides_and_environment), cmocka_unit_test(reloads),
        cmocka_unit_test(warns_once),           cmocka_unit_test(groups_without_regard_to_case),
        cmocka_unit_test(masks_passwords_in_urls),
        cmocka_unit_test(missing_files),        cmocka_unit_test(writes_a_sample),
    };

    return cmocka_run_group_tests(tests, make_path, remove_path);
}
