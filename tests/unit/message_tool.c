/* SPDX-License-Identifier: Apache-2.0
 *
 * message_tool CONFIG-FILE: one process of a cloud as far as messages see it, driven by lines on its standard input, for
 * tests/api/test_messages*.py and bench/messages. Each line is a JSON command; what happens is told as JSON lines:
 *
 *     {"do": "serve", "topic": "t", "server": "s", "parallel": 4}        -> {"done": "serve"}
 *     {"do": "unserve", "topic": "t", "server": "s"}                     -> {"done": "unserve"}
 *     {"do": "call", "topic", "server", "method", "args", "timeout_ms"}  -> {"done": "call", "result" | "fault", "ms"}
 *     {"do": "cast", "topic", "server", "method", "args", "count", "threads"} -> {"done": "cast", "sent", "failed", "fault", "ms"}
 *     {"do": "fanout", "topic", "method", "args"}                        -> {"done": "fanout"}
 *     {"do": "bench", "topic", "count", "threads", "cast"}               -> {"done": "bench", "p50_us", "p99_us", "rate"}
 *     {"do": "notify", "publisher_id", "event_type", "priority", "payload"} -> {"done": "notify"}
 *
 * Methods: echo (returns args), fail (a fault of status args.status, code args.code), slow (waits args.ms), note (tells
 * {"got": args, "server", "request_id", "user_id", "token"}), count (as note, quiet; asked by "counted").
 */
#include "base/clock.h"
#include "base/log.h"
#include "oslo/app.h"
#include "oslo/json.h"
#include "oslo/messaging.h"
#include "oslo/notification.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t output = PTHREAD_MUTEX_INITIALIZER;
static struct app *app;
static struct arena *life; /* of the servers' names */
static atomic_long counted;

static void tell(json_t *line)
{
    char *text = json_dumps(line, JSON_COMPACT);
    pthread_mutex_lock(&output);
    puts(text);
    fflush(stdout);
    pthread_mutex_unlock(&output);
    free(text);
    json_decref(line);
}

/* ---- methods ---- */

static struct fault *echo(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result)
{
    *ret_result = json_incref((json_t *)arguments);
    return NULL;
}

static struct fault *fail(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result)
{
    return FAULT(cx, (int)json_int_at(arguments, "status", 500), arena_strdup(cx->arena, json_text_at(arguments, "code")), "%s",
        json_text_at(arguments, "message"));
}

static struct fault *slow(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result)
{
    clock_sleep_ms(json_int_at(arguments, "ms", 0));
    *ret_result = json_string(owner);
    return NULL;
}

static struct fault *note(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result)
{
    clock_sleep_ms(json_int_at(arguments, "ms", 0));
    tell(json_pack("{s:O, s:s, s:s, s:s?, s:s?}", "got", arguments, "server", owner, "request_id", cx->request_id, "user_id",
        cx->caller != NULL ? cx->caller->user_id : NULL, "token", cx->caller != NULL ? cx->caller->token : NULL));
    return NULL;
}

static struct fault *count(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result)
{
    atomic_fetch_add(&counted, 1);
    return NULL;
}

static struct fault *tell_count(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result)
{
    *ret_result = json_integer(atomic_load(&counted));
    return NULL;
}

static const struct rpc_method methods[] = {
    { "echo",    "1.0", echo },
    { "fail",    "1.0", fail },
    { "slow",    "1.0", slow },
    { "note",    "1.0", note },
    { "count",   "1.0", count },
    { "counted", "1.0", tell_count },
    { "newer",   "1.5", echo },
    { NULL, NULL, NULL },
};

/* ---- commands ---- */

static struct caller *some_caller(struct arena *arena)
{
    return caller_from_json(arena, json_keep(arena, json_pack("{s:s, s:s, s:s, s:[s]}", "user_id", "alice", "project_id", "wonder",
        "auth_token", "secret", "roles", "member")));
}

static struct context new_context(struct arena *arena)
{
    struct context cx = context_service(arena, app);
    cx.caller = some_caller(arena);
    return cx;
}

static struct rpc_target target_of(const json_t *command)
{
    return (struct rpc_target){ json_text_at(command, "topic"), json_text_at(command, "server"), json_text_at(command, "version") };
}

static void do_call(const json_t *command)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct context cx = new_context(arena);
    const struct rpc_target target = target_of(command);
    json_t *result = NULL;
    int64_t begin_us = clock_monotonic_us();
    struct fault *fault = rpc_call(&cx, &target, json_text_at(command, "method"), json_object_get(command, "args"),
        (int)json_int_at(command, "timeout_ms", 10000), &result);
    json_t *line = json_pack("{s:s, s:I}", "done", "call", "ms", (json_int_t)((clock_monotonic_us() - begin_us) / 1000));
    if (fault != NULL)
        json_object_set_new(line, "fault", json_pack("{s:i, s:s?, s:s, s:s}", "status", fault->status, "code", fault->code,
            "message",
            fault->message, "text", fault_text(arena, fault)));
    else
        json_object_set(line, "result", result != NULL ? result : json_null());
    tell(line);
}

struct crowd {
    const json_t *command;
    atomic_long left, sent, failed;
    int64_t *took_us;
    char why[400];
};

