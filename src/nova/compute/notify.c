/* SPDX-License-Identifier: Apache-2.0
 *
 * notify: what happens to servers on this host, for whoever listens: instance.create.start, .end, .error and so on, in nova's
 * versioned form (doc/notification_samples) and its unversioned one (compute.instance.create.start), as [notifications]
 * notification_format says. Every operation begins and ends with an event of its action: there they are made.
 */
#include "base/clock.h"
#include "base/log.h"
#include "nova/compute/compute.h"
#include "oslo/notification.h"

#include <string.h>

/* The event of an action, and the word of its notification. */
static const struct operation {
    const char *event, *word;
} operations[] = {
    { EVENT_BUILD,                "create" },
    { EVENT_TERMINATE,            "delete" },
    { "compute_start_instance",   "power_on" },
    { "compute_stop_instance",    "power_off" },
    { "compute_reboot_instance",  "reboot" },
    { "compute_pause_instance",   "pause" },
    { "compute_unpause_instance", "unpause" },
    { "compute_suspend_instance", "suspend" },
    { "compute_resume_instance",  "resume" },
};

static const char *word_of(const char *event)
{
    for (size_t i = 0; event != NULL && i < sizeof(operations) / sizeof(operations[0]); i++)
        if (strcmp(operations[i].event, event) == 0)
            return operations[i].word;
    return NULL;
}

static json_t *text(const char *value)
{
    return value != NULL ? json_string(value) : json_null();
}

static json_t *moment(struct context *cx, int64_t us)
{
    return us != 0 ? json_string(clock_text(cx->arena, us, CLOCK_ISO)) : json_null();
}

static json_t *document(struct context *cx, const char *stored)
{
    json_t *value = json_parse_own(cx->arena, stored);
    return value != NULL ? json_incref(value) : json_object();
}

static json_t *object(const char *name, const char *version, json_t *data)
{
    return json_pack("{s:s, s:s, s:s, s:o}", "nova_object.name", name, "nova_object.namespace", "nova", "nova_object.version",
        version,
        "nova_object.data", data);
}

/* ---- the versioned form ---- */

static const char *power_name(int64_t state)
{
    static const char *const names[] = { [VIRT_NOSTATE] = "pending", [VIRT_RUNNING] = "running", [VIRT_PAUSED] = "paused",
        [VIRT_SHUTDOWN] = "shutdown", [VIRT_CRASHED] = "crashed", [VIRT_SUSPENDED] = "suspended" };
    return state >= 0 && (size_t)state < sizeof(names) / sizeof(names[0]) && names[state] != NULL ? names[state] : "pending";
}

static json_t *flavor_payload(struct context *cx, const struct instance *instance)
{
    const json_t *flavor = json_parse_own(cx->arena, instance->flavor);
    const json_t *specs = json_object_get(flavor, "extra_specs");
    json_t *data = json_pack("{s:s?, s:s?, s:I, s:I, s:I, s:I, s:b, s:f, s:o, s:n, s:I, s:b, s:i, s:o}", "flavorid",
        instance->flavorid,
        "name", json_text_at(flavor, "name"), "root_gb", (json_int_t)instance->root_gb, "vcpus", (json_int_t)instance->vcpus,
        "ephemeral_gb", (json_int_t)instance->ephemeral_gb, "memory_mb", (json_int_t)instance->memory_mb, "disabled", 0,
        "rxtx_factor", 1.0, "extra_specs", specs != NULL ? json_incref((json_t *)specs) : json_object(), "projects", "swap",
        (json_int_t)json_int_at(flavor, "swap", 0), "is_public", 1, "vcpu_weight", 0, "description",
        text(json_text_at(flavor, "description")));
    return object("FlavorPayload", "1.4", data);
}

/* One IpPayload for each fixed address of each VIF. */
static json_t *addresses(struct context *cx, const struct instance *instance, bool versioned)
{
    const json_t *vifs = json_parse_own(cx->arena, instance->network_info);
    json_t *list = json_array();
    for (size_t v = 0; v < json_array_size(vifs); v++) {
        const json_t *vif = json_array_get(vifs, v), *subnets = json_at(vif, "network.subnets");
        for (size_t s = 0; s < json_array_size(subnets); s++) {
            const json_t *ips = json_object_get(json_array_get(subnets, s), "ips");
            for (size_t i = 0; i < json_array_size(ips); i++) {
                const json_t *ip = json_array_get(ips, i);
                const char *label = json_text_at(vif, "network.label"), *address = json_text_at(ip, "address");
                int number = (int)json_int_at(ip, "version", 4);
                json_array_append_new(list, !versioned
                    ? json_pack("{s:s?, s:i, s:s?, s:s, s:{}, s:[]}", "address", address, "version", number, "label", label, "type",
                        "fixed", "meta", "floating_ips")
                    : object("IpPayload", "1.0", json_pack("{s:s?, s:s?, s:s?, s:{}, s:i, s:s?, s:s?}", "mac", json_text_at(vif,
                        "address"), "address", address, "port_uuid", json_text_at(vif, "id"), "meta", "version", number, "label",
                        label, "device_name", json_text_at(vif, "devname"))));
            }
        }
    }
    return list;
}

