/* SPDX-License-Identifier: Apache-2.0
 * link: see link.h. */
#include "oslo/messaging/amqp/link.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "oslo/app.h"
#include "oslo/messaging/private.h"

#include <amqp_framing.h>
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#include <errno.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { PORT = 5672, PORT_TLS = 5671, CONNECT_S = 5, FRAME_SIZE = 131072, PREFETCH = 256,
    PRECONDITION_FAILED = 406 };

static const char GROUP[] = "oslo_messaging_rabbit";

/* ---- settings ---- */

static const char *text_of(struct arena *arena, struct transport *t, const struct messaging_url *url, const char *name)
{
    const char *text = transport_option(t, url, GROUP, name);
    return text != NULL && *text != '\0' ? arena_strdup(arena, text) : NULL;
}

static const struct messaging_host *hosts_of(struct arena *arena, const struct messaging_url *url, size_t *ret_count)
{
    size_t count = url->host_count > 0 ? url->host_count : 1;
    int port = strcmp(url->scheme, "amqps") == 0 ? PORT_TLS : PORT; /* `ssl` alone changes no port, as in oslo.messaging */
    struct messaging_host *hosts = ARENA_ARRAY(arena, struct messaging_host, count);
    for (size_t i = 0; i < count; i++) {
        struct messaging_host from = i < url->host_count ? url->hosts[i] : (struct messaging_host){ .host = "localhost" };
        hosts[i] = (struct messaging_host){ .user = arena_strdup(arena, from.user != NULL ? from.user : "guest"),
            .password = arena_strdup(arena, from.password != NULL ? from.password : "guest"),
            .host = arena_strdup(arena, from.host[0] != '\0' ? from.host : "localhost"),
            .port = from.port != 0 ? from.port : port };
    }
    *ret_count = count;
    return hosts;
}

static struct fault *tls_version(struct context *cx, const char *name, int *ret)
{
    static const struct {
        const char *name;
        int version;
    } rows[] = { { "sslv23", 0 }, { "tlsv1", AMQP_TLSv1 }, { "tlsv1_1", AMQP_TLSv1_1 }, { "tlsv1_2", AMQP_TLSv1_2 } };
    *ret = 0;
    for (size_t i = 0; name != NULL && *name != '\0'; i++) {
        if (i == sizeof(rows) / sizeof(rows[0]))
            return FAULT(cx, 500, NULL, "Invalid SSL version : %s", name);
        if (strcasecmp(name, rows[i].name) == 0) {
            *ret = rows[i].version;
            break;
        }
    }
    return NULL;
}

struct fault *broker_create(struct context *cx, struct transport *t, const struct messaging_url *url, struct broker **ret)
{
    int version;
    TRY(tls_version(cx, transport_option(t, url, GROUP, "ssl_version"), &version));
    struct arena *arena = arena_create();
    struct broker *b = ARENA_NEW(arena, struct broker);
    const char *strategy = transport_option(t, url, GROUP, "kombu_failover_strategy");
    const char *login = transport_option(t, url, GROUP, "rabbit_login_method");
    const char *delay = transport_option(t, url, GROUP, "kombu_reconnect_delay");
    b->arena = arena;
    b->tls_version = version;
    b->tls = strcmp(url->scheme, "amqps") == 0 || transport_option_bool(t, url, GROUP, "ssl");
    b->hosts = hosts_of(arena, url, &b->host_count);
    b->virtual_host = url->virtual_host[0] != '\0' ? arena_strdup(arena, url->virtual_host) : "/";
    b->shuffle = strategy != NULL && strcmp(strategy, "shuffle") == 0;
    b->external_login = login != NULL && strcmp(login, "EXTERNAL") == 0;
    b->quorum = transport_option_bool(t, url, GROUP, "rabbit_quorum_queue");
    b->durable = b->quorum || transport_option_bool(t, url, GROUP, "amqp_durable_queues");
    b->auto_delete = transport_option_bool(t, url, GROUP, "amqp_auto_delete");
    b->mandatory_replies = transport_option_bool(t, url, GROUP, "direct_mandatory_flag");
    b->cancel_on_failover = transport_option_bool(t, url, GROUP, "enable_cancel_on_failover");
    b->ca_file = text_of(arena, t, url, "ssl_ca_file");
    b->cert_file = text_of(arena, t, url, "ssl_cert_file");
    b->key_file = text_of(arena, t, url, "ssl_key_file");
    b->heartbeat_s = (int)transport_option_int(t, url, GROUP, "heartbeat_timeout_threshold");
    int64_t prefetch = transport_option_int(t, url, GROUP, "rabbit_qos_prefetch_count");
    b->prefetch = prefetch > 0 && prefetch <= 65535 ? (int)prefetch : PREFETCH;
    b->queue_ttl_s = (int)transport_option_int(t, url, GROUP, "rabbit_transient_queues_ttl");
    b->missing_s = (int)transport_option_int(t, url, GROUP, "kombu_missing_consumer_retry_timeout");
    b->retry_s = (int)transport_option_int(t, url, GROUP, "rabbit_retry_interval");
    b->retry_more_s = (int)transport_option_int(t, url, GROUP, "rabbit_retry_backoff");
    b->retry_most_s = (int)transport_option_int(t, url, GROUP, "rabbit_interval_max");
    b->cancel_delay_ms = delay != NULL ? (int)(strtod(delay, NULL) * 1000) : 1000;
    b->delivery_limit = transport_option_int(t, url, GROUP, "rabbit_quorum_delivery_limit");
    b->memory_length = transport_option_int(t, url, GROUP, "rabbit_quorum_max_memory_length");
    b->memory_bytes = transport_option_int(t, url, GROUP, "rabbit_quorum_max_memory_bytes");
    *ret = b;
    return NULL;
}

