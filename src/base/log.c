/* SPDX-License-Identifier: Apache-2.0
 * log: loggers, levels and the way of a line to its targets. See log.h; formats are log_format.c, targets log_sink.c. */
#include "base/log_private.h"

#include "base/arena.h"
#include "base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* What is in effect; read under the lock by writers of lines, changed under it as a whole. */
static struct state {
    struct arena *arena;
    struct log_settings settings;
    struct log_sink *sinks[LOG_TARGETS];
} *current;

static const struct log_target default_target = { .kind = LOG_TO_STDERR, .level = LOG_NOTSET, .date_format = LOG_DATE_FORMAT };
static const struct log_logger default_logger = { .name = "", .level = LOG_LEVEL_INFO, .targets = 1 };
static const struct log_settings default_settings = { .targets = &default_target, .target_count = 1, .loggers = &default_logger,
    .logger_count = 1, .context_format = LOG_CONTEXT_FORMAT, .default_format = LOG_DEFAULT_FORMAT, .debug_suffix = LOG_DEBUG_SUFFIX,
    .identity_format = LOG_IDENTITY_FORMAT };

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static atomic_int root_level = LOG_LEVEL_INFO;
static atomic_int lowest = LOG_LEVEL_INFO; /* no logger lets a line below it pass */
static _Thread_local const char *context;
static _Thread_local const struct log_identity *identity;

const char *const log_level_names[] = { "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL" };

static const struct log_settings *settings_now(void)
{
    return current != NULL ? &current->settings : &default_settings;
}

static void find_lowest(const struct log_settings *settings)
{
    int level = atomic_load(&root_level);
    for (size_t i = 0; i < settings->logger_count; i++)
        if (settings->loggers[i].name[0] != '\0' && settings->loggers[i].level != LOG_NOTSET && settings->loggers[i].level < level)
            level = settings->loggers[i].level;
    atomic_store(&lowest, level);
}

bool log_enabled(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&lowest, memory_order_relaxed);
}

const char *log_set_context(const char *request_id)
{
    const char *before = context;
    context = request_id;
    return before;
}

const struct log_identity *log_set_identity(const struct log_identity *who)
{
    const struct log_identity *before = identity;
    identity = who;
    return before;
}

bool log_to_stderr(void)
{
    bool found = false;
    pthread_rwlock_rdlock(&lock);
    const struct log_settings *settings = settings_now();
    for (size_t i = 0; i < settings->target_count; i++)
        found |= settings->targets[i].kind == LOG_TO_STDERR;
    pthread_rwlock_unlock(&lock);
    return found;
}

/* ---- configuration ---- */

static void copy_settings(struct arena *arena, const struct log_settings *from, struct log_settings *to)
{
    struct log_target *targets = arena_memdup(arena, from->targets, from->target_count * sizeof(*targets));
    struct log_logger *loggers = arena_memdup(arena, from->loggers, from->logger_count * sizeof(*loggers));
    *to = *from;
    for (size_t i = 0; i < from->target_count; i++) {
        targets[i].path = arena_strdup(arena, targets[i].path);
        targets[i].format = arena_strdup(arena, targets[i].format);
        targets[i].date_format = arena_strdup(arena, targets[i].date_format);
    }
    for (size_t i = 0; i < from->logger_count; i++)
        loggers[i].name = arena_strdup(arena, loggers[i].name);
    to->targets = targets;
    to->loggers = loggers;
    to->context_format = arena_strdup(arena, from->context_format);
    to->default_format = arena_strdup(arena, from->default_format);
    to->debug_suffix = arena_strdup(arena, from->debug_suffix);
    to->identity_format = arena_strdup(arena, from->identity_format);
    to->program = arena_strdup(arena, from->program);
}

static void state_destroy(struct state *state)
{
    if (state == NULL)
        return;
    for (size_t i = 0; i < LOG_TARGETS; i++)
        log_sink_close(state->sinks[i]);
    arena_destroy(state->arena);
}

bool log_configure(const struct log_settings *settings, const char **ret_path)
{
    struct arena *arena = arena_create();
    struct state *state = arena_alloc(arena, sizeof(*state)), *before;
    state->arena = arena;
    copy_settings(arena, settings, &state->settings);
    for (size_t i = 0; i < settings->target_count; i++) {
        state->sinks[i] = log_sink_open(&state->settings.targets[i], state->settings.program);
        if (state->sinks[i] == NULL) {
            int why = errno;
            *ret_path = settings->targets[i].path;
            state_destroy(state);
            errno = why;
            return false;
        }
    }
    pthread_rwlock_wrlock(&lock);
    before = current;
    current = state;
    for (size_t i = 0; i < settings->logger_count; i++)
        if (settings->loggers[i].name[0] == '\0')
            atomic_store(&root_level, settings->loggers[i].level == LOG_NOTSET ? LOG_LEVEL_WARNING : settings->loggers[i].level);
    find_lowest(&state->settings);
    pthread_rwlock_unlock(&lock);
    state_destroy(before);
    return true;
}

