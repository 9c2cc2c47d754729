/* SPDX-License-Identifier: Apache-2.0
 *
 * stats: what only asks libvirt: resources, lists, states, diagnostics. One call to libvirt for all guests, never one a guest.
 */
#include "base/buf.h"
#include "nova/virt/disk.h"
#include "nova/virt/host_facts.h"
#include "nova/virt/libvirt/host.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { FEATURES_MAX = 512, TRAITS_MAX = 96, CPUS_MAX = 1024, DEVICES_MAX = 256 };

static const char *const driver_traits[] = {
    "COMPUTE_GRAPHICS_MODEL_BOCHS",  "COMPUTE_GRAPHICS_MODEL_CIRRUS", "COMPUTE_GRAPHICS_MODEL_NONE",
    "COMPUTE_GRAPHICS_MODEL_QXL",    "COMPUTE_GRAPHICS_MODEL_VGA",    "COMPUTE_GRAPHICS_MODEL_VIRTIO",
    "COMPUTE_IMAGE_TYPE_AKI",        "COMPUTE_IMAGE_TYPE_AMI",        "COMPUTE_IMAGE_TYPE_ARI",
    "COMPUTE_IMAGE_TYPE_ISO",        "COMPUTE_IMAGE_TYPE_QCOW2",      "COMPUTE_IMAGE_TYPE_RAW",
    "COMPUTE_NET_ATTACH_INTERFACE",  "COMPUTE_NET_VIF_MODEL_E1000",   "COMPUTE_NET_VIF_MODEL_E1000E",
    "COMPUTE_NET_VIF_MODEL_NE2K_PCI", "COMPUTE_NET_VIF_MODEL_PCNET",  "COMPUTE_NET_VIF_MODEL_RTL8139",
    "COMPUTE_NET_VIF_MODEL_VIRTIO",  "COMPUTE_NET_VIF_MODEL_VMXNET3", "COMPUTE_STORAGE_BUS_FDC",
    "COMPUTE_STORAGE_BUS_IDE",       "COMPUTE_STORAGE_BUS_SATA",      "COMPUTE_STORAGE_BUS_SCSI",
    "COMPUTE_STORAGE_BUS_USB",       "COMPUTE_STORAGE_BUS_VIRTIO",
};

/* The values of name='...' in elements that begin with `element`: libvirt's own XML, always with single quotes. */
static const char *const *names_in(struct arena *arena, const char *xml, const char *element)
{
    const char **names = ARENA_ARRAY(arena, const char *, FEATURES_MAX + 1);
    size_t count = 0;
    for (const char *at = strstr(xml, element); at != NULL && count < FEATURES_MAX; at = strstr(at + 1, element)) {
        const char *name = strstr(at, "name='");
        if (name != NULL && name < at + strcspn(at, ">"))
            names[count++] = arena_strndup(arena, name + 6, strcspn(name + 6, "'"));
    }
    return names;
}

/* A guest's processor as XML that baseline understands: the model that libvirt would give as host-model, or a named one. */
static const char *guest_cpu(struct virt_host *host, struct arena *arena, virConnectPtr connection)
{
    const struct domain_settings *settings = &host->settings;
    if (strcmp(settings->cpu_mode, "custom") == 0 || strcmp(settings->cpu_mode, "none") == 0)
        return arena_printf(arena, "<cpu mode='custom' match='exact'><model>%s</model></cpu>", settings->cpu_model);
    char *xml = virConnectGetDomainCapabilities(connection, NULL, host_arch(arena), settings->machine_type, settings->virt_type, 0);
    const char *mode = xml != NULL ? strstr(xml, "<mode name='host-model' supported='yes'>") : NULL;
    const char *end = mode != NULL ? strstr(mode, "</mode>") : NULL;
    const char *cpu = NULL;
    if (end != NULL) {
        mode = strchr(mode, '>') + 1;
        cpu = arena_printf(arena, "<cpu mode='custom' match='exact'>%.*s</cpu>", (int)(end - mode), mode);
    }
    free(xml);
    return cpu;
}

