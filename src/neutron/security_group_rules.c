/* SPDX-License-Identifier: Apache-2.0
 *
 * security_group_rules: what may pass a port. API reference: Security group rules.
 */
#include "base/random.h"
#include "neutron/security_groups.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const direction_names[] = { "ingress", "egress", NULL };

/* IANA's numbers. `ports`: has ports; `six`: for IPv6 only. */
static const struct protocol {
    const char *name;
    int number;
    bool ports, six;
} protocols[] = {
    { "ah",          51,  false, false },
    { "dccp",        33,  true,  false },
    { "egp",         8,   false, false },
    { "esp",         50,  false, false },
    { "gre",         47,  false, false },
    { "icmp",        1,   false, false },
    { "icmpv6",      58,  false, true  },
    { "igmp",        2,   false, false },
    { "ipip",        4,   false, false },
    { "ipv6-encap",  41,  false, true  },
    { "ipv6-frag",   44,  false, true  },
    { "ipv6-icmp",   58,  false, true  },
    { "ipv6-nonxt",  59,  false, true  },
    { "ipv6-opts",   60,  false, true  },
    { "ipv6-route",  43,  false, true  },
    { "ospf",        89,  false, false },
    { "pgm",         113, false, false },
    { "rsvp",        46,  false, false },
    { "sctp",        132, true,  false },
    { "tcp",         6,   true,  false },
    { "udp",         17,  true,  false },
    { "udplite",     136, true,  false },
    { "vrrp",        112, false, false },
};
enum { PROTOCOLS = sizeof(protocols) / sizeof(protocols[0]) };

static const struct protocol *protocol_find(const char *text)
{
    char *end;
    long number = strtol(text, &end, 10);
    for (size_t i = 0; i < PROTOCOLS; i++)
        if (strcmp(protocols[i].name, text) == 0 || (*end == '\0' && protocols[i].number == number))
            return &protocols[i];
    return NULL;
}

int protocol_number(const char *text)
{
    const struct protocol *protocol = protocol_find(text);
    return protocol != NULL ? protocol->number : atoi(text);
}

static struct fault *protocol_check(struct op *op, const struct field *field, struct value *value)
{
    struct arena *arena = op->cx->arena;
    char *lower = arena_strdup(arena, value->text), *end;
    for (char *c = lower; *c != '\0'; c++)
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c | 0x20) : *c;
    long number = strtol(lower, &end, 10);
    bool numeric = lower[0] >= '0' && lower[0] <= '9' && *end == '\0';
    *value = VALUE_STR(lower);
    if (strcmp(lower, "any") == 0)
        *value = VALUE_NONE;
    else if (strcmp(lower, "icmpv6") == 0)
        *value = VALUE_STR("ipv6-icmp");
    else if (numeric ? number > 255 : protocol_find(lower) == NULL) {
        const char *names[PROTOCOLS];
        for (size_t i = 0; i < PROTOCOLS; i++)
            names[i] = protocols[i].name;
        return FAULT(op->cx, 400, "SecurityGroupRuleInvalidProtocol", "Security group rule protocol %s not supported. "
            "Only protocol "
            "values [None, %s and integer representations [0 to 255] are supported.", lower, texts_repr(arena, names,
                PROTOCOLS) + 1);
    }
    return NULL;
}

static struct fault *ethertype_check(struct op *op, const struct field *field, struct value *value)
{
    if (strcasecmp(value->text, "ipv4") == 0)
        value->text = "IPv4";
    else if (strcasecmp(value->text, "ipv6") == 0)
        value->text = "IPv6";
    else
        return FAULT(op->cx, 400, "SecurityGroupRuleInvalidEtherType", "Security group rule for ethertype '%s' not "
            "supported. Allowed "
            "values are ['IPv4', 'IPv6'].", value->text);
    return NULL;
}

static struct fault *port_check(struct op *op, const struct field *field, struct value *value)
{
    if (value->integer < 0 || value->integer > 65535)
        return FAULT(op->cx, 400, "SecurityGroupInvalidPortValue", "Invalid value for port %lld", (long long)value->integer);
    return NULL;
}

static struct fault *prefix_check(struct op *op, const struct field *field, struct value *value)
{
    struct network_prefix prefix;
    if (!prefix_parse(value->text, &prefix))
        return FAULT(op->cx, 400, "InvalidCIDR", "Invalid CIDR %s given as IP prefix.", value->text);
    if (strchr(value->text, '/') == NULL)
        value->text = prefix_text(op->cx->arena, &prefix);
    return NULL;
}

