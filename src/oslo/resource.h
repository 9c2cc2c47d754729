/* SPDX-License-Identifier: Apache-2.0
 *
 * resource: one engine for everything that is listed, shown, created, updated and deleted.
 *
 * A resource is a table of fields. From it come validation in the service's words, SQL for both databases, filters,
 * sorting, paging, `fields=`, visibility, policy down to single fields, quota, optimistic revisions and the JSON. What a
 * resource does beyond that is a hook that a row of the table, or the resource, points to.
 *
 * The order of work never changes:
 *
 *     parse -> prepare -> validate -> policy -> begin -> load -> hook in the transaction -> SQL -> commit
 *           -> hook after it -> page loaders -> render
 *
 * To add a resource: write an enum of its fields, its field table, its `const struct resource`, and its routes:
 *
 *     enum { ID, NAME, PROJECT_ID, FIELDS };
 *     static const struct field color_fields[] = {
 *         [ID]         = { "id",         UUID, COLUMN("id"),         FILTER | SORT },
 *         [NAME]       = { "name",       STR,  COLUMN("name"),       CREATE | UPDATE | FILTER | SORT, .max = 255,
 * .def = STR_DEF("") },
 *         [PROJECT_ID] = { "project_id", STR,  COLUMN("project_id"), CREATE | FILTER | SORT, .alias = "tenant_id",
 * .def = CALLER_PROJECT },
 *     };
 *     static const struct resource color = { .name = "color", .plural = "colors", .table = "colors", .fields = color_fields,
 *                                            .count = FIELDS, .id = ID, .owner = PROJECT_ID, .dialect = &neutron_resources };
 *     static const struct route color_routes[] = {
 *         ROUTE(GET,    "/v2.0/colors",      "get_color",    resource_list,   HANDLER_POLICY, .resource = &color),
 *         ROUTE(POST,   "/v2.0/colors",      "create_color", resource_create, HANDLER_POLICY, .resource = &color, .status = 201),
 *         ROUTE(GET,    "/v2.0/colors/{id}", "get_color",    resource_show,   HANDLER_POLICY, .resource = &color),
 *         ROUTE(PUT,    "/v2.0/colors/{id}", "update_color", resource_update, HANDLER_POLICY, .resource = &color),
 *         ROUTE(DELETE, "/v2.0/colors/{id}", "delete_color", resource_delete, HANDLER_POLICY, .resource = &color, .status = 204),
 *     };
 *
 * A resource that needs more than these hooks has handlers of its own, made of the parts at the end of this header.
 */
#ifndef OSLO_RESOURCE_H
#define OSLO_RESOURCE_H

#include "base/clock.h"
#include "oslo/app.h"
#include "oslo/http.h"
#include "oslo/sql.h"

struct op;
struct row;
struct page;
struct field;
struct where;

/* ---- Values: a document that went through its table knows three states for each member. ---- */

enum value_state { VALUE_ABSENT, VALUE_NULL, VALUE_SET };

struct value {
    enum value_state state;
    int64_t integer;  /* INT, BOOL (0/1) */
    const char *text; /* STR, UUID, ENUM, TIME; LIST and OBJECT: JSON text, when `json` is NULL */
    json_t *json;     /* LIST, OBJECT, ANY: parsed; borrowed from the body, or kept by the op's arena */
};

#define VALUE_STR(v)  ((struct value){ .state = (v) != NULL ? VALUE_SET : VALUE_NULL, .text = (v) })
#define VALUE_INT(v)  ((struct value){ .state = VALUE_SET, .integer = (v) })
#define VALUE_BOOL(v) ((struct value){ .state = VALUE_SET, .integer = (v) ? 1 : 0 })
#define VALUE_JSON(v) ((struct value){ .state = (v) != NULL ? VALUE_SET : VALUE_NULL, .json = (v) })
#define VALUE_RAW(v)  ((struct value){ .state = (v) != NULL ? VALUE_SET : VALUE_NULL, .text = (v) }) /* JSON text */
#define VALUE_NONE    ((struct value){ .state = VALUE_NULL })

/* The JSON of a LIST/OBJECT/ANY value, parsed when it was text; NULL when null or absent. */
json_t *value_json(struct op *op, struct value *value);

