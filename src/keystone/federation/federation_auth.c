/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a front web server leads those whom it has authenticated: tokens by provider and protocol, and single sign-on for
 * dashboards. API reference: OS-FEDERATION, identity v3 extensions.
 */
#include "keystone/auth/auth_mapped.h"
#include "keystone/auth/authenticate.h"
#include "keystone/federation/assertion.h"
#include "keystone/federation/federation.h"
#include "keystone/resource/projects.h"

#include "base/file.h"
#include "oslo/options.h"

#include <string.h>

enum { LONGEST_FILE = 1 << 20 };

/* A token by what the front server asserts. */
static struct fault *federated_token(struct request *rq, const char *idp_id, const char *protocol_id, struct token **ret,
    const char **ret_text)
{
    json_t *auth = json_keep(rq->cx.arena, json_object()), *identity = json_object(), *data = json_object();
    json_t *methods = json_array();
    struct token_claims claims;
    bool enough;

    json_object_set_new(auth, "identity", identity);
    json_object_set_new(identity, "methods", methods);
    json_array_append_new(methods, json_string(protocol_id));
    json_object_set_new(identity, protocol_id, data);
    json_object_set_new(data, "identity_provider", json_string(idp_id));
    json_object_set_new(data, "protocol", json_string(protocol_id));
    TRY(authenticate(rq, auth, &claims, &enough));
    if (!enough)
        return keystone_unauthorized(RQ(rq), "more methods are needed");
    return token_issue(RQ(rq), &claims, ret, ret_text);
}

static struct fault *auth_token(struct request *rq)
{
    const struct reference *reference;
    struct token *token;
    const char *text;

    TRY(federated_token(rq, request_argument(rq, "idp_id"), request_argument(rq, "protocol_id"), &token, &text));
    TRY(reference_get(RQ(rq), &reference));
    token_write(&rq->json, token, reference);
    response_header(rq, "X-Subject-Token", text);
    rq->status = 201;
    return NULL;
}

/* ---- Single sign-on ---- */

