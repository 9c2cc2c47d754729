/* SPDX-License-Identifier: Apache-2.0
 *
 * The simulated driver keeps the driver's promises; facts of this machine are plausible.
 */
#include "nova/virt/host_facts.h"
#include "nova/virt/load.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static unsigned events[6];

static void on_event(void *argument, enum virt_event event, const char *uuid)
{
    events[event]++;
}

static enum virt_power_state state_of(const struct virt_driver *driver, struct virt_host *host, struct arena *arena,
    const char *uuid)
{
    struct virt_instance_info info;
    assert_null(driver->info(host, arena, uuid, &info));
    return info.state;
}

static void a_life(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    const struct virt_driver *driver;
    const struct virt_instance_info *infos;
    struct virt_host *host, *other;
    struct virt_resources resources;
    size_t count;
    const struct virt_nic nic = { .port_id = "p", .mac = "fa:16:3e:00:00:01", .tap = "tapp" };
    const struct virt_spawn spawn = { .uuid = "u1", .name = "instance-00000001", .vcpus = 2, .memory_mb = 512, .root_gb = 3,
        .nics = &nic, .nic_count = 1 };
    assert_null(virt_driver_load(arena, "fake.FakeDriver", &driver));
    const struct virt_config config = { .hypervisor_hostname = "a", .fake_vcpus = 100, .on_event = on_event };
    assert_null(driver->init(arena, &config, &host));
    assert_null(driver->init(arena, &(struct virt_config){ .hypervisor_hostname = "b" }, &other));
    assert_int_equal(driver->start(host, arena, "u1")->status, 404);
    assert_null(driver->prepare(host, arena, &spawn));
    assert_null(driver->prepare(host, arena, &spawn));
    assert_int_equal(state_of(driver, host, arena, "u1"), VIRT_PAUSED);
    assert_null(driver->start(host, arena, "u1"));
    assert_null(driver->start(host, arena, "u1"));
    assert_int_equal(state_of(driver, host, arena, "u1"), VIRT_RUNNING);
    assert_int_equal(events[VIRT_EVENT_RESUMED], 1);
    assert_null(driver->resources(host, arena, &resources));
    assert_int_equal(resources.vcpus, 100);
    assert_int_equal(resources.vcpus_used, 2);
    assert_int_equal(resources.memory_mb_used, 512);
    assert_string_equal(resources.hypervisor_hostname, "a");
    assert_null(driver->list(host, arena, &infos, &count));
    assert_int_equal(count, 1);
    assert_null(driver->list(other, arena, &infos, &count));
    assert_int_equal(count, 0);
    assert_null(driver->power_off(host, arena, "u1", 60, 10));
    assert_int_equal(state_of(driver, host, arena, "u1"), VIRT_SHUTDOWN);
    assert_null(driver->power_on(host, arena, &spawn));
    assert_null(driver->suspend(host, arena, "u1"));
    assert_null(driver->resume(host, arena, &spawn));
    assert_int_equal(state_of(driver, host, arena, "u1"), VIRT_RUNNING);
    assert_null(driver->destroy(host, arena, "u1"));
    assert_null(driver->destroy(host, arena, "u1"));
    assert_null(driver->cleanup(host, arena, "u1"));
    assert_int_equal(driver->info(host, arena, "u1", &(struct virt_instance_info){ 0 })->status, 404);
    driver->close(host);
    driver->close(other);
}

static void facts(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    uint64_t total, used;
    host_memory(&total, &used);
    assert_true(total > 100 && used < total);
    json_t *info = json_loads(host_cpu_info(arena), 0, NULL);
    assert_true(json_is_array(json_object_get(info, "features")));
    json_decref(info);
    static const char *const features[] = { "sse4.1", "sse4_1", "vmx", "unknown", NULL };
    const char *const *traits = host_cpu_traits(arena, features);
    assert_string_equal(traits[0], "HW_CPU_X86_SSE41");
    assert_string_equal(traits[1], "HW_CPU_X86_VMX");
    assert_string_equal(traits[2], "HW_CPU_X86_INTEL_VMX");
    assert_null(traits[3]);
}

static void unknown_driver(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    const struct virt_driver *driver;
    assert_non_null(virt_driver_load(arena, "../../evil", &driver));
    assert_non_null(virt_driver_load(arena, "fakery", &driver));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(a_life), cmocka_unit_test(facts), cmocka_unit_test(unknown_driver) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
