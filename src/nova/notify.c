/* SPDX-License-Identifier: Apache-2.0
 * notify: payloads of servers, and sending. See notify.h. */
#include "nova/notify.h"

#include "base/clock.h"
#include "base/log.h"
#include "nova/nova.h"
#include "nova/virt/driver.h"
#include "oslo/app.h"

#include <string.h>

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

json_t *notify_object(const char *name, const char *version, json_t *data)
{
    return json_pack("{s:s, s:s, s:s, s:o}", "nova_object.name", name, "nova_object.namespace", "nova", "nova_object.version",
        version, "nova_object.data", data);
}

/* ---- the versioned form ---- */

static const char *power_name(int64_t state)
{
    static const char *const names[] = { [VIRT_NOSTATE] = "pending", [VIRT_RUNNING] = "running", [VIRT_PAUSED] = "paused",
        [VIRT_SHUTDOWN] = "shutdown", [VIRT_CRASHED] = "crashed", [VIRT_SUSPENDED] = "suspended" };
    return state >= 0 && (size_t)state < sizeof(names) / sizeof(names[0]) && names[state] != NULL ? names[state] : "pending";
}

json_t *notify_flavor(struct context *cx, const json_t *flavor)
{
    const json_t *specs = json_object_get(flavor, "extra_specs"), *factor = json_object_get(flavor, "rxtx_factor");
    static const char *const numbers[] = { "root_gb", "vcpus", "ephemeral_gb", "memory_mb", "swap" };
    json_t *data = json_pack("{s:s?, s:s?, s:b, s:f, s:o, s:n, s:b, s:i, s:o}", "flavorid", json_text_at(flavor, "flavorid"),
        "name", json_text_at(flavor, "name"), "disabled", 0, "rxtx_factor", factor != NULL ? json_number_value(factor) : 1.0,
        "extra_specs", specs != NULL ? json_incref((json_t *)specs) : json_object(), "projects", "is_public", 1, "vcpu_weight", 0,
        "description", text(json_text_at(flavor, "description")));
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        json_object_set_new(data, numbers[i], json_integer(json_int_at(flavor, numbers[i], 0)));
    return notify_object("FlavorPayload", "1.4", data);
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
                    : notify_object("IpPayload", "1.0", json_pack("{s:s?, s:s?, s:s?, s:{}, s:i, s:s?, s:s?}", "mac",
                        json_text_at(vif, "address"), "address", address, "port_uuid", json_text_at(vif, "id"), "meta", "version",
                        number, "label", label, "device_name", json_text_at(vif, "devname"))));
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
        (json_int_t)instance->progress, "metadata", document(cx, instance->metadata), "flavor",
        notify_flavor(cx, json_parse_own(cx->arena, instance->flavor)),
        "ip_addresses", addresses(cx, instance, true));
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        json_object_set_new(data, texts[i].name, text(texts[i].value));
    add_people_and_times(cx, instance, data);
    return data;
}

json_t *notify_fault(const struct fault *fault, const char *module)
{
    return notify_object("ExceptionPayload", "1.1", json_pack("{s:s, s:s, s:s, s:s, s:s}", "function_name", "", "module_name",
        module, "exception", fault->code != NULL ? fault->code : "NovaException", "exception_message", fault->message,
        "traceback", fault->detail != NULL ? fault->detail : fault->message));
}

json_t *notify_group(struct arena *arena, const struct notify_group *g)
{
    const json_t *rules = json_parse_own(arena, g->rules), *most = json_object_get(rules, "max_server_per_host");
    json_t *data = json_pack("{s:s, s:s, s:s, s:s, s:[s], s:s, s:{}, s:o, s:o}", "uuid", g->uuid, "name", g->name, "project_id",
        g->project_id, "user_id", g->user_id, "policies", g->policy, "policy", g->policy, "rules", "members", g->members, "hosts",
        g->hosts != NULL ? g->hosts : json_null());
    if (most != NULL) /* as nova: a dictionary of texts */
        json_object_set_new(json_object_get(data, "rules"), "max_server_per_host", json_is_string(most)
            ? json_incref((json_t *)most) : json_string(json_dump(arena, most)));
    return notify_object("ServerGroupPayload", "1.1", data);
}

