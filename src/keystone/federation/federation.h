/* SPDX-License-Identifier: Apache-2.0
 *
 * federation: identity providers elsewhere, the protocols that they speak, and the mappings of what they assert.
 */
#ifndef KEYSTONE_FEDERATION_H
#define KEYSTONE_FEDERATION_H

#include "keystone/entity.h"

extern const struct entity idp_entity, mapping_entity;

/* An identity provider as a document with its remote_ids; *ret NULL when there is none. */
struct fault *idp_load(struct tx *tx, const char *id, json_t **ret);
/* The same: 404 when there is none, 403 when it is disabled. */
struct fault *idp_load_enabled(struct tx *tx, struct context *cx, const char *id, json_t **ret);
/* The names under which it speaks, in place of those that it had; 409 for another's. */
struct fault *idp_store_remote_ids(struct tx *tx, struct context *cx, const char *id, const json_t *remote_ids);
/* Deletes one with its protocols; its users stay, and have no way in any more. */
struct fault *idp_erase(struct tx *tx, const char *id);
/* Deletes those whose users are of a domain. */
struct fault *idps_of_domain_erase(struct tx *tx, const char *domain_id);

/* {"id", "idp_id", "mapping_id", "remote_id_attribute"}; *ret NULL when there is none. */
struct fault *protocol_load(struct tx *tx, const char *idp_id, const char *protocol_id, json_t **ret);
struct fault *protocol_missing(struct context *cx, const char *idp_id, const char *protocol_id);

/* The array of those that are enabled, as tokens have it. */
struct fault *service_providers_write(struct json_writer *w, const char *name, struct tx *tx);

#endif
