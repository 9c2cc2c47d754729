/* SPDX-License-Identifier: Apache-2.0
 *
 * scheduler: the role nova-scheduler. select_destinations: candidates from placement, filters, weighers, claim.
 */
#include "nova/scheduler/scheduler.h"

#include "base/log.h"
#include "base/map.h"
#include "nova/cells.h"
#include "nova/notify_request.h"
#include "nova/nova.h"
#include "nova/roles.h"
#include "nova/rpcapi.h"
#include "oslo/messaging.h"
#include "oslo/periodic.h"
#include "oslo/rest.h"
#include "oslo/trace.h"

#include <string.h>

enum { PARALLEL = 8, MAX_AMOUNTS = 32, CLAIM_TRIES = 5 };

static const char SERVICE[] = "nova-scheduler";

/* ---- what is asked for ---- */

static void set_amount(struct amount *amounts, size_t *count, const char *name, int64_t value)
{
    size_t at = 0;
    while (at < *count && strcmp(amounts[at].name, name) != 0)
        at++;
    if (at == MAX_AMOUNTS)
        return;
    amounts[at] = (struct amount){ name, value };
    if (at == *count)
        ++*count;
}

/* nova.scheduler.utils.ResourceRequest: the flavor's numbers, then extra specs resources:CLASS=n over them. */
static void read_amounts(struct selection *selection, const json_t *flavor)
{
    struct amount *amounts = ARENA_ARRAY(selection->cx->arena, struct amount, MAX_AMOUNTS + 1);
    size_t count = 0, kept = 0;
    const char *key;
    json_t *value;
    int64_t swap_gb = (json_int_at(flavor, "swap", 0) + 1023) / 1024;
    set_amount(amounts, &count, "VCPU", json_int_at(flavor, "vcpus", 0));
    set_amount(amounts, &count, "MEMORY_MB", json_int_at(flavor, "memory_mb", 0));
    set_amount(amounts, &count, "DISK_GB", json_int_at(flavor, "root_gb", 0) + json_int_at(flavor, "ephemeral_gb",
        0) + swap_gb);
    json_object_foreach((json_t *)selection->extra_specs, key, value)
        if (strncmp(key, "resources:", 10) == 0 && json_is_string(value))
            set_amount(amounts, &count, key + 10, strtoll(json_string_value(value), NULL, 10));
    for (size_t i = 0; i < count; i++)
        if (amounts[i].count > 0)
            amounts[kept++] = amounts[i];
    selection->amounts = amounts;
    selection->amount_count = kept;
}

static void add_traits(struct buf *out, const json_t *specs)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)specs, key, value)
    {
        const char *word = json_string_value(value);
        if (strncmp(key, "trait:", 6) != 0 || word == NULL)
            continue;
        if (strcmp(word, "required") == 0)
            buf_printf(out, "%s%s", out->length > 0 ? "," : "", key + 6);
        else if (strcmp(word, "forbidden") == 0)
            buf_printf(out, "%s!%s", out->length > 0 ? "," : "", key + 6);
    }
}

static struct fault *read_request(struct context *cx, const json_t *arguments, struct selection *ret)
{
    const json_t *spec = json_object_get(arguments, "request_spec"), *uuids = json_object_get(arguments,
        "instance_uuids");
    const json_t *flavor = json_object_get(spec, "flavor");
    BUF_CLEANUP struct buf traits = { 0 };
    size_t count = json_array_size(uuids);
    if (count == 0 || flavor == NULL)
        return FAULT(cx, 400, "badRequest", "select_destinations needs instances and a flavor.");
    const char **names = ARENA_ARRAY(cx->arena, const char *, count);
    for (size_t i = 0; i < count; i++)
        names[i] = json_string_value(json_array_get(uuids, i));
    *ret = (struct selection){ .cx = cx, .count = count, .instance_uuids = names, .spec = spec,
        .project_id = json_text_at(arguments, "project_id"), .user_id = json_text_at(arguments, "user_id"),
        .extra_specs = json_object_get(flavor, "extra_specs"), .image_properties = json_object_get(spec, "image"),
        .hints = json_object_get(spec, "scheduler_hints"), .zone = json_text_at(spec, "availability_zone"),
        .tried = json_at(arguments, "retry.hosts"), .max_server_per_host = 1 };
    const json_t *properties = json_object_get(ret->image_properties, "properties"); /* image API v1's form */
    if (properties != NULL)
        ret->image_properties = properties;
    if (ret->zone != NULL && ret->zone[0] == '\0')
        ret->zone = NULL;
    read_amounts(ret, flavor);
    add_traits(&traits, ret->extra_specs);
    add_traits(&traits, ret->image_properties);
    ret->required = traits.length > 0 ? arena_strdup(cx->arena, buf_text(&traits)) : NULL;
    return NULL;
}

