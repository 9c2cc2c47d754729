/* SPDX-License-Identifier: Apache-2.0
 *
 * limits: what a project may use and uses, and the quotas that administrators set. API reference: Limits, Quota sets.
 */
#include "nova/api/api.h"
#include "nova/quota.h"

#include <string.h>

enum { LAST_WITH_NETWORK = 35, LAST_WITH_IMAGE_META = 38, LAST_WITH_FILES = 56 };

static struct fault *load(struct request *rq, const char *project, const char *user, int64_t limits[QUOTA_RESOURCES],
    struct quota_usage *usage)
{
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    struct fault *fault = quota_limits(tx, rq->cx.app->config, project, user, limits, NULL);
    if (fault == NULL)
        fault = quota_usage(tx, project, usage);
    tx_end(tx);
    return fault;
}

static struct fault *limits_index(struct request *rq)
{
    static const char *const allowed[] = { "reserved", "tenant_id", NULL };
    struct json_writer *w = &rq->json;
    const char *project = rq->cx.caller->project_id, *other = request_query(rq, "tenant_id");
    int64_t limits[QUOTA_RESOURCES];
    struct quota_usage usage;

    TRY(api_query_check(rq, allowed, rq->version >= 75));
    if (other != NULL) {
        project = other;
        if (rq->cx.caller->project_id == NULL || strcmp(other, rq->cx.caller->project_id) != 0)
            TRY(request_enforce(rq, "os_compute_api:limits:other_project", POLICY_TARGET({ "project_id", other })));
    }
    TRY(load(rq, project, NULL, limits, &usage));
    json_begin(w, NULL);
    json_begin(w, "limits");
    json_begin_array(w, "rate");
    json_end_array(w);
    json_begin(w, "absolute");
    json_int(w, "maxTotalRAMSize", limits[QUOTA_RAM]);
    json_int(w, "maxTotalInstances", limits[QUOTA_INSTANCES]);
    json_int(w, "maxTotalCores", limits[QUOTA_CORES]);
    json_int(w, "maxTotalKeypairs", limits[QUOTA_KEY_PAIRS]);
    json_int(w, "maxServerMeta", limits[QUOTA_METADATA_ITEMS]);
    if (rq->version <= LAST_WITH_IMAGE_META)
        json_int(w, "maxImageMeta", limits[QUOTA_METADATA_ITEMS]);
    if (rq->version <= LAST_WITH_FILES) {
        json_int(w, "maxPersonality", limits[QUOTA_INJECTED_FILES]);
        json_int(w, "maxPersonalitySize", limits[QUOTA_INJECTED_FILE_CONTENT_BYTES]);
    }
    json_int(w, "maxServerGroups", limits[QUOTA_SERVER_GROUPS]);
    json_int(w, "maxServerGroupMembers", limits[QUOTA_SERVER_GROUP_MEMBERS]);
    if (rq->version <= LAST_WITH_NETWORK) {
        json_int(w, "maxTotalFloatingIps", limits[QUOTA_FLOATING_IPS]);
        json_int(w, "maxSecurityGroups", limits[QUOTA_SECURITY_GROUPS]);
        json_int(w, "maxSecurityGroupRules", limits[QUOTA_SECURITY_GROUP_RULES]);
        json_int(w, "totalFloatingIpsUsed", 0);
        json_int(w, "totalSecurityGroupsUsed", 0);
    }
    json_int(w, "totalRAMUsed", usage.ram);
    json_int(w, "totalCoresUsed", usage.cores);
    json_int(w, "totalInstancesUsed", usage.instances);
    json_int(w, "totalServerGroupsUsed", usage.server_groups);
    json_end(w);
    json_end(w);
    json_end(w);
    return NULL;
}

static const struct route limit_rows[] = {
    ROUTE(GET, "/v2.1/limits", "os_compute_api:limits", limits_index),
};
const struct route_table nova_limit_routes = ROUTES(limit_rows);

/* ---- quota sets ---- */

static int64_t used(const struct quota_usage *usage, int resource)
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
        return 0;
    }
}

static void write_resource(struct json_writer *w, const char *name, int64_t limit, int64_t in_use, bool detail)
{
    if (!detail) {
        json_int(w, name, limit);
        return;
    }
    json_begin(w, name);
    json_int(w, "in_use", in_use);
    json_int(w, "limit", limit);
    json_int(w, "reserved", 0);
    json_end(w);
}

static void write_set(struct request *rq, const char *id, const int64_t limits[QUOTA_RESOURCES], const struct quota_usage *usage,
    bool detail)
{
    struct json_writer *w = &rq->json;

    json_begin(w, NULL);
    json_begin(w, "quota_set");
    if (id != NULL)
        json_text(w, "id", id);
    for (int i = 0; i < QUOTA_RESOURCES; i++)
        if (quota_names[i].last_version == 0 || rq->version <= quota_names[i].last_version)
            write_resource(w, quota_names[i].name, limits[i], usage != NULL ? used(usage, i) : 0, detail);
    json_end(w);
    json_end(w);
}

static struct fault *quota_view(struct request *rq, const char *rule, bool detail)
{
    const char *project = request_argument(rq, "id");
    int64_t limits[QUOTA_RESOURCES];
    struct quota_usage usage;

