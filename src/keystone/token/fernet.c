/* SPDX-License-Identifier: Apache-2.0
 *
 * fernet: see fernet.h. Sealing and opening; the repository's files are fernet_repository.c.
 */
#include "keystone/token/fernet.h"

#include "base/base64url.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/text.h"
#include "keystone/token/fernet_repository.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { VERSION = 0x80, HEADER = 1 + 8 + 16, MAC_SIZE = 32, BLOCK = 16, FRESH_US = 50000 };

struct key {
    unsigned char bytes[FERNET_KEY_SIZE];
    EVP_MAC_CTX *mac; /* ready to be copied */
};

/* Immutable once it is current; older ones live until the repository is closed. */
struct key_set {
    struct key_set *older;
    size_t count;
    struct key keys[]; /* the primary first */
};

struct fernet_keys {
    char *directory;
    bool null_key;
    _Atomic(struct key_set *) current;
    _Atomic int64_t changed_ns; /* the directory's time of change when it was read */
    atomic_bool unsettled;      /* it was read so soon after a change that the next one may show the same time */
    pthread_mutex_t mutex;      /* reading */
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_CIPHER *cipher;
static EVP_MAC *hmac;

static void fetch(void)
{
    cipher = EVP_CIPHER_fetch(NULL, "AES-128-CBC", NULL);
    hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    if (cipher == NULL || hmac == NULL)
        abort();
}

/* ---- keys ---- */

static void key_init(struct key *key, const unsigned char *bytes)
{
    OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_end() };

    memcpy(key->bytes, bytes, FERNET_KEY_SIZE);
    key->mac = EVP_MAC_CTX_new(hmac);
    if (key->mac == NULL || !EVP_MAC_init(key->mac, key->bytes, FERNET_KEY_SIZE / 2, params))
        abort();
}

static void key_set_destroy(struct key_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        EVP_MAC_CTX_free(set->keys[i].mac);
        OPENSSL_cleanse(set->keys[i].bytes, FERNET_KEY_SIZE);
    }
    free(set);
}

static bool same_keys(const struct key_set *set, unsigned char (*bytes)[FERNET_KEY_SIZE], size_t count)
{
    if (set == NULL || set->count != count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (CRYPTO_memcmp(set->keys[i].bytes, bytes[i], FERNET_KEY_SIZE) != 0)
            return false;
    return true;
}

static void publish(struct fernet_keys *keys, unsigned char (*bytes)[FERNET_KEY_SIZE], size_t count)
{
    struct key_set *set;

    if (same_keys(atomic_load(&keys->current), bytes, count))
        return;
    set = calloc(1, sizeof(*set) + count * sizeof(set->keys[0]));
    if (set == NULL)
        abort();
    set->count = count;
    for (size_t i = 0; i < count; i++)
        key_init(&set->keys[i], bytes[i]);
    set->older = atomic_load(&keys->current);
    atomic_store(&keys->current, set);
}

static int64_t directory_changed_ns(const struct fernet_keys *keys)
{
    struct stat status;

    if (stat(keys->directory, &status) != 0)
        return -1;
    return (int64_t)status.st_mtim.tv_sec * 1000000000 + status.st_mtim.tv_nsec;
}

/* Reads the repository. A repository that is gone or empty for a moment leaves the keys as they were. */
static struct fault *read_keys(struct arena *arena, struct fernet_keys *keys)
{
    unsigned char bytes[FERNET_KEYS_LIMIT + 1][FERNET_KEY_SIZE];
    int64_t changed = directory_changed_ns(keys);
    size_t count = 0;
    struct fault *fault = fernet_read_keys(arena, keys->directory, bytes, &count);

    if (fault == NULL && keys->null_key)
        memset(bytes[count++], 0, FERNET_KEY_SIZE);
    if (fault == NULL && count == 0)
        fault = fault_new(arena, 500, "KeysNotFound", "No encryption keys found; run keystone-manage fernet_setup to "
            "bootstrap one.");
    if (fault == NULL) {
        publish(keys, bytes, count);
        atomic_store(&keys->changed_ns, changed);
        atomic_store(&keys->unsettled, clock_now_us() - changed / 1000 < FRESH_US);
    }
    OPENSSL_cleanse(bytes, sizeof(bytes));
    return fault;
}

static struct key_set *current_keys(struct arena *arena, struct fernet_keys *keys)
{
    int64_t changed = directory_changed_ns(keys);

    if (changed >= 0 && (changed != atomic_load(&keys->changed_ns) || atomic_load(&keys->unsettled))) {
        pthread_mutex_lock(&keys->mutex);
        (void)read_keys(arena, keys);
        pthread_mutex_unlock(&keys->mutex);
    }
    return atomic_load(&keys->current);
}

struct fault *fernet_keys_open(struct arena *arena, const char *directory, bool null_key, struct fernet_keys **ret)
{
    struct fernet_keys *keys = calloc(1, sizeof(*keys));
    struct fault *fault;

    if (keys == NULL)
        abort();
    pthread_once(&once, fetch);
    keys->directory = strdup(directory);
    keys->null_key = null_key;
    pthread_mutex_init(&keys->mutex, NULL);
    fault = read_keys(arena, keys);
    if (fault != NULL)
        fernet_keys_close(keys);
    else
        *ret = keys;
    return fault;
}

void fernet_keys_close(struct fernet_keys *keys)
{
    struct key_set *set;

    if (keys == NULL)
        return;
    for (set = atomic_load(&keys->current); set != NULL;) {
        struct key_set *older = set->older;

        key_set_destroy(set);
        set = older;
    }
    pthread_mutex_destroy(&keys->mutex);
    free(keys->directory);
    free(keys);
}

/* ---- tokens ---- */

static bool sign(const struct key *key, const unsigned char *data, size_t length, unsigned char *ret_mac)
{
    EVP_MAC_CTX *mac = EVP_MAC_CTX_dup(key->mac);
    size_t size = 0;
    bool done = mac != NULL && EVP_MAC_update(mac, data, length) && EVP_MAC_final(mac, ret_mac, &size, MAC_SIZE) &&
        size == MAC_SIZE;

    EVP_MAC_CTX_free(mac);
    return done;
}

/* One pass of AES-128-CBC with padding. Returns the length, or -1. */
static int crypt_cbc(const struct key *key, const unsigned char *iv, const unsigned char *from, int length,
    unsigned char *to, bool encrypt)
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int first = 0, last = 0;
    bool done = context != NULL &&
        EVP_CipherInit_ex2(context, cipher, key->bytes + FERNET_KEY_SIZE / 2, iv, encrypt, NULL) &&
        EVP_CipherUpdate(context, to, &first, from, length) && EVP_CipherFinal_ex(context, to + first, &last);

    EVP_CIPHER_CTX_free(context);
    return done ? first + last : -1;
}

