/* SPDX-License-Identifier: Apache-2.0
 *
 * sql: one service's database. SQLite in a file, or MariaDB (Galera too); nothing above this header knows which.
 *
 * Statements are prepared once per connection and bound; no SQL is ever assembled from a caller's text. The common
 * subset of both engines is the language: no upsert, no RETURNING; a serial key is written $SERIAL in migrations, and a column
 * that MariaDB compares without regard to case TYPE $ANYCASE.
 *
 * Writes are functions that may run again: db_write() runs `run` inside a transaction and commits; on deadlock,
 * certification failure, lock wait timeout or a lost connection the whole function runs again, on another connection, after
 * a pause that grows, as often as [database] db_max_retries says. It may therefore touch nothing but the transaction, its
 * argument and the arena. It must not call other services, wait, or sleep. On SQLite, writers that wait for each other share
 * one commit (group commit), each behind a savepoint of its own.
 *
 * A connection that is lost while COMMIT is under way leaves open whether the commit took place. The engine knows: each
 * transaction that changed something puts a row with an id of its own into `nubo_commit`, in the round trip of its COMMIT.
 * After the loss another connection inserts the same id. When that fails as a duplicate the transaction was committed, and
 * db_write() returns success; when it succeeds, the lost transaction can never commit any more (its own insert would be the
 * duplicate; on Galera its certification fails), and the function runs again. So nothing runs twice, and a unique key
 * never complains about one's own first try.
 *
 * Reads are not functions. A read transaction whose connection is lost between two statements goes on, on another
 * connection, with a newer snapshot; tx_exact() turns that off where several statements must see one moment.
 *
 * Both engines compare texts byte by byte (MariaDB's tables are made with the collation utf8mb4_nopad_bin): ids are exact,
 * names differ by case and by trailing blanks, but for columns that are $ANYCASE (keystone's names, as in the reference's
 * MySQL schema; SQLite always tells case, as there). NULL sorts first. The SQL mode on MariaDB is mysql_sql_mode and, always,
 * NO_BACKSLASH_ESCAPES, PIPES_AS_CONCAT and SIMULTANEOUS_ASSIGNMENT, which are how SQLite reads SQL. "Changed" rows are the
 * rows that were found.
 * DATETIME columns hold microseconds (DATETIME(6) on MariaDB; in a schema that upstream made they hold whole seconds).
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

/* What [database] says, with oslo.db's names and meaning (sql/options.c has the rows). */
struct db_settings {
    const char *connection;  /* "sqlite:////path/file.db" (SQLAlchemy's spelling: three slashes for a relative path, four for
                              * an absolute one), "sqlite://" (a temporary file), or mysql+pymysql://, mysql://,
                              * mariadb+pymysql:// with user:password@host[:port][,host[:port]...]/schema[?unix_socket=&
                              * charset=&ssl_ca=&ssl_cert=&ssl_key=&connect_timeout=], each part percent-escaped. Of several
                              * hosts the first that answers is used. */
    const char *connection_parameters; /* appended to the URL's query; NULL or "": none */
    bool sqlite_asynchronous;
    const char *mysql_sql_mode;
    int64_t mysql_wsrep_sync_wait; /* -1: the server's own */
    int64_t max_pool_size, max_overflow, pool_timeout_s, connection_recycle_s;
    int64_t max_retries, retry_interval_s; /* for the first connection; -1: for ever */
    int64_t db_max_retries, db_retry_interval_s, db_max_retry_interval_s;
    bool db_inc_retry_interval;
    int64_t connection_debug; /* > 0: round trips are told in a response header; >= 50: statements (no values) are logged */
};

/* The values that hold when no configuration says otherwise. */
struct db_settings db_settings_default(const char *connection);

struct config;
struct option_table;
extern const struct option_table database_options;
/* The values of a configuration that has `database_options`. `connection` is NULL when it is not set. */
struct db_settings db_settings_read(const struct config *config);

/* Opens (and, for SQLite, creates) a database; waits for a server that is not there yet as max_retries says. No fault
 * and no log line ever holds the password. db_open() takes the defaults, and a server must be there at once. */
struct fault *db_open_settings(struct arena *arena, const struct db_settings *settings, struct db **ret);
struct fault *db_open(struct arena *arena, const char *url, struct db **ret);
void db_close(struct db *db); /* NULL is allowed; all transactions have ended */
bool db_is_shared(const struct db *db); /* other machines may use it: it is on a server */
int64_t db_debug(const struct db *db); /* connection_debug */

/* A write transaction: BEGIN, run(tx, argument), COMMIT. A fault from run rolls back and is returned. When it returns NULL
 * the change is durable. 503: the database is away, or the pool is exhausted. */
struct fault *db_write(struct arena *arena, struct db *db, struct fault *(*run)(struct tx *tx, void *argument),
    void *argument);

/* A read transaction (one snapshot). Ends at tx_end() or with the arena, whichever comes first. A thread must not call
 * db_write() on the same database while it holds one. */
