/* SPDX-License-Identifier: Apache-2.0
 *
 * identity providers: who may say that somebody is one of ours, the names under which they do (remote ids), and the domain
 * that their users are of. API reference: Identity providers, OS-FEDERATION, identity v3 extensions.
 */
#include "keystone/edit.h"
#include "keystone/federation/federation.h"
#include "keystone/resource/projects.h"
#include "keystone/schemas.h"

#include "base/random.h"

#include <string.h>

static const struct schema ttl_schema = { .types = SCHEMA_INTEGER | SCHEMA_NULL, .maximum = INT64_MAX };
static const struct schema remote_ids_schema = { .types = SCHEMA_ARRAY | SCHEMA_NULL, .items = &schema_text, .unique_items = true };
#define COMMON                                                                                                         \
    { "enabled", &schema_boolean }, { "description", &schema_text_or_null }, { "authorization_ttl", &ttl_schema },     \
        { "remote_ids", &remote_ids_schema }
static const struct schema create_schema = {
    .types = SCHEMA_OBJECT, .properties = SCHEMA_PROPERTIES(COMMON, { "domain_id", &schema_id_or_null }), .closed = true };
static const struct schema update_schema = {
    .types = SCHEMA_OBJECT, .properties = SCHEMA_PROPERTIES(COMMON), .min_properties = 1, .closed = true };

/* ---- Showing ---- */

static void write_idp(struct request *rq, const char *member, const json_t *idp)
{
    const char *self = keystone_url(rq, arena_printf(rq->cx.arena, "/%s/%s", idp_entity.path, json_text_at(idp, "id")));
    struct json_writer *w = &rq->json;
    const char *name;
    json_t *value;

    json_begin(w, member);
    json_object_foreach((json_t *)idp, name, value)
        json_value(w, name, value);
    json_begin(w, "links");
    json_text(w, "self", self);
    json_textf(w, "protocols", "%s/protocols", self);
    json_end(w);
    json_end(w);
}

static void respond(struct request *rq, const json_t *idp)
{
    json_begin(&rq->json, NULL);
    write_idp(rq, "identity_provider", idp);
    json_end(&rq->json);
}

/* The remote ids of all, in one query: {"idp": [...]}. */
static struct fault *read_remote_ids(struct tx *tx, json_t **ret)
{
    struct rows *rows;

    *ret = json_keep(tx_arena(tx), json_object());
    TRY(sql_query(tx, &rows, "SELECT idp_id, remote_id FROM idp_remote_ids ORDER BY idp_id, remote_id", NO_BIND));
    while (rows_next(rows)) {
        json_t *list = json_object_get(*ret, rows_text(rows, 0));
        if (list == NULL) {
            list = json_array();
            json_object_set_new(*ret, rows_text(rows, 0), list);
        }
        json_array_append_new(list, json_string(rows_text(rows, 1)));
    }
    return rows_fault(rows);
}

static bool id_matches(const struct request *rq, const char *id)
{
    for (const struct header *query = rq->query; query != NULL; query = query->next)
        if (strncmp(query->name, "id__", 4) == 0 && !keystone_text_matches(id, query->name + 4, query->value))
            return false;
    return true;
}

static struct fault *write_all(struct request *rq, struct tx *tx)
{
    const char *id = request_query(rq, "id"), *enabled = request_query(rq, "enabled");
    json_t *remote_ids;
    struct rows *rows;

