/* SPDX-License-Identifier: Apache-2.0
 *
 * server_list: GET /servers and /servers/detail: filters, sorting, paging. What SQL cannot say (regular expressions, as
 * nova's filters are) is checked row by row while the answer is written.
 */
#include "nova/api/server_list.h"

#include "base/clock.h"
#include "nova/api/api.h"
#include "nova/api/server_view.h"
#include "oslo/regex.h"

#include <string.h>
#include <strings.h>

enum filter_kind { EXACT, REGEX, REGEX_INT, IGNORED };

/* Filters by column; `user` ones are for everybody (others are ignored unless the policy allows all filters), from the
 * microversion on. */
static const struct filter {
    const char *name;
    enum filter_kind kind;
    const char *column; /* "i." and the column */
    bool user;
    int user_since;
} filters[] = {
    { "reservation_id",    REGEX,     "reservation_id",      true,  1 },
    { "name",              REGEX,     "display_name",        true,  1 },
    { "display_name",      REGEX,     "display_name",        false, 0 },
    { "image",             EXACT,     "image_ref",           true,  1 },
    { "image_ref",         EXACT,     "image_ref",           false, 0 },
    { "flavor",            EXACT,     "flavorid",            true,  1 },
    { "user_id",           EXACT,     "user_id",             true,  83 },
    { "uuid",              EXACT,     "uuid",                false, 0 },
    { "host",              EXACT,     "host",                false, 0 },
    { "vm_state",          EXACT,     "vm_state",            true,  83 },
    { "task_state",        EXACT,     "task_state",          true,  83 },
    { "node",              REGEX,     "node",                false, 0 },
    { "hostname",          REGEX,     "hostname",            false, 0 },
    { "key_name",          REGEX,     "key_name",            true,  83 },
    { "kernel_id",         REGEX,     "kernel_id",           false, 0 },
    { "ramdisk_id",        REGEX,     "ramdisk_id",          false, 0 },
    { "availability_zone", REGEX,     "availability_zone",   true,  83 },
    { "description",       REGEX,     "display_description", false, 0 },
    { "display_description", REGEX,   "display_description", false, 0 },
    { "locked_by",         REGEX,     "locked_by",           false, 0 },
    { "root_device_name",  REGEX,     "root_device_name",    false, 0 },
    { "config_drive",      REGEX,     "config_drive",        true,  83 },
    { "access_ip_v4",      REGEX,     "access_ip_v4",        false, 0 },
    { "access_ip_v6",      REGEX,     "access_ip_v6",        false, 0 },
    { "power_state",       REGEX_INT, "power_state",         true,  83 },
    { "launch_index",      REGEX_INT, "launch_index",        false, 0 },
    { "progress",          REGEX_INT, "progress",            true,  83 },
};

/* Sort keys and their columns; NULL columns are known and ignored (an error from 2.75 on). */
static const struct sort_key {
    const char *name, *column;
    bool text, admin;
} sort_keys[] = {
    { "created_at", "created_at" }, { "updated_at", "updated_at" }, { "launched_at", "launched_at" },
    { "terminated_at", "terminated_at" }, { "display_name", "display_name", true },
    { "display_description", "display_description", true }, { "host", "host", true, true }, { "node", "node", true, true },
    { "hostname", "hostname", true }, { "image_ref", "image_ref", true }, { "instance_type_id", "flavorid", true },
    { "kernel_id", "kernel_id", true }, { "ramdisk_id", "ramdisk_id", true }, { "key_name", "key_name", true },
    { "launch_index", "launch_index" }, { "locked_by", "locked_by", true }, { "power_state", "power_state" },
    { "progress", "progress" }, { "project_id", "project_id", true }, { "user_id", "user_id", true },
    { "root_device_name", "root_device_name", true }, { "task_state", "task_state", true },
    { "vm_state", "vm_state", true }, { "uuid", "uuid", true }, { "availability_zone", "availability_zone", true },
    { "config_drive", "config_drive", true }, { "access_ip_v4", "access_ip_v4", true },
    { "access_ip_v6", "access_ip_v6", true }, { "auto_disk_config", "auto_disk_config" }, { "locked", "locked_by", true },
};

