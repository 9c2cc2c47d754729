/* SPDX-License-Identifier: Apache-2.0
 *
 * aggregates: groups of hosts with metadata; one that names an availability_zone makes the zone. API
 * reference: Host aggregates.
 *
 * Placement has a copy of which hosts are in which aggregate, by the aggregate's UUID, for the scheduler's requests.
 */
#include "nova/api/api.h"
#include "nova/notify.h"
#include "nova/rpcapi.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "oslo/messaging.h"
#include "oslo/rest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { WITH_UUID = 41, WITH_IMAGES = 81, PLACEMENT_TRIES = 4 };

static void write_members(struct request *rq, const struct aggregate *aggregate, bool created)
{
    struct json_writer *w = &rq->json;

    json_int(w, "id", aggregate->id);
    if (rq->version >= WITH_UUID)
        json_text(w, "uuid", aggregate->uuid);
    json_text(w, "name", aggregate->name);
    json_text(w, "availability_zone", json_text_at(aggregate->metadata, "availability_zone"));
    if (!created) {
        json_value(w, "hosts", aggregate->hosts);
        json_value(w, "metadata", aggregate->metadata);
    }
    json_text(w, "created_at", api_time_us(rq, aggregate->created_at));
    json_text(w, "updated_at", api_time_us(rq, aggregate->updated_at));
    json_bool(w, "deleted", false);
    json_null_member(w, "deleted_at");
}

static struct fault *answer(struct request *rq, const struct aggregate *aggregate, bool created)
{
    json_begin(&rq->json, NULL);
    json_begin(&rq->json, "aggregate");
    write_members(rq, aggregate, created);
    json_end(&rq->json);
    json_end(&rq->json);
    return NULL;
}

static struct fault *aggregates_index(struct request *rq)
{
    struct tx *tx;
    struct aggregate *list;
    size_t count;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(aggregate_list(tx, &list, &count));
    tx_end(tx);
    json_begin(&rq->json, NULL);
    json_begin_array(&rq->json, "aggregates");
    for (size_t i = 0; i < count; i++) {
        json_begin(&rq->json, NULL);
        write_members(rq, &list[i], false);
        json_end(&rq->json);
    }
    json_end_array(&rq->json);
    json_end(&rq->json);
    return NULL;
}

/* The path's id; 400 when it is no number. A number beyond every id is one that no row has. */
static struct fault *path_id(struct request *rq, int64_t *ret)
{
    const char *text = request_argument(rq, "id");
    char *end;

    errno = 0;
    long long id = strtoll(text, &end, 10);
    if (end == text || *end != '\0')
        return BAD_REQUEST(rq, "Invalid input received: id must be an integer");
    *ret = errno == ERANGE ? 0 : id;
    return NULL;
}

/* All aggregates, for their zones, and the one that is meant. */
struct found {
    struct aggregate *all;
    size_t count;
    struct aggregate *one;
};

static struct fault *find(struct tx *tx, int64_t id, const char *text, struct found *ret)
{
    TRY(aggregate_list(tx, &ret->all, &ret->count));
    for (size_t i = 0; i < ret->count; i++)
        if (ret->all[i].id == id) {
            ret->one = &ret->all[i];
            return NULL;
        }
    return fault_new(tx_arena(tx), 404, NULL, "Aggregate %s could not be found.", text);
}

static struct fault *aggregates_show(struct request *rq)
{
    int64_t id;
    struct tx *tx;
    struct found found;

    TRY(path_id(rq, &id));
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(find(tx, id, request_argument(rq, "id"), &found));
    tx_end(tx);
    return answer(rq, found.one, false);
}

/* ---- one change of one aggregate ---- */

enum action { UPDATE, SET_METADATA, ADD_HOST, REMOVE_HOST, DELETE_AGGREGATE };

