/* SPDX-License-Identifier: Apache-2.0
 *
 * nova's rows: instances with compare-and-swap, actions with events, hosts.
 */
#include "nova/action.h"
#include "nova/hosts.h"
#include "nova/instance.h"
#include "nova/migrations.h"
#include "nova/nova.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct arena *arena;
static struct db *db;

static int open_database(void **state)
{
    arena = arena_create();
    return db_open(arena, "sqlite://", &db) != NULL || db_sync(arena, db, nova_migrations, NOVA_MIGRATIONS, NULL) != NULL;
}

static int close_database(void **state)
{
    db_close(db);
    arena_destroy(arena);
    return 0;
}

static struct fault *run_insert(struct tx *tx, void *argument)
{
    return instance_insert(tx, argument, 2);
}

static struct fault *run_destroy(struct tx *tx, void *argument)
{
    return instance_destroy(tx, argument);
}

static void make_two(struct instance *two)
{
    for (int i = 0; i < 2; i++)
        two[i] = (struct instance){ .project_id = "p", .user_id = "u", .name = "vm", .vm_state = VM_BUILDING,
            .task_state = TASK_SCHEDULING, .memory_mb = 512, .vcpus = 1, .metadata = "{\"a\":\"b\"}", .launch_index = i };
    assert_null(db_write(arena, db, run_insert, two));
}

static void changes_state_by_compare_and_swap(void **state)
{
    struct instance two[2], now;
    struct fault *fault;

    make_two(two);
    assert_null(instance_save(arena, db, two[0].uuid, CHANGES(CHANGE(TASK_STATE, TEXT(TASK_SPAWNING)), CHANGE(HOST, TEXT("h"))),
        &(struct instance_expect){ .task_states = STATES("", TASK_SCHEDULING) }));
    assert_null(instance_get(arena, db, two[0].uuid, false, &now));
    assert_string_equal(now.task_state, TASK_SPAWNING);
    assert_string_equal(now.host, "h");
    assert_int_equal(now.generation, 2);
    fault = instance_save(arena, db, two[0].uuid, CHANGES(CHANGE(VM_STATE, TEXT(VM_ACTIVE))),
        &(struct instance_expect){ .task_states = STATES("", TASK_SCHEDULING) });
    assert_non_null(fault);
    assert_string_equal(fault->code, "UnexpectedTaskStateError");
    assert_non_null(strstr(fault->message, "Expected: {'task_state': [None, 'scheduling']}. Actual: {'task_state': 'spawning'}"));
    fault = instance_save(arena, db, "nothing", CHANGES(CHANGE(VM_STATE, TEXT(VM_ACTIVE))), NULL);
    assert_int_equal(fault->status, 404);
}

static void keeps_a_deleted_row(void **state)
{
    struct instance two[2], now;

    make_two(two);
    assert_null(db_write(arena, db, run_destroy, (void *)two[1].uuid));
    assert_non_null(instance_get(arena, db, two[1].uuid, false, &now));
    assert_null(instance_get(arena, db, two[1].uuid, true, &now));
    assert_true(now.deleted);
    assert_string_equal(now.vm_state, VM_DELETED);
    assert_null(now.task_state);
    assert_true(now.terminated_at > 0);
}

static void travels_as_json(void **state)
{
    struct instance two[2], back = { 0 };
    struct instance_change *changes;
    size_t count;

    make_two(two);
    instance_from_json(arena, json_keep(arena, instance_to_json(arena, &two[1])), &back);
    assert_string_equal(back.uuid, two[1].uuid);
    assert_string_equal(back.metadata, "{\"a\":\"b\"}");
    assert_int_equal(back.launch_index, 1);
    assert_null(instance_changes_from_json(arena, json_parse_own(arena, "{\"vm_state\":\"active\",\"power_state\":1}"),
        &changes, &count));
    assert_int_equal(count, 2);
    assert_non_null(instance_changes_from_json(arena, json_parse_own(arena, "{\"uuid\":\"x\"}"), &changes, &count));
    assert_non_null(instance_changes_from_json(arena, json_parse_own(arena, "{\"x;--\":\"x\"}"), &changes, &count));
}

static void splits_and_joins_tags(void **state)
{
    size_t count;
    const char *text = instance_tags_text(arena, STATES("a", "b c"), 2);

    assert_string_equal(text, ",a,b c,");
    assert_string_equal(instance_tags_list(arena, text, &count)[1], "b c");
    assert_int_equal(count, 2);
    assert_null(instance_tags_text(arena, NULL, 0));
    instance_tags_list(arena, NULL, &count);
    assert_int_equal(count, 0);
}

static struct fault *run_actions(struct tx *tx, void *argument)
{
    struct context cx = { .arena = arena, .request_id = "req-1" };

    TRY(action_start(tx, &cx, argument, ACTION_CREATE));
    TRY(action_event_start(tx, &cx, argument, "compute__do_build_and_run_instance", "h"));
    TRY(action_event_start(tx, &cx, argument, "compute__do_build_and_run_instance", "h"));
    return action_event_finish(tx, &cx, argument, "compute__do_build_and_run_instance", "Error", "no", NULL);
}

static void records_actions(void **state)
{
    struct instance two[2];
    struct action *actions;
    struct action_event *events;
    struct tx *tx;
    size_t count;

    make_two(two);
    assert_null(db_write(arena, db, run_actions, (void *)two[0].uuid));
    assert_null(db_read(arena, db, &tx));
    assert_null(action_list(tx, &(struct action_query){ .instance_uuid = two[0].uuid }, &actions, &count));
    assert_int_equal(count, 1);
    assert_string_equal(actions[0].message, "Error");
    assert_true(actions[0].finish_time > 0);
    assert_null(action_events(tx, actions[0].id, &events, &count));
    assert_int_equal(count, 1);
    assert_string_equal(events[0].result, "Error");
    tx_end(tx);
}

static void knows_hosts(void **state)
{
    struct service_row row, *rows;
    struct compute_node node = { .host = "h", .hypervisor_hostname = "h", .hypervisor_type = "QEMU", .vcpus = 4 }, *nodes;
    struct tx *tx;
    size_t count;

    assert_null(service_report(arena, db, "h", "nova-compute", "compute", &row));
    assert_null(service_report(arena, db, "h", "nova-compute", "compute", &row));
    assert_int_equal(row.report_count, 1);
    assert_true(service_is_up(&row, 60));
    assert_null(compute_nodes_save(arena, db, &node, 1));
    node.vcpus_used = 3;
    assert_null(compute_nodes_save(arena, db, &node, 1));
    assert_null(db_read(arena, db, &tx));
    assert_null(service_list(tx, NULL, "nova-compute", &rows, &count));
    assert_int_equal(count, 1);
    assert_null(compute_node_list(tx, "h", &nodes, &count));
    assert_int_equal(count, 1);
    assert_int_equal(nodes[0].vcpus_used, 3);
    assert_string_equal(nodes[0].uuid, node.uuid);
    tx_end(tx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_state_by_compare_and_swap),
        cmocka_unit_test(keeps_a_deleted_row),
        cmocka_unit_test(travels_as_json),
        cmocka_unit_test(splits_and_joins_tags),
        cmocka_unit_test(records_actions),
        cmocka_unit_test(knows_hosts),
    };

    return cmocka_run_group_tests(tests, open_database, close_database);
}
