/* SPDX-License-Identifier: Apache-2.0
 *
 * aggregates: groups of hosts, and the availability zones that their metadata names. API reference: Host aggregates.
 */
#include "nova/api.h"

#include "base/clock.h"
#include "base/random.h"

#include <stdlib.h>
#include <string.h>

static void write_aggregate(struct request *rq, const struct aggregate *a, const char *name)
{
    struct json_writer *w = &rq->json;

    json_begin(w, name);
    json_int(w, "id", a->id);
    if (rq->version >= 41)
        json_text(w, "uuid", a->uuid);
    json_text(w, "name", a->name);
    json_text(w, "availability_zone", json_text_at(a->metadata, "availability_zone"));
    json_value(w, "hosts", a->hosts);
    json_value(w, "metadata", a->metadata);
    json_text(w, "created_at", api_time_us(rq, a->created_at));
    json_text(w, "updated_at", a->updated_at == a->created_at ? NULL : api_time_us(rq, a->updated_at));
    json_bool(w, "deleted", false);
    json_null_member(w, "deleted_at");
    json_end(w);
}

static struct fault *answer(struct request *rq, const struct aggregate *aggregate)
{
    json_begin(&rq->json, NULL);
    write_aggregate(rq, aggregate, "aggregate");
    json_end(&rq->json);
    return NULL;
}

static struct fault *aggregates_index(struct request *rq)
{
    struct aggregate *list;
    size_t count;
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(aggregate_list(tx, &list, &count));
    json_begin(&rq->json, NULL);
    json_begin_array(&rq->json, "aggregates");
    for (size_t i = 0; i < count; i++)
        write_aggregate(rq, &list[i], NULL);
    json_end_array(&rq->json);
    json_end(&rq->json);
    tx_end(tx);
    return NULL;
}

/* One change of one aggregate, checked against all others in the same transaction. */
struct change {
    struct request *rq;
    struct aggregate now;
    const char *name, *zone, *add, *remove;
    const json_t *metadata;
    bool create, erase, zone_given;
};

static struct fault *find(struct tx *tx, struct change *c, struct aggregate **ret_all, size_t *ret_count)
{
    const char *id = request_argument(c->rq, "id");

    TRY(aggregate_list(tx, ret_all, ret_count));
    for (size_t i = 0; i < *ret_count; i++)
        if (strcmp(arena_printf(tx_arena(tx), "%lld", (long long)(*ret_all)[i].id), id) == 0) {
            c->now = (*ret_all)[i];
            return NULL;
        }
    return fault_new(tx_arena(tx), 404, NULL, "Aggregate %s could not be found.", id);
}

static size_t position(const json_t *hosts, const char *host)
{
    size_t i = 0;

    while (i < json_array_size(hosts) && strcmp(json_string_value(json_array_get(hosts, i)), host) != 0)
        i++;
    return i;
}

/* A host is in one zone only. */
static struct fault *check_zone(struct tx *tx, const struct change *c, const struct aggregate *all, size_t count, const char *host,
    const char *zone)
{
    for (size_t i = 0; i < count && zone != NULL; i++) {
        const char *other = json_text_at(all[i].metadata, "availability_zone");

        if (all[i].id != c->now.id && other != NULL && strcmp(other, zone) != 0 && position(all[i].hosts, host) < json_array_size(all[i].hosts))
            return fault_new(tx_arena(tx), 409, NULL, "Cannot %s aggregate %lld. Reason: One or more hosts already in availability "
                "zone(s) ['%s'].", c->add != NULL ? "add_host_to_aggregate" : "update aggregate", (long long)c->now.id, other);
    }
    return NULL;
}

static struct fault *change_hosts(struct tx *tx, struct change *c, const struct aggregate *all, size_t count)
{
    const char *host = c->add != NULL ? c->add : c->remove;
    size_t at = position(c->now.hosts, host), known_count;
    struct service_row *known;

    TRY(service_list(tx, host, "nova-compute", &known, &known_count));
    if (known_count == 0)
        return fault_new(tx_arena(tx), 404, NULL, "Compute host %s could not be found.", host);
    if (c->remove != NULL) {
        if (json_array_remove(c->now.hosts, at) != 0)
            return fault_new(tx_arena(tx), 404, NULL, "Aggregate %lld has no host %s.", (long long)c->now.id, host);
        return NULL;
    }
    if (at < json_array_size(c->now.hosts))
        return fault_new(tx_arena(tx), 409, NULL, "Aggregate %lld already has host %s.", (long long)c->now.id, host);
    TRY(check_zone(tx, c, all, count, host, json_text_at(c->now.metadata, "availability_zone")));
    json_array_append_new(c->now.hosts, json_string(host));
    return NULL;
}