struct change {
    enum action action;
    int64_t id;
    const char *id_text;     /* as the path has it */
    const char *name;        /* UPDATE: NULL keeps it */
    const json_t *metadata;  /* UPDATE, SET_METADATA: members to set; null takes away. NULL: none */
    const char *host;        /* ADD_HOST, REMOVE_HOST */
    struct aggregate before, result; /* after apply(); one that was deleted is both */
    const char *provider;    /* of the host, in placement; NULL: it has no compute node yet */
};

static size_t host_index(const json_t *hosts, const char *host)
{
    size_t index = 0;

    while (index < json_array_size(hosts) && strcmp(json_string_value(json_array_get(hosts, index)), host) != 0)
        index++;
    return index;
}

static bool has_host(const json_t *hosts, const char *host)
{
    return host_index(hosts, host) < json_array_size(hosts);
}

static struct fault *unsafe(struct tx *tx, const struct change *change, const char *reason)
{
    static const char *const words[] = { [UPDATE] = "update aggregate", [SET_METADATA] = "update metadata of aggregate",
        [ADD_HOST] = "add host to aggregate" };

    return fault_new(tx_arena(tx), change->action == ADD_HOST ? 409 : 400, NULL, "Cannot %s %lld. Reason: %s.",
        words[change->action], (long long)change->id, reason);
}

/* Zones other than this one that the hosts are in already, through other aggregates. */
static json_t *other_zones(struct tx *tx, const struct found *found, const json_t *hosts, const char *zone)
{
    json_t *zones = json_keep(tx_arena(tx), json_array()), *host;
    size_t index;

    for (size_t i = 0; i < found->count; i++) {
        const struct aggregate *other = &found->all[i];
        const char *its = json_text_at(other->metadata, "availability_zone");
        bool shared = false;

        if (other == found->one || its == NULL || strcmp(its, zone) == 0)
            continue;
        json_array_foreach(hosts, index, host)
            shared = shared || has_host(other->hosts, json_string_value(host));
        if (shared)
            json_array_append_new(zones, json_string(its));
    }
    return zones;
}

static struct fault *check_empty_of_servers(struct tx *tx, const struct change *change, const json_t *hosts)
{
    size_t index;
    json_t *host;
    int64_t servers;

    json_array_foreach(hosts, index, host) {
        TRY(sql_int_of(tx, &servers, 0, "SELECT COUNT(*) FROM instances WHERE host=? AND deleted=0",
            BIND(TEXT(json_string_value(host)))));
        if (servers > 0)
            return unsafe(tx, change, "One or more hosts contain instances in this zone");
    }
    return NULL;
}

/* As nova's is_safe_to_update_az: a host is in one zone at most, and a zone changes only while its hosts have
 * no servers. */
static struct fault *check_zone(struct tx *tx, const struct change *change, const struct found *found,
    const json_t *hosts, const json_t *metadata)
{
    const json_t *wanted = json_object_get(metadata, "availability_zone");
    const char *zone = json_string_value(wanted), *now = json_text_at(found->one->metadata, "availability_zone");

    if (wanted == NULL)
        return NULL;
    if (zone == NULL || *zone == '\0')
        return unsafe(tx, change, arena_printf(tx_arena(tx),
            "Aggregate %s does not support empty named availability zone", found->one->name));
    json_t *others = other_zones(tx, found, hosts, zone);
    if (json_array_size(others) > 0) {
        BUF_CLEANUP struct buf text = { 0 };

        python_repr(&text, others);
        return unsafe(tx, change, arena_printf(tx_arena(tx), "One or more hosts already in availability zone(s) %s",
            buf_text(&text)));
    }
    if (change->action == ADD_HOST || (now != NULL && strcmp(now, zone) == 0))
        return NULL;
    return check_empty_of_servers(tx, change, hosts);
}

static struct fault *change_metadata(struct tx *tx, const struct change *change, const struct found *found)
{
    struct aggregate *aggregate = found->one;
    const char *key;
    json_t *value;
    int64_t clash;

