/* SPDX-License-Identifier: Apache-2.0
 * sql: values, statements, rows and read transactions over a driver. See sql.h. */
#include "oslo/sql/private.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"

#include <assert.h>
#include <string.h>

const char SQL_DUPLICATE[] = "sql.duplicate";

static __thread struct sql_usage here;

struct sql_usage sql_usage_here(void)
{
    return here;
}

void sql_round_trip(void)
{
    here.round_trips++;
}

void sql_count_transaction(void)
{
    here.transactions++;
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
    if (rows->awaited)
        (void)sql_collect(rows->tx); /* it is the transaction's fault then */
    if (rows->statement == NULL)
        return;
    rows->tx->db->driver->reset(rows->statement);
    rows->statement = NULL;
    unlink_rows(rows);
}

bool rows_next(struct rows *rows)
{
    if (rows->awaited)
        (void)sql_collect(rows->tx);
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
    return rows->tx->db->driver->null(rows->statement, column);
}

/* ---- statements ---- */

/* What failed in the middle of a transaction and can only be mended by running all of it again. */
static struct fault *noted(struct tx *tx, struct fault *fault)
{
    if (fault != NULL && fault->retry && tx->fault == NULL)
        tx->fault = fault;
    return fault;
}

/* What the answer means: `fault` is how the statement itself went. */
static struct fault *judge(struct tx *tx, const struct sent *sent, struct fault *fault)
{
    if (fault == NULL)
        return sent->expected < 0 || tx->db->driver->changed(tx->connection) == sent->expected ? NULL : sent->otherwise;
    return sent->duplicate != NULL && fault->code == SQL_DUPLICATE ? fault_because(sent->duplicate, fault) : fault;
}

struct fault *sql_collect(struct tx *tx)
{
    const struct sql_driver *driver = tx->db->driver;
    struct fault *first = NULL;
    while (tx->sent != NULL) {
        struct sent *sent = tx->sent;
        tx->sent = sent->next;
        struct fault *fault = judge(tx, sent, driver->answer(tx->arena, sent->statement));
        if (sent->rows != NULL) {
            sent->rows->awaited = false;
            sent->rows->fault = fault;
            if (fault != NULL)
                rows_end(sent->rows);
        }
        first = first != NULL ? first : fault;
    }
    if (first != NULL && tx->fault == NULL)
        tx->fault = first;
    return first;
}

/* What is on the way is never more than a socket holds: else we would wait for the server to read, and it for us. */
enum { MOST_ON_THE_WAY = 16384, STATEMENT_BYTES = 64, VALUE_BYTES = 16 };

static size_t size_of(const struct sql_value *values, size_t count)
{
    size_t size = STATEMENT_BYTES;
    for (size_t i = 0; i < count; i++)
        size += VALUE_BYTES + (values[i].type == SQL_TYPE_TEXT || values[i].type == SQL_TYPE_BLOB ? values[i].text.length : 0);
    return size;
}

/* Prepared, and fit to be sent after what is on the way: else that is waited for first. */
static struct fault *prepare(struct tx *tx, const char *sql, const struct sql_value *values, size_t count, struct statement **ret)
{
    const struct sql_driver *driver = tx->db->driver;
    here.statements++;
    if (tx->db->settings.connection_debug >= 50)
        log_debug("oslo.db", "%s", sql);
    size_t size = size_of(values, count);
    if (tx->sent != NULL && (tx->sent_bytes + size > MOST_ON_THE_WAY || !driver->prepared(tx->connection, sql)))
        TRY(sql_collect(tx));
    tx->sent_bytes = tx->sent == NULL ? size : tx->sent_bytes + size;
    return driver->prepare(tx->arena, tx->connection, sql, ret);
}

static struct fault *try_statement(struct tx *tx, const char *sql, const struct sql_value *values, size_t count,
    struct statement **ret)
{
    const struct sql_driver *driver = tx->db->driver;
    TRY(prepare(tx, sql, values, count, ret));
    struct fault *fault, *before = NULL;
    if (tx->sent == NULL) {
        fault = driver->bind(tx->arena, *ret, values, count);
    } else {
        fault = driver->send(tx->arena, *ret, values, count);
        before = sql_collect(tx);
        if (fault == NULL)
            fault = driver->answer(tx->arena, *ret);
    }
    fault = before != NULL ? before : fault;
    if (fault != NULL)
        driver->reset(*ret);
    return fault;
}

