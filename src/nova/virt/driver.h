/* SPDX-License-Identifier: Apache-2.0
 *
 * driver: what nova-compute asks of a hypervisor.
 *
 * A driver is one `struct virt_driver`, found by virt_driver_load() (load.h): "libvirt", a module of its own so that
 * libvirt's libraries enter only the processes that compute, or "fake", simulated hosts for scale and API tests.
 *
 * A server's way through it:
 *     image_cache (image_cache.h) and config_drive (config_drive.h) make the files, then
 *     prepare   disks, taps, and the guest, paused before its first instruction; neutron can wire the taps now
 *     start     lets it run, once network-vif-plugged has come
 *     ...
 *     destroy   ends the guest and its taps; the disks stay
 *     cleanup   removes disks, logs and config drive
 * Every call may be repeated: prepare on a prepared guest, start on a running one, destroy and cleanup where nothing is
 * left succeed. So each is a flow step, and destroy + cleanup is the undo of prepare.
 *
 * Threads: every function may be called from any thread, for different guests at once. Calls block: a slow pool runs
 * them. Time limits: power_off, reboot and detach_interface wait as long as their argument or comment says; every other
 * call waits at most VIRT_CONNECT_WAIT_MS for a connection, and for a hypervisor that answers (libvirt gives up a busy
 * guest after 30 s; a dead peer is noticed after 15 s).
 *
 * Faults (code, status, words of nova.exception): InstanceNotFound 404, InstanceNotRunning 400, ConsoleNotAvailable
 * 404, FlavorDiskSmallerThanImage 400, InvalidDiskInfo 400, UnsupportedHardware 400, InterfaceAttachFailed 500,
 * InterfaceDetachFailed 400, HypervisorUnavailable 503 with `retry`, and "libvirtError" 500 with libvirt's own sentence.
 */
#ifndef NOVA_VIRT_DRIVER_H
#define NOVA_VIRT_DRIVER_H

#include "base/arena.h"
#include "base/fault.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { VIRT_CONNECT_WAIT_MS = 15000, VIRT_CONSOLE_LIMIT = 100 * 1024 };

/* nova.compute.power_state; the numbers are API and database. A guest that is suspended to disk is SHUTDOWN, as nova's
 * libvirt driver says; SUSPENDED is a guest that put itself to sleep. */
enum virt_power_state {
    VIRT_NOSTATE   = 0,
    VIRT_RUNNING   = 1,
    VIRT_PAUSED    = 3,
    VIRT_SHUTDOWN  = 4,
    VIRT_CRASHED   = 6,
    VIRT_SUSPENDED = 7,
};

/* The word of a power state in diagnostics: "pending", "running", "paused", "shutdown", "crashed", "suspended". */
const char *virt_power_state_name(enum virt_power_state state);

/* nova.virt.event. RECONNECTED (uuid NULL): the hypervisor was away and events may have been missed; compare all
 * power states. */
enum virt_event {
    VIRT_EVENT_STOPPED,
    VIRT_EVENT_STARTED,
    VIRT_EVENT_PAUSED,
    VIRT_EVENT_RESUMED,
    VIRT_EVENT_SUSPENDED,
    VIRT_EVENT_RECONNECTED,
};

/* Called from the driver's own thread: must not block nor call the driver; hand the event to a pool. Events also come
 * for what the caller itself asked for. `uuid` lives for the call only. */
typedef void (*virt_event_function)(void *argument, enum virt_event event, const char *uuid);

struct virt_pair {
    const char *key;
    const char *value;
};

/* The value of a key, or NULL. */
const char *virt_pair_find(const struct virt_pair *pairs, size_t count, const char *key);

/* Everything is copied by init. Zero or NULL: the default, given in brackets. */
struct virt_config {
    const char *hypervisor_hostname; /* [the machine's host name] */
    const char *state_dir;           /* absolute; guests lie in <state_dir>/instances, our libvirtd in <state_dir>/libvirt */
    const char *connection_uri;      /* [libvirt] connection_uri [a private libvirtd, started or adopted by init] */
    const char *virt_type;           /* [libvirt] virt_type: "kvm" or "qemu" ["kvm" when it works, else "qemu"] */
    const char *cpu_mode;            /* [libvirt] cpu_mode: host-model, host-passthrough, maximum, custom, none
                                      * [kvm: host-model, qemu: maximum] */
    const char *cpu_model;           /* [libvirt] cpu_models, for cpu_mode custom */
    const char *machine_type;        /* [libvirt] hw_machine_type for x86_64 ["pc"] */
    const char *netns;               /* namespace under /run/netns where guests and their taps live [the host's own] */
    const char *ovs_db;              /* --db of ovs-vsctl that taps are added through; NULL: taps are made, not added */
    bool vif_offload;                /* leave checksum and segmentation offload on; off is a must with OVS in userspace */
    bool vnc_disabled;               /* [vnc] enabled */
    const char *vnc_listen;          /* [vnc] server_listen ["127.0.0.1"], as seen inside netns */
    int num_pcie_ports;              /* [libvirt] num_pcie_ports, for q35 [8] */
    unsigned fake_vcpus, fake_memory_mb, fake_local_gb; /* size of a simulated host [8, 8000, 500] */
    virt_event_function on_event;    /* may be NULL */
    void *event_argument;
};

