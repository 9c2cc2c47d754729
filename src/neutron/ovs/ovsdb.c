/* SPDX-License-Identifier: Apache-2.0
 * ovsdb: JSON-RPC on a unix socket. Values and operations are in ovsdb_values.c. See ovsdb.h. */
#include "neutron/ovs/ovsdb.h"

#include "base/clock.h"
#include "neutron/ovs/stream.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { CONNECT_TIMEOUT_MS = 5000, WAIT_MARGIN_MS = 1000 };

static const char database[] = "Open_vSwitch";

struct ovsdb {
    char *path;
    int fd; /* -1: not connected */
    struct ovsdb_stream stream;
    json_int_t last_id;
    json_t *monitored; /* {"Interface": {"columns": [...]}}, or NULL */
    ovsdb_changed changed;
    void *context;
    bool was_connected;
};

struct ovsdb *ovsdb_create(const char *path)
{
    struct ovsdb *db = calloc(1, sizeof(*db));
    if (db == NULL || (db->path = strdup(path)) == NULL)
        abort();
    db->fd = -1;
    return db;
}

static void disconnect(struct ovsdb *db)
{
    if (db->fd >= 0)
        close(db->fd);
    db->fd = -1;
    ovsdb_stream_reset(&db->stream);
}

void ovsdb_destroy(struct ovsdb *db)
{
    if (db == NULL)
        return;
    disconnect(db);
    json_decref(db->monitored);
    free(db->path);
    free(db);
}

static struct fault *lost(struct arena *arena, struct ovsdb *db, const char *why)
{
    disconnect(db);
    struct fault *fault = fault_new(arena, 500, NULL, "The connection to the OVSDB server %s is lost: %s.", db->path, why);
    fault->retry = true;
    return fault;
}

static int left_ms(int64_t end_us)
{
    int64_t left = (end_us - clock_monotonic_us() + 999) / 1000;
    return left > 0 ? (int)left : 0;
}

static struct fault *send_message(struct arena *arena, struct ovsdb *db, json_t *message, int64_t end_us)
{
    char *text = json_dumps(message, JSON_COMPACT);
    json_decref(message);
    if (text == NULL)
        return fault_new(arena, 500, NULL, "A message to the OVSDB server cannot be written as JSON.");
    arena_defer(arena, free, text);
    for (size_t sent = 0, length = strlen(text); sent < length;) {
        ssize_t n = send(db->fd, text + sent, length - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            sent += (size_t)n;
            continue;
        }
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return lost(arena, db, strerror(errno));
        struct pollfd writable = { db->fd, POLLOUT, 0 };
        if (poll(&writable, 1, left_ms(end_us)) == 0)
            return lost(arena, db, "it does not read");
    }
    return NULL;
}

static void tell_rows(struct ovsdb *db, json_t *tables)
{
    const char *table, *uuid;
    json_t *rows, *row;
    if (db->changed == NULL)
        return;
    json_object_foreach(tables, table, rows)
        json_object_foreach(rows, uuid, row) {
            json_t *before = json_object_get(row, "old"), *after = json_object_get(row, "new");
            if (before != NULL || after != NULL)
                db->changed(db->context, table, uuid, before, after);
        }
}

/* An echo or an update of the server. */
static struct fault *serve(struct arena *arena, struct ovsdb *db, json_t *message, int64_t end_us)
{
    const char *method = json_string_value(json_object_get(message, "method"));
    json_t *params = json_object_get(message, "params"), *id = json_object_get(message, "id");
    if (method != NULL && strcmp(method, "echo") == 0 && params != NULL && id != NULL)
        return send_message(arena, db, json_pack("{s:O,s:n,s:O}", "result", params, "error", "id", id), end_us);
    if (method != NULL && strcmp(method, "update") == 0)
        tell_rows(db, json_array_get(params, 1));
    return NULL;
}

