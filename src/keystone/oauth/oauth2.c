/* SPDX-License-Identifier: Apache-2.0
 *
 * OS-OAUTH2: access tokens for client credentials (RFC 6749, 4.4): an application credential's id and secret, or a
 * certificate that a trusted front server has checked (RFC 8705). API reference: OS-OAUTH2, identity v3.
 */
#include "keystone/oauth/oauth2.h"

#include "base/base64url.h"
#include "base/text.h"
#include "keystone/auth/authenticate.h"
#include "keystone/entity.h"
#include "keystone/federation/assertion.h"
#include "keystone/federation/federation.h"
#include "keystone/federation/mapping.h"
#include "keystone/token/fernet.h"
#include "keystone/token/token_payload.h"

#include "base/clock.h"
#include "oslo/options.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>
#include <strings.h>

enum { FORM_LIMIT = 16 << 10 };

static const char invalid_client[] = "invalid_client", invalid_request[] = "invalid_request", other_error[] = "other_error";
static const char failed[] = "Client authentication failed.";
static const char not_allowed[] = "The method is not allowed for the requested URL.";

/* ---- Answers ---- */

static struct fault *refuse(struct request *rq, int status, const char *error, const char *description)
{
    json_begin(&rq->json, NULL);
    json_text(&rq->json, "error", error);
    json_text(&rq->json, "error_description", description);
    json_end(&rq->json);
    rq->status = status;
    if (status == 401)
        response_headerf(rq, "WWW-Authenticate", "Keystone uri=\"%s\"", keystone_url(rq, ""));
    return NULL;
}

/* What a fault of authentication is here. */
static struct fault *refuse_fault(struct request *rq, const struct fault *fault)
{
    buf_clear(&rq->out);
    rq->json.comma = false;
    if (fault->status == 401)
        return refuse(rq, 401, invalid_client, fault->message);
    if (fault->status == 400)
        return refuse(rq, 400, invalid_request, fault->message);
    return refuse(rq, fault->status, other_error, "An unknown error occurred and failed to get an OAuth2.0 access token.");
}

static struct fault *grant(struct request *rq, struct token_claims *claims)
{
    struct token *token;
    const char *text;

    struct fault *fault = token_issue(RQ(rq), claims, &token, &text);
    if (fault != NULL)
        return refuse_fault(rq, fault);
    json_begin(&rq->json, NULL);
    json_text(&rq->json, "access_token", text);
    json_text(&rq->json, "token_type", "Bearer");
    json_int(&rq->json, "expires_in", config_int(rq->cx.app->config, "token", "expiration"));
    json_end(&rq->json);
    return NULL;
}

/* ---- Forms ---- */

const char *oauth2_form_value(struct arena *arena, const char *form, size_t length, const char *name)
{
    size_t wanted = strlen(name);

    if (length > FORM_LIMIT || memchr(form, '\0', length) != NULL)
        return NULL;
    form = arena_strndup(arena, form, length);
    for (const char *at = form; at < form + length;) {
        size_t size = strcspn(at, "&"), key = strcspn(at, "=");
        if (key <= size && key == wanted && memcmp(at, name, wanted) == 0)
            return key < size ? text_unescape(arena, at + key + 1, size - key - 1, TEXT_PLUS) : "";
        at += size + 1;
    }
    return NULL;
}

static const char *form_value(struct request *rq, const char *name)
{
    const char *type = request_header(rq, "Content-Type");

    if (type == NULL || strncasecmp(type, "application/x-www-form-urlencoded", 33) != 0)
        return NULL;
    return oauth2_form_value(rq->cx.arena, rq->data, rq->data_length, name);
}

bool oauth2_basic(struct arena *arena, const char *header, const char **ret_name, const char **ret_password)
{
    if (header == NULL || strncasecmp(header, "Basic ", 6) != 0)
        return false;
    const char *text = header + 6;
    size_t length = strlen(text);
    if (length == 0 || length % 4 != 0 || length > FORM_LIMIT)
        return false;
    char *plain = arena_alloc(arena, length + 1);
    if (EVP_DecodeBlock((unsigned char *)plain, (const unsigned char *)text, (int)length) < 0)
        return false;
    char *colon = strchr(plain, ':');
    if (colon == NULL)
        return false;
    *colon = '\0';
    *ret_name = plain;
    *ret_password = colon + 1;
    return true;
}

