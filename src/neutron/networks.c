/* SPDX-License-Identifier: Apache-2.0
 *
 * networks: the L2 segments that ports live on. API reference: Networks, network v2.0.
 */
#include "base/random.h"
#include "neutron/private.h"

#include <string.h>

enum {
    ID, NAME, TENANT, ADMIN_STATE_UP, MTU, STATUS, SUBNETS, SHARED, ZONE_HINTS, ZONES, V4_SCOPE, V6_SCOPE, EXTERNAL,
    IS_DEFAULT, DESCRIPTION, PORT_SECURITY, TYPE, PHYSICAL, SEGMENTATION_ID, TAGS, TAGS_ANY, NOT_TAGS,
    NOT_TAGS_ANY, CREATED, UPDATED, REVISION, FIELDS
};

static const char *const status_names[] = { "ACTIVE", "DOWN", "BUILD", "ERROR", NULL };

/* A list of texts for each network of the page, in one query: `select` gives network and text, and ends before its IN. */
static struct fault *load_list(struct op *op, struct page *page, size_t field, const char *select)
{
    struct sql_value *ids;
    size_t count = page_ids(op, page, field, &ids), hint = 0;
    struct rows *rows;
    for (size_t i = 0; i < page->count; i++)
        if (page->rows[i].values[field].state == VALUE_ABSENT)
            page->rows[i].values[field] = VALUE_JSON(json_keep(op->cx->arena, json_array()));
    TRY(sql_query(op->tx, &rows, arena_printf(op->cx->arena, "%s IN (%s) ORDER BY 1", select, sql_marks(op->cx->arena, count)), ids,
        count));
    while (rows_next(rows)) {
        struct row *row = page_find(op, page, rows_text(rows, 0), &hint);
        if (row != NULL && !rows_null(rows, 1))
            json_array_append_new(row->values[field].json, json_string(rows_text(rows, 1)));
    }
    return rows_fault(rows);
}

static struct fault *load_subnets(struct op *op, struct page *page, size_t field)
{
    return load_list(op, page, field, "SELECT network_id, id FROM subnets WHERE network_id");
}

/* Zones of the agents that serve the network's DHCP. */
static struct fault *load_zones(struct op *op, struct page *page, size_t field)
{
    return load_list(op, page, field, "SELECT DISTINCT n.network_id, a.availability_zone FROM network_dhcp_agents n"
        " JOIN agents a ON a.id = n.agent_id AND n.removed = 0 WHERE n.network_id");
}

static struct fault *load_null(struct op *op, struct page *page, size_t field)
{
    for (size_t i = 0; i < page->count; i++)
        page->rows[i].values[field] = VALUE_NONE;
    return NULL;
}

