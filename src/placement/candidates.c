/* SPDX-License-Identifier: Apache-2.0
 *
 * candidates: the search.
 */
#include "placement/candidates.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

struct slot { /* one choice to make: a provider for a class of the plain group, or for a whole suffixed group */
    size_t group;
    const struct resource_amount *amounts;
    size_t amount_count;
    const struct provider **options;
    size_t option_count, option_capacity;
    const struct provider *chosen;
};

struct search {
    struct arena *arena;
    const struct model *model;
    const struct candidate_request *request;
    struct candidate_result *result;
    struct slot *slots;
    size_t slot_count;
    struct candidate_use *uses; /* what the choices so far add up to */
    size_t use_count;
    const struct provider *anchor;
    const struct provider **shared; /* sharing providers that the anchor's tree reaches */
    size_t shared_count, shared_capacity;
    uint32_t *seen; /* hash table of candidates, index + 1; only where two anchors can give the same */
    size_t seen_size;
    uint64_t steps;
    bool done;
};

bool provider_can_give(const struct provider *provider, int64_t class_id, int64_t amount)
{
    const struct inventory *inventory = provider_inventory(provider, class_id);
    return inventory != NULL && inventory->min_unit <= amount && amount <= inventory->max_unit &&
        inventory->step_size > 0 && amount % inventory->step_size == 0 &&
        (double)inventory->used + (double)amount <=
            (double)(inventory->total - inventory->reserved) * inventory->allocation_ratio;
}

static bool in_any(const struct provider *provider, const struct aggregate_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        if (provider_in_aggregate(provider, set->items[i]))
            return true;
    return false;
}

/* In one aggregate of every set that the group asks for. */
static bool in_aggregates(const struct candidate_group *group, const struct provider *provider)
{
    for (size_t i = 0; i < group->member_of_count; i++)
        if (!in_any(provider, &group->member_of[i]))
            return false;
    return true;
}

static bool has_forbidden_trait(const struct candidate_group *group, const struct provider *provider)
{
    for (size_t i = 0; i < group->forbidden_count; i++)
        if (provider_has_trait(provider, group->forbidden[i]))
            return true;
    return false;
}

static bool has_any_trait(const struct provider *provider, const struct trait_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        if (provider_has_trait(provider, set->ids[i]))
            return true;
    return false;
}

static bool gives_all(const struct candidate_group *group, const struct provider *provider)
{
    for (size_t i = 0; i < group->resource_count; i++)
        if (!provider_can_give(provider, group->resources[i].class_id, group->resources[i].amount))
            return false;
    return true;
}

bool placement_group_fits(const struct candidate_group *group, const struct provider *provider)
{
    if (group->in_tree && provider->root != group->tree_root)
        return false;
    for (size_t i = 0; i < group->required_count; i++)
        if (!has_any_trait(provider, &group->required[i]))
            return false;
    return gives_all(group, provider) && in_aggregates(group, provider) &&
        !in_any(provider, &group->forbidden_aggregates) && !has_forbidden_trait(group, provider);
}

/* A suffixed group. One without resources is only answered through its traits and aggregates (as the reference: with
 * nothing but refusals it finds nobody), and its tree is not looked at. */
static bool suffixed_fits(const struct candidate_group *group, const struct provider *provider)
{
    if (group->resource_count > 0)
        return placement_group_fits(group, provider);
    if (group->required_count == 0 && group->member_of_count == 0)
        return false;
    struct candidate_group anywhere = *group;
    anywhere.in_tree = false;
    return placement_group_fits(&anywhere, provider);
}

/* One class of the plain group, taken from `provider` for the tree of `anchor`. */
static bool plain_fits(const struct candidate_group *group, const struct resource_amount *amount,
    const struct provider *provider, const struct provider *anchor)
{
    if (group->in_tree && (anchor != group->tree_root || provider->root != anchor))
        return false;
    if (!provider_can_give(provider, amount->class_id, amount->amount))
        return false;
    if (provider->root != anchor && !in_aggregates(group, provider))
        return false; /* who shares must be in the aggregates itself */
    if (!in_aggregates(group, provider) && !in_aggregates(group, anchor))
        return false;
    if (in_any(provider, &group->forbidden_aggregates) || in_any(anchor, &group->forbidden_aggregates))
        return false;
    return !has_forbidden_trait(group, provider);
}

