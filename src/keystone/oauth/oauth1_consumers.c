/* SPDX-License-Identifier: Apache-2.0
 *
 * OS-OAUTH1: consumers, the programs that users may let act for them. API reference: OS-OAUTH1, identity v3.
 */
#include "keystone/entity.h"
#include "keystone/token/revocation.h"
#include "oslo/schema.h"

#include "base/random.h"

enum { LONGEST_DESCRIPTION = 64 }; /* of the column */

static const struct schema description = {
    .types = SCHEMA_STRING | SCHEMA_NULL, .max_length = LONGEST_DESCRIPTION };
static const struct schema create_schema = {
    .types = SCHEMA_OBJECT, .properties = SCHEMA_PROPERTIES({ "description", &description }) };
static const struct schema update_schema = {
    .types = SCHEMA_OBJECT, .properties = SCHEMA_PROPERTIES({ "description", &description }), .min_properties = 1 };

struct consumer {
    const char *id, *description, *secret, *extra;
};

static struct fault *find(struct tx *tx, struct context *cx, const char *id, struct consumer *ret)
{
    struct rows *rows;

    TRY(sql_query(tx, &rows, "SELECT id, description, secret, extra FROM consumer WHERE id = ?", BIND(TEXT(id))));
    if (!rows_next(rows))
        return FAULT(cx, 404, NULL, "Consumer not found");
    *ret = (struct consumer){ rows_text(rows, 0), rows_text(rows, 1), rows_text(rows, 2), rows_text(rows, 3) };
    rows_end(rows);
    return NULL;
}

static void write_one(struct request *rq, const char *name, const struct consumer *consumer, bool with_secret)
{
    json_t *extra = json_parse_own(rq->cx.arena, consumer->extra), *value;
    struct json_writer *w = &rq->json;
    const char *member;

    json_begin(w, name);
    json_text(w, "id", consumer->id);
    json_text(w, "description", consumer->description);
    if (with_secret)
        json_text(w, "secret", consumer->secret);
    json_object_foreach(extra, member, value) {
        json_value(w, member, value);
    }
    json_begin(w, "links");
    json_text(w, "self", keystone_url(rq, arena_printf(rq->cx.arena, "/OS-OAUTH1/consumers/%s", consumer->id)));
    json_end(w);
    json_end(w);
}

static void respond(struct request *rq, const struct consumer *consumer, bool with_secret)
{
    json_begin(&rq->json, NULL);
    write_one(rq, "consumer", consumer, with_secret);
    json_end(&rq->json);
}

static struct fault *consumer_list(struct request *rq)
{
    struct rows *rows;
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(sql_query(tx, &rows, "SELECT id, description, extra FROM consumer ORDER BY id", NO_BIND));
    json_begin(&rq->json, NULL);
    json_begin_array(&rq->json, "consumers");
    while (rows_next(rows))
        write_one(rq, NULL, &(struct consumer){ .id = rows_text(rows, 0), .description = rows_text(rows, 1),
            .extra = rows_text(rows, 2) }, false);
    TRY(rows_fault(rows));
    tx_end(tx);
    keystone_collection_end(rq);
    return NULL;
}

static struct fault *consumer_show(struct request *rq)
{
    struct consumer consumer;
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(find(tx, RQ(rq), request_argument(rq, "consumer_id"), &consumer));
    tx_end(tx);
    respond(rq, &consumer, false);
    return NULL;
}

/* What a body has beyond the columns, over what was kept before. */
static const char *extra_of(struct arena *arena, const char *old, const json_t *given)
{
    static const char *const known[] = { "id", "description", "secret", "links" };
    json_t *extra = json_parse_own(arena, old);

    if (!json_is_object(extra))
        extra = json_keep(arena, json_object());
    json_object_update(extra, (json_t *)given);
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        json_object_del(extra, known[i]);
    return json_dump(arena, extra);
}

static struct fault *consumer_create(struct request *rq)
{
    struct arena *arena = rq->cx.arena;
    json_t *given;

