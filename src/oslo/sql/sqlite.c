/* SPDX-License-Identifier: Apache-2.0
 * sql/sqlite: the embedded engine: WAL, synchronous=FULL, a cache of prepared statements per connection. */
#include "oslo/sql/driver.h"

#include "base/map.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

struct connection {
    sqlite3 *sqlite;
    struct map statements; /* SQL text -> struct statement *, the first of a chain */
};

struct statement {
    struct connection *connection;
    sqlite3_stmt *sqlite;
    struct statement *next; /* the same text, for a query inside a query */
    bool in_use;
};

/* Small caches, because there are many connections: pages come from the kernel's cache through the mapping. Foreign keys
 * on, as MariaDB has them. */
static const char setup[] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY;"
                            "PRAGMA cache_size=-512; PRAGMA mmap_size=268435456; PRAGMA wal_autocheckpoint=2000;"
                            "PRAGMA journal_size_limit=33554432;";

static struct fault *sqlite_fault(struct arena *arena, sqlite3 *sqlite)
{
    int code = sqlite3_extended_errcode(sqlite);
    if (code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY)
        return fault_new(arena, 409, SQL_DUPLICATE, "%s", sqlite3_errmsg(sqlite));
    struct fault *fault = fault_new(arena, 500, NULL, "The database failed.");
    fault->retry = (code & 0xff) == SQLITE_BUSY || (code & 0xff) == SQLITE_LOCKED;
    return fault_detail(arena, fault, "sqlite %d: %s", code, sqlite3_errmsg(sqlite));
}

/* "sqlite:////abs" -> "/abs", "sqlite:///rel" -> "rel", "sqlite://" -> in memory. */
static const char *file_of(const char *url)
{
    const char *after = url + strlen("sqlite://");
    return *after == '/' ? after + 1 : ":memory:";
}

static struct fault *sqlite_connect(struct arena *arena, const struct db_settings *settings, bool writer,
    struct connection **ret)
{
    const char *url = settings->connection;
    struct connection *connection = calloc(1, sizeof(*connection));
    if (connection == NULL)
        abort();
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    struct fault *fault = NULL;
    if (sqlite3_open_v2(file_of(url), &connection->sqlite, flags, NULL) != SQLITE_OK ||
        sqlite3_busy_timeout(connection->sqlite, 20000) != SQLITE_OK ||
        sqlite3_exec(connection->sqlite, setup, NULL, NULL, NULL) != SQLITE_OK ||
        (settings->sqlite_asynchronous &&
            sqlite3_exec(connection->sqlite, "PRAGMA synchronous=OFF", NULL, NULL, NULL) != SQLITE_OK))
        fault = fault_detail(arena, fault_new(arena, 500, NULL, "The database %s cannot be opened.", file_of(url)), "%s",
            connection->sqlite != NULL ? sqlite3_errmsg(connection->sqlite) : "out of memory");
    if (fault != NULL) {
        sqlite3_close(connection->sqlite);
        free(connection);
        return fault;
    }
    sqlite3_extended_result_codes(connection->sqlite, 1);
    *ret = connection;
    return NULL;
}

static void sqlite_disconnect(struct connection *connection)
{
    struct map_entry *entry;
    for (size_t at = 0; (entry = map_next(&connection->statements, &at)) != NULL;) {
        for (struct statement *s = entry->value; s != NULL;) {
            struct statement *next = s->next;
            sqlite3_finalize(s->sqlite);
            free(s);
            s = next;
        }
    }
    map_release(&connection->statements);
    sqlite3_close(connection->sqlite);
    free(connection);
}

static struct fault *sqlite_run(struct arena *arena, struct connection *connection, const char *sql)
{
    struct statement *statement;
    TRY(sql_sqlite.prepare(arena, connection, sql, &statement));
    enum sql_step step = sql_sqlite.step(statement);
    struct fault *fault = step == STEP_FAILED ? sqlite_fault(arena, connection->sqlite) : NULL;
    sql_sqlite.reset(statement);
    return fault;
}

static struct fault *sqlite_prepare(struct arena *arena, struct connection *connection, const char *sql,
    struct statement **ret)
{
    struct statement *first = map_get(&connection->statements, sql);
    for (struct statement *s = first; s != NULL; s = s->next)
        if (!s->in_use) {
            s->in_use = true;
            *ret = s;
            return NULL;
        }
    sqlite3_stmt *prepared;
    if (sqlite3_prepare_v3(connection->sqlite, sql, -1, SQLITE_PREPARE_PERSISTENT, &prepared, NULL) != SQLITE_OK)
        return fault_detail(arena, sqlite_fault(arena, connection->sqlite), "%s: %s", sqlite3_errmsg(connection->sqlite), sql);
    struct statement *statement = calloc(1, sizeof(*statement));
    if (statement == NULL)
        abort();
    *statement = (struct statement){ connection, prepared, first, true };
    map_set(&connection->statements, sql, statement);
    *ret = statement;
    return NULL;
}

