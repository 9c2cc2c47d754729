/* SPDX-License-Identifier: Apache-2.0
 *
 * resource_classes: /resource_classes. API reference: Resource Classes.
 */
#include "placement/api.h"
#include "placement/store.h"

#include <string.h>

static const struct schema custom = { .types = SCHEMA_STRING, .max_length = 255, .pattern = "^CUSTOM_[A-Z0-9_]+$" };
static const struct schema named = { .types = SCHEMA_OBJECT, .closed = true, .required = SCHEMA_WORDS("name"),
    .properties = SCHEMA_PROPERTIES({ "name", &custom }) };

struct change {
    struct request *rq;
    const char *name;
    const char *new_name;
    bool keep; /* PUT from 1.7: one that exists is fine */
    bool created;
};

static struct fault *insert(struct tx *tx, const char *name)
{
    int64_t highest;
    TRY(sql_int_of(tx, &highest, 0, "SELECT MAX(id) FROM resource_classes", NO_BIND));
    TRY(sql_exec_later(tx, "INSERT INTO resource_classes (created_at, id, name) VALUES (?, ?, ?)",
        BIND(TEXT(placement_timestamp_now(tx_arena(tx))),
            INT(highest < CUSTOM_CLASS_ID ? CUSTOM_CLASS_ID : highest + 1),
            TEXT(name))));
    return placement_change_provider(tx, CHANGED_NAMES);
}

static struct fault *create_run(struct tx *tx, void *argument)
{
    struct change *change = argument;
    int64_t id;
    change->created = false;
    TRY(placement_change_begin(tx));
    TRY(placement_class_id(tx, change->name, &id));
    if (id >= 0 && change->keep)
        return NULL;
    if (id >= 0)
        return FAULT(RQ(change->rq), 409, NULL, "Conflicting resource class already exists: %s", change->name);
    change->created = true;
    return insert(tx, change->name);
}

static struct fault *create_class(struct request *rq)
{
    TRY(request_validate(rq, &named));
    struct change change = { .rq = rq, .name = json_text_at(rq->body, "name") };
    TRY(placement_write(rq, create_run, &change));
    response_headerf(rq, "Location", "%s/resource_classes/%s", rq->base_url, change.name);
    return placement_answer_empty(rq, 201);
}

static struct fault *ensure_class(struct request *rq)
{
    struct change change = { .rq = rq, .name = request_argument(rq, "name"), .keep = true };
    rq->body = json_keep(rq->cx.arena, json_pack("{s:s}", "name", change.name));
    TRY(request_validate(rq, &named));
    TRY(placement_write(rq, create_run, &change));
    response_headerf(rq, "Location", "%s/resource_classes/%s", rq->base_url, change.name);
    return placement_answer_empty(rq, change.created ? 201 : 204);
}

static struct fault *rename_run(struct tx *tx, void *argument)
{
    struct change *change = argument;
    int64_t id, other;
    TRY(placement_change_begin(tx));
    TRY(placement_class_id(tx, change->name, &id));
    if (id < 0)
        return placement_class_unknown(tx, change->name);
    if (id < CUSTOM_CLASS_ID)
        return FAULT(RQ(change->rq), 400, NULL, "Cannot update standard resource class %s", change->name);
    TRY(placement_class_id(tx, change->new_name, &other));
    if (other >= 0 && other != id)
        return FAULT(RQ(change->rq), 409, NULL, "Resource class already exists: %s", change->new_name);
    TRY(sql_exec_later(tx, "UPDATE resource_classes SET name = ?, updated_at = ? WHERE id = ?",
        BIND(TEXT(change->new_name), TEXT(placement_timestamp_now(tx_arena(tx))), INT(id))));
    return placement_change_provider(tx, CHANGED_NAMES);
}

static void write_class(struct json_writer *w, const char *name)
{
    json_begin(w, NULL);
    json_text(w, "name", name);
    json_begin_array(w, "links");
    json_begin(w, NULL);
    json_text(w, "rel", "self");
    json_textf(w, "href", "/resource_classes/%s", name);
    json_end(w);
    json_end_array(w);
    json_end(w);
}

