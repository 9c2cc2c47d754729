/* SPDX-License-Identifier: Apache-2.0
 * sql_drive: what tests/api/test_database.py runs against a real MariaDB: "sql_drive URL MODE ARGUMENT...". Prints what it saw;
 * ends with 1 and a line when something is not as it must be. */
#include "base/work.h"
#include "oslo/app.h"
#include "oslo/flow.h"
#include "oslo/json.h"
#include "oslo/sql.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS_MAX = 64 };

static struct db *db;
static int each;
static atomic_int failures, refused;

#define MUST(condition) must((condition), #condition, __LINE__)

static void must(bool holds, const char *what, int line)
{
    if (holds)
        return;
    printf("line %d: not so: %s\n", line, what);
    exit(1);
}

static void well(struct arena *arena, struct fault *fault, int line)
{
    if (fault == NULL)
        return;
    printf("line %d: %s\n", line, fault_text(arena, fault));
    exit(1);
}
#define WELL(call) well(arena, (call), __LINE__)

static const struct migration migrations[] = {
    { 1, "numbers", "CREATE TABLE numbers (id $SERIAL, name VARCHAR(255) NOT NULL UNIQUE, value BIGINT, note TEXT, part DOUBLE,"
                    " bytes BLOB, yes BOOLEAN, born DATETIME)" },
    { 2, "others",  "CREATE TABLE a (id INTEGER PRIMARY KEY);\nCREATE INDEX one ON numbers (value);\n"
                    "CREATE TABLE b (id INTEGER PRIMARY KEY);\n"
                    "INSERT INTO a (id) VALUES (1);\nINSERT INTO a (id) VALUES (2);\nALTER TABLE b ADD COLUMN more VARCHAR(10);\n"
                    "CREATE INDEX more ON b (more);\nINSERT INTO b (id, more) SELECT id, 'x' FROM a;\n"
                    "CREATE TABLE c (id INTEGER PRIMARY KEY)" },
    { 3, "again",   "ALTER TABLE c ADD COLUMN x INTEGER;\nALTER TABLE c ADD COLUMN y INTEGER;\nINSERT INTO c (id, x, y) VALUES (1, 2, 3);\n"
                    "CREATE TABLE d (id INTEGER PRIMARY KEY);\nCREATE TABLE e (id INTEGER PRIMARY KEY);\nDROP TABLE d;\n"
                    "INSERT INTO e (id) VALUES (1)" },
    { 4, "flows",   flow_migration },
    { 5, "owners",  flow_owner_migration },
    { 6, "story",   "CREATE TABLE story (id $SERIAL, flow VARCHAR(64), step INTEGER, host VARCHAR(64))" },
};
enum { MIGRATIONS = sizeof(migrations) / sizeof(migrations[0]) };

static void tell(const struct migration *migration)
{
    printf("migration %d\n", migration->number);
    fflush(stdout);
}

/* ---- types ---- */

static struct fault *write_types(struct tx *tx, void *argument)
{
    int64_t key;
    TRY(sql_insert(tx, "INSERT INTO numbers (name, value, note, part, bytes, yes, born) VALUES (?, ?, ?, ?, ?, ?, ?)",
        BIND(TEXT("Ünïcødé \xf0\x9f\x98\x80 ' \\ %"), INT(INT64_MIN), TEXT(argument), REAL(1.0 / 3), BLOB("a\0b\xff", 4), INT(1),
            TEXT("2026-11-22 23:00:01")), &key));
    MUST(key > 0);
    TRY(sql_exec(tx, "INSERT INTO numbers (name, value, note) VALUES (?, ?, ?)", BIND(TEXT("unicode"), SQL_NULL, SQL_NULL)));
    return sql_exec(tx, "INSERT INTO numbers (name) VALUES (?)", BIND(TEXT("Unicode "))); /* not "unicode": case and blank */
}

