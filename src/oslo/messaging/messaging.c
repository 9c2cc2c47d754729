/* SPDX-License-Identifier: Apache-2.0
 * messaging: from the calls of messaging.h to the app's transport. See messaging.h, messaging/wire.h and messaging/private.h.
 *
 * A call to a server of this process runs in the caller's thread whatever the transport: it is quicker, and a process whose
 * handlers ask each other cannot fill its own pool with them. */
#include "oslo/messaging.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/module.h"
#include "oslo/app.h"
#include "oslo/messaging/private.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { END_PATIENCE_MS = 3000 }; /* for answers to calls, once the program ends */

static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;

/* ---- transports ---- */

const char *transport_option(struct transport *transport, const struct messaging_url *url, const char *group, const char *name)
{
    const char *asked = messaging_url_query(url, name);
    if (asked != NULL)
        return asked;
    struct config *config = transport->app->config;
    return config != NULL && config_has(config, group, name) ? config_str(config, group, name) : NULL;
}

bool transport_option_bool(struct transport *transport, const struct messaging_url *url, const char *group, const char *name)
{
    const char *text = transport_option(transport, url, group, name);
    return text != NULL && (strcasecmp(text, "true") == 0 || strcmp(text, "1") == 0 || strcasecmp(text, "on") == 0 ||
        strcasecmp(text, "yes") == 0);
}

int64_t transport_option_int(struct transport *transport, const struct messaging_url *url, const char *group, const char *name)
{
    const char *text = transport_option(transport, url, group, name);
    return text != NULL ? strtoll(text, NULL, 10) : 0;
}

/* *ret NULL: memory. */
static struct fault *find_driver(struct context *cx, const struct messaging_url *url, const struct wire_driver **ret)
{
    static const char *const rabbit[] = { "rabbit", "kombu", "kombu+rabbit", "amqp", "pyamqp", "amqps" };
    const void *found = NULL;
    *ret = NULL;
    if (strcmp(url->scheme, "memory") == 0 || strcmp(url->scheme, "fake") == 0)
        return NULL;
    if (strcmp(url->scheme, "http") == 0 || strcmp(url->scheme, "https") == 0) {
        *ret = &messaging_http_driver;
        return NULL;
    }
    for (size_t i = 0; i < sizeof(rabbit) / sizeof(rabbit[0]) && found == NULL; i++)
        if (strcmp(url->scheme, rabbit[i]) == 0)
            TRY(module_load(cx->arena, "oslo/messaging/amqp", "messaging_amqp.so", MESSAGING_AMQP_SYMBOL, &found));
    if (found == NULL)
        return FAULT(cx, 500, "DriverLoadFailure",
            "transport_url: there is no driver %s: memory, rabbit, http and https are known.", url->scheme);
    *ret = found;
    return NULL;
}

static const char *text_option(const struct app *app, const char *name)
{
    return app->config != NULL && config_has(app->config, "DEFAULT", name) ? config_str(app->config, "DEFAULT", name) : NULL;
}

struct fault *transport_open(struct context *cx, const char *text, struct transport **ret)
{
    struct messaging_url url;
    const struct wire_driver *driver;
    TRY(messaging_url_parse(cx->arena, text, &url));
    TRY(find_driver(cx, &url, &driver));
    struct transport *t = calloc(1, sizeof(*t));
    const char *exchange = text_option(cx->app, "control_exchange");
    if (t == NULL || (t->exchange = strdup(exchange != NULL ? exchange : cx->app->service->name)) == NULL)
        abort();
    t->app = cx->app;
    pthread_mutex_init(&t->lock, NULL);
    struct fault *fault = driver != NULL ? driver->open(cx, t, &url, &t->wire) : NULL;
    t->driver = driver;
    if (fault != NULL) {
        t->driver = NULL;
        transport_close(t);
        return fault;
    }
    *ret = t;
    return NULL;
}

void transport_close(struct transport *t)
{
    if (t == NULL)
        return;
    if (t->driver != NULL)
        t->driver->close(t->wire);
    map_release(&t->waiting);
    pthread_mutex_destroy(&t->lock);
    free(t->exchange);
    free(t);
}

struct fault *transport_of(struct context *cx, struct transport **ret)
{
    struct app *app = cx->app;
    struct fault *fault = NULL;
    pthread_mutex_lock(&opening);
    if (app->messaging == NULL) {
        const char *url = text_option(app, "transport_url");
        struct transport *opened = NULL;
        fault = transport_open(cx, url != NULL ? url : "memory://", &opened);
        app->messaging = opened;
    }
    *ret = app->messaging;
    pthread_mutex_unlock(&opening);
    return fault;
}

