/* SPDX-License-Identifier: Apache-2.0
 *
 * cache_images: images for the hosts of an aggregate before any server asks for them (nova: ComputeTaskManager.cache_images).
 * [image_cache] precache_concurrency hosts fetch at a time; those that are down are left out. Nobody waits for the result:
 * it is in the log.
 */
#include "nova/conductor/conductor.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/work.h"
#include "nova/hosts.h"

#include <stdatomic.h>
#include <string.h>

enum { CALL_TIMEOUT_MS = 30 * 60 * 1000, MOST_AT_ONCE = 32 }; /* as nova's long_rpc_timeout */

struct round {
    struct context *cx;
    const json_t *images;
    const char **hosts; /* that are up */
    size_t count;
    atomic_size_t next;
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
}

static void work_off(void *argument)
{
    struct round *round = argument;
    for (size_t at; (at = atomic_fetch_add(&round->next, 1)) < round->count;)
        ask_host(round, round->hosts[at]);
}

static struct fault *hosts_up(struct context *cx, const json_t *hosts, const char **ret, size_t *ret_count)
{
    int64_t down_time_s = config_int(cx->app->config, "DEFAULT", "service_down_time");
    struct tx *tx;
    *ret_count = 0;
    TRY(db_read(cx->arena, cx->app->db, &tx));
    for (size_t i = 0; i < json_array_size(hosts); i++) {
        const char *host = json_string_value(json_array_get(hosts, i));
        struct service_row *services;
        size_t count;
        if (host == NULL)
            continue;
        TRY(service_list(tx, host, "nova-compute", &services, &count));
        if (count > 0 && service_is_up(&services[0], down_time_s))
            ret[(*ret_count)++] = host;
        else
            log_info("nova.conductor.manager", "Skipping image pre-cache request to compute '%s' because it is not up", host);
    }
    tx_end(tx);
    return NULL;
}

struct fault *cache_images(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result)
{
    const json_t *hosts = json_object_get(arguments, "hosts");
    struct round round = { .cx = cx, .images = json_object_get(arguments, "image_ids"),
        .hosts = ARENA_ARRAY(cx->arena, const char *, json_array_size(hosts) + 1) };
    uintptr_t helpers[MOST_AT_ONCE];
    int64_t begin_us = clock_monotonic_us(), at_once = config_int(cx->app->config, "image_cache", "precache_concurrency");
    if (!json_is_array(hosts) || !json_is_array(round.images))
        return FAULT(cx, 400, "badRequest", "Hosts and images are lists.");
    TRY(hosts_up(cx, hosts, round.hosts, &round.count));
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
    return NULL;
}
