/* SPDX-License-Identifier: Apache-2.0
 *
 * resources: what a host has: its compute node row in nova, its resource provider, inventory and traits in placement.
 *
 * All hosts of the process go to the conductor in one message. Placement is told only what has changed since the last time,
 * and what it has forgotten meanwhile.
 */
#include "base/clock.h"
#include "base/log.h"
#include "nova/compute/compute.h"
#include "nova/hosts.h"

#include <string.h>

#define PLACEMENT_VERSION "placement 1.36"
enum { GENERATION_TRIES = 4, MANY_HOSTS = 8 };

static struct fault *placement(struct context *cx, enum http_method method, const char *path, json_t *body,
    struct rest_response *ret)
{
    return rest_call(cx, &(struct rest){ .service = "placement", .method = method, .path = path, .body = body,
        .as = AS_SERVICE,
        .version = PLACEMENT_VERSION, .accept_status = -1 }, ret);
}

static struct fault *refused(struct context *cx, const char *what, const struct compute_host *host,
    const struct rest_response *answer)
{
    return FAULT(cx, 500, NULL, "Placement refused %s of %s: %d %.*s", what, host->name, answer->status,
        answer->data_length < 300 ? (int)answer->data_length : 300, answer->data != NULL ? answer->data : "");
}

/* ---- the compute node ---- */

static void fill_node(const struct compute_host *host, struct context *cx, const struct virt_resources *have,
    struct compute_node *ret)
{
    const char *my_ip = config_str(cx->app->config, "DEFAULT", "my_ip");
    *ret = (struct compute_node){ .uuid = host->provider[0] != '\0' ? host->provider : NULL, .host = host->name,
        .hypervisor_hostname = host->node, .hypervisor_type = have->hypervisor_type,
        .hypervisor_version = (int64_t)have->hypervisor_version, .host_ip = my_ip, .vcpus = have->vcpus,
        .memory_mb = (int64_t)have->memory_mb, .local_gb = (int64_t)have->local_gb, .vcpus_used = have->vcpus_used,
        .memory_mb_used = (int64_t)have->memory_mb_used, .local_gb_used = (int64_t)have->local_gb_used,
        .free_ram_mb = (int64_t)have->memory_mb - (int64_t)have->memory_mb_used,
        .free_disk_gb = (int64_t)have->local_gb - (int64_t)have->local_gb_used,
        .disk_available_least = have->disk_available_least, .running_vms = (int64_t)have->running_vms,
        .cpu_info = have->cpu_info,
        .supported_instances = arena_printf(cx->arena, "[[\"%s\",\"%s\",\"hvm\"]]", have->arch, have->virt_type),
        .details = arena_printf(cx->arena, "{\"virt_type\":\"%s\"}", have->virt_type) };
}

static struct fault *tell_nodes(struct context *cx, struct compute *compute, const struct virt_resources *have)
{
    json_t *nodes = json_array(), *uuids;
    for (size_t i = 0; i < compute->host_count; i++) {
        struct compute_node node;
        if (compute->hosts[i].virt == NULL)
            continue;
        fill_node(&compute->hosts[i], cx, &have[i], &node);
        json_array_append_new(nodes, compute_node_to_json(cx->arena, &node));
    }
    json_t *arguments = json_keep(cx->arena, json_pack("{s:o}", "nodes", nodes));
    TRY(rpc_call(cx, &(struct rpc_target){ TOPIC_CONDUCTOR, NULL, CONDUCTOR_VERSION }, RPC_COMPUTE_NODE_UPDATE,
        arguments, 0, &uuids));
    size_t at = 0;
    for (size_t i = 0; i < compute->host_count; i++)
        if (compute->hosts[i].virt != NULL) {
            const char *uuid = json_string_value(json_array_get(uuids, at++));
            if (uuid != NULL && compute->hosts[i].provider[0] == '\0')
                snprintf(compute->hosts[i].provider, sizeof(compute->hosts[i].provider), "%s", uuid);
        }
    return NULL;
}

/* ---- the resource provider ---- */