/* VALUES covers all: each parameter binds one or two, the tag filters up to 50 each. */
enum { PARAMETERS = 100, SORTS = 8, REGEXES = 40, VALUES = 500 };

struct query {
    struct request *rq;
    bool details, admin, all_filters, all_tenants;
    struct buf where;
    struct sql_value values[VALUES];
    size_t value_count;
    struct {
        struct regex *regex;
        int field; /* index into filters, or -4/-6 for ip/ip6 */
        bool integer;
        size_t column;
    } regexes[REGEXES];
    size_t regex_count;
    struct {
        const struct sort_key *key;
        bool down;
    } sorts[SORTS];
    size_t sort_count;
    int64_t limit;
    const char *marker;
    bool nothing; /* a status that no server can have */
};

static void release_query(void *argument)
{
    struct query *query = argument;

    buf_release(&query->where);
}

static void bind_text(struct query *query, const char *text)
{
    if (query->value_count < VALUES)
        query->values[query->value_count++] = TEXT(text);
}

static void add_in(struct query *query, const char *column, const char *const *texts)
{
    buf_printf(&query->where, " AND COALESCE(i.%s,'') IN (", column);
    for (size_t i = 0; texts[i] != NULL; i++) {
        buf_puts(&query->where, i == 0 ? "?" : ",?");
        bind_text(query, texts[i]);
    }
    buf_puts(&query->where, ")");
}

/* All values of a repeated parameter. */
static const char *const *all_values(struct request *rq, const char *name)
{
    size_t count = 0;

    for (const struct header *q = rq->query; q != NULL; q = q->next)
        count += strcmp(q->name, name) == 0;
    const char **list = ARENA_ARRAY(rq->cx.arena, const char *, count + 1);
    count = 0;
    for (const struct header *q = rq->query; q != NULL; q = q->next)
        if (strcmp(q->name, name) == 0)
            list[count++] = q->value;
    return list;
}

static struct fault *add_regex(struct query *query, const char *name, const char *text, int field, bool integer)
{
    if (query->regex_count == REGEXES)
        return BAD_REQUEST(query->rq, "Too many filters.");
    struct regex *compiled = regex_compile(query->rq->cx.arena, text);
    if (compiled == NULL)
        return BAD_REQUEST(query->rq, "Invalid input for query parameters %s. Value: %s. '%s' is not a 'regex'", name, text, text);
    query->regexes[query->regex_count].regex = compiled;
    query->regexes[query->regex_count].field = field;
    query->regexes[query->regex_count++].integer = integer;
    return NULL;
}

static struct fault *add_filters(struct query *query)
{
    struct request *rq = query->rq;

    for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
        const struct filter *filter = &filters[i];
        const char *text = request_query(rq, filter->name);

        if (text == NULL || !(query->all_filters || (filter->user && rq->version >= filter->user_since)))
            continue;
        if (filter->kind == EXACT) {
            if (request_query(rq, "status") == NULL || strstr(filter->name, "_state") == NULL)
                add_in(query, filter->column, all_values(rq, filter->name));
            continue;
        }
        TRY(add_regex(query, filter->name, text, (int)i, filter->kind == REGEX_INT));
    }
    if (request_query(rq, "ip") != NULL)
        TRY(add_regex(query, "ip", request_query(rq, "ip"), -4, false));
    if (request_query(rq, "ip6") != NULL && (query->admin || rq->version >= 5))
        TRY(add_regex(query, "ip6", request_query(rq, "ip6"), -6, false));
    return NULL;
}

static struct fault *add_status(struct query *query, bool *ret_deleted)
{
    struct request *rq = query->rq;
    const char *const *vm, *const *task;

