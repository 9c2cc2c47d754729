/* SPDX-License-Identifier: Apache-2.0
 * ovsdb_values: RFC 7047's notation of operations, maps, sets and uuids. See ovsdb.h. */
#include "neutron/ovs/ovsdb.h"

#include <string.h>

static json_t *condition(const char *column, const char *value)
{
    if (column == NULL)
        return json_array();
    if (strcmp(column, "_uuid") == 0)
        return json_pack("[[s,s,[s,s]]]", column, "==", "uuid", value);
    return json_pack("[[s,s,s]]", column, "==", value);
}

json_t *ovsdb_select(const char *table, const char *column, const char *value, json_t *columns)
{
    return json_pack("{s:s,s:s,s:o,s:o}", "op", "select", "table", table, "where", condition(column, value), "columns",
        columns);
}

json_t *ovsdb_insert(const char *table, json_t *row, const char *uuid_name)
{
    return json_pack("{s:s,s:s,s:o,s:s*}", "op", "insert", "table", table, "row", row, "uuid-name", uuid_name);
}

json_t *ovsdb_update(const char *table, const char *column, const char *value, json_t *row)
{
    return json_pack("{s:s,s:s,s:o,s:o}", "op", "update", "table", table, "where", condition(column, value), "row", row);
}

json_t *ovsdb_mutate(const char *table, const char *column, const char *value, const char *changed, const char *mutator,
    json_t *operand)
{
    return json_pack("{s:s,s:s,s:o,s:[[s,s,o]]}", "op", "mutate", "table", table, "where", condition(column, value),
        "mutations", changed, mutator, operand);
}

json_t *ovsdb_map(const char *const *pairs)
{
    json_t *list = json_array();
    for (size_t i = 0; pairs != NULL && pairs[i] != NULL; i += 2)
        json_array_append_new(list, json_pack("[s,s]", pairs[i], pairs[i + 1]));
    return json_pack("[s,o]", "map", list);
}

json_t *ovsdb_rows(json_t *results, size_t index)
{
    json_t *rows = json_object_get(json_array_get(results, index), "rows");
    return json_is_array(rows) ? rows : NULL;
}

const char *ovsdb_text(json_t *row, const char *column)
{
    const char *text = json_string_value(json_object_get(row, column));
    return text != NULL ? text : "";
}

bool ovsdb_integer(json_t *row, const char *column, long long *ret)
{
    json_t *value = json_object_get(row, column);
    if (!json_is_integer(value))
        return false; /* an empty set: the optional value is absent */
    *ret = json_integer_value(value);
    return true;
}

/* The members of ["map", [...]] or ["set", [...]]; NULL for anything else. */
static json_t *members(json_t *value, const char *word)
{
    const char *kind = json_string_value(json_array_get(value, 0));
    return kind != NULL && strcmp(kind, word) == 0 ? json_array_get(value, 1) : NULL;
}

static const char *pairs_value(json_t *pairs, const char *key)
{
    size_t index;
    json_t *pair;
    json_array_foreach(pairs, index, pair) {
        const char *name = json_string_value(json_array_get(pair, 0));
        if (name != NULL && strcmp(name, key) == 0)
            return json_string_value(json_array_get(pair, 1));
    }
    return NULL;
}

const char *ovsdb_map_value(json_t *row, const char *column, const char *key)
{
    return pairs_value(members(json_object_get(row, column), "map"), key);
}

bool ovsdb_map_equal(json_t *a, json_t *b)
{
    size_t index;
    json_t *pair;
    json_t *first = members(a, "map"), *second = members(b, "map");
    if (json_array_size(first) != json_array_size(second))
        return false;
    json_array_foreach(first, index, pair) {
        const char *key = json_string_value(json_array_get(pair, 0)), *value = json_string_value(json_array_get(pair, 1));
        const char *other = key != NULL ? pairs_value(second, key) : NULL;
        if (value == NULL || other == NULL || strcmp(value, other) != 0)
            return false;
    }
    return true;
}

const char *ovsdb_uuid(json_t *row)
{
    const char *text = json_string_value(json_array_get(json_object_get(row, "_uuid"), 1));
    return text != NULL ? text : "";
}

static bool is_uuid(json_t *value, const char *uuid)
{
    const char *kind = json_string_value(json_array_get(value, 0)), *text = json_string_value(json_array_get(value, 1));
    return kind != NULL && text != NULL && strcmp(kind, "uuid") == 0 && strcmp(text, uuid) == 0;
}

bool ovsdb_set_has_uuid(json_t *set, const char *uuid)
{
    size_t index;
    json_t *value;
    json_array_foreach(members(set, "set"), index, value) {
        if (is_uuid(value, uuid))
            return true;
    }
    return is_uuid(set, uuid); /* a set of one is written without the word */
}