static const struct field network_fields[FIELDS] = {
    [ID]              = { "id",                        UUID, COLUMN("id"),                      FILTER | SORT, .automatic = NEW_UUID },
    [NAME]            = { "name",                      STR,  COLUMN("name"),                    CREATE | UPDATE | FILTER | SORT, .def = STR_DEF("") },
    [TENANT]          = { "project_id",                STR,  COLUMN("project_id"),
                     CREATE | FILTER | SORT, .alias = "tenant_id", .check = check_project, .def = CALLER_PROJECT },
    [ADMIN_STATE_UP]  = { "admin_state_up",            BOOL, COLUMN("admin_state_up"),          CREATE | UPDATE | FILTER | SORT, .def = TRUE_DEF },
    [MTU]             = { "mtu",                       INT,  COLUMN("mtu"),                     CREATE | UPDATE | FILTER | SORT, .min = 0, .max = 65535, .def = INT_DEF(0) },
    [STATUS]          = { "status",                    ENUM, COLUMN("status"),                  FILTER | SORT, .names = status_names, .def = STR_DEF("ACTIVE") },
    [SUBNETS]         = { "subnets",                   LIST, LOADER(load_subnets),              0 },
    [SHARED]          = { "shared",                    BOOL, COLUMN("shared"),                  CREATE | UPDATE | FILTER | PER_FIELD, .def = FALSE_DEF },
    [ZONE_HINTS]      = { "availability_zone_hints",   LIST, COLUMN("availability_zone_hints"), CREATE, .def = JSON_DEF("[]") },
    [ZONES]           = { "availability_zones",        LIST, LOADER(load_zones),                0 },
    [V4_SCOPE]        = { "ipv4_address_scope",        STR,  LOADER(load_null),                 0 },
    [V6_SCOPE]        = { "ipv6_address_scope",        STR,  LOADER(load_null),                 0 },
    [EXTERNAL]        = { "router:external",           BOOL, COLUMN("external"),                CREATE | UPDATE | FILTER | PER_FIELD, .def = FALSE_DEF },
    [IS_DEFAULT]      = { "is_default",                BOOL, COLUMN("is_default"),              CREATE | UPDATE | FILTER | PER_FIELD | HIDDEN, .def = FALSE_DEF },
    [DESCRIPTION]     = { "description",               STR,  COLUMN("description"),             CREATE | UPDATE | FILTER | SORT, .def = STR_DEF("") },
    [PORT_SECURITY]   = { "port_security_enabled",     BOOL, COLUMN("port_security_enabled"),   CREATE | UPDATE | FILTER | PER_FIELD, .def = TRUE_DEF },
    [TYPE]            = { "provider:network_type",     STR,  COLUMN("network_type"),            CREATE | UPDATE | FILTER | SORT | PER_FIELD | NULLABLE, .def = NULL_DEF },
    [PHYSICAL]        = { "provider:physical_network", STR,  COLUMN("physical_network"),
               CREATE | UPDATE | FILTER | SORT | PER_FIELD | NULLABLE, .max = 64, .def = NULL_DEF },
    [SEGMENTATION_ID] = { "provider:segmentation_id",  INT,  COLUMN("segmentation_id"),
                CREATE | UPDATE | FILTER | SORT | PER_FIELD | NULLABLE, .min = 1, .max = 16777215, .def = NULL_DEF },
    [TAGS]            = { "tags",                      LIST, COLUMN("tags"),                    FILTER, .def = JSON_DEF("[]"), .filter = tags_filter },
    [TAGS_ANY]        = { "tags-any",                  LIST, NOWHERE,                           FILTER | HIDDEN, .filter = tags_filter },
    [NOT_TAGS]        = { "not-tags",                  LIST, NOWHERE,                           FILTER | HIDDEN, .filter = tags_filter },
    [NOT_TAGS_ANY]    = { "not-tags-any",              LIST, NOWHERE,                           FILTER | HIDDEN, .filter = tags_filter },
    [CREATED]         = { "created_at",                TIME, COLUMN("created_at"),              FILTER | SORT, .automatic = CREATED_AT, .format = CLOCK_ISO },
    [UPDATED]         = { "updated_at",                TIME, COLUMN("updated_at"),              FILTER | SORT, .automatic = UPDATED_AT, .format = CLOCK_ISO },
    [REVISION]        = { "revision_number",           INT,  COLUMN("revision"),                FILTER | SORT, .automatic = REVISION_COUNTER, .first = 1 },
};

struct fault *network_info(struct tx *tx, const char *id, struct network_info **ret)
{
    struct rows *rows;
    *ret = NULL;
    TRY(sql_query(tx, &rows, "SELECT id, project_id, network_type, physical_network, segmentation_id, mtu, shared, external, "
        "port_security_enabled, admin_state_up FROM networks WHERE id = ?", BIND(TEXT(id))));
    if (rows_next(rows)) {
        struct network_info *info = ARENA_NEW(tx_arena(tx), struct network_info);
        *info = (struct network_info){ rows_text(rows, 0), rows_text(rows, 1), rows_text(rows, 2), rows_text(rows, 3),
            rows_int(rows, 4), rows_int(rows, 5), rows_int(rows, 6), rows_int(rows, 7), rows_int(rows, 8), rows_int(rows, 9) };
        *ret = info;
        rows_end(rows);
    }
    return rows_fault(rows);
}