/* "https://HOST/path" with the host in small letters. */
static const char *lower_host(struct arena *arena, const char *url)
{
    char *copy = arena_strdup(arena, url), *host = strstr(copy, "://");

    for (char *c = host != NULL ? host + 3 : copy + strlen(copy); *c != '\0' && *c != '/'; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    return copy;
}

static struct fault *check_origin(struct request *rq, const char **ret)
{
    const char *origin = request_query(rq, "origin");

    if (origin == NULL || origin[0] == '\0')
        return keystone_invalid(RQ(rq), "Request must have an origin query parameter");
    const char *const *trusted = config_list(rq->cx.app->config, "federation", "trusted_dashboard", NULL);
    for (; *trusted != NULL; trusted++) {
        if (strcmp(lower_host(rq->cx.arena, *trusted), origin) == 0) {
            *ret = origin;
            return NULL;
        }
    }
    return keystone_unauthorized(RQ(rq), "%s is not a trusted dashboard host", origin);
}

/* For operators without a page of their own. */
static const char default_page[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Signing in</title></head>\n"
    "<body onload=\"document.forms[0].submit()\">\n<form action=\"$host\" method=\"post\">\n"
    "<input type=\"hidden\" name=\"token\" value=\"$token\">\n"
    "<noscript><button type=\"submit\">Continue</button></noscript>\n</form>\n</body>\n</html>\n";

/* Python's string.Template: $name, ${name}, $$. */
static void fill_page(struct buf *out, const char *page, const char *host, const char *token)
{
    const struct {
        const char *name, *value;
    } names[] = { { "$host", host }, { "$token", token }, { "${host}", host }, { "${token}", token }, { "$$", "$" } };

    while (*page != '\0') {
        size_t i = 0, count = sizeof(names) / sizeof(names[0]);
        while (i < count && strncmp(page, names[i].name, strlen(names[i].name)) != 0)
            i++;
        if (i == count) {
            buf_putc(out, *page++);
        } else {
            buf_puts(out, names[i].value);
            page += strlen(names[i].name);
        }
    }
}

static struct fault *hand_over(struct request *rq, const char *idp_id, const char *host)
{
    const char *path = config_str(rq->cx.app->config, "federation", "sso_callback_template"), *text;
    const char *page = file_read(rq->cx.arena, path, LONGEST_FILE, NULL);
    struct token *token;

    TRY(federated_token(rq, idp_id, request_argument(rq, "protocol_id"), &token, &text));
    fill_page(&rq->out, page != NULL ? page : default_page, host, text);
    rq->content_type = "text/html; charset=utf-8";
    response_header(rq, "Cache-Control", "no-store");
    return NULL;
}

static struct fault *sso_of_provider(struct request *rq)
{
    const char *host;

    TRY(check_origin(rq, &host));
    return hand_over(rq, request_argument(rq, "idp_id"), host);
}

/* The provider is found by the name that it asserts for itself. */
static struct fault *find_remote(struct request *rq, struct tx *tx, const char **ret)
{
    const char *protocol_id = request_argument(rq, "protocol_id"), *remote_id = NULL;
    json_t *ids = json_keep(rq->cx.arena, json_array()), *protocol;
    struct rows *rows;

    TRY(sql_query(tx, &rows, "SELECT idp_id FROM federation_protocol WHERE id = ? ORDER BY idp_id", BIND(TEXT(protocol_id))));
    while (rows_next(rows))
        json_array_append_new(ids, json_string(rows_text(rows, 0)));
    TRY(rows_fault(rows));
    for (size_t i = 0; i < json_array_size(ids) && remote_id == NULL; i++) {
        TRY(protocol_load(tx, json_string_value(json_array_get(ids, i)), protocol_id, &protocol));
        const char *parameter = remote_id_parameter(rq, protocol);
        if (parameter != NULL)
            remote_id = assertion_variable(rq, parameter);
    }
    if (remote_id == NULL)
        return keystone_unauthorized(RQ(rq), "Missing entity ID from environment");
    TRY(sql_text_of(tx, ret, "SELECT idp_id FROM idp_remote_ids WHERE remote_id = ?", BIND(TEXT(remote_id))));
    return *ret != NULL ? NULL : FAULT(RQ(rq), 404, NULL, "Could not find Identity Provider: %s.", remote_id);
}

static struct fault *sso(struct request *rq)
{
    const char *idp_id, *host;
    struct tx *tx;

    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    struct fault *fault = find_remote(rq, tx, &idp_id);
    tx_end(tx);
    if (fault != NULL)
        return fault;
    TRY(check_origin(rq, &host));
    return hand_over(rq, idp_id, host);
}

/* ---- The rest ---- */

static struct fault *projects(struct request *rq)
{
    return projects_of_user_respond(rq, rq->cx.caller->user_id, false);
}

static struct fault *domains(struct request *rq)
{
    return projects_of_user_respond(rq, rq->cx.caller->user_id, true);
}

#define AUTH "/v3/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}/auth"
#define SSO  "/v3/auth/OS-FEDERATION/websso/{protocol_id}"
#define HIS  "/v3/auth/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}/websso"

static const struct route rows[] = {
    ROUTE(GET,  AUTH, NULL, auth_token,      .flags = NO_TOKEN | SLOW, .status = 201),
    ROUTE(POST, AUTH, NULL, auth_token,      .flags = NO_TOKEN | SLOW | ANY_BODY, .status = 201),
    ROUTE(GET,  SSO,  NULL, sso,             .flags = NO_TOKEN | SLOW),
    ROUTE(POST, SSO,  NULL, sso,             .flags = NO_TOKEN | SLOW | ANY_BODY),
    ROUTE(GET,  HIS,  NULL, sso_of_provider, .flags = NO_TOKEN | SLOW),
    ROUTE(POST, HIS,  NULL, sso_of_provider, .flags = NO_TOKEN | SLOW | ANY_BODY),
    ROUTE(GET,  "/v3/OS-FEDERATION/projects", "identity:get_auth_projects", projects),
    ROUTE(GET,  "/v3/OS-FEDERATION/domains",  "identity:get_auth_domains",  domains),
};

const struct route_table federation_auth_routes = ROUTES(rows);
