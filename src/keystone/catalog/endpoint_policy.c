/* SPDX-License-Identifier: Apache-2.0
 *
 * policies (texts that other services may fetch) and OS-ENDPOINT-POLICY: which of them holds for an endpoint. The most
 * exact association wins: with the endpoint; with its service in its region or a region above it; with its service. API
 * reference: Policies, and OS-ENDPOINT-POLICY, identity v3.
 */
#include "keystone/catalog/endpoints.h"
#include "keystone/edit.h"
#include "keystone/schemas.h"

#include "base/random.h"

static const struct attribute attributes[] = {
    { "id",   "id" },
    { "blob", "`blob`", ATTRIBUTE_JSON },
    { "type", "type",   ATTRIBUTE_FILTER },
};

static const struct entity policy = {
    .name = "policy", .plural = "policies", .from = "policy", .table = "policy", .id_column = "id", .extra_column = "extra",
    .attributes = attributes, .count = sizeof(attributes) / sizeof(attributes[0]), .limit_group = "policy",
};

static const struct schema type_schema = { .types = SCHEMA_STRING, .max_length = 255 };
#define POLICY_PROPERTIES SCHEMA_PROPERTIES({ "blob", &schema_text }, { "type", &type_schema })
static const struct schema create_schema = {
    .types = SCHEMA_OBJECT, .properties = POLICY_PROPERTIES, .required = SCHEMA_WORDS("blob", "type") };
static const struct schema update_schema = { .types = SCHEMA_OBJECT, .properties = POLICY_PROPERTIES, .min_properties = 1 };

/* ---- Policies ---- */

static struct fault *policy_list(struct request *rq)
{
    return entity_list(rq, &policy, NULL);
}

static struct fault *policy_show(struct request *rq)
{
    return entity_show(rq, &policy, request_argument(rq, "policy_id"));
}

static struct fault *policy_create_one(struct request *rq)
{
    json_t *given;

    TRY(keystone_member(rq, "policy", &given));
    TRY(keystone_check(rq, &create_schema, given));
    struct edit edit = { .rq = rq, .entity = &policy, .document = entity_draft(rq, given, false) };
    rq->status = 201;
    return edit_commit(&edit, edit_insert, true);
}

static struct fault *policy_update(struct request *rq)
{
    json_t *given;

    TRY(keystone_member(rq, "policy", &given));
    TRY(keystone_check(rq, &update_schema, given));
    return edit_commit(&(struct edit){ .rq = rq, .entity = &policy, .id = request_argument(rq, "policy_id"), .given = given },
        edit_update, true);
}

static struct fault *delete_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;
    json_t *old;

    TRY(edit_find(tx, edit, &old));
    TRY(sql_exec(tx, "DELETE FROM policy_association WHERE policy_id = ?", BIND(TEXT(edit->id))));
    return entity_erase(tx, &policy, edit->id);
}

static struct fault *policy_delete(struct request *rq)
{
    return edit_commit(&(struct edit){ .rq = rq, .entity = &policy, .id = request_argument(rq, "policy_id") }, delete_run,
        false);
}

/* ---- Associations ---- */

/* 404 unless what the path names is there, in the order of the reference. */
static struct fault *check_path(struct request *rq, struct tx *tx)
{
    static const struct {
        const char *argument, *kind, *sql;
    } parts[] = {
        { "policy_id",   "policy",   "SELECT id FROM policy WHERE id = ?" },
        { "endpoint_id", "endpoint", "SELECT id FROM endpoint WHERE id = ?" },
        { "service_id",  "service",  "SELECT id FROM service WHERE id = ?" },
        { "region_id",   "region",   "SELECT id FROM region WHERE id = ?" },
    };

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        const char *id = request_argument(rq, parts[i].argument), *found;
        if (id == NULL)
            continue;
        TRY(sql_text_of(tx, &found, parts[i].sql, BIND(TEXT(id))));
        if (found == NULL)
            return keystone_not_found(RQ(rq), parts[i].kind, id);
    }
    return NULL;
}

/* NULL is a value of its own here. */
#define PLACE                                                                                                          \
    "(endpoint_id = ? OR (endpoint_id IS NULL AND ? = 1)) AND (service_id = ? OR (service_id IS NULL AND ? = 1))"      \
    " AND (region_id = ? OR (region_id IS NULL AND ? = 1))"
