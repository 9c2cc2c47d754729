/* SPDX-License-Identifier: Apache-2.0
 *
 * sql_driver: what a database engine does for oslo/sql. Private to oslo/sql*.c.
 *
 * A connection is used by one thread at a time; sql.c pools them and decides who writes.
 */
#ifndef OSLO_SQL_DRIVER_H
#define OSLO_SQL_DRIVER_H

#include "oslo/sql.h"

struct connection; /* the driver's own */
struct statement;  /* prepared, bound; the driver's own */

enum sql_step { STEP_ROW, STEP_DONE, STEP_FAILED };

struct sql_driver {
    const char *scheme;  /* what the URL begins with: "sqlite" */
    const char *serial;  /* what $SERIAL stands for in migrations */
    bool global_indexes; /* names of indexes are the database's, not the table's: migrations get the table before it */
    bool one_writer;     /* writers share commits through one connection (group commit) */
    struct fault *(*connect)(struct arena *arena, const char *url, bool writer, struct connection **ret);
    void (*disconnect)(struct connection *connection);
    /* BEGIN/COMMIT/ROLLBACK/SAVEPOINT texts go through this one. */
    struct fault *(*run)(struct arena *arena, struct connection *connection, const char *sql);
    struct fault *(*prepare)(struct arena *arena, struct connection *connection, const char *sql, struct statement **ret);
    struct fault *(*bind)(struct arena *arena, struct statement *statement, const struct sql_value *values, size_t count);
    enum sql_step (*step)(struct statement *statement);
    struct fault *(*failure)(struct arena *arena, struct connection *connection); /* of the last STEP_FAILED */
    void (*reset)(struct statement *statement);  /* back to the connection's cache */
    int64_t (*changed)(struct connection *connection);
    int64_t (*last_key)(struct connection *connection);
    enum sql_type (*type)(struct statement *statement, int column);
    int64_t (*integer)(struct statement *statement, int column);
    double (*real)(struct statement *statement, int column);
    const char *(*text)(struct statement *statement, int column, size_t *ret_length);
};

extern const struct sql_driver sql_sqlite;

#endif