static struct fault *load_null(struct op *op, struct page *page, size_t field)
{
    for (size_t i = 0; i < page->count; i++)
        page->rows[i].values[field] = VALUE_NONE;
    return NULL;
}

static const struct field rule_fields[RULE_FIELDS] = {
    [RULE_ID]            = { "id",                      UUID, COLUMN("id"),                FILTER | SORT, .automatic = NEW_UUID },
    [RULE_TENANT]        = { "project_id",              STR,  COLUMN("project_id"),        CREATE | FILTER | SORT,
        .alias = "tenant_id", .check = check_project, .def = CALLER_PROJECT },
    [RULE_GROUP_ID]      = { "security_group_id",       UUID, COLUMN("security_group_id"), CREATE | FILTER | SORT | REQUIRED },
    [RULE_ETHERTYPE]     = { "ethertype",               STR,  COLUMN("ethertype"),         CREATE | FILTER | SORT, .check = ethertype_check, .def = STR_DEF("IPv4") },
    [RULE_DIRECTION]     = { "direction",               ENUM, COLUMN("direction"),         CREATE | FILTER | SORT | REQUIRED, .names = direction_names },
    [RULE_PROTOCOL]      = { "protocol",                STR,  COLUMN("protocol"),
                 CREATE | FILTER | SORT | NULLABLE | NUMBERS, .max = 40, .check = protocol_check, .def = NULL_DEF },
    [RULE_PORT_MIN]      = { "port_range_min",          INT,  COLUMN("port_range_min"),    CREATE | FILTER | SORT | NULLABLE, .check = port_check, .def = NULL_DEF },
    [RULE_PORT_MAX]      = { "port_range_max",          INT,  COLUMN("port_range_max"),    CREATE | FILTER | SORT | NULLABLE, .check = port_check, .def = NULL_DEF },
    [RULE_PREFIX]        = { "remote_ip_prefix",        STR,  COLUMN("remote_ip_prefix"),  CREATE | FILTER | SORT | NULLABLE, .max = 64, .check = prefix_check, .def = NULL_DEF },
    [RULE_ADDRESS_GROUP] = { "remote_address_group_id", UUID, LOADER(load_null),           CREATE | NULLABLE, .def = NULL_DEF },
    [RULE_NORMALIZED]    = { "normalized_cidr",         STR,  COLUMN("normalized_cidr"),   FILTER | SORT },
    [RULE_REMOTE_GROUP]  = { "remote_group_id",         STR,  COLUMN("remote_group_id"),   CREATE | FILTER | SORT | NULLABLE, .def = NULL_DEF },
    [RULE_DESCRIPTION]   = { "description",             STR,  COLUMN("description"),       CREATE | FILTER | SORT, .def = STR_DEF("") },
    [RULE_CREATED]       = { "created_at",              TIME, COLUMN("created_at"),        FILTER | SORT, .automatic = CREATED_AT, .format = CLOCK_ISO },
    [RULE_UPDATED]       = { "updated_at",              TIME, COLUMN("updated_at"),        FILTER | SORT, .automatic = UPDATED_AT, .format = CLOCK_ISO },
    [RULE_REVISION]      = { "revision_number",         INT,  COLUMN("revision"),          FILTER | SORT, .automatic = REVISION_COUNTER },
};

/* ---- Validation ---- */

static struct fault *icmp_ranges(struct op *op, struct row *row)
{
    static const struct {
        size_t field;
        const char *attribute;
    } parts[] = { { RULE_PORT_MIN, "type" }, { RULE_PORT_MAX, "code" } };
    for (size_t i = 0; i < 2; i++)
        if (row->values[parts[i].field].state == VALUE_SET && row_int(row, parts[i].field) > 255)
            return FAULT(op->cx, 400, "SecurityGroupInvalidIcmpValue", "Invalid value for ICMP %s (%s) %lld. It must be 0 to 255.",
                parts[i].attribute, rule_fields[parts[i].field].name, (long long)row_int(row, parts[i].field));
    if (row->values[RULE_PORT_MIN].state != VALUE_SET && row->values[RULE_PORT_MAX].state == VALUE_SET)
        return FAULT(op->cx, 400, "SecurityGroupMissingIcmpType", "ICMP code (port-range-max) %lld is provided but ICMP type "
            "(port-range-min) is missing.", (long long)row_int(row, RULE_PORT_MAX));
    return NULL;
}