static struct fault *change_metadata(struct tx *tx, struct change *c, const struct aggregate *all, size_t count)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)c->metadata, name, value)
    {
        if (json_is_null(value))
            json_object_del(c->now.metadata, name);
        else
            json_object_set(c->now.metadata, name, value);
    }
    if (c->zone_given && c->zone == NULL)
        json_object_del(c->now.metadata, "availability_zone");
    else if (c->zone_given)
        json_object_set_new(c->now.metadata, "availability_zone", json_string(c->zone));
    for (size_t i = 0; i < json_array_size(c->now.hosts); i++)
        TRY(check_zone(tx, c, all, count, json_string_value(json_array_get(c->now.hosts, i)),
            json_text_at(c->now.metadata, "availability_zone")));
    return NULL;
}

static struct fault *run_create(struct tx *tx, struct change *c)
{
    json_t *metadata = json_keep(tx_arena(tx), json_object());

    if (c->zone != NULL)
        json_object_set_new(metadata, "availability_zone", json_string(c->zone));
    c->now = (struct aggregate){ .uuid = uuid_new(tx_arena(tx)), .name = c->name, .hosts = json_keep(tx_arena(tx), json_array()),
        .metadata = metadata, .created_at = clock_now_us() };
    c->now.updated_at = c->now.created_at;
    return sql_insert(tx, "INSERT INTO aggregates(uuid,name,hosts,metadata,created_at,updated_at) VALUES(?,?,'[]',?,?,?)",
        BIND(TEXT(c->now.uuid), TEXT(c->name), TEXT(json_dump(tx_arena(tx), metadata)), INT(c->now.created_at),
            INT(c->now.created_at)), &c->now.id);
}

static struct fault *run_change(struct tx *tx, void *argument)
{
    struct change *c = argument;
    struct aggregate *all;
    size_t count;

    if (c->create)
        return run_create(tx, c);
    TRY(find(tx, c, &all, &count));
    if (c->erase && json_array_size(c->now.hosts) > 0)
        return fault_new(tx_arena(tx), 400, NULL, "Cannot delete aggregate %lld. Reason: Host aggregate is not empty.",
            (long long)c->now.id);
    if (c->erase)
        return sql_exec(tx, "DELETE FROM aggregates WHERE id=?", BIND(INT(c->now.id)));
    if (c->add != NULL || c->remove != NULL)
        TRY(change_hosts(tx, c, all, count));
    if (c->metadata != NULL || c->zone_given)
        TRY(change_metadata(tx, c, all, count));
    if (c->name != NULL)
        c->now.name = c->name;
    c->now.updated_at = clock_now_us();
    return sql_exec(tx, "UPDATE aggregates SET name=?,hosts=?,metadata=?,updated_at=? WHERE id=?",
        BIND(TEXT(c->now.name), TEXT(json_dump(tx_arena(tx), c->now.hosts)), TEXT(json_dump(tx_arena(tx), c->now.metadata)),
            INT(c->now.updated_at), INT(c->now.id)));
}

static struct fault *apply(struct request *rq, struct change *c)
{
    struct fault *fault = db_write(rq->cx.arena, rq->cx.app->db, run_change, c);

    if (fault != NULL && fault->code == SQL_DUPLICATE)
        return CONFLICT(rq, "Aggregate %s already exists.", c->name);
    return fault;
}

static const struct schema zone = { .types = SCHEMA_STRING | SCHEMA_NULL, .min_length = 1, .max_length = 255 };
static const struct schema create_schema = { .types = SCHEMA_OBJECT, .closed = true, .required = SCHEMA_WORDS("name"),
    .properties = SCHEMA_PROPERTIES({ "name", &nova_schema_name }, { "availability_zone", &zone }) };
static const struct schema create_body = { .types = SCHEMA_OBJECT, .closed = true, .required = SCHEMA_WORDS("aggregate"),
    .properties = SCHEMA_PROPERTIES({ "aggregate", &create_schema }) };
static const struct schema update_schema = { .types = SCHEMA_OBJECT, .closed = true, .min_properties = 1,
    .properties = SCHEMA_PROPERTIES({ "name", &nova_schema_name }, { "availability_zone", &zone }) };
static const struct schema update_body = { .types = SCHEMA_OBJECT, .closed = true, .required = SCHEMA_WORDS("aggregate"),
    .properties = SCHEMA_PROPERTIES({ "aggregate", &update_schema }) };
