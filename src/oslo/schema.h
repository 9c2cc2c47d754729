/* SPDX-License-Identifier: Apache-2.0
 *
 * schema: what a request body must look like, as JSON schema draft 4 says it, in static const tables.
 *
 *     static const struct schema name = { .types = SCHEMA_STRING, .min_length = 1, .max_length = 255, .format = "name" };
 *     static const struct schema body = {
 *         .types = SCHEMA_OBJECT, .properties = SCHEMA_PROPERTIES({ "name", &name }), .required = SCHEMA_WORDS("name"),
 *         .closed = true };
 *
 * A violation is described in the words of Python's jsonschema, which OpenStack's clients see, with the exact parts from
 * which each service builds its own sentence (violation_text_*). Keywords are checked in the order of the struct.
 */
#ifndef OSLO_SCHEMA_H
#define OSLO_SCHEMA_H

#include "base/arena.h"
#include "base/buf.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum schema_types {
    SCHEMA_STRING  = 1 << 0,
    SCHEMA_INTEGER = 1 << 1,
    SCHEMA_NUMBER  = 1 << 2, /* integers too */
    SCHEMA_BOOLEAN = 1 << 3,
    SCHEMA_OBJECT  = 1 << 4,
    SCHEMA_ARRAY   = 1 << 5,
    SCHEMA_NULL    = 1 << 6,
};

struct schema;

struct schema_property {
    const char *name; /* NULL ends the list; in `patterns` a regular expression, found anywhere in the member's name */
    const struct schema *schema;
};

/* Zero, NULL and false mean that the keyword is absent. */
struct schema {
    unsigned types;            /* schema_types; 0: any. Their order in the message is that of the enum */
    const char *const *values; /* enum: strings; with a '=' before it a JSON literal: "=true", "=null", "=1" */
    size_t min_length, max_length; /* of strings, in characters */
    const char *pattern;       /* regular expression, found anywhere in the string */
    int64_t minimum, maximum;  /* checked when one is not 0 (INT64_MIN, INT64_MAX: open end); see schema_options */
    double maximum_real;       /* a maximum that is no int64; checked when not 0 */
    const char *format;        /* see schema_format_check() */
    size_t min_properties, max_properties;
    const struct schema_property *properties;
    const struct schema_property *patterns;
    const char *const *required;
    bool closed;                     /* additionalProperties: false */
    const struct schema *additional; /* additionalProperties: schema */
    const struct schema *items;      /* every element */
    size_t min_items, max_items;
    bool unique_items;
    const struct schema *const *all_of;
    const struct schema *const *any_of;
    const struct schema *const *one_of;
};

#define SCHEMA_WORDS(...)      ((const char *const[]){ __VA_ARGS__, NULL })
#define SCHEMA_PROPERTIES(...) ((const struct schema_property[]){ __VA_ARGS__, { NULL, NULL } })
#define SCHEMA_ANY(...)        ((const struct schema *const[]){ __VA_ARGS__, NULL })

struct violation {
    const char *message;       /* "'' is too short" */
    const char *keyword;       /* "minLength" */
    const char *path;          /* "server/networks/0/uuid"; "" for the document itself */
    const char *path_first;    /* its first and last element; "" for the document itself */
    const char *path_last;
    const char *path_index;    /* as Python indexes: "['server']['networks'][0]['uuid']" */
    const char *schema_index;  /* "['properties']['server']..." */
    const json_t *value;       /* the offending value; belongs to the document */
    const struct schema *schema;
    bool verbatim;             /* the message is a sentence of its own (nova's names), to be shown alone */
};

enum schema_options {
    SCHEMA_FIRST       = 0,      /* the first violation, as nova and keystone show */
    SCHEMA_BEST        = 1 << 0, /* jsonschema's best_match: as placement and glance show */
    SCHEMA_TEXT_NUMBER = 1 << 1, /* minimum and maximum also hold for strings that are numbers, as nova */
};

/* True when the document fits. Else fills ret, which lives in the arena. */
bool schema_check(struct arena *arena, const struct schema *schema, const json_t *document, unsigned options,
    struct violation *ret);

/* All violations (none: it fits), in the order of their messages: *ret is an array in the arena. */
size_t schema_check_every(struct arena *arena, const struct schema *schema, const json_t *document, struct violation **ret);

/* The sentences of the services' API layers, 2023.1:
 * nova       "Invalid input for field/attribute name. Value: X. MSG", "Invalid input for query parameters name. ...";
 * keystone   "Invalid input for field 'a/b': LONG"; placement "JSON does not validate: LONG";
 * glance     "Provided object does not match schema 'image': LONG".
 * LONG is the message with the part of the schema and the instance that did not fit, as jsonschema prints them. */
const char *violation_text_nova(struct arena *arena, const struct violation *violation, bool query);
const char *violation_text_keystone(struct arena *arena, const struct violation *violation);
const char *violation_text_placement(struct arena *arena, const struct violation *violation);
const char *violation_text_glance(struct arena *arena, const struct violation *violation, const char *schema_name);
const char *violation_text_long(struct arena *arena, const struct violation *violation);

/* Checks a string against a format, one of ours (asserted): uuid uri ipv4 ipv6 cidr base64 date-time hostname email regex, and
 * nova's name name_with_leading_trailing_spaces az_name az_name_with_leading_trailing_spaces keypair_name_20 keypair_name_292.
 * With *ret_sentence set, that is the message to show, alone. */
bool schema_format_check(const char *format, const char *text, const char **ret_sentence);

/* Whether the regular expression (of a table, never a client's) is found in the text. Compiled once a process; a match
 * that exceeds its limits counts as not found. */
bool schema_pattern_found(const char *pattern, const char *text, size_t length);

/* Python's repr() and str() of a JSON value, at most 64 KiB of it; pprint's pformat(width=72) with `indent` blanks before
 * each line but the first. */
void python_repr(struct buf *out, const json_t *value);
void python_str(struct buf *out, const json_t *value);
void python_pformat(struct buf *out, const json_t *value, size_t indent);

/* Python's repr of a text, and of a double. */
void python_repr_text(struct buf *out, const char *text, size_t length);
void python_repr_real(struct buf *out, double number);

#endif
