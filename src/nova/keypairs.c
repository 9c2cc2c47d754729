/* SPDX-License-Identifier: Apache-2.0
 *
 * keypairs: the public keys that servers are given. API reference: Keypairs. A key belongs to a user; before 2.92 nova also makes
 * one, whose private half only this answer has.
 */
#include "nova/api.h"
#include "nova/quota.h"

#include "base/clock.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

enum { RSA_BITS = 2048 };

struct keypair {
    int64_t id, created_at;
    const char *user_id, *name, *type, *fingerprint, *public_key, *private_key;
};

/* The user whose keys are meant; another one's from 2.10 on, for those that the policy lets. */
static struct fault *key_owner(struct request *rq, const char *rule, const char *given, const char **ret)
{
    *ret = given != NULL && rq->version >= 10 ? given : rq->cx.caller->user_id;
    return request_enforce(rq, rule, POLICY_TARGET({ "user_id", *ret }));
}

static void write_keypair(struct request *rq, const struct keypair *key, bool show)
{
    struct json_writer *w = &rq->json;

    json_begin(w, "keypair");
    if (key->private_key != NULL)
        json_text(w, "private_key", key->private_key);
    if (rq->version >= 2)
        json_text(w, "type", key->type);
    json_text(w, "name", key->name);
    json_text(w, "public_key", key->public_key);
    json_text(w, "fingerprint", key->fingerprint);
    if (key->user_id != NULL)
        json_text(w, "user_id", key->user_id);
    if (show) {
        json_text(w, "created_at", api_time_us(rq, key->created_at));
        json_bool(w, "deleted", false);
        json_null_member(w, "deleted_at");
        json_int(w, "id", key->id);
        json_null_member(w, "updated_at");
    }
    json_end(w);
}

static struct fault *keypairs_index(struct request *rq)
{
    static const char *const allowed[] = { "user_id", "limit", "marker", "page_size", "offset", NULL };
    const char *user, *marker = NULL, *last = NULL;
    int64_t limit = INT32_MAX, after = 0, shown = 0;
    struct tx *tx;
    struct rows *rows;

    TRY(api_query_check(rq, allowed, rq->version >= 75));
    TRY(key_owner(rq, "os_compute_api:os-keypairs:index", request_query(rq, "user_id"), &user));
    if (rq->version >= 35)
        TRY(api_paging(rq, &limit, &marker));
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    if (marker != NULL) {
        TRY(sql_int_of(tx, &after, 0, "SELECT id FROM key_pairs WHERE user_id=? AND name=?", BIND(TEXT(user), TEXT(marker))));
        if (after == 0)
            return BAD_REQUEST(rq, "Marker %s could not be found.", marker);
    }
    TRY(sql_query(tx, &rows, "SELECT name,type,fingerprint,public_key FROM key_pairs WHERE user_id=? AND (? IS NULL OR name>?) "
        "ORDER BY name LIMIT ?", BIND(TEXT(user), TEXT(marker), TEXT(marker), INT(limit))));
    json_begin(&rq->json, NULL);
    json_begin_array(&rq->json, "keypairs");
    while (rows_next(rows)) {
        struct keypair key = { .name = rows_text(rows, 0), .type = rows_text(rows, 1), .fingerprint = rows_text(rows, 2),
            .public_key = rows_text(rows, 3) };

        json_begin(&rq->json, NULL);
        write_keypair(rq, &key, false);
        json_end(&rq->json);
        last = key.name;
        shown++;
    }
    json_end_array(&rq->json);
    if (rq->version >= 35 && shown > 0 && shown == limit)
        api_next_link(rq, "keypairs_links", "os-keypairs", last);
    json_end(&rq->json);
    struct fault *fault = rows_fault(rows);
    tx_end(tx);
    return fault;
}

static struct fault *keypairs_show(struct request *rq)
{
    const char *user, *name = request_argument(rq, "name");
    struct tx *tx;
    struct rows *rows;

