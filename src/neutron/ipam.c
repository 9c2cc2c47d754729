/* SPDX-License-Identifier: Apache-2.0
 *
 * ipam: which port has which address. An allocation is a row whose key is subnet and address: the database itself refuses
 * to hand an address out twice.
 */
#include "base/random.h"
#include "neutron/private.h"

#include <string.h>

enum { FIXED_IPS_MAX = 64 };

bool pools_parse(struct arena *arena, const char *json, struct pool **ret, size_t *ret_count)
{
    const json_t *list = json_parse_own(arena, json);
    size_t count = json_array_size(list);
    struct pool *pools = ARENA_ARRAY(arena, struct pool, count + 1);
    for (size_t i = 0; i < count; i++) {
        const char *start = json_text_at(json_array_get(list, i), "start"), *end = json_text_at(json_array_get(list, i), "end");
        if (start == NULL || end == NULL || !address_parse(start, &pools[i].first) || !address_parse(end, &pools[i].last))
            return false;
    }
    *ret = pools;
    *ret_count = count;
    return true;
}

struct fault *subnets_of_network(struct tx *tx, const char *network_id, struct subnet_info **ret, size_t *ret_count)
{
    struct arena *arena = tx_arena(tx);
    struct rows *rows;
    size_t capacity = 8, count = 0;
    struct subnet_info *list = ARENA_ARRAY(arena, struct subnet_info, capacity);
    TRY(sql_query(tx, &rows, "SELECT id, cidr, gateway_ip, ipv6_ra_mode, ipv6_address_mode, enable_dhcp, allocation_pools "
        "FROM subnets WHERE network_id = ? ORDER BY ip_version, created_at, id", BIND(TEXT(network_id))));
    while (rows_next(rows)) {
        if (count == capacity) {
            struct subnet_info *grown = ARENA_ARRAY(arena, struct subnet_info, capacity * 2);
            memcpy(grown, list, capacity * sizeof(*list));
            list = grown;
            capacity *= 2;
        }
        struct subnet_info *subnet = &list[count];
        *subnet = (struct subnet_info){ rows_text(rows, 0), rows_text(rows, 1), rows_text(rows, 2), rows_text(rows, 3),
            rows_text(rows, 4) };
        subnet->dhcp = rows_int(rows, 5);
        if (prefix_parse(subnet->cidr, &subnet->prefix) &&
            pools_parse(arena, rows_text(rows, 6), &subnet->pools, &subnet->pool_count))
            count++;
    }
    *ret = list;
    *ret_count = count;
    return rows_fault(rows);
}

bool subnet_is_auto(const struct subnet_info *subnet)
{
    return subnet->address_mode != NULL &&
           (strcmp(subnet->address_mode, "slaac") == 0 || strcmp(subnet->address_mode, "dhcpv6-stateless") == 0);
}

/* ---- The form of fixed_ips ---- */

struct fault *fixed_ips_check(struct op *op, const struct field *field, struct value *value)
{
    struct address address;
    if (json_array_size(value->json) > FIXED_IPS_MAX)
        return invalid_value(op->cx, field->name, "Exceeded maximum amount of fixed ips per port");
    for (size_t i = 0; i < json_array_size(value->json); i++) {
        const json_t *item = json_array_get(value->json, i);
        const char *key;
        json_t *member;
        if (!json_is_object(item))
            return invalid_value(op->cx, field->name, "Invalid data format for fixed IP: '%s'", json_shown(op->cx->arena, item));
        json_object_foreach((json_t *)item, key, member) {
            const char *text = json_string_value(member);
            bool ip = strcmp(key, "ip_address") == 0, subnet_id = strcmp(key, "subnet_id") == 0;
            if (ip && (text == NULL || !address_parse(text, &address)))
                return invalid_value(op->cx, field->name, "'%s' is not a valid IP address", json_shown(op->cx->arena, member));
            if (subnet_id && (text == NULL || !uuid_valid(text)))
                return invalid_value(op->cx, field->name, "'%s' is not a valid UUID", json_shown(op->cx->arena, member));
            if (!ip && !subnet_id)
                return invalid_value(op->cx, field->name, "Unexpected keys supplied: %s", key);
        }
        for (size_t k = 0; k < i; k++)
            if (json_text_at(item, "ip_address") != NULL && json_equal((json_t *)item, json_array_get(value->json, k)))
                return invalid_value(op->cx, field->name, "Duplicate IP address '%s'", json_text_at(item, "ip_address"));
    }
    return NULL;
}

