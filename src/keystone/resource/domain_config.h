/* SPDX-License-Identifier: Apache-2.0
 *
 * domain_config: the configuration that a domain has of its own, in the database.
 */
#ifndef KEYSTONE_DOMAIN_CONFIG_H
#define KEYSTONE_DOMAIN_CONFIG_H

#include "keystone/state.h"
#include "oslo/json.h"

/* {"group": {"option": value}} with the sensitive options, and with %(option)s of them put into the others' texts; an
 * empty object when the domain has none. Never for a response. */
struct fault *domain_config_load(struct tx *tx, const char *domain_id, json_t **ret);

/* Whether it is {"group": {"option": value}} of options that a domain may set; a fault in the words of the reference else. */
struct fault *domain_config_check(struct context *cx, const json_t *config);
/* Writes checked options; those that are there are replaced. */
struct fault *domain_config_store(struct tx *tx, const char *domain_id, const json_t *config);

/* Deletes all of a domain's. */
struct fault *domain_config_erase(struct tx *tx, const char *domain_id);

#endif
