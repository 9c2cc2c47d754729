/* SPDX-License-Identifier: Apache-2.0
 *
 * notification: what happened, told to whoever listens (ceilometer, masakari, an operator's own consumer), in the envelope
 * of oslo.messaging's notifier. [oslo_messaging_notifications] driver says how; without one nothing is made and nothing is
 * sent.
 *
 * Sending never delays or fails what happened: notifications wait in a queue of the app and leave in their order.
 */
#ifndef OSLO_NOTIFICATION_H
#define OSLO_NOTIFICATION_H

#include "oslo/context.h"

/* Names of oslo.messaging's Notifier methods; the routing key is TOPIC.name. */
enum notify_priority { NOTIFY_AUDIT, NOTIFY_DEBUG, NOTIFY_INFO, NOTIFY_WARN, NOTIFY_ERROR, NOTIFY_CRITICAL, NOTIFY_SAMPLE };

/* Whether anybody would hear: asked before a payload is made. */
bool notify_wanted(const struct context *cx);

/* Queues one: publisher_id "network.host-1", event_type "port.create.end". `payload` is borrowed. */
void notify(struct context *cx, const char *publisher_id, const char *event_type, enum notify_priority priority,
    const json_t *payload);

/* The same without who asked and his token, as the services send it that tell that in the payload or not at all. */
void notify_anonymous(struct context *cx, const char *publisher_id, const char *event_type, enum notify_priority priority,
    const json_t *payload);

/* As notify(), on topics of its own, NULL-terminated, in place of [oslo_messaging_notifications] topics. */
void notify_on(struct context *cx, const char *const *topics, const char *publisher_id, const char *event_type,
    enum notify_priority priority, const json_t *payload);

/* As publisher_id: "compute.HOST" with the service's name for it. In the arena. */
const char *notify_publisher(struct context *cx, const char *service);

/* At the start of an app: a wrong transport_url is a fault; one whose messages nobody can listen to is warned of. */
struct fault *notification_check(struct context *cx);

/* Sends what waits, for a short while, then drops the rest with a line in the log. */
void notification_stop(struct app *app);

#endif
