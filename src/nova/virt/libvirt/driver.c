/* SPDX-License-Identifier: Apache-2.0
 *
 * driver: the libvirt driver's table, and what changes guests. See nova/virt/driver.h for what each call promises, host.h for
 * the connection, stats.c for what only asks.
 */
#include "base/file.h"
#include "nova/virt/disk.h"
#include "nova/virt/libvirt/host.h"
#include "nova/virt/load.h"

#include <stdlib.h>
#include <string.h>

enum { DETACH_MS = 20000, RETRY_INTERVAL_S = 10, TAPS_LIMIT = 64 * 1024 };

/* The file "taps" in a guest's folder names its tap devices, one a line, and is written before a tap is made: so destroy finds
 * them however far prepare came, and also when the domain is gone. */
static const char *taps_path(const struct virt_host *host, struct arena *arena, const char *uuid)
{
    return arena_printf(arena, "%s/taps", virt_instance_path(arena, host->settings.state_dir, uuid));
}

static const char *read_taps(const struct virt_host *host, struct arena *arena, const char *uuid)
{
    const char *text = file_read(arena, taps_path(host, arena, uuid), TAPS_LIMIT, NULL);
    return text != NULL ? text : "";
}

static struct fault *note_tap(const struct virt_host *host, struct arena *arena, const char *uuid, const char *tap)
{
    const char *text = read_taps(host, arena, uuid);
    if (strstr(arena_printf(arena, "\n%s\n", text), arena_printf(arena, "\n%s\n", tap)) != NULL)
        return NULL;
    const char *more = arena_printf(arena, "%s%s\n", text, tap);
    return file_write(arena, taps_path(host, arena, uuid), more, strlen(more), 0600, FILE_NO_SYNC);
}

static struct fault *forget_tap(const struct virt_host *host, struct arena *arena, const char *uuid, const char *tap)
{
    char *text = arena_strdup(arena, read_taps(host, arena, uuid));
    const char *rest = "";
    char *state = NULL;
    for (const char *line = strtok_r(text, "\n", &state); line != NULL; line = strtok_r(NULL, "\n", &state))
        if (strcmp(line, tap) != 0)
            rest = arena_printf(arena, "%s%s\n", rest, line);
    return file_write(arena, taps_path(host, arena, uuid), rest, strlen(rest), 0600, FILE_NO_SYNC);
}

static struct fault *plug_all(const struct virt_host *host, struct arena *arena, const struct virt_spawn *spawn)
{
    for (size_t i = 0; i < spawn->nic_count; i++) {
        TRY(note_tap(host, arena, spawn->uuid, spawn->nics[i].tap));
        TRY(vif_plug(arena, &host->place, &spawn->nics[i], spawn->uuid));
    }
    return NULL;
}

/* Goes on after a failure, so that one broken port does not keep the others. */
static struct fault *unplug_all(const struct virt_host *host, struct arena *arena, const char *uuid)
{
    struct fault *first = NULL;
    char *text = arena_strdup(arena, read_taps(host, arena, uuid)), *state = NULL;
    for (const char *tap = strtok_r(text, "\n", &state); tap != NULL; tap = strtok_r(NULL, "\n", &state)) {
        struct fault *fault = vif_unplug(arena, &host->place, tap);
        first = first != NULL ? first : fault;
    }
    return first;
}

static struct fault *make_disks(const struct virt_host *host, struct arena *arena, const struct virt_spawn *spawn)
{
    const char *folder;
    TRY(virt_instance_folder(arena, host->settings.state_dir, spawn->uuid, &folder));
    const char *root = arena_printf(arena, "%s/disk", folder);
    if (spawn->image_path != NULL)
        TRY(disk_create_root(arena, root, spawn->image_path, spawn->root_gb));
    if (spawn->ephemeral_gb > 0)
        TRY(disk_create_ephemeral(arena, arena_printf(arena, "%s/disk.eph0", folder), spawn->ephemeral_gb));
    if (spawn->swap_mb > 0)
        TRY(disk_create_swap(arena, arena_printf(arena, "%s/disk.swap", folder), spawn->swap_mb));
    return NULL;
}

/* Writes the definition anew and sees to it that QEMU runs: nothing happens to one that does. A saved memory is gone with a
 * new definition's start, so resume does not come through here. */
