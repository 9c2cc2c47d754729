/* SPDX-License-Identifier: Apache-2.0
 *
 * "federated" of a user: under which names identity providers know him.
 */
#include "keystone/federation/federation.h"
#include "keystone/identity/shadow_users.h"

#include <string.h>

static struct fault *check(struct tx *tx, struct context *cx, const json_t *one)
{
    const char *idp_id = json_text_at(one, "idp_id");
    const json_t *protocols = json_object_get(one, "protocols");
    json_t *found;

    TRY(idp_load(tx, idp_id, &found));
    if (found == NULL)
        return keystone_invalid(cx, "Could not find Identity Provider: %s", idp_id);
    for (size_t i = 0; i < json_array_size(protocols); i++) {
        const char *protocol_id = json_text_at(json_array_get(protocols, i), "protocol_id");
        TRY(protocol_load(tx, idp_id, protocol_id, &found));
        if (found == NULL)
            return keystone_invalid(cx, "Could not find federated protocol %s for Identity Provider: %s.", protocol_id, idp_id);
    }
    return NULL;
}

static struct fault *insert(struct tx *tx, struct context *cx, const char *user_id, const char *name, const json_t *one)
{
    const char *idp_id = json_text_at(one, "idp_id"), *taken;
    const json_t *protocols = json_object_get(one, "protocols");

    for (size_t i = 0; i < json_array_size(protocols); i++) {
        const json_t *protocol = json_array_get(protocols, i);
        const struct sql_value values[] = { TEXT(user_id), TEXT(idp_id), TEXT(json_text_at(protocol, "protocol_id")),
            TEXT(json_text_at(protocol, "unique_id")), TEXT(name) };
        TRY(sql_text_of(tx, &taken, "SELECT user_id FROM federated_user WHERE idp_id = ? AND protocol_id = ? AND unique_id = ?",
            values + 1, 3));
        if (taken != NULL)
            return keystone_conflict(cx, "federated_user", "Duplicate entry");
        TRY(sql_exec(tx, "INSERT INTO federated_user (user_id, idp_id, protocol_id, unique_id, display_name) VALUES"
            " (?, ?, ?, ?, ?)", values, 5));
    }
    return NULL;
}

struct fault *federated_objects_store(struct tx *tx, struct context *cx, const char *user_id, const char *name,
    const json_t *objects)
{
    if (json_array_size(objects) == 0)
        return NULL;
    for (size_t i = 0; i < json_array_size(objects); i++)
        TRY(check(tx, cx, json_array_get(objects, i)));
    TRY(sql_exec(tx, "DELETE FROM federated_user WHERE user_id = ?", BIND(TEXT(user_id))));
    for (size_t i = 0; i < json_array_size(objects); i++)
        TRY(insert(tx, cx, user_id, name, json_array_get(objects, i)));
    return NULL;
}

struct fault *federated_objects_add(struct tx *tx, const char *user_id, json_t *document)
{
    json_t *objects = json_keep(tx_arena(tx), json_array()), *last = NULL;
    struct rows *rows;

    TRY(sql_query(tx, &rows, "SELECT idp_id, protocol_id, unique_id FROM federated_user WHERE user_id = ? ORDER BY idp_id, id",
        BIND(TEXT(user_id))));
    while (rows_next(rows)) {
        json_t *protocol = json_object();
        if (last == NULL || strcmp(json_text_at(last, "idp_id"), rows_text(rows, 0)) != 0) {
            last = json_object();
            json_array_append_new(objects, last);
            json_object_set_new(last, "idp_id", json_string(rows_text(rows, 0)));
            json_object_set_new(last, "protocols", json_array());
        }
        json_object_set_new(protocol, "protocol_id", json_string(rows_text(rows, 1)));
        json_object_set_new(protocol, "unique_id", json_string(rows_text(rows, 2)));
        json_array_append_new(json_object_get(last, "protocols"), protocol);
    }
    TRY(rows_fault(rows));
    if (last != NULL)
        json_object_set(document, "federated", objects);
    return NULL;
}

struct condition federated_condition(struct request *rq)
{
    static const char *const names[] = { "idp_id", "protocol_id", "unique_id" };
    struct sql_value *values = ARENA_ARRAY(rq->cx.arena, struct sql_value, 3);
    const char *sql = "";
    size_t count = 0;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *value = request_query(rq, names[i]);
        if (value == NULL)
            continue;
        sql = arena_printf(rq->cx.arena, "%s%s%s = ?", sql, count > 0 ? " AND " : "", names[i]);
        values[count++] = TEXT(value);
    }
    if (count == 0)
        return (struct condition){ 0 };
    return (struct condition){ arena_printf(rq->cx.arena, "u.id IN (SELECT user_id FROM federated_user WHERE %s)", sql), values,
        count };
}
