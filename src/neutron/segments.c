/* SPDX-License-Identifier: Apache-2.0
 *
 * segments: the type drivers flat, vlan and vxlan. A segment is reserved by a row whose key is unique, so no two networks
 * ever have the same one.
 */
#include "neutron/private.h"

#include <stdlib.h>
#include <string.h>

enum { VXLAN_OVERHEAD = 50, VLAN_MAX = 4094, VXLAN_MAX = 16777215 };

struct range {
    int64_t first, last;
};

static bool listed(const char *const *list, const char *word)
{
    for (; *list != NULL; list++)
        if (strcmp(*list, word) == 0)
            return true;
    return false;
}

static bool type_enabled(struct context *cx, const char *type)
{
    return listed(config_list(cx->app->config, "ml2", "type_drivers", NULL), type);
}

/* "name", "name:first:last" or "first:last": the range and whether the text is about this physical network. */
static bool range_parse(const char *text, const char *physical_network, struct range *ret)
{
    ret->first = 0;
    ret->last = 0;
    if (physical_network != NULL) {
        size_t length = strlen(physical_network);
        if (strncmp(text, physical_network, length) != 0 || (text[length] != ':' && text[length] != '\0'))
            return false;
        if (text[length] == '\0')
            return true;
        text += length + 1;
    }
    char *end;
    ret->first = strtoll(text, &end, 10);
    ret->last = *end == ':' ? strtoll(end + 1, NULL, 10) : ret->first;
    return true;
}

static bool physical_known(struct context *cx, const char *group, const char *option, const char *name)
{
    struct range range;
    for (const char *const *at = config_list(cx->app->config, group, option, NULL); *at != NULL; at++)
        if (strcmp(*at, "*") == 0 || range_parse(*at, name, &range))
            return true;
    return false;
}

static struct fault *validate_flat(struct context *cx, const struct segment *segment)
{
    if (segment->physical_network == NULL)
        return invalid_input(cx, "physical_network required for flat provider network");
    if (segment->id != 0)
        return invalid_input(cx, "segmentation_id prohibited for flat provider network");
    if (!physical_known(cx, "ml2_type_flat", "flat_networks", segment->physical_network))
        return invalid_input(cx, "physical_network '%s' unknown for flat provider network", segment->physical_network);
    return NULL;
}

static struct fault *validate_vlan(struct context *cx, const struct segment *segment)
{
    if (segment->physical_network == NULL)
        return segment->id == 0 ? NULL : invalid_input(cx, "segmentation_id requires physical_network for VLAN provider network");
    if (!physical_known(cx, "ml2_type_vlan", "network_vlan_ranges", segment->physical_network))
        return invalid_input(cx, "physical_network '%s' unknown for VLAN provider network", segment->physical_network);
    if (segment->id < 0 || segment->id > VLAN_MAX)
        return invalid_input(cx, "segmentation_id out of range (1 through %d)", VLAN_MAX);
    return NULL;
}

struct fault *segment_validate(struct context *cx, const struct segment *segment)
{
    if (segment->type == NULL)
        return segment->physical_network == NULL && segment->id == 0 ? NULL : invalid_input(cx, "network_type required");
    if (!type_enabled(cx, segment->type))
        return invalid_input(cx, "network_type value '%s' not supported", segment->type);
    if (strcmp(segment->type, "flat") == 0)
        return validate_flat(cx, segment);
    if (strcmp(segment->type, "vlan") == 0)
        return validate_vlan(cx, segment);
    if (segment->physical_network != NULL)
        return invalid_input(cx, "provider:physical_network specified for %s network", segment->type);
    if (segment->id < 0 || segment->id > VXLAN_MAX)
        return invalid_input(cx, "segmentation_id out of range (%d through %d)", 1, VXLAN_MAX);
    return NULL;
}

int64_t segment_mtu(struct context *cx, const struct segment *segment)
{
    int64_t physical = config_int(cx->app->config, "DEFAULT", "global_physnet_mtu");
    int64_t path = config_int(cx->app->config, "ml2", "path_mtu");
    if (segment->type == NULL || strcmp(segment->type, "vxlan") != 0)
        return physical;
    return (path > 0 && path < physical ? path : physical) - VXLAN_OVERHEAD;
}

