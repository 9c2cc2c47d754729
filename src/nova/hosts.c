/* SPDX-License-Identifier: Apache-2.0
 *
 * hosts: services, compute nodes and aggregates in the database.
 */
#include "nova/hosts.h"

#include "base/clock.h"
#include "base/random.h"

#include <stddef.h>
#include <string.h>

enum { SERVICE_VERSION = 66 }; /* nova/objects/service.py of 2023.1 */

#define SERVICE_COLUMNS                                                                                                \
    "id,uuid,host,binary_name,topic,disabled,forced_down,disabled_reason,version,report_count,last_seen_up,created_at,"  \
    "updated_at"

static void read_service(struct rows *rows, struct service_row *ret)
{
    *ret = (struct service_row){ .id = rows_int(rows, 0), .uuid = rows_text(rows, 1), .host = rows_text(rows, 2),
        .binary = rows_text(rows, 3), .topic = rows_text(rows, 4), .disabled = rows_int(rows, 5) != 0,
        .forced_down = rows_int(rows, 6) != 0, .disabled_reason = rows_text(rows, 7), .version = rows_int(rows, 8),
        .report_count = rows_int(rows, 9), .last_seen_up = rows_int(rows, 10), .created_at = rows_int(rows, 11),
        .updated_at = rows_int(rows, 12) };
}

struct report {
    const char *host, *binary, *topic;
    struct service_row *ret;
};

static struct fault *run_report(struct tx *tx, void *argument)
{
    const struct report *report = argument;
    int64_t changed, now = clock_now_us();
    struct rows *rows;

    TRY(sql_exec_changed(tx, "UPDATE services SET last_seen_up=?,updated_at=?,report_count=report_count+1 "
        "WHERE host=? AND binary_name=?", BIND(INT(now), INT(now), TEXT(report->host), TEXT(report->binary)), &changed));
    if (changed == 0)
        TRY(sql_exec(tx, "INSERT INTO services(uuid,host,binary_name,topic,disabled,forced_down,version,report_count,"
            "last_seen_up,created_at,updated_at) VALUES(?,?,?,?,0,0,?,0,?,?,?)",
            BIND(TEXT(uuid_new(tx_arena(tx))), TEXT(report->host), TEXT(report->binary), TEXT(report->topic),
                INT(SERVICE_VERSION), INT(now), INT(now), INT(now))));
    TRY(sql_query(tx, &rows, "SELECT " SERVICE_COLUMNS " FROM services WHERE host=? AND binary_name=?",
        BIND(TEXT(report->host), TEXT(report->binary))));
    if (rows_next(rows)) {
        read_service(rows, report->ret);
        rows_end(rows);
    }
    return rows_fault(rows);
}

struct fault *service_report(struct arena *arena, struct db *db, const char *host, const char *binary, const char *topic,
    struct service_row *ret)
{
    return db_write(arena, db, run_report, &(struct report){ host, binary, topic, ret });
}

struct reports {
    const char *const *hosts;
    size_t count;
    const char *binary, *topic;
};

static struct fault *run_reports(struct tx *tx, void *argument)
{
    const struct reports *reports = argument;
    struct service_row row;

    for (size_t i = 0; i < reports->count; i++)
        TRY(run_report(tx, &(struct report){ reports->hosts[i], reports->binary, reports->topic, &row }));
    return NULL;
}

struct fault *service_report_many(struct arena *arena, struct db *db, const char *const *hosts, size_t count,
    const char *binary, const char *topic)
{
    return db_write(arena, db, run_reports, &(struct reports){ hosts, count, binary, topic });
}

struct fault *service_list(struct tx *tx, const char *host, const char *binary, struct service_row **ret,
    size_t *ret_count)
{
    struct rows *rows;
    struct service_row *list = NULL;
    size_t count = 0;

    TRY(sql_query(tx, &rows, "SELECT " SERVICE_COLUMNS " FROM services WHERE (host=? OR ? IS NULL) AND "
        "(binary_name=? OR ? IS NULL) ORDER BY id", BIND(TEXT(host), TEXT(host), TEXT(binary), TEXT(binary))));
    while (rows_next(rows)) {
        list = ARENA_GROW(tx_arena(tx), list, count);
        read_service(rows, &list[count++]);
    }
    struct fault *fault = rows_fault(rows);
    rows_end(rows);
    *ret = list;
    *ret_count = count;
    return fault;
}

bool service_is_up(const struct service_row *service, int64_t service_down_time_s)
{
    return !service->forced_down && clock_now_us() - service->last_seen_up <= service_down_time_s * 1000000;
}

