/* SPDX-License-Identifier: Apache-2.0
 * mariadb: the driver for MariaDB and Galera, over Connector/C, by prepared statements in the binary protocol.
 *
 * Round trips: a statement costs one (its first use on a connection one more, to prepare it), several that are sent before the
 * first answer is read cost one together (CONC-533 of the library is what lets them); sessions run with autocommit
 * off, so that BEGIN costs none; the end of a transaction that changed nothing is sent and its answer read before the next
 * use, so that it costs none either; COMMIT costs one, marker included. Results are read whole when a statement
 * executes: that frees the connection for a query inside a query, and leaves nothing to be lost in the middle. */
#include "oslo/sql/driver.h"
#include "oslo/sql/mariadb/url.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/map.h"

#include <errmsg.h>
#include <mysql.h>
#include <mysqld_error.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CACHED = 200,             /* prepared statements of a connection; the server holds max_prepared_stmt_count of all */
    ER_WSREP_NOT_READY = 1047, ER_QUERY_KILLED = 1317, ER_KILLED = 1927, ER_READ_ONLY = 1290,
    PEER_IDLE_S = 5, PEER_PROBE_S = 3, PEER_PROBES = 3, PEER_SILENT_MS = 15000, /* a host that died without a word */
};

struct connection {
    MYSQL *mysql;
    struct map statements; /* SQL text -> struct statement *, the first of a chain */
    struct statement *newest, *oldest; /* all of them, by last use */
    size_t count;
    bool autocommit, pending; /* pending: an answer is still to be read */
    bool open;                /* something ran since the last COMMIT or ROLLBACK */
    bool made;                /* the server has let us in */
    bool arriving;            /* the first answer of those that were sent together is here */
    bool lost;
    unsigned error;           /* of the last failure */
    char *words;
    int64_t changed, last_key;
    char marker[40];          /* of its last commit: to be taken away with the next one */
    char *scratch;            /* a text column's bytes */
    size_t scratch_size;
};

struct statement {
    struct connection *connection;
    MYSQL_STMT *mysql;
    char *sql;
    struct statement *next; /* the same text, for a query inside a query */
    struct statement *newer, *older;
    MYSQL_BIND *binds;
    size_t bind_count;
    unsigned columns;
    bool in_use;
};

/* ---- failures ---- */

static const struct {
    unsigned error;
    bool retry, lost;
} meanings[] = {
    { ER_LOCK_DEADLOCK,            true, false }, /* Galera's certification failure too */
    { ER_LOCK_WAIT_TIMEOUT,        true, false },
    { ER_CHECKREAD,                true, false },
    { ER_QUERY_KILLED,             true, false },
    { ER_ERROR_DURING_COMMIT,      true, false },
    { ER_WSREP_NOT_READY,          true, true },
    { ER_KILLED,                   true, true },
    { ER_READ_ONLY,                true, true },  /* a node that is no writer any more: another one may be */
    { ER_SERVER_SHUTDOWN,          true, true },
    { ER_NORMAL_SHUTDOWN,          true, true },
    { ER_CON_COUNT_ERROR,          true, true },
    { ER_NEW_ABORTING_CONNECTION,  true, true },
    { ER_NET_READ_ERROR,           true, true },
    { ER_NET_READ_INTERRUPTED,     true, true },
    { ER_NET_ERROR_ON_WRITE,       true, true },
    { ER_NET_WRITE_INTERRUPTED,    true, true },
    { CR_CONNECTION_ERROR,         true, true },
    { CR_CONN_HOST_ERROR,          true, true },
    { CR_UNKNOWN_HOST,             true, true },
    { CR_SERVER_GONE_ERROR,        true, true },
    { CR_SERVER_LOST,              true, true },
    { CR_SERVER_LOST_EXTENDED,     true, true },
    { CR_MALFORMED_PACKET,         true, true },
    { CR_COMMANDS_OUT_OF_SYNC,     true, true },
};

