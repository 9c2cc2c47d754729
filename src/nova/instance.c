/* SPDX-License-Identifier: Apache-2.0
 *
 * instance: reads and writes rows by one table of columns.
 */
#include "nova/instance.h"

#include "nova/addresses.h"

#include "base/clock.h"
#include "base/random.h"
#include "nova/nova.h"

#include <stddef.h>
#include <string.h>

enum column_kind { COLUMN_INT, COLUMN_BOOL, COLUMN_TEXT, COLUMN_JSON };

struct instance_column {
    const char *name;
    enum column_kind kind;
    size_t offset;
};

#define AT(member) offsetof(struct instance, member)

static const struct instance_column columns[INSTANCE_FIELDS] = {
    [INSTANCE_ID]                   = { "id",                   COLUMN_INT,  AT(id) },
    [INSTANCE_UUID]                 = { "uuid",                 COLUMN_TEXT, AT(uuid) },
    [INSTANCE_PROJECT_ID]           = { "project_id",           COLUMN_TEXT, AT(project_id) },
    [INSTANCE_USER_ID]              = { "user_id",              COLUMN_TEXT, AT(user_id) },
    [INSTANCE_NAME]                 = { "display_name",         COLUMN_TEXT, AT(name) },
    [INSTANCE_DESCRIPTION]          = { "display_description",  COLUMN_TEXT, AT(description) },
    [INSTANCE_HOSTNAME]             = { "hostname",             COLUMN_TEXT, AT(hostname) },
    [INSTANCE_RESERVATION_ID]       = { "reservation_id",       COLUMN_TEXT, AT(reservation_id) },
    [INSTANCE_LAUNCH_INDEX]         = { "launch_index",         COLUMN_INT,  AT(launch_index) },
    [INSTANCE_IMAGE_REF]            = { "image_ref",            COLUMN_TEXT, AT(image_ref) },
    [INSTANCE_KERNEL_ID]            = { "kernel_id",            COLUMN_TEXT, AT(kernel_id) },
    [INSTANCE_RAMDISK_ID]           = { "ramdisk_id",           COLUMN_TEXT, AT(ramdisk_id) },
    [INSTANCE_KEY_NAME]             = { "key_name",             COLUMN_TEXT, AT(key_name) },
    [INSTANCE_KEYPAIR]              = { "keypair",              COLUMN_JSON, AT(keypair) },
    [INSTANCE_USER_DATA]            = { "user_data",            COLUMN_TEXT, AT(user_data) },
    [INSTANCE_CONFIG_DRIVE]         = { "config_drive",         COLUMN_TEXT, AT(config_drive) },
    [INSTANCE_AVAILABILITY_ZONE]    = { "availability_zone",    COLUMN_TEXT, AT(availability_zone) },
    [INSTANCE_HOST]                 = { "host",                 COLUMN_TEXT, AT(host) },
    [INSTANCE_NODE]                 = { "node",                 COLUMN_TEXT, AT(node) },
    [INSTANCE_LAUNCHED_ON]          = { "launched_on",          COLUMN_TEXT, AT(launched_on) },
    [INSTANCE_VM_STATE]             = { "vm_state",             COLUMN_TEXT, AT(vm_state) },
    [INSTANCE_TASK_STATE]           = { "task_state",           COLUMN_TEXT, AT(task_state) },
    [INSTANCE_POWER_STATE]          = { "power_state",          COLUMN_INT,  AT(power_state) },
    [INSTANCE_PROGRESS]             = { "progress",             COLUMN_INT,  AT(progress) },
    [INSTANCE_LOCKED_BY]            = { "locked_by",            COLUMN_TEXT, AT(locked_by) },
    [INSTANCE_LOCKED_REASON]        = { "locked_reason",        COLUMN_TEXT, AT(locked_reason) },
    [INSTANCE_FLAVOR]               = { "flavor",               COLUMN_JSON, AT(flavor) },
    [INSTANCE_FLAVORID]             = { "flavorid",             COLUMN_TEXT, AT(flavorid) },
    [INSTANCE_MEMORY_MB]            = { "memory_mb",            COLUMN_INT,  AT(memory_mb) },
    [INSTANCE_VCPUS]                = { "vcpus",                COLUMN_INT,  AT(vcpus) },
    [INSTANCE_ROOT_GB]              = { "root_gb",              COLUMN_INT,  AT(root_gb) },
    [INSTANCE_EPHEMERAL_GB]         = { "ephemeral_gb",         COLUMN_INT,  AT(ephemeral_gb) },
    [INSTANCE_METADATA]             = { "metadata",             COLUMN_JSON, AT(metadata) },
    [INSTANCE_SYSTEM_METADATA]      = { "system_metadata",      COLUMN_JSON, AT(system_metadata) },
    [INSTANCE_TAGS]                 = { "tags",                 COLUMN_TEXT, AT(tags) },
    [INSTANCE_SECURITY_GROUPS]      = { "security_groups",      COLUMN_JSON, AT(security_groups) },
    [INSTANCE_REQUESTED_NETWORKS]   = { "requested_networks",   COLUMN_JSON, AT(requested_networks) },
    [INSTANCE_BLOCK_DEVICE_MAPPING] = { "block_device_mapping", COLUMN_JSON, AT(block_device_mapping) },
    [INSTANCE_NETWORK_INFO]         = { "network_info",         COLUMN_JSON, AT(network_info) },
    [INSTANCE_ADDRESSES]            = { "addresses",            COLUMN_TEXT, AT(addresses) },
    [INSTANCE_REQUEST_SPEC]         = { "request_spec",         COLUMN_JSON, AT(request_spec) },
    [INSTANCE_INJECTED_FILES]       = { "injected_files",       COLUMN_JSON, AT(injected_files) },
    [INSTANCE_TRUSTED_CERTS]        = { "trusted_certs",        COLUMN_JSON, AT(trusted_certs) },
    [INSTANCE_SERVER_GROUP]         = { "server_group",         COLUMN_TEXT, AT(server_group) },
    [INSTANCE_FAULT]                = { "fault",                COLUMN_JSON, AT(fault) },
    [INSTANCE_ROOT_DEVICE_NAME]     = { "root_device_name",     COLUMN_TEXT, AT(root_device_name) },
    [INSTANCE_ACCESS_IP_V4]         = { "access_ip_v4",         COLUMN_TEXT, AT(access_ip_v4) },
    [INSTANCE_ACCESS_IP_V6]         = { "access_ip_v6",         COLUMN_TEXT, AT(access_ip_v6) },
    [INSTANCE_AUTO_DISK_CONFIG]     = { "auto_disk_config",     COLUMN_BOOL, AT(auto_disk_config) },
    [INSTANCE_CREATED_AT]           = { "created_at",           COLUMN_INT,  AT(created_at) },
    [INSTANCE_UPDATED_AT]           = { "updated_at",           COLUMN_INT,  AT(updated_at) },
    [INSTANCE_LAUNCHED_AT]          = { "launched_at",          COLUMN_INT,  AT(launched_at) },
    [INSTANCE_TERMINATED_AT]        = { "terminated_at",        COLUMN_INT,  AT(terminated_at) },
    [INSTANCE_DELETED]              = { "deleted",              COLUMN_BOOL, AT(deleted) },
    [INSTANCE_DELETED_AT]           = { "deleted_at",           COLUMN_INT,  AT(deleted_at) },
    [INSTANCE_GENERATION]           = { "generation",           COLUMN_INT,  AT(generation) },
};