static struct fault *rename_class(struct request *rq)
{
    TRY(request_validate(rq, &named));
    struct change change = { .rq = rq, .name = request_argument(rq, "name"),
        .new_name = json_text_at(rq->body, "name") };
    TRY(placement_write(rq, rename_run, &change));
    write_class(&rq->json, change.new_name);
    return NULL;
}

static struct fault *delete_run(struct tx *tx, void *argument)
{
    struct change *change = argument;
    int64_t id, used;
    TRY(placement_change_begin(tx));
    TRY(placement_class_id(tx, change->name, &id));
    if (id < 0)
        return placement_class_unknown(tx, change->name);
    if (id < CUSTOM_CLASS_ID)
        return FAULT(RQ(change->rq), 400, NULL,
            "Error in delete resource class: Cannot delete standard resource class %s.", change->name);
    TRY(sql_int_of(tx, &used, 0, "SELECT COUNT(*) FROM inventories WHERE resource_class_id = ?", BIND(INT(id))));
    if (used > 0)
        return FAULT(RQ(change->rq), 409, NULL,
            "Error in delete resource class: Cannot delete resource class %s. Class is in use in inventory.",
            change->name);
    TRY(sql_exec_later(tx, "DELETE FROM resource_classes WHERE id = ?", BIND(INT(id))));
    return placement_change_provider(tx, CHANGED_NAMES);
}

static struct fault *delete_class(struct request *rq)
{
    struct change change = { .rq = rq, .name = request_argument(rq, "name") };
    TRY(placement_write(rq, delete_run, &change));
    return placement_answer_empty(rq, 204);
}

static struct fault *show_class(struct request *rq)
{
    struct tx *tx;
    struct rows *rows;
    const char *name = request_argument(rq, "name");
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(sql_query(tx, &rows, "SELECT created_at, updated_at FROM resource_classes WHERE name = ?", BIND(TEXT(name))));
    if (!rows_next(rows)) {
        TRY(rows_fault(rows));
        return placement_class_unknown(tx, name);
    }
    placement_cache_headers(rq, placement_moment(rows_text(rows, 0), rows_text(rows, 1)));
    rows_end(rows);
    write_class(&rq->json, name);
    return NULL;
}

static struct fault *list_classes(struct request *rq)
{
    struct tx *tx;
    struct rows *rows;
    int64_t modified_us = 0;
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(sql_query(tx, &rows, "SELECT name, created_at, updated_at FROM resource_classes ORDER BY id", NO_BIND));
    json_begin(&rq->json, NULL);
    json_begin_array(&rq->json, "resource_classes");
    while (rows_next(rows)) {
        write_class(&rq->json, rows_text(rows, 0));
        int64_t us = placement_moment(rows_text(rows, 1), rows_text(rows, 2));
        modified_us = us > modified_us ? us : modified_us;
    }
    json_end_array(&rq->json);
    json_end(&rq->json);
    placement_cache_headers(rq, modified_us);
    return rows_fault(rows);
}

#define ALL       "/resource_classes"
#define ONE       "/resource_classes/{name}"
#define RULE(name) "placement:resource_classes:" name
static const struct route rows_of_classes[] = {
    ROUTE(GET,    ALL, RULE("list"),   list_classes, .min_version = 2),
    ROUTE(POST,   ALL, RULE("create"), create_class, .min_version = 2),
    ROUTE(GET,    ONE, RULE("show"),   show_class,   .min_version = 2),
    ROUTE(PUT,    ONE, RULE("update"), rename_class, .min_version = 2, .max_version = 6),
    ROUTE(PUT,    ONE, RULE("update"), ensure_class, .min_version = 7, .flags = ANY_BODY),
    ROUTE(DELETE, ONE, RULE("delete"), delete_class, .min_version = 2),
};
const struct route_table placement_class_routes = ROUTES(rows_of_classes);