/* ---- opening and closing ---- */

void link_init(struct link *link, const struct broker *broker, const char *purpose)
{
    *link = (struct link){ .broker = broker, .purpose = purpose, .wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC) };
    if (link->wake_fd < 0)
        abort();
    if (broker->shuffle)
        link->next_host = random_below(broker->host_count);
}

void link_release(struct link *link)
{
    link_close(link);
    close(link->wake_fd);
}

static bool failed(struct link *link, const char *what, const char *why)
{
    snprintf(link->error, sizeof(link->error), "%s: %s", what, why);
    return false;
}

static void describe_close(struct link *link, const char *what, const amqp_method_t *method)
{
    const amqp_bytes_t *text = NULL;
    if (method->id == AMQP_CONNECTION_CLOSE_METHOD)
        text = &((const amqp_connection_close_t *)method->decoded)->reply_text;
    else if (method->id == AMQP_CHANNEL_CLOSE_METHOD)
        text = &((const amqp_channel_close_t *)method->decoded)->reply_text;
    snprintf(link->error, sizeof(link->error), "%s: %.*s", what, text != NULL ? (int)text->len : 1,
        text != NULL ? (char *)text->bytes : "?");
}

int link_status(const amqp_rpc_reply_t *reply)
{
    return reply->reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION ? reply->library_error : AMQP_STATUS_OK;
}

bool link_ok(struct link *link, amqp_rpc_reply_t reply, const char *what)
{
    if (reply.reply_type == AMQP_RESPONSE_NORMAL)
        return true;
    if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION)
        describe_close(link, what, &reply.reply);
    else
        failed(link, what, link_status(&reply) != AMQP_STATUS_OK ? amqp_error_string2(link_status(&reply)) : "no answer");
    return false;
}

/* The certificate must be about the host that transport_url names, by its name or its address. */
static bool expect_name(amqp_socket_t *socket, const char *host)
{
    X509_VERIFY_PARAM *expected = SSL_CTX_get0_param(amqp_ssl_socket_get_context(socket));
    return X509_VERIFY_PARAM_set1_ip_asc(expected, host) == 1 || X509_VERIFY_PARAM_set1_host(expected, host, 0) == 1;
}

static bool prepare_tls(struct link *link, amqp_socket_t *socket, const char *host)
{
    const struct broker *b = link->broker;
    amqp_ssl_socket_set_verify_peer(socket, b->ca_file != NULL);
    if (b->tls_version != 0)
        amqp_ssl_socket_set_ssl_versions(socket, (amqp_tls_version_t)b->tls_version, (amqp_tls_version_t)b->tls_version);
    amqp_ssl_socket_set_verify_hostname(socket, 0); /* it knows no addresses: see expect_name() */
    if (b->ca_file != NULL && amqp_ssl_socket_set_cacert(socket, b->ca_file) != AMQP_STATUS_OK)
        return failed(link, "ssl_ca_file", "cannot be read");
    if (b->ca_file != NULL && !expect_name(socket, host))
        return failed(link, "connect", "the host cannot be told to OpenSSL");
    if (b->cert_file != NULL && b->key_file != NULL && amqp_ssl_socket_set_key(socket, b->cert_file, b->key_file) != AMQP_STATUS_OK)
        return failed(link, "ssl_cert_file and ssl_key_file", "cannot be read");
    return true;
}