static void add_people_and_times(struct context *cx, const struct instance *instance, json_t *data)
{
    const struct caller *caller = cx->caller;
    json_object_set_new(data, "tenant_id", text(instance->project_id));
    json_object_set_new(data, "user_id", text(instance->user_id));
    json_object_set_new(data, "request_id", text(cx->request_id));
    json_object_set_new(data, "action_initiator_user", text(caller != NULL ? caller->user_id : NULL));
    json_object_set_new(data, "action_initiator_project", text(caller != NULL ? caller->project_id : NULL));
    json_object_set_new(data, "created_at", moment(cx, instance->created_at));
    json_object_set_new(data, "updated_at", moment(cx, instance->updated_at));
    json_object_set_new(data, "launched_at", moment(cx, instance->launched_at));
    json_object_set_new(data, "terminated_at", moment(cx, instance->terminated_at));
    json_object_set_new(data, "deleted_at", moment(cx, instance->deleted_at));
}

static json_t *instance_data(struct context *cx, const struct instance *instance)
{
    const json_t *system = json_parse_own(cx->arena, instance->system_metadata);
    const struct {
        const char *name, *value;
    } texts[] = {
        { "uuid", instance->uuid }, { "display_name", instance->name }, { "display_description", instance->description },
        { "host_name", instance->hostname }, { "host", instance->host }, { "node", instance->node },
        { "availability_zone", instance->availability_zone }, { "image_uuid", instance->image_ref },
        { "kernel_id", instance->kernel_id != NULL ? instance->kernel_id : "" },
        { "ramdisk_id", instance->ramdisk_id != NULL ? instance->ramdisk_id : "" }, { "key_name", instance->key_name },
        { "reservation_id", instance->reservation_id }, { "state", instance->vm_state }, { "task_state", instance->task_state },
        { "power_state", power_name(instance->power_state) }, { "locked_reason", instance->locked_reason },
        { "architecture", json_text_at(system, "image_hw_architecture") }, { "os_type", json_text_at(system, "image_os_type") },
        { "auto_disk_config", instance->auto_disk_config ? "AUTO" : "MANUAL" },
    };
    json_t *data = json_pack("{s:n, s:b, s:I, s:o, s:o, s:o}", "block_devices", "locked", instance->locked_by != NULL, "progress",
        (json_int_t)instance->progress, "metadata", document(cx, instance->metadata), "flavor", flavor_payload(cx, instance),
        "ip_addresses", addresses(cx, instance, true));
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        json_object_set_new(data, texts[i].name, text(texts[i].value));
    add_people_and_times(cx, instance, data);
    return data;
}

static json_t *fault_payload(const struct fault *fault)
{
    if (fault == NULL)
        return json_null();
    return object("ExceptionPayload", "1.1", json_pack("{s:s, s:s, s:s, s:s, s:s}", "function_name", "", "module_name",
        "nova.compute.manager", "exception", fault->code != NULL ? fault->code : "NovaException", "exception_message",
            fault->message,
        "traceback", fault->detail != NULL ? fault->detail : fault->message));
}

static json_t *keypairs(struct context *cx, const struct instance *instance)
{
    const json_t *pair = json_parse_own(cx->arena, instance->keypair);
    json_t *list = json_array();
    if (json_is_object(pair))
        json_array_append_new(list, object("KeypairPayload", "1.0", json_pack("{s:s, s:s?, s:s?, s:s?, s:s?}", "user_id",
            instance->user_id, "name", json_text_at(pair, "name"), "fingerprint", json_text_at(pair, "fingerprint"), "public_key",
            json_text_at(pair, "public_key"), "type", json_text_at(pair, "type"))));
    return list;
}

static json_t *tags(struct context *cx, const struct instance *instance)
{
    json_t *list = json_array();
    char *rest, *copy = arena_strdup(cx->arena, instance->tags != NULL ? instance->tags : "");
    for (char *tag = strtok_r(copy, ",", &rest); tag != NULL; tag = strtok_r(NULL, ",", &rest))
        json_array_append_new(list, json_string(tag));
    return list;
}

static json_t *versioned_payload(struct context *cx, const struct instance *instance, bool create, const struct fault *fault)
{
    json_t *data = instance_data(cx, instance);
    json_object_set_new(data, "fault", fault_payload(fault));
    if (!create)
        return object("InstanceActionPayload", "1.8", data);
    json_t *certs = json_parse_own(cx->arena, instance->trusted_certs);
    json_object_set_new(data, "keypairs", keypairs(cx, instance));
    json_object_set_new(data, "tags", tags(cx, instance));
    json_object_set_new(data, "trusted_image_certificates", certs != NULL ? json_incref(certs) : json_null());
    json_object_set_new(data, "instance_name", json_string(arena_printf(cx->arena, "instance-%08llx",
        (unsigned long long)instance->id)));
    return object("InstanceCreatePayload", "1.12", data);
}

