/* SPDX-License-Identifier: Apache-2.0
 *
 * virt_drive: takes one guest through everything that the libvirt driver can do, on a libvirtd of its own.
 *
 *     virt_drive STATE_DIR NETNS GUEST.qcow2     prints a line a step, with its time; the first failure ends it, status 1
 *         with the environment's VIRT_DRIVE_OVS_DB (unix:PATH) taps also go to that switch's br-int
 *     virt_drive STATE_DIR NETNS end             ends guests and libvirtd, whatever is left of them
 */
#include "base/clock.h"
#include "base/file.h"
#include "base/process.h"
#include "base/random.h"
#include "nova/virt/config_drive.h"
#include "nova/virt/image_cache.h"
#include "nova/virt/libvirt/daemon.h"
#include "nova/virt/load.h"
#include "nova/virt/vif.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BOOT_MS = 600000, EVENT_MS = 120000 };

static const char *const event_names[] = { "stopped", "started", "paused", "resumed", "suspended", "reconnected" };

static struct arena *arena;
static const struct virt_driver *driver;
static struct virt_host *host;
static const char *state_dir, *netns;
static struct virt_config config;
static struct virt_spawn guest;
static struct virt_nic nics[2];
static atomic_uint events[6];
static int64_t step_began;

static void on_event(void *argument, enum virt_event event, const char *uuid)
{
    atomic_fetch_add(&events[event], 1);
}

static void die(const char *what, const struct fault *fault)
{
    printf("FAILED %s: %s\n", what, fault != NULL ? fault_text(arena, fault) : "not as expected");
    exit(1);
}

static void done(const char *what)
{
    int64_t now = clock_monotonic_us();
    printf("ok %-34s %7.1f ms\n", what, (double)(now - step_began) / 1000);
    fflush(stdout);
    step_began = clock_monotonic_us();
}

static void must(const char *what, struct fault *fault)
{
    if (fault != NULL)
        die(what, fault);
    done(what);
}

static void check(const char *what, bool right)
{
    if (!right)
        die(what, NULL);
}

static enum virt_power_state state(void)
{
    struct virt_instance_info info;
    struct fault *fault = driver->info(host, arena, guest.uuid, &info);
    if (fault != NULL)
        die("info", fault);
    return info.state;
}

static void expect_state(enum virt_power_state wanted)
{
    if (state() != wanted) {
        printf("FAILED state is %s, not %s\n", virt_power_state_name(state()), virt_power_state_name(wanted));
        exit(1);
    }
}

static void expect_event(enum virt_event event, unsigned before)
{
    for (int waited = 0; atomic_load(&events[event]) == before; waited += 10) {
        if (waited > EVENT_MS)
            die(arena_printf(arena, "event %s", event_names[event]), NULL);
        clock_sleep_ms(10);
    }
}

static size_t count_text(const char *text, const char *word)
{
    size_t count = 0;
    for (const char *at = strstr(text, word); at != NULL; at = strstr(at + 1, word))
        count++;
    return count;
}

/* The guest has said "login:" that many times. */
static void wait_for_login(const char *what, size_t times)
{
    for (int64_t end = clock_monotonic_us() + BOOT_MS * INT64_C(1000);;) {
        const char *text;
        size_t length;
        struct fault *fault = driver->console_output(host, arena, guest.uuid, -1, &text, &length);
        if (fault != NULL)
            die(what, fault);
        if (count_text(text, "login:") >= times)
            break;
        if (clock_monotonic_us() > end) {
            printf("%s\n", text);
            die(what, NULL);
        }
        clock_sleep_ms(100);
    }
    done(what);
}

static pid_t qemu_pid(void)
{
    return process_read_pid(arena_printf(arena, "%s/libvirt/run/libvirt/qemu/%s.pid", state_dir, guest.name));
}