/* ---- choosing ---- */

static struct fault *ask_placement(struct selection *selection, struct host **ret, size_t *ret_count)
{
    BUF_CLEANUP struct buf path = { 0 };
    struct rest_response answer;
    buf_puts(&path, "/allocation_candidates?resources=");
    for (size_t i = 0; i < selection->amount_count; i++)
        buf_printf(&path, "%s%s%%3A%lld", i > 0 ? "%2C" : "", rest_escape(selection->cx->arena,
            selection->amounts[i].name), (long long)selection->amounts[i].count);
    if (selection->required != NULL)
        buf_printf(&path, "&required=%s", rest_escape(selection->cx->arena, selection->required));
    bool narrow = selection->zone != NULL || json_array_size(json_object_get(selection->spec, "force_hosts")) > 0 ||
        json_text_at(selection->spec, "requested_host") != NULL || selection->tried != NULL;
    if (!narrow) /* what is looked for could lie beyond the limit */
        buf_printf(&path, "&limit=%lld", (long long)config_int(selection->cx->app->config, "scheduler",
            "max_placement_results"));
    TRY(rest_call(selection->cx, &(struct rest){ .service = "placement", .method = GET, .path = buf_text(&path),
        .as = AS_SERVICE,
        .version = PLACEMENT_VERSION }, &answer));
    return load_hosts(selection, answer.body, ret, ret_count);
}

static bool listed(const json_t *list, const char *text)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(json_string_value(json_array_get(list, i)), text) == 0)
            return true;
    return json_array_size(list) == 0;
}

/* An administrator's "zone:host:node" goes past all filters (nova/scheduler/host_manager.py). */
static bool forced(const struct selection *selection)
{
    return json_array_size(json_object_get(selection->spec, "force_hosts")) > 0 ||
           json_array_size(json_object_get(selection->spec, "force_nodes")) > 0;
}

static bool filter_host(const struct selection *selection, struct host *host, const struct filter *filter,
    const char **ret_why)
{
    const char *why = filter->removes(selection, host);
    if (why == NULL)
        return false;
    host->removed_by = filter->name;
    *ret_why = why;
    return true;
}

/* Marks what is removed; `out` gets a line a filter that removed something. */
static void run_filters(const struct selection *selection, struct host *hosts, size_t count, struct buf *out)
{
    size_t left = count;
    for (size_t i = 0; i < count; i++)
        hosts[i].removed_by = NULL;
    if (forced(selection)) {
        for (size_t i = 0; i < count; i++)
            if (!listed(json_object_get(selection->spec, "force_hosts"), hosts[i].node->host) ||
                !listed(json_object_get(selection->spec, "force_nodes"), hosts[i].node->hypervisor_hostname)) {
                hosts[i].removed_by = "force_hosts";
                left--;
            }
        if (left == 0)
            buf_printf(out, "force_hosts: the host that was asked for has no room, or is not there; %zu others have.\n", count);
        return;
    }
    for (const struct filter *filter = scheduler_filters; filter->name != NULL && left > 0; filter++) {
        size_t removed = 0;
        const char *why = NULL;
        for (size_t i = 0; i < count; i++)
            if (hosts[i].removed_by == NULL)
                removed += filter_host(selection, &hosts[i], filter, &why);
        if (removed > 0)
            buf_printf(out, "%s: removed %zu of %zu hosts; %s.\n", filter->name, removed, left, why);
        left -= removed;
    }
}

