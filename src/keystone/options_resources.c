/* SPDX-License-Identifier: Apache-2.0
 *
 * keystone.conf, the sections of resources, the catalog, federation and directories, with the names and defaults of
 * keystone 2023.1. Sections of caches and drivers that have only one answer here are known, so that a file that sets them
 * is no surprise.
 */
#include "keystone/state.h"

#include "oslo/middleware.h"
#include "oslo/options.h"

#define DRIVER(section, help)  { section, "driver", OPTION_STR, "sql", help, .choices = OPTION_WORDS("sql") }
#define CACHING(section, time)                                                                                         \
    { section, "caching", OPTION_BOOL, "true", "Known; what is kept in memory is never older than the last change." }, \
    { section, "cache_time", OPTION_INT, time, "Known; what is kept in memory is never older than the last change." }
#define LIST_LIMIT(section) { section, "list_limit", OPTION_INT, NULL, "Longest list of a collection of this section." }

static const char *const assignment_limit[] = { "assignment/list_limit", NULL };

static const struct option rows[] = {
    CORS_OPTIONS("X-Auth-Token,X-Openstack-Request-Id,X-Subject-Token,X-Project-Id,X-Project-Name,X-Project-Domain-Id,"
                 "X-Project-Domain-Name,X-Domain-Id,X-Domain-Name,Openstack-Auth-Receipt",
                 "X-Auth-Token,X-Openstack-Request-Id,X-Subject-Token,Openstack-Auth-Receipt", "GET,PUT,POST,DELETE,PATCH"),
    { "healthcheck", "backends", OPTION_LIST, "", "What health checks look at.",
      .choices = OPTION_WORDS("disable_by_file", "disable_by_files_ports") },
    { "DEFAULT", "strict_password_check", OPTION_BOOL, "false", "Refuse a password that is too long, instead of cutting it." },
    { "DEFAULT", "list_limit", OPTION_INT, NULL, "Longest list of any collection; longer ones are cut and say so." },

    CACHING("catalog", NULL),
    LIST_LIMIT("catalog"),
    { "catalog", "driver", OPTION_STR, "sql", "Where services and endpoints are kept.",
      .choices = OPTION_WORDS("sql", "templated", "endpoint_filter.sql") },
    { "catalog", "template_file", OPTION_STR, "default_catalog.templates", "The file of the templated catalog." },
    DRIVER("endpoint_filter", "Where associations of endpoints and projects are kept."),
    { "endpoint_filter", "return_all_endpoints_if_no_filter", OPTION_BOOL, "true",
      "The whole catalog for projects without associations; else an empty one." },
    DRIVER("endpoint_policy", "Where associations of policies are kept."),

    CACHING("resource", NULL),
    { "resource", "list_limit", OPTION_INT, NULL, "Longest list of projects and domains.", .deprecated = assignment_limit },
    DRIVER("resource", "Where projects are kept."),
    { "resource", "admin_project_domain_name", OPTION_STR, NULL, "Domain of the project of cloud administrators; tokens say nothing of it"
      " unless both options are set." },
    { "resource", "admin_project_name", OPTION_STR, NULL, "Project whose tokens say is_admin_project." },
    { "resource", "project_name_url_safe", OPTION_STR, "off", "Whether names of projects may have characters reserved in URLs.",
      .choices = OPTION_WORDS("off", "new", "strict") },
    { "resource", "domain_name_url_safe", OPTION_STR, "off", "Whether names of domains may have characters reserved in URLs.",
      .choices = OPTION_WORDS("off", "new", "strict") },
    { "domain_config", "driver", OPTION_STR, "sql", "Where the configuration of domains is kept.", .choices = OPTION_WORDS("sql") },
    CACHING("domain_config", "300"),
    { "role", "driver", OPTION_STR, NULL, "Where roles are kept.", .choices = OPTION_WORDS("sql") },
    CACHING("role", NULL),
    LIST_LIMIT("role"),
    { "policy", "driver", OPTION_STR, "sql", "Where policies are kept.", .choices = OPTION_WORDS("sql", "rules") },
    LIST_LIMIT("policy"),
    DRIVER("unified_limit", "Where limits are kept."),
    CACHING("unified_limit", NULL),
    LIST_LIMIT("unified_limit"),
    { "unified_limit", "enforcement_model", OPTION_STR, "flat", "How limits of a tree of projects stand to each other.",
      .choices = OPTION_WORDS("flat", "strict_two_level") },

    { "identity", "salt_bytesize", OPTION_INT, NULL, "Bytes of salt of scrypt and pbkdf2_sha512.", .min = 0, .max = 96 },
    { "identity", "scrypt_block_size", OPTION_INT, NULL, "The parameter r of scrypt." },
    { "identity", "scrypt_parallelism", OPTION_INT, NULL, "The parameter p of scrypt." },
    { "identity", "driver", OPTION_STR, "sql", "Where users and groups are kept.", .choices = OPTION_WORDS("sql", "ldap") },
    CACHING("identity", "600"),
    LIST_LIMIT("identity"),
    { "identity", "domain_specific_drivers_enabled", OPTION_BOOL, "false", "Whether domains may have drivers of their own." },
    { "identity", "domain_configurations_from_database", OPTION_BOOL, "false",
      "Read the configuration of domains from the database, not from files." },
    { "identity", "domain_config_dir", OPTION_STR, "/etc/keystone/domains", "Where keystone.DOMAIN.conf files are." },
    { "identity_mapping", "driver", OPTION_STR, "sql", "Where public ids are kept.", .choices = OPTION_WORDS("sql") },
    { "identity_mapping", "generator", OPTION_STR, "sha256", "How public ids are made.", .choices = OPTION_WORDS("sha256") },
    { "identity_mapping", "backward_compatible_ids", OPTION_BOOL, "true",
      "Ids of the default domain's directory stay as they are." },
    DRIVER("federation", "Where identity providers are kept."),
    { "federation", "caching", OPTION_BOOL, "true", "Known; what is kept in memory is never older than the last change." },
    { "federation", "assertion_prefix", OPTION_STR, "", "Beginning of the names of what a front server asserts." },
    { "federation", "remote_id_attribute", OPTION_STR, NULL, "Name of the variable that says which provider asserts." },
    { "federation", "federated_domain_name", OPTION_STR, "Federated", "A name that no domain may have." },
    { "federation", "trusted_dashboard", OPTION_MULTI, NULL, "Dashboards that a single sign-on may hand tokens to." },
    { "federation", "sso_callback_template", OPTION_STR, "/etc/keystone/sso_callback_template.html",
      "The page that hands a token to a dashboard." },
    { "federation", "default_authorization_ttl", OPTION_INT, "0",
      "Minutes that memberships of groups that a mapping gave are valid for; 0: only in the token." },
    { "federation", "trusted_front_addresses", OPTION_LIST, "127.0.0.1,::1",
      "Addresses of front web servers whose headers are taken for the variables of an assertion (not of the reference)." },
    { "federation", "trusted_header_prefix", OPTION_STR, "",
      "Begin of the headers that a front server asserts with, as it sends them; empty: nothing is taken from headers (not of the"
      " reference)." },
    { "saml", "assertion_expiration_time", OPTION_INT, "3600", "Seconds that an assertion is good for." },
    { "saml", "xmlsec1_binary", OPTION_STR, "xmlsec1", "Name or path of the program that signs assertions." },
    { "saml", "certfile", OPTION_STR, "/etc/keystone/ssl/certs/signing_cert.pem",
      "Certificate that assertions are signed with; no comma in its path." },
    { "saml", "keyfile", OPTION_STR, "/etc/keystone/ssl/private/signing_key.pem", "Its private key; no comma in its path." },
    { "saml", "idp_entity_id", OPTION_URI, NULL,
      "What this keystone is called as an identity provider: https://keystone.example.com/v3/OS-FEDERATION/saml2/idp." },
    { "saml", "idp_sso_endpoint", OPTION_URI, NULL, "Its single sign-on service, in the metadata." },
    { "saml", "idp_lang", OPTION_STR, "en", "Language of its organization, in the metadata; so are the following." },
    { "saml", "idp_organization_name", OPTION_STR, "SAML Identity Provider", "Name of the organization." },
    { "saml", "idp_organization_display_name", OPTION_STR, "OpenStack SAML Identity Provider", "The same as it is shown." },
    { "saml", "idp_organization_url", OPTION_URI, "https://example.com/", "A page about it." },
    { "saml", "idp_contact_company", OPTION_STR, "Example, Inc.", "Company of the person to ask." },
    { "saml", "idp_contact_name", OPTION_STR, "SAML Identity Provider Support", "His given name." },
    { "saml", "idp_contact_surname", OPTION_STR, "Support", "His surname." },
    { "saml", "idp_contact_email", OPTION_STR, "support@example.com", "His address." },
    { "saml", "idp_contact_telephone", OPTION_STR, "+1 800 555 0100", "His telephone number." },
    { "saml", "idp_contact_type", OPTION_STR, "other", "What he is to be asked about.",
      .choices = OPTION_WORDS("technical", "support", "administrative", "billing", "other") },
    { "saml", "idp_metadata_path", OPTION_STR, "/etc/keystone/saml2_idp_metadata.xml",
      "The metadata that the API shows, as keystone-manage saml_idp_metadata printed it." },
    { "saml", "relay_state_prefix", OPTION_STR, "ss:mem:", "Begin of the RelayState of new service providers." },
    DRIVER("shadow_users", "Where users of identity providers are kept."),
};

const struct option_table keystone_resource_options = OPTION_TABLE(rows);
