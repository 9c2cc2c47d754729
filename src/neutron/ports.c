/* SPDX-License-Identifier: Apache-2.0
 *
 * ports: where guests, DHCP servers and routers are plugged in. API reference: Ports. The checks of their lists are in
 * port_fields.c, the binding in binding.c.
 */
#include "base/random.h"
#include "neutron/private.h"

#include <string.h>

enum { MAC_TRIES = 16 };

static const char *const status_names[] = { "ACTIVE", "DOWN", "BUILD", "ERROR", NULL };
static const char *const vnic_names[] = { "normal", "direct", "macvtap", "baremetal", "direct-physical", "virtio-forwarder",
    "smart-nic", "vdpa", "accelerator-direct", "accelerator-direct-physical", "remote-managed", NULL };

static struct fault *mac_check(struct op *op, const struct field *field, struct value *value)
{
    uint8_t mac[6];
    if (!mac_parse(value->text, mac))
        return invalid_value(op->cx, field->name, "'%s' is not a valid MAC address", value->text);
    value->text = mac_text(op->cx->arena, mac);
    if (strcmp(value->text, "00:00:00:00:00:00") == 0)
        return invalid_value(op->cx, field->name, "'%s' is not a valid MAC address", value->text);
    return NULL;
}

/* fixed_ips=ip_address=A and fixed_ips=subnet_id=S, also repeated. */
static struct fault *fixed_ips_filter(struct op *op, const struct field *field, const char *const *values, size_t count,
    struct where *where)
{
    struct arena *arena = op->cx->arena;
    const char **addresses = ARENA_ARRAY(arena, const char *, count), **subnets = ARENA_ARRAY(arena, const char *, count);
    size_t address_count = 0, subnet_count = 0;
    struct address address;
    struct where *inner = ARENA_NEW(arena, struct where);

    for (size_t i = 0; i < count; i++) {
        if (strncmp(values[i], "ip_address=", 11) == 0)
            addresses[address_count++] = address_parse(values[i] + 11, &address) ? address_key(arena, address) : "";
        else if (strncmp(values[i], "subnet_id=", 10) == 0)
            subnets[subnet_count++] = values[i] + 10;
        else if (strncmp(values[i], "ip_address_substr=", 18) == 0)
            where_and(where, "INSTR(fixed_ips, ?) > 0", BIND(TEXT(values[i] + 18)));
        else
            return invalid_input(op->cx, "Invalid filter: fixed_ips=%s", values[i]);
    }
    where_init(inner, arena);
    if (address_count > 0)
        where_in(inner, "address", addresses, address_count);
    if (subnet_count > 0)
        where_in(inner, "subnet_id", subnets, subnet_count);
    if (inner->count > 0)
        where_and(where, arena_printf(arena, "id IN (SELECT port_id FROM ip_allocations WHERE %s)", buf_text(&inner->sql)),
            inner->values, inner->count);
    return NULL;
}

static struct fault *groups_filter(struct op *op, const struct field *field, const char *const *values, size_t count,
    struct where *where)
{
    struct sql_value *ids = ARENA_ARRAY(op->cx->arena, struct sql_value, count);
    for (size_t i = 0; i < count; i++)
        ids[i] = TEXT(values[i]);
    where_and(where, arena_printf(op->cx->arena, "id IN (SELECT port_id FROM port_security_groups WHERE security_group_id IN (%s))",
        sql_marks(op->cx->arena, count)), ids, count);
    return NULL;
}

