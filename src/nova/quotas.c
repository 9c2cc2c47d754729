/* SPDX-License-Identifier: Apache-2.0
 * quotas: os-quota-sets and limits. API reference: Quota sets, Limits. */
#include "nova/api.h"
#include "nova/quota.h"
#include "oslo/rest.h"

#include <string.h>

enum { PROXIED = -1 };

/* In the order of the reference. Networks' and floating IPs' limits were proxies and ended with 2.36; files ended with 2.57. */
static const struct shown_limit {
    const char *name;
    int resource;     /* enum quota_resource; PROXIED: another service's, `former` is what was shown */
    int last_version; /* of the quota set; 0: all */
    int64_t former;
} shown_limits[] = {
    { "cores", QUOTA_CORES },
    { "fixed_ips", PROXIED, 35, -1 },
    { "floating_ips", PROXIED, 35, 10 },
    { "injected_file_content_bytes", QUOTA_INJECTED_FILE_CONTENT_BYTES, 56 },
    { "injected_file_path_bytes", QUOTA_INJECTED_FILE_PATH_BYTES, 56 },
    { "injected_files", QUOTA_INJECTED_FILES, 56 },
    { "instances", QUOTA_INSTANCES },
    { "key_pairs", QUOTA_KEY_PAIRS },
    { "metadata_items", QUOTA_METADATA_ITEMS },
    { "ram", QUOTA_RAM },
    { "security_group_rules", PROXIED, 35, 20 },
    { "security_groups", PROXIED, 35, 10 },
    { "server_group_members", QUOTA_SERVER_GROUP_MEMBERS },
    { "server_groups", QUOTA_SERVER_GROUPS },
};
enum { SHOWN_LIMITS = sizeof(shown_limits) / sizeof(shown_limits[0]) };

/* ---- os-quota-sets ---- */

enum quota_view { VIEW_DEFAULTS, VIEW_LIMITS, VIEW_DETAIL };

static int64_t used_of(const struct quota_usage *usage, int resource)
{
    switch (resource) {
    case QUOTA_INSTANCES:
        return usage->instances;
    case QUOTA_CORES:
        return usage->cores;
    case QUOTA_RAM:
        return usage->ram;
    case QUOTA_SERVER_GROUPS:
        return usage->server_groups;
    default:
        return 0; /* key pairs, metadata and files are counted where they are made */
    }
}

static void write_limit(struct request *rq, const struct shown_limit *l, int64_t limit, const struct quota_usage *usage,
    enum quota_view view)
{
    struct json_writer *w = &rq->json;
    if (view != VIEW_DETAIL) {
        json_int(w, l->name, limit);
        return;
    }
    json_begin(w, l->name);
    json_int(w, "limit", limit);
    json_int(w, "in_use", used_of(usage, l->resource));
    json_int(w, "reserved", 0);
    json_end(w);
}

static struct fault *write_set(struct request *rq, struct tx *tx, const char *project_id, const char *user_id,
    enum quota_view view, bool with_id)
{
    struct quota_usage usage;
    int64_t limits[QUOTA_RESOURCES];
    TRY(quota_usage(tx, project_id, &usage));
    TRY(quota_limits(tx, rq->cx.app->config, view == VIEW_DEFAULTS ? "" : project_id, user_id, limits, NULL));
    json_begin(&rq->json, NULL);
    json_begin(&rq->json, "quota_set");
    if (with_id)
        json_text(&rq->json, "id", project_id);
    for (size_t i = 0; i < SHOWN_LIMITS; i++) {
        const struct shown_limit *l = &shown_limits[i];
        if (l->last_version == 0 || rq->version <= l->last_version)
            write_limit(rq, l, l->resource == PROXIED ? l->former : limits[l->resource], &usage, view);
    }
    json_end(&rq->json);
    json_end(&rq->json);
    return NULL;
}

static struct fault *answer(struct request *rq, enum quota_view view, bool with_id)
{
    struct tx *tx;
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    struct fault *fault = write_set(rq, tx, request_argument(rq, "id"), request_query(rq, "user_id"), view, with_id);
    tx_end(tx);
    return fault;
}

static struct fault *enforce(struct request *rq, const char *rule)
{
    return request_enforce(rq, rule, POLICY_TARGET({ "project_id", request_argument(rq, "id") }));
}

static struct fault *quota_show(struct request *rq)
{
    TRY(enforce(rq, rq->route->policy));
    return answer(rq, VIEW_LIMITS, true);
}

static struct fault *quota_detail(struct request *rq)
{
    TRY(enforce(rq, rq->route->policy));
    return answer(rq, VIEW_DETAIL, true);
}

static struct fault *quota_defaults(struct request *rq)
{
    TRY(enforce(rq, rq->route->policy));
    return answer(rq, VIEW_DEFAULTS, true);
}

static const struct schema limit_value = { .types = SCHEMA_INTEGER | SCHEMA_STRING, .pattern = "^-?[0-9]+$", .minimum = -1,
    .maximum = 0x7fffffff };
