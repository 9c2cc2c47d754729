/* SPDX-License-Identifier: Apache-2.0
 *
 * ovsdb: a client of the switch's configuration database (RFC 7047, schema Open_vSwitch) on its unix socket.
 *
 * A struct ovsdb belongs to one thread at a time and blocks, each call within its own deadline. An agent has two: one
 * that it changes things with, and one that it only monitors with. The connection is made when first needed and made
 * anew after a loss; a fault with `retry` says that the connection was lost, and the call may be made again when what it
 * asks for may be done twice. Echo requests of the server are answered inside every call.
 *
 * What the server sends is bounded (stream.h) and checked: a reply of the wrong form is a fault.
 */
#ifndef NEUTRON_OVS_OVSDB_H
#define NEUTRON_OVS_OVSDB_H

#include "base/arena.h"
#include "base/fault.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct ovsdb;

/* `path`: the server's socket ("/run/openvswitch/db.sock"). Does not connect yet. */
struct ovsdb *ovsdb_create(const char *path);
void ovsdb_destroy(struct ovsdb *db);

/* Runs the operations (a JSON array of RFC 7047 section 5.2; taken over) as one transaction. *ret_results (NULL: not
 * wanted) is the array of their results and lives in the arena. An operation's error is a fault with the server's
 * words. */
struct fault *ovsdb_transact(struct arena *arena, struct ovsdb *db, json_t *operations, int timeout_ms,
    json_t **ret_results);

/* As transact, then waits until ovs-vswitchd has put the change to work (Open_vSwitch.cur_cfg reaches next_cfg). */
struct fault *ovsdb_commit(struct arena *arena, struct ovsdb *db, json_t *operations, int timeout_ms);

/* A row that changed: `before` is NULL when it is new (or was there when the monitor began), `after` is NULL when it is
 * gone. Both hold the monitored columns; `before` only those that changed. table NULL: the connection was lost and made
 * anew; forget everything, what is there comes again. */
typedef void (*ovsdb_changed)(void *context, const char *table, const char *uuid, json_t *before, json_t *after);

/* From now on tells about every change of these tables: {"Interface": ["name", "ofport"], ...} (taken over). What is
 * there now is told before this returns. Tells again by itself after a lost connection. */
struct fault *ovsdb_monitor(struct arena *arena, struct ovsdb *db, json_t *tables, ovsdb_changed changed, void *context);

/* Waits up to timeout_ms for changes and tells them. A lost connection is a fault; call again (after a pause) to connect
 * again. */
struct fault *ovsdb_poll(struct arena *arena, struct ovsdb *db, int timeout_ms);

/* Operations and values in RFC 7047's form. Texts are copied. */
json_t *ovsdb_select(const char *table, const char *column, const char *value, json_t *columns); /* column NULL: all rows */
json_t *ovsdb_insert(const char *table, json_t *row, const char *uuid_name);
json_t *ovsdb_update(const char *table, const char *column, const char *value, json_t *row);
json_t *ovsdb_mutate(const char *table, const char *column, const char *value, const char *changed, const char *mutator,
    json_t *operand);
json_t *ovsdb_map(const char *const *pairs); /* "key", "value", ..., NULL; NULL: the empty map */

/* The rows of the select at `index`; NULL (which jansson walks as empty) when there is none. */
json_t *ovsdb_rows(json_t *results, size_t index);

/* Reading values: a text ("" when it is none), an optional integer, the value of a map's key (NULL: absent). */
const char *ovsdb_text(json_t *row, const char *column);
bool ovsdb_integer(json_t *row, const char *column, long long *ret);
const char *ovsdb_map_value(json_t *row, const char *column, const char *key);
bool ovsdb_map_equal(json_t *a, json_t *b);
const char *ovsdb_uuid(json_t *row); /* of the row's _uuid column; "" when it was not selected */
bool ovsdb_set_has_uuid(json_t *set, const char *uuid);

#endif
