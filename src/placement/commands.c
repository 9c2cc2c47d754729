/* SPDX-License-Identifier: Apache-2.0
 *
 * placement-manage and placement-status (placement/cmd/).
 */
#include "placement/commands.h"

#include "oslo/text_table.h"
#include "placement/api.h"
#include "placement/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 50 };

static struct fault *db_sync_run(struct command_call *call)
{
    TRY(command_database(call));
    return command_sync(call, call->app->db, placement_migrations, PLACEMENT_MIGRATIONS);
}

static struct fault *db_version_run(struct command_call *call)
{
    struct tx *tx;
    const char *revision = NULL;
    TRY(command_database(call));
    TRY(db_read(call->arena, call->app->db, &tx));
    if (sql_text_of(tx, &revision, "SELECT version_num FROM alembic_version", NO_BIND) != NULL)
        revision = NULL; /* nobody has made the tables */
    tx_end(tx);
    puts(revision != NULL ? revision : "None");
    return NULL;
}

static const struct argument stamp_arguments[] = {
    { "version", ARGUMENT_TEXT, "the version to stamp", .required = true },
    { NULL },
};

static struct fault *stamp_write(struct tx *tx, void *argument)
{
    TRY(sql_exec(tx, "CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32) NOT NULL, PRIMARY KEY (version_num))",
        NO_BIND));
    TRY(sql_exec(tx, "DELETE FROM alembic_version", NO_BIND));
    return sql_exec(tx, "INSERT INTO alembic_version (version_num) VALUES (?)", BIND(TEXT(argument)));
}

static struct fault *db_stamp_run(struct command_call *call)
{
    const char *version = command_text(call, "version");
    if (strcmp(version, "head") != 0 && strcmp(version, PLACEMENT_REVISION) != 0)
        return fault_new(call->arena, 500, NULL, "Can't locate revision identified by '%s'", version);
    TRY(command_database(call));
    return db_write(call->arena, call->app->db, stamp_write, PLACEMENT_REVISION);
}

/* ---- Online data migrations ---- */

/* One batch of one of them. */
struct batch {
    struct command_call *call;
    int64_t limit;
    int64_t done;
};

static struct fault *set_root_provider_ids(struct tx *tx, void *argument)
{
    struct batch *batch = argument;
    return sql_exec_changed(tx, "UPDATE resource_providers SET root_provider_id = id WHERE id IN (SELECT id FROM (SELECT id"
        " FROM resource_providers WHERE root_provider_id IS NULL LIMIT ?) AS missing)", BIND(INT(batch->limit)), &batch->done);
}

/* The id of a project or user by its external id; it is made when it is not there. */
static struct fault *external_id(struct tx *tx, const char *find, const char *make, const char *external, int64_t *ret)
{
    TRY(sql_int_of(tx, ret, -1, find, BIND(TEXT(external))));
    if (*ret >= 0)
        return NULL;
    return sql_insert(tx, make, BIND(TEXT(placement_timestamp_now(tx_arena(tx))), TEXT(external)), ret);
}

static struct fault *create_incomplete_consumers(struct tx *tx, void *argument)
{
    struct batch *batch = argument;
    const struct config *config = batch->call->app->config;
    int64_t project, user;
    TRY(external_id(tx, "SELECT id FROM projects WHERE external_id = ?", "INSERT INTO projects (created_at, external_id)"
        " VALUES (?, ?)", config_str(config, "placement", "incomplete_consumer_project_id"), &project));
    TRY(external_id(tx, "SELECT id FROM users WHERE external_id = ?", "INSERT INTO users (created_at, external_id)"
        " VALUES (?, ?)", config_str(config, "placement", "incomplete_consumer_user_id"), &user));
    return sql_exec_changed(tx, "INSERT INTO consumers (uuid, project_id, user_id, generation) SELECT a.consumer_id, ?, ?, 0"
        " FROM allocations a LEFT JOIN consumers c ON c.uuid = a.consumer_id WHERE c.id IS NULL GROUP BY a.consumer_id LIMIT ?",
        BIND(INT(project), INT(user), INT(batch->limit)), &batch->done);
}

static const struct data_migration {
    const char *name;
    struct fault *(*run)(struct tx *tx, void *argument);
} data_migrations[] = {
    { "set_root_provider_ids",       set_root_provider_ids },
    { "create_incomplete_consumers", create_incomplete_consumers },
};
enum { DATA_MIGRATIONS = sizeof(data_migrations) / sizeof(data_migrations[0]) };

static const struct argument online_arguments[] = {
    { "--max-count", ARGUMENT_TEXT, "Maximum number of objects to consider", .metavar = "<number>" },
    { NULL },
};