/* ---- The field table ---- */

enum field_type {
    STR,    /* column: text */
    UUID,   /* text that must be a UUID when a caller gives it */
    ENUM,   /* text out of .names */
    INT,    /* column: integer. Accepts a JSON integer, or decimal text where the dialect is lenient */
    BOOL,   /* column: 0/1. Accepts true/false; text and 0/1 where the dialect is lenient */
    TIME,   /* column: text as CLOCK_SQL_US; shown as .format says */
    LIST,   /* column: JSON text */
    OBJECT, /* column: JSON text */
    ANY,    /* any JSON; column: JSON text */
};

enum field_flags {
    CREATE   = 1 << 0,  /* may be given on create */
    UPDATE   = 1 << 1,  /* may be given on update */
    FILTER   = 1 << 2,  /* may filter a list: `name=value`, repeated = OR */
    SORT     = 1 << 3,
    REQUIRED = 1 << 4,  /* must be given on create */
    NULLABLE = 1 << 5,  /* null is a value */
    PER_FIELD = 1 << 6, /* has policy rules of its own where the policy table knows them: "create_x:field",
                           "update_x:field", "get_x:field" (not allowed: the member is left out) */
    HIDDEN   = 1 << 7,  /* never shown */
    OPTIONAL = 1 << 8,  /* left out of the JSON while null or absent */
    NOT_BLANK = 1 << 9, /* STR: "" and blanks alone are refused */
    NUMBERS  = 1 << 11, /* STR: an integer is taken as its text */
    IN_TARGET = 1 << 10, /* a LOADER field that policy rules name: loaded before they are asked */
};

/* Loads a field for a whole page: sets row->values[field] of every row where it is VALUE_ABSENT, in one query. `op->tx`
 * is a read transaction. page_find() helps. One loader may serve several fields: it is called for the first of them only
 * when it sets the others too. */
typedef struct fault *(*field_loader)(struct op *op, struct page *page, size_t field);

/* Where a field is kept. */
struct source {
    const char *column;
    field_loader load;
};
#define COLUMN(name) { .column = (name) }
#define LOADER(function) { .load = (function) }
#define NOWHERE { 0 } /* the hooks use it: a member of the request only, or set by them */

enum default_kind { NO_DEFAULT, DEFAULT_TEXT, DEFAULT_INT, DEFAULT_NULL, DEFAULT_JSON, DEFAULT_CALLER_PROJECT, DEFAULT_CALLER_USER,
    DEFAULT_CALLER_DOMAIN, DEFAULT_OPTION };
struct field_default {
    enum default_kind kind;
    const char *text; /* DEFAULT_TEXT; DEFAULT_JSON: JSON text; DEFAULT_OPTION: its group */
    const char *name; /* DEFAULT_OPTION */
    int64_t integer;
};
#define STR_DEF(v)  { .kind = DEFAULT_TEXT, .text = (v) }
#define INT_DEF(v)  { .kind = DEFAULT_INT, .integer = (v) }
#define TRUE_DEF    { .kind = DEFAULT_INT, .integer = 1 }
#define FALSE_DEF   { .kind = DEFAULT_INT, .integer = 0 }
#define NULL_DEF    { .kind = DEFAULT_NULL }
#define JSON_DEF(v) { .kind = DEFAULT_JSON, .text = (v) }        /* JSON_DEF("[]") */
#define OPTION_DEF(group, option) { .kind = DEFAULT_OPTION, .text = (group), .name = (option) }
#define CALLER_PROJECT { .kind = DEFAULT_CALLER_PROJECT }        /* NULL without a project scope */
#define CALLER_USER    { .kind = DEFAULT_CALLER_USER }
#define CALLER_DOMAIN  { .kind = DEFAULT_CALLER_DOMAIN }         /* domain scope, else the project's domain */

/* What the engine fills in. Automatic fields cannot be given. */
enum field_automatic {
    NOT_AUTOMATIC,
    NEW_UUID,         /* on create, unless a hook or the caller (CREATE flag) set it. With dashes */
    NEW_HEX,          /* the same, 32 digits */
    CREATED_AT,
    UPDATED_AT,       /* on create and update; see .fresh_null */
    REVISION_COUNTER, /* 0 on create (neutron shows what its hooks leave), + 1 on update; checked against If-Match */
};

