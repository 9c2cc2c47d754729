/* SPDX-License-Identifier: Apache-2.0
 *
 * sql/private: what sql.c, sql/pool.c, sql/write.c and sql/migrate.c share.
 */
#ifndef OSLO_SQL_PRIVATE_H
#define OSLO_SQL_PRIVATE_H

#include "oslo/sql/driver.h"

#include "base/map.h"

#include <pthread.h>

struct pooled {
    struct connection *connection;
    int64_t born_us;  /* monotonic */
    bool single;      /* last used in SQL_MODE_SINGLE: changing that costs a round trip */
    struct pooled *next;
};

struct db {
    const struct sql_driver *driver;
    struct db_settings settings; /* the texts are the db's own */
    char *temporary;             /* file to remove at the end, for "sqlite://" */
    pthread_mutex_t lock;
    pthread_cond_t given;        /* a connection came back */
    struct pooled *idle;
    unsigned idle_count, out_count;
    int64_t away_since_us;       /* monotonic; 0: the last attempt to connect succeeded */
    struct connection *writer;   /* one_writer engines */
    struct write_job *first, **last;
    bool leading; /* somebody runs jobs now */
};

/* A statement that was sent and whose answer was not read yet. */
struct sent {
    struct statement *statement;
    struct rows *rows;       /* NULL: a statement without rows */
    int64_t expected;        /* rows to be changed; -1: any number */
    struct fault *otherwise; /* when it is another number */
    struct fault *duplicate; /* in the place of SQL_DUPLICATE; NULL: itself */
    struct sent *next;
};

struct tx {
    struct db *db;
    struct arena *arena;
    struct connection *connection;
    struct pooled *pooled; /* NULL: the db's writer */
    struct pooled *dead;   /* connections lost on the way, which open rows may still use */
    struct rows *open;     /* chain: what was not read to its end */
    struct sent *sent, **last_sent; /* in their order */
    size_t sent_bytes;              /* about; their answers are not read yet */
    struct fault *fault;   /* the transaction cannot be committed: rows that broke in the middle, a deadlock */
    bool reading, exact;
    bool changed;          /* a statement without rows ran */
    const char **names;    /* that tx_serialize() was called with: one statement before the first one */
    size_t name_count;
    struct map memory;     /* of tx_remember() */
    unsigned ran;          /* statements */
};

struct rows {
    struct tx *tx;
    struct statement *statement; /* NULL: ended */
    struct rows *next;
    struct fault *fault;
    bool awaited; /* the answer was not read yet */
};

/* A connection that is alive, ready for `mode`; waits for the pool and for a database that is away, as the settings allow.
 * Fault 503. */
struct fault *sql_pool_take(struct arena *arena, struct db *db, enum sql_mode mode, struct pooled **ret);
/* Back into the pool; `usable` false: it is closed. */
void sql_pool_give(struct db *db, struct pooled *pooled, bool usable);

/* For sql_usage_here(). */
void sql_count_transaction(void);

/* Reads the answers of all that was sent. The first failure is returned, and is tx->fault from then on. */
struct fault *sql_collect(struct tx *tx);

/* Ends the rows that a transaction left open; all answers were read. */
void sql_end_open_rows(struct tx *tx);

/* The pause before try number `attempt` (from 1) of a transaction, in ms. `lost`: the connection broke. */
int64_t sql_pause_ms(const struct db *db, int attempt, bool lost);

/* One statement on a connection of its own, committed by itself (DDL on engines where that is so). */
struct fault *sql_run_single(struct arena *arena, struct db *db, const char *sql, const struct sql_value *values, size_t count,
    int64_t *ret_changed, bool *ret_done_before);

#endif
