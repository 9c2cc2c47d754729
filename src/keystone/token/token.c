/* SPDX-License-Identifier: Apache-2.0 */
#include "keystone/token/token.h"

#include "base/clock.h"
#include "keystone/application_credential/application_credentials.h"
#include "keystone/assignment/roles.h"
#include "keystone/identity/directories.h"
#include "keystone/identity/shadow_users.h"
#include "keystone/oauth/oauth1.h"
#include "keystone/token/revocation.h"
#include "keystone/token/token_roles.h"
#include "keystone/trust/trusts.h"

#include <string.h>

/* ---- What the claims mean ---- */

static struct fault *app_cred_roles(struct tx *tx, const struct reference *reference, const struct token *token, bool *marks)
{
    bool *given = roles_none(tx_arena(tx), reference);

    for (size_t i = 0; token->app_cred->role_ids[i] != NULL; i++)
        given[reference_role(reference, token->app_cred->role_ids[i])] = true;
    for (size_t i = 0; i < reference->role_count; i++)
        marks[i] = marks[i] && given[i];
    return NULL;
}

/* The roles of an access token and what they imply, as far as the user still has them. */
static struct fault *oauth_roles(struct tx *tx, struct context *cx, const struct reference *reference, struct token *token,
    bool *marks)
{
    bool *given = roles_none(tx_arena(tx), reference);
    struct access_token *access;

    TRY(access_token_find(tx, token->claims.access_token_id, &access));
    if (access == NULL)
        return keystone_not_found(cx, "Access Token", token->claims.access_token_id);
    token->consumer_id = access->consumer_id;
    for (size_t i = 0; i < json_array_size(access->role_ids); i++)
        given[reference_role(reference, json_string_value(json_array_get(access->role_ids, i)))] = true;
    reference_expand(reference, given);
    for (size_t i = 0; i < reference->role_count; i++)
        marks[i] = marks[i] && given[i];
    return NULL;
}

/* Adds groups that an actor is in. */
static void add_groups(struct arena *arena, struct actor *actor, const char *const *more)
{
    size_t had = 0, found = 0;

    while (actor->group_ids != NULL && actor->group_ids[had] != NULL)
        had++;
    while (more != NULL && more[found] != NULL)
        found++;
    if (found == 0)
        return;
    const char **all = ARENA_ARRAY(arena, const char *, had + found + 1);
    for (size_t i = 0; i < had + found; i++)
        all[i] = i < had ? actor->group_ids[i] : more[i - had];
    actor->group_ids = all;
}

/* The groups of somebody whom others know: those that a mapping gave him for a time, and those of his directory. */
static struct fault *add_distant_groups(struct context *cx, struct tx *tx, const struct token *token, struct actor *actor)
{
    const char *const *more;

    TRY(expiring_groups(tx, cx->app->config, actor->user_id, &more));
    add_groups(tx_arena(tx), actor, more);
    add_groups(tx_arena(tx), actor, token->directory.group_ids);
    return NULL;
}

/* What the reference shows of the roles of a trust. */
static struct fault *read_whole_roles(struct tx *tx, struct token *token)
{
    json_t *roles = json_keep(tx_arena(tx), json_array()), *role;

    for (size_t i = 0; i < token->role_count; i++) {
        TRY(entity_load(tx, &role_entity, token->roles[i].id, &role));
        if (role != NULL)
            json_array_append(roles, role);
    }
    token->whole_roles = roles;
    return NULL;
}

/* The roles that the user has on the claims' scope, implied ones included, global ones only. */
static struct fault *read_roles(struct context *cx, struct tx *tx, const struct reference *reference, struct token *token)
{
    const struct token_claims *claims = &token->claims;
    struct actor actor = { claims->user_id, claims->group_ids };
    bool *marks = roles_none(tx_arena(tx), reference);

    if (token->user->local_id == 0)
        TRY(add_distant_groups(cx, tx, token, &actor));
    if (claims->trust_id != NULL && claims->scope == PROJECT_SCOPED) {
        TRY(trust_roles(tx, cx, reference, token->trust, token->project, marks));
    } else if (claims->scope == PROJECT_SCOPED) {
        TRY(roles_on_project(tx, reference, &actor, token->project, marks));
        if (claims->app_cred_id != NULL)
            TRY(app_cred_roles(tx, reference, token, marks));
        else if (claims->access_token_id != NULL)
            TRY(oauth_roles(tx, cx, reference, token, marks));
    } else if (claims->scope == DOMAIN_SCOPED) {
        TRY(roles_on_domain(tx, reference, &actor, token->domain->id, marks));
    } else if (claims->scope == SYSTEM_SCOPED) {
        TRY(roles_on_system(tx, reference, &actor, marks));
    }
    roles_listed(tx_arena(tx), reference, marks, false, &token->roles, &token->role_count);
    return token->trust != NULL ? read_whole_roles(tx, token) : NULL;
}

