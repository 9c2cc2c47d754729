/* SPDX-License-Identifier: Apache-2.0
 *
 * nova-manage cell_v2: the actions, with the words and exit statuses of nova/cmd/manage.py. Every server is in the one cell
 * whose database is [database], so map_instances and verify_instance ask that database.
 */
#include "nova/cells.h"
#include "nova/command/commands.h"

#include "base/random.h"
#include "oslo/text_table.h"

#include <stdio.h>
#include <string.h>

#define CELL_UUID_REQUIRED(help_) { "--cell_uuid", ARGUMENT_TEXT, help_, .metavar = "<cell_uuid>", .required = true }
#define TRANSPORT_URL { "--transport-url", ARGUMENT_TEXT, "The transport url for the cell message queue", \
    .metavar = "<transport_url>", .other = "--transport_url" }
#define DATABASE_CONNECTION(help_) { "--database_connection", ARGUMENT_TEXT, help_, .metavar = "<database_connection>", \
    .other = "--database-connection" }

/* ---- Words ---- */

/* The password of a URL as ****, and "none:///" as Python's urlunparse writes it. */
static const char *masked(struct arena *arena, const char *url)
{
    const char *netloc = url != NULL ? strstr(url, "://") : NULL;
    if (netloc == NULL)
        return url;
    netloc += 3;
    size_t length = strcspn(netloc, "/?#");
    if (length == 0) /* a file's path keeps its slashes: sqlite:////var */
        return netloc[1] == '/' ? url : arena_printf(arena, "%.*s%s", (int)(netloc - 2 - url), url, netloc);
    const char *colon = memchr(netloc, ':', length), *at = memrchr(netloc, '@', length);
    if (colon == NULL || at == NULL || at < colon)
        return url;
    return arena_printf(arena, "%.*s****%s", (int)(colon + 1 - url), url, at);
}

/* What `nova-manage cell_v2 map_cell0` takes for cell0's database: the schema's name with "_cell0". */
static const char *nova_cell0_url(struct arena *arena, const char *url)
{
    size_t length = strcspn(url, "?");
    return arena_printf(arena, "%.*s_cell0%s", (int)length, url, url + length);
}

static void print_table(const struct text_table *table)
{
    BUF_CLEANUP struct buf out = { 0 };
    text_table_write(&out, table);
    fputs(buf_text(&out), stdout);
}

static struct fault *read_cells(struct command_call *call, struct cell **ret, size_t *ret_count)
{
    struct tx *tx;
    TRY(nova_command_open(call));
    TRY(db_read(call->arena, cells_db(call->app), &tx));
    TRY(cells_list(tx, ret, ret_count));
    tx_end(tx);
    return NULL;
}

static struct fault *find_cell(struct command_call *call, const char *uuid, struct cell **ret)
{
    struct tx *tx;
    TRY(nova_command_open(call));
    TRY(db_read(call->arena, cells_db(call->app), &tx));
    TRY(cells_find(tx, uuid, ret));
    tx_end(tx);
    if (*ret == NULL)
        printf("Cell with uuid %s was not found.\n", uuid);
    return NULL;
}

static struct fault *end(struct command_call *call, int status)
{
    return command_fail(call, status, NULL);
}

/* The one given, else the configuration's; NULL, having said why, when it is none. */
static const char *transport_url(const struct command_call *call)
{
    const char *url = command_text(call, "--transport-url");
    if (url == NULL || *url == '\0') {
        url = config_str(call->app->config, "DEFAULT", "transport_url");
        if (url == NULL || *url == '\0') {
            puts("Must specify --transport-url if [DEFAULT]/transport_url is not set in the configuration file.");
            return NULL;
        }
        puts("--transport-url not provided in the command line, using the value [DEFAULT]/transport_url from the"
             " configuration file");
    }
    if (strstr(url, "://") != NULL)
        return url;
    printf("Invalid transport URL: %s\n", "no scheme");
    return NULL;
}

static const char *database_connection(const struct command_call *call)
{
    const char *url = command_text(call, "--database_connection");
    if (url != NULL && *url != '\0')
        return url;
    url = app_database_url(call->app->service, call->app->config);
    if (url == NULL)
        puts("Must specify --database_connection if [database]/connection is not set in the configuration file.");
    else
        puts("--database_connection not provided in the command line, using the value [database]/connection from the"
             " configuration file");
    return url;
}