    TRY(key_owner(rq, "os_compute_api:os-keypairs:show", request_query(rq, "user_id"), &user));
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(sql_query(tx, &rows, "SELECT id,created_at,user_id,name,type,fingerprint,public_key FROM key_pairs WHERE user_id=? AND name=?",
        BIND(TEXT(user), TEXT(name))));
    if (!rows_next(rows)) {
        TRY(rows_fault(rows));
        return NOT_FOUND(rq, "Keypair %s not found for user %s", name, user);
    }
    struct keypair key = { rows_int(rows, 0), rows_int(rows, 1), rows_text(rows, 2), rows_text(rows, 3), rows_text(rows, 4),
        rows_text(rows, 5), rows_text(rows, 6), NULL };
    json_begin(&rq->json, NULL);
    write_keypair(rq, &key, true);
    json_end(&rq->json);
    rows_end(rows);
    tx_end(tx);
    return NULL;
}

/* MD5 of the key's bytes in pairs with colons, as ssh-keygen -E md5 prints it. */
static const char *fingerprint_of(struct arena *arena, const unsigned char *data, size_t length, const EVP_MD *md)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    BUF_CLEANUP struct buf text = { 0 };

    if (EVP_Digest(data, length, digest, &size, md, NULL) != 1)
        return NULL;
    for (unsigned int i = 0; i < size; i++)
        buf_printf(&text, "%s%02x", i == 0 ? "" : ":", digest[i]);
    return arena_strdup(arena, buf_text(&text));
}

/* "TYPE BASE64 [comment]": the base64 begins with the type's own name. */
static const char *ssh_fingerprint(struct arena *arena, const char *public_key)
{
    char *copy = arena_strdup(arena, public_key), *rest = copy;
    const char *type = strsep(&rest, " "), *body = rest != NULL ? strsep(&rest, " \r\n") : NULL;

    if (body == NULL || *type == '\0' || strlen(body) % 4 != 0 || strlen(body) < 24 || strlen(body) > 32768)
        return NULL;
    unsigned char *data = arena_alloc(arena, strlen(body));
    int length = EVP_DecodeBlock(data, (const unsigned char *)body, (int)strlen(body));
    size_t pad = body[strlen(body) - 1] != '=' ? 0 : body[strlen(body) - 2] == '=' ? 2 : 1;
    if (length < 0)
        return NULL;
    size_t size = (size_t)length - pad, type_length = (size_t)data[0] << 24 | (size_t)data[1] << 16 | (size_t)data[2] << 8 | data[3];
    if (type_length != strlen(type) || size < 4 + type_length || memcmp(data + 4, type, type_length) != 0)
        return NULL;
    return fingerprint_of(arena, data, size, EVP_md5());
}

static const char *x509_fingerprint(struct arena *arena, const char *certificate)
{
    BIO *bio = BIO_new_mem_buf(certificate, -1);
    X509 *x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    unsigned char *der = NULL;
    int length = x509 != NULL ? i2d_X509(x509, &der) : 0;
    const char *fingerprint = length > 0 ? fingerprint_of(arena, der, (size_t)length, EVP_sha1()) : NULL;

    OPENSSL_free(der);
    X509_free(x509);
    BIO_free(bio);
    return fingerprint;
}

static void put_length(struct buf *out, size_t length)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        buf_putc(out, (char)(length >> shift & 0xff));
}

/* An ssh mpint: big-endian, with a zero before a high bit. */
static void put_number(struct buf *out, const BIGNUM *number)
{
    unsigned char bytes[RSA_BITS / 8 + 1] = { 0 };
    int length = BN_bn2bin(number, bytes + 1);
    bool high = (bytes[1] & 0x80) != 0;

    put_length(out, (size_t)length + high);
    buf_append(out, bytes + !high, (size_t)length + high);
}