#define BIND_PLACE(endpoint_id, service_id, region_id)                                                                 \
    TEXT(endpoint_id), INT((endpoint_id) == NULL), TEXT(service_id), INT((service_id) == NULL), TEXT(region_id),       \
        INT((region_id) == NULL)

static struct fault *association_check(struct request *rq)
{
    const char *endpoint_id = request_argument(rq, "endpoint_id"), *service_id = request_argument(rq, "service_id");
    const char *region_id = request_argument(rq, "region_id");
    int64_t count;
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(check_path(rq, tx));
    TRY(sql_int_of(tx, &count, 0, "SELECT COUNT(*) FROM policy_association WHERE policy_id = ? AND " PLACE,
        BIND(TEXT(request_argument(rq, "policy_id")), BIND_PLACE(endpoint_id, service_id, region_id))));
    tx_end(tx);
    return count > 0 ? NULL : FAULT(RQ(rq), 404, NULL, "Could not find policy association.");
}

/* A place has one policy: the new one takes it. */
static struct fault *put_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;
    struct request *rq = edit->rq;
    const char *endpoint_id = request_argument(rq, "endpoint_id"), *service_id = request_argument(rq, "service_id");
    const char *region_id = request_argument(rq, "region_id"), *policy_id = request_argument(rq, "policy_id");

    TRY(check_path(rq, tx));
    TRY(sql_exec(tx, "DELETE FROM policy_association WHERE " PLACE, BIND(BIND_PLACE(endpoint_id, service_id, region_id))));
    return sql_exec(tx, "INSERT INTO policy_association (id, policy_id, endpoint_id, service_id, region_id) VALUES (?, ?, ?, ?, ?)",
        BIND(TEXT(uuid_new_hex(tx_arena(tx))), TEXT(policy_id), TEXT(endpoint_id), TEXT(service_id), TEXT(region_id)));
}

static struct fault *association_put(struct request *rq)
{
    return edit_commit(&(struct edit){ .rq = rq, .entity = &policy }, put_run, false);
}

static struct fault *remove_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;
    struct request *rq = edit->rq;
    const char *endpoint_id = request_argument(rq, "endpoint_id"), *service_id = request_argument(rq, "service_id");
    const char *region_id = request_argument(rq, "region_id");

    TRY(check_path(rq, tx));
    return sql_exec(tx, "DELETE FROM policy_association WHERE policy_id = ? AND " PLACE,
        BIND(TEXT(request_argument(rq, "policy_id")), BIND_PLACE(endpoint_id, service_id, region_id)));
}

static struct fault *association_remove(struct request *rq)
{
    return edit_commit(&(struct edit){ .rq = rq, .entity = &policy }, remove_run, false);
}

static struct fault *endpoints_of_policy(struct request *rq)
{
    const struct sql_value id = TEXT(request_argument(rq, "policy_id")), values[] = { id, id, id };
    const struct condition bound[] = { {
        "id IN (SELECT endpoint_id FROM policy_association WHERE policy_id = ? AND endpoint_id IS NOT NULL)"
        " OR service_id IN (SELECT service_id FROM policy_association WHERE policy_id = ? AND service_id IS NOT NULL"
        " AND region_id IS NULL)"
        /* beginning with region.id, whose width MariaDB gives to all that follow: policy_association's is narrower */
        " OR (service_id, region_id) IN (WITH RECURSIVE below(service, region) AS (SELECT p.service_id, q.id FROM"
        " policy_association p JOIN region q ON q.id = p.region_id WHERE p.policy_id = ? AND p.service_id IS NOT NULL UNION"
        " SELECT b.service,"
        " r.id FROM region r JOIN below b ON r.parent_region_id = b.region) SELECT service, region FROM below)", values, 3 },
        { 0 } };
    struct entity shown = endpoint_entity; /* without the last attribute, "region", as the reference */
    struct tx *tx;

    shown.count--;
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(check_path(rq, tx));
    tx_end(tx);
    return entity_list_all(rq, &shown, bound);
}

/* The policy of a place, or NULL. */
static struct fault *policy_at(struct tx *tx, const char *endpoint_id, const char *service_id, const char *region_id,
    const char **ret)
{
    return sql_text_of(tx, ret, "SELECT policy_id FROM policy_association WHERE " PLACE,
        BIND(BIND_PLACE(endpoint_id, service_id, region_id)));
}

