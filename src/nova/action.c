/* SPDX-License-Identifier: Apache-2.0
 *
 * action: instance actions and their events.
 */
#include "nova/action.h"

#include "base/buf.h"
#include "base/clock.h"

#include <string.h>

#define ACTION_COLUMNS "id,instance_uuid,action,request_id,user_id,project_id,message,start_time,finish_time,updated_at"

struct fault *action_start(struct tx *tx, const struct context *cx, const char *instance_uuid, const char *action)
{
    int64_t now = clock_now_us();
    const struct caller *caller = cx->caller;

    return sql_exec_later(tx, "INSERT INTO instance_actions(instance_uuid,action,request_id,user_id,project_id,start_time,"
        "finish_time,created_at,updated_at) VALUES(?,?,?,?,?,?,0,?,?)",
        BIND(TEXT(instance_uuid), TEXT(action), TEXT(cx->request_id), TEXT(caller != NULL ? caller->user_id : NULL),
            TEXT(caller != NULL ? caller->project_id : NULL), INT(now), INT(now), INT(now)));
}

static struct fault *find(struct tx *tx, const struct context *cx, const char *instance_uuid, int64_t *ret_id)
{
    return sql_int_of(tx, ret_id, 0, "SELECT id FROM instance_actions WHERE instance_uuid=? AND request_id=? "
        "ORDER BY id DESC LIMIT 1", BIND(TEXT(instance_uuid), TEXT(cx->request_id)));
}

static struct fault *finish(struct tx *tx, int64_t id, bool error)
{
    int64_t now = clock_now_us();

    return sql_exec_later(tx, error ? "UPDATE instance_actions SET finish_time=?,updated_at=?,message='Error' WHERE id=?"
                              : "UPDATE instance_actions SET finish_time=?,updated_at=? WHERE id=?",
        BIND(INT(now), INT(now), INT(id)));
}

struct fault *action_finish(struct tx *tx, const struct context *cx, const char *instance_uuid,
    const struct fault *fault)
{
    int64_t id;

    TRY(find(tx, cx, instance_uuid, &id));
    return id == 0 ? NULL : finish(tx, id, fault != NULL);
}

struct fault *action_event_start(struct tx *tx, const struct context *cx, const char *instance_uuid, const char *event,
    const char *host)
{
    int64_t id, running, now = clock_now_us();

    TRY(find(tx, cx, instance_uuid, &id));
    if (id == 0)
        return NULL;
    TRY(sql_int_of(tx, &running, 0, "SELECT id FROM instance_actions_events WHERE action_id=? AND event=? AND finish_time=0",
        BIND(INT(id), TEXT(event))));
    if (running != 0)
        return NULL;
    TRY(sql_exec_later(tx, "INSERT INTO instance_actions_events(action_id,event,start_time,finish_time,host) VALUES(?,?,?,0,?)",
        BIND(INT(id), TEXT(event), INT(now), TEXT(host))));
    return sql_exec_later(tx, "UPDATE instance_actions SET updated_at=? WHERE id=?", BIND(INT(now), INT(id)));
}

struct fault *action_event_finish(struct tx *tx, const struct context *cx, const char *instance_uuid, const char *event,
    const char *result, const char *details, const char *traceback)
{
    int64_t id;

    TRY(find(tx, cx, instance_uuid, &id));
    if (id == 0)
        return NULL;
    TRY(sql_exec_later(tx, "UPDATE instance_actions_events SET finish_time=?,result=?,details=?,traceback=? "
        "WHERE action_id=? AND event=? AND finish_time=0",
        BIND(INT(clock_now_us()), TEXT(result), TEXT(details), TEXT(traceback), INT(id), TEXT(event))));
    return finish(tx, id, strcmp(result, "Error") == 0);
}

struct fault *action_event_progress(struct tx *tx, const struct context *cx, const char *instance_uuid, const char *event,
    const char *details)
{
    int64_t id;

    TRY(find(tx, cx, instance_uuid, &id));
    return id == 0 ? NULL : sql_exec_later(tx,
        "UPDATE instance_actions_events SET details=? WHERE action_id=? AND event=? AND finish_time=0",
        BIND(TEXT(details), INT(id), TEXT(event)));
}