const char *const *stats_cpu_traits(struct virt_host *host, struct arena *arena, virConnectPtr connection)
{
    const char *cpu = guest_cpu(host, arena, connection);
    char *full = cpu == NULL ? NULL
        : virConnectBaselineHypervisorCPU(connection, NULL, host_arch(arena), host->settings.machine_type, host->settings.virt_type,
              &cpu, 1, VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES);
    const char *const *traits = host_cpu_traits(arena, names_in(arena, full != NULL ? full : "", "<feature policy='require'"));
    free(full);
    return traits;
}

static const char *const *all_traits(const struct virt_host *host, struct arena *arena)
{
    const char **all = ARENA_ARRAY(arena, const char *, TRAITS_MAX + 1);
    size_t count = 0;
    for (size_t i = 0; i < sizeof(driver_traits) / sizeof(driver_traits[0]); i++)
        all[count++] = driver_traits[i];
    for (const char *const *trait = host->cpu_traits; *trait != NULL && count < TRAITS_MAX; trait++)
        all[count++] = *trait;
    return all;
}

/* On a libvirtd that we share, only domains with nova's metadata element are ours. */
static bool is_ours(const struct virt_host *host, virDomainPtr domain)
{
    if (host->uri == NULL)
        return true;
    char *metadata = virDomainGetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, DOMAIN_NOVA_NS, VIR_DOMAIN_AFFECT_CURRENT);
    bool ours = metadata != NULL;
    free(metadata);
    return ours;
}

static uint64_t number(const virDomainStatsRecord *record, const char *name)
{
    unsigned long long large = 0;
    unsigned small = 0;
    if (virTypedParamsGetULLong(record->params, record->nparams, name, &large) == 1)
        return large;
    return virTypedParamsGetUInt(record->params, record->nparams, name, &small) == 1 ? small : 0;
}

static uint64_t numberf(struct arena *arena, const virDomainStatsRecord *record, const char *group, size_t index, const char *name)
{
    return number(record, arena_printf(arena, "%s.%zu.%s", group, index, name));
}

static const char *text_of(struct arena *arena, const virDomainStatsRecord *record, const char *name)
{
    const char *text = NULL;
    virTypedParamsGetString(record->params, record->nparams, name, &text);
    return arena_strdup(arena, text != NULL ? text : "");
}

static void describe(struct arena *arena, const virDomainStatsRecord *record, struct virt_instance_info *ret)
{
    char uuid[VIR_UUID_STRING_BUFLEN] = "";
    int state = VIR_DOMAIN_NOSTATE;
    virDomainGetUUIDString(record->dom, uuid);
    virTypedParamsGetInt(record->params, record->nparams, "state.state", &state);
    *ret = (struct virt_instance_info){
        .uuid = arena_strdup(arena, uuid),
        .name = arena_strdup(arena, virDomainGetName(record->dom)),
        .state = host_power_state(state),
        .memory_kib = number(record, "balloon.current"),
        .max_memory_kib = number(record, "balloon.maximum"),
        .cpu_time_ns = number(record, "cpu.time"),
        .vcpus = (unsigned)number(record, "vcpu.current"),
    };
}

struct fault *stats_list(struct virt_host *host, struct arena *arena, const struct virt_instance_info **ret, size_t *ret_count)
{
    HOST_CALL_CLEANUP struct host_call call = { 0 };
    virDomainStatsRecordPtr *records = NULL;
    TRY(host_connect(host, arena, &call));
    int count = virConnectGetAllDomainStats(call.connection,
        VIR_DOMAIN_STATS_STATE | VIR_DOMAIN_STATS_CPU_TOTAL | VIR_DOMAIN_STATS_BALLOON | VIR_DOMAIN_STATS_VCPU, &records,
        VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT);
    if (count < 0)
        return host_fault(arena, NULL);
    struct virt_instance_info *infos = ARENA_ARRAY(arena, struct virt_instance_info, (size_t)count + 1);
    size_t ours = 0;
    for (int i = 0; i < count; i++)
        if (is_ours(host, records[i]->dom))
            describe(arena, records[i], &infos[ours++]);
    virDomainStatsRecordListFree(records);
    *ret = infos;
    *ret_count = ours;
    return NULL;
}