/* A new RSA key: its private half in PEM, its public half as ssh has it. */
static struct fault *generate(struct request *rq, struct keypair *key)
{
    struct arena *arena = rq->cx.arena;
    EVP_PKEY *pkey = EVP_RSA_gen(RSA_BITS);
    BIO *bio = BIO_new(BIO_s_mem());
    BIGNUM *n = NULL, *e = NULL;
    BUF_CLEANUP struct buf blob = { 0 };
    char *pem;

    if (pkey == NULL || !EVP_PKEY_get_bn_param(pkey, "n", &n) || !EVP_PKEY_get_bn_param(pkey, "e", &e) ||
        !PEM_write_bio_PrivateKey_traditional(bio, pkey, NULL, NULL, 0, NULL, NULL)) {
        BN_free(n);
        BN_free(e);
        BIO_free(bio);
        EVP_PKEY_free(pkey);
        return FAULT(RQ(rq), 500, NULL, "A key pair could not be made.");
    }
    put_length(&blob, 7);
    buf_append(&blob, "ssh-rsa", 7);
    put_number(&blob, e);
    put_number(&blob, n);
    unsigned char *base64 = arena_alloc(arena, blob.length * 4 / 3 + 8);
    EVP_EncodeBlock(base64, (unsigned char *)blob.data, (int)blob.length);
    long length = BIO_get_mem_data(bio, &pem);
    key->private_key = arena_strndup(arena, pem, (size_t)length);
    key->public_key = arena_printf(arena, "ssh-rsa %s Generated-by-Nova", base64);
    key->fingerprint = fingerprint_of(arena, (unsigned char *)blob.data, blob.length, EVP_md5());
    BN_free(n);
    BN_free(e);
    BIO_free(bio);
    EVP_PKEY_free(pkey);
    return NULL;
}

struct insertion {
    struct request *rq;
    struct keypair *key;
};

static struct fault *run_insert(struct tx *tx, void *argument)
{
    const struct insertion *in = argument;
    struct keypair *key = in->key;
    struct request *rq = in->rq;
    int64_t count, limits[QUOTA_RESOURCES];

    TRY(quota_limits(tx, rq->cx.app->config, rq->cx.caller->project_id, rq->cx.caller->user_id, limits, NULL));
    TRY(sql_int_of(tx, &count, 0, "SELECT COUNT(*) FROM key_pairs WHERE user_id=?", BIND(TEXT(key->user_id))));
    if (limits[QUOTA_KEY_PAIRS] >= 0 && count >= limits[QUOTA_KEY_PAIRS])
        return fault_new(tx_arena(tx), 403, NULL, "Quota exceeded, too many key pairs.");
    key->created_at = clock_now_us();
    struct fault *fault = sql_insert(tx, "INSERT INTO key_pairs(user_id,name,type,fingerprint,public_key,created_at) "
        "VALUES(?,?,?,?,?,?)", BIND(TEXT(key->user_id), TEXT(key->name), TEXT(key->type), TEXT(key->fingerprint),
        TEXT(key->public_key), INT(key->created_at)), &key->id);
    if (fault != NULL && fault->code == SQL_DUPLICATE)
        return fault_new(tx_arena(tx), 409, NULL, "Key pair '%s' already exists.", key->name);
    return fault;
}

