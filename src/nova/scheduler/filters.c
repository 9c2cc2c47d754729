/* SPDX-License-Identifier: Apache-2.0
 *
 * filters: which hosts may take an instance at all. Names and rules are those of nova/scheduler/filters.
 */
#include "base/map.h"
#include "nova/scheduler/scheduler.h"
#include "oslo/json.h"

#include <string.h>

static const char *why(const struct selection *selection, const char *format, ...) __attribute__((format(printf, 2,
    3)));

static const char *why(const struct selection *selection, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *text = arena_vprintf(selection->cx->arena, format, args);
    va_end(args);
    return text;
}

static const char *zone_removes(const struct selection *selection, const struct host *host)
{
    if (selection->zone == NULL || strcmp(selection->zone, host->zone) == 0)
        return NULL;
    return why(selection, "%s is in availability zone %s, %s was asked for", host->node->host, host->zone,
        selection->zone);
}

static const char *compute_removes(const struct selection *selection, const struct host *host)
{
    if (host->service == NULL)
        return why(selection, "%s has never reported", host->node->host);
    if (host->service->disabled)
        return why(selection, "%s is disabled, reason: %s", host->node->host,
            host->service->disabled_reason != NULL ? host->service->disabled_reason : "unknown");
    if (!host->up)
        return why(selection, "%s is down%s", host->node->host, host->service->forced_down ? " (forced)" : "");
    return NULL;
}

/* What a host has under a name of ComputeCapabilitiesFilter; NULL: nothing. */
static const char *capability(const struct selection *selection, const struct host *host, const char *path)
{
    struct arena *arena = selection->cx->arena;
    json_t *node = json_keep(arena, compute_node_to_json(arena, host->node));
    char *copy = arena_strdup(arena, path);
    for (char *p = copy; *p != '\0'; p++)
        if (*p == ':')
            *p = '.';
    const json_t *value = json_at(node, copy);
    if (value == NULL)
        value = json_at(json_object_get(node, "details"), copy);
    if (value == NULL)
        return NULL;
    return json_is_string(value) ? json_string_value(value) : json_dump(arena, value);
}

static const char *capabilities_remove(const struct selection *selection, const struct host *host)
{
    const char *key;
    json_t *wanted;
    json_object_foreach((json_t *)selection->extra_specs, key, wanted)
    {
        bool scoped = strncmp(key, "capabilities:", 13) == 0;
        if (!scoped && strchr(key, ':') != NULL)
            continue;
        const char *value = capability(selection, host, scoped ? key + 13 : key);
        if (value == NULL && !scoped)
            continue;
        if (value == NULL || !extra_spec_matches(value, json_string_value(wanted)))
            return why(selection, "%s has %s %s, %s was asked for", host->node->host, key, value != NULL ? value : "not",
                json_string_value(wanted));
    }
    return NULL;
}

/* Whether one of supported_instances has every word that is asked for. */
static bool supports(const json_t *supported, const char *const *words, size_t count)
{
    for (size_t i = 0; i < json_array_size(supported); i++) {
        const json_t *row = json_array_get(supported, i);
        bool all = true;
        for (size_t w = 0; w < count && all; w++) {
            bool found = words[w] == NULL;
            for (size_t c = 0; c < json_array_size(row) && !found; c++) {
                const char *have = json_string_value(json_array_get(row, c));
                found = have != NULL && strcasecmp(have, words[w]) == 0;
            }
            all = found;
        }
        if (all)
            return true;
    }
    return false;
}

