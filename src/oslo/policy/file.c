/* SPDX-License-Identifier: Apache-2.0
 *
 * policy/file: policy.yaml to rules, by libyaml's events. No aliases, no tags, bounded size, nodes and depth.
 */
#include "oslo/policy/tree.h"

#include "base/file.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

enum { FILE_LIMIT = 4 << 20, EVENT_LIMIT = 100000 };

struct reader {
    struct arena *arena;
    const char *file;
    yaml_parser_t yaml;
    yaml_event_t event;
    bool has_event;
    size_t events;
};

static struct fault *wrong(struct reader *reader, const char *what)
{
    return fault_new(reader->arena, 500, "PolicyFileError", "%s:%zu: %s", reader->file,
        reader->yaml.mark.line + 1, what);
}

static struct fault *next_event(struct reader *reader)
{
    if (reader->has_event)
        yaml_event_delete(&reader->event);
    reader->has_event = false;
    if (!yaml_parser_parse(&reader->yaml, &reader->event))
        return fault_new(reader->arena, 500, "PolicyFileError", "%s:%zu: not YAML: %s", reader->file,
            reader->yaml.problem_mark.line + 1, reader->yaml.problem != NULL ? reader->yaml.problem : "?");
    reader->has_event = true;
    if (++reader->events > EVENT_LIMIT)
        return wrong(reader, "too many entries");
    if (reader->event.type == YAML_ALIAS_EVENT)
        return wrong(reader, "aliases are not supported");
    return NULL;
}

static const char *scalar(struct reader *reader)
{
    return arena_strndup(reader->arena, (const char *)reader->event.data.scalar.value,
        strlen((const char *)reader->event.data.scalar.value));
}

static bool is_null(const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;

    return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
        (*text == '\0' || strcmp(text, "~") == 0 || strcasecmp(text, "null") == 0);
}

/* A list of check strings: AND. */
static struct fault *read_and_list(struct reader *reader, const char *name, struct check **ret)
{
    struct check *all = NULL;

    for (;;) {
        struct check *next = NULL;

        TRY(next_event(reader));
        if (reader->event.type == YAML_SEQUENCE_END_EVENT)
            break;
        if (reader->event.type != YAML_SCALAR_EVENT)
            return wrong(reader, "a rule's inner list holds check strings only");
        TRY(policy_parse(reader->arena, name, scalar(reader), &next));
        all = policy_join(reader->arena, CHECK_AND, all, next);
    }
    *ret = all;
    return NULL;
}

/* A list of lists or check strings: OR. An empty one always passes. */
static struct fault *read_or_list(struct reader *reader, const char *name, struct check **ret)
{
    struct check *any = NULL;
    bool empty = true;

    for (;;) {
        struct check *next = NULL;

        TRY(next_event(reader));
        if (reader->event.type == YAML_SEQUENCE_END_EVENT)
            break;
        empty = false;
        if (reader->event.type == YAML_SCALAR_EVENT)
            TRY(policy_parse(reader->arena, name, scalar(reader), &next));
        else if (reader->event.type == YAML_SEQUENCE_START_EVENT)
            TRY(read_and_list(reader, name, &next));
        else
            return wrong(reader, "a rule is a check string or a list of lists of check strings");
        any = policy_join(reader->arena, CHECK_OR, any, next);
    }
    if (any == NULL) {
        any = ARENA_NEW(reader->arena, struct check);
        any->kind = empty ? CHECK_TRUE : CHECK_FALSE;
    }
    *ret = any;
    return NULL;
}

static struct fault *read_rule(struct reader *reader, struct file_rule ***tail)
{
    struct file_rule *rule = ARENA_NEW(reader->arena, struct file_rule);

    if (reader->event.type != YAML_SCALAR_EVENT)
        return wrong(reader, "the name of a rule is expected");
    rule->name = scalar(reader);
    rule->origin = arena_printf(reader->arena, "%s:%zu", reader->file, reader->event.start_mark.line + 1);
    TRY(next_event(reader));
    if (reader->event.type == YAML_SEQUENCE_START_EVENT) {
        TRY(read_or_list(reader, rule->name, &rule->check));
    } else if (reader->event.type == YAML_SCALAR_EVENT) {
        /* Upstream would let everybody in; nobody means that. */
        if (is_null(&reader->event))
            return wrong(reader, "the rule has no value; write \"\" to allow everybody or \"!\" nobody");
        TRY(policy_parse(reader->arena, rule->name, scalar(reader), &rule->check));
    } else {
        return wrong(reader, "a rule is a check string or a list of lists of check strings");
    }
    **tail = rule;
    *tail = &rule->next;
    return NULL;
}

static struct fault *read_document(struct reader *reader, struct file_rule ***tail)
{
    do {
        TRY(next_event(reader));
        if (reader->event.type == YAML_STREAM_END_EVENT)
            return NULL;
    } while (reader->event.type == YAML_STREAM_START_EVENT || reader->event.type == YAML_DOCUMENT_START_EVENT);
    if (reader->event.type == YAML_SCALAR_EVENT && is_null(&reader->event))
        return NULL;
    if (reader->event.type != YAML_MAPPING_START_EVENT)
        return wrong(reader, "a policy file is a map of rule names to checks");
    for (;;) {
        TRY(next_event(reader));
        if (reader->event.type == YAML_MAPPING_END_EVENT)
            return NULL;
        TRY(read_rule(reader, tail));
    }
}

struct fault *policy_parse_file(struct arena *arena, const char *file, const char *text, size_t length,
    struct file_rule ***tail)
{
    struct reader reader = { .arena = arena, .file = file };
    size_t name_length = strlen(file);
    struct fault *fault;

    if (length > FILE_LIMIT)
        return fault_new(arena, 500, "PolicyFileError", "%s: larger than 4 MiB", file);
    if (name_length > 5 && strcmp(file + name_length - 5, ".json") == 0)
        return fault_new(arena, 500, "PolicyFileError", "%s: policy files in JSON are no longer read; convert it to "
            "YAML with oslopolicy-convert-json-to-yaml", file);
    if (!yaml_parser_initialize(&reader.yaml))
        return fault_new(arena, 500, "PolicyFileError", "%s: out of memory", file);
    yaml_parser_set_input_string(&reader.yaml, (const unsigned char *)text, length);
    fault = read_document(&reader, tail);
    if (reader.has_event)
        yaml_event_delete(&reader.event);
    yaml_parser_delete(&reader.yaml);
    return fault;
}

struct fault *policy_read_file(struct arena *arena, const char *file, struct file_rule ***tail)
{
    size_t length;
    const char *text = file_read(arena, file, FILE_LIMIT, &length);

    if (text == NULL && errno == ENOENT)
        return NULL;
    if (text == NULL)
        return fault_new(arena, 500, "PolicyFileError", "%s: %s", file, strerror(errno));
    return policy_parse_file(arena, arena_strdup(arena, file), text, length, tail);
}
