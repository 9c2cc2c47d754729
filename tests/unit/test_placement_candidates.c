/* SPDX-License-Identifier: Apache-2.0
 *
 * The search of placement's candidates against a model of the rules that tries everything: random topologies, random
 * requests. The model here knows no trees, lists or limits: it takes every root as the anchor and every provider for
 * every choice, and asks each rule of the API reference in turn.
 *
 * PLACEMENT_SEED=n runs one seed, PLACEMENT_ROUNDS=n so many.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "placement/candidates.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PROVIDERS = 7, CLASSES = 3, TRAITS = 3, AGGREGATES = 2, SLOTS = 4, SHARES = 100 };

static uint64_t state;

static unsigned below(unsigned limit)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)(state >> 33) % limit;
}

struct world {
    struct arena *arena;
    struct model *model;
    struct provider_data data[PROVIDERS];
    size_t count;
    struct candidate_request request;
    struct candidate_group groups[3];
};

static const char *const aggregate_uuids[AGGREGATES] = { "a0000000-0000-4000-8000-000000000000",
    "a1111111-0000-4000-8000-000000000000" };

static void make_provider(struct world *w, size_t i)
{
    struct provider_data *p = &w->data[i];
    struct inventory *inventories = ARENA_ARRAY(w->arena, struct inventory, CLASSES);
    int64_t *traits = ARENA_ARRAY(w->arena, int64_t, TRAITS + 1);
    const char **aggregates = ARENA_ARRAY(w->arena, const char *, AGGREGATES);
    *p = (struct provider_data){ .id = (int64_t)i + 1, .inventories = inventories, .traits = traits,
        .aggregates = aggregates };
    p->uuid = arena_printf(w->arena, "%08zx-0000-4000-8000-000000000000", i + 1);
    p->name = p->uuid;
    p->root_id = p->id;
    if (i > 0 && below(2) == 0) {
        const struct provider_data *parent = &w->data[below((unsigned)i)];
        p->parent_id = parent->id;
        p->root_id = parent->root_id;
    }
    for (int c = 0; c < CLASSES; c++) {
        if (below(3) == 0)
            continue;
        int64_t total = 2 + below(8);
        inventories[p->inventory_count++] = (struct inventory){ c + 1, total, below(2), 1, 1 + below(8),
            1 + (below(4) == 0), below(3) == 0 ? 1.5 : 1.0, below((unsigned)total / 2) };
    }
    for (int t = 0; t < TRAITS; t++)
        if (below(2) == 0)
            traits[p->trait_count++] = t + 1;
    if (below(3) == 0)
        traits[p->trait_count++] = SHARES;
    for (int a = 0; a < AGGREGATES; a++)
        if (below(2) == 0)
            aggregates[p->aggregate_count++] = aggregate_uuids[a];
}

static struct trait_set random_traits(struct world *w, unsigned most)
{
    int64_t *ids = ARENA_ARRAY(w->arena, int64_t, most + 1);
    size_t count = 1 + below(most);
    for (size_t i = 0; i < count; i++)
        ids[i] = 1 + below(TRAITS);
    return (struct trait_set){ ids, count };
}

static struct aggregate_set random_aggregates(struct world *w)
{
    struct aggregate **items = ARENA_ARRAY(w->arena, struct aggregate *, AGGREGATES);
    size_t count = 0;
    for (int a = 0; a < AGGREGATES; a++) {
        struct aggregate *aggregate = map_get(&w->model->aggregates, aggregate_uuids[a]);
        if (below(2) == 0 && aggregate != NULL)
            items[count++] = aggregate;
    }
    return (struct aggregate_set){ items, count };
}

static void make_group(struct world *w, struct candidate_group *g, const char *suffix, size_t *slots_left)
{
    *g = (struct candidate_group){ .suffix = suffix, .resources = ARENA_ARRAY(w->arena, struct resource_amount, 2) };
    int first = (int)below(CLASSES);
    size_t wanted = 1 + (below(2) == 0 && *slots_left > 1);
    if (*suffix != '\0' && below(6) == 0)
        wanted = 0;
    for (size_t i = 0; i < wanted; i++) {
        int c = i == 0 ? first : (first + 1) % CLASSES;
        g->resources[g->resource_count++] = (struct resource_amount){ c + 1, 1 + below(3) };
    }
    if (g->resource_count == 2 && g->resources[0].class_id > g->resources[1].class_id) {
        struct resource_amount kept = g->resources[0];
        g->resources[0] = g->resources[1];
        g->resources[1] = kept;
    }
    *slots_left -= *suffix == '\0' ? g->resource_count : 1;
    if (below(3) == 0) {
        struct trait_set *sets = ARENA_ARRAY(w->arena, struct trait_set, 1);
        sets[0] = random_traits(w, 2);
        g->required = sets;
        g->required_count = 1;
    }
    if (below(4) == 0) {
        struct trait_set set = random_traits(w, 1);
        g->forbidden = set.ids;
        g->forbidden_count = set.count;
    }
    if (below(5) == 0) {
        struct aggregate_set *sets = ARENA_ARRAY(w->arena, struct aggregate_set, 1);
        sets[0] = random_aggregates(w);
        g->member_of = sets;
        g->member_of_count = 1;
    }
    if (below(6) == 0)
        g->forbidden_aggregates = random_aggregates(w);
    if (below(7) == 0) {
        g->in_tree = true;
        g->tree_root = w->model->providers.items[below((unsigned)w->count)]->root;
    }
}

static void make_world(struct world *w, uint64_t seed)
{
    static const char *const names[] = { "T1", "T2", "T3" };
    struct name traits[TRAITS + 1];
    state = seed * 0x9e3779b97f4a7c15u + 1;
    w->arena = arena_create();
    w->model = model_create();
    for (int t = 0; t < TRAITS; t++)
        traits[t] = (struct name){ t + 1, (char *)names[t] };
    traits[TRAITS] = (struct name){ SHARES, (char *)"MISC_SHARES_VIA_AGGREGATE" };
    placement_names_replace(&w->model->traits, traits, TRAITS + 1);
    w->count = 2 + below(PROVIDERS - 1);
    for (size_t i = 0; i < w->count; i++)
        make_provider(w, i);
    model_apply(w->model, w->data, w->count, NULL, 0);
    size_t slots = SLOTS, groups = 0;
    w->request = (struct candidate_request){ .groups = w->groups };
    if (below(3) > 0)
        make_group(w, &w->groups[groups++], "", &slots);
    size_t suffixed = groups == 0 ? 1 + below(2) : below(3);
    for (size_t i = 0; i < suffixed; i++)
        make_group(w, &w->groups[groups++], i == 0 ? "1" : "2", &slots);
    w->request.group_count = groups;
    w->request.isolate = below(2) == 0;
    w->request.flat = below(4) == 0;
    if (below(5) == 0) {
        w->request.root_traits = true;
        w->request.root_required = random_traits(w, 1);
    }
    if (suffixed == 2 && below(2) == 0) {
        size_t *both = ARENA_ARRAY(w->arena, size_t, 2);
        struct subtree_rule *rule = ARENA_NEW(w->arena, struct subtree_rule);
        both[0] = groups - 2;
        both[1] = groups - 1;
        *rule = (struct subtree_rule){ both, 2 };
        w->request.subtrees = rule;
        w->request.subtree_count = 1;
    }
}

/* ---- the model of the rules, on the providers as they were made ---- */

