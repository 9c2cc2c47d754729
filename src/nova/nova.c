/* SPDX-License-Identifier: Apache-2.0
 *
 * nova: the service's tables: options, policies, routes, roles.
 */
#include "nova/nova.h"

#include "nova/api/api.h"
#include "nova/cells.h"
#include "nova/command/commands.h"
#include "nova/migrations.h"
#include "nova/roles.h"
#include "oslo/middleware.h"

static const struct option option_rows[] = {
    { "api_database", "connection", OPTION_STR, NULL, "The database of cells and their hosts; [database] when not set.",
      .secret = true },
    CORS_OPTIONS("X-Auth-Token,X-Openstack-Request-Id,X-Identity-Status,X-Roles,X-Service-Catalog,"
                 "X-User-Id,X-Tenant-Id,X-OpenStack-Nova-API-Version,OpenStack-API-Version",
                 "X-Auth-Token,X-Openstack-Request-Id,X-Subject-Token,X-Service-Token,"
                 "X-OpenStack-Nova-API-Version,OpenStack-API-Version", "GET,PUT,POST,DELETE,PATCH"),
    { "DEFAULT", "enabled_apis", OPTION_LIST, "osapi_compute,metadata", "List of APIs to be enabled by default.",
      .choices = OPTION_WORDS("osapi_compute", "metadata") },
    { "DEFAULT", "osapi_compute_listen", OPTION_STR, "0.0.0.0", "IP address on which the OpenStack API will listen." },
    { "DEFAULT", "osapi_compute_listen_port", OPTION_PORT, "8774", "Port on which the OpenStack API will listen." },
    { "DEFAULT", "metadata_listen", OPTION_STR, "0.0.0.0", "IP address on which the metadata API will listen." },
    { "DEFAULT", "metadata_listen_port", OPTION_PORT, "8775", "Port on which the metadata API will listen." },
    { "DEFAULT", "state_path", OPTION_STR, "/var/lib/nova", "The top-level directory for maintaining Nova's state." },
    { "DEFAULT", "default_availability_zone", OPTION_STR, "nova", "The zone of hosts that are in no aggregate with one." },
    { "DEFAULT", "default_schedule_zone", OPTION_STR, NULL, "The zone of servers that ask for none." },
    { "DEFAULT", "internal_service_availability_zone", OPTION_STR, "internal", "The zone in which services but nova-compute are listed." },
    { "DEFAULT", "service_down_time", OPTION_INT, "60", "Seconds without a report after which a service counts as down.", .min = 1, .max = INT32_MAX },
    { "DEFAULT", "report_interval", OPTION_INT, "10", "Seconds between reports of services.", .min = 1, .max = INT32_MAX },
    { "DEFAULT", "lost_message_interval", OPTION_INT, "60", "Seconds between looks for servers that wait for a message; for one that has"
      " waited for two such times it is taken as lost, and its work begins.", .min = 1, .max = 86400 },
    { "DEFAULT", "force_config_drive", OPTION_BOOL, "false", "Give every server a config drive." },
    { "api", "max_limit", OPTION_INT, "1000", "The most rows of one answer.", .min = 0, .max = INT32_MAX },
    { "api", "enable_instance_password", OPTION_BOOL, "true", "Whether the answer to a new server has its password." },
    { "quota", "instances", OPTION_INT, "10", "Servers of a project; -1 for no limit.", .min = -1, .max = INT32_MAX, .reloadable = true },
    { "quota", "cores", OPTION_INT, "20", "Virtual CPUs of a project.", .min = -1, .max = INT32_MAX, .reloadable = true },
    { "quota", "ram", OPTION_INT, "51200", "Megabytes of memory of a project.", .min = -1, .max = INT32_MAX, .reloadable = true },
    { "quota", "metadata_items", OPTION_INT, "128", "Metadata items of a server.", .min = -1, .max = INT32_MAX, .reloadable = true },
    { "quota", "injected_files", OPTION_INT, "5", "Files put into a server.", .min = -1, .max = INT32_MAX, .reloadable = true },
    { "quota", "injected_file_content_bytes", OPTION_INT, "10240", "Bytes of one such file.", .min = -1, .max = INT32_MAX, .reloadable = true },
    { "quota", "injected_file_path_length", OPTION_INT, "255", "Length of its path.", .min = -1, .max = INT32_MAX, .reloadable = true },
    { "quota", "key_pairs", OPTION_INT, "100", "Key pairs of a user.", .min = -1, .max = INT32_MAX, .reloadable = true },
    { "quota", "server_groups", OPTION_INT, "10", "Server groups of a project.", .min = -1, .max = INT32_MAX, .reloadable = true },
    { "quota", "server_group_members", OPTION_INT, "10", "Servers of a user in a server group.", .min = -1, .max = INT32_MAX, .reloadable = true },
    { "oslo_policy", "enforce_scope", OPTION_BOOL, "true", "Whether the scope of the token must be one of the policy's." },
    { "oslo_policy", "enforce_new_defaults", OPTION_BOOL, "true", "Whether deprecated policy defaults are ignored." },
};
const struct option_table nova_options = OPTION_TABLE(option_rows);
static const struct option_table *const option_tables[] = { &nova_options, &nova_scheduler_options, &nova_compute_options,
    &nova_metadata_options, &nova_known_options, &nova_target_options, &nova_service_user_options, NULL };

