/* SPDX-License-Identifier: Apache-2.0
 *
 * link: one connection to one of the brokers, used by one thread; and what the configuration says about all of them.
 *
 * The thread sleeps in link_wait(), on the socket and on an event that others set. Every function that returns false has
 * noted why in `error`; the link is then closed, and link_open() tries the next host.
 */
#ifndef OSLO_MESSAGING_AMQP_LINK_H
#define OSLO_MESSAGING_AMQP_LINK_H

#include "oslo/messaging/wire.h"

#include <amqp.h>
#include <pthread.h>
#include <stdatomic.h>

enum { CHANNEL_WORK = 1, ERROR_TEXT = 256, LINK_RPC_S = 15 /* how long the broker is waited for */ };

/* What the URL and [oslo_messaging_rabbit] say. Constant once read; lives as long as the driver. */
struct broker {
    struct arena *arena;
    const struct messaging_host *hosts;
    size_t host_count;
    const char *virtual_host;
    bool tls, shuffle, quorum, durable, auto_delete, mandatory_replies, cancel_on_failover, external_login;
    const char *ca_file, *cert_file, *key_file;
    int tls_version; /* the only one that is spoken (amqp_tls_version_t); 0: the best of both ends */
    int heartbeat_s, prefetch, queue_ttl_s, missing_s;
    int retry_s, retry_more_s, retry_most_s, cancel_delay_ms;
    int64_t delivery_limit, memory_length, memory_bytes;
};

struct link {
    const struct broker *broker;
    const char *purpose; /* for the log and the broker's own list: "consumer" */
    amqp_connection_state_t state; /* NULL: closed */
    amqp_channel_t declare_channel; /* the channel that a refused declaration may cost */
    int wake_fd;
    size_t next_host;
    int failures; /* in a row */
    bool blocked; /* the broker asks publishers to hold */
    atomic_bool stopping;
    char where[300];
    char error[ERROR_TEXT];
};

/* Fault 500: ssl_version is none. */
struct fault *broker_create(struct context *cx, struct transport *transport, const struct messaging_url *url, struct broker **ret);

/* Not connected yet; `purpose` is the connection's name in the broker's lists. release ends the connection too. */
void link_init(struct link *link, const struct broker *broker, const char *purpose);
void link_release(struct link *link);

/* Connects to the next host, logs in, opens the channels. */
bool link_open(struct link *link);
void link_close(struct link *link);

/* Notes what went wrong, closes, and says how long to wait before the next link_open(). */
int link_failed(struct link *link);

/* Sleeps until the socket has something, link_wake() was called, or the time is over. */
void link_wait(struct link *link, int timeout_ms);
void link_wake(struct link *link);

/* The library's own AMQP_STATUS_... behind an answer; AMQP_STATUS_OK when it is none, or the broker said no. */
int link_status(const amqp_rpc_reply_t *reply);

/* Whether it worked; if not, link->error says what did not, and why. */
bool link_ok(struct link *link, amqp_rpc_reply_t reply, const char *what);

/* Declarations. What exists in another form already is used as it is. */
bool link_declare_exchange(struct link *link, const char *name, const char *type, bool durable, bool auto_delete);
/* `transient`: of one process (replies, fanout), never a quorum queue, expires unused. */
bool link_declare_queue(struct link *link, const char *name, bool transient);
bool link_bind(struct link *link, const char *queue, const char *exchange, const char *key);

#endif
