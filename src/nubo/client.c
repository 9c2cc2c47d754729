/* SPDX-License-Identifier: Apache-2.0
 * client: libcurl and the catalog. See client.h. */
#include "nubo/client.h"

#include "base/buf.h"
#include "nubo/files.h"
#include "oslo/catalog.h"
#include "oslo/json.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { TIMEOUT_S = 120, UPLOAD_TIMEOUT_S = 3600, ANSWER_LIMIT = 16 * 1024 * 1024 };

struct client {
    struct arena *arena;
    CURL *curl;
    const char *token;
    const char *auth_url;
    json_t *catalog;
};

struct answer {
    struct buf body;
    const char *token; /* X-Subject-Token */
    struct arena *arena;
};

static void release_curl(void *curl)
{
    curl_easy_cleanup(curl);
}

static size_t take_body(char *data, size_t size, size_t count, void *argument)
{
    struct answer *answer = argument;
    if (answer->body.length + size * count > ANSWER_LIMIT)
        return 0;
    buf_append(&answer->body, data, size * count);
    return size * count;
}

static size_t take_header(char *data, size_t size, size_t count, void *argument)
{
    static const char name[] = "X-Subject-Token:";
    struct answer *answer = argument;
    size_t length = size * count;
    if (length > sizeof(name) && strncasecmp(data, name, sizeof(name) - 1) == 0) {
        const char *at = data + sizeof(name) - 1;
        at += strspn(at, " ");
        answer->token = arena_strndup(answer->arena, at, strcspn(at, "\r\n"));
    }
    return length;
}

/* openrc's own lines: export NAME=value. */
static const char *setting(struct arena *arena, const char *text, const char *name)
{
    const char *wanted = arena_printf(arena, "export %s=", name);
    const char *at = strstr(text, wanted);
    return at == NULL ? NULL : arena_strndup(arena, at + strlen(wanted), strcspn(at + strlen(wanted), "\n"));
}

static const char *endpoint(const struct client *client, const char *service)
{
    size_t i, j;
    json_t *entry, *point;
    if (client->catalog == NULL)
        return client->auth_url;
    json_array_foreach(client->catalog, i, entry) {
        const char *type = json_text_at(entry, "type");
        if (type == NULL || strcmp(type, service) != 0)
            continue;
        json_array_foreach(json_object_get(entry, "endpoints"), j, point)
            if (strcmp(json_text_at(point, "interface"), "public") == 0)
                return json_text_at(point, "url");
    }
    return NULL;
}

/* The message, wherever the service's envelope has it. */
static const char *words(const json_t *answer)
{
    const char *key;
    json_t *member;
    json_object_foreach((json_t *)answer, key, member) {
        if (json_is_array(member))
            member = json_array_get(member, 0);
        const char *text = json_text_at(member, "message");
        text = text != NULL ? text : json_text_at(member, "detail");
        if (text != NULL)
            return text;
    }
    return json_text_at(answer, "message");
}

static struct fault *perform(struct client *client, const char *method, const char *path, struct curl_slist *headers,
    struct answer *answer, json_t **ret)
{
    long status = 0;
    struct curl_slist *all = headers;
    if (client->token != NULL)
        all = curl_slist_append(all, arena_printf(client->arena, "X-Auth-Token: %s", client->token));
    curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, all);
    curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, answer);
    curl_easy_setopt(client->curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(client->curl, CURLOPT_HEADERDATA, answer);
    curl_easy_setopt(client->curl, CURLOPT_NOPROXY, "*"); /* a cloud of this machine is never behind a proxy */
    curl_easy_setopt(client->curl, CURLOPT_NOSIGNAL, 1L);
    CURLcode code = curl_easy_perform(client->curl);
    curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(all);
    if (code != CURLE_OK)
        return fault_new(client->arena, 503, NULL, "%s %s: %s.", method, path, curl_easy_strerror(code));
    const char *why;
    json_t *body = answer->body.length == 0 ? NULL
                                            : json_parse(client->arena, answer->body.data, answer->body.length, &why);
    if (status >= 400) {
        const char *text = words(body);
        return fault_new(client->arena, (int)status, NULL, "%s %s answered %ld: %s", method, path, status,
            text != NULL ? text : "no reason was given");
    }
    if (ret != NULL)
        *ret = body;
    return NULL;
}