/* A handshake that was cut off may succeed later; one that refused a certificate will not. ("shutdown while in init" is what
 * OpenSSL says of an earlier one in this thread.) */
static bool cut_off(const char *words)
{
    static const char *const cuts[] = { "eof", "EOF", "Connection reset", "Broken pipe", "timed out", "Success",
        "shutdown while in init" };
    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++)
        if (strstr(words, cuts[i]) != NULL)
            return true;
    return false;
}

static struct fault *failed(struct arena *arena, struct connection *connection, unsigned error, const char *words,
    const char *sql)
{
    bool retry = connection->lost = error == CR_SSL_CONNECTION_ERROR && (connection->made || cut_off(words));
    for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
        if (meanings[i].error == error) {
            retry = meanings[i].retry;
            connection->lost = meanings[i].lost;
        }
    connection->error = error;
    if (error == ER_DUP_ENTRY || error == ER_DUP_ENTRY_WITH_KEY_NAME)
        return fault_new(arena, 409, SQL_DUPLICATE, "%s", words);
    if (error == ER_DATA_TOO_LONG) /* what the API lets pass and a column of the reference's schema does not hold */
        return fault_detail(arena, fault_new(arena, 400, NULL, "A value is longer than the database keeps."), "%s", words);
    struct fault *fault = connection->lost ? fault_new(arena, 503, NULL, "The database is not available, please try again later.")
                                           : fault_new(arena, retry ? 503 : 500, NULL, "The database failed.");
    fault->retry = retry;
    if (retry)
        fault->retry_after_s = 1;
    return sql == NULL ? fault_detail(arena, fault, "mariadb %u: %s", error, words)
                       : fault_detail(arena, fault, "mariadb %u: %s: %s", error, words, sql);
}

static struct fault *connection_failed(struct arena *arena, struct connection *connection, const char *sql)
{
    return failed(arena, connection, mysql_errno(connection->mysql), mysql_error(connection->mysql), sql);
}

static bool mariadb_lost(const struct connection *connection)
{
    return connection->lost;
}

static bool mariadb_done_before(const struct connection *connection)
{
    switch (connection->error) {
    case ER_TABLE_EXISTS_ERROR:
    case ER_DUP_FIELDNAME:
    case ER_DUP_KEYNAME:
    case ER_CANT_DROP_FIELD_OR_KEY:
    case ER_BAD_TABLE_ERROR:
        return true;
    default:
        return false;
    }
}

/* ---- connecting ---- */

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void initialise(void)
{
    mysql_library_init(0, NULL, NULL);
}

/* One SET of everything that a session must be. */
static const char *session(struct arena *arena, const struct db_settings *settings)
{
    BUF_CLEANUP struct buf text = { 0 };
    buf_puts(&text, "SET autocommit=1, time_zone='+00:00', collation_connection='utf8mb4_nopad_bin', sql_mode=CONCAT(");
    if (settings->mysql_sql_mode[0] == '\0') {
        buf_puts(&text, "@@global.sql_mode");
    } else {
        buf_putc(&text, '\'');
        for (const char *c = settings->mysql_sql_mode; *c != '\0'; c++)
            if (*c != '\'' && *c != '\\')
                buf_putc(&text, *c);
        buf_putc(&text, '\'');
    }
    buf_puts(&text, ", ',NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,SIMULTANEOUS_ASSIGNMENT')");
    if (settings->mysql_wsrep_sync_wait >= 0)
        buf_printf(&text, ", wsrep_sync_wait=%lld", (long long)settings->mysql_wsrep_sync_wait);
    return arena_strdup(arena, buf_text(&text));
}

