/* SPDX-License-Identifier: Apache-2.0
 * program: the command line of a program and its run. See programs.h. */
#include "nubo/programs.h"

#include "base/file.h"
#include "base/log.h"
#include "nubo/cloud.h"
#include "nubo/notify.h"
#include "nubo/program_config.h"
#include "nubo/services.h"
#include "oslo/trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ROLES = 32, MAX_SERVICES = 32, MAX_OVERRIDES = 64 };

/* What was said, and what follows from it. */
struct program {
    struct arena *arena;
    const char *name;
    const char *roles[MAX_ROLES + 1];
    size_t role_count;
    struct config_source given[PROGRAM_SOURCES]; /* --config-file, --config-dir, in their order */
    size_t given_count;
    bool file_given, directory_given;
    const char *overrides[3 * MAX_OVERRIDES + 1]; /* group, name, value */
    size_t override_count;
    const char *host, *port;
    const char *state_dir;
    struct settings settings;
};

static const struct role *find_role(const char *name, const struct service **ret_service)
{
    for (int i = 0; services[i] != NULL; i++)
        for (const struct role *role = services[i]->roles; role != NULL && role->name != NULL; role++)
            if (strcmp(role->name, name) == 0) {
                *ret_service = services[i];
                return role;
            }
    return NULL;
}

bool program_known(const char *name)
{
    const struct service *service;
    return find_role(name, &service) != NULL;
}

/* ---- the command line ---- */

enum { ARG_CONFIG_FILE = 256, ARG_CONFIG_DIR, ARG_VERSION, ARG_HOST, ARG_PORT, ARG_STATE_DIR, ARG_FAKE_COMPUTE, ARG_PORT_OFFSET,
    ARG_BIND, ARG_OVERRIDE };

/* oslo.config's and oslo.log's options of every program, keystone-wsgi-public's two, and nubo's own. */
static const struct argument {
    const char *name, *metavar;
    int action;               /* ARG_OVERRIDE + index: sets option [DEFAULT] `option` to `value`, or to what is given */
    const char *option, *value;
    const char *help;
} arguments[] = {
    { "help", NULL, 'h', NULL, NULL, "show this help message and exit" },
    { "config-dir", "DIR", ARG_CONFIG_DIR, NULL, NULL,
        "Path to a config directory to pull `*.conf` files from. This file set is sorted, so as to provide a predictable parse"
        " order if individual options are over-ridden. The set is parsed after the file(s) specified via previous"
        " --config-file, arguments hence over-ridden options in the directory take precedence." },
    { "config-file", "PATH", ARG_CONFIG_FILE, NULL, NULL,
        "Path to a config file to use. Multiple config files can be specified, with values in later files taking precedence." },
    { "debug", NULL, 'd', "debug", "true", "If set to true, the logging level will be set to DEBUG instead of the default INFO level." },
    { "nodebug", NULL, ARG_OVERRIDE, "debug", "false", "The inverse of --debug" },
    { "log-config-append", "PATH", ARG_OVERRIDE, "log_config_append", NULL,
        "The name of a logging configuration file, as the Python logging module documents it." },
    { "log-config", "PATH", ARG_OVERRIDE, "log_config_append", NULL, "The same (deprecated name)" },
    { "log-date-format", "DATE_FORMAT", ARG_OVERRIDE, "log_date_format", NULL, "Defines the format string for %(asctime)s in log records." },
    { "log-dir", "LOG_DIR", ARG_OVERRIDE, "log_dir", NULL, "The base directory used for relative log_file paths." },
    { "logdir", "LOG_DIR", ARG_OVERRIDE, "log_dir", NULL, "The same (deprecated name)" },
    { "log-file", "PATH", ARG_OVERRIDE, "log_file", NULL, "Name of log file to send logging output to; else standard error." },
    { "logfile", "PATH", ARG_OVERRIDE, "log_file", NULL, "The same (deprecated name)" },
    { "use-journal", NULL, ARG_OVERRIDE, "use_journal", "true", "Enable journald for logging." },
    { "nouse-journal", NULL, ARG_OVERRIDE, "use_journal", "false", "The inverse of --use-journal" },
    { "use-json", NULL, ARG_OVERRIDE, "use_json", "true", "Use JSON formatting for logging." },
    { "nouse-json", NULL, ARG_OVERRIDE, "use_json", "false", "The inverse of --use-json" },
    { "use-syslog", NULL, ARG_OVERRIDE, "use_syslog", "true", "Use syslog for logging." },
    { "nouse-syslog", NULL, ARG_OVERRIDE, "use_syslog", "false", "The inverse of --use-syslog" },
    { "syslog-log-facility", "FACILITY", ARG_OVERRIDE, "syslog_log_facility", NULL, "Syslog facility to receive log lines." },
    { "watch-log-file", NULL, ARG_OVERRIDE, "watch_log_file", "true", "Open the log file anew when it is moved; always so here." },
    { "nowatch-log-file", NULL, ARG_OVERRIDE, "watch_log_file", "false", "The inverse of --watch-log-file" },
    { "version", NULL, ARG_VERSION, NULL, NULL, "show program's version number and exit" },
    { "host", "ADDRESS", ARG_HOST, NULL, NULL, "address on which an API program listens" },
    { "port", "PORT", ARG_PORT, NULL, NULL, "TCP port on which an API program listens" },
    { "state-dir", "DIR", ARG_STATE_DIR, NULL, NULL,
        "nubo's state directory (NUBO_STATE_DIR): where files lie that no option places" },
    { "fake-compute", "N", ARG_FAKE_COMPUTE, NULL, NULL, "N simulated compute hosts (NUBO_FAKE_COMPUTE)" },
    { "bind", "ADDRESS", ARG_BIND, NULL, NULL, "address of all APIs whose options say none" },
    { "port-offset", "N", ARG_PORT_OFFSET, NULL, NULL, "added to every port that no option says" },
};
enum { ARGUMENTS = sizeof(arguments) / sizeof(arguments[0]) };

