/* SPDX-License-Identifier: Apache-2.0
 * regex: see regex.h. */
#include "oslo/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

enum { MATCH_LIMIT = 200000, DEPTH_LIMIT = 2000, HEAP_LIMIT_KIB = 4096 };

struct regex {
    pcre2_code *code;
    pcre2_match_data *match;
    pcre2_match_context *limits;
};

static void release(void *object)
{
    struct regex *regex = object;
    pcre2_match_context_free(regex->limits);
    pcre2_match_data_free(regex->match);
    pcre2_code_free(regex->code);
}

static struct regex *compile(struct arena *arena, const char *text, uint32_t options)
{
    int error;
    PCRE2_SIZE at;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, PCRE2_UTF | options, &error, &at,
        NULL);
    if (code == NULL)
        return NULL;
    struct regex *regex = ARENA_NEW(arena, struct regex);
    *regex = (struct regex){ code, pcre2_match_data_create(1, NULL), pcre2_match_context_create(NULL) };
    if (regex->match == NULL || regex->limits == NULL)
        abort();
    pcre2_set_match_limit(regex->limits, MATCH_LIMIT);
    pcre2_set_depth_limit(regex->limits, DEPTH_LIMIT);
    pcre2_set_heap_limit(regex->limits, HEAP_LIMIT_KIB);
    arena_defer(arena, release, regex);
    return regex;
}

struct regex *regex_compile(struct arena *arena, const char *text)
{
    return compile(arena, text, PCRE2_CASELESS);
}

struct regex *regex_compile_exact(struct arena *arena, const char *text)
{
    return compile(arena, text, 0);
}

enum regex_result regex_search(struct regex *regex, const char *text)
{
    int result = pcre2_match(regex->code, (PCRE2_SPTR)text, strlen(text), 0, 0, regex->match, regex->limits);

    return result >= 0 ? REGEX_FOUND : result == PCRE2_ERROR_NOMATCH ? REGEX_ABSENT : REGEX_GAVE_UP;
}

bool regex_found(struct regex *regex, const char *text)
{
    return text != NULL && regex_search(regex, text) == REGEX_FOUND;
}
