/* SPDX-License-Identifier: Apache-2.0
 *
 * nova-manage db archive_deleted_rows and db purge: servers that were deleted, with their actions, go to shadow tables, and
 * from there for good. Until they are archived the API lists them with deleted=true.
 */
#include "nova/command/commands.h"

#include "base/clock.h"
#include "oslo/text_table.h"

#include <stdio.h>

/* In the order in which rows go: what names a server before the server. */
static const struct archived {
    const char *table, *copy, *remove, *purge;
} archived[] = {
    { "instance_actions_events",
      "INSERT INTO shadow_instance_actions_events SELECT * FROM instance_actions_events WHERE action_id IN"
      " (SELECT id FROM instance_actions WHERE instance_uuid = ?)",
      "DELETE FROM instance_actions_events WHERE action_id IN (SELECT id FROM instance_actions WHERE instance_uuid = ?)",
      "DELETE FROM shadow_instance_actions_events WHERE action_id IN (SELECT a.id FROM shadow_instance_actions a"
      " JOIN shadow_instances i ON i.uuid = a.instance_uuid WHERE i.deleted_at < ?)" },
    { "instance_actions",
      "INSERT INTO shadow_instance_actions SELECT * FROM instance_actions WHERE instance_uuid = ?",
      "DELETE FROM instance_actions WHERE instance_uuid = ?",
      "DELETE FROM shadow_instance_actions WHERE instance_uuid IN (SELECT uuid FROM shadow_instances WHERE deleted_at < ?)" },
    { "instances",
      "INSERT INTO shadow_instances SELECT * FROM instances WHERE uuid = ?",
      "DELETE FROM instances WHERE uuid = ?",
      "DELETE FROM shadow_instances WHERE deleted_at < ?" },
};
enum { ARCHIVED = sizeof(archived) / sizeof(archived[0]), MAX_ROWS = 1000 };

const struct argument nova_archive_arguments[] = {
    { "--max_rows", ARGUMENT_INT, "Maximum number of deleted rows to archive per table. Defaults to 1000.", "1000",
      .metavar = "<number>" },
    { "--before", ARGUMENT_TEXT, "Archive rows that have been deleted before <date>: 2017-01-31 10:00.", .metavar = "<date>" },
    { "--verbose", ARGUMENT_FLAG, "Print how many rows were archived per table." },
    { "--until-complete", ARGUMENT_FLAG, "Run continuously until all deleted rows are archived." },
    { "--purge", ARGUMENT_FLAG, "Purge all data from shadow tables after archive completes" },
    { "--all-cells", ARGUMENT_FLAG, "Run command across all cells." },
    { NULL },
};

const struct argument nova_purge_arguments[] = {
    { "--before", ARGUMENT_TEXT, "If specified, purge rows from shadow tables that are older than this.", .metavar = "<before>" },
    { "--all", ARGUMENT_FLAG, "Purge all rows in the shadow tables" },
    { "--verbose", ARGUMENT_FLAG, "Print information about purged records" },
    { "--all-cells", ARGUMENT_FLAG, "Run against all cell databases" },
    { NULL },
};

/* Of one server at a time, so that it and its actions are never apart. */
struct archive {
    const char *uuid;
    int64_t counts[ARCHIVED];
};

static struct fault *archive_one(struct tx *tx, void *argument)
{
    struct archive *archive = argument;
    for (size_t i = 0; i < ARCHIVED; i++) {
        TRY(sql_exec(tx, archived[i].copy, BIND(TEXT(archive->uuid))));
        TRY(sql_exec_changed(tx, archived[i].remove, BIND(TEXT(archive->uuid)), &archive->counts[i]));
    }
    return NULL;
}

/* The server that was deleted first, before a moment; NULL: none. */
static struct fault *next_deleted(struct command_call *call, int64_t before, const char **ret)
{
    struct tx *tx;
    TRY(db_read(call->arena, call->app->db, &tx));
    TRY(sql_text_of(tx, ret, "SELECT uuid FROM instances WHERE deleted = 1 AND deleted_at < ? ORDER BY id LIMIT 1",
        BIND(INT(before))));
    tx_end(tx);
    return NULL;
}

static bool read_before(struct command_call *call, int64_t *ret)
{
    const char *before = command_text(call, "--before");
    *ret = INT64_MAX;
    if (before == NULL || clock_parse(before, ret))
        return true;
    printf("Invalid value for --before: %s\n", before);
    return false;
}

static void print_counts(struct command_call *call, const int64_t counts[ARCHIVED])
{
    static const char *const headers[] = { "Table", "Number of Rows Archived" };
    struct text_table *table = text_table_create(call->arena, headers, 2, true, false);
    for (size_t i = ARCHIVED; i > 0; i--) /* by name */
        if (counts[i - 1] > 0)
            text_table_add(table, (const char *const[]){ archived[i - 1].table,
                arena_printf(call->arena, "%lld", (long long)counts[i - 1]) });
    BUF_CLEANUP struct buf out = { 0 };
    text_table_write(&out, table);
    fputs(buf_text(&out), stdout);
}

struct purge {
    int64_t before;
    int64_t count;
};

static struct fault *purge_all(struct tx *tx, void *argument)
{
    struct purge *purge = argument;
    purge->count = 0;
    for (size_t i = 0; i < ARCHIVED; i++) {
        int64_t changed;
        TRY(sql_exec_changed(tx, archived[i].purge, BIND(INT(purge->before)), &changed));
        purge->count += changed;
    }
    return NULL;
}

struct fault *nova_archive_deleted_rows(struct command_call *call)
{
    int64_t max_rows = command_int(call, "--max_rows", MAX_ROWS), before, rows = 0, totals[ARCHIVED] = { 0 };
    bool verbose = command_flag(call, "--verbose"), complete = command_flag(call, "--until-complete");
    if (max_rows < 1) {
        puts("Must supply a positive value for max_rows");
        return command_fail(call, 2, NULL);
    }
    if (!read_before(call, &before))
        return command_fail(call, 4, NULL);
    TRY(nova_command_open(call));
    while (complete || rows < max_rows) {
        struct archive archive = { NULL };
        TRY(next_deleted(call, before, &archive.uuid));
        if (archive.uuid == NULL)
            break;
        TRY(db_write(call->arena, call->app->db, archive_one, &archive));
        for (size_t i = 0; i < ARCHIVED; i++) {
            totals[i] += archive.counts[i];
            rows += archive.counts[i];
        }
    }
    if (verbose && rows > 0)
        print_counts(call, totals);
    else if (verbose)
        puts("Nothing was archived.");
    if (rows > 0 && command_flag(call, "--purge")) {
        if (verbose)
            puts("Rows were archived, running purge...");
        TRY(db_write(call->arena, call->app->db, purge_all, &(struct purge){ .before = INT64_MAX }));
    }
    call->status = rows > 0 ? 1 : 0;
    return NULL;
}

struct fault *nova_purge(struct command_call *call)
{
    struct purge purge;
    if (command_text(call, "--before") == NULL && !command_flag(call, "--all")) {
        puts("Either --before or --all is required");
        return command_fail(call, 1, NULL);
    }
    if (!read_before(call, &purge.before))
        return command_fail(call, 2, NULL);
    TRY(nova_command_open(call));
    TRY(db_write(call->arena, call->app->db, purge_all, &purge));
    if (command_flag(call, "--verbose"))
        printf("Purged %lld rows from the shadow tables\n", (long long)purge.count);
    call->status = purge.count > 0 ? 0 : 3;
    return NULL;
}
