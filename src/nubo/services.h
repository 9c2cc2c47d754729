/* SPDX-License-Identifier: Apache-2.0
 *
 * services: the list of what the cloud consists of. Adding a service to the cloud is adding its row in services.c.
 */
#ifndef NUBO_SERVICES_H
#define NUBO_SERVICES_H

#include "oslo/app.h"

/* In the order in which they start: identity first, then what others stand on. Ends with NULL. */
extern const struct service *const services[];

#endif
