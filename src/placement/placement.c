/* SPDX-License-Identifier: Apache-2.0
 *
 * placement: the service's tables that belong to no one resource: options, policies, migrations, start.
 */
#include "oslo/middleware.h"
#include "placement/placement.h"

#include "placement/api.h"
#include "placement/commands.h"
#include "placement/standard.h"
#include "placement/store.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

#define NOBODY "00000000-0000-0000-0000-000000000000"

static const struct option option_rows[] = {
    { "placement_database", "connection", OPTION_STR, NULL, "The database of the service; [database] connection when not set.",
        .secret = true },
    CORS_OPTIONS("X-Auth-Token,X-Openstack-Request-Id,X-Identity-Status,X-Roles,X-Service-Catalog,"
                 "X-User-Id,X-Tenant-Id,OpenStack-API-Version",
                 "X-Auth-Token,X-Openstack-Request-Id,X-Subject-Token,X-Service-Token,"
                 "OpenStack-API-Version", "GET,PUT,POST,DELETE,PATCH"),
    { "DEFAULT", "bind_host", OPTION_HOST, "0.0.0.0", "Address that the API listens on; placement is its own server here." },
    { "DEFAULT", "bind_port", OPTION_PORT, "8778", "Port that the API listens on." },
    { "DEFAULT", "pybasedir", OPTION_STR, "/usr/lib/python3/dist-packages", "Known for existing files: there is no Python here." },
    { "DEFAULT", "state_path", OPTION_STR, NULL, "Known for existing files: placement keeps no files." },
    { "DEFAULT", "tempdir", OPTION_STR, NULL, "Known for existing files: placement keeps no files." },
    { "api", "auth_strategy", OPTION_STR, "keystone", "How callers are known: keystone, or noauth2, which believes what a"
        " request says of itself: for test beds, never where anybody else can reach the port.",
      .choices = OPTION_WORDS("keystone", "noauth2"), .deprecated = OPTION_WORDS("DEFAULT/auth_strategy") },
    { "placement_database", "connection_parameters", OPTION_STR, "", "Known for existing files: they are in the connection's URL." },
    { "placement_database", "sqlite_synchronous", OPTION_BOOL, "true", "Known for existing files: it is.", },
    { "placement_database", "slave_connection", OPTION_STR, NULL, "Known for existing files: reads go to the same database.", .secret = true },
    { "placement_database", "mysql_sql_mode", OPTION_STR, "TRADITIONAL", "Known for existing files: [database] says it." },
    { "placement_database", "connection_recycle_time", OPTION_INT, "3600", "Known for existing files: [database] says it." },
    { "placement_database", "max_pool_size", OPTION_INT, NULL, "Known for existing files: [database] says it." },
    { "placement_database", "max_retries", OPTION_INT, "10", "Known for existing files: [database] says it." },
    { "placement_database", "retry_interval", OPTION_INT, "10", "Known for existing files: [database] says it." },
    { "placement_database", "max_overflow", OPTION_INT, NULL, "Known for existing files: [database] says it." },
    { "placement_database", "pool_timeout", OPTION_INT, NULL, "Known for existing files: [database] says it." },
    { "placement_database", "sync_on_startup", OPTION_BOOL, "false", "Known for existing files: placement-manage db sync does it." },
    { "placement", "randomize_allocation_candidates", OPTION_BOOL, "false",
        "If True, when limiting allocation candidate results, the results will be a random sampling of the full result"
        " set. If False, they come in the order of their providers' creation." },
    { "placement", "incomplete_consumer_project_id", OPTION_STR, NOBODY,
        "Project of consumers that clients below microversion 1.8 allocate for, which do not name one." },
    { "placement", "incomplete_consumer_user_id", OPTION_STR, NOBODY,
        "User of consumers that clients below microversion 1.8 allocate for, which do not name one." },
    { "placement", "allocation_conflict_retry_count", OPTION_INT, "10",
        "The number of times to retry, server-side, writing allocations when there is a resource provider generation"
        " conflict. Our own processes write one after the other; it happens when the reference writes to the same database.",
        .min = 1, .max = 1000 },
};
static const struct option_table options = OPTION_TABLE(option_rows);
static const struct option_table *const option_tables[] = { &options, NULL };

