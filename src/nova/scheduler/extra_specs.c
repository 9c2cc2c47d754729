/* SPDX-License-Identifier: Apache-2.0
 *
 * The operators of extra specs (nova.scheduler.filters.extra_specs_ops).
 */
#include "nova/scheduler/scheduler.h"

#include <stdlib.h>
#include <string.h>

enum { LENGTH_MAX = 1024, WORDS_MAX = LENGTH_MAX / 2 };

enum operator {
    TEXT_EQUAL, TEXT_UNEQUAL, TEXT_AT_LEAST, TEXT_ABOVE, TEXT_AT_MOST, TEXT_BELOW, HAS_ALL, HAS, IS_ONE_OF,
    EQUAL, UNEQUAL, AT_LEAST, AT_MOST, NONE
};

static const struct {
    const char *text;
    enum operator operator;
} operators[] = {
    { "s==", TEXT_EQUAL }, { "s!=", TEXT_UNEQUAL }, { "s>=", TEXT_AT_LEAST }, { "s>", TEXT_ABOVE },
    { "s<=", TEXT_AT_MOST }, { "s<", TEXT_BELOW }, { "<all-in>", HAS_ALL }, { "<in>", HAS }, { "<or>", IS_ONE_OF },
    { "==", EQUAL }, { "!=", UNEQUAL }, { ">=", AT_LEAST }, { "=", AT_LEAST }, { "<=", AT_MOST },
};

static enum operator operator_of(const char *word)
{
    for (size_t i = 0; word != NULL && i < sizeof(operators) / sizeof(operators[0]); i++)
        if (strcmp(word, operators[i].text) == 0)
            return operators[i].operator;
    return NONE;
}

static bool is_one_of(const char *value, char *const *words)
{
    for (; *words != NULL; words += words[1] != NULL ? 2 : 1) /* every second one is the operator again */
        if (strcmp(value, *words) == 0)
            return true;
    return false;
}

static bool has_all(const char *value, char *const *words)
{
    while (*words != NULL && strstr(value, *words) != NULL)
        words++;
    return *words == NULL;
}

static bool compares(enum operator operator, const char *value, const char *wanted)
{
    char *value_end, *wanted_end;
    double a = strtod(value, &value_end), b = strtod(wanted, &wanted_end);
    if (value_end == value || *value_end != '\0' || *wanted_end != '\0')
        return false; /* one of them is no number */
    switch (operator) {
    case EQUAL:    return a == b;
    case UNEQUAL:  return a != b;
    case AT_LEAST: return a >= b;
    default:       return a <= b;
    }
}

static bool applies(enum operator operator, const char *value, char *const *words)
{
    int order = strcmp(value, words[0]);
    switch (operator) {
    case TEXT_EQUAL:    return order == 0;
    case TEXT_UNEQUAL:  return order != 0;
    case TEXT_AT_LEAST: return order >= 0;
    case TEXT_ABOVE:    return order > 0;
    case TEXT_AT_MOST:  return order <= 0;
    case TEXT_BELOW:    return order < 0;
    case HAS_ALL:       return has_all(value, words);
    case HAS:           return strstr(value, words[0]) != NULL;
    case IS_ONE_OF:     return is_one_of(value, words);
    default:            return compares(operator, value, words[0]);
    }
}

bool extra_spec_matches(const char *value, const char *wanted)
{
    char copy[LENGTH_MAX], *words[WORDS_MAX + 1], *rest;
    size_t count = 0, length = wanted != NULL ? strlen(wanted) : sizeof(copy);
    if (length >= sizeof(copy))
        return false;
    memcpy(copy, wanted, length + 1);
    for (char *word = strtok_r(copy, " \t\n", &rest); word != NULL; word = strtok_r(NULL, " \t\n", &rest))
        words[count++] = word;
    words[count] = NULL;
    enum operator operator = operator_of(words[0]);
    if (operator == NONE)
        return strcmp(value, wanted) == 0;
    return count > 1 && applies(operator, value, words + 1);
}
