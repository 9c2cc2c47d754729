/* SPDX-License-Identifier: Apache-2.0
 *
 * subnets: address ranges on a network. API reference: Subnets.
 */
#include "base/random.h"
#include "neutron/private.h"

#include <string.h>

enum {
    ID, NAME, TENANT, NETWORK_ID, IP_VERSION, CIDR, SUBNETPOOL, GATEWAY, POOLS, DHCP, NAMESERVERS, ROUTES, RA_MODE,
    ADDRESS_MODE, SERVICE_TYPES, DESCRIPTION, SHARED, TAGS, TAGS_ANY, NOT_TAGS, NOT_TAGS_ANY, CREATED, UPDATED, REVISION, FIELDS
};

static const char *const mode_names[] = { "dhcpv6-stateful", "dhcpv6-stateless", "slaac", NULL };

static struct fault *load_null(struct op *op, struct page *page, size_t field)
{
    for (size_t i = 0; i < page->count; i++)
        page->rows[i].values[field] = VALUE_NONE;
    return NULL;
}

/* Policy knows a subnet as shared when its network is. */
static struct fault *load_shared(struct op *op, struct page *page, size_t field)
{
    for (size_t i = 0; i < page->count; i++) {
        struct network_info *info;
        TRY(network_info(op->tx, row_text(&page->rows[i], NETWORK_ID), &info));
        page->rows[i].values[field] = VALUE_BOOL(info != NULL && info->shared);
    }
    return NULL;
}

static struct fault *shared_filter(struct op *op, const struct field *field, const char *const *values, size_t count,
    struct where *where)
{
    struct op *networks = op_create(op->cx, NULL, &network_resource, OP_INTERNAL);
    struct where *inner = ARENA_NEW(op->cx->arena, struct where);
    where_init(inner, op->cx->arena);
    TRY(resource_filter(networks, "shared", values, count, inner));
    where_and(where, arena_printf(op->cx->arena, "network_id IN (SELECT id FROM networks WHERE %s)", buf_text(&inner->sql)),
        inner->values, inner->count);
    return NULL;
}

/* Bits behind the prefix are let pass, as in the reference. */
static struct fault *prefix_check(struct op *op, const struct field *field, const char *text, struct network_prefix *ret)
{
    if (!prefix_parse(text, ret))
        return invalid_value(op->cx, field->name, "'%s' is not a valid IP subnet", text);
    if (strchr(text, '/') == NULL)
        return invalid_value(op->cx, field->name, "'%s' isn't a recognized IP subnet cidr, '%s' is recommended", text,
            prefix_text(op->cx->arena, ret));
    return NULL;
}

static struct fault *cidr_check(struct op *op, const struct field *field, struct value *value)
{
    struct network_prefix prefix;
    TRY(prefix_check(op, field, value->text, &prefix));
    if (prefix.length == 0)
        return invalid_input(op->cx, "0 is not allowed as CIDR prefix length");
    value->text = prefix_text(op->cx->arena, &prefix);
    return NULL;
}

static struct fault *address_check(struct op *op, const struct field *field, struct value *value)
{
    struct address address;
    if (!address_parse(value->text, &address))
        return invalid_value(op->cx, field->name, "'%s' is not a valid IP address", value->text);
    value->text = address_text(op->cx->arena, address);
    return NULL;
}

static struct fault *nameservers_check(struct op *op, const struct field *field, struct value *value)
{
    struct address address;
    for (size_t i = 0; i < json_array_size(value->json); i++) {
        const char *text = json_string_value(json_array_get(value->json, i));
        if (text == NULL || !address_parse(text, &address))
            return invalid_value(op->cx, field->name, "'%s' is not a valid nameserver. '%s' is not a valid IP address",
                json_shown(op->cx->arena, json_array_get(value->json, i)),
                json_shown(op->cx->arena, json_array_get(value->json, i)));
        for (size_t k = 0; k < i; k++)
            if (json_equal(json_array_get(value->json, i), json_array_get(value->json, k)))
                return invalid_value(op->cx, field->name, "Duplicate nameserver '%s'", text);
    }
    return NULL;
}