struct fault *stats_info(struct virt_host *host, struct arena *arena, const char *uuid, struct virt_instance_info *ret)
{
    HOST_CALL_CLEANUP struct host_call call = { 0 };
    virDomainInfo info;
    TRY(host_find(host, arena, uuid, &call));
    if (virDomainGetInfo(call.domain, &info) != 0)
        return host_fault(arena, uuid);
    *ret = (struct virt_instance_info){
        .uuid = arena_strdup(arena, uuid),
        .name = arena_strdup(arena, virDomainGetName(call.domain)),
        .state = host_power_state(info.state),
        .memory_kib = info.memory,
        .max_memory_kib = info.maxMem,
        .cpu_time_ns = info.cpuTime,
        .vcpus = info.nrVirtCpu,
    };
    return NULL;
}

struct fault *stats_resources(struct virt_host *host, struct arena *arena, struct virt_resources *ret)
{
    HOST_CALL_CLEANUP struct host_call call = { 0 };
    const struct virt_instance_info *guests;
    unsigned long version = 0;
    uint64_t free_gb;
    size_t count;
    TRY(host_connect(host, arena, &call));
    TRY(stats_list(host, arena, &guests, &count));
    const char *type = virConnectGetType(call.connection);
    virConnectGetVersion(call.connection, &version);
    struct virt_resources resources = {
        .vcpus = host_cpus(),
        .hypervisor_type = arena_strdup(arena, type != NULL ? type : "QEMU"),
        .hypervisor_version = version,
        .hypervisor_hostname = arena_strdup(arena, host->hostname),
        .virt_type = host->settings.virt_type,
        .arch = host_arch(arena),
        .cpu_info = host_cpu_info(arena),
        .traits = all_traits(host, arena),
    };
    host_memory(&resources.memory_mb, &resources.memory_mb_used);
    TRY(host_disk(arena, virt_instances(arena, host->settings.state_dir), &resources.local_gb,
        &resources.local_gb_used, &free_gb));
    resources.disk_available_least = (int64_t)free_gb - (disk_overcommitted(arena, host->settings.state_dir) >> 30);
    for (size_t i = 0; i < count; i++)
        if (guests[i].state != VIRT_SHUTDOWN && guests[i].state != VIRT_CRASHED) {
            resources.running_vms++;
            resources.vcpus_used += guests[i].vcpus;
        }
    *ret = resources;
    return NULL;
}

struct counters {
    struct arena *arena;
    struct virt_counter *rows;
    size_t count, capacity;
};

static void add_counter(struct counters *to, int64_t value, const char *device, const char *name)
{
    if (to->count < to->capacity)
        to->rows[to->count++] = (struct virt_counter){ arena_printf(to->arena, "%s%s", device, name), value };
}

static void read_cpus(struct arena *arena, const virDomainStatsRecord *record, struct virt_diagnostics *ret,
    struct counters *legacy)
{
    size_t count = number(record, "vcpu.maximum");
    struct virt_cpu_diagnostics *cpus = ARENA_ARRAY(arena, struct virt_cpu_diagnostics, CPUS_MAX);
    for (size_t i = 0; i < count && i < CPUS_MAX; i++) {
        int64_t time = (int64_t)numberf(arena, record, "vcpu", i, "time");
        cpus[ret->cpu_count++] = (struct virt_cpu_diagnostics){ (int64_t)i, time, -1 };
        add_counter(legacy, time, arena_printf(arena, "cpu%zu", i), "_time");
    }
    ret->cpus = cpus;
}

