/* SPDX-License-Identifier: Apache-2.0
 *
 * cache_images: images for the hosts of an aggregate before any server asks for them (nova: ComputeTaskManager.cache_images).
 * [image_cache] precache_concurrency hosts fetch at a time; those that are down are left out. Nobody waits for the result:
 * it is in the log, and in notifications: aggregate.cache_images.start, .progress with each host, .end.
 */
#include "nova/conductor/conductor.h"
#include "nova/notify.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/work.h"
#include "nova/hosts.h"

#include <stdatomic.h>
#include <string.h>

enum { CALL_TIMEOUT_MS = 30 * 60 * 1000, MOST_AT_ONCE = 32 }; /* as nova's long_rpc_timeout */

struct round {
    struct context *cx;
    const json_t *aggregate, *images;
    const char **hosts; /* that are up */
    size_t count;
    atomic_size_t next;
    atomic_int told;    /* hosts that are through */
    atomic_int cached, existing, errors, unsupported;
};

static void note(struct round *round, const char *host, const char *image, const char *result)
{
    if (strcmp(result, "cached") == 0)
        atomic_fetch_add(&round->cached, 1);
    else if (strcmp(result, "existing") == 0)
        atomic_fetch_add(&round->existing, 1);
    else if (strcmp(result, "unsupported") == 0)
        atomic_fetch_add(&round->unsupported, 1);
    else {
        atomic_fetch_add(&round->errors, 1);
        log_warning("nova.conductor.manager", "Image pre-cache operation for image %s failed on host %s", image, host);
    }
}

/* This host is through, or was left out; `result`: {image: what became of it}, or NULL. */
static void tell_progress(struct round *round, struct context *cx, const char *host, const json_t *result)
{
    json_t *cached = json_array(), *failed = json_array();
    size_t i;
    json_t *image;
    json_array_foreach((json_t *)round->images, i, image)
    {
        const char *became = json_string_value(json_object_get(result, json_string_value(image)));
        bool there = became != NULL && (strcmp(became, "cached") == 0 || strcmp(became, "existing") == 0);
        json_array_append(there ? cached : failed, image);
    }
    const json_t *a = round->aggregate;
    json_t *data = json_pack("{s:O?, s:O?, s:O?, s:s, s:i, s:I, s:o, s:o}", "id", json_object_get(a, "id"), "uuid",
        json_object_get(a, "uuid"), "name", json_object_get(a, "name"), "host", host, "index",
        atomic_fetch_add(&round->told, 1) + 1, "total", (json_int_t)json_array_size(json_object_get(a, "hosts")), "images_cached",
        cached, "images_failed", failed);
    notify_versioned(cx, "nova-conductor", NULL, "aggregate.cache_images.progress", NOTIFY_INFO,
        notify_object("AggregateCachePayload", "1.0", data));
}

/* As nova's conductor, in the name of its API. */
static void tell_phase(struct round *round, const char *phase)
{
    notify_api(round->cx, arena_printf(round->cx->arena, "aggregate.cache_images.%s", phase), notify_object("AggregatePayload",
        "1.1", json_incref((json_t *)round->aggregate)));
}

static void ask_host(struct round *round, const char *host)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct context cx = context_child(round->cx, arena);
    json_t *result = NULL, *value;
    const char *image;
    json_t *arguments = json_keep(arena, json_pack("{s:O}", "image_ids", round->images));
    struct fault *fault = rpc_call(&cx, &(struct rpc_target){ TOPIC_COMPUTE, host, COMPUTE_VERSION }, RPC_CACHE_IMAGES,
        arguments, CALL_TIMEOUT_MS, &result);
    if (fault != NULL)
        log_warning("nova.conductor.manager", "Image pre-cache operation on host %s: %s", host, fault_text(arena, fault));
    json_object_foreach(result, image, value)
        note(round, host, image, json_is_string(value) ? json_string_value(value) : "error");
    tell_progress(round, &cx, host, result);
}

static void work_off(void *argument)
{
    struct round *round = argument;
    for (size_t at; (at = atomic_fetch_add(&round->next, 1)) < round->count;)
        ask_host(round, round->hosts[at]);
}

/* Fills round->hosts with those that are up. */
static struct fault *hosts_up(struct context *cx, struct round *round)
{
    const json_t *hosts = json_object_get(round->aggregate, "hosts");
    int64_t down_time_s = config_int(cx->app->config, "DEFAULT", "service_down_time");
    const char **down = ARENA_ARRAY(cx->arena, const char *, json_array_size(hosts) + 1);
    size_t down_count = 0;
    struct tx *tx;
    TRY(db_read(cx->arena, cx->app->db, &tx));
    for (size_t i = 0; i < json_array_size(hosts); i++) {
        const char *host = json_string_value(json_array_get(hosts, i));
        struct service_row *services;
        size_t count;
        if (host == NULL)
            continue;
        TRY(service_list(tx, host, "nova-compute", &services, &count));
        if (count > 0 && service_is_up(&services[0], down_time_s))
            round->hosts[round->count++] = host;
        else
            down[down_count++] = host;
    }
    tx_end(tx);
    for (size_t i = 0; i < down_count; i++) {
        log_info("nova.conductor.manager", "Skipping image pre-cache request to compute '%s' because it is not up", down[i]);
        tell_progress(round, cx, down[i], NULL);
    }
    return NULL;
}

struct fault *cache_images(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result)
{
    const json_t *aggregate = json_object_get(arguments, "aggregate"), *hosts = json_object_get(aggregate, "hosts");
    struct round round = { .cx = cx, .aggregate = aggregate, .images = json_object_get(arguments, "image_ids"),
        .hosts = ARENA_ARRAY(cx->arena, const char *, json_array_size(hosts) + 1) };
    uintptr_t helpers[MOST_AT_ONCE];
    int64_t begin_us = clock_monotonic_us(), at_once = config_int(cx->app->config, "image_cache", "precache_concurrency");
    if (!json_is_array(hosts) || !json_is_array(round.images))
        return FAULT(cx, 400, "badRequest", "Hosts and images are lists.");
    tell_phase(&round, "start");
    TRY(hosts_up(cx, &round));
    size_t count = 0;
    while (count + 1 < (size_t)at_once && count + 1 < round.count && count < MOST_AT_ONCE) {
        helpers[count] = work_thread_start("cache-images", work_off, &round);
        count++;
    }
    work_off(&round); /* this thread is one of them */
    for (size_t i = 0; i < count; i++)
        work_thread_join(helpers[i]);
    log_info("nova.conductor.manager", "Image pre-cache operation for image(s) %s completed in %.2f seconds; %d cached,"
        " %d existing, %d errors, %d unsupported, %zu skipped (down) hosts", json_dump(cx->arena, round.images),
        (double)(clock_monotonic_us() - begin_us) / 1e6, atomic_load(&round.cached), atomic_load(&round.existing),
        atomic_load(&round.errors), atomic_load(&round.unsupported), json_array_size(hosts) - round.count);
    tell_phase(&round, "end");
    return NULL;
}