/* Compute nodes go by one table: columns, JSON members and struct members in one order. */
struct node_column {
    const char *name;
    enum { NODE_TEXT, NODE_INT, NODE_JSON } kind;
    size_t offset;
};

#define NODE(member) offsetof(struct compute_node, member)

static const struct node_column node_columns[] = {
    { "id",                   NODE_INT,  NODE(id) },
    { "uuid",                 NODE_TEXT, NODE(uuid) },
    { "host",                 NODE_TEXT, NODE(host) },
    { "hypervisor_hostname",  NODE_TEXT, NODE(hypervisor_hostname) },
    { "hypervisor_type",      NODE_TEXT, NODE(hypervisor_type) },
    { "hypervisor_version",   NODE_INT,  NODE(hypervisor_version) },
    { "host_ip",              NODE_TEXT, NODE(host_ip) },
    { "vcpus",                NODE_INT,  NODE(vcpus) },
    { "memory_mb",            NODE_INT,  NODE(memory_mb) },
    { "local_gb",             NODE_INT,  NODE(local_gb) },
    { "vcpus_used",           NODE_INT,  NODE(vcpus_used) },
    { "memory_mb_used",       NODE_INT,  NODE(memory_mb_used) },
    { "local_gb_used",        NODE_INT,  NODE(local_gb_used) },
    { "free_ram_mb",          NODE_INT,  NODE(free_ram_mb) },
    { "free_disk_gb",         NODE_INT,  NODE(free_disk_gb) },
    { "disk_available_least", NODE_INT,  NODE(disk_available_least) },
    { "current_workload",     NODE_INT,  NODE(current_workload) },
    { "running_vms",          NODE_INT,  NODE(running_vms) },
    { "cpu_info",             NODE_JSON, NODE(cpu_info) },
    { "supported_instances",  NODE_JSON, NODE(supported_instances) },
    { "details",              NODE_JSON, NODE(details) },
    { "created_at",           NODE_INT,  NODE(created_at) },
    { "updated_at",           NODE_INT,  NODE(updated_at) },
};
enum { NODE_COLUMNS = sizeof(node_columns) / sizeof(node_columns[0]), NODE_FIRST_CHANGEABLE = 4 };

static void *node_member(const struct compute_node *node, int column)
{
    return (char *)node + node_columns[column].offset;
}

static struct sql_value node_value(const struct compute_node *node, int column)
{
    if (node_columns[column].kind == NODE_INT)
        return INT(*(int64_t *)node_member(node, column));
    return TEXT(*(const char **)node_member(node, column));
}

/* "id,uuid,..." or "hypervisor_type=?,...", from a column on. */
static const char *node_names(struct arena *arena, int from, const char *suffix)
{
    BUF_CLEANUP struct buf text = { 0 };

    for (int i = from; i < NODE_COLUMNS; i++)
        buf_printf(&text, "%s%s%s", i == from ? "" : ",", node_columns[i].name, suffix);
    return arena_strdup(arena, buf_text(&text));
}

static struct fault *run_node_save(struct tx *tx, void *argument)
{
    struct compute_node *node = argument;
    struct arena *arena = tx_arena(tx);
    struct sql_value values[NODE_COLUMNS + 1];
    const char *uuid;

    TRY(sql_text_of(tx, &uuid, "SELECT uuid FROM compute_nodes WHERE host=? AND hypervisor_hostname=?",
        BIND(TEXT(node->host), TEXT(node->hypervisor_hostname))));
    node->updated_at = clock_now_us();
    if (uuid == NULL) {
        node->created_at = node->updated_at;
        if (node->uuid == NULL)
            node->uuid = uuid_new(arena);
        for (int i = 1; i < NODE_COLUMNS; i++)
            values[i - 1] = node_value(node, i);
        return sql_insert(tx, arena_printf(arena, "INSERT INTO compute_nodes(%s) VALUES(%s)", node_names(arena, 1, ""),
            sql_marks(arena, NODE_COLUMNS - 1)), values, NODE_COLUMNS - 1, &node->id);
    }
    node->uuid = uuid;
    TRY(sql_int_of(tx, &node->created_at, 0, "SELECT created_at FROM compute_nodes WHERE uuid=?", BIND(TEXT(uuid))));
    int count = 0;
    for (int i = NODE_FIRST_CHANGEABLE; i < NODE_COLUMNS; i++)
        values[count++] = node_value(node, i);
    values[count++] = TEXT(uuid);
    return sql_exec(tx, arena_printf(arena, "UPDATE compute_nodes SET %s WHERE uuid=?",
        node_names(arena, NODE_FIRST_CHANGEABLE, "=?")), values, (size_t)count);
}

