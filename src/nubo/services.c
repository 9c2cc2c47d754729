/* SPDX-License-Identifier: Apache-2.0
 * services: see services.h. */
#include "nubo/services.h"

#include "glance/glance.h"
#include "keystone/keystone.h"
#include "neutron/neutron.h"
#include "nova/nova.h"
#include "placement/placement.h"

const struct service *const services[] = {
    &keystone_service,
    &placement_service,
    &glance_service,
    &neutron_service,
    &nova_service,
    NULL,
};
