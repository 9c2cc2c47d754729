/* SPDX-License-Identifier: Apache-2.0
 * command/usage: the texts of --help and of usage errors, laid out as argparse lays them out. See command.h. */
#include "oslo/command.h"

#include <string.h>

enum { WIDTH = 78, HELP_COLUMN = 24, PARTS = 96 };

static const char *metavar(struct arena *arena, const struct argument *a)
{
    if (a->metavar != NULL || !argument_is_option(a))
        return a->metavar != NULL ? a->metavar : a->name;
    char *text = arena_strdup(arena, a->name + strspn(a->name, "-"));
    for (char *c = text; *c != '\0'; c++)
        *c = *c == '-' ? '_' : *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c;
    return text;
}

static const char *part_of(struct arena *arena, const struct argument *a)
{
    const char *value = metavar(arena, a);
    const char *name = a->other != NULL && a->other[1] != '-' ? a->other : a->name;
    if (!argument_is_option(a))
        return a->required ? value : arena_printf(arena, "[%s]", value);
    const char *text = a->type == ARGUMENT_FLAG ? name : arena_printf(arena, "%s %s", name, value);
    return a->required ? text : arena_printf(arena, "[%s]", text);
}

struct parts {
    struct arena *arena;
    const char *texts[PARTS];
    size_t count;
};

static void add_part(struct parts *parts, const char *text)
{
    if (parts->count < PARTS)
        parts->texts[parts->count++] = text;
}

/* Options first, then positionals; those that exclude each other in one pair of brackets. */
static void add_arguments(struct parts *parts, const struct argument *arguments)
{
    for (const struct argument *a = arguments; a != NULL && a->name != NULL; a++) {
        if (!argument_is_option(a))
            continue;
        const char *text = part_of(parts->arena, a);
        for (; a->exclusive > 0 && a[1].name != NULL && a[1].exclusive == a->exclusive; a++)
            text = arena_printf(parts->arena, "%.*s | %s", (int)strlen(text) - 1, text, part_of(parts->arena, a + 1) + 1);
        add_part(parts, text);
    }
    for (const struct argument *a = arguments; a != NULL && a->name != NULL; a++)
        if (!argument_is_option(a))
            add_part(parts, part_of(parts->arena, a));
}

static bool begins_with_word(const char *words, const char *word, size_t length)
{
    return strncmp(words, word, length) == 0 && (words[length] == ' ' || words[length] == '\0');
}

/* Calls for each word that may stand next: commands and categories, or the actions of a category. */
static void each_next(const struct program *program, const char *category,
    void (*see)(void *owner, const char *word, size_t length, const struct command *command), void *owner)
{
    size_t skip = category != NULL ? strlen(category) + 1 : 0;
    const char *before = NULL;
    size_t before_length = 0;
    for (const struct command *c = program->commands; c->words != NULL; c++) {
        if (category != NULL && (!begins_with_word(c->words, category, skip - 1) || c->words[skip - 1] == '\0'))
            continue;
        const char *word = c->words + skip;
        size_t length = strcspn(word, " ");
        if (before != NULL && length == before_length && strncmp(before, word, length) == 0)
            continue;
        see(owner, word, length, word[length] == '\0' ? c : NULL);
        before = word;
        before_length = length;
    }
}

static void add_choice(void *owner, const char *word, size_t length, const struct command *command)
{
    struct buf *out = owner;
    buf_printf(out, "%s%.*s", out->length > 1 ? "," : "", (int)length, word);
}

static const char *choices(struct arena *arena, const struct program *program, const char *category)
{
    BUF_CLEANUP struct buf out = { 0 };
    buf_putc(&out, '{');
    each_next(program, category, add_choice, &out);
    buf_putc(&out, '}');
    return arena_strdup(arena, buf_text(&out));
}

