/* SPDX-License-Identifier: Apache-2.0
 * sql/migrate: a numbered list of statements, applied once. See sql.h.
 *
 * SQLite: a migration is one transaction. MariaDB commits each DDL statement by itself, so progress is kept per statement in
 * `nubo_migration`, moved by compare-and-swap: a statement of data moves it in its own transaction; a DDL statement before
 * and after which the process may end moves it right afterwards, and when it is met again it fails with "is there already"
 * (or "is gone"), which then counts as done. A named lock keeps two processes apart; across Galera nodes, where such locks
 * are local, the swap and the same rule do. */
#include "oslo/sql/private.h"

#include "base/buf.h"
#include "base/clock.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

static const char version_table[] =
    "CREATE TABLE IF NOT EXISTS nubo_version (number INTEGER NOT NULL PRIMARY KEY, name VARCHAR(255) NOT NULL)";

/* What the engine keeps in a database on a server; see sql.h. */
static const char *const server_tables[] = {
    "CREATE TABLE IF NOT EXISTS nubo_commit (id CHAR(32) NOT NULL PRIMARY KEY, made BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS nubo_serialize (name VARCHAR(255) NOT NULL PRIMARY KEY, serial BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS nubo_migration (number INTEGER NOT NULL PRIMARY KEY, done INTEGER NOT NULL)",
};

enum { LOCK_WAIT_MS = 600000, FOLLOW_MS = 3000, MARKERS_KEPT_S = 86400 };

struct migrating {
    const struct migration *migration;
    const struct sql_driver *driver;
    bool present;      /* upstream's program made it */
    bool applied;
    const char *sql;   /* one statement, on a server; NULL: after the last */
    int64_t number;    /* its place */
};

/* Puts the driver's own words where the common language has a word of its own. */
static const char *translate(struct arena *arena, const struct sql_driver *driver, const char *text, size_t length)
{
    const struct {
        const char *word, *driver;
    } words[] = { { "$SERIAL", driver->serial }, { " $ANYCASE", driver->any_case },
        { " DATETIME", arena_printf(arena, " %s", driver->datetime) } };
    BUF_CLEANUP struct buf out = { 0 };
    const char *end = text + length;
    while (text < end) {
        size_t at = 0, count = sizeof(words) / sizeof(words[0]);
        while (at < count && strncmp(text, words[at].word, strlen(words[at].word)) != 0)
            at++;
        if (at < count)
            buf_puts(&out, words[at].driver);
        else
            buf_putc(&out, *text);
        text += at < count ? strlen(words[at].word) : 1;
    }
    static const char create[] = "CREATE TABLE ";
    const char *sql = buf_text(&out);
    sql += strspn(sql, " \n");
    if (strncasecmp(sql, create, sizeof(create) - 1) == 0 && strstr(sql, " AS SELECT ") == NULL)
        buf_puts(&out, driver->table_suffix);
    return arena_strndup(arena, buf_text(&out), out.length);
}

/* "CREATE INDEX name ON table (...)" with "table_name" for an engine whose indexes have no table's name space. */
static const char *qualify_index(struct arena *arena, const char *sql)
{
    static const char create[] = "CREATE INDEX ";
    const char *on = strstr(sql, " ON ");
    if (strncmp(sql, create, sizeof(create) - 1) != 0 || on == NULL)
        return sql;
    const char *name = sql + sizeof(create) - 1, *table = on + 4 + (on[4] == '`');
    return arena_printf(arena, "%s%.*s_%.*s%s", create, (int)strcspn(table, "` ("), table, (int)(on - name), name, on);
}

/* The next statement of the migration, or NULL. */
static const char *next_statement(struct arena *arena, const struct sql_driver *driver, const char **at)
{
    while (**at != '\0') {
        const char *end = strstr(*at, ";\n");
        size_t length = end != NULL ? (size_t)(end - *at) : strlen(*at);
        const char *sql = translate(arena, driver, *at, length);
        if (driver->global_indexes)
            sql = qualify_index(arena, sql);
        *at += length + (end != NULL ? 2 : 0);
        if (sql[strspn(sql, " \n;")] != '\0')
            return sql;
    }
    return NULL;
}

static struct fault *note_version(struct tx *tx, const struct migration *migration)
{
    return sql_exec(tx, "INSERT INTO nubo_version (number, name) VALUES (?, ?)",
        BIND(INT(migration->number), TEXT(migration->name)));
}

/* ---- in one transaction ---- */