static void types(void)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct tx *tx;
    struct rows *rows, *inner;
    int64_t count;
    char *large = malloc(60001);
    memset(large, 'x', 60000);
    large[60000] = '\0';
    WELL(db_write(arena, db, write_types, large));
    struct fault *fault = db_write(arena, db, write_types, "twice");
    MUST(fault != NULL && fault->code == SQL_DUPLICATE && fault->status == 409);
    WELL(db_read(arena, db, &tx));
    WELL(sql_query(tx, &rows, "SELECT name, value, note, part, bytes, yes, born FROM numbers ORDER BY value, name", NO_BIND));
    MUST(rows_next(rows) && strcmp(rows_text(rows, 0), "Unicode ") == 0 && rows_null(rows, 1)); /* NULL is first; U before u */
    WELL(sql_query(tx, &inner, "SELECT name FROM numbers WHERE name LIKE ? ESCAPE '\\' OR name LIKE '%\\%' ESCAPE '!'",
        BIND(TEXT("%\\%"))));
    MUST(rows_next(inner) && strstr(rows_text(inner, 0), "\\ %") != NULL && !rows_next(inner));
    MUST(rows_next(rows) && strcmp(rows_text(rows, 0), "unicode") == 0 && rows_text(rows, 2) == NULL && rows_int(rows, 1) == 0);
    MUST(rows_next(rows) && strcmp(rows_text(rows, 0), "Ünïcødé \xf0\x9f\x98\x80 ' \\ %") == 0 && rows_int(rows, 1) == INT64_MIN);
    MUST(strcmp(rows_text(rows, 2), large) == 0 && rows_real(rows, 3) == 1.0 / 3 && rows_int(rows, 5) == 1);
    MUST(memcmp(rows_text(rows, 4), "a\0b\xff", 4) == 0 && strcmp(rows_text(rows, 6), "2026-11-22 23:00:01") == 0);
    MUST(!rows_next(rows) && rows_fault(rows) == NULL);
    WELL(sql_int_of(tx, &count, -1, "SELECT SUM(CASE WHEN name = 'UNICODE' THEN 1 ELSE 0 END) FROM numbers", NO_BIND));
    MUST(count == 0);
    WELL(sql_int_of(tx, &count, -1, "SELECT COUNT(*) FROM numbers WHERE name IN (?, ?) LIMIT ?",
        BIND(TEXT("unicode"), TEXT("no"), INT(5))));
    MUST(count == 1);
    tx_end(tx);
    WELL(db_exec(arena, db, "UPDATE numbers SET value = 7 WHERE name = 'unicode'", NO_BIND, &count));
    MUST(count == 1);
    WELL(db_exec(arena, db, "UPDATE numbers SET value = 7 WHERE name = 'unicode'", NO_BIND, &count)); /* found, not changed */
    MUST(count == 1);
    WELL(db_exec(arena, db, "UPDATE numbers SET value = value + 1, part = value WHERE name = 'unicode'", NO_BIND, NULL));
    WELL(db_read(arena, db, &tx));
    WELL(sql_int_of(tx, &count, -1, "SELECT part FROM numbers WHERE name = 'unicode'", NO_BIND)); /* the old value, as SQLite */
    MUST(count == 7);
    for (int i = 1; i < 400; i++) /* more texts than the cache of prepared statements holds */
        WELL(sql_int_of(tx, &count, -1, arena_printf(arena, "SELECT COUNT(*) + %d FROM numbers", i), NO_BIND));
    MUST(count == 3 + 399);
    WELL(sql_int_of(tx, &count, -1, "SELECT part FROM numbers WHERE name = 'unicode'", NO_BIND)); /* prepared once */
    tx_end(tx);
    struct sql_usage before = sql_usage_here();
    WELL(db_read(arena, db, &tx));
    WELL(sql_int_of(tx, &count, -1, "SELECT part FROM numbers WHERE name = 'unicode'", NO_BIND));
    tx_end(tx);
    struct sql_usage after = sql_usage_here();
    printf("round trips of a read: %llu\n", (unsigned long long)(after.round_trips - before.round_trips));
    free(large);
}

/* ---- statements that travel together ---- */

enum { TOGETHER = 300, LARGE = 9000 };

static const char insert_together[] = "INSERT INTO numbers (name, value, note) VALUES (?, ?, ?)";
static const char read_together[] = "SELECT value, note FROM numbers WHERE name = ?";

