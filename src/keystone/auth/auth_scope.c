/* SPDX-License-Identifier: Apache-2.0
 *
 * The scope that a request for a token asks for.
 */
#include "keystone/auth/auth_methods.h"

#include "keystone/trust/trusts.h"
#include "oslo/json.h"

#include <string.h>

bool auth_given(const char *value)
{
    return value != NULL && value[0] != '\0';
}

/* A domain by {"id"} or {"name"}, enabled: 401 otherwise. */
static struct fault *auth_domain(struct context *cx, struct tx *tx, const json_t *info, struct project **ret)
{
    const char *name = json_text_at(info, "name"), *id = json_text_at(info, "id");

    if (auth_given(name))
        TRY(domain_find_name(tx, name, ret));
    else
        TRY(domain_find(tx, id, ret));
    if (*ret == NULL)
        return keystone_unauthorized(cx, "Could not find domain: %s.", auth_given(name) ? name : id);
    if (!(*ret)->enabled)
        return keystone_unauthorized(cx, "Domain is disabled: %s", (*ret)->id);
    return NULL;
}

/* 401 unless the project is there and it and its domain are enabled. */
static struct fault *check_project(struct context *cx, struct tx *tx, const struct project *project, const char *shown)
{
    struct project *domain;

    if (project == NULL)
        return keystone_unauthorized(cx, "Could not find project: %s.", shown);
    if (!project->enabled)
        return keystone_unauthorized(cx, "Project is disabled: %s", project->id);
    TRY(domain_find(tx, project->is_domain ? project->id : project->domain_id, &domain));
    if (domain == NULL || !domain->enabled)
        return keystone_unauthorized(cx, "Domain is disabled: %s", project->domain_id);
    return NULL;
}

static struct fault *scope_project(struct context *cx, struct tx *tx, const json_t *info, struct project **ret)
{
    const char *name = json_text_at(info, "name"), *id = json_text_at(info, "id");
    const json_t *domain_info = json_object_get(info, "domain");
    struct project *domain;

    if (auth_given(name)) {
        if (domain_info == NULL)
            return keystone_expecting(cx, "domain", "project");
        TRY(auth_domain(cx, tx, domain_info, &domain));
        TRY(project_find_name(tx, domain->id, name, ret));
    } else {
        TRY(project_find(tx, id, ret));
    }
    return check_project(cx, tx, *ret, auth_given(name) ? name : id);
}

static struct fault *scope_trust(struct context *cx, struct tx *tx, const char *id, struct token_claims *claims)
{
    struct project *project;
    struct trust *trust;

    if (!auth_given(id))
        return keystone_expecting(cx, "trust_id", "trust");
    struct fault *fault = trust_find(tx, cx, id, &trust);
    if (fault != NULL && fault->status == 404)
        return fault_because(keystone_unauthorized(cx, "the trust %s was passed on from one that is gone", id), fault);
    if (fault != NULL)
        return fault;
    if (trust == NULL || trust->remaining_uses == 0)
        return keystone_unauthorized(cx, "Could not find trust: %s.", id);
    claims->trust_id = arena_strdup(cx->arena, trust->id);
    if (trust->project_id == NULL)
        return NULL;
    TRY(project_find(tx, trust->project_id, &project));
    TRY(check_project(cx, tx, project, trust->project_id));
    claims->scope = PROJECT_SCOPED;
    claims->scope_id = arena_strdup(cx->arena, project->id);
    return NULL;
}

struct fault *auth_read_scope(struct context *cx, struct tx *tx, const json_t *auth, struct token_claims *claims,
    bool *ret_explicit)
{
    static const char *const kinds[] = { "project", "domain", "unscoped", "system", "OS-TRUST:trust" };
    const json_t *scope = json_object_get(auth, "scope");
    const char *kind = NULL;
    struct project *found;
    int count = 0;

    *ret_explicit = scope != NULL;
    if (scope == NULL)
        return NULL;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (json_object_get(scope, kinds[i]) != NULL ||
            (json_is_string(scope) && strcmp(json_string_value(scope), kinds[i]) == 0)) {
            kind = kinds[i];
            count++;
        }
    }
    if (count != 1 || (json_is_string(scope) && strcmp(kind, "unscoped") != 0))
        return keystone_expecting(cx, "system, project, domain, OS-TRUST:trust or unscoped", "scope");
    if (strcmp(kind, "system") == 0) {
        claims->scope = SYSTEM_SCOPED;
    } else if (strcmp(kind, "project") == 0) {
        TRY(scope_project(cx, tx, json_object_get(scope, kind), &found));
        claims->scope = PROJECT_SCOPED;
        claims->scope_id = arena_strdup(cx->arena, found->id);
    } else if (strcmp(kind, "domain") == 0) {
        TRY(auth_domain(cx, tx, json_object_get(scope, kind), &found));
        claims->scope = DOMAIN_SCOPED;
        claims->scope_id = arena_strdup(cx->arena, found->id);
    } else if (strcmp(kind, "OS-TRUST:trust") == 0) {
        return scope_trust(cx, tx, json_text_at(json_object_get(scope, kind), "id"), claims);
    }
    return NULL;
}

struct fault *auth_default_scope(struct context *cx, struct token_claims *claims)
{
    struct token_claims wish = *claims;
    struct token *token;
    struct user *user;
    struct tx *tx;

    TRY(db_read(cx->arena, cx->app->db, &tx));
    struct fault *fault = user_find(tx, claims->user_id, &user);
    tx_end(tx);
    if (fault != NULL || user == NULL || !auth_given(user->default_project_id))
        return fault;
    wish.scope = PROJECT_SCOPED;
    wish.scope_id = user->default_project_id;
    fault = token_build(cx, cx->arena, &wish, &token, NULL);
    if (fault == NULL)
        *claims = wish;
    return fault != NULL && fault->status >= 500 ? fault : NULL;
}