struct field {
    const char *name;                   /* in JSON, in filters and sort keys */
    enum field_type type;
    struct source from;
    unsigned flags;
    int64_t min, max;                   /* INT: range,
        when one is not 0. STR: length in characters; LIST: members. max 0: 255 for STR, 1024 members */
    const char *const *names;           /* ENUM, NULL-terminated */
    const char *pattern;                /* STR: PCRE, anchored by itself */
    struct field_default def;           /* on create, when absent */
    const char *alias;                  /* second name in requests, filters and responses ("tenant_id") */
    enum field_automatic automatic;
    enum clock_format format;           /* TIME */
    int64_t first;                      /* REVISION_COUNTER: value on create */
    bool fresh_null;                    /* UPDATED_AT: null until the first update */
    /* Checks and may normalise one given value (create and update; never called for null). */
    struct fault *(*check)(struct op *op, const struct field *field, struct value *value);
    /* Adds the condition of a filter instead of `column IN (...)`: for fields without a column, or with other rules. */
    struct fault *(*filter)(struct op *op, const struct field *field, const char *const *values, size_t count,
        struct where *where);
};

/* ---- The resource ---- */

struct resource_dialect;

struct resource {
    const char *name, *plural;          /* "network", "networks": members of bodies and responses */
    const char *table;
    const struct field *fields;
    size_t count;
    size_t id;                          /* field index of the key in paths */
    size_t owner;                       /* field index of the project; 0: nobody owns it (everyone sees it) */
    const struct resource_dialect *dialect;
    const char *fixed;                  /* condition that all its rows meet ("is_domain = 1"), our own text; or NULL */
    const char *order;                  /* columns of the default order, "name, id"; NULL: the id */
    const char *get_rule;               /* rule for showing one: row policy after a load, and base of per-field get rules.
                                           NULL: "get_" name */
    const char *target_prefix;          /* policy targets are named prefix + field ("target.project."); NULL: the field */
    const char *not_found;              /* fault code; message from .not_found_text with one %s for the id */
    const char *not_found_text;
    bool bulk;                          /* create takes {"plural": [...]} too */

    /* Hooks, in the order of the work; all may be NULL. `op->page.rows[0..count)` are the rows; */
    struct fault *(*prepare)(struct op *op);                    /* after parse, once an operation: before validation */
    struct fault *(*validate)(struct op *op, struct row *row);  /* after the fields' own checks; no database */
    /* Policy targets hold the fields of one value that have a column or IN_TARGET, and these members beyond the fields
     * ("network:tenant_id"), NULL-terminated, whose texts the hook gives: NULL when not known. `row` is NULL while the rule
     * of a list is asked. */
    const char *const *target_names;
    struct fault *(*target)(struct op *op, struct row *row, const char *name, const char **ret);
    /* Rows that a caller without all-seeing sees beyond his own: OR conditions by where_or(). */
    struct fault *(*visible)(struct op *op, struct where *where);
    /* Inside the write transaction. They may run again: everything that they change but row->values must be set anew. */
    struct fault *(*serialize)(struct op *op);                  /* first of all: tx_serialize() for what the others count,
        or check to be free or unused. The rows hold what was given, and for updates what was stored */
    struct fault *(*quota)(struct op *op, size_t more);
    struct fault *(*create)(struct op *op, struct row *row);    /* before INSERT; may set values, write other tables */
    struct fault *(*created)(struct op *op, struct row *row);   /* after INSERT */
    struct fault *(*update)(struct op *op, struct row *row);    /* before UPDATE; row->before holds the old values */
    struct fault *(*updated)(struct op *op, struct row *row);   /* after UPDATE */
    struct fault *(*remove)(struct op *op, struct row *row);    /* before DELETE */
    struct fault *(*after)(struct op *op);                      /* after the commit: wake agents,
        notify. Its fault is logged, not answered */
    /* A violated unique key, in the service's words; NULL: 409 "Conflict". */
    struct fault *(*duplicate)(struct op *op, struct row *row);
    void (*render_row)(struct op *op, struct row *row, struct json_writer *w); /* more members behind the fields */
};