    if (change->name != NULL) {
        TRY(sql_int_of(tx, &clash, 0, "SELECT id FROM aggregates WHERE name=? AND id<>?",
            BIND(TEXT(change->name), INT(change->id))));
        if (clash != 0)
            return fault_new(tx_arena(tx), 409, NULL, "Aggregate %s already exists.", change->name);
        aggregate->name = change->name;
    }
    TRY(check_zone(tx, change, found, aggregate->hosts, change->metadata));
    json_object_foreach((json_t *)change->metadata, key, value) {
        if (json_is_null(value))
            json_object_del(aggregate->metadata, key);
        else
            json_object_set(aggregate->metadata, key, value);
    }
    aggregate->updated_at = clock_now_us();
    return NULL;
}

static struct fault *change_host(struct tx *tx, struct change *change, const struct found *found)
{
    struct aggregate *aggregate = found->one;
    size_t index = host_index(aggregate->hosts, change->host);

    TRY(sql_text_of(tx, &change->provider, "SELECT uuid FROM compute_nodes WHERE host=? ORDER BY id",
        BIND(TEXT(change->host))));
    if (change->action == REMOVE_HOST) {
        if (json_array_remove(aggregate->hosts, index) != 0)
            return fault_new(tx_arena(tx), 404, NULL, "Aggregate %lld has no host %s.", (long long)change->id,
                change->host);
        return NULL;
    }
    json_t *hosts = json_keep(tx_arena(tx), json_pack("[s]", change->host));
    TRY(check_zone(tx, change, found, hosts, aggregate->metadata));
    if (index < json_array_size(aggregate->hosts))
        return fault_new(tx_arena(tx), 409, NULL, "Aggregate %lld already has host %s.", (long long)change->id,
            change->host);
    json_array_append_new(aggregate->hosts, json_string(change->host));
    return NULL;
}

static struct fault *find_host(struct tx *tx, const char *host)
{
    struct service_row *services;
    size_t count;

    /* The database may compare without case; nova does not. */
    TRY(service_list(tx, host, "nova-compute", &services, &count));
    if (count == 0 || strcmp(services[0].host, host) != 0)
        return fault_new(tx_arena(tx), 404, NULL, "Compute host %s could not be found.", host);
    return NULL;
}

static struct fault *delete_row(struct tx *tx, const struct change *change, const struct found *found)
{
    if (json_array_size(found->one->hosts) > 0)
        return fault_new(tx_arena(tx), 400, NULL,
            "Cannot remove host from aggregate %lld. Reason: Host aggregate is not empty.", (long long)change->id);
    return sql_exec(tx, "DELETE FROM aggregates WHERE id=?", BIND(INT(change->id)));
}

static struct fault *run_change(struct tx *tx, void *argument)
{
    struct change *change = argument;
    struct found found;

    TRY(tx_serialize(tx, "aggregates"));
    if (change->host != NULL)
        TRY(find_host(tx, change->host));
    TRY(find(tx, change->id, change->id_text, &found));
    change->before = change->result = *found.one;
    change->before.hosts = json_keep(tx_arena(tx), json_deep_copy(found.one->hosts));
    change->before.metadata = json_keep(tx_arena(tx), json_deep_copy(found.one->metadata));
    if (change->action == DELETE_AGGREGATE)
        return delete_row(tx, change, &found);
    TRY(change->host != NULL ? change_host(tx, change, &found) : change_metadata(tx, change, &found));
    change->result = *found.one;
    return sql_exec(tx, "UPDATE aggregates SET name=?,hosts=?,metadata=?,updated_at=? WHERE id=?",
        BIND(TEXT(found.one->name), TEXT(json_dump(tx_arena(tx), found.one->hosts)),
            TEXT(json_dump(tx_arena(tx), found.one->metadata)), INT(found.one->updated_at), INT(change->id)));
}