static void set_options(MYSQL *mysql, const struct mariadb_url *url, const char *init)
{
    my_bool yes = 1, no = 0;
    mysql_options(mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    mysql_options(mysql, MYSQL_OPT_CONNECT_TIMEOUT, &url->connect_timeout_s);
    if (url->read_timeout_s > 0)
        mysql_options(mysql, MYSQL_OPT_READ_TIMEOUT, &url->read_timeout_s);
    mysql_options(mysql, MYSQL_INIT_COMMAND, init);
    mysql_options(mysql, MYSQL_OPT_RECONNECT, &no);
    if (!url->tls)
        return;
    /* The library verifies the chain whenever it is given a CA; with VERIFY_SERVER_CERT the name too, by the system's CAs if
     * there is no other. */
    mysql_ssl_set(mysql, url->ssl_key, url->ssl_cert, url->verify_chain ? url->ssl_ca : NULL,
        url->verify_chain ? url->ssl_capath : NULL, url->ssl_cipher);
    if (url->ssl_key_password != NULL)
        mysql_options(mysql, MARIADB_OPT_TLS_PASSPHRASE, url->ssl_key_password);
    mysql_options(mysql, MYSQL_OPT_SSL_ENFORCE, &yes);
    mysql_options(mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, url->verify_host ? &yes : &no);
}

/* A machine that went without a word is noticed, in idle and under way. */
static void watch_peer(MYSQL *mysql)
{
    int fd = (int)mysql_get_socket(mysql), on = 1;
    const int idle = PEER_IDLE_S, probe = PEER_PROBE_S, probes = PEER_PROBES, silent = PEER_SILENT_MS;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)); /* all of these fail on a local socket, and may */
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &probe, sizeof(probe));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &silent, sizeof(silent));
}

static void mariadb_disconnect(struct connection *connection);

static struct fault *connect_to(struct arena *arena, const struct mariadb_url *url, size_t host, const char *init,
    struct connection **ret)
{
    struct connection *connection = calloc(1, sizeof(*connection));
    if (connection == NULL || (connection->mysql = mysql_init(NULL)) == NULL)
        abort();
    set_options(connection->mysql, url, init);
    sql_round_trip();
    if (mysql_real_connect(connection->mysql, url->hosts[host].name, url->user, url->password, url->schema,
            url->hosts[host].port, url->unix_socket, CLIENT_FOUND_ROWS | CLIENT_MULTI_STATEMENTS) == NULL) {
        struct fault *fault = connection_failed(arena, connection, NULL);
        mariadb_disconnect(connection);
        return fault;
    }
    watch_peer(connection->mysql);
    connection->made = connection->autocommit = true;
    *ret = connection;
    return NULL;
}

static struct fault *open_connection(struct arena *arena, const struct db_settings *settings, bool writer,
    struct connection **ret)
{
    struct mariadb_url url;
    struct fault *fault = NULL;
    pthread_once(&once, initialise);
    TRY(mariadb_url_parse(arena, settings->connection, &url));
    const char *init = session(arena, settings);
    for (size_t i = 0; i < url.host_count; i++) {
        fault = connect_to(arena, &url, i, init, ret);
        if (fault == NULL || !fault->retry)
            break; /* a wrong password is no better on the next host */
    }
    if (url.password != NULL)
        explicit_bzero((char *)url.password, strlen(url.password));
    return fault;
}

static void drop(struct statement *statement)
{
    struct connection *connection = statement->connection;
    *(statement->newer != NULL ? &statement->newer->older : &connection->newest) = statement->older;
    *(statement->older != NULL ? &statement->older->newer : &connection->oldest) = statement->newer;
    connection->count--;
    mysql_stmt_close(statement->mysql);
    free(statement->binds);
    free(statement->sql);
    free(statement);
}

static void mariadb_disconnect(struct connection *connection)
{
    while (connection->newest != NULL)
        drop(connection->newest);
    map_release(&connection->statements);
    mysql_close(connection->mysql);
    free(connection->scratch);
    free(connection->words);
    free(connection);
}

