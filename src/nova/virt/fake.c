/* SPDX-License-Identifier: Apache-2.0
 *
 * fake: simulated compute hosts, for scale and API tests. Guests are entries in memory; every call is instant and makes
 * no file. Nothing survives the process.
 */
#include "base/map.h"
#include "nova/virt/host_facts.h"
#include "nova/virt/load.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct fake_guest {
    char *uuid;
    char *name;
    enum virt_power_state state;
    unsigned vcpus;
    uint64_t memory_mb, disk_gb;
    struct map nics; /* tap -> mac, malloc'ed */
};

struct virt_host {
    pthread_mutex_t lock;
    struct map guests; /* uuid -> fake_guest */
    char *hostname;
    unsigned vcpus, memory_mb, local_gb;
    virt_event_function on_event;
    void *event_argument;
};

static char *copy_text(const char *text)
{
    char *copy = strdup(text != NULL ? text : "");
    if (copy == NULL)
        abort();
    return copy;
}

static struct fault *fake_init(struct arena *arena, const struct virt_config *config, struct virt_host **ret_host)
{
    struct virt_host *host = calloc(1, sizeof(*host));
    if (host == NULL)
        abort();
    pthread_mutex_init(&host->lock, NULL);
    host->hostname = copy_text(config->hypervisor_hostname != NULL ? config->hypervisor_hostname : host_name(arena));
    host->vcpus = config->fake_vcpus != 0 ? config->fake_vcpus : 8;
    host->memory_mb = config->fake_memory_mb != 0 ? config->fake_memory_mb : 8000;
    host->local_gb = config->fake_local_gb != 0 ? config->fake_local_gb : 500;
    host->on_event = config->on_event;
    host->event_argument = config->event_argument;
    *ret_host = host;
    return NULL;
}

static void free_guest(struct fake_guest *guest)
{
    struct map_entry *entry;
    for (size_t at = 0; (entry = map_next(&guest->nics, &at)) != NULL;)
        free(entry->value);
    map_release(&guest->nics);
    free(guest->uuid);
    free(guest->name);
    free(guest);
}

static void fake_close(struct virt_host *host)
{
    struct map_entry *entry;
    if (host == NULL)
        return;
    for (size_t at = 0; (entry = map_next(&host->guests, &at)) != NULL;)
        free_guest(entry->value);
    map_release(&host->guests);
    pthread_mutex_destroy(&host->lock);
    free(host->hostname);
    free(host);
}

static struct fault *fake_resources(struct virt_host *host, struct arena *arena, struct virt_resources *ret)
{
    static const char *const traits[] = {
        "COMPUTE_IMAGE_TYPE_QCOW2", "COMPUTE_IMAGE_TYPE_RAW",       "COMPUTE_NET_ATTACH_INTERFACE",
        "COMPUTE_NET_VIF_MODEL_VIRTIO", "COMPUTE_STORAGE_BUS_VIRTIO", "HW_CPU_X86_SSE2", NULL,
    };
    *ret = (struct virt_resources){
        .vcpus = host->vcpus,
        .memory_mb = host->memory_mb,
        .local_gb = host->local_gb,
        .hypervisor_type = "fake",
        .hypervisor_version = 1000,
        .hypervisor_hostname = arena_strdup(arena, host->hostname),
        .virt_type = "qemu",
        .arch = "x86_64",
        .cpu_info = "{\"arch\": \"x86_64\", \"model\": \"Nehalem\", \"vendor\": \"Intel\", \"features\": [\"pge\", \"clflush\"], "
                    "\"topology\": {\"cores\": 1, \"threads\": 1, \"sockets\": 4}}",
        .traits = traits,
    };
    struct map_entry *entry;
    pthread_mutex_lock(&host->lock);
    for (size_t at = 0; (entry = map_next(&host->guests, &at)) != NULL; ret->running_vms++) {
        const struct fake_guest *guest = entry->value;
        ret->vcpus_used += guest->vcpus;
        ret->memory_mb_used += guest->memory_mb;
        ret->local_gb_used += guest->disk_gb;
    }
    pthread_mutex_unlock(&host->lock);
    ret->disk_available_least = (int64_t)ret->local_gb - (int64_t)ret->local_gb_used;
    return NULL;
}

static void describe(struct arena *arena, const struct fake_guest *guest, struct virt_instance_info *ret)
{
    *ret = (struct virt_instance_info){
        .uuid = arena_strdup(arena, guest->uuid),
        .name = arena_strdup(arena, guest->name),
        .state = guest->state,
        .memory_kib = guest->memory_mb * 1024,
        .max_memory_kib = guest->memory_mb * 1024,
        .vcpus = guest->vcpus,
    };
}

