/* SPDX-License-Identifier: Apache-2.0
 *
 * keypair_crypto: keys and certificates, with OpenSSL.
 */
#include "nova/api/keypair_crypto.h"

#include "base/buf.h"
#include "base/random.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { KEY_BITS = 2048, CERTIFICATE_DAYS = 3650, DSS_BITS = 1024, DSS_Q_BITS = 160, ED25519_BYTES = 32 };

static struct fault *invalid(struct arena *arena, const char *reason)
{
    return fault_new(arena, 400, NULL, "Keypair data is invalid: %s", reason);
}

static struct fault *failed(struct arena *arena)
{
    return fault_new(arena, 500, NULL, "The key could not be generated");
}

static const char *colons(struct arena *arena, const EVP_MD *md, const void *data, size_t length)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    char *text = arena_alloc(arena, EVP_MAX_MD_SIZE * 3 + 1), *to = text;

    if (EVP_Digest(data, length, digest, &size, md, NULL) != 1)
        return NULL;
    for (unsigned i = 0; i < size; i++)
        to += snprintf(to, 4, "%s%02x", i == 0 ? "" : ":", digest[i]);
    return text;
}

/* ---- OpenSSH's wire format, RFC 4253 section 5 ---- */

struct blob {
    const unsigned char *at;
    size_t left;
};

static bool take(struct blob *blob, const unsigned char **ret, size_t *ret_length)
{
    if (blob->left < 4)
        return false;
    size_t length = (size_t)blob->at[0] << 24 | (size_t)blob->at[1] << 16 | (size_t)blob->at[2] << 8 | blob->at[3];
    if (length > blob->left - 4)
        return false;
    *ret = blob->at + 4;
    *ret_length = length;
    blob->at += 4 + length;
    blob->left -= 4 + length;
    return true;
}

static bool take_text(struct blob *blob, const char *text)
{
    const unsigned char *data;
    size_t length;

    return take(blob, &data, &length) && length == strlen(text) && memcmp(data, text, length) == 0;
}

/* A positive number; *ret_bits is its size, *ret_low its last byte. */
static bool take_number(struct blob *blob, size_t *ret_bits, unsigned *ret_low)
{
    const unsigned char *data;
    size_t length;

    if (!take(blob, &data, &length) || length == 0 || (data[0] & 0x80) != 0)
        return false;
    *ret_low = data[length - 1];
    while (length > 0 && *data == 0) {
        data++;
        length--;
    }
    if (length == 0)
        return false;
    *ret_bits = length * 8;
    for (unsigned top = *data; (top & 0x80) == 0; top <<= 1)
        (*ret_bits)--;
    return true;
}

static bool good_rsa(struct blob *blob, const char *unused)
{
    size_t e_bits, n_bits;
    unsigned e_low, n_low;

    (void)unused;
    return take_number(blob, &e_bits, &e_low) && take_number(blob, &n_bits, &n_low) && (e_low & 1) == 1 &&
        e_bits >= 2 && e_bits < n_bits;
}

static bool good_dss(struct blob *blob, const char *unused)
{
    size_t p, q, g, y;
    unsigned low;

    (void)unused;
    return take_number(blob, &p, &low) && take_number(blob, &q, &low) && take_number(blob, &g, &low) &&
        take_number(blob, &y, &low) && p == DSS_BITS && q == DSS_Q_BITS && g <= p && y <= p;
}

static bool good_ed25519(struct blob *blob, const char *unused)
{
    const unsigned char *data;
    size_t length;

    (void)unused;
    return take(blob, &data, &length) && length == ED25519_BYTES;
}

/* The point must be uncompressed and on the curve; OpenSSL refuses any other. */
static bool good_ecdsa(struct blob *blob, const char *curve)
{
    static const char *const groups[][2] = {
        { "nistp256", "P-256" },
        { "nistp384", "P-384" },
        { "nistp521", "P-521" },
    };
    const unsigned char *point;
    size_t length;
    const char *group = NULL;
    EVP_PKEY *key = NULL;

    if (!take_text(blob, curve) || !take(blob, &point, &length) || length == 0 || point[0] != 4)
        return false;
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
        if (strcmp(groups[i][0], curve) == 0)
            group = groups[i][1];
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)point, length),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    bool good = context != NULL && EVP_PKEY_fromdata_init(context) == 1 &&
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) == 1;
    EVP_PKEY_free(key);
    EVP_PKEY_CTX_free(context);
    return good;
}

static const struct {
    const char *type;
    bool (*good)(struct blob *blob, const char *argument);
    const char *argument;
} key_types[] = {
    { "ssh-rsa",             good_rsa,     NULL },
    { "ssh-dss",             good_dss,     NULL },
    { "ssh-ed25519",         good_ed25519, NULL },
    { "ecdsa-sha2-nistp256", good_ecdsa,   "nistp256" },
    { "ecdsa-sha2-nistp384", good_ecdsa,   "nistp384" },
    { "ecdsa-sha2-nistp521", good_ecdsa,   "nistp521" },
};

