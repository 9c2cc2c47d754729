/* SPDX-License-Identifier: Apache-2.0
 *
 * candidates_api: GET /allocation_candidates.
 */
#include "base/random.h"
#include "placement/api.h"
#include "placement/candidates.h"

#include <stdlib.h>
#include <string.h>

static const struct schema text = { .types = SCHEMA_STRING };
static const struct schema limit = { .types = SCHEMA_STRING, .min_length = 1, .pattern = "^[1-9][0-9]*$" };
static const struct schema group_policy = { .types = SCHEMA_STRING, .values = SCHEMA_WORDS("none", "isolate") };

#define OBJECT .types = SCHEMA_OBJECT, .closed = true
static const struct schema get_1_10 = { OBJECT, .required = SCHEMA_WORDS("resources"),
    .properties = SCHEMA_PROPERTIES({ "resources", &text }) };
static const struct schema get_1_16 = { OBJECT, .required = SCHEMA_WORDS("resources"),
    .properties = SCHEMA_PROPERTIES({ "resources", &text }, { "limit", &limit }) };
static const struct schema get_1_17 = { OBJECT, .required = SCHEMA_WORDS("resources"),
    .properties = SCHEMA_PROPERTIES({ "resources", &text }, { "limit", &limit }, { "required", &text }) };
static const struct schema get_1_21 = { OBJECT, .required = SCHEMA_WORDS("resources"),
    .properties = SCHEMA_PROPERTIES({ "resources", &text }, { "limit", &limit }, { "required", &text },
        { "member_of", &text }) };

#define NUMBERED(word) { "^" word "([1-9][0-9]*)?$", &text }
static const struct schema get_1_25 = { OBJECT,
    .properties = SCHEMA_PROPERTIES({ "limit", &limit }, { "group_policy", &group_policy }),
    .patterns = SCHEMA_PROPERTIES(NUMBERED("resources"), NUMBERED("required"), NUMBERED("member_of")) };
static const struct schema get_1_31 = { OBJECT,
    .properties = SCHEMA_PROPERTIES({ "limit", &limit }, { "group_policy", &group_policy }),
    .patterns = SCHEMA_PROPERTIES(NUMBERED("resources"), NUMBERED("required"), NUMBERED("member_of"),
        NUMBERED("in_tree")) };

#define NAMED(word) { "^" word "([a-zA-Z0-9_-]{1,64})?$", &text }
#define NAMED_ALL   SCHEMA_PROPERTIES(NAMED("resources"), NAMED("required"), NAMED("member_of"), NAMED("in_tree"))
static const struct schema get_1_33 = { OBJECT, .patterns = NAMED_ALL,
    .properties = SCHEMA_PROPERTIES({ "limit", &limit }, { "group_policy", &group_policy }) };
static const struct schema get_1_35 = { OBJECT, .patterns = NAMED_ALL,
    .properties = SCHEMA_PROPERTIES({ "limit", &limit }, { "group_policy", &group_policy },
        { "root_required", &text }) };
static const struct schema get_1_36 = { OBJECT, .patterns = NAMED_ALL,
    .properties = SCHEMA_PROPERTIES({ "limit", &limit }, { "group_policy", &group_policy },
        { "root_required", &text }, { "same_subtree", &text }) };

static const struct schema *schema_of(int version)
{
    static const struct {
        int from;
        const struct schema *schema;
    } rows[] = { { 36, &get_1_36 }, { 35, &get_1_35 }, { 33, &get_1_33 }, { 31, &get_1_31 }, { 25, &get_1_25 },
        { 21, &get_1_21 }, { 17, &get_1_17 }, { 16, &get_1_16 } };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (version >= rows[i].from)
            return rows[i].schema;
    return &get_1_10;
}

/* One provider's uses, from `at` on; returns where the next provider's begin. */
static size_t write_uses(struct json_writer *w, const struct model *model, const struct candidate *candidate,
    size_t at)
{
    const struct provider *provider = candidate->uses[at].provider;
    json_begin(w, "resources");
    for (; at < candidate->use_count && candidate->uses[at].provider == provider; at++)
        json_int(w, placement_names_text(&model->classes, candidate->uses[at].class_id), candidate->uses[at].amount);
    json_end(w);
    return at;
}

static void write_mappings(struct json_writer *w, const struct candidate_request *request,
    const struct candidate *candidate)
{
    json_begin(w, "mappings");
    for (size_t i = 0; i < candidate->mapping_count;) {
        size_t group = candidate->mappings[i].group;
        json_begin_array(w, request->groups[group].suffix);
        for (; i < candidate->mapping_count && candidate->mappings[i].group == group; i++)
            json_text(w, NULL, candidate->mappings[i].provider->uuid);
        json_end_array(w);
    }
    json_end(w);
}

static void write_request(struct request *rq, const struct model *model, const struct candidate_request *request,
    const struct candidate *candidate)
{
    struct json_writer *w = &rq->json;
    bool map = rq->version >= 12;
    json_begin(w, NULL);
    if (map)
        json_begin(w, "allocations");
    else
        json_begin_array(w, "allocations");
    for (size_t i = 0; i < candidate->use_count;) {
        json_begin(w, map ? candidate->uses[i].provider->uuid : NULL);
        if (!map) {
            json_begin(w, "resource_provider");
            json_text(w, "uuid", candidate->uses[i].provider->uuid);
            json_end(w);
        }
        i = write_uses(w, model, candidate, i);
        json_end(w);
    }
    if (map)
        json_end(w);
    else
        json_end_array(w);
    if (rq->version >= 34)
        write_mappings(w, request, candidate);
    json_end(w);
}