static void add_option(struct search *search, struct slot *slot, const struct provider *provider)
{
    if (slot->option_count == slot->option_capacity) {
        size_t capacity = slot->option_capacity == 0 ? 8 : slot->option_capacity * 2;
        const struct provider **options = ARENA_ARRAY(search->arena, const struct provider *, capacity);
        if (slot->option_count > 0)
            memcpy(options, slot->options, slot->option_count * sizeof(*options));
        slot->options = options;
        slot->option_capacity = capacity;
    }
    slot->options[slot->option_count++] = provider;
}

static void consider(struct search *search, struct slot *slot, const struct provider *provider)
{
    const struct candidate_group *group = &search->request->groups[slot->group];
    bool fits = *group->suffix == '\0' ? plain_fits(group, slot->amounts, provider, search->anchor)
                                       : suffixed_fits(group, provider);
    if (fits)
        add_option(search, slot, provider);
}

/* The sharing providers that have an aggregate in common with the anchor's tree and are not in it. */
static void find_shared(struct search *search)
{
    search->shared_count = 0;
    if (search->model->sharing.count == 0)
        return;
    const struct provider_list *tree = &search->anchor->tree;
    for (size_t i = 0; i < tree->count; i++) {
        for (size_t j = 0; j < tree->items[i]->aggregate_count; j++) {
            const struct provider_list *sharing = &tree->items[i]->aggregates[j]->sharing;
            for (size_t k = 0; k < sharing->count; k++) {
                const struct provider *provider = sharing->items[k];
                bool known = provider->root == search->anchor;
                for (size_t n = 0; n < search->shared_count && !known; n++)
                    known = search->shared[n] == provider;
                if (!known)
                    search->shared[search->shared_count++] = provider;
            }
        }
    }
}

/* Fills the options of every slot for the present anchor. False when one has none. */
static bool find_options(struct search *search)
{
    for (size_t i = 0; i < search->slot_count; i++) {
        struct slot *slot = &search->slots[i];
        slot->option_count = 0;
        for (size_t j = 0; j < search->anchor->tree.count; j++)
            consider(search, slot, search->anchor->tree.items[j]);
        if (slot->option_count == 0 && search->model->sharing.count == 0)
            return false;
    }
    find_shared(search);
    for (size_t i = 0; i < search->slot_count; i++) {
        for (size_t j = 0; j < search->shared_count; j++)
            consider(search, &search->slots[i], search->shared[j]);
        if (search->slots[i].option_count == 0)
            return false;
    }
    return true;
}

/* Adds a use to the running sum. False when the provider cannot give that much in one candidate; the sum is then as it
 * was. */
static bool add_use(struct search *search, const struct provider *provider, const struct resource_amount *amount)
{
    const struct inventory *inventory = provider_inventory(provider, amount->class_id);
    struct candidate_use *use = NULL;
    for (size_t i = 0; i < search->use_count && use == NULL; i++)
        if (search->uses[i].provider == provider && search->uses[i].class_id == amount->class_id)
            use = &search->uses[i];
    int64_t before = use == NULL ? 0 : use->amount, sum;
    if (__builtin_add_overflow(before, amount->amount, &sum) || sum > inventory->max_unit ||
        sum > inventory_capacity(inventory) - inventory->used)
        return false;
    if (use == NULL) {
        use = &search->uses[search->use_count++];
        *use = (struct candidate_use){ provider, amount->class_id, 0 };
    }
    use->amount = sum;
    return true;
}

static void take_back(struct search *search, const struct provider *provider, const struct resource_amount *amount)
{
    for (size_t i = search->use_count; i-- > 0;) {
        struct candidate_use *use = &search->uses[i];
        if (use->provider != provider || use->class_id != amount->class_id)
            continue;
        use->amount -= amount->amount;
        if (use->amount == 0) {
            search->use_count--;
            memmove(use, use + 1, (search->use_count - i) * sizeof(*use));
        }
        return;
    }
}

static bool is_plain(const struct search *search, const struct slot *slot)
{
    return *search->request->groups[slot->group].suffix == '\0';
}

