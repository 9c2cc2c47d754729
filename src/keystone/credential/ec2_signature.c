/* SPDX-License-Identifier: Apache-2.0 */
#include "keystone/credential/ec2_signature.h"

#include "base/text.h"
#include "oslo/json.h"
#include "oslo/rest.h"
#include "oslo/schema.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { SHA256_SIZE = 32, SHA1_SIZE = 20, SIGNED_HEADERS_LIMIT = 256 };

/* ---- Digests ---- */

static void hmac_256(const void *key, size_t key_length, const char *text, size_t length, unsigned char *ret)
{
    HMAC(EVP_sha256(), key, (int)key_length, (const unsigned char *)text, length, ret, NULL);
}

static const char *base64(struct arena *arena, const unsigned char *bytes, size_t length)
{
    char *text = arena_alloc(arena, length * 2 + 8);

    EVP_EncodeBlock((unsigned char *)text, bytes, (int)length);
    return text;
}

static const char *sign_sha1(struct arena *arena, const char *secret, const char *text, size_t length)
{
    unsigned char mac[SHA1_SIZE];

    HMAC(EVP_sha1(), secret, (int)strlen(secret), (const unsigned char *)text, length, mac, NULL);
    return base64(arena, mac, sizeof(mac));
}

/* The key of version 4: derived from the secret by what the credential is limited to. */
static const char *sign_v4(struct arena *arena, const char *secret, const char *const *scope, const char *text, size_t length)
{
    char *first = arena_printf(arena, "AWS4%s", secret);
    unsigned char key[SHA256_SIZE], mac[SHA256_SIZE];

    hmac_256(first, strlen(first), scope[0], strlen(scope[0]), key);
    OPENSSL_cleanse(first, strlen(first));
    for (int i = 1; i < 4; i++) {
        hmac_256(key, sizeof(key), scope[i], strlen(scope[i]), mac);
        memcpy(key, mac, sizeof(key));
    }
    hmac_256(key, sizeof(key), text, length, mac);
    OPENSSL_cleanse(key, sizeof(key));
    return text_hex(arena, mac, sizeof(mac));
}

/* Text of a parameter, as Python's str() writes what is none. */
static const char *parameter(struct arena *arena, const json_t *value)
{
    struct buf out = { 0 };

    if (json_is_string(value))
        return json_string_value(value);
    python_str(&out, value);
    const char *text = arena_strdup(arena, buf_text(&out));
    buf_release(&out);
    return text;
}

/* ---- Parameters in order ---- */

struct pair {
    const char *name, *value;
};

static int by_name(const void *one, const void *other)
{
    return strcmp(((const struct pair *)one)->name, ((const struct pair *)other)->name);
}

static int by_name_any_case(const void *one, const void *other)
{
    return strcasecmp(((const struct pair *)one)->name, ((const struct pair *)other)->name);
}

static struct pair *sorted(struct arena *arena, const json_t *params, int (*order)(const void *, const void *), size_t *ret)
{
    struct pair *pairs = ARENA_ARRAY(arena, struct pair, json_object_size(params) + 2);
    const char *name;
    json_t *value;
    size_t count = 0;

    json_object_foreach((json_t *)params, name, value) {
        pairs[count++] = (struct pair){ name, parameter(arena, value) };
    }
    qsort(pairs, count, sizeof(*pairs), order);
    *ret = count;
    return pairs;
}

static void add_query(struct arena *arena, struct buf *out, const json_t *params)
{
    size_t count;
    const struct pair *pairs = sorted(arena, params, by_name, &count);

    for (size_t i = 0; i < count; i++)
        buf_printf(out, "%s%s=%s", i > 0 ? "&" : "", rest_escape(arena, pairs[i].name), rest_escape(arena, pairs[i].value));
}

/* ---- Versions ---- */

static const char *sign_version_0(struct arena *arena, const char *secret, const json_t *params)
{
    const char *action = json_text_at(params, "Action"), *timestamp = json_text_at(params, "Timestamp");

    if (action == NULL || timestamp == NULL)
        return NULL;
    const char *text = arena_printf(arena, "%s%s", action, timestamp);
    return sign_sha1(arena, secret, text, strlen(text));
}

static const char *sign_version_1(struct arena *arena, const char *secret, const json_t *params)
{
    struct buf text = { 0 };
    size_t count;
    const struct pair *pairs = sorted(arena, params, by_name_any_case, &count);

    for (size_t i = 0; i < count; i++)
        buf_printf(&text, "%s%s", pairs[i].name, pairs[i].value);
    const char *signature = sign_sha1(arena, secret, buf_text(&text), text.length);
    buf_release(&text);
    return signature;
}