static void read_disks(struct arena *arena, const virDomainStatsRecord *record, struct virt_diagnostics *ret,
    struct counters *legacy)
{
    size_t count = number(record, "block.count");
    struct virt_disk_diagnostics *disks = ARENA_ARRAY(arena, struct virt_disk_diagnostics, DEVICES_MAX);
    for (size_t i = 0; i < count && i < DEVICES_MAX; i++) {
        const char *name = text_of(arena, record, arena_printf(arena, "block.%zu.name", i));
        struct virt_disk_diagnostics disk = {
            .read_requests = (int64_t)numberf(arena, record, "block", i, "rd.reqs"),
            .read_bytes = (int64_t)numberf(arena, record, "block", i, "rd.bytes"),
            .write_requests = (int64_t)numberf(arena, record, "block", i, "wr.reqs"),
            .write_bytes = (int64_t)numberf(arena, record, "block", i, "wr.bytes"),
            .errors_count = -1, /* what libvirt says of QEMU's disks */
        };
        disks[ret->disk_count++] = disk;
        add_counter(legacy, disk.read_requests, name, "_read_req");
        add_counter(legacy, disk.read_bytes, name, "_read");
        add_counter(legacy, disk.write_requests, name, "_write_req");
        add_counter(legacy, disk.write_bytes, name, "_write");
        add_counter(legacy, disk.errors_count, name, "_errors");
    }
    ret->disks = disks;
}

/* The MAC of the NIC whose target is `device`, from libvirt's own XML, where guests' texts are escaped. */
static const char *mac_of(struct arena *arena, const char *xml, const char *device)
{
    static const char mark[] = "<mac address='";
    const char *target = strstr(xml, arena_printf(arena, "<target dev='%s'", device));
    const char *mac = NULL;
    for (const char *at = strstr(xml, mark); at != NULL && target != NULL && at < target; at = strstr(at + 1, mark))
        mac = at + strlen(mark);
    return mac != NULL ? arena_strndup(arena, mac, strcspn(mac, "'")) : NULL;
}

static void read_nics(struct arena *arena, const virDomainStatsRecord *record, const char *xml, struct virt_diagnostics *ret,
    struct counters *legacy)
{
    size_t count = number(record, "net.count");
    struct virt_nic_diagnostics *nics = ARENA_ARRAY(arena, struct virt_nic_diagnostics, DEVICES_MAX);
    for (size_t i = 0; i < count && i < DEVICES_MAX; i++) {
        const char *name = text_of(arena, record, arena_printf(arena, "net.%zu.name", i));
        struct virt_nic_diagnostics nic = {
            .mac_address = mac_of(arena, xml, name),
            .rx_octets = (int64_t)numberf(arena, record, "net", i, "rx.bytes"),
            .rx_errors = (int64_t)numberf(arena, record, "net", i, "rx.errs"),
            .rx_drop = (int64_t)numberf(arena, record, "net", i, "rx.drop"),
            .rx_packets = (int64_t)numberf(arena, record, "net", i, "rx.pkts"),
            .tx_octets = (int64_t)numberf(arena, record, "net", i, "tx.bytes"),
            .tx_errors = (int64_t)numberf(arena, record, "net", i, "tx.errs"),
            .tx_drop = (int64_t)numberf(arena, record, "net", i, "tx.drop"),
            .tx_packets = (int64_t)numberf(arena, record, "net", i, "tx.pkts"),
            .rx_rate = -1,
            .tx_rate = -1,
        };
        nics[ret->nic_count++] = nic;
        add_counter(legacy, nic.rx_octets, name, "_rx");
        add_counter(legacy, nic.rx_packets, name, "_rx_packets");
        add_counter(legacy, nic.rx_errors, name, "_rx_errors");
        add_counter(legacy, nic.rx_drop, name, "_rx_drop");
        add_counter(legacy, nic.tx_octets, name, "_tx");
        add_counter(legacy, nic.tx_packets, name, "_tx_packets");
        add_counter(legacy, nic.tx_errors, name, "_tx_errors");
        add_counter(legacy, nic.tx_drop, name, "_tx_drop");
    }
    ret->nics = nics;
}