    TRY(keystone_member(rq, "consumer", &given));
    TRY(keystone_check(rq, &create_schema, given));
    const struct consumer consumer = { uuid_new_hex(arena), json_text_at(given, "description"), uuid_new_hex(arena),
        extra_of(arena, NULL, given) };
    TRY(db_exec(arena, rq->cx.app->db, "INSERT INTO consumer (id, description, secret, extra) VALUES (?, ?, ?, ?)",
        BIND(TEXT(consumer.id), TEXT(consumer.description), TEXT(consumer.secret), TEXT(consumer.extra)), NULL));
    rq->status = 201;
    respond(rq, &consumer, true);
    return NULL;
}

struct change {
    struct request *rq;
    const json_t *given;
    struct consumer consumer;
};

static struct fault *update_run(struct tx *tx, void *argument)
{
    struct change *change = argument;
    struct consumer *consumer = &change->consumer;

    TRY(find(tx, RQ(change->rq), request_argument(change->rq, "consumer_id"), consumer));
    if (json_object_get(change->given, "description") != NULL)
        consumer->description = json_text_at(change->given, "description");
    consumer->extra = extra_of(tx_arena(tx), consumer->extra, change->given);
    return sql_exec(tx, "UPDATE consumer SET description = ?, extra = ? WHERE id = ?",
        BIND(TEXT(consumer->description), TEXT(consumer->extra), TEXT(consumer->id)));
}

static struct fault *consumer_update(struct request *rq)
{
    struct change change = { .rq = rq };
    json_t *given;

    TRY(keystone_member(rq, "consumer", &given));
    TRY(keystone_check(rq, &update_schema, given));
    if (json_object_get(given, "secret") != NULL) {
        struct buf text = { 0 };
        python_repr(&text, given);
        struct fault *fault = keystone_invalid(RQ(rq), "%s should not be valid under {'required': ['secret']}", buf_text(&text));
        buf_release(&text);
        return fault;
    }
    TRY(entity_same_id(rq, given, request_argument(rq, "consumer_id")));
    change.given = given;
    TRY(db_write(rq->cx.arena, rq->cx.app->db, update_run, &change));
    respond(rq, &change.consumer, false);
    return NULL;
}

static struct fault *delete_run(struct tx *tx, void *argument)
{
    struct request *rq = argument;
    const char *id = request_argument(rq, "consumer_id");
    struct consumer consumer;

    TRY(tx_serialize(tx, "entities"));
    TRY(find(tx, RQ(rq), id, &consumer));
    TRY(sql_exec(tx, "DELETE FROM request_token WHERE consumer_id = ?", BIND(TEXT(id))));
    TRY(sql_exec(tx, "DELETE FROM access_token WHERE consumer_id = ?", BIND(TEXT(id))));
    TRY(sql_exec(tx, "DELETE FROM consumer WHERE id = ?", BIND(TEXT(id))));
    return revocation_write(tx, rq->cx.app->config, &(struct revocation){ .consumer_id = id });
}

static struct fault *consumer_delete(struct request *rq)
{
    TRY(db_write(rq->cx.arena, rq->cx.app->db, delete_run, rq));
    keystone_changed(RQ(rq));
    return NULL;
}

#define CONSUMER "/v3/OS-OAUTH1/consumers/{consumer_id}"

static const struct route rows[] = {
    ROUTE(GET,    "/v3/OS-OAUTH1/consumers", "identity:list_consumers",  consumer_list),
    ROUTE(POST,   "/v3/OS-OAUTH1/consumers", "identity:create_consumer", consumer_create, .status = 201),
    ROUTE(GET,    CONSUMER,                  "identity:get_consumer",    consumer_show),
    ROUTE(PATCH,  CONSUMER,                  "identity:update_consumer", consumer_update),
    ROUTE(DELETE, CONSUMER,                  "identity:delete_consumer", consumer_delete, .status = 204),
};

const struct route_table oauth1_consumer_routes = ROUTES(rows);
