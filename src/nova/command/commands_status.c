/* SPDX-License-Identifier: Apache-2.0
 *
 * nova-status upgrade check (nova/cmd/status.py).
 */
#include "nova/command/commands.h"

#include "nova/cells.h"
#include "oslo/json.h"
#include "oslo/rest.h"

#include <stdlib.h>
#include <string.h>

enum { PLACEMENT_MINOR = 36, OLDEST_COMPUTE = 64 }; /* 1.36: what the release's scheduler asks for; 64: Zed */

static struct fault *count(struct command_call *call, struct db *db, const char *sql, int64_t *ret)
{
    struct tx *tx;
    TRY(db_read(call->arena, db, &tx));
    TRY(sql_int_of(tx, ret, 0, sql, NO_BIND));
    tx_end(tx);
    return NULL;
}

static struct fault *check_cells(struct command_call *call, enum check_result *ret, const char **ret_details)
{
    int64_t cells, cell0, hosts, nodes;
    TRY(nova_command_open(call));
    TRY(count(call, cells_db(call->app), "SELECT COUNT(*) FROM cell_mappings", &cells));
    TRY(count(call, cells_db(call->app), "SELECT COUNT(*) FROM cell_mappings WHERE uuid = '" CELL0_UUID "'", &cell0));
    TRY(count(call, cells_db(call->app), "SELECT COUNT(*) FROM host_mappings", &hosts));
    TRY(count(call, call->app->db, "SELECT COUNT(*) FROM compute_nodes", &nodes));
    if (cells < 2 || cell0 == 0 || (hosts == 0 && nodes > 0))
        *ret = CHECK_FAILURE;
    if (cells < 2)
        *ret_details = "There needs to be at least two cell mappings, one for cell0 and one for your first cell. Run command"
            " 'nova-manage cell_v2 simple_cell_setup' and then retry.";
    else if (cell0 == 0)
        *ret_details = "No cell0 mapping found. Run command 'nova-manage cell_v2 simple_cell_setup' and then retry.";
    else if (hosts == 0 && nodes > 0)
        *ret_details = "No host mappings found but there are compute nodes. Run command 'nova-manage cell_v2"
            " simple_cell_setup' and then retry.";
    else if (hosts == 0)
        *ret_details = "No host mappings or compute nodes were found. Remember to run command 'nova-manage cell_v2"
            " discover_hosts' when new compute hosts are deployed.";
    return NULL;
}

static struct fault *check_placement(struct command_call *call, enum check_result *ret, const char **ret_details)
{
    struct context cx = command_context(call);
    struct rest_response response;
    struct fault *fault = rest_call(&cx, &(struct rest){ .service = "placement", .method = GET, .path = "/",
        .as = AS_SERVICE }, &response);
    *ret = CHECK_FAILURE;
    if (fault != NULL) {
        *ret_details = fault->status == 401 ? "Placement service credentials do not work."
            : fault->status == 404 ? "Placement API does not seem to be running."
            : arena_printf(call->arena, "Discovery for placement API URI failed. %s", fault->message);
        return NULL;
    }
    const json_t *version = json_array_get(json_at(response.body, "versions"), 0);
    const char *text = json_text_at(version, "max_version"), *dot = text != NULL ? strchr(text, '.') : NULL;
    if (dot != NULL && (strtol(text, NULL, 10) > 1 || strtol(dot + 1, NULL, 10) >= PLACEMENT_MINOR)) {
        *ret = CHECK_SUCCESS;
        return NULL;
    }
    *ret_details = arena_printf(call->arena, "Placement API version 1.%d needed, you have %s.", PLACEMENT_MINOR,
        text != NULL ? text : "none");
    return NULL;
}

/* A nova without [cinder] uses none. */
static struct fault *check_cinder(struct command_call *call, enum check_result *ret, const char **ret_details)
{
    const struct config *config = call->app->config;
    if (!config_has(config, "cinder", "auth_type") || config_str(config, "cinder", "auth_type") == NULL)
        return NULL;
    struct context cx = command_context(call);
    struct rest_response response;
    struct fault *fault = rest_call(&cx, &(struct rest){ .service = "volumev3", .method = GET, .path = "/", .as = AS_SERVICE,
        .accept_status = 300 }, &response);
    if (fault == NULL)
        return NULL;
    *ret = CHECK_WARNING;
    *ret_details = arena_printf(call->arena, "Unable to determine Cinder API version due to error: %s", fault->message);
    return NULL;
}

static struct fault *check_old_computes(struct command_call *call, enum check_result *ret, const char **ret_details)
{
    int64_t oldest;
    TRY(nova_command_open(call));
    TRY(count(call, call->app->db, "SELECT MIN(version) FROM services WHERE binary_name = 'nova-compute'", &oldest));
    if (oldest == 0 || oldest >= OLDEST_COMPUTE)
        return NULL;
    *ret = CHECK_FAILURE;
    *ret_details = arena_printf(call->arena, "Current Nova version does not support computes older than Zed but the minimum"
        " compute service level in your system is %lld and the oldest supported service level is %d.", (long long)oldest,
        OLDEST_COMPUTE);
    return NULL;
}

static struct fault *check_service_user(struct command_call *call, enum check_result *ret, const char **ret_details)
{
    if (config_bool(call->app->config, "service_user", "send_service_user_token"))
        return NULL;
    *ret = CHECK_FAILURE;
    *ret_details = "Service user token configuration is required for all Nova services: [service_user]"
        " send_service_user_token.";
    return NULL;
}

static struct fault *upgrade_run(struct command_call *call)
{
    static const struct upgrade_check checks[] = {
        { "Cells v2",                           check_cells },
        { "Placement API",                      check_placement },
        { "Cinder API",                         check_cinder },
        { "Policy File JSON to YAML Migration", command_check_policy_json },
        { "Older than N-1 computes",            check_old_computes },
        { "Service User Token Configuration",   check_service_user },
        { NULL },
    };
    return command_upgrade_check(call, checks);
}

static const struct command commands[] = {
    { "upgrade", "Checks before an upgrade.", upgrade_run, command_upgrade_arguments },
    { NULL },
};

const struct program nova_status = { "nova-status", "nova", "27.0.0", "category", NULL, commands };