static bool asked_for(const struct candidate_request *request, int64_t class_id)
{
    for (size_t i = 0; i < request->group_count; i++)
        for (size_t j = 0; j < request->groups[i].resource_count; j++)
            if (request->groups[i].resources[j].class_id == class_id)
                return true;
    return false;
}

static void write_summary(struct request *rq, const struct model *model, const struct candidate_request *request,
    const struct provider *provider)
{
    struct json_writer *w = &rq->json;
    json_begin(w, provider->uuid);
    json_begin(w, "resources");
    for (size_t i = 0; i < provider->inventory_count; i++) {
        const struct inventory *inventory = &provider->inventories[i];
        if (rq->version < 27 && !asked_for(request, inventory->class_id))
            continue;
        json_begin(w, placement_names_text(&model->classes, inventory->class_id));
        json_int(w, "capacity", inventory_capacity(inventory));
        json_int(w, "used", inventory->used);
        json_end(w);
    }
    json_end(w);
    if (rq->version >= 17) {
        json_begin_array(w, "traits");
        for (size_t i = 0; i < provider->trait_count; i++)
            json_text(w, NULL, placement_names_text(&model->traits, provider->traits[i]));
        json_end_array(w);
    }
    if (rq->version >= 29) {
        json_text(w, "parent_provider_uuid", provider->parent == NULL ? NULL : provider->parent->uuid);
        json_text(w, "root_provider_uuid", provider->root->uuid);
    }
    json_end(w);
}

static int compare_providers(const void *a, const void *b)
{
    const struct provider *x = *(const struct provider *const *)a, *y = *(const struct provider *const *)b;
    return (x->id > y->id) - (x->id < y->id);
}

/* Every provider of the trees that are used; below 1.29, in a cloud that has trees, only those that are used. */
static void write_summaries(struct request *rq, const struct model *model, const struct candidate_request *request,
    const struct candidate_result *result)
{
    bool used_only = request->flat && model->nested > 0;
    size_t total = 0, count = 0;
    for (size_t i = 0; i < result->count; i++)
        total += result->candidates[i].use_count;
    const struct provider **found = ARENA_ARRAY(rq->cx.arena, const struct provider *, total + 1);
    for (size_t i = 0; i < result->count; i++)
        for (size_t j = 0; j < result->candidates[i].use_count; j++) {
            const struct provider *provider = result->candidates[i].uses[j].provider;
            found[count++] = used_only ? provider : provider->root;
        }
    qsort(found, count, sizeof(*found), compare_providers);
    json_begin(&rq->json, "provider_summaries");
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && found[i] == found[i - 1])
            continue;
        if (used_only)
            write_summary(rq, model, request, found[i]);
        else
            for (size_t j = 0; j < found[i]->tree.count; j++)
                write_summary(rq, model, request, found[i]->tree.items[j]);
    }
    json_end(&rq->json);
}

/* [placement] randomize_allocation_candidates: any `limit` of them, in any order. */
static void shuffle(struct candidate_result *result, int64_t limit_count)
{
    for (size_t i = result->count; i > 1; i--) {
        size_t other = random_below(i);
        struct candidate kept = result->candidates[i - 1];
        result->candidates[i - 1] = result->candidates[other];
        result->candidates[other] = kept;
    }
    if (limit_count > 0 && (int64_t)result->count > limit_count)
        result->count = (size_t)limit_count;
}

static struct fault *answer(struct request *rq, struct placement *placement)
{
    const struct model *model = placement->model;
    struct candidate_request request;
    struct candidate_result result;
    TRY(candidates_parse(rq, model, &request));
    int64_t limit_count = request.limit;
    if (placement->randomize)
        request.limit = 0;
    candidates_find(rq->cx.arena, model, &request, &result);
    if (result.overrun)
        return FAULT(RQ(rq), 503, NULL, "The request has more combinations than could be tried in time.");
    if (placement->randomize)
        shuffle(&result, limit_count);
    json_begin(&rq->json, NULL);
    json_begin_array(&rq->json, "allocation_requests");
    for (size_t i = 0; i < result.count; i++)
        write_request(rq, model, &request, &result.candidates[i]);
    json_end_array(&rq->json);
    write_summaries(rq, model, &request, &result);
    json_end(&rq->json);
    placement_cache_headers(rq, 0);
    return NULL;
}

static struct fault *list_candidates(struct request *rq)
{
    TRY(placement_query_validate(rq, schema_of(rq->version)));
    struct placement *placement = placement_of(rq);
    TRY(model_refresh(rq->cx.arena, placement->model, rq->cx.app->db));
    model_read_begin(placement->model);
    struct fault *fault = answer(rq, placement);
    model_read_end(placement->model);
    return fault;
}

static const struct route rows[] = {
    ROUTE(GET, "/allocation_candidates", "placement:allocation_candidates:list", list_candidates, .min_version = 10),
};
const struct route_table placement_candidate_routes = ROUTES(rows);
