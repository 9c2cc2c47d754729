/* SPDX-License-Identifier: Apache-2.0
 * url: see url.h. */
#include "oslo/messaging/url.h"

#include "base/text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { HOSTS = 64, QUERIES = 64 };

static struct fault *invalid(struct arena *arena, const char *why)
{
    return fault_new(arena, 500, "InvalidTransportURL", "transport_url: %s.", why);
}

static struct fault *parse_address(struct arena *arena, const char *text, size_t length, struct messaging_host *host)
{
    const char *end = text + length, *port = NULL;
    if (length > 0 && text[0] == '[') {
        const char *close = memchr(text, ']', length);
        if (close == NULL)
            return invalid(arena, "an IPv6 address is not closed by ]");
        host->host = arena_strndup(arena, text + 1, (size_t)(close - text - 1));
        port = close + 1 < end ? close + 1 : NULL;
        if (port != NULL && *port != ':')
            return invalid(arena, "a port begins with :");
    } else {
        port = memchr(text, ':', length);
        host->host = arena_strndup(arena, text, port != NULL ? (size_t)(port - text) : length);
    }
    if (port == NULL || port + 1 == end)
        return NULL;
    char *after;
    const char *digits = arena_strndup(arena, port + 1, (size_t)(end - port - 1));
    long number = strtol(digits, &after, 10);
    if (!isdigit((unsigned char)digits[0]) || *after != '\0' || number < 1 || number > 65535)
        return invalid(arena, "a port is a number from 1 to 65535");
    host->port = (int)number;
    return NULL;
}

static struct fault *parse_host(struct arena *arena, const char *text, size_t length, const struct messaging_host *before,
    struct messaging_host *host)
{
    const char *at = memrchr(text, '@', length);
    *host = (struct messaging_host){ .user = before != NULL ? before->user : NULL,
        .password = before != NULL ? before->password : NULL };
    if (at != NULL) {
        const char *colon = memchr(text, ':', (size_t)(at - text));
        host->user = text_unescape(arena, text, (size_t)((colon != NULL ? colon : at) - text), 0);
        host->password = colon != NULL ? text_unescape(arena, colon + 1, (size_t)(at - colon - 1), 0) : NULL;
        if (host->user == NULL || (colon != NULL && host->password == NULL))
            return invalid(arena, "a user or password holds a NUL");
        length -= (size_t)(at + 1 - text);
        text = at + 1;
    }
    return parse_address(arena, text, length, host);
}

static struct fault *parse_hosts(struct arena *arena, const char *text, size_t length, struct messaging_url *url)
{
    struct messaging_host *hosts = ARENA_ARRAY(arena, struct messaging_host, HOSTS);
    const char *end = text + length;
    while (text < end) {
        const char *comma = memchr(text, ',', (size_t)(end - text));
        size_t n = (size_t)((comma != NULL ? comma : end) - text);
        if (url->host_count == HOSTS)
            return invalid(arena, "at most 64 hosts are taken");
        TRY(parse_host(arena, text, n, url->host_count > 0 ? &hosts[url->host_count - 1] : NULL, &hosts[url->host_count]));
        url->host_count++;
        text += n + 1;
    }
    url->hosts = hosts;
    return NULL;
}

static struct fault *parse_query(struct arena *arena, const char *text, struct messaging_url *url)
{
    const char **query = ARENA_ARRAY(arena, const char *, 2 * QUERIES + 1);
    size_t count = 0;
    while (text != NULL && *text != '\0') {
        size_t n = strcspn(text, "&");
        const char *equals = memchr(text, '=', n);
        size_t name = equals != NULL ? (size_t)(equals - text) : n;
        if (count == QUERIES)
            return invalid(arena, "the query is too long");
        query[2 * count] = text_unescape(arena, text, name, 0);
        query[2 * count + 1] = equals != NULL ? text_unescape(arena, equals + 1, n - name - 1, 0) : "";
        if (query[2 * count] == NULL || query[2 * count + 1] == NULL)
            return invalid(arena, "the query holds a NUL");
        count++;
        text += n + (text[n] == '&');
    }
    url->query = query;
    return NULL;
}

struct fault *messaging_url_parse(struct arena *arena, const char *text, struct messaging_url *ret)
{
    const char *colon = strstr(text, "://");
    struct messaging_url url = { 0 };
    if (colon == NULL || colon == text)
        return invalid(arena, "no driver (rabbit://, http://, memory://) stands before the hosts");
    url.scheme = arena_strndup(arena, text, (size_t)(colon - text));
    const char *authority = colon + 3;
    size_t length = strcspn(authority, "/?");
    TRY(parse_hosts(arena, authority, length, &url));
    const char *path = authority + length;
    size_t path_length = strcspn(path, "?");
    url.virtual_host = path_length > 1 ? text_unescape(arena, path + 1, path_length - 1, 0) : "";
    if (url.virtual_host == NULL)
        return invalid(arena, "the virtual host holds a NUL");
    TRY(parse_query(arena, path[path_length] == '?' ? path + path_length + 1 : NULL, &url));
    *ret = url;
    return NULL;
}

const char *messaging_url_query(const struct messaging_url *url, const char *name)
{
    for (const char *const *at = url->query; at != NULL && *at != NULL; at += 2)
        if (strcmp(*at, name) == 0)
            return at[1];
    return NULL;
}
