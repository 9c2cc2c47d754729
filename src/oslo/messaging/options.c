/* SPDX-License-Identifier: Apache-2.0
 * messaging/options: what may be told to messages and notifications. Names and defaults are oslo.messaging's (2023.1) where
 * the help says nothing else. */
#include "oslo/messaging.h"
#include "oslo/options.h"

#define RABBIT "oslo_messaging_rabbit"
#define HTTP "oslo_messaging_http"
#define NOTIFY "oslo_messaging_notifications"

static const char *const failover[] = { "round-robin", "shuffle", NULL };
static const char *const login[] = { "PLAIN", "AMQPLAIN", "EXTERNAL", "RABBIT-CR-DEMO", NULL };
static const char *const notification_drivers[] = { "messaging", "messagingv2", "routing", "log", "test", "noop", NULL };

static const struct option rows[] = {
    { "DEFAULT", "transport_url", OPTION_STR, "memory://",
        "Where messages go: memory:// inside one process, rabbit://user:password@host:port[,...]/virtual_host for RabbitMQ "
            "(kombu:// and kombu+rabbit:// mean the same), http://secret@host:port[,...]/ between processes without a broker, "
            "https:// over TLS.", .secret = true },
    { "DEFAULT", "control_exchange", OPTION_STR, NULL,
        "The exchange under which topics are scoped. Not set: the service's name (nova, neutron, ...)." },
    { "DEFAULT", "rpc_response_timeout", OPTION_INT, "60", "Seconds to wait for a response from a call.", .min = 1, .max = 86400 },
    { "DEFAULT", "executor_thread_pool_size", OPTION_INT, "64",
        "How many messages one server works on at the same time, at most, and threads of the process for them. Not set: "
        "what suits the server, and 16 threads (oslo.messaging: 64).", .min = 1, .max = 1024,
        .deprecated = OPTION_WORDS("rpc_thread_pool_size") },
    { "DEFAULT", "rpc_conn_pool_size", OPTION_INT, "30",
        "Accepted; one connection sends for the whole process, and confirms are awaited together.", .min = 1, .max = INT64_MAX },
    { "DEFAULT", "rpc_ping_enabled", OPTION_BOOL, "false", "Answer the method oslo_rpc_server_ping on every topic." },

    { RABBIT, "amqp_durable_queues", OPTION_BOOL, "false",
        "Use durable queues in AMQP. Quorum queues are durable whatever this says." },
    { RABBIT, "amqp_auto_delete", OPTION_BOOL, "false", "Auto-delete queues in AMQP.",
        .deprecated = OPTION_WORDS("DEFAULT/amqp_auto_delete") },
    { RABBIT, "ssl", OPTION_BOOL, "false", "Connect over SSL.", .deprecated = OPTION_WORDS("rabbit_use_ssl") },
    { RABBIT, "ssl_version", OPTION_STR, "", "SSL version to use: TLSv1, TLSv1_1, TLSv1_2, or SSLv23 (as empty: the best of both ends).",
        .deprecated = OPTION_WORDS("kombu_ssl_version") },
    { RABBIT, "ssl_key_file", OPTION_STR, "", "SSL key file (valid only if SSL enabled).",
        .deprecated = OPTION_WORDS("kombu_ssl_keyfile") },
    { RABBIT, "ssl_cert_file", OPTION_STR, "", "SSL cert file (valid only if SSL enabled).",
        .deprecated = OPTION_WORDS("kombu_ssl_certfile") },
    { RABBIT, "ssl_ca_file", OPTION_STR, "",
        "SSL certification authority file (valid only if SSL enabled). With one, the broker's certificate"
        " is checked, name or address included.",
        .deprecated = OPTION_WORDS("kombu_ssl_ca_certs") },
    { RABBIT, "ssl_enforce_fips_mode", OPTION_BOOL, "false", "Accepted; the system's OpenSSL configuration decides." },
    { RABBIT, "heartbeat_in_pthread", OPTION_BOOL, "false", "Accepted; heartbeats always come from a thread of their own." },
    { RABBIT, "kombu_reconnect_delay", OPTION_FLOAT, "1.0",
        "How long to wait (in seconds) before reconnecting in response to an AMQP consumer cancel notification.", .min = 0,
            .max = 4 },
    { RABBIT, "kombu_compression", OPTION_STR, NULL, "Accepted; messages are never compressed, compressed ones are refused." },
    { RABBIT, "kombu_missing_consumer_retry_timeout", OPTION_INT, "60",
        "How long to wait for a missing client before its reply is dropped.",
            .deprecated = OPTION_WORDS("kombu_reconnect_timeout") },
    { RABBIT, "kombu_failover_strategy", OPTION_STR, "round-robin",
        "Determines how the next RabbitMQ node is chosen when the present one becomes unavailable.", .choices = failover },
    { RABBIT, "rabbit_login_method", OPTION_STR, "AMQPLAIN",
        "The RabbitMQ login method. AMQPLAIN and PLAIN both log in by PLAIN, which every RabbitMQ takes.", .choices = login },
    { RABBIT, "rabbit_retry_interval", OPTION_INT, "1", "How frequently to retry connecting with RabbitMQ." },
    { RABBIT, "rabbit_retry_backoff", OPTION_INT, "2",
        "How long to backoff for between retries when connecting to RabbitMQ.",
            .deprecated = OPTION_WORDS("DEFAULT/rabbit_retry_backoff") },
    { RABBIT, "rabbit_interval_max", OPTION_INT, "30", "Maximum interval of RabbitMQ connection retries." },
    { RABBIT, "rabbit_ha_queues", OPTION_BOOL, "false",
        "Accepted; mirrored queues are a policy of the broker since RabbitMQ 3.0. Cannot be set together with rabbit_quorum_queue.",
        .deprecated = OPTION_WORDS("DEFAULT/rabbit_ha_queues") },
    { RABBIT, "rabbit_quorum_queue", OPTION_BOOL, "true",
        "Use quorum queues in RabbitMQ (x-queue-type: quorum): durable, replicated. oslo.messaging's default is false; a "
            "queue that "
        "exists already in another form is used as it is." },
    { RABBIT, "rabbit_quorum_delivery_limit", OPTION_INT, "0",
        "How often a message of a quorum queue is delivered before the broker drops it. 0: no limit." },
    { RABBIT, "rabbit_quorum_max_memory_length", OPTION_INT, "0",
        "How many messages of a quorum queue are kept in memory. 0: no limit.",
            .deprecated = OPTION_WORDS("rabbit_quroum_max_memory_length") },
    { RABBIT, "rabbit_quorum_max_memory_bytes", OPTION_INT, "0",
        "How many bytes of a quorum queue are kept in memory. 0: no limit.",
            .deprecated = OPTION_WORDS("rabbit_quroum_max_memory_bytes") },
    { RABBIT, "rabbit_transient_queues_ttl", OPTION_INT, "1800",
        "Seconds after which unused reply and fanout queues are deleted (x-expires).", .min = 1, .max = 4294967 },
    { RABBIT, "rabbit_qos_prefetch_count", OPTION_INT, "0",
        "How many messages a process takes before they are handled. 0: 256 (oslo.messaging: unlimited).", .min = 0, .max = 65535 },
    { RABBIT, "heartbeat_timeout_threshold", OPTION_INT, "60",
        "Seconds after which the broker is considered down if no heartbeat comes (0 disables heartbeats).", .min = 0,
            .max = 65535 },
    { RABBIT, "heartbeat_rate", OPTION_INT, "2", "Accepted; both ends look twice in heartbeat_timeout_threshold, as AMQP asks." },
    { RABBIT, "direct_mandatory_flag", OPTION_BOOL, "true",
        "Whether a reply to a queue that is gone is noticed, and tried again for a while." },
    { RABBIT, "enable_cancel_on_failover", OPTION_BOOL, "false",
        "Whether the broker is to cancel consumers when a queue fails over (x-cancel-on-ha-failover)." },
    { RABBIT, "rpc_conn_pool_size", OPTION_INT, "30", "Accepted, see [DEFAULT] rpc_conn_pool_size.", .min = 1, .max = INT64_MAX },
    { RABBIT, "conn_pool_min_size", OPTION_INT, "2", "Accepted, see [DEFAULT] rpc_conn_pool_size." },
    { RABBIT, "conn_pool_ttl", OPTION_INT, "1200", "Accepted, see [DEFAULT] rpc_conn_pool_size." },

    { HTTP, "ssl_ca_file", OPTION_STR, NULL, "Authorities of the certificates of hubs that https:// names. Not set: the system's." },
    { HTTP, "ssl_cert_file", OPTION_STR, NULL, "Certificate of a hub in this process, about the host that transport_url names."
        " Without one this process is no hub." },
    { HTTP, "ssl_key_file", OPTION_STR, NULL, "Its key." },

    { NOTIFY, "driver", OPTION_MULTI, "", "The drivers to handle sending notifications: messaging, messagingv2, log, noop. Several "
        "lines name several. None: notifications are not made at all.", .choices = notification_drivers,
        .deprecated = OPTION_WORDS("DEFAULT/notification_driver") },
    { NOTIFY, "transport_url", OPTION_STR, NULL,
        "Where notifications go. If not set, where messages go.", .secret = true,
        .deprecated = OPTION_WORDS("DEFAULT/notification_transport_url") },
    { NOTIFY, "topics", OPTION_LIST, "notifications", "AMQP topic used for OpenStack notifications.",
        .deprecated = OPTION_WORDS("rpc_notifier2/topics", "DEFAULT/notification_topics") },
    { NOTIFY, "retry", OPTION_INT, "-1",
        "How often to re-send a notification that could not be handed over. 0: never, -1: until the process ends." },
};
const struct option_table messaging_options = OPTION_TABLE(rows);
