/* SPDX-License-Identifier: Apache-2.0
 *
 * OS-OAUTH1: request tokens, which a user authorizes, and the access tokens that they are exchanged for; and authentication
 * by an access token. API reference: OS-OAUTH1, identity v3. Requests are signed (oauth1_signature.c), not authenticated.
 */
#include "keystone/auth/auth_methods.h"
#include "keystone/oauth/oauth1.h"
#include "keystone/oauth/oauth1_signature.h"
#include "keystone/schemas.h"
#include "keystone/token/token_roles.h"

#include "base/clock.h"
#include "base/random.h"
#include "oslo/json.h"
#include "oslo/options.h"
#include "oslo/policy.h"

#include <string.h>

/* ---- Signed requests ---- */

static struct fault *read_header(struct request *rq, struct oauth1_header *ret)
{
    if (oauth1_parse(rq->cx.arena, request_header(rq, "Authorization"), ret))
        return NULL;
    return keystone_expecting(RQ(rq), "oauth_consumer_key", "request");
}

static struct fault *need(struct request *rq, const struct oauth1_header *header, const char *name, const char **ret)
{
    *ret = oauth1_parameter(header, name);
    return auth_given(*ret) ? NULL : keystone_expecting(RQ(rq), name, "request");
}

/* What was signed is the URL that the client called, or the one that the public endpoint makes of it. */
static bool signed_rightly(struct request *rq, const struct oauth1_header *header, const char *consumer_secret,
    const char *token_secret)
{
    struct arena *arena = rq->cx.arena;
    struct oauth1_pair *query;
    size_t count = 0, at = 0;

    for (const struct header *one = rq->query; one != NULL; one = one->next)
        count++;
    query = ARENA_ARRAY(arena, struct oauth1_pair, count + 1);
    for (const struct header *one = rq->query; one != NULL; one = one->next)
        query[at++] = (struct oauth1_pair){ one->name, one->value };
    const char *const urls[] = { arena_printf(arena, "%s%s", rq->base_url, rq->path),
        keystone_url(rq, strncmp(rq->path, "/v3", 3) == 0 ? rq->path + 3 : rq->path) };
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++)
        if (oauth1_signature_right(arena, header, rq->method_name, urls[i], query, count, consumer_secret, token_secret))
            return true;
    return false;
}

static struct fault *check_form(struct request *rq, const struct oauth1_header *header)
{
    const char *error, *problem = oauth1_problem(rq->cx.arena, header, clock_now_us() / 1000000, &error);

    if (problem == NULL)
        return NULL;
    return keystone_invalid(RQ(rq), "Validation failed with errors: %s, detail message is: %s.", error, problem);
}

static struct fault *consumer_secret(struct tx *tx, const char *id, const char **ret)
{
    return sql_text_of(tx, ret, "SELECT secret FROM consumer WHERE id = ?", BIND(TEXT(id)));
}

/* "key=secret" as a form; the moment of its end, unless it has none. */
static void respond_form(struct request *rq, const char *id, const char *secret, const char *expires_at)
{
    buf_printf(&rq->out, "oauth_token=%s&oauth_token_secret=%s", id, secret);
    if (expires_at != NULL)
        buf_printf(&rq->out, "&oauth_expires_at=%s", expires_at);
    rq->content_type = "application/x-www-form-urlencoded";
    rq->status = 201;
}

static const char *end_of(struct context *cx, const char *option)
{
    int64_t seconds = config_int(cx->app->config, "oauth1", option);

    return seconds > 0 ? clock_text(cx->arena, clock_now_us() + seconds * 1000000, CLOCK_ISO_USZ) : NULL;
}

static bool is_over(const char *expires_at)
{
    int64_t us;

    return expires_at != NULL && clock_parse(expires_at, &us) && clock_now_us() > us;
}

/* ---- Request tokens ---- */

struct request_token {
    const char *id, *secret, *verifier, *user_id, *project_id, *role_ids, *consumer_id, *expires_at;
};

static struct fault *request_token_find(struct tx *tx, struct context *cx, const char *id, struct request_token *ret)
{
    struct rows *rows;

    TRY(sql_query(tx, &rows, "SELECT id, request_secret, verifier, authorizing_user_id, requested_project_id, role_ids,"
        " consumer_id, expires_at FROM request_token WHERE id = ?", BIND(TEXT(id))));
    if (!rows_next(rows))
        return FAULT(cx, 404, NULL, "Request token not found");
    *ret = (struct request_token){ rows_text(rows, 0), rows_text(rows, 1), rows_text(rows, 2), rows_text(rows, 3),
        rows_text(rows, 4), rows_text(rows, 5), rows_text(rows, 6), rows_text(rows, 7) };
    rows_end(rows);
    return is_over(ret->expires_at) ? keystone_unauthorized(cx, "Request token is expired") : NULL;
}

static struct fault *request_token_create(struct request *rq)
{
    const char *project_id = request_header(rq, "Requested-Project-Id"), *consumer_id, *secret, *callback;
    struct arena *arena = rq->cx.arena;
    struct oauth1_header header;
    struct project *project;
    struct tx *tx;

