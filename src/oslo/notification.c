/* SPDX-License-Identifier: Apache-2.0
 * notification: the drivers of oslo.messaging's notifier. One thread an app sends what waits; see notification.h. */
#include "oslo/notification.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/work.h"
#include "oslo/app.h"
#include "oslo/json.h"
#include "oslo/messaging/private.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { WAITING = 10000, PATIENCE_MS = 30000, AGAIN_MS = 1000, ENDING_MS = 2000 };

static const char GROUP[] = "oslo_messaging_notifications";
static const char *const priorities[] = { "audit", "debug", "info", "warn", "error", "critical", "sample" };

struct note {
    struct note *next;
    char *body, *key; /* key: topic.priority */
};

/* What an app has that notifies. Made with the first one, kept in a list: apps come and go only with the process. */
struct notifier {
    struct notifier *next;
    struct app *app;
    struct transport *transport; /* NULL: log only */
    bool own_transport, sends, enveloped, logs;
    int retries;
    uintptr_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct note *first, **last;
    size_t count;
    int64_t stop_us; /* > 0: ends then at the latest */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct notifier *notifiers;

static const char *const *drivers_of(const struct app *app, size_t *ret_count)
{
    *ret_count = 0;
    if (app->config == NULL || !config_has(app->config, GROUP, "driver"))
        return NULL;
    return config_list(app->config, GROUP, "driver", ret_count);
}

static bool speaks(const char *driver)
{
    return strcmp(driver, "messaging") == 0 || strcmp(driver, "messagingv2") == 0 || strcmp(driver, "log") == 0;
}

bool notify_wanted(const struct context *cx)
{
    size_t count;
    const char *const *drivers = drivers_of(cx->app, &count);
    for (size_t i = 0; i < count; i++)
        if (speaks(drivers[i]))
            return true;
    return false;
}

const char *notify_publisher(struct context *cx, const char *service)
{
    return arena_printf(cx->arena, "%s.%s", service, cx->app->cloud->host);
}

/* ---- the thread ---- */

static void note_free(struct note *note)
{
    free(note->body);
    free(note->key);
    free(note);
}

static bool send_once(struct notifier *n, struct arena *arena, const struct note *note, int64_t patience_ms)
{
    const struct wire_send send = { .kind = WIRE_NOTIFY, .exchange = n->transport->exchange, .topic = note->key, .body = note->body,
        .length = strlen(note->body), .deadline_us = clock_monotonic_us() + patience_ms * 1000,
        .give_up_us = &n->transport->give_up_us };
    struct fault *fault = n->transport->driver->send(n->transport->wire, arena, &send);
    if (fault != NULL)
        log_warning("oslo.messaging", "a notification waits: %s", fault_text(arena, fault));
    return fault == NULL;
}

static bool ending(struct notifier *n)
{
    pthread_mutex_lock(&n->lock);
    bool end = n->stop_us > 0 && clock_monotonic_us() >= n->stop_us;
    pthread_mutex_unlock(&n->lock);
    return end;
}

static void send_note(struct notifier *n, const struct note *note)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    pthread_mutex_lock(&n->lock);
    int64_t patience_ms = n->stop_us > 0 ? ENDING_MS : PATIENCE_MS;
    pthread_mutex_unlock(&n->lock);
    for (int i = 0; !send_once(n, arena, note, patience_ms); i++) {
        if (ending(n) || (n->retries >= 0 && i >= n->retries)) {
            log_error("oslo.messaging", "a notification for %s is lost", note->key);
            return;
        }
        clock_sleep_ms(AGAIN_MS);
    }
}

static void run(void *argument)
{
    struct notifier *n = argument;
    pthread_mutex_lock(&n->lock);
    while (n->first != NULL || n->stop_us == 0) {
        struct note *note = n->first;
        if (note == NULL) {
            pthread_cond_wait(&n->wake, &n->lock);
            continue;
        }
        n->first = note->next;
        if (n->first == NULL)
            n->last = &n->first;
        n->count--;
        pthread_mutex_unlock(&n->lock);
        send_note(n, note);
        note_free(note);
        pthread_mutex_lock(&n->lock);
    }
    pthread_mutex_unlock(&n->lock);
}

/* ---- notifiers ---- */

static void read_drivers(struct notifier *n)
{
    size_t count;
    const char *const *drivers = drivers_of(n->app, &count);
    for (size_t i = 0; i < count; i++) {
        n->logs = n->logs || strcmp(drivers[i], "log") == 0;
        n->enveloped = n->enveloped || strcmp(drivers[i], "messagingv2") == 0;
    }
}

static bool sends(const struct context *cx)
{
    size_t count;
    const char *const *drivers = drivers_of(cx->app, &count);
    for (size_t i = 0; i < count; i++)
        if (strncmp(drivers[i], "messaging", strlen("messaging")) == 0)
            return true;
    return false;
}

static const char *own_transport_url(const struct context *cx)
{
    return config_str(cx->app->config, GROUP, "transport_url");
}

/* Memory and HTTP keep nothing for a listener who may come later: that is told at the start, not found out by one who waits. */
struct fault *notification_check(struct context *cx)
{
    const struct wire_driver *driver;
    if (!sends(cx))
        return NULL;
    TRY(transport_driver(cx, own_transport_url(cx), &driver));
    if (driver == NULL || !driver->notifies)
        log_warning("oslo.messaging", "notifications are not sent: nobody can listen on %s://; give [oslo_messaging_notifications] "
            "transport_url a broker, or driver log", driver != NULL ? driver->name : "memory");
    return NULL;
}

