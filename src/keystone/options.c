/* SPDX-License-Identifier: Apache-2.0
 *
 * keystone.conf: the options that are in effect here, with the names and defaults of keystone 2023.1.
 */
#include "keystone/state.h"

#include "oslo/options.h"

static const struct option rows[] = {
    { "DEFAULT",  "bind_host",            OPTION_HOST, "0.0.0.0", "Address that the API listens on; keystone is its own server here." },
    { "DEFAULT",  "bind_port",            OPTION_PORT, "5000", "Port that the API listens on." },
    { "DEFAULT",  "admin_token",          OPTION_STR,  NULL,   "Known for existing files: there is no such token; keystone-manage bootstrap"
      " makes the first user.", .secret = true },
    { "DEFAULT",  "insecure_debug",       OPTION_BOOL, "false", "Known for existing files: answers never tell why a login failed." },
    { "DEFAULT",  "max_token_size",       OPTION_INT,  "255",  "Known for existing files: tokens of any size are made and read." },
    { "DEFAULT",  "default_publisher_id", OPTION_STR,  NULL,   "Default publisher_id for outgoing notifications. Not set: the host's name." },
    { "DEFAULT",  "notification_format",  OPTION_STR,  "cadf", "Form of identity's notifications: basic only says what was done to which"
      " resource, cadf also by whom and from where.", .choices = OPTION_WORDS("basic", "cadf") },
    { "DEFAULT",  "notification_opt_out", OPTION_MULTI,
      "identity.authenticate.success\nidentity.authenticate.pending\nidentity.authenticate.failed",
      "Notifications that are not sent: identity.RESOURCE.OPERATION." },
    { "eventlet_server", "public_bind_host", OPTION_STR, "0.0.0.0", "Known for existing files: bind_host says it." },
    { "eventlet_server", "admin_bind_host", OPTION_STR, "0.0.0.0", "Known for existing files: bind_host says it." },
    { "DEFAULT",  "public_endpoint",      OPTION_URI,  NULL,   "Base URL of the API in links; from the request when not set." },
    { "DEFAULT",  "max_project_tree_depth", OPTION_INT, "5",   "How deep projects may be nested below their domain." },
    { "assignment", "prohibited_implied_role", OPTION_LIST, "admin", "Roles that must not be implied by others." },
    { "auth",     "methods",              OPTION_LIST, "external,password,token,oauth1,mapped,application_credential",
      "Authentication methods; their order gives the numbers that tokens carry. With identity providers, take external away:"
      " both go by REMOTE_USER." },
    { "auth",     "external",             OPTION_STR, NULL, "Which domain a REMOTE_USER is of: DefaultDomain (when not set), or Domain:"
      " the one that REMOTE_DOMAIN names.", .choices = OPTION_WORDS("default", "DefaultDomain", "Domain") },
    { "fernet_tokens", "key_repository",  OPTION_STR,  "/etc/keystone/fernet-keys/", "Directory of the Fernet keys." },
    { "fernet_tokens", "max_active_keys", OPTION_INT,  "3",    "Keys that a rotation keeps.", .min = 1, .max = INT64_MAX },
    { "fernet_receipts", "key_repository", OPTION_STR, "/etc/keystone/fernet-keys/", "Directory of the keys of receipts." },
    { "fernet_receipts", "max_active_keys", OPTION_INT, "3", "Keys that a rotation keeps.", .min = 1, .max = INT64_MAX },
    { "credential", "key_repository",     OPTION_STR,  "/etc/keystone/credential-keys/", "Directory of the keys of credentials." },
    { "identity", "default_domain_id",    OPTION_STR,  "default", "The domain of requests that name none." },
    { "identity", "max_password_length",  OPTION_INT,  "4096", "Longest password, in bytes.", .max = 4096 },
    { "identity", "password_hash_algorithm", OPTION_STR, "bcrypt", "How new passwords are hashed.",
      .choices = OPTION_WORDS("bcrypt", "scrypt", "pbkdf2_sha512") },
    { "identity", "password_hash_rounds", OPTION_INT,  NULL,   "Work factor of new hashes; the algorithm's default when not set." },
    { "identity", "login_cache_time",     OPTION_INT,  "300",
      "Seconds in which the same password of a user is not hashed again (kept keyed, in memory); 0: never.", .max = 3600 },
    { "revoke",   "expiration_buffer",    OPTION_INT,  "1800", "Seconds that revocation events outlive the tokens.", .max = INT64_MAX },
    { "security_compliance", "lockout_failure_attempts", OPTION_INT, NULL, "Failed authentications until the user is locked." },
    { "security_compliance", "lockout_duration", OPTION_INT, "1800", "Seconds that a user stays locked." },
    { "security_compliance", "password_expires_days", OPTION_INT, NULL, "Days until a password expires." },
    { "security_compliance", "password_regex", OPTION_STR, NULL, "What a new password must match." },
    { "security_compliance", "password_regex_description", OPTION_STR, NULL, "The same in words." },
    { "security_compliance", "unique_last_password_count", OPTION_INT, "0", "Passwords of the past that may not come again." },
    { "security_compliance", "minimum_password_age", OPTION_INT, "0", "Days until a password may be changed again." },
    { "token",    "expiration",           OPTION_INT,  "3600", "Seconds that a token is valid.", .max = INT64_MAX },
    { "token",    "allow_rescope_scoped_token", OPTION_BOOL, "true", "Whether a scoped token may be exchanged for another." },
    { "token",    "allow_expired_window", OPTION_INT,  "172800", "Seconds after its end in which services may still ask for a token." },
};

const struct option_table keystone_options = OPTION_TABLE(rows);