/* Sends a statement whose answer is read with a later one's. */
static struct fault *send_statement(struct tx *tx, const char *sql, const struct sql_value *values, size_t count,
    const struct sent *what, struct statement **ret)
{
    const struct sql_driver *driver = tx->db->driver;
    if (tx->fault != NULL)
        return tx->fault;
    struct sent *sent = ARENA_NEW(tx->arena, struct sent);
    *sent = *what;
    struct fault *fault = prepare(tx, sql, values, count, &sent->statement);
    if (fault != NULL)
        return noted(tx, fault);
    fault = driver->send(tx->arena, sent->statement, values, count);
    if (fault != NULL || sent->rows == NULL)
        driver->reset(sent->statement);
    if (fault != NULL) {
        struct fault *before = sql_collect(tx);
        return before != NULL ? before : noted(tx, fault);
    }
    tx->last_sent = tx->sent == NULL ? &tx->sent : tx->last_sent;
    *tx->last_sent = sent;
    tx->last_sent = &sent->next;
    tx->ran++;
    *ret = sent->statement;
    return NULL;
}

/* A read transaction that lost its connection goes on with another. Rows that were read already stay readable: the old
 * connection is kept to the end of the transaction. */
static struct fault *go_on_elsewhere(struct tx *tx)
{
    struct pooled *fresh;
    TRY(sql_pool_take(tx->arena, tx->db, SQL_MODE_READ, &fresh));
    tx->pooled->next = tx->dead;
    tx->dead = tx->pooled;
    tx->pooled = fresh;
    tx->connection = fresh->connection;
    return NULL;
}

static struct fault *begin_statement(struct tx *tx, const char *sql, const struct sql_value *values, size_t count,
    struct statement **ret)
{
    const struct sql_driver *driver = tx->db->driver;
    if (tx->fault != NULL && !tx->reading)
        return tx->fault; /* it cannot be committed; the server may have rolled back: nothing new is to begin */
    for (int attempt = 1;; attempt++) {
        struct fault *fault = try_statement(tx, sql, values, count, ret);
        if (fault == NULL || !fault->retry) {
            tx->ran++;
            return fault;
        }
        bool lost = driver->lost != NULL && driver->lost(tx->connection);
        bool again = tx->reading && lost && (!tx->exact || tx->ran == 0) && attempt <= tx->db->settings.db_max_retries;
        if (!again) {
            tx->fault = tx->fault != NULL ? tx->fault : fault;
            return fault;
        }
        clock_sleep_ms(sql_pause_ms(tx->db, attempt, lost));
        fault = go_on_elsewhere(tx);
        if (fault != NULL) {
            tx->fault = fault;
            return fault;
        }
    }
}

static const struct sent any_change = { .expected = -1 };

/* All names of tx_serialize() in one statement, in their order. */
static struct fault *serialize(struct tx *tx)
{
    const struct sql_driver *driver = tx->db->driver;
    size_t count = tx->name_count;
    if (count == 0)
        return NULL;
    struct sql_value *values = ARENA_ARRAY(tx->arena, struct sql_value, count);
    tx->name_count = 0;
    BUF_CLEANUP struct buf sql = { 0 };
    buf_puts(&sql, driver->serialize);
    for (size_t i = 0; i < count; i++) {
        buf_puts(&sql, i > 0 ? ",(?, 1)" : "(?, 1)");
        values[i] = TEXT(tx->names[i]);
    }
    buf_puts(&sql, driver->serialize_end);
    struct statement *statement;
    return send_statement(tx, arena_strdup(tx->arena, buf_text(&sql)), values, count, &any_change, &statement);
}

struct fault *sql_query(struct tx *tx, struct rows **ret, const char *sql, const struct sql_value *values, size_t count)
{
    struct rows *rows = ARENA_NEW(tx->arena, struct rows);
    /* The bound texts must live as long as the rows are read; the array itself may be the caller's temporary. */
    TRY(serialize(tx));
    TRY(begin_statement(tx, sql, values, count, &rows->statement));
    rows->tx = tx;
    rows->next = tx->open;
    tx->open = rows;
    *ret = rows;
    return NULL;
}