static bool taken(const struct cell *cells, size_t count, const struct cell *self, const char *transport, const char *database)
{
    for (size_t i = 0; i < count; i++) {
        if (self != NULL && strcmp(self->uuid, cells[i].uuid) == 0)
            continue;
        if ((database == NULL || cells[i].database_connection == NULL ||
                strcmp(cells[i].database_connection, database) != 0) &&
            (transport == NULL || cells[i].transport_url == NULL || strcmp(cells[i].transport_url, transport) != 0))
            continue;
        printf("The specified transport_url and/or database_connection combination already exists for another cell with"
               " uuid %s.\n", cells[i].uuid);
        return true;
    }
    return false;
}

/* ---- Cells ---- */

const struct argument nova_map_cell0_arguments[] = {
    DATABASE_CONNECTION("The database connection url for cell0; default: that of [database] with _cell0 at its end."),
    { NULL },
};

static struct fault *map_cell0(struct command_call *call, const char *database)
{
    const char *url = app_database_url(call->app->service, call->app->config);
    TRY(nova_command_open(call));
    struct fault *fault = cells_create(call->arena, cells_db(call->app), &(struct cell){ .uuid = CELL0_UUID, .name = "cell0",
        .transport_url = "none:///", .database_connection = database != NULL ? database : nova_cell0_url(call->arena, url) });
    if (fault != NULL && fault->status == 409) {
        puts("Cell0 is already setup");
        return NULL;
    }
    return fault;
}

struct fault *nova_map_cell0(struct command_call *call)
{
    return map_cell0(call, command_text(call, "--database_connection"));
}

const struct argument nova_create_cell_arguments[] = {
    { "--name", ARGUMENT_TEXT, "The name of the cell", .metavar = "<cell_name>" },
    DATABASE_CONNECTION("The database url for the cell database"),
    TRANSPORT_URL,
    { "--verbose", ARGUMENT_FLAG, "Output the uuid of the created cell" },
    { "--disabled", ARGUMENT_FLAG, "To create a pre-disabled cell." },
    { NULL },
};

struct fault *nova_create_cell(struct command_call *call)
{
    struct cell *cells;
    size_t count;
    const char *transport = transport_url(call), *database = transport != NULL ? database_connection(call) : NULL;
    if (transport == NULL || database == NULL)
        return end(call, 1);
    TRY(read_cells(call, &cells, &count));
    if (taken(cells, count, NULL, transport, database))
        return end(call, 2);
    const struct cell cell = { .uuid = uuid_new(call->arena), .name = command_text(call, "--name"),
        .transport_url = transport, .database_connection = database, .disabled = command_flag(call, "--disabled") };
    TRY(cells_create(call->arena, cells_db(call->app), &cell));
    if (command_flag(call, "--verbose"))
        puts(cell.uuid);
    return NULL;
}

const struct argument nova_update_cell_arguments[] = {
    CELL_UUID_REQUIRED("The uuid of the cell to update."),
    { "--name", ARGUMENT_TEXT, "Set the cell name.", .metavar = "<cell_name>" },
    TRANSPORT_URL,
    DATABASE_CONNECTION("Set the cell database_connection."),
    { "--disable", ARGUMENT_FLAG, "Disables the cell: nothing is scheduled to it." },
    { "--enable", ARGUMENT_FLAG, "Enables the cell." },
    { NULL },
};

/* disabled as asked for; a status > 0 ends the command. */
static int switch_cell(const struct command_call *call, struct cell *cell)
{
    bool disable = command_flag(call, "--disable"), enable = command_flag(call, "--enable");
    if (disable && enable) {
        puts("Cell cannot be disabled and enabled at the same time.");
        return 4;
    }
    if (!disable && !enable)
        return 0;
    if (strcmp(cell->uuid, CELL0_UUID) == 0) {
        puts("Cell0 cannot be disabled.");
        return 5;
    }
    if (cell->disabled == disable)
        printf("Cell %s is already %s\n", cell->uuid, disable ? "disabled" : "enabled");
    cell->disabled = disable;
    return 0;
}

