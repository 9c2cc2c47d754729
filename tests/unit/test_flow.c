/* SPDX-License-Identifier: Apache-2.0
 * flow: order, undo, retry, waiting and waking, one run a key, resumption after the process is gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/clock.h"
#include "oslo/app.h"
#include "oslo/flow.h"
#include "oslo/json.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char story[256];
static atomic_bool finished, gate;
static const char *fail_at = "";

static struct fault *tell(struct flow *flow, const char *word)
{
    strcat(story, word);
    json_object_set_new(flow->state, "last", json_string(word));
    if (strcmp(fail_at, word) == 0)
        return FAULT(&flow->cx, 500, "broken", "%s broke", word);
    return NULL;
}

static struct fault *run_a(struct flow *flow) { return tell(flow, "a"); }
static struct fault *undo_a(struct flow *flow) { return tell(flow, "-a"); }
static struct fault *run_b(struct flow *flow) { return tell(flow, "b"); }
static struct fault *undo_b(struct flow *flow) { return tell(flow, "-b"); }

static struct fault *run_gate(struct flow *flow)
{
    if (!atomic_load(&gate))
        return flow_wait(flow, 60000);
    return tell(flow, "g");
}

static void told_failed(struct flow *flow, struct fault *fault)
{
    strcat(story, "!");
    assert_string_equal(fault->code, "broken");
    assert_string_equal(fault->message, "b broke");
    atomic_store(&finished, true);
}

static void told_done(struct flow *flow)
{
    strcat(story, ".");
    atomic_store(&finished, true);
}

static const struct flow_step plain_steps[] = { { "a", run_a, undo_a }, { "b", run_b, undo_b } };
static const struct flow_type plain = { "plain", "test", plain_steps, 2, told_done, told_failed };
static const struct flow_step gated_steps[] = { { "a", run_a, undo_a }, { "gate", run_gate, NULL }, { "b", run_b, undo_b } };
static const struct flow_type gated = { "gated", "test", gated_steps, 3, told_done, told_failed };
static const struct flow_type *const types[] = { &plain, &gated, NULL };

static struct cloud cloud;
static struct app app = { .cloud = &cloud };

static int set_up(void **state)
{
    struct arena *arena = arena_create();
    const struct migration list[] = { { 1, "flows", flow_migration }, { 2, "owners", flow_owner_migration } };
    struct db *db;
    story[0] = '\0';
    fail_at = "";
    atomic_store(&finished, false);
    atomic_store(&gate, false);
    cloud.messages = work_pool_create("messages", 2, 100);
    assert_null(db_open(arena, "sqlite://", &db));
    assert_null(db_sync(arena, db, list, 2, NULL));
    arena_destroy(arena);
    *state = db;
    return 0;
}

static int tear_down(void **state)
{
    work_pool_destroy(cloud.messages);
    db_close(*state);
    return 0;
}

static void wait_finished(void)
{
    for (int i = 0; i < 24000 && !atomic_load(&finished); i++)
        clock_sleep_ms(5);
    assert_true(atomic_load(&finished));
}

static void steps_run_in_order(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct context cx = context_service(arena, &app);
    bool exists = true;
    assert_null(flow_start(&cx, *state, &plain, "key", NULL, NULL, NULL, NULL));
    wait_finished();
    assert_string_equal(story, "ab.");
    for (int i = 0; i < 60000 && exists; i++) {
        assert_null(flow_exists(&cx, *state, "plain", "key", &exists));
        clock_sleep_ms(2);
    }
    assert_false(exists);
}

static void a_fault_undoes_last_first(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct context cx = context_service(arena, &app);
    fail_at = "b";
    assert_null(flow_start(&cx, *state, &plain, "key", NULL, NULL, NULL, NULL));
    wait_finished();
    assert_string_equal(story, "ab-b-a!");
}

static void a_waiting_flow_is_woken_and_single(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct context cx = context_service(arena, &app);
    bool started;
    assert_null(flow_start(&cx, *state, &gated, "key", NULL, NULL, NULL, &started));
    assert_true(started);
    assert_null(flow_start(&cx, *state, &gated, "key", NULL, NULL, NULL, &started));
    assert_false(started);
    while (strcmp(story, "a") != 0)
        clock_sleep_ms(1);
    clock_sleep_ms(20); /* long enough to go on by mistake */
    assert_string_equal(story, "a");
    atomic_store(&gate, true);
    flow_wake(&gated, "key");
    wait_finished();
    assert_string_equal(story, "agb.");
}

/* The child is killed by SIGKILL before step b; the parent, "the process when it comes back", goes on from there. */
static void a_killed_flow_is_resumed(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct context cx = context_service(arena, &app);
    char path[] = "/tmp/nubo-flow-XXXXXX";
    assert_non_null(mkdtemp(path));
    const char *url = arena_printf(arena, "sqlite:///%s/flows.db", path);
    pid_t child = fork();
    if (child == 0) {
        struct db *db;
        const struct migration list[] = { { 1, "flows", flow_migration }, { 2, "owners", flow_owner_migration } };
        setenv("NUBO_FLOW_KILL", "plain:b:before", 1);
        cloud.messages = work_pool_create("messages", 1, 10); /* threads do not come with a fork */
        if (db_open(arena, url, &db) == NULL && db_sync(arena, db, list, 2, NULL) == NULL &&
            flow_start(&cx, db, &plain, "key", "host", NULL, NULL, NULL) == NULL)
            clock_sleep_ms(120000);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    struct db *db;
    size_t count;
    assert_null(db_open(arena, url, &db));
    assert_null(flow_resume(&cx, db, types, "other", NULL, &count));
    assert_int_equal(count, 0);
    assert_null(flow_resume(&cx, db, types, "host", NULL, &count));
    assert_int_equal(count, 1);
    wait_finished();
    assert_string_equal(story, "b.");
    work_pool_destroy(cloud.messages);
    cloud.messages = NULL;
    db_close(db);
    assert_int_equal(unlink(arena_printf(arena, "%s/flows.db", path)), 0);
    assert_int_equal(rmdir(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(steps_run_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_fault_undoes_last_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_waiting_flow_is_woken_and_single, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_killed_flow_is_resumed, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("flow", tests, NULL, NULL);
}
