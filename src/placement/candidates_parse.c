/* SPDX-License-Identifier: Apache-2.0
 *
 * candidates_parse: the request language of GET /allocation_candidates, and the filters of GET /resource_providers that
 * speak a part of it.
 */
#include "placement/api.h"
#include "placement/candidates.h"

#include "base/random.h"
#include "base/text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS = 4 };
static const char *const keys[KEYS] = { "resources", "required", "member_of", "in_tree" };

struct words {
    const char **items;
    size_t count, capacity;
};

struct parse {
    struct request *rq;
    const struct model *model;
    struct candidate_group *groups;
    size_t group_count;
    struct fault *unknown; /* the first name that nobody knows: told when nothing else is wrong */
};

static struct fault *bad(struct parse *parse, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static struct fault *bad(struct parse *parse, const char *code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *text = arena_vprintf(parse->rq->cx.arena, format, args);
    va_end(args);
    return FAULT(RQ(parse->rq), 400, code, "%s", text);
}

static void add_word(struct arena *arena, struct words *words, const char *text)
{
    if (words->count == words->capacity) {
        size_t capacity = words->capacity == 0 ? 8 : words->capacity * 2;
        const char **items = ARENA_ARRAY(arena, const char *, capacity);
        if (words->count > 0)
            memcpy(items, words->items, words->count * sizeof(*items));
        words->items = items;
        words->capacity = capacity;
    }
    words->items[words->count++] = text;
}

/* The parts between commas, in order, without blanks around them. */
static struct words split(struct arena *arena, const char *text)
{
    struct words words = { 0 };
    for (;;) {
        size_t length = strcspn(text, ",");
        const char *end = text + length;
        text_trim(&text, &length);
        add_word(arena, &words, arena_strndup(arena, text, length));
        if (*end == '\0')
            return words;
        text = end + 1;
    }
}

/* Python's int(): blanks around, a sign, digits with single underscores between. Numbers too large become INT64_MAX. */
static bool parse_integer(const char *text, int64_t *ret)
{
    bool negative = false, digit = false;
    int64_t value = 0;
    while (isspace((unsigned char)*text))
        text++;
    if (*text == '+' || *text == '-')
        negative = *text++ == '-';
    for (; isdigit((unsigned char)*text) || (*text == '_' && digit && isdigit((unsigned char)text[1])); text++) {
        digit = true;
        if (*text != '_' && (__builtin_mul_overflow(value, 10, &value) ||
                                __builtin_add_overflow(value, *text - '0', &value)))
            value = INT64_MAX;
    }
    while (isspace((unsigned char)*text))
        text++;
    *ret = negative ? -value : value;
    return digit && *text == '\0';
}

static int compare_amounts(const void *a, const void *b)
{
    const struct resource_amount *x = a, *y = b;
    return (x->class_id > y->class_id) - (x->class_id < y->class_id);
}

static struct fault *parse_amount(struct parse *parse, struct candidate_group *group, const char *text)
{
    const char *colon = strchr(text, ':');
    if (colon == NULL || strchr(colon + 1, ':') != NULL)
        return bad(parse, NULL, "Badly formed resources parameter. Expected resources query string parameter in form: "
            "?resources=VCPU:2,MEMORY_MB:1024. Got: %s.", text);
    const char *name = arena_strndup(parse->rq->cx.arena, text, (size_t)(colon - text));
    int64_t amount;
    if (!parse_integer(colon + 1, &amount))
        return bad(parse, NULL, "Requested resource %s expected positive integer amount. Got: %s.", name, colon + 1);
    if (amount < 1)
        return bad(parse, NULL, "Requested resource %s requires amount >= 1. Got: %lld.", name, (long long)amount);
    const struct name *known = placement_names_by_text(&parse->model->classes, name);
    if (known == NULL && parse->unknown == NULL)
        parse->unknown =
            bad(parse, NULL, "Invalid resource class in resources parameter: No such resource class %s.", name);
    int64_t id = known == NULL ? -1 : known->id;
    for (size_t i = 0; i < group->resource_count; i++) {
        if (group->resources[i].class_id == id) {
            group->resources[i].amount = amount;
            return NULL;
        }
    }
    group->resources[group->resource_count++] = (struct resource_amount){ id, amount };
    return NULL;
}

static struct fault *parse_resources(struct parse *parse, struct candidate_group *group, const char *value)
{
    struct arena *arena = parse->rq->cx.arena;
    if (value[strspn(value, " \t\r\n")] == '\0')
        return bad(parse, NULL, "Badly formed resources parameter. Expected resources query string parameter in form: "
            "?resources=VCPU:2,MEMORY_MB:1024. Got: empty string.");
    size_t parts = 1;
    for (const char *at = value; *at != '\0'; at++)
        parts += *at == ',';
    group->resources = ARENA_ARRAY(arena, struct resource_amount, parts);
    group->resource_count = 0;
    for (const char *at = value;;) {
        size_t length = strcspn(at, ",");
        TRY(parse_amount(parse, group, arena_strndup(arena, at, length)));
        if (at[length] == '\0')
            break;
        at += length + 1;
    }
    qsort(group->resources, group->resource_count, sizeof(*group->resources), compare_amounts);
    return NULL;
}

/* One value of a traits parameter, taken apart. */
struct traits_value {
    bool any; /* "in:": one of `required` will do */
    struct words required, forbidden;
};

static struct fault *split_traits(struct parse *parse, const char *value, bool allow_forbidden, bool allow_any,
    struct traits_value *ret)
{
    struct arena *arena = parse->rq->cx.arena;
    *ret = (struct traits_value){ .any = strncmp(value, "in:", 3) == 0 };
    if (ret->any && !allow_any)
        return bad(parse, NULL, "Invalid query string parameters: The format 'in:HW_CPU_X86_VMX,CUSTOM_MAGIC' only "
            "supported since microversion 1.39. Got: %s", value);
    struct words all = split(arena, ret->any ? value + 3 : value);
    for (size_t i = 0; i < all.count; i++) {
        const char *name = all.items[i];
        bool forbidden = *name == '!';
        if (ret->any && forbidden)
            return bad(parse, NULL, "Invalid query string parameters: The format 'in:HW_CPU_X86_VMX,CUSTOM_MAGIC' does "
                "not support forbidden traits. Got: %s", value);
        name += strspn(name, "!"); /* all of them, as the reference */
        if (*name == '\0')
            return ret->any
                ? bad(parse, NULL, "Invalid query string parameters: Expected 'required' parameter value of the form: "
                      "in:HW_CPU_X86_VMX,CUSTOM_MAGIC. Got an empty trait in: %s", value)
                : bad(parse, NULL, "Invalid query string parameters: Expected 'required' parameter value of the form: "
                      "HW_CPU_X86_VMX,%sCUSTOM_MAGIC. Got an empty trait in: %s", allow_forbidden ? "!" : "", value);
        add_word(arena, forbidden ? &ret->forbidden : &ret->required, name);
    }
    if (ret->forbidden.count > 0 && !allow_forbidden)
        return bad(parse, NULL, "Invalid query string parameters: Expected 'required' parameter value of the form: "
            "HW_CPU_X86_VMX,CUSTOM_MAGIC. Got: %s", value);
    return NULL;
}

static const int64_t *trait_ids(struct parse *parse, const struct words *names)
{
    int64_t *ids = ARENA_ARRAY(parse->rq->cx.arena, int64_t, names->count + 1);
    for (size_t i = 0; i < names->count; i++) {
        const struct name *known = placement_names_by_text(&parse->model->traits, names->items[i]);
        if (known == NULL && parse->unknown == NULL)
            parse->unknown = bad(parse, NULL, "%sNo such trait(s): %s.",
                strcmp(parse->rq->path, "/resource_providers") == 0 ? "Invalid trait(s) in \"required\" parameter: "
                                                                    : "",
                names->items[i]);
        ids[i] = known == NULL ? -1 : known->id;
    }
    return ids;
}

static size_t count_values(const struct request *rq, const char *key)
{
    size_t count = 0;
    for (const struct header *at = rq->query; at != NULL; at = at->next)
        count += strcmp(at->name, key) == 0;
    return count;
}

/* All values of `key` together, or below 1.39 the last one. */
static struct fault *parse_required(struct parse *parse, struct candidate_group *group, const char *key)
{
    struct request *rq = parse->rq;
    struct arena *arena = rq->cx.arena;
    bool any = rq->version >= 39, last_only = !any;
    size_t left = count_values(rq, key), sets = 0;
    struct words forbidden = { 0 };
    struct trait_set *required = NULL;
    for (const struct header *at = rq->query; at != NULL; at = at->next) {
        if (strcmp(at->name, key) != 0 || (left-- > 1 && last_only))
            continue;
        struct traits_value value;
        TRY(split_traits(parse, at->value, rq->version >= 22, any, &value));
        struct trait_set *more = ARENA_ARRAY(arena, struct trait_set, sets + value.required.count + 1);
        if (sets > 0)
            memcpy(more, required, sets * sizeof(*more));
        required = more;
        const int64_t *ids = trait_ids(parse, &value.required);
        if (value.any)
            required[sets++] = (struct trait_set){ ids, value.required.count };
        else
            for (size_t i = 0; i < value.required.count; i++)
                required[sets++] = (struct trait_set){ ids + i, 1 };
        for (size_t i = 0; i < value.forbidden.count; i++)
            add_word(arena, &forbidden, value.forbidden.items[i]);
    }
    group->required = required;
    group->required_count = sets;
    group->forbidden_count = forbidden.count;
    group->forbidden = trait_ids(parse, &forbidden);
    return NULL;
}

/* One value of a member_of parameter: the aggregates that are known go into ret. */
static struct fault *parse_aggregates(struct parse *parse, const char *value, struct aggregate_set *ret,
    bool *ret_forbidden)
{
    struct arena *arena = parse->rq->cx.arena;
    const char *list = value;
    bool many = strncmp(value, "in:", 3) == 0 || strncmp(value, "!in:", 4) == 0;
    if (strchr(value, ',') != NULL && !many)
        return bad(parse, NULL, "Multiple values for 'member_of' must be prefixed with the 'in:' or '!in:' keyword "
            "using the valid microversion. Got: %s", value);
    *ret_forbidden = *list == '!';
    list += *ret_forbidden;
    list += many ? 3 : 0;
    size_t count = ret->count;
    struct aggregate **all = ARENA_ARRAY(arena, struct aggregate *, count + strlen(list) / 2 + 1);
    if (count > 0)
        memcpy(all, ret->items, count * sizeof(*all));
    for (;;) {
        size_t length = strcspn(list, ",");
        const char *uuid = arena_strndup(arena, list, length);
        if (!uuid_like(uuid))
            return bad(parse, NULL, "Invalid query string parameters: Expected 'member_of' parameter to contain valid "
                "UUID(s). Got: %s", uuid);
        struct aggregate *aggregate = map_get(&parse->model->aggregates, uuid);
        if (aggregate != NULL)
            all[count++] = aggregate;
        if (list[length] == '\0')
            break;
        list += length + 1;
    }
    *ret = (struct aggregate_set){ all, count };
    return NULL;
}

static struct fault *parse_member_of(struct parse *parse, struct candidate_group *group, const char *key)
{
    struct request *rq = parse->rq;
    size_t total = count_values(rq, key);
    if (total > 1 && rq->version < 24)
        return bad(parse, NULL, "Multiple %s parameters are not supported", key);
    struct aggregate_set *sets = ARENA_ARRAY(rq->cx.arena, struct aggregate_set, total + 1);
    group->member_of = sets;
    group->member_of_count = 0;
    group->forbidden_aggregates = (struct aggregate_set){ 0 };
    for (const struct header *at = rq->query; at != NULL; at = at->next) {
        if (strcmp(at->name, key) != 0)
            continue;
        struct aggregate_set set = { 0 };
        bool forbidden = *at->value == '!';
        TRY(parse_aggregates(parse, at->value, forbidden ? &group->forbidden_aggregates : &set, &forbidden));
        if (!forbidden)
            sets[group->member_of_count++] = set;
        else if (rq->version < 32)
            return bad(parse, NULL, "Forbidden %s parameters are not supported in the specified microversion", key);
    }
    return NULL;
}

static struct fault *parse_in_tree(struct parse *parse, struct candidate_group *group, const char *value)
{
    struct arena *arena = parse->rq->cx.arena;
    const char *uuid = split(arena, value).items[0];
    if (!uuid_like(uuid) || strchr(value, ',') != NULL)
        return bad(parse, NULL, "Invalid query string parameters: Expected 'in_tree' parameter to be a format of uuid. "
            "Got: %s", value);
    const struct provider *provider = model_find(parse->model, uuid);
    group->in_tree = true;
    group->tree_root = provider == NULL ? NULL : provider->root;
    return NULL;
}

static bool suffix_valid(const struct request *rq, const char *suffix)
{
    size_t length = strlen(suffix);
    if (length == 0)
        return true;
    if (rq->version < 33)
        return *suffix != '0' && strspn(suffix, "0123456789") == length;
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)suffix[i]) && suffix[i] != '_' && suffix[i] != '-')
            return false;
    return length <= 64;
}

