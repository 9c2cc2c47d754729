/* SPDX-License-Identifier: Apache-2.0
 *
 * targets: the services that nova calls, and the sections of nova.conf that say how.
 */
#include "nova/roles.h"

#include "oslo/rest.h"

static const struct option rows[] = {
    { "placement",    "service_type",            OPTION_STR,  "placement", "Type of the service in the catalog." },
    { "neutron",      "service_type",            OPTION_STR,  "network",   "Type of the service in the catalog." },
    { "glance",       "service_type",            OPTION_STR,  "image",     "Type of the service in the catalog." },
    { "cinder",       "service_type",            OPTION_STR,  "volumev3",  "Type of the service in the catalog." },
    { "cinder",       "catalog_info",            OPTION_STR,  "volumev3::publicURL", "Known for existing files: valid_interfaces and service_name say the same." },
    { "keystone",     "service_type",            OPTION_STR,  "identity",  "Type of the service in the catalog." },
    { "service_user", "send_service_user_token", OPTION_BOOL, "false",
        "Send this section's token along with a user's, so that calls outlive the user's token." },
};
const struct option_table nova_target_options = OPTION_TABLE(rows);
const struct option_table nova_service_user_options = AUTH_OPTIONS("service_user");

const struct rest_target nova_targets[] = {
    REST_TARGET("placement", "placement"),
    REST_TARGET("network",   "neutron"),
    REST_TARGET("image",     "glance"),
    REST_TARGET("volumev3",  "cinder"),
    { NULL },
};
