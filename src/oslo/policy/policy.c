/* SPDX-License-Identifier: Apache-2.0
 *
 * policy: see policy.h. Rules are linked here, and decided.
 */
#include "oslo/policy/tree.h"

#include "base/log.h"
#include "base/map.h"
#include "oslo/schema.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { URL_LIMIT = 4096, CHAIN_LIMIT = 100 }; /* of an http: check; of rules that refer to each other */

enum colour { WHITE, GREY, BLACK };

struct compiled_rule {
    const char *name;
    const char *origin;            /* of a file, or NULL */
    const struct policy_rule *row; /* NULL: only in a file */
    struct check *check;
    enum colour colour;            /* while circles are looked for */
};

/* Immutable once it is current. */
struct rules {
    struct arena *arena;
    struct rules *older;
    struct map index; /* name -> struct compiled_rule */
    struct compiled_rule *fallback; /* "default" */
    int depth;                      /* while rules are linked */
};

struct policy {
    struct arena *arena;
    const struct policy_table *const *tables;
    size_t table_count;
    struct policy_settings settings;
    _Atomic(struct rules *) current;
    pthread_mutex_t mutex; /* reloads */
};

/* ---- decisions ---- */

struct question {
    const struct policy *policy;
    const char *rule; /* that was asked for */
    const struct policy_target *target;
    const struct policy_credentials *credentials;
};

/* False when the target has no such member. */
static bool member_of(const struct policy_target *target, const char *key, const char **ret)
{
    for (; target != NULL && target->key != NULL; target++)
        if (strcmp(target->key, key) == 0) {
            *ret = target->value != NULL ? target->value : "None";
            return true;
        }
    return false;
}

/* Compares a text with a value, piece by piece. */
static bool value_equals(const struct question *question, const struct part *part, const char *text, bool any_case)
{
    for (; part != NULL; part = part->next) {
        const char *member = NULL;
        size_t length;

        if ((any_case ? strncasecmp(text, part->text, part->length) : strncmp(text, part->text, part->length)) != 0)
            return false;
        text += part->length;
        if (part->member == NULL)
            continue;
        if (!member_of(question->target, part->member, &member))
            return false;
        length = strlen(member);
        if ((any_case ? strncasecmp(text, member, length) : strncmp(text, member, length)) != 0)
            return false;
        text += length;
    }
    return *text == '\0';
}

/* Whether the value names a member of the target at all. */
static bool value_refers(const struct part *part)
{
    while (part != NULL && part->member == NULL)
        part = part->next;
    return part != NULL;
}

static bool list_holds(const struct question *question, const struct part *value, const char *const *list,
    bool any_case)
{
    for (; list != NULL && *list != NULL; list++)
        if (value_equals(question, value, *list, any_case))
            return true;
    return false;
}