enum invalid_kind {
    INVALID_TYPE,        /* not of the field's type */
    INVALID_NULL,
    INVALID_BLANK,
    INVALID_TOO_SHORT, INVALID_TOO_LONG,   /* STR */
    INVALID_TOO_SMALL, INVALID_TOO_BIG,    /* INT */
    INVALID_CHOICE, INVALID_PATTERN,
    INVALID_REQUIRED,    /* missing on create */
    INVALID_ALIAS,       /* its name and its alias say different things */
    INVALID_UNKNOWN,     /* `name` is no field (`field` is NULL) */
    INVALID_READ_ONLY,   /* known, but may not be given in this verb */
    INVALID_BODY,        /* no {"name": {...}} there (`field` NULL) */
    INVALID_FILTER,      /* `name` may not filter */
    INVALID_FILTER_VALUE,
    INVALID_SORT,        /* `name` may not sort */
    INVALID_SORT_DIR,
    INVALID_LIMIT, INVALID_MARKER,
};

/* How a service speaks about its resources. */
struct resource_dialect {
    /* The fault for a bad value. `name`: the member, filter or sort key, for INVALID_UNKNOWN all of them joined by ", ";
     * `value` may be NULL. NULL: let it pass; the member or parameter is ignored. */
    struct fault *(*invalid)(struct op *op, const struct field *field, enum invalid_kind kind, const char *name,
        const json_t *value);
    bool lenient;                       /* "true", "1", "42" are booleans and integers in bodies too (neutron) */
    bool refuse_unknown_filters;        /* else they are ignored */
    bool inexact_filters;               /* name__contains, __startswith, __endswith, and with i: (keystone) */
    const char *notifies;               /* who notifies of creations, changes and deletions ("network"); NULL: nobody */
    bool fields;                        /* `fields=` picks members */
    bool refused_list_is_empty;         /* a caller whom the list rule refuses gets no rows instead of a 403 (neutron) */
    const char *admin_rule;             /* a caller that passes it sees every project's rows; NULL: the list rule decides */
    const char *limit_group, *limit_option; /* option with the largest page; NULL: unlimited */
    /* After the collection of a list; `more`: rows follow behind the page. Writes the links members. NULL: none. */
    void (*list_links)(struct op *op, struct json_writer *w, bool more);
    void (*row_links)(struct op *op, struct row *row, struct json_writer *w);
};

/* ---- An operation under way ---- */

struct row {
    struct value *values;  /* by field index: what will be stored or was loaded */
    struct value *given;   /* create, update: what the body said */
    struct value *before;  /* update, delete: what was stored; NULL otherwise */
    void *private;         /* the hooks' */
};

struct page {
    struct row *rows;
    size_t count;
};

/* By which of its names `fields=` asked for a field. */
enum { WANT_NAME = 1, WANT_ALIAS = 2 };

enum op_kind { OP_LIST, OP_SHOW, OP_CREATE, OP_UPDATE, OP_DELETE, OP_INTERNAL };

struct op {
    struct context *cx;
    struct request *rq;            /* NULL: the service's own work; no policy, sees all */
    const struct resource *resource;
    enum op_kind kind;
    const char *rule;              /* the route's */
    const char *id;                /* show, update, delete */
    struct tx *tx;                 /* inside hooks of the transaction and in loaders; else NULL */
    struct page page;
    bool bulk;
    bool sees_all;                 /* the caller passes the dialect's admin_rule */
    uint8_t *wanted;               /* by field: WANT_NAME, WANT_ALIAS as `fields=` asks; NULL: all */
    int64_t limit;                 /* page size asked for; 0: none */
    const char *marker;
    bool reverse;                  /* page_reverse: the page before the marker */
    bool more;                     /* lists: rows follow behind the page */
    void *private;                 /* the hooks' */
    struct op_engine *engine;      /* the engine's own */
};

/* Handlers for routes with .resource. The key is the path's {id}. */
struct fault *resource_list(struct request *rq);
struct fault *resource_show(struct request *rq);
struct fault *resource_create(struct request *rq);
struct fault *resource_update(struct request *rq);
struct fault *resource_delete(struct request *rq);

