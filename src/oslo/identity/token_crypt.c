/* SPDX-License-Identifier: Apache-2.0
 * token_crypt: see token_crypt.h. */
#include "oslo/identity/token_crypt.h"

#include "base/text.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIGEST = 48, MAC_TEXT = 64, PART = 16, BLOCK = 16, VALUE_LIMIT = 1 << 20 };

static bool hmac(unsigned char to[DIGEST], const void *key, size_t key_length, const void *data, size_t length)
{
    unsigned size = 0;
    return HMAC(EVP_sha384(), key, (int)key_length, data, length, to, &size) != NULL && size == DIGEST;
}

static bool plain_name(struct token_keys *keys, const char *token)
{
    unsigned char raw[32];
    if (EVP_Q_digest(NULL, "SHA256", NULL, token, strlen(token), raw, NULL) != 1)
        return false;
    int at = snprintf(keys->name, sizeof(keys->name), "tokens/");
    text_hex_write(keys->name + at, raw, sizeof(raw));
    return true;
}

bool token_keys_derive(struct token_keys *keys, const char *token, const char *secret, enum token_strategy strategy)
{
    const char *word = strategy == TOKEN_MAC ? "MAC" : "ENCRYPT";
    memset(keys, 0, sizeof(*keys));
    keys->strategy = strategy;
    if (strategy == TOKEN_PLAIN)
        return plain_name(keys, token);
    unsigned char digest[DIGEST], name[32];
    size_t length = strlen(token) + strlen(word);
    char *text = malloc(length + 1);
    if (text == NULL)
        abort();
    snprintf(text, length + 1, "%s%s", token, word);
    bool done = hmac(digest, secret, strlen(secret), text, length);
    OPENSSL_cleanse(text, length);
    free(text);
    if (!done)
        return false;
    EVP_EncodeBlock(name, digest, PART);
    snprintf(keys->name, sizeof(keys->name), "tokens/b'%s'", (const char *)name); /* the bytes as Python 3 prints them */
    memcpy(keys->mac, digest + PART, PART);
    memcpy(keys->encryption, digest + 2 * PART, PART);
    OPENSSL_cleanse(digest, sizeof(digest));
    return true;
}

/* Ciphers `length` bytes; `to` has room for BLOCK more. Returns how many came out; -1: OpenSSL failed, or the padding is wrong. */
static int cipher(const struct token_keys *keys, const unsigned char iv[BLOCK], const unsigned char *from, int length,
    unsigned char *to, bool encrypt)
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int first = 0, last = 0;
    bool done = context != NULL && EVP_CipherInit_ex(context, EVP_aes_128_cbc(), NULL, keys->encryption, iv, encrypt) == 1 &&
        EVP_CipherUpdate(context, to, &first, from, length) == 1 && EVP_CipherFinal_ex(context, to + first, &last) == 1;
    EVP_CIPHER_CTX_free(context);
    return done ? first + last : -1;
}

const char *token_protect(struct arena *arena, const struct token_keys *keys, const char *data, size_t length, size_t *ret_length)
{
    unsigned char mac[DIGEST];
    if (keys->strategy == TOKEN_PLAIN) {
        *ret_length = length;
        return data;
    }
    if (length > VALUE_LIMIT)
        return NULL;
    const unsigned char *inner = (const unsigned char *)data;
    if (keys->strategy == TOKEN_ENCRYPT) {
        unsigned char *sealed = arena_alloc(arena, length + 2 * BLOCK);
        if (RAND_bytes(sealed, BLOCK) != 1)
            return NULL;
        int n = cipher(keys, sealed, inner, (int)length, sealed + BLOCK, true);
        if (n < 0)
            return NULL;
        inner = sealed;
        length = (size_t)n + BLOCK;
    }
    char *value = arena_alloc(arena, MAC_TEXT + (length + 2) / 3 * 4 + 1);
    int text = EVP_EncodeBlock((unsigned char *)value + MAC_TEXT, inner, (int)length);
    if (!hmac(mac, keys->mac, PART, value + MAC_TEXT, (size_t)text))
        return NULL;
    char first = value[MAC_TEXT]; /* EncodeBlock ends with a NUL */
    EVP_EncodeBlock((unsigned char *)value, mac, DIGEST);
    value[MAC_TEXT] = first;
    *ret_length = MAC_TEXT + (size_t)text;
    return value;
}

/* Base64 with its padding; -1: it is none. */
static int decode(unsigned char *to, const char *text, size_t length)
{
    if (length == 0 || length % 4 != 0)
        return -1;
    int n = EVP_DecodeBlock(to, (const unsigned char *)text, (int)length);
    if (n < 0)
        return -1;
    return n - (text[length - 1] == '=') - (text[length - 2] == '=');
}

const char *token_unprotect(struct arena *arena, const struct token_keys *keys, const char *value, size_t length,
    size_t *ret_length)
{
    unsigned char mac[DIGEST], text[MAC_TEXT + 1];
    if (keys->strategy == TOKEN_PLAIN) {
        *ret_length = length;
        return value;
    }
    if (length <= MAC_TEXT || length > 2 * VALUE_LIMIT || !hmac(mac, keys->mac, PART, value + MAC_TEXT, length - MAC_TEXT))
        return NULL;
    EVP_EncodeBlock(text, mac, DIGEST);
    if (CRYPTO_memcmp(text, value, MAC_TEXT) != 0)
        return NULL;
    unsigned char *raw = arena_alloc(arena, length);
    int n = decode(raw, value + MAC_TEXT, length - MAC_TEXT);
    if (n >= 0 && keys->strategy == TOKEN_ENCRYPT) {
        if (n < 2 * BLOCK || n % BLOCK != 0)
            return NULL;
        unsigned char *plain = arena_alloc(arena, (size_t)n + 1);
        n = cipher(keys, raw, raw + BLOCK, n - BLOCK, plain, false);
        raw = plain;
    }
    if (n < 0)
        return NULL;
    raw[n] = '\0';
    *ret_length = (size_t)n;
    return (const char *)raw;
}