static bool has(const struct provider_data *p, int64_t trait)
{
    for (size_t i = 0; i < p->trait_count; i++)
        if (p->traits[i] == trait)
            return true;
    return false;
}

static bool in_one(const struct provider_data *p, const struct aggregate_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        for (size_t j = 0; j < p->aggregate_count; j++)
            if (strcmp(set->items[i]->uuid, p->aggregates[j]) == 0)
                return true;
    return false;
}

static bool in_all(const struct provider_data *p, const struct candidate_group *g)
{
    for (size_t i = 0; i < g->member_of_count; i++)
        if (!in_one(p, &g->member_of[i]))
            return false;
    return true;
}

static const struct inventory *inventory_of(const struct provider_data *p, int64_t class_id)
{
    for (size_t i = 0; i < p->inventory_count; i++)
        if (p->inventories[i].class_id == class_id)
            return &p->inventories[i];
    return NULL;
}

static bool room(const struct provider_data *p, int64_t class_id, int64_t amount)
{
    const struct inventory *v = inventory_of(p, class_id);
    return v != NULL && amount >= v->min_unit && amount <= v->max_unit && amount % v->step_size == 0 &&
        (double)(v->used + amount) <= (double)(v->total - v->reserved) * v->allocation_ratio;
}

/* A provider can serve an anchor from inside its tree, or by sharing an aggregate with any provider of it. */
static bool serves(const struct world *w, const struct provider_data *p, const struct provider_data *anchor)
{
    if (p->root_id == anchor->id)
        return true;
    if (!has(p, SHARES))
        return false;
    for (size_t i = 0; i < w->count; i++)
        for (size_t a = 0; a < w->data[i].aggregate_count && w->data[i].root_id == anchor->id; a++)
            for (size_t b = 0; b < p->aggregate_count; b++)
                if (strcmp(w->data[i].aggregates[a], p->aggregates[b]) == 0)
                    return true;
    return false;
}

