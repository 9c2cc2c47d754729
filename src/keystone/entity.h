/* SPDX-License-Identifier: Apache-2.0
 *
 * entity: what identity's resources have in common, as the reference has it: rows with a fixed set of columns, all other
 * members kept in the JSON column `extra`, options and tags in tables of their own, exact and inexact filters
 * (name, name__contains, name__istartswith, ...), `links`, PATCH that merges.
 *
 * (oslo/resource.h is for resources whose policy follows validation and whose rows are one table's. Here policy comes
 * first, a user is four tables, and what is stored as <<null>> is shown as null.)
 *
 * Lists go from the rows straight to the response. A single one is handled as a document.
 */
#ifndef KEYSTONE_ENTITY_H
#define KEYSTONE_ENTITY_H

#include "keystone/state.h"
#include "oslo/json.h"

enum attribute_flags {
    ATTRIBUTE_BOOL     = 1 << 0,
    ATTRIBUTE_FILTER   = 1 << 1,
    ATTRIBUTE_OPTIONAL = 1 << 2, /* left out while null */
    ATTRIBUTE_HIDDEN   = 1 << 3, /* stored, not shown */
    ATTRIBUTE_EXTRA    = 1 << 4, /* lives in `extra`; named here because it filters */
    ATTRIBUTE_MOMENT   = 1 << 5, /* microseconds since 1970, shown as ISO text; 0: null */
    ATTRIBUTE_READ     = 1 << 6, /* from a joined table: not written with the entity's own row */
    ATTRIBUTE_INT      = 1 << 7,
    ATTRIBUTE_JSON     = 1 << 8, /* the column holds JSON text */
    ATTRIBUTE_JSON_TWICE = 1 << 9, /* JSON text of a text that is JSON, as the reference writes mappings */
};

struct attribute {
    const char *name;    /* of the member */
    const char *column;  /* as in the SELECT: "u.id" */
    unsigned flags;
    const char *null_as; /* the text that stands for null in the column, or NULL */
    const char *filter;  /* the column that an exact filter looks at, when it is another */
};

/* Options: {"immutable": true} is the row (key, "IMMU", "true"). */
struct entity_option {
    const char *name, *id;
};

struct entity {
    const char *name, *plural;              /* "region", "regions" */
    const char *from;                       /* "region": table, or tables joined */
    const char *table;                      /* the entity's own table */
    const char *id_column;                  /* "id", or qualified */
    const char *extra_column;               /* NULL: unknown members are not kept */
    const char *fixed;                      /* condition that all of its rows meet, or NULL */
    const struct attribute *attributes;     /* the first is the id */
    size_t count;
    const char *options_table, *options_key; /* NULL: it has no options */
    const struct entity_option *options;    /* ends with a NULL name */
    bool tags;                              /* project_tag */
    const char *path;                       /* of its links below /v3: "OS-EP-FILTER/endpoint_groups"; NULL: plural */
    const char *missing;                    /* "Could not find %s ID": "registered limit for"; NULL: name and a colon */
    const char *limit_group;                /* section whose list_limit its lists obey, before [DEFAULT]'s; NULL: none */
    /* Writes what a list's row has beside its columns; NULL: nothing. */
    void (*write_more)(struct json_writer *w, const char *id, const void *argument);
    const void *more_argument;
};

/* One more condition of a list: our own text with bound values. */
struct condition {
    const char *sql; /* "domain_id = ?"; NULL ends */
    const struct sql_value *values;
    size_t count;
};

/* {"plural": [...], "links": {...}} of those that meet the request's filters and the conditions (NULL: none), cut after
 * list_limit of them: then "truncated" is true. */
struct fault *entity_list(struct request *rq, const struct entity *entity, const struct condition *conditions);

/* The same without filters and list_limit. */
struct fault *entity_list_all(struct request *rq, const struct entity *entity, const struct condition *conditions);

/* One as a document (without links); *ret NULL when there is none. */
struct fault *entity_load(struct tx *tx, const struct entity *entity, const char *id, json_t **ret);

/* {"name": {..., "links": {"self": ...}}}. */
void entity_respond(struct request *rq, const struct entity *entity, const json_t *document);
/* {"plural": [...]} of an array of documents, each with its links; the collection has none. */
void entity_respond_all(struct request *rq, const struct entity *entity, const json_t *documents);
/* entity_respond() in two halves, for more members in between. */
void entity_begin(struct request *rq, const struct entity *entity, const json_t *document);
void entity_finish(struct request *rq);
/* 404 before the route's rule is asked, as in the reference where it looks the member up for the rule's target. */
struct fault *entity_enforce(struct request *rq, const struct entity *entity, const char *id);
/* {..., "links": {"self": ...}} as the member `name`, or as an element (NULL). */
void entity_write(struct request *rq, const struct entity *entity, const char *name, const json_t *document);
/* Loads in a transaction of its own and responds; 404 in the reference's words. */
struct fault *entity_show(struct request *rq, const struct entity *entity, const char *id);

/* 404 in the entity's words. */
struct fault *entity_missing(struct context *cx, const struct entity *entity, const char *id);

/* Writes the entity's own row, extra, options and tags from a document. Unknown members go to extra. */
struct fault *entity_insert(struct tx *tx, const struct entity *entity, const json_t *document);
struct fault *entity_store(struct tx *tx, const struct entity *entity, const char *id, const json_t *document);
/* Deletes the row, its options and its tags. */
struct fault *entity_erase(struct tx *tx, const struct entity *entity, const char *id);

/* `patch` laid over `old`: a new document in the arena. Options merge member by member; null takes one away. */
json_t *entity_merge(struct arena *arena, const struct entity *entity, const json_t *old, const json_t *patch);

/* A copy of a request's object that may be changed, with a new id when it has none. */
json_t *entity_draft(struct request *rq, const json_t *given, bool keep_id);

/* What a member is when the request says nothing of it. `value` is a new reference. */
void entity_default(json_t *document, const char *name, json_t *value);

/* Takes the blanks around `name` away. */
void entity_strip_name(json_t *document);

/* 400 "Cannot change ID" when the body has an id that is not the path's. */
struct fault *entity_same_id(struct request *rq, const json_t *given, const char *id);

/* 403 while the option immutable is set; `change`: what the patch makes of it (NULL: a deletion). */
struct fault *entity_mutable(struct context *cx, const struct entity *entity, const json_t *document, const json_t *change);

#endif
