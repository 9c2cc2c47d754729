/* SPDX-License-Identifier: Apache-2.0
 *
 * keypairs: the public keys of users: import, generate (to 2.91), list, show, delete. API reference: Keypairs.
 */
#include "nova/api/api.h"
#include "nova/api/keypair_crypto.h"
#include "nova/notify.h"
#include "nova/quota.h"

#include "base/clock.h"

#include <string.h>

enum { WITH_TYPE = 2, WITH_USER = 10, WITH_PAGES = 35, STRICT_QUERY = 75, IMPORT_ONLY = 92, LONGEST_KEY = 65535 };

struct key_row {
    int64_t id;
    const char *user_id, *name, *type, *fingerprint, *public_key;
    int64_t created_at;
};

#define COLUMNS "id,user_id,name,type,fingerprint,public_key,created_at"

static void read_key(struct rows *rows, struct key_row *ret)
{
    *ret = (struct key_row){ .id = rows_int(rows, 0), .user_id = rows_text(rows, 1), .name = rows_text(rows, 2),
        .type = rows_text(rows, 3), .fingerprint = rows_text(rows, 4), .public_key = rows_text(rows, 5),
        .created_at = rows_int(rows, 6) };
}

/* user_id of the query, which administrators may give from 2.10 on, else the caller's own. */
static struct fault *whose(struct request *rq, const char *rule, const char **ret)
{
    static const char *const one[] = { "user_id", NULL }, *const pages[] = { "user_id", "limit", "marker", NULL };
    bool list = strcmp(rule, "os_compute_api:os-keypairs:index") == 0;
    const char *asked = rq->version >= WITH_USER ? request_query(rq, "user_id") : NULL;

    TRY(api_query_check(rq, list ? pages : one, rq->version >= STRICT_QUERY));
    *ret = asked != NULL && *asked != '\0' ? asked : rq->cx.caller->user_id;
    return request_enforce(rq, rule, POLICY_TARGET({ "user_id", *ret }));
}

static void write_key(struct request *rq, const struct key_row *key)
{
    json_text(&rq->json, "name", key->name);
    json_text(&rq->json, "public_key", key->public_key);
    json_text(&rq->json, "fingerprint", key->fingerprint);
    if (rq->version >= WITH_TYPE)
        json_text(&rq->json, "type", key->type);
}

static struct fault *list_in(struct request *rq, struct tx *tx, const char *user_id)
{
    struct json_writer *w = &rq->json;
    int64_t limit = INT64_MAX, known, shown = 0;
    const char *marker = NULL, *last = NULL;
    struct rows *rows;
    struct key_row key;

    if (rq->version >= WITH_PAGES)
        TRY(api_paging(rq, &limit, &marker));
    if (marker != NULL) {
        TRY(sql_int_of(tx, &known, 0, "SELECT id FROM key_pairs WHERE user_id=? AND name=?",
            BIND(TEXT(user_id), TEXT(marker))));
        if (known == 0)
            return BAD_REQUEST(rq, "Marker %s could not be found.", marker);
    }
    TRY(sql_query(tx, &rows, "SELECT " COLUMNS " FROM key_pairs WHERE user_id=? AND (? IS NULL OR name>?) "
        "ORDER BY name LIMIT ?", BIND(TEXT(user_id), TEXT(marker), TEXT(marker), INT(limit))));
    json_begin(w, NULL);
    json_begin_array(w, "keypairs");
    while (rows_next(rows)) {
        read_key(rows, &key);
        json_begin(w, NULL);
        json_begin(w, "keypair");
        write_key(rq, &key);
        json_end(w);
        json_end(w);
        last = key.name;
        shown++;
    }
    json_end_array(w);
    if (shown > 0 && shown == limit)
        api_next_link(rq, "keypairs_links", "os-keypairs", last);
    json_end(w);
    return rows_fault(rows);
}

static struct fault *keypairs_index(struct request *rq)
{
    const char *user_id;
    struct tx *tx;

