/* SPDX-License-Identifier: Apache-2.0
 *
 * json: responses are written straight into a buffer; requests are parsed by jansson within bounds.
 */
#ifndef OSLO_JSON_H
#define OSLO_JSON_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/fault.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Writer. Commas are its business: each call writes one member (`name` given) or one element (`name` NULL).
 *     json_begin(w, NULL);  json_text(w, "id", id);  json_begin_array(w, "links");  json_end_array(w);  json_end(w); */
struct json_writer {
    struct buf *out;
    bool comma;
};

/* Members: `name` is NULL inside an array and for the whole document. Names and texts are escaped; commas come by themselves. */
void json_begin(struct json_writer *w, const char *name);       /* { */
void json_end(struct json_writer *w);                           /* } */
void json_begin_array(struct json_writer *w, const char *name);       /* [ */
void json_end_array(struct json_writer *w);                     /* ] */
void json_text(struct json_writer *w, const char *name, const char *value); /* NULL writes null */
void json_text_n(struct json_writer *w, const char *name, const char *value, size_t length);
void json_int(struct json_writer *w, const char *name, int64_t value);
void json_double(struct json_writer *w, const char *name, double value); /* shortest text that reads back the same */
void json_bool(struct json_writer *w, const char *name, bool value);
void json_null_member(struct json_writer *w, const char *name);
void json_raw(struct json_writer *w, const char *name, const char *text); /* JSON text as it is; NULL writes null */
void json_value(struct json_writer *w, const char *name, const json_t *value); /* a parsed document; NULL writes null */
void json_textf(struct json_writer *w, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Appends `text` with quotes and escapes. Bytes that are not UTF-8 become U+FFFD. */
void json_quote(struct buf *out, const char *text, size_t length);

/* Parses within limits: `limit` bytes, depth 64. NULL and *ret_why (arena) on failure. The result is released with the
 * arena. */
json_t *json_parse(struct arena *arena, const char *text, size_t length, const char **ret_why);

/* As json_parse for text that we wrote ourselves (database columns, messages); NULL text or broken text gives NULL. */
json_t *json_parse_own(struct arena *arena, const char *text);

/* Compact text in the arena; keys keep their order. */
const char *json_dump(struct arena *arena, const json_t *value);

/* Ties a new reference to the arena and returns it: json_t *body = json_keep(arena, json_object()); */
json_t *json_keep(struct arena *arena, json_t *value);

/* Member access along a path: json_at(doc, "server.flavor.id"); NULL when any part is absent. */
json_t *json_at(const json_t *value, const char *path);
const char *json_text_at(const json_t *value, const char *path);          /* NULL: absent or not a string */
int64_t json_int_at(const json_t *value, const char *path, int64_t absent);
bool json_bool_at(const json_t *value, const char *path, bool absent);

#endif
