/* SPDX-License-Identifier: Apache-2.0
 *
 * policy/tree: what policy.c, policy/parse.c and policy/file.c share, and nobody else.
 */
#ifndef OSLO_POLICY_TREE_H
#define OSLO_POLICY_TREE_H

#include "oslo/policy.h"

enum check_kind {
    CHECK_TRUE,
    CHECK_FALSE,
    CHECK_NOT,
    CHECK_AND,
    CHECK_OR,
    CHECK_RULE,
    CHECK_ROLE,
    CHECK_CREDENTIAL,
    CHECK_LITERAL,
    CHECK_FIELD,
    CHECK_HTTP,
};

/* A piece of a value: text as it is, then a member of the target. */
struct part {
    const char *text;
    size_t length;
    const char *member; /* NULL: none */
    struct part *next;
};

struct compiled_rule;

struct check {
    enum check_kind kind;
    const char *key;      /* the credential, literal or field; the rule's name */
    const char *pattern;  /* CHECK_FIELD: a regular expression instead of a value */
    struct part *value;
    struct check *first;  /* NOT, AND, OR */
    struct check *next;
    struct compiled_rule *rule; /* CHECK_RULE, once linked; NULL: fails */
};

/* An override: a check string, or a list (OR of AND of check strings) already as a tree. */
struct file_rule {
    const char *name;
    const char *origin;  /* "file:line" */
    struct check *check;
    struct file_rule *next;
};

/* Parses a check string. Fault: 500, what is wrong with it. */
struct fault *policy_parse(struct arena *arena, const char *name, const char *text, struct check **ret);

/* Joins two trees, either may be NULL. */
struct check *policy_join(struct arena *arena, enum check_kind kind, struct check *left, struct check *right);

/* Reads the rules of a YAML text and appends them to *tail. */
struct fault *policy_parse_file(struct arena *arena, const char *file, const char *text, size_t length,
    struct file_rule ***tail);

/* Reads `file` when it is there. */
struct fault *policy_read_file(struct arena *arena, const char *file, struct file_rule ***tail);

#endif