#define SERVER_LIMITS                                                                                                  \
    { "instances", &limit_value }, { "cores", &limit_value }, { "ram", &limit_value }, { "metadata_items", &limit_value }, \
        { "key_pairs", &limit_value }, { "server_groups", &limit_value }, { "server_group_members", &limit_value },        \
        { "force", &nova_schema_boolean }
#define FILE_LIMITS                                                                                                    \
    { "injected_files", &limit_value }, { "injected_file_content_bytes", &limit_value },                               \
        { "injected_file_path_bytes", &limit_value }
#define NETWORK_LIMITS                                                                                                 \
    { "fixed_ips", &limit_value }, { "floating_ips", &limit_value }, { "networks", &limit_value },                     \
        { "security_groups", &limit_value }, { "security_group_rules", &limit_value }
static const struct schema set_1 = SCHEMA_CLOSED(SERVER_LIMITS, FILE_LIMITS, NETWORK_LIMITS);
static const struct schema set_36 = SCHEMA_CLOSED(SERVER_LIMITS, FILE_LIMITS);
static const struct schema set_57 = SCHEMA_CLOSED(SERVER_LIMITS);
#define SET_BODY(set)                                                                                                  \
    { .types = SCHEMA_OBJECT, .properties = SCHEMA_PROPERTIES({ "quota_set", set }), .required = SCHEMA_WORDS("quota_set"), \
        .closed = true }
static const struct schema set_body_1 = SET_BODY(&set_1), set_body_36 = SET_BODY(&set_36), set_body_57 = SET_BODY(&set_57);

struct quota_update {
    struct request *rq;
    const char *project_id, *user_id;
    const json_t *set;
    bool force;
};

/* Below what is in use only with force; a user's limit not above the project's. */
static struct fault *check_limit(const struct quota_update *u, const char *name, int64_t limit, int64_t used, int64_t most)
{
    if (!u->force && limit >= 0 && used > limit)
        return BAD_REQUEST(u->rq, "Quota limit %lld for %s must be greater than or equal to already used and reserved %lld.",
            (long long)limit, name, (long long)used);
    if (u->user_id != NULL && most >= 0 && (limit < 0 || limit > most))
        return BAD_REQUEST(u->rq, "Quota limit %lld for %s must be less than or equal to %lld.", (long long)limit, name,
            (long long)most);
    return NULL;
}

static struct fault *set_limit(struct tx *tx, const struct quota_update *u, const char *name, int64_t limit)
{
    const char *user = u->user_id != NULL ? u->user_id : "";
    TRY(sql_exec(tx, "DELETE FROM quotas WHERE project_id = ? AND user_id = ? AND resource = ?",
        BIND(TEXT(u->project_id), TEXT(user), TEXT(name))));
    return sql_exec(tx, "INSERT INTO quotas (project_id, user_id, resource, hard_limit) VALUES (?, ?, ?, ?)",
        BIND(TEXT(u->project_id), TEXT(user), TEXT(name), INT(limit)));
}

static struct fault *run_update(struct tx *tx, void *argument)
{
    const struct quota_update *u = argument;
    struct quota_usage usage;
    int64_t project[QUOTA_RESOURCES];
    TRY(quota_usage(tx, u->project_id, &usage));
    TRY(quota_limits(tx, u->rq->cx.app->config, u->project_id, NULL, project, NULL));
    for (size_t i = 0; i < SHOWN_LIMITS; i++) {
        const struct shown_limit *l = &shown_limits[i];
        const json_t *value = json_object_get(u->set, l->name);
        if (value == NULL || l->resource == PROXIED)
            continue;
        TRY(check_limit(u, l->name, json_number(value, 0), used_of(&usage, l->resource), project[l->resource]));
        TRY(set_limit(tx, u, l->name, json_number(value, 0)));
    }
    return NULL;
}

/* The reference asks keystone whether the project exists, so that a typing error is not taken for a project. */
static struct fault *check_project(struct request *rq, const char *project_id)
{
    struct rest_response found;
    struct fault *fault = rest_call(RQ(rq), &(struct rest){ .service = "identity", .method = GET, .as = AS_SERVICE,
        .path = arena_printf(rq->cx.arena, "/v3/projects/%s", rest_escape(rq->cx.arena, project_id)) }, &found);
    if (fault != NULL && fault->status == 404)
        return BAD_REQUEST(rq, "Project ID %s is not a valid project.", project_id);
    return fault;
}

static struct fault *quota_put(struct request *rq)
{
    TRY(enforce(rq, rq->route->policy));
    TRY(request_validate(rq, rq->version >= 57 ? &set_body_57 : rq->version >= 36 ? &set_body_36 : &set_body_1));
    const json_t *set = json_object_get(rq->body, "quota_set");
    struct quota_update update = { rq, request_argument(rq, "id"), request_query(rq, "user_id"), set,
        json_truth(json_object_get(set, "force")) };
    TRY(check_project(rq, update.project_id));
    TRY(db_write(rq->cx.arena, rq->cx.app->db, run_update, &update));
    return answer(rq, VIEW_LIMITS, false);
}