/* At the end of the process, so that a leak check finds nothing of ours. */
__attribute__((destructor)) static void log_end(void)
{
    pthread_rwlock_wrlock(&lock);
    struct state *state = current;
    current = NULL;
    pthread_rwlock_unlock(&lock);
    state_destroy(state);
}

/* ---- a line ---- */

/* Whether a logger stands above (or is) the module's: "nova" above "nova.compute". How specific is *ret_length. */
static bool above(const struct log_logger *logger, const char *module, size_t *ret_length)
{
    *ret_length = strlen(logger->name);
    return *ret_length == 0 || (strncmp(logger->name, module, *ret_length) == 0 &&
        (module[*ret_length] == '\0' || module[*ret_length] == '.'));
}

/* The most specific logger of the module whose name is shorter than `limit`. */
static const struct log_logger *find_logger(const struct log_settings *settings, const char *module, size_t limit)
{
    const struct log_logger *best = NULL;
    size_t best_length = 0, length;
    for (size_t i = 0; i < settings->logger_count; i++)
        if (above(&settings->loggers[i], module, &length) && length < limit && (best == NULL || length >= best_length)) {
            best = &settings->loggers[i];
            best_length = length;
        }
    return best;
}

/* The targets that a line of this level and module goes to; 0: none. */
static uint32_t route(const struct log_settings *settings, enum log_level level, const char *module)
{
    uint32_t targets = 0;
    bool decided = false, up = true;
    size_t limit = SIZE_MAX;
    for (const struct log_logger *l; (l = find_logger(settings, module, limit)) != NULL && limit > 0; limit = strlen(l->name)) {
        int own = l->name[0] == '\0' ? atomic_load(&root_level) : l->level;
        if (!decided && own != LOG_NOTSET) {
            if ((int)level < own)
                return 0;
            decided = true;
        }
        if (up)
            targets |= l->targets;
        up = up && l->propagate;
        if (l->name[0] == '\0')
            break;
    }
    for (size_t i = 0; i < settings->target_count; i++)
        if ((int)level < settings->targets[i].level)
            targets &= ~(UINT32_C(1) << i);
    return targets;
}

/* Whether there is room for one more line in this interval. */
static bool within_rate(const struct log_settings *settings, enum log_level level)
{
    static _Atomic int64_t begin_us;
    static atomic_int count;
    int64_t now = clock_monotonic_us(), begun = atomic_load(&begin_us);
    if (settings->rate_burst <= 0 || settings->rate_interval_s <= 0 ||
        (settings->rate_except != LOG_NOTSET && (int)level >= settings->rate_except))
        return true;
    if (now - begun >= (int64_t)settings->rate_interval_s * 1000000 && atomic_compare_exchange_strong(&begin_us, &begun, now))
        atomic_store(&count, 0);
    return atomic_fetch_add(&count, 1) < settings->rate_burst;
}

static void write_record(const struct log_settings *settings, uint32_t targets, const struct log_record *record)
{
    BUF_CLEANUP struct buf line = { 0 };
    for (size_t i = 0; i < settings->target_count; i++) {
        if ((targets >> i & 1) == 0)
            continue;
        buf_clear(&line);
        log_format(&line, settings, &settings->targets[i], record);
        buf_putc(&line, '\n');
        log_sink_write(current != NULL ? current->sinks[i] : NULL, record, line.data, line.length);
    }
}

static void write_line(const struct log_place *place, enum log_level level, const char *module, const char *format, va_list args)
{
    static const struct log_identity nobody;
    char message[8192];
    pthread_rwlock_rdlock(&lock);
    const struct log_settings *settings = settings_now();
    uint32_t targets = route(settings, level, module);
    if (targets != 0 && within_rate(settings, level)) {
        vsnprintf(message, sizeof(message), format, args);
        for (char *at = message; *at != '\0'; at++)
            if ((unsigned char)*at < ' ')
                *at = ' ';
        write_record(settings, targets, &(struct log_record){ .level = level, .module = module, .place = place, .message = message,
            .request_id = context, .identity = identity != NULL ? identity : &nobody, .time_us = clock_now_us(),
            .program = settings->program });
    }
    pthread_rwlock_unlock(&lock);
}

void log_write_at(const struct log_place *place, enum log_level level, const char *module, const char *format, ...)
{
    va_list args;
    if (!log_enabled(level))
        return;
    va_start(args, format);
    write_line(place, level, module, format, args);
    va_end(args);
}

void log_write(enum log_level level, const char *module, const char *format, ...)
{
    va_list args;
    if (!log_enabled(level))
        return;
    va_start(args, format);
    write_line(NULL, level, module, format, args);
    va_end(args);
}