static struct fault *apply_migration(struct tx *tx, void *argument)
{
    struct migrating *m = argument;
    int64_t present;
    TRY(sql_int_of(tx, &present, 0, "SELECT MAX(number) FROM nubo_version", NO_BIND));
    m->applied = present < m->migration->number;
    if (!m->applied)
        return NULL;
    const char *at = m->present ? "" : m->migration->statements, *sql;
    while ((sql = next_statement(tx->arena, m->driver, &at)) != NULL)
        TRY(sql_exec(tx, sql, NO_BIND));
    return note_version(tx, m->migration);
}

/* ---- statement by statement ---- */

static bool is_ddl(const char *sql)
{
    static const char *const words[] = { "CREATE", "ALTER", "DROP", "RENAME" };
    sql += strspn(sql, " \n");
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strncasecmp(sql, words[i], strlen(words[i])) == 0)
            return true;
    return false;
}

static struct fault *progress_of(struct arena *arena, struct db *db, int number, int64_t *ret)
{
    struct tx *tx;
    TRY(db_read(arena, db, &tx));
    struct fault *fault = sql_int_of(tx, ret, -1, "SELECT done FROM nubo_migration WHERE number = ?", BIND(INT(number)));
    tx_end(tx);
    return fault;
}

/* The statement, unless it is DDL, and the step that counts it, in one transaction. */
static struct fault *step_run(struct tx *tx, void *argument)
{
    struct migrating *m = argument;
    int64_t changed;
    TRY(sql_exec_changed(tx, "UPDATE nubo_migration SET done = ? WHERE number = ? AND done = ?",
        BIND(INT(m->number + 1), INT(m->migration->number), INT(m->number)), &changed));
    m->applied = changed == 1;
    if (changed == 0)
        return NULL; /* another process did it */
    if (m->sql == NULL)
        return note_version(tx, m->migration);
    return is_ddl(m->sql) ? NULL : sql_exec(tx, m->sql, NO_BIND);
}

/* A DDL statement met what it makes. Ours from before the process ended, or another's that is about to count it. */
static struct fault *ddl(struct arena *arena, struct db *db, struct migrating *m, bool resumed)
{
    bool done_before;
    struct fault *fault = sql_run_single(arena, db, m->sql, NO_BIND, NULL, &done_before);
    if (fault == NULL || !done_before)
        return fault;
    for (int64_t waited = 0; !resumed && waited < FOLLOW_MS; waited += 50) {
        int64_t done;
        TRY(progress_of(arena, db, m->migration->number, &done));
        if (done > m->number)
            return NULL;
        clock_sleep_ms(50);
    }
    return resumed ? NULL : fault;
}

static struct fault *apply_steps(struct arena *arena, struct db *db, struct migrating *m)
{
    int64_t done;
    TRY(progress_of(arena, db, m->migration->number, &done));
    int64_t began = done;
    if (done < 0) {
        struct fault *fault = db_exec(arena, db, "INSERT INTO nubo_migration (number, done) VALUES (?, 0)",
            BIND(INT(m->migration->number)), NULL);
        if (fault != NULL && fault->code != SQL_DUPLICATE)
            return fault;
    }
    const char *at = m->present ? "" : m->migration->statements;
    do {
        m->sql = next_statement(arena, m->driver, &at);
        if (m->number < began) {
            m->number++;
            continue;
        }
        if (m->sql != NULL && is_ddl(m->sql))
            TRY(ddl(arena, db, m, m->number == began));
        TRY(db_write(arena, db, step_run, m));
        m->number++;
    } while (m->sql != NULL);
    return NULL;
}

/* ---- both ---- */

/* Whether upstream's program has brought the database to a revision (one of several); a fault when a database that is
 * `foreign` (without any migration of ours) is at others only. */
static struct fault *upstream_made(struct arena *arena, struct db *db, const char *revision, bool foreign, bool *ret)
{
    struct tx *tx;
    const char *other = NULL;
    int64_t same = 0;
    *ret = false;
    TRY(db_read(arena, db, &tx));
    if (sql_text_of(tx, &other, "SELECT MAX(version_num) FROM alembic_version", NO_BIND) == NULL && other != NULL)
        TRY(sql_int_of(tx, &same, 0, "SELECT COUNT(*) FROM alembic_version WHERE INSTR(?, version_num) > 0",
            BIND(TEXT(revision))));
    tx_end(tx);
    *ret = same > 0;
    if (other == NULL || same > 0 || !foreign)
        return NULL;
    return fault_new(arena, 500, "DatabaseRevisionUnknown", "The database is at revision %s of another release; bring it to"
        " %s with that release's own program first.", other, revision);
}