static json_t *keypairs(struct context *cx, const struct instance *instance)
{
    const json_t *pair = json_parse_own(cx->arena, instance->keypair);
    json_t *list = json_array();
    if (json_is_object(pair))
        json_array_append_new(list, notify_object("KeypairPayload", "1.0", json_pack("{s:s, s:s?, s:s?, s:s?, s:s?}", "user_id",
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
    json_object_set_new(data, "fault", fault != NULL ? notify_fault(fault, "nova.compute.manager") : json_null());
    if (!create)
        return notify_object("InstanceActionPayload", "1.8", data);
    json_t *certs = json_parse_own(cx->arena, instance->trusted_certs);
    json_object_set_new(data, "keypairs", keypairs(cx, instance));
    json_object_set_new(data, "tags", tags(cx, instance));
    json_object_set_new(data, "trusted_image_certificates", certs != NULL ? json_incref(certs) : json_null());
    json_object_set_new(data, "instance_name", json_string(arena_printf(cx->arena, "instance-%08llx",
        (unsigned long long)instance->id)));
    return notify_object("InstanceCreatePayload", "1.12", data);
}

/* ---- the unversioned form ---- */

static json_t *unversioned_payload(struct context *cx, const struct instance *instance)
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
        instance->created_at, CLOCK_SQL))));
    json_t *more = json_pack("{s:s, s:s?, s:s?, s:s?, s:I, s:I, s:I, s:I, s:I, s:s, s:s, s:o}", "instance_id", instance->uuid,
        "hostname", instance->hostname, "instance_type", json_text_at(flavor, "name"), "instance_flavor_id", instance->flavorid,
        "instance_type_id", (json_int_t)json_int_at(flavor, "id", 0), "memory_mb", (json_int_t)instance->memory_mb, "disk_gb",
        (json_int_t)(instance->root_gb + instance->ephemeral_gb), "vcpus", (json_int_t)instance->vcpus, "root_gb",
        (json_int_t)instance->root_gb, "cell_name", "", "state_description",
            instance->task_state != NULL ? instance->task_state : "",
        "progress", instance->progress != 0 ? json_integer(instance->progress) : json_string(""));
    json_object_update(data, json_keep(cx->arena, more));
    json_object_set_new(data, "ephemeral_gb", json_integer(instance->ephemeral_gb));
    json_object_set_new(data, "access_ip_v4", text(instance->access_ip_v4));
    json_object_set_new(data, "access_ip_v6", text(instance->access_ip_v6));
    json_object_set_new(data, "image_ref_url", text(instance->image_ref));
    json_object_set_new(data, "image_meta", json_pack("{s:s?}", "base_image_ref", instance->image_ref));
    return data;
}

/* ---- sending ---- */

static bool form_is(const struct context *cx, const char *form)
{
    const char *format = config_str(cx->app->config, "notifications", "notification_format");
    return strcmp(format, "both") == 0 || strcmp(format, form) == 0;
}

static const char *host_of(const struct context *cx, const char *host)
{
    return host != NULL ? host : cx->app->cloud->host;
}

void notify_versioned(struct context *cx, const char *source, const char *host, const char *event, enum notify_priority priority,
    json_t *payload)
{
    json_keep(cx->arena, payload);
    if (notify_wanted(cx) && form_is(cx, "versioned"))
        notify_on(cx, config_list(cx->app->config, "notifications", "versioned_notifications_topics", NULL),
            arena_printf(cx->arena, "%s:%s", source, host_of(cx, host)), event, priority, payload);
}

void notify_unversioned(struct context *cx, const char *service, const char *host, const char *event,
    enum notify_priority priority, json_t *payload)
{
    json_keep(cx->arena, payload);
    if (notify_wanted(cx) && form_is(cx, "unversioned"))
        notify(cx, arena_printf(cx->arena, "%s.%s", service, host_of(cx, host)), event, priority, payload);
}

void notify_api(struct context *cx, const char *event, json_t *payload)
{
    notify_versioned(cx, "nova-api", NULL, event, NOTIFY_INFO, payload);
}

static const char *service_of(const char *source)
{
    return strncmp(source, "nova-", strlen("nova-")) == 0 ? source + strlen("nova-") : source;
}