#define ADMIN_OR_SERVICE "rule:admin_or_service_api"
#define OLD_ADMIN        POLICY_DEPRECATED(.name = "rule:admin_api", .check = "role:admin", .since = "W")
#define RP               "placement:resource_providers:"
#define ON(...)          POLICY_OPERATIONS(__VA_ARGS__)
static const struct policy_rule policy_rows[] = {
    { "admin_api", "role:admin", POLICY_PROJECT, "Default rule for most placement APIs." },
    { "service_api", "role:service", POLICY_PROJECT, "Default rule for service-to-service placement APIs.",
        .deprecated = OLD_ADMIN },
    { "admin_or_service_api", "role:admin or role:service", POLICY_PROJECT, "Default rule for most placement APIs.",
        .deprecated = OLD_ADMIN },
    { "project_reader_api", "role:reader and project_id:%(project_id)s", 0,
        "Default rule for Project level reader APIs.", .deprecated = OLD_ADMIN },
    { "admin_or_project_reader_or_service_api", "role:admin or rule:project_reader_api or role:service",
        POLICY_PROJECT, "Default rule for project level reader APIs.", .deprecated = OLD_ADMIN },
    { RP "list", ADMIN_OR_SERVICE, POLICY_PROJECT, "List resource providers.", ON({ "GET", "/resource_providers" }) },
    { RP "create", ADMIN_OR_SERVICE, POLICY_PROJECT, "Create a resource provider.",
        ON({ "POST", "/resource_providers" }) },
    { RP "show", ADMIN_OR_SERVICE, POLICY_PROJECT, "Show resource provider.",
        ON({ "GET", "/resource_providers/{uuid}" }) },
    { RP "update", ADMIN_OR_SERVICE, POLICY_PROJECT, "Update resource provider.",
        ON({ "PUT", "/resource_providers/{uuid}" }) },
    { RP "delete", ADMIN_OR_SERVICE, POLICY_PROJECT, "Delete resource provider.",
        ON({ "DELETE", "/resource_providers/{uuid}" }) },
    { "placement:resource_classes:list", ADMIN_OR_SERVICE, POLICY_PROJECT, "List resource classes.",
        ON({ "GET", "/resource_classes" }) },
    { "placement:resource_classes:create", ADMIN_OR_SERVICE, POLICY_PROJECT, "Create resource class.",
        ON({ "POST", "/resource_classes" }) },
    { "placement:resource_classes:show", ADMIN_OR_SERVICE, POLICY_PROJECT, "Show resource class.",
        ON({ "GET", "/resource_classes/{name}" }) },
    { "placement:resource_classes:update", ADMIN_OR_SERVICE, POLICY_PROJECT, "Update resource class.",
        ON({ "PUT", "/resource_classes/{name}" }) },
    { "placement:resource_classes:delete", ADMIN_OR_SERVICE, POLICY_PROJECT, "Delete resource class.",
        ON({ "DELETE", "/resource_classes/{name}" }) },
    { RP "inventories:list", ADMIN_OR_SERVICE, POLICY_PROJECT, "List resource provider inventories.",
        ON({ "GET", "/resource_providers/{uuid}/inventories" }) },
    { RP "inventories:create", ADMIN_OR_SERVICE, POLICY_PROJECT, "Create one resource provider inventory.",
        ON({ "POST", "/resource_providers/{uuid}/inventories" }) },
    { RP "inventories:show", ADMIN_OR_SERVICE, POLICY_PROJECT, "Show resource provider inventory.",
        ON({ "GET", "/resource_providers/{uuid}/inventories/{resource_class}" }) },
    { RP "inventories:update", ADMIN_OR_SERVICE, POLICY_PROJECT, "Update resource provider inventory.",
        ON({ "PUT", "/resource_providers/{uuid}/inventories" },
            { "PUT", "/resource_providers/{uuid}/inventories/{resource_class}" }) },
    { RP "inventories:delete", ADMIN_OR_SERVICE, POLICY_PROJECT, "Delete resource provider inventory.",
        ON({ "DELETE", "/resource_providers/{uuid}/inventories" },
            { "DELETE", "/resource_providers/{uuid}/inventories/{resource_class}" }) },
    { RP "aggregates:list", ADMIN_OR_SERVICE, POLICY_PROJECT, "List resource provider aggregates.",
        ON({ "GET", "/resource_providers/{uuid}/aggregates" }) },
    { RP "aggregates:update", ADMIN_OR_SERVICE, POLICY_PROJECT, "Update resource provider aggregates.",
        ON({ "PUT", "/resource_providers/{uuid}/aggregates" }) },
    { RP "usages", ADMIN_OR_SERVICE, POLICY_PROJECT, "List resource provider usages.",
        ON({ "GET", "/resource_providers/{uuid}/usages" }) },
    { "placement:usages", "rule:admin_or_project_reader_or_service_api", POLICY_PROJECT,
        "List total resource usages for a given project.", ON({ "GET", "/usages" }) },
    { "placement:traits:list", ADMIN_OR_SERVICE, POLICY_PROJECT, "List traits.", ON({ "GET", "/traits" }) },
    { "placement:traits:show", ADMIN_OR_SERVICE, POLICY_PROJECT, "Show trait.", ON({ "GET", "/traits/{name}" }) },
    { "placement:traits:update", ADMIN_OR_SERVICE, POLICY_PROJECT, "Update trait.", ON({ "PUT", "/traits/{name}" }) },
    { "placement:traits:delete", ADMIN_OR_SERVICE, POLICY_PROJECT, "Delete trait.",
        ON({ "DELETE", "/traits/{name}" }) },
    { RP "traits:list", ADMIN_OR_SERVICE, POLICY_PROJECT, "List resource provider traits.",
        ON({ "GET", "/resource_providers/{uuid}/traits" }) },
    { RP "traits:update", ADMIN_OR_SERVICE, POLICY_PROJECT, "Update resource provider traits.",
        ON({ "PUT", "/resource_providers/{uuid}/traits" }) },
    { RP "traits:delete", ADMIN_OR_SERVICE, POLICY_PROJECT, "Delete resource provider traits.",
        ON({ "DELETE", "/resource_providers/{uuid}/traits" }) },
    { "placement:allocations:manage", ADMIN_OR_SERVICE, POLICY_PROJECT, "Manage allocations.",
        ON({ "POST", "/allocations" }) },
    { "placement:allocations:list", ADMIN_OR_SERVICE, POLICY_PROJECT, "List allocations.",
        ON({ "GET", "/allocations/{consumer_uuid}" }) },
    { "placement:allocations:update", ADMIN_OR_SERVICE, POLICY_PROJECT, "Update allocations.",
        ON({ "PUT", "/allocations/{consumer_uuid}" }) },
    { "placement:allocations:delete", ADMIN_OR_SERVICE, POLICY_PROJECT, "Delete allocations.",
        ON({ "DELETE", "/allocations/{consumer_uuid}" }) },
    { RP "allocations:list", ADMIN_OR_SERVICE, POLICY_PROJECT, "List resource provider allocations.",
        ON({ "GET", "/resource_providers/{uuid}/allocations" }) },
    { "placement:allocation_candidates:list", ADMIN_OR_SERVICE, POLICY_PROJECT, "List allocation candidates.",
        ON({ "GET", "/allocation_candidates" }) },
    { "placement:reshaper:reshape", "rule:service_api", POLICY_PROJECT, "Reshape Inventory and Allocations.",
        ON({ "POST", "/reshaper" }) },
};
static const struct policy_table policies = POLICY_TABLE(policy_rows);
static const struct policy_table *const policy_tables[] = { &policies, NULL };