struct fault *nova_update_cell(struct command_call *call)
{
    struct cell *cell, *cells;
    size_t count;
    TRY(find_cell(call, command_text(call, "--cell_uuid"), &cell));
    if (cell == NULL)
        return end(call, 1);
    TRY(read_cells(call, &cells, &count));
    const char *transport = transport_url(call), *database = database_connection(call);
    if (taken(cells, count, cell, transport, database))
        return end(call, 3);
    cell->name = command_text(call, "--name") != NULL ? command_text(call, "--name") : cell->name;
    cell->transport_url = transport != NULL ? transport : cell->transport_url;
    cell->database_connection = database != NULL ? database : cell->database_connection;
    int status = switch_cell(call, cell);
    if (status > 0)
        return end(call, status);
    return db_exec(call->arena, cells_db(call->app), "UPDATE cell_mappings SET name = ?, transport_url = ?,"
        " database_connection = ?, disabled = ? WHERE id = ?", BIND(TEXT(cell->name), TEXT(cell->transport_url),
        TEXT(cell->database_connection), INT(cell->disabled), INT(cell->id)), NULL);
}

const struct argument nova_delete_cell_arguments[] = {
    { "--force", ARGUMENT_FLAG, "Delete hosts that belong to the cell as well." },
    CELL_UUID_REQUIRED("The uuid of the cell to delete."),
    { NULL },
};

static struct fault *count_of(struct command_call *call, struct db *db, const char *sql, const struct sql_value *values,
    size_t count, int64_t *ret)
{
    struct tx *tx;
    TRY(db_read(call->arena, db, &tx));
    TRY(sql_int_of(tx, ret, 0, sql, values, count));
    tx_end(tx);
    return NULL;
}

static struct fault *delete_run(struct tx *tx, void *argument)
{
    const struct cell *cell = argument;
    TRY(sql_exec(tx, "DELETE FROM host_mappings WHERE cell_id = ?", BIND(INT(cell->id))));
    return sql_exec(tx, "DELETE FROM cell_mappings WHERE id = ?", BIND(INT(cell->id)));
}

struct fault *nova_delete_cell(struct command_call *call)
{
    const char *uuid = command_text(call, "--cell_uuid"), *url = app_database_url(call->app->service, call->app->config);
    struct cell *cell;
    int64_t hosts, servers = 0;
    TRY(find_cell(call, uuid, &cell));
    if (cell == NULL)
        return end(call, 1);
    TRY(count_of(call, cells_db(call->app), "SELECT COUNT(*) FROM host_mappings WHERE cell_id = ?", BIND(INT(cell->id)), &hosts));
    if (hosts > 0 && !command_flag(call, "--force")) {
        printf("There are existing hosts mapped to cell with uuid %s.\n", uuid);
        return end(call, 2);
    }
    if (url != NULL && cell->database_connection != NULL && strcmp(cell->database_connection, url) == 0)
        TRY(count_of(call, call->app->db, "SELECT COUNT(*) FROM instances WHERE deleted = 0", NO_BIND, &servers));
    if (servers > 0) {
        printf("There are existing instances mapped to cell with uuid %s.\n", uuid);
        return end(call, 3);
    }
    return db_write(call->arena, cells_db(call->app), delete_run, cell);
}

const struct argument nova_list_cells_arguments[] = {
    { "--verbose", ARGUMENT_FLAG, "Show sensitive details, such as passwords" },
    { NULL },
};

static const char *name_of(const struct cell *cell)
{
    return cell->name != NULL ? cell->name : "";
}

struct fault *nova_list_cells(struct command_call *call)
{
    static const char *const headers[] = { "Name", "UUID", "Transport URL", "Database Connection", "Disabled" };
    struct text_table *table = text_table_create(call->arena, headers, 5, false, false);
    bool verbose = command_flag(call, "--verbose");
    struct cell *cells;
    size_t count;
    TRY(read_cells(call, &cells, &count));
    for (size_t i = 0; i < count; i++) { /* by name; a handful of rows */
        size_t least = i;
        for (size_t j = i + 1; j < count; j++)
            least = strcmp(name_of(&cells[j]), name_of(&cells[least])) < 0 ? j : least;
        struct cell cell = cells[least];
        cells[least] = cells[i];
        cells[i] = cell;
        text_table_add(table, (const char *const[]){ name_of(&cell), cell.uuid,
            verbose ? cell.transport_url : masked(call->arena, cell.transport_url),
            verbose ? cell.database_connection : masked(call->arena, cell.database_connection),
            cell.disabled ? "True" : "False" });
    }
    print_table(table);
    return NULL;
}

/* ---- Hosts ---- */

const struct argument nova_list_hosts_arguments[] = {
    { "--cell_uuid", ARGUMENT_TEXT, "The uuid of the cell.", .metavar = "<cell_uuid>" },
    { NULL },
};

