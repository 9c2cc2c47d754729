/* SPDX-License-Identifier: Apache-2.0
 * sql: connections, transactions, rows and migrations over a driver. See sql.h.
 *
 * Where the engine has one writer (SQLite), threads that want to write queue up; the first one becomes the leader, runs
 * every queued function behind a savepoint of its own inside one transaction, commits once, and wakes the others. */
#include "oslo/sql.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/random.h"
#include "oslo/sql_driver.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char SQL_DUPLICATE[] = "sql.duplicate";

enum { IDLE_CONNECTIONS = 6, JOBS_PER_COMMIT = 64, WRITE_ATTEMPTS = 10 };

struct pooled {
    struct connection *connection;
    struct pooled *next;
};

struct db {
    const struct sql_driver *driver;
    char *url;
    char *temporary; /* file to remove at the end, for "sqlite://" */
    pthread_mutex_t lock;
    struct pooled *idle;
    unsigned idle_count;
    struct connection *writer; /* one_writer engines */
    struct write_job *first, **last;
    bool leading; /* somebody runs jobs now */
};

struct tx {
    struct db *db;
    struct arena *arena;
    struct connection *connection;
    struct rows *open; /* chain: what was not read to its end */
    struct fault *fault; /* of rows that broke in the middle */
    bool reading;
};

struct rows {
    struct tx *tx;
    struct statement *statement; /* NULL: ended */
    struct rows *next;
    struct fault *fault;
};

struct write_job {
    struct fault *(*run)(struct tx *tx, void *argument);
    void *argument;
    struct arena *arena;
    struct fault *fault;
    struct write_job *next;
    pthread_cond_t wake;
    bool done;
};

static _Atomic uint64_t statements;

uint64_t sql_statement_count(void)
{
    return atomic_load_explicit(&statements, memory_order_relaxed);
}

struct sql_value sql_text(const char *text)
{
    if (text == NULL)
        return SQL_NULL;
    return (struct sql_value){ .type = SQL_TYPE_TEXT, .text = { text, strlen(text) } };
}

const char *sql_marks(struct arena *arena, size_t count)
{
    char *text = arena_alloc(arena, count * 2);
    for (size_t i = 0; i < count; i++) {
        text[i * 2] = '?';
        text[i * 2 + 1] = i + 1 < count ? ',' : '\0';
    }
    return text;
}

/* ---- opening and connections ---- */

static const struct sql_driver *const drivers[] = { &sql_sqlite };

static const struct sql_driver *driver_of(const char *url)
{
    for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++)
        if (strncmp(url, drivers[i]->scheme, strlen(drivers[i]->scheme)) == 0)
            return drivers[i];
    return NULL;
}

static struct fault *take_connection(struct arena *arena, struct db *db, struct connection **ret)
{
    pthread_mutex_lock(&db->lock);
    struct pooled *pooled = db->idle;
    if (pooled != NULL) {
        db->idle = pooled->next;
        db->idle_count--;
    }
    pthread_mutex_unlock(&db->lock);
    if (pooled == NULL)
        return db->driver->connect(arena, db->url, false, ret);
    *ret = pooled->connection;
    free(pooled);
    return NULL;
}

static void give_connection(struct db *db, struct connection *connection)
{
    struct pooled *pooled = malloc(sizeof(*pooled));
    pthread_mutex_lock(&db->lock);
    bool keep = pooled != NULL && db->idle_count < IDLE_CONNECTIONS;
    if (keep) {
        *pooled = (struct pooled){ connection, db->idle };
        db->idle = pooled;
        db->idle_count++;
    }
    pthread_mutex_unlock(&db->lock);
    if (!keep) {
        free(pooled);
        db->driver->disconnect(connection);
    }
}

/* "sqlite://" alone: a file of its own that goes with the database, so that every connection sees the same. */
static void make_temporary(struct db *db)
{
    char path[] = "/tmp/nubo-XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0)
        return;
    close(fd);
    free(db->url);
    db->temporary = strdup(path);
    if (asprintf(&db->url, "sqlite:///%s", path) < 0)
        abort();
}