/* ---- By secret ---- */

static struct fault *by_secret(struct request *rq, const char *id, const char *secret)
{
    json_t *auth = json_keep(rq->cx.arena, json_pack("{s:{s:[s], s:{s:s, s:s}}}", "identity", "methods",
        "application_credential", "application_credential", "id", id, "secret", secret));
    struct token_claims claims;
    bool enough;

    struct fault *fault = auth != NULL ? authenticate(rq, auth, &claims, &enough) :
        keystone_unauthorized(RQ(rq), "the client's id or secret is not UTF-8");
    if (fault == NULL && !enough)
        fault = keystone_unauthorized(RQ(rq), "the user's rules ask for more methods");
    return fault != NULL ? refuse_fault(rq, fault) : grant(rq, &claims);
}

/* ---- By certificate ---- */

/* The parts of a name as variables: SSL_CLIENT_SUBJECT_DN_CN. */
static void add_name(struct arena *arena, json_t *assertion, const char *whose, X509_NAME *name)
{
    for (int i = 0; i < X509_NAME_entry_count(name); i++) {
        X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, i);
        ASN1_OBJECT *object = X509_NAME_ENTRY_get_object(entry);
        char kind[80], *text;
        int nid = OBJ_obj2nid(object);
        if (nid != NID_undef)
            snprintf(kind, sizeof(kind), "%s", nid == NID_userId ? "UID" : OBJ_nid2sn(nid));
        else
            OBJ_obj2txt(kind, sizeof(kind), object, 1);
        for (char *at = kind; *at != '\0'; at++)
            *at = (char)toupper((unsigned char)*at);
        int length = ASN1_STRING_to_UTF8((unsigned char **)&text, X509_NAME_ENTRY_get_data(entry));
        if (length < 0)
            continue;
        json_object_set_new(assertion, arena_printf(arena, "SSL_CLIENT_%s_DN_%s", whose, kind),
            json_stringn(text, (size_t)length));
        OPENSSL_free(text);
    }
}

json_t *oauth2_certificate_names(struct arena *arena, const char *pem)
{
    json_t *assertion = json_keep(arena, json_object());
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *certificate = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;

    BIO_free(bio);
    if (certificate == NULL)
        return NULL;
    add_name(arena, assertion, "SUBJECT", X509_get_subject_name(certificate));
    add_name(arena, assertion, "ISSUER", X509_get_issuer_name(certificate));
    X509_free(certificate);
    return assertion;
}

static bool agrees(const json_t *mapped, const char *name, const char *value)
{
    const char *wanted = json_text_at(mapped, name);

    return wanted == NULL || wanted[0] == '\0' || (value != NULL && strcmp(wanted, value) == 0);
}

/* Whether what the certificate says, mapped, is this user. */
static struct fault *check_mapped(struct context *cx, struct tx *tx, const json_t *assertion, const struct user *user,
    bool *ret)
{
    const char *mapping_id = config_str(cx->app->config, "oauth2", "oauth2_cert_dn_mapping_id"), *extra;
    struct mapped mapped;
    struct project *domain;
    json_t *mapping;

    *ret = false;
    TRY(entity_load(tx, &mapping_entity, mapping_id, &mapping));
    TRY(domain_find(tx, user->domain_id, &domain));
    TRY(sql_text_of(tx, &extra, "SELECT extra FROM `user` WHERE id = ?", BIND(TEXT(user->id))));
    if (mapping == NULL || domain == NULL)
        return NULL;
    if (mapping_apply(cx->arena, mapping_id, json_object_get(mapping, "rules"), assertion, &mapped) != NULL)
        return NULL;
    *ret = agrees(mapped.user, "name", user->name) && agrees(mapped.user, "id", user->id) &&
        agrees(mapped.user, "email", json_text_at(json_parse_own(cx->arena, extra), "email")) &&
        agrees(mapped.user, "domain.id", domain->id) && agrees(mapped.user, "domain.name", domain->name);
    return NULL;
}