/* The credentials that are single texts. */
static bool plain_credential(const struct policy_credentials *credentials, const char *key, const char **ret)
{
    const struct {
        const char *key, *value;
    } rows[] = {
        { "project_id",         credentials->project_id },
        { "user_id",            credentials->user_id },
        { "is_admin",           credentials->is_admin ? "True" : "False" },
        { "system_scope",       credentials->system_scope },
        { "domain_id",          credentials->domain_id },
        { "tenant_id",          credentials->project_id },
        { "tenant",             credentials->project_id },
        { "user",               credentials->user_id },
        { "user_domain_id",     credentials->user_domain_id },
        { "project_domain_id",  credentials->project_domain_id },
        { "is_admin_project",   credentials->is_admin_project ? "True" : "False" },
        { "service_user_id",    credentials->service_user_id },
        { "service_project_id", credentials->service_project_id },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (strcmp(rows[i].key, key) == 0) {
            *ret = rows[i].value;
            return true;
        }
    return false;
}

static bool decide_credential(const struct question *question, const struct check *check)
{
    const struct policy_credentials *credentials = question->credentials;
    const char *text = NULL;

    if (plain_credential(credentials, check->key, &text)) {
        if (text == NULL)
            return !value_refers(check->value) && value_equals(question, check->value, "None", false);
        return value_equals(question, check->value, text, false);
    }
    if (strcmp(check->key, "roles") == 0)
        return list_holds(question, check->value, credentials->roles, false);
    if (strcmp(check->key, "service_roles") == 0)
        return list_holds(question, check->value, credentials->service_roles, false);
    if (credentials->lookup == NULL)
        return false;
    for (size_t i = 0; (text = credentials->lookup(credentials->data, check->key, i)) != NULL; i++)
        if (value_equals(question, check->value, text, false))
            return true;
    return false;
}

static bool decide_field(const struct question *question, const struct check *check)
{
    const char *text = NULL;

    if (check->pattern != NULL)
        return member_of(question->target, check->key, &text) && text != NULL &&
               schema_pattern_found(check->pattern, text, strlen(text));
    return member_of(question->target, check->key, &text) && value_equals(question, check->value, text, false);
}

static bool decide_http(const struct question *question, const struct check *check)
{
    const struct policy_settings *settings = &question->policy->settings;
    char url[URL_LIMIT];
    size_t length = 0;

    if (settings->http == NULL)
        return false;
    for (const struct part *part = check->value; part != NULL; part = part->next) {
        const char *member = "";

        if (part->member != NULL && !member_of(question->target, part->member, &member))
            return false;
        if (length + part->length + strlen(member) >= sizeof(url))
            return false;
        memcpy(url + length, part->text, part->length);
        length += part->length;
        memcpy(url + length, member, strlen(member));
        length += strlen(member);
    }
    url[length] = '\0';
    return settings->http(settings->http_data, question->rule, url, question->target, question->credentials);
}

static bool decide(const struct question *question, const struct check *check)
{
    switch (check->kind) {
    case CHECK_TRUE:
        return true;
    case CHECK_FALSE:
        return false;
    case CHECK_NOT:
        return !decide(question, check->first);
    case CHECK_AND:
        for (check = check->first; check != NULL; check = check->next)
            if (!decide(question, check))
                return false;
        return true;
    case CHECK_OR:
        for (check = check->first; check != NULL; check = check->next)
            if (decide(question, check))
                return true;
        return false;
    case CHECK_RULE:
        return check->rule != NULL && decide(question, check->rule->check);
    case CHECK_ROLE:
        return list_holds(question, check->value, question->credentials->roles, true);
    case CHECK_CREDENTIAL:
        return decide_credential(question, check);
    case CHECK_LITERAL:
        return value_equals(question, check->value, check->key, false);
    case CHECK_FIELD:
        return decide_field(question, check);
    case CHECK_HTTP:
        return decide_http(question, check);
    }
    return false;
}

static const struct compiled_rule *find(const struct policy *policy, const char *name)
{
    const struct rules *rules = atomic_load(&policy->current);

    return map_get(&rules->index, name);
}

enum policy_decision policy_decide(const struct policy *policy, const char *rule,
    const struct policy_target *target, const struct policy_credentials *credentials)
{
    const struct question question = { .policy = policy, .rule = rule, .target = target, .credentials = credentials };
    const struct rules *rules = atomic_load(&policy->current);
    const struct compiled_rule *found = map_get(&rules->index, rule);
    unsigned scope = credentials->system_scope != NULL ? POLICY_SYSTEM
        : credentials->domain_id != NULL              ? POLICY_DOMAIN
                                                      : POLICY_PROJECT;

    if (found == NULL)
        found = rules->fallback;
    if (found == NULL)
        return POLICY_DENIED;
    if (policy->settings.enforce_scope && found->row != NULL && found->row->scopes != 0 &&
        (found->row->scopes & scope) == 0)
        return POLICY_WRONG_SCOPE;
    return decide(&question, found->check) ? POLICY_ALLOWED : POLICY_DENIED;
}

bool policy_known(const struct policy *policy, const char *rule)
{
    return find(policy, rule) != NULL;
}

/* ---- compilation ---- */

static struct compiled_rule *rule_of(struct rules *rules, const char *name)
{
    struct compiled_rule *rule = map_get(&rules->index, name);

    if (rule == NULL) {
        rule = ARENA_NEW(rules->arena, struct compiled_rule);
        rule->name = arena_strdup(rules->arena, name);
        map_set(&rules->index, name, rule);
    }
    return rule;
}

/* What a table's rule means when no file sets it. */
static struct fault *compile_row(struct policy *policy, struct rules *rules, struct compiled_rule *rule)
{
    const struct policy_deprecated *old = rule->row->deprecated;
    const struct compiled_rule *old_rule = NULL;
    struct check *former = NULL;

    if (old != NULL && old->name != NULL && strcmp(old->name, rule->name) != 0)
        old_rule = map_get(&rules->index, old->name);
    if (old_rule != NULL && old_rule->origin != NULL) {
        log_warning("oslo_policy", "%s: policy %s has been deprecated in favor of %s", old_rule->origin, old->name,
            rule->name);
        rule->check = ARENA_NEW(rules->arena, struct check);
        rule->check->kind = CHECK_RULE;
        rule->check->key = old->name;
        return NULL;
    }
    TRY(policy_parse(rules->arena, rule->name, rule->row->check, &rule->check));
    if (old == NULL || policy->settings.enforce_new_defaults || strcmp(old->check, rule->row->check) == 0)
        return NULL;
    TRY(policy_parse(rules->arena, rule->name, old->check, &former));
    rule->check = policy_join(rules->arena, CHECK_OR, rule->check, former);
    return NULL;
}

static struct fault *link_check(struct rules *rules, struct compiled_rule *owner, struct check *check);

/* Depth first; a rule met again before it was left closes a circle. */
static struct fault *link_rule(struct rules *rules, struct compiled_rule *rule)
{
    if (rule->colour == BLACK)
        return NULL;
    if (rule->colour == GREY)
        return fault_new(rules->arena, 500, "PolicyCircleError", "Policy rule %s refers to itself, in a circle%s%s",
            rule->name, rule->origin != NULL ? ": " : "", rule->origin != NULL ? rule->origin : "");
    if (++rules->depth > CHAIN_LIMIT)
        return fault_new(rules->arena, 500, "PolicyCircleError", "Policy rule %s is too far down a chain of rules",
            rule->name);
    rule->colour = GREY;
    TRY(link_check(rules, rule, rule->check));
    rules->depth--;
    rule->colour = BLACK;
    return NULL;
}

static struct fault *link_check(struct rules *rules, struct compiled_rule *owner, struct check *check)
{
    for (struct check *child = check->first; child != NULL; child = child->next)
        TRY(link_check(rules, owner, child));
    if (check->kind != CHECK_RULE)
        return NULL;
    check->rule = map_get(&rules->index, check->key);
    if (check->rule == NULL)
        check->rule = rules->fallback;
    if (check->rule == NULL) {
        log_warning("oslo_policy", "Policy rule %s refers to %s, which nobody defines: that check fails", owner->name,
            check->key);
        return NULL;
    }
    return link_rule(rules, check->rule);
}

static int only_yaml(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);

    return entry->d_name[0] != '.' && ((length > 5 && strcmp(entry->d_name + length - 5, ".yaml") == 0) ||
        (length > 5 && strcmp(entry->d_name + length - 5, ".json") == 0) ||
        (length > 4 && strcmp(entry->d_name + length - 4, ".yml") == 0));
}