static struct fault *in_use(struct context *cx, const struct segment *segment)
{
    if (strcmp(segment->type, "flat") == 0)
        return FAULT(cx, 409, "FlatNetworkInUse", "Unable to create the flat network. Physical network %s is in use.",
            segment->physical_network);
    if (strcmp(segment->type, "vlan") == 0)
        return FAULT(cx, 409, "VlanIdInUse", "Unable to create the network. The VLAN %lld on physical network %s is in use.",
            (long long)segment->id, segment->physical_network);
    return FAULT(cx, 409, "TunnelIdInUse", "Unable to create the network. The tunnel ID %lld is in use.",
        (long long)segment->id);
}

static struct fault *insert(struct context *cx, struct tx *tx, const char *network_id, const struct segment *segment)
{
    return sql_exec_unique(tx, in_use(cx, segment), "INSERT INTO segment_allocations (network_type, physical_network, "
        "segmentation_id, network_id) VALUES (?, ?, ?, ?)", BIND(TEXT(segment->type),
        TEXT(segment->physical_network != NULL ? segment->physical_network : ""), INT(segment->id), TEXT(network_id)));
}

/* The lowest free number of a range; 0: none. */
static struct fault *lowest_free(struct tx *tx, const struct segment *segment, const struct range *range, int64_t *ret)
{
    const char *physical = segment->physical_network != NULL ? segment->physical_network : "";
    struct rows *rows;
    int64_t next = range->first;
    TRY(sql_query(tx, &rows, "SELECT segmentation_id FROM segment_allocations WHERE network_type = ? AND physical_network = ? "
        "AND segmentation_id BETWEEN ? AND ? ORDER BY segmentation_id",
        BIND(TEXT(segment->type), TEXT(physical), INT(range->first), INT(range->last))));
    while (rows_next(rows)) {
        if (rows_int(rows, 0) != next) {
            rows_end(rows);
            break;
        }
        next++;
    }
    TRY(rows_fault(rows));
    *ret = next <= range->last ? next : 0;
    return NULL;
}

/* Chooses among the configured ranges; *ret_found is false when all are used up. */
static struct fault *choose(struct context *cx, struct tx *tx, struct segment *segment, bool *ret_found)
{
    bool vlan = strcmp(segment->type, "vlan") == 0;
    const char *const *ranges = vlan ? config_list(cx->app->config, "ml2_type_vlan", "network_vlan_ranges", NULL)
                                     : config_list(cx->app->config, "ml2_type_vxlan", "vni_ranges", NULL);
    *ret_found = false;
    for (; *ranges != NULL && !*ret_found; ranges++) {
        struct segment found = *segment;
        struct range range;
        if (vlan && found.physical_network == NULL)
            found.physical_network = arena_strndup(cx->arena, *ranges, strcspn(*ranges, ":"));
        if (!range_parse(*ranges, vlan ? found.physical_network : NULL, &range) || range.first < 1)
            continue;
        TRY(lowest_free(tx, &found, &range, &found.id));
        if (found.id > 0) {
            *segment = found;
            *ret_found = true;
        }
    }
    return NULL;
}

struct fault *segment_reserve(struct context *cx, struct tx *tx, const char *network_id, struct segment *segment)
{
    bool found = true;
    if (segment->type != NULL) {
        if (strcmp(segment->type, "flat") != 0 && segment->id == 0)
            TRY(choose(cx, tx, segment, &found));
    } else {
        found = false;
        const char *const *type = config_list(cx->app->config, "ml2", "tenant_network_types", NULL);
        for (; *type != NULL && !found; type++) {
            if (strcmp(*type, "vlan") != 0 && strcmp(*type, "vxlan") != 0)
                continue;
            *segment = (struct segment){ .type = *type };
            TRY(choose(cx, tx, segment, &found));
        }
    }
    if (!found)
        return FAULT(cx, 503, "NoNetworkAvailable",
            "Unable to create the network. No tenant network is available for allocation.");
    return insert(cx, tx, network_id, segment);
}