static const struct field port_fields[PORT_FIELDS] = {
    [PORT_ID]               = { "id",                    UUID,   COLUMN("id"),                    FILTER | SORT, .automatic = NEW_UUID },
    [PORT_NAME]             = { "name",                  STR,    COLUMN("name"),                  CREATE | UPDATE | FILTER | SORT, .def = STR_DEF("") },
    [PORT_NETWORK_ID]       = { "network_id",            UUID,   COLUMN("network_id"),            CREATE | FILTER | SORT | REQUIRED },
    [PORT_TENANT]           = { "project_id",            STR,    COLUMN("project_id"),
                   CREATE | FILTER | SORT, .alias = "tenant_id", .check = check_project, .def = CALLER_PROJECT },
    [PORT_MAC]              = { "mac_address",           STR,    COLUMN("mac_address"),           CREATE | UPDATE | FILTER | SORT | PER_FIELD, .check = mac_check },
    [PORT_ADMIN_STATE_UP]   = { "admin_state_up",        BOOL,   COLUMN("admin_state_up"),        CREATE | UPDATE | FILTER | SORT, .def = TRUE_DEF },
    [PORT_STATUS]           = { "status",                ENUM,   COLUMN("status"),                FILTER | SORT, .names = status_names, .def = STR_DEF("DOWN") },
    [PORT_DEVICE_ID]        = { "device_id",             STR,    COLUMN("device_id"),             CREATE | UPDATE | FILTER | SORT, .def = STR_DEF("") },
    [PORT_DEVICE_OWNER]     = { "device_owner",          STR,    COLUMN("device_owner"),          CREATE | UPDATE | FILTER | SORT | PER_FIELD, .def = STR_DEF("") },
    [PORT_FIXED_IPS]        = { "fixed_ips",             LIST,   COLUMN("fixed_ips"),
                    CREATE | UPDATE | FILTER | PER_FIELD, .check = fixed_ips_check, .filter = fixed_ips_filter },
    [PORT_ADDRESS_PAIRS]    = { "allowed_address_pairs", LIST,   COLUMN("allowed_address_pairs"), CREATE | UPDATE | PER_FIELD, .check = port_pairs_check, .def = JSON_DEF("[]") },
    [PORT_DHCP_OPTS]        = { "extra_dhcp_opts",       LIST,   COLUMN("extra_dhcp_opts"),       CREATE | UPDATE, .check = port_dhcp_opts_check, .def = JSON_DEF("[]") },
    [PORT_SECURITY_GROUPS]  = { "security_groups",       LIST,   COLUMN("security_groups"),
                    CREATE | UPDATE | FILTER | NULLABLE, .check = port_groups_check, .filter = groups_filter },
    [PORT_SECURITY_ENABLED] = { "port_security_enabled", BOOL,   COLUMN("port_security_enabled"), CREATE | UPDATE | FILTER | PER_FIELD },
    [PORT_HOST_ID]          = { "binding:host_id",       STR,    COLUMN("host_id"),               CREATE | UPDATE | FILTER | PER_FIELD | NULLABLE, .def = STR_DEF("") },
    [PORT_VNIC_TYPE]        = { "binding:vnic_type",     ENUM,   COLUMN("vnic_type"),
                    CREATE | UPDATE | FILTER | PER_FIELD, .names = vnic_names, .def = STR_DEF("normal") },
    [PORT_PROFILE]          = { "binding:profile",       OBJECT, COLUMN("profile"),               CREATE | UPDATE | PER_FIELD | NULLABLE, .def = JSON_DEF("{}") },
    [PORT_VIF_TYPE]         = { "binding:vif_type",      STR,    COLUMN("vif_type"),              PER_FIELD, .def = STR_DEF("unbound") },
    [PORT_VIF_DETAILS]      = { "binding:vif_details",   OBJECT, COLUMN("vif_details"),           PER_FIELD, .def = JSON_DEF("{}") },
    [PORT_DESCRIPTION]      = { "description",           STR,    COLUMN("description"),           CREATE | UPDATE | FILTER | SORT, .def = STR_DEF("") },
    [PORT_TAGS]             = { "tags",                  LIST,   COLUMN("tags"),                  CREATE | FILTER, .def = JSON_DEF("[]"), .filter = tags_filter },
    [PORT_TAGS_ANY]         = { "tags-any",              LIST,   NOWHERE,                         FILTER | HIDDEN, .filter = tags_filter },
    [PORT_NOT_TAGS]         = { "not-tags",              LIST,   NOWHERE,                         FILTER | HIDDEN, .filter = tags_filter },
    [PORT_NOT_TAGS_ANY]     = { "not-tags-any",          LIST,   NOWHERE,                         FILTER | HIDDEN, .filter = tags_filter },
    [PORT_CREATED]          = { "created_at",            TIME,   COLUMN("created_at"),            FILTER | SORT, .automatic = CREATED_AT, .format = CLOCK_ISO },
    [PORT_UPDATED]          = { "updated_at",            TIME,   COLUMN("updated_at"),            FILTER | SORT, .automatic = UPDATED_AT, .format = CLOCK_ISO },
    [PORT_REVISION]         = { "revision_number",       INT,    COLUMN("revision"),              FILTER | SORT, .automatic = REVISION_COUNTER, .first = 1 },
};