static struct fault *routes_check(struct op *op, const struct field *field, struct value *value)
{
    struct network_prefix prefix;
    struct address address;
    for (size_t i = 0; i < json_array_size(value->json); i++) {
        const json_t *item = json_array_get(value->json, i);
        const char *destination = json_text_at(item, "destination"), *nexthop = json_text_at(item, "nexthop");
        if (!json_is_object(item) || json_object_size(item) != 2 || destination == NULL || nexthop == NULL)
            return invalid_value(op->cx, field->name, "Invalid data format for hostroute: '%s'", json_shown(op->cx->arena, item));
        TRY(prefix_check(op, field, destination, &prefix));
        if (!address_parse(nexthop, &address))
            return invalid_value(op->cx, field->name, "'%s' is not a valid IP address", nexthop);
    }
    return NULL;
}

static struct fault *pools_check(struct op *op, const struct field *field, struct value *value)
{
    struct address address;
    for (size_t i = 0; i < json_array_size(value->json); i++) {
        const json_t *item = json_array_get(value->json, i);
        const char *start = json_text_at(item, "start"), *end = json_text_at(item, "end");
        if (!json_is_object(item) || json_object_size(item) != 2 || start == NULL || end == NULL)
            return invalid_value(op->cx, field->name, "Invalid data format for IP pool: '%s'", json_shown(op->cx->arena, item));
        if (!address_parse(start, &address) || !address_parse(end, &address))
            return invalid_value(op->cx, field->name, "'%s' is not a valid IP address", !address_parse(start,
                &address) ? start : end);
    }
    return NULL;
}

static const struct field subnet_fields[FIELDS] = {
    [ID]            = { "id",                UUID, COLUMN("id"),                FILTER | SORT, .automatic = NEW_UUID },
    [NAME]          = { "name",              STR,  COLUMN("name"),              CREATE | UPDATE | FILTER | SORT, .def = STR_DEF("") },
    [TENANT]        = { "project_id",        STR,  COLUMN("project_id"),        CREATE | FILTER | SORT, .alias = "tenant_id", .check = check_project, .def = CALLER_PROJECT },
    [NETWORK_ID]    = { "network_id",        UUID, COLUMN("network_id"),        CREATE | FILTER | SORT | REQUIRED },
    [IP_VERSION]    = { "ip_version",        INT,  COLUMN("ip_version"),        CREATE | FILTER | SORT },
    [CIDR]          = { "cidr",              STR,  COLUMN("cidr"),              CREATE | FILTER | SORT | REQUIRED, .max = 64, .check = cidr_check },
    [SUBNETPOOL]    = { "subnetpool_id",     UUID, LOADER(load_null),           CREATE | NULLABLE, .def = NULL_DEF },
    [GATEWAY]       = { "gateway_ip",        STR,  COLUMN("gateway_ip"),        CREATE | UPDATE | FILTER | SORT | NULLABLE, .check = address_check },
    [POOLS]         = { "allocation_pools",  LIST, COLUMN("allocation_pools"),  CREATE | UPDATE, .check = pools_check },
    [DHCP]          = { "enable_dhcp",       BOOL, COLUMN("enable_dhcp"),       CREATE | UPDATE | FILTER | SORT, .def = TRUE_DEF },
    [NAMESERVERS]   = { "dns_nameservers",   LIST, COLUMN("dns_nameservers"),   CREATE | UPDATE, .check = nameservers_check, .def = JSON_DEF("[]") },
    [ROUTES]        = { "host_routes",       LIST, COLUMN("host_routes"),       CREATE | UPDATE, .check = routes_check, .def = JSON_DEF("[]") },
    [RA_MODE]       = { "ipv6_ra_mode",      ENUM, COLUMN("ipv6_ra_mode"),      CREATE | FILTER | SORT | NULLABLE, .names = mode_names, .def = NULL_DEF },
    [ADDRESS_MODE]  = { "ipv6_address_mode", ENUM, COLUMN("ipv6_address_mode"), CREATE | FILTER | SORT | NULLABLE, .names = mode_names, .def = NULL_DEF },
    [SERVICE_TYPES] = { "service_types",     LIST, COLUMN("service_types"),     CREATE | UPDATE | PER_FIELD, .def = JSON_DEF("[]") },
    [DESCRIPTION]   = { "description",       STR,  COLUMN("description"),       CREATE | UPDATE | FILTER | SORT, .def = STR_DEF("") },
    [SHARED]        = { "shared",            BOOL, LOADER(load_shared),         FILTER | HIDDEN | IN_TARGET, .filter = shared_filter },
    [TAGS]          = { "tags",              LIST, COLUMN("tags"),              FILTER, .def = JSON_DEF("[]"), .filter = tags_filter },
    [TAGS_ANY]      = { "tags-any",          LIST, NOWHERE,                     FILTER | HIDDEN, .filter = tags_filter },
    [NOT_TAGS]      = { "not-tags",          LIST, NOWHERE,                     FILTER | HIDDEN, .filter = tags_filter },
    [NOT_TAGS_ANY]  = { "not-tags-any",      LIST, NOWHERE,                     FILTER | HIDDEN, .filter = tags_filter },
    [CREATED]       = { "created_at",        TIME, COLUMN("created_at"),        FILTER | SORT, .automatic = CREATED_AT, .format = CLOCK_ISO },
    [UPDATED]       = { "updated_at",        TIME, COLUMN("updated_at"),        FILTER | SORT, .automatic = UPDATED_AT, .format = CLOCK_ISO },
    [REVISION]      = { "revision_number",   INT,  COLUMN("revision"),          FILTER | SORT, .automatic = REVISION_COUNTER },
};