static struct fault *fake_list(struct virt_host *host, struct arena *arena, const struct virt_instance_info **ret,
    size_t *ret_count)
{
    pthread_mutex_lock(&host->lock);
    struct virt_instance_info *infos = ARENA_ARRAY(arena, struct virt_instance_info, host->guests.count + 1);
    size_t count = 0;
    struct map_entry *entry;
    for (size_t at = 0; (entry = map_next(&host->guests, &at)) != NULL;)
        describe(arena, entry->value, &infos[count++]);
    pthread_mutex_unlock(&host->lock);
    *ret = infos;
    *ret_count = count;
    return NULL;
}

static struct fault *fake_info(struct virt_host *host, struct arena *arena, const char *uuid, struct virt_instance_info *ret)
{
    pthread_mutex_lock(&host->lock);
    const struct fake_guest *guest = map_get(&host->guests, uuid);
    if (guest != NULL)
        describe(arena, guest, ret);
    pthread_mutex_unlock(&host->lock);
    return guest != NULL ? NULL : virt_instance_not_found(arena, uuid);
}

static void set_nic(struct fake_guest *guest, const struct virt_nic *nic)
{
    free(map_set(&guest->nics, nic->tap, copy_text(nic->mac)));
}

static struct fault *fake_prepare(struct virt_host *host, struct arena *arena, const struct virt_spawn *spawn)
{
    pthread_mutex_lock(&host->lock);
    struct fake_guest *guest = map_get(&host->guests, spawn->uuid);
    if (guest == NULL) {
        guest = calloc(1, sizeof(*guest));
        if (guest == NULL)
            abort();
        guest->uuid = copy_text(spawn->uuid);
        guest->name = copy_text(spawn->name);
        guest->state = VIRT_PAUSED;
        guest->vcpus = spawn->vcpus;
        guest->memory_mb = spawn->memory_mb;
        guest->disk_gb = spawn->root_gb + spawn->ephemeral_gb;
        map_set(&host->guests, guest->uuid, guest);
    }
    for (size_t i = 0; i < spawn->nic_count; i++)
        set_nic(guest, &spawn->nics[i]);
    pthread_mutex_unlock(&host->lock);
    return NULL;
}

/* Sets the state and tells the event, as a hypervisor would. */
static struct fault *change_state(struct virt_host *host, struct arena *arena, const char *uuid, enum virt_power_state state,
    enum virt_event event)
{
    pthread_mutex_lock(&host->lock);
    struct fake_guest *guest = map_get(&host->guests, uuid);
    bool changed = guest != NULL && guest->state != state;
    if (changed)
        guest->state = state;
    pthread_mutex_unlock(&host->lock);
    if (guest == NULL)
        return virt_instance_not_found(arena, uuid);
    if (changed && host->on_event != NULL)
        host->on_event(host->event_argument, event, uuid);
    return NULL;
}

static struct fault *fake_start(struct virt_host *host, struct arena *arena, const char *uuid)
{
    return change_state(host, arena, uuid, VIRT_RUNNING, VIRT_EVENT_RESUMED);
}

static struct fault *fake_destroy(struct virt_host *host, struct arena *arena, const char *uuid)
{
    pthread_mutex_lock(&host->lock);
    struct fake_guest *guest = map_remove(&host->guests, uuid);
    pthread_mutex_unlock(&host->lock);
    if (guest == NULL)
        return NULL;
    if (guest->state != VIRT_SHUTDOWN && host->on_event != NULL)
        host->on_event(host->event_argument, VIRT_EVENT_STOPPED, uuid);
    free_guest(guest);
    return NULL;
}

static struct fault *fake_cleanup(struct virt_host *host, struct arena *arena, const char *uuid)
{
    return NULL; /* a simulated guest has no files */
}

static struct fault *fake_power_on(struct virt_host *host, struct arena *arena, const struct virt_spawn *spawn)
{
    TRY(fake_prepare(host, arena, spawn));
    return change_state(host, arena, spawn->uuid, VIRT_RUNNING, VIRT_EVENT_STARTED);
}

static struct fault *fake_power_off(struct virt_host *host, struct arena *arena, const char *uuid, unsigned timeout_s,
    unsigned retry_interval_s)
{
    return change_state(host, arena, uuid, VIRT_SHUTDOWN, VIRT_EVENT_STOPPED);
}

static struct fault *fake_reboot(struct virt_host *host, struct arena *arena, const struct virt_spawn *spawn, bool hard,
    unsigned timeout_s)
{
    return fake_power_on(host, arena, spawn);
}

static struct fault *fake_pause(struct virt_host *host, struct arena *arena, const char *uuid)
{
    return change_state(host, arena, uuid, VIRT_PAUSED, VIRT_EVENT_PAUSED);
}

