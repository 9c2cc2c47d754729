/* SPDX-License-Identifier: Apache-2.0
 *
 * candidates: which sets of providers could take a request? The rules of GET /allocation_candidates on the model.
 *
 * Everything is decided per anchor, the root of one tree: a group without suffix takes each of its classes from any
 * provider of the anchor's tree or from a sharing provider that has an aggregate in common with the tree; a group with
 * a suffix takes all of its classes from one such provider. So the search walks anchors in the order of their ids and
 * stops at the limit; the cost grows with the answer. Where a class or a trait of the request is rare, only the anchors
 * that its providers lead to are visited.
 */
#ifndef PLACEMENT_CANDIDATES_H
#define PLACEMENT_CANDIDATES_H

#include "oslo/http.h"
#include "placement/model.h"

struct trait_set { /* any one of them will do */
    const int64_t *ids;
    size_t count;
};

struct aggregate_set { /* any one of them will do; those that no provider is in are left out */
    struct aggregate *const *items;
    size_t count;
};

struct resource_amount {
    int64_t class_id;
    int64_t amount;
};

struct candidate_group {
    const char *suffix; /* "": the group without one */
    struct resource_amount *resources; /* sorted by class_id */
    size_t resource_count;
    const struct trait_set *required;
    size_t required_count;
    const int64_t *forbidden; /* traits */
    size_t forbidden_count;
    const struct aggregate_set *member_of; /* all of these */
    size_t member_of_count;
    struct aggregate_set forbidden_aggregates;
    bool in_tree;
    const struct provider *tree_root; /* with in_tree; NULL: no such provider, nothing fits */
};

struct subtree_rule { /* same_subtree: indexes of groups */
    const size_t *groups;
    size_t count;
};

struct candidate_request {
    const struct candidate_group *groups;
    size_t group_count;
    bool isolate;             /* group_policy=isolate */
    int64_t limit;            /* 0: none */
    bool root_traits;         /* root_required is given */
    struct trait_set root_required; /* all of them */
    struct trait_set root_forbidden;
    const struct subtree_rule *subtrees;
    size_t subtree_count;
    bool flat;                /* below 1.29: at most one provider of each tree */
    int64_t deadline_us;      /* on the monotonic clock; 0: none */
};

struct candidate_use {
    const struct provider *provider;
    int64_t class_id;
    int64_t amount;
};

struct candidate_mapping {
    size_t group;
    const struct provider *provider;
};

struct candidate {
    const struct provider *anchor;
    struct candidate_use *uses; /* each provider's uses follow each other */
    size_t use_count;
    struct candidate_mapping *mappings; /* sorted by group; no pair twice */
    size_t mapping_count;
};

struct candidate_result {
    struct candidate *candidates;
    size_t count, capacity;
    bool overrun; /* the deadline passed; the result is not complete */
};

/* The model is being read. Everything is made in the arena. */
void candidates_find(struct arena *arena, const struct model *model, const struct candidate_request *request,
    struct candidate_result *ret);

/* Whether one provider alone meets a group's demands (amounts, traits, aggregates, tree). */
bool placement_group_fits(const struct candidate_group *group, const struct provider *provider);

/* Whether a provider could give `amount` more of a class, by its inventory's rules. */
bool provider_can_give(const struct provider *provider, int64_t class_id, int64_t amount);

/* The request language. The model is being read; names are looked up in it. */
struct fault *candidates_parse(struct request *rq, const struct model *model, struct candidate_request *ret);
struct fault *provider_filter_parse(struct request *rq, const struct model *model, struct candidate_group *ret);

#endif