static const struct policy_table *const policy_tables[] = { &nova_policies, NULL };

static const struct route_table *const route_tables[] = {
    &nova_version_routes, &nova_flavor_routes, &nova_flavor_extra_routes, &nova_keypair_routes, &nova_server_routes,
    &nova_server_action_routes, &nova_server_metadata_routes, &nova_server_tag_routes, &nova_server_security_group_routes,
    &nova_instance_action_routes, &nova_interface_routes, &nova_hypervisor_routes, &nova_service_routes, &nova_zone_routes,
    &nova_aggregate_routes, &nova_limit_routes, &nova_quota_routes, &nova_server_group_routes, &nova_external_event_routes,
    &nova_usage_routes, NULL,
};

static const struct route_table *const metadata_tables[] = { &nova_metadata_routes, NULL };

static const struct listener listeners[] = {
    { "metadata", 8775, metadata_tables, "metadata_listen", "metadata_listen_port" },
    { NULL },
};

static struct fault *api_start(struct context *cx)
{
    struct service_row row;

    return service_report(cx->arena, cx->app->db, cx->app->cloud->host, "nova-osapi_compute", "osapi_compute", &row);
}

static const struct program *const programs[] = { &nova_manage, &nova_status, NULL };

static const struct role roles[] = {
    { "nova-api",          api_start,            NULL, .database = true, .serves = OPTION_WORDS("osapi_compute", "metadata"),
      .serves_option = "enabled_apis" },
    { "nova-api-metadata", NULL,                 NULL, .database = true, .serves = OPTION_WORDS("metadata") },
    { "nova-conductor",    nova_conductor_start, nova_conductor_stop, .ready = nova_conductor_ready, .database = true },
    { "nova-scheduler",    nova_scheduler_start, nova_scheduler_stop, .database = true },
    { "nova-compute",      nova_compute_start,   nova_compute_stop, .ready = nova_compute_ready },
    { NULL },
};

const struct service nova_service = {
    .name = "nova",
    .type = "compute",
    .description = "OpenStack Compute",
    .endpoint = "/v2.1",
    .port = 8774,
    .api_name = "osapi_compute",
    .host_option = "osapi_compute_listen",
    .port_option = "osapi_compute_listen_port",
    .dialect = &nova_dialect,
    .routes = route_tables,
    .options = option_tables,
    .policies = policy_tables,
    .sync_command = "nova-manage db sync",
    .migrations = nova_migrations,
    .migration_count = NOVA_MIGRATIONS,
    .flows = nova_flows,
    .roles = roles,
    .start = cells_start,
    .stop = cells_stop,
    .programs = programs,
    .listeners = listeners,
    .targets = nova_targets,
};
