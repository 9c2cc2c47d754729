/* SPDX-License-Identifier: Apache-2.0
 *
 * implied roles: who has the prior role also has the implied one. API reference: Roles, identity v3.
 */
#include "keystone/reference.h"

#include "oslo/options.h"

#include <string.h>

static void write_role(struct request *rq, const char *member, const struct identity_role *role)
{
    struct json_writer *w = &rq->json;

    json_begin(w, member);
    json_text(w, "id", role->id);
    json_begin(w, "links");
    json_text(w, "self", keystone_url(rq, arena_printf(rq->cx.arena, "/roles/%s", role->id)));
    json_end(w);
    json_text(w, "name", role->name);
    json_end(w);
}

/* Finds a role of the path: 404 when it is not there. */
static struct fault *find(struct request *rq, const struct reference *reference, const char *argument, size_t *ret)
{
    const char *id = request_argument(rq, argument);

    *ret = reference_role(reference, id);
    return *ret < reference->role_count ? NULL : keystone_not_found(RQ(rq), "role", id);
}

static bool implies(const struct reference *reference, size_t prior, size_t implied)
{
    for (size_t i = 0; i < reference->implication_count; i++)
        if (reference->implications[i].prior == prior && reference->implications[i].implied == implied)
            return true;
    return false;
}

static void write_links(struct request *rq, const char *path)
{
    json_begin(&rq->json, "links");
    json_text(&rq->json, "self", keystone_url(rq, path));
    json_end(&rq->json);
}

static struct fault *implied_list(struct request *rq)
{
    const struct reference *reference;
    size_t prior;

    TRY(reference_get(RQ(rq), &reference));
    TRY(find(rq, reference, "prior_role_id", &prior));
    json_begin(&rq->json, NULL);
    json_begin(&rq->json, "role_inference");
    write_role(rq, "prior_role", &reference->roles[prior]);
    json_begin_array(&rq->json, "implies");
    for (size_t i = 0; i < reference->implication_count; i++)
        if (reference->implications[i].prior == prior)
            write_role(rq, NULL, &reference->roles[reference->implications[i].implied]);
    json_end_array(&rq->json);
    json_end(&rq->json);
    write_links(rq, arena_printf(rq->cx.arena, "/roles/%s/implies", reference->roles[prior].id));
    json_end(&rq->json);
    return NULL;
}

/* Both roles of the path, and whether the one implies the other. */
static struct fault *find_both(struct request *rq, const struct reference **ret, size_t *ret_prior, size_t *ret_implied,
    bool *ret_present)
{
    TRY(reference_get(RQ(rq), ret));
    TRY(find(rq, *ret, "prior_role_id", ret_prior));
    TRY(find(rq, *ret, "implied_role_id", ret_implied));
    *ret_present = implies(*ret, *ret_prior, *ret_implied);
    return NULL;
}

static struct fault *absent(struct request *rq)
{
    return FAULT(RQ(rq), 404, NULL, "%s does not imply %s.", request_argument(rq, "prior_role_id"),
        request_argument(rq, "implied_role_id"));
}

static void write_pair(struct request *rq, const struct identity_role *prior, const struct identity_role *implied)
{
    json_begin(&rq->json, NULL);
    json_begin(&rq->json, "role_inference");
    write_role(rq, "prior_role", prior);
    write_role(rq, "implies", implied);
    json_end(&rq->json);
    write_links(rq, arena_printf(rq->cx.arena, "/roles/%s/implies/%s", prior->id, implied->id));
    json_end(&rq->json);
}

static struct fault *implied_show(struct request *rq)
{
    const struct reference *reference;
    size_t prior, implied;
    bool present;

    TRY(find_both(rq, &reference, &prior, &implied, &present));
    if (!present)
        return absent(rq);
    write_pair(rq, &reference->roles[prior], &reference->roles[implied]);
    return NULL;
}

static struct fault *implied_check(struct request *rq)
{
    const struct reference *reference;
    size_t prior, implied;
    bool present;

