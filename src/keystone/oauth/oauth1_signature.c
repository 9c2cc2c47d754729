/* SPDX-License-Identifier: Apache-2.0 */
#include "keystone/oauth/oauth1_signature.h"

#include "base/buf.h"
#include "base/text.h"
#include "keystone/credential/ec2_signature.h"
#include "oslo/rest.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { PARAMETERS_LIMIT = 64, LIFETIME_S = 600, MAC_LIMIT = 64 };

/* ---- The header ---- */

static bool read_pair(struct arena *arena, const char *text, size_t length, struct oauth1_pair *ret)
{
    const char *equals = memchr(text, '=', length), *value, *name = text;

    if (equals == NULL)
        return false;
    size_t name_length = (size_t)(equals - text), value_length = length - name_length - 1;
    value = equals + 1;
    text_trim(&name, &name_length);
    text_trim(&value, &value_length);
    if (value_length >= 2 && value[0] == '"' && value[value_length - 1] == '"') {
        value++;
        value_length -= 2;
    }
    ret->name = text_unescape(arena, name, name_length, 0);
    ret->value = text_unescape(arena, value, value_length, 0);
    return name_length > 0 && ret->name != NULL && ret->value != NULL;
}

bool oauth1_parse(struct arena *arena, const char *header, struct oauth1_header *ret)
{
    if (header == NULL || strncasecmp(header, "OAuth ", 6) != 0)
        return false;
    *ret = (struct oauth1_header){ .pairs = ARENA_ARRAY(arena, struct oauth1_pair, PARAMETERS_LIMIT) };
    for (const char *at = header + 6; at != NULL;) {
        size_t length = strcspn(at, ",");
        if (ret->count == PARAMETERS_LIMIT || !read_pair(arena, at, length, &ret->pairs[ret->count]))
            return false;
        ret->count++;
        at = at[length] == ',' ? at + length + 1 : NULL;
    }
    return true;
}

const char *oauth1_parameter(const struct oauth1_header *header, const char *name)
{
    for (size_t i = 0; i < header->count; i++)
        if (strcmp(header->pairs[i].name, name) == 0)
            return header->pairs[i].value;
    return NULL;
}

/* ---- What must be there ---- */

static bool twice(const struct oauth1_header *header)
{
    for (size_t i = 0; i < header->count; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(header->pairs[i].name, header->pairs[k].name) == 0)
                return true;
    return false;
}

/* As keystone makes its ids, and wants nonces to be. */
static bool is_hex(const char *text)
{
    return text[strspn(text, "0123456789abcdef")] == '\0';
}

/* Known to oauthlib, as Python shows them. */
static const char *const known_methods[] = { "HMAC-SHA1", "HMAC-SHA256", "HMAC-SHA512", "RSA-SHA1", "RSA-SHA256", "RSA-SHA512",
    "PLAINTEXT" };
#define KNOWN_METHODS "('HMAC-SHA1', 'HMAC-SHA256', 'HMAC-SHA512', 'RSA-SHA1', 'RSA-SHA256', 'RSA-SHA512', 'PLAINTEXT')"

static const char *method_problem(struct arena *arena, const char *method, const char **ret_error)
{
    for (size_t i = 0; i < sizeof(known_methods) / sizeof(known_methods[0]); i++)
        if (strcmp(known_methods[i], method) == 0)
            return NULL;
    *ret_error = "invalid_signature_method";
    return arena_printf(arena, "Invalid signature, %s not in " KNOWN_METHODS ".", method);
}

const char *oauth1_problem(struct arena *arena, const struct oauth1_header *header, long long now_s, const char **ret_error)
{
    static const char *const wanted[] = { "oauth_signature", "oauth_consumer_key", "oauth_nonce", "oauth_timestamp",
        "oauth_signature_method" };
    const char *version = oauth1_parameter(header, "oauth_version"), *stamp = oauth1_parameter(header, "oauth_timestamp");
    const char *key = oauth1_parameter(header, "oauth_consumer_key"), *nonce = oauth1_parameter(header, "oauth_nonce"), *problem;

    *ret_error = "invalid_request";
    if (twice(header))
        return "Duplicate OAuth1 entries.";
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        const char *value = oauth1_parameter(header, wanted[i]);
        if (value == NULL || value[0] == '\0')
            return "Missing mandatory OAuth parameters.";
    }
    problem = method_problem(arena, oauth1_parameter(header, "oauth_signature_method"), ret_error);
    if (problem != NULL)
        return problem;
    if (version != NULL && strcmp(version, "1.0") != 0)
        return "Invalid OAuth version.";
    if (strlen(stamp) != 10)
        return "Invalid timestamp size";
    if (strspn(stamp, "0123456789") != 10)
        return "Timestamp must be an integer.";
    if (llabs(now_s - strtoll(stamp, NULL, 10)) > LIFETIME_S)
        return "Timestamp given is invalid, differ from allowed by over 600 seconds.";
    if (strlen(key) != 32 || !is_hex(key))
        return "Invalid client key format.";
    return is_hex(nonce) ? NULL : "Invalid nonce format.";
}