static struct fault *port_ranges(struct op *op, struct row *row)
{
    bool low = row->values[RULE_PORT_MIN].state == VALUE_SET, high = row->values[RULE_PORT_MAX].state == VALUE_SET;
    const char *name = row_text(row, RULE_PROTOCOL);
    const struct protocol *protocol = name != NULL ? protocol_find(name) : NULL;
    if (!low && !high)
        return NULL;
    if (name == NULL)
        return FAULT(op->cx, 400, "SecurityGroupProtocolRequiredWithPorts", "Must also specify protocol if port range is given.");
    if (protocol != NULL && (protocol->number == 1 || protocol->number == 58))
        return icmp_ranges(op, row);
    if (protocol == NULL || !protocol->ports)
        return FAULT(op->cx, 400, "SecurityGroupInvalidProtocolForPort",
            "Ports cannot be specified for protocol %s. Ports are only "
            "supported for dccp, sctp, tcp, udp, udplite.", name);
    if ((low && row_int(row, RULE_PORT_MIN) == 0) || (high && row_int(row, RULE_PORT_MAX) == 0))
        return FAULT(op->cx, 400, "SecurityGroupInvalidPortValue", "Invalid value for port 0");
    if (!low || !high || row_int(row, RULE_PORT_MIN) > row_int(row, RULE_PORT_MAX))
        return FAULT(op->cx, 400, "SecurityGroupInvalidPortRange", "For TCP/UDP protocols, port_range_min must be <= "
            "port_range_max");
    return NULL;
}

static struct fault *rule_validate(struct op *op, struct row *row)
{
    const char *cidr = row_text(row, RULE_PREFIX), *ethertype = row_text(row, RULE_ETHERTYPE), *name = row_text(row, RULE_PROTOCOL);
    const struct protocol *protocol = name != NULL ? protocol_find(name) : NULL;
    struct network_prefix prefix;
    if (row_text(row, RULE_ADDRESS_GROUP) != NULL)
        return FAULT(op->cx, 404, "AddressGroupNotFound", "Address group %s could not be found.", row_text(row,
            RULE_ADDRESS_GROUP));
    TRY(port_ranges(op, row));
    if (cidr != NULL && row_text(row, RULE_REMOTE_GROUP) != NULL)
        return FAULT(op->cx, 400, "SecurityGroupMultipleRemoteEntites", "Only one of remote_ip_prefix or remote_group_id or "
            "remote_address_group_id may be provided.");
    if (protocol != NULL && protocol->six && strcmp(ethertype, "IPv4") == 0)
        return FAULT(op->cx, 400, "SecurityGroupEthertypeConflictWithProtocol",
            "Invalid ethertype %s for protocol %s.", ethertype, name);
    if (cidr == NULL)
        return NULL;
    prefix_parse(cidr, &prefix);
    if (prefix.first.version != (strcmp(ethertype, "IPv4") == 0 ? 4 : 6))
        return FAULT(op->cx, 400, "SecurityGroupRuleParameterConflict", "Conflicting value ethertype %s for CIDR %s",
            ethertype, cidr);
    row->values[RULE_NORMALIZED] = VALUE_STR(prefix_text(op->cx->arena, &prefix));
    return NULL;
}

/* ---- In the transaction ---- */

static struct fault *rule_serialize(struct op *op)
{
    return op->kind == OP_CREATE ? serialize_rows(op, "project", RULE_TENANT) : NULL;
}

static struct fault *rule_quota(struct op *op, size_t more)
{
    return quota_check(op, "security_group_rule", "security_group_rules", RULE_TENANT, 1);
}

struct fault *groups_exist(struct context *cx, struct tx *tx, const json_t *ids, const char *project_id, bool sees_all)
{
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const char *id = json_string_value(json_array_get(ids, i)), *owner = NULL;
        TRY(sql_text_of(tx, &owner, "SELECT project_id FROM security_groups WHERE id = ?", BIND(TEXT(id))));
        if (owner == NULL || (!sees_all && strcmp(owner, project_id) != 0))
            return FAULT(cx, 404, "SecurityGroupNotFound", "Security group %s does not exist", id);
    }
    return NULL;
}