struct fault *transport_driver(struct context *cx, const char *text, const struct wire_driver **ret)
{
    struct messaging_url url;
    if (text == NULL)
        text = text_option(cx->app, "transport_url");
    TRY(messaging_url_parse(cx->arena, text != NULL ? text : "memory://", &url));
    return find_driver(cx, &url, ret);
}

struct fault *messaging_check(struct context *cx)
{
    const struct wire_driver *driver;
    return transport_driver(cx, NULL, &driver);
}

/* Who ends together with us will not answer: a call is not waited for until its deadline then. */
void messaging_stop(struct app *app)
{
    struct transport *transport = app->messaging;
    if (transport != NULL && atomic_load(&transport->give_up_us) == 0)
        atomic_store(&transport->give_up_us, clock_monotonic_us() + END_PATIENCE_MS * 1000);
    server_remove(app, NULL, NULL);
}

void messaging_close(struct app *app)
{
    server_remove(app, NULL, NULL);
    transport_close(app->messaging);
    app->messaging = NULL;
}

bool messaging_is_local(const struct app *app)
{
    const char *url = text_option(app, "transport_url");
    return url == NULL || strncmp(url, "memory:", 7) == 0 || strncmp(url, "fake:", 5) == 0;
}

/* [DEFAULT] rpc_response_timeout. */
static int messaging_timeout_ms(const struct app *app)
{
    const char *seconds = text_option(app, "rpc_response_timeout");
    return seconds != NULL ? atoi(seconds) * 1000 : 60000;
}

/* ---- serving and sending ---- */

struct fault *rpc_serve(struct context *cx, const char *topic, const char *name, const struct rpc_method *methods,
    void *owner, unsigned parallel)
{
    struct transport *t;
    TRY(transport_of(cx, &t));
    if (parallel > 1 && cx->app->config != NULL && config_has(cx->app->config, "DEFAULT", "executor_thread_pool_size") &&
        config_is_set(cx->app->config, "DEFAULT", "executor_thread_pool_size"))
        parallel = (unsigned)config_int(cx->app->config, "DEFAULT", "executor_thread_pool_size");
    struct server *server = server_add(cx->app, t, topic, name, methods, owner, parallel);
    if (t->driver != NULL)
        t->driver->serve(t->wire, t->exchange, topic, name, server);
    return NULL;
}

void rpc_unserve(struct app *app, const char *topic, const char *name)
{
    server_remove(app, topic, name);
}

static struct fault *nobody(struct context *cx, const struct rpc_target *target, const char *method)
{
    return FAULT(cx, 504, "MessagingTimeout", "Timed out waiting for a reply to message %s: nobody serves %s.", method,
        target_text(cx->arena, target));
}

static struct rpc_message message_of(const struct rpc_target *target, const char *method, const json_t *arguments)
{
    return (struct rpc_message){ .method = method, .version = target != NULL ? target->version : NULL, .arguments = arguments };
}

struct fault *rpc_cast(struct context *cx, const struct rpc_target *target, const char *method, const json_t *arguments)
{
    const struct rpc_message message = message_of(target, method, arguments);
    struct transport *t;
    TRY(transport_of(cx, &t));
    if (t->driver != NULL)
        return wire_cast(cx, t, target, &message);
    return server_cast(cx, target->topic, target->server, &message) ? NULL : nobody(cx, target, method);
}

struct fault *rpc_fanout(struct context *cx, const char *topic, const char *method, const json_t *arguments)
{
    const struct rpc_message message = message_of(NULL, method, arguments);
    struct transport *t;
    TRY(transport_of(cx, &t));
    if (t->driver != NULL)
        return wire_fanout(cx, t, topic, &message);
    server_fanout(cx, topic, &message);
    return NULL;
}

struct fault *rpc_call(struct context *cx, const struct rpc_target *target, const char *method, const json_t *arguments,
    int timeout_ms, json_t **ret_result)
{
    const struct rpc_message message = message_of(target, method, arguments);
    int64_t begin_us = clock_monotonic_us();
    struct transport *t;
    TRY(transport_of(cx, &t));
    if (timeout_ms <= 0)
        timeout_ms = messaging_timeout_ms(cx->app);
    timeout_ms -= (int)((clock_monotonic_us() - begin_us) / 1000); /* the first use opens the transport */
    struct server *server = server_find(t->driver != NULL ? cx->app : NULL, target->topic, target->server);
    if (server == NULL)
        return t->driver != NULL ? wire_call(cx, t, target, &message, timeout_ms, ret_result) : nobody(cx, target, method);
    struct fault *fault = server_call(cx, server, &message, clock_monotonic_us() + (int64_t)timeout_ms * 1000, ret_result);
    server_release(server);
    return fault;
}
