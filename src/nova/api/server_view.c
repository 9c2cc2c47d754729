/* SPDX-License-Identifier: Apache-2.0
 *
 * server_view: servers as the API shows them.
 */
#include "nova/api/server_view.h"

#include "base/clock.h"
#include "base/text.h"
#include "nova/addresses.h"
#include "nova/api/api.h"

#include <openssl/evp.h>
#include <string.h>
#include <strings.h>

/* nova/api/openstack/common.py: which state shows as which status. An empty task_state is the default of its vm_state. */
static const struct status {
    const char *vm_state, *task_state, *status;
} statuses[] = {
    { VM_ACTIVE,    "",                       "ACTIVE" },
    { VM_ACTIVE,    TASK_REBOOTING,           "REBOOT" },
    { VM_ACTIVE,    TASK_REBOOT_PENDING,      "REBOOT" },
    { VM_ACTIVE,    TASK_REBOOT_STARTED,      "REBOOT" },
    { VM_ACTIVE,    TASK_REBOOTING_HARD,      "HARD_REBOOT" },
    { VM_ACTIVE,    TASK_REBOOT_PENDING_HARD, "HARD_REBOOT" },
    { VM_ACTIVE,    TASK_REBOOT_STARTED_HARD, "HARD_REBOOT" },
    { VM_ACTIVE,    "updating_password",      "PASSWORD" },
    { VM_ACTIVE,    "rebuilding",             "REBUILD" },
    { VM_ACTIVE,    "rebuild_block_device_mapping", "REBUILD" },
    { VM_ACTIVE,    "rebuild_spawning",       "REBUILD" },
    { VM_ACTIVE,    "migrating",              "MIGRATING" },
    { VM_ACTIVE,    "resize_prep",            "RESIZE" },
    { VM_ACTIVE,    "resize_migrating",       "RESIZE" },
    { VM_ACTIVE,    "resize_migrated",        "RESIZE" },
    { VM_ACTIVE,    "resize_finish",          "RESIZE" },
    { VM_BUILDING,  "",                       "BUILD" },
    { VM_STOPPED,   "",                       "SHUTOFF" },
    { VM_STOPPED,   "resize_prep",            "RESIZE" },
    { VM_STOPPED,   "resize_migrating",       "RESIZE" },
    { VM_STOPPED,   "resize_migrated",        "RESIZE" },
    { VM_STOPPED,   "resize_finish",          "RESIZE" },
    { VM_STOPPED,   "rebuilding",             "REBUILD" },
    { VM_RESIZED,   "",                       "VERIFY_RESIZE" },
    { VM_RESIZED,   "resize_reverting",       "REVERT_RESIZE" },
    { VM_PAUSED,    "",                       "PAUSED" },
    { VM_PAUSED,    "migrating",              "MIGRATING" },
    { VM_SUSPENDED, "",                       "SUSPENDED" },
    { VM_RESCUED,   "",                       "RESCUE" },
    { VM_ERROR,     "",                       "ERROR" },
    { VM_ERROR,     "rebuilding",             "REBUILD" },
    { VM_DELETED,   "",                       "DELETED" },
    { VM_SOFT_DELETED, "",                    "SOFT_DELETED" },
    { VM_SHELVED,   "",                       "SHELVED" },
    { VM_SHELVED_OFFLOADED, "",               "SHELVED_OFFLOADED" },
};
enum { STATUSES = sizeof(statuses) / sizeof(statuses[0]) };

/* ACTIVE, BUILD, ... */
static const char *server_status(const struct instance *instance)
{
    const char *found = "UNKNOWN", *task = instance->task_state;

    if (instance->deleted)
        return "DELETED";
    for (size_t i = 0; i < STATUSES; i++) {
        if (strcmp(statuses[i].vm_state, instance->vm_state) != 0)
            continue;
        if (task != NULL && strcmp(statuses[i].task_state, task) == 0)
            return statuses[i].status;
        if (statuses[i].task_state[0] == '\0')
            found = statuses[i].status;
    }
    return found;
}

static bool contains(const char *const *list, const char *text)
{
    for (; *list != NULL; list++)
        if (strcasecmp(*list, text) == 0)
            return true;
    return false;
}