static struct fault *group_known(struct op *op, const char *id)
{
    const struct caller *caller = op->cx->caller;
    json_t *ids = json_keep(op->cx->arena, json_array());
    json_array_append_new(ids, json_string(id));
    return groups_exist(op->cx, op->tx, ids, caller != NULL && caller->project_id != NULL ? caller->project_id : "", op->sees_all);
}

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static struct fault *rule_create(struct op *op, struct row *row)
{
    static const size_t texts[] = { RULE_ETHERTYPE, RULE_DIRECTION, RULE_PROTOCOL, RULE_NORMALIZED, RULE_REMOTE_GROUP };
    TRY(group_known(op, row_text(row, RULE_GROUP_ID)));
    if (row_text(row, RULE_REMOTE_GROUP) != NULL)
        TRY(group_known(op, row_text(row, RULE_REMOTE_GROUP)));

    struct op *others = op_create(op->cx, NULL, &security_group_rule_resource, OP_INTERNAL);
    struct where *where = ARENA_NEW(op->cx->arena, struct where);
    where_init(where, op->cx->arena);
    where_and(where, "security_group_id = ?", BIND(TEXT(row_text(row, RULE_GROUP_ID))));
    others->tx = op->tx;
    TRY(resource_select(others, where));
    for (size_t i = 0; i < others->page.count; i++) {
        const struct row *other = &others->page.rows[i];
        bool equal = other->values[RULE_PORT_MIN].state == (row->values[RULE_PORT_MIN].state == VALUE_SET ? VALUE_SET
            : VALUE_NULL) &&
                     other->values[RULE_PORT_MAX].state == (row->values[RULE_PORT_MAX].state == VALUE_SET ? VALUE_SET
                         : VALUE_NULL) &&
                     row_int(other, RULE_PORT_MIN) == row_int(row, RULE_PORT_MIN) && row_int(other,
                         RULE_PORT_MAX) == row_int(row, RULE_PORT_MAX);
        for (size_t k = 0; k < sizeof(texts) / sizeof(texts[0]) && equal; k++)
            equal = same(row_text(other, texts[k]), row_text(row, texts[k]));
        if (equal)
            return FAULT(op->cx, 409, "SecurityGroupRuleExists", "Security group rule already exists. Rule id is %s.",
                row_text(other, RULE_ID));
    }
    return revise(op->tx, "security_groups", row_text(row, RULE_GROUP_ID));
}

static struct fault *rule_remove(struct op *op, struct row *row)
{
    return revise(op->tx, "security_groups", row_text(row, RULE_GROUP_ID));
}

static struct fault *rule_after(struct op *op)
{
    for (size_t i = 0; i < op->page.count; i++)
        notify_agents(op->cx, "security_groups_rule_updated", "security_group", row_text(&op->page.rows[i], RULE_GROUP_ID));
    return NULL;
}

/* ---- Policy and visibility: the group's owner sees its rules ---- */

static struct fault *rule_visible(struct op *op, struct where *where)
{
    where_or(where, "security_group_id IN (SELECT id FROM security_groups WHERE project_id = ?)",
        BIND(TEXT(op->cx->caller->project_id)));
    return NULL;
}

static const char *const target_names[] = { "security_group:tenant_id", "security_group:project_id", NULL };

static struct fault *rule_target(struct op *op, struct row *row, const char *name, const char **ret)
{
    if (row == NULL || op->kind == OP_LIST || row_text(row, RULE_GROUP_ID) == NULL)
        return NULL;
    struct tx *tx = op->tx;
    if (tx == NULL)
        TRY(db_read(op->cx->arena, op->cx->app->db, &tx));
    struct fault *fault = sql_text_of(tx, ret, "SELECT project_id FROM security_groups WHERE id = ?",
        BIND(TEXT(row_text(row, RULE_GROUP_ID))));
    if (op->tx == NULL)
        tx_end(tx);
    return fault;
}

const struct resource security_group_rule_resource = {
    .name = "security_group_rule", .plural = "security_group_rules", .table = "security_group_rules", .fields = rule_fields,
    .count = RULE_FIELDS, .id = RULE_ID, .owner = RULE_TENANT, .dialect = &neutron_resources, .bulk = true,
    .not_found = "SecurityGroupRuleNotFound", .not_found_text = "Security group rule %s does not exist",
    .target_names = target_names, .target = rule_target, .visible = rule_visible, .validate = rule_validate,
    .serialize = rule_serialize, .quota = rule_quota, .create = rule_create, .remove = rule_remove, .after = rule_after,
};

static const struct route rows[] = {
    ROUTE(GET,    "/v2.0/security-group-rules",      "get_security_group_rule",    resource_list,   HANDLER_POLICY, .resource = &security_group_rule_resource),
    ROUTE(POST,   "/v2.0/security-group-rules",      "create_security_group_rule", resource_create, HANDLER_POLICY, .resource = &security_group_rule_resource, .status = 201),
    ROUTE(GET,    "/v2.0/security-group-rules/{id}", "get_security_group_rule",    resource_show,   HANDLER_POLICY, .resource = &security_group_rule_resource),
    ROUTE(DELETE, "/v2.0/security-group-rules/{id}", "delete_security_group_rule", resource_delete, HANDLER_POLICY, .resource = &security_group_rule_resource, .status = 204),
};
const struct route_table security_group_rule_routes = ROUTES(rows);
