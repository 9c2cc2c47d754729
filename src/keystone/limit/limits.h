/* SPDX-License-Identifier: Apache-2.0
 *
 * limits: unified limits: what a resource of a service is limited to by default (registered limits), and for a project or
 * domain (limits).
 */
#ifndef KEYSTONE_LIMITS_H
#define KEYSTONE_LIMITS_H

#include "keystone/entity.h"

extern const struct entity registered_limit_entity, limit_entity;

/* The deepest tree of projects that [unified_limit] enforcement_model allows, its domain counted; 0: any. */
int limits_tree_depth(const struct config *config);

/* Faults unless what a limit names is there: "Expecting to find service_id in limit." `document` is changed: a project that
 * acts as a domain becomes domain_id. */
struct fault *limits_check_names(struct tx *tx, struct context *cx, json_t *document, const char *target);

/* The member "limits" of a project that is being written: [...]. */
struct fault *limits_of_project_write(struct request *rq, struct tx *tx, const char *project_id);

#endif