static struct fault *request(struct client *client, const char *url, const char *method, const char *path,
    const json_t *body, struct answer *answer, json_t **ret)
{
    curl_easy_reset(client->curl);
    curl_easy_setopt(client->curl, CURLOPT_URL, url);
    curl_easy_setopt(client->curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(client->curl, CURLOPT_TIMEOUT, (long)TIMEOUT_S);
    struct curl_slist *headers = curl_slist_append(NULL, "Accept: application/json");
    headers = curl_slist_append(headers, "OpenStack-API-Version: compute 2.84"); /* other services do not look at it */
    if (body != NULL) {
        headers = curl_slist_append(headers, "Content-Type: application/json");
        curl_easy_setopt(client->curl, CURLOPT_POSTFIELDS, json_dump(client->arena, body));
    }
    return perform(client, method, path, headers, answer, ret);
}

struct fault *client_call(struct client *client, const char *service, const char *method, const char *path,
    const json_t *body, json_t **ret)
{
    const char *base = endpoint(client, service);
    if (base == NULL)
        return fault_new(client->arena, 503, NULL, "The catalog has no %s service.", service);
    struct answer answer = { .arena = client->arena };
    if (strncmp(path, "/nubo/", 6) == 0) /* beside the service's versions */
        base = catalog_base(client->arena, base);
    struct fault *fault = request(client, arena_printf(client->arena, "%s%s", base, path), method, path, body, &answer, ret);
    buf_release(&answer.body);
    return fault;
}

/* ---- uploads ---- */

struct upload {
    void (*progress)(int64_t done, int64_t total);
};

static int upload_progress(void *argument, curl_off_t dltotal, curl_off_t dlnow, curl_off_t total, curl_off_t now)
{
    const struct upload *upload = argument;
    if (total > 0)
        upload->progress(now, total);
    return 0;
}

struct fault *client_upload(struct client *client, const char *service, const char *path, const char *file,
    void (*progress)(int64_t done, int64_t total))
{
    const char *base = endpoint(client, service);
    FILE *in = fopen(file, "rbe");
    struct stat status;
    if (base == NULL || in == NULL || fstat(fileno(in), &status) != 0) {
        struct fault *fault = fault_new(client->arena, 500, NULL, "%s cannot be read: %s.", file, strerror(errno));
        if (in != NULL)
            fclose(in);
        return fault;
    }
    struct answer answer = { .arena = client->arena };
    struct upload upload = { progress };
    curl_easy_reset(client->curl);
    curl_easy_setopt(client->curl, CURLOPT_URL, arena_printf(client->arena, "%s%s", base, path));
    curl_easy_setopt(client->curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(client->curl, CURLOPT_READDATA, in);
    curl_easy_setopt(client->curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)status.st_size);
    curl_easy_setopt(client->curl, CURLOPT_TIMEOUT, (long)UPLOAD_TIMEOUT_S);
    curl_easy_setopt(client->curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(client->curl, CURLOPT_XFERINFOFUNCTION, upload_progress);
    curl_easy_setopt(client->curl, CURLOPT_XFERINFODATA, &upload);
    struct fault *fault = perform(client, "PUT", path, curl_slist_append(NULL, "Content-Type: application/octet-stream"),
        &answer, NULL);
    buf_release(&answer.body);
    fclose(in);
    return fault;
}

/* ---- login ---- */

static const char *setting_or(struct arena *arena, const char *text, const char *name, const char *otherwise)
{
    const char *value = setting(arena, text, name);
    return value != NULL && *value != '\0' ? value : otherwise;
}

static struct fault *log_in(struct arena *arena, const char *text, struct client **ret)
{
    struct client *client = ARENA_NEW(arena, struct client);
    client->arena = arena;
    client->curl = curl_easy_init();
    if (client->curl == NULL)
        return fault_new(arena, 500, NULL, "libcurl does not start.");
    arena_defer(arena, release_curl, client->curl);
    client->auth_url = setting(arena, text, "OS_AUTH_URL");
    json_t *body = json_keep(arena, json_pack("{s:{s:{s:[s],s:{s:{s:s?,s:s?,s:{s:s}}}},s:{s:{s:s,s:{s:s}}}}}", "auth",
        "identity", "methods", "password", "password", "user", "name", setting(arena, text, "OS_USERNAME"), "password",
        setting(arena, text, "OS_PASSWORD"), "domain", "name",
        setting_or(arena, text, "OS_USER_DOMAIN_NAME", "Default"), "scope", "project", "name",
        setting_or(arena, text, "OS_PROJECT_NAME", "admin"), "domain", "name",
        setting_or(arena, text, "OS_PROJECT_DOMAIN_NAME", "Default")));
    if (client->auth_url == NULL || body == NULL)
        return fault_new(arena, 500, NULL, "OS_AUTH_URL, OS_USERNAME and OS_PASSWORD must be set.");
    struct answer answer = { .arena = arena };
    json_t *token;
    const char *url = arena_printf(arena, "%s/v3/auth/tokens", catalog_base(arena, client->auth_url));
    struct fault *fault = request(client, url, "POST", "/auth/tokens", body, &answer, &token);
    buf_release(&answer.body);
    if (fault != NULL)
        return fault;
    client->token = answer.token;
    client->catalog = json_at(token, "token.catalog");
    *ret = client;
    return NULL;
}

struct fault *client_login(struct arena *arena, const char *state_dir, struct client **ret)
{
    const char *text;
    TRY(file_read(arena, arena_printf(arena, "%s/openrc", state_dir), &text));
    if (text == NULL)
        return fault_new(arena, 500, NULL, "%s/openrc is not there: run nubo up first, or set OS_AUTH_URL and its like.",
            state_dir);
    return log_in(arena, text, ret);
}

struct fault *client_login_environment(struct arena *arena, struct client **ret)
{
    static const char *const names[] = { "OS_AUTH_URL", "OS_USERNAME", "OS_PASSWORD", "OS_PROJECT_NAME", "OS_USER_DOMAIN_NAME",
        "OS_PROJECT_DOMAIN_NAME" };
    BUF_CLEANUP struct buf text = { 0 };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (getenv(names[i]) != NULL)
            buf_printf(&text, "export %s=%s\n", names[i], getenv(names[i]));
    return log_in(arena, buf_text(&text), ret);
}

struct arena *client_arena(const struct client *client)
{
    return client->arena;
}
