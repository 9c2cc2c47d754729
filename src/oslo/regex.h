/* SPDX-License-Identifier: Apache-2.0
 *
 * regex: expressions that a caller gave (filters of lists), compiled once a request and matched with PCRE2 under the
 * limits of schema patterns: an expression that would run away finds nothing.
 */
#ifndef OSLO_REGEX_H
#define OSLO_REGEX_H

#include "base/arena.h"

#include <stdbool.h>

struct regex;

enum regex_result { REGEX_ABSENT, REGEX_FOUND, REGEX_GAVE_UP };

/* Without regard to case, UTF-8; NULL when the text is no expression. It ends with the arena. */
struct regex *regex_compile(struct arena *arena, const char *text);
/* The same with regard to case. */
struct regex *regex_compile_exact(struct arena *arena, const char *text);

/* Whether the expression is found anywhere in the text; false for NULL. By one thread at a time. */
bool regex_found(struct regex *regex, const char *text);
/* The same, for those who must know that it ran away. */
enum regex_result regex_search(struct regex *regex, const char *text);

#endif
