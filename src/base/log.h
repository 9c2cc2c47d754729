/* SPDX-License-Identifier: Apache-2.0
 *
 * log: lines for the operator, in oslo.log's default form:
 *     2026-11-22 19:55:50.123 PID LEVEL service.module [req-... user project] text
 *
 * Callers never pass a secret; tokens and passwords have no business here.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };

/* Writes one line. `module` is dotted: "nova.compute". Control characters in the text become spaces. */
void log_write(enum log_level level, const char *module, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_debug(module, ...)   log_write(LOG_LEVEL_DEBUG, module, __VA_ARGS__)
#define log_info(module, ...)    log_write(LOG_LEVEL_INFO, module, __VA_ARGS__)
#define log_warning(module, ...) log_write(LOG_LEVEL_WARNING, module, __VA_ARGS__)
#define log_error(module, ...)   log_write(LOG_LEVEL_ERROR, module, __VA_ARGS__)

/* Lines below this level are dropped. Default: INFO. */
void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);

/* Sends lines to this file (append, mode 0640) instead of standard error; opens it anew when called again.
 * NULL returns to standard error. False, with errno, when the file cannot be opened. */
bool log_set_file(const char *path);

/* This thread's context "req-... user project", shown in brackets until set again. NULL: "-". The text must outlive its
 * use as the context. Returns the context before. */
const char *log_set_context(const char *context);

#endif
