/* SPDX-License-Identifier: Apache-2.0
 *
 * options: see options.h. Texts and where they come from are first, then references, types, snapshots, accessors and
 * warnings. The parser is options/file.c, the sample file options/sample.c.
 */
#include "oslo/options.h"

#include "base/log.h"
#include "base/map.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    KEY_LIMIT = 256,         /* "group/name" */
    REFERENCE_DEPTH = 16,    /* $a -> $b -> ... */
    EXPANDED_LIMIT = 1 << 20 /* bytes of one value after replacement */
};

static const char *const no_values[] = { NULL };

/* A registered option. */
struct item {
    const struct option *option;
    const char *group;
    char *override;
};

struct value {
    const char *text; /* NULL: None */
    const char *const *list;
    size_t count;
    int64_t integer;
    double real;
    bool boolean;
    const char *origin; /* NULL: default */
    int line;           /* of a file; 0: not from a file */
};

/* Immutable once it is current. */
struct snapshot {
    struct arena *arena;
    struct snapshot *older;
    struct map index; /* "group/name" -> struct value */
};

struct config {
    struct arena *arena;     /* items, sources */
    struct arena *files;     /* what the files said */
    struct item *items;
    size_t item_count;
    size_t item_capacity;
    struct map known;        /* "group/name" -> item index + 1 */
    struct config_source *sources;
    size_t source_count;
    struct config_entry *entries;
    struct map said;         /* what was warned about */
    _Atomic(struct snapshot *) current;
    pthread_mutex_t mutex;   /* writers */
};

/* ---- raw texts: override, environment, files, default ---- */

static const char *key_of(char key[KEY_LIMIT], const char *group, const char *name)
{
    size_t at = 0;

    for (; *group != '\0' && at < KEY_LIMIT / 2; group++)
        key[at++] = *group;
    key[at++] = '/';
    for (; *name != '\0' && at < KEY_LIMIT - 1; name++)
        key[at++] = *name == '-' ? '_' : *name;
    key[at] = '\0';
    return key;
}

/* Whether an entry of a file is meant for the item: 0 no, 1 by its name, 2... by a former name. */
static int entry_matches(const struct item *item, const struct config_entry *entry)
{
    int rank = 2;

    if (strcasecmp(entry->group, item->group) == 0 && strcmp(entry->name, item->option->name) == 0)
        return 1;
    if (item->option->deprecated == NULL)
        return 0;
    for (const char *const *old = item->option->deprecated; *old != NULL; old++, rank++) {
        const char *slash = strchr(*old, '/');
        const char *name = slash == NULL ? *old : slash + 1;
        size_t length = slash == NULL ? strlen(item->group) : (size_t)(slash - *old);
        const char *group = slash == NULL ? item->group : *old;

        if (strcmp(entry->name, name) == 0 && strlen(entry->group) == length &&
            strncasecmp(entry->group, group, length) == 0)
            return rank;
    }
    return 0;
}

static bool said_before(struct config *config, const char *key)
{
    if (map_has(&config->said, key))
        return true;
    map_set(&config->said, key, config);
    return false;
}

static void warn_deprecated(struct config *config, const struct item *item, const struct config_entry *entry)
{
    char key[KEY_LIMIT];

    if (!said_before(config, key_of(key, entry->group, entry->name)))
        log_warning("oslo_config.cfg", "Deprecated: Option \"%s\" from group \"%s\" is deprecated. Use option \"%s\" "
            "from group \"%s\". (%s:%d)", entry->name, entry->group, item->option->name, item->group, entry->file,
            entry->line);
}

/* MULTI takes every entry; all else the last one of the last file, a present name before a former one. */
static const struct config_entry *from_files(struct arena *arena, struct config *config, const struct item *item,
    struct buf *all)
{
    const struct config_entry *best = NULL;
    int best_rank = 0;

    for (const struct config_entry *entry = config->entries; entry != NULL; entry = entry->next) {
        int rank = entry_matches(item, entry);

        if (rank == 0)
            continue;
        if (item->option->type == OPTION_MULTI) {
            if (best != NULL)
                buf_putc(all, '\n');
            buf_puts(all, entry->value);
        }
        if (best == NULL || entry->file_number > best->file_number || rank <= best_rank) {
            best = entry;
            best_rank = rank;
        }
    }
    if (best_rank > 1)
        warn_deprecated(config, item, best);
    return best;
}