static struct fault *find_transport(struct context *cx, struct notifier *n)
{
    const char *url = own_transport_url(cx);
    n->own_transport = url != NULL;
    return url != NULL ? transport_open(cx, url, &n->transport) : transport_of(cx, &n->transport);
}

static struct notifier *notifier_create(struct context *cx)
{
    struct notifier *n = calloc(1, sizeof(*n));
    if (n == NULL)
        abort();
    n->app = cx->app;
    n->last = &n->first;
    n->retries = (int)config_int(cx->app->config, GROUP, "retry");
    pthread_mutex_init(&n->lock, NULL);
    pthread_cond_init(&n->wake, NULL);
    read_drivers(n);
    struct fault *fault = sends(cx) ? find_transport(cx, n) : NULL;
    if (fault != NULL)
        log_error("oslo.messaging", "notifications are not sent: %s", fault_text(cx->arena, fault));
    /* notification_check() has warned of one that is not kept for listeners */
    n->sends = n->transport != NULL && n->transport->driver != NULL && n->transport->driver->notifies;
    if (n->sends)
        n->thread = work_thread_start("notifications", run, n);
    n->next = notifiers;
    notifiers = n;
    return n;
}

static struct notifier *notifier_of(struct context *cx)
{
    pthread_mutex_lock(&lock);
    struct notifier *n = notifiers;
    while (n != NULL && n->app != cx->app)
        n = n->next;
    if (n == NULL)
        n = notifier_create(cx);
    pthread_mutex_unlock(&lock);
    return n;
}

static void queue_note(struct notifier *n, const char *body, const char *topic, const char *priority)
{
    struct note *note = calloc(1, sizeof(*note));
    if (note == NULL || (note->body = strdup(body)) == NULL || asprintf(&note->key, "%s.%s", topic, priority) < 0)
        abort();
    pthread_mutex_lock(&n->lock);
    bool full = n->count >= WAITING;
    if (!full) {
        *n->last = note;
        n->last = &note->next;
        n->count++;
        pthread_cond_signal(&n->wake);
    }
    pthread_mutex_unlock(&n->lock);
    if (full) {
        log_error("oslo.messaging", "%d notifications wait already: one for %s is lost", WAITING, note->key);
        note_free(note);
    }
}

static void send_to(struct context *cx, bool with_context, const char *const *topics, const char *publisher_id,
    const char *event_type, enum notify_priority priority, const json_t *payload)
{
    if (!notify_wanted(cx))
        return;
    struct notifier *n = notifier_of(cx);
    const char *level = priorities[priority];
    json_t *document = json_keep(cx->arena, json_pack("{s:s, s:s, s:s, s:s, s:O, s:s}", "message_id", uuid_new(cx->arena),
        "publisher_id", publisher_id, "event_type", event_type, "priority", arena_printf(cx->arena, "%s", level), "payload",
            payload,
        "timestamp", clock_text(cx->arena, clock_now_us(), CLOCK_SQL_US)));
    for (char *c = (char *)json_string_value(json_object_get(document, "priority")); *c != '\0'; c++)
        *c = (char)(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
    if (n->logs)
        log_info("oslo.messaging.notification", "%s %s", event_type, json_dump(cx->arena, document));
    if (!n->sends)
        return;
    /* adds the context's members to the document too */
    const char *enveloped = envelope_wrap(with_context ? cx : NULL, cx->arena, document);
    const char *body = n->enveloped ? enveloped : json_dump(cx->arena, document);
    for (; *topics != NULL; topics++)
        queue_note(n, body, *topics, level);
}

void notify_on(struct context *cx, const char *const *topics, const char *publisher_id, const char *event_type,
    enum notify_priority priority, const json_t *payload)
{
    send_to(cx, true, topics, publisher_id, event_type, priority, payload);
}

void notify_anonymous(struct context *cx, const char *publisher_id, const char *event_type, enum notify_priority priority,
    const json_t *payload)
{
    if (notify_wanted(cx))
        send_to(cx, false, config_list(cx->app->config, GROUP, "topics", NULL), publisher_id, event_type, priority, payload);
}

void notify(struct context *cx, const char *publisher_id, const char *event_type, enum notify_priority priority,
    const json_t *payload)
{
    if (notify_wanted(cx))
        notify_on(cx, config_list(cx->app->config, GROUP, "topics", NULL), publisher_id, event_type, priority, payload);
}

void notification_stop(struct app *app)
{
    pthread_mutex_lock(&lock);
    struct notifier **at = &notifiers;
    while (*at != NULL && (*at)->app != app)
        at = &(*at)->next;
    struct notifier *n = *at;
    if (n != NULL)
        *at = n->next;
    pthread_mutex_unlock(&lock);
    if (n == NULL)
        return;
    pthread_mutex_lock(&n->lock);
    n->stop_us = clock_monotonic_us() + ENDING_MS * 1000LL;
    if (n->own_transport) /* the app's gives up by messaging_stop() */
        atomic_store(&n->transport->give_up_us, n->stop_us);
    pthread_cond_signal(&n->wake);
    pthread_mutex_unlock(&n->lock);
    if (n->thread != 0)
        work_thread_join(n->thread);
    if (n->own_transport)
        transport_close(n->transport);
    pthread_mutex_destroy(&n->lock);
    free(n);
}