static const char *sign_version_2(struct arena *arena, const char *secret, const json_t *request, const char *host)
{
    const char *verb = json_text_at(request, "verb"), *path = json_text_at(request, "path");
    json_t *params = json_keep(arena, json_copy(json_object_get(request, "params")));
    unsigned char mac[SHA256_SIZE];
    struct buf text = { 0 };

    if (verb == NULL || host == NULL || path == NULL)
        return NULL;
    json_object_set_new(params, "SignatureMethod", json_string("HmacSHA256"));
    buf_printf(&text, "%s\n%s\n%s\n", verb, host, path);
    add_query(arena, &text, params);
    hmac_256(secret, strlen(secret), buf_text(&text), text.length, mac);
    buf_release(&text);
    return base64(arena, mac, sizeof(mac));
}

/* What version 4 says of itself: in the header Authorization ("name=...,"), else in the parameter X-Amz-name. */
static const char *auth_parameter(struct arena *arena, const json_t *request, const char *name)
{
    const char *header = json_string_value(json_object_get(json_object_get(request, "headers"), "Authorization"));

    if (header == NULL)
        return json_string_value(json_object_get(json_object_get(request, "params"), arena_printf(arena, "X-Amz-%s", name)));
    const char *word = arena_printf(arena, "%s=", name), *at = strstr(header, word);
    if (at == NULL)
        return "";
    at += strlen(word);
    return arena_strndup(arena, at, strcspn(at, ","));
}

static const char *trimmed(struct arena *arena, const char *text)
{
    size_t length = strlen(text);

    text_trim(&text, &length);
    return arena_strndup(arena, text, length);
}

static const char *header_named(struct arena *arena, const json_t *headers, const char *wanted)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)headers, name, value) {
        if (json_is_string(value) && strcasecmp(trimmed(arena, name), wanted) == 0)
            return trimmed(arena, json_string_value(value));
    }
    return NULL;
}

/* Boto before 2.9.3 signs its host without the port. */
static bool old_boto(const char *agent)
{
    return agent != NULL && strncmp(agent, "Boto/2.", 7) == 0 && isdigit((unsigned char)agent[7]) && agent[8] == '.' &&
        agent[9] >= '0' && agent[9] <= '2';
}

static void add_headers(struct arena *arena, struct buf *out, const json_t *headers, const char *names)
{
    bool without_port = old_boto(header_named(arena, headers, "user-agent")), first = true;
    char *left = arena_strdup(arena, names), *name;

    for (int i = 0; i < SIGNED_HEADERS_LIMIT && (name = strsep(&left, ";")) != NULL; i++) {
        const char *value = header_named(arena, headers, name);
        if (value == NULL)
            continue;
        int length = (int)(without_port && strcmp(name, "host") == 0 ? strcspn(value, ":") : strlen(value));
        buf_printf(out, "%s%s:%.*s", first ? "" : "\n", name, length, value);
        first = false;
    }
    buf_puts(out, "\n");
}

static const char *upper(struct arena *arena, const char *text)
{
    char *copy = arena_strdup(arena, text);

    for (char *at = copy; *at != '\0'; at++)
        *at = (char)toupper((unsigned char)*at);
    return copy;
}

/* SHA-256 of the canonical request, in hexadecimal digits. */
static const char *canonical_hash(struct arena *arena, const json_t *request, const char *signed_headers)
{
    const char *verb = json_text_at(request, "verb"), *path = json_text_at(request, "path");
    const char *body_hash = json_text_at(request, "body_hash");
    unsigned char digest[SHA256_SIZE];
    struct buf text = { 0 };

    if (verb == NULL || path == NULL || body_hash == NULL)
        return NULL;
    verb = upper(arena, verb);
    buf_printf(&text, "%s\n%s\n", verb, path);
    if (strcmp(verb, "POST") != 0)
        add_query(arena, &text, json_object_get(request, "params"));
    buf_puts(&text, "\n");
    add_headers(arena, &text, json_object_get(request, "headers"), signed_headers);
    buf_printf(&text, "\n%s\n%s", signed_headers, body_hash);
    bool hashed = EVP_Digest(buf_text(&text), text.length, digest, NULL, EVP_sha256(), NULL) == 1;
    buf_release(&text);
    return hashed ? text_hex(arena, digest, sizeof(digest)) : NULL;
}