/* As the reference: nothing is said unless both options name the project of the cloud's administrators. */
static void settle_admin_project(struct context *cx, struct token *token)
{
    const char *name = config_str(cx->app->config, "resource", "admin_project_name");
    const char *domain_name = config_str(cx->app->config, "resource", "admin_project_domain_name");

    if (name == NULL || *name == '\0' || domain_name == NULL || *domain_name == '\0')
        return;
    bool same = strcmp(token->project->name, name) == 0 && strcmp(token->project_domain->name, domain_name) == 0;
    token->admin_project = same ? ADMIN_PROJECT : OTHER_PROJECT;
}

static struct fault *scope_read(struct context *cx, struct tx *tx, struct token *token)
{
    const struct token_claims *claims = &token->claims;
    struct project *project, *domain;

    if (claims->scope == PROJECT_SCOPED) {
        TRY(project_find(tx, claims->scope_id, &project));
        if (project == NULL)
            return keystone_not_found(cx, "project", claims->scope_id);
        /* a project that is a domain belongs to itself here */
        TRY(domain_find(tx, project->is_domain ? project->id : project->domain_id, &domain));
        if (domain == NULL)
            return keystone_not_found(cx, "domain", project->domain_id);
        if (!project->enabled)
            return FAULT(cx, 404, NULL, "Unable to validate token because project %s is disabled", project->id);
        if (!domain->enabled)
            return FAULT(cx, 404, NULL, "Unable to validate token because domain %s is disabled", domain->id);
        token->project = project;
        token->project_domain = domain;
        settle_admin_project(cx, token);
    } else if (claims->scope == DOMAIN_SCOPED) {
        TRY(domain_find(tx, claims->scope_id, &domain));
        if (domain == NULL)
            return keystone_not_found(cx, "domain", claims->scope_id);
        if (!domain->enabled)
            return FAULT(cx, 404, NULL, "Unable to validate token because domain %s is disabled", domain->id);
        token->domain = domain;
    }
    return NULL;
}

static struct fault *user_and_domain(struct context *cx, struct tx *tx, const char *id, struct user **ret_user,
    struct project **ret_domain)
{
    TRY(user_find(tx, id, ret_user));
    if (*ret_user == NULL)
        return keystone_not_found(cx, "user", id);
    TRY(user_is_enabled(tx, cx->app->config, *ret_user, &(*ret_user)->enabled));
    TRY(domain_find(tx, (*ret_user)->domain_id, ret_domain));
    return *ret_domain != NULL ? NULL : keystone_not_found(cx, "domain", (*ret_user)->domain_id);
}

/* The trust, and the user whom it lets act: the trustor, when it says so. */
static struct fault *trust_read(struct context *cx, struct tx *tx, struct token *token)
{
    struct project *trustor_domain, *trustee_domain;
    struct user *trustor, *trustee;
    struct trust *trust;

    TRY(trust_find(tx, cx, token->claims.trust_id, &trust));
    if (trust == NULL)
        return keystone_not_found(cx, "trust", token->claims.trust_id);
    TRY(user_and_domain(cx, tx, trust->trustor_id, &trustor, &trustor_domain));
    TRY(user_and_domain(cx, tx, trust->trustee_id, &trustee, &trustee_domain));
    if (strcmp(token->claims.user_id, trustee->id) != 0)
        return keystone_forbidden(cx, "User is not a trustee.");
    if (!trustor_domain->enabled)
        return FAULT(cx, 404, NULL, "Trustor domain is disabled.");
    if (!trustee_domain->enabled)
        return FAULT(cx, 404, NULL, "Trustee domain is disabled.");
    if (!trustor->enabled)
        return keystone_forbidden(cx, "Trustor is disabled.");
    if (token->claims.scope == UNSCOPED) /* nothing was entrusted */
        return keystone_not_found(cx, "project", "None");
    token->trust = trust;
    token->trustor = trustor;
    token->trustee = trustee;
    if (trust->impersonation) {
        token->user = trustor;
        token->user_domain = trustor_domain;
    }
    return NULL;
}

