/* SPDX-License-Identifier: Apache-2.0 */
#include "keystone/catalog/endpoint_filter.h"

#include <string.h>

struct endpoint_filter endpoint_filter_read(struct arena *arena, const json_t *filters)
{
    struct endpoint_filter filter = { 0 };
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)filters, name, value) {
        const char **member = strcmp(name, "service_id") == 0 ? &filter.service_id :
            strcmp(name, "region_id") == 0 ? &filter.region_id :
            strcmp(name, "interface") == 0 ? &filter.interface : NULL;
        if (member != NULL && json_is_string(value))
            *member = arena_strdup(arena, json_string_value(value));
        else if (member == &filter.region_id && json_is_null(value))
            filter.no_region = true;
        else
            filter.nothing = true;
    }
    return filter;
}

bool endpoint_filter_matches(const struct endpoint_filter *filter, const char *service_id, const char *region_id,
    const char *interface)
{
    if (filter->nothing || (filter->no_region && region_id != NULL))
        return false;
    if (filter->service_id != NULL && strcmp(filter->service_id, service_id) != 0)
        return false;
    if (filter->interface != NULL && strcmp(filter->interface, interface) != 0)
        return false;
    return filter->region_id == NULL || (region_id != NULL && strcmp(filter->region_id, region_id) == 0);
}
