/* SPDX-License-Identifier: Apache-2.0
 *
 * options/common: what every service's configuration may say beyond its own: the libraries' sections. See app.h.
 */
#include "oslo/app.h"

#define KNOWN "Known for existing files: "

static const struct option rows[] = {
    { "DEFAULT", "host", OPTION_STR, NULL, "Name of this host, as agents and compute services report it; not set: the machine's name." },
    { "DEFAULT", "my_ip", OPTION_STR, "127.0.0.1", "The address that this host uses on the management network." },
    { "DEFAULT", "graceful_shutdown_timeout", OPTION_INT, "60",
      "Seconds in which requests under way may end after SIGTERM; 0: as long as they take.", .min = 0, .max = INT32_MAX,
      .reloadable = true },
    { "DEFAULT", "backdoor_port", OPTION_STR, NULL, KNOWN "there is no eventlet backdoor." },
    { "DEFAULT", "backdoor_socket", OPTION_STR, NULL, KNOWN "there is no eventlet backdoor." },
    { "DEFAULT", "log_options", OPTION_BOOL, "true", "Log every option's value at the start when debug is on; secrets are masked." },
    { "DEFAULT", "wsgi_default_pool_size", OPTION_INT, "100", KNOWN "requests are not run by green threads." },
    { "DEFAULT", "wsgi_keep_alive", OPTION_BOOL, "true", KNOWN "connections are kept alive." },
    { "DEFAULT", "client_socket_timeout", OPTION_INT, "900", KNOWN "an idle connection is closed after a time of the server's own." },
    { "DEFAULT", "max_header_line", OPTION_INT, "16384", KNOWN "a request's headers have a limit of the server's own." },
    { "DEFAULT", "api_paste_config", OPTION_STR, "api-paste.ini", KNOWN "the way of a request is in the program, not in a paste file." },
    { "DEFAULT", "run_external_periodic_tasks", OPTION_BOOL, "true", KNOWN "periodic tasks run in their own program." },
    { "oslo_concurrency", "lock_path", OPTION_STR, NULL, KNOWN "what must exclude others is locked in the database, not by files." },
    { "oslo_concurrency", "disable_process_locking", OPTION_BOOL, "false", KNOWN "as lock_path." },
    { "oslo_policy", "enforce_scope", OPTION_BOOL, "false", "Whether the scope of the token must be one of the policy's." },
    { "oslo_policy", "enforce_new_defaults", OPTION_BOOL, "false", "Whether deprecated policy defaults are ignored." },
    { "oslo_policy", "policy_file", OPTION_STR, "policy.yaml", "File of policy overrides, relative to the configuration." },
    { "oslo_policy", "policy_default_rule", OPTION_STR, "default", "Rule that decides where a rule is not known.",
      .choices = OPTION_WORDS("default") },
    { "oslo_policy", "policy_dirs", OPTION_MULTI, "policy.d", "Folders, relative to the configuration, of more files of policy overrides." },
    { "oslo_policy", "remote_content_type", OPTION_STR, "application/x-www-form-urlencoded", "How servers that http: checks ask are told.",
      .choices = OPTION_WORDS("application/x-www-form-urlencoded", "application/json") },
    { "oslo_policy", "remote_ssl_verify_server_crt", OPTION_BOOL, "false", "Whether the certificates of these servers are looked at." },
    { "oslo_policy", "remote_ssl_ca_crt_file", OPTION_STR, NULL, "The authorities that they must have." },
    { "oslo_policy", "remote_ssl_client_crt_file", OPTION_STR, NULL, "Our certificate for them." },
    { "oslo_policy", "remote_ssl_client_key_file", OPTION_STR, NULL, "Its key." },
    { "oslo_policy", "remote_timeout", OPTION_FLOAT, "60", "Seconds that a check may take." },
    { "oslo_middleware", "secure_proxy_ssl_header", OPTION_STR, "X-Forwarded-Proto", KNOWN "enable_proxy_headers_parsing decides.",
      .choices = OPTION_WORDS("X-Forwarded-Proto") },
    { "oslo_middleware", "http_basic_auth_user_file", OPTION_STR, "/etc/htpasswd", KNOWN "there is no basic authentication." },
    { "healthcheck", "enable_by_file_paths", OPTION_LIST, "", KNOWN "drain an API by disable_by_file_path, its proxy, or SIGTERM." },
    { "healthcheck", "allowed_source_ranges", OPTION_LIST, "", KNOWN "the check tells nothing that is not public." },
    { "healthcheck", "ignore_proxied_requests", OPTION_BOOL, "false", KNOWN "as allowed_source_ranges." },
    { "oslo_reports", "log_dir", OPTION_STR, NULL, KNOWN "there are no Guru Meditation Reports." },
    { "oslo_reports", "file_event_handler", OPTION_STR, NULL, KNOWN "as log_dir." },
    { "oslo_reports", "file_event_handler_interval", OPTION_INT, "1", KNOWN "as log_dir." },
    { "profiler", "enabled", OPTION_BOOL, "false", KNOWN "every request is traced: nubo trace REQUEST-ID." },
    { "profiler", "trace_sqlalchemy", OPTION_BOOL, "false", KNOWN "as enabled." },
    { "profiler", "hmac_keys", OPTION_STR, "SECRET_KEY", KNOWN "as enabled.", .secret = true },
    { "profiler", "connection_string", OPTION_STR, "messaging://", KNOWN "as enabled.", .secret = true },
    { "ssl", "cert_file", OPTION_STR, NULL, "PEM encoded certificate: with key_file, the APIs of this service speak HTTPS." },
    { "ssl", "key_file", OPTION_STR, NULL, "PEM encoded key of the certificate." },
    { "ssl", "ca_file", OPTION_STR, NULL, "Authorities of clients' certificates: with it, who has none of them is refused." },
    { "ssl", "version", OPTION_STR, NULL, KNOWN "the best version that both ends know is spoken." },
    { "ssl", "ciphers", OPTION_STR, NULL, KNOWN "GnuTLS chooses; /etc/gnutls/config restricts it." },
};
const struct option_table common_options = OPTION_TABLE(rows);