/* ---- Policy and visibility ---- */

static struct fault *port_visible(struct op *op, struct where *where)
{
    where_or(where, "network_id IN (SELECT id FROM networks WHERE project_id = ?)", BIND(TEXT(op->cx->caller->project_id)));
    return NULL;
}

/* The port's network is loaded once an operation, and kept with its row. */
static struct fault *row_network(struct op *op, struct row *row, struct network_info **ret)
{
    *ret = row->private;
    if (*ret != NULL || row_text(row, PORT_NETWORK_ID) == NULL)
        return NULL;
    struct tx *tx = op->tx;
    if (tx == NULL)
        TRY(db_read(op->cx->arena, op->cx->app->db, &tx));
    struct fault *fault = op->kind == OP_CREATE ? network_seen(op, tx, row_text(row, PORT_NETWORK_ID), ret)
                                                : network_info(tx, row_text(row, PORT_NETWORK_ID), ret);
    if (op->tx == NULL)
        tx_end(tx);
    row->private = *ret;
    return fault;
}

static struct fault *port_target(struct op *op, struct row *row, const char *name, const char **ret)
{
    struct network_info *info = NULL;
    if (row != NULL && op->kind != OP_LIST)
        TRY(row_network(op, row, &info));
    return network_target(info, name, ret);
}

/* ---- Validation ---- */

/* Members of members have rules of their own. */
static struct fault *enforce_members(struct op *op, struct row *row, size_t field, const char *const *members)
{
    const char *verb = op->kind == OP_CREATE ? "create_port" : "update_port";
    json_t *list = row_given(row, field) ? value_json(op, &row->given[field]) : NULL;
    for (; *members != NULL; members++)
        for (size_t i = 0; i < json_array_size(list); i++)
            if (json_object_get(json_array_get(list, i), *members) != NULL) {
                TRY(resource_enforce_rule(op, arena_printf(op->cx->arena, "%s:%s:%s", verb, port_fields[field].name,
                    *members), row));
                break;
            }
    return NULL;
}

static struct fault *check_security(struct op *op, struct row *row)
{
    bool enabled = row_int(row, PORT_SECURITY_ENABLED);
    size_t groups = json_array_size(value_json(op, &row->values[PORT_SECURITY_GROUPS]));
    size_t pairs = json_array_size(value_json(op, &row->values[PORT_ADDRESS_PAIRS]));
    if (enabled)
        return NULL;
    if (pairs > 0)
        return FAULT(op->cx, 409, "AddressPairAndPortSecurityRequired",
            "Port Security must be enabled in order to have allowed address pairs on a port.");
    if (groups > 0 && row_given(row, PORT_SECURITY_GROUPS))
        return FAULT(op->cx, 400, "PortSecurityAndIPRequiredForSecurityGroups",
            "Port security must be enabled and port must have an IP address in order to use security groups.");
    if (groups > 0 && op->kind == OP_UPDATE)
        return FAULT(op->cx, 409, "PortSecurityPortHasSecurityGroup", "Port has security group associated. Cannot disable port "
            "security or IP address until security group is removed.");
    return NULL;
}

