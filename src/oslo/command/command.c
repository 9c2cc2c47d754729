/* SPDX-License-Identifier: Apache-2.0
 * command: from a command line to a call. See command.h; the texts of usage and help are in command/usage.c. */
#include "oslo/command.h"

#include "oslo/http_client.h"
#include "oslo/log/options.h"
#include "oslo/rest/session.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_SOURCES = 64, USAGE_ERROR = 2 };

const struct argument command_common[] = {
    { "--config-dir",         ARGUMENT_LIST, "Path to a config directory to pull `*.conf` files from; they are read sorted,"
      " after the files given before.", .metavar = "DIR" },
    { "--config-file",        ARGUMENT_LIST, "Path to a config file to use. May be repeated; values in later files take"
      " precedence.", .metavar = "PATH" },
    { "--debug",              ARGUMENT_FLAG, "Log at level DEBUG instead of INFO.", .other = "-d" },
    { "--log-config-append",  ARGUMENT_TEXT, "The name of a logging configuration file.", .metavar = "PATH",
      .other = "--log-config" },
    { "--log-date-format",    ARGUMENT_TEXT, "Format of the time in log records.", .metavar = "DATE_FORMAT" },
    { "--log-dir",            ARGUMENT_TEXT, "The directory of relative log files.", .metavar = "LOG_DIR", .other = "--logdir" },
    { "--log-file",           ARGUMENT_TEXT, "File that log records go to instead of standard error.", .metavar = "PATH",
      .other = "--logfile" },
    { "--nodebug",            ARGUMENT_FLAG, "The inverse of --debug" },
    { "--version",            ARGUMENT_FLAG, "show program's version number and exit" },
    { NULL },
};
enum { COMMON_LIMIT = 16 };

/* One list of arguments with the values given to it. */
struct level {
    const struct argument *arguments;
    size_t count;
    const char **values;
    size_t positional; /* the next one to be filled */
};

struct parser {
    struct arena *arena;
    const struct program *program;
    const struct command *command; /* NULL before it was named */
    const char *category;          /* NULL: none was named */
    struct config_source sources[MAX_SOURCES];
    size_t source_count;
    int status;                    /* >= 0: the run ends here */
};

bool argument_is_option(const struct argument *argument)
{
    return argument->name[0] == '-';
}

static bool is_required(const struct argument *argument)
{
    return argument->required || (argument->required_of_root && geteuid() == 0);
}

static struct level level_create(struct arena *arena, const struct argument *arguments)
{
    struct level level = { .arguments = arguments };
    while (arguments != NULL && arguments[level.count].name != NULL)
        level.count++;
    level.values = ARENA_ARRAY(arena, const char *, level.count + 1);
    return level;
}

/* argparse: usage, then the reason, status 2. */
static void __attribute__((format(printf, 2, 3))) refuse(struct parser *p, const char *format, ...)
{
    if (p->status >= 0)
        return;
    BUF_CLEANUP struct buf out = { 0 };
    command_usage(&out, p->program, p->category, p->command);
    buf_printf(&out, "%s%s%s: error: ", p->program->name, p->command != NULL || p->category != NULL ? " " : "",
        p->command != NULL ? p->command->words : p->category != NULL ? p->category : "");
    va_list args;
    va_start(args, format);
    buf_vprintf(&out, format, args);
    va_end(args);
    fprintf(stderr, "%s\n", buf_text(&out));
    p->status = USAGE_ERROR;
}

static const char *spelling(struct arena *arena, const struct argument *argument)
{
    if (argument->other == NULL)
        return argument->name;
    bool is_short = argument->other[1] != '-';
    return is_short ? arena_printf(arena, "%s/%s", argument->other, argument->name)
                    : arena_printf(arena, "%s/%s", argument->name, argument->other);
}

/* The option of a level that a word names, by its name or a unique beginning of it. */
static int find_option(struct parser *p, const struct level *level, const char *word, size_t length)
{
    int found = -1;
    for (size_t i = 0; i < level->count; i++) {
        const struct argument *a = &level->arguments[i];
        if (!argument_is_option(a))
            continue;
        const char *const names[] = { a->name, a->other };
        for (size_t n = 0; n < 2 && names[n] != NULL; n++) {
            if (strncmp(names[n], word, length) != 0)
                continue;
            if (names[n][length] == '\0')
                return (int)i;
            if (length < 3 || strncmp(word, "--", 2) != 0)
                continue;
            if (found >= 0 && found != (int)i) {
                refuse(p, "ambiguous option: %.*s could match %s, %s", (int)length, word, level->arguments[found].name,
                    a->name);
                return -1;
            }
            found = (int)i;
        }
    }
    return found;
}