/* argparse's layout: two blanks, the option, its help from column 24 on, 80 wide. */
static void print_argument(FILE *out, const struct argument *a)
{
    char text[128];
    int column = snprintf(text, sizeof(text), "  %s--%s%s%s", a->action == 'h' ? "-h, " : a->action == 'd' ? "-d, " : "", a->name,
        a->metavar != NULL ? " " : "", a->metavar != NULL ? a->metavar : "");
    fputs(text, out);
    if (column > 22) {
        fputc('\n', out);
        column = 0;
    }
    for (const char *at = a->help; *at != '\0';) {
        int length = (int)strcspn(at, " ");
        if (column < 24)
            column += fprintf(out, "%*s", 24 - column, "");
        else if (column + 1 + length > 79)
            column = fprintf(out, "\n%24s", "") - 1;
        else
            column += fprintf(out, " ");
        column += fprintf(out, "%.*s", length, at);
        at += length;
        at += strspn(at, " ");
    }
    fputc('\n', out);
}

static void print_usage(FILE *out, const struct program *p)
{
    int indent = (int)strlen(p->name) + 7, column = fprintf(out, "usage: %s", p->name);
    for (size_t i = 0; i < ARGUMENTS; i++) {
        const struct argument *a = &arguments[i];
        char text[128];
        int length = snprintf(text, sizeof(text), a->action == 'h' ? "[-h]" : "[--%s%s%s]", a->name, a->metavar != NULL ? " " : "",
            a->metavar != NULL ? a->metavar : "");
        if (column + 1 + length > 79)
            column = fprintf(out, "\n%*s", indent, "") - 1;
        column += fprintf(out, " %s", text);
    }
    fputc('\n', out);
}

static int print_help(const struct program *p, bool words)
{
    print_usage(stdout, p);
    if (words) {
        puts("\nroles:");
        for (int i = 0; services[i] != NULL; i++)
            for (const struct role *role = services[i]->roles; role != NULL && role->name != NULL; role++)
                printf("  %s\n", role->name);
    }
    puts("\noptions:");
    for (size_t i = 0; i < ARGUMENTS; i++)
        print_argument(stdout, &arguments[i]);
    return 0;
}

__attribute__((format(printf, 2, 3), noreturn)) static void bad_usage(const struct program *p, const char *format, ...)
{
    va_list args;
    print_usage(stderr, p);
    fprintf(stderr, "%s: error: ", p->name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(2); /* as argparse */
}

static int number(const struct program *p, const char *name, const char *text, int max)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (*text == '\0' || *end != '\0' || value < 0 || value > max)
        bad_usage(p, "argument --%s: invalid value: '%s'", name, text);
    return (int)value;
}

static void override(struct program *p, const char *name, const char *value)
{
    if (p->override_count + 3 > 3 * MAX_OVERRIDES)
        bad_usage(p, "too many options");
    p->overrides[p->override_count++] = "DEFAULT";
    p->overrides[p->override_count++] = name;
    p->overrides[p->override_count++] = value;
}