static void make_files(const char *image)
{
    struct image_cache_entry entry;
    const char *image_id = "6a7c5b0e-0f55-4d6b-8a0d-2f3c37d1c3aa", *part, *folder;
    check("the cache is empty", !image_cache_find(arena, state_dir, image_id, "qcow2", &entry));
    must("image_cache_part", image_cache_part(arena, state_dir, image_id, &part));
    must("copy", process_run(arena, &(struct process){ .argv = ARGV("cp", image, part) }, NULL));
    must("image_cache_add", image_cache_add(arena, state_dir, image_id, "qcow2", part, &entry));
    check("the cache has it", image_cache_find(arena, state_dir, image_id, "qcow2", &entry));
    guest.uuid = uuid_new(arena);
    must("folder", virt_instance_folder(arena, state_dir, guest.uuid, &folder));
    static const char meta_data[] = "{\"uuid\": \"u\", \"hostname\": \"lab\", \"name\": \"lab\"}";
    const struct config_drive_file file = { "openstack/latest/meta_data.json", meta_data, strlen(meta_data) };
    guest.config_drive_path = arena_printf(arena, "%s/disk.config", folder);
    guest.config_drive_format = "iso9660";
    must("config_drive_create", config_drive_create(arena, guest.config_drive_path, "iso9660", "nubo", &file, 1));
    guest.image_id = image_id;
    guest.image_path = entry.path;
    guest.image_format = entry.header.name;
}

static void describe_guest(void)
{
    for (size_t i = 0; i < 2; i++) {
        nics[i].port_id = uuid_new(arena);
        nics[i].mac = i == 0 ? "fa:16:3e:00:00:01" : "fa:16:3e:00:00:02";
        nics[i].tap = vif_tap_name(arena, nics[i].port_id);
        nics[i].mtu = 1450;
    }
    guest.name = "instance-0000002a";
    guest.display_name = "</nova:name><evil attr='\"'> & \xc3\xa4 \x01";
    guest.user_id = guest.project_id = "0123456789abcdef0123456789abcdef";
    guest.package_version = "27.0.0";
    guest.created_us = clock_now_us();
    guest.flavor_name = "m1.tiny";
    guest.vcpus = 1;
    guest.memory_mb = 128;
    guest.root_gb = 1;
    guest.swap_mb = 16;
    guest.nics = nics;
    guest.nic_count = 1;
}

/* What the switch says, where there is one. */
static void check_switch(const char *what, const char *column, const char *wanted)
{
    struct process_result result;
    if (config.ovs_db == NULL)
        return;
    const char *db = arena_printf(arena, "--db=%s", config.ovs_db);
    const char *const *argv = wanted != NULL ? ARGV("ovs-vsctl", db, "get", "Interface", nics[0].tap, column)
                                             : ARGV("ovs-vsctl", db, "list-ports", "br-int");
    struct fault *fault = process_run(arena, &(struct process){ .argv = argv }, &result);
    if (fault != NULL)
        die(what, fault);
    check(what, wanted != NULL ? strstr(result.output, wanted) != NULL : result.output_length == 0);
}

static void show_resources(void)
{
    struct virt_resources resources;
    must("resources", driver->resources(host, arena, &resources));
    printf("   %s %s version %lu on %s: %u vcpus, %lu MB, %lu GB\n   %s\n  ", resources.hypervisor_type, resources.virt_type,
        (unsigned long)resources.hypervisor_version, resources.hypervisor_hostname, resources.vcpus,
        (unsigned long)resources.memory_mb, (unsigned long)resources.local_gb, resources.cpu_info);
    for (const char *const *trait = resources.traits; *trait != NULL; trait++)
        printf(" %s", *trait);
    printf("\n");
    check("resources are plausible", resources.vcpus > 0 && resources.memory_mb > 500 && resources.local_gb > 0);
}

/* Milliseconds since a process started, by the kernel's clock of 10 ms steps. */
static long age_ms(pid_t pid)
{
    struct timespec now;
    unsigned long long started = 0;
    const char *text = file_read(arena, arena_printf(arena, "/proc/%d/stat", (int)pid), 4096, NULL);
    const char *at = text != NULL ? strrchr(text, ')') : NULL;
    for (int field = 2; at != NULL && field < 22; field++)
        at = strchr(at + 1, ' ');
    if (at != NULL)
        started = strtoull(at, NULL, 10) * 1000 / (unsigned long long)sysconf(_SC_CLK_TCK);
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (long)((unsigned long long)now.tv_sec * 1000 + (unsigned long long)now.tv_nsec / 1000000 - started);
}

