/* SPDX-License-Identifier: Apache-2.0
 * sql/write: write transactions, which are functions that may run again. See sql.h.
 *
 * Where the engine has one writer (SQLite), threads that want to write queue up; the first one becomes the leader, runs
 * every queued function behind a savepoint of its own inside one transaction, commits once, and wakes the others. */
#include "oslo/sql/private.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"

#include <string.h>
#include <strings.h>

enum { JOBS_PER_COMMIT = 64 };

struct write_job {
    struct fault *(*run)(struct tx *tx, void *argument);
    void *argument;
    struct arena *arena;
    struct fault *fault;
    bool lost; /* the fault is a broken connection */
    struct write_job *next;
    pthread_cond_t wake;
    bool done;
};

/* ---- one writer ---- */

/* Runs one job inside the open transaction, undone by itself when it faults. */
static void run_job(struct db *db, struct connection *connection, struct write_job *job)
{
    struct tx tx = { .db = db, .arena = job->arena, .connection = connection };
    job->fault = db->driver->run(job->arena, connection, "SAVEPOINT job");
    if (job->fault != NULL)
        return;
    job->fault = job->run(&tx, job->argument);
    sql_end_open_rows(&tx);
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

/* ---- many writers ---- */

/* The connection broke while COMMIT was under way: asks another one. */
static struct fault *settle(struct arena *arena, struct db *db, const char *marker, bool *ret_committed)
{
    for (int attempt = 1;; attempt++) {
        struct pooled *pooled;
        struct fault *fault = sql_pool_take(arena, db, SQL_MODE_WRITE, &pooled);
        bool away = fault != NULL; /* and was waited for already */
        if (fault == NULL) {
            fault = db->driver->settle(arena, pooled->connection, marker, ret_committed);
            sql_pool_give(db, pooled, fault == NULL);
        }
        if (fault == NULL)
            return NULL;
        if (away || !fault->retry || attempt > db->settings.db_max_retries)
            return fault_because(fault_new(arena, 503, NULL,
                "The database went away while the change was committed; it is not known whether it took place."), fault);
        clock_sleep_ms(sql_pause_ms(db, attempt, true));
    }
}

static struct fault *commit(struct tx *tx, struct write_job *job, bool *ret_usable)
{
    struct db *db = tx->db;
    const char *marker = uuid_new_hex(job->arena);
    struct fault *fault = db->driver->commit(job->arena, tx->connection, marker);
    *ret_usable = fault == NULL;
    if (fault == NULL || !fault->retry)
        return fault;
    job->lost = db->driver->lost(tx->connection);
    if (!job->lost)
        return fault;
    bool committed;
    TRY(settle(job->arena, db, marker, &committed));
    return committed ? NULL : fault;
}

static void write_alone(struct db *db, struct write_job *job)
{
    struct tx tx = { .db = db, .arena = job->arena };
    job->lost = false;
    job->fault = sql_pool_take(job->arena, db, SQL_MODE_WRITE, &tx.pooled);
    if (job->fault != NULL) {
        job->fault->retry = false; /* it has waited already */
        return;
    }
    tx.connection = tx.pooled->connection;
    job->fault = job->run(&tx, job->argument);
    (void)sql_collect(&tx);
    sql_end_open_rows(&tx);
    if (tx.fault != NULL && (job->fault == NULL || tx.fault->retry))
        job->fault = tx.fault; /* whatever the function made of it */
    bool usable;
    if (job->fault == NULL && tx.changed) {
        job->fault = commit(&tx, job, &usable);
    } else {
        job->lost = job->fault != NULL && job->fault->retry && db->driver->lost(tx.connection);
        usable = !job->lost && db->driver->finish(tx.connection, job->fault != NULL);
    }
    sql_pool_give(db, tx.pooled, usable);
}

struct fault *db_write(struct arena *arena, struct db *db, struct fault *(*run)(struct tx *tx, void *argument),
    void *argument)
{
    sql_count_transaction();
    for (int attempt = 1;; attempt++) {
        struct write_job job = { .run = run, .argument = argument, .arena = arena };
        pthread_cond_init(&job.wake, NULL);
        if (db->driver->one_writer)
            write_in_turn(db, &job);
        else
            write_alone(db, &job);
        pthread_cond_destroy(&job.wake);
        int64_t most = db->settings.db_max_retries;
        if (job.fault == NULL || !job.fault->retry || (most >= 0 && attempt > most))
            return job.fault;
        log_debug("oslo.db", "a transaction runs again: %s", job.fault->detail != NULL ? job.fault->detail : job.fault->message);
        clock_sleep_ms(sql_pause_ms(db, attempt, job.lost));
    }
}

/* ---- single statements ---- */

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

struct fault *sql_run_single(struct arena *arena, struct db *db, const char *sql, const struct sql_value *values, size_t count,
    int64_t *ret_changed, bool *ret_done_before)
{
    sql_count_transaction();
    for (int attempt = 1;; attempt++) {
        struct tx tx = { .db = db, .arena = arena };
        TRY(sql_pool_take(arena, db, SQL_MODE_SINGLE, &tx.pooled));
        tx.connection = tx.pooled->connection;
        struct fault *fault = sql_exec(&tx, sql, values, count);
        if (fault == NULL && ret_changed != NULL)
            *ret_changed = db->driver->changed(tx.connection);
        bool lost = fault != NULL && db->driver->lost(tx.connection);
        bool done_before = fault != NULL && db->driver->done_before(tx.connection);
        sql_pool_give(db, tx.pooled, !lost);
        if (ret_done_before != NULL)
            *ret_done_before = done_before;
        if (done_before && attempt > 1)
            return NULL; /* by the first try, whose answer was lost */
        int64_t most = db->settings.db_max_retries;
        if (fault == NULL || !fault->retry || (most >= 0 && attempt > most))
            return fault;
        clock_sleep_ms(sql_pause_ms(db, attempt, lost));
    }
}

struct fault *db_exec(struct arena *arena, struct db *db, const char *sql, const struct sql_value *values, size_t count,
    int64_t *ret_changed)
{
    bool twice = ret_changed == NULL && strncasecmp(sql, "INSERT", strlen("INSERT")) != 0;
    if (twice && !db->driver->one_writer)
        return sql_run_single(arena, db, sql, values, count, NULL, NULL);
    struct single single = { sql, values, count, 0 };
    TRY(db_write(arena, db, run_single, &single));
    if (ret_changed != NULL)
        *ret_changed = single.changed;
    return NULL;
}