    TRY(request_enforce(rq, rule, POLICY_TARGET({ "project_id", project })));
    TRY(load(rq, project, request_query(rq, "user_id"), limits, &usage));
    write_set(rq, project, limits, &usage, detail);
    return NULL;
}

static struct fault *quotas_show(struct request *rq)
{
    return quota_view(rq, "os_compute_api:os-quota-sets:show", false);
}

static struct fault *quotas_detail(struct request *rq)
{
    return quota_view(rq, "os_compute_api:os-quota-sets:detail", true);
}

static struct fault *quotas_defaults(struct request *rq)
{
    int64_t limits[QUOTA_RESOURCES];
    struct quota_usage usage;

    TRY(load(rq, "", NULL, limits, &usage));
    write_set(rq, request_argument(rq, "id"), limits, NULL, false);
    return NULL;
}

static const struct schema number = { .types = SCHEMA_INTEGER | SCHEMA_STRING, .pattern = "^-?[0-9]+$", .minimum = -1,
    .maximum = INT32_MAX, .min_length = 1 };
#define COMMON                                                                                                         \
    { "instances", &number }, { "cores", &number }, { "ram", &number }, { "metadata_items", &number },                   \
    { "key_pairs", &number }, { "server_groups", &number }, { "server_group_members", &number }, { "force", &nova_schema_boolean }
#define FILES                                                                                                          \
    { "injected_files", &number }, { "injected_file_content_bytes", &number }, { "injected_file_path_bytes", &number }
static const struct schema set_1 = SCHEMA_CLOSED(COMMON, FILES, { "fixed_ips", &number }, { "floating_ips", &number },
    { "security_groups", &number }, { "security_group_rules", &number }, { "networks", &number });
static const struct schema set_36 = SCHEMA_CLOSED(COMMON, FILES);
static const struct schema set_57 = SCHEMA_CLOSED(COMMON);
#define SET_BODY(schema_) { .types = SCHEMA_OBJECT, .closed = true, .required = SCHEMA_WORDS("quota_set"),                \
    .properties = SCHEMA_PROPERTIES({ "quota_set", &(schema_) }) }
static const struct schema body_1 = SET_BODY(set_1), body_36 = SET_BODY(set_36), body_57 = SET_BODY(set_57);

struct update {
    struct request *rq;
    const char *project, *user;
    const json_t *set;
};

static struct fault *run_update(struct tx *tx, void *argument)
{
    const struct update *update = argument;
    struct quota_usage usage;
    bool force = json_truth(json_object_get(update->set, "force"));

    TRY(tx_serialize_on(tx, "project", update->project));
    TRY(quota_usage(tx, update->project, &usage));
    for (int i = 0; i < QUOTA_RESOURCES; i++) {
        const json_t *value = json_object_get(update->set, quota_names[i].name);
        int64_t limit = json_number(value, -1), least = used(&usage, i);

        if (value == NULL)
            continue;
        if (!force && limit >= 0 && limit < least)
            return fault_new(tx_arena(tx), 400, NULL, "Quota limit %lld for %s must be greater than or equal to already used and "
                "reserved %lld.", (long long)limit, quota_names[i].name, (long long)least);
        TRY(sql_exec(tx, "DELETE FROM quotas WHERE project_id=? AND user_id=? AND resource=?",
            BIND(TEXT(update->project), TEXT(update->user), TEXT(quota_names[i].name))));
        TRY(sql_exec(tx, "INSERT INTO quotas(project_id,user_id,resource,hard_limit) VALUES(?,?,?,?)",
            BIND(TEXT(update->project), TEXT(update->user), TEXT(quota_names[i].name), INT(limit))));
    }
    return NULL;
}

static struct fault *quotas_update(struct request *rq)
{
    const char *user = request_query(rq, "user_id"), *project = request_argument(rq, "id");
    int64_t limits[QUOTA_RESOURCES];
    struct quota_usage usage;

    TRY(request_validate(rq, rq->version >= 57 ? &body_57 : rq->version >= 36 ? &body_36 : &body_1));
    TRY(db_write(rq->cx.arena, rq->cx.app->db, run_update, &(struct update){ rq, project, user != NULL ? user : "",
        json_object_get(rq->body, "quota_set") }));
    TRY(load(rq, project, user, limits, &usage));
    write_set(rq, NULL, limits, NULL, false);
    return NULL;
}

static struct fault *quotas_delete(struct request *rq)
{
    const char *user = request_query(rq, "user_id"), *project = request_argument(rq, "id");

    TRY(db_exec(rq->cx.arena, rq->cx.app->db, "DELETE FROM quotas WHERE project_id=? AND (user_id=? OR ? IS NULL)",
        BIND(TEXT(project), TEXT(user), TEXT(user)), NULL));
    return api_empty(rq, 202);
}

#define Q "os_compute_api:os-quota-sets:"
#define PATH "/v2.1/os-quota-sets/{id}"
static const struct route quota_rows[] = {
    ROUTE(GET,    PATH,             Q "show",     quotas_show,   HANDLER_POLICY),
    ROUTE(GET,    PATH "/detail",   Q "detail",   quotas_detail, HANDLER_POLICY),
    ROUTE(GET,    PATH "/defaults", Q "defaults", quotas_defaults),
    ROUTE(PUT,    PATH,             Q "update",   quotas_update),
    ROUTE(DELETE, PATH,             Q "delete",   quotas_delete),
};
const struct route_table nova_quota_routes = ROUTES(quota_rows);