struct nodes {
    struct compute_node *nodes;
    size_t count;
};

static struct fault *run_nodes_save(struct tx *tx, void *argument)
{
    const struct nodes *nodes = argument;

    for (size_t i = 0; i < nodes->count; i++)
        TRY(run_node_save(tx, &nodes->nodes[i]));
    return NULL;
}

struct fault *compute_nodes_save(struct arena *arena, struct db *db, struct compute_node *nodes, size_t count)
{
    return db_write(arena, db, run_nodes_save, &(struct nodes){ nodes, count });
}

struct fault *compute_node_list(struct tx *tx, const char *host, struct compute_node **ret, size_t *ret_count)
{
    struct arena *arena = tx_arena(tx);
    struct rows *rows;
    struct compute_node *list = NULL;
    size_t count = 0;

    TRY(sql_query(tx, &rows, arena_printf(arena, "SELECT %s FROM compute_nodes WHERE host=? OR ? IS NULL ORDER BY id",
        node_names(arena, 0, "")), BIND(TEXT(host), TEXT(host))));
    while (rows_next(rows)) {
        list = ARENA_GROW(arena, list, count);
        for (int i = 0; i < NODE_COLUMNS; i++) {
            void *to = node_member(&list[count], i);

            if (node_columns[i].kind == NODE_INT)
                *(int64_t *)to = rows_int(rows, i);
            else
                *(const char **)to = rows_text(rows, i);
        }
        count++;
    }
    struct fault *fault = rows_fault(rows);
    rows_end(rows);
    *ret = list;
    *ret_count = count;
    return fault;
}

json_t *compute_node_to_json(struct arena *arena, const struct compute_node *node)
{
    json_t *json = json_object();

    for (int i = 0; i < NODE_COLUMNS; i++) {
        const void *from = node_member(node, i);
        const char *text = node_columns[i].kind == NODE_INT ? NULL : *(const char *const *)from;
        json_t *value;

        if (node_columns[i].kind == NODE_INT)
            value = json_integer(*(const int64_t *)from);
        else if (text == NULL)
            value = json_null();
        else
            value = node_columns[i].kind == NODE_JSON ? json_incref(json_parse_own(arena, text)) : json_string(text);
        json_object_set_new(json, node_columns[i].name, value);
    }
    return json;
}

void compute_node_from_json(struct arena *arena, const json_t *json, struct compute_node *ret)
{
    for (int i = 0; i < NODE_COLUMNS; i++) {
        const json_t *value = json_object_get(json, node_columns[i].name);
        void *to = node_member(ret, i);

        if (node_columns[i].kind == NODE_INT)
            *(int64_t *)to = json_integer_value(value);
        else if (node_columns[i].kind == NODE_JSON)
            *(const char **)to = value == NULL || json_is_null(value) ? NULL : json_dump(arena, value);
        else
            *(const char **)to = arena_strdup(arena, json_string_value(value));
    }
}

struct fault *aggregate_list(struct tx *tx, struct aggregate **ret, size_t *ret_count)
{
    struct arena *arena = tx_arena(tx);
    struct rows *rows;
    struct aggregate *list = NULL;
    size_t count = 0;

    TRY(sql_query(tx, &rows, "SELECT id,uuid,name,hosts,metadata,created_at,updated_at FROM aggregates ORDER BY id",
        NO_BIND));
    while (rows_next(rows)) {
        list = ARENA_GROW(arena, list, count);
        list[count++] = (struct aggregate){ .id = rows_int(rows, 0), .uuid = rows_text(rows, 1),
            .name = rows_text(rows, 2), .hosts = json_parse_own(arena, rows_text(rows, 3)),
            .metadata = json_parse_own(arena, rows_text(rows, 4)), .created_at = rows_int(rows, 5),
            .updated_at = rows_int(rows, 6) };
    }
    struct fault *fault = rows_fault(rows);
    rows_end(rows);
    *ret = list;
    *ret_count = count;
    return fault;
}

const char *host_zone(const struct aggregate *aggregates, size_t count, const char *host, const char *default_zone)
{
    for (size_t i = 0; i < count; i++) {
        const char *zone = json_text_at(aggregates[i].metadata, "availability_zone");
        size_t index;
        json_t *name;

        if (zone == NULL)
            continue;
        json_array_foreach(aggregates[i].hosts, index, name)
            if (strcmp(json_string_value(name), host) == 0)
                return zone;
    }
    return default_zone;
}