static const char *from_environment(const struct item *item)
{
    char name[KEY_LIMIT + 8];

    if (snprintf(name, sizeof(name), "OS_%s__%s", item->group, item->option->name) >= (int)sizeof(name))
        return NULL;
    for (char *at = name; *at != '\0'; at++)
        *at = *at == '-' ? '_' : (char)toupper((unsigned char)*at);
    return getenv(name);
}

static void find_text(struct arena *arena, struct config *config, const struct item *item, struct value *ret)
{
    BUF_CLEANUP struct buf all = { 0 };
    const struct config_entry *entry;

    *ret = (struct value){ .list = no_values };
    if (item->override != NULL) {
        ret->text = arena_strdup(arena, item->override);
        ret->origin = "override";
        return;
    }
    ret->text = arena_strdup(arena, from_environment(item));
    if (ret->text != NULL) {
        ret->origin = "environment";
        return;
    }
    entry = from_files(arena, config, item, &all);
    if (entry == NULL) {
        ret->text = item->option->def;
        return;
    }
    ret->text = arena_strdup(arena, item->option->type == OPTION_MULTI ? buf_text(&all) : entry->value);
    ret->origin = arena_strdup(arena, entry->file);
    ret->line = entry->line;
}

/* ---- references: $name ---- */

static bool name_char(char c, bool first)
{
    return c == '_' || isalpha((unsigned char)c) || (!first && (c == '.' || isdigit((unsigned char)c)));
}

static struct value *lookup_reference(struct snapshot *snapshot, const char *group, const char *name)
{
    char key[KEY_LIMIT], own[KEY_LIMIT];
    const char *dot = strchr(name, '.');
    struct value *value;

    if (strlen(name) > KEY_LIMIT / 2)
        return NULL;
    if (dot != NULL) {
        snprintf(own, sizeof(own), "%.*s", (int)(dot - name), name);
        value = map_get(&snapshot->index, key_of(key, own, dot + 1));
        if (value != NULL)
            return value;
    }
    value = map_get(&snapshot->index, key_of(key, group, name));
    return value != NULL ? value : map_get(&snapshot->index, key_of(key, "DEFAULT", name));
}

/* Expands into `out`. False when references go round, or out of bounds. */
static bool expand(struct snapshot *snapshot, const char *group, const char *text, struct buf *out, int depth)
{
    if (depth > REFERENCE_DEPTH)
        return false;
    for (const char *at = text; *at != '\0';) {
        const char *start, *end, *after;
        char name[KEY_LIMIT];
        struct value *value;

        if (out->length > EXPANDED_LIMIT)
            return false;
        if ((at[0] == '\\' || at[0] == '$') && at[1] == '$') {
            buf_putc(out, '$');
            at += 2;
            continue;
        }
        if (*at != '$') {
            buf_putc(out, *at++);
            continue;
        }
        start = at + (at[1] == '{' ? 2 : 1);
        for (end = start; name_char(*end, end == start); end++)
            ;
        after = at[1] == '{' ? end + 1 : end;
        value = NULL;
        if (end > start && end - start < KEY_LIMIT && (at[1] != '{' || *end == '}')) {
            memcpy(name, start, (size_t)(end - start));
            name[end - start] = '\0';
            value = lookup_reference(snapshot, group, name);
        }
        if (value == NULL) {
            buf_putc(out, *at++);
            continue;
        }
        if (value->text != NULL && !expand(snapshot, group, value->text, out, depth + 1))
            return false;
        at = after;
    }
    return true;
}

/* ---- types ---- */