void server_states_of(struct arena *arena, const char *const *wanted, const char *const **ret_vm_states,
    const char *const **ret_task_states)
{
    const char **vm = ARENA_ARRAY(arena, const char *, STATUSES + 1), **task = ARENA_ARRAY(arena, const char *, STATUSES + 1);
    size_t vm_count = 0, task_count = 0;
    bool any = false;

    for (size_t i = 0; i < STATUSES; i++) {
        if (!contains(wanted, statuses[i].status))
            continue;
        if (!contains(vm, statuses[i].vm_state))
            vm[vm_count++] = statuses[i].vm_state;
        if (statuses[i].task_state[0] == '\0')
            any = true;
        else if (!contains(task, statuses[i].task_state))
            task[task_count++] = statuses[i].task_state;
    }
    *ret_vm_states = vm;
    *ret_task_states = any || task_count == 0 ? NULL : task;
}

struct fault *server_view_init(struct server_view *view, struct request *rq, struct tx *tx, const char *project_id)
{
    const struct policy_target *target = project_id == NULL ? NULL : POLICY_TARGET({ "project_id", project_id });

    *view = (struct server_view){ .rq = rq, .full = true, .admin = api_is_admin(rq) };
    view->flavor = ARENA_NEW(rq->cx.arena, struct seen_flavor);
    view->extended = request_allowed(rq, "os_compute_api:os-extended-server-attributes", target);
    view->specs = rq->version >= 47 && request_allowed(rq, "os_compute_api:servers:show:flavor-extra-specs", target);
    if (rq->version >= 16 && request_allowed(rq, "os_compute_api:servers:show:host_status", target))
        view->host_status = HOST_STATUS_ALL;
    else if (rq->version >= 16 && request_allowed(rq, "os_compute_api:servers:show:host_status:unknown-only", target))
        view->host_status = HOST_STATUS_UNKNOWN;
    TRY(aggregate_list(tx, (struct aggregate **)&view->aggregates, &view->aggregate_count));
    if (view->host_status != HOST_STATUS_HIDDEN)
        TRY(service_list(tx, NULL, "nova-compute", (struct service_row **)&view->services, &view->service_count));
    return NULL;
}

void server_view_basic(struct request *rq, const struct instance *instance)
{
    json_begin(&rq->json, NULL);
    json_text(&rq->json, "id", instance->uuid);
    json_text(&rq->json, "name", instance->name);
    api_links(rq, "servers", instance->uuid);
    json_end(&rq->json);
}

/* "UP", "DOWN", "UNKNOWN", "MAINTENANCE" or "" (no host). */
static const char *server_host_status(const struct server_view *view, const struct instance *instance)
{
    int64_t down_time = config_int(view->rq->cx.app->config, "DEFAULT", "service_down_time");

    if (instance->host == NULL)
        return "";
    for (size_t i = 0; i < view->service_count; i++) {
        const struct service_row *service = &view->services[i];

        if (strcmp(service->host, instance->host) != 0)
            continue;
        if (service->forced_down)
            return "DOWN";
        if (!service_is_up(service, down_time))
            return "UNKNOWN";
        return service->disabled ? "MAINTENANCE" : "UP";
    }
    return "UNKNOWN";
}

const char *server_view_host_id(struct arena *arena, const char *project_id, const char *host)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int length = 0;

    if (host == NULL)
        return "";
    const char *data = arena_printf(arena, "%s%s", project_id != NULL ? project_id : "", host);
    EVP_Digest(data, strlen(data), digest, &length, EVP_sha224(), NULL);
    return text_hex(arena, digest, length);
}

bool server_view_addresses(struct request *rq, const struct instance *instance, bool extended, const char *label)
{
    return addresses_write(&rq->json, json_parse_own(rq->cx.arena, instance->network_info), extended, label);
}

static void write_addresses(struct request *rq, const struct instance *instance)
{
    bool building = strcmp(instance->vm_state, VM_BUILDING) == 0;

    if (!building && instance->addresses != NULL) {
        json_raw(&rq->json, "addresses", instance->addresses);
        return;
    }
    json_begin(&rq->json, "addresses");
    if (!building)
        server_view_addresses(rq, instance, true, NULL);
    json_end(&rq->json);
}