struct fault *db_open(struct arena *arena, const char *url, struct db **ret)
{
    const struct sql_driver *driver = driver_of(url);
    if (driver == NULL)
        return fault_new(arena, 500, NULL, "No driver knows this database connection: %.*s...", (int)strcspn(url, ":"), url);
    struct db *db = calloc(1, sizeof(*db));
    if (db == NULL || (db->url = strdup(url)) == NULL)
        abort();
    db->driver = driver;
    db->last = &db->first;
    pthread_mutex_init(&db->lock, NULL);
    if (strcmp(url, "sqlite://") == 0)
        make_temporary(db);
    struct fault *fault = NULL;
    if (driver->one_writer)
        fault = driver->connect(arena, db->url, true, &db->writer);
    if (fault != NULL) {
        db_close(db);
        return fault;
    }
    *ret = db;
    return NULL;
}

static void remove_temporary(const char *path)
{
    static const char *const suffixes[] = { "", "-wal", "-shm" };
    for (size_t i = 0; i < 3; i++) {
        char name[64];
        snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
        unlink(name);
    }
}

void db_close(struct db *db)
{
    if (db == NULL)
        return;
    while (db->idle != NULL) {
        struct pooled *pooled = db->idle;
        db->idle = pooled->next;
        db->driver->disconnect(pooled->connection);
        free(pooled);
    }
    if (db->writer != NULL)
        db->driver->disconnect(db->writer);
    if (db->temporary != NULL)
        remove_temporary(db->temporary);
    free(db->temporary);
    free(db->url);
    pthread_mutex_destroy(&db->lock);
    free(db);
}

/* ---- rows ---- */

static void unlink_rows(struct rows *rows)
{
    struct rows **at = &rows->tx->open;
    while (*at != rows && *at != NULL)
        at = &(*at)->next;
    if (*at == rows)
        *at = rows->next;
}

void rows_end(struct rows *rows)
{
    if (rows->statement == NULL)
        return;
    rows->tx->db->driver->reset(rows->statement);
    rows->statement = NULL;
    unlink_rows(rows);
}

bool rows_next(struct rows *rows)
{
    if (rows->statement == NULL)
        return false;
    struct tx *tx = rows->tx;
    enum sql_step step = tx->db->driver->step(rows->statement);
    if (step == STEP_ROW)
        return true;
    if (step == STEP_FAILED) {
        rows->fault = tx->db->driver->failure(tx->arena, tx->connection);
        tx->fault = tx->fault != NULL ? tx->fault : rows->fault;
    }
    rows_end(rows);
    return false;
}

struct fault *rows_fault(struct rows *rows)
{
    return rows->fault;
}

const char *rows_text(struct rows *rows, int column)
{
    size_t length;
    const char *text = rows->tx->db->driver->text(rows->statement, column, &length);
    return text == NULL ? NULL : arena_strndup(rows->tx->arena, text, length);
}

int64_t rows_int(struct rows *rows, int column)
{
    return rows->tx->db->driver->integer(rows->statement, column);
}

double rows_real(struct rows *rows, int column)
{
    return rows->tx->db->driver->real(rows->statement, column);
}

bool rows_null(struct rows *rows, int column)
{
    return rows->tx->db->driver->type(rows->statement, column) == SQL_TYPE_NULL;
}

/* ---- statements ---- */

static struct fault *begin_statement(struct tx *tx, const char *sql, const struct sql_value *values, size_t count,
    struct statement **ret)
{
    const struct sql_driver *driver = tx->db->driver;
    atomic_fetch_add_explicit(&statements, 1, memory_order_relaxed);
    TRY(driver->prepare(tx->arena, tx->connection, sql, ret));
    struct fault *fault = driver->bind(tx->arena, *ret, values, count);
    if (fault != NULL)
        driver->reset(*ret);
    return fault;
}

