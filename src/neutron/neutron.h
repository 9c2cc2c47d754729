/* SPDX-License-Identifier: Apache-2.0
 *
 * neutron: the Network service, version 2.0 of its API, with ML2 and Open vSwitch.
 */
#ifndef NEUTRON_NEUTRON_H
#define NEUTRON_NEUTRON_H

#include "oslo/app.h"

extern const struct service neutron_service;

#endif
