/* SPDX-License-Identifier: Apache-2.0
 *
 * keystone.conf: what delegation, credentials, receipts and OAuth may be told; names and defaults of keystone 2023.1.
 */
#include "keystone/state.h"

#include "oslo/options.h"

#define DRIVER(section, help)  { section, "driver", OPTION_STR, "sql", help, .choices = OPTION_WORDS("sql") }
#define CACHING(section, time)                                                                                         \
    { section, "caching", OPTION_BOOL, "true", "Known; what is kept in memory is never older than the last change." }, \
    { section, "cache_time", OPTION_INT, time, "Known; what is kept in memory is never older than the last change." }

static const struct option rows[] = {
    DRIVER("trust", "Where trusts are kept."),
    { "trust", "allow_redelegation", OPTION_BOOL, "false", "Known; each trust says whether it may be passed on." },
    { "trust", "max_redelegation_count", OPTION_INT, "3", "How often a trust may be passed on." },

    DRIVER("application_credential", "Where application credentials are kept."),
    CACHING("application_credential", NULL),
    { "application_credential", "user_limit", OPTION_INT, "-1", "Application credentials that a user may have; -1: any number." },

    DRIVER("credential", "Where credentials are kept."),
    { "credential", "provider", OPTION_STR, "fernet", "How credentials are encrypted.", .choices = OPTION_WORDS("fernet") },
    CACHING("credential", NULL),
    { "credential", "auth_ttl", OPTION_INT, "15", "Minutes that a signed EC2 or S3 request may be old." },
    { "credential", "user_limit", OPTION_INT, "-1", "Credentials that a user may have; -1: any number." },

    { "receipt", "expiration", OPTION_INT, "300", "Seconds that an auth receipt is valid.", .min = 0, .max = 86400 },
    { "receipt", "provider", OPTION_STR, "fernet", "How receipts are sealed.", .choices = OPTION_WORDS("fernet") },
    CACHING("receipt", "300"),
    { "receipt", "cache_on_issue", OPTION_BOOL, "true", "Known; receipts are read from their text." },

    { "totp", "included_previous_windows", OPTION_INT, "1", "Passcodes of the past that are taken, too.", .min = 0, .max = 10 },

    DRIVER("oauth1", "Where consumers and their tokens are kept."),
    { "oauth1", "request_token_duration", OPTION_INT, "28800", "Seconds that a request token is valid; 0: for ever.", .max = INT64_MAX },
    { "oauth1", "access_token_duration", OPTION_INT, "86400", "Seconds that an access token is valid; 0: for ever.", .max = INT64_MAX },
    { "oauth2", "oauth2_authn_methods", OPTION_LIST, "tls_client_auth,client_secret_basic", "How OAuth2 clients prove themselves." },
    { "oauth2", "oauth2_cert_dn_mapping_id", OPTION_STR, "oauth2_mapping", "The mapping of certificates to users." },

    { "token", "provider", OPTION_STR, "fernet", "The form of tokens.", .choices = OPTION_WORDS("fernet", "jws") },
    { "jwt_tokens", "jws_public_key_repository", OPTION_STR, "/etc/keystone/jws-keys/public", "Directory of the keys that check JWS tokens." },
    { "jwt_tokens", "jws_private_key_repository", OPTION_STR, "/etc/keystone/jws-keys/private",
      "Directory of the key that signs JWS tokens: private.pem." },

    { "security_compliance", "disable_user_account_days_inactive", OPTION_INT, NULL,
      "Days without authentication after which a user is disabled.", .min = 1, .max = INT64_MAX },
    { "security_compliance", "change_password_upon_first_use", OPTION_BOOL, "false",
      "Whether a user must change a password that somebody else set." },
};

const struct option_table keystone_auth_options = OPTION_TABLE(rows);