static void add_inventory(struct context *cx, json_t *to, const char *name, int64_t total, int64_t reserved,
    double ratio)
{
    if (total > 0)
        json_object_set_new(to, name, json_pack("{s:I, s:I, s:i, s:I, s:i, s:f}", "total", (json_int_t)total,
            "reserved", (json_int_t)reserved, "min_unit", 1, "max_unit", (json_int_t)total, "step_size", 1,
            "allocation_ratio", ratio));
}

/* An unset ratio is the initial one, as nova has it. */
static double ratio_of(const struct config *config, const char *name, const char *initial)
{
    double ratio = config_float(config, "DEFAULT", name);
    return ratio > 0 ? ratio : config_float(config, "DEFAULT", initial);
}

static json_t *inventories(struct context *cx, const struct virt_resources *have)
{
    const struct config *config = cx->app->config;
    json_t *all = json_object();
    int64_t memory = (int64_t)have->memory_mb, reserved = config_int(config, "DEFAULT", "reserved_host_memory_mb");
    add_inventory(cx, all, "VCPU", have->vcpus, config_int(config, "DEFAULT", "reserved_host_cpus"),
        ratio_of(config, "cpu_allocation_ratio", "initial_cpu_allocation_ratio"));
    add_inventory(cx, all, "MEMORY_MB", memory, reserved < memory ? reserved : 0,
        ratio_of(config, "ram_allocation_ratio", "initial_ram_allocation_ratio"));
    add_inventory(cx, all, "DISK_GB", (int64_t)have->local_gb, config_int(config, "DEFAULT",
        "reserved_host_disk_mb") / 1024, ratio_of(config, "disk_allocation_ratio", "initial_disk_allocation_ratio"));
    return all;
}

static uint64_t digest_of(const char *text, uint64_t digest)
{
    for (; *text != '\0'; text++)
        digest = (digest ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return digest;
}

/* The provider's generation; it is made when it is not there. `known` (uuid -> generation + 1) spares the question. */
static struct fault *ensure_provider(struct context *cx, const struct compute_host *host, const struct map *known,
    int64_t *ret_generation)
{
    struct rest_response answer = { .status = 404 };
    intptr_t listed = known != NULL ? (intptr_t)map_get(known, host->provider) : 0;
    if (listed > 0) {
        *ret_generation = listed - 1;
        return NULL;
    }
    if (known == NULL)
        TRY(placement(cx, GET, arena_printf(cx->arena, "/resource_providers/%s", host->provider), NULL, &answer));
    if (answer.status == 404) {
        json_t *body = json_keep(cx->arena, json_pack("{s:s, s:s}", "name", host->node, "uuid", host->provider));
        TRY(placement(cx, POST, "/resource_providers", body, &answer));
    }
    if (answer.status != 200)
        return refused(cx, "the resource provider", host, &answer);
    *ret_generation = json_int_at(answer.body, "generation", 0);
    return NULL;
}

/* All providers at once, when there is much to tell. */
static struct fault *list_providers(struct context *cx, struct map *known)
{
    struct rest_response answer;
    TRY(placement(cx, GET, "/resource_providers", NULL, &answer));
    const json_t *list = json_object_get(answer.body, "resource_providers");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *provider = json_array_get(list, i);
        map_set(known, json_text_at(provider, "uuid"), (void *)(intptr_t)(json_int_at(provider, "generation", 0) + 1));
    }
    return NULL;
}

static struct fault *put_inventories(struct context *cx, const struct compute_host *host, json_t *wanted,
    int64_t *generation,
    bool *ret_again)
{
    struct rest_response answer;
    json_t *body = json_keep(cx->arena, json_pack("{s:I, s:O}", "resource_provider_generation", (json_int_t)*generation,
        "inventories", wanted));
    TRY(placement(cx, PUT, arena_printf(cx->arena, "/resource_providers/%s/inventories", host->provider), body,
        &answer));
    *ret_again = answer.status == 409;
    if (answer.status >= 400 && answer.status != 409)
        return refused(cx, "the inventory", host, &answer);
    *generation = json_int_at(answer.body, "resource_provider_generation", *generation);
    return NULL;
}

