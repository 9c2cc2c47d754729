/* SPDX-License-Identifier: Apache-2.0
 *
 * port_fields: the checks of a port's lists.
 */
#include "base/random.h"
#include "neutron/private.h"

#include <string.h>

static struct fault *pair_check(struct op *op, const struct field *field, const json_t *item)
{
    struct context *cx = op->cx;
    struct network_prefix prefix;
    const char *key, *ip = json_text_at(item, "ip_address");
    json_t *member;
    uint8_t mac[6];

    if (!json_is_object(item))
        return invalid_value(cx, field->name, "Invalid data format for allowed address pair: '%s'", json_shown(cx->arena, item));
    json_object_foreach((json_t *)item, key, member) {
        if (strcmp(key, "ip_address") != 0 && strcmp(key, "mac_address") != 0)
            return invalid_value(cx, field->name, "Unrecognized attribute(s) '%s'", key);
        if (strcmp(key, "mac_address") == 0 && !json_is_null(member) && (!json_is_string(member) ||
            !mac_parse(json_string_value(member), mac)))
            return invalid_value(cx, field->name, "'%s' is not a valid MAC address", json_shown(cx->arena, member));
    }
    if (json_object_get(item, "ip_address") == NULL)
        return FAULT(cx, 400, "AllowedAddressPairsMissingIP", "AllowedAddressPair must contain ip_address");
    if (ip == NULL || !prefix_parse(ip, &prefix))
        return invalid_value(cx, field->name, "'%s' is not a valid IP address", json_shown(cx->arena,
            json_object_get(item, "ip_address")));
    return NULL;
}

struct fault *port_pairs_check(struct op *op, const struct field *field, struct value *value)
{
    int64_t most = config_int(op->cx->app->config, "DEFAULT", "max_allowed_address_pair");
    if ((int64_t)json_array_size(value->json) > most)
        return FAULT(op->cx, 400, "AllowedAddressPairExhausted", "The number of allowed address pair exceeds the "
            "maximum %lld.", (long long)most);
    for (size_t i = 0; i < json_array_size(value->json); i++) {
        const json_t *item = json_array_get(value->json, i);
        TRY(pair_check(op, field, item));
        for (size_t k = 0; k < i; k++)
            if (json_equal(item, json_array_get(value->json, k)))
                return FAULT(op->cx, 400, "DuplicateAddressPairInRequest",
                    "Request contains duplicate address pair: mac_address %s "
                    "ip_address %s.", json_shown(op->cx->arena, json_object_get(item, "mac_address")),
                        json_text_at(item, "ip_address"));
    }
    return NULL;
}

struct fault *port_dhcp_opts_check(struct op *op, const struct field *field, struct value *value)
{
    for (size_t i = 0; i < json_array_size(value->json); i++) {
        json_t *item = json_array_get(value->json, i), *version = json_object_get(item, "ip_version");
        const char *name = json_text_at(item, "opt_name"), *key;
        const json_t *option = json_object_get(item, "opt_value");
        json_t *member;
        if (!json_is_object(item) || name == NULL || name[0] == '\0' || option == NULL || strlen(name) > 64)
            return invalid_value(op->cx, field->name, "Invalid data format for extra dhcp option: '%s'",
                json_shown(op->cx->arena, item));
        json_object_foreach(item, key, member)
            if (strcmp(key, "opt_name") != 0 && strcmp(key, "opt_value") != 0 && strcmp(key, "ip_version") != 0)
                return invalid_value(op->cx, field->name, "Unexpected keys supplied: %s", key);
        if (!json_is_null(option) && (!json_is_string(option) || json_string_length(option) > 255 ||
            strpbrk(json_string_value(option), "\r\n") != NULL || strpbrk(name, "\r\n,") != NULL))
            return invalid_value(op->cx, field->name, "'%s' is not a valid string", json_shown(op->cx->arena, option));
        int64_t number = version == NULL ? 4 : json_is_string(version) ? (json_string_value(version)[0] == '6' ? 6
            : 4) : json_integer_value(version);
        if (number != 4 && number != 6)
            return invalid_value(op->cx, field->name, "'%s' is not in [4, 6]", json_shown(op->cx->arena, version));
        json_object_set_new(item, "ip_version", json_integer(number));
    }
    return NULL;
}

struct fault *port_groups_check(struct op *op, const struct field *field, struct value *value)
{
    for (size_t i = 0; i < json_array_size(value->json); i++) {
        json_t *item = json_array_get(value->json, i);
        for (size_t k = 0; k < i; k++)
            if (json_equal(item, json_array_get(value->json, k)))
                return invalid_value(op->cx, field->name, "Duplicate items in the list: '%s'", json_shown(op->cx->arena, item));
        if (!json_is_string(item) || !uuid_like(json_string_value(item)))
            return invalid_value(op->cx, field->name, "'%s' is not a valid UUID", json_shown(op->cx->arena, item));
    }
    return NULL;
}
