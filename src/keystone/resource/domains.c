/* SPDX-License-Identifier: Apache-2.0
 *
 * domains: the roots of the project trees. API reference: Domains, identity v3.
 */
#include "keystone/edit.h"
#include "keystone/resource/projects.h"
#include "keystone/schemas.h"

#include "base/random.h"
#include "oslo/policy.h"

#include <string.h>

#define DOMAIN_PROPERTIES                                                                                              \
    SCHEMA_PROPERTIES({ "description", &schema_text_or_null }, { "enabled", &schema_boolean },                         \
        { "name", &schema_short_name }, { "tags", &schema_tags })
static const struct schema create_schema = {
    .types = SCHEMA_OBJECT, .properties = DOMAIN_PROPERTIES, .required = SCHEMA_WORDS("name") };
static const struct schema update_schema = { .types = SCHEMA_OBJECT, .properties = DOMAIN_PROPERTIES, .min_properties = 1 };

static struct fault *domain_list(struct request *rq)
{
    const char *domain_id = rq->cx.caller->domain_id;
    const struct sql_value domain[] = { TEXT(domain_id) };
    const struct condition own[] = { { "id = ?", domain, 1 }, { 0 } };

    TRY(request_enforce(rq, rq->route->policy, POLICY_TARGET({ "target.domain.id", domain_id })));
    return entity_list(rq, &domain_entity, domain_id != NULL ? own : NULL);
}

static struct fault *domain_show(struct request *rq)
{
    const char *id = request_argument(rq, "domain_id");
    struct project *domain;
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(domain_find(tx, id, &domain));
    tx_end(tx);
    TRY(request_enforce(rq, rq->route->policy, POLICY_TARGET({ "domain_id", id },
        { "target.domain.id", domain != NULL ? id : NULL })));
    return entity_show(rq, &domain_entity, id);
}

static struct fault *create_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;

    return project_create(tx, RQ(edit->rq), edit->document);
}

static struct fault *domain_create(struct request *rq)
{
    json_t *given;

    TRY(keystone_member(rq, "domain", &given));
    TRY(keystone_check(rq, &create_schema, given));
    json_t *draft = entity_draft(rq, given, false);
    const char *explicit_id = json_text_at(given, "explicit_domain_id");
    if (explicit_id != NULL) {
        if (strlen(explicit_id) != 32 || !uuid_like(explicit_id) || strspn(explicit_id, "0123456789abcdef") != 32)
            return keystone_invalid(RQ(rq), "Domain ID does not conform to required UUID format.");
        json_object_set_new(draft, "id", json_string(explicit_id));
        json_object_del(draft, "explicit_domain_id");
    }
    json_object_del(draft, "parent_id");
    json_object_del(draft, "domain_id");
    json_object_set_new(draft, "is_domain", json_true());
    project_defaults(draft);
    struct edit edit = { .rq = rq, .entity = &project_entity, .document = draft };
    TRY(edit_commit(&edit, create_run, false));
    json_object_del(draft, "parent_id");
    json_object_del(draft, "domain_id");
    json_object_del(draft, "is_domain");
    entity_respond(rq, &domain_entity, draft);
    rq->status = 201;
    return NULL;
}

static struct fault *update_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;
    json_t *old;

    TRY(edit_merge(tx, edit, &old));
    return project_change(tx, RQ(edit->rq), old, edit->document);
}

static struct fault *domain_update(struct request *rq)
{
    const char *id = request_argument(rq, "domain_id");
    json_t *given;

    TRY(entity_enforce(rq, &domain_entity, request_argument(rq, "domain_id")));
    TRY(keystone_member(rq, "domain", &given));
    TRY(keystone_check(rq, &update_schema, given));
    /* a domain has no place in a tree of its own to be changed */
    json_object_del(given, "parent_id");
    json_object_del(given, "domain_id");
    json_object_del(given, "is_domain");
    return edit_commit(&(struct edit){ .rq = rq, .entity = &domain_entity, .id = id, .given = given }, update_run, true);
}

static struct fault *delete_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;
    struct project *domain;

    TRY(domain_find(tx, edit->id, &domain));
    if (domain == NULL)
        return keystone_not_found(RQ(edit->rq), "domain", edit->id);
    return project_delete(tx, RQ(edit->rq), edit->id);
}

static struct fault *domain_delete(struct request *rq)
{
    TRY(entity_enforce(rq, &domain_entity, request_argument(rq, "domain_id")));
    return edit_commit(&(struct edit){ .rq = rq, .entity = &domain_entity, .id = request_argument(rq, "domain_id") },
        delete_run, false);
}

static const struct route rows[] = {
    ROUTE(GET,    "/v3/domains",             "identity:list_domains",  domain_list, HANDLER_POLICY),
    ROUTE(POST,   "/v3/domains",             "identity:create_domain", domain_create, .status = 201),
    ROUTE(GET,    "/v3/domains/{domain_id}", "identity:get_domain",    domain_show, HANDLER_POLICY),
    ROUTE(PATCH,  "/v3/domains/{domain_id}", "identity:update_domain", domain_update, HANDLER_POLICY),
    ROUTE(DELETE, "/v3/domains/{domain_id}", "identity:delete_domain", domain_delete, HANDLER_POLICY, .status = 204),
};

const struct route_table domain_routes = ROUTES(rows);