/* ---- Conditions: our own texts with bound values ---- */

struct where {
    struct arena *arena;
    struct buf sql;            /* released with the arena */
    struct sql_value *values;
    size_t count, capacity;
};
void where_init(struct where *where, struct arena *arena);
/* AND (sql). `sql` is our own constant text. */
void where_and(struct where *where, const char *sql, const struct sql_value *values, size_t count);
/* Inside a `visible` hook: OR (sql), next to the caller's own rows. */
void where_or(struct where *where, const char *sql, const struct sql_value *values, size_t count);
/* AND the condition of the query parameter `name` of op's resource, which may filter. */
struct fault *resource_filter(struct op *op, const char *name, const char *const *texts, size_t count, struct where *where);
/* AND column IN (texts); no texts: nothing matches. */
void where_in(struct where *where, const char *column, const char *const *texts, size_t count);

/* ---- Parts, for handlers with behaviour of their own and for the service's own work ---- */

/* An operation by a request (rule, kind and id from its route) or by the service itself (rq NULL). In the arena. */
struct op *op_create(struct context *cx, struct request *rq, const struct resource *resource, enum op_kind kind);

/* The operation's page: `count` rows with everything absent, in the arena. */
void page_create(struct op *op, size_t count);

/* Parses {"name": {...}} (or the bulk form) of rq->body into op->page: given, defaults (create), field checks. */
struct fault *resource_parse(struct op *op);
/* Parses one object into one row. */
struct fault *resource_parse_object(struct op *op, const json_t *object, struct row *row);

/* Enforces `rule` with the row as target, then the per-field rules of what was given. */
struct fault *resource_enforce(struct op *op, const char *rule, struct row *row);
/* One rule alone: for the members of a member ("create_port:fixed_ips:ip_address"). Service's own work passes. */
struct fault *resource_enforce_rule(struct op *op, const char *rule, struct row *row);

/* Fills op->page with the rows that meet `where` (may be NULL) and that the caller may see, in the resource's order; in
 * op->tx. Columns only; loaders run in resource_load(). */
struct fault *resource_select(struct op *op, const struct where *where);
/* Fills op->page with one row; 404 in the resource's words when it is absent or invisible. In op->tx. */
struct fault *resource_find(struct op *op, const char *id);
/* The same with a transaction of its own. */
struct fault *resource_fetch(struct op *op, const char *id);
/* The rest of a show after resource_find: the rule with the row as target; a caller who may not see it gets the 404. */
struct fault *resource_not_found(struct op *op, const char *id);

/* Inside a transaction: writes a row's columns. Create fills automatic fields; update writes those that differ. */
struct fault *resource_insert(struct op *op, struct row *row);
struct fault *resource_store(struct op *op, struct row *row);
struct fault *resource_erase(struct op *op, struct row *row);

/* Everything from prepare to commit for op->page, parsed already (or filled by the service): op->kind says which verb. */
struct fault *resource_commit(struct op *op);

/* Runs the loaders of the fields that will be shown. Opens a read transaction when op->tx is NULL. */
struct fault *resource_load(struct op *op);
/* Writes one row as an object (member `name`, NULL: element). */
void resource_write(struct op *op, struct row *row, struct json_writer *w, const char *name);
/* Load, then {"name": {...}} or {"plural": [...], links}. */
struct fault *resource_respond(struct op *op);
/* Lists with an extra condition (may be NULL): the whole of resource_list behind the policy. */
struct fault *resource_respond_list(struct op *op, const struct where *extra);

/* For loaders: the bound ids of a page's rows that lack `field`, and the row of an id (linear from *hint, which the caller
 * starts at 0: results ordered as the page cost nothing). */
size_t page_ids(struct op *op, struct page *page, size_t field, struct sql_value **ret_values);
struct row *page_find(struct op *op, struct page *page, const char *id, size_t *hint);

/* A row's value by field index, for reading: "" is never invented: NULL when null or absent. */
const char *row_text(const struct row *row, size_t field);
int64_t row_int(const struct row *row, size_t field);
bool row_given(const struct row *row, size_t field); /* the body named it (null counts) */
bool row_changed(const struct row *row, size_t field); /* update: values differ from before */

#endif