/* Both texts follow from the table alone, and are made before any thread runs. */
static char select_text[2048], insert_text[2048];

static void __attribute__((constructor)) make_statements(void)
{
    char *select = select_text, *insert = insert_text;
    char *select_end = select_text + sizeof(select_text), *insert_end = insert_text + sizeof(insert_text);

    select += snprintf(select, sizeof(select_text), "SELECT ");
    insert += snprintf(insert, sizeof(insert_text), "INSERT INTO instances(");
    for (int i = 0; i < INSTANCE_FIELDS; i++) {
        select += snprintf(select, (size_t)(select_end - select), "%si.%s", i == 0 ? "" : ",", columns[i].name);
        if (i != INSTANCE_ID)
            insert += snprintf(insert, (size_t)(insert_end - insert), "%s%s", i == 1 ? "" : ",", columns[i].name);
    }
    snprintf(select, (size_t)(select_end - select), " FROM instances i");
    insert += snprintf(insert, (size_t)(insert_end - insert), ") VALUES(");
    for (int i = 1; i < INSTANCE_FIELDS; i++)
        insert += snprintf(insert, (size_t)(insert_end - insert), "%s?", i == 1 ? "" : ",");
    snprintf(insert, (size_t)(insert_end - insert), ")");
}

static void *member(const struct instance *instance, int field)
{
    return (char *)instance + columns[field].offset;
}