    TRY(read_header(rq, &header));
    TRY(need(rq, &header, "oauth_consumer_key", &consumer_id));
    if (!auth_given(project_id))
        return keystone_expecting(RQ(rq), "Requested-Project-Id", "request");
    TRY(db_read(arena, rq->cx.app->db, &tx));
    TRY(project_find(tx, project_id, &project));
    if (project == NULL)
        return keystone_not_found(RQ(rq), "project", project_id);
    TRY(consumer_secret(tx, consumer_id, &secret));
    tx_end(tx);
    if (secret == NULL)
        return FAULT(RQ(rq), 404, NULL, "Consumer not found");
    TRY(check_form(rq, &header));
    callback = oauth1_parameter(&header, "oauth_callback");
    if (!auth_given(callback))
        return keystone_invalid(RQ(rq), "Validation failed with errors: invalid_request, detail message is: Missing callback "
            "URI..");
    if (!signed_rightly(rq, &header, secret, ""))
        return keystone_unauthorized(RQ(rq), "Invalid signature");
    const char *id = uuid_new_hex(arena), *token_secret = uuid_new_hex(arena);
    const char *expires_at = end_of(RQ(rq), "request_token_duration");
    TRY(db_exec(arena, rq->cx.app->db, "INSERT INTO request_token (id, request_secret, requested_project_id, consumer_id,"
        " expires_at) VALUES (?, ?, ?, ?, ?)",
        BIND(TEXT(id), TEXT(token_secret), TEXT(project_id), TEXT(consumer_id), TEXT(expires_at)), NULL));
    respond_form(rq, id, token_secret, expires_at);
    return NULL;
}

/* ---- Authorization ---- */

struct authorization {
    struct request *rq;
    const struct reference *reference;
    const json_t *roles;
    const char *verifier;
};

/* The roles' ids as a list, all of which the user must have on the project. */
static struct fault *read_roles(struct tx *tx, struct authorization *authorization, const char *project_id, json_t **ret)
{
    struct context *cx = RQ(authorization->rq);
    bool *marks = roles_none(cx->arena, authorization->reference);
    struct project *project;

    *ret = json_keep(cx->arena, json_array());
    TRY(project_find(tx, project_id, &project));
    if (project == NULL)
        return keystone_not_found(cx, "project", project_id);
    TRY(roles_on_project(tx, authorization->reference, &(struct actor){ .user_id = cx->caller->user_id }, project, marks));
    for (size_t i = 0; i < json_array_size(authorization->roles); i++) {
        const json_t *role = json_array_get(authorization->roles, i);
        const char *id = json_text_at(role, "id");
        if (!auth_given(id))
            TRY(keystone_role_named(tx, cx, json_text_at(role, "name"), &id));
        size_t at = reference_role(authorization->reference, id);
        if (at == authorization->reference->role_count || !marks[at])
            return keystone_unauthorized(cx, "authorizing user does not have role required");
        json_array_append_new(*ret, json_string(id));
    }
    return NULL;
}

static struct fault *authorize_run(struct tx *tx, void *argument)
{
    struct authorization *authorization = argument;
    struct context *cx = RQ(authorization->rq);
    struct request_token token;
    json_t *role_ids;

    TRY(tx_serialize(tx, "entities"));
    TRY(request_token_find(tx, cx, request_argument(authorization->rq, "request_token_id"), &token));
    TRY(read_roles(tx, authorization, token.project_id, &role_ids));
    return sql_exec(tx, "UPDATE request_token SET authorizing_user_id = ?, verifier = ?, role_ids = ? WHERE id = ?",
        BIND(TEXT(cx->caller->user_id), TEXT(authorization->verifier), TEXT(json_dump(cx->arena, role_ids)), TEXT(token.id)));
}

static const char *new_verifier(struct arena *arena)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    enum { LENGTH = 8 };
    char *text = arena_alloc(arena, LENGTH + 1);

    for (int i = 0; i < LENGTH; i++)
        text[i] = digits[random_below(sizeof(digits) - 1)];
    return text;
}

static struct fault *request_token_authorize(struct request *rq)
{
    struct authorization authorization = { .rq = rq, .roles = json_object_get(rq->body, "roles") };

    if (authorization.roles == NULL)
        authorization.roles = json_keep(rq->cx.arena, json_array());
    TRY(keystone_check(rq, &schema_role_list, authorization.roles));
    if (rq->cx.caller->trust_id != NULL || token_is_oauth(rq->cx.caller))
        return keystone_forbidden(RQ(rq), "Cannot authorize a request token with a token issued via delegation.");
    TRY(reference_get(RQ(rq), &authorization.reference));
    authorization.verifier = new_verifier(rq->cx.arena);
    TRY(db_write(rq->cx.arena, rq->cx.app->db, authorize_run, &authorization));
    json_begin(&rq->json, NULL);
    json_begin(&rq->json, "token");
    json_text(&rq->json, "oauth_verifier", authorization.verifier);
    json_end(&rq->json);
    json_end(&rq->json);
    return NULL;
}