struct fault *nova_list_hosts(struct command_call *call)
{
    static const char *const headers[] = { "Cell Name", "Cell UUID", "Hostname" };
    struct text_table *table = text_table_create(call->arena, headers, 3, false, false);
    const char *uuid = command_text(call, "--cell_uuid");
    struct cell *cell = NULL;
    struct host_mapping *hosts;
    size_t count;
    struct tx *tx;
    TRY(nova_command_open(call));
    if (uuid != NULL) {
        TRY(find_cell(call, uuid, &cell));
        if (cell == NULL)
            return end(call, 1);
    }
    TRY(db_read(call->arena, cells_db(call->app), &tx));
    TRY(cells_hosts(tx, cell != NULL ? cell->id : 0, &hosts, &count));
    tx_end(tx);
    for (size_t i = 0; i < count; i++)
        text_table_add(table, (const char *const[]){ hosts[i].cell_name, hosts[i].cell_uuid, hosts[i].host });
    print_table(table);
    return NULL;
}

const struct argument nova_discover_hosts_arguments[] = {
    { "--cell_uuid", ARGUMENT_TEXT, "If provided only this cell will be searched for new hosts to map.",
      .metavar = "<cell_uuid>" },
    { "--verbose", ARGUMENT_FLAG, "Provide detailed output when discovering hosts." },
    { "--strict", ARGUMENT_FLAG, "Considered successful (exit code 0) only when an unmapped host is discovered." },
    { "--by-service", ARGUMENT_FLAG, "Discover hosts by service instead of compute node" },
    { NULL },
};

/* A compute host of a cell's database. */
struct found_host {
    const char *host, *uuid; /* uuid NULL: found by its service */
};

static struct fault *hosts_of(struct command_call *call, struct db *db, bool by_service, struct found_host **ret,
    size_t *ret_count)
{
    struct tx *tx;
    struct rows *rows;
    int64_t total;
    TRY(count_of(call, db, by_service ? "SELECT COUNT(*) FROM services WHERE binary_name = 'nova-compute'"
                                      : "SELECT COUNT(*) FROM compute_nodes", NO_BIND, &total));
    *ret = ARENA_ARRAY(call->arena, struct found_host, (size_t)total + 1);
    *ret_count = 0;
    TRY(db_read(call->arena, db, &tx));
    TRY(sql_query(tx, &rows, by_service ? "SELECT host, NULL FROM services WHERE binary_name = 'nova-compute' ORDER BY id"
                                        : "SELECT host, uuid FROM compute_nodes ORDER BY id", NO_BIND));
    while (*ret_count < (size_t)total && rows_next(rows))
        (*ret)[(*ret_count)++] = (struct found_host){ rows_text(rows, 0), rows_text(rows, 1) };
    rows_end(rows);
    TRY(rows_fault(rows));
    tx_end(tx);
    return NULL;
}

static struct fault *mapped_hosts(struct command_call *call, struct map *mapped)
{
    struct tx *tx;
    struct host_mapping *hosts;
    size_t count;
    TRY(db_read(call->arena, cells_db(call->app), &tx));
    TRY(cells_hosts(tx, 0, &hosts, &count));
    tx_end(tx);
    for (size_t i = 0; i < count; i++)
        map_set(mapped, hosts[i].host, NULL);
    return NULL;
}

static struct fault *map_hosts(struct command_call *call, const struct cell *cell, const struct found_host *hosts, size_t count,
    bool verbose, size_t *ret_new)
{
    struct map mapped = { 0 };
    struct fault *fault = mapped_hosts(call, &mapped);
    for (size_t i = 0; fault == NULL && i < count; i++) {
        const struct found_host *h = &hosts[i];
        bool made;
        if (map_has(&mapped, h->host))
            continue;
        if (verbose && h->uuid != NULL)
            printf("Checking host mapping for compute host '%s': %s\nCreating host mapping for compute host '%s': %s\n",
                h->host, h->uuid, h->host, h->uuid);
        else if (verbose)
            printf("Creating host mapping for service %s\n", h->host);
        fault = cells_map_host(call->arena, cells_db(call->app), cell->id, h->host, &made);
        *ret_new += fault == NULL && made;
    }
    map_release(&mapped);
    return fault;
}