static bool mariadb_alive(struct connection *connection)
{
    struct pollfd fd = { .fd = (int)mysql_get_socket(connection->mysql), .events = POLLIN };
    if (connection->pending) /* its answer is there already, or tells at the next use */
        return true;
    return poll(&fd, 1, 0) == 0; /* an idle server says nothing but goodbye */
}

/* ---- the engine's own statements ---- */

/* Reads the answer that the end of the last transaction left. */
static struct fault *drain(struct arena *arena, struct connection *connection)
{
    if (!connection->pending)
        return NULL;
    connection->pending = false;
    if (mysql_read_query_result(connection->mysql) == 0)
        return NULL;
    struct fault *fault = connection_failed(arena, connection, NULL);
    fault->retry = connection->lost = true; /* whatever it was: not this connection again */
    return fault;
}

/* A text of one or several statements; the first failure ends it. */
static struct fault *mariadb_run(struct arena *arena, struct connection *connection, const char *sql)
{
    TRY(drain(arena, connection));
    sql_round_trip();
    int result = mysql_real_query(connection->mysql, sql, strlen(sql));
    while (result == 0) {
        MYSQL_RES *rows = mysql_store_result(connection->mysql);
        mysql_free_result(rows);
        result = mysql_next_result(connection->mysql); /* -1: no more */
    }
    return result < 0 ? NULL : connection_failed(arena, connection, NULL);
}

static struct fault *mariadb_begin(struct arena *arena, struct connection *connection, enum sql_mode mode)
{
    TRY(drain(arena, connection));
    bool autocommit = mode == SQL_MODE_SINGLE;
    if (autocommit != connection->autocommit) {
        TRY(mariadb_run(arena, connection, autocommit ? "SET autocommit=1" : "SET autocommit=0"));
        connection->autocommit = autocommit;
    }
    return NULL;
}

static bool mariadb_finish(struct connection *connection, bool rollback)
{
    const char *sql = rollback ? "ROLLBACK" : "COMMIT";
    if (connection->lost || connection->pending)
        return !connection->lost;
    if (!connection->open)
        return true;
    connection->open = false;
    if (mysql_send_query(connection->mysql, sql, strlen(sql)) != 0)
        return false;
    connection->pending = true;
    return true;
}

static struct fault *mariadb_commit(struct arena *arena, struct connection *connection, const char *marker)
{
    long long now = (long long)(clock_now_us() / 1000000);
    const char *before = connection->marker[0] == '\0' ? ""
                         : arena_printf(arena, "DELETE FROM nubo_commit WHERE id='%s';", connection->marker);
    const char *sql = marker == NULL ? "COMMIT"
                      : arena_printf(arena, "%sINSERT INTO nubo_commit (id,made) VALUES ('%s',%lld);COMMIT", before, marker, now);
    TRY(mariadb_run(arena, connection, sql));
    connection->open = false;
    if (marker != NULL)
        strncpy(connection->marker, marker, sizeof(connection->marker) - 1);
    return NULL;
}

static struct fault *mariadb_settle(struct arena *arena, struct connection *connection, const char *marker,
    bool *ret_committed)
{
    struct fault *fault = mariadb_commit(arena, connection, marker);
    *ret_committed = fault != NULL && fault->code == SQL_DUPLICATE;
    if (!*ret_committed)
        return fault;
    connection->open = true;
    mariadb_finish(connection, true);
    return NULL;
}

/* ---- statements ---- */

static void make_newest(struct statement *statement)
{
    struct connection *connection = statement->connection;
    if (connection->newest == statement)
        return;
    if (statement->newer != NULL) { /* it is in the list */
        statement->newer->older = statement->older;
        *(statement->older != NULL ? &statement->older->newer : &connection->oldest) = statement->newer;
    }
    statement->newer = NULL;
    statement->older = connection->newest;
    *(connection->newest != NULL ? &connection->newest->newer : &connection->oldest) = statement;
    connection->newest = statement;
}

