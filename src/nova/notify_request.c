/* SPDX-License-Identifier: Apache-2.0
 * notify_request: see notify_request.h. */
#include "nova/notify_request.h"

#include "nova/nova.h"
#include "oslo/app.h"

#include <stdlib.h>
#include <string.h>

/* ---- the image ---- */

/* Properties that ImageMetaProps knows, by what their values become; texts are the others of its prefixes. */
static const char *const numbers[] = { "hw_cpu_cores", "hw_cpu_sockets", "hw_cpu_threads", "hw_cpu_max_cores",
    "hw_cpu_max_sockets", "hw_cpu_max_threads", "hw_device_id", "hw_numa_nodes", "hw_serial_port_count", "hw_video_ram",
    "img_compression_level", "img_version", NULL };
static const char *const truths[] = { "hw_boot_menu", "hw_ephemeral_encryption", "hw_ipxe_boot", "hw_locked_memory",
    "hw_mem_encryption", "hw_pmu", "hw_qemu_guest_agent", "hw_time_hpet", "hw_vif_multiqueue_enabled", "img_bdm_v2",
    "img_bittorrent", "img_cache_in_nova", "img_hide_hypervisor_id", "img_linked_clone", "img_use_agent", "os_require_quiesce",
    "os_skip_agent_inject_files_at_boot", "os_skip_agent_inject_ssh", NULL };
static const char *const texts[] = { "hw_architecture", "hw_auto_disk_config", "hw_cdrom_bus", "hw_cpu_policy",
    "hw_cpu_realtime_mask", "hw_cpu_thread_policy", "hw_disk_bus", "hw_disk_type", "hw_emulation_architecture",
    "hw_firmware_type", "hw_floppy_bus", "hw_input_bus", "hw_machine_type", "hw_mem_page_size", "hw_pci_numa_affinity_policy",
    "hw_pointer_model", "hw_rescue_bus", "hw_rescue_device", "hw_rng_model", "hw_scsi_model", "hw_tpm_model", "hw_tpm_version",
    "hw_vif_model", "hw_video_model", "hw_viommu_model", "hw_vm_mode", "hw_watchdog_action", "img_config_drive",
    "img_hv_requested_version", "img_hv_type", "img_owner_id", "img_root_device_name", "img_signature",
    "img_signature_certificate_uuid", "img_signature_hash_method", "img_signature_key_type", "os_admin_user", "os_command_line",
    "os_distro", "os_secure_boot", "os_type", NULL };
/* Older names of properties. */
static const char *const older[][2] = { { "architecture", "hw_architecture" }, { "auto_disk_config", "hw_auto_disk_config" },
    { "hypervisor_type", "img_hv_type" }, { "hypervisor_version_requires", "img_hv_requested_version" },
    { "owner_id", "img_owner_id" }, { "root_device_name", "img_root_device_name" }, { "vm_mode", "hw_vm_mode" } };

static bool among(const char *const *list, const char *name)
{
    while (*list != NULL && strcmp(*list, name) != 0)
        list++;
    return *list != NULL;
}

static bool is_true(const char *value)
{
    static const char *const words[] = { "1", "t", "true", "on", "y", "yes" };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcasecmp(value, words[i]) == 0)
            return true;
    return false;
}

static void add_property(json_t *to, const char *name, const json_t *value)
{
    for (size_t i = 0; i < sizeof(older) / sizeof(older[0]); i++)
        name = strcmp(name, older[i][0]) == 0 ? older[i][1] : name;
    const char *word = json_string_value(value);
    if (word == NULL)
        return;
    if (among(numbers, name))
        json_object_set_new(to, name, json_integer(strtoll(word, NULL, 10)));
    else if (among(truths, name))
        json_object_set_new(to, name, json_boolean(is_true(word)));
    else if (among(texts, name))
        json_object_set_new(to, name, json_string(word));
}

/* Glance's document, or the form of its first API, in which properties stand by themselves. */
static json_t *image_data(const json_t *image)
{
    static const char *const names[] = { "id", "name", "status", "visibility", "protected", "checksum", "owner", "size",
        "virtual_size", "container_format", "disk_format", "created_at", "updated_at", "tags", "direct_url", "min_ram",
        "min_disk" };
    const json_t *from = json_object_get(image, "properties");
    json_t *data = json_object(), *properties = json_object(), *value;
    const char *name;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        value = json_object_get(image, names[i]);
        json_object_set_new(data, names[i], value != NULL ? json_incref(value) : json_null());
    }
    json_object_foreach((json_t *)(json_is_object(from) ? from : image), name, value)
        add_property(properties, name, value);
    json_object_set_new(data, "properties", properties);
    return data;
}

