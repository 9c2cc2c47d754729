/* SPDX-License-Identifier: Apache-2.0
 *
 * endpoints: what the filters and policies of endpoints need of them.
 */
#ifndef KEYSTONE_ENDPOINTS_H
#define KEYSTONE_ENDPOINTS_H

#include "keystone/entity.h"

extern const struct entity endpoint_entity;

/* Deletes an endpoint with its associations; one that is not there is no fault. */
struct fault *endpoint_erase(struct tx *tx, const char *id);

#endif