static const char *thumbprint(struct arena *arena, const char *pem)
{
    unsigned char digest[32];

    if (EVP_Digest(pem, strlen(pem), digest, NULL, EVP_sha256(), NULL) != 1)
        return "";
    return arena_printf(arena, "%s=", base64url_encode(arena, digest, sizeof(digest)));
}

static struct fault *by_certificate(struct request *rq, const char *id, const char *pem)
{
    static const char *const methods[] = { "oauth2_credential", NULL };
    struct context *cx = RQ(rq);
    json_t *assertion = oauth2_certificate_names(cx->arena, pem);
    struct user *user;
    struct tx *tx;
    bool right = false;

    TRY(db_read(cx->arena, cx->app->db, &tx));
    TRY(user_find(tx, id, &user));
    if (assertion != NULL && user != NULL && user->default_project_id != NULL)
        TRY(check_mapped(cx, tx, assertion, user, &right));
    tx_end(tx);
    if (!right)
        return refuse(rq, 401, invalid_client, failed);
    struct token_claims claims = {
        .user_id = user->id, .methods = methods, .audit_id = token_audit_id(cx->arena),
        .expires_us = (clock_now_us() / 1000000 + config_int(cx->app->config, "token", "expiration")) * 1000000,
        .scope = PROJECT_SCOPED, .scope_id = user->default_project_id, .thumbprint = thumbprint(cx->arena, pem) };
    return grant(rq, &claims);
}

/* ---- The route ---- */

static bool method_on(const struct request *rq, const char *method)
{
    const char *const *on = config_list(rq->cx.app->config, "oauth2", "oauth2_authn_methods", NULL);

    for (; *on != NULL; on++)
        if (strcmp(*on, method) == 0)
            return true;
    return false;
}

static struct fault *token_create(struct request *rq)
{
    const char *type = form_value(rq, "grant_type"), *id = form_value(rq, "client_id");
    const char *secret = form_value(rq, "client_secret"), *pem = assertion_variable(rq, "SSL_CLIENT_CERT");

    if (type == NULL)
        return refuse(rq, 400, invalid_request, "The parameter grant_type is required.");
    if (strcmp(type, "client_credentials") != 0)
        return refuse(rq, 400, "unsupported_grant_type", arena_printf(rq->cx.arena,
            "The parameter grant_type %s is not supported.", type));
    if (pem == NULL || pem[0] == '\0')
        oauth2_basic(rq->cx.arena, request_header(rq, "Authorization"), &id, &secret);
    if (id == NULL || id[0] == '\0')
        return refuse(rq, 401, invalid_client, failed);
    /* header lines hold no line ends: a front server escapes them */
    if (pem != NULL && pem[0] != '\0' && method_on(rq, "tls_client_auth"))
        return by_certificate(rq, id, text_unescape(rq->cx.arena, pem, strlen(pem), 0));
    if ((pem == NULL || pem[0] == '\0') && secret != NULL && secret[0] != '\0' && method_on(rq, "client_secret_basic"))
        return by_secret(rq, id, secret);
    return refuse(rq, 401, invalid_client, failed);
}

static struct fault *no_method(struct request *rq)
{
    return refuse(rq, 405, other_error, not_allowed);
}

#define TOKEN "/v3/OS-OAUTH2/token"

static const struct route rows[] = {
    ROUTE(POST,   TOKEN, NULL, token_create, .flags = NO_TOKEN | ANY_BODY | SLOW),
    ROUTE(GET,    TOKEN, NULL, no_method,    .flags = NO_TOKEN | ANY_BODY),
    ROUTE(PUT,    TOKEN, NULL, no_method,    .flags = NO_TOKEN | ANY_BODY),
    ROUTE(PATCH,  TOKEN, NULL, no_method,    .flags = NO_TOKEN | ANY_BODY),
    ROUTE(DELETE, TOKEN, NULL, no_method,    .flags = NO_TOKEN | ANY_BODY),
};

const struct route_table oauth2_routes = ROUTES(rows);