static struct candidate_group *group_of(struct parse *parse, const char *suffix)
{
    for (size_t i = 0; i < parse->group_count; i++)
        if (strcmp(parse->groups[i].suffix, suffix) == 0)
            return &parse->groups[i];
    parse->groups[parse->group_count] = (struct candidate_group){ .suffix = suffix };
    return &parse->groups[parse->group_count++];
}

static struct fault *parse_parameter(struct parse *parse, const struct header *parameter)
{
    for (int key = 0; key < KEYS; key++) {
        size_t length = strlen(keys[key]);
        const char *suffix = parameter->name + length;
        if (strncmp(parameter->name, keys[key], length) != 0 || !suffix_valid(parse->rq, suffix))
            continue;
        struct candidate_group *group = group_of(parse, suffix);
        switch (key) {
        case 0:
            return parse_resources(parse, group, parameter->value);
        case 1:
            return parse_required(parse, group, parameter->name);
        case 2:
            return parse_member_of(parse, group, parameter->name);
        default:
            return parse_in_tree(parse, group, parameter->value);
        }
    }
    return NULL;
}

static struct fault *parse_root_required(struct parse *parse, struct candidate_request *ret)
{
    struct request *rq = parse->rq;
    size_t total = count_values(rq, "root_required");
    if (total == 0)
        return NULL;
    if (total > 1)
        return bad(parse, CODE_DUPLICATE_KEY, "Query parameter 'root_required' may be specified only once.");
    struct traits_value value;
    TRY(split_traits(parse, request_query(rq, "root_required"), true, false, &value));
    struct buf clash BUF_CLEANUP = { 0 };
    for (size_t i = 0; i < value.forbidden.count; i++)
        for (size_t j = 0; j < value.required.count; j++)
            if (strcmp(value.forbidden.items[i], value.required.items[j]) == 0)
                buf_printf(&clash, "%s%s", clash.length == 0 ? "" : ", ", value.required.items[j]);
    if (clash.length > 0)
        return bad(parse, CODE_BAD_VALUE, "Conflicting required and forbidden traits found in root_required: %s",
            buf_text(&clash));
    ret->root_traits = true;
    ret->root_required.count = value.required.count;
    ret->root_forbidden.count = value.forbidden.count;
    ret->root_required.ids = trait_ids(parse, &value.required);
    ret->root_forbidden.ids = trait_ids(parse, &value.forbidden);
    return NULL;
}