static void write_image(struct request *rq, const struct instance *instance)
{
    if (instance->image_ref == NULL || *instance->image_ref == '\0') {
        json_text(&rq->json, "image", "");
        return;
    }
    json_begin(&rq->json, "image");
    json_text(&rq->json, "id", instance->image_ref);
    api_bookmark(rq, "images", instance->image_ref);
    json_end(&rq->json);
}

/* Servers of an answer are often of one flavor: it is parsed once. */
static const json_t *flavor_of(const struct server_view *view, const struct instance *instance)
{
    struct seen_flavor *seen = view->flavor;

    if (seen->text == NULL || instance->flavor == NULL || strcmp(seen->text, instance->flavor) != 0) {
        seen->text = instance->flavor;
        seen->json = json_parse_own(view->rq->cx.arena, instance->flavor);
    }
    return seen->json;
}

static void write_flavor(const struct server_view *view, const struct instance *instance)
{
    struct request *rq = view->rq;
    struct json_writer *w = &rq->json;

    json_begin(w, "flavor");
    if (rq->version < 47) {
        json_text(w, "id", instance->flavorid);
        api_bookmark(rq, "flavors", instance->flavorid);
    } else {
        const json_t *flavor = flavor_of(view, instance);

        json_int(w, "vcpus", instance->vcpus);
        json_int(w, "ram", instance->memory_mb);
        json_int(w, "disk", instance->root_gb);
        json_int(w, "ephemeral", instance->ephemeral_gb);
        json_int(w, "swap", json_int_at(flavor, "swap", 0));
        json_text(w, "original_name", json_text_at(flavor, "name"));
        if (view->specs)
            json_value(w, "extra_specs", json_object_get(flavor, "extra_specs"));
    }
    json_end(w);
}

static void write_fault(const struct server_view *view, const struct instance *instance)
{
    struct json_writer *w = &view->rq->json;
    const json_t *fault = json_parse_own(view->rq->cx.arena, instance->fault);
    const char *details = json_text_at(fault, "details");
    int64_t code = json_int_at(fault, "code", 500);

    if (fault == NULL)
        return;
    json_begin(w, "fault");
    json_int(w, "code", code);
    json_text(w, "created", api_time(view->rq, json_int_at(fault, "created", instance->updated_at)));
    json_text(w, "message", json_text_at(fault, "message"));
    if (details != NULL && *details != '\0' && (view->admin || code != 500))
        json_text(w, "details", details);
    json_end(w);
}

static void write_extended(const struct server_view *view, const struct instance *instance)
{
    struct json_writer *w = &view->rq->json;

    json_text(w, "OS-EXT-SRV-ATTR:host", instance->host);
    json_textf(w, "OS-EXT-SRV-ATTR:instance_name", "instance-%08llx", (unsigned long long)instance->id);
    json_text(w, "OS-EXT-SRV-ATTR:hypervisor_hostname", instance->node);
    if (view->rq->version < 3)
        return;
    json_text(w, "OS-EXT-SRV-ATTR:reservation_id", instance->reservation_id);
    json_int(w, "OS-EXT-SRV-ATTR:launch_index", instance->launch_index);
    json_text(w, "OS-EXT-SRV-ATTR:hostname", instance->hostname);
    json_text(w, "OS-EXT-SRV-ATTR:kernel_id", instance->kernel_id != NULL ? instance->kernel_id : "");
    json_text(w, "OS-EXT-SRV-ATTR:ramdisk_id", instance->ramdisk_id != NULL ? instance->ramdisk_id : "");
    json_text(w, "OS-EXT-SRV-ATTR:root_device_name", instance->root_device_name);
    json_text(w, "OS-EXT-SRV-ATTR:user_data", instance->user_data);
}

