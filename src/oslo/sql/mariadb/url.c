/* SPDX-License-Identifier: Apache-2.0 */
#include "oslo/sql/mariadb/url.h"

#include "base/text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { DEFAULT_PORT = 3306, CONNECT_TIMEOUT_S = 10 };

static struct fault *wrong(struct arena *arena, const char *what)
{
    return fault_new(arena, 500, NULL, "The database connection has %s.", what);
}

static struct fault *parse_port(struct arena *arena, const char *text, size_t length, unsigned *ret)
{
    char *end;
    unsigned long port = strtoul(text, &end, 10);
    if (length == 0 || !isdigit((unsigned char)*text) || end != text + length || port == 0 || port > 65535)
        return wrong(arena, "a port that is not a number from 1 to 65535");
    *ret = (unsigned)port;
    return NULL;
}

static struct fault *parse_host(struct arena *arena, const char *text, size_t length, struct mariadb_url *url)
{
    if (length == 0)
        return NULL;
    if (url->host_count == MARIADB_HOSTS)
        return wrong(arena, "too many hosts");
    size_t name = length, skip = 0;
    const char *bracket = *text == '[' ? memchr(text, ']', length) : NULL;
    const char *colon = memchr(bracket != NULL ? bracket : text, ':', length - (size_t)((bracket != NULL ? bracket : text) - text));
    if (colon != NULL)
        name = (size_t)(colon - text);
    unsigned port = DEFAULT_PORT;
    if (colon != NULL)
        TRY(parse_port(arena, colon + 1, length - name - 1, &port));
    if (bracket != NULL) {
        skip = 1;
        name = (size_t)(bracket - text) - 1;
    }
    url->hosts[url->host_count].name = arena_strndup(arena, text + skip, name);
    url->hosts[url->host_count++].port = port;
    return NULL;
}

static struct fault *parse_hosts(struct arena *arena, const char *text, size_t length, struct mariadb_url *url)
{
    const char *end = text + length;
    while (text < end) {
        const char *comma = memchr(text, ',', (size_t)(end - text));
        size_t one = (size_t)((comma != NULL ? comma : end) - text);
        TRY(parse_host(arena, text, one, url));
        text += one + 1;
    }
    return NULL;
}

static bool truth(const char *text)
{
    static const char *const words[] = { "true", "yes", "on", "1", "required" };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcasecmp(text, words[i]) == 0)
            return true;
    return false;
}

/* What the query says of TLS beside the files. */
struct tls_words {
    const char *verify_cert, *check_hostname, *verify_identity, *disabled; /* NULL: not said */
};

static void set_parameter(struct mariadb_url *url, struct tls_words *tls, const char *name, const char *value)
{
    const struct {
        const char *name, **to;
    } texts[] = { { "unix_socket", &url->unix_socket }, { "ssl_ca", &url->ssl_ca }, { "ssl_capath", &url->ssl_capath },
        { "ssl_cert", &url->ssl_cert }, { "ssl_key", &url->ssl_key }, { "ssl_key_password", &url->ssl_key_password },
        { "ssl_cipher", &url->ssl_cipher }, { "ssl_verify_cert", &tls->verify_cert },
        { "ssl_check_hostname", &tls->check_hostname }, { "ssl_verify_identity", &tls->verify_identity },
        { "ssl_disabled", &tls->disabled } };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (strcmp(name, texts[i].name) == 0)
            *texts[i].to = value;
    if (strcmp(name, "connect_timeout") == 0 && atoi(value) > 0)
        url->connect_timeout_s = (unsigned)atoi(value);
    if (strcmp(name, "read_timeout") == 0 && atoi(value) > 0)
        url->read_timeout_s = (unsigned)atoi(value);
}

/* As PyMySQL: a CA, a certificate or a wish to verify means TLS, and a CA means that the server's certificate must be that CA's
 * and about the host, unless the query says otherwise. */
static void settle_tls(struct mariadb_url *url, const struct tls_words *tls)
{
    bool authority = url->ssl_ca != NULL || url->ssl_capath != NULL, verify = tls->verify_cert != NULL && truth(tls->verify_cert);
    const char *host = tls->check_hostname != NULL ? tls->check_hostname : tls->verify_identity;
    if (tls->disabled != NULL && truth(tls->disabled))
        return;
    url->tls = authority || url->ssl_cert != NULL || url->ssl_key != NULL || url->ssl_cipher != NULL || verify ||
        (tls->verify_identity != NULL && truth(tls->verify_identity));
    url->verify_chain = tls->verify_cert != NULL ? verify : authority;
    url->verify_host = host != NULL && authority ? truth(host) : url->verify_chain;
}

/* charset= is read past: the connection speaks utf8mb4, which holds what any of them can. */
static void parse_query(struct arena *arena, const char *text, struct mariadb_url *url)
{
    struct tls_words tls = { 0 };
    while (*text != '\0') {
        size_t length = strcspn(text, "&"), name = strcspn(text, "=&");
        const char *value = name < length ? text_unescape(arena, text + name + 1, length - name - 1, TEXT_PLUS) : "";
        set_parameter(url, &tls, text_unescape(arena, text, name, TEXT_PLUS), value);
        text += length + (text[length] == '&');
    }
    settle_tls(url, &tls);
}

struct fault *mariadb_url_parse(struct arena *arena, const char *text, struct mariadb_url *ret)
{
    *ret = (struct mariadb_url){ .connect_timeout_s = CONNECT_TIMEOUT_S };
    const char *at = strstr(text, "://");
    if (at == NULL)
        return wrong(arena, "no scheme");
    if (strstr(at, "%00") != NULL)
        return wrong(arena, "a NUL in it");
    at += 3;
    const char *query = strchr(at, '?'), *end = query != NULL ? query : at + strlen(at);
    const char *sign = memrchr(at, '@', (size_t)(end - at)); /* a password with a bare '@' is still read right */
    if (sign != NULL) {
        const char *colon = memchr(at, ':', (size_t)(sign - at));
        ret->user = text_unescape(arena, at, (size_t)((colon != NULL ? colon : sign) - at), 0);
        if (colon != NULL)
            ret->password = text_unescape(arena, colon + 1, (size_t)(sign - colon - 1), 0);
        at = sign + 1;
    }
    const char *slash = memchr(at, '/', (size_t)(end - at));
    TRY(parse_hosts(arena, at, (size_t)((slash != NULL ? slash : end) - at), ret));
    if (slash == NULL || slash + 1 == end)
        return wrong(arena, "no schema");
    ret->schema = text_unescape(arena, slash + 1, (size_t)(end - slash - 1), 0);
    if (query != NULL)
        parse_query(arena, query + 1, ret);
    if (ret->host_count == 0) {
        ret->hosts[0].name = "localhost";
        ret->hosts[0].port = DEFAULT_PORT;
        ret->host_count = 1;
    }
    return NULL;
}