static bool is_whole_number(const char *text)
{
    char *end;
    errno = 0;
    (void)strtoll(text, &end, 10);
    return *text != '\0' && *end == '\0' && errno == 0;
}

static void check_choice(struct parser *p, const struct argument *argument, const char *value)
{
    BUF_CLEANUP struct buf known = { 0 };
    if (argument->choices == NULL)
        return;
    for (const char *const *choice = argument->choices; *choice != NULL; choice++) {
        if (strcmp(*choice, value) == 0)
            return;
        buf_printf(&known, "%s'%s'", known.length > 0 ? ", " : "", *choice);
    }
    refuse(p, "argument %s: invalid choice: '%s' (choose from %s)", spelling(p->arena, argument), value, buf_text(&known));
}

/* Two of one exclusive group. */
static void check_exclusive(struct parser *p, const struct level *level, size_t at)
{
    for (size_t i = 0; i < level->count; i++)
        if (i != at && level->arguments[at].exclusive > 0 && level->values[i] != NULL &&
            level->arguments[i].exclusive == level->arguments[at].exclusive)
            refuse(p, "argument %s: not allowed with argument %s", spelling(p->arena, &level->arguments[at]),
                spelling(p->arena, &level->arguments[i]));
}

static void store(struct parser *p, struct level *level, size_t at, const char *value)
{
    const struct argument *a = &level->arguments[at];
    if (a->type == ARGUMENT_INT && !is_whole_number(value))
        refuse(p, "argument %s: invalid int value: '%s'", spelling(p->arena, a), value);
    check_choice(p, a, value);
    check_exclusive(p, level, at);
    level->values[at] = value;
    if (level->arguments == command_common && strcmp(a->name, "--version") == 0 && p->status < 0) {
        printf("%s\n", p->program->version);
        p->status = 0;
    }
    if (level->arguments != command_common || a->type != ARGUMENT_LIST || p->source_count == MAX_SOURCES)
        return;
    /* Files and directories in the order in which they were given. */
    p->sources[p->source_count++] = (struct config_source){ .path = value, .directory = strcmp(a->name, "--config-dir") == 0 };
}

/* Takes the option at argv[at], perhaps with its value behind it. Returns how many words that were; 0: not an option of
 * this level. */
static int take_option(struct parser *p, struct level *level, char **argv, int left)
{
    const char *word = argv[0];
    bool is_long = strncmp(word, "--", 2) == 0;
    size_t length = is_long ? strcspn(word, "=") : 2;
    int at = find_option(p, level, word, length);
    if (at < 0)
        return 0;
    const struct argument *a = &level->arguments[at];
    const char *joined = is_long ? (word[length] == '=' ? word + length + 1 : NULL) : (word[2] != '\0' ? word + 2 : NULL);
    if (a->type == ARGUMENT_FLAG) {
        if (joined != NULL)
            refuse(p, "argument %s: ignored explicit argument '%s'", spelling(p->arena, a), joined);
        store(p, level, (size_t)at, "");
        return 1;
    }
    if (joined != NULL) {
        store(p, level, (size_t)at, joined);
        return 1;
    }
    if (left < 2 || (argv[1][0] == '-' && argv[1][1] != '\0' && !is_whole_number(argv[1]))) {
        refuse(p, "argument %s: expected one argument", spelling(p->arena, a));
        return 1;
    }
    store(p, level, (size_t)at, argv[1]);
    return 2;
}

static bool take_positional(struct parser *p, struct level *level, const char *word)
{
    while (level->positional < level->count && argument_is_option(&level->arguments[level->positional]))
        level->positional++;
    if (level->positional == level->count)
        return false;
    store(p, level, level->positional++, word);
    return true;
}

static void check_required(struct parser *p, const struct level *level)
{
    BUF_CLEANUP struct buf missing = { 0 };
    for (size_t i = 0; i < level->count; i++)
        if (is_required(&level->arguments[i]) && level->values[i] == NULL)
            buf_printf(&missing, "%s%s", missing.length > 0 ? ", " : "", spelling(p->arena, &level->arguments[i]));
    if (missing.length > 0)
        refuse(p, "the following arguments are required: %s", buf_text(&missing));
}