void command_usage(struct buf *out, const struct program *program, const char *category, const struct command *command)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct parts parts = { .arena = arena };
    add_part(&parts, "[-h]");
    if (command != NULL) {
        add_arguments(&parts, command->arguments);
    } else {
        if (category == NULL) {
            add_arguments(&parts, command_common);
            add_arguments(&parts, program->options);
        }
        add_part(&parts, choices(arena, program, category));
        add_part(&parts, "...");
    }
    size_t start = out->length;
    buf_printf(out, "usage: %s%s%s", program->name, command != NULL || category != NULL ? " " : "",
        command != NULL ? command->words : category != NULL ? category : "");
    size_t indent = out->length - start, column = indent;
    for (size_t i = 0; i < parts.count; i++) {
        size_t length = strlen(parts.texts[i]);
        if (column + 1 + length > WIDTH && column > indent) {
            buf_printf(out, "\n%*s", (int)indent, "");
            column = indent;
        }
        buf_printf(out, " %s", parts.texts[i]);
        column += 1 + length;
    }
    buf_putc(out, '\n');
}

/* "  left          help text, wrapped" */
static void help_entry(struct buf *out, const char *left, int indent, const char *help)
{
    buf_printf(out, "%*s%s", indent, "", left);
    size_t column = (size_t)indent + strlen(left);
    if (help == NULL || *help == '\0') {
        buf_putc(out, '\n');
        return;
    }
    if (column + 2 > HELP_COLUMN) {
        buf_putc(out, '\n');
        column = 0;
    }
    buf_printf(out, "%*s", (int)(HELP_COLUMN - column), "");
    column = HELP_COLUMN;
    for (const char *word = help; *word != '\0';) {
        size_t length = strcspn(word, " ");
        if (column > HELP_COLUMN && column + 1 + length > WIDTH) {
            buf_printf(out, "\n%*s", HELP_COLUMN, "");
            column = HELP_COLUMN;
        }
        buf_printf(out, "%s%.*s", column > HELP_COLUMN ? " " : "", (int)length, word);
        column += length + (column > HELP_COLUMN);
        word += length + strspn(word + length, " ");
    }
    buf_putc(out, '\n');
}

static void help_arguments(struct buf *out, struct arena *arena, const struct argument *arguments, bool options)
{
    for (const struct argument *a = arguments; a != NULL && a->name != NULL; a++) {
        if (argument_is_option(a) != options)
            continue;
        const char *value = a->type == ARGUMENT_FLAG ? "" : arena_printf(arena, " %s", metavar(arena, a));
        const char *left = !options ? metavar(arena, a) : arena_printf(arena, "%s%s", a->name, value);
        if (options && a->other != NULL)
            left = a->other[1] == '-' ? arena_printf(arena, "%s, %s%s", left, a->other, value)
                                      : arena_printf(arena, "%s%s, %s", a->other, value, left);
        help_entry(out, left, 2, a->help);
    }
}

static bool has_positionals(const struct argument *arguments)
{
    for (const struct argument *a = arguments; a != NULL && a->name != NULL; a++)
        if (!argument_is_option(a))
            return true;
    return false;
}

static void help_choice(void *owner, const char *word, size_t length, const struct command *command)
{
    struct buf *out = owner;
    ARENA_CLEANUP struct arena *arena = arena_create();
    help_entry(out, arena_strndup(arena, word, length), 4, command != NULL ? command->help : NULL);
}

void command_help(struct buf *out, const struct program *program, const char *category, const struct command *command)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    command_usage(out, program, category, command);
    if (command != NULL && command->help != NULL)
        buf_printf(out, "\n%s\n", command->help);
    if (command != NULL && has_positionals(command->arguments)) {
        buf_puts(out, "\npositional arguments:\n");
        help_arguments(out, arena, command->arguments, false);
    }
    buf_puts(out, "\noptions:\n");
    help_entry(out, "-h, --help", 2, "show this help message and exit");
    if (command != NULL) {
        help_arguments(out, arena, command->arguments, true);
        return;
    }
    if (category == NULL) {
        help_arguments(out, arena, command_common, true);
        help_arguments(out, arena, program->options, true);
    }
    buf_puts(out, category == NULL ? "\nCommand options:\n" : "\nActions:\n");
    help_entry(out, choices(arena, program, category), 2, "");
    each_next(program, category, help_choice, out);
}