/* ---- Policy and visibility ---- */

static struct fault *subnet_visible(struct op *op, struct where *where)
{
    where_or(where, "network_id IN (SELECT id FROM networks WHERE shared = 1)", NO_BIND);
    return NULL;
}

static struct fault *subnet_target(struct op *op, struct row *row, const char *name, const char **ret)
{
    if (row != NULL && row->private == NULL && row_text(row, NETWORK_ID) != NULL) {
        struct network_info *info;
        struct tx *tx = op->tx;
        if (tx == NULL)
            TRY(db_read(op->cx->arena, op->cx->app->db, &tx));
        struct fault *fault = network_info(tx, row_text(row, NETWORK_ID), &info);
        if (op->tx == NULL)
            tx_end(tx);
        TRY(fault);
        row->private = info;
    }
    return network_target(row != NULL ? row->private : NULL, name, ret);
}

/* ---- Validation ---- */

static struct fault *version_checks(struct op *op, struct row *row, const struct network_prefix *prefix)
{
    int64_t version = row->values[IP_VERSION].state == VALUE_SET ? row_int(row, IP_VERSION) : prefix->first.version;
    if (version != 4 && version != 6)
        return invalid_value(op->cx, "ip_version", "'%lld' is not in [4, 6]", (long long)version);
    if (version != prefix->first.version)
        return invalid_input(op->cx, "Invalid CIDR %s for given IP version %lld", row_text(row, CIDR), (long long)version);
    row->values[IP_VERSION] = VALUE_INT(version);
    const char *ra = row_text(row, RA_MODE), *mode = row_text(row, ADDRESS_MODE);
    if (ra == NULL && mode == NULL)
        return NULL;
    if (version == 4)
        return invalid_input(op->cx, "ipv6_ra_mode or ipv6_address_mode cannot be set when ip_version is 4");
    if (!row_int(row, DHCP))
        return invalid_input(op->cx, "ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False");
    if (ra != NULL && mode != NULL && strcmp(ra, mode) != 0)
        return invalid_input(op->cx, "ipv6_ra_mode set to '%s' with ipv6_address_mode set to '%s' is not valid. If both "
            "attributes are set, they must be the same value", ra, mode);
    if (prefix->length != 64 && ((ra != NULL && strcmp(ra, "dhcpv6-stateful") != 0) || (mode != NULL && strcmp(mode,
        "dhcpv6-stateful") != 0)))
        return invalid_input(op->cx, "Invalid CIDR %s for IPv6 address mode. OpenStack uses the EUI-64 address format, which "
            "requires the prefix to be /64", row_text(row, CIDR));
    return NULL;
}

static struct fault *gateway_choose(struct op *op, struct row *row, const struct network_prefix *prefix)
{
    struct address gateway;
    if (row->values[GATEWAY].state == VALUE_ABSENT) {
        if (prefix->length >= (prefix->first.version == 4 ? 32 : 128)) {
            row->values[GATEWAY] = VALUE_NONE;
            return NULL;
        }
        gateway = prefix->first;
        gateway.number += prefix->first.version == 4 && prefix->length == 31 ? 0 : 1;
        row->values[GATEWAY] = VALUE_STR(address_text(op->cx->arena, gateway));
        return NULL;
    }
    const char *text = row_text(row, GATEWAY);
    if (text == NULL)
        return NULL;
    address_parse(text, &gateway);
    if (gateway.version != prefix->first.version)
        return invalid_input(op->cx, "gateway_ip '%s' does not match the ip_version '%d'", text, prefix->first.version);
    bool edge = prefix_holds(prefix, gateway) && prefix->first.version == 4 && prefix->length < 31 &&
                (gateway.number == prefix->first.number || gateway.number == prefix_last(prefix).number);
    if (edge)
        return invalid_input(op->cx, "Gateway is not valid on subnet");
    return NULL;
}

