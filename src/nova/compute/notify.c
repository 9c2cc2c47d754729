/* SPDX-License-Identifier: Apache-2.0
 *
 * notify: what happens to servers on this host, for whoever listens: instance.create.start, .end, .error and so on (nova/notify.h).
 * Every operation begins and ends with an event of its action: there they are made.
 */
#include "base/log.h"
#include "nova/compute/compute.h"
#include "nova/notify.h"

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

void instance_notify(struct context *cx, const struct compute_host *host, const char *uuid, const char *event, bool begins,
    const struct fault *why)
{
    const char *word = word_of(event);
    struct instance instance;
    if (word == NULL || !notify_wanted(cx))
        return;
    struct fault *fault = instance_fetch_any(cx, uuid, &instance);
    if (fault != NULL) {
        log_warning("nova.compute", "nobody is told of %s of instance %s: %s", word, uuid, fault_text(cx->arena, fault));
        return;
    }
    bool deletes = strcmp(word, "delete") == 0;
    const struct instance_event told = { .source = "nova-compute", .host = host->name, .word = word,
        .phase = begins ? "start" : why != NULL ? "error" : "end", .fault = why };
    struct instance_event shutdown = told;
    shutdown.word = "shutdown"; /* the guest ends between the two of the deletion */
    if (deletes && !begins && why == NULL)
        notify_instance(cx, &instance, &shutdown);
    notify_instance(cx, &instance, &told);
    if (deletes && begins)
        notify_instance(cx, &instance, &shutdown);
}