    if (request_query(rq, "status") == NULL)
        return NULL;
    server_states_of(rq->cx.arena, all_values(rq, "status"), &vm, &task);
    if (vm[0] == NULL) {
        if (rq->version >= 38)
            return BAD_REQUEST(rq, "Invalid status value");
        query->nothing = true;
        return NULL;
    }
    add_in(query, "vm_state", vm);
    if (task != NULL)
        add_in(query, "task_state", task);
    if (vm[1] == NULL && strcmp(vm[0], VM_DELETED) == 0) {
        if (!query->admin)
            return FORBIDDEN(rq, "Only administrators may list deleted instances");
        *ret_deleted = true;
    }
    return NULL;
}

/* changes-since and changes-before; deleted servers show with them. */
static struct fault *add_changes(struct query *query, bool *ret_any)
{
    struct request *rq = query->rq;
    const char *since = request_query(rq, "changes-since"),
               *before = rq->version >= 66 ? request_query(rq, "changes-before") : NULL;
    int64_t since_us = 0, before_us = 0;

    if (since != NULL && !clock_parse(since, &since_us))
        return BAD_REQUEST(rq, "Invalid input for query parameters changes-since. Value: %s. '%s' is not a 'date-time'", since,
            since);
    if (before != NULL && !clock_parse(before, &before_us))
        return BAD_REQUEST(rq, "Invalid input for query parameters changes-before. Value: %s. '%s' is not a 'date-time'",
            before, before);
    if (since != NULL && before != NULL && before_us < since_us)
        return BAD_REQUEST(rq, "The value of changes-since must be less than or equal to changes-before.");
    if (since != NULL) {
        buf_puts(&query->where, " AND i.updated_at>=?");
        query->values[query->value_count++] = INT(since_us);
    }
    if (before != NULL) {
        /* As shown, in whole seconds: what was changed within that second counts. */
        buf_puts(&query->where, " AND i.updated_at<?");
        query->values[query->value_count++] = INT((before_us / 1000000 + 1) * 1000000);
    }
    *ret_any = since != NULL || before != NULL;
    return NULL;
}

/* tags (all of them), tags-any, not-tags, not-tags-any. */
static void add_tags(struct query *query, const char *name, bool any, bool negate)
{
    const char *text = query->rq->version >= 26 ? request_query(query->rq, name) : NULL;

    if (text == NULL)
        return;
    char *rest = arena_strdup(query->rq->cx.arena, text), *tag;
    buf_puts(&query->where, negate ? " AND NOT (" : " AND (");
    for (int i = 0; (tag = strsep(&rest, ",")) != NULL && i < 50; i++) {
        buf_printf(&query->where, "%sinstr(COALESCE(i.tags,''),?)>0", i == 0 ? "" : any ? " OR " : " AND ");
        bind_text(query, arena_printf(query->rq->cx.arena, ",%s,", tag));
    }
    buf_puts(&query->where, ")");
}

static struct fault *add_owner(struct query *query)
{
    struct request *rq = query->rq;
    const char *all = request_query(rq, "all_tenants");
    const char *project = request_query(rq, "project_id"), *tenant = request_query(rq, "tenant_id");
    static const char *const words[] = { "1", "t", "true", "on", "y", "yes", "", "0", "f", "false", "off", "n", "no" };

    for (int i = 0; all != NULL; i++) {
        if (i == 13)
            return BAD_REQUEST(rq, "Unrecognized value '%s', acceptable values are: '0', '1', 'f', 'false', 'n', 'no', 'off', "
                "'on', 't', 'true', 'y', 'yes'", all);
        if (strcasecmp(all, words[i]) == 0) {
            query->all_tenants = i <= 6;
            break;
        }
    }
    if (!query->all_tenants) {
        buf_puts(&query->where, " AND i.project_id=?");
        bind_text(query, rq->cx.caller->project_id);
        return NULL;
    }
    TRY(request_enforce(rq, query->details ? "os_compute_api:servers:detail:get_all_tenants"
                                           : "os_compute_api:servers:index:get_all_tenants", NULL));
    if (project != NULL || tenant != NULL)
        add_in(query, "project_id", STATES(project != NULL ? project : tenant));
    return NULL;
}

