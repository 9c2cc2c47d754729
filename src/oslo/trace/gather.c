/* SPDX-License-Identifier: Apache-2.0
 *
 * trace/gather: one request's spans from every process that can be asked. An API answers for its own host's ring and asks the
 * other processes of its service by a fanout; each sends what it has to the one who asked. See trace.h.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "oslo/app.h"
#include "oslo/messaging.h"
#include "oslo/trace.h"

#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ANSWERERS = 2, SPANS_LIMIT = 65536 };

static const char topic[] = "nubo-trace";
static const char rule[] = "nubo:trace";

/* Who waits for spans; on the stack of the request. */
struct gathering {
    struct gathering *next;
    const char *ticket;
    json_t *spans;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct gathering *gatherings;

static const struct option option_rows[] = {
    { "trace", "file", OPTION_STR, "/var/lib/nubo/trace",
        "Ring of trace spans that the processes of this host share; without write access to it, state_path/trace." },
};
const struct option_table trace_options = OPTION_TABLE(option_rows);

static const struct policy_rule policy_rows[] = {
    { rule, "role:admin", 0, "Show the way of one request through this service's processes.",
        POLICY_OPERATIONS({ "GET", "/nubo/trace/{request_id}" }) },
};
const struct policy_table trace_policies = POLICY_TABLE(policy_rows);

/* ---- between processes ---- */

static const char *own_name(const struct context *cx)
{
    return arena_printf(cx->arena, "%s.%s.%d", cx->app->service->name, cx->app->cloud->host, (int)getpid());
}

static struct fault *answer_collect(struct context *cx, void *owner, const json_t *arguments, json_t **ret)
{
    const char *server = json_text_at(arguments, "server"), *ticket = json_text_at(arguments, "ticket");
    const char *request_id = json_text_at(arguments, "request_id");
    if (server == NULL || ticket == NULL || request_id == NULL || strcmp(server, own_name(cx)) == 0)
        return NULL;
    json_t *spans = trace_spans(NULL, request_id);
    if (json_array_size(spans) == 0) {
        json_decref(spans);
        return NULL;
    }
    const json_t *message = json_keep(cx->arena, json_pack("{s:s, s:o}", "ticket", ticket, "spans", spans));
    return rpc_cast(cx, &(struct rpc_target){ topic, server, "1.0" }, "spans", message);
}

static struct fault *take_spans(struct context *cx, void *owner, const json_t *arguments, json_t **ret)
{
    const char *ticket = json_text_at(arguments, "ticket");
    const json_t *spans = json_object_get(arguments, "spans");
    pthread_mutex_lock(&lock);
    for (struct gathering *g = gatherings; g != NULL && ticket != NULL; g = g->next)
        if (strcmp(g->ticket, ticket) == 0 && json_array_size(g->spans) + json_array_size(spans) <= SPANS_LIMIT) {
            json_t *copy = json_deep_copy(spans);
            json_array_extend(g->spans, copy);
            json_decref(copy);
        }
    pthread_mutex_unlock(&lock);
    return NULL;
}

static const struct rpc_method methods[] = {
    { "collect", "1.0", answer_collect },
    { "spans",   "1.0", take_spans },
    { NULL, NULL, NULL },
};

static bool messages_travel(const struct app *app)
{
    const char *url = config_str(app->config, "DEFAULT", "transport_url");
    return url != NULL && strncmp(url, "memory:", 7) != 0;
}

static void open_ring(struct context *cx)
{
    const struct app *app = cx->app;
    struct fault *fault = trace_open(cx->arena, config_str(app->config, "trace", "file"));
    if (fault != NULL && app->state_path != NULL)
        fault = trace_open(cx->arena, arena_printf(cx->arena, "%s/trace", app->state_path));
    if (fault != NULL)
        log_warning("oslo.trace", "requests are not traced: %s", fault_text(cx->arena, fault));
}

void trace_serve(struct context *cx)
{
    if (!trace_is_open())
        open_ring(cx);
    if (!messages_travel(cx->app))
        return;
    struct fault *fault = rpc_serve(cx, topic, own_name(cx), methods, NULL, ANSWERERS);
    if (fault != NULL)
        log_warning("oslo.trace", "other hosts cannot ask for traces here: %s", fault_text(cx->arena, fault));
}

/* ---- the API ---- */

static void gather(struct context *cx, const char *request_id, json_t *spans)
{
    struct gathering own = { .ticket = uuid_new(cx->arena), .spans = spans };
    pthread_mutex_lock(&lock);
    own.next = gatherings;
    gatherings = &own;
    pthread_mutex_unlock(&lock);
    const json_t *message = json_keep(cx->arena, json_pack("{s:s, s:s, s:s}", "request_id", request_id, "ticket", own.ticket,
        "server", own_name(cx)));
    struct fault *fault = rpc_fanout(cx, topic, "collect", message);
    if (fault == NULL)
        clock_sleep_ms(TRACE_GATHER_MS); /* nobody knows how many will answer */
    else
        log_warning("oslo.trace", "other processes are not asked: %s", fault_text(cx->arena, fault));
    pthread_mutex_lock(&lock);
    struct gathering **link = &gatherings;
    while (*link != &own)
        link = &(*link)->next;
    *link = own.next;
    pthread_mutex_unlock(&lock);
}

static struct fault *trace_show(struct request *rq)
{
    struct context *cx = RQ(rq);
    const char *request_id = request_argument(rq, "request_id");
    if (strncmp(request_id, "req-", 4) != 0 || !uuid_valid(request_id + 4))
        return FAULT(cx, 400, NULL, "%s is not a request id.", request_id);
    json_t *spans = json_keep(cx->arena, trace_spans(NULL, request_id));
    if (messages_travel(cx->app))
        gather(cx, request_id, spans);
    json_begin(&rq->json, NULL);
    json_value(&rq->json, "spans", spans);
    json_end(&rq->json);
    return NULL;
}

static const struct route route_rows[] = {
    ROUTE(GET, "/nubo/trace/{request_id}", rule, trace_show, .flags = SLOW),
};
const struct route_table trace_routes = ROUTES(route_rows);
