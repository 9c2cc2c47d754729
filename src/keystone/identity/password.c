/* SPDX-License-Identifier: Apache-2.0
 *
 * password: see password.h. bcrypt and sha512-crypt are libxcrypt's, scrypt and PBKDF2 are OpenSSL's.
 */
#include "keystone/identity/password.h"

#include "base/base64url.h"
#include "base/log.h"
#include "base/random.h"
#include "keystone/token/fernet.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BCRYPT_LENGTH = 72,
    BCRYPT_SALT = 22,             /* characters */
    DEFAULT_LENGTH = 4096,
    SALT_LIMIT = 96,
    DIGEST_LIMIT = 128,
    SCRYPT_DIGEST = 32,           /* bytes; a shorter one would be met by more passwords */
    PBKDF2_DIGEST = 64,
    ROUNDS_LIMIT = 100000000,     /* of PBKDF2 in a stored hash */
    SCRYPT_MEMORY = 1 << 30,
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_MD *sha256, *sha512;

static void fetch(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    sha512 = EVP_MD_fetch(NULL, "SHA512", NULL);
    if (sha256 == NULL || sha512 == NULL)
        abort();
}

/* ---- pieces ---- */

static bool is_bcrypt(const struct password_settings *settings)
{
    return settings->algorithm == NULL || strcmp(settings->algorithm, "bcrypt") == 0;
}

/* The password to work with: cut at `limit` bytes. A copy, which the caller wipes. */
static struct fault *cut(struct arena *arena, const struct password_settings *settings, const char *password,
    char **ret)
{
    size_t limit = settings->max_length > 0 ? settings->max_length : DEFAULT_LENGTH;
    size_t length = strlen(password);

    if (is_bcrypt(settings) && limit > BCRYPT_LENGTH)
        limit = BCRYPT_LENGTH;
    if (length > limit && settings->strict)
        return fault_new(arena, 403, "PasswordVerificationError", "The password length must be less than or equal to "
            "%zu. The server could not comply with the request because the password is invalid.", limit);
    *ret = arena_strndup(arena, password, length < limit ? length : limit);
    return NULL;
}

/* passlib's base64 of digests: the usual alphabet, or "." instead of "+"; no padding. */
static const char *passlib_encode(struct arena *arena, const void *data, size_t length, char plus)
{
    char *text = (char *)base64url_encode(arena, data, length);

    for (char *at = text; *at != '\0'; at++)
        *at = *at == '-' ? plus : *at == '_' ? '/' : *at;
    return text;
}

static bool passlib_decode(struct arena *arena, const char *text, size_t length, unsigned char **ret,
    size_t *ret_length)
{
    char *copy = arena_strndup(arena, text, length);

    for (char *at = copy; *at != '\0'; at++) {
        if (*at == '-' || *at == '_' || *at == '=')
            return false;
        *at = *at == '+' || *at == '.' ? '-' : *at == '/' ? '_' : *at;
    }
    return base64url_decode(arena, copy, strlen(copy), ret, ret_length) && *ret_length > 0 &&
        *ret_length <= DIGEST_LIMIT;
}

/* "SALT$DIGEST" */
static bool split_digest(struct arena *arena, const char *text, unsigned char **ret_salt, size_t *ret_salt_length,
    unsigned char **ret_digest, size_t *ret_digest_length)
{
    const char *dollar = strchr(text, '$');

    if (dollar == NULL)
        return false;
    if (dollar == text) { /* no salt at all is allowed by [identity] salt_bytesize */
        *ret_salt = (unsigned char *)arena_alloc(arena, 1);
        *ret_salt_length = 0;
    } else if (!passlib_decode(arena, text, (size_t)(dollar - text), ret_salt, ret_salt_length)) {
        return false;
    }
    return passlib_decode(arena, dollar + 1, strlen(dollar + 1), ret_digest, ret_digest_length);
}

/* ---- crypt(3) ---- */

/* The hash of a password under a setting, in the arena, or NULL. */
static const char *run_crypt(struct arena *arena, const char *password, const char *setting)
{
    struct crypt_data *data = calloc(1, sizeof(*data));
    const char *hash;

    if (data == NULL)
        abort();
    /* bcrypt itself looks at no more; crypt(3) refuses what is longer than 511 bytes */
    char *looked_at = arena_strndup(arena, password, setting[1] == '2' ? strnlen(password, BCRYPT_LENGTH) : strlen(password));
    hash = crypt_rn(looked_at, setting, data, sizeof(*data));
    OPENSSL_cleanse(looked_at, strlen(looked_at));
    hash = hash != NULL && *hash != '*' ? arena_strdup(arena, hash) : NULL;
    OPENSSL_cleanse(data, sizeof(*data));
    free(data);
    return hash;
}

