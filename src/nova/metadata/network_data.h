/* SPDX-License-Identifier: Apache-2.0
 *
 * network_data: network_data.json from an instance's network info (nova/virt/netutils.py: get_network_metadata).
 */
#ifndef NOVA_METADATA_NETWORK_DATA_H
#define NOVA_METADATA_NETWORK_DATA_H

#include "oslo/json.h"

/* New reference: {"links": [..], "networks": [..], "services": [..]}. */
json_t *network_data(struct arena *arena, const json_t *network_info);

#endif
