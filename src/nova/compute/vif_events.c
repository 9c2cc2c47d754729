/* SPDX-License-Identifier: Apache-2.0
 *
 * Which of an instance's ports are plugged. Only what a build waits for is remembered, and only in memory: after a restart the
 * build asks neutron instead.
 */
#include "nova/compute/compute.h"

#include <string.h>

enum { KEY_MAX = 128 };

static const char *key_of(char *to, const char *uuid, const char *port_id)
{
    snprintf(to, KEY_MAX, "%s/%s", uuid, port_id);
    return to;
}

/* The instance's own key says that a build waits for it; events may come before the build has heard of its ports' ids. */
void vif_mark(struct compute_host *host, const char *uuid, const char *port_id, enum vif_event event)
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
