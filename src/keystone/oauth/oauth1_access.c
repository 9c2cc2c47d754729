/* SPDX-License-Identifier: Apache-2.0
 *
 * OS-OAUTH1: the access tokens that a user has given. API reference: OS-OAUTH1, identity v3.
 */
#include "keystone/assignment/roles.h"
#include "keystone/entity.h"
#include "keystone/oauth/oauth1.h"
#include "keystone/token/token.h"

#include "oslo/policy.h"

#include <string.h>

static void write_one(struct request *rq, const char *name, const struct access_token *token)
{
    const char *path = arena_printf(rq->cx.arena, "/users/%s/OS-OAUTH1/access_tokens/%s", token->user_id, token->id);
    struct json_writer *w = &rq->json;

    json_begin(w, name);
    json_text(w, "id", token->id);
    json_text(w, "consumer_id", token->consumer_id);
    json_text(w, "authorizing_user_id", token->user_id);
    json_text(w, "project_id", token->project_id);
    json_text(w, "expires_at", token->expires_at);
    json_begin(w, "links");
    json_text(w, "roles", keystone_url(rq, arena_printf(rq->cx.arena, "%s/roles", path)));
    json_text(w, "self", keystone_url(rq, path));
    json_end(w);
    json_end(w);
}

static struct fault *find(struct request *rq, struct access_token **ret)
{
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(access_token_find(tx, request_argument(rq, "access_token_id"), ret));
    tx_end(tx);
    return *ret != NULL ? NULL : FAULT(RQ(rq), 404, NULL, "Access token not found");
}

/* The token of the path, which must be its user's. */
static struct fault *token_of_path(struct request *rq, struct access_token **ret)
{
    TRY(find(rq, ret));
    if (strcmp((*ret)->user_id, request_argument(rq, "user_id")) == 0)
        return NULL;
    return FAULT(RQ(rq), 404, NULL, "Could not find, either object or path: access token.");
}

static struct fault *token_list(struct request *rq)
{
    struct access_token *token;
    struct rows *rows;
    struct tx *tx;

    if (rq->cx.caller->trust_id != NULL || token_is_oauth(rq->cx.caller))
        return keystone_forbidden(RQ(rq), "Cannot list request tokens with a token issued via delegation.");
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(sql_query(tx, &rows, "SELECT id FROM access_token WHERE authorizing_user_id = ? ORDER BY id",
        BIND(TEXT(request_argument(rq, "user_id")))));
    json_begin(&rq->json, NULL);
    json_begin_array(&rq->json, "access_tokens");
    while (rows_next(rows)) {
        TRY(access_token_find(tx, rows_text(rows, 0), &token));
        if (token != NULL)
            write_one(rq, NULL, token);
    }
    TRY(rows_fault(rows));
    tx_end(tx);
    keystone_collection_end(rq);
    return NULL;
}

static struct fault *token_show(struct request *rq)
{
    struct access_token *token;

    TRY(token_of_path(rq, &token));
    json_begin(&rq->json, NULL);
    write_one(rq, "access_token", token);
    json_end(&rq->json);
    return NULL;
}

static struct fault *token_delete(struct request *rq)
{
    struct access_token *token;

    TRY(find(rq, &token));
    if (strcmp(token->user_id, request_argument(rq, "user_id")) != 0)
        return keystone_unauthorized(RQ(rq), "User IDs do not match");
    TRY(db_exec(rq->cx.arena, rq->cx.app->db, "DELETE FROM access_token WHERE id = ?", BIND(TEXT(token->id)), NULL));
    keystone_changed(RQ(rq));
    return NULL;
}

/* A role without what the reference leaves out here; nothing when it is gone. */
static struct fault *load_role(struct tx *tx, const char *id, json_t **ret)
{
    TRY(entity_load(tx, &role_entity, id, ret));
    json_object_del(*ret, "description");
    json_object_del(*ret, "enabled");
    return NULL;
}

static struct fault *role_list(struct request *rq)
{
    struct access_token *token;
    struct tx *tx;
    json_t *role;

    TRY(token_of_path(rq, &token));
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    json_begin(&rq->json, NULL);
    json_begin_array(&rq->json, "roles");
    for (size_t i = 0; i < json_array_size(token->role_ids); i++) {
        TRY(load_role(tx, json_string_value(json_array_get(token->role_ids, i)), &role));
        if (role != NULL)
            entity_write(rq, &role_entity, NULL, role);
    }
    tx_end(tx);
    keystone_collection_end(rq);
    return NULL;
}

static struct fault *role_show(struct request *rq)
{
    const char *role_id = request_argument(rq, "role_id");
    struct access_token *token;
    json_t *role = NULL;
    struct tx *tx;

    TRY(find(rq, &token));
    if (strcmp(token->user_id, request_argument(rq, "user_id")) != 0)
        return keystone_unauthorized(RQ(rq), "User IDs do not match");
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    for (size_t i = 0; i < json_array_size(token->role_ids); i++)
        if (strcmp(json_string_value(json_array_get(token->role_ids, i)), role_id) == 0)
            TRY(load_role(tx, role_id, &role));
    tx_end(tx);
    if (role == NULL)
        return keystone_not_found(RQ(rq), "role", role_id);
    json_begin(&rq->json, NULL);
    entity_write(rq, &role_entity, "role", role);
    json_end(&rq->json);
    return NULL;
}

#define LIST "/v3/users/{user_id}/OS-OAUTH1/access_tokens"
#define ONE LIST "/{access_token_id}"

static const struct route rows[] = {
    ROUTE(GET,    LIST,                   "identity:list_access_tokens",      token_list),
    ROUTE(GET,    ONE,                    "identity:get_access_token",        token_show),
    ROUTE(DELETE, ONE,                    "identity:ec2_delete_credential",   token_delete, .status = 204), /* as the reference */
    ROUTE(GET,    ONE "/roles",           "identity:list_access_token_roles", role_list),
    ROUTE(GET,    ONE "/roles/{role_id}", "identity:get_access_token_role",   role_show),
};

const struct route_table oauth1_access_routes = ROUTES(rows);
