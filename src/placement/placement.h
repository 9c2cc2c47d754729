/* SPDX-License-Identifier: Apache-2.0
 *
 * placement: who has how much of what, and who uses it. API reference: Placement API, microversions 1.0 to 1.39.
 */
#ifndef PLACEMENT_PLACEMENT_H
#define PLACEMENT_PLACEMENT_H

#include "oslo/app.h"

extern const struct service placement_service;

#endif