struct fault *db_read(struct arena *arena, struct db *db, struct tx **ret);
void tx_end(struct tx *tx);

/* From here on all statements of this read transaction see one moment: when its connection is lost it faults, with `retry`. */
void tx_exact(struct tx *tx);

/* Transactions that name the same thing run one after the other, on every engine and across processes, so that what one
 * has read still holds when it commits: quotas, "is it in use", the next free one. To be called before any other statement
 * of the transaction (asserted), because on MariaDB the snapshot begins with the first one. Several names: in the order of
 * the alphabet. SQLite: writers stand in a row anyway, this costs nothing. MariaDB: one round trip for all names, together with
 * the first other statement; it changes their rows in `nubo_serialize`; a second transaction waits there, and one on another
 * Galera node fails certification and runs again. */
struct fault *tx_serialize(struct tx *tx, const char *name);
/* As tx_serialize(), "PREFIX:ID". */
struct fault *tx_serialize_on(struct tx *tx, const char *prefix, const char *id);

/* What a read transaction has read, by a key of the reader's ("project:ID"), so that it need not be read twice: it would be the
 * same. The value lives in the transaction's arena. A transaction that writes remembers nothing (NULL). */
void tx_remember(struct tx *tx, const char *key, void *value);
void *tx_recall(const struct tx *tx, const char *key);

/* One statement in a transaction of its own; `ret_changed` (rows changed) may be NULL. On MariaDB an UPDATE or DELETE whose
 * count nobody wants is one round trip, and is run again when its connection is lost: it must bear that. */
struct fault *db_exec(struct arena *arena, struct db *db, const char *sql, const struct sql_value *values, size_t count,
    int64_t *ret_changed);

/* The arena that the transaction was begun with: what it makes for its caller lives there. */
struct arena *tx_arena(const struct tx *tx);

/* A statement without rows. A violated unique key is a fault with status 409 and code SQL_DUPLICATE; a text that its column
 * does not hold (MariaDB's TEXT ends at 64 KiB) one with status 400. */
struct fault *sql_exec(struct tx *tx, const char *sql, const struct sql_value *values, size_t count);
struct fault *sql_exec_changed(struct tx *tx, const char *sql, const struct sql_value *values, size_t count,
    int64_t *ret_changed);
/* As exec, without waiting: on a server the statement travels with those that follow, and its answer is read with theirs, so
 * that a transaction waits once for many. What goes wrong is the fault of one of the following statements, or of db_write() in
 * the place of its success, and is not to be caught within the transaction, which is lost then. SQLite: at once. */
struct fault *sql_exec_later(struct tx *tx, const char *sql, const struct sql_value *values, size_t count);
/* The same; when not `expected` rows changed it is `otherwise` that went wrong. */
struct fault *sql_exec_expect(struct tx *tx, int64_t expected, struct fault *otherwise, const char *sql,
    const struct sql_value *values, size_t count);
/* The same; a violated unique key is `duplicate` (made its cause). With `retry` in it the whole transaction runs again. */
struct fault *sql_exec_unique(struct tx *tx, struct fault *duplicate, const char *sql, const struct sql_value *values,
    size_t count);
/* As exec; gives the $SERIAL key of the new row. */
struct fault *sql_insert(struct tx *tx, const char *sql, const struct sql_value *values, size_t count, int64_t *ret_key);
extern const char SQL_DUPLICATE[];

/* A query. Texts that rows_text() returns live in the transaction's arena. A failure in the middle ends the rows and
 * makes the transaction return the fault (db_write) or is found by rows_fault(). */
struct fault *sql_query(struct tx *tx, struct rows **ret, const char *sql, const struct sql_value *values, size_t count);
/* As query, without waiting: rows_next() does. For queries that do not depend on each other, in a transaction that writes or
 * is exact. What it finds is not to be changed before its rows are read. A failure is found by rows_fault(). */
struct fault *sql_query_later(struct tx *tx, struct rows **ret, const char *sql, const struct sql_value *values, size_t count);
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
    const char *upstream; /* one or several with blanks between; NULL: upstream has nothing of it */
};
struct fault *db_sync(struct arena *arena, struct db *db, const struct migration *migrations, size_t count,
    void (*progress)(const struct migration *migration));
/* Whether upstream's program made the database, at a revision that all of the shared migrations name, and none of ours was
 * noted yet: db_sync() then adds only what is our own. Faults as db_sync()'s when it is at another revision. */
struct fault *db_upstream_made(struct arena *arena, struct db *db, const struct migration *migrations, size_t count, bool *ret);
struct fault *db_version(struct arena *arena, struct db *db, int *ret_number);

/* What this thread did so far: the difference of two is what a request cost. SQLite makes no round trips. */
struct sql_usage {
    uint64_t statements, transactions, round_trips;
};
struct sql_usage sql_usage_here(void);

#endif
