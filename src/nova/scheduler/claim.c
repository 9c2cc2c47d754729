/* SPDX-License-Identifier: Apache-2.0
 *
 * claim: what the chosen hosts give becomes allocations in placement, all instances of a request at once; and why
 * placement has nothing to offer.
 */
#include "nova/scheduler/scheduler.h"
#include "oslo/rest.h"
#include "oslo/trace.h"

#include <string.h>

/* ---- claims ---- */

static json_t *consumer(const struct selection *selection, const struct host *host)
{
    json_t *body = json_pack("{s:O, s:s, s:s, s:n}", "allocations", host->allocations,
        "project_id", selection->project_id, "user_id", selection->user_id, "consumer_generation");
    if (host->mappings != NULL)
        json_object_set(body, "mappings", (json_t *)host->mappings);
    return body;
}

static struct fault *send(const struct selection *selection, enum http_method method, const char *path, json_t *body,
    struct rest_response *ret)
{
    return rest_call(selection->cx, &(struct rest){ .service = "placement", .method = method, .path = path,
        .body = body,
        .as = AS_SERVICE, .version = PLACEMENT_VERSION, .accept_status = -1 }, ret);
}

/* The consumers of instances that are being built have no rightful allocations yet: what is there is from a run before
 * that was killed. */
static struct fault *forget_claims(const struct selection *selection)
{
    for (size_t i = 0; i < selection->count; i++) {
        struct rest_response answer;
        TRY(send(selection, DELETE, arena_printf(selection->cx->arena, "/allocations/%s",
            selection->instance_uuids[i]), NULL,
            &answer));
    }
    return NULL;
}

struct fault *claim_allocations(const struct selection *selection, struct host *const *chosen, bool *ret_again)
{
    struct context *cx = selection->cx;
    struct rest_response answer;
    json_t *body;
    *ret_again = false;
    if (selection->count == 1) {
        body = json_keep(cx->arena, consumer(selection, chosen[0]));
        TRY(send(selection, PUT, arena_printf(cx->arena, "/allocations/%s", selection->instance_uuids[0]), body,
            &answer));
    } else {
        body = json_keep(cx->arena, json_object());
        for (size_t i = 0; i < selection->count; i++)
            json_object_set_new(body, selection->instance_uuids[i], consumer(selection, chosen[i]));
        TRY(send(selection, POST, "/allocations", body, &answer));
    }
    if (answer.status == 409) {
        *ret_again = true;
        return forget_claims(selection);
    }
    if (answer.status >= 400)
        return FAULT(cx, 500, NULL, "Placement refused the allocation of %s: %s", selection->instance_uuids[0],
            answer.data);
    return NULL;
}

/* ---- explanations ---- */

static struct fault *providers(const struct selection *selection, const char *query, json_t **ret)
{
    struct rest_response answer;
    TRY(rest_call(selection->cx, &(struct rest){ .service = "placement", .method = GET, .as = AS_SERVICE,
        .path = arena_printf(selection->cx->arena, "/resource_providers?%s", query), .version = PLACEMENT_VERSION },
        &answer));
    *ret = json_object_get(answer.body, "resource_providers");
    return NULL;
}

/* A host that is in `all` and not in `passed`. */
static const json_t *one_missing(const json_t *all, const json_t *passed)
{
    for (size_t i = 0; i < json_array_size(all); i++) {
        const char *uuid = json_text_at(json_array_get(all, i), "uuid");
        bool found = false;
        for (size_t k = 0; k < json_array_size(passed) && !found; k++)
            found = strcmp(json_text_at(json_array_get(passed, k), "uuid"), uuid) == 0;
        if (!found)
            return json_array_get(all, i);
    }
    return NULL;
}

static struct fault *numbers_of(const struct selection *selection, const json_t *provider, const struct amount *amount,
    const char **ret)
{
    struct arena *arena = selection->cx->arena;
    const char *uuid = json_text_at(provider, "uuid");
    struct rest_response inventory, usage;
    TRY(send(selection, GET, arena_printf(arena, "/resource_providers/%s/inventories/%s", uuid, amount->name), NULL,
        &inventory));
    TRY(send(selection, GET, arena_printf(arena, "/resource_providers/%s/usages", uuid), NULL, &usage));
    if (inventory.status != 200) {
        *ret = arena_printf(arena, "%s has no %s", json_text_at(provider, "name"), amount->name);
        return NULL;
    }
    double ratio = json_number_value(json_object_get(inventory.body, "allocation_ratio"));
    *ret = arena_printf(arena, "%s has %lld, %lld reserved, ratio %g, %lld used, at most %lld at once; %lld asked for",
        json_text_at(provider, "name"), (long long)json_int_at(inventory.body, "total", 0),
        (long long)json_int_at(inventory.body, "reserved", 0), ratio,
        (long long)json_int_at(json_object_get(usage.body, "usages"), amount->name, 0),
        (long long)json_int_at(inventory.body, "max_unit", 0), (long long)amount->count);
    return NULL;
}

static struct fault *explain(const struct selection *selection, struct buf *out)
{
    struct arena *arena = selection->cx->arena;
    json_t *all, *passed;
    TRY(providers(selection, "", &all));
    size_t total = json_array_size(all);
    if (total == 0) {
        buf_puts(out, "Placement: no compute host has reported its resources.\n");
        return NULL;
    }
    for (size_t i = 0; i < selection->amount_count; i++) {
        const struct amount *amount = &selection->amounts[i];
        const char *numbers = NULL;
        TRY(providers(selection, arena_printf(arena, "resources=%s:%lld", amount->name, (long long)amount->count),
            &passed));
        const json_t *missing = one_missing(all, passed);
        if (missing == NULL)
            continue;
        TRY(numbers_of(selection, missing, amount, &numbers));
        buf_printf(out, "Placement %s: removed %zu of %zu hosts; %s.\n", amount->name, total - json_array_size(passed),
            total, numbers);
    }
    if (selection->required != NULL) {
        TRY(providers(selection, arena_printf(arena, "required=%s", selection->required), &passed));
        const json_t *missing = one_missing(all, passed);
        if (missing != NULL)
            buf_printf(out, "Placement traits: removed %zu of %zu hosts; %s has not what was asked for: %s.\n",
                total - json_array_size(passed), total, json_text_at(missing, "name"), selection->required);
    }
    if (out->length == 0)
        buf_printf(out, "Placement: each of the %zu hosts lacks at least one of the resources or traits.\n", total);
    return NULL;
}

const char *explain_placement(struct selection *selection)
{
    BUF_CLEANUP struct buf text = { 0 };
    if (selection->unmapped_count > 0) {
        buf_printf(&text, "Cells: removed %zu hosts that would do; %s is in no cell: nova-manage cell_v2 discover_hosts maps it.\n",
            selection->unmapped_count, selection->unmapped);
        return arena_strdup(selection->cx->arena, buf_text(&text));
    }
    struct fault *fault = explain(selection, &text);
    if (fault != NULL)
        buf_printf(&text, "Placement could not be asked why: %s\n", fault->message);
    return arena_strdup(selection->cx->arena, buf_text(&text));
}
