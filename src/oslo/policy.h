/* SPDX-License-Identifier: Apache-2.0
 *
 * policy: who may do what. The language of oslo.policy, compiled once to trees; a decision allocates nothing.
 *
 * A check string is made of `role:NAME`, `rule:NAME`, `KEY:VALUE` (a credential, dotted for nested ones, compared with
 * VALUE; a quoted text, number, True, False or None as KEY is a literal), `field:RESOURCE:NAME=VALUE` (neutron: a
 * member of the target; `=~REGEX`: that the expression matches from the begin), `http://...` and `https://...`
 * (asked through a callback), `@` (always), `!` (never), `not`, `and`, `or` (binding in that order) and parentheses;
 * words are separated by blanks. "%(name)s" in a value is the target's member; a target without it fails the check.
 * "" always passes. In a file a rule may also be a list: OR of AND lists.
 *
 * One deviation: a credential that is None equals only the literal None of a check, never a member of a target, so that
 * an unscoped token owns nothing.
 */
#ifndef OSLO_POLICY_H
#define OSLO_POLICY_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/fault.h"

#include <stdbool.h>
#include <stddef.h>

enum policy_scopes { POLICY_SYSTEM = 1 << 0, POLICY_DOMAIN = 1 << 1, POLICY_PROJECT = 1 << 2 };

struct policy_operation {
    const char *method; /* NULL ends the list */
    const char *path;
};

struct policy_deprecated {
    const char *name;   /* NULL: the rule's own name */
    const char *check;
    const char *since, *reason; /* for the sample file */
};

struct policy_rule {
    const char *name;
    const char *check;
    unsigned scopes;    /* policy_scopes; 0: any */
    const char *description;
    const struct policy_operation *operations;
    const struct policy_deprecated *deprecated;
};

struct policy_table {
    const struct policy_rule *rows;
    size_t count;
};

#define POLICY_TABLE(rows_)     { (rows_), sizeof(rows_) / sizeof((rows_)[0]) }
#define POLICY_OPERATIONS(...)  ((const struct policy_operation[]){ __VA_ARGS__, { NULL, NULL } })
#define POLICY_DEPRECATED(...)  (&(const struct policy_deprecated){ __VA_ARGS__ })

/* What is acted on: an array that ends with a NULL key. A NULL value is None. */
struct policy_target {
    const char *key; /* "project_id", "target.user.id" */
    const char *value;
};

#define POLICY_TARGET(...) ((const struct policy_target[]){ __VA_ARGS__, { NULL, NULL } })

/* Who acts. NULL texts are None; lists are NULL-terminated and may be NULL. `tenant_id` and `tenant` are project_id,
 * `user` is user_id. */
struct policy_credentials {
    const char *user_id, *user_domain_id;
    const char *project_id, *project_domain_id;
    const char *domain_id;
    const char *system_scope;
    const char *service_user_id, *service_project_id;
    const char *const *roles;
    const char *const *service_roles;
    bool is_admin;
    bool is_admin_project;
    /* Other keys: the index-th value of a key ("token.project.domain.id"), NULL when there is none (left). */
    const char *(*lookup)(const void *data, const char *key, size_t index);
    const void *data;
};

enum policy_decision {
    POLICY_DENIED = 0,
    POLICY_ALLOWED = 1,
    POLICY_WRONG_SCOPE = 2, /* enforce_scope: the rule is not for tokens of this scope; upstream's InvalidScope, 403 */
};

struct policy_settings {
    const char *file;               /* policy.yaml; absent is no fault */
    const char *const *directories; /* NULL-terminated, may be NULL: their *.yaml files, after `file` */
    bool enforce_scope;
    bool enforce_new_defaults;      /* false: a deprecated check passes too, unless a file sets the rule */
    /* http: checks. NULL: they fail. The url has the target's members in place. */
    bool (*http)(void *data, const char *rule, const char *url, const struct policy_target *target,
        const struct policy_credentials *credentials);
    void *http_data;
};

struct policy;

/* Compiles the tables and the files. Settings' texts are copied; tables are kept. Faults (500): a check that cannot be
 * read, a file that is not a YAML map of rules (or JSON: with a hint), rules that refer to each other in a circle. */
struct fault *policy_create(struct arena *arena, const struct policy_table *const *tables, size_t table_count,
    const struct policy_settings *settings, struct policy **ret);

/* NULL is allowed. */
void policy_destroy(struct policy *policy);

/* Reads the files again and swaps all rules at once; on a fault everything stays. Decisions never wait for it. */
struct fault *policy_reload(struct arena *arena, struct policy *policy);

/* Whether `credentials` may do `rule` to `target` (NULL: without members). An unknown rule is the rule "default", else
 * denied. Thread safe. */
enum policy_decision policy_decide(const struct policy *policy, const char *rule,
    const struct policy_target *target, const struct policy_credentials *credentials);

/* Whether a rule is known by this name, from a table or a file. */
bool policy_known(const struct policy *policy, const char *rule);

/* Writes the sample file as oslopolicy-sample-generator lays it out: every rule commented out. */
void policy_sample(struct buf *out, const struct policy_table *const *tables, size_t table_count);

#endif
