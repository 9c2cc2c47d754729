/* SPDX-License-Identifier: Apache-2.0
 * sql/pool: opening a database, its connections, and waiting for them. See sql/private.h.
 *
 * A connection that lay idle is looked at without a round trip (its socket is readable when the server has closed it);
 * what breaks later is found by the statement and mended by whoever runs it. While the database is away each request
 * tries by itself, waits no longer than pool_timeout counted from when the database went, and after that time fails at once. */
#include "oslo/sql/private.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/module.h"
#include "base/process.h"
#include "base/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SQLITE_IDLE = 6 };

/* ---- drivers ---- */

static const struct scheme {
    const char *begins;
    const struct sql_driver *driver; /* NULL: in the module */
} schemes[] = {
    { "sqlite://",          &sql_sqlite },
    { "mysql+pymysql://",   NULL },
    { "mysql://",           NULL },
    { "mariadb+pymysql://", NULL },
    { "mariadb://",         NULL },
};

static struct fault *driver_of(struct arena *arena, const char *url, const struct sql_driver **ret)
{
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        if (strncmp(url, schemes[i].begins, strlen(schemes[i].begins)) != 0)
            continue;
        *ret = schemes[i].driver;
        if (*ret != NULL)
            return NULL;
        const void *driver;
        TRY(module_load(arena, "oslo/sql/mariadb", "sql_mariadb.so", SQL_MARIADB_SYMBOL, &driver));
        *ret = driver;
        return NULL;
    }
    return fault_new(arena, 500, NULL, "No driver knows this database connection: %.*s...", (int)strcspn(url, ":"), url);
}

/* ---- opening and closing ---- */

/* "sqlite://" alone: a file of its own that goes with the database, so that every connection sees the same. */
static void make_temporary(struct db *db)
{
    char path[] = "/tmp/nubo-XXXXXX", *url;
    int fd = mkstemp(path);
    if (fd < 0)
        return;
    close(fd);
    db->temporary = strdup(path);
    if (asprintf(&url, "sqlite:///%s", path) < 0)
        abort();
    free((char *)db->settings.connection);
    db->settings.connection = url;
}

static char *complete_url(const struct db_settings *settings)
{
    const char *url = settings->connection, *more = settings->connection_parameters;
    char *whole;
    if (more == NULL || more[0] == '\0' || strncmp(url, "sqlite", strlen("sqlite")) == 0)
        return strdup(url);
    if (asprintf(&whole, "%s%c%s", url, strchr(url, '?') != NULL ? '&' : '?', more) < 0)
        abort();
    return whole;
}

static struct db *create(const struct sql_driver *driver, const struct db_settings *settings)
{
    struct db *db = calloc(1, sizeof(*db));
    if (db == NULL)
        abort();
    db->driver = driver;
    db->settings = *settings;
    db->settings.connection = complete_url(settings);
    db->settings.connection_parameters = NULL;
    db->settings.mysql_sql_mode = strdup(settings->mysql_sql_mode != NULL ? settings->mysql_sql_mode : "");
    if (db->settings.connection == NULL || db->settings.mysql_sql_mode == NULL)
        abort();
    db->last = &db->first;
    pthread_mutex_init(&db->lock, NULL);
    clock_condition_init(&db->given);
    return db;
}

/* False: nobody wants to wait any more. */
static bool wait_for_retry(int seconds)
{
    for (int64_t end = clock_monotonic_us() + (int64_t)seconds * 1000000; clock_monotonic_us() < end; clock_sleep_ms(50))
        if (process_asked_to_end())
            return false;
    return true;
}

/* The first connection shows that the URL is right and the database there. */
static struct fault *first_connection(struct arena *arena, struct db *db)
{
    if (db->driver->one_writer)
        return db->driver->connect(arena, &db->settings, true, &db->writer);
    for (int64_t attempt = 0;; attempt++) {
        struct connection *connection;
        struct fault *fault = db->driver->connect(arena, &db->settings, false, &connection);
        if (fault == NULL) {
            db->driver->disconnect(connection);
            return NULL;
        }
        if (!fault->retry || (db->settings.max_retries >= 0 && attempt >= db->settings.max_retries))
            return fault;
        log_warning("oslo.db", "SQL connection failed. %lld attempts left. %s",
            (long long)(db->settings.max_retries - attempt), fault->detail != NULL ? fault->detail : fault->message);
        if (!wait_for_retry(db->settings.retry_interval_s))
            return fault;
    }
}

