/* SPDX-License-Identifier: Apache-2.0
 *
 * neutron-db-manage (neutron/db/migration/cli.py). Revisions are the numbers of our migrations: neutron's tables here are not
 * upstream's. All of them are of the expand branch, run while servers run; the contract branch is empty.
 */
#include "neutron/commands.h"

#include "neutron/private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RELEASE "2023.1"

enum { ALEMBIC_FAILED = 255 };

/* As alembic tells what it does, with the handlers of alembic.ini. */
static void tell(const char *text)
{
    fflush(stdout);
    fprintf(stderr, "INFO  [alembic.runtime.migration] %s\n", text);
}

static void tell_step(const struct migration *m)
{
    char text[512], before[16] = "";
    if (m->number > 1)
        snprintf(before, sizeof(before), "%d", m->number - 1);
    snprintf(text, sizeof(text), "Running upgrade %s -> %d, %s", before, m->number, m->name);
    tell(text);
}

static int head(void)
{
    return neutron_migrations[NEUTRON_MIGRATIONS - 1].number;
}

static struct fault *failed(struct command_call *call, const char *text)
{
    printf("  FAILED: %s\n", text);
    return command_fail(call, ALEMBIC_FAILED, NULL);
}

static struct fault *begin(struct command_call *call, const char *what)
{
    const char *given = command_text(call, "--database-connection");
    if (given != NULL)
        TRY(command_database_of(call, given, &call->app->db));
    else
        TRY(command_database(call));
    printf("  Running %s for neutron ...\n", what);
    const char *url = given != NULL ? given : app_database_url(call->app->service, call->app->config);
    tell(strncmp(url, "mysql", 5) == 0 ? "Context impl MySQLImpl." : "Context impl SQLiteImpl.");
    tell("Will assume non-transactional DDL.");
    return NULL;
}

/* 0: nobody has made the tables. */
static struct fault *read_version(struct command_call *call, int *ret)
{
    struct tx *tx;
    TRY(db_read(call->arena, call->app->db, &tx)); /* what fails from here on is the schema, not the connection */
    tx_end(tx);
    if (db_version(call->arena, call->app->db, ret) != NULL)
        *ret = 0;
    return NULL;
}

/* The migration that a revision names: "head", "heads", the release, a number, "+2" or "3+2"; -1: there is none. */
static int find_revision(const char *revision, int present)
{
    char *end;
    const char *plus = strchr(revision, '+');
    long number, delta = 0;
    if (strcmp(revision, "head") == 0 || strcmp(revision, "heads") == 0 || strcmp(revision, RELEASE) == 0)
        return head();
    if (plus != NULL) {
        delta = strtol(plus + 1, &end, 10);
        if (end == plus + 1 || *end != '\0')
            return -1;
    }
    number = plus == revision ? present : strtol(revision, &end, 10);
    if (plus != revision && (end == revision || (*end != '\0' && end != plus)))
        return -1;
    number += delta;
    return number >= 1 && number <= head() ? (int)number : -1;
}

/* ---- upgrade ---- */

static const struct argument upgrade_arguments[] = {
    { "--delta",        ARGUMENT_INT,  "Relative number of revisions to go up." },
    { "revision",       ARGUMENT_TEXT, "head, heads, a release or a revision." },
    { "--mysql-engine", ARGUMENT_TEXT, "Change MySQL storage engine of current existing tables" },
    { "--expand",       ARGUMENT_FLAG, "Only the expand branch.", .exclusive = 1 },
    { "--contract",     ARGUMENT_FLAG, "Only the contract branch.", .exclusive = 1 },
    { NULL },
};

static struct fault *upgrade_to(struct command_call *call, const char *revision)
{
    int present;
    size_t count = 0;
    TRY(read_version(call, &present));
    int target = find_revision(revision, present);
    if (target < 0)
        return failed(call, arena_printf(call->arena, "Can't locate revision identified by '%s'", revision));
    while (count < NEUTRON_MIGRATIONS && neutron_migrations[count].number <= target)
        count++;
    TRY(db_sync(call->arena, call->app->db, neutron_migrations, count, tell_step));
    puts("  OK");
    return NULL;
}

static struct fault *upgrade_run(struct command_call *call)
{
    const char *revision = command_text(call, "revision"), *delta = command_text(call, "--delta");
    bool expand = command_flag(call, "--expand"), contract = command_flag(call, "--contract");
    if ((revision != NULL || delta != NULL) && (expand || contract))
        return command_fail(call, 1, "Phase upgrade options do not accept revision specification");
    if (revision == NULL && delta == NULL && !expand && !contract)
        return command_fail(call, 1, "You must provide a revision or relative delta");
    if (revision != NULL && strchr(revision, '-') != NULL)
        return command_fail(call, 1, "Negative relative revision (downgrade) not supported");
    if (delta != NULL && revision != NULL && strchr(revision, '+') != NULL)
        return command_fail(call, 1, "Use either --delta or relative revision, not both");
    if (delta != NULL && strtol(delta, NULL, 10) < 0)
        return command_fail(call, 1, "Negative delta (downgrade) not supported");
    if (delta != NULL)
        revision = arena_printf(call->arena, "%s+%s", revision != NULL ? revision : "", delta);
    TRY(begin(call, expand ? "upgrade (expand)" : contract ? "upgrade (contract)" : "upgrade"));
    if (!contract)
        return upgrade_to(call, revision != NULL ? revision : "heads");
    puts("  OK");
    return NULL;
}

