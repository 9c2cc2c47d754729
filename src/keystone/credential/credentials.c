/* SPDX-License-Identifier: Apache-2.0
 *
 * /v3/credentials. API reference: Credentials, identity v3.
 */
#include "keystone/credential/credentials.h"

#include "keystone/entity.h"
#include "keystone/schemas.h"
#include "keystone/token/token.h"

#include "base/random.h"
#include "oslo/json.h"
#include "oslo/policy.h"

#include <string.h>
#include <strings.h>

#define PROPERTIES                                                                                                     \
    SCHEMA_PROPERTIES({ "blob", &schema_text }, { "project_id", &schema_text_or_null }, { "type", &schema_text },      \
        { "user_id", &schema_text })
static const struct schema type_ec2 = { .types = SCHEMA_STRING, .values = SCHEMA_WORDS("ec2") };
static const struct schema type_other = { .pattern = "^(?!ec2$)" };
static const struct schema of_ec2 = {
    .properties = SCHEMA_PROPERTIES({ "type", &type_ec2 }), .required = SCHEMA_WORDS("blob", "type", "user_id", "project_id") };
static const struct schema of_others = {
    .properties = SCHEMA_PROPERTIES({ "type", &type_other }), .required = SCHEMA_WORDS("blob", "type", "user_id") };
static const struct schema create_schema = {
    .types = SCHEMA_OBJECT, .properties = PROPERTIES, .one_of = SCHEMA_ANY(&of_ec2, &of_others) };
static const struct schema update_schema = { .types = SCHEMA_OBJECT, .properties = PROPERTIES, .min_properties = 1 };

/* ---- Showing ---- */

static void write_one(struct request *rq, const char *name, const struct credential *credential)
{
    struct json_writer *w = &rq->json;
    json_t *extra = json_parse_own(rq->cx.arena, credential->extra), *value;
    const char *member;

    json_begin(w, name);
    json_text(w, "id", credential->id);
    json_text(w, "user_id", credential->user_id);
    json_text(w, "project_id", credential->project_id);
    json_text(w, "type", credential->type);
    json_text(w, "blob", credential->blob);
    json_object_foreach(extra, member, value) {
        json_value(w, member, value);
    }
    json_begin(w, "links");
    json_text(w, "self", keystone_url(rq, arena_printf(rq->cx.arena, "/credentials/%s", credential->id)));
    json_end(w);
    json_end(w);
}

static void respond(struct request *rq, const struct credential *credential)
{
    json_begin(&rq->json, NULL);
    write_one(rq, "credential", credential);
    json_end(&rq->json);
}

static struct fault *find(struct request *rq, const char *id, struct credential **ret)
{
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(credential_find(tx, RQ(rq), id, ret));
    tx_end(tx);
    return NULL;
}

/* The credential of the path, the route's rule enforced with it. */
static struct fault *credential_of_path(struct request *rq, struct credential **ret)
{
    const char *id = request_argument(rq, "credential_id");

    TRY(find(rq, id, ret));
    if (*ret == NULL) {
        TRY(request_enforce(rq, rq->route->policy, NULL));
        return keystone_not_found(RQ(rq), "credential", id);
    }
    return request_enforce(rq, rq->route->policy, POLICY_TARGET({ "target.credential.user_id", (*ret)->user_id }));
}

static struct fault *credential_show(struct request *rq)
{
    struct credential *credential;

    TRY(credential_of_path(rq, &credential));
    respond(rq, credential);
    return NULL;
}

/* Only those that the caller might look at one by one. */
static struct fault *credential_list(struct request *rq)
{
    const struct caller *caller = rq->cx.caller;
    struct credential *found;
    struct tx *tx;
    size_t count;

    TRY(request_enforce(rq, rq->route->policy, caller->system_scope != NULL ? NULL :
        POLICY_TARGET({ "target.credential.user_id", caller->user_id })));
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(credentials_of(tx, RQ(rq), request_query(rq, "user_id"), request_query(rq, "type"), &found, &count));
    tx_end(tx);
    json_begin(&rq->json, NULL);
    json_begin_array(&rq->json, "credentials");
    for (size_t i = 0; i < count; i++)
        if (request_allowed(rq, "identity:get_credential",
                POLICY_TARGET({ "target.credential.user_id", found[i].user_id })))
            write_one(rq, NULL, &found[i]);
    keystone_collection_end(rq);
    return NULL;
}

