/* SPDX-License-Identifier: Apache-2.0
 *
 * notify: nova's notifications in both forms, as [notifications] notification_format says: versioned (an object with its name
 * and version, doc/notification_samples of the reference) and unversioned. Nothing is made when nobody listens.
 */
#ifndef NOVA_NOTIFY_H
#define NOVA_NOTIFY_H

#include "nova/instance.h"
#include "oslo/notification.h"

/* {"nova_object.name", "nova_object.version", "nova_object.data": data (released)}; a new reference. */
json_t *notify_object(const char *name, const char *version, json_t *data);

/* Payloads that stand in several notifications; new references. A flavor as rows of servers keep it; a fault as
 * ExceptionPayload. */
json_t *notify_flavor(struct context *cx, const json_t *flavor);
json_t *notify_fault(const struct fault *fault, const char *module);

struct notify_group {
    const char *uuid, *name, *project_id, *user_id, *policy;
    const char *rules;        /* JSON, or NULL */
    json_t *members, *hosts;  /* lists, both released; hosts NULL: not told */
};
json_t *notify_group(struct arena *arena, const struct notify_group *group);

/* One notification of a form, when that form is wanted. host NULL: this one. `payload` is released. */
void notify_versioned(struct context *cx, const char *source, const char *host, const char *event, enum notify_priority priority,
    json_t *payload);
void notify_unversioned(struct context *cx, const char *service, const char *host, const char *event,
    enum notify_priority priority, json_t *payload);

/* One that nova-api sends, without a form of old. */
void notify_api(struct context *cx, const char *event, json_t *payload);

/* What happens to a server: instance.WORD.PHASE. */
struct instance_event {
    const char *source;        /* "nova-compute", "nova-api"; the unversioned form leaves "nova-" out */
    const char *host;          /* NULL: this one */
    const char *word, *phase;  /* "power_on", "start"; phase NULL: it happens at once, and is told in the versioned form only */
    const struct fault *fault; /* why it failed, or NULL */
};
void notify_instance(struct context *cx, const struct instance *instance, const struct instance_event *event);

/* instance.update, when [notifications] notify_on_state_change is set: before a row is changed, and after. What is told of the
 * row before costs nothing when nobody listens. */
struct instance_before {
    const char *uuid; /* NULL: nobody is to be told */
    const char *vm_state, *task_state, *name;
};
struct instance_before notify_before(struct context *cx, const struct instance *instance);
struct instance_before notify_before_read(struct context *cx, const char *uuid);
/* `source` as above. A row that is gone is not told of. */
void notify_changed(struct context *cx, const struct instance_before *before, const char *source);

#endif