/* The suffixes of every same_subtree parameter. */
static struct fault *split_subtrees(struct parse *parse, struct words **ret, size_t *ret_count)
{
    size_t total = count_values(parse->rq, "same_subtree"), count = 0;
    *ret = ARENA_ARRAY(parse->rq->cx.arena, struct words, total + 1);
    for (const struct header *at = parse->rq->query; at != NULL; at = at->next) {
        if (strcmp(at->name, "same_subtree") != 0)
            continue;
        struct words words = split(parse->rq->cx.arena, at->value);
        for (size_t i = 0; i < words.count; i++)
            if (*words.items[i] == '\0')
                return bad(parse, CODE_BAD_VALUE,
                    "Empty string (unsuffixed group) can not be specified in `same_subtree` ");
        (*ret)[count++] = words;
    }
    *ret_count = count;
    return NULL;
}

static bool in_words(const struct words *lists, size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < lists[i].count; j++)
            if (strcmp(lists[i].items[j], text) == 0)
                return true;
    return false;
}

static void list_add(struct buf *list, const char *quote, const char *prefix, const char *text)
{
    buf_printf(list, "%s%s%s%s%s", list->length == 0 ? "" : ", ", quote, prefix, text, quote);
}

/* From 1.36 on a group may ask for traits only, when same_subtree ties it to others. */
static struct fault *check_subtrees(struct parse *parse, const struct words *subtrees, size_t count)
{
    struct buf loose BUF_CLEANUP = { 0 }, unknown BUF_CLEANUP = { 0 }, known BUF_CLEANUP = { 0 };
    size_t without = 0;
    for (size_t i = 0; i < parse->group_count; i++) {
        const struct candidate_group *group = &parse->groups[i];
        list_add(&known, "'", "", group->suffix);
        without += group->resource_count == 0;
        if (group->resource_count == 0 && !in_words(subtrees, count, group->suffix))
            list_add(&loose, "'", "", group->suffix);
    }
    if (without == parse->group_count)
        return bad(parse, CODE_MISSING_VALUE, "There must be at least one resources or resources[$S] parameter.");
    if (loose.length > 0)
        return bad(parse, CODE_BAD_VALUE, "Resourceless suffixed group request should be specified in `same_subtree` "
            "query param: bad group(s) - [%s].", buf_text(&loose));
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < subtrees[i].count; j++) {
            bool found = false;
            for (size_t g = 0; g < parse->group_count; g++)
                found = found || strcmp(parse->groups[g].suffix, subtrees[i].items[j]) == 0;
            if (!found)
                list_add(&unknown, "'", "", subtrees[i].items[j]);
        }
    if (unknown.length > 0)
        return bad(parse, CODE_BAD_VALUE,
            "Real suffixes should be specified in `same_subtree`: [%s] not found in [%s].",
            buf_text(&unknown), buf_text(&known));
    return NULL;
}