static void read_action(struct rows *rows, struct action *ret)
{
    *ret = (struct action){ .id = rows_int(rows, 0), .instance_uuid = rows_text(rows, 1), .action = rows_text(rows, 2),
        .request_id = rows_text(rows, 3), .user_id = rows_text(rows, 4), .project_id = rows_text(rows, 5),
        .message = rows_text(rows, 6), .start_time = rows_int(rows, 7), .finish_time = rows_int(rows, 8),
        .updated_at = rows_int(rows, 9) };
}

struct fault *action_list(struct tx *tx, const struct action_query *query, struct action **ret, size_t *ret_count)
{
    struct arena *arena = tx_arena(tx);
    struct rows *rows;
    int64_t below = INT64_MAX;
    size_t count = 0, capacity = 16;
    struct action *list = ARENA_ARRAY(arena, struct action, capacity);

    if (query->marker != NULL) {
        TRY(sql_int_of(tx, &below, 0, "SELECT id FROM instance_actions WHERE instance_uuid=? AND request_id=?",
            BIND(TEXT(query->instance_uuid), TEXT(query->marker))));
        if (below == 0)
            return fault_new(arena, 400, "badRequest", "Marker %s could not be found.", query->marker);
    }
    TRY(sql_query(tx, &rows, "SELECT " ACTION_COLUMNS " FROM instance_actions WHERE instance_uuid=? AND id<? "
        "AND updated_at>=? AND updated_at<=? ORDER BY id DESC LIMIT ?",
        BIND(TEXT(query->instance_uuid), INT(below), INT(query->changes_since),
            INT(query->changes_before > 0 ? query->changes_before : INT64_MAX),
            INT(query->limit > 0 ? query->limit : INT32_MAX))));
    while (rows_next(rows)) {
        if (count == capacity) {
            struct action *more = ARENA_ARRAY(arena, struct action, capacity * 2);
            memcpy(more, list, count * sizeof(*list));
            list = more;
            capacity *= 2;
        }
        read_action(rows, &list[count++]);
    }
    *ret = list;
    *ret_count = count;
    return rows_fault(rows);
}

struct fault *action_load(struct tx *tx, const char *instance_uuid, const char *request_id, struct action *ret,
    bool *ret_found)
{
    struct rows *rows;

    TRY(sql_query(tx, &rows, "SELECT " ACTION_COLUMNS " FROM instance_actions WHERE instance_uuid=? AND request_id=? "
        "ORDER BY id DESC LIMIT 1", BIND(TEXT(instance_uuid), TEXT(request_id))));
    *ret_found = rows_next(rows);
    if (!*ret_found)
        return rows_fault(rows);
    read_action(rows, ret);
    rows_end(rows);
    return NULL;
}

struct fault *action_events(struct tx *tx, int64_t action_id, struct action_event **ret, size_t *ret_count)
{
    enum { EVENTS_SHOWN = 100 };
    struct rows *rows;
    struct action_event *list = ARENA_ARRAY(tx_arena(tx), struct action_event, EVENTS_SHOWN);
    size_t count = 0;

    TRY(sql_query(tx, &rows, "SELECT id,event,result,traceback,details,host,start_time,finish_time FROM "
        "instance_actions_events WHERE action_id=? ORDER BY id DESC LIMIT ?", BIND(INT(action_id), INT(EVENTS_SHOWN))));
    while (rows_next(rows))
        list[count++] = (struct action_event){ .id = rows_int(rows, 0), .event = rows_text(rows, 1),
            .result = rows_text(rows, 2), .traceback = rows_text(rows, 3), .details = rows_text(rows, 4),
            .host = rows_text(rows, 5), .start_time = rows_int(rows, 6), .finish_time = rows_int(rows, 7) };
    *ret = list;
    *ret_count = count;
    return rows_fault(rows);
}