static const struct schema host_schema = { .types = SCHEMA_OBJECT, .closed = true, .required = SCHEMA_WORDS("host"),
    .properties = SCHEMA_PROPERTIES({ "host", &nova_schema_text255 }) };
static const struct schema value = { .types = SCHEMA_STRING | SCHEMA_NULL, .max_length = 255 };
static const struct schema values = { .types = SCHEMA_OBJECT, .closed = true,
    .patterns = SCHEMA_PROPERTIES({ "^[a-zA-Z0-9-_:. ]{1,255}$", &value }) };
static const struct schema metadata_schema = { .types = SCHEMA_OBJECT, .closed = true, .required = SCHEMA_WORDS("metadata"),
    .properties = SCHEMA_PROPERTIES({ "metadata", &values }) };
#define ACTION_BODY(name_, schema_) { .types = SCHEMA_OBJECT, .closed = true, .required = SCHEMA_WORDS(name_),            \
    .properties = SCHEMA_PROPERTIES({ name_, &(schema_) }) }
static const struct schema add_body = ACTION_BODY("add_host", host_schema);
static const struct schema remove_body = ACTION_BODY("remove_host", host_schema);
static const struct schema metadata_body = ACTION_BODY("set_metadata", metadata_schema);

static struct fault *aggregates_create(struct request *rq)
{
    struct change c = { .rq = rq, .create = true };

    TRY(request_validate(rq, &create_body));
    c.name = json_text_at(rq->body, "aggregate.name");
    c.zone = json_text_at(rq->body, "aggregate.availability_zone");
    TRY(apply(rq, &c));
    return answer(rq, &c.now);
}

static struct fault *aggregates_show(struct request *rq)
{
    struct change c = { .rq = rq };
    struct aggregate *all;
    size_t count;
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    struct fault *fault = find(tx, &c, &all, &count);
    tx_end(tx);
    TRY(fault);
    return answer(rq, &c.now);
}

static struct fault *aggregates_update(struct request *rq)
{
    struct change c = { .rq = rq };

    TRY(request_validate(rq, &update_body));
    const json_t *body = json_object_get(rq->body, "aggregate");
    c.name = json_text_at(body, "name");
    c.zone = json_text_at(body, "availability_zone");
    c.zone_given = json_object_get(body, "availability_zone") != NULL;
    TRY(apply(rq, &c));
    return answer(rq, &c.now);
}

static struct fault *aggregates_delete(struct request *rq)
{
    struct change c = { .rq = rq, .erase = true };

    TRY(apply(rq, &c));
    return api_empty(rq, 200);
}

static struct fault *aggregates_action(struct request *rq)
{
    struct change c = { .rq = rq };

    if (json_object_get(rq->body, "add_host") != NULL) {
        TRY(request_enforce(rq, "os_compute_api:os-aggregates:add_host", NULL));
        TRY(request_validate(rq, &add_body));
        c.add = json_text_at(rq->body, "add_host.host");
    } else if (json_object_get(rq->body, "remove_host") != NULL) {
        TRY(request_enforce(rq, "os_compute_api:os-aggregates:remove_host", NULL));
        TRY(request_validate(rq, &remove_body));
        c.remove = json_text_at(rq->body, "remove_host.host");
    } else if (json_object_get(rq->body, "set_metadata") != NULL) {
        TRY(request_enforce(rq, "os_compute_api:os-aggregates:set_metadata", NULL));
        TRY(request_validate(rq, &metadata_body));
        c.metadata = json_at(rq->body, "set_metadata.metadata");
    } else {
        return BAD_REQUEST(rq, "There is no such action: %s",
            json_object_size(rq->body) > 0 ? json_object_iter_key(json_object_iter(rq->body)) : "None");
    }
    TRY(apply(rq, &c));
    return answer(rq, &c.now);
}

#define A "os_compute_api:os-aggregates:"
static const struct route rows[] = {
    ROUTE(GET,    "/v2.1/os-aggregates",             A "index",    aggregates_index),
    ROUTE(POST,   "/v2.1/os-aggregates",             A "create",   aggregates_create),
    ROUTE(GET,    "/v2.1/os-aggregates/{id}",        A "show",     aggregates_show),
    ROUTE(PUT,    "/v2.1/os-aggregates/{id}",        A "update",   aggregates_update),
    ROUTE(DELETE, "/v2.1/os-aggregates/{id}",        A "delete",   aggregates_delete),
    ROUTE(POST,   "/v2.1/os-aggregates/{id}/action", A "add_host", aggregates_action, HANDLER_POLICY),
};
const struct route_table nova_aggregate_routes = ROUTES(rows);