static struct fault *choose(struct tx *tx, const char *endpoint_id, const json_t *endpoint, const char **ret)
{
    const char *service_id = json_text_at(endpoint, "service_id"), *region_id = json_text_at(endpoint, "region_id");
    enum { DEEPEST = 64 }; /* a circle of regions must not be one here */

    TRY(policy_at(tx, endpoint_id, NULL, NULL, ret));
    for (int depth = 0; *ret == NULL && region_id != NULL && depth < DEEPEST; depth++) {
        TRY(policy_at(tx, NULL, service_id, region_id, ret));
        TRY(sql_text_of(tx, &region_id, "SELECT parent_region_id FROM region WHERE id = ?", BIND(TEXT(region_id))));
    }
    if (*ret == NULL)
        TRY(policy_at(tx, NULL, service_id, NULL, ret));
    return NULL;
}

static struct fault *policy_of_endpoint(struct request *rq)
{
    const char *endpoint_id = request_argument(rq, "endpoint_id"), *policy_id;
    json_t *endpoint, *document;
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(entity_load(tx, &endpoint_entity, endpoint_id, &endpoint));
    if (endpoint == NULL)
        return entity_missing(RQ(rq), &endpoint_entity, endpoint_id);
    TRY(choose(tx, endpoint_id, endpoint, &policy_id));
    if (policy_id == NULL)
        return FAULT(RQ(rq), 404, NULL, "No policy is associated with endpoint %s.", endpoint_id);
    TRY(entity_load(tx, &policy, policy_id, &document));
    tx_end(tx);
    if (document == NULL)
        return entity_missing(RQ(rq), &policy, policy_id);
    struct entity here = policy; /* its link is the reference's, strange as it is */
    here.path = "endpoints";
    entity_respond(rq, &here, document);
    return NULL;
}

#define ONE    "/v3/policies/{policy_id}"
#define PLACES ONE "/OS-ENDPOINT-POLICY"
#define REGION PLACES "/services/{service_id}/regions/{region_id}"

static const struct route rows[] = {
    ROUTE(GET,    "/v3/policies", "identity:list_policies",  policy_list),
    ROUTE(POST,   "/v3/policies", "identity:create_policy",  policy_create_one, .status = 201),
    ROUTE(GET,    ONE,            "identity:get_policy",     policy_show),
    ROUTE(PATCH,  ONE,            "identity:update_policy",  policy_update),
    ROUTE(DELETE, ONE,            "identity:delete_policy",  policy_delete, .status = 204),
    ROUTE(GET,    PLACES "/endpoints", "identity:list_endpoints_for_policy", endpoints_of_policy),
    ROUTE(GET,    PLACES "/endpoints/{endpoint_id}", "identity:check_policy_association_for_endpoint",
        association_check, .status = 204),
    ROUTE(PUT,    PLACES "/endpoints/{endpoint_id}", "identity:create_policy_association_for_endpoint",
        association_put, .status = 204),
    ROUTE(DELETE, PLACES "/endpoints/{endpoint_id}", "identity:delete_policy_association_for_endpoint",
        association_remove, .status = 204),
    ROUTE(GET,    PLACES "/services/{service_id}", "identity:check_policy_association_for_service",
        association_check, .status = 204),
    ROUTE(PUT,    PLACES "/services/{service_id}", "identity:create_policy_association_for_service",
        association_put, .status = 204),
    ROUTE(DELETE, PLACES "/services/{service_id}", "identity:delete_policy_association_for_service",
        association_remove, .status = 204),
    ROUTE(GET,    REGION, "identity:check_policy_association_for_region_and_service", association_check, .status = 204),
    ROUTE(PUT,    REGION, "identity:create_policy_association_for_region_and_service", association_put, .status = 204),
    ROUTE(DELETE, REGION, "identity:delete_policy_association_for_region_and_service", association_remove, .status = 204),
    ROUTE(GET,    "/v3/endpoints/{endpoint_id}/OS-ENDPOINT-POLICY/policy", "identity:get_policy_for_endpoint",
        policy_of_endpoint),
};

const struct route_table endpoint_policy_routes = ROUTES(rows);