/* The data of an AggregatePayload; a new reference. */
static json_t *told(const struct aggregate *a)
{
    return json_pack("{s:s?, s:s?, s:O, s:o, s:o}", "uuid", a->uuid, "name", a->name, "metadata", a->metadata, "hosts",
        a->hosts != NULL ? json_incref(a->hosts) : a->id != 0 ? json_array() : json_null(), "id",
        a->id != 0 ? json_integer(a->id) : json_null());
}

/* aggregate.ACTION.PHASE; the older form has other words and says only what changes. `more` is released. */
static void tell(struct request *rq, const struct aggregate *a, const char *action, const char *phase, json_t *more)
{
    struct context *cx = &rq->cx;
    const char *who = a->id != 0 ? arena_printf(cx->arena, "%lld", (long long)a->id) : a->name, *word = action;
    static const char *const older[][2] = { { "add_host", "addhost" }, { "remove_host", "removehost" },
        { "update_prop", "updateprop" }, { "update_metadata", "updatemetadata" } };

    json_keep(cx->arena, more);
    if (!notify_wanted(cx))
        return;
    for (size_t i = 0; i < sizeof(older) / sizeof(older[0]); i++)
        word = strcmp(action, older[i][0]) == 0 ? older[i][1] : word;
    json_t *payload = more != NULL ? json_copy(more) : json_object();
    if (a->id != 0)
        json_object_set_new(payload, "aggregate_id", json_integer(a->id));
    notify_unversioned(cx, "aggregate", who, arena_printf(cx->arena, "aggregate.%s.%s", word, phase), NOTIFY_INFO, payload);
    notify_api(cx, arena_printf(cx->arena, "aggregate.%s.%s", action, phase), notify_object("AggregatePayload", "1.1", told(a)));
}

static void tell_both(struct request *rq, const struct change *change)
{
    static const char *const words[] = { [ADD_HOST] = "add_host", [REMOVE_HOST] = "remove_host", [SET_METADATA] = "update_metadata",
        [UPDATE] = "update_prop", [DELETE_AGGREGATE] = "delete" };
    json_t *more = change->host != NULL ? json_pack("{s:s}", "host_name", change->host)
        : change->metadata != NULL ? json_pack("{s:O}", "meta_data", change->metadata) : json_object();

    json_incref(more);
    tell(rq, &change->before, words[change->action], "start", more);
    tell(rq, &change->result, words[change->action], "end", more);
}

static struct fault *apply(struct request *rq, struct change *change)
{
    change->id_text = request_argument(rq, "id");
    TRY(path_id(rq, &change->id));
    TRY(db_write(rq->cx.arena, rq->cx.app->db, run_change, change));
    tell_both(rq, change);
    return NULL;
}

/* ---- placement's copy ---- */

/* Reads the provider's aggregates, changes them and writes them back. A provider that placement does not know has
 * none. */
static struct fault *placement_try(struct request *rq, const struct change *change)
{
    const char *path = arena_printf(rq->cx.arena, "/resource_providers/%s/aggregates", change->provider);
    struct rest_response now, done;
    size_t index;

    TRY(rest_call(RQ(rq), &(struct rest){ .service = "placement", .method = GET, .path = path, .as = AS_SERVICE,
        .version = "placement 1.19", .accept_status = 404 }, &now));
    json_t *list = json_object_get(now.body, "aggregates");
    if (now.status == 404 || !json_is_array(list))
        return NULL;
    index = host_index(list, change->result.uuid);
    if ((index < json_array_size(list)) == (change->action == ADD_HOST))
        return NULL;
    if (change->action == ADD_HOST)
        json_array_append_new(list, json_string(change->result.uuid));
    else
        json_array_remove(list, index);
    return rest_call(RQ(rq), &(struct rest){ .service = "placement", .method = PUT, .path = path, .body = now.body,
        .as = AS_SERVICE, .version = "placement 1.19" }, &done);
}