static bool any_of(const struct provider_data *p, const struct trait_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        if (has(p, set->ids[i]))
            return true;
    return false;
}

struct choice {
    size_t group;
    size_t resource; /* of the plain group */
    const struct provider_data *provider;
};

static bool choice_fits(const struct world *w, const struct choice *c, const struct provider_data *anchor)
{
    const struct candidate_group *g = &w->groups[c->group];
    const struct provider_data *p = c->provider;
    bool plain = *g->suffix == '\0';
    if (!serves(w, p, anchor))
        return false;
    for (size_t i = 0; i < g->forbidden_count; i++)
        if (has(p, g->forbidden[i]))
            return false;
    if (in_one(p, &g->forbidden_aggregates) || (plain && in_one(anchor, &g->forbidden_aggregates)))
        return false;
    if (plain) {
        const struct resource_amount *r = &g->resources[c->resource];
        if (!room(p, r->class_id, r->amount))
            return false;
        if (g->in_tree && (p->root_id != g->tree_root->id || anchor->id != g->tree_root->id))
            return false;
        return in_all(p, g) || (p->root_id == anchor->id && in_all(anchor, g));
    }
    if (g->resource_count == 0 && g->required_count == 0 && g->member_of_count == 0)
        return false;
    for (size_t i = 0; i < g->resource_count; i++)
        if (!room(p, g->resources[i].class_id, g->resources[i].amount))
            return false;
    for (size_t i = 0; i < g->required_count; i++)
        if (!any_of(p, &g->required[i]))
            return false;
    if (g->in_tree && g->resource_count > 0 && p->root_id != g->tree_root->id)
        return false;
    return in_all(p, g);
}

static bool below_or_at(const struct world *w, const struct provider_data *p, const struct provider_data *top)
{
    for (;;) {
        if (p == top)
            return true;
        if (p->parent_id == 0)
            return false;
        p = &w->data[p->parent_id - 1];
    }
}