/* Lists of bound values come in many lengths: what was not used for longest goes. */
static void make_room(struct connection *connection)
{
    for (struct statement *s = connection->oldest; s != NULL && connection->count >= CACHED;) {
        struct statement *newer = s->newer, *first = map_get(&connection->statements, s->sql);
        if (!s->in_use && first == s && s->next == NULL) {
            map_remove(&connection->statements, s->sql);
            drop(s);
        } else if (!s->in_use) {
            struct statement *before = first;
            while (before != s && before->next != s)
                before = before->next;
            if (before == s)
                map_set(&connection->statements, s->sql, s->next);
            else
                before->next = s->next;
            drop(s);
        }
        s = newer;
    }
}

static bool mariadb_prepared(const struct connection *connection, const char *sql)
{
    for (const struct statement *s = map_get(&connection->statements, sql); s != NULL; s = s->next)
        if (!s->in_use)
            return true;
    return false;
}

static struct fault *mariadb_prepare(struct arena *arena, struct connection *connection, const char *sql,
    struct statement **ret)
{
    struct statement *first = map_get(&connection->statements, sql);
    for (struct statement *s = first; s != NULL; s = s->next)
        if (!s->in_use) {
            s->in_use = true;
            make_newest(s);
            *ret = s;
            return NULL;
        }
    TRY(drain(arena, connection));
    make_room(connection);
    first = map_get(&connection->statements, sql);
    MYSQL_STMT *prepared = mysql_stmt_init(connection->mysql);
    if (prepared == NULL)
        abort();
    sql_round_trip();
    if (mysql_stmt_prepare(prepared, sql, strlen(sql)) != 0) {
        struct fault *fault = failed(arena, connection, mysql_stmt_errno(prepared), mysql_stmt_error(prepared), sql);
        mysql_stmt_close(prepared);
        return fault;
    }
    struct statement *statement = calloc(1, sizeof(*statement));
    if (statement == NULL || (statement->sql = strdup(sql)) == NULL)
        abort();
    statement->connection = connection;
    statement->mysql = prepared;
    statement->next = first;
    statement->in_use = true;
    statement->columns = mysql_stmt_field_count(prepared);
    statement->bind_count = mysql_stmt_param_count(prepared);
    statement->binds = calloc(statement->bind_count + 1, sizeof(*statement->binds));
    if (statement->binds == NULL)
        abort();
    map_set(&connection->statements, sql, statement);
    connection->count++;
    make_newest(statement);
    *ret = statement;
    return NULL;
}

static void bind_value(MYSQL_BIND *bind, const struct sql_value *value)
{
    *bind = (MYSQL_BIND){ 0 };
    switch (value->type) {
    case SQL_TYPE_INT:
        bind->buffer_type = MYSQL_TYPE_LONGLONG;
        bind->buffer = (void *)&value->integer;
        break;
    case SQL_TYPE_REAL:
        bind->buffer_type = MYSQL_TYPE_DOUBLE;
        bind->buffer = (void *)&value->real;
        break;
    case SQL_TYPE_TEXT:
    case SQL_TYPE_BLOB:
        bind->buffer_type = value->text.data == NULL   ? MYSQL_TYPE_NULL
                            : value->type == SQL_TYPE_TEXT ? MYSQL_TYPE_STRING : MYSQL_TYPE_BLOB;
        bind->buffer = (void *)value->text.data;
        bind->buffer_length = value->text.length;
        break;
    case SQL_TYPE_NULL:
        bind->buffer_type = MYSQL_TYPE_NULL;
        break;
    }
}

static struct fault *statement_failed(struct arena *arena, struct statement *statement)
{
    return failed(arena, statement->connection, mysql_stmt_errno(statement->mysql), mysql_stmt_error(statement->mysql),
        statement->sql);
}