struct fault *sql_query(struct tx *tx, struct rows **ret, const char *sql, const struct sql_value *values, size_t count)
{
    struct rows *rows = ARENA_NEW(tx->arena, struct rows);
    /* The bound texts must live as long as the rows are read; the array itself may be the caller's temporary. */
    TRY(begin_statement(tx, sql, values, count, &rows->statement));
    rows->tx = tx;
    rows->next = tx->open;
    tx->open = rows;
    *ret = rows;
    return NULL;
}

struct fault *sql_exec(struct tx *tx, const char *sql, const struct sql_value *values, size_t count)
{
    struct statement *statement;
    TRY(begin_statement(tx, sql, values, count, &statement));
    enum sql_step step;
    do
        step = tx->db->driver->step(statement);
    while (step == STEP_ROW);
    struct fault *fault = step == STEP_FAILED ? tx->db->driver->failure(tx->arena, tx->connection) : NULL;
    tx->db->driver->reset(statement);
    return fault;
}

struct fault *sql_exec_changed(struct tx *tx, const char *sql, const struct sql_value *values, size_t count,
    int64_t *ret_changed)
{
    TRY(sql_exec(tx, sql, values, count));
    *ret_changed = tx->db->driver->changed(tx->connection);
    return NULL;
}

struct fault *sql_insert(struct tx *tx, const char *sql, const struct sql_value *values, size_t count, int64_t *ret_key)
{
    TRY(sql_exec(tx, sql, values, count));
    *ret_key = tx->db->driver->last_key(tx->connection);
    return NULL;
}

struct fault *sql_text_of(struct tx *tx, const char **ret, const char *sql, const struct sql_value *values, size_t count)
{
    struct rows *rows;
    TRY(sql_query(tx, &rows, sql, values, count));
    *ret = rows_next(rows) ? rows_text(rows, 0) : NULL;
    rows_end(rows);
    return rows->fault;
}

struct fault *sql_int_of(struct tx *tx, int64_t *ret, int64_t absent, const char *sql, const struct sql_value *values,
    size_t count)
{
    struct rows *rows;
    TRY(sql_query(tx, &rows, sql, values, count));
    *ret = rows_next(rows) && !rows_null(rows, 0) ? rows_int(rows, 0) : absent;
    rows_end(rows);
    return rows->fault;
}

/* ---- transactions ---- */

struct arena *tx_arena(const struct tx *tx)
{
    return tx->arena;
}

static void end_open_rows(struct tx *tx)
{
    while (tx->open != NULL)
        rows_end(tx->open);
}

static void tx_release(void *tx)
{
    tx_end(tx);
}

struct fault *db_read(struct arena *arena, struct db *db, struct tx **ret)
{
    struct tx *tx = ARENA_NEW(arena, struct tx);
    *tx = (struct tx){ .db = db, .arena = arena, .reading = true };
    TRY(take_connection(arena, db, &tx->connection));
    struct fault *fault = db->driver->run(arena, tx->connection, "BEGIN");
    if (fault != NULL) {
        db->driver->disconnect(tx->connection);
        return fault;
    }
    arena_defer(arena, tx_release, tx);
    *ret = tx;
    return NULL;
}

void tx_end(struct tx *tx)
{
    if (tx == NULL || !tx->reading)
        return;
    tx->reading = false;
    end_open_rows(tx);
    struct db *db = tx->db;
    if (db->driver->run(tx->arena, tx->connection, "COMMIT") == NULL)
        give_connection(db, tx->connection);
    else
        db->driver->disconnect(tx->connection);
}

/* Runs one job inside the open transaction, undone by itself when it faults. */
static void run_job(struct db *db, struct connection *connection, struct write_job *job)
{
    struct tx tx = { .db = db, .arena = job->arena, .connection = connection };
    job->fault = db->driver->run(job->arena, connection, "SAVEPOINT job");
    if (job->fault != NULL)
        return;
    job->fault = job->run(&tx, job->argument);
    end_open_rows(&tx);
    if (job->fault == NULL)
        job->fault = tx.fault;
    if (job->fault != NULL)
        (void)db->driver->run(job->arena, connection, "ROLLBACK TO job");
    struct fault *released = db->driver->run(job->arena, connection, "RELEASE job");
    if (job->fault == NULL)
        job->fault = released;
}

