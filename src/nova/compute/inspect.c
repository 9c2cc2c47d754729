/* SPDX-License-Identifier: Apache-2.0
 *
 * inspect: console output, diagnostics, uptime, and interfaces that come and go while the guest runs.
 */
#include "base/clock.h"
#include "base/process.h"
#include "nova/compute/compute.h"

#include <string.h>

static struct fault *find(struct context *cx, const struct compute_host *host, const json_t *arguments,
    struct instance *ret)
{
    const char *uuid = json_text_at(arguments, "instance_uuid");
    if (uuid == NULL)
        return FAULT(cx, 400, "badRequest", "An instance is needed.");
    if (host->virt == NULL)
        return FAULT(cx, 503, "HypervisorUnavailable", "Connection to the hypervisor is broken on host: %s",
            host->name);
    return instance_fetch(cx, uuid, ret);
}

/* JSON is UTF-8; a console is whatever the guest wrote. */
static json_t *console_text(struct arena *arena, const char *text, size_t length)
{
    BUF_CLEANUP struct buf quoted = { 0 };
    buf_puts(&quoted, "[");
    json_quote(&quoted, text, length);
    buf_puts(&quoted, "]");
    json_t *list = json_parse_own(arena, arena_strdup(arena, buf_text(&quoted)));
    json_t *value = json_array_get(list, 0);
    return value != NULL ? json_incref(value) : json_string("");
}

struct fault *get_console_output(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result)
{
    struct compute_host *host = owner;
    const json_t *tail = json_object_get(arguments, "tail_length");
    struct instance instance;
    const char *text;
    size_t length;
    int64_t lines = json_is_integer(tail) ? json_integer_value(tail)
        : json_is_string(tail) ? strtoll(json_string_value(tail), NULL, 10) : -1;
    TRY(find(cx, host, arguments, &instance));
    TRY(host->compute->driver->console_output(host->virt, cx->arena, instance.uuid, (int)lines, &text, &length));
    *ret_result = console_text(cx->arena, text, length);
    return NULL;
}

struct fault *get_diagnostics(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result)
{
    struct compute_host *host = owner;
    struct instance instance;
    struct virt_diagnostics diagnostics = { 0 };
    TRY(find(cx, host, arguments, &instance));
    TRY(host->compute->driver->diagnostics(host->virt, cx->arena, instance.uuid, &diagnostics));
    *ret_result = json_object();
    for (size_t i = 0; i < diagnostics.legacy_count; i++)
        json_object_set_new(*ret_result, diagnostics.legacy[i].name, json_integer(diagnostics.legacy[i].value));
    return NULL;
}

static json_t *number(int64_t value)
{
    return value == -1 ? json_null() : json_integer(value);
}

static json_t *nic_numbers(const struct virt_nic_diagnostics *nic)
{
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "mac_address", nic->mac_address,
        "rx_octets", number(nic->rx_octets), "rx_errors", number(nic->rx_errors), "rx_drop", number(nic->rx_drop),
        "rx_packets", number(nic->rx_packets), "rx_rate", number(nic->rx_rate), "tx_octets", number(nic->tx_octets),
        "tx_errors", number(nic->tx_errors), "tx_drop", number(nic->tx_drop), "tx_packets", number(nic->tx_packets),
        "tx_rate", number(nic->tx_rate));
}

static json_t *disk_numbers(const struct virt_disk_diagnostics *disk)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:I}", "read_bytes", number(disk->read_bytes),
        "read_requests", number(disk->read_requests), "write_bytes", number(disk->write_bytes),
        "write_requests", number(disk->write_requests), "errors_count", (json_int_t)disk->errors_count);
}

struct fault *get_instance_diagnostics(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result)
{
    struct compute_host *host = owner;
    struct instance instance;
    struct virt_diagnostics d = { 0 };
    TRY(find(cx, host, arguments, &instance));
    TRY(host->compute->driver->diagnostics(host->virt, cx->arena, instance.uuid, &d));
    json_t *cpus = json_array(), *nics = json_array(), *disks = json_array();
    for (size_t i = 0; i < d.cpu_count; i++)
        json_array_append_new(cpus, json_pack("{s:o, s:o, s:o}", "id", number(d.cpus[i].id),
            "time", number(d.cpus[i].time), "utilisation", number(d.cpus[i].utilisation)));
    for (size_t i = 0; i < d.nic_count; i++)
        json_array_append_new(nics, nic_numbers(&d.nics[i]));
    for (size_t i = 0; i < d.disk_count; i++)
        json_array_append_new(disks, disk_numbers(&d.disks[i]));
    bool drive = instance.config_drive != NULL && instance.config_drive[0] != '\0';
    *ret_result = json_pack("{s:s, s:s?, s:s?, s:s?, s:I, s:b, s:I, s:I, s:I, s:o, s:o, s:o, s:{s:o, s:o}}",
        "state", virt_power_state_name(d.state), "driver", d.driver, "hypervisor", d.hypervisor,
        "hypervisor_os", d.hypervisor_os, "uptime",
        (json_int_t)(instance.launched_at > 0 ? (clock_now_us() - instance.launched_at) / 1000000 : 0),
        "config_drive", drive, "num_cpus", (json_int_t)d.cpu_count, "num_nics", (json_int_t)d.nic_count,
        "num_disks", (json_int_t)d.disk_count, "cpu_details", cpus, "nic_details", nics, "disk_details", disks,
        "memory_details", "maximum", number(d.memory_maximum), "used", number(d.memory_used));
    return NULL;
}