static struct fault *quota_delete(struct request *rq)
{
    TRY(enforce(rq, rq->route->policy));
    const char *user = request_query(rq, "user_id");
    TRY(db_exec(rq->cx.arena, rq->cx.app->db, "DELETE FROM quotas WHERE project_id = ? AND (? IS NULL OR user_id = ?)",
        BIND(TEXT(request_argument(rq, "id")), TEXT(user), TEXT(user)), NULL));
    return api_empty(rq, 202);
}

static const struct route quota_rows[] = {
    ROUTE(GET,    "/v2.1/os-quota-sets/{id}",          "os_compute_api:os-quota-sets:show",     quota_show,     HANDLER_POLICY),
    ROUTE(GET,    "/v2.1/os-quota-sets/{id}/detail",   "os_compute_api:os-quota-sets:detail",   quota_detail,   HANDLER_POLICY),
    ROUTE(GET,    "/v2.1/os-quota-sets/{id}/defaults", "os_compute_api:os-quota-sets:defaults", quota_defaults, HANDLER_POLICY),
    ROUTE(PUT,    "/v2.1/os-quota-sets/{id}",          "os_compute_api:os-quota-sets:update",   quota_put,      SLOW, HANDLER_POLICY),
    ROUTE(DELETE, "/v2.1/os-quota-sets/{id}",          "os_compute_api:os-quota-sets:delete",   quota_delete,   HANDLER_POLICY),
};
const struct route_table nova_quota_routes = ROUTES(quota_rows);

/* ---- limits ---- */

static const struct {
    const char *name;
    enum quota_resource resource;
    int last_version; /* 0: all */
} absolute[] = {
    { "maxTotalInstances", QUOTA_INSTANCES },
    { "maxTotalCores", QUOTA_CORES },
    { "maxTotalRAMSize", QUOTA_RAM },
    { "maxServerMeta", QUOTA_METADATA_ITEMS },
    { "maxTotalKeypairs", QUOTA_KEY_PAIRS },
    { "maxServerGroups", QUOTA_SERVER_GROUPS },
    { "maxServerGroupMembers", QUOTA_SERVER_GROUP_MEMBERS },
    { "maxImageMeta", QUOTA_METADATA_ITEMS, 38 },
    { "maxPersonality", QUOTA_INJECTED_FILES, 56 },
    { "maxPersonalitySize", QUOTA_INJECTED_FILE_CONTENT_BYTES, 56 },
};

static struct fault *write_limits(struct request *rq, struct tx *tx, const char *project_id)
{
    struct json_writer *w = &rq->json;
    struct quota_usage usage;
    int64_t limits[QUOTA_RESOURCES];
    TRY(quota_usage(tx, project_id, &usage));
    TRY(quota_limits(tx, rq->cx.app->config, project_id, NULL, limits, NULL));
    json_begin(w, NULL);
    json_begin(w, "limits");
    json_begin_array(w, "rate");
    json_end_array(w);
    json_begin(w, "absolute");
    for (size_t i = 0; i < sizeof(absolute) / sizeof(absolute[0]); i++) {
        if (absolute[i].last_version == 0 || rq->version <= absolute[i].last_version)
            json_int(w, absolute[i].name, limits[absolute[i].resource]);
    }
    if (rq->version <= 35) { /* proxies of the network service, as they were */
        json_int(w, "maxTotalFloatingIps", 10);
        json_int(w, "maxSecurityGroups", 10);
        json_int(w, "maxSecurityGroupRules", 20);
        json_int(w, "totalFloatingIpsUsed", 0);
        json_int(w, "totalSecurityGroupsUsed", 0);
    }
    json_int(w, "totalInstancesUsed", usage.instances);
    json_int(w, "totalCoresUsed", usage.cores);
    json_int(w, "totalRAMUsed", usage.ram);
    json_int(w, "totalServerGroupsUsed", usage.server_groups);
    json_end(w);
    json_end(w);
    json_end(w);
    return NULL;
}

static struct fault *limits_show(struct request *rq)
{
    const char *project = rq->cx.caller->project_id, *other = request_query(rq, "tenant_id");
    struct tx *tx;
    static const char *const allowed[] = { "tenant_id", "reserved", NULL };
    TRY(api_query_check(rq, allowed, rq->version >= 75));
    if (other != NULL && (project == NULL || strcmp(other, project) != 0)) {
        TRY(request_enforce(rq, "os_compute_api:limits:other_project", NULL));
        project = other;
    }
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    struct fault *fault = write_limits(rq, tx, project);
    tx_end(tx);
    return fault;
}

static const struct route limit_rows[] = {
    ROUTE(GET, "/v2.1/limits", "os_compute_api:limits", limits_show),
};
const struct route_table nova_limit_routes = ROUTES(limit_rows);
