/* SPDX-License-Identifier: Apache-2.0 */
#include "oslo/middleware.h"

#include "base/text.h"
#include "oslo/app.h"

#include <string.h>
#include <strings.h>
#include <unistd.h>

static const struct option rows[] = {
    { "oslo_middleware", "max_request_body_size", OPTION_INT, "114688", "Longest body of a request, in bytes.",
      .min = 1, .max = INT64_MAX },
    { "oslo_middleware", "enable_proxy_headers_parsing", OPTION_BOOL, "false",
      "Whether Forwarded and X-Forwarded-* say how the client reached us; only behind a proxy that sets them." },
    { "cors", "allowed_origin", OPTION_LIST, NULL, "Origins whose pages may use this API; * for all." },
    { "cors", "allow_credentials", OPTION_BOOL, "true", "Whether they may send credentials." },
    { "cors", "max_age", OPTION_INT, "3600", "Seconds that the answer to a preflight request holds." },
    CORS_OPTIONS("", "", "OPTIONS,GET,HEAD,POST,PUT,DELETE,TRACE,PATCH"),
    { "healthcheck", "path", OPTION_STR, "/healthcheck", "Where health checks are answered." },
    { "healthcheck", "detailed", OPTION_BOOL, "false", "Known; answers tell no more than they must." },
    { "healthcheck", "backends", OPTION_LIST, "disable_by_file", "What is checked.",
      .choices = OPTION_WORDS("disable_by_file", "disable_by_files_ports") },
    { "healthcheck", "disable_by_file_path", OPTION_STR, NULL, "A file that, while it is there, says that we are not healthy." },
    { "healthcheck", "disable_by_file_paths", OPTION_LIST, NULL, "Known for existing files: disable_by_file_path says it, in the"
      " file of the API that it is for." },
};

const struct option_table middleware_options = OPTION_TABLE(rows);

size_t middleware_body_limit(const struct app *app)
{
    return (size_t)config_int(app->config, "oslo_middleware", "max_request_body_size");
}

/* ---- Proxies ---- */

static bool is_authority(const char *host)
{
    return host != NULL && *host != '\0' && strlen(host) < 256 &&
        strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]") == strlen(host);
}

static bool is_prefix(const char *prefix)
{
    return prefix != NULL && prefix[0] == '/' && strlen(prefix) < 256 &&
        strspn(prefix, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_~/") == strlen(prefix);
}

/* A parameter of the first element of Forwarded: for=1.2.3.4;proto=https;host=x, for=... */
static const char *forwarded(struct arena *arena, const char *header, const char *name)
{
    const char *end = header + strcspn(header, ",");

    while (header < end) {
        size_t length = strcspn(header, ";,");
        const char *equals = memchr(header, '=', length), *key = header;
        if (equals != NULL) {
            size_t key_length = (size_t)(equals - header), value_length = length - key_length - 1;
            const char *value = equals + 1;
            text_trim(&key, &key_length);
            text_trim(&value, &value_length);
            if (value_length >= 2 && value[0] == '"' && value[value_length - 1] == '"') {
                value++;
                value_length -= 2;
            }
            if (key_length == strlen(name) && strncasecmp(key, name, key_length) == 0)
                return arena_strndup(arena, value, value_length);
        }
        header += length + (header + length < end);
    }
    return NULL;
}

const char *middleware_base_url(const struct request *rq, const char *authority)
{
    struct arena *arena = rq->cx.arena;
    const char *host = request_header(rq, "Host"), *scheme = app_uses_tls(rq->cx.app) ? "https" : "http", *prefix = NULL;

    if (config_bool(rq->cx.app->config, "oslo_middleware", "enable_proxy_headers_parsing")) {
        const char *header = request_header(rq, "Forwarded");
        const char *proto = header != NULL ? forwarded(arena, header, "proto") : request_header(rq, "X-Forwarded-Proto");
        const char *name = header != NULL ? forwarded(arena, header, "host") : request_header(rq, "X-Forwarded-Host");
        if (proto != NULL && strcasecmp(proto, "https") == 0)
            scheme = "https";
        if (is_authority(name))
            host = name;
        prefix = request_header(rq, "X-Forwarded-Prefix");
    }
    return arena_printf(arena, "%s://%s%s", scheme, is_authority(host) ? host : authority, is_prefix(prefix) ? prefix : "");
}

/* ---- Health ---- */

static bool is_healthy(const struct config *config)
{
    const char *const *backends = config_list(config, "healthcheck", "backends", NULL);
    const char *path = config_str(config, "healthcheck", "disable_by_file_path");

    for (; *backends != NULL; backends++)
        if (strcmp(*backends, "disable_by_file") == 0 && path != NULL && access(path, F_OK) == 0)
            return false;
    return true;
}

static void answer_health(struct request *rq)
{
    const struct config *config = rq->cx.app->config;
    bool checked = config_list(config, "healthcheck", "backends", NULL)[0] != NULL, healthy = is_healthy(config);
    const char *reason = !checked ? "" : healthy ? "OK" : "DISABLED BY FILE", *accept = request_header(rq, "Accept");

    rq->status = healthy ? 200 : 503;
    rq->content_type = "text/plain; charset=UTF-8";
    if (rq->method == HEAD) {
        rq->status = healthy ? 204 : 503;
    } else if (accept != NULL && strstr(accept, "text/plain") == NULL && strstr(accept, "json") != NULL) {
        rq->content_type = "application/json; charset=UTF-8";
        buf_printf(&rq->out, "{\n    \"detailed\": false,\n    \"reasons\": [%s%s%s]\n}", checked ? "\n        \"" : "", reason,
            checked ? "\"\n    " : "");
    } else if (accept != NULL && strstr(accept, "text/plain") == NULL && strstr(accept, "html") != NULL) {
        rq->content_type = "text/html; charset=UTF-8";
        buf_printf(&rq->out, "<HTML>\n<HEAD><TITLE>Healthcheck Status</TITLE></HEAD>\n<BODY>\n<H2>Result of %d checks:</H2>\n"
            "<TABLE bgcolor=\"#ffffff\" border=\"1\">\n<TBODY>\n<TR>\n<TH>\nReason\n</TH>\n</TR>\n<TR>\n    <TD>%s</TD>\n</TR>\n"
            "</TBODY>\n</TABLE>\n<HR></HR>\n</BODY>\n</HTML>", checked, reason);
    } else {
        buf_puts(&rq->out, reason);
    }
}

/* ---- Other origins ---- */

static bool is_among(const char *word, size_t length, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strlen(*words) == length && strncasecmp(*words, word, length) == 0)
            return true;
    return false;
}