    TRY(read_remote_ids(tx, &remote_ids));
    TRY(sql_query(tx, &rows, "SELECT id, domain_id, enabled, description, authorization_ttl FROM identity_provider"
        " WHERE (id = ? OR ? = 1) AND (enabled = ? OR ? = 1) ORDER BY id",
        BIND(TEXT(id), INT(id == NULL), INT(enabled != NULL && keystone_truth(enabled)), INT(enabled == NULL))));
    while (rows_next(rows)) {
        if (!id_matches(rq, rows_text(rows, 0)))
            continue;
        json_t *idp = json_keep(rq->cx.arena, json_object()), *its = json_object_get(remote_ids, rows_text(rows, 0));
        json_object_set_new(idp, "id", json_string(rows_text(rows, 0)));
        json_object_set_new(idp, "domain_id", json_string(rows_text(rows, 1)));
        json_object_set_new(idp, "enabled", json_boolean(rows_int(rows, 2) != 0));
        json_object_set_new(idp, "description", rows_null(rows, 3) ? json_null() : json_string(rows_text(rows, 3)));
        json_object_set_new(idp, "authorization_ttl", rows_null(rows, 4) ? json_null() : json_integer(rows_int(rows, 4)));
        json_object_set_new(idp, "remote_ids", its != NULL ? json_incref(its) : json_array());
        write_idp(rq, NULL, idp);
    }
    return rows_fault(rows);
}

static struct fault *idp_list(struct request *rq)
{
    struct json_writer *w = &rq->json;
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    json_begin(w, NULL);
    json_begin_array(w, "identity_providers");
    TRY(write_all(rq, tx));
    tx_end(tx);
    keystone_collection_end(rq);
    return NULL;
}

static struct fault *idp_show(struct request *rq)
{
    const char *id = request_argument(rq, "idp_id");
    json_t *idp;
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(idp_load(tx, id, &idp));
    tx_end(tx);
    if (idp == NULL)
        return entity_missing(RQ(rq), &idp_entity, id);
    respond(rq, idp);
    return NULL;
}

/* ---- Changing ---- */

/* What the body's member asks for, checked and done; *ret is what is stored then. */
static struct fault *change(struct request *rq, const char *member, const struct schema *schema, const char *id,
    struct fault *(*run)(struct tx *tx, void *edit), const json_t **ret)
{
    json_t *given;

    TRY(keystone_member(rq, member, &given));
    TRY(keystone_check(rq, schema, given));
    struct edit edit = { .rq = rq, .entity = &idp_entity, .id = id, .given = given };
    TRY(edit_commit(&edit, run, false));
    *ret = edit.document;
    return NULL;
}

/* Users of a provider that names no domain are of one that is made for it. */
static struct fault *settle_domain(struct tx *tx, struct context *cx, json_t *idp)
{
    const char *domain_id = json_text_at(idp, "domain_id");

    if (domain_id != NULL && domain_id[0] != '\0')
        return domain_need(tx, cx, domain_id);
    json_t *made = json_keep(tx_arena(tx), json_object());
    const char *id = uuid_new_hex(tx_arena(tx));
    json_object_set_new(made, "id", json_string(id));
    json_object_set_new(made, "name", json_string(id));
    json_object_set_new(made, "description", json_string(arena_printf(tx_arena(tx),
        "Auto generated federated domain for Identity Provider: %s", json_text_at(idp, "id"))));
    json_object_set_new(made, "is_domain", json_true());
    project_defaults(made);
    json_object_set_new(idp, "domain_id", json_string(id));
    return project_create(tx, cx, made);
}

static struct fault *create_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;
    json_t *idp = json_keep(tx_arena(tx), json_deep_copy(edit->given)), *present;

    TRY(idp_load(tx, edit->id, &present));
    if (present != NULL)
        return keystone_conflict(RQ(edit->rq), "identity_provider", "Duplicate entry: %s", edit->id);
    json_object_set_new(idp, "id", json_string(edit->id));
    TRY(settle_domain(tx, RQ(edit->rq), idp));
    TRY(entity_insert(tx, &idp_entity, idp));
    TRY(idp_store_remote_ids(tx, RQ(edit->rq), edit->id, json_object_get(idp, "remote_ids")));
    TRY(idp_load(tx, edit->id, &present));
    edit->document = present;
    return NULL;
}