static struct sql_value member_value(const struct instance *instance, int field)
{
    switch (columns[field].kind) {
    case COLUMN_INT:
        return INT(*(int64_t *)member(instance, field));
    case COLUMN_BOOL:
        return INT(*(bool *)member(instance, field));
    default:
        return TEXT(*(const char **)member(instance, field));
    }
}

struct fault *instance_not_found(struct arena *arena, const char *uuid)
{
    return fault_new(arena, 404, "itemNotFound", "Instance %s could not be found.", uuid);
}

struct fault *instance_insert(struct tx *tx, struct instance *instances, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct instance *instance = &instances[i];
        struct sql_value values[INSTANCE_FIELDS - 1];

        if (instance->uuid == NULL)
            instance->uuid = uuid_new(tx_arena(tx));
        if (instance->created_at == 0)
            instance->created_at = clock_now_us();
        instance->updated_at = instance->created_at;
        instance->generation = 1;
        for (int field = 1; field < INSTANCE_FIELDS; field++)
            values[field - 1] = member_value(instance, field);
        TRY(sql_insert(tx, insert_text, values, INSTANCE_FIELDS - 1, &instance->id));
    }
    return NULL;
}

const char *instance_select(void)
{
    return select_text;
}

void instance_read(struct arena *arena, struct rows *rows, struct instance *ret)
{
    for (int i = 0; i < INSTANCE_FIELDS; i++) {
        void *to = member(ret, i);

        if (columns[i].kind == COLUMN_INT)
            *(int64_t *)to = rows_int(rows, i);
        else if (columns[i].kind == COLUMN_BOOL)
            *(bool *)to = rows_int(rows, i) != 0;
        else
            *(const char **)to = rows_text(rows, i);
    }
}

struct fault *instance_load(struct tx *tx, const char *uuid, bool deleted, struct instance *ret)
{
    struct rows *rows;
    const char *sql = arena_printf(tx_arena(tx), "%s WHERE i.uuid = ?%s", select_text,
        deleted ? "" : " AND i.deleted = 0");

    TRY(sql_query(tx, &rows, sql, BIND(TEXT(uuid))));
    if (!rows_next(rows)) {
        TRY(rows_fault(rows));
        return instance_not_found(tx_arena(tx), uuid);
    }
    instance_read(tx_arena(tx), rows, ret);
    rows_end(rows);
    return NULL;
}

struct fault *instance_get(struct arena *arena, struct db *db, const char *uuid, bool deleted, struct instance *ret)
{
    struct tx *tx;

    TRY(db_read(arena, db, &tx));
    struct fault *fault = instance_load(tx, uuid, deleted, ret);
    tx_end(tx);
    return fault;
}

struct fault *instance_list_host(struct tx *tx, const char *host, struct instance **ret, size_t *ret_count)
{
    struct arena *arena = tx_arena(tx);
    struct rows *rows;
    size_t count = 0, capacity = 16;
    struct instance *list = ARENA_ARRAY(arena, struct instance, capacity);

    TRY(sql_query(tx, &rows, arena_printf(arena, "%s WHERE i.deleted = 0 AND (i.host = ? OR ? IS NULL) ORDER BY i.id",
        select_text), BIND(TEXT(host), TEXT(host))));
    while (rows_next(rows)) {
        if (count == capacity) {
            struct instance *more = ARENA_ARRAY(arena, struct instance, capacity * 2);
            memcpy(more, list, count * sizeof(*list));
            list = more;
            capacity *= 2;
        }
        instance_read(arena, rows, &list[count++]);
    }
    TRY(rows_fault(rows));
    *ret = list;
    *ret_count = count;
    return NULL;
}

/* " AND column IN (?,?)" for a list of states; "" stands for none (NULL). */
static size_t add_states(struct buf *sql, const char *column, const char *const *states, struct sql_value *values)
{
    size_t count = 0;

    if (states == NULL)
        return 0;
    buf_printf(sql, " AND COALESCE(%s, '') IN (", column);
    for (; states[count] != NULL; count++) {
        buf_puts(sql, count == 0 ? "?" : ",?");
        values[count] = TEXT(states[count]);
    }
    buf_puts(sql, ")");
    return count;
}