static struct fault *read_files(struct policy *policy, struct arena *arena, struct file_rule **ret)
{
    struct file_rule **tail = ret;

    if (policy->settings.file != NULL)
        TRY(policy_read_file(arena, policy->settings.file, &tail));
    for (const char *const *at = policy->settings.directories; at != NULL && *at != NULL; at++) {
        struct fault *fault = NULL;
        struct dirent **names;
        int count = scandir(*at, &names, only_yaml, alphasort);

        for (int i = 0; i < count; i++) {
            if (fault == NULL)
                fault = policy_read_file(arena, arena_printf(arena, "%s/%s", *at, names[i]->d_name), &tail);
            free(names[i]);
        }
        if (count >= 0)
            free(names);
        if (fault != NULL)
            return fault;
    }
    return NULL;
}

static struct fault *fill_rules(struct policy *policy, struct rules *rules)
{
    struct file_rule *file = NULL;
    const struct map_entry *entry;

    TRY(read_files(policy, rules->arena, &file));
    for (; file != NULL; file = file->next) {
        struct compiled_rule *rule = rule_of(rules, file->name);

        rule->origin = file->origin;
        rule->check = file->check;
    }
    for (size_t t = 0; t < policy->table_count; t++)
        for (size_t i = 0; i < policy->tables[t]->count; i++) {
            struct compiled_rule *rule = rule_of(rules, policy->tables[t]->rows[i].name);

            if (rule->row == NULL)
                rule->row = &policy->tables[t]->rows[i];
        }
    for (size_t at = 0; (entry = map_next(&rules->index, &at)) != NULL;) {
        struct compiled_rule *rule = entry->value;

        if (rule->check == NULL)
            TRY(compile_row(policy, rules, rule));
    }
    rules->fallback = map_get(&rules->index, "default");
    for (size_t at = 0; (entry = map_next(&rules->index, &at)) != NULL;)
        TRY(link_rule(rules, entry->value));
    return NULL;
}