/* One round; adds to totals, gives how many rows it changed. */
static struct fault *run_round(struct command_call *call, int64_t limit, int64_t totals[DATA_MIGRATIONS], int64_t *ret_done)
{
    *ret_done = 0;
    for (size_t i = 0; i < DATA_MIGRATIONS && *ret_done < limit; i++) {
        struct batch batch = { call, limit - *ret_done, 0 };
        TRY(db_write(call->arena, call->app->db, data_migrations[i].run, &batch));
        if (batch.done > 0)
            printf("%d rows matched query %s, %d migrated\n", (int)batch.done, data_migrations[i].name, (int)batch.done);
        totals[i] += batch.done;
        *ret_done += batch.done;
    }
    return NULL;
}

static void print_totals(struct command_call *call, const int64_t totals[DATA_MIGRATIONS])
{
    static const char *const headers[] = { "Migration", "Total Found", "Completed" };
    struct text_table *table = text_table_create(call->arena, headers, 3, false, false);
    for (size_t i = 0; i < DATA_MIGRATIONS; i++) {
        const char *number = arena_printf(call->arena, "%lld", (long long)totals[i]);
        text_table_add(table, (const char *const[]){ data_migrations[i].name, number, number });
    }
    BUF_CLEANUP struct buf out = { 0 };
    text_table_write(&out, table);
    fputs(buf_text(&out), stdout);
}

static struct fault *online_run(struct command_call *call)
{
    const char *max_count = command_text(call, "--max-count");
    int64_t limit = max_count != NULL ? strtoll(max_count, NULL, 10) : BATCH, totals[DATA_MIGRATIONS] = { 0 }, done;
    if (limit < 1 || (max_count != NULL && max_count[strspn(max_count, "0123456789")] != '\0')) {
        puts("Must supply a positive value for max_count");
        return command_fail(call, 127, NULL);
    }
    if (max_count == NULL)
        printf("Running batches of %d until complete\n", BATCH);
    TRY(command_database(call));
    do
        TRY(run_round(call, limit, totals, &done));
    while (max_count == NULL && done > 0);
    print_totals(call, totals);
    call->status = done > 0 ? 1 : 0;
    return NULL;
}

static const struct command commands[] = {
    { "db sync", "Sync the database to the current version.", db_sync_run },
    { "db version", "Report the current database version.", db_version_run },
    { "db stamp", "Stamp the revision table with the given version.", db_stamp_run, stamp_arguments },
    { "db online_data_migrations", "Run the online data migrations.", online_run, online_arguments },
    { NULL },
};

const struct program placement_manage = { "placement-manage", "placement", "9.0.0", "command", NULL, commands };

/* ---- placement-status upgrade check ---- */

static struct fault *count(struct command_call *call, const char *sql, int64_t *ret)
{
    struct tx *tx;
    TRY(command_database(call));
    TRY(db_read(call->arena, call->app->db, &tx));
    TRY(sql_int_of(tx, ret, 0, sql, NO_BIND));
    tx_end(tx);
    return NULL;
}

static struct fault *check_roots(struct command_call *call, enum check_result *ret, const char **ret_details)
{
    int64_t missing;
    TRY(count(call, "SELECT COUNT(*) FROM resource_providers WHERE root_provider_id IS NULL", &missing));
    if (missing == 0)
        return NULL;
    *ret = CHECK_FAILURE;
    *ret_details = "There is at least one resource provider table record which misses its root provider id. Run the"
        " \"placement-manage db online_data_migrations\" command.";
    return NULL;
}

static struct fault *check_consumers(struct command_call *call, enum check_result *ret, const char **ret_details)
{
    int64_t missing;
    TRY(count(call, "SELECT COUNT(DISTINCT a.consumer_id) FROM allocations a LEFT JOIN consumers c ON c.uuid = a.consumer_id"
        " WHERE c.id IS NULL", &missing));
    if (missing == 0)
        return NULL;
    *ret = CHECK_WARNING;
    *ret_details = arena_printf(call->arena, "There are %lld incomplete consumers table records for existing allocations. Run"
        " the \"placement-manage db online_data_migrations\" command.", (long long)missing);
    return NULL;
}

static struct fault *upgrade_run(struct command_call *call)
{
    static const struct upgrade_check checks[] = {
        { "Missing Root Provider IDs",          check_roots },
        { "Incomplete Consumers",               check_consumers },
        { "Policy File JSON to YAML Migration", command_check_policy_json },
        { NULL },
    };
    return command_upgrade_check(call, checks);
}

static const struct command status_commands[] = {
    { "upgrade", "Checks before an upgrade.", upgrade_run, command_upgrade_arguments },
    { NULL },
};

const struct program placement_status = { "placement-status", "placement", "9.0.0", "command", NULL, status_commands };
