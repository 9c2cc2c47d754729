/* SPDX-License-Identifier: Apache-2.0 */
#include "keystone/catalog/templated.h"

#include "base/file.h"
#include "base/text.h"
#include "oslo/options.h"

#include <stdlib.h>
#include <string.h>

enum { LONGEST_FILE = 4 << 20 };

/* ---- The file ---- */

static bool parse_line(struct arena *arena, const char *line, size_t length, struct templated_entry *ret)
{
    const char *equals = memmem(line, length, " = ", 3), *parts[4];
    size_t count = 0, value_length, key_length;

    if (equals == NULL || memmem(equals + 3, length - (size_t)(equals + 3 - line), " = ", 3) != NULL)
        return false;
    const char *key = line, *value = equals + 3;
    key_length = (size_t)(equals - line);
    value_length = length - (size_t)(value - line);
    text_trim(&key, &key_length);
    text_trim(&value, &value_length);
    for (char *part = arena_strndup(arena, key, key_length), *dot; count < 4; part = dot + 1) {
        dot = strchr(part, '.');
        parts[count++] = part;
        if (dot == NULL)
            break;
        *dot = '\0';
    }
    if (count < 4 || strcmp(parts[0], "catalog") != 0)
        return false;
    *ret = (struct templated_entry){ parts[1], parts[2], parts[3], arena_strndup(arena, value, value_length) };
    return true;
}

/* Reads a text into the arena. */
static void templated_parse(struct arena *arena, const char *text, const struct templated_entry **ret, size_t *ret_count)
{
    size_t lines = 1, count = 0;

    for (const char *c = text; *c != '\0'; c++)
        lines += *c == '\n';
    struct templated_entry *entries = ARENA_ARRAY(arena, struct templated_entry, lines);
    while (*text != '\0') {
        size_t length = strcspn(text, "\n");
        if (parse_line(arena, text, length, &entries[count]))
            count++;
        text += length + (text[length] == '\n');
    }
    *ret = entries;
    *ret_count = count;
}

struct fault *templated_create(struct context *cx, struct templated **ret)
{
    const struct config *config = cx->app->config;
    const char *file = config_str(config, "catalog", "template_file");

    *ret = NULL;
    if (strcmp(config_str(config, "catalog", "driver"), "templated") != 0)
        return NULL;
    const char *text = file_read(cx->arena, file, LONGEST_FILE, NULL);
    if (text == NULL && file[0] != '/')
        text = file_read(cx->arena, arena_printf(cx->arena, "/etc/keystone/%s", file), LONGEST_FILE, NULL);
    if (text == NULL)
        return FAULT(cx, 500, NULL, "Unable to open template file %s", file);
    struct templated *templated = calloc(1, sizeof(*templated));
    if (templated == NULL)
        abort();
    templated->arena = arena_create();
    templated_parse(templated->arena, text, &templated->entries, &templated->count);
    *ret = templated;
    return NULL;
}

void templated_destroy(struct templated *templated)
{
    if (templated == NULL)
        return;
    arena_destroy(templated->arena);
    free(templated);
}

const char *templated_interface(struct arena *arena, const char *key)
{
    size_t length = strlen(key);

    return length > 3 && strcmp(key + length - 3, "URL") == 0 ? arena_strndup(arena, key, length - 3) : NULL;
}

/* ---- The API ---- */

static const char *value_of(const struct templated *templated, const struct templated_entry *of, const char *key)
{
    for (size_t i = 0; i < templated->count; i++) {
        const struct templated_entry *entry = &templated->entries[i];
        if (strcmp(entry->region, of->region) == 0 && strcmp(entry->service, of->service) == 0 && strcmp(entry->key, key) == 0)
            return entry->value;
    }
    return "";
}

/* Whether the entry is the first that says what this kind lists. */
static bool is_first(const struct templated *templated, enum templated_kind kind, size_t at)
{
    const struct templated_entry *entry = &templated->entries[at];

    for (size_t i = 0; i < at; i++) {
        const struct templated_entry *before = &templated->entries[i];
        bool same_region = strcmp(before->region, entry->region) == 0;
        bool same_service = strcmp(before->service, entry->service) == 0;
        if (kind == TEMPLATED_REGION ? same_region : same_region && same_service &&
            (kind == TEMPLATED_SERVICE || strcmp(before->key, entry->key) == 0))
            return false;
    }
    return true;
}