static void pool_append(json_t *pools, struct arena *arena, int version, address_number first, address_number last)
{
    if (first <= last)
        json_array_append_new(pools, json_pack("{s:s, s:s}", "start", address_text(arena, (struct address){ version, first }),
            "end", address_text(arena, (struct address){ version, last })));
}

/* All of the subnet but its own address, the broadcast address and the gateway. */
static void pools_default(struct op *op, struct row *row, const struct network_prefix *prefix)
{
    int version = prefix->first.version, most = version == 4 ? 32 : 128;
    bool narrow = prefix->length >= most - 1;
    address_number first = prefix->first.number + (narrow ? 0 : 1);
    address_number last = prefix_last(prefix).number - (version == 4 && !narrow ? 1 : 0);
    json_t *pools = json_keep(op->cx->arena, json_array());
    struct address gateway;
    if (row_text(row, GATEWAY) != NULL && address_parse(row_text(row, GATEWAY), &gateway) &&
        gateway.number >= first && gateway.number <= last) {
        pool_append(pools, op->cx->arena, version, first, gateway.number - 1);
        pool_append(pools, op->cx->arena, version, gateway.number + 1, last);
    } else {
        pool_append(pools, op->cx->arena, version, first, last);
    }
    row->values[POOLS] = VALUE_JSON(pools);
}

static struct fault *pools_validate(struct op *op, struct row *row, const struct network_prefix *prefix)
{
    struct arena *arena = op->cx->arena;
    struct pool *pools;
    size_t count;
    struct address gateway;
    bool has_gateway = row_text(row, GATEWAY) != NULL && address_parse(row_text(row, GATEWAY), &gateway);
    const char *cidr = row_text(row, CIDR);
    pools_parse(arena, json_dump(arena, value_json(op, &row->values[POOLS])), &pools, &count);
    for (size_t i = 0; i < count; i++) {
        const char *text = arena_printf(arena, "%s-%s", address_text(arena, pools[i].first), address_text(arena, pools[i].last));
        if (pools[i].first.version != prefix->first.version || pools[i].last.version != prefix->first.version ||
            pools[i].last.number < pools[i].first.number)
            return FAULT(op->cx, 400, "InvalidAllocationPool", "The allocation pool %s is not valid.", text);
        if (!prefix_holds(prefix, pools[i].first) || !prefix_holds(prefix, pools[i].last))
            return FAULT(op->cx, 400, "OutOfBoundsAllocationPool", "The allocation pool %s spans beyond the subnet "
                "cidr %s.", text, cidr);
        for (size_t k = 0; k < i; k++)
            if (pools[k].first.number <= pools[i].last.number && pools[i].first.number <= pools[k].last.number)
                return FAULT(op->cx, 409, "OverlappingAllocationPools",
                    "Found overlapping allocation pools: %s-%s %s for subnet %s.",
                    address_text(arena, pools[k].first), address_text(arena, pools[k].last), text, cidr);
        if (has_gateway && gateway.number >= pools[i].first.number && gateway.number <= pools[i].last.number)
            return FAULT(op->cx, 409, "GatewayConflictWithAllocationPools", "Gateway ip %s conflicts with allocation pool %s.",
                row_text(row, GATEWAY), text);
    }
    return NULL;
}

static struct fault *limits_check(struct op *op, struct row *row)
{
    int64_t servers = config_int(op->cx->app->config, "DEFAULT", "max_dns_nameservers");
    int64_t routes = config_int(op->cx->app->config, "DEFAULT", "max_subnet_host_routes");
    if ((int64_t)json_array_size(value_json(op, &row->values[NAMESERVERS])) > servers)
        return FAULT(op->cx, 400, "DNSNameServersExhausted", "Unable to complete operation for %s. The number of DNS nameservers "
            "exceeds the limit %lld.", row_text(row, ID) != NULL ? row_text(row, ID) : "new subnet", (long long)servers);
    if ((int64_t)json_array_size(value_json(op, &row->values[ROUTES])) > routes)
        return FAULT(op->cx, 400, "HostRoutesExhausted", "Unable to complete operation for %s. The number of host routes exceeds "
            "the limit %lld.", row_text(row, ID) != NULL ? row_text(row, ID) : "new subnet", (long long)routes);
    return NULL;
}