/* What Access-Control-Allow-Origin says to the request's origin; NULL: nothing. */
static const char *allowed_origin(const struct request *rq)
{
    const char *const *origins = config_list(rq->cx.app->config, "cors", "allowed_origin", NULL);
    const char *origin = origins[0] != NULL ? request_header(rq, "Origin") : NULL;
    bool all = false;

    for (; origin != NULL && *origins != NULL; origins++) {
        if (strcmp(*origins, origin) == 0)
            return origin;
        all |= strcmp(*origins, "*") == 0;
    }
    return all ? "*" : NULL;
}

/* Whether all of "A, B" may be sent. */
static bool headers_allowed(const struct config *config, const char *names)
{
    static const char *const simple[] = { "Accept", "Accept-Language", "Content-Type", "Cache-Control", "Content-Language",
        "Expires", "Last-Modified", "Pragma", NULL };
    const char *const *allowed = config_list(config, "cors", "allow_headers", NULL);

    while (names != NULL && *names != '\0') {
        size_t whole = strcspn(names, ","), length = whole;
        const char *name = names;
        text_trim(&name, &length);
        if (length > 0 && !is_among(name, length, simple) && !is_among(name, length, allowed))
            return false;
        names += whole + (names[whole] == ',');
    }
    return true;
}

static void put_credentials(struct request *rq)
{
    if (config_bool(rq->cx.app->config, "cors", "allow_credentials"))
        response_header(rq, "Access-Control-Allow-Credentials", "true");
}

static void answer_preflight(struct request *rq, const char *origin)
{
    const struct config *config = rq->cx.app->config;
    const char *method = request_header(rq, "Access-Control-Request-Method");
    const char *names = request_header(rq, "Access-Control-Request-Headers");
    int64_t max_age = config_int(config, "cors", "max_age");

    rq->status = 200;
    rq->content_type = NULL;
    if (origin == NULL || method == NULL || !is_among(method, strlen(method), config_list(config, "cors", "allow_methods", NULL)) ||
        !headers_allowed(config, names))
        return;
    response_header(rq, "Vary", "Origin");
    response_header(rq, "Access-Control-Allow-Origin", origin);
    put_credentials(rq);
    if (max_age > 0)
        response_headerf(rq, "Access-Control-Max-Age", "%lld", (long long)max_age);
    response_header(rq, "Access-Control-Allow-Methods", method);
    if (names != NULL && names[0] != '\0')
        response_header(rq, "Access-Control-Allow-Headers", names);
}

bool middleware_answers(struct request *rq)
{
    const struct config *config = rq->cx.app->config;

    if (rq->internal || config == NULL)
        return false;
    if ((rq->method == GET || rq->method == HEAD) && strcmp(rq->path, config_str(config, "healthcheck", "path")) == 0) {
        answer_health(rq);
        return true;
    }
    if (rq->method == OPTIONS && config_list(config, "cors", "allowed_origin", NULL)[0] != NULL &&
        request_header(rq, "Origin") != NULL) {
        answer_preflight(rq, allowed_origin(rq));
        return true;
    }
    return false;
}

void middleware_finish(struct request *rq)
{
    const char *origin, *names = NULL, *vary = NULL;

    if (rq->internal || rq->method == OPTIONS || rq->cx.app->config == NULL || (origin = allowed_origin(rq)) == NULL)
        return;
    for (const struct header *h = rq->headers; h != NULL; h = h->next)
        if (strcasecmp(h->name, "Vary") == 0)
            vary = h->value;
    response_header(rq, "Vary", vary != NULL ? arena_printf(rq->cx.arena, "%s,Origin", vary) : "Origin");
    response_header(rq, "Access-Control-Allow-Origin", origin);
    put_credentials(rq);
    for (const char *const *name = config_list(rq->cx.app->config, "cors", "expose_headers", NULL); *name != NULL; name++)
        names = names == NULL ? *name : arena_printf(rq->cx.arena, "%s,%s", names, *name);
    if (names != NULL)
        response_header(rq, "Access-Control-Expose-Headers", names);
}