struct fault *sql_query_later(struct tx *tx, struct rows **ret, const char *sql, const struct sql_value *values, size_t count)
{
    if (tx->db->driver->send == NULL || (tx->reading && (!tx->exact || tx->ran == 0)))
        return sql_query(tx, ret, sql, values, count); /* it may have to go on elsewhere */
    struct rows *rows = ARENA_NEW(tx->arena, struct rows);
    *rows = (struct rows){ .tx = tx, .awaited = true };
    TRY(serialize(tx));
    TRY(send_statement(tx, sql, values, count, &(struct sent){ .rows = rows, .expected = -1 }, &rows->statement));
    rows->next = tx->open;
    tx->open = rows;
    *ret = rows;
    return NULL;
}

static struct fault *execute(struct tx *tx, const char *sql, const struct sql_value *values, size_t count)
{
    struct statement *statement;
    TRY(begin_statement(tx, sql, values, count, &statement));
    enum sql_step step;
    do
        step = tx->db->driver->step(statement);
    while (step == STEP_ROW);
    struct fault *fault = step == STEP_FAILED ? noted(tx, tx->db->driver->failure(tx->arena, tx->connection)) : NULL;
    tx->db->driver->reset(statement);
    return fault;
}

struct fault *sql_exec(struct tx *tx, const char *sql, const struct sql_value *values, size_t count)
{
    TRY(serialize(tx));
    tx->changed = true;
    return execute(tx, sql, values, count);
}

static struct fault *exec_later(struct tx *tx, const char *sql, const struct sql_value *values, size_t count,
    const struct sent *what)
{
    struct statement *statement;
    TRY(serialize(tx));
    tx->changed = true;
    if (tx->db->driver->send != NULL)
        return send_statement(tx, sql, values, count, what, &statement);
    return judge(tx, what, execute(tx, sql, values, count));
}

struct fault *sql_exec_later(struct tx *tx, const char *sql, const struct sql_value *values, size_t count)
{
    return exec_later(tx, sql, values, count, &any_change);
}

struct fault *sql_exec_expect(struct tx *tx, int64_t expected, struct fault *otherwise, const char *sql,
    const struct sql_value *values, size_t count)
{
    return exec_later(tx, sql, values, count, &(struct sent){ .expected = expected, .otherwise = otherwise });
}

struct fault *sql_exec_unique(struct tx *tx, struct fault *duplicate, const char *sql, const struct sql_value *values, size_t count)
{
    return exec_later(tx, sql, values, count, &(struct sent){ .expected = -1, .duplicate = duplicate });
}

struct fault *tx_serialize(struct tx *tx, const char *name)
{
    assert(!tx->reading && tx->ran == 0);
    if (tx->db->driver->serialize == NULL)
        return NULL;
    tx->names = ARENA_GROW(tx->arena, tx->names, tx->name_count);
    tx->names[tx->name_count++] = arena_strdup(tx->arena, name);
    return NULL;
}

void tx_remember(struct tx *tx, const char *key, void *value)
{
    if (tx->reading)
        map_set(&tx->memory, key, value);
}

void *tx_recall(const struct tx *tx, const char *key)
{
    return tx->reading ? map_get(&tx->memory, key) : NULL;
}

struct fault *tx_serialize_on(struct tx *tx, const char *prefix, const char *id)
{
    return tx_serialize(tx, arena_printf(tx->arena, "%s:%s", prefix, id));
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

/* ---- read transactions ---- */

struct arena *tx_arena(const struct tx *tx)
{
    return tx->arena;
}

void sql_end_open_rows(struct tx *tx)
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
    TRY(sql_pool_take(arena, db, SQL_MODE_READ, &tx->pooled));
    tx->connection = tx->pooled->connection;
    arena_defer(arena, tx_release, tx);
    sql_count_transaction();
    *ret = tx;
    return NULL;
}

void tx_exact(struct tx *tx)
{
    tx->exact = true;
}

void tx_end(struct tx *tx)
{
    if (tx == NULL || !tx->reading)
        return;
    tx->reading = false;
    map_release(&tx->memory);
    (void)sql_collect(tx);
    sql_end_open_rows(tx);
    sql_pool_give(tx->db, tx->pooled, tx->db->driver->finish(tx->connection, false));
    while (tx->dead != NULL) {
        struct pooled *dead = tx->dead;
        tx->dead = dead->next;
        sql_pool_give(tx->db, dead, false);
    }
}
