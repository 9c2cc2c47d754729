/* SPDX-License-Identifier: Apache-2.0
 *
 * notify: who must know of a change: agents by fanout, nova by its external events. Both only wake somebody: an agent asks
 * for the truth, and nova looks at the port.
 */
#include "base/log.h"
#include "neutron/private.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NOVA_BATCH = 100 };

void notify_agents(struct context *cx, const char *method, const char *key, const char *id)
{
    json_t *arguments = json_keep(cx->arena, json_pack("{s:s}", key, id));
    struct fault *fault = rpc_fanout(cx, "q-agent-notifier", method, arguments);
    if (fault != NULL)
        log_warning("neutron.notifiers", "%s %s: %s", method, id, fault_text(cx->arena, fault));
}

/* ---- nova ---- */

/* Events that wait for the call under way; what comes meanwhile goes into the next. One process, one queue. */
struct nova_event {
    struct nova_event *next;
    struct app *app;
    char name[32], server[64], port[64], status[16];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct nova_event *first, **tail = &first;
static bool running;

static struct nova_event *take_batch(size_t *ret_count)
{
    pthread_mutex_lock(&lock);
    struct nova_event *batch = first, **end = &first;
    size_t count = 0;
    while (*end != NULL && count < NOVA_BATCH) {
        end = &(*end)->next;
        count++;
    }
    if (batch == NULL)
        running = false;
    struct nova_event *rest = *end;
    *end = NULL;
    first = rest;
    if (rest == NULL)
        tail = &first;
    pthread_mutex_unlock(&lock);
    *ret_count = count;
    return batch;
}

static void send_batch(struct nova_event *batch)
{
    struct arena *arena = arena_create();
    struct context cx = context_service(arena, batch->app);
    json_t *events = json_array();
    for (struct nova_event *event = batch; event != NULL; event = event->next) {
        json_t *item = json_pack("{s:s, s:s, s:s}", "name", event->name, "server_uuid", event->server, "tag", event->port);
        if (event->status[0] != '\0')
            json_object_set_new(item, "status", json_string(event->status));
        json_array_append_new(events, item);
    }
    struct rest call = { .service = "compute", .method = POST, .path = "/v2.1/os-server-external-events",
        .body = json_keep(arena, json_pack("{s:o}", "events", events)), .as = AS_SERVICE, .accept_status = 404 };
    struct rest_response response;
    struct fault *fault = rest_call(&cx, &call, &response);
    if (fault != NULL)
        log_warning("neutron.notifiers.nova", "nova was not told of %zu events: %s", json_array_size(events),
            fault_text(arena, fault));
    arena_destroy(arena);
}

static void drain(void *argument)
{
    struct nova_event *batch;
    size_t count;
    (void)argument;
    while ((batch = take_batch(&count)) != NULL) {
        send_batch(batch);
        while (batch != NULL) {
            struct nova_event *next = batch->next;
            free(batch);
            batch = next;
        }
    }
}

void notify_nova(struct context *cx, const char *event, const char *server_id, const char *port_id, const char *status)
{
    struct nova_event *entry = calloc(1, sizeof(*entry));
    if (entry == NULL)
        abort();
    if (strcmp(event, "network-vif-plugged") == 0 &&
        !config_bool(cx->app->config, "DEFAULT", "notify_nova_on_port_status_changes")) {
        free(entry);
        return;
    }
    entry->app = cx->app;
    snprintf(entry->name, sizeof(entry->name), "%s", event);
    snprintf(entry->server, sizeof(entry->server), "%s", server_id);
    snprintf(entry->port, sizeof(entry->port), "%s", port_id);
    snprintf(entry->status, sizeof(entry->status), "%s", status != NULL ? status : "");
    pthread_mutex_lock(&lock);
    *tail = entry;
    tail = &entry->next;
    bool start = !running;
    running = true;
    pthread_mutex_unlock(&lock);
    if (start && !work_submit(cx->app->cloud->slow, drain, NULL)) {
        pthread_mutex_lock(&lock);
        running = false; /* the next event tries again and takes this one along */
        pthread_mutex_unlock(&lock);
        log_warning("neutron.notifiers.nova", "%s for server %s waits: the pool is full", event, server_id);
    }
}
