/* SPDX-License-Identifier: Apache-2.0
 *
 * events: what neutron tells nova about an instance's ports (os-server-external-events).
 *
 * Only what a build waits for is remembered, and only in memory: after a restart the build asks neutron instead.
 */
#include "base/log.h"
#include "nova/compute/compute.h"

#include <string.h>

enum { KEY_MAX = 128 };

static const char *key_of(char *to, const char *uuid, const char *port_id)
{
    snprintf(to, KEY_MAX, "%s/%s", uuid, port_id);
    return to;
}

/* The instance's own key says that a build waits for it; events may come before the build has heard of its ports' ids.
 * */
static void mark(struct compute_host *host, const char *uuid, const char *port_id, enum vif_event event)
{
    char key[KEY_MAX];
    pthread_mutex_lock(&host->lock);
    if (map_has(&host->events, uuid))
        map_set(&host->events, key_of(key, uuid, port_id), (void *)(intptr_t)event);
    pthread_mutex_unlock(&host->lock);
}

void vif_expect(struct compute_host *host, const char *uuid)
{
    pthread_mutex_lock(&host->lock);
    map_set(&host->events, uuid, (void *)(intptr_t)VIF_PENDING);
    pthread_mutex_unlock(&host->lock);
}

void vif_forget(struct compute_host *host, const char *uuid)
{
    struct map_entry *entry;
    size_t length = strlen(uuid);
    pthread_mutex_lock(&host->lock);
    for (size_t at = 0; (entry = map_next(&host->events, &at)) != NULL;)
        if (strncmp(entry->key, uuid, length) == 0)
            map_remove(&host->events, entry->key);
    pthread_mutex_unlock(&host->lock);
}

enum vif_event vif_state(struct compute_host *host, const char *uuid, const json_t *network_info)
{
    char key[KEY_MAX];
    enum vif_event worst = VIF_PLUGGED;
    pthread_mutex_lock(&host->lock);
    for (size_t i = 0; i < json_array_size(network_info); i++) {
        const char *port_id = json_text_at(json_array_get(network_info, i), "id");
        enum vif_event event = (enum vif_event)(intptr_t)map_get(&host->events, key_of(key, uuid, port_id));
        if (event == VIF_FAILED || (event != VIF_PLUGGED && worst == VIF_PLUGGED))
            worst = event == VIF_FAILED ? VIF_FAILED : VIF_PENDING;
    }
    pthread_mutex_unlock(&host->lock);
    return worst;
}

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
            mark(host, uuid, tag, failed ? VIF_FAILED : VIF_PLUGGED);
            flow_wake(&nova_build_and_run_flow, uuid);
        } else if (strcmp(name, "network-changed") == 0 || strcmp(name, "network-vif-deleted") == 0) {
            struct fault *fault = refresh(cx, host, uuid);
            if (fault != NULL && fault->status != 404)
                log_warning("nova.compute", "instance %s: %s: %s", uuid, name, fault_text(cx->arena, fault));
        }
    }
    return NULL;
}