static bool open_socket(struct link *link, const struct messaging_host *host)
{
    struct timeval limit = { .tv_sec = CONNECT_S }, rpc = { .tv_sec = LINK_RPC_S };
    amqp_socket_t *socket = link->broker->tls ? amqp_ssl_socket_new(link->state) : amqp_tcp_socket_new(link->state);
    if (socket == NULL)
        return failed(link, "socket", "none to be had");
    if (link->broker->tls && !prepare_tls(link, socket, host->host))
        return false;
    amqp_set_handshake_timeout(link->state, &rpc);
    amqp_set_rpc_timeout(link->state, &rpc);
    int status = amqp_socket_open_noblock(socket, host->host, host->port, &limit);
    return status == AMQP_STATUS_OK || failed(link, "connect", amqp_error_string2(status));
}

static amqp_table_entry_t entry_bool(const char *name, bool value)
{
    return (amqp_table_entry_t){ .key = amqp_cstring_bytes(name), .value = { .kind = AMQP_FIELD_KIND_BOOLEAN,
        .value.boolean = value } };
}

static amqp_table_entry_t entry_text(const char *name, const char *value)
{
    return (amqp_table_entry_t){ .key = amqp_cstring_bytes(name), .value = { .kind = AMQP_FIELD_KIND_UTF8,
        .value.bytes = amqp_cstring_bytes(value) } };
}

static amqp_table_entry_t entry_int(const char *name, int64_t value)
{
    return (amqp_table_entry_t){ .key = amqp_cstring_bytes(name), .value = { .kind = AMQP_FIELD_KIND_I64, .value.i64 = value } };
}

static bool log_in(struct link *link, const struct messaging_host *host)
{
    const struct broker *b = link->broker;
    char name[64];
    snprintf(name, sizeof(name), "nubo:%d:%s", (int)getpid(), link->purpose);
    amqp_table_entry_t can[] = { entry_bool("connection.blocked", true), entry_bool("consumer_cancel_notify", true),
        entry_bool("basic.nack", true), entry_bool("publisher_confirms", true), entry_bool("authentication_failure_close", true) };
    amqp_table_entry_t about[] = { entry_text("connection_name", name), entry_text("product", "nubo"),
        { .key = amqp_cstring_bytes("capabilities"), .value = { .kind = AMQP_FIELD_KIND_TABLE,
            .value.table = { sizeof(can) / sizeof(can[0]), can } } } };
    const amqp_table_t properties = { sizeof(about) / sizeof(about[0]), about };
    amqp_rpc_reply_t reply = b->external_login
        ? amqp_login_with_properties(link->state, b->virtual_host, 0, FRAME_SIZE, b->heartbeat_s, &properties,
            AMQP_SASL_METHOD_EXTERNAL, host->user)
        : amqp_login_with_properties(link->state, b->virtual_host, 0, FRAME_SIZE, b->heartbeat_s, &properties,
            AMQP_SASL_METHOD_PLAIN, host->user, host->password);
    return link_ok(link, reply, "login");
}

static bool open_channel(struct link *link, amqp_channel_t channel)
{
    return amqp_channel_open(link->state, channel) != NULL || link_ok(link, amqp_get_rpc_reply(link->state), "channel.open");
}

bool link_open(struct link *link)
{
    const struct messaging_host *host = &link->broker->hosts[link->next_host++ % link->broker->host_count];
    snprintf(link->where, sizeof(link->where), "%s:%d", host->host, host->port);
    link->state = amqp_new_connection();
    if (link->state == NULL)
        abort();
    link->declare_channel = CHANNEL_WORK + 1;
    link->blocked = false;
    if (!open_socket(link, host) || !log_in(link, host) || !open_channel(link, CHANNEL_WORK) ||
        !open_channel(link, link->declare_channel))
        return false;
    if (link->failures > 0)
        log_info("oslo.messaging", "connected to RabbitMQ on %s again (%s)", link->where, link->purpose);
    link->failures = 0;
    return true;
}