static void spawn(void)
{
    int64_t began = clock_monotonic_us();
    must("prepare", driver->prepare(host, arena, &guest));
    printf("   QEMU's process started %ld ms after the call\n", (long)(clock_monotonic_us() - began) / 1000 - age_ms(qemu_pid()));
    expect_state(VIRT_PAUSED);
    check_switch("the port's id", "external_ids:iface-id", nics[0].port_id);
    check_switch("the port's mac", "external_ids:attached-mac", nics[0].mac);
    check_switch("the port's server", "external_ids:vm-uuid", guest.uuid);
    check_switch("the port's device", "ofport", "1");
    must("prepare again", driver->prepare(host, arena, &guest));
    expect_state(VIRT_PAUSED);
    must("start", driver->start(host, arena, guest.uuid));
    must("start again", driver->start(host, arena, guest.uuid));
    expect_state(VIRT_RUNNING);
    check("QEMU runs", process_alive(qemu_pid(), guest.name));
    wait_for_login("boot to login", 1);
}

static void pauses(void)
{
    unsigned before = atomic_load(&events[VIRT_EVENT_PAUSED]);
    must("pause", driver->pause(host, arena, guest.uuid));
    expect_event(VIRT_EVENT_PAUSED, before);
    expect_state(VIRT_PAUSED);
    must("unpause", driver->unpause(host, arena, guest.uuid));
    expect_state(VIRT_RUNNING);
    must("suspend", driver->suspend(host, arena, guest.uuid));
    expect_state(VIRT_SHUTDOWN);
    check("no QEMU is left", !process_alive(qemu_pid(), guest.name));
    must("suspend again", driver->suspend(host, arena, guest.uuid));
    must("resume", driver->resume(host, arena, &guest));
    expect_state(VIRT_RUNNING);
}

static void questions(void)
{
    const struct virt_instance_info *infos;
    struct virt_diagnostics diagnostics;
    const char *text;
    size_t count, length;
    must("list", driver->list(host, arena, &infos, &count));
    check("list has the guest", count == 1 && strcmp(infos[0].uuid, guest.uuid) == 0 && infos[0].vcpus == 1);
    must("diagnostics", driver->diagnostics(host, arena, guest.uuid, &diagnostics));
    check("diagnostics: one cpu, one nic, three disks", diagnostics.cpu_count == 1 && diagnostics.nic_count == 1 &&
        diagnostics.disk_count == 3 && diagnostics.cpus[0].time > 0 && diagnostics.disks[0].read_bytes > 0);
    check("diagnostics: mac", diagnostics.nics[0].mac_address != NULL && strcmp(diagnostics.nics[0].mac_address, nics[0].mac) == 0);
    check("diagnostics: memory", diagnostics.memory_maximum == 128);
    for (size_t i = 0; i < diagnostics.legacy_count; i++)
        printf("   %s=%ld", diagnostics.legacy[i].name, (long)diagnostics.legacy[i].value);
    printf("\n");
    must("console_output", driver->console_output(host, arena, guest.uuid, 2, &text, &length));
    check("two lines", length > 0 && memchr(text, '\n', length) != NULL);
    struct fault *fault = driver->pause(host, arena, uuid_new(arena));
    check("an unknown guest is a 404", fault != NULL && fault->status == 404 && strcmp(fault->code, "InstanceNotFound") == 0);
}

static void interfaces(void)
{
    struct virt_diagnostics diagnostics;
    must("attach_interface", driver->attach_interface(host, arena, &guest, &nics[1]));
    must("attach_interface again", driver->attach_interface(host, arena, &guest, &nics[1]));
    must("diagnostics", driver->diagnostics(host, arena, guest.uuid, &diagnostics));
    check("two nics", diagnostics.nic_count == 2 && strcmp(diagnostics.nics[1].mac_address, nics[1].mac) == 0);
    must("detach_interface", driver->detach_interface(host, arena, guest.uuid, &nics[1]));
    must("detach_interface again", driver->detach_interface(host, arena, guest.uuid, &nics[1]));
}

