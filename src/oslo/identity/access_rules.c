/* SPDX-License-Identifier: Apache-2.0 */
#include "oslo/identity/access_rules.h"

#include "oslo/json.h"

#include <string.h>

enum { PATTERN_LIMIT = 512 };

enum kind { LITERAL, PART, ANYTHING };

struct piece {
    enum kind kind;
    char c;
};

/* A pattern as pieces; SIZE_MAX: it is too long. */
static size_t read_pattern(const char *pattern, struct piece *pieces)
{
    size_t count = 0;

    while (*pattern != '\0') {
        const char *close = *pattern == '{' ? strchr(pattern, '}') : NULL;
        struct piece piece = { LITERAL, *pattern };
        size_t length = 1;
        if (close != NULL) {
            piece.kind = PART;
            length = (size_t)(close - pattern) + 1;
        } else if (strncmp(pattern, "**", 2) == 0) {
            piece.kind = ANYTHING;
            length = 2;
        } else if (*pattern == '*') {
            piece.kind = PART;
        }
        if (count == PATTERN_LIMIT)
            return SIZE_MAX;
        pieces[count++] = piece;
        pattern += length;
    }
    return count;
}

/* reached[i]: the first i pieces match what was read of the path. A PART needs a character first; then it may go on. */
bool access_rules_path_matches(const char *pattern, const char *path)
{
    struct piece pieces[PATTERN_LIMIT];
    bool reached[PATTERN_LIMIT + 1] = { true }, next[PATTERN_LIMIT + 1];
    size_t count = read_pattern(pattern, pieces);

    if (count == SIZE_MAX)
        return false;
    for (size_t i = 0; i < count && pieces[i].kind == ANYTHING; i++)
        reached[i + 1] = true;
    for (; *path != '\0'; path++) {
        next[0] = false;
        for (size_t i = 0; i < count; i++) {
            const struct piece *piece = &pieces[i];
            bool fits = piece->kind == ANYTHING || (piece->kind == PART ? *path != '/' : *path == piece->c);
            next[i + 1] = fits && (reached[i] || (piece->kind != LITERAL && reached[i + 1]));
            /* nothing is anything, too */
            if (piece->kind == ANYTHING && next[i])
                next[i + 1] = true;
        }
        memcpy(reached, next, (count + 1) * sizeof(*reached));
    }
    return reached[count];
}

bool access_rules_allow(const char *rules, const char *service_type, const char *method, const char *path)
{
    static const char validation[] = "/v3/auth/tokens";
    ARENA_CLEANUP struct arena *arena = arena_create();
    json_t *list = json_parse_own(arena, rules);
    size_t length = strlen(path), tail = sizeof(validation) - 1;

    if (strcmp(service_type, "identity") == 0 && strcmp(method, "GET") == 0 && length >= tail &&
        strcmp(path + length - tail, validation) == 0)
        return true;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *rule = json_array_get(list, i);
        const char *rule_method = json_text_at(rule, "method"), *rule_service = json_text_at(rule, "service");
        const char *rule_path = json_text_at(rule, "path");
        if (rule_method != NULL && rule_service != NULL && rule_path != NULL && strcmp(rule_method, method) == 0 &&
            strcmp(rule_service, service_type) == 0 && access_rules_path_matches(rule_path, path))
            return true;
    }
    return false;
}