static void choose_from(struct buf *out, const struct program *program, const char *category)
{
    const char *before = "";
    size_t prefix = category != NULL ? strlen(category) + 1 : 0;
    for (const struct command *c = program->commands; c->words != NULL; c++) {
        if (category != NULL && (strncmp(c->words, category, prefix - 1) != 0 || c->words[prefix - 1] != ' '))
            continue;
        const char *word = c->words + prefix;
        size_t length = strcspn(word, " ");
        if (strncmp(before, word, length) == 0 && (before[length] == ' ' || before[length] == '\0') && *before != '\0')
            continue;
        buf_printf(out, "%s'%.*s'", *before != '\0' ? ", " : "", (int)length, word);
        before = word;
    }
}

/* A word that names a command, or the category of one. */
static void take_command_word(struct parser *p, const char *word)
{
    const char *words = p->category != NULL ? arena_printf(p->arena, "%s %s", p->category, word) : word;
    size_t length = strlen(words);
    for (const struct command *c = p->program->commands; c->words != NULL; c++) {
        if (strcmp(c->words, words) == 0) {
            p->command = c;
            return;
        }
        if (p->category == NULL && strncmp(c->words, words, length) == 0 && c->words[length] == ' ') {
            p->category = arena_strdup(p->arena, words);
            return;
        }
    }
    BUF_CLEANUP struct buf known = { 0 };
    choose_from(&known, p->program, p->category);
    refuse(p, "argument %s: invalid choice: '%s' (choose from %s)",
        p->category != NULL ? "action" : p->program->missing, word, buf_text(&known));
}

static void show_help(struct parser *p)
{
    BUF_CLEANUP struct buf out = { 0 };
    command_help(&out, p->program, p->category, p->command);
    fputs(buf_text(&out), stdout);
    p->status = 0;
}

/* The levels that know options: the command's own first, then those of the program, which hold before it as well. */
static int take_word(struct parser *p, struct level *levels, struct level *command_level, char **argv, int left,
    bool only_positionals)
{
    const char *word = argv[0];
    bool option = !only_positionals && word[0] == '-' && word[1] != '\0' && !is_whole_number(word);
    if (option && (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0)) {
        show_help(p);
        return 1;
    }
    for (size_t i = 0; option && p->command == NULL && p->category == NULL && i < 2; i++) {
        int taken = take_option(p, &levels[i], argv, left);
        if (taken > 0 || p->status >= 0)
            return taken;
    }
    if (option && p->command != NULL) {
        int taken = take_option(p, command_level, argv, left);
        if (taken > 0 || p->status >= 0)
            return taken;
    }
    if (!option && p->command == NULL) {
        take_command_word(p, word);
        if (p->command != NULL)
            *command_level = level_create(p->arena, p->command->arguments);
        return 1;
    }
    if (option || !take_positional(p, command_level, word)) {
        p->command = NULL; /* argparse lets the program, not the command, say this */
        p->category = NULL;
        refuse(p, "unrecognized arguments: %s", word);
    }
    return 1;
}

static void parse(struct parser *p, int argc, char **argv, struct level levels[2], struct level *command_level)
{
    bool only_positionals = false;
    for (int i = 1; i < argc && p->status < 0;) {
        if (!only_positionals && strcmp(argv[i], "--") == 0) {
            only_positionals = true;
            i++;
            continue;
        }
        i += take_word(p, levels, command_level, argv + i, argc - i, only_positionals);
    }
    if (p->status < 0 && p->command == NULL)
        refuse(p, "the following arguments are required: %s", p->category != NULL ? "action" : p->program->missing);
    if (p->status < 0)
        check_required(p, command_level);
}

/* ---- Configuration ---- */

static struct fault *read_config(struct parser *p, const struct level *common, struct app *app)
{
    const struct option_table *tables[APP_OPTION_TABLES];
    size_t count = app_option_tables(app->service, tables);
    TRY(config_create(p->arena, tables, count, p->sources, p->source_count, &app->config));
    for (size_t i = 0; i < common->count; i++) {
        const struct argument *a = &common->arguments[i];
        if (common->values[i] == NULL || a->type == ARGUMENT_LIST)
            continue;
        const char *name = strncmp(a->name, "--no", 4) == 0 ? a->name + 4 : a->name + 2;
        char *option = arena_strdup(p->arena, name);
        for (char *c = option; *c != '\0'; c++)
            *c = *c == '-' ? '_' : *c;
        const char *value = a->type != ARGUMENT_FLAG ? common->values[i] : name == a->name + 2 ? "true" : "false";
        if (config_has(app->config, "DEFAULT", option))
            TRY(config_set_override(p->arena, app->config, "DEFAULT", option, value));
    }
    return log_setup(p->arena, app->config, p->program->name);
}

/* ---- The run ---- */

static void end_app(void *object)
{
    struct app *app = object;
    session_stop(app);
    http_client_stop();
    db_close(app->db);
    config_destroy(app->config);
}