static void rules_destroy(struct rules *rules)
{
    map_release(&rules->index);
    arena_destroy(rules->arena);
}

static struct fault *compile(struct arena *arena, struct policy *policy)
{
    struct arena *own = arena_create();
    struct rules *rules = ARENA_NEW(own, struct rules);
    struct fault *fault;

    rules->arena = own;
    fault = fill_rules(policy, rules);
    if (fault != NULL) {
        fault = fault_copy(arena, fault);
        rules_destroy(rules);
        return fault;
    }
    rules->older = atomic_load(&policy->current);
    atomic_store(&policy->current, rules);
    return NULL;
}

static const char *const *copy_list(struct arena *arena, const char *const *list)
{
    const char **copy;
    size_t count = 0;

    if (list == NULL)
        return NULL;
    while (list[count] != NULL)
        count++;
    copy = ARENA_ARRAY(arena, const char *, count + 1);
    for (size_t i = 0; i < count; i++)
        copy[i] = arena_strdup(arena, list[i]);
    return copy;
}

struct fault *policy_create(struct arena *arena, const struct policy_table *const *tables, size_t table_count,
    const struct policy_settings *settings, struct policy **ret)
{
    struct arena *own = arena_create();
    struct policy *policy = ARENA_NEW(own, struct policy);
    struct fault *fault;

    policy->arena = own;
    policy->tables = arena_memdup(own, tables, table_count * sizeof(*tables));
    policy->table_count = table_count;
    policy->settings = *settings;
    policy->settings.file = arena_strdup(own, settings->file);
    policy->settings.directories = copy_list(own, settings->directories);
    pthread_mutex_init(&policy->mutex, NULL);
    fault = compile(arena, policy);
    if (fault != NULL)
        policy_destroy(policy);
    else
        *ret = policy;
    return fault;
}

void policy_destroy(struct policy *policy)
{
    struct rules *rules;

    if (policy == NULL)
        return;
    for (rules = atomic_load(&policy->current); rules != NULL;) {
        struct rules *older = rules->older;

        rules_destroy(rules);
        rules = older;
    }
    pthread_mutex_destroy(&policy->mutex);
    arena_destroy(policy->arena);
}

struct fault *policy_reload(struct arena *arena, struct policy *policy)
{
    struct fault *fault;

    pthread_mutex_lock(&policy->mutex);
    fault = compile(arena, policy);
    pthread_mutex_unlock(&policy->mutex);
    return fault;
}
