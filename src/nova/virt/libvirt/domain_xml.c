/* SPDX-License-Identifier: Apache-2.0
 * domain_xml: see domain_xml.h. */
#include "nova/virt/libvirt/domain_xml.h"

#include "base/buf.h"
#include "base/clock.h"
#include "nova/virt/xml.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { LETTERS = 26, TB_CACHE_MIB = 32, BALLOON_PERIOD_S = 10, CPU_PARTS_MAX = 1024 };

struct writing {
    struct xml_writer w;
    struct arena *arena;
    const struct domain_settings *settings;
    const struct virt_spawn *spawn;
    bool q35;
    int next_virtio, next_scsi, next_ide, next_floppy; /* letters given away by prefix */
};

static const char *image_property(const struct virt_spawn *spawn, const char *key)
{
    return virt_pair_find(spawn->image_properties, spawn->image_property_count, key);
}

static const char *extra_spec(const struct virt_spawn *spawn, const char *key)
{
    return virt_pair_find(spawn->extra_specs, spawn->extra_spec_count, key);
}

static bool is_true(const char *text)
{
    static const char *const words[] = { "1", "t", "true", "on", "y", "yes" };
    for (size_t i = 0; text != NULL && i < sizeof(words) / sizeof(words[0]); i++)
        if (strcasecmp(text, words[i]) == 0)
            return true;
    return false;
}

/* The property's value when it is one of `allowed` (words between spaces), `absent` when it is not set. */
static struct fault *choose(const struct writing *x, const char *key, const char *absent, const char *allowed, const char **ret)
{
    const char *value = image_property(x->spawn, key);
    *ret = value != NULL ? value : absent;
    if (value == NULL)
        return NULL;
    if (value[0] != '\0' && strchr(value, ' ') == NULL && strstr(allowed, arena_printf(x->arena, " %s ", value)) != NULL)
        return NULL;
    return fault_new(x->arena, 400, "UnsupportedHardware", "Requested hardware '%s' is not supported by the '%s' virt driver",
        value, x->settings->virt_type);
}

static void write_port(struct writing *x, const struct virt_nic *nic)
{
    xml_begin(&x->w, "nova:port");
    xml_attribute(&x->w, "uuid", nic->port_id);
    for (const char *const *address = nic->addresses; address != NULL && *address != NULL; address++)
        xml_element(&x->w, "nova:ip", "type", "fixed", "address", *address, "ipVersion", strchr(*address, ':') != NULL ? "6" : "4",
            NULL);
    xml_end(&x->w);
}

static void write_metadata(struct writing *x)
{
    const struct virt_spawn *spawn = x->spawn;
    xml_begin(&x->w, "metadata");
    xml_begin(&x->w, "nova:instance");
    xml_attribute(&x->w, "xmlns:nova", DOMAIN_NOVA_NS);
    xml_element(&x->w, "nova:package", "version", spawn->package_version != NULL ? spawn->package_version : "", NULL);
    xml_element_text(&x->w, "nova:name", spawn->display_name);
    xml_element_text(&x->w, "nova:creationTime", clock_text(x->arena, spawn->created_us, CLOCK_SQL));
    xml_begin(&x->w, "nova:flavor");
    xml_attribute(&x->w, "name", spawn->flavor_name);
    xml_element_int(&x->w, "nova:memory", (int64_t)spawn->memory_mb);
    xml_element_int(&x->w, "nova:disk", (int64_t)spawn->root_gb);
    xml_element_int(&x->w, "nova:swap", (int64_t)spawn->swap_mb);
    xml_element_int(&x->w, "nova:ephemeral", (int64_t)spawn->ephemeral_gb);
    xml_element_int(&x->w, "nova:vcpus", spawn->vcpus);
    xml_end(&x->w);
    xml_begin(&x->w, "nova:owner");
    xml_begin(&x->w, "nova:user");
    xml_attribute(&x->w, "uuid", spawn->user_id);
    xml_text(&x->w, spawn->user_name != NULL ? spawn->user_name : "N/A");
    xml_end(&x->w);
    xml_begin(&x->w, "nova:project");
    xml_attribute(&x->w, "uuid", spawn->project_id);
    xml_text(&x->w, spawn->project_name != NULL ? spawn->project_name : "N/A");
    xml_end(&x->w);
    xml_end(&x->w);
    if (spawn->image_id != NULL && spawn->image_id[0] != '\0')
        xml_element(&x->w, "nova:root", "type", "image", "uuid", spawn->image_id, NULL);
    xml_begin(&x->w, "nova:ports");
    for (size_t i = 0; i < spawn->nic_count; i++)
        write_port(x, &spawn->nics[i]);
    xml_end(&x->w);
    xml_end(&x->w);
    xml_end(&x->w);
}

