/* SPDX-License-Identifier: Apache-2.0
 *
 * addresses: a server's addresses as the API shows them, by the labels of its networks.
 */
#ifndef NOVA_ADDRESSES_H
#define NOVA_ADDRESSES_H

#include "oslo/json.h"

/* Members {label: [...]} of network info; `extended` adds type and MAC; only one network when `label` is not NULL: false
 * when it is not there. */
bool addresses_write(struct json_writer *w, const json_t *network_info, bool extended, const char *label);

/* The whole object of network info in text, extended; NULL for NULL. In the arena. */
const char *addresses_text(struct arena *arena, const char *network_info);

#endif