static bool whole_fits(const struct world *w, const struct choice *c, size_t count, int64_t used[][CLASSES + 1])
{
    const struct candidate_request *q = &w->request;
    for (size_t i = 0; i < w->count; i++)
        for (int k = 1; k <= CLASSES; k++) {
            const struct inventory *v = inventory_of(&w->data[i], k);
            if (used[i][k] > 0 && (used[i][k] > v->max_unit || v->used + used[i][k] > inventory_capacity(v)))
                return false;
        }
    for (size_t g = 0; g < q->group_count; g++)
        for (size_t i = 0; i < q->groups[g].required_count && *q->groups[g].suffix == '\0'; i++) {
            bool met = false;
            for (size_t n = 0; n < count; n++)
                met = met || (c[n].group == g && any_of(c[n].provider, &q->groups[g].required[i]));
            if (!met)
                return false;
        }
    for (size_t a = 0; a < count; a++)
        for (size_t b = 0; b < a; b++)
            if (q->isolate && *q->groups[c[a].group].suffix != '\0' && *q->groups[c[b].group].suffix != '\0' &&
                c[a].provider == c[b].provider)
                return false;
    for (size_t s = 0; s < q->subtree_count; s++) {
        const struct provider_data *x = NULL, *y = NULL;
        for (size_t n = 0; n < count; n++) {
            x = c[n].group == q->subtrees[s].groups[0] ? c[n].provider : x;
            y = c[n].group == q->subtrees[s].groups[1] ? c[n].provider : y;
        }
        if (!below_or_at(w, x, y) && !below_or_at(w, y, x))
            return false;
    }
    for (size_t i = 0; i < w->count && q->flat; i++)
        for (size_t j = 0; j < i; j++) {
            bool first = false, second = false;
            for (int k = 1; k <= CLASSES; k++) {
                first = first || used[i][k] > 0;
                second = second || used[j][k] > 0;
            }
            if (first && second && w->data[i].root_id == w->data[j].root_id)
                return false;
        }
    return true;
}

struct texts {
    struct map map;
};

static void remember(const struct world *w, const struct choice *c, size_t count, struct texts *found)
{
    int64_t used[PROVIDERS][CLASSES + 1] = { { 0 } };
    bool mapped[3][PROVIDERS] = { { false } };
    for (size_t n = 0; n < count; n++) {
        const struct candidate_group *g = &w->groups[c[n].group];
        size_t p = (size_t)c[n].provider->id - 1;
        mapped[c[n].group][p] = true;
        for (size_t i = 0; i < g->resource_count; i++)
            if (*g->suffix != '\0' || i == c[n].resource)
                used[p][g->resources[i].class_id] += g->resources[i].amount;
    }
    if (!whole_fits(w, c, count, used))
        return;
    struct buf text BUF_CLEANUP = { 0 };
    for (size_t p = 0; p < w->count; p++)
        for (int k = 1; k <= CLASSES; k++)
            if (used[p][k] > 0)
                buf_printf(&text, "%zu:%d=%d ", p + 1, k, (int)used[p][k]);
    for (size_t g = 0; g < w->request.group_count; g++)
        for (size_t p = 0; p < w->count; p++)
            if (mapped[g][p])
                buf_printf(&text, "%zu>%zu ", g, p + 1);
    map_set(&found->map, buf_text(&text), found);
}

static void try_all(const struct world *w, const struct provider_data *anchor, struct choice *c, size_t at,
    size_t count, struct texts *found)
{
    if (at == count) {
        remember(w, c, count, found);
        return;
    }
    for (size_t i = 0; i < w->count; i++) {
        c[at].provider = &w->data[i];
        if (choice_fits(w, &c[at], anchor))
            try_all(w, anchor, c, at + 1, count, found);
    }
}

static void find_by_force(const struct world *w, struct texts *found)
{
    struct choice choices[SLOTS * 2];
    size_t count = 0;
    for (size_t g = 0; g < w->request.group_count; g++) {
        size_t slots = *w->groups[g].suffix == '\0' ? w->groups[g].resource_count : 1;
        for (size_t i = 0; i < slots; i++)
            choices[count++] = (struct choice){ g, i, NULL };
    }
    for (size_t i = 0; i < w->count; i++) {
        const struct provider_data *anchor = &w->data[i];
        if (anchor->parent_id != 0 || (w->request.root_traits && !any_of(anchor, &w->request.root_required)))
            continue;
        try_all(w, anchor, choices, 0, count, found);
    }
}

/* ---- the comparison ---- */