/* ---- Access tokens ---- */

struct exchange {
    struct request *rq;
    struct request_token from;
    const char *id, *secret, *expires_at;
};

/* One request token gives one access token. */
static struct fault *exchange_run(struct tx *tx, void *argument)
{
    struct exchange *exchange = argument;
    const struct request_token *from = &exchange->from;
    int64_t taken;

    TRY(sql_exec_changed(tx, "DELETE FROM request_token WHERE id = ?", BIND(TEXT(from->id)), &taken));
    if (taken == 0)
        return FAULT(RQ(exchange->rq), 404, NULL, "Request token not found");
    return sql_exec(tx, "INSERT INTO access_token (id, access_secret, authorizing_user_id, project_id, role_ids, consumer_id,"
        " expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        BIND(TEXT(exchange->id), TEXT(exchange->secret), TEXT(from->user_id), TEXT(from->project_id), TEXT(from->role_ids),
            TEXT(from->consumer_id), TEXT(exchange->expires_at)));
}

static struct fault *access_token_create(struct request *rq)
{
    const char *consumer_id, *token_id, *verifier, *secret;
    struct exchange exchange = { .rq = rq };
    struct context *cx = RQ(rq);
    struct oauth1_header header;
    struct tx *tx;

    TRY(read_header(rq, &header));
    TRY(need(rq, &header, "oauth_consumer_key", &consumer_id));
    TRY(need(rq, &header, "oauth_token", &token_id));
    TRY(need(rq, &header, "oauth_verifier", &verifier));
    TRY(db_read(cx->arena, cx->app->db, &tx));
    TRY(request_token_find(tx, cx, token_id, &exchange.from));
    TRY(consumer_secret(tx, consumer_id, &secret));
    tx_end(tx);
    TRY(check_form(rq, &header));
    if (secret == NULL)
        return keystone_unauthorized(cx, "Provided consumer does not exist.");
    if (strcmp(exchange.from.consumer_id, consumer_id) != 0)
        return keystone_unauthorized(cx, "Provided consumer key does not match stored consumer key.");
    if (exchange.from.verifier == NULL || strcmp(exchange.from.verifier, verifier) != 0)
        return keystone_unauthorized(cx, "Provided verifier does not match stored verifier");
    if (!signed_rightly(rq, &header, secret, exchange.from.secret))
        return keystone_unauthorized(cx, "Invalid signature");
    if (exchange.from.user_id == NULL)
        return keystone_unauthorized(cx, "Request Token does not have an authorizing user id.");
    exchange.id = uuid_new_hex(cx->arena);
    exchange.secret = uuid_new_hex(cx->arena);
    exchange.expires_at = end_of(cx, "access_token_duration");
    TRY(db_write(cx->arena, cx->app->db, exchange_run, &exchange));
    respond_form(rq, exchange.id, exchange.secret, exchange.expires_at);
    return NULL;
}

struct fault *prove_by_oauth1(struct request *rq, const json_t *auth, const json_t *data, struct proof *proof)
{
    const char *token_id, *consumer_id, *secret;
    struct context *cx = RQ(rq);
    struct oauth1_header header;
    struct access_token *token;
    struct user *user;
    struct tx *tx;

    TRY(read_header(rq, &header));
    TRY(need(rq, &header, "oauth_token", &token_id));
    TRY(need(rq, &header, "oauth_consumer_key", &consumer_id));
    TRY(db_read(cx->arena, cx->app->db, &tx));
    TRY(access_token_find(tx, token_id, &token));
    TRY(consumer_secret(tx, consumer_id, &secret));
    tx_end(tx);
    if (token == NULL)
        return FAULT(cx, 404, NULL, "Access token not found");
    if (is_over(token->expires_at))
        return keystone_unauthorized(cx, "Access token is expired");
    const char *unused;
    if (secret == NULL || strcmp(token->consumer_id, consumer_id) != 0 ||
        oauth1_problem(cx->arena, &header, clock_now_us() / 1000000, &unused) != NULL ||
        !signed_rightly(rq, &header, secret, token->secret))
        return keystone_unauthorized(cx, "Could not validate the access token");
    TRY(auth_user(rq, json_keep(cx->arena, json_pack("{s:{s:s}}", "user", "id", token->user_id)), "oauth1", &user));
    proof->access_token_id = token->id;
    proof->project_id = token->project_id;
    return proof_of_user(cx, proof, token->user_id);
}

static const struct route rows[] = {
    ROUTE(POST, "/v3/OS-OAUTH1/request_token", NULL, request_token_create, .flags = NO_TOKEN | ANY_BODY, .status = 201),
    ROUTE(POST, "/v3/OS-OAUTH1/access_token",  NULL, access_token_create,  .flags = NO_TOKEN | ANY_BODY, .status = 201),
    ROUTE(PUT,  "/v3/OS-OAUTH1/authorize/{request_token_id}", "identity:authorize_request_token", request_token_authorize),
};

const struct route_table oauth1_token_routes = ROUTES(rows);