/* Below 1.36 every group asks for resources. */
static struct fault *check_orphans(struct parse *parse)
{
    struct buf traits BUF_CLEANUP = { 0 }, aggregates BUF_CLEANUP = { 0 };
    bool all = true;
    for (size_t i = 0; i < parse->group_count; i++) {
        const struct candidate_group *group = &parse->groups[i];
        if (group->resource_count > 0)
            continue;
        all = false;
        if (group->required_count > 0)
            list_add(&traits, "", "required", group->suffix);
        if (group->member_of_count > 0 || group->forbidden_aggregates.count > 0)
            list_add(&aggregates, "", "member_of", group->suffix);
    }
    if (traits.length > 0)
        return bad(parse, NULL, "All traits parameters must be associated with resources.  Found the following "
            "orphaned traits keys: %s", buf_text(&traits));
    if (aggregates.length > 0)
        return bad(parse, NULL, "All member_of parameters must be associated with resources. Found the following "
            "orphaned member_of keys: %s", buf_text(&aggregates));
    if (!all)
        return bad(parse, NULL, "All request groups must specify resources.");
    if (parse->group_count == 0)
        return bad(parse, NULL, "At least one request group (`resources` or `resources{$S}`) is required.");
    return NULL;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool forbids(const struct candidate_group *group, int64_t trait)
{
    for (size_t i = 0; i < group->forbidden_count; i++)
        if (group->forbidden[i] == trait)
            return true;
    return false;
}

static struct fault *check_conflicts(struct parse *parse)
{
    struct arena *arena = parse->rq->cx.arena;
    struct words conflicts = { 0 };
    for (size_t g = 0; g < parse->group_count; g++) {
        const struct candidate_group *group = &parse->groups[g];
        for (size_t i = 0; i < group->required_count; i++) {
            const struct trait_set *set = &group->required[i];
            struct words names = { 0 };
            for (size_t j = 0; j < set->count && forbids(group, set->ids[j]); j++)
                add_word(arena, &names, placement_names_text(&parse->model->traits, set->ids[j]));
            if (names.count < set->count || set->count == 0)
                continue;
            qsort(names.items, names.count, sizeof(*names.items), compare_texts);
            struct buf text BUF_CLEANUP = { 0 };
            for (size_t j = 0; j < names.count; j++)
                list_add(&text, "", "", names.items[j]);
            add_word(arena, &conflicts, arena_printf(arena, "required%s: (%s)", group->suffix, buf_text(&text)));
        }
    }
    if (conflicts.count == 0)
        return NULL;
    qsort(conflicts.items, conflicts.count, sizeof(*conflicts.items), compare_texts);
    struct buf text BUF_CLEANUP = { 0 };
    for (size_t i = 0; i < conflicts.count; i++)
        list_add(&text, "", "", conflicts.items[i]);
    return bad(parse, NULL, "Conflicting required and forbidden traits found in the following traits keys: %s",
        buf_text(&text));
}

static struct subtree_rule *make_subtrees(struct parse *parse, const struct words *subtrees, size_t count)
{
    struct arena *arena = parse->rq->cx.arena;
    struct subtree_rule *rules = ARENA_ARRAY(arena, struct subtree_rule, count + 1);
    for (size_t i = 0; i < count; i++) {
        size_t *groups = ARENA_ARRAY(arena, size_t, subtrees[i].count);
        for (size_t j = 0; j < subtrees[i].count; j++)
            groups[j] = (size_t)(group_of(parse, subtrees[i].items[j]) - parse->groups);
        rules[i] = (struct subtree_rule){ groups, subtrees[i].count };
    }
    return rules;
}

struct fault *candidates_parse(struct request *rq, const struct model *model, struct candidate_request *ret)
{
    size_t parameters = 0, suffixed = 0;
    for (const struct header *at = rq->query; at != NULL; at = at->next)
        parameters++;
    struct parse parse = { .rq = rq, .model = model,
        .groups = ARENA_ARRAY(rq->cx.arena, struct candidate_group, parameters + 1) };
    struct words *subtrees;
    size_t subtree_count = 0;
    const char *limit = request_query(rq, "limit"), *policy = request_query(rq, "group_policy");
    *ret = (struct candidate_request){ .flat = rq->version < 29, .deadline_us = rq->cx.deadline_us };
    if (limit != NULL && !parse_integer(limit, &ret->limit))
        ret->limit = 0;
    TRY(parse_root_required(&parse, ret));
    TRY(split_subtrees(&parse, &subtrees, &subtree_count));
    for (const struct header *at = rq->query; at != NULL; at = at->next)
        TRY(parse_parameter(&parse, at));
    if (rq->version >= 36)
        TRY(check_subtrees(&parse, subtrees, subtree_count));
    else
        TRY(check_orphans(&parse));
    if (rq->version >= 22)
        TRY(check_conflicts(&parse));
    for (size_t i = 0; i < parse.group_count; i++)
        suffixed += *parse.groups[i].suffix != '\0';
    if (policy == NULL && suffixed > 1)
        return bad(&parse, NULL,
            "The \"group_policy\" parameter is required when specifying more than one \"resources{N}\" parameter.");
    TRY(parse.unknown);
    ret->isolate = policy != NULL && strcmp(policy, "isolate") == 0;
    ret->subtrees = make_subtrees(&parse, subtrees, subtree_count);
    ret->subtree_count = subtree_count;
    ret->groups = parse.groups;
    ret->group_count = parse.group_count;
    return NULL;
}

struct fault *provider_filter_parse(struct request *rq, const struct model *model, struct candidate_group *ret)
{
    struct parse parse = { .rq = rq, .model = model };
    const char *resources = placement_query_last(rq, "resources"), *tree = placement_query_last(rq, "in_tree");
    *ret = (struct candidate_group){ .suffix = "" };
    if (placement_query_last(rq, "member_of") != NULL)
        TRY(parse_member_of(&parse, ret, "member_of"));
    if (placement_query_last(rq, "required") != NULL)
        TRY(parse_required(&parse, ret, "required"));
    if (tree != NULL && *tree != '\0')
        TRY(parse_in_tree(&parse, ret, tree));
    if (resources != NULL)
        TRY(parse_resources(&parse, ret, resources));
    return parse.unknown;
}