/* Fills value->list from a text split at `separator`; elements are trimmed. An empty text has no elements. */
static void split_list(struct arena *arena, const char *text, char separator, struct value *value)
{
    const char **list;
    size_t length = strlen(text), count = 1;
    const char *end;

    if (separator == ',') {
        text_trim(&text, &length);
        while (length > 0 && text[length - 1] == ',')
            length--;
    }
    if (length == 0)
        return;
    end = text + length;
    for (const char *at = text; at < end; at++)
        count += *at == separator;
    list = ARENA_ARRAY(arena, const char *, count + 1);
    for (const char *at = text, *next; at <= end; at = next + 1) {
        const char *part = at;
        size_t part_length;

        next = at < end ? memchr(at, separator, (size_t)(end - at)) : NULL;
        if (next == NULL)
            next = end;
        part_length = (size_t)(next - at);
        text_trim(&part, &part_length);
        list[value->count++] = arena_strndup(arena, part, part_length);
    }
    value->list = list;
}

static const char *check_dict(struct arena *arena, struct value *value)
{
    struct value pairs = { 0 };
    const char **list;

    split_list(arena, value->text, ',', &pairs);
    list = ARENA_ARRAY(arena, const char *, 2 * pairs.count + 1);
    for (size_t i = 0; i < pairs.count; i++) {
        const char *colon = strchr(pairs.list[i], ':');
        const char *key = pairs.list[i];
        size_t length;

        if (colon == NULL)
            return "Value should be NAME:VALUE pairs separated by \",\"";
        length = (size_t)(colon - key);
        text_trim(&key, &length);
        list[2 * i] = arena_strndup(arena, key, length);
        key = colon + 1;
        length = strlen(key);
        text_trim(&key, &length);
        list[2 * i + 1] = arena_strndup(arena, key, length);
    }
    value->list = list;
    value->count = 2 * pairs.count;
    return NULL;
}

static const char *check_number(struct arena *arena, const struct option *option, struct value *value)
{
    bool limited = option->min != 0 || option->max != 0;
    int64_t min = option->min, max = option->max;
    char *end;

    if (option->type == OPTION_PORT && !limited) {
        max = 65535;
        limited = true;
    }
    errno = 0;
    value->real = strtod(value->text, &end);
    if (option->type != OPTION_FLOAT) {
        errno = 0;
        value->integer = strtoll(value->text, &end, 10);
        value->real = (double)value->integer;
    } else {
        value->integer = value->real >= -9e18 && value->real <= 9e18 ? (int64_t)value->real : 0;
    }
    while (isspace((unsigned char)*end))
        end++;
    if (end == value->text || *end != '\0' || errno == ERANGE)
        return option->type == OPTION_FLOAT ? "Not a floating point number" : "Not an integer";
    if (limited && value->real < (double)min)
        return arena_printf(arena, "Should be greater than or equal to %lld", (long long)min);
    if (limited && value->real > (double)max)
        return arena_printf(arena, "Should be less than or equal to %lld", (long long)max);
    return NULL;
}

static const char *check_bool(struct value *value)
{
    static const char *const words[] = { "true", "1", "on", "yes", "false", "0", "off", "no" };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcasecmp(value->text, words[i]) == 0) {
            value->boolean = i < 4;
            value->integer = i < 4;
            return NULL;
        }
    return "Unexpected boolean value";
}

static bool is_address(const char *text)
{
    unsigned char bytes[16];

    return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

/* RFC 1123 with underscores, as oslo.config. */
static bool is_hostname(const char *text)
{
    size_t label = 0;
    bool letter = false;

    if (*text == '\0' || strlen(text) > 253)
        return false;
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '.') {
            if (label == 0 || at[-1] == '-')
                return false;
            label = 0;
            continue;
        }
        if (!isalnum((unsigned char)*at) && *at != '_' && (*at != '-' || label == 0))
            return false;
        letter = letter || !isdigit((unsigned char)*at);
        if (++label > 63)
            return false;
    }
    return letter && text[strlen(text) - 1] != '-';
}

static bool is_uri(const char *text)
{
    const char *at = text;

    if (!isalpha((unsigned char)*at))
        return false;
    while (isalnum((unsigned char)*at) || *at == '+' || *at == '-' || *at == '.')
        at++;
    if (strncmp(at, "://", 3) != 0)
        return false;
    for (at += 3; *at != '\0'; at++)
        if ((unsigned char)*at <= ' ' || strchr("<>\"\\^`{|}", *at) != NULL)
            return false;
    return true;
}

