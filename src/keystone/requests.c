/* SPDX-License-Identifier: Apache-2.0
 *
 * What handlers read from a request, and the links of what they answer.
 */
#include "keystone/state.h"

#include "base/clock.h"
#include "oslo/json.h"
#include "oslo/options.h"
#include "oslo/schema.h"

#include <string.h>
#include <strings.h>

struct fault *keystone_member(struct request *rq, const char *name, json_t **ret)
{
    if (rq->body != NULL && !json_is_object(rq->body))
        return keystone_expecting(RQ(rq), "valid JSON", "request body");
    json_t *member = json_object_get(rq->body, name);
    *ret = member != NULL ? member : json_keep(rq->cx.arena, json_object());
    return NULL;
}

struct fault *keystone_check_id(struct context *cx, const char *id)
{
    enum { ID_LIMIT = 64 };
    size_t count = 0;

    for (const char *c = id; *c != '\0'; c++)
        count += (*c & 0xc0) != 0x80;
    if (count <= ID_LIMIT)
        return NULL;
    return keystone_invalid(cx, "String length exceeded. The length of string '%s' exceeds the limit of column id(CHAR(%d)).", id,
        ID_LIMIT);
}

struct fault *keystone_check(struct request *rq, const struct schema *schema, const json_t *document)
{
    struct violation violation;

    if (schema_check(rq->cx.arena, schema, document, SCHEMA_FIRST, &violation))
        return NULL;
    return keystone_invalid(RQ(rq), "%s", violation_text_keystone(rq->cx.arena, &violation));
}

struct fault *keystone_future(struct request *rq, const json_t *document, const char *name, int64_t *ret_us)
{
    const char *text = json_text_at(document, name);

    *ret_us = 0;
    if (text == NULL)
        return NULL;
    if (!clock_parse(text, ret_us))
        return keystone_malformed(RQ(rq), "Timestamp not in expected format.");
    if (*ret_us < clock_now_us())
        return keystone_malformed(RQ(rq), "The 'expires_at' must not be before now.");
    return NULL;
}

void keystone_collection_links(struct request *rq)
{
    json_begin(&rq->json, "links");
    json_text(&rq->json, "next", NULL);
    json_text(&rq->json, "self", keystone_self_url(rq));
    json_text(&rq->json, "previous", NULL);
    json_end(&rq->json);
}

void keystone_collection_end(struct request *rq)
{
    json_end_array(&rq->json);
    keystone_collection_links(rq);
    json_end(&rq->json);
}

struct fault *keystone_role_named(struct tx *tx, struct context *cx, const char *name, const char **ret_id)
{
    struct rows *rows;
    bool more = false;

    *ret_id = NULL;
    TRY(sql_query(tx, &rows, "SELECT id FROM role WHERE name = ?", BIND(TEXT(name))));
    if (rows_next(rows)) {
        *ret_id = rows_text(rows, 0);
        more = rows_next(rows);
    }
    rows_end(rows);
    TRY(rows_fault(rows));
    if (more)
        return keystone_invalid(cx, "There are multiple role entities named '%s'. Please use ID instead of names to resolve "
            "the ambiguity.", name);
    return *ret_id != NULL ? NULL : FAULT(cx, 404, NULL, "Role %s is not defined", name);
}

bool keystone_query_flag(const struct request *rq, const char *name)
{
    const char *value = request_query(rq, name);

    return value != NULL && strcmp(value, "0") != 0;
}

bool keystone_text_matches(const char *text, const char *comparator, const char *wanted)
{
    size_t length = strlen(text), size = strlen(wanted);
    bool any_case = comparator[0] == 'i';

    comparator += any_case;
    if (strcmp(comparator, "contains") == 0)
        return (any_case ? strcasestr(text, wanted) : strstr(text, wanted)) != NULL;
    if (strcmp(comparator, "startswith") == 0)
        return (any_case ? strncasecmp : strncmp)(text, wanted, size) == 0;
    if (strcmp(comparator, "endswith") == 0)
        return length >= size && (any_case ? strcasecmp : strcmp)(text + length - size, wanted) == 0;
    return true;
}

bool keystone_truth(const char *text)
{
    static const char *const no[] = { "0", "f", "false", "off", "n", "no" };

    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
        if (strcasecmp(text, no[i]) == 0)
            return false;
    return true;
}

const char *keystone_url(struct request *rq, const char *path)
{
    const char *base = config_str(rq->cx.app->config, "DEFAULT", "public_endpoint");
    size_t length;

    if (base == NULL)
        base = rq->base_url;
    length = strlen(base);
    while (length > 0 && base[length - 1] == '/')
        length--;
    return arena_printf(rq->cx.arena, "%.*s/v3%s", (int)length, base, path);
}

const char *keystone_self_url(struct request *rq)
{
    const char *path = strncmp(rq->raw_path, "/v3", 3) == 0 ? rq->raw_path + 3 : rq->raw_path;
    const char *query = strchr(path, '?');
    size_t length = query != NULL ? (size_t)(query - path) : strlen(path);

    while (length > 0 && path[length - 1] == '/')
        length--;
    return arena_printf(rq->cx.arena, "%s%s", keystone_url(rq, arena_strndup(rq->cx.arena, path, length)),
        query != NULL ? query : "");
}
