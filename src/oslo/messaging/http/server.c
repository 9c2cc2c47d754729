/* SPDX-License-Identifier: Apache-2.0
 * server: the hub's listening side: libmicrohttpd, a thread a connection since most of them wait. Every request and every
 * answer is signed with the shared secret; an unsigned one learns nothing but 401. */
#include "base/arena.h"
#include "base/clock.h"
#include "base/text.h"
#include "base/work.h"
#include "oslo/json.h"
#include "oslo/messaging/http/hub.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS = 4096, STACK = 256 << 10, IDLE_S = 90, DRAIN_MS = 2000 };

struct hub_server {
    struct hub *hub;
    struct MHD_Daemon *daemon;
    char *secret;
};

void hub_sign(const char *secret, const char *what, const char *date, const char *body, size_t length, char to[SIGNATURE_TEXT])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    BUF_CLEANUP struct buf text = { 0 };
    buf_printf(&text, "%s\n%s\n", what, date);
    buf_append(&text, body, length);
    if (HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)text.data, text.length, digest, &size) == NULL)
        abort();
    text_hex_write(to, digest, size);
}

static bool signed_well(const struct hub_server *server, struct MHD_Connection *connection, const char *what,
    const struct buf *body)
{
    const char *date = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "X-Nubo-Date");
    const char *signature = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "X-Nubo-Signature");
    char right[SIGNATURE_TEXT];
    if (date == NULL || signature == NULL || strlen(signature) != SIGNATURE_TEXT - 1)
        return false;
    int64_t age_s = clock_now_us() / 1000000 - strtoll(date, NULL, 10);
    if (age_s > CLOCK_SKEW_S || age_s < -CLOCK_SKEW_S)
        return false;
    hub_sign(server->secret, what, date, buf_text(body), body->length, right);
    return CRYPTO_memcmp(right, signature, SIGNATURE_TEXT - 1) == 0;
}

static enum MHD_Result respond(const struct hub_server *server, struct MHD_Connection *connection, int status, const char *what,
    const char *text)
{
    char signature[SIGNATURE_TEXT];
    struct MHD_Response *response = MHD_create_response_from_buffer(strlen(text), (void *)text, MHD_RESPMEM_MUST_COPY);
    const char *asked = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "X-Nubo-Signature");
    hub_sign(server->secret, what, asked != NULL ? asked : "", text, strlen(text), signature);
    MHD_add_response_header(response, "Content-Type", "application/json");
    if (status != MHD_HTTP_UNAUTHORIZED)
        MHD_add_response_header(response, "X-Nubo-Signature", signature);
    enum MHD_Result result = MHD_queue_response(connection, (unsigned)status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result obey(const struct hub_server *server, struct MHD_Connection *connection, const char *what,
    const struct buf *body)
{
    if (!signed_well(server, connection, what, body))
        return respond(server, connection, MHD_HTTP_UNAUTHORIZED, what, "{}");
    ARENA_CLEANUP struct arena *arena = arena_create();
    const char *why;
    json_t *answer = NULL;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    int status = hub_handle(server->hub, what, json_parse(arena, buf_text(body), body->length, &why), info->connect_fd, &answer);
    json_keep(arena, answer);
    return respond(server, connection, status, what, json_dump(arena, answer));
}

static enum MHD_Result on_request(void *argument, struct MHD_Connection *connection, const char *url, const char *method,
    const char *version, const char *data, size_t *size, void **state)
{
    struct hub_server *server = argument;
    struct buf *body = *state;
    if (body == NULL) {
        *state = calloc(1, sizeof(*body));
        return *state != NULL && strcmp(method, "POST") == 0 && strncmp(url, HUB_PATH, strlen(HUB_PATH)) == 0 ? MHD_YES : MHD_NO;
    }
    if (*size > 0) {
        if (body->length + *size > MESSAGE_LIMIT)
            return MHD_NO;
        buf_append(body, data, *size);
        *size = 0;
        return MHD_YES;
    }
    return obey(server, connection, url + strlen(HUB_PATH), body);
}

static void on_end(void *argument, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode why)
{
    struct buf *body = *state;
    if (body != NULL)
        buf_release(body);
    free(body);
    *state = NULL;
}

static int listen_on(const char *host, int port)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE }, *list;
    char service[8];
    int on = 1, fd = -1, why = EADDRNOTAVAIL;
    snprintf(service, sizeof(service), "%d", port);
    if (getaddrinfo(host, service, &hints, &list) != 0) {
        errno = why;
        return -1;
    }
    for (struct addrinfo *a = list; a != NULL && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
        if (fd >= 0 && (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 || bind(fd, a->ai_addr,
            a->ai_addrlen) != 0 ||
            listen(fd, SOMAXCONN) != 0)) {
            why = errno;
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(list);
    errno = why;
    return fd;
}

struct hub_server *hub_server_start(const char *host, int port, const char *secret, struct MHD_OptionItem *tls)
{
    struct MHD_OptionItem none = { MHD_OPTION_END, 0, NULL };
    int fd = listen_on(host, port);
    if (fd < 0)
        return NULL;
    struct hub_server *server = calloc(1, sizeof(*server));
    if (server == NULL || (server->secret = strdup(secret)) == NULL)
        abort();
    server->hub = hub_create();
    server->daemon = MHD_start_daemon(MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL |
        (tls != NULL ? MHD_USE_TLS : 0), 0, NULL, NULL, on_request, server, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_NOTIFY_COMPLETED, on_end, NULL, MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS, MHD_OPTION_THREAD_STACK_SIZE,
        (size_t)STACK, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S, MHD_OPTION_ARRAY, tls != NULL ? tls : &none, MHD_OPTION_END);
    if (server->daemon == NULL)
        abort();
    return server;
}

json_t *hub_server_stop(struct hub_server *server)
{
    hub_drain(server->hub, DRAIN_MS);
    hub_stop(server->hub);
    MHD_stop_daemon(server->daemon);
    json_t *left = hub_take_left(server->hub);
    hub_destroy(server->hub);
    free(server->secret);
    free(server);
    return left;
}
