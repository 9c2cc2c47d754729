/* SPDX-License-Identifier: Apache-2.0
 *
 * targets: the services that neutron calls, and the sections of neutron.conf that say how.
 */
#include "neutron/private.h"

#include "oslo/rest.h"

static const char *const endpoint_types[] = { "public", "admin", "internal", NULL };

static const struct option rows[] = {
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
