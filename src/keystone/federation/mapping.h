/* SPDX-License-Identifier: Apache-2.0
 *
 * mapping: the language that turns what an identity provider asserts about somebody into a user, groups and projects here
 * (keystone/federation/utils.py, documented as "mapping combinations"). No database: groups come out as they are named.
 *
 * A rule has "remote" requirements and "local" templates. It applies when each requirement is met: the assertion has the
 * "type"; with "any_one_of" or "not_any_of" one or none of its values is listed. Other requirements hand their values, cut
 * by "blacklist" or "whitelist", to the templates as {0}, {1}, ... "regex": true makes listed texts expressions.
 */
#ifndef KEYSTONE_MAPPING_H
#define KEYSTONE_MAPPING_H

#include "base/arena.h"
#include "base/fault.h"

#include <jansson.h>

struct mapped {
    const json_t *user;    /* {"id", "name", "email", "domain", "type"}, each but the type perhaps absent */
    json_t *group_ids;     /* texts, without doubles */
    json_t *group_names;   /* {"name": ..., "domain": {"id" or "name"}} */
    const json_t *projects; /* {"name": ..., "roles": [{"name": ...}]}; NULL: none */
};

/* Checks the form of a mapping: true, or false and the reference's words, a line for all that is wrong with it. */
bool mapping_check(struct arena *arena, const json_t *mapping, const char **ret_why);

/* Applies checked rules to an assertion, {"name": "value;value"}. Everything lives in the arena. Faults: 400: the
 * reference's ValidationError (nothing applied, a group without a domain), and where the reference fails with a 500: a template
 * names a value that is not there, an expression is none. */
struct fault *mapping_apply(struct arena *arena, const char *mapping_id, const json_t *rules, const json_t *assertion,
    struct mapped *ret);

/* A Python list of texts and numbers as text, "['a', 'b']", as an array; what is none is the one element. */
json_t *mapping_list(struct arena *arena, const char *text);

#endif
