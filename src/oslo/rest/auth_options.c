/* SPDX-License-Identifier: Apache-2.0
 * auth_options: see auth_options.h. The group in these rows is never read: the table that carries them names it. */
#include "oslo/rest/auth_options.h"

#define G "auth"

static const char *const auth_types[] = { "password", "v3password", "token", "v3token", "v3applicationcredential", "none", NULL };

const struct option auth_option_rows[AUTH_OPTION_ROWS] = {
    { G, "auth_type",           OPTION_STR,   NULL,    "Authentication type to load.", .choices = auth_types, .deprecated = OPTION_WORDS("auth_plugin") },
    { G, "auth_section",        OPTION_STR,   NULL,    "Section from which the options of the authentication are read instead." },
    { G, "auth_url",            OPTION_STR,   NULL,    "Where to log in." },
    { G, "username",            OPTION_STR,   NULL,    "Name of the user.", .deprecated = OPTION_WORDS("user_name", "user", "admin_user") },
    { G, "user_id",             OPTION_STR,   NULL,    "Id of the user." },
    { G, "user_domain_id",      OPTION_STR,   NULL,    "Id of the user's domain." },
    { G, "user_domain_name",    OPTION_STR,   NULL,    "Name of the user's domain." },
    { G, "password",            OPTION_STR,   NULL,    "Password of the user.", .secret = true, .deprecated = OPTION_WORDS("admin_password") },
    { G, "token",               OPTION_STR,   NULL,    "Token to log in with.", .secret = true },
    { G, "application_credential_id",     OPTION_STR, NULL, "Id of an application credential." },
    { G, "application_credential_name",   OPTION_STR, NULL, "Its name, beside the user." },
    { G, "application_credential_secret", OPTION_STR, NULL, "Its secret.", .secret = true },
    { G, "project_id",          OPTION_STR,   NULL,    "Id of the project to be scoped to.", .deprecated = OPTION_WORDS("tenant_id") },
    { G, "project_name",        OPTION_STR,   NULL,    "Name of the project to be scoped to.", .deprecated = OPTION_WORDS("tenant_name", "admin_tenant_name") },
    { G, "project_domain_id",   OPTION_STR,   NULL,    "Id of the project's domain." },
    { G, "project_domain_name", OPTION_STR,   NULL,    "Name of the project's domain." },
    { G, "domain_id",           OPTION_STR,   NULL,    "Id of the domain to be scoped to." },
    { G, "domain_name",         OPTION_STR,   NULL,    "Name of the domain to be scoped to." },
    { G, "system_scope",        OPTION_STR,   NULL,    "Scope of system operations: all." },
    { G, "trust_id",            OPTION_STR,   NULL,    "Id of the trust to be used." },
    { G, "default_domain_id",   OPTION_STR,   NULL,    "Domain of user and project where none is named." },
    { G, "default_domain_name", OPTION_STR,   NULL,    "Name of that domain." },
    { G, "cafile",              OPTION_STR,   NULL,    "File of PEM encoded certificate authorities that servers are checked with." },
    { G, "certfile",            OPTION_STR,   NULL,    "PEM encoded client certificate." },
    { G, "keyfile",             OPTION_STR,   NULL,    "PEM encoded key of the client certificate." },
    { G, "insecure",            OPTION_BOOL,  "false", "Do not look at the servers' certificates." },
    { G, "timeout",             OPTION_INT,   NULL,    "Seconds after which a call is given up.", .min = 0, .max = 86400 },
    { G, "collect_timing",      OPTION_BOOL,  "false", "Known for existing files: every call's time is in the trace anyway." },
    { G, "split_loggers",       OPTION_BOOL,  "false", "Known for existing files: what is logged of a call is one line." },
    { G, "access_token",        OPTION_STR,   NULL,    "Known for existing files: federated logins of services are refused.", .secret = true },
    { G, "identity_provider",   OPTION_STR,   NULL,    "Known for existing files, as access_token." },
    { G, "protocol",            OPTION_STR,   NULL,    "Known for existing files, as access_token." },
    { G, "passcode",            OPTION_STR,   NULL,    "Time-based one-time password.", .secret = true },
    { G, "unscoped",            OPTION_BOOL,  "false", "Ask for a token without a scope." },
};

const struct option adapter_option_rows[ADAPTER_OPTION_ROWS] = {
    { G, "service_type",            OPTION_STR,   NULL,              "Type of the service in the catalog." },
    { G, "service_name",            OPTION_STR,   NULL,              "Name of the service in the catalog." },
    { G, "valid_interfaces",        OPTION_LIST,  "internal,public", "Interfaces of the endpoint, the first one that is there is taken." },
    { G, "region_name",             OPTION_STR,   NULL,              "Region of the endpoint.", .deprecated = OPTION_WORDS("os_region_name") },
    { G, "endpoint_override",       OPTION_STR,   NULL,              "Use this URL whatever the catalog says; %(project_id)s is the project." },
    { G, "version",                 OPTION_STR,   NULL,              "Known for existing files: the version is what the caller speaks." },
    { G, "min_version",             OPTION_STR,   NULL,              "Known for existing files, as version." },
    { G, "max_version",             OPTION_STR,   NULL,              "Known for existing files, as version." },
    { G, "connect_retries",         OPTION_INT,   "3",
        "How often a connection is tried again.", .min = 0, .max = 100, .deprecated = OPTION_WORDS("http_retries", "num_retries") },
    { G, "connect_retry_delay",     OPTION_FLOAT, NULL,              "Known for existing files: the wait is 0.1 s and doubles." },
    { G, "status_code_retries",     OPTION_INT,   "1",               "How often an idempotent call is sent again after an answer 503.", .min = 0, .max = 100 },
    { G, "status_code_retry_delay", OPTION_FLOAT, NULL,              "Known for existing files: the wait is what Retry-After says." },
};