static void read_memory(virDomainPtr domain, const virDomainStatsRecord *record, struct virt_diagnostics *ret,
    struct counters *legacy)
{
    static const char *const tags[VIR_DOMAIN_MEMORY_STAT_NR] = {
        [VIR_DOMAIN_MEMORY_STAT_SWAP_IN]         = "swap_in",
        [VIR_DOMAIN_MEMORY_STAT_SWAP_OUT]        = "swap_out",
        [VIR_DOMAIN_MEMORY_STAT_MAJOR_FAULT]     = "major_fault",
        [VIR_DOMAIN_MEMORY_STAT_MINOR_FAULT]     = "minor_fault",
        [VIR_DOMAIN_MEMORY_STAT_UNUSED]          = "unused",
        [VIR_DOMAIN_MEMORY_STAT_AVAILABLE]       = "available",
        [VIR_DOMAIN_MEMORY_STAT_ACTUAL_BALLOON]  = "actual",
        [VIR_DOMAIN_MEMORY_STAT_RSS]             = "rss",
        [VIR_DOMAIN_MEMORY_STAT_USABLE]          = "usable",
        [VIR_DOMAIN_MEMORY_STAT_LAST_UPDATE]     = "last_update",
        [VIR_DOMAIN_MEMORY_STAT_DISK_CACHES]     = "disk_caches",
        [VIR_DOMAIN_MEMORY_STAT_HUGETLB_PGALLOC] = "hugetlb_pgalloc",
        [VIR_DOMAIN_MEMORY_STAT_HUGETLB_PGFAIL]  = "hugetlb_pgfail",
    };
    virDomainMemoryStatStruct stats[VIR_DOMAIN_MEMORY_STAT_NR];
    ret->memory_maximum = (int64_t)number(record, "balloon.maximum") / 1024;
    ret->memory_used = (int64_t)number(record, "balloon.current") / 1024;
    add_counter(legacy, (int64_t)number(record, "balloon.maximum"), "memory", "");
    int count = virDomainMemoryStats(domain, stats, VIR_DOMAIN_MEMORY_STAT_NR, 0);
    for (int i = 0; i < count; i++)
        if (stats[i].tag >= 0 && stats[i].tag < VIR_DOMAIN_MEMORY_STAT_NR && tags[stats[i].tag] != NULL)
            add_counter(legacy, (int64_t)stats[i].val, "memory-", tags[stats[i].tag]);
}

struct fault *stats_diagnostics(struct virt_host *host, struct arena *arena, const char *uuid, struct virt_diagnostics *ret)
{
    HOST_CALL_CLEANUP struct host_call call = { 0 };
    virDomainStatsRecordPtr *records = NULL;
    TRY(host_find(host, arena, uuid, &call));
    virDomainPtr domains[] = { call.domain, NULL };
    if (virDomainListGetStats(domains, VIR_DOMAIN_STATS_STATE | VIR_DOMAIN_STATS_BALLOON | VIR_DOMAIN_STATS_VCPU |
            VIR_DOMAIN_STATS_INTERFACE | VIR_DOMAIN_STATS_BLOCK, &records, 0) < 1)
        return host_fault(arena, uuid);
    char *xml = virDomainGetXMLDesc(call.domain, 0);
    struct virt_diagnostics result = {
        .state = host_state(call.domain), .driver = "libvirt", .hypervisor = host->settings.virt_type, .hypervisor_os = "linux",
    };
    struct counters legacy = { arena, NULL, 0, CPUS_MAX + DEVICES_MAX * 16 };
    legacy.rows = ARENA_ARRAY(arena, struct virt_counter, legacy.capacity);
    read_cpus(arena, records[0], &result, &legacy);
    read_disks(arena, records[0], &result, &legacy);
    read_nics(arena, records[0], xml != NULL ? xml : "", &result, &legacy);
    read_memory(call.domain, records[0], &result, &legacy);
    result.legacy = legacy.rows;
    result.legacy_count = legacy.count;
    free(xml);
    virDomainStatsRecordListFree(records);
    *ret = result;
    return NULL;
}