/* ---- Choosing ---- */

struct chooser {
    struct context *cx;
    struct tx *tx;
    const struct port_addresses *port;
    struct subnet_info *subnets;
    size_t subnet_count;
    struct allocation chosen[FIXED_IPS_MAX];
    size_t count;
};

static struct fault *address_taken(struct chooser *chooser, const char *subnet_id, struct address address, bool *ret)
{
    int64_t found = 0;
    for (size_t i = 0; i < chooser->count; i++)
        if (chooser->chosen[i].address.number == address.number && strcmp(chooser->chosen[i].subnet_id, subnet_id) == 0) {
            *ret = true;
            return NULL;
        }
    TRY(sql_int_of(chooser->tx, &found, 0, "SELECT COUNT(*) FROM ip_allocations WHERE subnet_id = ? AND address = ?",
        BIND(TEXT(subnet_id), TEXT(address_key(chooser->cx->arena, address)))));
    *ret = found > 0;
    return NULL;
}

/* The lowest address of the pool behind which nothing was handed out yet; when the pool's end is reached, the lowest gap. */
static struct fault *pool_next(struct chooser *chooser, const struct subnet_info *subnet, const struct pool *pool,
    struct address *ret, bool *ret_found)
{
    struct arena *arena = chooser->cx->arena;
    struct address next = pool->first, at;
    const char *last = NULL;
    bool taken;
    struct rows *rows;

    TRY(sql_text_of(chooser->tx, &last, "SELECT MAX(address) FROM ip_allocations WHERE subnet_id = ? AND address BETWEEN ? AND ?",
        BIND(TEXT(subnet->id), TEXT(address_key(arena, pool->first)), TEXT(address_key(arena, pool->last)))));
    if (last != NULL && address_from_key(last, &at))
        next.number = at.number + 1;
    for (; next.number <= pool->last.number; next.number++) {
        TRY(address_taken(chooser, subnet->id, next, &taken));
        if (!taken) {
            *ret = next;
            *ret_found = true;
            return NULL;
        }
    }
    next = pool->first;
    TRY(sql_query(chooser->tx, &rows, "SELECT address FROM ip_allocations WHERE subnet_id = ? AND address BETWEEN ? AND ? "
        "ORDER BY address", BIND(TEXT(subnet->id), TEXT(address_key(arena, pool->first)), TEXT(address_key(arena, pool->last)))));
    while (rows_next(rows)) {
        bool chosen = false;
        if (!address_from_key(rows_text(rows, 0), &at))
            continue;
        for (; next.number < at.number; next.number++) {
            chosen = false;
            for (size_t i = 0; i < chooser->count; i++)
                chosen |= chooser->chosen[i].address.number == next.number && strcmp(chooser->chosen[i].subnet_id, subnet->id) == 0;
            if (!chosen)
                break;
        }
        if (next.number < at.number) {
            rows_end(rows);
            *ret = next;
            *ret_found = true;
            return NULL;
        }
        next.number = at.number + 1;
    }
    return rows_fault(rows);
}

static struct fault *choose_in_subnet(struct chooser *chooser, const struct subnet_info *subnet, bool *ret_found)
{
    struct address address;
    *ret_found = false;
    if (chooser->count == FIXED_IPS_MAX)
        return NULL;
    if (subnet_is_auto(subnet)) {
        address = prefix_eui64(&subnet->prefix, chooser->port->mac);
        *ret_found = true;
    }
    for (size_t i = 0; i < subnet->pool_count && !*ret_found; i++)
        TRY(pool_next(chooser, subnet, &subnet->pools[i], &address, ret_found));
    if (*ret_found)
        chooser->chosen[chooser->count++] = (struct allocation){ subnet->id, address };
    return NULL;
}