static const char *id_of(struct arena *arena, enum templated_kind kind, const struct templated_entry *entry)
{
    const char *interface = templated_interface(arena, entry->key);

    if (kind == TEMPLATED_REGION)
        return entry->region;
    if (kind == TEMPLATED_SERVICE)
        return entry->service;
    return interface != NULL ? arena_printf(arena, "%s-%s-%s", entry->region, entry->service, interface) : NULL;
}

static const char *const plurals[] = { "regions", "services", "endpoints" };
static const char *const names[] = { "region", "service", "endpoint" };

static void write_one(struct request *rq, const char *member, enum templated_kind kind, const struct templated *templated,
    const struct templated_entry *entry)
{
    const char *id = id_of(rq->cx.arena, kind, entry);
    struct json_writer *w = &rq->json;

    json_begin(w, member);
    json_text(w, "id", id);
    if (kind == TEMPLATED_REGION) {
        json_text(w, "description", "");
        json_text(w, "parent_region_id", "");
    } else if (kind == TEMPLATED_SERVICE) {
        json_bool(w, "enabled", true);
        json_text(w, "name", value_of(templated, entry, "name"));
        json_text(w, "description", value_of(templated, entry, "description"));
        json_text(w, "type", entry->service);
    } else {
        json_text(w, "service_id", entry->service);
        json_text(w, "interface", templated_interface(rq->cx.arena, entry->key));
        json_text(w, "url", entry->value);
        json_text(w, "region_id", entry->region);
        json_text(w, "region", entry->region);
        json_bool(w, "enabled", true);
    }
    json_begin(w, "links");
    json_text(w, "self", keystone_url(rq, arena_printf(rq->cx.arena, "/%s/%s", plurals[kind], id)));
    json_end(w);
    json_end(w);
}

static bool matches(const struct request *rq, enum templated_kind kind, const struct templated *templated,
    const struct templated_entry *entry)
{
    const struct {
        enum templated_kind kind;
        const char *name, *value;
    } filters[] = {
        { TEMPLATED_SERVICE, "type", entry->service },
        { TEMPLATED_SERVICE, "name", value_of(templated, entry, "name") },
        { TEMPLATED_ENDPOINT, "service_id", entry->service },
        { TEMPLATED_ENDPOINT, "region_id", entry->region },
        { TEMPLATED_ENDPOINT, "interface", templated_interface(rq->cx.arena, entry->key) },
    };

    for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
        const char *wanted = filters[i].kind == kind ? request_query(rq, filters[i].name) : NULL;
        if (wanted != NULL && (filters[i].value == NULL || strcmp(wanted, filters[i].value) != 0))
            return false;
    }
    return true;
}

static void write_all(struct request *rq, enum templated_kind kind, const struct templated *templated)
{
    struct json_writer *w = &rq->json;

    json_begin(w, NULL);
    json_begin_array(w, plurals[kind]);
    for (size_t i = 0; i < templated->count; i++)
        if (id_of(rq->cx.arena, kind, &templated->entries[i]) != NULL && is_first(templated, kind, i) &&
            matches(rq, kind, templated, &templated->entries[i]))
            write_one(rq, NULL, kind, templated, &templated->entries[i]);
    keystone_collection_end(rq);
}

struct fault *templated_respond(struct request *rq, enum templated_kind kind, const char *id, bool *ret_done)
{
    const struct templated *templated = keystone_of(RQ(rq))->templated;

    *ret_done = templated != NULL;
    if (templated == NULL)
        return NULL;
    if (rq->route->handler_policy) /* before the handler asks for what is in the database */
        TRY(request_enforce(rq, rq->route->policy, NULL));
    if (kind == TEMPLATED_OTHER || (rq->method != GET && rq->method != HEAD))
        return FAULT(RQ(rq), 501, NULL, "The action you have requested has not been implemented.");
    if (id == NULL) {
        write_all(rq, kind, templated);
        return NULL;
    }
    for (size_t i = 0; i < templated->count; i++) {
        const char *its = id_of(rq->cx.arena, kind, &templated->entries[i]);
        if (its == NULL || strcmp(its, id) != 0)
            continue;
        json_begin(&rq->json, NULL);
        write_one(rq, names[kind], kind, templated, &templated->entries[i]);
        json_end(&rq->json);
        return NULL;
    }
    return keystone_not_found(RQ(rq), names[kind], id);
}
