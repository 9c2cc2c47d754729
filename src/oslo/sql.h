/* SPDX-License-Identifier: Apache-2.0
 *
 * sql: one service's database. SQLite in a file, or MariaDB; nothing above this header knows which.
 *
 * Statements are prepared once per connection and bound; no SQL is ever assembled from a caller's text. The common
 * subset of both engines is the language: no upsert, no RETURNING; a serial key is written $SERIAL in migrations.
 *
 * Writes are functions that may run again: db_write() runs `run` inside a transaction and commits; on deadlock,
 * certification failure or a lost connection the whole function runs again. It may therefore touch nothing but the
 * transaction, its argument and the arena. It must not call other services, wait, or sleep. On SQLite, writers that
 * wait for each other share one commit (group commit), each behind a savepoint of its own.
 */
#ifndef OSLO_SQL_H
#define OSLO_SQL_H

#include "base/arena.h"
#include "base/fault.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct db;
struct tx;
struct rows;

enum sql_type { SQL_TYPE_NULL, SQL_TYPE_INT, SQL_TYPE_REAL, SQL_TYPE_TEXT, SQL_TYPE_BLOB };

struct sql_value {
    enum sql_type type;
    union {
        int64_t integer;
        double real;
        struct {
            const char *data; /* NULL: the value is NULL */
            size_t length;
        } text;
    };
};

struct sql_value sql_text(const char *text); /* NULL gives SQL NULL */
#define TEXT(v)       sql_text(v)
#define INT(v)        ((struct sql_value){ .type = SQL_TYPE_INT, .integer = (v) })
#define REAL(v)       ((struct sql_value){ .type = SQL_TYPE_REAL, .real = (v) })
#define BLOB(p, n)    ((struct sql_value){ .type = SQL_TYPE_BLOB, .text = { (p), (n) } })
#define SQL_NULL      ((struct sql_value){ .type = SQL_TYPE_NULL })

/* BIND(TEXT(id), INT(n)) gives the two arguments `values, count` of the functions below. */
#define BIND(...)     (const struct sql_value[]){ __VA_ARGS__ }, (sizeof((struct sql_value[]){ __VA_ARGS__ }) / sizeof(struct sql_value))
#define NO_BIND       NULL, 0

/* Opens (and creates) a database. `url`: "sqlite:////path/file.db" (SQLAlchemy's spelling: three slashes for a relative
 * path, four for an absolute one), "sqlite://" (in memory) or "mysql+pymysql://user:password@host[:port]/schema". */
struct fault *db_open(struct arena *arena, const char *url, struct db **ret);
void db_close(struct db *db); /* NULL is allowed; all transactions have ended */

/* A write transaction: BEGIN, run(tx, argument), COMMIT. A fault from run rolls back and is returned. When it returns NULL
 * the change is durable. */
struct fault *db_write(struct arena *arena, struct db *db, struct fault *(*run)(struct tx *tx, void *argument),
    void *argument);

/* A read transaction (one snapshot). Ends at tx_end() or with the arena, whichever comes first. A thread must not call
 * db_write() on the same database while it holds one. */
struct fault *db_read(struct arena *arena, struct db *db, struct tx **ret);
void tx_end(struct tx *tx);

/* One statement in a transaction of its own; `ret_changed` (rows changed) may be NULL. */
struct fault *db_exec(struct arena *arena, struct db *db, const char *sql, const struct sql_value *values, size_t count,
    int64_t *ret_changed);

struct arena *tx_arena(const struct tx *tx);

/* A statement without rows. A violated unique key is a fault with status 409 and code SQL_DUPLICATE. */
struct fault *sql_exec(struct tx *tx, const char *sql, const struct sql_value *values, size_t count);
struct fault *sql_exec_changed(struct tx *tx, const char *sql, const struct sql_value *values, size_t count,
    int64_t *ret_changed);
/* As exec; gives the $SERIAL key of the new row. */
struct fault *sql_insert(struct tx *tx, const char *sql, const struct sql_value *values, size_t count, int64_t *ret_key);
extern const char SQL_DUPLICATE[];

/* A query. Texts that rows_text() returns live in the transaction's arena. A failure in the middle ends the rows and
 * makes the transaction return the fault (db_write) or is found by rows_fault(). */
struct fault *sql_query(struct tx *tx, struct rows **ret, const char *sql, const struct sql_value *values, size_t count);
bool rows_next(struct rows *rows);
struct fault *rows_fault(struct rows *rows); /* NULL when the rows ended well */
void rows_end(struct rows *rows);            /* before the last row; at the last row it is done by itself */
const char *rows_text(struct rows *rows, int column); /* NULL for SQL NULL */
int64_t rows_int(struct rows *rows, int column);      /* 0 for SQL NULL */
double rows_real(struct rows *rows, int column);
bool rows_null(struct rows *rows, int column);

/* The first row's first column: absent row or NULL gives NULL / `absent`. */
struct fault *sql_text_of(struct tx *tx, const char **ret, const char *sql, const struct sql_value *values, size_t count);
struct fault *sql_int_of(struct tx *tx, int64_t *ret, int64_t absent, const char *sql, const struct sql_value *values,
    size_t count);

/* "?,?,?" for IN lists of `count` (at least 1) bound values. */
const char *sql_marks(struct arena *arena, size_t count);

/* Migrations: a numbered list; db_sync() applies those above the number in the table `nubo_version`, each in one
 * transaction, and calls progress (may be NULL) for each. Statements are separated by ";\n". Names of indexes are their
 * table's own, as in MariaDB; what only MariaDB is to read stands between its marks for versions ("slash-star-bang").
 *
 * A service that shares its schema with upstream's program says at which of upstream's revisions the migration is done
 * already: where the table alembic_version holds it, the statements are not run, only noted. A database that upstream
 * made at another revision is refused (500, DatabaseRevisionUnknown). */
struct migration {
    int number;
    const char *name;
    const char *statements;
    const char *upstream; /* NULL: upstream has nothing of it */
};
struct fault *db_sync(struct arena *arena, struct db *db, const struct migration *migrations, size_t count,
    void (*progress)(const struct migration *migration));
struct fault *db_version(struct arena *arena, struct db *db, int *ret_number);

/* Statements executed so far by this process, for the bench that counts round trips. */
uint64_t sql_statement_count(void);

#endif