/* Executes without reading the answer. */
static int send_only(struct statement *statement)
{
    MYSQL *mysql = statement->connection->mysql;
    my_bool yes = 1, no = 0;
    mysql_options(mysql, MARIADB_OPT_SKIP_READ_RESPONSE, &yes);
    int result = mysql_stmt_execute(statement->mysql);
    mysql_options(mysql, MARIADB_OPT_SKIP_READ_RESPONSE, &no);
    return result;
}

static struct fault *mariadb_send(struct arena *arena, struct statement *statement, const struct sql_value *values,
    size_t count)
{
    struct connection *connection = statement->connection;
    MYSQL_STMT *mysql = statement->mysql;
    if (count != statement->bind_count)
        return fault_detail(arena, fault_new(arena, 500, NULL, "The database failed."), "%zu values for %zu marks: %s", count,
            statement->bind_count, statement->sql);
    for (size_t i = 0; i < count; i++)
        bind_value(&statement->binds[i], &values[i]);
    connection->open = true;
    connection->arriving = false;
    if ((count > 0 && mysql_stmt_bind_param(mysql, statement->binds) != 0) || send_only(statement) != 0)
        return statement_failed(arena, statement);
    return NULL;
}

/* Takes the whole result. */
static struct fault *mariadb_answer(struct arena *arena, struct statement *statement)
{
    struct connection *connection = statement->connection;
    MYSQL_STMT *mysql = statement->mysql;
    if (!connection->arriving)
        sql_round_trip();
    connection->arriving = true;
    if (mysql->mysql == NULL) /* an earlier answer did not come; the library does not look */
        return failed(arena, connection, CR_SERVER_LOST, "the connection is lost", statement->sql);
    if (connection->mysql->methods->db_read_execute_response(mysql) != 0 ||
        (statement->columns > 0 && mysql_stmt_store_result(mysql) != 0))
        return statement_failed(arena, statement);
    connection->changed = (int64_t)mysql_stmt_affected_rows(mysql);
    connection->last_key = (int64_t)mysql_stmt_insert_id(mysql);
    return NULL;
}

static struct fault *mariadb_bind(struct arena *arena, struct statement *statement, const struct sql_value *values,
    size_t count)
{
    TRY(mariadb_send(arena, statement, values, count));
    return mariadb_answer(arena, statement);
}

static enum sql_step mariadb_step(struct statement *statement)
{
    if (statement->columns == 0)
        return STEP_DONE;
    int result = mysql_stmt_fetch(statement->mysql);
    if (result == 0 || result == MYSQL_DATA_TRUNCATED)
        return STEP_ROW;
    if (result == MYSQL_NO_DATA)
        return STEP_DONE;
    struct connection *connection = statement->connection;
    connection->error = mysql_stmt_errno(statement->mysql);
    free(connection->words);
    connection->words = strdup(mysql_stmt_error(statement->mysql));
    return STEP_FAILED;
}

static struct fault *mariadb_failure(struct arena *arena, struct connection *connection)
{
    return failed(arena, connection, connection->error, connection->words != NULL ? connection->words : "", NULL);
}

static void mariadb_reset(struct statement *statement)
{
    if (statement->columns > 0)
        mysql_stmt_free_result(statement->mysql);
    statement->in_use = false;
}

static int64_t mariadb_changed(struct connection *connection)
{
    return connection->changed;
}

static int64_t mariadb_last_key(struct connection *connection)
{
    return connection->last_key;
}

/* ---- columns ---- */

static bool fetch(struct statement *statement, int column, MYSQL_BIND *bind, my_bool *null)
{
    *null = 0;
    bind->is_null = null;
    return mysql_stmt_fetch_column(statement->mysql, bind, (unsigned)column, 0) == 0 && !*null;
}

static bool mariadb_null(struct statement *statement, int column)
{
    char byte;
    unsigned long length;
    my_bool null;
    MYSQL_BIND bind = { .buffer_type = MYSQL_TYPE_STRING, .buffer = &byte, .buffer_length = 0, .length = &length };
    fetch(statement, column, &bind, &null);
    return null != 0;
}