/* As nova: the copy's failure is the operator's to hear of, not the user's; the database is what holds. */
static void tell_placement(struct request *rq, const struct change *change)
{
    struct fault *fault = NULL;

    if (change->provider == NULL)
        return;
    for (int i = 0; i < PLACEMENT_TRIES; i++) {
        fault = placement_try(rq, change);
        if (fault == NULL || fault->status != 409)
            break;
    }
    if (fault != NULL)
        log_warning("nova.aggregates",
            "The aggregates of provider %s in placement were not changed for aggregate %s: %s",
            change->provider, change->result.uuid, fault_text(rq->cx.arena, fault));
}

/* ---- create, update, delete ---- */

static const struct schema zone_name = { .types = SCHEMA_STRING, .min_length = 1, .max_length = 255,
    .format = "az_name" };
static const struct schema zone_schema = { .one_of = SCHEMA_ANY(&zone_name, &nova_schema_null) };
static const struct schema loose_name = { .types = SCHEMA_STRING, .min_length = 1, .max_length = 255,
    .format = "name_with_leading_trailing_spaces" };
static const struct schema create_schema = { .types = SCHEMA_OBJECT, .closed = true, .required = SCHEMA_WORDS("name"),
    .properties = SCHEMA_PROPERTIES({ "name", &nova_schema_name }, { "availability_zone", &zone_schema }) };
static const struct schema with_name = { .required = SCHEMA_WORDS("name") };
static const struct schema with_zone = { .required = SCHEMA_WORDS("availability_zone") };
static const struct schema update_schema = { .types = SCHEMA_OBJECT, .closed = true,
    .any_of = SCHEMA_ANY(&with_name, &with_zone),
    .properties = SCHEMA_PROPERTIES({ "name", &loose_name }, { "availability_zone", &zone_schema }) };
static const struct schema create_body = { .types = SCHEMA_OBJECT, .closed = true,
    .properties = SCHEMA_PROPERTIES({ "aggregate", &create_schema }), .required = SCHEMA_WORDS("aggregate") };
static const struct schema update_body = { .types = SCHEMA_OBJECT, .closed = true,
    .properties = SCHEMA_PROPERTIES({ "aggregate", &update_schema }), .required = SCHEMA_WORDS("aggregate") };

static struct fault *run_create(struct tx *tx, void *argument)
{
    struct aggregate *aggregate = argument;
    int64_t clash;

    TRY(tx_serialize(tx, "aggregates"));
    TRY(sql_int_of(tx, &clash, 0, "SELECT id FROM aggregates WHERE name=?", BIND(TEXT(aggregate->name))));
    if (clash != 0)
        return fault_new(tx_arena(tx), 409, NULL, "Aggregate %s already exists.", aggregate->name);
    return sql_insert(tx, "INSERT INTO aggregates(uuid,name,hosts,metadata,created_at,updated_at) "
        "VALUES(?,?,'[]',?,?,0)",
        BIND(TEXT(aggregate->uuid), TEXT(aggregate->name), TEXT(json_dump(tx_arena(tx), aggregate->metadata)),
            INT(aggregate->created_at)), &aggregate->id);
}

static struct fault *aggregates_create(struct request *rq)
{
    TRY(request_validate(rq, &create_body));
    const char *zone = json_text_at(rq->body, "aggregate.availability_zone");
    struct aggregate aggregate = { .uuid = uuid_new(rq->cx.arena), .name = json_text_at(rq->body, "aggregate.name"),
        .metadata = json_keep(rq->cx.arena, json_object()), .created_at = clock_now_us() };

    if (zone != NULL)
        json_object_set_new(aggregate.metadata, "availability_zone", json_string(zone));
    TRY(db_write(rq->cx.arena, rq->cx.app->db, run_create, &aggregate));
    struct aggregate before = { .uuid = aggregate.uuid, .name = aggregate.name, .metadata = aggregate.metadata };
    json_t *more = json_pack("{s:s, s:O}", "name", aggregate.name, "meta_data", aggregate.metadata);
    tell(rq, &before, "create", "start", json_incref(more));
    tell(rq, &aggregate, "create", "end", more);
    return answer(rq, &aggregate, true);
}

