/* SPDX-License-Identifier: Apache-2.0
 * log: formats, levels of loggers, files that move, what options and logging configuration files make of it. */
#include "oslo/log/options.h"

#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/nubo-log-XXXXXX";
static struct arena *arena;

static const char *path_of(const char *name)
{
    return arena_printf(arena, "%s/%s", folder, name);
}

static void put(const char *name, const char *text)
{
    FILE *file = fopen(path_of(name), "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static char *get(const char *name)
{
    static char text[65536];
    FILE *file = fopen(path_of(name), "r");
    if (file == NULL)
        return NULL;
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    return text;
}

static struct fault *setup_from(const char *text, struct config **ret)
{
    static const struct option_table *const tables[] = { &log_options };
    put("x.conf", text);
    TRY(config_create(arena, tables, 1, &(struct config_source){ .path = path_of("x.conf") }, 1, ret));
    return log_setup(arena, *ret, "nova-api");
}

static void from_text(const char *text)
{
    struct config *config;
    unlink(path_of("a.log"));
    assert_null(setup_from(arena_printf(arena, "[DEFAULT]\nlog_dir = %s\nlog_file = a.log\n%s", folder, text), &config));
    config_destroy(config);
}

static void formats(void **state)
{
    static const struct log_identity who = { .user_id = "u1", .project_id = "p1", .user_domain_id = "d1",
        .project_domain_id = "d2" };
    from_text("log_date_format = DATE\n");
    log_info("nova.api", "plain %d\nnext", 7);
    const char *before = log_set_context("req-1");
    log_warning("nova.api", "nobody");
    log_set_identity(&who);
    log_error("nova.api", "somebody");
    log_set_identity(NULL);
    log_set_context(before);
    char *text = get("a.log");
    char pid[64];
    snprintf(pid, sizeof(pid), " %d INFO nova.api [-] plain 7 next\n", (int)getpid());
    assert_non_null(strstr(text, pid));
    assert_int_equal(strncmp(text, "DATE.", 5), 0);
    assert_non_null(strstr(text, " WARNING nova.api [None req-1 - - - - - -] nobody\n"));
    assert_non_null(strstr(text, " ERROR nova.api [None req-1 u1 p1 - - d1 d2] somebody\n"));
}

static void own_formats(void **state)
{
    from_text("logging_default_format_string ="
              " <%(levelname)-8s|%(name)s|%(lineno)d|%(process)05d|%(nothing)s> 100%% %(message)s\n");
    log_info("m", "it");
    assert_non_null(strstr(get("a.log"), "<INFO    |m|"));
    assert_non_null(strstr(get("a.log"), "|-> 100% it\n"));
}

static void json_lines(void **state)
{
    from_text("use_json = true\n");
    log_info("m", "a \"quoted\" one");
    assert_non_null(strstr(get("a.log"), "{\"message\": \"a \\\"quoted\\\" one\", \"asctime\": \""));
    assert_non_null(strstr(get("a.log"), "\"levelname\": \"INFO\", \"levelno\": 20"));
}

static void levels(void **state)
{
    from_text("debug = true\ndefault_log_levels = oslo.db=WARN, nova=30, nova.virt=DEBUG\n");
    log_debug("keystone", "one");
    log_info("oslo.db", "two");
    log_info("oslo.db.x", "three");
    log_info("oslo.dbx", "four");
    log_info("nova.api", "five");
    log_warning("nova.api", "six");
    log_debug("nova.virt.disk", "seven");
    char *text = get("a.log");
    assert_non_null(strstr(text, "one"));
    assert_non_null(strstr(text, "test_log.c:")); /* the suffix of DEBUG lines */
    assert_null(strstr(text, "two"));
    assert_null(strstr(text, "three"));
    assert_non_null(strstr(text, "four"));
    assert_null(strstr(text, "five"));
    assert_non_null(strstr(text, "six"));
    assert_non_null(strstr(text, "seven"));
}

static void moved_file(void **state)
{
    struct stat status;
    from_text("");
    log_info("m", "before");
    assert_int_equal(stat(path_of("a.log"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0640);
    assert_int_equal(rename(path_of("a.log"), path_of("a.log.1")), 0);
    log_info("m", "after");
    assert_non_null(strstr(get("a.log"), "after"));
    assert_null(strstr(get("a.log"), "before"));
}

static void rotated_by_size(void **state)
{
    char big[7000];
    from_text("log_rotation_type = size\nmax_logfile_size_mb = 1\nmax_logfile_count = 2\n");
    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    for (int i = 0; i < 500; i++)
        log_info("m", "%s", big);
    assert_int_equal(access(path_of("a.log.1"), F_OK), 0);
    assert_int_equal(access(path_of("a.log.2"), F_OK), 0);
    assert_int_not_equal(access(path_of("a.log.3"), F_OK), 0);
}

static void limited_rate(void **state)
{
    from_text("rate_limit_interval = 1000\nrate_limit_burst = 3\nrate_limit_except_level = ERROR\n");
    for (int i = 0; i < 10; i++)
        log_info("m", "often %d", i);
    log_error("m", "yet seen");
    assert_null(strstr(get("a.log"), "often 9"));
    assert_non_null(strstr(get("a.log"), "yet seen"));
}

static void named_after_program(void **state)
{
    struct config *config;
    assert_null(setup_from(arena_printf(arena, "[DEFAULT]\nlog_dir = %s\n", folder), &config));
    log_info("m", "x");
    assert_non_null(get("nova-api.log"));
    config_destroy(config);
}

static void config_append(void **state)
{
    struct config *config;
    put("logging.conf", arena_printf(arena,
        "[loggers]\nkeys = root, nova\n[handlers]\nkeys = file, own, null\n[formatters]\nkeys = short, context\n"
        "[logger_root]\nlevel = WARNING\nhandlers = file\n"
        "[logger_nova]\nlevel = DEBUG\nhandlers = own\nqualname = nova\npropagate = 0\n"
        "[handler_file]\nclass = handlers.WatchedFileHandler\nargs = ('%s/root.log', 'a')\nformatter = short\n"
        "[handler_own]\nclass = FileHandler\nlevel = INFO\nargs = (\"%s/own.log\",)\nformatter = context\n"
        "[handler_null]\nclass = logging.NullHandler\nargs = ()\n"
        "[formatter_short]\nformat = %%(levelname)s: %%(message)s\n"
        "[formatter_context]\nclass = oslo_log.formatters.ContextFormatter\n", folder, folder));
    assert_null(setup_from(arena_printf(arena, "[DEFAULT]\nlog_config_append = %s\n", path_of("logging.conf")), &config));
    log_info("glance", "dropped");
    log_warning("glance", "kept");
    log_debug("nova.api", "below the handler");
    log_info("nova.api", "nova's");
    assert_string_equal(get("root.log"), "WARNING: kept\n");
    assert_non_null(strstr(get("own.log"), " INFO nova.api [-] nova's\n"));
    assert_null(strstr(get("own.log"), "below"));
    config_destroy(config);
}

static void bad_settings(void **state)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        { "default_log_levels = nova", "nova is not logger=LEVEL" },
        { "default_log_levels = nova=LOUD", "nova=LOUD is not logger=LEVEL" },
        { "syslog_log_facility = LOG_HERE", "there is no syslog facility LOG_HERE" },
        { "log_file = /nowhere/at/all.log", "/nowhere/at/all.log cannot be opened: No such file or directory" },
        { "log_config_append = /nowhere", "Error loading logging config /nowhere" },
        { "log_rotation_type = often", "Valid values are" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct config *config = NULL;
        struct fault *fault = setup_from(arena_printf(arena, "[DEFAULT]\n%s\n", rows[i].text), &config);
        assert_non_null(fault);
        assert_non_null(strstr(fault_text(arena, fault), rows[i].why));
        config_destroy(config);
    }
}

static void names(void **state)
{
    int number;
    assert_true(log_level_parse("WARN", &number) && number == LOG_LEVEL_WARNING);
    assert_true(log_level_parse("15", &number) && number == LOG_LEVEL_INFO);
    assert_true(log_level_parse("50", &number) && number == LOG_LEVEL_CRITICAL);
    assert_false(log_level_parse("warn", &number));
    assert_true(log_facility_parse("local3", &number) && number == LOG_LOCAL3);
    assert_false(log_facility_parse("LOG_LOCAL9", &number));
}

static int make(void **state)
{
    arena = arena_create();
    return mkdtemp(folder) == NULL;
}

static int end(void **state)
{
    arena_destroy(arena);
    char command[64];
    snprintf(command, sizeof(command), "rm -r %s", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats), cmocka_unit_test(own_formats), cmocka_unit_test(json_lines), cmocka_unit_test(levels),
        cmocka_unit_test(moved_file), cmocka_unit_test(rotated_by_size), cmocka_unit_test(named_after_program),
        cmocka_unit_test(config_append), cmocka_unit_test(bad_settings), cmocka_unit_test(names), cmocka_unit_test(limited_rate),
    };
    return cmocka_run_group_tests(tests, make, end);
}