static struct fault *idp_create(struct request *rq)
{
    const json_t *idp;

    TRY(keystone_check_id(RQ(rq), request_argument(rq, "idp_id")));
    TRY(change(rq, "identity_provider", &create_schema, request_argument(rq, "idp_id"), create_run, &idp));
    respond(rq, idp);
    rq->status = 201;
    return NULL;
}

static struct fault *update_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;
    const json_t *remote_ids = json_object_get(edit->given, "remote_ids");
    json_t *stored;

    TRY(edit_merge(tx, edit, &stored));
    TRY(entity_store(tx, &idp_entity, edit->id, edit->document));
    if (remote_ids != NULL)
        TRY(idp_store_remote_ids(tx, RQ(edit->rq), edit->id, remote_ids));
    TRY(idp_load(tx, edit->id, &stored));
    edit->document = stored;
    return NULL;
}

static struct fault *idp_update(struct request *rq)
{
    const json_t *idp;

    TRY(change(rq, "identity_provider", &update_schema, request_argument(rq, "idp_id"), update_run, &idp));
    respond(rq, idp);
    return NULL;
}

static struct fault *delete_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;
    json_t *present;

    TRY(idp_load(tx, edit->id, &present));
    if (present == NULL)
        return entity_missing(RQ(edit->rq), &idp_entity, edit->id);
    return idp_erase(tx, edit->id);
}

static struct fault *idp_delete(struct request *rq)
{
    return edit_commit(&(struct edit){ .rq = rq, .entity = &idp_entity, .id = request_argument(rq, "idp_id") }, delete_run,
        false);
}

/* ---- Protocols ---- */

static const struct schema mapping_id_schema = {
    .types = SCHEMA_STRING, .min_length = 1, .max_length = 64, .pattern = "^[a-zA-Z0-9-_]+$" };
static const struct schema attribute_schema = { .types = SCHEMA_STRING, .max_length = 64 };
#define PROTOCOL_PROPERTIES SCHEMA_PROPERTIES({ "mapping_id", &mapping_id_schema }, { "remote_id_attribute", &attribute_schema })
static const struct schema protocol_create_schema = {
    .types = SCHEMA_OBJECT, .properties = PROTOCOL_PROPERTIES, .required = SCHEMA_WORDS("mapping_id"), .closed = true };
static const struct schema protocol_update_schema = {
    .types = SCHEMA_OBJECT, .properties = PROTOCOL_PROPERTIES, .min_properties = 1, .closed = true };

struct fault *protocol_missing(struct context *cx, const char *idp_id, const char *protocol_id)
{
    return FAULT(cx, 404, NULL, "Could not find federated protocol %s for Identity Provider: %s.", protocol_id, idp_id);
}

static json_t *protocol_read(struct tx *tx, struct rows *rows)
{
    json_t *protocol = json_keep(tx_arena(tx), json_object());

    json_object_set_new(protocol, "id", json_string(rows_text(rows, 0)));
    json_object_set_new(protocol, "idp_id", json_string(rows_text(rows, 1)));
    json_object_set_new(protocol, "mapping_id", json_string(rows_text(rows, 2)));
    json_object_set_new(protocol, "remote_id_attribute", rows_null(rows, 3) ? json_null() : json_string(rows_text(rows, 3)));
    return protocol;
}

#define PROTOCOL "SELECT id, idp_id, mapping_id, remote_id_attribute FROM federation_protocol WHERE idp_id = ?"

struct fault *protocol_load(struct tx *tx, const char *idp_id, const char *protocol_id, json_t **ret)
{
    struct rows *rows;

    *ret = NULL;
    TRY(sql_query(tx, &rows, PROTOCOL " AND id = ?", BIND(TEXT(idp_id), TEXT(protocol_id))));
    if (rows_next(rows)) {
        *ret = protocol_read(tx, rows);
        rows_end(rows);
        return NULL;
    }
    return rows_fault(rows);
}