struct fault *network_seen(struct op *op, struct tx *tx, const char *id, struct network_info **ret)
{
    const struct caller *caller = op->cx->caller;
    TRY(network_info(tx, id, ret));
    if (*ret != NULL && (op->sees_all || (*ret)->shared || (*ret)->external))
        return NULL;
    if (*ret != NULL && caller != NULL && caller->project_id != NULL && (*ret)->project_id != NULL &&
        strcmp(caller->project_id, (*ret)->project_id) == 0)
        return NULL;
    return FAULT(op->cx, 404, "NetworkNotFound", "Network %s could not be found.", id);
}

const char *const network_target_names[] = { "network:tenant_id", "network:project_id", NULL };

struct fault *network_target(const struct network_info *info, const char *name, const char **ret)
{
    if (info != NULL && strncmp(name, "network:", 8) == 0)
        *ret = info->project_id;
    return NULL;
}

static struct fault *network_visible(struct op *op, struct where *where)
{
    where_or(where, "shared = 1", NO_BIND);
    where_or(where, "external = 1", NO_BIND);
    return NULL;
}

static struct segment row_segment(const struct row *row)
{
    return (struct segment){ row_text(row, TYPE), row_text(row, PHYSICAL), row_int(row, SEGMENTATION_ID) };
}

static struct fault *network_validate(struct op *op, struct row *row)
{
    struct segment segment = row_segment(row);
    if (op->kind == OP_CREATE)
        TRY(segment_validate(op->cx, &segment));
    if (op->kind == OP_UPDATE && (row_given(row, TYPE) || row_given(row, PHYSICAL) || row_given(row, SEGMENTATION_ID)))
        return invalid_input(op->cx, "Plugin does not support updating the following provider network attributes: "
            "provider:network_type, provider:physical_network, provider:segmentation_id");
    if (op->kind == OP_CREATE && row_text(row, TENANT) == NULL)
        return FAULT(op->cx, 400, "HTTPBadRequest", "Running without keystone AuthN requires that tenant_id is specified");
    return NULL;
}

static struct fault *network_serialize(struct op *op)
{
    if (op->kind != OP_CREATE)
        return serialize_rows(op, "network", ID);
    TRY(serialize_rows(op, "project", TENANT));
    return tx_serialize(op->tx, "segments");
}

static struct fault *network_quota(struct op *op, size_t more)
{
    return quota_check(op, "network", "networks", TENANT, 1);
}

static struct fault *check_mtu(struct op *op, struct row *row, const struct segment *segment)
{
    int64_t most = segment_mtu(op->cx, segment);
    if (row_int(row, MTU) == 0)
        row->values[MTU] = VALUE_INT(most);
    if (row_int(row, MTU) > most)
        return invalid_input(op->cx, "Requested MTU is too big, maximum is %lld", (long long)most);
    if (row_int(row, MTU) < 68)
        return invalid_value(op->cx, "mtu", "'%lld' is too small - must be at least '68'", (long long)row_int(row, MTU));
    return NULL;
}

static struct fault *network_create(struct op *op, struct row *row)
{
    struct segment segment = row_segment(row);
    row->values[ID] = VALUE_STR(uuid_new(op->cx->arena));
    TRY(segment_reserve(op->cx, op->tx, row_text(row, ID), &segment));
    row->values[TYPE] = VALUE_STR(segment.type);
    row->values[PHYSICAL] = VALUE_STR(segment.physical_network);
    row->values[SEGMENTATION_ID] = segment.id > 0 ? VALUE_INT(segment.id) : VALUE_NONE;
    row->values[SUBNETS] = VALUE_RAW("[]");
    row->values[ZONES] = VALUE_RAW("[]");
    return check_mtu(op, row, &segment);
}