static struct fault *fake_unpause(struct virt_host *host, struct arena *arena, const char *uuid)
{
    return change_state(host, arena, uuid, VIRT_RUNNING, VIRT_EVENT_RESUMED);
}

static struct fault *fake_suspend(struct virt_host *host, struct arena *arena, const char *uuid)
{
    return change_state(host, arena, uuid, VIRT_SHUTDOWN, VIRT_EVENT_STOPPED);
}

static struct fault *fake_console_output(struct virt_host *host, struct arena *arena, const char *uuid, int lines,
    const char **ret_text, size_t *ret_length)
{
    struct virt_instance_info info;
    TRY(fake_info(host, arena, uuid, &info));
    *ret_text = "FAKE CONSOLE OUTPUT\nANOTHER\nLAST LINE";
    *ret_length = strlen(*ret_text);
    return NULL;
}

static struct fault *fake_diagnostics(struct virt_host *host, struct arena *arena, const char *uuid, struct virt_diagnostics *ret)
{
    static const struct virt_cpu_diagnostics cpu = { 0, INT64_C(17300000000), 15 };
    static const struct virt_nic_diagnostics nic = {
        "01:23:45:67:89:ab", 2070139, 100, 200, 26701, 300, 140208, 400, 500, 662, 600,
    };
    static const struct virt_disk_diagnostics disk = { 262144, 112, 5778432, 488, 1 };
    static const struct virt_counter legacy[] = {
        { "cpu0_time", INT64_C(17300000000) }, { "memory", 524288 },     { "vda_errors", -1 },       { "vda_read", 262144 },
        { "vda_read_req", 112 },               { "vda_write", 5778432 }, { "vda_write_req", 488 },   { "vnet1_rx", 2070139 },
        { "vnet1_rx_drop", 0 },                { "vnet1_rx_errors", 0 }, { "vnet1_rx_packets", 26701 }, { "vnet1_tx", 140208 },
        { "vnet1_tx_drop", 0 },                { "vnet1_tx_errors", 0 }, { "vnet1_tx_packets", 662 },
    };
    struct virt_instance_info info = { 0 };
    TRY(fake_info(host, arena, uuid, &info));
    *ret = (struct virt_diagnostics){
        .state = info.state, .driver = "libvirt", .hypervisor = "kvm", .hypervisor_os = "ubuntu", .memory_maximum = 524288,
        .cpus = &cpu, .cpu_count = 1, .nics = &nic, .nic_count = 1, .disks = &disk, .disk_count = 1,
        .legacy = legacy, .legacy_count = sizeof(legacy) / sizeof(legacy[0]),
    };
    return NULL;
}

static struct fault *change_nic(struct virt_host *host, struct arena *arena, const char *uuid, const struct virt_nic *nic,
    bool attach)
{
    pthread_mutex_lock(&host->lock);
    struct fake_guest *guest = map_get(&host->guests, uuid);
    if (guest != NULL && attach)
        set_nic(guest, nic);
    else if (guest != NULL)
        free(map_remove(&guest->nics, nic->tap));
    pthread_mutex_unlock(&host->lock);
    return guest != NULL ? NULL : virt_instance_not_found(arena, uuid);
}

static struct fault *fake_attach_interface(struct virt_host *host, struct arena *arena, const struct virt_spawn *spawn,
    const struct virt_nic *nic)
{
    return change_nic(host, arena, spawn->uuid, nic, true);
}

static struct fault *fake_detach_interface(struct virt_host *host, struct arena *arena, const char *uuid,
    const struct virt_nic *nic)
{
    return change_nic(host, arena, uuid, nic, false);
}

/* nova's name where a driver has no word of its own */
static const char *fake_root_device(struct virt_host *host, struct arena *arena, const struct virt_spawn *spawn)
{
    (void)host;
    (void)arena;
    (void)spawn;
    return "/dev/sda";
}

const struct virt_driver virt_driver_fake = {
    .name             = "fake",
    .init             = fake_init,
    .close            = fake_close,
    .resources        = fake_resources,
    .list             = fake_list,
    .info             = fake_info,
    .root_device      = fake_root_device,
    .prepare          = fake_prepare,
    .start            = fake_start,
    .destroy          = fake_destroy,
    .cleanup          = fake_cleanup,
    .power_on         = fake_power_on,
    .power_off        = fake_power_off,
    .reboot           = fake_reboot,
    .pause            = fake_pause,
    .unpause          = fake_unpause,
    .suspend          = fake_suspend,
    .resume           = fake_power_on,
    .console_output   = fake_console_output,
    .diagnostics      = fake_diagnostics,
    .attach_interface = fake_attach_interface,
    .detach_interface = fake_detach_interface,
};