static void reboots(void)
{
    pid_t before = qemu_pid();
    must("reboot soft", driver->reboot(host, arena, &guest, false, 60));
    expect_state(VIRT_RUNNING);
    check("a soft reboot is a new QEMU", qemu_pid() != before);
    wait_for_login("boot to login", 2);
    must("reboot hard", driver->reboot(host, arena, &guest, true, 0));
    wait_for_login("boot to login", 3);
    must("power_off", driver->power_off(host, arena, guest.uuid, 60, 10));
    expect_state(VIRT_SHUTDOWN);
    must("power_off again", driver->power_off(host, arena, guest.uuid, 60, 10));
    must("power_on", driver->power_on(host, arena, &guest));
    expect_state(VIRT_RUNNING);
    must("power_on again", driver->power_on(host, arena, &guest));
}

static void accidents(void)
{
    unsigned before = atomic_load(&events[VIRT_EVENT_STOPPED]);
    kill(qemu_pid(), SIGKILL);
    expect_event(VIRT_EVENT_STOPPED, before);
    expect_state(VIRT_SHUTDOWN);
    done("a killed QEMU is an event");
    must("power_on", driver->power_on(host, arena, &guest));
    pid_t qemu = qemu_pid();
    before = atomic_load(&events[VIRT_EVENT_RECONNECTED]);
    kill(libvirt_daemon_pid(arena, state_dir), SIGKILL);
    expect_state(VIRT_RUNNING);
    expect_event(VIRT_EVENT_RECONNECTED, before);
    check("the guest survived", qemu_pid() == qemu && process_alive(qemu, guest.name));
    done("a killed libvirtd comes back");
    before = atomic_load(&events[VIRT_EVENT_RECONNECTED]);
    must("libvirtd stopped", libvirt_daemon_stop(arena, state_dir));
    must("pause without libvirtd", driver->pause(host, arena, guest.uuid));
    expect_event(VIRT_EVENT_RECONNECTED, before);
    must("unpause", driver->unpause(host, arena, guest.uuid));
    driver->close(host);
    done("close");
    must("init adopts", driver->init(arena, &config, &host));
    expect_state(VIRT_RUNNING);
}

static void end_of_it(void)
{
    size_t removed, ended;
    must("destroy", driver->destroy(host, arena, guest.uuid));
    must("destroy again", driver->destroy(host, arena, guest.uuid));
    check_switch("no port is left", NULL, NULL);
    must("cleanup", driver->cleanup(host, arena, guest.uuid));
    must("cleanup again", driver->cleanup(host, arena, guest.uuid));
    check("nothing of the guest is left", access(virt_instance_path(arena, state_dir, guest.uuid), F_OK) != 0);
    must("image_cache_sweep", image_cache_sweep(arena, state_dir, &(struct image_cache_rules){ .remove_unused = true }, &removed));
    check("the unused image is gone", removed == 1);
    guest.config_drive_path = guest.image_path = guest.image_id = NULL; /* a guest without disks, ended from outside */
    guest.uuid = uuid_new(arena);
    must("prepare", driver->prepare(host, arena, &guest));
    must("end_guests", libvirt_daemon_end_guests(arena, state_dir, 5000, &ended));
    check("one guest was ended", ended == 1);
    must("destroy", driver->destroy(host, arena, guest.uuid));
    must("cleanup", driver->cleanup(host, arena, guest.uuid));
    driver->close(host);
    done("close");
}

static int end_everything(void)
{
    size_t ended;
    struct fault *guests = libvirt_daemon_end_guests(arena, state_dir, 5000, &ended);
    struct fault *daemon = libvirt_daemon_stop(arena, state_dir);
    return guests == NULL && daemon == NULL ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    arena = arena_create();
    state_dir = argv[1];
    netns = argv[2];
    if (strcmp(argv[3], "end") == 0)
        return end_everything();
    config = (struct virt_config){ .state_dir = state_dir, .netns = netns, .hypervisor_hostname = "lab", .on_event = on_event,
        .ovs_db = getenv("VIRT_DRIVE_OVS_DB") };
    step_began = clock_monotonic_us();
    must("load", virt_driver_load(arena, "libvirt", &driver));
    must("init", driver->init(arena, &config, &host));
    show_resources();
    describe_guest();
    make_files(argv[3]);
    spawn();
    questions();
    pauses();
    interfaces();
    reboots();
    accidents();
    end_of_it();
    arena_destroy(arena);
    return 0;
}
