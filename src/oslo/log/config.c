/* SPDX-License-Identifier: Apache-2.0
 * log/config: log_config_append, a file as Python's logging.config.fileConfig reads it: [loggers], [handlers] and [formatters]
 * name sections with `keys`; a class's `args` are Python, of which the first text and numbers are understood. */
#include "oslo/log/options.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>

struct file {
    struct arena *arena;
    const char *path;
    struct config_entry *entries;
    struct log_target targets[LOG_TARGETS];
    const char *names[LOG_TARGETS];
    size_t count;
};

static struct fault *wrong(const struct file *f, const char *what, const char *name)
{
    return fault_new(f->arena, 500, "LogConfigError", "Error loading logging config %s: %s%s", f->path, what, name);
}

static const char *value(const struct file *f, const char *section, const char *name)
{
    const char *found = NULL;
    for (const struct config_entry *e = f->entries; e != NULL; e = e->next)
        if (strcasecmp(e->group, section) == 0 && strcasecmp(e->name, name) == 0)
            found = e->value;
    return found;
}

/* The next of a comma-separated list; NULL at its end. */
static const char *next_key(struct arena *arena, const char **at)
{
    while (*at != NULL && **at != '\0') {
        const char *text = *at;
        size_t length = strcspn(text, ",");
        *at += length + (text[length] == ',');
        text_trim(&text, &length);
        if (length > 0)
            return arena_strndup(arena, text, length);
    }
    return NULL;
}

/* The first text in Python's quotes. */
static const char *first_text(struct arena *arena, const char *args)
{
    const char *begin = args != NULL ? strpbrk(args, "'\"") : NULL;
    const char *end = begin != NULL ? strchr(begin + 1, *begin) : NULL;
    return end != NULL ? arena_strndup(arena, begin + 1, (size_t)(end - begin - 1)) : NULL;
}

/* ('path', 'a', MAXIMUM, KEEP) */
static void take_sizes(const char *args, struct log_target *target)
{
    const char *comma = strchr(args, ',');
    comma = comma != NULL ? strchr(comma + 1, ',') : NULL;
    if (comma == NULL)
        return;
    char *end;
    target->max_bytes = strtoll(comma + 1, &end, 10);
    target->keep = *end == ',' ? atoi(end + 1) : 0;
}

static struct fault *take_class(struct file *f, const char *class, const char *args, struct log_target *target)
{
    const char *dot = strrchr(class, '.'), *name = dot != NULL ? dot + 1 : class;
    if (strcmp(name, "StreamHandler") == 0 || strcmp(name, "ColorHandler") == 0) {
        target->kind = args != NULL && strstr(args, "stdout") != NULL ? LOG_TO_STDOUT : LOG_TO_STDERR;
    } else if (strstr(name, "FileHandler") != NULL) {
        target->kind = LOG_TO_FILE;
        target->path = first_text(f->arena, args);
        if (target->path == NULL)
            return wrong(f, "no file name in args of ", class);
        if (strcmp(name, "RotatingFileHandler") == 0)
            take_sizes(args, target);
    } else if (strstr(name, "SysLogHandler") != NULL) {
        const char *facility = args != NULL ? strstr(args, "LOG_") : NULL;
        target->kind = LOG_TO_SYSLOG;
        target->facility = LOG_USER;
        if (facility != NULL)
            log_facility_parse(arena_strndup(f->arena, facility, strspn(facility, "LOG_CALERNUSYTDIMPHFV01234567")),
                &target->facility);
    } else if (strcmp(name, "OSJournalHandler") == 0 || strcmp(name, "JournalHandler") == 0) {
        target->kind = LOG_TO_JOURNAL;
    } else if (strcmp(name, "NullHandler") == 0) {
        target->kind = LOG_TO_NOWHERE;
    } else {
        return wrong(f, "there is no handler class ", class);
    }
    return NULL;
}

static struct fault *take_handler(struct file *f, const char *key)
{
    const char *section = arena_printf(f->arena, "handler_%s", key);
    const char *class = value(f, section, "class"), *level = value(f, section, "level"), *form = value(f, section, "formatter");
    struct log_target *target = &f->targets[f->count];
    if (f->count == LOG_TARGETS)
        return wrong(f, "too many handlers: ", key);
    *target = (struct log_target){ .level = LOG_NOTSET, .format = "%(message)s" };
    f->names[f->count++] = key;
    if (class == NULL)
        return wrong(f, "there is no class in ", section);
    TRY(take_class(f, class, value(f, section, "args"), target));
    if (level != NULL && !log_level_parse(level, &target->level))
        return wrong(f, "Unknown level: ", level);
    if (form == NULL || *form == '\0')
        return NULL;
    const char *formatter = arena_printf(f->arena, "formatter_%s", form), *kind = value(f, formatter, "class");
    target->date_format = value(f, formatter, "datefmt");
    target->json = kind != NULL && strstr(kind, "JSONFormatter") != NULL;
    if (kind != NULL && strstr(kind, "ContextFormatter") != NULL) {
        target->format = NULL;
        target->date_format = target->date_format != NULL ? target->date_format : LOG_DATE_FORMAT;
    } else if (value(f, formatter, "format") != NULL) {
        target->format = value(f, formatter, "format");
    }
    return NULL;
}

static struct fault *take_logger(struct file *f, const char *key, struct log_logger *logger)
{
    const char *section = arena_printf(f->arena, "logger_%s", key), *handlers = value(f, section, "handlers");
    const char *level = value(f, section, "level"), *propagate = value(f, section, "propagate");
    const char *name = strcmp(key, "root") == 0 ? "" : value(f, section, "qualname");
    if (name == NULL)
        return wrong(f, "there is no qualname in ", section);
    *logger = (struct log_logger){ .name = name, .level = LOG_NOTSET, .propagate = propagate == NULL || atoi(propagate) != 0 };
    if (level != NULL && *level != '\0' && !log_level_parse(level, &logger->level))
        return wrong(f, "Unknown level: ", level);
    for (const char *handler; (handler = next_key(f->arena, &handlers)) != NULL;) {
        size_t i = 0;
        while (i < f->count && strcasecmp(f->names[i], handler) != 0)
            i++;
        if (i == f->count)
            return wrong(f, "there is no handler ", handler);
        logger->targets |= UINT32_C(1) << i;
    }
    return NULL;
}

struct fault *log_config_load(struct arena *arena, const char *path, struct log_settings *settings)
{
    struct file *f = ARENA_NEW(arena, struct file);
    struct log_logger *loggers = ARENA_ARRAY(arena, struct log_logger, 257);
    bool root = false;
    *f = (struct file){ .arena = arena, .path = path };
    struct fault *fault = config_read(arena, &(struct config_source){ .path = path }, 1, &f->entries);
    if (fault != NULL)
        return fault_because(wrong(f, "it cannot be read", ""), fault);
    const char *handlers = value(f, "handlers", "keys"), *names = value(f, "loggers", "keys");
    if (handlers == NULL || names == NULL)
        return wrong(f, "there are no keys in [loggers] or [handlers]", "");
    for (const char *key; (key = next_key(arena, &handlers)) != NULL;)
        TRY(take_handler(f, key));
    for (const char *key; (key = next_key(arena, &names)) != NULL && settings->logger_count < 256;) {
        TRY(take_logger(f, key, &loggers[settings->logger_count]));
        root |= loggers[settings->logger_count++].name[0] == '\0';
    }
    if (!root)
        return wrong(f, "there is no logger root", "");
    settings->targets = f->targets;
    settings->target_count = f->count;
    settings->loggers = loggers;
    return NULL;
}
