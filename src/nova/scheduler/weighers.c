/* SPDX-License-Identifier: Apache-2.0
 *
 * weighers: which of the hosts that remain is best. nova/scheduler/weights: each weigher's numbers are stretched to
 * 0..1 over all hosts, multiplied, and summed.
 */
#include "base/random.h"
#include "nova/scheduler/scheduler.h"
#include "oslo/app.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const struct room *host_room(const struct host *host, const char *name)
{
    for (size_t i = 0; i < host->room_count; i++)
        if (strcmp(host->rooms[i].name, name) == 0)
            return &host->rooms[i];
    return NULL;
}

static double free_of(const struct host *host, const char *name)
{
    const struct room *room = host_room(host, name);
    return room != NULL ? (double)(room->capacity - room->used) : 0;
}

static double weigh_ram(const struct selection *selection, const struct host *host)
{
    return free_of(host, "MEMORY_MB");
}

static double weigh_cpu(const struct selection *selection, const struct host *host)
{
    return free_of(host, "VCPU");
}

static double weigh_disk(const struct selection *selection, const struct host *host)
{
    return free_of(host, "DISK_GB");
}

static double weigh_io_ops(const struct selection *selection, const struct host *host)
{
    return (double)host->io_ops;
}

static bool has_policy(const struct selection *selection, const char *policy)
{
    return selection->group_policy != NULL && strcmp(selection->group_policy, policy) == 0;
}

static double weigh_affinity(const struct selection *selection, const struct host *host)
{
    return has_policy(selection, "soft-affinity") ? (double)host->group_members : 0;
}

static double weigh_anti_affinity(const struct selection *selection, const struct host *host)
{
    return has_policy(selection, "soft-anti-affinity") ? -(double)host->group_members : 0;
}

static const struct weigher {
    const char *multiplier; /* option in [filter_scheduler] */
    double (*weigh)(const struct selection *selection, const struct host *host);
    bool from_zero;         /* the lowest possible number is 0, whatever the hosts have */
} weighers[] = {
    { "ram_weight_multiplier",                weigh_ram,           false },
    { "cpu_weight_multiplier",                weigh_cpu,           false },
    { "disk_weight_multiplier",               weigh_disk,          false },
    { "io_ops_weight_multiplier",             weigh_io_ops,        true },
    { "soft_affinity_weight_multiplier",      weigh_affinity,      false },
    { "soft_anti_affinity_weight_multiplier", weigh_anti_affinity, false },
};

static void apply(const struct selection *selection, const struct weigher *weigher, struct host *hosts, size_t count)
{
    double multiplier = config_float(selection->cx->app->config, "filter_scheduler", weigher->multiplier);
    double low = weigher->from_zero ? 0 : INFINITY, high = -INFINITY;
    if (multiplier == 0)
        return;
    for (size_t i = 0; i < count; i++) {
        if (hosts[i].removed_by != NULL)
            continue;
        double weight = weigher->weigh(selection, &hosts[i]);
        low = weight < low ? weight : low;
        high = weight > high ? weight : high;
    }
    if (high <= low)
        return;
    for (size_t i = 0; i < count; i++)
        if (hosts[i].removed_by == NULL)
            hosts[i].weight += multiplier * (weigher->weigh(selection, &hosts[i]) - low) / (high - low);
}

static int by_weight(const void *a, const void *b)
{
    const struct host *x = *(struct host *const *)a, *y = *(struct host *const *)b;
    if (x->weight != y->weight)
        return x->weight < y->weight ? 1 : -1;
    return (x->node->id > y->node->id) - (x->node->id < y->node->id);
}

struct host *weigh_hosts(const struct selection *selection, struct host *hosts, size_t count)
{
    struct host **left = ARENA_ARRAY(selection->cx->arena, struct host *, count + 1);
    size_t left_count = 0;
    for (size_t i = 0; i < count; i++) {
        hosts[i].weight = 0;
        if (hosts[i].removed_by == NULL)
            left[left_count++] = &hosts[i];
    }
    if (left_count == 0)
        return NULL;
    for (size_t i = 0; i < sizeof(weighers) / sizeof(weighers[0]); i++)
        apply(selection, &weighers[i], hosts, count);
    int64_t subset = config_int(selection->cx->app->config, "filter_scheduler", "host_subset_size");
    if (subset <= 1) {
        struct host *best = left[0];
        for (size_t i = 1; i < left_count; i++)
            if (by_weight(&left[i], &best) < 0)
                best = left[i];
        return best;
    }
    qsort(left, left_count, sizeof(*left), by_weight);
    return left[random_below((uint64_t)subset < left_count ? (uint64_t)subset : left_count)];
}
