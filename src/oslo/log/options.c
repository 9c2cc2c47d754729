/* SPDX-License-Identifier: Apache-2.0
 * log/options: see log/options.h. Names, defaults and meaning are oslo.log's. */
#include "oslo/log/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>

#define IGNORED " This option is ignored if log_config_append is set."
#define DATE_DEFAULT "%Y-%m-%d %H:%M:%S"
#define CONTEXT_DEFAULT "%(asctime)s.%(msecs)03d %(process)d %(levelname)s %(name)s [%(global_request_id)s %(request_id)s" \
    " %(user_identity)s] %(instance)s%(message)s"
#define DEFAULT_DEFAULT "%(asctime)s.%(msecs)03d %(process)d %(levelname)s %(name)s [-] %(instance)s%(message)s"
#define LEVELS_DEFAULT "amqp=WARN,amqplib=WARN,boto=WARN,qpid=WARN,sqlalchemy=WARN,suds=INFO,oslo.messaging=INFO," \
    "oslo_messaging=INFO,iso8601=WARN,requests.packages.urllib3.connectionpool=WARN,urllib3.connectionpool=WARN,"   \
    "websocket=WARN,requests.packages.urllib3.util.retry=WARN,urllib3.util.retry=WARN,keystonemiddleware=WARN,"     \
    "routes.middleware=WARN,stevedore=WARN,taskflow=WARN,keystoneauth=WARN,oslo.cache=INFO,oslo_policy=INFO,"       \
    "dogpile.core.dogpile=INFO"

static const char *const rotation_types[] = { "interval", "size", "none", NULL };
static const char *const interval_types[] = { "Seconds", "Minutes", "Hours", "Days", "Weekday", "Midnight", "seconds", "minutes",
    "hours", "days", "weekday", "midnight", NULL };

