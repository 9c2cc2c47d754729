/* SPDX-License-Identifier: Apache-2.0
 *
 * flavor_extra: extra specs of flavors, and who may use a private one. API reference: Flavors extra-specs, Flavors access.
 */
#include "nova/api/api.h"
#include "nova/api/flavor.h"
#include "nova/notify.h"

#include "base/clock.h"

static const struct schema spec_value = { .types = SCHEMA_STRING | SCHEMA_NUMBER, .max_length = 255 };
static const struct schema specs = { .types = SCHEMA_OBJECT, .closed = true,
    .patterns = SCHEMA_PROPERTIES({ "^[a-zA-Z0-9-_:. ]{1,255}$", &spec_value }) };
static const struct schema specs_body = { .types = SCHEMA_OBJECT, .closed = true,
    .properties = SCHEMA_PROPERTIES({ "extra_specs", &specs }), .required = SCHEMA_WORDS("extra_specs") };
static const struct schema one_spec = { .types = SCHEMA_OBJECT, .closed = true, .min_properties = 1, .max_properties = 1,
    .patterns = SCHEMA_PROPERTIES({ "^[a-zA-Z0-9-_:. ]{1,255}$", &spec_value }) };

struct spec_change {
    const char *flavor_id;
    const json_t *set;  /* members to set, or NULL */
    const char *remove; /* or the one to remove */
};

static struct fault *run_change(struct tx *tx, void *argument)
{
    const struct spec_change *change = argument;
    struct arena *arena = tx_arena(tx);
    struct flavor flavor;
    const char *name;
    json_t *value;

    TRY(tx_serialize(tx, "flavors"));
    TRY(flavor_load(tx, change->flavor_id, NULL, true, &flavor));
    json_t *now = json_parse_own(arena, flavor.extra_specs);
    if (change->remove != NULL && json_object_del(now, change->remove) != 0)
        return fault_new(arena, 404, NULL, "Flavor %s has no extra specs with key %s.", change->flavor_id, change->remove);
    json_object_foreach((json_t *)change->set, name, value)
        json_object_set_new(now, name, json_is_string(value) ? json_incref(value) : json_string(json_dump(arena, value)));
    return sql_exec(tx, "UPDATE flavors SET extra_specs=?,updated_at=? WHERE id=?",
        BIND(TEXT(json_dump(arena, now)), INT(clock_now_us()), INT(flavor.id)));
}

static struct fault *change_specs(struct request *rq, const json_t *set, const char *remove)
{
    struct flavor flavor;

    TRY(db_write(rq->cx.arena, rq->cx.app->db, run_change,
        &(struct spec_change){ request_argument(rq, "flavor_id"), set, remove }));
    if (!notify_wanted(&rq->cx))
        return NULL;
    TRY(flavor_of_request(rq, &flavor));
    return flavor_tell(rq, &flavor, "update");
}

static struct fault *specs_index(struct request *rq)
{
    struct flavor flavor;

    TRY(flavor_of_request(rq, &flavor));
    json_begin(&rq->json, NULL);
    json_raw(&rq->json, "extra_specs", flavor.extra_specs);
    json_end(&rq->json);
    return NULL;
}

static struct fault *specs_create(struct request *rq)
{
    TRY(request_validate(rq, &specs_body));
    TRY(change_specs(rq, json_object_get(rq->body, "extra_specs"), NULL));
    json_value(&rq->json, NULL, rq->body);
    return NULL;
}

static struct fault *specs_show(struct request *rq)
{
    struct flavor flavor;
    const char *key = request_argument(rq, "key");

    TRY(flavor_of_request(rq, &flavor));
    const json_t *value = json_object_get(json_parse_own(rq->cx.arena, flavor.extra_specs), key);
    if (value == NULL)
        return NOT_FOUND(rq, "Flavor %s has no extra specs with key %s.", flavor.flavorid, key);
    json_begin(&rq->json, NULL);
    json_value(&rq->json, key, value);
    json_end(&rq->json);
    return NULL;
}

static struct fault *specs_update(struct request *rq)
{
    TRY(request_validate(rq, &one_spec));
    if (json_object_get(rq->body, request_argument(rq, "key")) == NULL)
        return BAD_REQUEST(rq, "Request body and URI mismatch");
    TRY(change_specs(rq, rq->body, NULL));
    json_value(&rq->json, NULL, rq->body);
    return NULL;
}

static struct fault *specs_delete(struct request *rq)
{
    TRY(change_specs(rq, NULL, request_argument(rq, "key")));
    return api_empty(rq, 200);
}

static struct fault *write_access(struct request *rq, const struct flavor *flavor)
{
    struct tx *tx;
    struct rows *rows;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(sql_query(tx, &rows, "SELECT project_id FROM flavor_projects WHERE flavor_id=? ORDER BY project_id",
        BIND(INT(flavor->id))));
    json_begin(&rq->json, NULL);
    json_begin_array(&rq->json, "flavor_access");
    while (rows_next(rows)) {
        json_begin(&rq->json, NULL);
        json_text(&rq->json, "flavor_id", flavor->flavorid);
        json_text(&rq->json, "tenant_id", rows_text(rows, 0));
        json_end(&rq->json);
    }
    json_end_array(&rq->json);
    json_end(&rq->json);
    struct fault *fault = rows_fault(rows);
    tx_end(tx);
    return fault;
}