/* The plain group's required traits hold for its providers together. */
static bool plain_traits_met(const struct search *search)
{
    for (size_t g = 0; g < search->request->group_count; g++) {
        const struct candidate_group *group = &search->request->groups[g];
        if (*group->suffix != '\0')
            continue;
        for (size_t i = 0; i < group->required_count; i++) {
            bool met = false;
            for (size_t s = 0; s < search->slot_count && !met; s++)
                met = search->slots[s].group == g && has_any_trait(search->slots[s].chosen, &group->required[i]);
            if (!met)
                return false;
        }
    }
    return true;
}

static bool is_at_or_below(const struct provider *provider, const struct provider *ancestor)
{
    for (; provider != NULL; provider = provider->parent)
        if (provider == ancestor)
            return true;
    return false;
}

static bool in_rule(const struct subtree_rule *rule, size_t group)
{
    for (size_t i = 0; i < rule->count; i++)
        if (rule->groups[i] == group)
            return true;
    return false;
}

/* One of the providers that the rule's groups chose is at or above all the others. */
static bool subtree_met(const struct search *search, const struct subtree_rule *rule)
{
    const struct slot *slots = search->slots;
    bool any = false;
    for (size_t top = 0; top < search->slot_count; top++) {
        if (!in_rule(rule, slots[top].group))
            continue;
        any = true;
        bool all = true;
        for (size_t i = 0; i < search->slot_count && all; i++)
            all = !in_rule(rule, slots[i].group) || is_at_or_below(slots[i].chosen, slots[top].chosen);
        if (all)
            return true;
    }
    return !any;
}

static bool is_flat(const struct search *search)
{
    for (size_t i = 0; i < search->use_count; i++)
        for (size_t j = 0; j < i; j++)
            if (search->uses[i].provider != search->uses[j].provider &&
                search->uses[i].provider->root == search->uses[j].provider->root)
                return false;
    return true;
}

static int compare_mappings(const void *a, const void *b)
{
    const struct candidate_mapping *x = a, *y = b;
    if (x->group != y->group)
        return x->group < y->group ? -1 : 1;
    return (x->provider->id > y->provider->id) - (x->provider->id < y->provider->id);
}

static int compare_uses(const void *a, const void *b)
{
    const struct candidate_use *x = a, *y = b;
    if (x->provider->id != y->provider->id)
        return x->provider->id < y->provider->id ? -1 : 1;
    return (x->class_id > y->class_id) - (x->class_id < y->class_id);
}

static struct candidate make(struct search *search)
{
    struct candidate candidate = {
        .anchor = search->anchor,
        .uses = arena_memdup(search->arena, search->uses, search->use_count * sizeof(*search->uses)),
        .use_count = search->use_count,
        .mappings = ARENA_ARRAY(search->arena, struct candidate_mapping, search->slot_count),
    };
    qsort(candidate.uses, candidate.use_count, sizeof(*candidate.uses), compare_uses);
    for (size_t i = 0; i < search->slot_count; i++)
        candidate.mappings[i] = (struct candidate_mapping){ search->slots[i].group, search->slots[i].chosen };
    qsort(candidate.mappings, search->slot_count, sizeof(*candidate.mappings), compare_mappings);
    for (size_t i = 0; i < search->slot_count; i++)
        if (i == 0 || compare_mappings(&candidate.mappings[i], &candidate.mappings[i - 1]) != 0)
            candidate.mappings[candidate.mapping_count++] = candidate.mappings[i];
    return candidate;
}

static uint64_t hash_of(const struct candidate *candidate)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < candidate->use_count; i++) {
        const struct candidate_use *use = &candidate->uses[i];
        hash = (hash ^ (uint64_t)use->provider->id) * 0x100000001b3u;
        hash = (hash ^ ((uint64_t)use->class_id << 32 ^ (uint64_t)use->amount)) * 0x100000001b3u;
    }
    for (size_t i = 0; i < candidate->mapping_count; i++)
        hash = (hash ^ (uint64_t)candidate->mappings[i].provider->id << 8 ^ candidate->mappings[i].group) *
            0x100000001b3u;
    return hash ^ hash >> 29;
}

static bool equal(const struct candidate *a, const struct candidate *b)
{
    if (a->use_count != b->use_count || a->mapping_count != b->mapping_count)
        return false;
    for (size_t i = 0; i < a->use_count; i++)
        if (compare_uses(&a->uses[i], &b->uses[i]) != 0 || a->uses[i].amount != b->uses[i].amount)
            return false;
    for (size_t i = 0; i < a->mapping_count; i++)
        if (compare_mappings(&a->mappings[i], &b->mappings[i]) != 0)
            return false;
    return true;
}