static const char *image_removes(const struct selection *selection, const struct host *host)
{
    const char *words[] = { json_text_at(selection->image_properties, "hw_architecture"),
        json_text_at(selection->image_properties, "img_hv_type"), json_text_at(selection->image_properties,
        "hw_vm_mode") };
    if (words[0] == NULL && words[1] == NULL && words[2] == NULL)
        return NULL;
    const json_t *supported = json_parse_own(selection->cx->arena, host->node->supported_instances);
    if (supports(supported, words, 3))
        return NULL;
    return why(selection, "%s supports %s, the image needs architecture %s, hypervisor %s, mode %s", host->node->host,
        host->node->supported_instances != NULL ? host->node->supported_instances : "nothing",
        words[0] != NULL ? words[0] : "any", words[1] != NULL ? words[1] : "any", words[2] != NULL ? words[2] : "any");
}

static const char *anti_affinity_removes(const struct selection *selection, const struct host *host)
{
    if (selection->group_policy == NULL || strcmp(selection->group_policy, "anti-affinity") != 0 ||
        host->group_members < selection->max_server_per_host)
        return NULL;
    return why(selection, "%s has %lld members of the server group, at most %lld may be there", host->node->host,
        (long long)host->group_members, (long long)selection->max_server_per_host);
}

static const char *affinity_removes(const struct selection *selection, const struct host *host)
{
    if (selection->group_policy == NULL || strcmp(selection->group_policy, "affinity") != 0 ||
        selection->group_hosts->count == 0 || host->group_members > 0)
        return NULL;
    size_t at = 0;
    return why(selection, "%s has no member of the server group, %s has", host->node->host,
        map_next(selection->group_hosts, &at)->key);
}

static bool text_in(const json_t *list, const char *text)
{
    if (json_is_string(list))
        return strcmp(json_string_value(list), text) == 0;
    for (size_t i = 0; i < json_array_size(list); i++)
        if (json_is_string(json_array_get(list, i)) && strcmp(json_string_value(json_array_get(list, i)), text) == 0)
            return true;
    return false;
}

/* The hosts of a hint's servers were looked up with the hosts: "same_host" became {"hosts": [..]}. */
static const char *same_host_removes(const struct selection *selection, const struct host *host)
{
    const json_t *hosts = json_object_get(selection->hints, "same_host_hosts");
    if (hosts == NULL || text_in(hosts, host->node->host))
        return NULL;
    return why(selection, "%s has none of the servers of the hint same_host", host->node->host);
}

static const char *different_host_removes(const struct selection *selection, const struct host *host)
{
    const json_t *hosts = json_object_get(selection->hints, "different_host_hosts");
    if (hosts == NULL || !text_in(hosts, host->node->host))
        return NULL;
    return why(selection, "%s has a server of the hint different_host", host->node->host);
}

static const char *retry_removes(const struct selection *selection, const struct host *host)
{
    if (!text_in(selection->tried, host->node->host))
        return NULL;
    return why(selection, "the build failed on %s before", host->node->host);
}

static const char *requested_removes(const struct selection *selection, const struct host *host)
{
    const char *name = json_text_at(selection->spec, "requested_host"), *node = json_text_at(selection->spec,
        "requested_node");
    if (name != NULL && *name != '\0' && strcmp(name, host->node->host) != 0)
        return why(selection, "%s is not the host %s that was asked for", host->node->host, name);
    if (node != NULL && *node != '\0' && strcmp(node, host->node->hypervisor_hostname) != 0)
        return why(selection, "%s is not the node %s that was asked for", host->node->hypervisor_hostname, node);
    return NULL;
}

const struct filter scheduler_filters[] = {
    { "RequestedDestination",           requested_removes },
    { "RetryFilter",                    retry_removes },
    { "AvailabilityZoneFilter",         zone_removes },
    { "ComputeFilter",                  compute_removes },
    { "ComputeCapabilitiesFilter",      capabilities_remove },
    { "ImagePropertiesFilter",          image_removes },
    { "ServerGroupAntiAffinityFilter",  anti_affinity_removes },
    { "ServerGroupAffinityFilter",      affinity_removes },
    { "SameHostFilter",                 same_host_removes },
    { "DifferentHostFilter",            different_host_removes },
    { NULL, NULL },
};