static const struct route_table *const routes[] = { &placement_root_routes, &placement_provider_routes,
    &placement_inventory_routes, &placement_aggregate_routes, &placement_trait_routes, &placement_class_routes,
    &placement_usage_routes, &placement_allocation_routes, &placement_candidate_routes, &placement_reshaper_routes,
    NULL };

static struct fault *sync_classes(struct tx *tx)
{
    for (int i = 0; standard_classes[i] != NULL; i++) {
        int64_t id;
        TRY(placement_class_id(tx, standard_classes[i], &id));
        if (id < 0)
            TRY(sql_exec(tx, "INSERT INTO resource_classes (created_at, id, name) VALUES (?, ?, ?)",
                BIND(TEXT(placement_timestamp_now(tx_arena(tx))), INT(i), TEXT(standard_classes[i]))));
        if (id < 0 && i == 0) /* an automatic key takes 0 for "the next one" */
            TRY(sql_exec(tx, "UPDATE resource_classes SET id = 0 WHERE name = ? AND id <> 0", BIND(TEXT(standard_classes[i]))));
    }
    return NULL;
}

/* The standard classes and traits are in the database, as the reference puts them there when it starts. */
static struct fault *sync_run(struct tx *tx, void *argument)
{
    (void)argument;
    int64_t before, after;
    TRY(placement_change_begin(tx));
    TRY(sql_int_of(tx, &before, 0, "SELECT (SELECT COUNT(*) FROM resource_classes) + (SELECT COUNT(*) FROM traits)",
        NO_BIND));
    TRY(sync_classes(tx));
    for (int i = 0; standard_traits[i] != NULL; i++) {
        int64_t id;
        TRY(placement_trait_id(tx, standard_traits[i], &id));
        if (id < 0)
            TRY(sql_exec(tx, "INSERT INTO traits (created_at, name) VALUES (?, ?)",
                BIND(TEXT(placement_timestamp_now(tx_arena(tx))), TEXT(standard_traits[i]))));
    }
    TRY(sql_int_of(tx, &after, 0, "SELECT (SELECT COUNT(*) FROM resource_classes) + (SELECT COUNT(*) FROM traits)",
        NO_BIND));
    return before == after ? NULL : placement_change_provider(tx, CHANGED_NAMES);
}

