/* SPDX-License-Identifier: Apache-2.0
 *
 * endpoints: what the filters and policies of endpoints need of them.
 */
#ifndef KEYSTONE_ENDPOINTS_H
#define KEYSTONE_ENDPOINTS_H

#include "keystone/entity.h"

extern const struct entity endpoint_entity;

#endif
