/* SPDX-License-Identifier: Apache-2.0 */
#include "keystone/token/jws.h"

#include "base/base64url.h"
#include "base/clock.h"
#include "keystone/token/fernet.h"
#include "oslo/json.h"

#include <dirent.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { HALF = 32, SIGNATURE = 2 * HALF, DER_LIMIT = 128, KEYS_LIMIT = 64, AGAIN_US = 1000000 };

struct jws_keys {
    char *public_directory, *private_path;
    pthread_rwlock_t lock; /* of what follows */
    EVP_PKEY *private;
    EVP_PKEY *public[KEYS_LIMIT];
    size_t public_count;
    int64_t changed_ns[2]; /* of the directory of public keys, and of the private key */
    int64_t read_us;
};

/* ---- Keys ---- */

static int64_t changed_ns(const char *path)
{
    struct stat status;

    if (stat(path, &status) != 0)
        return -1;
    return (int64_t)status.st_mtim.tv_sec * 1000000000 + status.st_mtim.tv_nsec;
}

static bool is_p256(const EVP_PKEY *key)
{
    char group[32];

    return EVP_PKEY_get_base_id(key) == EVP_PKEY_EC && EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1 &&
        strcmp(group, "prime256v1") == 0;
}

static EVP_PKEY *read_key(const char *path, bool private)
{
    FILE *file = fopen(path, "re");
    EVP_PKEY *key = NULL;

    if (file == NULL)
        return NULL;
    key = private ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : PEM_read_PUBKEY(file, NULL, NULL, NULL);
    fclose(file);
    if (key != NULL && !is_p256(key)) {
        EVP_PKEY_free(key);
        return NULL;
    }
    return key;
}

static size_t read_public(struct arena *arena, const char *directory, EVP_PKEY **ret)
{
    DIR *stream = opendir(directory);
    struct dirent *entry;
    size_t count = 0;

    while (stream != NULL && (entry = readdir(stream)) != NULL && count < KEYS_LIMIT) {
        if (entry->d_name[0] == '.')
            continue;
        ret[count] = read_key(arena_printf(arena, "%s/%s", directory, entry->d_name), false);
        count += ret[count] != NULL;
    }
    if (stream != NULL)
        closedir(stream);
    return count;
}

static void drop(EVP_PKEY *private, EVP_PKEY **public, size_t count)
{
    EVP_PKEY_free(private);
    for (size_t i = 0; i < count; i++)
        EVP_PKEY_free(public[i]);
}

/* Reads both repositories. What is gone or broken for a moment leaves the keys as they were. */
static struct fault *read_all(struct arena *arena, struct jws_keys *keys)
{
    int64_t public_ns = changed_ns(keys->public_directory), private_ns = changed_ns(keys->private_path);
    EVP_PKEY *public[KEYS_LIMIT], *private = read_key(keys->private_path, true);
    size_t count = read_public(arena, keys->public_directory, public);

    if (private == NULL || count == 0) {
        drop(private, public, count);
        if (private == NULL)
            return fault_new(arena, 500, "KeysNotFound", "%s does not exist. You can generate a key pair using "
                "`keystone-manage create_jws_keypair`.", keys->private_path);
        return fault_new(arena, 500, "KeysNotFound", "%s must contain at least one public key but it is empty. You can "
            "generate a key pair using `keystone-manage create_jws_keypair`.", keys->public_directory);
    }
    pthread_rwlock_wrlock(&keys->lock);
    drop(keys->private, keys->public, keys->public_count);
    keys->private = private;
    memcpy(keys->public, public, count * sizeof(*public));
    keys->public_count = count;
    keys->changed_ns[0] = public_ns;
    keys->changed_ns[1] = private_ns;
    keys->read_us = clock_monotonic_us();
    pthread_rwlock_unlock(&keys->lock);
    return NULL;
}

/* `missed`: no key fitted, and one may have been replaced in place. */
static bool refresh(struct arena *arena, struct jws_keys *keys, bool missed)
{
    pthread_rwlock_rdlock(&keys->lock);
    bool changed = keys->changed_ns[0] != changed_ns(keys->public_directory) ||
        keys->changed_ns[1] != changed_ns(keys->private_path);
    bool again = missed && clock_monotonic_us() - keys->read_us > AGAIN_US;
    pthread_rwlock_unlock(&keys->lock);
    return (changed || again) && read_all(arena, keys) == NULL;
}

struct fault *jws_keys_open(struct arena *arena, const char *public_directory, const char *private_directory,
    struct jws_keys **ret)
{
    struct jws_keys *keys = calloc(1, sizeof(*keys));

    if (keys == NULL)
        abort();
    pthread_rwlock_init(&keys->lock, NULL);
    keys->public_directory = strdup(public_directory);
    keys->private_path = strdup(arena_printf(arena, "%s/private.pem", private_directory));
    struct fault *fault = read_all(arena, keys);
    if (fault != NULL)
        jws_keys_close(keys);
    else
        *ret = keys;
    return fault;
}