static const char *text_of(struct arena *arena, const struct candidate *candidate)
{
    struct buf text BUF_CLEANUP = { 0 };
    for (size_t i = 0; i < candidate->use_count; i++)
        buf_printf(&text, "%d:%d=%d ", (int)candidate->uses[i].provider->id, (int)candidate->uses[i].class_id,
            (int)candidate->uses[i].amount);
    for (size_t i = 0; i < candidate->mapping_count; i++)
        buf_printf(&text, "%zu>%d ", candidate->mappings[i].group, (int)candidate->mappings[i].provider->id);
    return arena_strdup(arena, buf_text(&text));
}

static void compare(uint64_t seed, size_t *ret_found)
{
    struct world w;
    struct texts expected = { 0 }, seen = { 0 };
    struct candidate_result result;
    make_world(&w, seed);
    find_by_force(&w, &expected);
    candidates_find(w.arena, w.model, &w.request, &result);
    for (size_t i = 0; i < result.count; i++) {
        const char *text = text_of(w.arena, &result.candidates[i]);
        if (!map_has(&expected.map, text))
            fail_msg("seed %llu: the engine gives %s", (unsigned long long)seed, text);
        if (map_set(&seen.map, text, &seen) != NULL)
            fail_msg("seed %llu: twice %s", (unsigned long long)seed, text);
    }
    if (seen.map.count != expected.map.count) {
        size_t at = 0;
        for (struct map_entry *entry; (entry = map_next(&expected.map, &at)) != NULL;)
            if (!map_has(&seen.map, entry->key))
                fail_msg("seed %llu: the engine misses %s", (unsigned long long)seed, entry->key);
    }
    *ret_found += result.count;
    size_t all = result.count;
    w.request.limit = 2;
    candidates_find(w.arena, w.model, &w.request, &result);
    assert_int_equal(result.count, all < 2 ? all : 2);
    map_release(&expected.map);
    map_release(&seen.map);
    model_destroy(w.model);
    arena_destroy(w.arena);
}

static void test_agrees_with_brute_force(void **unused)
{
    (void)unused;
    const char *one = getenv("PLACEMENT_SEED"), *many = getenv("PLACEMENT_ROUNDS");
    uint64_t first = one == NULL ? 1 : strtoull(one, NULL, 10);
    uint64_t rounds = one != NULL ? 1 : many == NULL ? 50000 : strtoull(many, NULL, 10);
    size_t found = 0;
    for (uint64_t seed = first; seed < first + rounds; seed++)
        compare(seed, &found);
    print_message("%zu candidates in %llu worlds\n", found, (unsigned long long)rounds);
    if (one == NULL)
        assert_true(found > rounds / 2); /* the requests are not all hopeless */
}

/* Changes of single providers leave the model as one that was made at once. */
static void test_changes_leave_a_clean_model(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed < 300; seed++) {
        struct world a, b;
        struct candidate_result result;
        struct texts expected = { 0 };
        make_world(&a, seed);
        make_world(&b, seed);
        for (int i = 0; i < 10; i++) {
            size_t at = below((unsigned)a.count);
            struct provider_data odd = a.data[at];
            odd.trait_count = 0;
            odd.aggregate_count = 0;
            odd.inventory_count = 0;
            model_apply(a.model, &odd, 1, NULL, 0);
            model_apply(a.model, &a.data[at], 1, NULL, 0);
        }
        candidates_find(b.arena, b.model, &b.request, &result);
        for (size_t i = 0; i < result.count; i++)
            map_set(&expected.map, text_of(b.arena, &result.candidates[i]), &expected);
        a.request.groups = a.groups;
        candidates_find(a.arena, a.model, &a.request, &result);
        assert_int_equal(result.count, expected.map.count);
        for (size_t i = 0; i < result.count; i++)
            assert_true(map_has(&expected.map, text_of(a.arena, &result.candidates[i])));
        map_release(&expected.map);
        model_destroy(a.model);
        model_destroy(b.model);
        arena_destroy(a.arena);
        arena_destroy(b.arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agrees_with_brute_force),
        cmocka_unit_test(test_changes_leave_a_clean_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
