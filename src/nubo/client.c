/* SPDX-License-Identifier: Apache-2.0
 * client: a login, its catalog, and calls through oslo's HTTP client. See client.h. */
#include "nubo/client.h"

#include "base/buf.h"
#include "base/file.h"
#include "nubo/cloud.h"
#include "oslo/catalog.h"
#include "oslo/http_client.h"
#include "oslo/json.h"
#include "oslo/rest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TIMEOUT_MS = 120000, UPLOAD_TIMEOUT_MS = 3600000, ANSWER_LIMIT = 16 << 20, HEADERS = 12 };

struct client {
    struct arena *arena;
    const char *token;
    const char *auth_url;
    json_t *catalog;
};

/* openrc's own lines: export NAME=value. */
static const char *setting(struct arena *arena, const char *text, const char *name)
{
    const char *wanted = arena_printf(arena, "export %s=", name);
    const char *at = strstr(text, wanted);
    return at == NULL ? NULL : arena_strndup(arena, at + strlen(wanted), strcspn(at + strlen(wanted), "\n"));
}

/* `exchange` has method, URL and body; `path` is for the fault's words. */
static struct fault *perform(struct client *client, struct http_exchange *exchange, const char *path, struct rest_response *ret)
{
    struct context cx = { .arena = client->arena };
    const char *headers[HEADERS] = { "Accept", "application/json",
        "OpenStack-API-Version", "compute 2.84" }; /* other services do not look at it */
    size_t count = 4;
    if (exchange->data != NULL || exchange->source != NULL) {
        headers[count++] = "Content-Type";
        headers[count++] = exchange->source != NULL ? "application/octet-stream" : "application/json";
    }
    if (client->token != NULL) {
        headers[count++] = "X-Auth-Token";
        headers[count++] = client->token;
    }
    exchange->headers = headers;
    exchange->answer_limit = ANSWER_LIMIT;
    TRY(http_client_call(&cx, exchange, ret));
    if (ret->status < 400)
        return NULL;
    const char *text = rest_message(ret);
    return fault_new(client->arena, ret->status, NULL, "%s %s answered %d: %s", exchange->method, path, ret->status,
        text != NULL ? text : "no reason was given");
}

static struct fault *request(struct client *client, const char *url, const char *method, const char *path, const json_t *body,
    struct rest_response *ret)
{
    const char *data = body != NULL ? json_dump(client->arena, body) : NULL;
    struct http_exchange exchange = { .method = method, .url = url, .data = data,
        .data_length = data != NULL ? strlen(data) : 0, .timeout_ms = TIMEOUT_MS };
    return perform(client, &exchange, path, ret);
}

static struct fault *service_url(struct client *client, const char *service, const char *path, const char **ret)
{
    static const char *const interfaces[] = { "public", NULL };
    const char *base = catalog_endpoint(client->catalog, &(struct catalog_query){ .type = service, .interfaces = interfaces });
    if (base == NULL)
        return fault_new(client->arena, 503, NULL, "The catalog has no %s service.", service);
    if (strncmp(path, "/nubo/", 6) == 0) /* beside the service's versions */
        base = catalog_base(client->arena, base);
    *ret = arena_printf(client->arena, "%s%s", base, path);
    return NULL;
}

struct fault *client_call(struct client *client, const char *service, const char *method, const char *path,
    const json_t *body, json_t **ret)
{
    const char *url;
    struct rest_response answer;
    TRY(service_url(client, service, path, &url));
    TRY(request(client, url, method, path, body, &answer));
    if (ret != NULL)
        *ret = answer.body;
    return NULL;
}

struct fault *client_upload(struct client *client, const char *service, const char *path, const char *file,
    void (*progress)(void *owner, off_t done, off_t total))
{
    const char *url;
    TRY(service_url(client, service, path, &url));
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0) {
        struct fault *fault = fault_new(client->arena, 500, NULL, "%s cannot be read: %s.", file, strerror(errno));
        if (fd >= 0)
            close(fd);
        return fault;
    }
    struct rest_response answer;
    const struct http_source source = { .fd = fd, .length = status.st_size, .progress = progress };
    struct fault *fault = perform(client, &(struct http_exchange){ .method = "PUT", .url = url, .source = &source,
        .timeout_ms = UPLOAD_TIMEOUT_MS }, path, &answer);
    close(fd);
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
    client->auth_url = setting(arena, text, "OS_AUTH_URL");
    json_t *body = json_keep(arena, json_pack("{s:{s:{s:[s],s:{s:{s:s?,s:s?,s:{s:s}}}},s:{s:{s:s,s:{s:s}}}}}", "auth",
        "identity", "methods", "password", "password", "user", "name", setting(arena, text, "OS_USERNAME"), "password",
        setting(arena, text, "OS_PASSWORD"), "domain", "name",
        setting_or(arena, text, "OS_USER_DOMAIN_NAME", "Default"), "scope", "project", "name",
        setting_or(arena, text, "OS_PROJECT_NAME", "admin"), "domain", "name",
        setting_or(arena, text, "OS_PROJECT_DOMAIN_NAME", "Default")));
    if (client->auth_url == NULL || body == NULL)
        return fault_new(arena, 500, NULL, "OS_AUTH_URL, OS_USERNAME and OS_PASSWORD must be set.");
    struct rest_response answer;
    const char *url = arena_printf(arena, "%s/v3/auth/tokens", catalog_base(arena, client->auth_url));
    TRY(request(client, url, "POST", "/auth/tokens", body, &answer));
    client->token = rest_header(&answer, "X-Subject-Token");
    client->catalog = json_at(answer.body, "token.catalog");
    *ret = client;
    return NULL;
}

struct fault *client_login(struct arena *arena, const char *state_dir, struct client **ret)
{
    const char *text;
    TRY(file_load(arena, arena_printf(arena, "%s/openrc", state_dir), STATE_FILE_LIMIT, &text));
    if (text == NULL)
        return fault_new(arena, 500, NULL, "%s/openrc is not there: run nubo up first, or set OS_AUTH_URL and its like.",
            state_dir);
    if (cloud_pid(arena, state_dir) == 0)
        return fault_new(arena, 503, NULL, "The cloud in %s does not run: nubo up starts it.", state_dir);
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