struct fault *db_open_settings(struct arena *arena, const struct db_settings *settings, struct db **ret)
{
    const struct sql_driver *driver;
    TRY(driver_of(arena, settings->connection, &driver));
    struct db *db = create(driver, settings);
    if (strcmp(settings->connection, "sqlite://") == 0)
        make_temporary(db);
    struct fault *fault = first_connection(arena, db);
    if (fault != NULL) {
        db_close(db);
        return fault;
    }
    *ret = db;
    return NULL;
}

struct fault *db_open(struct arena *arena, const char *url, struct db **ret)
{
    struct db_settings settings = db_settings_default(url);
    return db_open_settings(arena, &settings, ret);
}

bool db_is_shared(const struct db *db)
{
    return !db->driver->one_writer;
}

int64_t db_debug(const struct db *db)
{
    return db->settings.connection_debug;
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
    explicit_bzero((char *)db->settings.connection, strlen(db->settings.connection));
    free((char *)db->settings.connection);
    free((char *)db->settings.mysql_sql_mode);
    pthread_cond_destroy(&db->given);
    pthread_mutex_destroy(&db->lock);
    free(db);
}

/* ---- the pool ---- */

static unsigned kept(const struct db *db)
{
    if (db->driver->one_writer)
        return SQLITE_IDLE;
    return db->settings.max_pool_size == 0 ? UINT32_MAX : (unsigned)db->settings.max_pool_size;
}

static bool full(const struct db *db)
{
    const struct db_settings *s = &db->settings;
    return !db->driver->one_writer && s->max_pool_size > 0 && s->max_overflow >= 0 &&
           (int64_t)db->out_count >= s->max_pool_size + s->max_overflow;
}

/* An idle connection, one that needs no change of mode first. With the lock held. */
static struct pooled *take_idle(struct db *db, bool single)
{
    struct pooled **at = &db->idle;
    while (*at != NULL && (*at)->single != single && (*at)->next != NULL)
        at = &(*at)->next;
    if (*at != NULL && (*at)->single != single)
        at = &db->idle;
    struct pooled *pooled = *at;
    if (pooled != NULL) {
        *at = pooled->next;
        db->idle_count--;
    }
    return pooled;
}

static bool still_good(const struct db *db, const struct pooled *pooled)
{
    int64_t recycle = db->settings.connection_recycle_s;
    if (!db->driver->one_writer && recycle >= 0 && clock_monotonic_us() - pooled->born_us > recycle * 1000000)
        return false;
    return db->driver->alive == NULL || db->driver->alive(pooled->connection);
}

static void forget(struct db *db, struct pooled *pooled)
{
    if (pooled != NULL && pooled->connection != NULL)
        db->driver->disconnect(pooled->connection);
    free(pooled);
    pthread_mutex_lock(&db->lock);
    db->out_count--;
    pthread_cond_signal(&db->given);
    pthread_mutex_unlock(&db->lock);
}

static struct fault *exhausted(struct arena *arena, const struct db *db)
{
    struct fault *fault = fault_new(arena, 503, NULL, "The database is busy, please try again later.");
    fault->retry_after_s = 1;
    return fault_detail(arena, fault, "QueuePool limit of size %lld overflow %lld reached, connection timed out, timeout %lld",
        (long long)db->settings.max_pool_size, (long long)db->settings.max_overflow, (long long)db->settings.pool_timeout_s);
}