struct fault *get_host_uptime(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result)
{
    struct process_result result;
    TRY(process_run(cx->arena, &(struct process){ .argv = ARGV("uptime"), .timeout_ms = 5000 }, &result));
    *ret_result = json_string(result.output);
    return NULL;
}

/* ---- interfaces ---- */

static struct fault *record(struct context *cx, struct compute_host *host, const char *uuid, const char *event,
    const struct fault *why, json_t *info)
{
    json_t *changes = info != NULL ? json_pack("{s:O}", "network_info", info) : json_object();
    return instance_tell(cx, host, uuid, &(struct instance_note){ .changes = changes, .event_finish = event,
        .fault = why });
}

static json_t *info_of(struct context *cx, const struct instance *instance)
{
    json_t *info = json_parse_own(cx->arena, instance->network_info);
    return json_is_array(info) ? info : json_keep(cx->arena, json_array());
}

static struct fault *plug(struct context *cx, struct compute_host *host, const struct instance *instance,
    const json_t *vif)
{
    struct virt_spawn spawn;
    guest_describe(cx, host, instance, &spawn);
    struct virt_nic nic = nic_of(cx->arena, vif);
    return host->compute->driver->attach_interface(host->virt, cx->arena, &spawn, &nic);
}

struct fault *attach_interface(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result)
{
    static const char event[] = "compute_attach_interface";
    struct compute_host *host = owner;
    struct instance instance;
    json_t *vif = NULL;
    const struct network_wish wish = { json_text_at(arguments, "network_id"), json_text_at(arguments, "port_id"),
        json_text_at(arguments, "requested_ip"), json_text_at(arguments, "tag") };
    TRY(find(cx, host, arguments, &instance));
    TRY(instance_tell(cx, host, instance.uuid, &(struct instance_note){ .event_start = event }));
    struct fault *fault = network_add(cx, host, &instance, &wish, &vif);
    if (fault == NULL) {
        fault = plug(cx, host, &instance, vif);
        if (fault != NULL)
            network_remove(cx, &instance, json_text_at(vif, "id"));
    }
    json_t *info = info_of(cx, &instance);
    if (fault == NULL)
        json_array_append(info, vif);
    struct fault *told = record(cx, host, instance.uuid, event, fault, fault == NULL ? info : NULL);
    if (fault != NULL || told != NULL)
        return fault != NULL ? fault : told;
    *ret_result = json_incref(vif);
    return NULL;
}

struct fault *detach_interface(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result)
{
    static const char event[] = "compute_detach_interface";
    struct compute_host *host = owner;
    struct instance instance;
    const char *port_id = json_text_at(arguments, "port_id");
    TRY(find(cx, host, arguments, &instance));
    json_t *info = info_of(cx, &instance), *kept = json_keep(cx->arena, json_array());
    const json_t *vif = NULL;
    for (size_t i = 0; i < json_array_size(info); i++) {
        json_t *at = json_array_get(info, i);
        if (port_id != NULL && strcmp(json_text_at(at, "id"), port_id) == 0)
            vif = at;
        else
            json_array_append(kept, at);
    }
    TRY(instance_tell(cx, host, instance.uuid, &(struct instance_note){ .event_start = event }));
    struct fault *fault = NULL;
    if (vif == NULL) {
        fault = FAULT(cx, 404, "PortNotFound", "Port id %s could not be found.", port_id != NULL ? port_id : "");
    } else {
        struct virt_nic nic = nic_of(cx->arena, vif);
        fault = host->compute->driver->detach_interface(host->virt, cx->arena, instance.uuid, &nic);
    }
    if (fault == NULL)
        fault = network_remove(cx, &instance, port_id);
    struct fault *told = record(cx, host, instance.uuid, event, fault, fault == NULL ? kept : NULL);
    return fault != NULL ? fault : told;
}