/* As the reference: of a list all members are shown, of one only id and mapping; the links are its own. */
static void write_protocol(struct request *rq, const char *member, const json_t *protocol)
{
    const char *id = json_text_at(protocol, "id"), *idp_id = json_text_at(protocol, "idp_id");
    struct json_writer *w = &rq->json;

    json_begin(w, member);
    json_text(w, "id", id);
    json_text(w, "mapping_id", json_text_at(protocol, "mapping_id"));
    if (member == NULL) {
        json_text(w, "idp_id", idp_id);
        json_text(w, "remote_id_attribute", json_text_at(protocol, "remote_id_attribute"));
    }
    json_begin(w, "links");
    json_text(w, "self", keystone_url(rq, arena_printf(rq->cx.arena, "/protocols/%s", id)));
    json_text(w, "identity_provider", keystone_url(rq, arena_printf(rq->cx.arena, "/%s", idp_id)));
    json_end(w);
    json_end(w);
}

static void protocol_respond(struct request *rq, const json_t *protocol)
{
    json_begin(&rq->json, NULL);
    write_protocol(rq, "protocol", protocol);
    json_end(&rq->json);
}

static struct fault *protocol_list(struct request *rq)
{
    struct json_writer *w = &rq->json;
    struct rows *rows;
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    json_begin(w, NULL);
    json_begin_array(w, "protocols");
    TRY(sql_query(tx, &rows, PROTOCOL " ORDER BY id", BIND(TEXT(request_argument(rq, "idp_id")))));
    while (rows_next(rows))
        write_protocol(rq, NULL, protocol_read(tx, rows));
    TRY(rows_fault(rows));
    tx_end(tx);
    keystone_collection_end(rq);
    return NULL;
}

static struct fault *protocol_show(struct request *rq)
{
    const char *idp_id = request_argument(rq, "idp_id"), *id = request_argument(rq, "protocol_id");
    json_t *protocol;
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(protocol_load(tx, idp_id, id, &protocol));
    tx_end(tx);
    if (protocol == NULL)
        return protocol_missing(RQ(rq), idp_id, id);
    protocol_respond(rq, protocol);
    return NULL;
}

static struct fault *check_mapping(struct tx *tx, struct context *cx, const json_t *given)
{
    const char *id = json_text_at(given, "mapping_id"), *found;

    TRY(sql_text_of(tx, &found, "SELECT id FROM mapping WHERE id = ?", BIND(TEXT(id))));
    return found != NULL ? NULL : keystone_invalid(cx, "Invalid mapping id: %s", id != NULL ? id : "None");
}

static struct fault *protocol_create_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;
    const char *idp_id = request_argument(edit->rq, "idp_id");
    json_t *idp, *present;

    TRY(check_mapping(tx, RQ(edit->rq), edit->given));
    TRY(idp_load(tx, idp_id, &idp));
    if (idp == NULL)
        return entity_missing(RQ(edit->rq), &idp_entity, idp_id);
    TRY(protocol_load(tx, idp_id, edit->id, &present));
    if (present != NULL)
        return keystone_conflict(RQ(edit->rq), "federation_protocol", "Duplicate entry found with ID %s", edit->id);
    TRY(sql_exec(tx, "INSERT INTO federation_protocol (id, idp_id, mapping_id, remote_id_attribute) VALUES (?, ?, ?, ?)",
        BIND(TEXT(edit->id), TEXT(idp_id), TEXT(json_text_at(edit->given, "mapping_id")),
            TEXT(json_text_at(edit->given, "remote_id_attribute")))));
    TRY(protocol_load(tx, idp_id, edit->id, &present));
    edit->document = present;
    return NULL;
}

static struct fault *protocol_create(struct request *rq)
{
    const json_t *protocol;