static const struct option rows[] = {
    { "DEFAULT", "debug", OPTION_BOOL, "false",
      "If set to true, the logging level will be set to DEBUG instead of the default INFO level.", .reloadable = true },
    { "DEFAULT", "log_config_append", OPTION_STR, NULL,
      "The name of a logging configuration file, as the Python logging module documents it. When it is set, all of logging is as"
      " it says and other logging options are ignored (for example, log_date_format). Handlers of files, streams, syslog and the"
      " journal are known.", .deprecated = OPTION_WORDS("log-config", "log_config"), .reloadable = true },
    { "DEFAULT", "log_date_format", OPTION_STR, DATE_DEFAULT, "Format of %%(asctime)s in log records." IGNORED, .reloadable = true },
    { "DEFAULT", "log_file", OPTION_STR, NULL,
      "Name of log file to send logging output to. If no default is set, logging will go to stderr." IGNORED,
      .deprecated = OPTION_WORDS("logfile"), .reloadable = true },
    { "DEFAULT", "log_dir", OPTION_STR, NULL,
      "The base directory used for relative log_file paths; without log_file, the file is named after the program." IGNORED,
      .deprecated = OPTION_WORDS("logdir"), .reloadable = true },
    { "DEFAULT", "watch_log_file", OPTION_BOOL, "false",
      "Open the log file anew when it is moved or removed. Here that is always so." IGNORED, .reloadable = true },
    { "DEFAULT", "use_syslog", OPTION_BOOL, "false", "Use syslog for logging." IGNORED, .reloadable = true },
    { "DEFAULT", "use_journal", OPTION_BOOL, "false",
      "Enable journald for logging, by the journal's native protocol." IGNORED, .reloadable = true },
    { "DEFAULT", "syslog_log_facility", OPTION_STR, "LOG_USER", "Syslog facility to receive log lines." IGNORED, .reloadable = true },
    { "DEFAULT", "use_json", OPTION_BOOL, "false", "Use JSON formatting for logging." IGNORED, .reloadable = true },
    { "DEFAULT", "use_stderr", OPTION_BOOL, "false", "Log output to standard error." IGNORED, .reloadable = true },
    { "DEFAULT", "use_eventlog", OPTION_BOOL, "false", "Log output to Windows Event Log; without effect here." },
    { "DEFAULT", "log_rotate_interval", OPTION_INT, "1", "The amount of time before the log files are rotated, with"
      " log_rotation_type interval.", .min = 1, .max = INT32_MAX, .reloadable = true },
    { "DEFAULT", "log_rotate_interval_type", OPTION_STR, "days", "Rotation interval type. Rotated files are numbered, 1 the newest.",
      .choices = interval_types, .reloadable = true },
    { "DEFAULT", "max_logfile_count", OPTION_INT, "30", "Maximum number of rotated log files.", .min = 0, .max = 10000,
      .reloadable = true },
    { "DEFAULT", "max_logfile_size_mb", OPTION_INT, "200", "Log file maximum size in MB, with log_rotation_type size.", .min = 0,
      .max = INT32_MAX, .reloadable = true },
    { "DEFAULT", "log_rotation_type", OPTION_STR, "none", "Log rotation type.", .choices = rotation_types, .reloadable = true },
    { "DEFAULT", "logging_context_format_string", OPTION_STR, CONTEXT_DEFAULT, "Format string to use for log messages with context.",
      .reloadable = true },
    { "DEFAULT", "logging_default_format_string", OPTION_STR, DEFAULT_DEFAULT,
      "Format string to use for log messages when context is undefined.", .reloadable = true },
    { "DEFAULT", "logging_debug_format_suffix", OPTION_STR, "%(funcName)s %(pathname)s:%(lineno)d",
      "Additional data to append to log message when logging level for the message is DEBUG.", .reloadable = true },
    { "DEFAULT", "logging_exception_prefix", OPTION_STR, "%(asctime)s.%(msecs)03d %(process)d ERROR %(name)s %(instance)s",
      "Prefix of each line of exception output. A failure is one line here: without effect." },
    { "DEFAULT", "logging_user_identity_format", OPTION_STR,
      "%(user)s %(project)s %(domain)s %(system_scope)s %(user_domain)s %(project_domain)s",
      "The format string for %%(user_identity)s that is used in logging_context_format_string.", .reloadable = true },
    { "DEFAULT", "default_log_levels", OPTION_LIST, LEVELS_DEFAULT, "List of package logging levels in logger=LEVEL pairs." IGNORED,
      .reloadable = true },
    { "DEFAULT", "publish_errors", OPTION_BOOL, "false", "Publication of error events; without effect here." },
    { "DEFAULT", "instance_format", OPTION_STR, "[instance: %(uuid)s] ",
      "The format for an instance that is passed with the log message; messages name it themselves here." },
    { "DEFAULT", "instance_uuid_format", OPTION_STR, "[instance: %(uuid)s] ", "The same for an instance's UUID." },
    { "DEFAULT", "rate_limit_interval", OPTION_INT, "0", "Interval, number of seconds, of log rate limiting.", .min = 0,
      .max = INT32_MAX, .reloadable = true },
    { "DEFAULT", "rate_limit_burst", OPTION_INT, "0", "Maximum number of logged messages per rate_limit_interval.", .min = 0,
      .max = INT32_MAX, .reloadable = true },
    { "DEFAULT", "rate_limit_except_level", OPTION_STR, "CRITICAL",
      "Logs with level greater or equal to this one are not filtered. An empty string means that all levels are filtered.",
      .choices = OPTION_WORDS("CRITICAL", "ERROR", "INFO", "WARNING", "DEBUG", ""), .reloadable = true },
    { "DEFAULT", "fatal_deprecations", OPTION_BOOL, "false", "Enables or disables fatal status of deprecations; without effect here." },
};
const struct option_table log_options = OPTION_TABLE(rows);