/* An idle one, or NULL with the right to open one more. */
static struct fault *reserve(struct arena *arena, struct db *db, bool single, int64_t end_us, struct pooled **ret)
{
    pthread_mutex_lock(&db->lock);
    while ((*ret = take_idle(db, single)) == NULL && full(db))
        if (!clock_wait(&db->given, &db->lock, end_us)) {
            pthread_mutex_unlock(&db->lock);
            return exhausted(arena, db);
        }
    db->out_count++;
    pthread_mutex_unlock(&db->lock);
    return NULL;
}

/* Notes whether the database answers; returns since when it does not, or 0. */
static int64_t note_away(struct db *db, const struct fault *fault)
{
    pthread_mutex_lock(&db->lock);
    bool was = db->away_since_us != 0;
    db->away_since_us = fault == NULL ? 0 : was ? db->away_since_us : clock_monotonic_us();
    int64_t since = db->away_since_us;
    pthread_mutex_unlock(&db->lock);
    if (fault != NULL && !was)
        log_warning("oslo.db", "the database is away: %s", fault->detail != NULL ? fault->detail : fault->message);
    if (fault == NULL && was)
        log_info("oslo.db", "the database is back");
    return since;
}

static struct fault *open_one(struct arena *arena, struct db *db, struct pooled **ret)
{
    struct pooled *pooled = calloc(1, sizeof(*pooled));
    if (pooled == NULL)
        abort();
    struct fault *fault = db->driver->connect(arena, &db->settings, false, &pooled->connection);
    if (fault != NULL) {
        pooled->connection = NULL;
        forget(db, pooled);
        return fault;
    }
    pooled->born_us = clock_monotonic_us();
    *ret = pooled;
    return NULL;
}

struct fault *sql_pool_take(struct arena *arena, struct db *db, enum sql_mode mode, struct pooled **ret)
{
    int64_t patience_us = db->settings.pool_timeout_s * 1000000, end_us = clock_monotonic_us() + patience_us;
    bool single = mode == SQL_MODE_SINGLE;
    for (int attempt = 1;;) {
        struct pooled *pooled;
        TRY(reserve(arena, db, single, end_us, &pooled));
        bool idle = pooled != NULL;
        if (idle && !still_good(db, pooled)) {
            forget(db, pooled);
            continue;
        }
        struct fault *fault = idle ? NULL : open_one(arena, db, &pooled);
        bool opened = fault == NULL;
        if (opened) {
            fault = db->driver->begin(arena, pooled->connection, mode);
            pooled->single = single;
            if (fault == NULL) {
                if (!idle)
                    note_away(db, NULL);
                *ret = pooled;
                return NULL;
            }
            forget(db, pooled);
            if (idle)
                continue; /* it broke while it lay there */
        }
        if (!fault->retry)
            return fault;
        int64_t now = clock_monotonic_us(), away = note_away(db, fault);
        if (now >= end_us || now >= away + patience_us)
            return fault;
        clock_sleep_ms(sql_pause_ms(db, attempt < 8 ? ++attempt : 8, true)); /* at most 2.56 s: quickly back */
    }
}

void sql_pool_give(struct db *db, struct pooled *pooled, bool usable)
{
    if (!usable) {
        forget(db, pooled);
        return;
    }
    pthread_mutex_lock(&db->lock);
    bool keep = db->idle_count < kept(db);
    if (keep) {
        pooled->next = db->idle;
        db->idle = pooled;
        db->idle_count++;
        db->out_count--;
        pthread_cond_signal(&db->given);
    }
    pthread_mutex_unlock(&db->lock);
    if (!keep)
        forget(db, pooled);
}

int64_t sql_pause_ms(const struct db *db, int attempt, bool lost)
{
    if (!lost) /* a deadlock: the other one is done soon; not both at the same moment again */
        return (int64_t)random_below(5u << (attempt < 6 ? attempt : 6));
    if (attempt == 1)
        return 0;
    int64_t pause = INT64_C(10) << (attempt < 12 ? attempt : 12);
    const struct db_settings *s = &db->settings;
    int64_t most = (s->db_inc_retry_interval ? s->db_max_retry_interval_s : s->db_retry_interval_s) * 1000;
    return pause < most ? pause : most > 10 ? most : 10;
}