/* cloud-init and others know an OpenStack guest by these words. */
static void write_sysinfo(struct writing *x)
{
    static const char *const names[] = { "manufacturer", "product", "version", "serial", "uuid", "family" };
    const struct virt_spawn *spawn = x->spawn;
    const char *const values[] = { "OpenStack Foundation", "OpenStack Nova", spawn->package_version, spawn->uuid, spawn->uuid,
        "Virtual Machine" };
    xml_begin(&x->w, "sysinfo");
    xml_attribute(&x->w, "type", "smbios");
    xml_begin(&x->w, "system");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        xml_begin(&x->w, "entry");
        xml_attribute(&x->w, "name", names[i]);
        xml_text(&x->w, values[i] != NULL ? values[i] : "");
        xml_end(&x->w);
    }
    xml_end(&x->w);
    xml_end(&x->w);
}

static void write_direct_boot(struct writing *x)
{
    const char *line = image_property(x->spawn, "os_command_line");
    xml_element_text(&x->w, "kernel", x->spawn->kernel_path);
    if (x->spawn->ramdisk_path != NULL)
        xml_element_text(&x->w, "initrd", x->spawn->ramdisk_path);
    xml_element_text(&x->w, "cmdline", line != NULL ? line : "root=/dev/vda console=tty0 console=ttyS0 console=hvc0");
}

static const char *machine_type(const struct writing *x)
{
    const char *machine = image_property(x->spawn, "hw_machine_type");
    return machine != NULL ? machine : x->settings->machine_type;
}

static struct fault *write_os(struct writing *x)
{
    const char *machine = machine_type(x), *firmware;
    const char *menu = extra_spec(x->spawn, "hw:boot_menu");
    TRY(choose(x, "hw_firmware_type", "bios", " bios uefi ", &firmware));
    x->q35 = strstr(machine, "q35") != NULL;
    xml_begin(&x->w, "os");
    if (strcmp(firmware, "uefi") == 0)
        xml_attribute(&x->w, "firmware", "efi");
    xml_begin(&x->w, "type");
    xml_attribute(&x->w, "machine", machine);
    xml_text(&x->w, "hvm");
    xml_end(&x->w);
    if (x->spawn->kernel_path != NULL)
        write_direct_boot(x);
    xml_element(&x->w, "boot", "dev", x->spawn->image_format != NULL && strcmp(x->spawn->image_format, "iso") == 0 ? "cdrom" : "hd",
        NULL);
    xml_element(&x->w, "smbios", "mode", "sysinfo", NULL);
    if (is_true(menu != NULL ? menu : image_property(x->spawn, "hw_boot_menu")))
        xml_element(&x->w, "bootmenu", "enable", "yes", NULL);
    xml_end(&x->w);
    return NULL;
}

static void write_features(struct writing *x)
{
    xml_begin(&x->w, "features");
    xml_element(&x->w, "acpi", NULL);
    xml_element(&x->w, "apic", NULL);
    if (strcmp(x->settings->virt_type, "qemu") == 0) { /* the default costs 70 MB of real memory a guest and gains nothing */
        xml_begin(&x->w, "tcg");
        xml_begin(&x->w, "tb-cache");
        xml_attribute(&x->w, "unit", "MiB");
        xml_text(&x->w, arena_printf(x->arena, "%d", TB_CACHE_MIB));
        xml_end(&x->w);
        xml_end(&x->w);
    }
    xml_end(&x->w);
}

static long topology_part(const struct writing *x, const char *spec, const char *property)
{
    const char *text = extra_spec(x->spawn, spec);
    text = text != NULL ? text : image_property(x->spawn, property);
    long n = text != NULL ? strtol(text, NULL, 10) : 0;
    return n > 0 && n <= CPU_PARTS_MAX ? n : 0;
}

