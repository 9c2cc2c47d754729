/* SPDX-License-Identifier: Apache-2.0
 *
 * glance-manage (glance/cmd/manage.py). Images that are deleted here leave no rows; purge is for what upstream left.
 */
#include "glance/commands.h"

#include "base/clock.h"
#include "base/log.h"
#include "glance/glance.h"

#include <stdio.h>
#include <string.h>

#define MODULE "glance.db.sqlalchemy.api"

enum { EXPAND_NEEDED = 3, DAY_S = 86400 };

/* Whether all migrations were run, ours and upstream's. */
static struct fault *up_to_date(struct command_call *call, bool *ret)
{
    struct tx *tx;
    int number;
    TRY(command_database(call));
    TRY(db_read(call->arena, call->app->db, &tx)); /* what fails from here on is the schema, not the connection */
    tx_end(tx);
    *ret = db_version(call->arena, call->app->db, &number) == NULL && number >= GLANCE_MIGRATIONS;
    return NULL;
}

static struct fault *migrate(struct command_call *call, const char *words)
{
    bool done;
    TRY(up_to_date(call, &done));
    if (done) {
        puts("Database is up to date. No migrations needed.");
        return NULL;
    }
    TRY(command_sync(call, call->app->db, glance_migrations, GLANCE_MIGRATIONS));
    puts(words);
    return NULL;
}

static struct fault *refuse_version(struct command_call *call, const char *version)
{
    if (version == NULL || strcmp(version, "heads") == 0 || strcmp(version, "head") == 0 ||
        strstr(GLANCE_REVISIONS, version) != NULL)
        return NULL;
    return fault_new(call->arena, 500, NULL, "Can't locate revision identified by '%s'", version);
}

static struct fault *sync_to(struct command_call *call, const char *version)
{
    TRY(refuse_version(call, version));
    return migrate(call, "Database is synced successfully.");
}

static struct fault *sync_run(struct command_call *call)
{
    return sync_to(call, command_text(call, "--version"));
}

static struct fault *old_sync_run(struct command_call *call)
{
    return sync_to(call, command_text(call, "version"));
}

static struct fault *upgrade_to(struct command_call *call, const char *version)
{
    TRY(refuse_version(call, version));
    return migrate(call, "Upgraded database, current revision(s): " GLANCE_REVISION);
}

static struct fault *upgrade_run(struct command_call *call)
{
    return upgrade_to(call, command_text(call, "--version"));
}

static struct fault *old_upgrade_run(struct command_call *call)
{
    return upgrade_to(call, command_text(call, "version"));
}

static struct fault *expand_run(struct command_call *call)
{
    return migrate(call, "Upgraded database to: " GLANCE_REVISION ", current revision(s): " GLANCE_REVISION);
}

/* The two phases after expand have nothing to do: our migrations are all of its kind. */
static struct fault *after_expand(struct command_call *call, const char *words)
{
    bool done;
    TRY(up_to_date(call, &done));
    if (!done)
        return command_fail(call, 1, "%s", words);
    puts("Database is up to date. No migrations needed.");
    return NULL;
}

static struct fault *migrate_run(struct command_call *call)
{
    return after_expand(call, "Data migration did not run. Data migration cannot be run before database expansion. Run"
        " database expansion first using \"glance-manage db expand\"");
}

static struct fault *contract_run(struct command_call *call)
{
    return after_expand(call, "Database contraction did not run. Database contraction cannot be run before database"
        " expansion. Run database expansion first using \"glance-manage db expand\"");
}

static struct fault *check_run(struct command_call *call)
{
    bool done;
    TRY(up_to_date(call, &done));
    puts(done ? "Database is up to date. No upgrades needed."
              : "Your database is not up to date. Your first step is to run `glance-manage db expand`.");
    call->status = done ? 0 : EXPAND_NEEDED;
    return NULL;
}

static struct fault *version_run(struct command_call *call)
{
    struct tx *tx;
    struct rows *rows;
    bool any = false;
    TRY(command_database(call));
    TRY(db_read(call->arena, call->app->db, &tx));
    if (sql_query(tx, &rows, "SELECT version_num FROM alembic_version ORDER BY version_num", NO_BIND) == NULL)
        while (rows_next(rows)) {
            puts(rows_text(rows, 0));
            any = true;
        }
    tx_end(tx);
    if (!any)
        puts("Database is either not under migration control or under legacy migration control, please run"
             " \"glance-manage db sync\" to place the database under alembic migration control.");
    return NULL;
}

/* ---- purge ---- */

static const struct argument purge_arguments[] = {
    { "--age_in_days", ARGUMENT_INT, "Purge deleted rows older than age in days", "30" },
    { "--max_rows",    ARGUMENT_INT, "Limit number of records to delete. All deleted rows will be purged if equals -1.", "100" },
    { NULL },
};
static const struct argument purge_images_arguments[] = {
    { "--age_in_days", ARGUMENT_INT, "Purge deleted rows older than age in days", "180" },
    { "--max_rows",    ARGUMENT_INT, "Limit number of records to delete. All deleted rows will be purged if equals -1.", "100" },
    { NULL },
};

/* Each deletes at most so many rows that were deleted before a moment, the oldest first. */
#define PURGE(table_, key_, from_)                                                                                     \
    { table_, "DELETE FROM " table_ " WHERE " key_ " IN (SELECT " key_ " FROM (SELECT " from_                          \
        " ORDER BY deleted_at LIMIT ?) AS purged)" }