static struct fault *start(struct context *cx)
{
    TRY(db_write(cx->arena, cx->app->db, sync_run, NULL));
    struct placement *placement = calloc(1, sizeof(*placement));
    if (placement == NULL)
        abort();
    placement->randomize = config_bool(cx->app->config, "placement", "randomize_allocation_candidates");
    placement->missing_project = config_str(cx->app->config, "placement", "incomplete_consumer_project_id");
    placement->missing_user = config_str(cx->app->config, "placement", "incomplete_consumer_user_id");
    placement->noauth = strcmp(config_str(cx->app->config, "api", "auth_strategy"), "noauth2") == 0;
    if (placement->noauth)
        log_warning("placement", "[api] auth_strategy is noauth2: NOBODY IS CHECKED, whoever reaches the port may do everything");
    placement->model = model_create();
    cx->app->private = placement;
    return model_refresh(cx->arena, placement->model, cx->app->db);
}

static void stop(struct app *app)
{
    struct placement *placement = app->private;
    if (placement != NULL)
        model_destroy(placement->model);
    free(placement);
    app->private = NULL;
}

static const struct program *const programs[] = { &placement_manage, &placement_status, NULL };

static const struct role roles[] = {
    { "placement-api", .database = true, .serves = OPTION_WORDS(API_LISTENER) },
    { NULL },
};

const struct service placement_service = {
    .name = "placement",
    .type = "placement",
    .endpoint = "",
    .port = 8778,
    .host_option = "bind_host",
    .port_option = "bind_port",
    .dialect = &placement_dialect,
    .routes = routes,
    .options = option_tables,
    .policies = policy_tables,
    .database_section = "placement_database",
    .sync_command = "placement-manage db sync",
    .migrations = placement_migrations,
    .migration_count = PLACEMENT_MIGRATIONS,
    .roles = roles,
    .programs = programs,
    .unproven = placement_unproven,
    .start = start,
    .stop = stop,
};