/* As many sockets as processors unless something else was asked for that comes out even. */
static void write_cpu(struct writing *x)
{
    long vcpus = (long)x->spawn->vcpus;
    long sockets = topology_part(x, "hw:cpu_sockets", "hw_cpu_sockets");
    long cores = topology_part(x, "hw:cpu_cores", "hw_cpu_cores");
    long threads = topology_part(x, "hw:cpu_threads", "hw_cpu_threads");
    threads = threads != 0 ? threads : 1;
    if (cores == 0)
        cores = sockets != 0 && vcpus % (sockets * threads) == 0 ? vcpus / (sockets * threads) : 1;
    sockets = vcpus / (cores * threads);
    if (sockets * cores * threads != vcpus) {
        sockets = vcpus;
        cores = threads = 1;
    }
    xml_begin(&x->w, "cpu");
    if (strcmp(x->settings->cpu_mode, "none") != 0)
        xml_attribute(&x->w, "mode", x->settings->cpu_mode);
    if (strcmp(x->settings->cpu_mode, "none") != 0)
        xml_attribute(&x->w, "check", "none");
    if (strcmp(x->settings->cpu_mode, "custom") == 0) {
        xml_attribute(&x->w, "match", "exact");
        xml_element_text(&x->w, "model", x->settings->cpu_model);
    }
    xml_begin(&x->w, "topology");
    xml_attribute_int(&x->w, "sockets", sockets);
    xml_attribute_int(&x->w, "cores", cores);
    xml_attribute_int(&x->w, "threads", threads);
    xml_end(&x->w);
    xml_end(&x->w);
}

/* As nova: the clock of a Windows guest is local time; KVM guests catch up on lost ticks. */
static void write_clock(struct writing *x)
{
    const char *os_type = image_property(x->spawn, "os_type");
    xml_begin(&x->w, "clock");
    xml_attribute(&x->w, "offset", os_type != NULL && strcmp(os_type, "windows") == 0 ? "localtime" : "utc");
    if (strcmp(x->settings->virt_type, "kvm") == 0) {
        xml_element(&x->w, "timer", "name", "pit", "tickpolicy", "delay", NULL);
        xml_element(&x->w, "timer", "name", "rtc", "tickpolicy", "catchup", NULL);
        xml_element(&x->w, "timer", "name", "hpet", "present", "no", NULL);
    }
    xml_end(&x->w);
}

/* The next device name of a bus: vda, sda, hda, fda. */
static const char *next_device(struct writing *x, const char *bus)
{
    static const struct {
        const char *bus, *prefix;
    } prefixes[] = { { "virtio", "vd" }, { "ide", "hd" }, { "fdc", "fd" }, { "scsi", "sd" }, { "sata", "sd" }, { "usb", "sd" } };
    size_t row = 0;
    while (row < 5 && strcmp(prefixes[row].bus, bus) != 0)
        row++;
    int *next = row == 0 ? &x->next_virtio : row == 1 ? &x->next_ide : row == 2 ? &x->next_floppy : &x->next_scsi;
    return arena_printf(x->arena, "%s%c", prefixes[row].prefix, 'a' + (*next)++ % LETTERS);
}

static void write_disk(struct writing *x, const char *device, const char *bus, const char *file, const char *format)
{
    bool read_only = strcmp(device, "cdrom") == 0;
    xml_begin(&x->w, "disk");
    xml_attribute(&x->w, "type", "file");
    xml_attribute(&x->w, "device", device);
    xml_begin(&x->w, "driver");
    xml_attribute(&x->w, "name", "qemu");
    xml_attribute(&x->w, "type", format);
    xml_attribute(&x->w, "cache", x->settings->disk_cache);
    if (strcmp(bus, "virtio") == 0 || strcmp(bus, "scsi") == 0)
        xml_attribute(&x->w, "discard", read_only ? NULL : "unmap");
    xml_end(&x->w);
    xml_element(&x->w, "source", "file", file, NULL);
    xml_element(&x->w, "target", "dev", next_device(x, bus), "bus", bus, NULL);
    if (read_only)
        xml_element(&x->w, "readonly", NULL);
    xml_end(&x->w);
}

static bool root_is_iso(const struct virt_spawn *spawn)
{
    return spawn->image_format != NULL && strcmp(spawn->image_format, "iso") == 0;
}

const char *domain_xml_root_device(struct arena *arena, const struct domain_settings *settings, const struct virt_spawn *spawn)
{
    struct writing x = { .arena = arena, .settings = settings, .spawn = spawn };
    bool iso = root_is_iso(spawn), q35 = strstr(machine_type(&x), "q35") != NULL;
    const char *bus = image_property(spawn, iso ? "hw_cdrom_bus" : "hw_disk_bus");
    if (spawn->image_id == NULL || spawn->image_id[0] == '\0')
        return NULL;
    if (bus == NULL)
        bus = !iso ? "virtio" : q35 ? "sata" : "ide";
    return arena_printf(arena, "/dev/%s", next_device(&x, bus));
}