static struct fault *port_validate(struct op *op, struct row *row)
{
    static const char *const ip_members[] = { "ip_address", "subnet_id", NULL };
    static const char *const pair_members[] = { "mac_address", "ip_address", NULL };
    struct network_info *info;
    TRY(row_network(op, row, &info));
    if (row->given[PORT_SECURITY_GROUPS].state == VALUE_NULL)
        row->given[PORT_SECURITY_GROUPS] = row->values[PORT_SECURITY_GROUPS] = VALUE_RAW("[]");
    if (op->kind == OP_CREATE) {
        if (row_text(row, PORT_TENANT) == NULL)
            row->values[PORT_TENANT] = VALUE_STR("");
        if (row->values[PORT_SECURITY_ENABLED].state == VALUE_ABSENT)
            row->values[PORT_SECURITY_ENABLED] = VALUE_BOOL(info->port_security);
    }
    TRY(enforce_members(op, row, PORT_FIXED_IPS, ip_members));
    TRY(enforce_members(op, row, PORT_ADDRESS_PAIRS, pair_members));
    return check_security(op, row);
}

/* ---- In the transaction ---- */

/* The network's addresses, and the project's quota and security groups. */
static struct fault *port_serialize(struct op *op)
{
    TRY(serialize_rows(op, "network", PORT_NETWORK_ID));
    return op->kind != OP_DELETE ? serialize_rows(op, "project", PORT_TENANT) : NULL;
}

static struct fault *port_quota(struct op *op, size_t more)
{
    return quota_check(op, "port", "ports", PORT_TENANT, 1);
}

static struct fault *mac_in_use(struct op *op, struct row *row)
{
    return FAULT(op->cx, 409, "MacAddressInUse", "Unable to complete operation for network %s. The mac address %s is in use.",
        row_text(row, PORT_NETWORK_ID), row_text(row, PORT_MAC));
}

static struct fault *mac_choose(struct op *op, struct row *row, uint8_t mac[6])
{
    const char *text = row_text(row, PORT_MAC);
    uint8_t base[6];
    int64_t used = 1;
    bool given = text != NULL;
    if (!mac_parse(config_str(op->cx->app->config, "DEFAULT", "base_mac"), base))
        mac_parse("fa:16:3e:00:00:00", base);
    for (int i = 0; i < MAC_TRIES && used > 0; i++) {
        if (given) {
            mac_parse(text, mac);
        } else {
            size_t fixed = base[3] != 0 ? 4 : 3;
            memcpy(mac, base, fixed);
            random_bytes(mac + fixed, 6 - fixed);
            row->values[PORT_MAC] = VALUE_STR(mac_text(op->cx->arena, mac));
        }
        TRY(sql_int_of(op->tx, &used, 0, "SELECT COUNT(*) FROM ports WHERE network_id = ? AND mac_address = ?",
            BIND(TEXT(row_text(row, PORT_NETWORK_ID)), TEXT(row_text(row, PORT_MAC)))));
        if (used > 0 && given)
            return mac_in_use(op, row);
    }
    return used == 0 ? NULL : FAULT(op->cx, 503, "MacAddressGenerationFailure", "Unable to generate unique mac on network %s.",
        row_text(row, PORT_NETWORK_ID));
}

static struct fault *groups_write(struct op *op, struct row *row)
{
    const json_t *ids = value_json(op, &row->values[PORT_SECURITY_GROUPS]);
    for (size_t i = 0; i < json_array_size(ids); i++)
        TRY(sql_exec_later(op->tx, "INSERT INTO port_security_groups (port_id, security_group_id) VALUES (?, ?)",
            BIND(TEXT(row_text(row, PORT_ID)), TEXT(json_string_value(json_array_get(ids, i))))));
    return NULL;
}

static bool owned_by_network(const struct row *row)
{
    const char *owner = row_text(row, PORT_DEVICE_OWNER);
    return owner != NULL && strncmp(owner, "network:", 8) == 0;
}

static struct fault *groups_choose(struct op *op, struct row *row)
{
    const char *project = row_text(row, PORT_TENANT), *id;
    if (project[0] != '\0')
        TRY(default_group(op->cx, op->tx, project, &id));
    if (row->values[PORT_SECURITY_GROUPS].state == VALUE_SET)
        return groups_exist(op->cx, op->tx, value_json(op, &row->values[PORT_SECURITY_GROUPS]), project, op->sees_all);
    if (project[0] != '\0' && row_int(row, PORT_SECURITY_ENABLED) && !owned_by_network(row))
        row->values[PORT_SECURITY_GROUPS] = VALUE_RAW(arena_printf(op->cx->arena, "[\"%s\"]", id));
    else
        row->values[PORT_SECURITY_GROUPS] = VALUE_RAW("[]");
    return NULL;
}

