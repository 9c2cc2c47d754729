/* SPDX-License-Identifier: Apache-2.0
 *
 * log_private: what the files of log share: a line on its way.
 */
#ifndef BASE_LOG_PRIVATE_H
#define BASE_LOG_PRIVATE_H

#include "base/buf.h"
#include "base/log.h"

struct log_record {
    enum log_level level;
    const char *module;
    const struct log_place *place;        /* NULL: unknown */
    const char *message;
    const char *request_id;               /* NULL: no context */
    const struct log_identity *identity;  /* never NULL */
    int64_t time_us;
    const char *program;
};

/* Appends the line without its end, as the target wants it. */
void log_format(struct buf *out, const struct log_settings *settings, const struct log_target *target,
    const struct log_record *record);

extern const char *const log_level_names[];

/* An open target. */
struct log_sink;
/* NULL, with errno, when a file cannot be opened. */
struct log_sink *log_sink_open(const struct log_target *target, const char *program);
void log_sink_close(struct log_sink *sink); /* NULL is allowed */
void log_sink_write(struct log_sink *sink, const struct log_record *record, const char *line, size_t length);

#endif