static struct fault *no_more(struct chooser *chooser)
{
    return FAULT(chooser->cx, 409, "IpAddressGenerationFailure", "No more IP addresses available on network %s.",
        chooser->port->network_id);
}

/* One address of each version, out of the first subnet that has one; every SLAAC subnet too. */
static struct fault *choose_default(struct chooser *chooser)
{
    for (int version = 4; version <= 6; version += 2) {
        bool any = false, found = false;
        for (size_t i = 0; i < chooser->subnet_count; i++) {
            const struct subnet_info *subnet = &chooser->subnets[i];
            bool automatic = subnet_is_auto(subnet), this = false;
            if (subnet->prefix.first.version != version || (found && !automatic))
                continue;
            any |= !automatic;
            TRY(choose_in_subnet(chooser, subnet, &this));
            found |= this && !automatic;
        }
        if (any && !found)
            return no_more(chooser);
    }
    return NULL;
}

static const struct subnet_info *subnet_by_id(struct chooser *chooser, const char *id)
{
    for (size_t i = 0; i < chooser->subnet_count; i++)
        if (strcmp(chooser->subnets[i].id, id) == 0)
            return &chooser->subnets[i];
    return NULL;
}

static struct fault *choose_address(struct chooser *chooser, const struct subnet_info *subnet, const char *text)
{
    struct address address;
    bool taken;
    address_parse(text, &address);
    for (size_t i = 0; i < chooser->subnet_count && subnet == NULL; i++)
        if (prefix_holds(&chooser->subnets[i].prefix, address))
            subnet = &chooser->subnets[i];
    if (subnet == NULL)
        return FAULT(chooser->cx, 400, "InvalidIpForNetwork",
            "IP address %s is not a valid IP for any of the subnets on the specified network.", text);
    bool edge = subnet->prefix.first.version == 4 && subnet->prefix.length < 31 &&
                (address.number == subnet->prefix.first.number || address.number == prefix_last(&subnet->prefix).number);
    if (!prefix_holds(&subnet->prefix, address) || edge)
        return FAULT(chooser->cx, 400, "InvalidIpForSubnet", "IP address %s is not a valid IP for the specified subnet.", text);
    if (subnet_is_auto(subnet) && address.number != prefix_eui64(&subnet->prefix, chooser->port->mac).number &&
        strncmp(chooser->port->device_owner, "network:router", 14) != 0)
        return invalid_input(chooser->cx, "IPv6 address %s can not be directly assigned to a port on subnet %s since the "
            "subnet is configured for automatic addresses", text, subnet->id);
    TRY(address_taken(chooser, subnet->id, address, &taken));
    if (taken)
        return FAULT(chooser->cx, 409, "IpAddressAlreadyAllocated", "IP address %s already allocated in subnet %s",
            text, subnet->id);
    chooser->chosen[chooser->count++] = (struct allocation){ subnet->id, address };
    return NULL;
}

static struct fault *choose_wanted(struct chooser *chooser)
{
    for (int pass = 0; pass < 2; pass++) /* exact addresses first, so that no free choice takes them */
        for (size_t i = 0; i < json_array_size(chooser->port->wanted) && i < FIXED_IPS_MAX; i++) {
            const json_t *item = json_array_get(chooser->port->wanted, i);
            const char *ip = json_text_at(item, "ip_address"), *subnet_id = json_text_at(item, "subnet_id");
            const struct subnet_info *subnet = NULL;
            bool found;
            if ((ip != NULL) != (pass == 0))
                continue;
            if (ip == NULL && subnet_id == NULL)
                return invalid_input(chooser->cx, "IP allocation requires subnet_id or ip_address");
            if (subnet_id != NULL && (subnet = subnet_by_id(chooser, subnet_id)) == NULL)
                return invalid_input(chooser->cx, "Failed to create port on network %s, because fixed_ips included invalid "
                    "subnet %s", chooser->port->network_id, subnet_id);
            if (ip != NULL) {
                TRY(choose_address(chooser, subnet, ip));
                continue;
            }
            TRY(choose_in_subnet(chooser, subnet, &found));
            if (!found)
                return no_more(chooser);
        }
    return NULL;
}

