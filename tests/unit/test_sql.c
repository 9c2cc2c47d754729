/* SPDX-License-Identifier: Apache-2.0
 * sql: transactions, shared commits, duplicates, migrations; on a real file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/work.h"
#include "oslo/sql.h"

#include <stdatomic.h>
#include <string.h>

static const struct migration migrations[] = {
    { 1, "numbers", "CREATE TABLE numbers (id $SERIAL, name VARCHAR(20) NOT NULL UNIQUE, value INTEGER);\nCREATE INDEX i ON numbers (value)" },
    { 2, "more", "ALTER TABLE numbers ADD COLUMN note TEXT" },
};

static int open_db(void **state)
{
    struct arena *arena = arena_create();
    struct db *db;
    assert_null(db_open(arena, "sqlite://", &db));
    assert_null(db_sync(arena, db, migrations, 2, NULL));
    arena_destroy(arena);
    *state = db;
    return 0;
}

static int close_db(void **state)
{
    db_close(*state);
    return 0;
}

static int64_t count_of(struct arena *arena, struct db *db)
{
    struct tx *tx;
    int64_t count;
    assert_null(db_read(arena, db, &tx));
    assert_null(sql_int_of(tx, &count, -1, "SELECT COUNT(*) FROM numbers", NO_BIND));
    tx_end(tx);
    return count;
}

static void migrations_apply_once(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    int version;
    assert_null(db_sync(arena, *state, migrations, 2, NULL));
    assert_null(db_version(arena, *state, &version));
    assert_int_equal(version, 2);
}

static struct fault *insert_two(struct tx *tx, void *argument)
{
    int64_t key;
    TRY(sql_insert(tx, "INSERT INTO numbers (name, value) VALUES (?, ?)", BIND(TEXT("one"), INT(1)), &key));
    assert_true(key > 0);
    return sql_exec(tx, "INSERT INTO numbers (name, value) VALUES (?, ?)", BIND(TEXT(argument), SQL_NULL));
}

static void a_fault_rolls_back_all_of_it(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct fault *fault = db_write(arena, *state, insert_two, "one");
    assert_non_null(fault);
    assert_int_equal(fault->status, 409);
    assert_ptr_equal(fault->code, SQL_DUPLICATE);
    assert_int_equal(count_of(arena, *state), 0);
    assert_null(db_write(arena, *state, insert_two, "two"));
    assert_int_equal(count_of(arena, *state), 2);
}

static void rows_give_types_and_null(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct tx *tx;
    struct rows *rows;
    assert_null(db_write(arena, *state, insert_two, "it's; DROP TABLE numbers"));
    assert_null(db_read(arena, *state, &tx));
    assert_null(sql_query(tx, &rows, "SELECT name, value FROM numbers ORDER BY id", NO_BIND));
    assert_true(rows_next(rows) && rows_int(rows, 1) == 1 && !rows_null(rows, 1));
    assert_true(rows_next(rows) && rows_null(rows, 1));
    assert_string_equal(rows_text(rows, 0), "it's; DROP TABLE numbers");
    assert_false(rows_next(rows));
    assert_false(rows_next(rows));
    assert_null(rows_fault(rows));
    tx_end(tx);
    tx_end(tx);
}

enum { WRITERS = 8, EACH = 50 };
static atomic_int failures;

static struct fault *increment(struct tx *tx, void *argument)
{
    int64_t value;
    TRY(sql_int_of(tx, &value, 0, "SELECT value FROM numbers WHERE name = 'sum'", NO_BIND));
    return sql_exec(tx, "UPDATE numbers SET value = ? WHERE name = 'sum'", BIND(INT(value + 1)));
}

/* Every third writer breaks its own transaction: the others in the same commit must not notice. */
static struct fault *break_it(struct tx *tx, void *argument)
{
    TRY(increment(tx, argument));
    return sql_exec(tx, "INSERT INTO numbers (name) VALUES ('sum')", NO_BIND);
}

static void write_many(void *db)
{
    struct arena *arena = arena_create();
    for (int i = 0; i < EACH; i++) {
        if (db_write(arena, db, increment, NULL) != NULL)
            atomic_fetch_add(&failures, 1);
        if (i % 3 == 0 && db_write(arena, db, break_it, NULL) == NULL)
            atomic_fetch_add(&failures, 1);
    }
    arena_destroy(arena);
}

static void concurrent_writers_lose_nothing(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    uintptr_t threads[WRITERS];
    int64_t value;
    struct tx *tx;
    assert_null(db_exec(arena, *state, "INSERT INTO numbers (name, value) VALUES ('sum', 0)", NO_BIND, NULL));
    for (int i = 0; i < WRITERS; i++)
        threads[i] = work_thread_start("writer", write_many, *state);
    for (int i = 0; i < WRITERS; i++)
        work_thread_join(threads[i]);
    assert_int_equal(atomic_load(&failures), 0);
    assert_null(db_read(arena, *state, &tx));
    assert_null(sql_int_of(tx, &value, -1, "SELECT value FROM numbers WHERE name = 'sum'", NO_BIND));
    assert_int_equal(value, WRITERS * EACH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(migrations_apply_once, open_db, close_db),
        cmocka_unit_test_setup_teardown(a_fault_rolls_back_all_of_it, open_db, close_db),
        cmocka_unit_test_setup_teardown(rows_give_types_and_null, open_db, close_db),
        cmocka_unit_test_setup_teardown(concurrent_writers_lose_nothing, open_db, close_db),
    };
    return cmocka_run_group_tests_name("sql", tests, NULL, NULL);
}