/* Writes and reads that mix, more of them than are sent at once; every read sees the writes before it, and none after. */
static struct fault *mix(struct tx *tx, void *argument)
{
    struct rows *rows[TOGETHER], *none;
    int64_t count;
    for (int i = 0; i < TOGETHER; i++) {
        const char *name = arena_printf(tx_arena(tx), "together-%d", i);
        TRY(sql_exec_later(tx, insert_together, BIND(TEXT(name), INT(i), TEXT(i % 7 == 0 ? argument : "small"))));
        TRY(sql_query_later(tx, &rows[i], read_together, BIND(TEXT(name))));
        TRY(sql_exec_expect(tx, 1, fault_new(tx_arena(tx), 409, "other", "Another number."),
            "UPDATE numbers SET value = value + 1000 WHERE name = ? AND value = ?", BIND(TEXT(name), INT(i))));
    }
    TRY(sql_query_later(tx, &none, read_together, BIND(TEXT("nobody"))));
    TRY(sql_int_of(tx, &count, -1, "SELECT COUNT(*) FROM numbers WHERE name LIKE 'together-%'", NO_BIND));
    MUST(count == TOGETHER);
    for (int i = TOGETHER - 1; i >= 0; i--) { /* in any order */
        MUST(rows_next(rows[i]) && rows_int(rows[i], 0) == i);
        MUST(strcmp(rows_text(rows[i], 1), i % 7 == 0 ? argument : "small") == 0);
        if (i % 3 != 0)
            MUST(!rows_next(rows[i]) && rows_fault(rows[i]) == NULL);
    }
    MUST(!rows_next(none) && rows_fault(none) == NULL);
    return NULL;
}

/* The answers tell, after the function has ended well, that it must not be committed. */
static struct fault *twice_later(struct tx *tx, void *argument)
{
    (void)argument;
    TRY(sql_exec_later(tx, insert_together, BIND(TEXT("before"), INT(1), SQL_NULL)));
    TRY(sql_exec_later(tx, insert_together, BIND(TEXT("together-1"), INT(1), SQL_NULL)));
    return sql_exec_later(tx, insert_together, BIND(TEXT("behind"), INT(1), SQL_NULL));
}

static struct fault *not_one(struct tx *tx, void *argument)
{
    struct rows *rows;
    TRY(sql_exec_later(tx, insert_together, BIND(TEXT("before"), INT(1), SQL_NULL)));
    TRY(sql_exec_expect(tx, 1, argument, "UPDATE numbers SET value = 0 WHERE name = ?", BIND(TEXT("nobody"))));
    TRY(sql_query_later(tx, &rows, read_together, BIND(TEXT("before"))));
    MUST(!rows_next(rows) || rows_fault(rows) == NULL);
    (void)sql_exec(tx, insert_together, BIND(TEXT("behind"), INT(1), SQL_NULL)); /* who looks away changes nothing */
    return NULL;
}

static struct fault *usual(struct tx *tx, void *argument)
{
    int64_t count;
    TRY(tx_serialize(tx, "usual"));
    TRY(sql_exec_later(tx, "UPDATE numbers SET value = 5 WHERE name = ?", BIND(TEXT(argument))));
    TRY(sql_int_of(tx, &count, -1, "SELECT value FROM numbers WHERE name = ?", BIND(TEXT(argument))));
    MUST(count == 5);
    TRY(sql_exec_later(tx, "UPDATE numbers SET value = 6 WHERE name = ?", BIND(TEXT(argument))));
    return sql_exec_later(tx, "UPDATE numbers SET value = 7 WHERE name = ?", BIND(TEXT(argument)));
}

static int64_t number(const char *sql);

static void together(void)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    char large[LARGE + 1];
    memset(large, 'y', LARGE);
    large[LARGE] = '\0';
    WELL(db_write(arena, db, mix, large));
    MUST(number("SELECT SUM(value) FROM numbers") == TOGETHER * 1000 + TOGETHER * (TOGETHER - 1) / 2);
    struct fault *fault = db_write(arena, db, twice_later, NULL), *otherwise = fault_new(arena, 409, "other", "Another number.");
    MUST(fault != NULL && fault->code == SQL_DUPLICATE);
    fault = db_write(arena, db, not_one, otherwise);
    MUST(fault != NULL && strcmp(fault->code, "other") == 0);
    MUST(number("SELECT COUNT(*) FROM numbers") == TOGETHER);
    WELL(db_write(arena, db, usual, "together-5"));
    struct sql_usage before = sql_usage_here();
    WELL(db_write(arena, db, usual, "together-5")); /* asked, changed, committed */
    struct sql_usage after = sql_usage_here();
    printf("round trips of a change: %llu\n", (unsigned long long)(after.round_trips - before.round_trips));
}