bool log_level_parse(const char *text, int *ret_level)
{
    static const struct {
        const char *name;
        int level;
    } names[] = {
        { "CRITICAL", LOG_LEVEL_CRITICAL }, { "FATAL", LOG_LEVEL_CRITICAL }, { "ERROR", LOG_LEVEL_ERROR },
        { "WARNING", LOG_LEVEL_WARNING }, { "WARN", LOG_LEVEL_WARNING }, { "AUDIT", LOG_LEVEL_INFO }, { "INFO", LOG_LEVEL_INFO },
        { "DEBUG", LOG_LEVEL_DEBUG }, { "TRACE", LOG_LEVEL_DEBUG }, { "NOTSET", LOG_NOTSET },
    };
    char *end;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i].name, text) == 0) {
            *ret_level = names[i].level;
            return true;
        }
    long number = strtol(text, &end, 10); /* Python's numbers: 10, 20, ... 50 */
    if (end == text || *end != '\0' || number < 0)
        return false;
    *ret_level = number == 0 ? LOG_NOTSET : number > 50 ? LOG_LEVEL_CRITICAL : (int)((number + 9) / 10) - 1;
    return true;
}

bool log_facility_parse(const char *text, int *ret_facility)
{
    static const struct {
        const char *name;
        int facility;
    } names[] = {
        { "KERN", LOG_KERN }, { "USER", LOG_USER }, { "MAIL", LOG_MAIL }, { "DAEMON", LOG_DAEMON }, { "AUTH", LOG_AUTH },
        { "SYSLOG", LOG_SYSLOG }, { "LPR", LOG_LPR }, { "NEWS", LOG_NEWS }, { "UUCP", LOG_UUCP }, { "CRON", LOG_CRON },
        { "AUTHPRIV", LOG_AUTHPRIV }, { "FTP", LOG_FTP }, { "LOCAL0", LOG_LOCAL0 }, { "LOCAL1", LOG_LOCAL1 },
        { "LOCAL2", LOG_LOCAL2 }, { "LOCAL3", LOG_LOCAL3 }, { "LOCAL4", LOG_LOCAL4 }, { "LOCAL5", LOG_LOCAL5 },
        { "LOCAL6", LOG_LOCAL6 }, { "LOCAL7", LOG_LOCAL7 },
    };
    if (strncasecmp(text, "LOG_", 4) == 0)
        text += 4;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcasecmp(names[i].name, text) == 0) {
            *ret_facility = names[i].facility;
            return true;
        }
    return false;
}

static const char *log_path(struct arena *arena, const struct config *config, const char *program)
{
    const char *file = config_str(config, "DEFAULT", "log_file"), *dir = config_str(config, "DEFAULT", "log_dir");
    bool has_file = file != NULL && *file != '\0', has_dir = dir != NULL && *dir != '\0';
    if (has_file && (!has_dir || file[0] == '/'))
        return file;
    if (has_file)
        return arena_printf(arena, "%s/%s", dir, file);
    return has_dir ? arena_printf(arena, "%s/%s.log", dir, program) : NULL;
}

static void set_rotation(const struct config *config, struct log_target *target)
{
    static const struct {
        const char *name;
        int64_t seconds;
    } units[] = { { "seconds", 1 }, { "minutes", 60 }, { "hours", 3600 }, { "days", 86400 }, { "weekday", 7 * 86400 },
        { "midnight", 86400 } };
    const char *type = config_str(config, "DEFAULT", "log_rotation_type");
    const char *unit = config_str(config, "DEFAULT", "log_rotate_interval_type");
    target->keep = (int)config_int(config, "DEFAULT", "max_logfile_count");
    if (strcmp(type, "size") == 0)
        target->max_bytes = config_int(config, "DEFAULT", "max_logfile_size_mb") * 1024 * 1024;
    if (strcmp(type, "interval") != 0)
        return;
    target->rotate_at_midnight = strcasecmp(unit, "midnight") == 0;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (strcasecmp(units[i].name, unit) == 0)
            target->rotate_s = units[i].seconds * (i < 4 ? config_int(config, "DEFAULT", "log_rotate_interval") : 1);
}

