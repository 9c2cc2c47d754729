/* SPDX-License-Identifier: Apache-2.0
 *
 * events: what neutron tells nova about an instance's ports (os-server-external-events).
 */
#include "base/log.h"
#include "nova/compute/compute.h"

#include <string.h>

/* A port's addresses changed, or it is gone: the row's network info is read anew. */
static struct fault *refresh(struct context *cx, struct compute_host *host, const char *uuid)
{
    struct instance instance;
    json_t *info;
    TRY(instance_fetch(cx, uuid, &instance));
    if (strcmp(instance.vm_state, VM_BUILDING) == 0 || instance.host == NULL || strcmp(instance.host,
        host->name) != 0 ||
        (instance.task_state != NULL && strcmp(instance.task_state, TASK_DELETING) == 0))
        return NULL;
    TRY(network_info_read(cx, &instance, &info));
    const char *text = json_dump(cx->arena, info);
    if (instance.network_info != NULL && strcmp(text, instance.network_info) == 0)
        return NULL;
    return instance_tell(cx, host, uuid, &(struct instance_note){ .changes = json_pack("{s:O}", "network_info",
        info) });
}

struct fault *external_instance_event(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result)
{
    struct compute_host *host = owner;
    const json_t *events = json_object_get(arguments, "events");
    for (size_t i = 0; i < json_array_size(events); i++) {
        const json_t *event = json_array_get(events, i);
        const char *name = json_text_at(event, "name"), *uuid = json_text_at(event, "instance_uuid");
        const char *tag = json_text_at(event, "tag"), *status = json_text_at(event, "status");
        if (name == NULL || uuid == NULL)
            continue;
        if (strcmp(name, "network-vif-plugged") == 0 && tag != NULL) {
            bool failed = status != NULL && strcmp(status, "failed") == 0;
            vif_mark(host, uuid, tag, failed ? VIF_FAILED : VIF_PLUGGED);
            flow_wake(&nova_build_and_run_flow, uuid);
        } else if (strcmp(name, "network-changed") == 0 || strcmp(name, "network-vif-deleted") == 0) {
            struct fault *fault = refresh(cx, host, uuid);
            if (fault != NULL && fault->status != 404)
                log_warning("nova.compute", "instance %s: %s: %s", uuid, name, fault_text(cx->arena, fault));
        }
    }
    return NULL;
}
