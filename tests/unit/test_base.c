/* SPDX-License-Identifier: Apache-2.0
 * base: arenas, buffers, maps, time, ids, work pools and programs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/process.h"
#include "base/random.h"
#include "base/text.h"
#include "base/work.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int released[3];
static int release_count;

static void note_release(void *object)
{
    released[release_count++] = *(int *)object;
}

static void arena_releases_last_first(void **state)
{
    struct arena *arena = arena_create();
    int values[] = { 1, 2, 3 };
    for (int i = 0; i < 3; i++)
        arena_defer(arena, note_release, &values[i]);
    char *large = arena_alloc(arena, 1000000);
    large[999999] = 'x';
    assert_string_equal(arena_printf(arena, "%d-%s", 7, "seven"), "7-seven");
    assert_null(arena_strdup(arena, NULL));
    int *numbers = NULL;
    for (size_t i = 0; i < 1000; i++) {
        numbers = ARENA_GROW(arena, numbers, i);
        numbers[i] = (int)i;
    }
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(numbers[i], i);
    arena_destroy(arena);
    assert_int_equal(release_count, 3);
    assert_int_equal(released[0], 3);
    assert_int_equal(released[2], 1);
}

static void map_keeps_order_over_growth_and_removal(void **state)
{
    struct map map = { 0 };
    char key[16];
    for (long i = 0; i < 1000; i++) {
        snprintf(key, sizeof(key), "k%ld", i);
        assert_null(map_set(&map, key, (void *)(i + 1)));
    }
    for (long i = 0; i < 1000; i += 2) {
        snprintf(key, sizeof(key), "k%ld", i);
        assert_ptr_equal(map_remove(&map, key), (void *)(i + 1));
        assert_false(map_has(&map, key));
    }
    assert_int_equal(map.count, 500);
    long expected = 2;
    struct map_entry *entry;
    for (size_t at = 0; (entry = map_next(&map, &at)) != NULL; expected += 2)
        assert_ptr_equal(entry->value, (void *)expected);
    assert_ptr_equal(map_set(&map, "k1", NULL), (void *)2);
    assert_true(map_has(&map, "k1"));
    map_release(&map);
}

static void clock_waits_until_a_moment(void **state)
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t condition;
    int64_t begin_us = clock_monotonic_us();

    clock_condition_init(&condition);
    pthread_mutex_lock(&lock);
    while (clock_wait(&condition, &lock, begin_us + 2000))
        continue;
    assert_true(clock_monotonic_us() >= begin_us + 2000);
    assert_false(clock_wait(&condition, &lock, begin_us)); /* a moment that is over */
    assert_false(clock_wait(&condition, &lock, -1));
    clock_advance_us(3600 * 1000000LL); /* deadlines are moments of the clock as it is shifted */
    begin_us = clock_monotonic_us();
    assert_false(clock_wait(&condition, &lock, begin_us + 2000));
    assert_true(clock_monotonic_us() < begin_us + 3000 * 1000000LL);
    pthread_mutex_unlock(&lock);
    pthread_cond_destroy(&condition);
}

static void clock_reads_what_it_writes(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    static const int64_t moment = 1763841350123456;
    int64_t back;
    assert_string_equal(clock_text(arena, moment, CLOCK_ISO), "2025-11-22T19:55:50Z");
    assert_string_equal(clock_text(arena, moment, CLOCK_ISO_USZ), "2025-11-22T19:55:50.123456Z");
    assert_true(clock_parse(clock_text(arena, moment, CLOCK_SQL_US), &back) && back == moment);
    assert_true(clock_parse("2025-11-22T21:55:50.123456+02:00", &back) && back == moment);
    for (int64_t day = -800000; day < 800000; day += 97) { /* against the C library, over four centuries */
        int64_t us = day * 86400 * 1000000 + 12345678901;
        struct tm parts;
        char text[64];
        time_t seconds = (time_t)(us / 1000000 - (us % 1000000 < 0));
        gmtime_r(&seconds, &parts);
        if (parts.tm_year + 1900 < 1000)
            continue;
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &parts);
        assert_string_equal(clock_text(arena, us, CLOCK_SQL), text);
    }
    static const char *const bad[] = { "", "2025", "2025-02-31", "2025-13-01", "2025-11-22T25:00:00", "2025-11-22X", "x" };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(clock_parse(bad[i], &back));
}