static struct fault *make_targets(struct arena *arena, const struct config *config, const char *program,
    struct log_settings *settings)
{
    struct log_target *targets = ARENA_ARRAY(arena, struct log_target, 5);
    const char *path = log_path(arena, config, program), *facility_name = config_str(config, "DEFAULT", "syslog_log_facility");
    bool journal = config_bool(config, "DEFAULT", "use_journal"), to_syslog = config_bool(config, "DEFAULT", "use_syslog");
    int facility;
    size_t count = 0;
    if (!log_facility_parse(facility_name, &facility))
        return fault_new(arena, 500, "ConfigFileValueError", "%s: there is no syslog facility %s.",
            config_origin(arena, config, "DEFAULT", "syslog_log_facility"), facility_name);
    if (path != NULL) {
        targets[count] = (struct log_target){ .kind = LOG_TO_FILE, .path = path };
        set_rotation(config, &targets[count++]);
    }
    if (config_bool(config, "DEFAULT", "use_stderr") || (path == NULL && !journal && !to_syslog))
        targets[count++].kind = LOG_TO_STDERR;
    if (journal)
        targets[count++].kind = LOG_TO_JOURNAL;
    if (to_syslog)
        targets[count++] = (struct log_target){ .kind = LOG_TO_SYSLOG, .facility = facility };
    for (size_t i = 0; i < count; i++) {
        targets[i].level = LOG_NOTSET;
        targets[i].date_format = config_str(config, "DEFAULT", "log_date_format");
        targets[i].json = config_bool(config, "DEFAULT", "use_json");
    }
    settings->targets = targets;
    settings->target_count = count;
    return NULL;
}

static struct fault *make_loggers(struct arena *arena, const struct config *config, struct log_settings *settings)
{
    size_t count;
    const char *const *pairs = config_list(config, "DEFAULT", "default_log_levels", &count);
    struct log_logger *loggers = ARENA_ARRAY(arena, struct log_logger, count + 1);
    loggers[0] = (struct log_logger){ .name = "", .targets = UINT32_MAX,
        .level = config_bool(config, "DEFAULT", "debug") ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO };
    for (size_t i = 0; i < count; i++) {
        size_t length = strcspn(pairs[i], "=");
        struct log_logger *l = &loggers[i + 1];
        *l = (struct log_logger){ .name = arena_strndup(arena, pairs[i], length), .propagate = true };
        if (pairs[i][length] == '\0' || !log_level_parse(pairs[i] + length + 1, &l->level))
            return fault_new(arena, 500, "ConfigFileValueError", "%s: Value for option DEFAULT.default_log_levels is not valid:"
                " %s is not logger=LEVEL", config_origin(arena, config, "DEFAULT", "default_log_levels"), pairs[i]);
    }
    settings->loggers = loggers;
    settings->logger_count = count + 1;
    return NULL;
}

struct fault *log_setup(struct arena *arena, const struct config *config, const char *program)
{
    const char *append = config_str(config, "DEFAULT", "log_config_append"), *path = NULL;
    const char *except = config_str(config, "DEFAULT", "rate_limit_except_level");
    struct log_settings settings = {
        .program = program,
        .context_format = config_str(config, "DEFAULT", "logging_context_format_string"),
        .default_format = config_str(config, "DEFAULT", "logging_default_format_string"),
        .debug_suffix = config_str(config, "DEFAULT", "logging_debug_format_suffix"),
        .identity_format = config_str(config, "DEFAULT", "logging_user_identity_format"),
        .rate_interval_s = (int)config_int(config, "DEFAULT", "rate_limit_interval"),
        .rate_burst = (int)config_int(config, "DEFAULT", "rate_limit_burst"),
        .rate_except = LOG_NOTSET,
    };
    if (*except != '\0')
        log_level_parse(except, &settings.rate_except);
    if (append != NULL && *append != '\0') {
        TRY(log_config_load(arena, append, &settings));
    } else {
        TRY(make_targets(arena, config, program, &settings));
        TRY(make_loggers(arena, config, &settings));
    }
    if (!log_configure(&settings, &path))
        return fault_new(arena, 500, NULL, "The log file %s cannot be opened: %s.", path != NULL ? path : "", strerror(errno));
    return NULL;
}
