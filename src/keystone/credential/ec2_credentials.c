/* SPDX-License-Identifier: Apache-2.0
 *
 * OS-EC2: a user's pairs of access key and secret. API reference: OS-EC2, identity v3. They are credentials of type ec2.
 */
#include "keystone/application_credential/application_credentials.h"
#include "keystone/credential/credentials.h"

#include "base/random.h"
#include "oslo/json.h"
#include "oslo/policy.h"

#include <string.h>

static void write_one(struct request *rq, const char *name, const struct credential *credential)
{
    const json_t *blob = json_parse_own(rq->cx.arena, credential->blob);
    const char *access = json_text_at(blob, "access");
    struct json_writer *w = &rq->json;

    json_begin(w, name);
    json_text(w, "user_id", credential->user_id);
    json_text(w, "tenant_id", credential->project_id);
    json_text(w, "access", access);
    json_text(w, "secret", json_text_at(blob, "secret"));
    json_text(w, "trust_id", json_text_at(blob, "trust_id"));
    json_begin(w, "links");
    json_text(w, "self", keystone_url(rq, arena_printf(rq->cx.arena, "/users/%s/credentials/OS-EC2/%s", credential->user_id,
        access != NULL ? access : "")));
    json_end(w);
    json_end(w);
}

static void respond(struct request *rq, const struct credential *credential)
{
    json_begin(&rq->json, NULL);
    write_one(rq, "credential", credential);
    json_end(&rq->json);
}

static struct fault *check_user(struct request *rq, struct tx *tx)
{
    const char *id = request_argument(rq, "user_id");
    struct user *user;

    TRY(user_find(tx, id, &user));
    return user != NULL ? NULL : keystone_not_found(RQ(rq), "user", id);
}

/* By its access key: 404 before the rule, as in the reference. */
static struct fault *credential_of_path(struct request *rq, struct credential **ret)
{
    const char *id = credential_access_id(rq->cx.arena, request_argument(rq, "credential_id"));
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(credential_find(tx, RQ(rq), id, ret));
    if (*ret == NULL)
        return keystone_not_found(RQ(rq), "credential", id);
    TRY(request_enforce(rq, rq->route->policy, POLICY_TARGET({ "user_id", request_argument(rq, "user_id") },
        { "target.credential.user_id", (*ret)->user_id })));
    TRY(check_user(rq, tx));
    tx_end(tx);
    if (strcmp((*ret)->type, "ec2") != 0)
        return keystone_unauthorized(RQ(rq), "EC2 access key not found.");
    return NULL;
}

static struct fault *credential_show(struct request *rq)
{
    struct credential *credential;

    TRY(credential_of_path(rq, &credential));
    respond(rq, credential);
    return NULL;
}

static struct fault *credential_list(struct request *rq)
{
    const char *user_id = request_argument(rq, "user_id");
    struct credential *found;
    struct tx *tx;
    size_t count;

    TRY(request_enforce(rq, rq->route->policy, POLICY_TARGET({ "user_id", user_id })));
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(check_user(rq, tx));
    TRY(credentials_of(tx, RQ(rq), user_id, "ec2", &found, &count));
    tx_end(tx);
    json_begin(&rq->json, NULL);
    json_begin_array(&rq->json, "credentials");
    for (size_t i = 0; i < count; i++)
        write_one(rq, NULL, &found[i]);
    keystone_collection_end(rq);
    return NULL;
}

struct creation {
    struct request *rq;
    struct credential credential;
    const char *sealed, *hash;
};

static struct fault *create_run(struct tx *tx, void *argument)
{
    struct creation *creation = argument;

    TRY(tx_serialize_on(tx, "credentials", creation->credential.user_id));
    return credential_insert(tx, RQ(creation->rq), &creation->credential, creation->sealed, creation->hash);
}

static struct fault *check_owner(struct request *rq, const char *project_id)
{
    struct project *project;
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(check_user(rq, tx));
    TRY(project_find(tx, project_id, &project));
    tx_end(tx);
    return project != NULL ? NULL : keystone_not_found(RQ(rq), "project", project_id != NULL ? project_id : "None");
}

static struct fault *credential_create(struct request *rq)
{
    const char *user_id = request_argument(rq, "user_id"), *project_id = json_text_at(rq->body, "tenant_id");
    const struct token_claims *claims = &token_details(rq->cx.caller)->token->claims;
    struct arena *arena = rq->cx.arena;
    const char *access = uuid_new_hex(arena);

    TRY(request_enforce(rq, rq->route->policy, POLICY_TARGET({ "user_id", user_id }, { "target.credential.user_id", user_id })));
    TRY(application_credential_may(rq, "Using method 'application_credential' is not allowed for managing additional "
        "application credentials."));
    TRY(check_owner(rq, project_id));
    json_t *blob = json_keep(arena, json_pack("{s:s, s:s, s:s?}", "access", access, "secret", uuid_new_hex(arena), "trust_id",
        claims->trust_id));
    if (claims->app_cred_id != NULL)
        json_object_set_new(blob, "app_cred_id", json_string(claims->app_cred_id));
    if (claims->access_token_id != NULL)
        json_object_set_new(blob, "access_token_id", json_string(claims->access_token_id));
    struct creation creation = { .rq = rq, .credential = { .id = credential_access_id(arena, access), .user_id = user_id,
        .project_id = project_id, .type = "ec2", .blob = json_dump(arena, blob) } };
    TRY(credential_seal(RQ(rq), "ec2", creation.credential.blob, &creation.sealed, &creation.hash));
    TRY(db_write(arena, rq->cx.app->db, create_run, &creation));
    rq->status = 201;
    respond(rq, &creation.credential);
    return NULL;
}

static struct fault *credential_delete(struct request *rq)
{
    struct credential *credential;

    TRY(credential_of_path(rq, &credential));
    return credential_erase(RQ(rq), credential->id);
}

#define LIST "/v3/users/{user_id}/credentials/OS-EC2"
#define ONE LIST "/{credential_id}"

static const struct route rows[] = {
    ROUTE(GET,    LIST, "identity:ec2_list_credentials",  credential_list,   HANDLER_POLICY),
    ROUTE(POST,   LIST, "identity:ec2_create_credential", credential_create, HANDLER_POLICY, .status = 201),
    ROUTE(GET,    ONE,  "identity:ec2_get_credential",    credential_show,   HANDLER_POLICY),
    ROUTE(DELETE, ONE,  "identity:ec2_delete_credential", credential_delete, HANDLER_POLICY, .status = 204),
};

const struct route_table ec2_credential_routes = ROUTES(rows);