    TRY(whose(rq, "os_compute_api:os-keypairs:index", &user_id));
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    struct fault *fault = list_in(rq, tx, user_id);
    tx_end(tx);
    return fault;
}

static struct fault *not_found(struct request *rq, const char *user_id)
{
    return NOT_FOUND(rq, "Keypair %s not found for user %s", request_argument(rq, "name"), user_id);
}

static struct fault *keypairs_show(struct request *rq)
{
    struct json_writer *w = &rq->json;
    const char *user_id;
    struct tx *tx;
    struct rows *rows;
    struct key_row key;

    TRY(whose(rq, "os_compute_api:os-keypairs:show", &user_id));
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(sql_query(tx, &rows, "SELECT " COLUMNS " FROM key_pairs WHERE user_id=? AND name=?",
        BIND(TEXT(user_id), TEXT(request_argument(rq, "name")))));
    if (!rows_next(rows)) {
        TRY(rows_fault(rows));
        return not_found(rq, user_id);
    }
    read_key(rows, &key);
    tx_end(tx);
    json_begin(w, NULL);
    json_begin(w, "keypair");
    write_key(rq, &key);
    json_text(w, "user_id", key.user_id);
    json_text(w, "created_at", api_time_us(rq, key.created_at));
    json_null_member(w, "updated_at");
    json_bool(w, "deleted", false);
    json_null_member(w, "deleted_at");
    json_int(w, "id", key.id);
    json_end(w);
    json_end(w);
    return NULL;
}

/* keypair.ACTION.PHASE. What is not known yet is null. */
static void tell(struct request *rq, const struct key_row *key, const char *action, const char *phase)
{
    const char *event = arena_printf(rq->cx.arena, "keypair.%s.%s", action, phase);

    if (!notify_wanted(&rq->cx))
        return;
    notify_unversioned(&rq->cx, "api", NULL, event, NOTIFY_INFO, json_pack("{s:s?, s:s?, s:s}", "tenant_id",
        rq->cx.caller->project_id, "user_id", rq->cx.caller->user_id, "key_name", key->name));
    notify_api(&rq->cx, event, notify_object("KeypairPayload", "1.0", json_pack("{s:s, s:s, s:s?, s:s?, s:s}", "user_id",
        key->user_id, "name", key->name, "fingerprint", key->fingerprint, "public_key", key->public_key, "type", key->type)));
}

/* A key that is to go, for those who listen. */
static struct fault *find_going(struct request *rq, const char *user_id, struct key_row *ret)
{
    struct tx *tx;
    struct rows *rows;

    *ret = (struct key_row){ .name = NULL };
    if (!notify_wanted(&rq->cx))
        return NULL;
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(sql_query(tx, &rows, "SELECT " COLUMNS " FROM key_pairs WHERE user_id=? AND name=?",
        BIND(TEXT(user_id), TEXT(request_argument(rq, "name")))));
    if (rows_next(rows))
        read_key(rows, ret);
    struct fault *fault = rows_fault(rows);
    tx_end(tx);
    return fault;
}

static struct fault *keypairs_delete(struct request *rq)
{
    const char *user_id;
    int64_t changed;
    struct key_row going;

    TRY(whose(rq, "os_compute_api:os-keypairs:delete", &user_id));
    TRY(find_going(rq, user_id, &going));
    if (going.name != NULL)
        tell(rq, &going, "delete", "start");
    TRY(db_exec(rq->cx.arena, rq->cx.app->db, "DELETE FROM key_pairs WHERE user_id=? AND name=?",
        BIND(TEXT(user_id), TEXT(request_argument(rq, "name"))), &changed));
    if (changed == 0)
        return not_found(rq, user_id);
    if (going.name != NULL)
        tell(rq, &going, "delete", "end");
    return api_empty(rq, rq->version >= WITH_TYPE ? 204 : 202);
}

static const struct schema name_20 = { .types = SCHEMA_STRING, .min_length = 1, .max_length = 255,
    .format = "keypair_name_20" };
static const struct schema name_292 = { .types = SCHEMA_STRING, .min_length = 1, .max_length = 255,
    .format = "keypair_name_292" };