void jws_keys_close(struct jws_keys *keys)
{
    if (keys == NULL)
        return;
    drop(keys->private, keys->public, keys->public_count);
    pthread_rwlock_destroy(&keys->lock);
    free(keys->public_directory);
    free(keys->private_path);
    free(keys);
}

/* ---- Signing ---- */

/* A signature as OpenSSL writes it, from and to its two numbers of 32 bytes. */
static bool from_der(const unsigned char *der, size_t length, unsigned char *ret)
{
    ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &der, (long)length);
    bool done = signature != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(signature), ret, HALF) == HALF &&
        BN_bn2binpad(ECDSA_SIG_get0_s(signature), ret + HALF, HALF) == HALF;

    ECDSA_SIG_free(signature);
    return done;
}

static int to_der(const unsigned char *raw, unsigned char *ret)
{
    ECDSA_SIG *signature = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw, HALF, NULL), *s = BN_bin2bn(raw + HALF, HALF, NULL);
    int length = -1;

    if (signature != NULL && ECDSA_SIG_set0(signature, r, s) == 1) {
        length = i2d_ECDSA_SIG(signature, &ret);
    } else {
        BN_free(r);
        BN_free(s);
    }
    ECDSA_SIG_free(signature);
    return length;
}

static bool sign(EVP_PKEY *key, const char *text, size_t length, unsigned char *ret)
{
    unsigned char der[DER_LIMIT];
    size_t size = sizeof(der);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool done = context != NULL && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
        EVP_DigestSign(context, der, &size, (const unsigned char *)text, length) == 1 && from_der(der, size, ret);

    EVP_MD_CTX_free(context);
    return done;
}

struct fault *jws_sign(struct arena *arena, struct jws_keys *keys, const json_t *payload, const char **ret)
{
    static const char header[] = "{\"alg\":\"ES256\",\"typ\":\"JWT\"}";
    const char *body = json_dump(arena, payload);
    const char *text = arena_printf(arena, "%s.%s", base64url_encode(arena, header, sizeof(header) - 1),
        base64url_encode(arena, body, strlen(body)));
    unsigned char signature[SIGNATURE];

    refresh(arena, keys, false);
    pthread_rwlock_rdlock(&keys->lock);
    bool done = sign(keys->private, text, strlen(text), signature);
    pthread_rwlock_unlock(&keys->lock);
    if (!done)
        return fault_new(arena, 500, NULL, "A token could not be signed");
    *ret = arena_printf(arena, "%s.%s", text, base64url_encode(arena, signature, sizeof(signature)));
    return NULL;
}

/* ---- Opening ---- */

static json_t *read_part(struct arena *arena, const char *text, size_t length)
{
    unsigned char *bytes;
    const char *why;
    size_t size;

    if (!base64url_decode(arena, text, length, &bytes, &size))
        return NULL;
    json_t *value = json_parse(arena, (const char *)bytes, size, &why);
    return json_is_object(value) ? value : NULL;
}

bool jws_parse(struct arena *arena, const char *text, size_t *ret_signed, unsigned char *ret_signature, json_t **ret_payload)
{
    const char *first = strchr(text, '.'), *second = first != NULL ? strchr(first + 1, '.') : NULL;
    unsigned char *signature;
    size_t length;

    if (strlen(text) > JWS_TEXT_LIMIT || second == NULL || strchr(second + 1, '.') != NULL)
        return false;
    const json_t *header = read_part(arena, text, (size_t)(first - text));
    const char *algorithm = json_text_at(header, "alg");
    if (algorithm == NULL || strcmp(algorithm, "ES256") != 0 || json_object_get(header, "crit") != NULL)
        return false;
    if (!base64url_decode(arena, second + 1, strlen(second + 1), &signature, &length) || length != SIGNATURE)
        return false;
    memcpy(ret_signature, signature, SIGNATURE);
    *ret_signed = (size_t)(second - text);
    *ret_payload = read_part(arena, first + 1, (size_t)(second - first - 1));
    return *ret_payload != NULL;
}

static bool fits(EVP_PKEY *key, const char *text, size_t length, const unsigned char *der, int size)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool right = context != NULL && EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
        EVP_DigestVerify(context, der, (size_t)size, (const unsigned char *)text, length) == 1;

    EVP_MD_CTX_free(context);
    return right;
}

static bool any_fits(struct jws_keys *keys, const char *text, size_t length, const unsigned char *der, int size)
{
    bool right = false;

    pthread_rwlock_rdlock(&keys->lock);
    for (size_t i = 0; i < keys->public_count && !right; i++)
        right = fits(keys->public[i], text, length, der, size);
    pthread_rwlock_unlock(&keys->lock);
    return right;
}

json_t *jws_open(struct arena *arena, struct jws_keys *keys, const char *text)
{
    unsigned char signature[SIGNATURE], der[DER_LIMIT];
    json_t *payload;
    size_t length;

    if (!jws_parse(arena, text, &length, signature, &payload))
        return NULL;
    int size = to_der(signature, der);
    if (size < 0)
        return NULL;
    refresh(arena, keys, false);
    if (any_fits(keys, text, length, der, size) || (refresh(arena, keys, true) && any_fits(keys, text, length, der, size)))
        return payload;
    return NULL;
}