static int64_t mariadb_integer(struct statement *statement, int column)
{
    int64_t value = 0;
    my_bool null;
    MYSQL_BIND bind = { .buffer_type = MYSQL_TYPE_LONGLONG, .buffer = &value, .buffer_length = sizeof(value) };
    return fetch(statement, column, &bind, &null) ? value : 0;
}

static double mariadb_real(struct statement *statement, int column)
{
    double value = 0;
    my_bool null;
    MYSQL_BIND bind = { .buffer_type = MYSQL_TYPE_DOUBLE, .buffer = &value, .buffer_length = sizeof(value) };
    if (!fetch(statement, column, &bind, &null))
        return 0;
    if (statement->mysql->fields[column].type != MYSQL_TYPE_FLOAT)
        return value;
    char text[32]; /* FLOAT has six digits: 1.1 is not to become 1.10000002384 */
    snprintf(text, sizeof(text), "%.6g", value);
    return strtod(text, NULL);
}

static bool is_moment(const struct statement *statement, int column)
{
    enum enum_field_types type = statement->mysql->fields[column].type;
    return type == MYSQL_TYPE_DATETIME || type == MYSQL_TYPE_TIMESTAMP;
}

/* The length of ".000000" at the end of a moment: one that was stored without a fraction is read without. */
static size_t empty_fraction(const char *text, size_t length)
{
    static const char zeros[] = ".000000";
    size_t size = sizeof(zeros) - 1;
    return text != NULL && length > size && memcmp(text + length - size, zeros, size) == 0 ? size : 0;
}

static const char *mariadb_text(struct statement *statement, int column, size_t *ret_length)
{
    struct connection *connection = statement->connection;
    for (;;) {
        unsigned long length = 0;
        my_bool null;
        MYSQL_BIND bind = { .buffer_type = MYSQL_TYPE_STRING, .buffer = connection->scratch,
            .buffer_length = connection->scratch_size, .length = &length };
        if (!fetch(statement, column, &bind, &null))
            return NULL;
        if (length < connection->scratch_size) {
            *ret_length = length - (is_moment(statement, column) ? empty_fraction(connection->scratch, length) : 0);
            return connection->scratch;
        }
        connection->scratch_size = (length + 512) / 512 * 512 + 512;
        free(connection->scratch);
        connection->scratch = malloc(connection->scratch_size);
        if (connection->scratch == NULL)
            abort();
    }
}

__attribute__((visibility("default"))) const struct sql_driver sql_mariadb = {
    .serial = "INTEGER NOT NULL AUTO_INCREMENT PRIMARY KEY",
    .datetime = "DATETIME(6)",
    .any_case = " COLLATE utf8mb4_general_ci",
    .table_suffix = " ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin",
    .connect = open_connection,
    .disconnect = mariadb_disconnect,
    .alive = mariadb_alive,
    .run = mariadb_run,
    .begin = mariadb_begin,
    .commit = mariadb_commit,
    .finish = mariadb_finish,
    .settle = mariadb_settle,
    .lost = mariadb_lost,
    .serialize = "INSERT INTO nubo_serialize (name, serial) VALUES ",
    .serialize_end = " ON DUPLICATE KEY UPDATE serial = serial + 1",
    .prepare = mariadb_prepare,
    .bind = mariadb_bind,
    .send = mariadb_send,
    .answer = mariadb_answer,
    .prepared = mariadb_prepared,
    .step = mariadb_step,
    .failure = mariadb_failure,
    .reset = mariadb_reset,
    .changed = mariadb_changed,
    .last_key = mariadb_last_key,
    .null = mariadb_null,
    .integer = mariadb_integer,
    .real = mariadb_real,
    .text = mariadb_text,
    .done_before = mariadb_done_before,
};
