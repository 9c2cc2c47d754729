/* SPDX-License-Identifier: Apache-2.0
 *
 * log/options: oslo.log's options and what they make of base/log: log_file, use_syslog, default_log_levels, formats,
 * log_config_append (a logging configuration file of Python's).
 */
#ifndef OSLO_LOG_OPTIONS_H
#define OSLO_LOG_OPTIONS_H

#include "base/log.h"
#include "oslo/options.h"

extern const struct option_table log_options;

/* Puts what the options say into effect; again after a reload. `program` names the file in log_dir and the sender in
 * syslog. Faults (500): a file that cannot be opened, a level or facility that there is not, a bad log_config_append. */
struct fault *log_setup(struct arena *arena, const struct config *config, const char *program);

/* The level of a name or number ("WARN", "30"); false: there is no such level. */
bool log_level_parse(const char *text, int *ret_level);
/* "LOG_LOCAL0" or "local0"; false: there is no such facility. */
bool log_facility_parse(const char *text, int *ret_facility);

/* A logging configuration file into targets and loggers of `settings`. */
struct fault *log_config_load(struct arena *arena, const char *path, struct log_settings *settings);

#endif
