/* SPDX-License-Identifier: Apache-2.0
 * driver: what all hypervisor drivers share. See driver.h. */
#include "nova/virt/driver.h"

#include "base/file.h"
#include "base/random.h"

#include <string.h>

const char *virt_power_state_name(enum virt_power_state state)
{
    static const char *const names[] = {
        [VIRT_NOSTATE] = "pending",
        [VIRT_RUNNING] = "running",
        [VIRT_PAUSED] = "paused",
        [VIRT_SHUTDOWN] = "shutdown",
        [VIRT_CRASHED] = "crashed",
        [VIRT_SUSPENDED] = "suspended",
    };
    return names[state];
}

const char *virt_pair_find(const struct virt_pair *pairs, size_t count, const char *key)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(pairs[i].key, key) == 0)
            return pairs[i].value;
    return NULL;
}

static const char *instances_path; /* [DEFAULT] instances_path; one per process, as its hosts' settings are */

void virt_set_instances(const char *path)
{
    instances_path = path;
}

const char *virt_instances(struct arena *arena, const char *state_dir)
{
    return instances_path != NULL ? instances_path : arena_printf(arena, "%s/instances", state_dir);
}

const char *virt_instance_path(struct arena *arena, const char *state_dir, const char *uuid)
{
    return arena_printf(arena, "%s/%s", virt_instances(arena, state_dir), uuid);
}

struct fault *virt_instance_folder(struct arena *arena, const char *state_dir, const char *uuid, const char **ret_path)
{
    if (!uuid_valid(uuid)) /* it becomes a path */
        return fault_new(arena, 400, "InvalidUUID", "Expected a uuid but received %s.", uuid);
    const char *path = virt_instance_path(arena, state_dir, uuid);
    TRY(folder_make(arena, path, 0711, 0711));
    *ret_path = path;
    return NULL;
}

struct fault *virt_instance_not_found(struct arena *arena, const char *uuid)
{
    return fault_new(arena, 404, "InstanceNotFound", "Instance %s could not be found.", uuid);
}

struct fault *virt_instance_not_running(struct arena *arena, const char *uuid)
{
    return fault_new(arena, 400, "InstanceNotRunning", "Instance %s is not running.", uuid);
}