/* Standard base64 with its padding; false for anything else. */
static bool decode(struct arena *arena, const char *text, size_t length, struct blob *ret)
{
    unsigned char *data = arena_alloc(arena, length + 3);
    size_t padding = length > 0 && text[length - 1] == '=' ? 1 + (length > 1 && text[length - 2] == '=') : 0;

    if (length == 0 || length % 4 != 0 || length > INT32_MAX || memchr(text, '=', length - padding) != NULL)
        return false;
    int size = EVP_DecodeBlock(data, (const unsigned char *)text, (int)length);
    if (size < 0)
        return false;
    *ret = (struct blob){ data, (size_t)size - padding };
    return true;
}

struct fault *ssh_key_fingerprint(struct arena *arena, const char *public_key, const char **ret)
{
    size_t type_length = strcspn(public_key, " \t\r\n\v\f");
    const char *text = public_key + type_length;
    struct blob blob;

    /* One blank: nova splits there to find what the fingerprint is of. */
    if (*text == ' ') {
        text++;
        for (size_t i = 0; i < sizeof(key_types) / sizeof(key_types[0]); i++) {
            const char *type = key_types[i].type;

            if (strlen(type) != type_length || strncmp(type, public_key, type_length) != 0 ||
                !decode(arena, text, strcspn(text, " \t\r\n\v\f"), &blob))
                continue;
            struct blob rest = blob;
            if (!take_text(&rest, type) || !key_types[i].good(&rest, key_types[i].argument) || rest.left != 0)
                break;
            *ret = colons(arena, EVP_md5(), blob.at, blob.left);
            return *ret != NULL ? NULL : failed(arena);
        }
    }
    return invalid(arena, "failed to generate fingerprint");
}

static void put(struct buf *out, const void *data, size_t length)
{
    unsigned char size[] = { (unsigned char)(length >> 24), (unsigned char)(length >> 16), (unsigned char)(length >> 8),
        (unsigned char)length };

    buf_append(out, size, sizeof(size));
    buf_append(out, data, length);
}

static bool put_number(struct buf *out, const EVP_PKEY *key, const char *name)
{
    unsigned char bytes[KEY_BITS / 8 + 1] = { 0 };
    BIGNUM *number = NULL;

    if (EVP_PKEY_get_bn_param(key, name, &number) != 1)
        return false;
    int length = BN_num_bytes(number);
    bool fits = length > 0 && length < (int)sizeof(bytes) && BN_bn2bin(number, bytes + 1) == length;
    BN_free(number);
    if (!fits)
        return false;
    /* A set top bit would make it negative: the zero before it stays. */
    size_t skip = (bytes[1] & 0x80) == 0;
    put(out, bytes + skip, (size_t)length + 1 - skip);
    return true;
}

static const char *base64(struct arena *arena, const void *data, size_t length)
{
    char *text = arena_alloc(arena, (length + 2) / 3 * 4 + 1);

    EVP_EncodeBlock((unsigned char *)text, data, (int)length);
    return text;
}

/* What was written into a memory BIO, which ends. */
static const char *bio_text(struct arena *arena, BIO *bio, bool written, bool encode)
{
    char *data = NULL;
    long length = bio != NULL && written ? BIO_get_mem_data(bio, &data) : 0;
    const char *text = length <= 0 ? NULL : encode ? base64(arena, data, (size_t)length) :
        arena_strndup(arena, data, (size_t)length);

    BIO_free(bio);
    return text;
}

static struct fault *ssh_texts(struct arena *arena, const EVP_PKEY *key, const char **ret_public,
    const char **ret_fingerprint, const char **ret_private)
{
    BUF_CLEANUP struct buf blob = { 0 };
    BIO *bio = BIO_new(BIO_s_secmem());

    put(&blob, "ssh-rsa", strlen("ssh-rsa"));
    bool done = put_number(&blob, key, OSSL_PKEY_PARAM_RSA_E) && put_number(&blob, key, OSSL_PKEY_PARAM_RSA_N);
    done = done && bio != NULL &&
        PEM_write_bio_PrivateKey_traditional(bio, (EVP_PKEY *)key, NULL, NULL, 0, NULL, NULL) == 1;
    const char *private_key = bio_text(arena, bio, done, false);
    if (private_key == NULL)
        return failed(arena);
    *ret_private = private_key;
    *ret_public = arena_printf(arena, "ssh-rsa %s Generated-by-Nova", base64(arena, blob.data, blob.length));
    return ssh_key_fingerprint(arena, *ret_public, ret_fingerprint);
}

struct fault *ssh_key_generate(struct arena *arena, const char **ret_public, const char **ret_fingerprint,
    const char **ret_private)
{
    EVP_PKEY *key = EVP_RSA_gen(KEY_BITS);

    if (key == NULL)
        return failed(arena);
    struct fault *fault = ssh_texts(arena, key, ret_public, ret_fingerprint, ret_private);
    EVP_PKEY_free(key);
    return fault;
}

/* ---- certificates ---- */