static const struct schema name_schema = { .all_of = SCHEMA_ANY(&nova_schema_name, &name_20) };
static const struct schema name_schema_92 = { .all_of = SCHEMA_ANY(&nova_schema_name, &name_292) };
static const struct schema key_schema = { .types = SCHEMA_STRING };
static const struct schema type_schema = { .types = SCHEMA_STRING, .values = SCHEMA_WORDS("ssh", "x509") };
static const struct schema user_schema = { .types = SCHEMA_STRING, .max_length = 255 };

static const struct schema create_1 = { .types = SCHEMA_OBJECT, .closed = true, .required = SCHEMA_WORDS("name"),
    .properties = SCHEMA_PROPERTIES({ "name", &name_schema }, { "public_key", &key_schema }) };
static const struct schema create_2 = { .types = SCHEMA_OBJECT, .closed = true, .required = SCHEMA_WORDS("name"),
    .properties = SCHEMA_PROPERTIES({ "name", &name_schema }, { "type", &type_schema },
        { "public_key", &key_schema }) };
static const struct schema create_10 = { .types = SCHEMA_OBJECT, .closed = true, .required = SCHEMA_WORDS("name"),
    .properties = SCHEMA_PROPERTIES({ "name", &name_schema }, { "type", &type_schema }, { "public_key", &key_schema },
        { "user_id", &user_schema }) };
static const struct schema create_92 = { .types = SCHEMA_OBJECT, .closed = true,
    .required = SCHEMA_WORDS("name", "public_key"),
    .properties = SCHEMA_PROPERTIES({ "name", &name_schema_92 }, { "type", &type_schema },
        { "public_key", &key_schema }, { "user_id", &user_schema }) };
static const struct schema body_1 = { .types = SCHEMA_OBJECT, .closed = true,
    .properties = SCHEMA_PROPERTIES({ "keypair", &create_1 }), .required = SCHEMA_WORDS("keypair") };
static const struct schema body_2 = { .types = SCHEMA_OBJECT, .closed = true,
    .properties = SCHEMA_PROPERTIES({ "keypair", &create_2 }), .required = SCHEMA_WORDS("keypair") };
static const struct schema body_10 = { .types = SCHEMA_OBJECT, .closed = true,
    .properties = SCHEMA_PROPERTIES({ "keypair", &create_10 }), .required = SCHEMA_WORDS("keypair") };
static const struct schema body_92 = { .types = SCHEMA_OBJECT, .closed = true,
    .properties = SCHEMA_PROPERTIES({ "keypair", &create_92 }), .required = SCHEMA_WORDS("keypair") };

struct creation {
    struct request *rq;
    struct key_row key;
};

/* As nova: the limit is the project's, what it counts are the keys of one user. */
static struct fault *check_quota(struct tx *tx, const struct creation *creation)
{
    const struct request *rq = creation->rq;
    int64_t limits[QUOTA_RESOURCES], used;

    TRY(quota_limits(tx, rq->cx.app->config, rq->cx.caller->project_id, rq->cx.caller->user_id, limits, NULL));
    TRY(sql_int_of(tx, &used, 0, "SELECT COUNT(*) FROM key_pairs WHERE user_id=?", BIND(TEXT(creation->key.user_id))));
    if (limits[QUOTA_KEY_PAIRS] >= 0 && used >= limits[QUOTA_KEY_PAIRS])
        return fault_new(tx_arena(tx), 403, NULL, "Quota exceeded, too many key pairs.");
    return NULL;
}

static struct fault *run_create(struct tx *tx, void *argument)
{
    struct creation *creation = argument;
    const struct key_row *key = &creation->key;
    int64_t clash;