static struct fault *port_create(struct op *op, struct row *row)
{
    struct network_info *info;
    const char *ips;
    uint8_t mac[6];
    TRY(network_seen(op, op->tx, row_text(row, PORT_NETWORK_ID), &info));
    row->values[PORT_ID] = VALUE_STR(uuid_new(op->cx->arena));
    TRY(mac_choose(op, row, mac));
    TRY(groups_choose(op, row));
    struct port_addresses addresses = { row_text(row, PORT_ID), info->id, row_text(row, PORT_DEVICE_OWNER), mac,
        value_json(op, &row->values[PORT_FIXED_IPS]), NULL };
    TRY(ipam_assign(op->cx, op->tx, &addresses, &ips));
    row->values[PORT_FIXED_IPS] = VALUE_RAW(ips);
    if (row_text(row, PORT_HOST_ID) == NULL)
        row->values[PORT_HOST_ID] = VALUE_STR("");
    if (row->values[PORT_PROFILE].state != VALUE_SET)
        row->values[PORT_PROFILE] = VALUE_RAW("{}");
    return port_bind(op, row, info);
}

static struct fault *port_created(struct op *op, struct row *row)
{
    return groups_write(op, row);
}

static struct fault *update_addresses(struct op *op, struct row *row)
{
    const char *ips;
    uint8_t mac[6];
    mac_parse(row_text(row, PORT_MAC), mac);
    struct port_addresses addresses = { row_text(row, PORT_ID), row_text(row, PORT_NETWORK_ID), row_text(row, PORT_DEVICE_OWNER),
        mac, value_json(op, &row->values[PORT_FIXED_IPS]), json_dump(op->cx->arena, value_json(op, &row->before[PORT_FIXED_IPS])) };
    TRY(ipam_assign(op->cx, op->tx, &addresses, &ips));
    row->values[PORT_FIXED_IPS] = VALUE_RAW(ips);
    return NULL;
}

static struct fault *update_mac(struct op *op, struct row *row)
{
    const char *vif = row_text(row, PORT_VIF_TYPE), *host = row_text(row, PORT_HOST_ID);
    if (host != NULL && host[0] != '\0' && strcmp(vif, "unbound") != 0 && strcmp(vif, "binding_failed") != 0)
        return FAULT(op->cx, 409, "PortBound", "Unable to complete operation on port %s, port is already bound, port type: %s, "
            "old_mac %s, new_mac %s.", row_text(row, PORT_ID), vif, row->before[PORT_MAC].text, row_text(row, PORT_MAC));
    return NULL;
}

/* An option without a value is removed; others join those that are there. */
static void merge_dhcp_opts(struct op *op, struct row *row)
{
    json_t *merged = json_keep(op->cx->arena, json_deep_copy(value_json(op, &row->before[PORT_DHCP_OPTS])));
    json_t *given = value_json(op, &row->given[PORT_DHCP_OPTS]);
    for (size_t i = 0; i < json_array_size(given); i++) {
        json_t *item = json_array_get(given, i);
        for (size_t k = json_array_size(merged); k-- > 0;) {
            json_t *old = json_array_get(merged, k);
            if (json_equal(json_object_get(old, "opt_name"), json_object_get(item, "opt_name")) &&
                json_equal(json_object_get(old, "ip_version"), json_object_get(item, "ip_version")))
                json_array_remove(merged, k);
        }
        if (!json_is_null(json_object_get(item, "opt_value")))
            json_array_append(merged, item);
    }
    row->values[PORT_DHCP_OPTS] = VALUE_JSON(merged);
}