static struct fault *access_index(struct request *rq)
{
    struct flavor flavor;

    TRY(flavor_of_request(rq, &flavor));
    if (flavor.is_public)
        return NOT_FOUND(rq, "Access list not available for public flavors.");
    return write_access(rq, &flavor);
}

static const struct schema access_schema = { .types = SCHEMA_OBJECT, .closed = true,
    .properties = SCHEMA_PROPERTIES({ "tenant", &nova_schema_text255 }), .required = SCHEMA_WORDS("tenant") };
static const struct schema add_body = { .types = SCHEMA_OBJECT, .closed = true,
    .properties = SCHEMA_PROPERTIES({ "addTenantAccess", &access_schema }), .required = SCHEMA_WORDS("addTenantAccess") };
static const struct schema remove_body = { .types = SCHEMA_OBJECT, .closed = true,
    .properties = SCHEMA_PROPERTIES({ "removeTenantAccess", &access_schema }),
    .required = SCHEMA_WORDS("removeTenantAccess") };

static struct fault *add_access(struct request *rq)
{
    struct flavor flavor;

    TRY(request_enforce(rq, "os_compute_api:os-flavor-access:add_tenant_access", NULL));
    TRY(request_validate(rq, &add_body));
    const char *project = json_text_at(rq->body, "addTenantAccess.tenant");
    TRY(flavor_of_request(rq, &flavor));
    if (flavor.is_public && rq->version >= 7)
        return CONFLICT(rq, "Can not add access to a public flavor.");
    struct fault *fault = db_exec(rq->cx.arena, rq->cx.app->db,
        "INSERT INTO flavor_projects(flavor_id,project_id) VALUES(?,?)", BIND(INT(flavor.id), TEXT(project)), NULL);
    if (fault != NULL && fault->code == SQL_DUPLICATE)
        return CONFLICT(rq, "Flavor access already exists for flavor %s and project %s combination.", flavor.flavorid,
            project);
    TRY(fault);
    TRY(flavor_tell(rq, &flavor, "update"));
    return write_access(rq, &flavor);
}

static struct fault *remove_access(struct request *rq)
{
    struct flavor flavor;
    int64_t changed;

    TRY(request_enforce(rq, "os_compute_api:os-flavor-access:remove_tenant_access", NULL));
    TRY(request_validate(rq, &remove_body));
    const char *project = json_text_at(rq->body, "removeTenantAccess.tenant");
    TRY(flavor_of_request(rq, &flavor));
    TRY(db_exec(rq->cx.arena, rq->cx.app->db, "DELETE FROM flavor_projects WHERE flavor_id=? AND project_id=?",
        BIND(INT(flavor.id), TEXT(project)), &changed));
    if (changed == 0)
        return NOT_FOUND(rq, "Flavor access not found for %s / %s combination.", flavor.flavorid, project);
    TRY(flavor_tell(rq, &flavor, "update"));
    return write_access(rq, &flavor);
}

static struct fault *flavor_action(struct request *rq)
{
    if (json_object_get(rq->body, "addTenantAccess") != NULL)
        return add_access(rq);
    if (json_object_get(rq->body, "removeTenantAccess") != NULL)
        return remove_access(rq);
    return BAD_REQUEST(rq, "There is no such action: %s",
        json_object_size(rq->body) > 0 ? json_object_iter_key(json_object_iter(rq->body)) : "None");
}

static const struct route rows[] = {
    ROUTE(GET,    "/v2.1/flavors/{flavor_id}/os-extra_specs",       "os_compute_api:os-flavor-extra-specs:index",  specs_index),
    ROUTE(POST,   "/v2.1/flavors/{flavor_id}/os-extra_specs",       "os_compute_api:os-flavor-extra-specs:create", specs_create),
    ROUTE(GET,    "/v2.1/flavors/{flavor_id}/os-extra_specs/{key}", "os_compute_api:os-flavor-extra-specs:show",   specs_show),
    ROUTE(PUT,    "/v2.1/flavors/{flavor_id}/os-extra_specs/{key}", "os_compute_api:os-flavor-extra-specs:update", specs_update),
    ROUTE(DELETE, "/v2.1/flavors/{flavor_id}/os-extra_specs/{key}", "os_compute_api:os-flavor-extra-specs:delete", specs_delete),
    ROUTE(GET,    "/v2.1/flavors/{flavor_id}/os-flavor-access",     "os_compute_api:os-flavor-access",             access_index),
    ROUTE(POST,   "/v2.1/flavors/{flavor_id}/action",               "os_compute_api:os-flavor-access:add_tenant_access",
        flavor_action, HANDLER_POLICY),
};
const struct route_table nova_flavor_extra_routes = ROUTES(rows);