static const char *check_choices(struct arena *arena, const struct option *option, const char *text)
{
    BUF_CLEANUP struct buf words = { 0 };

    if (option->choices == NULL)
        return NULL;
    for (const char *const *choice = option->choices; *choice != NULL; choice++) {
        if (strcmp(*choice, text) == 0)
            return NULL;
        buf_printf(&words, "%s%s", words.length > 0 ? ", " : "", **choice == '\0' ? "''" : *choice);
    }
    return arena_printf(arena, "Valid values are [%s]", buf_text(&words));
}

/* Reads value->text by the option's type. Returns what is wrong with it, or NULL. */
static const char *check_value(struct arena *arena, const struct option *option, struct value *value)
{
    const char *wrong = NULL;

    switch (option->type) {
    case OPTION_STR:
        return check_choices(arena, option, value->text);
    case OPTION_INT:
    case OPTION_FLOAT:
    case OPTION_PORT:
        return check_number(arena, option, value);
    case OPTION_BOOL:
        return check_bool(value);
    case OPTION_DICT:
        return check_dict(arena, value);
    case OPTION_LIST:
    case OPTION_MULTI:
        split_list(arena, value->text, option->type == OPTION_LIST ? ',' : '\n', value);
        for (size_t i = 0; i < value->count && wrong == NULL; i++)
            wrong = check_choices(arena, option, value->list[i]);
        return wrong;
    case OPTION_HOST:
        return is_address(value->text) || is_hostname(value->text) ? NULL : "Not a valid host address";
    case OPTION_IP:
        return is_address(value->text) ? NULL : "Not IPv4 or IPv6 address";
    case OPTION_URI:
        return is_uri(value->text) ? NULL : "Invalid URI";
    }
    return NULL;
}

/* ---- snapshots ---- */

static const char *origin_text(struct arena *arena, const struct value *value)
{
    if (value->origin == NULL)
        return "default";
    return value->line > 0 ? arena_printf(arena, "%s:%d", value->origin, value->line) : value->origin;
}

static struct fault *finish_value(struct arena *arena, struct snapshot *snapshot, const struct item *item,
    const struct value *raw, struct value *value)
{
    BUF_CLEANUP struct buf text = { 0 };
    const char *wrong = NULL;

    if (raw->text == NULL)
        return NULL;
    if (strpbrk(raw->text, "$") != NULL) {
        if (expand(snapshot, item->group, raw->text, &text, 0))
            value->text = arena_strdup(snapshot->arena, buf_text(&text));
        else
            wrong = "Its $references go round or too far";
    }
    /* An empty value of a typed option is None to an operator who wrote "name =". */
    if (*value->text == '\0' && item->option->type != OPTION_STR && item->option->type != OPTION_LIST &&
        item->option->type != OPTION_MULTI && item->option->type != OPTION_DICT && item->option->def == NULL) {
        value->text = NULL;
        return NULL;
    }
    if (wrong == NULL)
        wrong = check_value(snapshot->arena, item->option, value);
    if (wrong == NULL)
        return NULL;
    return fault_new(arena, 500, "ConfigFileValueError", "%s: Value for option %s.%s is not valid: %s%s%s%s",
        origin_text(arena, value), item->group, item->option->name, wrong, item->option->secret ? "" : " (found '",
        item->option->secret ? "" : config_mask_url(arena, arena_strndup(arena, value->text, strnlen(value->text, 200))),
        item->option->secret ? "" : "')");
}

static void snapshot_destroy(struct snapshot *snapshot)
{
    map_release(&snapshot->index);
    arena_destroy(snapshot->arena);
}

/* References are replaced from the raw texts, so the order of options does not matter. */
static struct fault *fill_snapshot(struct arena *arena, struct config *config, struct snapshot *snapshot)
{
    struct value *values = ARENA_ARRAY(snapshot->arena, struct value, config->item_count + 1);
    struct value *raw = ARENA_ARRAY(snapshot->arena, struct value, config->item_count + 1);
    char key[KEY_LIMIT];

    for (size_t i = 0; i < config->item_count; i++) {
        find_text(snapshot->arena, config, &config->items[i], &raw[i]);
        values[i] = raw[i];
        map_set(&snapshot->index, key_of(key, config->items[i].group, config->items[i].option->name), &raw[i]);
    }
    for (size_t i = 0; i < config->item_count; i++)
        TRY(finish_value(arena, snapshot, &config->items[i], &raw[i], &values[i]));
    for (size_t i = 0; i < config->item_count; i++)
        map_set(&snapshot->index, key_of(key, config->items[i].group, config->items[i].option->name), &values[i]);
    return NULL;
}

