/* SPDX-License-Identifier: Apache-2.0
 * log_sink: where lines end: a file that may be moved away under us, standard error, syslog, the journal. One write(2) a
 * line, so that lines of several threads and processes never mix. */
#include "base/log_private.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

struct log_sink {
    struct log_target target; /* its texts belong to the settings, which live as long */
    const char *program;
    pthread_mutex_t lock;     /* of what follows: files only */
    int fd;
    dev_t device;
    ino_t inode;
    int64_t rotate_us;        /* when it is due */
};

/* From the file's last change on, as Python's TimedRotatingFileHandler. */
static int64_t next_rotation(const struct log_target *target, time_t changed)
{
    struct tm parts;
    if (!target->rotate_at_midnight)
        return ((int64_t)changed + target->rotate_s) * 1000000;
    localtime_r(&changed, &parts);
    parts.tm_mday++;
    parts.tm_hour = parts.tm_min = parts.tm_sec = 0;
    parts.tm_isdst = -1;
    return (int64_t)mktime(&parts) * 1000000;
}

static bool open_file(struct log_sink *sink)
{
    struct stat status;
    int fd = open(sink->target.path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);
    if (fd < 0)
        return false;
    if (fstat(fd, &status) == 0) {
        sink->device = status.st_dev;
        sink->inode = status.st_ino;
        sink->rotate_us = sink->target.rotate_s > 0 ? next_rotation(&sink->target, status.st_mtime) : INT64_MAX;
    }
    if (sink->fd >= 0)
        close(sink->fd);
    sink->fd = fd;
    return true;
}

struct log_sink *log_sink_open(const struct log_target *target, const char *program)
{
    struct log_sink *sink = calloc(1, sizeof(*sink));
    if (sink == NULL)
        abort();
    *sink = (struct log_sink){ .target = *target, .program = program != NULL ? program : "nubo", .fd = -1 };
    if (target->kind == LOG_TO_FILE && !open_file(sink)) {
        int why = errno;
        free(sink);
        errno = why;
        return NULL;
    }
    if (target->kind == LOG_TO_JOURNAL)
        sink->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (target->kind == LOG_TO_SYSLOG)
        openlog(sink->program, 0, target->facility);
    pthread_mutex_init(&sink->lock, NULL);
    return sink;
}

void log_sink_close(struct log_sink *sink)
{
    if (sink == NULL)
        return;
    if (sink->fd >= 0)
        close(sink->fd);
    pthread_mutex_destroy(&sink->lock);
    free(sink);
}

static void write_all(int fd, const char *line, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, line, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* a full disk must not stop the cloud */
        line += n;
        length -= (size_t)n;
    }
}

/* FILE.1 becomes FILE.2 and so on; FILE becomes FILE.1. */
static void rotate(struct log_sink *sink)
{
    char from[4096 + 16], to[4096 + 16];
    for (int i = sink->target.keep - 1; i >= 0; i--) {
        if (i == 0)
            snprintf(from, sizeof(from), "%.4096s", sink->target.path);
        else
            snprintf(from, sizeof(from), "%.4096s.%d", sink->target.path, i);
        snprintf(to, sizeof(to), "%.4096s.%d", sink->target.path, i + 1);
        rename(from, to);
    }
}

/* As Python's WatchedFileHandler: a file that was moved or removed is made anew, at the next line. */
static void write_file(struct log_sink *sink, const struct log_record *record, const char *line, size_t length)
{
    struct stat status;
    pthread_mutex_lock(&sink->lock);
    bool there = stat(sink->target.path, &status) == 0 && status.st_dev == sink->device && status.st_ino == sink->inode;
    bool full = sink->target.max_bytes > 0 && status.st_size > 0 && status.st_size + (off_t)length > sink->target.max_bytes;
    if (there && (full || record->time_us >= sink->rotate_us)) {
        rotate(sink);
        there = false;
    }
    if (!there)
        open_file(sink); /* on failure the old one takes the line */
    write_all(sink->fd, line, length);
    pthread_mutex_unlock(&sink->lock);
}

static int syslog_priority(enum log_level level)
{
    static const int priorities[] = { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERR, LOG_CRIT };
    return priorities[level];
}

/* The journal's native protocol: lines NAME=value in one datagram; our texts have no line ends. */
static void write_journal(struct log_sink *sink, const struct log_record *record, const char *line, size_t length)
{
    const struct sockaddr_un address = { AF_UNIX, "/run/systemd/journal/socket" };
    BUF_CLEANUP struct buf text = { 0 };
    buf_printf(&text, "MESSAGE=%.*sPRIORITY=%d\nSYSLOG_IDENTIFIER=%s\nLOGGER_NAME=%s\nLOGGER_LEVEL=%s\n", (int)length, line,
        syslog_priority(record->level), sink->program, record->module, log_level_names[record->level]);
    if (record->place != NULL)
        buf_printf(&text, "CODE_FILE=%s\nCODE_LINE=%d\nCODE_FUNC=%s\n", record->place->file, record->place->line,
            record->place->function);
    if (record->request_id != NULL)
        buf_printf(&text, "REQUEST_ID=%s\n", record->request_id);
    if (record->identity->user_id != NULL)
        buf_printf(&text, "USER_ID=%s\n", record->identity->user_id);
    if (record->identity->project_id != NULL)
        buf_printf(&text, "PROJECT_ID=%s\n", record->identity->project_id);
    sendto(sink->fd, text.data, text.length, MSG_NOSIGNAL, (const struct sockaddr *)&address, sizeof(address));
}

void log_sink_write(struct log_sink *sink, const struct log_record *record, const char *line, size_t length)
{
    switch (sink != NULL ? sink->target.kind : LOG_TO_STDERR) {
    case LOG_TO_STDERR:
        write_all(STDERR_FILENO, line, length);
        return;
    case LOG_TO_STDOUT:
        write_all(STDOUT_FILENO, line, length);
        return;
    case LOG_TO_FILE:
        write_file(sink, record, line, length);
        return;
    case LOG_TO_SYSLOG:
        syslog(sink->target.facility | syslog_priority(record->level), "%.*s", (int)length - 1, line);
        return;
    case LOG_TO_JOURNAL:
        write_journal(sink, record, line, length);
        return;
    case LOG_TO_NOWHERE:
        return;
    }
}