struct virt_resources {
    unsigned vcpus, vcpus_used;
    uint64_t memory_mb, memory_mb_used;
    uint64_t local_gb, local_gb_used;
    int64_t disk_available_least;    /* GB */
    const char *hypervisor_type;     /* "QEMU" */
    uint64_t hypervisor_version;     /* 7002022 is 7.2.22 */
    const char *hypervisor_hostname;
    const char *virt_type;           /* "kvm", "qemu"; chosen when it was automatic */
    const char *arch;                /* "x86_64" */
    const char *cpu_info;            /* JSON text: arch, model, vendor, topology, features */
    const char *const *traits;       /* os_traits names, NULL-terminated: HW_CPU_*, COMPUTE_* */
    size_t running_vms;
};

struct virt_instance_info {
    const char *uuid;
    const char *name;                /* "instance-0000002a" */
    enum virt_power_state state;
    uint64_t memory_kib, max_memory_kib, cpu_time_ns;
    unsigned vcpus;
};

struct virt_nic {
    const char *port_id;
    const char *mac;
    const char *tap;                 /* device name, at most 15 characters: "tap" + 11 of the port id */
    const char *bridge;              /* integration bridge ["br-int"] */
    unsigned mtu;                    /* 0: the device's default */
    const char *const *addresses;    /* fixed IPs for the metadata element, NULL-terminated, or NULL */
};

/* A guest, as it shall be. The same structure goes to every call that may have to make the guest anew (power_on, reboot,
 * resume), as nova writes the domain anew from its database each time. */
struct virt_spawn {
    const char *uuid;
    const char *name;                /* "instance-%08x" */
    const char *display_name;
    const char *user_id, *user_name, *project_id, *project_name;
    const char *package_version;     /* for <nova:package>: our version */
    int64_t created_us;              /* clock_now_us() when it was asked for */
    const char *flavor_name;
    unsigned vcpus;
    uint64_t memory_mb;
    uint64_t root_gb;                /* 0: as large as the image */
    uint64_t ephemeral_gb, swap_mb;
    const struct virt_pair *extra_specs;      /* hw:cpu_sockets, hw:cpu_cores, hw:cpu_threads, hw:boot_menu */
    size_t extra_spec_count;
    const struct virt_pair *image_properties; /* hw_disk_bus, hw_cdrom_bus, hw_scsi_model, hw_vif_model, hw_video_model,
                                               * hw_machine_type, hw_firmware_type, hw_rng_model, hw_qemu_guest_agent, hw_boot_menu,
                                               * hw_cpu_sockets, hw_cpu_cores, hw_cpu_threads, os_command_line, os_type */
    size_t image_property_count;
    const char *image_id;
    const char *image_path;          /* the cached base, from image_cache_find(); not needed once the disk exists */
    const char *image_format;        /* "raw", "qcow2" or "iso": what image_cache_find() said */
    const char *kernel_path, *ramdisk_path;   /* cached kernel_id and ramdisk_id images for direct boot, or NULL */
    const char *config_drive_path;   /* a file in the instance's folder (virt_instance_path()), or NULL */
    const char *config_drive_format; /* "iso9660" or "vfat" */
    const struct virt_nic *nics;
    size_t nic_count;
};

/* nova.objects.diagnostics; a member that is -1 is null in the API. */
struct virt_cpu_diagnostics {
    int64_t id, time, utilisation;
};
struct virt_nic_diagnostics {
    const char *mac_address;
    int64_t rx_octets, rx_errors, rx_drop, rx_packets, rx_rate, tx_octets, tx_errors, tx_drop, tx_packets, tx_rate;
};
struct virt_disk_diagnostics {
    int64_t read_bytes, read_requests, write_bytes, write_requests, errors_count; /* errors_count -1 is a value: as nova */
};
struct virt_counter {
    const char *name;
    int64_t value;
};
struct virt_diagnostics {
    enum virt_power_state state;
    const char *driver;              /* "libvirt" */
    const char *hypervisor;          /* "qemu", "kvm" */
    const char *hypervisor_os;       /* "linux" */
    int64_t memory_maximum, memory_used; /* MiB */
    const struct virt_cpu_diagnostics *cpus;
    const struct virt_nic_diagnostics *nics;
    const struct virt_disk_diagnostics *disks;
    size_t cpu_count, nic_count, disk_count;
    const struct virt_counter *legacy; /* before 2.48: "cpu0_time", "vda_read", "tap..._rx", "memory", "memory-rss" */
    size_t legacy_count;
};

