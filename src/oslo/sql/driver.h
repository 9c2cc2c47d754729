/* SPDX-License-Identifier: Apache-2.0
 *
 * sql/driver: what a database engine does for oslo/sql. Private to oslo/sql and the drivers.
 *
 * A connection is used by one thread at a time; sql/pool.c pools them and sql.c decides who writes.
 */
#ifndef OSLO_SQL_DRIVER_H
#define OSLO_SQL_DRIVER_H

#include "oslo/sql.h"

struct connection; /* the driver's own */
struct statement;  /* prepared, bound; the driver's own */

enum sql_step { STEP_ROW, STEP_DONE, STEP_FAILED };

/* What a connection is used for next. */
enum sql_mode {
    SQL_MODE_READ,   /* a snapshot */
    SQL_MODE_WRITE,  /* a transaction that changes something */
    SQL_MODE_SINGLE, /* each statement is a transaction */
};

struct sql_driver {
    const char *serial;       /* what $SERIAL stands for in migrations */
    const char *datetime;     /* what DATETIME stands for in migrations: with microseconds */
    const char *any_case;     /* what $ANYCASE stands for in migrations: a column compares without regard to case; "": it cannot */
    const char *table_suffix; /* behind CREATE TABLE (...) in migrations; "" when nothing */
    bool global_indexes;      /* names of indexes are the database's, not the table's: migrations get the table before it */
    bool one_writer;          /* writers share commits through one connection (group commit); DDL is transactional */
    struct fault *(*connect)(struct arena *arena, const struct db_settings *settings, bool writer, struct connection **ret);
    void (*disconnect)(struct connection *connection);
    /* Whether a connection that lay idle is still there; without a round trip. NULL: always. */
    bool (*alive)(struct connection *connection);
    /* A statement text of the engine's own, without values: BEGIN, SAVEPOINT, DDL. */
    struct fault *(*run)(struct arena *arena, struct connection *connection, const char *sql);
    struct fault *(*begin)(struct arena *arena, struct connection *connection, enum sql_mode mode);
    /* Makes it durable. `marker` (may be NULL) is written in the same transaction and the same round trip; settle() finds it.
     * A fault with `retry` and lost() leaves open whether it was committed. */
    struct fault *(*commit)(struct arena *arena, struct connection *connection, const char *marker);
    /* Ends a transaction that changed nothing, or that is given up. False: the connection is of no more use. */
    bool (*finish)(struct connection *connection, bool rollback);
    /* On another connection: whether the transaction with this marker was committed; when not, it never will be. */
    struct fault *(*settle)(struct arena *arena, struct connection *connection, const char *marker, bool *ret_committed);
    /* Whether the last fault means that the connection is gone. NULL: never. */
    bool (*lost)(const struct connection *connection);
    /* See tx_serialize(): what stands before and behind "(?, 1),(?, 1)", a pair a name. NULL: writers stand in a row anyway. */
    const char *serialize, *serialize_end;
    struct fault *(*prepare)(struct arena *arena, struct connection *connection, const char *sql, struct statement **ret);
    /* Binds the values and, where that is a step of its own, executes. */
    struct fault *(*bind)(struct arena *arena, struct statement *statement, const struct sql_value *values, size_t count);
    /* bind() in two halves, so that several statements travel together: answers come in the order of sending, each is to be
     * taken, and nothing else is asked of the connection before (but prepare() of what is prepared()). A statement without rows
     * may be reset and sent again before its answer. NULL: the engine is in this process. */
    struct fault *(*send)(struct arena *arena, struct statement *statement, const struct sql_value *values, size_t count);
    struct fault *(*answer)(struct arena *arena, struct statement *statement);
    bool (*prepared)(const struct connection *connection, const char *sql); /* prepare() asks the server nothing */
    enum sql_step (*step)(struct statement *statement);
    struct fault *(*failure)(struct arena *arena, struct connection *connection); /* of the last STEP_FAILED */
    void (*reset)(struct statement *statement);  /* back to the connection's cache */
    int64_t (*changed)(struct connection *connection);
    int64_t (*last_key)(struct connection *connection);
    bool (*null)(struct statement *statement, int column);
    int64_t (*integer)(struct statement *statement, int column);
    double (*real)(struct statement *statement, int column);
    const char *(*text)(struct statement *statement, int column, size_t *ret_length); /* until the next call */
    /* Whether a DDL statement failed because what it makes is there already, or what it drops is gone. */
    bool (*done_before)(const struct connection *connection);
};

extern const struct sql_driver sql_sqlite;
#define SQL_MARIADB_SYMBOL "sql_mariadb" /* in the module sql_mariadb.so */

/* A driver that talks to a server counts the times it waited for an answer. */
void sql_round_trip(void);

#endif