static struct fault *subnet_validate(struct op *op, struct row *row)
{
    struct network_prefix prefix;
    TRY(limits_check(op, row));
    prefix_parse(row_text(row, CIDR), &prefix);
    if (op->kind == OP_CREATE) {
        struct network_info *info;
        struct tx *tx;
        if (row_text(row, SUBNETPOOL) != NULL)
            return FAULT(op->cx, 404, "SubnetPoolNotFound", "Subnet pool %s could not be found.", row_text(row, SUBNETPOOL));
        TRY(db_read(op->cx->arena, op->cx->app->db, &tx));
        struct fault *fault = network_seen(op, tx, row_text(row, NETWORK_ID), &info);
        tx_end(tx);
        TRY(fault);
        row->private = info;
        row->values[SHARED] = VALUE_BOOL(info->shared);
        TRY(version_checks(op, row, &prefix));
        TRY(gateway_choose(op, row, &prefix));
        if (row->values[POOLS].state == VALUE_ABSENT)
            pools_default(op, row, &prefix);
        return pools_validate(op, row, &prefix);
    }
    if (row_given(row, GATEWAY))
        TRY(gateway_choose(op, row, &prefix));
    if (row_given(row, GATEWAY) || row_given(row, POOLS))
        return pools_validate(op, row, &prefix);
    return NULL;
}

/* ---- In the transaction ---- */

/* Pools, gateway and CIDR against the network's other subnets and against the addresses in use. */
static struct fault *subnet_serialize(struct op *op)
{
    TRY(serialize_rows(op, "network", NETWORK_ID));
    return op->kind == OP_CREATE ? serialize_rows(op, "project", TENANT) : NULL;
}

static struct fault *subnet_quota(struct op *op, size_t more)
{
    return quota_check(op, "subnet", "subnets", TENANT, 1);
}

static struct fault *subnet_create(struct op *op, struct row *row)
{
    struct subnet_info *others;
    struct network_info *info;
    struct network_prefix prefix;
    size_t count;
    TRY(network_seen(op, op->tx, row_text(row, NETWORK_ID), &info));
    TRY(subnets_of_network(op->tx, row_text(row, NETWORK_ID), &others, &count));
    prefix_parse(row_text(row, CIDR), &prefix);
    for (size_t i = 0; i < count; i++)
        if (prefix_overlaps(&prefix, &others[i].prefix))
            return invalid_input(op->cx, "Requested subnet with cidr: %s for network: %s overlaps with another subnet",
                row_text(row, CIDR), row_text(row, NETWORK_ID));
    return NULL;
}

/* As neutron: a network is revised when a subnet of it comes, changes or goes. */
static struct fault *subnet_created(struct op *op, struct row *row)
{
    return revise(op->tx, "networks", row_text(row, NETWORK_ID));
}

static struct fault *subnet_updated(struct op *op, struct row *row)
{
    return row_changed(row, REVISION) ? subnet_created(op, row) : NULL;
}

static struct fault *subnet_update(struct op *op, struct row *row)
{
    int64_t used = 0;
    struct address gateway;
    if (!row_given(row, GATEWAY) || !row_changed(row, GATEWAY) || row->before[GATEWAY].text == NULL)
        return NULL;
    /* As neutron: the gateway of a subnet stays while a router has it. */
    address_parse(row->before[GATEWAY].text, &gateway);
    TRY(sql_int_of(op->tx, &used, 0, "SELECT COUNT(*) FROM ip_allocations a JOIN ports p ON p.id = a.port_id WHERE "
        "a.subnet_id = ? AND a.address = ? AND p.device_owner LIKE 'network:router%'",
        BIND(TEXT(row_text(row, ID)), TEXT(address_key(op->cx->arena, gateway)))));
    if (used > 0)
        return FAULT(op->cx, 409, "GatewayIpInUse", "Current gateway ip %s already in use by port. Unable to update.",
            row->before[GATEWAY].text);
    return NULL;
}