/* One transaction for all jobs. What cannot be committed is told to each of them. */
static void run_batch(struct db *db, struct connection *connection, struct write_job *first)
{
    struct fault *fault = db->driver->run(first->arena, connection, "BEGIN IMMEDIATE");
    if (fault == NULL) {
        for (struct write_job *job = first; job != NULL; job = job->next)
            run_job(db, connection, job);
        fault = db->driver->run(first->arena, connection, "COMMIT");
        if (fault != NULL)
            (void)db->driver->run(first->arena, connection, "ROLLBACK");
    }
    for (struct write_job *job = first; fault != NULL && job != NULL; job = job->next)
        if (job->fault == NULL)
            job->fault = fault_copy(job->arena, fault);
}

static struct write_job *take_batch(struct db *db)
{
    struct write_job *first = db->first;
    struct write_job *last = first;
    for (int i = 1; i < JOBS_PER_COMMIT && last->next != NULL; i++)
        last = last->next;
    db->first = last->next;
    if (db->first == NULL)
        db->last = &db->first;
    last->next = NULL;
    return first;
}

static void finish_batch(struct write_job *job)
{
    while (job != NULL) {
        struct write_job *next = job->next; /* the owner may be gone once it is woken */
        job->done = true;
        pthread_cond_signal(&job->wake);
        job = next;
    }
}

/* Queues the job; returns when it is done, having led zero or more commits. */
static void write_in_turn(struct db *db, struct write_job *job)
{
    pthread_mutex_lock(&db->lock);
    *db->last = job;
    db->last = &job->next;
    while (!job->done) {
        if (db->leading) {
            pthread_cond_wait(&job->wake, &db->lock);
            continue;
        }
        db->leading = true;
        struct write_job *batch = take_batch(db);
        pthread_mutex_unlock(&db->lock);
        run_batch(db, db->writer, batch);
        pthread_mutex_lock(&db->lock);
        db->leading = false;
        finish_batch(batch);
        if (db->first != NULL)
            pthread_cond_signal(&db->first->wake); /* it leads next */
    }
    pthread_mutex_unlock(&db->lock);
}

static void write_alone(struct db *db, struct write_job *job)
{
    struct connection *connection;
    job->fault = take_connection(job->arena, db, &connection);
    if (job->fault != NULL)
        return;
    run_batch(db, connection, job);
    if (job->fault != NULL && job->fault->retry)
        db->driver->disconnect(connection); /* it may be dead */
    else
        give_connection(db, connection);
}

struct fault *db_write(struct arena *arena, struct db *db, struct fault *(*run)(struct tx *tx, void *argument),
    void *argument)
{
    for (int attempt = 1;; attempt++) {
        struct write_job job = { .run = run, .argument = argument, .arena = arena };
        pthread_cond_init(&job.wake, NULL);
        if (db->driver->one_writer)
            write_in_turn(db, &job);
        else
            write_alone(db, &job);
        pthread_cond_destroy(&job.wake);
        if (job.fault == NULL || !job.fault->retry || attempt == WRITE_ATTEMPTS)
            return job.fault;
        clock_sleep_ms((int64_t)random_below(5u << (attempt < 6 ? attempt : 6)));
    }
}

struct single {
    const char *sql;
    const struct sql_value *values;
    size_t count;
    int64_t changed;
};

static struct fault *run_single(struct tx *tx, void *argument)
{
    struct single *single = argument;
    return sql_exec_changed(tx, single->sql, single->values, single->count, &single->changed);
}

struct fault *db_exec(struct arena *arena, struct db *db, const char *sql, const struct sql_value *values, size_t count,
    int64_t *ret_changed)
{
    struct single single = { sql, values, count, 0 };
    TRY(db_write(arena, db, run_single, &single));
    if (ret_changed != NULL)
        *ret_changed = single.changed;
    return NULL;
}

/* ---- migrations ---- */

static const char version_table[] = "CREATE TABLE IF NOT EXISTS nubo_version (number INTEGER NOT NULL, name VARCHAR(255) NOT NULL)";