static bool verify_crypt(struct arena *arena, const char *password, const char *hash)
{
    const char *again = run_crypt(arena, password, hash);

    return again != NULL && strlen(again) == strlen(hash) && CRYPTO_memcmp(again, hash, strlen(hash)) == 0;
}

static struct fault *hash_bcrypt(struct arena *arena, const struct password_settings *settings, const char *password,
    const char **ret)
{
    int rounds = settings->rounds > 0 ? settings->rounds : 12;
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    char salt[16];

    random_bytes(salt, sizeof(salt));
    if (rounds < 4 || rounds > 31 ||
        crypt_gensalt_rn("$2b$", (unsigned long)rounds, salt, sizeof(salt), setting, sizeof(setting)) == NULL)
        return fault_new(arena, 500, NULL, "password_hash_rounds of bcrypt must be between 4 and 31");
    *ret = run_crypt(arena, password, setting);
    return *ret != NULL ? NULL : fault_new(arena, 500, NULL, "bcrypt is not available");
}

/* bcrypt of base64(HMAC-SHA256(salt, password)) in version 2, of base64(SHA256(password)) in version 1. */
static bool verify_bcrypt_sha256(struct arena *arena, const char *password, const char *text)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned char inner[64];
    char type[3];
    const char *salt;
    unsigned length = 0;
    int rounds, used = 0;
    bool second = sscanf(text, "v=2,t=%2[abxy2],r=%2d$%n", type, &rounds, &used) == 2 && used > 0;
    bool same;

    if (!second && (sscanf(text, "%2[abxy2],%2d$%n", type, &rounds, &used) != 2 || used == 0))
        return false;
    salt = text + used;
    if (strlen(salt) != BCRYPT_SALT + 1 + 31 || salt[BCRYPT_SALT] != '$' || rounds < 4 || rounds > 31)
        return false;
    if (second ? HMAC(sha256, salt, BCRYPT_SALT, (const unsigned char *)password, strlen(password), digest,
                     &length) == NULL
               : !EVP_Digest(password, strlen(password), digest, &length, sha256, NULL))
        return false;
    EVP_EncodeBlock(inner, digest, (int)length);
    same = verify_crypt(arena, (const char *)inner, arena_printf(arena, "$%s$%02d$%.*s%s", type, rounds, BCRYPT_SALT,
        salt, salt + BCRYPT_SALT + 1));
    OPENSSL_cleanse(digest, sizeof(digest));
    OPENSSL_cleanse(inner, sizeof(inner));
    return same;
}

/* ---- scrypt and PBKDF2 ---- */

static bool run_scrypt(const char *password, const void *salt, size_t salt_length, int rounds, int block,
    int parallel, unsigned char *ret, size_t length)
{
    return rounds >= 1 && rounds <= 31 && block >= 1 && parallel >= 1 &&
        EVP_PBE_scrypt(password, strlen(password), salt, salt_length, (uint64_t)1 << rounds, (uint64_t)block,
            (uint64_t)parallel, SCRYPT_MEMORY, ret, length) == 1;
}

static size_t make_salt(const struct password_settings *settings, unsigned char salt[SALT_LIMIT])
{
    size_t length = settings->salt_size > 0 ? (size_t)settings->salt_size : 16;

    if (length > SALT_LIMIT)
        length = SALT_LIMIT;
    random_bytes(salt, length);
    return length;
}

static struct fault *hash_scrypt(struct arena *arena, const struct password_settings *settings, const char *password,
    const char **ret)
{
    int rounds = settings->rounds > 0 ? settings->rounds : 16;
    int block = settings->scrypt_block_size > 0 ? settings->scrypt_block_size : 8;
    int parallel = settings->scrypt_parallelism > 0 ? settings->scrypt_parallelism : 1;
    unsigned char salt[SALT_LIMIT], digest[SCRYPT_DIGEST];
    size_t length = make_salt(settings, salt);

    if (!run_scrypt(password, salt, length, rounds, block, parallel, digest, sizeof(digest)))
        return fault_new(arena, 500, NULL, "password_hash_rounds, scrypt_block_size and scrypt_parallelism need more "
            "than 1 GiB, or are out of range");
    *ret = arena_printf(arena, "$scrypt$ln=%d,r=%d,p=%d$%s$%s", rounds, block, parallel,
        passlib_encode(arena, salt, length, '+'), passlib_encode(arena, digest, sizeof(digest), '+'));
    return NULL;
}

static bool verify_scrypt(struct arena *arena, const char *password, const char *text)
{
    unsigned char again[DIGEST_LIMIT];
    unsigned char *salt, *digest;
    size_t salt_length, length;
    int rounds, block, parallel, used = 0;

    if (sscanf(text, "ln=%2d,r=%9d,p=%9d$%n", &rounds, &block, &parallel, &used) != 3 || used == 0)
        return false;
    return split_digest(arena, text + used, &salt, &salt_length, &digest, &length) &&
        length == SCRYPT_DIGEST && run_scrypt(password, salt, salt_length, rounds, block, parallel, again, length) &&
        CRYPTO_memcmp(again, digest, length) == 0;
}