static void add_source(struct program *p, const char *path, bool directory)
{
    if (p->given_count == PROGRAM_SOURCES)
        bad_usage(p, "too many configuration files");
    p->given[p->given_count++] = (struct config_source){ .path = path, .directory = directory };
    p->file_given |= !directory;
    p->directory_given |= directory;
}

static void take(struct program *p, const struct argument *a, const char *value)
{
    switch (a->action) {
    case ARG_CONFIG_FILE:
    case ARG_CONFIG_DIR:
        add_source(p, value, a->action == ARG_CONFIG_DIR);
        return;
    case ARG_HOST:
        p->host = value;
        return;
    case ARG_PORT:
        number(p, a->name, value, 65535);
        p->port = value;
        return;
    case ARG_STATE_DIR:
        p->state_dir = value;
        return;
    case ARG_FAKE_COMPUTE:
        p->settings.fake_compute = number(p, a->name, value, 20000);
        return;
    case ARG_BIND:
        p->settings.bind = value;
        return;
    case ARG_PORT_OFFSET:
        p->settings.port_offset = number(p, a->name, value, 50000);
        return;
    default:
        override(p, a->option, a->value != NULL ? a->value : value);
    }
}

static void take_role(struct program *p, const char *name)
{
    const struct service *service;
    if (find_role(name, &service) == NULL)
        bad_usage(p, "there is no role %s", name);
    if (p->role_count == MAX_ROLES)
        bad_usage(p, "too many roles");
    p->roles[p->role_count++] = name;
}

/* "--config-file=PATH", "--debug", "-d". What follows "=" is *ret_value, else NULL. */
static const struct argument *find_argument(const char *text, const char **ret_value)
{
    size_t length = strcspn(text, "=");
    *ret_value = text[length] == '=' ? text + length + 1 : NULL;
    for (size_t i = 0; i < ARGUMENTS; i++) {
        const struct argument *a = &arguments[i];
        bool is_short = text[1] != '-' && text[1] == a->action && text[2] == '\0';
        if (is_short || (text[1] == '-' && strlen(a->name) == length - 2 && strncmp(a->name, text + 2, length - 2) == 0))
            return a;
    }
    return NULL;
}

/* Returns the exit status when the program has nothing more to do, else -1. */
static int parse(struct program *p, bool words, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *value;
        const struct argument *a = argv[i][0] == '-' && argv[i][1] != '\0' ? find_argument(argv[i], &value) : NULL;
        if (a == NULL && argv[i][0] != '-' && words) {
            take_role(p, argv[i]);
            continue;
        }
        if (a == NULL)
            bad_usage(p, "unrecognized arguments: %s", argv[i]);
        if (a->metavar != NULL && value == NULL && i + 1 < argc)
            value = argv[++i];
        if ((a->metavar != NULL) != (value != NULL))
            bad_usage(p, a->metavar != NULL ? "argument --%s: expected one argument" : "argument --%s: takes no value", a->name);
        if (a->action == 'h')
            return print_help(p, words);
        if (a->action == ARG_VERSION) {
            puts(NUBO_VERSION);
            return 0;
        }
        take(p, a, value);
    }
    return -1;
}

/* ---- the run ---- */

/* The roles of one service among those of the process, NULL-terminated. */
static const char *const *roles_of(struct program *p, const struct service *service)
{
    const char **found = ARENA_ARRAY(p->arena, const char *, p->role_count + 1);
    const struct service *owner;
    size_t count = 0;
    for (size_t i = 0; i < p->role_count; i++)
        if (find_role(p->roles[i], &owner) != NULL && owner == service)
            found[count++] = p->roles[i];
    return found;
}

static void find_sources(struct program *p, const struct service *service, const char *const *roles,
    struct config_source sources[static PROGRAM_SOURCES], size_t *count)
{
    struct config_source found[PROGRAM_SOURCES];
    size_t found_count = 0;
    const char *own = p->state_dir != NULL ? arena_printf(p->arena, "%s/etc/%s.conf", p->state_dir, service->name) : NULL;
    const struct service *owner;
    if (own != NULL && file_exists(own))
        found[found_count++] = (struct config_source){ .path = own };
    else
        for (; *roles != NULL; roles++)
            program_find_config(p->arena, service->name, *roles, find_role(*roles, &owner)->files, found, &found_count);
    for (size_t i = 0; i < found_count; i++)
        if (!(found[i].directory ? p->directory_given : p->file_given))
            sources[(*count)++] = found[i];
    for (size_t i = 0; i < p->given_count && *count < PROGRAM_SOURCES; i++)
        sources[(*count)++] = p->given[i];
}