static struct fault *subnet_remove(struct op *op, struct row *row)
{
    const char *id = row_text(row, ID), *mode = row_text(row, ADDRESS_MODE);
    const struct subnet_info subnet = { .address_mode = mode };
    int64_t used = 0;
    /* As neutron: addresses that ports gave themselves go with their subnet; only a router's interface holds it. */
    TRY(sql_int_of(op->tx, &used, 0, subnet_is_auto(&subnet) ?
        "SELECT COUNT(*) FROM ip_allocations a JOIN ports p ON p.id = a.port_id WHERE a.subnet_id = ? AND p.device_owner IN "
        "('network:router_interface', 'network:router_interface_distributed', 'network:ha_router_replicated_interface')" :
        "SELECT COUNT(*) FROM ip_allocations a JOIN ports p ON p.id = a.port_id WHERE a.subnet_id = ? AND p.device_owner NOT IN "
        "('network:dhcp', 'network:distributed')", BIND(TEXT(id))));
    if (used > 0)
        return FAULT(op->cx, 409, "SubnetInUse", "Unable to complete operation on subnet %s: One or more ports have an IP "
            "allocation from this subnet.", id);
    /* The ports keep their other addresses; the DHCP agent removes a port that has none left. */
    struct rows *rows;
    TRY(sql_query(op->tx, &rows, "SELECT p.id, p.fixed_ips FROM ports p JOIN ip_allocations a ON a.port_id = p.id "
        "WHERE a.subnet_id = ?",
        BIND(TEXT(id))));
    while (rows_next(rows)) {
        json_t *ips = json_keep(op->cx->arena, json_deep_copy(json_parse_own(op->cx->arena, rows_text(rows, 1))));
        for (size_t i = json_array_size(ips); i-- > 0;)
            if (strcmp(json_text_at(json_array_get(ips, i), "subnet_id"), id) == 0)
                json_array_remove(ips, i);
        TRY(sql_exec_later(op->tx, "UPDATE ports SET fixed_ips = ? WHERE id = ?",
            BIND(TEXT(json_dump(op->cx->arena, ips)), TEXT(rows_text(rows, 0)))));
        TRY(revise(op->tx, "ports", rows_text(rows, 0)));
    }
    TRY(rows_fault(rows));
    TRY(sql_exec_later(op->tx, "DELETE FROM ip_allocations WHERE subnet_id = ?", BIND(TEXT(id))));
    return revise(op->tx, "networks", row_text(row, NETWORK_ID));
}

static struct fault *subnet_after(struct op *op)
{
    for (size_t i = 0; i < op->page.count; i++)
        notify_agents(op->cx, op->kind == OP_CREATE ? "subnet_create" : op->kind == OP_DELETE ? "subnet_delete" : "subnet_update",
            "network", row_text(&op->page.rows[i], NETWORK_ID));
    return NULL;
}

const struct resource subnet_resource = {
    .name = "subnet", .plural = "subnets", .table = "subnets", .fields = subnet_fields, .count = FIELDS,
    .id = ID, .owner = TENANT, .dialect = &neutron_resources, .bulk = true,
    .not_found = "SubnetNotFound", .not_found_text = "Subnet %s could not be found.",
    .target_names = network_target_names, .target = subnet_target, .visible = subnet_visible, .validate = subnet_validate,
    .serialize = subnet_serialize,
    .quota = subnet_quota, .create = subnet_create, .created = subnet_created, .update = subnet_update, .updated = subnet_updated,
    .remove = subnet_remove, .after = subnet_after,
};

static const struct route rows[] = {
    ROUTE(GET,    "/v2.0/subnets",      "get_subnet",    resource_list,   HANDLER_POLICY, .resource = &subnet_resource),
    ROUTE(POST,   "/v2.0/subnets",      "create_subnet", resource_create, HANDLER_POLICY, .resource = &subnet_resource, .status = 201),
    ROUTE(GET,    "/v2.0/subnets/{id}", "get_subnet",    resource_show,   HANDLER_POLICY, .resource = &subnet_resource),
    ROUTE(PUT,    "/v2.0/subnets/{id}", "update_subnet", resource_update, HANDLER_POLICY, .resource = &subnet_resource),
    ROUTE(DELETE, "/v2.0/subnets/{id}", "delete_subnet", resource_delete, HANDLER_POLICY, .resource = &subnet_resource, .status = 204),
};
const struct route_table subnet_routes = ROUTES(rows);