void notify_instance(struct context *cx, const struct instance *instance, const struct instance_event *e)
{
    bool create = strcmp(e->word, "create") == 0;
    enum notify_priority priority = e->fault != NULL ? NOTIFY_ERROR : NOTIFY_INFO;
    if (!notify_wanted(cx))
        return;
    notify_versioned(cx, e->source, e->host, arena_printf(cx->arena, e->phase != NULL ? "instance.%s.%s" : "instance.%s", e->word,
        e->phase), priority, versioned_payload(cx, instance, create, e->fault));
    if (e->phase == NULL || (e->fault != NULL && !create)) /* only a creation has an unversioned error */
        return;
    json_t *payload = unversioned_payload(cx, instance);
    json_object_set_new(payload, "fixed_ips", addresses(cx, instance, false));
    json_object_set_new(payload, "message", json_string(e->fault != NULL ? e->fault->message : "Success"));
    notify_unversioned(cx, service_of(e->source), e->host, arena_printf(cx->arena, "compute.instance.%s.%s", e->word, e->phase),
        priority, payload);
}

/* ---- instance.update ---- */

static bool updates_wanted(const struct context *cx)
{
    return config_str(cx->app->config, "notifications", "notify_on_state_change") != NULL && notify_wanted(cx);
}

struct instance_before notify_before(struct context *cx, const struct instance *instance)
{
    if (!updates_wanted(cx))
        return (struct instance_before){ .uuid = NULL };
    return (struct instance_before){ instance->uuid, instance->vm_state, instance->task_state, instance->name };
}

struct instance_before notify_before_read(struct context *cx, const char *uuid)
{
    struct instance instance;
    if (uuid == NULL || !updates_wanted(cx) || instance_get(cx->arena, cx->app->db, uuid, true, &instance) != NULL)
        return (struct instance_before){ .uuid = NULL };
    return notify_before(cx, &instance);
}

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* As nova: with vm_state alone, a change of the task is told as a change of something else. */
static bool states_changed(const struct context *cx, const struct instance_before *before, const struct instance *now)
{
    if (!same(before->vm_state, now->vm_state))
        return true;
    return strcmp(config_str(cx->app->config, "notifications", "notify_on_state_change"), "vm_and_task_state") == 0 &&
        !same(before->task_state, now->task_state);
}

/* The current period of [DEFAULT] instance_usage_audit_period, which is a month here. */
static void audit_period(struct context *cx, json_t *to, bool versioned)
{
    int64_t now_us = clock_now_us();
    const char *now = clock_text(cx->arena, now_us, CLOCK_ISO);
    json_t *data = versioned ? json_object() : to;
    json_object_set_new(data, "audit_period_beginning", json_string(arena_printf(cx->arena, "%.7s-01T00:00:00%s", now,
        versioned ? "Z" : ".000000")));
    json_object_set_new(data, "audit_period_ending", json_string(versioned ? now : clock_text(cx->arena, now_us, CLOCK_ISO_US)));
    if (versioned)
        json_object_set_new(to, "audit_period", notify_object("AuditPeriodPayload", "1.0", data));
}

void notify_changed(struct context *cx, const struct instance_before *before, const char *source)
{
    struct instance now;
    if (before->uuid == NULL || instance_get(cx->arena, cx->app->db, before->uuid, false, &now) != NULL)
        return;
    bool changed = states_changed(cx, before, &now), renamed = !changed && !same(before->name, now.name);
    json_t *states = json_pack("{s:s?, s:s?, s:s?, s:s?}", "old_state", changed ? before->vm_state : now.vm_state, "state",
        now.vm_state, "old_task_state", changed && before->task_state != NULL ? before->task_state : now.task_state,
        "new_task_state", now.task_state);
    json_t *payload = unversioned_payload(cx, &now), *data = instance_data(cx, &now);
    json_object_update(payload, states);
    audit_period(cx, payload, false);
    if (renamed)
        json_object_set_new(payload, "old_display_name", text(before->name));
    json_object_set_new(data, "state_update", notify_object("InstanceStateUpdatePayload", "1.0", states));
    json_object_set_new(data, "old_display_name", text(renamed ? before->name : NULL));
    json_object_set_new(data, "tags", tags(cx, &now));
    audit_period(cx, data, true);
    const char *service = strcmp(source, "nova-compute") == 0 ? "compute" : source; /* as nova: its API names itself whole */
    notify_unversioned(cx, service, NULL, "compute.instance.update", NOTIFY_INFO, payload);
    notify_versioned(cx, source, NULL, "instance.update", NOTIFY_INFO, notify_object("InstanceUpdatePayload", "2.0", data));
}