/* Members that PUT left out before 2.75. */
static void write_more(const struct server_view *view, const struct instance *instance)
{
    struct request *rq = view->rq;
    struct json_writer *w = &rq->json;
    const char *zone = instance->availability_zone;

    if (instance->host != NULL)
        zone = host_zone(view->aggregates, view->aggregate_count, instance->host,
            config_str(rq->cx.app->config, "DEFAULT", "default_availability_zone"));
    json_text(w, "OS-EXT-AZ:availability_zone", zone != NULL ? zone : "");
    json_text(w, "config_drive", instance->config_drive != NULL ? instance->config_drive : "");
    json_text(w, "key_name", instance->key_name);
    json_text(w, "OS-SRV-USG:launched_at", api_time_us(rq, instance->launched_at));
    json_text(w, "OS-SRV-USG:terminated_at", api_time_us(rq, instance->terminated_at));
    server_view_write_security_groups(view, instance);
    if (view->extended)
        write_extended(view, instance);
    json_text(w, "OS-EXT-STS:task_state", instance->task_state);
    json_text(w, "OS-EXT-STS:vm_state", instance->vm_state);
    json_int(w, "OS-EXT-STS:power_state", instance->power_state);
    json_begin_array(w, "os-extended-volumes:volumes_attached");
    json_end_array(w);
    if (view->host_status != HOST_STATUS_HIDDEN) {
        const char *status = server_host_status(view, instance);

        if (view->host_status == HOST_STATUS_ALL || strcmp(status, "UNKNOWN") == 0)
            json_text(w, "host_status", status);
    }
}

static void write_by_version(const struct server_view *view, const struct instance *instance)
{
    struct request *rq = view->rq;
    struct json_writer *w = &rq->json;

    if (rq->version >= 9)
        json_bool(w, "locked", instance->locked_by != NULL);
    if (rq->version >= 73)
        json_text(w, "locked_reason", instance->locked_reason);
    if (rq->version >= 19)
        json_text(w, "description", instance->description);
    if (rq->version >= 26) {
        const char *const *tags = instance_tags_list(rq->cx.arena, instance->tags, NULL);

        json_begin_array(w, "tags");
        for (; *tags != NULL; tags++)
            json_text(w, NULL, *tags);
        json_end_array(w);
    }
    if (rq->version >= 63)
        json_raw(w, "trusted_image_certificates", instance->trusted_certs);
    if (rq->version >= 90 && !(view->extended && view->full))
        json_text(w, "OS-EXT-SRV-ATTR:hostname", instance->hostname);
    if (rq->version >= 71 && view->groups) {
        json_begin_array(w, "server_groups");
        if (instance->server_group != NULL)
            json_text(w, NULL, instance->server_group);
        json_end_array(w);
    }
}

void server_view_write(const struct server_view *view, const struct instance *instance, const char *name)
{
    static const char *const progressing[] = { "ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE", "MIGRATING", NULL };
    struct request *rq = view->rq;
    struct json_writer *w = &rq->json;
    const char *status = server_status(instance);

    json_begin(w, name);
    json_text(w, "id", instance->uuid);
    json_text(w, "name", instance->name);
    json_text(w, "status", status);
    json_text(w, "tenant_id", instance->project_id);
    json_text(w, "user_id", instance->user_id);
    json_raw(w, "metadata", instance->metadata != NULL ? instance->metadata : "{}");
    json_text(w, "hostId", server_view_host_id(rq->cx.arena, instance->project_id, instance->host));
    write_image(rq, instance);
    write_flavor(view, instance);
    json_text(w, "created", api_time(rq, instance->created_at));
    json_text(w, "updated", api_time(rq, instance->updated_at));
    write_addresses(rq, instance);
    json_text(w, "accessIPv4", instance->access_ip_v4 != NULL ? instance->access_ip_v4 : "");
    json_text(w, "accessIPv6", instance->access_ip_v6 != NULL ? instance->access_ip_v6 : "");
    api_links(rq, "servers", instance->uuid);
    json_text(w, "OS-DCF:diskConfig", instance->auto_disk_config ? "AUTO" : "MANUAL");
    if (strcmp(status, "ERROR") == 0 || strcmp(status, "DELETED") == 0)
        write_fault(view, instance);
    if (contains(progressing, status))
        json_int(w, "progress", instance->progress);
    if (view->full)
        write_more(view, instance);
    write_by_version(view, instance);
    json_end(w);
}