/* Reads once, or returns with nothing read at the deadline. */
static struct fault *receive(struct arena *arena, struct ovsdb *db, int64_t end_us, bool *ret_in_time)
{
    struct pollfd readable = { db->fd, POLLIN, 0 };
    int ready = poll(&readable, 1, left_ms(end_us));
    *ret_in_time = ready > 0;
    if (ready == 0 || (ready < 0 && errno == EINTR))
        return NULL;
    char chunk[65536];
    ssize_t n = recv(db->fd, chunk, sizeof(chunk), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return NULL;
    if (n <= 0)
        return lost(arena, db, n == 0 ? "closed" : strerror(errno));
    ovsdb_stream_feed(&db->stream, chunk, (size_t)n);
    return NULL;
}

/* Serves messages until the reply with this id comes; id 0: until none is left. *ret is the reply, in the arena. */
static struct fault *serve_until(struct arena *arena, struct ovsdb *db, json_int_t id, int64_t end_us, json_t **ret)
{
    *ret = NULL;
    for (;;) {
        json_t *message;
        struct fault *fault = ovsdb_stream_next(arena, &db->stream, &message);
        if (fault != NULL)
            return lost(arena, db, fault->message);
        if (message == NULL)
            return NULL;
        if (json_object_get(message, "method") != NULL) {
            fault = serve(arena, db, message, end_us);
            json_decref(message);
            TRY(fault);
        } else if (id != 0 && json_integer_value(json_object_get(message, "id")) == id) {
            arena_defer(arena, (void (*)(void *))json_decref, message);
            *ret = message;
            return NULL;
        } else {
            json_decref(message); /* the answer to a call that was given up */
        }
    }
}

static const char *error_text(struct arena *arena, json_t *error)
{
    const char *word = json_string_value(json_is_object(error) ? json_object_get(error, "error") : error);
    const char *details = json_string_value(json_object_get(error, "details"));
    return arena_printf(arena, "%s%s%s", word != NULL ? word : "error", details != NULL ? ": " : "",
        details != NULL ? details : "");
}

static struct fault *call(struct arena *arena, struct ovsdb *db, const char *method, json_t *params, int timeout_ms,
    json_t **ret_result)
{
    json_int_t id = ++db->last_id;
    int64_t end_us = clock_monotonic_us() + (int64_t)timeout_ms * 1000;
    TRY(send_message(arena, db, json_pack("{s:s,s:o,s:I}", "method", method, "params", params, "id", id), end_us));
    json_t *reply = NULL;
    for (;;) {
        TRY(serve_until(arena, db, id, end_us, &reply));
        if (reply != NULL)
            break;
        bool in_time;
        TRY(receive(arena, db, end_us, &in_time));
        if (!in_time && left_ms(end_us) == 0)
            return lost(arena, db, "no answer in time");
    }
    json_t *error = json_object_get(reply, "error");
    if (error != NULL && !json_is_null(error))
        return fault_new(arena, 500, NULL, "The OVSDB server refused %s: %s.", method, error_text(arena, error));
    *ret_result = json_object_get(reply, "result");
    return NULL;
}

static struct fault *start_monitor(struct arena *arena, struct ovsdb *db)
{
    json_t *initial;
    json_t *params = json_pack("[s,n,O]", database, db->monitored);
    TRY(call(arena, db, "monitor", params, CONNECT_TIMEOUT_MS, &initial));
    tell_rows(db, initial);
    return NULL;
}

/* Connects when there is no connection; a monitor is set up again and everything told anew. */
static struct fault *ensure_connected(struct arena *arena, struct ovsdb *db)
{
    if (db->fd >= 0)
        return NULL;
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(db->path) >= sizeof(address.sun_path))
        return fault_new(arena, 500, NULL, "The path %s is too long for a unix socket.", db->path);
    memcpy(address.sun_path, db->path, strlen(db->path) + 1);
    db->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (db->fd < 0 || connect(db->fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        return lost(arena, db, strerror(errno));
    if (db->monitored == NULL)
        return NULL;
    if (db->was_connected)
        db->changed(db->context, NULL, NULL, NULL, NULL);
    db->was_connected = true;
    return start_monitor(arena, db);
}

static struct fault *check_results(struct arena *arena, json_t *results)
{
    size_t index;
    json_t *result;
    if (!json_is_array(results))
        return fault_new(arena, 500, NULL, "The OVSDB server's answer is no array of results.");
    json_array_foreach(results, index, result) {
        if (json_object_get(result, "error") != NULL)
            return fault_new(arena, 500, NULL, "Operation %zu on the OVSDB failed: %s.", index, error_text(arena, result));
    }
    return NULL;
}

struct fault *ovsdb_transact(struct arena *arena, struct ovsdb *db, json_t *operations, int timeout_ms,
    json_t **ret_results)
{
    json_t *results = NULL;
    json_array_insert_new(operations, 0, json_string(database));
    struct fault *fault = ensure_connected(arena, db);
    if (fault != NULL) {
        json_decref(operations);
        return fault;
    }
    TRY(call(arena, db, "transact", operations, timeout_ms, &results));
    TRY(check_results(arena, results));
    if (ret_results != NULL)
        *ret_results = results;
    return NULL;
}

/* The server itself watches for the number, so nothing polls. */
static struct fault *wait_for_switch(struct arena *arena, struct ovsdb *db, long long number, int timeout_ms)
{
    json_t *wait = json_pack("{s:s,s:i,s:s,s:[[s,s,I]],s:[s],s:s,s:[]}", "op", "wait", "timeout", timeout_ms, "table",
        database, "where", "cur_cfg", ">=", (json_int_t)number, "columns", "cur_cfg", "until", "!=", "rows");
    struct fault *fault = ovsdb_transact(arena, db, json_pack("[o]", wait), timeout_ms + WAIT_MARGIN_MS, NULL);
    if (fault == NULL || fault->retry)
        return fault;
    return fault_because(fault_new(arena, 500, NULL, "ovs-vswitchd did not take a change in %d ms.", timeout_ms), fault);
}

struct fault *ovsdb_commit(struct arena *arena, struct ovsdb *db, json_t *operations, int timeout_ms)
{
    json_t *results;
    size_t count = json_array_size(operations);
    json_array_append_new(operations, ovsdb_mutate(database, NULL, NULL, "next_cfg", "+=", json_integer(1)));
    json_array_append_new(operations, ovsdb_select(database, NULL, NULL, json_pack("[s]", "next_cfg")));
    TRY(ovsdb_transact(arena, db, operations, timeout_ms, &results));
    long long number;
    if (!ovsdb_integer(json_array_get(ovsdb_rows(results, count + 1), 0), "next_cfg", &number))
        return fault_new(arena, 500, NULL, "The OVSDB has no row in Open_vSwitch.");
    return wait_for_switch(arena, db, number, timeout_ms);
}

struct fault *ovsdb_monitor(struct arena *arena, struct ovsdb *db, json_t *tables, ovsdb_changed changed, void *context)
{
    const char *table;
    json_t *columns;
    disconnect(db); /* a monitor is set up with its connection */
    json_decref(db->monitored);
    db->monitored = json_object();
    json_object_foreach(tables, table, columns)
        json_object_set_new(db->monitored, table, json_pack("{s:O}", "columns", columns));
    json_decref(tables);
    db->changed = changed;
    db->context = context;
    db->was_connected = false;
    return ensure_connected(arena, db);
}

struct fault *ovsdb_poll(struct arena *arena, struct ovsdb *db, int timeout_ms)
{
    bool in_time;
    json_t *none;
    TRY(ensure_connected(arena, db));
    int64_t end_us = clock_monotonic_us() + (int64_t)timeout_ms * 1000;
    TRY(receive(arena, db, end_us, &in_time));
    return serve_until(arena, db, 0, clock_monotonic_us() + CONNECT_TIMEOUT_MS * 1000, &none);
}