/* ---- Changing ---- */

/* The object in an EC2 credential's blob. */
static struct fault *ec2_blob(struct request *rq, const json_t *document, json_t **ret)
{
    const char *text = json_text_at(document, "blob"), *why;

    *ret = text != NULL ? json_parse(rq->cx.arena, text, strlen(text), &why) : NULL;
    if (*ret == NULL)
        return keystone_invalid(RQ(rq), "Invalid blob in credential");
    if (!json_is_object(*ret) || json_object_size(*ret) == 0)
        return keystone_expecting(RQ(rq), "blob", "credential");
    if (json_text_at(*ret, "access") == NULL)
        return keystone_expecting(RQ(rq), "access", "credential");
    return NULL;
}

/* A token that was delegated makes credentials that give no more than itself. */
static bool bind_delegation(struct request *rq, json_t *blob)
{
    const struct token_claims *claims = &token_details(rq->cx.caller)->token->claims;
    const struct {
        const char *name, *value;
    } ties[] = { { "trust_id", claims->trust_id }, { "app_cred_id", claims->app_cred_id },
        { "access_token_id", claims->access_token_id } };
    bool bound = false;

    for (size_t i = 0; i < sizeof(ties) / sizeof(ties[0]); i++) {
        if (ties[i].value == NULL)
            continue;
        json_object_set_new(blob, ties[i].name, json_string(ties[i].value));
        bound = true;
    }
    return bound;
}

/* What a body has beyond the columns, as JSON. */
static const char *extra_of(struct arena *arena, const json_t *given)
{
    static const char *const known[] = { "id", "user_id", "project_id", "type", "blob", "links", "key_hash",
        "encrypted_blob" };
    json_t *extra = json_keep(arena, json_deep_copy(given));

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        json_object_del(extra, known[i]);
    return json_dump(arena, extra);
}

struct change {
    struct request *rq;
    const struct credential *credential;
    const char *sealed, *hash;
};

static struct fault *insert_run(struct tx *tx, void *argument)
{
    struct change *change = argument;

    TRY(tx_serialize_on(tx, "credentials", change->credential->user_id));
    return credential_insert(tx, RQ(change->rq), change->credential, change->sealed, change->hash);
}

static struct fault *credential_create(struct request *rq)
{
    struct change change = { .rq = rq };
    json_t *given, *blob;

    TRY(keystone_member(rq, "credential", &given));
    TRY(request_enforce(rq, rq->route->policy, POLICY_TARGET({ "target.credential.user_id", json_text_at(given, "user_id") })));
    TRY(keystone_check(rq, &create_schema, given));
    struct credential credential = {
        .user_id = json_text_at(given, "user_id"), .project_id = json_text_at(given, "project_id"),
        .type = json_text_at(given, "type"), .blob = json_text_at(given, "blob"), .extra = extra_of(rq->cx.arena, given) };
    if (strcasecmp(credential.type, "ec2") == 0) {
        TRY(ec2_blob(rq, given, &blob));
        credential.id = credential_access_id(rq->cx.arena, json_text_at(blob, "access"));
        if (bind_delegation(rq, blob))
            credential.blob = json_dump(rq->cx.arena, blob);
    } else {
        credential.id = uuid_new_hex(rq->cx.arena);
    }
    change.credential = &credential;
    TRY(credential_seal(RQ(rq), credential.type, credential.blob, &change.sealed, &change.hash));
    TRY(db_write(rq->cx.arena, rq->cx.app->db, insert_run, &change));
    rq->status = 201;
    respond(rq, &credential);
    return NULL;
}

static bool same_member(const json_t *one, const json_t *other, const char *name)
{
    const json_t *left = json_object_get(one, name), *right = json_object_get(other, name);

    return left == right || (left == NULL && json_is_null(right)) || (right == NULL && json_is_null(left)) ||
        (left != NULL && right != NULL && json_equal(left, right));
}

