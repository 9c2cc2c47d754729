/* SPDX-License-Identifier: Apache-2.0
 *
 * options/file: the files of options.h: INI as oslo.config parses it.
 */
#include "oslo/options.h"

#include "base/file.h"
#include "base/text.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { FILE_LIMIT = 4 << 20, NAME_LIMIT = 127 }; /* bytes of one file; of a section's or an option's name */

static const char too_large[] = "Not a text file of at most 4 MiB";

static struct fault *parse_fault(struct arena *arena, const char *file, int line, const char *what, const char *text)
{
    return fault_new(arena, 500, "ConfigFileParseError", "Failed to parse %s: at %s:%d, %s: %.80s", file, file, line,
        what, text);
}

static char *lower_name(struct arena *arena, const char *text, size_t length, bool section)
{
    char *name = arena_strndup(arena, text, length);

    if (section && strcasecmp(name, "DEFAULT") == 0 && strcmp(name, "default") != 0)
        return arena_strdup(arena, "DEFAULT");
    for (char *at = name; *at != '\0'; at++) {
        if (section)
            *at = (char)tolower((unsigned char)*at);
        else if (*at == '-')
            *at = '_';
    }
    if (section && strcmp(name, "default") == 0)
        return arena_strdup(arena, "DEFAULT");
    return name;
}

static struct fault *parse_section(struct arena *arena, const char *file, int number, const char *line, size_t length,
    const char **ret_group)
{
    if (line[length - 1] != ']')
        return parse_fault(arena, file, number, "Invalid section (must end with ])",
            arena_strndup(arena, line, length));
    if (length == 2)
        return parse_fault(arena, file, number, "Empty section name", "[]");
    if (length > NAME_LIMIT)
        return parse_fault(arena, file, number, "Section name too long", arena_strndup(arena, line, length));
    *ret_group = lower_name(arena, line + 1, length - 2, true);
    return NULL;
}

static struct fault *parse_assignment(struct arena *arena, const char *file, int number, const char *line,
    size_t length, const char *group, struct config_entry **ret)
{
    const char *end = line + length;
    const char *split = memchr(line, '=', length);
    const char *colon = memchr(line, ':', length);
    struct config_entry *entry;
    size_t name_length, value_length;

    if (colon != NULL && (split == NULL || colon < split))
        split = colon;
    /* What stands on a bad line may be a password: it is not shown. */
    if (split == NULL)
        return parse_fault(arena, file, number, "No ':' or '=' found in assignment", "(line not shown)");
    name_length = (size_t)(split - line);
    text_trim(&line, &name_length);
    if (name_length == 0)
        return parse_fault(arena, file, number, "Key cannot be empty", "(line not shown)");
    if (name_length > NAME_LIMIT)
        return parse_fault(arena, file, number, "Key too long", arena_strndup(arena, line, name_length));
    if (group == NULL)
        return parse_fault(arena, file, number, "Section must be started before assignment",
            arena_strndup(arena, line, name_length));
    entry = ARENA_NEW(arena, struct config_entry);
    entry->file = file;
    entry->line = number;
    entry->group = group;
    entry->name = lower_name(arena, line, name_length, false);
    split++;
    value_length = (size_t)(end - split);
    text_trim(&split, &value_length);
    if (value_length >= 2 && (*split == '"' || *split == '\'') && split[value_length - 1] == *split) {
        split++;
        value_length -= 2;
    }
    entry->value = arena_strndup(arena, split, value_length);
    *ret = entry;
    return NULL;
}

/* The value grows in a buffer, so that a value of many lines costs no more than its bytes. */
static void end_value(struct arena *arena, struct config_entry *entry, struct buf *more)
{
    if (entry != NULL && more->length > 0)
        entry->value = arena_strndup(arena, more->data, more->length);
    buf_clear(more);
}

static void continue_value(struct config_entry *entry, struct buf *more, const char *line, size_t length)
{
    text_trim(&line, &length);
    if (more->length == 0)
        buf_puts(more, entry->value);
    buf_putc(more, '\n');
    buf_append(more, line, length);
}