struct virt_host; /* one hypervisor host; each driver has its own */

struct virt_driver {
    const char *name;

    /* Opens a host. Slow the first time with a private libvirtd (0.4 s: it probes QEMU), then some 20 ms. */
    struct fault *(*init)(struct arena *arena, const struct virt_config *config, struct virt_host **ret_host);

    /* Lets go of the host. Guests run on, and so does a private libvirtd (libvirt/daemon.h ends it). No event comes
     * after it has returned. NULL is allowed. */
    void (*close)(struct virt_host *host);

    struct fault *(*resources)(struct virt_host *host, struct arena *arena, struct virt_resources *ret);

    /* All guests of this host that are ours, running or not. */
    struct fault *(*list)(struct virt_host *host, struct arena *arena, const struct virt_instance_info **ret, size_t *ret_count);
    struct fault *(*info)(struct virt_host *host, struct arena *arena, const char *uuid, struct virt_instance_info *ret);

    /* What the root disk of this guest is called ("/dev/vda"), as it shall be; NULL: it has none. Asks nobody. */
    const char *(*root_device)(struct virt_host *host, struct arena *arena, const struct virt_spawn *spawn);

    struct fault *(*prepare)(struct virt_host *host, struct arena *arena, const struct virt_spawn *spawn);
    struct fault *(*start)(struct virt_host *host, struct arena *arena, const char *uuid);
    struct fault *(*destroy)(struct virt_host *host, struct arena *arena, const char *uuid);
    struct fault *(*cleanup)(struct virt_host *host, struct arena *arena, const char *uuid);

    struct fault *(*power_on)(struct virt_host *host, struct arena *arena, const struct virt_spawn *spawn);

    /* Asks the guest by ACPI, again every retry_interval_s [10], and pulls the plug after timeout_s; 0 pulls it at once. */
    struct fault *(*power_off)(struct virt_host *host, struct arena *arena, const char *uuid, unsigned timeout_s,
        unsigned retry_interval_s);

    /* Soft: ACPI shutdown and a new start, becoming hard when the guest does not end within timeout_s
     * ([libvirt] wait_soft_reboot_seconds, 120). Hard: at once, with the domain written anew. */
    struct fault *(*reboot)(struct virt_host *host, struct arena *arena, const struct virt_spawn *spawn, bool hard,
        unsigned timeout_s);
    struct fault *(*pause)(struct virt_host *host, struct arena *arena, const char *uuid);
    struct fault *(*unpause)(struct virt_host *host, struct arena *arena, const char *uuid);
    struct fault *(*suspend)(struct virt_host *host, struct arena *arena, const char *uuid); /* memory goes to disk */
    struct fault *(*resume)(struct virt_host *host, struct arena *arena, const struct virt_spawn *spawn);

    /* The last `lines` lines (< 0: all) of at most the last VIRT_CONSOLE_LIMIT bytes; any bytes, not only UTF-8. "" when
     * the guest has not written yet. */
    struct fault *(*console_output)(struct virt_host *host, struct arena *arena, const char *uuid, int lines,
        const char **ret_text, size_t *ret_length);

    struct fault *(*diagnostics)(struct virt_host *host, struct arena *arena, const char *uuid, struct virt_diagnostics *ret);

    /* Live when it runs, and in its definition. `spawn` is the guest as it is (its hw_vif_model counts). Detaching waits
     * up to 20 s for the guest to let go; a NIC that is not there is a success. */
    struct fault *(*attach_interface)(struct virt_host *host, struct arena *arena, const struct virt_spawn *spawn,
        const struct virt_nic *nic);
    struct fault *(*detach_interface)(struct virt_host *host, struct arena *arena, const char *uuid, const struct virt_nic *nic);
};

/* <state_dir>/instances/<uuid>, the guest's folder. virt_instance_folder() makes it too (mode 0711: QEMU runs as another
 * user and passes through). */
const char *virt_instance_path(struct arena *arena, const char *state_dir, const char *uuid);
/* The folder of all guests of this process: <state_dir>/instances, or what virt_set_instances() said (it is kept; NULL: takes
 * it back). To be said before the first guest. */
const char *virt_instances(struct arena *arena, const char *state_dir);
void virt_set_instances(const char *path);
struct fault *virt_instance_folder(struct arena *arena, const char *state_dir, const char *uuid, const char **ret_path);

/* Faults that every driver says alike. */
struct fault *virt_instance_not_found(struct arena *arena, const char *uuid);
struct fault *virt_instance_not_running(struct arena *arena, const char *uuid);

#endif