static struct fault *add_where(struct query *query)
{
    struct request *rq = query->rq;
    const char *deleted = request_query(rq, "deleted"), *locked = request_query(rq, "locked");
    bool want_deleted = false, changes = false;

    TRY(add_status(query, &want_deleted));
    TRY(add_changes(query, &changes));
    if (deleted != NULL && query->all_filters)
        want_deleted = request_query_bool(rq, "deleted", false);
    if (want_deleted || !changes || (deleted != NULL && query->all_filters)) {
        buf_puts(&query->where, " AND i.deleted=?");
        query->values[query->value_count++] = INT(want_deleted);
    }
    TRY(add_owner(query));
    TRY(add_filters(query));
    add_tags(query, "tags", false, false);
    add_tags(query, "tags-any", true, false);
    add_tags(query, "not-tags", false, true);
    add_tags(query, "not-tags-any", true, true);
    if (locked != NULL && rq->version >= 73)
        buf_puts(&query->where, request_query_bool(rq, "locked", false) ? " AND i.locked_by IS NOT NULL"
                                                                          : " AND i.locked_by IS NULL");
    return NULL;
}

static struct fault *read_sort(struct query *query)
{
    struct request *rq = query->rq;
    const char *const *keys = all_values(rq, "sort_key"), *const *directions = all_values(rq, "sort_dir");
    size_t given = 0;
    const char *direction = "desc";

    for (; keys[given] != NULL; given++) {
        const struct sort_key *key = NULL;

        direction = *directions != NULL ? *directions++ : given == 0 ? "desc" : direction;
        if (strcmp(direction, "asc") != 0 && strcmp(direction, "desc") != 0)
            return BAD_REQUEST(rq, "Unknown sort direction, must be one of: asc-nullsfirst, asc-nullslast, desc-nullsfirst, "
                "desc-nullslast, asc, desc");
        for (size_t i = 0; i < sizeof(sort_keys) / sizeof(sort_keys[0]); i++)
            if (strcmp(sort_keys[i].name, keys[given]) == 0)
                key = &sort_keys[i];
        if (key == NULL)
            return BAD_REQUEST(rq, "Invalid input for query parameters sort_key. Value: %s. '%s' is not one of the sort keys",
                keys[given], keys[given]);
        if (key->admin && !query->admin)
            return FORBIDDEN(rq, "Only administrators can sort servers by %s", key->name);
        if (query->sort_count < SORTS) {
            query->sorts[query->sort_count].key = key;
            query->sorts[query->sort_count++].down = strcmp(direction, "desc") == 0;
        }
    }
    if (query->sort_count == 0) {
        query->sorts[0].key = &sort_keys[0];
        query->sorts[0].down = *directions == NULL || strcmp(*directions, "asc") != 0;
        query->sort_count = 1;
    }
    return NULL;
}

static const char *sort_expression(struct arena *arena, const struct sort_key *key)
{
    return arena_printf(arena, key->text ? "COALESCE(i.%s,'')" : "i.%s", key->column);
}

/* Only rows behind the marker: (k1 > m1) OR (k1 = m1 AND (k2 > m2 OR ...)), the id last. */
static struct fault *add_marker(struct query *query, struct tx *tx)
{
    struct arena *arena = query->rq->cx.arena;
    int64_t id;

    if (query->marker == NULL)
        return NULL;
    TRY(sql_int_of(tx, &id, 0, "SELECT id FROM instances WHERE uuid=?", BIND(TEXT(query->marker))));
    if (id == 0)
        return BAD_REQUEST(query->rq, "marker [%s] not found", query->marker);
    bool last_down = query->sorts[query->sort_count - 1].down;
    buf_puts(&query->where, " AND (");
    for (size_t i = 0; i < query->sort_count; i++) {
        const char *own = sort_expression(arena, query->sorts[i].key), *theirs = arena_printf(arena,
            query->sorts[i].key->text ? "(SELECT COALESCE(m.%s,'') FROM instances m WHERE m.id=?)"
                                      : "(SELECT m.%s FROM instances m WHERE m.id=?)", query->sorts[i].key->column);

        buf_printf(&query->where, "%s%s%s OR (%s=%s AND (", own, query->sorts[i].down ? "<" : ">", theirs, own, theirs);
        query->values[query->value_count++] = INT(id);
        query->values[query->value_count++] = INT(id);
    }
    buf_printf(&query->where, "i.id%s?", last_down ? "<" : ">");
    query->values[query->value_count++] = INT(id);
    for (size_t i = 0; i < query->sort_count; i++)
        buf_puts(&query->where, "))");
    buf_puts(&query->where, ")");
    return NULL;
}