struct migrating {
    const struct migration *migration;
    const struct sql_driver *driver;
    bool present; /* upstream's program made it */
    bool applied;
};

/* Puts the driver's own words where the common language has a $name. */
static const char *translate(struct arena *arena, const struct sql_driver *driver, const char *text, size_t length)
{
    static const char serial[] = "$SERIAL";
    BUF_CLEANUP struct buf out = { 0 };
    const char *end = text + length;
    while (text < end) {
        const char *at = memmem(text, (size_t)(end - text), serial, sizeof(serial) - 1);
        buf_append(&out, text, (size_t)((at != NULL ? at : end) - text));
        if (at == NULL)
            break;
        buf_puts(&out, driver->serial);
        text = at + sizeof(serial) - 1;
    }
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

static struct fault *apply_migration(struct tx *tx, void *argument)
{
    struct migrating *m = argument;
    int64_t present;
    TRY(sql_int_of(tx, &present, 0, "SELECT MAX(number) FROM nubo_version", NO_BIND));
    m->applied = present < m->migration->number;
    if (!m->applied)
        return NULL;
    for (const char *at = m->present ? "" : m->migration->statements; *at != '\0';) {
        const char *end = strstr(at, ";\n");
        size_t length = end != NULL ? (size_t)(end - at) : strlen(at);
        const char *sql = translate(tx->arena, m->driver, at, length);
        if (m->driver->global_indexes)
            sql = qualify_index(tx->arena, sql);
        if (sql[strspn(sql, " \n;")] != '\0')
            TRY(sql_exec(tx, sql, NO_BIND));
        at += length + (end != NULL ? 2 : 0);
    }
    return sql_exec(tx, "INSERT INTO nubo_version (number, name) VALUES (?, ?)",
        BIND(INT(m->migration->number), TEXT(m->migration->name)));
}

/* Whether upstream's program has brought the database to a revision; a fault when a database that is `foreign` (without
 * any migration of ours) is at others only. */
static struct fault *upstream_made(struct arena *arena, struct db *db, const char *revision, bool foreign, bool *ret)
{
    struct tx *tx;
    const char *other = NULL;
    int64_t same = 0;
    *ret = false;
    TRY(db_read(arena, db, &tx));
    if (sql_text_of(tx, &other, "SELECT MAX(version_num) FROM alembic_version", NO_BIND) == NULL && other != NULL)
        TRY(sql_int_of(tx, &same, 0, "SELECT COUNT(*) FROM alembic_version WHERE version_num = ?", BIND(TEXT(revision))));
    tx_end(tx);
    *ret = same > 0;
    if (other == NULL || same > 0 || !foreign)
        return NULL;
    return fault_new(arena, 500, "DatabaseRevisionUnknown", "The database is at revision %s of another release; bring it to"
        " %s with that release's own program first.", other, revision);
}

struct fault *db_sync(struct arena *arena, struct db *db, const struct migration *migrations, size_t count,
    void (*progress)(const struct migration *migration))
{
    int64_t present = -1;
    struct tx *tx;
    TRY(db_read(arena, db, &tx)); /* the usual case at start-up: nothing to do and nothing written */
    if (sql_int_of(tx, &present, 0, "SELECT MAX(number) FROM nubo_version", NO_BIND) != NULL)
        present = -1;
    tx_end(tx);
    if (present < 0)
        TRY(db_exec(arena, db, version_table, NO_BIND, NULL));
    for (size_t i = 0; i < count; i++) {
        assert(i == 0 || migrations[i].number > migrations[i - 1].number);
        struct migrating migrating = { &migrations[i], db->driver, false, false };
        if (migrations[i].number <= present)
            continue;
        if (migrations[i].upstream != NULL)
            TRY(upstream_made(arena, db, migrations[i].upstream, i == 0, &migrating.present));
        TRY(db_write(arena, db, apply_migration, &migrating));
        if (migrating.applied && progress != NULL)
            progress(&migrations[i]);
    }
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