/* ---- counting: lost updates, and commits that happened twice, show in the sum ---- */

static struct fault *increment(struct tx *tx, void *argument)
{
    static atomic_uint turn;
    struct fault *(*exec)(struct tx *tx, const char *sql, const struct sql_value *values, size_t count) =
        atomic_fetch_add(&turn, 1) % 2 == 0 ? sql_exec : sql_exec_later;
    int64_t value;
    if (argument != NULL)
        TRY(tx_serialize(tx, argument));
    TRY(exec(tx, "UPDATE numbers SET value = value + 1 WHERE name = ?", BIND(TEXT("sum"))));
    TRY(sql_int_of(tx, &value, 0, "SELECT value FROM numbers WHERE name = 'sum'", NO_BIND));
    /* Fails as a duplicate when its first commit took place and it runs again all the same. */
    return exec(tx, "INSERT INTO numbers (name) VALUES (?)", BIND(TEXT(arena_printf(tx_arena(tx), "%lld", (long long)value))));
}

static void count_up(void *argument)
{
    for (int i = 0; i < each; i++) {
        ARENA_CLEANUP struct arena *arena = arena_create();
        struct tx *tx;
        int64_t value;
        struct fault *fault = db_write(arena, db, increment, argument);
        if (fault == NULL)
            fault = db_read(arena, db, &tx);
        if (fault == NULL) {
            fault = sql_int_of(tx, &value, 0, "SELECT value FROM numbers WHERE name = 'sum'", NO_BIND);
            tx_end(tx);
        }
        if (fault == NULL)
            continue;
        atomic_fetch_add(&failures, 1);
        printf("fault: %s\n", fault_text(arena, fault));
    }
}

/* Takes the last units: a check, then an insert; the check must still hold at the commit. */
static struct fault *take(struct tx *tx, void *argument)
{
    int64_t taken;
    TRY(tx_serialize(tx, "units"));
    TRY(sql_int_of(tx, &taken, 0, "SELECT COUNT(*) FROM numbers WHERE note = 'taken'", NO_BIND));
    if (taken >= each)
        return fault_new(tx_arena(tx), 409, "full", "No more units.");
    return sql_exec(tx, "INSERT INTO numbers (name, note) VALUES (?, 'taken')", BIND(TEXT(argument)));
}

static void take_all(void *argument)
{
    for (int i = 0; i < each; i++) {
        ARENA_CLEANUP struct arena *arena = arena_create();
        struct fault *fault = db_write(arena, db, take, (void *)arena_printf(arena, "%s-%d", (char *)argument, i));
        if (fault != NULL)
            atomic_fetch_add(fault->code != NULL && strcmp(fault->code, "full") == 0 ? &refused : &failures, 1);
    }
}

static void in_threads(int count, void (*run)(void *argument), bool named, void *argument)
{
    uintptr_t threads[THREADS_MAX];
    char names[THREADS_MAX][32];
    for (int i = 0; i < count; i++) {
        snprintf(names[i], sizeof(names[i]), "%d-%d", (int)getpid(), i);
        threads[i] = work_thread_start("drive", run, named ? names[i] : argument);
    }
    for (int i = 0; i < count; i++)
        work_thread_join(threads[i]);
}

static int64_t number(const char *sql)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct tx *tx;
    int64_t value;
    WELL(db_read(arena, db, &tx));
    WELL(sql_int_of(tx, &value, -1, sql, NO_BIND));
    tx_end(tx);
    return value;
}

/* ---- the pool ---- */

static void pool(const char *url)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct db_settings settings = db_settings_default(url);
    struct db *small;
    struct tx *tx[4];
    settings.max_pool_size = 2;
    settings.max_overflow = 1;
    settings.pool_timeout_s = 1;
    WELL(db_open_settings(arena, &settings, &small));
    for (int i = 0; i < 3; i++)
        WELL(db_read(arena, small, &tx[i]));
    struct fault *fault = db_read(arena, small, &tx[3]);
    MUST(fault != NULL && fault->status == 503 && strstr(fault->detail, "QueuePool limit of size 2 overflow 1 reached") != NULL);
    tx_end(tx[0]);
    WELL(db_read(arena, small, &tx[3]));
    for (int i = 1; i < 4; i++)
        tx_end(tx[i]);
    db_close(small);
}