static struct fault *seal(struct arena *arena, const struct key *key, const void *data, size_t length, bool padding,
    const char **ret)
{
    unsigned char *token;
    uint64_t seconds = (uint64_t)(clock_now_us() / 1000000);
    const char *text;
    size_t size;
    int sealed;

    if (length > FERNET_TOKEN_LIMIT / 2)
        return fault_new(arena, 500, NULL, "%zu bytes are too much for a token", length);
    token = arena_alloc(arena, HEADER + length + BLOCK + MAC_SIZE);
    token[0] = VERSION;
    for (int i = 0; i < 8; i++)
        token[1 + i] = (unsigned char)(seconds >> (56 - 8 * i));
    random_bytes(token + 9, 16);
    sealed = crypt_cbc(key, token + 9, data, (int)length, token + HEADER, true);
    if (sealed < 0 || !sign(key, token, HEADER + (size_t)sealed, token + HEADER + sealed))
        return fault_new(arena, 500, NULL, "A token could not be sealed");
    size = HEADER + (size_t)sealed + MAC_SIZE;
    text = base64url_encode(arena, token, size);
    *ret = padding ? arena_printf(arena, "%s%s", text, &"=="[2 - (3 - size % 3) % 3]) : text;
    return NULL;
}

struct fault *fernet_encrypt(struct arena *arena, struct fernet_keys *keys, const void *data, size_t length,
    bool padding, const char **ret)
{
    return seal(arena, &current_keys(arena, keys)->keys[0], data, length, padding, ret);
}

const char *fernet_key_hash(struct arena *arena, const unsigned char *bytes)
{
    unsigned char digest[20];
    char *text = arena_printf(arena, "%s=", base64url_encode(arena, bytes, FERNET_KEY_SIZE));

    if (EVP_Digest(text, strlen(text), digest, NULL, EVP_sha1(), NULL) != 1)
        abort();
    OPENSSL_cleanse(text, strlen(text));
    return text_hex(arena, digest, sizeof(digest));
}

struct fault *fernet_encrypt_hashed(struct arena *arena, struct fernet_keys *keys, const void *data, size_t length,
    const char **ret, const char **ret_hash)
{
    const struct key *key = &current_keys(arena, keys)->keys[0];

    *ret_hash = fernet_key_hash(arena, key->bytes);
    return seal(arena, key, data, length, true, ret);
}

bool fernet_decrypt(struct arena *arena, struct fernet_keys *keys, const char *token, void **ret_data,
    size_t *ret_length, int64_t *ret_issued_s)
{
    const struct key_set *set = current_keys(arena, keys);
    size_t text_length = strnlen(token, FERNET_TOKEN_LIMIT + 1);
    unsigned char mac[MAC_SIZE];
    unsigned char *bytes, *data;
    size_t length, sealed;
    uint64_t seconds = 0;
    int opened;

    if (text_length > FERNET_TOKEN_LIMIT || !base64url_decode(arena, token, text_length, &bytes, &length))
        return false;
    if (length < HEADER + BLOCK + MAC_SIZE || bytes[0] != VERSION || (length - HEADER - MAC_SIZE) % BLOCK != 0)
        return false;
    sealed = length - HEADER - MAC_SIZE;
    for (size_t i = 0; i < set->count; i++) {
        if (!sign(&set->keys[i], bytes, length - MAC_SIZE, mac) ||
            CRYPTO_memcmp(mac, bytes + length - MAC_SIZE, MAC_SIZE) != 0)
            continue;
        data = arena_alloc(arena, sealed + BLOCK);
        opened = crypt_cbc(&set->keys[i], bytes + 9, bytes + HEADER, (int)sealed, data, false);
        if (opened < 0)
            return false;
        data[opened] = '\0';
        for (int b = 0; b < 8; b++)
            seconds = seconds << 8 | bytes[1 + b];
        *ret_data = data;
        *ret_length = (size_t)opened;
        if (ret_issued_s != NULL)
            *ret_issued_s = (int64_t)seconds;
        return true;
    }
    return false;
}