/* "['a', None]", as nova prints the states that it expected. */
static const char *states_text(struct arena *arena, const char *const *states)
{
    BUF_CLEANUP struct buf text = { 0 };

    buf_puts(&text, "[");
    for (size_t i = 0; states[i] != NULL; i++)
        buf_printf(&text, states[i][0] == '\0' ? "%sNone%s" : "%s'%s'", i == 0 ? "" : ", ", states[i]);
    buf_puts(&text, "]");
    return arena_strdup(arena, buf_text(&text));
}

static bool expected(const char *const *states, const char *state)
{
    if (states == NULL)
        return true;
    while (*states != NULL && strcmp(*states, state != NULL ? state : "") != 0)
        states++;
    return *states != NULL;
}

/* Nothing changed: says why. */
static struct fault *update_conflict(struct tx *tx, const char *uuid, const struct instance_expect *expect)
{
    struct arena *arena = tx_arena(tx);
    struct instance now;

    TRY(instance_load(tx, uuid, false, &now));
    const char *state = now.task_state != NULL ? now.task_state : "";
    for (const char *const *s = expect->task_states; s != NULL; s++) {
        if (*s == NULL) {
            bool deleting = strcmp(state, TASK_DELETING) == 0;

            return fault_new(arena, 409, deleting ? "UnexpectedDeletingTaskStateError" : "UnexpectedTaskStateError",
                "Conflict updating instance %s. Expected: {'task_state': %s}. Actual: {'task_state': %s%s%s}", uuid,
                states_text(arena, expect->task_states), *state != '\0' ? "'" : "", *state != '\0' ? state : "None",
                *state != '\0' ? "'" : "");
        }
        if (strcmp(*s, state) == 0)
            break;
    }
    struct fault *fault = fault_new(arena, 409, "UnknownInstanceUpdateConflict",
        "Conflict updating instance %s, but we were unable to determine the cause", uuid);
    /* The row as this transaction sees it is as expected, yet another process has changed it: to be looked at anew. */
    fault->retry = expected(expect->vm_states, now.vm_state) && expected(expect->task_states, now.task_state) &&
                   (expect->generation == 0 || now.generation == expect->generation);
    return fault;
}

struct fault *instance_update(struct tx *tx, const char *uuid, const struct instance_change *changes, size_t count,
    const struct instance_expect *expect)
{
    BUF_CLEANUP struct buf sql = { 0 };
    struct sql_value *values = ARENA_ARRAY(tx_arena(tx), struct sql_value, count + 4 + 64);
    size_t bound = 0;
    int64_t changed;

    buf_puts(&sql, "UPDATE instances SET ");
    for (size_t i = 0; i < count; i++) {
        buf_printf(&sql, "%s=?,", columns[changes[i].field].name);
        values[bound++] = changes[i].value;
        if (changes[i].field == INSTANCE_NETWORK_INFO) {
            buf_puts(&sql, "addresses=?,");
            const struct sql_value *info = &changes[i].value;
            values[bound++] = TEXT(addresses_text(tx_arena(tx), info->type == SQL_TYPE_NULL ? NULL : info->text.data));
        }
    }
    buf_puts(&sql, "updated_at=?,generation=generation+1 WHERE uuid=? AND deleted=0");
    values[bound++] = INT(clock_now_us());
    values[bound++] = TEXT(uuid);
    if (expect != NULL) {
        bound += add_states(&sql, "vm_state", expect->vm_states, values + bound);
        bound += add_states(&sql, "task_state", expect->task_states, values + bound);
        if (expect->generation > 0) {
            buf_puts(&sql, " AND generation=?");
            values[bound++] = INT(expect->generation);
        }
    }
    TRY(sql_exec_changed(tx, buf_text(&sql), values, bound, &changed));
    if (changed > 0)
        return NULL;
    return update_conflict(tx, uuid, expect != NULL ? expect : &(struct instance_expect){ 0 });
}

struct save {
    const char *uuid;
    const struct instance_change *changes;
    size_t count;
    const struct instance_expect *expect;
};

static struct fault *run_save(struct tx *tx, void *argument)
{
    const struct save *save = argument;

    return instance_update(tx, save->uuid, save->changes, save->count, save->expect);
}

struct fault *instance_save(struct arena *arena, struct db *db, const char *uuid,
    const struct instance_change *changes, size_t count, const struct instance_expect *expect)
{
    return db_write(arena, db, run_save, &(struct save){ uuid, changes, count, expect });
}

struct fault *instance_destroy(struct tx *tx, const char *uuid)
{
    int64_t now = clock_now_us();