/* Without the blanks around it, as nova stores it. */
static const char *stripped(struct request *rq, const char *text)
{
    if (text == NULL)
        return NULL;
    text += strspn(text, " \t");
    size_t length = strlen(text);
    while (length > 0 && (text[length - 1] == ' ' || text[length - 1] == '\t'))
        length--;
    return arena_strndup(rq->cx.arena, text, length);
}

static struct fault *aggregates_update(struct request *rq)
{
    struct change change = { .action = UPDATE };

    TRY(request_validate(rq, &update_body));
    json_t *body = json_object_get(rq->body, "aggregate");
    change.name = stripped(rq, json_text_at(body, "name"));
    json_object_del(body, "name");
    change.metadata = body;
    TRY(apply(rq, &change));
    return answer(rq, &change.result, false);
}

static struct fault *aggregates_delete(struct request *rq)
{
    TRY(apply(rq, &(struct change){ .action = DELETE_AGGREGATE }));
    return api_empty(rq, 200);
}

/* ---- actions ---- */

static const struct schema host_name = { .types = SCHEMA_STRING, .min_length = 1, .max_length = 255,
    .pattern = "^[a-zA-Z0-9-._]*$" };
static const struct schema host_schema = { .types = SCHEMA_OBJECT, .closed = true, .required = SCHEMA_WORDS("host"),
    .properties = SCHEMA_PROPERTIES({ "host", &host_name }) };
static const struct schema metadata_value = { .types = SCHEMA_STRING | SCHEMA_NULL, .max_length = 255 };
static const struct schema metadata_schema = { .types = SCHEMA_OBJECT, .closed = true,
    .patterns = SCHEMA_PROPERTIES({ "^[a-zA-Z0-9-_:. ]{1,255}$", &metadata_value }) };
static const struct schema set_metadata_schema = { .types = SCHEMA_OBJECT, .closed = true,
    .properties = SCHEMA_PROPERTIES({ "metadata", &metadata_schema }), .required = SCHEMA_WORDS("metadata") };
static const struct schema add_host_body = { .types = SCHEMA_OBJECT, .closed = true,
    .properties = SCHEMA_PROPERTIES({ "add_host", &host_schema }), .required = SCHEMA_WORDS("add_host") };
static const struct schema remove_host_body = { .types = SCHEMA_OBJECT, .closed = true,
    .properties = SCHEMA_PROPERTIES({ "remove_host", &host_schema }), .required = SCHEMA_WORDS("remove_host") };
static const struct schema set_metadata_body = { .types = SCHEMA_OBJECT, .closed = true,
    .properties = SCHEMA_PROPERTIES({ "set_metadata", &set_metadata_schema }),
    .required = SCHEMA_WORDS("set_metadata") };

static struct fault *add_host(struct request *rq)
{
    struct change change = { .action = ADD_HOST };

    TRY(request_enforce(rq, "os_compute_api:os-aggregates:add_host", NULL));
    TRY(request_validate(rq, &add_host_body));
    change.host = json_text_at(rq->body, "add_host.host");
    TRY(apply(rq, &change));
    tell_placement(rq, &change);
    return answer(rq, &change.result, false);
}

static struct fault *remove_host(struct request *rq)
{
    struct change change = { .action = REMOVE_HOST };

    TRY(request_enforce(rq, "os_compute_api:os-aggregates:remove_host", NULL));
    TRY(request_validate(rq, &remove_host_body));
    change.host = json_text_at(rq->body, "remove_host.host");
    struct fault *fault = apply(rq, &change);
    if (fault != NULL && fault->status == 404)
        return fault_because(NOT_FOUND(rq, "Cannot remove host %s in aggregate %s", change.host, change.id_text),
            fault);
    TRY(fault);
    tell_placement(rq, &change);
    return answer(rq, &change.result, false);
}

