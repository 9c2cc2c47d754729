/* SPDX-License-Identifier: Apache-2.0
 *
 * targets: the services that neutron calls, and the sections of neutron.conf that say how.
 */
#include "neutron/private.h"

#include "oslo/rest.h"

static const char *const endpoint_types[] = { "public", "admin", "internal", NULL };

static const char *const protocols[] = { "http", "https", NULL };

static const struct option rows[] = {
    { "DEFAULT",   "nova_metadata_protocol", OPTION_STR, "http",   "How nova's metadata API is spoken to.", .choices = protocols },
    { "DEFAULT",   "nova_metadata_insecure", OPTION_BOOL, "false", "Do not look at its certificate." },
    { "DEFAULT",   "auth_ca_cert",          OPTION_STR,  NULL,     "File of certificate authorities that it is checked with." },
    { "DEFAULT",   "nova_client_cert",      OPTION_STR,  NULL,     "Client certificate for it." },
    { "DEFAULT",   "nova_client_priv_key",  OPTION_STR,  NULL,     "Key of that certificate." },
    { "nova",      "endpoint_type",         OPTION_STR,  "public", "Interface of nova's endpoint.", .choices = endpoint_types },
    { "nova",      "live_migration_events", OPTION_BOOL, "true",   "Known for existing files: nova is told of migrating ports." },
    { "placement", "endpoint_type",         OPTION_STR,  "public", "Interface of placement's endpoint.", .choices = endpoint_types },
};
const struct option_table neutron_target_options = OPTION_TABLE(rows);

const struct rest_target neutron_targets[] = {
    REST_TARGET("compute",   "nova"),
    REST_TARGET("placement", "placement"),
    { NULL },
};