/* The slot of the hash table for a candidate; *ret_known tells whether it is there. */
static uint32_t *seen_slot(struct search *search, const struct candidate *candidate, bool *ret_known)
{
    size_t at = hash_of(candidate) & (search->seen_size - 1);
    for (; search->seen[at] != 0; at = (at + 1) & (search->seen_size - 1)) {
        if (equal(&search->result->candidates[search->seen[at] - 1], candidate)) {
            *ret_known = true;
            return &search->seen[at];
        }
    }
    *ret_known = false;
    return &search->seen[at];
}

static void seen_grow(struct search *search)
{
    search->seen_size = search->seen_size == 0 ? 64 : search->seen_size * 2;
    search->seen = ARENA_ARRAY(search->arena, uint32_t, search->seen_size);
    for (size_t i = 0; i < search->result->count; i++) {
        bool known;
        *seen_slot(search, &search->result->candidates[i], &known) = (uint32_t)i + 1;
    }
}

/* All choices are made: keeps the candidate when the rules about the whole hold. */
static void emit(struct search *search)
{
    struct candidate_result *result = search->result;
    if (!plain_traits_met(search))
        return;
    for (size_t i = 0; i < search->request->subtree_count; i++)
        if (!subtree_met(search, &search->request->subtrees[i]))
            return;
    if (search->request->flat && !is_flat(search))
        return;
    struct candidate candidate = make(search);
    uint32_t *slot = NULL;
    if (search->model->sharing.count > 0) { /* the same shared provider can answer for many anchors */
        bool known;
        if (search->seen_size < (result->count + 1) * 2)
            seen_grow(search);
        slot = seen_slot(search, &candidate, &known);
        if (known)
            return;
    }
    if (result->count == result->capacity) {
        size_t capacity = result->capacity == 0 ? 16 : result->capacity * 2;
        struct candidate *items = ARENA_ARRAY(search->arena, struct candidate, capacity);
        if (result->count > 0)
            memcpy(items, result->candidates, result->count * sizeof(*items));
        result->candidates = items;
        result->capacity = capacity;
    }
    result->candidates[result->count++] = candidate;
    if (slot != NULL)
        *slot = (uint32_t)result->count;
    search->done = search->request->limit > 0 && (int64_t)result->count >= search->request->limit;
}

/* group_policy=isolate: no two suffixed groups on the same provider. */
static bool isolated(const struct search *search, size_t at, const struct provider *provider)
{
    if (!search->request->isolate || is_plain(search, &search->slots[at]))
        return true;
    for (size_t i = 0; i < at; i++)
        if (!is_plain(search, &search->slots[i]) && search->slots[i].chosen == provider)
            return false;
    return true;
}

/* Tries every option of the slot `at` and goes on with the next. */
static void choose(struct search *search, size_t at)
{
    if (at == search->slot_count) {
        emit(search);
        return;
    }
    struct slot *slot = &search->slots[at];
    for (size_t i = 0; i < slot->option_count && !search->done; i++) {
        if (++search->steps % 4096 == 0 && search->request->deadline_us != 0 &&
            clock_monotonic_us() > search->request->deadline_us) {
            search->result->overrun = search->done = true;
            return;
        }
        slot->chosen = slot->options[i];
        if (!isolated(search, at, slot->chosen))
            continue;
        size_t added = 0;
        while (added < slot->amount_count && add_use(search, slot->chosen, &slot->amounts[added]))
            added++;
        if (added == slot->amount_count)
            choose(search, at + 1);
        while (added > 0)
            take_back(search, slot->chosen, &slot->amounts[--added]);
    }
}

static bool anchor_allowed(const struct candidate_request *request, const struct provider *anchor)
{
    if (!request->root_traits)
        return true;
    for (size_t i = 0; i < request->root_required.count; i++)
        if (!provider_has_trait(anchor, request->root_required.ids[i]))
            return false;
    return !has_any_trait(anchor, &request->root_forbidden);
}

static void visit(struct search *search, const struct provider *anchor)
{
    if (search->done || !anchor_allowed(search->request, anchor))
        return;
    search->anchor = anchor;
    if (find_options(search))
        choose(search, 0);
}