static struct fault *set_metadata(struct request *rq)
{
    struct change change = { .action = SET_METADATA };

    TRY(request_enforce(rq, "os_compute_api:os-aggregates:set_metadata", NULL));
    TRY(request_validate(rq, &set_metadata_body));
    change.metadata = json_at(rq->body, "set_metadata.metadata");
    TRY(apply(rq, &change));
    return answer(rq, &change.result, false);
}

static struct fault *aggregates_action(struct request *rq)
{
    static const struct {
        const char *name;
        struct fault *(*run)(struct request *rq);
    } actions[] = { { "add_host", add_host }, { "remove_host", remove_host }, { "set_metadata", set_metadata } };

    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
        if (json_object_get(rq->body, actions[i].name) != NULL)
            return actions[i].run(rq);
    return BAD_REQUEST(rq, "There is no such action: %s",
        json_object_size(rq->body) > 0 ? json_object_iter_key(json_object_iter(rq->body)) : "None");
}

/* ---- images ---- */

static const struct schema cached_image = { .types = SCHEMA_OBJECT, .closed = true, .required = SCHEMA_WORDS("id"),
    .properties = SCHEMA_PROPERTIES({ "id", &nova_schema_uuid }) };
static const struct schema cached_images = { .types = SCHEMA_ARRAY, .min_items = 1, .items = &cached_image };
static const struct schema images_body = { .types = SCHEMA_OBJECT, .closed = true, .required = SCHEMA_WORDS("cache"),
    .properties = SCHEMA_PROPERTIES({ "cache", &cached_images }) };

static struct fault *aggregates_images(struct request *rq)
{
    int64_t id;
    struct tx *tx;
    struct found found;
    json_t *ids = json_keep(rq->cx.arena, json_array()), *once = json_keep(rq->cx.arena, json_object());
    TRY(request_validate(rq, &images_body));
    TRY(path_id(rq, &id));
    const json_t *list = json_object_get(rq->body, "cache");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *image = json_text_at(json_array_get(list, i), "id");
        json_array_append_new(ids, json_string(image));
        json_object_set_new(once, image, json_true());
    }
    if (json_object_size(once) != json_array_size(ids))
        return BAD_REQUEST(rq, "Duplicate images in request");
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(find(tx, id, request_argument(rq, "id"), &found));
    tx_end(tx);
    TRY(rpc_cast(RQ(rq), &(struct rpc_target){ TOPIC_CONDUCTOR, NULL, CONDUCTOR_VERSION }, RPC_CACHE_IMAGES,
        json_keep(rq->cx.arena, json_pack("{s:o, s:O}", "aggregate", told(found.one), "image_ids", ids))));
    return api_empty(rq, 202);
}

static const struct route rows[] = {
    ROUTE(POST,   "/v2.1/os-aggregates/{id}/images", "compute:aggregates:images", aggregates_images,
        .min_version = WITH_IMAGES, .flags = SLOW),
    ROUTE(GET,    "/v2.1/os-aggregates",             "os_compute_api:os-aggregates:index",    aggregates_index),
    ROUTE(POST,   "/v2.1/os-aggregates",             "os_compute_api:os-aggregates:create",   aggregates_create),
    ROUTE(GET,    "/v2.1/os-aggregates/{id}",        "os_compute_api:os-aggregates:show",     aggregates_show),
    ROUTE(PUT,    "/v2.1/os-aggregates/{id}",        "os_compute_api:os-aggregates:update",   aggregates_update),
    ROUTE(DELETE, "/v2.1/os-aggregates/{id}",        "os_compute_api:os-aggregates:delete",   aggregates_delete),
    ROUTE(POST,   "/v2.1/os-aggregates/{id}/action", "os_compute_api:os-aggregates:add_host", aggregates_action,
        HANDLER_POLICY, .flags = SLOW),
};
const struct route_table nova_aggregate_routes = ROUTES(rows);