static struct app *make_app(struct arena *arena, const struct service *service)
{
    static char host[HOST_NAME_MAX + 1] = "localhost";
    gethostname(host, sizeof(host) - 1);
    struct cloud *cloud = ARENA_NEW(arena, struct cloud);
    *cloud = (struct cloud){ .bind = "127.0.0.1", .region = "RegionOne", .host = host };
    struct app *app = ARENA_NEW(arena, struct app);
    *app = (struct app){ .service = service, .cloud = cloud };
    cloud->apps = ARENA_ARRAY(arena, struct app *, 2);
    arena_defer(arena, end_app, app);
    return app;
}

static int run(struct command_call *call)
{
    struct fault *fault = call->command->run(call);
    if (fault == NULL)
        return call->status;
    fflush(stdout);
    log_error(call->program->project, "%s", fault_text(call->arena, fault));
    return 1;
}

static const char *directory_of(struct arena *arena, const struct parser *p)
{
    const char *slash = p->source_count > 0 ? strrchr(p->sources[0].path, '/') : NULL;
    if (p->source_count == 0 || p->sources[0].directory)
        return p->source_count == 0 ? NULL : p->sources[0].path;
    return slash != NULL ? arena_strndup(arena, p->sources[0].path, (size_t)(slash - p->sources[0].path)) : ".";
}

int command_main(const struct service *service, const struct program *program, const struct config_source *defaults,
    size_t default_count, int argc, char **argv)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct parser *p = ARENA_NEW(arena, struct parser);
    *p = (struct parser){ .arena = arena, .program = program, .status = -1 };
    struct level levels[2] = { level_create(arena, command_common), level_create(arena, program->options) };
    struct level command_level = level_create(arena, NULL);
    assert(levels[0].count <= COMMON_LIMIT);
    parse(p, argc, argv, levels, &command_level);
    if (p->status >= 0)
        return p->status;
    bool given = p->source_count > 0;
    for (size_t i = 0; !given && i < default_count && i < MAX_SOURCES; i++)
        p->sources[p->source_count++] = defaults[i];
    struct command_call call = { .arena = arena, .program = program, .command = p->command,
        .app = make_app(arena, service), .program_values = levels[1].values, .values = command_level.values };
    struct fault *fault = read_config(p, &levels[0], call.app);
    if (fault != NULL) {
        fprintf(stderr, "%s: %s\n", program->name, fault_text(arena, fault));
        return 1;
    }
    call.config_directory = directory_of(arena, p);
    return run(&call);
}

/* ---- For commands ---- */

static const struct argument *find_argument(const struct argument *arguments, const char *name, size_t *ret_at)
{
    for (size_t i = 0; arguments != NULL && arguments[i].name != NULL; i++)
        if (strcmp(arguments[i].name, name) == 0) {
            *ret_at = i;
            return &arguments[i];
        }
    return NULL;
}

const char *command_text(const struct command_call *call, const char *name)
{
    size_t at = 0;
    const struct argument *a = find_argument(call->command->arguments, name, &at);
    if (a != NULL)
        return call->values[at] != NULL ? call->values[at] : a->def;
    a = find_argument(call->program->options, name, &at);
    assert(a != NULL);
    return call->program_values[at] != NULL ? call->program_values[at] : a->def;
}

bool command_flag(const struct command_call *call, const char *name)
{
    return command_text(call, name) != NULL;
}

int64_t command_int(const struct command_call *call, const char *name, int64_t absent)
{
    const char *text = command_text(call, name);
    return text != NULL ? strtoll(text, NULL, 10) : absent;
}

struct fault *command_database_of(struct command_call *call, const char *url, struct db **ret)
{
    struct db_settings settings = db_settings_read(call->app->config);
    settings.connection = url;
    return db_open_settings(call->arena, &settings, ret);
}

struct fault *command_database(struct command_call *call)
{
    const char *url = app_database_url(call->app->service, call->app->config);
    if (call->app->db != NULL)
        return NULL;
    if (url == NULL)
        return fault_new(call->arena, 500, NULL, "[database] connection is not set in the configuration of %s.",
            call->program->project);
    return command_database_of(call, url, &call->app->db);
}

struct context command_context(const struct command_call *call)
{
    return context_service(call->arena, call->app);
}

struct fault *command_fail(struct command_call *call, int status, const char *format, ...)
{
    call->status = status;
    if (format == NULL)
        return NULL;
    va_list args;
    va_start(args, format);
    const char *text = arena_vprintf(call->arena, format, args);
    va_end(args);
    fflush(stdout);
    fprintf(stderr, "%s\n", text);
    return NULL;
}
