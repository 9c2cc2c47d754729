/* SPDX-License-Identifier: Apache-2.0
 * log: one write(2) a line, so that lines of several threads and processes never mix. See log.h. */
#include "base/log.h"

#include "base/arena.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static atomic_int threshold = LOG_LEVEL_INFO;
static atomic_int target = STDERR_FILENO;
static _Thread_local const char *context;

void log_set_level(enum log_level level)
{
    atomic_store(&threshold, (int)level);
}

bool log_enabled(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&threshold, memory_order_relaxed);
}

const char *log_set_context(const char *text)
{
    const char *before = context;
    context = text;
    return before;
}

bool log_set_file(const char *path)
{
    if (path == NULL) {
        atomic_store(&target, STDERR_FILENO);
        return true;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (fd < 0)
        return false;
    int before = atomic_load(&target);
    if (before != STDERR_FILENO) { /* the number stays, so that a writer in the middle loses nothing */
        dup3(fd, before, O_CLOEXEC);
        close(fd);
    } else {
        atomic_store(&target, fd);
    }
    return true;
}

void log_write(enum log_level level, const char *module, const char *format, ...)
{
    static const char *const names[] = { "DEBUG", "INFO", "WARNING", "ERROR" };
    if (!log_enabled(level))
        return;
    int64_t now = clock_now_us();
    time_t seconds = (time_t)(now / 1000000);
    struct tm parts;
    localtime_r(&seconds, &parts);
    char line[4096];
    size_t n = strftime(line, sizeof(line), "%Y-%m-%d %H:%M:%S", &parts);
    n += (size_t)snprintf(line + n, sizeof(line) - n, ".%03d %d %s %s [%s] ", (int)(now % 1000000 / 1000), (int)getpid(),
        names[level], module, context != NULL ? context : "-");
    if (n > sizeof(line) - 2)
        n = sizeof(line) - 2;
    va_list args;
    va_start(args, format);
    int written = vsnprintf(line + n, sizeof(line) - n - 1, format, args);
    va_end(args);
    size_t room = sizeof(line) - n - 2;
    size_t end = n + (written < 0 ? 0 : (size_t)written > room ? room : (size_t)written);
    for (size_t i = n; i < end; i++)
        if ((unsigned char)line[i] < ' ')
            line[i] = ' ';
    line[end++] = '\n';
    while (write(atomic_load_explicit(&target, memory_order_relaxed), line, end) < 0 && errno == EINTR) {
    }
}