static struct fault *app_cred_read(struct context *cx, struct tx *tx, struct token *token)
{
    struct app_cred *credential;

    TRY(app_cred_find(tx, token->claims.app_cred_id, &credential));
    if (credential == NULL || strcmp(credential->user_id, token->claims.user_id) != 0)
        return keystone_not_found(cx, "Application Credential", token->claims.app_cred_id);
    token->app_cred = credential;
    return NULL;
}

static struct fault *user_read(struct context *cx, struct tx *tx, struct token *token)
{
    struct user *user;
    struct project *domain;

    TRY(user_and_domain(cx, tx, token->claims.user_id, &user, &domain));
    if (!domain->enabled)
        return FAULT(cx, 404, NULL, "Unable to validate token because domain %s is disabled", domain->id);
    if (token->directory.known && !token->directory.there)
        return keystone_not_found(cx, "user", user->id);
    if (!user->enabled || (token->directory.known && !token->directory.enabled))
        return keystone_unauthorized(cx, "user %s is disabled", user->id);
    token->user = user;
    token->user_domain = domain;
    if (token->claims.app_cred_id != NULL)
        TRY(app_cred_read(cx, tx, token));
    return token->claims.trust_id != NULL ? trust_read(cx, tx, token) : NULL;
}

/* A federated token ends with the provider that vouched for its user. */
static struct fault *provider_read(struct context *cx, struct tx *tx, const struct token *token)
{
    const char *found;

    if (token->claims.idp_id == NULL)
        return NULL;
    TRY(sql_text_of(tx, &found, "SELECT id FROM identity_provider WHERE id = ?", BIND(TEXT(token->claims.idp_id))));
    return found != NULL ? NULL : FAULT(cx, 404, NULL, "Could not find Identity Provider: %s.", token->claims.idp_id);
}

static struct fault *token_read(struct context *cx, struct tx *tx, const struct reference *reference, struct token *token,
    bool *ret_revoked)
{
    static const char *const places[] = { "", "the project", "the domain", "the system" };

    TRY(user_read(cx, tx, token));
    TRY(provider_read(cx, tx, token));
    TRY(scope_read(cx, tx, token));
    TRY(read_roles(cx, tx, reference, token));
    if (token->claims.scope != UNSCOPED && token->role_count == 0)
        return keystone_unauthorized(cx, "user %s has no access to %s %s", token->user->id, places[token->claims.scope],
            token->claims.scope_id != NULL ? token->claims.scope_id : "");
    if (ret_revoked != NULL)
        TRY(revocation_covers(tx, token, ret_revoked));
    return NULL;
}

struct fault *token_build(struct context *cx, struct arena *arena, const struct token_claims *claims, struct token **ret,
    bool *ret_revoked)
{
    struct token *token = ARENA_NEW(arena, struct token);
    const struct reference *reference;
    struct tx *tx;

    token->claims = *claims;
    TRY(reference_get(cx, &reference));
    TRY(directory_state(cx, claims->user_id, &token->directory));
    struct token before = *token;
    struct fault *fault = NULL;
    for (int turn = 0; turn == 0 || (turn == 1 && reference_is_stale(cx, reference)); turn++) {
        if (turn == 1) /* a role was too new for the snapshot */
            TRY(reference_get(cx, &reference));
        *token = before;
        fault = db_read(arena, cx->app->db, &tx);
        if (fault != NULL)
            break;
        fault = token_read(cx, tx, reference, token, ret_revoked);
        tx_end(tx);
    }
    if (fault != NULL)
        return arena == cx->arena ? fault : fault_copy(cx->arena, fault); /* the arena may go first */
    *ret = token;
    return NULL;
}

/* ---- JSON ---- */

static void write_named(struct json_writer *w, const char *name, const struct project *domain)
{
    json_begin(w, name);
    json_text(w, "id", domain->id);
    json_text(w, "name", domain->name);
    json_end(w);
}

static void write_id(struct json_writer *w, const char *name, const char *id)
{
    json_begin(w, name);
    json_text(w, "id", id);
    json_end(w);
}

static void write_federation(struct json_writer *w, const struct token_claims *claims)
{
    json_begin(w, "OS-FEDERATION");
    json_begin_array(w, "groups");
    for (size_t i = 0; claims->group_ids != NULL && claims->group_ids[i] != NULL; i++)
        write_id(w, NULL, claims->group_ids[i]);
    json_end_array(w);
    write_id(w, "identity_provider", claims->idp_id);
    write_id(w, "protocol", claims->protocol_id);
    json_end(w);
}

