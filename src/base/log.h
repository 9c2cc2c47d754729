/* SPDX-License-Identifier: Apache-2.0
 *
 * log: lines for the operator, in oslo.log's forms. By default, on standard error:
 *     2026-11-22 19:55:50.123 PID LEVEL service.module [GLOBAL-ID req-... user project domain system ...] text
 *
 * Loggers and their targets are those of Python's logging, as operators configure them (oslo/log_options reads that): a
 * line goes to the targets of the most specific logger of its module and of those above it, when its level is at least
 * the logger's. Callers never pass a secret; tokens and passwords have no business here.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR, LOG_LEVEL_CRITICAL };

/* Writes one line. `module` is dotted: "nova.compute". Control characters in the text become spaces. */
void log_write(enum log_level level, const char *module, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Where in the source a line comes from; shown with lines of level DEBUG. */
struct log_place {
    const char *function, *file;
    int line;
};
void log_write_at(const struct log_place *place, enum log_level level, const char *module, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#define LOG_HERE(level, module, ...)                                                                                    \
    log_write_at(&(const struct log_place){ __func__, __FILE__, __LINE__ }, level, module, __VA_ARGS__)
#define log_debug(module, ...)   LOG_HERE(LOG_LEVEL_DEBUG, module, __VA_ARGS__)
#define log_info(module, ...)    LOG_HERE(LOG_LEVEL_INFO, module, __VA_ARGS__)
#define log_warning(module, ...) LOG_HERE(LOG_LEVEL_WARNING, module, __VA_ARGS__)
#define log_error(module, ...)   LOG_HERE(LOG_LEVEL_ERROR, module, __VA_ARGS__)

/* Whether a line of this level can go anywhere. */
bool log_enabled(enum log_level level);

/* This thread's request id, until set again; NULL: none. The text must outlive its use. Returns the one before. */
const char *log_set_context(const char *request_id);

/* Beside the request id, who calls. NULL members are shown as "-". */
struct log_identity {
    const char *global_request_id, *user_id, *user_name, *project_id, *project_name, *domain_id, *system_scope, *user_domain_id,
        *project_domain_id;
};
/* This thread's, until set again; NULL: nobody. Must outlive its use. Returns the one before. */
const struct log_identity *log_set_identity(const struct log_identity *identity);

/* ---- configuration ---- */

enum log_kind { LOG_TO_STDERR, LOG_TO_STDOUT, LOG_TO_FILE, LOG_TO_SYSLOG, LOG_TO_JOURNAL, LOG_TO_NOWHERE };

enum { LOG_TARGETS = 32, LOG_NOTSET = -1 };

/* What Python calls a handler. */
struct log_target {
    enum log_kind kind;
    const char *path;        /* FILE; opened to append, mode 0640; opened anew when it was moved or removed (logrotate) */
    int level;               /* enum log_level or LOG_NOTSET */
    const char *format;      /* Python's % format; NULL: the settings' formats, by context */
    const char *date_format; /* strftime; NULL: Python's own */
    bool json;               /* oslo.log's JSONFormatter */
    int64_t max_bytes;       /* > 0: FILE.1 ... FILE.keep are made when it would grow beyond */
    int64_t rotate_s;        /* > 0: the same when so long has passed since its last change; or at midnight */
    bool rotate_at_midnight;
    int keep;
    int facility;            /* SYSLOG */
};

struct log_logger {
    const char *name;        /* "oslo.messaging"; "": the root */
    int level;               /* enum log_level, or LOG_NOTSET: of the logger above it */
    uint32_t targets;        /* bit i: targets[i] */
    bool propagate;          /* to the loggers above it, too */
};

struct log_settings {
    const struct log_target *targets;
    size_t target_count;     /* at most LOG_TARGETS */
    const struct log_logger *loggers;
    size_t logger_count;     /* one of them is the root */
    const char *context_format, *default_format, *debug_suffix, *identity_format;
    const char *program;     /* for syslog and the journal */
    int rate_interval_s, rate_burst; /* at most so many lines in so many seconds; 0: no limit */
    int rate_except;         /* lines of this level and above are not counted; LOG_NOTSET: all are */
};

/* Puts new settings in the place of the present ones; everything is copied, and files are opened first: on false, with errno
 * and *ret_path the file that failed, nothing has changed. */
bool log_configure(const struct log_settings *settings, const char **ret_path);

/* Whether lines go to standard error. */
bool log_to_stderr(void);

extern const char LOG_CONTEXT_FORMAT[], LOG_DEFAULT_FORMAT[], LOG_DEBUG_SUFFIX[], LOG_IDENTITY_FORMAT[], LOG_DATE_FORMAT[];

#endif