static struct fault *snapshot_build(struct arena *arena, struct config *config, struct snapshot **ret)
{
    struct arena *own = arena_create();
    struct snapshot *snapshot = ARENA_NEW(own, struct snapshot);
    struct fault *fault;

    snapshot->arena = own;
    fault = fill_snapshot(arena, config, snapshot);
    if (fault != NULL)
        snapshot_destroy(snapshot);
    else
        *ret = snapshot;
    return fault;
}

static void publish(struct config *config, struct snapshot *snapshot)
{
    snapshot->older = atomic_load(&config->current);
    atomic_store(&config->current, snapshot);
}

static struct fault *rebuild(struct arena *arena, struct config *config)
{
    struct snapshot *snapshot = NULL;

    TRY(snapshot_build(arena, config, &snapshot));
    publish(config, snapshot);
    return NULL;
}

static void add_table(struct config *config, const struct option_table *table)
{
    char key[KEY_LIMIT];

    for (size_t i = 0; i < table->count; i++) {
        const char *own = table->group != NULL ? table->group : table->rows[i].group;

        assert(own != NULL && table->rows[i].name != NULL && strlen(own) < KEY_LIMIT / 2);
        if (map_has(&config->known, key_of(key, own, table->rows[i].name)))
            continue;
        if (config->item_count == config->item_capacity) {
            config->item_capacity = config->item_capacity * 2 + 64;
            config->items = realloc(config->items, config->item_capacity * sizeof(*config->items));
            if (config->items == NULL)
                abort();
        }
        config->items[config->item_count++] = (struct item){ .option = &table->rows[i],
            .group = arena_strdup(config->arena, own) };
        map_set(&config->known, key, (void *)(uintptr_t)config->item_count);
    }
}

struct fault *config_create(struct arena *arena, const struct option_table *const *tables, size_t table_count,
    const struct config_source *sources, size_t source_count, struct config **ret)
{
    struct config *config = calloc(1, sizeof(*config));
    struct fault *fault;

    if (config == NULL)
        abort();
    pthread_mutex_init(&config->mutex, NULL);
    config->arena = arena_create();
    config->files = arena_create();
    config->source_count = source_count;
    config->sources = ARENA_ARRAY(config->arena, struct config_source, source_count + 1);
    for (size_t i = 0; i < source_count; i++) {
        config->sources[i] = sources[i];
        config->sources[i].path = arena_strdup(config->arena, sources[i].path);
    }
    for (size_t i = 0; i < table_count; i++)
        add_table(config, tables[i]);
    fault = config_read(config->files, config->sources, source_count, &config->entries);
    if (fault != NULL)
        fault = fault_copy(arena, fault);
    else
        fault = rebuild(arena, config);
    if (fault != NULL)
        config_destroy(config);
    else
        *ret = config;
    return fault;
}

void config_destroy(struct config *config)
{
    struct snapshot *snapshot;

    if (config == NULL)
        return;
    snapshot = atomic_load(&config->current);
    while (snapshot != NULL) {
        struct snapshot *older = snapshot->older;

        snapshot_destroy(snapshot);
        snapshot = older;
    }
    for (size_t i = 0; i < config->item_count; i++)
        free(config->items[i].override);
    free(config->items);
    map_release(&config->known);
    map_release(&config->said);
    arena_destroy(config->files);
    arena_destroy(config->arena);
    pthread_mutex_destroy(&config->mutex);
    free(config);
}

/* What cannot change while the process runs keeps its value. */
static void keep_fixed(struct config *config, const struct snapshot *before, struct snapshot *after)
{
    char key[KEY_LIMIT];

    for (size_t i = 0; i < config->item_count; i++) {
        const struct item *item = &config->items[i];
        struct value *old = map_get(&before->index, key_of(key, item->group, item->option->name));
        struct value *new = map_get(&after->index, key);

        if (item->option->reloadable || old == NULL)
            continue;
        if (old->text != new->text && (old->text == NULL || new->text == NULL || strcmp(old->text, new->text) != 0))
            log_warning("oslo_config.cfg", "Option %s.%s has changed; it takes effect at the next start", item->group,
                item->option->name);
        map_set(&after->index, key, old);
    }
}