static struct fault *discover_in(struct command_call *call, const struct cell *cell, bool verbose, size_t *ret_new)
{
    const char *url = app_database_url(call->app->service, call->app->config);
    bool own = url != NULL && cell->database_connection != NULL && strcmp(url, cell->database_connection) == 0;
    struct db *db = call->app->db;
    struct found_host *hosts;
    size_t count, before = *ret_new;
    if (verbose && cell->name != NULL && *cell->name != '\0')
        printf("Getting computes from cell '%s': %s\n", cell->name, cell->uuid);
    else if (verbose)
        printf("Getting computes from cell: %s\n", cell->uuid);
    if (!own)
        TRY(command_database_of(call, cell->database_connection, &db));
    struct fault *fault = hosts_of(call, db, command_flag(call, "--by-service"), &hosts, &count);
    if (!own)
        db_close(db);
    TRY(fault);
    TRY(map_hosts(call, cell, hosts, count, verbose, ret_new));
    if (verbose)
        printf("Found %zu unmapped computes in cell: %s\n", *ret_new - before, cell->uuid);
    return NULL;
}

struct fault *nova_discover_hosts(struct command_call *call)
{
    const char *uuid = command_text(call, "--cell_uuid");
    bool verbose = command_flag(call, "--verbose");
    struct cell *cells;
    size_t count, found = 0;
    TRY(read_cells(call, &cells, &count));
    if (verbose && uuid == NULL)
        printf("Found %zu cell mappings.\n", count);
    bool known = uuid == NULL;
    for (size_t i = 0; i < count; i++) {
        if (uuid != NULL && strcmp(uuid, cells[i].uuid) != 0)
            continue;
        known = true;
        if (strcmp(cells[i].uuid, CELL0_UUID) != 0)
            TRY(discover_in(call, &cells[i], verbose, &found));
        else if (verbose)
            puts("Skipping cell0 since it does not contain hosts.");
    }
    if (!known)
        return fault_new(call->arena, 404, NULL, "Cell %s has no mapping.", uuid);
    call->status = command_flag(call, "--strict") && found == 0 ? 1 : 0;
    return NULL;
}

const struct argument nova_delete_host_arguments[] = {
    CELL_UUID_REQUIRED("The uuid of the cell."),
    { "--host", ARGUMENT_TEXT, "The host to delete.", .metavar = "<host>", .required = true },
    { NULL },
};

struct fault *nova_delete_host(struct command_call *call)
{
    const char *host = command_text(call, "--host"), *uuid = command_text(call, "--cell_uuid");
    struct cell *cell;
    int64_t cell_id, servers;
    TRY(find_cell(call, uuid, &cell));
    if (cell == NULL)
        return end(call, 1);
    TRY(count_of(call, cells_db(call->app), "SELECT cell_id FROM host_mappings WHERE host = ?", BIND(TEXT(host)), &cell_id));
    if (cell_id == 0) {
        printf("The host %s was not found.\n", host);
        return end(call, 2);
    }
    if (cell_id != cell->id) {
        printf("The host %s was not found in the cell %s.\n", host, uuid);
        return end(call, 3);
    }
    TRY(count_of(call, call->app->db, "SELECT COUNT(*) FROM instances WHERE host = ? AND deleted = 0", BIND(TEXT(host)),
        &servers));
    if (servers > 0) {
        printf("There are instances on the host %s.\n", host);
        return end(call, 4);
    }
    return cells_unmap_host(call->arena, cells_db(call->app), host);
}

/* ---- Set-up in one go ---- */

const struct argument nova_map_cell_and_hosts_arguments[] = {
    TRANSPORT_URL,
    { "--name", ARGUMENT_TEXT, "The name of the cell", .metavar = "<cell_name>" },
    { "--verbose", ARGUMENT_FLAG, "Output the cell mapping uuid for any newly mapped hosts." },
    { NULL },
};

/* The uuid of the cell that the hosts are of; NULL: there are no hosts. */
static struct fault *map_cell_and_hosts(struct command_call *call, const char *transport, const char *name, bool verbose,
    const char **ret_uuid)
{
    struct found_host *hosts;
    struct cell cell = { 0 }, *present;
    struct host_mapping *mappings;
    size_t count, mapped, made = 0;
    struct tx *tx;
    *ret_uuid = NULL;
    TRY(nova_command_open(call));
    TRY(hosts_of(call, call->app->db, false, &hosts, &count));
    if (count == 0) {
        puts("No hosts found to map to cell, exiting.");
        return NULL;
    }
    TRY(db_read(call->arena, cells_db(call->app), &tx));
    TRY(cells_hosts(tx, 0, &mappings, &mapped));
    for (size_t i = 0; verbose && i < mapped; i++)
        printf("Host %s is already mapped to cell %s\n", mappings[i].host, mappings[i].cell_uuid);
    if (mapped > 0)
        cell = (struct cell){ .id = mappings[0].cell_id, .uuid = mappings[0].cell_uuid };
    tx_end(tx);
    if (cell.uuid == NULL) {
        cell.uuid = uuid_new(call->arena);
        TRY(cells_create(call->arena, cells_db(call->app), &(struct cell){ .uuid = cell.uuid, .name = name,
            .transport_url = transport, .database_connection = app_database_url(call->app->service, call->app->config) }));
        TRY(find_cell(call, cell.uuid, &present));
        cell.id = present->id;
    }
    TRY(map_hosts(call, &cell, hosts, count, false, &made));
    *ret_uuid = cell.uuid;
    if (made == 0)
        puts("All hosts are already mapped to cell(s).");
    else if (verbose)
        puts(cell.uuid);
    return NULL;
}