/* What earlier instances of this request took from a host counts. */
static bool has_room(const struct selection *selection, const struct host *host)
{
    for (size_t i = 0; i < selection->amount_count; i++) {
        const struct room *room = host_room(host, selection->amounts[i].name);
        if (room != NULL && room->used + selection->amounts[i].count > room->capacity)
            return false;
    }
    return true;
}

static void consume(const struct selection *selection, struct host *host)
{
    for (size_t i = 0; i < selection->amount_count; i++) {
        struct room *room = (struct room *)host_room(host, selection->amounts[i].name);
        if (room != NULL)
            room->used += selection->amounts[i].count;
    }
    host->instances++;
    host->io_ops++;
    if (selection->group_policy != NULL)
        map_set(selection->group_hosts, host->node->host, (void *)(intptr_t)++host->group_members);
}

static struct fault *no_valid_host(const struct selection *selection, const char *details)
{
    struct fault *fault = FAULT(selection->cx, 500, "NoValidHost",
        "No valid host was found. There are not enough hosts available.");
    return fault_detail(selection->cx->arena, fault, "%s", details);
}

static struct fault *choose_all(struct selection *selection, struct host *hosts, size_t count, struct host **chosen)
{
    BUF_CLEANUP struct buf details = { 0 };
    struct span *span = trace_begin(selection->cx, SERVICE, NULL, "filter and weigh %zu hosts", count);
    struct fault *fault = NULL;
    run_filters(selection, hosts, count, &details);
    for (size_t i = 0; i < selection->count && fault == NULL; i++) {
        size_t full = 0;
        if (i > 0 && selection->group_policy != NULL) { /* the group grows with each */
            buf_clear(&details);
            run_filters(selection, hosts, count, &details);
        }
        for (size_t h = 0; h < count; h++)
            if (hosts[h].removed_by == NULL && !has_room(selection, &hosts[h])) {
                hosts[h].removed_by = "Placement";
                full++;
            }
        if (full > 0)
            buf_printf(&details, "Placement: %zu hosts are full after %zu of %zu instances.\n", full, i,
                selection->count);
        chosen[i] = weigh_hosts(selection, hosts, count);
        if (chosen[i] == NULL)
            fault = no_valid_host(selection, buf_text(&details));
        else
            consume(selection, chosen[i]);
    }
    return trace_end(selection->cx, span, fault);
}

static json_t *destinations(const struct selection *selection, struct host *const *chosen)
{
    json_t *list = json_array();
    for (size_t i = 0; i < selection->count; i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:s, s:O, s:{}}",
            "instance_uuid", selection->instance_uuids[i], "host", chosen[i]->node->host,
            "node", chosen[i]->node->hypervisor_hostname, "provider", chosen[i]->node->uuid,
            "availability_zone", chosen[i]->zone, "allocation_request", chosen[i]->allocations, "limits"));
    return list;
}

static struct fault *select_destinations(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result)
{
    struct selection selection;
    bool again = true;
    TRY(read_request(cx, arguments, &selection));
    const struct notify_request told = { selection.instance_uuids[0], (int64_t)selection.count, selection.spec,
        json_object_get(arguments, "retry") };
    notify_select_destinations(cx, &told, "start");
    struct host **chosen = ARENA_ARRAY(cx->arena, struct host *, selection.count);
    for (int tries = 0; again; tries++) {
        struct host *hosts;
        size_t count;
        if (tries == CLAIM_TRIES)
            return no_valid_host(&selection, "Placement: other requests took what was chosen, each time.\n");
        TRY(ask_placement(&selection, &hosts, &count));
        if (count == 0)
            return no_valid_host(&selection, explain_placement(&selection));
        TRY(choose_all(&selection, hosts, count, chosen));
        TRY(claim_allocations(&selection, chosen, &again));
    }
    notify_select_destinations(cx, &told, "end");
    *ret_result = destinations(&selection, chosen);
    return NULL;
}