static struct fault *network_update(struct op *op, struct row *row)
{
    struct segment segment = row_segment(row);
    int64_t strangers = 0;
    if (row_given(row, SHARED) && row_changed(row, SHARED) && row_int(row, SHARED) == 0) {
        TRY(sql_int_of(op->tx, &strangers, 0, "SELECT COUNT(*) FROM ports WHERE network_id = ? AND project_id <> ? AND "
            "project_id <> '' AND device_owner NOT LIKE 'network:%'", BIND(TEXT(row_text(row, ID)), TEXT(row_text(row, TENANT)))));
        if (strangers > 0)
            return FAULT(op->cx, 409, "InvalidSharedSetting", "Unable to reconfigure sharing settings for network %s. "
                "Multiple tenants are using it.", row_text(row, ID));
    }
    return row_given(row, MTU) ? check_mtu(op, row, &segment) : NULL;
}

static struct fault *network_remove(struct op *op, struct row *row)
{
    const char *id = row_text(row, ID), *ports = NULL;
    struct rows *rows;
    TRY(sql_query(op->tx, &rows, "SELECT id FROM ports WHERE network_id = ? AND device_owner <> 'network:dhcp' "
        "AND device_owner <> 'network:distributed' LIMIT 100", BIND(TEXT(id))));
    while (rows_next(rows))
        ports = ports == NULL ? rows_text(rows, 0) : arena_printf(op->cx->arena, "%s,%s", ports, rows_text(rows, 0));
    TRY(rows_fault(rows));
    if (ports != NULL)
        return FAULT(op->cx, 409, "NetworkInUse", "Unable to complete operation on network %s. There are one or more ports "
            "still in use on the network, id for these ports is: %s.", id, ports);
    static const char *const statements[] = {
        "DELETE FROM ip_allocations WHERE network_id = ?",
        "DELETE FROM port_security_groups WHERE port_id IN (SELECT id FROM ports WHERE network_id = ?)",
        "DELETE FROM ports WHERE network_id = ?",
        "DELETE FROM subnets WHERE network_id = ?",
        "DELETE FROM segment_allocations WHERE network_id = ?",
        "DELETE FROM network_dhcp_agents WHERE network_id = ?",
    };
    for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++)
        TRY(sql_exec(op->tx, statements[i], BIND(TEXT(id))));
    return NULL;
}

static struct fault *network_after(struct op *op)
{
    for (size_t i = 0; i < op->page.count; i++)
        if (op->kind != OP_CREATE) /* a network without ports concerns nobody */
            notify_agents(op->cx, op->kind == OP_DELETE ? "network_delete" : "network_update", "network",
                row_text(&op->page.rows[i], ID));
    return NULL;
}

const struct resource network_resource = {
    .name = "network", .plural = "networks", .table = "networks", .fields = network_fields, .count = FIELDS,
    .id = ID, .owner = TENANT, .dialect = &neutron_resources, .bulk = true,
    .not_found = "NetworkNotFound", .not_found_text = "Network %s could not be found.",
    .visible = network_visible, .validate = network_validate, .serialize = network_serialize, .quota = network_quota,
    .create = network_create, .update = network_update, .remove = network_remove, .after = network_after,
};

static const struct route rows[] = {
    ROUTE(GET,    "/v2.0/networks",      "get_network",    resource_list,   HANDLER_POLICY, .resource = &network_resource),
    ROUTE(POST,   "/v2.0/networks",      "create_network", resource_create, HANDLER_POLICY, .resource = &network_resource, .status = 201),
    ROUTE(GET,    "/v2.0/networks/{id}", "get_network",    resource_show,   HANDLER_POLICY, .resource = &network_resource),
    ROUTE(PUT,    "/v2.0/networks/{id}", "update_network", resource_update, HANDLER_POLICY, .resource = &network_resource),
    ROUTE(DELETE, "/v2.0/networks/{id}", "delete_network", resource_delete, HANDLER_POLICY, .resource = &network_resource, .status = 204),
};
const struct route_table network_routes = ROUTES(rows);