/* The host's own traits replace what it told before; what an operator added (CUSTOM_) stays. */
static struct fault *put_traits(struct context *cx, const struct compute_host *host, const struct virt_resources *have,
    int64_t generation, bool *ret_again)
{
    struct rest_response answer;
    const char *path = arena_printf(cx->arena, "/resource_providers/%s/traits", host->provider);
    json_t *names = json_keep(cx->arena, json_array());
    TRY(placement(cx, GET, path, NULL, &answer));
    const json_t *before = json_object_get(answer.body, "traits");
    for (size_t i = 0; i < json_array_size(before); i++)
        if (strncmp(json_string_value(json_array_get(before, i)), "CUSTOM_", 7) == 0)
            json_array_append(names, json_array_get(before, i));
    for (const char *const *t = have->traits; t != NULL && *t != NULL; t++)
        json_array_append_new(names, json_string(*t));
    json_t *body = json_keep(cx->arena, json_pack("{s:I, s:O}", "resource_provider_generation", (json_int_t)generation,
        "traits", names));
    TRY(placement(cx, PUT, path, body, &answer));
    *ret_again = answer.status == 409;
    return answer.status < 400 || answer.status == 409 ? NULL : refused(cx, "the traits", host, &answer);
}

/* Somebody deleted the provider: with the host's service, or by itself. */
static bool is_forgotten(struct context *cx, const struct compute_host *host, const struct map *known)
{
    struct rest_response answer;
    if (known != NULL)
        return map_get(known, host->provider) == NULL;
    struct fault *fault = placement(cx, GET, arena_printf(cx->arena, "/resource_providers/%s", host->provider), NULL, &answer);
    return fault == NULL && answer.status == 404;
}

/* `look`: whether what was told before is still there. */
static struct fault *tell_placement(struct context *cx, struct compute_host *host, const struct virt_resources *have,
    const struct map *known, bool look)
{
    json_t *wanted = json_keep(cx->arena, inventories(cx, have));
    uint64_t digest = digest_of(json_dump(cx->arena, wanted), UINT64_C(0xcbf29ce484222325));
    for (const char *const *t = have->traits; t != NULL && *t != NULL; t++)
        digest = digest_of(*t, digest);
    if (digest == host->inventory_digest && !(look && is_forgotten(cx, host, known)))
        return NULL;
    bool again = true;
    for (int tries = 0; again; tries++) {
        int64_t generation;
        if (tries == GENERATION_TRIES)
            return FAULT(cx, 409, NULL, "The resource provider of %s changes too often.", host->name);
        TRY(ensure_provider(cx, host, tries == 0 ? known : NULL, &generation));
        TRY(put_inventories(cx, host, wanted, &generation, &again));
        if (!again)
            TRY(put_traits(cx, host, have, generation, &again));
    }
    host->inventory_digest = digest;
    return NULL;
}

/* Now and then: nobody else tells us of it. */
static bool time_to_look(const struct context *cx, struct compute *compute)
{
    int64_t every_us = config_int(cx->app->config, "compute", "resource_provider_association_refresh") * 1000000;
    int64_t now = clock_monotonic_us();
    if (every_us == 0 || now - compute->looked_us < every_us)
        return false;
    compute->looked_us = now;
    return true;
}

struct fault *update_available_resource(struct context *cx, void *owner)
{
    struct compute *compute = owner;
    struct virt_resources *have = ARENA_ARRAY(cx->arena, struct virt_resources, compute->host_count);
    for (size_t i = 0; i < compute->host_count; i++)
        if (compute->hosts[i].virt != NULL)
            TRY(compute->driver->resources(compute->hosts[i].virt, cx->arena, &have[i]));
    TRY(tell_nodes(cx, compute, have));
    struct map known = { 0 };
    bool first = compute->hosts[0].inventory_digest == 0, look = time_to_look(cx, compute);
    bool listed = first || (look && compute->host_count > MANY_HOSTS);
    struct fault *fault = listed ? list_providers(cx, &known) : NULL;
    for (size_t i = 0; i < compute->host_count && fault == NULL; i++) {
        if (compute->hosts[i].virt == NULL)
            continue;
        ARENA_CLEANUP struct arena *arena = arena_create();
        struct context child = context_child(cx, arena);
        fault = fault_copy(cx->arena, tell_placement(&child, &compute->hosts[i], &have[i], listed ? &known : NULL, look));
    }
    map_release(&known);
    return fault;
}