static struct fault *define_and_create(struct virt_host *host, struct arena *arena, const struct virt_spawn *spawn, unsigned flags)
{
    HOST_CALL_CLEANUP struct host_call call = { 0 };
    struct fault *fault;
    const char *xml;
    TRY(domain_xml_write(arena, &host->settings, spawn, &xml));
    TRY(plug_all(host, arena, spawn));
    TRY(host_connect(host, arena, &call));
    call.domain = virDomainDefineXML(call.connection, xml);
    if (call.domain == NULL)
        return host_fault(arena, spawn->uuid);
    if (virDomainIsActive(call.domain) == 1 || virDomainCreateWithFlags(call.domain, flags) == 0)
        return NULL;
    fault = host_fault(arena, spawn->uuid); /* now: the next call of libvirt forgets why */
    return virDomainIsActive(call.domain) == 1 ? NULL : fault;
}

static struct fault *libvirt_prepare(struct virt_host *host, struct arena *arena, const struct virt_spawn *spawn)
{
    TRY(make_disks(host, arena, spawn));
    return define_and_create(host, arena, spawn, VIR_DOMAIN_START_PAUSED);
}

static struct fault *resume_paused(struct virt_host *host, struct arena *arena, const char *uuid)
{
    HOST_CALL_CLEANUP struct host_call call = { 0 };
    TRY(host_find(host, arena, uuid, &call));
    enum virt_power_state state = host_state(call.domain);
    if (state == VIRT_RUNNING)
        return NULL;
    if (state != VIRT_PAUSED)
        return virt_instance_not_running(arena, uuid);
    if (virDomainResume(call.domain) == 0)
        return NULL;
    struct fault *fault = host_fault(arena, uuid);
    return host_state(call.domain) == VIRT_RUNNING ? NULL : fault;
}

static struct fault *end_now(struct arena *arena, const char *uuid, virDomainPtr domain)
{
    if (virDomainIsActive(domain) != 1 || virDomainDestroy(domain) == 0)
        return NULL;
    struct fault *fault = host_fault(arena, uuid);
    return virDomainIsActive(domain) == 0 ? NULL : fault;
}

static struct fault *destroy_domain(struct virt_host *host, struct arena *arena, const char *uuid)
{
    HOST_CALL_CLEANUP struct host_call call = { 0 };
    struct fault *fault = host_find(host, arena, uuid, &call);
    if (fault != NULL)
        return fault->status == 404 ? NULL : fault;
    TRY(end_now(arena, uuid, call.domain));
    if (virDomainUndefineFlags(call.domain, VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | VIR_DOMAIN_UNDEFINE_NVRAM |
            VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA) == 0)
        return NULL;
    fault = host_fault(arena, uuid);
    return fault->status == 404 ? NULL : fault;
}

static struct fault *libvirt_destroy(struct virt_host *host, struct arena *arena, const char *uuid)
{
    TRY(destroy_domain(host, arena, uuid));
    return unplug_all(host, arena, uuid);
}

static struct fault *libvirt_cleanup(struct virt_host *host, struct arena *arena, const char *uuid)
{
    const char *folder;
    TRY(virt_instance_folder(arena, host->settings.state_dir, uuid, &folder));
    return folder_remove(arena, folder);
}

static struct fault *libvirt_power_on(struct virt_host *host, struct arena *arena, const struct virt_spawn *spawn)
{
    TRY(make_disks(host, arena, spawn));
    return define_and_create(host, arena, spawn, 0);
}

static bool is_off(void *argument)
{
    return virDomainIsActive(argument) != 1;
}

/* Presses the power button until the guest is off; false when it is not after timeout_s. */
static bool shut_down(struct virt_host *host, virDomainPtr domain, unsigned timeout_s, unsigned interval_s)
{
    if (host_state(domain) != VIRT_RUNNING)
        return is_off(domain);
    for (unsigned waited_s = 0; waited_s < timeout_s; waited_s += interval_s) {
        unsigned left_s = timeout_s - waited_s;
        virDomainShutdownFlags(domain, VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN);
        if (host_wait(host, (int64_t)1000 * (left_s < interval_s ? left_s : interval_s), is_off, domain))
            return true;
    }
    return is_off(domain);
}

static struct fault *libvirt_power_off(struct virt_host *host, struct arena *arena, const char *uuid, unsigned timeout_s,
    unsigned retry_interval_s)
{
    HOST_CALL_CLEANUP struct host_call call = { 0 };
    TRY(host_find(host, arena, uuid, &call));
    shut_down(host, call.domain, timeout_s, retry_interval_s != 0 ? retry_interval_s : RETRY_INTERVAL_S);
    return end_now(arena, uuid, call.domain);
}