static struct fault *make_tables(struct arena *arena, struct db *db)
{
    const struct sql_driver *driver = db->driver;
    if (driver->one_writer)
        return db_exec(arena, db, version_table, NO_BIND, NULL);
    TRY(sql_run_single(arena, db, translate(arena, driver, version_table, strlen(version_table)), NO_BIND, NULL, NULL));
    for (size_t i = 0; i < sizeof(server_tables) / sizeof(server_tables[0]); i++)
        TRY(sql_run_single(arena, db, translate(arena, driver, server_tables[i], strlen(server_tables[i])), NO_BIND, NULL, NULL));
    return NULL;
}

static struct fault *apply_all(struct arena *arena, struct db *db, const struct migration *migrations, size_t count,
    void (*progress)(const struct migration *migration))
{
    int64_t present;
    struct tx *tx;
    TRY(db_read(arena, db, &tx));
    struct fault *fault = sql_int_of(tx, &present, 0, "SELECT MAX(number) FROM nubo_version", NO_BIND);
    tx_end(tx);
    TRY(fault);
    for (size_t i = 0; i < count; i++) {
        assert(i == 0 || migrations[i].number > migrations[i - 1].number);
        struct migrating migrating = { .migration = &migrations[i], .driver = db->driver };
        if (migrations[i].number <= present)
            continue;
        if (migrations[i].upstream != NULL)
            TRY(upstream_made(arena, db, migrations[i].upstream, i == 0, &migrating.present));
        TRY(db->driver->one_writer ? db_write(arena, db, apply_migration, &migrating) : apply_steps(arena, db, &migrating));
        if (migrating.applied && progress != NULL)
            progress(&migrations[i]);
    }
    return NULL;
}

/* On a server: with the named lock held by a connection of its own. */
static struct fault *apply_locked(struct arena *arena, struct db *db, const struct migration *migrations, size_t count,
    void (*progress)(const struct migration *migration))
{
    struct pooled *guard;
    TRY(sql_pool_take(arena, db, SQL_MODE_SINGLE, &guard));
    struct tx tx = { .db = db, .arena = arena, .pooled = guard, .connection = guard->connection };
    int64_t got;
    struct fault *fault = sql_int_of(&tx, &got, 0, "SELECT GET_LOCK(CONCAT('nubo ', DATABASE()), ?)",
        BIND(INT(LOCK_WAIT_MS / 1000)));
    if (fault == NULL && got != 1)
        fault = fault_new(arena, 503, NULL, "Another process migrates the database and does not end.");
    if (fault == NULL)
        fault = make_tables(arena, db);
    if (fault == NULL)
        fault = apply_all(arena, db, migrations, count, progress);
    sql_pool_give(db, guard, false); /* closing it ends the lock */
    return fault;
}

struct fault *db_sync(struct arena *arena, struct db *db, const struct migration *migrations, size_t count,
    void (*progress)(const struct migration *migration))
{
    int64_t present = -1;
    struct tx *tx;
    TRY(db_read(arena, db, &tx)); /* the usual case at start-up: nothing to do and nothing written */
    struct fault *fault = sql_int_of(tx, &present, 0, "SELECT MAX(number) FROM nubo_version", NO_BIND);
    tx_end(tx);
    if (fault != NULL && fault->status == 503)
        return fault;
    if (fault == NULL && (count == 0 || present >= migrations[count - 1].number))
        return db->driver->one_writer ? NULL : db_exec(arena, db, "DELETE FROM nubo_commit WHERE made < ?",
            BIND(INT(clock_now_us() / 1000000 - MARKERS_KEPT_S)), NULL); /* of connections that ended */
    if (!db->driver->one_writer)
        return apply_locked(arena, db, migrations, count, progress);
    if (fault != NULL)
        TRY(make_tables(arena, db));
    return apply_all(arena, db, migrations, count, progress);
}

struct fault *db_upstream_made(struct arena *arena, struct db *db, const struct migration *migrations, size_t count, bool *ret)
{
    int version;
    bool shared = false, same = true;
    *ret = false;
    if (db_version(arena, db, &version) == NULL)
        return NULL; /* it is ours */
    for (size_t i = 0; i < count && same; i++) {
        if (migrations[i].upstream == NULL)
            continue;
        TRY(upstream_made(arena, db, migrations[i].upstream, true, &same));
        shared = true;
    }
    *ret = shared && same;
    return NULL;
}

struct fault *db_version(struct arena *arena, struct db *db, int *ret_number)
{
    struct tx *tx;
    TRY(db_read(arena, db, &tx));
    int64_t number;
    struct fault *fault = sql_int_of(tx, &number, 0, "SELECT MAX(number) FROM nubo_version", NO_BIND);
    tx_end(tx);
    *ret_number = fault == NULL ? (int)number : 0;
    return fault;
}