struct fault *config_parse(struct arena *arena, const char *file, const char *text, size_t length,
    struct config_entry ***tail)
{
    struct config_entry *entry = NULL; /* what a continuation line would continue */
    BUF_CLEANUP struct buf more = { 0 };
    const char *group = NULL;
    const char *end = text + length;
    int number = 0;

    if (length > FILE_LIMIT || (length > 0 && memchr(text, '\0', length) != NULL))
        return parse_fault(arena, file, 0, too_large, "");
    if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        text += 3;
    for (const char *next; text < end; text = next) {
        const char *line_end = memchr(text, '\n', (size_t)(end - text));
        size_t line_length;

        next = line_end == NULL ? end : line_end + 1;
        line_length = (size_t)((line_end == NULL ? end : line_end) - text);
        number++;
        while (line_length > 0 && isspace((unsigned char)text[line_length - 1]))
            line_length--;
        if (line_length > 0 && (*text == ' ' || *text == '\t')) {
            if (entry == NULL)
                return parse_fault(arena, file, number, "Unexpected continuation line", "(line not shown)");
            continue_value(entry, &more, text, line_length);
            continue;
        }
        end_value(arena, entry, &more);
        entry = NULL;
        if (line_length == 0 || *text == '#' || *text == ';')
            continue;
        if (*text == '[') {
            TRY(parse_section(arena, file, number, text, line_length, &group));
            continue;
        }
        TRY(parse_assignment(arena, file, number, text, line_length, group, &entry));
        **tail = entry;
        *tail = &entry->next;
    }
    end_value(arena, entry, &more);
    return NULL;
}

static struct fault *read_file(struct arena *arena, const char *path, bool optional, size_t number,
    struct config_entry ***tail)
{
    struct config_entry **first = *tail;
    size_t length;
    const char *text = file_read(arena, path, FILE_LIMIT, &length);

    if (text == NULL && optional && errno == ENOENT)
        return NULL;
    if (text == NULL && errno == ENOENT)
        return fault_new(arena, 500, "ConfigFilesNotFoundError", "Failed to find some config files: %s", path);
    if (text == NULL && errno == EFBIG)
        return parse_fault(arena, path, 0, too_large, "");
    if (text == NULL)
        return fault_new(arena, 500, "ConfigFilesPermissionDeniedError", "Failed to open some config files: %s: %s",
            path, strerror(errno));
    TRY(config_parse(arena, arena_strdup(arena, path), text, length, tail));
    for (struct config_entry *entry = *first; entry != NULL; entry = entry->next)
        entry->file_number = number;
    return NULL;
}

static int only_conf(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);

    return entry->d_name[0] != '.' && length > 5 && strcmp(entry->d_name + length - 5, ".conf") == 0;
}

static struct fault *read_directory(struct arena *arena, const struct config_source *source, size_t *number,
    struct config_entry ***tail)
{
    struct dirent **names;
    struct fault *fault = NULL;
    int count = scandir(source->path, &names, only_conf, alphasort);

    if (count < 0 && source->optional)
        return NULL;
    if (count < 0)
        return fault_new(arena, 500, "ConfigDirNotFoundError",
            "Failed to read config file directory: %s", source->path);
    for (int i = 0; i < count; i++) {
        if (fault == NULL)
            fault = read_file(arena, arena_printf(arena, "%s/%s", source->path, names[i]->d_name), true, ++*number,
                tail);
        free(names[i]);
    }
    free(names);
    return fault;
}

struct fault *config_read(struct arena *arena, const struct config_source *sources, size_t count,
    struct config_entry **ret)
{
    struct config_entry *first = NULL;
    struct config_entry **tail = &first;
    size_t number = 0;

    for (size_t i = 0; i < count; i++) {
        if (sources[i].directory)
            TRY(read_directory(arena, &sources[i], &number, &tail));
        else
            TRY(read_file(arena, sources[i].path, sources[i].optional, ++number, &tail));
    }
    *ret = first;
    return NULL;
}