static bool found(struct query *query, size_t i, const char *text)
{
    return regex_found(query->regexes[i].regex, text);
}

static bool address_found(struct query *query, size_t i, const struct instance *instance, int family)
{
    const json_t *vifs = json_parse_own(query->rq->cx.arena, instance->network_info);
    size_t v, s, p;
    json_t *vif, *subnet, *ip;

    json_array_foreach((json_t *)vifs, v, vif)
        json_array_foreach(json_at(vif, "network.subnets"), s, subnet)
            json_array_foreach(json_object_get(subnet, "ips"), p, ip)
            {
                const char *address = json_text_at(ip, "address");
                if (address != NULL && (strchr(address, ':') != NULL) == (family == -6) && found(query, i, address))
                    return true;
            }
    return false;
}

/* The text of a filter's column. */
static const char *column_text(struct arena *arena, const struct instance *in, const char *column)
{
    const struct {
        const char *column, *text;
    } texts[] = {
        { "reservation_id", in->reservation_id }, { "display_name", in->name }, { "node", in->node },
        { "hostname", in->hostname }, { "key_name", in->key_name }, { "kernel_id", in->kernel_id },
        { "ramdisk_id", in->ramdisk_id }, { "availability_zone", in->availability_zone },
        { "display_description", in->description }, { "locked_by", in->locked_by },
        { "root_device_name", in->root_device_name }, { "config_drive", in->config_drive },
        { "access_ip_v4", in->access_ip_v4 }, { "access_ip_v6", in->access_ip_v6 },
        { "power_state", arena_printf(arena, "%lld", (long long)in->power_state) },
        { "launch_index", arena_printf(arena, "%lld", (long long)in->launch_index) },
        { "progress", arena_printf(arena, "%lld", (long long)in->progress) },
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (strcmp(texts[i].column, column) == 0)
            return texts[i].text;
    return NULL;
}

static bool accepted(struct query *query, const struct instance *instance)
{
    for (size_t i = 0; i < query->regex_count; i++) {
        int field = query->regexes[i].field;

        if (field < 0 ? !address_found(query, i, instance, field)
                      : !found(query, i, column_text(query->rq->cx.arena, instance, filters[field].column)))
            return false;
    }
    return true;
}

struct found_servers {
    struct instance *instances;
    size_t count, capacity;
};

static struct fault *read_rows(struct query *query, struct tx *tx, struct found_servers *ret)
{
    struct arena *arena = query->rq->cx.arena;
    struct rows *rows;
    struct instance instance;
    BUF_CLEANUP struct buf sql = { 0 };

    buf_printf(&sql, "%s WHERE 1=1%s ORDER BY ", instance_select(), buf_text(&query->where));
    for (size_t i = 0; i < query->sort_count; i++)
        buf_printf(&sql, "%s %s,", sort_expression(arena, query->sorts[i].key), query->sorts[i].down ? "DESC" : "ASC");
    buf_printf(&sql, "i.id %s", query->sorts[query->sort_count - 1].down ? "DESC" : "ASC");
    if (query->nothing)
        return NULL;
    TRY(sql_query(tx, &rows, buf_text(&sql), query->values, query->value_count));
    while ((int64_t)ret->count < query->limit && rows_next(rows)) {
        instance_read(arena, rows, &instance);
        if (!accepted(query, &instance))
            continue;
        if (ret->count == ret->capacity) {
            struct instance *more = ARENA_ARRAY(arena, struct instance, ret->capacity * 2 + 16);
            if (ret->count > 0)
                memcpy(more, ret->instances, ret->count * sizeof(*more));
            ret->instances = more;
            ret->capacity = ret->capacity * 2 + 16;
        }
        ret->instances[ret->count++] = instance;
    }
    struct fault *fault = rows_fault(rows);
    rows_end(rows);
    return fault;
}

static struct fault *find(struct query *query, struct tx *tx, struct server_view *view, struct found_servers *ret)
{
    TRY(add_marker(query, tx));
    if (query->details)
        TRY(server_view_init(view, query->rq, tx, NULL));
    return read_rows(query, tx, ret);
}

static void write_servers(struct query *query, const struct server_view *view, const struct found_servers *servers)
{
    struct request *rq = query->rq;

    json_begin(&rq->json, NULL);
    json_begin_array(&rq->json, "servers");
    for (size_t i = 0; i < servers->count; i++) {
        if (query->details)
            server_view_write(view, &servers->instances[i], NULL);
        else
            server_view_basic(rq, &servers->instances[i]);
    }
    json_end_array(&rq->json);
    if (servers->count > 0 && (int64_t)servers->count == query->limit)
        api_next_link(rq, "servers_links", query->details ? "servers/detail" : "servers",
            servers->instances[servers->count - 1].uuid);
    json_end(&rq->json);
}

/* From 2.75 on an unknown parameter is an error; joined tables and "_x" always are. */
static struct fault *check_names(struct request *rq)
{
    static const char *const joined[] = { "block_device_mapping", "services", "metadata", "system_metadata", "info_cache",
        "security_groups", "pci_devices", NULL };
    static const char *const more[] = { "limit", "page_size", "marker", "offset", "project_id", "tenant_id", "sort_key",
        "sort_dir", "all_tenants", "soft_deleted", "deleted", "status", "changes-since", "changes-before", "ip", "ip6",
        "created_at", "launched_at", "terminated_at", "auto_disk_config", "tags", "tags-any", "not-tags", "not-tags-any",
        "locked", NULL };

    size_t count = 0;

    for (const struct header *q = rq->query; q != NULL; q = q->next) {
        bool known = false;

        if (++count > PARAMETERS)
            return BAD_REQUEST(rq, "Too many query parameters.");

        for (size_t i = 0; joined[i] != NULL; i++)
            if (strcmp(joined[i], q->name) == 0 || q->name[0] == '_')
                return BAD_REQUEST(rq, "Invalid filter field: %s.", q->name);
        for (size_t i = 0; more[i] != NULL && !known; i++)
            known = strcmp(more[i], q->name) == 0;
        for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]) && !known; i++)
            known = strcmp(filters[i].name, q->name) == 0;
        if (!known && rq->version >= 75)
            return BAD_REQUEST(rq, "Additional properties are not allowed ('%s' was unexpected)", q->name);
    }
    return NULL;
}

static struct fault *list(struct request *rq, bool details)
{
    struct query *query = ARENA_NEW(rq->cx.arena, struct query);
    struct found_servers servers = { 0 };
    struct server_view view;
    struct tx *tx;

    arena_defer(rq->cx.arena, release_query, query);
    query->rq = rq;
    query->details = details;
    query->admin = api_is_admin(rq);
    query->all_filters = request_allowed(rq, "os_compute_api:servers:allow_all_filters", NULL);
    TRY(check_names(rq));
    TRY(api_paging(rq, &query->limit, &query->marker));
    TRY(add_where(query));
    TRY(read_sort(query));
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    struct fault *fault = find(query, tx, &view, &servers);
    tx_end(tx);
    TRY(fault);
    if (details)
        TRY(server_view_security_groups(&view, servers.instances, servers.count));
    write_servers(query, &view, &servers);
    return NULL;
}

struct fault *servers_index(struct request *rq)
{
    return list(rq, false);
}

struct fault *servers_detail(struct request *rq)
{
    return list(rq, true);
}