/* ---- the request ---- */

/* {"hint": "value"} and {"hint": ["value"]} are both lists of texts. */
static json_t *hints(const json_t *spec)
{
    json_t *to = json_object(), *value;
    const char *name;
    json_object_foreach(json_object_get(spec, "scheduler_hints"), name, value)
        json_object_set_new(to, name, json_is_array(value) ? json_incref(value) : json_pack("[O]", value));
    return to;
}

static json_t *pci_requests(const char *uuid)
{
    return json_pack("{s:s, s:[]}", "instance_uuid", uuid, "requests");
}

/* The first of a list of the spec, or null. */
static json_t *first_of(const json_t *spec, const char *name)
{
    json_t *value = json_array_get(json_object_get(spec, name), 0);
    return value != NULL ? json_incref(value) : json_null();
}

static json_t *destination(const json_t *spec)
{
    const char *host = json_text_at(spec, "requested_host"), *node = json_text_at(spec, "requested_node");
    json_t *data = host != NULL || node != NULL ? json_pack("{s:n}", "aggregates") : NULL;
    if (data == NULL)
        return json_null();
    if (host != NULL)
        json_object_set_new(data, "host", json_string(host));
    if (node != NULL)
        json_object_set_new(data, "node", json_string(node));
    return notify_object("DestinationPayload", "1.0", data);
}

static json_t *retries(const json_t *retry)
{
    const json_t *hosts = json_object_get(retry, "hosts");
    if (!json_is_object(retry))
        return json_null();
    return notify_object("SchedulerRetriesPayload", "1.0", json_pack("{s:I, s:o}", "num_attempts",
        (json_int_t)json_int_at(retry, "num_attempts", 1), "hosts", hosts != NULL ? json_incref((json_t *)hosts) : json_array()));
}

/* The column of a query as a list. */
static struct fault *list_of(struct tx *tx, const char *sql, const char *group, json_t *to)
{
    struct rows *rows;
    TRY(sql_query(tx, &rows, sql, BIND(TEXT(group))));
    while (rows_next(rows))
        json_array_append_new(to, json_string(rows_text(rows, 0)));
    return rows_fault(rows);
}

static struct fault *read_group(struct tx *tx, const char *group, json_t **ret)
{
    json_t *members = json_keep(tx_arena(tx), json_array()), *hosts = json_keep(tx_arena(tx), json_array());
    struct rows *rows;
    TRY(list_of(tx, "SELECT instance_uuid FROM server_group_members WHERE group_uuid = ?", group, members));
    TRY(list_of(tx, "SELECT DISTINCT host FROM instances WHERE server_group = ? AND deleted = 0 AND host IS NOT NULL", group,
        hosts));
    TRY(sql_query(tx, &rows, "SELECT uuid, name, project_id, user_id, policy, rules FROM server_groups WHERE uuid = ?",
        BIND(TEXT(group))));
    if (rows_next(rows)) {
        const struct notify_group g = { rows_text(rows, 0), rows_text(rows, 1), rows_text(rows, 2), rows_text(rows, 3),
            rows_text(rows, 4), rows_text(rows, 5), json_incref(members), json_incref(hosts) };
        *ret = notify_group(tx_arena(tx), &g);
        rows_end(rows);
    }
    return rows_fault(rows);
}

/* A new reference; null when there is none, or it cannot be read now. */
static json_t *group_of(struct context *cx, const struct instance *instance)
{
    struct tx *tx;
    json_t *group = NULL;
    if (instance->server_group == NULL || db_read(cx->arena, cx->app->db, &tx) != NULL)
        return json_null();
    struct fault *fault = read_group(tx, instance->server_group, &group);
    tx_end(tx);
    return fault == NULL && group != NULL ? group : json_null();
}

