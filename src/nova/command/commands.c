/* SPDX-License-Identifier: Apache-2.0
 *
 * nova-manage (nova/cmd/manage.py): schemas, and the table of all commands.
 */
#include "nova/command/commands.h"

#include "nova/cells.h"
#include "nova/migrations.h"
#include "oslo/text_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- db, api_db ---- */

static const struct argument sync_arguments[] = {
    { "version", ARGUMENT_TEXT, "Database version", .metavar = "VERSION" },
    { "--local_cell", ARGUMENT_FLAG, "Only sync db in the local cell: do not attempt to fan-out to all cells" },
    { NULL },
};

static const struct argument api_sync_arguments[] = {
    { "version", ARGUMENT_TEXT, "Database version", .metavar = "VERSION" },
    { NULL },
};

static struct fault *refuse_version(struct command_call *call)
{
    const char *version = command_text(call, "version");
    if (version == NULL || strcmp(version, "head") == 0)
        return NULL;
    return fault_new(call->arena, 500, NULL, "The database is only brought to the newest version, not to %s.", version);
}

static struct fault *db_sync_run(struct command_call *call)
{
    TRY(refuse_version(call));
    TRY(command_database(call));
    return command_sync(call, call->app->db, nova_migrations, NOVA_MIGRATIONS);
}

static struct fault *print_version(struct command_call *call, struct db *db)
{
    struct tx *tx;
    int number;
    TRY(db_read(call->arena, db, &tx)); /* what fails from here on is that nobody made the tables */
    tx_end(tx);
    if (db_version(call->arena, db, &number) != NULL || number == 0)
        puts("None");
    else
        printf("%d\n", number);
    return NULL;
}

static struct fault *db_version_run(struct command_call *call)
{
    TRY(command_database(call));
    return print_version(call, call->app->db);
}

/* Without a database of their own the cells' tables come with `db sync`. */
static struct fault *api_sync_run(struct command_call *call)
{
    TRY(refuse_version(call));
    if (cells_database_url(call->app->config) == NULL)
        return db_sync_run(call);
    TRY(nova_command_open_cells(call));
    return command_sync(call, call->app->private, nova_api_migrations, NOVA_API_MIGRATIONS);
}

static struct fault *api_version_run(struct command_call *call)
{
    TRY(nova_command_open(call));
    return print_version(call, cells_db(call->app));
}

static const struct argument online_arguments[] = {
    { "--max-count", ARGUMENT_TEXT, "Maximum number of objects to consider", .metavar = "<number>" },
    { NULL },
};

/* Our schema changes with its migrations; there is never anything left for later. */
static struct fault *online_run(struct command_call *call)
{
    static const char *const headers[] = { "Migration", "Total Needed", "Completed" };
    const char *max_count = command_text(call, "--max-count");
    if (max_count != NULL && (max_count[strspn(max_count, "0123456789")] != '\0' || strtoll(max_count, NULL, 10) < 1)) {
        puts("Must supply a positive value for max_number");
        return command_fail(call, 127, NULL);
    }
    if (max_count == NULL)
        puts("Running batches of 50 until complete");
    TRY(command_database(call));
    BUF_CLEANUP struct buf out = { 0 };
    text_table_write(&out, text_table_create(call->arena, headers, 3, false, false));
    fputs(buf_text(&out), stdout);
    return NULL;
}

static const struct command commands[] = {
    { "api_db sync", "Sync the database up to the most recent version.", api_sync_run, api_sync_arguments },
    { "api_db version", "Print the current database version.", api_version_run },
    { "cell_v2 create_cell", "Add a new cell to nova API database.", nova_create_cell, nova_create_cell_arguments },
    { "cell_v2 delete_cell", "Delete an empty cell by the given uuid.", nova_delete_cell, nova_delete_cell_arguments },
    { "cell_v2 delete_host", "Delete a host in a cell (host mappings) by the given host name", nova_delete_host,
      nova_delete_host_arguments },
    { "cell_v2 discover_hosts", "Searches cells, or a single cell, and maps found hosts.", nova_discover_hosts,
      nova_discover_hosts_arguments },
    { "cell_v2 list_cells", "Lists the v2 cells in the deployment.", nova_list_cells, nova_list_cells_arguments },
    { "cell_v2 list_hosts", "Lists the hosts in one or all v2 cells.", nova_list_hosts, nova_list_hosts_arguments },
    { "cell_v2 map_cell0", "Create a cell mapping for cell0.", nova_map_cell0, nova_map_cell0_arguments },
    { "cell_v2 map_cell_and_hosts", "Create a cell mapping and host mappings for a cell.", nova_map_cell_and_hosts,
      nova_map_cell_and_hosts_arguments },
    { "cell_v2 map_instances", "Map instances into the provided cell.", nova_map_instances, nova_map_instances_arguments },
    { "cell_v2 simple_cell_setup", "Simple cellsv2 setup.", nova_simple_cell_setup, nova_simple_cell_setup_arguments },
    { "cell_v2 update_cell", "Updates the properties of a cell by the given uuid.", nova_update_cell,
      nova_update_cell_arguments },
    { "cell_v2 verify_instance", "Verify instance mapping to a cell.", nova_verify_instance,
      nova_verify_instance_arguments },
    { "db archive_deleted_rows", "Move deleted rows from production tables to shadow tables.", nova_archive_deleted_rows,
      nova_archive_arguments },
    { "db online_data_migrations", "Perform data migration to update all live data.", online_run, online_arguments },
    { "db purge", "Purge rows in the shadow tables.", nova_purge, nova_purge_arguments },
    { "db sync", "Sync the database up to the most recent version.", db_sync_run, sync_arguments },
    { "db version", "Print the current database version.", db_version_run },
    { NULL },
};

const struct program nova_manage = { "nova-manage", "nova", "27.0.0", "category", NULL, commands };