struct fault *nova_map_cell_and_hosts(struct command_call *call)
{
    const char *transport = transport_url(call), *uuid;
    if (transport == NULL)
        return end(call, 1);
    return map_cell_and_hosts(call, transport, command_text(call, "--name"), command_flag(call, "--verbose"), &uuid);
}

const struct argument nova_simple_cell_setup_arguments[] = { TRANSPORT_URL, { NULL } };

struct fault *nova_simple_cell_setup(struct command_call *call)
{
    const char *transport = transport_url(call), *uuid;
    if (transport == NULL)
        return end(call, 1);
    TRY(map_cell0(call, NULL));
    TRY(map_cell_and_hosts(call, transport, NULL, false, &uuid));
    return uuid == NULL ? end(call, 1) : NULL;
}

/* ---- Servers ---- */

const struct argument nova_map_instances_arguments[] = {
    CELL_UUID_REQUIRED("Unmigrated instances will be mapped to the cell with the uuid provided."),
    { "--max-count", ARGUMENT_TEXT, "Maximum number of instances to map.", .metavar = "<max_count>" },
    { "--reset", ARGUMENT_FLAG, "Start from the beginning." },
    { NULL },
};

struct fault *nova_map_instances(struct command_call *call)
{
    const char *max_count = command_text(call, "--max-count"), *uuid = command_text(call, "--cell_uuid");
    struct cell *cell;
    struct tx *tx;
    if (max_count != NULL && (*max_count == '\0' || max_count[strspn(max_count, "0123456789")] != '\0' ||
                                 strspn(max_count, "0") == strlen(max_count))) {
        puts("Must supply a positive value for max-count");
        return end(call, 127);
    }
    TRY(nova_command_open(call));
    TRY(db_read(call->arena, cells_db(call->app), &tx));
    TRY(cells_find(tx, uuid, &cell));
    tx_end(tx);
    return cell != NULL ? NULL : fault_new(call->arena, 404, NULL, "Cell %s has no mapping.", uuid);
}

const struct argument nova_verify_instance_arguments[] = {
    { "--uuid", ARGUMENT_TEXT, "The instance UUID to verify", .metavar = "<instance_uuid>", .required = true },
    { "--quiet", ARGUMENT_FLAG, "Do not print anything" },
    { NULL },
};

struct fault *nova_verify_instance(struct command_call *call)
{
    const char *uuid = command_text(call, "--uuid"), *url = app_database_url(call->app->service, call->app->config);
    bool say = !command_flag(call, "--quiet");
    struct cell *cells;
    size_t count;
    int64_t deleted;
    TRY(read_cells(call, &cells, &count));
    TRY(count_of(call, call->app->db, "SELECT MAX(deleted + 1) FROM instances WHERE uuid = ?", BIND(TEXT(uuid)), &deleted));
    if (deleted == 0) {
        if (say)
            printf("Instance %s is not mapped to a cell (upgrade is incomplete) or instance does not exist\n", uuid);
        return end(call, 1);
    }
    if (deleted > 1) {
        if (say)
            printf("The instance with uuid %s has been deleted.\n", uuid);
        return end(call, 3);
    }
    for (size_t i = 0; i < count; i++)
        if (strcmp(cells[i].uuid, CELL0_UUID) != 0 && url != NULL && cells[i].database_connection != NULL &&
            strcmp(cells[i].database_connection, url) == 0) {
            if (say)
                printf("Instance %s is in cell: %s (%s)\n", uuid, name_of(&cells[i]), cells[i].uuid);
            return NULL;
        }
    if (say)
        printf("Instance %s is not mapped to a cell\n", uuid);
    return end(call, 2);
}