    TRY(find_both(rq, &reference, &prior, &implied, &present));
    return present ? NULL : absent(rq);
}

static struct fault *implied_create(struct request *rq)
{
    const char *const *prohibited = config_list(rq->cx.app->config, "assignment", "prohibited_implied_role", NULL);
    const struct reference *reference;
    size_t prior, implied;
    bool present;

    TRY(find_both(rq, &reference, &prior, &implied, &present));
    const struct identity_role *prior_role = &reference->roles[prior], *implied_role = &reference->roles[implied];
    for (size_t i = 0; prohibited[i] != NULL; i++)
        if (strcmp(prohibited[i], implied_role->name) == 0)
            return keystone_refused(RQ(rq), "%s cannot be an implied roles.", implied_role->id);
    if (prior_role->domain_id == NULL && implied_role->domain_id != NULL)
        return keystone_refused(RQ(rq), "%s cannot be an implied roles.", implied_role->id);
    struct fault *fault = db_exec(rq->cx.arena, rq->cx.app->db,
        "INSERT INTO implied_role (prior_role_id, implied_role_id) VALUES (?, ?)",
        BIND(TEXT(prior_role->id), TEXT(implied_role->id)), NULL);
    if (fault != NULL && fault->status == 409)
        return keystone_conflict(RQ(rq), "implied_role", "Duplicate entry");
    if (fault != NULL)
        return fault;
    keystone_changed(RQ(rq));
    write_pair(rq, prior_role, implied_role);
    rq->status = 201;
    return NULL;
}

static struct fault *implied_delete(struct request *rq)
{
    const struct reference *reference;
    size_t prior, implied;
    bool present;

    TRY(find_both(rq, &reference, &prior, &implied, &present));
    if (!present)
        return absent(rq);
    TRY(db_exec(rq->cx.arena, rq->cx.app->db, "DELETE FROM implied_role WHERE prior_role_id = ? AND implied_role_id = ?",
        BIND(TEXT(reference->roles[prior].id), TEXT(reference->roles[implied].id)), NULL));
    keystone_changed(RQ(rq));
    return NULL;
}

static struct fault *inference_list(struct request *rq)
{
    const struct reference *reference;

    TRY(reference_get(RQ(rq), &reference));
    json_begin(&rq->json, NULL);
    json_begin_array(&rq->json, "role_inferences");
    for (size_t prior = 0; prior < reference->role_count; prior++) {
        bool open = false;
        for (size_t i = 0; i < reference->implication_count; i++) {
            if (reference->implications[i].prior != prior)
                continue;
            if (!open) {
                json_begin(&rq->json, NULL);
                write_role(rq, "prior_role", &reference->roles[prior]);
                json_begin_array(&rq->json, "implies");
                open = true;
            }
            write_role(rq, NULL, &reference->roles[reference->implications[i].implied]);
        }
        if (open) {
            json_end_array(&rq->json);
            json_end(&rq->json);
        }
    }
    json_end_array(&rq->json);
    json_end(&rq->json);
    return NULL;
}

#define PAIR "/v3/roles/{prior_role_id}/implies/{implied_role_id}"

static const struct route rows[] = {
    ROUTE(GET,    "/v3/role_inferences",                 "identity:list_role_inference_rules", inference_list),
    ROUTE(GET,    "/v3/roles/{prior_role_id}/implies",   "identity:list_implied_roles",        implied_list),
    ROUTE(GET,    PAIR,                                  "identity:get_implied_role",          implied_show),
    ROUTE(HEAD,   PAIR,                                  "identity:check_implied_role",        implied_check, .status = 204),
    ROUTE(PUT,    PAIR,                                  "identity:create_implied_role",       implied_create, .status = 201),
    ROUTE(DELETE, PAIR,                                  "identity:delete_implied_role",       implied_delete, .status = 204),
};

const struct route_table implied_role_routes = ROUTES(rows);