/* ---- What there is ---- */

static const struct argument show_arguments[] = {
    { "--verbose", ARGUMENT_FLAG, "Display more verbose output for the specified command" },
    { NULL },
};

static const char *head_mark(int number)
{
    return number == head() ? " (head)" : "";
}

static struct fault *current_run(struct command_call *call)
{
    int present;
    TRY(begin(call, "current"));
    TRY(read_version(call, &present));
    if (present > 0)
        printf("%d%s\n", present, head_mark(present));
    puts("  OK");
    return NULL;
}

static struct fault *history_run(struct command_call *call)
{
    puts("  Running history for neutron ...");
    for (size_t i = NEUTRON_MIGRATIONS; i > 0; i--) {
        const struct migration *m = &neutron_migrations[i - 1];
        if (i > 1)
            printf("%d -> %d%s, %s\n", neutron_migrations[i - 2].number, m->number, head_mark(m->number), m->name);
        else
            printf("<base> -> %d%s, %s\n", m->number, head_mark(m->number), m->name);
    }
    puts("  OK");
    return NULL;
}

static struct fault *heads_run(struct command_call *call)
{
    printf("  Running heads for neutron ...\n%d (expand) (head)\n  OK\n", head());
    return NULL;
}

static struct fault *branches_run(struct command_call *call)
{
    puts("  Running branches for neutron ...\n  OK");
    return NULL;
}

/* 1 when servers must stop for what is pending; that is never so. */
static struct fault *offline_run(struct command_call *call)
{
    puts("  No offline migrations pending.");
    return NULL;
}

/* ---- stamp ---- */

static const struct argument stamp_arguments[] = {
    { "revision", ARGUMENT_TEXT, "head, heads, a release or a revision.", .required = true },
    { NULL },
};

static struct fault *stamp_write(struct tx *tx, void *argument)
{
    int target = *(const int *)argument;
    TRY(sql_exec(tx, "DELETE FROM nubo_version", NO_BIND));
    for (size_t i = 0; i < NEUTRON_MIGRATIONS && neutron_migrations[i].number <= target; i++)
        TRY(sql_exec(tx, "INSERT INTO nubo_version (number, name) VALUES (?, ?)",
            BIND(INT(neutron_migrations[i].number), TEXT(neutron_migrations[i].name))));
    return NULL;
}

static struct fault *stamp_run(struct command_call *call)
{
    int present, target;
    TRY(begin(call, "stamp"));
    TRY(read_version(call, &present));
    target = find_revision(command_text(call, "revision"), present);
    if (target < 0)
        return failed(call, arena_printf(call->arena, "Can't locate revision identified by '%s'",
            command_text(call, "revision")));
    TRY(db_sync(call->arena, call->app->db, neutron_migrations, 0, NULL)); /* the table of versions */
    TRY(db_write(call->arena, call->app->db, stamp_write, &target));
    puts("  OK");
    return NULL;
}

static struct fault *downgrade_run(struct command_call *call)
{
    return command_fail(call, 1, "Downgrade no longer supported");
}

static const struct argument downgrade_arguments[] = { { "None", ARGUMENT_TEXT, "Downgrade not supported" }, { NULL } };

static const struct command commands[] = {
    { "current", "Display the current revision for a database.", current_run, show_arguments },
    { "history", "List changeset scripts in chronological order.", history_run, show_arguments },
    { "branches", "Show current branch points.", branches_run, show_arguments },
    { "heads", "Show current available heads in the script directory.", heads_run, show_arguments },
    { "check_migration", "Show current branch points and validate head file", branches_run },
    { "upgrade", "Upgrade to a later version.", upgrade_run, upgrade_arguments },
    { "downgrade", "(No longer supported)", downgrade_run, downgrade_arguments },
    { "stamp", "'stamp' the revision table with the given revision; don't run any migrations.", stamp_run, stamp_arguments },
    { "has_offline_migrations", "Determine whether there are pending migration scripts that require full shutdown for all"
      " services that directly access database.", offline_run },
    { NULL },
};

static const struct argument options[] = {
    { "--database-connection", ARGUMENT_TEXT, "URL to database", .metavar = "DATABASE_CONNECTION" },
    { "--subproject", ARGUMENT_TEXT, "The subproject to execute the command against. Can be one of: 'neutron'.",
      .choices = (const char *const[]){ "neutron", NULL } },
    { NULL },
};

const struct program neutron_db_manage = { "neutron-db-manage", "neutron", "22.0.0", "command", options, commands };