/* PEM's block of a certificate; no password is ever asked for. */
struct fault *x509_key_fingerprint(struct arena *arena, const char *certificate, const char **ret)
{
    unsigned char *der = NULL;
    BIO *bio = BIO_new_mem_buf(certificate, -1);
    X509 *found = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, (char *)"") : NULL;
    int length = found != NULL ? i2d_X509(found, &der) : -1;

    *ret = length > 0 ? colons(arena, EVP_sha1(), der, (size_t)length) : NULL;
    OPENSSL_free(der);
    X509_free(found);
    BIO_free(bio);
    if (*ret != NULL)
        return NULL;
    return invalid(arena, "failed to generate X509 fingerprint. Error message: Unable to load PEM file. See "
        "https://cryptography.io/en/latest/faq/#why-can-t-i-import-my-pem-file for more details.");
}

/* subjectAltName with the user's principal name, as Windows looks for it. */
static bool add_principal(X509 *certificate, const char *principal)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_OBJECT *oid = OBJ_txt2obj("1.3.6.1.4.1.311.20.2.3", 1);
    ASN1_TYPE *value = ASN1_TYPE_new();
    ASN1_UTF8STRING *text = ASN1_UTF8STRING_new();
    bool done = names != NULL && name != NULL && oid != NULL && value != NULL && text != NULL &&
        ASN1_STRING_set(text, principal, -1) == 1;

    if (done) {
        ASN1_TYPE_set(value, V_ASN1_UTF8STRING, text);
        text = NULL;
        done = GENERAL_NAME_set0_othername(name, oid, value) == 1;
    }
    if (done) {
        oid = NULL;
        value = NULL;
        done = sk_GENERAL_NAME_push(names, name) > 0;
    }
    if (done) {
        name = NULL;
        done = X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1;
    }
    ASN1_UTF8STRING_free(text);
    ASN1_TYPE_free(value);
    ASN1_OBJECT_free(oid);
    GENERAL_NAME_free(name);
    GENERAL_NAMES_free(names);
    return done;
}

static bool add_client_usage(X509 *certificate)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_ext_key_usage, "clientAuth");
    bool done = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;

    X509_EXTENSION_free(extension);
    return done;
}

static bool fill_certificate(struct arena *arena, X509 *certificate, EVP_PKEY *key, const char *user_id)
{
    unsigned char serial[20];
    BIGNUM *number;
    X509_NAME *subject = X509_get_subject_name(certificate);

    random_bytes(serial, sizeof(serial));
    serial[0] &= 0x7f;
    number = BN_bin2bn(serial, sizeof(serial), NULL);
    bool done = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
    BN_free(number);
    return done && X509_set_version(certificate, X509_VERSION_3) == 1 &&
        X509_gmtime_adj(X509_getm_notBefore(certificate), 0) != NULL &&
        X509_time_adj_ex(X509_getm_notAfter(certificate), CERTIFICATE_DAYS, 0, NULL) != NULL &&
        X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8, (const unsigned char *)user_id, -1, -1,
            0) == 1 &&
        X509_set_issuer_name(certificate, subject) == 1 && X509_set_pubkey(certificate, key) == 1 &&
        add_client_usage(certificate) && add_principal(certificate, arena_printf(arena, "%s@localhost", user_id)) &&
        X509_sign(certificate, key, EVP_sha256()) > 0;
}

static const char *pkcs12_text(struct arena *arena, EVP_PKEY *key, X509 *certificate)
{
    PKCS12 *store = PKCS12_create("", NULL, key, certificate, NULL, 0, 0, 0, 0, 0);
    BIO *bio = BIO_new(BIO_s_mem());
    const char *text = bio_text(arena, bio, bio != NULL && store != NULL && i2d_PKCS12_bio(bio, store) == 1, true);

    PKCS12_free(store);
    return text;
}

static const char *certificate_text(struct arena *arena, X509 *certificate)
{
    BIO *bio = BIO_new(BIO_s_mem());

    return bio_text(arena, bio, bio != NULL && PEM_write_bio_X509(bio, certificate) == 1, false);
}

struct fault *x509_key_generate(struct arena *arena, const char *user_id, const char **ret_certificate,
    const char **ret_fingerprint, const char **ret_private)
{
    enum { COMMON_NAME_LIMIT = 64 };
    const char *text = NULL, *private_key = NULL;

    if (strlen(user_id) > COMMON_NAME_LIMIT)
        return invalid(arena, "the user's id is too long for a certificate");
    EVP_PKEY *key = EVP_RSA_gen(KEY_BITS);
    X509 *certificate = X509_new();
    if (key != NULL && certificate != NULL && fill_certificate(arena, certificate, key, user_id)) {
        text = certificate_text(arena, certificate);
        private_key = pkcs12_text(arena, key, certificate);
    }
    X509_free(certificate);
    EVP_PKEY_free(key);
    if (text == NULL || private_key == NULL)
        return failed(arena);
    *ret_certificate = text;
    *ret_private = private_key;
    return x509_key_fingerprint(arena, text, ret_fingerprint);
}