static struct fault *write_disks(struct writing *x)
{
    const struct virt_spawn *spawn = x->spawn;
    const char *disk_bus, *cdrom_bus, *folder = virt_instance_path(x->arena, x->settings->state_dir, spawn->uuid);
    static const char buses[] = " virtio scsi ide usb fdc sata ";
    TRY(choose(x, "hw_disk_bus", "virtio", buses, &disk_bus));
    TRY(choose(x, "hw_cdrom_bus", x->q35 ? "sata" : "ide", buses, &cdrom_bus));
    bool iso = root_is_iso(spawn);
    if (spawn->image_id != NULL && spawn->image_id[0] != '\0')
        write_disk(x, iso ? "cdrom" : "disk", iso ? cdrom_bus : disk_bus, arena_printf(x->arena, "%s/disk", folder), "qcow2");
    if (spawn->ephemeral_gb > 0)
        write_disk(x, "disk", disk_bus, arena_printf(x->arena, "%s/disk.eph0", folder), "raw");
    if (spawn->swap_mb > 0)
        write_disk(x, "disk", disk_bus, arena_printf(x->arena, "%s/disk.swap", folder), "raw");
    if (spawn->config_drive_path != NULL) {
        bool vfat = spawn->config_drive_format != NULL && strcmp(spawn->config_drive_format, "vfat") == 0;
        write_disk(x, vfat ? "disk" : "cdrom", vfat ? disk_bus : cdrom_bus, spawn->config_drive_path, "raw");
    }
    const char *model; /* lsilogic, nova's default, has no driver in cloud kernels */
    TRY(choose(x, "hw_scsi_model", "virtio-scsi", " virtio-scsi lsilogic lsisas1068 lsisas1078 vmpvscsi ", &model));
    if (strcmp(disk_bus, "scsi") == 0 || strcmp(cdrom_bus, "scsi") == 0)
        xml_element(&x->w, "controller", "type", "scsi", "index", "0", "model", model, NULL);
    return NULL;
}

static void write_offloads_off(struct writing *x)
{
    xml_begin(&x->w, "driver");
    xml_attribute(&x->w, "name", "qemu");
    xml_element(&x->w, "host", "csum", "off", "gso", "off", "tso4", "off", "tso6", "off", "ecn", "off", "ufo", "off", NULL);
    xml_element(&x->w, "guest", "csum", "off", "tso4", "off", "tso6", "off", "ecn", "off", "ufo", "off", NULL);
    xml_end(&x->w);
}

/* The tap exists (vif.h) and stays ours: libvirt only opens it. A switch in userspace drops TCP whose checksums the guest left
 * to the device. */
static struct fault *write_interface(struct writing *x, const struct virt_nic *nic)
{
    const char *model;
    TRY(choose(x, "hw_vif_model", "virtio", " virtio ne2k_pci pcnet rtl8139 e1000 e1000e vmxnet3 ", &model));
    xml_begin(&x->w, "interface");
    xml_attribute(&x->w, "type", "ethernet");
    xml_element(&x->w, "mac", "address", nic->mac, NULL);
    xml_element(&x->w, "target", "dev", nic->tap, "managed", "no", NULL);
    xml_element(&x->w, "model", "type", model, NULL);
    if (strcmp(model, "virtio") == 0 && !x->settings->vif_offload)
        write_offloads_off(x);
    if (nic->mtu != 0)
        xml_element(&x->w, "mtu", "size", arena_printf(x->arena, "%u", nic->mtu), NULL);
    xml_element(&x->w, "rom", "enabled", "no", NULL);
    xml_end(&x->w);
    return NULL;
}

/* Without append='on' the log would begin anew at every resume. */
static void write_serial(struct writing *x)
{
    const char *folder = virt_instance_path(x->arena, x->settings->state_dir, x->spawn->uuid);
    xml_begin(&x->w, "serial");
    xml_attribute(&x->w, "type", "pty");
    xml_element(&x->w, "log", "file", arena_printf(x->arena, "%s/console.log", folder), "append", "on", NULL);
    xml_element(&x->w, "target", "port", "0", NULL);
    xml_end(&x->w);
}

