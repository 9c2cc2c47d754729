/* SPDX-License-Identifier: Apache-2.0
 *
 * guest: from the instance's row to what the hypervisor's driver wants to know.
 */
#include "base/log.h"
#include "nova/compute/compute.h"
#include "nova/metadata/content.h"
#include "nova/virt/config_drive.h"
#include "nova/virt/vif.h"

#include <string.h>
#include <sys/stat.h>

static const char VERSION[] = "0.1.0";

static struct virt_pair *pairs_of(struct arena *arena, const json_t *object, size_t *ret_count)
{
    struct virt_pair *pairs = ARENA_ARRAY(arena, struct virt_pair, json_object_size(object) + 1);
    const char *key;
    json_t *value;
    size_t count = 0;
    json_object_foreach((json_t *)object, key, value)
        if (json_is_string(value))
            pairs[count++] = (struct virt_pair){ arena_strdup(arena, key), arena_strdup(arena,
                json_string_value(value)) };
    *ret_count = count;
    return pairs;
}

struct virt_nic nic_of(struct arena *arena, const json_t *vif)
{
    const json_t *subnets = json_at(vif, "network.subnets");
    size_t count = 0, total = 0;
    for (size_t i = 0; i < json_array_size(subnets); i++)
        total += json_array_size(json_object_get(json_array_get(subnets, i), "ips"));
    const char **addresses = ARENA_ARRAY(arena, const char *, total + 1);
    for (size_t i = 0; i < json_array_size(subnets); i++) {
        const json_t *ips = json_object_get(json_array_get(subnets, i), "ips");
        for (size_t k = 0; k < json_array_size(ips); k++)
            addresses[count++] = arena_strdup(arena, json_text_at(json_array_get(ips, k), "address"));
    }
    const char *id = json_text_at(vif, "id");
    return (struct virt_nic){ .port_id = arena_strdup(arena, id), .mac = arena_strdup(arena, json_text_at(vif,
        "address")),
        .tap = vif_tap_name(arena, id), .mtu = (unsigned)json_int_at(vif, "network.meta.mtu", 0),
        .addresses = addresses };
}

static struct virt_nic *nics_of(struct arena *arena, const json_t *network_info, size_t *ret_count)
{
    size_t count = json_array_size(network_info);
    struct virt_nic *nics = ARENA_ARRAY(arena, struct virt_nic, count + 1);
    for (size_t i = 0; i < count; i++)
        nics[i] = nic_of(arena, json_array_get(network_info, i));
    *ret_count = count;
    return nics;
}

static const char *config_drive_path(struct context *cx, const struct compute_host *host,
    const struct instance *instance)
{
    return arena_printf(cx->arena, "%s/disk.config", virt_instance_path(cx->arena,
        host->compute->app->state_path, instance->uuid));
}

/* nova.virt.configdrive.required_by. */
static bool wants_config_drive(struct context *cx, const struct instance *instance)
{
    const char *mandatory = json_text_at(json_parse_own(cx->arena, instance->system_metadata),
        "image_img_config_drive");
    return (instance->config_drive != NULL && instance->config_drive[0] != '\0') ||
           config_bool(cx->app->config, "DEFAULT", "force_config_drive") || (mandatory != NULL && strcmp(mandatory,
           "mandatory") == 0);
}

static bool exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

struct fault *guest_config_drive(struct context *cx, const struct compute_host *host, const struct instance *instance,
    const char *admin_password)
{
    const struct metadata_file *content;
    const char *folder;
    size_t count;
    if (!wants_config_drive(cx, instance) || host->compute->fake)
        return NULL;
    const char *path = config_drive_path(cx, host, instance);
    if (exists(path))
        return NULL;
    TRY(virt_instance_folder(cx->arena, host->compute->app->state_path, instance->uuid, &folder));
    TRY(metadata_content(cx, instance, admin_password, true, &content, &count));
    struct config_drive_file *files = ARENA_ARRAY(cx->arena, struct config_drive_file, count + 1);
    for (size_t i = 0; i < count; i++)
        files[i] = (struct config_drive_file){ content[i].path, content[i].data, content[i].length };
    return config_drive_create(cx->arena, path, config_str(cx->app->config, "DEFAULT", "config_drive_format"),
        "OpenStack Compute", files, count);
}

void guest_describe(struct context *cx, const struct compute_host *host, const struct instance *instance,
    struct virt_spawn *ret)
{
    struct arena *arena = cx->arena;
    json_t *flavor = json_parse_own(arena, instance->flavor), *spec = json_parse_own(arena, instance->request_spec);
    json_t *image = json_object_get(spec, "image"), *properties = json_object_get(image, "properties");
    const struct caller *caller = cx->caller;
    *ret = (struct virt_spawn){ .uuid = instance->uuid, .name = arena_printf(arena, "instance-%08llx",
        (long long)instance->id),
        .display_name = instance->name, .user_id = instance->user_id, .project_id = instance->project_id,
        .user_name = caller != NULL && caller->user_name != NULL ? caller->user_name : instance->user_id,
        .project_name = caller != NULL && caller->project_name != NULL ? caller->project_name : instance->project_id,
        .package_version = VERSION, .created_us = instance->created_at, .vcpus = (unsigned)instance->vcpus,
        .flavor_name = json_text_at(flavor, "name") != NULL ? json_text_at(flavor, "name") : "",
        .memory_mb = (uint64_t)instance->memory_mb, .root_gb = (uint64_t)instance->root_gb,
        .ephemeral_gb = (uint64_t)instance->ephemeral_gb, .swap_mb = (uint64_t)json_int_at(flavor, "swap", 0) };
    ret->extra_specs = pairs_of(arena, json_object_get(flavor, "extra_specs"), &ret->extra_spec_count);
    ret->image_properties = pairs_of(arena, properties != NULL ? properties : image, &ret->image_property_count);
    ret->nics = nics_of(arena, json_parse_own(arena, instance->network_info), &ret->nic_count);
    image_paths(cx, host, instance, ret);
    const char *drive = config_drive_path(cx, host, instance);
    if (!host->compute->fake && exists(drive)) {
        ret->config_drive_path = drive;
        ret->config_drive_format = config_str(cx->app->config, "DEFAULT", "config_drive_format");
    }
}