static struct fault *port_change(struct op *op, struct row *row)
{
    struct network_info *info;
    TRY(network_info(op->tx, row_text(row, PORT_NETWORK_ID), &info));
    if (row_given(row, PORT_MAC) && row_changed(row, PORT_MAC))
        TRY(update_mac(op, row));
    if (row_given(row, PORT_FIXED_IPS))
        TRY(update_addresses(op, row));
    if (row_given(row, PORT_DHCP_OPTS))
        merge_dhcp_opts(op, row);
    if (row_given(row, PORT_SECURITY_GROUPS)) {
        TRY(groups_exist(op->cx, op->tx, value_json(op, &row->values[PORT_SECURITY_GROUPS]), row_text(row,
            PORT_TENANT), op->sees_all));
        TRY(sql_exec_later(op->tx, "DELETE FROM port_security_groups WHERE port_id = ?", BIND(TEXT(row_text(row, PORT_ID)))));
        TRY(groups_write(op, row));
    }
    if (row_text(row, PORT_HOST_ID) == NULL)
        row->values[PORT_HOST_ID] = VALUE_STR("");
    if (row->values[PORT_PROFILE].state != VALUE_SET)
        row->values[PORT_PROFILE] = VALUE_RAW("{}");
    if (info != NULL && (row_given(row, PORT_HOST_ID) || row_given(row, PORT_VNIC_TYPE) || row_given(row, PORT_PROFILE)))
        TRY(port_bind(op, row, info));
    return NULL;
}

static struct fault *port_remove(struct op *op, struct row *row)
{
    const char *id = row_text(row, PORT_ID);
    TRY(sql_exec_later(op->tx, "DELETE FROM ip_allocations WHERE port_id = ?", BIND(TEXT(id))));
    return sql_exec_later(op->tx, "DELETE FROM port_security_groups WHERE port_id = ?", BIND(TEXT(id)));
}

static bool owned_by_compute(const struct row *row)
{
    const char *owner = row_text(row, PORT_DEVICE_OWNER), *device = row_text(row, PORT_DEVICE_ID);
    return owner != NULL && strncmp(owner, "compute:", 8) == 0 && device != NULL && device[0] != '\0';
}

static struct fault *port_after(struct op *op)
{
    for (size_t i = 0; i < op->page.count; i++) {
        struct row *row = &op->page.rows[i];
        notify_agents(op->cx, op->kind == OP_DELETE ? "port_delete" : "port_update", "port", row_text(row, PORT_ID));
        if (op->kind == OP_DELETE && owned_by_compute(row))
            notify_nova(op->cx, "network-vif-deleted", row_text(row, PORT_DEVICE_ID), row_text(row, PORT_ID), NULL);
        if (op->kind == OP_UPDATE && owned_by_compute(row) && row_changed(row, PORT_FIXED_IPS))
            notify_nova(op->cx, "network-changed", row_text(row, PORT_DEVICE_ID), row_text(row, PORT_ID), NULL);
        if (op->kind != OP_DELETE)
            port_simulate(op, row);
    }
    return NULL;
}

const struct resource port_resource = {
    .name = "port", .plural = "ports", .table = "ports", .fields = port_fields, .count = PORT_FIELDS,
    .id = PORT_ID, .owner = PORT_TENANT, .dialect = &neutron_resources, .bulk = true,
    .not_found = "PortNotFound", .not_found_text = "Port %s could not be found.",
    .target_names = network_target_names, .target = port_target, .visible = port_visible, .validate = port_validate,
    .serialize = port_serialize,
    .quota = port_quota, .create = port_create, .created = port_created, .update = port_change, .remove = port_remove,
    .after = port_after, .duplicate = mac_in_use,
};

static const struct route rows[] = {
    ROUTE(GET,    "/v2.0/ports",      "get_port",    resource_list,   HANDLER_POLICY, .resource = &port_resource),
    ROUTE(POST,   "/v2.0/ports",      "create_port", resource_create, HANDLER_POLICY, .resource = &port_resource, .status = 201),
    ROUTE(GET,    "/v2.0/ports/{id}", "get_port",    resource_show,   HANDLER_POLICY, .resource = &port_resource),
    ROUTE(PUT,    "/v2.0/ports/{id}", "update_port", resource_update, HANDLER_POLICY, .resource = &port_resource),
    ROUTE(DELETE, "/v2.0/ports/{id}", "delete_port", resource_delete, HANDLER_POLICY, .resource = &port_resource, .status = 204),
};
const struct route_table port_routes = ROUTES(rows);