/* ---- the unversioned form ---- */

static json_t *unversioned_payload(struct context *cx, const struct instance *instance, const struct fault *fault)
{
    const json_t *flavor = json_parse_own(cx->arena, instance->flavor);
    json_t *data = instance_data(cx, instance);
    static const char *const others[] = { "uuid", "display_description", "host_name", "image_uuid", "key_name", "task_state",
        "power_state", "locked_reason", "locked", "auto_disk_config", "block_devices", "flavor", "ip_addresses", "request_id",
        "action_initiator_user", "action_initiator_project", "updated_at", "progress" };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        json_object_del(data, others[i]);
    static const char *const dates[] = { "deleted_at", "terminated_at", "launched_at" };
    for (size_t i = 0; i < sizeof(dates) / sizeof(dates[0]); i++)
        if (json_is_null(json_object_get(data, dates[i])))
            json_object_set_new(data, dates[i], json_string(""));
    json_object_set_new(data, "created_at", json_string(arena_printf(cx->arena, "%s+00:00", clock_text(cx->arena,
        instance->created_at,
        CLOCK_SQL))));
    json_t *more = json_pack("{s:s, s:s?, s:s?, s:s?, s:I, s:I, s:I, s:I, s:I, s:s, s:s, s:o, s:o}", "instance_id", instance->uuid,
        "hostname", instance->hostname, "instance_type", json_text_at(flavor, "name"), "instance_flavor_id", instance->flavorid,
        "instance_type_id", (json_int_t)json_int_at(flavor, "id", 0), "memory_mb", (json_int_t)instance->memory_mb, "disk_gb",
        (json_int_t)(instance->root_gb + instance->ephemeral_gb), "vcpus", (json_int_t)instance->vcpus, "root_gb",
        (json_int_t)instance->root_gb, "cell_name", "", "state_description",
            instance->task_state != NULL ? instance->task_state : "",
        "progress", instance->progress != 0 ? json_integer(instance->progress) : json_string(""), "fixed_ips", addresses(cx,
            instance,
        false));
    json_object_update(data, json_keep(cx->arena, more));
    json_object_set_new(data, "ephemeral_gb", json_integer(instance->ephemeral_gb));
    json_object_set_new(data, "access_ip_v4", text(instance->access_ip_v4));
    json_object_set_new(data, "access_ip_v6", text(instance->access_ip_v6));
    json_object_set_new(data, "image_ref_url", text(instance->image_ref));
    json_object_set_new(data, "image_meta", json_pack("{s:s?}", "base_image_ref", instance->image_ref));
    json_object_set_new(data, "message", json_string(fault != NULL ? fault->message : "Success"));
    return data;
}

/* ---- sending ---- */

static void send(struct context *cx, const struct compute_host *host, const struct instance *instance, const char *word,
    const char *phase, const struct fault *fault)
{
    const struct config *config = cx->app->config;
    const char *format = config_str(config, "notifications", "notification_format");
    bool create = strcmp(word, "create") == 0, error = fault != NULL;
    enum notify_priority priority = error ? NOTIFY_ERROR : NOTIFY_INFO;
    if (strcmp(format, "unversioned") != 0)
        notify_on(cx, config_list(config, "notifications", "versioned_notifications_topics", NULL),
            arena_printf(cx->arena, "nova-compute:%s", host->name), arena_printf(cx->arena, "instance.%s.%s", word, phase),
                priority,
            json_keep(cx->arena, versioned_payload(cx, instance, create, fault)));
    if (strcmp(format, "versioned") != 0 && (create || !error)) /* only a creation has an unversioned error */
        notify(cx, arena_printf(cx->arena, "compute.%s", host->name), arena_printf(cx->arena, "compute.instance.%s.%s", word,
            phase),
            priority, json_keep(cx->arena, unversioned_payload(cx, instance, fault)));
}

void instance_notify(struct context *cx, const struct compute_host *host, const char *uuid, const char *event, bool begins,
    const struct fault *why)
{
    const char *word = word_of(event);
    struct instance instance;
    if (word == NULL || !notify_wanted(cx))
        return;
    struct fault *fault = instance_fetch_any(cx, uuid, &instance);
    if (fault != NULL)
        log_warning("nova.compute", "nobody is told of %s of instance %s: %s", word, uuid, fault_text(cx->arena, fault));
    else
        send(cx, host, &instance, word, begins ? "start" : why != NULL ? "error" : "end", why);
}