static void *send_casts(void *argument)
{
    struct crowd *crowd = argument;
    const struct rpc_target target = target_of(crowd->command);
    const char *method = json_text_at(crowd->command, "method");
    bool call = crowd->took_us != NULL && !json_bool_at(crowd->command, "cast", false);
    long number;
    while ((number = atomic_fetch_sub(&crowd->left, 1)) > 0) {
        ARENA_CLEANUP struct arena *arena = arena_create();
        struct context cx = new_context(arena);
        json_t *arguments = json_deep_copy(json_object_get(crowd->command, "args")), *result;
        json_object_set_new(arguments, "number", json_integer(number));
        json_keep(arena, arguments);
        int64_t begin_us = clock_monotonic_us();
        struct fault *fault = call ? rpc_call(&cx, &target, method, arguments, 30000, &result)
            : rpc_cast(&cx, &target, method, arguments);
        if (crowd->took_us != NULL)
            crowd->took_us[number - 1] = clock_monotonic_us() - begin_us;
        atomic_fetch_add(fault == NULL ? &crowd->sent : &crowd->failed, 1);
        if (fault != NULL)
            snprintf(crowd->why, sizeof(crowd->why), "%s", fault_text(arena, fault));
    }
    return NULL;
}

static int64_t run_crowd(struct crowd *crowd)
{
    int threads = (int)json_int_at(crowd->command, "threads", 1);
    pthread_t ids[256];
    int64_t begin_us = clock_monotonic_us();
    atomic_store(&crowd->left, (long)json_int_at(crowd->command, "count", 1));
    for (int i = 0; i < threads && i < 256; i++)
        pthread_create(&ids[i], NULL, send_casts, crowd);
    for (int i = 0; i < threads && i < 256; i++)
        pthread_join(ids[i], NULL);
    return clock_monotonic_us() - begin_us;
}

static void do_cast(const json_t *command)
{
    struct crowd crowd = { .command = command };
    int64_t took_us = run_crowd(&crowd);
    tell(json_pack("{s:s, s:I, s:I, s:s, s:I}", "done", "cast", "sent", (json_int_t)crowd.sent, "failed", (json_int_t)crowd.failed,
        "fault", crowd.why, "ms", (json_int_t)(took_us / 1000)));
}

static int by_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void do_bench(const json_t *command)
{
    size_t all = (size_t)json_int_at(command, "count", 1);
    struct crowd crowd = { .command = command, .took_us = calloc(all, sizeof(int64_t)) };
    int64_t took_us = run_crowd(&crowd);
    qsort(crowd.took_us, all, sizeof(int64_t), by_time);
    tell(json_pack("{s:s, s:I, s:I, s:f, s:I, s:s}", "done", "bench", "p50_us", (json_int_t)crowd.took_us[all / 2], "p99_us",
        (json_int_t)crowd.took_us[all * 99 / 100], "rate", (double)all * 1e6 / (double)took_us, "failed", (json_int_t)crowd.failed,
        "fault", crowd.why));
    free(crowd.took_us);
}

static void told(const char *what, const struct fault *fault)
{
    tell(json_pack("{s:s, s:s?}", "done", what, "fault", fault != NULL ? fault->message : NULL));
}

static void obey(const json_t *command)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct context cx = new_context(arena);
    const char *what = json_text_at(command, "do"), *topic = json_text_at(command, "topic"), *server = json_text_at(command,
        "server");
    if (strcmp(what, "serve") == 0) {
        told(what, rpc_serve(&cx, topic, server, methods, arena_strdup(life, server), (unsigned)json_int_at(command,
            "parallel", 4)));
    } else if (strcmp(what, "unserve") == 0) {
        rpc_unserve(app, topic, server);
        told(what, NULL);
    } else if (strcmp(what, "call") == 0) {
        do_call(command);
    } else if (strcmp(what, "cast") == 0) {
        do_cast(command);
    } else if (strcmp(what, "fanout") == 0) {
        told(what, rpc_fanout(&cx, topic, json_text_at(command, "method"), json_object_get(command, "args")));
    } else if (strcmp(what, "bench") == 0) {
        do_bench(command);
    } else if (strcmp(what, "notify") == 0) {
        notify(&cx, json_text_at(command, "publisher_id"), json_text_at(command, "event_type"), NOTIFY_INFO,
            json_object_get(command, "payload"));
        told(what, NULL);
    }
}

static struct fault *start(struct arena *arena, struct cloud *cloud, const char *file)
{
    static const struct service service = { .name = "probe", .type = "probe" };
    const struct option_table *tables[] = { &messaging_options };
    const struct config_source source = { .path = file };
    app = calloc(1, sizeof(*app));
    app->service = &service;
    app->cloud = cloud;
    cloud->messages = work_pool_create("messages", 64, 65536);
    cloud->periodic = work_pool_create("periodic", 2, 1024);
    TRY(config_create(arena, tables, 1, &source, 1, &app->config));
    struct context cx = context_service(arena, app);
    return messaging_check(&cx);
}

int main(int argc, char **argv)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct cloud cloud = { .host = "probe-host", .state_dir = "/nonexistent" };
    char line[1 << 16];
    life = arena;
    struct fault *fault = argc == 2 ? start(arena, &cloud, argv[1]) : fault_new(arena, 400, NULL, "message_tool CONFIG-FILE");
    if (fault != NULL) {
        fprintf(stderr, "%s\n", fault_text(arena, fault));
        return 1;
    }
    tell(json_pack("{s:s}", "done", "start"));
    while (fgets(line, sizeof(line), stdin) != NULL) {
        ARENA_CLEANUP struct arena *one = arena_create();
        const json_t *command = json_parse_own(one, line);
        if (json_text_at(command, "do") != NULL)
            obey(command);
    }
    messaging_stop(app);
    notification_stop(app);
    messaging_close(app);
    work_pool_destroy(cloud.messages);
    work_pool_destroy(cloud.periodic);
    config_destroy(app->config);
    free(app);
    return 0;
}