static struct fault *stop_for_reboot(struct virt_host *host, struct arena *arena, const char *uuid, bool hard, unsigned timeout_s)
{
    HOST_CALL_CLEANUP struct host_call call = { 0 };
    struct fault *fault = host_find(host, arena, uuid, &call);
    if (fault != NULL)
        return fault->status == 404 ? NULL : fault; /* a hard reboot also brings back a lost definition */
    if (!hard)
        shut_down(host, call.domain, timeout_s, timeout_s);
    TRY(end_now(arena, uuid, call.domain));
    if (virDomainHasManagedSaveImage(call.domain, 0) == 1) /* else the start would go on where it was suspended */
        virDomainManagedSaveRemove(call.domain, 0);
    return NULL;
}

static struct fault *libvirt_reboot(struct virt_host *host, struct arena *arena, const struct virt_spawn *spawn, bool hard,
    unsigned timeout_s)
{
    TRY(stop_for_reboot(host, arena, spawn->uuid, hard, timeout_s != 0 ? timeout_s : 120));
    return libvirt_power_on(host, arena, spawn);
}

static struct fault *libvirt_pause(struct virt_host *host, struct arena *arena, const char *uuid)
{
    HOST_CALL_CLEANUP struct host_call call = { 0 };
    TRY(host_find(host, arena, uuid, &call));
    enum virt_power_state state = host_state(call.domain);
    if (state == VIRT_PAUSED)
        return NULL;
    if (state != VIRT_RUNNING)
        return virt_instance_not_running(arena, uuid);
    return virDomainSuspend(call.domain) == 0 ? NULL : host_fault(arena, uuid);
}

static struct fault *libvirt_suspend(struct virt_host *host, struct arena *arena, const char *uuid)
{
    HOST_CALL_CLEANUP struct host_call call = { 0 };
    TRY(host_find(host, arena, uuid, &call));
    if (virDomainIsActive(call.domain) != 1) /* done before, or nothing to save */
        return virDomainHasManagedSaveImage(call.domain, 0) == 1 ? NULL : virt_instance_not_running(arena, uuid);
    return virDomainManagedSave(call.domain, VIR_DOMAIN_SAVE_RUNNING) == 0 ? NULL : host_fault(arena, uuid);
}

static struct fault *libvirt_resume(struct virt_host *host, struct arena *arena, const struct virt_spawn *spawn)
{
    HOST_CALL_CLEANUP struct host_call call = { 0 };
    struct fault *fault = host_find(host, arena, spawn->uuid, &call);
    if (fault != NULL && fault->status == 404)
        return libvirt_power_on(host, arena, spawn);
    TRY(fault);
    if (virDomainIsActive(call.domain) == 1)
        return resume_paused(host, arena, spawn->uuid);
    TRY(plug_all(host, arena, spawn));
    if (virDomainCreate(call.domain) == 0)
        return NULL;
    fault = host_fault(arena, spawn->uuid);
    return virDomainIsActive(call.domain) == 1 ? NULL : fault;
}

/* The last lines of a text; a last line without its end counts too. */
static const char *last_lines(const char *text, size_t length, int lines)
{
    const char *at = text + length;
    if (lines < 0)
        return text;
    if (lines > 0 && at > text && at[-1] == '\n')
        at--;
    while (at > text && !(at[-1] == '\n' && --lines <= 0))
        at--;
    return lines == 0 && at == text + length ? text + length : at;
}

static struct fault *libvirt_console_output(struct virt_host *host, struct arena *arena, const char *uuid, int lines,
    const char **ret_text, size_t *ret_length)
{
    HOST_CALL_CLEANUP struct host_call call = { 0 };
    char *text;
    size_t length;
    TRY(host_find(host, arena, uuid, &call));
    *ret_text = "";
    *ret_length = 0;
    const char *path = arena_printf(arena, "%s/console.log", virt_instance_path(arena, host->settings.state_dir, uuid));
    if (lines == 0 || !file_tail(arena, path, VIRT_CONSOLE_LIMIT, &text, &length))
        return NULL; /* the guest has not been started yet */
    *ret_text = last_lines(text, length, lines);
    *ret_length = length - (size_t)(*ret_text - text);
    return NULL;
}

/* True while the definition (or, live, the running guest) has a NIC with this MAC. */
static bool has_interface(virDomainPtr domain, const char *mac, bool live)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    char *xml = virDomainGetXMLDesc(domain, live ? 0 : VIR_DOMAIN_XML_INACTIVE);
    bool has = xml != NULL && strcasestr(xml, arena_printf(arena, "<mac address='%s'/>", mac)) != NULL;
    free(xml);
    return has;
}