static struct fault *sqlite_bind(struct arena *arena, struct statement *statement, const struct sql_value *values,
    size_t count)
{
    int result = SQLITE_OK;
    for (size_t i = 0; i < count && result == SQLITE_OK; i++) {
        const struct sql_value *v = &values[i];
        int at = (int)i + 1;
        switch (v->type) {
        case SQL_TYPE_INT:
            result = sqlite3_bind_int64(statement->sqlite, at, v->integer);
            break;
        case SQL_TYPE_REAL:
            result = sqlite3_bind_double(statement->sqlite, at, v->real);
            break;
        case SQL_TYPE_TEXT: /* the values live until the statement is reset: no copy */
            result = sqlite3_bind_text(statement->sqlite, at, v->text.data, (int)v->text.length, SQLITE_STATIC);
            break;
        case SQL_TYPE_BLOB:
            result = sqlite3_bind_blob(statement->sqlite, at, v->text.data, (int)v->text.length, SQLITE_STATIC);
            break;
        case SQL_TYPE_NULL:
            result = sqlite3_bind_null(statement->sqlite, at);
            break;
        }
    }
    return result == SQLITE_OK ? NULL : sqlite_fault(arena, statement->connection->sqlite);
}

static enum sql_step sqlite_step(struct statement *statement)
{
    int result = sqlite3_step(statement->sqlite);
    return result == SQLITE_ROW ? STEP_ROW : result == SQLITE_DONE ? STEP_DONE : STEP_FAILED;
}

static struct fault *sqlite_failure(struct arena *arena, struct connection *connection)
{
    return sqlite_fault(arena, connection->sqlite);
}

static void sqlite_reset(struct statement *statement)
{
    sqlite3_reset(statement->sqlite);
    sqlite3_clear_bindings(statement->sqlite);
    statement->in_use = false;
}

static int64_t sqlite_changed(struct connection *connection)
{
    return sqlite3_changes64(connection->sqlite);
}

static int64_t sqlite_last_key(struct connection *connection)
{
    return sqlite3_last_insert_rowid(connection->sqlite);
}

static bool sqlite_null(struct statement *statement, int column)
{
    return sqlite3_column_type(statement->sqlite, column) == SQLITE_NULL;
}

static struct fault *sqlite_begin(struct arena *arena, struct connection *connection, enum sql_mode mode)
{
    return mode == SQL_MODE_READ ? sqlite_run(arena, connection, "BEGIN") : sqlite_run(arena, connection, "BEGIN IMMEDIATE");
}

static bool sqlite_finish(struct connection *connection, bool rollback)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    return sqlite_run(arena, connection, rollback ? "ROLLBACK" : "COMMIT") == NULL;
}

static int64_t sqlite_integer(struct statement *statement, int column)
{
    return sqlite3_column_int64(statement->sqlite, column);
}

static double sqlite_real(struct statement *statement, int column)
{
    return sqlite3_column_double(statement->sqlite, column);
}

static const char *sqlite_text(struct statement *statement, int column, size_t *ret_length)
{
    const char *text = (const char *)sqlite3_column_text(statement->sqlite, column); /* a blob's bytes stay as they are */
    *ret_length = (size_t)sqlite3_column_bytes(statement->sqlite, column);
    return text;
}

const struct sql_driver sql_sqlite = {
    .serial = "INTEGER PRIMARY KEY AUTOINCREMENT",
    .global_indexes = true,
    .datetime = "DATETIME",
    .any_case = "",
    .table_suffix = "",
    .one_writer = true,
    .connect = sqlite_connect,
    .disconnect = sqlite_disconnect,
    .run = sqlite_run,
    .begin = sqlite_begin,
    .finish = sqlite_finish,
    .prepare = sqlite_prepare,
    .bind = sqlite_bind,
    .step = sqlite_step,
    .failure = sqlite_failure,
    .reset = sqlite_reset,
    .changed = sqlite_changed,
    .last_key = sqlite_last_key,
    .null = sqlite_null,
    .integer = sqlite_integer,
    .real = sqlite_real,
    .text = sqlite_text,
};