static bool run_pbkdf2(const char *password, const unsigned char *salt, size_t salt_length, int rounds,
    unsigned char *ret, size_t length)
{
    return rounds >= 1 && rounds <= ROUNDS_LIMIT && strlen(password) <= INT32_MAX &&
        PKCS5_PBKDF2_HMAC(password, (int)strlen(password), salt, (int)salt_length, rounds, sha512, (int)length,
            ret) == 1;
}

static struct fault *hash_pbkdf2(struct arena *arena, const struct password_settings *settings, const char *password,
    const char **ret)
{
    int rounds = settings->rounds > 0 ? settings->rounds : 25000;
    unsigned char salt[SALT_LIMIT], digest[PBKDF2_DIGEST];
    size_t length = make_salt(settings, salt);

    if (!run_pbkdf2(password, salt, length, rounds, digest, sizeof(digest)))
        return fault_new(arena, 500, NULL, "password_hash_rounds of pbkdf2_sha512 is out of range");
    *ret = arena_printf(arena, "$pbkdf2-sha512$%d$%s$%s", rounds, passlib_encode(arena, salt, length, '.'),
        passlib_encode(arena, digest, sizeof(digest), '.'));
    return NULL;
}

static bool verify_pbkdf2(struct arena *arena, const char *password, const char *text)
{
    unsigned char again[DIGEST_LIMIT];
    unsigned char *salt, *digest;
    size_t salt_length, length;
    int rounds, used = 0;

    if (sscanf(text, "%9d$%n", &rounds, &used) != 1 || used == 0)
        return false;
    return split_digest(arena, text + used, &salt, &salt_length, &digest, &length) &&
        length == PBKDF2_DIGEST && run_pbkdf2(password, salt, salt_length, rounds, again, length) &&
        CRYPTO_memcmp(again, digest, length) == 0;
}

/* ---- the front ---- */

static const struct algorithm {
    const char *name; /* as [identity] password_hash_algorithm; NULL: only verified */
    const char *ident;
    struct fault *(*hash)(struct arena *arena, const struct password_settings *settings, const char *password,
        const char **ret);
    bool (*verify)(struct arena *arena, const char *password, const char *text);
    bool whole; /* verify gets the hash with its ident */
} algorithms[] = {
    { "bcrypt",        "$2b$",            hash_bcrypt, verify_crypt,         true },
    { "scrypt",        "$scrypt$",        hash_scrypt, verify_scrypt,        false },
    { "pbkdf2_sha512", "$pbkdf2-sha512$", hash_pbkdf2, verify_pbkdf2,        false },
    { NULL,            "$2a$",            NULL,        verify_crypt,         true },
    { NULL,            "$2x$",            NULL,        verify_crypt,         true },
    { NULL,            "$2y$",            NULL,        verify_crypt,         true },
    { NULL,            "$bcrypt-sha256$", NULL,        verify_bcrypt_sha256, false },
    { NULL,            "$6$",             NULL,        verify_crypt,         true },
};

struct fault *password_hash(struct arena *arena, const struct password_settings *settings, const char *password,
    const char **ret)
{
    const char *name = settings->algorithm != NULL ? settings->algorithm : "bcrypt";
    struct fault *fault;
    char *copy;

    pthread_once(&once, fetch);
    for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++) {
        if (algorithms[i].name == NULL || strcmp(algorithms[i].name, name) != 0)
            continue;
        TRY(cut(arena, settings, password, &copy));
        fault = algorithms[i].hash(arena, settings, copy, ret);
        OPENSSL_cleanse(copy, strlen(copy));
        return fault;
    }
    return fault_new(arena, 500, NULL, "Password Hash Algorithm %s not found", name);
}

struct fault *password_verify(struct arena *arena, const struct password_settings *settings, const char *password,
    const char *hash, bool *ret)
{
    char *copy;

    *ret = false;
    if (password == NULL || hash == NULL)
        return NULL;
    pthread_once(&once, fetch);
    for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++) {
        size_t length = strlen(algorithms[i].ident);

        if (strncmp(hash, algorithms[i].ident, length) != 0)
            continue;
        TRY(cut(arena, settings, password, &copy));
        *ret = algorithms[i].verify(arena, copy, algorithms[i].whole ? hash : hash + length);
        OPENSSL_cleanse(copy, strlen(copy));
        return NULL;
    }
    log_error("keystone.password", "Unsupported password hashing algorithm ident");
    return NULL;
}