static struct fault *attach_device(struct virt_host *host, struct arena *arena, const char *uuid, const char *mac, const char *xml)
{
    HOST_CALL_CLEANUP struct host_call call = { 0 };
    TRY(host_find(host, arena, uuid, &call));
    bool active = virDomainIsActive(call.domain) == 1;
    if (active && !has_interface(call.domain, mac, true) &&
        virDomainAttachDeviceFlags(call.domain, xml, VIR_DOMAIN_AFFECT_LIVE) != 0)
        return host_fault(arena, uuid);
    if (!has_interface(call.domain, mac, false) && virDomainAttachDeviceFlags(call.domain, xml, VIR_DOMAIN_AFFECT_CONFIG) != 0)
        return host_fault(arena, uuid);
    return NULL;
}

static struct fault *libvirt_attach_interface(struct virt_host *host, struct arena *arena, const struct virt_spawn *spawn,
    const struct virt_nic *nic)
{
    const char *xml;
    TRY(domain_xml_interface(arena, &host->settings, spawn, nic, &xml));
    TRY(note_tap(host, arena, spawn->uuid, nic->tap));
    struct fault *fault = vif_plug(arena, &host->place, nic, spawn->uuid);
    if (fault == NULL)
        fault = attach_device(host, arena, spawn->uuid, nic->mac, xml);
    if (fault == NULL)
        return NULL;
    if (vif_unplug(arena, &host->place, nic->tap) == NULL)
        forget_tap(host, arena, spawn->uuid, nic->tap);
    if (fault->status != 500)
        return fault;
    return fault_because(
        fault_new(arena, 500, "InterfaceAttachFailed", "Failed to attach network adapter device to %s", spawn->uuid), fault);
}

struct nic_gone {
    virDomainPtr domain;
    const char *mac;
};

static bool is_nic_gone(void *argument)
{
    const struct nic_gone *gone = argument;
    return virDomainIsActive(gone->domain) != 1 || !has_interface(gone->domain, gone->mac, true);
}

static struct fault *detach_device(struct virt_host *host, struct arena *arena, const char *uuid, const char *mac)
{
    HOST_CALL_CLEANUP struct host_call call = { 0 };
    TRY(host_find(host, arena, uuid, &call));
    const char *xml = arena_printf(arena, "<interface type='ethernet'><mac address='%s'/></interface>", mac);
    if (has_interface(call.domain, mac, false) && virDomainDetachDeviceFlags(call.domain, xml, VIR_DOMAIN_AFFECT_CONFIG) != 0)
        return host_fault(arena, uuid);
    struct nic_gone gone = { call.domain, mac };
    if (is_nic_gone(&gone))
        return NULL;
    if (virDomainDetachDeviceFlags(call.domain, xml, VIR_DOMAIN_AFFECT_LIVE) != 0 && !is_nic_gone(&gone))
        return host_fault(arena, uuid);
    if (host_wait(host, DETACH_MS, is_nic_gone, &gone))
        return NULL;
    return fault_new(arena, 500, NULL, "The guest did not let go of the device within %d ms.", DETACH_MS);
}

static struct fault *libvirt_detach_interface(struct virt_host *host, struct arena *arena, const char *uuid,
    const struct virt_nic *nic)
{
    if (strspn(nic->mac, "0123456789abcdefABCDEF:") != strlen(nic->mac))
        return fault_new(arena, 400, "InvalidInput", "Invalid input received: %s is not a MAC address", nic->mac);
    struct fault *fault = detach_device(host, arena, uuid, nic->mac);
    if (fault != NULL && fault->status == 500)
        return fault_because(
            fault_new(arena, 400, "InterfaceDetachFailed", "Failed to detach network adapter device from %s", uuid), fault);
    TRY(fault);
    TRY(vif_unplug(arena, &host->place, nic->tap));
    return forget_tap(host, arena, uuid, nic->tap);
}

static const char *libvirt_root_device(struct virt_host *host, struct arena *arena, const struct virt_spawn *spawn)
{
    return domain_xml_root_device(arena, &host->settings, spawn);
}

__attribute__((visibility("default"))) extern const struct virt_driver nova_virt_driver;

const struct virt_driver nova_virt_driver = {
    .name             = "libvirt",
    .init             = host_init,
    .close            = host_close,
    .resources        = stats_resources,
    .list             = stats_list,
    .info             = stats_info,
    .root_device      = libvirt_root_device,
    .prepare          = libvirt_prepare,
    .start            = resume_paused,
    .destroy          = libvirt_destroy,
    .cleanup          = libvirt_cleanup,
    .power_on         = libvirt_power_on,
    .power_off        = libvirt_power_off,
    .reboot           = libvirt_reboot,
    .pause            = libvirt_pause,
    .unpause          = resume_paused,
    .suspend          = libvirt_suspend,
    .resume           = libvirt_resume,
    .console_output   = libvirt_console_output,
    .diagnostics      = stats_diagnostics,
    .attach_interface = libvirt_attach_interface,
    .detach_interface = libvirt_detach_interface,
};