static void uuids_are_well_formed(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    assert_true(uuid_valid(uuid_new(arena)));
    assert_true(uuid_like(uuid_new_hex(arena)));
    assert_false(uuid_valid("6ba7b810-9dad-11d1-80b4-00c04fd430cg"));
    assert_false(uuid_like("6ba7b8109dad11d180b400c04fd430c"));
}

static void texts_are_escaped_and_read_back(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    static const char odd[] = "a-._~/ +%\xc3\xbc\x7f";
    assert_string_equal(text_escape(arena, odd, TEXT_UNRESERVED), "a-._~%2F%20%2B%25%C3%BC%7F");
    assert_string_equal(text_escape(arena, odd, TEXT_UNRESERVED "/ "), "a-._~/ %2B%25%C3%BC%7F");
    const char *escaped = text_escape(arena, odd, "");
    assert_string_equal(text_unescape(arena, escaped, strlen(escaped), TEXT_STRICT), odd);
    assert_string_equal(text_unescape(arena, "a+b%2b", 6, TEXT_PLUS), "a b+");
    assert_string_equal(text_unescape(arena, "a+b%2b", 6, 0), "a+b+");
    assert_string_equal(text_unescape(arena, "100%!%4", 7, 0), "100%!%4");
    assert_string_equal(text_unescape(arena, "%41%42", 4, 0), "A%"); /* the length holds, not the NUL */
    assert_null(text_unescape(arena, "100%!", 5, TEXT_STRICT));
    assert_null(text_unescape(arena, "%4", 2, TEXT_STRICT));
    assert_null(text_unescape(arena, "a%00b", 5, 0));
    assert_string_equal(text_hex(arena, "\x00\x7f\xff", 3), "007fff");
    assert_string_equal(text_hex(arena, "", 0), "");
    const char *text = " \tboth ends\r\n";
    size_t length = strlen(text);
    text_trim(&text, &length);
    assert_string_equal(arena_strndup(arena, text, length), "both ends");
}

static void programs_answer_or_are_ended(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct process_result result;
    assert_null(process_run(arena, &(struct process){ .argv = ARGV("cat"), .input = "hello", .input_length = 5 }, &result));
    assert_string_equal(result.output, "hello");
    struct fault *fault = process_run(arena, &(struct process){ .argv = ARGV("sh", "-c", "echo bad >&2; exit 3") }, &result);
    assert_non_null(fault);
    assert_non_null(strstr(fault->message, "status 3: bad"));
    assert_int_equal(result.exit_status, 3);
    int64_t begin = clock_monotonic_us();
    /* The grandchild keeps the pipe open: the whole group must go. */
    assert_non_null(process_run(arena, &(struct process){ .argv = ARGV("sh", "-c", "sleep 60 & sleep 60"), .timeout_ms = 200 },
        NULL));
    assert_true(clock_monotonic_us() - begin < 10 * 1000000);
    assert_non_null(process_run(arena, &(struct process){ .argv = ARGV("no-such-program") }, NULL));
    assert_null(process_run(arena, &(struct process){ .argv = ARGV("sh", "-c", "yes | head -c 3000000"), .output_limit = 1000 },
        &result));
    assert_int_equal(result.output_length, 1000);
}

static atomic_int ran, dropped;

static void count_run(void *argument)
{
    atomic_fetch_add(&ran, 1);
}

static void count_drop(void *argument)
{
    atomic_fetch_add(&dropped, 1);
}

static void pools_run_what_they_took(void **state)
{
    struct work_pool *pool = work_pool_create("test", 3, 1000);
    int key, other;
    for (int i = 0; i < 500; i++)
        assert_true(work_submit(pool, count_run, NULL));
    work_submit_later(pool, 60000, count_run, count_drop, &key);
    work_submit_later(pool, 60000, count_run, count_drop, &other);
    work_submit_later(pool, 60000, count_run, count_drop, NULL);
    work_cancel(pool, &key);
    assert_int_equal(atomic_load(&dropped), 1);
    assert_true(work_hurry(pool, &other));
    assert_false(work_hurry(pool, &key));
    work_pool_destroy(pool);
    assert_int_equal(atomic_load(&ran), 501);
    assert_int_equal(atomic_load(&dropped), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arena_releases_last_first),
        cmocka_unit_test(map_keeps_order_over_growth_and_removal),
        cmocka_unit_test(clock_reads_what_it_writes),
        cmocka_unit_test(clock_waits_until_a_moment),
        cmocka_unit_test(uuids_are_well_formed),
        cmocka_unit_test(texts_are_escaped_and_read_back),
        cmocka_unit_test(programs_answer_or_are_ended),
        cmocka_unit_test(pools_run_what_they_took),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