static const char *sign_version_4(struct arena *arena, const char *secret, const json_t *request)
{
    const char *signed_headers = auth_parameter(arena, request, "SignedHeaders");
    const char *credential = auth_parameter(arena, request, "Credential");
    const char *date = json_string_value(json_object_get(json_object_get(request, "headers"), "X-Amz-Date"));
    const char *parts[4] = { NULL, NULL, NULL, "aws4_request" };

    if (date == NULL)
        date = json_string_value(json_object_get(json_object_get(request, "params"), "X-Amz-Date"));
    const char *scope = credential != NULL ? strchr(credential, '/') : NULL;
    if (signed_headers == NULL || scope == NULL || date == NULL)
        return NULL;
    char *left = arena_strdup(arena, scope + 1);
    for (int i = 0; i < 3; i++)
        parts[i] = strsep(&left, "/");
    if (parts[2] == NULL || strncmp(date, parts[0], strlen(parts[0])) != 0)
        return NULL;
    const char *hash = canonical_hash(arena, request, signed_headers);
    if (hash == NULL)
        return NULL;
    const char *text = arena_printf(arena, "AWS4-HMAC-SHA256\n%s\n%s\n%s", date, scope + 1, hash);
    return sign_v4(arena, secret, parts, text, strlen(text));
}

static bool is_version_4(const json_t *request)
{
    const char *header = json_string_value(json_object_get(json_object_get(request, "headers"), "Authorization"));
    const char *algorithm = json_string_value(json_object_get(json_object_get(request, "params"), "X-Amz-Algorithm"));

    if (header != NULL)
        return strncmp(header, "AWS4-HMAC-SHA256", 16) == 0;
    return algorithm != NULL && strcmp(algorithm, "AWS4-HMAC-SHA256") == 0;
}

const char *ec2_sign(struct arena *arena, const char *secret, const json_t *request, const char *host)
{
    const json_t *params = json_object_get(request, "params");
    const char *version = json_text_at(params, "SignatureVersion");

    if (!json_is_object(params))
        return NULL;
    if (host == NULL)
        host = json_text_at(request, "host");
    if (version != NULL && strcmp(version, "0") == 0)
        return sign_version_0(arena, secret, params);
    if (version != NULL && strcmp(version, "1") == 0)
        return sign_version_1(arena, secret, params);
    if (version != NULL && strcmp(version, "2") == 0)
        return sign_version_2(arena, secret, request, host);
    return is_version_4(request) ? sign_version_4(arena, secret, request) : NULL;
}

/* ---- S3 ---- */

static const char *s3_sign_v4(struct arena *arena, const char *secret, const char *text, size_t length)
{
    static const char *const services[] = { "s3", "iam", "sts" };
    char *left = arena_strndup(arena, text, length), *lines[4], *scope, *parts[4];
    bool known = false;

    if (strlen(left) != length)
        return NULL;
    for (int i = 0; i < 4; i++)
        if ((lines[i] = strsep(&left, "\n")) == NULL)
            return NULL;
    scope = lines[2];
    for (int i = 0; i < 4; i++)
        if ((parts[i] = strsep(&scope, "/")) == NULL)
            return NULL;
    if (left != NULL || scope != NULL || strcmp(lines[0], "AWS4-HMAC-SHA256") != 0 || strcmp(parts[3], "aws4_request") != 0)
        return NULL;
    for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++)
        known = known || strcmp(services[i], parts[2]) == 0;
    return known ? sign_v4(arena, secret, (const char *const *)parts, text, length) : NULL;
}

const char *s3_sign(struct arena *arena, const char *secret, const char *text, size_t length)
{
    if (length >= 4 && memcmp(text, "AWS4", 4) == 0)
        return s3_sign_v4(arena, secret, text, length);
    return sign_sha1(arena, secret, text, length);
}

/* ---- Comparison ---- */

bool ec2_same_text(const char *one, const char *other)
{
    size_t length = strlen(one);

    return length == strlen(other) && CRYPTO_memcmp(one, other, length) == 0;
}

/* The host of "host:port" or "[address]:port", in small letters; NULL: it has no port. */
static const char *bare_host(struct arena *arena, const char *host)
{
    if (host == NULL || strchr(host, ':') == NULL)
        return NULL;
    char *bare = host[0] == '[' ? arena_strndup(arena, host + 1, strcspn(host + 1, "]")) :
        arena_strndup(arena, host, strcspn(host, ":"));
    for (char *at = bare; *at != '\0'; at++)
        *at = (char)tolower((unsigned char)*at);
    return bare;
}

bool ec2_signature_right(struct arena *arena, const char *secret, const json_t *request)
{
    const char *given = json_text_at(request, "signature");
    const char *wanted = given != NULL ? ec2_sign(arena, secret, request, NULL) : NULL;

    if (wanted == NULL)
        return false;
    if (ec2_same_text(given, wanted))
        return true;
    /* some clients leave the port out when they sign */
    const char *host = bare_host(arena, json_text_at(request, "host"));
    wanted = host != NULL ? ec2_sign(arena, secret, request, host) : NULL;
    return wanted != NULL && ec2_same_text(given, wanted);
}