void link_close(struct link *link)
{
    if (link->state == NULL)
        return;
    if (atomic_load(&link->stopping)) {
        struct timeval limit = { .tv_sec = 1 };
        amqp_set_rpc_timeout(link->state, &limit);
        amqp_connection_close(link->state, AMQP_REPLY_SUCCESS);
    }
    amqp_destroy_connection(link->state);
    link->state = NULL;
}

int link_failed(struct link *link)
{
    const struct broker *b = link->broker;
    log_warning("oslo.messaging", "RabbitMQ on %s (%s): %s", link->where, link->purpose, link->error);
    link_close(link);
    int round = link->failures++ / (int)b->host_count;
    if (link->failures % (int)b->host_count != 0)
        return 0; /* another host may be there */
    int wait_s = b->retry_s + b->retry_more_s * round;
    return 1000 * (wait_s < b->retry_most_s ? wait_s : b->retry_most_s);
}

void link_wait(struct link *link, int timeout_ms)
{
    struct pollfd fds[2] = { { .fd = link->wake_fd, .events = POLLIN },
        { .fd = link->state != NULL ? amqp_get_sockfd(link->state) : -1, .events = POLLIN } };
    uint64_t count;
    if (link->state != NULL && (amqp_frames_enqueued(link->state) || amqp_data_in_buffer(link->state)))
        timeout_ms = 0;
    poll(fds, 2, timeout_ms);
    if (read(link->wake_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
        abort();
}

void link_wake(struct link *link)
{
    uint64_t one = 1;
    if (write(link->wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
        abort();
}

/* ---- declarations ---- */

/* After an RPC on the declaring channel: the broker's refusal costs the channel, not the connection. */
static bool declared(struct link *link, const char *what, const char *name)
{
    amqp_rpc_reply_t reply = amqp_get_rpc_reply(link->state);
    if (link_ok(link, reply, what))
        return true;
    if (reply.reply_type != AMQP_RESPONSE_SERVER_EXCEPTION || reply.reply.id != AMQP_CHANNEL_CLOSE_METHOD)
        return false;
    int code = ((amqp_channel_close_t *)reply.reply.decoded)->reply_code;
    amqp_channel_close_ok_t ok = { 0 };
    if (amqp_send_method(link->state, link->declare_channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok) != AMQP_STATUS_OK)
        return false;
    if (code != PRECONDITION_FAILED)
        return false;
    log_warning("oslo.messaging", "%s exists in another form already and is used as it is: %s", name, link->error);
    return open_channel(link, ++link->declare_channel);
}

bool link_declare_exchange(struct link *link, const char *name, const char *type, bool durable, bool auto_delete)
{
    amqp_exchange_declare(link->state, link->declare_channel, amqp_cstring_bytes(name), amqp_cstring_bytes(type), 0, durable,
        auto_delete, 0, amqp_empty_table);
    return declared(link, "exchange.declare", name);
}

bool link_declare_queue(struct link *link, const char *name, bool transient)
{
    const struct broker *b = link->broker;
    amqp_table_entry_t arguments[8];
    amqp_table_t table = { 0, arguments };
    if (transient && b->queue_ttl_s > 0)
        arguments[table.num_entries++] = entry_int("x-expires", b->queue_ttl_s * 1000LL);
    if (!transient && b->quorum) {
        arguments[table.num_entries++] = entry_text("x-queue-type", "quorum");
        if (b->delivery_limit > 0)
            arguments[table.num_entries++] = entry_int("x-delivery-limit", b->delivery_limit);
        if (b->memory_length > 0)
            arguments[table.num_entries++] = entry_int("x-max-in-memory-length", b->memory_length);
        if (b->memory_bytes > 0)
            arguments[table.num_entries++] = entry_int("x-max-in-memory-bytes", b->memory_bytes);
    }
    amqp_queue_declare(link->state, link->declare_channel, amqp_cstring_bytes(name), 0, !transient && b->durable, 0,
        !transient && b->auto_delete && !b->quorum, table);
    return declared(link, "queue.declare", name);
}

bool link_bind(struct link *link, const char *queue, const char *exchange, const char *key)
{
    amqp_queue_bind(link->state, link->declare_channel, amqp_cstring_bytes(queue), amqp_cstring_bytes(exchange),
        amqp_cstring_bytes(key), amqp_empty_table);
    return link_ok(link, amqp_get_rpc_reply(link->state), "queue.bind");
}