/* ---- the role ---- */

static const struct rpc_method methods[] = {
    { RPC_SELECT_DESTINATIONS, "4.0", select_destinations },
    { NULL, NULL, NULL },
};

static struct fault *report(struct context *cx, void *owner)
{
    struct service_row row;
    return service_report(cx->arena, cx->app->db, cx->app->cloud->host, SERVICE, TOPIC_SCHEDULER, &row);
}

static struct fault *discover(struct context *cx, void *owner)
{
    return cells_discover(cx);
}

static struct periodic *reporting, *discovering;

void nova_scheduler_stop(struct app *app)
{
    periodic_stop(discovering);
    periodic_stop(reporting);
    discovering = reporting = NULL;
}

struct fault *nova_scheduler_start(struct context *cx)
{
    reporting = periodic_start(cx->app, "nova-scheduler report", 0,
        config_int(cx->app->config, "DEFAULT", "report_interval") * 1000, report, NULL);
    int64_t interval = config_int(cx->app->config, "scheduler", "discover_hosts_in_cells_interval");
    if (interval > 0 && cx->app->cloud->programs)
        discovering = periodic_start(cx->app, "discover hosts in cells", 1000, interval * 1000, discover, NULL);
    return rpc_serve(cx, TOPIC_SCHEDULER, cx->app->cloud->host, methods, NULL, PARALLEL);
}

static const struct option scheduler_rows[] = {
    { "DEFAULT", "service_down_time", OPTION_INT, "60", "Maximum time in seconds since last check-in for up service." },
    { "DEFAULT", "report_interval", OPTION_INT, "10",
    "Number of seconds indicating how frequently the state of services on a"
        " given hypervisor is reported.", .min = 1, .max = 86400 },
    { "DEFAULT", "default_availability_zone", OPTION_STR, "nova", "Default availability zone for compute services." },
    { "scheduler", "discover_hosts_in_cells_interval", OPTION_INT, "-1",
        "Seconds between searches for hosts that no cell has; -1: only nova-manage searches.", .min = -1, .max = 86400 },
    { "scheduler", "max_attempts", OPTION_INT, "3", "The maximum number of schedule attempts.", .min = 1, .max = 1000 },
    { "scheduler", "max_placement_results", OPTION_INT, "1000", "The maximum number of placement results to request.",
        .min = 1, .max = 100000 },
    { "filter_scheduler", "host_subset_size", OPTION_INT, "1", "Size of subset of best hosts selected by scheduler.",
    .min = 1,
        .max = 1000000 },
    { "filter_scheduler", "ram_weight_multiplier", OPTION_FLOAT, "1.0", "RAM weight multiplier ratio." },
    { "filter_scheduler", "cpu_weight_multiplier", OPTION_FLOAT, "1.0", "CPU weight multiplier ratio." },
    { "filter_scheduler", "disk_weight_multiplier", OPTION_FLOAT, "1.0", "Disk weight multiplier ratio." },
    { "filter_scheduler", "io_ops_weight_multiplier", OPTION_FLOAT, "-1.0", "IO operations weight multiplier ratio." },
    { "filter_scheduler", "soft_affinity_weight_multiplier", OPTION_FLOAT, "1.0",
        "Multiplier used for weighing hosts for group soft-affinity." },
    { "filter_scheduler", "soft_anti_affinity_weight_multiplier", OPTION_FLOAT, "1.0",
        "Multiplier used for weighing hosts for group soft-anti-affinity." },
};
const struct option_table nova_scheduler_options = OPTION_TABLE(scheduler_rows);