/* The shortest list of providers of which every candidate needs one; NULL when the request names none. */
static const struct provider_list *rarest(const struct model *model, const struct candidate_request *request)
{
    const struct provider_list *best = NULL;
    for (size_t g = 0; g < request->group_count; g++) {
        const struct candidate_group *group = &request->groups[g];
        for (size_t i = 0; i < group->resource_count + group->required_count; i++) {
            const struct provider_list *list;
            if (i < group->resource_count)
                list = provider_index_find(&model->by_class, group->resources[i].class_id);
            else if (group->required[i - group->resource_count].count == 1)
                list = provider_index_find(&model->by_trait, group->required[i - group->resource_count].ids[0]);
            else
                continue;
            if (best == NULL || list->count < best->count)
                best = list;
        }
    }
    return best;
}

static int compare_providers(const void *a, const void *b)
{
    const struct provider *x = *(const struct provider *const *)a, *y = *(const struct provider *const *)b;
    return (x->id > y->id) - (x->id < y->id);
}

/* The anchors that a provider can serve: its own root and, when it shares, those of its aggregates' members. */
static size_t count_anchors(const struct provider *provider)
{
    size_t count = 1;
    for (size_t i = 0; provider->sharing && i < provider->aggregate_count; i++)
        count += provider->aggregates[i]->members.count;
    return count;
}

static void visit_from(struct search *search, const struct provider_list *list)
{
    size_t total = 0, count = 0;
    for (size_t i = 0; i < list->count; i++)
        total += count_anchors(list->items[i]);
    const struct provider **anchors = ARENA_ARRAY(search->arena, const struct provider *, total + 1);
    for (size_t i = 0; i < list->count; i++) {
        const struct provider *provider = list->items[i];
        anchors[count++] = provider->root;
        for (size_t j = 0; provider->sharing && j < provider->aggregate_count; j++)
            for (size_t k = 0; k < provider->aggregates[j]->members.count; k++)
                anchors[count++] = provider->aggregates[j]->members.items[k]->root;
    }
    qsort(anchors, count, sizeof(*anchors), compare_providers);
    for (size_t i = 0; i < count && !search->done; i++)
        if (i == 0 || anchors[i] != anchors[i - 1])
            visit(search, anchors[i]);
}

static void make_slots(struct search *search)
{
    const struct candidate_request *request = search->request;
    size_t slots = 0, uses = 0;
    for (size_t g = 0; g < request->group_count; g++) {
        slots += *request->groups[g].suffix == '\0' ? request->groups[g].resource_count : 1;
        uses += request->groups[g].resource_count;
    }
    search->slots = ARENA_ARRAY(search->arena, struct slot, slots + 1);
    search->uses = ARENA_ARRAY(search->arena, struct candidate_use, uses + 1);
    for (size_t g = 0; g < request->group_count; g++) {
        const struct candidate_group *group = &request->groups[g];
        if (*group->suffix != '\0')
            search->slots[search->slot_count++] =
                (struct slot){ .group = g, .amounts = group->resources, .amount_count = group->resource_count };
        else
            for (size_t i = 0; i < group->resource_count; i++)
                search->slots[search->slot_count++] =
                    (struct slot){ .group = g, .amounts = &group->resources[i], .amount_count = 1 };
    }
}

void candidates_find(struct arena *arena, const struct model *model, const struct candidate_request *request,
    struct candidate_result *ret)
{
    *ret = (struct candidate_result){ 0 };
    struct search search = { .arena = arena, .model = model, .request = request, .result = ret };
    make_slots(&search);
    search.shared = ARENA_ARRAY(arena, const struct provider *, model->sharing.count + 1);
    for (size_t g = 0; g < request->group_count; g++) {
        const struct candidate_group *group = &request->groups[g];
        if (*group->suffix == '\0' && group->in_tree) { /* only one anchor will do */
            if (group->tree_root != NULL)
                visit(&search, group->tree_root);
            return;
        }
    }
    const struct provider_list *list = rarest(model, request);
    if (list != NULL && list->count < model->roots.count / 4) {
        visit_from(&search, list);
        return;
    }
    for (size_t i = 0; i < model->roots.count && !search.done; i++)
        visit(&search, model->roots.items[i]);
}
