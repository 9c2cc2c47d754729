/* SPDX-License-Identifier: Apache-2.0
 *
 * placement: the service's tables that belong to no one resource: options, policies, migrations, start.
 */
#include "placement/placement.h"

#include "placement/api.h"
#include "placement/standard.h"
#include "placement/store.h"

#include <stdlib.h>

#define NOBODY "00000000-0000-0000-0000-000000000000"

static const struct option option_rows[] = {
    { "DEFAULT", "bind_host", OPTION_HOST, "0.0.0.0", "Address that the API listens on; placement is its own server here." },
    { "DEFAULT", "bind_port", OPTION_PORT, "8778", "Port that the API listens on." },
    { "placement", "randomize_allocation_candidates", OPTION_BOOL, "false",
        "If True, when limiting allocation candidate results, the results will be a random sampling of the full result"
        " set. If False, they come in the order of their providers' creation." },
    { "placement", "incomplete_consumer_project_id", OPTION_STR, NOBODY,
        "Project of consumers that clients below microversion 1.8 allocate for, which do not name one." },
    { "placement", "incomplete_consumer_user_id", OPTION_STR, NOBODY,
        "User of consumers that clients below microversion 1.8 allocate for, which do not name one." },
    { "placement", "allocation_conflict_retry_count", OPTION_INT, "10",
        "The number of times to retry, server-side, writing allocations when there is a resource provider generation"
        " conflict. Kept for the configuration's sake: allocations here are written one after the other.", .min = 1,
        .max = 1000 },
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

/* Upstream's tables, as its migrations b4ed3a175331 to 422ece571366 leave them, and two of our own (store.h). */
#define TIMES "created_at DATETIME NULL, updated_at DATETIME NULL"
static const char tables[] =
    "CREATE TABLE resource_classes (" TIMES ", id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(255) NOT NULL,"
    " CONSTRAINT uniq_resource_classes0name UNIQUE (name));\n"
    "CREATE TABLE resource_providers (" TIMES ", id $SERIAL, uuid VARCHAR(36) NOT NULL, name VARCHAR(200) NULL,"
    " generation INTEGER NULL, root_provider_id INTEGER NULL, parent_provider_id INTEGER NULL,"
    " CONSTRAINT uniq_resource_providers0uuid UNIQUE (uuid), CONSTRAINT uniq_resource_providers0name UNIQUE (name));\n"
    "CREATE INDEX resource_providers_root_provider_id_idx ON resource_providers (root_provider_id);\n"
    "CREATE INDEX resource_providers_parent_provider_id_idx ON resource_providers (parent_provider_id);\n"
    "CREATE TABLE inventories (" TIMES ", id $SERIAL, resource_provider_id INTEGER NOT NULL,"
    " resource_class_id INTEGER NOT NULL, total INTEGER NOT NULL, reserved INTEGER NOT NULL,"
    " min_unit INTEGER NOT NULL, max_unit INTEGER NOT NULL, step_size INTEGER NOT NULL,"
    " allocation_ratio FLOAT NOT NULL, CONSTRAINT uniq_inventories0resource_provider_resource_class"
    " UNIQUE (resource_provider_id, resource_class_id));\n"
    "CREATE INDEX inventories_resource_class_id_idx ON inventories (resource_class_id);\n"
    "CREATE TABLE allocations (" TIMES ", id $SERIAL, resource_provider_id INTEGER NOT NULL,"
    " consumer_id VARCHAR(36) NOT NULL, resource_class_id INTEGER NOT NULL, used INTEGER NOT NULL);\n"
    "CREATE INDEX allocations_resource_provider_class_used_idx ON allocations (resource_provider_id,"
    " resource_class_id, used);\n"
    "CREATE INDEX allocations_resource_class_id_idx ON allocations (resource_class_id);\n"
    "CREATE INDEX allocations_consumer_id_idx ON allocations (consumer_id);\n"
    "CREATE TABLE placement_aggregates (" TIMES ", id $SERIAL, uuid VARCHAR(36) NULL,"
    " CONSTRAINT uniq_placement_aggregates0uuid UNIQUE (uuid));\n"
    "CREATE TABLE resource_provider_aggregates (" TIMES ", resource_provider_id INTEGER NOT NULL,"
    " aggregate_id INTEGER NOT NULL, PRIMARY KEY (resource_provider_id, aggregate_id));\n"
    "CREATE INDEX resource_provider_aggregates_aggregate_id_idx ON resource_provider_aggregates (aggregate_id);\n"
    "CREATE TABLE traits (" TIMES ", id $SERIAL, name VARCHAR(255) NOT NULL,"
    " CONSTRAINT uniq_traits0name UNIQUE (name));\n"
    "CREATE TABLE resource_provider_traits (" TIMES ", trait_id INTEGER NOT NULL,"
    " resource_provider_id INTEGER NOT NULL, PRIMARY KEY (trait_id, resource_provider_id));\n"
    "CREATE INDEX resource_provider_traits_resource_provider_trait_idx ON resource_provider_traits"
    " (resource_provider_id, trait_id);\n"
    "CREATE TABLE projects (" TIMES ", id $SERIAL, external_id VARCHAR(255) NOT NULL,"
    " CONSTRAINT uniq_projects0external_id UNIQUE (external_id));\n"
    "CREATE TABLE users (" TIMES ", id $SERIAL, external_id VARCHAR(255) NOT NULL,"
    " CONSTRAINT uniq_users0external_id UNIQUE (external_id));\n"
    "CREATE TABLE consumer_types (" TIMES ", id $SERIAL, name VARCHAR(255) NOT NULL,"
    " CONSTRAINT uniq_consumer_types0name UNIQUE (name));\n"
    "CREATE TABLE consumers (" TIMES ", id $SERIAL, uuid VARCHAR(36) NOT NULL, project_id INTEGER NOT NULL,"
    " user_id INTEGER NOT NULL, generation INTEGER DEFAULT 0 NOT NULL, consumer_type_id INTEGER NULL,"
    " CONSTRAINT uniq_consumers0uuid UNIQUE (uuid));\n"
    "CREATE INDEX consumers_project_id_uuid_idx ON consumers (project_id, uuid);\n"
    "CREATE INDEX consumers_project_id_user_id_uuid_idx ON consumers (project_id, user_id, uuid);\n"
    "CREATE INDEX consumers_consumer_type_id_idx ON consumers (consumer_type_id);\n"
    "CREATE TABLE nubo_placement_order (id INTEGER NOT NULL PRIMARY KEY, serial BIGINT NOT NULL);\n"
    "INSERT INTO nubo_placement_order (id, serial) VALUES (1, 0);\n"
    "CREATE TABLE nubo_placement_changes (id $SERIAL, provider_id INTEGER NOT NULL)";

static const struct migration migrations[] = { { 1, "the tables of 2023.1", tables } };

static struct fault *sync_classes(struct tx *tx)
{
    for (int i = 0; standard_classes[i] != NULL; i++) {
        int64_t id;
        TRY(placement_class_id(tx, standard_classes[i], &id));
        if (id < 0)
            TRY(sql_exec(tx, "INSERT INTO resource_classes (created_at, id, name) VALUES (?, ?, ?)",
                BIND(TEXT(placement_timestamp_now(tx_arena(tx))), INT(i), TEXT(standard_classes[i]))));
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
    .sync_command = "placement-manage db sync",
    .migrations = migrations,
    .migration_count = sizeof(migrations) / sizeof(migrations[0]),
    .roles = roles,
    .start = start,
    .stop = stop,
};