#define PURGE_ROWS(table_) PURGE(table_, "id", "id FROM " table_ " WHERE deleted_at < ?")
struct purge {
    const char *table, *sql;
};
static const struct purge rows_purged[] = {
    PURGE("task_info", "task_id", "task_id FROM task_info JOIN tasks ON tasks.id = task_info.task_id WHERE deleted_at < ?"),
    PURGE_ROWS("image_properties"), PURGE_ROWS("image_tags"), PURGE_ROWS("image_members"), PURGE_ROWS("image_locations"),
    PURGE_ROWS("tasks"), { NULL },
};
static const struct purge images_purged[] = { PURGE_ROWS("images"), { NULL } };

static struct fault *purge(struct command_call *call, const struct purge *tables)
{
    int64_t age = command_int(call, "--age_in_days", 0), rows = command_int(call, "--max_rows", 0);
    int64_t now = clock_now_us() / 1000000;
    if (age < 0)
        return command_fail(call, 1, "Must supply a non-negative value for age.");
    if (age >= now / DAY_S)
        return command_fail(call, 1, "Maximal age is count of days since epoch.");
    if (rows < -1)
        return command_fail(call, 1, "Minimal rows limit is -1.");
    TRY(command_database(call));
    const char *before = clock_text(call->arena, (now - age * DAY_S) * 1000000, CLOCK_SQL);
    for (; tables->table != NULL; tables++) {
        int64_t deleted;
        log_info(MODULE, "Purging deleted rows older than %d day(s) from table %s", (int)age, tables->table);
        TRY(db_exec(call->arena, call->app->db, tables->sql, BIND(TEXT(before), INT(rows < 0 ? INT64_MAX : rows)), &deleted));
        log_info(MODULE, "Deleted %d row(s) from table %s", (int)deleted, tables->table);
    }
    return NULL;
}

static struct fault *purge_run(struct command_call *call)
{
    return purge(call, rows_purged);
}

static struct fault *purge_images_run(struct command_call *call)
{
    return purge(call, images_purged);
}

static struct fault *metadefs_run(struct command_call *call)
{
    return command_fail(call, 1, "ERROR: this image service has no metadata definitions.");
}

/* ---- The program ---- */

static const struct argument version_option[] = {
    { "--version", ARGUMENT_TEXT, "Database version", .metavar = "<version>" },
    { NULL },
};
static const struct argument version_word[] = { { "version", ARGUMENT_TEXT, "Database version" }, { NULL } };
static const struct argument metadef_arguments[] = {
    { "--path",       ARGUMENT_TEXT, "Path to the directory or file of JSON metadata", .metavar = "<path>" },
    { "--merge",      ARGUMENT_FLAG, "Merge files with data that is in the database." },
    { "--prefer_new", ARGUMENT_FLAG, "Prefer new metadata over existing." },
    { "--overwrite",  ARGUMENT_FLAG, "Drop and rewrite metadata." },
    { NULL },
};
static const struct argument metadef_words[] = {
    { "path", ARGUMENT_TEXT, "Path to the directory or file of JSON metadata" }, { "merge", ARGUMENT_TEXT, "Merge" },
    { "prefer_new", ARGUMENT_TEXT, "Prefer new metadata" }, { "overwrite", ARGUMENT_TEXT, "Drop and rewrite" }, { NULL },
};

static const struct command commands[] = {
    { "db check", "Report any pending database upgrades.", check_run },
    { "db contract", "Run the contraction phase of a database migration.", contract_run },
    { "db expand", "Run the expansion phase of a database migration.", expand_run },
    { "db export_metadefs", "Export metadefinitions data from database to files", metadefs_run, metadef_arguments },
    { "db load_metadefs", "Load metadefinition json files to database", metadefs_run, metadef_arguments },
    { "db migrate", "Run the data migration phase of a database migration.", migrate_run },
    { "db purge", "Purge deleted rows older than a given age from glance tables.", purge_run, purge_arguments },
    { "db purge_images_table", "Purge deleted rows older than a given age from images table.", purge_images_run,
      purge_images_arguments },
    { "db sync", "Perform a complete (offline) database migration", sync_run, version_option },
    { "db unload_metadefs", "Unload metadefinitions from database", metadefs_run },
    { "db upgrade", "Upgrade the database's migration level", upgrade_run, version_option },
    { "db version", "Print database's current migration level", version_run },
    { "db_check", "Same as db check.", check_run },
    { "db_contract", "Same as db contract.", contract_run },
    { "db_expand", "Same as db expand.", expand_run },
    { "db_export_metadefs", "Same as db export_metadefs.", metadefs_run, metadef_words },
    { "db_load_metadefs", "Same as db load_metadefs.", metadefs_run, metadef_words },
    { "db_migrate", "Same as db migrate.", migrate_run },
    { "db_sync", "Same as db sync.", old_sync_run, version_word },
    { "db_unload_metadefs", "Same as db unload_metadefs.", metadefs_run },
    { "db_upgrade", "Same as db upgrade.", old_upgrade_run, version_word },
    { "db_version", "Same as db version.", version_run },
    { NULL },
};

const struct program glance_manage = { .name = "glance-manage", .project = "glance", .version = "26.0.0", .missing = "category",
    .commands = commands, .sibling = "glance-api" };