/* What an EC2 credential is tied to stays, and so does its project. */
static struct fault *check_ec2(struct request *rq, const struct credential *old, const json_t *given)
{
    static const char *const fixed[] = { "trust_id", "app_cred_id", "access_token_id", "access_id" };
    const char *type = json_text_at(given, "type");
    json_t *blob;

    if (strcasecmp(old->type, "ec2") == 0) {
        const json_t *old_blob = json_parse_own(rq->cx.arena, old->blob);
        TRY(ec2_blob(rq, given, &blob));
        for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
            if (!same_member(old_blob, blob, fixed[i]))
                return keystone_invalid(RQ(rq), "%s can not be updated for credential", fixed[i]);
    }
    if (type != NULL && strcasecmp(type, "ec2") == 0 && old->project_id == NULL &&
        json_text_at(given, "project_id") == NULL)
        return keystone_expecting(RQ(rq), "project_id", "credential");
    return NULL;
}

static struct fault *update_run(struct tx *tx, void *argument)
{
    const struct change *change = argument;
    const struct credential *to = change->credential;
    int64_t changed;

    TRY(sql_exec_changed(tx, "UPDATE credential SET user_id = ?, project_id = ?, type = ?, extra = ?, encrypted_blob = ?,"
        " key_hash = ? WHERE id = ?", BIND(TEXT(to->user_id), TEXT(to->project_id), TEXT(to->type), TEXT(to->extra),
            TEXT(change->sealed), TEXT(change->hash), TEXT(to->id)), &changed));
    return changed > 0 ? NULL : keystone_not_found(RQ(change->rq), "credential", to->id);
}

/* The old credential with the members of the body laid over it. */
static struct credential merged(struct arena *arena, const struct credential *old, const json_t *given)
{
    struct credential to = *old;
    json_t *extra = json_parse_own(arena, old->extra);

    if (json_object_get(given, "user_id") != NULL)
        to.user_id = json_text_at(given, "user_id");
    if (json_object_get(given, "project_id") != NULL)
        to.project_id = json_text_at(given, "project_id");
    if (json_object_get(given, "type") != NULL)
        to.type = json_text_at(given, "type");
    if (json_object_get(given, "blob") != NULL)
        to.blob = json_text_at(given, "blob");
    if (!json_is_object(extra))
        extra = json_keep(arena, json_object());
    json_object_update(extra, json_parse_own(arena, extra_of(arena, given)));
    to.extra = json_dump(arena, extra);
    return to;
}

static struct fault *credential_update(struct request *rq)
{
    struct change change = { .rq = rq };
    struct credential *old;
    json_t *given;

    TRY(credential_of_path(rq, &old));
    TRY(keystone_member(rq, "credential", &given));
    TRY(keystone_check(rq, &update_schema, given));
    TRY(check_ec2(rq, old, given));
    TRY(entity_same_id(rq, given, old->id));
    struct credential to = merged(rq->cx.arena, old, given);
    TRY(request_enforce(rq, rq->route->policy, POLICY_TARGET({ "target.credential.user_id", to.user_id })));
    change.credential = &to;
    TRY(credential_seal(RQ(rq), to.type, to.blob, &change.sealed, &change.hash));
    TRY(db_write(rq->cx.arena, rq->cx.app->db, update_run, &change));
    respond(rq, &to);
    return NULL;
}

static struct fault *credential_delete(struct request *rq)
{
    struct credential *credential;

    TRY(credential_of_path(rq, &credential));
    return credential_erase(RQ(rq), credential->id);
}

#define CREDENTIAL "/v3/credentials/{credential_id}"

static const struct route rows[] = {
    ROUTE(GET,    "/v3/credentials", "identity:list_credentials",  credential_list,   HANDLER_POLICY),
    ROUTE(POST,   "/v3/credentials", "identity:create_credential", credential_create, HANDLER_POLICY, .status = 201),
    ROUTE(GET,    CREDENTIAL,        "identity:get_credential",    credential_show,   HANDLER_POLICY),
    ROUTE(PATCH,  CREDENTIAL,        "identity:update_credential", credential_update, HANDLER_POLICY),
    ROUTE(DELETE, CREDENTIAL,        "identity:delete_credential", credential_delete, HANDLER_POLICY, .status = 204),
};

const struct route_table credential_routes = ROUTES(rows);