static struct fault *write_chosen(struct chooser *chooser, const char **ret_json)
{
    BUF_CLEANUP struct buf json = { 0 };
    struct arena *arena = chooser->cx->arena;
    struct fault *taken = fault_new(arena, 503, NULL, "An address was taken meanwhile."); /* by another server: choose anew */
    taken->retry = true;
    buf_putc(&json, '[');
    for (size_t i = 0; i < chooser->count; i++) {
        const struct allocation *chosen = &chooser->chosen[i];
        TRY(sql_exec_unique(chooser->tx, taken, "INSERT INTO ip_allocations (subnet_id, address, port_id, network_id) "
            "VALUES (?, ?, ?, ?)", BIND(TEXT(chosen->subnet_id), TEXT(address_key(arena, chosen->address)),
            TEXT(chooser->port->port_id), TEXT(chooser->port->network_id))));
        buf_printf(&json, "%s{\"subnet_id\":\"%s\",\"ip_address\":\"%s\"}", i > 0 ? "," : "", chosen->subnet_id,
            address_text(arena, chosen->address));
    }
    buf_putc(&json, ']');
    *ret_json = arena_strdup(arena, buf_text(&json));
    return NULL;
}

static void addresses_remove(json_t *list, const char *ip)
{
    for (size_t i = json_array_size(list); i-- > 0;)
        if (strcmp(ip, json_text_at(json_array_get(list, i), "ip_address")) == 0)
            json_array_remove(list, i);
}

/* {"subnet_id": S} of an update means the address that the port has there already, unless that one is named itself. */
static json_t *wanted_kept(struct context *cx, json_t *wanted, const char *before)
{
    json_t *old = json_keep(cx->arena, json_deep_copy(json_parse_own(cx->arena, before)));
    json_t *kept = json_keep(cx->arena, json_array());
    for (size_t i = 0; i < json_array_size(wanted); i++) {
        const char *ip = json_text_at(json_array_get(wanted, i), "ip_address");
        struct address address;
        if (ip != NULL && address_parse(ip, &address))
            addresses_remove(old, address_text(cx->arena, address));
    }
    for (size_t i = 0; i < json_array_size(wanted); i++) {
        json_t *item = json_array_get(wanted, i);
        const char *subnet_id = json_text_at(item, "subnet_id");
        json_t *match = NULL;
        for (size_t k = 0; k < json_array_size(old) && match == NULL && json_text_at(item, "ip_address") == NULL; k++)
            if (subnet_id != NULL && strcmp(subnet_id, json_text_at(json_array_get(old, k), "subnet_id")) == 0) {
                match = json_incref(json_array_get(old, k));
                json_array_remove(old, k);
            }
        json_array_append_new(kept, match != NULL ? match : json_incref(item));
    }
    return kept;
}

struct fault *ipam_assign(struct context *cx, struct tx *tx, const struct port_addresses *port, const char **ret_json)
{
    struct port_addresses work = *port;
    struct chooser *chooser = ARENA_NEW(cx->arena, struct chooser);
    *chooser = (struct chooser){ .cx = cx, .tx = tx, .port = &work };
    TRY(subnets_of_network(tx, port->network_id, &chooser->subnets, &chooser->subnet_count));
    if (port->before != NULL) {
        TRY(sql_exec_later(tx, "DELETE FROM ip_allocations WHERE port_id = ?", BIND(TEXT(port->port_id))));
        work.wanted = wanted_kept(cx, port->wanted, port->before);
    }
    if (work.wanted == NULL)
        TRY(choose_default(chooser));
    else if (json_array_size(work.wanted) > 0 && chooser->subnet_count == 0)
        return invalid_input(cx, "IP allocation requires subnets for network");
    else
        TRY(choose_wanted(chooser));
    return write_chosen(chooser, ret_json);
}