static const struct schema name_1 = { .types = SCHEMA_STRING, .min_length = 1, .max_length = 255, .format = "keypair_name_20" };
static const struct schema name_92 = { .types = SCHEMA_STRING, .min_length = 1, .max_length = 255, .format = "keypair_name_292" };
static const struct schema text = { .types = SCHEMA_STRING };
static const struct schema type = { .types = SCHEMA_STRING, .values = SCHEMA_WORDS("ssh", "x509") };
#define KEY_BODY(version_, required_, ...)                                                                             \
    static const struct schema key_##version_ = { .types = SCHEMA_OBJECT, .closed = true, .required = required_,        \
        .properties = SCHEMA_PROPERTIES(__VA_ARGS__) };                                                                 \
    static const struct schema key_body_##version_ = { .types = SCHEMA_OBJECT, .closed = true,                          \
        .required = SCHEMA_WORDS("keypair"), .properties = SCHEMA_PROPERTIES({ "keypair", &key_##version_ }) }
KEY_BODY(1,  SCHEMA_WORDS("name"), { "name", &name_1 }, { "public_key", &text });
KEY_BODY(2,  SCHEMA_WORDS("name"), { "name", &name_1 }, { "type", &type }, { "public_key", &text });
KEY_BODY(10, SCHEMA_WORDS("name"), { "name", &name_1 }, { "type", &type }, { "public_key", &text }, { "user_id", &text });
KEY_BODY(92, SCHEMA_WORDS("name", "public_key"), { "name", &name_92 }, { "type", &type }, { "public_key", &text },
    { "user_id", &text });

static struct fault *keypairs_create(struct request *rq)
{
    struct keypair key = { 0 };

    TRY(request_validate(rq, rq->version >= 92 ? &key_body_92 : rq->version >= 10 ? &key_body_10 : rq->version >= 2 ? &key_body_2
        : &key_body_1));
    TRY(key_owner(rq, "os_compute_api:os-keypairs:create", json_text_at(rq->body, "keypair.user_id"), &key.user_id));
    key.name = json_text_at(rq->body, "keypair.name");
    key.type = json_text_at(rq->body, "keypair.type") != NULL ? json_text_at(rq->body, "keypair.type") : "ssh";
    key.public_key = json_text_at(rq->body, "keypair.public_key");
    bool x509 = strcmp(key.type, "x509") == 0;
    if (key.public_key == NULL && x509)
        return BAD_REQUEST(rq, "Keypair data is invalid: certificates must be given with their public_key");
    if (key.public_key == NULL)
        TRY(generate(rq, &key));
    else
        key.fingerprint = x509 ? x509_fingerprint(rq->cx.arena, key.public_key) : ssh_fingerprint(rq->cx.arena, key.public_key);
    if (key.fingerprint == NULL)
        return BAD_REQUEST(rq, "Keypair data is invalid: failed to generate %sfingerprint", x509 ? "X509 " : "");
    TRY(db_write(rq->cx.arena, rq->cx.app->db, run_insert, &(struct insertion){ rq, &key }));
    json_begin(&rq->json, NULL);
    write_keypair(rq, &key, false);
    json_end(&rq->json);
    rq->status = rq->version >= 2 ? 201 : 200;
    return NULL;
}

static struct fault *keypairs_delete(struct request *rq)
{
    const char *user, *name = request_argument(rq, "name");
    int64_t changed;

    TRY(key_owner(rq, "os_compute_api:os-keypairs:delete", request_query(rq, "user_id"), &user));
    TRY(db_exec(rq->cx.arena, rq->cx.app->db, "DELETE FROM key_pairs WHERE user_id=? AND name=?", BIND(TEXT(user), TEXT(name)),
        &changed));
    if (changed == 0)
        return NOT_FOUND(rq, "Keypair %s not found for user %s", name, user);
    return api_empty(rq, rq->version >= 2 ? 204 : 202);
}

#define K "os_compute_api:os-keypairs:"
static const struct route rows[] = {
    ROUTE(GET,    "/v2.1/os-keypairs",        K "index",  keypairs_index,  HANDLER_POLICY),
    ROUTE(POST,   "/v2.1/os-keypairs",        K "create", keypairs_create, HANDLER_POLICY, .flags = SLOW),
    ROUTE(GET,    "/v2.1/os-keypairs/{name}", K "show",   keypairs_show,   HANDLER_POLICY),
    ROUTE(DELETE, "/v2.1/os-keypairs/{name}", K "delete", keypairs_delete, HANDLER_POLICY),
};
const struct route_table nova_keypair_routes = ROUTES(rows);