/* ---- flows of several processes ---- */

static struct fault *slow_step(struct flow *flow)
{
    int64_t step = json_int_at(flow->state, "step", 0);
    json_object_set_new(flow->state, "step", json_integer(step + 1));
    usleep(30000);
    return db_exec(flow->cx.arena, db, "INSERT INTO story (flow, step, host) VALUES (?, ?, ?)",
        BIND(TEXT(flow->key), INT(step), TEXT(flow->cx.app->cloud->host)), NULL);
}

static const struct flow_step slow_steps[] = {
    { "1", slow_step }, { "2", slow_step }, { "3", slow_step }, { "4", slow_step }, { "5", slow_step }, { "6", slow_step },
    { "7", slow_step }, { "8", slow_step }, { "9", slow_step }, { "10", slow_step }, { "11", slow_step }, { "12", slow_step },
};
static const struct flow_type slow = { "slow", "drive", slow_steps, 12, NULL, NULL };

static void flows(const char *host, int count)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    const struct flow_type *const types[] = { &slow, NULL };
    struct cloud cloud = { .host = host, .messages = work_pool_create("messages", 4, 100),
        .periodic = work_pool_create("periodic", 2, 10) };
    struct app app = { .cloud = &cloud };
    struct context cx = context_service(arena, &app);
    WELL(flow_resume(&cx, db, types, NULL, NULL, NULL));
    for (int i = 0; i < count; i++)
        WELL(flow_start(&cx, db, &slow, arena_printf(arena, "flow-%d", i), NULL, NULL, NULL, NULL));
    printf("started\n");
    fflush(stdout);
    while (number("SELECT COUNT(*) FROM flows") > 0)
        usleep(50000);
    flow_release(&app);
    flow_stop(&app);
    work_pool_destroy(cloud.periodic);
    work_pool_destroy(cloud.messages);
}

int main(int argc, char **argv)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    if (argc < 3)
        return 2;
    const char *mode = argv[2];
    int threads = argc > 3 ? atoi(argv[3]) : 1;
    each = argc > 4 ? atoi(argv[4]) : 1;
    struct db_settings settings = db_settings_default(argv[1]);
    settings.max_retries = strcmp(mode, "late") == 0 ? 20 : 0;
    settings.retry_interval_s = 1;
    WELL(db_open_settings(arena, &settings, &db));
    WELL(db_sync(arena, db, migrations, MIGRATIONS, tell));
    if (strcmp(mode, "types") == 0) {
        types();
    } else if (strcmp(mode, "together") == 0) {
        together();
    } else if (strcmp(mode, "count") == 0 || strcmp(mode, "count-serialized") == 0) {
        struct fault *fault = db_exec(arena, db, "INSERT INTO numbers (name, value) VALUES ('sum', 0)", NO_BIND, NULL);
        MUST(fault == NULL || fault->code == SQL_DUPLICATE);
        printf("counting\n");
        fflush(stdout);
        in_threads(threads, count_up, false, strcmp(mode, "count") == 0 ? NULL : "sum");
        printf("failures %d sum %lld\n", atomic_load(&failures), (long long)number("SELECT value FROM numbers WHERE name = 'sum'"));
    } else if (strcmp(mode, "take") == 0) {
        in_threads(threads, take_all, true, NULL);
        printf("failures %d refused %d taken %lld\n", atomic_load(&failures), atomic_load(&refused),
            (long long)number("SELECT COUNT(*) FROM numbers WHERE note = 'taken'"));
    } else if (strcmp(mode, "pool") == 0) {
        pool(argv[1]);
    } else if (strcmp(mode, "flows") == 0) {
        flows(argv[3], each);
    } else if (strcmp(mode, "sync") != 0 && strcmp(mode, "late") != 0) {
        return 2;
    }
    db_close(db);
    printf("done\n");
    return 0;
}