static struct fault *write_screen(struct writing *x)
{
    const char *video;
    TRY(choose(x, "hw_video_model", "virtio", " vga cirrus qxl virtio bochs none ", &video));
    if (x->settings->vnc_listen == NULL)
        return NULL;
    xml_element(&x->w, "input", "type", "tablet", "bus", "usb", NULL);
    xml_begin(&x->w, "graphics");
    xml_attribute(&x->w, "type", "vnc");
    xml_attribute(&x->w, "autoport", "yes");
    xml_element(&x->w, "listen", "type", "address", "address", x->settings->vnc_listen, NULL);
    xml_end(&x->w);
    xml_begin(&x->w, "video");
    xml_element(&x->w, "model", "type", video, NULL);
    xml_end(&x->w);
    return NULL;
}

static struct fault *write_small_devices(struct writing *x)
{
    const char *allowed = extra_spec(x->spawn, "hw_rng:allowed"), *rng;
    TRY(choose(x, "hw_rng_model", "virtio", " virtio ", &rng));
    if (is_true(image_property(x->spawn, "hw_qemu_guest_agent"))) {
        xml_begin(&x->w, "channel");
        xml_attribute(&x->w, "type", "unix");
        xml_element(&x->w, "target", "type", "virtio", "name", "org.qemu.guest_agent.0", NULL);
        xml_end(&x->w);
    }
    if (allowed == NULL || is_true(allowed)) {
        xml_begin(&x->w, "rng");
        xml_attribute(&x->w, "model", rng);
        xml_begin(&x->w, "backend");
        xml_attribute(&x->w, "model", "random");
        xml_text(&x->w, "/dev/urandom");
        xml_end(&x->w);
        xml_end(&x->w);
    }
    xml_begin(&x->w, "memballoon");
    xml_attribute(&x->w, "model", "virtio");
    xml_begin(&x->w, "stats");
    xml_attribute_int(&x->w, "period", BALLOON_PERIOD_S);
    xml_end(&x->w);
    xml_end(&x->w);
    return NULL;
}

static struct fault *write_devices(struct writing *x)
{
    xml_begin(&x->w, "devices");
    TRY(write_disks(x));
    if (x->q35) { /* each hot-plugged device needs a port of its own */
        xml_element(&x->w, "controller", "type", "pci", "index", "0", "model", "pcie-root", NULL);
        for (int i = 0; i < x->settings->num_pcie_ports; i++)
            xml_element(&x->w, "controller", "type", "pci", "model", "pcie-root-port", NULL);
    }
    for (size_t i = 0; i < x->spawn->nic_count; i++)
        TRY(write_interface(x, &x->spawn->nics[i]));
    write_serial(x);
    TRY(write_screen(x));
    TRY(write_small_devices(x));
    xml_end(&x->w);
    return NULL;
}

static struct fault *write_domain(struct writing *x)
{
    xml_begin(&x->w, "domain");
    xml_attribute(&x->w, "type", x->settings->virt_type);
    xml_element_text(&x->w, "uuid", x->spawn->uuid);
    xml_element_text(&x->w, "name", x->spawn->name);
    xml_element_int(&x->w, "memory", (int64_t)x->spawn->memory_mb * 1024);
    xml_element_int(&x->w, "vcpu", x->spawn->vcpus);
    write_metadata(x);
    write_sysinfo(x);
    TRY(write_os(x));
    write_features(x);
    write_cpu(x);
    write_clock(x);
    TRY(write_devices(x));
    xml_end(&x->w);
    return NULL;
}

struct fault *domain_xml_write(struct arena *arena, const struct domain_settings *settings, const struct virt_spawn *spawn,
    const char **ret_xml)
{
    BUF_CLEANUP struct buf out = { 0 };
    struct writing x = { .w = { .out = &out }, .arena = arena, .settings = settings, .spawn = spawn };
    TRY(write_domain(&x));
    *ret_xml = arena_strndup(arena, out.data, out.length);
    return NULL;
}

struct fault *domain_xml_interface(struct arena *arena, const struct domain_settings *settings, const struct virt_spawn *spawn,
    const struct virt_nic *nic, const char **ret_xml)
{
    BUF_CLEANUP struct buf out = { 0 };
    struct writing x = { .w = { .out = &out }, .arena = arena, .settings = settings, .spawn = spawn };
    TRY(write_interface(&x, nic));
    *ret_xml = arena_strndup(arena, out.data, out.length);
    return NULL;
}