    TRY(keystone_check_id(RQ(rq), request_argument(rq, "protocol_id")));
    TRY(change(rq, "protocol", &protocol_create_schema, request_argument(rq, "protocol_id"), protocol_create_run, &protocol));
    protocol_respond(rq, protocol);
    rq->status = 201;
    return NULL;
}

static struct fault *protocol_update_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;
    const char *idp_id = request_argument(edit->rq, "idp_id"), *mapping_id = json_text_at(edit->given, "mapping_id");
    const char *attribute = json_text_at(edit->given, "remote_id_attribute");
    json_t *protocol;

    TRY(check_mapping(tx, RQ(edit->rq), edit->given));
    TRY(protocol_load(tx, idp_id, edit->id, &protocol));
    if (protocol == NULL)
        return protocol_missing(RQ(edit->rq), idp_id, edit->id);
    TRY(sql_exec(tx, "UPDATE federation_protocol SET mapping_id = ?, remote_id_attribute = ? WHERE id = ? AND idp_id = ?",
        BIND(TEXT(mapping_id != NULL ? mapping_id : json_text_at(protocol, "mapping_id")),
            TEXT(attribute != NULL ? attribute : json_text_at(protocol, "remote_id_attribute")), TEXT(edit->id), TEXT(idp_id))));
    TRY(protocol_load(tx, idp_id, edit->id, &protocol));
    edit->document = protocol;
    return NULL;
}

static struct fault *protocol_update(struct request *rq)
{
    const json_t *protocol;

    TRY(change(rq, "protocol", &protocol_update_schema, request_argument(rq, "protocol_id"), protocol_update_run, &protocol));
    protocol_respond(rq, protocol);
    return NULL;
}

static struct fault *protocol_delete_run(struct tx *tx, void *argument)
{
    struct edit *edit = argument;
    const char *idp_id = request_argument(edit->rq, "idp_id");
    json_t *protocol;

    TRY(protocol_load(tx, idp_id, edit->id, &protocol));
    if (protocol == NULL)
        return protocol_missing(RQ(edit->rq), idp_id, edit->id);
    TRY(sql_exec(tx, "DELETE FROM federated_user WHERE idp_id = ? AND protocol_id = ?", BIND(TEXT(idp_id), TEXT(edit->id))));
    return sql_exec(tx, "DELETE FROM federation_protocol WHERE idp_id = ? AND id = ?", BIND(TEXT(idp_id), TEXT(edit->id)));
}

static struct fault *protocol_delete(struct request *rq)
{
    return edit_commit(&(struct edit){ .rq = rq, .entity = &idp_entity, .id = request_argument(rq, "protocol_id") },
        protocol_delete_run, false);
}

#define ALL       "/v3/OS-FEDERATION/identity_providers"
#define ONE       ALL "/{idp_id}"
#define PROTOCOLS ONE "/protocols"
#define HIS       PROTOCOLS "/{protocol_id}"

static const struct route rows[] = {
    ROUTE(GET,    ALL,       "identity:list_identity_providers",  idp_list),
    ROUTE(GET,    ONE,       "identity:get_identity_provider",    idp_show),
    ROUTE(PUT,    ONE,       "identity:create_identity_provider", idp_create, .status = 201),
    ROUTE(PATCH,  ONE,       "identity:update_identity_provider", idp_update),
    ROUTE(DELETE, ONE,       "identity:delete_identity_provider", idp_delete, .status = 204),
    ROUTE(GET,    PROTOCOLS, "identity:list_protocols",           protocol_list),
    ROUTE(GET,    HIS,       "identity:get_protocol",             protocol_show),
    ROUTE(PUT,    HIS,       "identity:create_protocol",          protocol_create, .status = 201),
    ROUTE(PATCH,  HIS,       "identity:update_protocol",          protocol_update),
    ROUTE(DELETE, HIS,       "identity:delete_protocol",          protocol_delete, .status = 204),
};

const struct route_table identity_provider_routes = ROUTES(rows);