static struct fault *reload_locked(struct arena *arena, struct config *config)
{
    struct arena *before_files = config->files;
    struct config_entry *before_entries = config->entries;
    struct snapshot *snapshot = NULL;
    struct fault *fault;

    config->files = arena_create();
    fault = config_read(config->files, config->sources, config->source_count, &config->entries);
    if (fault != NULL)
        fault = fault_copy(arena, fault);
    else
        fault = snapshot_build(arena, config, &snapshot);
    if (fault != NULL) {
        arena_destroy(config->files);
        config->files = before_files;
        config->entries = before_entries;
        return fault;
    }
    keep_fixed(config, atomic_load(&config->current), snapshot);
    publish(config, snapshot);
    arena_destroy(before_files);
    return NULL;
}

struct fault *config_reload(struct arena *arena, struct config *config)
{
    struct fault *fault;

    pthread_mutex_lock(&config->mutex);
    fault = reload_locked(arena, config);
    pthread_mutex_unlock(&config->mutex);
    return fault;
}

struct fault *config_set_override(struct arena *arena, struct config *config, const char *group, const char *name,
    const char *text)
{
    char key[KEY_LIMIT];
    size_t at = (uintptr_t)map_get(&config->known, key_of(key, group, name));
    struct fault *fault;
    char *before;

    assert(at > 0);
    pthread_mutex_lock(&config->mutex);
    before = config->items[at - 1].override;
    config->items[at - 1].override = text == NULL ? NULL : strdup(text);
    fault = rebuild(arena, config);
    if (fault != NULL) {
        free(config->items[at - 1].override);
        config->items[at - 1].override = before;
    } else {
        free(before);
    }
    pthread_mutex_unlock(&config->mutex);
    return fault;
}

/* ---- accessors ---- */

static const struct value *value_of(const struct config *config, const char *group, const char *name)
{
    char key[KEY_LIMIT];
    const struct snapshot *snapshot = atomic_load(&config->current);
    const struct value *value = map_get(&snapshot->index, key_of(key, group, name));

    assert(value != NULL && "the option is not registered");
    return value;
}

const char *config_str(const struct config *config, const char *group, const char *name)
{
    return value_of(config, group, name)->text;
}

int64_t config_int(const struct config *config, const char *group, const char *name)
{
    return value_of(config, group, name)->integer;
}

double config_float(const struct config *config, const char *group, const char *name)
{
    return value_of(config, group, name)->real;
}

bool config_bool(const struct config *config, const char *group, const char *name)
{
    return value_of(config, group, name)->boolean;
}

const char *const *config_list(const struct config *config, const char *group, const char *name, size_t *ret_count)
{
    const struct value *value = value_of(config, group, name);

    if (ret_count != NULL)
        *ret_count = value->count;
    return value->list;
}

bool config_has(const struct config *config, const char *group, const char *name)
{
    char key[KEY_LIMIT];
    const struct snapshot *snapshot = atomic_load(&config->current);

    return map_has(&snapshot->index, key_of(key, group, name));
}

bool config_is_set(const struct config *config, const char *group, const char *name)
{
    return value_of(config, group, name)->origin != NULL;
}

const char *config_origin(struct arena *arena, const struct config *config, const char *group, const char *name)
{
    return origin_text(arena, value_of(config, group, name));
}

/* ---- what is in effect, for the log ---- */

/* "user:password@host" without the password. Without a colon what stands before @ may be a secret itself. */
static void mask_authority(struct buf *out, const char *text, size_t length)
{
    const char *sign = memrchr(text, '@', length), *colon = sign != NULL ? memchr(text, ':', (size_t)(sign - text)) : NULL;

    if (sign == NULL)
        buf_append(out, text, length);
    else
        buf_printf(out, "%.*s***%.*s", colon != NULL ? (int)(colon + 1 - text) : 0, text, (int)(text + length - sign), sign);
}