    TRY(tx_serialize_on(tx, "key pairs", key->user_id));
    TRY(check_quota(tx, creation));
    TRY(sql_int_of(tx, &clash, 0, "SELECT id FROM key_pairs WHERE user_id=? AND name=?",
        BIND(TEXT(key->user_id), TEXT(key->name))));
    if (clash != 0)
        return fault_new(tx_arena(tx), 409, NULL, "Key pair '%s' already exists.", key->name);
    return sql_insert(tx, "INSERT INTO key_pairs(user_id,name,type,fingerprint,public_key,created_at) "
        "VALUES(?,?,?,?,?,?)",
        BIND(TEXT(key->user_id), TEXT(key->name), TEXT(key->type), TEXT(key->fingerprint), TEXT(key->public_key),
            INT(key->created_at)), &creation->key.id);
}

/* Fills in fingerprint and, when there is none, the public key; *ret_private stays NULL for an import. */
static struct fault *make_key(struct request *rq, struct key_row *key, const char **ret_private)
{
    bool ssh = strcmp(key->type, "ssh") == 0;
    struct arena *arena = rq->cx.arena;

    if (key->public_key == NULL)
        return ssh ? ssh_key_generate(arena, &key->public_key, &key->fingerprint, ret_private)
                   : x509_key_generate(arena, key->user_id, &key->public_key, &key->fingerprint, ret_private);
    if (strlen(key->public_key) > LONGEST_KEY)
        return BAD_REQUEST(rq, "Keypair data is invalid: failed to generate fingerprint");
    return ssh ? ssh_key_fingerprint(arena, key->public_key, &key->fingerprint)
               : x509_key_fingerprint(arena, key->public_key, &key->fingerprint);
}

static struct fault *quota_before(struct request *rq, const struct creation *creation)
{
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    struct fault *fault = check_quota(tx, creation);
    tx_end(tx);
    return fault;
}

static struct fault *keypairs_create(struct request *rq)
{
    struct json_writer *w = &rq->json;
    struct creation creation = { .rq = rq };
    const char *private_key = NULL;

    TRY(request_validate(rq, rq->version >= IMPORT_ONLY ? &body_92 : rq->version >= WITH_USER ? &body_10 :
        rq->version >= WITH_TYPE ? &body_2 : &body_1));
    const json_t *body = json_object_get(rq->body, "keypair");
    const char *type = json_text_at(body, "type"), *user_id = json_text_at(body, "user_id");
    creation.key = (struct key_row){ .name = json_text_at(body, "name"), .type = type != NULL ? type : "ssh",
        .public_key = json_text_at(body, "public_key"), .created_at = clock_now_us(),
        .user_id = user_id != NULL && *user_id != '\0' ? user_id : rq->cx.caller->user_id };
    TRY(request_enforce(rq, "os_compute_api:os-keypairs:create", POLICY_TARGET({ "user_id", creation.key.user_id })));
    TRY(quota_before(rq, &creation));
    const char *action = creation.key.public_key != NULL ? "import" : "create";
    tell(rq, &creation.key, action, "start");
    TRY(make_key(rq, &creation.key, &private_key));
    TRY(db_write(rq->cx.arena, rq->cx.app->db, run_create, &creation));
    tell(rq, &creation.key, action, "end");
    json_begin(w, NULL);
    json_begin(w, "keypair");
    write_key(rq, &creation.key);
    json_text(w, "user_id", creation.key.user_id);
    if (private_key != NULL)
        json_text(w, "private_key", private_key);
    json_end(w);
    json_end(w);
    rq->status = rq->version >= WITH_TYPE ? 201 : 200;
    return NULL;
}

static const struct route rows[] = {
    ROUTE(GET,    "/v2.1/os-keypairs",        "os_compute_api:os-keypairs:index",  keypairs_index,  HANDLER_POLICY),
    ROUTE(POST,   "/v2.1/os-keypairs",        "os_compute_api:os-keypairs:create", keypairs_create, HANDLER_POLICY,
        .flags = SLOW),
    ROUTE(GET,    "/v2.1/os-keypairs/{name}", "os_compute_api:os-keypairs:show",   keypairs_show,   HANDLER_POLICY),
    ROUTE(DELETE, "/v2.1/os-keypairs/{name}", "os_compute_api:os-keypairs:delete", keypairs_delete, HANDLER_POLICY),
};
const struct route_table nova_keypair_routes = ROUTES(rows);