/* ---- The signature ---- */

static int by_name_and_value(const void *one, const void *other)
{
    const struct oauth1_pair *left = one, *right = other;
    int order = strcmp(left->name, right->name);

    return order != 0 ? order : strcmp(left->value, right->value);
}

static void add_pair(struct arena *arena, struct oauth1_pair *pairs, size_t *count, const struct oauth1_pair *pair)
{
    pairs[(*count)++] = (struct oauth1_pair){ rest_escape(arena, pair->name), rest_escape(arena, pair->value) };
}

/* All parameters but the signature and the realm, encoded, in order. */
static const char *normalized(struct arena *arena, const struct oauth1_header *header, const struct oauth1_pair *query,
    size_t query_count)
{
    struct oauth1_pair *pairs = ARENA_ARRAY(arena, struct oauth1_pair, header->count + query_count + 1);
    struct buf text = { 0 };
    size_t count = 0;

    for (size_t i = 0; i < header->count; i++)
        if (strcmp(header->pairs[i].name, "oauth_signature") != 0 && strcasecmp(header->pairs[i].name, "realm") != 0)
            add_pair(arena, pairs, &count, &header->pairs[i]);
    for (size_t i = 0; i < query_count; i++)
        add_pair(arena, pairs, &count, &query[i]);
    qsort(pairs, count, sizeof(*pairs), by_name_and_value);
    for (size_t i = 0; i < count; i++)
        buf_printf(&text, "%s%s=%s", i > 0 ? "&" : "", pairs[i].name, pairs[i].value);
    const char *copy = arena_strdup(arena, buf_text(&text));
    buf_release(&text);
    return copy;
}

/* Scheme and host in small letters, without the scheme's own port. */
static const char *base_url(struct arena *arena, const char *url)
{
    char *copy = arena_strdup(arena, url), *host = strstr(copy, "://");
    size_t end = host != NULL ? (size_t)(host - copy) + 3 + strcspn(host + 3, "/") : 0;

    for (size_t i = 0; i < end; i++)
        copy[i] = (char)tolower((unsigned char)copy[i]);
    const char *port = strncmp(copy, "http://", 7) == 0 ? ":80" : ":443";
    size_t length = strlen(port);
    if (end > length && strncmp(copy + end - length, port, length) == 0)
        memmove(copy + end - length, copy + end, strlen(copy + end) + 1);
    return copy;
}

static const EVP_MD *digest_of(const char *method)
{
    if (strcmp(method, "HMAC-SHA1") == 0)
        return EVP_sha1();
    if (strcmp(method, "HMAC-SHA256") == 0)
        return EVP_sha256();
    return strcmp(method, "HMAC-SHA512") == 0 ? EVP_sha512() : NULL;
}

bool oauth1_signature_right(struct arena *arena, const struct oauth1_header *header, const char *method, const char *url,
    const struct oauth1_pair *query, size_t query_count, const char *consumer_secret, const char *token_secret)
{
    const char *given = oauth1_parameter(header, "oauth_signature"), *way = oauth1_parameter(header, "oauth_signature_method");
    const char *key = arena_printf(arena, "%s&%s", rest_escape(arena, consumer_secret), rest_escape(arena, token_secret));
    unsigned char mac[MAC_LIMIT], text[MAC_LIMIT * 2];
    unsigned size = 0;

    if (given == NULL || way == NULL)
        return false;
    if (strcmp(way, "PLAINTEXT") == 0)
        return ec2_same_text(given, key);
    const EVP_MD *digest = digest_of(way);
    if (digest == NULL)
        return false;
    const char *base = arena_printf(arena, "%s&%s&%s", method, rest_escape(arena, base_url(arena, url)),
        rest_escape(arena, normalized(arena, header, query, query_count)));
    HMAC(digest, key, (int)strlen(key), (const unsigned char *)base, strlen(base), mac, &size);
    EVP_EncodeBlock(text, mac, (int)size);
    return ec2_same_text(given, (const char *)text);
}