const char *config_mask_url(struct arena *arena, const char *text)
{
    BUF_CLEANUP struct buf out = { 0 };

    for (const char *scheme; (scheme = strstr(text, "://")) != NULL;) {
        buf_append(&out, text, (size_t)(scheme + 3 - text));
        text = scheme + 3;
        for (;;) { /* of several hosts, each has its own */
            size_t length = strcspn(text, "/?# ,");

            mask_authority(&out, text, length);
            text += length;
            if (*text != ',')
                break;
            buf_putc(&out, *text++);
        }
    }
    buf_puts(&out, text);
    return arena_strdup(arena, buf_text(&out));
}

void config_log_values(const struct config *config)
{
    static const char module[] = "oslo_config.cfg";
    if (!log_enabled(LOG_LEVEL_DEBUG))
        return;
    ARENA_CLEANUP struct arena *arena = arena_create();
    log_debug(module, "Configuration options gathered from:");
    for (size_t i = 0; i < config->source_count; i++)
        log_debug(module, "config files: %s", config->sources[i].path);
    for (size_t i = 0; i < config->item_count; i++) {
        const struct item *item = &config->items[i];
        const char *text = config_str(config, item->group, item->option->name);
        bool top = strcmp(item->group, "DEFAULT") == 0;
        log_debug(module, "%s%s%s = %s", top ? "" : item->group, top ? "" : ".", item->option->name,
            text == NULL ? "None" : item->option->secret ? "****" : config_mask_url(arena, text));
    }
}

/* ---- unknown names ---- */

/* Edit distance of two names, both short. */
static size_t distance(const char *a, const char *b)
{
    size_t row[KEY_LIMIT];
    size_t length = strlen(b);

    for (size_t j = 0; j <= length; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t corner = row[0];

        row[0] = i;
        for (size_t j = 1; j <= length; j++) {
            size_t change = corner + (a[i - 1] != b[j - 1]);

            corner = row[j];
            row[j] = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
            if (change < row[j])
                row[j] = change;
        }
    }
    return row[length];
}

/* The nearest registered option, or NULL. One in another section counts as one letter further. */
static const struct item *nearest(const struct config *config, const struct config_entry *entry)
{
    const struct item *best = NULL;
    size_t limit = strlen(entry->name) / 3 + 1;
    size_t best_distance = limit + 1;

    for (size_t i = 0; i < config->item_count; i++) {
        const struct item *item = &config->items[i];
        size_t far = distance(entry->name, item->option->name) + (strcasecmp(item->group, entry->group) != 0);

        if (far < best_distance) {
            best = item;
            best_distance = far;
        }
    }
    return best;
}

static bool entry_known(const struct config *config, const struct config_entry *entry, bool *ret_section)
{
    char key[KEY_LIMIT];

    *ret_section = false;
    if (map_has(&config->known, key_of(key, entry->group, entry->name)))
        return true;
    for (size_t i = 0; i < config->item_count; i++) {
        if (entry_matches(&config->items[i], entry) != 0)
            return true;
        if (strcasecmp(config->items[i].group, entry->group) == 0)
            *ret_section = true;
    }
    return false;
}

size_t config_warn_unknown(struct config *config)
{
    size_t count = 0;

    pthread_mutex_lock(&config->mutex);
    for (struct config_entry *entry = config->entries; entry != NULL; entry = entry->next) {
        const struct item *near;
        char key[KEY_LIMIT];
        bool section;

        if (entry_known(config, entry, &section))
            continue;
        near = nearest(config, entry);
        if (said_before(config, key_of(key, entry->group, section || near != NULL ? entry->name : "")))
            continue;
        count++;
        if (near != NULL)
            log_warning("oslo_config.cfg", "%s:%d: unknown option [%s] %s; did you mean [%s] %s?", entry->file,
                entry->line, entry->group, entry->name, near->group, near->option->name);
        else if (section)
            log_warning("oslo_config.cfg", "%s:%d: unknown option [%s] %s", entry->file, entry->line, entry->group,
                entry->name);
        else
            log_warning("oslo_config.cfg", "%s:%d: unknown section [%s]; its options have no effect", entry->file,
                entry->line, entry->group);
    }
    pthread_mutex_unlock(&config->mutex);
    return count;
}