static void write_trust(struct json_writer *w, const struct trust *trust)
{
    json_begin(w, "OS-TRUST:trust");
    json_text(w, "id", trust->id);
    write_id(w, "trustor_user", trust->trustor_id);
    write_id(w, "trustee_user", trust->trustee_id);
    json_bool(w, "impersonation", trust->impersonation);
    json_end(w);
}

/* By what the token was made. */
static void write_delegation(struct json_writer *w, const struct token *token)
{
    if (token->claims.access_token_id != NULL) {
        json_begin(w, "OS-OAUTH1");
        json_text(w, "access_token_id", token->claims.access_token_id);
        json_text(w, "consumer_id", token->consumer_id);
        json_end(w);
    }
    if (token->app_cred != NULL) {
        json_begin(w, "application_credential");
        json_text(w, "id", token->app_cred->id);
        json_text(w, "name", token->app_cred->name);
        json_bool(w, "restricted", !token->app_cred->unrestricted);
        if (token->app_cred->access_rules != NULL)
            json_raw(w, "access_rules", token->app_cred->access_rules);
        json_end(w);
    }
    if (token->claims.thumbprint != NULL) {
        json_begin(w, "oauth2_credential");
        json_text(w, "x5t#S256", token->claims.thumbprint);
        json_end(w);
    }
}

static void write_user(struct json_writer *w, struct arena *arena, const struct token *token)
{
    json_begin(w, "user");
    write_named(w, "domain", token->user_domain);
    json_text(w, "id", token->user->id);
    json_text(w, "name", token->user->name);
    if (token->claims.idp_id == NULL)
        json_text(w, "password_expires_at", token->user->password_expires_us == 0 ? NULL :
            clock_text(arena, token->user->password_expires_us, CLOCK_ISO_US));
    else
        write_federation(w, &token->claims);
    json_end(w);
}

static void write_scope(struct json_writer *w, const struct token *token)
{
    if (token->project != NULL) {
        json_begin(w, "project");
        write_named(w, "domain", token->project_domain);
        json_text(w, "id", token->project->id);
        json_text(w, "name", token->project->name);
        json_end(w);
        if (token->trust != NULL)
            write_trust(w, token->trust);
        else
            json_bool(w, "is_domain", token->project->is_domain);
        if (token->admin_project != NO_ADMIN_PROJECT)
            json_bool(w, "is_admin_project", token->admin_project == ADMIN_PROJECT);
    } else if (token->domain != NULL) {
        write_named(w, "domain", token->domain);
    } else if (token->claims.scope == SYSTEM_SCOPED) {
        json_begin(w, "system");
        json_bool(w, "all", true);
        json_end(w);
    }
    if (token->claims.scope == UNSCOPED)
        return;
    if (token->whole_roles != NULL) {
        json_value(w, "roles", token->whole_roles);
        return;
    }
    json_begin_array(w, "roles");
    for (size_t i = 0; i < token->role_count; i++) {
        json_begin(w, NULL);
        json_text(w, "id", token->roles[i].id);
        json_text(w, "name", token->roles[i].name);
        json_end(w);
    }
    json_end_array(w);
}

void token_write(struct json_writer *w, const struct token *token, const struct reference *reference)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    const struct token_claims *claims = &token->claims;

    json_begin(w, NULL);
    json_begin(w, "token");
    json_begin_array(w, "methods");
    for (size_t i = 0; claims->methods[i] != NULL; i++)
        json_text(w, NULL, claims->methods[i]);
    json_end_array(w);
    write_user(w, arena, token);
    json_begin_array(w, "audit_ids");
    json_text(w, NULL, claims->audit_id);
    if (claims->parent_audit_id != NULL)
        json_text(w, NULL, claims->parent_audit_id);
    json_end_array(w);
    json_text(w, "expires_at", clock_text(arena, claims->expires_us, CLOCK_ISO_USZ));
    json_text(w, "issued_at", clock_text(arena, claims->issued_us, CLOCK_ISO_USZ));
    write_scope(w, token);
    write_delegation(w, token);
    if (reference != NULL && claims->scope != UNSCOPED)
        catalog_write(w, "catalog", reference, token->trust != NULL ? token->trust->trustor_id : token->user->id,
            token->project != NULL ? token->project->id : NULL);
    if (reference != NULL && reference->service_providers != NULL)
        json_raw(w, "service_providers", reference->service_providers);
    json_end(w);
    json_end(w);
}