    TRY(sql_exec_later(tx, "DELETE FROM server_group_members WHERE instance_uuid=?", BIND(TEXT(uuid))));
    return sql_exec_later(tx, "UPDATE instances SET deleted=1,deleted_at=?,updated_at=?,vm_state='" VM_DELETED "',task_state=NULL,"
        "power_state=0,terminated_at=CASE WHEN terminated_at=0 THEN ? ELSE terminated_at END,generation=generation+1 "
        "WHERE uuid=? AND deleted=0", BIND(INT(now), INT(now), INT(now), TEXT(uuid)));
}

json_t *instance_to_json(struct arena *arena, const struct instance *instance)
{
    json_t *json = json_object();

    for (int i = 0; i < INSTANCE_FIELDS; i++) {
        const void *from = member(instance, i);
        const char *text = NULL;
        json_t *value;

        if (columns[i].kind == COLUMN_TEXT || columns[i].kind == COLUMN_JSON)
            text = *(const char *const *)from;
        if (columns[i].kind == COLUMN_INT)
            value = json_integer(*(const int64_t *)from);
        else if (columns[i].kind == COLUMN_BOOL)
            value = json_boolean(*(const bool *)from);
        else if (text == NULL)
            value = json_null();
        else if (columns[i].kind == COLUMN_JSON)
            value = json_incref(json_parse_own(arena, text));
        else
            value = json_string(text);
        json_object_set_new(json, columns[i].name, value);
    }
    return json;
}

void instance_from_json(struct arena *arena, const json_t *json, struct instance *ret)
{
    for (int i = 0; i < INSTANCE_FIELDS; i++) {
        const json_t *value = json_object_get(json, columns[i].name);
        void *to = member(ret, i);

        if (columns[i].kind == COLUMN_INT)
            *(int64_t *)to = json_integer_value(value);
        else if (columns[i].kind == COLUMN_BOOL)
            *(bool *)to = json_is_true(value);
        else if (columns[i].kind == COLUMN_JSON)
            *(const char **)to = value == NULL || json_is_null(value) ? NULL : json_dump(arena, value);
        else
            *(const char **)to = arena_strdup(arena, json_string_value(value));
    }
}

struct fault *instance_changes_from_json(struct arena *arena, const json_t *json, struct instance_change **ret,
    size_t *ret_count)
{
    struct instance_change *changes = ARENA_ARRAY(arena, struct instance_change, json_object_size(json) + 1);
    const char *name;
    json_t *value;
    size_t count = 0;

    json_object_foreach((json_t *)json, name, value)
    {
        int field = INSTANCE_PROJECT_ID;

        while (field < INSTANCE_GENERATION && strcmp(columns[field].name, name) != 0)
            field++;
        if (field == INSTANCE_GENERATION)
            return fault_new(arena, 400, "badRequest", "Instance has no field %s that can be changed.", name);
        changes[count].field = (enum instance_field)field;
        if (json_is_null(value))
            changes[count].value = SQL_NULL;
        else if (columns[field].kind == COLUMN_INT)
            changes[count].value = INT(json_integer_value(value));
        else if (columns[field].kind == COLUMN_BOOL)
            changes[count].value = INT(json_is_true(value));
        else if (columns[field].kind == COLUMN_JSON)
            changes[count].value = TEXT(json_dump(arena, value));
        else
            changes[count].value = TEXT(arena_strdup(arena, json_string_value(value)));
        count++;
    }
    *ret = changes;
    *ret_count = count;
    return NULL;
}

const char *const *instance_tags_list(struct arena *arena, const char *tags, size_t *ret_count)
{
    size_t count = 0;
    const char *text = tags != NULL ? tags : ",";

    for (const char *p = text + 1; *p != '\0'; p++)
        count += *p == ',';
    const char **list = ARENA_ARRAY(arena, const char *, count + 1);
    const char *from = text + 1;
    for (size_t i = 0; i < count; i++) {
        const char *end = strchr(from, ',');

        list[i] = arena_strndup(arena, from, (size_t)(end - from));
        from = end + 1;
    }
    if (ret_count != NULL)
        *ret_count = count;
    return list;
}

const char *instance_tags_text(struct arena *arena, const char *const *tags, size_t count)
{
    BUF_CLEANUP struct buf text = { 0 };

    if (count == 0)
        return NULL;
    buf_puts(&text, ",");
    for (size_t i = 0; i < count; i++)
        buf_printf(&text, "%s,", tags[i]);
    return arena_strdup(arena, buf_text(&text));
}