static json_t *request_payload(struct context *cx, const struct notify_request *r, const struct instance *instance)
{
    const json_t *groups = json_parse_own(cx->arena, instance->security_groups), *image = json_object_get(r->spec, "image");
    json_t *shown = json_null();
    if (json_is_object(image)) {
        shown = image_data(image);
        json_object_set_new(shown, "properties", notify_object("ImageMetaPropsPayload", "1.12", json_incref(json_object_get(shown,
            "properties"))));
        shown = notify_object("ImageMetaPayload", "1.0", shown);
    }
    json_t *data = json_pack("{s:s, s:s?, s:s?, s:s?, s:I, s:n, s:n, s:o, s:o, s:o}", "instance_uuid", r->instance_uuid,
        "project_id", instance->project_id, "user_id", instance->user_id, "availability_zone", json_text_at(r->spec,
        "availability_zone"), "num_instances", (json_int_t)r->count, "numa_topology", "ignore_hosts", "flavor",
        notify_flavor(cx, json_object_get(r->spec, "flavor")), "image", shown, "pci_requests",
        notify_object("InstancePCIRequestsPayload", "1.0", pci_requests(r->instance_uuid)));
    json_object_set_new(data, "scheduler_hints", hints(r->spec));
    json_object_set_new(data, "security_groups", groups != NULL ? json_incref((json_t *)groups) : json_array());
    json_object_set_new(data, "force_hosts", first_of(r->spec, "force_hosts"));
    json_object_set_new(data, "force_nodes", first_of(r->spec, "force_nodes"));
    json_object_set_new(data, "requested_destination", destination(r->spec));
    json_object_set_new(data, "retry", retries(r->retry));
    json_object_set_new(data, "instance_group", group_of(cx, instance));
    return notify_object("RequestSpecPayload", "1.1", data);
}

/* The form of old, as a dictionary. */
static json_t *request_document(const struct notify_request *r, const struct instance *instance)
{
    const json_t *flavor = json_object_get(r->spec, "flavor"), *image = json_object_get(r->spec, "image");
    json_t *properties = json_pack("{s:s, s:s?, s:s?, s:s?, s:n, s:o, s:I, s:I, s:I, s:I}", "uuid", r->instance_uuid, "project_id",
        instance->project_id, "user_id", instance->user_id, "availability_zone", json_text_at(r->spec, "availability_zone"),
        "numa_topology", "pci_requests", pci_requests(r->instance_uuid), "root_gb", (json_int_t)json_int_at(flavor, "root_gb", 0),
        "ephemeral_gb", (json_int_t)json_int_at(flavor, "ephemeral_gb", 0), "memory_mb", (json_int_t)json_int_at(flavor,
        "memory_mb", 0), "vcpus", (json_int_t)json_int_at(flavor, "vcpus", 0));
    return json_pack("{s:I, s:o, s:o, s:O?}", "num_instances", (json_int_t)r->count, "instance_properties", properties, "image",
        json_is_object(image) ? image_data(image) : json_object(), "instance_type", flavor);
}

/* ---- the events ---- */

void notify_select_destinations(struct context *cx, const struct notify_request *request, const char *phase)
{
    const char *event = arena_printf(cx->arena, "scheduler.select_destinations.%s", phase);
    struct instance instance;
    if (!notify_wanted(cx) || instance_get(cx->arena, cx->app->db, request->instance_uuid, false, &instance) != NULL)
        return;
    notify_unversioned(cx, "scheduler", NULL, event, NOTIFY_INFO, json_pack("{s:o}", "request_spec", request_document(request,
        &instance)));
    notify_versioned(cx, "nova-scheduler", NULL, event, NOTIFY_INFO, request_payload(cx, request, &instance));
}

void notify_build_error(struct context *cx, const struct notify_request *request, const struct fault *why)
{
    struct instance instance;
    if (!notify_wanted(cx) || instance_get(cx->arena, cx->app->db, request->instance_uuid, false, &instance) != NULL)
        return;
    json_t *spec = json_keep(cx->arena, request_document(request, &instance));
    notify_unversioned(cx, "compute_task", NULL, "compute_task.build_instances", NOTIFY_ERROR, json_pack(
        "{s:O, s:O, s:s, s:s, s:s, s:s}", "request_spec", spec, "instance_properties", json_object_get(spec,
        "instance_properties"), "instance_id", request->instance_uuid, "state", VM_ERROR, "method", "build_instances", "reason",
        why->message));
    notify_versioned(cx, "nova-conductor", NULL, "compute_task.build_instances.error", NOTIFY_ERROR, notify_object(
        "ComputeTaskPayload", "1.0", json_pack("{s:s, s:o, s:s, s:o}", "instance_uuid", request->instance_uuid, "request_spec",
        request_payload(cx, request, &instance), "state", VM_ERROR, "reason", notify_fault(why, "nova.conductor.manager"))));
}
