/* SPDX-License-Identifier: Apache-2.0
 *
 * glance: images, what servers boot from. API reference: Image service API v2.
 */
#ifndef GLANCE_GLANCE_H
#define GLANCE_GLANCE_H

#include "oslo/app.h"

extern const struct service glance_service;

#endif