static const char *const *overrides_of(struct program *p, const struct service *service)
{
    const char **all = ARENA_ARRAY(p->arena, const char *, p->override_count + 7);
    size_t count = p->override_count;
    const char *const more[][2] = { { service->host_option, p->host }, { service->port_option, p->port } };
    memcpy(all, p->overrides, p->override_count * sizeof(*all));
    for (size_t i = 0; i < 2; i++)
        if (more[i][0] != NULL && more[i][1] != NULL) {
            all[count++] = "DEFAULT";
            all[count++] = more[i][0];
            all[count++] = more[i][1];
        }
    return all;
}

static struct fault *create_apps(struct program *p, struct cloud *cloud)
{
    size_t count = 0;
    cloud->apps = ARENA_ARRAY(p->arena, struct app *, MAX_SERVICES + 1);
    for (int i = 0; services[i] != NULL && i < MAX_SERVICES; i++) {
        struct config_source *sources = ARENA_ARRAY(p->arena, struct config_source, PROGRAM_SOURCES);
        const char *const *roles = roles_of(p, services[i]);
        struct app_form form = { .sources = sources, .roles = roles, .overrides = overrides_of(p, services[i]) };
        if (roles[0] == NULL)
            continue;
        find_sources(p, services[i], roles, sources, &form.source_count);
        TRY(app_create(p->arena, cloud, services[i], &form, &cloud->apps[count]));
        const struct config *config = cloud->apps[count++]->config;
        if (config_is_set(config, "DEFAULT", "host"))
            cloud->host = config_str(config, "DEFAULT", "host");
    }
    return NULL;
}

static struct fault *prepare(struct program *p, struct cloud *cloud)
{
    const char *netns = getenv("NUBO_NETNS");
    struct settings settings;
    cloud->programs = true;
    cloud->bind = p->settings.bind != NULL ? p->settings.bind : "0.0.0.0";
    cloud->port_offset = p->settings.port_offset > 0 ? p->settings.port_offset : 0;
    cloud->netns_prefix = "";
    if (p->state_dir != NULL) {
        p->state_dir = state_directory(p->arena, p->state_dir);
        TRY(settings_load(p->arena, p->state_dir, &p->settings, &settings));
        cloud->state_dir = p->state_dir;
        cloud->bind = settings.bind;
        cloud->port_offset = settings.port_offset;
        p->settings.fake_compute = settings.fake_compute;
        TRY(trace_open(p->arena, arena_printf(p->arena, "%s/trace", p->state_dir)));
    }
    cloud->fake_compute = p->settings.fake_compute > 0 ? p->settings.fake_compute : 0;
    if (netns != NULL && *netns != '\0') {
        cloud->netns_prefix = arena_printf(p->arena, "%s.", netns);
        TRY(cloud_namespace(p->arena, cloud, netns));
    }
    TRY(create_apps(p, cloud));
    cloud_pools(cloud);
    return cloud_start(p->arena, cloud);
}

static int run(struct program *p)
{
    struct cloud cloud = { 0 };
    cloud_prepare(p->arena, &cloud);
    struct fault *fault = prepare(p, &cloud);
    if (fault != NULL) {
        log_error(p->name, "%s did not start: %s", p->name, fault_text(p->arena, fault));
        if (!log_to_stderr())
            fprintf(stderr, "%s: %s\n", p->name, fault_text(p->arena, fault));
    } else {
        notify_manager("READY=1");
        log_info(p->name, "%s is up", p->name);
        cloud_wait(p->arena, &cloud);
        notify_manager("STOPPING=1");
        log_info(p->name, "%s is stopping", p->name);
    }
    cloud_stop(&cloud);
    return fault == NULL ? 0 : 1;
}

int program_main(const char *name, bool words, int argc, char **argv)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    const char *fake = getenv("NUBO_FAKE_COMPUTE");
    struct program p = { .arena = arena, .name = name, .state_dir = getenv("NUBO_STATE_DIR"),
        .settings = { .port_offset = -1, .fake_compute = -1 } };
    if (fake != NULL && *fake != '\0')
        p.settings.fake_compute = number(&p, "fake-compute", fake, 20000);
    if (!words)
        take_role(&p, name);
    int status = parse(&p, words, argc, argv);
    if (status >= 0)
        return status;
    if (p.role_count == 0)
        bad_usage(&p, "no role is given");
    if (p.role_count == 1)
        p.name = p.roles[0];
    return run(&p);
}
