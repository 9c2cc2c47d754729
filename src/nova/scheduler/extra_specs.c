/* SPDX-License-Identifier: Apache-2.0
 *
 * The operators of extra specs (nova.scheduler.filters.extra_specs_ops).
 */
#include "nova/scheduler/scheduler.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare_numbers(const char *value, const char *wanted)
{
    double a = strtod(value, NULL), b = strtod(wanted, NULL);
    return (a > b) - (a < b);
}

static bool any_of(const char *value, const char *words)
{
    char copy[1024], *rest = copy;
    snprintf(copy, sizeof(copy), "%s", words);
    for (char *word; (word = strsep(&rest, " ")) != NULL;)
        if (*word != '\0' && strcmp(word, "<or>") != 0 && strcmp(word, value) == 0)
            return true;
    return false;
}

static bool all_in(const char *value, const char *words, const char *separator)
{
    char copy[1024], *rest = copy;
    snprintf(copy, sizeof(copy), "%s", words);
    for (char *word; (word = strsep(&rest, " ")) != NULL;)
        if (*word != '\0' && strcmp(word, separator) != 0 && strstr(value, word) == NULL)
            return false;
    return true;
}

enum operator {
    TEXT_EQUAL, TEXT_UNEQUAL, TEXT_AT_LEAST, TEXT_ABOVE, TEXT_AT_MOST, TEXT_BELOW, HAS_ALL, HAS, IS_ONE_OF,
    EQUAL, UNEQUAL, AT_LEAST, AT_MOST
};

/* What begins with another stands before it. */
static const struct {
    const char *text;
    enum operator operator;
} operators[] = {
    { "s==", TEXT_EQUAL }, { "s!=", TEXT_UNEQUAL }, { "s>=", TEXT_AT_LEAST }, { "s>", TEXT_ABOVE },
    { "s<=", TEXT_AT_MOST }, { "s<", TEXT_BELOW }, { "<all-in>", HAS_ALL }, { "<in>", HAS }, { "<or>", IS_ONE_OF },
    { "==", EQUAL }, { "!=", UNEQUAL }, { ">=", AT_LEAST }, { "<=", AT_MOST }, { "=", AT_LEAST }, /* as nova has it */
};

static bool applies(enum operator operator, const char *value, const char *wanted)
{
    switch (operator) {
    case TEXT_EQUAL:    return strcmp(value, wanted) == 0;
    case TEXT_UNEQUAL:  return strcmp(value, wanted) != 0;
    case TEXT_AT_LEAST: return strcmp(value, wanted) >= 0;
    case TEXT_ABOVE:    return strcmp(value, wanted) > 0;
    case TEXT_AT_MOST:  return strcmp(value, wanted) <= 0;
    case TEXT_BELOW:    return strcmp(value, wanted) < 0;
    case HAS_ALL:       return all_in(value, wanted, "<all-in>");
    case HAS:           return strstr(value, wanted) != NULL;
    case IS_ONE_OF:     return any_of(value, wanted);
    case EQUAL:         return compare_numbers(value, wanted) == 0;
    case UNEQUAL:       return compare_numbers(value, wanted) != 0;
    case AT_LEAST:      return compare_numbers(value, wanted) >= 0;
    case AT_MOST:       return compare_numbers(value, wanted) <= 0;
    }
    return false;
}

bool extra_spec_matches(const char *value, const char *wanted)
{
    if (wanted == NULL)
        return false;
    for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
        size_t length = strlen(operators[i].text);
        if (strncmp(wanted, operators[i].text, length) == 0 && wanted[length] == ' ')
            return applies(operators[i].operator, value, wanted + length + strspn(wanted + length, " "));
    }
    return strcmp(value, wanted) == 0;
}
