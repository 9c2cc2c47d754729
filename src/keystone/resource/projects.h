/* SPDX-License-Identifier: Apache-2.0
 *
 * projects: what domains, assignments and authentication need of projects.
 */
#ifndef KEYSTONE_PROJECTS_H
#define KEYSTONE_PROJECTS_H

#include "keystone/entity.h"
#include "keystone/model.h"
#include "keystone/token/token_roles.h"

extern const struct entity project_entity, domain_entity;

/* {"projects": [...]} (or domains) that the user, or one of his groups, has a role on, handed down ones included. */
struct fault *projects_of_user_respond(struct request *rq, const char *user_id, bool domains);

/* A user with the groups that no table of members has: his directory's, those that a mapping gave him for a time, and, when
 * he is the caller, those of his token. Not while a transaction is open. */
struct fault *actor_of(struct context *cx, const char *user_id, struct actor *ret);

/* Whether the user has a role on the project. */
struct fault *project_is_mine(struct tx *tx, const struct actor *actor, const char *project_id, bool *ret);

/* The conditions of ?tags=, tags-any=, not-tags= and not-tags-any=, at most four and an end. */
struct fault *tag_conditions(struct request *rq, struct condition *ret);

/* Where a body names no domain: the token's, else [identity] default_domain_id. */
const char *keystone_default_domain(struct request *rq);

/* What a new project or domain has unless the body says otherwise; its name without blanks around it. */
void project_defaults(json_t *document);

/* Creates a project or, with is_domain, a domain from a checked document (id, name, domain_id, parent_id set): the
 * reference's constraints on the tree, 409 for a name that is taken. */
struct fault *project_create(struct tx *tx, struct context *cx, const json_t *document);
/* Changes one to `wanted`, a document merged from `old`. */
struct fault *project_change(struct tx *tx, struct context *cx, const json_t *old, const json_t *wanted);
/* Deletes one with its assignments, and revokes its tokens. */
struct fault *project_delete(struct tx *tx, struct context *cx, const char *id);

#endif
